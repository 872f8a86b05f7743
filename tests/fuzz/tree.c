/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

static struct tree trees[TREES] = {
    {1024, 320, 160, 64, 10, 3, EXT2DAX_ORDERED, NULL, 0, 0, 0, {0}, {0}},
    {1024, 320, 0, 64, 10, 4, EXT2DAX_UNORDERED, NULL, 0, 0, 0, {0}, {0}},
    {4096, 80, 0, 32, 12, 3, EXT2DAX_ORDERED, NULL, 0, 0, 0, {0}, {0}},
    {2048, 128, 0, 32, 12, 3, EXT2DAX_UNORDERED, NULL, 0, 0, 0, {0}, {0}},
    {65536, 40, 0, 32, 16, 3, EXT2DAX_ORDERED, NULL, 0, 0, 0, {0}, {0}},
};

/* ---- raw access ---- */

static uint32_t get(const struct tree *tree, size_t at, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)tree->image[at + i] << (8 * i);
    return value;
}

static void put(struct tree *tree, size_t at, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++)
        tree->image[at + i] = (unsigned char)(value >> (8 * i));
}

static size_t in_super(size_t field)
{
    return EXT2DAX_SUPER_OFFSET + field;
}

static uint32_t first_block(const struct tree *tree)
{
    return tree->block_size == 1024 ? 1 : 0;
}

size_t tree_descriptors(const struct tree *tree)
{
    return (size_t)(first_block(tree) + 1) * tree->block_size;
}

uint32_t tree_groups(const struct tree *tree)
{
    uint32_t per_group = get(tree, in_super(offsetof(struct ext2dax_disk_super, blocks_per_group)), 4);

    return (tree->blocks - first_block(tree) - 1) / per_group + 1;
}

uint32_t tree_bitmap(const struct tree *tree, uint32_t group, unsigned which)
{
    return get(tree, tree_descriptors(tree) + group * sizeof(struct ext2dax_disk_group) + 4 * which, 4);
}

uint32_t tree_inodes(const struct tree *tree)
{
    return get(tree, in_super(offsetof(struct ext2dax_disk_super, inodes_count)), 4);
}

size_t tree_inode(const struct tree *tree, uint32_t number)
{
    uint32_t per_group = get(tree, in_super(offsetof(struct ext2dax_disk_super, inodes_per_group)), 4);
    uint32_t size = get(tree, in_super(offsetof(struct ext2dax_disk_super, inode_size)), 2);

    return (size_t)tree_bitmap(tree, (number - 1) / per_group, 2) * tree->block_size +
           (size_t)((number - 1) % per_group) * size;
}

#define FIELD(tree, number, name) (tree_inode(tree, number) + offsetof(struct ext2dax_disk_inode, name))

/* ---- parts made by calls of the library ---- */

static struct ext2dax_mount *open_tree(struct tree *tree)
{
    static const struct ext2dax_memory_ops plain = {.size = sizeof(plain)};
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_none(), .memory = {&plain, NULL, tree->image, tree->size, 0}, .host = fuzz_host()};
    struct ext2dax_format_options format = {.size = sizeof(format),
                                            .block_size = tree->block_size,
                                            .blocks_per_group = tree->blocks_per_group,
                                            .inodes = tree->inodes,
                                            .time = 1700000000};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order,
                                            .recover = ext2dax_recover};
    struct ext2dax_mount *mount;

    MUST(ext2dax_format(&plugs.memory, &format, NULL) == 0);
    MUST(ext2dax_mount(&plugs, &options, &mount) == 0);
    return mount;
}

static struct ext2dax_inode *create(struct ext2dax_inode *root, const char *name)
{
    struct ext2dax_inode *inode;

    MUST(ext2dax_create(root, name, strlen(name), 0644, 1000, 1000, &inode) == 0);
    return inode;
}

/* Creates a file with a single byte in each of the given blocks. Returns the inode number. */
static uint32_t file(struct ext2dax_inode *root, const char *name, uint32_t block_size, unsigned count,
                     const uint64_t *blocks)
{
    struct ext2dax_inode *inode = create(root, name);
    uint32_t number = inode->number;

    for (unsigned i = 0; i < count; i++) {
        int64_t written = ext2dax_write(inode, blocks[i] * block_size + 5, "x", 1);

        /* With 64 KiB blocks no file reaches the third level. */
        MUST(written == 1 || (written == -EXT2DAX_EFBIG && block_size == 65536));
    }
    ext2dax_inode_put(inode);
    return number;
}

