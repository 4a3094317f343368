#include "engine/cuda/patience.h"
#include "tests/support/test.h"

#define TEN_SECONDS_NS 10000000000ull

ES_TEST("with nothing known of the time nobody looks") {
    struct es_patience patience = {0};
    volatile uint64_t word = 7;
    es_patience_begin(&patience);
    ES_EXPECT(!es_patience_sees(&patience, &word, 7));
}

ES_TEST("a word that is there is seen") {
    struct es_patience patience = {.usual_ns = 1000};
    volatile uint64_t word = 7;
    es_patience_begin(&patience);
    ES_EXPECT(es_patience_sees(&patience, &word, 7));
}

ES_TEST("a word that does not come is left to a wait that blocks") {
    struct es_patience patience = {.usual_ns = 1000};
    volatile uint64_t word = 6;
    es_patience_begin(&patience);
    ES_EXPECT(!es_patience_sees(&patience, &word, 7));
}

ES_TEST("a faster pace is followed at once, a slower one by an eighth") {
    struct es_patience patience = {.usual_ns = TEN_SECONDS_NS};
    es_patience_begin(&patience);
    es_patience_end(&patience);
    ES_EXPECT(patience.usual_ns < TEN_SECONDS_NS);
    patience.begin_ns -= TEN_SECONDS_NS; /* as if it had begun then */
    patience.usual_ns = 1;
    es_patience_end(&patience);
    ES_EXPECT(patience.usual_ns >= TEN_SECONDS_NS / 8u);
    ES_EXPECT(patience.usual_ns < TEN_SECONDS_NS / 2u);
}
