# SPDX-License-Identifier: MIT
"""UUID, label and time of a new image, by options and by SOURCE_DATE_EPOCH, as dumpe2fs shows them."""

import os
import re
import subprocess

from bench import check, done, fsck, main, need, refused, usage

UUID = "01234567-89ab-cdef-0123-456789ABCDEF"


def shown(image):
    text = subprocess.run(["dumpe2fs", "-h", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
                          env={**os.environ, "TZ": "UTC"}).stdout.decode()
    found = dict(re.findall(r"^(.*?): +(.*)$", text, re.MULTILINE))
    return found["Filesystem UUID"], found["Filesystem volume name"], found["Filesystem created"]


def content(image):
    with open(image, "rb") as file:
        return file.read()


def by_options():
    done("format", "image", "8M", "--uuid", UUID, "--label", "sixteen letters!", "--epoch", "4000000000")
    check(shown("image") == (UUID.lower(), "sixteen letters!", "Tue Oct  2 07:06:40 2096"), shown("image"))
    done("format", "image", "8M", "--uuid=" + UUID, "--label=x", "--epoch=1")
    fsck("image")
    check(shown("image") == (UUID.lower(), "x", "Thu Jan  1 00:00:01 1970"), shown("image"))
    for arguments in (("--uuid", "1"), ("--uuid", UUID[:-1]), ("--uuid", UUID + "0"), ("--uuid", UUID.replace("-", "0")),
                      ("--uuid", "g" + UUID[1:]), ("--uuid", re.sub("[0-9A-Fa-f]", "0", UUID)), ("--uuid", ""),
                      ("--label", "seventeen letters"), ("--epoch", "-1"), ("--epoch", "4294967296"), ("--epoch", ""),
                      ("--epoch", "1K"), ("--epoch", "now")):
        usage("format", "none", "8M", *arguments)
        check(not os.path.exists("none"), arguments)
    usage("ls", "image", "--uuid", UUID)


def unlike_and_alike():
    """Two images differ without a given time. With a time the other options decide."""
    done("format", "one", "8M")
    done("format", "two", "8M")
    uuids = [shown(image)[0] for image in ("one", "two")]
    check(uuids[0] != uuids[1], uuids)
    check(all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid) for uuid in uuids),
          uuids)
    base = ("8M", "--epoch", "1700000000")
    done("format", "one", *base)
    done("format", "two", *base)
    check(content("one") == content("two"), "equal options")
    check(shown("one")[0][14] == "8", shown("one"))
    for other in (("9M",) + base[1:], base[:2] + ("1700000001",), base + ("--label", "x"), base + ("--block-size", "1024")):
        done("format", "two", *other)
        check(shown("one")[0] != shown("two")[0], other)


def by_environment():
    os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
    done("format", "three", "8M")
    check(shown("three")[2] == "Tue Nov 14 22:13:20 2023", shown("three"))
    os.environ["SOURCE_DATE_EPOCH"] = "x"
    refused("none", "format", "none", "8M", why="SOURCE_DATE_EPOCH")
    check(not os.path.exists("none"), "an image was left behind")
    done("format", "four", "8M", "--epoch", "1700000000")
    del os.environ["SOURCE_DATE_EPOCH"]
    check(content("three") == content("four"), "option and variable")


need("dumpe2fs", "e2fsck")
main(by_options, unlike_and_alike, by_environment)
