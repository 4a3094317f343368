/* appliance_rig.h - a whole appliance on the bench: its own threads and the bring-up model, in
 * virtual time, with somebody at the other end of its serial line and of its service manager.
 *
 *   es_appliance_rig_open(&rig, &setup);                a freeze is for ever: once per process
 *   es_appliance_rig_run(&rig, 5000);                   five seconds, tick by tick
 *   rig.text, rig.watchdog_count, rig.appliance.machine.state ...
 *   es_appliance_rig_close(&rig);
 *
 * The world is the recordings of the bring-up model, again and again. The engine is given all the
 * real time that it needs between two ticks, unless it is stalled by the test. */
#pragma once

#include "app/appliance.h"
#include "tests/support/paced_card.h"

#define ES_RIG_TEXT_BYTES (1u << 20)

struct es_appliance_rig_setup {
    const char *const *settings; /* key=value, on top of the rig's own; [setting_count] */
    uint32_t setting_count;
    const char *const *recordings; /* names in models/bringup/recordings; [recording_count] */
    uint32_t recording_count;
    uint32_t rate; /* Hz, of the card */
    uint32_t tick_ms;
    uint64_t watchdog_us;
};

struct es_appliance_rig {
    struct es_appliance_rig_setup setup;
    struct es_config config;
    struct es_paced_card card;
    struct es_appliance appliance;
    uint64_t now_ms; /* virtual, since the start */
    int64_t unix_ms; /* of virtual time 0; a test may set it */
    bool is_synchronised;
    bool is_muted; /* the switch */
    /* the other ends */
    int pty_fd;
    bool is_uart_stuck; /* nobody reads */
    int notify_fd;
    char text[ES_RIG_TEXT_BYTES]; /* what came over the serial line; the oldest is forgotten */
    size_t text_bytes;
    uint64_t read_bytes; /* ever */
    uint32_t ready_count, watchdog_count, status_count, stopping_count;
    char first_status[ES_NOTIFY_BYTES_MAX];
    _Atomic bool is_closed;
    _Atomic bool is_engine_stalled; /* the backend's calls do not return */
    uint64_t state_ticks[ES_STATE_COUNT];
};

/* Large: static storage. Failures end the test. */
void es_appliance_rig_open(struct es_appliance_rig *rig,
                           const struct es_appliance_rig_setup *setup);
void es_appliance_rig_run(struct es_appliance_rig *rig, uint64_t ms);
/* Ends the appliance as SIGTERM does, and reads what it said last. */
void es_appliance_rig_close(struct es_appliance_rig *rig);
/* Reads what has come over the serial line, and what the service manager was told. */
void es_appliance_rig_read(struct es_appliance_rig *rig);
