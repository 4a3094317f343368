#!/usr/bin/env python3
"""The appliance's commands as people run them: config, listen and journal.

No test hears a real microphone: the name that they ask for is nobody's."""
import array
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import tty
import unittest

sys.dont_write_bytecode = True
from command_line import (EARSHOT, NOBODY, PATIENCE_S, Temporary, earshot,  # noqa: E402
                          little_locked_memory, main)

TIOCGEXCL = 0x80045440


def crc32c(data):
    """As a slot of the journal carries it."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


class Listening:
    """An `earshot listen` that runs, with a service manager's socket."""

    def __init__(self, folder, *settings, config=None, error=subprocess.PIPE):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(folder, "notify")
        if os.path.exists(path):
            os.unlink(path)
        self.socket.bind(path)
        self.socket.settimeout(PATIENCE_S)
        arguments = [EARSHOT, "listen"] + (["--config", config] if config else [])
        own = () if config else (NOBODY, "backend=cpu", "threads=1")
        for setting in (*own, *settings):
            arguments += ["--set", setting]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=error,
                                        env={**os.environ, "NOTIFY_SOCKET": path,
                                             "WATCHDOG_USEC": "3000000"})

    def wait_for(self, start):
        """The next message that begins so."""
        while True:
            message = self.socket.recv(4096).decode()
            if message.startswith(start):
                return message

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.socket.close()
        return self.process.returncode, out.decode(), (err or b"").decode()


