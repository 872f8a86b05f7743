/* SPDX-License-Identifier: MIT */
/*
 * Tests the claim on an image. Either a single mount may store, or several mounts only read, even
 * with copies of the plug. A process which inherited the image by fork may not use it. Runs over
 * every memory plug of lib/hosted, and with each protection disabled by its mutant.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"

#include "../runner.h"

#define SIZE ((size_t)8 << 20)

enum place { HEAP, ANONYMOUS, SHM, TMP, PLACES };

static char path[64];
static struct ext2dax_plugs plugs;
static int place;

static void keep_quiet(void *arg, const struct ext2dax_report *report)
{
    *(struct ext2dax_report *)arg = *report;
}

static struct ext2dax_report reported;

/* Makes an empty file with a name of its own. */
static void name_file(const char *folder)
{
    int fd;

    snprintf(path, sizeof(path), "%s/ext2dax-use-XXXXXX", folder);
    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void open_image(int where)
{
    struct ext2dax_host_options options = {.size = sizeof(options), .log = keep_quiet, .log_arg = &reported};

    place = where;
    plugs = (struct ext2dax_plugs){.locks = ext2dax_locks_default()};
    ck_assert_int_eq(ext2dax_host_open(&options, &plugs.host), 0);
    name_file(where == SHM ? "/dev/shm" : "/tmp");
    if (where == HEAP)
        ck_assert_int_eq(ext2dax_memory_open_heap(SIZE, &plugs.memory), 0);
    else if (where == ANONYMOUS)
        ck_assert_int_eq(ext2dax_memory_open_anonymous("use", SIZE, &plugs.memory), 0);
    else
        ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, SIZE, &plugs.memory), 0);
    unlink(path);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), 0);
}

static void close_image(void)
{
    if (place == HEAP)
        ext2dax_memory_close_heap(&plugs.memory);
    else
        ext2dax_memory_close_file(&plugs.memory);
    ext2dax_host_close(&plugs.host);
}

static int mount(unsigned flags, struct ext2dax_mount **mount)
{
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = flags, .recover = ext2dax_recover, .verify = ext2dax_verify};

    return ext2dax_mount(&plugs, &options, mount);
}

static int damage(void)
{
    return ext2dax_check_image(plugs.memory.base, plugs.memory.size, 0, NULL, NULL, NULL);
}

/*
 * Returns whether the call was refused. Each predicate based on this function is true while its
 * protection works and false while its mutant is active.
 */
static bool is_refused(int error)
{
    ck_assert(error == 0 || error == -EXT2DAX_EBUSY);
    return error != 0;
}

static bool second_mount_is_refused(void)
{
    struct ext2dax_mount *first, *second;
    bool refused;

    ck_assert_int_eq(mount(0, &first), 0);
    refused = is_refused(mount(0, &second));
    if (!refused)
        (void)ext2dax_unmount(second);
    ck_assert_int_eq(ext2dax_unmount(first), 0);
    return refused;
}

START_TEST(one_stores_or_all_read)
{
    struct ext2dax_mount *mounts[3], *other;

    open_image(_i);
    ck_assert(second_mount_is_refused());
    ck_assert_int_eq(mount(0, &mounts[0]), 0);
    ck_assert_int_eq(mount(EXT2DAX_MOUNT_READ_ONLY, &other), -EXT2DAX_EBUSY);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_freeze(mounts[0]), 0);
    ck_assert_int_eq(mount(0, &other), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_thaw(mounts[0]), 0);
    /*
     * A read-only mount shares the image. The mount returns to read-write only after all others are
     * gone.
     */
    ck_assert_int_eq(ext2dax_remount(mounts[0], EXT2DAX_MOUNT_READ_ONLY), 0);
    ck_assert_int_eq(mount(EXT2DAX_MOUNT_READ_ONLY, &mounts[1]), 0);
    ck_assert_int_eq(mount(EXT2DAX_MOUNT_READ_ONLY | EXT2DAX_MOUNT_VERIFY, &mounts[2]), 0);
    ck_assert_int_eq(mount(0, &other), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_remount(mounts[0], 0), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_unmount(mounts[1]), 0);
    ck_assert_int_eq(ext2dax_remount(mounts[0], 0), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_unmount(mounts[2]), 0);
    ck_assert_int_eq(ext2dax_remount(mounts[0], 0), 0);
    ck_assert_int_eq(mount(EXT2DAX_MOUNT_READ_ONLY, &other), -EXT2DAX_EBUSY);
    ck_assert_int_eq(ext2dax_unmount(mounts[0]), 0);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), 0);
    ck_assert_int_eq(damage(), 0);
    close_image();
}
END_TEST

