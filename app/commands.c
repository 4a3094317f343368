#include "app/commands.h"

#include "app/backends.h"

enum es_status es_backend_check(enum es_backend_choice choice, struct es_error *error) {
    if (choice == ES_BACKEND_CUDA && es_gpu_backend() == NULL) {
        return es_fail(error, ES_ERR_HARDWARE,
                       "--backend cuda: this build has no GPU engine; use --backend cpu");
    }
    return ES_OK;
}
