/* SPDX-License-Identifier: MIT */
/*
 * The default lock. A first-come, first-served reader/writer lock in a single word, built on
 * libatomic_ops only.
 *
 * The word has 64 bits. The widths on 32-bit targets are in parentheses.
 *
 *     writer 1 | counted 2 | sleepers 13 (5) | next 16 (8) | read 16 (8) | write 16 (8)
 *
 * Each new reader or writer draws ticket `next`. A reader enters when `read` reaches the ticket of
 * the reader and advances `read` at once, so a reader with the next ticket can enter too. A leaving
 * reader advances `write`. A writer enters when `write` reaches the ticket of the writer, because
 * all earlier holders have left then. A leaving writer advances both. Hence
 *
 *     write <= read <= next      in ticket order
 *     read - write               readers inside
 *     next - write               holders and waiters together
 *     writer                     a writer is inside (held() need not guess which kind of waiter
 *                                has the current ticket)
 *     counted                    the kinds of holders that lock_count.h counts, readers and
 *                                writers, constant
 *
 * Each waiter waits for smaller tickets only, so no waiter starves as long as holders leave.
 *
 * Limits. A lock has at most 65535 (255) holders and waiters. Callers of a full lock yield until
 * the lock has room, which is correct but out of turn. A lock has at most 8191 (31) sleepers.
 * Further waiters yield instead of sleeping.
 *
 * Sleeping. A waiter that has spun in vain adds itself to `sleepers` and sleeps on the half of the
 * word with `read` and `write`. Each sleeper uses a wake-up bit selected by ticket (16 bits for
 * readers, 16 for writers), so a wake hits the next in turn instead of all sleepers. No wake-up is
 * lost. The count and both turns lie in a single word, so the addition of the sleeper and the
 * change passing the turn are ordered. If the addition is first, the other thread sees the count
 * and wakes. The kernel queues the sleeper before comparing the value, so either the wake finds the
 * sleeper or the comparison fails. If the change is first, the compare-and-swap of the addition
 * fails, and the waiter sees the new turn. A thread passing a turn on while the lock has sleepers
 * wakes the next holder
 *
 *     write_unlock     `read` and `write` reach the same ticket, wakes the reader or writer
 *     reader entering  advances `read`, wakes a reader
 *     read_unlock      advances `write`, wakes a writer, but only when `write` has reached `read`
 *                      (otherwise the turn belongs to a reader inside)
 *
 * A wake after the memory of the lock is freed does no harm. The kernel does not read the word, and
 * woken sleepers check the word again.
 *
 * Ordering. Every change is a read-modify-write. So the release of a leaving holder heads a release
 * sequence, and the acquire of an entering holder reads from the sequence, regardless of changes in
 * between. The lock works in a signal handler as long as the interrupted code neither holds nor is
 * taking the lock. The lock uses no heap and no thread identity, and preserves errno. Hence any
 * thread may unlock.
 */
#include <limits.h>
#include <stddef.h>

#include "lock_count.h"
#include "lock_misuse.h"
#include "lock_platform.h"
#include "race_detector.h"

#define WORD_BITS E2DH_LOCK_BITS
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
#define COUNTED_SHIFT (WORD_BITS - 3)
#define ALL_SLEEPERS  (((AO_t)1 << COUNTED_SHIFT) - ONE_SLEEPER)

_Static_assert(sizeof(AO_t) == sizeof(uintptr_t), "libatomic_ops' word is not a pointer wide");
_Static_assert(sizeof(AO_t) * CHAR_BIT == WORD_BITS, "word width");
_Static_assert(READ_SHIFT + TICKET_BITS <= 32, "both turns must lie in the half that the kernel compares");

/*
 * A waiter further back than this many tickets does not spin, because its turn would not come
 * within the spin time.
 */
#define SPIN_NEAR 2u

static volatile AO_t *word(struct ext2dax_lock *lock)
{
    return (volatile AO_t *)&lock->word;
}

static AO_t field(AO_t w, unsigned shift)
{
    return (w >> shift) & TICKET_MASK;
}

/*
 * Are holders of this kind counted? The bits never change, so a test harness needs no scheduling
 * point for this load.
 */
static bool is_counted(const volatile AO_t *at, unsigned holders)
{
    return (AO_load(at) >> COUNTED_SHIFT & holders) != 0;
}

/* Increments a field, which wraps without changing the neighbouring field. */
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

