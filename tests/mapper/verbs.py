# SPDX-License-Identifier: MIT
"""Commands that change names and attributes. Effects are checked by stat and debugfs, then errors, then e2fsck -fn."""

import os
import re
import subprocess
import time

from bench import MAPPER, check, debugfs, done, fsck, main, mke2fs, need, refused, run, terminal, usage


def stat(path, image="image"):
    """Returns the output of stat for a path."""
    lines = done("stat", image, path).out.decode(errors="surrogateescape").splitlines()
    return dict(line.split(": ", 1) for line in lines)


def names(path="/"):
    text = done("ls", "image", path).out.decode()
    return {line.split(None, 8)[8] for line in text.splitlines()} - {".", "..", "lost+found"}


def fresh():
    if os.path.exists("image"):
        os.unlink("image")
    done("format", "image", "8M", "--block-size", "4096")


def as_debugfs_sees(path, **expected):
    """Returns the fields of an inode, by an independent reader."""
    text = debugfs("image", "stat %s" % path)
    patterns = {"type": r"Type: (\S+(?: special)?)", "mode": r"Mode:\s+(\d+)", "uid": r"User:\s+(\d+)", "gid": r"Group:\s+(\d+)",
                "links": r"Links: (\d+)", "device": r"New-style\)? *(\d+:\d+)|Device major/minor number: (\d+:\d+)"}
    for name, value in expected.items():
        found = re.search(patterns[name], text)
        check(found and next(g for g in found.groups() if g) == str(value), "%s of %s is not %s\n%s" % (name, path, value, text))


def mkdir():
    fresh()
    done("mkdir", "image", "/a", "/b/", "/a/c", "--mode", "2750")
    check(stat("/a")["mode"] == "2750 drwxr-s---", stat("/a"))
    check(stat("/a")["links"] == "3" and stat("/")["links"] == "5", (stat("/a"), stat("/")))
    done("mkdir", "image", "-p", "/x//y/z/", "/a/c", "/x/y")
    check(names("/x/y") == {"z"}, names("/x/y"))
    as_debugfs_sees("/x/y", type="directory", links=3)
    refused("image", "mkdir", "image", "/a", why="exists")
    refused("image", "mkdir", "image", "/none/a", why="no such")
    refused("image", "mkdir", "image", "/", why="image: mkdir /: ")
    refused("image", "mkdir", "image", "/" + "n" * 256, why="name too long")
    done("touch", "image", "/file")
    for path in ("/file", "/file/a"):
        refused("image", "mkdir", "image", path)
        refused("image", "mkdir", "image", "-p", path)
    usage("mkdir", "image", "/q", "--mode", "rwx")
    usage("mkdir", "image", "/q", "--mode=8")
    fsck("image")


def mknod():
    fresh()
    done("mknod", "image", "/fifo", "p")
    done("mknod", "image", "/socket", "s", "--mode", "600")
    done("mknod", "image", "/char", "c", "5", "1")
    done("mknod", "image", "/block", "b", "300", "70000")
    for path, kind, letter in (("/fifo", "fifo", "p"), ("/socket", "socket", "s"), ("/char", "character device", "c"),
                               ("/block", "block device", "b")):
        found = stat(path)
        check(found["type"] == kind and found["mode"].split()[1][0] == letter, found)
    check(stat("/char")["device"] == "5,1" and stat("/block")["device"] == "300,70000", stat("/block"))
    text = done("ls", "image").out.decode()
    check(re.search(r" 300,70000 .* block\n", text) and re.search(r" 5,1 .* char\n", text), text)
    as_debugfs_sees("/char", device="05:01")
    as_debugfs_sees("/fifo", type="FIFO")
    refused("image", "mknod", "image", "/more", "c", "4096", "0", why="invalid")
    refused("image", "mknod", "image", "/fifo", "p", why="exists")
    for arguments in (("/q", "x"), ("/q", "c"), ("/q", "c", "1"), ("/q", "p", "1", "1"), ("/q", "c", "1", "x")):
        usage("mknod", "image", *arguments)
    fsck("image")


