/* SPDX-License-Identifier: MIT */
/*
 * Tests extensible structs, which begin with the size known to their caller. Passes each struct at
 * every size, placed at the end of a page followed by a page without access. The library must not
 * read past the size, must use every member within the size, and must refuse a table too short for
 * a required op. The known part of a longer struct from a newer caller is used. Sizes grow by 4
 * bytes, half a pointer on 64-bit targets. A member only partly within the size counts as absent.
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

#include "base/internal.h"

#include "../host_ops.h"
#include "../runner.h"

#define IMAGE      ((size_t)2 << 20)
#define NEWER      16 /* extra bytes passed by a caller of a later version */
#define LEAST      sizeof(size_t)
#define MOST(type) (sizeof(type) + NEWER)
/* Is the whole member within the size given by the caller? */
#define COVERED(size, type, member)                                                                                    \
    (((size) & ~(sizeof(void *) - 1)) >= offsetof(type, member) + sizeof((type){0}.member))

/* ---- a struct at the end of accessible memory ---- */

static char *edge; /* end of the readable page, followed by a page without access */

static void open_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert(at != MAP_FAILED && mprotect(at + page, page, PROT_NONE) == 0);
    edge = at + page;
}

/*
 * Copies the first `size` bytes of the struct to the end of the page and stores `size` in the copy.
 * The extra bytes of a newer caller are not zero.
 */
static void *cut(const void *whole, size_t length, size_t size)
{
    char *at = edge - ((size + sizeof(void *) - 1) & ~(sizeof(void *) - 1));

    memset(at, 0x5A, (size_t)(edge - at));
    memcpy(at, whole, (size_t)(edge - at) < length ? (size_t)(edge - at) : length);
    memcpy(at, &size, sizeof(size));
    return at;
}

/* Mounts the images of format(), which are not clean. */
static const struct ext2dax_mount_options recovering = {.size = sizeof(recovering), .recover = ext2dax_recover};

/* ---- plugs with counters ---- */

static unsigned zeroed, persisted, fenced, checked, told, asked, timed, copied_out, copied_in, reserved, released;
/* A core compiled for size fetches nothing ahead. */
#ifdef __OPTIMIZE_SIZE__
#define FETCHES false
#else
#define FETCHES true
#endif

static unsigned claims, used, scanned, fetched, holes_asked, discarded, went_on;
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

static int claim(void *ctx, enum ext2dax_claim held, enum ext2dax_claim wanted)
{
    (void)ctx;
    ck_assert_int_ne(held, wanted);
    claims++;
    return 0;
}

static int usable(void *ctx)
{
    (void)ctx;
    used++;
    return 0;
}

static void scan(void *ctx, bool begins)
{
    (void)ctx, (void)begins;
    scanned++;
}

static void fetch(void *ctx, const void *at, size_t length)
{
    (void)ctx, (void)at, (void)length;
    fetched++;
}

static size_t next_data(void *ctx, const void *at, size_t length, size_t *from)
{
    (void)ctx, (void)at;
    *from = 0;
    holes_asked++;
    return length;
}

static int discard(void *ctx, void *at, size_t length)
{
    (void)ctx;
    memset(at, 0, length);
    discarded++;
    return 0;
}

static const struct ext2dax_memory_ops memory_ops = {.size = sizeof(memory_ops),
                                                     .zero = zero,
                                                     .persist = persist,
                                                     .fence = fence,
                                                     .check = check_range,
                                                     .claim = claim,
                                                     .usable = usable,
                                                     .scan = scan,
                                                     .fetch = fetch,
                                                     .next_data = next_data,
                                                     .discard = discard};

static int64_t host_now(void *ctx)
{
    (void)ctx;
    asked++;
    return 1700000000;
}

