# SPDX-License-Identifier: MIT
"""How the tests of the build end: every fault found on a line of its own, or a skip with its reason."""

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
