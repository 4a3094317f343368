/* assert.h - programmer errors: on in release, one condition each.
 *
 *   ES_ASSERT(row_count <= layout->row_count_max);
 *
 * A failed assert calls the fault hook (the appliance puts its LEDs out there), prints file,
 * line and condition on stderr and aborts. It is for mistakes in this code alone: what the world
 * can do wrong is an es_status (status.h). */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

#define ES_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : es_assert_failed(#condition, __FILE__, __LINE__))

/* Never returns. Any thread; async-signal-safe apart from the hook. */
void es_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

/* The hook runs first when an assert fails; NULL (the default) for none. Set it before threads
 * start. It must not allocate and must return. */
void es_assert_set_hook(void (*hook)(void));

#ifdef __cplusplus
}
#endif
