/* SPDX-License-Identifier: MIT */
/*
 * The default lock. A first-come, first-served reader/writer lock in a single word, built on
 * libatomic_ops only.
 *
 * The word has 64 bits. The widths on 32-bit targets are in parentheses.
 *
 *     writer 1 | counted 2 | biased 1 (0) | entries 1 (0) | reads 3 (0) | sleepers 8 (5) |
 *     next 16 (8) | read 16 (8) | write 16 (8)
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
 * the lock has room, which is correct but out of turn. A lock has at most 255 (31) sleepers.
 * Further waiters yield instead of sleeping.
 *
 * Bias. A lock that only readers use becomes biased. Readers of a biased lock leave the word alone
 * and enter by an entry of the table of lock_readers.h. A reader whose entry is stored checks that
 * the lock is still biased. Otherwise the reader gives the entry back and draws a ticket. A writer
 * ends the bias with the store that draws the ticket, so readers that come later wait behind the
 * writer. When the turn has come, the writer waits until no entry has the lock, if `entries` says
 * that there may be any. The writer clears `entries` when leaving. A writer that only tries leaves
 * `entries` set for the next writer. `reads` counts the tickets of readers since the last writer. A
 * reader that finds the count full and no waiter sets the bias. So a writer looks at all entries
 * only if at least 8 readers came since the last writer.
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
 * between. The release of a reader that leaves an entry is seen by the writer that loads the empty
 * entry. The lock works in a signal handler as long as the interrupted code neither holds nor is
 * taking the lock. The lock uses no heap, and preserves errno. Any thread may unlock for a writer,
 * but only the thread that has locked for a reader.
 */
#include <limits.h>
#include <stddef.h>

#include "lock_count.h"
#include "lock_misuse.h"
#include "lock_platform.h"
#include "lock_readers.h"
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
#if WORD_BITS == 64
#define BIASED      ((AO_t)1 << (COUNTED_SHIFT - 1))
#define ENTRIES     ((AO_t)1 << (COUNTED_SHIFT - 2))
#define READS_SHIFT (COUNTED_SHIFT - 5)
#define ONE_READ    ((AO_t)1 << READS_SHIFT)
#define ALL_READS   (ENTRIES - ONE_READ)
#else
#define BIASED      ((AO_t)0)
#define ENTRIES     ((AO_t)0)
#define READS_SHIFT COUNTED_SHIFT
#define ONE_READ    ((AO_t)0)
#define ALL_READS   ((AO_t)0)
#endif
#define ALL_SLEEPERS (((AO_t)1 << READS_SHIFT) - ONE_SLEEPER)

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

/* The word with a reader inside who found no other waiter. */
static AO_t enter_reader(AO_t w)
{
    w = advance(advance(w, NEXT_SHIFT), READ_SHIFT);
    if (w & BIASED)
        return w;
    return (w & ALL_READS) == ALL_READS ? w | BIASED | ENTRIES : w + ONE_READ;
}

/* The word with the ticket of a writer drawn, which ends the bias. */
static AO_t draw_writer(AO_t w)
{
    return advance(w, NEXT_SHIFT) & ~(BIASED | ALL_READS);
}

static uint32_t reader_bit(AO_t ticket)
{
    return (uint32_t)1 << (ticket & 15);
}

static uint32_t writer_bit(AO_t ticket)
{
    return (uint32_t)1 << (16 + (ticket & 15));
}

/* Takes a reader out of the word, and passes the turn on after the last. */
static void leave_reader(volatile AO_t *at)
{
    AO_t w, left;

    do {
        w = e2dh_word_load(at);
        if (readers(w) == 0)
            e2dh_lock_misuse("read unlock without a reader");
        left = advance(w, WRITE_SHIFT);
    } while (!e2dh_word_swap_release(at, w, left));
    if ((left & ALL_SLEEPERS) && readers(left) == 0)
        e2dh_wake(at, writer_bit(field(left, WRITE_SHIFT)));
}

/* Leaves the entry of the thread, or the word. Either holds the lock for a single reader. */
static void leave_by_either(volatile AO_t *at)
{
    if (!BIASED || !e2dh_reader_leave(at))
        leave_reader(at);
}

/* Enters a biased lock by an entry. Returns false if the reader has to draw a ticket. */
static bool enter_aside(volatile AO_t *at)
{
    if (!e2dh_reader_enter(at))
        return false;
    if (E2DH_BIAS_UNCHECKED || (e2dh_word_load_acquire(at) & BIASED))
        return true;
    leave_by_either(at);
    return false;
}

