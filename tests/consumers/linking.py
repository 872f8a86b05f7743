# SPDX-License-Identifier: MIT
"""The projects of the page on linking work, with the files word for word over an installed copy. The line of README is among
them.

As a subproject, with the same file, another consumer builds the line of README.
    linking.py SOURCE BUILD PREFIX LIBDIR INSTRUMENTATION -- MESON... -- COMPILER...
"""

import configparser
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "build"))

from installed import installed, split  # noqa: E402
from readme import programs as readme_programs, subproject_line  # noqa: E402
from report import finish, skip  # noqa: E402

FILES = {"make": "Makefile", "cmake": "CMakeLists.txt", "meson": "meson.build"}
HELLO = re.compile(r"block 0 of /hello is block \d+ of the image: Hello, blocks!\n")


def blocks(source):
    text = (source / "lib/README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


class Project:
    """Makes a folder per build system, which finds the installed copy by PKG_CONFIG_PATH or CMAKE_PREFIX_PATH."""

    def __init__(self, root, prefix, libdir, compiler):
        self.folder = root.parent
        self.environment = dict(os.environ, CC=shlex.join(compiler), LD_LIBRARY_PATH=str(prefix / libdir),
                                PKG_CONFIG_PATH=str(prefix / libdir / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(root),
                                CMAKE_PREFIX_PATH=str(prefix))
        self.faults = []

    def run(self, folder, *command):
        done = subprocess.run(command, cwd=folder, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            self.faults.append("%s: %s ended with %d:\n%s" % (folder.name, shlex.join(command), done.returncode, done.stdout))
        return done.stdout if done.returncode == 0 else None

    def build(self, system, text, program, *commands, built="build/first"):
        folder = self.folder / system
        folder.mkdir()
        (folder / FILES[system]).write_text(text)
        (folder / "first.c").write_text(program)
        for command in commands:
            if self.run(folder, *command) is None:
                return
        linked, said = self.run(folder, "readelf", "-d", built), self.run(folder, built)
        if linked is not None and said is not None and not ("[libext2dax.so." in linked and HELLO.fullmatch(said)):
            self.faults.append("%s: the program is not what it should be: %s%s" % (system, linked, said))


def main():
    (source, build, prefix, libdir, instrumentation), meson, compiler = split(sys.argv[1:])
    if instrumentation:
        skip("built with %s: an outside program would need the same" % instrumentation)
    missing = [tool for tool in ("make", "pkg-config", "cmake", "readelf") if not shutil.which(tool)]
    if missing:
        skip("not installed: " + ", ".join(missing))
    source = pathlib.Path(source).resolve()
    shown, program = blocks(source), readme_programs(source)[0]
    wrap = configparser.ConfigParser()
    wrap.read_string(shown["ini"])
    with installed(meson, build, prefix) as (root, at):
        project = Project(root, at, libdir, compiler)
        project.build("make", shown["make"], program, ["make"], built="./first")
        project.build("meson", shown["meson"], program, [*meson, "setup", "build"], [*meson, "compile", "-C", "build"])
        project.build("cmake", shown["cmake"], program, ["cmake", "-B", "build"], ["cmake", "--build", "build"])
        if subproject_line(source) not in shown["meson"]:
            project.faults.append("README and the page show different lines of Meson")
        if wrap["wrap-git"]["directory"] != "libext2dax" or "ext2dax-testkit" not in wrap["provide"]["dependency_names"]:
            project.faults.append("the wrap file does not give what the page says")
    finish("the page on linking", project.faults)


main()
