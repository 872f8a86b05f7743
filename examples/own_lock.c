/* SPDX-License-Identifier: MIT */
/*
 * own_lock shows how to write a lock backend and how to test a lock backend.
 *
 * The library does not ship this kind of lock, a phase-fair lock. A reader that finds a writer
 * inside or waiting waits for a single writer only, because the leaving writer admits all waiting
 * readers before the next writer. The whole state of a lock lies in the word and changes in a
 * single compare-and-swap. So nothing is allocated, and any thread may release a lock taken by
 * another thread. Waiting threads sleep in a parking lot, a few places shared by all locks.
 *
 * The program mounts a filesystem with this backend and lets threads read, write, allocate,
 * truncate and freeze. Then the program checks properties that only locks can ensure. With --bug a
 * reader does not wait for the writer inside.
 */
#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/memory.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PLACES 64

static struct parking_lot {
    struct {
        pthread_mutex_t mutex;
        pthread_cond_t changed;
    } place[PLACES];
    atomic_ulong waits; /* number of times a thread had to wait */
} lot;
static bool bug;

/* Aborts after an unlock of a lock not held, or if the word cannot count all threads. */
static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "own_lock: %s\n", why);
    abort();
}

/* ---- the word and its transitions, a transition that leaves the word unchanged means wait ---- */

#define COUNT_BITS        (UINTPTR_MAX > 0xFFFFFFFFu ? 20 : 10)
#define WRITER            ((uintptr_t)1)             /* a writer is inside */
#define PHASE             ((uintptr_t)2)             /* flips whenever a writer leaves */
#define INSIDE            ((uintptr_t)4)             /* a reader inside, counted */
#define READER            (INSIDE << COUNT_BITS)     /* a reader waiting for a change of phase */
#define WAITING           (INSIDE << 2 * COUNT_BITS) /* a writer waiting for all holders */
#define COUNT(word, what) ((word) / (what) & (((uintptr_t)1 << COUNT_BITS) - 1))

static uintptr_t one_more(uintptr_t word, uintptr_t what)
{
    if (COUNT(word + what, what) == 0)
        give_up("more threads than the word can count");
    return word + what;
}

static uintptr_t reader_enters(uintptr_t word)
{
    return (word & WRITER && !bug) || COUNT(word, WAITING) ? word : one_more(word, INSIDE);
}

static uintptr_t reader_comes(uintptr_t word)
{
    return reader_enters(word) != word ? reader_enters(word) : one_more(word, READER);
}

static uintptr_t reader_leaves(uintptr_t word)
{
    if (!COUNT(word, INSIDE))
        give_up("unlocked for reading, without a reader");
    return word - INSIDE;
}

static uintptr_t writer_enters(uintptr_t word)
{
    return word & WRITER || COUNT(word, INSIDE) ? word : word | WRITER;
}

static uintptr_t writer_comes(uintptr_t word)
{
    bool enters = !COUNT(word, WAITING) && writer_enters(word) != word;

    return enters ? writer_enters(word) : one_more(word, WAITING);
}

static uintptr_t waiting_writer_enters(uintptr_t word)
{
    return writer_enters(word) != word ? writer_enters(word) - WAITING : word;
}

/* Admits all waiting readers, and flips the phase to notify waiting readers. */
static uintptr_t writer_leaves(uintptr_t word)
{
    uintptr_t readers = COUNT(word, READER);

    if (!(word & WRITER))
        give_up("unlocked for writing, without a writer");
    return (word - WRITER - readers * READER + readers * INSIDE) ^ PHASE;
}

/* ---- the backend ---- */

static _Atomic uintptr_t *word_of(const struct ext2dax_lock *lock)
{
    return (_Atomic uintptr_t *)&((struct ext2dax_lock *)lock)->word;
}

static uintptr_t look(const struct ext2dax_lock *lock)
{
    return atomic_load_explicit(word_of(lock), memory_order_acquire);
}

/*
 * Changes the word and returns the old word in *before. Returns false if the transition leaves the
 * word unchanged.
 */
static bool change(struct ext2dax_lock *lock, uintptr_t (*next)(uintptr_t word), uintptr_t *before)
{
    *before = look(lock);
    do {
        if (next(*before) == *before)
            return false;
    } while (!atomic_compare_exchange_weak(word_of(lock), before, next(*before)));
    return true;
}

/*
 * Sleeps until the phase differs from the phase in `before`, or, for a writer, until the writer
 * enters. No change is missed, because the changing thread first changes the word and then takes
 * the mutex of the place. Disables cancellation, because a counted thread must not be cancelled.
 */
static void park(struct parking_lot *at, struct ext2dax_lock *lock, uintptr_t before, bool writer)
{
    unsigned place = (unsigned)((uintptr_t)lock >> 4 ^ (uintptr_t)lock >> 12) % PLACES;
    int cancel;

    at->waits++;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    pthread_mutex_lock(&at->place[place].mutex);
    while (writer ? !change(lock, waiting_writer_enters, &before) : !((look(lock) ^ before) & PHASE))
        pthread_cond_wait(&at->place[place].changed, &at->place[place].mutex);
    pthread_mutex_unlock(&at->place[place].mutex);
    pthread_setcancelstate(cancel, NULL);
}

