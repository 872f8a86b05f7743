# SPDX-License-Identifier: MIT
"""Several sources over each other, with the whiteouts of OCI, and the options that choose or change files."""

import os
import tarfile

from tool import archive, build, check, done, entry, fsck, listed, main, need, need_archives, refused, run, write

DIR = tarfile.DIRTYPE


def layered(*layers):
    """Builds an image of archives, and returns the paths of its regular files."""
    for number, entries in enumerate(layers):
        write("layer%d" % number, archive(*entries))
    names = ["layer%d" % number for number in range(len(layers))]
    build("--force", *names, "image")
    fsck("image")
    done("verify", "image", *names)
    return listed("image")


def file(name, data=b"x", **fields):
    return entry(name, data=data, **fields)


def replacement():
    lower = [entry("d", DIR, mode=0o700), file("d/a", b"lower"), file("d/b"), file("f"), entry("g", DIR), file("g/h")]
    check(layered(lower, [file("d/a", b"upper"), file("d/c")]) == {"/d/a", "/d/b", "/d/c", "/f", "/g/h"}, "over")
    # A directory keeps its names, and gets the attributes of the upper layer.
    check(layered(lower, [entry("d", DIR, mode=0o711)]) == {"/d/a", "/d/b", "/f", "/g/h"}, "a directory over a directory")
    # A file hides the subtree of a directory, and a directory replaces a file.
    check(layered(lower, [file("g"), entry("f", DIR), file("f/x")]) == {"/d/a", "/d/b", "/f/x", "/g"}, "other types")
    check(layered(lower, [file("g")], [entry("g", DIR), file("g/new")]) == {"/d/a", "/d/b", "/f", "/g/new"}, "twice")


def whiteouts():
    lower = [entry("d", DIR), file("d/a"), file("d/b"), entry("d/e", DIR), file("d/e/f"), file("f")]
    check(layered(lower, [file("d/.wh.a")]) == {"/d/b", "/d/e/f", "/f"}, "a file")
    check(layered(lower, [file(".wh.d")]) == {"/f"}, "a directory")
    check(layered(lower, [file("d/.wh.none"), file("new/.wh.x")]) == {"/d/a", "/d/b", "/d/e/f", "/f"}, "nothing")
    for order in (1, -1):
        # A whiteout hides lower layers only, wherever the layer names it.
        upper = [file("d/.wh..wh..opq"), file("d/new"), file("d/e/g")][::order]
        check(layered(lower, upper) == {"/d/new", "/d/e/g", "/f"}, "opaque")
        check(layered(lower, [file(".wh.d"), file("d/new")][::order]) == {"/d/new", "/f"}, "replaced")
        check(layered(lower, [file(".wh.f"), file("f")][::order]) == {"/d/a", "/d/b", "/d/e/f", "/f"}, "the same name")
    check(layered(lower, [file(".wh..wh.plnk")]) == {"/d/a", "/d/b", "/d/e/f", "/f"}, "reserved")
    check(layered(lower, [file(".wh..wh..opq"), file("x")]) == {"/x"}, "the root")


def links():
    """A hard link of which a layer hides a name has a name less."""
    hard = entry("d/hard", tarfile.LNKTYPE, linkname="f")
    check(layered([file("f"), entry("d", DIR), hard], [file("f", b"new")]) == {"/d/hard", "/f"}, "replaced")
    check(layered([file("f"), entry("d", DIR), hard], [file("d/.wh.hard")]) == {"/f"}, "hidden")
    check(layered([file("f")], [hard]) in ({"/f"}, {"/d/hard"}), "a link across layers")


def attributes():
    """An archive may hold an attribute in two forms, and the last counts."""
    write("both", archive(file("f", pax_headers={"SCHILY.xattr.user.a": "1", "LIBARCHIVE.xattr.user.a": "Mg"})))
    build("both", "image")
    done("verify", "image", "both")


def mixed():
    """Directories and archives over each other."""
    os.makedirs("over/d")
    write("over/d/.wh.a", b"")
    write("over/d/new", b"new")
    write("lower", archive(file("d/a"), file("d/b")))
    build("lower", "over", "image")
    fsck("image")
    check(listed("image") == {"/d/b", "/d/new"}, listed("image"))
    done("verify", "image", "lower", "over")
    check(run("verify", "image", "over", "lower").returncode == 1, "the other order")


def options():
    os.makedirs("source/d/cache")
    for name in ("a.o", "a.c", "d/b.o", "d/cache/x", "d/keep", "cache"):
        write("source/" + name, b"x")
    for patterns, left in ((("*.o",), {"/a.c", "/d/cache/x", "/d/keep", "/cache"}), (("d",), {"/a.o", "/a.c", "/cache"}),
                           (("cache",), {"/a.o", "/a.c", "/d/b.o", "/d/keep"}),
                           (("/cache", "d/*.o"), {"/a.o", "/a.c", "/d/cache/x", "/d/keep"})):
        arguments = [word for pattern in patterns for word in ("--exclude", pattern)]
        build("--force", *arguments, "source", "image")
        check(listed("image") == left, (patterns, listed("image")))
        done("verify", *arguments, "image", "source")
    build("--force", "--owner", "7:4294967295", "--root-mode", "1750", "--epoch", "1000", "source", "image")
    done("verify", "--owner", "7:4294967295", "--root-mode", "1750", "--epoch", "1000", "image", "source")
    result = run("verify", "image", "source")
    for line in ("/: mode 1750", "/a.c: owner 7:4294967295", "/a.c: time 1000.000000000"):
        check(line in result.out, result.out)
    refused("are needed", "build", "--size", "20K", "source", "other")


def sizes():
    """The size is the smallest, and --free and --inodes add."""
    os.makedirs("source")
    write("source/f", os.urandom(5 << 20))
    least = build("source", "image")
    refused("%d bytes are needed" % least["size"], "build", "--size", least["size"] - 4096, "source", "other")
    check(build("--force", "--size", least["size"], "source", "image")["size"] == least["size"], "exactly")
    check(build("--force", "--size", "min", "source", "image")["size"] == least["size"], "min")
    more = build("--force", "--free", "100M", "source", "image")
    check(more["free"] >= 100 << 20 and more["size"] < least["size"] + (105 << 20), more)
    check(more["inodes"] > 6000, more)
    check(build("--force", "--inodes", "50000", "source", "image")["inodes"] >= 50000, "inodes")
    check(build("--force", "--size", "200M", "source", "image")["size"] == 200 << 20, "200M")
    fsck("image")


need("e2fsck")
need_archives()
main(replacement, whiteouts, links, attributes, mixed, options, sizes)