static void host_time(void *ctx, struct ext2dax_time *now)
{
    (void)ctx;
    timed++;
    *now = (struct ext2dax_time){.seconds = 1700000000, .nanoseconds = 5};
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

static bool host_interrupted(void *ctx)
{
    (void)ctx;
    went_on++;
    return false;
}

static const struct ext2dax_host_ops host_ops = {
    .size = sizeof(host_ops),
    .alloc = heap_alloc,
    .release = heap_release,
    .now = host_now,
    .log = host_log,
    .panic = host_panic,
    .copy_out = host_copy_out,
    .copy_in = host_copy_in,
    .may_use_reserved = host_may_use_reserved,
    .inode_released = host_released,
    .interrupted = host_interrupted,
    .time = host_time,
};

static struct ext2dax_plugs plugs;
static struct ext2dax_model *model;

static void open_plugs(void)
{
    open_edge();
    memset(&plugs, 0, sizeof(plugs));
    plugs.locks = ext2dax_locks_default();
    plugs.host.ops = &host_ops;
    ck_assert_int_eq(ext2dax_memory_open_heap(IMAGE, &plugs.memory), 0);
    model = ext2dax_model_open(&plugs.memory, plugs.locks, 4096, 9);
    ck_assert_ptr_nonnull(model);
    plugs.address_space = ext2dax_model_address_space(model);
    plugs.memory.ops = &memory_ops;
}

static void close_plugs(void)
{
    ext2dax_model_close(model);
    ext2dax_memory_close_heap(&plugs.memory);
}

static void format(void)
{
    struct ext2dax_format_options options = {.size = sizeof(options), .reserved_percent = 50};

    ck_assert_int_eq(ext2dax_format(&plugs.memory, &options, &plugs.host), 0);
    /* The image is not cleanly unmounted, so the mount calls the ops used only by recovery. */
    ((struct ext2dax_disk_super *)(void *)((char *)plugs.memory.base + EXT2DAX_SUPER_OFFSET))->state.le = 0;
    zeroed = persisted = fenced = checked = told = asked = timed = copied_out = copied_in = reserved = released = 0;
    claims = used = scanned = fetched = holes_asked = discarded = went_on = 0;
}

/* Mounts and uses a file so that every op is called. */
static int play(void)
{
    static const char text[] = "older and newer";
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .order = EXT2DAX_ORDERED, .recover = ext2dax_recover};
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
    /* Half of the blocks are reserved. This call takes some of them if the host allows it. */
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

/* ---- tables of ops ---- */

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
        ck_assert_int_eq(claims != 0, COVERED(size, struct ext2dax_memory_ops, claim));
        ck_assert_int_eq(used != 0, COVERED(size, struct ext2dax_memory_ops, usable));
        ck_assert_int_eq(scanned != 0, COVERED(size, struct ext2dax_memory_ops, scan));
        ck_assert_int_eq(fetched != 0, FETCHES && COVERED(size, struct ext2dax_memory_ops, fetch));
        ck_assert_int_eq(holes_asked != 0, COVERED(size, struct ext2dax_memory_ops, next_data));
        ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), 0);
        ck_assert_int_eq(discarded != 0, COVERED(size, struct ext2dax_memory_ops, discard));
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
        ck_assert_int_eq(asked != 0,
                         COVERED(size, struct ext2dax_host_ops, now) && !COVERED(size, struct ext2dax_host_ops, time));
        ck_assert_int_eq(timed != 0, COVERED(size, struct ext2dax_host_ops, time));
        ck_assert_int_eq(copied_out != 0, COVERED(size, struct ext2dax_host_ops, copy_out));
        ck_assert_int_eq(copied_in != 0, COVERED(size, struct ext2dax_host_ops, copy_in));
        ck_assert_int_eq(reserved != 0, COVERED(size, struct ext2dax_host_ops, may_use_reserved));
        ck_assert_int_eq(released != 0, COVERED(size, struct ext2dax_host_ops, inode_released));
        ck_assert_int_eq(went_on != 0, COVERED(size, struct ext2dax_host_ops, interrupted));
        told = 0;
        ck_assert_int_eq(ext2dax_format(&(struct ext2dax_memory){0}, NULL, &host), -EXT2DAX_EINVAL);
        ck_assert_int_eq(told != 0, COVERED(size, struct ext2dax_host_ops, log));
    }
}
END_TEST

/* An address space has all three required ops or none. Tested directly and under the explorer. */
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

/* ---- options ---- */

