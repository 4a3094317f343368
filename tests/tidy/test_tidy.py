#!/usr/bin/env python3
"""Plants one violation after the other in a small clean repository and sees each one reported."""

import os
import sys
import tempfile
import types
import unittest

sys.dont_write_bytecode = True
from tidy import FORBIDDEN_WORDS, Tidy, functions_of  # noqa: E402 (after the flag above)

CLEAN = {
    "platform/CMakeLists.txt": "es_library(es_platform SOURCES plan.c)\n",
    "platform/plan.h": "/* plan.h - the plan. */\n#pragma once\n\nint es_plan(void);\n",
    "platform/plan.c": '#include "platform/plan.h"\n\nint es_plan(void) {\n    return 1;\n}\n',
    "engine/CMakeLists.txt": "es_library(es_engine SOURCES model.c)\n",
    "engine/model.c": '#include "platform/plan.h"\n\n/* malloc( and printf( in a comment */\n'
                      'const char *es_text = "exit(1) // not code";\n',
    "audio/CMakeLists.txt": "es_library(es_audio SOURCES pcm.c)\n",
    "audio/pcm.h": "/* pcm.h - samples. */\n#pragma once\n",
    "audio/pcm.c": '#include "audio/pcm.h"\n',
    "app/CMakeLists.txt": "add_executable(earshot main.c)\n",
    "app/main.c": '#include "audio/pcm.h"\n\nint main(void) {\n    printf("hello");\n}\n',
    "tests/platform/CMakeLists.txt": "es_test(test_plan SOURCES test_plan.c)\n",
    "tests/platform/test_plan.c": '#include "platform/plan.h"\n\nvoid *p = malloc(3);\n',
    "README.md": "See [the plan](platform/plan.h#top) and [the web](https://example.org/x).\n",
}

EXCEPTIONS = {"ALLOCATES": {"tests/": "a test ends"}, "SPEAKS": {}, "REPEATED_HEADERS": {},
              "WIDE": {}, "LONG_FILES": {}, "LONG_FUNCTIONS": {}}


def long_function(line_count):
    return "int es_long(int a,\n            int b) {\n" + "    a++;\n" * (line_count - 3) + "}\n"


