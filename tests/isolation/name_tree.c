/* SPDX-License-Identifier: MIT */
#include "name_tree.h"
#include "name_operations.h"

#include <string.h>

#include "operations.h"

#define OWNED_X   101u
#define OWNED_Y   102u
#define OWNED_G   103u
#define OWNED_SUB 104u
#define OWNED_E   105u

struct name_tree tree CHANGES;
uint64_t name_result[3] CHANGES;

/* ---- hashes ---- */

uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}
uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        hash = mix(hash, at[i]);
    return mix(hash, length);
}
uint64_t result_of(int64_t rc)
{
    return (uint64_t)rc;
}

/* ---- the tree ---- */

static struct ext2dax_inode *make(struct ext2dax_inode *in, const char *name, uint16_t type, uint32_t owner)
{
    struct ext2dax_creation creation = {.size = sizeof creation};
    struct ext2dax_inode *made;

    creation.attributes.mode = type | 0644;
    creation.attributes.uid = owner;
    ck_assert_int_eq(ext2dax_create_as(in, name, strlen(name), &creation, &made), 0);
    return made;
}

void start_tree(void)
{
    unsigned char byte = OTHER;

    tree.a = make(fixture.root, "a", EXT2DAX_S_IFDIR, 0);
    tree.b = make(fixture.root, "b", EXT2DAX_S_IFDIR, 0);
    tree.sub = make(tree.a, "sub", EXT2DAX_S_IFDIR, OWNED_SUB);
    tree.x = make(tree.a, "x", EXT2DAX_S_IFREG, OWNED_X);
    tree.g = make(tree.a, "g", EXT2DAX_S_IFREG, OWNED_G);
    ck_assert_int_eq(ext2dax_link(tree.g, tree.b, "h", 1), 0);
    ext2dax_inode_put(make(tree.b, "y", EXT2DAX_S_IFREG, OWNED_Y));
    ext2dax_inode_put(make(tree.b, "e", EXT2DAX_S_IFDIR, OWNED_E));
    ck_assert_int_eq(ext2dax_setxattr(tree.x, "user.k", 6, "old", 3, 0), 0);
    tree.number_of_x = tree.x->number;
    ck_assert_int_eq((int)ext2dax_write(victim, 0, &byte, 1), 1);
    core_fixture_unlink(&fixture, "victim");
    ck_assert_int_eq(ext2dax_truncate(file, 2 * PAGE), 0);
    ext2dax_explorer_name_inode(fixture.explorer, tree.a, "a");
    ext2dax_explorer_name_inode(fixture.explorer, tree.b, "b");
    ext2dax_explorer_name_inode(fixture.explorer, tree.sub, "sub");
    ext2dax_explorer_name_inode(fixture.explorer, tree.x, "x");
    ext2dax_explorer_name_inode(fixture.explorer, tree.g, "g");
}

void start_full(void)
{
    static const size_t lengths[] = {255, 255, 255, 164};
    char name[255];

    start_tree();
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(name, (int)('0' + i), sizeof name);
        ck_assert_int_eq(ext2dax_link(tree.g, tree.b, name, lengths[i]), 0);
    }
    ck_assert_uint_eq(core_fixture_size(tree.b), PAGE);
}
void start_chain(void)
{
    struct ext2dax_inode *c;

    start_tree();
    c = make(fixture.root, "c", EXT2DAX_S_IFDIR, 0);
    tree.d = make(c, "d", EXT2DAX_S_IFDIR, 0);
    ext2dax_inode_put(make(tree.d, "x", EXT2DAX_S_IFREG, 0));
    ext2dax_inode_put(c);
}

#define DEPTH_MAX 6u

int list_entry(void *arg, const struct ext2dax_entry *entry)
{
    struct listing *listing = arg;

    if (listing->count == ENTRIES_MAX || entry->name_length > sizeof listing->entry[0].name) {
        /* lost+found, and nothing that an operation makes. */
        return 0;
    }
    memcpy(listing->entry[listing->count].name, entry->name, entry->name_length);
    listing->entry[listing->count].length = entry->name_length;
    listing->entry[listing->count].number = entry->number;
    listing->entry[listing->count++].type = entry->type;
    return 0;
}

/* Hashes an inode by its attributes. Numbers of inodes differ between the serial orders. */
static uint64_t hash_inode(struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;
    char value[16];
    int64_t length;
    uint64_t hash;

    ext2dax_stat(inode, &figures, sizeof figures);
    hash = mix(mix(mix(figures.mode, figures.uid), figures.links), figures.size);
    length = ext2dax_getxattr(inode, "user.k", 6, value, sizeof value);
    hash = mix(hash, result_of(length));
    return length > 0 ? mix_bytes(hash, value, (size_t)length) : hash;
}

/* Returns a sum over all names of a directory. The order of the dirents has no effect. */
static uint64_t hash_directory(struct ext2dax_inode *directory, unsigned depth)
{
    struct listing listing = {0};
    struct ext2dax_inode *inode;
    uint64_t sum = 0, hash;

    if (depth == DEPTH_MAX) {
        complain("a directory lies inside itself");
        return 0;
    }
    expect(ext2dax_readdir(directory, 0, list_entry, &listing) == 0, "a listing failed");
    for (unsigned i = 0; i < listing.count; i++) {
        const char *name = listing.entry[i].name;
        size_t length = listing.entry[i].length;

        if (ext2dax_lookup(directory, name, length, &inode) != 0) {
            complain("a name that is listed was not found");
            continue;
        }
        expect(inode->number == listing.entry[i].number, "a name that is listed leads to another inode");
        hash = mix(mix_bytes(depth, name, length), hash_inode(inode));
        if (listing.entry[i].type == EXT2DAX_FT_DIR && name[0] != '.')
            hash = mix(hash, hash_directory(inode, depth + 1));
        sum += hash;
        ext2dax_inode_put(inode);
    }
    return sum;
}

/* Leaves the file of pair.h, which the last put frees if the name is gone. */
static void leave_file(void)
{
    struct ext2dax_stat figures;

    ext2dax_stat(file, &figures, sizeof figures);
    if (figures.links != 0)
        return;
    ext2dax_model_unmap(map);
    ext2dax_model_unmap(other);
    ext2dax_inode_put(file);
}

void check_tree(void)
{
    struct ext2dax_statfs figures;
    uint64_t hash;

    ext2dax_inode_put(tree.x);
    ext2dax_inode_put(tree.g);
    ext2dax_inode_put(tree.sub);
    ext2dax_inode_put(tree.a);
    ext2dax_inode_put(tree.b);
    if (tree.d)
        ext2dax_inode_put(tree.d);
    if (!tree.victim_put)
        ext2dax_inode_put(victim);
    leave_file();
    no_leaks();
    expect(fixture.reports == 0, "the library reports corruption of a sound image");
    hash = hash_directory(fixture.root, 0);
    ext2dax_statfs(fixture.mount, &figures, sizeof figures);
    hash = mix(mix(hash, figures.free_blocks), figures.free_inodes);
    for (unsigned i = 0; i < 3; i++)
        hash = mix(hash, name_result[i]);
    outcome(hash);
}
