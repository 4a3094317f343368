"""How far earshot is from transformers in fp32, on a model too large for a CPU, stage by stage.

    python tools/golden/full_size.py MODEL_DIR TALK.s16 --backend cuda

Needs a GPU that holds the model in fp32 (18 GB for 4B dimensions). TALK.s16 is raw audio: 16 kHz, mono,
signed 16-bit. Three runs on the same ids, those that transformers chooses in fp32 (TF32 off):
- transformers in fp32: the reference;
- transformers in bf16: what everybody else calls right, as the yardstick;
- earshot, through earshot-stages (which runs the product's pipeline with a tap on every stage) and
  through `earshot transcribe --force` (the product itself, graphs and all).
Printed for each stage: the smallest cosine of a row, the relative L2 error of all rows and of the
worst; for the logits also the rms error and the decisions lost. Exit code 1 when earshot loses more
than a third of the decisions that bf16 loses, has more than a third of its rms error, or a smaller
cosine, or when the two ways through earshot disagree where it is not a tie.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

import reference
from verify import ROOT

SHARE_MAX = 1 / 3
TIE_ERRORS = 4  # rms errors of a logit: a margin below them is nobody's
STAGES = ["encoder", "adapter", "decoder", "logits"]


def read_raw(path, seconds):
    samples = np.fromfile(path, dtype="<i2")[:int(seconds * 16000)]
    return samples.astype(np.float32) / 32768


def earshot_stages(options, raw, ids_path, directory):
    """stage -> f32 rows, as earshot's own stages give them."""
    command = [options.stages, "--model", options.model, "--backend", options.backend,
               "--delay-ms", str(options.delay_ms), "--force", ids_path, "--out", directory, raw]
    subprocess.run(command, check=True)
    shapes = json.load(open(os.path.join(directory, "stages.json")))
    return {name: np.fromfile(os.path.join(directory, f"{name}.f32"), dtype="<f4").reshape(-1, shapes[name])
            for name in STAGES}


