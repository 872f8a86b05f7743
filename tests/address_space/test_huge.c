/* SPDX-License-Identifier: MIT */
/*
 * Tests whether the kernel maps a PMD range of 2 MiB by a single entry. Reads smaps, and counts the
 * page faults of a sweep. The argument names the place of the image. Either a tmpfs mounted with
 * huge=always, within_size or advise, or ("collapse") memory where only MADV_COLLAPSE makes huge
 * pages.
 *
 * The kernel may lack memory for a huge page. So the test first maps a plain file in the same place
 * with mmap() alone. If the plain file gets no huge pages either, the test proves nothing and is
 * skipped.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounted.h"
#include "race_detector.h"
#include "fault_method.h"
#include "../emulated.h"
#include "../runner.h"

#define PMD_RANGES 32u
#define BYTES      ((uint64_t)PMD_RANGES * HUGE) /* of the file */

#if !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25
#endif

/* Sanitizers cause faults in memory of their own, so fault counts are not exact. */
#if defined(__SANITIZE_ADDRESS__) || E2DH_RACE_DETECTOR
#define EXACT false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT false
#endif
#endif
#if !defined(EXACT)
#define EXACT true
#endif

static struct mounted m;
static const char *kind;
static char folder[64], image[96];

static bool collapses(void)
{
    return strcmp(kind, "collapse") == 0;
}

/* Aborts unless `holds`. Runs before Check, so assertions cannot be used. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static uint64_t page_faults(void)
{
    struct rusage usage;

    must(getrusage(RUSAGE_THREAD, &usage) == 0);
    return (uint64_t)(usage.ru_minflt + usage.ru_majflt);
}

/*
 * Accesses every page. Not instrumented by sanitizers, because their lookups would fault in memory
 * of their own. Returns the number of page faults taken by the kernel.
 */
__attribute__((no_sanitize("address", "thread"), noinline)) static uint64_t sweep(void *at, uint64_t bytes, bool store)
{
    uint64_t before = page_faults();

    for (uint64_t i = 0; i < bytes; i += PAGE) {
        volatile uint8_t *byte = (volatile uint8_t *)at + i;

        if (store)
            *byte = (uint8_t)(i / PAGE + 1);
        else
            (void)*byte;
    }
    return page_faults() - before;
}

/* Returns the bytes of a range mapped by the kernel with huge entries. */
static uint64_t huge_bytes(const void *at, uint64_t bytes)
{
    unsigned long long low = 0, high = 0, from, to, kilobytes, found = 0;
    char line[400];
    FILE *maps = fopen("/proc/self/smaps", "r");

    must(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            low = from;
            high = to;
        }
        if (low >= (uintptr_t)at && high <= (uintptr_t)at + bytes &&
            sscanf(line, "ShmemPmdMapped: %llu kB", &kilobytes) == 1)
            found += kilobytes << 10;
    }
    fclose(maps);
    return found;
}

