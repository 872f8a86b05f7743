# SPDX-License-Identifier: MIT
"""Joins the rows of all benchmarks to benchmarks.json, prints a table, and draws benchmarks.svg. A bar of the chart is the
ratio to the floor on a logarithmic scale, and a mark is the largest ratio allowed.

    chart.py FOLDER OUTPUT     reads FOLDER/*.json, writes OUTPUT/benchmarks.json and OUTPUT/benchmarks.svg
"""

import html
import json
import math
import pathlib
import sys

ROW, LEFT, WIDTH, MOST = 20, 430, 420, 1000


def number(value):
    return "-" if value is None else "%.2f" % value


def table(rows):
    width = max(len(row["bench"]) for row in rows)
    print("%-*s  %4s %10s %10s %8s %6s" % (width, "benchmark", "unit", "ours", "floor", "ratio", "bar"))
    for row in rows:
        missed = "  above the bar" if row["meets_bar"] is False else ""
        print("%-*s  %4s %10s %10s %8s %6s%s" % (width, row["bench"], row["unit"], number(row["ours"]), number(row["floor"]),
                                               number(row["ratio_to_floor"]), number(row["bar"]), missed))


def place(ratio):
    """Returns the distance of a ratio from the left edge of the bars."""
    return WIDTH * math.log10(min(max(ratio, 0.1), MOST) * 10) / math.log10(MOST * 10)


def chart(rows):
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">'
             % (LEFT + WIDTH + 80, ROW * (len(rows) + 2)),
             '<rect width="100%" height="100%" fill="white"/>',
             '<text x="%d" y="14">ratio to the floor</text>' % LEFT,
             '<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="gray"/>'
             % (LEFT + place(1), LEFT + place(1), ROW, ROW * (len(rows) + 1))]
    for at, row in enumerate(rows, 1):
        ratio, top = row["ratio_to_floor"], at * ROW
        colour = "#c0504d" if row["meets_bar"] is False else "#4f81bd"
        lines.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, top + 14, html.escape(row["bench"])))
        lines.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (LEFT, top + 3, place(ratio), ROW - 6, colour))
        lines.append('<text x="%.1f" y="%d">%.2f</text>' % (LEFT + place(ratio) + 6, top + 14, ratio))
        if row["bar"] is not None:
            lines.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="black" stroke-width="2"/>'
                         % (LEFT + place(row["bar"]), LEFT + place(row["bar"]), top + 1, top + ROW - 1))
    return "\n".join(lines + ["</svg>", ""])


def main():
    folder, output = map(pathlib.Path, sys.argv[1:])
    rows = [json.loads(line) for path in sorted(folder.glob("*.json")) for line in path.read_text().splitlines()]
    if not rows:
        sys.exit("no results in %s" % folder)
    (output / "benchmarks.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (output / "benchmarks.svg").write_text(chart(rows))
    table(rows)


main()
