#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns the plain comments of a public header into documentation for Doxygen. The INPUT_FILTER of the reference.

    doxygen-filter.py HEADER        writes the header to standard output, with the same number of lines

The place of a comment decides its subject, as for a reader.
- The first comment after the licence describes the file, and in ext2dax.h the main page.
- A comment after code on a line describes the code.
- A comment above code describes the next declaration, and further declarations without an empty line and a comment.
- A comment of several lines above an empty line describes the file as well.
- Any other comment above an empty line, above code with a comment, above a closing brace, #if or #include is a heading
  and stays unchanged.
In a comment, `this` is code, and EXT2DAX_SOMETHING is a link with an existing target. Lines with "- " are a list. Indented
lines are an example, or with two columns a list.
"""

import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CODE = re.compile(r"`([^`]*)`")
CONSTANT = re.compile(r"(?<![\w#])EXT2DAX_[A-Z0-9_]*[A-Z0-9]\b(?!…|_)")
COLUMNS = re.compile(r"^ {2,}(\S.*?) {2,}(\S.*)$")
DECLARATION = re.compile(r"[ \t]*(?:#[ \t]*define\b[^\n]*|[A-Za-z][^;{}]*;)")
UMBRELLA = "ext2dax.h"


def escaped(text):
    for plain, safe in (("&", "&amp;"), ("\\", "\\\\"), ("@", "\\@"), ("<", "&lt;"), (">", "&gt;"), ("#", "\\#"), ("%", "\\%")):
        text = text.replace(plain, safe)
    return text


def marked_up(text):
    """Returns a line of a comment in Doxygen's language."""
    parts = CODE.split(text)
    for i, part in enumerate(parts):
        parts[i] = "<code>%s</code>" % escaped(part) if i % 2 else CONSTANT.sub(r"\#\g<0>", escaped(part)).replace("\\#E", "#E")
    return "".join(parts)


def text_lines(comment):
    """Returns the lines of a comment without the frame. The first and the last line may be empty."""
    lines = comment[2:-2].split("\n")
    return [lines[0].strip()] + [re.sub(r"^\s*(?:\*(?!\S)|\*?(?=\s)) ?", "", line).rstrip() for line in lines[1:]]


def indented(line):
    return line.startswith("  ") and not line.lstrip().startswith("- ")


def body(lines):
    """Adds markup, line by line."""
    done, example, column, before = [], False, False, ""
    for i, line in enumerate(lines):
        begins = indented(line) and not before and not example
        if begins and COLUMNS.match(line):
            column = True
        elif begins:
            example = True
            done[-1] += "<pre>"
        if not line:
            if example:
                done[-1] += "</pre>"
            example = column = False
        if example:
            done.append(escaped(line))
        elif column and COLUMNS.match(line):
            done.append("- " + ": ".join(marked_up(part) for part in COLUMNS.match(line).groups()))
        else:
            done.append(marked_up(line))
        before = line
    return done


def framed(opening, lines):
    """Returns a comment with the same number of lines."""
    lines = body(lines)
    if len(lines) == 1:
        return "%s %s */" % (opening, lines[0])
    closing = lines.pop() if not lines[-1] else None
    text = (opening + " " + lines[0]).rstrip() + "".join("\n * " + line if line else "\n *" for line in lines[1:])
    return text + ("\n */" if closing is not None else " */")


def on_one_line(lines):
    text = body(lines)
    while not text[-1]:
        text.pop()
    return "/** %s */ " % " ".join(line or "<br>" for line in text[not text[0]:])


def has_a_comment(rest):
    return "/*" in rest.split("\n", 1)[0]


def documents(rest):
    """Returns whether a comment that ends before `rest` is above code without a comment."""
    below = rest.split("\n", 1)[1] if "\n" in rest else ""
    first = below.lstrip(" \t")
    if not first or first[0] in "\n}" or first.startswith(("/*", "#if", "#include", "#endif")):
        return False
    declaration = DECLARATION.match(below)
    if declaration and not first.startswith("#"):
        return not has_a_comment(below[declaration.end():])
    return not has_a_comment(below)


def shared(rest, lines):
    """Returns the declarations after the first, with the comment repeated where it describes them too, as (text, length)."""
    at, out = 1, "\n"
    while True:
        declaration = DECLARATION.match(rest, at)
        line_end = rest.find("\n", declaration.end()) if declaration else -1
        if line_end < 0 or rest[declaration.end():line_end].strip() or "/*" in declaration.group():
            return (out, at) if at > 1 else ("", 0)
        if at > 1:
            out += on_one_line(lines)
        out += rest[at:line_end + 1]
        at = line_end + 1


def filtered(name, text):
    out, at, number = [], 0, 0
    for comment in COMMENT.finditer(text):
        if comment.start() < at:
            continue
        number += 1
        out.append(text[at:comment.start()])
        at = comment.end()
        lines = text_lines(comment.group())
        line_start = text.rfind("\n", 0, comment.start()) + 1
        if number == 1:
            pass  # the licence, replaced by an empty line
        elif number == 2 and name == UMBRELLA:
            out[-1] = "/** @file\n * Includes every header of the core. */"
            out.append(framed(" /** @mainpage libext2dax", lines))
        elif number == 2 and len(lines) == 1:
            out[-1] = "/** @file\n"
            out.append(" * %s */" % marked_up(lines[0]))
        elif number == 2:
            out.append(framed("/** @file", lines))
        elif text[line_start:comment.start()].strip():
            out.append(framed("/**<", lines))
        elif documents(text[at:]):
            out.append(framed("/**", lines))
            repeated, length = shared(text[at:], lines)
            out.append(repeated)
            at += length
        elif comment.start() == line_start and not lines[0] and text[at:].startswith("\n\n"):
            out.append(framed("/** @file", lines))
        else:
            out.append(comment.group())
    return "".join(out) + text[at:]


def main():
    path = pathlib.Path(sys.argv[1])
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(filtered(path.name, path.read_text(encoding="utf-8")))


main()
