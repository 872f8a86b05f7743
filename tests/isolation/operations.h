/* SPDX-License-Identifier: MIT */
/*
 * Starts, operations and checks shared by the scenarios of pairs and of mutants (pair.h). Unless
 * stated otherwise a fault, a store, a pin or a truncate affects page 9, in the second PMD range of
 * the file and reached by a direct pointer.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "pair.h"

/* ---- starts ---- */

void start_mapped(void);         /* 20 pages, none mapped yet */
void start_aligned_extent(void); /* the same in aligned extents */
void start_read_only(void);
void start_hole(void);    /* 40 pages */
void start_entered(void); /* 20 pages with a store to each, by `map` */
void start_tail(void);    /* the end of the file in page 20, mapped by `map` */

/* ---- faults and stores ---- */

void read_fault(void);
void other_read_fault(void); /* by `other`, all further faults by `map` */
void write_fault(void);
void pmd_read(void);
void pmd_write(void);
void pfn_mkwrite(void);
/* Two stores to the page, by `map` and by `other`. */
void store_one(void);
void store_two(void);
/* Stores to two PMD ranges with pointers in the same pointer block, not yet allocated. */
void store_indirect(void);
void store_next_pmd_range(void);
/*
 * Stores to the last page past the end, after start_tail(). After the file is extended over it, the
 * store is legitimate, and `strayed` is false.
 */
void stray_store(void);
extern bool strayed;

/* ---- calls ---- */

/* Writes the first PMD ranges of the victim, which allocates freed blocks. */
void write_victim(unsigned ranges);
void store_in_victim(void); /* a single byte in page 30, by write() */
void extend_by_write(void);
void truncate_to_nothing(void);
void truncate_down(void);   /* removes page 9 and all following pages */
void truncate_pinned(void); /* fails if the other operation holds a pin */
void punch_pmd_range(void);
void fsync_file(void);
void put_victim(void);
void unlink_victim(void); /* and drops the reference */

/* ---- pins ---- */

/* Pins the page, if not yet removed. The call `change` must fail with EBUSY while pinned. */
void hold_pin(int (*change)(void));
void pin_against_truncate(void);
void freeze_pinned(void); /* a writable pin is held */

/* ---- checks ---- */

void victim_is_not_mapped(void); /* by `map` */
void byte_is(struct ext2dax_inode *inode, uint64_t at, unsigned char wanted, const char *what);
void one_store_kept(void);   /* store_one() */
void both_stores_kept(void); /* store_one() and store_two() */
void pmd_ranges_kept(void);  /* store_indirect() and store_next_pmd_range() */
void tail_is_zero(void);     /* after stray_store() */
/*
 * Checks the dirty marks. A page writable without a fault lies in a PMD range visited by the next
 * fsync.
 */
void writable_is_dirty(void);

#endif