START_TEST(mount_options)
{
    struct ext2dax_mount_options options = {.flags = EXT2DAX_MOUNT_READ_ONLY,
                                            .order = EXT2DAX_ORDERED,
                                            .page_shift = 13,
                                            .huge_order = 5,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify,
                                            .name_table_bytes = (size_t)-1};

    for (size_t size = LEAST; size <= MOST(struct ext2dax_mount_options); size += 4) {
        struct ext2dax_statfs figures;
        struct ext2dax_mount *mount;
        int error;

        /* The image is not cleanly unmounted. */
        options.flags = EXT2DAX_MOUNT_READ_ONLY | EXT2DAX_MOUNT_VERIFY;
        format();
        error = ext2dax_mount(&plugs, cut(&options, sizeof(options), size), &mount);
        if (COVERED(size, struct ext2dax_mount_options, flags))
            ck_assert_int_eq(error, COVERED(size, struct ext2dax_mount_options, verify) ? 0 : -EXT2DAX_EINVAL);
        else
            ck_assert_int_eq(error, -EXT2DAX_EUCLEAN);
        ck_assert_int_eq(mount ? ext2dax_unmount(mount) : 0, 0);
        options.flags = 0;
        error = ext2dax_mount(&plugs, cut(&options, sizeof(options), size), &mount);
        ck_assert_int_eq(error, COVERED(size, struct ext2dax_mount_options, recover) ? 0 : -EXT2DAX_EUCLEAN);
        ck_assert_int_eq(mount ? ext2dax_unmount(mount) : 0, 0);
        ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, &plugs.host), 0);
        options.flags = EXT2DAX_MOUNT_READ_ONLY;
        ck_assert_int_eq(ext2dax_mount(&plugs, cut(&options, sizeof(options), size), &mount), 0);
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert_int_eq(figures.read_only, COVERED(size, struct ext2dax_mount_options, flags));
        ck_assert_int_eq(figures.ordered, COVERED(size, struct ext2dax_mount_options, order));
        ck_assert_int_eq(figures.page_size == 8192, COVERED(size, struct ext2dax_mount_options, page_shift));
        ck_assert_int_eq(mount->name_budget == 0, COVERED(size, struct ext2dax_mount_options, name_table_bytes));
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
        ext2dax_statfs(mount, &figures, sizeof(figures));
        ck_assert_int_eq(figures.block_size == 1024, COVERED(size, struct ext2dax_format_options, block_size));
        ck_assert_int_eq(figures.available_blocks != figures.free_blocks,
                         COVERED(size, struct ext2dax_format_options, reserved_percent));
        ck_assert_int_eq(ext2dax_unmount(mount), 0);
    }
}
END_TEST

/*
 * Uses only sizes at the end of a member, as file_options. A member not covered counts as 0, even
 * if selected by `set`.
 */
