/* SPDX-License-Identifier: MIT */
/* Memory backends of a hosted program. */
#ifndef EXT2DAX_HOSTED_MEMORY_H
#define EXT2DAX_HOSTED_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "../export.h"
#include "../memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `size` bytes of zeroed anonymous memory, aligned to 2 MiB. ENOMEM; EINVAL: size is 0. On failure *memory is empty. */
EXT2DAX_API int ext2dax_heap_open(size_t size, struct ext2dax_memory *memory);
EXT2DAX_API void ext2dax_heap_close(struct ext2dax_memory *memory);

#define EXT2DAX_FILE_READ_ONLY 0x1u /* map it so that a store is a fault; sets EXT2DAX_MEMORY_READ_ONLY */
#define EXT2DAX_FILE_CREATE    0x2u /* make it, or make it `size` bytes long (a device is used as it is) */
#define EXT2DAX_FILE_EXCLUSIVE 0x4u /* with CREATE: EEXIST where it exists */
#define EXT2DAX_FILE_RESERVE   0x8u /* with CREATE: have the host filesystem allocate all of it now */

/* How the bytes of a mapped file become durable. */
enum ext2dax_file_kind {
    EXT2DAX_FILE_PAGE_CACHE, /* msync; counts as volatile memory, since a store may reach the disk in any order */
    EXT2DAX_FILE_VOLATILE,   /* tmpfs or memfd: never durable */
    EXT2DAX_FILE_DAX         /* MAP_SYNC on fsdax, or devdax: cache-line write-back; persistent */
};

/*
 * A mapped file: an image file, a file on tmpfs or fsdax, or a devdax device. Mapped shared at an address aligned to
 * 2 MiB. Without CREATE `size` is not looked at. Locked with flock against a second opener (shared when read-only):
 * EBUSY. EINVAL: flags that do not go together, CREATE of size 0, an empty file, or neither a file nor a devdax device;
 * EISDIR; ENOSPC; EOVERFLOW: more than this target can address; EOPNOTSUPP: RESERVE on a filesystem that cannot, or
 * devdax on a processor without write-back instructions. Errors of the system come back with Linux's numbers, so may be
 * others than EXT2DAX_E…. On failure *memory is empty, a file made is gone again and one that was there is as it was.
 * The mapping holds the file; its descriptor stays open for the process's address space.
 *
 * Without RESERVE a new file is sparse: should the host filesystem run full later, the store that finds no block is a
 * SIGBUS, as is any touch of what somebody else cuts off the file. The ops are safe in a fault handler. DAX and
 * PAGE_CACHE memory has a `check`, one system call a range; VOLATILE memory has none.
 */
EXT2DAX_API int ext2dax_file_open(const char *path, unsigned flags, uint64_t size, struct ext2dax_memory *memory);
/* The same over an anonymous memfd of `size` bytes (name for debugging). Nobody else can open it. */
EXT2DAX_API int ext2dax_file_open_anonymous(const char *name, uint64_t size, struct ext2dax_memory *memory);
/* Takes the mapping away and gives the lock back; writes nothing back. Empties *memory. */
EXT2DAX_API void ext2dax_file_close(struct ext2dax_memory *memory);

/* Of memory opened here; -1 and VOLATILE for heap memory. */
EXT2DAX_API int ext2dax_file_descriptor(const struct ext2dax_memory *memory);
EXT2DAX_API enum ext2dax_file_kind ext2dax_file_kind(const struct ext2dax_memory *memory);
/* "clwb", "clflushopt", "clflush", "dc cvap", "dc cvac", "msync" or "none": how persist works here. */
EXT2DAX_API const char *ext2dax_file_write_back(const struct ext2dax_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