def earshot_choices(options, raw, ids_path):
    """What the product prints: [(id, margin)]."""
    command = [options.earshot, "transcribe", "--model", options.model, "--backend", options.backend,
               "--delay-ms", str(options.delay_ms), "--format", "tokens", "--force", ids_path, "-"]
    with open(raw, "rb") as audio:
        done = subprocess.run(command, stdin=audio, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return [(int(words[0]), float(words[1])) for words in map(str.split, done.stdout.splitlines())]


def measure(truth, rows, device):
    """Cosine and relative error by rows, without a copy of all of it in f64."""
    cosine, worst, error2, truth2 = 1.0, 0.0, 0.0, 0.0
    for begin in range(0, len(truth), 64):
        t = torch.from_numpy(truth[begin:begin + 64]).to(device).double()
        y = torch.from_numpy(rows[begin:begin + 64]).to(device).double()
        e2, t2 = ((y - t) ** 2).sum(1), (t ** 2).sum(1)
        cosine = min(cosine, float(((y * t).sum(1) / ((y ** 2).sum(1) * t2).sqrt()).min()))
        worst = max(worst, float((e2 / t2).sqrt().max()))
        error2, truth2 = error2 + float(e2.sum()), truth2 + float(t2.sum())
    return {"cosine_min": cosine, "relative": (error2 / truth2) ** 0.5, "worst_row": worst,
            "rms": (error2 / truth.size) ** 0.5}


def report(name, truth, stages, ids, margins, device):
    """Prints a table of one run against the reference; `stages` holds decision rows of logits alone."""
    figures = {}
    for stage in STAGES:
        rows = stages[stage]
        if rows.shape != truth[stage].shape:
            raise SystemExit(f"{name}: {stage} has {rows.shape} rows, expected {truth[stage].shape}")
        figures[stage] = measure(truth[stage], rows, device)
        print(f"{name:18} {stage:8} {len(rows):5} rows: cosine >= {figures[stage]['cosine_min']:.7f}, relative L2 "
              f"{figures[stage]['relative']:.2e}, worst row {figures[stage]['worst_row']:.2e}, rms error {figures[stage]['rms']:.4f}")
    chosen = stages["logits"].argmax(1)
    lost = [step for step in range(len(ids)) if chosen[step] != ids[step]]
    figures["lost"] = len(lost)
    figures["lost_margin_max"] = max((margins[step] for step in lost), default=0.0)
    print(f"{name:18} loses {len(lost)} of {len(ids)} decisions, the clearest at a margin of {figures['lost_margin_max']:.3f}", flush=True)
    return figures, chosen


def keep(run, decision_count):
    stages = {name: run.stages[(name, 0)] for name in STAGES}
    stages["logits"] = stages["logits"][-decision_count:]
    return stages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL_DIR")
    parser.add_argument("audio", metavar="TALK.s16")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the recording (60)")
    parser.add_argument("--delay-ms", type=int, default=480)
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--earshot", default=os.path.join(ROOT, "build/release/earshot"))
    parser.add_argument("--stages", default=os.path.join(ROOT, "build/check/earshot-stages"))
    parser.add_argument("--device", default="cuda", help="where transformers runs (cuda)")
    parser.add_argument("--json", help="writes the figures there")
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    samples = read_raw(options.audio, options.seconds)
    delay = -(-(options.delay_ms // 10) // 8)

    def timed(what, began):
        print(f"({what}: {time.time() - began:.0f} s)", flush=True)

    began = time.time()
    model = reference.load(options.model).to(options.device)
    timed("model loaded", began)
    began = time.time()
    run = reference.transcribe(model, samples, delay, taps=True)
    timed("transformers in fp32", began)
    ids, margins, truth = run.ids, run.margins, keep(run, len(run.ids))
    print(f"{len(ids)} decisions, {len(set(ids))} distinct ids, smallest margin {min(margins):.4f}, median {np.median(margins):.2f}, "
          f"logits' standard deviation {truth['logits'].std():.2f}")

    began = time.time()
    bf16, _ = report("transformers bf16", truth, keep(
        reference.transcribe(model.to(torch.bfloat16), samples, delay, taps=True, forced=ids), len(ids)), ids, margins, options.device)
    timed("transformers in bf16", began)
    del model
    if options.device == "cuda":
        torch.cuda.empty_cache()

    began = time.time()
    with tempfile.TemporaryDirectory() as directory:
        ids_path, raw = os.path.join(directory, "ids"), os.path.join(directory, "talk.s16")
        with open(ids_path, "w") as file:
            file.write("".join(f"{token}\n" for token in ids))
        (samples * 32768).astype("<i2").tofile(raw)
        stages = earshot_stages(options, raw, ids_path, directory)
        stages["logits"] = stages["logits"][-len(ids):]
        ours, chosen = report(f"earshot {options.backend}", truth, stages, ids, margins, options.device)
        product = earshot_choices(options, raw, ids_path)
    timed("earshot", began)

    problems = []
    # Other chunks, other bits: where two ids are closer than the error, either is right.
    tie = TIE_ERRORS * ours["logits"]["rms"]
    differing = sum(int(a) != b and margin > tie for a, (b, _), margin in zip(chosen, product, margins))
    if differing > 0 or len(product) != len(chosen):
        problems.append(f"stages and product choose differently at {differing} of {len(ids)} steps")
    if ours["lost"] > bf16["lost"] * SHARE_MAX:
        problems.append(f"{ours['lost']} decisions lost, bf16 loses {bf16['lost']}")
    if ours["logits"]["rms"] > bf16["logits"]["rms"] * SHARE_MAX:
        problems.append(f"rms error {ours['logits']['rms']:.4f}, bf16 has {bf16['logits']['rms']:.4f}")
    for stage in STAGES:
        if ours[stage]["cosine_min"] < bf16[stage]["cosine_min"]:
            problems.append(f"{stage}: cosine {ours[stage]['cosine_min']:.6f}, bf16 has {bf16[stage]['cosine_min']:.6f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"decisions": len(ids), "distinct": len(set(ids)), "bf16": bf16, "earshot": ours}, file, indent=1)
    print("\n".join(f"FAILED {problem}" for problem in problems) or "ok: closer to fp32 than a third of bf16's error")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
