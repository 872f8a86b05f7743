# SPDX-License-Identifier: MIT
"""Adds up the results of meson test, from the JSON log of a run to a file of totals, or from the totals to the last line.

    tally.py STAGE LOG EXPECTED_SKIPS TOTALS    appends "passed failed skipped"; exits with 1 after a failure
    tally.py --sum TOTALS                       prints "N passed, N failed, N skipped"

The name of every test that failed, and the last lines that the test printed, are appended to TOTALS.failures as well, so that the
end of a long output tells what failed.
"""

import fnmatch
import json
import pathlib
import subprocess
import sys

GOOD = ("OK", "EXPECTEDFAIL")
LAST_LINES = 30


def expected(path):
    """Returns the skips expected here. A line with a command expects the skip only where the command fails."""
    for line in pathlib.Path(path).read_text().splitlines():
        if line and not line.startswith("#"):
            stage, test, why, *possible = (part.strip() for part in line.split("|", 3))
            if not why:
                sys.exit("%s: a skip without a reason: %s" % (path, line))
            if not possible or subprocess.run(possible[0], shell=True, stderr=subprocess.DEVNULL).returncode != 0:
                yield stage, test


def reason(test):
    said = (test.get("stdout") or "") + (test.get("stderr") or "")
    lines = [line for line in said.splitlines() if "skip" in line.lower()] or said.splitlines() or ["no reason given"]
    return lines[-1].strip()


def last_lines(test):
    said = (test.get("stdout") or "") + (test.get("stderr") or "")
    return ["    " + line for line in said.splitlines()[-LAST_LINES:]]


def add(stage, log, skips, totals):
    passed, skipped, bad, details = 0, 0, [], []
    try:
        tests = [json.loads(line) for line in pathlib.Path(log).read_text().splitlines()]
    except OSError as error:
        tests = []
        bad.append("no log: %s" % error)
    allowed = list(expected(skips))
    for test in tests:
        name = test["name"].split(" / ", 1)[-1]
        if test["result"] in GOOD:
            passed += 1
        elif test["result"] != "SKIP":
            bad.append("%s: %s" % (test["name"], test["result"]))
            details += ["%s: %s" % (stage, bad[-1])] + last_lines(test)
        elif any(fnmatch.fnmatch(stage, s) and fnmatch.fnmatch(name, t) for s, t in allowed):
            skipped += 1
            print("%s: skipped, as expected: %s (%s)" % (stage, test["name"], reason(test)))
        else:
            skipped += 1
            bad.append("%s: skipped, and nothing expects it: %s" % (test["name"], reason(test)))
            details.append("%s: %s" % (stage, bad[-1]))
    if not tests:
        bad.append("not one test ran")
    for line in bad:
        print("%s: %s" % (stage, line))
    with open(totals, "a") as out:
        out.write("%d %d %d\n" % (passed, len(bad), skipped))
    with open(totals + ".failures", "a") as out:
        out.writelines(line + "\n" for line in details)
    return 1 if bad else 0


def total(totals):
    rows = [tuple(map(int, line.split())) for line in pathlib.Path(totals).read_text().splitlines()]
    print("%d passed, %d failed, %d skipped" % tuple(sum(row[i] for row in rows) for i in range(3)))
    return 0


def main():
    sys.exit(total(sys.argv[2]) if sys.argv[1] == "--sum" else add(*sys.argv[1:]))


main()
