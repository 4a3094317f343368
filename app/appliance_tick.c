/* appliance_tick.c - the control plane: counters in, state, LEDs, watchdog and lines out. */
#include "app/appliance.h"
#include "platform/log.h"

#include <stdio.h>
#include <string.h>

#define SAMPLES_PER_MS (ES_SAMPLE_RATE / 1000u)

/* Which losses are the engine's or the machine's own: those of a missing card have a state. */
static uint64_t own_losses(const struct es_capture_report *capture,
                           const struct es_live_report *live) {
    static const uint32_t causes[] = {ES_LOSS_STOPPED, ES_LOSS_BACKLOG, ES_LOSS_PACKETS};
    uint64_t sum = capture->overrun_frame_count + live->dropped_samples;
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        sum += capture->loss_counts[__builtin_ctz(causes[i])];
    }
    return sum;
}

static void show_state(struct es_appliance *appliance, bool is_muted, uint64_t now_ms) {
    const struct es_capture_report *capture = &appliance->capture_report;
    const struct es_live_report *live = &appliance->live_report;
    struct es_conditions conditions = {
        /* Until the card has been asked, nobody knows. */
        .phase = capture->state == ES_CAPTURE_OPENING ? ES_PHASE_LOADING : ES_PHASE_RUNNING,
        /* What keeps the watchdog from being told is a fault, until it moves again. */
        .has_fault = live->has_ended || appliance->is_stalled,
        .is_muted = is_muted,
        .has_microphone =
            capture->state != ES_CAPTURE_NO_MIC && capture->state != ES_CAPTURE_FAILED,
        .is_digital_zero = capture->is_flat,
        .sample_count = capture->frame_count,
        .step_count = live->step_count,
        .word_count = live->piece_count,
        .lost_samples = own_losses(capture, live),
        .waiting_ms = (uint32_t)(es_capture_waiting_count(appliance->capture) / SAMPLES_PER_MS),
    };
    enum es_state before = appliance->machine.state;
    appliance->machine = es_state_next(appliance->machine, &conditions, now_ms);
    enum es_state state = appliance->machine.state;
    if (state != before) {
        /* Words coming and going is news for a LED, not for a log. */
        bool is_speech = (state == ES_STATE_HEARING || state == ES_STATE_LISTENING) &&
                         (before == ES_STATE_HEARING || before == ES_STATE_LISTENING);
        if (!is_speech) {
            es_log(ES_LOG_INFO, "%s: %s", es_state_name(state), es_state_meaning(state));
            es_appliance_tell(appliance, "state", "%s", es_state_name(state));
        }
    }
    struct es_error error;
    bool is_dead = appliance->has_leds &&
                   es_leds_show(&appliance->leds, state, live->step_count, now_ms, &error) != ES_OK;
    if (is_dead && !appliance->said.is_led_dead) {
        es_log(ES_LOG_ERROR, "%s", error.text);
    }
    appliance->said.is_led_dead = is_dead;
}

static void watch(struct es_appliance *appliance, uint64_t now_ms) {
    const struct es_capture_report *capture = &appliance->capture_report;
    struct es_vitals vitals = {
        .capture_state = capture->state,
        .capture_turns = capture->turn_count,
        .frame_count = capture->frame_count,
        .attempt_count = capture->attempt_count,
        .engine_turns = appliance->live_report.turn_count,
        .step_count = appliance->live_report.step_count,
        .waiting_samples = es_capture_waiting_count(appliance->capture),
        .has_engine_ended = appliance->live_report.has_ended,
    };
    struct es_verdict verdict;
    es_supervisor_next(&appliance->supervisor, &vitals, now_ms, &verdict);
    appliance->is_stalled = verdict.has_stalled;
    if (verdict.is_news) {
        es_log(verdict.has_stalled ? ES_LOG_ERROR : ES_LOG_INFO, "%s", verdict.reason);
        es_appliance_tell(appliance, verdict.has_stalled ? "stall" : "moving", "%s",
                          verdict.reason);
    }
    if (verdict.should_pet) {
        es_notify_send(&appliance->notify, "WATCHDOG=1");
    }
}

/* -- what is new ------------------------------------------------------------------------------- */

