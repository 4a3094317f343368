#!/usr/bin/env python3
"""Registers, spills and local arrays of every kernel, as ptxas told them; a verdict.

    ptxas_report.py FOLDER [SPILLS]     FOLDER holds the notes (*.ptxas) that tools/ptxas_note.py left

An array in local memory (a stack frame that spills do not explain) fails. A spill fails unless
SPILLS lists it with its cost: lines `kernel chip store_bytes load_bytes # its cost`,
where no more may be spilled than stands there. A listed spill that is gone fails, too: the list
tells the truth. Exit code 0 when all is well, 1 when not, 2 when there is nothing to read.
"""

import os
import re
import sys

ENTRY = re.compile(r"Compiling entry function '(\S+)' for 'sm_(\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")


class Kernel:
    def __init__(self, symbol, chip, note):
        self.symbol, self.chip, self.note = symbol, chip, note
        self.frame = self.stores = self.loads = self.registers = 0

    def is_named(self, name):
        """`name` as C++ mangles it, its length before it; template arguments may follow."""
        return re.search(r"\d" + re.escape(name), self.symbol) is not None

    def __str__(self):
        return f"{self.note}: {self.symbol} on sm_{self.chip}"


def read_note(path):
    kernels = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if match := ENTRY.search(line):
                name = os.path.basename(path)[: -len(".o.ptxas")]
                kernels.append(Kernel(match.group(1), match.group(2), name))
            elif (match := FRAME.search(line)) and kernels:
                kernels[-1].frame, kernels[-1].stores, kernels[-1].loads = map(int, match.groups())
            elif (match := USED.search(line)) and kernels:
                kernels[-1].registers = int(match.group(1))
    return kernels


def read_notes(folder):
    kernels = []
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(".o.ptxas"):
                kernels += read_note(os.path.join(root, name))
    return kernels


def read_spills(path):
    """[(kernel, chip, store bytes, load bytes)]"""
    spills = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            entry, _, cost = line.partition("#")
            words = entry.split()
            if not words:
                continue
            if len(words) != 4 or not cost.strip():
                sys.exit(f"{path}:{number}: wants `kernel chip store_bytes load_bytes # its cost`")
            spills.append((words[0], words[1], int(words[2]), int(words[3])))
    return spills


def judge(kernels, spills):
    """Every line that is wrong."""
    findings = []
    used = set()
    for kernel in kernels:
        # What is spilled is aligned to at most 16 bytes; more of a frame than that is an array.
        if kernel.frame > (kernel.stores + 15) // 16 * 16:
            findings.append(f"{kernel}: an array lies in local memory: a stack frame of "
                            f"{kernel.frame} bytes, {kernel.stores} of them spilled")
        if kernel.stores == 0 and kernel.loads == 0:
            continue
        listed = [spill for spill in spills
                  if kernel.is_named(spill[0]) and kernel.chip == spill[1]
                  and kernel.stores <= spill[2] and kernel.loads <= spill[3]]
        if listed:
            used.update(listed)
        else:
            findings.append(f"{kernel}: spills {kernel.stores} bytes and loads {kernel.loads}; "
                            "give it fewer registers to hold, or list it with its cost")
    chips = {kernel.chip for kernel in kernels}
    for spill in spills:
        if spill not in used and spill[1] in chips:
            findings.append(f"{spill[0]} on sm_{spill[1]}: is listed as spilling and does not; "
                            "take it off the list")
    return findings


def main(folder, spills_path=None):
    kernels = read_notes(folder)
    if not kernels:
        print(f"{folder}: holds no notes of ptxas; configure with -DES_PTXAS_REPORT=ON")
        return 2
    findings = judge(kernels, read_spills(spills_path) if spills_path else [])
    for finding in findings:
        print(finding)
    spilling = sum(1 for kernel in kernels if kernel.stores > 0)
    most = max(kernels, key=lambda kernel: kernel.registers)
    print(f"{len(kernels)} kernels, {spilling} of them spill, at most {most.registers} registers "
          f"({most.note} on sm_{most.chip}): {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
