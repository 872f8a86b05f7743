/* SPDX-License-Identifier: MIT */
/*
 * The default lock: a first-come, first-served reader/writer lock that is the word itself, by libatomic_ops alone.
 *
 * The word (64 bits; on 32-bit targets the widths in parentheses):
 *
 *     writer 1 | sleepers 15 (7) | next 16 (8) | read 16 (8) | write 16 (8)
 *
 * Whoever comes draws ticket `next`. A reader enters when `read` has come to its ticket and passes `read` on at once,
 * so that a reader behind it enters beside it; leaving, it passes `write` on. A writer enters when `write` has come to
 * its ticket: all before it have left. Leaving, it passes both on. Hence
 *
 *     write <= read <= next      in ticket order
 *     read - write               readers inside
 *     next - write               holders and waiters together
 *     writer                     a writer inside (so that held() need not guess who has the ticket in turn)
 *
 * Everyone waits for those with smaller tickets only, so nobody starves as long as holders leave.
 *
 * Limits. Holders and waiters of one lock: 65535 (255); who comes to a full lock yields until there is room, which is
 * right but out of turn. Sleepers: 32767 (127); who waits beyond them yields instead of sleeping.
 *
 * Sleeping. Who has spun in vain counts itself in `sleepers` and sleeps on the half of the word that holds `read` and
 * `write`, with a wake-up bit of its own (of 16 for readers and 16 for writers, by ticket), so that the one in turn is
 * woken and no herd. No wake-up is lost: the count and both turns are in one word, so the sleeper's addition and the
 * change that makes it its turn have an order. Addition first: the changer saw the count and wakes; the kernel queues
 * the sleeper before it compares the value, so either the wake finds it or the comparison fails. Change first: the
 * addition's compare-and-swap fails, and the turn is seen. Who passes a turn on while somebody sleeps wakes the one it
 * went to:
 *
 *     write_unlock     read and write come to one ticket: its reader or its writer
 *     reader entering  read: a reader
 *     read_unlock      write: a writer, but only when it has caught up with read (else it is the turn of one inside)
 *
 * A wake after the lock's memory is gone does no harm: the kernel does not look into it, and sleepers look again.
 *
 * Ordering. Every change is a read-modify-write, so a release by one who leaves heads a release sequence that the
 * acquire by one who enters reads from, whatever came between. In a signal handler it works as anywhere else, as long
 * as the code interrupted neither holds nor is taking the lock: no heap, no thread identity, errno preserved. Hence
 * too any thread may unlock.
 */
#include <limits.h>
#include <stddef.h>

#include "lock_misuse.h"
#include "lock_platform.h"
#include "race_detector.h"

#define WORD_BITS E2D_LOCK_BITS
#if WORD_BITS == 64
#define TICKET_BITS 16
#else
#define TICKET_BITS 8
#endif

#define WRITE_SHIFT   0
#define READ_SHIFT    TICKET_BITS
#define NEXT_SHIFT    (2 * TICKET_BITS)
#define SLEEPER_SHIFT (3 * TICKET_BITS)
#define TICKET_MASK   (((AO_t)1 << TICKET_BITS) - 1)
#define ONE_SLEEPER   ((AO_t)1 << SLEEPER_SHIFT)
#define WRITER        ((AO_t)1 << (WORD_BITS - 1))
#define ALL_SLEEPERS  (WRITER - ONE_SLEEPER)

_Static_assert(sizeof(AO_t) == sizeof(uintptr_t), "libatomic_ops' word is not a pointer wide");
_Static_assert(sizeof(AO_t) * CHAR_BIT == WORD_BITS, "word width");
_Static_assert(READ_SHIFT + TICKET_BITS <= 32, "both turns must lie in the half that the kernel compares");

/* Who is further back than this cannot be in turn as soon as it has spun. */
#define SPIN_NEAR 2u

static volatile AO_t *word(struct ext2dax_lock *lock)
{
    return (volatile AO_t *)&lock->word;
}

static AO_t field(AO_t w, unsigned shift)
{
    return (w >> shift) & TICKET_MASK;
}

/* One more in that field, which wraps without touching its neighbour. */
static AO_t advance(AO_t w, unsigned shift)
{
    AO_t mask = TICKET_MASK << shift;

    return (w & ~mask) | ((w + ((AO_t)1 << shift)) & mask);
}

static AO_t readers(AO_t w)
{
    return (field(w, READ_SHIFT) - field(w, WRITE_SHIFT)) & TICKET_MASK;
}

static AO_t holders_and_waiters(AO_t w)
{
    return (field(w, NEXT_SHIFT) - field(w, WRITE_SHIFT)) & TICKET_MASK;
}

static uint32_t reader_bit(AO_t ticket)
{
    return (uint32_t)1 << (ticket & 15);
}

static uint32_t writer_bit(AO_t ticket)
{
    return (uint32_t)1 << (16 + (ticket & 15));
}

