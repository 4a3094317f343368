/* play.c - a recording into a sound card, at the rate and width of a USB microphone, on time.
 *
 *   play hw:Mic,1 48000 2 talk.flac           prints "NS played talk.flac SAMPLES" when it is over
 *   play hw:Mic,1 48000 2 talk.flac 1500      the first 1,500 ms of it, in blocks of 100
 *
 * NS is CLOCK_MONOTONIC of the moment at which the first sample left the card; SAMPLES counts those
 * of the recording at 16 kHz. Sample k of it thus left at NS + k / 16000 s, give or take the
 * resampler's 2 ms. */
#include "audio/pcm.h"

#include <alsa/asoundlib.h>
#include <inttypes.h>
#include <math.h>
#include <speex/speex_resampler.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SAMPLES 1600
#define BLOCK_FRAMES_MAX (BLOCK_SAMPLES * 12 + 64) /* 192 kHz */
#define CHANNELS_MAX 8
#define LATENCY_US 100000
#define RESAMPLER_QUALITY 10

struct player {
    snd_pcm_t *pcm;
    unsigned rate;
    unsigned channels;
    snd_pcm_format_t format;
    uint64_t sample_count_max;
    SpeexResamplerState *resampler;
    uint64_t sample_count;
};

static int fail(const char *what, const char *why) {
    fprintf(stderr, "play: %s: %s\n", what, why);
    return 4;
}

static const snd_pcm_format_t formats[] = {SND_PCM_FORMAT_S16_LE, SND_PCM_FORMAT_S32_LE,
                                           SND_PCM_FORMAT_FLOAT_LE};

/* A loopback card is bound to what its other end has chosen, so all of this is a wish. */
static int set_hardware(struct player *player) {
    snd_pcm_hw_params_t *hardware;
    unsigned latency_us = LATENCY_US;
    snd_pcm_hw_params_alloca(&hardware);
    snd_pcm_hw_params_any(player->pcm, hardware);
    snd_pcm_hw_params_set_access(player->pcm, hardware, SND_PCM_ACCESS_RW_INTERLEAVED);
    size_t i = 0;
    while (i < 2 && snd_pcm_hw_params_test_format(player->pcm, hardware, formats[i]) != 0) {
        i++;
    }
    player->format = formats[i];
    int status = snd_pcm_hw_params_set_format(player->pcm, hardware, player->format);
    if (status == 0) {
        status = snd_pcm_hw_params_set_channels_near(player->pcm, hardware, &player->channels);
    }
    if (status == 0) {
        status = snd_pcm_hw_params_set_rate_near(player->pcm, hardware, &player->rate, NULL);
    }
    if (status == 0) {
        snd_pcm_hw_params_set_buffer_time_near(player->pcm, hardware, &latency_us, NULL);
        status = snd_pcm_hw_params(player->pcm, hardware);
    }
    return status;
}

static int open_card(struct player *player, const char *card) {
    int status = snd_pcm_open(&player->pcm, card, SND_PCM_STREAM_PLAYBACK, 0);
    if (status == 0) {
        status = set_hardware(player);
    }
    snd_pcm_sw_params_t *software;
    snd_pcm_sw_params_alloca(&software);
    if (status == 0) {
        status = snd_pcm_sw_params_current(player->pcm, software);
    }
    if (status == 0) {
        snd_pcm_sw_params_set_tstamp_mode(player->pcm, software, SND_PCM_TSTAMP_ENABLE);
        snd_pcm_sw_params_set_tstamp_type(player->pcm, software, SND_PCM_TSTAMP_TYPE_MONOTONIC);
        status = snd_pcm_sw_params(player->pcm, software);
    }
    return status;
}

