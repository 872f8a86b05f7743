# SPDX-License-Identifier: MIT
"""git, tar, cp -a and rsync work on the mount and return the same files.

    trees.py [TREE]

TREE is copied as well.
"""

import os
import shutil
import sys

import mounts


def sample(path):
    """A tree of every type, with holes, links, modes and attributes."""
    for i in range(12):
        folder = path / ("folder %d" % i) / "sub"
        folder.mkdir(parents=True)
        for j in range(40):
            (folder / ("file-%d" % j)).write_bytes(os.urandom(j * 531))
        os.link(folder / "file-3", folder / "hard")
        os.symlink("file-%d" % i, folder / "soft")
        os.mkfifo(folder / "fifo")
        os.chmod(folder / "file-5", 0o4711)
        os.chown(folder / "file-6", 1000 + i, 2000 + i)
        os.setxattr(folder / "file-7", "user.note", b"kept")
        with open(folder / "holes", "wb") as file:
            for at in (0, 1 << 20, 3 << 20):
                file.seek(at)
                file.write(b"data")
    for i, folder in enumerate(sorted(path.rglob("*"))):
        os.utime(folder, ns=(10**18 + i, 10**18 + 7 * i), follow_symlinks=False)


def same(one, two):
    """Compares trees by rsync, which prints differences."""
    told = mounts.must("rsync", "-aHAXnic", "--delete", "%s/" % one, "%s/" % two)
    if told.strip():
        sys.exit("%s and %s differ:\n%s" % (one, two, told[:2000]))


def main():
    mounts.wanted()
    for tool in ("git", "tar", "rsync"):
        if not shutil.which(tool):
            mounts.skip("there is no " + tool)
    with mounts.Place() as place:
        source = place.point("source")
        sample(source)
        image = place.image("image", "160M" if len(sys.argv) < 2 else "2G")
        point = place.fuse(image)
        mounts.must("cp", "-a", source, point / "cp")
        same(source, point / "cp")
        mounts.must("rsync", "-aHAX", "--sparse", "%s/" % source, "%s/" % (point / "rsync"))
        same(source, point / "rsync")
        mounts.must("tar", "--xattrs", "-cf", place.path / "tar", "-C", source, ".")
        (point / "tar").mkdir()
        mounts.must("tar", "--xattrs", "-xpf", place.path / "tar", "-C", point / "tar")
        os.utime(point / "tar", ns=(0, source.stat().st_mtime_ns))
        same(source, point / "tar")
        mounts.must("cp", "-a", point / "cp", place.path / "back")
        same(source, place.path / "back")
        environment = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", HOME=str(place.path))
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*", "-C", point / "cp"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["gc", "-q"], ["fsck", "--full"],
                      ["checkout", "-qb", "other"], ["rm", "-rq", "folder 3"], ["commit", "-qm", "less"],
                      ["checkout", "-q", "-"], ["status", "--porcelain"]):
            told = mounts.must(*git, *words, env=environment)
        if told.strip():
            sys.exit("git status: " + told)
        mounts.must("git", "-c", "safe.directory=*", "clone", "-q", point / "cp", point / "clone", env=environment)
        shutil.rmtree(point / "cp")
        place.unmount(point, image)
        mounts.check(image)
        point = place.fuse(image)
        same(source, point / "rsync")
        for tree in sys.argv[1:]:
            mounts.must("cp", "-a", tree, point / "tree")
            same(tree, point / "tree")
        place.unmount(point, image)
        mounts.check(image)


main()
