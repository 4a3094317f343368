/* status.h - how a function says that the world did not go along.
 *
 *   enum es_status status = es_model_read(&model, directory, &error);
 *   if (status != ES_OK) { return status; }         passed up unchanged
 *
 * A function that can fail returns an es_status: 0 or a negative value. Functions that count return
 * the count (>= 0) or a negative es_status in an int. Programmer errors are asserts (assert.h).
 * The text is written once, where the thing that failed and its remedy are known; it is printed
 * once, by main. */
#pragma once

#include <stddef.h>

#if defined(__GNUC__)
#define ES_MUST_CHECK __attribute__((warn_unused_result))
#define ES_PRINTF(format_index, args_index)                                                        \
    __attribute__((format(printf, format_index, args_index)))
#else
#define ES_MUST_CHECK
#define ES_PRINTF(format_index, args_index)
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum es_status {
    ES_OK = 0,
    ES_ERR_NO = -1,          /* it ran, and the answer is no                     exit 1 */
    ES_ERR_USAGE = -2,       /* the command line or the configuration is wrong   exit 2 */
    ES_ERR_INPUT = -3,       /* a file that was given is bad or missing          exit 3 */
    ES_ERR_HARDWARE = -4,    /* the machine lacks something: memory, a device    exit 4 */
    ES_ERR_OUTPUT = -5,      /* the output could not be written                  exit 5 */
    ES_ERR_INTERRUPTED = -6, /* SIGINT or SIGTERM asked for the end              exit 130 */
};

/* One line for a person: the thing, what is wrong with it, what to do. Owned by the caller; no
 * allocation. `text` is a terminated string without a line feed, cut where it would not fit. */
struct es_error {
    char text[512];
};

/* Writes the line and returns `status`, so that a failure is one statement:
 *     return es_fail(error, ES_ERR_INPUT, "%s: is empty; give a recording", path);
 * `error` may be NULL (the text is dropped). Control characters that came in with an argument are
 * replaced by '?', so that a hostile file name cannot drive a terminal. Any thread. */
enum es_status es_fail(struct es_error *error, enum es_status status, const char *format, ...)
    ES_PRINTF(3, 4);

/* The process exit code that stands for a status: 0..5 or 130. */
int es_status_exit_code(enum es_status status);

#ifdef __cplusplus
}
#endif
