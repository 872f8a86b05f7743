# SPDX-License-Identifier: MIT
"""The daemon is killed with SIGKILL under load. A copy of the image is repaired by e2fsck -p, the image by the next mount.

    kills.py N [SEED]

Data acknowledged before a kill stays, because a killed process leaves all its stores in the file.
"""

import os
import random
import shutil
import signal
import sys
import threading
import time

import mounts

WORKERS = 3


def worker(point, number, seed, kept, stop):
    """Changes names and files until the daemon is gone. `kept` has the files that must survive."""
    chance = random.Random(seed)
    home = point / ("w%d" % number)
    try:
        home.mkdir(exist_ok=True)
        while not stop.is_set():
            name = "f%d" % chance.randrange(40)
            path, choice = home / name, chance.randrange(9)
            key = (number, name)
            if choice < 4:
                kept.pop(key, None)
                data = bytes([chance.randrange(256)]) * chance.randrange(1, 70000)
                with open(path, "wb", buffering=0) as file:
                    file.write(data)
                kept[key] = data
            elif choice == 4:
                kept.pop(key, None)
                path.unlink(missing_ok=True)
            elif choice == 5 and path.exists():
                other = "f%d" % chance.randrange(40)
                data = kept.pop(key, None)
                kept.pop((number, other), None)
                os.rename(path, home / other)
                if data is not None:
                    kept[(number, other)] = data
            elif choice == 6 and path.exists():
                data = kept.pop(key, None)
                size = chance.randrange(90000)
                os.truncate(path, size)
                if data is not None:
                    kept[key] = data[:size] + bytes(max(0, size - len(data)))
            elif choice == 7:
                (home / ("d%d" % chance.randrange(5))).mkdir(exist_ok=True)
            else:
                shutil.rmtree(home / ("d%d" % chance.randrange(5)), ignore_errors=True)
    except OSError:
        pass


def damage(place, image):
    """Repairs a copy of the image by e2fsck -p alone, which must find only traces of a crash."""
    copy = place.path / "copy"
    mounts.must("cp", "--sparse=always", image, copy)
    status, output = mounts.run("e2fsck", "-p", copy)
    if status not in (0, 1):
        sys.exit("e2fsck -p after a kill: ended %d\n%s" % (status, output))
    mounts.check(copy)


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9)
    print("seed %d" % seed)
    mounts.wanted()
    chance = random.Random(seed)
    kept = {}
    with mounts.Place() as place:
        image = place.image("image", "48M")
        for number in range(count):
            point = place.fuse(image)
            for (owner, name), data in kept.items():
                if (point / ("w%d" % owner) / name).read_bytes() != data:
                    sys.exit("kill %d: w%d/%s has lost what was written" % (number, owner, name))
            stop = threading.Event()
            threads = [threading.Thread(target=worker, args=(point, i, chance.random(), kept, stop)) for i in range(WORKERS)]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.05, 0.8))
            os.kill(mounts.daemon(image), signal.SIGKILL)
            stop.set()
            for thread in threads:
                thread.join()
            mounts.run("umount", "-l", point)
            mounts.closed(image)
            damage(place, image)
        point = place.fuse(image)
        place.unmount(point, image)
        mounts.check(image)
    print("%d kills, %d files at the last" % (count, len(kept)))


main()