/* Waits until the turn at `shift` reaches `ticket`, then enters. Returns the word as stored. */
static AO_t enter_in_turn(volatile AO_t *at, AO_t ticket, unsigned shift, uint32_t bit)
{
    AO_t counted = 0;

    for (unsigned spins = 0;;) {
        AO_t w = e2dh_word_load(at);

        if (field(w, shift) == ticket) {
            AO_t entered = (shift == READ_SHIFT ? advance(w, READ_SHIFT) : w | WRITER) - counted;

            if (e2dh_word_swap_acquire(at, w, entered))
                return entered;
            continue;
        }
        if (spins < E2DH_LOCK_SPINS && ((ticket - field(w, shift)) & TICKET_MASK) <= SPIN_NEAR) {
            spins++;
            e2dh_relax();
            continue;
        }
        if (!counted) {
            if ((w & ALL_SLEEPERS) == ALL_SLEEPERS) {
                e2dh_give_way();
                continue;
            }
            if (!e2dh_word_swap(at, w, w + ONE_SLEEPER))
                continue;
            counted = ONE_SLEEPER;
            w += ONE_SLEEPER;
        }
        e2dh_sleep_on(at, w, bit);
    }
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t ticket, w;

    (void)ctx;
    if (is_counted(at, E2DH_COUNT_SHARED))
        e2dh_locks_count();
    for (;;) {
        w = e2dh_word_load(at);
        ticket = field(w, NEXT_SHIFT);
        if (holders_and_waiters(w) == TICKET_MASK) {
            e2dh_give_way();
        } else if (field(w, READ_SHIFT) == ticket) {
            if (e2dh_word_swap_acquire(at, w, advance(advance(w, NEXT_SHIFT), READ_SHIFT))) {
                e2dh_tell_entered(lock, false);
                return;
            }
        } else if (e2dh_word_swap(at, w, advance(w, NEXT_SHIFT))) {
            break;
        }
    }
    w = enter_in_turn(at, ticket, READ_SHIFT, reader_bit(ticket));
    if (w & ALL_SLEEPERS)
        e2dh_wake(at, reader_bit(field(w, READ_SHIFT)));
    e2dh_tell_entered(lock, false);
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    AO_t ticket, w;

    (void)ctx;
    if (is_counted(at, E2DH_COUNT_EXCLUSIVE))
        e2dh_locks_count();
    for (;;) {
        w = e2dh_word_load(at);
        ticket = field(w, NEXT_SHIFT);
        if (holders_and_waiters(w) == TICKET_MASK) {
            e2dh_give_way();
        } else if (field(w, WRITE_SHIFT) == ticket) {
            if (e2dh_word_swap_acquire(at, w, advance(w, NEXT_SHIFT) | WRITER)) {
                e2dh_tell_entered(lock, true);
                return;
            }
        } else if (e2dh_word_swap(at, w, advance(w, NEXT_SHIFT))) {
            break;
        }
    }
    enter_in_turn(at, ticket, WRITE_SHIFT, writer_bit(ticket));
    e2dh_tell_entered(lock, true);
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    bool counted = is_counted(at, E2DH_COUNT_SHARED);
    AO_t w;

    (void)ctx;
    if (counted)
        e2dh_locks_count();
    do {
        w = e2dh_word_load(at);
        if (field(w, READ_SHIFT) != field(w, NEXT_SHIFT) || holders_and_waiters(w) == TICKET_MASK) {
            if (counted)
                e2dh_locks_discount();
            return false;
        }
    } while (!e2dh_word_swap_acquire(at, w, advance(advance(w, NEXT_SHIFT), READ_SHIFT)));
    e2dh_tell_entered(lock, false);
    return true;
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    bool counted = is_counted(at, E2DH_COUNT_EXCLUSIVE);
    AO_t w;

    (void)ctx;
    if (counted)
        e2dh_locks_count();
    do {
        w = e2dh_word_load(at);
        if (holders_and_waiters(w) != 0) {
            if (counted)
                e2dh_locks_discount();
            return false;
        }
    } while (!e2dh_word_swap_acquire(at, w, advance(w, NEXT_SHIFT) | WRITER));
    e2dh_tell_entered(lock, true);
    return true;
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    bool counted = is_counted(at, E2DH_COUNT_SHARED); /* the lock may be freed once released */
    AO_t w, left;

    (void)ctx;
    e2dh_tell_leaving(lock, false);
    do {
        w = e2dh_word_load(at);
        if (readers(w) == 0)
            e2dh_lock_misuse("read unlock without a reader");
        left = advance(w, WRITE_SHIFT);
    } while (!e2dh_word_swap_release(at, w, left));
    if ((left & ALL_SLEEPERS) && readers(left) == 0)
        e2dh_wake(at, writer_bit(field(left, WRITE_SHIFT)));
    if (counted)
        e2dh_locks_discount();
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    bool counted = is_counted(at, E2DH_COUNT_EXCLUSIVE);
    AO_t w, left;

    (void)ctx;
    e2dh_tell_leaving(lock, true);
    do {
        w = e2dh_word_load(at);
        if (!(w & WRITER))
            e2dh_lock_misuse("write unlock without a writer");
        left = advance(advance(w, WRITE_SHIFT), READ_SHIFT) & ~WRITER;
    } while (!e2dh_word_swap_release(at, w, left));
    if (left & ALL_SLEEPERS)
        e2dh_wake(at, reader_bit(field(left, READ_SHIFT)) | writer_bit(field(left, WRITE_SHIFT)));
    if (counted)
        e2dh_locks_discount();
}

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    AO_store(word(lock), (AO_t)e2dh_counted_holders(lock_class, number) << COUNTED_SHIFT);
    e2dh_tell_loading(lock, sizeof(*lock));
    return 0;
}

static void destroy(void *ctx, struct ext2dax_lock *lock)
{
    AO_t w = AO_load_acquire(word(lock));

    (void)ctx;
    if (holders_and_waiters(w) != 0 || (w & (ALL_SLEEPERS | WRITER)) != 0)
        e2dh_lock_misuse("destroyed while held");
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    AO_t w = e2dh_word_load((const volatile AO_t *)&lock->word);

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
