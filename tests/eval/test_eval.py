#!/usr/bin/env python3
"""Tests of tools/eval/eval.py: alignment, intervals, references, and a fake earshot."""
import contextlib
import io
import json
import os
import stat
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "eval"))
sys.dont_write_bytecode = True

import eval as scorer  # noqa: E402

FAKE = """#!{python}
import json, sys
command, model_key, model, delay_key, delay, format_key, format_name, path = sys.argv[1:]
assert (command, model_key, delay_key, format_key, format_name) == (
    "transcribe", "--model", "--delay-ms", "--format", "jsonl"), sys.argv
script = json.load(open(path + ".says"))
sys.stderr.write(script.get("stderr", ""))
late = "late" if delay == "960" and "late" in script else "words"
for text, end_ms in script.get(late, []):
    print(json.dumps({{"start_ms": end_ms - 80, "end_ms": end_ms, "text": text}}))
for line in script.get("raw", ['{{"event":"end","audio_ms":1000}}']):
    print(line)
sys.exit(script.get("exit", 0))
"""


class Folder:
    """A set of recordings and what the fake says about each: that it lasts a second, at least."""

    def __init__(self, path):
        self.path, self.lines = path, []
        self.program = os.path.join(path, "fake_earshot")
        with open(self.program, "w", encoding="utf-8") as program:
            program.write(FAKE.format(python=sys.executable))
        os.chmod(self.program, os.stat(self.program).st_mode | stat.S_IXUSR)

    def add(self, name, said, end_ms="", spoken="", **says):
        with open(os.path.join(self.path, name), "wb"):
            pass
        with open(os.path.join(self.path, name + ".says"), "w", encoding="utf-8") as script:
            json.dump(says, script)
        self.lines.append("\t".join((name, said, end_ms, spoken)))

    def run(self, *options, header="file\twords\tend_ms\tspoken"):
        with open(os.path.join(self.path, "reference.tsv"), "w", encoding="utf-8") as table:
            table.write("\n".join([header] + self.lines) + "\n")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = scorer.main(["--earshot", self.program, *options, self.path])
        return code, out.getvalue(), err.getvalue()

    def json(self, *options):
        code, out, err = self.run("--json", *options)
        assert code == 0, err
        return json.loads(out)["sets"]


class Normalisation(unittest.TestCase):
    def test_case_and_punctuation_do_not_count(self):
        self.assertEqual(scorer.normalise(" Stop! \u201cGo\u201d, 'no'."), ["stop", "go", "no"])

    def test_an_apostrophe_inside_a_word_stays_and_is_one_character(self):
        self.assertEqual(scorer.normalise("don\u2019t DON'T"), ["don't", "don't"])

    def test_hyphens_part_words_and_numbers_stay_as_they_are(self):
        self.assertEqual(scorer.normalise("forty-two \u2013 42"), ["forty", "two", "42"])

    def test_accents_count_and_composition_does_not(self):
        self.assertEqual(scorer.normalise("cafe\u0301"), scorer.normalise("CAF\u00c9"))
        self.assertNotEqual(scorer.normalise("cafe"), scorer.normalise("caf\u00e9"))


class Alignment(unittest.TestCase):
    def kinds(self, reference, heard):
        return "".join(step[0] for step in scorer.align(reference.split(), heard.split()))

    def test_equal_words_are_pairs(self):
        self.assertEqual(self.kinds("a b c", "a b c"), "===")

    def test_each_kind_of_error_is_named(self):
        self.assertEqual(self.kinds("a b c", "a x c"), "=S=")
        self.assertEqual(self.kinds("a b c", "a c"), "=D=")
        self.assertEqual(self.kinds("a c", "a b c"), "=I=")

    def test_either_side_may_be_empty(self):
        self.assertEqual(self.kinds("a b", ""), "DD")
        self.assertEqual(self.kinds("", "a b"), "II")
        self.assertEqual(self.kinds("", ""), "")

    def test_the_pairs_carry_both_indices(self):
        self.assertEqual(scorer.align(["a", "b", "c"], ["b", "c", "d"]),
                         [("D", 0, None), ("=", 1, 0), ("=", 2, 1), ("I", None, 2)])

    def test_the_cost_is_the_edit_distance(self):
        reference, heard = list("intention"), list("execution")
        self.assertEqual(sum(s[0] != "=" for s in scorer.align(reference, heard)), 5)


