# SPDX-License-Identifier: MIT
"""A copy of what is installed, in a folder that goes away again: it lies elsewhere than the prefix it was made for says."""

import contextlib
import pathlib
import subprocess
import tempfile


@contextlib.contextmanager
def installed(meson, build, prefix):
    """The folder that stands for the root of the file system, and the prefix in it."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve() / "root"
        done = subprocess.run([*meson, "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", str(root)],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise SystemExit("meson install ended with %d:\n%s" % (done.returncode, done.stdout))
        yield root, pathlib.Path(str(root) + prefix)


def split(words):
    """The parts of a command line that "--" divides."""
    parts = [[]]
    for word in words:
        if word == "--":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