/* ---- other kinds of inode, made by editing the image ---- */

static size_t entry(struct tree *tree, size_t at, uint32_t number, uint32_t length, const char *name, unsigned type)
{
    put(tree, at, 4, number);
    put(tree, at + 4, 2, length == 65536 ? 65535 : length);
    put(tree, at + 6, 1, (uint32_t)strlen(name));
    put(tree, at + 7, 1, type);
    memcpy(tree->image + at + 8, name, strlen(name));
    return at + length;
}

/* Sets the type in the root's dirent of an inode to the inode's current type. */
static void retype(struct tree *tree, uint32_t number, unsigned type)
{
    size_t at = (size_t)get(tree, FIELD(tree, EXT2DAX_ROOT_INODE, block), 4) * tree->block_size;

    while (get(tree, at, 4) != number)
        at += get(tree, at + 4, 2);
    put(tree, at + 7, 1, type);
}

static void add(struct tree *tree, size_t at, unsigned width, uint32_t count)
{
    put(tree, at, width, get(tree, at, width) + count);
}

/*
 * Makes a directory of two blocks, with two further names of `linked` and another name of `link`.
 */
static void make_directory(struct tree *tree, uint32_t number, uint32_t linked, uint32_t link)
{
    uint32_t bs = tree->block_size;
    size_t first = (size_t)get(tree, FIELD(tree, number, block), 4) * bs;
    size_t second = (size_t)get(tree, FIELD(tree, number, block) + 4, 4) * bs, at;

    memset(tree->image + first, 0, bs);
    memset(tree->image + second, 0, bs);
    at = entry(tree, first, number, 12, ".", EXT2DAX_FT_DIR);
    at = entry(tree, at, EXT2DAX_ROOT_INODE, 12, "..", EXT2DAX_FT_DIR);
    at = entry(tree, at, linked, 16, "again", EXT2DAX_FT_REG);
    entry(tree, at, link, bs - 40, "fast", EXT2DAX_FT_LNK);
    entry(tree, second, linked, bs, "far", EXT2DAX_FT_REG);
    put(tree, FIELD(tree, number, mode), 2, EXT2DAX_S_IFDIR | 0755);
    put(tree, FIELD(tree, number, size), 4, 2 * bs);
    put(tree, FIELD(tree, number, links), 2, 2);
    add(tree, FIELD(tree, EXT2DAX_ROOT_INODE, links), 2, 1);
    add(tree, FIELD(tree, linked, links), 2, 2);
    add(tree, FIELD(tree, link, links), 2, 1);
    add(tree, tree_descriptors(tree) + offsetof(struct ext2dax_disk_group, used_dirs), 2, 1);
    retype(tree, number, EXT2DAX_FT_DIR);
}

static void make_links(struct tree *tree, uint32_t fast, uint32_t slow)
{
    size_t at = (size_t)get(tree, FIELD(tree, slow, block), 4) * tree->block_size;

    put(tree, FIELD(tree, fast, mode), 2, EXT2DAX_S_IFLNK | 0777);
    put(tree, FIELD(tree, fast, size), 4, 7);
    memcpy(tree->image + FIELD(tree, fast, block), "/d/../d", 7);
    retype(tree, fast, EXT2DAX_FT_LNK);

    memset(tree->image + at, 0, tree->block_size);
    memcpy(tree->image + at, "////////////////////////////////////////////////////////////////d/../d", 70);
    put(tree, FIELD(tree, slow, mode), 2, EXT2DAX_S_IFLNK | 0777);
    put(tree, FIELD(tree, slow, size), 4, 70);
    retype(tree, slow, EXT2DAX_FT_LNK);
}