class Intervals(unittest.TestCase):
    def test_a_percentile_is_the_nearest_rank(self):
        self.assertEqual(scorer.percentile([3, 1, 2, 4], 0.5), 2)
        self.assertEqual(scorer.percentile(range(1, 11), 0.9), 9)
        self.assertEqual(scorer.percentile([7], 0.025), 7)

    def test_the_bootstrap_is_repeatable_and_holds_the_rate(self):
        errors, words = [0, 1, 2, 3] * 25, [8] * 100
        low, high = scorer.bootstrap_interval(errors, words, 1)
        self.assertEqual((low, high), scorer.bootstrap_interval(errors, words, 1))
        self.assertLess(low, 1.5 / 8)
        self.assertGreater(high, 1.5 / 8)
        # The mean of 100 recordings with a spread of 1.118 errors: +-1.96 * 1.118 / 10 of 8 words.
        self.assertAlmostEqual(high - low, 2 * 1.96 * 1.118 / 10 / 8, delta=0.008)

    def test_the_same_error_everywhere_has_no_width_and_one_recording_no_interval(self):
        self.assertEqual(scorer.bootstrap_interval([2, 2, 2], [8, 8, 8], 1), (0.25, 0.25))
        self.assertIsNone(scorer.bootstrap_interval([2], [8], 1))

    def test_a_paired_interval_sees_what_two_separate_ones_do_not(self):
        before, words = [0, 4] * 50, [8] * 100
        after = [errors + (i % 10 == 0) for i, errors in enumerate(before)]
        low, high = scorer.paired_interval(before, after, words, 1)
        self.assertTrue(0 < low < 0.1 / 8 < high, (low, high))
        self.assertLess(scorer.bootstrap_interval(after, words, 1)[0],
                        scorer.bootstrap_interval(before, words, 1)[1])
        self.assertEqual(scorer.paired_interval(before, before, words, 1), (0, 0))

    def test_the_poisson_interval_equals_the_published_table(self):
        for count, low, high in ((0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904)):
            found = scorer.poisson_interval(count)
            self.assertAlmostEqual(found[0], low, places=3)
            self.assertAlmostEqual(found[1], high, places=3)


