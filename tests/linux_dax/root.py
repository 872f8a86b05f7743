# SPDX-License-Identifier: MIT
"""A guest whose root is an image maps a program and a data file by huge pages if dax-image has made the image, and by none
if mke2fs -d has made the image of the same tree."""

import os
import shutil
import subprocess

from bench import check, fsck, main, need
from machine import Machine, QEMU

SIZE = 128 << 20
PMD_RANGES = {"data": 5, "program": 3}


def make_tree():
    for name in ("dev", "proc", "trace", "etc"):
        os.makedirs("tree/" + name)
    with open("tree/data", "wb") as file:
        file.write(os.urandom(PMD_RANGES["data"] * (2 << 20) + 5000))
    for i in range(30):
        with open("tree/etc/%d" % i, "wb") as file:
            file.write(os.urandom(500 * i))
    shutil.copy(os.environ["LINUX_DAX_GUEST"], "tree/init")
    os.chmod("tree/init", 0o755)


def root():
    make_tree()
    subprocess.run([os.environ["DAX_IMAGE"], "build", "--size", str(SIZE), "tree", "ours"], check=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-b", "4096", "-d", "tree", "theirs", str(SIZE >> 10) + "K"], check=True)
    machine = Machine()
    found = {}
    for image in ("ours", "theirs"):
        fsck(image)
        lines = machine.run(image)
        check(lines[-1].endswith(" 0 failed") and not any(line.startswith("FAILED") for line in lines), lines)
        found[image] = {line.split()[1]: tuple(map(int, line.split()[2:])) for line in lines if line.startswith("root ")}
    print("%-8s %-8s %8s %8s %8s" % ("image", "file", "ranges", "huge", "faults"))
    for image, files in found.items():
        for name, figures in files.items():
            print("%-8s %-8s %8d %8d %8d" % (image, name, *figures))
    for name, ranges in PMD_RANGES.items():
        check(found["ours"][name][:2] == (ranges, ranges), "%s of our image: %s" % (name, found["ours"][name]))
        check(found["theirs"][name][:2] == (ranges, 0), "%s of mke2fs: %s" % (name, found["theirs"][name]))
        check(found["ours"][name][2] < found["theirs"][name][2] / 100, found)


need("mke2fs", "e2fsck", QEMU)
main(root)
