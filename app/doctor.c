#include "app/doctor.h"

#include "board/gpio.h"
#include "board/pad.h"
#include "platform/jetson/module.h"
#include "platform/text.h"
#include "platform/thread.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void es_doctor_start(struct es_doctor *doctor, int fd, const char *root,
                     const struct es_config *config) {
    *doctor = (struct es_doctor){.root = root, .config = config};
    es_output_init(&doctor->output, fd, "standard output");
}

void es_doctor_say(struct es_doctor *doctor, enum es_doctor_verdict verdict, const char *format,
                   ...) {
    static const char *const words[] = {"ok", "note", "FAIL"};
    char line[ES_LOG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    es_text_make_printable(line); /* names of devices and programs are anybody's */
    es_output_format(&doctor->output, "%-5s %s\n", words[verdict], line);
    doctor->check_count++;
    doctor->failed_count += verdict == ES_DOCTOR_FAIL;
    /* Each line at once: the next check may take its time. */
    enum es_status status = es_output_flush(&doctor->output, NULL);
    (void)status; /* asked again at the end */
}

void es_doctor_say_key(struct es_doctor *doctor, enum es_doctor_verdict verdict, const char *key,
                       const char *format, ...) {
    char origin[ES_CONFIG_ORIGIN_BYTES + 64u];
    char text[ES_LOG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)snprintf(origin, sizeof origin, "%s", key);
    if (verdict != ES_DOCTOR_OK) {
        es_config_origin(doctor->config, key, origin, sizeof origin);
    }
    es_doctor_say(doctor, verdict, "%s: %s", origin, text);
}

/* -- the board --------------------------------------------------------------------------------- */

static void check_power(struct es_doctor *doctor) {
    struct es_jetson_module module;
    es_jetson_module_read(&module, doctor->root);
    if (!module.is_jetson) {
        return;
    }
    const char *mode = module.power_mode[0] != '\0' ? module.power_mode : "not known";
    bool is_capped = module.emc_cap_hz > 0 && module.emc_max_hz > module.emc_cap_hz;
    bool is_gpu_capped = module.gpu_cap_hz > 0 && module.gpu_cap_hz < module.gpu_max_hz;
    if (is_capped || is_gpu_capped) {
        es_doctor_say(doctor, ES_DOCTOR_NOTE,
                      "power mode: %s caps the memory at %.0f of %.0f MHz and the GPU at %.0f of "
                      "%.0f; a faster mode by name: `nvpmodel -p --verbose`",
                      mode, (double)module.emc_cap_hz * 1e-6, (double)module.emc_max_hz * 1e-6,
                      (double)module.gpu_cap_hz * 1e-6, (double)module.gpu_max_hz * 1e-6);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "power mode: %s, module %s, GPU at up to %.0f MHz",
                      mode, module.part, (double)module.gpu_max_hz * 1e-6);
    }
}

const struct es_board *es_doctor_check_board(struct es_doctor *doctor) {
    const char *name = doctor->config->board;
    const struct es_board *board =
        strcmp(name, "auto") == 0 ? es_board_detect(doctor->root) : es_board_find(name);
    if (board == NULL) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "board",
                          "\"%s\" is not known; give auto, host, %s", name, es_board_listing());
        board = es_board_detect(doctor->root);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "board: %s (%s)", board->name, board->title);
    }
    check_power(doctor);
    return board;
}

/* -- lines ------------------------------------------------------------------------------------- */

#define LINE_COUNT 3u

struct line {
    const char *key;
    const char *value;
    bool is_output;
    struct es_gpio_pin pin;
    struct es_gpio gpio; /* open until all are: two keys may name one line */
};

/* The key before `line` that has the very same pin; NULL for none. */
static const char *twin_of(const struct line *lines, const struct line *line) {
    for (const struct line *other = lines; other < line; other++) {
        if (es_gpio_is_open(&other->gpio) && strcmp(other->pin.chip, line->pin.chip) == 0 &&
            strcmp(other->pin.line, line->pin.line) == 0) {
            return other->key;
        }
    }
    return NULL;
}

static void check_pad(struct es_doctor *doctor, const struct line *line) {
    struct es_error note;
    switch (line->is_output ? es_pad_state(doctor->root, line->gpio.line_name, &note)
                            : ES_PAD_UNKNOWN) {
    case ES_PAD_CLOSED:
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, line->key, "%s", note.text);
        return;
    case ES_PAD_HIDDEN:
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, line->key,
                          "%s line %u can be had; whether its pad is open only root sees: run "
                          "`sudo earshot doctor`",
                          line->pin.chip, line->gpio.offset);
        return;
    case ES_PAD_OPEN:
    case ES_PAD_UNKNOWN:
        break;
    }
    es_doctor_say_key(doctor, ES_DOCTOR_OK, line->key, "%s line %u", line->pin.chip,
                      line->gpio.offset);
}

static void check_line(struct es_doctor *doctor, const struct es_board *board,
                       const struct line *lines, struct line *line) {
    struct es_error error;
    if (!es_config_has(line->value)) {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, line->key, "none");
        return;
    }
    enum es_status status = es_board_pin(board, line->value, &line->pin, &error);
    const char *twin = status == ES_OK ? twin_of(lines, line) : NULL;
    if (twin != NULL) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, line->key,
                          "%s line %s is that of %s, too; give each its own", line->pin.chip,
                          line->pin.line, twin);
        return;
    }
    bool is_low = doctor->config->led_active == ES_CONFIG_LEVEL_LOW;
    line->pin.is_active_low = line->is_output && is_low; /* dark stays dark */
    if (status == ES_OK) {
        status = line->is_output
                     ? es_gpio_open_output(&line->gpio, &line->pin, false, doctor->root, &error)
                     : es_gpio_open_input(&line->gpio, &line->pin, doctor->root, &error);
    }
    if (status != ES_OK) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, line->key, "%s", error.text);
        return;
    }
    check_pad(doctor, line);
}

void es_doctor_check_lines(struct es_doctor *doctor, const struct es_board *board) {
    const struct es_config *config = doctor->config;
    struct line lines[LINE_COUNT] = {
        {.key = "led", .value = config->led, .is_output = true},
        {.key = "step_led", .value = config->step_led, .is_output = true},
        {.key = "mute", .value = config->mute, .is_output = false},
    };
    for (uint32_t i = 0; i < LINE_COUNT; i++) {
        check_line(doctor, board, lines, &lines[i]);
    }
    for (uint32_t i = 0; i < LINE_COUNT; i++) {
        es_gpio_close(&lines[i].gpio);
    }
}

/* -- threads ----------------------------------------------------------------------------------- */

static void nothing(void *context) {
    (void)context;
}

void es_doctor_check_threads(struct es_doctor *doctor) {
    static struct es_thread thread;
    struct es_error error;
    if (es_thread_start(&thread, "es-doctor", ES_CAPTURE_PRIORITY, nothing, NULL, &error) !=
        ES_OK) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "threads: %s", error.text);
        return;
    }
    es_thread_join(&thread);
    es_doctor_say(doctor, thread.is_realtime ? ES_DOCTOR_OK : ES_DOCTOR_NOTE, "real time: %s",
                  thread.is_realtime ? "the capture thread may have it" : thread.note.text);
}
