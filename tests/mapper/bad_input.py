# SPDX-License-Identifier: MIT
"""Bad input gives a line "pmem-mapper: IMAGE: action: reason" and exit status 1, and changes no byte of the image."""

import fcntl
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time

from bench import FAULTS, MAPPER, REASONS, as_user, check, debugfs, digest, done, fsck, main, mke2fs, need, refused, run, skip

CHANGES = (("put", "image", "host", "/new"), ("put", "image", "host", "/file"), ("truncate", "image", "/file", "1"),
           ("punch", "image", "/file", "0", "1"), ("race", "image", "/file", "--seconds", "1"),
           ("mkdir", "image", "/made"), ("rm", "-r", "image", "/file"), ("chmod", "image", "0", "/file"),
           ("put", "-r", "image", "tree", "/"))
READS = (("ls", "image"), ("get", "image", "/file", "out"), ("map", "image", "/file"),
         ("map", "image", "/file", "--json"), ("stat", "image", "/file"))


def good():
    """Makes an image with a file and a directory, and a host file."""
    with open("host", "wb") as file:
        file.write(random.Random(3).randbytes(100000))
    if not os.path.exists("master"):
        os.mkdir("tree")
        os.mkdir("tree/dir")
        shutil.copy("host", "tree/file")
        os.symlink("loop", "tree/loop")
        os.symlink("nowhere", "tree/dangling")
        mke2fs("master", 4096, "tree", "8M")
    for name in ("image", "out"):
        if os.path.isdir(name):
            os.rmdir(name)
        elif os.path.exists(name):
            os.unlink(name)
    copy("master", "image")


def copy(image, to):
    """Makes the image sparse. Two comparisons per command take much longer for an image without holes."""
    subprocess.run(["cp", "--sparse=always", image, to], check=True)


def patch(offset, form, change):
    """Edits a field of the superblock, at an offset of the format."""
    with open("image", "r+b") as file:
        file.seek(1024 + offset)
        value, = struct.unpack(form, file.read(struct.calcsize(form)))
        file.seek(1024 + offset)
        file.write(struct.pack(form, change(value)))


def all_refused(commands, why=None, **options):
    for command in commands:
        other = command[0] == "race" and not FAULTS
        refused("image", *command, why=None if other else why, **options)
        check(not os.path.exists("out"), "a file was left behind by %r" % (command,))


def not_an_image():
    for content in (b"", b"x", b"#!/bin/sh\n" * 1000, bytes(1 << 20), random.Random(1).randbytes(1 << 20)):
        good()
        with open("image", "wb") as file:
            file.write(content)
        all_refused(READS + CHANGES, why="magic number" if len(content) > 2048 else None)


def truncated_image():
    good()
    for size in (4 << 20, 5000, 1500, 1024):
        os.truncate("image", size)
        all_refused(READS + CHANGES)


def missing_image():
    good()
    os.unlink("image")
    all_refused(READS + CHANGES, why="No such file")
    os.mkdir("image")
    all_refused(READS + CHANGES)


def unknown_features():
    good()
    patch(96, "<I", lambda value: value | 0x8000)
    all_refused(READS + CHANGES, why="feature")
    good()
    patch(100, "<I", lambda value: value | 0x4000)
    all_refused(CHANGES, why="feature")
    for command in READS:
        done(*command)


def not_cleanly_unmounted():
    """An unclean image is readable. For writing it is recovered with a message, except with --no-recovery, or if the
    damage is no trace of a crash."""
    good()
    patch(58, "<H", lambda value: value & ~1)
    all_refused([command + ("--no-recovery",) for command in CHANGES], why="clean")
    before = digest("image")
    for command in READS:
        done(*command)
    check(digest("image") == before, "reading changed the image")
    patch(16, "<I", lambda value: value - 1)
    said = done("truncate", "image", "/file", "5").err
    check("image: was not cleanly unmounted, recovered: 1 wrong free and directory counts repaired\n" in said, said)
    said = done("truncate", "image", "/file", "6").err
    check("recovered" not in said, said)
    fsck("image")
    patch(58, "<H", lambda value: value & ~1)
    said = done("truncate", "image", "/file", "7").err
    check(said.endswith("image: was not cleanly unmounted, but nothing had to be repaired\n"), said)
    fsck("image")
    good()
    patch(58, "<H", lambda value: value & ~1)
    patch(232, "<I", lambda value: 12)
    all_refused(CHANGES, why="orphan")
    all_refused([command + ("--no-recovery",) for command in CHANGES], why="; run e2fsck")
    all_refused(CHANGES, why="; run e2fsck")


