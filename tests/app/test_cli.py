#!/usr/bin/env python3
"""The command line as people meet it: what it prints, where, and with which exit code.

    tests/app/test_cli.py build/check/earshot [part of a test's name]
"""
import json
import math
import os
import shutil
import signal
import subprocess
import time

from command_line import (BRINGUP, EARSHOT, GOLDEN_AUDIO, PATIENCE_S, REAL, RECORDINGS,
                          SIX_WORDS, Temporary, earshot, errors, flac_samples,
                          little_locked_memory, main, s16, tone, wav)


class Commands(Temporary):
    def test_alone_it_lists_the_commands(self):
        for arguments in ([], ["--help"], ["help"]):
            code, out, err = earshot(*arguments)
            self.assertEqual((code, err), (0, ""))
            for name in ("transcribe", "plan", "bench"):
                self.assertIn(f"\n  {name} ", out)

    def test_version(self):
        code, out, _ = earshot("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^earshot \d+\.\d+\.\d+\n$")

    def test_help_of_each_command_goes_to_stdout(self):
        for name in ("transcribe", "plan", "bench"):
            code, out, err = earshot(name, "--help")
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.startswith(f"usage: earshot {name}"), out)

    def test_usage_errors_are_exit_2_and_say_where_help_is(self):
        self.refused(2, "transcrib", says="transcrib: is no command")
        self.refused(2, "transcribe", says=["no recording", "earshot transcribe --help"])
        self.refused(2, "transcribe", "--louder", "x", says=["--louder", "--help"])
        self.refused(2, "transcribe", "--model", says="--model: needs a value")
        self.refused(2, "transcribe", "a", "b", says="b: is one argument too many")
        self.refused(2, "transcribe", "--format", "srt", "x", says="text, jsonl or tokens")
        self.refused(2, "transcribe", "--delay-ms", "500", "x", says="480 and 560")
        self.refused(2, "transcribe", "--delay-ms", "2000", "x", says="1200 and 2400")
        self.refused(2, "transcribe", "--force", "ids", "x", says="--format tokens")
        self.refused(2, "plan", "--board", "toaster", says=["toaster", "orin-nano-8gb"])
        self.refused(2, "plan", "x", says="x: is one argument too many")

    def test_a_gpu_that_this_build_cannot_use_is_exit_4(self):
        self.refused(4, "transcribe", "--backend", "cuda", SIX_WORDS, says="cuda")

    def test_a_hostile_name_cannot_drive_the_terminal(self):
        self.refused(3, "transcribe", "no\x1b[31m\nsuch.wav", says="no?[31m?such.wav")


