#include "audio/card_alsa.h"
#include "tests/support/test.h"

/* Built with card_none.c itself, whatever the program has. */
ES_TEST("a program without ALSA says so, and how to get it") {
    static struct es_card_alsa memory;
    struct es_card *card = es_card_alsa(&memory);
    const struct es_card_want want = {.name = NULL};
    struct es_card_setup setup;
    struct es_error error;
    ES_EXPECT_EQ(card->ops->open(card, &want, &setup, &error), ES_CARD_UNUSABLE);
    ES_EXPECT_CONTAINS(error.text, "built without ALSA");
    ES_EXPECT_CONTAINS(error.text, "libasound2-dev");
    ES_EXPECT_EQ(es_card_list(NULL, NULL, &error), 0);
    ES_EXPECT_CONTAINS(error.text, "built without ALSA");
    ES_EXPECT(card->ops->now_ns(card) > 0);
    card->ops->sleep_until(card, 0);
}
