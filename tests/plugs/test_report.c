/* SPDX-License-Identifier: MIT */
/*
 * Error detail. A caller can name the structure, number and value responsible for its failed call,
 * and never receives the report of another call, another thread or a fault.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>

#include "../runner.h"
#include "../reasons.h"

static struct ext2dax_host host;

static void pass_over(void *arg, const struct ext2dax_report *report)
{
    (void)arg;
    (void)report;
}

/* Opens the host. Loop 0 uses the default host, loop 1 a host with a silent log. */
static void set_up(int way)
{
    struct ext2dax_host_options options = {.size = sizeof(options), .log = pass_over};

    if (way == 0)
        host = ext2dax_host_default();
    else
        ck_assert_int_eq(ext2dax_host_open(&options, &host), 0);
}

static void make_report(enum ext2dax_level level, int error, uint64_t number)
{
    struct ext2dax_report report = {level, error, "inode", number, "block pointer", 4096, "is metadata"};

    host.ops->log(host.ctx, &report);
}

static uint64_t number_since(uint64_t mark, int error)
{
    struct ext2dax_report report;

    return ext2dax_host_report(mark, error, &report) ? report.number : 0;
}

START_TEST(belongs_to_the_call)
{
    uint64_t outer, mark;
    struct ext2dax_report report = {.number = 77};

    set_up(_i);
    outer = mark = ext2dax_host_mark();
    ck_assert(!ext2dax_host_report(mark, 0, &report) && report.number == 77);
    make_report(EXT2DAX_LEVEL_WARNING, 0, 1); /* not the reason of a failure */
    make_report(EXT2DAX_LEVEL_INFO, 0, 2);
    ck_assert_uint_eq(number_since(mark, 0), 0);

    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EUCLEAN, 3);
    ck_assert(ext2dax_host_report(mark, -EXT2DAX_EUCLEAN, &report));
    ck_assert_int_eq(report.level, EXT2DAX_LEVEL_ERROR);
    ck_assert_int_eq(report.error, -EXT2DAX_EUCLEAN);
    ck_assert_str_eq(report.structure, "inode");
    ck_assert_uint_eq(report.number, 3);
    ck_assert_str_eq(report.field, "block pointer");
    ck_assert_uint_eq(report.value, 4096);
    ck_assert_str_eq(report.reason, "is metadata");
    /* either sign, like ext2dax_strerror() */
    ck_assert_uint_eq(number_since(mark, EXT2DAX_EUCLEAN), 3);
    ck_assert_uint_eq(number_since(mark, 0), 3);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 0);

    /* A later call failing without a report, with another error or the same. */
    mark = ext2dax_host_mark();
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EUCLEAN), 0);
    ck_assert_uint_eq(number_since(mark, 0), 0);
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EIO, 4);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 4);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EUCLEAN), 0);
    /* Reading does not consume the reports, and an outer mark still finds both. */
    ck_assert_uint_eq(number_since(outer, -EXT2DAX_EUCLEAN), 3);
    ck_assert_uint_eq(number_since(outer, -EXT2DAX_EIO), 4);
    ck_assert_uint_eq(number_since(outer, 0), 4);
    ext2dax_host_close(&host);
    /* The strings are static, so the host may be closed. */
    ck_assert_uint_eq(number_since(outer, -EXT2DAX_EUCLEAN), 3);
}
END_TEST

START_TEST(the_last_one_and_rather_a_finding)
{
    uint64_t mark = ext2dax_host_mark();

    set_up(_i);
    make_report(EXT2DAX_LEVEL_INFO, -EXT2DAX_EIO, 1);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 1);
    make_report(EXT2DAX_LEVEL_INFO, -EXT2DAX_EIO, 2);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 2);
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EIO, 3);
    make_report(EXT2DAX_LEVEL_INFO, -EXT2DAX_EIO, 4);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 3);
    /* After a thousand reports the last is still found, at any position in the ring. */
    for (uint64_t i = 5; i < 1000; i++) {
        make_report(EXT2DAX_LEVEL_ERROR, i % 2 ? -EXT2DAX_EIO : -EXT2DAX_EUCLEAN, i);
        ck_assert_uint_eq(number_since(mark, i % 2 ? -EXT2DAX_EIO : -EXT2DAX_EUCLEAN), i);
        if (i > 5)
            ck_assert_uint_eq(number_since(mark, i % 2 ? -EXT2DAX_EUCLEAN : -EXT2DAX_EIO), i - 1);
    }
    ext2dax_host_close(&host);
}
END_TEST

