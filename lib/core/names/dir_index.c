/* SPDX-License-Identifier: MIT */
/*
 * The hash-tree index of a directory.
 *
 * An index maps ranges of hashes to leaves, which are ordinary blocks of dirents. Block 0 of the
 * directory is the root. The root points to leaves, or with an indirect level to nodes, which point
 * to leaves. Root and nodes look like unused dirents to a reader of dirents. The hash of entry i is
 * the lower bound of its range, and entry 0 begins at the lower bound of the block. A lower bound
 * with the low bit set means that names with this hash are in the preceding leaf too.
 *
 * The index is a hint. A name found in a leaf exists. A name not found in its leaf is absent only
 * if the index agrees with the dirents. So the hash of each name in this leaf and in both leaves
 * beside this leaf must be in the range of the leaf, because a wrong bound moves names to a
 * neighbour. An empty leaf proves nothing. Root, nodes and leaves must be as many as the blocks of
 * the directory, because a wrong count hides leaves. Any contradiction leads to a walk over the
 * directory.
 *
 * Each field is loaded and bounded anew where used, because a file that claims the block too may
 * change the fields meanwhile.
 */
#include "names/dir_index.h"

#include "names/dir.h"
#include "names/dir_hash.h"
#include "base/persist.h"
#include "tree/map.h"
#include "base/skips.h"

#define LEVELS_MAX 2u
#define ROOT_INFO  24u /* bytes before the information of the root, namely "." and "..'s" header */
#define ROOT_TABLE 32u /* bytes before the entries of the root */
#define NODE_TABLE 8u  /* bytes before the entries of a node */
#define NO_END     ((uint64_t)1 << 32)

/* An entry. The hash of entry 0 is replaced by the limit and the count of the block. */
struct entry {
    union {
        struct ext2dax_le32 hash;
        struct {
            struct ext2dax_le16 limit, count;
        } head;
    } first;
    struct ext2dax_le32 block;
};

struct level {
    uint64_t logical; /* block of the directory */
    const struct entry *entries;
    uint32_t count, at;
    uint64_t low, high; /* hashes of the block, from low up to but not including high */
};

struct path {
    struct ext2dax_inode *directory;
    uint64_t end; /* blocks of the directory */
    uint32_t version;
    unsigned levels;
    struct level level[LEVELS_MAX];
};

/* ---- entries ---- */

static uint64_t low_of(const struct level *level, uint32_t at)
{
    return at == 0 ? level->low : e2d_get32(level->entries[at].first.hash);
}

static uint64_t high_of(const struct level *level, uint32_t at)
{
    return at + 1 < level->count ? e2d_get32(level->entries[at + 1].first.hash) : level->high;
}

/* Returns block number `logical` of the directory, or NULL. Nothing is reported. */
static unsigned char *block_at(struct ext2dax_inode *directory, uint64_t logical, uint64_t end)
{
    struct ext2dax_mount *m = directory->mount;
    struct ext2dax_run run;
    unsigned char *block;

    if (logical >= end || e2d_map_hint(directory, logical, 1, &run) != 0 || run.physical == 0)
        return NULL;
    block = e2d_block(m, (uint32_t)run.physical);
    return e2d_readable(m, block, m->block_size) ? block : NULL;
}

/* Is an entry after the first in order? Equal bounds occur only where a hash continues. */
static bool in_order(uint64_t before, uint64_t hash)
{
    return hash > before || (hash == before && (hash & 1) != 0);
}

/* Loads the entries of a block, of which the level has the place and the range. */
static bool load(const struct ext2dax_mount *m, struct level *level, unsigned char *block, uint32_t table)
{
    uint32_t most = (m->block_size - table) / (uint32_t)sizeof(struct entry), limit, i;
    uint64_t before = level->low;

    level->entries = (const struct entry *)(const void *)(block + table);
    limit = e2d_get16(level->entries[0].first.head.limit);
    level->count = e2d_get16(level->entries[0].first.head.count);
    level->at = 0;
    /* A checksum of the block, which only read-only features have, takes the last entry. */
    if ((limit != most && limit != most - 1) || level->count == 0 || level->count > limit)
        return false;
    for (i = 1; i < level->count; i++) {
        uint64_t hash = e2d_get32(level->entries[i].first.hash);

        if (!in_order(before, hash))
            return false;
        before = hash;
    }
    return in_order(before, level->high);
}

