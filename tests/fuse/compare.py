# SPDX-License-Identifier: MIT
"""The same calls on ext2dax-fuse and on the kernel's own ext2 give the same results.

    compare.py [BLOCK [INODE]]

Each check is a function of a new directory, with a result to compare: numbers, texts and names of errors. What POSIX
requires is asserted too.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import stat
import struct
import sys
import time

import mounts

libc = ctypes.CDLL(None, use_errno=True)
USER, OTHER, GROUP = 1001, 1002, 2001
checks = []


def check(function):
    checks.append(function)
    return function


def tried(call, *arguments, **options):
    """The result of a call, or the name of its error."""
    try:
        result = call(*arguments, **options)
    except OSError as error:
        return errno.errorcode[error.errno]
    return result if isinstance(result, (int, str, bytes, list)) else None


def as_user(uid, gids, call):
    """The result of a call in a child process of another user. The result is a text."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups(gids)
            os.setgid(gids[0])
            os.setuid(uid)
            result = repr(call())
        except BaseException as error:
            result = "raised %r" % error
        os.write(writer, result.encode())
        os._exit(0)
    os.close(writer)
    result = b""
    while part := os.read(reader, 65536):
        result += part
    os.close(reader)
    os.waitpid(child, 0)
    return result.decode()


def make(path, data=b"", mode=0o644):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def times(path):
    found = os.stat(path, follow_symlinks=False)
    return found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns


def changed(path, call):
    """Which of atime, mtime and ctime a call moves."""
    before = times(path)
    time.sleep(0.03)
    call()
    try:
        after = times(path)
    except FileNotFoundError:
        return "gone"
    return "".join(letter for letter, old, new in zip("amc", before, after) if new != old)


def shape(path):
    found = os.lstat(path)
    return "%o %d %d:%d %d" % (found.st_mode, found.st_nlink, found.st_uid, found.st_gid,
                               0 if stat.S_ISDIR(found.st_mode) else found.st_size)


@check
def errors_of_names():
    make("f")
    os.mkdir("d")
    make("d/inside")
    os.symlink("loop", "loop")
    long, longer = "n" * 255, "n" * 256
    return [tried(os.open, "f/x", os.O_RDONLY), tried(os.open, "missing/x", os.O_RDONLY), tried(os.mkdir, "f"),
            tried(os.rmdir, "d"), tried(os.rmdir, "f"), tried(os.unlink, "d"), tried(os.open, "loop", os.O_RDONLY),
            tried(make, long), tried(make, longer), tried(os.mkdir, longer), tried(os.unlink, longer),
            tried(os.stat, longer), tried(os.rename, "f", longer), tried(os.link, "f", longer),
            tried(os.symlink, "f", longer), tried(os.open, "x/" * 2100, os.O_RDONLY), tried(os.link, "d", "e"),
            tried(os.link, "f", "d"), tried(os.rmdir, "d/."), tried(os.rmdir, "d/.."), tried(os.unlink, "missing"),
            tried(os.open, "f", os.O_CREAT | os.O_EXCL), tried(os.open, "loop", os.O_CREAT | os.O_EXCL),
            tried(os.open, "f", os.O_RDONLY | os.O_DIRECTORY), tried(os.open, "d", os.O_WRONLY),
            tried(os.readlink, "f"), tried(os.symlink, "", "empty"), tried(os.link, "missing", "g"),
            tried(os.link, "f", "/proc/x"), tried(os.rename, "f", "/tmp/ext2dax-no"), tried(os.open, "", os.O_RDONLY)]


@check
def targets_of_links():
    result = []
    for length in (1, 59, 60, 61, 1000, 1023, 1024, 2000, 4094, 4095, 4096):
        result.append(tried(os.symlink, "t" * length, "l%d" % length))
        result.append(len(tried(os.readlink, "l%d" % length) or ""))
        if result[-2] is None:
            result.append(shape("l%d" % length))
    return result


