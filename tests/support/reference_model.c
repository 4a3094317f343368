#include "tests/support/reference_model.h"

#include "tests/support/random_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

struct run {
    const struct es_model *model;
    const struct es_weights *weights;
    enum es_mistake mistake;
    struct es_reference *reference;
};

static double *new_rows(size_t row_count, size_t dim) {
    double *rows = calloc(row_count * dim + 1, sizeof *rows);
    if (rows == NULL) {
        abort();
    }
    return rows;
}

static void keep(struct run *run, enum es_stage stage, uint32_t layer, const double *rows,
                 uint32_t row_count, uint32_t dim) {
    struct es_reference_stage *kept = &run->reference->stages[stage * ES_LAYER_COUNT_MAX + layer];
    kept->rows = new_rows(row_count, dim);
    kept->row_count = row_count;
    kept->dim = dim;
    memcpy(kept->rows, rows, (size_t)row_count * dim * sizeof *rows);
}

static double gelu(const struct run *run, double x) {
    if (run->mistake == ES_MISTAKE_TANH_GELU) {
        return 0.5 * x * (1.0 + tanh(sqrt(2.0 / PI) * (x + 0.044715 * x * x * x)));
    }
    return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
}

/* y [out_dim] = W x (+ bias) */
static void linear(const struct es_matrix *w, const float *bias, const double *x, double *y) {
    for (uint32_t o = 0; o < w->out_dim; o++) {
        double sum = bias == NULL ? 0.0 : (double)bias[o];
        for (uint32_t i = 0; i < w->in_dim; i++) {
            sum += es_matrix_at(w, o, i) * x[i];
        }
        y[o] = sum;
    }
}

static void rmsnorm(const double *x, const float *weight, double eps, uint32_t dim, double *y) {
    double sum = 0.0;
    for (uint32_t i = 0; i < dim; i++) {
        sum += x[i] * x[i];
    }
    for (uint32_t i = 0; i < dim; i++) {
        y[i] = x[i] / sqrt(sum / dim + eps) * (double)weight[i];
    }
}

/* Output frame j of a causal convolution: taps at frames j * stride - left_pad + 0, 1, 2. */
static double *convolve(const struct run *run, const struct es_matrix *w, const float *bias,
                        const double *frames, uint32_t frame_count, uint32_t stride,
                        uint32_t left_pad, const double *before) {
    uint32_t channel_count = w->in_dim / 3;
    uint32_t row_count = frame_count / stride;
    double *columns = new_rows(1, w->in_dim);
    double *rows = new_rows(row_count, w->out_dim);
    for (uint32_t j = 0; j < row_count; j++) {
        for (uint32_t tap = 0; tap < 3; tap++) {
            long frame = (long)(j * stride + tap) - (long)left_pad;
            for (uint32_t c = 0; c < channel_count; c++) {
                columns[c * 3 + tap] =
                    frame < 0 ? before[c] : frames[(size_t)frame * channel_count + c];
            }
        }
        double *row = rows + (size_t)j * w->out_dim;
        linear(w, bias, columns, row);
        for (uint32_t o = 0; o < w->out_dim; o++) {
            row[o] = gelu(run, row[o]);
        }
    }
    free(columns);
    return rows;
}

static double *conv_stem(struct run *run, const float *mel, uint32_t frame_count) {
    const struct es_model *model = run->model;
    const struct es_weights *weights = run->weights;
    uint32_t dim = model->encoder.dim;
    double *frames = new_rows(frame_count, model->mel_bin_count);
    double *before = new_rows(1, dim > model->mel_bin_count ? dim : model->mel_bin_count);
    for (size_t i = 0; i < (size_t)frame_count * model->mel_bin_count; i++) {
        frames[i] = (double)mel[i];
    }
    double *conv0 =
        convolve(run, &weights->conv0, weights->conv0_bias, frames, frame_count, 1, 2, before);
    keep(run, ES_STAGE_CONV0, 0, conv0, frame_count, dim);
    if (run->mistake == ES_MISTAKE_CONV1_PAD_BEFORE_GELU) {
        for (uint32_t o = 0; o < dim; o++) {
            before[o] = gelu(run, (double)weights->conv0_bias[o]);
        }
    }
    double *conv1 = convolve(run, &weights->conv1, weights->conv1_bias, conv0, frame_count, 2,
                             run->mistake == ES_MISTAKE_CONV1_PAD_TWO ? 2 : 1, before);
    keep(run, ES_STAGE_CONV1, 0, conv1, frame_count / 2, dim);
    free(frames);
    free(before);
    free(conv0);
    return conv1;
}

