#!/usr/bin/env python3
"""Smoke test of tools/bringup on a CPU: prepare, train 20 steps, score, export, and run earshot.

    test_bringup.py EARSHOT

The corpora are made here: words cut out of the bundled recordings, a speech, and noise.
"""
import csv
import importlib.util
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = os.path.join(ROOT, "tools", "bringup")
MODEL = os.path.join(ROOT, "models", "bringup")
RECORDINGS = os.path.join(MODEL, "recordings")
SPEECH = os.path.join(ROOT, "tests", "data", "golden", "audio", "jfk.flac")
EARSHOT = os.path.abspath(sys.argv[1])
NEEDS = ("numpy", "safetensors", "scipy", "soundfile", "torch")
MISSING = [name for name in NEEDS if importlib.util.find_spec(name) is None]
RATE = 16000

sys.path.insert(0, TOOLS)
sys.dont_write_bytecode = True


def recordings():
    with open(os.path.join(RECORDINGS, "recordings.tsv"), newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def speakers_of(corpus):
    """A name in each split."""
    from splits import SPLITS, split_of
    names = {}
    for number in range(100):
        row = {"file": f"{number}", "speaker": f"speaker{number}"}
        names.setdefault(split_of(corpus, row), row["speaker"])
    return [names[split] for split in SPLITS]


def make_corpora(folder):
    import numpy
    import soundfile
    tables = {"speech_commands_subset": [], "sentences": [], "noise": []}

    def add(corpus, samples, **columns):
        file = f"{len(tables[corpus])}.flac"
        os.makedirs(os.path.join(folder, corpus), exist_ok=True)
        soundfile.write(os.path.join(folder, corpus, file), samples, RATE)
        tables[corpus].append(dict({"file": file, "label": "", "transcript": ""}, **columns))

    for recording in recordings():
        samples, _ = soundfile.read(os.path.join(RECORDINGS, recording["file"]))
        for word, end_ms in zip(recording["words"].split(), recording["end_ms"].split()):
            end = int(end_ms) * RATE // 1000
            for speaker in speakers_of("speech_commands_subset"):
                add("speech_commands_subset", samples[end - RATE * 6 // 10:end + RATE // 10],
                    label=word, speaker=speaker)
    speech, _ = soundfile.read(SPEECH)
    for speaker in speakers_of("sentences"):
        add("sentences", speech, speaker=speaker, transcript="ask not")
    noise = numpy.random.default_rng(1).standard_normal(11 * RATE) * 0.05
    add("noise", noise, speaker="-", label="noise")
    for corpus, table in tables.items():
        with open(os.path.join(folder, corpus, "metadata.tsv"), "w", newline="",
                  encoding="utf-8") as out:
            writer = csv.DictWriter(out, table[0], delimiter="\t")
            writer.writeheader()
            writer.writerows(table)


def tool(name, *arguments):
    done = subprocess.run([sys.executable, "-B", os.path.join(TOOLS, name), *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, text=True)
    assert done.returncode == 0, f"{name}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout


def earshot(*arguments):
    done = subprocess.run([EARSHOT, "transcribe", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@unittest.skipIf(MISSING, f"{', '.join(MISSING)} cannot be imported; "
                 "python3 -m venv .venv && .venv/bin/pip install -r tools/bringup/requirements.txt"
                 f" && .venv/bin/python tests/bringup/test_bringup.py {EARSHOT}")
class Smoke(unittest.TestCase):
    def test_twenty_steps_make_a_model_that_earshot_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            audio, data, runs, model = (os.path.join(folder, name)
                                        for name in ("audio", "data", "runs", "model"))
            os.mkdir(audio)
            make_corpora(audio)
            tool("prepare.py", audio, data, "--synthetic", "0")
            tool("train.py", data, runs, "--name", "smoke", "--streams", "1", "--set", "steps=20",
                 "batch=2", "positions=40", "warm_up=5", "average=0.5")
            with open(os.path.join(runs, "smoke.json"), encoding="utf-8") as file:
                run = json.load(file)
            losses = {step: loss for step, _, loss, _ in run["curve"]}
            self.assertLess(losses[20], losses[1] / 2)
            self.assertEqual(run["scored"], "validation")
            self.assertEqual(run["scores"]["commands clean @6"]["words"], 8)
            tool("export.py", os.path.join(runs, "smoke.safetensors"), model)
            for name in ("params.json", "tekken.json"):
                with open(os.path.join(model, name), "rb") as made, \
                        open(os.path.join(MODEL, name), "rb") as shipped:
                    self.assertEqual(made.read(), shipped.read())
            with open(os.path.join(model, "SHA256SUMS"), encoding="utf-8") as sums:
                listed = dict(reversed(line.split("  ")) for line in sums.read().splitlines())
            for name in ("consolidated.safetensors", "params.json", "tekken.json"):
                with open(os.path.join(model, name), "rb") as made:
                    self.assertEqual(listed[name], hashlib.sha256(made.read()).hexdigest())
            lines = earshot("--model", model, "--format", "tokens", SPEECH).splitlines()
            self.assertEqual(len(lines), 11 * 12.5 // 1 + 1 + 11)

    def test_the_scoring_of_training_hears_what_earshot_hears(self):
        import soundfile
        import torch
        from safetensors.torch import load_file

        import score
        from model import Model, Shape, to_original
        from words import WORDS
        model = Model(Shape())
        shipped = load_file(os.path.join(MODEL, "consolidated.safetensors"))
        places = to_original(model)
        self.assertEqual(sorted(places), sorted(shipped))
        for name, weights in shipped.items():
            places[name].copy_(weights)
        paths = [os.path.join(RECORDINGS, row["file"]) for row in recordings()[:3]]
        streams = [score.Stream(soundfile.read(path, dtype="float32")[0], [], "recording")
                   for path in paths]
        with torch.no_grad():
            said = score.transcribe(model, streams, "cpu")
        words = [" ".join(WORDS[word] for word, _ in one) for one in said]
        self.assertGreater(len(" ".join(words).split()), 10)
        self.assertEqual(words, [" ".join(earshot(path).split()) for path in paths])


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    outcome = unittest.TextTestRunner(verbosity=2).run(suite)
    for case, reason in outcome.skipped:
        print(f"skipped: {case.id()}: {reason}")
    failed = len(outcome.failures) + len(outcome.errors)
    skipped = len(outcome.skipped)
    print(f"test_bringup: {max(0, outcome.testsRun - failed - skipped)} passed, {failed} failed, "
          f"{skipped} skipped")
    sys.exit(1 if failed or not outcome.testsRun else 0)
