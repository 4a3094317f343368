#include "tests/support/appliance_rig.h"

#include "audio/pcm.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NS_PER_MS 1000000ull
#define WORLD_SAMPLES_MAX (16000u * 120u)

static struct es_appliance_rig *the_rig; /* of the clock, the world and the backend */
static float world[WORLD_SAMPLES_MAX];
static uint32_t world_samples;
static struct es_backend_ops stalling_ops;
static const struct es_backend_ops *real_ops;

/* -- the world --------------------------------------------------------------------------------- */

static void load_world(const struct es_appliance_rig_setup *setup) {
    world_samples = 0;
    for (uint32_t i = 0; i < setup->recording_count; i++) {
        char path[512];
        struct es_pcm *source;
        struct es_error error;
        int count;
        snprintf(path, sizeof path, ES_SOURCE_DIR "/models/bringup/recordings/%s.flac",
                 setup->recordings[i]);
        ES_EXPECT_EQ(es_pcm_open_file(&source, path, &error), ES_OK);
        while (world_samples < WORLD_SAMPLES_MAX &&
               (count = es_pcm_read(source, world + world_samples,
                                    WORLD_SAMPLES_MAX - world_samples, &error)) > 0) {
            world_samples += (uint32_t)count;
        }
        es_pcm_close(source);
    }
    ES_EXPECT(world_samples > 0);
}

/* Between two samples of 16 kHz, straight lines. */
static double sound(uint64_t frame) {
    uint32_t rate = the_rig->setup.rate;
    uint64_t whole = frame / rate * 16000u + frame % rate * 16000u / rate;
    double part = (double)(frame % rate * 16000u % rate) / rate;
    double a = (double)world[whole % world_samples];
    double b = (double)world[(whole + 1u) % world_samples];
    return a + part * (b - a);
}

static void read_clock(struct es_walltime_reading *reading, const char *root) {
    (void)root;
    *reading = (struct es_walltime_reading){
        .boot_ms = 1000u + the_rig->now_ms,
        .monotonic_ms = 1000u + the_rig->now_ms,
        .unix_ms = the_rig->unix_ms + (int64_t)the_rig->now_ms,
        .is_synchronised = the_rig->is_synchronised,
    };
}

static bool is_muted(void) {
    return the_rig->is_muted;
}

/* -- an engine that can be made to stand still ------------------------------------------------- */

static enum es_status stalling_decode(struct es_backend *backend, const struct es_step *step,
                                      struct es_choice *choice, struct es_error *error) {
    while (atomic_load(&the_rig->is_engine_stalled)) {
        (void)usleep(1000);
    }
    return real_ops->decode(backend, step, choice, error);
}

/* -- the other ends ---------------------------------------------------------------------------- */

