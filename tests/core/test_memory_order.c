/* SPDX-License-Identifier: MIT */
/*
 * Tests that ThreadSanitizer detects missing memory ordering. The mutants publish or follow a
 * pointer without the required ordering. One thread fills holes by faults, and a second thread
 * reads them by call. The two share no lock, so only the pointers order the zeroing before the
 * read. Two more threads count under the explored lock.
 *
 * For each mutant the program runs itself again and parses the sanitizer's output.
 */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/model.h"
#include "ext2dax/testkit/mutant.h"

#include "../runner.h"
#if defined(BENCH_EXPLORED_LOCK)
#include "../../lib/testkit/explored_lock.h"
#endif

#if defined(__SANITIZE_THREAD__)
#define RACE_DETECTOR 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACE_DETECTOR 1
#endif
#endif
#if !defined(RACE_DETECTOR)
#define RACE_DETECTOR 0
#endif

#define PAGE  1024u
#define PAGES 64u

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* ---- fill holes and read ---- */

static struct ext2dax_inode *file;
static struct ext2dax_model_map *map;
static int filled;

static void *fill(void *arg)
{
    (void)arg;
    for (uint64_t page = 0; page < PAGES; page++) {
        struct ext2dax_fault fault;

        ext2dax_model_fault(map, page, true, &fault);
        must(ext2dax_fault(&fault) == EXT2DAX_FAULT_NOPAGE, "a fault failed");
    }
    __atomic_store_n(&filled, 1, __ATOMIC_RELAXED);
    return NULL;
}

/*
 * Reads all pages until a pass begins after the last fill. The last pass reads every pointer in any
 * schedule.
 */
static void *read_all(void *arg)
{
    unsigned char bytes[PAGE];
    bool last;

    (void)arg;
    do {
        last = __atomic_load_n(&filled, __ATOMIC_RELAXED) != 0;
        for (uint64_t page = 0; page < PAGES; page++)
            must(ext2dax_read(file, page * PAGE, bytes, sizeof bytes) == sizeof bytes, "a read failed");
    } while (!last);
    return NULL;
}

static void fill_and_read(void)
{
    struct ext2dax_format_options format = {.size = sizeof format, .block_size = PAGE};
    struct ext2dax_mount_options options = {.size = sizeof options, .page_shift = 10, .huge_order = 3};
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .host = ext2dax_host_default()};
    struct ext2dax_inode *root;
    struct ext2dax_mount *mount;
    struct ext2dax_model *model;
    pthread_t threads[2];

    must(ext2dax_memory_open_heap(1 << 20, &plugs.memory) == 0 && ext2dax_format(&plugs.memory, &format, NULL) == 0,
         "no image");
    model = ext2dax_model_open(&plugs.memory, plugs.locks, PAGE, 3);
    must(model != NULL, "no model");
    plugs.address_space = ext2dax_model_address_space(model);
    must(ext2dax_mount(&plugs, &options, &mount) == 0, "no mount");
    must(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root) == 0, "no root");
    must(ext2dax_create(root, "file", 4, 0644, 0, 0, &file) == 0, "no file");
    must(ext2dax_truncate(file, PAGES * PAGE) == 0, "no size");
    map = ext2dax_model_map(model, file, 0, PAGES, true, true);
    must(map != NULL, "no mapping");
    must(pthread_create(&threads[0], NULL, fill, NULL) == 0 && pthread_create(&threads[1], NULL, read_all, NULL) == 0,
         "no threads");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    ext2dax_model_unmap(map);
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    must(ext2dax_unmount(mount) == 0, "unmount failed");
    ext2dax_model_close(model);
    ext2dax_memory_close_heap(&plugs.memory);
}

/* ---- counting under a lock ---- */

#if defined(BENCH_EXPLORED_LOCK)

static struct ext2dax_lock lock;
static long counted, seen;

static void *count(void *arg)
{
    struct ext2dax_locks locks = e2dt_explored_locks();

    (void)arg;
    for (int i = 0; i < 1000; i++) {
        locks.ops->write_lock(locks.ctx, &lock);
        counted++;
        locks.ops->write_unlock(locks.ctx, &lock);
    }
    return NULL;
}

