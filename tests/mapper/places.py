# SPDX-License-Identifier: MIT
"""Images inside files, by --offset and by partitions of MBR and GPT, in every command, and inconsistent partition tables.

e2fsck reads the same image at the same offset, and the bytes around the image stay unchanged.
"""

import binascii
import os
import random
import struct
import subprocess

from bench import FAULTS, check, digest, done, main, need, reason, refused, run, usage

MIB = 1 << 20


def entry(kind, start, count, flag=0):
    return struct.pack("<BBBBBBBBII", flag, 0, 0, 0, kind, 0, 0, 0, start, count)


def put_table(disk, at, *entries):
    """Writes an MBR, or a record of a chain, at sector `at`."""
    for i, each in enumerate(entries):
        disk[at * 512 + 446 + 16 * i:at * 512 + 462 + 16 * i] = each
    disk[at * 512 + 510:at * 512 + 512] = b"\x55\xaa"


def mbr(around=b"\0"):
    """Makes primary partitions 1 and 3 (3 at sector 63 of a cylinder), and the extended partition 2 with 5 and 6."""
    disk = bytearray(around) * (48 * MIB)
    put_table(disk, 0, entry(0x83, 2048, 16384, 0x80), entry(0x05, 20480, 40960), entry(0x83, 63488 + 63, 16384),
              entry(0, 0, 0))
    put_table(disk, 20480, entry(0x83, 2048, 16384), entry(0x05, 20480, 20480), entry(0, 0, 0), entry(0, 0, 0))
    put_table(disk, 40960, entry(0x83, 4096, 16384), entry(0, 0, 0), entry(0, 0, 0), entry(0, 0, 0))
    return disk, {1: 2048 * 512, 3: (63488 + 63) * 512, 5: 22528 * 512, 6: 45056 * 512}


