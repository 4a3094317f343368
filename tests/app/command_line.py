"""What the tests of the command line share: running earshot, recordings, the closing line."""
import array
import math
import os
import resource
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BRINGUP = os.path.join(ROOT, "models", "bringup")
RECORDINGS = os.path.join(BRINGUP, "recordings")
GOLDEN_AUDIO = os.path.join(ROOT, "tests", "data", "golden", "audio")
REAL = os.path.join(ROOT, "models", "voxtral-mini-4b-realtime")
SIX_WORDS = os.path.join(RECORDINGS, "commands_one_speaker.flac")
EARSHOT = os.path.abspath(sys.argv[1])
NOBODY = "microphone=no-such-microphone"
PATIENCE_S = 120  # a sanitized engine on a busy machine


def earshot(*arguments, **options):
    options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
    if options["stdin"] is None:
        del options["stdin"]
    done = subprocess.run([EARSHOT, *arguments], stdout=options.pop("stdout", subprocess.PIPE),
                          stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False, **options)
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


def errors(err):
    return [line for line in err.splitlines() if not line.startswith("earshot: warning: ")]


def wav(path, samples=b"", rate=16000, channels=1, bits=16, form=1, claimed=None):
    """A WAV file; `claimed` is what its header says the data has, in bytes."""
    block = channels * bits // 8
    size = len(samples) if claimed is None else claimed
    with open(path, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack(
            "<IHHIIHH", 16, form, channels, rate, rate * block, block, bits))
        file.write(b"data" + struct.pack("<I", size) + samples)
    return path


def tone(sample_count, rate=16000):
    return [0.3 * math.sin(2 * math.pi * 330 * i / rate) for i in range(sample_count)]


def s16(values):
    return array.array("h", [int(32767 * value) for value in values]).tobytes()


class Temporary(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="earshot-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def needs_mlock(self):
        with open(EARSHOT, "rb") as binary:
            if b"__asan_init" in binary.read():
                self.skipTest("AddressSanitizer makes mlock do nothing; the release build runs it")

    def refused(self, code, *arguments, says=(), **options):
        """One line on stderr that holds all of `says`, this exit code; returns stdout."""
        got, out, err = earshot(*arguments, **options)
        self.assertEqual(got, code, err)
        lines = errors(err)
        self.assertEqual(len(lines), 1, err)
        self.assertTrue(lines[0].startswith("earshot: error: "), err)
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, lines[0])
        return out


class Machine(Temporary):
    """A machine of files: /sys, /dev and /proc below a folder."""

    def file(self, name, text=""):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def link(self, name, target):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(os.path.relpath(os.path.join(self.folder, target), os.path.dirname(path)), path)

    def serial(self, tty, device, bus):
        """A tty on a device of a bus, as the kernel lays them out."""
        folder = f"sys/devices/{bus}/{device}"
        self.file(f"{folder}/tty/{tty}/dev", "4:64\n")
        self.file(f"sys/bus/{bus}/x")
        self.link(f"{folder}/subsystem", f"sys/bus/{bus}")
        self.link(f"sys/bus/{bus}/devices/{device}", folder)
        self.link(f"{folder}/tty/{tty}/device", folder)
        self.link(f"sys/class/tty/{tty}", f"{folder}/tty/{tty}")
        self.file(f"dev/{tty}")


def become_nobody():
    """For preexec_fn: root may read and lock everything, so those tests run as somebody else."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def limit_locked_memory(byte_count=65536):
    """For preexec_fn: a limit, which root may pass."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (byte_count, byte_count))


def locked_memory(byte_count):
    """For preexec_fn: whoever runs it may lock so much."""
    limit_locked_memory(byte_count)
    become_nobody()  # root passes any limit


def little_locked_memory():
    """For preexec_fn: whoever runs it may lock 64 KiB."""
    locked_memory(65536)


FLAC_SAMPLES = {}


def flac_samples(path):
    """s16le samples of a bundled FLAC, decoded once by the test helper beside the binary."""
    if path not in FLAC_SAMPLES:
        helper = os.path.join(os.path.dirname(EARSHOT), "decode_recording")
        FLAC_SAMPLES[path] = subprocess.run([helper, path], stdout=subprocess.PIPE,
                                            check=True).stdout
    return FLAC_SAMPLES[path]


def main(name):
    """Runs the calling file's tests; sys.argv: the binary, then part of a test's name."""
    loader = unittest.defaultTestLoader
    if len(sys.argv) > 2:
        loader.testNamePatterns = [f"*{sys.argv[2]}*"]
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    outcome = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(outcome.failures) + len(outcome.errors)
    for _, reason in outcome.skipped:
        print(f"skipped: {reason}")
    print(f"{name}: {max(0, outcome.testsRun - failed - len(outcome.skipped))} passed, "
          f"{failed} failed, {len(outcome.skipped)} skipped")
    sys.exit(1 if failed or not outcome.testsRun else 0)