class WithEarshot(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = Folder(self.temporary.name)

    def test_errors_timing_and_whole_streams_are_counted(self):
        self.folder.add("a.wav", "yes no up", "100 300 500",
                        words=[("Yes.", 160), ("no", 300), ("up", 900)])
        self.folder.add("b.wav", "go on", "100 300", words=[("go", 100), ("off", 300), ("up", 400)])
        result, = self.folder.json()
        self.assertEqual((result["words"], result["recordings"], result["streams_right"]),
                         (5, 2, 1))
        self.assertEqual((result["substitutions"], result["deletions"], result["insertions"]),
                         (1, 0, 1))
        self.assertAlmostEqual(result["word_error_rate"], 2 / 5)
        self.assertEqual(sum(n for _, _, n in result["confusions"]), 2)
        timing = result["timing"]   # offsets 60, 0, 400, 0
        self.assertEqual((timing["median_ms"], timing["p90_ms"]), (0, 400))
        self.assertAlmostEqual(timing["mean_offset_ms"], 115)
        self.assertAlmostEqual(timing["within_share"], 3 / 4)
        self.assertAlmostEqual(result["seconds"], 2.0)
        self.assertGreater(result["real_time_factor"], 0)

    def test_a_set_without_words_gives_false_words_per_hour(self):
        self.folder.add("a.wav", "", "", "Not now, NO.",
                        words=[("no", 100), ("yes", 200), ("go", 300)])
        self.folder.add("b.wav", "", words=[])
        result, = self.folder.json()
        self.assertNotIn("word_error_rate", result)
        self.assertEqual(result["false_words"], 3)
        self.assertAlmostEqual(result["per_hour"], 3 * 3600 / 2)
        self.assertAlmostEqual(result["per_hour_not_spoken"], 2 * 3600 / 2)

    def test_every_delay_is_a_row_of_the_table(self):
        self.folder.add("a.wav", "yes", words=[("yes", 100)])
        code, out, _ = self.folder.run("--delay-ms", "80,480")
        rows = [line for line in out.splitlines() if line.startswith("|")]
        self.assertEqual((code, len(rows)), (0, 4))
        self.assertEqual([row.split("|")[2].strip() for row in rows[2:]], ["80", "480"])

    def test_each_two_delays_are_compared(self):
        self.folder.add("a.wav", "yes", words=[("yes", 100)], late=[("no", 100)])
        self.folder.add("b.wav", "go", words=[("go", 100)], late=[("go", 100)])
        code, out, err = self.folder.run("--json", "--paired", "--delay-ms", "960,80,480")
        self.assertEqual(code, 0, err)
        pairs = {tuple(pair["delay_ms"]): pair for pair in json.loads(out)["paired"]}
        self.assertEqual(sorted(pairs), [(80, 480), (80, 960), (480, 960)])
        self.assertEqual(pairs[80, 480]["difference"], 0)
        self.assertEqual(pairs[480, 960]["difference"], 0.5)
        self.assertEqual(pairs[80, 960]["interval"], [0, 1])
        _, out, _ = self.folder.run("--paired", "--delay-ms", "80,960")
        self.assertIn("| 960 | 80 | +50.0 | +0.0 to +100.0 |", out)

    def test_what_was_said_and_heard_can_be_written_down(self):
        self.folder.add("a.wav", "yes no", words=[("yes", 100)])
        path = os.path.join(self.temporary.name, "transcripts.tsv")
        self.assertEqual(self.folder.run("--transcripts", path)[0], 0)
        with open(path, encoding="utf-8") as lines:
            self.assertEqual(lines.read().splitlines()[1].split("\t")[2:],
                             ["a.wav", "yes no", "yes"])

    def test_a_failing_earshot_is_reported_and_not_scored(self):
        self.folder.add("a.wav", "yes", words=[("yes", 100)], exit=3, stderr="a.wav: is empty\n")
        code, out, err = self.folder.run()
        self.assertEqual((code, out), (1, ""))
        self.assertIn("exit code 3: a.wav: is empty", err)

    def test_a_missing_earshot_is_reported(self):
        self.folder.add("a.wav", "yes")
        self.folder.program = os.path.join(self.temporary.name, "nowhere")
        code, _, err = self.folder.run()
        self.assertEqual(code, 1)
        self.assertIn("build it", err)

    def test_output_that_is_cut_short_or_no_jsonl_is_an_error(self):
        end = '{"event":"end","audio_ms":1000}'
        for raw in ([], ["yes", end], ['{"text": "yes"}', end], ["[]", end], ['{"event":"end"}']):
            with self.subTest(raw=raw):
                self.folder.lines.clear()
                self.folder.add("a.wav", "yes", raw=raw)
                self.assertEqual(self.folder.run()[0], 1)

    def test_bad_references_are_named(self):
        self.folder.add("a.wav", "yes no", "100")
        code, _, err = self.folder.run()
        self.assertEqual(code, 3)
        self.assertIn("2 words but 1 end times", err)
        self.folder.lines = ["missing.wav\tyes\t\t"]
        self.assertIn("does not exist", self.folder.run()[2])
        self.folder.lines = []
        self.assertIn("lists no recording", self.folder.run()[2])
        self.assertIn("needs `file` and `words`", self.folder.run(header="file\tlabel")[2])

    def test_a_folder_without_a_table_is_named(self):
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            self.assertEqual(scorer.main([self.temporary.name]), 3)
        self.assertIn("has no reference.tsv", err.getvalue())


class BundledRecordings(unittest.TestCase):
    def test_their_table_names_all_of_them_and_every_word_has_its_end(self):
        folder = os.path.join(ROOT, "models", "bringup", "recordings")
        recordings = scorer.read_set(folder)
        self.assertEqual(len(recordings),
                         sum(name.endswith(".flac") for name in os.listdir(folder)))
        for recording in recordings:
            self.assertEqual(len(recording.words), len(recording.ends_ms))
            self.assertEqual(recording.ends_ms, sorted(recording.ends_ms))


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    outcome = unittest.TextTestRunner().run(suite)
    failed = len(outcome.failures) + len(outcome.errors)
    print(f"test_eval: {max(0, outcome.testsRun - failed)} passed, {failed} failed, "
          f"{len(outcome.skipped)} skipped")
    sys.exit(1 if failed or not outcome.testsRun else 0)