static void wake(struct parking_lot *at, const struct ext2dax_lock *lock)
{
    unsigned place = (unsigned)((uintptr_t)lock >> 4 ^ (uintptr_t)lock >> 12) % PLACES;

    pthread_mutex_lock(&at->place[place].mutex);
    pthread_cond_broadcast(&at->place[place].changed);
    pthread_mutex_unlock(&at->place[place].mutex);
}

static int lock_init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    (void)ctx;
    (void)lock_class; /* a backend that checks the lock order would keep class and number */
    (void)number;
    lock->word = 0;
    return 0;
}

static void lock_destroy(void *ctx, struct ext2dax_lock *lock)
{
    (void)ctx;
    if (look(lock) & ~PHASE)
        give_up("destroyed while held or waited for");
}

static void read_lock(void *ctx, struct ext2dax_lock *lock)
{
    uintptr_t before;

    (void)change(lock, reader_comes, &before);
    if (reader_enters(before) == before)
        park(ctx, lock, before, false);
}

static void read_unlock(void *ctx, struct ext2dax_lock *lock)
{
    uintptr_t before;

    (void)change(lock, reader_leaves, &before);
    if (COUNT(before, INSIDE) == 1 && COUNT(before, WAITING))
        wake(ctx, lock);
}

static void write_lock(void *ctx, struct ext2dax_lock *lock)
{
    uintptr_t before;

    (void)change(lock, writer_comes, &before);
    if (COUNT(before, WAITING) || writer_enters(before) == before)
        park(ctx, lock, before, true);
}

static void write_unlock(void *ctx, struct ext2dax_lock *lock)
{
    uintptr_t before;

    (void)change(lock, writer_leaves, &before);
    if (COUNT(before, READER) || COUNT(before, WAITING))
        wake(ctx, lock);
}

static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    uintptr_t before;

    (void)ctx;
    return change(lock, reader_enters, &before);
}

static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    uintptr_t before;

    (void)ctx;
    return change(lock, writer_enters, &before);
}

static bool held(void *ctx, const struct ext2dax_lock *lock, enum ext2dax_lock_mode mode)
{
    uintptr_t word = look(lock);

    (void)ctx;
    return word & WRITER || (mode == EXT2DAX_LOCK_SHARED && COUNT(word, INSIDE));
}

static const struct ext2dax_lock_ops ops = {
    .size = sizeof(ops),
    .init = lock_init,
    .destroy = lock_destroy,
    .read_lock = read_lock,
    .read_unlock = read_unlock,
    .write_lock = write_lock,
    .write_unlock = write_unlock,
    .try_read_lock = try_read_lock,
    .try_write_lock = try_write_lock,
    .held = held,
};

/* Called before any thread starts. */
struct ext2dax_locks own_locks(void);
struct ext2dax_locks own_locks(void)
{
    for (unsigned i = 0; i < PLACES; i++) {
        if (pthread_mutex_init(&lot.place[i].mutex, NULL) || pthread_cond_init(&lot.place[i].changed, NULL))
            give_up("no parking lot");
    }
    return (struct ext2dax_locks){&ops, &lot};
}

/* ---- the test ---- */

enum { BYTES = 64 << 10, READERS = 3, WRITERS = 2, FREEZES = 5 };

static struct ext2dax_locks locks;
static struct ext2dax_inode *file;
static struct ext2dax_lock one;
static atomic_bool over;
static atomic_ulong reads, writes, torn;
static atomic_int entered;

static void must(int64_t error)
{
    if (error < 0)
        give_up(ext2dax_strerror((int)error));
}

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "own_lock: %s\n", what);
    exit(1);
}

static void nap(long milliseconds)
{
    nanosleep(&(struct timespec){0, milliseconds * 1000000}, NULL);
}

static pthread_t start(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    check(!pthread_create(&thread, NULL, run, arg), "no thread");
    return thread;
}

/*
 * Fills the whole file with a letter and truncates the file to 0 now and then. Takes io, dax_sem
 * and all locks below.
 */
static void *write_letters(void *arg)
{
    char letters[BYTES];

    for (; !over; writes++) {
        memset(letters, *(char *)arg, BYTES);
        must(ext2dax_write(file, 0, letters, BYTES));
        if (writes % 8 == 0)
            must(ext2dax_truncate(file, 0));
    }
    return NULL;
}

/* Reads the file. Each read must return equal letters only, or nothing. */
static void *read_letters(void *arg)
{
    char letters[BYTES];

    (void)arg;
    for (; !over; reads++) {
        int64_t got = ext2dax_read(file, 0, letters, BYTES);

        must(got);
        torn += got != 0 && (got != BYTES || memcmp(letters, letters + 1, BYTES - 1) != 0);
    }
    return NULL;
}

