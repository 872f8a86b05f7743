# SPDX-License-Identifier: MIT
"""The core's rooms are the folders of lib/core. Each stands on those listed before it and never calls upward. Core knows
nothing of hosted, hosted nothing of testkit.

Two kinds of arrow are checked, includes of a file, and calls between members of the core archive. The second kind finds a
call through a public header too. Within a room a call is allowed, a circle of files is not, except in base. In hosted and
in the testkit, which have no rooms, files may not form a circle either.

    layers.py SOURCE CORE HOSTED TESTKIT        the three archives
"""

import pathlib
import re
import subprocess
import sys

from report import finish

# From the bottom up.
ROOMS = ["base", "disk", "alloc", "tree", "file", "names", "mount", "builder"]
FREESTANDING = {"stddef.h", "stdint.h", "stdbool.h", "limits.h", "stdarg.h", "float.h", "iso646.h", "stdalign.h",
                "stdnoreturn.h"}
ATOMICS = {"base/atomic.h": "atomic_ops.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(name):
    return name.split("/")[0]


def upward(name, other):
    return ROOMS.index(room_of(other)) > ROOMS.index(room_of(name))


def included(path):
    return [(quote == "<", name) for quote, name in INCLUDE.findall(path.read_text())]


def core_files(folder, faults):
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.[ch]"))}
    lost = [name for name in files if room_of(name) not in ROOMS]
    faults += ["lib/core/%s: lies in none of the rooms %s" % (name, " ".join(ROOMS)) for name in lost]
    return {name: path for name, path in files.items() if name not in lost}


def core_includes(files, faults, arrows):
    for file, path in files.items():
        for system, name in included(path):
            where = "lib/core/%s includes %s" % (file, name)
            if system:
                if name not in FREESTANDING and ATOMICS.get(file) != name:
                    faults.append(where + ", which is no freestanding header")
            elif name.startswith("ext2dax/"):
                if name.startswith(("ext2dax/hosted/", "ext2dax/testkit/")):
                    faults.append(where)
            elif name not in files:
                faults.append(where + ", which is no path of a header below lib/core")
            elif upward(file, name):
                faults.append(where + ", a room above it")
            elif path.suffix == ".h":
                arrows.setdefault(file[:-2], {}).setdefault(name[:-2], where)


def core_calls(archive, faults, arrows):
    listed = subprocess.run(["nm", "-A", "--format=posix", archive], check=True, stdout=subprocess.PIPE, text=True)
    defines, wants = {}, []
    for line in listed.stdout.splitlines():
        member, rest = line.split("]: ", 1)
        # Meson writes the folder into the member's name.
        file = member.rsplit("[", 1)[1].split(".")[0].replace("_", "/", 1)
        name, kind = rest.split()[:2]
        if kind in "Uw":
            wants.append((file, name))
        elif kind in "TDRBV":
            defines[name] = file
    for file, name in wants:
        other = defines.get(name)
        if other is None or other == file:
            continue
        where = "%s calls %s of %s" % (file, name, other)
        if upward(file, other):
            faults.append(where + ", a room above it")
        else:
            arrows.setdefault(file, {}).setdefault(other, where)
    if not defines:
        faults.append("nothing is defined in " + archive)


def circles(arrows, faults, alike=()):
    """Searches depth first. An arrow back to a file still being visited closes a circle, allowed in the rooms of `alike`."""
    state = {}

    def visit(file, trail):
        state[file] = "open"
        for other, where in sorted(arrows.get(file, {}).items()):
            if state.get(other) == "open":
                steps = trail[trail.index(other):] if other in trail else []
                said = [arrows[a][b] for a, b in zip(steps, steps[1:])] + [where]
                if not all(room_of(step) in alike for step in steps):
                    faults.append("a circle: " + "; ".join(said))
            elif other not in state:
                visit(other, trail + [other])
        state[file] = "done"

    for file in sorted(arrows):
        if file not in state:
            visit(file, [file])


def storeys(arrows):
    """Returns the files in groups, from files without calls upward. A group calls only groups before."""
    files = set(arrows) | {other for calls in arrows.values() for other in calls}
    found = []
    while files:
        lowest = sorted(file for file in files if not (set(arrows.get(file, {})) & files))
        if not lowest:
            return found
        found.append(lowest)
        files -= set(lowest)
    return found


def library_calls(folder, archive, faults):
    """Checks the calls between files of the library, by the members of the archive. No circle is allowed."""
    own = {path.stem for path in folder.glob("*.c")}
    listed = subprocess.run(["nm", "-A", "--format=posix", archive], check=True, stdout=subprocess.PIPE, text=True)
    defines, wants, arrows = {}, [], {}
    for line in listed.stdout.splitlines():
        member, rest = line.split("]: ", 1)
        file = member.rsplit("[", 1)[1].split(".")[0]
        name, kind = rest.split()[:2]
        if file in own and kind in "Uw":
            wants.append((file, name))
        elif file in own and kind in "TDRBVC":
            defines[name] = file
    for file, name in wants:
        other = defines.get(name)
        if other and other != file:
            arrows.setdefault(file, {}).setdefault(other, "%s calls %s of %s" % (file, name, other))
    if not defines:
        faults.append("nothing of %s is in %s" % (folder.name, archive))
    circles(arrows, faults)
    print("files of %s that call each other, each line on those before it:" % folder.name)
    for files in storeys(arrows):
        print("   " + " ".join(files))


def other_layers(source, core, faults):
    for path in sorted((source / "lib/hosted").glob("*.[ch]")):
        for _, name in included(path):
            if "testkit" in name or "core/" in name or name in core:
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
    source, archive, hosted, testkit = pathlib.Path(sys.argv[1]), *sys.argv[2:]
    faults, arrows = [], {}
    files = core_files(source / "lib/core", faults)
    core_includes(files, faults, arrows)
    core_calls(archive, faults, arrows)
    circles(arrows, faults, ["base"])
    other_layers(source, files, faults)
    library_calls(source / "lib/hosted", hosted, faults)
    library_calls(source / "lib/testkit", testkit, faults)
    print("rooms of the core, each on those before it: " + " ".join(ROOMS))
    finish("layers", faults)


main()
