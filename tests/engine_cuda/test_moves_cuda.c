#include "tests/engine_cuda/linear_rig.h"

ES_TEST("the last norm equals the one in double precision") {
    static const uint32_t dims[] = {1, 31, 512, 513, 1280};
    double worst = 0.0;
    (void)device_rig_open();
    for (uint32_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        struct es_error error;
        uint32_t dim = dims[i];
        struct es_cuda_ops ops = linear_rig_ops();
        float *x = device_rig_numbers(3u * dim, 5.0f);
        float *norm = device_rig_numbers(dim, 1.0f);
        float *y = malloc(3u * dim * sizeof *y);
        double *expected = malloc(dim * sizeof *expected);
        struct es_cuda_norm op = {.x = device_rig_put(x, 3u * dim * sizeof *x),
                                  .norm = device_rig_put(norm, dim * sizeof *norm),
                                  .norm_eps = 1e-5f,
                                  .row_count = 3,
                                  .dim = dim,
                                  .y = device_rig_take(3u * dim * sizeof(float))};
        device_rig_ok(es_cuda_norm(&ops, &op, &error), &error);
        device_rig_get(y, op.y, 3u * dim * sizeof *y);
        for (uint32_t r = 0; r < 3; r++) {
            double squares = 0.0;
            for (uint32_t k = 0; k < dim; k++) {
                squares += (double)x[r * dim + k] * (double)x[r * dim + k];
            }
            for (uint32_t k = 0; k < dim; k++) {
                expected[k] = (double)x[r * dim + k] / sqrt(squares / dim + 1e-5) * (double)norm[k];
            }
            double off = device_rig_error(y + r * dim, expected, dim);
            worst = off > worst ? off : worst;
        }
        free(x);
        free(norm);
        free(y);
        free(expected);
        linear_rig_close(&ops);
    }
    es_test_note("worst row %.2e", worst);
    ES_EXPECT(worst <= 1e-6);
}

ES_TEST(
    "an input is the id's embedding plus the queue's slot, for a forced id, the last and many") {
    struct es_error error;
    struct es_cuda_ops ops = linear_rig_ops();
    struct linear_rig_map table = linear_rig_map(90, 300);
    struct es_cuda_embedding embedding = {
        .rows_per_block = 40, .vocab_size = 90, .dim = 300, .stride = table.matrix.stride};
    for (uint32_t b = 0; b < 3; b++) {
        embedding.blocks[b] = (const uint16_t *)table.matrix.data + b * 40u * table.matrix.stride;
    }
    float *queue = device_rig_numbers(5u * 300u, 1.0f);
    float x[3 * 300];
    const int32_t ids[] = {39, 40, 89};
    void *shared = NULL;
    device_rig_ok(es_cuda_memory_take(ops.cuda, ES_MEM_SHARED, 64, &shared, &error), &error);
    struct es_cuda_step_input *input = shared;
    struct es_cuda_stream_state state = {
        .decoder_position = (1ull << 40) + 8u, .decoder_oldest = (1ull << 40) + 1u, .last_id = 77};
    device_rig_write(ops.state, &state, sizeof state);
    struct es_cuda_embed op = {.embedding = &embedding,
                               .input = input,
                               .row_count = 1,
                               .queue = device_rig_put(queue, 5u * 300u * sizeof *queue),
                               .queue_slot_count = 5,
                               .x = device_rig_take(sizeof x)};
    for (uint32_t run = 0; run < 3; run++) {
        input->id = run == 0 ? 3 : -1;
        op.ids = run == 2 ? device_rig_put(ids, sizeof ids) : NULL;
        op.row_count = run == 2 ? 3 : 1;
        device_rig_ok(es_cuda_embed(&ops, &op, &error), &error);
        device_rig_get(x, op.x, op.row_count * 300u * sizeof *x);
        for (uint32_t r = 0; r < op.row_count; r++) {
            uint32_t id = run == 0 ? 3u : run == 1 ? 77u : (uint32_t)ids[r];
            for (uint32_t k = 0; k < 300; k++) {
                float expected =
                    (float)table.values[id * 300u + k] + queue[(7u + r) % 5u * 300u + k];
                ES_EXPECT_NEAR(x[r * 300u + k], expected, 0.0);
            }
        }
    }
    es_cuda_memory_give_back(ops.cuda, ES_MEM_SHARED, shared);
    free(table.values);
    free(queue);
    linear_rig_close(&ops);
}

ES_TEST("mel frames come behind their history, and a run's end becomes the next one's history") {
    static const uint32_t frame_counts[] = {1, 2, 8, 16};
    for (uint32_t i = 0; i < sizeof frame_counts / sizeof frame_counts[0]; i++) {
        struct es_error error;
        uint32_t n = frame_counts[i];
        struct es_cuda_ops ops = linear_rig_ops();
        float mel[18 * 128];
        float rows[17 * 600];
        void *shared = NULL;
        device_rig_ok(es_cuda_memory_take(ops.cuda, ES_MEM_SHARED, n * 512u, &shared, &error),
                      &error);
        for (uint32_t k = 0; k < n * 128u; k++) {
            ((float *)shared)[k] = (float)k;
        }
        for (uint32_t k = 0; k < (n + 1u) * 600u; k++) {
            rows[k] = -(float)k;
        }
        struct es_cuda_stream_state state = {.encoder_frame = 10, .embeddings_written = 20};
        device_rig_write(ops.state, &state, sizeof state);
        memset(mel, 0, sizeof mel);
        const struct es_cuda_mel op = {shared, n, 128, device_rig_put(mel, (n + 2u) * 512u)};
        const struct es_cuda_advance advance = {.frame_count = n / 2u,
                                                .position_count = 1,
                                                .mel_frames = op.frames,
                                                .mel_frame_count = n,
                                                .mel_dim = 128,
                                                .conv0_rows =
                                                    device_rig_put(rows, (n + 1u) * 2400u),
                                                .conv0_row_count = n,
                                                .conv0_dim = 600};
        device_rig_ok(es_cuda_mel(&ops, &op, &error), &error);
        device_rig_get(mel, op.frames, (n + 2u) * 512u);
        ES_EXPECT(mel[255] == 0.0f && mel[257] == 1.0f);
        device_rig_ok(es_cuda_advance(&ops, &advance, &error), &error);
        device_rig_get(mel, op.frames, 2u * 512u);
        device_rig_get(rows, advance.conv0_rows, 2400);
        device_rig_get(&state, ops.state, sizeof state);
        es_cuda_memory_give_back(ops.cuda, ES_MEM_SHARED, shared);
        for (uint32_t k = 0; k < 256; k++) { /* of one frame, the older half is history still */
            float expected = k + n * 128u < 256u ? 0.0f : (float)(k + n * 128u - 256u);
            ES_EXPECT_NEAR(mel[k], expected, 0.0);
        }
        ES_EXPECT(rows[0] == -(float)(n * 600u) && rows[599] == -(float)(n * 600u + 599u));
        ES_EXPECT_EQ(state.encoder_frame, 10 + n / 2u);
        ES_EXPECT_EQ(state.embeddings_written, 21);
        linear_rig_close(&ops);
    }
}
