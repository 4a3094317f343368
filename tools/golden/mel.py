#!/usr/bin/env python3
"""Goldens for audio/mel: what transformers' own feature extractor makes of two short recordings.

    tools/golden/mel.py SPEECH OUT_DIRECTORY [--start SECONDS] [--seconds SECONDS]

Writes speech.wav (cut from SPEECH, 16 kHz mono) and synthetic.wav (sweep, silence, noise, clipped
tone), both signed 16 bit, and beside each a .mel file: float32, little-endian,
[samples / 160, 128]. Needs numpy, torch, soundfile and transformers >= 5.2. The extractor pads by
reflection; a stream starts and ends with zeros, so zeros are put around the recording first and
their frames dropped.
"""
import argparse
import pathlib

import numpy as np
import soundfile
from transformers import VoxtralRealtimeFeatureExtractor

RATE = 16000
HOP = 160
PAD_FRAMES = 3  # 480 samples: more than the 200 that the extractor reflects


def synthetic():
    """One second and a half: what speech does not hold.

    Nothing is louder than a quarter of full scale: above that the extractor's own single-precision
    rounding, not ours, shows in the quietest bins (1.2e-4 at full scale against float64)."""
    t = np.arange(RATE // 2) / RATE
    sweep = 0.25 * np.sin(2 * np.pi * (20 * t + (7900 - 20) / 2 * t * t / t[-1]))
    silence = np.zeros(RATE // 4)
    noise = np.random.RandomState(1).normal(0, 0.01, RATE // 4)
    clipped = np.clip(0.75 * np.sin(2 * np.pi * 440 * t), -0.25, 0.25)
    return np.concatenate([sweep, silence, noise, clipped])


def mel_of(samples):
    pad = np.zeros(PAD_FRAMES * HOP, np.float32)
    padded = np.concatenate([pad, samples.astype(np.float32) / 32768, pad])
    features = VoxtralRealtimeFeatureExtractor()(padded, sampling_rate=RATE, return_tensors="np")
    frames = features["input_features"][0].T
    return np.ascontiguousarray(frames[PAD_FRAMES : PAD_FRAMES + len(samples) // HOP])


def write(directory, name, samples):
    soundfile.write(directory / f"{name}.wav", samples, RATE, subtype="PCM_16")
    frames = mel_of(samples)
    frames.astype("<f4").tofile(directory / f"{name}.mel")
    print(f"{name}: {len(samples)} samples, {len(frames)} frames, {frames.min():.4f} to {frames.max():.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    speech, rate = soundfile.read(args.speech, dtype="int16")
    if rate != RATE or speech.ndim != 1:
        raise SystemExit(f"{args.speech}: {rate} Hz, {speech.ndim} dimensions; give 16 kHz mono")
    first = int(args.start * RATE)
    count = int(args.seconds * RATE) // HOP * HOP
    args.directory.mkdir(parents=True, exist_ok=True)
    write(args.directory, "speech", speech[first : first + count])
    write(args.directory, "synthetic", np.round(synthetic() * 32768).clip(-32768, 32767).astype(np.int16))


if __name__ == "__main__":
    main()
