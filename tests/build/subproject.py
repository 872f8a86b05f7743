# SPDX-License-Identifier: MIT
"""Somebody else's Meson project uses this one as a subproject, by the line that README shows.

Configures and builds with nothing but defaults: no tests, no examples, and no quarrel about the default test setup.
    subproject.py SOURCE -- MESON... -- COMPILER...
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

from readme import first_program, subproject_line
from report import finish

PROJECT = "project('outside', 'c', default_options: 'c_std=c11')\nadd_test_setup('own', is_default: true)\n%s\n"


def main():
    first = sys.argv.index("--")
    second = sys.argv.index("--", first + 1)
    source, meson, compiler = pathlib.Path(sys.argv[1]), sys.argv[first + 1:second], sys.argv[second + 1:]
    with tempfile.TemporaryDirectory() as folder:
        outside = pathlib.Path(folder)
        (outside / "subprojects").mkdir()
        (outside / "subprojects/libext2dax").symlink_to(source.resolve())
        (outside / "first.c").write_text(first_program(source))
        (outside / "meson.build").write_text(PROJECT % subproject_line(source))
        environment = dict(os.environ, CC=shlex.join(compiler))
        for command in (meson + ["setup", "build"], meson + ["compile", "-C", "build"], ["build/first"]):
            done = subprocess.run(command, cwd=outside, env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            print(done.stdout[-8000:])
            if done.returncode != 0:
                finish("as a subproject", ["%s answered %d" % (" ".join(command), done.returncode)])
    finish("as a subproject", [])


main()
