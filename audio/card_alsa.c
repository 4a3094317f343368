#include "audio/card_alsa.h"

#include "audio/card_find.h"
#include "platform/assert.h"
#include "platform/clock.h"
#include "platform/text.h"

#include <alsa/asoundlib.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum es_sample_format format;
    snd_pcm_format_t alsa;
} formats[] = {
    /* In the order of preference: what a converter has beyond 16 bits, quiet speech needs. */
    {ES_SAMPLE_S32, SND_PCM_FORMAT_S32_LE},    {ES_SAMPLE_S24, SND_PCM_FORMAT_S24_LE},
    {ES_SAMPLE_S24_3, SND_PCM_FORMAT_S24_3LE}, {ES_SAMPLE_S16, SND_PCM_FORMAT_S16_LE},
    {ES_SAMPLE_F32, SND_PCM_FORMAT_FLOAT_LE},
};

/* The rate that most converters are built for first, then by quality. */
static const uint32_t rates[] = {48000, 44100, 96000, 32000,  16000,
                                 88200, 24000, 22050, 192000, 8000};

static struct es_card_alsa *self_of(struct es_card *card) {
    return (struct es_card_alsa *)card;
}

/* What alsa-lib returned, as an event of the seam. The stream's state knows more than the code. */
static int event_of(snd_pcm_t *pcm, long code) {
    const snd_pcm_state_t state = snd_pcm_state(pcm);
    if (code == -ENODEV || code == -ENXIO || state == SND_PCM_STATE_DISCONNECTED) {
        return ES_CARD_GONE;
    }
    if (code == -ESTRPIPE || state == SND_PCM_STATE_SUSPENDED) {
        return ES_CARD_SUSPENDED;
    }
    if (code == -EPIPE || state == SND_PCM_STATE_XRUN || state == SND_PCM_STATE_SETUP ||
        state == SND_PCM_STATE_PREPARED) {
        return ES_CARD_STOPPED;
    }
    return ES_CARD_BROKEN;
}

/* -- opening ---------------------------------------------------------------------------------- */

struct opening {
    snd_pcm_t *pcm;
    snd_pcm_hw_params_t *hw;
    const struct es_card_found *found;
    const struct es_card_want *want;
    struct es_card_setup *setup;
    struct es_error *error;
    bool is_mmap;
};

static enum es_card_result unusable(struct opening *o, const char *what, int code) {
    (void)es_fail(o->error, ES_ERR_HARDWARE, "sound card %s: %s: %s; try another card",
                  o->found->pcm, what, snd_strerror(code));
    return ES_CARD_UNUSABLE;
}

static enum es_card_result choose_format(struct opening *o) {
    int code = snd_pcm_hw_params_set_access(o->pcm, o->hw, SND_PCM_ACCESS_RW_INTERLEAVED);
    if (code < 0) {
        o->is_mmap = true;
        code = snd_pcm_hw_params_set_access(o->pcm, o->hw, SND_PCM_ACCESS_MMAP_INTERLEAVED);
    }
    if (code < 0) {
        return unusable(o, "gives no interleaved frames", code);
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (snd_pcm_hw_params_set_format(o->pcm, o->hw, formats[i].alsa) == 0) {
            o->setup->format = formats[i].format;
            return ES_CARD_OK;
        }
    }
    return unusable(o, "has none of the formats s16, s24, s24_3, s32, float", -EINVAL);
}

