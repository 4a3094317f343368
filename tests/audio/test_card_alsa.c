#include "audio/card_alsa.h"
#include "audio/convert.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_COUNT 6000u

static struct es_card_alsa memory;
static struct es_card *card;
static struct es_card_setup setup;
static struct es_error error;
static int32_t recording[FRAME_COUNT];

/* A configuration of alsa-lib's own with no hardware in it: a card that reads a file. It does not
 * pace, and its position is always a full buffer ahead; what it shows is that formats, thresholds
 * and frames go through the library as they should. */
static void configure(void) {
    char path[512], raw[512], text[1024];
    (void)snprintf(raw, sizeof raw, "%s/recording.raw", es_test_directory());
    (void)snprintf(path, sizeof path, "%s/asound.conf", es_test_directory());
    (void)snprintf(text, sizeof text,
                   "pcm.recording { type file slave.pcm quiet file /dev/null infile \"%s\" "
                   "format raw }\npcm.quiet { type null }\n"
                   "pcm.mono { type multi slaves.a { pcm quiet channels 1 } "
                   "bindings.0 { slave a channel 0 } }\n",
                   raw);
    for (uint32_t i = 0; i < FRAME_COUNT; i++) {
        recording[i] = (int32_t)(i * 300007u * 256u);
    }
    FILE *file = fopen(raw, "wb");
    ES_EXPECT(file != NULL);
    ES_EXPECT_EQ(fwrite(recording, sizeof recording, 1, file), 1);
    (void)fclose(file);
    file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    (void)fputs(text, file);
    (void)fclose(file);
    ES_EXPECT_EQ(setenv("ALSA_CONFIG_PATH", path, 1), 0);
    card = es_card_alsa(&memory);
}

static enum es_card_result open_card(const struct es_card_want *want) {
    configure();
    memset(&error, 0, sizeof error);
    return card->ops->open(card, want, &setup, &error);
}

ES_TEST("a card opens at its own rate, with a period of 10 ms and a buffer of half a second") {
    const struct es_card_want want = {.name = "recording"};
    ES_EXPECT_EQ(open_card(&want), ES_CARD_OK);
    ES_EXPECT_EQ(setup.rate, 48000);
    ES_EXPECT_EQ(setup.channel_count, 1);
    ES_EXPECT_EQ(setup.format, ES_SAMPLE_S32);
    ES_EXPECT_EQ(setup.period_frames, 480);
    ES_EXPECT_EQ(setup.buffer_frames, 24000);
    ES_EXPECT_TEXT(setup.name, "recording");
    card->ops->close(card);
}

ES_TEST("the frames are the recording's") {
    const struct es_card_want want = {.name = "recording"};
    ES_EXPECT_EQ(open_card(&want), ES_CARD_OK);
    ES_EXPECT_EQ(card->ops->start(card), 0);
    ES_EXPECT_EQ(card->ops->wait(card, 100), 1);
    ES_EXPECT(card->ops->avail(card) > 0);
    static int32_t frames[1000];
    for (uint32_t done = 0; done < 5000; done += 1000) {
        ES_EXPECT_EQ(card->ops->read(card, frames, 1000), 1000);
        ES_EXPECT(memcmp(frames, recording + done, sizeof frames) == 0);
    }
    card->ops->close(card);
}

ES_TEST("what is wanted is given, or refused with what there is") {
    const struct es_card_want want = {.name = "recording",
                                      .rate = 44100,
                                      .channel_count = 2,
                                      .period_us = 20000,
                                      .buffer_us = 1000000};
    ES_EXPECT_EQ(open_card(&want), ES_CARD_OK);
    ES_EXPECT_EQ(setup.rate, 44100);
    ES_EXPECT_EQ(setup.channel_count, 2);
    ES_EXPECT_EQ(setup.period_frames, 882);
    ES_EXPECT_EQ(setup.buffer_frames, 44100);
    card->ops->close(card);
    const struct es_card_want fast = {.name = "recording", .rate = 4000000};
    ES_EXPECT_EQ(open_card(&fast), ES_CARD_UNUSABLE);
    ES_EXPECT_CONTAINS(error.text, "4000000 Hz");
    const struct es_card_want many = {.name = "recording", .channel_count = 1000};
    ES_EXPECT_EQ(open_card(&many), ES_CARD_UNUSABLE);
    ES_EXPECT_CONTAINS(error.text, "1000 channels");
}

ES_TEST("channel 2 of a card is heard: as many channels as that are asked for") {
    struct es_card_want want = {.name = "recording", .channel_count_min = 2};
    ES_EXPECT_EQ(open_card(&want), ES_CARD_OK);
    ES_EXPECT_EQ(setup.channel_count, 2);
    card->ops->close(card);
    want.channel_count_min = 1;
    ES_EXPECT_EQ(open_card(&want), ES_CARD_OK);
    ES_EXPECT_EQ(setup.channel_count, 1);
    card->ops->close(card);
}

ES_TEST("a channel that a card does not have is refused with those that it has") {
    const struct es_card_want want = {.name = "mono", .channel_count_min = 3};
    ES_EXPECT_EQ(open_card(&want), ES_CARD_UNUSABLE);
    ES_EXPECT_CONTAINS(error.text, "channel 3 is wanted and it has 1; give 1 to 1, or 0 for all");
}

ES_TEST("a card that nothing has is absent, by its name, with the remedy, and on no other stream") {
    static const char *const names[] = {"USB PnP", "Nothing,1", "Nothing,x", "hw:CARD=Nothing",
                                        "hw:31,0"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct es_card_want want = {.name = names[i]};
        const enum es_card_result result = open_card(&want);
        ES_EXPECT(result == ES_CARD_ABSENT || result == ES_CARD_UNUSABLE);
        ES_EXPECT_CONTAINS(error.text, names[i]);
        ES_EXPECT(memory.pcm == NULL);
        es_test_note("%s", error.text);
    }
}

static void count_entry(void *context, const struct es_card_entry *entry) {
    int *count = context;
    (*count)++;
    es_test_note("%s: %s, %u to %u Hz, %u to %u channels, %s%s", entry->id, entry->name,
                 entry->rate_min, entry->rate_max, entry->channel_min, entry->channel_max,
                 entry->formats, entry->trouble);
    ES_EXPECT(entry->id[0] != '\0');
}

ES_TEST("the list visits as many cards as it says, or says why there is none") {
    int count = 0;
    memset(&error, 0, sizeof error);
    ES_EXPECT_EQ(es_card_list(count_entry, &count, &error), count);
    if (count == 0) {
        ES_EXPECT_CONTAINS(error.text, "sound cards: ");
        es_test_note("%s", error.text);
    }
}

ES_TEST("the card's clock counts on, and a sleep ends behind its deadline") {
    configure();
    const uint64_t start_ns = card->ops->now_ns(card);
    card->ops->sleep_until(card, start_ns + 1000000);
    ES_EXPECT(card->ops->now_ns(card) >= start_ns + 1000000);
}
