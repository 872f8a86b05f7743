# SPDX-License-Identifier: MIT
"""Compiles every file of the core as the build does, with the caller's optimisation and without instrumentation."""

import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess

TAKES_A_VALUE = {"-o", "-MF", "-MQ", "-MT"}
# A build may use a compiler cache, with its command before the compiler. No object here may come from a cache.
CACHES = {"ccache", "sccache", "distcc"}
DROPPED = ("-c", "-MD", "-MMD", "-O", "-fsanitize", "--coverage", "-fprofile", "-flto", "-fno-omit-frame-pointer")


def arguments(command):
    words = shlex.split(command)
    while pathlib.Path(words[0]).name in CACHES:
        del words[0]
    kept, words = [], iter(words)
    for word in words:
        if word in TAKES_A_VALUE:
            next(words)
        elif not word.startswith(DROPPED):
            kept.append(word)
    return kept


def core_entries(build):
    entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    return [entry for entry in entries if entry["output"].startswith("lib/core/")]


def compiler(build):
    return arguments(core_entries(build)[0]["command"])[0]


def understands(build, *flags):
    """Returns whether the compiler of the build accepts the flags."""
    entry = core_entries(build)[0]
    command = arguments(entry["command"])
    words = command[:next(i for i, word in enumerate(command) if word.startswith("-"))]
    tried = subprocess.run(words + list(flags) + ["-Werror", "-x", "c", "-c", "-o", os.devnull, os.devnull],
                           cwd=entry["directory"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return tried.returncode == 0


def compile_core(build, folder, *flags):
    """Makes folder/NAME.o of every NAME.c. Returns the paths of the sources."""

    def compile_one(entry):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        command = arguments(entry["command"]) + list(flags) + ["-c", "-o", "%s/%s.o" % (folder, path.stem)]
        # A compiler cache installed under the name of the compiler keeps only the object file.
        subprocess.run(command, cwd=entry["directory"], check=True, env=dict(os.environ, CCACHE_DISABLE="1"))
        return path

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, core_entries(build)))
