/* SPDX-License-Identifier: MIT */
/*
 * Ways to damage an image. Each function makes the damage in the function's name, and keeps
 * everything else consistent as far as possible, counters included.
 */
#include "broken.h"

#include <check.h>

uint8_t *image;
size_t image_size;

void *block_at(uint32_t block)
{
    return image + (size_t)block * 1024;
}
struct ext2dax_disk_super *super(void)
{
    return block_at(1);
}
struct ext2dax_disk_group *group(uint32_t number)
{
    return (struct ext2dax_disk_group *)block_at(2) + number;
}
struct ext2dax_disk_inode *inode_at(uint32_t number)
{
    uint32_t per_group = get32(super()->inodes_per_group);
    uint8_t *table = block_at(get32(group((number - 1) / per_group)->inode_table));

    return (void *)(table + (size_t)((number - 1) % per_group) * 128);
}

/* Returns the dirent of a name in the first block of a directory, or NULL. */
struct ext2dax_disk_dirent *entry(uint32_t directory, const char *name)
{
    uint8_t *start = block_at(get32(inode_at(directory)->block[0]));
    uint32_t at = 0;

    while (at < 1024) {
        struct ext2dax_disk_dirent *e = (void *)(start + at);

        if (get32(e->inode) != 0 && e->name_length == strlen(name) && memcmp(e + 1, name, e->name_length) == 0)
            return e;
        ck_assert_uint_gt(get16(e->length), 0);
        at += get16(e->length);
    }
    return NULL;
}
uint32_t number_of(const char *path)
{
    uint32_t at = EXT2DAX_ROOT_INODE;
    char name[64];

    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        memcpy(name, path, length);
        name[length] = '\0';
        ck_assert_ptr_nonnull(entry(at, name));
        at = get32(entry(at, name)->inode);
        path += length + (path[length] == '/');
    }
    return at;
}
struct ext2dax_disk_inode *file(const char *path)
{
    return inode_at(number_of(path));
}

void mark_block(uint32_t block, bool used)
{
    uint32_t from = block - 1, per_group = get32(super()->blocks_per_group);
    struct ext2dax_disk_group *g = group(from / per_group);
    uint8_t *byte = (uint8_t *)block_at(get32(g->block_bitmap)) + from % per_group / 8;

    *byte = (uint8_t)(used ? *byte | 1u << (from & 7) : *byte & ~(1u << (from & 7)));
    add16(&g->free_blocks, used ? -1 : 1);
    add32(&super()->free_blocks, used ? -1 : 1);
}
void mark_inode(uint32_t number, bool used)
{
    uint32_t from = number - 1, per_group = get32(super()->inodes_per_group);
    struct ext2dax_disk_group *g = group(from / per_group);
    uint8_t *byte = (uint8_t *)block_at(get32(g->inode_bitmap)) + from % per_group / 8;

    *byte = (uint8_t)(used ? *byte | 1u << (from & 7) : *byte & ~(1u << (from & 7)));
    add16(&g->free_inodes, used ? -1 : 1);
    add32(&super()->free_inodes, used ? -1 : 1);
}
/* Allocates and zeroes the last block but one, always free in the images made here. */
uint32_t take_block(void)
{
    uint32_t block = get32(super()->blocks_count) - 2;

    mark_block(block, true);
    memset(block_at(block), 0, 1024);
    return block;
}
uint32_t free_inode(void)
{
    return get32(super()->inodes_count) - 1;
}

/* ---- the breakages ---- */