static bool is_given_back(void)
{
    unsigned char *magic = (unsigned char *)plugs.memory.base + 1024 + 56;
    struct ext2dax_mount *mount_;
    int error = -EXT2DAX_EINVAL;

    *magic ^= 1;
    for (unsigned flags = 0; flags <= EXT2DAX_MOUNT_READ_ONLY && error == -EXT2DAX_EINVAL; flags++)
        error = mount(flags, &mount_);
    *magic ^= 1;
    ck_assert_int_ne(error, 0);
    if (error == -EXT2DAX_EINVAL)
        error = mount(0, &mount_);
    if (error == 0)
        ck_assert_int_eq(ext2dax_unmount(mount_), 0);
    return !is_refused(error);
}

/* A failed mount keeps no claim. */
START_TEST(what_fails_gives_the_claim_back)
{
    open_image(_i);
    ck_assert(is_given_back());
    close_image();
}
END_TEST

/* An anonymous file opened again through /proc is refused like any other file. */
START_TEST(an_anonymous_file_is_locked_too)
{
    struct ext2dax_memory again;

    open_image(ANONYMOUS);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ext2dax_memory_descriptor(&plugs.memory));
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &again), -EXT2DAX_EBUSY);
    close_image();
}
END_TEST

/* ---- forks ---- */

#define EACH_IS(error)                                                                                                 \
    do {                                                                                                               \
        int64_t answer = (error);                                                                                      \
        if (answer != -EXT2DAX_EINVAL) {                                                                               \
            fprintf(stderr, "%d: %lld\n", __LINE__, (long long)answer);                                                \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

struct used {
    struct ext2dax_mount *mount;
    struct ext2dax_inode *root, *file, *unlinked;
    struct ext2dax_pin pin;
};

/* Runs every storing call in a child process. Each is refused or does nothing. */
static int misuse(struct used *u)
{
    struct ext2dax_mount *other;
    struct ext2dax_inode *made;
    struct ext2dax_pin pin;
    char bytes[8] = "";

    reported.error = 0;
    EACH_IS(ext2dax_create(u->root, "made", 4, 0644, 0, 0, &made));
    if (reported.error != -EXT2DAX_EINVAL)
        return 2;
    EACH_IS(ext2dax_unlink(u->root, "file", 4));
    EACH_IS(ext2dax_write(u->file, 0, "child", 5));
    EACH_IS(ext2dax_truncate(u->file, 0));
    EACH_IS(ext2dax_allocate(u->file, 0, 65536, false));
    EACH_IS(ext2dax_punch(u->file, 0, 4096));
    EACH_IS(ext2dax_fsync(u->file));
    EACH_IS(ext2dax_pin(u->file, 0, 4096, true, &pin));
    EACH_IS(ext2dax_freeze(u->mount));
    EACH_IS(ext2dax_thaw(u->mount));
    EACH_IS(ext2dax_sync(u->mount));
    EACH_IS(ext2dax_remount(u->mount, EXT2DAX_MOUNT_READ_ONLY));
    EACH_IS(mount(0, &other));
    EACH_IS(mount(EXT2DAX_MOUNT_READ_ONLY, &other));
    EACH_IS(ext2dax_format(&plugs.memory, NULL, NULL));
    if (ext2dax_read(u->file, 0, bytes, 6) != 6 || memcmp(bytes, "parent", 6) != 0)
        return 3;
    ext2dax_unpin(&u->pin);
    ext2dax_inode_put(u->unlinked);
    ext2dax_inode_put(u->file);
    ext2dax_inode_put(u->root);
    EACH_IS(ext2dax_unmount(u->mount));
    close_image();
    return 0;
}

static int status_of(pid_t child)
{
    int status;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

static void use(struct used *u)
{
    ck_assert_int_eq(mount(0, &u->mount), 0);
    ck_assert_int_eq(ext2dax_lookup_path(u->mount, "/", 1, 0, &u->root), 0);
    ck_assert_int_eq(ext2dax_create(u->root, "file", 4, 0644, 0, 0, &u->file), 0);
    ck_assert_int_eq(ext2dax_write(u->file, 0, "parent", 6), 6);
    ck_assert_int_eq(ext2dax_create(u->root, "gone", 4, 0644, 0, 0, &u->unlinked), 0);
    ck_assert_int_eq(ext2dax_write(u->unlinked, 0, "parent", 6), 6);
    ck_assert_int_eq(ext2dax_unlink(u->root, "gone", 4), 0);
    ck_assert_int_eq(ext2dax_pin(u->file, 0, 6, false, &u->pin), 0);
}

static void end_use(struct used *u)
{
    ext2dax_unpin(&u->pin);
    ext2dax_inode_put(u->unlinked);
    ext2dax_inode_put(u->file);
    ext2dax_inode_put(u->root);
    ck_assert_int_eq(ext2dax_unmount(u->mount), 0);
}

START_TEST(a_child_changes_nothing)
{
    static unsigned char before[SIZE];
    struct used used;
    pid_t child;

    open_image(_i);
    use(&used);
    memcpy(before, plugs.memory.base, SIZE);
    child = fork();
    if (child == 0)
        _exit(misuse(&used));
    ck_assert_int_eq(status_of(child), 0);
    ck_assert_int_eq(memcmp(before, plugs.memory.base, SIZE), 0);
    end_use(&used);
    ck_assert_int_eq(damage(), 0);
    close_image();
}
END_TEST

/*
 * Runs in a child, which opens its own image beside the inherited one, and in a child of the child.
 */
static int own_and_inherited(struct used *u)
{
    struct ext2dax_plugs inherited = plugs;
    struct used own;
    pid_t child;

    open_image(place);
    use(&own);
    child = fork();
    if (child == 0) {
        EACH_IS(ext2dax_sync(own.mount));
        EACH_IS(ext2dax_sync(u->mount));
        return 0;
    }
    if (status_of(child) != 0)
        return 4;
    EACH_IS(ext2dax_sync(u->mount));
    if (ext2dax_sync(own.mount) != 0)
        return 5;
    end_use(&own);
    close_image();
    plugs = inherited;
    return 0;
}

START_TEST(a_child_has_memory_of_its_own)
{
    struct used used;
    pid_t child;

    open_image(_i);
    use(&used);
    child = fork();
    if (child == 0)
        _exit(own_and_inherited(&used));
    ck_assert_int_eq(status_of(child), 0);
    end_use(&used);
    close_image();
}
END_TEST

/*
 * A living child with an inherited descriptor does not prevent opening the file again. A child
 * which closes its descriptor does not release the parent's lock.
 */
START_TEST(a_childs_descriptor_holds_no_lock)
{
    pid_t child, closer;
    int ends[2];

    name_file("/tmp");
    ck_assert_int_eq(ext2dax_memory_open_file(path, EXT2DAX_FILE_CREATE, SIZE, &plugs.memory), 0);
    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        char byte;

        close(ends[1]);
        _exit(read(ends[0], &byte, 1) != 0);
    }
    closer = fork();
    if (closer == 0) {
        struct ext2dax_memory again;

        ext2dax_memory_close_file(&plugs.memory);
        _exit(ext2dax_memory_open_file(path, 0, 0, &again) != -EXT2DAX_EBUSY);
    }
    ck_assert_int_eq(status_of(closer), 0);
    ext2dax_memory_close_file(&plugs.memory);
    ck_assert_int_eq(ext2dax_memory_open_file(path, 0, 0, &plugs.memory), 0);
    ext2dax_memory_close_file(&plugs.memory);
    close(ends[1]);
    ck_assert_int_eq(status_of(child), 0);
    unlink(path);
}
END_TEST

/* ---- disabled protections ---- */

static bool child_is_refused(void)
{
    struct used used;
    pid_t child;
    int status;

    ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), 0);
    use(&used);
    child = fork();
    if (child == 0)
        _exit(ext2dax_sync(used.mount) != -EXT2DAX_EINVAL);
    status = status_of(child);
    end_use(&used);
    return status == 0;
}