static void rotate(const struct run *run, const struct es_stack *shape, uint32_t head_count,
                   uint32_t position, double *x) {
    uint32_t half = shape->head_dim / 2;
    for (uint32_t head = 0; head < head_count; head++, x += shape->head_dim) {
        for (uint32_t i = 0; i < half; i++) {
            double angle = position * pow(shape->rope_theta, -2.0 * i / shape->head_dim);
            bool is_split = run->mistake == ES_MISTAKE_HALF_SPLIT_ROTARY;
            double *first = is_split ? x + i : x + 2 * i;
            double *second = is_split ? x + half + i : x + 2 * i + 1;
            double a = *first;
            double b = *second;
            *first = a * cos(angle) - b * sin(angle);
            *second = a * sin(angle) + b * cos(angle);
        }
    }
}

/* The tensors of one layer of either stack. */
struct layer {
    const float *attention_norm, *ffn_norm;
    const struct es_matrix *wq, *wk, *wv, *wo, *w1, *w3, *w2;
    const float *wq_bias, *wv_bias, *wo_bias, *w2_bias;
    const double *scale; /* [dim] 1 + ada, or NULL */
};

static uint32_t kv_head_of(const struct run *run, const struct es_stack *shape, uint32_t head) {
    return run->mistake == ES_MISTAKE_KV_HEADS_INTERLEAVED
               ? head % shape->kv_head_count
               : head / (shape->head_count / shape->kv_head_count);
}

/* Row p of attention over all rows, masked to the window. */
static void attend(const struct run *run, const struct es_stack *shape, uint32_t window, uint32_t p,
                   const double *q, const double *k, const double *v, double *out) {
    uint32_t width = shape->head_dim;
    size_t kv_width = (size_t)shape->kv_head_count * width;
    double *share = new_rows(1, p + 1);
    for (uint32_t head = 0; head < shape->head_count; head++) {
        size_t kv = (size_t)kv_head_of(run, shape, head) * width;
        double total = 0.0;
        for (uint32_t j = 0; j <= p; j++) {
            double score = 0.0;
            for (uint32_t i = 0; i < width; i++) {
                score += q[head * width + i] * k[j * kv_width + kv + i];
            }
            share[j] = p - j >= window ? 0.0 : exp(score / sqrt((double)width));
            total += share[j];
        }
        for (uint32_t i = 0; i < width; i++) {
            double sum = 0.0;
            for (uint32_t j = 0; j <= p; j++) {
                sum += share[j] / total * v[j * kv_width + kv + i];
            }
            out[head * width + i] = sum;
        }
    }
    free(share);
}

static void attention_block(const struct run *run, const struct es_stack *shape, uint32_t window,
                            const struct layer *layer, double *x, uint32_t row_count) {
    size_t q_width = (size_t)shape->head_count * shape->head_dim;
    size_t kv_width = (size_t)shape->kv_head_count * shape->head_dim;
    double *h = new_rows(1, shape->dim);
    double *q = new_rows(row_count, q_width);
    double *k = new_rows(row_count, kv_width);
    double *v = new_rows(row_count, kv_width);
    double *out = new_rows(1, q_width);
    for (uint32_t p = 0; p < row_count; p++) {
        rmsnorm(x + (size_t)p * shape->dim, layer->attention_norm, (double)shape->norm_eps,
                shape->dim, h);
        linear(layer->wq, layer->wq_bias, h, q + p * q_width);
        linear(layer->wk, NULL, h, k + p * kv_width);
        linear(layer->wv, layer->wv_bias, h, v + p * kv_width);
        rotate(run, shape, shape->head_count, p, q + p * q_width);
        rotate(run, shape, shape->kv_head_count, p, k + p * kv_width);
    }
    for (uint32_t p = 0; p < row_count; p++) {
        attend(run, shape, window, p, q + p * q_width, k, v, out);
        linear(layer->wo, layer->wo_bias, out, h);
        for (uint32_t i = 0; i < shape->dim; i++) {
            x[(size_t)p * shape->dim + i] += h[i];
        }
    }
    free(h);
    free(q);
    free(k);
    free(v);
    free(out);
}

