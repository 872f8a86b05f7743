# SPDX-License-Identifier: MIT
"""Nothing unfinished is left lying: no notes to oneself, no file without its licence line, no stray white space.

Also: every suite that is called long is left out of the default run.
    tidy.py SOURCE BUILD LONG_SUITE...
"""

import json
import pathlib
import re
import sys

from report import finish

# Split, so that this file does not hold what it looks for.
NOTES = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
FOLDERS = ["include", "lib", "tests", "examples", "build-aux", ".ci"]
LICENSED = {".c": "/* SPDX-License-Identifier: MIT */", ".h": "/* SPDX-License-Identifier: MIT */",
            ".py": "# SPDX-License-Identifier: MIT"}


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
        for number, line in enumerate(lines, 1):
            where = "%s:%d " % (path, number)
            if NOTES.search(line):
                faults.append(where + "holds a note to oneself: " + line.strip())
            if path.suffix != ".md" and line != line.rstrip():
                faults.append(where + "ends in white space")
    for test in json.loads((build / "meson-info/intro-tests.json").read_text()):
        for suite in test["suite"]:
            name = suite.split(":")[-1]
            if name.endswith("-long") and name not in long_suites:
                faults.append("the suite %s runs by default: add it to long_suites" % name)
    finish("tidiness", faults)


main()
