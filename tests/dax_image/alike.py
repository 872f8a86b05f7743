# SPDX-License-Identifier: MIT
"""Equal sources give equal images, whatever the order of names, umask, locale, time zone, and place. Others do not."""

import os
import random
import re
import shutil
import subprocess
import tarfile
import tempfile
import time

from tool import ARCHIVES, archive, build, check, content, entry, main, need, tree, write


def copy_in_order(source, target, order):
    """Copies a tree by creating the names of each directory in an order."""
    paths = [os.path.relpath(os.path.join(at, name), source) for at, dirs, files in os.walk(source) for name in dirs + files]
    order(paths)
    os.mkdir(target)
    links = {}
    for path in paths:
        os.makedirs(os.path.dirname(os.path.join(target, path)), exist_ok=True)
        status = os.lstat(os.path.join(source, path))
        if os.path.isdir(os.path.join(source, path)) and not os.path.islink(os.path.join(source, path)):
            os.makedirs(os.path.join(target, path), exist_ok=True)
        elif status.st_ino in links:
            os.link(links[status.st_ino], os.path.join(target, path))
        else:
            subprocess.run(["cp", "-a", "--sparse=auto", os.path.join(source, path), os.path.join(target, path)], check=True)
            links[status.st_ino] = os.path.join(target, path)
    subprocess.run(["rsync", "-aHAXS", source + "/", target + "/"], check=True)


def conditions():
    tree("source")
    first = build("source", "image")
    copy_in_order("source", "forward", list.sort)
    copy_in_order("source", "backward", lambda paths: paths.sort(reverse=True))
    copy_in_order("source", "shuffled", random.Random(1).shuffle)
    time.sleep(1.1)
    for number, source in enumerate(("source", "forward", "backward", "shuffled")):
        for env in ({"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}, {"TZ": "UTC-11", "LC_ALL": "C", "HOME": "/nowhere"}):
            os.umask(0o77 if number % 2 else 0)
            os.makedirs("elsewhere", exist_ok=True)
            build("--force", source, "elsewhere/image", env=env)
            check(content("image") == content("elsewhere/image"), (source, env))
    os.umask(0o22)
    check(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first["uuid"]), first)


def orders():
    """The order of names in a directory of memory is the order of creation, and an archive has any order."""
    names = ["d%d/f%d" % (i % 3, i) for i in range(60)]
    images = set()
    for order in range(3):
        random.Random(order).shuffle(names)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            for name in names:
                os.makedirs(os.path.join(memory, os.path.dirname(name)), exist_ok=True)
                write(os.path.join(memory, name), name.encode() * 900)
            for at, directories, files in os.walk(memory):
                for each in [*files, "."]:
                    os.utime(os.path.join(at, each), (10**9, 10**9))
            os.chmod(memory, 0o755)
            build("--force", "--owner", "0:0", memory, "image")
            images.add(content("image"))
        if ARCHIVES:
            entries = [entry("d%d" % i, tarfile.DIRTYPE, mode=0o755, mtime=10**9) for i in range(3)]
            entries += [entry(name, data=name.encode() * 900, mode=0o644, mtime=10**9) for name in names]
            entries.append(entry("./", tarfile.DIRTYPE, mode=0o755, mtime=10**9))
            random.Random(order).shuffle(entries)
            build("--force", "--owner", "0:0", "-", "image", stdin=archive(*entries))
            images.add(content("image"))
    check(len(images) == 1, "%d images" % len(images))


def identity():
    """Every change of the sources changes the UUID. Options for the identity are followed."""
    def fresh():
        shutil.rmtree("source", ignore_errors=True)
        os.makedirs("source/d")
        write("source/f", b"1234" * 3000)
        for path in ("source/f", "source/d", "source"):
            os.utime(path, (10**9, 10**9))

    fresh()
    seen = {build("source", "image")["uuid"]}
    for change in ("printf x | dd of=source/f bs=1 seek=7000 conv=notrunc status=none", "printf x >> source/f",
                   "chmod 600 source/f", "mv source/f source/g", "touch -d @5 source/d", "ln source/f source/d/f",
                   "setfattr -n user.x -v y source/f", "ln -s f source/l"):
        fresh()
        if subprocess.run(change, shell=True, check=False).returncode == 0:
            # A change of data shall not show by the time only.
            for path in ("source/f", "source"):
                if os.path.exists(path):
                    os.utime(path, (10**9, 10**9))
            uuid = build("--force", "source", "image")["uuid"]
            check(uuid not in seen, change)
            seen.add(uuid)
    given = "01234567-89ab-cdef-0123-456789abcdef"
    build("--force", "--uuid", given, "--label", "sixteen letters!", "--epoch", "7", "source", "image")
    shown = subprocess.run(["dumpe2fs", "image"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC"},
                           check=True).stdout.decode()
    for line in ("Filesystem UUID: +" + given, "Filesystem volume name: +sixteen letters!",
                 "Filesystem created: +Thu Jan  1 00:00:07 1970"):
        check(re.search(line, shown), line)
    image = content("image")
    build("--force", "--uuid", given, "--label", "sixteen letters!", "source", "image", env={"SOURCE_DATE_EPOCH": "7"})
    check(content("image") == image, "SOURCE_DATE_EPOCH")


def copies():
    """The copies of the superblock have the identity, too."""
    os.mkdir("source")
    build("--size", "600M", "source", "image")
    data = content("image")
    for group in (1, 3):
        at = group * 32768 * 4096
        check(data[1024 + 104:1024 + 120] == data[at + 104:at + 120], group)
        check(data[1024 + 236:1024 + 252] == data[at + 236:at + 252], group)
    check(any(data[1024 + 104:1024 + 120]), "no UUID")


need("dumpe2fs", "rsync", "setfattr")
main(conditions, orders, identity, copies)