/* Returns whether the kernel makes huge pages of a plain file here when asked to. */
static bool kernel_does(const char *path)
{
    int fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : memfd_create("plain", MFD_CLOEXEC);
    char *reserved = mmap(NULL, BYTES + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;
    uint64_t huge;
    int error = 0;

    must(fd >= 0);
    must(reserved != MAP_FAILED);
    must(ftruncate(fd, (off_t)BYTES) == 0);
    at = reserved + (-(uintptr_t)reserved & (HUGE - 1));
    must(mmap(at, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at);
    (void)madvise(at, BYTES, MADV_HUGEPAGE);
    sweep(at, BYTES, true);
    for (unsigned tries = 0; collapses() && tries < 10 && (tries == 0 || error == EAGAIN); tries++)
        error = madvise(at, BYTES, MADV_COLLAPSE) != 0 ? errno : 0;
    sweep(at, BYTES, false);
    huge = huge_bytes(at, BYTES);
    munmap(reserved, BYTES + HUGE);
    close(fd);
    if (path)
        unlink(path);
    if (huge == BYTES)
        return true;
    printf("SKIP: of a plain file of %u huge pages the kernel makes %u huge%s%s\n", PMD_RANGES, (unsigned)(huge / HUGE),
           error ? ": " : "", error ? strerror(error) : "");
    return false;
}

/* Mounts a tmpfs in a mount namespace of this process. Both end with the process. */
static bool has_tmpfs(void)
{
    char options[64];

    snprintf(options, sizeof(options), "size=400m,huge=%s", kind);
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        printf("SKIP: a mount namespace: %s\n", strerror(errno));
        return false;
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("none", folder, "tmpfs", 0, options) != 0) {
        printf("SKIP: a tmpfs with %s: %s\n", options, strerror(errno));
        return false;
    }
    return true;
}

/* Makes a file of whole huge pages in an image at `path`, or in a memfd if `path` is NULL. */
static struct ext2dax_inode *open_image(const char *path, bool collapse)
{
    struct mounted_options options = {.size = 3 * BYTES, .path = path, .collapse = collapse};
    struct ext2dax_inode *file;
    void *at;

    mounted_open(&m, &options);
    file = make_file(&m, "f", 0);
    ck_assert_int_eq(ext2dax_allocate(file, 0, BYTES, false), 0);
    /* Runs once before the measurement, so code and stack are already faulted in. */
    at = map_file(&m, file, 0, HUGE, EXT2DAX_MAP_WRITE);
    sweep(at, HUGE, false);
    sweep(at, HUGE, true);
    unmap_file(&m, at);
    return file;
}

static void close_image(struct ext2dax_inode *file, const char *path)
{
    ext2dax_inode_put(file);
    mounted_close(&m);
    if (path)
        unlink(path);
}

/*
 * By `userfaultfd`, pages read in a writable mapping are write-protected one by one. So the
 * reader's mapping is read-only.
 */
static unsigned flags_of_reader(void)
{
    return by_userfaultfd() ? 0 : EXT2DAX_MAP_WRITE;
}

/*
 * Sweeps a new mapping, and returns the page faults of the process. The kernel may reclaim pages of
 * the program's own code at any time, which adds page faults not caused by the library. A sweep
 * with more page faults than huge pages is therefore repeated. Page faults caused by the library
 * come back in each repetition.
 */
static uint64_t sweep_new_mapping(struct ext2dax_inode *file, bool store, void **at,
                                  struct ext2dax_process_counters *before)
{
    uint64_t faults = 0;

    *at = NULL;
    for (unsigned turn = 0; turn == 0 || (EXACT && faults > PMD_RANGES && turn < 5); turn++) {
        if (*at)
            unmap_file(&m, *at);
        *before = count(&m);
        *at = map_file(&m, file, 0, BYTES, store ? EXT2DAX_MAP_WRITE : flags_of_reader());
        faults = sweep(*at, BYTES, store);
    }
    return faults;
}

/* Checks for a single trap and a single kernel page fault per huge page. */
static void takes_one_fault_each(struct ext2dax_inode *file, bool store)
{
    struct ext2dax_process_counters before;
    void *at;
    uint64_t faults = sweep_new_mapping(file, store, &at, &before);

    printf("%s: %u huge pages %s: %u traps, %u page faults, ShmemPmdMapped %u kB\n", kind, PMD_RANGES,
           store ? "stored to" : "read", (unsigned)(count(&m).traps - before.traps), (unsigned)faults,
           (unsigned)(huge_bytes(at, BYTES) >> 10));
    ck_assert_uint_eq(huge_bytes(at, BYTES), BYTES);
    ck_assert(!EXACT || faults == PMD_RANGES);
    ck_assert_uint_eq(count(&m).traps - before.traps, PMD_RANGES);
    ck_assert_uint_eq(count(&m).huge - before.huge, PMD_RANGES);
    ck_assert_uint_eq(count(&m).mapped - before.mapped, PMD_RANGES);
    unmap_file(&m, at);
}

static void takes_one_fault_each_again_after_fsync(struct ext2dax_inode *file)
{
    void *at = map_file(&m, file, 0, BYTES, EXT2DAX_MAP_WRITE);
    struct ext2dax_process_counters before;
    uint64_t faults = 0;

    sweep(at, BYTES, true);
    for (unsigned turn = 0; turn == 0 || (EXACT && faults > PMD_RANGES && turn < 5); turn++) {
        before = count(&m);
        ck_assert_int_eq(ext2dax_fsync(file), 0);
        ck_assert_uint_le(count(&m).protections - before.protections, PMD_RANGES);
        ck_assert(by_userfaultfd() || huge_bytes(at, BYTES) == BYTES);
        faults = sweep(at, BYTES, true);
    }
    ck_assert_uint_eq(count(&m).traps - before.traps, PMD_RANGES);
    /* the kernel may keep pages known as dirty writable without a fault */
    ck_assert(!EXACT || faults <= PMD_RANGES);
    ck_assert_uint_eq(count(&m).mapped - before.mapped, by_userfaultfd() ? PMD_RANGES : 0);
    ck_assert_uint_eq(huge_bytes(at, BYTES), BYTES);
    unmap_file(&m, at);
}

/*
 * A mapping from the middle of a huge page to the middle of another has all huge pages in between.
 */
static void pmd_ranges_may_begin_anywhere(struct ext2dax_inode *file)
{
    for (uint64_t from = 3 * PAGE; from < HUGE; from += HUGE / 3 / PAGE * PAGE) {
        uint64_t bytes = BYTES - HUGE / 2 - from;
        void *at = map_file(&m, file, from, bytes, flags_of_reader());

        sweep(at, bytes, false);
        ck_assert_uint_eq(huge_bytes(at, bytes), BYTES - 2 * (uint64_t)HUGE);
        unmap_file(&m, at);
    }
}

/* The bytes stored through the mappings are in the file. */
static void bytes_are_right(struct ext2dax_inode *file)
{
    for (uint64_t i = 0; i < BYTES; i += PAGE) {
        uint8_t byte = 0;

        ck_assert_int_eq(ext2dax_read(file, i, &byte, 1), 1);
        ck_assert_uint_eq(byte, (uint8_t)(i / PAGE + 1));
    }
}

START_TEST(a_filesystem_that_has_huge_pages)
{
    struct ext2dax_inode *file = open_image(image, false);

    takes_one_fault_each(file, false);
    takes_one_fault_each(file, true);
    takes_one_fault_each_again_after_fsync(file);
    pmd_ranges_may_begin_anywhere(file);
    bytes_are_right(file);
    ck_assert_uint_eq(count(&m).collapsed, 0);
    close_image(file, image);
}
END_TEST

static bool made_without_being_asked(void)
{
    char line[100] = "";
    FILE *setting = fopen("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "r");

    if (setting) {
        (void)!fgets(line, sizeof(line), setting);
        fclose(setting);
    }
    return strstr(line, "[never]") == NULL && strstr(line, "[deny]") == NULL;
}

START_TEST(collapsed_where_there_are_none)
{
    const char *path = _i ? image : NULL;
    struct ext2dax_inode *file = open_image(path, true);
    struct ext2dax_process_counters before = count(&m);
    void *at;

    ck_assert_uint_eq(before.collapsed, 1); /* by the warm-up in open_image() */
    at = map_file(&m, file, 0, BYTES, EXT2DAX_MAP_WRITE);
    sweep(at, BYTES, true);
    ck_assert_uint_eq(count(&m).traps - before.traps, PMD_RANGES);
    ck_assert_uint_eq(count(&m).collapsed, PMD_RANGES);
    bytes_are_right(file);
    ck_assert_uint_eq(huge_bytes(at, BYTES), BYTES);
    unmap_file(&m, at);
    takes_one_fault_each(file, false);
    takes_one_fault_each(file, true);
    takes_one_fault_each_again_after_fsync(file);
    pmd_ranges_may_begin_anywhere(file);
    bytes_are_right(file);
    ck_assert_uint_eq(count(&m).collapsed, PMD_RANGES);
    close_image(file, path);
}
END_TEST

START_TEST(populated_collapsed_and_swept_without_a_trap)
{
    struct ext2dax_inode *file = open_image(NULL, true);
    struct ext2dax_process_counters before;
    uint64_t faults = 0;
    void *at = NULL;

    for (unsigned turn = 0; turn == 0 || (EXACT && faults > PMD_RANGES && turn < 5); turn++) {
        if (at)
            unmap_file(&m, at);
        at = map_file(&m, file, 0, BYTES, EXT2DAX_MAP_WRITE);
        before = count(&m);
        ck_assert_int_eq(ext2dax_process_populate(m.process, at, BYTES, true), 0);
        ck_assert_uint_eq(count(&m).collapsed, PMD_RANGES);
        ck_assert_uint_eq(count(&m).huge - before.huge, PMD_RANGES);
        faults = sweep(at, BYTES, true);
    }
    ck_assert(!EXACT || faults == PMD_RANGES);
    ck_assert_uint_eq(count(&m).traps, before.traps);
    ck_assert_uint_eq(huge_bytes(at, BYTES), BYTES);
    unmap_file(&m, at);
    close_image(file, NULL);
}
END_TEST

START_TEST(not_collapsed_unless_asked)
{
    struct ext2dax_inode *file = open_image(NULL, false);
    void *at = map_file(&m, file, 0, BYTES, EXT2DAX_MAP_WRITE);

    sweep(at, BYTES, true);
    ck_assert_uint_eq(count(&m).collapsed, 0);
    ck_assert(made_without_being_asked() || huge_bytes(at, BYTES) == 0);
    unmap_file(&m, at);
    close_image(file, NULL);
}
END_TEST

/* Truncate and punch between collapses lose no bytes and leave no stale page. */
START_TEST(collapsed_while_the_file_shrinks_and_grows)
{
    struct ext2dax_inode *file = open_image(NULL, true);
    uint8_t *at = map_file(&m, file, 0, BYTES, EXT2DAX_MAP_WRITE);

    for (uint64_t round = 0; round < 4; round++) {
        sweep(at, BYTES, true);
        bytes_are_right(file);
        ck_assert_int_eq(ext2dax_punch(file, round * HUGE + 5 * PAGE, 7 * PAGE), 0);
        ck_assert_uint_eq(at[round * HUGE + 6 * PAGE], 0);
        ck_assert_int_eq(ext2dax_truncate(file, BYTES / 2 + round * PAGE), 0);
        ck_assert_int_eq(ext2dax_truncate(file, BYTES), 0);
        ck_assert_uint_eq(at[BYTES - PAGE], 0);
    }
    unmap_file(&m, at);
    close_image(file, NULL);
}
END_TEST

static void leave(void)
{
    unlink(image);
    (void)umount2(folder, MNT_DETACH);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    Suite *suite;
    TCase *tcase;
    char plain[96];
    int status;

    must(argc == 2);
    kind = argv[1];
    if (getenv("EXT2DAX_UNDER_VALGRIND") || left_out_emulated("huge pages, which it hides")) {
        printf("SKIP: only the kernel itself maps huge pages\n");
        return SKIPPED;
    }
    if (sysconf(_SC_PAGESIZE) != PAGE) {
        printf("SKIP: pages of this machine are not of 4 KiB\n");
        return SKIPPED;
    }
    snprintf(folder, sizeof(folder), "%s/ext2dax-huge-XXXXXX", collapses() ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder)) {
        printf("SKIP: %s: %s\n", folder, strerror(errno));
        return SKIPPED;
    }
    snprintf(image, sizeof(image), "%s/image", folder);
    snprintf(plain, sizeof(plain), "%s/plain", folder);
    if (left_out_method() || (!collapses() && !has_tmpfs()) || !kernel_does(plain)) {
        leave();
        return SKIPPED;
    }
    suite = suite_create("address space: huge pages");
    tcase = add_case(suite, "process", 60);
    if (collapses()) {
        tcase_add_loop_test(tcase, collapsed_where_there_are_none, 0, 2);
        tcase_add_test(tcase, populated_collapsed_and_swept_without_a_trap);
        tcase_add_test(tcase, not_collapsed_unless_asked);
        tcase_add_test(tcase, collapsed_while_the_file_shrinks_and_grows);
    } else {
        tcase_add_test(tcase, a_filesystem_that_has_huge_pages);
    }
    status = run_suite(suite);
    leave();
    return status;
}