def wrong_totals():
    """Wrong counts of the superblock do not prevent reading, and a command that writes corrects the counts. Both print a line."""
    good()
    free = int(re.search(r"Free blocks: *(\d+)", debugfs("image", "show_super_stats -h")).group(1))
    for total in (77, free + 31673, 0xFFFFFFFF):
        good()
        change_with_debugfs("ssv free_blocks_count %d" % total, "ssv state 1")
        before = digest("image")
        for command in READS:
            said = done(*command).err
            check("image: warning: superblock 0: free block count %d: differs from the sum over the groups\n" % total in said,
                  said)
        check(digest("image") == before, "reading changed the image")
        said = done("put", "image", "host", "/new").err
        check("warning: superblock 0: free block count %d: set to the sum over the groups\n"
              % total in said, said)
        fsck("image")
        check(done("ls", "image").err == "", "told again")


def corrupt_superblocks():
    for offset, form, value, named in (
            (56, "<H", 0x1234, "magic number 4660"), (24, "<I", 7, "block size (log2, KiB) 7"),
            (24, "<I", 0xFFFFFFFF, "block size (log2, KiB) 4294967295"), (32, "<I", 0, "blocks per group 0"),
            (40, "<I", 0, "inodes per group 0"), (4, "<I", 0xFFFFFFFF, "image size %d" % (0xFFFFFFFF * 4096)),
            (88, "<H", 100, "inode size 100"), (20, "<I", 5, "first data block 5"), (0, "<I", 0, "inode count 0")):
        good()
        patch(offset, form, lambda _, value=value: value)
        all_refused(READS + CHANGES, why=": superblock 0: %s: " % named)


