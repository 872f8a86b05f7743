# SPDX-License-Identifier: MIT
"""How much the core adds to a kernel, optimised for size and linked as a kernel is, at a fixed address: all of it, and what
is left when a kernel that only maps, faults and truncates lets its linker drop the rest. Instructions and constants both count.

    core_size.py BUILD ALL SOME CPU          limits in bytes; for x86_64
"""

import pathlib
import subprocess
import sys
import tempfile

from core_objects import compile_core, compiler
from report import finish, skip

SOME = ["ext2dax_map", "ext2dax_fault", "ext2dax_pmd_fault", "ext2dax_mkwrite", "ext2dax_pfn_mkwrite", "ext2dax_truncate"]


def sizes_of(*objects):
    """Bytes of instructions, and of constants."""
    listed = subprocess.run(["size", "-A", *map(str, objects)], check=True, stdout=subprocess.PIPE, text=True)
    sections = [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith(".")]
    return tuple(sum(int(size) for name, size in sections if name.startswith(kind)) for kind in (".text", ".rodata"))


def defined(path):
    listed = subprocess.run(["nm", "--defined-only", "--format=posix", path], check=True, stdout=subprocess.PIPE, text=True)
    return {line.split()[0] for line in listed.stdout.splitlines()}


def main():
    build, all_limit, some_limit, cpu = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if cpu != "x86_64":
        skip("the bounds are those of x86-64, and this is " + cpu)
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        sources = compile_core(build, folder, "-Os", "-g0", "-ffunction-sections", "-fdata-sections",
                               "-fno-asynchronous-unwind-tables", "-fno-pic")
        objects = sorted(pathlib.Path(folder).glob("*.o"))
        if "fault" not in {source.stem for source in sources}:
            skip("the core has no fault family in this build")
        link = [compiler(build), "-no-pie", "-static", "-nostdlib", "-Wl,--entry=0", "-Wl,--unresolved-symbols=ignore-all",
                "-Wl,--build-id=none"]
        all_of_it, some = folder + "/all", folder + "/some"
        subprocess.run([*link, "-o", all_of_it, *map(str, objects)], check=True)
        subprocess.run([*link, "-Wl,--gc-sections", *("-Wl,-u," + name for name in SOME), "-o", some, *map(str, objects)],
                       check=True)
        whole, part = sizes_of(all_of_it), sizes_of(some)
        kept = defined(some)
        faults += ["%s was dropped" % name for name in SOME if name not in kept]
        faults += ["%s was not dropped" % name for name in ("ext2dax_format", "ext2dax_mount") if name in kept]
    for what, (code, constants), limit in (("whole core", whole, all_limit), ("map, fault and truncate", part, some_limit)):
        print("text of %s: %d bytes, %d of them constants, at most %d" % (what, code + constants, constants, limit))
        if code + constants > limit:
            faults.append("%s: %d bytes" % (what, code + constants))
    finish("size of the core", faults)


main()
