/* SPDX-License-Identifier: MIT */
/* Copies between the image and a caller's buffer that survive a fault in the buffer. */
#ifndef E2DH_HOSTED_GUARDED_COPY_H
#define E2DH_HOSTED_GUARDED_COPY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Implement copy_out and copy_in of the host plug. Return a short count if the caller's buffer
 * cannot be accessed, provided that the library's handlers (fault_handler.h) are installed for
 * SIGSEGV and SIGBUS.
 */
size_t e2dh_guarded_copy_out(void *to_caller, const void *from_image, size_t bytes);
size_t e2dh_guarded_copy_in(void *to_image, const void *from_caller, size_t bytes);

/*
 * Counts the users of userfaultfd. With userfaultfd the kernel itself refuses an access to a
 * caller's buffer, by a SIGBUS that no handler of the library has raised. While the count is not 0
 * and a program's handler of SIGBUS is on top, copies first ask the kernel which bytes are
 * accessible.
 */
void e2dh_guard_refusals(bool begin);

#endif
