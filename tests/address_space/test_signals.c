/* SPDX-License-Identifier: MIT */
/*
 * Tests the SIGBUS past the end of file, signals during an access, accesses in handlers which
 * interrupted the library, and faults of the program itself.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"

#include "mounted.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../runner.h"

static struct mounted m;

/* ---- past the end ---- */

START_TEST(past_the_end_is_a_sigbus_at_that_address)
{
    struct ext2dax_inode *file;
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 10000);
    at = map_file(&m, file, 0, 16 * PAGE, EXT2DAX_MAP_WRITE);
    for (int store = 0; store < 2; store++) {
        /* past the end, but in the last page of the file */
        ck_assert_int_eq(access_byte(at + 2 * PAGE + 4000, store), 0);
        ck_assert_int_eq(access_byte(at + 3 * PAGE + 123, store), SIGBUS);
        ck_assert_ptr_eq(access_signal.si_addr, at + 3 * PAGE + 123);
        ck_assert_int_eq(access_signal.si_code, BUS_ADRERR);
        ck_assert_int_eq(access_byte(at + 15 * PAGE, store), SIGBUS);
    }
    /* by userfaultfd the kernel raises the SIGBUS itself */
    ck_assert_uint_eq(count(&m).sigbus, by_userfaultfd() ? 0 : 4);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

START_TEST(a_file_that_grows_is_read_where_it_was_not)
{
    struct ext2dax_inode *file;
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 1);
    at = map_file(&m, file, 0, 64 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned page = 1; page < 64; page += 3) {
        char byte = (char)page;

        for (unsigned i = page; i < page + 3 && i < 64; i++)
            ck_assert_int_eq(access_byte(at + i * PAGE + 5, (int)i & 1), SIGBUS);
        ck_assert_int_eq(ext2dax_write(file, page * PAGE + 5, &byte, 1), 1);
        ck_assert_int_eq(access_byte(at + page * PAGE + 5, false), 0);
        ck_assert_int_eq(at[page * PAGE + 5], byte);
        ck_assert_int_eq(ext2dax_truncate(file, (page + 3) * PAGE), 0);
        ck_assert_int_eq(access_byte(at + (page + 2) * PAGE - 1, true), 0);
        ck_assert_int_eq(ext2dax_truncate(file, (page + 1) * PAGE), 0);
        ck_assert_int_eq(access_byte(at + (page + 2) * PAGE - 1, false), SIGBUS);
        ck_assert_int_eq(ext2dax_truncate(file, (page + 3) * PAGE), 0);
        ck_assert_int_eq(access_byte(at + (page + 2) * PAGE - 1, false), 0);
        ck_assert_int_eq(at[(page + 2) * PAGE - 1], 0);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/*
 * The report of a bad block pointer goes only to the thread which gets the SIGBUS. It is not found
 * after a later SIGBUS, nor as the report of an interrupted call.
 */
START_TEST(a_refused_access_says_why)
{
    static const unsigned char metadata[4] = {2};
    unsigned char good[4];
    struct ext2dax_report report;
    struct ext2dax_inode *file;
    char *at, byte = 1;
    uint64_t mark, before;
    void *slot;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 10 * PAGE);
    slot = &file->disk->block[3];
    for (unsigned page = 0; page < 10; page++)
        ck_assert_int_eq(ext2dax_write(file, page * PAGE, &byte, 1), 1);
    /* Read-only, so the error bit is not set. */
    ck_assert_int_eq(ext2dax_remount(m.mount, EXT2DAX_MOUNT_READ_ONLY), 0);
    memcpy(good, slot, sizeof(good));
    memcpy(slot, metadata, sizeof(metadata));
    at = map_file(&m, file, 0, 20 * PAGE, 0);

    ck_assert_int_eq(access_byte(at, false), 0);
    mark = ext2dax_host_mark();
    for (int again = 0; again < 2; again++) {
        before = ext2dax_host_mark();
        ck_assert_int_eq(access_byte(at + 3 * PAGE + 9, false), SIGBUS);
        ck_assert(ext2dax_host_fault_report(before, &report));
        ck_assert_int_eq(report.error, -EXT2DAX_EUCLEAN);
        ck_assert_str_eq(report.structure, "inode");
        ck_assert_uint_eq(report.number, file->number);
        ck_assert_str_eq(report.field, "block pointer");
        ck_assert_uint_eq(report.value, 2);
        before = ext2dax_host_mark();
        ck_assert_int_eq(access_byte(at + 12 * PAGE, false), SIGBUS);
        ck_assert(!ext2dax_host_fault_report(before, &report));
    }
    ck_assert(!ext2dax_host_report(mark, 0, &report));
    /* A call which finds the same pointer has its report among the reports of calls. */
    ck_assert_int_eq(ext2dax_read(file, 3 * PAGE, &byte, 1), -EXT2DAX_EUCLEAN);
    ck_assert(ext2dax_host_report(mark, -EXT2DAX_EUCLEAN, &report) && report.value == 2);
    ck_assert(!ext2dax_host_fault_report(before, &report));

    memcpy(slot, good, sizeof(good));
    ck_assert_int_eq(access_byte(at + 3 * PAGE, false), 0);
    unmap_file(&m, at);
    ck_assert_int_eq(ext2dax_remount(m.mount, 0), 0);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static atomic_bool stop;
static atomic_uint buses, reads;

static void *keep_accessing(void *at)
{
    while (!atomic_load(&stop)) {
        if (access_byte(at, false) == SIGBUS)
            atomic_fetch_add(&buses, 1);
        else
            atomic_fetch_add(&reads, 1);
    }
    return NULL;
}

START_TEST(growth_beside_a_sigbus_leaves_nothing_behind)
{
    struct ext2dax_inode *file;
    pthread_t threads[2];
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", PAGE);
    at = map_file(&m, file, 0, 8 * PAGE, EXT2DAX_MAP_WRITE);
    atomic_store(&stop, false);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_accessing, at + 5 * PAGE), 0);
    for (unsigned round = 0; round < (getenv("EXT2DAX_UNDER_VALGRIND") ? 100 : 2000) || atomic_load(&buses) < 20 ||
                             atomic_load(&reads) < 20;
         round++) {
        char byte = (char)(round | 1);

        if (round & 1) {
            ck_assert_int_eq(ext2dax_truncate(file, 6 * PAGE), 0);
            byte = 0;
        } else {
            ck_assert_int_eq(ext2dax_write(file, 5 * PAGE, &byte, 1), 1);
        }
        ck_assert_int_eq(access_byte(at + 5 * PAGE, false), 0);
        ck_assert_int_eq(at[5 * PAGE], byte);
        ck_assert_int_eq(ext2dax_truncate(file, PAGE), 0);
        ck_assert_int_eq(access_byte(at + 5 * PAGE, false), SIGBUS);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static char *open_past_end(void)
{
    mounted_open(&m, NULL);
    return map_file(&m, make_file(&m, "f", 0), 0, PAGE, EXT2DAX_MAP_WRITE);
}

static void die_of_sigbus(void)
{
    poke(open_past_end(), 1);
}

static void die_with_sigbus_ignored(void)
{
    signal(SIGBUS, SIG_IGN);
    (void)peek(open_past_end());
}

static void die_with_sigbus_blocked(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGBUS);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    (void)peek(open_past_end());
}