def ln():
    fresh()
    done("mkdir", "image", "/dir")
    done("touch", "image", "/file")
    done("ln", "image", "/file", "/dir/second")
    done("ln", "image", "/file", "/dir")
    check(names("/dir") == {"second", "file"} and stat("/file")["links"] == "3", names("/dir"))
    check(stat("/file")["inode"] == stat("/dir/second")["inode"], "another inode")
    for number, target in enumerate(("dir", "/absolute/none", "t" * 59, "t" * 60, "t" * 4000)):
        done("ln", "image", "-s", target, "/link-%d" % number)
        found = stat("/link-%d" % number)
        check(found["target"] == target and found["size"] == str(len(target)), found)
    done("ln", "image", "/link-1", "/the-link-itself")
    check(stat("/the-link-itself")["type"] == "symbolic link", "ln has followed")
    refused("image", "ln", "image", "/dir", "/dir2", why="ermi")
    refused("image", "ln", "image", "/none", "/x", why="no such")
    refused("image", "ln", "image", "/file", "/dir/second", why="exists")
    refused("image", "ln", "image", "-s", "t" * 4096, "/x", why="name too long")
    refused("image", "ln", "image", "-s", "", "/x", why="invalid")
    fsck("image")


def mv():
    fresh()
    done("mkdir", "image", "/a", "/a/sub", "/b")
    done("touch", "image", "/one", "/two", "/a/three")
    one, two = stat("/one")["inode"], stat("/two")["inode"]
    done("mv", "image", "/one", "/two")
    check(stat("/two")["inode"] == one and names() == {"a", "b", "two"}, names())
    done("mv", "image", "/two", "/b")
    done("mv", "image", "/a/sub", "/b/moved")
    check(names("/b") == {"two", "moved"} and stat("/b")["links"] == "3" and stat("/a")["links"] == "2", names("/b"))
    done("mv", "image", "--exchange", "/a", "/b/two")
    check(stat("/a")["inode"] == one and names("/b/two") == {"three"}, names("/b"))
    refused("image", "mv", "image", "--no-replace", "/a", "/b/two/three", why="exists")
    refused("image", "mv", "image", "/b", "/b/moved", why="invalid")
    refused("image", "mv", "image", "/none", "/x", why="no such")
    refused("image", "mv", "image", "--exchange", "/a", "/none", why="no such")
    done("mkdir", "image", "/c", "/c/a", "/c/a/full")
    refused("image", "mv", "image", "/a", "/c", why="is a directory")
    refused("image", "mv", "image", "/", "/c")
    usage("mv", "image", "/a", "/c", "--exchange", "--no-replace")
    fsck("image")


def rm():
    fresh()
    done("mkdir", "image", "/d", "/d/e", "/d/e/f", "/empty")
    done("touch", "image", "/one", "/two", "/d/x", "/d/e/f/y", "/control\x1b[31m")
    done("ln", "image", "-s", "/one", "/d/link")
    refused("image", "rm", "image", "/d", why="is a directory")
    refused("image", "rm", "image", "/none", why="no such")
    refused("image", "rm", "image", "-r", "/", why="rm /: ")
    refused("image", "rm", "image", "-r", "/d/.", why="invalid")
    refused("image", "rm", "image", "-r", "/d/..", why="invalid")
    done("rm", "image", "/two", "/control\x1b[31m")
    done("rm", "image", "-r", "/d", "/empty/", "/one")
    check(names() == set(), names())
    fsck("image")


