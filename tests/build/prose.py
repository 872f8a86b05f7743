# SPDX-License-Identifier: MIT
"""Comments are plain sentences, by the rules of CONTRIBUTING.md, "Prose".

Counts, per folder and 1,000 words of comments, words of the what/who family, pronouns without a noun, semicolons and
colons. A line with a comment has at most 100 columns. The same counts hold for the scripts (docstrings and comments), for
the files of the build, and for the pages.

    prose.py SOURCE
"""

import ast
import io
import pathlib
import re
import sys
import tokenize

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


def script_words(text):
    tree = ast.walk(ast.parse(text))
    said = [ast.get_docstring(node) for node in tree if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return " ".join([words for words in said if words] + [token.string[1:] for token in tokens
                                                          if token.type == tokenize.COMMENT and "SPDX" not in token.string])


def hash_words(text):
    return " ".join(line.strip()[1:] for line in text.splitlines() if line.strip().startswith("#") and "SPDX" not in line)


def page_words(text):
    """Without code, the targets of links, and the rules of tables."""
    for code in (r"```.*?```", r"^    .*?$", r"`[^`]*`", r"\]\([^)]*\)", r"^\|[-| ]*$"):
        text = re.sub(code, " ", text, flags=re.MULTILINE | re.DOTALL if code.startswith("```") else re.MULTILINE)
    return text


def others(source):
    """(name, text) of the scripts, the files of the build, and the pages. A list of changes is no page."""
    folders = [source / name for name in (".ci", "build-aux", "examples", "include", "lib", "tests")]
    below = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    yield "scripts", " ".join(script_words(path.read_text()) for path in below if path.suffix == ".py")
    yield "build", " ".join(hash_words(path.read_text()) for path in below + [source / "meson.build"]
                            if path.name in ("meson.build", "run"))
    pages = [path for path in below + sorted(source.glob("*.md")) if path.suffix == ".md" and path.name != "CHANGELOG.md"]
    yield "pages", " ".join(page_words(path.read_text()) for path in pages)


def measure(name, said, faults):
    count = len(re.findall(r"[A-Za-z']+", said))
    if count == 0:
        faults.append(name + " has no comment")
        return
    figures = [1000 * len(pattern.findall(said)) / count for _, _, pattern in COUNTED]
    print("%-12s %6d words: %s" % (name, count, ", ".join("%s %.1f" % (kind, figure) for (kind, _, _), figure
                                                           in zip(COUNTED, figures))))
    faults += ["%s: %.1f of %s in 1,000 words, at most %d" % (name, figure, kind, most)
               for (kind, most, _), figure in zip(COUNTED, figures) if figure > most]


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
        measure(folder, " ".join(said), faults)
    for name, said in others(source):
        measure(name, said, faults)
    finish("prose of comments", faults)


main()
