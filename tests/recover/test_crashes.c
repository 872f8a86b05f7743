/* SPDX-License-Identifier: MIT */
/*
 * Recovery of every state possible after a crash at a fence or between two fences, for calls
 * changing files and names, and for recovery itself. A snapshot of the memory is taken at each
 * fence. Between two fences any subset of the changed 8-byte words may be durable. The test tries
 * all subsets of a few words, and a seeded sample for many words.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../image/broken.h"
#include "../image/outside.h"
#include "../runner.h"
#include "crashed.h"

#define EPOCHS_MAX 64
#define WORDS_ALL  6u  /* every subset up to this many words */
#define SAMPLES    24u /* for more words */
#define ASKED      41u /* e2fsck checks every ASKEDth state */

static struct outside_image made;
static uint8_t *scratch, *again;
static unsigned long states, asked;
/* Attribute blocks are shared. e2fsck -p gives up at a wrong reference count, recovery does not. */
static bool shared;
/*
 * The names before and after the call, or NULL. Set for calls with no state in between, not even
 * after e2fsck -p.
 */
static const uint8_t *old_names, *new_names;

static struct {
    uint8_t *at[EPOCHS_MAX]; /* at each fence, [0] before the call */
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

/*
 * Checks the recovered image in `again` against the result of e2fsck -p for the crash state in
 * `scratch`.
 */
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

/* Checks the recovered image alone, for states which e2fsck -p cannot settle. */
static void ask_check(const char *what, unsigned epoch)
{
    struct outside_image other = outside_open(image_size);

    memcpy(other.base, again, image_size);
    ck_assert_msg(outside_e2fsck(&other, true) == 0, "%s, epoch %u: e2fsck -fn", what, epoch);
    outside_close(&other);
    asked++;
}

/* Recovers the state in `scratch` into `again`, and checks the result. */
static void recovers(const char *what, unsigned epoch)
{
    int error;

    memcpy(again, scratch, image_size);
    error = plug_recover(again, image_size);
    ck_assert_msg(error == 0, "%s, epoch %u: %d: %s", what, epoch, error, last_error());
    ck_assert_msg(ext2dax_check_image(again, image_size, 0, say_finding, (void *)(uintptr_t)what, NULL) == 0,
                  "%s, epoch %u: the checker finds something", what, epoch);
    ck_assert_int_eq(plug.held, 0);
    if (old_names)
        ck_assert_msg(same_names(again, old_names, image_size) || same_names(again, new_names, image_size),
                      "%s, epoch %u: neither the old names nor the new names", what, epoch);
    if (states++ % ASKED != 0 || shared)
        return;
    if (old_names)
        ask_check(what, epoch);
    else
        ask_e2fsck(what, epoch);
}

/* Calls `each` with every state between two snapshots, or with a sample of the states. */
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
static void make_in(const char *directory, const char *name)
{
    struct ext2dax_inode *in = find(directory);

    ck_assert_int_eq(ext2dax_mkdir(in, name, strlen(name), 0700, 1, 1, NULL), 0);
    ext2dax_inode_put(in);
}
static void rename_in(const char *from, const char *old, const char *to, const char *new, unsigned flags)
{
    struct ext2dax_inode *in = find(from), *out = find(to);

    ck_assert_int_eq(ext2dax_rename(in, old, strlen(old), out, new, strlen(new), flags), 0);
    ext2dax_inode_put(out);
    ext2dax_inode_put(in);
}
static void do_mkdir(void)
{
    make_in("/dir", "new");
}
static void do_mkdir_growing(void)
{
    char name[200];

    (void)snprintf(name, sizeof(name), "%0180u", 5);
    make_in("/full", name);
}
static void do_symlinks(void)
{
    struct ext2dax_inode *in = find("/dir");

    ck_assert_int_eq(ext2dax_symlink(in, "quick", 5, "target", 6, 1, 1, NULL), 0);
    ck_assert_int_eq(
        ext2dax_symlink(in, "long", 4, "0123456789012345678901234567890123456789012345678901234567890", 61, 1, 1, NULL),
        0);
    ext2dax_inode_put(in);
}
static void do_mknod(void)
{
    ck_assert_int_eq(ext2dax_mknod(root, "node", 4, EXT2DAX_S_IFBLK | 0600, 300, 4, 1, 1, NULL), 0);
}
static void do_link(void)
{
    struct ext2dax_inode *file = find("/big"), *in = find("/dir/sub");

    ck_assert_int_eq(ext2dax_link(file, in, "second", 6), 0);
    ext2dax_inode_put(in);
    ext2dax_inode_put(file);
}
static void do_rmdir(void)
{
    struct ext2dax_inode *in = find("/dir");

    unlink_in("/dir/sub", "leaf");
    ck_assert_int_eq(ext2dax_rmdir(in, "sub", 3), 0);
    ext2dax_inode_put(in);
}
static void do_rename(void)
{
    rename_in("/", "big", "/dir/sub", "moved", 0);
    rename_in("/dir/sub", "moved", "/dir/sub", "again", 0);
}
static void do_rename_growing(void)
{
    char name[200];

    (void)snprintf(name, sizeof(name), "%0180u", 5);
    rename_in("/", "slow", "/full", name, 0);
}
static void do_rename_over_one_of_several(void)
{
    rename_in("/", "fifo", "/dir", "hard2", 0);
    rename_in("/", "big", "/dir", "hard", 0);
}
static void do_rename_over_last(void)
{
    rename_in("/", "fast", "/", "big", 0);
}
static void do_rename_over_last_beside(void)
{
    rename_in("/dir/sub", "leaf", "/", "small", 0);
}
static void do_rename_directory(void)
{
    rename_in("/dir", "sub", "/many", "moved", 0);
}
static void do_rename_directory_beside(void)
{
    rename_in("/", "dir", "/", "many2", 0);
}
static void do_rename_directory_growing(void)
{
    char name[200];

    (void)snprintf(name, sizeof(name), "%0180u", 5);
    rename_in("/dir", "sub", "/full", name, 0);
}
static void do_rename_over_directory(void)
{
    rename_in("/dir", "sub", "/", "lost+found", 0);
}
static void do_rename_over_directory_beside(void)
{
    rename_in("/", "dir", "/", "lost+found", 0);
}
static void do_exchange(void)
{
    rename_in("/", "big", "/dir/sub", "leaf", EXT2DAX_RENAME_EXCHANGE);
}
static void do_exchange_names_of_several(void)
{
    rename_in("/dir", "hard2", "/", "fifo", EXT2DAX_RENAME_EXCHANGE);
}
static void do_exchange_directories(void)
{
    rename_in("/dir", "sub", "/", "many", EXT2DAX_RENAME_EXCHANGE);
}
static void do_exchange_directory_and_file(void)
{
    rename_in("/dir", "sub", "/", "sparse", EXT2DAX_RENAME_EXCHANGE);
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
    bool exempt; /* a single call, with no state in between */
} calls[] = {
    {do_create, "create", false},
    {do_create_growing, "create in a full directory", false},
    {do_create_many, "create four", false},
    {do_unlink, "unlink", false},
    {do_unlink_one_of_three, "unlink one of three names", false},
    {do_unlink_held, "unlink what is held, and truncate it", false},
    {do_create_over_unlinked, "create over what was unlinked", false},
    {do_append, "append", false},
    {do_write_in_hole, "write into a hole", false},
    {do_write_far, "write far past the end", false},
    {do_truncate, "truncate", false},
    {do_truncate_to_nothing, "truncate to nothing", false},
    {do_truncate_up, "truncate up", false},
    {do_large, "past 4 GiB and back", false},
    {do_punch, "punch", false},
    {do_allocate, "allocate", false},
    {do_all, "six in a row", false},
    {do_mkdir, "mkdir", false},
    {do_mkdir_growing, "mkdir in a full directory", false},
    {do_symlinks, "symbolic links", false},
    {do_mknod, "mknod", false},
    {do_link, "link", false},
    {do_rmdir, "rmdir", false},
    {do_rename, "rename twice", false},
    {do_rename_growing, "rename into a full directory", false},
    {do_rename_over_one_of_several, "rename over one of several names", false},
    {do_rename_over_last, "rename over a last name", true},
    {do_rename_over_last_beside, "rename over a last name elsewhere", true},
    {do_rename_directory, "rename a directory", true},
    {do_rename_directory_beside, "rename a directory beside", true},
    {do_rename_directory_growing, "rename a directory into a full one", true},
    {do_rename_over_directory, "rename over a directory", true},
    {do_rename_over_directory_beside, "rename over a directory beside", true},
    {do_exchange, "exchange", true},
    {do_exchange_names_of_several, "exchange one of several names", true},
    {do_exchange_directories, "exchange directories", true},
    {do_exchange_directory_and_file, "exchange directory and file", true},
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
    old_names = calls[_i].exempt ? recording.at[0] : NULL;
    new_names = recording.at[count - 1];
    for (unsigned epoch = 1; epoch < count; epoch++)
        states_between(recording.at[epoch - 1], recording.at[epoch], &seed, calls[_i].name, epoch, recovers);
    printf("%s: %u epochs, %lu states recovered, %lu of them as e2fsck -p does\n", calls[_i].name, count - 1, states,
           asked);
}
END_TEST

/* ---- a rename that recovery must not complete ---- */

/* Selects the first recorded image with a record of stores, and leaves the image in `scratch`. */
static void select_record(void)
{
    static const uint8_t none[sizeof(super()->redo)];
    size_t at = EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, redo);
    unsigned i = 0;

