# SPDX-License-Identifier: MIT
"""Draws README's picture: the calls of the core over the four plugs.

    picture.py picture.svg
"""

import sys

WIDTH, HEIGHT = 760, 330
INK, PALE, LINE = "#1f2933", "#eef2f6", "#7b8794"
CALLS = [("page fault", "maps blocks into page tables", "dax_sem shared"),
         ("map, read, write", "find or add blocks", "io lock"),
         ("truncate, punch", "unmap, then free blocks", "dax_sem exclusive")]
PLUGS = [("locks", "who waits"), ("memory", "the image, in place"), ("address space", "page tables"), ("host", "heap, clock, log")]


def box(x, y, width, height, lines, fill="white", bold=True):
    yield '<rect x="%d" y="%d" width="%d" height="%d" rx="6" fill="%s" stroke="%s"/>' % (x, y, width, height, fill, LINE)
    for number, line in enumerate(lines):
        weight = ' font-weight="600"' if bold and number == 0 else ""
        yield '<text x="%d" y="%d" text-anchor="middle"%s>%s</text>' % (
            x + width // 2, y + height // 2 + 5 + 18 * number - 9 * (len(lines) - 1), weight, line)


def arrow(x, top, bottom):
    yield '<path d="M%d %d V%d" stroke="%s" marker-end="url(#head)"/>' % (x, top, bottom, LINE)


def picture():
    yield ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="14" fill="%s">'
           % (WIDTH, HEIGHT, INK))
    # Split, so that tools for licences read no tag here.
    yield "<!-- SPDX-" "License-Identifier: MIT -->"
    yield "<title>Faults, mapping and truncate of libext2dax over its four plugs</title>"
    yield ('<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
           '<path d="M0 0 L8 4 L0 8 z" fill="%s"/></marker></defs>' % LINE)
    yield '<rect width="%d" height="%d" fill="white"/>' % (WIDTH, HEIGHT)
    step, width = 246, 228
    for number, call in enumerate(CALLS):
        yield from box(20 + step * number, 16, width, 74, call)
        yield from arrow(20 + step * number + width // 2, 90, 118)
    yield from box(20, 120, WIDTH - 40, 78, ["libext2dax core: block tree, block allocator, order of stores",
                                             "no block is freed between its lookup and its mapping"], PALE)
    step, width = 183, 171
    for number, plug in enumerate(PLUGS):
        yield from arrow(20 + step * number + width // 2, 198, 228)
        yield from box(20 + step * number, 230, width, 56, plug)
    yield ('<text x="%d" y="312" text-anchor="middle" font-size="13">The plugs come from a kernel, from the hosted part of the '
           'library, or from the testkit.</text>' % (WIDTH // 2))
    yield "</svg>"


def main():
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        file.write("\n".join(picture()) + "\n")


main()
