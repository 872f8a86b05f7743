# SPDX-License-Identifier: MIT
"""report agrees with debugfs about where blocks lie, for images of dax-image and of mke2fs."""

import json
import os
import re
import subprocess
import xml.dom.minidom

from tool import PMD_RANGE, TOOL, build, check, content, done, main, need, write


def blocks_of(image, path):
    """Returns {block of the file: block of the image}, by debugfs."""
    text = subprocess.run(["debugfs", "-R", "stat %s" % path, image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout.decode()
    found = {}
    for first, last, start in re.findall(r"\((\d+)(?:-(\d+))?\):(\d+)", text[text.index("BLOCKS:"):]):
        for i in range(int(first), int(last or first) + 1):
            found[i] = int(start) + i - int(first)
    return found


def counted(image, path, size):
    """Returns what report must say of a file."""
    blocks = blocks_of(image, path)
    ranges = [w for w in range(size // PMD_RANGE) if all(512 * w + i in blocks for i in range(512))]
    huge = [w for w in ranges if blocks[512 * w] % 512 == 0
            and all(blocks[512 * w + i] == blocks[512 * w] + i for i in range(512))]
    extents = sum(blocks.get(i - 1) != start - 1 for i, start in blocks.items())
    pages = -(-size // 4096)
    return {"path": path, "size": size, "blocks": len(blocks), "ranges": len(ranges), "huge": len(huge), "extents": extents,
            "faults": pages - 511 * len(huge)}


def images():
    os.makedirs("source/d")
    write("source/large", os.urandom(3 * PMD_RANGE + 5000))
    write("source/small", os.urandom(9000))
    write("source/d/none", b"")
    with open("source/holes", "wb") as file:
        file.truncate(4 * PMD_RANGE)
        for at in (7 * 4096, PMD_RANGE, 3 * PMD_RANGE - 4096):
            file.seek(at)
            file.write(os.urandom(PMD_RANGE // 2 if at != PMD_RANGE else PMD_RANGE))
    build("source", "ours")
    build("--align", "page", "source", "packed")
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-d", "source", "theirs", "64M"], check=True, stderr=subprocess.DEVNULL)
    huge = {}
    for image in ("ours", "packed", "theirs"):
        report = json.loads(done("report", "--json", image).out)
        expected = [counted(image, "/" + name, os.stat("source/" + name).st_size) for name in ("holes", "large", "small")]
        expected.append({"path": "/d/none", "size": 0, "blocks": 0, "ranges": 0, "huge": 0, "extents": 0, "faults": 0})
        check(sorted(report["list"], key=str) == sorted(expected, key=str), "%s\n%s" % (report["list"], expected))
        for field in ("blocks", "ranges", "huge", "extents", "faults"):
            check(report[field] == sum(each[field] for each in expected), field)
        check(report["files"] == 4 and report["size"] == os.stat(image).st_size, report)
        huge[image] = report["huge"]
        # The text and a single file.
        check("/large" in done("report", image).out and "/small" not in done("report", image).out, "text")
        check("/small" in done("report", image, "/small").out, "one file")
        one = json.loads(done("report", "--json", image, "/d").out)
        check([each["path"] for each in one["list"]] == ["/d/none"], one)
    check(huge["ours"] == 4 and huge["packed"] == 0, huge)


def pictures():
    os.makedirs("source")
    write("source/large", os.urandom(3 * PMD_RANGE))
    build("source", "image")
    done("report", "--svg", "picture.svg", "image")
    paths = xml.dom.minidom.parse("picture.svg").getElementsByTagName("path")
    # Each cell is 10 wide, and runs of cells are drawn as rectangles.
    cells = {path.getAttribute("fill"): sum(int(width) // 10 for width in re.findall(r"h(\d+)v", path.getAttribute("d")))
             for path in paths}
    check(len(paths) == 3 and sum(cells.values()) == 1024, cells)
    huge = cells["#2e9e5b"] * os.stat("image").st_size / 1024
    check(abs(huge - 3 * PMD_RANGE) < PMD_RANGE / 8, huge)
    before = content("picture.svg")
    done("report", "--svg", "picture.svg", "image")
    check(content("picture.svg") == before, "the picture")


def on_a_terminal(*arguments):
    """Runs the tool with a terminal of its own, and returns the output and the errors together."""
    ours, theirs = os.openpty()
    with subprocess.Popen([TOOL, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        # A terminal without a program at the other end is an error, not an end of file.
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:
            pass
    os.close(ours)
    check(process.returncode == 0, shown)
    return shown.decode()


def terminal():
    """On a terminal the report ends with a picture, and a build draws a bar."""
    os.makedirs("source")
    write("source/large", os.urandom(3 * PMD_RANGE))
    build("source", "image")
    shown = on_a_terminal("report", "image")
    check("\033[32m#" in shown and "huge pages" in shown, shown)
    check("\033" not in done("report", "image").out, "without a terminal")
    shown = on_a_terminal("build", "--force", "source", "image")
    check(re.search(r"building \[[#.]{30}\] +\d+%", shown), shown)
    check("[" not in done("build", "--force", "source", "image").err, "without a terminal")


need("debugfs", "mke2fs")
main(images, pictures, terminal)
