/* SPDX-License-Identifier: MIT */
/*
 * The address space of a POSIX process. A mapping is a range of virtual addresses backed by a file
 * of an image. The blocks of the file may lie anywhere in the image, which is itself a mapped file
 * (hosted/memory.h). The fault family (fault.h) resolves the page faults of this process.
 *
 * A page of a mapping is not present before the first access, and again after the library has
 * removed its PTE, as truncate, punch and eviction do. Two fault methods report an access to a page
 * not present.
 *
 * Fault method `sigsegv` (EXT2DAX_FAULT_METHOD_SIGSEGV). A page not present has the protection
 * PROT_NONE. The SIGSEGV handler of the library resolves the fault in the accessing thread. The
 * method needs no privilege and no helper thread. Its limits are
 * - A system call handed a page not present returns EFAULT or a short count. Access or populate
 *   the pages first.
 * - An access to a page not present kills the process if the thread blocks SIGSEGV. An access past
 *   the end of the file kills the process if the thread blocks or ignores SIGBUS.
 * - Pages pinned by the kernel (O_DIRECT, vmsplice, io_uring) outlive a truncate. Use
 *   ext2dax_pin() for such pages.
 * - A child process inherits no mapping. An access in the child is a SIGSEGV.
 * - A SIGSEGV handler installed later by the program receives the faults of mappings first. The
 *   handler must call the old action, as returned by sigaction(), with the same three arguments
 *   for every fault not its own. The library passes a fault outside all mappings on to the handler
 *   installed before. A later handler without this call ends the program at the first access.
 * - An access needs at most 9 KiB of stack (measured). A thread with an alternate signal stack
 *   needs an alternate stack of at least ext2dax_process_alternate_stack() bytes.
 * - The core itself accesses the memory of the image. Where the image file cannot be accessed (a
 *   sparse file on a full filesystem, a file truncated by another program, an I/O error), the
 *   kernel raises SIGBUS for an address in the image's memory, not in a mapping. Such a SIGBUS
 *   comes during a library call or while the handler resolves an access. Locks of the core may be
 *   held. A SIGBUS handler must end the program then, and must not jump out.
 *
 * Fault method `userfaultfd` (EXT2DAX_FAULT_METHOD_USERFAULTFD). The kernel sends a fault message
 * for every access to a page not present, by a thread or by a system call. System calls work on
 * mappings as on any other memory. The method needs a privilege (CAP_SYS_PTRACE,
 * vm.unprivileged_userfaultfd, or access to /dev/userfaultfd). Each process object takes two
 * threads. Each mapping takes twice the addresses and a descriptor, or two descriptors if private
 * and writable. An access costs a few times as much as by `sigsegv`. Differences are
 * - An access past the end of the file is a SIGBUS raised by the kernel. In a system call such an
 *   access is EFAULT, and so is an access without space.
 * - A system call may store to a page read before, or written back by fsync, where the image lies
 *   on tmpfs or in a memfd and Linux is 5.19 or later. Pages read in a writable mapping are not
 *   mapped by huge pages then, because a store to any of the pages must be reported. Elsewhere
 *   such a store is resolved as by `sigsegv`, and is EFAULT in a system call.
 * - A store as in the last sentence, an access without space or after an I/O error, and an access
 *   near the kernel's limit of mappings raise SIGSEGV in the accessing thread. The rules for later
 *   SIGSEGV handlers, blocked signals and stacks hold for this method too.
 * - The host's functions run in a thread of the library, and so does a SIGBUS handler for an
 *   address in the image's memory. Neither may access a mapping in that thread. The thread would
 *   wait for itself.
 * - Pages pinned by the kernel and child processes are as by `sigsegv`.
 *
 * A signal handler may interrupt a library call and access a mapping, by either method. The access
 * is resolved where the call holds no lock taken by a fault. A read or write holds no such lock
 * while it copies to or from the caller's buffer. Under such a lock the thread would wait for
 * itself, and the access is a SIGBUS instead, or kills the process if the thread blocks
 * SIGSEGV. ext2dax_locks_held() reports the state in advance. Only the lock backends `atomic_ops`
 * and `pthread` detect the state. With locks of the program's own the thread waits forever. With
 * ext2dax_locks_none() the program aborts. No backend detects a store in a handler which
 * interrupted ext2dax_freeze(). The store waits for the thaw, and the freeze for the handler.
 *
 * By either method a store to a frozen filesystem is tried again every few milliseconds, less often
 * while many threads wait. Signals are delivered between the tries, and a signal handler may jump
 * out of the store.
 *
 * Once the mount is read-only (ext2dax_remount()), a store through a shared mapping is a SIGBUS. No
 * report is made, because the image has no fault. Loads and private copies continue to work.
 *
 * Private copies. The first store to a page of a private mapping copies the page. A truncate to a
 * smaller size discards the copies of all pages wholly past the new end. An access to such a page
 * is a SIGBUS until the file is extended again, and shows the file afterwards. The copy of the page
 * holding the new end stays as before. Punch discards no copy. Eviction keeps copies. A page
 * without a copy shows the file, and truncate and punch remove its PTE as in a shared mapping.
 *
 * Huge pages. An aligned extent backing a whole PMD range of a file (2 MiB, or the size derived
 * from the page size of the mount) is mapped in a single piece, so the kernel can map it by a
 * single huge entry. For this a mapping lies at an address congruent to its offset in the file, and
 * so does the mapping of the image. The memory of the image decides whether the kernel does
 * - tmpfs needs the mount option huge=always, within_size or advise. The library asks for huge
 *   pages by MADV_HUGEPAGE.
 * - /dev/shm and a memfd have no huge pages by default. Use the option `collapse`.
 * - fsdax needs no option, if the filesystem stores the image file in aligned extents of 2 MiB.
 * - devdax needs no option. A device with an alignment of 2 MiB or more maps nothing smaller. An
 *   access to a page outside every aligned extent is a SIGBUS there. For files of any layout
 *   create the device with an alignment of 4 KiB, or use fsdax.
 * - The page cache of a disk filesystem has no huge pages.
 *
 * fsync write-protects a whole huge page at once and does not split the huge page. Small pages are
 * write-protected separately.
 *
 * Kernel mappings. Linux grants a process vm.max_map_count kernel mappings (65,530). The library
 * counts its own as the kernel does, and keeps the count at or below `max_mappings`. At that limit
 * the PMD range mapped first is evicted, and mapped again at the next access. The count has
 * - by `sigsegv` one for the pages not present of all mappings together, or a few, because mappings
 *   lie side by side in reserved addresses
 * - by `userfaultfd` two per mapping, with or without present pages
 * - one per mapping of more than about 200 MiB, for the record of its pages
 * - two per run of neighbouring blocks mapped with equal permissions. The first is the run itself,
 *   the second the rest of the mapping after the run. A run directly before another run takes one,
 *   and so does by `userfaultfd` a run at the beginning or the end of the mapping. A mapping with a
 *   single present page therefore takes two by `sigsegv`, and two to four by `userfaultfd`.
 * - up to 17 in reserve. At the kernel's limit nothing can be evicted, because eviction takes a
 *   kernel mapping for a moment. If the program has taken all mappings granted by the kernel, pages
 *   are mapped from the reserve.
 *
 * Not counted are the image's own mapping, the stacks of the two threads by `userfaultfd`, and
 * kernel mappings split by the program with mlock(), mprotect() or madvise().
 */
