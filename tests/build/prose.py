# SPDX-License-Identifier: MIT
"""Comments are plain sentences, by the rules of CONTRIBUTING.md, "Prose".

Counts, per folder and 1,000 words of comments, words of the what/who family, pronouns without a noun, semicolons and
colons. A line with a comment has at most 100 columns.

    prose.py SOURCE
"""

import pathlib
import re
import sys

from report import finish

FOLDERS = ["include", "lib/core", "lib/hosted", "lib/testkit", "tests", "examples"]
COLUMNS = 100
COUNTED = [
    ("what/who", 3, re.compile(r"\b(?:what|whoever|whatever|who|whose)\b", re.IGNORECASE)),
    ("pronouns", 25, re.compile(r"\b(?:it|its|that|those|these|one|ones|there|them|they)\b", re.IGNORECASE)),
    ("; and :", 15, re.compile(r"[;:]")),
]
# A literal is matched first, so that no comment begins inside of it.
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.DOTALL)


def comments(text):
    """(line number of the start, text) of each comment."""
    for found in TOKEN.finditer(text):
        if found.group()[:2] in ("/*", "//"):
            yield text.count("\n", 0, found.start()), found.group()


def words_of(comment):
    return " ".join(re.sub(r"^\s*\*+", "", comment[2:].removesuffix("*/"), flags=re.MULTILINE).split())


def main():
    source, faults = pathlib.Path(sys.argv[1]), []
    for folder in FOLDERS:
        said = []
        for path in sorted((source / folder).rglob("*.[ch]")):
            text = path.read_text()
            lines = text.splitlines()
            for first, comment in comments(text):
                for number in range(first, first + comment.count("\n") + 1):
                    if len(lines[number]) > COLUMNS:
                        faults.append("%s:%d: a comment reaches column %d" % (path.relative_to(source), number + 1,
                                                                              len(lines[number])))
                if "SPDX" not in comment:
                    said.append(words_of(comment))
        said = " ".join(said)
        count = len(re.findall(r"[A-Za-z']+", said))
        if count == 0:
            faults.append(folder + " has no comment")
            continue
        figures = [1000 * len(pattern.findall(said)) / count for _, _, pattern in COUNTED]
        print("%-12s %6d words: %s" % (folder, count, ", ".join("%s %.1f" % (name, figure) for (name, _, _), figure
                                                                 in zip(COUNTED, figures))))
        faults += ["%s: %.1f of %s in 1,000 words of comments, at most %d" % (folder, figure, name, most)
                   for (name, most, _), figure in zip(COUNTED, figures) if figure > most]
    finish("prose of comments", faults)


main()
