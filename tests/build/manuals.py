# SPDX-License-Identifier: MIT
"""The manual pages are well-formed. The page of the library names every exported function and no other.

    manuals.py LIBRARY_PAGE SYMBOLS PAGE...
mandoc decides about the form, or groff where mandoc is not installed.
"""

import pathlib
import re
import shutil
import subprocess
import sys

from report import finish, skip

LINTS = {"mandoc": ["-T", "lint", "-W", "warning"], "groff": ["-ww", "-z", "-mdoc"]}
NAMED = re.compile(r"^\.Fn (\w+)", re.MULTILINE)


def complaints(pages):
    for program, options in LINTS.items():
        if shutil.which(program):
            for page in pages:
                done = subprocess.run([program, *options, page], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                if done.returncode != 0 or done.stdout:
                    yield "%s ended with %d:\n%s" % (program, done.returncode, done.stdout)
            return
    skip("the rest is good, but neither mandoc nor groff is installed to look at the pages")


def main():
    library, symbols, pages = sys.argv[1], sys.argv[2], sys.argv[3:]
    named = set(NAMED.findall(pathlib.Path(library).read_text()))
    exported = {line.split()[0] for line in pathlib.Path(symbols).read_text().splitlines()}
    faults = ["%s does not name %s" % (library, name) for name in sorted(exported - named)]
    faults += ["%s names %s, which is not exported" % (library, name) for name in sorted(named - exported)]
    if faults:
        finish("manual pages", faults)
    finish("manual pages", list(complaints([library, *pages])))


main()