/* Once: the choice stands. */
static void say_choice(struct es_appliance *appliance) {
    const char *others = appliance->capture_report.setup.others;
    bool is_alone = others[0] == '\0';
    es_log(ES_LOG_INFO, "microphone: chosen by auto; others here: %s%s", is_alone ? "none" : others,
           is_alone ? "" : " (microphone = ID takes one of them)");
    es_appliance_tell(appliance, "microphone", "chosen by auto; other microphones here: %s",
                      is_alone ? "none" : others);
}

static void say_microphone(struct es_appliance *appliance) {
    const struct es_capture_report *now = &appliance->capture_report;
    struct es_appliance_said *said = &appliance->said;
    bool is_away = now->state == ES_CAPTURE_NO_MIC || now->state == ES_CAPTURE_FAILED;
    if (!is_away) {
        said->microphone[0] = '\0'; /* the same trouble is news again */
    }
    if (is_away && strcmp(said->microphone, now->reason.text) != 0) {
        char origin[ES_CONFIG_ORIGIN_BYTES + 64u];
        es_config_origin(appliance->options.config, "microphone", origin, sizeof origin);
        es_log(ES_LOG_WARNING, "%s: %s", origin, now->reason.text);
        es_appliance_tell(appliance, "microphone", "%s", now->reason.text);
        (void)snprintf(said->microphone, sizeof said->microphone, "%s", now->reason.text);
    }
    if (now->open_count != said->capture.open_count && !is_away) {
        es_log(ES_LOG_INFO, "microphone: %s, %u Hz, %u channels, %s, periods of %u of %u frames",
               now->setup.name, now->setup.rate, now->setup.channel_count,
               es_sample_format_name(now->setup.format), now->setup.period_frames,
               now->setup.buffer_frames);
        es_appliance_tell(appliance, "microphone", "%s", now->setup.name);
        if (now->setup.is_auto && said->capture.open_count == 0) {
            say_choice(appliance);
        }
        said->capture.open_count = now->open_count;
    }
    if (now->is_flat != said->capture.is_flat) {
        if (now->is_flat) {
            es_log(ES_LOG_WARNING,
                   "microphone: has given one and the same number for %u s; it is switched off, "
                   "muted by its own switch, or broken",
                   ES_CAPTURE_FLAT_MS / 1000u);
        } else {
            es_log(ES_LOG_INFO, "microphone: gives sound again");
        }
        es_appliance_tell(appliance, "microphone", "%s",
                          now->is_flat ? "silent: nothing but one number comes" : "gives sound");
        said->capture.is_flat = now->is_flat;
    }
}

/* A microphone that is too loud is as deaf as one that is too quiet, and looks healthy. */
static void say_clipping(struct es_appliance *appliance, uint64_t now_ms) {
    const struct es_capture_report *now = &appliance->capture_report;
    struct es_appliance_said *said = &appliance->said;
    const uint64_t clipped = now->level.clipped_count;
    const uint64_t before = said->capture.level.clipped_count;
    if (clipped < before) { /* a card that came back counts anew */
        said->capture.level.clipped_count = clipped;
    } else if (clipped - before > now->setup.rate / 100u &&
               now_ms - said->clipping_ms >= ES_CLIPPING_NEWS_MS) {
        es_log(ES_LOG_WARNING,
               "microphone: clips (%llu frames at full scale); turn it down: alsamixer, or a "
               "larger distance",
               (unsigned long long)(clipped - before));
        said->capture.level.clipped_count = clipped;
        said->clipping_ms = now_ms;
    }
}

/* What a person can do about a cause. */
static const char *remedy_of(uint32_t cause) {
    switch (cause) {
    case ES_LOSS_OVERRUN:
    case ES_LOSS_STOPPED:
        return "capture came too late; allow it real-time priority (LimitRTPRIO), or take load off "
               "the machine";
    case ES_LOSS_STALLED:
    case ES_LOSS_PACKETS:
        return "try another USB port, without a hub, and a shorter cable";
    case ES_LOSS_BACKLOG:
        return "the engine is too slow; use a smaller model";
    default:
        return "time goes on, and word times stay true";
    }
}

