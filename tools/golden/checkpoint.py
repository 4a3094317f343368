"""Checkpoints in the original layout: params.json, consolidated.safetensors, tekken.json.

    shape = Shape(...)                         every dimension of a model
    write(directory, shape, seed)              a random model that says many different things
    params, tensors = read(directory)          any model directory

Plain random weights repeat one id for ever, whatever they hear. `random_tensors` says what has to be
scaled, and how, so that the ids depend on the audio, the delay and the windows.
"""

import base64
import json
import math
import os
from dataclasses import dataclass

import torch
from safetensors.torch import load_file, save_file

EMBEDDING = "mm_streams_embeddings.embedding_module."
WHISPER = EMBEDDING + "whisper_encoder."
MEL_BIN_COUNT = 128
DOWNSAMPLE = 4
ADA_DIM = 32  # transformers builds its ada norms with 32, whatever the configuration says
CONTROL_ID_COUNT = 1000
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


@dataclass(frozen=True)
class Stack:
    dim: int
    layer_count: int
    head_count: int
    kv_head_count: int
    head_dim: int
    hidden_dim: int
    window: int
    rope_theta: float = 1e6
    norm_eps: float = 1e-5


@dataclass(frozen=True)
class Shape:
    name: str
    dtype: str
    vocab_size: int
    encoder: Stack
    decoder: Stack


def params(shape):
    """The dictionary of params.json."""
    e, d = shape.encoder, shape.decoder
    audio = {
        "sampling_rate": 16000, "frame_rate": 12.5, "num_mel_bins": MEL_BIN_COUNT, "hop_length": 160,
        "window_size": 400, "chunk_length_s": None, "global_log_mel_max": 1.5,
        "transcription_format": "streaming",
    }
    encoder = {
        "audio_encoding_args": audio, "dim": e.dim, "n_layers": e.layer_count, "head_dim": e.head_dim,
        "hidden_dim": e.hidden_dim, "n_heads": e.head_count, "n_kv_heads": e.kv_head_count,
        "vocab_size": shape.vocab_size, "use_biases": True, "use_cache": False,
        "rope_theta": e.rope_theta, "causal": True, "norm_eps": e.norm_eps, "pos_embed": "rope",
        "max_source_positions": None, "ffn_type": "swiglu", "norm_type": "rms_norm",
        "sliding_window": e.window,
    }
    return {
        "dim": d.dim, "n_layers": d.layer_count, "head_dim": d.head_dim, "hidden_dim": d.hidden_dim,
        "n_heads": d.head_count, "n_kv_heads": d.kv_head_count, "use_biases": False, "causal": True,
        "rope_theta": d.rope_theta, "norm_eps": d.norm_eps, "vocab_size": shape.vocab_size,
        "model_parallel": 1, "tied_embeddings": True, "sliding_window": d.window,
        "model_max_length": 131072,
        "multimodal": {"whisper_model_args": {
            "encoder_args": encoder, "downsample_args": {"downsample_factor": DOWNSAMPLE}}},
        "ada_rms_norm_t_cond": True, "ada_rms_norm_t_cond_dim": ADA_DIM,
    }