    while (i < recording.count && memcmp(recording.at[i] + at, none, sizeof(none)) == 0)
        i++;
    ck_assert_uint_lt(i, recording.count);
    memcpy(scratch, recording.at[i], image_size);
}

static void record_rename(void)
{
    ck_assert_int_eq(plug_mount(image, image_size, 0, EXT2DAX_ORDERED, &mount), 0);
    root = find("/");
    plug.fenced = record;
    do_rename_over_directory();
    plug.fenced = NULL;
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    select_record();
}

/*
 * Recovers the state in `scratch`, which must be refused. No byte of the image may change, although
 * the rename was completed for the scan.
 */
static void refused_unchanged(int expected, const char *what)
{
    int error;

    memcpy(again, scratch, image_size);
    error = plug_recover(again, image_size);
    ck_assert_msg(error == expected, "%s: %d", what, error);
    ck_assert_msg(memcmp(again, scratch, image_size) == 0, "%s: the image has changed", what);
    ck_assert_int_eq(plug.held, 0);
}

START_TEST(test_record_and_damage)
{
    uint8_t *kept = image;
    struct ext2dax_disk_super *damaged = (void *)(scratch + EXT2DAX_SUPER_OFFSET);

    record_rename();
    image = scratch;
    set32(&file("big")->block[0], 3);
    refused_unchanged(-EXT2DAX_EUCLEAN, "a pointer into metadata");
    image = kept;
    select_record();
    for (plug.asks_left = 0; plug.asks_left < 8;) {
        long left = plug.asks_left;

        refused_unchanged(-EXT2DAX_EINTR, "an interruption");
        plug.asks_left = left + 1;
    }
    plug.asks_left = -1;
    /* The first allocations belong to the mount. */
    for (long left = 2; left < 4; left++) {
        plug.allocs_left = left;
        refused_unchanged(-EXT2DAX_ENOMEM, "no memory");
    }
    plug.allocs_left = -1;
    /* After a change by another driver the record means nothing, and the state is no tree. */
    set32(&damaged->write_time, 1234567);
    memcpy(again, scratch, image_size);
    if (plug_recover(again, image_size) == 0)
        ck_assert_uint_eq(plug_recovered("interrupted renames"), 0);
}
END_TEST

