/* child.h - runs a function in a child process and keeps what it wrote on stderr.
 *
 *   struct child_result result = child_run(function_that_dies);
 *   ES_EXPECT_EQ(WTERMSIG(result.wait_status), SIGABRT); */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct child_result {
    int wait_status; /* as of waitpid; -1 when there was no child */
    char text[4096]; /* stderr, terminated */
};

static inline struct child_result child_run(void (*function)(void)) {
    struct child_result result = {.wait_status = -1};
    int ends[2];
    if (pipe(ends) != 0) {
        return result;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        dup2(ends[1], STDERR_FILENO);
        function();
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t bytes;
    while (pid > 0 && used < sizeof result.text - 1 &&
           (bytes = read(ends[0], result.text + used, sizeof result.text - 1 - used)) > 0) {
        used += (size_t)bytes;
    }
    close(ends[0]);
    if (pid > 0) {
        waitpid(pid, &result.wait_status, 0);
    }
    return result;
}
