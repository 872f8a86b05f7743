# SPDX-License-Identifier: MIT
"""Images on their way between this library and Linux, which maps them with DAX.

    trips.py ours      made and filled by the library, changed by Linux, changed by the library, read by Linux
    trips.py theirs    made by mke2fs and filled by Linux, changed by the library, changed by Linux, read by the library
    trips.py notices   both sides notice a flipped byte, a mount without DAX, and a library without a protection

After each turn e2fsck -fn is clean, and the next system finds every byte of the round trip.
"""

import os
import re
import shutil
import subprocess
import sys

from bench import check, debugfs, fsck, main, mke2fs, need
from machine import Machine, QEMU

HOST = os.environ["LINUX_DAX_HOST"]
SIZE = 256 << 20
BLOCK = 4096
PHASES = 3
RANGED = ("large", "sized")


def library(*arguments, mutant=None):
    """Runs the library, or a library without a protection. Returns the printed lines."""
    program, env = (HOST, None) if mutant is None else (os.environ["LINUX_DAX_BROKEN"],
                                                        {**os.environ, "EXT2DAX_MUTANT": mutant})
    done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                          timeout=300)
    lines = done.stdout.decode(errors="replace").splitlines()
    for line in lines:
        print("library:", line)
    check((done.returncode == 0) == (not failures(lines) and done.returncode >= 0), "%s ended %d" % (
        arguments, done.returncode))
    return lines


def failures(lines):
    return [line for line in lines if not line.startswith(("ok: ", "note: ", "ranges ")) and
            not re.fullmatch(r"\d+ passed, 0 failed", line)]


def good(lines):
    check(not failures(lines), "\n".join(failures(lines)))
    check(not lines or re.fullmatch(r"[1-9]\d* passed, 0 failed", lines[-1]), lines[-1:])
    return lines


def ranges(lines):
    """{file: (ranges, backed by an aligned run, huge when cold, huge when warm)}"""
    found = {}
    for line in lines:
        if line.startswith("ranges "):
            name, *figures = line.split()[1:]
            found[name] = tuple(map(int, figures))
    return found


def side_by_side(image, by_linux):
    """Compares huge mappings of the same bytes by Linux and by the library."""
    found, theirs = ranges(good(library("ranges", image))), ranges(by_linux)
    check(sorted(found) == sorted(theirs) == sorted(RANGED), (found, theirs))
    rule = "-" * 91
    print("%s\n%-8s%10s%25s%18s%14s%14s\n%s" % (rule, "ranges", "in all", "on one aligned run", "huge: Linux cold",
                                               "Linux warm", "libext2dax", rule))
    for name, (total, backed, huge, _) in found.items():
        check(theirs[name][:2] == (total, backed), "%s: Linux sees %s, the library %s" % (name, theirs[name], found[name]))
        print("%-8s%10d%25d" % (name, total, backed) + "".join(
            ("%d (%d%%)" % (count, 100 * count // total)).rjust(width)
            for count, width in zip((*theirs[name][2:], huge), (18, 14, 14))))
        check(huge == backed and theirs[name][2] <= theirs[name][3] <= huge, name)
    print(rule)
    return found


def trip(image, linux_first):
    first = "linux" if linux_first else "library"
    machine = Machine()
    for phase in range(1, PHASES + 2):
        by_linux = (phase % 2 == 1) == linux_first
        print("== phase %d, %s" % (phase, "Linux" if by_linux else "the library"))
        if by_linux:
            lines = good(machine.run(image, first, str(phase), "dax"))
            fsck(image)
            found = side_by_side(image, lines)
        else:
            good(library("act", image, first, phase))
        fsck(image)
    return found


def ours():
    """An image made by the library, changed by Linux, by the library, and read by Linux."""
    library("format", "image", SIZE)
    found = trip("image", False)
    check(found["large"][1] == found["large"][0], "our own large file is not all huge pages: %s" % (found["large"],))


def theirs():
    """An image made for Linux, changed by the library, by Linux, and read by the library."""
    mke2fs("image", BLOCK, None, str(SIZE >> 10))
    trip("image", True)


def flip(image, name, block):
    """Changes byte 5 of a block of a file, found by debugfs."""
    physical = int(debugfs(image, "bmap %s %d" % (name, block)))
    check(physical != 0, "%s has no block %d" % (name, block))
    with open(image, "r+b") as file:
        file.seek(physical * BLOCK + 5)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))
    return r"FAILED: [^:]+: %s: byte %d is 0x%02x, not 0x%02x" % (name, block * BLOCK + 5, byte ^ 0x10, byte)


def exactly(found, patterns):
    """Checks that each pattern matches a failure, and each failure a pattern."""
    left = [line for line in found if not re.fullmatch(r"\d+ passed, [1-9]\d* failed", line)]
    for pattern in patterns:
        check(any(re.match(pattern, line) for line in left), "not noticed: %s\n%s" % (pattern, "\n".join(left)))
    for line in left:
        check(any(re.match(pattern, line) for pattern in patterns), "and this: %s" % line)
    check(len(left) != len(found), "failures, and the sum does not say so")


def notices():
    """Linux notices a flipped byte and a mount without DAX, the library a flipped byte. A missing protection shows on an
    image left by Linux, for example with stores past the end of a file."""
    machine = Machine()
    mke2fs("image", BLOCK, None, str(SIZE >> 10))
    good(machine.run("image", "linux", "1", "dax"))
    for mutant in ("none", "TAIL_NOT_ZEROED", "SHRINK_TAIL_NOT_ZEROED", "PUBLISH_UNZEROED", "ZERO_PAGE_STAYS_WRITE"):
        shutil.copy("image", "copy")
        print("== without", mutant)
        found = failures(library("act", "copy", "linux", 2, mutant=mutant))
        missed = any(line.startswith("FAILED: ") for line in found)
        check(missed if mutant != "none" else not found, "%s: %s" % (mutant, found or "is not missed"))
    wrong = flip("image", "large", 700)
    fsck("image")
    exactly(failures(library("act", "image", "linux", 2)), [wrong])

    os.unlink("image")
    library("format", "image", SIZE)
    good(library("act", "image", "library", 1))
    wrong = flip("image", "deep", 12 + 1024 + 1280)
    fsck("image")
    exactly(failures(machine.run("image", "library", "2", "plain")),
            [wrong, r"FAILED: DAX is on: the mount has the option", r"FAILED: DAX is on: statx says so of a file",
             r"FAILED: (large|sized): (cold|warm), to (read|store): a huge page over every aligned run ",
             r"FAILED: (large|sized): (cold|warm), to (read|store): every range takes one page fault, or one a page"])


need("mke2fs", "e2fsck", "debugfs", QEMU)
main({"ours": ours, "theirs": theirs, "notices": notices}[sys.argv[1]])
