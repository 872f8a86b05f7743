# SPDX-License-Identifier: MIT
"""Every public header compiles alone, with every warning an error: nothing in it leans on what was included before.

Each is included twice, so that a missing include guard shows. -Wshadow is for C alone: a struct and a function of one
name, as stat(2) has it, are a hidden constructor to C++.
    headers.py FOLDER LANGUAGE COMPILER...
"""

import pathlib
import subprocess
import sys

from report import finish, skip

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wundef", "-Werror", "-fsyntax-only"]
LANGUAGE = {
    "c": ["-std=c11", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wc++-compat", "-x", "c"],
    "c++": ["-std=c++17", "-Wold-style-cast", "-Wzero-as-null-pointer-constant", "-x", "c++"],
}


def main():
    folder, language, compiler = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if not compiler:
        skip("no %s compiler" % language)
    faults = []
    headers = sorted(folder.glob("ext2dax/**/*.h"))
    for header in headers:
        name = header.relative_to(folder)
        command = compiler + STRICT + LANGUAGE[language] + ["-I", str(folder), "-"]
        source = "#include <%s>\n#include <%s>\ntypedef int not_empty;\n" % (name, name)
        done = subprocess.run(command, input=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            faults.append("%s does not compile alone as %s:\n%s" % (name, language, done.stdout))
    if not headers:
        faults.append("no header in %s" % folder)
    finish("%d public headers as %s" % (len(headers), language), faults)


main()
