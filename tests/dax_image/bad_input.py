# SPDX-License-Identifier: MIT
"""Bad input: a message with the path, exit 1, and no image, temporary file or change left behind."""

import gzip
import os
import signal
import subprocess
import tarfile
import time

from tool import (ARCHIVES, TOOL, PMD_RANGE, archive, build, check, content, done, entry, main, need, refused, run, tar, tree,
                  write)


def usage():
    for arguments in ((), ("make",), ("build",), ("build", "x"), ("verify", "x"), ("report",), ("report", "a", "b", "c"),
                      ("build", "--size", "x", "a", "b"), ("build", "--size", "0", "a", "b"), ("build", "--uuid", "1", "a", "b"),
                      ("build", "--label", "seventeen letters", "a", "b"), ("build", "--epoch", "-1", "a", "b"),
                      ("build", "--epoch", "4294967296", "a", "b"), ("build", "--owner", "root", "a", "b"),
                      ("build", "--block-size", "3000", "a", "b"), ("build", "--inode-size", "64", "a", "b"),
                      ("build", "--root-mode", "9", "a", "b"), ("build", "--align", "much", "a", "b"),
                      ("build", "--inodes", "0", "a", "b"), ("build", "--svg", "f", "a", "b"), ("build", "--what", "a", "b"),
                      ("report", "--force", "a"), ("verify", "--size", "5M", "a", "b"), ("build", "--size")):
        result = run(*arguments)
        check(result.returncode == 2 and result.err and not result.out, result)
    check(run("build", "a", "b", env={"SOURCE_DATE_EPOCH": "x"}).returncode == 2, "SOURCE_DATE_EPOCH")
    check(done("--version").out.startswith("dax-image ") and "build" in done("--help").out, "--version")


def sources():
    os.mkdir("source")
    write("source/file", b"x" * 100000)
    refused("none", "build", "none", "image")
    refused("No such file", "build", "source", "none", "image")
    refused("none", "build", "source", "none/image")
    refused("needed", "build", "--size", "64K", "source", "image")
    if os.geteuid():
        os.chmod("source/file", 0)
        refused("/file", "build", "source", "image")


def existing():
    os.mkdir("source")
    write("image", b"precious")
    refused("image: exists", "build", "source", "image")
    check(content("image") == b"precious", "changed")
    # A failure with --force leaves the old image.
    refused("none", "build", "--force", "none", "image")
    check(content("image") == b"precious", "changed")
    build("--force", "source", "image")
    os.mkdir("directory")
    refused("no regular file", "build", "--force", "source", "directory")


def paths():
    """An archive may not lead outside, and not through a symbolic link."""
    if not ARCHIVES:
        return
    link = entry("link", tarfile.SYMTYPE, linkname="/etc")
    bad = [("../out: the path leads outside", [entry("../out", data=b"x")]),
           ("a/../../out", [entry("a/../../out", data=b"x")]),
           ("/etc/x: the path is absolute", [entry("/etc/x", data=b"x")]),
           ("link/x: the path leads through a symbolic link", [link, entry("link/x", data=b"x")]),
           ("file/x: the path leads through a file", [entry("file", data=b"x"), entry("file/x", data=b"x")]),
           ("longer than 255", [entry("n" * 256, data=b"x")]),
           ("longer than 255", [entry("d/" + "n" * 300 + "/f", data=b"x")]),
           ("a hard link to none", [entry("hard", tarfile.LNKTYPE, linkname="none")]),
           ("leads outside", [entry("hard", tarfile.LNKTYPE, linkname="../../etc/passwd")]),
           ("symbolic link", [link, entry("hard", tarfile.LNKTYPE, linkname="link/passwd")]),
           ("root is no directory", [entry("./", tarfile.SYMTYPE, linkname="/etc")]),
           ("link: the target of the symbolic link", [entry("link", tarfile.SYMTYPE, linkname="t" * 4096)]),
           ("device: the device number", [entry("device", tarfile.CHRTYPE, devmajor=5000, devminor=1)]),
           ("large: the file is larger than files of an image", [entry("large", pax_headers={"size": str(2**50)})]),
           ("user.: invalid", [entry("file", pax_headers={"SCHILY.xattr.user.": "1"})]),
           ("owner does not fit", [entry("file", uid=1 << 32)])]
    for why, entries in bad:
        refused(why, "build", "-", "image", stdin=archive(*entries))


