# SPDX-License-Identifier: MIT
"""meson install with a DESTDIR installs every expected file, no other file except programs and pages, no file outside the
prefix, and no text with a folder of the build machine.

    install_list.py SOURCE BUILD PREFIX LIBDIR INCLUDEDIR VERSION SOVERSION -- MESON...
"""

import pathlib
import sys

from installed import installed, split
from report import finish

LIBRARIES = ["libext2dax.so", "libext2dax.so.%(soversion)s", "libext2dax.so.%(version)s", "libext2dax.a",
             "libext2dax-core.a", "libext2dax-testkit.a", "pkgconfig/ext2dax.pc", "pkgconfig/ext2dax-core.pc",
             "pkgconfig/ext2dax-testkit.pc", "cmake/ext2dax/ext2dax-config.cmake",
             "cmake/ext2dax/ext2dax-config-version.cmake"]
TEXT = {".pc", ".cmake", ".h"}


def main():
    (source, build, prefix, libdir, includedir, version, soversion), meson = split(sys.argv[1:])
    headers = pathlib.Path(source, "include")
    wanted = {pathlib.Path(libdir, name % {"version": version, "soversion": soversion}) for name in LIBRARIES}
    wanted |= {pathlib.Path(includedir, path.relative_to(headers)) for path in headers.glob("**/*.h")}
    faults = []
    with installed(meson, build, prefix) as (root, at):
        found = {path for path in root.glob("**/*") if not path.is_dir()}
        inside = {path.relative_to(at) for path in found if at in path.parents}
        # The pages of the library are in the folder of the headers, the page of a program in the folder of its source.
        pages = list(headers.glob("*.[1-9]"))
        pages += [page for page in pathlib.Path(source, "examples").glob("*/*.[1-9]") if at / "bin" / page.stem in found]
        faults += ["the page %s is not installed" % page.name for page in pages
                   if not any(path.parts[-2:] == ("man" + page.suffix[1:], page.name) for path in inside)]
        faults += ["%s is installed outside of the prefix" % path.relative_to(root) for path in sorted(found)
                   if at not in path.parents]
        faults += ["%s is not installed" % path for path in sorted(wanted - inside)]
        faults += ["%s is installed and not listed in install_list.py" % path for path in sorted(inside - wanted)
                   if path.parts[0] not in ("bin", "share")]
        for path in sorted(found):
            if path.suffix in TEXT:
                text = path.read_text()
                faults += ["%s names %s" % (path.relative_to(root), folder)
                           for folder in (str(pathlib.Path(source).resolve()), str(pathlib.Path(build).resolve()), str(root))
                           if folder in text]
    finish("%d installed files" % len(found), faults)


main()
