#!/usr/bin/env python3
"""The commands that look at a machine, as people run them: devices and doctor.

No test hears a real microphone: the name that they ask for is nobody's."""
import fcntl
import os
import resource
import shutil
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from command_line import (BRINGUP, EARSHOT, NOBODY, PATIENCE_S, Machine, earshot,  # noqa: E402
                          limit_locked_memory, little_locked_memory, locked_memory, main)

PLENTY = 64 << 20  # the bundled model's plan is a quarter of it


def may_lock_anything():
    """CAP_IPC_LOCK, which passes any limit."""
    with open("/proc/self/status", encoding="ascii") as file:
        return any(int(line.split()[1], 16) >> 14 & 1 for line in file
                   if line.startswith("CapEff:"))


class DevicesTest(Machine):
    def test_lines_are_named_by_addresses_that_stay_the_same(self):
        self.serial("ttyTHS1", "3100000.serial", "platform")
        self.serial("ttyUSB0", "1-2:1.0", "usb")
        self.file("sys/class/tty/ttyS5/device/x")
        self.file("sys/class/tty/ttyS5/type", "0\n")
        self.file("sys/class/tty/tty1/dev", "4:1\n")
        code, out, _ = earshot("devices", "--root", self.folder)
        self.assertEqual(code, 0)
        lines = [line.split() for line in out.splitlines() if "uart = " in line]
        self.assertIn(["uart", "=", "3100000.serial", "/dev/ttyTHS1"], lines)
        self.assertIn(["uart", "=", "1-2:1.0", "/dev/ttyUSB0"], lines)
        self.assertNotIn("ttyS5", out)  # prepared by the kernel, and no hardware
        self.assertNotIn("tty1", out)

    def test_a_hostile_name_cannot_drive_the_terminal(self):
        self.serial("ttyUSB0", "1-2:1.0", "usb")
        self.file("proc/77/comm", "mini\x1b[2Jcom\n")
        self.link("proc/77/fd/3", "dev/ttyUSB0")
        code, out, _ = earshot("devices", "--root", self.folder)
        self.assertEqual(code, 0)
        self.assertIn("held by mini?[2Jcom (pid 77)", out)
        self.assertNotIn("\x1b", out)

    def test_a_board_whose_port_is_not_known_says_so(self):
        self.file("proc/device-tree/compatible", "nvidia,p3834-0008\0nvidia,tegra264\0")
        code, out, _ = earshot("devices", "--root", self.folder)
        self.assertEqual(code, 0)
        self.assertIn("board = thor-128gb", out)
        self.assertIn("uart = board is not known: give one of the lines above", out)

    def test_the_board_and_its_pins_come_from_the_devicetree(self):
        self.file("proc/device-tree/compatible",
                  "nvidia,p3768-0000+p3767-0003\0nvidia,p3767-0003\0nvidia,tegra234\0")
        code, out, _ = earshot("devices", "--root", self.folder)
        self.assertEqual(code, 0)
        self.assertIn("board = orin-nano-8gb", out)
        self.assertIn("3100000.serial", out)
        self.assertIn("pins for led, step_led and mute: 7 ", out)