START_TEST(attributes)
{
    static const size_t sizes[] = {LEAST,
                                   offsetof(struct ext2dax_attributes, uid),
                                   offsetof(struct ext2dax_attributes, flags),
                                   offsetof(struct ext2dax_attributes, mtime),
                                   offsetof(struct ext2dax_attributes, ctime),
                                   offsetof(struct ext2dax_attributes, atime),
                                   offsetof(struct ext2dax_attributes, created),
                                   sizeof(struct ext2dax_attributes),
                                   MOST(struct ext2dax_attributes)};
    struct ext2dax_attributes wanted = {.set = EXT2DAX_SET_UID | EXT2DAX_SET_MTIME | EXT2DAX_SET_ATIME,
                                        .uid = 77,
                                        .mtime = {.seconds = 1800000001, .nanoseconds = 0},
                                        .atime = {.seconds = 1800000003, .nanoseconds = 0}};
    struct ext2dax_attributes start = {.size = sizeof(start), .set = wanted.set, .uid = 5};
    struct ext2dax_inode *root;
    struct ext2dax_mount *mount;

    start.mtime.seconds = start.atime.seconds = 6;
    format();
    ck_assert_int_eq(ext2dax_mount(&plugs, &recovering, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        bool chosen = COVERED(size, struct ext2dax_attributes, set);
        struct ext2dax_stat figures;

        ck_assert_int_eq(ext2dax_setattr(root, &start), 0);
        ck_assert_int_eq(ext2dax_setattr(root, cut(&wanted, sizeof(wanted), size)), 0);
        ext2dax_stat(root, &figures, sizeof(figures));
        ck_assert_uint_eq(figures.uid, !chosen ? 5 : COVERED(size, struct ext2dax_attributes, uid) ? 77 : 0);
        ck_assert_int_eq(figures.mtime.seconds, !chosen                                           ? 6
                                                : COVERED(size, struct ext2dax_attributes, mtime) ? 1800000001
                                                                                                  : 0);
        ck_assert_int_eq(figures.atime.seconds, !chosen                                           ? 6
                                                : COVERED(size, struct ext2dax_attributes, atime) ? 1800000003
                                                                                                  : 0);
    }
    ck_assert_int_eq(ext2dax_setattr(root, NULL), 0);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}
END_TEST

/* Uses only sizes at the end of a member, as attributes. */
START_TEST(creations)
{
    static const size_t sizes[] = {LEAST,
                                   offsetof(struct ext2dax_creation, device_major),
                                   offsetof(struct ext2dax_creation, target),
                                   offsetof(struct ext2dax_creation, target_length),
                                   sizeof(struct ext2dax_creation),
                                   MOST(struct ext2dax_creation)};
    struct ext2dax_creation node = {.attributes = {.mode = EXT2DAX_S_IFCHR | 0600, .uid = 77}, .device_minor = 9};
    struct ext2dax_creation link = {
        .attributes = {.mode = EXT2DAX_S_IFLNK | 0777}, .target = "target", .target_length = 6};
    struct ext2dax_inode *root, *inode;
    struct ext2dax_mount *mount;

    format();
    ck_assert_int_eq(ext2dax_mount(&plugs, &recovering, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        bool chosen = COVERED(size, struct ext2dax_creation, attributes);
        struct ext2dax_stat figures;
        int error;

        ck_assert_int_eq(ext2dax_create_as(root, "node", 4, cut(&node, sizeof(node), size), &inode), 0);
        ext2dax_stat(inode, &figures, sizeof(figures));
        ck_assert_uint_eq(figures.mode, chosen ? EXT2DAX_S_IFCHR | 0600 : EXT2DAX_S_IFREG);
        ck_assert_uint_eq(figures.uid, chosen ? 77 : 0);
        ck_assert_uint_eq(figures.device_minor, COVERED(size, struct ext2dax_creation, device_minor) ? 9 : 0);
        ext2dax_inode_put(inode);
        ck_assert_int_eq(ext2dax_unlink(root, "node", 4), 0);
        error = ext2dax_create_as(root, "link", 4, cut(&link, sizeof(link), size), NULL);
        /* Without a length the target is empty. */
        ck_assert_int_eq(error, !chosen || COVERED(size, struct ext2dax_creation, target_length) ? 0 : -EXT2DAX_EINVAL);
        ck_assert_int_eq(ext2dax_unlink(root, "link", 4), error == 0 ? 0 : -EXT2DAX_ENOENT);
    }
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
}
END_TEST

/* Expects `size` bytes of results at `given`, the first `known` of them as in `whole`. */
static void same_results(const unsigned char *given, size_t size, const void *whole, size_t known)
{
    ck_assert_int_eq(memcmp(given, whole, size < known ? size : known), 0);
    for (size_t at = known; at < size; at++)
        ck_assert_uint_eq(given[at], 0);
    ck_assert_uint_eq(given[size], 0x5A);
}

/* Results are stored up to the size of the caller. Members known only to the caller are zeroed. */
START_TEST(results)
{
    union {
        struct ext2dax_stat stat;
        struct ext2dax_statfs statfs;
        struct ext2dax_counters counters;
        unsigned char bytes[512];
    } whole, given;
    struct ext2dax_inode *root;
    struct ext2dax_mount *mount;

    format();
    ck_assert_int_eq(ext2dax_mount(&plugs, &recovering, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    memset(&whole, 0, sizeof(whole));
    ext2dax_stat(root, &whole.stat, sizeof(whole.stat));
    for (size_t size = 0; size <= MOST(struct ext2dax_stat); size++) {
        memset(&given, 0x5A, sizeof(given));
        ext2dax_stat(root, &given.stat, size);
        same_results(given.bytes, size, &whole, sizeof(struct ext2dax_stat));
    }
    ext2dax_statfs(mount, &whole.statfs, sizeof(whole.statfs));
    for (size_t size = 0; size <= MOST(struct ext2dax_statfs); size++) {
        memset(&given, 0x5A, sizeof(given));
        ext2dax_statfs(mount, &given.statfs, size);
        same_results(given.bytes, size, &whole, sizeof(struct ext2dax_statfs));
    }
    ext2dax_count(mount, &whole.counters, sizeof(whole.counters));
    for (size_t size = 0; size <= MOST(struct ext2dax_counters); size++) {
        memset(&given, 0x5A, sizeof(given));
        ext2dax_count(mount, &given.counters, size);
        same_results(given.bytes, size, &whole, sizeof(struct ext2dax_counters));
    }
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
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
        /*
         * Skips the size with `log` but without `log_arg`. No released version had such a struct.
         */
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

/*
 * Uses only sizes at the end of a member. On a 32-bit target, half of a 64-bit member fills a whole
 * pointer-sized word, so such a size would pass half a number.
 */
START_TEST(file_options)
{
    static const size_t sizes[] = {LEAST,
                                   offsetof(struct ext2dax_memory_file_options, length),
                                   offsetof(struct ext2dax_memory_file_options, offset),
                                   offsetof(struct ext2dax_memory_file_options, note),
                                   sizeof(struct ext2dax_memory_file_options),
                                   MOST(struct ext2dax_memory_file_options)};
    char path[] = "/tmp/ext2dax-sized-XXXXXX", note[8];
    struct ext2dax_memory_file_options options = {
        .flags = EXT2DAX_FILE_READ_ONLY, .length = 4096, .offset = 8192, .note = note, .note_size = sizeof(note)};
    struct ext2dax_memory memory;
    int fd = mkstemp(path);

    ck_assert(fd >= 0 && ftruncate(fd, 16384) == 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        uint64_t rest = 16384 - (COVERED(size, struct ext2dax_memory_file_options, offset) ? 8192 : 0);

        note[0] = 'x';
        ck_assert_int_eq(ext2dax_memory_open_file_with(path, cut(&options, sizeof(options), size), &memory), 0);
        ck_assert_int_eq((memory.flags & EXT2DAX_MEMORY_READ_ONLY) != 0,
                         COVERED(size, struct ext2dax_memory_file_options, flags));
        ck_assert_uint_eq(memory.size, COVERED(size, struct ext2dax_memory_file_options, length) ? 4096 : rest);
        ck_assert_uint_eq((uintptr_t)memory.base % (2 << 20), 16384 - rest);
        ck_assert_int_eq(note[0], COVERED(size, struct ext2dax_memory_file_options, note_size) ? '\0' : 'x');
        ext2dax_memory_close_file(&memory);
    }
    close(fd);
    unlink(path);
}
END_TEST

#if BENCH_FAULTS
START_TEST(address_space_of_a_process)
{
    struct ext2dax_process_options options = {.method = (enum ext2dax_fault_method)77};
    const struct ext2dax_lock_ops *whole = plugs.locks.ops;
    struct ext2dax_process *process;
    struct ext2dax_memory memory;

    ck_assert_int_eq(ext2dax_memory_open_anonymous("sized", IMAGE, &memory), 0);
    for (size_t size = LEAST; size <= MOST(struct ext2dax_process_options); size += sizeof(void *)) {
        ck_assert_int_eq(ext2dax_process_open(&memory, plugs.locks, cut(&options, sizeof(options), size), &process),
                         COVERED(size, struct ext2dax_process_options, method) ? -EXT2DAX_EINVAL : 0);
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
    ext2dax_memory_close_file(&memory);
}
END_TEST

/* Fills the caller's struct up to its size and writes no byte past it. */
START_TEST(counters_of_a_process)
{
    struct ext2dax_process_counters none = {.size = 0};
    struct ext2dax_process *process;
    struct ext2dax_memory memory;

    memset(&none, 0x5A, sizeof(none));
    ck_assert_int_eq(ext2dax_memory_open_anonymous("sized", IMAGE, &memory), 0);
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
    ext2dax_memory_close_file(&memory);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("sized");
    TCase *all = add_case(suite, "sized", 60);

    tcase_add_checked_fixture(all, open_plugs, close_plugs);
    tcase_add_test(all, lock_tables);
    tcase_add_test(all, memory_tables);
    tcase_add_test(all, host_tables);
    tcase_add_test(all, address_space_tables);
    tcase_add_test(all, mount_options);
    tcase_add_test(all, format_options);
    tcase_add_test(all, file_options);
    tcase_add_test(all, attributes);
    tcase_add_test(all, creations);
    tcase_add_test(all, results);
    tcase_add_test(all, host_options);
    tcase_add_test(all, testkit_options);
#if BENCH_FAULTS
    tcase_add_test(all, address_space_of_a_process);
    tcase_add_test(all, counters_of_a_process);
#endif
    return run_suite(suite);
}
