# SPDX-License-Identifier: MIT
"""A port. Everything is cross-compiled, the unit tests run on the emulated machine, and images equal those of this machine.

    port.py SOURCE FOLDER CROSS_FILE MESON [SAME_IMAGE [SUITE...]]

Makes a new build in FOLDER. The programs named by the cross file must be installed, otherwise the port is skipped with a
reason. Of a port without an exe_wrapper only the undefined symbols of the core are checked. Under qemu-user the tests get
EXT2DAX_UNDER_QEMU, and a test that the emulator cannot run prints the reason. SAME_IMAGE is this machine's program for the
images. Without SUITEs, all that can differ between machines run.
"""

import ast
import configparser
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

SUITES = {"plugs", "image", "core", "address space"}
OTHERS = {"undefined symbols of the core archive", "exported symbols", "sizes", "stack of the core",
          "what a runner notices, stand-in"}
# Debian has Check and libatomic_ops for some of these machines only, so no port uses them.
OPTIONS = ["-Dwerror=false", "-Dexamples=disabled", "-Dbenchmarks=disabled", "-Dcheck=disabled", "-Datomics=builtin"]
BARE = ["-Dwerror=false", "-Datomics=builtin"]
# No warning is allowed in the library. Tests may use 64 bits where size_t has 32.
WARNING = re.compile(r"(^|/)(lib|include)/\S+: warning:")


class Failed(Exception):
    pass


