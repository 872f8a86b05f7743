/* SPDX-License-Identifier: MIT */
/*
 * Two threads create and unlink names, in the same directory or in two, while two more threads look
 * names up. No name is lost or duplicated, and the image is clean. Then three threads change a tree
 * of directories.
 */
#include "../runner.h"
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
    uint32_t *stop; /* atomic, used by the lookup threads */
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
        /*
         * The names are long, so the directory is extended and its free space changes all the time.
         */
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

/* _i selects the lock backend by bit 0, and a shared directory by bit 1. */
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

/* ---- trees of directories changed by several threads ---- */

#define DIRECTORIES 6
#define MOVERS      3

struct mover {
    struct ext2dax_inode *root;
    unsigned id, turns, wrong, done;
};

/* Any of these results is right while other threads change the same names. */
static bool is_expected(int error)
{
    return error == 0 || error == -EXT2DAX_ENOENT || error == -EXT2DAX_EEXIST || error == -EXT2DAX_ENOTEMPTY ||
           error == -EXT2DAX_EINVAL || error == -EXT2DAX_ENOTDIR || error == -EXT2DAX_EISDIR ||
           error == -EXT2DAX_ENOSPC;
}

/* Returns a directory of a random path of up to three names, or the root. */
static struct ext2dax_inode *random_directory(struct mover *w, uint32_t *state)
{
    struct ext2dax_inode *at = w->root, *next;

    ext2dax_inode_hold(at);
    for (unsigned depth = noise(state) % 4; depth > 0; depth--) {
        char name = (char)('a' + noise(state) % DIRECTORIES);

        if (ext2dax_lookup(at, &name, 1, &next) != 0)
            break;
        ext2dax_inode_put(at);
        at = next;
    }
    return at;
}

/* Makes, removes, moves and exchanges directories and files with few names, so threads collide. */
static void *move_around(void *arg)
{
    struct mover *w = arg;
    uint32_t state = 1234 + w->id * 77;

    for (unsigned turn = 0; turn < w->turns; turn++) {
        struct ext2dax_inode *from = random_directory(w, &state), *to = random_directory(w, &state);
        char old = (char)('a' + noise(&state) % DIRECTORIES), new = (char)('a' + noise(&state) % DIRECTORIES);
        int error;

        switch (noise(&state) % 8) {
        case 0:
        case 1:
            error = ext2dax_mkdir(from, &old, 1, 0755, 0, 0, NULL);
            break;
        case 2:
            error = ext2dax_mknod(from, &old, 1, EXT2DAX_S_IFREG | 0644, 0, 0, 0, 0, NULL);
            break;
        case 3:
            error = ext2dax_rmdir(from, &old, 1);
            break;
        case 4:
            error = ext2dax_unlink(from, &old, 1);
            break;
        case 5:
            error = ext2dax_rename(from, &old, 1, to, &new, 1, EXT2DAX_RENAME_EXCHANGE);
            break;
        default:
            error = ext2dax_rename(from, &old, 1, to, &new, 1, 0);
            break;
        }
        w->wrong += !is_expected(error);
        w->done += error == 0;
        ext2dax_inode_put(from);
        ext2dax_inode_put(to);
    }
    return NULL;
}

/* No thread waits forever, no error is unexpected, and the tree is clean and can be removed. */
START_TEST(test_moving_trees)
{
    struct ext2dax_locks locks = ext2dax_locks_by_name(backends[_i]);
    struct mover movers[MOVERS];
    pthread_t threads[MOVERS];
    unsigned done = 0;

    if (!locks.ops) {
        fprintf(stderr, "lock backend %s is not built in: not tried\n", backends[_i]);
        return;
    }
    fixture_open(&f, 8192, "-b 1024 -N 1024");
    ck_assert_int_eq(fixture_try_mount(&f, locks, 0), 0);
    for (unsigned i = 0; i < MOVERS; i++) {
        memset(&movers[i], 0, sizeof(movers[i]));
        movers[i].root = find(&f, "/");
        movers[i].id = i;
        movers[i].turns = getenv("EXT2DAX_UNDER_VALGRIND") ? 400 : 20000;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, move_around, &movers[i]), 0);
    }
    for (unsigned i = 0; i < MOVERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_uint_eq(movers[i].wrong, 0);
        done += movers[i].done;
        ext2dax_inode_put(movers[i].root);
    }
    ck_assert_uint_gt(done, MOVERS * 10);
    ck_assert_uint_eq(f.reports, 0);
    check_clean(&f);
    fixture_unmount(&f);
    check_clean(&f);
    fixture_close(&f);
}
END_TEST

/* ---- a name replaced again and again ---- */

static void *look_always(void *arg)
{
    struct worker *w = arg;
    struct ext2dax_inode *inode;

    while (__atomic_load_n(w->stop, __ATOMIC_ACQUIRE) == 0) {
        if (ext2dax_lookup(w->directory, "target", 6, &inode) != 0)
            w->wrong++;
        else
            ext2dax_inode_put(inode);
    }
    return NULL;
}

/* A lookup of a name which renames replace finds the old or the new inode at any time. */
START_TEST(test_replaced_name)
{
    struct ext2dax_locks locks = ext2dax_locks_by_name(backends[_i]);
    struct worker looker;
    pthread_t thread;
    uint32_t stop = 0;
    unsigned turns = getenv("EXT2DAX_UNDER_VALGRIND") ? 100 : 2000;
    struct ext2dax_inode *in;

    if (!locks.ops) {
        fprintf(stderr, "lock backend %s is not built in: not tried\n", backends[_i]);
        return;
    }
    fixture_open(&f, 2048, "-b 1024 -N 512");
    ck_assert_int_eq(fixture_try_mount(&f, locks, 0), 0);
    memset(&looker, 0, sizeof(looker));
    looker.directory = find(&f, "/");
    looker.stop = &stop;
    ck_assert_int_eq(ext2dax_mkdir(looker.directory, "in", 2, 0755, 0, 0, &in), 0);
    create(looker.directory, "target");
    ck_assert_int_eq(pthread_create(&thread, NULL, look_always, &looker), 0);
    for (unsigned turn = 0; turn < turns; turn++) {
        struct ext2dax_inode *from = turn % 2 == 0 ? in : looker.directory;

        create(from, "source");
        ck_assert_int_eq(ext2dax_rename(from, "source", 6, looker.directory, "target", 6,
                                        turn % 3 == 0 ? EXT2DAX_RENAME_EXCHANGE : 0),
                         0);
        if (turn % 3 == 0)
            ck_assert_int_eq(try_unlink(from, "source"), 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    ck_assert_uint_eq(looker.wrong, 0);
    ck_assert_uint_eq(f.reports, 0);
    ext2dax_inode_put(in);
    ext2dax_inode_put(looker.directory);
    check_clean(&f);
    fixture_unmount(&f);
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names from two threads");
    TCase *threads = add_case(suite, "threads", 120);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_loop_test(threads, test_two_threads, 0, 4);
    tcase_add_loop_test(threads, test_moving_trees, 0, 2);
    tcase_add_loop_test(threads, test_replaced_name, 0, 2);
    return run_suite(suite);
}