def gpt(sector=512, around=b"\0"):
    """Makes partitions 1, 3 and 128 of 8 MiB each. Partition 3 begins at an odd MiB."""
    parts = ((1, 2 * MIB, 8 * MIB), (3, 17 * MIB, 8 * MIB), (128, 33 * MIB, 8 * MIB))
    each, disk = 128, bytearray(around) * (48 * MIB)
    put_table(disk, 0, entry(0xEE, 1, 0xFFFFFFFF), entry(0, 0, 0), entry(0, 0, 0), entry(0, 0, 0))
    entries = bytearray(128 * each)
    for number, start, length in parts:
        struct.pack_into("<16s16sQQ", entries, (number - 1) * each, b"t" * 16, b"u" * 16, start // sector,
                         (start + length) // sector - 1)
    disk[2 * sector:2 * sector + len(entries)] = entries
    put_header(disk, sector, binascii.crc32(bytes(entries)), each)
    return disk, {number: start for number, start, _ in parts}


def put_header(disk, sector, crc, each=128, count=128, size=92, own=1, where=2, fix=True):
    header = bytearray(struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, size, 0, 0, own, len(disk) // sector - 1,
                                   34, len(disk) // sector - 34, b"g" * 16, where, count, each, crc))
    if fix:
        struct.pack_into("<I", header, 16, binascii.crc32(bytes(header[:size])))
    disk[sector:sector + len(header)] = header


def write(disk):
    with open("disk", "wb") as file:
        file.truncate(len(disk))
        for at in range(0, len(disk), MIB):
            piece = disk[at:at + MIB]
            if piece.strip(b"\0"):
                file.seek(at)
                file.write(piece)


def around(disk, places, length):
    """Checks that all bytes outside the images are unchanged."""
    with open("disk", "rb") as file:
        found = bytearray(file.read())
    expected = bytearray(disk)
    for at in places:
        found[at:at + length] = expected[at:at + length] = bytes(length)
    check(found == expected, "what lies around the images has changed")


def fsck(at):
    result = subprocess.run(["e2fsck", "-fn", "disk?offset=%d" % at], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout)


def every_command(place, at, slow=False):
    """Runs each command that opens an image, on a new image of 8 MiB at the place."""
    with open("host", "wb") as file:
        file.write(random.Random(at).randbytes(300000))
    done("format", "disk", "8M", *place)
    done("put", "disk", "host", "/file", *place)
    check(b"file" in done("ls", "disk", *place).out, "ls")
    done("get", "disk", "/file", "out", *place)
    check(open("out", "rb").read() == open("host", "rb").read(), "get")
    check(b'"size": 300000,' in done("map", "disk", "/file", "--json", *place).out, "map")
    done("punch", "disk", "/file", "4096", "8192", *place)
    done("truncate", "disk", "/file", "200000", *place)
    done("get", "disk", "/file", "out", *place)
    wanted = bytearray(open("host", "rb").read()[:200000])
    wanted[4096:12288] = bytes(8192)
    check(open("out", "rb").read() == wanted, "punch and truncate")
    if at % 4096 and FAULTS:
        check("begins inside a page" in run("map", "disk", "/file", "--access", *place).err, "map --access")
    elif FAULTS:
        done("map", "disk", "/file", "--access=write", *place)
    if slow and FAULTS:
        done("race", "disk", "/race", "--seconds", "1", *place)
    if slow:
        done("churn", "disk", "1", "--seconds", "1", *place)
    fsck(at)


def by_offset():
    for text, at in (("0", 0), ("63s", 63 * 512), ("1M", MIB), ("4096s", 2 * MIB), ("5767168", 5767168)):
        disk = bytearray(b"\xA5") * (at + 9 * MIB)
        write(disk)
        if at:
            every_command(("--offset", text), at, slow=text == "1M")
            around(disk, [at], 8 * MIB)
        else:
            # The image is the whole file, which gets the length of the image.
            every_command(("--offset=0",), at)
            check(os.stat("disk").st_size == 8 * MIB, "size")
    os.unlink("disk")
    done("format", "disk", "8M", "--offset", "3M")
    check(os.stat("disk").st_size == 11 * MIB, "a new file with an image inside")
    fsck(3 * MIB)
    refused("disk", "ls", "disk", why=reason("is not ext2", "magic number"))
    refused("disk", "ls", "disk", "--offset", "11M", why="ends before the offset")
    refused("disk", "put", "disk", "host", "/x", "--offset", "1T", why="ends before the offset")
    refused("disk", "format", "disk", "16K", "--offset", "1M")
    for text in ("1", "100", "-512", "x", "", "s", "1Ms", "512s1", "99999999999999999999s", "18446744073709551104"):
        usage("ls", "disk", "--offset", text)
    usage("demo", "--offset", "512")
    usage("ls", "disk", "--offset", "512", "--partition", "1")
    usage("ls", "disk", "--partition", "0")
    usage("ls", "disk", "--partition", "x")


def by_mbr():
    disk, places = mbr(around=b"\xA5")
    write(disk)
    refused("disk", "ls", "disk", why="has a partition table (MBR): say which with --partition: 1, 3, 5, 6")
    for number, at in places.items():
        every_command(("--partition", number), at)
    around(disk, places.values(), 8 * MIB)
    for number, at in places.items():
        check(b"file" in done("ls", "disk", "--offset", at).out, "the same by its offset")
    refused("disk", "ls", "disk", "--partition", "2", why="is an extended one")
    refused("disk", "ls", "disk", "--partition", "4", why="its MBR has partitions 1, 3, 5, 6")
    refused("disk", "ls", "disk", "--partition", "7", why="its MBR has partitions 1, 3, 5, 6")
    refused("disk", "format", "disk", "9M", "--partition", "1", why="partition 1 has 8388608 bytes")


def by_gpt():
    for sector in (512, 4096):
        disk, places = gpt(sector, around=b"\xA5")
        write(disk)
        refused("disk", "ls", "disk", why="has a partition table (GPT): say which with --partition: 1, 3, 128")
        for number, at in places.items():
            every_command(("--partition", number), at)
        around(disk, places.values(), 8 * MIB)
        refused("disk", "ls", "disk", "--partition", "2", why="its GPT has partitions 1, 3, 128")


def tables_that_lie():
    def lies(why, number=1, disk=None):
        write(disk)
        refused("disk", "ls", "disk", "--partition", number, why=why)
        refused("disk", "format", "disk", "1M", "--partition", number, why=why)
        refused("disk", "ls", "disk")

    lies("has no partition table", disk=bytes(MIB))
    lies("has no partition table", disk=b"")
    lies("has no partition table", disk=b"\x55\xaa" * 100)
    disk, _ = mbr()
    disk[446] = 0x7F  # boot code has the same end
    lies("has no partition table", disk=disk)
    for why, at, table in (("is a loop", 40960, entry(0x05, 20480, 20480)), ("is a loop", 20480, entry(0x05, 0, 1)),
                           ("leads out of the file", 40960, entry(0x05, 0xFFFFFFF0, 1)),
                           ("leads out of the file", 40960, entry(0x0F, 0xF0000000, 1)),
                           ("leads to a sector without a boot record", 40960, entry(0x85, 1, 1))):
        disk, _ = mbr()
        disk[at * 512 + 462:at * 512 + 478] = table
        lies(why, disk=disk)
    # An endless chain of records. The search ends.
    disk = bytearray(48 * MIB)
    put_table(disk, 0, entry(0x05, 8, 90000))
    for i in range(200):
        put_table(disk, 8 + i, entry(0, 0, 0), entry(0x05, i + 1, 1))
    lies("has no end", disk=disk)
    for start, count in ((0xFFFFFFFF, 0xFFFFFFFF), (98303, 2), (2048, 0x7FFFFFFF)):
        disk, _ = mbr()
        disk[446:462] = entry(0x83, start, count)
        lies("ends past the end of the file", disk=disk)

    for change, why in (({"fix": False}, "does not match its checksum"), ({"own": 2}, "is that of another place"),
                        ({"size": 91}, "size of its GPT header cannot be"), ({"size": 513}, "size of its GPT header"),
                        ({"size": 0xFFFFFFFF, "fix": False}, "size of its GPT header"),
                        ({"each": 0}, "entries of its GPT cannot be"), ({"each": 96}, "entries of its GPT cannot be"),
                        ({"each": 192}, "entries of its GPT cannot be"), ({"each": 1 << 31}, "entries of its GPT"),
                        ({"count": 0}, "entries of its GPT cannot be"), ({"count": 16385}, "entries of its GPT cannot"),
                        ({"count": 0xFFFFFFFF}, "entries of its GPT cannot be"),
                        ({"where": 1 << 63}, "lie outside the file"), ({"where": 98300}, "lie outside the file"),
                        ({"count": 127}, "do not match their checksum"), ({"where": 3}, "do not match their checksum")):
        disk, _ = gpt()
        crc = binascii.crc32(bytes(disk[1024:1024 + 128 * 128]))
        put_header(disk, 512, crc, **change)
        lies(why, disk=disk)
    disk, _ = gpt()
    disk[1024 + 33] ^= 1
    lies("do not match their checksum", disk=disk)
    for first, last, why in ((5, 4, "ends before it begins"), (0, (1 << 64) - 1, "ends before it begins"),
                             ((1 << 64) - 2, (1 << 64) - 2, "ends past the end"), (1 << 54, 1 << 54, "ends past the end"),
                             (4096, 98304, "ends past the end"), (1 << 62, 1 << 63, "ends past the end")):
        disk, _ = gpt()
        struct.pack_into("<QQ", disk, 1024 + 32, first, last)
        put_header(disk, 512, binascii.crc32(bytes(disk[1024:1024 + 128 * 128])))
        lies(why, disk=disk)
    disk, _ = gpt()
    del disk[1024 + 5000:]
    lies("lie outside the file", disk=disk)
    del disk[700:]
    lies("is cut short", disk=disk)


def tables_at_random():
    """Random bytes give an error of the tool within seconds, and no write."""
    source = random.Random(4)
    for turn in range(24):
        disk, _ = (mbr, gpt)[turn % 2]()
        del disk[2 * MIB:]
        for _ in range(source.randrange(1, 8)):
            at = source.choice((446 + source.randrange(64), 512 + source.randrange(92), 1024 + source.randrange(512)))
            disk[at] = source.randrange(256)
        if turn % 4 == 1:
            put_header(disk, 512, binascii.crc32(bytes(disk[1024:1024 + 128 * 128])))
        write(disk)
        before = digest("disk")
        for arguments in (("ls", "disk"), ("ls", "disk", "--partition", "1"),
                          ("truncate", "disk", "/x", "1", "--partition", source.randrange(1, 8))):
            result = run(*arguments)
            check(result.code == 1 and result.err.startswith("pmem-mapper: disk: "), result)
        check(digest("disk") == before, "the disk has changed")


need("e2fsck")
main(by_offset, by_mbr, by_gpt, tables_that_lie, tables_at_random)
