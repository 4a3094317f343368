#!/usr/bin/env python3
"""Recordings and model directories that are not what they should be: one line, the right exit code.

    tests/app/test_bad_input.py build/check/earshot [part of a test's name]
"""
import array
import base64
import json
import math
import os
import struct
import tempfile

from command_line import (BRINGUP, SIX_WORDS, Temporary, become_nobody, earshot, flac_samples,
                          main, tone, wav)


class Recordings(Temporary):
    def test_what_is_no_recording_is_exit_3(self):
        self.refused(3, "transcribe", self.path("missing.wav"), says="missing.wav")
        self.refused(3, "transcribe", self.folder, says=self.folder)
        self.refused(3, "transcribe", self.path("empty.wav", b""), says="empty.wav")
        self.refused(3, "transcribe", self.path("text.wav", b"not a recording\n" * 99),
                     says="text.wav")
        self.refused(3, "transcribe", wav(self.path("none.wav")), says="none.wav")
        self.refused(3, "transcribe", "-", input=b"", says=["standard input", "no samples"])
        self.refused(3, "transcribe", "-", input=b"x", says="standard input")

    def test_an_unreadable_file_is_exit_3(self):
        path = wav(self.path("secret.wav"), bytes(3200))
        os.chmod(path, 0)
        os.chmod(self.folder, 0o755)
        self.refused(3, "transcribe", path, says="secret.wav", preexec_fn=become_nobody)

    def test_a_truncated_recording_gives_what_it_holds_and_exit_3(self):
        samples = flac_samples(SIX_WORDS)
        path = wav(self.path("cut.wav"), samples[:2 * 38400], claimed=len(samples))
        self.assertEqual(self.refused(3, "transcribe", path, says="cut.wav"), "off left\n")
        with open(SIX_WORDS, "rb") as file:
            content = file.read()
        cut = self.path("cut.flac", content[:len(content) // 2])
        out = self.refused(3, "transcribe", cut, says="cut.flac")
        self.assertTrue(out.startswith("off "), out)
        out = self.refused(3, "transcribe", "--format", "tokens", "-", input=bytes(2561),
                           says="standard input")
        self.assertEqual(len(out.splitlines()), 12)

    def test_a_sample_that_is_no_number_is_exit_3(self):
        values = array.array("f", tone(16000))
        values[9000] = math.nan
        path = wav(self.path("nan.wav"), values.tobytes(), bits=32, form=3)
        self.refused(3, "transcribe", path, says="nan.wav")

    def test_every_width_rate_and_channel_count_is_read(self):
        count = 4000
        values = tone(count)
        eight = bytes(int(128 + 127 * value) for value in values)
        wide = b"".join(struct.pack("<i", int(8388607 * value))[:3] for value in values)
        for name, content, options in (
                ("8bit", eight, {"bits": 8}),
                ("24bit", wide, {"bits": 24}),
                ("32bit", array.array("i", [int(2147483647 * v) for v in values]).tobytes(),
                 {"bits": 32}),
                ("float", array.array("f", values).tobytes(), {"bits": 32, "form": 3})):
            path = wav(self.path(name + ".wav"), content, **options)
            code, out, err = earshot("transcribe", "--format", "tokens", path)
            self.assertEqual((code, len(out.splitlines())), (0, -(-count // 1280) + 11), err)
        many = array.array("h")
        for value in tone(192000, 192000):
            many.extend([int(32767 * value)] * 8)
        path = wav(self.path("studio.wav"), many.tobytes(), rate=192000, channels=8)
        code, out, err = earshot("transcribe", "--format", "tokens", path)
        self.assertEqual((code, len(out.splitlines())), (0, 13 + 11), err)


class Models(Temporary):
    def model(self, **files):
        """A copy of the bring-up model with some files replaced; None removes one."""
        folder = tempfile.mkdtemp(dir=self.folder)
        for name in ("consolidated.safetensors", "params.json", "tekken.json"):
            key = name.split(".")[0]
            if key not in files:
                os.symlink(os.path.join(BRINGUP, name), os.path.join(folder, name))
            elif files[key] is not None:
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(files[key])
        return folder

    def bad(self, says, **files):
        self.refused(3, "transcribe", "--model", self.model(**files), SIX_WORDS, says=says)

    def test_a_missing_file_is_named(self):
        self.bad("params.json", params=None)
        self.bad("tekken.json", tekken=None)
        self.bad("consolidated.safetensors", consolidated=None)
        self.refused(3, "transcribe", "--model", self.path("nowhere"), SIX_WORDS, says="nowhere")

    def weights(self):
        with open(os.path.join(BRINGUP, "consolidated.safetensors"), "rb") as file:
            content = file.read()
        length = struct.unpack("<Q", content[:8])[0]
        return json.loads(content[8:8 + length]), content[8 + length:]

    @staticmethod
    def pack(header, data):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    def test_bad_weights_are_named(self):
        good, data = self.weights()
        norm, wq = "norm.weight", "layers.0.attention.wq.weight"

        def changed(name, **fields):
            return self.pack({**good, name: {**good[name], **fields}}, data)

        missing = {key: value for key, value in good.items() if key != wq}
        rows, columns = good[wq]["shape"]
        start, end = good[norm]["data_offsets"]
        for says, content in (
                (wq, self.pack(missing, data)),
                ([wq, str(columns)], changed(wq, shape=[columns // 2, rows * 2])),
                (wq, changed(wq, dtype="I8")),
                (norm, changed(norm, data_offsets=[start, end + 2])),
                ("", changed(norm, data_offsets=good[wq]["data_offsets"][:1] + [
                    good[wq]["data_offsets"][0] + end - start])),
                (norm, changed(norm, data_offsets=[len(data), len(data) + end - start])),
                (norm, changed(norm, data_offsets=[2 ** 62, 2 ** 62 + end - start])),
                (norm, changed(norm, shape=[2 ** 62])),
                ("", changed(norm, data_offsets=[2 ** 63, 2 ** 63 + end - start])),
                ("", changed(norm, shape=[2 ** 63])),
                ("", self.pack(good, data[:-2])),
                ("", self.pack(b"{" + json.dumps({norm: good[norm]}).encode()[1:-1] + b"," +
                               json.dumps(good).encode()[1:], data)),
                ("", self.pack(b'{"a":' * 5000 + b"1" + b"}" * 5000, data)),
                ("", struct.pack("<Q", 2 ** 62) + b"{}"),
                ("", struct.pack("<Q", 1000) + b"{}"),
                ("", b"12345"),
                ("", b"")):
            with self.subTest(says=says, size=len(content)):
                self.bad(["consolidated.safetensors", *([says] if isinstance(says, str) else says)],
                         consolidated=content)

    def test_bad_dimensions_are_named(self):
        with open(os.path.join(BRINGUP, "params.json"), encoding="utf-8") as file:
            good = json.load(file)
        text = json.dumps(good)
        for says, content in (
                ("n_layers", json.dumps({**good, "n_layers": 0})),
                ("dim", json.dumps({**good, "dim": 2 ** 62})),
                ("", json.dumps({**good, "dim": 2 ** 63})),
                ("head_dim", json.dumps({**good, "head_dim": -128})),
                ("vocab_size", json.dumps({**good, "vocab_size": "many"})),
                ("dim", text[:-1] + ', "dim": 256}'),
                ("", text[:100]),
                ("", "[" * 100000),
                ("", "")):
            with self.subTest(says=says, size=len(content)):
                self.bad(["params.json", says], params=content.encode())

    def test_a_bad_vocabulary_is_named(self):
        with open(os.path.join(BRINGUP, "tekken.json"), encoding="utf-8") as file:
            good = json.load(file)
        vocab = good["vocab"]
        broken = [{**vocab[300], "token_bytes": "!!!"}]
        for content in (
                {**good, "vocab": vocab[:300] + broken + vocab[301:]},
                {**good, "vocab": vocab[:300] + vocab[301:]},
                {**good, "vocab": vocab[:300]},
                {**good, "vocab": [{**vocab[0], "token_bytes":
                                    base64.b64encode(b"x").decode()}] + vocab[1:]},
                {key: value for key, value in good.items() if key != "vocab"}):
            self.bad("tekken.json", tekken=json.dumps(content).encode())
        self.bad("tekken.json", tekken=b"{")


if __name__ == "__main__":
    main("test_bad_input")
