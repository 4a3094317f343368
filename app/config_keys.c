#include "app/config_keys.h"

#include "platform/log.h"

#define DELAY_RANGE "milliseconds: 80 to 1200 in steps of 80, or 2400"
#define TEXT(heading_, field, default_, range_, doc_)                                              \
    {                                                                                              \
        .heading = (heading_), .name = #field, .kind = ES_CONFIG_KIND_TEXT,                        \
        .offset = offsetof(struct es_config, field), .default_value = (default_),                  \
        .range = (range_), .doc = (doc_)                                                           \
    }
#define NUMBER(heading_, field, min_, max_, default_, range_, doc_)                                \
    {                                                                                              \
        .heading = (heading_), .name = #field, .kind = ES_CONFIG_KIND_NUMBER,                      \
        .offset = offsetof(struct es_config, field), .min = (min_), .max = (max_),                 \
        .default_value = (default_), .range = (range_), .doc = (doc_)                              \
    }
#define WORD(heading_, field, words_, default_, range_, doc_)                                      \
    {                                                                                              \
        .heading = (heading_), .name = #field, .kind = ES_CONFIG_KIND_WORD,                        \
        .offset = offsetof(struct es_config, field), .words = (words_),                            \
        .default_value = (default_), .range = (range_), .doc = (doc_)                              \
    }

static const char *const backends[] = {"auto", "cpu", "cuda", NULL};
static const char *const formats[] = {"text", "ascii", "jsonl", NULL};
static const char *const cadences[] = {"auto", "1", "2", "4", "8", NULL};
static const char *const kv_memories[] = {"auto", "unified", "device", "shared", NULL};
static const char *const switches[] = {"off", "on", NULL};
static const char *const levels[] = {"low", "high", NULL};
static const char *const log_levels[] = {"error", "warning", "info", NULL};

_Static_assert(ES_BACKEND_AUTO == 0 && ES_BACKEND_CPU == 1 && ES_BACKEND_CUDA == 2, "backends");
_Static_assert(ES_CONFIG_TEXT == 0 && ES_CONFIG_ASCII == 1 && ES_CONFIG_JSONL == 2, "formats");
_Static_assert(ES_KV_MEMORY_AUTO == 0 && ES_KV_MEMORY_UNIFIED == 1 && ES_KV_MEMORY_DEVICE == 2 &&
                   ES_KV_MEMORY_SHARED == 3,
               "kv_memories");
_Static_assert(ES_CADENCE_POSITIONS_MAX == 8u, "cadences");
_Static_assert(ES_CONFIG_LEVEL_LOW == 0 && ES_CONFIG_LEVEL_HIGH == 1, "levels");
_Static_assert(ES_LOG_ERROR == 0 && ES_LOG_WARNING == 1 && ES_LOG_INFO == 2, "log_levels");

