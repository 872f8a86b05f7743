# SPDX-License-Identifier: MIT
"""Usage errors exit with 2 and a reason, before an image is opened. --help and --version print their texts."""

import os
import re

from bench import check, done, main, refused, run, usage


def help_and_version():
    result = done("--help")
    for word in (b"format", b"ls", b"put", b"get", b"map", b"truncate", b"punch", b"race", b"demo", b"--lock",
                 b"mkdir", b"mknod", b"ln", b"mv", b"rm", b"stat", b"chmod", b"chown", b"touch", b"getfattr", b"setfattr"):
        check(word in result.out, result)
    check(re.fullmatch(rb"pmem-mapper \d+\.\d+\.\d+\n", done("--version").out), "--version")
    check(done("race", "--help").out == result.out, "--help behind a command")
    usage()


def bad_commands():
    """Each is refused before any file is opened, because the image does not exist."""
    for arguments in (
            ("frobnicate", "i"), ("format", "i"), ("format", "i", "1M", "2"), ("ls",), ("ls", "i", "/", "/"),
            ("put", "i", "h"), ("get", "i"), ("get", "i", "/", "h", "x"), ("map", "i"), ("truncate", "i", "/f"),
            ("punch", "i", "/f", "0"), ("race", "i"), ("demo", "i", "x"), ("map", "i", "/f", "--jason"),
            ("ls", "i", "--access"), ("map", "i", "/f", "--access=all"), ("map", "i", "/f", "--collapse"),
            ("map", "i", "/f", "--populate"), ("get", "i", "/f", "--populate"), ("get", "i", "/f", "--mapped", "--collapse"),
            ("ls", "i", "--json"), ("map", "i", "/f", "--threads", "2"), ("format", "i", "1M", "--block-size"),
            ("format", "i", "1M", "--block-size", "512"), ("format", "i", "1M", "--block-size", "3000"),
            ("format", "i", "1M", "--block-size", "131072"), ("format", "i", "1M", "--block-size", "x"),
            ("race", "i", "/f", "--threads", "0"), ("race", "i", "/f", "--threads", "65"),
            ("race", "i", "/f", "--threads", "-1"), ("race", "i", "/f", "--seconds", "0"),
            ("race", "i", "/f", "--seconds", "1s"), ("truncate", "i", "/f", "-1"), ("truncate", "i", "/f", "1X"),
            ("truncate", "i", "/f", ""), ("truncate", "i", "/f", "1KB"), ("punch", "i", "/f", "a", "1"),
            ("mkdir", "i"), ("rm", "i"), ("mv", "i", "a"), ("mv", "i", "a", "b", "c"), ("ln", "i", "a"), ("chmod", "i", "7"),
            ("put", "i", "h", "/f", "-s"), ("ls", "i", "-r"), ("rm", "i", "/f", "-x"), ("get", "i", "/f", "h", "-rs"),
            ("format", "i", "many"), ("ls", "i", "a", "b", "c", "d", "e", "f", "g")):
        usage(*arguments)
        check(not os.path.exists("i"), arguments)


def plugs_this_build_lacks():
    for name in ("spin", ""):
        check(name in usage("ls", "i", "--lock", name).err, name)
    check("userfaultfd" in usage("ls", "i", "--fault", "magic").err, "--fault magic")
    check("none" in usage("race", "i", "/f", "--lock", "none").err, "race --lock none")
    usage("race", "i", "/f", "--lock=none")


def sizes():
    """Suffixes of numbers, and numbers beyond 64 bits."""
    done("format", "i", "4M")
    with open("h", "wb") as file:
        file.write(b"x")
    done("put", "i", "h", "/f")
    for text, size in (("0", 0), ("1", 1), ("3K", 3072), ("2m", 2 << 20), ("1G", 1 << 30), ("2T", None)):
        if size is None:
            refused("i", "truncate", "i", "/f", text)
            continue
        done("truncate", "i", "/f", text)
        check(b'"size": %d,' % size in done("map", "i", "/f", "--json").out, text)
    for text in ("18446744073709551616", "99999999999999999999999999", "16777216T", "18014398509481984K"):
        refused("i", "truncate", "i", "/f", text, why="64 bits")
        refused("i", "punch", "i", "/f", text, "1", why="64 bits")
        refused("i", "punch", "i", "/f", "0", text, why="64 bits")
        refused("i", "format", "i", text, why="64 bits")


def arguments():
    """Options may be at any place, but not after --. A failed write of the output is an error."""
    done("--lock", "none", "ls", "i")
    done("ls", "--lock=none", "i", "--fault", "sigsegv")
    with open("-h", "wb") as file:
        file.write(b"dash")
    done("put", "i", "--", "-h", "/-f")
    check(done("get", "i", "--", "/-f").out == b"dash", "get to standard output")
    check(done("get", "i", "/-f", "-").out == b"dash", "get to -")
    if os.path.exists("/dev/full"):
        import subprocess
        from bench import MAPPER
        with open("/dev/full", "wb") as full:
            for what in (["ls", "i"], ["get", "i", "/-f"], ["--help"]):
                result = subprocess.run([MAPPER, *what], stdout=full, stderr=subprocess.PIPE)
                check(result.returncode == 1 and result.stderr, (what, result))
    check(run("ls", "i").out.count(b"\n") >= 5, "ls")


def descriptors():
    """Messages never reach the image, even if standard descriptors are closed or are the image."""
    import subprocess
    from bench import MAPPER, digest
    before = digest("i")
    for closed in ("2>&-", ">&-", "<&- >&- 2>&-"):
        for command in ("truncate i /none 0", "ls i /none", "race i /none/x", "get i /-f"):
            code = subprocess.run(["sh", "-c", '"$0" %s %s' % (command, closed), MAPPER],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
            check(code == (0 if (command, closed) == ("get i /-f", "2>&-") else 1), (command, closed, code))
            check(digest("i") == before, (command, closed, "has changed the image"))
    with open("i", "r+b") as image:
        result = subprocess.run([MAPPER, "get", "i", "/-f"], stdout=image, stderr=subprocess.PIPE)
    check(result.returncode == 1 and b"image itself" in result.stderr, result)
    check(digest("i") == before, "get wrote to the image")


main(help_and_version, bad_commands, plugs_this_build_lacks, sizes, arguments, descriptors)
