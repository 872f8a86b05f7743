# SPDX-License-Identifier: MIT
"""The command line, messages, signals, the second mount, a read-only mount and the statistics."""

import errno
import json
import mmap
import os
import signal
import subprocess
import sys
import time

import mounts


def expect(condition, what):
    if not condition:
        sys.exit("unexpected: %s" % (what,))


def command_line(place):
    image, point = place.image("i", "1M", 1024), place.point("p")
    for arguments, status, words in (
            ((), 2, "IMAGE"), ((image,), 2, "MOUNTPOINT"), ((image, point, "x"), 2, "unexpected"), (("--magic",), 2, "--magic"),
            (("-o", "magic", image, point), 2, "magic"), (("-o",), 2, "-o"), (("-o", "offset=x", image, point), 2, "offset=x"),
            (("--help",), 0, "usage"), (("--version",), 0, "ext2dax-fuse "), (("missing", point), 1, "missing: open"),
            ((image, "missing"), 1, "mount on missing"), ((image, image), 1, "mount on"), (("/etc/passwd", point), 1, "passwd"),
            ((place.path, point), 1, "directory")):
        found, output = mounts.run(mounts.PROGRAM, *arguments)
        expect(found == status and words in output, (arguments, found, output))
    mounts.check(image)


def second_mount(place):
    image = place.image("i2", "1M", 1024)
    point = place.fuse(image, "p2")
    status, output = mounts.run(mounts.PROGRAM, image, place.point("other"))
    expect(status == 1 and "i2: open for writing: " in output and "mounted" in output, output)
    place.unmount(point, image)


def read_only(place):
    image = place.image("i3", "1M", 1024)
    before = image.read_bytes()
    point = place.fuse(image, "p3", "ro")
    for call in (lambda: os.mkdir(point / "d"), lambda: os.utime(point / "lost+found")):
        try:
            call()
            sys.exit("a read-only mount changes")
        except OSError as error:
            expect(error.strerror == "Read-only file system", error)
    os.listdir(point / "lost+found")
    place.unmount(point, image)
    expect(image.read_bytes() == before, "a read-only mount stored into the image")


def signals(place):
    """A signal writes back stores through a mapping, and leaves a clean image."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        image = place.image("i4", "4M", 4096)
        point = place.fuse(image, "p4")
        handle = os.open(point / "f", os.O_RDWR | os.O_CREAT)
        os.ftruncate(handle, 8192)
        with mmap.mmap(handle, 8192) as area:
            area[5000:5006] = b"mapped"
            os.kill(mounts.daemon(image), number)
            mounts.closed(image)
        try:
            os.close(handle)
        except OSError:
            pass  # the mount is gone
        mounts.run("umount", "-l", point)
        place.mounts.remove(point)
        mounts.check(image)
        expect("clean" in mounts.run("e2fsck", "-p", image)[1], "the image is not clean")
        point = place.fuse(image, "p4")
        expect((point / "f").read_bytes()[5000:5006] == b"mapped", "a store through a mapping is lost")
        place.unmount(point, image)


def statistics(place):
    image, report = place.image("i5", "4M"), place.path / "json"
    point = place.fuse(image, "p5", extra=["--json=%s" % report])
    (point / "f").write_bytes(b"x" * 10000)
    os.kill(mounts.daemon(image), signal.SIGUSR1)
    for _ in range(100):
        time.sleep(0.05)
        if report.exists() and report.read_text().endswith("}\n"):
            break
    found = json.loads(report.read_text())
    expect(found["requests"]["create"] == 1 and found["bytes_written"] == 10000, found)
    # The kernel remembers that a file has no capabilities, and asks no more than once.
    with open(point / "f", "r+b", buffering=0) as file:
        for _ in range(20):
            file.write(b"y" * 100)
    (point / "f").unlink()
    place.unmount(point, image)
    found = json.loads(report.read_text())["requests"]
    expect(found["unlink"] == 1, "the statistics at the end")
    expect(found["write"] == 21 and found["getxattr"] <= 3, "requests of small writes: %s" % found)


def foreground(place):
    image, point = place.image("i6", "1M", 1024), place.point("p6")
    with subprocess.Popen([mounts.PROGRAM, "-f", image, point], stderr=subprocess.PIPE, text=True) as running:
        for _ in range(100):
            if os.path.ismount(point):
                break
            time.sleep(0.05)
        os.mkdir(point / "d")
        running.send_signal(signal.SIGTERM)
        expect(running.wait(timeout=20) == 0, running.stderr.read())
    mounts.check(image)


def recovery(place):
    image = place.image("i7", "4M")
    point = place.fuse(image, "p7")
    os.mkdir(point / "d")
    os.kill(mounts.daemon(image), signal.SIGKILL)
    mounts.closed(image)
    mounts.run("umount", "-l", point)
    place.mounts.remove(point)
    status, output = mounts.run(mounts.PROGRAM, image, place.point("p7"))
    expect(status == 0 and "i7: " in output and "was not cleanly unmounted" in output or "recovered" in output, output)
    place.mounts.append(place.path / "p7")
    expect(os.path.isdir(place.path / "p7" / "d"), "the directory is lost")
    place.unmount(place.path / "p7", image)


def offset(place):
    inner, image = place.image("i8", "4M"), place.path / "disk"
    image.write_bytes(bytes(1 << 20) + inner.read_bytes())
    point = place.fuse(image, "p8", "offset=%d" % (1 << 20))
    os.mkdir(point / "d")
    place.unmount(point, image)
    inner.write_bytes(image.read_bytes()[1 << 20:])
    mounts.check(inner)


def discard(place):
    """The file of the image shrinks by the bytes of removed files with the option, and does not without."""
    image = place.image("i9", "32M")
    kept = {}
    for options in ("nodiscard", "discard"):
        point = place.fuse(image, "p9", options)
        (point / "large").write_bytes(os.urandom(8 << 20))
        place.unmount(point, image)
        before = os.stat(image).st_blocks
        point = place.fuse(image, "p9", options)
        os.unlink(point / "large")
        place.unmount(point, image)
        kept[options] = os.stat(image).st_blocks * 512 / (before * 512 + 1)
        mounts.check(image)
    expect(kept["nodiscard"] > 0.9 and kept["discard"] < 0.2, kept)


def full_host(place):
    """The image is sparse, and the host filesystem lacks the space for the data."""
    host = place.point("host")
    mounts.must("mount", "-t", "tmpfs", "-o", "size=12M", "tmpfs", host)
    place.mounts.append(host)
    image = place.image("host/i10", "64M")
    point = place.fuse(image, "p10")
    result = 0
    with open(point / "f", "wb", buffering=0) as file:
        try:
            for _ in range(40):
                result += file.write(b"x" * (1 << 20))
        except OSError as error:
            expect(error.errno == errno.ENOSPC and result > 4 << 20, "a full host: %s after %d bytes" % (error, result))
            result = -result
    expect(result < 0, "no error of a full host")
    expect((point / "f").read_bytes() == b"x" * -result, "the data written before")
    mounts.must("mount", "-o", "remount,size=80M", host)
    (point / "f").write_bytes(b"y" * (20 << 20))
    place.unmount(point, image)
    mounts.check(image)


def main():
    mounts.wanted()
    with mounts.Place() as place:
        os.chdir(place.path)
        for part in (command_line, second_mount, read_only, signals, statistics, foreground, recovery, offset, discard,
                     full_host):
            part(place)
            print(part.__name__)


main()