static void listen_to_notify(struct es_appliance_rig *rig, char *name, size_t name_bytes) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(name, name_bytes, "@earshot-rig-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1u);
    rig->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ES_EXPECT(rig->notify_fd >= 0);
    ES_EXPECT_EQ(bind(rig->notify_fd, (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                 0);
}

static void read_notify(struct es_appliance_rig *rig) {
    char message[ES_NOTIFY_BYTES_MAX + 1u];
    ssize_t bytes;
    while ((bytes = recv(rig->notify_fd, message, sizeof message - 1u, 0)) > 0) {
        message[bytes] = '\0';
        rig->ready_count += strcmp(message, "READY=1") == 0;
        rig->watchdog_count += strcmp(message, "WATCHDOG=1") == 0;
        rig->stopping_count += strcmp(message, "STOPPING=1") == 0;
        if (strncmp(message, "STATUS=", 7) == 0) {
            if (rig->status_count++ == 0) {
                strcpy(rig->first_status, message + 7);
            }
        }
    }
}

static void read_uart(struct es_appliance_rig *rig) {
    for (;;) {
        if (rig->text_bytes + 4096u > sizeof rig->text) {
            size_t half = rig->text_bytes / 2u;
            memmove(rig->text, rig->text + half, rig->text_bytes - half);
            rig->text_bytes -= half;
        }
        ssize_t bytes =
            read(rig->pty_fd, rig->text + rig->text_bytes, sizeof rig->text - rig->text_bytes - 1u);
        if (bytes <= 0) {
            return;
        }
        rig->text_bytes += (size_t)bytes;
        rig->read_bytes += (uint64_t)bytes;
        rig->text[rig->text_bytes] = '\0';
    }
}

void es_appliance_rig_read(struct es_appliance_rig *rig) {
    read_notify(rig);
    if (rig->pty_fd >= 0 && !rig->is_uart_stuck) {
        read_uart(rig);
    }
}

/* -- life -------------------------------------------------------------------------------------- */

void es_appliance_rig_open(struct es_appliance_rig *rig,
                           const struct es_appliance_rig_setup *setup) {
    struct es_error error = {""};
    char notify_name[64];
    char watchdog[32];
    memset(rig, 0, sizeof *rig);
    the_rig = rig;
    rig->setup = *setup;
    rig->pty_fd = -1;
    load_world(setup);
    es_config_defaults(&rig->config);
    ES_EXPECT_EQ(es_config_set(&rig->config, "model=" ES_SOURCE_DIR "/models/bringup", &error),
                 ES_OK);
    ES_EXPECT_EQ(es_config_set(&rig->config, "backend=cpu", &error), ES_OK);
    ES_EXPECT_EQ(es_config_set(&rig->config, "threads=1", &error), ES_OK);
    for (uint32_t i = 0; i < setup->setting_count; i++) {
        if (es_config_set(&rig->config, setup->settings[i], &error) != ES_OK) {
            es_test_fail(__FILE__, __LINE__, "%s", error.text);
        }
    }
    struct es_card_setup card = es_fake_setup(setup->rate, 2, ES_SAMPLE_S16);
    card.is_auto = true;
    snprintf(card.others, sizeof card.others, "PCH, APE");
    es_paced_card_init(&rig->card, &card);
    rig->card.fake.source = sound;
    listen_to_notify(rig, notify_name, sizeof notify_name);
    snprintf(watchdog, sizeof watchdog, "%llu", (unsigned long long)setup->watchdog_us);
    struct es_appliance_options options = {.config = &rig->config,
                                           .card = &rig->card.base,
                                           .root = "",
                                           .notify_socket = notify_name,
                                           .watchdog_us = watchdog,
                                           .read_clock = read_clock,
                                           .is_muted = is_muted};
    if (es_appliance_open(&rig->appliance, &options, &error) != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    real_ops = rig->appliance.boot.pipeline.stream.ops;
    stalling_ops = *real_ops;
    stalling_ops.decode = stalling_decode;
    rig->appliance.boot.pipeline.stream.ops = &stalling_ops;
    if (rig->appliance.has_console) {
        char path[ES_DEVICE_NAME_BYTES];
        es_console_path(&rig->appliance.console, path);
        rig->pty_fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
        ES_EXPECT(rig->pty_fd >= 0);
    }
}

/* Until it has taken what there is, and turned: its loop turns in real time, and in this one's it
 * would stand still for minutes. */
static void wait_for_engine(struct es_appliance_rig *rig) {
    struct es_live_report report;
    es_live_report(&rig->appliance.live, &report);
    uint64_t turn_count = report.turn_count;
    es_capture_wake(rig->appliance.capture);
    while (!atomic_load(&rig->is_engine_stalled) && !report.has_ended &&
           (report.turn_count == turn_count ||
            es_capture_waiting_count(rig->appliance.capture) >= ES_POSITION_SAMPLES)) {
        (void)usleep(20);
        es_live_report(&rig->appliance.live, &report);
    }
}

void es_appliance_rig_run(struct es_appliance_rig *rig, uint64_t ms) {
    uint64_t end_ms = rig->now_ms + ms;
    while (rig->now_ms < end_ms) {
        rig->now_ms += rig->setup.tick_ms;
        es_paced_card_run_to(&rig->card, rig->now_ms * NS_PER_MS);
        wait_for_engine(rig);
        struct es_error error;
        if (es_appliance_tick(&rig->appliance, &error) != ES_OK) {
            es_test_fail(__FILE__, __LINE__, "%s", error.text);
        }
        rig->state_ticks[rig->appliance.machine.state]++;
        es_appliance_rig_read(rig);
    }
}

/* A terminal that reads until the end: what a closed pty still holds is gone. */
static void *read_to_the_end(void *context) {
    struct es_appliance_rig *rig = context;
    while (!atomic_load(&rig->is_closed)) {
        es_appliance_rig_read(rig);
        (void)usleep(1000);
    }
    return NULL;
}

void es_appliance_rig_close(struct es_appliance_rig *rig) {
    struct es_error error = {""};
    pthread_t reader;
    rig->is_uart_stuck = false;
    ES_EXPECT_EQ(pthread_create(&reader, NULL, read_to_the_end, rig), 0);
    es_paced_card_free(&rig->card);
    enum es_status status = es_appliance_close(&rig->appliance, &error);
    atomic_store(&rig->is_closed, true);
    (void)pthread_join(reader, NULL);
    if (status != ES_OK) {
        es_test_fail(__FILE__, __LINE__, "%s", error.text);
    }
    (void)close(rig->notify_fd);
    if (rig->pty_fd >= 0) {
        (void)close(rig->pty_fd);
    }
}
