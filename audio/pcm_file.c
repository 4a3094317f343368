#include "audio/pcm.h"

#include "audio/container.h"
#include "audio/pcm_source.h"
#include "audio/resample.h"
#include "platform/bounds.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libsndfile's word for a length that it does not know. */
#define FRAME_COUNT_UNKNOWN SF_COUNT_MAX

/* SF_FORMAT_MPEG of libsndfile 1.1; the header of 1.0.31 (Ubuntu 22.04) lacks it. */
#define FORMAT_MPEG 0x230000

struct file_source {
    struct es_pcm base;
    int fd;
    SNDFILE *file;
    struct es_resampler *resampler;
    char *path;
    char format_name[96];
    uint64_t file_bytes;
    bool length_is_exact;              /* MP3 and Ogg headers only estimate it */
    struct es_container_extent extent; /* zeros when unknown */
    bool is_cut_ogg;

    float *frames; /* [ES_SOURCE_BLOCK_FRAMES, channel_count] */
    float *block;  /* [ES_SOURCE_BLOCK_FRAMES] after the down-mix */
    size_t block_count, block_taken;
    uint64_t frame_count; /* read so far */
    bool ended;           /* no more input: what the resampler holds, then end_status */
    enum es_status end_status;
    struct es_error end_error;
};

static void file_close(struct es_pcm *source) {
    struct file_source *self = (struct file_source *)source;
    if (self->file != NULL) {
        sf_close(self->file);
    }
    if (self->fd >= 0) {
        close(self->fd);
    }
    es_resampler_close(self->resampler);
    free(self->frames);
    free(self->block);
    free(self->path);
    free(self);
}

/* -- reading ----------------------------------------------------------------------------------- */

/* Decides how the recording ended; the caller hears of it after the last sample. */
static enum es_status judge_end(const struct file_source *self, struct es_error *error) {
    const unsigned long long frame_count = self->frame_count;
    if (self->extent.found_bytes < self->extent.promised_bytes) {
        return es_fail(
            error, ES_ERR_INPUT,
            "%s: is cut short: its header promises %llu bytes of samples, the file holds "
            "%llu (%.3f s); copy it again",
            self->path, (unsigned long long)self->extent.promised_bytes,
            (unsigned long long)self->extent.found_bytes,
            (double)frame_count / self->base.info.sample_rate);
    }
    if (self->is_cut_ogg) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: is cut short: its Ogg stream should go on after the %.3f s that can be "
                       "read; copy it again",
                       self->path, (double)frame_count / self->base.info.sample_rate);
    }
    if (sf_error(self->file) == SF_ERR_SYSTEM) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: cannot be read after %llu frames: %s; check the disk", self->path,
                       frame_count, sf_strerror(self->file));
    }
    if (self->length_is_exact && self->base.info.frame_count != UINT64_MAX &&
        frame_count < self->base.info.frame_count) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: is cut short or damaged: its header promises %llu frames, %llu can be "
                       "read (%.3f s); copy it again",
                       self->path, (unsigned long long)self->base.info.frame_count, frame_count,
                       (double)frame_count / self->base.info.sample_rate);
    }
    if (frame_count == 0) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: holds 0 samples, says its header; give a recording (sox "
                       "--ignore-length repairs one that was not finished)",
                       self->path);
    }
    return ES_OK;
}

static void end_input(struct file_source *self) {
    self->ended = true;
    self->end_status = judge_end(self, &self->end_error);
}

/* The mean of the channels, in double: no sum overflows, and one channel stays exact. Returns the
 * frames up to the first that holds something else than a sample. */
static size_t mix_down(struct file_source *self, size_t frame_count) {
    const uint32_t channel_count = self->base.info.channel_count;
    for (size_t t = 0; t < frame_count; t++) {
        const float *frame = self->frames + t * channel_count;
        double sum = 0.0;
        for (uint32_t channel = 0; channel < channel_count; channel++) {
            if (!(fabsf(frame[channel]) <= ES_SOURCE_SAMPLE_MAX)) {
                const double seconds =
                    (double)(self->frame_count + t) / self->base.info.sample_rate;
                self->ended = true;
                self->end_status =
                    es_fail(&self->end_error, ES_ERR_INPUT,
                            "%s: channel %u is %g at %.6f s, which is no sample (finite, at most "
                            "%g); repair or export the recording again",
                            self->path, channel + 1, (double)frame[channel], seconds,
                            (double)ES_SOURCE_SAMPLE_MAX);
                return t;
            }
            sum += (double)frame[channel];
        }
        self->block[t] = (float)(sum / channel_count);
    }
    return frame_count;
}

static void read_block(struct file_source *self) {
    const sf_count_t n = sf_readf_float(self->file, self->frames, ES_SOURCE_BLOCK_FRAMES);
    self->block_taken = 0;
    self->block_count = 0;
    if (n <= 0) {
        end_input(self);
        return;
    }
    self->block_count = mix_down(self, (size_t)n);
    self->frame_count += (uint64_t)n;
}

static int file_read(struct es_pcm *source, float *samples, size_t count, struct es_error *error) {
    struct file_source *self = (struct file_source *)source;
    size_t given = 0;
    while (given < count) {
        if (self->block_taken < self->block_count) {
            size_t taken = self->block_count - self->block_taken;
            given += es_resampler_push(self->resampler, self->block + self->block_taken, &taken,
                                       samples + given, count - given);
            self->block_taken += taken;
        } else if (!self->ended) {
            read_block(self);
        } else {
            given += es_resampler_drain(self->resampler, samples + given, count - given);
            break;
        }
    }
    if (given == 0 && self->end_status != ES_OK) {
        return es_fail(error, self->end_status, "%s", self->end_error.text);
    }
    return (int)given;
}

