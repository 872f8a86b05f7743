# SPDX-License-Identifier: MIT
"""put -r and get -r of whole trees. Types, modes, owners, times, links, holes and attributes are equal, by lstat and by rsync
against a loop mount. Further cases are full images, existing names, hostile images, and missing privilege.

    tree_copies.py             a tree with every kind of file
    tree_copies.py --rsync     the same, compared by rsync in a loop mount
    tree_copies.py TREE        a tree of this machine
"""

import os
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

from bench import (MAPPER, Mount, as_user, check, data_of, digest, done, fsck, main, mke2fs, need, refused, run, same, skip,
                   terminal, usage)

ROOT = os.geteuid() == 0
LARGE_ID = 3000000000


def acl(*entries):
    """Returns an ACL as passed by Linux, with version 2, then tag, permissions and id of each entry."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ANY = 0xFFFFFFFF
ACCESS = acl((1, 6, ANY), (2, 4, 1234), (4, 4, ANY), (16, 6, ANY), (32, 0, ANY))
DEFAULT = acl((1, 7, ANY), (2, 5, 70000), (4, 5, ANY), (16, 5, ANY), (32, 0, ANY))
# cap_net_raw+ep, version 2
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def make_tree(top):
    """Makes every kind of file. Without privilege, the kinds allowed to a user."""
    source = random.Random(5)
    os.makedirs(top + "/deep/er/and/deeper/still/one/two/three/four/five")
    os.mkdir(top + "/many")
    for n in range(700):
        with open("%s/many/%03d-%s" % (top, n, "n" * (n % 60)), "wb") as file:
            file.write(b"%d" % n * (n % 50))
    for name, size in (("empty", 0), ("byte", 1), ("block", 4096), ("more", 4097), ("large", 5 << 20)):
        with open("%s/%s" % (top, name), "wb") as file:
            file.write(source.randbytes(size))
    with open(top + "/holes", "wb") as file:
        for at in (0, 1 << 20, (3 << 20) + 5, 40 << 20):
            file.seek(at)
            file.write(source.randbytes(10000))
        file.truncate((41 << 20) + 7)
    with open(top + "/only-hole", "wb") as file:
        file.truncate(3 << 20)
    with open(top + "/\x1b[31mred\n \u00fc" + "n" * 200, "wb") as file:
        file.write(b"named")
    for name in ("second", "deep/er/third"):
        os.link(top + "/large", "%s/%s" % (top, name))
    for name, target in (("to-file", "large"), ("dangling", "/none/at/all"), ("fast", "t" * 59), ("slow", "t" * 60),
                         ("slower", "t" * 4000), ("to-directory", "deep"), ("loop", "loop")):
        os.symlink(target, "%s/%s" % (top, name))
    os.link(top + "/slow", top + "/slow-again", follow_symlinks=False)
    os.mkfifo(top + "/fifo", 0o640)
    sock = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(top)
    sock.bind("socket")
    os.chdir(here)
    sock.close()
    os.mkdir(top + "/closed")
    with open(top + "/closed/inside", "wb") as file:
        file.write(b"x")
    for name, mode in (("byte", 0o4751), ("block", 0o2755), ("many", 0o1777), ("deep", 0o2770), ("closed", 0o500),
                       ("empty", 0 if ROOT else 0o400)):
        os.chmod("%s/%s" % (top, name), mode)
    if ROOT:
        os.mknod(top + "/null", 0o20666, os.makedev(1, 3))
        os.mknod(top + "/block-device", 0o60600, os.makedev(300, 70000))
        for name in ("more", "fifo", "fast", "null", "deep/er"):
            os.chown("%s/%s" % (top, name), LARGE_ID, 70000, follow_symlinks=False)
        os.chown(top + "/byte", 1000, 1001)
        os.chmod(top + "/byte", 0o4751)


def attributes(top):
    """Sets extended attributes, as far as this filesystem stores them. Returns the names left out."""
    left_out = set()
    for name, attribute, value in (
            ("more", "user.text", b"a value"), ("more", "user.empty", b""), ("more", "user.long", b"v" * 2000),
            ("many", "user.directory", bytes(range(256))), ("block", "user.text", b"a value"),
            ("more", "system.posix_acl_access", ACCESS), ("deep", "system.posix_acl_default", DEFAULT),
            ("byte", "trusted.text", b"of the system"), ("fast", "trusted.link", b"on a link"),
            ("fifo", "trusted.fifo", b"on a fifo"), ("large", "security.capability", CAPABILITY)):
        try:
            os.setxattr("%s/%s" % (top, name), attribute, value, follow_symlinks=False)
        except OSError as error:
            left_out.add("%s of %s: %s" % (attribute, name, error.strerror))
    return left_out


def ages(top):
    """Sets times of every kind, on directories last."""
    for number, (directory, directories, files) in enumerate(os.walk(top, topdown=False)):
        links = [name for name in directories if os.path.islink(os.path.join(directory, name))]
        for name in files + links:
            number += 1
            at = ((1_000_000_000 + number * 86400) * 10**9 + number * 1001, (1_100_000_000 + number) * 10**9 + 999_999_999)
            os.utime(os.path.join(directory, name), ns=at, follow_symlinks=False)
        os.utime(directory, ns=((1_200_000_000 + number) * 10**9 + 5, (1_300_000_000 + number) * 10**9 + 123_456_789))
    for name, second in (("empty", -86400), ("block", 2**31 + 5), ("more", 2**32 + 5)):
        os.utime("%s/%s" % (top, name), ns=(second * 10**9 + 7, second * 10**9 + 9), follow_symlinks=False)


def looked_at(top):
    """Returns {path: lstat}, each read before an access changes its time of access."""
    found = {}

    def look(path):
        found[path] = os.lstat(path)
        if stat.S_ISDIR(found[path].st_mode):
            for name in sorted(os.listdir(path)):
                look(os.path.join(path, name))

    look(top)
    return found


def seen(top, owners=True, links=True):
    """Returns {path below top: everything kept by a copy}."""
    found, first = {}, {}
    for path, there in looked_at(top).items():
        kind, name = stat.S_IFMT(there.st_mode), os.path.relpath(path, top)
        one = {"mode": oct(there.st_mode), "mtime": there.st_mtime_ns, "atime": there.st_atime_ns}
        if owners:
            one["owner"] = (there.st_uid, there.st_gid)
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            one["device"] = (os.major(there.st_rdev), os.minor(there.st_rdev))
        if kind == stat.S_IFREG:
            one["size"] = there.st_size
        if kind == stat.S_IFLNK:
            one["target"] = os.readlink(path)
        if kind != stat.S_IFDIR and links:
            one["links"] = there.st_nlink
            one["first"] = first.setdefault((there.st_dev, there.st_ino), name)
        one["attributes"] = {attribute: os.getxattr(path, attribute, follow_symlinks=False)
                             for attribute in os.listxattr(path, follow_symlinks=False)
                             if attribute != "security.selinux"}
        found[name] = one
    return found


def without_atime(found):
    """The same for a tree which has been read."""
    for one in found.values():
        one.pop("atime")
    return found


def equal(found, wanted):
    check(sorted(found) == sorted(wanted), "names: %r" % (set(found) ^ set(wanted),))
    for path, one in wanted.items():
        check(found[path] == one, "%r\n  found    %r\n  expected %r" % (path, found[path], one))


def contents(copy, tree):
    """Checks that the bytes are equal and no hole became data."""
    done_diff = subprocess.run(["diff", "-r", "--no-dereference", tree, copy], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    lines = [line for line in done_diff.stdout.decode(errors="replace").splitlines() if " is a " not in line]
    check(not lines, "\n".join(lines[:20]))
    for directory, _, files in os.walk(tree):
        for name in files:
            path = os.path.join(directory, name)
            if not os.path.islink(path) and os.path.isfile(path) and os.access(path, os.R_OK):
                other = os.path.join(copy, os.path.relpath(path, tree))
                with open(path, "rb") as a, open(other, "rb") as b:
                    given = sum(end - start + 2 * 4096 for start, end in data_of(a))
                    there = sum(end - start for start, end in data_of(b))
                    check(there <= given, "%s: %d bytes of data became %d" % (name, given, there))


def rsync_says_nothing(tree, image):
    """Checks that rsync would change nothing in a loop mount. Skips if rsync or root is missing."""
    need("rsync")
    if not ROOT:
        skip("mounting is root's")
    with Mount(image) as at:
        result = subprocess.run(["rsync", "-aHAXn", "--itemize-changes", "--delete", tree + "/", at + "/"],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(result.returncode == 0 and result.stdout == b"", "rsync: %d\n%s" % (
            result.returncode, result.stdout.decode(errors="replace")[:2000]))


def start():
    """A tree with every kind of file, and an image with nothing in its root."""
    make_tree("tree")
    for line in sorted(attributes("tree")):
        print("left out:", line)
    ages("tree")
    done("format", "image", "64M", "--block-size", "4096")
    done("rm", "-r", "image", "/lost+found")


def as_rsync_sees_it():
    start()
    done("put", "-r", "image", "tree/.", "/")
    rsync_says_nothing("tree", "image")
    # rsync prints a line if the trees differ.
    done("setfattr", "image", "/more", "user.text", "another")
    with Mount("image") as at:
        result = subprocess.run(["rsync", "-aHAXn", "--itemize-changes", "tree/", at + "/"], stdout=subprocess.PIPE, check=True)
    check(result.stdout == b".f........x more\n", result.stdout)


def there_and_back():
    """Copies a tree with every kind of file into an image and out again."""
    start()
    wanted = seen("tree")
    ages("tree")
    result = done("put", "-r", "image", "tree/.", "/")
    check(result.err == "", result)
    fsck("image")
    # put does not change times of access, except of symbolic links, where reading changes the time.
    for path, one in wanted.items():
        check("target" in one or os.lstat("tree/" + path).st_atime_ns == one["atime"], path + ": put has changed atime")
    result = done("get", "-r", "image", "/", "out")
    check(result.err == "", result)
    equal(seen("out"), wanted)
    contents("out", "tree")
    copied = done("stat", "image", "/large", "/second").out.decode()
    check(len({line for line in copied.splitlines() if line.startswith("inode: ")}) == 1, copied)
    check('"holes": []' not in done("map", "image", "/holes", "--json").out.decode(), "a hole became data")


def by_name():
    """Copies as cp -a names the copy, to a new directory, into an existing directory, and merged with a directory."""
    done("format", "image2", "64M")
    done("put", "-r", "image2", "tree", "/new")
    done("put", "-r", "image2", "tree", "/")
    done("put", "-r", "image2", "tree/", "/new")
    done("get", "-r", "image2", "/new/tree", "out2")
    os.mkdir("parent")
    try:
        # A file made in this directory inherits an ACL, and loses the ACL again.
        os.setxattr("parent", "system.posix_acl_default", DEFAULT)
    except OSError as error:
        print("left out: an ACL to inherit:", error.strerror)
    done("get", "-r", "image2", "/tree", "parent")
    equal(without_atime(seen("out2")), without_atime(seen("tree")))
    equal(without_atime(seen("parent/tree")), without_atime(seen("tree")))
    done("get", "-r", "image2", "/tree/.", "parent")
    check(sorted(os.listdir("parent")) == sorted(os.listdir("tree") + ["tree"]), os.listdir("parent"))
    for path, to in (("large", "/alone"), ("fast", "/"), ("fifo", "/alone-fifo")):
        done("put", "-r", "image2", "tree/" + path, to)
    done("get", "-r", "image2", "/alone", "parent/alone")
    same("parent/alone", "tree/large")
    done("get", "-r", "image2", "/fast", "parent")
    check(os.readlink("parent/fast") == "t" * 59, "a symbolic link by itself")
    done("get", "-r", "image2", "/alone-fifo", "parent/alone-fifo")
    check(stat.S_ISFIFO(os.lstat("parent/alone-fifo").st_mode), "a fifo by itself")
    fsck("image2")


def again():
    """A copy over an older copy replaces every file, and leaves no temporary file."""
    before = done("ls", "image").out
    ages("tree")
    wanted = seen("tree")
    ages("tree")
    done("put", "-r", "image", "tree/.", "/")
    check(len(done("ls", "image").out.splitlines()) == len(before.splitlines()), "a name more or less")
    fsck("image")
    # Only the superuser writes to a directory without write permission.
    os.chmod("out/closed", 0o700)
    done("get", "-r", "image", "/", "out/.")
    equal(seen("out"), wanted)
    contents("out", "tree")


def in_the_way():
    """A directory never replaces another type, and no other type a directory. The rest is copied."""
    os.makedirs("clash/d")
    for path in ("clash/f", "clash/d/inside", "clash/last"):
        with open(path, "w") as file:
            file.write(path)
    done("format", "image3", "8M")
    done("mkdir", "image3", "/f")
    done("touch", "image3", "/d")
    result = run("put", "-r", "image3", "clash/.", "/")
    check(result.code == 1 and "put clash/./d: not a directory" in result.err and "put clash/./f: " in result.err
          and result.err.count("\n") == 2, result)
    check(done("get", "image3", "/last").out == b"clash/last", "the rest")
    check(b".pmem-mapper" not in done("ls", "image3").out, "a name in passing is left")
    fsck("image3")
    shutil.rmtree("clash-out", ignore_errors=True)
    os.makedirs("clash-out/last")
    os.symlink("/nowhere", "clash-out/d")
    done("rm", "image3", "-r", "/d", "/f")
    done("mkdir", "image3", "/d")
    done("touch", "image3", "/d/inside")
    result = run("get", "-r", "image3", "/.", "clash-out")
    check(result.code == 1 and "/last: write: " in result.err and "/d: write: " in result.err, result)
    check(os.readlink("clash-out/d") == "/nowhere" and os.path.isdir("clash-out/last"), "replaced all the same")
    check(set(os.listdir("clash-out")) == {"d", "last", "lost+found"}, os.listdir("clash-out"))


def no_room():
    """A new tree that does not fit is refused as a whole. A copy over existing names ends early with a message."""
    done("format", "small", "4M")
    refused("small", "put", "-r", "small", "tree", "/", why="blocks needed")
    os.mkdir("inodes")
    for n in range(4000):
        os.close(os.open("inodes/%d" % n, os.O_CREAT | os.O_WRONLY))
    refused("small", "put", "-r", "small", "inodes", "/", why="inodes needed")
    os.mkdir("grown")
    shutil.copy("tree/more", "grown/a")
    for name in ("b", "c"):
        with open("grown/" + name, "wb") as file:
            file.write(os.urandom(3 << 20))
    done("mkdir", "small", "/grown")
    done("touch", "small", "/grown/a")
    result = run("put", "-r", "small", "grown", "/")
    check(result.code == 1 and "ended early" in result.err and "no space left" in result.err, result)
    same_file = done("get", "small", "/grown/a").out
    with open("tree/more", "rb") as file:
        check(same_file == file.read(), "what came before the end is not there")
    check(b" c\n" not in done("ls", "small", "/grown").out, "half a file is there")
    fsck("small")


def bad_sources():
    done("format", "image4", "8M")
    refused("image4", "put", "-r", "image4", "none", "/", why="No such file")
    refused("image4", "put", "-r", "image4", "tree", "/none/x", why="no such")
    refused("image4", "get", "-r", "image4", "/none", "o", why="no such")
    refused("image4", "get", "-r", "image4", "/", "none/x", why="No such file")
    usage("get", "-r", "image4", "/")
    usage("get", "-r", "image4", "/", "-")
    usage("get", "-r", "image4", "/", "o", "--mapped")
    check(not os.path.exists("o"), "something was made")
    # The image in the tree, and in the way of the copy.
    os.mkdir("own")
    shutil.move("image4", "own/image")
    with open("own/after", "w") as file:
        file.write("after")
    result = run("put", "-r", "own/image", "own/.", "/")
    check(result.code == 1 and "own/./image: is the image itself" in result.err, result)
    check(done("get", "own/image", "/after").out == b"after", "the rest")
    done("touch", "own/image", "/image")
    before = digest("own/image")
    result = run("get", "-r", "own/image", "/.", "own")
    check(result.code == 1 and "is the image itself" in result.err and digest("own/image") == before, result)


def hostile():
    """Directories with two names, duplicate names, and links to other places cause no write outside the destination."""
    mke2fs("evil", 4096, None, "8M")
    outside = os.path.abspath("outside")
    os.mkdir(outside)
    script = ["mkdir loop", "mkdir loop/in", "link loop loop/in/again", "symlink out %s" % outside, "mkdir real",
              "write own/after real/file", "symlink file2 %s/file2" % outside, "write own/after plain"]
    subprocess.run(["debugfs", "-w", "-f", "/dev/stdin", "evil"], input="\n".join(script).encode(), check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # A second entry named "out" is the directory "real", and a second "file2" is a file.
    with open("evil", "rb") as file:
        content = file.read()
    check(content.count(b"real") == 1 and content.count(b"plain") == 1, "names")
    content = content.replace(b"\x04\x02real", b"\x03\x02out\0").replace(b"\x05\x01plain", b"\x05\x01file2")
    with open("evil", "wb") as file:
        file.write(content)
    result = run("get", "-r", "evil", "/", "evil-out")
    check(result.code == 1 and "second name" in result.err and "/out: write: " in result.err, result)
    check(os.listdir(outside) == [], "written outside: %r" % os.listdir(outside))
    check(os.listdir("evil-out/loop/in") == [], "the directory with two names was entered again")
    check(os.path.islink("evil-out/out") and not os.path.islink("evil-out/file2"), os.listdir("evil-out"))
    # The same where the destination itself has a symbolic link in the place of a directory.
    os.makedirs("trap")
    os.symlink(outside, "trap/loop")
    result = run("get", "-r", "evil", "/", "trap/.")
    check(result.code == 1 and os.listdir(outside) == [], result)
    result = run("rm", "-r", "evil", "/loop")
    check(result.code == 1 and "second name" in result.err, result)


def unprivileged():
    """Without privilege, owners, setuid and attributes of the system are left out with a single message, and devices fail."""
    if not ROOT:
        print("left out: becoming a user is root's")
        return
    user = as_user(65534)
    if user is None:
        return
    os.mkdir("user", 0o755)
    os.chown("user", 65534, 65534)
    os.chmod("image", 0o644)
    result = run("get", "-r", "image", "/", "user/out", **user)
    check(result.code == 1, result)
    for text in ("warning: owners are left out", "/null: write: ", "/block-device: write: "):
        check(result.err.count(text) == 1, (text, result.err))
    found, wanted = seen("user/out", owners=False, links=False), seen("tree", owners=False, links=False)
    for path, one in wanted.items():
        if path in ("null", "block-device"):
            continue
        mode = int(found[path]["mode"], 8)
        check(mode == int(one["mode"], 8) & ~0o6000, (path, oct(mode), one["mode"]))
        check(found[path]["mtime"] == one["mtime"], path)
    contents_of = {path for path in wanted if wanted[path].get("size")}
    for path in contents_of:
        same(os.path.join("user/out", path), os.path.join("tree", path))
    for image in ("image5",):
        done("format", image, "64M")
        os.chmod(image, 0o666)
        result = run("put", "-r", image, "tree/.", "/", **user)
        check(result.code == 1 and "./empty: Permission denied" in result.err and "closed" in result.err, result)
        fsck(image)


def stopped():
    """An interrupt ends the copy between two steps. The image is consistent, and the message names the copied files."""
    done("format", "image6", "256M")
    os.mkdir("long")
    for n in range(3):
        with open("long/%d" % n, "wb") as file:
            file.truncate(40 << 20)
            for at in range(0, 40 << 20, 4096):
                file.seek(at)
                file.write(b"x")
    child = subprocess.Popen([MAPPER, "put", "-r", "image6", "long", "/"], stderr=subprocess.PIPE)
    time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    text = child.communicate()[1].decode()
    check(child.returncode in (0, 1, -signal.SIGTERM) and (child.returncode != 1 or "interrupted" in text), (child.returncode, text))
    if child.returncode >= 0:
        fsck("image6")


def on_a_terminal(*command):
    """Returns the output of a command on a terminal. The command is stopped for a while after the first copied data."""
    outer, inner = terminal()
    child = subprocess.Popen([MAPPER, *command], stdout=inner, stderr=inner)
    os.close(inner)
    copied = 0
    while copied < 1 << 20 and child.poll() is None:
        with open("/proc/%d/io" % child.pid) as file:
            figures = dict(line.split(": ") for line in file.read().splitlines())
        copied = int(figures["rchar"]) + int(figures["wchar"])
    child.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    child.send_signal(signal.SIGCONT)
    text = b""
    try:
        while chunk := os.read(outer, 4096):
            text += chunk
    except OSError:
        pass
    os.close(outer)
    return child.wait(), text


def progress():
    """A terminal shows a progress bar for work over a second. Other outputs have no bar."""
    done("format", "image7", "512M")
    check(done("put", "-r", "image7", "long", "/first").err == "", "put")
    check(done("get", "-r", "image7", "/first", "first").err == "", "get")
    for command in (("put", "-r", "image7", "long", "/"), ("get", "-r", "image7", "/long", "second")):
        code, text = on_a_terminal(*command)
        bars = re.findall(rb"\[#*\.*\] +(\d+)%", text)
        check(code == 0 and bars and text.endswith(b"\r\033[K"), (code, text))
        check([int(bar) for bar in bars] == sorted(int(bar) for bar in bars), text)


def of_this_machine():
    """Copies a tree of this machine by put -r and get -r. rsync finds no difference."""
    tree = sys.argv[1].rstrip("/")
    used = int(subprocess.run(["du", "-s", "-B1M", "--apparent-size", tree], stdout=subprocess.PIPE,
                              check=True).stdout.split()[0])
    done("format", "image", "%dM" % (used * 2 + 64), "--block-size", "4096")
    done("rm", "-r", "image", "/lost+found")
    wanted = seen(tree)
    started = time.monotonic()
    result = done("put", "-r", "image", tree + "/.", "/")
    put = time.monotonic() - started
    check(result.err == "", result)
    fsck("image")
    started = time.monotonic()
    done("get", "-r", "image", "/", "out")
    print("%d files, %d MiB: put -r %.2f s, get -r %.2f s" % (len(wanted), used, put, time.monotonic() - started))
    equal(without_atime(seen("out")), without_atime(wanted))
    contents("out", tree)
    rsync_says_nothing(tree, "image")


need("mke2fs", "debugfs", "e2fsck", "diff")
if sys.argv[1:] == ["--rsync"]:
    main(as_rsync_sees_it)
elif len(sys.argv) > 1:
    main(of_this_machine)
else:
    main(there_and_back, by_name, again, in_the_way, no_room, bad_sources, hostile, unprivileged, stopped, progress)
