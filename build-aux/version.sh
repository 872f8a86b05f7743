#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the version, or with "soversion" the ABI number, from the one place that has them.
set -eu
header=$(dirname "$0")/../include/ext2dax/version.h
number() { sed -n "s/^#define EXT2DAX_$1  *\([0-9]*\).*/\1/p" "$header"; }
case "${1-}" in
soversion) number ABI_VERSION ;;
*) echo "$(number VERSION_MAJOR).$(number VERSION_MINOR).$(number VERSION_PATCH)" ;;
esac
