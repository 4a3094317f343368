"""The Voxtral Realtime architecture as a PyTorch module, small enough to train in minutes.

Parameters keep the layout and order of the original checkpoint (rotary pairs interleaved); `to_original` gives them
the original names. What each piece computes is in docs/MODEL.md.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

BOS, PAD, WORD = 1, 32, 33  # PAD: nothing to say; WORD: a word follows
LEFT_PAD = 32                        # positions of silence before every stream
POSITION_SAMPLES = 1280
VOCAB_SIZE, FIRST_WORD_ID = 1408, 1256
HEAD_DIM_ENCODER, HEAD_DIM_DECODER = 64, 128
NORM_EPS, ROPE_THETA = 1e-5, 1e6


@dataclass
class Shape:
    encoder_dim: int = 256
    encoder_layers: int = 5
    encoder_heads: int = 4
    encoder_hidden: int = 512
    encoder_window: int = 96
    decoder_dim: int = 256
    decoder_layers: int = 2
    decoder_heads: int = 4
    decoder_kv_heads: int = 2
    decoder_hidden: int = 512
    decoder_window: int = 128
    ada_dim: int = 32


class RmsNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight.float(), NORM_EPS).to(x.dtype)


def rope_table(count, head_dim, device, start=0):
    """cos, sin [count, head_dim / 2] of positions start .. start + count - 1."""
    frequency = ROPE_THETA ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    phase = torch.arange(start, start + count, dtype=torch.float64)[:, None] * frequency
    return phase.cos().float().to(device), phase.sin().float().to(device)


def rotate(x, table):
    """x [batch, heads, time, head_dim]; pairs (2i, 2i+1)."""
    cos, sin = table[0].to(x.dtype), table[1].to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def window_mask(count, window, device):
    """[count, count]: query i sees keys i - window + 1 .. i."""
    at = torch.arange(count, device=device)
    age = at[:, None] - at
    return (age >= 0) & (age < window)


class Attention(nn.Module):
    def __init__(self, dim, heads, kv_heads, head_dim, biases):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.wq = nn.Linear(dim, heads * head_dim, bias=biases)
        self.wk = nn.Linear(dim, kv_heads * head_dim, bias=False)
        self.wv = nn.Linear(dim, kv_heads * head_dim, bias=biases)
        self.wo = nn.Linear(heads * head_dim, dim, bias=biases)

    def project(self, x, table):
        def heads(y, count):
            return y.unflatten(2, (count, self.head_dim)).transpose(1, 2)
        return (rotate(heads(self.wq(x), self.heads), table), rotate(heads(self.wk(x), self.kv_heads), table),
                heads(self.wv(x), self.kv_heads))

    def mix(self, q, k, v, mask):
        repeat = self.heads // self.kv_heads
        if repeat > 1:
            k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        return self.wo(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim, hidden, biases):
        super().__init__()
        self.w1 = nn.Linear(dim, hidden, bias=False)
        self.w2 = nn.Linear(hidden, dim, bias=biases)
        self.w3 = nn.Linear(dim, hidden, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Layer(nn.Module):
    def __init__(self, dim, heads, kv_heads, head_dim, hidden, biases, ada_dim=0):
        super().__init__()
        self.attention = Attention(dim, heads, kv_heads, head_dim, biases)
        self.feed_forward = FeedForward(dim, hidden, biases)
        self.attention_norm, self.ffn_norm = RmsNorm(dim), RmsNorm(dim)
        if ada_dim:
            self.ada_rms_norm_t_cond = nn.Sequential(
                nn.Linear(dim, ada_dim, bias=False), nn.GELU(), nn.Linear(ada_dim, dim, bias=False))

    def forward(self, x, mask, table, dropout, ada=None):
        drop = lambda y: F.dropout(y, dropout, self.training)
        x = x + drop(self.attention.mix(*self.attention.project(self.attention_norm(x), table), mask))
        h = self.ffn_norm(x)
        return x + drop(self.feed_forward(h if ada is None else h * ada))


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        enc, dec = shape.encoder_dim, shape.decoder_dim
        self.conv0, self.conv1 = nn.Conv1d(128, enc, 3), nn.Conv1d(enc, enc, 3, stride=2)
        self.encoder = nn.ModuleList(
            Layer(enc, shape.encoder_heads, shape.encoder_heads, HEAD_DIM_ENCODER, shape.encoder_hidden, True)
            for _ in range(shape.encoder_layers))
        self.encoder_norm = RmsNorm(enc)
        self.adapter0, self.adapter2 = nn.Linear(4 * enc, dec, bias=False), nn.Linear(dec, dec, bias=False)
        self.embedding = nn.Embedding(VOCAB_SIZE, dec)
        self.decoder = nn.ModuleList(
            Layer(dec, shape.decoder_heads, shape.decoder_kv_heads, HEAD_DIM_DECODER, shape.decoder_hidden, False,
                  shape.ada_dim) for _ in range(shape.decoder_layers))
        self.norm = RmsNorm(dec)
        half = dec // 2
        self.register_buffer("frequency", torch.exp(-math.log(10000.0) * torch.arange(half).float() / half),
                             persistent=False)
        self.initialize()

    def initialize(self):
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.7 / math.sqrt(module.in_features))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for layers in (self.encoder, self.decoder):
            for layer in layers:
                layer.attention.wo.weight.data /= math.sqrt(2 * len(layers))
                layer.feed_forward.w2.weight.data /= math.sqrt(2 * len(layers))
        for layer in self.decoder:
            nn.init.normal_(layer.ada_rms_norm_t_cond[2].weight, std=0.02)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(self.shape.decoder_dim))

    def conditioning(self, delay):
        """1 + ada of every decoder layer, [batch, 1, dim] each; delay in positions [batch]."""
        angle = delay.float()[:, None] * self.frequency
        t = torch.cat((angle.cos(), angle.sin()), -1)
        return [1 + layer.ada_rms_norm_t_cond(t)[:, None] for layer in self.decoder]

    def hear(self, mel, mask, table, dropout=0.0):
        """mel [batch, 128, frames] -> one embedding per position [batch, frames / 8, decoder_dim]."""
        x = F.gelu(self.conv0(F.pad(mel, (2, 0))))
        x = F.gelu(self.conv1(F.pad(x, (1, 0)))).transpose(1, 2)
        x = F.dropout(x, dropout, self.training)
        for layer in self.encoder:
            x = layer(x, mask, table, dropout)
        x = self.encoder_norm(x)
        x = x.reshape(x.shape[0], x.shape[1] // 4, 4 * x.shape[2])
        return F.dropout(self.adapter2(F.gelu(self.adapter0(x))), dropout, self.training)

    def forward(self, mel, ids, delay, encoder_mask, encoder_table, decoder_mask, decoder_table, dropout):
        heard = self.hear(mel, encoder_mask, encoder_table, dropout)
        x = self.embedding(ids).to(heard.dtype) + heard
        for layer, ada in zip(self.decoder, self.conditioning(delay)):
            x = layer(x, decoder_mask, decoder_table, dropout, ada)
        return self.norm(x) @ self.embedding.weight.to(x.dtype).t()


def to_original(model):
    """The parameters under the names of the original checkpoint."""
    prefix = "mm_streams_embeddings.embedding_module."
    renamed = {}
    for name, value in model.state_dict().items():
        head, _, rest = name.partition(".")
        if head in ("conv0", "conv1"):
            name = f"{prefix}whisper_encoder.conv_layers.{head[-1]}.conv.{rest}"
        elif head == "encoder":
            name = f"{prefix}whisper_encoder.transformer.layers.{rest}"
        elif head == "encoder_norm":
            name = f"{prefix}whisper_encoder.transformer.norm.weight"
        elif head in ("adapter0", "adapter2"):
            name = f"{prefix}audio_language_projection.{head[-1]}.weight"
        elif head == "embedding":
            name = f"{prefix}tok_embeddings.weight"
        elif head == "decoder":
            name = f"layers.{rest}"
        renamed[name] = value
    return renamed
