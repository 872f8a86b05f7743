/* SPDX-License-Identifier: MIT */
/*
 * Mutants named by their place in the core, so that the code in this place does not name the
 * mutant. Only the instrumented core contains mutants.
 *
 * Mutants of the store order are wrong orders, and write-backs which can be removed separately. The
 * fences which can be removed are listed in fences.h. The crash tests use these mutants to show
 * that the crash checks detect a broken order. instrument.h builds the mutants from the lists.
 *
 * Calls which a mutant leaves out (locks, zeroings, checks) are listed last, with the mutants of
 * instrument.h and of the wrong orders.
 */
#ifndef E2D_BASE_MUTANTS_H
#define E2D_BASE_MUTANTS_H

/* Name and effect. */
#define E2D_WRONG_ORDERS(_)                                                                                            \
    _(POINTERS_FIRST, "an extension stores the pointers before the size")                                              \
    _(TREE_FIRST, "a pointer block is attached before the block is filled")                                            \
    _(TAIL_LAST, "an extension zeroes the old tail after the size")                                                    \
    _(END_LAST, "an extension frees the block at the end of file after the size")                                      \
    _(SHRINK_SIZE_FIRST, "truncate stores the size before clearing the pointers")                                      \
    _(EXTEND_LOW_FIRST, "an extension stores the low word of the size before the high word")                           \
    _(SHRINK_HIGH_FIRST, "truncate stores the high word of the size before the low word")                              \
    _(FEATURE_LAST, "large_file is set after a size above 2 GiB")                                                      \
    _(REMOVE_BITS_FIRST, "truncate clears the bits before the pointers")                                               \
    _(PUNCH_BITS_FIRST, "punch clears the bits before the pointers")                                                   \
    _(DISCARD_FIRST, "truncate and punch discard blocks before the pointers are cleared")                              \
    _(LINKS_FIRST, "create stores the links before the dirent")                                                        \
    _(ENTRY_FIRST, "unlink clears the dirent before the links")                                                        \
    _(UNLINK_BITS_FIRST, "unlink clears the bits before links and dirent")                                             \
    _(REWRITE_LIVE, "an attribute in the inode is rewritten with a live entry")                                        \
    _(RENAME_UNRECORDED, "a rename makes its stores without a record")                                                 \
    _(RENAME_RECORD_STAYS, "a rename does not clear its record")                                                       \
    _(RENAME_NOT_COMPLETED, "recovery clears the record of a rename without making the stores")                        \
    _(SMALL_DTIME, "times of deletion are taken from the clock, even if small")                                        \
    _(DIRTY_LATE, "the valid bit is cleared after the first change")                                                   \
    _(CLEAN_EARLY, "the valid bit is set before the last change")

