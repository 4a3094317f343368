#!/usr/bin/env python3
"""Runs every example of the README through this build, and compares what it prints; looks up the
tests of every complaint, and the package of every library.

    test_readme.py EARSHOT

An example is a line `$ build/release/earshot ...` in a console block; the lines below it are its
output, in which a line `...` stands for any lines.
"""

import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = "build/release/earshot"
BOARD = "tests/board/virtual"
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tools", "bringup"))
from words import WORDS  # noqa: E402


def examples():
    """(command, expected output) of every example in README.md."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        for block in re.findall(r"^```console\n(.*?)^```", file.read(), re.DOTALL | re.MULTILINE):
            for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                yield command, output


def what_to_say():
    """The README's paragraph for whoever stands before a microphone for the first time."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read().split("**What to say.**")[1].split("\n\n")[0]


def matches(expected, text):
    pattern = re.escape(expected).replace(re.escape("...\n"), "(?:.*\n)*?")
    return re.fullmatch(pattern, text) is not None


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def complaints():
    """(complaint, [(file, words of a test's name)]) of every row in the table of complaints."""
    table = read(BOARD, "README.md").split("## Complaints\n")[1].split("\n## ")[0]
    for complaint, cells in re.findall(r"^\| (.*?) \| (.*) \|$", table, re.MULTILINE)[2:]:
        found = re.findall(r"((?:`[^`:]+\.(?:c|py)`(?:, )?)+): `([^`]+)`", cells)
        yield complaint, [(path if "/" in path else os.path.join(BOARD, path), words)
                          for paths, words in found for path in re.findall(r"`([^`]+)`", paths)]


def is_test(path, words):
    name = f"def test_{words.replace(' ', '_')}(" if path.endswith(".py") else None
    text = read(path)
    return name in text if name else any(words in sentence for sentence in
                                         re.findall(r'ES_TEST\(\s*"([^"]+)"', text))


def libraries():
    """Libraries that CMake looks for, without those of tests alone."""
    found = set()
    for folder in ("audio", "board", "engine", "app"):
        text = read(folder, "CMakeLists.txt")
        found |= set(re.findall(r"pkg_check_modules\(\w+ (?:[A-Z_]+ )*([a-z]\w*)", text))
    return sorted(found)


def is_installed_by_the_demo(library):
    named = re.search(r"house_install_for_build\(\) {\n(.*?)\n}", read("tools", "house.sh"),
                      re.DOTALL)
    package = {"alsa": "libasound2-dev", "sndfile": "libsndfile1-dev", "inih": "libinih-dev"}
    return package.get(library, f"lib{library.removeprefix('lib')}-dev") in named.group(1).split()


def unit():
    """The settings of the README's unit."""
    block = re.search(r"^```ini\n(.*?)^```", read("README.md"), re.DOTALL | re.MULTILINE).group(1)
    return dict(re.findall(r"^(\w+)=(.*)$", block, re.MULTILINE))


def bound(name):
    return int(re.search(rf"^#define {name} (\d+)", read("platform", "bounds.h"),
                         re.MULTILINE).group(1))


def unit_is_so(settings):
    """A stall is told to the log before the watchdog's period ends, and priority is enough."""
    stall_ms = max(bound(f"ES_STALL_{stage}_MS") for stage in ("CAPTURE", "MICROPHONE", "ENGINE"))
    return (settings["Type"] == "notify" and settings["Restart"] == "always" and
            1000 * int(settings["WatchdogSec"]) >= 2 * stall_ms and
            int(settings["LimitRTPRIO"]) >= bound("ES_CAPTURE_PRIORITY") and
            settings["LimitMEMLOCK"] == "infinity")


def checks(earshot):
    """(what, whether it is so, what to show when it is not)."""
    for command, expected in examples():
        words = shlex.split(command)
        assert words[0] == PROGRAM, command
        run = subprocess.run([earshot] + words[1:], cwd=ROOT, capture_output=True, text=True,
                             check=False)
        yield (command, matches(expected, run.stdout),
               f"exit code {run.returncode}\n{run.stdout}{run.stderr}")
    for complaint, tests in complaints():
        wrong = [path for path, words in tests if not is_test(path, words)]
        yield (f"{complaint}: {len(tests)} tests", len(tests) > 1 and not wrong,
               f"no test of that name in: {', '.join(wrong)}")
    missing = [word for word in WORDS if not re.search(rf"\b{word}\b", what_to_say())]
    yield ("the words to say are those of the bundled model", not missing,
           f"missing: {' '.join(missing)}")
    yield ("the unit gives what the program needs", unit_is_so(unit()), str(unit()))
    for library in libraries():
        yield (f"./demo installs {library}", is_installed_by_the_demo(library),
               "is not among house_install_for_build of tools/house.sh")


def main(earshot):
    assert matches("a\n...\nc\n", "a\nb\nb\nc\n") and not matches("a\n...\nc\n", "a\nb\nb\n")
    passed_count = failed_count = 0
    for what, is_so, otherwise in checks(earshot):
        passed_count += is_so
        failed_count += not is_so
        print(f"{'ok' if is_so else 'FAILED':7} {what}")
        if not is_so:
            print(f"    {otherwise}")
    print(f"test_readme: {passed_count} passed, {failed_count} failed, 0 skipped")
    return 1 if failed_count or not passed_count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
