/* SPDX-License-Identifier: MIT */
/*
 * Public structs begin with the size that their caller knew of. Each is handed in at every size, at the very end of a
 * page behind which nothing may be touched: what lies past the size is not there, what lies before it is used, and what
 * is too short for a required op is refused. Longer ones, of a newer caller, are taken as far as they are known. Steps are
 * of half a pointer: a member that is there in part is not there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "ext2dax/ext2dax.h"
#include "ext2dax/hosted/host.h"
#include "ext2dax/hosted/lock.h"
#include "ext2dax/hosted/memory.h"
#include "ext2dax/hosted/process.h"
#include "ext2dax/testkit/crash.h"
#include "ext2dax/testkit/explorer.h"
#include "ext2dax/testkit/lock_order.h"
#include "ext2dax/testkit/model.h"

#define IMAGE      ((size_t)2 << 20)
#define NEWER      16 /* bytes that a caller of a later version has behind what is known */
#define LEAST      sizeof(size_t)
#define MOST(type) (sizeof(type) + NEWER)
/* Is the whole member within the size that the caller gives? */
#define COVERED(size, type, member)                                                                                    \
    (((size) & ~(sizeof(void *) - 1)) >= offsetof(type, member) + sizeof((type){0}.member))

/* ---- a struct that ends where nothing may be touched ---- */

static char *edge; /* of what can be read; a page that cannot follows */

static void open_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(at != MAP_FAILED && mprotect(at + page, page, PROT_NONE) == 0);
    edge = at + page;
}

/* The struct's first `size` bytes, with that size in it; what a newer caller has behind it is not zero. */
static void *cut(const void *whole, size_t length, size_t size)
{
    char *at = edge - ((size + sizeof(void *) - 1) & ~(sizeof(void *) - 1));

    memset(at, 0x5A, (size_t)(edge - at));
    memcpy(at, whole, (size_t)(edge - at) < length ? (size_t)(edge - at) : length);
    memcpy(at, &size, sizeof(size));
    return at;
}

/* ---- plugs that count ---- */

static unsigned zeroed, persisted, fenced, checked, told, asked, copied_out, copied_in, reserved, released;
static struct ext2dax_report last;

static int zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    zeroed++;
    memset(at, 0, length);
    return 0;
}

static int persist(void *ctx, const void *at, size_t length)
{
    (void)ctx, (void)at, (void)length;
    persisted++;
    return 0;
}

static int fence(void *ctx)
{
    (void)ctx;
    fenced++;
    return 0;
}

static int check_range(void *ctx, const void *at, size_t length)
{
    (void)ctx, (void)at, (void)length;
    checked++;
    return 0;
}

static const struct ext2dax_memory_ops memory_ops = {
    .size = sizeof(memory_ops), .zero = zero, .persist = persist, .fence = fence, .check = check_range};

static void *host_alloc(void *ctx, size_t bytes)
{
    (void)ctx;
    return malloc(bytes);
}

static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx, (void)bytes;
    free(at);
}

static int64_t host_now(void *ctx)
{
    (void)ctx;
    asked++;
    return 1700000000;
}

static void host_log(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    told++;
    last = *report;
}

static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    ck_abort_msg("%s:%d: %s", file, line, what);
}

static size_t host_copy_out(void *ctx, void *to, const void *from, size_t bytes)
{
    (void)ctx;
    copied_out++;
    memcpy(to, from, bytes);
    return bytes;
}

static size_t host_copy_in(void *ctx, void *to, const void *from, size_t bytes)
{
    (void)ctx;
    copied_in++;
    memcpy(to, from, bytes);
    return bytes;
}

static bool host_may_use_reserved(void *ctx)
{
    (void)ctx;
    reserved++;
    return true;
}

static void host_released(void *ctx, struct ext2dax_inode *inode)
{
    (void)ctx, (void)inode;
    released++;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof(host_ops),
    .alloc = host_alloc,
    .release = host_release,
    .now = host_now,
    .log = host_log,
    .panic = host_panic,
    .copy_out = host_copy_out,
    .copy_in = host_copy_in,
    .may_use_reserved = host_may_use_reserved,
    .inode_released = host_released,
};