class DoctorTest(Machine):
    def run_doctor(self, *settings):
        arguments = ["doctor", "--root", self.folder]
        for setting in (NOBODY, "backend=cpu", "threads=1", *settings):
            arguments += ["--set", setting]
        return earshot(*arguments)

    def doctor(self, *settings):
        code, out, err = self.run_doctor(*settings)
        lines = dict(reversed(line.split(None, 1)) for line in out.splitlines())
        return code, {text.split(": ")[0].replace("--set ", ""): (word, text)
                      for text, word in lines.items()}, err

    def test_each_check_is_a_line_and_one_that_fails_is_the_exit_code(self):
        code, lines, err = self.doctor()
        self.assertEqual(code, 1)
        self.assertEqual(lines["microphone"][0], "FAIL")
        for name in ("configuration", "board", "led", "mute", "uart", "journal", "model", "engine"):
            self.assertEqual(lines[name][0], "ok", lines)
        self.assertIn("1 of ", err)

    def test_what_is_missing_has_its_remedy(self):
        code, lines, _ = self.doctor("uart=/dev/no-such-line", "led=nochip:7", "mute=x",
                                     f"journal={self.folder}/none/journal", "model=/none")
        self.assertEqual(code, 1)
        for name in ("uart", "led", "mute", "journal", "model"):
            self.assertEqual(lines[name][0], "FAIL", lines)
            self.assertIn(";", lines[name][1])
            self.assertTrue(lines[name][1].startswith(f"--set {name}: "), lines)

    def test_the_power_mode_of_a_module_has_its_line(self):
        self.file("proc/device-tree/compatible",
                  "nvidia,p3768-0000+p3767-0003\0nvidia,p3767-0003\0nvidia,tegra234\0")
        _, lines, _ = self.doctor("uart=pty")
        self.assertEqual(lines["board"][1], "board: orin-nano-8gb (Jetson Orin Nano 8 GB)")
        self.assertIn("power mode", lines)

    def test_a_configuration_that_is_wrong_ends_it(self):
        self.refused(2, "doctor", "--set", "baud=fast", says="--set baud: ")

    def test_what_fails_begins_with_its_line_of_the_configuration(self):
        path = self.path("a.conf", b"microphone = no-such-microphone\nthreads = 1\nuart = ../x\n"
                         b"board = orin\nled = nochip:1\nbackend = cpu\n")
        code, out, _ = earshot("doctor", "--root", self.folder, "--config", path)
        self.assertEqual(code, 1)
        for says in (":1: microphone: sound card", ':3: uart: uart "../x": is no device',
                     ':4: board: "orin" is not known; give auto', ":5: led: gpio nochip: "):
            self.assertIn(f"\nFAIL  {path}{says}", out)

    def test_a_board_without_a_known_port_is_told_what_to_give(self):
        _, lines, _ = self.doctor("board=thor-128gb", "uart=board")
        self.assertEqual(lines["uart"][0], "FAIL")
        self.assertIn("thor-128gb (Jetson AGX Thor 128 GB) has is not known; give a path",
                      lines["uart"][1])

    def test_a_journal_is_opened_as_the_appliance_would_and_nothing_is_written(self):
        journal = self.path("journal")
        _, lines, _ = self.doctor(f"journal={journal}", "journal_mib=1")
        self.assertEqual(lines["journal"][0], "ok")
        self.assertFalse(os.path.exists(journal))
        foreign = self.path("foreign", b"shopping list\n" * 1000)
        _, lines, _ = self.doctor(f"journal={foreign}")
        self.assertEqual(lines["journal"][0], "FAIL")
        self.assertIn("is no journal of earshot", lines["journal"][1])
        with open(foreign, "rb") as file:
            self.assertEqual(file.read(), b"shopping list\n" * 1000)
        link = self.path("link")
        os.symlink(foreign, link)
        _, lines, _ = self.doctor(f"journal={link}")
        self.assertEqual(lines["journal"][0], "FAIL")
        self.assertIn("is a symbolic link", lines["journal"][1])
        held = self.path("held", b"")
        with open(held, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _, lines, _ = self.doctor(f"journal={held}")
        self.assertEqual(lines["journal"][0], "FAIL")
        self.assertIn("another earshot writes this journal", lines["journal"][1])

    def test_each_file_of_the_model_is_held_to_its_checksum(self):
        model = self.path("model")
        shutil.copytree(BRINGUP, model, ignore=shutil.ignore_patterns("recordings"))
        sums = os.path.join(model, "SHA256SUMS")
        names = ("consolidated.safetensors", "params.json", "tekken.json")
        code, out, _ = self.run_doctor(f"model={model}")
        for name in names:
            self.assertIn(f"\nok    checksum: {name} is what SHA256SUMS says\n", out)
        with open(sums, encoding="ascii") as file:
            lines = file.read().splitlines()
        with open(sums, "w", encoding="ascii") as file:
            file.write(f"{'0' * 64}  {names[0]}\n{lines[1]}\n")
        code, out, _ = self.run_doctor(f"model={model}")
        self.assertEqual(code, 1)
        self.assertIn(f"\nFAIL  --set model: {model}/{names[0]}: differs from SHA256SUMS (expected "
                      f"{'0' * 64}, found {lines[0].split()[0]}); copy it again\n", out)
        self.assertIn(f"\nok    checksum: {names[1]} ", out)
        self.assertIn(f"\nnote  checksum: {names[2]} does not stand in ", out)
        os.unlink(sums)
        _, out, _ = self.run_doctor(f"model={model}")
        self.assertIn(f"&& sha256sum {' '.join(names)} > SHA256SUMS`\n", out)

    def test_a_limit_of_locked_memory_is_compared_with_the_plan(self):
        self.needs_mlock()
        cases = [("little, and no privilege", little_locked_memory, "FAIL")]
        hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
        if hard == resource.RLIM_INFINITY or hard > PLENTY:
            cases.append(("enough, if finite", lambda: locked_memory(PLENTY), "ok"))
        if may_lock_anything():
            cases.append(("little, and the privilege", limit_locked_memory, "ok"))
        for name, prepare, word in cases:
            with self.subTest(name):
                done = subprocess.run(
                    [EARSHOT, "doctor", "--root", self.folder, "--set", NOBODY, "--set",
                     "threads=1", "--set", "backend=cpu", "--set", "must_lock=on"],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    timeout=PATIENCE_S, check=False, preexec_fn=prepare)
                lines = done.stdout.decode().splitlines()
                said = [line.split()[0] for line in lines
                        if "must_lock: " in line or "locked memory: " in line]
                self.assertEqual(said, [word], lines)

    def test_a_hostile_name_cannot_drive_the_terminal(self):
        self.file("proc/device-tree/compatible",
                  "nvidia,p3768-0000+p3767-0003\0nvidia,p3767-0003\0nvidia,tegra234\0")
        self.file("var/lib/nvpmodel/status", "pmode:0000\n")
        self.file("etc/nvpmodel.conf", "< POWER_MODEL ID=0 NAME=MA\x1b[2JXN >\n")
        _, out, _ = self.run_doctor("uart=pty")
        self.assertIn("power mode: MA?[2JXN", out)
        self.assertNotIn("\x1b", out)


if __name__ == "__main__":
    main("test_doctor_command")
