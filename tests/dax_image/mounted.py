# SPDX-License-Identifier: MIT
"""A Linux mount of an image shows the tree of the source, as rsync compares trees."""

import os
import subprocess

from tool import build, check, main, need, skip, tree


def mount():
    tree("source")
    os.unlink("source/socket")
    for options in ((), ("--block-size", "1024")):
        build("--force", *options, "source", "image")
        os.makedirs("mounted", exist_ok=True)
        if subprocess.run(["mount", "-o", "loop,ro", "-t", "ext2", "image", "mounted"], check=False).returncode:
            skip("no loop mount here")
        try:
            said = subprocess.run(["rsync", "-aHAXn", "--checksum", "--itemize-changes", "source/", "mounted/"], check=True,
                                  stdout=subprocess.PIPE).stdout
            check(said == b"", said)
            said = subprocess.run(["rsync", "-aHAXn", "--delete", "--exclude=/lost+found", "--itemize-changes", "source/",
                                   "mounted/"], check=True, stdout=subprocess.PIPE).stdout
            check(said == b"", said)
            for at, directories, files in os.walk("source"):
                for name in directories + files:
                    ours, theirs = os.path.join(at, name), os.path.join("mounted" + at[len("source"):], name)
                    a, b = os.lstat(ours), os.lstat(theirs)
                    check((a.st_mode, a.st_uid, a.st_gid, a.st_mtime_ns, a.st_rdev) ==
                          (b.st_mode, b.st_uid, b.st_gid, b.st_mtime_ns, b.st_rdev), (ours, a, b))
            sparse = os.stat("mounted/holes").st_blocks * 512
            check(sparse < 5 << 20, sparse)
        finally:
            subprocess.run(["umount", "mounted"], check=True)


if os.geteuid():
    skip("only root may mount")
need("rsync", "mount")
main(mount)
