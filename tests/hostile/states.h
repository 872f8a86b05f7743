/* SPDX-License-Identifier: MIT */
/* The round of a call, and the states of the image in which the calls are made. */
#ifndef TESTS_HOSTILE_STATES_H
#define TESTS_HOSTILE_STATES_H

#include "calls.h"

/* Gives an inode back, if any. */
void round_put(struct ext2dax_inode **inode);

/* Bytes per block of the image of the round. */
uint64_t block_size(void);

/*
 * Each prepares a state in the mounted image of the round. Where a state needs inodes, the handles
 * of the round hold them.
 */
void at_root(void);
void on_single(void);
void on_direct(void);
void on_twice(void);
void on_thrice(void);
void on_empty(void);
void on_slow(void);
void in_directories(void);
void in_full_directory(void);
void in_full_directory_without_table(void);
void with_empty_directory(void);
void with_attributes(void);
void with_shared_attributes(void);
void dirty(void);
void unlinked(void);
void unlinked_attributes(void);
void pinned(void);
void frozen(void);
void read_only(void);
void mapped_read_only(void);
void zero_mapped(void);

#endif
