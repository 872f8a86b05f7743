/* SPDX-License-Identifier: MIT */
/*
 * Names of the store-order fences. A fence is named after the stores completed by the fence. The
 * fences of an operation are listed in store order, except that the fence between the two words of
 * a size is listed last.
 */
#ifndef E2D_BASE_FENCES_H
#define E2D_BASE_FENCES_H

/*
 * Name, and the stores before the fence. Stores without a need for a fence of their own (times)
 * have no name.
 */
#define E2D_FENCES(_)                                                                                                  \
    _(FILL_CONTENT, "data or zeroes, bits, unreachable pointer blocks")                                                \
    _(FILL_SIZE, "the size that will cover the pointers")                                                              \
    _(FILL_POINTERS, "the pointers to what was filled")                                                                \
    _(EXTEND_TAIL, "the old tail zeroed")                                                                              \
    _(EXTEND_SIZE, "the size that grows")                                                                              \
    _(EXTEND_SIZE_HIGH, "the high word of a size that grows")                                                          \
    _(REMOVE_POINTERS, "topmost pointers cleared, tail or edges zeroed")                                               \
    _(REMOVE_BITS, "the size that shrinks, bits cleared")                                                              \
    _(SHRINK_SIZE_LOW, "the low word of a size that shrinks")                                                          \
    _(ATTRIBUTES, "the attributes of an inode")                                                                        \
    _(INODE, "a directory's index given up")                                                                           \
    _(CREATE_BODY, "an inode with links 0, the entry's body in slack")                                                 \
    _(CREATE_ENTRY, "one aligned store that publishes the entry")                                                      \
    _(CREATE_LINKS, "the links of what was created")                                                                   \
    _(LINK_COUNT, "the count of a name to come, the entry's body in slack")                                            \
    _(LINK_ENTRY, "one aligned store that publishes the entry")                                                        \
    _(RENAME_BODY, "the new entry's body in slack, or a replaced entry's type 0")                                      \
    _(RENAME_ENTRY, "one aligned store that publishes or replaces the entry")                                          \
    _(RENAME_OLD, "the old entry cleared, type, links of what was replaced")                                           \
    _(RENAME_RECORD, "the list of the stores of a rename")                                                             \
    _(RENAME_STORES, "the stores of the list")                                                                         \
    _(RENAME_DONE, "the list cleared")                                                                                 \
    _(UNLINK_LINKS, "links 0")                                                                                         \
    _(UNLINK_ENTRY, "the entry cleared, dtime")                                                                        \
    _(UNLINK_BITS, "bits of the unlinked inode")                                                                       \
    _(XATTR_BLOCK, "a new xattr block, or a reference more to an old one, the feature")                                \
    _(XATTR_SECTORS, "i_blocks of an inode without a block tree, beside the xattr pointer")                            \
    _(XATTR_POINTER, "the pointer to the xattr block")                                                                 \
    _(XATTR_BITS, "the reference to the old xattr block given up")                                                     \
    _(XATTR_BODY, "an attribute in the inode that nothing reaches yet")                                                \
    _(XATTR_ENTRY, "one aligned store that adds, changes or ends attributes in the inode")                             \
    _(RECOVER_RENAME, "the stores of an interrupted rename")                                                           \
    _(RECOVER_INODES, "links, i_blocks, sizes, ends, index flags, xattr references repaired")                          \
    _(RECOVER_REST, "dirents, times of deletion, bits, counts repaired")                                               \
    _(SYNC, "data of a PMD range, or everything")                                                                      \
    _(MARK_DIRTY, "the valid bit cleared, before the first change")                                                    \
    _(MARK_CLEAN, "the valid bit set, after the last")                                                                 \
    _(FORMAT, "everything but the magic number")                                                                       \
    _(FORMAT_MAGIC, "the magic number")

enum e2d_fence {
#define E2D_FENCE_ENUM(name, text) E2D_FENCE_##name,
    E2D_FENCES(E2D_FENCE_ENUM)
#undef E2D_FENCE_ENUM
        E2D_FENCE_COUNT
};

#endif
