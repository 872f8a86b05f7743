/* SPDX-License-Identifier: MIT */
/*
 * Recovery of every state that a crash at a fence, or between two, can leave: of calls that change files and names, and of
 * recovery itself. Memory is taken at each fence; between two of them any subset of the 8-byte words that changed may have
 * arrived: all subsets where they are few, a sample from a seed where they are many.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../image/broken.h"
#include "../image/outside.h"
#include "crashed.h"

#define EPOCHS_MAX 64
#define WORDS_ALL  6u  /* up to so many words: every subset */
#define SAMPLES    12u /* else */
#define ASKED      41u /* one state in so many is shown to e2fsck */

static struct outside_image made;
static uint8_t *scratch, *again;
static unsigned long states, asked;
static bool shared; /* attributes are: e2fsck -p gives up at a wrong count of references, recovery does not */

static struct {
    uint8_t *at[EPOCHS_MAX]; /* as of each fence; [0]: before the call */
    unsigned count;
} recording;

static void record(void *arg)
{
    (void)arg;
    ck_assert_uint_lt(recording.count, EPOCHS_MAX);
    recording.at[recording.count] = malloc(image_size);
    ck_assert_ptr_nonnull(recording.at[recording.count]);
    memcpy(recording.at[recording.count++], image, image_size);
}

static void forget(void)
{
    while (recording.count > 0)
        free(recording.at[--recording.count]);
}

static void open_image(void)
{
    plug_reset();
    made = tree_image();
    scratch = malloc(image_size);
    again = malloc(image_size);
    ck_assert(scratch && again);
}

static void close_image(void)
{
    forget();
    free(scratch);
    free(again);
    outside_close(&made);
}

static const char *last_error(void)
{
    static char text[256];

    (void)ext2dax_report_text(&plug.error, text, sizeof(text));
    return text;
}

/* What e2fsck -p makes of the state in `scratch` is what recovery made of it, which is in `again`. */
static void ask_e2fsck(const char *what, unsigned epoch)
{
    struct outside_image other = outside_open(image_size);
    const char *difference;
    int status;

    memcpy(other.base, scratch, image_size);
    status = outside_run("e2fsck -p %s >/dev/null 2>&1", other.path);
    ck_assert_msg(status == 0 || status == 1, "%s, epoch %u: e2fsck -p exits with %d", what, epoch, status);
    difference = differs(again, other.base, image_size);
    ck_assert_msg(!difference, "%s, epoch %u: %s differs from what e2fsck -p makes of it", what, epoch, difference);
    memcpy(other.base, again, image_size);
    ck_assert_msg(outside_e2fsck(&other, true) == 0, "%s, epoch %u: e2fsck -fn", what, epoch);
    outside_close(&other);
    asked++;
}

/* The state in `scratch` recovers; it is left in `again`. */
static void recovers(const char *what, unsigned epoch)
{
    int error;

    memcpy(again, scratch, image_size);
    error = plug_recover(again, image_size);
    ck_assert_msg(error == 0, "%s, epoch %u: %d: %s", what, epoch, error, last_error());
    ck_assert_msg(ext2dax_check_image(again, image_size, 0, say_finding, (void *)(uintptr_t)what, NULL) == 0,
                  "%s, epoch %u: the checker finds something", what, epoch);
    ck_assert_int_eq(plug.held, 0);
    if (states++ % ASKED == 0 && !shared)
        ask_e2fsck(what, epoch);
}

/* Calls `each` with every state, or a sample of them, between two memories. */
static void states_between(const uint8_t *from, const uint8_t *to, uint32_t *seed, const char *what, unsigned epoch,
                           void (*each)(const char *what, unsigned epoch))
{
    unsigned words = words_between(from, to, image_size);
    uint64_t count = words <= WORDS_ALL ? (uint64_t)1 << words : SAMPLES;

    if (getenv("EXT2DAX_UNDER_VALGRIND") && count > 2)
        count = 2;

    for (uint64_t pattern = 0; pattern < count; pattern++) {
        mix(scratch, from, to, image_size, pattern, words <= WORDS_ALL ? NULL : seed);
        each(what, epoch);
    }
    memcpy(scratch, to, image_size);
    each(what, epoch);
}

/* ---- calls ---- */

static struct ext2dax_mount *mount;
static struct ext2dax_inode *root;
static char bytes[100000];

static struct ext2dax_inode *find(const char *path)
{
    struct ext2dax_inode *inode;

    ck_assert_int_eq(ext2dax_lookup_path(mount, path, strlen(path), EXT2DAX_NO_FOLLOW, &inode), 0);
    return inode;
}
static void create_in(const char *directory, const char *name)
{
    struct ext2dax_inode *in = find(directory), *inode;

    ck_assert_int_eq(ext2dax_create(in, name, strlen(name), 0600, 1, 1, &inode), 0);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(in);
}
static void unlink_in(const char *directory, const char *name)
{
    struct ext2dax_inode *in = find(directory);

    ck_assert_int_eq(ext2dax_unlink(in, name, strlen(name)), 0);
    ext2dax_inode_put(in);
}
static void write_at(const char *path, uint64_t offset, size_t length)
{
    struct ext2dax_inode *inode = find(path);

    ck_assert_int_eq(ext2dax_write(inode, offset, bytes, length), (int64_t)length);
    ext2dax_inode_put(inode);
}
static void truncate_to(const char *path, uint64_t size)
{
    struct ext2dax_inode *inode = find(path);

    ck_assert_int_eq(ext2dax_truncate(inode, size), 0);
    ext2dax_inode_put(inode);
}