#ifndef EXT2DAX_HOSTED_PROCESS_H
#define EXT2DAX_HOSTED_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
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

/* Fault methods, as described above. */
enum ext2dax_fault_method {
    EXT2DAX_FAULT_METHOD_SIGSEGV,    /* a signal handler resolves in the accessing thread */
    EXT2DAX_FAULT_METHOD_USERFAULTFD /* a thread of the process object resolves fault messages */
};

/*
 * Reports whether this process can use the fault method. Stores an explanation in words in *why, or
 * NULL where no explanation exists. Tries userfaultfd and a memfd, and closes both. Does not block.
 * `sigsegv` can always be used, except in a build without faults.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL       no such fault method
 *   EOPNOTSUPP   this build or this kernel lacks the method (Linux 5.13), or the process runs under
 *                Valgrind
 *   EPERM        the process lacks the privilege for userfaultfd
 *   EMFILE       the process has no free descriptor
 *   ENFILE       the system has no free descriptor
 *
 * A failure of the UFFDIO_API ioctl is returned as EINVAL.
 */
EXT2DAX_API int ext2dax_process_may(enum ext2dax_fault_method method, const char **why);

/* Options of ext2dax_process_open(). All-zero is a good default. */
struct ext2dax_process_options {
    /* sizeof this struct at the caller. Members beyond count as 0. */
    size_t size;
    /* fault method */
    enum ext2dax_fault_method method;
    /*
     * Limit of kernel mappings at any time, counted as above. 0 stands for half of
     * vm.max_map_count. A limit below 16 counts as 16, by `userfaultfd` a limit below 24 as 24.
     */
    size_t max_mappings;
    /*
     * Makes the kernel collapse the image's memory under a mapped huge page of a file into a huge
     * page (MADV_COLLAPSE, Linux 6.1). For images without huge pages from their filesystem, as on
     * /dev/shm and in a memfd. Takes about 1 ms for 2 MiB, once, during the access, with no lock
     * held. Memory the kernel cannot collapse stays unchanged.
     */
    bool collapse;
};

