/* SPDX-License-Identifier: MIT */
/*
 * Calls of the library in a cancelled thread. No call is a cancellation point, because a thread
 * that ends inside a call leaves locks held. A new thread for each call is cancelled before the
 * call, returns from the call, and ends at pthread_testcancel().
 */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"

#include "mounted.h"
#include "fault_method.h"
#include "../emulated.h"
#include "../runner.h"

#define LENGTH (16 * PAGE)

static struct mounted m;
static struct ext2dax_inode *file, *other;
static char *shared_at, *private_at;
static char bytes[3 * PAGE]; /* not on the stacks of threads, which end without a return */

/* Each returns whether the calls succeed, without an assertion, which is a cancellation point. */
static bool does_write(void)
{
    return ext2dax_write(file, 100, bytes, sizeof(bytes)) == sizeof(bytes);
}

static bool does_read(void)
{
    return ext2dax_read(file, 100, bytes, sizeof(bytes)) == sizeof(bytes);
}

static bool does_zero(void)
{
    return ext2dax_zero_range(file, 10, 2 * PAGE) == 0;
}

static bool does_punch(void)
{
    return ext2dax_punch(file, PAGE, PAGE) == 0;
}

static bool does_allocate(void)
{
    return ext2dax_allocate(file, 0, LENGTH, false) == 0;
}

static bool does_truncate(void)
{
    return ext2dax_truncate(file, LENGTH / 2) == 0 && ext2dax_truncate(file, LENGTH) == 0;
}

static bool does_sync(void)
{
    return ext2dax_fsync(file) == 0 && ext2dax_sync(m.mount) == 0;
}

static bool changes_names(void)
{
    struct ext2dax_inode *made;

    if (ext2dax_mkdir(m.root, "d", 1, 0755, 0, 0, &made) != 0)
        return false;
    ext2dax_inode_put(made);
    return ext2dax_rename(m.root, "other", 5, m.root, "o", 1, 0) == 0 &&
           ext2dax_rename(m.root, "o", 1, m.root, "other", 5, 0) == 0 && ext2dax_rmdir(m.root, "d", 1) == 0;
}

static bool removes_the_last_name(void)
{
    struct ext2dax_inode *made;

    if (ext2dax_create(m.root, "n", 1, 0644, 0, 0, &made) != 0)
        return false;
    if (ext2dax_write(made, 0, bytes, sizeof(bytes)) < 0 || ext2dax_unlink(m.root, "n", 1) != 0)
        return false;
    ext2dax_inode_put(made);
    return true;
}

static bool changes_attributes(void)
{
    return ext2dax_setxattr(other, "user.a", 6, bytes, PAGE / 2, 0) == 0 &&
           ext2dax_getxattr(other, "user.a", 6, bytes, sizeof(bytes)) == PAGE / 2 &&
           ext2dax_removexattr(other, "user.a", 6) == 0;
}

static bool freezes(void)
{
    return ext2dax_freeze(m.mount) == 0 && ext2dax_thaw(m.mount) == 0;
}

static bool stores(void)
{
    poke(shared_at + 3 * PAGE, 1);
    return true;
}

static bool syncs_a_mapping(void)
{
    return ext2dax_process_sync(m.process, shared_at, LENGTH) == 0;
}

static bool maps(void)
{
    void *at;
    bool done = ext2dax_process_map(m.process, file, 0, LENGTH,
                                    EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE | EXT2DAX_MAP_POPULATE, &at) == 0;

    private_at = at;
    return done;
}

static bool copies_a_page(void)
{
    poke(private_at, 1);
    return true;
}

static bool populates(void)
{
    return ext2dax_process_populate(m.process, private_at, LENGTH, true) == 0;
}

static bool unmaps(void)
{
    return ext2dax_process_unmap(m.process, private_at) == 0;
}

static bool opens_and_closes(void)
{
    struct ext2dax_process_options options = {.size = sizeof(options), .method = method_in()};
    struct ext2dax_process *process;

    return ext2dax_process_open(&m.memory, m.plugs.locks, &options, &process) == 0 &&
           ext2dax_process_close(process) == 0;
}

static bool remounts(void)
{
    return ext2dax_remount(m.mount, EXT2DAX_MOUNT_READ_ONLY) == 0 && ext2dax_remount(m.mount, 0) == 0;
}

static const struct {
    const char *name;
    bool (*run)(void);
} calls[] = {
    {"write", does_write},
    {"read", does_read},
    {"zero_range", does_zero},
    {"punch", does_punch},
    {"allocate", does_allocate},
    {"truncate", does_truncate},
    {"fsync, sync", does_sync},
    {"mkdir, rename, rmdir", changes_names},
    {"create, unlink, the last put", removes_the_last_name},
    {"attributes", changes_attributes},
    {"freeze, thaw", freezes},
    {"a store", stores},
    {"process_sync", syncs_a_mapping},
    {"process_map", maps},
    {"a store to a private mapping", copies_a_page},
    {"process_populate", populates},
    {"process_unmap", unmaps},
    {"process_open, process_close", opens_and_closes},
    {"remount", remounts},
};

static bool returned;
static unsigned at_call;

static void *call_cancelled(void *arg)
{
    (void)arg;
    pthread_cancel(pthread_self());
    returned = calls[at_call].run();
    pthread_testcancel();
    return NULL;
}

START_TEST(no_call_is_a_cancellation_point)
{
    static const char *const locks[] = {"atomic_ops", "pthread"};
    struct mounted_options options = {.locks = locks[_i]};
    pthread_t thread;
    void *result;

    if (!ext2dax_locks_by_name(options.locks).ops)
        return;
    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "file", LENGTH);
    other = make_file(&m, "other", 0);
    shared_at = map_file(&m, file, 0, LENGTH, EXT2DAX_MAP_WRITE);
    memset(bytes, 'c', sizeof(bytes));
    for (at_call = 0; at_call < sizeof(calls) / sizeof(calls[0]); at_call++) {
        returned = false;
        ck_assert_int_eq(pthread_create(&thread, NULL, call_cancelled, NULL), 0);
        ck_assert_int_eq(pthread_join(thread, &result), 0);
        ck_assert_ptr_eq(result, PTHREAD_CANCELED);
        ck_assert_msg(returned, "%s: the thread has ended in the call, or the call has failed", calls[at_call].name);
    }
    unmap_file(&m, shared_at);
    ext2dax_inode_put(other);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

int main(void)
{
    Suite *suite;

    if (left_out_method())
        return SKIPPED;
    if (left_out_emulated("page faults of this process, which it resolves in its own way"))
        return SKIPPED;
    suite = suite_create("address space: cancellation");
    tcase_add_loop_test(add_case(suite, "process", 60), no_call_is_a_cancellation_point, 0, 2);
    return run_suite(suite);
}
