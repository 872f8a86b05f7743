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

/*
 * Allocates `size` bytes of zeroed anonymous memory, aligned to 2 MiB. Does not block. On failure
 * *memory is empty.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL   `size` is 0
 *   ENOMEM   no memory or no addresses
 *   EAGAIN   RLIMIT_MEMLOCK is exceeded after mlockall(MCL_FUTURE)
 */
EXT2DAX_API int ext2dax_memory_open_heap(size_t size, struct ext2dax_memory *memory);
/*
 * Frees memory of ext2dax_memory_open_heap() and empties *memory. Empty memory is allowed. Cannot
 * fail.
 */
EXT2DAX_API void ext2dax_memory_close_heap(struct ext2dax_memory *memory);

/* Maps read-only, so a store is a fault, and sets EXT2DAX_MEMORY_READ_ONLY. */
#define EXT2DAX_FILE_READ_ONLY 0x1u
/* Creates the file, or sets the size of an existing file. A device is used at its own size. */
#define EXT2DAX_FILE_CREATE 0x2u
/* With CREATE, refuses an existing file with EEXIST. */
#define EXT2DAX_FILE_EXCLUSIVE 0x4u
/* With CREATE, makes the host filesystem allocate the whole file at once. */
#define EXT2DAX_FILE_RESERVE 0x8u

/* Method by which the bytes of a mapped file become durable. */
enum ext2dax_memory_kind {
    EXT2DAX_FILE_PAGE_CACHE, /* by msync. Counts as volatile, as stores reach the disk unordered. */
    EXT2DAX_FILE_VOLATILE,   /* tmpfs or memfd, never durable */
    EXT2DAX_FILE_DAX         /* MAP_SYNC on fsdax, or devdax. Cache-line write-back. Persistent. */
};

/*
 * Opens a mapped file. The file is an image file, a file on tmpfs or fsdax, or a devdax device, and
 * is mapped shared at an address aligned to 2 MiB. Without CREATE `size` is ignored. A flock() on
 * the file refuses a second opener with EBUSY (shared if read-only). The mapping holds the file,
 * and the descriptor stays open for the address space of the process.
 *
 * Without RESERVE a new file is sparse, and ext2dax_format() gives blocks with old content back. If
 * the host filesystem is full later, a store without a block is a SIGBUS, as is an access to bytes
 * removed from the file by another program. The ops are safe in a fault handler. DAX and PAGE_CACHE
 * memory has a `check` op of one system call per range. VOLATILE memory has no `check`.
 *
 * Blocks for file I/O, and up to 0.2 s for a loop device being detached. On failure *memory is
 * empty, and an existing file is unchanged. A created file is removed again, unless another opener
 * has locked the file first.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL       incompatible or unknown flags, or CREATE with size 0 or above INT64_MAX
 *   EINVAL       the file is empty, or neither a regular file nor a devdax device
 *   EISDIR       the path is a directory
 *   ENOENT       no such file, or with CREATE a symbolic link without a target
 *   EEXIST       EXCLUSIVE, and the file exists
 *   EBUSY        another opener holds the lock of the file
 *   EBUSY        for writing, a loop device uses the file, and Linux has mounted the device or can
 *                mount it at any moment. ext2dax_host_report() names the device. Without /sys no
 *                loop device is found, and a loop device attached later is not noticed.
 *   EROFS        for writing, the host filesystem is read-only
 *   ENOSPC       no space for RESERVE, or CREATE beyond the size of a device
 *   EFBIG        CREATE beyond RLIMIT_FSIZE or the largest file of the host filesystem
 *   EOVERFLOW    more bytes than this target can address
 *   EOPNOTSUPP   RESERVE on a filesystem without fallocate(), or devdax on a processor without
 *                cache write-back instructions
 *   ENOMEM       no memory or no addresses
 *   EIO          an I/O error of the host
 *
 * Any other error of open(), fstat(), flock(), ftruncate(), fallocate(), mmap() or fsync(), such as
 * EACCES, EMFILE or ENOTDIR, is returned with Linux's number, which may be no EXT2DAX_E… constant.
 */