/* A record whose checksum is right may still list stores which no rename makes. */
START_TEST(test_impossible_records)
{
    /* word of the record, and its value */
    static const uint32_t wrong[][2] = {{2, 7},        {3, 1},        {3, 1u << 30},    {4, 1},
                                        {4, 1u << 31}, {5, 3u << 16}, {5, 4u << 16 | 2}};
    struct ext2dax_disk_super *forged = (void *)(scratch + EXT2DAX_SUPER_OFFSET);

    record_rename();
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint32_t state[4], first = 0x243F6A88u, second = 0x85A308D3u;

        select_record();
        state[0] = get32(forged->mount_time);
        state[1] = get32(forged->write_time);
        state[2] = get32(forged->last_check);
        state[3] = get16(forged->mount_count);
        set32(&forged->redo[wrong[i][0]], wrong[i][1]);
        for (unsigned k = 0; k < 4 + 20; k++) {
            uint32_t word = k < 4 ? state[k] : get32(forged->redo[k - 2]);

            first = (first ^ word) * 0x9E3779B1u;
            first ^= first >> 15;
            second = (second ^ word) * 0x85EBCA77u;
            second ^= second >> 15;
        }
        set32(&forged->redo[0], first);
        set32(&forged->redo[1], second);
        refused_unchanged(-EXT2DAX_EUCLEAN, "an impossible record");
        ck_assert_str_eq(plug.error.structure, "redo record");
    }
}
END_TEST

