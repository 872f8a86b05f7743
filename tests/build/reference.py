# SPDX-License-Identifier: MIT
"""The reference builds without a warning, and describes everything public.

The HTML has an entry with a text for every function in the lists of symbols of the library and of the testkit. Every value
of an enum in the headers has a comment, which Doxygen alone does not require.
    reference.py DOXYGEN DOXYFILE INCLUDE SYMBOLS...
"""

import html
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from report import finish, skip

ENUM = re.compile(r"^enum \w+ \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
VALUE = re.compile(r"^ +(EXT2DAX_\w+)[^/\n]*(/\*)?", re.MULTILINE)


def build(doxygen, doxyfile, folder):
    """Returns the configuration with another folder, and with a list of the documented names and their pages."""
    own = folder / "Doxyfile"
    own.write_text('@INCLUDE = "%s"\nOUTPUT_DIRECTORY = "%s"\nGENERATE_TAGFILE = "%s"\nSEARCHENGINE = NO\n'
                   % (pathlib.Path(doxyfile).resolve(), folder, folder / "tags"))
    done = subprocess.run([doxygen, own], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 or done.stdout:
        finish("the reference", ["doxygen ended with %d:\n%s" % (done.returncode, done.stdout)])


def functions(tags):
    """Returns the place of each documented function, as name, file of HTML, and anchor."""
    for member in xml.etree.ElementTree.parse(tags).iter("member"):
        if member.get("kind") == "function":
            yield member.findtext("name"), member.findtext("anchorfile"), member.findtext("anchor")


def text_at(page, anchor):
    """Returns the text of the page after the declaration with this anchor."""
    entry = re.search(r'<a id="%s".*?<div class="memdoc">(.*?)</div>' % re.escape(anchor), page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", entry.group(1))).strip() if entry else ""


def bare_values(include):
    for header in sorted(pathlib.Path(include).rglob("*.h")):
        for body in ENUM.findall(header.read_text(encoding="utf-8")):
            yield from ("%s: %s has no comment" % (header.name, value) for value, comment in VALUE.findall(body) if not comment)


def main():
    doxygen, doxyfile, include, *lists = sys.argv[1:]
    if not doxygen:
        skip("doxygen is not installed")
    wanted = {line.split()[0] for symbols in lists for line in pathlib.Path(symbols).read_text().splitlines()}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        build(doxygen, doxyfile, folder)
        pages = {page.name: page.read_text(encoding="utf-8") for page in (folder / "html").glob("*.html")}
        found = {name for name, page, anchor in functions(folder / "tags") if text_at(pages.get(page, ""), anchor)}
    faults = ["%s has no entry with a text" % name for name in sorted(wanted - found)]
    faults += list(bare_values(include))
    finish("the reference: %d functions" % len(wanted), faults)


main()
