# SPDX-License-Identifier: MIT
"""Measures the size of the core in a kernel, optimised for size and linked at a fixed address, as a whole and after
--gc-sections. The room `builder`, which no other room calls and no driver needs, is measured by itself. Two programs are
linked, calls without a mount, and small.c, which mounts, maps, faults, reads, writes and truncates, with and without
recovery. Each is measured with and without the reasons in reports (the option `reports`). The figures are the bytes of
instructions and constants of the core alone.

    core_size.py BUILD CPU ALL BUILDER CALLS SMALL RECOVER ALL_SHORT SMALL_SHORT RECOVER_SHORT [FLAG...]     bytes, for x86_64

The limits with SHORT are for reports without reasons. The flags are those of a build optimised for size.
"""

import pathlib
import subprocess
import sys
import tempfile

from core_objects import compile_core, compiler
from report import finish, skip

CALLS = ["ext2dax_map", "ext2dax_fault", "ext2dax_pmd_fault", "ext2dax_mkwrite", "ext2dax_pfn_mkwrite", "ext2dax_truncate"]
SMALL = CALLS + ["ext2dax_mount", "ext2dax_read", "ext2dax_write"]
# Names to link, and the names which callers define.
RECOVERY = ["ext2dax_recover", "e2d_scan_open"]
DROPPED = ["ext2dax_format", "ext2dax_verify", "ext2dax_lookup", "ext2dax_unlink", "e2d_dir_find", "e2d_inode_free"]
FLAGS = ["-Os", "-g0", "-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables", "-fno-pic"]


LIMITS = ("all", "builder", "calls", "small", "recover", "all_short", "small_short", "recover_short")


def sizes_of(*objects):
    """Returns the bytes of instructions and of constants."""
    listed = subprocess.run(["size", "-A", *map(str, objects)], check=True, stdout=subprocess.PIPE, text=True)
    sections = [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith(".")]
    return tuple(sum(int(size) for name, size in sections if name.startswith(kind)) for kind in (".text", ".rodata"))


def defined(path):
    listed = subprocess.run(["nm", "--defined-only", "--format=posix", path], check=True, stdout=subprocess.PIPE, text=True)
    return {line.split()[0] for line in listed.stdout.splitlines()}


class Links:
    def __init__(self, build, folder, reasons):
        self.link = [compiler(build), "-no-pie", "-static", "-nostdlib", "-Wl,--build-id=none"]
        self.folder, self.faults = folder, []
        self.include = pathlib.Path(__file__).resolve().parents[2] / "include"
        pathlib.Path(folder).mkdir()
        sources = compile_core(build, folder, *FLAGS, "-UE2D_NO_REPORTS" if reasons else "-DE2D_NO_REPORTS")
        self.objects = sorted(map(str, pathlib.Path(folder).glob("*.o")))
        self.builder = ["%s/%s.o" % (folder, path.stem) for path in sources if path.parent.name == "builder"]

    def check(self, path, kept, dropped):
        names = defined(path)
        self.faults += ["%s was dropped" % name for name in kept if name not in names]
        self.faults += ["%s was not dropped" % name for name in dropped if name in names]

    def whole(self, path, objects):
        subprocess.run([*self.link, "-Wl,--entry=0", "-Wl,--unresolved-symbols=ignore-all", "-o", path, *objects], check=True)
        return sizes_of(path)

    def all(self):
        path = self.folder + "/all"
        figures = self.whole(path, sorted(set(self.objects) - set(self.builder)))
        self.check(path, SMALL + RECOVERY + DROPPED, [])
        return figures

    def builder_alone(self):
        """What the room `builder` adds to the core."""
        return tuple(a - b for a, b in zip(self.whole(self.folder + "/with_builder", self.objects), self.all()))

    def calls(self):
        path = self.folder + "/calls"
        subprocess.run([*self.link, "-Wl,--entry=0", "-Wl,--unresolved-symbols=ignore-all", "-Wl,--gc-sections",
                        *("-Wl,-u," + name for name in CALLS), "-o", path, *self.objects], check=True)
        self.check(path, CALLS, DROPPED + RECOVERY + ["ext2dax_mount"])
        return sizes_of(path)

    def small(self, recovery):
        """Returns the figures of the linked program without small.c itself."""
        program, path = "%s/small%d" % (self.folder, recovery), "%s/linked%d" % (self.folder, recovery)
        subprocess.run([self.link[0], "-std=c11", "-ffreestanding", *FLAGS, *(["-DWITH_RECOVERY"] if recovery else []),
                        "-fno-stack-protector", "-fno-builtin", "-I", str(self.include), "-c",
                        str(pathlib.Path(__file__).with_name("small.c")), "-o", program], check=True)
        subprocess.run([*self.link, "-Wl,--gc-sections", "-Wl,--entry=small", "-o", path, program, *self.objects], check=True)
        self.check(path, SMALL + (RECOVERY if recovery else []), DROPPED + ([] if recovery else RECOVERY))
        return tuple(whole - own for whole, own in zip(sizes_of(path), sizes_of(program)))


def main():
    build, cpu = sys.argv[1:3]
    limit = dict(zip(LIMITS, map(int, sys.argv[3:3 + len(LIMITS)])))
    FLAGS.extend(sys.argv[3 + len(LIMITS):])
    if cpu != "x86_64":
        skip("the bounds are those of x86-64, and this is " + cpu)
    with tempfile.TemporaryDirectory() as folder:
        long = Links(build, folder + "/long", True)
        if not any(path.endswith("/fault.o") for path in long.objects):
            skip("the core has no fault family in this build")
        short = Links(build, folder + "/short", False)
        figures = [("whole core", long.all(), limit["all"]),
                   ("the builder's arithmetic", long.builder_alone(), limit["builder"]),
                   ("map, fault and truncate", long.calls(), limit["calls"]),
                   ("small.c", long.small(False), limit["small"]),
                   ("small.c with recovery", long.small(True), limit["recover"]),
                   ("whole core without reasons", short.all(), limit["all_short"]),
                   ("small.c without reasons", short.small(False), limit["small_short"]),
                   ("small.c with recovery, without reasons", short.small(True), limit["recover_short"])]
    faults = long.faults + short.faults
    for what, (code, constants), most in figures:
        print("text of %s: %d bytes, %d of them constants, at most %d" % (what, code + constants, constants, most))
        if code + constants > most:
            faults.append("%s: %d bytes" % (what, code + constants))
    finish("size of the core", faults)


main()
