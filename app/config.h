/* config.h - how an appliance is told what it is: one file of `key = value` lines, or none.
 *
 *   es_config_defaults(&config);                              runs as it is
 *   status = es_config_read(&config, "earshot.conf", &error);       FILE:LINE in every refusal
 *   status = es_config_set(&config, "baud=57600", &error);          --set, after the file
 *   es_config_print(&config, put, context);                   a commented file of every key
 *   return es_config_blame(&config, "led", status, &error);   "earshot.conf:7: led: ..."
 *
 * One table (config_keys.c) has each key with its unit, default, range and a sentence; the parser,
 * the sample file and the tests all read it. The file is read once at start, by libinih, line by
 * line: `#` and `;` begin comments, indentation means nothing, there are no sections. A key that
 * is unknown, given twice or out of range is ES_ERR_USAGE. Where each value stood is kept, for what
 * turns out to be wrong with it later. Main thread, before the freeze; the struct is plain data and
 * owns its texts. */
#pragma once

#include "app/options.h"
#include "platform/bounds.h"

#include <stddef.h>
#include <stdio.h>

enum es_config_format { ES_CONFIG_TEXT, ES_CONFIG_ASCII, ES_CONFIG_JSONL };
enum es_config_level { ES_CONFIG_LEVEL_LOW, ES_CONFIG_LEVEL_HIGH };

/* Where the values come from, in the order of the table. */
struct es_config_origins {
    char file[ES_CONFIG_ORIGIN_BYTES];           /* "" without one; of a longer path, its end */
    uint32_t lines[ES_CONFIG_SETTING_COUNT_MAX]; /* 0: a default; ES_CONFIG_LINE_SET: --set */
};
#define ES_CONFIG_LINE_SET UINT32_MAX

struct es_config {
    /* speech */
    char model[ES_CONFIG_VALUE_BYTES];
    uint32_t backend; /* enum es_backend_choice */
    uint32_t delay_ms;
    uint32_t encoder_cadence; /* 0: auto, otherwise 2^(n-1) positions per encoder call */
    uint32_t kv_window;       /* decoder positions; 0: the model's own */
    uint32_t kv_memory;       /* enum es_kv_memory */
    uint32_t threads;         /* 0: as many as the process may run on */
    uint32_t blank_guard;     /* bool */
    /* hearing */
    char microphone[ES_CONFIG_VALUE_BYTES]; /* "auto", a card's id or name, an ALSA name */
    uint32_t channel;                       /* 0: the average of all */
    char gain[ES_CONFIG_VALUE_BYTES];       /* "auto" or decibels */
    uint32_t is_gain_auto;                  /* bool, from `gain` */
    int32_t gain_db;                        /* from `gain` */
    /* writing */
    char uart[ES_CONFIG_VALUE_BYTES]; /* "pty", "board", "none", a path, an address */
    uint32_t uart_shared;             /* bool: other programs may open it, too */
    uint32_t baud;
    uint32_t uart_format; /* enum es_config_format */
    uint32_t pause_ms;
    char journal[ES_CONFIG_VALUE_BYTES]; /* a path, or "none" */
    uint32_t journal_mib;
    /* the board */
    char board[ES_CONFIG_VALUE_BYTES];
    char led[ES_CONFIG_VALUE_BYTES];      /* a line in the board's words, or "none" */
    char step_led[ES_CONFIG_VALUE_BYTES]; /* the same */
    uint32_t led_active;                  /* enum es_config_level */
    char mute[ES_CONFIG_VALUE_BYTES];     /* a line, or "none" for no switch */
    uint32_t mute_active;                 /* enum es_config_level: the level that means muted */
    uint32_t must_lock;                   /* bool: memory that can be swapped out is a failure */
    uint32_t log_level;                   /* enum es_log_level */
    struct es_config_origins origins;     /* the last field: the others are the configuration */
};

/* "none" stands for nothing in texts. */
bool es_config_has(const char *value);

/* Every key as the table has it. */
void es_config_defaults(struct es_config *config);

/* Reads the file over what `config` holds. ES_ERR_INPUT when it cannot be read, ES_ERR_USAGE with
 * `path:line: ...` for what stands in it. */
ES_MUST_CHECK enum es_status es_config_read(struct es_config *config, const char *path,
                                            struct es_error *error);

/* The same from a stream that the caller owns; `name` stands for it in messages. */
ES_MUST_CHECK enum es_status es_config_read_stream(struct es_config *config, FILE *file,
                                                   const char *name, struct es_error *error);

/* `setting` is "key=value", as after --set. May be given again: the last one counts. */
ES_MUST_CHECK enum es_status es_config_set(struct es_config *config, const char *setting,
                                           struct es_error *error);

/* "earshot.conf:7: led", "--set led", or "led" for a default. */
void es_config_origin(const struct es_config *config, const char *key, char *text,
                      size_t text_bytes);

/* Puts that and a colon before the error's line, where `status` is a failure, and returns it. */
ES_MUST_CHECK enum es_status es_config_blame(const struct es_config *config, const char *key,
                                             enum es_status status, struct es_error *error);

/* The defaults, the file where one is named (NULL for none), then the settings in order. */
ES_MUST_CHECK enum es_status
es_config_load(struct es_config *config, const struct es_options *options, struct es_error *error);

/* A file that es_config_read takes: each key with its documentation, its unit and its range above
 * it; those that have their default stand behind a `#`. `put` gets the text in pieces. */
void es_config_print(const struct es_config *config, void (*put)(void *context, const char *text),
                     void *context);