static struct ext2dax_plugs plugs;
static struct ext2dax_model *model;

static void open_plugs(void)
{
    open_edge();
    memset(&plugs, 0, sizeof(plugs));
    plugs.locks = ext2dax_locks_default();
    plugs.host.ops = &host_ops;
    ck_assert_int_eq(ext2dax_heap_open(IMAGE, &plugs.memory), 0);
    model = ext2dax_model_open(&plugs.memory, plugs.locks, 4096, 9);
    ck_assert_ptr_nonnull(model);
    plugs.address_space = ext2dax_model_address_space(model);
    plugs.memory.ops = &memory_ops;
}

static void close_plugs(void)
{
    ext2dax_model_close(model);
    ext2dax_heap_close(&plugs.memory);
}

static void format(void)
{
    struct ext2dax_format_options options = {.size = sizeof(options), .reserved_percent = 50};

    ck_assert_int_eq(ext2dax_format(&plugs.memory, &options, &plugs.host), 0);
    zeroed = persisted = fenced = checked = told = asked = copied_out = copied_in = reserved = released = 0;
}

/* Mounts, and does with a file what calls every op there is. */
static int play(void)
{
    static const char text[] = "older and newer";
    struct ext2dax_mount_options options = {.size = sizeof(options), .order = EXT2DAX_ORDERED};
    struct ext2dax_inode *root, *file, *held, storage;
    struct ext2dax_mount *mount;
    char back[sizeof(text)];
    uint32_t number;
    int error;

    format();
    error = ext2dax_mount(&plugs, &options, &mount);
    if (error)
        return error;
    ck_assert_int_eq(ext2dax_lookup_path(mount, "/", 1, 0, &root), 0);
    ck_assert_int_eq(ext2dax_create(root, "file", 4, 0644, 0, 0, &file), 0);
    number = file->number;
    ck_assert_int_eq(ext2dax_write(file, 4090, text, sizeof(text)), sizeof(text));
    ck_assert_int_eq(ext2dax_read(file, 4090, back, sizeof(back)), sizeof(back));
    ck_assert_mem_eq(text, back, sizeof(text));
    /* Half of the blocks are reserved: this takes some of those, where the host lets it. */
    (void)ext2dax_allocate(file, 8192, IMAGE / 2, false);
    ck_assert_int_eq(ext2dax_punch(file, 0, 4096), 0);
    ck_assert_int_eq(ext2dax_truncate(file, 4091), 0);
    ck_assert_int_eq(ext2dax_read(file, 4090, back, sizeof(back)), 1);
    ck_assert_int_eq(ext2dax_fsync(file), 0);
    ext2dax_inode_put(file);
    ck_assert_int_eq(ext2dax_inode_get_in(mount, number, &storage, &held), 0);
    ext2dax_inode_put(held);
    ck_assert_int_eq(ext2dax_unlink(root, "file", 4), 0);
    ext2dax_inode_put(root);
    return ext2dax_unmount(mount);
}

static void refused(int error, const char *structure)
{
    ck_assert_int_eq(error, -EXT2DAX_EINVAL);
    ck_assert_uint_eq(told, 1);
    ck_assert_str_eq(last.structure, structure);
}

/* ---- the tables ---- */

START_TEST(lock_tables)
{
    const struct ext2dax_lock_ops *whole = plugs.locks.ops;
    struct ext2dax_host host = ext2dax_host_default();

    for (size_t size = LEAST; size <= MOST(struct ext2dax_lock_ops); size += 4) {
        struct ext2dax_locks locks = {cut(whole, sizeof(*whole), size), plugs.locks.ctx};
        bool good = COVERED(size, struct ext2dax_lock_ops, try_write_lock);
        struct ext2dax_model *own = ext2dax_model_open_on(&host, &plugs.memory, locks, 4096, 9);
        struct ext2dax_lock_order *order = ext2dax_lock_order_open(locks, NULL, NULL);

        ck_assert_int_eq(own != NULL, good);
        ck_assert_int_eq(order != NULL, good);
        plugs.locks = locks;
        if (good)
            ck_assert_int_eq(play(), 0);
        else
            refused(play(), "plug");
        if (good) {
            plugs.locks = ext2dax_lock_order_locks(order);
            ck_assert_int_eq(play(), 0);
            ck_assert_uint_eq(ext2dax_lock_order_broken(order), 0);
            ext2dax_lock_order_close(order);
            ext2dax_model_close(own);
        }
    }
}
END_TEST

