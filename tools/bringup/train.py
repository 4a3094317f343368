#!/usr/bin/env python3
"""Trains the bring-up model on streams mixed on the GPU, and scores it.

    train.py DATA_DIR OUT_DIR [--name NAME] [--seed 1] [--final] [--without SPEAKER] [--set key=value ...]

DATA_DIR is prepare.py's. Without --final the model is scored on the validation speakers (choose with these figures);
with --final it also learns from them and is scored on the test speakers (report these figures, never choose with them).
--without keeps one more speaker for the test: a voice of the digits corpus, which has too few to spare some for good.
OUT_DIR gets NAME.safetensors (original names, BF16: the exponential moving average of the weights) and NAME.json
(settings, curve, scores). --set overrides fields of Shape (model.py), Settings (mixer.py) and Schedule (below), each
by its name: --set dropout=0.2 encoder_layers=6 bursts=0.
"""
import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F

import calibrate
import clips as clip_store
import score
from mixer import Mixer, Settings
from model import FIRST_WORD_ID, HEAD_DIM_DECODER, HEAD_DIM_ENCODER, LEFT_PAD, Model, Shape, rope_table, window_mask


@dataclass
class Schedule:
    batch: int = 64
    positions: int = 200       # 16 s: with the left pad, nearly half of the positions no longer see BOS
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: int = 300         # steps
    dropout: float = 0.1
    average: float = 0.999
    steps: int = 3500          # 133 s on one H100 that does nothing else
    seconds: float = 0.0       # at most, if not 0: the learning rate then falls with the clock where that is faster
    shift: float = 0.0         # added to the logit of WORD in the end (calibrate.py)


def override(target, assignments):
    """Takes what is a field of `target` out of `assignments`."""
    for field in fields(target):
        if field.name in assignments:
            setattr(target, field.name, type(field.default)(assignments.pop(field.name)))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", default="bringup")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--without", metavar="SPEAKER", help="a speaker who only scores")
    parser.add_argument("--shifts", type=float, nargs="*", default=[], help="score these further shifts of WORD's logit too")
    parser.add_argument("--begin-with", type=Path, metavar="RUN.safetensors", help="weights to begin with, of the same shape")
    parser.add_argument("--no-compile", action="store_true", help="slower steps, but no minute of compilation")
    parser.add_argument("--streams", type=int, default=100, help="streams per scored set")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value")
    args = parser.parse_args()
    shape, settings, schedule = Shape(), Settings(), Schedule()
    assignments = dict(a.split("=", 1) for a in args.set)
    for target in (shape, settings, schedule):
        override(target, assignments)
    if assignments:
        raise SystemExit(f"--set: no setting is called {', '.join(assignments)}")
    return args, shape, settings, schedule


def make_optimizer(parameters, schedule, device):
    return torch.optim.AdamW(
        [dict(params=[p for p in parameters if p.ndim >= 2], weight_decay=schedule.weight_decay),
         dict(params=[p for p in parameters if p.ndim < 2], weight_decay=0.0)],
        lr=schedule.learning_rate, betas=(0.9, 0.98), fused=device == "cuda")


def progress(schedule, step, seconds):
    """0 to 1: by the steps, or by the clock where it has the later hand."""
    return max(step / schedule.steps, seconds / schedule.seconds if schedule.seconds else 0)


def learning_rate(schedule, step, done):
    """Warm-up, and a cosine to 2 percent."""
    rate = schedule.learning_rate * min(1, (step + 1) / schedule.warm_up)
    return rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, done))))


