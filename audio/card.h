/* card.h - the seam to a sound card: what capture needs from one, and nothing of any library.
 *
 *   static struct es_card_alsa alsa;                      audio/card_alsa.h
 *   struct es_card *card = es_card_alsa(&alsa);
 *   result = card->ops->open(card, &want, &setup, &error);
 *   card->ops->start(card);
 *   card->ops->wait(card, 100); n = card->ops->avail(card); card->ops->read(card, buffer, n);
 *   es_card_list(visit, context, &error);                 `earshot devices`
 *
 * A card does what it is told and reports what it met; waiting for a lost one, counting what was
 * lost and everything else that is policy belongs to capture (capture.h), which tests drive with a
 * fake card. One thread, the one that captures, calls all operations of a card. */
#pragma once

#include "platform/bounds.h"
#include "platform/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Interleaved, little-endian, as ALSA names them. */
enum es_sample_format {
    ES_SAMPLE_S16,   /* 2 bytes */
    ES_SAMPLE_S24,   /* 4 bytes, the low three count */
    ES_SAMPLE_S24_3, /* 3 bytes */
    ES_SAMPLE_S32,   /* 4 bytes */
    ES_SAMPLE_F32,   /* 4 bytes, full scale is 1.0 */
    ES_SAMPLE_FORMAT_COUNT
};

/* "s16", "s24", "s24_3", "s32", "float". Static storage. */
const char *es_sample_format_name(enum es_sample_format format);
uint32_t es_sample_format_bytes(enum es_sample_format format);

/* What is asked for; a zero leaves the choice to the card. Strings belong to the caller and outlive
 * the capture. */
struct es_card_want {
    const char *name;       /* NULL or "": USB before others (card_auto.h). Otherwise a card's id
                             * ("Loopback", "Loopback,1" for its device 1), its name or a part of
                             * that ("USB PnP"), or any ALSA pcm ("hw:1,0", "default") */
    uint32_t rate;          /* Hz; 0: the card's own, 48000 where it has a choice */
    uint32_t channel_count; /* 0: as few as the card gives, and ... */
    uint32_t channel_count_min; /* ... at least so many; 0 for any */
    uint32_t period_us;         /* 0: ES_CARD_PERIOD_US */
    uint32_t buffer_us;         /* 0: ES_CARD_BUFFER_US */
};

/* What the card gave. */
struct es_card_setup {
    char name[ES_CARD_NAME_BYTES]; /* "hw:CARD=Loopback,DEV=1 (Loopback PCM)" */
    uint32_t rate;                 /* Hz, within ES_CARD_RATE_MIN..MAX */
    uint32_t channel_count;        /* 1..ES_CARD_CHANNEL_COUNT_MAX */
    enum es_sample_format format;
    uint32_t period_frames;
    uint32_t buffer_frames;
    bool is_auto;                       /* no name was wanted, and this one was chosen ... */
    char others[ES_CARD_TROUBLE_BYTES]; /* ... before these: "PCH, Device_1 (in use)"; or "" */
};

/* How opening ended. The error line names card, cause and remedy. */
enum es_card_result {
    ES_CARD_OK = 0,
    ES_CARD_ABSENT,  /* not there: unplugged, or a name that nothing has */
    ES_CARD_BUSY,    /* another program holds it; the line names that */
    ES_CARD_DENIED,  /* no permission; the line names the group */
    ES_CARD_UNUSABLE /* it is there and cannot be used: no known format, a library without ALSA */
};

/* What wait, avail, skip, read and start return beside counts. */
enum es_card_event {
    ES_CARD_STOPPED = -1,   /* the driver stopped the stream by itself (EPIPE) */
    ES_CARD_SUSPENDED = -2, /* the machine slept (ESTRPIPE); resume, then start */
    ES_CARD_GONE = -3,      /* unplugged (ENODEV, DISCONNECTED): close */
    ES_CARD_BROKEN = -4,    /* anything else: close */
    ES_CARD_AGAIN = -5      /* resume only: not yet */
};

struct es_card;

struct es_card_ops {
    /* Opens and configures, not yet running. On anything but ES_CARD_OK nothing stays open and the
     * line is written. May allocate inside of a library. */
    enum es_card_result (*open)(struct es_card *card, const struct es_card_want *want,
                                struct es_card_setup *setup, struct es_error *error);
    void (*close)(struct es_card *card);
    /* Prepares and starts the stream, throwing away what was unread. 0 or an es_card_event. */
    int (*start)(struct es_card *card);
    /* After ES_CARD_SUSPENDED: 0 runs again, ES_CARD_AGAIN, or another event: start or close. */
    int (*resume)(struct es_card *card);
    /* Sleeps until a period can be read or `timeout_ms` passed. 1 ready, 0 not, or an event. */
    int (*wait)(struct es_card *card, uint32_t timeout_ms);
    /* Frames captured and not yet read. More than buffer_frames when the stream runs on over unread
     * frames: the oldest of them are then overwritten. Or an event. */
    int64_t (*avail)(struct es_card *card);
    /* Throws away the oldest `frame_count` frames (<= avail); how many, or an event. */
    int64_t (*skip)(struct es_card *card, uint64_t frame_count);
    /* Up to `frame_count` of the oldest frames, interleaved; never blocks. How many, or event. */
    int64_t (*read)(struct es_card *card, void *frames, uint32_t frame_count);
    /* The time that paces the card, sleep of the machine included, in ns from any origin. */
    uint64_t (*now_ns)(struct es_card *card);
    void (*sleep_until)(struct es_card *card, uint64_t deadline_ns);
};

/* A kind of card begins with this. */
struct es_card {
    const struct es_card_ops *ops;
};

/* One line of `earshot devices`. */
struct es_card_entry {
    char id[ES_CARD_NAME_BYTES];         /* what the config wants: "Loopback" or "Loopback,1" */
    char name[ES_CARD_NAME_BYTES];       /* "USB PnP Audio Device, USB Audio" */
    uint32_t card_index, device_index;   /* move with every replug; for a person's eye alone */
    uint32_t rate_min, rate_max;         /* Hz; 0 where the card could not be asked */
    uint32_t channel_min, channel_max;   /* as above */
    char formats[ES_CARD_NAME_BYTES];    /* "s16 s24_3"; "" where the card could not be asked */
    bool is_auto;                        /* what no name stands for, now */
    char trouble[ES_CARD_TROUBLE_BYTES]; /* "" or why it could not be asked: busy, denied */
};

typedef void es_card_visit(void *context, const struct es_card_entry *entry);

/* Visits each capture device of the machine. Returns how many; 0 with `error` set to the line that
 * says why there is none (no card, no permission, built without ALSA). May allocate inside of
 * alsa-lib. */
int es_card_list(es_card_visit *visit, void *context, struct es_error *error);
