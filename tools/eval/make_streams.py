#!/usr/bin/env python3
"""Builds evaluation streams with known words from corpora of single words.

usage: make_streams.py CORPORA OUT [--split test|validation|train|all] [--prompts FOLDER]
                       [--seed N] [--only SET[,SET...]]

CORPORA holds the folders speech_commands_subset, fsdd, noise, sentences and
librispeech_251spk_untranscribed, each with a metadata.tsv. OUT gets one folder per set, with FLAC
files and the reference.tsv that eval.py reads. Only speakers of one split are heard, by the rule
that the bring-up model was trained by (tools/bringup/splits.py): the test split, unless --split
says otherwise, is of speakers that it was not trained on. The long recordings of noise are few, and
it was trained on all of them. Every set is drawn from a generator of its own, so that --only
changes nothing in the others. --prompts names the voice of Asterisk's English prompts,
usr/share/asterisk/sounds/en_US_f_Allison in Debian's package asterisk-core-sounds-en-wav, for two
more sets; the model was not trained on it. Needs numpy and soundfile (requirements.txt).

  clean       100 streams of 8 words out of all 36, 0.3 to 0.8 s of digital silence between them
  noise10db   the same streams, with noise 10 dB below the words
  quiet30db   the same streams, 30 dB quieter
  commands    100 streams of the ten commands; digits, others: 14 streams each of those words
  fsdd_NAME   62 streams of one voice's digits; fsdd_NAME_noise10db: the same with noise
  long        one stream of at least five minutes, gaps of 0.2 to 1.5 s
  prompts     10 streams with the ten digits of that voice
  none_*      nothing to write down: digital silence, steady noise, noise that is switched on and
              off, one-second clips of noise one after the other, people saying other things, and
              letters of that voice, said and spelt
"""
import argparse
import os
import random

import numpy as np

import clips

SPEECH_COMMANDS = "Speech Commands, CC BY 4.0"
FSDD = "Free Spoken Digit Dataset, CC BY-SA 4.0"
LIBRISPEECH = "LibriSpeech, CC BY 4.0"
PROMPTS = "Asterisk prompts, spoken by Allison Smith, CC BY-SA 3.0"


def load_noise(corpora):
    return [clips.read(row["path"]) for row in clips.rows(os.path.join(corpora, "noise"))]


def add_noise(stream, noise, snr_db, rng):
    """Noise at a level counted from the samples that are not digital silence."""
    begin = rng.randrange(max(1, len(noise) - len(stream.samples)))
    part = np.resize(noise[begin:begin + len(stream.samples)], len(stream.samples))
    voiced = stream.samples[stream.samples != 0].astype(np.float64)
    gain = np.sqrt(np.mean(voiced ** 2) / np.mean(part.astype(np.float64) ** 2)
                   * 10 ** (-snr_db / 10))
    mixed = stream.samples + np.float32(gain) * part
    return clips.Stream(mixed, stream.words, stream.ends, stream.speakers)


def noisy(streams, noise, snr_db, rng):
    return [add_noise(stream, noise[i % len(noise)], snr_db, rng)
            for i, stream in enumerate(streams)]


def switched(noise, seconds, rng):
    """Noise with sharp edges: on and off for 0.1 to 2 s each, at levels up to 20 dB apart."""
    samples = np.resize(noise, seconds * clips.RATE)
    at = 0
    while at < len(samples):
        on, off = (int(rng.uniform(0.1, 2.0) * clips.RATE) for _ in range(2))
        samples[at:at + on] *= np.float32(10 ** (rng.uniform(-20, 0) / 20))
        samples[at + on:at + on + off] = 0
        at += on + off
    return clips.Stream(samples)


def join(streams):
    samples, words, ends, speakers, at = [], [], [], [], 0
    for stream in streams:
        samples.append(stream.samples)
        words += stream.words
        ends += [end + at / clips.RATE for end in stream.ends]
        speakers += stream.speakers
        at += len(stream.samples)
    return clips.Stream(np.concatenate(samples), words, ends, speakers)


