/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes of an inode. The attributes lie in two areas of the same form, the space
 * after the used part of the inode, and a block. An attribute in the inode hides an attribute of
 * the same name in the block. Only a crash, or a call cut short by a failure, leaves such a pair.
 *
 * An area begins with entries, ended by 4 zero bytes. The values fill the area from the end. The
 * entries of a block are sorted. The order of entries in an inode is arbitrary.
 */
#ifndef E2D_NAMES_XATTR_H
#define E2D_NAMES_XATTR_H

#include "base/internal.h"
#include "base/time.h"

/* Index of a prefix, in place of the prefix in an entry. The rest of the name follows. */
#define E2D_XATTR_NONE        0u /* an entry removed in place, whose space is not usable yet */
#define E2D_XATTR_USER        1u
#define E2D_XATTR_ACL_ACCESS  2u /* the whole name, nothing follows */
#define E2D_XATTR_ACL_DEFAULT 3u /* the whole name, nothing follows */
#define E2D_XATTR_TRUSTED     4u
#define E2D_XATTR_SECURITY    6u

/* An entry, followed by the name and by padding to a multiple of 4 bytes. */
struct e2d_xattr_entry {
    uint8_t name_length;
    uint8_t index;
    struct ext2dax_le16 value_offset; /* from the base of the area */
    struct ext2dax_le32 value_inode;  /* not 0 for a value in an inode of its own, not supported */
    struct ext2dax_le32 value_size;   /* bytes, without padding */
    struct ext2dax_le32 hash;         /* of name and value, may be 0 in an inode */
};

/* The name of an attribute in the form of an entry. */
struct e2d_xattr_name {
    const char *name; /* without prefix, not terminated */
    uint8_t length;   /* bytes */
    uint8_t index;    /* E2D_XATTR_… */
};

struct e2d_xattr_value {
    const void *bytes; /* NULL for an attribute to be removed */
    uint32_t size;     /* bytes */
};

/* An area of attributes. All members but the base are offsets from the base, in bytes. */
struct e2d_xattr_area {
    unsigned char *base; /* NULL for no area */
    uint32_t first;      /* the first entry */
    uint32_t last;       /* the last entry, or the first if there are none */
    uint32_t end;        /* the zero bytes after the entries */
    uint32_t low;        /* the lowest value, or `size` if there are none */
    uint32_t size;       /* the end of the area */
};

/* The attributes of an inode, checked. */
struct e2d_xattrs {
    struct e2d_xattr_area in_inode; /* no entries, and low == size, where `used` is false */
    struct e2d_xattr_area in_block; /* no base without a block */
    bool used;                      /* the magic number is set in the inode */
};

/* ---- xattr_entries.c: the form of an area. Takes no lock and does not write back. ---- */

static inline struct e2d_xattr_entry *e2d_xattr_at(const struct e2d_xattr_area *area, uint32_t offset)
{
    return (void *)(area->base + offset);
}
static inline const char *e2d_xattr_name(const struct e2d_xattr_entry *entry)
{
    return (const char *)(entry + 1);
}
static inline uint32_t e2d_xattr_padded(uint32_t bytes)
{
    return (bytes + 3) & ~3u;
}
/* Returns the bytes of an entry with a name of this length. */
static inline uint32_t e2d_xattr_length(uint32_t name_length)
{
    return (uint32_t)sizeof(struct e2d_xattr_entry) + e2d_xattr_padded(name_length);
}

/*
 * Checks every entry from `first` on, and fills the other offsets. `base`, `first` and `size` are
 * given. Returns 0 or a negative errno, not reported. Stores the reason for a report in *why.
 *   EUCLEAN     an entry or a value lies outside the area, or a value lies among the entries
 *   EOPNOTSUPP  a value lies in an inode of its own
 */
int e2d_xattr_check(struct e2d_xattr_area *area, const char **why);

/* Returns the entry with the name, or NULL. `area` is checked or without base. */
struct e2d_xattr_entry *e2d_xattr_find(const struct e2d_xattr_area *area, const struct e2d_xattr_name *name);

/*
 * Finds space for an entry of `length` bytes after the last entry, or for none if 0, and for a
 * value of `size` bytes. Stores the offset for the value in *offset, 0 for a value of 0 bytes.
 * Returns false if the area has no room.
 */
bool e2d_xattr_room(const struct e2d_xattr_area *area, uint32_t length, uint32_t size, uint32_t *offset);

/*
 * Inserts an attribute into the content of a block under construction, in the order of the entries.
 * An attribute of the same name stays unchanged. Values lie in the order of the entries, so equal
 * attributes give equal blocks. Returns false if the block has no room.
 */
