"""What the tidy test lets pass, each with its reason. An entry that nothing needs is a finding."""

# Folders and files whose code may allocate. Everything else binds arena memory.
ALLOCATES = {
    "tests/": "a test is not the product, and ends",
    "tools/": "developer tools run offline and end",
    "platform/arena.c": "maps the arena itself, once at boot",
    "platform/pool.c": "es_pool_start makes the threads and their block at boot",
    "audio/pcm_file.c": "es_pcm_open takes its buffers; reading allocates nothing of ours",
    "audio/pcm_raw.c": "es_pcm_open_raw takes its buffers; reading allocates nothing",
    "audio/resample.c": "es_resampler_open, called by es_pcm_open",
    "audio/resample_none.c": "the same in a build without speexdsp",
    "engine/json.c": "params.json is read whole at boot, before sizes are known",
    "engine/safetensors.c": "the header is read whole at boot, before sizes are known",
    "engine/weights_file.c": "the list of transfers lives while weights are loaded",
    "app/recording.c": "bench reads its audio at boot; a measuring option",
    "app/forced_ids.c": "--force reads its ids at boot; a measuring option",
}

# Library files that may use what libraries may not (exit, abort, printf, getenv, ...).
SPEAKS = {
    "platform/assert.c": "a failed assert says where and dies: that is its purpose",
}

# Headers without a guard.
REPEATED_HEADERS = {
    "engine/cpu/activation_inner.h": "compiled once per instruction set",
    "engine/cpu/attention_inner.h": "compiled once per instruction set",
    "engine/cpu/linear_inner.h": "compiled once per instruction set",
}

# Folders and files with lines wider than the limit.
WIDE = {
    "tools/": "offline scripts, whose tables of tensors and words read best as one row each",
}

# Files longer than the limit.
LONG_FILES = {
    "tests/engine_cuda/test_backend_cuda.c": "one bench, whose sentences all need it",
}

# Functions longer than the limit, as "file:function".
LONG_FUNCTIONS = {
}
