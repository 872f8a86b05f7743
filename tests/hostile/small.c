/* SPDX-License-Identifier: MIT */
#include "small.h"

#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"

#include "../fuzz/tree.h"

static struct small smalls[SMALL_IMAGES] = {
    {.block_size = 1024, .blocks = 64, .inodes = 32, .inode_size = 128, .page_shift = 10, .huge_order = 3},
    {.block_size = 1024,
     .blocks = 72,
     .blocks_per_group = 40,
     .inodes = 32,
     .inode_size = 256,
     .page_shift = 10,
     .huge_order = 3,
     .order = EXT2DAX_UNORDERED},
    {.block_size = 4096, .blocks = 20, .inodes = 32, .inode_size = 256, .page_shift = 12, .huge_order = 3},
    {.block_size = 1024, .blocks = 64, .inodes = 32, .inode_size = 128, .page_shift = 12, .huge_order = 3},
};

static uint32_t get(const struct small *small, size_t at, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)small->image[at + i] << (8 * i);
    return value;
}

uint32_t small_bitmap(const struct small *small, uint32_t group, unsigned which)
{
    return get(small, (size_t)small->descriptors * small->block_size + group * 32 + 4 * which, 4);
}

size_t small_inode(const struct small *small, uint32_t number)
{
    uint32_t per_group = get(small, EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, inodes_per_group), 4);

    return (size_t)small_bitmap(small, (number - 1) / per_group, 2) * small->block_size +
           (size_t)((number - 1) % per_group) * small->inode_size;
}

static struct ext2dax_mount *open_small(const struct small *small)
{
    static const struct ext2dax_memory_ops plain = {.size = sizeof(plain)};
    struct ext2dax_plugs plugs = {
        .locks = ext2dax_locks_none(), .memory = {&plain, NULL, small->image, small->size, 0}, .host = fuzz_host()};
    struct ext2dax_format_options format = {.size = sizeof(format),
                                            .block_size = small->block_size,
                                            .blocks_per_group = small->blocks_per_group,
                                            .inodes = small->inodes,
                                            .inode_size = small->inode_size,
                                            .time = 1700000000};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .page_shift = small->page_shift, .huge_order = small->huge_order};
    struct ext2dax_mount *mount;

    MUST(ext2dax_format(&plugs.memory, &format, NULL) == 0);
    MUST(ext2dax_mount(&plugs, &options, &mount) == 0);
    return mount;
}

static struct ext2dax_inode *file(struct ext2dax_inode *directory, const char *name)
{
    struct ext2dax_inode *inode;

    MUST(ext2dax_create(directory, name, strlen(name), 0644, 1000, 1000, &inode) == 0);
    return inode;
}

static void write_at(struct ext2dax_inode *inode, uint64_t offset, const char *text)
{
    MUST(ext2dax_write(inode, offset, text, strlen(text)) == (int64_t)strlen(text));
}

static void fill(const struct small *small, struct ext2dax_inode *root)
{
    static const char slow[] = "////////////////////////////////////////////////////////////////d/../d";
    uint64_t bs = small->block_size;
    struct ext2dax_inode *inode, *directory;
    char name[240];

    inode = file(root, "f");
    write_at(inode, 5, "direct");
    write_at(inode, 11 * bs, "last direct");
    write_at(inode, 13 * bs + 9, "indirect");
    MUST(ext2dax_setxattr(inode, "user.a", 6, "value", 5, 0) == 0);
    ext2dax_inode_put(inode);
    MUST(ext2dax_mkdir(root, "d", 1, 0755, 0, 0, &directory) == 0);
    inode = file(directory, "g");
    write_at(inode, 0, "packed");
    MUST(ext2dax_setxattr(inode, "user.a", 6, "value", 5, 0) == 0);
    memset(name, 'n', sizeof(name));
    for (unsigned i = 0; i < bs / sizeof(name); i++) {
        name[0] = (char)('0' + i);
        MUST(ext2dax_link(inode, directory, name, sizeof(name)) == 0);
    }
    ext2dax_inode_put(inode);
    MUST(ext2dax_mkdir(directory, "e", 1, 0700, 0, 0, NULL) == 0);
    ext2dax_inode_put(directory);
    MUST(ext2dax_symlink(root, "l", 1, "/d/../f", 7, 0, 0, NULL) == 0);
    MUST(ext2dax_symlink(root, "s", 1, slow, strlen(slow), 0, 0, NULL) == 0);
    MUST(ext2dax_mknod(root, "n", 1, EXT2DAX_S_IFCHR | 0600, 1, 3, 0, 0, NULL) == 0);
    inode = file(root, "h");
    MUST(ext2dax_allocate(inode, 0, bs * ((uint64_t)1 << small->huge_order), false) == 0 || bs == 4096);
    ext2dax_inode_put(inode);
    inode = file(root, "u");
    ext2dax_inode_put(inode);
}

static void list(uint32_t *blocks, unsigned *count, uint32_t block)
{
    if (block != 0 && *count < SMALL_LIST)
        blocks[(*count)++] = block;
}

static void list_blocks(struct small *small)
{
    for (uint32_t number = 1; number <= small->inodes; number++) {
        size_t at = small_inode(small, number);
        uint32_t type = get(small, at, 2) & EXT2DAX_S_IFMT;

        for (unsigned slot = 0; slot < EXT2DAX_SLOTS; slot++) {
            uint32_t block = get(small, at + offsetof(struct ext2dax_disk_inode, block) + 4 * (size_t)slot, 4);

            if (type == EXT2DAX_S_IFREG && slot >= EXT2DAX_IND)
                list(small->pointer_block, &small->pointer_blocks, block);
            else if (type == EXT2DAX_S_IFDIR)
                list(small->entry_block, &small->entry_blocks, block);
        }
        list(small->attribute_block, &small->attribute_blocks,
             get(small, at + offsetof(struct ext2dax_disk_inode, file_acl), 4));
    }
}

static void make(struct small *small)
{
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    uint32_t per_group;

    small->size = (size_t)small->blocks * small->block_size;
    MUST(small->size <= SMALL_MOST);
    small->image = aligned_alloc(65536, (small->size + 65535) & ~(size_t)65535);
    MUST(small->image);
    memset(small->image, 0, small->size);
    mount = open_small(small);
    MUST(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) == 0);
    fill(small, root);
    ext2dax_inode_put(root);
    MUST(ext2dax_unmount(mount) == 0);
    small->descriptors = small->block_size == 1024 ? 2 : 1;
    per_group = get(small, EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, blocks_per_group), 4);
    small->groups = (small->blocks - (small->block_size == 1024) - 1) / per_group + 1;
    small->inodes = get(small, EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, inodes_count), 4);
    list_blocks(small);
    if (small->attribute_blocks == 0) /* the attributes lie in the inodes */
        small->attribute_block[small->attribute_blocks++] = small_bitmap(small, 0, 2);
    MUST(ext2dax_check_image(small->image, small->size, 0, NULL, NULL, NULL) == 0);
}

const struct small *small_get(unsigned number)
{
    struct small *small = &smalls[number % SMALL_IMAGES];

    if (!small->image)
        make(small);
    return small;
}
