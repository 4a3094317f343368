#!/usr/bin/env python3
"""The virtual board's tests: runs the scenarios, then judges what they recorded.

    board.py BUILD [--short] [--jobs N] [SCENARIO...]      tests/board/run calls it

BUILD is the folder with sysroot, kernel and arm64 builds. One line per test, then a count.
"""
import argparse
import concurrent.futures
import glob
import os
import sys
import time
import traceback

import judge_bench
import judge_busy
import judge_dead
import judge_faults
import judge_full
import judge_hear
import judge_killed
import judge_latency
import judge_mute
import judge_named
import judge_overrun
import judge_replug
import judge_slow
import judge_stuck
import machine
import rootfs

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SHORT_JUDGES = [judge_hear, judge_mute, judge_replug, judge_overrun, judge_stuck, judge_killed]
# The longest first: they run beside all others.
JUDGES = [judge_latency, judge_faults, judge_bench, judge_named, *SHORT_JUDGES, judge_busy,
          judge_dead, judge_slow, judge_full]
MODULES = ["soundcore", "snd", "snd-timer", "snd-pcm", "snd-aloop"]
TOOLS = ["gpioget", "gpioset", "arecord"]


def root_file_system(build):
    """Writes the initramfs that every scenario boots; its path."""
    sysroot = os.path.join(build, "sysroot")
    files = {
        "init": os.path.join(HERE, "guest", "init"),
        "board": os.path.join(HERE, "guest"),
        "bin/busybox": os.path.join(sysroot, "bin/busybox"),
        "usr/bin/earshot": os.path.join(build, "arm64", "earshot"),
        "usr/bin/probe": os.path.join(build, "arm64", "board_probe"),
        "usr/bin/play": os.path.join(build, "arm64", "board_play"),
        "usr/share/alsa": os.path.join(sysroot, "usr/share/alsa"),
        "model": os.path.join(ROOT, "models", "bringup"),
        "recordings": os.path.join(ROOT, "models", "bringup", "recordings"),
        "golden": os.path.join(ROOT, "tests", "data", "golden"),
    }
    for tool in TOOLS:
        files["usr/bin/" + tool] = os.path.join(sysroot, "usr/bin", tool)
    modules = {os.path.basename(path): path for path in glob.glob(
        os.path.join(build, "kernel/lib/modules/*/kernel/sound/**/*.ko"), recursive=True)}
    for name in MODULES:
        files[f"lib/modules/{name}.ko"] = modules[f"{name}.ko"]
    path = os.path.join(build, "initramfs.cpio")
    rootfs.write(path, files, sysroot)
    return path


def run_scenario(name, build, initramfs):
    """(record or None, why not, seconds)."""
    began = time.monotonic()
    kernel = glob.glob(os.path.join(build, "kernel/boot/vmlinuz-*"))[0]
    try:
        record = machine.run(name, kernel, initramfs, os.path.join(build, "records", name))
        return record, "", time.monotonic() - began
    except machine.MachineError as error:
        return None, str(error), time.monotonic() - began


def tests_of(judge):
    """The functions test_* of a module, in the order of the file."""
    found = [thing for name, thing in vars(judge).items() if name.startswith("test_")]
    return sorted(found, key=lambda test: test.__code__.co_firstlineno)


def verdict(test, record, reason):
    """"" when the test passes, else the reason; a note that it returned is printed beside it."""
    if record is None:
        return reason, None
    try:
        return "", test(record)
    except Exception:  # whatever a test stumbles over in a record is its failure
        return "".join(traceback.format_exc(limit=-2)), None


def judge_scenario(judge, outcome):
    """Prints one line per test; (passed, failed)."""
    record, reason, seconds = outcome
    counts = [0, 0]
    print(f"{judge.SCENARIO}: {seconds:.0f} s")
    for test in tests_of(judge):
        failure, note = verdict(test, record, reason)
        counts[1 if failure else 0] += 1
        name = test.__name__.removeprefix("test_").replace("_", " ")
        print(f"  {'FAILED' if failure else 'ok':7} {name}{f' ({note})' if note else ''}")
        if failure:
            print("    " + failure.strip().replace("\n", "\n    "))
    sys.stdout.flush()
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("scenarios", nargs="*")
    asked = parser.parse_args()
    names = [judge.SCENARIO for judge in JUDGES]
    if set(asked.scenarios) - set(names):
        parser.error(f"no such scenario; there are {', '.join(names)}")
    judges = SHORT_JUDGES if asked.short else JUDGES
    if asked.scenarios:
        judges = [judge for judge in JUDGES if judge.SCENARIO in asked.scenarios]
    initramfs = root_file_system(asked.build)
    totals = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(max(1, asked.jobs)) as pool:
        running = [pool.submit(run_scenario, judge.SCENARIO, asked.build, initramfs)
                   for judge in judges]
        for judge, outcome in zip(judges, running):
            counts = judge_scenario(judge, outcome.result())
            totals = [total + count for total, count in zip(totals, counts)]
    print(f"board: {totals[0]} passed, {totals[1]} failed, 0 skipped")
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
