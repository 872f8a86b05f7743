/* SPDX-License-Identifier: MIT */
/* Mutants of the fault path played by the model address space. */
#include "model_mutants.h"

#include "ext2dax/file.h"

#include "base/lock.h"

void e2dt_model_before_map(struct ext2dax_inode *inode)
{
    if (!E2D_MUTANT(DAX_SEM_EARLY))
        return;
    e2d_dax_read_unlock(inode);
    E2D_YIELD(E2D_YIELD_CALLBACK, inode);
}

void e2dt_model_after_map(struct ext2dax_inode *inode)
{
    if (E2D_MUTANT(DAX_SEM_EARLY))
        e2d_dax_read_lock(inode);
}

void e2dt_model_store_failed(struct ext2dax_inode *inode, uint64_t offset)
{
    if (E2D_MUTANT(ERROR_TRUNCATES) && offset < e2d_size(inode))
        (void)ext2dax_truncate(inode, offset);
}