static void owned_twice(void)
{
    mark_block(get32(file("small")->block[0]), false);
    set32(&file("small")->block[0], get32(file("big")->block[3]));
}
static void indirect_shared(void)
{
    set32(&file("big")->block[EXT2DAX_DIND], get32(file("big")->block[EXT2DAX_IND]));
}
static void indirect_loop(void)
{
    struct ext2dax_le32 *slots = block_at(get32(file("big")->block[EXT2DAX_DIND]));

    set32(&slots[1], get32(file("big")->block[EXT2DAX_DIND]));
    add32(&file("big")->size, 256 * 1024);
    add32(&file("big")->sectors, 2);
}
static void at_the_end(void)
{
    set32(&file("small")->size, 1024);
    set32(&file("small")->block[1], take_block());
    add32(&file("small")->sectors, 2);
}
static void past_the_end(void)
{
    set32(&file("small")->block[5], take_block());
    add32(&file("small")->sectors, 2);
}
static void past_the_end_of_empty(void)
{
    set32(&file("empty")->block[0], take_block());
    add32(&file("empty")->sectors, 2);
}
static void pointer_block_past_the_end(void)
{
    set32(&file("small")->block[EXT2DAX_TIND], take_block());
    add32(&file("small")->sectors, 2);
}
static void outside_the_image(void)
{
    set32(&file("sparse")->block[0], 0xFFFFFFFF);
}
static void just_outside_the_image(void)
{
    set32(&file("sparse")->block[0], get32(super()->blocks_count));
}
static void into_a_bitmap(void)
{
    set32(&file("sparse")->block[0], get32(group(1)->block_bitmap));
    add32(&file("sparse")->sectors, 2);
}
static void into_a_superblock_copy(void)
{
    set32(&file("sparse")->block[0], 1 + get32(super()->blocks_per_group));
    add32(&file("sparse")->sectors, 2);
}
static void into_a_table(void)
{
    set32(&file("sparse")->block[0], get32(group(2)->inode_table) + 1);
    add32(&file("sparse")->sectors, 2);
}
static void used_block_marked_free(void)
{
    mark_block(get32(file("small")->block[0]), false);
}
static void metadata_marked_free(void)
{
    mark_block(get32(group(2)->inode_table), false);
}
static void leaked_block(void)
{
    (void)take_block();
}
static void group_free_blocks(void)
{
    add16(&group(1)->free_blocks, 1);
    add32(&super()->free_blocks, 1);
}
static void super_free_blocks(void)
{
    add32(&super()->free_blocks, -1);
}
static void group_free_inodes(void)
{
    add16(&group(1)->free_inodes, -1);
    add32(&super()->free_inodes, -1);
}
static void super_free_inodes(void)
{
    add32(&super()->free_inodes, 1);
}
static void group_directories(void)
{
    add16(&group(0)->used_dirs, 1);
}
static void sectors_wrong(void)
{
    add32(&file("big")->sectors, -2);
}
static void links_wrong(void)
{
    add16(&file("hard")->links, 1);
}
static void links_too_few(void)
{
    add16(&file("hard")->links, -1);
}
static void entry_of_a_free_inode(void)
{
    set32(&entry(EXT2DAX_ROOT_INODE, "small")->inode, free_inode());
}
static void entry_of_no_inode(void)
{
    set32(&entry(EXT2DAX_ROOT_INODE, "small")->inode, get32(super()->inodes_count) + 1);
}
static void entry_of_a_reserved_inode(void)
{
    set32(&entry(EXT2DAX_ROOT_INODE, "small")->inode, 8);
}
static void entry_type(void)
{
    entry(EXT2DAX_ROOT_INODE, "small")->type = EXT2DAX_FT_FIFO;
}
static void entry_without_length(void)
{
    set16(&entry(EXT2DAX_ROOT_INODE, "small")->length, 0);
}
static void entry_odd_length(void)
{
    add16(&entry(EXT2DAX_ROOT_INODE, "small")->length, 2);
}
static void entry_past_the_block(void)
{
    set16(&entry(EXT2DAX_ROOT_INODE, "small")->length, 1024);
}
static void name_too_long(void)
{
    entry(EXT2DAX_ROOT_INODE, "small")->name_length = 200;
}
static void name_with_a_slash(void)
{
    ((char *)(entry(EXT2DAX_ROOT_INODE, "small") + 1))[2] = '/';
}
static void name_empty(void)
{
    entry(EXT2DAX_ROOT_INODE, "small")->name_length = 0;
}
static void name_of_dots(void)
{
    struct ext2dax_disk_dirent *e = entry(EXT2DAX_ROOT_INODE, "small");

    e->name_length = 2;
    memcpy(e + 1, "..", 2);
}
static void name_twice(void)
{
    memcpy(entry(EXT2DAX_ROOT_INODE, "empty") + 1, "small", 5);
}
static void dot_elsewhere(void)
{
    set32(&entry(number_of("dir/sub"), ".")->inode, number_of("dir"));
}
static void dot_missing(void)
{
    ((char *)(entry(number_of("dir/sub"), ".") + 1))[0] = 'x';
}
static void dotdot_missing(void)
{
    ((char *)(entry(number_of("dir/sub"), "..") + 1))[1] = 'x';
}
static void entry_leaves_room(void)
{
    uint8_t *start = block_at(get32(inode_at(number_of("dir/sub"))->block[0]));

    set16(&((struct ext2dax_disk_dirent *)(start + 24))->length, 1024 - 24 - 8);
}
static void dotdot_elsewhere(void)
{
    set32(&entry(number_of("dir/sub"), "..")->inode, EXT2DAX_ROOT_INODE);
    add16(&inode_at(EXT2DAX_ROOT_INODE)->links, 1);
    add16(&file("dir")->links, -1);
}
static void directory_with_two_names(void)
{
    struct ext2dax_disk_dirent *e = entry(EXT2DAX_ROOT_INODE, "small");

    add16(&inode_at(get32(e->inode))->links, -1);
    set32(&e->inode, number_of("dir/sub"));
    e->type = EXT2DAX_FT_DIR;
    add16(&file("dir/sub")->links, 1);
}
static void directory_inside_itself(void)
{
    struct ext2dax_disk_dirent *down = entry(EXT2DAX_ROOT_INODE, "dir");
    struct ext2dax_disk_dirent *up = entry(number_of("dir/sub"), "leaf");
    uint32_t dir = number_of("dir"), sub = number_of("dir/sub");

    set32(&up->inode, dir);
    up->type = EXT2DAX_FT_DIR;
    set32(&down->inode, 0);
    set32(&entry(dir, "..")->inode, sub);
}
static void directory_without_a_name(void)
{
    set32(&entry(number_of("dir"), "sub")->inode, 0);
}
static void file_without_a_name(void)
{
    set32(&entry(number_of("dir/sub"), "leaf")->inode, 0);
}
static void directory_size(void)
{
    add32(&file("dir")->size, 512);
}
static void directory_without_a_size(void)
{
    set32(&file("dir")->size, 0);
}
static void directory_hole(void)
{
    mark_block(get32(file("many")->block[1]), false);
    set32(&file("many")->block[1], 0);
    add32(&file("many")->sectors, -2);
}
static void directory_without_its_last_block(void)
{
    add32(&file("many")->size, 1024);
}
static void used_inode_marked_free(void)
{
    mark_inode(number_of("small"), false);
}
static void leaked_inode(void)
{
    mark_inode(free_inode(), true);
}
static void reserved_inode_marked_free(void)
{
    mark_inode(9, false);
}
static void used_with_dtime(void)
{
    set32(&file("small")->dtime, 0x60000000);
}
static void deleted_without_dtime(void)
{
    set16(&inode_at(free_inode())->mode, EXT2DAX_S_IFREG | 0644);
}
static void deleted_with_low_dtime(void)
{
    set16(&inode_at(free_inode())->mode, EXT2DAX_S_IFREG | 0644);
    set32(&inode_at(free_inode())->dtime, 12);
}
static void file_type(void)
{
    set16(&file("small")->mode, 0x3000);
}
static void fast_symlink_length(void)
{
    add32(&file("fast")->size, 1);
}
static void slow_symlink_length(void)
{
    add32(&file("slow")->size, -1);
}
static void symlink_of_two_blocks(void)
{
    set32(&file("slow")->block[1], take_block());
    add32(&file("slow")->sectors, 2);
}
static void symlink_without_target(void)
{
    mark_block(get32(file("slow")->block[0]), false);
    set32(&file("slow")->block[0], 0);
}
static void large_without_feature(void)
{
    set32(&super()->ro_compat, EXT2DAX_RO_COMPAT_SPARSE_SUPER);
}
static void size_negative(void)
{
    set32(&file("sparse")->dir_acl, 0x80000000);
}
static void size_past_the_tree(void)
{
    set32(&file("sparse")->dir_acl, 5);
}
static void padding_of_blocks(void)
{
    uint8_t *map = block_at(get32(group(0)->block_bitmap));

    map[1023] = 0x7F;
}
static void padding_of_blocks_just_behind(void)
{
    uint8_t *map = block_at(get32(group(3)->block_bitmap));
    uint32_t bit = get32(super()->blocks_count) - 1 - 3 * get32(super()->blocks_per_group);

    map[bit / 8] = (uint8_t)(map[bit / 8] & ~(1u << (bit & 7)));
}
static void padding_of_inodes(void)
{
    uint8_t *map = block_at(get32(group(1)->inode_bitmap));

    map[get32(super()->inodes_per_group) / 8] = 0xFE;
}
static void not_clean(void)
{
    set16(&super()->state, 0);
}
static void has_errors(void)
{
    set16(&super()->state, EXT2DAX_STATE_VALID | EXT2DAX_STATE_ERROR);
}
static void copy_without_magic(void)
{
    memset(block_at(1 + get32(super()->blocks_per_group)), 0, 1024);
}
static void copy_of_descriptors(void)
{
    struct ext2dax_disk_group *copy = block_at(2 + get32(super()->blocks_per_group));

    add32(&copy[2].inode_table, 1);
}
static void bitmap_in_another_group(void)
{
    set32(&group(1)->block_bitmap, get32(group(2)->block_bitmap));
}
static void table_off_the_image(void)
{
    set32(&group(3)->inode_table, get32(super()->blocks_count) - 2);
}
static void bitmaps_overlap(void)
{
    set32(&group(1)->inode_bitmap, get32(group(1)->block_bitmap));
}
static void reserved_blocks(void)
{
    set32(&super()->reserved_blocks, get32(super()->blocks_count) + 1);
}
static void larger_than_the_memory(void)
{
    add32(&super()->blocks_count, 1);
}
static void fragments(void)
{
    set32(&super()->log_frag_size, 1);
}
static void first_data_block(void)
{
    set32(&super()->first_data_block, 0);
}
static void first_inode(void)
{
    set32(&super()->first_inode, 3);
}
static void inodes_per_group(void)
{
    set32(&super()->inodes_per_group, 0);
}
static void no_blocks_in_a_group(void)
{
    set32(&super()->blocks_per_group, 0);
}
static void inode_count(void)
{
    add32(&super()->inodes_count, 8);
}
static void inode_size(void)
{
    set16(&super()->inode_size, 192);
}
static void no_root(void)
{
    set16(&inode_at(EXT2DAX_ROOT_INODE)->links, 0);
}
static void root_is_a_file(void)
{
    set16(&inode_at(EXT2DAX_ROOT_INODE)->mode, EXT2DAX_S_IFREG | 0755);
}