@check
def renames():
    result = []
    for name in "abc":
        make(name, name.encode())
    for name in ("d", "e", "full", "d/sub"):
        os.mkdir(name)
    make("full/x")
    os.link("a", "a2")

    def rename2(old, new, flags):
        if libc.renameat2(-100, old.encode(), -100, new.encode(), flags):
            return errno.errorcode[ctypes.get_errno()]
        return None

    for old, new in (("a", "a2"), ("a", "b"), ("d", "c"), ("c", "d"), ("d", "d/sub/x"), ("d", "full"), ("d", "e"),
                     ("e/sub", "sub"), ("missing", "x"), ("c", "c"), ("full", "full/x"), ("e", "."), ("e/.", "y"),
                     ("c", "full/x"), ("full", "c"), ("e", "missing/x"), ("a2", "full/"), ("b", "b/")):
        result.append((old, new, tried(os.rename, old, new)))
    make("p", b"p")
    os.mkdir("q")
    for old, new, flags in (("p", "q", 2), ("p", "q", 1), ("q", "missing", 2), ("q", "fresh", 1), ("p", "q", 3),
                            ("p", "r", 8), ("p", "p/x", 2)):
        result.append((old, new, flags, rename2(old, new, flags)))
    for folder, _, names in sorted(os.walk(".")):
        result.append((folder, shape(folder), [(name, shape(folder + "/" + name)) for name in sorted(names)]))
    return result


@check
def links():
    make("f", b"data")
    for i in range(20):
        os.link("f", "l%d" % i)
    result = [shape("f")]
    for i in range(20):
        os.unlink("l%d" % i)
    result.append(shape("f"))
    os.symlink("f", "s")
    os.link("s", "s2", follow_symlinks=False)
    return result + [shape("s2"), shape("s"), os.readlink("s2")]