static void say_losses(struct es_appliance *appliance, uint64_t now_ms) {
    const struct es_capture_report *capture = &appliance->capture_report;
    const struct es_live_report *live = &appliance->live_report;
    struct es_appliance_said *said = &appliance->said;
    if (now_ms - said->losses_ms < ES_STATUS_MS) {
        return; /* a storm of losses is one line every two seconds */
    }
    if (live->drop_count != said->live.drop_count) {
        es_log(ES_LOG_WARNING,
               "the engine is too slow: %llu ms of audio were dropped; use a larger "
               "encoder_cadence, a smaller kv_window or a smaller model, and check the power mode",
               (unsigned long long)((live->dropped_samples - said->live.dropped_samples) /
                                    SAMPLES_PER_MS));
        said->losses_ms = now_ms;
    }
    for (uint32_t i = 0; i < ES_LOSS_CAUSE_COUNT; i++) {
        uint64_t count = capture->loss_counts[i] - said->capture.loss_counts[i];
        bool has_state = (1u << i) == ES_LOSS_MUTED || (1u << i) == ES_LOSS_NO_CARD;
        if (count > 0 && !has_state) {
            es_log(ES_LOG_WARNING, "audio lost %llu times: %s; in all %llu ms since the start; %s",
                   (unsigned long long)count, es_loss_cause_name(1u << i),
                   (unsigned long long)(capture->lost_samples / SAMPLES_PER_MS),
                   remedy_of(1u << i));
            said->losses_ms = now_ms;
        }
    }
    memcpy(said->capture.loss_counts, capture->loss_counts, sizeof capture->loss_counts);
    said->live.drop_count = live->drop_count;
    said->live.dropped_samples = live->dropped_samples;
}

static void say_console(struct es_appliance *appliance) {
    struct es_appliance_said *said = &appliance->said;
    struct es_console *console = &appliance->console;
    const struct es_console_counters now = es_console_counters(console);
    const bool is_stuck_news = now.is_stuck != said->is_console_stuck;
    char path[ES_DEVICE_NAME_BYTES] = "";
    struct es_error error = {""};
    /* Copied only for a line that is written, and for the reason while it is closed. */
    if (is_stuck_news || (now.is_open && !said->is_console_open)) {
        es_console_path(console, path);
    }
    if (!now.is_open) {
        es_console_failure(console, &error);
    }
    if (now.is_open && !said->is_console_open) {
        es_log(ES_LOG_INFO, "uart: the transcript goes to %s", path);
        es_console_notice(console, &error);
        if (error.text[0] != '\0') {
            es_log(ES_LOG_WARNING, "uart: %s", error.text);
        }
        said->console[0] = '\0';
    } else if (!now.is_open && error.text[0] != '\0' && strcmp(said->console, error.text) != 0) {
        /* Never there, gone, or not to be had for another reason than before. */
        char origin[ES_CONFIG_ORIGIN_BYTES + 64u];
        es_config_origin(appliance->options.config, "uart", origin, sizeof origin);
        es_log(ES_LOG_WARNING, "%s: %s", origin, error.text);
        (void)snprintf(said->console, sizeof said->console, "%s", error.text);
    }
    if (is_stuck_news) {
        es_log(now.is_stuck ? ES_LOG_WARNING : ES_LOG_INFO,
               now.is_stuck ? "uart: %s takes nothing; what waits is kept as far as there is room; "
                              "check the cable and that the other end reads"
                            : "uart: %s flows again",
               path);
    }
    said->is_console_open = now.is_open;
    said->is_console_stuck = now.is_stuck;
}

static void say_outputs(struct es_appliance *appliance) {
    struct es_appliance_said *said = &appliance->said;
    struct es_error error;
    if (appliance->has_console) {
        say_console(appliance);
    }
    if (appliance->has_journal && es_journal_take_trouble(&appliance->journal, &error)) {
        es_log(ES_LOG_WARNING, "journal: %s", error.text);
        es_appliance_tell(appliance, "journal", "%s", error.text);
    }
    if (appliance->mute.is_unreadable != said->is_mute_unreadable) {
        said->is_mute_unreadable = appliance->mute.is_unreadable;
        es_log(ES_LOG_ERROR, "mute: %s",
               said->is_mute_unreadable ? appliance->mute.failure.text : "can be read again");
    }
}

