# SPDX-License-Identifier: MIT
"""cp, cmp and grep of a mapping. The kernel reads the mapping page by page, and by userfaultfd every fault is resolved.

mapped.py FAULT        by sigsegv the result is the documented EFAULT and no file, with --populate as by userfaultfd
"""

import os
import random
import subprocess
import sys

from bench import FAULTS, MAPPER, check, done, fsck, main, need, run, same, skip, sparse

fault = sys.argv[1]
MAPPED = ["--mapped", "--fault", fault]
OPTIONS = MAPPED + (["--populate"] if fault == "sigsegv" else [])


def through(*filter, of):
    """Returns the output of a program for the bytes of the mapping, passed by write(2)."""
    get = subprocess.Popen([MAPPER, "get", *OPTIONS, "image", of, "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    what = subprocess.run(filter, stdin=get.stdout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    get.stdout.close()
    err = get.stderr.read().decode()
    return what, get.wait(), err


def make_image():
    source = random.Random(11)
    with open("dense", "wb") as file:
        for number in range(60000):
            file.write(b"%06d %s\n" % (number, b"needle" if number % 1000 == 7 else b"%x" % source.getrandbits(256)))
    sparse("holes", 9 << 20, {4096 * n: source.randbytes(3000) for n in (0, 5, 600, 2000)})
    done("format", "image", "64M")
    for name in ("dense", "holes"):
        done("put", "image", name, "/" + name)


def without_populating():
    result = run("get", *MAPPED, "image", "/dense", "copy")
    if result.code == 1 and "serve page faults: " in result.err:
        skip(result.err.split("serve page faults: ")[1].strip())
    if fault == "sigsegv":
        check(result.code == 1 and "image: get /dense: write to copy: Bad address" in result.err, result)
        check(not os.path.exists("copy"), "what was not copied is there")
    else:
        check(result.code == 0 and not result.err, result)
        same("copy", "dense")


def by_system_calls():
    for name in ("dense", "holes"):
        done("get", *OPTIONS, "image", "/" + name, "copy")
        same("copy", name)
        what, code, err = through("cmp", "-", name, of="/" + name)
        check(what.returncode == 0 and code == 0, (what.stdout, err))
    what, code, err = through("grep", "-c", "needle", of="/dense")
    check(what.stdout == b"60\n" and code == 0, (what.stdout, err))
    # A program which ends early.
    what, code, err = through("head", "-c", "7", of="/dense")
    check(what.stdout == b"000000 ", (what.stdout, err))
    fsck("image")


need("e2fsck", "cmp", "grep", "head")
if not FAULTS:
    skip("this build serves no page faults")
main(make_image, without_populating, by_system_calls)