class Transcripts(Temporary):
    def test_text_of_a_recording(self):
        code, out, err = earshot("transcribe", SIX_WORDS)
        self.assertEqual((code, out), (0, "off left yes no right up\n"), err)

    def test_jsonl_has_a_line_per_word_with_true_times_and_an_end_event(self):
        with open(os.path.join(RECORDINGS, "recordings.tsv"), encoding="utf-8") as table:
            rows = [line.rstrip("\n").split("\t") for line in table][1:]
        ends = {row[0]: [int(ms) for ms in row[3].split()] for row in rows}
        said = {row[0]: row[1].split() for row in rows}
        found = matched = 0
        for name in sorted(ends):
            code, out, err = earshot("transcribe", "--format", "jsonl",
                                     os.path.join(RECORDINGS, name))
            self.assertEqual(code, 0, err)
            lines = [json.loads(line) for line in out.splitlines()]
            words, end = lines[:-1], lines[-1]
            self.assertEqual(end["event"], "end")
            self.assertEqual(end["words"], len(words))
            self.assertEqual(end["tokens"], math.ceil(end["audio_ms"] / 80) + 11)
            self.assertFalse(end["interrupted"])
            last = 0
            for word in words:
                self.assertEqual(sorted(word), ["end_ms", "start_ms", "text"])
                self.assertTrue(last <= word["start_ms"] < word["end_ms"] <= end["audio_ms"], word)
                last = word["end_ms"]
            found += len(words)
            # A word that was spoken, whose end is right to within two positions and whose start
            # gives it a length that words have.
            for truth, text in zip(ends[name], said[name]):
                matched += any(word["text"] == text and abs(word["end_ms"] - truth) <= 160
                               and 60 <= word["end_ms"] - word["start_ms"] <= 1200
                               for word in words)
        self.assertGreaterEqual(found, 25)
        self.assertGreaterEqual(matched, 25)

    def test_tokens_are_one_per_position_and_eleven(self):
        for count, delay in ((1, "80"), (1279, "480"), (1280, "1200"), (1281, "2400"),
                             (12345, "480")):
            code, out, err = earshot("transcribe", "--format", "tokens", "--delay-ms", delay, "-",
                                     input=bytes(2 * count))
            self.assertEqual(code, 0, err)
            self.assertEqual(len(out.splitlines()), -(-count // 1280) + 11)
            self.assertTrue(all(0 <= int(line) < 1408 for line in out.splitlines()))

    def test_a_slow_pipe_gives_the_words_of_a_file(self):
        samples = self.bundled_samples()
        path = wav(self.path("same.wav"), samples)
        _, whole, _ = earshot("transcribe", "--format", "tokens", path)
        for size in (1, 999, 2560, 100000):
            with subprocess.Popen([EARSHOT, "transcribe", "--format", "tokens", "-"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL) as child:
                # A single byte at a time for a while: an odd edge in every read.
                cut = 3001 if size == 1 else len(samples)
                for start in range(0, cut, size):
                    child.stdin.write(samples[start:min(start + size, cut)])
                    child.stdin.flush()
                child.stdin.write(samples[cut:])
                child.stdin.close()
                piped = child.stdout.read().decode()
                self.assertEqual(child.wait(PATIENCE_S), 0)
            self.assertEqual(piped, whole)

    def test_threads_change_nothing(self):
        outs = {earshot("transcribe", "--format", "tokens", "--threads", str(n), SIX_WORDS)[1]
                for n in (1, 2, 5)}
        self.assertEqual(len(outs), 1)

    def test_a_window_that_is_asked_for_is_that_of_a_model_made_so(self):
        """The bring-up model looks back on 128 positions; one with its weights that says 300 must
        choose by the same margins when it is told 128, and by others when it is not."""
        wide = self.path("wide")
        os.mkdir(wide)
        for name in ("consolidated.safetensors", "tekken.json"):
            os.symlink(os.path.join(BRINGUP, name), os.path.join(wide, name))
        with open(os.path.join(BRINGUP, "params.json"), encoding="utf-8") as file:
            params = json.load(file)
        self.assertEqual(params["sliding_window"], 128)
        params["sliding_window"] = 300
        with open(os.path.join(wide, "params.json"), "w", encoding="utf-8") as file:
            json.dump(params, file)
        audio = os.path.join(GOLDEN_AUDIO, "printing.flac")  # 253 positions

        forced = self.path("ids", b"".join(b"%d\n" % (1000 + 7 * i % 400) for i in range(253)))

        def margins(model, *options):
            code, out, err = earshot("transcribe", "--model", model, "--format", "tokens",
                                     "--force", forced, *options, audio)
            self.assertEqual(code, 0, err)
            return out

        own = margins(BRINGUP)
        self.assertEqual(margins(wide, "--kv-window", "128"), own)
        self.assertNotEqual(margins(wide), own)

    def test_words_come_while_the_audio_is_still_coming(self):
        samples = self.bundled_samples()
        with subprocess.Popen([EARSHOT, "transcribe", "-"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            child.stdin.write(samples[:2 * 50000])  # 3.1 s, two words; the pipe stays open
            child.stdin.flush()
            self.assertEqual(child.stdout.read(8), b"off left")
            child.stdin.close()
            self.assertTrue(child.stdout.read().endswith(b"\n"))  # and what "yes" has begun
            self.assertEqual(child.wait(PATIENCE_S), 0)

    def test_realtime_takes_as_long_as_the_recording(self):
        path = wav(self.path("second.wav"), bytes(2 * 16000))
        start = time.monotonic()
        code, _, err = earshot("transcribe", "--realtime", path)
        self.assertEqual(code, 0, err)
        self.assertGreaterEqual(time.monotonic() - start, 1.0)

    def test_forced_ids_are_fed_and_margins_printed(self):
        _, own, _ = earshot("transcribe", "--format", "tokens", SIX_WORDS)
        ids = self.path("ids", own.encode())
        code, out, err = earshot("transcribe", "--format", "tokens", "--force", ids, SIX_WORDS)
        self.assertEqual((code, errors(err)), (0, []))
        lines = [line.split("\t") for line in out.splitlines()]
        self.assertEqual([line[0] for line in lines], own.split())
        self.assertTrue(all(float(line[1]) >= 0 and len(line[1].split(".")[1]) == 6
                            for line in lines))
        # Another history gives other margins.
        others = self.path("others", ("33\n" * len(own.split())).encode())
        code, out, _ = earshot("transcribe", "--format", "tokens", "--force", others, SIX_WORDS)
        self.assertEqual(code, 0)
        self.assertNotEqual([line.split("\t") for line in out.splitlines()][1:], lines[1:])
        # The last choice is fed to nobody, so its id may be missing; one more may not.
        short = own.split()[:-1]
        self.path("ids", "\n".join(short).encode())
        self.assertEqual(earshot("transcribe", "--format", "tokens", "--force", ids,
                                 SIX_WORDS)[0], 0)
        self.path("ids", "\n".join(short[:-1]).encode())
        out = self.refused(3, "transcribe", "--format", "tokens", "--force", ids, SIX_WORDS,
                           says=f"line {len(short)}: is missing")
        self.assertLessEqual(len(out.splitlines()), len(short))
        self.path("ids", b"32\nx\n")
        self.refused(3, "transcribe", "--format", "tokens", "--force", ids, SIX_WORDS,
                     says="line 2")

    def test_a_limit_on_locked_memory_is_one_warning(self):
        self.needs_mlock()
        code, out, err = earshot("transcribe", SIX_WORDS, preexec_fn=little_locked_memory)
        self.assertEqual(code, 0, err)
        self.assertEqual(out, "off left yes no right up\n")
        lines = err.splitlines()
        self.assertEqual(len(lines), 1, err)
        self.assertIn("ulimit -l", lines[0])
        self.assertIn("LimitMEMLOCK", lines[0])

    @staticmethod
    def bundled_samples():
        return flac_samples(SIX_WORDS)


class Endings(Temporary):
    def test_a_full_disk_is_exit_5(self):
        for form in ("text", "jsonl", "tokens"):
            with open("/dev/full", "wb") as full:
                self.refused(5, "transcribe", "--format", form, SIX_WORDS, stdout=full,
                             says=["standard output", "no space left"])
        with open("/dev/full", "wb") as full:
            self.refused(5, "plan", stdout=full, says="no space left")
            self.refused(5, "--help", stdout=full, says="no space left")

    def test_a_closed_pipe_is_exit_5(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.refused(5, "transcribe", SIX_WORDS, stdout=writer, says="reader has closed it")
        os.close(writer)

    def test_a_signal_flushes_the_text_and_is_exit_130(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.listening() as child:
                child.stdin.write(flac_samples(SIX_WORDS)[:2 * 38400])
                child.stdin.flush()
                self.assertEqual(child.stdout.read(3), b"off")
                child.send_signal(number)  # "left" has been heard, and is within the delay
                self.assertEqual(child.wait(PATIENCE_S), 130)
                self.assertEqual(child.stdout.read(), b" left\n")
                self.assertEqual(errors(child.stderr.read().decode()), [])

    def test_the_end_event_says_that_it_was_interrupted(self):
        with self.listening("--format", "jsonl") as child:
            child.stdin.write(flac_samples(SIX_WORDS)[:2 * 16000 * 2])
            child.stdin.flush()
            self.assertIn(b"off", child.stdout.readline())
            child.send_signal(signal.SIGINT)
            self.assertEqual(child.wait(PATIENCE_S), 130)
            end = json.loads(child.stdout.read().decode().splitlines()[-1])
            self.assertTrue(end["interrupted"])
            self.assertEqual(end["audio_ms"], 2000)

    def test_a_second_signal_ends_at_once(self):
        long = wav(self.path("long.wav"), s16(tone(16000)) * 60)
        with subprocess.Popen([EARSHOT, "transcribe", "--realtime", "--format", "tokens", long],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            child.stdout.readline()
            child.send_signal(signal.SIGINT)
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(PATIENCE_S), 130)

    def listening(self, *options):
        return subprocess.Popen([EARSHOT, "transcribe", *options, "-"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Plans(Temporary):
    def test_the_real_model_fits_some_boards_and_not_others(self):
        out = self.refused(1, "plan", "--model", REAL, "--board", "orin-nano-8gb",
                           "--backend", "cpu",
                           says=["needs", "Orin Nano"])
        self.assertIn("it does not fit", out)
        for board in ("orin-nx-16gb", "agx-orin-64gb", "thor-128gb"):
            code, out, err = earshot("plan", "--model", REAL, "--board", board,
                                     "--backend", "cpu")
            self.assertEqual(code, 0, err)
            self.assertIn("it fits", out)

    def test_json_adds_up(self):
        for model in (BRINGUP, REAL):
            _, out, _ = earshot("plan", "--model", model, "--board", "thor-128gb",
                                "--backend", "cpu", "--json")
            plan = json.loads(out)
            total = sum(-(-region["bytes"] // 64) * 64 for region in plan["regions"])
            self.assertEqual(-(-total // 4096) * 4096, plan["total_bytes"])
            self.assertEqual(plan["total_bytes"] + plan["allowance_bytes"], plan["needed_bytes"])
            self.assertTrue(plan["fits"])

    def test_params_json_is_enough(self):
        shutil.copy(os.path.join(BRINGUP, "params.json"), self.folder)
        code, out, _ = earshot("plan", "--model", self.folder)
        self.assertEqual(code, 0)
        self.assertIn("assumed", out)


class Bench(Temporary):
    def test_both_reports_have_the_figures(self):
        code, out, err = earshot("bench", "--seconds", "4", "--threads", "1", "--json")
        self.assertEqual(code, 0, err)
        figures = json.loads(out)
        self.assertLessEqual(figures["decode_p50_ms"], figures["decode_p99_ms"])
        self.assertLessEqual(figures["decode_p99_ms"], figures["decode_max_ms"])
        self.assertGreater(figures["read_gb_s"], 0)
        self.assertGreater(figures["file_times_real_time"], 0)
        self.assertEqual(figures["prefill_positions"], 39)
        self.assertLessEqual(figures["encode_linear_percent"] + figures["encode_attention_percent"]
                             + figures["encode_softmax_percent"], 100)
        code, out, _ = earshot("bench", "--seconds", "1")
        self.assertEqual(code, 0)
        for word in ("machine", "decoder", "encoder", "prefill", "mel", "real time"):
            self.assertIn(word, out)


if __name__ == "__main__":
    main("test_cli")