class TidyTest(unittest.TestCase):
    def findings(self, changes, **exceptions):
        """All findings of the clean repository with these files written over it."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **changes}.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            tidy = Tidy(root, types.SimpleNamespace(**{**EXCEPTIONS, **exceptions}))
            return [finding for rule in Tidy.RULES for finding in tidy.check(rule)]

    def expect(self, path, text, place, words, **exceptions):
        """Exactly one finding, at the place, with the words."""
        findings = self.findings({path: text}, **exceptions)
        self.assertEqual(len(findings), 1, findings)
        self.assertTrue(findings[0].startswith(f"{place}: "), findings)
        self.assertIn(words, findings[0])

    def test_a_clean_repository_has_no_findings(self):
        self.assertEqual(self.findings({}), [])

    def test_an_include_upwards(self):
        self.expect("platform/plan.c", '#include "platform/plan.h"\n#include "audio/pcm.h"\n',
                    "platform/plan.c:2", "include from platform")

    def test_an_include_sideways(self):
        self.expect("engine/model.c", '#include "audio/pcm.h"\n',
                    "engine/model.c:1", "include from engine, platform")

    def test_a_test_that_includes_from_above_its_folder(self):
        self.expect("tests/platform/test_plan.c", '#include "audio/pcm.h"\nint *p = malloc(4);\n',
                    "tests/platform/test_plan.c:1", "include from platform, tests")

    def test_an_include_that_is_not_from_the_root(self):
        self.expect("audio/pcm.c", '#include "pcm.h"\n', "audio/pcm.c:1", "from the root")

    def test_a_folder_that_is_no_layer(self):
        findings = self.findings({"misc/a.h": "/* a.h - a. */\n#pragma once\n"})
        self.assertEqual(len(findings), 1, findings)
        self.assertTrue(findings[0].startswith("misc/a.h:1: its folder is no layer"), findings)

    def test_an_allocation(self):
        for call in ("malloc(8)", "calloc (1, 8)", "strdup(x)", "mmap(0, 1)",
                     "aligned_alloc(64, 64)", "posix_memalign(&p, 64, 64)", "realloc(p, 2)"):
            self.expect("engine/model.c", f"\nvoid *p = {call};\n", "engine/model.c:2",
                        "platform/plan.h")

    def test_an_allocation_that_is_allowed(self):
        allowed = {**EXCEPTIONS["ALLOCATES"], "engine/model.c": "at boot"}
        self.assertEqual(self.findings({"engine/model.c": "void *p = malloc(8);\n"},
                                       ALLOCATES=allowed), [])

    def test_an_exception_that_nothing_needs_or_that_has_no_reason(self):
        for table in EXCEPTIONS:
            self.expect("audio/pcm.c", "", "tests/tidy/exceptions.py:1", "delete the entry",
                        **{table: {**EXCEPTIONS[table], "audio/pcm.c": "once"}})
        self.expect("audio/pcm.c", "void *p = malloc(8);\n", "tests/tidy/exceptions.py:1",
                    "has no reason", ALLOCATES={**EXCEPTIONS["ALLOCATES"], "audio/pcm.c": ""})

    def test_a_library_that_speaks_or_dies(self):
        for call, words in (("getenv(x)", "parameter"), ("exit(1)", "es_status"),
                            ("abort()", "ES_ASSERT"), ("printf(x)", "es_fail"),
                            ("fprintf(stderr, x)", "es_fail")):
            self.expect("audio/pcm.c", f"\n\nint x = {call};\n", "audio/pcm.c:3", words)

    def test_a_source_that_nothing_builds(self):
        self.expect("audio/forgotten.c", "int es_x;\n", "audio/forgotten.c:1", "CMakeLists")

    def test_a_source_that_only_a_comment_names(self):
        self.expect("audio/CMakeLists.txt", "# pcm.c\n", "audio/pcm.c:1", "CMakeLists")

    def test_a_source_that_a_loop_names(self):
        loop = "foreach(noun pcm mel)\n es_library(${noun} SOURCES ${noun}.c)\nendforeach()\n"
        self.assertEqual(self.findings({"audio/CMakeLists.txt": loop, "audio/mel.c": ""}), [])

    def test_a_header_without_guard_or_head_comment(self):
        self.expect("audio/pcm.h", "/* pcm.h - samples. */\n", "audio/pcm.h:1", "#pragma once")
        self.expect("audio/pcm.h", "#pragma once\n", "audio/pcm.h:1", "/* pcm.h - ")

    def test_a_line_that_is_too_long(self):
        self.expect("audio/pcm.c", "\n/*" + "x" * 97 + "*/\n", "audio/pcm.c:2", "101 columns")
        self.assertEqual(self.findings({"audio/pcm.c": "/*" + "\u00e9" * 96 + "*/\n"}), [])
        self.assertEqual(self.findings({"audio/pcm.c": "/*" + "x" * 97 + "*/\n"},
                                       WIDE={"audio/": "a table"}), [])

    def test_a_file_that_is_too_long(self):
        self.expect("audio/pcm.c", "\n" * 451, "audio/pcm.c:450", "451 lines")
        self.assertEqual(self.findings({"audio/pcm.c": "\n" * 450}), [])

    def test_a_function_that_is_too_long(self):
        self.expect("audio/pcm.c", "\n" + long_function(81), "audio/pcm.c:2", "es_long has 81")
        self.assertEqual(self.findings({"audio/pcm.c": long_function(80)}), [])

    def test_functions_are_told_from_tables(self):
        code = ("static const int table[] = {\n    1,\n};\nstruct es_x {\n    int a;\n};\n"
                "static int a(void) {\n#if X\n    if (1) {\n#else\n    if (2) {\n#endif\n    }\n"
                "}\n\nint b(int x,\n      int y) {\n}\n")
        self.assertEqual(list(functions_of(code)), [("a", 7, 14), ("b", 16, 18)])

    def test_a_word_for_later(self):
        for word in FORBIDDEN_WORDS:
            self.expect("README.md", f"a\n{word}: later\n", "README.md:2", word)

    def test_a_link_that_leads_nowhere(self):
        self.expect("README.md", "[x](docs/none.md)\n", "README.md:1", "docs/none.md")


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(TidyTest)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed_count = len(result.failures) + len(result.errors)
    print(f"test_tidy: {result.testsRun - failed_count} passed, {failed_count} failed, 0 skipped")
    sys.exit(1 if failed_count or not result.testsRun else 0)
