"""Makes tests/data/golden: models, cases and SUMMARY.txt. See README.md.

    python tools/golden/make.py [OUTPUT_DIRECTORY]

Fails when a golden would prove little: under 30 distinct ids, ids that survive other audio, another
delay or half a window, too many near-ties, or a planted mistake too close to the truth.
"""

import os
import sys
from dataclasses import dataclass

import numpy as np
import torch

import checkpoint
import mistakes
import reference
from checkpoint import Shape, Stack

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
DISTINCT_ID_COUNT_MIN = 30
SURVIVAL_MAX = 0.5
NEAR_TIE_MARGIN = 0.01
NEAR_TIE_SHARE_MAX = 0.1
TEST_TOLERANCE = 2e-5  # the widest relative L2 that tests/golden accepts of a stage
MISTAKE_ERROR_MIN = 3 * TEST_TOLERANCE

# Dimensions unlike each other, windows small enough for every ring to wrap many times, 1, 2 and 4
# query heads per key head, and one shape that no power of two above 4 divides.
SHAPES = {
    "ring": (Shape("ring", "BF16", 1264,
                   encoder=Stack(48, 2, 4, 4, 16, 80, window=10),
                   decoder=Stack(40, 3, 4, 2, 20, 96, window=7)), 1),
    "wide": (Shape("wide", "F16", 1400,
                   encoder=Stack(64, 2, 2, 2, 64, 112, window=40, rope_theta=1e5),
                   decoder=Stack(56, 2, 4, 1, 32, 72, window=50, norm_eps=1e-4)), 1),
    "odd": (Shape("odd", "F32", 1301,
                  encoder=Stack(36, 3, 3, 3, 20, 52, window=6, norm_eps=1e-4),
                  decoder=Stack(44, 2, 3, 3, 24, 60, window=5, rope_theta=1e5)), 1),
}


@dataclass(frozen=True)
class Case:
    name: str
    model: str
    audio: str
    delay_positions: int
    other_audio: str
    other_delay: int
    plant_mistakes: bool = False


CASES = [
    Case("ring_blocks_6", "ring", "blocks.flac", 6, "disposed.flac", 5, True),
    Case("ring_jfk_30", "ring", "jfk.flac", 30, "printing.flac", 15),
    Case("wide_jfk_15", "wide", "jfk.flac", 15, "printing.flac", 30, True),
    Case("wide_blocks_1", "wide", "blocks.flac", 1, "disposed.flac", 2),
    Case("odd_disposed_2", "odd", "disposed.flac", 2, "blocks.flac", 1, True),
    Case("odd_printing_6", "odd", "printing.flac", 6, "jfk.flac", 7),  # 50 times every window
]


def relative_error(rows, right):
    return float(np.linalg.norm(rows.astype(np.float64) - right) / np.linalg.norm(right.astype(np.float64)))


def survival(ids, others):
    """Share of steps that keep their id."""
    count = min(len(ids), len(others))
    return sum(a == b for a, b in zip(ids, others)) / count


