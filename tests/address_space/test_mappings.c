/* SPDX-License-Identifier: MIT */
/*
 * Tests that kernel mappings are counted as the kernel counts them, and the limit holds for any
 * sequence of calls. With the argument "all", tests as many mappings as take half of the kernel's
 * limit.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "maps.h"
#include "mounted.h"
#include "process_vmas.h"
#include "process_page.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../emulated.h"
#include "../runner.h"

#define FILE_PAGES 1300u
#define MOST       12u /* mappings at a time */
/* bytes of a mapping so large that only a few fit below the limit */
#define LARGE ((uint64_t)(sizeof(size_t) > 4 ? 1024 : 128) << 20)

static struct mounted m;
static unsigned noise;

static unsigned random_below(unsigned most)
{
    noise = noise * 1664525u + 1013904223u;
    return (noise >> 8) % most;
}

/*
 * Returns the number of counted mappings the kernel may have merged, next to pages of the same
 * kind.
 */
static size_t maybe_merged(void)
{
    const struct ext2dax_process *process = m.process;
    /* the first page of the spare mappings, and a mapping at the start of a chunk */
    size_t found = 2;

    for (const struct e2dh_chunk *chunk = process->chunks; chunk; chunk = chunk->next)
        found++;
    for (size_t w = 0; w < process->mapping_count; w++) {
        const struct e2dh_mapping *mapping = process->mappings[w];

        found += e2dh_record_is_mapped(mapping);
        for (uint64_t i = 1; i < mapping->count; i++)
            if (mapping->pages[i] & E2DH_PAGE_START && e2dh_page_of(mapping, i) == e2dh_page_of(mapping, i - 1))
                found++;
    }
    return found;
}

/*
 * Checks the count against the limit and the kernel. Returns the number of the kernel's mappings.
 */
static size_t check_count(void)
{
    size_t found, counted;

    e2dh_space_share(m.process);
    e2dh_table_lock(m.process);
    ck_assert(e2dh_vmas_are_right(m.process, false, &found));
    counted = m.process->vmas;
    ck_assert_uint_le(counted, m.process->max_mappings);
    ck_assert_uint_le(counted, found + maybe_merged());
    e2dh_table_unlock(m.process);
    e2dh_space_unshare(m.process);
    return found;
}

/* Makes another file take all free space. Every other page of `file` stays a hole. */
static struct ext2dax_inode *full_image(struct ext2dax_inode *file)
{
    struct ext2dax_inode *rest = make_file(&m, "rest", 0);

    for (unsigned page = 0; page < FILE_PAGES; page += 2)
        fill(file, (uint64_t)page * PAGE, PAGE, 0x11);
    for (uint64_t page = 0; ext2dax_allocate(rest, page * PAGE, PAGE, false) == 0; page++)
        ;
    return rest;
}

static void set_full(struct ext2dax_inode *rest, bool full)
{
    if (!full)
        ck_assert_int_eq(ext2dax_punch(rest, 0, 200 * PAGE), 0);
    else
        for (uint64_t page = 0; page < 200 && ext2dax_allocate(rest, page * PAGE, PAGE, false) == 0; page++)
            ;
}

struct shown {
    uint8_t *at;
    unsigned pages;
    bool stores;
};

static void map_one(struct ext2dax_inode *file, struct shown *mapping)
{
    static const unsigned kinds[] = {0, EXT2DAX_MAP_WRITE, EXT2DAX_MAP_WRITE | EXT2DAX_MAP_PRIVATE};
    unsigned first = random_below(FILE_PAGES), flags = kinds[random_below(3)];
    void *at;

    mapping->pages = 1 + random_below(random_below(2) ? 4 : 900);
    mapping->stores = (flags & EXT2DAX_MAP_WRITE) != 0;
    if (random_below(40) == 0)
        mapping->pages += 100000; /* large enough for a record in a mapping of its own */
    if (ext2dax_process_map(m.process, file, (uint64_t)first * PAGE, (uint64_t)mapping->pages * PAGE, flags, &at) == 0)
        mapping->at = at;
}

static void access_some(const struct shown *mapping, unsigned most, int null)
{
    unsigned first = random_below(mapping->pages);

    for (unsigned i = 0; i < most && i < mapping->pages; i++) {
        unsigned page = (first + i * 7) % mapping->pages;
        int end = access_byte(mapping->at + (size_t)page * PAGE, mapping->stores && random_below(2));

        ck_assert(end == 0 || end == SIGBUS);
        /* A system call may be refused too. */
        ck_assert(write(null, mapping->at + (size_t)page * PAGE, 1) == 1 || errno == EFAULT);
    }
}