START_TEST(as_text)
{
    static const char whole[] = "inode 9: block pointer 4096: is metadata";
    char text[100];
    uint64_t mark;

    set_up(_i);
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EUCLEAN, 8);
    mark = ext2dax_host_mark();
    ck_assert_uint_eq(ext2dax_host_describe(mark, -EXT2DAX_EUCLEAN, text, sizeof(text)),
                      strlen(ext2dax_strerror(EXT2DAX_EUCLEAN)));
    ck_assert_str_eq(text, ext2dax_strerror(EXT2DAX_EUCLEAN));
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EUCLEAN, 9);
    ck_assert_uint_eq(ext2dax_host_describe(mark, -EXT2DAX_EUCLEAN, text, sizeof(text)), sizeof(whole) - 1);
    ck_assert_str_eq(text, whole);
    ck_assert_uint_eq(ext2dax_host_describe(mark, -EXT2DAX_EUCLEAN, text, 8), sizeof(whole) - 1);
    ck_assert_str_eq(text, "inode 9");
    ck_assert_uint_eq(ext2dax_host_describe(mark, -EXT2DAX_EUCLEAN, NULL, 0), sizeof(whole) - 1);
    (void)ext2dax_host_describe(mark, -EXT2DAX_ENOSPC, text, sizeof(text));
    ck_assert_str_eq(text, ext2dax_strerror(EXT2DAX_ENOSPC));
    ext2dax_host_close(&host);
}
END_TEST

/*
 * Shows features as names, and unknown features as numbers. A report of features has the same text.
 */
START_TEST(features_as_text)
{
    static const struct {
        enum ext2dax_feature_set set;
        uint32_t flags;
        const char *text;
    } named[] = {
        {EXT2DAX_FEATURES_INCOMPAT, 0, ""},
        {EXT2DAX_FEATURES_INCOMPAT, 0x2C2, "filetype, extent, 64bit, flex_bg"},
        {EXT2DAX_FEATURES_INCOMPAT, 0x1, "compression"},
        {EXT2DAX_FEATURES_INCOMPAT, 0x20020, "FEATURE_I5, casefold"},
        {EXT2DAX_FEATURES_INCOMPAT, 0x80040000, "FEATURE_I18, FEATURE_I31"},
        {EXT2DAX_FEATURES_RO_COMPAT, 0x404, "FEATURE_R2, metadata_csum"},
        {EXT2DAX_FEATURES_RO_COMPAT, 0x30000, "orphan_present, FEATURE_R17"},
        {EXT2DAX_FEATURES_COMPAT, 0x20003C, "has_journal, ext_attr, resize_inode, dir_index, FEATURE_C21"},
        {(enum ext2dax_feature_set)3, 1, ""},
    };
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default()};
    struct ext2dax_mount *mount;
    unsigned char *image;
    char text[200];
    uint64_t mark;

    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        ck_assert_uint_eq(ext2dax_feature_text(named[i].set, named[i].flags, text, sizeof(text)),
                          strlen(named[i].text));
        ck_assert_str_eq(text, named[i].text);
        ck_assert_uint_eq(ext2dax_feature_text(named[i].set, named[i].flags, text, 7), strlen(named[i].text));
        ck_assert(strncmp(text, named[i].text, 6) == 0 && strlen(text) <= 6);
        ck_assert_uint_eq(ext2dax_feature_text(named[i].set, named[i].flags, NULL, 0), strlen(named[i].text));
    }
    set_up(1);
    plugs.host = host;
    ck_assert_int_eq(ext2dax_memory_open_heap(1 << 20, &plugs.memory), 0);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, NULL, NULL), 0);
    image = plugs.memory.base;
    image[1024 + 96] |= 0xC0;
    image[1024 + 98] |= 0x10;
    mark = ext2dax_host_mark();
    ck_assert_int_eq(ext2dax_mount(&plugs, NULL, &mount), -EXT2DAX_EOPNOTSUPP);
    (void)ext2dax_host_describe(mark, -EXT2DAX_EOPNOTSUPP, text, sizeof(text));
    ck_assert_str_eq(text, REASONS ? "superblock 0: incompatible features extent, 64bit, FEATURE_I20: are not supported"
                                   : "superblock 0: incompatible features extent, 64bit, FEATURE_I20: not supported");
    ext2dax_memory_close_heap(&plugs.memory);
    ext2dax_host_close(&host);
}
END_TEST