/* Selects the last entry with a lower bound of at most `hash`. */
static void seek(struct level *level, uint32_t hash)
{
    level->at = level->count - 1;
    while (level->at != 0 && low_of(level, level->at) > hash)
        level->at--;
}

/* ---- the path from the root to a leaf ---- */

static bool is_dot(struct ext2dax_disk_dirent *dirent, uint32_t dots, uint32_t length)
{
    const char *name = e2d_dirent_name(dirent);

    return e2d_get32(dirent->inode) != 0 && dirent->name_length == dots && name[0] == '.' &&
           (dots == 1 || name[1] == '.') && e2d_get16(dirent->length) == length;
}

/* Loads the root. */
static bool open_path(struct path *path, struct ext2dax_inode *directory)
{
    struct ext2dax_mount *m = directory->mount;
    uint32_t rest = m->block_size - 12;
    unsigned char *block;
    const unsigned char *info;

    memset(path, 0, sizeof(*path));
    if ((e2d_get32(directory->disk->flags) & EXT2DAX_FL_INDEX) == 0 ||
        (e2d_get32(m->super->compat) & EXT2DAX_COMPAT_DIR_INDEX) == 0)
        return false;
    path->directory = directory;
    path->end = e2d_size(directory) >> m->block_shift;
    block = block_at(directory, 0, path->end);
    if (!block || !is_dot(e2d_dirent(block, 0), 1, 12) || !is_dot(e2d_dirent(block, 12), 2, rest))
        return false;
    /* 4 bytes of zeroes, the version of the hash, the bytes of this information, levels, flags */
    info = block + ROOT_INFO;
    path->version = info[4];
    path->levels = info[6] + 1u;
    if ((info[0] | info[1] | info[2] | info[3] | info[7]) != 0 || info[5] != 8 || path->version >= E2D_HASH_VERSIONS ||
        path->levels > LEVELS_MAX)
        return false;
    path->level[0].high = NO_END;
    return load(m, &path->level[0], block, ROOT_TABLE);
}

/* Loads the node which the root has selected, if the index has nodes. */
static bool descend(struct path *path)
{
    const struct ext2dax_mount *m = path->directory->mount;
    const struct level *root = &path->level[0];
    struct level *node = &path->level[1];
    struct ext2dax_disk_dirent *dirent;
    unsigned char *block;

    if (path->levels == 1)
        return true;
    node->logical = e2d_get32(root->entries[root->at].block);
    node->low = low_of(root, root->at);
    node->high = high_of(root, root->at);
    block = node->logical != 0 ? block_at(path->directory, node->logical, path->end) : NULL;
    if (!block)
        return false;
    dirent = e2d_dirent(block, 0);
    return e2d_get32(dirent->inode) == 0 && e2d_dirent_length(m, dirent) == m->block_size &&
           load(m, node, block, NODE_TABLE);
}

/* Moves to the neighbour of the leaf. *moved is false past an end. Returns false for a bad node. */
static bool move(struct path *path, bool forward, bool *moved)
{
    struct level *root = &path->level[0], *last = &path->level[path->levels - 1];

    *moved = forward ? last->at + 1 < last->count : last->at != 0;
    if (*moved) {
        last->at += forward ? 1u : UINT32_MAX;
        return true;
    }
    if (path->levels == 1)
        return true;
    *moved = forward ? root->at + 1 < root->count : root->at != 0;
    if (!*moved)
        return true;
    root->at += forward ? 1u : UINT32_MAX;
    if (!descend(path))
        return false;
    last->at = forward ? 0 : last->count - 1;
    return true;
}

/* ---- leaves ---- */

/* Maps and checks the leaf. EAGAIN if the leaf cannot be one. */
static int leaf_of(const struct path *path, struct e2d_index_leaf *leaf)
{
    const struct level *last = &path->level[path->levels - 1];

    leaf->logical = e2d_get32(last->entries[last->at].block);
    if (leaf->logical == 0 || leaf->logical == path->level[1].logical)
        return -EXT2DAX_EAGAIN;
    leaf->block = block_at(path->directory, leaf->logical, path->end);
    return leaf->block ? e2d_dir_check(path->directory, leaf->logical, leaf->block) : -EXT2DAX_EAGAIN;
}

