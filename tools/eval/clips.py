"""Spoken words from corpora of short clips, and streams made of them.

A corpus is a folder with a metadata.tsv (columns file, speaker, label, ...) and its audio. Needs
numpy and soundfile; make_streams.py and make_recordings.py are built on it.
"""
import csv
import os
import sys

import numpy as np
import soundfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bringup"))
from splits import SPLITS, split_of  # noqa: E402  (the rule that the model was trained by)

RATE = 16000
DIGITS = "zero one two three four five six seven eight nine".split()
COMMANDS = "yes no up down left right on off stop go".split()
OTHERS = ("sheila happy wow cat tree house bird bed marvin dog forward learn follow backward "
          "visual label").split()
VOCABULARY = frozenset(DIGITS + COMMANDS + OTHERS)

PROMPTS_SPEAKER = "allison_smith"

WINDOW = RATE // 40      # 25 ms
HOP = RATE // 200        # 5 ms
BRIDGE_HOPS = 26         # a stop consonant is silent for up to 130 ms inside a word
BURST_HOPS = 4           # what follows it lasts at least 20 ms
MARGIN = RATE // 10      # 100 ms of the clip stay around the word
FADE = 120               # samples; an edge would click


class Clip:
    """One recorded word: samples f32 in -1..1, where the word begins and ends (samples)."""

    def __init__(self, path, label, speaker, trimmed):
        self.path, self.label, self.speaker, self.trimmed = path, label, speaker, trimmed
        self._samples = self._edges = None

    @property
    def samples(self):
        if self._samples is None:
            self._samples = read(self.path)
        return self._samples

    @property
    def edges(self):
        if self._edges is None:
            self._edges = endpoints(self.samples, self.trimmed)
        return self._edges


class Stream:
    """Samples, and which words end where (s)."""

    def __init__(self, samples, words=(), ends=(), speakers=(), spoken=""):
        self.samples, self.words, self.ends = samples, list(words), list(ends)
        self.speakers, self.spoken = sorted(set(speakers)), spoken


def read(path):
    """Mono samples at 16 kHz; a recording at 8 kHz is interpolated through its spectrum."""
    samples, rate = soundfile.read(path, dtype="float32")
    if rate not in (RATE, RATE // 2) or samples.ndim != 1:
        raise ValueError(f"{path}: has {rate} Hz and shape {samples.shape}; give 8 or 16 kHz mono")
    if rate != RATE:
        samples = 2 * np.fft.irfft(np.fft.rfft(samples), 2 * len(samples)).astype(np.float32)
    return samples


def rows(folder, split=None):
    """The lines of a corpus's table, all of them or those of one split; `path` is added."""
    path = os.path.join(folder, "metadata.tsv")
    corpus = os.path.basename(os.path.normpath(folder))
    with open(path, newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            row["path"] = os.path.join(folder, row["file"])
            if split is None or split_of(corpus, row) == split:
                yield row


def load_words(folder, split=None, trimmed=False):
    """The clips of a corpus whose label is a word of the vocabulary, or a digit 0..9."""
    clips = []
    for row in rows(folder, split):
        label = DIGITS[int(row["label"])] if row["label"].isdigit() else row["label"]
        if label in VOCABULARY:
            clips.append(Clip(row["path"], label, row["speaker"], trimmed))
    return clips


def load_prompt_digits(folder):
    """The ten digits of the one voice of Asterisk's English prompts, in order."""
    return [Clip(os.path.join(folder, "digits", f"{digit}.wav"), label, PROMPTS_SPEAKER,
                 trimmed=False) for digit, label in enumerate(DIGITS)]


def endpoints(samples, trimmed):
    """First and last sample of the word, by energy (models/bringup/README.md, "When a word ends").

    Frames of 25 ms every 5 ms, smoothed over three. A frame is speech when it is above
    max(peak - 30 dB, floor + 0.28 (peak - floor)), the floor being the 8th percentile; a clip that
    was trimmed to its word shows no floor, and gets peak - 27 dB. The word is the run of speech
    around the loudest frame, grown over gaps of at most 130 ms.
    """
    if len(samples) < WINDOW + 5 * HOP:
        return 0, len(samples)
    energy = np.concatenate(([0.0], np.cumsum((samples - samples.mean()).astype(np.float64) ** 2)))
    starts = np.arange(0, len(samples) - WINDOW, HOP)
    level = 10 * np.log10((energy[starts + WINDOW] - energy[starts]) / WINDOW + 1e-10)
    level = np.convolve(level, np.full(3, 1 / 3), "same")
    peak, floor = level[1:-1].max(), np.percentile(level, 8)
    threshold = peak - 27 if trimmed else max(peak - 30, floor + 0.28 * (peak - floor))
    speech = np.concatenate(([0], (level > threshold).astype(np.int8), [0]))
    change = np.diff(speech)
    runs = list(zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1)))
    loudest = int(np.argmax(level))
    core = next((i for i, (a, b) in enumerate(runs) if a <= loudest < b), 0)
    first, end = runs[core]
    for a, b in runs[core + 1:]:
        if a - end <= BRIDGE_HOPS and b - a >= BURST_HOPS:
            end = b
    for a, b in reversed(runs[:core]):
        if first - b <= BRIDGE_HOPS and b - a >= BURST_HOPS:
            first = a
    # A window that just touches the word is above the threshold with most of itself outside it.
    return (int(first * HOP + 0.3 * WINDOW),
            min(len(samples), int((end - 1) * HOP + 0.7 * WINDOW)))


def concatenate(clips, rng, gap=(0.3, 0.8), peak_db=(-10.0, -2.0), lead=0.4):
    """Words one after the other, each at a peak of its own, digital silence between them."""
    parts, words, ends = [np.zeros(int(lead * RATE), np.float32)], [], []
    at = len(parts[0])
    for clip in clips:
        first, end = clip.edges
        begin = max(0, first - MARGIN)
        part = clip.samples[begin:end + MARGIN].copy()
        part *= 10 ** (rng.uniform(*peak_db) / 20) / max(1e-4, float(np.abs(clip.samples).max()))
        fade = min(FADE, len(part) // 4)
        part[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        part[len(part) - fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        words.append(clip.label)
        ends.append((at + end - begin) / RATE)
        silence = np.zeros(int(rng.uniform(*gap) * RATE), np.float32)
        parts += [part, silence]
        at += len(part) + len(silence)
    return Stream(np.concatenate(parts), words, ends, (clip.speaker for clip in clips))


def deal(clips, stream_count, word_count, rng):
    """Groups of clips; the pack is shuffled again only when it is used up."""
    pack, groups = [], []
    for _ in range(stream_count):
        if len(pack) < word_count:
            pack += rng.sample(clips, len(clips))
        groups.append(pack[:word_count])
        pack = pack[word_count:]
    return groups


def write(path, samples):
    soundfile.write(path, np.clip(samples, -1.0, 32767 / 32768), RATE, subtype="PCM_16")


def write_table(path, columns, table):
    with open(path, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE,
                            quotechar=None)
        writer.writerow(columns)
        writer.writerows(table)
