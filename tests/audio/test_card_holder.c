#include "audio/card_holder.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct es_card_holder holder;

static const char *write_file(const char *path, const char *text) {
    static char full[512];
    (void)snprintf(full, sizeof full, "%s/%s", es_test_directory(), path);
    for (char *slash = full + strlen(es_test_directory()) + 1; (slash = strchr(slash, '/'));
         slash++) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    ES_EXPECT(file != NULL);
    (void)fputs(text, file);
    (void)fclose(file);
    return full;
}

#define OPEN "state: RUNNING\nowner_pid   : 4711\ntrigger_time: 1.2\n"

ES_TEST("the program that holds a card is named, with its process") {
    (void)write_file("proc/asound/card2/pcm0c/sub0/status", "closed\n");
    (void)write_file("proc/asound/card2/pcm1c/sub0/status", OPEN);
    (void)write_file("proc/4711/comm", "pipewire\n");
    ES_EXPECT(es_card_holder(es_test_directory(), 2, 1, &holder));
    ES_EXPECT_EQ(holder.pid, 4711);
    ES_EXPECT_TEXT(holder.name, "pipewire");
    ES_EXPECT(es_card_holder(es_test_directory(), 2, -1, &holder));
    ES_EXPECT_EQ(holder.pid, 4711);
}

ES_TEST("an ALSA name of hardware says which card and device it is, and no other does") {
    static const struct {
        const char *pcm, *card;
        int device;
    } cases[] = {
        {"hw:1,0", "1", 0},
        {"hw:2", "2", 0},
        {"hw:Mic,3", "Mic", 3},
        {"hw:CARD=Mic,DEV=1", "Mic", 1},
        {"plughw:DEV=2,CARD=Mic,SUBDEV=0", "Mic", 2},
        {"hw:1,2,0", "1", 2},
        {"default", NULL, 0},
        {"sysdefault:CARD=Mic", NULL, 0},
        {"hw:", NULL, 0},
        {"hw:DEV=1", NULL, 0},
        {"hw:{CARD 1}", NULL, 0},
        {"hw:1,-2", NULL, 0},
        {"dsnoop:1,0", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char card[32] = "";
        int device = -1;
        const bool is_known = es_card_of_pcm(cases[i].pcm, card, sizeof card, &device);
        ES_EXPECT_EQ(is_known, cases[i].card != NULL);
        if (is_known) {
            ES_EXPECT_TEXT(card, cases[i].card);
            ES_EXPECT_EQ(device, cases[i].device);
        }
    }
}

ES_TEST("a busy card blames no program that only holds another card") {
    struct es_error error;
    const char *root = es_test_directory();
    (void)write_file("proc/asound/card4/pcm0c/sub0/status", "state: RUNNING\nowner_pid : 4712\n");
    (void)write_file("proc/4712/comm", "firefox\n");
    es_card_explain_busy("default", root, -1, -1, &error);
    ES_EXPECT_CONTAINS(error.text, "sound card default: in use by another program");
    ES_EXPECT(strstr(error.text, "firefox") == NULL);
    es_card_explain_busy("hw:5,0", root, 5, 0, &error);
    ES_EXPECT_CONTAINS(error.text, "a program that this user cannot see; `sudo fuser -v /dev/snd");
    es_card_explain_busy("hw:4,0", root, 4, 0, &error);
    ES_EXPECT_CONTAINS(error.text, "in use by firefox (pid 4712); stop it");
    (void)write_file("proc/asound/card6/pcm0c/sub0/status", "state: RUNNING\nowner_pid : 4713\n");
    es_card_explain_busy("hw:6,0", root, 6, 0, &error);
    ES_EXPECT_CONTAINS(error.text, "process 4713, which this user cannot see; `sudo fuser -v");
}

ES_TEST("a card that nobody holds, or that is not there, has no holder") {
    ES_EXPECT(!es_card_holder(es_test_directory(), 2, 0, &holder));
    ES_EXPECT(!es_card_holder(es_test_directory(), 7, -1, &holder));
    ES_EXPECT(!es_card_holder("/nonexistent", -1, -1, &holder));
}

ES_TEST("a holder that has just ended, or has a hostile name, does no harm") {
    (void)write_file("proc/asound/card3/pcm0c/sub1/status", "state: RUNNING\nowner_pid   : 99\n");
    ES_EXPECT(es_card_holder(es_test_directory(), 3, 0, &holder));
    ES_EXPECT_TEXT(holder.name, "?");
    (void)write_file("proc/99/comm", "a\x1b[31mb\n");
    ES_EXPECT(es_card_holder(es_test_directory(), 3, 0, &holder));
    ES_EXPECT_TEXT(holder.name, "a?[31mb");
    (void)write_file("proc/asound/card3/pcm0c/sub1/status", "owner_pid\n");
    ES_EXPECT(!es_card_holder(es_test_directory(), 3, 0, &holder));
}