static void do_create(void)
{
    create_in("/", "new");
}
static void do_create_growing(void)
{
    char name[200];

    (void)snprintf(name, sizeof(name), "%0180u", 5);
    create_in("/full", name);
}
static void do_create_many(void)
{
    char name[16];

    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(name, sizeof(name), "many %u", i);
        create_in("/dir", name);
    }
}
static void do_unlink(void)
{
    unlink_in("/", "big");
}
static void do_unlink_one_of_three(void)
{
    unlink_in("/dir", "hard2");
}
static void do_unlink_held(void)
{
    struct ext2dax_inode *held = find("/big");

    unlink_in("/", "big");
    ck_assert_int_eq(ext2dax_truncate(held, 2000), 0);
    ext2dax_inode_put(held);
}
static void do_create_over_unlinked(void)
{
    unlink_in("/", "small");
    create_in("/dir/sub", "takes the number");
    write_at("/dir/sub/takes the number", 0, 3000);
}
static void do_append(void)
{
    write_at("/small", 6, 20000);
}
static void do_write_in_hole(void)
{
    write_at("/sparse", 1 << 20, 5000);
}
static void do_write_far(void)
{
    write_at("/empty", (12 + 256 + 5) * 1024, 9000);
}
static void do_truncate(void)
{
    truncate_to("/big", 5000);
}
static void do_truncate_to_nothing(void)
{
    truncate_to("/sparse", 0);
}
static void do_truncate_up(void)
{
    truncate_to("/small", 70000);
}
static void do_large(void)
{
    truncate_to("/small", (uint64_t)5 << 30);
    truncate_to("/small", 5);
}
static void do_punch(void)
{
    struct ext2dax_inode *inode = find("/big");

    ck_assert_int_eq(ext2dax_punch(inode, 3000, 200000), 0);
    ext2dax_inode_put(inode);
}
static void do_allocate(void)
{
    struct ext2dax_inode *inode = find("/empty");

    ck_assert_int_eq(ext2dax_allocate(inode, 0, 300000, false), 0);
    ext2dax_inode_put(inode);
}
static void do_all(void)
{
    do_create();
    write_at("/new", 0, 4000);
    do_punch();
    do_truncate();
    do_unlink();
    unlink_in("/", "new");
}

static const struct {
    void (*call)(void);
    const char *name;
} calls[] = {
    {do_create, "create"},
    {do_create_growing, "create in a full directory"},
    {do_create_many, "create four"},
    {do_unlink, "unlink"},
    {do_unlink_one_of_three, "unlink one of three names"},
    {do_unlink_held, "unlink what is held, and truncate it"},
    {do_create_over_unlinked, "create over what was unlinked"},
    {do_append, "append"},
    {do_write_in_hole, "write into a hole"},
    {do_write_far, "write far past the end"},
    {do_truncate, "truncate"},
    {do_truncate_to_nothing, "truncate to nothing"},
    {do_truncate_up, "truncate up"},
    {do_large, "past 4 GiB and back"},
    {do_punch, "punch"},
    {do_allocate, "allocate"},
    {do_all, "six in a row"},
};
#define CALLS (int)(sizeof(calls) / sizeof(calls[0]))

START_TEST(test_calls)
{
    uint32_t seed = 0xACE0F5u + (uint32_t)_i;
    unsigned count;

    memset(bytes, 'w', sizeof(bytes));
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    root = find("/");
    record(NULL);
    plug.fenced = record;
    calls[_i].call();
    plug.fenced = NULL;
    record(NULL);
    count = recording.count;
    ck_assert_uint_ge(count, 3);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    for (unsigned epoch = 1; epoch < count; epoch++)
        states_between(recording.at[epoch - 1], recording.at[epoch], &seed, calls[_i].name, epoch, recovers);
    printf("%s: %u epochs, %lu states recovered, %lu of them as e2fsck -p does\n", calls[_i].name, count - 1, states,
           asked);
}
END_TEST

/* ---- recovery itself ---- */

static uint8_t *whole; /* what recovery that is not disturbed makes of the image */