static void *fail_elsewhere(void *arg)
{
    uint64_t *seen = arg;

    *seen = number_since(0, 0) + ext2dax_host_mark(); /* a new thread has no reports */
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EIO, 5);
    *seen += number_since(0, -EXT2DAX_EIO) != 5;
    return NULL;
}

START_TEST(of_this_thread)
{
    uint64_t mark = ext2dax_host_mark(), seen = 1;
    pthread_t thread;

    set_up(_i);
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EIO, 4);
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, &seen), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(seen, 0);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 4);
    ext2dax_host_close(&host);
}
END_TEST

static uint64_t number_of_fault(uint64_t mark)
{
    struct ext2dax_report report = {.number = 77};

    if (ext2dax_host_fault_report(mark, &report))
        return report.number;
    ck_assert_uint_eq(report.number, 77);
    return 0;
}

static void serve(int number)
{
    (void)number;
    ext2dax_host_in_handler(true);
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EUCLEAN, 21);
    ext2dax_host_in_handler(true); /* a handler inside a handler is a single fault */
    ext2dax_host_in_handler(false);
    make_report(EXT2DAX_LEVEL_INFO, -EXT2DAX_EIO, 22);
    ext2dax_host_in_handler(false);
}

START_TEST(a_fault_has_a_place_of_its_own)
{
    struct sigaction action = {.sa_handler = serve}, old;
    uint64_t mark;

    set_up(_i);
    ck_assert_uint_eq(number_of_fault(0), 0);
    mark = ext2dax_host_mark();
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EUCLEAN, 20);
    ck_assert_int_eq(sigaction(SIGUSR1, &action, &old), 0);
    ck_assert_int_eq(raise(SIGUSR1), 0);
    sigaction(SIGUSR1, &old, NULL);
    ck_assert_uint_eq(number_since(mark, 0), 20);
    ck_assert_uint_eq(number_of_fault(ext2dax_host_mark()), 0); /* not of a later access */
    ck_assert_uint_eq(number_of_fault(mark), 21);
    for (int i = 0; i < 20; i++)
        serve(0);
    ck_assert_uint_eq(number_since(mark, 0), 20);
    /* Calls keep the report of a fault. The next fault starts without a report. */
    make_report(EXT2DAX_LEVEL_ERROR, -EXT2DAX_EIO, 23);
    ck_assert_uint_eq(number_of_fault(mark), 21);
    ext2dax_host_in_handler(true);
    ext2dax_host_in_handler(false);
    ck_assert_uint_eq(number_of_fault(mark), 0);
    ck_assert_uint_eq(number_since(mark, -EXT2DAX_EIO), 23);
    ext2dax_host_close(&host);
}
END_TEST

/* ---- the core's own reports ---- */

static struct ext2dax_plugs plugs;

#define AT_SUPER(field, bytes) EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, field), bytes

