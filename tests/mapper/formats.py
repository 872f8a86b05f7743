# SPDX-License-Identifier: MIT
"""Files of other formats are named by their format, and features by the names of dumpe2fs."""

import gzip
import os
import re
import struct
import subprocess

from bench import MAPPER, check, done, main, mke2fs, need, reason, refused, terminal

NOT_EXT2 = reason("is not ext2", "magic number")

COMMANDS = (("ls", "image"), ("get", "image", "/f"), ("put", "image", "host", "/f"), ("truncate", "image", "/f", "1"))


def lies_here(why, content):
    with open("image", "wb") as file:
        file.write(content)
    for command in COMMANDS:
        refused("image", *command, why=why)


def at(offset, mark, size=70000):
    content = bytearray(size)
    content[offset:offset + len(mark)] = mark
    return bytes(content)


def other_formats():
    with open("host", "wb") as file:
        file.write(b"x")
    lies_here("is empty", b"")
    lies_here("is a gzip file", gzip.compress(os.urandom(5000)))
    for why, offset, mark in (
            ("is an xz file", 0, b"\xfd7zXZ\0"), ("is a zstd file", 0, b"\x28\xb5\x2f\xfd"), ("is a zip file", 0, b"PK\3\4"),
            ("is an Android sparse image: convert it with simg2img", 0, b"\x3a\xff\x26\xed"),
            ("is a qcow2 image", 0, b"QFI\xfb"), ("is encrypted (LUKS)", 0, b"LUKS\xba\xbe"),
            ("is an xfs filesystem", 0, b"XFSB"), ("is a btrfs filesystem", 0x10040, b"_BHRfS_M"),
            ("is a squashfs filesystem", 0, b"hsqs"), ("is an erofs filesystem", 1024, b"\xe2\xe1\xf5\xe0"),
            ("is an f2fs filesystem", 1024, b"\x10\x20\xf5\xf2"), ("is swap space", 4086, b"SWAPSPACE2"),
            ("is swap space", 65526, b"SWAPSPACE2"), ("is an ISO 9660 filesystem", 32769, b"CD001"),
            ("is a FAT filesystem", 82, b"FAT32"), ("is an NTFS filesystem", 3, b"NTFS    ")):
        lies_here(why, at(offset, mark))
        # With a byte less or with another byte, no format is named.
        lies_here(NOT_EXT2, at(offset, mark[:-1] + b"?"))
        if offset > 3000:
            lies_here(NOT_EXT2, at(offset, mark)[:offset + len(mark) - 1])
        # The same at an offset.
        with open("image", "wb") as file:
            file.write(b"\x5A" * 8192 + at(offset, mark))
        refused("image", "ls", "image", "--offset", "8K", why=why)
    lies_here(NOT_EXT2, b"\x5A" * 5000)


def names_of_features():
    """Every flag of the two refused sets, each by the name of dumpe2fs."""
    mke2fs("master", 1024, None, "1M", "-O", "none,filetype")
    with open("master", "rb") as file:
        master = bytearray(file.read())
    for offset, known, where, commands in ((96, 0x12, "incompatible", COMMANDS), (100, 0x6F, "read-only", COMMANDS[2:])):
        for bit in range(32):
            if known >> bit & 1:
                continue
            image = bytearray(master)
            flags, = struct.unpack_from("<I", image, 1024 + offset)
            struct.pack_into("<I", image, 1024 + offset, flags | 1 << bit)
            with open("image", "wb") as file:
                file.write(image)
            text = subprocess.run(["dumpe2fs", "-hf", "image"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            line = re.search(rb"Filesystem features: *(.*)", text)
            name = "64bit"  # for which dumpe2fs needs more than the flag
            if line:
                name, = [word for word in line.group(1).decode().split() if word not in ("filetype", "(none)")]
            if name == "needs_recovery":
                name = "journal must be replayed"
            if name == "journal_dev":
                name = "is a journal"
            for command in commands:
                refused("image", *command, why=name)
    for kind, command, why in (
            ("ext4", COMMANDS[0], "is an ext4 filesystem, needs unsupported features: extent, 64bit, flex_bg,"),
            ("ext4", COMMANDS[2], "metadata_csum")):
        os.unlink("image")
        subprocess.run(["mke2fs", "-q", "-F", "-t", kind, "-O", "64bit,metadata_csum", "image", "8M"], check=True,
                       stderr=subprocess.DEVNULL)
        refused("image", *command, why=why)


def on_a_terminal(descriptor, *arguments):
    """Returns the text on a terminal used as standard output (1) or standard error (2)."""
    ours, theirs = terminal()
    streams = {1: subprocess.PIPE, 2: subprocess.PIPE, descriptor: theirs}
    process = subprocess.Popen([MAPPER, *arguments], stdin=subprocess.DEVNULL, stdout=streams[1], stderr=streams[2])
    os.close(theirs)
    found = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        found += piece
    process.communicate()
    os.close(ours)
    return found.replace(b"\r\n", b"\n")


def names_that_are_commands():
    """On a terminal control bytes are escaped, in UTF-8 and in other bytes too. A pipe gets the bytes unchanged."""
    open("host", "wb").close()
    name = b"\x1b]0;x\x07\ra\nb\xc2\x9bc\x9bd\x7f \xc3\xa9\xe2\x82\xac"
    shown = rb"\033]0;x\007\015a\012b\302\233c\233d\177 " + "é€".encode()
    done("format", "image", "1M")
    done("put", "image", "host", os.fsdecode(b"/" + name))
    check(name in done("ls", "image").out, "a pipe gets the bytes")
    found = on_a_terminal(1, "ls", "image")
    check(shown in found and b"\x1b" not in found and b"\x9b" not in found, found)
    text = b"/none" + name
    for command in ((b"get", b"image", text), (b"ls", b"image", text), (b"map", b"image", text),
                    (b"truncate", b"image", text, b"1"), (b"put", b"image", b"host", text + b"/x"),
                    (b"put", b"image", b"host" + name, b"/x"), (b"ls", b"image" + name)):
        found = on_a_terminal(2, *command)
        check(shown in found and found.count(b"\n") == 1 and b"\x1b" not in found, found)
        piped = subprocess.run([MAPPER.encode(), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE).stderr
        check(name in piped, piped)
    found = on_a_terminal(1, b"map", b"image", b"/" + name)
    check(shown in found, found)


need("mke2fs", "dumpe2fs")
main(other_formats, names_of_features, names_that_are_commands)
