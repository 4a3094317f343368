/* transcript.h - tokens in; text, JSON lines or token ids out, as they come.
 *
 *   es_transcript_start(&transcript, &config);
 *   es_transcript_hear(&transcript, mel_frames, frame_count, bin_count);     before their tokens
 *   es_transcript_token(&transcript, &token);
 *   es_transcript_finish(&transcript);          the last word, the end event
 *
 * A word group starts with id 33 ([STREAMING_WORD]), which the model puts out at the position that
 * has heard `delay` positions beyond the one in which the word ends: with 33 as the id fed at
 * position p, end_ms = 80 (p - 32 - delay). The start is an estimate (loudness.h). The group's text
 * follows; it is complete when the next group starts, after ES_WORD_PADS_MAX pads, or at the end.
 * Words in one group (text with spaces in it) share its time in proportion to their characters.
 * Text that no 33 announced is a word all the same; a space ends it, and it is timed as if 33 had
 * come just before its first token. Times are recording time in ms, never beyond its end and
 * never decreasing. A character split over tokens is joined, whatever control ids lie between.
 *
 * Writes are flushed token by token; a failure stays in the output (output.h). Plain data of fixed
 * size, nothing allocates. Engine thread. */
#pragma once

#include "app/loudness.h"
#include "app/output.h"
#include "engine/stream.h"
#include "engine/tokenizer.h"
#include "platform/utf8.h"

enum es_transcript_format {
    ES_TRANSCRIPT_TEXT,   /* the words, a line feed at the end */
    ES_TRANSCRIPT_JSONL,  /* {"start_ms":..,"end_ms":..,"text":".."} each, then the end event */
    ES_TRANSCRIPT_TOKENS, /* one id per decoder step */
    ES_TRANSCRIPT_MARGINS /* id, tab, margin in logits */
};

struct es_transcript_config {
    enum es_transcript_format format;
    uint32_t delay_positions;
    const struct es_tokenizer *tokenizer; /* borrowed */
    struct es_output *output;             /* borrowed */
    /* Sees each whole word, in any format, just before it is printed; NULL for nobody. `text` is
     * not terminated and borrowed for the call. */
    void (*on_word)(void *context, const char *text, uint32_t byte_count, uint64_t start_ms,
                    uint64_t end_ms);
    void *context;
};

/* What the end event and the tests report. */
struct es_transcript_counters {
    uint64_t token_count;
    uint64_t word_count;
    uint64_t blank_count;       /* ids 32 */
    uint64_t blank_run_longest; /* in a row */
    uint64_t replaced_count;    /* byte sequences that were no character */
    float margin_min;           /* logits; of all steps */
    uint64_t first_position;    /* of the first and last decision */
    uint64_t last_position;
};

struct es_transcript {
    struct es_transcript_config config;
    struct es_transcript_counters counters;
    uint64_t audio_ms;   /* heard so far: the caller keeps it up to date; no word ends later */
    bool is_interrupted; /* for the end event; the caller sets it */
    struct es_loudness loudness;
    struct es_utf8 utf8;
    bool has_text; /* something but space was written */
    /* the open group */
    bool is_open;
    bool is_marked;       /* by id 33 */
    bool mark_waits;      /* 33 came inside of a character */
    uint64_t mark_end_ms; /* of the group that waits */
    uint64_t end_ms;
    uint32_t pad_count; /* since its last text */
    uint32_t text_bytes;
    char text[ES_WORD_BYTES_MAX];
    uint64_t last_end_ms; /* of the group before */
    uint64_t blank_run;
};

/* A new transcript; `config` is copied. */
void es_transcript_start(struct es_transcript *transcript,
                         const struct es_transcript_config *config);

/* frames [frame_count, bin_count] f32: the log-mel frames that the stream gets. */
void es_transcript_hear(struct es_transcript *transcript, const float *frames, size_t frame_count,
                        uint32_t bin_count);

/* The ids are those that the model chose; with forced ids, too. */
void es_transcript_token(struct es_transcript *transcript, const struct es_token *token);

void es_transcript_finish(struct es_transcript *transcript);
