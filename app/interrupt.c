#include "app/interrupt.h"

#include "platform/status.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t is_graceful;
static volatile sig_atomic_t came; /* the signal's number */
static volatile sig_atomic_t has_hung_up;
static void (*last_act)(void);

static void on_signal(int number) {
    if (number == SIGALRM) {
        return;
    }
    if (number == SIGHUP) {
        has_hung_up = 1;
        return;
    }
    if (!is_graceful || came) {
        if (last_act != NULL) {
            last_act();
        }
        /* SIGTERM to one that goes on for ever is a service manager's wish, granted. */
        bool is_granted = number == SIGTERM && last_act != NULL && !came;
        _exit(es_status_exit_code(is_granted ? ES_OK : ES_ERR_INTERRUPTED));
    }
    came = number;
    /* Between the look at the flag and the read there is a gap; a signal in it would wait for the
     * next sample of a silent pipe. */
    (void)alarm(1);
}

void es_interrupt_install(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGALRM};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: a read must end */
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&ignore.sa_mask);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void es_interrupt_make_graceful(void) {
    is_graceful = 1;
}

bool es_interrupt_came(void) {
    return came != 0;
}

bool es_interrupt_was_polite(void) {
    return came == SIGTERM;
}

void es_interrupt_set_last_act(void (*act)(void)) {
    last_act = act;
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGHUP, &action, NULL);
}

bool es_interrupt_take_hangup(void) {
    bool took = has_hung_up != 0;
    has_hung_up = 0;
    return took;
}
