/* SPDX-License-Identifier: MIT */
/*
 * The address space of a POSIX process: a window of virtual addresses shows a file whose blocks lie anywhere in a mapped
 * image file. Real page faults of this process are resolved by the fault family.
 *
 * Armed pages are those nobody has touched yet, or whose block was taken away. There are two ways to learn of a touch.
 *
 * EXT2DAX_PROCESS_SIGSEGV: armed pages are PROT_NONE; the handler resolves in the thread that touched. No privilege and
 * no helper thread. What this costs a program:
 * - a system call handed an armed page answers EFAULT, or a short count (touch or populate the pages first);
 * - a thread that blocks SIGSEGV dies at a touch; one that blocks or ignores SIGBUS dies at a touch past the end;
 * - pages the kernel has pinned (O_DIRECT, vmsplice, io_uring) outlive a truncate: use ext2dax_pin() for those;
 * - windows are not inherited by a child process: its touch dies;
 * - where the image's file cannot be touched itself (sparse, and its filesystem is full; cut short; an I/O error), the core's
 *   own access is a SIGBUS too, in a call or under a touch, with an address in the image's memory instead of a window.
 *   Locks of the core may be held then: a handler must end the program, not jump out.
 *
 * EXT2DAX_PROCESS_USERFAULTFD: the kernel asks, whoever touched, so that system calls work on windows like on any other
 * memory. It takes privilege (CAP_SYS_PTRACE, vm.unprivileged_userfaultfd or access to /dev/userfaultfd), two threads of
 * the library's own, and for every window a descriptor (two if it is private) and as many addresses again. A touch costs a
 * few times as much.
 * - A touch past the end is the kernel's own SIGBUS; in a system call EFAULT, also where there is no space.
 * - A system call may store to a page that was only read before, or written back by fsync, where the image lies on tmpfs
 *   or in a memfd and Linux is 5.19 or later; pages that were read in a writable window are not mapped huge then, since a
 *   store to any is to be noticed. Elsewhere such a store is answered as by SIGSEGV: in a system call it is EFAULT.
 * - A thread that stores while the filesystem is frozen tries again every few milliseconds; less often where many do.
 * - The host's functions are called in a thread of the library, and so is a SIGBUS handler for the image's own: neither may
 *   touch a window there, for it would wait for itself.
 * - Pins and children are as above.
 *
 * Huge pages. Where one aligned run of blocks backs a huge page of a file (2 MiB, or what the mount's page makes of it), it
 * is shown as one, so that the kernel may map it by one entry: a window lies at an address congruent to its offset in the
 * file, and so does the image's own mapping. What is behind it decides whether the kernel does:
 * - tmpfs: mounted with huge=always, within_size or advise (the library asks for huge pages: MADV_HUGEPAGE);
 * - /dev/shm and memfd, which have none by default: the option `collapse`;
 * - fsdax: by itself, where the filesystem has laid the image file out in aligned extents of 2 MiB;
 * - devdax: by itself. A device whose own alignment is 2 MiB or more shows nothing smaller: a touch of a page that no
 *   aligned run backs is a SIGBUS. For files of any shape make it with an alignment of 4 KiB, or use fsdax.
 * - page cache of a disk filesystem: no.
 * fsync protects a whole one at once and leaves it in one piece; small pages are protected one by one.
 */
#ifndef EXT2DAX_HOSTED_PROCESS_H
#define EXT2DAX_HOSTED_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "../address_space.h"
#include "../export.h"
#include "../inode.h"
#include "../lock.h"
#include "../memory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ext2dax_process;

/* How the process learns of a page fault: the two ways described above. */
enum ext2dax_process_way {
    EXT2DAX_PROCESS_SIGSEGV,    /* in a signal handler, in the thread that touched */
    EXT2DAX_PROCESS_USERFAULTFD /* from the kernel, in a thread of the address space's own */
};

/*
 * Can this process use that way in? 0; EOPNOTSUPP: this build or system has none; EPERM: it is not permitted; EINVAL: no
 * such way. *why says it in words, NULL where there is nothing to say.
 */
EXT2DAX_API int ext2dax_process_may(enum ext2dax_process_way way, const char **why);

/* All-zero is a good default. */
struct ext2dax_process_options {
    size_t size;                  /* sizeof of whoever filled it; what lies past it counts as zero */
    enum ext2dax_process_way way; /* how faults come in */
    /* Live kernel mappings before the oldest are evicted; 0: half of vm.max_map_count. Never less than 16,
     * and a few more where the windows themselves, one mapping each, two by userfaultfd, take nearly all of them. */
    size_t max_mappings;
    /*
     * Where a fault shows a whole huge page of a file, have the kernel make the image's memory behind it one, too
     * (MADV_COLLAPSE, Linux 6.1): for an image that its filesystem gives no huge pages, as /dev/shm and memfd. About a
     * millisecond for 2 MiB, once, under the touch, with no lock held. What cannot be collapsed stays as it is.
     */
    bool collapse;
};

