/* forecast.h - how much of real time a model will take on a memory of known speed.
 *
 *   es_forecast_make(&forecast, &model, ES_DTYPE_BF16, 2, es_memory_bytes_per_s("agx-orin-64gb"));
 *   status = es_forecast_check(&forecast, "Jetson Orin NX 16 GB", &error);
 *   cadence = es_forecast_cadence(&forecast);
 *
 * A step reads every weight of the decoder and the whole window once: with a batch of one there is
 * nothing to reuse, so bytes over bandwidth is a floor. Real engines reach 75 to 80 % of it. */
#pragma once

#include "board/board.h"
#include "engine/model.h"
#include "engine/weights.h"

struct es_forecast {
    double decoder_bytes; /* of one step, window full: weights, head, keys and values */
    double encoder_bytes; /* of one run, adapter included */
    double bytes_per_s;   /* of the memory; 0: nobody knows */
};

/* DRAM's peak of a board (board/board.h) in its fastest power mode, from the module's data sheet; 0
 * for a name that is not known. */
double es_memory_bytes_per_s(const char *board_name);

/* The same for the machine that this is, and less where its power mode caps the memory's clock.
 * `board` is what it is found or configured to be; `root` stands before /proc and /sys. Boot only.
 * */
double es_memory_bytes_per_s_now(const struct es_board *board, const char *root);

/* kv_element_bytes: 2 (f16) or 4 (f32). */
void es_forecast_make(struct es_forecast *forecast, const struct es_model *model,
                      enum es_dtype dtype, size_t kv_element_bytes, double bytes_per_s);

/* Shares of real time, 0 when the speed is not known: the decoder alone; decoder and encoder with
 * the encoder running every `cadence_positions`. */
double es_forecast_decoder_share(const struct es_forecast *forecast);
double es_forecast_frame_share(const struct es_forecast *forecast, uint32_t cadence_positions);

/* 1, 2 or 4 positions: the shortest whose frame is below ES_FRAME_SHARE_MAX; 1 when the speed is
 * not known. */
uint32_t es_forecast_cadence(const struct es_forecast *forecast);

/* ES_ERR_NO when the decoder alone passes ES_DECODER_SHARE_MAX. `machine` names it in the line. */
ES_MUST_CHECK enum es_status es_forecast_check(const struct es_forecast *forecast,
                                               const char *machine, struct es_error *error);
