# SPDX-License-Identifier: MIT
"""The core's rooms stand on those below and never call upward; core knows nothing of hosted, hosted nothing of testkit.

Two kinds of arrow are looked at: what a file includes, and which member of the core archive defines what another one
calls. The second finds a call through a public header too. Within one level a call is allowed, a circle never.
"""

import pathlib
import re
import subprocess
import sys

from report import finish

# From the bottom up. A file NAME.c or NAME.h of the core is the room NAME.
LEVELS = [
    ["incore", "lock", "mem", "yield", "steps", "disorder", "report", "sized"],
    ["persist", "bitmap", "path", "atomic", "endian"],
    ["super", "group", "zone", "inode", "format"],
    ["branch", "balloc", "region", "ialloc", "descend"],
    ["map", "window", "cut", "modify"],
    ["grow", "truncate", "cache"],
    ["fault", "io", "pin", "sync", "freeze"],
    ["name", "dir", "walk"],
    ["mount", "recover", "survey", "survey_dir", "verify"],
]
# The two lowest levels are one: the in-core structures are made of what the pure helpers work on.
BASE = set(LEVELS[0] + LEVELS[1])
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
FREESTANDING = {"stddef.h", "stdint.h", "stdbool.h", "limits.h", "stdarg.h", "float.h", "iso646.h", "stdalign.h",
                "stdnoreturn.h"}
ATOMICS = {"atomic.h": "atomic_ops.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def upward(room, other):
    return not (room in BASE and other in BASE) and LEVEL[other] > LEVEL[room]


def included(path):
    return [(quote == "<", name) for quote, name in INCLUDE.findall(path.read_text())]


def core_includes(folder, faults, arrows):
    files = sorted(folder.glob("*.[ch]"))
    local = {path.name for path in files}
    for path in files:
        room = path.stem
        if room not in LEVEL:
            faults.append("%s: give the room %s a level in layers.py" % (path.name, room))
            continue
        for system, name in included(path):
            where = "lib/core/%s includes %s" % (path.name, name)
            if system:
                if name not in FREESTANDING and ATOMICS.get(path.name) != name:
                    faults.append(where + ", which is no freestanding header")
            elif name.startswith("ext2dax/"):
                if name.startswith(("ext2dax/hosted/", "ext2dax/testkit/")):
                    faults.append(where)
            elif name not in local:
                faults.append(where + ", which is not in the core")
            elif pathlib.PurePath(name).stem in LEVEL:
                other = pathlib.PurePath(name).stem
                if upward(room, other):
                    faults.append(where + ", a room above it")
                elif path.suffix == ".h":
                    arrows.setdefault(room, {}).setdefault(other, where)


def core_calls(archive, faults, arrows):
    listed = subprocess.run(["nm", "-A", "--format=posix", archive], check=True, stdout=subprocess.PIPE, text=True)
    defines, wants = {}, []
    for line in listed.stdout.splitlines():
        member, rest = line.split("]: ", 1)
        room = member.rsplit("[", 1)[1].split(".")[0]
        name, kind = rest.split()[:2]
        if kind in "Uw":
            wants.append((room, name))
        elif kind in "TDRBV":
            defines[name] = room
    for room, name in wants:
        other = defines.get(name)
        if other is None or other == room or room not in LEVEL or other not in LEVEL:
            continue
        where = "%s calls %s of %s" % (room, name, other)
        if upward(room, other):
            faults.append(where + ", a room above it")
        else:
            arrows.setdefault(room, {}).setdefault(other, where)
    if not defines:
        faults.append("nothing is defined in " + archive)


def circles(arrows, faults):
    """Depth first; every arrow back to a room still being visited closes a circle."""
    state = {}

    def visit(room, trail):
        state[room] = "open"
        for other, where in sorted(arrows.get(room, {}).items()):
            if state.get(other) == "open":
                steps = trail[trail.index(other):] if other in trail else []
                said = [arrows[a][b] for a, b in zip(steps, steps[1:])] + [where]
                if not all(step in BASE for step in steps):
                    faults.append("a circle: " + "; ".join(said))
            elif other not in state:
                visit(other, trail + [other])
        state[room] = "done"

    for room in sorted(arrows):
        if room not in state:
            visit(room, [room])


def other_layers(source, faults):
    for path in sorted((source / "lib/hosted").glob("*.[ch]")):
        for _, name in included(path):
            if "testkit" in name or name in {p.name for p in (source / "lib/core").glob("*.h")}:
                faults.append("lib/hosted/%s includes %s" % (path.name, name))
    for path in sorted((source / "include/ext2dax").glob("**/*.h")):
        public = path.parent.name
        for system, name in included(path):
            if public == "ext2dax" and system and name not in FREESTANDING:
                faults.append("include/ext2dax/%s includes %s, which is no freestanding header" % (path.name, name))
            if public == "ext2dax" and ("hosted/" in name or "testkit/" in name):
                faults.append("include/ext2dax/%s includes %s" % (path.name, name))
            if public == "hosted" and "testkit/" in name:
                faults.append("include/ext2dax/hosted/%s includes %s" % (path.name, name))


def main():
    source, archive = pathlib.Path(sys.argv[1]), sys.argv[2]
    faults, arrows = [], {}
    core_includes(source / "lib/core", faults, arrows)
    core_calls(archive, faults, arrows)
    circles(arrows, faults)
    other_layers(source, faults)
    finish("layers", faults)


main()