/* A crash of everything at once, so that recovery has something of every kind to do. */
static void crash_everything(void)
{
    struct ext2dax_disk_inode *big = file("big");
    uint32_t number = free_inode();

    if (shared) {
        ck_assert_int_eq(outside_run("debugfs -w -R 'ea_set /small user.key value' %s >/dev/null 2>&1", made.path), 0);
        set32((struct ext2dax_le32 *)block_at(get32(file("small")->file_acl)) + 1, 4);
    }
    /* A fifo without a name is no crash's: it has to die with its entry. */
    set16(&file("fifo")->links, 0);
    set16(&big->links, 0);
    mark_block(get32(big->block[2]), false);
    mark_inode(number, true);
    set16(&inode_at(number)->mode, EXT2DAX_S_IFREG | 0600);
    set32(&entry(EXT2DAX_ROOT_INODE, "fifo")->inode, number);
    entry(EXT2DAX_ROOT_INODE, "fast")->type = EXT2DAX_FT_UNKNOWN;
    set32(&entry(EXT2DAX_ROOT_INODE, "empty")->inode, 0);
    add16(&file("dir")->links, 1);
    set16(&file("hard")->links, 1);
    add32(&file("sparse")->sectors, 6);
    add32(&file("full")->size, 1024);
    add16(&group(1)->used_dirs, 1);
    add32(&super()->free_blocks, -9);
    set16(&super()->state, 0);
}

static void same_as_undisturbed(const char *what, unsigned epoch)
{
    const char *difference;

    recovers(what, epoch);
    difference = differs(again, whole, image_size);
    ck_assert_msg(!difference, "%s, epoch %u: %s is not as without a second crash", what, epoch, difference);
}

static void record_recovery(void)
{
    crash_everything();
    record(NULL);
    plug.fenced = record;
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    plug.fenced = NULL;
    ck_assert_uint_eq(recording.count, 1 + 3); /* two of recovery, and the mark's */
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    whole = malloc(image_size);
    ck_assert_ptr_nonnull(whole);
    memcpy(whole, image, image_size);
}

START_TEST(test_recovery_again)
{
    uint32_t seed = 0x5EED;

    shared = _i != 0;
    record_recovery();
    ck_assert_uint_ge(plug.kinds, 10);
    ck_assert_uint_ge(words_between(recording.at[0], recording.at[1], image_size), 5);
    ck_assert_uint_ge(words_between(recording.at[1], recording.at[2], image_size), 8);
    /* When the mount goes on, all of it is durable. */
    ck_assert_uint_eq(words_between(recording.at[2], recording.at[3], image_size), 0);
    for (unsigned epoch = 1; epoch < 3; epoch++)
        for (unsigned i = 0; i < (epoch == 1 ? 1 : 10); i++)
            states_between(recording.at[epoch - 1], recording.at[epoch], &seed, "recovery", epoch, same_as_undisturbed);
    printf("recovery: %lu states recovered again, %lu of them as e2fsck -p does\n", states, asked);
    free(whole);
}
END_TEST

static unsigned unrecoverable, tried;

static void count_unrecoverable(const char *what, unsigned epoch)
{
    (void)what;
    (void)epoch;
    memcpy(again, scratch, image_size);
    tried++;
    unrecoverable += plug_recover(again, image_size) != 0;
}

/* The fence in the middle is needed: without it some states are beyond recovery. */
START_TEST(test_recovery_without_its_fence)
{
    uint32_t seed = 0x5EED;

    record_recovery();
    for (unsigned i = 0; i < 8; i++)
        states_between(recording.at[0], recording.at[2], &seed, "recovery", 1, count_unrecoverable);
    printf("recovery without its first fence: %u of %u states are beyond recovery\n", unrecoverable, tried);
    ck_assert_uint_gt(unrecoverable, 0);
    free(whole);
}
END_TEST

/* The last one too: a name that was cleared comes back over the next file of that number. */
START_TEST(test_name_coming_back)
{
    struct ext2dax_inode *inode;
    uint32_t number;
    struct ext2dax_disk_dirent *name;

    number = number_of("big");
    set16(&file("big")->links, 0);
    set16(&super()->state, 0);
    name = entry(EXT2DAX_ROOT_INODE, "big");
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    ck_assert_uint_eq(get32(name->inode), 0);
    root = find("/dir");
    ck_assert_int_eq(ext2dax_create(root, "new", 3, 0600, 1, 1, &inode), 0);
    ck_assert_uint_eq(inode->number, number);
    ext2dax_inode_put(inode);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    set32(&name->inode, number);
    set16(&super()->state, 0);
    ck_assert_int_eq(plug_recover(image, image_size), 0);
    ck_assert_uint_eq(get16(inode_at(number)->links), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recovery after crashes");
    TCase *tests = tcase_create("crashes");
    SRunner *runner;
    int failures;

    if (!outside_has("mke2fs") || !outside_has("e2fsck") || !outside_has("debugfs")) {
        puts("skipped: e2fsprogs is not installed, which makes and judges the images");
        return OUTSIDE_SKIPPED;
    }
    if (!tree_make()) {
        puts("no tree of files to fill images with");
        return 2;
    }
    tcase_add_checked_fixture(tests, open_image, close_image);
    tcase_add_loop_test(tests, test_calls, 0, CALLS);
    tcase_add_loop_test(tests, test_recovery_again, 0, 2);
    tcase_add_test(tests, test_recovery_without_its_fence);
    tcase_add_test(tests, test_name_coming_back);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    tree_remove();
    return failures == 0 ? 0 : 1;
}