static void *freeze(void *mount)
{
    must(ext2dax_freeze(mount));
    return NULL;
}

static void *thaw(void *mount)
{
    must(ext2dax_thaw(mount));
    return NULL;
}

/*
 * Freezes in a thread that exits and thaws in another thread. No byte may change in between, and
 * writers must continue afterwards.
 */
static void freeze_for_a_while(struct ext2dax_mount *mount, const struct ext2dax_memory *memory, void *copy)
{
    unsigned long written;

    pthread_join(start(freeze, mount), NULL);
    memcpy(copy, memory->base, memory->size);
    written = writes;
    nap(10);
    check(!memcmp(copy, memory->base, memory->size), "the image changes while it is frozen");
    pthread_join(start(thaw, mount), NULL);
    while (writes <= written + WRITERS)
        nap(1);
}

static void look_at_a_filesystem(void)
{
    struct ext2dax_plugs plugs = {.locks = locks, .host = ext2dax_host_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};
    pthread_t threads[READERS + WRITERS];
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root;
    void *copy = calloc(1, 1 << 20);

    check(copy, "no memory");
    must(ext2dax_memory_open_heap(1 << 20, &plugs.memory));
    must(ext2dax_format(&plugs.memory, NULL, NULL));
    must(ext2dax_mount(&plugs, &options, &mount));
    must(ext2dax_lookup_path(mount, "/", 1, 0, &root));
    must(ext2dax_create(root, "file", 4, 0644, 0, 0, &file));
    for (int i = 0; i < READERS + WRITERS; i++)
        threads[i] = i < READERS ? start(read_letters, NULL) : start(write_letters, i % 2 ? "x" : "o");
    for (int i = 0; i < FREEZES; i++) {
        nap(20);
        freeze_for_a_while(mount, &plugs.memory, copy);
    }
    over = true;
    for (int i = 0; i < READERS + WRITERS; i++)
        pthread_join(threads[i], NULL);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    must(ext2dax_unmount(mount));
    ext2dax_memory_close_heap(&plugs.memory);
    free(copy);
    printf("%lu writes, %lu reads, %lu of them torn; %d times frozen by one thread and thawed by another; %lu waits\n",
           writes, reads, torn, FREEZES, lot.waits);
    check(torn == 0, "a reader sees half a write");
}

static void *write_once(void *arg)
{
    locks.ops->write_lock(locks.ctx, &one);
    *(int *)arg = ++entered;
    locks.ops->write_unlock(locks.ctx, &one);
    return NULL;
}

static void *read_once(void *arg)
{
    locks.ops->read_lock(locks.ctx, &one);
    *(int *)arg = ++entered;
    locks.ops->read_unlock(locks.ctx, &one);
    return NULL;
}

/* Starts a thread that has to wait. Returns once the thread waits. */
static pthread_t start_waiting(void *(*run)(void *), int *arg)
{
    unsigned long waits = lot.waits;
    pthread_t thread = start(run, arg);

    while (lot.waits == waits)
        nap(1);
    return thread;
}

static void look_at_the_phases(void)
{
    int first = 0, second = 0, reader = 0;
    pthread_t threads[3];

    must(locks.ops->init(locks.ctx, &one, EXT2DAX_LOCK_DAX_SEM, 0));
    locks.ops->read_lock(locks.ctx, &one);
    threads[0] = start_waiting(write_once, &first);
    check(!locks.ops->try_read_lock(locks.ctx, &one), "a reader passes a writer that waits");
    locks.ops->read_unlock(locks.ctx, &one);
    pthread_join(threads[0], NULL);

    locks.ops->write_lock(locks.ctx, &one);
    check(!locks.ops->try_read_lock(locks.ctx, &one), "a reader gets in beside a writer");
    threads[1] = start_waiting(write_once, &second);
    threads[2] = start_waiting(read_once, &reader);
    locks.ops->write_unlock(locks.ctx, &one);
    pthread_join(threads[1], NULL);
    pthread_join(threads[2], NULL);
    check(first == 1 && reader == 2 && second == 3, "a reader waits for a second writer");
    check(!locks.ops->held(locks.ctx, &one, EXT2DAX_LOCK_SHARED), "it is held in the end");
    locks.ops->destroy(locks.ctx, &one);
    printf("a writer waits for the readers that are inside, a reader for the first writer and not for the second\n");
}

int main(int argc, char **argv)
{
    bug = argc == 2 && !strcmp(argv[1], "--bug");
    if (argc > 1 && !bug)
        return fprintf(stderr, "Usage: own_lock [--bug]\n"), 2;
    alarm(60); /* a lost wake-up would hang the program */
    locks = own_locks();
    look_at_a_filesystem();
    look_at_the_phases();
    return fflush(stdout) != 0;
}
