# SPDX-License-Identifier: MIT
"""Builds the fuzzers of this folder by oss-fuzz/build.sh, and runs each for some seconds, from its seeds and from nothing.

    fuzzers.py libfuzzer|afl SECONDS [FOLDER]

Prints executions, executions a second of processor time, and coverage. Inputs that fail stay in FOLDER.
"""

import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = ["image", "calls", "both", "faults"]
SANITIZERS = "address,undefined"
ENGINES = {
    "libfuzzer": {"CC": "clang", "CXX": "clang++", "CFLAGS": "-O1 -g -fsanitize=fuzzer-no-link," + SANITIZERS,
                  "CXXFLAGS": "-fsanitize=" + SANITIZERS, "FUZZING_ENGINE": "libfuzzer"},
    "afl": {"CC": "afl-clang-fast", "CXX": "afl-clang-fast++", "CFLAGS": "-O1 -g", "CXXFLAGS": "",
            "FUZZING_ENGINE": "afl", "AFL_QUIET": "1"}}


def build(engine, folder):
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    settings = dict(os.environ, LIB_FUZZING_ENGINE="-fsanitize=fuzzer", OUT=str(out), WORK=str(folder / "work"), **ENGINES[engine])
    built = subprocess.run(["bash", HERE / "oss-fuzz/build.sh"], env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if built.returncode != 0:
        sys.exit(built.stdout)
    return out


def timed(command, **settings):
    """The finished process, and its seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **settings)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def libfuzzer(out, target, seconds, seeds, folder):
    corpus = folder / ("corpus-%s-%s" % (target, "seeds" if seeds else "nothing"))
    corpus.mkdir(exist_ok=True)
    command = [out / ("hostile_" + target), "-entropic=0", "-max_len=512", "-timeout=20", "-print_final_stats=1",
               "-max_total_time=%d" % seconds, "-artifact_prefix=%s/" % folder, "-dict=%s" % (out / ("hostile_%s.dict" % target)), corpus]
    if seeds:
        command.append(HERE / "seeds" / target)
    done, used = timed(command, env=dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"))
    runs = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    coverage = re.findall(r"cov: (\d+)", done.stdout)
    if done.returncode != 0 or not runs:
        print(done.stdout[-6000:])
        return None
    return int(runs.group(1)), used, "%s places" % coverage[-1]


def afl(out, target, seconds, seeds, folder):
    source = HERE / "seeds" / target
    if not seeds:
        source = folder / "nothing"
        source.mkdir(exist_ok=True)
        (source / "0").write_bytes(b"\0\0\0")
    found = folder / ("afl-%s-%s" % (target, "seeds" if seeds else "nothing"))
    shutil.rmtree(found, ignore_errors=True)
    settings = dict(os.environ, AFL_NO_UI="1", AFL_SKIP_CPUFREQ="1", AFL_NO_AFFINITY="1", AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1",
                    AFL_BENCH_UNTIL_CRASH="1")
    done, used = timed(["afl-fuzz", "-V", str(seconds), "-i", source, "-o", found, "-x", out / ("hostile_%s.dict" % target), "--",
                        out / ("hostile_" + target)], env=settings)
    stats = found / "default/fuzzer_stats"
    if not stats.exists():
        print(done.stdout[-4000:])
        return None
    figures = dict(re.findall(r"(\w+)\s*: (\S+)", stats.read_text()))
    if figures["saved_crashes"] != "0" or figures["saved_hangs"] != "0":
        print(done.stdout[-4000:])
        return None
    return int(figures["execs_done"]), used, figures["bitmap_cvg"] + " of the map"


def main():
    engine, seconds = sys.argv[1], int(sys.argv[2])
    folder = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp(prefix="hostile-"))
    missing = [name for name in ([ENGINES[engine]["CC"]] + (["afl-fuzz"] if engine == "afl" else [])) if not shutil.which(name)]
    if missing:
        print("%s is not installed" % missing[0])
        sys.exit(77)
    out, failed = build(engine, folder), 0
    for target in TARGETS:
        for seeds in (True, False):
            result = {"libfuzzer": libfuzzer, "afl": afl}[engine](out, target, seconds, seeds, folder)
            failed += result is None
            name = "%s, %s, from %s" % (engine, target, "seeds" if seeds else "nothing")
            if result:
                print("%s: %d executions, %d a second of processor time, coverage %s, 0 findings" %
                      (name, result[0], result[0] / max(result[1], 0.01), result[2]))
            else:
                print("%s: FAILED, inputs in %s" % (name, folder))
            sys.stdout.flush()
    if len(sys.argv) <= 3 and not failed:
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


main()