/* Makes the first data block of `one` the extended attribute block of both inodes. */
static void make_attributes(struct tree *tree, uint32_t one, uint32_t other)
{
    size_t compat = EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, compat);
    uint32_t block = get(tree, FIELD(tree, one, block), 4);

    memset(tree->image + (size_t)block * tree->block_size, 0, tree->block_size);
    put(tree, (size_t)block * tree->block_size, 4, 0xEA020000u);
    put(tree, (size_t)block * tree->block_size + 4, 4, 2);
    put(tree, (size_t)block * tree->block_size + 8, 4, 1);
    put(tree, FIELD(tree, one, block), 4, 0);
    put(tree, FIELD(tree, one, file_acl), 4, block);
    put(tree, FIELD(tree, other, file_acl), 4, block);
    add(tree, FIELD(tree, other, sectors), 4, tree->block_size / 512);
    /* Without the feature flag e2fsck treats the block as an error. */
    put(tree, compat, 4, get(tree, compat, 4) | EXT2DAX_COMPAT_EXT_ATTR);
}

static void make_device(struct tree *tree, uint32_t number)
{
    put(tree, FIELD(tree, number, mode), 2, EXT2DAX_S_IFCHR | 0600);
    put(tree, FIELD(tree, number, block), 4, 0x0103);
    retype(tree, number, EXT2DAX_FT_CHR);
}

/* ---- the whole tree ---- */

static void list_pointer_blocks(struct tree *tree, uint32_t block, unsigned level)
{
    if (block == 0 || tree->pointer_blocks == TREE_LIST)
        return;
    tree->pointer_block[tree->pointer_blocks++] = block;
    for (uint32_t i = 0; level > 1 && i < tree->block_size / 4; i++)
        list_pointer_blocks(tree, get(tree, (size_t)block * tree->block_size + 4 * (size_t)i, 4), level - 1);
}

static void list_blocks(struct tree *tree)
{
    for (uint32_t number = 1; number <= tree_inodes(tree); number++) {
        uint32_t type = get(tree, FIELD(tree, number, mode), 2) & EXT2DAX_S_IFMT, block;

        for (unsigned slot = 0; slot < EXT2DAX_SLOTS; slot++) {
            block = get(tree, FIELD(tree, number, block) + 4 * (size_t)slot, 4);
            if (type == EXT2DAX_S_IFREG && slot >= EXT2DAX_IND)
                list_pointer_blocks(tree, block, slot - EXT2DAX_IND + 1);
            else if (type == EXT2DAX_S_IFDIR && block != 0 && tree->entry_blocks < TREE_LIST)
                tree->entry_block[tree->entry_blocks++] = block;
        }
    }
}

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, text, sizeof(text));
    (void)fprintf(stderr, "finding: %s\n", text);
}

static void make(struct tree *tree)
{
    uint64_t p = tree->block_size / 4;
    const uint64_t near[] = {0, 1, 2}, single[] = {0, 11, 12, 13, 14, 40},
                   twice[] = {3, 12 + p - 1, 12 + p, 12 + p + 9}, thrice[] = {12 + p + p * p, 12 + p + p * p + 1};
    uint32_t direct, directory, fast, slow, device, one, other;
    struct ext2dax_inode *root, *inode;
    struct ext2dax_mount *mount;

    tree->size = (size_t)tree->blocks * tree->block_size;
    tree->image = calloc(1, tree->size);
    MUST(tree->image);
    mount = open_tree(tree);
    MUST(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) == 0);
    direct = file(root, "direct", tree->block_size, 3, near);
    (void)file(root, "single", tree->block_size, 6, single);
    (void)file(root, "twice", tree->block_size, 4, twice);
    (void)file(root, "thrice", tree->block_size, 2, thrice);
    directory = file(root, "d", tree->block_size, 2, near);
    fast = file(root, "fast", tree->block_size, 0, near);
    slow = file(root, "slow", tree->block_size, 1, near);
    device = file(root, "device", tree->block_size, 0, near);
    one = file(root, "one", tree->block_size, 1, near);
    other = file(root, "other", tree->block_size, 0, near);
    (void)file(root, "empty", tree->block_size, 0, near);
    inode = create(root, "huge");
    MUST(ext2dax_allocate(inode, 0, ((uint64_t)tree->block_size << tree->huge_order) - 3, false) == 0);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    MUST(ext2dax_unmount(mount) == 0);

    make_directory(tree, directory, direct, fast);
    make_links(tree, fast, slow);
    make_device(tree, device);
    make_attributes(tree, one, other);
    list_blocks(tree);
    MUST(ext2dax_check_image(tree->image, tree->size, 0, print_finding, NULL, NULL) == 0);
}

const struct tree *tree_get(unsigned number)
{
    struct tree *tree = &trees[number % TREES];

    if (!tree->image)
        make(tree);
    return tree;
}
