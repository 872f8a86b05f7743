# SPDX-License-Identifier: MIT
"""Debian's kernel for a virtual machine, without an installation. The package is fetched once and unpacked into a directory
of the build. An initramfs has a static program and the kernel modules.

EXT2DAX_LINUX names a directory with an unpacked package (linux-image-…-cloud-amd64).
"""

import fcntl
import glob
import os
import re
import subprocess
import tempfile

PACKAGE = "linux-image-cloud-amd64"
# Modules for the devices of the machine. Modules needed by a module are loaded first.
MODULES = ("virtio_pci", "virtio_pmem", "nd_pmem")


class Unavailable(Exception):
    """The reason why no kernel is available."""


def apt(*command, directory="."):
    try:
        result = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180,
                                env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise Unavailable("%s is not installed" % command[0]) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable("%s takes longer than %d s" % (" ".join(command), error.timeout)) from error
    if result.returncode:
        said = result.stderr.decode(errors="replace").strip().splitlines() or ["it fails"]
        raise Unavailable("%s: %s" % (" ".join(command), said[-1]))
    return result.stdout.decode()


def fetch(directory):
    """Unpacks the newest kernel known to apt. A directory exists whole or not at all."""
    depends = apt("apt-cache", "depends", PACKAGE)
    image = re.search(r"Depends: (linux-image-\S+)", depends)
    if not image:
        raise Unavailable("apt knows no package %s" % PACKAGE)
    with tempfile.TemporaryDirectory(prefix="kernel-", dir=os.path.dirname(directory)) as work:
        apt("apt-get", "download", "-q", image.group(1), directory=work)
        package, = glob.glob(os.path.join(work, "*.deb"))
        apt("dpkg-deb", "--extract", package, os.path.join(work, "unpacked"))
        os.rename(os.path.join(work, "unpacked"), directory)


def find(cache):
    """The directory of an unpacked kernel package."""
    given = os.environ.get("EXT2DAX_LINUX")
    if given:
        return given
    directory = os.path.join(cache, "kernel")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(directory):
            fetch(directory)
    return directory


def only(directory, pattern):
    found = glob.glob(os.path.join(directory, pattern), recursive=True)
    if len(found) != 1:
        raise Unavailable("%s: %d files match %s" % (directory, len(found), pattern))
    return found[0]


def image(directory):
    return only(directory, "boot/vmlinuz-*-cloud-amd64")


def modules(directory):
    """Returns the paths of the modules, each after the modules it needs."""
    ordered = []

    def add(name):
        path = only(directory, "lib/modules/*/kernel/**/%s.ko" % name)
        if path in ordered:
            return
        with open(path, "rb") as module:
            stands_on = re.search(rb"\0depends=([^\0]*)\0", module.read()).group(1).decode()
        for below in filter(None, stands_on.split(",")):
            add(below)
        ordered.append(path)

    for name in MODULES:
        add(name)
    return ordered


def archive(out, path, mode, body=b""):
    """Returns an entry of a cpio archive in the kernel's format ("newc")."""
    name = path.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name), 0)
    for piece in (b"070701" + b"".join(b"%08x" % field for field in fields) + name, body):
        out.write(piece + b"\0" * (-len(piece) % 4))


def initramfs(path, program, directory):
    with open(path, "wb") as out:
        archive(out, "modules", 0o040755)
        for number, module in enumerate(modules(directory)):
            with open(module, "rb") as body:
                archive(out, "modules/%02d-%s" % (number, os.path.basename(module)), 0o100644, body.read())
        with open(program, "rb") as body:
            archive(out, "init", 0o100755, body.read())
        archive(out, "TRAILER!!!", 0)
