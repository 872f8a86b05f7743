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
    _(FILL_SIZE, "the size covering the new pointers")                                                                 \
    _(FILL_POINTERS, "the pointers to the new blocks")                                                                 \
    _(EXTEND_TAIL, "the old tail zeroed")                                                                              \
    _(EXTEND_SIZE, "the larger size")                                                                                  \
    _(EXTEND_SIZE_HIGH, "the high word of a larger size")                                                              \
    _(REMOVE_POINTERS, "topmost pointers cleared, tail or edges zeroed")                                               \
    _(REMOVE_BITS, "the smaller size, bits cleared")                                                                   \
    _(SHRINK_SIZE_LOW, "the low word of a smaller size")                                                               \
    _(ATTRIBUTES, "the attributes of an inode")                                                                        \
    _(INODE, "the index flag of a directory cleared")                                                                  \
    _(CREATE_BODY, "an inode with links 0, the body of the dirent in slack")                                           \
    _(CREATE_ENTRY, "a single aligned store that publishes the dirent")                                                \
    _(CREATE_LINKS, "the links of the new inode")                                                                      \
    _(LINK_COUNT, "the link count, the body of the dirent in slack")                                                   \
    _(LINK_ENTRY, "a single aligned store that publishes the dirent")                                                  \
    _(RENAME_BODY, "the body of the new dirent in slack, or type 0 in a replaced dirent")                              \
    _(RENAME_ENTRY, "a single aligned store that publishes or replaces the dirent")                                    \
    _(RENAME_OLD, "the old dirent cleared, type, links of the replaced inode")                                         \
    _(RENAME_RECORD, "the list of the stores of a rename")                                                             \
    _(RENAME_STORES, "the stores of the list")                                                                         \
    _(RENAME_DONE, "the list cleared")                                                                                 \
    _(UNLINK_LINKS, "links 0")                                                                                         \
    _(UNLINK_ENTRY, "the dirent cleared, dtime")                                                                       \
    _(UNLINK_BITS, "bits of the unlinked inode")                                                                       \
    _(XATTR_BLOCK, "a new xattr block, or a reference more to an old one, the feature")                                \
    _(XATTR_SECTORS, "i_blocks of an inode without a block tree, beside the xattr pointer")                            \
    _(XATTR_POINTER, "the pointer to the xattr block")                                                                 \
    _(XATTR_BITS, "the reference to the old xattr block dropped")                                                      \
    _(XATTR_BODY, "an unreachable attribute in the inode")                                                             \
    _(XATTR_ENTRY, "a single aligned store that adds, changes or ends attributes in the inode")                        \
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
