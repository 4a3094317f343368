#include "board/word.h"

#include "platform/assert.h"
#include "platform/text.h"

#include <stdio.h>
#include <string.h>

size_t es_word_json(const struct es_word *word, char *line) {
    ES_ASSERT(word->text_bytes <= ES_WORD_BYTES_MAX);
    size_t used = (size_t)snprintf(
        line, ES_WORD_JSON_BYTES_MAX, "{\"start_ms\":%llu,\"end_ms\":%llu,\"text\":\"",
        (unsigned long long)word->start_ms, (unsigned long long)word->end_ms);
    used += es_text_json(line + used, word->text, word->text_bytes);
    line[used++] = '"';
    line[used++] = '}';
    return used;
}

size_t es_event_json(const struct es_event *event, char *line) {
    size_t name_bytes = strnlen(event->name, ES_EVENT_NAME_BYTES - 1u);
    size_t text_bytes = strnlen(event->text, ES_WORD_BYTES_MAX);
    size_t used = (size_t)snprintf(line, ES_WORD_JSON_BYTES_MAX, "{\"event\":\"");
    used += es_text_json(line + used, event->name, name_bytes);
    used += (size_t)snprintf(line + used, 64, "\",\"at_ms\":%llu,\"text\":\"",
                             (unsigned long long)event->at_ms);
    used += es_text_json(line + used, event->text, text_bytes);
    line[used++] = '"';
    line[used++] = '}';
    return used;
}
