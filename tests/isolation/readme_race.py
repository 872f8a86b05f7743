# SPDX-License-Identifier: MIT
"""The command of README prints the race shown in README.

    readme_race.py README ISOLATION
"""

import pathlib
import re
import shlex
import subprocess
import sys


def main():
    text = pathlib.Path(sys.argv[1]).read_text()
    section = re.search(r"^## The race\n(.*?)^## ", text, re.MULTILINE | re.DOTALL).group(1)
    command = shlex.split(re.search(r"^    \S*tests/isolation/isolation (.*)$", section, re.MULTILINE).group(1))
    table = re.search(r"^    a: (?:.*\n)+?    \*\*\* .*\n", section, re.MULTILINE).group(0)
    replay = re.search(r"`(--replay \S+)`", section).group(1).split()
    for arguments in command, command + replay:
        done = subprocess.run([sys.argv[2], *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        said = "".join("    " + line + "\n" for line in done.stdout.splitlines())
        if done.returncode != 1 or table not in said:
            sys.exit("%s ended with %d:\n%s" % (shlex.join(arguments), done.returncode, done.stdout))


main()
