#!/usr/bin/env python3
"""Smoke test of tools/bringup on a CPU: prepare, a tiny batch, export, and run earshot.

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


def tool(name, *arguments, expected=0):
    """One thread each: on a busy machine two wait for each other most of the time."""
    done = subprocess.run([sys.executable, "-B", os.path.join(TOOLS, name), *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, text=True,
                          env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == expected, f"{name}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout


def read_run(runs, name):
    with open(os.path.join(runs, f"{name}.json"), encoding="utf-8") as file:
        return json.load(file)


def earshot(*arguments):
    done = subprocess.run([EARSHOT, "transcribe", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@unittest.skipIf(MISSING, f"{', '.join(MISSING)} cannot be imported; "
                 "python3 -m venv .venv && .venv/bin/pip install -r tools/bringup/requirements.txt"
                 f" && .venv/bin/python tests/bringup/test_bringup.py {EARSHOT}")
class Smoke(unittest.TestCase):
    def test_one_command_chooses_trains_and_reports_and_earshot_runs_the_model(self):
        with tempfile.TemporaryDirectory() as folder:
            audio, data, runs, model = (os.path.join(folder, name)
                                        for name in ("audio", "data", "runs", "model"))
            os.mkdir(audio)
            make_corpora(audio)
            tool("prepare.py", audio, data, "--synthetic", "0", "--phrases", "0")
            batch = ["batch.py", data, runs, "--steps", "20", "3", "--streams", "1",
                     "--recipes", "starts", "--shifts", "-1", "--poll", "0.2",
                     "--set", "batch=2", "positions=40", "warm_up=5", "average=0.5"]
            said = tool(*batch, "--minutes", "30", "--stage-minutes", "20", "60", expected=3)
            self.assertIn("call again", said)
            self.assertNotIn("seed1.json", os.listdir(runs))
            sweep = read_run(runs, "starts")
            losses = {step: loss for step, _, loss, _ in sweep["curve"]}
            self.assertLess(losses[20], losses[1] / 2)
            self.assertEqual(sweep["scored"], "validation")
            self.assertEqual(sorted(sweep["scores"]), ["-1", "0"])
            self.assertEqual(sweep["scores"]["0"]["commands clean @6"]["words"], 8)
            trained = os.stat(os.path.join(runs, "starts.safetensors")).st_mtime_ns
            tool(*batch, "--minutes", "70", "--stage-minutes", "20", "60")
            self.assertEqual(os.stat(os.path.join(runs, "starts.safetensors")).st_mtime_ns, trained)
            with open(os.path.join(runs, "report.md"), encoding="utf-8") as file:
                report = file.read()
            for row in ("| recipe | shift |", "| commands clean @30 |", "| prototype's recipe |"):
                self.assertIn(row, report)
            for name in ("seed1", "seed2", "seed3", "prototype"):
                self.assertEqual(read_run(runs, name)["scored"], "test")
                self.assertEqual(read_run(runs, name)["steps"], 3)
            tool("export.py", os.path.join(runs, "seed1.safetensors"), model)
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

    def test_a_shift_moves_one_logit_and_a_left_out_voice_only_scores(self):
        import torch

        import calibrate
        from model import WORD, Model, Shape
        from splits import FSDD_LEFT_OUT, split_of
        self.assertEqual(len(set(FSDD_LEFT_OUT.values())), 3)
        for voice in FSDD_LEFT_OUT.values():
            self.assertEqual(split_of("fsdd", {"speaker": voice}), "train")
        torch.manual_seed(1)
        model = Model(Shape())
        before = model.embedding.weight.detach().clone()

        class Streams:
            device = "cpu"

            @staticmethod
            def batch(streams, positions):
                count = 32 + positions
                ids = torch.randint(1408, (streams, count))
                mel = torch.randn(streams, 128, 8 * count)
                return mel, ids, ids, None, torch.full((streams,), 6)

        torch.manual_seed(2)
        direction, mean, deviation = calibrate.constant_direction(model, Streams, 1, 2, 40)
        self.assertLess(abs(mean - 1), 0.1)
        self.assertLess(deviation, 1)
        with torch.no_grad():
            row = before[WORD] - direction
        torch.manual_seed(2)
        calibrate.shift(model, Streams, -1)
        changed = (model.embedding.weight != before).any(1).nonzero().flatten().tolist()
        self.assertEqual(changed, [WORD])
        self.assertEqual(model.embedding.weight[WORD].shape, row.shape)

    def test_the_scoring_of_training_hears_what_earshot_hears(self):
        import soundfile
        import torch
        from safetensors.torch import load_file

        import calibrate
        import score
        from model import Model, Shape, to_original
        from words import WORDS
        shipped = os.path.join(MODEL, "consolidated.safetensors")
        self.assertEqual(sorted(to_original(Model(Shape()))), sorted(load_file(shipped)))
        model = calibrate.load_model(shipped, Shape())
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
