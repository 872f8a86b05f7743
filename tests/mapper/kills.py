# SPDX-License-Identifier: MIT
"""SIGKILL ends `pmem-mapper churn` at random moments, many times on the same image.

After each kill `e2fsck -p` alone repairs a copy of the image, and the library repairs the image at the next mount for
writing. In both, every file must have the content acknowledged by fsync. Only the unfinished step may be present, in part
or whole.

A killed process leaves all of its stores in the file, in their order. So this test proves the order of stores. The fences
are tested with crashing memory.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from array import array

from bench import MAPPER, check, done, fsck, main, need

FILES = ["churn.%d" % i for i in range(6)]
# Messages of e2fsck -p allowed after a crash. Other lines are progress.
ALLOWED = re.compile("|".join((
    r"was not cleanly unmounted, check forced", r"deleted/unused inode", r"[Dd]eleted inode \d+ has zero dtime",
    r"i_blocks is", r"i_size is", r"reference? count is|ref count is", r"Setting filetype", r"[Bb]lock bitmap differences",
    r"[Ii]node bitmap differences", r"[Ff]ree blocks count wrong", r"[Ff]ree inodes count wrong",
    r"[Dd]irectories count wrong", r"Unattached (zero-length )?inode", r"Clearing inode", r"[Cc]leared?", r"FIXED",
    r"files \([\d.]+% non-contiguous\)", r": clean, \d+/\d+ files")))


def words(tag, start, length):
    data = array("Q", range((tag << 24) + start // 8, (tag << 24) + start // 8 + length // 8))
    if sys.byteorder == "big":
        data.byteswap()
    return data.tobytes()


class Files:
    """The acknowledged contents of the files, and the step not acknowledged."""

    def __init__(self):
        self.held = {name: None for name in FILES}
        self.step = None

    def line(self, line):
        verb, name, start, length, tag = line.split()
        if verb == "synced":
            self.held[name] = self.after()
            self.step = None
        else:
            check(self.step is None, "two steps at once: " + line)
            self.step = (verb, name, int(start), int(length), int(tag))

    def after(self):
        verb, name, start, length, tag = self.step
        old = self.held[name]
        if verb == "create":
            return b""
        if verb == "unlink":
            return None
        if verb == "truncate":
            return old[:start] + bytes(max(0, start - len(old)))
        if verb == "punch":
            return old[:start] + bytes(min(length, len(old) - start)) + old[start + length:]
        new = words(tag, start, length)
        return old[:start] + bytes(max(0, start - len(old))) + new + old[start + length:]

    def explain(self, name, found, where):
        """Checks that the file may have the content `found`."""
        old = self.held[name]
        if found == old:
            return
        check(self.step is not None and self.step[1] == name,
              "%s: %s is not what was acknowledged: %s" % (where, name, difference(old, found)))
        new = self.after()
        if found == new:
            return
        check(found is not None and old is not None and new is not None,
              "%s: %s: %r is under way, and the file is neither as before nor as after" % (where, name, self.step))
        verb, _, start, length, _ = self.step
        sizes = (len(old), len(new))
        check(len(found) in sizes or verb == "write" and min(sizes) <= len(found) <= max(sizes),
              "%s: %s: %r is under way, %d bytes before, and %d now" % (where, name, self.step, len(old), len(found)))
        end = start + length if length else len(found)
        before, after = (x + bytes(max(0, len(found) - len(x))) for x in (old, new))
        check(found[:min(start, len(old))] == old[:min(start, len(old), len(found))],
              "%s: %s: %r has changed what lies before it" % (where, name, self.step))
        check(found[end:] == before[end:len(found)] or not length,
              "%s: %s: %r has changed what lies behind it" % (where, name, self.step))
        pieces = (slice(at, at + 512) for at in range(0, len(found), 512))
        mixed = (piece for piece in pieces if found[piece] not in (before[piece], after[piece]))
        for at in (at for piece in mixed for at in range(piece.start, min(piece.stop, len(found)))):
            check(found[at] in (before[at], after[at]),
                  "%s: %s: %r is under way, and byte %d is neither old nor new" % (where, name, self.step, at))

    def objects_to(self, name, found, where):
        """Returns whether the check refuses `found`, which the file may not have."""
        try:
            self.explain(name, found, where)
        except AssertionError:
            return True
        return False

    def must_object(self, found, where):
        """The check refuses a lost fsync of each other file, as a missing, short, changed or returned file."""
        for name in set(FILES) - {self.step[1] if self.step else None}:
            data = found[name]
            wrong = [b""] if data is None else [None, data + b"\0"]
            if data:
                at = min(len(data) // 2, 5000)
                wrong += [data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]]
            for other in wrong:
                check(self.objects_to(name, other, where), "%s: the check lets %s pass, changed" % (where, name))


def difference(old, found):
    if old is None or found is None:
        return "%s, and is %s" % tuple("missing" if x is None else "there, %d bytes" % len(x) for x in (old, found))
    at = next((i for i in range(min(len(old), len(found))) if old[i] != found[i]), min(len(old), len(found)))
    return "%d bytes, and are %d; the first difference at %d" % (len(old), len(found), at)


def dumped(image):
    """Returns the files as read by debugfs, independent of the library."""
    with open("dump.commands", "w") as commands:
        for name in FILES:
            if os.path.exists(name):
                os.unlink(name)
            commands.write("dump /%s %s\n" % (name, name))
    subprocess.run(["debugfs", "-f", "dump.commands", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True)
    listed = subprocess.run(["debugfs", "-R", "ls -p /", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            check=True).stdout.decode()
    there = {line.split("/")[5] for line in listed.splitlines() if line.count("/") >= 6 and line[1] != "0"}
    return {name: open(name, "rb").read() if name in there else None for name in FILES}


def preened(copy):
    result = subprocess.run(["e2fsck", "-p", copy], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = result.stdout.decode(errors="replace")
    check(result.returncode in (0, 1), "e2fsck -p exits with %d:\n%s" % (result.returncode, text))
    for line in text.splitlines():
        check(not line.strip() or ALLOWED.search(line), "e2fsck -p says what no crash of ours allows: " + line)
    fsck(copy)
    return result.returncode


def die(files, seed, after, early):
    """Runs churn, kills it after a while, and reads the printed steps. Returns the number of lines. With `early` the
    kill may come during mount and recovery."""
    with open("churn.err", "wb") as errors:
        process = subprocess.Popen([MAPPER, "churn", "image", str(seed), "--seconds", "60"], stdout=subprocess.PIPE,
                                   stderr=errors)
        told = b"" if early else process.stdout.readline()
        time.sleep(after)
        process.kill()
        told += process.stdout.read()
        process.wait()
    with open("churn.err", "rb") as errors:
        said = errors.read().decode()
    check(process.returncode == -9, "churn ended by itself: %d %s" % (process.returncode, said))
    lines = told.decode().split("\n")
    for line in lines[:-1]: # an incomplete line counts as not printed
        files.line(line)
    return len(lines) - 1


def kills(count, block_size, seed):
    noise = random.Random(seed)
    files, steps, under_way, repaired = Files(), 0, 0, 0
    done("format", "image", "12M", "--block-size", block_size)
    for number in range(count):
        steps += die(files, noise.randrange(65536), noise.random() * noise.choice((0.005, 0.05)), number % 5 == 4)
        where = "death %d of seed %d, blocks of %d" % (number, seed, block_size)
        under_way += files.step is not None
        shutil.copy("image", "copy")
        repaired += preened("copy")
        by_fsck = dumped("copy")
        for name, found in by_fsck.items():
            files.explain(name, found, where + ", e2fsck -p")
        files.must_object(by_fsck, where)
        # A change recovers the image first.
        done("put", "image", "anchor", "/anchor")
        fsck("image")
        now = dumped("image")
        for name, found in now.items():
            files.explain(name, found, where + ", recovered")
            check(found == by_fsck[name], where + ": %s is recovered otherwise than by e2fsck -p: %s" %
                  (name, difference(by_fsck[name], found)))
        files.held, files.step = now, None
    check(under_way > 0, "nobody died in the midst of a step")
    print("%d kills in blocks of %d (seed %d): %d steps told, %d kills in the midst of one; e2fsck -p alone repaired every "
          "image (%d had something to repair), recovery at mount every one too; every acknowledged fsync is present" %
          (count, block_size, seed, steps, under_way, repaired))


def deaths():
    need("e2fsck", "debugfs")
    total = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print("seed %d (an argument behind the count repeats it)" % seed, flush=True)
    with open("anchor", "wb") as anchor:
        anchor.write(b"anchor")
    for block_size in (4096, 1024):
        kills(total // 2, block_size, seed)
    print("this proves the order of stores, not the fences: a process that dies leaves every store it made behind")


main(deaths)