EXT2DAX_API int ext2dax_memory_open_file(const char *path, unsigned flags, uint64_t size,
                                         struct ext2dax_memory *memory);

/*
 * Options of ext2dax_memory_open_file_with(). All-zero opens a whole file for reading and writing.
 */
struct ext2dax_memory_file_options {
    size_t size;     /* sizeof this struct at the caller. Members beyond count as 0. */
    unsigned flags;  /* EXT2DAX_FILE_… */
    uint64_t length; /* bytes of the image. Without CREATE, 0 extends to the end of the file. */
    uint64_t offset; /* bytes of the file before the image, a multiple of 512 (a partition) */
    /*
     * Receives a text about the file, such as "is mounted at /mnt by /dev/loop3" or "is empty". The
     * text explains an EBUSY for a loop device and an EINVAL for the file. An open for reading gets
     * a text too, if a loop device may change the file meanwhile. Otherwise the text is "". May be
     * NULL.
     */
    char *note;
    size_t note_size; /* bytes of `note` */
};

/*
 * Opens a part of a file or device, otherwise as ext2dax_memory_open_file(). With CREATE the file
 * is made long enough for the part. A longer file is shortened only at offset 0, where the part is
 * the whole file. The lock covers the whole file. `options` may be NULL.
 *
 * The base of the memory is congruent to `offset` modulo 2 MiB. If `offset` is no multiple of 2
 * MiB, as for a partition at 1 MiB, no aligned extent of the image is aligned in the file. Nothing
 * is mapped by huge entries then, and everything else works. If `offset` is no multiple of a page
 * (partitions at sector 63), files can be read and written but not mapped. Page faults return
 * FALLBACK, and ext2dax_process_map() EOPNOTSUPP.
 *
 * Returns 0 or a negative errno as ext2dax_memory_open_file(), and
 *
 *   EINVAL   the part is not wholly in the file, or `offset` is no multiple of 512
 */
EXT2DAX_API int ext2dax_memory_open_file_with(const char *path, const struct ext2dax_memory_file_options *options,
                                              struct ext2dax_memory *memory);

/*
 * Opens an anonymous memfd of `size` bytes as memory. `name` is for debugging (/proc/self/maps). No
 * other process can open the memory as an image, since the memfd is locked like a file. On failure
 * *memory is empty. Does not block.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL      `size` is 0 or above INT64_MAX, or `name` has more than 249 bytes
 *   EFBIG       `size` is beyond RLIMIT_FSIZE
 *   EOVERFLOW   more bytes than this target can address
 *   EMFILE      the process has no free descriptor
 *   ENFILE      the system has no free descriptor
 *   ENOMEM      no memory or no addresses
 *
 * Any other error of memfd_create(), ftruncate(), mmap() or flock() is returned with Linux's
 * number.
 */
EXT2DAX_API int ext2dax_memory_open_anonymous(const char *name, uint64_t size, struct ext2dax_memory *memory);
/*
 * Unmaps memory of the three calls above, unlocks the file and empties *memory. Writes nothing
 * back. A child process which inherited the memory leaves the lock to its parent. Other memory is
 * only emptied. Cannot fail.
 */
EXT2DAX_API void ext2dax_memory_close_file(struct ext2dax_memory *memory);

/* Returns the descriptor of memory opened here, or -1 for other memory. Valid until the close. */
EXT2DAX_API int ext2dax_memory_descriptor(const struct ext2dax_memory *memory);
/* Returns the kind of memory opened here, or VOLATILE for other memory. */
EXT2DAX_API enum ext2dax_memory_kind ext2dax_memory_kind(const struct ext2dax_memory *memory);
/*
 * Returns the method of write-back, "clwb", "clflushopt", "clflush", "dc cvap", "dc cvac", "msync"
 * or "none". The text is static.
 */
EXT2DAX_API const char *ext2dax_memory_write_back(const struct ext2dax_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
