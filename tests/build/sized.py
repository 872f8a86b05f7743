# SPDX-License-Identifier: MIT
"""A test passes every public struct that begins with its size, at every size.

    sized.py SOURCE
"""

import pathlib
import re
import sys

from report import finish

SIZED = re.compile(r"^struct (\w+) \{\n\s+size_t size;", re.MULTILINE)


def main():
    source = pathlib.Path(sys.argv[1])
    names = sorted(name for path in (source / "include").glob("ext2dax/**/*.h") for name in SIZED.findall(path.read_text()))
    tested = (source / "tests/core/test_sized.c").read_text()
    faults = [name + " begins with its size, and tests/core/test_sized.c hands none in" for name in names
              if not re.search(r"COVERED\(size, struct %s, |MOST\(struct %s\)" % (name, name), tested)]
    finish("%d structs that begin with their size" % len(names), faults if names else ["no struct begins with its size"])


main()
