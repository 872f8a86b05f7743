# SPDX-License-Identifier: MIT
"""Which compilations are worth an analysis: those that show the analyser code of ours that no other has shown it.

    analysed.py BUILD TO PATTERN     writes TO/compile_commands.json: what of BUILD's compiles a file that PATTERN matches

A source may be compiled for several programs, with macros that it never looks at. What each of the repository's files,
source or header, is after preprocessing is compared; a compilation is left out where all of it has been there before.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

MARKER = re.compile(rb'^# \d+ "([^"]*)"')


def texts(entry, source):
    """What the compiler sees of the repository's files: pairs of a path and a digest."""
    # -ffreestanding: one <stdint.h> for all, since there are two that write the same constants differently.
    arguments = shlex.split(entry["command"])
    done = subprocess.run(arguments[:1] + ["-E", "-ffreestanding"] + without_output(arguments[1:]),
                          cwd=entry["directory"], check=True, stdout=subprocess.PIPE)
    found, value = {}, None
    for line in done.stdout.splitlines():
        marker = MARKER.match(line)
        if marker:
            path = os.path.normpath(os.path.join(entry["directory"], os.fsdecode(marker.group(1))))
            value = found.setdefault(path, hashlib.sha256()) if path.startswith(source) else None
        elif value and line.strip():
            value.update(line.rstrip() + b"\n")
    return {(path, value.digest()) for path, value in found.items()}


def without_output(arguments):
    """The command without what makes it write files."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("-o", "-MF", "-MQ", "-MT"):
            skip = True
        elif argument not in ("-MD", "-MMD", "-c"):
            kept.append(argument)
    return kept


def main():
    build, to, pattern = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), re.compile(sys.argv[3])
    source = str(pathlib.Path(__file__).resolve().parent.parent) + os.sep
    entries = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        if path.startswith(source) and pattern.search(path[len(source):]):
            entries.append(entry)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda entry: texts(entry, source), entries))
    kept, seen = [], set()
    for entry, shown in zip(entries, found):
        if not shown <= seen:
            kept.append(entry)
            seen |= shown
    to.mkdir(exist_ok=True)
    (to / "compile_commands.json").write_text(json.dumps(kept, indent=1))
    print("%d of %d compilations show something new" % (len(kept), len(entries)))


main()
