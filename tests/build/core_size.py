# SPDX-License-Identifier: MIT
"""How much the core adds to a kernel, optimised for size: all of it, and what is left when a kernel that only maps, faults
and truncates lets its linker drop the rest.

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
                               "-fno-asynchronous-unwind-tables")
        objects = sorted(pathlib.Path(folder).glob("*.o"))
        if "fault" not in {source.stem for source in sources}:
            skip("the core has no fault family in this build")
        whole, whole_constants = sizes_of(*objects)
        some = folder + "/some"
        subprocess.run([compiler(build), "-r", "-nostdlib", "-Wl,--gc-sections", *("-Wl,-u," + name for name in SOME),
                        "-o", some, *map(str, objects)], check=True)
        part, part_constants = sizes_of(some)
        kept = defined(some)
        faults += ["%s was dropped" % name for name in SOME if name not in kept]
        faults += ["%s was not dropped" % name for name in ("ext2dax_format", "ext2dax_mount") if name in kept]
    print("text of the whole core: %d bytes, at most %d; constants: %d" % (whole, all_limit, whole_constants))
    print("text of map, fault and truncate: %d bytes, at most %d; constants: %d" % (part, some_limit, part_constants))
    if whole > all_limit:
        faults.append("the whole core has %d bytes" % whole)
    if part > some_limit:
        faults.append("map, fault and truncate have %d bytes" % part)
    finish("size of the core", faults)


main()
