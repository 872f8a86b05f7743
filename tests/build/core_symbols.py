# SPDX-License-Identifier: MIT
"""The core archive needs four functions from the program, and no helper of the compiler.

The archive is linked into a single object, which resolves names between members. The names still undefined must be among
the four. Names provided by a linker, and aliases of the four in the ABI, count as known.
"""

import re
import subprocess
import sys
import tempfile

from report import finish, skip

WANTED = {"memcpy", "memmove", "memset", "memcmp"}
LINKER = re.compile(r"_GLOBAL_OFFSET_TABLE_$|\.TOC\.$|__ehdr_start$|__aeabi_mem(cpy|move|set|clr)[48]?$")


def undefined(archive, cc):
    with tempfile.TemporaryDirectory() as folder:
        whole = folder + "/core.o"
        subprocess.run(cc + ["-r", "-nostdlib", "-o", whole, "-Wl,--whole-archive", archive], check=True)
        listed = subprocess.run(["nm", "-u", "--format=posix", whole], check=True, stdout=subprocess.PIPE, text=True)
    return {line.split()[0] for line in listed.stdout.splitlines() if line}


def main():
    archive, instrumentation, cc = sys.argv[1], sys.argv[2], sys.argv[3:]
    if instrumentation:
        skip("built with %s, which adds symbols of its own" % instrumentation)
    names = undefined(archive, cc)
    foreign = sorted(name for name in names - WANTED if not LINKER.match(name))
    print("undefined in the core:", " ".join(sorted(names)) or "nothing")
    finish("undefined symbols of the core archive", ["the core wants " + name for name in foreign])


if __name__ == "__main__":
    main()
