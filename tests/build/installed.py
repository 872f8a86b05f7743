# SPDX-License-Identifier: MIT
"""A temporary copy of the installed files, at another place than the prefix of the build."""

import contextlib
import pathlib
import subprocess
import tempfile


@contextlib.contextmanager
def installed(meson, build, prefix):
    """Returns the folder used as root of the filesystem, and the prefix in the folder."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve() / "root"
        done = subprocess.run([*meson, "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", str(root)],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise SystemExit("meson install ended with %d:\n%s" % (done.returncode, done.stdout))
        yield root, pathlib.Path(str(root) + prefix)


def split(words):
    """Returns the parts of a command line divided by "--"."""
    parts = [[]]
    for word in words:
        if word == "--":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts
