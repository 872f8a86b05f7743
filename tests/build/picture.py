# SPDX-License-Identifier: MIT
"""The picture of README is the output of its script.

    picture.py SOURCE
"""

import pathlib
import subprocess
import sys
import tempfile

from report import finish

source, faults = pathlib.Path(sys.argv[1]), []
shown = source / "build-aux/picture.svg"
with tempfile.TemporaryDirectory() as folder:
    drawn = pathlib.Path(folder, "picture.svg")
    subprocess.run([sys.executable, "-B", str(source / "build-aux/picture.py"), str(drawn)], check=True)
    if drawn.read_text() != shown.read_text():
        faults.append("build-aux/picture.svg is not what build-aux/picture.py draws")
if "(build-aux/picture.svg)" not in (source / "README.md").read_text():
    faults.append("README shows no picture")
finish("the picture of README", faults)
