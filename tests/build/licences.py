# SPDX-License-Identifier: MIT
"""Licences of files by the rules of the REUSE specification 3.2.

Each file has a licence, by a header in its first lines or by REUSE.toml, and a copyright notice by either. Each licence has
its text in LICENSES, and each text there is the licence of some file.
"""

import re
import subprocess

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

# Split, so that tools for licences read no tag here.
TAG = "SPDX-" "License-Identifier"
HEADER = re.compile(TAG + r":\s*([\w.+-]+)")
NOTICE = re.compile(r"SPDX-" r"FileCopyrightText:|\bCopy" r"right\b|©")
HEADER_LINES = 5
# Files with the text of a licence need none.
EXEMPT = re.compile(r"(LICENSES/.*|(.*/)?(LICENSE|COPYING)(\.[^/]*)?)")
GLOB = re.compile(r"\\(.)|(\*\*)|(\*)|(\?)|\[(!?)([^]]+)\]|(.)", re.DOTALL)


def files_of(source):
    """Returns the files tracked by git and the new files, or None if the source is not a checkout."""
    try:
        listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(source), "ls-files", "-co",
                                 "--exclude-standard", "-z"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return None
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return sorted(names) if listed.returncode == 0 and names else None


def pattern(glob):
    """A path of REUSE.toml as a regular expression. Only ** matches slashes."""
    def one(match):
        escaped, all_of_it, name, letter, negated, letters, plain = match.groups()
        if all_of_it or name or letter:
            return ".*" if all_of_it else "[^/]*" if name else "[^/]"
        if letters:
            return "[%s%s]" % ("^" if negated else "", re.escape(letters).replace(r"\-", "-"))
        return re.escape(escaped or plain)

    return re.compile(GLOB.sub(one, glob), re.DOTALL)


def listed_in(value):
    return [value] if isinstance(value, str) else list(value or [])


def tables_of(source, faults):
    tables = []
    read = tomllib.loads((source / "REUSE.toml").read_text(encoding="utf-8"))
    if read.get("version") != 1:
        faults.append("REUSE.toml has no version 1")
    for table in read.get("annotations", []):
        if table.get("precedence", "closest") != "closest":
            faults.append("REUSE.toml overrides headers: " + table["precedence"])
        paths = {path: pattern(path) for path in listed_in(table.get("path"))}
        tables.append({"paths": paths, "notice": bool(listed_in(table.get("SPDX-FileCopyrightText"))),
                       "licences": listed_in(table.get(TAG))})
    return tables


def licence_faults(source):
    """Returns the faults, or None and a reason if the licences cannot be checked."""
    names = files_of(source)
    if tomllib is None or names is None:
        return None, "Python before 3.11 reads no TOML" if tomllib is None else "the source is not a checkout of git"
    faults, used, useful = [], set(), set()
    tables = tables_of(source, faults)
    for name in names:
        path = source / name
        if EXEMPT.fullmatch(name) or path.is_symlink() or not path.is_file() or path.stat().st_size == 0:
            continue
        top = "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[:HEADER_LINES])
        table = {}
        for candidate in tables:
            matching = [glob for glob, known in candidate["paths"].items() if known.fullmatch(name)]
            useful.update(matching)
            table = candidate if matching else table
        licences = HEADER.findall(top) or table.get("licences", [])
        used.update(licences)
        if not licences:
            faults.append("%s has no licence, neither by a header nor by REUSE.toml" % name)
        if not table.get("notice") and not NOTICE.search(top):
            faults.append("%s has no copyright notice" % name)
    faults += ["REUSE.toml names %s, which matches no file" % glob
               for table in tables for glob in table["paths"] if glob not in useful]
    texts = {path.stem: path for path in (source / "LICENSES").glob("*")}
    faults += ["LICENSES has no text of %s" % licence for licence in sorted(used - set(texts))]
    faults += ["%s is the licence of no file" % texts[licence].name for licence in sorted(set(texts) - used)]
    if "MIT" in texts and texts["MIT"].read_bytes() != (source / "LICENSE").read_bytes():
        faults.append("LICENSES/MIT.txt differs from LICENSE")
    return faults, "%d files have licences" % len(names)