static const struct hostile {
    size_t at;
    unsigned bytes;
    uint32_t value;
    int error;
    const char *field;
} hostile[] = {
    {AT_SUPER(magic, 2), 0x1234, -EXT2DAX_EINVAL, "magic number"},
    {AT_SUPER(incompat, 4), 0x40, -EXT2DAX_EOPNOTSUPP, "incompatible features"},
    {AT_SUPER(ro_compat, 4), 0x4000, -EXT2DAX_EOPNOTSUPP, "read-only features"},
    {AT_SUPER(log_block_size, 4), 9, -EXT2DAX_EUCLEAN, "block size (log2, KiB)"},
    {AT_SUPER(blocks_per_group, 4), 0, -EXT2DAX_EUCLEAN, "blocks per group"},
    {AT_SUPER(inode_size, 2), 100, -EXT2DAX_EUCLEAN, "inode size"},
    {AT_SUPER(reserved_blocks, 4), UINT32_MAX, -EXT2DAX_EUCLEAN, "reserved block count"},
    {AT_SUPER(state, 2), EXT2DAX_STATE_ERROR, -EXT2DAX_EUCLEAN, "state"},
};

static void poke(size_t at, unsigned bytes, uint32_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        ((unsigned char *)plugs.memory.base)[at + i] = (unsigned char)(value >> 8 * i);
}

static void format(void)
{
    struct ext2dax_format_options options = {.size = sizeof(options)};

    plugs.locks = ext2dax_locks_none();
    plugs.host = host;
    ck_assert_int_eq(ext2dax_memory_open_heap(8u << 20, &plugs.memory), 0);
    ck_assert_int_eq(ext2dax_format(&plugs.memory, &options, &host), 0);
}

START_TEST(hostile_images_are_named)
{
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};

    set_up(1);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        const struct hostile *h = &hostile[i];
        struct ext2dax_report report = {.number = 77};
        struct ext2dax_mount *mount;
        uint64_t mark;

        format();
        poke(h->at, h->bytes, h->value);
        mark = ext2dax_host_mark();
        ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), h->error);
        ck_assert_msg(ext2dax_host_report(mark, h->error, &report), "%s: no report", h->field);
        ck_assert_str_eq(report.structure, "superblock");
        ck_assert_uint_eq(report.number, 0);
        ck_assert_str_eq(report.field, h->field);
        ck_assert_uint_eq(report.value, h->value);
        ext2dax_memory_close_heap(&plugs.memory);
    }
    ext2dax_host_close(&host);
}
END_TEST

/*
 * Shows calls failing at a pointer into metadata, alternating with calls failing for their
 * arguments.
 */
START_TEST(each_failing_call_has_its_own)
{
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};
    struct ext2dax_report report = {.number = 77};
    struct ext2dax_inode *root, *file;
    struct ext2dax_mount *mount;
    char byte = 'x';
    uint64_t mark;

    set_up(1);
    format();
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_create(root, "file", 4, 0644, 0, 0, &file), 0);
    ck_assert_int_eq(ext2dax_write(file, 0, &byte, 1), 1);
    poke((size_t)((unsigned char *)&file->disk->block[0] - (unsigned char *)plugs.memory.base), 4, 2);

    for (int again = 0; again < 3; again++) {
        mark = ext2dax_host_mark();
        ck_assert_int_eq(ext2dax_truncate(file, 0), -EXT2DAX_EUCLEAN);
        ck_assert(ext2dax_host_report(mark, -EXT2DAX_EUCLEAN, &report));
        ck_assert_str_eq(report.structure, "inode");
        ck_assert_uint_eq(report.number, file->number);
        ck_assert_str_eq(report.field, "block pointer");
        ck_assert_uint_eq(report.value, 2);

        mark = ext2dax_host_mark();
        ck_assert_int_eq(ext2dax_punch(file, 0, 0), -EXT2DAX_EINVAL);
        ck_assert(!ext2dax_host_report(mark, 0, &report));
        ck_assert_int_eq(ext2dax_unlink(root, "none", 4), -EXT2DAX_ENOENT);
        ck_assert(!ext2dax_host_report(mark, 0, &report));
        ck_assert_int_eq(ext2dax_read(root, 0, &byte, 1), -EXT2DAX_EISDIR);
        ck_assert(!ext2dax_host_report(mark, 0, &report));
    }
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    ck_assert_int_eq(ext2dax_unmount(mount), 0);
    ext2dax_memory_close_heap(&plugs.memory);
    ext2dax_host_close(&host);
}
END_TEST