/* Reads under a lock biased to readers, which the next writer has to wait for. */
static void *look(void *arg)
{
    struct ext2dax_locks locks = e2dt_explored_locks();

    (void)arg;
    for (int i = 0; i < 20; i++) {
        locks.ops->read_lock(locks.ctx, &lock);
        seen += counted;
        locks.ops->read_unlock(locks.ctx, &lock);
    }
    return NULL;
}

/*
 * A reader is followed by a writer. The threads do not wait for each other, except by the lock and
 * by a relaxed flag, so the lock alone orders the last load of the reader before the store.
 */
static int looked;
static void *look_first(void *arg)
{
    (void)look(arg);
    __atomic_store_n(&looked, 1, __ATOMIC_RELAXED);
    return NULL;
}
static void *count_after(void *arg)
{
    while (!__atomic_load_n(&looked, __ATOMIC_RELAXED))
        ;
    return count(arg);
}

static void look_and_count(void)
{
    pthread_t threads[2];

    must(pthread_create(&threads[0], NULL, look_first, NULL) == 0 &&
             pthread_create(&threads[1], NULL, count_after, NULL) == 0,
         "no threads");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void count_together(void)
{
    struct ext2dax_locks locks = e2dt_explored_locks();
    pthread_t threads[2];

    must(locks.ops->init(locks.ctx, &lock, EXT2DAX_LOCK_FS, 0) == 0, "no lock");
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, count, NULL) == 0, "no thread");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    must(counted == 2000, "a count was lost");
    look_and_count();
    locks.ops->destroy(locks.ctx, &lock);
}

#else

static void count_together(void)
{
}

#endif

/* ---- checking the output ---- */

static const char *self;

/* Runs this program with a mutant. Returns whether the sanitizer reported a data race. */
static bool race_reported(const char *mutant)
{
    char command[600], line[400];
    bool reported = false;
    int status;
    FILE *said;

    snprintf(command, sizeof command, "TSAN_OPTIONS=exitcode=66:halt_on_error=0 '%s' '%s' 2>&1", self, mutant);
    said = popen(command, "r");
    ck_assert_ptr_nonnull(said);
    while (fgets(line, sizeof line, said)) {
        reported = reported || strstr(line, "WARNING: ThreadSanitizer: data race");
        if (strcmp(mutant, "none") == 0)
            fputs(line, stderr);
    }
    status = pclose(said);
    ck_assert_msg(reported == (status != 0), "%s: a report, or a good end: exit status %#x", mutant, (unsigned)status);
    return reported;
}

START_TEST(nothing_is_reported_where_nothing_is_broken)
{
    ck_assert(!race_reported("none"));
}
END_TEST

START_TEST(every_order_is_missed)
{
    unsigned tried = 0;

    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        const char *name = ext2dax_mutant_name(i);

        if (ext2dax_mutant_kind(i) != EXT2DAX_MUTANT_ORDER)
            continue;
#if !defined(BENCH_EXPLORED_LOCK)
        if (strcmp(name, "UNLOCK_RELAXED") == 0 || strcmp(name, "ENTRY_LEFT_RELAXED") == 0) {
            printf("%s: left out, there is no such lock without libatomic_ops\n", name);
            continue;
        }
#endif
        ck_assert_msg(race_reported(name), "%s (%s) was not noticed", name, ext2dax_mutant_text(i));
        printf("%-16s caught by ThreadSanitizer: %s\n", name, ext2dax_mutant_text(i));
        tried++;
    }
    ck_assert_uint_ge(tried, 2);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *cases;

    if (argc == 2) {
        must(ext2dax_mutant_activate(argv[1]) == 0, "no such mutant");
        fill_and_read();
        count_together();
        return 0;
    }
    if (!RACE_DETECTOR)
        return skip("the order of memory accesses is for ThreadSanitizer to see, and this is built without it");
    self = argv[0];
    suite = suite_create("memory order");
    cases = add_case(suite, "mutants", 120);
    tcase_add_test(cases, nothing_is_reported_where_nothing_is_broken);
    tcase_add_test(cases, every_order_is_missed);
    return run_suite(suite);
}
