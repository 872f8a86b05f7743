# SPDX-License-Identifier: MIT
"""Every call of a public header that returns an errno lists each errno at its declaration, with the reason.

A list is a line per errno, `E… and the reason`. Each errno has a constant in error.h, except that the calls of hosted/ also
pass on errors of the system.

    errors.py SOURCE
"""

import errno
import pathlib
import re
import sys

from report import finish

DECLARATION = re.compile(r"/\*((?:(?!\*/).)*)\*/\s*((?:EXT2DAX_API )?)(int|int64_t) (ext2dax_\w+)\(", re.DOTALL)
# Calls which return a number of another kind.
NUMBERS = {"ext2dax_memory_descriptor", "ext2dax_finding_text", "ext2dax_crash_point", "ext2dax_model_check",
           "ext2dax_model_complaints", "ext2dax_mutant_count"}
LISTED = re.compile(r"^ \*   (E[A-Z0-9]+)\s+\S", re.MULTILINE)


def main():
    source, faults, calls, lines = pathlib.Path(sys.argv[1]), [], 0, 0
    headers = source / "include/ext2dax"
    known = set(re.findall(r"\bEXT2DAX_(E[A-Z0-9]+)\b", (headers / "error.h").read_text()))
    for path in sorted(headers.rglob("*.h")):
        for comment, _, _, name in DECLARATION.findall(path.read_text()):
            where, listed = "%s: %s()" % (path.relative_to(source), name), LISTED.findall(comment)
            calls, lines = calls + 1, lines + len(listed)
            if not listed and name not in NUMBERS:
                faults.append(where + " lists no errno")
            may = known | (set(errno.errorcode.values()) if path.parent.name == "hosted" else set())
            faults += ["%s lists %s, which error.h does not have" % (where, one) for one in sorted(set(listed) - may)]
    if calls == 0:
        faults.append("no call was found in include/")
    print("%d calls, %d errnos listed at their declarations" % (calls, lines))
    finish("errors of the calls", faults)


main()