/* Waits until the turn at `shift` has come to `ticket`, and enters; returns the word as it was left. */
static AO_t enter_in_turn(volatile AO_t *at, AO_t ticket, unsigned shift, uint32_t bit)
{
    AO_t counted = 0;

    for (unsigned spins = 0;;) {
        AO_t w = e2d_word_load(at);

        if (field(w, shift) == ticket) {
            AO_t entered = (shift == READ_SHIFT ? advance(w, READ_SHIFT) : w | WRITER) - counted;

            if (e2d_word_swap_acquire(at, w, entered))
                return entered;
            continue;
        }
        if (spins < E2D_LOCK_SPINS && ((ticket - field(w, shift)) & TICKET_MASK) <= SPIN_NEAR) {
            spins++;
            e2d_relax();
            continue;
        }
        if (!counted) {
            if ((w & ALL_SLEEPERS) == ALL_SLEEPERS) {
                e2d_give_way();
                continue;
            }
            if (!e2d_word_swap(at, w, w + ONE_SLEEPER))
                continue;
            counted = ONE_SLEEPER;
            w += ONE_SLEEPER;
        }
        e2d_sleep_on(at, w, bit);
    }
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t ticket, w;

    (void)ctx;
    for (;;) {
        w = e2d_word_load(at);
        ticket = field(w, NEXT_SHIFT);
        if (holders_and_waiters(w) == TICKET_MASK) {
            e2d_give_way();
        } else if (field(w, READ_SHIFT) == ticket) {
            if (e2d_word_swap_acquire(at, w, advance(advance(w, NEXT_SHIFT), READ_SHIFT))) {
                e2d_tell_entered(lock, false);
                return;
            }
        } else if (e2d_word_swap(at, w, advance(w, NEXT_SHIFT))) {
            break;
        }
    }
    w = enter_in_turn(at, ticket, READ_SHIFT, reader_bit(ticket));
    if (w & ALL_SLEEPERS)
        e2d_wake(at, reader_bit(field(w, READ_SHIFT)));
    e2d_tell_entered(lock, false);
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t ticket, w;

    (void)ctx;
    for (;;) {
        w = e2d_word_load(at);
        ticket = field(w, NEXT_SHIFT);
        if (holders_and_waiters(w) == TICKET_MASK) {
            e2d_give_way();
        } else if (field(w, WRITE_SHIFT) == ticket) {
            if (e2d_word_swap_acquire(at, w, advance(w, NEXT_SHIFT) | WRITER)) {
                e2d_tell_entered(lock, true);
                return;
            }
        } else if (e2d_word_swap(at, w, advance(w, NEXT_SHIFT))) {
            break;
        }
    }
    enter_in_turn(at, ticket, WRITE_SHIFT, writer_bit(ticket));
    e2d_tell_entered(lock, true);
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t w;

    (void)ctx;
    do {
        w = e2d_word_load(at);
        if (field(w, READ_SHIFT) != field(w, NEXT_SHIFT) || holders_and_waiters(w) == TICKET_MASK)
            return false;
    } while (!e2d_word_swap_acquire(at, w, advance(advance(w, NEXT_SHIFT), READ_SHIFT)));
    e2d_tell_entered(lock, false);
    return true;
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t w;

    (void)ctx;
    do {
        w = e2d_word_load(at);
        if (holders_and_waiters(w) != 0)
            return false;
    } while (!e2d_word_swap_acquire(at, w, advance(w, NEXT_SHIFT) | WRITER));
    e2d_tell_entered(lock, true);
    return true;
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t w, left;

    (void)ctx;
    e2d_tell_leaving(lock, false);
    do {
        w = e2d_word_load(at);
        if (readers(w) == 0)
            e2d_lock_misuse("read unlock without a reader");
        left = advance(w, WRITE_SHIFT);
    } while (!e2d_word_swap_release(at, w, left));
    if ((left & ALL_SLEEPERS) && readers(left) == 0)
        e2d_wake(at, writer_bit(field(left, WRITE_SHIFT)));
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t w, left;

    (void)ctx;
    e2d_tell_leaving(lock, true);
    do {
        w = e2d_word_load(at);
        if (!(w & WRITER))
            e2d_lock_misuse("write unlock without a writer");
        left = advance(advance(w, WRITE_SHIFT), READ_SHIFT) & ~WRITER;
    } while (!e2d_word_swap_release(at, w, left));
    if (left & ALL_SLEEPERS)
        e2d_wake(at, reader_bit(field(left, READ_SHIFT)) | writer_bit(field(left, WRITE_SHIFT)));
}

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)lock_class;
    (void)number;
    AO_store(word(lock), 0);
    e2d_tell_loading(lock, sizeof(*lock));
    return 0;
}

static void destroy(void *ctx, struct ext2dax_lock *lock)
{
    AO_t w = AO_load_acquire(word(lock));

    (void)ctx;
    if (holders_and_waiters(w) != 0 || (w & (ALL_SLEEPERS | WRITER)) != 0)
        e2d_lock_misuse("destroyed while held");
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    AO_t w = e2d_word_load((const volatile AO_t *)&lock->word);

    (void)ctx;
    return (w & WRITER) || (mode == EXT2DAX_LOCK_SHARED && readers(w) != 0);
}

struct ext2dax_locks ext2dax_locks_atomic_ops(void)
{
    static const struct ext2dax_lock_ops ops = {
        .size = sizeof(ops),
        .init = init,
        .destroy = destroy,
        .read_lock = read_lock,
        .read_unlock = read_unlock,
        .write_lock = write_lock,
        .write_unlock = write_unlock,
        .try_read_lock = try_read_lock,
        .try_write_lock = try_write_lock,
        .held = held,
    };

    return (struct ext2dax_locks){&ops, NULL};
}
