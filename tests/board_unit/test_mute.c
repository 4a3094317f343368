#include "board/mute.h"

#include "tests/board_unit/fake_gpio.h"
#include "tests/support/test.h"

static struct es_error error;

/* One reading each millisecond, 'm' muted and '.' may listen; returns the verdicts as M and L. */
static const char *through(const char *readings, uint32_t unmute_ms) {
    static char verdicts[256];
    struct es_debounce debounce = es_debounce_start(unmute_ms);
    size_t i = 0;
    for (; readings[i] != '\0'; i++) {
        debounce = es_debounce_next(debounce, readings[i] == 'm', 1000 + i);
        verdicts[i] = debounce.is_muted ? 'M' : 'L';
    }
    verdicts[i] = '\0';
    return verdicts;
}

ES_TEST("it starts muted, until the line has said otherwise for long enough") {
    ES_EXPECT_TEXT(through("......", 4), "MMMMLL");
    ES_EXPECT_TEXT(through("mmmmmm", 4), "MMMMMM");
}

ES_TEST("muted is believed at once, and bounces never let a sound through") {
    ES_EXPECT_TEXT(through("......m.m..m.mmmm", 4), "MMMMLLMMMMMMMMMMM");
    ES_EXPECT_TEXT(through("......m...m...m...m", 4), "MMMMLLMMMMMMMMMMMMM");
}

ES_TEST("listening needs an unbroken time: each bounce begins it again") {
    ES_EXPECT_TEXT(through("mmm.m..m...m......", 4), "MMMMMMMMMMMMMMMMLL");
}

ES_TEST("a glitch of one reading mutes for the time of unmuting, and no longer") {
    ES_EXPECT_TEXT(through("......m......", 4), "MMMMLLMMMMMLL");
}

ES_TEST("without debouncing the line is followed as it is") {
    ES_EXPECT_TEXT(through("m..m.", 0), "MLLML");
}

static void open_switch(struct es_mute *mute, bool is_muted_low) {
    fake_gpio_reset();
    fake_gpio_add("tegra234-gpio", 8);
    struct es_mute_config config = {.has_switch = true,
                                    .is_muted_low = is_muted_low,
                                    .unmute_ms = 40,
                                    .root = fake_gpio_root()};
    ES_EXPECT_EQ(es_gpio_pin_parse(&config.pin, "tegra234-gpio:3", &error), ES_OK);
    ES_EXPECT_EQ(es_mute_open(mute, &config, &error), ES_OK);
}

/* The verdict after the level has stood for long enough. */
static bool settled(struct es_mute *mute, uint64_t *now_ms) {
    bool is_muted = true;
    for (int i = 0; i < 10; i++) {
        *now_ms += ES_MUTE_POLL_MS;
        is_muted = es_mute_poll(mute, *now_ms);
    }
    return is_muted;
}

ES_TEST("a cut wire means muted: whichever level is muted, the bias pulls there") {
    for (int low = 0; low < 2; low++) {
        struct es_mute mute;
        uint64_t now_ms = 1000;
        open_switch(&mute, low == 1);
        struct fake_line *line = fake_gpio_line("tegra234-gpio", 3);
        ES_EXPECT_EQ(line->bias, low == 1 ? ES_GPIO_BIAS_PULL_DOWN : ES_GPIO_BIAS_PULL_UP);
        line->is_driven = true;
        line->level = low == 1; /* the switch is closed: may listen */
        ES_EXPECT(!settled(&mute, &now_ms));
        line->is_driven = false; /* cut: the bias decides */
        ES_EXPECT(es_mute_poll(&mute, now_ms + ES_MUTE_POLL_MS));
        es_mute_close(&mute);
    }
}

ES_TEST("a line that cannot be read is muted, and says why") {
    struct es_mute mute;
    uint64_t now_ms = 1000;
    open_switch(&mute, false);
    struct fake_line *line = fake_gpio_line("tegra234-gpio", 3);
    line->is_driven = true;
    line->level = false;
    ES_EXPECT(!settled(&mute, &now_ms));
    line->failure = 5; /* EIO */
    ES_EXPECT(es_mute_poll(&mute, now_ms + ES_MUTE_POLL_MS));
    ES_EXPECT(mute.is_unreadable);
    ES_EXPECT_CONTAINS(mute.failure.text, "tegra234-gpio line 3");
    line->failure = 0;
    ES_EXPECT(!settled(&mute, &now_ms));
    ES_EXPECT_EQ(mute.change_count, 3);
    es_mute_close(&mute);
}

ES_TEST("it is settling from the first reading that says so until it is believed") {
    struct es_mute mute;
    uint64_t now_ms = 1000;
    open_switch(&mute, false);
    struct fake_line *line = fake_gpio_line("tegra234-gpio", 3);
    line->is_driven = true;
    line->level = true;
    ES_EXPECT(es_mute_poll(&mute, now_ms) && !es_mute_is_settling(&mute));
    line->level = false;
    ES_EXPECT(es_mute_poll(&mute, now_ms + 20) && es_mute_is_settling(&mute));
    ES_EXPECT(!es_mute_poll(&mute, now_ms + 60) && !es_mute_is_settling(&mute));
    es_mute_close(&mute);
}

ES_TEST("a chip without bias is used all the same: the resistor outside counts") {
    struct es_mute mute;
    struct es_mute_config config = {.has_switch = true, .unmute_ms = 40, .root = fake_gpio_root()};
    fake_gpio_reset();
    fake_gpio_add("pl061", 8)->has_no_bias = true;
    ES_EXPECT_EQ(es_gpio_pin_parse(&config.pin, "pl061:3", &error), ES_OK);
    ES_EXPECT_EQ(es_mute_open(&mute, &config, &error), ES_OK);
    ES_EXPECT_EQ(fake_gpio_line("pl061", 3)->bias, ES_GPIO_BIAS_AS_IS);
    es_mute_close(&mute);
}

ES_TEST(
    "a switch that was configured and cannot be had is an error, and no switch is never muted") {
    struct es_mute mute;
    struct es_mute_config config = {.has_switch = true, .unmute_ms = 40, .root = fake_gpio_root()};
    fake_gpio_reset();
    fake_gpio_add("pl061", 8);
    ES_EXPECT_EQ(es_gpio_pin_parse(&config.pin, "tegra234-gpio:3", &error), ES_OK);
    ES_EXPECT_EQ(es_mute_open(&mute, &config, &error), ES_ERR_HARDWARE);
    ES_EXPECT_CONTAINS(error.text, "there are: pl061");
    config.has_switch = false;
    ES_EXPECT_EQ(es_mute_open(&mute, &config, &error), ES_OK);
    ES_EXPECT(!es_mute_poll(&mute, 1));
    es_mute_close(&mute);
}