/* Waits for all readers who have entered by entries. Called by a writer inside. */
static void wait_for_entries(volatile AO_t *at)
{
    volatile AO_t *entry;
    unsigned turn = 0;

    e2dh_before_entries();
    while (!E2DH_BIAS_UNWAITED && (entry = e2dh_reader_inside(at)) != NULL)
        e2dh_wait_for_reader(entry, turn++);
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
    if (BIASED && (e2dh_word_load(at) & BIASED) && enter_aside(at)) {
        e2dh_tell_entered(lock, false);
        return;
    }
    for (;;) {
        w = e2dh_word_load(at);
        ticket = field(w, NEXT_SHIFT);
        if (holders_and_waiters(w) == TICKET_MASK) {
            e2dh_give_way();
        } else if (field(w, READ_SHIFT) == ticket) {
            if (e2dh_word_swap_acquire(at, w, enter_reader(w))) {
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
            if (e2dh_word_swap_acquire(at, w, draw_writer(w) | WRITER))
                break;
        } else if (e2dh_word_swap(at, w, draw_writer(w))) {
            w = enter_in_turn(at, ticket, WRITE_SHIFT, writer_bit(ticket));
            break;
        }
    }
    if (w & ENTRIES)
        wait_for_entries(at);
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
    if (BIASED && (e2dh_word_load(at) & BIASED) && enter_aside(at)) {
        e2dh_tell_entered(lock, false);
        return true;
    }
    do {
        w = e2dh_word_load(at);
        if (field(w, READ_SHIFT) != field(w, NEXT_SHIFT) || holders_and_waiters(w) == TICKET_MASK) {
            if (counted)
                e2dh_locks_discount();
            return false;
        }
    } while (!e2dh_word_swap_acquire(at, w, enter_reader(w)));
    e2dh_tell_entered(lock, false);
    return true;
}

/* Passes the turn of a writer on, and clears the bits given. */
static void leave_writer(volatile AO_t *at, AO_t clear)
{
    AO_t w, left;

    do {
        w = e2dh_word_load(at);
        if (!(w & WRITER))
            e2dh_lock_misuse("write unlock without a writer");
        left = advance(advance(w, WRITE_SHIFT), READ_SHIFT) & ~(WRITER | clear);
    } while (!e2dh_word_swap_release(at, w, left));
    if (left & ALL_SLEEPERS)
        e2dh_wake(at, reader_bit(field(left, READ_SHIFT)) | writer_bit(field(left, WRITE_SHIFT)));
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
    } while (!e2dh_word_swap_acquire(at, w, draw_writer(w) | WRITER));
    if (w & ENTRIES) {
        e2dh_before_entries();
        if (!E2DH_BIAS_UNWAITED && e2dh_reader_inside(at)) {
            leave_writer(at, E2DH_ENTRIES_FORGOTTEN ? ENTRIES : 0);
            if (counted)
                e2dh_locks_discount();
            return false;
        }
    }
    e2dh_tell_entered(lock, true);
    return true;
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    bool counted = is_counted(at, E2DH_COUNT_SHARED); /* the lock may be freed once released */

    (void)ctx;
    e2dh_tell_leaving(lock, false);
    leave_by_either(at);
    if (counted)
        e2dh_locks_discount();
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    volatile AO_t *at = word(lock);
    bool counted = is_counted(at, E2DH_COUNT_EXCLUSIVE);

    (void)ctx;
    e2dh_tell_leaving(lock, true);
    leave_writer(at, ENTRIES);
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
    if (holders_and_waiters(w) != 0 || (w & (ALL_SLEEPERS | WRITER)) != 0 || (BIASED && e2dh_reader_record(word(lock))))
        e2dh_lock_misuse("destroyed while held");
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    AO_t w = e2dh_word_load((const volatile AO_t *)&lock->word);

    (void)ctx;
    return (w & WRITER) ||
           (mode == EXT2DAX_LOCK_SHARED &&
            (readers(w) != 0 || (BIASED && e2dh_reader_inside((const volatile AO_t *)&lock->word) != NULL)));
}

#if defined(E2D_LOCK_PLATFORM)
void *e2dt_explored_readers(unsigned part, size_t *bytes)
{
    *bytes = part == 0 ? sizeof(e2dh_reader_lines) : sizeof(e2dh_reader);
    return part == 0 ? (void *)e2dh_reader_lines : (void *)&e2dh_reader;
}
#endif

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
