/* SPDX-License-Identifier: MIT */
/* The four functions the core expects from whatever it is linked into, and small helpers on plain memory. */
#ifndef E2D_MEM_H
#define E2D_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

#endif
