/* SPDX-License-Identifier: MIT */
/* Linked into pmem-mapper-broken: leaves out the protection that EXT2DAX_MUTANT names, before main begins. */
#include <ext2dax/testkit/mutant.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void break_it(void)
{
    const char *name = getenv("EXT2DAX_MUTANT");

    if (!name || !strcmp(name, "none"))
        return;
    if (ext2dax_mutant_activate(name)) {
        fprintf(stderr, "EXT2DAX_MUTANT=%s: no such mutant\n", name);
        exit(99);
    }
}
