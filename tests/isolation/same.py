# SPDX-License-Identifier: MIT
"""Several builds of a program print the same counts.

    same.py PROGRAM PROGRAM...
"""

import subprocess
import sys


def main():
    said = [subprocess.run([program, "--figures"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
            for program in sys.argv[1:]]
    for other in said[1:]:
        for line, its in zip(said[0], other):
            if line != its:
                sys.exit("one says:   %s\nthe other: %s" % (line, its))
        if len(other) != len(said[0]):
            sys.exit("%d lines and %d" % (len(said[0]), len(other)))
    if len(said[0]) < 100:
        sys.exit("too little is said")
    print("%d lines, all the same" % len(said[0]))


main()
