/* SPDX-License-Identifier: MIT */
/*
 * The library's handler of SIGSEGV and SIGBUS. Resolves faults of the library and passes foreign
 * faults to the handler installed before.
 */
#ifndef E2DH_HOSTED_FAULT_HANDLER_H
#define E2DH_HOSTED_FAULT_HANDLER_H

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

enum e2dh_resolution {
    E2DH_RESOLUTION_FOREIGN, /* not an address of ours, pass to the earlier handler */
    E2DH_RESOLUTION_RETRY,   /* retry the access */
    E2DH_RESOLUTION_SIGBUS   /* the access cannot succeed, raise SIGBUS at *address */
};

/*
 * Installs the library's handler of `number` (SIGSEGV or SIGBUS) on top of the current handler. The
 * caller passes *layer back to e2dh_handler_remove(). The last removal restores the earlier
 * handler, unless a foreign handler is on top. Neither call is async-signal-safe.
 *
 * Returns 0 or a negative errno
 *
 *     EBUSY    foreign handlers already separate as many layers as are kept
 *     other    error of sigaction()
 */
int e2dh_handler_add(int number, unsigned *layer);
void e2dh_handler_remove(int number, unsigned layer);

/*
 * Does the kernel call the library's handler first? False if the program has installed another
 * handler on top. Makes a system call.
 */
bool e2dh_handler_is_first(int number);

/*
 * Registers the function to resolve SIGSEGV. The registration is permanent. The function runs in
 * the thread that made the access, with every signal blocked but SIGBUS. The function must be
 * async-signal-safe, and may change *address.
 */
void e2dh_handler_resolve(enum e2dh_resolution (*resolve)(const siginfo_t *info, const ucontext_t *context,
                                                          void **address));

#endif
