/* A configuration file: refused with a line, or what it comes to reads back as itself. */
#include "app/config.h"
#include "tests/fuzz/fuzz.h"

static void put(void *context, const char *text) {
    (void)fputs(text, context);
}

static enum es_status read_bytes(struct es_config *config, const void *bytes, size_t byte_count,
                                 struct es_error *error) {
    FILE *file = fmemopen((void *)(uintptr_t)bytes, byte_count, "r");
    if (file == NULL) {
        return ES_ERR_INPUT;
    }
    es_config_defaults(config);
    enum es_status status = es_config_read_stream(config, file, "fuzz.conf", error);
    (void)fclose(file);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static char printed[32768];
    struct es_config config;
    struct es_config again;
    struct es_error error = {""};
    if (bytes == 0) {
        return 0;
    }
    enum es_status status = read_bytes(&config, data, bytes, &error);
    if (status != ES_OK) {
        fuzz_expect_verdict(status == ES_ERR_USAGE ? ES_ERR_INPUT : status, &error);
        return 0;
    }
    FILE *sink = fmemopen(printed, sizeof printed, "w");
    if (sink == NULL) {
        abort();
    }
    es_config_print(&config, put, sink);
    (void)fclose(sink);
    if (read_bytes(&again, printed, strlen(printed), &error) != ES_OK ||
        memcmp(&config, &again, offsetof(struct es_config, origins)) != 0) {
        abort();
    }
    return 0;
}
