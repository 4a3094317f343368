#include "app/fault.h"

#include "board/led.h"
#include "platform/assert.h"

#include <signal.h>
#include <stddef.h>

static void on_fault(int number) {
    es_leds_fault_off();
    /* SA_RESETHAND has put the default back: this time it kills, with a core where asked for. */
    (void)raise(number);
}

void es_fault_install(void) {
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    es_assert_set_hook(es_leds_fault_off);
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction before;
        /* A sanitizer's handler has more to say than this one. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
            (void)sigaction(numbers[i], &action, NULL);
        }
    }
}