@check
def link_limits():
    """In many directories, because the kernel searches a directory from its start."""
    make("f")
    made = 0
    try:
        while True:
            if made % 500 == 0:
                os.mkdir("d%d" % (made // 500))
            os.link("f", "d%d/%d" % (made // 500, made))
            made += 1
    except OSError as error:
        # The ext2 of Linux has 32,000 links, or 65,000 by its driver of ext4.
        return made >= 31999, errno.errorcode[error.errno], os.stat("f").st_nlink == made + 1


@check
def unlinked_files():
    make("f", b"12345")
    with open("f", "r+b") as file:
        os.unlink("f")
        file.seek(3)
        file.write(b"abc")
        file.flush()
        file.seek(0)
        found = os.fstat(file.fileno())
        result = [file.read(), found.st_nlink, found.st_size, tried(os.stat, "f")]
        result.append(tried(os.link, "/proc/self/fd/%d" % file.fileno(), "again"))
        os.ftruncate(file.fileno(), 1)
        os.fchmod(file.fileno(), 0o600)
        result.append(oct(os.fstat(file.fileno()).st_mode))
    os.mkdir("d")
    handle = os.open("d", os.O_RDONLY)
    os.rmdir("d")
    result += [os.fstat(handle).st_nlink, tried(os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=handle),
               tried(os.listdir, handle)]
    os.close(handle)
    return result


@check
def times_of_calls():
    os.mkdir("d")
    make("d/f", b"x" * 100)
    make("d/g", b"y")
    os.symlink("f", "d/s")
    file = os.open("d/f", os.O_RDWR)
    result = [
        changed("d/f", lambda: os.pwrite(file, b"z", 0)), changed("d/f", lambda: os.pwrite(file, b"z", 5000)),
        changed("d/f", lambda: os.pwrite(file, b"", 0)), changed("d/f", lambda: os.ftruncate(file, 10)),
        changed("d/f", lambda: os.truncate("d/f", 20)), changed("d/f", lambda: os.chmod("d/f", 0o600)),
        changed("d/f", lambda: os.chown("d/f", 5, 6)), changed("d/f", lambda: os.utime("d/f")),
        changed("d/f", lambda: os.utime("d/f", ns=(10**18, 10**18 + 5))),
        changed("d/f", lambda: os.link("d/f", "d/h")), changed("d", lambda: os.link("d/f", "d/i")),
        changed("d/f", lambda: os.unlink("d/i")), changed("d", lambda: os.unlink("d/h")),
        changed("d/f", lambda: os.rename("d/f", "d/k")), changed("d", lambda: os.rename("d/k", "d/f")),
        changed("d", lambda: make("d/new")), changed("d", lambda: os.mkdir("d/sub")),
        changed("d", lambda: os.rmdir("d/sub")), changed("d", lambda: os.symlink("x", "d/t")),
        changed("d", lambda: os.mkfifo("d/p")), changed("d/f", lambda: os.setxattr("d/f", "user.x", b"1")),
        changed("d/f", lambda: os.removexattr("d/f", "user.x")), changed("d/g", lambda: os.rename("d/f", "d/g")),
        changed("d/g", lambda: os.close(os.open("d/g", os.O_WRONLY | os.O_TRUNC))),
        changed("d/new", lambda: os.close(os.open("d/new", os.O_WRONLY | os.O_TRUNC))),
        changed("d/new", lambda: os.close(os.open("d/new", os.O_WRONLY | os.O_CREAT))),
        changed("d", lambda: os.close(os.open("d/new", os.O_WRONLY | os.O_CREAT))),
        changed("d/g", lambda: os.posix_fallocate(file, 0, 9000)), changed("d/s", lambda: os.readlink("d/s")),
        changed("d/s", lambda: os.utime("d/s", ns=(1, 2), follow_symlinks=False)),
    ]
    os.close(file)
    os.mkdir("from")
    os.mkdir("to")
    os.mkdir("from/x")
    before = times("from"), times("to"), times("from/x")
    time.sleep(0.03)
    os.rename("from/x", "to/x")
    after = times("from"), times("to"), times("to/x")
    result.append(["".join(letter for letter, old, new in zip("amc", b, a) if a and old != new)
                   for b, a in zip(before, after)])
    return result


@check
def access_times():
    make("f", b"x" * 10000)
    os.mkdir("d")
    make("d/x")
    os.symlink("target", "s")
    result = []
    for path, call in (("f", lambda: open("f", "rb").read()), ("d", lambda: os.listdir("d")), ("s", lambda: os.readlink("s"))):
        result.append((path, changed(path, call)))
        result.append((path, changed(path, call)))
    os.utime("f", ns=(10**18, 10**18 - 1))
    result.append(changed("f", lambda: open("f", "rb").read()))
    fresh = time.time_ns()
    os.utime("f", ns=(fresh, 10**18))
    handle = os.open("f", os.O_RDONLY | os.O_NOATIME)
    result.append(changed("f", lambda: os.read(handle, 10)))
    os.close(handle)
    return result


@check
def stored_times():
    make("f")
    result = []
    for seconds in (0, 1, -1, 1 - 2**31, 2**31 - 1, 2**31, 2**32 + 5, 1234567890):
        tried(os.utime, "f", ns=(seconds * 10**9 + 123456789, seconds * 10**9))
        found = os.stat("f")
        result.append((found.st_atime_ns, found.st_mtime_ns))
    return result[:5] + result[-1:]


@check
def setuid_and_setgid():
    result = []

    def mode(path):
        return oct(os.stat(path).st_mode & 0o7777)

    def cleared(call, bits):
        make("f", b"data")
        os.chown("f", USER, GROUP)
        os.chmod("f", bits)
        outcome = call()
        found = mode("f")
        os.unlink("f")
        return outcome, found

    def write():
        handle = os.open("f", os.O_WRONLY)
        os.write(handle, b"x")
        os.close(handle)

    def allocate():
        handle = os.open("f", os.O_WRONLY)
        os.posix_fallocate(handle, 0, 9000)
        os.close(handle)

    def copy():
        handle = os.open("f", os.O_RDWR)
        os.copy_file_range(handle, handle, 2, 0, 2)
        os.close(handle)

    for bits in (0o6777, 0o4777, 0o2777, 0o2767, 0o6666, 0o7777):
        for call in (write, lambda: os.truncate("f", 1), lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC)),
                     allocate, copy,
                     lambda: os.chown("f", -1, GROUP), lambda: os.chown("f", USER, -1), lambda: os.chmod("f", 0o6755),
                     lambda: tried(os.chown, "f", -1, -1)):
            result.append(cleared(call, bits))
            result.append(cleared(lambda: as_user(USER, [GROUP], call), bits))
            result.append(cleared(lambda: as_user(OTHER, [OTHER], call), bits))
            result.append(cleared(lambda: as_user(USER, [USER], call), bits))
    os.mkdir("d")
    os.chown("d", 0, GROUP)
    os.chmod("d", 0o2777)

    def inside():
        os.umask(0o022)
        make_at = os.open("d/file", os.O_CREAT | os.O_WRONLY, 0o2775)
        os.close(make_at)
        os.mkdir("d/dir", 0o777)
        os.symlink("x", "d/link")
        os.mkfifo("d/fifo")

    result.append(as_user(USER, [USER], inside))
    return result + [shape("d/" + name) for name in ("file", "dir", "link", "fifo")]


@check
def privileges_given_between_writes():
    """A file without setuid and capabilities is written to first, so that the kernel remembers this of the file."""
    result = []
    make("f", b"data", 0o777)
    os.chown("f", USER, GROUP)
    handle = os.open("f", os.O_WRONLY)
    capability = struct.pack("<5I", 0x02000000, 1 << 10, 0, 0, 0)

    def as_other():
        return os.write(handle, b"x"), oct(os.fstat(handle).st_mode), os.access("f", os.X_OK)

    for step in (lambda: None, lambda: os.chmod("f", 0o6777), lambda: os.setxattr("f", "security.capability", capability),
                 lambda: os.chmod("f", 0o2767), lambda: os.link("f", "g") or os.chmod("g", 0o4777)):
        for call in (as_other, lambda: as_user(OTHER, [OTHER], as_other)):
            os.write(handle, b"y")
            step()
            result += [oct(os.stat("f").st_mode), call(), oct(os.stat("f").st_mode), os.listxattr("f")]
            tried(os.unlink, "g")
    os.close(handle)
    # The kernel runs a program with the mode that the kernel remembers.
    make("id", open("/usr/bin/id", "rb").read(), 0o4777)
    os.chmod(".", 0o777)
    size = os.path.getsize("id")
    for call in (lambda: None, lambda: os.truncate("id", size), lambda: write_start("id", b"\x7fELF")):
        os.chmod("id", 0o4777)
        result.append(as_user(USER, [USER], lambda: call() or os.popen("./id -u").read()))
    return result


def write_start(path, data):
    handle = os.open(path, os.O_WRONLY)
    os.write(handle, data)
    os.close(handle)


@check
def permissions():
    os.chmod(".", 0o777)
    for i in range(8):
        make("u%d" % i, b"x", i << 6)
        os.chown("u%d" % i, USER, GROUP)
        make("g%d" % i, b"x", i << 3)
        os.chown("g%d" % i, OTHER, GROUP)
        make("o%d" % i, b"x", i)
        os.mkdir("dir%d" % i)
        make("dir%d/x" % i)
        os.chmod("dir%d" % i, i)

    def all_of_them():
        found = []
        for name in sorted(os.listdir(".")):
            if os.path.isdir(name):
                found.append((name, tried(os.listdir, name), tried(os.stat, name + "/x") and "?",
                              tried(make, name + "/y"), tried(os.unlink, name + "/x")))
            else:
                found.append((name, tried(os.open, name, os.O_RDONLY) and "E", os.access(name, os.X_OK),
                              tried(os.truncate, name, 1), tried(os.chmod, name, 0o777), tried(os.chown, name, OTHER, -1),
                              tried(os.utime, name), tried(os.utime, name, (1, 2))))
        return [[word if isinstance(word, (str, bool, list)) or word is None else "number" for word in row] for row in found]

    return as_user(USER, [GROUP], all_of_them), as_user(OTHER, [OTHER, GROUP], all_of_them)


@check
def sticky_directories():
    os.mkdir("t")
    os.chmod("t", 0o1777)
    for name in "abcd":
        make("t/" + name)
    os.chown("t/a", USER, USER)
    os.chown("t/b", OTHER, OTHER)
    os.mkdir("t/dir")
    os.chown("t/dir", OTHER, OTHER)

    def calls():
        return [tried(os.unlink, "t/b"), tried(os.rename, "t/b", "t/x"), tried(os.rename, "t/a", "t/b"),
                tried(os.rmdir, "t/dir"), tried(os.rename, "t/a", "t/mine"), tried(os.unlink, "t/mine"),
                tried(os.link, "t/c", "t/e"), tried(make, "t/new"), tried(os.unlink, "t/new")]

    result = [as_user(USER, [USER], calls)]
    os.chown("t", USER, USER)
    return result + [as_user(USER, [USER], calls), sorted(os.listdir("t"))]


@check
def umask_and_owners():
    os.chmod(".", 0o777)

    def calls():
        result = []
        for mask in (0, 0o22, 0o77, 0o777):
            os.umask(mask)
            os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o7777))
            os.mkdir("d", 0o7777)
            os.mkfifo("p", 0o666)
            result += [shape(name) for name in "fdp"]
            os.unlink("f")
            os.rmdir("d")
            os.unlink("p")
        return result

    old = os.umask(0o027)
    os.mkdir("root", 0o7777)
    os.umask(old)
    return as_user(USER, [GROUP], calls), shape("root")


