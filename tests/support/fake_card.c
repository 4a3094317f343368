#include "tests/support/fake_card.h"

#include "platform/assert.h"
#include "platform/clock.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define NOT_FROZEN UINT64_MAX

double es_fake_world(uint64_t frame) {
    const int32_t code = (int32_t)(frame & 0xffffu) - 32768;
    return (double)code / 32768.0;
}

uint64_t es_fake_frame_at(const struct es_fake_card *fake, uint64_t frame_ns) {
    return frame_ns / NS_PER_S * fake->setup.rate +
           frame_ns % NS_PER_S * fake->setup.rate / NS_PER_S;
}

/* Time has ended, and the capture thread may be a real-time one: others are to run. */
static void rest(void) {
    es_clock_sleep_until(es_clock_ns() + NS_PER_MS);
}

static bool is_within(const struct es_fake_card *fake, enum es_fake_kind kind) {
    return fake->now_ns < fake->until_ns[kind];
}

/* The frame that the card is about to capture. */
static uint64_t hardware_frame(const struct es_fake_card *fake) {
    return fake->frozen_frame != NOT_FROZEN ? fake->frozen_frame
                                            : es_fake_frame_at(fake, fake->frame_ns);
}

static void freeze_at(struct es_fake_card *fake) {
    if (fake->frozen_frame == NOT_FROZEN) {
        fake->frozen_frame = hardware_frame(fake);
    }
}

static void stop(struct es_fake_card *fake) {
    if (fake->is_running) {
        freeze_at(fake);
        fake->is_running = false;
        fake->is_stopped = true;
    }
}

static void strike(struct es_fake_card *fake, const struct es_fake_fault *fault) {
    fake->fault_counts[fault->kind]++;
    switch (fault->kind) {
    case ES_FAKE_STOP:
        stop(fake);
        return;
    case ES_FAKE_SUSPEND: /* the clock counts sleep; the card does not run in it */
        stop(fake);
        fake->until_ns[ES_FAKE_SUSPEND] = UINT64_MAX; /* until it was resumed */
        fake->now_ns += fault->length_ns;
        fake->frame_ns += fault->length_ns;
        fake->resumed_ns = fake->now_ns + 300 * NS_PER_MS;
        return;
    case ES_FAKE_UNPLUG:
        fake->is_gone = fake->is_open;
        fake->is_running = false;
        fake->index++;
        break;
    case ES_FAKE_STUCK:
        freeze_at(fake);
        break;
    case ES_FAKE_JUMP:
        fake->now_ns += fault->length_ns;
        return;
    default:
        break;
    }
    if (fault->kind != ES_FAKE_LATE && fault->kind != ES_FAKE_LATE_READ) {
        fake->until_ns[fault->kind] = fake->now_ns + fault->length_ns;
    } else {
        fake->until_ns[fault->kind] += fault->length_ns; /* a debt of time */
    }
}

/* Time moves on, and meets the faults on its way. */
static void pass(struct es_fake_card *fake, uint64_t ns) {
    uint64_t end_ns = fake->now_ns + ns;
    if (fake->end_ns != 0 && end_ns >= fake->end_ns) {
        end_ns = fake->now_ns < fake->end_ns ? fake->end_ns : fake->now_ns;
        atomic_store(&fake->has_ended, true);
    }
    while (fake->next_fault < fake->fault_count && fake->faults[fake->next_fault].at_ns <= end_ns) {
        const struct es_fake_fault *fault = &fake->faults[fake->next_fault++];
        if (fault->at_ns > fake->now_ns) {
            fake->frame_ns += fault->at_ns - fake->now_ns;
            fake->now_ns = fault->at_ns;
        }
        strike(fake, fault);
    }
    if (end_ns > fake->now_ns) {
        fake->frame_ns += end_ns - fake->now_ns;
        fake->now_ns = end_ns;
    }
    if (fake->frozen_frame != NOT_FROZEN && fake->is_running && !is_within(fake, ES_FAKE_STUCK)) {
        /* What was not captured while it was stuck is no frame of this stream. */
        fake->read_frame += es_fake_frame_at(fake, fake->frame_ns) - fake->frozen_frame;
        fake->frozen_frame = NOT_FROZEN;
    }
    if (fake->stops_itself && fake->is_running &&
        hardware_frame(fake) - fake->read_frame > fake->setup.buffer_frames) {
        stop(fake);
    }
}

/* Begins every call but now_ns. Returns 0 or the event that the stream's state calls for. */
static int enter(struct es_card *card) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    fake->call_count++;
    pass(fake, fake->call_ns);
    if (fake->is_gone) {
        return ES_CARD_GONE;
    }
    if (is_within(fake, ES_FAKE_SUSPEND)) {
        return ES_CARD_SUSPENDED;
    }
    return fake->is_stopped ? ES_CARD_STOPPED : 0;
}

