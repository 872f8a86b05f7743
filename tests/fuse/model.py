# SPDX-License-Identifier: MIT
"""Random calls of the suite model on the mount (the program in TEST_MODEL) agree with the model.

    model.py CALLS
"""

import os
import sys

import mounts

# Kinds of images of test_model: name, block size, inode size, size and number of inodes.
KINDS = (("4k", 4096, 256, "16M", 1024), ("1k", 1024, 128, "8M", 1024), ("2k", 2048, 256, "12M", 1024))


def main():
    mounts.wanted()
    with mounts.Place() as place:
        for name, block, inode, size, inodes in KINDS:
            image = place.image(name, size, block, inode, ["-O", "none,ext_attr,filetype,sparse_super,large_file", "-N", inodes])
            point = place.fuse(image, name + "-mount", "suid,dev,allow_other,noatime")
            status, output = mounts.run(os.environ["TEST_MODEL"], "--directory", point, "--image", name, "--length", "200",
                                        "--calls", int(sys.argv[1]) // len(KINDS))
            print(name + ":\n" + "\n".join(output.splitlines()[:40]))
            if status or "skipped" in output:
                sys.exit("%s: ended %d" % (name, status))
            place.unmount(point, image)
            mounts.check(image)


main()
