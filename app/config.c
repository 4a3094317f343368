#include "app/config.h"

#include "app/config_keys.h"
#include "platform/assert.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#define GAIN_DB_MIN (-40) /* as gain.h takes them */
#define GAIN_DB_MAX 40

/* Where a value comes from, for messages. */
struct reading {
    struct es_config *config;
    struct es_error *error;
    const char *name;    /* the file; NULL: a setting of the command line */
    FILE *file;          /* NULL then, too */
    uint32_t line_index; /* of the line in hand, from 1 */
    uint32_t first_lines[ES_CONFIG_SETTING_COUNT_MAX]; /* where each key was given; 0: not yet */
    enum es_status status;
};

/* -- one value --------------------------------------------------------------------------------- */

static enum es_status refuse(struct reading *reading, const char *key, const char *what,
                             const char *remedy) {
    if (reading->status != ES_OK) {
        return reading->status; /* the first one counts */
    }
    if (reading->name == NULL) {
        reading->status =
            es_fail(reading->error, ES_ERR_USAGE, "--set %s: %s; %s", key, what, remedy);
    } else {
        reading->status =
            es_fail(reading->error, ES_ERR_USAGE, "%s:%u: %s%s%s; %s", reading->name,
                    reading->line_index, key, key[0] != '\0' ? ": " : "", what, remedy);
    }
    return reading->status;
}

static enum es_status refuse_value(struct reading *reading, const struct es_config_key *key,
                                   const char *value) {
    char what[ES_CONFIG_VALUE_BYTES + 32u];
    char remedy[160];
    (void)snprintf(what, sizeof what, "\"%s\" will not do", value);
    (void)snprintf(remedy, sizeof remedy, "give %s", key->range);
    return refuse(reading, key->name, what, remedy);
}

static bool read_whole(const char *text, long min, long max, long *number) {
    char *end;
    errno = 0;
    *number = strtol(text, &end, 10);
    bool begins_well = (text[0] >= '0' && text[0] <= '9') ||
                       ((text[0] == '-' || text[0] == '+') && text[1] >= '0' && text[1] <= '9');
    return begins_well && *end == '\0' && errno == 0 && *number >= min && *number <= max;
}

static bool is_delay(long ms) {
    return ms == 2400 || (ms >= (long)ES_POSITION_MS && ms <= 1200 && ms % ES_POSITION_MS == 0);
}

static void *field_of(struct es_config *config, const struct es_config_key *key) {
    return (char *)config + key->offset;
}

static bool take_gain(struct es_config *config, const char *value) {
    long db = 0;
    config->is_gain_auto = strcmp(value, "auto") == 0;
    if (!config->is_gain_auto && !read_whole(value, GAIN_DB_MIN, GAIN_DB_MAX, &db)) {
        return false;
    }
    config->gain_db = (int32_t)db;
    return true;
}

static bool take_word(uint32_t *field, const char *const *words, const char *value) {
    for (uint32_t i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0) {
            *field = i;
            return true;
        }
    }
    return false;
}

/* Puts the value into the struct; false when it is none for this key. */
static bool take(struct es_config *config, const struct es_config_key *key, const char *value) {
    void *field = field_of(config, key);
    long number;
    switch (key->kind) {
    case ES_CONFIG_KIND_GAIN:
        if (!take_gain(config, value)) {
            return false;
        }
        break;
    case ES_CONFIG_KIND_TEXT:
        break;
    case ES_CONFIG_KIND_WORD:
        return take_word(field, key->words, value);
    case ES_CONFIG_KIND_DELAY:
        if (!read_whole(value, 0, 2400, &number) || !is_delay(number)) {
            return false;
        }
        *(uint32_t *)field = (uint32_t)number;
        return true;
    case ES_CONFIG_KIND_NUMBER:
        if (!read_whole(value, 0, (long)key->max, &number) ||
            (number < (long)key->min && !(number == 0 && key->takes_zero))) {
            return false;
        }
        *(uint32_t *)field = (uint32_t)number;
        return true;
    }
    (void)snprintf(field, ES_CONFIG_VALUE_BYTES, "%s", value);
    return true;
}

static const struct es_config_key *find_key(const char *name) {
    for (size_t i = 0; i < es_config_key_count; i++) {
        if (strcmp(name, es_config_keys[i].name) == 0) {
            return &es_config_keys[i];
        }
    }
    return NULL;
}

