# SPDX-License-Identifier: MIT
"""Trees made by mke2fs -d at a block size. get returns every file byte for byte, and map agrees with debugfs."""

import os
import random
import sys

from bench import (boundary_files, check, check_map, data_of, done, goes_through_a_mapping, main, mke2fs, need,
                   same, sparse)

block_size = int(sys.argv[1])
files = {}
source = random.Random(7)


def ordinary_files(directory):
    p = block_size // 4
    dense = min(12 + p + 20, 1100) * block_size
    for name, content in (("empty", b""), ("byte", b"x"), ("almost", source.randbytes(block_size - 1)),
                          ("block", source.randbytes(block_size)), ("more", source.randbytes(block_size + 1)),
                          ("dense", source.randbytes(dense if dense < 8 << 20 else 8 << 20)),
                          ("name with blanks and \u00fcml\u00e4uts", b"named")):
        files[name] = os.path.join(directory, name)
        with open(files[name], "wb") as file:
            file.write(content)
    files["chequered"] = os.path.join(directory, "chequered")
    step = max(2 * block_size, 8192)
    sparse(files["chequered"], 40 * step, {n * step: source.randbytes(100) for n in range(40)})
    deep = "deep/er/and/deeper"
    os.makedirs(os.path.join(directory, deep))
    os.makedirs(os.path.join(directory, "many"))
    for n in range(300):
        name = "many/file-%03d-%s" % (n, "x" * (n % 40))
        files[name] = os.path.join(directory, name)
        with open(files[name], "wb") as file:
            file.write(b"%d" % n * n)
    for name, target in (("fast", "dense"), ("slow", "many/../" * 30 + "block"), ("up", "deep/er/../../byte"),
                         (deep + "/absolute", "/block")):
        os.symlink(target, os.path.join(directory, name))
    files.update({"fast": files["dense"], "slow": files["block"], "up": files["byte"],
                  deep + "/absolute": files["block"]})


def make_tree():
    os.mkdir("tree")
    ordinary_files("tree")
    files.update(boundary_files("tree", block_size))
    mke2fs("image", block_size, "tree", "256M" if block_size > 4096 else "64M")


def get_every_file():
    """The bytes are equal, and no hole becomes data."""
    for name, path in files.items():
        result = done("get", "image", "/" + name, "out")
        same("out", path)
        check(("by read/write" in result.err) != goes_through_a_mapping(block_size), result)
        with open("out", "rb") as out, open(path, "rb") as wanted:
            there = sum(end - start for start, end in data_of(out))
            given = sum(end - start + 2 * max(block_size, 4096) for start, end in data_of(wanted))
            check(there <= given, "%s: %d bytes of data became %d" % (name, given, there))
        os.unlink("out")


def get_to_a_pipe():
    """Holes are read as zeroes."""
    for name in ("dense", "chequered", "empty"):
        with open(files[name], "rb") as file:
            check(done("get", "image", "/" + name).out == file.read(), name)


def map_every_file():
    for name in files:
        if not os.path.islink(os.path.join("tree", name)) and " " not in name:
            check_map("image", "/" + name, block_size)


def map_prints_a_table():
    """map prints extents, holes and a strip, in plain text if the output is no terminal."""
    text = done("map", "image", "/chequered").out.decode()
    check("hole" in text and "extents" in text and "\033" not in text and "\u2588" not in text, text)


def list_directories():
    names = os.listdir("tree/many")
    text = done("ls", "image", "/many").out.decode()
    listed = [line.split(None, 8)[8] for line in text.splitlines()]
    check(listed == sorted(names + [".", ".."]), listed)
    root = done("ls", "image").out.decode()
    check("fast -> dense\n" in root and "slow -> " + "many/../" * 30 + "block\n" in root, root)
    one = done("ls", "image", "/dense").out.decode().split()
    check(int(one[5]) == os.stat(files["dense"]).st_size and one[1].startswith("-r"), one)


need("mke2fs", "debugfs")
main(make_tree, get_every_file, get_to_a_pipe, map_every_file, map_prints_a_table, list_directories)