/* A record left in a clean image means nothing, and a mount clears the rest. */
START_TEST(test_record_in_clean_image)
{
    struct ext2dax_disk_super *super_of = (void *)(again + EXT2DAX_SUPER_OFFSET);

    record_rename();
    memcpy(again, image, image_size);
    memcpy(super_of->redo, ((struct ext2dax_disk_super *)(void *)(scratch + EXT2DAX_SUPER_OFFSET))->redo,
           sizeof(super_of->redo));
    ck_assert_int_eq(plug_recover(again, image_size), 0);
    ck_assert(same_names(again, image, image_size));
    for (unsigned i = 0; i < sizeof(super_of->redo) / 4; i++)
        ck_assert_uint_eq(get32(super_of->redo[i]), 0);
}
END_TEST

/* ---- recovery itself ---- */

static uint8_t *whole; /* the result of an undisturbed recovery */

/* Makes a crash state with every kind of damage at once, so recovery has work of every kind. */
static void crash_everything(void)
{
    struct ext2dax_disk_inode *big = file("big");
    uint32_t number = free_inode();

    if (shared) {
        ck_assert_int_eq(outside_run("debugfs -w -R 'ea_set /small user.key value' %s >/dev/null 2>&1", made.path), 0);
        set32((struct ext2dax_le32 *)block_at(get32(file("small")->file_acl)) + 1, 4);
    }
    /*
     * A live fifo without a name is impossible after a crash. The fifo is therefore deleted
     * together with its dirent.
     */
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
    ck_assert_uint_eq(recording.count, 1 + 3); /* two of recovery, and the fence of the mark */
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
    /* All changes of recovery are durable before the mount continues. */
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

/* Shows the need for recovery's first fence. Without the fence some states cannot be recovered. */
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

/*
 * Shows the need for the last fence as well. Without the fence, a cleared dirent can reappear and
 * name the next file with the same inode number.
 */
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
    TCase *tests = add_case(suite, "crashes", 60);
    int status = crashed_begin();

    if (status != 0)
        return status;
    tcase_add_checked_fixture(tests, open_image, close_image);
    tcase_add_loop_test(tests, test_calls, 0, CALLS);
    tcase_add_test(tests, test_record_and_damage);
    tcase_add_test(tests, test_impossible_records);
    tcase_add_test(tests, test_record_in_clean_image);
    tcase_add_loop_test(tests, test_recovery_again, 0, 2);
    tcase_add_test(tests, test_recovery_without_its_fence);
    tcase_add_test(tests, test_name_coming_back);
    status = run_suite(suite);
    tree_remove();
    return status;
}
