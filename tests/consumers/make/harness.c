/* SPDX-License-Identifier: MIT */
/*
 * A test harness using an installed library. The program faults the pages of a file in through the
 * model's page table, and runs the checker on the image.
 */
#include <stdio.h>
#include <string.h>

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <ext2dax/testkit/checker.h>
#include <ext2dax/testkit/model.h>

#define PAGE 4096u

static int fail(const char *what)
{
    fprintf(stderr, "harness: %s\n", what);
    return 1;
}

static int play(struct ext2dax_model *model, struct ext2dax_inode *file)
{
    static const char text[] = "through a page table";
    char back[sizeof(text)];
    struct ext2dax_model_map *map;
    struct ext2dax_model_entry entry;
    struct ext2dax_run run;

    if (ext2dax_truncate(file, 3 * PAGE) != 0)
        return fail("truncate up");
    map = ext2dax_model_map(model, file, 0, 4, true, true);
    if (!map)
        return fail("map");
    if (ext2dax_model_write(map, PAGE + 10, text, sizeof(text), false, true) != EXT2DAX_FAULT_NOPAGE)
        return fail("a write fault");
    entry = ext2dax_model_entry(map, 1);
    if (ext2dax_map(file, 1, 1, &run) != 0 || entry.kind != EXT2DAX_MODEL_DATA || !entry.writable ||
        entry.memory_offset != run.physical * PAGE)
        return fail("the entry is not what the file says");
    if (ext2dax_read(file, PAGE + 10, back, sizeof(back)) != sizeof(back) || memcmp(text, back, sizeof(text)) != 0)
        return fail("what was stored is not in the file");
    if (ext2dax_truncate(file, PAGE) != 0 || ext2dax_model_entry(map, 1).kind != EXT2DAX_MODEL_NONE)
        return fail("truncate left a page mapped");
    if (ext2dax_model_read(map, PAGE, back, 1, false, true) != EXT2DAX_FAULT_SIGBUS)
        return fail("a read past the end");
    ext2dax_model_unmap(map);
    return 0;
}

int main(void)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    struct ext2dax_model *model;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *file;
    int bad;

    if (ext2dax_memory_open_heap(8 << 20, &plugs.memory) != 0 || ext2dax_format(&plugs.memory, NULL, &plugs.host) != 0)
        return fail("an image");
    model = ext2dax_model_open(&plugs.memory, plugs.locks, PAGE, 9);
    if (!model)
        return fail("a model");
    plugs.address_space = ext2dax_model_address_space(model);
    if (ext2dax_mount(&plugs, NULL, &mount) != 0 || ext2dax_lookup_path(mount, "/", 1, 0, &root) != 0 ||
        ext2dax_create(root, "file", 4, 0644, 0, 0, &file) != 0)
        return fail("a file");
    bad = play(model, file);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    if (ext2dax_unmount(mount) != 0)
        return fail("unmount");
    if (ext2dax_check_image(plugs.memory.base, plugs.memory.size, 0, NULL, NULL, NULL) != 0)
        return fail("the checker objects");
    ext2dax_model_close(model);
    ext2dax_memory_close_heap(&plugs.memory);
    if (!bad)
        puts("harness: pages came and went, and the image is sound");
    return bad;
}