START_TEST(memory_tables)
{
    for (size_t size = LEAST; size <= MOST(struct ext2dax_memory_ops); size += 4) {
        plugs.memory.ops = cut(&memory_ops, sizeof(memory_ops), size);
        ck_assert_int_eq(play(), 0);
        ck_assert_int_eq(zeroed != 0, COVERED(size, struct ext2dax_memory_ops, zero));
        ck_assert_int_eq(persisted != 0, COVERED(size, struct ext2dax_memory_ops, persist));
        ck_assert_int_eq(fenced != 0, COVERED(size, struct ext2dax_memory_ops, fence));
        ck_assert_int_eq(checked != 0, COVERED(size, struct ext2dax_memory_ops, check));
    }
}
END_TEST

START_TEST(host_tables)
{
    for (size_t size = LEAST; size <= MOST(struct ext2dax_host_ops); size += 4) {
        struct ext2dax_host host = {cut(&host_ops, sizeof(host_ops), size), NULL};
        bool good = COVERED(size, struct ext2dax_host_ops, release);
        struct ext2dax_model *own = ext2dax_model_open_on(&host, &plugs.memory, plugs.locks, 4096, 9);
        struct ext2dax_lock_order *order = ext2dax_lock_order_open_on(&host, plugs.locks, NULL, NULL);

        ck_assert_int_eq(own != NULL, good);
        ck_assert_int_eq(order != NULL, good);
        plugs.host = host;
        ck_assert_int_eq(play(), good ? 0 : -EXT2DAX_EINVAL);
        if (!good)
            continue;
        ext2dax_lock_order_close(order);
        ext2dax_model_close(own);
        ck_assert_int_eq(asked != 0, COVERED(size, struct ext2dax_host_ops, now));
        ck_assert_int_eq(copied_out != 0, COVERED(size, struct ext2dax_host_ops, copy_out));
        ck_assert_int_eq(copied_in != 0, COVERED(size, struct ext2dax_host_ops, copy_in));
        ck_assert_int_eq(reserved != 0, COVERED(size, struct ext2dax_host_ops, may_use_reserved));
        ck_assert_int_eq(released != 0, COVERED(size, struct ext2dax_host_ops, inode_released));
        told = 0;
        ck_assert_int_eq(ext2dax_format(&(struct ext2dax_memory){0}, NULL, &host), -EXT2DAX_EINVAL);
        ck_assert_int_eq(told != 0, COVERED(size, struct ext2dax_host_ops, log));
    }
}
END_TEST

/* All of the three ops or none: by itself, and as an explorer watches it. */
START_TEST(address_space_tables)
{
    struct ext2dax_address_space whole = plugs.address_space;
    struct ext2dax_explorer *explorer = ext2dax_explorer_open(NULL);

    ck_assert_ptr_nonnull(explorer);
    for (size_t size = LEAST; size <= MOST(struct ext2dax_address_space_ops); size += 4) {
        struct ext2dax_address_space space = {cut(whole.ops, sizeof(*whole.ops), size), whole.ctx};
        bool none = !COVERED(size, struct ext2dax_address_space_ops, map);
        bool good = none || COVERED(size, struct ext2dax_address_space_ops, protect);

        for (int watched = 0; watched < 2; watched++) {
            plugs.address_space = watched ? ext2dax_explorer_watch(explorer, space) : space;
            if (good)
                ck_assert_int_eq(play(), 0);
            else
                refused(play(), "plug");
        }
    }
    ext2dax_explorer_close(explorer);
}
END_TEST

