# SPDX-License-Identifier: MIT
"""An image on a full host filesystem. Image files are sparse, so a store without a block ends the program with a line, and
leaves the image as after a crash. `e2fsck -p` alone repairs the image, and so does the library, with or without space. An
image made with --reserve always has its blocks.
"""

import os
import random
import shutil
import subprocess

from bench import FAULTS, check, digest, done, fsck, main, need, refused, run, skip

WHY = "no space on its filesystem"


def mounted(size):
    os.makedirs("small", exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", "small"], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        skip("may not mount a small filesystem")


def unmounted():
    subprocess.run(["umount", "small"], check=True)


def host_file(name, size, seed):
    with open(name, "wb") as file:
        file.write(random.Random(seed).randbytes(size))


def died(*command):
    """Prints a line and exits with 1. After the repair, by e2fsck -p or by the library, the earlier files are unchanged."""
    result = run(*command)
    lines = [line for line in result.err.splitlines() if "by read/write" not in line]
    check(result.code == 1, result)
    check(len(lines) == 1 and lines[0].startswith("pmem-mapper: small/image: ") and WHY in lines[0], result)
    subprocess.run(["cp", "--sparse=always", "small/image", "copy"], check=True)
    preen = subprocess.run(["e2fsck", "-p", "copy"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(preen.returncode in (0, 1), "e2fsck -p: %d\n%s" % (preen.returncode, preen.stdout.decode(errors="replace")))
    fsck("copy")
    for image in ("copy", "small/image"):
        done("get", image, "/kept", "out")
        check(digest("out") == digest("kept"), "%s: /kept has changed after %r" % (image, command))
    # Still without space. Recovery stores only to blocks with memory.
    done("truncate", "small/image", "/kept", str(os.path.getsize("kept")))
    fsck("small/image")
    done("get", "small/image", "/kept", "out")
    check(digest("out") == digest("kept"), "/kept has changed by recovery after %r" % (command,))


def sparse():
    host_file("kept", 700000, 1)
    host_file("large", 20 << 20, 2)
    for block_size in ("4096", "1024"):
        mounted("8M")
        try:
            done("format", "small/image", "48M", "--block-size", block_size)
            done("put", "small/image", "kept", "/kept")
            died("put", "small/image", "large", "/large")
            with open("small/rest", "wb", buffering=0) as rest:
                try:
                    while rest.write(bytes(65536)):
                        pass
                except OSError:
                    pass
            died("churn", "small/image", "5", "--seconds", "20")
            if FAULTS and block_size == "4096":
                died("race", "small/image", "/race", "--seconds", "20")
            os.unlink("small/rest")
            subprocess.run(["mount", "-o", "remount,size=64M", "small"], check=True)
            done("put", "small/image", "large", "/large")
            done("get", "small/image", "/large", "out")
            check(digest("out") == digest("large"), "with room again, /large is another")
            fsck("small/image")
        finally:
            unmounted()


def reserved():
    """An image with --reserve has all blocks from the start, or is not made."""
    mounted("8M")
    try:
        result = run("format", "small/image", "48M", "--reserve")
        check(result.code == 1 and "small/image: format to 48M: " in result.err and "pace" in result.err, result)
        check(os.listdir("small") == [], "a file was left behind")
        done("format", "small/image", "6M", "--reserve")
        check(os.stat("small/image").st_blocks * 512 >= 6 << 20, "it is sparse")
        with open("small/rest", "wb", buffering=0) as rest:
            try:
                while rest.write(bytes(4096)):
                    pass
            except OSError:
                pass
        done("put", "small/image", "kept", "/kept")
        refused("small/image", "put", "small/image", "large", "/large", why="no space left")
        while run("put", "small/image", "kept", "/more.%d" % len(os.listdir("."))).code == 0:
            host_file("filler.%d" % len(os.listdir(".")), 1, 3)
        done("get", "small/image", "/kept", "out")
        check(digest("out") == digest("kept"), "/kept has changed")
        fsck("small/image")
    finally:
        unmounted()


need("e2fsck", "mount", "umount")
main(sparse, reserved)
