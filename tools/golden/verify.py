"""Compares `earshot transcribe` with transformers in fp32, id by id, on any model and recording.

    python tools/golden/verify.py models/bringup talk.flac --delay-ms 480 --delay-ms 80
    python tools/golden/verify.py --random 20 talk.flac other.flac      20 fresh random models
    python tools/golden/verify.py --random 20 --kv-window 128 talk.flac with a shorter window

Two comparisons of each model, recording and delay:
- free: the ids that earshot prints, up to the first step whose top-2 margin in transformers is under
  0.01, where arithmetic of another order may rightly choose the other id;
- forced: transformers' ids are fed to earshot (--force) and its choice and margin are compared at
  every step whose margin is 0.01 or more; under 90 % of the steps compared is a failure.
Exit code 1 when any comparison fails. Recordings must be 16 kHz, mono: ids are exact only without
resampling.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace

import torch

import checkpoint
import reference
from checkpoint import Shape, Stack

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
NEAR_TIE_MARGIN = 0.01
COMPARED_SHARE_MIN = 0.9
DELAYS_MS = [80 * positions for positions in range(1, 16)] + [2400]


def run_earshot(options, directory, audio, delay_ms, forced=None):
    """Lines of `transcribe --format tokens`, split into words."""
    command = [options.earshot, "transcribe", "--model", directory, "--backend", options.backend,
               "--delay-ms", str(delay_ms), "--format", "tokens"]
    if options.kv_window is not None:
        command += ["--kv-window", str(options.kv_window)]
    with tempfile.NamedTemporaryFile("w", suffix=".ids") as file:
        if forced is not None:
            file.write("".join(f"{token}\n" for token in forced))
            file.flush()
            command += ["--force", file.name]
        done = subprocess.run(command + [audio], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return [line.split() for line in done.stdout.splitlines()]


def compare(options, name, model, directory, audio, delay_ms):
    """True when all is equal that must be; prints one line, and one per difference."""
    delay_positions = -(-(delay_ms // 10) // 8)
    run = reference.transcribe(model, reference.read_samples(audio), delay_positions)
    near = [step for step, margin in enumerate(run.margins) if margin < NEAR_TIE_MARGIN]
    first_tie = near[0] if near else len(run.ids)
    problems = []

    free = [int(words[0]) for words in run_earshot(options, directory, audio, delay_ms)]
    if len(free) != len(run.ids):
        problems.append(f"{len(free)} ids, expected {len(run.ids)}")
    for step in range(min(first_tie, len(free))):
        if free[step] != run.ids[step]:
            problems.append(f"free: step {step} is {free[step]}, expected {run.ids[step]} (margin {run.margins[step]:.4f})")
            break

    forced = run_earshot(options, directory, audio, delay_ms, forced=run.ids)
    margin_error = 0.0
    if len(forced) != len(run.ids):
        problems.append(f"forced: {len(forced)} steps, expected {len(run.ids)}")
    for step, words in enumerate(forced[:len(run.ids)]):
        margin_error = max(margin_error, abs(float(words[1]) - run.margins[step]) if int(words[0]) == run.ids[step] else 0.0)
        if int(words[0]) != run.ids[step] and run.margins[step] >= NEAR_TIE_MARGIN:
            problems.append(f"forced: step {step} chose {words[0]}, expected {run.ids[step]} (margin {run.margins[step]:.4f})")
            break
    if len(run.ids) - len(near) < COMPARED_SHARE_MIN * len(run.ids):
        problems.append(f"only {len(run.ids) - len(near)} of {len(run.ids)} steps are no near-ties: nothing is proved")

    print(f"{'FAILED' if problems else 'ok':6} {name} {os.path.basename(audio)} {delay_ms} ms: {len(run.ids)} ids, "
          f"{len(set(run.ids))} distinct, {len(near)} near-ties, free equal up to {first_tie}, "
          f"smallest margin {min(run.margins):.3g}, margins differ by at most {margin_error:.1e}", flush=True)
    for problem in problems:
        print("       " + problem, flush=True)
    return not problems


def random_shape(seed, kv_window=None):
    """Dimensions unlike each other, windows that wrap within seconds; with `kv_window` the decoder's
    own is twice as long, so that the shorter one counts."""
    rng = random.Random(seed)

    def stack(kv_head_count, group):
        return Stack(dim=4 * rng.randint(6, 30), layer_count=rng.randint(1, 4), head_count=kv_head_count * group,
                     kv_head_count=kv_head_count, head_dim=2 * rng.randint(4, 32), hidden_dim=4 * rng.randint(8, 50),
                     window=rng.choice([2, 3, 5, 8, 13, 21, 34, 60]), rope_theta=rng.choice([1e4, 1e5, 1e6]),
                     norm_eps=rng.choice([1e-5, 1e-6, 1e-4]))

    shape = Shape(f"random_{seed}", rng.choice(["BF16", "F16", "F32"]), rng.randint(1256, 3000),
                  encoder=stack(rng.randint(1, 5), 1), decoder=stack(rng.randint(1, 4), rng.choice([1, 2, 3, 4, 8])))
    if kv_window is not None:
        shape = replace(shape, decoder=replace(shape.decoder, window=2 * kv_window))
    return shape


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="[MODEL_DIR] AUDIO", help="a model directory and recordings, or recordings with --random")
    parser.add_argument("--delay-ms", type=int, action="append", choices=DELAYS_MS, metavar="N", help="80, 160 .. 1200 or 2400; may be repeated (480)")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N fresh random models instead of MODEL_DIR")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first random model (1000)")
    parser.add_argument("--kv-window", type=int, metavar="N", help="positions that the decoder looks back on, on both sides")
    parser.add_argument("--earshot", default=os.path.join(ROOT, "build/release/earshot"), help="the program (build/release/earshot)")
    parser.add_argument("--backend", default="cpu", help="its --backend (cpu)")
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    passed = []
    with ExitStack() as stack:
        if options.random == 0:
            directory, recordings = options.paths[0], options.paths[1:]
            model = reference.load(directory, kv_window=options.kv_window)
            for audio in recordings:
                for delay_ms in options.delay_ms or [480]:
                    passed.append(compare(options, directory, model, directory, audio, delay_ms))
        for seed in range(options.seed, options.seed + options.random):
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            checkpoint.write(directory, random_shape(seed, options.kv_window), seed)
            model = reference.load(directory, kv_window=options.kv_window)
            delays = options.delay_ms or random.Random(seed).sample(DELAYS_MS, 2)
            for audio in options.paths:
                for delay_ms in delays:
                    passed.append(compare(options, f"random_{seed}", model, directory, audio, delay_ms))
    print(f"{sum(passed)} of {len(passed)} comparisons equal")
    sys.exit(0 if passed and all(passed) else 1)


if __name__ == "__main__":
    main()
