# SPDX-License-Identifier: MIT
"""The code of README, so that the tests compile exactly this code."""

import re


def programs(source):
    """Returns the first program, and the program with a mapped file."""
    first, mapped = re.findall(r"^```c\n(.*?)^```$", (source / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return first, mapped


def subproject_line(source):
    return re.search(r"^    (executable\(.*)$", (source / "README.md").read_text(), re.MULTILINE).group(1)


def first_bench(source):
    text = (source / "lib/testkit/README.md").read_text()
    return re.search(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)
