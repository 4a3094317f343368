#include "app/forced_ids.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

static struct es_forced_ids forced;
static struct es_error error;

static enum es_status read_text(const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/ids.txt", es_test_directory());
    FILE *file = fopen(path, "w");
    ES_EXPECT(file != NULL);
    ES_EXPECT(fputs(text, file) >= 0);
    ES_EXPECT(fclose(file) == 0);
    return es_forced_ids_read(&forced, path, 1408, &error);
}

ES_TEST("ids are read one per line, the last line feed may be missing") {
    ES_EXPECT_EQ(read_text("32\n33\r\n1407\n0"), ES_OK);
    ES_EXPECT_EQ(forced.id_count, 4);
    ES_EXPECT_EQ(forced.ids[0], 32);
    ES_EXPECT_EQ(forced.ids[2], 1407);
    ES_EXPECT_EQ(forced.ids[3], 0);
    es_forced_ids_free(&forced);
    ES_EXPECT_EQ(read_text(""), ES_OK);
    ES_EXPECT_EQ(forced.id_count, 0);
    es_forced_ids_free(&forced);
}

ES_TEST("a bad id is named with its line") {
    ES_EXPECT_EQ(read_text("32\nyes\n33\n"), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "ids.txt: line 2: \"yes\"");
    ES_EXPECT_EQ(read_text("32\n33\n1408\n"), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "line 3: \"1408\"");
    ES_EXPECT_EQ(read_text("-1\n"), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "line 1");
    ES_EXPECT_EQ(read_text("32 33\n"), ES_ERR_INPUT);
    ES_EXPECT_EQ(read_text("32\n\n33\n"), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "line 2");
    ES_EXPECT_EQ(read_text("99999999999999999999999\n"), ES_ERR_INPUT);
    ES_EXPECT(forced.ids == NULL);
}

ES_TEST("many ids are kept") {
    static char text[100000 * 3 + 1];
    for (size_t i = 0; i < 100000; i++) {
        memcpy(text + 3 * i, "33\n", 3);
    }
    ES_EXPECT_EQ(read_text(text), ES_OK);
    ES_EXPECT_EQ(forced.id_count, 100000);
    ES_EXPECT_EQ(forced.ids[99999], 33);
    es_forced_ids_free(&forced);
}

ES_TEST("a missing file is named") {
    ES_EXPECT_EQ(es_forced_ids_read(&forced, "/nowhere/ids", 1408, &error), ES_ERR_INPUT);
    ES_EXPECT_CONTAINS(error.text, "/nowhere/ids: cannot be opened");
}
