# SPDX-License-Identifier: MIT
"""The tree has no unfinished places, no file without a licence, and no stray white space.

The default run leaves out every suite called long, and test programs share the main() of tests/runner.h.
    tidy.py SOURCE BUILD LONG_SUITE...
"""

import json
import pathlib
import re
import sys

from licences import TAG, licence_faults
from report import finish

# Split, so that this file has no match itself.
NOTES = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
FOLDERS = ["include", "lib", "tests", "examples", "build-aux", ".ci"]
LICENSED = {".c": "/* " + TAG + ": MIT */", ".h": "/* " + TAG + ": MIT */", ".py": "# " + TAG + ": MIT"}
# Only the shared runner may call this function. The replacement for Check defines it.
RUNNING = re.compile(r"\b(?:srunner|tcase)_create\b")
RUNNERS = {"tests/runner.h", "tests/check_free/check.c", "tests/check_free/check.h"}


def texts(source):
    paths = [path for folder in FOLDERS for path in (source / folder).rglob("*")]
    for path in sorted(paths + list(source.glob("*"))):
        if path.is_file() and "__pycache__" not in path.parts:
            try:
                yield path.relative_to(source), path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                pass


def main():
    source, build, long_suites = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), set(sys.argv[3:])
    faults = []
    for path, text in texts(source):
        lines = text.splitlines()
        if path.suffix in LICENSED and LICENSED[path.suffix] not in lines[:2]:
            faults.append("%s does not begin with its licence" % path)
        if path.parts[0] == "tests" and path.suffix in (".c", ".h") and path.as_posix() not in RUNNERS:
            faults += ["%s calls %s itself: let tests/runner.h" % (path, call) for call in sorted(set(RUNNING.findall(text)))]
        for number, line in enumerate(lines, 1):
            where = "%s:%d " % (path, number)
            if NOTES.search(line):
                faults.append(where + "holds a note to oneself: " + line.strip())
            if path.suffix != ".md" and line != line.rstrip():
                faults.append(where + "ends in white space")
    code = "".join(text for path, text in texts(source) if path.suffix in (".c", ".h"))
    for path, text in texts(source):
        faults += ["%s defines %s, which no file of C uses" % (path, macro)
                   for macro in re.findall(r"'-D(E2D\w*)", text) if path.name == "meson.build" and not re.search(r"\b%s\b" % macro, code)]
    for test in json.loads((build / "meson-info/intro-tests.json").read_text()):
        for suite in test["suite"]:
            name = suite.split(":")[-1]
            if name.endswith("-long") and name not in long_suites:
                faults.append("the suite %s runs by default: add it to long_suites" % name)
    unlicensed, said = licence_faults(source)
    print(said if unlicensed is not None else "licences left out: " + said)
    finish("tidiness", faults + (unlicensed or []))


main()
