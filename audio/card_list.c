#include "audio/card.h"
#include "audio/card_find.h"
#include "platform/text.h"

#include <alsa/asoundlib.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What the device can do; or, where it cannot be asked, why. */
static void ask(const struct es_card_found *found, struct es_card_entry *entry) {
    snd_pcm_t *pcm = NULL;
    const int code = snd_pcm_open(&pcm, found->pcm, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
    if (code < 0) {
        struct es_error error;
        (void)es_card_explain(found, code, &error);
        (void)snprintf(entry->trouble, sizeof entry->trouble, "%.*s",
                       (int)sizeof entry->trouble - 1, error.text);
        return;
    }
    snd_pcm_hw_params_t *hw;
    snd_pcm_hw_params_alloca(&hw);
    if (snd_pcm_hw_params_any(pcm, hw) >= 0) {
        static const snd_pcm_format_t alsa_formats[ES_SAMPLE_FORMAT_COUNT] = {
            [ES_SAMPLE_S16] = SND_PCM_FORMAT_S16_LE,    [ES_SAMPLE_S24] = SND_PCM_FORMAT_S24_LE,
            [ES_SAMPLE_S24_3] = SND_PCM_FORMAT_S24_3LE, [ES_SAMPLE_S32] = SND_PCM_FORMAT_S32_LE,
            [ES_SAMPLE_F32] = SND_PCM_FORMAT_FLOAT_LE,
        };
        (void)snd_pcm_hw_params_get_rate_min(hw, &entry->rate_min, NULL);
        (void)snd_pcm_hw_params_get_rate_max(hw, &entry->rate_max, NULL);
        (void)snd_pcm_hw_params_get_channels_min(hw, &entry->channel_min);
        (void)snd_pcm_hw_params_get_channels_max(hw, &entry->channel_max);
        size_t length = 0;
        for (uint32_t f = 0; f < ES_SAMPLE_FORMAT_COUNT; f++) {
            if (snd_pcm_hw_params_test_format(pcm, hw, alsa_formats[f]) == 0) {
                length += (size_t)snprintf(entry->formats + length, sizeof entry->formats - length,
                                           "%s%s", length > 0 ? " " : "",
                                           es_sample_format_name((enum es_sample_format)f));
            }
        }
    }
    (void)snd_pcm_close(pcm);
}

/* The card that no name stands for: the best one that opens, or, if none does, the best one; -1
 * without any. */
static int auto_card(void) {
    static const struct es_card_auto nothing_heard;
    struct es_card_candidate candidates[ES_CARD_COUNT_MAX];
    const uint32_t count =
        es_card_auto_order(&nothing_heard, candidates, es_card_candidates("", candidates));
    for (uint32_t i = 0; i < count; i++) {
        snd_pcm_t *pcm = NULL;
        if (snd_pcm_open(&pcm, candidates[i].found.pcm, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK) ==
            0) {
            (void)snd_pcm_close(pcm);
            return candidates[i].found.card_index;
        }
    }
    return count > 0 ? candidates[0].found.card_index : -1;
}

/* Visits the capture devices of one card; returns how many. */
static int visit_card(int card_index, bool is_auto, es_card_visit *visit, void *context) {
    char name[32];
    snd_ctl_t *control = NULL;
    (void)snprintf(name, sizeof name, "hw:%d", card_index);
    if (snd_ctl_open(&control, name, SND_CTL_NONBLOCK) < 0) {
        return 0;
    }
    snd_ctl_card_info_t *card;
    snd_ctl_card_info_alloca(&card);
    snd_pcm_info_t *info;
    snd_pcm_info_alloca(&info);
    int count = 0, device = -1;
    const bool is_read = snd_ctl_card_info(control, card) == 0;
    while (is_read && snd_ctl_pcm_next_device(control, &device) == 0 && device >= 0) {
        snd_pcm_info_set_device(info, (unsigned)device);
        snd_pcm_info_set_subdevice(info, 0);
        snd_pcm_info_set_stream(info, SND_PCM_STREAM_CAPTURE);
        if (snd_ctl_pcm_info(control, info) < 0) {
            continue; /* it only plays */
        }
        struct es_card_entry entry;
        struct es_card_found found;
        memset(&entry, 0, sizeof entry);
        memset(&found, 0, sizeof found);
        const char *id = snd_ctl_card_info_get_id(card);
        (void)snprintf(found.pcm, sizeof found.pcm, "hw:CARD=%s,DEV=%d", id, device);
        found.card_index = card_index;
        found.device_index = device;
        /* The first one needs no number: that is what capture takes for a bare id. */
        (void)snprintf(entry.id, sizeof entry.id, count == 0 ? "%s" : "%s,%d", id, device);
        (void)snprintf(entry.name, sizeof entry.name, "%.60s, %.30s",
                       snd_ctl_card_info_get_name(card), snd_pcm_info_get_name(info));
        entry.card_index = (uint32_t)card_index;
        entry.device_index = (uint32_t)device;
        entry.is_auto = is_auto && count == 0;
        es_text_make_printable(entry.name); /* what the device says of itself */
        ask(&found, &entry);
        visit(context, &entry);
        count++;
    }
    (void)snd_ctl_close(control);
    return count;
}

int es_card_list(es_card_visit *visit, void *context, struct es_error *error) {
    es_card_silence_alsa();
    const int chosen = auto_card();
    int count = 0, index = -1;
    while (snd_card_next(&index) == 0 && index >= 0) {
        count += visit_card(index, index == chosen, visit, context);
    }
    if (count == 0) {
        (void)es_card_fail_absent("", error);
    }
    return count;
}
