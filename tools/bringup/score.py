"""Scoring while training: streams of single clips, greedy streaming decode in batches, word errors.

`tools/eval` scores a finished model directory through the program itself; this is the fast twin on the GPU that choices
are made with.
"""
import hashlib
import math

import numpy as np
import torch

from mel import filters, log_mel, spectrum
from model import (BOS, FIRST_WORD_ID, HEAD_DIM_DECODER, HEAD_DIM_ENCODER, LEFT_PAD, PAD, POSITION_SAMPLES, WORD,
                   rope_table, window_mask)
from words import COMMANDS, DIGITS, WORDS

RATE = 16000


class Stream:
    """x: float32 samples; words: [(class, end in seconds)]; set_name: the row it counts for; known: words in its text."""

    def __init__(self, x, words, set_name, delay=6, known=""):
        self.x, self.words, self.set_name, self.delay, self.known = x, words, set_name, delay, known


def seeded(*names):
    return np.random.RandomState(int(hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()[:8], 16))


def audio_of(clip, samples):
    return samples[clip["at"]:clip["at"] + clip["samples"]].astype(np.float32) / 32768


def join(clips, samples, rng, set_name, gap=(0.3, 0.8), peak_db=(-10, -2), lead=0.4):
    """A stream of clips with digital silence between, each at its own peak level."""
    parts, words, length = [np.zeros(int(lead * RATE), np.float32)], [], int(lead * RATE)
    for clip in clips:
        x = audio_of(clip, samples)
        first, last = max(0, int(clip["start"] * RATE) - 1600), min(len(x), int(clip["end"] * RATE) + 1600)
        y = x[first:last] * (10 ** (rng.uniform(*peak_db) / 20) / max(1e-4, np.abs(x).max()))
        fade = min(120, len(y) // 4)
        y[:fade] *= np.linspace(0, 1, fade)
        y[-fade:] *= np.linspace(1, 0, fade)
        words.append((WORDS.index(clip["label"]), (length + int(clip["end"] * RATE) - first) / RATE))
        silence = np.zeros(int(rng.uniform(*gap) * RATE), np.float32)
        parts += [y, silence]
        length += len(y) + len(silence)
    return Stream(np.concatenate(parts), words, set_name)


def with_noise(stream, noise, ratio_db, rng, set_name):
    at = rng.randint(0, max(1, len(noise) - len(stream.x)))
    z = np.resize(noise[at:at + len(stream.x)], len(stream.x))
    power = (stream.x[np.abs(stream.x) > 0] ** 2).mean()
    z = z * math.sqrt(power / max(1e-12, (z ** 2).mean()) * 10 ** (-ratio_db / 10))
    return Stream(np.clip(stream.x + z, -1, 1).astype(np.float32), stream.words, set_name, stream.delay)


def switching(noise, seconds, rng):
    """Noise that goes on and off with sharp edges, 0.1 to 2 s each way, at levels 20 dB apart."""
    x = np.resize(noise, int(seconds * RATE)).copy()
    at = 0
    while at < len(x):
        on, off = (int(rng.uniform(0.1, 2.0) * RATE) for _ in range(2))
        x[at:at + on] *= 10 ** (rng.uniform(-20, 0) / 20)
        x[at + on:at + on + off] = 0
        at += on + off
    return x


def build(clips, samples, split, delays=(6,), streams_per_set=100):
    """The evaluation streams of one split's speakers, the same ones for every model; few streams, short silences."""
    minute = min(60, streams_per_set)
    of = [c for c in clips if c["split"] == split]
    spoken = [c for c in of if c["kind"] == "word" and c["corpus"] == "speech_commands_subset"]
    noises = [audio_of(c, samples) / c["peak"] * 16384 for c in clips if c["kind"] == "noise" and c["samples"] > 10 * RATE]
    out = []

    def draw(pool, count, set_name):
        rng, made, queue = seeded(split, set_name), [], []
        for _ in range(count):
            if len(queue) < 8:
                queue += list(rng.permutation(len(pool)))
            made.append(join([pool[i] for i in queue[:8]], samples, rng, set_name))
            queue = queue[8:]
        return made

    base = draw(spoken, streams_per_set, "commands clean")
    for delay in delays:
        out += [Stream(s.x, s.words, f"commands clean @{delay}", delay) for s in base]
    rng = seeded(split, "noise")
    out += [with_noise(s, noises[i % len(noises)], 10, rng, "commands 10 dB noise") for i, s in enumerate(base)]
    out += [Stream(s.x * 10 ** (-30 / 20), s.words, "commands -30 dB") for s in base]
    digits = [c for c in spoken if c["label"] in DIGITS]
    out += draw(digits, streams_per_set // 4, "SC digits")
    out += draw([c for c in spoken if c["label"] not in DIGITS + COMMANDS], streams_per_set // 4, "SC others")
    for voice in sorted({c["speaker"] for c in of if c["corpus"] == "fsdd"}):
        out += draw([c for c in of if c["corpus"] == "fsdd" and c["speaker"] == voice], 62, f"voice {voice}")
    for c in of:
        if c["kind"] == "speech":
            out.append(Stream(audio_of(c, samples), [], "no words: speech", known=c["label"].lower()))
    clips_of_noise = [audio_of(c, samples) for c in of if c["label"] == "_silence_"]
    if clips_of_noise:
        out.append(Stream(np.concatenate(clips_of_noise), [], "no words: noise clips end to end"))
    for k, noise in enumerate(noises):
        out.append(Stream(switching(noise, minute, seeded(split, "switch", k)), [], "no words: switching noise"))
        out.append(Stream(noise[:minute * RATE // 2], [], "no words: steady noise"))
    out.append(Stream(np.zeros(minute * RATE, np.float32), [], "no words: digital silence"))
    return out


def position_count(stream):
    return LEFT_PAD + -(-len(stream.x) // POSITION_SAMPLES) + stream.delay + 11


@torch.no_grad()
def transcribe(model, streams, device, shift=0.0, cells=160_000_000):
    """Greedy decode of every stream with key-value caches; [[(class, position)]] per stream.

    `shift` is added to the logit of WORD: nearly what calibrate.py would do to the weights.
    """
    model.eval()
    shape, window = model.shape, torch.hann_window(400, device=device)
    bank = torch.from_numpy(filters()).to(device)
    order = sorted(range(len(streams)), key=lambda i: -len(streams[i].x))
    said = [None] * len(streams)
    while order:
        length = position_count(streams[order[0]]) + 30
        alike = sum(2 * position_count(streams[i]) >= length for i in order)  # the others would be mostly padding
        batch = order[:max(1, min(alike, cells // (length * POSITION_SAMPLES)))]
        order = order[len(batch):]
        x = torch.zeros(len(batch), length * POSITION_SAMPLES)
        for row, i in enumerate(batch):
            x[row, LEFT_PAD * POSITION_SAMPLES:][:len(streams[i].x)] = torch.from_numpy(streams[i].x)
        frames = length * 4
        heard = torch.cat([
            model.hear(log_mel(spectrum(part.to(device), window).abs() ** 2, bank),
                       window_mask(frames, shape.encoder_window, device), rope_table(frames, HEAD_DIM_ENCODER, device))
            for part in x.split(max(1, 6_000_000 // frames ** 2 + 1))])
        delay = torch.tensor([streams[i].delay for i in batch], device=device)
        conditioning = model.conditioning(delay)
        keys = [torch.zeros(len(batch), shape.decoder_kv_heads, length, HEAD_DIM_DECODER, device=device) for _ in model.decoder]
        values = [torch.zeros_like(k) for k in keys]
        ids = torch.full((len(batch), length + 1), PAD, device=device)
        ids[:, 0] = BOS
        cos, sin = rope_table(length, HEAD_DIM_DECODER, device)
        for p in range(length):
            h = (model.embedding(ids[:, p]) + heard[:, p])[:, None]
            oldest = max(0, p - shape.decoder_window + 1)
            for layer, ada, k, v in zip(model.decoder, conditioning, keys, values):
                here = cos[p:p + 1], sin[p:p + 1]
                q, k[:, :, p:p + 1], v[:, :, p:p + 1] = layer.attention.project(layer.attention_norm(h), here)
                h = h + layer.attention.mix(q, k[:, :, oldest:p + 1], v[:, :, oldest:p + 1], None)
                h = h + layer.feed_forward(layer.ffn_norm(h) * ada)
            logits = model.norm(h)[:, 0] @ model.embedding.weight.t()
            logits[:, WORD] += shift
            best = logits.argmax(-1)
            ids[:, p + 1] = torch.where(p + 1 <= LEFT_PAD + delay, PAD, best)
        for row, i in enumerate(batch):
            line = ids[row, :position_count(streams[i]) + 1].tolist()
            said[i] = [(t - FIRST_WORD_ID, p) for p, t in enumerate(line) if FIRST_WORD_ID <= t < FIRST_WORD_ID + len(WORDS)]
    model.train()
    return said


def errors(reference, heard):
    """Substitutions, deletions, insertions of the cheapest alignment."""
    rows = [[(j, 0, 0, j) for j in range(len(heard) + 1)]]
    for i, a in enumerate(reference):
        row = [(i + 1, 0, i + 1, 0)]
        for j, b in enumerate(heard):
            t, s, d, n = rows[-1][j]
            u, us, ud, un = rows[-1][j + 1]
            w, ws, wd, wn = row[j]
            row.append(min((t + (a != b), s + (a != b), d, n), (u + 1, us, ud + 1, un), (w + 1, ws, wd, wn + 1)))
        rows.append(row)
    return rows[-1][-1][1:]


def score(streams, said):
    """{set: {words, wer, S, D, I}} or, for sets without words, {seconds, false_words, per_hour}."""
    out = {}
    for stream, words in zip(streams, said):
        row = out.setdefault(stream.set_name, dict(seconds=0.0, words=0, S=0, D=0, I=0, false_words=0))
        row["seconds"] += len(stream.x) / RATE
        heard = [w for w, _ in words]
        if stream.set_name.startswith("no words"):
            known = set(stream.known.replace(",", " ").replace(".", " ").split())
            row["false_words"] += sum(WORDS[w] not in known for w in heard)
        else:
            for key, n in zip("SDI", errors([w for w, _ in stream.words], heard)):
                row[key] += n
            row["words"] += len(stream.words)
    for name, row in out.items():
        if name.startswith("no words"):
            row["per_hour"] = round(row["false_words"] / row["seconds"] * 3600, 1)
        else:
            row["wer"] = round(100 * (row["S"] + row["D"] + row["I"]) / row["words"], 2)
        row["seconds"] = round(row["seconds"], 1)
    return out
