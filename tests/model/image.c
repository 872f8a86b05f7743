/* SPDX-License-Identifier: MIT */
/* Images made by mke2fs. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "../image/outside.h"

#define INDEXED "none,ext_attr,dir_index,filetype,sparse_super,large_file,extra_isize"
#define PLAIN   "none,ext_attr,filetype,sparse_super,large_file"

const struct image_kind image_kinds[] = {
    {"1k", 1024, 128, 8192, 1024, PLAIN, false, false},
    {"1k-large-inodes", 1024, 256, 8192, 1024, INDEXED, false, true},
    {"2k", 2048, 256, 12288, 1024, PLAIN, false, true},
    {"4k", 4096, 256, 16384, 1024, INDEXED, false, false},
    {"4k-small-inodes", 4096, 128, 16384, 1024, PLAIN ",dir_nlink", false, true},
    {"tiny", 1024, 256, 200, 48, PLAIN, true, true},
    {"tiny-4k", 4096, 256, 720, 48, INDEXED, true, false},
};
const unsigned image_kind_count = sizeof(image_kinds) / sizeof(image_kinds[0]);

size_t image_size(const struct image_kind *kind)
{
    return (size_t)kind->kilobytes << 10;
}

static unsigned char *made[sizeof(image_kinds) / sizeof(image_kinds[0])];

void image_prepare(const struct image_kind *kind)
{
    unsigned char **kept = &made[kind - image_kinds];
    struct outside_image image;

    if (*kept)
        return;
    image = outside_open(image_size(kind));
    if (outside_run("mke2fs -q -F -O %s -b %u -I %u -N %u -m 0 -E root_owner=0:0 %s %u >/dev/null 2>&1", kind->features,
                    kind->block_size, kind->inode_size, kind->inodes, image.path,
                    (unsigned)(image_size(kind) / kind->block_size)) == 0) {
        *kept = malloc(image.size);
        if (!*kept)
            abort();
        memcpy(*kept, image.base, image.size);
    }
    outside_close(&image);
}

bool image_make(const struct image_kind *kind, void *base)
{
    const unsigned char *kept;

    image_prepare(kind);
    kept = made[kind - image_kinds];
    if (kept)
        memcpy(base, kept, image_size(kind));
    return kept != NULL;
}

const char *image_e2fsck(const char *path)
{
    static char text[1500];
    char command[200];
    size_t length;
    FILE *output;
    int status;

    (void)snprintf(command, sizeof(command), "PATH=\"$PATH:/usr/sbin:/sbin\" e2fsck -fn %s 2>&1", path);
    (void)fflush(NULL);
    output = popen(command, "r");
    if (!output)
        return "e2fsck does not start";
    length = fread(text, 1, sizeof(text) - 1, output);
    text[length] = '\0';
    while (fgetc(output) != EOF)
        continue;
    status = pclose(output);
    return status == 0 ? NULL : text;
}
