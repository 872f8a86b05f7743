/* SPDX-License-Identifier: MIT */
/*
 * Default host hooks. malloc, the system clock, reports to stderr, abort, and copies with recovery
 * from a bad caller's buffer.
 *
 * ext2dax_read() and ext2dax_write() return a short count or EFAULT where the caller's buffer
 * cannot be accessed. ext2dax_readlink() and the calls of xattr.h return EFAULT. Such a buffer is
 * not mapped, lies past the end of a mapped file, or belongs to a mapping of hosted/process.h
 * without space. To recover, a host installs handlers of SIGSEGV and SIGBUS. The first
 * ext2dax_host_default() installs the handlers for good, ext2dax_host_open() until
 * ext2dax_host_close(). Every other fault is passed to the handler installed before, called as by
 * the kernel, or ends the program as without these handlers. Requirements for the program are
 * - A handler of SIGSEGV or SIGBUS installed later by the program must call the handler before (the
 *   old action returned by sigaction()) for faults not its own. Without this call a bad buffer is a
 *   fault of the program again. A later handler of SIGBUS alone without the call still allows
 *   recovery from mappings by `userfaultfd`, because the library tests the buffer with madvise()
 *   first (Linux 5.14).
 * - A bad buffer kills the process if the thread blocks SIGSEGV or SIGBUS.
 * - Faults in the image's own memory are not recovered (hosted/process.h names the causes).
 */
#ifndef EXT2DAX_HOSTED_HOST_H
#define EXT2DAX_HOSTED_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../export.h"
#include "../host.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Returns the default host. Writes reports of level WARNING and above to stderr, a line per report.
 * The effective user id 0, read at the first query, may use reserved blocks. All default hosts of a
 * process share a reserve of 64 KiB for allocations in a signal handler. The first call installs
 * the handlers described above. If the installation fails, a bad buffer is a fault of the program.
 * Cannot fail otherwise. Does not block.
 *
 * The shared reserve is too small for a signal handler of the program with larger needs, or for
 * many such handlers at a time (see ext2dax_host_in_handler()). ext2dax_host_open() gives a host a
 * larger reserve of its own.
 *
 * Cancellation. No call of the library is a cancellation point with the plugs in hosted/. A
 * cancelled thread ends at its first own cancellation point. A thread allowing asynchronous
 * cancellation during a library call or an access to a mapping leaves locks held, and is not
 * supported. SIGXFSZ and SIGPIPE do not end the process in a write by these plugs. The write
 * returns an error (EFBIG), or a line of the log is lost.
 */
EXT2DAX_API struct ext2dax_host ext2dax_host_default(void);

/* Options of ext2dax_host_open(). All-zero is a good default. */
struct ext2dax_host_options {
    size_t size; /* sizeof this struct at the caller. Members beyond count as 0. */
    /*
     * Receives every report of any level. NULL writes to stderr as the default host does. Called in
     * a fault handler too, so must be async-signal-safe. Called with cancellation disabled.
     */
    void (*log)(void *arg, const struct ext2dax_report *report);
    void *log_arg;
    size_t reserve;   /* bytes for allocations in a signal handler, 0 for 256 KiB */
    bool no_handlers; /* installs no handlers, so a bad buffer is a fault of the program */
    /*
     * Returns true to cancel recovery at mount. Called with log_arg, many times a second. NULL
     * never cancels.
     */
    bool (*interrupted)(void *arg);
    /*
     * The present of this host for ever, copied when the host is opened. NULL asks the system. For
     * builders, so that equal files give equal images at any time.
     */
    const struct ext2dax_time *clock;
};

/*
 * Opens a host with the default hooks, a log of the caller and a reserve of its own. The reserve is
 * populated, and rounded up to a multiple of 16 KiB (8 KiB on 32-bit targets). `options` may be
 * NULL. Does not block. On failure *host is empty, and nothing has changed.
 *
 * Returns 0 or a negative errno
 *
 *   ENOMEM   no memory for the host or its reserve
 *   EBUSY    eight handlers of the library are already buried under handlers installed later by the
 *            program
 *
 * An error of sigaction() is returned with Linux's number.
 */
EXT2DAX_API int ext2dax_host_open(const struct ext2dax_host_options *options, struct ext2dax_host *host);
/*
 * Closes a host and empties *host. The caller has released all allocations made through the host.
 * Closing the last host and the last process object restores the handlers installed before, unless
 * the program has installed others since. After ext2dax_host_default() the handlers stay. A default
 * host is only emptied. Cannot fail. Does not block.
 */