/*
 * Makes an address space over memory opened with ext2dax_file_open(…), to be handed to ext2dax_mount() as a plug (the
 * ctx is the process object). `locks` serve its own registry and page-table lock. The first one made installs the
 * SIGSEGV handler, the last one closed restores what was there; faults that are not ours go to the handler before.
 * EINVAL: memory without a file descriptor, or locks that lack a required op (their table is copied), or
 * that lock nothing (ext2dax_locks_none()) where two threads of the library's own come in, by userfaultfd; EBUSY: four times
 * already somebody else's handler lay over ours when it was to be taken away; ENOMEM; or the system's error.
 */
EXT2DAX_API int ext2dax_process_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                                     const struct ext2dax_process_options *options, struct ext2dax_process **process);
EXT2DAX_API struct ext2dax_address_space ext2dax_process_address_space(struct ext2dax_process *process);
/* EBUSY while windows exist. Close after ext2dax_unmount(). */
EXT2DAX_API int ext2dax_process_close(struct ext2dax_process *process);

#define EXT2DAX_MAP_WRITE   0x1u /* stores allowed; else a store is a SIGSEGV of the program's own */
#define EXT2DAX_MAP_PRIVATE 0x2u /* copy-on-write: stores stay in this process */
/* Populated for reading before it is handed out, as far as the file reaches. What fails of that fails when touched. */
#define EXT2DAX_MAP_POPULATE 0x4u

/*
 * Shows [offset, offset + length) of the file at an address the library chooses (congruent to the offset modulo a
 * window). `offset` a multiple of the page size. The range may pass the end of file: a touch there is a true SIGBUS with
 * the address. Holds a reference. EOPNOTSUPP: block size and page size differ, the image cannot be mapped; EINVAL,
 * also in a child process; EOVERFLOW; EROFS (shared and writable on a read-only mount), EPERM (… of an immutable or
 * append-only file); EFBIG (RLIMIT_FSIZE is less than `length`: private and writable, or by userfaultfd); ENOMEM, EMFILE.
 */
EXT2DAX_API int ext2dax_process_map(struct ext2dax_process *process, struct ext2dax_inode *inode, uint64_t offset,
                                    uint64_t length, unsigned flags, void **address);
/*
 * Makes the pages of [address, address + length) present, as touches of each would, without a trap: for reading, or with
 * `write` for storing (which allocates where there is a hole, or makes the copies of a private window). Until they are
 * revoked (truncate, punch, fsync and freeze for stores; the limit of mappings), system calls that are handed them
 * succeed in every way. Waits while the filesystem is frozen and `write` needs it not to be. No lock may be held. Errors
 * leave the pages before the one that failed present:
 * EINVAL: not wholly in one window, or in a child process; EPERM: `write`, in a window without EXT2DAX_MAP_WRITE; EFAULT: a
 * page past the end of file; ENOSPC; ENOMEM, also where more kernel mappings are needed than may be live (ask for less);
 * EROFS (remounted since); EIO, EUCLEAN as from reading and writing.
 */
EXT2DAX_API int ext2dax_process_populate(struct ext2dax_process *process, void *address, size_t length, bool write);
/* Takes the window that starts at `address` away again. EINVAL: none does, or in a child process. No thread may be touching it. */
EXT2DAX_API int ext2dax_process_unmap(struct ext2dax_process *process, void *address);

/* `size` is the caller's sizeof, filled before the call; what lies past it is not written. All count from the opening. */
struct ext2dax_process_counters {
    size_t size;           /* sizeof of whoever asks */
    uintptr_t traps;       /* faults that reached the handler and were ours */
    uintptr_t mapped;      /* kernel mappings made */
    uintptr_t revoked;     /* kernel mappings taken away */
    uintptr_t protections; /* … write-protected */
    uintptr_t sigbus;      /* pages past the end that were touched */
    uintptr_t evicted;     /* slabs given up at the mapping limit */
    uintptr_t huge;      /* huge pages of a file shown as one aligned piece of the image, so that the kernel can, too */
    uintptr_t collapsed; /* … that MADV_COLLAPSE answered for (those that were huge before included) */
};
/* The counters of the moment, each read by itself. Takes no lock. Cannot fail. */
EXT2DAX_API void ext2dax_process_count(const struct ext2dax_process *process,
                                       struct ext2dax_process_counters *counters);

#ifdef __cplusplus
}
#endif
#endif
