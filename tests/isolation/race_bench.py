# SPDX-License-Identifier: MIT
"""The example finds no error in right callbacks, and finds its bug in wrong callbacks, at every run.

    race_bench.py PROGRAM
"""

import re
import subprocess
import sys


def run(*arguments, status):
    done = subprocess.run([sys.argv[1], *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != status:
        sys.exit("%s ended with %d, not %d:\n%s%s" % (" ".join(arguments) or "no arguments", done.returncode, status,
                                                    done.stdout, done.stderr))
    return done


def check(good, what):
    if not good:
        sys.exit(what)


def totals(text):
    """States and findings of every scenario."""
    return [(int(states), int(findings)) for states, findings in
            re.findall(r"^\d+: .*, (\d+) states.* (\d+) findings$", text, re.MULTILINE)]


def main():
    clean = run(status=0).stdout
    print(clean, end="")
    check(clean.count("all") == 2, clean)
    check(len(totals(clean)) == 2 and all(states > 10 and findings == 0 for states, findings in totals(clean)), clean)

    broken = run("--bug", status=1).stdout
    print(broken, end="")
    check(totals(broken)[0][1] == 1, "the bug is not found:\n" + broken)
    found = re.search(r"^    found: (.*)\n    again: race-bench --bug --replay (\S+)\n\n((?:    .*\n)+)", broken, re.MULTILINE)
    check(found, "no finding is printed:\n" + broken)
    finding, schedule, table = found.groups()
    columns = table.splitlines()
    check(re.fullmatch(r"    a: store +b: truncate", columns[0]), "no heading:\n" + table)
    check(any(line.startswith(" " * 30) for line in columns) and any("store into block" in line[:30] for line in columns),
          "no two columns:\n" + table)
    check("*** " + finding in table, "the table does not end with what was found:\n" + table)
    for _ in range(3):
        check(run("--bug", "--replay", schedule, status=1).stdout == table + finding + "\n", "the replay is another")
    check("nothing found" in run("--replay", "1:ab", status=0).stdout, "1:ab")

    for name in ("", "1", "ab", "0:ab", "3:ab", "1:c", "1:a0", "1:a99999", "1:aa", "-1:ab", "1x:ab"):
        refused = run("--replay", name, status=2)
        check(refused.stdout == "" and repr(name)[1:-1] in refused.stderr, name)
    check("--replay" in run("--help", status=0).stdout, "--help")
    check(re.fullmatch(r"race-bench \d+\.\d+\.\d+\n", run("--version", status=0).stdout), "--version")
    run("--replay", status=2)
    run("--frobnicate", status=2)


main()
