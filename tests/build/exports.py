# SPDX-License-Identifier: MIT
"""The shared library exports the names of symbols.txt, which are the names declared by the public headers. The same holds
for the further names of the testkit. No archive defines a name outside the prefixes of the library.

A line of symbols.txt is a name, followed by "faults" if a build without faults leaves the name out.
    exports.py LIBRARY SYMBOLS INCLUDE FAULTS       compares
    exports.py --write LIBRARY SYMBOLS INCLUDE      writes a new list, from a library built with faults
    exports.py --testkit [--write] ARCHIVE SYMBOLS INCLUDE
    exports.py --names ARCHIVE...
"""

import pathlib
import re
import subprocess
import sys

from report import finish

DECLARED = re.compile(r"^EXT2DAX_API\b[^;(]*?\b(\w+)\(", re.MULTILINE)
DECLARED_IN_TESTKIT = re.compile(r"^(?:struct|enum|bool|void|int|unsigned|u?int\d+_t|const|size_t)\b[^;(){]*?\b(ext2dax_\w+)\(",
                                 re.MULTILINE)
PART_OF_FAULTS = "fault.h"
OURS = ("ext2dax_", "e2d_", "e2dh_", "e2dt_")


def exported(library):
    command = ["nm", "-D", "--defined-only", "--format=posix", library]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    names = set()
    for line in listed.stdout.splitlines():
        name, kind = line.split()[:2]
        if kind != "A":  # the version node itself
            names.add(name.split("@")[0])
    return names


def defined(archive):
    """Returns the names visible to a program linked with the archive."""
    command = ["nm", "-g", "--defined-only", "--format=posix", archive]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {line.split()[0] for line in listed.stdout.splitlines() if len(line.split()) > 1}


def declared_in_testkit(include):
    headers = sorted(pathlib.Path(include).glob("ext2dax/testkit/*.h"))
    return {name for header in headers for name in DECLARED_IN_TESTKIT.findall(header.read_text())}


def testkit(archive, symbols, include):
    listed = set(pathlib.Path(symbols).read_text().split())
    found = {name for name in defined(archive) if name.startswith("ext2dax_")} - set(declared(include))
    headers = declared_in_testkit(include)
    finish("symbols of the testkit",
           ["%s is defined and not in %s" % (n, symbols) for n in sorted(found - listed)]
           + ["%s is in %s and not defined" % (n, symbols) for n in sorted(listed - found)]
           + ["%s is in %s and declared in no header" % (n, symbols) for n in sorted(listed - headers)]
           + ["%s is declared in a header and not in %s" % (n, symbols) for n in sorted(headers - listed)])


def names(archives):
    finish("names in the archives", ["%s defines %s, which a program could have for itself" % (archive, name)
                                     for archive in archives for name in sorted(defined(archive))
                                     if not name.startswith(OURS)])


def declared(include):
    """Returns the names in the installed headers of the library, each with its header. The testkit is another library."""
    found = {}
    for header in sorted(pathlib.Path(include).glob("ext2dax/**/*.h")):
        if header.parent.name != "testkit":
            for name in DECLARED.findall(header.read_text()):
                found[name] = header.name
    return found


def write(library, symbols, include):
    headers = declared(include)
    with open(symbols, "w") as out:
        for name in sorted(exported(library)):
            out.write(name + (" faults" if headers.get(name) == PART_OF_FAULTS else "") + "\n")


def compare(library, symbols, include, faults):
    listed = {}
    for line in pathlib.Path(symbols).read_text().splitlines():
        name, *condition = line.split()
        listed[name] = condition
    expected = {name for name, condition in listed.items() if faults or "faults" not in condition}
    found = exported(library)
    headers = set(declared(include))
    finish("exported symbols",
           ["%s is exported, not beginning with ext2dax_" % n for n in sorted(found) if not n.startswith("ext2dax_")]
           + ["%s is exported and not in symbols.txt" % n for n in sorted(found - expected)]
           + ["%s is in symbols.txt and not exported" % n for n in sorted(expected - found)]
           + ["%s is in symbols.txt and declared in no public header" % n for n in sorted(set(listed) - headers)]
           + ["%s is declared in a public header and not in symbols.txt" % n for n in sorted(headers - set(listed))])


def main():
    if sys.argv[1] == "--names":
        names(sys.argv[2:])
    elif sys.argv[1:3] == ["--testkit", "--write"]:
        own = {name for name in defined(sys.argv[3]) if name.startswith("ext2dax_")} - set(declared(sys.argv[5]))
        pathlib.Path(sys.argv[4]).write_text("".join(name + "\n" for name in sorted(own)))
    elif sys.argv[1] == "--testkit":
        testkit(*sys.argv[2:])
    elif sys.argv[1] == "--write":
        write(*sys.argv[2:5])
    else:
        compare(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "true")


main()
