#include "tests/engine_cuda/device_rig.h"
#include "tests/engine_cuda/ptx_kernels.h"

static void run(enum ptx_kernel_id id, uint32_t block_count, uint32_t thread_count, void **args) {
    struct es_error error;
    const struct es_cuda_grid grid = {.block_count = block_count, .thread_count = thread_count};
    device_rig_ok(es_cuda_launch(&device_rig.cuda, ptx_kernel(id), &grid, args, &error), &error);
    device_rig_ok(es_cuda_wait(&device_rig.cuda, &error), &error);
}

/* Small whole numbers: every sum is exact. */
static void check_product(enum ptx_kernel_id id) {
    uint16_t a[16 * 16];
    uint16_t b[16 * 8];
    double a_values[16 * 16];
    double b_values[16 * 8];
    float out[16 * 8];
    for (uint32_t i = 0; i < 16 * 16; i++) {
        /* 1.0 to 1.9375 in sixteenths: BF16 0x3f80 + 8 n, f16 0x3c00 + 64 n */
        uint32_t n = i * 7u % 16u;
        a_values[i] = 1.0 + n / 16.0;
        a[i] = (uint16_t)(id == PTX_PRODUCT_BF16 ? 0x3f80u + 8u * n : 0x3c00u + 64u * n);
    }
    for (uint32_t i = 0; i < 16 * 8; i++) {
        uint32_t n = i * 5u % 16u;
        b_values[i] = -(1.0 + n / 16.0);
        b[i] = (uint16_t)(id == PTX_PRODUCT_BF16 ? 0xbf80u + 8u * n : 0xbc00u + 64u * n);
    }
    device_rig_open();
    void *a_device = device_rig_put(a, sizeof a);
    void *b_device = device_rig_put(b, sizeof b);
    void *out_device = device_rig_take(sizeof out);
    void *args[] = {&a_device, &b_device, &out_device};
    run(id, 1, 32, args);
    device_rig_get(out, out_device, sizeof out);
    device_rig_drop();
    for (uint32_t row = 0; row < 16; row++) {
        for (uint32_t column = 0; column < 8; column++) {
            double sum = 0.0;
            for (uint32_t k = 0; k < 16; k++) {
                sum += a_values[row * 16u + k] * b_values[k * 8u + column];
            }
            ES_EXPECT_NEAR(out[row * 8u + column], sum, 0.0);
        }
    }
}

ES_TEST("matrices come through cp.async, ldmatrix and mma as their product, in BF16") {
    check_product(PTX_PRODUCT_BF16);
}

ES_TEST("and in f16") {
    check_product(PTX_PRODUCT_F16);
}

ES_TEST("lanes exchange numbers and votes, the whole warp and half of it") {
    uint32_t out[PTX_LANES_COUNT][32];
    device_rig_open();
    void *device = device_rig_take(sizeof out);
    void *args[] = {&device};
    run(PTX_LANES, 1, 32, args);
    device_rig_get(out, device, sizeof out);
    device_rig_drop();
    for (uint32_t lane = 0; lane < 32; lane++) {
        ES_EXPECT_EQ(out[0][lane], 100u + (lane ^ 5u));
        ES_EXPECT_EQ(out[1][lane], 107);
        ES_EXPECT_EQ(out[2][lane], 100u + (lane + 3u < 32u ? lane + 3u : lane));
        ES_EXPECT_EQ(out[3][lane], 100u + (lane % 8u >= 2u ? lane - 2u : lane));
        ES_EXPECT_EQ(out[4][lane], 0x49249249u);
        ES_EXPECT_EQ(out[5][lane], 100u + (lane ^ (lane < 16 ? 1u : 2u)));
    }
}

ES_TEST("two halves of a block meet at barriers of their own") {
    uint32_t out[128];
    device_rig_open();
    void *device = device_rig_take(sizeof out);
    void *args[] = {&device};
    run(PTX_BARRIERS, 1, 128, args);
    device_rig_get(out, device, sizeof out);
    device_rig_drop();
    for (uint32_t i = 0; i < 128; i++) {
        uint32_t half = i / 64u;
        ES_EXPECT_EQ(out[i], 64u * half + (i % 64u + 40u * (3u + half)) % 64u);
    }
}

ES_TEST("ex2 is exactly 1 for 0, exactly 0 for -infinity, and near everywhere else") {
    float in[32] = {0.0f, -INFINITY, -200.0f, 1.0f, -1.0f};
    float out[32];
    for (uint32_t i = 5; i < 32; i++) {
        in[i] = -0.37f * (float)i;
    }
    device_rig_open();
    void *in_device = device_rig_put(in, sizeof in);
    void *out_device = device_rig_take(sizeof out);
    void *args[] = {&in_device, &out_device};
    run(PTX_EX2, 1, 32, args);
    device_rig_get(out, out_device, sizeof out);
    device_rig_drop();
    ES_EXPECT_NEAR(out[0], 1.0, 0.0);
    ES_EXPECT_NEAR(out[1], 0.0, 0.0);
    ES_EXPECT_NEAR(out[2], 0.0, 0.0);
    for (uint32_t i = 3; i < 32; i++) {
        ES_EXPECT_NEAR(out[i], exp2((double)in[i]), exp2((double)in[i]) * 3e-7);
    }
}

ES_TEST("blocks wait for one another by polling") {
    uint32_t out[4];
    device_rig_open();
    void *counter = device_rig_zeros(sizeof(uint32_t));
    void *values = device_rig_take(sizeof out);
    void *device = device_rig_take(sizeof out);
    void *args[] = {&counter, &values, &device};
    run(PTX_MEETING, 4, 64, args);
    device_rig_get(out, device, sizeof out);
    device_rig_drop();
    for (uint32_t i = 0; i < 4; i++) {
        ES_EXPECT_EQ(out[i], 3u + 4u + 5u + 6u);
    }
}
