# SPDX-License-Identifier: MIT
"""Configures, builds and runs three projects of users, with an installed copy alone.

The copy is installed into another folder than the prefix of its configuration.
    consumers.py make|cmake|meson SOURCE BUILD PREFIX LIBDIR CANNOT -- MESON... -- CC... -- CXX...
"""

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

HERE = pathlib.Path(__file__).resolve().parent
# The output of each program on success.
SAID = {
    "files": r"files: libext2dax \d+\.\d+\.\d+ wrote, mapped, cut and read a file\n",
    "harness": r"harness: pages came and went, and the image is sound\n",
    "mapped": r"mapped: a file was accessed in place\n",
    "explore": r"explore: found after \d+ schedules that the counter is 1\n",
    "first": r"block 0 of /hello is block \d+ of the image: Hello, blocks!\n",
}
# The reason for which a configuration with each WRONG must fail.
REFUSED = {
    "both": r"EXT2DAX_LIBRARY",
    "component": r"The component\s+spellchecker\s+is\s+not\s+installed",
    "version": r"compatible\s+with\s+requested\s+version\s+\"0\.99\"",
}


class Outside:
    def __init__(self, root, prefix, arguments):
        self.meson, self.cc, self.cxx = arguments[1:]
        self.source = pathlib.Path(arguments[0][0]).resolve()
        self.prefix = prefix
        self.libdir = prefix / arguments[0][3]
        self.project = root.parent / "project"
        self.project.mkdir()
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("DESTDIR", "LD_LIBRARY_PATH", "CFLAGS", "CXXFLAGS", "LDFLAGS")}
        # The .pc files name the prefix of the configuration. The mover of a copy sets the new place.
        self.environment.update(PKG_CONFIG_PATH=str(self.libdir / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(root),
                                CC=shlex.join(self.cc), CXX=shlex.join(self.cxx))

    def run(self, *command, fails=None, **environment):
        done = subprocess.run(list(map(str, command)), cwd=self.project, env=dict(self.environment, **environment),
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if fails is not None and (done.returncode == 0 or not re.search(fails, done.stdout)):
            finish("consumers", ["%s ended with %d and does not fail as it has to (%s):\n%s"
                                 % (shlex.join(map(str, command)), done.returncode, fails, done.stdout[-6000:])])
        if fails is None and done.returncode != 0:
            finish("consumers", ["%s ended with %d:\n%s"
                                 % (shlex.join(map(str, command)), done.returncode, done.stdout[-6000:])])
        return done.stdout

    def take(self, *files):
        for name in files:
            shutil.copy(HERE / name if not name.startswith("tests/") else self.source / name, self.project)

    def program(self, path, static=False, **environment):
        """Runs the program, and checks its output and its shared libraries."""
        said = self.run(path, **environment)
        if not re.fullmatch(SAID[pathlib.Path(path).name.replace("-static", "")], said):
            finish("consumers", ["%s said %r" % (path, said)])
        dynamic = self.run("readelf", "-d", path)
        if static == bool(re.search(r"NEEDED.*\[libext2dax\.so\.", dynamic)):
            finish("consumers", ["%s is linked to the wrong library:\n%s" % (path, dynamic)])
        print(said, end="")


def make(outside):
    outside.take("make/Makefile", "make/files.c", "make/harness.c", "tests/build/bare.c")
    outside.run("make")
    outside.program("./files", LD_LIBRARY_PATH=str(outside.libdir))
    outside.program("./files-static", static=True)
    outside.program("./harness", static=True)


def cmake(outside):
    outside.take("cmake/CMakeLists.txt", "cmake/mapped.cpp", "cmake/explore.cpp", "tests/build/bare.c")
    outside.run("cmake", "-B", "build", "-DCMAKE_PREFIX_PATH=%s" % outside.prefix)
    outside.run("cmake", "--build", "build", "-j", "2")
    outside.program("build/mapped")
    outside.program("build/mapped-static", static=True)
    outside.program("build/explore", static=True)
    for wrong, said in REFUSED.items():
        outside.run("cmake", "-B", "build", "-DWRONG=" + wrong, fails=said)


def meson(outside):
    outside.take("meson/meson.build", "make/files.c", "make/harness.c", "cmake/mapped.cpp")
    setup = (*outside.meson, "setup", "--wrap-mode=default")
    if "of type pkgconfig" not in outside.run(*setup, "build"):
        finish("consumers", ["the installed copy was not found"])
    outside.run(*outside.meson, "compile", "-C", "build", "-j", "2")
    programs(outside, "build", LD_LIBRARY_PATH=str(outside.libdir))
    # Without an installed copy. Adds the line of README, and a default test setup, which must not conflict.
    outside.environment.update(PKG_CONFIG_PATH="", PKG_CONFIG_SYSROOT_DIR="")
    (outside.project / "subprojects").mkdir()
    (outside.project / "subprojects/libext2dax").symlink_to(outside.source)
    shutil.copy(HERE / "meson/libext2dax.wrap", outside.project / "subprojects")
    (outside.project / "first.c").write_text(readme_programs(outside.source)[0])
    with open(outside.project / "meson.build", "a") as project:
        project.write("add_test_setup('own', is_default: true)\n%s\n" % subproject_line(outside.source))
    said = outside.run(*setup, "--buildtype=plain", "build-whole")
    if "of type internal" not in said:
        finish("consumers", ["the subproject was not taken:\n" + said])
    built = outside.run(*outside.meson, "introspect", "--targets", "build-whole")
    for unwanted in ("pmem-mapper", "test_file", "bench-map"):
        if '"%s"' % unwanted in built:
            finish("consumers", ["%s is built in a subproject" % unwanted])
    outside.run(*outside.meson, "compile", "-C", "build-whole", "-j", "2")
    programs(outside, "build-whole")
    outside.program("build-whole/first")


def programs(outside, folder, **environment):
    outside.program(folder + "/files", **environment)
    outside.program(folder + "/mapped", **environment)
    outside.program(folder + "/files-static", static=True)
    outside.program(folder + "/harness", static=True)


WANTED = {make: ("make", "pkg-config", "readelf"), cmake: ("cmake", "make", "readelf"), meson: ("pkg-config", "readelf")}


def main():
    consumer = {"make": make, "cmake": cmake, "meson": meson}[sys.argv[1]]
    arguments = split(sys.argv[2:])
    if arguments[0][4]:
        skip(arguments[0][4])
    missing = [tool for tool in WANTED[consumer] if not shutil.which(tool)]
    missing += ["a C++ compiler"] if consumer is not make and not arguments[3] else []
    if missing:
        skip("not installed: " + ", ".join(missing))
    with installed(arguments[1], *arguments[0][1:3]) as (root, prefix):
        consumer(Outside(root, prefix, arguments))
    finish("consumers: " + sys.argv[1], [])


main()
