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
    ES_EXPECT(es_card_holder(es_test_directory(), -1, -1, &holder));
    ES_EXPECT_EQ(holder.pid, 4711);
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
