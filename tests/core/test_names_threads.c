/* SPDX-License-Identifier: MIT */
/*
 * Two threads that create and unlink, in one directory and in two, beside two that look: nothing is lost, nothing is
 * there twice, and the image is clean.
 */
#include "names_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"

#define NAMES 40

static struct fixture f, tree;

struct worker {
    struct ext2dax_inode *directory;
    unsigned id, turns;
    bool there[NAMES];
    unsigned wrong;
    uint32_t *stop; /* for those that look: atomic */
};

static void *change(void *arg)
{
    struct worker *w = arg;
    uint32_t state = 77 + w->id;
    char name[128];
    unsigned turn, i;

    for (turn = 0; turn < w->turns; turn++) {
        int error;

        i = noise(&state) % NAMES;
        /* Long names: the directory grows and shrinks its free space all the time. */
        snprintf(name, sizeof(name), "%u-%0*u", w->id, 20 + (int)(i * 2), i);
        error = w->there[i] ? try_unlink(w->directory, name) : try_create(w->directory, name);
        if (error != 0)
            w->wrong++;
        else
            w->there[i] = !w->there[i];
        if (exists(w->directory, name) != w->there[i])
            w->wrong++;
    }
    return NULL;
}

static int look_at(void *arg, const struct ext2dax_entry *entry)
{
    struct worker *w = arg;

    if (entry->number == 0 || entry->name_length == 0)
        w->wrong++;
    return 0;
}

static void *look(void *arg)
{
    struct worker *w = arg;
    struct ext2dax_inode *inode;

    while (__atomic_load_n(w->stop, __ATOMIC_ACQUIRE) == 0) {
        int error = ext2dax_lookup(w->directory, "0-000000000000000000000", 23, &inode);

        if (error == 0)
            ext2dax_inode_put(inode);
        if ((error != 0 && error != -EXT2DAX_ENOENT) || ext2dax_readdir(w->directory, 0, look_at, w) != 0)
            w->wrong++;
    }
    return NULL;
}

static const char *const backends[] = {"atomic_ops", "pthread"};

/* _i: bit 0 the backend, bit 1 whether the two share a directory. */
START_TEST(test_two_threads)
{
    struct ext2dax_locks locks = ext2dax_locks_by_name(backends[_i & 1]);
    struct worker changers[2], lookers[2];
    pthread_t threads[4];
    uint32_t stop = 0;
    unsigned i, n, expected = 0;
    uint64_t inodes;

    if (!locks.ops) {
        fprintf(stderr, "lock backend %s is not built in: not tried\n", backends[_i & 1]);
        return;
    }
    fixture_name(&tree);
    ck_assert_int_eq(run(&tree, "mkdir -p %s.d/a %s.d/b", tree.path, tree.path), 0);
    fixture_open(&f, 2048, "-b 1024 -N 512 -d %s.d", tree.path);
    ck_assert_int_eq(fixture_try_mount(&f, locks, 0), 0);
    inodes = free_inodes(&f);
    for (i = 0; i < 2; i++) {
        memset(&changers[i], 0, sizeof(changers[i]));
        changers[i].directory = find(&f, i == 0 || (_i & 2) != 0 ? "/a" : "/b");
        changers[i].id = i;
        changers[i].turns = getenv("EXT2DAX_UNDER_VALGRIND") ? 300 : 3000;
        lookers[i] = changers[i];
        lookers[i].stop = &stop;
        ck_assert_int_eq(pthread_create(&threads[2 + i], NULL, look, &lookers[i]), 0);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, change, &changers[i]), 0);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    for (i = 0; i < 2; i++) {
        ck_assert_uint_eq(changers[i].wrong, 0);
        ck_assert_uint_eq(lookers[i].wrong, 0);
        for (n = 0; n < NAMES; n++)
            expected += changers[i].there[n];
    }
    n = count_entries(changers[0].directory);
    if ((_i & 2) == 0)
        n += count_entries(changers[1].directory);
    ck_assert_uint_eq(n, expected);
    ck_assert_uint_eq(free_inodes(&f), inodes - expected);
    ck_assert_uint_eq(f.reports, 0);
    ext2dax_inode_put(changers[0].directory);
    ext2dax_inode_put(changers[1].directory);
    check_clean(&f);
    fixture_unmount(&f);
    check_clean(&f);
    fixture_close(&f);
    fixture_close(&tree);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names from two threads");
    TCase *threads = tcase_create("threads");
    SRunner *runner;
    int failed;

    if (!fixture_tools())
        return 77;
    tcase_add_loop_test(threads, test_two_threads, 0, 4);
    suite_add_tcase(suite, threads);
    tcase_set_timeout(threads, 120);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
