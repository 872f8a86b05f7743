# SPDX-License-Identifier: MIT
"""The command demo. The resulting image is clean, and the commands suggested at the end work."""

import os
import re

from bench import FAULTS, check, done, fsck, main, need, refused, run


def on_an_image_of_its_own():
    result = done("demo")
    text = result.out.decode()
    image = re.search(r"stays in (\S+)\. Try next", text).group(1)
    try:
        for word in ("format", "put", "ls", "map", "get", "punch", "truncate", "e2fsck"):
            check("$ %s%s" % ("" if word == "e2fsck" else "pmem-mapper ", word) in text, "%s\n%s" % (word, text))
        check(("0 violations" if FAULTS else "no race") in text, text)
        check(not os.path.exists(image + ".put") and not os.path.exists(image + ".get"), "files left behind")
        fsck(image)
        done("map", image, "/race" if FAULTS else "/file", "--json")
        done("put", image, os.environ["PMEM_MAPPER"], "/me")
        done("map", image, "/me")
        fsck(image)
    finally:
        os.unlink(image)


def on_a_given_image():
    done("demo", "given", "--lock", "none")
    fsck("given")
    refused("given", "demo", "given", why="exists")
    check(run("demo", "nowhere/given").code == 1, "a directory that is not there")


def files_that_are_there_stay():
    for name in ("kept.put", "kept.get"):
        with open(name, "wb") as file:
            file.write(b"mine")
        result = run("demo", "kept")
        check(result.code == 1 and name in result.err, result)
        with open(name, "rb") as file:
            check(file.read() == b"mine", name)
        os.unlink(name)
        check([other for other in os.listdir() if other.startswith("kept.")] == [], "files left behind")
        os.unlink("kept")


need("e2fsck")
main(on_an_image_of_its_own, on_a_given_image, files_that_are_there_stay)
