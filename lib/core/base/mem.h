/* SPDX-License-Identifier: MIT */
/* The four memory functions which the embedding program must provide. */
#ifndef E2D_BASE_MEM_H
#define E2D_BASE_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);
int memcmp(const void *a, const void *b, size_t length);

#endif