/* Are the hashes of all names of the leaf in the range of the leaf? */
static bool agrees(const struct path *path, bool may_be_empty)
{
    const struct ext2dax_mount *m = path->directory->mount;
    const struct level *last = &path->level[path->levels - 1];
    uint64_t low = low_of(last, last->at) & ~(uint64_t)1, high = high_of(last, last->at), hash;
    struct e2d_index_leaf leaf;
    bool empty = true;
    uint32_t offset;

    if (leaf_of(path, &leaf) != 0)
        return false;
    for (offset = 0; offset < m->block_size; offset += e2d_dirent_length(m, e2d_dirent(leaf.block, offset))) {
        struct ext2dax_disk_dirent *dirent = e2d_dirent(leaf.block, offset);

        if (e2d_get32(dirent->inode) == 0)
            continue;
        empty = false;
        hash = e2d_dir_hash(m, path->version, e2d_dirent_name(dirent), e2d_dirent_name_length(m, dirent));
        if (hash < low || hash >= high)
            return false;
    }
    return may_be_empty || !empty;
}

/* Returns whether the leaf or the next leaf in the direction contradicts the index. */
static bool contradicts(struct path *path, bool forward)
{
    bool moved;

    return !agrees(path, false) || !move(path, forward, &moved) || (moved && !agrees(path, true));
}

/* Are the blocks of the index as many as the blocks of the directory? */
static E2D_OUT_OF_LINE bool is_whole(const struct path *path)
{
    const struct level *root = &path->level[0];
    uint64_t blocks = 1u + root->count;
    uint32_t i;

    for (i = 0; i < root->count && path->levels > 1; i++) {
        const unsigned char *block = block_at(path->directory, e2d_get32(root->entries[i].block), path->end);

        if (!block)
            return false;
        blocks += e2d_get16(((const struct entry *)(const void *)(block + NODE_TABLE))->first.head.count);
    }
    return blocks == path->end;
}

/* Returns whether the leaves from `first` to `last` do not prove that a name is absent. */
static bool(doubtful)(struct path *first, struct path *last)
{
    return !is_whole(first) || contradicts(first, false) || contradicts(last, true);
}

/* Do names with this hash continue in the next leaf? */
static bool(continues)(const struct path *path, uint32_t hash)
{
    const struct level *last = &path->level[path->levels - 1];

    return high_of(last, last->at) == (hash | 1u);
}

static bool is_dots(const char *name, size_t length)
{
    return name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
}

int e2d_index_find(struct ext2dax_inode *directory, const char *name, size_t length, struct e2d_dirent *found,
                   struct e2d_index_leaf *leaf)
{
    struct ext2dax_mount *m = directory->mount;
    struct e2d_index_leaf next;
    struct path path, first;
    bool moved = true;
    uint32_t hash;
    uint64_t i;
    int error;

    if (is_dots(name, length) || !open_path(&path, directory))
        return -EXT2DAX_EAGAIN;
    hash = e2d_dir_hash(m, path.version, name, length);
    seek(&path.level[0], hash);
    if (!descend(&path))
        return -EXT2DAX_EAGAIN;
    if (path.levels > 1)
        seek(&path.level[1], hash);
    first = path;
    for (i = 0; i < path.end; i++) {
        error = leaf_of(&path, &next);
        if (error != 0)
            return error;
        if (i == 0)
            *leaf = next;
        found->dirent = e2d_dir_find_in(m, next.block, name, length, &found->before);
        if (found->dirent) {
            found->offset =
                (uint32_t)(next.logical << m->block_shift) + (uint32_t)((unsigned char *)found->dirent - next.block);
            return 0;
        }
        if (!continues(&path, hash))
            return doubtful(&first, &path) ? -EXT2DAX_EAGAIN : -EXT2DAX_ENOENT;
        if (!move(&path, true, &moved) || !moved)
            break;
    }
    return -EXT2DAX_EAGAIN;
}
