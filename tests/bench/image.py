# SPDX-License-Identifier: MIT
"""Builds an image of a tree with more than 1,000 files and 500 full 2 MiB ranges, by dax-image and by mke2fs -d in turn.

    image.py TOOL [TREE]
The answers must hold: PMD ranges mapped huge at least 99%, an image at most 3% larger than the content, a clean e2fsck, 0%
for mke2fs, and at most 0.6 of the time of mke2fs, by the medians of five rounds.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOOL = sys.argv[1]
FILES = 1100
ROUNDS = 5
PIECE = 8 << 20
NEEDED = 4 << 30  # bytes of the host disk


def make_tree(root):
    """Every twentieth file is large. The data is random, from a piece that is cut at random places."""
    chance = random.Random(1)
    piece = os.urandom(PIECE)
    for i in range(FILES):
        directory = "%s/%02d" % (root, i % 40)
        os.makedirs(directory, exist_ok=True)
        left = chance.randrange(2 << 20, 40 << 20) if i % 20 == 0 else chance.randrange(1, 200000)
        with open("%s/file-%04d" % (directory, i), "wb") as file:
            while left > 0:
                start = chance.randrange(PIECE // 2)
                part = min(left, PIECE - start)
                file.write(piece[start:start + part])
                left -= part


def timed(*command):
    start = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return time.monotonic() - start, done.stdout


def measure(tree):
    times = {"dax-image": [], "mke2fs": []}
    size = None
    for _ in range(ROUNDS):
        for name in ("ours", "theirs"):
            if os.path.exists(name):
                os.unlink(name)
        os.sync()
        took, out = timed(TOOL, "build", "--json", tree, "ours")
        times["dax-image"].append(took)
        figures = json.loads(out)
        # Room for pointer blocks and inodes, which mke2fs does not compute.
        size = size or "%dK" % ((figures["size"] * 11 // 10 >> 10) + 8192)
        os.sync()
        took, out = timed("mke2fs", "-q", "-F", "-t", "ext2", "-d", tree, "theirs", size)
        times["mke2fs"].append(took)
    return figures, {name: statistics.median(each) for name, each in times.items()}


def show(name, seconds):
    report = json.loads(timed(TOOL, "report", "--json", name)[1])
    print("%-10s %8.2f s %10d MiB %6d of %d PMD ranges huge %9d faults" % (
        name, seconds, report["size"] >> 20, report["huge"], report["ranges"], report["faults"]))
    return report


def main():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not shutil.which("mke2fs"):
        print("skip: mke2fs is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="bench-image-", dir=os.environ.get("TMPDIR", "/var/tmp")) as scratch:
        if shutil.disk_usage(scratch).free < 2 * NEEDED:
            print("skip: too little room in", scratch)
            sys.exit(77)
        os.chdir(scratch)
        tree = sys.argv[2] if len(sys.argv) > 2 else "tree"
        if tree == "tree":
            make_tree(tree)
        figures, seconds = measure(tree)
        ours = show("ours", seconds["dax-image"])
        theirs = show("theirs", seconds["mke2fs"])
        print("time %.2f of mke2fs, size %.2f%% over content" % (
            seconds["dax-image"] / seconds["mke2fs"], 100 * figures["size"] / figures["content"] - 100))
        subprocess.run(["e2fsck", "-fn", "ours"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([TOOL, "verify", "--quiet", "ours", tree], check=True)
        os.chdir("/")
    good = (ours["files"] >= 1000 and ours["ranges"] >= 500 and ours["huge"] >= 0.99 * ours["ranges"]
            and theirs["huge"] == 0 and figures["size"] <= 1.03 * figures["content"]
            and seconds["dax-image"] <= 0.6 * seconds["mke2fs"])
    sys.exit(0 if good or len(sys.argv) > 2 else 1)


main()