def half_window(model, stack, samples, delay_positions):
    config = getattr(model.config, {"encoder": "audio_config", "decoder": "text_config"}[stack])
    with mistakes.replaced(config, "sliding_window", config.sliding_window // 2):
        return reference.transcribe(model, samples, delay_positions).ids


def row_blocks(stage, row_count, position_count, window, prompt_length, sample_count):
    """First rows and counts: the start, where the ring first wraps, speech, late in the stream, the
    end. Few, so that the files stay small; scattered, so that a slip anywhere shows."""
    per_position = row_count // position_count
    speech_end = reference.LEFT_PAD_POSITIONS + sample_count // reference.POSITION_SAMPLES
    if stage == "logits":
        # An engine computes them where an id is chosen only.
        starts, length = [prompt_length - 1, (prompt_length + speech_end) // 2, row_count - 2], 2
    else:
        middle = (reference.LEFT_PAD_POSITIONS + speech_end) // 2
        positions = [reference.LEFT_PAD_POSITIONS, prompt_length - 1, middle, speech_end - 2]
        starts = [0, window - 1] + [position * per_position for position in positions] + [row_count - 4]
        length = 4
    taken = sorted({row for start in starts for row in range(start, start + length) if 0 <= row < row_count})
    blocks = []
    for row in taken:
        if blocks and row == blocks[-1][0] + blocks[-1][1]:
            blocks[-1][1] += 1
        else:
            blocks.append([row, 1])
    return blocks


class Writer:
    """A case as NAME.txt (one line per thing) and NAME.bin (raw little-endian i32 and f32)."""

    def __init__(self, directory, name):
        self.path, self.lines, self.data = os.path.join(directory, name), [], bytearray()

    def line(self, *words):
        self.lines.append(" ".join(str(word) for word in words))

    def put(self, array, dtype):
        offset = len(self.data)
        self.data += np.ascontiguousarray(array, dtype=dtype).tobytes()
        return offset

    def rows(self, variant, stage, layer, rows, blocks):
        for first, count in blocks:
            offset = self.put(rows[first:first + count], "<f4")
            self.line("rows", variant, stage, layer, first, count, rows.shape[1], offset)

    def close(self):
        with open(self.path + ".txt", "w") as file:
            file.write("\n".join(self.lines) + "\n")
        with open(self.path + ".bin", "wb") as file:
            file.write(self.data)


def check_run(case, model, samples, run, failures):
    """How much this golden proves; returns words for the summary."""
    def fail(text):
        failures.append(f"{case.name}: {text}")

    other = reference.read_samples(os.path.join(ROOT, "tests/data/golden/audio", case.other_audio))
    kept = {
        case.other_audio: reference.transcribe(model, other, case.delay_positions).ids,
        f"delay {case.other_delay}": reference.transcribe(model, samples, case.other_delay).ids,
        "half the encoder window": half_window(model, "encoder", samples, case.delay_positions),
        "half the decoder window": half_window(model, "decoder", samples, case.delay_positions),
    }
    words = []
    for what, ids in kept.items():
        share = survival(run.ids, ids)
        words.append(f"{100 * share:.0f} % survive {what}")
        if share >= SURVIVAL_MAX:
            fail(f"{100 * share:.0f} % of the ids survive {what}")
    distinct = len(set(run.ids))
    if distinct < DISTINCT_ID_COUNT_MIN:
        fail(f"only {distinct} distinct ids")
    near = sum(margin < NEAR_TIE_MARGIN for margin in run.margins)
    if near > NEAR_TIE_SHARE_MAX * len(run.ids):
        fail(f"{near} near-ties in {len(run.ids)} steps")
    return f"{len(run.ids)} ids, {distinct} distinct, {near} near-ties, smallest margin {min(run.margins):.2g}; " + ", ".join(words)


def make_case(case, directory, output):
    failures, notes = [], []
    shape = SHAPES[case.model][0]
    model = reference.load(directory)
    samples = reference.read_samples(os.path.join(ROOT, "tests/data/golden/audio", case.audio))
    run = reference.transcribe(model, samples, case.delay_positions, taps=True)
    expected = -(-len(samples) // reference.POSITION_SAMPLES) + reference.RIGHT_PAD_EXTRA_POSITIONS
    prompt_length = len(reference.prompt(case.delay_positions))
    position_count = prompt_length + expected - 1
    assert len(run.ids) == expected, (len(run.ids), expected)
    notes.append(check_run(case, model, samples, run, failures))

    whole = reference.offline(model, samples, case.delay_positions, run.ids)
    worst = max(relative_error(rows, whole[key]) for key, rows in run.stages.items() if key in whole)
    notes.append(f"one call without caches differs from step by step by {worst:.1e}")
    if worst > TEST_TOLERANCE / 4:
        failures.append(f"{case.name}: transformers disagrees with itself by {worst:.1e}")

    writer = Writer(output, case.name)
    writer.line("model", case.model)
    writer.line("audio", case.audio)
    writer.line("sample_count", len(samples))
    writer.line("delay_positions", case.delay_positions)
    writer.line("position_count", position_count)
    writer.line("id_count", len(run.ids))
    writer.line("ids", writer.put(run.ids, "<i4"))
    writer.line("margins", writer.put(run.margins, "<f4"))
    blocks = {}
    for (stage, layer), rows in run.stages.items():
        window = shape.decoder.window if stage.startswith(("decoder", "adapter")) else shape.encoder.window
        blocks[stage] = row_blocks(stage, len(rows), position_count, window, prompt_length, len(samples))
        writer.rows("golden", stage, layer, rows, blocks[stage])
    if case.plant_mistakes:
        for name, stages in mistakes.planted(directory, model, samples, case.delay_positions, run.ids):
            for (stage, layer), rows in stages.items():
                taken = np.concatenate([np.arange(first, first + count) for first, count in blocks[stage]])
                error = relative_error(rows[taken], run.stages[(stage, layer)][taken])
                notes.append(f"mistake {name} moves {stage} {layer} by {error:.1e}")
                if error < MISTAKE_ERROR_MIN:
                    failures.append(f"{case.name}: mistake {name} moves {stage} by {error:.1e} only")
                writer.rows(name, stage, layer, rows, blocks[stage])
    writer.close()
    return notes, failures


def main():
    torch.set_num_threads(1)
    output = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "tests/data/golden")
    cases = os.path.join(output, "cases")
    os.makedirs(cases, exist_ok=True)
    directories = {}
    for name, (shape, seed) in SHAPES.items():
        directories[name] = os.path.join(output, "models", name)
        checkpoint.write(directories[name], shape, seed)
    failures, summary = [], []
    for case in CASES:
        notes, failed = make_case(case, directories[case.model], cases)
        summary += [f"{case.name}: {case.model}, {case.audio}, delay {case.delay_positions}"] + ["  " + note for note in notes]
        failures += failed
    with open(os.path.join(output, "SUMMARY.txt"), "w") as file:
        file.write("\n".join(summary) + "\n")
    print("\n".join(summary))
    if failures:
        raise SystemExit("\n".join(["these goldens prove too little:"] + failures))


if __name__ == "__main__":
    main()
