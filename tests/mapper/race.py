# SPDX-License-Identifier: MIT
"""The command race with a lock backend and a fault method. Every operation ran, no invariant failed, the image is clean.

race.py LOCK FAULT SECONDS           the shipped library, page faults by FAULT
race.py --broken MUTANT SECONDS      a library without this protection reports violations, with "none" no violation
"""

import os
import re
import sys

from bench import check, done, fsck, main, need, run, skip


def counts(result):
    found = re.fullmatch(rb"(\d+) faults\n(\d+) truncates\n(\d+) reused blocks\n(\d+) SIGBUSes\n(\d+) violations\n",
                         result.out)
    check(found, result)
    return [int(number) for number in found.groups()]


def race_is_won():
    lock, fault, seconds = sys.argv[1:]
    done("format", "image", "64M")
    result = run("race", "image", "/file", "--threads", "4", "--seconds", seconds, "--lock", lock,
                 "--fault", fault)
    if result.code == 2 and "not a lock backend" in result.err:
        skip("this build has no lock backend " + lock)
    if result.code == 1 and "serves no page faults" in result.err:
        skip("this build serves no page faults")
    if result.code == 1 and "serve page faults: " in result.err:
        skip(result.err.split("serve page faults: ")[1].strip())
    check(result.code == 0, result)
    numbers = counts(result)
    print(result.out.decode())
    check(all(numbers[:4]) and numbers[4] == 0, result)
    fsck("image")
    names = done("ls", "image").out.decode()
    check("second" not in names and "file" in names, names)
    # With an existing file, and with an image nearly full, so the race covers less.
    result = run("race", "image", "/file", "--threads", "2", "--seconds", "1", "--lock", lock, "--fault", fault)
    check(result.code == 0 and counts(result)[4] == 0, result)
    fsck("image")


def race_is_refused():
    """Cases in which race can prove nothing."""
    done("format", "small", "256K")
    result = run("race", "small", "/file", "--seconds", "1")
    check(result.code == 1 and "space" in result.err, result)
    fsck("small")
    done("format", "blocks", "8M", "--block-size", "1024")
    result = run("race", "blocks", "/file", "--seconds", "1")
    check(result.code == 1 and "1024" in result.err, result)
    fsck("blocks")


def race_is_lost():
    mutant, seconds = sys.argv[2:]
    broken = os.environ["PMEM_MAPPER_BROKEN"]
    done("format", "image", "64M", mapper=broken)
    result = run("race", "image", "/file", "--threads", "4", "--seconds", seconds, mapper=broken,
                 env={"EXT2DAX_MUTANT": mutant})
    print(result.out.decode(), result.err)
    numbers = counts(result)
    if mutant == "none":
        check(result.code == 0 and numbers[4] == 0, result)
        fsck("image")
    else:
        check(result.code == 1 and numbers[4] > 0, result)


need("e2fsck")
if sys.argv[1] == "--broken":
    main(race_is_lost)
else:
    main(race_is_won, race_is_refused)