static enum es_card_result refuse(const struct es_fake_card *fake, struct es_error *error) {
    static const struct {
        enum es_fake_kind kind;
        enum es_card_result result;
        const char *text;
    } refusals[] = {
        {ES_FAKE_UNPLUG, ES_CARD_ABSENT, "sound card \"Fake\": is not there; plug it in"},
        {ES_FAKE_BUSY, ES_CARD_BUSY, "sound card \"Fake\": in use by other (pid 7); stop it"},
        {ES_FAKE_DENIED, ES_CARD_DENIED, "sound card \"Fake\": not allowed; join group audio"},
        {ES_FAKE_UNUSABLE, ES_CARD_UNUSABLE, "sound card \"Fake\": has no format known here"},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (is_within(fake, refusals[i].kind)) {
            (void)es_fail(error, ES_ERR_HARDWARE, "%s", refusals[i].text);
            return refusals[i].result;
        }
    }
    return ES_CARD_OK;
}

static enum es_card_result fake_open(struct es_card *card, const struct es_card_want *want,
                                     struct es_card_setup *setup, struct es_error *error) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    (void)want;
    ES_ASSERT(!fake->is_open);
    (void)enter(card);
    const enum es_card_result result = refuse(fake, error);
    if (result != ES_CARD_OK) {
        return result;
    }
    fake->is_open = true;
    fake->is_running = fake->is_stopped = fake->is_gone = false;
    fake->open_count++;
    *setup = fake->setup;
    (void)snprintf(setup->name, sizeof setup->name, "hw:CARD=Fake (index %u)", fake->index);
    return ES_CARD_OK;
}

static void fake_close(struct es_card *card) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    ES_ASSERT(fake->is_open);
    (void)enter(card);
    fake->close_count++;
    fake->is_open = fake->is_running = fake->is_stopped = fake->is_gone = false;
    fake->until_ns[ES_FAKE_SUSPEND] = 0;
}

static int fake_start(struct es_card *card) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    ES_ASSERT(fake->is_open);
    const int event = enter(card);
    if (event == ES_CARD_GONE || event == ES_CARD_SUSPENDED) {
        return event;
    }
    if (is_within(fake, ES_FAKE_NO_START)) {
        return ES_CARD_BROKEN;
    }
    fake->start_count++;
    fake->is_stopped = false;
    fake->is_running = true;
    fake->frozen_frame = NOT_FROZEN;
    fake->read_frame = fake->start_frame = hardware_frame(fake);
    if (is_within(fake, ES_FAKE_STUCK)) {
        freeze_at(fake);
    }
    return 0;
}

static int fake_resume(struct es_card *card) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    const int event = enter(card);
    if (event == ES_CARD_GONE) {
        return event;
    }
    if (fake->now_ns < fake->resumed_ns) {
        return ES_CARD_AGAIN;
    }
    fake->until_ns[ES_FAKE_SUSPEND] = 0;
    return ES_CARD_BROKEN; /* as most drivers: no resume; prepare */
}

static int fake_wait(struct es_card *card, uint32_t timeout_ms) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    ES_ASSERT(fake->is_open);
    fake->wait_count++;
    fake->has_read = false;
    if (atomic_load(&fake->has_ended)) {
        rest();
        return 0;
    }
    int event = enter(card);
    if (event != 0) {
        return event;
    }
    const uint64_t late_ns = fake->until_ns[ES_FAKE_LATE];
    fake->until_ns[ES_FAKE_LATE] = 0;
    pass(fake, late_ns);
    if (is_within(fake, ES_FAKE_LIES)) {
        return 1;
    }
    const uint64_t deadline_ns = fake->now_ns + timeout_ms * NS_PER_MS;
    while (fake->now_ns < deadline_ns && !atomic_load(&fake->has_ended)) {
        event = fake->is_gone ? ES_CARD_GONE : fake->is_stopped ? ES_CARD_STOPPED : 0;
        event = is_within(fake, ES_FAKE_SUSPEND) ? ES_CARD_SUSPENDED : event;
        if (event != 0) {
            return event;
        }
        if (hardware_frame(fake) - fake->read_frame >= fake->setup.period_frames) {
            return 1;
        }
        pass(fake, NS_PER_MS);
    }
    return 0;
}

static int64_t fake_avail(struct es_card *card) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    ES_ASSERT(fake->is_open);
    const int event = enter(card);
    return event != 0 || (is_within(fake, ES_FAKE_LIES) && !fake->has_read)
               ? event
               : (int64_t)(hardware_frame(fake) - fake->read_frame);
}

