/* SPDX-License-Identifier: MIT */
/*
 * Ways to break the order of stores, for a bench that shows its crash checks able to see it: wrong orders, and the
 * write-backs that can be taken away one by one. The fences that can are those of steps.h. Only the instrumented core
 * has any of it; yield.h makes mutants of these lists.
 */
#ifndef E2D_DISORDER_H
#define E2D_DISORDER_H

/* name, what it does */
#define E2D_WRONG_ORDERS(_)                                                                                            \
    _(POINTERS_FIRST, "growing stores the pointers before the size")                                                   \
    _(TREE_FIRST, "a pointer block is hung in before it is filled")                                                    \
    _(TAIL_LAST, "growing zeroes the old tail after the size")                                                         \
    _(GROW_LOW_FIRST, "growing stores the size's low word before the high one")                                        \
    _(CUT_HIGH_FIRST, "shrinking stores the size's high word before the low one")                                      \
    _(FEATURE_LAST, "large_file is set after the size that needs it")                                                  \
    _(CUT_SIZE_FIRST, "truncate stores the size before it clears the pointers")                                        \
    _(CUT_BITS_FIRST, "truncate clears the bits before the pointers")                                                  \
    _(PUNCH_BITS_FIRST, "punch clears the bits before the pointers")                                                   \
    _(LINKS_FIRST, "create stores the links before the entry")                                                         \
    _(ENTRY_FIRST, "unlink clears the entry before the links")                                                         \
    _(UNLINK_BITS_FIRST, "unlink clears the bits before links and entry")                                              \
    _(SMALL_DTIME, "times are the clock's, however small")                                                             \
    _(DIRTY_LATE, "the valid bit is cleared after the first change")                                                   \
    _(CLEAN_EARLY, "the valid bit is set before the last change")