START_TEST(sigbus_kills_who_does_not_catch_it)
{
    ck_assert_int_eq(in_child(die_of_sigbus), SIGBUS);
    ck_assert_int_eq(in_child(die_with_sigbus_ignored), SIGBUS);
    ck_assert_int_eq(in_child(die_with_sigbus_blocked), SIGBUS);
}
END_TEST

/* ---- signals of a thread whose store waits for a thaw ---- */

static char *frozen_at;
static atomic_uint signals_taken;
static sigjmp_buf leave;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals_taken, 1);
    (void)peek(frozen_at + PAGE); /* reads are not frozen */
}

static void *store_while_frozen(void *at)
{
    poke(at, 5);
    return NULL;
}

START_TEST(a_frozen_store_takes_signals)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct ext2dax_inode *file;
    pthread_t thread;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 4 * PAGE);
    frozen_at = map_file(&m, file, 0, 4 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    atomic_store(&signals_taken, 0);
    ck_assert_int_eq(ext2dax_freeze(m.mount), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, store_while_frozen, frozen_at), 0);
    for (unsigned i = 0; i < 20; i++) {
        unsigned before = atomic_load(&signals_taken);

        ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
        while (atomic_load(&signals_taken) == before)
            sched_yield();
    }
    ck_assert_uint_eq(byte_of(file, 0), 0);
    ck_assert_int_eq(ext2dax_thaw(m.mount), 0);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(byte_of(file, 0), 5);
    signal(SIGUSR1, SIG_DFL);
    unmap_file(&m, frozen_at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static void leave_store(int number)
{
    siglongjmp(leave, number);
}

/* A jump out of a waiting store leaves no mapping, no lock and no memory of the handler held. */
START_TEST(a_frozen_store_can_be_left)
{
    struct sigaction action = {.sa_handler = leave_store};
    struct ext2dax_inode *file;
    struct itimerval soon = {{0, 0}, {0, 3000}};
    void *from_malloc;

    mounted_open(&m, NULL);
    file = make_file(&m, "f", 4 * PAGE);
    frozen_at = map_file(&m, file, 0, 4 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    for (volatile unsigned round = 0; round < 20; round++) {
        ck_assert_int_eq(ext2dax_freeze(m.mount), 0);
        if (sigsetjmp(leave, 1) == 0) {
            setitimer(ITIMER_REAL, &soon, NULL);
            poke(frozen_at + round % 4 * PAGE, 1);
            ck_abort_msg("a store went through a freeze");
        }
        ck_assert_int_eq(ext2dax_thaw(m.mount), 0);
        poke(frozen_at + round % 4 * PAGE, 2);
        ck_assert_uint_eq(byte_of(file, round % 4 * PAGE), 2);
    }
    /* More than the host's reserve holds. */
    from_malloc = m.host.ops->alloc(m.host.ctx, (size_t)1 << 20);
    ck_assert_ptr_nonnull(from_malloc);
    m.host.ops->release(m.host.ctx, from_malloc, (size_t)1 << 20);
    signal(SIGALRM, SIG_DFL);
    unmap_file(&m, frozen_at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static void die_of_a_timer(void)
{
    struct itimerval soon = {{0, 0}, {0, 100000}};
    char *at;

    mounted_open(&m, NULL);
    at = map_file(&m, make_file(&m, "f", PAGE), 0, PAGE, EXT2DAX_MAP_WRITE);
    (void)ext2dax_freeze(m.mount);
    setitimer(ITIMER_REAL, &soon, NULL);
    poke(at, 1);
}

START_TEST(a_frozen_store_can_be_ended)
{
    signal(SIGALRM, SIG_DFL);
    ck_assert_int_eq(in_child(die_of_a_timer), SIGALRM);
}
END_TEST

/* ---- accesses in handlers which interrupted the library ---- */

/*
 * Tests accesses under each class of lock. An access raises SIGBUS under a lock which a fault
 * takes, and succeeds under the locks above. The table has the result for each class and mode.
 */
START_TEST(an_access_under_a_lock_of_faults_is_a_sigbus)
{
    static const char *const names[] = {"atomic_ops", "pthread"};
    static const struct {
        enum ext2dax_lock_class lock_class;
        uint64_t number;
        bool shared, exclusive; /* does an access fail under the lock? */
    } kinds[] = {
        {EXT2DAX_LOCK_FREEZE_WRITE, 0, false, false},
        {EXT2DAX_LOCK_RENAME, 0, false, false},
        {EXT2DAX_LOCK_IO, 12, false, false},
        {EXT2DAX_LOCK_ADDRESS_SPACE, 0, true, true},
        {EXT2DAX_LOCK_FREEZE_FAULT, 0, false, false},
        {EXT2DAX_LOCK_FREEZE_FAULT, 1, true, false},
        {EXT2DAX_LOCK_DAX_SEM, 12, true, true},
        {EXT2DAX_LOCK_RANGE, 12, true, true},
        {EXT2DAX_LOCK_TRUNCATE, 12, true, true},
        {EXT2DAX_LOCK_GROUP, 1, true, true},
        {EXT2DAX_LOCK_FS, 0, true, true},
        {EXT2DAX_LOCK_ICACHE, 0, true, true},
        {EXT2DAX_LOCK_PAGE_TABLE, 0, true, true},
    };
    struct ext2dax_locks locks = ext2dax_locks_by_name(names[_i]);
    struct mounted_options options = {.locks = names[_i]};
    struct ext2dax_inode *file;
    struct ext2dax_lock lock;
    unsigned page = 0;
    char *at, *there;

    if (!locks.ops)
        return;
    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", 256 * PAGE);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (int exclusive = 0; exclusive < 2; exclusive++) {
            bool fails = exclusive ? kinds[i].exclusive : kinds[i].shared;

            for (int try = 0; try < 2; try++) {
                at = map_file(&m, file, page * PAGE, PAGE, EXT2DAX_MAP_WRITE);
                there = at + 9;
                ck_assert_int_eq(locks.ops->init(locks.ctx, &lock, kinds[i].lock_class, kinds[i].number), 0);
                ck_assert(!ext2dax_locks_held());
                if (try && exclusive)
                    ck_assert(locks.ops->try_write_lock(locks.ctx, &lock));
                else if (try)
                    ck_assert(locks.ops->try_read_lock(locks.ctx, &lock));
                else if (exclusive)
                    locks.ops->write_lock(locks.ctx, &lock);
                else
                    locks.ops->read_lock(locks.ctx, &lock);
                ck_assert_int_eq(ext2dax_locks_held(), fails);
                if (exclusive) {
                    ck_assert(!locks.ops->try_read_lock(locks.ctx, &lock));
                    ck_assert(!locks.ops->try_write_lock(locks.ctx, &lock));
                }
                ck_assert_int_eq(ext2dax_locks_held(), fails);
                ck_assert_int_eq(access_byte(there, page & 1), fails ? SIGBUS : 0);
                if (fails) {
                    ck_assert_uint_eq((uintptr_t)access_signal.si_addr / PAGE, (uintptr_t)there / PAGE);
                    ck_assert_int_eq(access_signal.si_code, BUS_ADRERR);
                }
                if (exclusive)
                    locks.ops->write_unlock(locks.ctx, &lock);
                else
                    locks.ops->read_unlock(locks.ctx, &lock);
                ck_assert(!ext2dax_locks_held());
                ck_assert_int_eq(access_byte(there, page & 1), 0);
                page++;
                locks.ops->destroy(locks.ctx, &lock);
                unmap_file(&m, at);
            }
        }
    }
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__)
#define JUMPS_ALLOCATE 1
#else
#define JUMPS_ALLOCATE 0
#endif

static char *handlers_at;
static atomic_uint served, refused;

/*
 * Asks ext2dax_locks_held() and then accesses a page in any case. The access may fail only if the
 * function has returned true.
 */
static void access_in_handler(int number)
{
    unsigned page = (atomic_load(&served) + atomic_load(&refused)) * 7 % 500;
    bool held = ext2dax_locks_held();
    int end;

    (void)number;
    /* AddressSanitizer's siglongjmp() calls malloc, which may be the interrupted function. */
    if (JUMPS_ALLOCATE && held)
        return;
    end = access_byte(handlers_at + page * PAGE, true);
    if (end == 0)
        atomic_fetch_add(&served, 1);
    else if (end == SIGBUS && held)
        atomic_fetch_add(&refused, 1);
    else
        _exit(98);
}

static void *take_pages_away(void *file)
{
    sigset_t mask;

    sigfillset(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    while (!atomic_load(&stop)) {
        ck_assert_int_eq(ext2dax_punch(file, 0, 500 * PAGE), 0);
        usleep(200);
    }
    return NULL;
}

/*
 * A timer interrupts calls on the same file or another file at any point. The access in its handler
 * succeeds or fails, but never waits forever.
 */
START_TEST(an_access_in_a_handler_never_waits_for_ever)
{
    struct mounted_options options = {.locks = _i & 2 ? "pthread" : "atomic_ops"};
    struct sigaction action = {.sa_handler = access_in_handler, .sa_flags = SA_RESTART};
    struct itimerval soon = {{0, 0}, {0, 1}}, never = {{0, 0}, {0, 0}};
    unsigned wanted = 300;
    time_t end = time(NULL) + 6;
    struct ext2dax_inode *file, *other, *target;
    static char bytes[20000];
    pthread_t thread;

    /* Valgrind does not extend a stack for a signal inside a signal handler. */
    if (!ext2dax_locks_by_name(options.locks).ops || getenv("EXT2DAX_UNDER_VALGRIND"))
        return;
    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", 1000 * PAGE);
    other = make_file(&m, "g", 1000 * PAGE);
    target = _i & 1 ? other : file;
    handlers_at = map_file(&m, file, 0, 500 * PAGE, EXT2DAX_MAP_WRITE);
    atomic_store(&served, 0);
    atomic_store(&refused, 0);
    atomic_store(&stop, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, take_pages_away, file), 0);
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    while (time(NULL) < end && (atomic_load(&served) < wanted || atomic_load(&refused) < wanted)) {
        /* A single signal per turn, so the turns continue with a slow handler. */
        soon.it_value.tv_usec = soon.it_value.tv_usec * 7 % 401 + 1;
        setitimer(ITIMER_REAL, &soon, NULL);
        ck_assert_int_eq(ext2dax_write(target, 600 * PAGE + 1, bytes, sizeof(bytes)), sizeof(bytes));
        ck_assert_int_eq(ext2dax_punch(target, 600 * PAGE, 8 * PAGE), 0);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    ck_assert_uint_gt(atomic_load(&served) + atomic_load(&refused), 0);
    ck_assert(!ext2dax_locks_held());
    signal(SIGALRM, SIG_DFL);
    unmap_file(&m, handlers_at);
    ext2dax_inode_put(file);
    ext2dax_inode_put(other);
    mounted_close(&m);
}
END_TEST

/* Accesses a page under a lock with all signals blocked, so no SIGBUS can be delivered. */
static void access_without_sigsegv(void)
{
    struct ext2dax_locks locks = ext2dax_locks_default();
    struct ext2dax_lock lock;
    sigset_t mask;
    char *at;

    mounted_open(&m, NULL);
    at = map_file(&m, make_file(&m, "f", PAGE), 0, PAGE, EXT2DAX_MAP_WRITE);
    (void)locks.ops->init(locks.ctx, &lock, EXT2DAX_LOCK_DAX_SEM, 0);
    signal(SIGABRT, SIG_DFL);
    sigfillset(&mask);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    locks.ops->write_lock(locks.ctx, &lock);
    poke(at, 1);
    child_exit(7);
}

START_TEST(under_a_lock_and_deaf_it_ends)
{
    ck_assert_int_eq(in_child(access_without_sigsegv), by_userfaultfd() ? SIGABRT : SIGSEGV);
}
END_TEST

/* ---- faults of the program itself ---- */

START_TEST(a_store_to_a_read_only_mapping_is_the_programs_own)
{
    struct ext2dax_inode *file;
    char *at, *private;

    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 3 * PAGE);
    at = map_file(&m, file, 0, 3 * PAGE, 0);
    private = map_file(&m, file, 0, 3 * PAGE, EXT2DAX_MAP_PRIVATE);
    ck_assert_int_eq(access_byte(at + 1, true), SIGSEGV);
    ck_assert_ptr_eq(access_signal.si_addr, at + 1);
    ck_assert_int_eq(access_byte(at + 1, false), 0);
    ck_assert_int_eq(access_byte(at + 1, true), SIGSEGV);
    ck_assert_int_eq(access_byte(private + PAGE, true), SIGSEGV);
    ck_assert_int_eq(access_byte(private + PAGE, false), 0);
    /* the guard after the mapping */
    ck_assert_int_eq(access_byte(private + 3 * PAGE, false), SIGSEGV);
    unmap_file(&m, at);
    ck_assert_int_eq(access_byte(at, false), SIGSEGV);
    unmap_file(&m, private);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* ---- code in a file ---- */

/* Machine code of a function which returns 42, for the listed processors. */
#if defined(__x86_64__) || defined(__i386__)
static const uint8_t code[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
static const uint8_t code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#elif defined(__riscv)
static const uint8_t code[] = {0x13, 0x05, 0xa0, 0x02, 0x67, 0x80, 0x00, 0x00};
#elif defined(__s390x__)
static const uint8_t code[] = {0xa7, 0x29, 0, 42, 0x07, 0xfe};
#else
#define NO_CODE 1
static const uint8_t code[1];
#endif

static int execute(char *at)
{
    int (*function)(void);

    __builtin___clear_cache(at, at + sizeof(code));
    memcpy(&function, &at, sizeof(function));
    return function();
}

static struct ext2dax_inode *file_of_code(void)
{
    struct ext2dax_inode *file = make_file(&m, "code", 0);

    ck_assert_int_eq(ext2dax_write(file, 0, code, sizeof(code)), sizeof(code));
    ck_assert_int_eq(ext2dax_write(file, 3 * PAGE, code, sizeof(code)), sizeof(code));
    return file;
}

START_TEST(code_in_a_file_runs)
{
    static const unsigned kinds[] = {0, EXT2DAX_MAP_WRITE, EXT2DAX_MAP_PRIVATE, EXT2DAX_MAP_PRIVATE | EXT2DAX_MAP_WRITE,
                                     EXT2DAX_MAP_POPULATE};
    struct ext2dax_inode *file;

    catch_signals();
    mounted_open(&m, NULL);
    file = file_of_code();
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char *at = map_file(&m, file, 0, 6 * PAGE, kinds[i] | EXT2DAX_MAP_EXEC);

        ck_assert_int_eq(execute(at), 42);
        ck_assert_int_eq(execute(at + 3 * PAGE), 42);
        if (kinds[i] & EXT2DAX_MAP_WRITE) {
            /*
             * Code stored through the mapping, into a hole, into a page executed before, and after
             * write protection.
             */
            for (unsigned round = 0; round < 3; round++) {
                memcpy(at + PAGE, code, sizeof(code));
                ck_assert_int_eq(execute(at + PAGE), 42);
                ck_assert_int_eq(access_byte(at + sizeof(code), true), 0);
                ck_assert_int_eq(execute(at), 42);
                ck_assert_int_eq(ext2dax_fsync(file), 0);
                ck_assert_int_eq(execute(at + PAGE), 42);
            }
        }
        /* Removed by truncate and written again. */
        ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
        ck_assert_int_eq(access_byte(at, false), SIGBUS);
        ck_assert_int_eq(ext2dax_write(file, 0, code, sizeof(code)), sizeof(code));
        ck_assert_int_eq(ext2dax_write(file, 3 * PAGE, code, sizeof(code)), sizeof(code));
        ck_assert_int_eq(execute(at + 3 * PAGE), 42);
        unmap_file(&m, at);
    }
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/*
 * A jump into a mapping without EXT2DAX_MAP_EXEC raises SIGSEGV at the instruction, with the page
 * accessed before or not.
 */
START_TEST(a_jump_into_other_mappings_is_the_programs_own)
{
    struct ext2dax_inode *file;
    char *at;

    catch_signals();
    mounted_open(&m, NULL);
    file = file_of_code();
    for (unsigned flags = 0; flags <= EXT2DAX_MAP_WRITE; flags += EXT2DAX_MAP_WRITE) {
        at = map_file(&m, file, 0, 6 * PAGE, flags);
        for (int before = 0; before < 2; before++) {
            if (before)
                ck_assert_int_eq(access_byte(at + 3 * PAGE, flags != 0), 0);
            ck_assert_int_eq(jump_to(at + 3 * PAGE), SIGSEGV);
            ck_assert_ptr_eq(access_signal.si_addr, at + 3 * PAGE);
        }
        unmap_file(&m, at);
        ck_assert_int_eq(ext2dax_write(file, 3 * PAGE, code, sizeof(code)), sizeof(code));
    }
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

static void die_of_a_jump(void)
{
    mounted_open(&m, NULL);
    (void)execute(map_file(&m, file_of_code(), 0, PAGE, 0));
}

START_TEST(a_jump_into_other_mappings_ends_the_program)
{
    ck_assert_int_eq(in_child(die_of_a_jump), SIGSEGV);
}
END_TEST

int main(void)
{
    Suite *suite;
    TCase *tcase;

    tcase = mounted_case("address space: signals", &suite);
    if (!tcase)
        return SKIPPED;
    tcase_add_test(tcase, past_the_end_is_a_sigbus_at_that_address);
    tcase_add_test(tcase, a_file_that_grows_is_read_where_it_was_not);
    tcase_add_test(tcase, a_refused_access_says_why);
    tcase_add_test(tcase, growth_beside_a_sigbus_leaves_nothing_behind);
    tcase_add_test(tcase, sigbus_kills_who_does_not_catch_it);
    tcase_add_loop_test(tcase, an_access_under_a_lock_of_faults_is_a_sigbus, 0, 2);
    /*
     * A race detector holds signals back until the thread makes a call, and runs handlers on a
     * stack of its own.
     */
    if (!race_detector("signals of other kinds in the middle of an access")) {
        tcase_add_loop_test(tcase, an_access_in_a_handler_never_waits_for_ever, 0, 4);
        tcase_add_test(tcase, under_a_lock_and_deaf_it_ends);
        tcase_add_test(tcase, a_frozen_store_takes_signals);
        tcase_add_test(tcase, a_frozen_store_can_be_left);
        tcase_add_test(tcase, a_frozen_store_can_be_ended);
    }
    tcase_add_test(tcase, a_store_to_a_read_only_mapping_is_the_programs_own);
#if !defined(NO_CODE)
    tcase_add_test(tcase, code_in_a_file_runs);
#endif
    tcase_add_test(tcase, a_jump_into_other_mappings_is_the_programs_own);
    tcase_add_test(tcase, a_jump_into_other_mappings_ends_the_program);
    return run_suite(suite);
}
