#!/usr/bin/env python3
"""Packs licensed speech and synthetic voices into two files that train.py reads.

    prepare.py AUDIO_DIR OUT_DIR [--synthetic N] [--jobs N]

AUDIO_DIR has one folder per corpus, each with a metadata.tsv (columns: file, speaker, label or transcript, ...):
speech_commands_subset, fsdd, librispeech_*, sentences, noise. OUT_DIR gets pack.bin (Opus clips end to end) and
index.json (one object per clip: corpus, kind, label, speaker, split, word boundaries, offset).

splits.py deals the speakers to train, validation and test; synthetic voices train. Needs numpy, scipy and soundfile, and
for the synthetic voices espeak-ng, flite and festival (text2wave) on PATH; a voice that is missing is left out.
"""
import argparse
import csv
import io
import json
import random
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from splits import split_of
from words import DIGITS, UNKNOWN, WORDS

RATE = 16000
COMPRESSION = 0.94  # of synthetic voices, 0 to 1: about 15 kbit/s, because the pack travels

ESPEAK_ACCENTS = "en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-rp en-gb-x-gbcwmd en-us en-us-nyc en-029".split()
ESPEAK_VARIANTS = ("m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 Andy Annie Gene Jacky Lee Linda Michael Mike "
                   "Mario Steph Denis Alicia Henrique Diogo Hugo Iven Kaukovalta Marco Max Nguyen Pablo Quincy").split()
FLITE_PITCH = {"kal16": 105, "awb": 120, "rms": 100, "slt": 175}  # Hz, each voice's own
FESTIVAL_VOICES = ["voice_kal_diphone", "voice_ked_diphone", "voice_cmu_us_slt_arctic_hts"]


def word_bounds(x, trimmed):
    """Start and end in seconds of the word in a short clip, by energy in 25 ms windows every 5 ms.

    The threshold lies 30 dB under the peak or 28 % of the way from the clip's floor to its peak, whichever is higher;
    clips that are cut to the word already have no floor to see (27 dB under the peak). Closures up to 130 ms belong to
    the word.
    """
    hop, window = RATE // 200, RATE // 40
    if len(x) < window + hop:
        return 0.0, len(x) / RATE
    power = np.concatenate([[0.0], np.cumsum((x - x.mean()).astype(np.float64) ** 2)])
    start = np.arange(0, len(x) - window, hop)
    level = 10 * np.log10((power[start + window] - power[start]) / window + 1e-10)
    if len(level) > 3:
        level = np.convolve(level, np.ones(3) / 3, "same")
    peak = level[1:-1].max() if len(level) > 4 else level.max()
    floor = np.percentile(level, 8)
    threshold = peak - 27.0 if trimmed else max(peak - 30.0, floor + 0.28 * (peak - floor))
    loud = np.concatenate([[False], level > threshold, [False]])
    edges = np.flatnonzero(loud[1:] != loud[:-1])
    runs = list(zip(edges[0::2], edges[1::2]))
    if not runs:
        return 0.0, len(x) / RATE
    top = int(np.argmax(level))
    first, last = next((run for run in runs if run[0] <= top < run[1]), runs[0])
    near, long_enough = 0.13 * RATE / hop, 0.02 * RATE / hop
    for a, b in runs:
        if a >= last and a - last <= near and b - a >= long_enough:
            last = b
    for a, b in reversed(runs):
        if b <= first and first - b <= near and b - a >= long_enough:
            first = a
    return (max(0.0, (first * hop + window * 0.3) / RATE),
            min(len(x) / RATE, ((last - 1) * hop + window * 0.7) / RATE))


def encode(x, **how):
    out = io.BytesIO()
    soundfile.write(out, np.clip(x, -1, 1), RATE, format="OGG", subtype="OPUS", **how)
    return out.getvalue()


