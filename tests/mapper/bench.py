# SPDX-License-Identifier: MIT
"""Shared code of the tests of the mapper: running the tool, scratch space, sparse files, independent readers of an image.

A test that cannot run here prints the reason and exits with 77. Scratch space is a tmpfs if possible, because images are
sparse files of up to 2 TiB, which an ordinary filesystem may refuse.
"""

import errno
import hashlib
import json
import os
import pty
import random
import re
import shutil
import subprocess
import sys
import tempfile

MAPPER = os.environ.get("PMEM_MAPPER", "pmem-mapper")
FAULTS = os.environ.get("PMEM_MAPPER_FAULTS", "true") == "true"
REASONS = os.environ.get("PMEM_MAPPER_REASONS", "true") == "true"
MAX_SIZE = {1024: 17247252480, 2048: 275415851008, 4096: 2196873666560, 65536: 2198888906752}


def reason(text, otherwise):
    """Returns the reason of a report, or the replacement in a build without reasons."""
    return text if REASONS else otherwise


def terminal():
    """Opens both ends of a terminal, which may be missing in a chroot."""
    try:
        return pty.openpty()
    except OSError as error:
        skip("a terminal: %s" % error)


def skip(reason):
    print("skip:", reason)
    sys.exit(77)


def need(*programs):
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for program in programs:
        if not shutil.which(program):
            skip(program + " is not installed")


def scratch():
    """A directory removed at the end of the test. It is the current directory, so names are short."""
    for place in ("/dev/shm", None):
        if place and (not os.path.isdir(place) or not os.access(place, os.W_OK)
                      or shutil.disk_usage(place).free < 1 << 30):
            continue
        directory = tempfile.TemporaryDirectory(prefix="mapper-test-", dir=place)
        os.chmod(directory.name, 0o755)
        os.chdir(directory.name)
        return directory


class Result:
    def __init__(self, arguments, done):
        self.arguments = arguments
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode(errors="replace")

    def __str__(self):
        return "%s\n  exit %d\n  stdout %r\n  stderr %r" % (
            " ".join(self.arguments), self.code, self.out[:2000], self.err[:2000])


def run(*arguments, mapper=None, env=None, user=None, stdin=subprocess.DEVNULL):
    arguments = [mapper or MAPPER, *map(str, arguments)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin,
                          env={**os.environ, **(env or {})}, user=user)
    return Result(arguments, done)


def as_user(user):
    """Options of run() for this user. A build below a directory closed to the user is copied. None if that fails, too."""
    for options in ({"user": user}, {"user": user, "mapper": os.path.abspath("others/pmem-mapper"),
                                     "env": {"LD_LIBRARY_PATH": os.path.abspath("others")}}):
        try:
            if run("--version", **options).code == 0:
                return options
        except PermissionError:
            pass
        os.makedirs("others", exist_ok=True)
        os.chmod("others", 0o755)
        shutil.copy(MAPPER, "others/pmem-mapper")
        linked = subprocess.run(["ldd", MAPPER], stdout=subprocess.PIPE, check=False).stdout.decode()
        for library in re.findall(r"=> (\S*/libext2dax\S*)", linked):
            shutil.copy(library, "others")
    print("(skipped: uid %d cannot run %s, nor a copy)" % (user, MAPPER))
    return None


def check(condition, what):
    if not condition:
        raise AssertionError(str(what))


def goes_through_a_mapping(block_size):
    """Returns whether a file is copied through a mapping. Otherwise the tool must print that it is not."""
    return FAULTS and block_size == os.sysconf("SC_PAGESIZE")


def done(*arguments, **options):
    """Runs a command that must succeed."""
    result = run(*arguments, **options)
    check(result.code == 0, result)
    return result


def refused(image, *arguments, why=None, **options):
    """Runs a command that must fail with a line "pmem-mapper: IMAGE: action: reason" and change nothing."""
    before = digest(image)
    result = run(*arguments, **options)
    check(result.code == 1, result)
    lines = [line for line in result.err.splitlines() if "by read/write" not in line]
    check(len(lines) == 1 and lines[0].startswith("pmem-mapper: %s: " % image), result)
    check(len(lines[0].split(": ")) >= 3 or why and why in lines[0], result)
    check(result.out == b"", result)
    if why:
        check(why in lines[0], "%s\n  expected: %s" % (result, why))
    check(digest(image) == before, "%s\n  the image has changed" % result)