@check
def chown_rules():
    result = []
    os.chmod(".", 0o777)
    make("f")
    os.chown("f", USER, USER)

    def calls():
        return [tried(os.chown, "f", OTHER, -1), tried(os.chown, "f", -1, GROUP), tried(os.chown, "f", -1, OTHER),
                tried(os.chown, "f", USER, GROUP), tried(os.chown, "f", -1, -1), tried(os.chmod, "f", 0o2755), shape("f")]

    result.append(as_user(USER, [USER, GROUP], calls))
    result.append(as_user(OTHER, [OTHER], calls))
    os.chown("f", 2**31 + 5, 2**32 - 2)
    return result + [shape("f")]


@check
def nodes():
    result = []
    for name, mode, device in (("fifo", stat.S_IFIFO | 0o644, 0), ("char", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
                               ("block", stat.S_IFBLK | 0o600, os.makedev(7, 300)),
                               ("big", stat.S_IFCHR | 0o600, os.makedev(4095, 2**20 - 1)), ("file", stat.S_IFREG | 0o644, 0)):
        result.append((tried(os.mknod, name, mode, device), shape(name), os.lstat(name).st_rdev))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        result.append(shape("socket"))
    with open("char", "r+b", buffering=0) as null:
        result += [null.read(5), null.write(b"abc")]
    result.append(sorted((entry.name, entry.is_file(), entry.is_dir(), entry.is_symlink(), entry.inode() == os.lstat(entry.name).st_ino)
                         for entry in os.scandir(".")))
    return result


@check
def data():
    result = []
    handle = os.open("f", os.O_RDWR | os.O_CREAT, 0o644)
    for offset, length in ((0, 10), (4095, 2), (100000, 5000), (1 << 20, 1), (5 << 20, 70000)):
        result.append(os.pwrite(handle, bytes([offset % 251]) * length, offset))
    result.append(os.fstat(handle).st_size)
    at, found = 0, []
    while True:
        begin = tried(os.lseek, handle, at, os.SEEK_DATA)
        if isinstance(begin, str):
            found.append(begin)
            break
        at = os.lseek(handle, begin, os.SEEK_HOLE)
        found.append((begin, at))
    result += [found, tried(os.lseek, handle, 1 << 40, os.SEEK_HOLE), os.pread(handle, 100, 4090), os.pread(handle, 10, 1 << 30)]
    os.ftruncate(handle, 5000)
    os.ftruncate(handle, 9000)
    result += [os.pread(handle, 10000, 0), os.fstat(handle).st_blocks]
    append = os.open("f", os.O_WRONLY | os.O_APPEND)
    result += [os.write(append, b"end"), os.lseek(append, 0, os.SEEK_CUR), os.pread(handle, 10, 8998)]
    os.close(append)
    result += [tried(os.pwrite, handle, b"x", (1 << 62)), tried(os.ftruncate, handle, 1 << 60), tried(os.ftruncate, handle, -1)]
    os.close(handle)
    return result


@check
def maps():
    result = []
    handle = os.open("f", os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(handle, 20000)
    with mmap.mmap(handle, 20000) as area:
        area[0:4] = b"mmap"
        area[15000:15003] = b"abc"
        result += [os.pread(handle, 4, 0), os.pread(handle, 5, 14999)]
        os.pwrite(handle, b"write", 8000)
        result.append(area[8000:8005])
        area.flush()
        os.ftruncate(handle, 100)
        os.ftruncate(handle, 20000)
        result += [area[0:4], area[8000:8005], area[15000:15003]]
        area[9000:9003] = b"new"
        result.append(os.pread(handle, 3, 9000))
        os.unlink("f")
        area[10000:10003] = b"end"
        result.append(os.pread(handle, 3, 10000))
        result.append(changed("/proc/self/fd/%d" % handle, lambda: None))
    os.close(handle)
    return result


@check
def direct_data():
    area = mmap.mmap(-1, 8192)
    area[:] = b"d" * 8192
    handle = tried(os.open, "f", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    if isinstance(handle, str):
        return handle
    result = [tried(os.pwritev, handle, [area], 0), os.fstat(handle).st_size]
    area[:] = b"." * 8192
    result += [os.preadv(handle, [area], 0), bytes(area[:5])]
    os.close(handle)
    with open("f", "rb") as file:
        return result + [file.read() == b"d" * 8192]


@check
def attributes_of_users():
    make("f")
    os.mkdir("d")
    os.symlink("f", "s")
    mkfifo = os.mkfifo("p")
    result = [mkfifo]
    for path in "fdp":
        for name in ("user.a", "trusted.b", "security.c", "user.", "other.x", "system.x", "user." + "n" * 250, "user." + "n" * 251):
            result.append((path, name[:10], tried(os.setxattr, path, name, b"value"), tried(os.getxattr, path, name)))
        result.append(sorted(tried(os.listxattr, path)))
    result += [tried(os.setxattr, "f", "user.a", b"v2", os.XATTR_CREATE), tried(os.setxattr, "f", "user.z", b"v", os.XATTR_REPLACE),
               tried(os.setxattr, "f", "user.a", b"", os.XATTR_REPLACE), tried(os.getxattr, "f", "user.a"),
               tried(os.setxattr, "f", "user.big", b"x" * 5000), tried(os.removexattr, "f", "user.q"),
               tried(os.removexattr, "f", "user.a"), tried(os.getxattr, "f", "user.a"),
               tried(os.setxattr, "s", "user.l", b"x", follow_symlinks=False),
               tried(os.setxattr, "s", "trusted.l", b"x", follow_symlinks=False)]
    os.chmod("f", 0o644)
    return result + [as_user(USER, [USER], lambda: [sorted(os.listxattr("f")), tried(os.getxattr, "f", "trusted.b"),
                                                    tried(os.setxattr, "f", "user.n", b"x")])]


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, who) for tag, bits, who in entries)


NOBODY = 2**32 - 1


@check
def access_lists():
    result = []
    extended = acl((1, 6, NOBODY), (2, 4, USER), (4, 4, NOBODY), (0x10, 6, NOBODY), (0x20, 0, NOBODY))
    minimal = acl((1, 7, NOBODY), (4, 5, NOBODY), (0x20, 4, NOBODY))
    default = acl((1, 7, NOBODY), (2, 7, USER), (4, 5, NOBODY), (8, 6, GROUP), (0x10, 7, NOBODY), (0x20, 1, NOBODY))
    access, inherited = "system.posix_acl_access", "system.posix_acl_default"
    make("f", b"x", 0o600)
    for value in (extended, minimal, extended, b"", acl((1, 7, NOBODY)), extended):
        result += [tried(os.setxattr, "f", access, value), tried(os.getxattr, "f", access), shape("f")]
    result += [as_user(USER, [USER], lambda: [tried(os.open, "f", os.O_RDONLY) != "EACCES", tried(os.open, "f", os.O_WRONLY)])]
    os.chmod("f", 0o640)
    result += [tried(os.getxattr, "f", access), shape("f")]
    os.chmod("f", 0o600)
    result += [as_user(USER, [USER], lambda: tried(os.open, "f", os.O_RDONLY)), tried(os.setxattr, "f", inherited, default),
               tried(os.removexattr, "f", access), shape("f")]
    os.mkdir("d")
    result.append(tried(os.setxattr, "d", inherited, default))
    os.umask(0o077)
    make_at = os.open("d/f", os.O_CREAT | os.O_WRONLY, 0o666)
    os.close(make_at)
    os.mkdir("d/d", 0o777)
    os.mkfifo("d/p", 0o666)
    os.symlink("x", "d/s")
    os.umask(0o022)
    for path in ("d/f", "d/d", "d/p", "d/s"):
        result += [shape(path), tried(os.getxattr, path, access, follow_symlinks=False),
                   tried(os.getxattr, path, inherited, follow_symlinks=False)]
    os.setxattr("d", inherited, acl((1, 7, NOBODY), (4, 5, NOBODY), (0x20, 0, NOBODY)))
    os.close(os.open("d/g", os.O_CREAT | os.O_WRONLY, 0o666))
    result += [shape("d/g"), tried(os.getxattr, "d/g", access), tried(os.removexattr, "d", inherited),
               tried(os.removexattr, "d", inherited), tried(os.getxattr, "d", inherited)]
    make("set", b"", 0o2755)
    os.chown("set", USER, GROUP)
    os.chmod("set", 0o2755)
    result += [as_user(USER, [USER], lambda: tried(os.setxattr, "set", access, extended)), shape("set")]
    return result


@check
def flags():
    getflags, setflags = 0x80086601, 0x40086602
    result = []
    make("f", b"data")
    handle = os.open("f", os.O_RDONLY)

    def get():
        return struct.unpack("l", fcntl.ioctl(handle, getflags, struct.pack("l", 0)))[0]

    for value in (0x40, 0x10, 0, 0x20, 0, 0x80, 0x8, 0):
        result += [tried(fcntl.ioctl, handle, setflags, struct.pack("l", value)) and None, get(), tried(os.truncate, "f", 2),
                   tried(os.unlink, "f" if value else "none"), tried(os.chmod, "f", 0o640), tried(os.link, "f", "x%d" % len(result)),
                   tried(os.open, "f", os.O_WRONLY) == "EPERM", tried(os.rename, "f", "f")]
        if not os.path.exists("f"):
            make("f", b"data")
            os.close(handle)
            handle = os.open("f", os.O_RDONLY)
    os.close(handle)
    return result


@check
def locks():
    make("f", b"x" * 100)
    first, second = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
    result = [tried(fcntl.flock, first, fcntl.LOCK_EX | fcntl.LOCK_NB), tried(fcntl.flock, second, fcntl.LOCK_SH | fcntl.LOCK_NB)]
    fcntl.flock(first, fcntl.LOCK_UN)
    fcntl.lockf(first, fcntl.LOCK_EX, 10, 0)
    return result + [as_user(0, [0], lambda: [tried(fcntl.lockf, os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5),
                                              tried(fcntl.lockf, os.open("f", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 50)])]


@check
def figures():
    found = os.statvfs(".")
    make("f", b"x" * 100000)
    after = os.statvfs(".")
    return [found.f_bsize, found.f_frsize, found.f_namemax, found.f_files, found.f_bfree - after.f_bfree,
            found.f_ffree - after.f_ffree]


@check
def listing():
    for i in range(3000):
        os.close(os.open("name-%d" % i, os.O_CREAT | os.O_WRONLY))
    names = []
    for entry in os.scandir("."):
        names.append(entry.name)
        if len(names) % 3 == 0:
            os.unlink(entry.name)
    return len(names), len(set(names)), len(os.listdir("."))


@check
def full():
    found = os.statvfs(".")
    handle = os.open("f", os.O_CREAT | os.O_WRONLY)
    total = 0
    try:
        while True:
            total += os.write(handle, b"x" * (1 << 20))
    except OSError as error:
        result = errno.errorcode[error.errno]
    os.close(handle)
    os.unlink("f")
    return result, total // (16 << 20), os.statvfs(".").f_bfree <= found.f_bfree


def outcome(function, point, turn):
    """The result of a check in a directory of its own, in a process of its own."""
    place = point / (function.__name__ + str(turn))
    place.mkdir()
    os.chmod(place, 0o777)

    def call():
        os.chdir(place)
        os.umask(0o022)
        return function()

    return as_user(0, [0], call)


def main():
    block, inode = (sys.argv[1:] + ["4096", "256"][len(sys.argv) - 1:])[:2]
    chosen = os.environ.get("CHECKS", "").split()
    mounts.wanted()
    bad = 0
    with mounts.Place() as place:
        images = [place.image(name, "192M", block, inode, ["-N", 40000]) for name in ("one", "two")]
        points = [place.fuse(images[0]), place.kernel(images[1])]
        for function in checks:
            if chosen and function.__name__ not in chosen:
                continue
            if inode == "128" and function in (times_of_calls, access_times, maps):
                print("%s: left out, an inode of 128 bytes keeps whole seconds" % function.__name__)
                continue
            begun = time.time()
            # Both clocks tick a few milliseconds apart, so a time may fall on either side of a tick.
            for turn in range(3):
                ours, theirs = [outcome(function, point, turn) for point in points]
                if ours == theirs:
                    break
            if ours != theirs or ours.startswith("raised"):
                bad += 1
                print("%s:\n  fuse:   %s\n  kernel: %s" % (function.__name__, ours, theirs))
            else:
                print("%s: %d characters agree, %.1f s" % (function.__name__, len(ours), time.time() - begun))
        for image, point in zip(images, points):
            place.unmount(point, image)
        mounts.check(images[0])
    sys.exit("%d checks differ" % bad if bad else 0)


main()