static int good_persist = -1; /* remaining successful calls, negative for all */

static int persist(void *ctx, const void *at, size_t length)
{
    (void)ctx;
    (void)at;
    (void)length;
    if (good_persist < 0)
        return 0;
    return good_persist-- > 0 ? 0 : (good_persist = 0, -EXT2DAX_ENOSPC);
}

/* Shows a failed write-back reported as the reason of every later refusal, to every caller. */
START_TEST(refused_for_a_failure_of_before)
{
    static const struct ext2dax_memory_ops ops = {.size = sizeof(ops), .persist = persist};
    struct ext2dax_mount_options options = {
        .size = sizeof(options), .order = EXT2DAX_ORDERED, .recover = ext2dax_recover};
    struct ext2dax_report report;
    struct ext2dax_memory heap;
    struct ext2dax_inode *root, *file;
    struct ext2dax_mount *mount;
    uint64_t mark, block = 0;
    char text[200];

    set_up(1);
    format();
    heap = plugs.memory;
    plugs.memory.ops = &ops;
    ck_assert_int_eq(ext2dax_mount(&plugs, &options, &mount), 0);
    ck_assert_int_eq(ext2dax_inode_get(mount, EXT2DAX_ROOT_INODE, &root), 0);
    ck_assert_int_eq(ext2dax_create(root, "file", 4, 0644, 0, 0, &file), 0);
    good_persist = 0;
    for (int again = 0; again < 3; again++) {
        mark = ext2dax_host_mark();
        ck_assert_int_eq(ext2dax_truncate(file, 100 + (uint64_t)again), -EXT2DAX_EIO);
        ck_assert(ext2dax_host_report(mark, -EXT2DAX_EIO, &report));
        ck_assert_str_eq(report.structure, "block");
        ck_assert_str_eq(report.field, "write-back");
        ck_assert(again == 0 || report.number == block);
        block = report.number;
        (void)ext2dax_host_describe(mark, -EXT2DAX_EIO, text, sizeof(text));
        ck_assert_ptr_nonnull(strstr(text, REASONS ? "has failed" : "input/output error"));
        if (again == 0) { /* the memory plug's own report */
            ck_assert(ext2dax_host_report(mark, -EXT2DAX_ENOSPC, &report));
            ck_assert_uint_eq(report.number / 4096, block);
        }
    }
    ext2dax_inode_put(file);
    ext2dax_inode_put(root);
    mark = ext2dax_host_mark();
    ck_assert_int_eq(ext2dax_unmount(mount), -EXT2DAX_EIO);
    ck_assert(ext2dax_host_report(mark, -EXT2DAX_EIO, &report) && report.number == block);
    good_persist = -1;
    ext2dax_memory_close_heap(&heap);
    ext2dax_host_close(&host);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error detail");
    TCase *tcase = add_case(suite, "error detail", 60);

    tcase_add_loop_test(tcase, belongs_to_the_call, 0, 2);
    tcase_add_loop_test(tcase, the_last_one_and_rather_a_finding, 1, 2);
    tcase_add_loop_test(tcase, as_text, 0, 2);
    tcase_add_test(tcase, features_as_text);
    tcase_add_loop_test(tcase, of_this_thread, 0, 2);
    tcase_add_loop_test(tcase, a_fault_has_a_place_of_its_own, 0, 2);
    tcase_add_test(tcase, hostile_images_are_named);
    tcase_add_test(tcase, each_failing_call_has_its_own);
    tcase_add_test(tcase, refused_for_a_failure_of_before);
    return run_suite(suite);
}
