#!/usr/bin/env python3
"""Writes a model directory in the original three-file form from a training run.

    export.py RUN.safetensors OUT_DIR          RUN.json beside it tells the shape

The tokenizer has Tekken's layout: 1,000 control ids, the 256 single bytes, the 36 words with a leading space, and
untrained words that fill the vocabulary to a multiple of 128.
"""
import argparse
import base64
import hashlib
import json
import shutil
from pathlib import Path

from model import FIRST_WORD_ID, HEAD_DIM_DECODER, HEAD_DIM_ENCODER, VOCAB_SIZE
from words import WORDS

CONTROL_COUNT = 1000
# The names of the original tokenizer, in their order from id 0; "-" has none.
CONTROL_NAMES = """<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS]
[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] [ARGS] [CALL_ID]
[THINK] [/THINK] [AUDIO] [BEGIN_AUDIO] - - - - - - [STREAMING_PAD] [STREAMING_WORD] [TRANSCRIBE] [NEXT_AUDIO_TEXT]
[REPEAT_AUDIO_TEXT] [MODEL_SETTINGS] [/MODEL_SETTINGS]""".split()
FILLERS = """ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty
seventy eighty ninety hundred thousand million monday tuesday wednesday thursday friday saturday sunday january february
march april may june july august september october november december a b c d e f g h i j k l m n o p q r s t u v w x y z
the of and to in is you that it he was for are as with his they at be this have from or had by hot word but what some we
can out other were all there when use your how said an each she which do their time if will way about""".split()


def params(shape):
    audio = dict(sampling_rate=16000, frame_rate=12.5, num_mel_bins=128, hop_length=160, window_size=400, chunk_length_s=None,
                 global_log_mel_max=1.5, transcription_format="streaming")
    encoder = dict(audio_encoding_args=audio, dim=shape["encoder_dim"], n_layers=shape["encoder_layers"],
                   head_dim=HEAD_DIM_ENCODER, hidden_dim=shape["encoder_hidden"], n_heads=shape["encoder_heads"],
                   vocab_size=VOCAB_SIZE, n_kv_heads=shape["encoder_heads"], use_biases=True, use_cache=False,
                   rope_theta=1e6, causal=True, norm_eps=1e-5, pos_embed="rope", max_source_positions=None,
                   ffn_type="swiglu", norm_type="rms_norm", sliding_window=shape["encoder_window"])
    return dict(dim=shape["decoder_dim"], n_layers=shape["decoder_layers"], head_dim=HEAD_DIM_DECODER,
                hidden_dim=shape["decoder_hidden"], n_heads=shape["decoder_heads"], n_kv_heads=shape["decoder_kv_heads"],
                use_biases=False, causal=True, rope_theta=1e6, norm_eps=1e-5, vocab_size=VOCAB_SIZE, model_parallel=1,
                tied_embeddings=True, sliding_window=shape["decoder_window"], model_max_length=131072,
                multimodal=dict(whisper_model_args=dict(encoder_args=encoder, downsample_args=dict(downsample_factor=4))),
                ada_rms_norm_t_cond=True, ada_rms_norm_t_cond_dim=shape["ada_dim"])


def tekken():
    names = CONTROL_NAMES + ["-"] * (CONTROL_COUNT - len(CONTROL_NAMES))
    control = [dict(rank=i, token_str=f"<SPECIAL_{i}>" if name == "-" else name, is_control=True) for i, name in enumerate(names)]
    pieces = [bytes([i]) for i in range(256)]
    fillers = [w for w in dict.fromkeys(FILLERS) if w not in WORDS][:VOCAB_SIZE - FIRST_WORD_ID - len(WORDS)]
    pieces += [f" {word}".encode() for word in WORDS + fillers]
    assert CONTROL_COUNT + len(pieces) == VOCAB_SIZE, len(pieces)

    def text(piece):
        try:
            return piece.decode()
        except UnicodeDecodeError:
            return None

    vocab = [dict(rank=i, token_bytes=base64.b64encode(p).decode(), token_str=text(p)) for i, p in enumerate(pieces)]
    pattern = r"[^\r\n\p{L}\p{N}]?[\p{L}]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    return dict(config=dict(pattern=pattern, num_vocab_tokens=len(vocab), default_vocab_size=VOCAB_SIZE,
                            default_num_special_tokens=CONTROL_COUNT, version="v13"),
                vocab=vocab, special_tokens=control,
                audio=dict(sampling_rate=16000, frame_rate=12.5,
                           audio_encoding_config=dict(num_mel_bins=128, hop_length=160, window_size=400),
                           transcription_format="streaming", transcription_delay_ms=480.0, streaming_look_ahead_ms=2.5,
                           streaming_look_back_ms=52.5, streaming_n_left_pad_tokens=32, chunk_length_s=None))


def write_checksums(folder):
    """SHA256SUMS as coreutils writes it: `earshot doctor` holds the three files to it."""
    names = ("consolidated.safetensors", "params.json", "tekken.json")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    run = json.loads(args.run.with_suffix(".json").read_text())
    args.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(args.run, args.out / "consolidated.safetensors")
    (args.out / "params.json").write_text(json.dumps(params(run["shape"]), indent=2))
    (args.out / "tekken.json").write_text(json.dumps(tekken(), indent=1))
    write_checksums(args.out)
    print(f"{args.out}: {run['parameters']} parameters")


if __name__ == "__main__":
    main()
