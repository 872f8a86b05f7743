# SPDX-License-Identifier: MIT
"""put, truncate and punch at a block size. After each, e2fsck -fn is clean, and an independent reader (a mount by Linux, or
the bytes of the image at the blocks named by debugfs) finds the bytes of a host file changed in the same way."""

import os
import random
import shutil
import subprocess
import sys

from bench import (Mount, boundary_files, check, check_by_debugfs, check_map, done, fsck, goes_through_a_mapping,
                   main, mke2fs, need, run, same, sparse)

block_size, reader = int(sys.argv[1]), sys.argv[2]
source = random.Random(11)
expected = {}


def verify(image):
    fsck(image)
    if reader == "mount":
        with Mount(image) as at:
            for name, path in expected.items():
                same(os.path.join(at, name), path)
    else:
        for name, path in expected.items():
            check_by_debugfs(image, "/" + name, block_size, path)
    for name, path in expected.items():
        done("get", image, "/" + name, "out")
        same("out", path)
        os.unlink("out")


def put(image, name, path):
    result = done("put", image, path, "/" + name)
    check(("by read/write" in result.err) != goes_through_a_mapping(block_size), result)
    subprocess.run(["cp", "--sparse=always", path, "host/" + name], check=True)
    expected[name] = "host/" + name


def truncate(image, name, size):
    done("truncate", image, "/" + name, size)
    os.truncate(expected[name], size)


def punch(image, name, offset, length):
    done("punch", image, "/" + name, offset, length)
    size = os.stat(expected[name]).st_size
    if offset < size:
        subprocess.run(["fallocate", "-p", "-o", str(offset), "-l", str(min(length, size - offset)), expected[name]],
                       check=True)


def start(image, own):
    expected.clear()
    shutil.rmtree("host", ignore_errors=True)
    os.mkdir("host")
    size = "256M" if block_size > 4096 else "64M"
    if own:
        if os.path.exists(image):
            os.unlink(image)
        done("format", image, size, "--block-size", block_size)
        fsck(image)
    else:
        mke2fs(image, block_size, None, size)


def change(own):
    image = "image"
    start(image, own)
    with open("dense", "wb") as file:
        file.write(source.randbytes(min((12 + block_size // 4 + 9) * block_size + 123, 5 << 20)))
    with open("small", "wb") as file:
        file.write(b"small")
    sparse("holes", 60 * 65536 + 17, {n * 65536 + 40000 * (n & 1): source.randbytes(5000) for n in range(0, 60, 2)})
    for name in ("dense", "small", "holes"):
        put(image, name, name)
    verify(image)
    check_map(image, "/holes", block_size)

    # Replaces a larger file by a smaller file, and a smaller file by a larger file.
    put(image, "dense", "holes")
    put(image, "small", "dense")
    put(image, "holes", "small")
    verify(image)

    # Shrinks inside a block, to the end of a block, and across the first boundary of the tree. Growing gives zeroes.
    size = os.stat(expected["small"]).st_size
    for to in (size - 1, 13 * block_size, 12 * block_size + 5, 12 * block_size, 7, 40 * block_size, 0, size):
        truncate(image, "small", to)
        if to in (7, size, 40 * block_size):
            verify(image)
    verify(image)

    # Ranges inside a block, of whole blocks, over several blocks, over the whole file, and past the end.
    put(image, "small", "dense")
    for offset, length in ((10, 20), (block_size, block_size), (3 * block_size - 7, 2 * block_size + 14),
                           (11 * block_size, 3 * block_size), (size - 100, 1 << 40), (size + 5, 10)):
        punch(image, "small", offset, length)
    verify(image)
    punch(image, "small", 0, 1 << 40)
    verify(image)
    check_map(image, "/small", block_size)


def on_own_format():
    change(True)


def on_mke2fs():
    change(False)


# Growth past these sizes is refused, because e2fsck would remove the file after a crash in between. Such files are
# made by mke2fs instead. They can be read, punched and truncated.
GROWTH_LIMIT = {1024: 1 << 34, 2048: 1 << 38}.get(block_size)


def boundaries():
    """Puts, punches and truncates sparse files with data at every boundary of the tree, at 2^31 and at the largest size."""
    image = "image"
    os.mkdir("source")
    files = boundary_files("source", block_size)
    large = {name for name in files if GROWTH_LIMIT and os.stat(files[name]).st_size > GROWTH_LIMIT}
    start(image, not large)
    if large:
        os.mkdir("large")
        for name in large:
            subprocess.run(["cp", "--sparse=always", files[name], "large/" + name], check=True)
            subprocess.run(["cp", "--sparse=always", files[name], "host/" + name], check=True)
            expected[name] = "host/" + name
        mke2fs(image, block_size, "large", "64M")
    for name, path in files.items():
        if name not in large:
            put(image, name, path)
    verify(image)
    for name in large:
        result = run("put", image, files[name], "/new")
        check(result.code == 1 and "too large" in result.err, result)
        put(image, name, files[name])
    verify(image)
    p = block_size // 4
    for name in list(expected):
        size = os.stat(expected[name]).st_size
        if name.startswith(("direct", "single", "double")):
            punch(image, name, (size - 1) // block_size * block_size, block_size)
            truncate(image, name, size - 1)
        else:
            punch(image, name, size - 2, 1)
            truncate(image, name, 12 * block_size if name.startswith("hole") else (12 + p) * block_size + 1)
    verify(image)
    for name in expected:
        check_map(image, "/" + name, block_size)
    for name in large:
        small = os.stat(expected[name]).st_size
        result = run("truncate", image, "/" + name, os.stat(files[name]).st_size)
        check(result.code == 1 and "too large" in result.err, result)
        result = run("put", image, files[name], "/" + name)
        check(result.code == 1 and "too large" in result.err, result)
        check(os.stat(expected[name]).st_size == small, name)
    verify(image)


def replacing_keeps_the_inode():
    """The other name of a hard link shows the new contents."""
    before = done("ls", "image", "/" + next(iter(expected))).out.split()[0]
    name = next(iter(expected))
    put("image", name, "small")
    check(done("ls", "image", "/" + name).out.split()[0] == before, "the inode number has changed")
    verify("image")


need("mke2fs", "debugfs", "e2fsck", "fallocate", *(["mount"] if reader == "mount" else []))
main(on_own_format, on_mke2fs, boundaries, replacing_keeps_the_inode)
