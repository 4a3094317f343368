/* doctor_model.c - the model: its files, whether it fits, runs, and stays in memory. */
#include "app/appliance.h"
#include "app/checksums.h"
#include "app/doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* -- checksums --------------------------------------------------------------------------------- */

#define LIST ES_CHECKSUMS_NAME

static void check_file(struct es_doctor *doctor, const struct es_checksums *list, uint32_t index) {
    const char *name = es_checksums_file_name(index);
    const char *directory = doctor->config->model;
    char path[ES_FILE_PATH_BYTES];
    char found[ES_CHECKSUM_TEXT_BYTES];
    struct es_error error;
    if (!list->files[index].is_listed) {
        es_doctor_say(doctor, ES_DOCTOR_NOTE,
                      "checksum: %s does not stand in %s/" LIST "; `cd %s && sha256sum %s >> " LIST
                      "`, once it is the publisher's",
                      name, directory, directory, name);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    if (es_checksums_hash(path, found, &error) != ES_OK) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "model", "%s", error.text);
    } else if (strcmp(found, list->files[index].text) != 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "model",
                          "%s: differs from " LIST " (expected %s, found %s); copy it again", path,
                          list->files[index].text, found);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "checksum: %s is what " LIST " says", name);
    }
}

void es_doctor_check_checksums(struct es_doctor *doctor) {
    const char *directory = doctor->config->model;
    struct es_checksums list;
    struct es_error error;
    if (access(directory, F_OK) != 0) {
        return; /* the model's own check says so */
    }
    int result = es_checksums_read(&list, directory, &error);
    if (result < 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "model", "%s", error.text);
        return;
    }
    if (result == 0) {
        es_doctor_say(doctor, ES_DOCTOR_NOTE,
                      "checksum: %s has no " LIST
                      ", so that nobody knows whether the files are whole; "
                      "compare them with the publisher's sums, then `cd %s && sha256sum "
                      "consolidated.safetensors params.json tekken.json > " LIST "`",
                      directory, directory);
        return;
    }
    for (uint32_t i = 0; i < ES_CHECKSUM_FILE_COUNT; i++) {
        check_file(doctor, &list, i);
    }
}

/* -- memory and speed -------------------------------------------------------------------------- */

static void check_speed(struct es_doctor *doctor, const struct es_boot *boot,
                        const struct es_board *board) {
    struct es_error error;
    if (boot->backends.cuda == NULL || boot->forecast.bytes_per_s <= 0) {
        return;
    }
    if (es_forecast_check(&boot->forecast, board->title, &error) != ES_OK) {
        es_doctor_say(doctor, ES_DOCTOR_FAIL, "%s", error.text);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_OK, "speed: the decoder takes %.0f %% of real time at best",
                      100.0 * es_forecast_decoder_share(&boot->forecast));
    }
}

/* What the appliance adds to the engine's plan. */
static void add_stages(const struct es_config *config, struct es_plan *plan) {
    struct es_capture_layout capture;
    struct es_console_layout console;
    struct es_journal_layout journal;
    es_capture_layout(plan, &capture);
    if (es_config_has(config->uart)) {
        es_console_layout(plan, &console);
    }
    if (es_config_has(config->journal)) {
        es_journal_layout(plan, &journal);
    }
}

/* By trying: root, a capability and a limit above the plan all do. */
static void check_lock(struct es_doctor *doctor, const struct es_boot *boot) {
    size_t mib = boot->arena.reserved_bytes[ES_MEM_HOST] >> 20;
    struct rlimit limit = {0};
    if (boot->is_locked) {
        es_doctor_say(doctor, ES_DOCTOR_OK, "locked memory: all %zu MiB of the plan", mib);
        return;
    }
    (void)getrlimit(RLIMIT_MEMLOCK, &limit);
    bool must_lock = doctor->config->must_lock != 0;
    char what[256];
    (void)snprintf(what, sizeof what,
                   "the limit of %llu KiB is below the plan's %zu MiB, which may be swapped out; "
                   "raise it with `ulimit -l unlimited` (in a unit: LimitMEMLOCK=infinity)",
                   (unsigned long long)(limit.rlim_cur >> 10), mib);
    if (must_lock) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "must_lock", "%s", what);
    } else {
        es_doctor_say(doctor, ES_DOCTOR_NOTE, "locked memory: %s", what);
    }
}

void es_doctor_check_model(struct es_doctor *doctor, const struct es_board *board) {
    static struct es_boot boot;
    struct es_error error;
    const struct es_config *config = doctor->config;
    struct es_boot_options options =
        es_appliance_boot_options(config, es_memory_bytes_per_s(board->name));
    enum es_status status = es_boot_plan(&boot, &options, &error);
    if (status == ES_OK) {
        add_stages(config, &boot.plan);
        uint64_t bytes = ES_PROCESS_ALLOWANCE_BYTES;
        for (int kind = 0; kind < ES_MEM_KIND_COUNT; kind++) {
            bytes += es_plan_total_bytes(&boot.plan, (enum es_mem_kind)kind);
        }
        es_doctor_say(doctor, ES_DOCTOR_OK, "engine: %s (%s); needs %.1f MiB", boot.ops->name,
                      boot.backends.reason, (double)bytes / (1024.0 * 1024.0));
        check_speed(doctor, &boot, board);
        status = es_boot_start(&boot, &error);
    }
    if (boot.arena.reserved_bytes[ES_MEM_HOST] > 0) {
        check_lock(doctor, &boot);
    }
    if (status == ES_OK) {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, "model",
                          "%s, %s weights, all finite; every stage ran", config->model,
                          es_dtype_name(boot.dtype));
    } else if (status == ES_ERR_USAGE) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "kv_window", "%s", error.text);
    } else {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "model", "%s", error.text);
    }
    es_boot_stop(&boot);
}
