#!/usr/bin/env python3
"""Makes a finished model choose "a word starts" less or more readily, without training.

    calibrate.py DATA_DIR RUN.safetensors OUT.safetensors --shift -1        RUN.json beside it tells the shape

The head has no bias, but its rows do what one would: a vector u with u . h near 1 for every final hidden state h is
fitted by ridge regression on training streams, and SHIFT times u is added to the row of WORD. The row is an input
embedding too, which is what the figures after a shift have to be measured for.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import clips as clip_store
from mixer import Mixer, Settings
from model import (HEAD_DIM_DECODER, HEAD_DIM_ENCODER, LEFT_PAD, WORD, Model, Shape, rope_table, to_original,
                   window_mask)

RIDGE = 0.01  # of the mean square of a hidden state's component


@torch.no_grad()
def constant_direction(model, mixer, streams=8, batches=5, positions=200):
    """(u, mean and deviation of u . h) over the hidden states of training streams."""
    shape, device, total = model.shape, mixer.device, LEFT_PAD + positions
    encoder = window_mask(4 * total, shape.encoder_window, device), rope_table(4 * total, HEAD_DIM_ENCODER, device)
    decoder = window_mask(total, shape.decoder_window, device), rope_table(total, HEAD_DIM_DECODER, device)
    states = []
    hook = model.norm.register_forward_hook(lambda module, given, made: states.append(made[:, LEFT_PAD + 8:].flatten(0, 1)))
    model.eval()
    for _ in range(batches):
        mel, ids, _, _, delay = mixer.batch(streams, positions)
        model(mel, ids, delay, *encoder, *decoder, 0.0)
    hook.remove()
    h = torch.cat(states).double()
    gram = h.T @ h
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.double, device=device)
    u = torch.linalg.solve(gram + ridge, h.sum(0))
    reached = h @ u
    return u.float(), reached.mean().item(), reached.std().item()


@torch.no_grad()
def shift(model, mixer, amount):
    """Adds `amount` to the logit of WORD; returns the mean and deviation of what was reached, for an amount of 1."""
    u, mean, deviation = constant_direction(model, mixer)
    row = model.embedding.weight[WORD]
    row.copy_((row + amount * u).to(torch.bfloat16).float())
    return mean, deviation


def load_model(run, shape):
    model = Model(shape)
    places = to_original(model)
    with torch.no_grad():
        for name, weights in load_file(run).items():
            places[name].copy_(weights)
    return model


def save_model(model, path):
    save_file({name: value.to(torch.bfloat16).contiguous().cpu() for name, value in to_original(model).items()}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shift", type=float, required=True, help="added to the logit; negative: fewer words")
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    run = json.loads(args.run.with_suffix(".json").read_text())
    torch.manual_seed(args.seed)
    samples, clips = clip_store.load(args.data, 2)
    mixer = Mixer([c for c in clips if c["split"] == "train"], samples, Settings(), "cpu")
    model = load_model(args.run, Shape(**run["shape"]))
    mean, deviation = shift(model, mixer, args.shift)
    save_model(model, args.out)
    shutil.copyfile(args.run.with_suffix(".json"), args.out.with_suffix(".json"))
    print(f"shift {args.shift:g}: u . h is {mean:.3f} in the mean, deviation {deviation:.3f}")


if __name__ == "__main__":
    main()
