/* SPDX-License-Identifier: MIT */
/*
 * Calls which a mutant can leave out. In the instrumented core each call is first looked up in
 * E2D_SKIPS (mutants.h), by the name of the calling function and the text of the call. In the
 * shipped core this header is empty.
 *
 * A file with such a call includes this header last. If the file also defines the called function,
 * the definition has parentheses around the name, because a macro would replace the name otherwise.
 * A call with parentheses around the name is never left out. persist.h has the macros of its own
 * functions. file/fault_mutants.h and file/truncate_mutants.h have the macros of the static
 * functions of fault.c and truncate.c.
 */
#ifndef E2D_BASE_SKIPS_H
#define E2D_BASE_SKIPS_H

#include "base/instrument.h"

#if defined(E2D_INSTRUMENT)

/* ---- locks, by the text of the lock. A skipped try succeeds. ---- */

#define e2d_read_lock(m, lock)      E2D_SKIPPABLE(#lock, (void)0, e2d_read_lock((m), (lock)))
#define e2d_write_lock(m, lock)     E2D_SKIPPABLE(#lock, (void)0, e2d_write_lock((m), (lock)))
#define e2d_write_unlock(m, lock)   E2D_SKIPPABLE(#lock, (void)0, e2d_write_unlock((m), (lock)))
#define e2d_try_write_lock(m, lock) E2D_SKIPPABLE(#lock, true, e2d_try_write_lock((m), (lock)))
#define e2d_try_read_lock(m, lock)  E2D_SKIPPABLE(#lock, true, e2d_try_read_lock((m), (lock)))
#define e2d_read_unlock(m, lock)                                                                                       \
    E2D_SKIPPABLE(#lock, (void)0, E2D_SKIPPABLE("e2d_read_unlock(" #lock ")", (void)0, e2d_read_unlock((m), (lock))))
#define e2d_dax_read_lock(inode)       E2D_SKIPPABLE("e2d_dax_read", (void)0, e2d_dax_read_lock(inode))
#define e2d_dax_read_unlock(inode)     E2D_SKIPPABLE("e2d_dax_read", (void)0, e2d_dax_read_unlock(inode))
#define e2d_range_lock(inode, range)   E2D_SKIPPABLE("e2d_range", (void)0, e2d_range_lock((inode), (range)))
#define e2d_range_unlock(inode, range) E2D_SKIPPABLE("e2d_range", (void)0, e2d_range_unlock((inode), (range)))

/* ---- calls without a result ---- */

#define e2d_set64(...)   E2D_SKIPPABLE("e2d_set64(" #__VA_ARGS__ ")", (void)0, e2d_set64(__VA_ARGS__))
#define e2d_unmap(...)   E2D_SKIPPABLE("e2d_unmap(" #__VA_ARGS__ ")", (void)0, e2d_unmap(__VA_ARGS__))
#define e2d_discard(...) E2D_SKIPPABLE("e2d_discard(" #__VA_ARGS__ ")", (void)0, e2d_discard(__VA_ARGS__))
#define e2d_write_protect(...)                                                                                         \
    E2D_SKIPPABLE("e2d_write_protect(" #__VA_ARGS__ ")", (void)0, e2d_write_protect(__VA_ARGS__))
#define e2d_dirty_mark(...)  E2D_SKIPPABLE("e2d_dirty_mark(" #__VA_ARGS__ ")", (void)0, e2d_dirty_mark(__VA_ARGS__))
#define mark_dirty(...)      E2D_SKIPPABLE("mark_dirty(" #__VA_ARGS__ ")", (void)0, mark_dirty(__VA_ARGS__))
#define e2d_pin_record(...)  E2D_SKIPPABLE("e2d_pin_record(" #__VA_ARGS__ ")", (void)0, e2d_pin_record(__VA_ARGS__))
#define e2d_pin_forget(...)  E2D_SKIPPABLE("e2d_pin_forget(" #__VA_ARGS__ ")", (void)0, e2d_pin_forget(__VA_ARGS__))
#define e2d_plan_zero(...)   E2D_SKIPPABLE("e2d_plan_zero(" #__VA_ARGS__ ")", (void)0, e2d_plan_zero(__VA_ARGS__))
#define e2d_plan_drop(...)   E2D_SKIPPABLE("e2d_plan_drop(" #__VA_ARGS__ ")", (void)0, e2d_plan_drop(__VA_ARGS__))
#define e2d_store_times(...) E2D_SKIPPABLE("e2d_store_times(" #__VA_ARGS__ ")", (void)0, e2d_store_times(__VA_ARGS__))
#define e2d_announce_size(...)                                                                                         \
    E2D_SKIPPABLE("e2d_announce_size(" #__VA_ARGS__ ")", (void)0, e2d_announce_size(__VA_ARGS__))
#define e2d_dir_remove(...)  E2D_SKIPPABLE("e2d_dir_remove(" #__VA_ARGS__ ")", (void)0, e2d_dir_remove(__VA_ARGS__))
#define e2d_names_added(...) E2D_SKIPPABLE("e2d_names_added(" #__VA_ARGS__ ")", (void)0, e2d_names_added(__VA_ARGS__))
#define e2d_names_removed(...)                                                                                         \
    E2D_SKIPPABLE("e2d_names_removed(" #__VA_ARGS__ ")", (void)0, e2d_names_removed(__VA_ARGS__))
#define e2d_names_drop(...) E2D_SKIPPABLE("e2d_names_drop(" #__VA_ARGS__ ")", (void)0, e2d_names_drop(__VA_ARGS__))
#define e2d_redo_write(...) E2D_SKIPPABLE("e2d_redo_write(" #__VA_ARGS__ ")", (void)0, e2d_redo_write(__VA_ARGS__))
#define e2d_redo_clear(...) E2D_SKIPPABLE("e2d_redo_clear(" #__VA_ARGS__ ")", (void)0, e2d_redo_clear(__VA_ARGS__))
#define e2d_redo_swap(...)  E2D_SKIPPABLE("e2d_redo_swap(" #__VA_ARGS__ ")", (void)0, e2d_redo_swap(__VA_ARGS__))
#define e2d_icache_drain(...)                                                                                          \
    E2D_SKIPPABLE("e2d_icache_drain(" #__VA_ARGS__ ")", (void)0, e2d_icache_drain(__VA_ARGS__))
#define lock_pair(...)       E2D_SKIPPABLE("lock_pair(" #__VA_ARGS__ ")", (void)0, lock_pair(__VA_ARGS__))
#define unlock_pair(...)     E2D_SKIPPABLE("unlock_pair(" #__VA_ARGS__ ")", (void)0, unlock_pair(__VA_ARGS__))
#define e2d_inode_named(...) E2D_SKIPPABLE("e2d_inode_named(" #__VA_ARGS__ ")", (void)0, e2d_inode_named(__VA_ARGS__))
#define e2d_inode_nameless(...)                                                                                        \
    E2D_SKIPPABLE("e2d_inode_nameless(" #__VA_ARGS__ ")", (void)0, e2d_inode_nameless(__VA_ARGS__))

#define e2d_lock_destroy(...)                                                                                          \
    E2D_SKIPPABLE("e2d_lock_destroy(" #__VA_ARGS__ ")", (void)0, e2d_lock_destroy(__VA_ARGS__))
#define e2d_ifree(...)     E2D_SKIPPABLE("e2d_ifree(" #__VA_ARGS__ ")", (void)0, e2d_ifree(__VA_ARGS__))
#define e2d_release(...)   E2D_SKIPPABLE("e2d_release(" #__VA_ARGS__ ")", (void)0, e2d_release(__VA_ARGS__))
#define e2d_give_back(...) E2D_SKIPPABLE("e2d_give_back(" #__VA_ARGS__ ")", (void)0, e2d_give_back(__VA_ARGS__))
#define e2d_super_give_blocks(...)                                                                                     \
    E2D_SKIPPABLE("e2d_super_give_blocks(" #__VA_ARGS__ ")", (void)0, e2d_super_give_blocks(__VA_ARGS__))
#define e2d_share_forget(...)                                                                                          \
    E2D_SKIPPABLE("e2d_share_forget(" #__VA_ARGS__ ")", (void)0, e2d_share_forget(__VA_ARGS__))

/* ---- calls which return 0 if skipped ---- */

#define e2d_xattr_inode_bury(...)                                                                                      \
    E2D_SKIPPABLE("e2d_xattr_inode_bury(" #__VA_ARGS__ ")", 0, e2d_xattr_inode_bury(__VA_ARGS__))
#define e2d_failed(...)       E2D_SKIPPABLE("e2d_failed(" #__VA_ARGS__ ")", 0, e2d_failed(__VA_ARGS__))
#define e2d_map(...)          E2D_SKIPPABLE("e2d_map(" #__VA_ARGS__ ")", 0, e2d_map(__VA_ARGS__))
#define e2d_map_short(...)    E2D_SKIPPABLE("e2d_map_short(" #__VA_ARGS__ ")", 0, e2d_map_short(__VA_ARGS__))
#define e2d_map_past_end(...) E2D_SKIPPABLE("e2d_map_past_end(" #__VA_ARGS__ ")", 0, e2d_map_past_end(__VA_ARGS__))
#define e2d_settle_end(...)   E2D_SKIPPABLE("e2d_settle_end(" #__VA_ARGS__ ")", 0, e2d_settle_end(__VA_ARGS__))
#define e2d_inode_freeable(...)                                                                                        \
    E2D_SKIPPABLE("e2d_inode_freeable(" #__VA_ARGS__ ")", 0, e2d_inode_freeable(__VA_ARGS__))
#define e2d_xattr_block_freeable(...)                                                                                  \
    E2D_SKIPPABLE("e2d_xattr_block_freeable(" #__VA_ARGS__ ")", 0, e2d_xattr_block_freeable(__VA_ARGS__))
#define e2d_inode_free(...)    E2D_SKIPPABLE("e2d_inode_free(" #__VA_ARGS__ ")", 0, e2d_inode_free(__VA_ARGS__))
#define e2d_zone_offender(...) E2D_SKIPPABLE("e2d_zone_offender(" #__VA_ARGS__ ")", 0, e2d_zone_offender(__VA_ARGS__))
#define e2d_aligned_check_group(...)                                                                                   \
    E2D_SKIPPABLE("e2d_aligned_check_group(" #__VA_ARGS__ ")", 0, e2d_aligned_check_group(__VA_ARGS__))
#define check_group(...)     E2D_SKIPPABLE("check_group(" #__VA_ARGS__ ")", 0, check_group(__VA_ARGS__))
#define e2d_ancestry(...)    E2D_SKIPPABLE("e2d_ancestry(" #__VA_ARGS__ ")", 0, e2d_ancestry(__VA_ARGS__))
#define e2d_dir_unindex(...) E2D_SKIPPABLE("e2d_dir_unindex(" #__VA_ARGS__ ")", 0, e2d_dir_unindex(__VA_ARGS__))
#define e2d_icache_each(...) E2D_SKIPPABLE("e2d_icache_each(" #__VA_ARGS__ ")", 0, e2d_icache_each(__VA_ARGS__))
#define e2d_super_mark(...)  E2D_SKIPPABLE("e2d_super_mark(" #__VA_ARGS__ ")", 0, e2d_super_mark(__VA_ARGS__))
#define change_claim(...)    E2D_SKIPPABLE("change_claim(" #__VA_ARGS__ ")", 0, change_claim(__VA_ARGS__))
#define e2d_interrupted(...) E2D_SKIPPABLE("e2d_interrupted(" #__VA_ARGS__ ")", 0, e2d_interrupted(__VA_ARGS__))
#define e2d_load_le32(...)   E2D_SKIPPABLE("e2d_load_le32(" #__VA_ARGS__ ")", 0, e2d_load_le32(__VA_ARGS__))

/* ---- conditions, false if skipped ---- */

#define e2d_pinned(...)      E2D_SKIPPABLE("e2d_pinned(" #__VA_ARGS__ ")", false, e2d_pinned(__VA_ARGS__))
#define pinned_writable(...) E2D_SKIPPABLE("pinned_writable(" #__VA_ARGS__ ")", false, pinned_writable(__VA_ARGS__))
#define has_no_name(...)     E2D_SKIPPABLE("has_no_name(" #__VA_ARGS__ ")", false, has_no_name(__VA_ARGS__))
#define doubtful(...)        E2D_SKIPPABLE("doubtful(" #__VA_ARGS__ ")", false, doubtful(__VA_ARGS__))
#define continues(...)       E2D_SKIPPABLE("continues(" #__VA_ARGS__ ")", false, continues(__VA_ARGS__))
#define hint_stale(...)      E2D_SKIPPABLE("hint_stale(" #__VA_ARGS__ ")", false, hint_stale(__VA_ARGS__))
#define e2d_aliases(...)     E2D_SKIPPABLE("e2d_aliases(" #__VA_ARGS__ ")", false, e2d_aliases(__VA_ARGS__))

#endif

#endif
