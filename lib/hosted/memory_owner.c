/* SPDX-License-Identifier: MIT */
/*
 * Claims, and the identity of this process.
 *
 * A process is distinguished from parent and children by a word in a page. The kernel clears the
 * page in a child (MADV_WIPEONFORK, Linux 4.14), whichever system call created the child. Process
 * numbers are drawn from a counter in memory inherited by the child. So the number of a child is
 * never a number of the parent. Without such a page the process id is used, at the cost of a system
 * call each time. An emulator may accept every advice and implement none. Such an emulator also
 * accepts a nonexistent advice and so reveals itself. The process id is used then too.
 */
#include "memory_owner.h"

#include <sys/mman.h>
#include <unistd.h>

#include "ext2dax/error.h"

#define WRITTEN   UINTPTR_MAX
#define NO_ADVICE 0x7FFFFFFF

#if !defined(MADV_WIPEONFORK)
#define MADV_WIPEONFORK 18
#endif

static bool grant(uintptr_t *claims, enum ext2dax_claim held, enum ext2dax_claim wanted)
{
    if (held == EXT2DAX_CLAIM_WRITE)
        *claims = 0;
    else if (held == EXT2DAX_CLAIM_READ)
        *claims -= 1;
    if (wanted == EXT2DAX_CLAIM_NONE)
        return true;
    if (wanted == EXT2DAX_CLAIM_WRITE ? *claims != 0 : *claims >= WRITTEN - 1)
        return false;
    *claims = wanted == EXT2DAX_CLAIM_WRITE ? WRITTEN : *claims + 1;
    return true;
}

int e2dh_change_claim(e2dh_claims *claims, enum ext2dax_claim held, enum ext2dax_claim wanted)
{
    uintptr_t old = atomic_load(claims), new;

    do {
        new = old;
        if (!grant(&new, held, wanted))
            return -EXT2DAX_EBUSY;
    } while (!atomic_compare_exchange_weak(claims, &old, new));
    return 0;
}

/* NULL if not yet initialized, &none without such a page. */
static _Atomic(_Atomic uintptr_t *) page;
static _Atomic uintptr_t none;
static _Atomic uintptr_t counted;

static _Atomic uintptr_t *find_page(void)
{
    _Atomic uintptr_t *made = atomic_load(&page), *there = NULL;
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);

    if (made)
        return made;
    made = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made != MAP_FAILED && (madvise(made, bytes, MADV_WIPEONFORK) != 0 || madvise(made, bytes, NO_ADVICE) == 0)) {
        munmap(made, bytes);
        made = MAP_FAILED;
    }
    if (made == MAP_FAILED)
        made = &none; /* permanent, because numbers of the two kinds cannot be compared */
    if (atomic_compare_exchange_strong(&page, &there, made))
        return made;
    if (made != &none)
        munmap(made, bytes);
    return there;
}

uintptr_t e2dh_process_number(void)
{
    _Atomic uintptr_t *at = find_page();
    uintptr_t number, unnumbered = 0;

    if (at == &none)
        return (uintptr_t)getpid();
    number = atomic_load(at);
    if (number != 0)
        return number;
    number = atomic_fetch_add(&counted, 1) + 1;
    return atomic_compare_exchange_strong(at, &unnumbered, number) ? number : unnumbered;
}

bool e2dh_is_this_process(uintptr_t number)
{
    _Atomic uintptr_t *at = atomic_load(&page);

    return number == (at && at != &none ? atomic_load_explicit(at, memory_order_relaxed) : (uintptr_t)getpid());
}
