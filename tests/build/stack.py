# SPDX-License-Identifier: MIT
"""No function of the core takes more than 1 KiB of stack, nor an amount that the compiler cannot bound.

Every file is compiled as the build compiles it, but optimised and without instrumentation, with -fstack-usage.
    stack.py BUILD LIMIT
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

from report import finish, skip

TAKES_A_VALUE = {"-o", "-MF", "-MQ", "-MT"}
DROPPED = ("-c", "-MD", "-MMD", "-O", "-fsanitize", "--coverage", "-fprofile", "-flto", "-fno-omit-frame-pointer")


def arguments(command):
    kept, words = [], iter(shlex.split(command))
    for word in words:
        if word in TAKES_A_VALUE:
            next(words)
        elif not word.startswith(DROPPED):
            kept.append(word)
    return kept


def usage(entry, folder):
    name = pathlib.Path(entry["file"]).stem
    command = arguments(entry["command"]) + ["-O2", "-fstack-usage", "-c", "-o", "%s/%s.o" % (folder, name)]
    subprocess.run(command, cwd=entry["directory"], check=True)
    found = pathlib.Path(folder, name + ".su")
    if not found.exists():
        return None
    return [line.split("\t") for line in found.read_text().splitlines()]


def main():
    build, limit = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    entries = [entry for entry in json.loads((build / "compile_commands.json").read_text())
               if entry["output"].startswith("lib/core/")]
    faults, functions, largest = [], 0, (0, "nothing")
    with tempfile.TemporaryDirectory() as folder:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for lines in pool.map(lambda entry: usage(entry, folder), entries):
                if lines is None:
                    skip("this compiler writes no stack usage")
                for where, size, kind in lines:
                    name = where.split("/")[-1]
                    functions += 1
                    largest = max(largest, (int(size), name))
                    if int(size) > limit:
                        faults.append("%s takes %s bytes" % (name, size))
                    if kind == "dynamic":
                        faults.append("%s takes an amount that has no bound" % name)
    if not entries:
        faults.append("no file of the core in compile_commands.json")
    print("%d functions; the largest takes %d bytes: %s" % (functions, *largest))
    finish("stack of the core", faults)


main()