static enum es_card_result choose_channels(struct opening *o) {
    unsigned count_min = 0, count_max = 0;
    (void)snd_pcm_hw_params_get_channels_min(o->hw, &count_min);
    (void)snd_pcm_hw_params_get_channels_max(o->hw, &count_max);
    unsigned least = o->want->channel_count_min;
    if (least > count_min && snd_pcm_hw_params_set_channels_min(o->pcm, o->hw, &least) < 0) {
        (void)es_fail(
            o->error, ES_ERR_USAGE,
            "sound card %s: channel %u is wanted and it has %u; give 1 to %u, or 0 for all",
            o->found->pcm, o->want->channel_count_min, count_max, count_max);
        return ES_CARD_UNUSABLE;
    }
    unsigned count = o->want->channel_count;
    if (count == 0) { /* as few as there may be */
        (void)snd_pcm_hw_params_get_channels_min(o->hw, &count);
    }
    const int code = snd_pcm_hw_params_set_channels(o->pcm, o->hw, count);
    if (code < 0 || count > ES_CARD_CHANNEL_COUNT_MAX) {
        (void)es_fail(o->error, ES_ERR_HARDWARE,
                      "sound card %s: cannot give %u channels: it has %u to %u, and %u are the "
                      "limit; choose another number",
                      o->found->pcm, count, count_min, count_max, ES_CARD_CHANNEL_COUNT_MAX);
        return ES_CARD_UNUSABLE;
    }
    o->setup->channel_count = count;
    return ES_CARD_OK;
}

static enum es_card_result choose_rate(struct opening *o) {
    unsigned rate = o->want->rate;
    for (size_t i = 0; rate == 0 && i < sizeof rates / sizeof rates[0]; i++) {
        rate = snd_pcm_hw_params_test_rate(o->pcm, o->hw, rates[i], 0) == 0 ? rates[i] : 0;
    }
    unsigned rate_min = 0, rate_max = 0;
    (void)snd_pcm_hw_params_get_rate_min(o->hw, &rate_min, NULL);
    (void)snd_pcm_hw_params_get_rate_max(o->hw, &rate_max, NULL);
    rate = rate > 0 ? rate : rate_min;
    const int code = snd_pcm_hw_params_set_rate(o->pcm, o->hw, rate, 0);
    if (code < 0 || rate < ES_CARD_RATE_MIN || rate > ES_CARD_RATE_MAX) {
        (void)es_fail(o->error, ES_ERR_HARDWARE,
                      "sound card %s: cannot run at %u Hz: it has %u to %u Hz, and %u to %u are "
                      "the limits; choose another rate",
                      o->found->pcm, rate, rate_min, rate_max, ES_CARD_RATE_MIN, ES_CARD_RATE_MAX);
        return ES_CARD_UNUSABLE;
    }
    o->setup->rate = rate;
    return ES_CARD_OK;
}

/* The period first: it is the delay. The buffer is then as near as the card's number of periods
 * allows. */
static enum es_card_result choose_buffer(struct opening *o) {
    unsigned period_us = o->want->period_us > 0 ? o->want->period_us : ES_CARD_PERIOD_US;
    unsigned buffer_us = o->want->buffer_us > 0 ? o->want->buffer_us : ES_CARD_BUFFER_US;
    period_us = period_us > ES_CARD_PERIOD_US_MIN ? period_us : ES_CARD_PERIOD_US_MIN;
    period_us = period_us < ES_CARD_PERIOD_US_MAX ? period_us : ES_CARD_PERIOD_US_MAX;
    buffer_us = buffer_us < ES_CARD_BUFFER_US_MAX ? buffer_us : ES_CARD_BUFFER_US_MAX;
    (void)snd_pcm_hw_params_set_period_time_near(o->pcm, o->hw, &period_us, NULL);
    (void)snd_pcm_hw_params_set_buffer_time_near(o->pcm, o->hw, &buffer_us, NULL);
    const int code = snd_pcm_hw_params(o->pcm, o->hw);
    if (code < 0) {
        return unusable(o, "refuses its own parameters", code);
    }
    snd_pcm_uframes_t period_frames = 0, buffer_frames = 0;
    (void)snd_pcm_hw_params_get_period_size(o->hw, &period_frames, NULL);
    (void)snd_pcm_hw_params_get_buffer_size(o->hw, &buffer_frames);
    if (period_frames == 0 || buffer_frames < 2 * period_frames || buffer_frames > UINT32_MAX / 2) {
        return unusable(o, "has a buffer of less than two periods", -EINVAL);
    }
    o->setup->period_frames = (uint32_t)period_frames;
    o->setup->buffer_frames = (uint32_t)buffer_frames;
    return ES_CARD_OK;
}

/* A stop threshold that is never reached: the stream runs on over unread frames, and the position
 * tells how many they were. */
