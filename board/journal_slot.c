/* journal_slot.c - a slot as bytes and back. */
#include "board/crc32c.h"
#include "board/journal_file.h"
#include "platform/assert.h"

#include <string.h>

#define MAGIC 0x4A45u /* "EJ"; another layout gets another number */
/* Without an end: the head begins with these 16 bytes. */
static const uint8_t head_name[16] = "earshot journal\n";

#define FLAG_CONTINUED 1u
#define FLAG_CONTINUATION 2u
#define NUMBER_MAX (UINT64_MAX / 4u) /* higher ones are damage, and would wrap */

static void store(uint8_t *bytes, uint64_t value, int byte_count) {
    for (int i = 0; i < byte_count; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t load(const uint8_t *bytes, int byte_count) {
    uint64_t value = 0;
    for (int i = 0; i < byte_count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

void es_journal_slot_encode(const struct es_journal_slot *slot, uint8_t *bytes) {
    ES_ASSERT(slot->text_bytes <= ES_JOURNAL_SLOT_TEXT_BYTES);
    memset(bytes, 0, ES_JOURNAL_SLOT_BYTES);
    store(bytes + 4, MAGIC, 2);
    bytes[6] = slot->kind;
    bytes[7] = (uint8_t)((slot->is_continued ? FLAG_CONTINUED : 0u) |
                         (slot->is_continuation ? FLAG_CONTINUATION : 0u));
    store(bytes + 8, slot->number, 8);
    store(bytes + 16, slot->boot_id, 8);
    store(bytes + 24, slot->monotonic_ms, 8);
    store(bytes + 32, (uint64_t)slot->unix_ms, 8);
    store(bytes + 40, slot->start_ms, 8);
    store(bytes + 48, slot->duration_ms, 4);
    bytes[52] = slot->text_bytes;
    memcpy(bytes + 56, slot->text, slot->text_bytes);
    store(bytes, es_crc32c(bytes + 4, ES_JOURNAL_SLOT_BYTES - 4u), 4);
}

bool es_journal_slot_decode(struct es_journal_slot *slot, const uint8_t *bytes) {
    if (load(bytes + 4, 2) != MAGIC ||
        load(bytes, 4) != es_crc32c(bytes + 4, ES_JOURNAL_SLOT_BYTES - 4u)) {
        return false;
    }
    slot->kind = bytes[6];
    slot->is_continued = (bytes[7] & FLAG_CONTINUED) != 0;
    slot->is_continuation = (bytes[7] & FLAG_CONTINUATION) != 0;
    slot->number = load(bytes + 8, 8);
    slot->boot_id = load(bytes + 16, 8);
    slot->monotonic_ms = load(bytes + 24, 8);
    slot->unix_ms = (int64_t)load(bytes + 32, 8);
    slot->start_ms = load(bytes + 40, 8);
    slot->duration_ms = (uint32_t)load(bytes + 48, 4);
    slot->text_bytes = bytes[52];
    if (slot->kind < ES_JOURNAL_WORD || slot->kind > ES_JOURNAL_LOST || slot->number > NUMBER_MAX ||
        slot->text_bytes > ES_JOURNAL_SLOT_TEXT_BYTES) {
        return false;
    }
    memcpy(slot->text, bytes + 56, slot->text_bytes);
    return true;
}

bool es_journal_slot_is_empty(const uint8_t *bytes) {
    for (uint32_t i = 0; i < ES_JOURNAL_SLOT_BYTES; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

uint64_t es_journal_slot_offset(uint64_t number, uint64_t slot_count) {
    return ES_JOURNAL_HEAD_BYTES + number % slot_count * ES_JOURNAL_SLOT_BYTES;
}

void es_journal_head_encode(uint64_t slot_count, uint8_t *bytes) {
    memset(bytes, 0, ES_JOURNAL_HEAD_BYTES);
    memcpy(bytes, head_name, sizeof head_name);
    store(bytes + 16, ES_JOURNAL_SLOT_BYTES, 4);
    store(bytes + 24, slot_count, 8);
    store(bytes + 32, es_crc32c(bytes, 32), 4);
}

bool es_journal_head_decode(const uint8_t *bytes, uint64_t *slot_count) {
    *slot_count = load(bytes + 24, 8);
    return memcmp(bytes, head_name, sizeof head_name) == 0 &&
           load(bytes + 16, 4) == ES_JOURNAL_SLOT_BYTES &&
           load(bytes + 32, 4) == es_crc32c(bytes, 32) && *slot_count > 0 &&
           *slot_count <= ES_JOURNAL_BYTES_MAX / ES_JOURNAL_SLOT_BYTES;
}
