#include "app/appliance.h"

#include "app/commands.h"
#include "board/board.h"
#include "platform/clock.h"
#include "platform/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull

/* -- what the engine and the control plane say ------------------------------------------------- */

static void on_piece(void *context, const char *text, uint32_t text_bytes, uint64_t end_ms) {
    struct es_appliance *appliance = context;
    if (appliance->has_console) {
        es_console_piece(&appliance->console, text, text_bytes, end_ms);
    }
}

static void on_word(void *context, const struct es_word *word) {
    struct es_appliance *appliance = context;
    if (appliance->has_console) {
        es_console_word(&appliance->console, word);
    }
    if (appliance->has_journal) {
        es_journal_word(&appliance->journal, word);
    }
}

static void tell(struct es_appliance *appliance, enum es_lane lane, const struct es_event *event) {
    if (appliance->has_console) {
        es_console_event(&appliance->console, lane, event);
    }
    if (appliance->has_journal) {
        es_journal_event(&appliance->journal, lane, event);
    }
}

static void on_event(void *context, const struct es_event *event) {
    tell(context, ES_LANE_ENGINE, event);
}

void es_appliance_tell(struct es_appliance *appliance, const char *name, const char *format, ...) {
    char text[ES_WORD_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int64_t at_ms = (int64_t)appliance->now.boot_ms - appliance->recording_base_ms;
    struct es_event event = {.name = name, .text = text, .at_ms = at_ms > 0 ? (uint64_t)at_ms : 0};
    tell(appliance, ES_LANE_CONTROL, &event);
}

/* -- the stages -------------------------------------------------------------------------------- */

struct layouts {
    struct es_capture_layout capture;
    struct es_console_layout console;
    struct es_journal_layout journal;
};

struct es_boot_options es_appliance_boot_options(const struct es_config *config,
                                                 double memory_bytes_per_s) {
    return (struct es_boot_options){.model_directory = config->model,
                                    .thread_count = config->threads,
                                    .encode_positions_max = ES_LIVE_POSITIONS_MAX,
                                    .backend = (enum es_backend_choice)config->backend,
                                    .kv_memory = (enum es_kv_memory)config->kv_memory,
                                    .kv_window = config->kv_window,
                                    .delay_positions = config->delay_ms / ES_POSITION_MS,
                                    .memory_bytes_per_s = memory_bytes_per_s};
}

struct es_card_want es_appliance_card_want(const struct es_config *config) {
    return (struct es_card_want){
        .name = strcmp(config->microphone, "auto") == 0 ? NULL : config->microphone,
        .channel_count_min = config->channel,
    };
}

enum es_status es_appliance_blame_boot(const struct es_config *config, enum es_status status,
                                       struct es_error *error) {
    switch (status) {
    case ES_ERR_USAGE:
        return es_config_blame(config, "kv_window", status, error);
    case ES_ERR_INPUT:
        return es_config_blame(config, "model", status, error);
    default:
        return status; /* the machine's, and no key's */
    }
}

static enum es_status plan(struct es_appliance *appliance, const struct es_board *board,
                           struct layouts *layouts, struct es_error *error) {
    const struct es_config *config = appliance->options.config;
    struct es_boot_options boot = es_appliance_boot_options(
        config, es_memory_bytes_per_s_now(board, appliance->options.root));
    boot.leaves_unfrozen = true;
    enum es_status status = es_backend_check(boot.backend, error);
    if (status != ES_OK) {
        return es_config_blame(config, "backend", status, error);
    }
    status = es_boot_plan(&appliance->boot, &boot, error);
    if (status != ES_OK) {
        return es_appliance_blame_boot(config, status, error);
    }
    struct es_error slow;
    if (appliance->boot.backends.cuda != NULL &&
        es_forecast_check(&appliance->boot.forecast, board->title, &slow) != ES_OK) {
        es_log(ES_LOG_WARNING, "%s", slow.text);
    }
    es_capture_layout(&appliance->boot.plan, &layouts->capture);
    if (appliance->has_console) {
        es_console_layout(&appliance->boot.plan, &layouts->console);
    }
    if (appliance->has_journal) {
        es_journal_layout(&appliance->boot.plan, &layouts->journal);
    }
    return ES_OK;
}

static enum es_status lock(const struct es_appliance *appliance, struct es_error *error) {
    const struct es_boot *boot = &appliance->boot;
    if (boot->is_locked) {
        return ES_OK;
    }
    struct es_error line;
    enum es_status status =
        es_fail(&line, ES_ERR_HARDWARE,
                "memory is not locked: the limit is below the plan's %zu MiB, so that it may be "
                "swapped out; raise it with `ulimit -l unlimited` (in a unit: "
                "LimitMEMLOCK=infinity)",
                boot->arena.reserved_bytes[ES_MEM_HOST] >> 20);
    if (appliance->options.config->must_lock) {
        *error = line;
        return es_config_blame(appliance->options.config, "must_lock", status, error);
    }
    es_log(ES_LOG_WARNING, "%s", line.text);
    return ES_OK;
}

static enum es_status open_console(struct es_appliance *appliance, const struct es_board *board,
                                   const struct layouts *layouts, struct es_error *error) {
    const struct es_config *config = appliance->options.config;
    struct es_console_config console = {
        .mode = config->uart_format == ES_CONFIG_JSONL ? ES_CONSOLE_JSONL : ES_CONSOLE_TEXT,
        .takes_pieces = true,
        .is_ascii = config->uart_format == ES_CONFIG_ASCII,
        .pause_ms = config->pause_ms,
        .uart = {.baud = config->baud,
                 .is_shared = config->uart_shared != 0,
                 .root = appliance->options.root},
    };
    const char *device;
    enum es_status status = es_board_uart(board, config->uart, &device, error);
    if (status == ES_OK) {
        (void)snprintf(console.uart.device, sizeof console.uart.device, "%s", device);
        status = es_console_init(&appliance->console, &console, &layouts->console,
                                 &appliance->boot.arena, error);
    }
    if (status == ES_OK) {
        status = es_console_start(&appliance->console, error);
    }
    return es_config_blame(config, "uart", status, error);
}

static enum es_status open_journal(struct es_appliance *appliance, const struct layouts *layouts,
                                   struct es_error *error) {
    const struct es_config *config = appliance->options.config;
    struct es_journal_config journal = {.file_bytes = (uint64_t)config->journal_mib << 20,
                                        .sync_ms = ES_JOURNAL_SYNC_MS,
                                        .boot_id = appliance->boot_id};
    (void)snprintf(journal.path, sizeof journal.path, "%s", config->journal);
    es_journal_init(&appliance->journal, &journal, &layouts->journal, &appliance->boot.arena);
    struct es_error trouble;
    enum es_status status = es_config_blame(
        config, "journal", es_journal_start(&appliance->journal, &trouble), &trouble);
    if (status == ES_ERR_OUTPUT) {
        /* A full or read-only disk must not take the transcript with it. */
        es_log(ES_LOG_ERROR, "no journal is kept yet: %s; it is tried again every %u s",
               trouble.text, ES_JOURNAL_RETRY_MS / 1000u);
        es_appliance_tell(appliance, "journal", "%s", trouble.text);
        return ES_OK;
    }
    appliance->has_journal = status == ES_OK;
    if (status != ES_OK) {
        *error = trouble;
    }
    return status;
}

static enum es_status open_capture(struct es_appliance *appliance, const struct layouts *layouts,
                                   struct es_error *error) {
    const struct es_config *config = appliance->options.config;
    enum es_gain_mode mode = config->is_gain_auto   ? ES_GAIN_AUTO
                             : config->gain_db != 0 ? ES_GAIN_FIXED
                                                    : ES_GAIN_OFF;
    struct es_capture_config capture = {
        .card = appliance->options.card,
        .want = es_appliance_card_want(config),
        .channel = config->channel,
        .gain = {.mode = mode, .fixed_db = (float)config->gain_db},
        .is_muted = true, /* until the switch has settled */
    };
    es_capture_init(&appliance->capture, &capture, &layouts->capture, &appliance->boot.arena);
    struct es_live_config live = {
        .capture = appliance->capture,
        .pipeline = &appliance->boot.pipeline,
        .tokenizer = &appliance->boot.tokenizer,
        .delay_positions = config->delay_ms / ES_POSITION_MS,
        .cadence_positions = config->encoder_cadence > 0
                                 ? 1u << (config->encoder_cadence - 1u)
                                 : es_forecast_cadence(&appliance->boot.forecast),
        .blank_guard = config->blank_guard != 0,
        .sink = {.on_piece = on_piece,
                 .on_word = on_word,
                 .on_event = on_event,
                 .context = appliance},
    };
    enum es_status status = es_live_init(&appliance->live, &live, error);
    return status == ES_OK ? es_live_start(&appliance->live, error) : status;
}

static enum es_status load(struct es_appliance *appliance, const struct es_board *board,
                           struct es_error *error) {
    struct layouts layouts;
    enum es_status status = plan(appliance, board, &layouts, error);
    if (status == ES_OK) {
        atomic_store(&appliance->loading.is_reading_model, true);
        status = es_appliance_blame_boot(appliance->options.config,
                                         es_boot_start(&appliance->boot, error), error);
    }
    if (status == ES_OK) {
        status = lock(appliance, error);
    }
    if (status == ES_OK && appliance->has_console) {
        appliance->has_console = false; /* until it is there */
        status = open_console(appliance, board, &layouts, error);
        appliance->has_console = status == ES_OK;
    }
    if (status == ES_OK && appliance->has_journal) {
        status = open_journal(appliance, &layouts, error);
    }
    return status == ES_OK ? open_capture(appliance, &layouts, error) : status;
}

static enum es_status open_all(struct es_appliance *appliance, struct es_error *error) {
    const struct es_board *board;
    enum es_status status = es_appliance_find_board(appliance, &board, error);
    if (status == ES_OK) {
        status = es_appliance_open_leds(appliance, board, error);
    }
    if (status == ES_OK) {
        status = es_appliance_open_mute(appliance, board, error);
    }
    if (status == ES_OK) {
        status = es_appliance_begin_loading(appliance, error);
    }
    if (status == ES_OK) {
        status = load(appliance, board, error);
    }
    es_appliance_end_loading(appliance);
    if (status == ES_OK) {
        es_capture_set_muted(appliance->capture, es_appliance_settled_switch(appliance));
        status = es_capture_start(appliance->capture, error);
    }
    return status;
}

/* The card is asked for the first time before the freeze: what libraries take for it (alsa-lib, the
 * resampler) is boot's, and READY finds the microphone's state known. A card that keeps one waiting
 * is not waited for long. */
static void await_first_look(struct es_appliance *appliance) {
    const uint64_t end_ns = es_clock_ns() + ES_CARD_FIRST_LOOK_MS * 1000000ull;
    for (;;) {
        es_capture_report(appliance->capture, &appliance->capture_report);
        if (appliance->capture_report.turn_count > 0 || es_clock_ns() >= end_ns) {
            return;
        }
        es_clock_sleep_until(es_clock_ns() + 1000000u);
    }
}

enum es_status es_appliance_open(struct es_appliance *appliance,
                                 const struct es_appliance_options *options,
                                 struct es_error *error) {
    memset(appliance, 0, sizeof *appliance);
    appliance->options = *options;
    appliance->has_console = es_config_has(options->config->uart);
    appliance->has_journal = es_config_has(options->config->journal);
    appliance->boot_id = es_journal_boot_id(options->root);
    appliance->machine = es_state_start();
    es_appliance_read_clock(appliance);
    enum es_status status = es_notify_open(&appliance->notify, options->notify_socket,
                                           options->watchdog_us, options->watchdog_pid, error);
    if (status == ES_OK) {
        status = open_all(appliance, error);
    }
    if (status != ES_OK) {
        struct es_error ignored;
        enum es_status closed = es_appliance_close(appliance, &ignored);
        (void)closed;
        return status;
    }
    es_appliance_read_clock(appliance);
    appliance->recording_base_ms = (int64_t)appliance->now.boot_ms;
    es_supervisor_start(&appliance->supervisor, appliance->notify.watchdog_us,
                        appliance->now.monotonic_ms);
    appliance->said.status_ms = appliance->now.monotonic_ms; /* rates count from here */
    if (!appliance->now.is_synchronised) {
        es_appliance_tell(appliance, "clock",
                          "not synchronised; times count from the start (boot %016llx)",
                          (unsigned long long)appliance->boot_id);
    }
    await_first_look(appliance);
    if (appliance->capture_report.realtime_note.text[0] != '\0') {
        es_log(ES_LOG_WARNING, "%s", appliance->capture_report.realtime_note.text);
    }
    if (appliance->leds.note.text[0] != '\0') {
        es_log(ES_LOG_WARNING, "led: %s", appliance->leds.note.text);
    }
    es_freeze();
    es_notify_send(&appliance->notify, "READY=1");
    return ES_OK;
}

/* A thread that hangs keeps its memory and what it has open: nothing of it may be given back. */
static enum es_status abandon(struct es_appliance *appliance, const char *who,
                              struct es_error *error) {
    appliance->is_abandoned = true;
    return es_fail(error, ES_ERR_HARDWARE,
                   "the %s does not end, %u ms after it should have; the process ends without it",
                   who, ES_STOP_GRACE_MS);
}

enum es_status es_appliance_close(struct es_appliance *appliance, struct es_error *error) {
    es_notify_send(&appliance->notify, "STOPPING=1");
    enum es_status status = ES_OK;
    if (appliance->live.thread.is_started) {
        const uint64_t deadline_ns = es_clock_ns() + ES_STOP_FINISH_MS * NS_PER_MS;
        if (es_live_stop(&appliance->live, deadline_ns)) {
            es_live_report(&appliance->live, &appliance->live_report);
            status = appliance->live_report.status;
            *error = appliance->live_report.error;
        } else {
            status = abandon(appliance, "engine", error);
        }
    }
    if (appliance->has_console && !es_console_stop(&appliance->console, ES_STOP_DRAIN_MS)) {
        status = abandon(appliance, "serial line", error);
    }
    if (appliance->capture != NULL && !es_capture_stop(appliance->capture)) {
        status = abandon(appliance, "sound driver", error);
    }
    if (appliance->has_journal && !es_journal_stop(&appliance->journal)) {
        status = abandon(appliance, "journal's disk", error);
    }
    if (appliance->has_mute) {
        es_mute_close(&appliance->mute);
    }
    if (appliance->has_leds) {
        es_leds_close(&appliance->leds);
    }
    es_notify_close(&appliance->notify);
    if (!appliance->is_abandoned) {
        es_boot_stop(&appliance->boot);
    }
    return status;
}