static enum es_status assign(struct reading *reading, const char *name, const char *value) {
    const struct es_config_key *key = find_key(name);
    if (key == NULL) {
        return refuse(reading, name, "is no key", "`earshot config` prints all of them");
    }
    uint32_t *first_line = &reading->first_lines[key - es_config_keys];
    if (reading->name != NULL && *first_line != 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "is given twice, first in line %u", *first_line);
        return refuse(reading, name, what, "keep one of them");
    }
    *first_line = reading->line_index;
    reading->config->origins.lines[key - es_config_keys] =
        reading->name != NULL ? reading->line_index : ES_CONFIG_LINE_SET;
    if (value[0] == '"' || value[0] == '\'') {
        return refuse(reading, name, "has a value in quotes", "write it without them");
    }
    if (value[0] == '#' || value[0] == ';') {
        return refuse(reading, name, "has no value before its comment", "give one");
    }
    if (strlen(value) >= ES_CONFIG_VALUE_BYTES) {
        return refuse(reading, name, "is longer than a value may be", "give a shorter one");
    }
    if (value[0] == '\0' || !take(reading->config, key, value)) {
        return refuse_value(reading, key, value);
    }
    return ES_OK;
}

/* -- the file ---------------------------------------------------------------------------------- */

static int on_pair(void *user, const char *section, const char *name, const char *value) {
    struct reading *reading = user;
    (void)section; /* read_line lets none through */
    return assign(reading, name, value) == ES_OK;
}

/* Cuts comments and the white space around what is left; returns where it begins. */
static char *bare(char *line) {
    for (char *at = line; *at != '\0'; at++) {
        bool is_first = at == line || at[-1] == ' ' || at[-1] == '\t';
        if (is_first && (*at == '#' || *at == ';')) {
            *at = '\0';
            break;
        }
    }
    size_t length = strlen(line);
    while (length > 0 && strchr(" \t\r\n", line[length - 1u]) != NULL) {
        line[--length] = '\0';
    }
    return line + strspn(line, " \t\r");
}

static bool is_printable(const char *line) {
    for (; *line != '\0'; line++) {
        unsigned char c = (unsigned char)*line;
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* For libinih: the next line, bare, so that none of its dialects applies (no continuation lines, no
 * sections, no keys without a value), and counted, which its handler is not always told. */
static char *read_line(char *room, int room_bytes, void *user) {
    struct reading *reading = user;
    char line[ES_CONFIG_LINE_BYTES];
    if (reading->status != ES_OK || fgets(line, sizeof line, reading->file) == NULL) {
        return NULL;
    }
    reading->line_index++;
    size_t length = strlen(line);
    if ((length == 0 || line[length - 1u] != '\n') && !feof(reading->file)) {
        (void)refuse(reading, "", "the line is too long, or holds a zero byte",
                     "write text, one `key = value` a line");
        return NULL;
    }
    bool has_mark = reading->line_index == 1u && strncmp(line, "\xEF\xBB\xBF", 3) == 0;
    char *text = bare(has_mark ? line + 3 : line);
    if (!is_printable(text)) {
        (void)refuse(reading, "", "holds control characters", "write text");
    } else if (text[0] == '[') {
        (void)refuse(reading, text, "there are no sections", "delete the line");
    } else if (text[0] == '=' || text[0] == ':' ||
               (text[0] != '\0' && strpbrk(text, "=:") == NULL)) {
        (void)refuse(reading, text, "is no `key = value`", "`earshot config` prints a sample");
    } else if (strlen(text) + 3u > (size_t)room_bytes) { /* as libinih counts it */
        (void)refuse(reading, "", "the line is too long without its comment",
                     "give a shorter value");
    }
    if (reading->status != ES_OK) {
        return NULL;
    }
    (void)snprintf(room, (size_t)room_bytes, "%s\n", text);
    return room;
}

/* Where the path is too long, its end tells more than its beginning. */
static void keep_file(struct es_config_origins *origins, const char *name) {
    size_t length = strlen(name);
    size_t room = sizeof origins->file - 1u;
    (void)snprintf(origins->file, sizeof origins->file, "%s%s", length > room ? "..." : "",
                   length > room ? name + length - (room - 3u) : name);
}

enum es_status es_config_read_stream(struct es_config *config, FILE *file, const char *name,
                                     struct es_error *error) {
    struct reading reading = {.config = config, .error = error, .name = name, .file = file};
    keep_file(&config->origins, name);
    errno = 0;
    int result = ini_parse_stream(read_line, &reading, on_pair, &reading);
    if (reading.status == ES_OK && ferror(file)) {
        return es_fail(error, ES_ERR_INPUT, "%s: cannot be read (%s); check the file", name,
                       strerror(errno));
    }
    if (reading.status == ES_OK && result != 0) {
        (void)refuse(&reading, "", "is no `key = value`", "`earshot config` prints a sample");
    }
    return reading.status;
}

enum es_status es_config_read(struct es_config *config, const char *path, struct es_error *error) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return es_fail(error, ES_ERR_INPUT,
                       "%s: cannot be opened (%s); `earshot config` prints a sample to begin with",
                       path, strerror(errno));
    }
    enum es_status status = es_config_read_stream(config, file, path, error);
    (void)fclose(file);
    return status;
}

