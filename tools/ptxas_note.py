#!/usr/bin/env python3
"""Runs nvcc and keeps what ptxas says of each kernel beside the object.

    ptxas_note.py nvcc ... -o kernel.cu.o        writes kernel.cu.o.ptxas

A compiler launcher (CMAKE_CUDA_COMPILER_LAUNCHER); tools/ptxas_report.py reads the notes. What ptxas
says is kept from the terminal, everything else goes there.
"""

import subprocess
import sys


def is_note(line):
    return line.startswith("ptxas info") or line.endswith("bytes spill loads\n")


def main(command):
    target = command[command.index("-o") + 1] if "-o" in command else None
    is_compiling = target is not None and target.endswith(".o")
    options = ["-Xptxas=-v"] if is_compiling else []
    run = subprocess.run(command + options, stderr=subprocess.PIPE, text=True, check=False)
    lines = run.stderr.splitlines(keepends=True)
    sys.stderr.writelines(line for line in lines if not is_note(line))
    if is_compiling and run.returncode == 0:
        with open(target + ".ptxas", "w", encoding="utf-8") as file:
            file.writelines(line for line in lines if is_note(line))
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