/* One frame of the card: the sample in every channel. */
static uint8_t *put_frame(const struct player *player, uint8_t *out, float sample) {
    float clipped = fminf(0.999969f, fmaxf(-1.0f, sample));
    int16_t narrow = (int16_t)lrintf(32768.0f * clipped);
    int32_t wide = (int32_t)narrow * 65536;
    for (unsigned channel = 0; channel < player->channels; channel++) {
        if (player->format == SND_PCM_FORMAT_S16_LE) {
            memcpy(out, &narrow, sizeof narrow);
            out += sizeof narrow;
        } else if (player->format == SND_PCM_FORMAT_S32_LE) {
            memcpy(out, &wide, sizeof wide);
            out += sizeof wide;
        } else {
            memcpy(out, &clipped, sizeof clipped);
            out += sizeof clipped;
        }
    }
    return out;
}

static int play_block(struct player *player, const float *samples, uint32_t sample_count) {
    static float resampled[BLOCK_FRAMES_MAX];
    static uint8_t frames[BLOCK_FRAMES_MAX * CHANNELS_MAX * sizeof(int32_t)];
    uint32_t frame_count = BLOCK_FRAMES_MAX;
    speex_resampler_process_float(player->resampler, 0, samples, &sample_count, resampled,
                                  &frame_count);
    uint8_t *end = frames;
    for (uint32_t i = 0; i < frame_count; i++) {
        end = put_frame(player, end, resampled[i]);
    }
    size_t frame_bytes = frame_count > 0 ? (size_t)(end - frames) / frame_count : 0;
    for (uint32_t done = 0; done < frame_count;) {
        snd_pcm_sframes_t count =
            snd_pcm_writei(player->pcm, frames + done * frame_bytes, frame_count - done);
        if (count < 0) {
            return (int)count;
        }
        done += (uint32_t)count;
    }
    return 0;
}

static int play_file(struct player *player, const char *path) {
    struct es_pcm *source;
    struct es_error error;
    static float samples[BLOCK_SAMPLES];
    if (es_pcm_open_file(&source, path, &error) != ES_OK) {
        return fail(path, error.text);
    }
    int count, status = 0;
    while (status == 0 && player->sample_count < player->sample_count_max &&
           (count = es_pcm_read(source, samples, BLOCK_SAMPLES, &error)) > 0) {
        player->sample_count += (uint64_t)count;
        status = play_block(player, samples, (uint32_t)count);
    }
    es_pcm_close(source);
    return status < 0 ? fail(path, snd_strerror(status)) : 0;
}

int main(int argc, char **argv) {
    struct player player = {0};
    if (argc != 5 && argc != 6) {
        return fail("usage", "play CARD RATE CHANNELS RECORDING [MS]");
    }
    player.sample_count_max = argc == 6 ? strtoull(argv[5], NULL, 10) * 16 : UINT64_MAX;
    player.rate = (unsigned)strtoul(argv[2], NULL, 10);
    player.channels = (unsigned)strtoul(argv[3], NULL, 10);
    if (player.rate < 8000 || player.rate > 192000 || player.channels < 1 ||
        player.channels > CHANNELS_MAX) {
        return fail(argv[2], "rate 8000 to 192000, 1 to 8 channels");
    }
    int status = open_card(&player, argv[1]);
    if (status != 0) {
        return fail(argv[1], snd_strerror(status));
    }
    player.resampler = speex_resampler_init(1, 16000, player.rate, RESAMPLER_QUALITY, &status);
    if (player.resampler == NULL) {
        return fail(argv[4], speex_resampler_strerror(status));
    }
    speex_resampler_skip_zeros(player.resampler);
    status = play_file(&player, argv[4]);
    if (status != 0) {
        return status;
    }
    snd_pcm_status_t *card;
    snd_pcm_status_alloca(&card);
    snd_htimestamp_t began = {0};
    if (snd_pcm_status(player.pcm, card) == 0) {
        snd_pcm_status_get_trigger_htstamp(card, &began);
    }
    snd_pcm_drain(player.pcm);
    snd_pcm_close(player.pcm);
    speex_resampler_destroy(player.resampler);
    printf("%" PRIu64 " played %s %" PRIu64 "\n",
           (uint64_t)began.tv_sec * 1000000000u + (uint64_t)began.tv_nsec, argv[4],
           player.sample_count);
    return 0;
}
