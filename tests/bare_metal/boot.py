# SPDX-License-Identifier: MIT
"""Boots the kernel of examples/bare-metal under QEMU, and checks the resulting image.

QEMU maps the image file as persistent memory, so the stores of the kernel are in the file. e2fsck must find no error, and
debugfs must find the bytes stored by the checks.

    boot.py KERNEL REASON            REASON is the reason why this build has no kernel, or empty
    boot.py KERNEL REASON CHECK...   for a kernel without a protection, one of these checks must fail
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

PAGE = 4096
MIB = 1 << 20
IMAGE_SIZE = 32 * MIB
SECONDS = 60
MOST_BOOTS = 12  # until a race is lost
GOOD, BAD = 33, 35
TOOLS = ["qemu-system-x86_64", "mke2fs", "e2fsck", "debugfs"]


def pages(*bytes_of_pages):
    return b"".join(bytes([byte]) * PAGE for byte in bytes_of_pages)


def with_bytes(data, changes):
    changed = bytearray(data)
    for offset, byte in changes.items():
        changed[offset] = byte
    return bytes(changed)


DATA = pages(1, 2, 3, 4, 5) + bytes([6]) * (PAGE // 2)
SPARSE = pages(0, 0, 9, 0, 0, 0, 0, 0)

DATA_AFTER = with_bytes(DATA, {PAGE: 78})
AFTER = {
    "data": DATA_AFTER,
    "sparse": with_bytes(SPARSE, {0: 66, 4 * PAGE: 44}),
    "copied": DATA_AFTER[:3 * PAGE] + DATA_AFTER[5 * PAGE:].ljust(PAGE, b"\0"),
    "huge": with_bytes(bytes([0x11]) * (2 * MIB) + bytes([0x21]) * MIB, {12345: 0x12}),
    "both": bytes([1, 2]).ljust(PAGE, b"\0") * 256,
    "taken": b"",
    "taker": b"",
    "filler": b"",
    "frozen": with_bytes(pages(0, 0), {0: 2}),
}


def skip(reason):
    print("skipped: " + reason)
    sys.exit(77)


def make_image(folder):
    tree, image = folder / "tree", folder / "image"
    tree.mkdir()
    (tree / "data").write_bytes(DATA)
    with open(tree / "sparse", "wb") as sparse:
        sparse.truncate(len(SPARSE))
        sparse.seek(2 * PAGE)
        sparse.write(SPARSE[2 * PAGE:3 * PAGE])
    # No reserved blocks, because the checks of the kernel fill the image.
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-b", str(PAGE), "-m", "0", "-d", str(tree), str(image),
                    "%dk" % (IMAGE_SIZE // 1024)], check=True)
    return image


def boot(kernel, image):
    """Returns the exit code, or None after the time limit, and the output of the serial port."""
    command = [
        "qemu-system-x86_64", "-accel", "tcg", "-machine", "q35,nvdimm=on", "-cpu", "max", "-smp", "2",
        "-m", "128M,slots=1,maxmem=1G",
        "-object", "memory-backend-file,id=image,share=on,mem-path=%s,size=%d" % (image, IMAGE_SIZE),
        "-device", "nvdimm,memdev=image",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-net", "none", "-kernel", kernel]
    log = image.with_name("serial")
    with open(log, "wb") as out:
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                  timeout=SECONDS).returncode
        except subprocess.TimeoutExpired:
            code = None
    return code, log.read_text(errors="replace")


def debugfs(image, request):
    return subprocess.run(["debugfs", "-R", request, str(image)], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def image_faults(image):
    checked = subprocess.run(["e2fsck", "-fn", str(image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if checked.returncode != 0:
        yield "e2fsck -fn ends %d:\n%s" % (checked.returncode, checked.stdout)
    for name, wanted in AFTER.items():
        found = debugfs(image, "cat /" + name)
        if found != wanted:
            where = next((i for i, (a, b) in enumerate(zip(found, wanted)) if a != b), min(len(found), len(wanted)))
            yield "/%s has %d bytes, %d wanted; the first difference is at %d" % (name, len(found), len(wanted), where)
    blocks = debugfs(image, "blocks /sparse").split()
    if len(blocks) != 3:
        yield "/sparse has %d blocks, 3 wanted" % len(blocks)
    seconds = int(re.search(rb"mtime: 0x([0-9a-f]+)", debugfs(image, "stat /sparse"))[1], 16)
    if abs(seconds - time.time()) > 86400:
        yield "/sparse was changed at %d, and now is %d" % (seconds, time.time())


def run_faults(code, said):
    passed = re.findall(r"^ok ", said, re.MULTILINE)
    total = re.search(r"^(\d+) passed, (\d+) failed$", said, re.MULTILINE)
    if code is None:
        yield "it did not end in %d seconds" % SECONDS
    elif code != GOOD:
        yield "it ends with %d" % code
    if not total:
        yield "it did not come to its count"
    elif int(total[1]) != len(passed) or not passed:
        yield "%d lines are ok, and it counted %s" % (len(passed), total[1])


def print_size(kernel):
    """Returns the bytes of instructions and constants, of the core and of the rest of the kernel."""
    if shutil.which("size"):
        listed = subprocess.run(["size", "-A", kernel], check=True, stdout=subprocess.PIPE, text=True).stdout
        sizes = dict(line.split()[:2] for line in listed.splitlines() if line.startswith("."))
        print("kernel: %s bytes of instructions, %s of constants" % (sizes[".text"], sizes[".rodata"]))


def look_for(kernel, caught_by):
    """Boots a kernel without a protection until one of these checks fails. Two processors meet by chance."""
    begun, boots = time.monotonic(), 0
    while boots == 0 or (boots < MOST_BOOTS and time.monotonic() - begun < SECONDS):
        boots += 1
        with tempfile.TemporaryDirectory() as folder:
            code, said = boot(kernel, make_image(pathlib.Path(folder)))
        if code == BAD and any("FAILED  " + check in said for check in caught_by):
            print(said)
            print("noticed at boot %d, after %.1f seconds" % (boots, time.monotonic() - begun))
            return
    sys.exit("broken on purpose, and in %d boots none of these failed: %s" % (boots, "; ".join(caught_by)))


def main():
    kernel, reason, caught_by = sys.argv[1], sys.argv[2], sys.argv[3:]
    if reason:
        skip("no kernel in this build: " + reason)
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        skip("not installed: " + " ".join(missing))
    if caught_by:
        look_for(kernel, caught_by)
        return
    with tempfile.TemporaryDirectory() as folder:
        image = make_image(pathlib.Path(folder))
        begun = time.monotonic()
        code, said = boot(kernel, image)
        print(said)
        print("%.1f seconds" % (time.monotonic() - begun))
        print_size(kernel)
        faults = list(run_faults(code, said)) + list(image_faults(image))
    for fault in faults:
        print("FAULT: " + fault)
    sys.exit(1 if faults else 0)


main()