/* ---- the options ---- */

START_TEST(mount_options)
{
    struct ext2dax_mount_options options = {
        .flags = EXT2DAX_MOUNT_READ_ONLY, .order = EXT2DAX_ORDERED, .page_shift = 13, .huge_order = 5};

    format();
    for (size_t size = LEAST; size <= MOST(struct ext2dax_mount_options); size += 4) {
        struct ext2dax_statfs figures;
        struct ext2dax_mount *mount;

        ck_assert_int_eq(ext2dax_mount(&plugs, cut(&options, sizeof(options), size), &mount), 0);
        ext2dax_statfs(mount, &figures);
        ck_assert_int_eq(figures.read_only, COVERED(size, struct ext2dax_mount_options, flags));
        ck_assert_int_eq(figures.ordered, COVERED(size, struct ext2dax_mount_options, order));
        ck_assert_int_eq(figures.page_size == 8192, COVERED(size, struct ext2dax_mount_options, page_shift));
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
    }
}
END_TEST

START_TEST(format_options)
{
    struct ext2dax_format_options options = {.block_size = 1024, .reserved_percent = 7, .label = "fifteen letters"};

    for (size_t size = LEAST; size <= MOST(struct ext2dax_format_options); size += 4) {
        const struct ext2dax_disk_super *super = (const void *)((const char *)plugs.memory.base + EXT2DAX_SUPER_OFFSET);
        struct ext2dax_statfs figures;
        struct ext2dax_mount *mount;

        options.time = COVERED(size, struct ext2dax_format_options, time) ? -1 : 0;
        ck_assert_int_eq(ext2dax_format(&plugs.memory, cut(&options, sizeof(options), size), &plugs.host),
                         options.time ? -EXT2DAX_EINVAL : 0);
        if (options.time)
            continue;
        ck_assert_int_eq(memcmp(super->volume_name, options.label, 16) == 0,
                         COVERED(size, struct ext2dax_format_options, label));
        ck_assert_int_eq(ext2dax_mount(&plugs, NULL, &mount), 0);
        ext2dax_statfs(mount, &figures);
        ck_assert_int_eq(figures.block_size == 1024, COVERED(size, struct ext2dax_format_options, block_size));
        ck_assert_int_eq(figures.available_blocks != figures.free_blocks,
                         COVERED(size, struct ext2dax_format_options, reserved_percent));
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
    }
}
END_TEST

static void log_to(void *arg, const struct ext2dax_report *report)
{
    (void)report;
    ++*(unsigned *)arg;
}

START_TEST(host_options)
{
    unsigned heard = 0;
    struct ext2dax_host_options options = {.log = log_to, .log_arg = &heard, .reserve = SIZE_MAX};

    for (size_t size = LEAST; size <= MOST(options); size += sizeof(void *)) {
        bool enormous = COVERED(size, struct ext2dax_host_options, reserve);
        /* A log without what it is called with would be a caller that never was. */
        bool spoken = COVERED(size, struct ext2dax_host_options, log_arg);
        struct ext2dax_host host;

        if (COVERED(size, struct ext2dax_host_options, log) && !spoken)
            continue;
        heard = 0;
        ck_assert_int_eq(ext2dax_host_open(cut(&options, sizeof(options), size), &host),
                         enormous ? -EXT2DAX_ENOMEM : 0);
        if (enormous)
            continue;
        if (spoken)
            ck_assert_int_eq(ext2dax_format(&(struct ext2dax_memory){0}, NULL, &host), -EXT2DAX_EINVAL);
        ck_assert_uint_eq(heard, spoken);
        ext2dax_host_close(&host);
    }
}
END_TEST

