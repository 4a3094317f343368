#!/usr/bin/env python3
"""Reads the sources and holds them to the house rules (CONTRIBUTING.md). Standard library only.

    tests/tidy/tidy.py [ROOT]

Prints one line per finding, `file:line: what is wrong; what to write instead`, one line per rule,
and a closing count. Exceptions, each with its reason, are in exceptions.py beside this file.
"""

import os
import re
import sys

LINE_COLUMNS_MAX = 100
FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 80

# A folder is a layer: which folders its files may include from. The longest match counts.
LAYERS = {
    "platform": {"platform"},
    "platform/jetson": {"platform/jetson", "platform"},
    "audio": {"audio", "platform"},
    "board": {"board", "platform"},
    "engine": {"engine", "platform"},
    "engine/cpu": {"engine/cpu", "engine", "platform"},
    "engine/cuda": {"engine/cuda", "engine", "platform/jetson", "platform"},
    "app": {"app", "audio", "board", "engine", "engine/cpu", "engine/cuda", "platform/jetson",
            "platform"},
    "tools": {"tools", "audio", "engine", "engine/cpu", "engine/cuda", "platform/jetson",
              "platform"},
    "tests": {"tests", "tools", "app", "audio", "board", "engine", "engine/cpu", "engine/cuda",
              "platform/jetson", "platform"},
    "tests/platform": {"tests", "platform"},
    "tests/jetson": {"tests", "tools", "engine", "platform/jetson", "platform"},
    "tests/audio": {"tests", "audio", "platform"},
    "tests/board_unit": {"tests", "board", "platform"},
    "tests/engine": {"tests", "tools", "engine", "platform"},
    "tests/engine_cpu": {"tests", "tools", "engine/cpu", "engine", "platform"},
    "tests/engine_cuda": {"tests", "tools", "engine/cuda", "engine", "engine/cpu",
                          "platform/jetson", "platform"},
    "tests/simt": {"tests", "engine/cuda", "engine", "platform/jetson", "platform"},
    "tests/board/virtual": {"tests", "audio", "platform"},
}
LIBRARIES = {"platform", "platform/jetson", "audio", "board", "engine", "engine/cpu", "engine/cuda"}
SKIPPED_FOLDERS = {".git", ".venv", "build", "__pycache__"}

ALLOCATION = re.compile(
    r"\b(malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf|aligned_alloc"
    r"|posix_memalign|memalign|valloc|mmap|open_memstream|getline|getdelim)\s*\(")
