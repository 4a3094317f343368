#include "app/forecast.h"

#include "tests/support/test.h"
#include "tools/random_model.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define GB 1e9

static struct es_forecast forecast;
static struct es_error error;

static void make(const char *board) {
    es_forecast_make(&forecast, &es_model_4b, ES_DTYPE_BF16, 2, es_memory_bytes_per_s(board));
}

ES_TEST("the 4B model's step and encoder run read what was counted by hand") {
    make("agx-orin-64gb");
    ES_EXPECT_NEAR(forecast.decoder_bytes, 6.858 * GB + 0.872 * GB, 0.01 * GB);
    ES_EXPECT_NEAR(forecast.encoder_bytes, 2.19 * GB, 0.01 * GB);
    ES_EXPECT_NEAR(es_forecast_frame_share(&forecast, 1), 0.61, 0.005);
}

ES_TEST("a board whose memory is too slow for the decoder is refused with the figures") {
    make("orin-nx-16gb");
    ES_EXPECT_EQ(es_forecast_check(&forecast, "Jetson Orin NX 16 GB", &error), ES_ERR_NO);
    ES_EXPECT_CONTAINS(error.text, "7.73 GB");
    ES_EXPECT_CONTAINS(error.text, "Jetson Orin NX 16 GB 75.5 ms of the 80 ms");
    make("agx-orin-64gb");
    ES_EXPECT_EQ(es_forecast_check(&forecast, "Jetson AGX Orin 64 GB", &error), ES_OK);
}

ES_TEST("a window that is smaller makes a step faster") {
    struct es_model narrow = es_model_4b;
    narrow.decoder.window = 1024;
    es_forecast_make(&forecast, &narrow, ES_DTYPE_BF16, 2, es_memory_bytes_per_s("orin-nx-16gb"));
    ES_EXPECT_EQ(es_forecast_check(&forecast, "Jetson Orin NX 16 GB", &error), ES_OK);
}

ES_TEST("auto runs the encoder as often as the memory allows") {
    make("thor-128gb");
    ES_EXPECT_EQ(es_forecast_cadence(&forecast), 1);
    es_forecast_make(&forecast, &es_model_4b, ES_DTYPE_BF16, 2, 140 * GB); /* 0.69 + 0.2 */
    ES_EXPECT_EQ(es_forecast_cadence(&forecast), 2);
    es_forecast_make(&forecast, &es_model_4b, ES_DTYPE_BF16, 2, 110 * GB);
    ES_EXPECT_EQ(es_forecast_cadence(&forecast), 4);
}

ES_TEST("where nobody knows the memory's speed nothing is refused and nothing delayed") {
    make("host");
    ES_EXPECT_EQ(es_forecast_cadence(&forecast), 1);
    ES_EXPECT_NEAR(es_forecast_decoder_share(&forecast), 0, 0);
    ES_EXPECT_EQ(es_forecast_check(&forecast, "this machine", &error), ES_OK);
}

/* A file under a root, whose folders are made one by one. */
static void put(const char *root, const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0755);
        *at = '/';
    }
    FILE *stream = fopen(path, "w");
    ES_EXPECT(stream != NULL);
    ES_EXPECT(fputs(text, stream) >= 0);
    ES_EXPECT(fclose(stream) == 0);
}

ES_TEST("a power mode that caps the memory's clock is in the forecast") {
    const struct es_board *board = es_board_find("orin-nano-8gb");
    const char *root = es_test_directory();
    ES_EXPECT_NEAR(es_memory_bytes_per_s_now(board, root), 102.4 * GB, 0.01 * GB);
    put(root, "/proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0003 nvidia,tegra234");
    put(root, "/sys/kernel/nvpmodel_clk_cap/emc", "2133000000\n");
    ES_EXPECT_NEAR(es_memory_bytes_per_s_now(board, root), 68.3 * GB, 0.1 * GB);
}
