/* SPDX-License-Identifier: MIT */
/*
 * Mutants of the fault path played by the model address space, the caller of faults. In a separate
 * file, because the declarations of the core's memory functions do not go with <string.h>.
 */
#ifndef E2DT_MODEL_MUTANTS_H
#define E2DT_MODEL_MUTANTS_H

#include <stdint.h>

#include "ext2dax/inode.h"

/* Drop dax_sem before a mapping is installed, and take dax_sem again afterwards. */
void e2dt_model_before_map(struct ext2dax_inode *inode);
void e2dt_model_after_map(struct ext2dax_inode *inode);
/* Truncates the file at the byte of a failed shared store below the end. */
void e2dt_model_store_failed(struct ext2dax_inode *inode, uint64_t offset);

#endif
