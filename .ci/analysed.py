# SPDX-License-Identifier: MIT
"""Selects the compilations for an analyser, without repetitions of the same code.

    analysed.py BUILD TO PATTERN     writes TO/compile_commands.json, with the compilations of BUILD that match PATTERN

A source may be compiled for several programs, with macros it never uses. The script compares each file of the repository,
source or header, after preprocessing. A compilation is left out if all of its code was seen before.
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
    """Returns the repository's files as seen by the compiler, in pairs of a path and a digest."""
    # With -ffreestanding all files get the same <stdint.h>. Two versions write the same constants in different ways.
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
    """Returns the command without the arguments that write files."""
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
