#include "app/transcript.h"

#include "board/word.h"
#include "platform/assert.h"

#include <string.h>

void es_transcript_start(struct es_transcript *transcript,
                         const struct es_transcript_config *config) {
    memset(transcript, 0, sizeof *transcript);
    transcript->config = *config;
}

void es_transcript_hear(struct es_transcript *transcript, const float *frames, size_t frame_count,
                        uint32_t bin_count) {
    es_loudness_push(&transcript->loudness, frames, frame_count, bin_count);
}

/* The flush writes to standard output; what it could not write stays known to the output, and the
 * command asks it after each block of audio. */
static void flush(struct es_transcript *transcript) {
    enum es_status status = es_output_flush(transcript->config.output, NULL);
    (void)status;
}

/* 80 (p - 32 - delay), for the position p that is fed the word mark. */
static uint64_t mark_ms(const struct es_transcript *transcript, uint64_t fed_position) {
    uint64_t silent = ES_LEFT_PAD_POSITIONS + transcript->config.delay_positions;
    return fed_position > silent ? (fed_position - silent) * ES_POSITION_MS : 0;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static uint32_t character_count(const char *text, uint32_t byte_count) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < byte_count; i++) {
        count += !is_space(text[i]) && ((unsigned char)text[i] & 0xC0u) != 0x80u;
    }
    return count;
}

static void print_word(struct es_transcript *transcript, const char *text, uint32_t byte_count,
                       uint64_t start_ms, uint64_t end_ms) {
    transcript->counters.word_count++;
    if (transcript->config.on_word != NULL) {
        transcript->config.on_word(transcript->config.context, text, byte_count, start_ms, end_ms);
    }
    if (transcript->config.format != ES_TRANSCRIPT_JSONL) {
        return;
    }
    struct es_output *output = transcript->config.output;
    const struct es_word word = {text, byte_count, start_ms, end_ms};
    char line[ES_WORD_JSON_BYTES_MAX];
    es_output_bytes(output, line, es_word_json(&word, line));
    es_output_text(output, "\n");
    flush(transcript);
}

/* Splits the group's text at spaces; each word gets its share of the group's time. */
static void print_words(struct es_transcript *transcript, uint64_t start_ms, uint64_t end_ms) {
    const char *text = transcript->text;
    uint64_t total = character_count(text, transcript->text_bytes);
    ES_ASSERT(total > 0);
    uint64_t done = 0;
    for (uint32_t i = 0; i < transcript->text_bytes;) {
        if (is_space(text[i])) {
            i++;
            continue;
        }
        uint32_t first = i;
        while (i < transcript->text_bytes && !is_space(text[i])) {
            i++;
        }
        uint64_t duration_ms = end_ms - start_ms;
        uint64_t word_start_ms = start_ms + duration_ms * done / total;
        done += character_count(text + first, i - first);
        print_word(transcript, text + first, i - first, word_start_ms,
                   start_ms + duration_ms * done / total);
    }
}

static void close_group(struct es_transcript *transcript) {
    if (transcript->is_open && character_count(transcript->text, transcript->text_bytes) > 0) {
        uint64_t end_ms = transcript->end_ms;
        end_ms = end_ms < transcript->audio_ms ? end_ms : transcript->audio_ms;
        end_ms = end_ms > transcript->last_end_ms ? end_ms : transcript->last_end_ms;
        uint64_t start_ms =
            es_loudness_onset_ms(&transcript->loudness, transcript->last_end_ms, end_ms);
        print_words(transcript, start_ms, end_ms);
        transcript->last_end_ms = end_ms;
    }
    transcript->is_open = false;
    transcript->text_bytes = 0;
}

static void open_group(struct es_transcript *transcript, bool is_marked, uint64_t end_ms) {
    transcript->is_open = true;
    transcript->is_marked = is_marked;
    transcript->end_ms = end_ms;
    transcript->pad_count = 0;
    transcript->text_bytes = 0;
}

static void add_to_group(struct es_transcript *transcript,
                         const struct es_utf8_character *character, uint64_t position) {
    bool is_break = is_space(character->bytes[0]) && !transcript->is_marked;
    bool is_full = transcript->text_bytes + character->byte_count > sizeof transcript->text;
    if (transcript->is_open && (is_full || is_break)) {
        close_group(transcript);
    }
    if (!transcript->is_open) {
        open_group(transcript, false, mark_ms(transcript, position));
    }
    memcpy(transcript->text + transcript->text_bytes, character->bytes, character->byte_count);
    transcript->text_bytes += character->byte_count;
    transcript->pad_count = 0;
}