/*
 * Opens an address space over memory opened with ext2dax_memory_open_file() or its variants. Pass
 * ext2dax_process_address_space() to ext2dax_mount() as a plug. The process object is the ctx.
 *
 * `locks` serve the list of mappings and the page table of the process object. The fault handler
 * takes them. Hence `atomic_ops` and `pthread` are suitable, and `none` by `sigsegv` in a program
 * with a single thread. A backend of the program's own must be usable in a signal handler.
 *
 * The first open process object installs handlers of SIGSEGV and SIGBUS. The handlers pass faults
 * outside all mappings to the handlers installed before. Closing the last process object restores
 * the latter, unless a host still needs the handlers (hosted/host.h) or the program has installed
 * others since. Waits for a concurrent open or close. `options` may be NULL. On failure *process is
 * NULL, and nothing has changed.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL       memory without a file descriptor, no such fault method, or locks without a
 *                required op (the table of ops is copied)
 *   EINVAL       ext2dax_locks_none() by `userfaultfd`, because its two threads need locks
 *   EINVAL       the calling thread has an alternate stack smaller than
 *                ext2dax_process_alternate_stack()
 *   EINVAL       the UFFDIO_API ioctl failed
 *   EOPNOTSUPP   this build or this kernel lacks the fault method
 *   EPERM        the process lacks the privilege for userfaultfd
 *   EBUSY        eight handlers of the library are already buried under handlers installed later
 *                by the program
 *   ENOMEM       no memory, or the init op of the locks has none
 *   EMFILE       by `userfaultfd`, the process has no free descriptor
 *   ENFILE       by `userfaultfd`, the system has no free descriptor
 *   EAGAIN       by `userfaultfd`, the system starts no further thread
 *
 * An error of eventfd(), pipe2(), pthread_create() or sigaction() besides these, and an error of
 * the init op, is returned with its own number.
 */
EXT2DAX_API int ext2dax_process_open(const struct ext2dax_memory *memory, struct ext2dax_locks locks,
                                     const struct ext2dax_process_options *options, struct ext2dax_process **process);