START_TEST(the_count_is_the_kernels)
{
    const size_t limits[] = {0, 24, 40, 150};
    struct mounted_options options = {.size = 16u << 20, .max_mappings = limits[_i]};
    struct shown mappings[MOST];
    struct ext2dax_inode *file, *rest;
    unsigned turns = getenv("EXT2DAX_UNDER_VALGRIND") ? 150 : 1500;
    int pipes[2];

    memset(mappings, 0, sizeof(mappings));
    noise = (unsigned)_i + 1;
    catch_signals();
    mounted_open(&m, &options);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    file = make_file(&m, "f", (uint64_t)FILE_PAGES * PAGE);
    rest = full_image(file);
    for (unsigned turn = 0; turn < turns; turn++) {
        struct shown *mapping = &mappings[random_below(MOST)];
        uint64_t page = random_below(FILE_PAGES);
        char drain[64];

        switch (random_below(16)) {
        case 0:
            ck_assert_int_eq(ext2dax_punch(file, page * PAGE, (1 + random_below(30)) * PAGE), 0);
            break;
        case 1:
            ck_assert_int_eq(ext2dax_truncate(file, page * PAGE), 0);
            ck_assert_int_eq(ext2dax_truncate(file, (uint64_t)FILE_PAGES * PAGE), 0);
            break;
        case 2:
            ck_assert_int_eq(ext2dax_fsync(file), 0);
            break;
        case 3:
            set_full(rest, turn & 1);
            break;
        case 4:
            if (mapping->at)
                (void)ext2dax_process_populate(m.process, mapping->at, (size_t)mapping->pages * PAGE, mapping->stores);
            break;
        case 5:
        case 6:
        case 7:
            if (mapping->at) {
                access_some(mapping, 1 + random_below(3), pipes[1]);
                unmap_file(&m, mapping->at);
                mapping->at = NULL;
                break;
            }
            map_one(file, mapping);
            break;
        default:
            if (mapping->at)
                access_some(mapping, 1 + random_below(20), pipes[1]);
            else
                map_one(file, mapping);
        }
        while (read(pipes[0], drain, sizeof(drain)) > 0)
            ;
        check_count();
    }
    for (unsigned i = 0; i < MOST; i++)
        if (mappings[i].at)
            unmap_file(&m, mappings[i].at);
    ck_assert_uint_eq(m.process->vmas, 0);
    close(pipes[0]);
    close(pipes[1]);
    ext2dax_inode_put(rest);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* Removing a mapping right after a refused store leaves no kernel mapping counted. */
START_TEST(refused_stores_leave_nothing_behind)
{
    struct mounted_options options = {.size = 16u << 20, .max_mappings = 16};
    struct ext2dax_inode *file, *rest;
    char name[] = "/tmp/ext2dax-XXXXXX";
    int out = mkstemp(name);
    uint8_t *at;

    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", (uint64_t)FILE_PAGES * PAGE);
    rest = full_image(file);
    for (unsigned turn = 0; turn < 40; turn++) {
        at = map_file(&m, file, 0, 512 * PAGE, EXT2DAX_MAP_WRITE);
        ck_assert_int_eq(access_byte(at + (2 * (turn % 100) + 1) * PAGE, true), SIGBUS);
        check_count();
        unmap_file(&m, at);
        ck_assert_uint_eq(m.process->vmas, 0);
    }
    /*
     * Both pages of a system call fit below the limit at once. Otherwise the call would never end.
     */
    at = map_file(&m, file, 0, 512 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_ge(out, 0);
    for (unsigned i = 0; i < 50; i++) {
        if (!by_userfaultfd())
            ck_assert_int_eq(ext2dax_process_populate(m.process, at + i * 2 * PAGE, 2 * PAGE, false), 0);
        ck_assert_int_eq(pwrite(out, at + i * 2 * PAGE + 16, PAGE, 0), PAGE);
    }
    check_count();
    unmap_file(&m, at);
    close(out);
    unlink(name);
    ext2dax_inode_put(rest);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* Refused stores to more pages than the limit has room for keep the count within the limit. */
START_TEST(refused_stores_keep_the_limit)
{
    struct mounted_options options = {.size = 16u << 20, .max_mappings = 24};
    struct ext2dax_inode *file, *rest;
    uint8_t *at;

    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", (uint64_t)FILE_PAGES * PAGE);
    rest = full_image(file);
    at = map_file(&m, file, 0, 1000 * PAGE, EXT2DAX_MAP_WRITE);
    for (unsigned page = 1; page < 200; page += 2) {
        ck_assert_int_eq(access_byte(at + page * PAGE, true), SIGBUS);
        ck_assert_int_eq(access_byte(at + (page + 300) * PAGE, false), 0);
        ck_assert_uint_le(check_count(), 24);
    }
    unmap_file(&m, at);
    ext2dax_inode_put(rest);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/*
 * ext2dax_process_map() refuses a mapping which does not fit below the limit. Pages of all other
 * mappings can still be mapped.
 */
START_TEST(what_does_not_fit_is_refused_when_it_is_mapped)
{
    const size_t limit = 60;
    struct mounted_options options = {.max_mappings = limit};
    struct ext2dax_inode *file;
    uint8_t *mappings[100];
    unsigned made = 0;
    void *at;
    int error;

    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", 20 * PAGE);
    /*
     * Each mapping is so large that its record takes a kernel mapping of its own, even with no page
     * present.
     */
    while ((error = ext2dax_process_map(m.process, file, 0, LARGE, EXT2DAX_MAP_WRITE, &at)) == 0) {
        mappings[made++] = at;
        check_count();
        ck_assert_uint_lt(made, limit);
        /* Pages of other mappings are evicted for these pages. */
        for (unsigned page = 0; page < 20; page += 2)
            ck_assert_int_eq(access_byte((uint8_t *)at + page * PAGE, true), 0);
    }
    ck_assert_int_eq(error, -EXT2DAX_ENOMEM);
    ck_assert_ptr_null(at);
    ck_assert_uint_gt(made, 8);
    for (unsigned i = 0; i < made; i++)
        for (unsigned page = i & 1; page < 20; page += 2) {
            ck_assert_int_eq(access_byte(mappings[i] + page * PAGE, page & 2), 0);
            ck_assert_uint_le(check_count(), limit);
        }
    for (unsigned i = 0; i < made; i++)
        unmap_file(&m, mappings[i]);
    ck_assert_uint_eq(m.process->vmas, 0);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* Stores succeed even if the program has taken every mapping the kernel grants. */
START_TEST(at_the_kernels_limit_stores_go_through)
{
    enum { COUNT = 40 };
    struct ext2dax_inode *file;
    uint8_t *mappings[COUNT], *large;
    size_t bytes;
    void *filler, *at;
    int ends[COUNT] = {0}, last = 0, error = 0, pipes[2];
    int64_t wrote = 0;

    if (getenv("EXT2DAX_UNDER_VALGRIND") || race_detector("the kernel's limit of mappings, which it needs too"))
        return;
    catch_signals();
    mounted_open(&m, NULL);
    ck_assert_int_eq(pipe(pipes), 0);
    file = make_file(&m, "f", 100 * PAGE);
    for (unsigned i = 0; i < COUNT; i++)
        mappings[i] = map_file(&m, file, 0, PAGE, EXT2DAX_MAP_WRITE);
    large = map_file(&m, file, 0, 100 * PAGE, EXT2DAX_MAP_WRITE);
    filler = use_up(&bytes);
    if (filler) {
        if (_i == 1)
            go_beyond();
        for (unsigned i = 0; i < COUNT; i++)
            ends[i] = access_byte(mappings[i], true);
        for (unsigned page = 1; page < 100 && last == 0; page += 2)
            last = access_byte(large + page * PAGE, true);
        error = ext2dax_truncate(file, 40 * PAGE);
        for (unsigned i = 0; i < COUNT && by_userfaultfd(); i++)
            wrote += write(pipes[1], mappings[i], 1);
        /* No further mapping can be made, because its pages could not be mapped. */
        if (_i == 1)
            ck_assert_int_eq(ext2dax_process_map(m.process, file, 0, LARGE, 0, &at), -EXT2DAX_ENOMEM);
        munmap(filler, bytes);
        for (unsigned i = 0; i < COUNT; i++)
            ck_assert_int_eq(ends[i], 0);
        ck_assert_int_eq(last, 0);
        ck_assert_int_eq(error, 0);
        if (by_userfaultfd())
            ck_assert_int_eq(wrote, COUNT);
        check_count();
        ck_assert_int_eq(access_byte(large + 41 * PAGE, false), SIGBUS);
        ck_assert_int_eq(access_byte(large + 39 * PAGE, false), 0);
    }
    unmap_file(&m, large);
    for (unsigned i = 0; i < COUNT; i++)
        unmap_file(&m, mappings[i]);
    ck_assert_uint_eq(m.process->vmas, 0);
    close(pipes[0]);
    close(pipes[1]);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/*
 * The program removes the permissions of a page. The library maps the page again instead of
 * trapping forever.
 */
START_TEST(a_page_that_traps_for_nothing_is_shown_anew)
{
    struct ext2dax_inode *file;
    uint8_t *at;

    if (race_detector("a page whose permissions the program takes"))
        return;
    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 20 * PAGE);
    at = map_file(&m, file, 0, 20 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(access_byte(at + 3 * PAGE, true), 0);
    ck_assert_int_eq(mprotect(at + 3 * PAGE, PAGE, PROT_NONE), 0);
    alarm(20);
    ck_assert_int_eq(access_byte(at + 3 * PAGE, false), 0);
    ck_assert_int_eq(access_byte(at + 3 * PAGE, true), 0);
    ck_assert_uint_eq(at[3 * PAGE], 1);
    alarm(0);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

/* A protection key forbids the store. The program gets the SIGSEGV. */
START_TEST(a_page_that_cannot_be_shown_is_the_programs_own_fault)
{
#if defined(__x86_64__)
    struct ext2dax_inode *file;
    uint8_t *at;
    int key = pkey_alloc(0, 0);

    if (key < 0) {
        printf("left out: protection keys: %s\n", strerror(errno));
        return;
    }
    catch_signals();
    mounted_open(&m, NULL);
    file = make_file(&m, "f", 20 * PAGE);
    at = map_file(&m, file, 0, 20 * PAGE, EXT2DAX_MAP_WRITE);
    ck_assert_int_eq(pkey_set(0, PKEY_DISABLE_WRITE), 0);
    alarm(20);
    ck_assert_int_eq(access_byte(at + 3 * PAGE, true), SIGSEGV);
    ck_assert_int_eq(pkey_set(0, 0), 0);
    ck_assert_int_eq(access_byte(at + 3 * PAGE, true), 0);
    alarm(0);
    pkey_free(key);
    unmap_file(&m, at);
    ext2dax_inode_put(file);
    mounted_close(&m);
#endif
}
END_TEST

/* ---- many mappings ---- */

static size_t limit_of_mappings(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    size_t limit = 65530;

    if (file) {
        ck_assert_int_eq(fscanf(file, "%zu", &limit), 1);
        fclose(file);
    }
    return limit;
}

/* Stores once in each of many mappings. By `sigsegv` they outnumber the allowed kernel mappings. */
START_TEST(many_mappings_keep_the_limit)
{
    bool all = _i == 1;
    size_t limit = limit_of_mappings(), most = 0;
    unsigned wanted = all ? (unsigned)limit / 2 + 100 : 3000, made, failed = 0;
    struct mounted_options options = {.max_mappings = all ? 0 : 1000};
    struct rlimit descriptors;
    struct ext2dax_inode *file;
    uint8_t **mappings = calloc(wanted, sizeof(*mappings));
    void *at;
    int error = 0;

    ck_assert_ptr_nonnull(mappings);
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    catch_signals();
    mounted_open(&m, &options);
    file = make_file(&m, "f", 4 * PAGE);
    for (made = 0; made < wanted; made++) {
        error = ext2dax_process_map(m.process, file, 0, PAGE, EXT2DAX_MAP_WRITE, &at);
        if (error)
            break;
        mappings[made] = at;
    }
    /*
     * By `userfaultfd` each takes two kernel mappings and a descriptor. A 32-bit address space is
     * soon used up.
     */
    if (by_userfaultfd() || sizeof(size_t) == 4)
        ck_assert(made == wanted || error == -EXT2DAX_ENOMEM || error == -EMFILE);
    else
        ck_assert_int_eq(error, 0);
    ck_assert_uint_gt(made, 300);
    for (unsigned i = 0; i < made; i++) {
        failed += access_byte(mappings[i], true) != 0;
        if (i % (made / 20) == 0) {
            size_t found = check_count();

            most = found > most ? found : most;
        }
    }
    printf("%u mappings stored to: %zu kernel mappings at most; %zu slabs evicted\n", made, most,
           (size_t)count(&m).evicted);
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_le(most, all ? limit / 2 : 1000);
    ck_assert_int_eq(ext2dax_truncate(file, 0), 0);
    check_count();
    for (unsigned i = 0; i < made; i++)
        unmap_file(&m, mappings[i * 7919u % made]);
    ck_assert_uint_eq(m.process->vmas, 0);
    free(mappings);
    ext2dax_inode_put(file);
    mounted_close(&m);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tcase;
    bool all = argc == 2 && strcmp(argv[1], "all") == 0;

    if (left_out_emulated("kernel mappings, which it has others of") || left_out_method())
        return SKIPPED;
    suite = suite_create("address space: mappings counted");
    tcase = add_case(suite, "process", 100);
    if (all) {
        tcase_add_loop_test(tcase, many_mappings_keep_the_limit, 1, 2);
    } else {
        tcase_add_loop_test(tcase, the_count_is_the_kernels, 0, 4);
        tcase_add_test(tcase, refused_stores_leave_nothing_behind);
        tcase_add_test(tcase, refused_stores_keep_the_limit);
        tcase_add_test(tcase, what_does_not_fit_is_refused_when_it_is_mapped);
        tcase_add_loop_test(tcase, at_the_kernels_limit_stores_go_through, 0, 2);
        tcase_add_test(tcase, a_page_that_traps_for_nothing_is_shown_anew);
        tcase_add_test(tcase, a_page_that_cannot_be_shown_is_the_programs_own_fault);
        tcase_add_loop_test(tcase, many_mappings_keep_the_limit, 0, 1);
    }
    return run_suite(suite);
}