/* -- time -------------------------------------------------------------------------------------- */

static void follow_clock(struct es_appliance *appliance) {
    struct es_walltime_reading now = appliance->now;
    /* Recording time counts samples: the card's crystal and the machine's drift apart. By capture's
     * own books: the engine's are behind them by what waits, a gap of hours among it. */
    const struct es_capture_report *capture = &appliance->capture_report;
    if (capture->state == ES_CAPTURE_LISTENING) {
        uint64_t edge_ms =
            (capture->sample_count + capture->lost_samples + capture->muted_samples) /
            SAMPLES_PER_MS;
        appliance->recording_base_ms = (int64_t)now.boot_ms - (int64_t)edge_ms;
    }
    enum es_walltime_change change = es_walltime_next(&appliance->walltime, &now);
    if (appliance->walltime.is_known) {
        int64_t base_ms = appliance->walltime.base_ms;
        if (appliance->has_console) {
            es_console_set_clock(&appliance->console,
                                 base_ms + now.utc_offset_ms + appliance->recording_base_ms);
        }
        if (appliance->has_journal) {
            es_journal_set_clock(&appliance->journal, now.unix_ms - (int64_t)now.monotonic_ms);
        }
    }
    if (change == ES_WALLTIME_SYNCHRONISED) {
        es_log(ES_LOG_INFO, "clock: synchronised");
        es_appliance_tell(appliance, "clock", "synchronised; stamps are the time of day");
    } else if (change == ES_WALLTIME_JUMPED) {
        double seconds = (double)appliance->walltime.jump_ms / 1000.0;
        es_log(ES_LOG_WARNING, "clock: was set by %+.1f s", seconds);
        es_appliance_tell(appliance, "clock", "was set by %+.1f s", seconds);
    }
}

static void send_status(struct es_appliance *appliance, uint64_t now_ms) {
    const struct es_capture_report *capture = &appliance->capture_report;
    const struct es_live_report *live = &appliance->live_report;
    struct es_appliance_said *said = &appliance->said;
    double seconds = (double)(now_ms - said->status_ms) / 1000.0;
    es_notify_send(
        &appliance->notify,
        "STATUS=%s; %.0f frames/s from the microphone, %.1f steps/s, lag %llu ms, "
        "%llu words, %llu ms lost, level %.0f dB (peak %.0f, floor %.0f, %llu frames clipped)",
        es_state_name(appliance->machine.state),
        (double)(capture->frame_count - said->capture.frame_count) / seconds,
        (double)(live->step_count - said->live.step_count) / seconds,
        (unsigned long long)(es_capture_waiting_count(appliance->capture) / SAMPLES_PER_MS),
        (unsigned long long)live->word_count,
        (unsigned long long)((capture->lost_samples + live->dropped_samples) / SAMPLES_PER_MS),
        es_level_db(capture->level.rms), es_level_db(capture->level.peak),
        es_level_db(capture->level.floor_rms), (unsigned long long)capture->level.clipped_count);
    said->capture.frame_count = capture->frame_count;
    said->live.step_count = live->step_count;
}

enum es_status es_appliance_tick(struct es_appliance *appliance, struct es_error *error) {
    es_appliance_read_clock(appliance);
    uint64_t now_ms = appliance->now.monotonic_ms;
    bool is_muted = es_appliance_read_switch(appliance);
    es_capture_set_muted(appliance->capture, is_muted);
    es_capture_report(appliance->capture, &appliance->capture_report);
    es_live_report(&appliance->live, &appliance->live_report);
    watch(appliance, now_ms);
    show_state(appliance, is_muted, now_ms);
    say_microphone(appliance);
    say_clipping(appliance, now_ms);
    say_losses(appliance, now_ms);
    say_outputs(appliance);
    if (now_ms - appliance->said.clock_ms >= 1000u) {
        follow_clock(appliance);
        appliance->said.clock_ms = now_ms;
    }
    if (now_ms - appliance->said.status_ms >= ES_STATUS_MS) {
        send_status(appliance, now_ms);
        appliance->said.status_ms = now_ms;
    }
    if (appliance->live_report.has_ended) {
        *error = appliance->live_report.error;
        return appliance->live_report.status;
    }
    return ES_OK;
}