/*
 * Returns the least size in bytes of an alternate signal stack (sigaltstack()) for a thread with
 * accesses to mappings. The size covers the signal frame of this processor and the handler in this
 * build. On a smaller rest of the stack an access is a SIGBUS, and the first in a process writes a
 * line to stderr. Returns 0 in a build without faults. Async-signal-safe.
 */
EXT2DAX_API size_t ext2dax_process_alternate_stack(void);
/* Returns the address-space plug of the process object. The plug is valid until the close. */
EXT2DAX_API struct ext2dax_address_space ext2dax_process_address_space(struct ext2dax_process *process);
/*
 * Closes the process object. Call after ext2dax_unmount(). Waits until no fault handler uses the
 * object and, by `userfaultfd`, until both threads have ended.
 *
 * Returns 0 or a negative errno
 *
 *   EBUSY        mappings exist, and nothing has changed
 *   EOPNOTSUPP   a build without faults
 */
EXT2DAX_API int ext2dax_process_close(struct ext2dax_process *process);

/* Allows stores. Otherwise a store is a SIGSEGV for the program. */
#define EXT2DAX_MAP_WRITE 0x1u
/* Copy-on-write. Stores stay in this process. */
#define EXT2DAX_MAP_PRIVATE 0x2u
/*
 * Populates the mapping for reading before the call returns, up to the end of the file. A failure
 * is ignored, and the access to the page fails instead.
 */
#define EXT2DAX_MAP_POPULATE 0x4u
/*
 * Allows execution of code in the file. Otherwise a jump into the mapping is a SIGSEGV for the
 * program. Where the processor needs it, call the compiler's __builtin___clear_cache() on the
 * mapping after storing the code.
 */
#define EXT2DAX_MAP_EXEC 0x8u

/*
 * Maps the bytes [offset, offset + length) of a regular file at an address chosen by the library,
 * congruent to the offset modulo a PMD range. `offset` is a multiple of the mount's page size.
 * `length` is rounded up to whole pages, and the rest of the last page shows the file too. The
 * range may extend past the end of the file. An access there is a SIGBUS with the accessed address.
 *
 * The mapping holds a reference to the inode. A private writable mapping takes a descriptor, and by
 * `userfaultfd` each mapping takes one more. Pages of other mappings may be evicted to make room.
 * Waits for faults in progress, and with EXT2DAX_MAP_POPULATE for the image. The caller holds no
 * lock of the library. On failure *address is NULL, the reference is dropped, and nothing is
 * mapped.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL       unknown flags, `length` 0, `offset` not a multiple of the page size, not a regular
 *                file, or an inode of an image other than the memory of the process object
 *   EINVAL       a child process inherited the process object
 *   EOPNOTSUPP   the block size differs from the page size, the image does not begin at a page of
 *                its file, or the page size of the mount is no multiple of the system's
 *   EOPNOTSUPP   by `userfaultfd`, the kernel cannot move a shared mapping
 *   EOPNOTSUPP   a build without faults
 *   EOVERFLOW    `offset` + `length` overflows, or the address space cannot hold the mapping
 *   EROFS        a shared writable mapping, and the mount is read-only or has failed a write-back
 *   EPERM        a shared writable mapping of an immutable or append-only file
 *   EPERM        EXT2DAX_MAP_EXEC on a filesystem mounted noexec, or refused by the system's policy
 *   EFBIG        RLIMIT_FSIZE is below the mapped length, for a private writable mapping or by
 *                `userfaultfd`
 *   EMFILE       the process has no free descriptor
 *   ENFILE       the system has no free descriptor
 *   ENOMEM       no memory or no addresses
 *   ENOMEM       `max_mappings` has no room for the mapping and the pages a single instruction
 *                needs at once
 *   ENOMEM       the kernel grants no mappings for the reserve. Hence every mapping returned can be
 *                accessed.
 *   EAGAIN       by `userfaultfd`, RLIMIT_MEMLOCK is exceeded after mlockall(MCL_FUTURE)
 *
 * Any other error of memfd_create(), ftruncate(), mmap(), mremap(), mprotect(), madvise() or the
 * UFFDIO_REGISTER ioctl is returned with Linux's number.
 */