const struct breakage breakages[] = {
    {owned_twice, "owned_twice", "block owned twice", true},
    {indirect_shared, "indirect_shared", "block owned twice", true},
    {indirect_loop, "indirect_loop", "block owned twice", true},
    {at_the_end, "at_the_end", "block past the end of the file", false},
    {past_the_end, "past_the_end", "block past the end of the file", true},
    {past_the_end_of_empty, "past_the_end_of_empty", "block past the end of the file", false},
    {pointer_block_past_the_end, "pointer_block_past_the_end", "pointer block past the end of the file", false},
    {outside_the_image, "outside_the_image", "block pointer outside the image", true},
    {just_outside_the_image, "just_outside_the_image", "block pointer outside the image", true},
    {into_a_bitmap, "into_a_bitmap", "block pointer into metadata", true},
    {into_a_superblock_copy, "into_a_superblock_copy", "block pointer into metadata", true},
    {into_a_table, "into_a_table", "block pointer into metadata", true},
    {used_block_marked_free, "used_block_marked_free", "block in use, but marked free", true},
    {metadata_marked_free, "metadata_marked_free", "metadata marked free", true},
    {leaked_block, "leaked_block", "block marked used without an owner", true},
    {group_free_blocks, "group_free_blocks", "group: free block count", true},
    {super_free_blocks, "super_free_blocks", "superblock: free block count", false},
    {group_free_inodes, "group_free_inodes", "group: free inode count", true},
    {super_free_inodes, "super_free_inodes", "superblock: free inode count", false},
    {group_directories, "group_directories", "group: directory count", true},
    {sectors_wrong, "sectors_wrong", "i_blocks", true},
    {links_wrong, "links_wrong", "link count", true},
    {links_too_few, "links_too_few", "link count", true},
    {entry_of_a_free_inode, "entry_of_a_free_inode", "entry names an inode without links", true},
    {entry_of_no_inode, "entry_of_no_inode", "entry names an impossible inode", true},
    {entry_of_a_reserved_inode, "entry_of_a_reserved_inode", "entry names an impossible inode", true},
    {entry_type, "entry_type", "type in a directory entry", true},
    {entry_without_length, "entry_without_length", "length of a directory entry", true},
    {entry_odd_length, "entry_odd_length", "length of a directory entry", true},
    {entry_past_the_block, "entry_past_the_block", "length of a directory entry", true},
    {name_too_long, "name_too_long", "name longer than its entry", true},
    {name_with_a_slash, "name_with_a_slash", "character that no name may have", true},
    {name_empty, "name_empty", "entry without a name", true},
    {name_of_dots, "name_of_dots", "\".\" or \"..\" as a name", true},
    {name_twice, "name_twice", "name stands twice in a directory", true},
    {dot_elsewhere, "dot_elsewhere", "\".\" names another inode", true},
    {dot_missing, "dot_missing", "directory does not begin with \".\"", true},
    {dotdot_missing, "dotdot_missing", "directory lacks \"..\"", true},
    {entry_leaves_room, "entry_leaves_room", "space left after the last directory entry", true},
    {dotdot_elsewhere, "dotdot_elsewhere", "\"..\" names another directory", true},
    {directory_with_two_names, "directory_with_two_names", "directory with two names", true},
    {directory_inside_itself, "directory_inside_itself", "directory inside itself", true},
    {directory_without_a_name, "directory_without_a_name", "directory without a name", true},
    {file_without_a_name, "file_without_a_name", "inode without a name", true},
    {directory_size, "directory_size", "size of a directory", true},
    {directory_without_a_size, "directory_without_a_size", "size of a directory", true},
    {directory_hole, "directory_hole", "hole in a directory", true},
    {directory_without_its_last_block, "directory_without_its_last_block", "hole in a directory", true},
    {used_inode_marked_free, "used_inode_marked_free", "inode in use, but marked free", true},
    {leaked_inode, "leaked_inode", "inode without links, but marked used", true},
    {reserved_inode_marked_free, "reserved_inode_marked_free", "reserved inode marked free", true},
    {used_with_dtime, "used_with_dtime", "inode in use, but with a time of deletion", true},
    {deleted_without_dtime, "deleted_without_dtime", "deleted inode without a time of deletion", true},
    {deleted_with_low_dtime, "deleted_with_low_dtime", "time of deletion that reads as an orphan link", true},
    {file_type, "file_type", "impossible file type", true},
    {fast_symlink_length, "fast_symlink_length", "length of a symlink", true},
    {slow_symlink_length, "slow_symlink_length", "length of a symlink", true},
    {symlink_of_two_blocks, "symlink_of_two_blocks", "symlink with more than one block", true},
    {symlink_without_target, "symlink_without_target", "symlink without a target", true},
    {large_without_feature, "large_without_feature", "2 GiB or more without the large_file feature", true},
    {size_negative, "size_negative", "size past the reach of the tree", true},
    {size_past_the_tree, "size_past_the_tree", "size past the reach of the tree", true},
    {padding_of_blocks, "padding_of_blocks", "group: padding of the block bitmap", true},
    {padding_of_blocks_just_behind, "padding_of_blocks_just_behind", "group: padding of the block bitmap", true},
    {padding_of_inodes, "padding_of_inodes", "group: padding of the inode bitmap", true},
    {not_clean, "not_clean", "superblock: not marked clean", false},
    {has_errors, "has_errors", "superblock: marked as having errors", false},
    {copy_without_magic, "copy_without_magic", "superblock copy: magic number", false},
    {copy_of_descriptors, "copy_of_descriptors", "descriptor copy differs", false},
    {bitmap_in_another_group, "bitmap_in_another_group", "group: block bitmap outside its group", false},
    {table_off_the_image, "table_off_the_image", "group: inode table outside its group", false},
    {bitmaps_overlap, "bitmaps_overlap", "metadata overlaps metadata", false},
    {reserved_blocks, "reserved_blocks", "superblock: reserved block count", true},
    {larger_than_the_memory, "larger_than_the_memory", "superblock: block count", true},
    {fragments, "fragments", "superblock: fragment size", true},
    {first_data_block, "first_data_block", "superblock: first data block", true},
    {first_inode, "first_inode", "superblock: first inode", true},
    {inodes_per_group, "inodes_per_group", "superblock: inodes per group", true},
    {no_blocks_in_a_group, "no_blocks_in_a_group", "superblock: blocks per group", true},
    {inode_count, "inode_count", "superblock: inode count", true},
    {inode_size, "inode_size", "superblock: inode size", true},
    {no_root, "no_root", "no root directory", true},
    {root_is_a_file, "root_is_a_file", "root is not a directory", true},
};
const int breakages_count = sizeof(breakages) / sizeof(breakages[0]);

void break_it(const char *name)
{
    int i = 0;

    while (strcmp(breakages[i].name, name) != 0)
        ck_assert_int_lt(++i, breakages_count);
    breakages[i].make();
}
