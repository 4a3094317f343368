#include "app/config.h"

#include "app/config_keys.h"
#include "board/board.h"
#include "platform/log.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct es_config config;
static struct es_error error;
static char text[32768];

static enum es_status read_text(const char *file_text) {
    FILE *file = fmemopen((void *)(uintptr_t)file_text, strlen(file_text), "r");
    ES_EXPECT(file != NULL);
    es_config_defaults(&config);
    enum es_status status = es_config_read_stream(&config, file, "a.conf", &error);
    (void)fclose(file);
    return status;
}

static void expect_refusal(const char *file_text, const char *part) {
    ES_EXPECT_EQ(read_text(file_text), ES_ERR_USAGE);
    ES_EXPECT_CONTAINS(error.text, part);
}

static void put(void *context, const char *piece) {
    (void)context;
    size_t used = strlen(text);
    ES_EXPECT(used + strlen(piece) < sizeof text);
    strcpy(text + used, piece);
}

static const char *printed(void) {
    text[0] = '\0';
    es_config_print(&config, put, NULL);
    return text;
}

ES_TEST("without a file the appliance hears the first microphone and writes to a pty") {
    es_config_defaults(&config);
    ES_EXPECT_TEXT(config.model, ES_DEFAULT_MODEL_DIR);
    ES_EXPECT_EQ(config.backend, ES_BACKEND_AUTO);
    ES_EXPECT_EQ(config.delay_ms, 480);
    ES_EXPECT_TEXT(config.microphone, "auto");
    ES_EXPECT_TEXT(config.uart, "pty");
    ES_EXPECT_EQ(config.baud, 115200);
    ES_EXPECT_TEXT(config.journal, "none");
    ES_EXPECT(!es_config_has(config.led) && es_config_has(config.uart));
    ES_EXPECT_TEXT(config.mute, "none");
    ES_EXPECT_EQ(config.log_level, ES_LOG_INFO);
}

ES_TEST("keys are read whatever the indentation, spaces, comments and line ends") {
    ES_EXPECT_EQ(
        read_text("\xEF\xBB\xBF# first\n  baud=57600\r\n\n\tuart = /dev/ttyUSB0 # adapter\n"
                  "microphone = hw:CARD=Mic,DEV=0 ; the good one\nled : tegra:7\n"
                  "  journal = /var/lib/a#b"),
        ES_OK);
    ES_EXPECT_EQ(config.baud, 57600);
    ES_EXPECT_TEXT(config.uart, "/dev/ttyUSB0");
    ES_EXPECT_TEXT(config.microphone, "hw:CARD=Mic,DEV=0");
    ES_EXPECT_TEXT(config.led, "tegra:7");
    ES_EXPECT_TEXT(config.journal, "/var/lib/a#b"); /* no space before the # */
}

ES_TEST("an unknown key names file, line and remedy") {
    expect_refusal("\n\nbuad = 9600\n", "a.conf:3: buad: is no key; `earshot config`");
    expect_refusal("Baud = 9600\n", "a.conf:1: Baud: is no key");
}

ES_TEST("a bad value names file, line, the value and the range") {
    expect_refusal("baud = fast\n",
                   "a.conf:1: baud: \"fast\" will not do; give bits per second: 50");
    expect_refusal("baud = 115200x\n", "\"115200x\" will not do");
    expect_refusal("baud = -1\n", "50 to 12000000");
    expect_refusal("baud = 99999999999999999999\n", "will not do");
    expect_refusal("baud =\n", "baud: \"\" will not do");
    expect_refusal("delay_ms = 500\n", "80 to 1200 in steps of 80, or 2400");
    expect_refusal("kv_window = 64\n", "128 to 1048576; 0: the model's own");
    expect_refusal("backend = gpu\n", "give auto, cpu or cuda");
    expect_refusal("# x\nuart_format = json\n", "a.conf:2: uart_format: ");
    expect_refusal("uart = \"pty\"\n", "uart: has a value in quotes; write it without them");
}

ES_TEST("a key given twice names both lines") {
    expect_refusal("baud = 9600\n\nbaud = 9600\n",
                   "a.conf:3: baud: is given twice, first in line 1; keep one of them");
    expect_refusal("uart = pty\n  uart = -\n", "given twice"); /* no continuation line */
}