static const struct {
    const char *name;
    bool (*holds)(void);
} broken[] = {
    {"CLAIM_SKIPPED", second_mount_is_refused},
    {"CLAIM_KEPT", is_given_back},
    {"CHILD_LET_IN", child_is_refused},
};

START_TEST(each_protection_is_needed)
{
    open_image(ANONYMOUS);
    ck_assert(broken[_i].holds());
    ck_assert_int_eq(ext2dax_mutant_activate(broken[_i].name), 0);
    ck_assert_msg(!broken[_i].holds(), "%s is not noticed", broken[_i].name);
    ck_assert_int_eq(ext2dax_mutant_activate("none"), 0);
    close_image();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("who may use an image");
    TCase *tcase = add_case(suite, "use", 60);

    tcase_add_loop_test(tcase, one_stores_or_all_read, 0, PLACES);
    tcase_add_loop_test(tcase, what_fails_gives_the_claim_back, 0, PLACES);
    tcase_add_test(tcase, an_anonymous_file_is_locked_too);
    tcase_add_loop_test(tcase, a_child_changes_nothing, ANONYMOUS, PLACES);
    tcase_add_loop_test(tcase, a_child_has_memory_of_its_own, ANONYMOUS, PLACES);
    tcase_add_test(tcase, a_childs_descriptor_holds_no_lock);
    tcase_add_loop_test(tcase, each_protection_is_needed, 0, (int)(sizeof(broken) / sizeof(broken[0])));
    return run_suite(suite);
}
