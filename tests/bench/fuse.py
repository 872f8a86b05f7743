# SPDX-License-Identifier: MIT
"""Throughput of ext2dax-fuse, of fuse2fs where installed, and of the kernel's loop mount of ext2, side by side.

    fuse.py [--runs N] [--files N] [--megabytes N] [--only NAME]...

Each row is a median. Images lie in /dev/shm, or in EXT2DAX_BENCH_DIR. Before reads the image is mounted anew, so that the
page cache of the mount is empty. Rows with threads use as many processes. The last column is the first over fuse2fs.
"""

import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fuse"))
import mounts

SYSTEMS = ["ext2dax-fuse", "ext2dax-fuse writeback", "fuse2fs", "kernel"]


class Mounted:
    """A new image of one of the systems, mounted."""

    def __init__(self, place, system, size, inodes):
        self.place, self.system = place, system
        self.image = place.image("image", size, 4096, 256, ["-N", inodes])
        self.point = place.point("mount")
        self.again(first=True)

    def again(self, first=False):
        if not first:
            self.end()
        if self.system == "kernel":
            mounts.must("mount", "-t", "ext2", "-o", "loop", self.image, self.point)
        elif self.system == "fuse2fs":
            mounts.must("fuse2fs", "-o", "allow_other,default_permissions,rw", self.image, self.point)
        else:
            more = ",writeback_cache" if "writeback" in self.system else ""
            mounts.must(mounts.PROGRAM, "-o", "allow_other" + more, self.image, self.point)

    def end(self):
        for _ in range(100):
            if mounts.run("umount", self.point)[0] == 0:
                break
            time.sleep(0.1)
        mounts.closed(self.image)
        for _ in range(600):
            if not subprocess.run(["pgrep", "-f", "fuse2fs.*%s" % self.image], stdout=subprocess.DEVNULL).returncode:
                time.sleep(0.05)
            else:
                break


def together(count, call):
    """Seconds that `count` processes take for call(number)."""
    begun, children = time.monotonic(), []
    for number in range(count):
        child = os.fork()
        if not child:
            try:
                call(number)
                os._exit(0)
            except BaseException as error:
                print(error, file=sys.stderr)
                os._exit(1)
        children.append(child)
    for child in children:
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("a process of the benchmark failed")
    return time.monotonic() - begun


def make(mounted, count, megabytes):
    data = os.urandom(1 << 20)
    for number in range(count):
        with open(mounted.point / ("data%d" % number), "wb", buffering=0) as file:
            for _ in range(megabytes):
                file.write(data)


def sequential(mounted, number, megabytes, write):
    data = b"x" * (1 << 20)
    handle = os.open(mounted.point / ("data%d" % number), os.O_RDWR | os.O_CREAT)
    for at in range(megabytes):
        if write:
            os.pwrite(handle, data, at << 20)
        else:
            os.pread(handle, 1 << 20, at << 20)
    os.close(handle)


def scattered(mounted, number, megabytes, write):
    chance, data = random.Random(number), b"y" * 4096
    handle = os.open(mounted.point / ("data%d" % number), os.O_RDWR)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_RANDOM)
    for _ in range(megabytes * 32):
        at = chance.randrange(megabytes * 256) * 4096
        if write:
            os.pwrite(handle, data, at)
        else:
            os.pread(handle, 4096, at)
    os.close(handle)


def data_rows(place, system, options):
    rows = {}
    for threads in (1, 4):
        each = options.megabytes // threads
        mounted = Mounted(place, system, "%dM" % (options.megabytes * 2 + 64), 20000)
        rows["write 1 MiB sequential, %d (MiB/s)" % threads] = options.megabytes / together(
            threads, lambda n: sequential(mounted, n, each, True))
        mounted.again()
        rows["read 1 MiB sequential, %d (MiB/s)" % threads] = options.megabytes / together(
            threads, lambda n: sequential(mounted, n, each, False))
        mounted.again()
        calls = each * 32 * threads
        rows["read 4 KiB random, %d (1/s)" % threads] = calls / together(threads, lambda n: scattered(mounted, n, each, False))
        rows["write 4 KiB random, %d (1/s)" % threads] = calls / together(threads, lambda n: scattered(mounted, n, each, True))
        mounted.end()
    return rows


def name_rows(place, system, options):
    rows, count = {}, options.files
    mounted = Mounted(place, system, "%dM" % (128 + count // 500), count * 2 + 20000)

    def create(number):
        for i in range(count // 4):
            os.close(os.open(mounted.point / ("d%d" % number) / ("file-%d" % i), os.O_CREAT | os.O_WRONLY))

    def delete(number):
        for i in range(count // 4):
            os.unlink(mounted.point / ("d%d" % number) / ("file-%d" % i))

    def look(number):
        with os.scandir(mounted.point / ("d%d" % number)) as entries:
            assert sum(entry.stat().st_size == 0 for entry in entries) == count // 4

    for number in range(4):
        os.mkdir(mounted.point / ("d%d" % number))
    rows["create files, 4 (1/s)"] = count / together(4, create)
    mounted.again()
    rows["list with attributes, 4 (1/s)"] = count / together(4, look)
    rows["delete files, 4 (1/s)"] = count / together(4, delete)
    rows["tar x (files/s)"] = options.files // 5 / together(
        1, lambda _: mounts.must("tar", "-xf", place.path / "tree.tar", "-C", mounted.point))
    mounted.end()
    mounts.run("e2fsck", "-fn", mounted.image)
    return rows


def tree(place, count):
    root = place.path / "tree"
    for i in range(count // 100):
        folder = root / ("d%d" % (i % 10)) / ("e%d" % i)
        folder.mkdir(parents=True)
        for j in range(100):
            (folder / ("f%d" % j)).write_bytes(b"z" * (37 * j))
    mounts.must("tar", "-cf", place.path / "tree.tar", "-C", root, ".")
    shutil.rmtree(root)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    mounts.wanted()
    tempfile.tempdir = os.environ.get("EXT2DAX_BENCH_DIR") or ("/dev/shm" if os.path.isdir("/dev/shm") else None)
    systems = [name for name in SYSTEMS if (not options.only or name in options.only)
               and (name != "fuse2fs" or shutil.which("fuse2fs"))]
    found = {name: {} for name in systems}
    with mounts.Place() as place:
        tree(place, options.files // 5)
        for _ in range(options.runs):
            for system in systems:
                for rows in (data_rows, name_rows):
                    for row, value in rows(place, system, options).items():
                        found[system].setdefault(row, []).append(value)
    print("%-34s" % "median of %d" % options.runs + "".join("%24s" % name for name in systems))
    for row in found[systems[0]]:
        values = [statistics.median(found[name][row]) for name in systems]
        line = "%-34s" % row + "".join("%24.0f" % value for value in values)
        if "fuse2fs" in systems:
            line += "%8.1f x" % (values[0] / values[systems.index("fuse2fs")])
        print(line)


main()
