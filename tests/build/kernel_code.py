# SPDX-License-Identifier: MIT
"""The instructions of the core may run in a kernel. They use no vector or floating-point register, because a kernel does not
save such registers for itself, and no memory below the stack pointer, where an interrupt stores its frame.

    kernel_code.py ARCHIVE CPU INSTRUMENTATION
"""

import re
import shutil
import subprocess
import sys

from report import finish, skip

FORBIDDEN = {
    "x86_64": [re.compile(r"%[xyz]mm\d|%st\b|%mm\d"), re.compile(r"-0x[0-9a-f]+\(%rsp\)")],
}


def main():
    archive, cpu, instrumentation = sys.argv[1:]
    if cpu not in FORBIDDEN:
        skip("no patterns for " + cpu)
    if instrumentation:
        skip("built with %s, which adds code of its own" % instrumentation)
    if not shutil.which("objdump"):
        skip("no objdump")
    listed = subprocess.run(["objdump", "-d", "--no-show-raw-insn", archive], check=True, stdout=subprocess.PIPE, text=True)
    faults, function, instructions = [], "", 0
    for line in listed.stdout.splitlines():
        if line.endswith(">:"):
            function = line.split("<")[1][:-2]
        elif line.startswith(" "):
            instructions += 1
            if any(pattern.search(line) for pattern in FORBIDDEN[cpu]):
                faults.append("%s: %s" % (function, " ".join(line.split()[1:])))
    if not instructions:
        faults.append("no instruction in " + archive)
    print("%d instructions" % instructions)
    finish("code for kernels", faults)


main()
