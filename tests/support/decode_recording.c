/* decode_recording.c - a recording as raw s16le samples on standard output, for tests that pipe
 * them: decode_recording talk.flac > talk.raw */
#include "audio/pcm.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv) {
    struct es_pcm *source;
    struct es_error error;
    static float samples[4096];
    static int16_t rounded[4096];
    if (argc != 2 || es_pcm_open_file(&source, argv[1], &error) != ES_OK) {
        fprintf(stderr, "decode_recording: %s\n", argc == 2 ? error.text : "name one recording");
        return 3;
    }
    int count;
    while ((count = es_pcm_read(source, samples, 4096, &error)) > 0) {
        for (int i = 0; i < count; i++) {
            rounded[i] = (int16_t)fminf(32767.0f, roundf(samples[i] * 32768.0f));
        }
        if (fwrite(rounded, sizeof *rounded, (size_t)count, stdout) != (size_t)count) {
            return 5;
        }
    }
    es_pcm_close(source);
    return count == 0 && fflush(stdout) == 0 ? 0 : 3;
}
