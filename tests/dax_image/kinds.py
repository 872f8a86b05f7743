# SPDX-License-Identifier: MIT
"""A tree with every kind of file, through a directory and through archives, at several block sizes."""

import json
import os
import random
import subprocess

from tool import ARCHIVES, build, check, content, done, fsck, main, need, refused, run, tar, tree, write


def directory():
    tree("source")
    for options in ((), ("--block-size", "1024"), ("--block-size", "65536"), ("--inode-size", "128"),
                    ("--align", "page"), ("--size", "64M"), ("--free", "5M", "--inodes", "4000")):
        figures = build("--force", *options, "source", "image")
        fsck("image")
        done("verify", "image", "source")
        check(figures["size"] == os.stat("image").st_size, figures)
        if not options:
            check(figures["ranges"] == figures["huge"] == 4, figures)
        if "page" in options:
            check(figures["huge"] == 0, figures)


def archives():
    """An archive of a tree gives the image of the tree, bit for bit."""
    if not ARCHIVES:
        return
    tree("source")
    # No archive has a socket.
    os.unlink("source/socket")
    os.utime("source", ns=(10**18, 10**18))
    build("source", "image")
    tar("source", "tar")
    for compress in ("cat", "gzip", "xz -1", "bzip2"):
        packed = subprocess.run("%s < tar" % compress, shell=True, check=True, stdout=subprocess.PIPE).stdout
        build("--force", "-", "from-tar", stdin=packed)
        check(content("image") == content("from-tar"), compress)
    done("verify", "image", "tar")
    done("verify", "from-tar", "source")


def differences():
    """verify finds a difference of every kind, and names the file."""
    tree("source")
    build("source", "image")
    mtime = os.stat("source/large").st_mtime_ns
    changes = [("chmod 700 source/none", "/none: mode"), ("touch -h -d @5 source/pipe", "/pipe: time"),
               ("echo more > source/dir/more", "/dir/more: is missing"), ("rm source/pipe", "/pipe: is not in the source"),
               ("ln -sfn other source/dir/link", "/dir/link: the target"),
               ("printf X | dd of=source/large bs=1 seek=5000000 conv=notrunc status=none", "/large: byte 5000000"),
               ("printf X | dd of=source/holes bs=1 seek=9000000 conv=notrunc status=none", "/holes: byte 9000000"),
               ("truncate -s 5 source/large", "/large: size"),
               ("rm source/dir/sub/third; cp -a source/dir/small source/dir/sub/third", "/dir/sub/third: 3 names"),
               ("rm source/none; mkdir source/none", "/none: type")]
    if os.geteuid() == 0:
        changes.append(("chown 5:6 source/dir", "/dir: owner"))
    if "user.one" in os.listxattr("source/dir/small"):
        changes += [("setfattr -n user.one -v 2 source/dir/small", "/another name: attribute user.one differs"),
                    ("setfattr -x user.one source/dir/small", "/another name: attribute user.one is not in the source"),
                    ("setfattr -n user.two -v 2 source/dir/small", "/another name: attribute user.two is missing")]
    for command, line in changes:
        subprocess.run(["rm", "-rf", "copy"], check=True)
        subprocess.run(["cp", "-a", "--sparse=always", "source", "copy"], check=True)
        subprocess.run(command.replace("source/", "copy/"), shell=True, check=True)
        os.utime("copy/large", ns=(mtime, mtime))
        result = run("verify", "image", "copy")
        found = [each for each in result.out.splitlines() if each.startswith(line)]
        check(result.returncode == 1 and found, "%s\n%s\n%s" % (command, line, result))
        as_json = json.loads(run("verify", "--json", "image", "copy").out)
        check(as_json["differences"] == len(as_json["list"]) == len(result.out.splitlines()) - 1, as_json)
        check(any("%s: %s" % (each["path"], each["difference"]) in found for each in as_json["list"]), as_json)


def attributes():
    """Equal attributes share a block, counted once. A full image has room for the change of a block."""
    os.mkdir("source")
    # Of other bytes some hashes may collide, and then fewer blocks are shared.
    sets = [random.Random(number).randbytes(600) for number in range(3)]
    try:
        for i in range(200):
            write("source/%d" % i, b"")
            os.setxattr("source/%d" % i, "user.first", b"f" * 50)
            os.setxattr("source/%d" % i, "user.second", sets[i % 3])
            os.setxattr("source/%d" % i, "user.third", sets[i % 3])
    except OSError:
        print("the filesystem has no such attributes: attributes")
        return
    figures = build("source", "image")
    fsck("image")
    done("verify", "image", "source")
    # A block of the root, four of lost+found, three of attributes, and one to change a block.
    check(figures["content"] <= 12 * 4096, figures)
    check(figures["free"] <= 2 * 4096, figures)
    for pages in range(1, 40, 7):
        write("source/data", b"d" * (pages * 4096))
        build("--force", "source", "image")
        fsck("image")
    refused("/0: user.third: the attributes do not fit a block", "build", "--block-size", "1024", "source", "none")


def inodes():
    """Many inodes without blocks take groups as small as they need, and not groups that are mostly empty."""
    os.mkdir("source")
    for i in range(10000):
        write("source/%d" % i, b"")
    figures = build("--block-size", "1024", "source", "image")
    fsck("image")
    done("verify", "image", "source")
    check(figures["size"] < 10000 * 256 + figures["content"] + (1 << 20), figures)
    figures = build("--force", "--block-size", "1024", "--size", "64M", "source", "image")
    fsck("image")
    check(figures["size"] == 64 << 20, figures)


def lost_and_found():
    """A tree read from a mounted image has lost+found, whose content joins the lost+found of the new image."""
    for source in ("source", "layer"):
        os.makedirs(source + "/lost+found/#12")
        write(source + "/lost+found/#12/" + source, source.encode())
        os.chmod(source + "/lost+found", 0o700)
        os.utime(source + "/lost+found", ns=(10**18 + 7, 10**18 + 7))
    os.mkdir("source/dir")
    os.mkdir("source/dir/lost+found")
    build("source", "layer", "image")
    fsck("image")
    done("verify", "image", "source", "layer")
    subprocess.run("cp -a layer/. source", shell=True, check=True)
    done("verify", "image", "source")
    os.rename("source/lost+found", "source/other")
    write("source/lost+found", b"")
    refused("/lost+found: has to be a directory", "build", "source", "none")


need("e2fsck", "tar", "setfattr")
main(directory, archives, differences, attributes, inodes, lost_and_found)