ES_TEST("what is no key and value is refused with its line") {
    expect_refusal("baud\n", "a.conf:1: baud: is no `key = value`");
    expect_refusal("= 3\n", "a.conf:1: = 3: is no `key = value`");
    expect_refusal("[uart]\nbaud = 9600\n", "a.conf:1: [uart]: there are no sections");
    expect_refusal("baud = 96\x01"
                   "00\n",
                   "holds control characters");
    char line[2048];
    memset(line, 'x', sizeof line);
    memcpy(line, "uart = ", 7);
    line[300] = '\n';
    line[301] = '\0';
    expect_refusal(line, "a.conf:1: the line is too long without its comment");
    memset(line, 'x', sizeof line);
    line[sizeof line - 2] = '\n';
    line[sizeof line - 1] = '\0';
    expect_refusal(line, "a.conf:1: the line is too long");
    memcpy(line, "# a long comment", 16);
    ES_EXPECT(strlen(line) > ES_CONFIG_LINE_BYTES);
    expect_refusal(line, "a.conf:1: the line is too long");
    line[500] = '\n';
    line[501] = '\0';
    ES_EXPECT_EQ(read_text(line), ES_OK); /* a comment may be as long as a line */
}

ES_TEST("a file that is not there is bad input") {
    ES_EXPECT_EQ(es_config_read(&config, "/no/such/file", &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "/no/such/file: cannot be opened");
    ES_EXPECT_EQ(es_config_read(&config, "/", &error), ES_ERR_INPUT);
}

ES_TEST("gain is decibels or auto") {
    ES_EXPECT_EQ(read_text("gain = -6\n"), ES_OK);
    ES_EXPECT_EQ(config.gain_db, -6);
    ES_EXPECT(!config.is_gain_auto);
    ES_EXPECT_EQ(read_text("gain = auto\n"), ES_OK);
    ES_EXPECT(config.is_gain_auto);
    expect_refusal("gain = 41\n", "-40 to 40, or auto");
}

ES_TEST("--set counts after the file, and the last one wins") {
    struct es_options options = {.settings = {"baud=9600", " baud = 57600 ", "uart=-"},
                                 .setting_count = 3};
    ES_EXPECT_EQ(es_config_load(&config, &options, &error), ES_OK);
    ES_EXPECT_EQ(config.baud, 57600);
    ES_EXPECT_TEXT(config.uart, "-");
    options.settings[2] = "uart";
    ES_EXPECT_EQ(es_config_load(&config, &options, &error), ES_ERR_USAGE);
    ES_EXPECT_CONTAINS(error.text, "--set uart: is no `key=value`");
    options.settings[2] = "baud=slow";
    ES_EXPECT_EQ(es_config_load(&config, &options, &error), ES_ERR_USAGE);
    ES_EXPECT_CONTAINS(error.text, "--set baud: \"slow\" will not do");
}

ES_TEST("a value that turns out to be wrong later is blamed on its line, or on --set") {
    ES_EXPECT_EQ(read_text("# x\n\nled = 7\nmute = 11\n"), ES_OK);
    ES_EXPECT_EQ(es_config_set(&config, "mute=12", &error), ES_OK);
    (void)es_fail(&error, ES_ERR_HARDWARE, "pin 7: is taken; free it");
    ES_EXPECT_EQ(es_config_blame(&config, "led", ES_ERR_HARDWARE, &error), ES_ERR_HARDWARE);
    ES_EXPECT_TEXT(error.text, "a.conf:3: led: pin 7: is taken; free it");
    (void)es_fail(&error, ES_ERR_USAGE, "pin 12");
    ES_EXPECT_EQ(es_config_blame(&config, "mute", ES_ERR_USAGE, &error), ES_ERR_USAGE);
    ES_EXPECT_TEXT(error.text, "--set mute: pin 12");
    (void)es_fail(&error, ES_ERR_USAGE, "pty");
    ES_EXPECT_EQ(es_config_blame(&config, "uart", ES_OK, &error), ES_OK);
    ES_EXPECT_TEXT(error.text, "pty");
    ES_EXPECT_EQ(es_config_blame(&config, "uart", ES_ERR_USAGE, &error), ES_ERR_USAGE);
    ES_EXPECT_TEXT(error.text, "uart: pty"); /* a default stands in no file */
}

ES_TEST("of a path that is too long for a line its end is kept") {
    char name[300];
    char origin[200];
    memset(name, 'd', sizeof name);
    snprintf(name + 200, sizeof name - 200, "/etc/earshot.conf");
    FILE *file = fmemopen((void *)(uintptr_t) "baud = 9600\n", 12, "r");
    ES_EXPECT(file != NULL);
    es_config_defaults(&config);
    ES_EXPECT_EQ(es_config_read_stream(&config, file, name, &error), ES_OK);
    (void)fclose(file);
    es_config_origin(&config, "baud", origin, sizeof origin);
    ES_EXPECT(strlen(origin) < ES_CONFIG_ORIGIN_BYTES + 10u);
    ES_EXPECT(strncmp(origin, "...ddd", 6) == 0);
    ES_EXPECT_CONTAINS(origin, "ddd/etc/earshot.conf:1: baud");
}

ES_TEST("the sample names every board that `board` takes") {
    es_config_defaults(&config);
    for (uint32_t i = 0; es_board_at(i) != NULL; i++) {
        ES_EXPECT_CONTAINS(printed(), es_board_at(i)->name);
    }
}

/* Another value than the default, of the right kind. */
static void other_value(const struct es_config_key *key, char *value, size_t value_bytes) {
    switch (key->kind) {
    case ES_CONFIG_KIND_TEXT:
        snprintf(value, value_bytes, "/some/where");
        return;
    case ES_CONFIG_KIND_NUMBER:
        snprintf(value, value_bytes, "%u", key->max);
        return;
    case ES_CONFIG_KIND_DELAY:
        snprintf(value, value_bytes, "2400");
        return;
    case ES_CONFIG_KIND_GAIN:
        snprintf(value, value_bytes, "auto");
        return;
    case ES_CONFIG_KIND_WORD:
        snprintf(value, value_bytes, "%s",
                 strcmp(key->words[0], key->default_value) == 0 ? key->words[1] : key->words[0]);
        return;
    }
}

ES_TEST("what is printed reads back as the same configuration, for every key and value") {
    for (size_t i = 0; i < es_config_key_count; i++) {
        char value[64];
        char setting[128];
        other_value(&es_config_keys[i], value, sizeof value);
        snprintf(setting, sizeof setting, "%s=%s", es_config_keys[i].name, value);
        es_config_defaults(&config);
        ES_EXPECT_EQ(es_config_set(&config, setting, &error), ES_OK);
        struct es_config asked = config;
        static char copy[sizeof text];
        strcpy(copy, printed());
        ES_EXPECT_EQ(read_text(copy), ES_OK);
        ES_EXPECT(memcmp(&config, &asked, offsetof(struct es_config, origins)) == 0);
        snprintf(setting, sizeof setting, "\n%s = %s\n", es_config_keys[i].name, value);
        ES_EXPECT_CONTAINS(copy, setting);
    }
}

ES_TEST("the sample in the documentation is what `earshot config` prints") {
    static char sample[sizeof text];
    FILE *file = fopen(ES_SOURCE_DIR "/docs/earshot.conf", "r");
    ES_EXPECT(file != NULL);
    size_t bytes = fread(sample, 1, sizeof sample - 1, file);
    sample[bytes] = '\0';
    (void)fclose(file);
    es_config_defaults(&config);
    /* The model's place is that of the build; the sample names the one of the repository. */
    snprintf(config.model, sizeof config.model, "models/bringup");
    char *own = strstr((char *)(uintptr_t)printed(), "\nmodel = models/bringup\n");
    ES_EXPECT(own != NULL);
    ES_EXPECT_TEXT(printed(), sample);
}

ES_TEST("no line of the sample is wider than a terminal of 100 columns") {
    es_config_defaults(&config);
    snprintf(config.model, sizeof config.model, "models/bringup");
    for (const char *line = printed(); *line != '\0'; line += strcspn(line, "\n") + 1u) {
        ES_EXPECT(strcspn(line, "\n") <= 100u);
    }
}
