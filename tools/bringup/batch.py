#!/usr/bin/env python3
"""Chooses the recipe, trains its three seeds and the prototype's, scores all, and writes the tables: one GPU, one command.

    batch.py DATA_DIR OUT_DIR [--minutes 13] [--stage-minutes 4 8.5] [--set key=value ...]

DATA_DIR is prepare.py's. Stage 1 trains the recipes of SWEEP side by side on the training speakers, scores them on the
validation speakers at several shifts of "a word starts", and chooses the cheapest (cost_of). Stage 2 trains that recipe
with three seeds, and the prototype's, on training and validation speakers, and scores them on the test speakers.

A stage is begun only where its minutes fit into what is left of --minutes; within a stage runs stop by the clock, their
learning rate fallen to its end. What is done is not done again: the same command goes on where it was, so that two calls
of --minutes 4.5 and 8.7 do what one of 13 does. OUT_DIR gets report.md, runs.json (every run's settings, curve and scores),
one log and one safetensors for each run. Exit code 0: all is done; 3: time is used up, call again; 1: a run failed.
"""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import clips as clip_store
from splits import FSDD_LEFT_OUT

TOOLS = Path(__file__).resolve().parent
BEFORE, AFTER = 75, 45  # seconds of a stage for loading and compilation, and for scoring
SHIFTS = (-0.75, -1.5)

# Stage 1: what is tried, and what it differs in from the fields' defaults.
SWEEP = {
    "cut-anywhere": "",
    "starts": "starts=0.5 speech_length=8",
    "starts-more": "starts=0.5 speech_length=8 speech=1.6 speech_weight=2",
}
# The recipe of the model before, as far as these settings reach: its noise did not switch and no noise stood in a word's
# place, its other speech was cut anywhere, its voices were fewer and its streams kept what lies above 4 kHz.
PROTOTYPE = "bursts=0 burst_slots=0 narrow=0 synthetic=0.13 dropout=0.2 warp=0.12 quiet=0.3"

# What must be reached, by the name of the scored set.
MUST = {"commands clean @6": 11, "commands 10 dB noise": 18, "commands -30 dB": 14, "voice": 9, "no words: speech": 20,
        "no words: switching noise": 30}


def figure(row):
    """Errors in percent or false words an hour, of one scored set."""
    return row.get("wer", row.get("per_hour"))


def rows_named(scores, name):
    """The figures of a set, or of all sets whose name begins so ("voice": every single voice)."""
    return [figure(row) for key, row in scores.items() if key == name or key.startswith(name + " ")]


def cost_of(scores):
    """The mean of what was reached over what must be, over the sets that were scored: 1 is just enough."""
    shares = [value / must for name, must in MUST.items() for value in rows_named(scores, name)]
    return sum(shares) / len(shares)


def recipe_of(out, name):
    return json.loads((out / f"{name}.json").read_text())