def rm_goes_on():
    """After a failure below, the directories above stay and everything else is removed."""
    fresh()
    done("mkdir", "image", "/d", "/d/e")
    done("touch", "image", "/d/a", "/d/e/kept", "/d/e/z", "/d/z")
    # Made immutable by an independent writer.
    subprocess.run(["debugfs", "-w", "-R", "sif /d/e/kept flags 0x10", "image"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    result = run("rm", "image", "-r", "/d")
    check(result.code == 1 and result.err.count("\n") == 1 and "rm /d/e/kept: " in result.err, result)
    check(names("/d") == {"e"} and names("/d/e") == {"kept"}, names("/d"))
    check("immutable" in stat("/d/e/kept")["flags"], stat("/d/e/kept"))
    fsck("image")


def chmod_and_chown():
    fresh()
    done("mkdir", "image", "/d")
    done("touch", "image", "/f", "/d/g")
    done("ln", "image", "-s", "/f", "/link")
    for mode, wanted in (("4755", 0o4755), ("u=rw,go=r", 0o644), ("a+x", 0o755), ("g+s,o-rx", 0o2750), ("u=g", None),
                         ("+t", 0o3750), ("0", 0), ("ug+rwX", 0o660), ("u+x,g+X", 0o770), ("=r", 0o444)):
        if wanted is None:
            usage("chmod", "image", mode, "/f")
            continue
        if mode == "=r":
            done("chmod", "image", "777", "/f")
        done("chmod", "image", mode, "/link")
        check(stat("/f")["mode"].split()[0] == "%04o" % wanted, (mode, stat("/f")))
    check(stat("/link")["mode"].startswith("0777"), "chmod has changed the link")
    done("chmod", "image", "-r", "u=rwX,go=", "/d", "/f")
    check([stat(path)["mode"].split()[0] for path in ("/d", "/d/g", "/f")] == ["0700", "0600", "0600"], stat("/d/g"))
    done("chown", "image", "70000:80000", "/link")
    as_debugfs_sees("/f", uid=70000, gid=80000)
    check(stat("/f")["mode"].split()[0] == "0600" and stat("/link")["owner"] == str(os.geteuid()), stat("/link"))
    done("chown", "image", "-h", "1", "/link")
    done("chown", "image", ":4294967295", "/f")
    check((stat("/link")["owner"], stat("/f")["owner"], stat("/f")["group"]) == ("1", "70000", "4294967295"), stat("/f"))
    done("chown", "image", "-r", "5:6", "/")
    check({(stat(p)["owner"], stat(p)["group"]) for p in ("/", "/d/g", "/link")} == {("5", "6")}, stat("/link"))
    for owner in ("root", "1:", ":", "", "1:x", "4294967296", "-1"):
        usage("chown", "image", "--", owner, "/f")
    for mode in ("rwx", "888", "u", "u+q", "77777", ""):
        usage("chmod", "image", "--", mode, "/f")
    refused("image", "chmod", "image", "700", "/none", why="no such")
    refused("image", "chown", "image", "1", "/none", why="no such")
    fsck("image")


def touch():
    fresh()
    before = int(time.time())
    done("touch", "image", "/f", "/g")
    seconds = debugfs("image", "stat /f")
    found = int(re.search(r"mtime: 0x([0-9a-f]+)", seconds).group(1), 16)
    check(before <= found <= time.time(), seconds)
    for text, shown in (("2026-11-30 09:00:01", "2026-11-30 09:00:01.000000000"),
                        ("2040-02-29T12:30:00.5", "2040-02-29 12:30:00.500000000"),
                        ("@0", "1970-01-01 00:00:00.000000000"), ("@-1.999999999", "1969-12-31 23:59:59.999999999"),
                        ("1902-01-01 00:00:00.000000001", "1902-01-01 00:00:00.000000001"),
                        ("@4294967296", "2106-02-07 06:28:16.000000000"),
                        ("2446-01-01 00:00:00", "2446-01-01 00:00:00.000000000")):
        done("touch", "image", "--time", text, "/f")
        check(stat("/f")["modified"] == shown and stat("/f")["accessed"] == shown, (text, stat("/f")))
    done("touch", "image", "-c", "/none")
    check(names() == {"f", "g"}, names())
    done("ln", "image", "-s", "/f", "/link")
    done("touch", "image", "-h", "--time", "@5", "/link")
    done("touch", "image", "--time", "@7", "/new")
    check(stat("/link")["modified"].startswith("1970-01-01 00:00:05"), stat("/link"))
    check(stat("/new")["accessed"].startswith("1970-01-01 00:00:07"), stat("/new"))
    check(not stat("/f")["modified"].startswith("1970"), stat("/f"))
    for text in ("now", "@", "@x", "@1.", "@1.1234567890", "2026-02-30 00:00:00", "2026-11-30", "2026-11-30 09:00:01 UTC"):
        usage("touch", "image", "/f", "--time", text)
    refused("image", "touch", "image", "/none/x", why="no such")
    fsck("image")


def attributes():
    fresh()
    done("touch", "image", "/f")
    done("ln", "image", "-s", "/f", "/link")
    done("setfattr", "image", "/link", "user.text", "a value")
    done("setfattr", "image", "/f", "user.hex", "0x00fF10")
    done("setfattr", "image", "/f", "user.base64", "0sAAECA/8=")
    done("setfattr", "image", "/f", "user.empty", "")
    done("setfattr", "image", "/f", "user.long", "v" * 3000)
    done("setfattr", "image", "-h", "/link", "trusted.link", "itself")
    listed = done("getfattr", "image", "/f").out.decode().split()
    check(sorted(listed) == ["user.base64", "user.empty", "user.hex", "user.long", "user.text"], listed)
    check(done("getfattr", "image", "-h", "/link").out == b"trusted.link\n", "of the link itself")
    for name, value in (("user.text", b"a value"), ("user.hex", b"\0\xff\x10"), ("user.base64", b"\0\1\2\3\xff"),
                        ("user.empty", b""), ("user.long", b"v" * 3000)):
        check(done("getfattr", "image", "/link", name).out == value, name)
    check("user.text" in debugfs("image", "ea_list /f"), debugfs("image", "ea_list /f"))
    done("setfattr", "image", "/f", "user.text", "another")
    check(done("getfattr", "image", "/f", "user.text").out == b"another", "replaced")
    done("setfattr", "image", "/f", "user.text", "--remove")
    refused("image", "getfattr", "image", "/f", "user.text", why="no such")
    refused("image", "setfattr", "image", "/f", "user.text", "--remove", why="no such")
    refused("image", "setfattr", "image", "/f", "other.text", "x")
    refused("image", "setfattr", "image", "/f", "user.text", "v" * 70000, why="no space")
    refused("image", "setfattr", "image", "/f", "user." + "n" * 256, "x", why="invalid")
    refused("image", "getfattr", "image", "/none", why="no such")
    for value in ("0x0", "0xgg", "0sA", "0s*"):
        usage("setfattr", "image", "/f", "user.x", value)
    usage("setfattr", "image", "/f", "user.x")
    usage("setfattr", "image", "/f", "user.x", "y", "--remove")
    fsck("image")


def on_an_image_of_mke2fs():
    """The same commands with an indexed directory, and with inodes without nanoseconds."""
    mke2fs("image", 1024, None, "16M", "-I", "128", "-O", "dir_index")
    done("mkdir", "image", "/d", *("/d/%03d-%s" % (n, "x" * 100) for n in range(200)))
    subprocess.run(["e2fsck", "-fyD", "image"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done("touch", "image", "/d/new", "--time", "@1.5")
    check(stat("/d/new")["modified"] == "1970-01-01 00:00:01", stat("/d/new"))
    done("mv", "image", "/d/new", "/d/moved")
    done("rm", "image", "-r", "/d/000-" + "x" * 100, "/d/199-" + "x" * 100)
    fsck("image")
    done("rm", "image", "-r", "/d")
    check(names() == set(), names())
    fsck("image")


def many_paths():
    """A failure does not stop the remaining paths, and each failure has a line."""
    fresh()
    result = run("mkdir", "image", "/a", "/none/x", "/b", "/a", "/c")
    check(result.code == 1 and result.err.count("\n") == 2 and names() == {"a", "b", "c"}, result)
    result = run("stat", "image", "/a", "/none", "/b")
    check(result.code == 1 and result.out.count(b"path: ") == 2 and b"\n\npath: /b\n" in result.out, result)


def discard():
    """With --discard the image file shrinks by what is freed, and without it does not."""
    done("format", "roomy", "32M")
    with open("data", "wb") as file:
        file.write(os.urandom(6 << 20))
    done("put", "roomy", "data", "/a")
    done("put", "roomy", "data", "/b")

    def freed(*command):
        before = os.stat("roomy").st_blocks
        done(*command)
        return (before - os.stat("roomy").st_blocks) * 512 / (1 << 20)

    check(abs(freed("truncate", "roomy", "/a", 5 << 20)) < 0.2, "without the option")
    check(2.8 < freed("truncate", "--discard", "roomy", "/a", 2 << 20) < 3.3, "truncate")
    check(1.8 < freed("punch", "--discard", "roomy", "/a", 0, 2 << 20) < 2.3, "punch")
    check(5.8 < freed("rm", "--discard", "roomy", "/b") < 6.3, "rm")
    fsck("roomy")
    check(run("ls", "--discard", "roomy").code == 2, "a command that changes nothing")


def names_on_a_terminal():
    """Names in the output of ls, stat and errors contain no control bytes for the terminal."""
    fresh()
    done("touch", "image", "/\x1b[31mred")
    done("ln", "image", "-s", "\x1b[0m", "/link")
    done("setfattr", "image", "/link", "-h", "trusted.\x1b", "\x1b")
    for command in (("ls", "image"), ("stat", "image", "/\x1b[31mred", "/link"), ("getfattr", "image", "-h", "/link"),
                    ("getfattr", "image", "-h", "/link", "trusted.\x1b"), ("rm", "image", "/\x1b[31mnone"),
                    ("rm", "image", "-r", "/\x1b[31mred/x")):
        outer, inner = terminal()
        child = subprocess.Popen([MAPPER, *command], stdin=inner, stdout=inner, stderr=inner)
        os.close(inner)
        text = b""
        try:
            while chunk := os.read(outer, 4096):
                text += chunk
        except OSError:
            pass
        child.wait()
        os.close(outer)
        check(b"\x1b" not in text and b"\\033" in text, (command, text))


need("mke2fs", "debugfs", "e2fsck")
main(mkdir, mknod, ln, mv, rm, rm_goes_on, chmod_and_chown, touch, attributes, on_an_image_of_mke2fs, many_paths,
     discard, names_on_a_terminal)
