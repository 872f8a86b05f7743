# SPDX-License-Identifier: MIT
"""A machine that boots Linux with an image file as persistent memory, and runs a single program."""

import os
import platform
import subprocess

import kernel
from bench import check, skip

# Limit in seconds from power-on to power-off. An idle processor takes 15.
PATIENCE = int(os.environ.get("EXT2DAX_LINUX_SECONDS", "150"))
QEMU = "qemu-system-x86_64"


class Machine:
    def __init__(self):
        if platform.machine() != "x86_64":
            skip("no Linux to boot: the machine and the kernel's package are for x86-64, this is %s" % platform.machine())
        if not os.environ["LINUX_DAX_GUEST"]:
            skip("no Linux to boot: its first program has to be static, and nothing static can be linked here")
        guest, cache = os.environ["LINUX_DAX_GUEST"], os.environ["LINUX_DAX_CACHE"]
        try:
            directory = kernel.find(cache)
            self.kernel = kernel.image(directory)
            kernel.initramfs("initramfs", guest, directory)
        except kernel.Unavailable as why:
            skip("no Linux to boot: %s" % why)

    def run(self, image, *arguments):
        """Boots, and returns the lines printed by the guest. Ends the test if the machine does not power off."""
        command = [QEMU, "-accel", "tcg", "-machine", "q35", "-nodefaults", "-no-reboot", "-display", "none",
                   "-m", "512M,slots=1,maxmem=4G", "-kernel", self.kernel, "-initrd", "initramfs",
                   "-append", "console=ttyS0 loglevel=5 panic=-1 -- " + " ".join(arguments),
                   "-serial", "file:console", "-serial", "stdio",
                   "-object", "memory-backend-file,id=image,share=on,mem-path=%s,size=%d" % (
                       image, os.stat(image).st_size),
                   "-device", "virtio-pmem-pci,memdev=image"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as machine:
            try:
                text, ended = machine.communicate(timeout=PATIENCE)[0], True
            except subprocess.TimeoutExpired:
                machine.kill()
                text, ended = machine.communicate()[0], False
        lines = text.decode(errors="replace").replace("\r", "").splitlines()
        for line in lines:
            print("  Linux:", line)
        check(ended, "Linux has not come to its end in %d s%s" % (PATIENCE, self.console()))
        check(machine.returncode == 0 and lines and lines[-1].endswith(" failed"),
              "the machine ended %d without a sum%s" % (machine.returncode, self.console()))
        return lines

    @staticmethod
    def console():
        with open("console", errors="replace") as console:
            return ", and last said:\n" + "".join(console.readlines()[-40:])