class Stage:
    """Runs of train.py side by side. `jobs`: name -> (arguments, overrides)."""

    def __init__(self, args, jobs, minutes, steps):
        self.args, self.minutes = args, minutes
        self.jobs = {name: job for name, job in jobs.items() if not (args.out / f"{name}.json").exists()}
        self.schedule = [f"steps={steps}", f"seconds={max(1, 60 * minutes - BEFORE - AFTER):.0f}"]

    def command(self, name):
        arguments, overrides = self.jobs[name]
        return [sys.executable, "-B", str(TOOLS / "train.py"), str(self.args.data), str(self.args.out), "--name", name,
                "--streams", str(self.args.streams), *arguments, "--set", *self.schedule, *overrides.split(), *self.args.set]

    def run(self):
        """True where every run ended well; prints each run's last line as it changes."""
        threads = str(max(1, (os.cpu_count() or 1) // max(1, len(self.jobs))))
        environment = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        running, said = {}, {}
        for name in self.jobs:
            with (self.args.out / f"{name}.log").open("w") as log:
                running[name] = subprocess.Popen(self.command(name), stdout=log, stderr=subprocess.STDOUT, env=environment)
        ended = {}
        while len(ended) < len(running):
            time.sleep(self.args.poll)
            for name, process in running.items():
                lines = (self.args.out / f"{name}.log").read_text().splitlines()
                if lines and lines[-1] != said.get(name):
                    said[name] = lines[-1]
                    print(lines[-1][:150], flush=True)
                if name not in ended and process.poll() is not None:
                    ended[name] = process.returncode
        for name in (name for name, code in ended.items() if code):
            print(f"{name}: exit code {ended[name]}\n{(self.args.out / f'{name}.log').read_text()[-3000:]}", flush=True)
        return not any(ended.values())


def choose(out, names):
    """The sweep's run and shift with the least cost, and all of them, cheapest first."""
    costs = sorted((cost_of(rows), name, float(shift)) for name in names
                   for shift, rows in recipe_of(out, name)["scores"].items())
    return costs[0], costs


def sweep_jobs(names, shifts):
    return {name: (["--seed", "11", "--shifts", *(str(s) for s in shifts)], SWEEP[name]) for name in names}


def final_jobs(overrides, shift):
    final = {f"seed{seed}": (["--final", "--seed", str(seed), "--without", voice], f"{overrides} shift={shift:g}")
             for seed, voice in FSDD_LEFT_OUT.items()}
    return {**final, "prototype": (["--final", "--seed", "1", "--without", FSDD_LEFT_OUT[1]], PROTOTYPE)}


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines) + "\n"


def only_scores(run):
    """A final run is scored at its own shift alone."""
    return next(iter(run["scores"].values()))


def report_sweep(out, recipes):
    (_, chosen, shift), costs = choose(out, recipes)
    names = list(MUST)
    rows = []
    for cost, name, amount in costs:
        run = recipe_of(out, name)
        scores = run["scores"][f"{amount:g}"]
        rows.append([name, f"{amount:g}", run["steps"], f"{cost:.2f}",
                     *(", ".join(f"{value:g}" for value in rows_named(scores, key)) or "-" for key in names)])
    return (f"## The choice, on the validation speakers\n\nTaken: {chosen} ({SWEEP[chosen] or 'the defaults'}), shift {shift:g}. "
            "WER % and false words an hour.\n\n" + table(["recipe", "shift", "steps", "cost", *names], rows))


def report_finals(out, _):
    runs = {name: recipe_of(out, name) for name in final_jobs("", 0.0)}
    seeds = [name for name in runs if name != "prototype"]
    sets = list(dict.fromkeys(key for run in runs.values() for key in only_scores(run)))
    rows = []
    for key in sets:
        values = {name: figure(only_scores(run)[key]) if key in only_scores(run) else None for name, run in runs.items()}
        of_seeds = [values[name] for name in seeds if values[name] is not None]
        summary = [f"{sum(of_seeds) / len(of_seeds):.1f}", f"{max(of_seeds) - min(of_seeds):.1f}"] if of_seeds else ["-", "-"]
        rows.append([key, *("-" if values[name] is None else f"{values[name]:g}" for name in seeds), *summary,
                     "-" if values["prototype"] is None else f"{values['prototype']:g}"])
    voices = [value for name in seeds for value in rows_named(only_scores(runs[name]), "voice")]
    if voices:
        rows.append(["every seed's left-out voice", *("-" for _ in seeds), f"{sum(voices) / len(voices):.1f}",
                     f"{max(voices) - min(voices):.1f}", "-"])
    steps = ", ".join(f"{name} {run['steps']} steps, {run['seconds']} s" for name, run in runs.items())
    return ("## The final runs, on the test speakers\n\n" + steps + ". WER % and false words an hour.\n\n"
            + table(["set", *seeds, "mean", "spread", "prototype's recipe"], rows))


def write_report(args, stages):
    text = "# Runs of tools/bringup/batch.py\n\n" + "".join(stage(args.out, args.recipes) for stage in stages)
    (args.out / "report.md").write_text(text)
    whole = [recipe_of(args.out, path.stem) for path in sorted(args.out.glob("*.json")) if path.stem != "runs"]
    (args.out / "runs.json").write_text(json.dumps(whole))
    print(text, flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=13)
    parser.add_argument("--stage-minutes", type=float, nargs=2, default=(4, 8.5), metavar=("SWEEP", "FINAL"))
    parser.add_argument("--steps", type=int, nargs=2, default=(1500, 3500), metavar=("SWEEP", "FINAL"), help="at most")
    parser.add_argument("--streams", type=int, default=100, help="streams per scored set")
    parser.add_argument("--recipes", nargs="+", choices=SWEEP, default=list(SWEEP), help="of the sweep")
    parser.add_argument("--shifts", type=float, nargs="*", default=SHIFTS, help="of the logit, scored in the sweep")
    parser.add_argument("--poll", type=float, default=2.0, help="seconds between looks at the logs")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="for every run")
    return parser.parse_args()


def main():
    args = parse()
    ends = time.time() + 60 * args.minutes
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.time()
    samples, index = clip_store.load(args.data, os.cpu_count() or 1)
    print(f"{len(index)} clips, {len(samples) / clip_store.RATE / 60:.0f} minutes, decoded in {time.time() - began:.0f} s", flush=True)
    del samples

    def stage(jobs, number):
        work = Stage(args, jobs, args.stage_minutes[number], args.steps[number])
        if not work.jobs:
            return
        if time.time() + 60 * work.minutes > ends:
            print(f"{', '.join(work.jobs)}: no time left; call again", flush=True)
            raise SystemExit(3)
        if not work.run():
            raise SystemExit(1)

    stage(sweep_jobs(args.recipes, args.shifts), 0)
    write_report(args, [report_sweep])
    (_, chosen, shift), _ = choose(args.out, args.recipes)
    stage(final_jobs(SWEEP[chosen], shift), 1)
    write_report(args, [report_sweep, report_finals])


if __name__ == "__main__":
    main()
