/* A list of checksums: refused with a line, or each sum in it is 64 digits in lower case. */
#include "app/checksums.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    struct es_checksums list;
    struct es_error error = {""};
    enum es_status status =
        es_checksums_parse(&list, (const char *)data, bytes, "fuzz/SHA256SUMS", &error);
    fuzz_expect_verdict(status, &error);
    for (uint32_t i = 0; i < ES_CHECKSUM_FILE_COUNT; i++) {
        const char *text = list.files[i].text;
        size_t wanted = list.files[i].is_listed ? ES_CHECKSUM_TEXT_BYTES - 1u : 0;
        if (strlen(text) != wanted || strspn(text, "0123456789abcdef") != wanted) {
            abort();
        }
    }
    return 0;
}
