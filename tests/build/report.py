# SPDX-License-Identifier: MIT
"""The end of the tests of the build. Prints a line per fault, or a skip with the reason."""

import sys


def skip(reason):
    print("skipped: " + reason)
    sys.exit(77)


def finish(what, faults):
    for fault in faults:
        print("FAULT: " + fault)
    if faults:
        sys.exit("%s: %d faults" % (what, len(faults)))
    print(what + ": as it should be")
