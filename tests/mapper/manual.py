# SPDX-License-Identifier: MIT
"""The manual page and --help have the same commands, with the same arguments and the same options.

    manual.py PAGE
"""

import pathlib
import re
import sys

from bench import check, done, main

COMMAND = re.compile(r"^  ([a-z]+(?: \S+)*)(?:  .*)?$")
OPTION = re.compile(r"^ +(--?[a-z]\S*(?: \S+)*)(?:  .*)?$")
ITEM = re.compile(r"^\.It (Ic|Fl) (.*)$")


def helped():
    """Returns the entries of --help, as (command, or None for general options; command or option with its arguments)."""
    found, command = set(), None
    for line in done("--help").out.decode().splitlines():
        if COMMAND.match(line):
            command = COMMAND.match(line).group(1)
            found.add((None, command))
        elif OPTION.match(line):
            # A line at the margin belongs to no command. Several options may share a line.
            owner = command if line.startswith("   ") else None
            found.update((owner, option) for option in OPTION.match(line).group(1).split(", "))
    return found


def plain(text):
    """Returns the words of a line of mdoc, with [brackets] for optional words and dashes for options, without macros."""
    text = re.sub(r"(?:\bOp Ar| Ns Op Cm) (\S+)", r"[\1]", text)
    text = re.sub(r"\b(?:Ar|Cm) ", "", text)
    return text.replace(" | ", "|")


def written():
    """Returns the same of the page. An item of an inner list belongs to the item of the outer list."""
    found, command, depth = set(), None, 0
    for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
        item = ITEM.match(line)
        if line.startswith(".Bl"):
            depth += 1
        elif line.startswith(".El"):
            depth -= 1
        elif item and item.group(1) == "Ic":
            command = plain(item.group(2))
            found.add((None, command))
        elif item:
            found.add((command if depth > 1 else None, "-" + plain(item.group(2))))
    return found


def told(entry):
    return entry[1] if entry[0] is None else "%s of %s" % (entry[1], entry[0])


def the_page_and_help_agree():
    page, said = written(), helped()
    check(len(said) > 15, said)
    faults = ["the page lacks %s" % told(entry) for entry in sorted(said - page, key=str)]
    faults += ["--help lacks %s" % told(entry) for entry in sorted(page - said, key=str)]
    check(not faults, "\n".join(faults))


main(the_page_and_help_agree)