static int64_t fake_skip(struct es_card *card, uint64_t frame_count) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    const int event = enter(card);
    if (event != 0) {
        return event;
    }
    ES_ASSERT(frame_count <= hardware_frame(fake) - fake->read_frame);
    fake->read_frame += frame_count;
    fake->skipped_frames += frame_count;
    return (int64_t)frame_count;
}

static void put(enum es_sample_format format, double value, unsigned char *bytes) {
    const float single = (float)value;
    uint32_t word = (uint32_t)(int32_t)(value * 2147483648.0);
    switch (format) {
    case ES_SAMPLE_S16:
        bytes[0] = (unsigned char)(word >> 16);
        bytes[1] = (unsigned char)(word >> 24);
        break;
    case ES_SAMPLE_S24:
    case ES_SAMPLE_S24_3:
        bytes[0] = (unsigned char)(word >> 8);
        bytes[1] = (unsigned char)(word >> 16);
        bytes[2] = (unsigned char)(word >> 24);
        break;
    case ES_SAMPLE_S32:
        memcpy(bytes, &word, 4);
        break;
    default:
        memcpy(bytes, &single, 4);
        break;
    }
}

static int64_t fake_read(struct es_card *card, void *frames, uint32_t frame_count) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    const int event = enter(card);
    if (event != 0) {
        return event;
    }
    const uint64_t late_ns = fake->until_ns[ES_FAKE_LATE_READ];
    fake->until_ns[ES_FAKE_LATE_READ] = 0;
    pass(fake, late_ns);
    const uint64_t hardware = hardware_frame(fake);
    uint64_t count = hardware - fake->read_frame;
    count = count < frame_count ? count : frame_count;
    if (is_within(fake, ES_FAKE_SHORT) && count > 3) {
        count /= 3;
    }
    const uint32_t bytes = es_sample_format_bytes(fake->setup.format);
    unsigned char *out = frames;
    for (uint64_t i = 0; i < count; i++) {
        /* Overwritten frames hold what came a buffer later. */
        uint64_t frame = fake->read_frame + i;
        while (frame + fake->setup.buffer_frames < hardware) {
            frame += fake->setup.buffer_frames;
        }
        const bool is_flat = is_within(fake, ES_FAKE_FLAT);
        const double value = is_flat                ? 0.0
                             : fake->source != NULL ? fake->source(frame)
                                                    : es_fake_world(frame);
        for (uint32_t c = 0; c < fake->setup.channel_count; c++, out += bytes) {
            put(fake->setup.format, value, out);
        }
    }
    fake->read_frame += count;
    fake->read_frames += count;
    fake->has_read = true;
    fake->last_frame = fake->read_frame;
    return (int64_t)count;
}

static uint64_t fake_now_ns(struct es_card *card) {
    return ((struct es_fake_card *)card)->now_ns;
}

static void fake_sleep_until(struct es_card *card, uint64_t deadline_ns) {
    struct es_fake_card *fake = (struct es_fake_card *)card;
    if (atomic_load(&fake->has_ended)) {
        rest();
    } else {
        pass(fake, deadline_ns > fake->now_ns ? deadline_ns - fake->now_ns : 0);
    }
}

static const struct es_card_ops fake_ops = {
    .open = fake_open,
    .close = fake_close,
    .start = fake_start,
    .resume = fake_resume,
    .wait = fake_wait,
    .avail = fake_avail,
    .skip = fake_skip,
    .read = fake_read,
    .now_ns = fake_now_ns,
    .sleep_until = fake_sleep_until,
};

void es_fake_card_init(struct es_fake_card *fake, const struct es_card_setup *setup) {
    memset(fake, 0, sizeof *fake);
    fake->base.ops = &fake_ops;
    fake->setup = *setup;
    fake->call_ns = 2000;
    fake->frozen_frame = NOT_FROZEN;
}

void es_fake_card_add(struct es_fake_card *fake, struct es_fake_fault fault) {
    ES_ASSERT(fake->fault_count < ES_FAKE_FAULT_COUNT_MAX);
    ES_ASSERT(fake->fault_count == 0 || fake->faults[fake->fault_count - 1].at_ns <= fault.at_ns);
    fake->faults[fake->fault_count++] = fault;
}

struct es_card_setup es_fake_setup(uint32_t rate, uint32_t channel_count,
                                   enum es_sample_format format) {
    return (struct es_card_setup){
        .name = "hw:CARD=Fake",
        .rate = rate,
        .channel_count = channel_count,
        .format = format,
        .period_frames = rate / 100,
        .buffer_frames = rate / 2,
    };
}
