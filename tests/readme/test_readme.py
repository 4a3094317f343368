#!/usr/bin/env python3
"""Runs every example of the README through this build, and compares what it prints.

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


def main(earshot):
    assert matches("a\n...\nc\n", "a\nb\nb\nc\n") and not matches("a\n...\nc\n", "a\nb\nb\n")
    passed_count = failed_count = 0
    for command, expected in examples():
        words = shlex.split(command)
        assert words[0] == PROGRAM, command
        run = subprocess.run([earshot] + words[1:], cwd=ROOT, capture_output=True, text=True,
                             check=False)
        is_same = matches(expected, run.stdout)
        passed_count += is_same
        failed_count += not is_same
        print(f"{'ok' if is_same else 'FAILED':7} {command}")
        if not is_same:
            print(f"    exit code {run.returncode}\n{run.stdout}{run.stderr}")
    missing = [word for word in WORDS if not re.search(rf"\b{word}\b", what_to_say())]
    passed_count += not missing
    failed_count += bool(missing)
    print(f"{'FAILED' if missing else 'ok':7} the words to say are those of the bundled model"
          f"{': missing ' + ' '.join(missing) if missing else ''}")
    print(f"test_readme: {passed_count} passed, {failed_count} failed, 0 skipped")
    return 1 if failed_count or not passed_count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
