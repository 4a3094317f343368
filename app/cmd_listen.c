#include "app/appliance.h"
#include "app/commands.h"
#include "app/fault.h"
#include "app/interrupt.h"
#include "audio/card_alsa.h"
#include "board/led.h"
#include "platform/clock.h"
#include "platform/log.h"

#include <stdlib.h>
#include <unistd.h>

static struct es_config config;
static struct es_card_alsa alsa;
static struct es_appliance appliance;

static void say_hangup(void) {
    if (es_interrupt_take_hangup()) {
        es_log(ES_LOG_INFO, "SIGHUP is ignored: the configuration is read once, at start; restart "
                            "the service to read it again");
    }
}

static void say_end(void) {
    const struct es_live_report *live = &appliance.live_report;
    uint64_t lost_bytes =
        appliance.has_console ? es_console_counters(&appliance.console).lost_bytes : 0;
    es_log(ES_LOG_INFO,
           "end: %llu words, %llu steps, %llu gaps, %llu ms of recording, %llu bytes that the "
           "serial line did not take, %llu messages that the service manager did not take",
           (unsigned long long)live->word_count, (unsigned long long)live->step_count,
           (unsigned long long)live->gap_count, (unsigned long long)live->recording_ms,
           (unsigned long long)lost_bytes, (unsigned long long)appliance.notify.lost_count);
}

static enum es_status listen_until_the_end(struct es_error *error) {
    enum es_status status = ES_OK;
    uint64_t next_ns = es_clock_ns();
    while (status == ES_OK && !es_interrupt_came()) {
        status = es_appliance_tick(&appliance, error);
        say_hangup();
        uint64_t now_ns = es_clock_ns();
        next_ns += ES_TICK_MS * 1000000ull;
        next_ns = next_ns > now_ns ? next_ns : now_ns; /* a late tick is not made up for */
        es_clock_sleep_until(next_ns);
    }
    return status;
}

static enum es_status hear(const struct es_options *options, struct es_error *error) {
    struct es_appliance_options what = {
        .config = &config,
        .card = es_card_alsa(&alsa),
        .root = options->root,
        .notify_socket = getenv("NOTIFY_SOCKET"),
        .watchdog_us = getenv("WATCHDOG_USEC"),
        .watchdog_pid = getenv("WATCHDOG_PID"),
    };
    enum es_status status = es_appliance_open(&appliance, &what, error);
    if (status != ES_OK) {
        return status;
    }
    /* Until here there was nothing to write out, and a signal ended the process at once. */
    es_interrupt_make_graceful();
    status = listen_until_the_end(error);
    struct es_error close_error = {{0}};
    enum es_status closed = es_appliance_close(&appliance, &close_error);
    say_end();
    if (status == ES_OK && closed != ES_OK) {
        *error = close_error;
        status = closed;
    }
    if (status == ES_OK) {
        /* SIGTERM is how a service manager says goodbye; SIGINT is a person. */
        status = es_interrupt_was_polite() ? ES_OK : ES_ERR_INTERRUPTED;
    }
    return status;
}

static enum es_status run(const struct es_options *options, struct es_error *error) {
    enum es_status status = es_config_load(&config, options, error);
    if (status != ES_OK) {
        return status;
    }
    es_log_limit((enum es_log_level)config.log_level);
    es_fault_install();
    es_interrupt_set_last_act(es_leds_fault_off);
    status = es_log_start_writer(error);
    if (status != ES_OK) {
        return status;
    }
    status = hear(options, error);
    if (appliance.is_abandoned) {
        es_log(ES_LOG_ERROR, "%s", error->text);
    }
    es_log_stop_writer(ES_STOP_LOG_MS);
    if (appliance.is_abandoned) {
        _exit(es_status_exit_code(status)); /* handlers at exit would pull memory from under it */
    }
    return status;
}

const struct es_command es_command_listen = {
    .name = "listen",
    .summary = "the appliance: a microphone to a serial line, until it is told to stop",
    .help =
        "usage: earshot listen [options]\n"
        "\n"
        "Hears a microphone and writes what is said to a serial line, as it is said. Without\n"
        "options: a microphone (USB before others), and a terminal of its own whose path it\n"
        "prints (watch it with `picocom PATH`).\n"
        "\n"
        "  --config FILE      what to hear, where to write, LEDs, mute switch; `earshot config`\n"
        "                     prints a commented sample\n"
        "  --set KEY=VALUE    instead of what the file says; may be given again\n"
        "\n"
        "SIGTERM and SIGINT write out what was said, within a second. From systemd it speaks\n"
        "the protocol of Type=notify and WatchdogSec.\n"
        "\n"
        "Exit code: 0 SIGTERM, 2 usage or configuration, 3 bad model, 4 the machine lacks\n"
        "something, 130 SIGINT.\n",
    .accepted = ES_OPTION_CONFIG | ES_OPTION_SET | ES_OPTION_ROOT,
    .takes_file = false,
    .run = run,
};
