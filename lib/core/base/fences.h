/* SPDX-License-Identifier: MIT */
/* The names of the fences, each after what it ends: the rows of the store order, from left to right. */
#ifndef E2D_STEPS_H
#define E2D_STEPS_H

/* name, what is stored before it. What needs no fence of its own (times) has no name. */
#define E2D_STEPS(_)                                                                                                   \
    _(FILL_CONTENT, "data or zeroes, bits, unreachable pointer blocks")                                                \
    _(FILL_SIZE, "the size that will cover the pointers")                                                              \
    _(FILL_POINTERS, "the pointers to what was filled")                                                                \
    _(GROW_TAIL, "the old tail zeroed")                                                                                \
    _(GROW_SIZE, "the size that grows")                                                                                \
    _(GROW_SIZE_HIGH, "the high word of a size that grows")                                                            \
    _(CUT_POINTERS, "topmost pointers cleared, tail or edges zeroed")                                                  \
    _(CUT_BITS, "the size that shrinks, bits cleared")                                                                 \
    _(CUT_SIZE_LOW, "the low word of a size that shrinks")                                                             \
    _(INODE, "a directory's index given up")                                                                           \
    _(CREATE_BODY, "an inode with links 0, the entry's body in slack")                                                 \
    _(CREATE_ENTRY, "one aligned store that publishes the entry")                                                      \
    _(CREATE_LINKS, "the links of what was created")                                                                   \
    _(UNLINK_LINKS, "links 0")                                                                                         \
    _(UNLINK_ENTRY, "the entry cleared, dtime")                                                                        \
    _(UNLINK_BITS, "bits of the unlinked inode")                                                                       \
    _(RECOVER_INODES, "links, i_blocks, sizes, index flags, xattr references mended")                                  \
    _(RECOVER_REST, "entries, times of deletion, bits, counts mended")                                                 \
    _(SYNC, "data of a window, or everything")                                                                         \
    _(MARK_DIRTY, "the valid bit cleared, before the first change")                                                    \
    _(MARK_CLEAN, "the valid bit set, after the last")                                                                 \
    _(FORMAT, "everything but the magic number")                                                                       \
    _(FORMAT_MAGIC, "the magic number")

enum e2d_step {
#define E2D_STEP_ENUM(name, text) E2D_STEP_##name,
    E2D_STEPS(E2D_STEP_ENUM)
#undef E2D_STEP_ENUM
        E2D_STEP_COUNT
};

#endif