static enum es_card_result set_thresholds(struct opening *o) {
    snd_pcm_sw_params_t *sw;
    snd_pcm_sw_params_alloca(&sw);
    snd_pcm_uframes_t boundary = 0;
    int code = snd_pcm_sw_params_current(o->pcm, sw);
    if (code == 0) {
        code = snd_pcm_sw_params_get_boundary(sw, &boundary);
    }
    if (code == 0) {
        code = snd_pcm_sw_params_set_stop_threshold(o->pcm, sw, boundary);
    }
    if (code == 0) { /* nor does reading start it */
        code = snd_pcm_sw_params_set_start_threshold(o->pcm, sw, boundary);
    }
    if (code == 0) {
        code = snd_pcm_sw_params_set_avail_min(o->pcm, sw, o->setup->period_frames);
    }
    if (code == 0) {
        code = snd_pcm_sw_params(o->pcm, sw);
    }
    return code < 0 ? unusable(o, "refuses its thresholds", code) : ES_CARD_OK;
}

static enum es_card_result configure(struct opening *o) {
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    o->hw = hw;
    const int code = snd_pcm_hw_params_any(o->pcm, o->hw);
    enum es_card_result result = ES_CARD_OK;
    if (code < 0) {
        result = unusable(o, "has no configuration", code);
    }
    (void)snd_pcm_hw_params_set_rate_resample(o->pcm, o->hw, 0);
    result = result == ES_CARD_OK ? choose_format(o) : result;
    result = result == ES_CARD_OK ? choose_channels(o) : result;
    result = result == ES_CARD_OK ? choose_rate(o) : result;
    result = result == ES_CARD_OK ? choose_buffer(o) : result;
    result = result == ES_CARD_OK ? set_thresholds(o) : result;
    o->hw = NULL; /* it lay on this stack */
    return result;
}