/* Name, storing function, and destination as spelled at the call site. */
#define E2D_WRITE_BACKS(_)                                                                                             \
    _(BITS_SET, "mark", "map")                                                                                         \
    _(BITS_CLEARED, "clear_run", "map")                                                                                \
    _(REFERENCES, "e2d_bunshare", "references")                                                                        \
    _(GROUP_FREE_BLOCKS, "e2d_aligned_changed", "&descriptor->free_blocks")                                            \
    _(FREE_BLOCKS_TAKEN, "e2d_super_take_blocks", "at")                                                                \
    _(FREE_BLOCKS_GIVEN, "e2d_super_give_blocks", "at")                                                                \
    _(NEW_BLOCK_ZEROED, "zero_bytes", "at")                                                                            \
    _(NEW_BLOCK_DATA, "copy_into", "block")                                                                            \
    _(OLD_BLOCK_DATA, "fill_behind", "at")                                                                             \
    _(POINTER_BLOCK_ZEROED, "new_tree_block", "e2d_block(m, extent.block)")                                            \
    _(POINTER_BLOCK_CHAINED, "array_for", "&slots[at]")                                                                \
    _(POINTERS, "store_pointers", "slots")                                                                             \
    _(POINTER_BLOCK_HUNG_IN, "store_all", "plan->attach[i].slot")                                                      \
    _(OLD_TAIL, "e2d_zero_old_tail", "(unsigned char *)e2d_block(m, (uint32_t)run.physical) + from")                   \
    _(SIZE, "e2d_store_size", "&disk->size")                                                                           \
    _(SIZE_HIGH, "e2d_store_size", "&disk->dir_acl")                                                                   \
    _(LARGE_FILE, "e2d_super_large_file", "&super->ro_compat")                                                         \
    _(SECTORS_ADDED, "e2d_add_blocks", "&inode->disk->sectors")                                                        \
    _(SECTORS_DROPPED, "e2d_drop_blocks", "&inode->disk->sectors")                                                     \
    _(TIME, "e2d_store_time", "words.seconds")                                                                         \
    _(TIME_EXTRA, "e2d_store_time", "words.extra")                                                                     \
    _(ATTRIBUTES, "store_half", "at")                                                                                  \
    _(FLAGS, "store_attributes", "&disk->flags")                                                                       \
    _(POINTERS_CLEARED, "e2d_remove_detach", "removal->run[i].slots")                                                  \
    _(EDGE, "zero_in_block", "block + (from & (m->block_size - 1))")                                                   \
    _(INODE_BIT_SET, "take", "bitmap + bit / 8")                                                                       \
    _(FREE_INODES_TAKEN, "take", "&descriptor->free_inodes")                                                           \
    _(DIRECTORIES_TAKEN, "take", "&descriptor->used_dirs")                                                             \
    _(ALL_FREE_INODES_TAKEN, "e2d_super_take_inode", "at")                                                             \
    _(INODE_BIT_CLEARED, "e2d_ifree", "bitmap + bit / 8")                                                              \
    _(FREE_INODES_GIVEN, "e2d_ifree", "&descriptor->free_inodes")                                                      \
    _(DIRECTORIES_GIVEN, "e2d_ifree", "&descriptor->used_dirs")                                                        \
    _(ALL_FREE_INODES_GIVEN, "e2d_super_give_inode", "at")                                                             \
    _(INODE_BODY, "write_inode", "disk")                                                                               \
    _(INODE_REST, "write_inode", "disk + 1")                                                                           \
    _(CONTENT_ZEROED, "take_block", "e2d_block(m, making->block)")                                                     \
    _(DOTS, "write_dots", "dots_at")                                                                                   \
    _(SYMLINK_TARGET, "write_content", "e2d_block(m, making->block)")                                                  \
    _(ENTRY_BODY, "write_dirent", "at")                                                                                \
    _(ENTRY_IN_SLACK, "e2d_dir_publish", "&slot->before->length")                                                      \
    _(ENTRY_IN_UNUSED, "e2d_dir_publish", "&slot->dirent->inode")                                                      \
    _(LINKS, "publish", "&inode->disk->links")                                                                         \
    _(LINKS_MORE, "add_name", "&inode->disk->links")                                                                   \
    _(PARENT_LINKS_MORE, "e2d_subdirectory_added", "&directory->disk->links")                                          \
    _(PARENT_LINKS_FEWER, "e2d_subdirectory_removed", "&directory->disk->links")                                       \
    _(LINKS_NONE, "remove_last_name", "&inode->disk->links")                                                           \
    _(LINKS_FEWER, "remove_name", "&inode->disk->links")                                                               \
    _(ENTRY_MERGED, "e2d_dir_remove", "&found->before->length")                                                        \
    _(ENTRY_EMPTIED, "e2d_dir_remove", "&found->dirent->inode")                                                        \
    _(DTIME, "remove_last_name", "&inode->disk->dtime")                                                                \
    _(LINKS_OF_REPLACED, "over_one_of_several", "&victim->disk->links")                                                \
    _(LINKS_NONE_OF_REPLACED, "kill_victim", "&victim->disk->links")                                                   \
    _(DTIME_OF_REPLACED, "kill_victim", "&victim->disk->dtime")                                                        \
    _(ENTRY_INODE, "e2d_dir_set_inode", "&dirent->inode")                                                              \
    _(ENTRY_TYPE, "e2d_dir_set_type", "&dirent->type")                                                                 \
    _(REDO_RECORD, "e2d_redo_write", "m->super->redo")                                                                 \
    _(REDO_CLEARED, "e2d_redo_clear", "m->super->redo")                                                                \
    _(INDEX_GIVEN_UP, "e2d_dir_unindex", "&directory->disk->flags")                                                    \
    _(XATTR_FEATURE, "e2d_super_ext_attr", "&super->compat")                                                           \
    _(XATTR_SHARED, "e2d_bshare", "&header->references")                                                               \
    _(XATTR_BLOCK, "obtain", "e2d_block(m, extent.block)")                                                             \
    _(XATTR_POINTER, "point_to", "&inode->disk->file_acl")                                                             \
    _(XATTR_BYTES, "put_padded", "to")                                                                                 \
    _(XATTR_LAST_BYTES, "put_padded", "to + whole")                                                                    \
    _(XATTR_ENTRY_REST, "e2d_xattr_inode_add", "first + 1")                                                            \
    _(XATTR_AREA_EMPTY, "begin_area", "first")                                                                         \
    _(XATTR_AREA_MAGIC, "begin_area", "magic_of(x)")                                                                   \
    _(XATTR_ENTRIES_END, "e2d_xattr_inode_add", "after")                                                               \
    _(XATTR_PUBLISHED, "publish_word", "word")                                                                         \
    _(XATTR_BURIED, "e2d_xattr_inode_bury", "&entry->value_size")                                                      \
    _(XATTR_REWRITTEN_OFFSET, "e2d_xattr_inode_rewrite", "first")                                                      \
    _(XATTR_REWRITTEN_HASH, "e2d_xattr_inode_rewrite", "&entry->hash")                                                 \
    _(XATTR_REWRITTEN_SIZE, "e2d_xattr_inode_rewrite", "&entry->value_size")                                           \
    _(RECOVER_LINKS, "repair_inode", "&disk->links")                                                                   \
    _(RECOVER_REPLACED, "e2d_redo_swap", "victim_links")                                                               \
    _(RECOVER_STORE32, "swap_field", "wide")                                                                           \
    _(RECOVER_STORE16, "swap_field", "half")                                                                           \
    _(RECOVER_STORE8, "swap_field", "byte")                                                                            \
    _(RECOVER_SECTORS, "repair_inode", "&disk->sectors")                                                               \
    _(RECOVER_SIZE, "repair_inode", "&disk->size")                                                                     \
    _(RECOVER_INDEX, "repair_inode", "&disk->flags")                                                                   \
    _(RECOVER_REFERENCES, "repair_references", "&header->references")                                                  \
    _(RECOVER_ENTRY, "repair_dirents", "&entry->inode")                                                                \
    _(RECOVER_TYPE, "repair_dirents", "&entry->type")                                                                  \
    _(RECOVER_BLOCK_BITS, "free_blocks", "map")                                                                        \
    _(RECOVER_DTIME, "repair_dead", "&disk->dtime")                                                                    \
    _(RECOVER_INODE_BIT, "free_inode", "map + (bit >> 3)")                                                             \
    _(RECOVER_GROUP_COUNT, "store_count", "at")                                                                        \
    _(RECOVER_FREE_BLOCKS, "repair", "&m->super->free_blocks")                                                         \
    _(RECOVER_FREE_INODES, "repair", "&m->super->free_inodes")                                                         \
    _(FSYNC_DATA, "flush_pmd_range", "e2d_block(m, (uint32_t)run.physical)")                                           \
    _(FSYNC_INODE, "flush_pmd_range", "inode->disk")                                                                   \
    _(SYNC_UNORDERED, "e2d_sync_rest", "m->base")                                                                      \
    _(SUMS, "use_sum", "at")                                                                                           \
    _(STATE, "e2d_super_mark", "at")                                                                                   \
    _(FORMAT, "written", "at")