static void ffn_block(const struct es_stack *shape, const struct layer *layer, double *x,
                      uint32_t row_count) {
    double *h = new_rows(1, shape->dim);
    double *gate = new_rows(1, shape->hidden_dim);
    double *up = new_rows(1, shape->hidden_dim);
    for (uint32_t p = 0; p < row_count; p++, x += shape->dim) {
        rmsnorm(x, layer->ffn_norm, (double)shape->norm_eps, shape->dim, h);
        for (uint32_t i = 0; layer->scale != NULL && i < shape->dim; i++) {
            h[i] *= layer->scale[i];
        }
        linear(layer->w1, NULL, h, gate);
        linear(layer->w3, NULL, h, up);
        for (uint32_t i = 0; i < shape->hidden_dim; i++) {
            gate[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
        }
        linear(layer->w2, layer->w2_bias, gate, h);
        for (uint32_t i = 0; i < shape->dim; i++) {
            x[i] += h[i];
        }
    }
    free(h);
    free(gate);
    free(up);
}

static void final_norm(struct run *run, enum es_stage stage, const struct es_stack *shape,
                       const float *weight, double *x, uint32_t row_count) {
    for (uint32_t p = 0; p < row_count; p++) {
        double *row = x + (size_t)p * shape->dim;
        rmsnorm(row, weight, (double)shape->norm_eps, shape->dim, row);
    }
    keep(run, stage, 0, x, row_count, shape->dim);
}

static void encode(struct run *run, double *x, uint32_t row_count) {
    const struct es_stack *shape = &run->model->encoder;
    uint32_t window = shape->window;
    window += run->mistake == ES_MISTAKE_ENCODER_WINDOW_WIDER ? 1u : 0u;
    window -= run->mistake == ES_MISTAKE_ENCODER_WINDOW_NARROWER ? 1u : 0u;
    for (uint32_t i = 0; i < shape->layer_count; i++) {
        const struct es_encoder_layer *from = &run->weights->encoder[i];
        struct layer layer = {from->attention_norm,
                              from->ffn_norm,
                              &from->wq,
                              &from->wk,
                              &from->wv,
                              &from->wo,
                              &from->w1,
                              &from->w3,
                              &from->w2,
                              from->wq_bias,
                              from->wv_bias,
                              from->wo_bias,
                              from->w2_bias,
                              NULL};
        layer.wv_bias = run->mistake == ES_MISTAKE_NO_WV_BIAS ? NULL : layer.wv_bias;
        layer.w2_bias = run->mistake == ES_MISTAKE_NO_W2_BIAS ? NULL : layer.w2_bias;
        attention_block(run, shape, window, &layer, x, row_count);
        ffn_block(shape, &layer, x, row_count);
        keep(run, ES_STAGE_ENCODER_LAYER, i, x, row_count, shape->dim);
    }
    final_norm(run, ES_STAGE_ENCODER, shape, run->weights->encoder_norm, x, row_count);
}

static double *adapt(struct run *run, const double *frames, uint32_t position_count) {
    uint32_t from_dim = run->model->encoder.dim;
    uint32_t dim = run->model->decoder.dim;
    uint32_t group = run->model->downsample;
    double *wide = new_rows(1, (size_t)group * from_dim);
    double *hidden = new_rows(1, dim);
    double *rows = new_rows(position_count, dim);
    for (uint32_t p = 0; p < position_count; p++) {
        for (uint32_t f = 0; f < group; f++) {
            for (uint32_t i = 0; i < from_dim; i++) {
                bool is_mixed = run->mistake == ES_MISTAKE_ADAPTER_CHANNEL_MAJOR;
                wide[is_mixed ? i * group + f : f * from_dim + i] =
                    frames[((size_t)p * group + f) * from_dim + i];
            }
        }
        linear(&run->weights->adapter0, NULL, wide, hidden);
        for (uint32_t i = 0; i < dim; i++) {
            hidden[i] = gelu(run, hidden[i]);
        }
        linear(&run->weights->adapter2, NULL, hidden, rows + (size_t)p * dim);
    }
    keep(run, ES_STAGE_ADAPTER, 0, rows, position_count, dim);
    free(wide);
    free(hidden);
    return rows;
}

/* scale [dim] = 1 + ada of one layer */
static void ada_scale(const struct run *run, const struct es_decoder_layer *layer, uint32_t delay,
                      double *scale) {
    uint32_t dim = run->model->decoder.dim;
    uint32_t half = dim / 2;
    bool is_swapped = run->mistake == ES_MISTAKE_SINE_FIRST;
    double *t = new_rows(1, dim);
    double *narrow = new_rows(1, run->model->ada_dim);
    for (uint32_t j = 0; j < half; j++) {
        double angle = delay * exp(-log(10000.0) * j / half);
        t[j] = is_swapped ? sin(angle) : cos(angle);
        t[half + j] = is_swapped ? cos(angle) : sin(angle);
    }
    linear(&layer->ada0, NULL, t, narrow);
    for (uint32_t i = 0; i < run->model->ada_dim; i++) {
        narrow[i] = gelu(run, narrow[i]);
    }
    linear(&layer->ada2, NULL, narrow, scale);
    for (uint32_t i = 0; i < dim; i++) {
        scale[i] += run->mistake == ES_MISTAKE_ADA_WITHOUT_ONE ? 0.0 : 1.0;
    }
    free(t);
    free(narrow);
}

static void decode(struct run *run, double *x, uint32_t position_count, uint32_t delay) {
    const struct es_stack *shape = &run->model->decoder;
    uint32_t window = shape->window;
    window += run->mistake == ES_MISTAKE_DECODER_WINDOW_WIDER ? 1u : 0u;
    window -= run->mistake == ES_MISTAKE_DECODER_WINDOW_NARROWER ? 1u : 0u;
    double *scale = new_rows(1, shape->dim);
    for (uint32_t i = 0; i < shape->layer_count; i++) {
        const struct es_decoder_layer *from = &run->weights->decoder[i];
        ada_scale(run, from, delay, scale);
        const struct layer layer = {from->attention_norm,
                                    from->ffn_norm,
                                    &from->wq,
                                    &from->wk,
                                    &from->wv,
                                    &from->wo,
                                    &from->w1,
                                    &from->w3,
                                    &from->w2,
                                    NULL,
                                    NULL,
                                    NULL,
                                    NULL,
                                    scale};
        attention_block(run, shape, window, &layer, x, position_count);
        ffn_block(shape, &layer, x, position_count);
        keep(run, ES_STAGE_DECODER_LAYER, i, x, position_count, shape->dim);
    }
    free(scale);
    final_norm(run, ES_STAGE_DECODER, shape, run->weights->decoder_norm, x, position_count);
}

void es_reference_run(struct es_reference *reference, const struct es_model *model,
                      const struct es_weights *weights, const float *mel, uint32_t position_count,
                      uint32_t delay_positions, const int32_t *ids, enum es_mistake mistake) {
    reference->stages = calloc(ES_STAGE_COUNT * ES_LAYER_COUNT_MAX, sizeof *reference->stages);
    if (reference->stages == NULL) {
        abort();
    }
    struct run run = {model, weights, mistake, reference};
    uint32_t dim = model->decoder.dim;
    double *frames = conv_stem(&run, mel, position_count * model->frames_per_position);
    encode(&run, frames, position_count * model->downsample);
    double *x = adapt(&run, frames, position_count);
    for (uint32_t p = 0; p < position_count; p++) {
        for (uint32_t i = 0; i < dim; i++) {
            x[(size_t)p * dim + i] += es_matrix_at(&weights->embedding, (uint32_t)ids[p], i);
        }
    }
    keep(&run, ES_STAGE_DECODER_INPUT, 0, x, position_count, dim);
    decode(&run, x, position_count, delay_positions);

    double *logits = new_rows(position_count, model->vocab_size);
    for (uint32_t p = 0; p < position_count; p++) {
        linear(&weights->embedding, NULL, x + (size_t)p * dim,
               logits + (size_t)p * model->vocab_size);
    }
    keep(&run, ES_STAGE_LOGITS, 0, logits, position_count, model->vocab_size);
    free(frames);
    free(x);
    free(logits);
}

const struct es_reference_stage *es_reference_rows(const struct es_reference *reference,
                                                   enum es_stage stage, uint32_t layer) {
    return &reference->stages[stage * ES_LAYER_COUNT_MAX + layer];
}

void es_reference_free(struct es_reference *reference) {
    for (size_t i = 0; i < (size_t)ES_STAGE_COUNT * ES_LAYER_COUNT_MAX; i++) {
        free(reference->stages[i].rows);
    }
    free(reference->stages);
}