def change_with_debugfs(*requests):
    for request in requests:
        subprocess.run(["debugfs", "-w", "-R", request, "image"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       check=True)
    check(digest("image") != digest("master"), "debugfs changed nothing")


def corrupt_inodes():
    """Each failure is printed with its number and value, also if several calls of a command fail in the same way."""
    good()
    change_with_debugfs("sif /file mode 0170001", "sif /dangling mode 0160002")
    numbers = {name: int(re.search(r"Inode: (\d+)", debugfs("image", "stat /" + name)).group(1))
               for name in ("file", "dangling")}
    values = {"file": 0o170001, "dangling": 0o160002}
    wrong = {name: "inode %d: mode %d: is no file type" % (numbers[name], values[name]) for name in numbers}
    result = run("ls", "image")
    check(result.code == 1 and sorted(result.err.splitlines()) ==
          ["pmem-mapper: image: ls /: %s: %s" % (name, wrong[name]) for name in sorted(wrong)], result)
    for name, reason in wrong.items():
        refused("image", "get", "image", "/" + name, "out", why="get /%s: %s" % (name, reason))
        # A missing file is no error of the image, and the message names no error of the image.
        refused("image", "get", "image", "/none", "out", why="get /none: no such file or directory")


def corrupt_bitmap():
    """Counts which agree with each other but not with the bitmap are found at each allocation."""
    good()
    free = int(re.search(r"Free blocks: *(\d+)", debugfs("image", "show_super_stats -h")).group(1))
    for _ in range(2):
        change_with_debugfs("ssv state 1", "ssv free_blocks_count %d" % (free - 3),
                            "set_bg 0 free_blocks_count %d" % (free - 3))
        result = run("put", "image", "host", "/new")
        check(result.code == 1 and result.err.splitlines()[-1] == "pmem-mapper: image: put /new: group 0: "
              "block bitmap %d: differs from the free block count" % free, result)
    refused("image", "truncate", "image", "/file", "5", why="superblock 0: state 3: has errors")


def corrupt_bitmap_of_what_is_freed():
    """A file with blocks which cannot be freed stays unchanged by put, truncate and punch."""
    good()
    free = int(re.search(r"Free blocks: *(\d+)", debugfs("image", "show_super_stats -h")).group(1))
    change_with_debugfs("ssv free_blocks_count %d" % (free + 1), "set_bg 0 free_blocks_count %d" % (free + 1),
                        "ssv state 1")
    os.rename("image", "corrupt")
    with open("host", "rb") as file:
        content = file.read()
    for name, size in (("shorter", 5000), ("longer", 200000), ("empty", 0)):
        with open(name, "wb") as file:
            file.write(b"n" * size)
    for command in (("put", "image", "shorter", "/file"), ("put", "image", "longer", "/file"),
                    ("put", "image", "empty", "/file"), ("truncate", "image", "/file", "1"),
                    ("punch", "image", "/file", "0", "100000")):
        copy("corrupt", "image")
        result = run(*command)
        check(result.code == 1 and len(result.err.splitlines()) == 1 and
              "group 0: block bitmap %d: differs from the free block count" % free in result.err, result)
        check(done("get", "image", "/file").out == content, "%r has changed the file" % (command,))


def bad_paths():
    good()
    for path in ("/dir", "/dir/", "/", "", "/dir/.."):
        all_refused((("get", "image", path, "out"), ("put", "image", "host", path), ("map", "image", path),
                     ("truncate", "image", path, "1"), ("punch", "image", path, "0", "1"),
                     ("race", "image", path, "--seconds", "1")), why="directory")
    for path in ("/none", "/dir/none", "/none/none", "/dangling"):
        all_refused((("get", "image", path, "out"), ("map", "image", path), ("truncate", "image", path, "1"),
                     ("punch", "image", path, "0", "1")))
    for path in ("/none/new", "/file/new", "/file/", "/new/", "/loop", "/" + "n" * 256, "/dir/" + "n" * 300):
        all_refused((("put", "image", "host", path), ("race", "image", path, "--seconds", "1")))
    all_refused((("ls", "image", "/none"), ("ls", "image", "/file/x"), ("ls", "image", "/file/"),
                 ("get", "image", "/loop", "out")))


def bad_host_files():
    good()
    for host in ("nothere", "tree", "/dev/null", "image"):
        refused("image", "put", "image", host, "/new")
    if os.path.exists("/proc/self/status"):
        refused("image", "put", "image", "/proc/self/status", "/new", why="size")
    for host in ("nothere/x", "tree", "image"):
        refused("image", "get", "image", "/file", host)
    check(not os.path.exists("nothere"), "made a file")


def no_space():
    """The lack of space is found before any change, for a new file and for a replaced file."""
    good()
    with open("big", "wb") as file:
        for _ in range(9):
            file.write(random.Random(2).randbytes(1 << 20))
    refused("image", "put", "image", "big", "/new", why="space")
    refused("image", "put", "image", "big", "/file", why="space")
    fsck("image")
    # A sparse file fits although larger than the image.
    with open("large", "wb") as file:
        file.write(b"begin")
        file.seek(1 << 30)
        file.write(b"end")
    done("put", "image", "large", "/large")
    done("get", "image", "/large", "out")
    check(digest("out") == digest("large"), "a file larger than the image")
    fsck("image")


def a_full_filesystem():
    """A failed format on a small filesystem leaves no file. Needs a mount."""
    os.mkdir("small")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", "small"],
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        return
    try:
        result = run("format", "small/image", "64M")
        check(result.code == 1 and "no space" in result.err, result)
        check(os.listdir("small") == [], "a file was left behind")
    finally:
        subprocess.run(["umount", "small"], check=True)


def a_limit_of_file_sizes():
    """RLIMIT_FSIZE is reported for a new image, for a growing image and for a file copied out. No file is left."""
    good()
    limit = ("bash", "-c", 'ulimit -f 16; trap - XFSZ; exec "$@"', "limited", MAPPER)
    for command, made in (("format", "new", "8M"), "new"), (("get", "image", "/file", "out"), "out"):
        result = subprocess.run([*limit, *command], capture_output=True, text=True, timeout=60, check=False)
        check(result.returncode == 1 and "too large" in result.stderr, result)
        check(not os.path.exists(made), "%s was left behind" % made)
    fsck("image")


def exactly_full():
    """put copies the largest file that fits, and refuses a file with a further block. Pointer blocks count."""
    good()
    blocks, fits = 1900, None
    while fits is None or blocks == fits + 1:
        with open("fill", "wb") as file:
            file.write(b"f" * 4096 * blocks)
        result = run("put", "image", "fill", "/fill")
        if result.code == 0:
            fits = blocks
            fsck("image")
            done("get", "image", "/fill", "out")
            check(digest("out") == digest("fill"), "the file that fills the image")
            good()
            blocks += 1
            continue
        check("blocks needed" in result.err, result)
        if fits is not None:
            break
        needed, there = (int(word) for word in re.findall(r"\d+", result.err)[-2:])
        blocks -= needed - there
    check(fits is not None and fits > 1000 and blocks == fits + 1, (fits, blocks))


def corrupt_pointers():
    """A block pointer into metadata or past the image, in the inode or in an indirect block, is named."""
    for where, value in ((0, 2), (0, 0xFFFFFFF0), (12, 1), (12, 0xFFFFFFF0), ("single", 3), ("single", 0x7FFFFFFF)):
        good()
        if where == "single":
            text = debugfs("image", "stat /file")
            block = int(re.search(r"\(IND\):(\d+)", text).group(1))
            with open("image", "r+b") as file:
                file.seek(block * 4096)
                file.write(struct.pack("<I", value))
        else:
            change_with_debugfs("sif /file block[%s] %d" % ("IND" if where == 12 else where, value))
        check(digest("image") != digest("master"), "nothing was changed")
        commands = [("get", "image", "/file", "out"), ("map", "image", "/file"), ("truncate", "image", "/file", "0"),
                    ("punch", "image", "/file", "0", "100000")]
        copy("image", "corrupt")
        for command in commands:
            copy("corrupt", "image")
            result = run(*command)
            lines = result.err.splitlines()
            check(result.code == 1 and re.fullmatch(
                r"pmem-mapper: image: %s /file.*: inode \d+: block pointer %d: is (outside the image|metadata)"
                % (command[0], value), lines[-1]) and all("by read/write" in line for line in lines[:-1]), result)
            check(not os.path.exists("out"), "a file was left behind")


def interrupted():
    """After a signal put removes its new file, and race stops early. The image is clean after both."""
    good()
    with open("slow", "wb") as file:
        file.truncate(0)
    done("format", "image", "600M")
    with open("slow", "wb") as file:
        for _ in range(512):
            file.write(b"s" * (1 << 20))
    for command, sign in ((("put", "image", "slow", "/slow"), None), (("race", "image", "/r", "--seconds", "60"), 0)):
        process = subprocess.Popen([MAPPER, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.2 if sign is None else 1.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        if sign is None:
            check(process.returncode == 0 or b"interrupted" in err, err)
            if process.returncode:
                check(b"slow" not in done("ls", "image").out, "what was put is still there")
        elif FAULTS:
            check(process.returncode == 0 and b"0 violations" in out, (out, err))
        fsck("image")


def interrupted_recovery():
    """After a signal recovery of a large image ends at once, and the next command completes the recovery."""
    good()
    mke2fs("image", 4096, None, "300G", "-N", "200000", "-m", "0")
    patch(58, "<H", lambda state: 0)
    process = subprocess.Popen([MAPPER, "put", "image", "host", "/new"], stderr=subprocess.PIPE)
    time.sleep(0.1)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    err = process.communicate(timeout=60)[1]
    check(time.monotonic() - asked < 10, "it went on for %.1f s" % (time.monotonic() - asked))
    check(process.returncode in (0, -signal.SIGTERM) or b"interrupted" in err, (process.returncode, err))
    done("put", "image", "host", "/new")
    done("get", "image", "/new", "out")
    check(digest("out") == digest("host"), "what was put after an interruption")
    fsck("image")


def beyond_the_limits():
    good()
    for size in (2196873666561, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        refused("image", "truncate", "image", "/file", size)
    for offset, length in (((1 << 64) - 1, 2), (1, (1 << 64) - 1), (1 << 63, 1 << 63)):
        refused("image", "punch", "image", "/file", offset, length)
    refused("image", "punch", "image", "/file", 0, 0)
    with open("huge", "wb") as file:
        try:
            file.truncate(2196873666561)
        except OSError as error:
            print("(no host file of 2 TiB here: %s)" % error)
            return
    refused("image", "put", "image", "huge", "/new")
    refused("image", "put", "image", "huge", "/file")


def format_leaves_what_is_there():
    """A size out of range is found before any change of the file. No new file is left."""
    good()
    for size in ("0", "1", "1K", "16K", "17592186044416K", "100000T"):
        refused("image", "format", "image", size)
        refused("new", "format", "new", size)
        check(not os.path.exists("new"), "format %s left a file" % size)
    refused("image", "format", "image", "32K", "--block-size", "65536")
    refused("none/image", "format", "none/image", "8M")


def in_use():
    """A second opener is refused without waiting."""
    good()
    with open("image", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        all_refused(READS + CHANGES + (("format", "image", "8M"),))
    done("ls", "image")


def permissions():
    """Errors of permission, for an unreadable image, an unreadable host file, and a read-only image."""
    if os.getuid() != 0:
        print("(as the user who runs the tests)")
    user = as_user(65534) if os.getuid() == 0 else {}
    good()
    if user is None:
        return
    os.chmod("image", 0o444)
    os.chmod("host", 0o444)
    all_refused(CHANGES, **user)
    for command in (READS[0], READS[2], READS[3]):
        done(*command, **user)
    check(done("get", "image", "/file", **user).out == open("host", "rb").read(), "get from a read-only image")
    os.chmod("image", 0)
    all_refused(READS + CHANGES, **user)
    os.chmod("image", 0o666)
    os.chmod("host", 0)
    refused("image", "put", "image", "host", "/new", **user, why="denied")


need("mke2fs", "e2fsck", "debugfs")
if not REASONS:
    skip("the lines looked for have the reasons of reports, and this build has none")
main(not_an_image, truncated_image, missing_image, unknown_features, not_cleanly_unmounted, wrong_totals,
     corrupt_superblocks, corrupt_inodes, corrupt_bitmap, corrupt_bitmap_of_what_is_freed, corrupt_pointers, bad_paths,
     bad_host_files, no_space, a_full_filesystem, a_limit_of_file_sizes, exactly_full, beyond_the_limits,
     interrupted, interrupted_recovery, format_leaves_what_is_there, in_use, permissions)
