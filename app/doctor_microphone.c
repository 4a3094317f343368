/* doctor_microphone.c - a second of the microphone: whether sound comes, and what kind. */
#include "app/appliance.h"
#include "app/doctor.h"
#include "audio/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define LISTEN_NS NS_PER_S
#define PATIENCE_NS (3u * NS_PER_S) /* a USB card may take a while to start */
#define RATE_OFF_PERCENT 5u         /* a crystal is off by 0.01; this is a wrong clock, or losses */

struct heard {
    uint64_t frame_count;
    uint64_t clipped_count;
    double peak;
    double sum, square_sum;
    float first; /* sample */
    bool is_flat;
    uint64_t begin_ns, end_ns; /* of the frames behind the first look */
    uint64_t timed_frames;
};

static uint8_t frames[ES_CARD_BLOCK_FRAMES * ES_CARD_CHANNEL_COUNT_MAX * 4u];
static float mono[ES_CARD_BLOCK_FRAMES];

static void add(struct heard *heard, const struct es_card_setup *setup, uint32_t channel,
                size_t count) {
    heard->clipped_count +=
        es_convert_mono(setup->format, frames, count, setup->channel_count, channel, mono);
    if (heard->frame_count == 0) {
        heard->first = mono[0];
        heard->is_flat = true;
    }
    for (size_t i = 0; i < count; i++) {
        double sample = (double)mono[i];
        heard->peak = fmax(heard->peak, fabs(sample));
        heard->sum += sample;
        heard->square_sum += sample * sample;
        heard->is_flat = heard->is_flat && mono[i] == heard->first;
    }
    heard->frame_count += count;
}

/* All that is there now. 0, or the event that ended it. */
static int64_t read_there(struct es_card *card, const struct es_card_setup *setup, uint32_t channel,
                          struct heard *heard) {
    int64_t avail = card->ops->avail(card);
    while (avail > 0) {
        uint32_t wanted = avail < ES_CARD_BLOCK_FRAMES ? (uint32_t)avail : ES_CARD_BLOCK_FRAMES;
        int64_t got = card->ops->read(card, frames, wanted);
        if (got <= 0) {
            return got;
        }
        add(heard, setup, channel, (size_t)got);
        avail -= got;
    }
    return avail;
}

/* 0, or the event that ended it. */
static int64_t hear(struct es_card *card, const struct es_card_setup *setup, uint32_t channel,
                    struct heard *heard) {
    const struct es_card_ops *ops = card->ops;
    uint64_t deadline_ns = ops->now_ns(card) + PATIENCE_NS;
    uint64_t first_count = 0;
    int64_t event = ops->start(card);
    while (event == 0 && (heard->end_ns = ops->now_ns(card)) < deadline_ns) {
        const uint64_t count = heard->frame_count;
        const int waited = ops->wait(card, ES_CAPTURE_SLICE_MS);
        event = waited < 0 ? waited : read_there(card, setup, channel, heard);
        if (count == 0 && heard->frame_count > 0) { /* from here on by the clock */
            first_count = heard->frame_count;
            heard->begin_ns = ops->now_ns(card);
            deadline_ns = heard->begin_ns + LISTEN_NS;
        } else if (waited > 0 && heard->frame_count == count) { /* ready, it said, and is not */
            ops->sleep_until(card, ops->now_ns(card) + NS_PER_MS);
        }
    }
    heard->timed_frames = heard->frame_count - first_count;
    return event;
}

static const char *words_of(int64_t event) {
    switch (event) {
    case ES_CARD_GONE:
        return "went away while it was heard; plug it in again, or try another port";
    case ES_CARD_STOPPED:
        return "stops by itself; try another port or cable";
    default:
        return "gives an error while it is heard; try another port, or another card";
    }
}

static double decibels(double amplitude) {
    return amplitude > 1e-10 ? 20.0 * log10(amplitude) : -200.0;
}

static void judge(struct es_doctor *doctor, const struct es_card_setup *setup,
                  const struct heard *heard) {
    double count = (double)heard->frame_count;
    double mean = heard->sum / count;
    double seconds = (double)(heard->end_ns - heard->begin_ns) / (double)NS_PER_S;
    double rate = seconds > 0 ? (double)heard->timed_frames / seconds : 0;
    char what[256];
    (void)snprintf(what, sizeof what,
                   "%s, %u Hz (%.0f counted), %u channels, %s; a second of it: peak %.1f dB, RMS "
                   "%.1f dB",
                   setup->name, setup->rate, rate, setup->channel_count,
                   es_sample_format_name(setup->format), decibels(heard->peak),
                   decibels(sqrt(fmax(0.0, heard->square_sum / count - mean * mean))));
    if (heard->is_flat) {
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, "microphone",
                          "%s: nothing but one number; if that is so while somebody speaks it is "
                          "switched off, muted by its own switch (`alsamixer`), or broken",
                          what);
    } else if (heard->clipped_count > 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, "microphone",
                          "%s; %llu frames are clipped: lower its capture volume (`alsamixer`)",
                          what, (unsigned long long)heard->clipped_count);
    } else if (fabs(rate - (double)setup->rate) * 100.0 >
               (double)setup->rate * (double)RATE_OFF_PERCENT) {
        es_doctor_say_key(doctor, ES_DOCTOR_NOTE, "microphone",
                          "%s; it does not keep its rate: try another port or cable", what);
    } else if (setup->is_auto) {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, "microphone", "%s; chosen by auto, others here: %s",
                          what, setup->others[0] != '\0' ? setup->others : "none");
    } else {
        es_doctor_say_key(doctor, ES_DOCTOR_OK, "microphone", "%s", what);
    }
}

void es_doctor_check_microphone(struct es_doctor *doctor, struct es_card *card) {
    const struct es_card_want want = es_appliance_card_want(doctor->config);
    const uint32_t channel = doctor->config->channel;
    struct es_card_setup setup;
    struct es_error error;
    struct heard heard = {.frame_count = 0};
    if (card->ops->open(card, &want, &setup, &error) != ES_CARD_OK) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "microphone", "%s", error.text);
        return;
    }
    if (channel > setup.channel_count) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "channel",
                          "%s has %u; give 1 to %u, or 0 for all", setup.name, setup.channel_count,
                          setup.channel_count);
        card->ops->close(card);
        return;
    }
    const int64_t event = hear(card, &setup, channel, &heard);
    if (event < 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "microphone", "%s: %s", setup.name,
                          words_of(event));
    } else if (heard.frame_count == 0) {
        es_doctor_say_key(doctor, ES_DOCTOR_FAIL, "microphone",
                          "%s: opens and delivers nothing; plug it in again, or try another port",
                          setup.name);
    } else {
        judge(doctor, &setup, &heard);
    }
    card->ops->close(card);
}
