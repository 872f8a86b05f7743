# SPDX-License-Identifier: MIT
"""The deepest chain of calls in the core fits a small kernel stack.

Uses gcc's figures of the stack of each function, its calls, and its calls through pointers. A call of a plug ends the
chain, because the stack of a plug belongs to the embedder. The callbacks inside the core are named below, and so are the
recursive functions with their depth. A callback or recursion not named is a fault.

    stack_chain.py BUILD FAULT CALL          limits in bytes, of the fault family and of every other call
"""

import pathlib
import re
import sys
import tempfile

from core_objects import compile_core, understands
from report import finish, skip

# (file, parameter) and the possible functions, empty for a function of the embedder.
CALLBACKS = {
    ("fault.c", "work"): ["read_page", "write_page", "make_writable", "huge_page"],
    ("icache.c", "each"): ["flush_one", "sync_one"],
    ("icache.c", "free_it"): ["free_nameless"],
    ("icache.c", "drop_names"): ["drop_names"],
    ("verify.c", "each"): ["walk_inode", "check_attributes"],
    ("mount.c", "recover"): ["ext2dax_recover"],
    ("mount.c", "verify"): ["ext2dax_verify"],
    ("name.c", "each"): [],
    ("walk.c", "visit"): [], # see OWN
    ("remove.c", "each"): ["disown"],
    ("recover.c", "pass"): ["e2d_scan_pass1", "e2d_scan_ends", "e2d_scan_pass2", "repair_inodes", "repair_rest"],
    ("scan_ahead.c", "each"): ["count_xattr", "pass1_inode", "disown_end", "pass2_inode", "repair_inode", "repair_use"],
    ("scan.c", "each_block"): ["repair_dirents"],
    ("scan.c", "each"): ["free_blocks", "count_leak"],
}
# Entered on the kernel stack of the faulting program, on top of the stack used by the page-fault handler.
FAULTS = {"ext2dax_fault", "ext2dax_pmd_fault", "ext2dax_mkwrite", "ext2dax_pfn_mkwrite"}
# Functions which call back a function of the calling file.
OWN = {"e2d_walk_tree": "visit"}
# The walk down the block tree, which has three levels of pointer blocks.
RECURSION = {"walk_slots": 4, "find_in": 4}
# A circle entered at most twice. The second scan looks for a single block and claims none.
ONCE = {"two_owners"}
EMBEDDER = {"memcpy", "memmove", "memset", "memcmp"}

NODE = re.compile(r'node: \{ title: "([^"]*)" label: "[^"]*\\n(\d+) bytes')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"(?: label: "([^"]*)")?')
PLUG = re.compile(r"\bops(\.|->)\w+\(|_(?:ops|calls)\.\w+\(")


def short(title):
    return next(part for part in reversed(title.split(":")) if not part.isdigit()).split(".")[0]


class Graph:
    def __init__(self, build, texts):
        self.build, self.size, self.calls, self.faults, self.known = build, {}, {}, [], {}
        edges, file_of = [], {}
        for number, text in enumerate(texts):
            for title, size in NODE.findall(text):
                self.size[title], file_of[title] = int(size), number
            edges += EDGE.findall(text)
        for source, target, where in edges:
            self.calls.setdefault(source, set()).update(self.targets(target, where))
        self.part(file_of)

    def part(self, file_of):
        """Gives each file that calls a function of OWN a copy of the function, which calls the callback of the file."""
        for source in list(self.calls):
            for target in [target for target in self.calls[source] if target in OWN]:
                copy = "%s:%d" % (target, file_of[source])
                back = {title for title in self.size if short(title) == OWN[target] and file_of.get(title) == file_of[source]}
                if not back:
                    self.faults.append("%s calls %s without a %s" % (source, target, OWN[target]))
                self.size[copy] = self.size[target]
                self.calls[copy] = self.calls.get(target, set()) | back
                self.calls[source] = self.calls[source] - {target} | {copy}

    def targets(self, target, where):
        if target == "__indirect_call":
            return self.callbacks(where)
        if target in self.size:
            return [target]
        if target not in EMBEDDER:
            self.faults.append("%s is called, and its stack is not known" % target)
        return []

    def callbacks(self, where):
        path, line, _ = where.rsplit(":", 2)
        text = pathlib.Path(self.build, path).read_text().splitlines()[int(line) - 1]
        if PLUG.search(text):
            return []
        for (file, name), functions in CALLBACKS.items():
            if path.endswith("/" + file) and name + "(" in text:
                found = [title for title in self.size if short(title) in functions]
                if {short(title) for title in found} != set(functions):
                    self.faults.append("not all of %s are there" % functions)
                return found
        self.faults.append("%s:%s calls through a pointer: %s" % (path, line, text.strip()))
        return []

    def deepest(self, title, barred=frozenset(), trail=()):
        """Returns (bytes, chain) from the function down, without the functions barred."""
        if short(title) in barred:
            return 0, ()
        key = (title, barred)
        if key in trail:
            self.faults.append("a circle of calls: " + " ".join(short(name) for name, _ in trail[trail.index(key):]))
            return 0, ()
        if key not in self.known:
            further = barred | ({short(title)} & ONCE)
            below = [self.deepest(other, further, trail + (key,)) for other in self.calls.get(title, ()) if other != title]
            size = self.size[title]
            if title in self.calls.get(title, ()):
                if short(title) not in RECURSION:
                    self.faults.append("%s calls itself" % short(title))
                size *= RECURSION.get(short(title), 1)
            most = max(below, default=(0, ()))
            self.known[key] = (size + most[0], ((short(title), size),) + most[1])
        return self.known[key]


def main():
    build, fault_limit, call_limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if not understands(build, "-fcallgraph-info=su"):
        skip("this compiler writes no call graph")
    with tempfile.TemporaryDirectory() as folder:
        sources = compile_core(build, folder, "-O2", "-fcallgraph-info=su")
        graph = Graph(build, [pathlib.Path(folder, source.stem + ".ci").read_text() for source in sources])
    chains = sorted((graph.deepest(title) for title in graph.size), reverse=True)
    if not chains:
        graph.faults.append("no function in the core")
    found = {chain[0][0] for _, chain in chains} & FAULTS
    if found and found != FAULTS:
        graph.faults.append("missing of the fault family: %s" % " ".join(sorted(FAULTS - found)))
    entries = [chain for chain in chains if chain[1][0][0].startswith("ext2dax_")]
    for total, chain in entries[:5] + [chain for chain in entries if chain[1][0][0] in FAULTS][:1]:
        print("%5d bytes: %s" % (total, " ".join("%s(%d)" % link for link in chain)))
    for total, chain in chains:
        limit = fault_limit if chain[0][0] in FAULTS else call_limit
        if total > limit:
            graph.faults.append("%d bytes of at most %d: %s" % (total, limit, " ".join("%s(%d)" % link for link in chain)))
    finish("deepest chain of the core, %d bytes at most in a fault, %d elsewhere" % (fault_limit, call_limit), graph.faults)


main()