static const struct es_pcm_ops file_ops = {.read = file_read, .close = file_close};

/* -- opening ----------------------------------------------------------------------------------- */

static enum es_status open_path(struct file_source *self, struct es_error *error) {
    struct stat info;
    /* O_NONBLOCK: a pipe without a writer is refused below instead of waited for. */
    self->fd = open(self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (self->fd < 0) {
        const int code = errno;
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be opened: %s; %s", self->path,
                       strerror(code),
                       code == ENOENT   ? "check the path"
                       : code == EACCES ? "make it readable"
                                        : "give a recording");
    }
    if (fstat(self->fd, &info) != 0) {
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be looked at: %s; check the disk",
                       self->path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        return es_fail(error, ES_ERR_INPUT, "%s: is a directory; give a recording in it",
                       self->path);
    }
    if (!S_ISREG(info.st_mode)) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: is no regular file; pipe 16 kHz mono s16le samples into '-' instead",
                       self->path);
    }
    if (info.st_size == 0) {
        return es_fail(error, ES_ERR_INPUT, "%s: is empty; give a recording", self->path);
    }
    self->file_bytes = (uint64_t)info.st_size;
    return ES_OK;
}

static void name_format(struct file_source *self, int format) {
    SF_FORMAT_INFO major = {.format = format & SF_FORMAT_TYPEMASK};
    SF_FORMAT_INFO minor = {.format = format & SF_FORMAT_SUBMASK};
    sf_command(NULL, SFC_GET_FORMAT_INFO, &major, sizeof major);
    sf_command(NULL, SFC_GET_FORMAT_INFO, &minor, sizeof minor);
    snprintf(self->format_name, sizeof self->format_name, "%s, %s",
             major.name != NULL ? major.name : "unnamed container",
             minor.name != NULL ? minor.name : "unnamed encoding");
}

static enum es_status check_shape(const struct file_source *self, const SF_INFO *info,
                                  struct es_error *error) {
    if (info->samplerate < (int)ES_SOURCE_RATE_MIN || info->samplerate > (int)ES_SOURCE_RATE_MAX) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: has a sample rate of %d Hz, expected %u to %u; convert it", self->path,
                       info->samplerate, ES_SOURCE_RATE_MIN, ES_SOURCE_RATE_MAX);
    }
    if (info->channels < 1 || info->channels > (int)ES_SOURCE_CHANNEL_COUNT_MAX) {
        return es_fail(error, ES_ERR_INPUT, "%s: has %d channels, expected 1 to %u; convert it",
                       self->path, info->channels, ES_SOURCE_CHANNEL_COUNT_MAX);
    }
    return ES_OK;
}

static enum es_status open_decoder(struct file_source *self, struct es_error *error) {
    SF_INFO info = {0};
    self->file = sf_open_fd(self->fd, SFM_READ, &info, SF_FALSE);
    if (self->file == NULL) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: is no recording in a format that is read here (%s); convert it to WAV, "
                       "FLAC, Ogg Vorbis or Opus",
                       self->path, sf_strerror(NULL));
    }
    const enum es_status status = check_shape(self, &info, error);
    if (status != ES_OK) {
        return status;
    }
    const int major = info.format & SF_FORMAT_TYPEMASK;
    self->length_is_exact = major != SF_FORMAT_OGG && major != FORMAT_MPEG;
    name_format(self, info.format);
    self->base.info = (struct es_pcm_info){
        .sample_rate = (uint32_t)info.samplerate,
        .channel_count = (uint32_t)info.channels,
        .frame_count = info.frames >= 0 && info.frames < FRAME_COUNT_UNKNOWN ? (uint64_t)info.frames
                                                                             : UINT64_MAX,
        .format_name = self->format_name};
    if (!es_container_extent(self->fd, self->file_bytes, &self->extent)) {
        self->extent = (struct es_container_extent){0};
    }
    self->is_cut_ogg =
        major == SF_FORMAT_OGG && es_container_ogg_is_cut(self->fd, self->file_bytes);
    return self->base.info.frame_count == 0 ? judge_end(self, error) : ES_OK;
}

static enum es_status open_buffers(struct file_source *self, struct es_error *error) {
    self->frames = calloc((size_t)ES_SOURCE_BLOCK_FRAMES * self->base.info.channel_count,
                          sizeof *self->frames);
    self->block = calloc(ES_SOURCE_BLOCK_FRAMES, sizeof *self->block);
    if (self->frames == NULL || self->block == NULL) {
        return es_fail(error, ES_ERR_HARDWARE, "%s: out of memory; free some and try again",
                       self->path);
    }
    return es_resampler_open(&self->resampler, self->base.info.sample_rate, ES_RESAMPLE_BEST,
                             error);
}

enum es_status es_pcm_open_file(struct es_pcm **source, const char *path, struct es_error *error) {
    struct file_source *self = calloc(1, sizeof *self);
    if (self == NULL || (self->path = strdup(path)) == NULL) {
        free(self);
        return es_fail(error, ES_ERR_HARDWARE, "%s: out of memory; free some and try again", path);
    }
    self->base.ops = &file_ops;
    self->fd = -1;
    enum es_status status = open_path(self, error);
    if (status == ES_OK) {
        status = open_decoder(self, error);
    }
    if (status == ES_OK) {
        status = open_buffers(self, error);
    }
    if (status != ES_OK) {
        file_close(&self->base);
        return status;
    }
    *source = &self->base;
    return ES_OK;
}
