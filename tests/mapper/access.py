# SPDX-License-Identifier: MIT
"""map --access. The faults that an access to every page of a file takes, and the huge entries of the kernel.

access.py             on any filesystem
access.py KIND...     on a tmpfs mounted with huge=KIND, and where only MADV_COLLAPSE makes huge pages
"""

import json
import os
import random
import re
import subprocess
import sys

from bench import FAULTS, check, debugfs_extents, digest, done, fsck, main, need, refused, run, skip

EXACT = os.environ.get("PMEM_MAPPER_EXACT", "true") == "true"  # a sanitizer has page faults in its own memory
KEYS = ["size", "extents", "pages", "mappings", "stored", "traps", "page_faults", "mapped", "evicted", "huge", "collapsed",
        "shmem_pmd_mapped_kb", "file_pmd_mapped_kb"]
PMD_RANGES = 32
BYTES = PMD_RANGES << 21


def accessed(image, path, *options):
    how = () if any(option.startswith("--access") for option in options) else ("--access",)
    found = json.loads(done("map", image, path, "--json", *how, *options).out)
    check(list(found) == KEYS, found)
    check(found["pages"] == -(-found["size"] // os.sysconf("SC_PAGESIZE")), found)
    return found


def host_file(size):
    with open("host", "wb") as file:
        file.write(random.Random(size).randbytes(size))


def reading_and_storing():
    """A file stays unchanged, except for holes filled by stores."""
    host_file(5 << 20)
    done("format", "image", "32M")
    done("put", "image", "host", "/f")
    before = digest("image")
    found = accessed("image", "/f")
    check(found["traps"] and found["mapped"] and not found["stored"], found)
    check(digest("image") == before, "reading has changed the image")
    check(accessed("image", "/f", "--populate")["traps"] == 0, "--populate")
    text = done("map", "image", "/f", "--access").out.decode()
    check(re.match(r"/f: 5242880 bytes, \d+ extents: 1280 pages read through mappings of \d+\n +\d+ traps\n", text), text)
    found = accessed("image", "/f", "--access=write")
    check(found["stored"] and found["traps"], found)
    check(accessed("image", "/f", "--access=write", "--populate")["traps"] == 0, "--access=write --populate")
    done("get", "image", "/f", "out")
    check(digest("out") == digest("host"), "/f has changed")
    done("put", "image", "host", "/holes")
    done("punch", "image", "/holes", "0", "5M")
    check(debugfs_extents("image", "/holes")[0] == [], "a hole")
    accessed("image", "/holes")
    check(debugfs_extents("image", "/holes")[0] == [], "reading has filled a hole")
    accessed("image", "/holes", "--access=write")
    check(sum(length for _, _, length in debugfs_extents("image", "/holes")[0]) == 1280, "storing has not filled the hole")
    done("get", "image", "/holes", "out")
    with open("out", "rb") as file:
        check(not file.read().strip(b"\0"), "/holes is not zeroes")
    done("truncate", "image", "/holes", "0")
    check(accessed("image", "/holes")["traps"] == 0, "an empty file")
    fsck("image")


def system_calls():
    """With --populate, system calls succeed on a range without an earlier access."""
    result = run("get", "image", "/f", "out", "--mapped")
    check(result.code == 1 and "Bad address" in result.err, result)
    done("get", "image", "/f", "out", "--mapped", "--populate")
    check(digest("out") == digest("host"), "get --mapped --populate")


def what_fails():
    refused("image", "map", "image", "/none", "--access", why="no such")
    done("format", "small", "1M")
    with open("empty", "wb"):
        pass
    done("put", "small", "empty", "/f")
    done("truncate", "small", "/f", "8M")
    for options in ((), ("--populate",)):
        result = run("map", "small", "/f", "--access=write", *options)
        check(result.code == 1 and "space" in result.err and result.err.startswith("pmem-mapper: small: "), result)
    fsck("small")
    done("format", "blocks", "8M", "--block-size", "1024")
    done("put", "blocks", "empty", "/f")
    refused("blocks", "map", "blocks", "/f", "--access", why="1024")


def refused_without_faults():
    done("format", "image", "1M")
    with open("empty", "wb"):
        pass
    done("put", "image", "empty", "/f")
    refused("image", "map", "image", "/f", "--access", why="serves no page faults")


def one_fault_each(image, *options):
    """Each huge page takes a fault of the library and a fault of the kernel."""
    for how in ("--access=read", "--access=write"):
        found = accessed(image, "/big", how, *options)
        print(image, how, *options, found)
        check(found["traps"] == found["huge"] == found["mapped"] == PMD_RANGES, found)
        check(found["shmem_pmd_mapped_kb"] == BYTES >> 10, found)
        check(found["page_faults"] == PMD_RANGES or not EXACT, found)
        found = accessed(image, "/big", how, "--populate", *options)
        check(found["traps"] == 0 and found["shmem_pmd_mapped_kb"] == BYTES >> 10, found)


def big_file(image):
    if not os.path.exists("host"):
        host_file(BYTES)
    done("format", image, "192M")
    done("put", image, "host", "/big")


def huge_on(kind):
    os.mkdir("huge")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,huge=" + kind, "none", "huge"],
                      stderr=subprocess.DEVNULL).returncode:
        skip("may not mount a tmpfs with huge=" + kind)
    try:
        big_file("huge/image")
        if accessed("huge/image", "/big")["shmem_pmd_mapped_kb"] == 0:
            skip("the kernel has made no huge page for huge=" + kind)
        one_fault_each("huge/image")
        fsck("huge/image")
    finally:
        subprocess.run(["umount", "huge"], check=True)
        os.rmdir("huge")


def huge():
    for kind in sys.argv[1:]:
        huge_on(kind)


def collapsed():
    big_file("image")
    found = accessed("image", "/big", "--collapse")
    print("image", "--collapse", found)
    if found["collapsed"] < PMD_RANGES:
        skip("MADV_COLLAPSE has made %d of %d huge pages here" % (found["collapsed"], PMD_RANGES))
    one_fault_each("image")
    one_fault_each("image", "--collapse")
    done("get", "image", "/big", "out")
    check(digest("out") == digest("host"), "/big has changed")
    fsck("image")


need("e2fsck", "debugfs")
if not FAULTS:
    main(refused_without_faults)
elif os.sysconf("SC_PAGESIZE") != 4096:
    skip("pages of this machine are not of 4 KiB")
elif sys.argv[1:]:
    main(collapsed, huge)
else:
    main(reading_and_storing, system_calls, what_fails)
