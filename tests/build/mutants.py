# SPDX-License-Identifier: MIT
"""The core names few mutants, and none in its essential functions. Each call that a mutant leaves out exists.

    mutants.py SOURCE LINES
"""

import itertools
import pathlib
import re
import sys

from report import finish

# Both define the mutants.
LISTS = ["base/instrument.h", "base/mutants.h"]
ESSENTIAL = {"file/fault.c": ["resolve", "serve", "write_page", "make_writable", "huge_page", "enter", "block_for_write"],
             "file/truncate.c": ["e2d_shrink", "punch", "publish_shrunk"]}
NAMED = re.compile(r"\bE2D_MUTANT")
HOOK = re.compile(r"\bE2D_(?:MUTANT|UNLESS|SKIP|INSTRUMENT)")
ROW = re.compile(r'_\((\w+), +"([^"]+)",[ \\\n]+"([^"]+)"\)')
# Stand for both functions of a lock.
PAIRS = ["e2d_dax_read", "e2d_range"]
# The macros of persist.h leave out these calls, without skips.h.
STORES = ["e2d_zero", "e2d_usable", "e2d_is_usable"]


def functions(text):
    """Pairs of name and body. A definition opens and closes its body in the first column."""
    for found in re.finditer(r"^([a-z][^;{}]*?)\n\{\n(.*?)^\}$", text, re.MULTILINE | re.DOTALL):
        name = re.search(r"\((\w+)\)\(", found.group(1)) or re.search(r"(\w+)\(", found.group(1))
        if name:
            yield name.group(1), " ".join(found.group(2).split())


def table(text, name):
    """Returns the text of the list begun by a #define, up to the first line without a continuation."""
    found = re.search(r"#define %s\(_\)((?:.*\\\n)*.*\n)" % name, text)
    return found.group(1) if found else ""


def mutants(lists):
    names = {"ORDER_" + name for name in re.findall(r"_\((\w+), ", table(lists, "E2D_WRONG_ORDERS"))}
    for part in ("E2D_MUTANTS", "E2D_CALL_MUTANTS", "E2D_FAILURE_MUTANTS"):
        names |= set(re.findall(r"_\((\w+), ", table(lists, part)))
    return names


def count_lines(texts, most, faults):
    named = ["%s:%d: %s" % (path, number, line.strip()) for path, text in texts.items()
             for number, line in enumerate(text.splitlines(), 1) if NAMED.search(line)]
    print("\n".join(named))
    print("lines of the core that name a mutant: %d, at most %d" % (len(named), most))
    if not 0 < len(named) <= most:
        faults.append("%d lines of the core name a mutant" % len(named))


def essential(texts, faults):
    for path, names in ESSENTIAL.items():
        bodies = dict(functions(texts[path]))
        for name in names:
            if name not in bodies:
                faults.append("%s has no function %s" % (path, name))
            elif HOOK.search(bodies[name]):
                faults.append("%s: %s() names a mutant" % (path, name))
    if '"file/truncate.h"' in texts["file/fault.c"]:
        faults.append("file/fault.c includes file/truncate.h: a fault never truncates")


def calls(body, call):
    if call.startswith("&") or "(" in call:
        return call in body
    return re.search(r"\b%s%s\(" % (call, "_(?:un)?lock" if call in PAIRS else ""), body)


def skipped(texts, lists, faults):
    rows, known = ROW.findall(table(lists, "E2D_SKIPS")), mutants(lists)
    bodies = [(path, name, body) for path, text in texts.items() for name, body in functions(text)]
    for mutant, function, call in rows:
        row = "%s leaves out %s in %s" % (mutant, call, function)
        if mutant not in known:
            faults.append(row + ", and is no mutant")
        where = {path for path, name, body in bodies if function in ("*", name) and calls(body, call)}
        if not where:
            faults.append(row + ", which has no such call")
        if call not in STORES:
            faults += ["%s, and %s does not include base/skips.h" % (row, path) for path in where
                       if '"base/skips.h"' not in texts[path]]
    runs = [mutant for mutant, _ in itertools.groupby(row[0] for row in rows)]
    faults += ["the rows of %s are not adjacent" % mutant for mutant in sorted(set(runs)) if runs.count(mutant) > 1]
    if not rows:
        faults.append("no call is left out by a mutant")


def written_back(texts, lists, faults):
    """Checks that each write-back removed by a mutant is in its function, with the text by which the mutant finds it."""
    bodies = [(name, body) for text in texts.values() for name, body in functions(text)]
    rows = ROW.findall(table(lists, "E2D_WRITE_BACKS"))
    faults += ["WRITE_BACK_%s names %s in %s, which has no such text" % (mutant, what, function)
               for mutant, function, what in rows if not any(name == function and what in body for name, body in bodies)]
    if not rows:
        faults.append("no write-back is taken away by a mutant")


def main():
    source, most = pathlib.Path(sys.argv[1], "lib/core"), int(sys.argv[2])
    files = {str(path.relative_to(source)): path.read_text() for path in sorted(source.rglob("*.[ch]"))}
    lists = "".join(files[name] for name in LISTS)
    texts = {path: text for path, text in files.items() if path not in LISTS}
    faults = []
    count_lines(texts, most, faults)
    essential(texts, faults)
    skipped(texts, lists, faults)
    written_back(texts, lists, faults)
    finish("mutants of the core", faults)


main()
