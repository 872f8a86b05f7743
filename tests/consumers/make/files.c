/* SPDX-License-Identifier: MIT */
/*
 * Writes a file to an image in heap memory, finds the bytes in the image, truncates the file and
 * reads the rest back.
 */
#include <stdio.h>
#include <string.h>

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>

#define BLOCK  4096u
#define LENGTH (5 * BLOCK + 100)
#define CUT    (2 * BLOCK + 50)

static unsigned char out[LENGTH], in[LENGTH];

static int fail(const char *what, int64_t said)
{
    fprintf(stderr, "files: %s: %s\n", what, said < 0 ? ext2dax_strerror((int)said) : "not as it should be");
    return 1;
}

/* Checks every block of the file at the address given by ext2dax_map() for the bytes written. */
static int found_in_the_image(struct ext2dax_inode *file, const unsigned char *image)
{
    struct ext2dax_run run;
    int error;

    for (uint64_t block = 0; block <= LENGTH / BLOCK; block += run.length) {
        uint64_t first = block * BLOCK, bytes;

        error = ext2dax_map(file, block, LENGTH / BLOCK + 1 - block, &run);
        if (error)
            return fail("map", error);
        bytes = run.length * BLOCK < LENGTH - first ? run.length * BLOCK : LENGTH - first;
        if (run.physical == 0 || memcmp(image + run.physical * BLOCK, out + first, (size_t)bytes) != 0)
            return fail("what map points at", 0);
    }
    return 0;
}

static int play(struct ext2dax_mount *mount, const unsigned char *image)
{
    struct ext2dax_inode *root, *file;
    struct ext2dax_stat figures;
    int64_t said;
    int bad;

    if ((said = ext2dax_lookup_path(mount, "/", 1, 0, &root)) != 0)
        return fail("lookup", said);
    if ((said = ext2dax_create(root, "file", 4, 0644, 0, 0, &file)) != 0)
        return fail("create", said);
    for (size_t i = 0; i < LENGTH; i++)
        out[i] = (unsigned char)(i * 7 + i / 251);
    if ((said = ext2dax_write(file, 0, out, LENGTH)) != LENGTH)
        return fail("write", said);
    bad = found_in_the_image(file, image);
    if ((said = ext2dax_truncate(file, CUT)) != 0)
        return fail("truncate", said);
    ext2dax_stat(file, &figures, sizeof(figures));
    if ((said = ext2dax_read(file, 0, in, LENGTH)) != CUT || figures.size != CUT || memcmp(in, out, CUT) != 0)
        return fail("what is left", said < 0 ? said : 0);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    return bad;
}

int main(void)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    struct ext2dax_mount *mount;
    int error, bad;

    if ((error = ext2dax_memory_open_heap(16 << 20, &plugs.memory)) != 0)
        return fail("memory", error);
    if ((error = ext2dax_format(&plugs.memory, NULL, &plugs.host)) != 0)
        return fail("format", error);
    if ((error = ext2dax_mount(&plugs, NULL, &mount)) != 0)
        return fail("mount", error);
    bad = play(mount, plugs.memory.base);
    error = ext2dax_unmount(mount);
    ext2dax_memory_close_heap(&plugs.memory);
    if (error)
        return fail("unmount", error);
    if (!bad)
        printf("files: libext2dax %s wrote, mapped, cut and read a file\n", ext2dax_version());
    return bad;
}