def data_of_a_link():
    """A hard link may carry data, as in PAX and cpio, but only for a regular file. tarfile writes no such link."""
    if not ARCHIVES:
        return
    # A member with data, turned into a link. The checksum counts the bytes of its own field as blanks.
    whole = bytearray(archive(entry("link", tarfile.SYMTYPE, linkname="x"), entry("hard", data=b"t" * 3000,
                                                                                         pax_headers={"comment": "c"})))
    at = whole.rindex(b"hard\0")
    whole[at + 156:at + 157] = b"1"
    whole[at + 157:at + 161] = b"link"
    whole[at + 148:at + 156] = b"%06o\0 " % (sum(whole[at:at + 148]) + 8 * 32 + sum(whole[at + 156:at + 512]))
    refused("hard: data for a hard link to link", "build", "-", "image", stdin=bytes(whole))


def short_archives():
    """An archive that ends early, at every kind of place."""
    if not ARCHIVES:
        return
    tree("source")
    tar("source", "tar")
    whole = content("tar")
    packed = subprocess.run(["gzip", "-1"], input=whole, stdout=subprocess.PIPE, check=True).stdout
    for length in (700, 5000, len(whole) // 2, len(whole) // 2 + 512, len(whole) - 20480):
        refused("standard input", "build", "-", "image", stdin=whole[:length])
    for length in (20, len(packed) // 2, len(packed) - 9):
        refused("standard input", "build", "-", "image", stdin=packed[:length])
    one = archive(entry("file", data=b"x" * 512))
    refused("ends early", "build", "-", "image", stdin=one[:1024])
    refused("standard input", "build", "-", "image", stdin=os.urandom(5000))
    refused("archive is empty", "build", "-", "image", stdin=b"")
    refused("archive is empty", "build", "-", "image", stdin=gzip.compress(b""))
    build("-", "empty", stdin=archive())


def changes():
    """A source that changes while the image is made."""
    os.mkdir("source")
    for i in range(24):
        write("source/%02d" % i, os.urandom(8 * PMD_RANGE))
    for change in ("printf x >> source/23", "truncate -s 5 source/23", "rm source/23", "touch source/23; chmod 600 source/23"):
        write("source/23", os.urandom(8 * PMD_RANGE))
        with subprocess.Popen([TOOL, "build", "source", "image"], stderr=subprocess.PIPE) as process:
            while process.poll() is None and not any(".dax-image-" in name for name in os.listdir(".")):
                time.sleep(0.001)
            subprocess.run(change, shell=True, check=True)
            error = process.stderr.read().decode()
        check(process.returncode == 1 and "/23: " in error, (change, error))
        check(os.listdir(".") == ["source"], os.listdir("."))


def signals():
    """A signal during the build leaves nothing, and during the reading of a pipe, too."""
    os.mkdir("source")
    for i in range(24):
        write("source/%02d" % i, os.urandom(8 * PMD_RANGE))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with subprocess.Popen([TOOL, "build", "source", "image"], stderr=subprocess.PIPE) as process:
            while process.poll() is None and not any(".dax-image-" in name for name in os.listdir(".")):
                time.sleep(0.001)
            process.send_signal(number)
            error = process.stderr.read().decode()
        check(process.returncode == 1 and "interrupted" in error, error)
        check(os.listdir(".") == ["source"], os.listdir("."))
    if not ARCHIVES:
        return
    with subprocess.Popen([TOOL, "build", "-", "image"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        check(process.wait(20) == 1, "a pipe")
    check(os.listdir(".") == ["source"], os.listdir("."))


def full_disk():
    """A full host disk, for data and for metadata."""
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3M", "none", "."], check=False).returncode:
        print("not as this user: full_disk")
        return
    here = os.getcwd()
    os.chdir("/")
    try:
        os.chdir(here)
        os.mkdir("../data-source")
        write("../data-source/file", os.urandom(5 << 20))
        refused("No space left", "build", "../data-source", "image")
        os.mkdir("../names-source")
        for i in range(900):
            os.symlink("t" * 3000, "../names-source/%d" % i)
        refused("no space", "build", "../names-source", "image")
        if ARCHIVES:
            tar("../data-source", "../data.tar")
            refused("No space left", "build", "../data.tar", "image")
    finally:
        os.chdir("/")
        subprocess.run(["umount", here], check=True)
        os.chdir(here)


def verify_and_report():
    os.mkdir("source")
    build("source", "image")
    refused("none", "verify", "none", "source")
    refused("none", "verify", "image", "none")
    refused("/nothing", "report", "image", "/nothing")
    write("junk", os.urandom(100000))
    refused("junk", "report", "junk")
    before = content("image")
    done("report", "image")
    done("verify", "image", "source")
    check(content("image") == before, "the image has changed")


need("tar", "gzip")
main(usage, sources, existing, paths, data_of_a_link, short_archives, changes, signals, full_disk, verify_and_report)