EXT2DAX_API int ext2dax_process_map(struct ext2dax_process *process, struct ext2dax_inode *inode, uint64_t offset,
                                    uint64_t length, unsigned flags, void **address);
/*
 * Makes the pages of [address, address + length) present, as accesses would, but without faults.
 * With `write` the pages are prepared for stores. Holes are allocated, and a private mapping gets
 * its copies. System calls handed these pages succeed by either method until truncate, punch or the
 * limit of kernel mappings removes a PTE, or until fsync or freeze write-protects the pages.
 *
 * Blocks while the image is read. With `write` in a shared mapping waits while the filesystem is
 * frozen, if a page is not writable yet. The caller holds no lock. Pages before a failed page stay
 * present.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL       the range is not wholly in a single mapping, or the mapping was removed meanwhile
 *   EINVAL       a child process inherited the process object
 *   EPERM        `write` in a mapping without EXT2DAX_MAP_WRITE
 *   EFAULT       a page lies past the end of the file
 *   ENOSPC       no free block
 *   ENOMEM       no memory, or more kernel mappings are needed than `max_mappings` allows. Ask for
 *                less.
 *   EROFS        the filesystem was remounted read-only
 *   EFBIG        RLIMIT_FSIZE allows no private copy
 *   EIO          the image cannot be read, or an earlier write-back has failed
 *   EUCLEAN      the image is corrupt
 *   EOPNOTSUPP   a build without faults
 */
EXT2DAX_API int ext2dax_process_populate(struct ext2dax_process *process, void *address, size_t length, bool write);
/*
 * Removes the whole mapping beginning exactly at `address`, and drops its inode reference. Part of
 * a mapping cannot be removed. Private copies are lost. No thread may access the mapping any more.
 * Waits for faults in progress. The last reference writes back dirty data and frees the blocks of
 * an unlinked inode. The caller holds no lock of the library.
 *
 * Returns 0 or a negative errno
 *
 *   EINVAL       no mapping begins at `address`, and nothing has changed
 *   EINVAL       a child process inherited the process object
 *   EOPNOTSUPP   a build without faults
 */
EXT2DAX_API int ext2dax_process_unmap(struct ext2dax_process *process, void *address);

/*
 * Finds the file mapped at `address`. Stores the inode, the byte of the file mapped at `address`,
 * and the number of bytes from `address` to the end of the mapping. A mapping ends with a whole
 * page, so the bytes found may exceed the `length` passed to ext2dax_process_map(), and may lie
 * past the end of the file.
 *
 * The call takes no reference. The inode is valid as long as the mapping, which holds a reference.
 * To use the inode after ext2dax_process_unmap() of the mapping, call ext2dax_inode_hold() before.
 * A program which unmaps in another thread must prevent an unmap between the two calls.
 *
 * Waits for a concurrent ext2dax_process_map() or ext2dax_process_unmap(), and for no fault. The
 * caller holds no lock of the library. Changes nothing. On failure *inode is NULL, and *offset and
 * *length are 0.
 *
 * Returns 0 or a negative errno
 *
 *   ENOENT       no mapping at the address. The guard page after a mapping belongs to none.
 *   EINVAL       a child process inherited the process object
 *   EOPNOTSUPP   a build without faults
 */
EXT2DAX_API int ext2dax_process_find(struct ext2dax_process *process, const void *address, struct ext2dax_inode **inode,
                                     uint64_t *offset, uint64_t *length);
