# SPDX-License-Identifier: MIT
"""Every installed public header compiles alone, with warnings as errors, and so depends on no earlier include. All headers
compile together, in both orders.

Each header is included twice, which shows a missing include guard. -Wshadow is for C alone, because in C++ a struct and a
function of the same name (as stat(2)) hide a constructor.
    headers.py LANGUAGE BUILD PREFIX INCLUDEDIR -- MESON... -- COMPILER...
"""

import subprocess
import sys

from installed import installed, split
from report import finish, skip

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wundef", "-Werror", "-fsyntax-only"]
LANGUAGE = {
    "c": ["-std=c11", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wc++-compat", "-x", "c"],
    "c++": ["-std=c++17", "-Wold-style-cast", "-Wzero-as-null-pointer-constant", "-x", "c++"],
}


def main():
    (language, build, prefix, includedir), meson, compiler = split(sys.argv[1:])
    if not compiler:
        skip("no %s compiler" % language)
    faults = []
    with installed(meson, build, prefix) as (_, at):
        folder = at / includedir
        names = [str(path.relative_to(folder)) for path in sorted(folder.glob("ext2dax/**/*.h"))]
        command = compiler + STRICT + LANGUAGE[language] + ["-I", str(folder), "-"]
        sets = [(name, [name, name]) for name in names]
        sets += [("the whole", names), ("the whole, from the last to the first", names[::-1])]
        for what, included in sets:
            source = "".join("#include <%s>\n" % name for name in included) + "typedef int not_empty;\n"
            done = subprocess.run(command, input=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                faults.append("%s does not compile as %s:\n%s" % (what, language, done.stdout))
    if not names:
        faults.append("no header is installed")
    finish("%d public headers as %s" % (len(names), language), faults)


main()
