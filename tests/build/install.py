# SPDX-License-Identifier: MIT
"""A program of a user builds and runs with the installed files alone.

Installs into an empty folder and builds through pkg-config alone. The programs are the first program of README with the
shared and with the static library, a program without an operating system with the core, and two test harnesses with the
testkit. The harness of the testkit's page must find an error.
    install.py SOURCE BUILD PREFIX LIBDIR SOVERSION INSTRUMENTATION -- MESON... -- COMPILER...
"""

import os
import pathlib
import subprocess
import sys

from installed import installed, split
from readme import first_bench, programs
from report import finish, skip

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
BENCH = """#include <ext2dax/testkit/checker.h>
int main(void)
{
    static char nothing[4096];
    return ext2dax_check_image(nothing, sizeof(nothing), 0, 0, 0, 0) < 0 ? 0 : 1;
}
"""
START = "int bare(void);\nint main(void)\n{\n    return bare();\n}\n"


class Outside:
    """A folder with access to the installed files and not to the source tree."""

    def __init__(self, folder, prefix, libdir, compiler):
        self.folder = folder
        self.prefix = str(prefix)
        self.libdir = prefix / libdir
        self.compiler = compiler
        self.environment = dict(os.environ, PKG_CONFIG_PATH=str(self.libdir / "pkgconfig"),
                                LD_LIBRARY_PATH=str(self.libdir))
        self.faults = []

    def run(self, what, command, stdin=None):
        done = subprocess.run(command, input=stdin, env=self.environment, cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            self.faults.append("%s: %s ended with %d:\n%s" % (what, " ".join(command), done.returncode, done.stdout))
        return done.returncode == 0, done.stdout

    def flags(self, package, *wanted):
        good, text = self.run(package, ["pkg-config", "--define-variable=prefix=" + self.prefix, *wanted, package])
        return text.split() if good else []

    def build(self, what, package, source, *extra, static=False):
        program = str(self.folder / what.replace(" ", "-"))
        libraries = self.flags(package, "--cflags", "--libs", *(["--static"] if static else []))
        return program, self.run(what, self.compiler + STRICT + ["-x", "c", source, "-x", "none", "-o", program, *extra,
                                                                 *(["-static"] if static else []), *libraries])[0]

    def build_and_run(self, what, *arguments, **options):
        program, good = self.build(what, *arguments, **options)
        return self.run(what, [program])[1] if good else ""


def main():
    (source, build, prefix, libdir, soversion, instrumentation), meson, compiler = split(sys.argv[1:])
    if instrumentation:
        skip("built with %s: an outside program would need the same" % instrumentation)
    source = pathlib.Path(source).resolve()
    with installed(meson, build, prefix) as (root, prefix):
        outside = Outside(root.parent, prefix, libdir, compiler)
        first, mapped = programs(source)
        for name, text in {"first.c": first, "mapped.c": mapped, "bench.c": BENCH, "start.c": START,
                           "races.c": first_bench(source)}.items():
            (outside.folder / name).write_text(text)

        bare = str(source / "tests/build/bare.c")
        alone = ["-ffreestanding", "-fno-stack-protector", "-nostdlib", "-static", "-Wl,-e,bare"]
        said = outside.build_and_run("the first program, shared", "ext2dax", "first.c")
        again = outside.build_and_run("the first program, static", "ext2dax", "first.c", static=True)
        mapped, good = outside.build("the program with a mapped file", "ext2dax", "mapped.c")
        if good:
            done = subprocess.run([mapped], env=outside.environment, cwd=outside.folder, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            # A build without faults reports the missing faults at the first call that needs them.
            if done.stdout != "Hello, pages!\n" and done.stderr != "not supported\n":
                outside.faults.append("the program with a mapped file says %r and %r" % (done.stdout, done.stderr))
        outside.build("a program of the core alone", "ext2dax-core", bare, *alone)
        outside.build_and_run("the same with a start", "ext2dax-core", bare, "start.c", "-fno-builtin")
        outside.build_and_run("a harness", "ext2dax-testkit", "bench.c")
        races, good = outside.build("a harness that explores", "ext2dax-testkit", "races.c")
        if good:
            done = subprocess.run([races], env=outside.environment, text=True, stdout=subprocess.PIPE)
            if done.returncode != 1 or not done.stdout.startswith("the counter is 1, in schedule ") \
                    or "*** the counter is 1\n" not in done.stdout or "load the counter\n" not in done.stdout:
                outside.faults.append("the harness that explores ended with %d:\n%s" % (done.returncode, done.stdout))
        if not said or said != again:
            outside.faults.append("the first program says %r with one library and %r with the other" % (said, again))
        needed = outside.flags("ext2dax-core", "--static", "--libs-only-l")
        needed += outside.flags("ext2dax-core", "--print-requires")
        if needed != ["-lext2dax-core"]:
            outside.faults.append("ext2dax-core.pc asks for %s" % " ".join(needed))
        # The dependencies of the archive are private, so a program with the shared library does not link them.
        if outside.flags("ext2dax", "--libs-only-l", "--libs-only-other") != ["-lext2dax"]:
            outside.faults.append("ext2dax.pc asks programs of the shared library for more than -lext2dax")
        wanted = outside.run("archive", ["nm", "-u", str(outside.libdir / "libext2dax.a")])[1]
        for package in ("ext2dax", "ext2dax-testkit"):
            if "pthread_cond_wait" in wanted and "-pthread" not in outside.flags(package, "--static", "--libs"):
                outside.faults.append("%s.pc does not ask for the threads that the archive wants" % package)
        dynamic = outside.run("soname", ["readelf", "-d", str(outside.libdir / "libext2dax.so")])[1]
        if "[libext2dax.so.%s]" % soversion not in dynamic:
            outside.faults.append("the soname is not libext2dax.so." + soversion)
        print(said, end="")
        finish("outside programs", outside.faults)


main()