class Port:
    def __init__(self, source, folder, cross, meson, suites):
        self.suites = set(suites) or SUITES
        self.source, self.folder, self.cross, self.meson = source, folder, cross, meson
        self.name = pathlib.Path(cross).stem
        machine = configparser.ConfigParser()
        machine.read(cross)
        self.cc = self.words(machine["binaries"]["c"])
        self.wrapper = self.words(machine["binaries"].get("exe_wrapper", "[]"))
        self.environment = dict(os.environ, CK_TIMEOUT_MULTIPLIER="10")
        if self.wrapper and "qemu" in self.wrapper[0]:
            self.environment["EXT2DAX_UNDER_QEMU"] = "1"

    @staticmethod
    def words(value):
        value = ast.literal_eval(value)
        return [value] if isinstance(value, str) else value

    def run(self, command, what):
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
        if done.returncode != 0:
            print("\n".join(done.stdout.splitlines()[-60:]))
            raise Failed("%s: exit status %d" % (what, done.returncode))
        return done.stdout

    def missing(self):
        """Returns the reason why the port is not available, or an empty text."""
        for program in self.cc[:1] + self.wrapper[:1]:
            if not shutil.which(program):
                return "there is no " + program
        if not self.wrapper:
            return None
        with tempfile.TemporaryDirectory() as folder:
            source, program = folder + "/trial.c", folder + "/trial"
            pathlib.Path(source).write_text("#include <stdio.h>\nint main(void) { return puts(\"runs\") < 0; }\n")
            if subprocess.run(self.cc + ["-o", program, source], stderr=subprocess.DEVNULL).returncode != 0:
                return self.cc[0] + " has no C library"
            done = subprocess.run(self.wrapper + [program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if done.stdout != b"runs\n":
                return "%s does not run its programs here" % self.wrapper[0]
        return None

    def build(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.run([self.meson, "setup", self.folder, self.source, "--cross-file", self.cross] +
                 (OPTIONS if self.wrapper else BARE), "meson setup")
        said = self.run(["ninja", "-C", self.folder, "-j", str(os.cpu_count() or 1)] + self.targets(), "build")
        warnings = [line for line in said.splitlines() if WARNING.search(line)]
        if warnings:
            raise Failed("the library compiles with warnings:\n" + "\n".join(warnings))

    def introspect(self, what):
        return json.loads(self.run([self.meson, "introspect", "--" + what, self.folder], "list of " + what))

    def wanted(self):
        return [test for test in self.introspect("tests")
                if test["name"] in OTHERS or self.suites & {suite.split(":")[-1] for suite in test["suite"]}]

    def targets(self):
        """Returns the targets, all forms of the library and the programs of the wanted tests."""
        needed = {target for test in self.wanted() for target in test["depends"]} if self.wrapper else set()
        here = pathlib.Path(self.folder).resolve()
        return [str(pathlib.Path(name).resolve().relative_to(here)) for target in self.introspect("targets")
                if target["id"] in needed or target["name"] == "same_image" or "library" in target["type"]
                for name in target["filename"]]

    def symbols(self):
        print(self.run([sys.executable, "-B", self.source + "/tests/build/core_symbols.py",
                        self.folder + "/lib/core/libext2dax-core.a", ""] + self.cc, "symbols").strip())

    def tests(self):
        wanted = [test["name"] for test in self.wanted()]
        command = [self.meson, "test", "-C", self.folder, "--no-rebuild", "--timeout-multiplier", "3"] + wanted
        subprocess.run(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        log = pathlib.Path(self.folder) / "meson-logs/testlog.json"
        tests = [json.loads(line) for line in log.read_text().splitlines()]
        good, bad = 0, []
        for test in tests:
            name, result = test["name"].split(" / ", 1)[-1], test["result"]
            said = ((test.get("stdout") or "") + (test.get("stderr") or "")).splitlines()
            if result == "OK":
                good += 1
                for line in said:
                    if line.startswith("left out"):
                        print("%s: %s: %s" % (self.name, name, line))
            elif result == "SKIP":
                print("%s: skipped: %s: %s" % (self.name, name, said[-1] if said else "no reason given"))
            else:
                print("\n".join(said[-40:]))
                bad.append("%s: %s" % (name, result))
        print("%s: %d of %d test programs good" % (self.name, good, len(wanted)))
        if bad or len(tests) != len(wanted) or good == 0:
            raise Failed("; ".join(bad) or "%d of %d tests ran" % (len(tests), len(wanted)))

    def images(self, here):
        there = self.wrapper + [self.folder + "/tests/ports/same_image"]
        with tempfile.TemporaryDirectory() as folder:
            shapes = self.run(there + ["shapes"], "same_image").split()
            for shape in shapes:
                mine, other = folder + "/here", folder + "/there"
                self.run([here, "make", shape, mine], "this machine makes " + shape)
                self.run(there + ["make", shape, other], "the port makes " + shape)
                same(mine, other, shape + ", made")
                # Each machine reads and changes the image made by the other.
                listings = [self.run([here, "list", shape, other], "this machine reads " + shape),
                            self.run(there + ["list", shape, mine], "the port reads " + shape)]
                if listings[0] != listings[1] or len(listings[0].splitlines()) < 7:
                    raise Failed("%s: read differently:\n%s\n%s" % (shape, *listings))
                self.run([here, "on", shape, other], "this machine goes on with " + shape)
                self.run(there + ["on", shape, mine], "the port goes on with " + shape)
                same(mine, other, shape + ", gone on with")
            print("%s: the same bytes, made, read and gone on with on either side: %s" % (self.name, " ".join(shapes)))


def same(mine, other, what):
    mine, other = pathlib.Path(mine).read_bytes(), pathlib.Path(other).read_bytes()
    if mine != other:
        at = next(i for i in range(len(mine)) if mine[i:i + 1] != other[i:i + 1])
        raise Failed("%s: byte %#x is %s here and %s there" % (what, at, mine[at:at + 4].hex(), other[at:at + 4].hex()))


def processor_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    source, folder, cross, meson = sys.argv[1:5]
    port = Port(source, folder, cross, meson, sys.argv[6:])
    why = port.missing()
    if why:
        print("skipped: %s: %s" % (port.name, why))
        sys.exit(77)
    took, steps = [], [("build", port.build)]
    steps += [("tests", port.tests), ("images", lambda: port.images(sys.argv[5]))] if port.wrapper else \
        [("symbols", port.symbols)]
    try:
        for name, step in steps:
            begun, used = time.monotonic(), processor_time()
            step()
            took.append("%s %.0f s (of a processor %.0f)" % (name, time.monotonic() - begun, processor_time() - used))
    except Failed as failure:
        print("%s: failed: %s" % (port.name, failure))
        sys.exit(1)
    print("%s: %s" % (port.name, ", ".join(took)))


main()