def usage(*arguments, **options):
    result = run(*arguments, **options)
    check(result.code == 2, result)
    check(result.err.startswith("pmem-mapper: ") or not arguments, result)
    check(result.out == b"", result)
    return result


def digest(path):
    """Returns a digest of bytes and size. Holes are skipped, which is fast for a sparse file."""
    if not os.path.isfile(path):
        return None
    value = hashlib.sha256()
    with open(path, "rb") as file:
        for start, end in data_of(file):
            file.seek(start)
            while start < end:
                piece = file.read(min(1 << 20, end - start))
                if piece.strip(b"\0"):
                    value.update(b"%d:" % start + piece)
                start += len(piece)
        value.update(b"%d" % os.fstat(file.fileno()).st_size)
    return value.hexdigest()


def data_of(file):
    """Returns the ranges of a file with data."""
    at, size = 0, os.fstat(file.fileno()).st_size
    while at < size:
        try:
            start = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        yield start, min(at, size)


def same(path, expected, near=1 << 20):
    """Returns whether two sparse files are equal. Compares ranges with data in either file, and on a filesystem without holes
    the ranges around the expected data."""
    with open(path, "rb") as a, open(expected, "rb") as b:
        size = os.fstat(b.fileno()).st_size
        check(os.fstat(a.fileno()).st_size == size, "%s: size %d, expected %d" % (
            path, os.fstat(a.fileno()).st_size, size))
        stretches = list(data_of(b))
        found = list(data_of(a))
        if sum(end - start for start, end in found) < 1 << 30:
            stretches += found
        else:
            stretches = [(max(0, start - near), min(size, end + near)) for start, end in stretches]
        for start, end in stretches:
            while start < end:
                length = min(1 << 20, end - start)
                check(os.pread(a.fileno(), length, start) == os.pread(b.fileno(), length, start),
                      "%s differs from %s in the %d bytes at %d" % (path, expected, length, start))
                start += length


