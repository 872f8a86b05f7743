# SPDX-License-Identifier: MIT
"""Images, mounted by ext2dax-fuse (the program in EXT2DAX_FUSE) and by the kernel's own ext2."""

import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM = os.environ.get("EXT2DAX_FUSE", "ext2dax-fuse")
CLONE_NEWNS = 0x20000
os.environ["PATH"] += ":/sbin:/usr/sbin"


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)
    return done.returncode, done.stdout


def must(*command, **options):
    status, output = run(*command, **options)
    if status:
        sys.exit("%s: ended %d: %s" % (" ".join(map(str, command)), status, output))
    return output


def wanted():
    """Skips where nothing can be mounted. The mounts are then in a namespace that ends with the process."""
    if os.geteuid() != 0:
        skip("only root may mount")
    if not os.path.exists("/dev/fuse"):
        skip("there is no /dev/fuse")
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        skip("/dev/fuse: %s" % error.strerror)
    for tool in ("fusermount3", "mke2fs", "e2fsck"):
        if not shutil.which(tool):
            skip("there is no " + tool)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or run("mount", "--make-rprivate", "/")[0]:
        skip("a container may not mount")


class Place:
    """A directory for images and mount points, removed at the end."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="ext2dax-fuse-"))
        self.mounts = []
        # A daemon has no standard error. A sanitizer writes its report to a file here instead.
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                os.environ[name] += ":log_path=%s" % (self.path / "sanitizer")

    def reports(self):
        """What sanitizers had to say of a daemon."""
        return "".join(path.read_text() for path in sorted(self.path.glob("sanitizer.*")))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for mount in reversed(self.mounts):
            run("umount", "-l", mount)
        reports = self.reports()
        shutil.rmtree(self.path, ignore_errors=True)
        if reports:
            sys.exit(reports)

    def image(self, name, size="64M", block=4096, inode=256, extra=()):
        path = self.path / name
        with open(path, "wb"):
            pass
        must("truncate", "-s", size, path)
        must("mke2fs", "-q", "-F", "-t", "ext2", "-b", block, "-I", inode, "-m", 0, "-E", "root_owner=0:0", *extra, path)
        return path

    def point(self, name):
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def fuse(self, image, name="fuse", options="suid,dev,allow_other", extra=()):
        point = self.point(name)
        must(PROGRAM, *extra, "-o", options, image, point)
        self.mounts.append(point)
        return point

    def kernel(self, image, name="kernel"):
        point = self.point(name)
        status, output = run("mount", "-t", "ext2", "-o", "loop", image, point)
        if status:
            skip("a container may not loop-mount: " + output.strip())
        self.mounts.append(point)
        return point

    def unmount(self, point, image):
        """Unmounts and waits until the daemon has closed the image."""
        must("umount", point)
        self.mounts.remove(point)
        closed(image)


def closed(image):
    """Waits for the lock of the image."""
    for _ in range(600):
        if run("flock", "-n", "-x", image, "true")[0] == 0:
            return
        time.sleep(0.05)
    sys.exit("%s: the daemon does not end" % image)


def check(image):
    status, output = run("e2fsck", "-fn", image)
    if status:
        sys.exit("e2fsck -fn %s: ended %d\n%s" % (image, status, output))


def daemon(image):
    """The process id of the daemon of an image, from the lock of the image."""
    found = os.stat(image)
    for line in pathlib.Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "FLOCK" in words and "WRITE" in words and words[5].endswith(":%d" % found.st_ino):
            return int(words[4])
    sys.exit("%s: no daemon" % image)