EXT2DAX_API void ext2dax_host_close(struct ext2dax_host *host);

/*
 * Marks the calling thread as inside a fault handler (true at entry) or outside again (false at
 * exit). Calls nest in pairs. In between, allocations of the thread come from the host's reserve
 * and return NULL when the reserve is used up. Memory of malloc released in between returns to
 * malloc at a later call outside a handler. Memory from the reserve may be released anywhere.
 * Cannot fail. Async-signal-safe. Takes no lock.
 *
 * The fault handlers of hosted/process.h make these calls themselves. A program calls the function
 * in a signal handler of its own, around calls into the library, and so does a fault handler of the
 * program's own address space.
 *
 * Faults allocate nothing. The reserve serves other calls by a handler of the program, each of
 * which returns ENOMEM if the reserve has no contiguous room. Every allocation takes a multiple of
 * 256 bytes. ext2dax_inode_get() takes up to 256 bytes for an inode not in core. ext2dax_truncate()
 * and ext2dax_punch() take 4 bytes per cleared block pointer, at most about three blocks of the
 * filesystem for truncate and six for punch. The last put of an unlinked inode takes 256 bytes. A
 * read or write whose buffer maps the same bytes takes the length of the buffer. Truncates in files
 * with large blocks (192 KiB with 64 KiB blocks) and handlers in many threads at a time need more
 * than the shared 64 KiB. With ext2dax_locks_pthread() a handler must not make an inode object or
 * release its last reference, because the locks of the object come from malloc.
 */
EXT2DAX_API void ext2dax_host_in_handler(bool in_handler);

/*
 * Error detail. A report says which structure, number and value made a call fail. The hosts above
 * keep the last reports per thread, whether or not the caller has a log of its own.
 *
 *     uint64_t mark = ext2dax_host_mark();
 *     int error = ext2dax_mount(&plugs, &options, &mount);
 *     if (error) {
 *         char why[256];
 *         ext2dax_host_describe(mark, error, why, sizeof(why));
 *         fprintf(stderr, "%s: mount: %s\n", path, why);
 *     }
 *
 * A report belongs to a call if the report was made in the thread of the call, after a mark taken
 * before the call, and with the error returned by the call. Take the mark directly before the call.
 * Reports of an earlier call or of another thread are then never mistaken for the reason. error.h
 * lists the errors with a report. Of the functions in hosted/ which open or close an object, only
 * the functions opening a file make a report, with EBUSY for a loop device.
 *
 * The last four reports per thread are kept. Reading does not consume them. Marks nest, and several
 * readers may look for the same report. The functions are async-signal-safe, and take no lock and
 * no memory. A report outlives its mount and its host.
 */

/*
 * Returns a mark, the number of reports with an error made in the calling thread so far. Valid in
 * this thread only. 0 stands for the start of the thread. Cannot fail.
 */
EXT2DAX_API uint64_t ext2dax_host_mark(void);

/*
 * Finds the report of a call made by the calling thread since the mark, with the returned `error`
 * (0 matches any error). Among several reports takes the most severe level, and within a level the
 * last. Returns false without a report, and leaves *report unchanged. The call then found nothing
 * wrong in the image.
 */
EXT2DAX_API bool ext2dax_host_report(uint64_t mark, int error, struct ext2dax_report *report);

/*
 * Writes the same report as text, by ext2dax_report_text(), or the text of ext2dax_strerror()
 * without a report. Terminates the text when size > 0. Returns the length of the whole text.
 */
EXT2DAX_API size_t ext2dax_host_describe(uint64_t mark, int error, char *buffer, size_t size);

/*
 * Finds the reason of a refused access. Called by the thread receiving the SIGBUS of a mapping, in
 * the SIGBUS handler or after a jump out of the handler. Take the mark directly before the access.
 * The report is of the last fault resolved in the calling thread, if made since the mark, and of
 * several the most severe. Returns false without a report, and leaves *report unchanged. The access
 * then found nothing wrong in the image (the page lies past the end, or no block was free).
 *
 * Reports made between ext2dax_host_in_handler(true) and (false) are found by this function only.
 * Hence a fault during a call leaves the reports of the call alone. If another thread resolves the
 * faults of a host, the log must report the reason. By both fault methods of hosted/process.h the
 * accessing thread itself resolves a fault about to be refused. A system call refused with EFAULT
 * by `userfaultfd` leaves no report in its thread.
 */
EXT2DAX_API bool ext2dax_host_fault_report(uint64_t mark, struct ext2dax_report *report);

#ifdef __cplusplus
}
#endif
#endif