def random_tensors(shape, seed):
    """Name to f32 tensor, scaled so that every stage works in the range of a trained model.

    What makes ids vary, for any size:
    - embedding std 0.6 (10 / sqrt(dim) from dim 278 on: an id's own logit grows with dim, the best of
      the others with its root), adapter output about half as large: input id and audio both count;
    - attention scores with std about 1.7 (wq, wk gain 1.3): windows and positions count;
    - the decoder's layers add a lot (w2 gain 2), so that what the head reads is mostly what
      the layers made and not the input's own embedding (which would repeat itself);
    - ada0 gain 3: delays get conditionings that differ;
    - final norm such that logits have std 8: near-ties under 0.01 are about one step in 300.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors = {}

    def normal(name, *size, std):
        tensors[name] = torch.randn(*size, generator=generator) * std

    def linear(name, out_dim, in_dim, gain):
        normal(name + ".weight", out_dim, in_dim, std=gain / math.sqrt(in_dim))

    def bias(name, dim):
        normal(name + ".bias", dim, std=0.3)

    def norm(name, dim, scale=1.0):
        tensors[name + ".weight"] = scale * (1 + 0.2 * torch.randn(dim, generator=generator))

    e, d = shape.encoder, shape.decoder
    normal(WHISPER + "conv_layers.0.conv.weight", e.dim, MEL_BIN_COUNT, 3, std=2.5 / math.sqrt(MEL_BIN_COUNT * 3))
    bias(WHISPER + "conv_layers.0.conv", e.dim)
    normal(WHISPER + "conv_layers.1.conv.weight", e.dim, e.dim, 3, std=1.5 / math.sqrt(e.dim * 3))
    bias(WHISPER + "conv_layers.1.conv", e.dim)
    for layer in range(e.layer_count):
        prefix = WHISPER + f"transformer.layers.{layer}."
        width, kv_width = e.head_count * e.head_dim, e.kv_head_count * e.head_dim
        norm(prefix + "attention_norm", e.dim)
        linear(prefix + "attention.wq", width, e.dim, 1.3)
        bias(prefix + "attention.wq", width)
        linear(prefix + "attention.wk", kv_width, e.dim, 1.3)
        linear(prefix + "attention.wv", kv_width, e.dim, 1.0)
        bias(prefix + "attention.wv", kv_width)
        linear(prefix + "attention.wo", e.dim, width, 1.0)
        bias(prefix + "attention.wo", e.dim)
        norm(prefix + "ffn_norm", e.dim)
        linear(prefix + "feed_forward.w1", e.hidden_dim, e.dim, 1.3)
        linear(prefix + "feed_forward.w3", e.hidden_dim, e.dim, 1.3)
        linear(prefix + "feed_forward.w2", e.dim, e.hidden_dim, 1.0)
        bias(prefix + "feed_forward.w2", e.dim)
    norm(WHISPER + "transformer.norm", e.dim)
    linear(EMBEDDING + "audio_language_projection.0", d.dim, e.dim * DOWNSAMPLE, 1.3)
    embedding_std = min(0.6, 10.0 / math.sqrt(d.dim))
    linear(EMBEDDING + "audio_language_projection.2", d.dim, d.dim, 0.85 * embedding_std)
    normal(EMBEDDING + "tok_embeddings.weight", shape.vocab_size, d.dim, std=embedding_std)
    for layer in range(d.layer_count):
        prefix = f"layers.{layer}."
        width, kv_width = d.head_count * d.head_dim, d.kv_head_count * d.head_dim
        norm(prefix + "attention_norm", d.dim)
        linear(prefix + "attention.wq", width, d.dim, 1.3)
        linear(prefix + "attention.wk", kv_width, d.dim, 1.3)
        linear(prefix + "attention.wv", kv_width, d.dim, 1.0)
        linear(prefix + "attention.wo", d.dim, width, 1.0)
        norm(prefix + "ffn_norm", d.dim)
        linear(prefix + "ada_rms_norm_t_cond.0", ADA_DIM, d.dim, 3.0)
        linear(prefix + "ada_rms_norm_t_cond.2", d.dim, ADA_DIM, 0.7)
        linear(prefix + "feed_forward.w1", d.hidden_dim, d.dim, 1.3)
        linear(prefix + "feed_forward.w3", d.hidden_dim, d.dim, 1.3)
        linear(prefix + "feed_forward.w2", d.dim, d.hidden_dim, 2.0)
    norm("norm", d.dim, 8.0 / (embedding_std * math.sqrt(d.dim)))
    return tensors


def tekken(vocab_size):
    """The dictionary of tekken.json: single bytes, then made-up words; a few entries more than the
    vocabulary has room for, as in the real file, and a short list of control ids."""
    def entry(rank, data):
        return {"rank": rank, "token_bytes": base64.b64encode(data).decode(), "token_str": None}

    piece_count = vocab_size - CONTROL_ID_COUNT
    vocab = [entry(rank, bytes([rank])) for rank in range(256)]
    vocab += [entry(rank, f" w{rank}".encode()) for rank in range(256, piece_count + 5)]
    names = {0: "<unk>", 1: "<s>", 2: "</s>", 11: "<pad>", 32: "[STREAMING_PAD]", 33: "[STREAMING_WORD]"}
    special = [{"rank": rank, "token_str": names.get(rank, f"<SPECIAL_{rank}>"), "is_control": True}
               for rank in range(34)]
    return {
        "config": {"pattern": r"[^\s]+|\s+", "num_vocab_tokens": len(vocab),
                   "default_vocab_size": vocab_size, "default_num_special_tokens": CONTROL_ID_COUNT,
                   "version": "v13"},
        "vocab": vocab, "special_tokens": special,
        "audio": {"sampling_rate": 16000, "frame_rate": 12.5,
                  "audio_encoding_config": {"num_mel_bins": MEL_BIN_COUNT, "hop_length": 160, "window_size": 400},
                  "chunk_length_s": None, "transcription_format": "streaming",
                  "transcription_delay_ms": 480, "streaming_look_ahead_ms": 2.5,
                  "streaming_look_back_ms": 52.5, "streaming_n_left_pad_tokens": 32},
    }


def write(directory, shape, seed):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "params.json"), "w") as file:
        json.dump(params(shape), file, indent=1)
        file.write("\n")
    with open(os.path.join(directory, "tekken.json"), "w") as file:
        json.dump(tekken(shape.vocab_size), file, separators=(",", ":"))
        file.write("\n")
    tensors = {name: tensor.to(DTYPES[shape.dtype]) for name, tensor in random_tensors(shape, seed).items()}
    path = os.path.join(directory, "consolidated.safetensors")
    save_file(tensors, path)
    os.chmod(path, 0o644)  # the library makes it private


def read(directory):
    """params.json as it is and every tensor widened to f32."""
    with open(os.path.join(directory, "params.json")) as file:
        values = json.load(file)
    tensors = load_file(os.path.join(directory, "consolidated.safetensors"))
    return values, {name: tensor.float() for name, tensor in tensors.items()}