def train(model, mixer, schedule, device, compiled, log):
    """Leaves the moving average of the weights in the model, rounded to BF16, and returns the curve:
    (step, seconds, loss, share of words right with the true words before them)."""
    shape, parameters = model.shape, list(model.parameters())
    average = [p.detach().clone() for p in parameters]
    optimizer = make_optimizer(parameters, schedule, device)
    total = LEFT_PAD + schedule.positions
    encoder = window_mask(4 * total, shape.encoder_window, device), rope_table(4 * total, HEAD_DIM_ENCODER, device)
    decoder = window_mask(total, shape.decoder_window, device), rope_table(total, HEAD_DIM_DECODER, device)
    if compiled:
        torch._dynamo.config.suppress_errors = True  # what does not compile runs as it is
    forward = torch.compile(model) if compiled else model
    model.train()
    curve, started = [], None
    for step in range(schedule.steps):
        # Compilation, in the first step, is not training.
        elapsed = time.time() - started if started else 0.0
        last = progress(schedule, step + 1, elapsed) >= 1
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(schedule, step, progress(schedule, step, elapsed))
        with torch.no_grad():
            mel, ids, targets, weights, delay = mixer.batch(schedule.batch, schedule.positions)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            logits = forward(mel, ids, delay, *encoder, *decoder, schedule.dropout)
        logits, targets, weights = logits[:, LEFT_PAD:].float(), targets[:, LEFT_PAD:], weights[:, LEFT_PAD:]
        cross_entropy = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        loss = (cross_entropy * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        done = step + 1
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - min(schedule.average, (1 + done) / (10 + done)))
        started = started or time.time()
        if done % 250 == 0 or done <= 2 or last:
            word = targets >= FIRST_WORD_ID
            right = (logits.argmax(-1) == targets)[word].float().mean().item()
            curve.append((done, round(time.time() - started, 1), round(loss.item(), 4), round(right, 4)))
            log("step %d, %.1f s, loss %.4f, words right %.4f" % curve[-1])
        if last:
            break
    with torch.no_grad():
        for p, a in zip(parameters, average):
            p.copy_(a.to(torch.bfloat16).float())  # score what is saved
    return curve


def main():
    args, shape, settings, schedule = parse()
    began = time.time()

    def log(*text):
        print(f"[{args.name} {time.time() - began:6.1f}]", *text, flush=True)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    samples, clips = clip_store.load(args.data, os.cpu_count() or 1)
    for clip in clips:
        if args.without and clip["speaker"] == args.without:
            clip["split"] = "test"
    learned = ("train", "validation") if args.final else ("train",)
    torch.manual_seed(args.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    mixer = Mixer([c for c in clips if c["split"] in learned], samples, settings, device)
    model = calibrate.load_model(args.begin_with, shape) if args.begin_with else Model(shape)
    model = model.to(device)
    size = sum(p.numel() for p in model.parameters())
    log(f"{size} parameters, {len(clips)} clips", json.dumps(dict(asdict(shape), **asdict(settings), **asdict(schedule))))
    curve = train(model, mixer, schedule, device, device == "cuda" and not args.no_compile, log)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if schedule.shift:
        log("shift: u . h is %.3f in the mean, deviation %.3f" % calibrate.shift(model, mixer, schedule.shift))
    args.out.mkdir(parents=True, exist_ok=True)
    calibrate.save_model(model, args.out / f"{args.name}.safetensors")
    split = "test" if args.final else "validation"
    streams = score.build(clips, samples, split, (1, 2, 6, 12, 30) if args.final else (6,), args.streams)
    scores = {}
    for amount in [0.0] + args.shifts:
        scores[f"{schedule.shift + amount:g}"] = score.score(streams, score.transcribe(model, streams, device, amount))
    for amount, rows in scores.items():
        for name, row in rows.items():
            log(f"shift {amount}: {name}", json.dumps(row))
    result = dict(
        name=args.name, seed=args.seed, without=args.without, parameters=size, steps=curve[-1][0], seconds=curve[-1][1],
        scored=split, shape=asdict(shape), settings=asdict(settings), schedule=asdict(schedule), curve=curve, scores=scores)
    half_written = args.out / f"{args.name}.part"
    half_written.write_text(json.dumps(result, indent=1))
    half_written.replace(args.out / f"{args.name}.json")  # its presence says that the run is whole


if __name__ == "__main__":
    main()