/* name, the function that stores, and what it stores to as it says itself */
#define E2D_WRITE_BACKS(_)                                                                                             \
    _(BITS_SET, "mark", "map + (bit >> 3)")                                                                            \
    _(BITS_CLEARED, "e2d_bfree", "map + (bit >> 3)")                                                                   \
    _(GROUP_FREE_BLOCKS, "e2d_region_changed", "&descriptor->free_blocks")                                             \
    _(FREE_BLOCKS_TAKEN, "e2d_super_take_blocks", "at")                                                                \
    _(FREE_BLOCKS_GIVEN, "e2d_super_give_blocks", "at")                                                                \
    _(NEW_BLOCK_ZEROED, "zero_bytes", "at")                                                                            \
    _(NEW_BLOCK_DATA, "copy_into", "block")                                                                            \
    _(OLD_BLOCK_DATA, "fill_behind", "at")                                                                             \
    _(POINTER_BLOCK_ZEROED, "new_tree_block", "e2d_block(m, extent.block)")                                            \
    _(POINTER_BLOCK_CHAINED, "array_for", "&slots[at]")                                                                \
    _(POINTERS, "store_pointers", "slots")                                                                             \
    _(POINTER_BLOCK_HUNG_IN, "store_all", "plan->attach[i].slot")                                                      \
    _(OLD_TAIL, "zero_old_tail", "(unsigned char *)e2d_block(m, (uint32_t)run.physical) + from")                       \
    _(SIZE, "e2d_store_size", "&disk->size")                                                                           \
    _(SIZE_HIGH, "e2d_store_size", "&disk->dir_acl")                                                                   \
    _(LARGE_FILE, "e2d_super_large_file", "&super->ro_compat")                                                         \
    _(SECTORS_ADDED, "e2d_add_blocks", "&inode->disk->sectors")                                                        \
    _(SECTORS_DROPPED, "e2d_drop_blocks", "&inode->disk->sectors")                                                     \
    _(CTIME, "e2d_store_times", "&inode->disk->ctime")                                                                 \
    _(MTIME, "e2d_store_times", "&inode->disk->mtime")                                                                 \
    _(POINTERS_CLEARED, "e2d_cut_detach", "cut->run[i].slots")                                                         \
    _(EDGE, "zero_in_block", "(unsigned char *)e2d_block(m, (uint32_t)run.physical) + (from & (m->block_size - 1))")   \
    _(INODE_BIT_SET, "take", "bitmap + bit / 8")                                                                       \
    _(FREE_INODES_TAKEN, "take", "&descriptor->free_inodes")                                                           \
    _(ALL_FREE_INODES_TAKEN, "e2d_super_take_inode", "at")                                                             \
    _(INODE_BIT_CLEARED, "e2d_ifree", "bitmap + bit / 8")                                                              \
    _(FREE_INODES_GIVEN, "e2d_ifree", "&descriptor->free_inodes")                                                      \
    _(ALL_FREE_INODES_GIVEN, "e2d_super_give_inode", "at")                                                             \
    _(INODE_BODY, "write_inode", "disk")                                                                               \
    _(INODE_REST, "write_inode", "disk + 1")                                                                           \
    _(ENTRY_BODY, "write_entry", "at")                                                                                 \
    _(ENTRY_IN_SLACK, "e2d_dir_publish", "&slot->before->length")                                                      \
    _(ENTRY_IN_UNUSED, "e2d_dir_publish", "&slot->entry->inode")                                                       \
    _(LINKS, "publish", "&inode->disk->links")                                                                         \
    _(LINKS_NONE, "remove_last_name", "&inode->disk->links")                                                           \
    _(LINKS_FEWER, "remove_name", "&inode->disk->links")                                                               \
    _(ENTRY_MERGED, "e2d_dir_remove", "&found->before->length")                                                        \
    _(ENTRY_EMPTIED, "e2d_dir_remove", "&found->entry->inode")                                                         \
    _(DTIME, "remove_last_name", "&inode->disk->dtime")                                                                \
    _(INDEX_GIVEN_UP, "e2d_dir_unindex", "&directory->disk->flags")                                                    \
    _(RECOVER_LINKS, "mend_inode", "&disk->links")                                                                     \
    _(RECOVER_SECTORS, "mend_inode", "&disk->sectors")                                                                 \
    _(RECOVER_SIZE, "mend_inode", "&disk->size")                                                                       \
    _(RECOVER_INDEX, "mend_inode", "&disk->flags")                                                                     \
    _(RECOVER_REFERENCES, "mend_references", "&header->references")                                                    \
    _(RECOVER_ENTRY, "mend_entries", "&entry->inode")                                                                  \
    _(RECOVER_TYPE, "mend_entries", "&entry->type")                                                                    \
    _(RECOVER_BLOCK_BITS, "free_blocks", "map + (bit >> 3)")                                                           \
    _(RECOVER_DTIME, "mend_dead", "&disk->dtime")                                                                      \
    _(RECOVER_INODE_BIT, "mend_dead", "map + (bit >> 3)")                                                              \
    _(RECOVER_GROUP_COUNT, "store_count", "at")                                                                        \
    _(RECOVER_FREE_BLOCKS, "mend", "&m->super->free_blocks")                                                           \
    _(RECOVER_FREE_INODES, "mend", "&m->super->free_inodes")                                                           \
    _(FSYNC_DATA, "flush_window", "e2d_block(m, (uint32_t)run.physical)")                                              \
    _(FSYNC_INODE, "flush_window", "inode->disk")                                                                      \
    _(SYNC_UNORDERED, "e2d_sync_rest", "m->base")                                                                      \
    _(STATE, "e2d_super_mark", "at")                                                                                   \
    _(FORMAT, "written", "at")

#define E2D_WRITE_BACK_ONE(name, function, what) +1
enum { E2D_WRITE_BACK_COUNT = 0 E2D_WRITE_BACKS(E2D_WRITE_BACK_ONE) };

#endif
