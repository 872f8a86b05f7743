# SPDX-License-Identifier: MIT
"""An image mounted by Linux. No command writes to the image, and a command that reads prints a warning."""

import os
import subprocess

from bench import check, digest, done, fsck, main, mke2fs, need, refused, run, skip

CHANGES = (("put", "image", "host", "/new"), ("truncate", "image", "/file", "1"), ("punch", "image", "/file", "0", "1"),
           ("race", "image", "/file", "--seconds", "1"), ("churn", "image", "1", "--seconds", "1"),
           ("map", "image", "/file", "--access=write"), ("format", "image", "8M"),
           ("mkdir", "image", "/made"), ("put", "-r", "image", "tree", "/"),
           ("format", "image", "1M", "--offset", "1M"))


def a_live_mount():
    os.mkdir("tree")
    for name in ("host", "tree/file"):
        with open(name, "wb") as file:
            file.write(b"before")
    mke2fs("image", 4096, "tree", "8M")
    os.makedirs("at")
    at = os.path.abspath("at")
    result = subprocess.run(["mount", "-t", "ext2", "-o", "loop", "image", at], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    if result.returncode:
        skip("loop mount: " + result.stdout.decode(errors="replace").strip())
    try:
        subprocess.run(["sync", "-f", at], check=True)
        before = digest("image")
        for command in CHANGES:
            refused("image", *command, why=": is mounted at %s by /dev/loop" % at)
        check(digest("image") == before, "the image has changed below the mount")
        result = done("get", "image", "/file")
        check(result.out == b"before", result)
        warning = [line for line in result.err.splitlines() if "warning: is mounted" in line]
        check(len(warning) == 1 and warning[0].endswith(": the content may change while it is read"), result)
        check("is mounted at" in run("ls", "image").err, "ls")
    finally:
        subprocess.run(["umount", at], check=True)
    # At once, because a device being detached gets some time.
    done("put", "image", "host", "/new")
    fsck("image")


need("mount", "mke2fs", "e2fsck")
if os.getuid():
    skip("mounting is root's")
if not os.path.isdir("/sys/block"):
    skip("/sys is not mounted, which tells the file of a loop device")
main(a_live_mount)