class ListenTest(Temporary):
    def listening(self, *settings):
        running = Listening(self.folder, *settings)
        self.addCleanup(running.process.kill)
        return running

    def test_without_a_microphone_it_waits_says_so_and_is_alive(self):
        running = self.listening()
        running.wait_for("READY=1")
        running.wait_for("WATCHDOG=1")
        self.assertIn("no-mic", running.wait_for("STATUS="))
        code, out, err = running.end(signal.SIGTERM)
        self.assertEqual((code, out), (0, ""))
        self.assertIn("earshot: warning: --set microphone: ", err)
        self.assertIn("no-such-microphone", err)
        self.assertIn("earshot: uart: the transcript goes to /dev/pts/", err)

    def test_sigint_is_a_person_and_exits_with_130(self):
        running = self.listening()
        running.wait_for("READY=1")
        code, _, _ = running.end(signal.SIGINT)
        self.assertEqual(code, 130)

    def test_sighup_is_no_reload_and_is_said(self):
        running = self.listening()
        running.wait_for("READY=1")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("WATCHDOG=1")
        code, _, err = running.end(signal.SIGTERM)
        self.assertEqual(code, 0)
        self.assertIn("SIGHUP is ignored: the configuration is read once", err)

    def test_the_end_is_told_and_comes_within_a_second(self):
        running = self.listening()
        running.wait_for("READY=1")
        began = time.monotonic()
        code, _, _ = running.end(signal.SIGTERM)
        self.assertEqual(code, 0)
        print(f"    {1000 * (time.monotonic() - began):.0f} ms from SIGTERM to the end")

    def test_the_console_says_in_lines_with_a_number_sign_what_is_going_on(self):
        running = self.listening()
        running.wait_for("STATUS=")
        path = None
        while path is None:
            line = running.process.stderr.readline().decode()
            self.assertTrue(line, "it has ended")
            if "the transcript goes to " in line:
                path = line.split()[-1]
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        seen = b""
        while b"no-such-microphone" not in seen or b"no-mic" not in seen:
            try:
                seen += os.read(terminal, 4096)
            except BlockingIOError:
                running.wait_for("STATUS=")
        os.close(terminal)
        self.assertTrue(all(line.startswith(b"#") for line in seen.split(b"\r\n") if line), seen)
        self.assertEqual(running.end(signal.SIGTERM)[0], 0)

    def test_a_serial_line_that_is_not_there_is_told_at_the_start_and_no_error_of_the_end(self):
        running = self.listening(f"uart={self.folder}/no-such-line")
        running.wait_for("READY=1")
        running.wait_for("STATUS=")
        code, out, err = running.end(signal.SIGINT)
        self.assertEqual((code, out), (130, ""))
        told = [line for line in err.splitlines() if "no-such-line" in line]
        self.assertEqual(len(told), 1, err)
        self.assertRegex(told[0],
                         r"^earshot: warning: --set uart: .*no-such-line: is not there; plug ")

    def test_a_bad_configuration_names_file_and_line(self):
        path = self.path("a.conf", b"# x\nbaud = fast\n")
        self.refused(2, "listen", "--config", path, says=(f"{path}:2: baud: ", "give bits"))
        self.refused(2, "listen", "--set", "led=7", "--set", "board=host", says="--set led: pin 7")
        self.refused(3, "listen", "--config", self.path("none"), says="`earshot config` prints")

    def test_what_the_machine_lacks_is_blamed_on_the_line_that_asks_for_it(self):
        thor = "board = thor-128gb"
        for line, code, says in (
                ("board = orin", 2, "board: \"orin\" is not known; give auto, host, orin-nano-4gb"),
                ("led = 7", 2, "led: pin 7: "),
                ("step_led = 7", 2, "step_led: pin 7: "),
                ("mute = x", 2, "mute: pin x: "),
                ("led = nochip:7", 4, "led: gpio nochip: "),
                ("step_led = nochip:7", 4, "step_led: gpio nochip: "),
                ("mute = nochip:7", 4, "mute: gpio nochip: "),
                ("model = /nonexist", 3, "model: /nonexist/params.json: "),
                ("backend = cuda", 4, "backend: "),
                ("kv_window = 1000000", 2, "kv_window: "),
                ("uart = ../x", 2, "uart: uart \"../x\": is no device; "),
                (f"{thor}\nuart = board", 2, "uart: which port the header of thor-128gb (Jetson "
                 "AGX Thor 128 GB) has is not known; give a path or an address"),
        ):
            if line.startswith("backend") and b"es_cuda" in open(EARSHOT, "rb").read():
                continue  # this build may have a GPU
            board = "" if "board" in line else "board = host\n"
            path = self.path("a.conf", f"# x\n{board}{line}\n".encode())
            number = 2 + board.count("\n") + line.count("\n")
            with self.subTest(line):
                self.refused(code, "listen", "--config", path,
                             says=f"{path}:{number}: {says}")

    def test_what_may_come_later_is_told_with_its_line_as_well(self):
        path = self.path("a.conf", b"microphone = no-such-microphone\nuart = /dev/no-such-line\n"
                         b"journal = /no/such/folder/journal\nbackend = cpu\n")
        running = Listening(self.folder, "threads=1", config=path)
        self.addCleanup(running.process.kill)
        running.wait_for("STATUS=")
        code, _, err = running.end(signal.SIGTERM)
        self.assertEqual(code, 0)
        self.assertIn(f"{path}:1: microphone: sound card", err)
        self.assertNotIn("warning: uart: ", err)  # nor any without its line
        self.assertRegex(err, f"no journal is kept[a-z ]*: {path}:3: journal: /no/such/folder/jou")

    def test_one_adapter_with_a_jumper_is_shared_with_who_reads_it(self):
        for shared, expected in (("on", 0), ("off", 1)):
            master, slave = os.openpty()
            self.addCleanup(os.close, master)
            self.addCleanup(os.close, slave)
            os.set_blocking(slave, False)
            running = self.listening(f"uart={os.ttyname(slave)}", f"uart_shared={shared}")
            seen = b""
            while b"no-mic" not in seen:
                self.assertTrue(select.select([master], [], [], PATIENCE_S)[0], seen)
                seen += os.read(master, 4096)
            exclusive = array.array("i", [-1])
            fcntl.ioctl(slave, TIOCGEXCL, exclusive)
            self.assertEqual(exclusive[0], expected)
            # What the jumper brings back, and what is typed, is there for the other program alone.
            tty.setraw(slave)
            os.write(master, b"typed")
            running.wait_for("STATUS=")
            self.assertEqual(os.read(slave, 4096), b"typed")
            code, _, err = running.end(signal.SIGTERM)
            self.assertEqual(code, 0)
            if shared == "on":  # whoever shares a line is no news
                self.assertNotIn("has it open, too", err)

    def test_a_journal_is_kept_for_its_owner_alone_and_is_printed(self):
        path = self.path("journal")
        running = self.listening(f"journal={path}", "journal_mib=1")
        running.wait_for("STATUS=")
        self.assertEqual(running.end(signal.SIGTERM)[0], 0)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        code, out, _ = earshot("journal", path)
        self.assertEqual(code, 0)
        self.assertIn("microphone: ", out)
        code, out, _ = earshot("journal", "--format", "jsonl", path)
        self.assertEqual(code, 0)
        events = [json.loads(line) for line in out.splitlines()]
        self.assertIn("no-mic", [event["text"] for event in events])
        self.assertEqual(len({event["boot"] for event in events}), 1)
        self.refused(3, "journal", self.path("none"), says="none")
        self.refused(2, "journal", says="no journal is named")

    def test_what_a_journal_holds_cannot_drive_the_terminal(self):
        path = self.path("journal")
        running = self.listening(f"journal={path}", "journal_mib=1")
        running.wait_for("STATUS=")
        self.assertEqual(running.end(signal.SIGTERM)[0], 0)
        with open(path, "rb") as file:
            content = bytearray(file.read())
        at = content.index(b"no-mic")
        content[at:at + 6] = b"\x1b[31mX"
        slot = 4096 + (at - 4096) // 128 * 128
        content[slot:slot + 4] = crc32c(content[slot + 4:slot + 128]).to_bytes(4, "little")
        with open(path, "wb") as file:
            file.write(content)
        code, out, _ = earshot("journal", path)
        self.assertEqual(code, 0)
        self.assertIn("?[31mX", out)
        self.assertNotIn("\x1b", out)

    def test_a_journal_that_cannot_be_made_costs_no_transcript(self):
        running = self.listening(f"journal={self.folder}/no/such/folder/journal")
        running.wait_for("READY=1")
        code, _, err = running.end(signal.SIGTERM)
        self.assertEqual(code, 0)
        self.assertIn("earshot: error: no journal is kept yet: ", err)

    def test_a_log_that_nobody_reads_stops_neither_the_watchdog_nor_the_end(self):
        mine, its = os.pipe()
        os.set_blocking(its, False)
        try:
            while True:
                os.write(its, bytes(4096))
        except BlockingIOError:
            os.set_blocking(its, True)
        running = Listening(self.folder, error=its)
        self.addCleanup(running.process.kill)
        running.wait_for("READY=1")
        for _ in range(3):
            running.wait_for("WATCHDOG=1")
        self.assertEqual(running.end(signal.SIGTERM)[0], 0)
        os.close(mine)
        os.close(its)

    def test_memory_that_must_be_locked_and_is_not_ends_it(self):
        self.needs_mlock()
        done = subprocess.run([EARSHOT, "listen", "--set", NOBODY, "--set", "must_lock=on"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False,
                              preexec_fn=little_locked_memory)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(b"LimitMEMLOCK=infinity", done.stderr)


class ConfigTest(Temporary):
    def test_what_config_prints_is_a_configuration(self):
        code, out, _ = earshot("config")
        self.assertEqual(code, 0)
        path = self.path("a.conf", out.encode())
        self.assertEqual(earshot("config", "--config", path)[:2], (0, out))
        code, changed, _ = earshot("config", "--config", path, "--set", "baud=57600")
        self.assertEqual(code, 0)
        self.assertIn("\nbaud = 57600\n", changed)
        self.refused(2, "config", "--set", "buad=1", says=("buad: is no key",))


if __name__ == "__main__":
    main("test_appliance")
