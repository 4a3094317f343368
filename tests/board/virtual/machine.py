"""One run of the virtual board: boots a scenario in virtual time and records what comes out.

    record = machine.run("mute", kernel, initramfs, "build/board/records/mute")
    record.uart                  every byte of the transcript's UART
    record.log("earshot")        [(ns, text)], as the guest's scripts stamped it

The guest's clock follows executed instructions, so that a slow or busy host changes nothing but how
long the run takes. All stimuli are scheduled inside of the guest. What only the outside can do (the
level of an input line) the guest asks for over its second UART, spinning until the answer comes.
"""
import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time

GPIO_DATA = 0x090303FC  # the PL061's data register, all eight lines
STARTUP_S = 60
ANSWER_S = 60
RUN_S = 3600  # of this machine's time: a guard against a board that hangs


class MachineError(Exception):
    """The board did not run: a fault of the test bench or of the machine under it."""


class Talk:
    """Lines over a Unix socket on which qemu listens."""

    def __init__(self, path, process):
        deadline = time.monotonic() + STARTUP_S
        self.buffer = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise MachineError(f"qemu does not listen on {path}: {error}") from error
                time.sleep(0.02)
        self.socket.settimeout(ANSWER_S)

    def send(self, text):
        self.socket.sendall(text.encode() + b"\n")

    def lines(self):
        """The complete lines of what one read gives; None when the other end is gone."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            return None
        *whole, self.buffer = (self.buffer + data).split(b"\n")
        return [line.decode(errors="replace").strip() for line in whole]

    def ask(self, text, is_answer):
        self.send(text)
        while True:
            for line in self.lines() or ["gone"]:
                if is_answer(line):
                    return line
                if line == "gone":
                    raise MachineError(f"qemu went away instead of answering {text}")


class Outside:
    """What a hand at the board could do: pull an input line, read a level with a probe."""

    def __init__(self, qmp, qtest):
        self.qmp, self.qtest = qmp, qtest
        qmp.lines()  # the greeting
        self.command("qmp_capabilities")
        self.chip = next(f"/machine/unattached/{child['name']}"
                         for child in self.command("qom-list", path="/machine/unattached")
                         if child["type"] == "child<pl061>")

    def command(self, name, **arguments):
        request = json.dumps({"execute": name, "arguments": arguments})
        answer = json.loads(self.qmp.ask(request, lambda line: '"event"' not in line))
        if "error" in answer:
            raise MachineError(f"qemu refuses {name}: {answer['error']['desc']}")
        return answer["return"]

    def answer(self, request):
        words = request.split()
        if words[0] == "pull" and len(words) == 3:
            self.qtest.ask(f"set_irq_in {self.chip} unnamed-gpio-in {words[1]} {words[2]}",
                           lambda line: line.startswith(("OK", "FAIL", "ERR")))
            return "ok"
        if words[0] == "levels":
            shown = self.command("human-monitor-command",
                                 **{"command-line": f"xp /1wx {GPIO_DATA:#x}"})
            return "ok " + shown.split()[-1]
        return f"no such request: {request}"


class Record:
    """What a run left: its folder, and what is read from it."""

    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "uart.bin"), "rb") as file:
            self.uart = file.read()
        with open(os.path.join(folder, "console.log"), "rb") as file:
            self.console = file.read().decode(errors="replace").replace("\r", "")
        self.logs = {}
        for name, line in re.findall(r"^log (\S+): (.*)$", self.console, re.MULTILINE):
            self.logs.setdefault(name, []).append(line)

    def lines(self, name):
        return self.logs.get(name, [])

    def log(self, name):
        """[(ns, the rest of the line)] of a log whose lines are stamped."""
        found = []
        for line in self.lines(name):
            stamp, _, text = line.partition(" ")
            if stamp.isdigit():
                found.append((int(stamp), text))
        return found

    def is_complete(self):
        return "\nscenario over\n" in self.console


def arguments(scenario, kernel, initramfs, folder, sockets):
    def channel(name):
        return f"socket,id={name},path={os.path.join(sockets, name)},server=on,wait=off"
    return ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a76", "-smp", "2",
            "-m", "512", "-accel", "tcg", "-icount", "shift=0,sleep=off",
            "-rtc", "base=2030-01-01,clock=vm", "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", kernel, "-initrd", initramfs,
            "-append", "console=ttyAMA0 quiet panic=-1 iomem=relaxed printk.time=1 "
                       f"board.scenario={scenario}",
            # The console is a file, so always drained: an unread PL011 would stop the machine.
            "-chardev", f"file,id=console,path={os.path.join(folder, 'console.log')}",
            "-serial", "chardev:console",
            "-chardev", f"file,id=uart,path={os.path.join(folder, 'uart.bin')}",
            "-device", "pci-serial,chardev=uart,addr=1",
            "-chardev", channel("ask"), "-device", "pci-serial,chardev=ask,addr=2",
            "-chardev", channel("qmp"), "-mon", "chardev=qmp,mode=control",
            "-chardev", channel("qtest"), "-qtest", "chardev:qtest", "-qtest-log", "/dev/null"]


def serve(process, sockets, seconds_max):
    """Answers the guest until the machine is off."""
    deadline = time.monotonic() + seconds_max
    outside = Outside(*(Talk(os.path.join(sockets, name), process) for name in ("qmp", "qtest")))
    guest = Talk(os.path.join(sockets, "ask"), process)
    selector = selectors.DefaultSelector()
    selector.register(guest.socket, selectors.EVENT_READ)
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise MachineError(f"not over after {seconds_max} s of this machine's time")
        if selector.select(timeout=0.5):
            requests = guest.lines()
            if requests is None:
                break
            for request in requests:
                guest.send(outside.answer(request))


def run(scenario, kernel, initramfs, folder, seconds_max=RUN_S):
    """Boots, runs, records. Raises MachineError when the scenario did not come to its end."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with tempfile.TemporaryDirectory(prefix="board-") as sockets, \
            open(os.path.join(folder, "qemu.log"), "wb") as log:
        process = subprocess.Popen(["nice", *arguments(scenario, kernel, initramfs, folder,
                                                       sockets)],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            serve(process, sockets, seconds_max)
            process.wait(ANSWER_S)
        except (MachineError, OSError) as error:
            with open(os.path.join(folder, "qemu.log"), encoding="utf-8") as said:
                raise MachineError(f"{scenario}: {error}; {said.read().strip()}") from error
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    record = Record(folder)
    if not record.is_complete():
        raise MachineError(f"{scenario}: did not come to its end; see {folder}/console.log")
    return record


if __name__ == "__main__":
    run(*sys.argv[1:5])