START_TEST(testkit_options)
{
    struct ext2dax_crash_options crash = {.bytes = 4096, .line = 3};
    struct ext2dax_explorer_options explorer = {.stack = SIZE_MAX};

    for (size_t size = LEAST; size <= MOST(struct ext2dax_crash_options); size += 4) {
        struct ext2dax_memory memory;
        struct ext2dax_crash *opened;
        int error = ext2dax_crash_open(cut(&crash, sizeof(crash), size), &memory, &opened);

        if (COVERED(size, struct ext2dax_crash_options, bytes) && !COVERED(size, struct ext2dax_crash_options, line))
            ck_assert_int_eq(error, 0);
        else
            ck_assert_int_eq(error, -EXT2DAX_EINVAL);
        if (opened)
            ext2dax_crash_close(opened);
    }
    for (size_t size = LEAST; size <= MOST(struct ext2dax_explorer_options); size += 4) {
        struct ext2dax_explorer *opened = ext2dax_explorer_open(cut(&explorer, sizeof(explorer), size));

        ck_assert_int_eq(opened == NULL, COVERED(size, struct ext2dax_explorer_options, stack));
        if (opened)
            ext2dax_explorer_close(opened);
    }
}
END_TEST

#if BENCH_FAULTS
START_TEST(address_space_of_a_process)
{
    struct ext2dax_process_options options = {.way = (enum ext2dax_process_way)77};
    const struct ext2dax_lock_ops *whole = plugs.locks.ops;
    struct ext2dax_process *process;
    struct ext2dax_memory memory;

    ck_assert_int_eq(ext2dax_file_open_anonymous("sized", IMAGE, &memory), 0);
    for (size_t size = LEAST; size <= MOST(struct ext2dax_process_options); size += sizeof(void *)) {
        ck_assert_int_eq(ext2dax_process_open(&memory, plugs.locks, cut(&options, sizeof(options), size), &process),
                         COVERED(size, struct ext2dax_process_options, way) ? -EXT2DAX_EINVAL : 0);
        if (process)
            ck_assert_int_eq(ext2dax_process_close(process), 0);
    }
    for (size_t size = LEAST; size <= MOST(struct ext2dax_lock_ops); size += 4) {
        struct ext2dax_locks locks = {cut(whole, sizeof(*whole), size), plugs.locks.ctx};

        ck_assert_int_eq(ext2dax_process_open(&memory, locks, NULL, &process),
                         COVERED(size, struct ext2dax_lock_ops, try_write_lock) ? 0 : -EXT2DAX_EINVAL);
        if (process)
            ck_assert_int_eq(ext2dax_process_close(process), 0);
    }
    ext2dax_file_close(&memory);
}
END_TEST

/* What is handed out by size: filled as far as the caller has room, and not a byte further. */
START_TEST(counters_of_a_process)
{
    struct ext2dax_process_counters none = {.size = 0};
    struct ext2dax_process *process;
    struct ext2dax_memory memory;

    memset(&none, 0x5A, sizeof(none));
    ck_assert_int_eq(ext2dax_file_open_anonymous("sized", IMAGE, &memory), 0);
    ck_assert_int_eq(ext2dax_process_open(&memory, plugs.locks, NULL, &process), 0);
    for (size_t size = LEAST; size <= MOST(struct ext2dax_process_counters); size += sizeof(void *)) {
        struct ext2dax_process_counters *counters = cut(&none, sizeof(none), size);
        const char *end = (const char *)counters + size;

        ext2dax_process_count(process, counters);
        ck_assert_uint_eq(counters->size, size);
        for (const char *at = (const char *)counters + sizeof(size_t); at < end; at++)
            ck_assert_int_eq(*at, at < (const char *)counters + sizeof(none) ? 0 : 0x5A);
    }
    ck_assert_int_eq(ext2dax_process_close(process), 0);
    ext2dax_file_close(&memory);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("sized");
    TCase *all = tcase_create("sized");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, open_plugs, close_plugs);
    tcase_add_test(all, lock_tables);
    tcase_add_test(all, memory_tables);
    tcase_add_test(all, host_tables);
    tcase_add_test(all, address_space_tables);
    tcase_add_test(all, mount_options);
    tcase_add_test(all, format_options);
    tcase_add_test(all, host_options);
    tcase_add_test(all, testkit_options);
#if BENCH_FAULTS
    tcase_add_test(all, address_space_of_a_process);
    tcase_add_test(all, counters_of_a_process);
#endif
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
