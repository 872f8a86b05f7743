# SPDX-License-Identifier: MIT
"""The core compiles in the build of a kernel, from the files of lib/core/sources, with the headers of the compiler alone and
the builtin atomics. The result needs four functions.

    freestanding.py SOURCE COMPILER...      also uses gcc and clang, if installed
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from core_symbols import LINKER, WANTED
from report import finish

FLAGS = ["-std=c11", "-O1", "-ffreestanding", "-fno-stack-protector", "-Wall", "-Wextra", "-Werror", "-DE2D_ATOMICS_BUILTIN"]


def own_headers(cc):
    """Returns the folder of stddef.h, which is `include` for gcc and a folder of the resources for clang."""
    for question in (["-print-file-name=include"], ["-print-resource-dir"]):
        told = subprocess.run(cc + question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
        for folder in (pathlib.Path(told), pathlib.Path(told, "include")):
            if told and (folder / "stddef.h").is_file():
                return str(folder)
    return None


def build(source, cc, faults):
    names = (source / "lib/core/sources").read_text().split()
    if len({pathlib.Path(name).stem for name in names}) != len(names):
        faults.append("two files of the core have one name: one folder cannot hold the objects of both")
    headers = own_headers(cc)
    if not headers:
        faults.append("%s: its own headers are nowhere" % " ".join(cc))
        return
    include = ["-nostdinc", "-isystem", headers, "-I", str(source / "include"), "-I", str(source / "lib/core")]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            done = subprocess.run(cc + FLAGS + include + ["-c", "-o", "%s/%s.o" % (folder, pathlib.Path(name).stem), str(source / "lib/core" / name)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                faults.append("%s does not compile %s:\n%s" % (" ".join(cc), name, done.stdout))
                return
        whole = folder + "/whole"
        subprocess.run(cc + ["-r", "-nostdlib", "-o", whole, *("%s/%s.o" % (folder, pathlib.Path(name).stem) for name in names)], check=True)
        listed = subprocess.run(["nm", "-u", "--format=posix", whole], check=True, stdout=subprocess.PIPE, text=True)
    foreign = [line.split()[0] for line in listed.stdout.splitlines() if line.split()[0] not in WANTED]
    faults += ["%s: the core wants %s" % (" ".join(cc), name) for name in foreign if not LINKER.match(name)]
    print("%s: %d files, headers of %s alone" % (" ".join(cc), len(names), headers))


def follow_the_page(source, faults):
    """Returns the loop of the page for authors of kernels, word for word."""
    page = (source / "examples/bare-metal/README.md").read_text()
    loop = re.search(r"^    for name in .*?^    done$", page, re.MULTILINE | re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("include", "lib"):
            pathlib.Path(folder, part).symlink_to(source / part)
        done = subprocess.run(["sh", "-e", "-c", loop[0] if loop else "exit 1"], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        made = {path.stem for path in pathlib.Path(folder).glob("*.o")}
    if done.returncode != 0 or made != {pathlib.Path(name).stem for name in (source / "lib/core/sources").read_text().split()}:
        faults.append("the loop of examples/bare-metal/README.md makes %d objects:\n%s" % (len(made), done.stdout))


def main():
    source, compilers, faults = pathlib.Path(sys.argv[1]), [sys.argv[2:]], []
    same = pathlib.Path(shutil.which(sys.argv[2]) or sys.argv[2]).resolve()
    compilers += [[path] for path in map(shutil.which, ("gcc", "clang")) if path and pathlib.Path(path).resolve() != same]
    listed = (source / "lib/core/sources").read_text().split()
    there = sorted(str(path.relative_to(source / "lib/core")) for path in (source / "lib/core").glob("*/*.c"))
    if listed != there:
        faults.append("lib/core/sources lists %s" % (sorted(set(listed) ^ set(there)) or "them in another order"))
    for cc in compilers:
        build(source, cc, faults)
    follow_the_page(source, faults)
    finish("the core in a kernel's own build", faults)


main()