def fsck(image):
    result = subprocess.run(["e2fsck", "-fn", image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = result.stdout.decode(errors="replace")
    check(result.returncode == 0 and "? no" not in text, "e2fsck -fn %s: %d\n%s" % (image, result.returncode, text))


def mke2fs(image, block_size, tree=None, size="64M", *more):
    if os.path.exists(image):
        os.unlink(image)
    command = ["mke2fs", "-q", "-F", "-t", "ext2", "-b", str(block_size), *more]
    if tree:
        command += ["-d", tree]
    result = subprocess.run([*command, image, size], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(result.returncode == 0, result.stdout.decode(errors="replace"))


def debugfs(image, command):
    return subprocess.run(["debugfs", "-R", command, image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout.decode(errors="replace")


def join(extents):
    joined = []
    for logical, physical, length in sorted(extents):
        if joined and joined[-1][0] + joined[-1][2] == logical and joined[-1][1] + joined[-1][2] == physical:
            joined[-1] = (joined[-1][0], joined[-1][1], joined[-1][2] + length)
        else:
            joined.append((logical, physical, length))
    return joined


def debugfs_extents(image, path):
    """Returns [(logical, physical, length)] and the size, by debugfs."""
    text = debugfs(image, "stat %s" % path)
    size = int(re.search(r"Size: (\d+)", text).group(1))
    blocks = text.partition("BLOCKS:")[2].partition("TOTAL:")[0]
    extents = []
    for first, last, physical in re.findall(r"\((\d+)(?:-(\d+))?\):(\d+)", blocks):
        extents.append((int(first), int(physical), int(last or first) - int(first) + 1))
    return join(extents), size


def check_map(image, path, block_size):
    """Checks every block of `map --json` by debugfs, and holes and PMD ranges by arithmetic."""
    result = done("map", image, path, "--json")
    found = json.loads(result.out)
    check(list(found) == ["size", "block_size", "extents", "holes", "huge_ranges", "ranges"], result)
    extents, size = debugfs_extents(image, path)
    check(found["size"] == size and found["block_size"] == block_size, result)
    listed = [(e["logical"], e["physical"], e["length"]) for e in found["extents"]]
    check(listed == extents, "%s\n  debugfs: %r" % (result, extents))
    blocks = -(-size // block_size)
    holes, at = [], 0
    for logical, _, length in extents + [(blocks, 0, 0)]:
        if logical > at:
            holes.append((at, logical - at))
        at = logical + length
    check([(h["logical"], h["length"]) for h in found["holes"]] == holes, "%s\n  holes: %r" % (result, holes))
    ranges = huge = 0
    if block_size == os.sysconf("SC_PAGESIZE") == 4096:
        ranges = blocks // 512
        for logical, physical, length in extents:
            if (physical - logical) % 512 == 0:
                huge += max(0, min((logical + length) // 512, ranges) - -(-logical // 512))
    check(found["huge_ranges"] == huge and found["ranges"] == ranges, "%s\n  huge: %d" % (result, huge))
    return extents


def check_by_debugfs(image, path, block_size, expected):
    """Returns the bytes of the file, read from the image at the blocks named by debugfs."""
    extents, size = debugfs_extents(image, path)
    check(size == os.stat(expected).st_size, "%s: size %d" % (path, size))
    with open(image, "rb") as raw, open(expected, "rb") as wanted:
        for logical, physical, length in extents:
            for n in range(length):
                start = (logical + n) * block_size
                left = min(block_size, size - start)
                check(left > 0, "%s: block %d lies past the end of file" % (path, logical + n))
                check(os.pread(raw.fileno(), left, (physical + n) * block_size)
                      == os.pread(wanted.fileno(), left, start), "%s: block %d differs" % (path, logical + n))
        mapped = {logical + n for logical, _, length in extents for n in range(length)}
        for start, end in data_of(wanted):
            for block in range(start // block_size, -(-end // block_size)):
                if block not in mapped:
                    check(not os.pread(wanted.fileno(), block_size, block * block_size).strip(b"\0"),
                          "%s: block %d is a hole" % (path, block))


class Mount:
    """The image mounted read-only by Linux. Skips the test if this machine cannot mount."""

    def __init__(self, image):
        self.image, self.at = image, os.path.abspath(image + ".mnt")

    def __enter__(self):
        os.makedirs(self.at, exist_ok=True)
        result = subprocess.run(["mount", "-t", "ext2", "-o", "loop,ro", self.image, self.at],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode:
            skip("loop mount: " + result.stdout.decode(errors="replace").strip())
        return self.at

    def __exit__(self, *_):
        subprocess.run(["umount", self.at], check=True)


def sparse(path, size, pieces):
    """Makes a host file of a size with pieces {offset: bytes}."""
    with open(path, "wb") as file:
        for offset, piece in pieces.items():
            file.seek(offset)
            file.write(piece)
        file.truncate(size)


def boundary_files(directory, block_size):
    """Makes files with data at each boundary of the block tree, at 2^31, and at the largest size. Returns {name: path}."""
    p = block_size // 4
    largest = MAX_SIZE[block_size]
    source = random.Random(block_size)
    files = {}

    def add(name, size, pieces):
        files[name] = os.path.join(directory, name)
        sparse(files[name], size, pieces)

    for level, boundary in (("direct", 12), ("single", 12 + p), ("double", 12 + p + p * p)):
        for block in (boundary - 1, boundary, boundary + 1):
            start = block * block_size
            if start + block_size <= largest:
                add("%s-%d" % (level, block), start + 9, {start: source.randbytes(9)})
                add("%s-%d-whole" % (level, block), start + block_size,
                    {0: b"first", start: source.randbytes(block_size)})
    for size in ((1 << 31) - 1, 1 << 31, (1 << 31) + 1):
        add("size-%d" % size, size, {0: b"first", size - 3: b"end"})
    for size in (largest - 1, largest):
        add("size-%d" % size, size, {12345: b"middle", size - 3: b"end"})
        add("hole-%d" % size, size, {})
    return files


def main(*tests):
    """Runs the tests in order, and names a failed test."""
    with scratch():
        for test in tests:
            try:
                test()
            except Exception:
                print("failed:", test.__name__, "-", (test.__doc__ or "").strip())
                raise
            print("ok:", test.__name__)
