#!/usr/bin/env python3
"""The walk through the README of somebody who has no microphone, with a sound server for one: what
is played into an empty room comes out of a terminal, in real time.

Needs pulseaudio, pulseaudio-utils and libasound2-plugins, which ./check does not install: on a
desktop they would take the place of another sound server. Starts a server of its own."""
import glob
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time

sys.dont_write_bytecode = True
from command_line import (EARSHOT, PATIENCE_S, SIX_WORDS, Temporary, earshot,  # noqa: E402
                          main)

PLUGIN = "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so"
WORDS = "off left yes no right up"


def terminal_of(process):
    """The path that it says on standard error."""
    for line in process.stderr:
        found = re.search(rb"the transcript goes to (\S+)$", line.strip())
        if found:
            return found.group(1).decode()
    raise AssertionError("earshot ended without a word about the transcript")


class Reader:
    """Opens a terminal as picocom does: what came before is thrown away."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        termios.tcflush(self.file, termios.TCIOFLUSH)
        self.text = b""

    def read_until(self, is_over):
        """True when that is so, False when the terminal is gone or patience at its end."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_over(self.text) and time.monotonic() < deadline:
            if select.select([self.file], [], [], 0.1)[0]:
                try:
                    data = os.read(self.file, 4096)
                except OSError:
                    data = b""
                if not data:
                    break
                self.text += data
        return is_over(self.text)


class SoundServerTest(Temporary):
    def setUp(self):
        super().setUp()
        missing = [tool for tool in ("pulseaudio", "pactl", "paplay") if not shutil.which(tool)]
        if missing or not glob.glob(PLUGIN):
            self.skipTest("no pulseaudio, pulseaudio-utils and libasound2-plugins here")
        if "built without ALSA" in earshot("devices")[1]:
            self.skipTest("this build has no ALSA")
        self.environment = {**os.environ, "HOME": self.folder, "XDG_RUNTIME_DIR": self.folder,
                            "PULSE_SERVER": f"unix:{self.folder}/sound",
                            "PULSE_SOURCE": "room.monitor"}
        self.start(["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1",
                    "--use-pid-file=no", "-L",
                    f"module-native-protocol-unix socket={self.folder}/sound"])
        deadline = time.monotonic() + PATIENCE_S
        while self.ask("info") != 0:
            self.assertLess(time.monotonic(), deadline, "the sound server does not answer")
            time.sleep(0.1)
        self.assertEqual(self.ask("load-module", "module-null-sink", "sink_name=room"), 0)

    def start(self, command, **options):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=options.get("stderr", subprocess.DEVNULL),
                                   env=self.environment)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def ask(self, *arguments):
        return subprocess.run(["pactl", *arguments], env=self.environment, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=PATIENCE_S).returncode

    def test_what_is_played_into_a_room_is_read_in_a_terminal_that_closes_with_ctrl_c(self):
        listening = self.start([EARSHOT, "listen", "--set", "microphone=pulse", "--set",
                                "backend=cpu", "--set", "threads=1"], stderr=subprocess.PIPE)
        self.addCleanup(listening.stderr.close)
        reader = Reader(terminal_of(listening))
        self.addCleanup(os.close, reader.file)
        self.start(["paplay", "--device=room", SIX_WORDS]).wait(PATIENCE_S)
        # On a machine that is too busy for real time words may be missing, but not in silence.
        self.assertTrue(reader.read_until(lambda text: b" up" in text or b"not heard" in text),
                        reader.text)
        if b"not heard" not in reader.text:
            said = [line for line in reader.text.split(b"\r\n") if not line.startswith(b"#")]
            self.assertRegex(said[0].decode(), rf"^\[00:00:\d\d\] {WORDS}")
        listening.send_signal(signal.SIGINT)
        self.assertFalse(reader.read_until(lambda text: False))  # as if a cable had been pulled
        self.assertEqual(listening.wait(PATIENCE_S), 130)


if __name__ == "__main__":
    main("test_sound_server")