const struct es_config_key es_config_keys[] = {
    TEXT("Speech", model, ES_DEFAULT_MODEL_DIR, "a directory",
         "Where consolidated.safetensors, params.json and tekken.json are."),
    WORD(NULL, backend, backends, "auto", "auto, cpu or cuda",
         "What computes. auto: a GPU where this build and the machine have one."),
    {.name = "delay_ms",
     .kind = ES_CONFIG_KIND_DELAY,
     .offset = offsetof(struct es_config, delay_ms),
     .default_value = "480",
     .range = DELAY_RANGE,
     .doc = "How long the model waits before it writes: longer is more exact."},
    WORD(NULL, encoder_cadence, cadences, "auto", "positions of 80 ms: 1, 2, 4 or 8; or auto",
         "How much audio one run of the encoder takes. More costs less work and more delay. auto:\n"
         "what the board's memory is fast enough for."),
    {.name = "kv_window",
     .kind = ES_CONFIG_KIND_NUMBER,
     .offset = offsetof(struct es_config, kv_window),
     .min = ES_KV_WINDOW_MIN,
     .max = ES_WINDOW_MAX,
     .takes_zero = true,
     .default_value = "0",
     .range = "positions of 80 ms: 128 to 1048576; 0: the model's own",
     .doc = "How far the decoder looks back. Less costs less memory."},
    WORD(NULL, kv_memory, kv_memories, "auto", "auto, unified, device or shared",
         "Where a GPU keeps what it looks back at. auto: what is fastest on this machine."),
    NUMBER(NULL, threads, 0, ES_THREAD_COUNT_MAX, "0", "1 to 64; 0: every processor",
           "Worker threads of the CPU engine."),
    WORD(NULL, blank_guard, switches, "off", "off or on",
         "Pushes the model out of endless blanks. Not for the bring-up model: it invents words."),

    TEXT("Hearing", microphone, "auto", "auto, a card's id or name, or an ALSA device",
         "`earshot devices` lists them, and marks the one that auto takes: USB before others. A\n"
         "card's number moves when it is plugged in again; its id does not."),
    NUMBER(NULL, channel, 0, ES_CARD_CHANNEL_COUNT_MAX, "0", "1 to 32; 0: the average of all",
           "Which channel of the microphone is heard."),
    {.name = "gain",
     .kind = ES_CONFIG_KIND_GAIN,
     .offset = offsetof(struct es_config, gain),
     .default_value = "0",
     .range = "decibels: -40 to 40, or auto",
     .doc =
         "Applied to the samples. auto: follows the level slowly and never clips. The model has\n"
         "no level control of its own, and hears little in a quiet recording."},

    TEXT("Writing", uart, "pty", "pty, board, none, a device or an address",
         "Where the transcript goes. pty: a terminal of its own, whose path is said at start; "
         "board:\n"
         "the header's port; /dev/ttyUSB0; 3100000.serial (`earshot devices` lists them)."),
    WORD(NULL, uart_shared, switches, "off", "off or on",
         "on: other programs may open the line, too: for one USB adapter whose TX and RX are\n"
         "joined by a jumper, and picocom on the same device. What it reads earshot never does."),
    NUMBER(NULL, baud, ES_UART_BAUD_MIN, ES_UART_BAUD_MAX, "115200",
           "bits per second: 50 to 12000000",
           "The speed of the line; always 8 data bits, no parity, 1 stop bit."),
    WORD(NULL, uart_format, formats, "text", "text, ascii or jsonl",
         "text: for people, lines with # are about the appliance; ascii: the same for a terminal\n"
         "without UTF-8. jsonl: one object a line."),
    NUMBER(NULL, pause_ms, 200, 60000, "1500", "milliseconds: 200 to 60000",
           "A pause this long begins a new line with a time stamp (text)."),
    TEXT(NULL, journal, "none", "a file, or none",
         "Keeps the transcript on disk, in a ring of fixed size that only its owner may read. It "
         "is\n"
         "a recording of people: off unless a path stands here. `earshot journal FILE` prints it."),
    NUMBER(NULL, journal_mib, 1, 1024, "16", "MiB: 1 to 1024",
           "The size of the journal: taken whole at start, the oldest lines make room."),

    TEXT("Board", board, "auto",
         "auto, host, orin-nano-4gb, orin-nano-8gb, orin-nx-8gb, orin-nx-16gb,\n"
         "agx-orin-32gb, agx-orin-64gb or thor-128gb",
         "Which pins the header has. auto: as the devicetree says. host: any other machine, whose\n"
         "lines are given as CHIP:LINE."),
    TEXT(NULL, led, "none", "a pin of the header, CHIP:LINE, or none",
         "Shows the state (the table of patterns is in the README). For example 7, or\n"
         "tegra234-gpio:144; `earshot devices` lists the chips."),
    TEXT(NULL, step_led, "none", "a pin of the header, CHIP:LINE, or none",
         "Changes with every position that was decoded."),
    WORD(NULL, led_active, levels, "high", "low or high", "The level that lights a LED."),
    TEXT(NULL, mute, "none", "a pin of the header, CHIP:LINE, or none",
         "The mute switch. Muted: nothing is heard, whatever the software thinks."),
    WORD(NULL, mute_active, levels, "high", "low or high",
         "The level that means muted. high, with a pull-up: a cut wire means muted."),

    WORD("Service", must_lock, switches, "off", "off or on",
         "on: refuses to run in memory that could be swapped out (a unit has LimitMEMLOCK)."),
    WORD(NULL, log_level, log_levels, "info", "error, warning or info",
         "How much is said on standard error."),
};
const size_t es_config_key_count = sizeof es_config_keys / sizeof es_config_keys[0];