/*
 * Mutant, calling function (or "*" for any), and the call. The third column is
 *   a function     every call of the function
 *   a call         the call spelled like this
 *   a lock         taking and releasing the lock spelled like this
 *   e2d_dax_read   taking and releasing dax_sem shared
 *   e2d_range       taking and releasing a range lock
 * A mutant that makes the call in another place is also named in this other place. The macros in
 * skips.h compare. The rows of a mutant are adjacent.
 */
#define E2D_SKIPS(_)                                                                                                   \
    _(DAX_SEM_FSYNC, "visit", "e2d_dax_read")                                                                          \
    _(DAX_SEM_PIN, "hold_tree", "e2d_dax_read")                                                                        \
    _(DAX_SEM_PIN, "release_tree", "e2d_dax_read")                                                                     \
    _(READ_NO_RECHECK, "resolve", "past_end")                                                                          \
    _(WRITE_NO_RECHECK, "resolve", "past_end")                                                                         \
    _(PMD_NO_RECHECK, "resolve", "past_end")                                                                           \
    _(PMD_NO_RECHECK, "huge_page", "ends_before")                                                                      \
    _(MKWRITE_NO_RECHECK, "resolve", "past_end")                                                                       \
    _(PFN_NO_RECHECK, "resolve", "past_end")                                                                           \
    _(PFN_NO_RECHECK, "make_writable", "e2d_map_short")                                                                \
    _(FREE_BEFORE_UNMAP, "publish_shrunk", "e2d_unmap")                                                                \
    _(FREE_BEFORE_UNMAP_PUNCH, "punch", "e2d_unmap")                                                                   \
    _(UNMAP_EARLY, "publish_shrunk", "e2d_unmap")                                                                      \
    _(SIZE_AFTER_UNMAP, "publish_shrunk", "e2d_set64")                                                                 \
    _(TAIL_NOT_ZEROED, "e2d_zero_old_tail", "e2d_zero")                                                                \
    _(TAIL_STAYS_MAPPED, "e2d_zero_old_tail", "e2d_unmap")                                                             \
    _(END_STAYS, "*", "e2d_settle_end")                                                                                \
    _(END_STAYS, "*", "e2d_map_past_end")                                                                              \
    _(SHRINK_TAIL_NOT_ZEROED, "e2d_shrink", "zero_in_block")                                                           \
    _(DISCARD_LATE, "take_run", "e2d_discard")                                                                         \
    _(POINTER_UNCHECKED, "e2d_pointer_check", "e2d_zone_offender")                                                     \
    _(POINTER_UNCHECKED, "e2d_pointers_good", "e2d_zone_offender")                                                     \
    _(GROUP_UNCHECKED, "e2d_ballocated", "e2d_aligned_check_group")                                                    \
    _(GROUP_UNCHECKED_INODES, "take", "check_group")                                                                   \
    _(GROUP_UNCHECKED_INODES, "e2d_ifreeable", "check_group")                                                          \
    _(UNLINK_UNCHECKED, "unlink_dirent", "e2d_inode_freeable")                                                         \
    _(PUBLISH_UNZEROED, "zero_bytes", "e2d_zero")                                                                      \
    _(PUBLISH_BEFORE_ZEROING, "e2d_fill_hole", "e2d_plan_zero")                                                        \
    _(FAULT_NOT_RECHECKED, "block_for_write", "e2d_map_short")                                                         \
    _(FAULT_NOT_RECHECKED, "build", "e2d_load_le32")                                                                   \
    _(PLACE_NOT_RECHECKED, "build", "e2d_load_le32")                                                                   \
    _(WRITE_BLOCK_LEAKED, "fill", "e2d_plan_drop")                                                                     \
    _(RANGE_LOCK_SKIPPED, "*", "e2d_range")                                                                            \
    _(RANGE_LOCK_SKIPPED_FSYNC, "visit", "e2d_range")                                                                  \
    _(TRUNCATE_LOCK_SKIPPED, "e2d_plan_publish", "&inode->truncate")                                                   \
    _(IO_SKIPPED_READ, "ext2dax_read", "&inode->io")                                                                   \
    _(IO_SKIPPED_SETATTR, "e2d_change_begin", "&inode->io")                                                            \
    _(IO_SKIPPED_SETATTR, "e2d_change_end", "&inode->io")                                                              \
    _(IO_SKIPPED_LOOKUP, "ext2dax_lookup", "&directory->io")                                                           \
    _(IO_SKIPPED_READDIR, "ext2dax_readdir", "&directory->io")                                                         \
    _(IO_SKIPPED_NAMES, "e2d_change_open", "&directory->io")                                                           \
    _(IO_SKIPPED_NAMES, "e2d_change_close", "&directory->io")                                                          \
    _(IO_SKIPPED_LINK, "link_locked", "&inode->io")                                                                    \
    _(IO_SKIPPED_UNLINK, "unlink_dirent", "&inode->io")                                                                \
    _(IO_SKIPPED_RMDIR, "remove_dirent", "&inode->io")                                                                 \
    _(IO_SKIPPED_RENAME, "rename_locked", "lock_pair")                                                                 \
    _(IO_SKIPPED_RENAME, "rename_locked", "unlock_pair")                                                               \
    _(IO_SKIPPED_RENAME_SECOND, "lock_pair", "&pair->second->io")                                                      \
    _(IO_SKIPPED_RENAME_SECOND, "unlock_pair", "&pair->second->io")                                                    \
    _(IO_SKIPPED_RENAME_INODES, "rename_inodes", "lock_pair")                                                          \
    _(IO_SKIPPED_RENAME_INODES, "rename_inodes", "unlock_pair")                                                        \
    _(IO_SKIPPED_GETXATTR, "ext2dax_getxattr", "&inode->io")                                                           \
    _(RENAME_LOCK_SKIPPED, "ext2dax_rename", "&m->rename")                                                             \
    _(ANCESTRY_SKIPPED, "rename_locked", "e2d_ancestry")                                                               \
    _(ANCESTOR_REPORTED, "step", "has_no_name")                                                                        \
    _(GROUP_LOCK_SKIPPED, "lock_group", "&m->group[group].lock")                                                       \
    _(GROUP_LOCK_SKIPPED, "unlock_group", "&m->group[group].lock")                                                     \
    _(GROUP_LOCK_SKIPPED, "e2d_bfree", "&m->group[group].lock")                                                        \
    _(GROUP_LOCK_SKIPPED_INODES, "e2d_ialloc", "&m->group[group].lock")                                                \
    _(GROUP_LOCK_SKIPPED_INODES, "e2d_ifree", "&m->group[group].lock")                                                 \
    _(REFERENCES_UNGUARDED, "e2d_bunshare", "&m->group[group].lock")                                                   \
    _(REFERENCES_UNGUARDED, "e2d_bshare", "&m->group[group].lock")                                                     \
    _(FS_LOCK_SKIPPED, "e2d_super_take_blocks", "&m->fs")                                                              \
    _(FS_LOCK_SKIPPED, "e2d_super_give_blocks", "&m->fs")                                                              \
    _(FS_LOCK_SKIPPED_PINS, "e2d_pin_record", "&m->fs")                                                                \
    _(ICACHE_LOCK_SKIPPED, "get", "&m->icache_lock")                                                                   \
    _(NAMELESS_LATE, "remove_last_name", "e2d_inode_nameless")                                                         \
    _(NAMELESS_SKIPPED, "by_record", "e2d_inode_nameless")                                                             \
    _(NAMED_SKIPPED, "create_locked", "e2d_inode_named")                                                               \
    _(FSYNC_UNPROTECTED, "flush_pmd_range", "e2d_write_protect")                                                       \
    _(ALIAS_IGNORED, "set_aside", "e2d_aliases")                                                                       \
    _(WRITE_DIRTY_EARLY, "overwrite", "mark_dirty")                                                                    \
    _(ZERO_NOT_DIRTY, "zero_run", "e2d_dirty_mark")                                                                    \
    _(FAULT_NOT_DIRTY, "write_page", "e2d_dirty_mark")                                                                 \
    _(PFN_NOT_DIRTY, "make_writable", "e2d_dirty_mark")                                                                \
    _(HINT_UNCHECKED, "ext2dax_map_block", "hint_stale")                                                               \
    _(PINS_IGNORED, "e2d_shrink", "e2d_pinned")                                                                        \
    _(PINS_IGNORED_PUNCH, "punch", "e2d_pinned")                                                                       \
    _(PINS_IGNORED_FREEZE, "e2d_quiesce", "pinned_writable")                                                           \
    _(PIN_RECORDED_LATE, "ext2dax_pin", "e2d_pin_record")                                                              \
    _(PIN_RECORDED_LATE, "ext2dax_pin", "e2d_pin_forget")                                                              \
    _(CLOCK_UNDER_DAX_SEM, "serve", "e2d_store_times")                                                                 \
    _(FREEZE_FAULT_LATE, "serve", "&m->freeze_fault")                                                                  \
    _(FREEZE_FAULT_SHORT, "serve", "e2d_read_unlock")                                                                  \
    _(FREEZE_WRITE_SKIPPED, "e2d_change_begin", "&m->freeze_write")                                                    \
    _(FREEZE_WRITE_SKIPPED, "e2d_change_end", "&m->freeze_write")                                                      \
    _(FREEZE_WRITE_SKIPPED, "e2d_change_admitted", "&m->freeze_write")                                                 \
    _(FREEZE_WRITE_SKIPPED_NAMES, "e2d_names_begin", "&m->freeze_write")                                               \
    _(FREEZE_WRITE_SKIPPED_NAMES, "e2d_names_end", "&m->freeze_write")                                                 \
    _(FREEZE_WRITE_SKIPPED_NAMES, "e2d_change_admitted", "&m->freeze_write")                                           \
    _(FREEZE_UNPROTECTED, "e2d_quiesce", "e2d_icache_each")                                                            \
    _(LAST_PUT_FROZEN, "e2d_icache_drain", "&m->freeze_fault")                                                         \
    _(THAW_FORGETS, "e2d_thaw_locks", "e2d_icache_drain")                                                              \
    _(CLAIM_SKIPPED, "*", "change_claim")                                                                              \
    _(CLAIM_KEPT, "ext2dax_mount", "change_claim(m, EXT2DAX_CLAIM_NONE)")                                              \
    _(CHILD_LET_IN, "*", "e2d_usable")                                                                                 \
    _(CHILD_LET_IN, "*", "e2d_is_usable")                                                                              \
    _(NAME_NOT_ADDED, "e2d_dir_publish", "e2d_names_added")                                                            \
    _(NAME_NOT_ADDED_NEW_BLOCK, "extend", "e2d_names_added")                                                           \
    _(NAME_NOT_REMOVED, "e2d_dir_remove", "e2d_names_removed")                                                         \
    _(NAMES_KEPT, "extend", "e2d_names_drop")                                                                          \
    _(NAMES_KEPT_INCOMPLETE, "e2d_names_added", "e2d_names_drop")                                                      \
    _(NAMES_TAKEN_AWAY, "evict", "&directory->io")                                                                     \
    _(NAMES_OUTLIVE, "drop_names", "e2d_names_drop")                                                                   \
    _(INDEX_KEPT, "e2d_dir_prepare", "e2d_dir_unindex")                                                                \
    _(INDEX_MISS_BELIEVED, "e2d_index_find", "doubtful")                                                               \
    _(INDEX_ENDS_EARLY, "e2d_index_find", "continues")                                                                 \
    _(SHARED_KEPT, "e2d_bunshare", "e2d_share_forget")                                                                 \
    _(XATTR_UNCHECKED, "begin", "e2d_xattr_block_freeable")                                                            \
    _(ORDER_REWRITE_LIVE, "e2d_xattr_inode_rewrite", "e2d_xattr_inode_bury")                                           \
    _(LOCKS_KEPT, "locks_init", "e2d_lock_destroy")                                                                    \
    _(INODE_KEPT, "get", "e2d_release")                                                                                \
    _(RESERVE_KEPT, "e2d_balloc_one", "e2d_super_give_blocks")                                                         \
    _(NEW_INODE_KEPT, "make_inode", "e2d_ifree")                                                                       \
    _(NEW_BLOCK_KEPT, "make_inode", "e2d_give_back")                                                                   \
    _(FAILURE_IGNORED, "e2d_may_write", "e2d_failed")                                                                  \
    _(INTERRUPTION_IGNORED, "*", "e2d_interrupted")                                                                    \
    _(ORDER_FEATURE_LAST, "e2d_extend_size", "e2d_announce_size")                                                      \
    _(ORDER_REMOVE_BITS_FIRST, "e2d_shrink", "free_bits")                                                              \
    _(ORDER_PUNCH_BITS_FIRST, "punch", "free_bits")                                                                    \
    _(ORDER_ENTRY_FIRST, "remove_last_name", "e2d_dir_remove")                                                         \
    _(ORDER_UNLINK_BITS_FIRST, "free_nameless", "e2d_inode_free")                                                      \
    _(ORDER_RENAME_UNRECORDED, "by_record", "e2d_redo_write")                                                          \
    _(ORDER_RENAME_RECORD_STAYS, "by_record", "e2d_redo_clear")                                                        \
    _(ORDER_RENAME_NOT_COMPLETED, "complete_rename", "e2d_redo_swap")                                                  \
    _(ORDER_DIRTY_LATE, "open_for_writing", "e2d_super_mark")

#define E2D_WRITE_BACK_ONE(name, function, what) +1
enum { E2D_WRITE_BACK_COUNT = 0 E2D_WRITE_BACKS(E2D_WRITE_BACK_ONE) };

#endif
