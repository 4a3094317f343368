#!/usr/bin/env python3
"""Counts test cases in what ctest wrote, and shows the programs that failed.

    tools/count_tests.py build/check/results.xml COUNTS

COUNTS becomes one line: passed, failed and skipped. A program that closes with the line
`name: N passed, N failed, N skipped` counts as that many; any other counts as one. A program that
died or hung after its last good word counts as a failure on top.
"""

import re
import sys
import xml.etree.ElementTree as xml

CLOSING = re.compile(r"^\S+: (\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


def count(status, text):
    """(passed, failed, skipped) of one program; status as in ctest's JUnit file."""
    if status == "notrun":
        return 0, 1, 0
    lines = CLOSING.findall(text)
    if not lines:
        return (0, 1, 0) if status == "fail" else (1, 0, 0)
    passed, failed, skipped = (int(number) for number in lines[-1])
    if status == "fail" and failed == 0:
        failed = 1
    return passed, failed, skipped


def main(results_path, counts_path):
    totals = [0, 0, 0]
    for case in xml.parse(results_path).getroot().iter("testcase"):
        status = case.get("status")
        text = case.findtext("system-out") or ""
        counts = count(status, text)
        totals = [total + number for total, number in zip(totals, counts)]
        seconds = float(case.get("time") or 0)
        print(f"{case.get('name'):28} {counts[0]:4} passed {counts[1]:3} failed "
              f"{counts[2]:3} skipped {seconds:7.1f} s")
        if counts[1]:
            print(text or f"    {status}: no output")
            for failure in case.findall("failure"):
                print(f"    {failure.get('message', '')}")
        elif counts[2]:
            print("\n".join(line for line in text.splitlines() if "skipped: " in line))
    if not sum(totals):
        print("no test ran")
        totals[1] = 1
    with open(counts_path, "w", encoding="ascii") as file:
        print(*totals, file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