static void give_out_character(struct es_transcript *transcript,
                               const struct es_utf8_character *character, uint64_t position) {
    transcript->counters.replaced_count += character->is_replacement;
    if (transcript->config.format == ES_TRANSCRIPT_TEXT &&
        (transcript->has_text || !is_space(character->bytes[0]))) {
        es_output_bytes(transcript->config.output, character->bytes, character->byte_count);
    }
    transcript->has_text = transcript->has_text || !is_space(character->bytes[0]);
    add_to_group(transcript, character, position);
    if (transcript->mark_waits) {
        transcript->mark_waits = false;
        close_group(transcript);
        open_group(transcript, true, transcript->mark_end_ms);
    }
}

static void give_out_piece(struct es_transcript *transcript, const struct es_token *token) {
    const char *bytes;
    uint32_t byte_count = es_tokenizer_piece(transcript->config.tokenizer, token->id, &bytes);
    for (uint32_t i = 0; i < byte_count; i++) {
        struct es_utf8_character characters[ES_UTF8_CHARACTERS_PER_BYTE];
        uint32_t count = es_utf8_push(&transcript->utf8, (uint8_t)bytes[i], characters);
        for (uint32_t c = 0; c < count; c++) {
            give_out_character(transcript, &characters[c], token->position);
        }
    }
    if (byte_count > 0) {
        flush(transcript);
    }
}

static void mark_word(struct es_transcript *transcript, uint64_t fed_position) {
    uint64_t end_ms = mark_ms(transcript, fed_position);
    if (transcript->utf8.byte_count > 0) {
        transcript->mark_waits = true;
        transcript->mark_end_ms = end_ms;
        return;
    }
    close_group(transcript);
    open_group(transcript, true, end_ms);
}

static void count_token(struct es_transcript *transcript, const struct es_token *token) {
    struct es_transcript_counters *counters = &transcript->counters;
    if (counters->token_count == 0) {
        counters->first_position = token->position;
        counters->margin_min = token->margin;
    }
    counters->token_count++;
    counters->last_position = token->position;
    if (token->margin < counters->margin_min) {
        counters->margin_min = token->margin;
    }
    if (token->id == ES_ID_STREAMING_PAD) {
        counters->blank_count++;
        transcript->blank_run++;
        if (transcript->blank_run > counters->blank_run_longest) {
            counters->blank_run_longest = transcript->blank_run;
        }
    } else {
        transcript->blank_run = 0;
    }
}

void es_transcript_token(struct es_transcript *transcript, const struct es_token *token) {
    count_token(transcript, token);
    struct es_output *output = transcript->config.output;
    if (transcript->config.format == ES_TRANSCRIPT_TOKENS) {
        es_output_format(output, "%d\n", token->id);
        flush(transcript);
    } else if (transcript->config.format == ES_TRANSCRIPT_MARGINS) {
        es_output_format(output, "%d\t%.6f\n", token->id, (double)token->margin);
        flush(transcript);
    }
    if (token->id == ES_ID_STREAMING_WORD) {
        mark_word(transcript, token->position + 1u);
    } else if (token->id == ES_ID_STREAMING_PAD) {
        if (transcript->is_open && transcript->text_bytes > 0 && transcript->utf8.byte_count == 0 &&
            ++transcript->pad_count >= ES_WORD_PADS_MAX) {
            close_group(transcript);
        }
    } else {
        give_out_piece(transcript, token);
    }
}

static void print_end_event(struct es_transcript *transcript) {
    const struct es_transcript_counters *counters = &transcript->counters;
    es_output_format(
        transcript->config.output,
        "{\"event\":\"end\",\"audio_ms\":%llu,\"delay_ms\":%u,\"positions\":%llu,\"tokens\":%llu,"
        "\"words\":%llu,\"blanks\":%llu,\"longest_blank_run\":%llu,\"min_margin\":%.6f,"
        "\"replaced_characters\":%llu,\"interrupted\":%s}\n",
        (unsigned long long)transcript->audio_ms,
        transcript->config.delay_positions * ES_POSITION_MS,
        (unsigned long long)(counters->token_count > 0 ? counters->last_position + 1u : 0),
        (unsigned long long)counters->token_count, (unsigned long long)counters->word_count,
        (unsigned long long)counters->blank_count, (unsigned long long)counters->blank_run_longest,
        (double)counters->margin_min, (unsigned long long)counters->replaced_count,
        transcript->is_interrupted ? "true" : "false");
}

void es_transcript_finish(struct es_transcript *transcript) {
    struct es_utf8_character characters[ES_UTF8_CHARACTERS_PER_BYTE];
    if (es_utf8_finish(&transcript->utf8, characters) > 0) {
        give_out_character(transcript, &characters[0], transcript->counters.last_position);
    }
    close_group(transcript);
    if (transcript->config.format == ES_TRANSCRIPT_TEXT) {
        es_output_text(transcript->config.output, "\n");
    } else if (transcript->config.format == ES_TRANSCRIPT_JSONL) {
        print_end_event(transcript);
    }
    flush(transcript);
}