/* -- the rest ---------------------------------------------------------------------------------- */

enum es_status es_config_set(struct es_config *config, const char *setting,
                             struct es_error *error) {
    struct reading reading = {.config = config, .error = error};
    char line[ES_CONFIG_VALUE_BYTES + 64u];
    char *equals = NULL;
    if (strlen(setting) < sizeof line && is_printable(setting)) {
        (void)snprintf(line, sizeof line, "%s", setting);
        equals = strchr(line, '=');
    }
    if (equals == NULL) {
        return refuse(&reading, setting, "is no `key=value`", "`earshot config` prints all keys");
    }
    *equals = '\0';
    return assign(&reading, bare(line), bare(equals + 1));
}

void es_config_origin(const struct es_config *config, const char *key, char *text,
                      size_t text_bytes) {
    const struct es_config_key *found = find_key(key);
    ES_ASSERT(found != NULL);
    uint32_t line = config->origins.lines[found - es_config_keys];
    if (line == 0) {
        (void)snprintf(text, text_bytes, "%s", key);
    } else if (line == ES_CONFIG_LINE_SET) {
        (void)snprintf(text, text_bytes, "--set %s", key);
    } else {
        (void)snprintf(text, text_bytes, "%s:%u: %s", config->origins.file, line, key);
    }
}

enum es_status es_config_blame(const struct es_config *config, const char *key,
                               enum es_status status, struct es_error *error) {
    char origin[ES_CONFIG_ORIGIN_BYTES + 64u];
    struct es_error why;
    if (status == ES_OK || error == NULL) {
        return status;
    }
    why = *error;
    es_config_origin(config, key, origin, sizeof origin);
    return es_fail(error, status, "%s: %s", origin, why.text);
}

bool es_config_has(const char *value) {
    return strcmp(value, "none") != 0;
}

void es_config_defaults(struct es_config *config) {
    ES_ASSERT(es_config_key_count <= ES_CONFIG_SETTING_COUNT_MAX);
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < es_config_key_count; i++) {
        bool is_taken = take(config, &es_config_keys[i], es_config_keys[i].default_value);
        ES_ASSERT(is_taken);
    }
}

enum es_status es_config_load(struct es_config *config, const struct es_options *options,
                              struct es_error *error) {
    es_config_defaults(config);
    enum es_status status = ES_OK;
    if (options->config_path != NULL) {
        status = es_config_read(config, options->config_path, error);
    }
    for (uint32_t i = 0; status == ES_OK && i < options->setting_count; i++) {
        status = es_config_set(config, options->settings[i], error);
    }
    return status;
}

static void value_text(const struct es_config *config, const struct es_config_key *key, char *text,
                       size_t text_bytes) {
    const void *field = (const char *)config + key->offset;
    switch (key->kind) {
    case ES_CONFIG_KIND_TEXT:
    case ES_CONFIG_KIND_GAIN:
        (void)snprintf(text, text_bytes, "%s", (const char *)field);
        return;
    case ES_CONFIG_KIND_WORD:
        (void)snprintf(text, text_bytes, "%s", key->words[*(const uint32_t *)field]);
        return;
    case ES_CONFIG_KIND_DELAY:
    case ES_CONFIG_KIND_NUMBER:
        (void)snprintf(text, text_bytes, "%u", *(const uint32_t *)field);
        return;
    }
}

static void print_doc(const char *doc, void (*put)(void *context, const char *text),
                      void *context) {
    while (*doc != '\0') {
        size_t length = strcspn(doc, "\n");
        char line[128];
        (void)snprintf(line, sizeof line, "# %.*s\n", (int)length, doc);
        put(context, line);
        doc += length + (doc[length] == '\n');
    }
}

void es_config_print(const struct es_config *config, void (*put)(void *context, const char *text),
                     void *context) {
    put(context, "# What an earshot appliance is: `key = value`, read once at start.\n"
                 "# A line behind a # is the default.\n");
    for (size_t i = 0; i < es_config_key_count; i++) {
        const struct es_config_key *key = &es_config_keys[i];
        char value[ES_CONFIG_VALUE_BYTES];
        char line[ES_CONFIG_VALUE_BYTES + 64u];
        if (key->heading != NULL) {
            (void)snprintf(line, sizeof line, "\n# -- %s --\n", key->heading);
            put(context, line);
        }
        put(context, "\n");
        print_doc(key->doc, put, context);
        (void)snprintf(line, sizeof line, "(%s)", key->range);
        print_doc(line, put, context);
        value_text(config, key, value, sizeof value);
        (void)snprintf(line, sizeof line, "%s%s = %s\n",
                       strcmp(value, key->default_value) == 0 ? "#" : "", key->name, value);
        put(context, line);
    }
}
