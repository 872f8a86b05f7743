# SPDX-License-Identifier: MIT
"""The shared library serves programs linked with the last release. abidiff compares the library with a description of the
interface of this release. Allowed additions are functions, and members at the end of structs that begin with their size.
A library with another soname has a changed interface and is not compared.

    abi.py DESCRIPTION LIBRARY INCLUDE CPU             compares
    abi.py --write DESCRIPTION LIBRARY INCLUDE CPU     writes a new description of a library built with debug information
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from report import finish, skip

CPU = "x86_64"
DESCRIBE = ["--drop-private-types", "--drop-undefined-syms", "--no-comp-dir-path", "--no-corpus-path", "--no-elf-needed",
            "--no-show-locs", "--no-write-default-sizes", "--no-parameter-names", "--type-id-style", "hash"]
# Error bits of the exit status of abidiff. The other two bits are changes.
TROUBLE = 1 | 2
SIZED = re.compile(r"^struct (\w+) \{\n\s+size_t size;", re.MULTILINE)
GROWS = """[suppress_type]
  type_kind = struct
  name = %s
  has_data_member_inserted_at = end
"""


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def soname(text, pattern):
    found = re.search(pattern, text)
    return found.group(1) if found else "no soname"


def wants(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        skip("not installed: %s (package abigail-tools)" % ", ".join(missing))


def write(description, library, include):
    answer, text = run("abidw", "--headers-dir", include, *DESCRIBE, library)
    if answer != 0:
        sys.exit("abidw ended with %d:\n%s" % (answer, text))
    # Files by their path in the source tree, for any location of the tree.
    text = re.sub(r" path='[^']*?\b(lib/[^']*)'", r" path='\1'", text)
    pathlib.Path(description).write_text(text)


def layouts(description):
    """Returns the size of each struct and the offsets of its members, in bits."""
    found = {}
    for struct in xml.etree.ElementTree.parse(description).iter("class-decl"):
        members = {member.find("var-decl").get("name"): int(member.get("layout-offset-in-bits"))
                   for member in struct.iter("data-member")}
        if struct.get("size-in-bits") and members:
            found[struct.get("name")] = int(struct.get("size-in-bits")), members
    return found


def within_older(names, before, now):
    """Returns new members inside the size of an older caller. For this caller such a member is padding with any content."""
    older = layouts(before)
    for name, (_, members) in layouts(now).items():
        if name in names and name in older:
            size, known = older[name]
            for member, offset in members.items():
                if member not in known and offset < size:
                    yield "%s of %s lies where an older caller has padding" % (member, name)


def compare(description, library, include):
    sections = run("readelf", "-SWd", library)[1]
    if ".debug_info" not in sections:
        skip("built without debug information, which has the types")
    before = soname(pathlib.Path(description).read_text(), r"soname='([^']*)'")
    now = soname(sections, r"soname: \[([^]]*)\]")
    if before != now:
        print("%s is not to serve programs that want %s" % (now, before))
        finish("ABI", [])
        return
    grow = {name for path in pathlib.Path(include).glob("ext2dax/**/*.h") for name in SIZED.findall(path.read_text())}
    with tempfile.TemporaryDirectory() as folder:
        grows = pathlib.Path(folder, "grows")
        grows.write_text("\n".join(GROWS % name for name in sorted(grow)))
        # Compares two descriptions. In a library a type without a header here would count as private and be left out.
        write(folder + "/now", library, include)
        faults = list(within_older(grow, description, folder + "/now"))
        answer, text = run("abidiff", "--no-added-syms", "--suppressions", str(grows), description, folder + "/now")
    print("%d structs may grow at their end" % len(grow))
    if answer & TROUBLE or not grow:
        finish("ABI", ["abidiff ended with %d:\n%s" % (answer, text)])
    if answer:
        faults.append("programs linked with the last release may fail (change EXT2DAX_ABI_VERSION if that is meant):\n" + text)
    finish("ABI of " + now, faults)


def main():
    arguments = [word for word in sys.argv[1:] if word != "--write"]
    if arguments[3] != CPU:
        skip("the description is of %s, and this is %s" % (CPU, arguments[3]))
    wants("abidw", "abidiff")
    (compare if arguments == sys.argv[1:] else write)(*arguments[:3])


main()