def to_rate(x, rate):
    common = np.gcd(RATE, rate)
    return x if rate == RATE else resample_poly(x, RATE // common, rate // common)


def read_clip(job):
    corpus, row, path = job
    raw = Path(path).read_bytes()
    x, rate = soundfile.read(io.BytesIO(raw), dtype="float32")
    x = to_rate(x, rate)
    label, kind = row.get("label", ""), "word"
    if corpus == "fsdd":
        label = DIGITS[int(label)]
    elif corpus == "noise" or label == "_silence_":
        kind = "noise"
    elif corpus == "sentences" or corpus.startswith("librispeech"):
        kind, label = "speech", row.get("transcript", "")
    speaker = row.get("speaker", "-")
    name = f"{corpus}/{row['file']}"
    clip = dict(name=name, corpus=corpus, kind=kind, label=label, speaker=speaker, split=split_of(corpus, row), samples=len(x))
    if kind == "word":
        if label not in WORDS:
            raise SystemExit(f"{path}: label {label!r} is not one of the 36 words")
        clip["start"], clip["end"] = (round(t, 4) for t in word_bounds(x, corpus == "fsdd"))
    keep = raw if Path(path).suffix == ".opus" and rate == RATE else encode(x)
    return clip, keep


def phrase(number):
    """Three to ten words to be refused, to be said in one breath."""
    rng = random.Random(f"phrase {number}")
    return " ".join(rng.sample(UNKNOWN, rng.randint(3, 10)))


def synthesize(job):
    """One word or phrase by one synthetic voice, or None where the synthesizer gave nothing useful."""
    seed, word, label, kind = job
    rng, text = random.Random(seed), None
    engine = rng.choices(["espeak", "flite", "festival"], [6, 4, 2])[0]
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        if engine == "espeak":
            voice = rng.choice(ESPEAK_ACCENTS) + "+" + rng.choice(ESPEAK_VARIANTS)
            command = ["espeak-ng", "-v", voice, "-s", str(rng.randint(110, 210)), "-p", str(rng.randint(15, 85)),
                       "-w", wav.name, word]
        elif engine == "flite":
            voice = rng.choice(sorted(FLITE_PITCH))
            command = ["flite", "-voice", voice, "--setf", f"duration_stretch={rng.uniform(0.75, 1.35):.2f}",
                       "--setf", f"int_f0_target_mean={FLITE_PITCH[voice] * rng.uniform(0.75, 1.35):.0f}",
                       "-t", word, "-o", wav.name]
        else:
            voice = rng.choice(FESTIVAL_VOICES)
            command = ["text2wave", "-o", wav.name, "-eval", f"({voice})",
                       "-eval", f"(Parameter.set 'Duration_Stretch {rng.uniform(0.8, 1.4):.2f})"]
            text = word.encode()
        try:
            subprocess.run(command, input=text, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            x, rate = soundfile.read(wav.name, dtype="float32")
        except (FileNotFoundError, soundfile.LibsndfileError):
            return None
    x = to_rate(x, rate).astype(np.float32)
    if len(x) < 2000 or np.abs(x).max() < 1e-3:
        return None
    start, end = word_bounds(x, False) if kind != "speech" else (0.0, len(x) / RATE)
    first, last = max(0, int(start * RATE) - 1600), min(len(x), int(end * RATE) + 1600)
    x = x[first:last] / np.abs(x).max() * 0.7
    clip = dict(name=f"{engine}/{voice}/{seed}", corpus="synthetic", kind=kind, label=label,
                speaker=voice, split="train", samples=len(x), start=round(start - first / RATE, 4),
                end=round(end - first / RATE, 4))
    return clip, x


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--synthetic", type=int, default=100,
                        help="synthetic clips per word; digits get twice as many, each word to be refused a twelfth")
    parser.add_argument("--phrases", type=int, default=300, help="synthetic phrases of words to be refused")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    recorded = [(folder.name, row, str(folder / row["file"]))
                for folder in sorted(args.audio.iterdir()) if (folder / "metadata.tsv").exists()
                for row in csv.DictReader((folder / "metadata.tsv").open(), delimiter="\t")]
    spoken = [(f"{word}{k}", word, word, "word") for word in WORDS for k in range(args.synthetic * (2 if word in DIGITS else 1))]
    spoken += [(f"{word}{k}", word, "", "unknown") for word in UNKNOWN for k in range(args.synthetic // 12)]
    spoken += [(f"phrase{k}", phrase(k), "", "speech") for k in range(args.phrases)]
    index, group = [], []
    with (args.out / "pack.bin").open("wb") as pack, ProcessPoolExecutor(args.jobs) as pool:
        def flush_group():
            """Synthetic clips are short: they share an Opus file, each with its first sample's place."""
            if group:
                data = encode(np.concatenate([np.concatenate([x, np.zeros(800, np.float32)]) for _, x in group]),
                              compression_level=COMPRESSION)
                at, place = pack.tell(), 0
                for clip, x in group:
                    index.append(dict(clip, offset=at, bytes=len(data), first=place))
                    place += len(x) + 800
                pack.write(data)
                group.clear()

        for clip, data in pool.map(read_clip, recorded, chunksize=64):
            index.append(dict(clip, offset=pack.tell(), bytes=len(data), first=0))
            pack.write(data)
        for result in pool.map(synthesize, spoken, chunksize=16):
            if result:
                group.append(result)
            if len(group) == 100:
                flush_group()
        flush_group()
        size = pack.tell()
    (args.out / "index.json").write_text(json.dumps(index, indent=0))
    kinds = sorted({(clip["kind"], clip["split"], clip["corpus"]) for clip in index})
    for kind in kinds:
        clips = [c for c in index if (c["kind"], c["split"], c["corpus"]) == kind]
        print(*kind, len(clips), "clips", round(sum(c["samples"] for c in clips) / RATE), "s")
    print(f"pack.bin: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
