#include "app/doctor.h"

#include "tests/board_unit/fake_gpio.h"
#include "tests/support/fake_card.h"
#include "tests/support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define S 1000000000ull
#define TEGRA "tegra234-gpio"

static struct es_doctor doctor;
static struct es_config config;
static struct es_error error;
static struct es_fake_card fake;
static char said[8192];

static void take(void *context, const char *bytes, size_t byte_count) {
    (void)context;
    size_t used = strlen(said);
    ES_EXPECT(used + byte_count < sizeof said);
    memcpy(said + used, bytes, byte_count);
    said[used + byte_count] = '\0';
}

static void start(const char *const *settings, const char *root) {
    es_config_defaults(&config);
    for (; *settings != NULL; settings++) {
        ES_EXPECT_EQ(es_config_set(&config, *settings, &error), ES_OK);
    }
    said[0] = '\0';
    es_doctor_start(&doctor, -1, root, &config);
    es_output_init_sink(&doctor.output, take, NULL);
}

/* -- the microphone ---------------------------------------------------------------------------- */

static double speech(uint64_t frame) {
    return 0.1 * sin((double)frame * 0.05);
}

static double shout(uint64_t frame) {
    return frame % 100u < 50u ? 32767.0 / 32768.0 : -1.0;
}

static void plug(uint32_t channel_count, double (*source)(uint64_t frame)) {
    struct es_card_setup setup = es_fake_setup(48000, channel_count, ES_SAMPLE_S16);
    es_fake_card_init(&fake, &setup);
    fake.source = source;
}

static void hear(const char *setting) {
    const char *const settings[] = {setting, NULL};
    start(settings, "");
    es_doctor_check_microphone(&doctor, &fake.base);
    ES_EXPECT_EQ(fake.open_count, fake.close_count);
    es_test_note("%s", said);
}

ES_TEST("a second of the microphone is heard: its rate, peak and RMS are told") {
    plug(2, speech);
    hear("channel=0");
    ES_EXPECT_EQ(doctor.failed_count, 0);
    ES_EXPECT_CONTAINS(said, "ok    microphone: ");
    ES_EXPECT_CONTAINS(said, "48000 Hz (4");
    ES_EXPECT_CONTAINS(said, "peak -20.0 dB, RMS -23.0 dB");
    ES_EXPECT(fake.now_ns > S && fake.now_ns < 2 * S);
}

ES_TEST("a microphone that clips, and one that gives a single number, are told with what to do") {
    plug(1, shout);
    hear("channel=0");
    ES_EXPECT_CONTAINS(said, "note  microphone: ");
    ES_EXPECT_CONTAINS(said, "frames are clipped: lower its capture volume");
    plug(1, speech);
    es_fake_card_add(&fake,
                     (struct es_fake_fault){.at_ns = 0, .length_ns = 10 * S, .kind = ES_FAKE_FLAT});
    hear("channel=0");
    ES_EXPECT_CONTAINS(said, "note  microphone: ");
    ES_EXPECT_CONTAINS(said, "peak -200.0 dB, RMS -200.0 dB: nothing but one number");
}

ES_TEST("a microphone that opens and is deaf, or goes, does not pass") {
    static const struct {
        enum es_fake_kind kind;
        uint64_t at_ns;
        const char *says;
    } cases[] = {
        {ES_FAKE_STUCK, 0, "opens and delivers nothing; plug it in again"},
        {ES_FAKE_UNPLUG, S / 2, "went away while it was heard"},
        {ES_FAKE_STOP, S / 2, "stops by itself"},
        {ES_FAKE_NO_START, 0, "; "},
        {ES_FAKE_BUSY, 0, "; "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plug(1, speech);
        es_fake_card_add(&fake, (struct es_fake_fault){.at_ns = cases[i].at_ns,
                                                       .length_ns = 60 * S,
                                                       .kind = cases[i].kind});
        hear("channel=0");
        ES_EXPECT_EQ(doctor.failed_count, 1);
        ES_EXPECT_CONTAINS(said, "FAIL  microphone: ");
        ES_EXPECT_CONTAINS(said, cases[i].says);
    }
}

ES_TEST("a channel that the microphone does not have does not pass") {
    plug(2, speech);
    hear("channel=2");
    ES_EXPECT_EQ(doctor.failed_count, 0);
    hear("channel=3");
    ES_EXPECT_EQ(doctor.failed_count, 1);
    ES_EXPECT_CONTAINS(said, "FAIL  --set channel: ");
    ES_EXPECT_CONTAINS(said, "has 2; give 1 to 2, or 0 for all");
}

/* -- lines ------------------------------------------------------------------------------------- */

static void check_lines(const char *const *settings) {
    start(settings, fake_gpio_root());
    es_doctor_check_lines(&doctor, es_board_find("orin-nano-8gb"));
    ES_EXPECT_EQ(fake_gpio_held_count(), 0);
    es_test_note("%s", said);
}

static void add_chip(void) {
    fake_gpio_reset();
    (void)fake_gpio_add(TEGRA, 164);
}

ES_TEST("two keys that name one line do not pass, in whatever words") {
    add_chip();
    const char *const same[] = {"led=7", "mute=" TEGRA ":144", NULL};
    check_lines(same);
    ES_EXPECT_EQ(doctor.failed_count, 1);
    ES_EXPECT_CONTAINS(said, "FAIL  --set mute: " TEGRA " line 144 is that of led, too; give each");
    const char *const renamed[] = {"led=7", "step_led=gpiochip0:144", NULL};
    check_lines(renamed);
    ES_EXPECT_EQ(doctor.failed_count, 1);
    ES_EXPECT_CONTAINS(said, "FAIL  --set step_led: gpio gpiochip0 line 144: is in use");
    const char *const apart[] = {"led=7", "step_led=11", "mute=12", NULL};
    check_lines(apart);
    ES_EXPECT_EQ(doctor.failed_count, 0);
}

ES_TEST("a LED that a low level lights stays dark while its line is looked at") {
    add_chip();
    fake_gpio_line(TEGRA, 144)->level = true;
    const char *const low[] = {"led=7", "led_active=low", NULL};
    check_lines(low);
    ES_EXPECT_EQ(doctor.failed_count, 0);
    ES_EXPECT(fake_gpio_line(TEGRA, 144)->is_active_low);
    ES_EXPECT(fake_gpio_line(TEGRA, 144)->level);
}

ES_TEST("a pad that only root can see is a note that says so, and not ok") {
    add_chip();
    (void)snprintf(fake_gpio_line(TEGRA, 144)->name, ES_GPIO_NAME_BYTES, "PAC.06");
    const char *const led[] = {"led=7", NULL};
    check_lines(led); /* the root has no debugfs */
    ES_EXPECT_CONTAINS(said,
                       "note  --set led: " TEGRA " line 144 can be had; whether its pad is open");
    ES_EXPECT_CONTAINS(said, "run `sudo earshot doctor`");
}