static enum es_card_result open_found(struct es_card_alsa *self, const struct es_card_found *found,
                                      const struct es_card_want *want, struct es_card_setup *setup,
                                      struct es_error *error) {
    snd_pcm_t *pcm = NULL;
    const int code = snd_pcm_open(&pcm, found->pcm, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
    if (code < 0) {
        return es_card_explain(found, code, error);
    }
    memset(setup, 0, sizeof *setup);
    (void)snprintf(setup->name, sizeof setup->name,
                   found->name[0] != '\0' ? "%.45s (%.45s)" : "%s%s", found->pcm, found->name);
    es_text_make_printable(setup->name); /* the name is what the device says of itself */
    struct opening o = {.pcm = pcm, .found = found, .want = want, .setup = setup, .error = error};
    const enum es_card_result result = configure(&o);
    if (result != ES_CARD_OK) {
        (void)snd_pcm_close(pcm);
        return result;
    }
    self->pcm = pcm;
    self->is_mmap = o.is_mmap;
    return ES_CARD_OK;
}

/* -- microphone = auto ------------------------------------------------------------------------ */

struct auto_opening {
    struct es_card_alsa *self;
    const struct es_card_want *want;
    struct es_card_setup *setup;
};

static enum es_card_result try_candidate(void *context, const struct es_card_candidate *candidate,
                                         struct es_error *error) {
    const struct auto_opening *o = context;
    return open_found(o->self, &candidate->found, o->want, o->setup, error);
}

static enum es_card_result open_auto(struct es_card_alsa *self, const struct es_card_want *want,
                                     struct es_card_setup *setup, struct es_error *error) {
    struct es_card_candidate candidates[ES_CARD_COUNT_MAX];
    struct auto_opening opening = {.self = self, .want = want, .setup = setup};
    uint32_t opened = 0;
    const uint32_t count =
        es_card_auto_order(&self->memory, candidates, es_card_candidates("", candidates));
    if (count == 0) {
        return es_card_fail_absent(self->memory.is_heard ? self->memory.id : "", error);
    }
    const enum es_card_result result = es_card_auto_open(&self->memory, candidates, count,
                                                         try_candidate, &opening, &opened, error);
    if (result == ES_CARD_OK) {
        setup->is_auto = true;
        es_card_auto_others(candidates, count, opened, setup->others, sizeof setup->others);
    }
    return result;
}

static enum es_card_result alsa_open(struct es_card *card, const struct es_card_want *want,
                                     struct es_card_setup *setup, struct es_error *error) {
    struct es_card_alsa *self = self_of(card);
    ES_ASSERT(self->pcm == NULL);
    es_card_silence_alsa();
    if (want->name == NULL || want->name[0] == '\0') {
        return open_auto(self, want, setup, error);
    }
    struct es_card_found found;
    const enum es_card_result result = es_card_find(want->name, &found, error);
    return result == ES_CARD_OK ? open_found(self, &found, want, setup, error) : result;
}

static void alsa_close(struct es_card *card) {
    struct es_card_alsa *self = self_of(card);
    (void)snd_pcm_drop(self->pcm);
    (void)snd_pcm_close(self->pcm);
    self->pcm = NULL;
}

/* -- the stream ------------------------------------------------------------------------------- */

/* A capture stream that is only prepared never starts by itself: it is started, too. */
static int alsa_start(struct es_card *card) {
    snd_pcm_t *pcm = self_of(card)->pcm;
    (void)snd_pcm_drop(pcm);
    int code = snd_pcm_prepare(pcm);
    if (code == 0) {
        code = snd_pcm_start(pcm);
    }
    return code == 0 ? 0 : event_of(pcm, code);
}

static int alsa_resume(struct es_card *card) {
    snd_pcm_t *pcm = self_of(card)->pcm;
    const int code = snd_pcm_resume(pcm);
    return code == 0 ? 0 : code == -EAGAIN ? ES_CARD_AGAIN : event_of(pcm, code);
}

static int alsa_wait(struct es_card *card, uint32_t timeout_ms) {
    snd_pcm_t *pcm = self_of(card)->pcm;
    const int code = snd_pcm_wait(pcm, (int)timeout_ms);
    return code >= 0 ? code : code == -EINTR || code == -EAGAIN ? 0 : event_of(pcm, code);
}

static int64_t alsa_avail(struct es_card *card) {
    snd_pcm_t *pcm = self_of(card)->pcm;
    const snd_pcm_sframes_t count = snd_pcm_avail(pcm);
    return count >= 0 ? count : count == -EINTR || count == -EAGAIN ? 0 : event_of(pcm, count);
}

static int64_t alsa_skip(struct es_card *card, uint64_t frame_count) {
    snd_pcm_t *pcm = self_of(card)->pcm;
    const snd_pcm_sframes_t count = snd_pcm_forward(pcm, (snd_pcm_uframes_t)frame_count);
    if (count == -ENOSYS || count == -EINVAL) {
        return 0; /* what is overwritten is then found out by reading it */
    }
    return count >= 0 ? count : event_of(pcm, count);
}

static int64_t alsa_read(struct es_card *card, void *frames, uint32_t frame_count) {
    struct es_card_alsa *self = self_of(card);
    snd_pcm_t *pcm = self->pcm;
    const snd_pcm_sframes_t count = self->is_mmap ? snd_pcm_mmap_readi(pcm, frames, frame_count)
                                                  : snd_pcm_readi(pcm, frames, frame_count);
    self->memory.is_heard |= count > 0;
    return count >= 0 ? count : count == -EINTR || count == -EAGAIN ? 0 : event_of(pcm, count);
}

static uint64_t alsa_now_ns(struct es_card *card) {
    (void)card;
    return es_clock_boot_ns();
}

static void alsa_sleep_until(struct es_card *card, uint64_t deadline_ns) {
    (void)card;
    es_clock_boot_sleep_until(deadline_ns);
}

struct es_card *es_card_alsa(struct es_card_alsa *memory) {
    static const struct es_card_ops ops = {
        .open = alsa_open,
        .close = alsa_close,
        .start = alsa_start,
        .resume = alsa_resume,
        .wait = alsa_wait,
        .avail = alsa_avail,
        .skip = alsa_skip,
        .read = alsa_read,
        .now_ns = alsa_now_ns,
        .sleep_until = alsa_sleep_until,
    };
    memset(memory, 0, sizeof *memory);
    memory->base.ops = &ops;
    return &memory->base;
}
