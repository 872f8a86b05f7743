# SPDX-License-Identifier: MIT
"""Large reads meet truncations that free the blocks, and writes that reuse the blocks in another file.

    reuse.py SECONDS

A read may return bytes of its own file, or zeroes, or less than asked for. A byte of the other file is a leak. Under strace each
answer of the daemon begins late, so that the blocks are freed and written again before the kernel has taken the bytes.
"""

import ctypes
import mmap
import os
import shutil
import subprocess
import sys
import time

import mounts

PART = 1 << 20
OWN, OTHER = b"a", b"b"
PUNCH = 3  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
fallocate.argtypes = ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64


def read(path, end):
    """Reads past the page cache. Returns the number of reads that met data, or raises."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
    buffer, met = mmap.mmap(-1, PART), 0
    while time.time() < end:
        got = os.preadv(handle, [buffer], 0)
        found = bytes(buffer[:got])
        if found.count(OWN) + found.count(b"\0") != got:
            raise AssertionError("a read of %s has a byte of another file, %d bytes of it" % (path, found.count(OTHER)))
        met += found.count(OWN) > 0
    return met


def rewrite(path, byte, end):
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    data, rounds = byte * PART, 0
    while time.time() < end:
        try:
            os.pwrite(handle, data, 0)
        except OSError as error:
            if error.errno != 28:
                raise
        if rounds % 2:
            os.ftruncate(handle, 0)
        elif fallocate(handle, PUNCH, 0, PART):
            raise OSError(ctypes.get_errno(), "fallocate")
        rounds += 1
    return rounds


def delay(daemon):
    """Lets strace hold every answer of several parts for a while."""
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=writev", "-e", "inject=writev:delay_enter=3000",
                               "-p", str(daemon)])
    for _ in range(100):
        with open("/proc/%d/status" % daemon) as status:
            if "TracerPid:\t0\n" not in status.read():
                return tracer
        time.sleep(0.05)
    sys.exit("strace does not trace the daemon")


def main():
    mounts.wanted()
    if not shutil.which("strace"):
        mounts.skip("there is no strace")
    with mounts.Place() as place:
        # Too small for both files at once, so that each takes the blocks of the other.
        image = place.image("image", "2M", extra=["-N", 16])
        point = place.fuse(image)
        own, other = point / "own", point / "other"
        own.touch()
        tracer = delay(mounts.daemon(image))
        end, children = time.time() + float(sys.argv[1]), []
        for call in (lambda: read(own, end), lambda: read(own, end), lambda: rewrite(own, OWN, end),
                     lambda: rewrite(other, OTHER, end)):
            child = os.fork()
            if not child:
                try:
                    print(call(), "rounds", flush=True)
                    os._exit(0)
                except BaseException as error:
                    print(error, flush=True)
                    os._exit(1)
            children.append(child)
        ends = [os.waitpid(child, 0)[1] for child in children]
        tracer.terminate()
        tracer.wait()
        place.unmount(point, image)
        mounts.check(image)
        sys.exit(1 if any(ends) else 0)


main()