/*
 * Makes durable every store made before the call through the shared mappings of
 * [address, address + length), as msync() with MS_SYNC does for mappings of the kernel. Does
 * ext2dax_fsync_range() of the part of the file mapped by each mapping in the range. Hence stores
 * by other mappings or by ext2dax_write() to the same PMD ranges of the file become durable as
 * well. The address needs no alignment. A `length` of 0 does nothing and returns 0.
 *
 * A private mapping in the range is skipped, because stores to it never reach the file. A read-only
 * shared mapping counts as any other, because another mapping may have stored to the same bytes.
 *
 * Addresses of no mapping do not stop the call. The mapped rest of the range is made durable, and
 * the call returns ENOMEM. Between two mappings always lie such addresses (the guard page), so a
 * range across mappings returns ENOMEM after the work. Call once per mapping, with the length from
 * ext2dax_process_find(), to tell a missing mapping apart. Any other error ends the call. Mappings
 * at lower addresses are durable then.
 *
 * The library write-protects the pages made durable, so the next store to each faults. A system
 * call handed such a page then behaves as described for each fault method.
 *
 * Blocks for the write-back. The call holds no lock of the process object during the write-back, so
 * faults and other calls continue, and another thread may remove the mapping. The call holds a
 * reference to the inode until then, and drops the reference as ext2dax_inode_put() does. The
 * caller holds no lock of the library. Works on a frozen filesystem and on a read-only mount.
 *
 * Returns 0 or a negative errno
 *
 *   ENOMEM       part of the range is not mapped. The rest is durable.
 *   ENOMEM       `address` + `length` overflows, and nothing was done
 *   EIO          a write-back or fence failed, now or earlier on this mount, or a pointer block
 *                holds poison
 *   EUCLEAN      the image is corrupt
 *   EINVAL       a child process inherited the process object
 *   EOPNOTSUPP   a build without faults
 */
EXT2DAX_API int ext2dax_process_sync(struct ext2dax_process *process, const void *address, size_t length);

/*
 * Counters since the opening. The caller sets `size` to its sizeof before the call. Members beyond
 * are not written. `mapped`, `evicted`, `huge` and `collapsed` mean the same by both fault methods.
 * The others differ as described.
 */
struct ext2dax_process_counters {
    size_t size; /* sizeof this struct at the caller */
    /*
     * Faults in mappings which were resolved or ended in SIGBUS. By `userfaultfd` fault messages
     * count too, and a refused access by a thread usually counts twice, for its message and for its
     * SIGSEGV. Populating counts nothing, nor does an access refused under locks or for want of
     * stack.
     */
    uintptr_t traps;
    uintptr_t mapped; /* runs of pages mapped, by faults and by populating */
    /*
     * Runs of pages unmapped. Runs unmapped instead of write-protected count here too. By
     * `userfaultfd` this holds for huge pages, and for all pages of an image neither on tmpfs nor
     * in a memfd. Pages made not present again after a refused access count here by `userfaultfd`.
     */
    uintptr_t revoked;
    /* Runs of pages write-protected. By `userfaultfd` a run ends with its PMD range. */
    uintptr_t protections;
    /*
     * Faults which ended in SIGBUS for any reason. By `sigsegv` accesses past the end of the file,
     * without space, without memory, after an I/O error and in a corrupt image all count. By
     * `userfaultfd` the kernel itself refuses an access past the end, and such accesses do not
     * count. The others usually count twice in a thread, and once in a system call, which returns
     * EFAULT.
     */
    uintptr_t sigbus;
    uintptr_t evicted;   /* PMD ranges evicted at the limit of kernel mappings */
    uintptr_t huge;      /* PMD ranges of a file mapped as a single aligned extent */
    uintptr_t collapsed; /* successful calls of MADV_COLLAPSE, including memory already huge */
};
/* Reads the counters, each separately. Takes no lock. Cannot fail. */
EXT2DAX_API void ext2dax_process_count(const struct ext2dax_process *process,
                                       struct ext2dax_process_counters *counters);

#ifdef __cplusplus
}
#endif
#endif
