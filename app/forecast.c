#include "app/forecast.h"

#include "platform/jetson/module.h"

#define POSITION_S (ES_POSITION_MS / 1000.0)
#define CONV_TAP_COUNT 3.0

double es_memory_bytes_per_s(const char *board_name) {
    const struct es_board *board = es_board_find(board_name);
    return board != NULL ? board->memory_bytes_per_s : 0;
}

double es_memory_bytes_per_s_now(const struct es_board *board, const char *root) {
    struct es_jetson_module module;
    es_jetson_module_read(&module, root);
    return module.memory_bytes_per_s > 0 ? module.memory_bytes_per_s : board->memory_bytes_per_s;
}

/* Matrices of all layers; norms and biases are too small to count. */
static double stack_weights(const struct es_stack *stack) {
    double q = (double)stack->head_count * stack->head_dim;
    double kv = (double)stack->kv_head_count * stack->head_dim;
    return stack->layer_count * (stack->dim * (2.0 * q + 2.0 * kv + 3.0 * stack->hidden_dim));
}

/* Keys and values of a full window. */
static double window_elements(const struct es_stack *stack) {
    return 2.0 * stack->window * stack->kv_head_count * stack->head_dim * stack->layer_count;
}

void es_forecast_make(struct es_forecast *forecast, const struct es_model *model,
                      enum es_dtype dtype, size_t kv_element_bytes, double bytes_per_s) {
    const struct es_stack *encoder = &model->encoder;
    const struct es_stack *decoder = &model->decoder;
    double weight_bytes = (double)es_dtype_bytes(dtype);
    double kv_bytes = (double)kv_element_bytes;
    double head = (double)model->vocab_size * decoder->dim;
    double stem =
        CONV_TAP_COUNT * encoder->dim * ((double)model->mel_bin_count + (double)encoder->dim);
    double adapter =
        (double)decoder->dim * ((double)encoder->dim * model->downsample + (double)decoder->dim);
    forecast->decoder_bytes =
        (stack_weights(decoder) + head) * weight_bytes + window_elements(decoder) * kv_bytes;
    forecast->encoder_bytes = (stack_weights(encoder) + stem + adapter) * weight_bytes +
                              window_elements(encoder) * kv_bytes;
    forecast->bytes_per_s = bytes_per_s;
}

double es_forecast_decoder_share(const struct es_forecast *forecast) {
    return forecast->bytes_per_s > 0 ? forecast->decoder_bytes / forecast->bytes_per_s / POSITION_S
                                     : 0;
}

double es_forecast_frame_share(const struct es_forecast *forecast, uint32_t cadence_positions) {
    double encoder_bytes = forecast->encoder_bytes / cadence_positions;
    return forecast->bytes_per_s > 0
               ? (forecast->decoder_bytes + encoder_bytes) / forecast->bytes_per_s / POSITION_S
               : 0;
}

uint32_t es_forecast_cadence(const struct es_forecast *forecast) {
    uint32_t cadence = 1;
    while (cadence < ES_CADENCE_AUTO_MAX &&
           es_forecast_frame_share(forecast, cadence) > ES_FRAME_SHARE_MAX) {
        cadence *= 2u;
    }
    return cadence;
}

enum es_status es_forecast_check(const struct es_forecast *forecast, const char *machine,
                                 struct es_error *error) {
    double share = es_forecast_decoder_share(forecast);
    if (share <= ES_DECODER_SHARE_MAX) {
        return ES_OK;
    }
    return es_fail(error, ES_ERR_NO,
                   "speed: a decoder step reads %.2f GB, which takes %s %.1f ms of the %u ms that "
                   "a position lasts (%.1f GB/s at best); use a quantized model, a smaller "
                   "--kv-window or a faster board",
                   forecast->decoder_bytes * 1e-9, machine, share * ES_POSITION_MS, ES_POSITION_MS,
                   forecast->bytes_per_s * 1e-9);
}