bool e2d_xattr_insert(struct e2d_xattr_area *to, const struct e2d_xattr_name *name, const void *value, uint32_t size);
/* Inserts all attributes of an area but `but`. Leaves removed entries out. */
bool e2d_xattr_insert_all(struct e2d_xattr_area *to, const struct e2d_xattr_area *from,
                          const struct e2d_xattr_name *but);
/* Begins the content of a block in `buffer`, and completes the content with header and hashes. */
void e2d_xattr_begin(struct e2d_xattr_area *area, void *buffer, uint32_t block_size);
void e2d_xattr_seal(struct e2d_xattr_area *area);

/* ---- xattr_inode.c: the area in the inode. The caller holds io exclusively to change. ---- */

/*
 * Fills the area in the inode. Returns 0 or a negative errno (reported), EUCLEAN and EOPNOTSUPP as
 * e2d_xattr_check(), EUCLEAN for an impossible i_extra_isize, or EIO for poison.
 */
int e2d_xattr_inode_open(struct ext2dax_inode *inode, struct e2d_xattrs *x);

/*
 * Adds an attribute in the space found by e2d_xattr_room(). The attribute is durable on return.
 * Returns 0, or -EIO after a failed write-back or fence.
 */
int e2d_xattr_inode_add(struct ext2dax_inode *inode, struct e2d_xattrs *x, const struct e2d_xattr_name *name,
                        const struct e2d_xattr_value *value, uint32_t offset, struct e2d_time now);
/*
 * Replaces a value by another of the same size, in space found by e2d_xattr_room(). The hash of the
 * entry is 0.
 */
int e2d_xattr_inode_change(struct ext2dax_inode *inode, struct e2d_xattrs *x, struct e2d_xattr_entry *entry,
                           const struct e2d_xattr_value *value, uint32_t offset, struct e2d_time now);
/*
 * Removes the entries from offset `at` on, and removed entries before `at`. All is durable on
 * return.
 */
int e2d_xattr_inode_cut(struct ext2dax_inode *inode, struct e2d_xattrs *x, uint32_t at, struct e2d_time now);
/*
 * Removes an entry in place. Needs no space. Only the space of the value becomes free. The space of
 * the entry becomes free when the entries after are removed or moved.
 */
int e2d_xattr_inode_bury(struct ext2dax_inode *inode, struct e2d_xattr_entry *entry, struct e2d_time now);

/*
 * Replaces a value, at `offset`, which is the place of a value not shorter than this one, or space
 * found by e2d_xattr_room(). Needs no space in a block. A crash can lose the attribute.
 */
int e2d_xattr_inode_rewrite(struct ext2dax_inode *inode, struct e2d_xattrs *x, struct e2d_xattr_entry *entry,
                            const struct e2d_xattr_value *value, uint32_t offset, struct e2d_time now);

/* ---- xattr_block.c: the block. The caller holds io, exclusively to change. ---- */

/*
 * Fills the area of the block. Returns 0 or a negative errno (reported), EUCLEAN and EOPNOTSUPP as
 * e2d_xattr_check(), EUCLEAN for a wrong pointer or header, or EIO for poison.
 */
int e2d_xattr_block_open(struct ext2dax_inode *inode, struct e2d_xattrs *x);

/*
 * Checks in advance all e2d_xattr_block_set() relies on to give up the current block. Takes a group
 * lock. Returns 0, or EUCLEAN or EIO (reported).
 */
int e2d_xattr_block_freeable(struct ext2dax_inode *inode);

/*
 * Replaces the block of the inode by a block with this content, completed by e2d_xattr_seal(), or
 * by none if NULL. Shares a known block of equal content, else allocates a block. All is durable on
 * return. Takes truncate, group and fs locks. The inode must be checked by the two functions above.
 *
 * Returns 0 or a negative errno. Nothing has changed, except after EIO of a failed fence.
 *   ENOSPC, EFBIG, EOPNOTSUPP, EUCLEAN, EIO   as ext2dax_setxattr()
 */
int e2d_xattr_block_set(struct ext2dax_inode *inode, const void *content, struct e2d_time now);

/* ---- xattr_acl.c: the two forms of an ACL ---- */

/*
 * Converts an ACL in place from the form of setxattr to the form of the image, which is never
 * longer. Returns the length in the image in bytes, or -EINVAL.
 */
int64_t e2d_acl_to_disk(void *at, size_t size);
/*
 * Converts an ACL from the form of the image to the form of getxattr, in the buffer of a caller,
 * which may be NULL. Returns the length in bytes, -EUCLEAN (not reported), or -EFAULT if the buffer
 * is not accessible.
 */
int64_t e2d_acl_from_disk(struct ext2dax_mount *m, const void *from, size_t size, void *to_caller);

#endif
