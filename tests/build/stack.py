# SPDX-License-Identifier: MIT
"""No function of the core takes more than 1 KiB of stack, nor an amount that the compiler cannot bound.

    stack.py BUILD LIMIT
"""

import pathlib
import sys
import tempfile

from core_objects import compile_core, understands
from report import finish, skip


def main():
    build, limit = sys.argv[1], int(sys.argv[2])
    faults, functions, largest = [], 0, (0, "nothing")
    if not understands(build, "-fstack-usage"):
        skip("this compiler writes no stack usage")
    with tempfile.TemporaryDirectory() as folder:
        for source in compile_core(build, folder, "-O2", "-fstack-usage"):
            for line in pathlib.Path(folder, source.stem + ".su").read_text().splitlines():
                where, size, kind = line.split("\t")
                name = where.split("/")[-1]
                functions += 1
                largest = max(largest, (int(size), name))
                if int(size) > limit:
                    faults.append("%s takes %s bytes" % (name, size))
                if kind == "dynamic":
                    faults.append("%s takes an amount that has no bound" % name)
    if not functions:
        faults.append("no function in the core")
    print("%d functions; the largest takes %d bytes of at most %d: %s" % (functions, largest[0], limit, largest[1]))
    finish("stack of the core", faults)


main()
