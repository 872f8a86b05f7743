# SPDX-License-Identifier: MIT
"""Files go in and out of images with further features. e2fsck finds no error, and Linux reads the files."""

import os
import random
import re
import subprocess
import sys

from bench import Mount, check, debugfs, done, fsck, main, need, skip

FEATURES = (("1024", "-g", "256", "-O", "sparse_super2"),
            ("1024", "-g", "256", "-O", "sparse_super2", "-E", "num_backup_sb=0"),
            ("4096", "-g", "512", "-O", "sparse_super2", "-E", "num_backup_sb=1"),
            ("1024", "-g", "256", "-O", "sparse_super2,meta_bg,^resize_inode"),
            ("4096", "-I", "256", "-O", "extra_isize,dir_nlink,huge_file"),
            ("1024", "-g", "256", "-I", "256", "-O", "sparse_super2,extra_isize,dir_nlink,huge_file"))


def with_features():
    for number, (block, *options) in enumerate(FEATURES):
        image, source = "image-%d" % number, random.Random(number)
        os.makedirs("tree/dir", exist_ok=True)
        with open("tree/there", "wb") as file:
            file.write(source.randbytes(100000))
        result = subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", "-b", block, *options, "-d", "tree", image, "40M"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(result.returncode == 0, result)
        files = {}
        for name, size in (("/small", 10), ("/dir/large", 3000000), ("/there", 2000)):
            files[name] = "host" + name.replace("/", "-")
            with open(files[name], "wb") as file:
                file.write(source.randbytes(size))
            done("put", image, files[name], name)
            fsck(image)
        done("truncate", image, "/dir/large", 1234567)
        os.truncate(files["/dir/large"], 1234567)
        done("punch", image, "/dir/large", 100000, 300000)
        with open(files["/dir/large"], "r+b") as file:
            file.seek(100000)
            file.write(bytes(300000))
        fsck(image)
        if "-I" in options:
            for name in ("/small", "/dir/large"):
                check(re.search(r"Size of extra inode fields: *32\b", debugfs(image, "stat " + name)), name)
        check_files(image, files)


def check_files(image, files):
    def everywhere(read):
        for name, host in files.items():
            with open(host, "rb") as file:
                check(read(name) == file.read(), "%s: %s" % (image, name))

    if READER == "mount":
        with Mount(image) as at:
            everywhere(lambda name: open(at + name, "rb").read())
    else:
        everywhere(lambda name: done("get", image, name).out)


READER = sys.argv[1]
if READER == "mount" and os.getuid() != 0:
    skip("only root may mount")
need("mke2fs", "e2fsck", "debugfs", *(["mount"] if READER == "mount" else []))
main(with_features)