def word_sets(corpora, split, noise, rng_of):
    pool = clips.load_words(os.path.join(corpora, "speech_commands_subset"), split)

    def streams(name, words, count, **how):
        rng = rng_of(name)
        chosen = [clip for clip in pool if clip.label in words]
        return [clips.concatenate(group, rng, **how)
                for group in clips.deal(chosen, count, 8, rng)]

    clean = streams("clean", clips.VOCABULARY, 100)
    yield "clean", SPEECH_COMMANDS, clean
    yield "noise10db", SPEECH_COMMANDS, noisy(clean, noise, 10, rng_of("noise10db"))
    quiet = np.float32(10 ** (-30 / 20))
    yield "quiet30db", SPEECH_COMMANDS, [
        clips.Stream(stream.samples * quiet, stream.words, stream.ends, stream.speakers)
        for stream in clean]
    yield "commands", SPEECH_COMMANDS, streams("commands", clips.COMMANDS, 100)
    yield "digits", SPEECH_COMMANDS, streams("digits", clips.DIGITS, 14)
    yield "others", SPEECH_COMMANDS, streams("others", clips.OTHERS, 14)
    yield "long", SPEECH_COMMANDS, [
        join(streams("long", clips.VOCABULARY, 27, gap=(0.2, 1.5), lead=0.0))]

    voices = {}
    for clip in clips.load_words(os.path.join(corpora, "fsdd"), split, trimmed=True):
        voices.setdefault(clip.speaker, []).append(clip)
    for voice in sorted(voices):
        name = "fsdd_" + voice
        rng = rng_of(name)
        digits = [clips.concatenate(group, rng)
                  for group in clips.deal(voices[voice], 62, 8, rng)]
        yield name, FSDD, digits
        yield name + "_noise10db", FSDD, noisy(digits, noise, 10, rng)


def empty_sets(corpora, split, noise, rng_of):
    def rows(corpus):
        return clips.rows(os.path.join(corpora, corpus), split)

    yield "none_silence", "none needed", [clips.Stream(np.zeros(60 * clips.RATE, np.float32))]
    yield "none_noise", SPEECH_COMMANDS, [clips.Stream(samples * np.float32(gain))
                                          for samples in noise for gain in (1.0, 0.1)]
    rng = rng_of("none_switching")
    yield "none_switching", SPEECH_COMMANDS, [switched(samples, 120, rng) for samples in noise]
    yield "none_noise_clips", SPEECH_COMMANDS, [clips.Stream(np.concatenate([
        clips.read(row["path"]) for row in rows("speech_commands_subset")
        if row["label"] == "_silence_"]))]
    yield "none_sentences", "each file's own: metadata.tsv of the corpus", [
        clips.Stream(clips.read(row["path"]), speakers=(row["speaker"],), spoken=row["transcript"])
        for row in rows("sentences")]
    yield "none_librispeech", LIBRISPEECH, [
        clips.Stream(clips.read(row["path"]), speakers=(row["speaker"],))
        for row in rows("librispeech_251spk_untranscribed")]


def prompt_sets(folder, rng_of):
    rng = rng_of("prompts")
    digits = clips.load_prompt_digits(folder)
    yield "prompts", PROMPTS, [clips.concatenate(group, rng)
                               for group in clips.deal(digits, 10, 10, rng)]
    # "a", "alpha", ...: what has other names ("niner", "left bracket") may hold a word.
    files = [os.path.join(folder, kind, letter + end + ".wav")
             for kind, end in (("letters", ""), ("phonetic", "_p"))
             for letter in "abcdefghijklmnopqrstuvwxyz"]
    yield "none_letters", PROMPTS, [
        clips.Stream(clips.read(file), speakers=(clips.PROMPTS_SPEAKER,))
        for file in files if os.path.exists(file)]


def write_set(out, name, licence, streams):
    folder = os.path.join(out, name)
    os.makedirs(folder, exist_ok=True)
    table = []
    for index, stream in enumerate(streams):
        file = f"{index:03d}.flac"
        clips.write(os.path.join(folder, file), stream.samples)
        table.append((file, " ".join(stream.words),
                      " ".join(str(round(1000 * end)) for end in stream.ends),
                      " ".join(stream.spoken.split()).replace('"', ""),
                      " ".join(stream.speakers), licence))
    clips.write_table(os.path.join(folder, "reference.tsv"),
                      ("file", "words", "end_ms", "spoken", "speakers", "licence"), table)
    seconds = sum(len(stream.samples) for stream in streams) / clips.RATE
    print(f"{name}: {len(streams)} recordings, {seconds:.0f} s, "
          f"{sum(len(stream.words) for stream in streams)} words", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora")
    parser.add_argument("out")
    parser.add_argument("--split", choices=clips.SPLITS + ("all",), default="test")
    parser.add_argument("--prompts")
    parser.add_argument("--seed", default="2602")
    parser.add_argument("--only", help="sets to write, separated by commas")
    args = parser.parse_args()
    only = set(args.only.split(",")) if args.only else None
    split = None if args.split == "all" else args.split
    noise = load_noise(args.corpora)

    def rng_of(name):
        return random.Random(f"{name} {args.seed}")

    groups = [word_sets(args.corpora, split, noise, rng_of),
              empty_sets(args.corpora, split, noise, rng_of)]
    if args.prompts:
        groups.append(prompt_sets(args.prompts, rng_of))
    for sets in groups:
        for name, licence, streams in sets:
            if only is None or name in only:
                write_set(args.out, name, licence, streams)


if __name__ == "__main__":
    main()
