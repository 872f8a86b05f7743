# SPDX-License-Identifier: MIT
"""No loop counts up to and including the last inode or block. With 2^32 - 1 of them the counter would wrap to 0."""

import pathlib
import re
import sys

from report import finish

LOOP = re.compile(r"\b(?:for|while) \([^{]*?<= *[\w>.\-]*(?:inodes|blocks|groups)\b[^{]*?[{;]", re.DOTALL)
# The end of a run is the number after its last bit, which does not exist for the largest number.
ONE_BIT = re.compile(r"e2d_(?:set|clear)_bits\([^,;]*, (number|target|at|inode), \1 \+ 1\)")

source = pathlib.Path(sys.argv[1])
faults = []
for folder in ("lib/core", "lib/testkit"):
    paths = sorted((source / folder).rglob("*.[ch]"))
    if not paths:
        faults.append(folder + " has no file")
    for path in paths:
        text = path.read_text()
        for found in list(LOOP.finditer(text)) + list(ONE_BIT.finditer(text)):
            faults.append("%s/%s:%d: %s" % (folder, path.name, text.count("\n", 0, found.start()) + 1,
                                            " ".join(found.group().split())[:80]))
finish("counting", faults)
