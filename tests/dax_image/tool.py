# SPDX-License-Identifier: MIT
"""Shared by the tests of dax-image: runs the tool, makes source trees, and asks e2fsck about images."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile

TOOL = os.environ.get("DAX_IMAGE", "dax-image")
ARCHIVES = os.environ.get("DAX_IMAGE_ARCHIVES", "true") == "true"
PMD_RANGE = 2 << 20


def skip(reason):
    print("skip:", reason)
    sys.exit(77)


def need(*programs):
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for program in programs:
        if not shutil.which(program):
            skip(program + " is not installed")


def need_archives():
    if not ARCHIVES:
        skip("dax-image was built without libarchive")


def check(condition, what):
    if not condition:
        raise AssertionError(str(what))


def run(*arguments, stdin=None, env=None, **options):
    done = subprocess.run([TOOL, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, **(env or {})}, **options)
    done.err = done.stderr.decode(errors="replace")
    done.out = done.stdout.decode(errors="replace")
    return done


def done(*arguments, **options):
    result = run(*arguments, **options)
    check(result.returncode == 0, result)
    return result


def build(*arguments, **options):
    """Builds an image, and returns the figures of --json."""
    return json.loads(done("build", "--json", *arguments, **options).out)


def refused(why, *arguments, image=None, **options):
    """Runs a command that must fail with a message, and leave no file behind."""
    before = sorted(os.listdir("."))
    result = run(*arguments, **options)
    check(result.returncode == 1, result)
    lines = result.err.splitlines()
    check(len(lines) == 1 and lines[0].startswith("dax-image: ") and why in lines[0], "%s\n  expected %s" % (result, why))
    check(sorted(os.listdir(".")) == before, "left behind: %s" % os.listdir("."))
    return result


def fsck(image):
    result = subprocess.run(["e2fsck", "-fn", image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout.decode())


def content(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, mode=None):
    with open(path, "wb") as file:
        file.write(data)
    if mode is not None:
        os.chmod(path, mode)


def tree(root):
    """Makes a tree with every kind of file this user can make."""
    is_root = os.geteuid() == 0
    os.makedirs(root + "/dir/sub/empty")
    write(root + "/dir/small", b"small\n")
    os.link(root + "/dir/small", root + "/another name")
    os.link(root + "/dir/small", root + "/dir/sub/third")
    write(root + "/dir/sub/program", os.urandom(5000), 0o6755)
    write(root + "/none", b"")
    os.symlink("small", root + "/dir/link")
    os.symlink("x" * 200, root + "/long link")
    os.mkfifo(root + "/pipe")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(root + "/socket")
    os.chmod(root + "/dir/sub/empty", 0o1777)
    write(root.encode() + b"/bytes \xff\n\\", b"odd name")
    write(root + "/large", os.urandom(3 * PMD_RANGE + 12345))
    with open(root + "/holes", "wb") as file:
        file.truncate(9 * PMD_RANGE + 7)
        for offset in (5 * 4096, 2 * PMD_RANGE, 2 * PMD_RANGE + 300 * 4096):
            file.seek(offset)
            file.write(os.urandom(4096 * 40))
        file.seek(5 * PMD_RANGE)
        file.write(os.urandom(PMD_RANGE))
    for i in range(200):
        write("%s/dir/sub/a name of some length %d" % (root, i), b"%d" % i)
    if is_root:
        os.mknod(root + "/device", 0o60600, os.makedev(259, 70000))
        os.mknod(root + "/terminal", 0o20620, os.makedev(5, 1))
        os.chown(root + "/dir/sub/program", 100000, 4294967294)
        os.chmod(root + "/dir/sub/program", 0o6755)
        os.chown(root + "/dir/link", 7, 8, follow_symlinks=False)
    try:
        os.setxattr(root + "/dir/small", "user.one", b"1")
        os.setxattr(root + "/large", "user.binary", bytes(range(256)) * 3)
        os.setxattr(root + "/dir", "user.empty", b"")
        if is_root:
            os.setxattr(root + "/none", "trusted.t", b"trust")
            os.setxattr(root + "/large", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
        if shutil.which("setfacl"):
            subprocess.run(["setfacl", "-m", "u:1234:rwx,g:7:r", root + "/dir/small"], check=False)
            subprocess.run(["setfacl", "-d", "-m", "u:12:rx", root + "/dir"], check=False)
    except OSError:
        print("without attributes, which the filesystem does not have")
    times = {"/large": -5 * 10**9 + 123456789 - 10**17, "/none": 4 * 10**18 + 1, "/dir/link": 10**18 + 999999999,
             "/dir/sub/empty": 10**18 + 5, "/dir/sub": 10**18 + 1, "/dir": 10**18, "": 10**18 + 7}
    for name, time in times.items():
        os.utime(root + name, ns=(time, time), follow_symlinks=False)


def tar(root, archive, *options):
    """Archives a tree with GNU tar, which stores everything that an image can store."""
    subprocess.run(["tar", "--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-S", "-C", root,
                    *options, "-cf", archive, "."], check=True, stderr=subprocess.DEVNULL)


def entry(name, kind=tarfile.REGTYPE, data=b"", **fields):
    """Makes a member of an archive."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def archive(*entries):
    """Makes a tar archive in memory."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        for info, data in entries:
            made.addfile(info, io.BytesIO(data))
    return file.getvalue()


def listed(image):
    """Returns the paths of an image, of regular files only."""
    return {entry["path"] for entry in json.loads(done("report", "--json", image).out)["list"]}


def main(*tests):
    """Runs the tests one after the other in a scratch directory, and names the one that fails."""
    # A directory of the build has the attributes that a memory filesystem may lack.
    with tempfile.TemporaryDirectory(prefix="dax-image-test-", dir=os.environ.get("DAX_IMAGE_SCRATCH")) as scratch:
        os.chdir(scratch)
        for test in tests:
            try:
                os.mkdir(test.__name__)
                os.chdir(test.__name__)
                test()
                os.chdir("..")
            except Exception:
                print("failed:", test.__name__, "-", (test.__doc__ or "").strip())
                raise
            print("ok:", test.__name__)
        os.chdir("/")
