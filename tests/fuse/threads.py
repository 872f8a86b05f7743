# SPDX-License-Identifier: MIT
"""Several threads change one directory at once. Names and contents must agree at the end, and with e2fsck.

    threads.py SECONDS
"""

import errno
import os
import random
import sys
import threading
import time

import mounts

EXPECTED = (errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENOTDIR, errno.EPERM)


def step(home, chance, number):
    """A single change of a name that other threads change as well."""
    names = [home / ("n%d" % chance.randrange(30)) for _ in range(2)]
    choice = chance.randrange(10)
    if choice < 3:
        data = b"%d" % number * chance.randrange(1, 3000)
        with open(names[0], "wb", buffering=0) as file:
            file.write(data)
    elif choice == 3:
        os.unlink(names[0])
    elif choice == 4:
        os.rename(*names)
    elif choice == 5:
        os.link(*names)
    elif choice == 6:
        os.mkdir(names[0])
    elif choice == 7:
        os.rmdir(names[0])
    elif choice == 8:
        for entry in os.scandir(home):
            entry.stat(follow_symlinks=False)
    else:
        with open(names[0], "rb") as file:
            # The kernel may give zeroes to a read that meets a truncation.
            found = set(file.read(8))
            if found - set(b"\0" b"0123456789"):
                raise AssertionError("read %r" % found)


def worker(home, number, end, problems):
    chance = random.Random(number)
    while time.time() < end:
        try:
            step(home, chance, number)
        except OSError as error:
            if error.errno not in EXPECTED:
                problems.append(repr(error))
        except AssertionError as error:
            problems.append(str(error))


def main():
    mounts.wanted()
    problems = []
    with mounts.Place() as place:
        image = place.image("image", "32M")
        point = place.fuse(image)
        home = point / "one"
        home.mkdir()
        end = time.time() + float(sys.argv[1])
        threads = [threading.Thread(target=worker, args=(home, i, end, problems)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        listed = sorted(os.listdir(home))
        before = [(name, os.stat(home / name).st_ino, os.stat(home / name).st_nlink) for name in listed]
        if len(set(listed)) != len(listed):
            problems.append("a name is listed twice")
        place.unmount(point, image)
        mounts.check(image)
        point = place.fuse(image)
        after = [(name, os.stat(point / "one" / name).st_ino, os.stat(point / "one" / name).st_nlink)
                 for name in sorted(os.listdir(point / "one"))]
        if before != after:
            problems.append("the kernel's names differ from those of the image")
        place.unmount(point, image)
    sys.exit("\n".join(problems[:10]) if problems else 0)


main()