LIBRARY_BANS = {
    r"\b(getenv|secure_getenv|setenv|putenv)\s*\(": "take it as a parameter; app/ decides",
    r"\b(exit|_exit|_Exit|quick_exit|abort)\s*\(": "return an es_status, or ES_ASSERT",
    r"\b(printf|vprintf|fprintf|vfprintf|dprintf|puts|fputs|putchar|perror)\s*\(":
        "es_fail writes the line and app/ prints it",
}
# In two pieces, so that this file may be read by itself.
FORBIDDEN_WORDS = ["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
MARKDOWN_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def code_of(text):
    """The text with comments and literals blanked, line numbers kept."""
    return COMMENT_OR_LITERAL.sub(
        lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def unrolled(cmake_text):
    """The text with its foreach(name items...) loops written out."""
    return re.sub(
        r"foreach\((\w+) ([^)]*)\)(.*?)endforeach\(\)",
        lambda loop: "\n".join(loop.group(3).replace("${%s}" % loop.group(1), item)
                               for item in loop.group(2).split()),
        cmake_text, flags=re.DOTALL)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def layer_of(path):
    """The longest folder of LAYERS that holds the path, or None."""
    folder = os.path.dirname(path)
    while folder and folder not in LAYERS:
        folder = os.path.dirname(folder)
    return folder or None


def places(path, table):
    """The path and the folders of a table of exceptions that hold it."""
    return [path] + [key for key in table if key.endswith("/") and path.startswith(key)]


class Tidy:
    """The sources under a root, read once, and the findings of one rule at a time."""

    def __init__(self, root, exceptions):
        self.root = root
        self.exceptions = exceptions
        self.findings = []
        self.texts = {}
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
            for name in sorted(names):
                if name.endswith((".c", ".h", ".py", ".md", ".sh", "CMakeLists.txt")) or (
                        folder == root and name in ("check", "demo")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        self.texts[os.path.relpath(path, root)] = file.read()
        self.codes = {path: code_of(text) for path, text in self.texts.items()
                      if path.endswith((".c", ".h"))}

    def find(self, path, line, message):
        self.findings.append(f"{path}:{line}: {message}")

    def excuse(self, table, keys):
        """True when the table of exceptions names one of the keys; notes that it was needed."""
        for key in keys:
            if key in table:
                self.used.add(key)
                return True
        return False

    def report_unused(self, name, table):
        for key, reason in table.items():
            if not reason:
                self.find("tests/tidy/exceptions.py", 1, f"{name}: {key} has no reason; write it")
            if key not in self.used:
                self.find("tests/tidy/exceptions.py", 1,
                          f"{name}: {key} needs no exception; delete the entry")

    # -- the rules ---------------------------------------------------------------------------

    def includes_point_down(self):
        for path, text in self.texts.items():
            if path not in self.codes:
                continue
            layer = layer_of(path)
            if layer is None:
                self.find(path, 1, "its folder is no layer; add it to LAYERS in tidy.py")
                continue
            for match in INCLUDE.finditer(text):
                included, line = match.group(1), line_of(text, match.start(1))
                if included not in self.texts:
                    self.find(path, line, f'"{included}" is not a file of this repository; '
                              "write the path from the root, or <> for a library")
                    continue
                target = layer_of(included)
                allowed = LAYERS[layer]
                if target not in allowed and not (
                        target and target.startswith("tests") and "tests" in allowed):
                    self.find(path, line, f'{layer} includes "{included}" upwards or sideways; '
                              f"include from {', '.join(sorted(allowed))}")

    def only_boot_allocates(self):
        table = self.exceptions.ALLOCATES
        for path, code in self.codes.items():
            for match in ALLOCATION.finditer(code):
                if not self.excuse(table, places(path, table)):
                    self.find(path, line_of(code, match.start()),
                              f"{match.group(1)} outside of boot; plan a region (platform/plan.h), "
                              "or list the file in tests/tidy/exceptions.py with its reason")
        self.report_unused("ALLOCATES", table)

    def libraries_are_silent(self):
        table = self.exceptions.SPEAKS
        for path, code in self.codes.items():
            if layer_of(path) not in LIBRARIES:
                continue
            for pattern, remedy in LIBRARY_BANS.items():
                for match in re.finditer(pattern, code):
                    if not self.excuse(table, [path]):
                        self.find(path, line_of(code, match.start()),
                                  f"{match.group(1)} in a library; {remedy}")
        self.report_unused("SPEAKS", table)

    def every_source_is_built(self):
        named = set()
        for path, text in self.texts.items():
            if os.path.basename(path) != "CMakeLists.txt":
                continue
            folder = os.path.dirname(path)
            for word in re.findall(r"[^\s()\"]+\.c\b", unrolled(re.sub(r"#.*", "", text))):
                word = word.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
                if word.startswith("${CMAKE_SOURCE_DIR}/"):
                    named.add(os.path.normpath(word.split("}/", 1)[1]))
                else:
                    named.add(os.path.normpath(os.path.join(folder, word)))
        for path in self.codes:
            if path.endswith(".c") and path not in named:
                self.find(path, 1, "no CMakeLists.txt names it; add it there or delete it")

    def headers_introduce_themselves(self):
        table = self.exceptions.REPEATED_HEADERS
        for path in self.codes:
            if not path.endswith(".h"):
                continue
            name = os.path.basename(path)
            if not self.texts[path].startswith(f"/* {name} - "):
                self.find(path, 1, f"no head comment; begin with `/* {name} - what it is`")
            has_guard = re.search(r"^#pragma once$", self.texts[path], re.MULTILINE)
            if not has_guard and not self.excuse(table, [path]):
                self.find(path, 1, "no include guard; write `#pragma once` below the head comment")
        self.report_unused("REPEATED_HEADERS", table)

    def lines_fit(self):
        table = self.exceptions.WIDE
        for path, text in self.texts.items():
            if path.endswith(".md"):
                continue
            for number, line in enumerate(text.split("\n"), 1):
                if len(line) > LINE_COLUMNS_MAX and not self.excuse(table, places(path, table)):
                    self.find(path, number, f"{len(line)} columns; break the line at "
                              f"{LINE_COLUMNS_MAX}")
        self.report_unused("WIDE", table)

    def files_are_short(self):
        table = self.exceptions.LONG_FILES
        for path, text in self.texts.items():
            count = text.count("\n")
            if not path.endswith(".md") and count > FILE_LINES_MAX:
                if not self.excuse(table, [path]):
                    self.find(path, FILE_LINES_MAX, f"{count} lines; split it by noun, or list it "
                              "in tests/tidy/exceptions.py with the reason")
        self.report_unused("LONG_FILES", table)

    def functions_are_short(self):
        table = self.exceptions.LONG_FUNCTIONS
        for path, code in self.codes.items():
            for name, first, last in functions_of(code):
                count = last - first + 1
                if count > FUNCTION_LINES_MAX and not self.excuse(table, [f"{path}:{name}"]):
                    self.find(path, first, f"{name} has {count} lines; split it, or list it in "
                              "tests/tidy/exceptions.py with the reason")
        self.report_unused("LONG_FUNCTIONS", table)

    def nothing_is_left_for_later(self):
        words = re.compile(r"\b(" + "|".join(FORBIDDEN_WORDS) + r")\b")
        for path, text in self.texts.items():
            for match in words.finditer(text):
                self.find(path, line_of(text, match.start()),
                          f"{match.group()}: do it, or write down what is so and why")

    def links_lead_somewhere(self):
        for path, text in self.texts.items():
            if not path.endswith(".md"):
                continue
            for match in MARKDOWN_LINK.finditer(text):
                target = os.path.join(self.root, os.path.dirname(path), match.group(1))
                if not os.path.exists(target):
                    self.find(path, line_of(text, match.start()),
                              f"the link {match.group(1)} leads nowhere; correct its path")

    RULES = [includes_point_down, only_boot_allocates, libraries_are_silent,
             every_source_is_built, headers_introduce_themselves, lines_fit, files_are_short,
             functions_are_short, nothing_is_left_for_later, links_lead_somewhere]

    def check(self, rule):
        """The findings of one of RULES."""
        self.findings = []
        self.used = set()
        rule(self)
        return self.findings


def functions_of(code):
    """(name, first line, last line) of every function body. A brace at column 0 ends it, as
    clang-format writes it, so that preprocessor branches cannot confuse the count."""
    head, name, first = "", None, 0
    for number, line in enumerate(code.split("\n"), 1):
        if name is not None:
            if line.startswith("}"):
                yield name, first, number
                head, name = "", None
            continue
        if not line.strip() or line[0] in "#}" or line.rstrip().endswith(";"):
            head = ""
            continue
        if not head:
            first = number
        head += line + "\n"
        if line.rstrip().endswith("{"):
            match = re.search(r"(\w+)\s*\(", head)
            opens_function = re.search(r"\)\s*\{\s*$", head) and match
            name = match.group(1) if opens_function else None
            head = ""


def main(root):
    import exceptions
    tidy = Tidy(root, exceptions)
    failed_count = 0
    for rule in Tidy.RULES:
        findings = tidy.check(rule)
        failed_count += 1 if findings else 0
        print(f"{'FAILED' if findings else 'ok':7} {rule.__name__.replace('_', ' ')}")
        for finding in findings:
            print(f"    {finding}")
    print(f"tidy: {len(Tidy.RULES) - failed_count} passed, {failed_count} failed, 0 skipped")
    return 1 if failed_count else 0


if __name__ == "__main__":
    HERE = os.path.dirname(os.path.abspath(__file__))
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(HERE))))
