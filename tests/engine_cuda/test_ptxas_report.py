#!/usr/bin/env python3
"""tools/ptxas_report.py sees what it should, in notes made up here."""

import contextlib
import io
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import ptxas_report  # noqa: E402

NOTE = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_ZN3foo11gate_kernelEv' for 'sm_{chip}'
ptxas info    : Function properties for _ZN3foo11gate_kernelEv
    {frame} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers, 408 bytes cmem[0]
"""


class Reports(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="earshot-ptxas-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def report(self, frame, stores, loads, spills="", chip="90"):
        with open(os.path.join(self.folder, "gate.cu.o.ptxas"), "w", encoding="utf-8") as file:
            file.write(NOTE.format(frame=frame, stores=stores, loads=loads, chip=chip))
        path = os.path.join(self.folder, "spills.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# a comment\n" + spills)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = ptxas_report.main(self.folder, path)
        return code, output.getvalue()

    def test_a_kernel_in_registers_passes(self):
        code, text = self.report(0, 0, 0)
        self.assertEqual(code, 0, text)
        self.assertIn("1 kernels, 0 of them spill, at most 96 registers", text)

    def test_an_array_in_local_memory_fails_listed_or_not(self):
        code, text = self.report(64, 0, 0)
        self.assertEqual(code, 1)
        self.assertIn("an array lies in local memory", text)
        code, _ = self.report(64, 8, 8, "gate_kernel 90 8 8 # once per launch\n")
        self.assertEqual(code, 1)

    def test_a_spill_passes_when_it_is_listed_and_not_larger(self):
        self.assertEqual(self.report(8, 8, 16)[0], 1)
        self.assertEqual(self.report(8, 8, 16, "gate_kernel 90 8 16 # once per launch\n")[0], 0)
        self.assertEqual(self.report(8, 8, 20, "gate_kernel 90 8 16 # once per launch\n")[0], 1)
        self.assertEqual(self.report(8, 8, 16, "gate_kernel 87 8 16 # once per launch\n")[0], 1)
        self.assertEqual(self.report(8, 8, 16, "late_kernel 90 8 16 # once per launch\n")[0], 1)

    def test_a_spill_that_is_gone_leaves_the_list(self):
        code, text = self.report(0, 0, 0, "gate_kernel 90 8 16 # once per launch\n")
        self.assertEqual(code, 1)
        self.assertIn("take it off the list", text)
        self.assertEqual(self.report(0, 0, 0, "gate_kernel 87 8 16 # another chip\n")[0], 0)

    def test_a_cost_is_asked_for_and_notes_must_be_there(self):
        with self.assertRaises(SystemExit):
            self.report(8, 8, 16, "gate_kernel 90 8 16\n")
        with tempfile.TemporaryDirectory() as empty, contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(ptxas_report.main(empty), 2)


if __name__ == "__main__":
    program = unittest.main(argv=sys.argv[:1], exit=False, verbosity=0)
    failed = len(program.result.failures) + len(program.result.errors)
    passed = program.result.testsRun - failed
    print(f"test_ptxas_report: {passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed or not passed else 0)
