/* SPDX-License-Identifier: MIT */
/*
 * Tests the whole-image checker against e2fsck. On images of every kind made by mke2fs both find
 * nothing. On images damaged by hand, a single defect at a time, the checker names the defect, and
 * the table records whether e2fsck detects it too. Images with random bytes in random places
 * follow. Such an image ends at an inaccessible page, so an access past the end crashes.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/error.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

#include "../../lib/testkit/check_image.h"
#include "broken.h"
#include "outside.h"
#include "../emulated.h"
#include "../runner.h"

static char tree[] = "/tmp/ext2dax-tree-XXXXXX";

/* ---- findings ---- */

static const char *wanted;
static int wanted_found;

static void print(void *arg, const struct ext2dax_finding *finding)
{
    char line[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, line, sizeof(line));
    puts(line);
}
static void count_wanted(void *arg, const struct ext2dax_finding *finding)
{
    (void)arg;
    if (wanted && strcmp(finding->what, wanted) == 0)
        wanted_found++;
}
/* Checks an image expected to be valid, and prints the findings. */
static int check(unsigned flags)
{
    return ext2dax_check_image(image, image_size, flags, print, NULL, NULL);
}
/* Checks a damaged image, and counts the expected finding. */
static int check_for(const char *what, unsigned flags)
{
    wanted = what;
    wanted_found = 0;
    return ext2dax_check_image(image, image_size, flags, count_wanted, NULL, NULL);
}

/* ---- undamaged images ---- */

static const struct {
    const char *options;
    size_t megabytes;
    bool empty;
} kinds[] = {
    {"-b 1024", 16, false},
    {"-b 2048", 16, false},
    {"-b 4096", 16, false},
    {"-b 8192", 16, false},
    {"-b 65536", 64, false},
    {"-b 1024 -I 128", 16, false},
    {"-b 4096 -I 128", 16, false},
    {"-b 65536 -I 128 -O ^resize_inode", 64, false},
    {"-b 1024 -r 0 -O none", 16, true},
    {"-b 4096 -r 0 -O none", 16, true},
    {"-b 1024 -O ^sparse_super,^resize_inode -g 512", 16, false},
    {"-b 4096 -O ^sparse_super,^resize_inode", 16, false},
    {"-b 1024 -O meta_bg,^resize_inode -g 256", 32, false},
    {"-b 4096 -O meta_bg,^resize_inode -g 256", 200, false},
    {"-b 1024 -O ^filetype", 16, false},
    {"-b 1024 -O ^large_file -g 1024", 16, true},
    {"-b 1024 -j -J size=1", 16, false},
    {"-b 1024 -g 512", 64, false},
    {"-b 1024 -N 16", 1, true},
    {"-b 1024 -N 200", 16, false}, /* more names than inodes */
    {"-b 1024 -O resize_inode -E resize=1000000 -g 2048", 32, false},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct outside_image make(const char *options, size_t megabytes, bool empty)
{
    struct outside_image made = outside_open(megabytes << 20);
    char source[64] = "";

    if (!empty)
        (void)snprintf(source, sizeof(source), "-d %s", tree);
    ck_assert_int_eq(outside_run("mke2fs -q -F -t ext2 %s %s %s >/dev/null 2>&1", options, source, made.path), 0);
    image = made.base;
    image_size = made.size;
    return made;
}

START_TEST(what_mke2fs_makes_has_no_findings)
{
    struct outside_image made = make(kinds[_i].options, kinds[_i].megabytes, kinds[_i].empty);

    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
    ck_assert_msg(check(0) == 0, "mke2fs %s", kinds[_i].options);
    outside_close(&made);
}
END_TEST

START_TEST(deleted_files_and_indexed_directories_have_no_findings)
{
    struct outside_image made = make("-b 1024 -I 128 -O dir_index", 16, false);

    /* e2fsck -D builds the indexes. debugfs leaves inodes with a deletion time. */
    ck_assert_int_eq(outside_run("debugfs -w -R 'rm /big' %s >/dev/null 2>&1", made.path), 0);
    ck_assert_int_eq(outside_run("debugfs -w -R 'rm /slow' %s >/dev/null 2>&1", made.path), 0);
    ck_assert_int_le(outside_run("e2fsck -fyD %s >/dev/null 2>&1", made.path), 1);
    ck_assert_uint_ne(get32(file("many")->flags) & EXT2DAX_FL_INDEX, 0);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
    ck_assert_int_eq(check(0), 0);
    outside_close(&made);
}
END_TEST

START_TEST(a_shared_xattr_block_is_owned_once)
{
    struct outside_image made = make("-b 1024 -I 128 -O ext_attr", 8, false);
    uint32_t block;

    ck_assert_int_eq(outside_run("debugfs -w -R 'ea_set /small user.key value' %s >/dev/null 2>&1", made.path), 0);
    block = get32(file("small")->file_acl);
    ck_assert_uint_ne(block, 0);
    ck_assert_int_eq(check(0), 0);

    /* a fast symlink with an attribute block is still a fast symlink */
    set32(&file("fast")->file_acl, block);
    add32(&file("fast")->sectors, 2);
    ck_assert_int_eq(check_for("xattr block: reference count", 0), 1);
    ck_assert_int_eq(wanted_found, 1);
    ck_assert_int_ne(outside_e2fsck(&made, false), 0);
    set32((struct ext2dax_le32 *)block_at(block) + 1, 2);
    ck_assert_int_eq(outside_e2fsck(&made, true), 0);
    ck_assert_int_eq(check(0), 0);

    set32((struct ext2dax_le32 *)block_at(block) + 1, 3);
    ck_assert_int_eq(check_for(NULL, 0), 1);
    ck_assert_int_eq(check(EXT2DAX_CHECK_LEAKS_OK), 0);
    set32((struct ext2dax_le32 *)block_at(block) + 1, 1);
    ck_assert_int_eq(check_for(NULL, EXT2DAX_CHECK_LEAKS_OK), 1);
    set32((struct ext2dax_le32 *)block_at(block), 0xEA010000);
    ck_assert_int_eq(check_for("xattr block: header", 0), 1);
    ck_assert_int_eq(wanted_found, 1);
    outside_close(&made);
}
END_TEST

/* ---- images damaged by hand ---- */

/*
 * Makes an image of 5,120 blocks in four groups. 1 KiB blocks and 128-byte inodes keep the helpers
 * above short.
 */
static struct outside_image whole(void)
{
    struct outside_image made = make("-b 1024 -I 128 -g 1280 -N 800 -O ^resize_inode,^dir_index", 5, false);

    ck_assert_int_eq(check(0), 0);
    return made;
}

START_TEST(what_is_broken_is_named)
{
    const struct breakage *b = &breakages[_i];
    struct outside_image made = whole();
    int findings, tool;

    b->make();
    findings = check_for(b->what, 0);
    ck_assert_msg(findings > 0 && wanted_found > 0, "%d findings, but not \"%s\"", findings, b->what);
    tool = outside_e2fsck(&made, false);
    ck_assert_msg((tool != 0) == b->tool, "\"%s\": e2fsck answers %d", b->what, tool);
    outside_close(&made);
}
END_TEST

START_TEST(the_flags_allow_what_they_say_and_no_more)
{
    static const struct {
        const char *name;
        unsigned flags;
    } allowed[] = {
        {"not_clean", EXT2DAX_CHECK_MOUNTED},
        {"not_clean", EXT2DAX_CHECK_LEAKS_OK},
        {"leaked_block", EXT2DAX_CHECK_LEAKS_OK},
        {"leaked_inode", EXT2DAX_CHECK_LEAKS_OK},
        {"group_free_blocks", EXT2DAX_CHECK_LEAKS_OK},
        {"super_free_inodes", EXT2DAX_CHECK_LEAKS_OK},
        {"group_directories", EXT2DAX_CHECK_LEAKS_OK},
        {"sectors_wrong", EXT2DAX_CHECK_LEAKS_OK},
        {"links_wrong", EXT2DAX_CHECK_LEAKS_OK},
        {"entry_type", EXT2DAX_CHECK_LEAKS_OK},
        {"directory_without_its_last_block", EXT2DAX_CHECK_LEAKS_OK},
    };
    static const char *const never[] = {
        "owned_twice",
        "at_the_end",
        "past_the_end",
        "into_a_bitmap",
        "used_block_marked_free",
        "outside_the_image",
        "entry_without_length",
        "file_without_a_name",
        "directory_with_two_names",
        "slow_symlink_length",
        "directory_hole",
        "name_twice",
        "entry_of_no_inode",
        "deleted_with_low_dtime",
        "used_inode_marked_free",
        "padding_of_inodes",
    };
    struct outside_image made = whole();
    uint8_t *copy = malloc(image_size);
    unsigned i;

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, image, image_size);
    for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        memcpy(image, copy, image_size);
        break_it(allowed[i].name);
        ck_assert_msg(check_for(NULL, 0) > 0, "%s", allowed[i].name);
        ck_assert_msg(check(allowed[i].flags) == 0, "%s", allowed[i].name);
    }
    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        memcpy(image, copy, image_size);
        break_it(never[i]);
        ck_assert_msg(check_for(NULL, EXT2DAX_CHECK_LEAKS_OK | EXT2DAX_CHECK_MOUNTED) > 0, "%s", never[i]);
        ck_assert_msg(check_for(NULL, EXT2DAX_CHECK_UNLINKED_OK | EXT2DAX_CHECK_MOUNTED) > 0, "%s", never[i]);
    }

    /*
     * Last name removed while the file is open. The blocks still belong to the file, and a second
     * owner is found.
     */
    memcpy(image, copy, image_size);
    set16(&file("big")->links, 0);
    set32(&entry(EXT2DAX_ROOT_INODE, "big")->inode, 0);
    ck_assert_int_gt(check_for(NULL, 0), 0);
    ck_assert_int_eq(check(EXT2DAX_CHECK_UNLINKED_OK), 0);
    ck_assert_int_eq(check(EXT2DAX_CHECK_LEAKS_OK), 0);
    memcpy(image, copy, image_size);
    {
        struct ext2dax_disk_inode *big = file("big");

        mark_block(get32(big->block[2]), false);
        set16(&big->links, 0);
        set32(&entry(EXT2DAX_ROOT_INODE, "big")->inode, 0);
    }
    ck_assert_int_eq(check_for(NULL, EXT2DAX_CHECK_UNLINKED_OK), 1);
    ck_assert_int_eq(check(EXT2DAX_CHECK_LEAKS_OK), 0); /* a state while the file is being freed */
    ck_assert_int_eq(check(EXT2DAX_CHECK_LEAKS_OK | EXT2DAX_CHECK_UNLINKED_OK), 0);

    /* A state during unlink. The dirent still names an inode without links. */
    memcpy(image, copy, image_size);
    set16(&file("empty")->links, 0);
    ck_assert_int_gt(check_for(NULL, 0), 0);
    ck_assert_int_eq(check(EXT2DAX_CHECK_LEAKS_OK), 0);
    free(copy);
    outside_close(&made);
}
END_TEST

START_TEST(block_size_and_owner_agree_with_debugfs)
{
    static const char *const paths[] = {"big", "sparse", "small", "many", "dir", "slow"};
    static const uint64_t places[] = {0,   1,    11,    12,    13,    267,     268,    269,
                                      299, 1000, 65803, 65804, 65805, 2441406, 2929686};
    struct outside_image made = whole();
    uint32_t *owners = malloc(get32(super()->blocks_count) * sizeof(*owners));
    unsigned p, i, present = 0, free_blocks = 0;
    uint32_t block;

    ck_assert_ptr_nonnull(owners);
    ck_assert_int_eq(ext2dax_check_image(image, image_size, 0, NULL, NULL, owners), 0);
    for (p = 0; p < sizeof(paths) / sizeof(paths[0]); p++)
        for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            uint32_t number = number_of(paths[p]);

            block = ext2dax_check_block(image, image_size, number, places[i]);
            ck_assert_msg(outside_run("test \"$(debugfs -R 'bmap /%s %llu' %s 2>/dev/null)\" = %u", paths[p],
                                      (unsigned long long)places[i], made.path, block) == 0,
                          "%s: block %llu is not %u", paths[p], (unsigned long long)places[i], block);
            if (block == 0)
                continue;
            present++;
            ck_assert_uint_eq(owners[block], number);
        }
    ck_assert_uint_ge(present, 12);
    ck_assert_uint_eq(ext2dax_check_size(image, image_size, number_of("sparse")), 3000000000);
    ck_assert_uint_eq(ext2dax_check_size(image, image_size, number_of("small")), 6);
    ck_assert_uint_eq(ext2dax_check_size(image, image_size, 0), 0);
    ck_assert_uint_eq(ext2dax_check_size(image, image_size, UINT32_MAX), 0);
    ck_assert_uint_eq(ext2dax_check_block(image, image_size, number_of("sparse"), UINT64_MAX), 0);
    ck_assert_uint_eq(ext2dax_check_block(image, image_size, number_of("sparse"), 12 + 256 + 65536 + 16777216), 0);
    for (block = 0; block < get32(super()->blocks_count); block++)
        free_blocks += owners[block] == EXT2DAX_OWNER_FREE;
    ck_assert_uint_eq(free_blocks, get32(super()->free_blocks));
    for (block = 0; block < 4; block++)
        ck_assert_uint_eq(owners[block], EXT2DAX_OWNER_METADATA);
    block = take_block();
    ck_assert_int_eq(ext2dax_check_image(image, image_size, 0, NULL, NULL, owners), 1);
    ck_assert_uint_eq(owners[block], EXT2DAX_OWNER_LEAKED);
    free(owners);
    outside_close(&made);
}
END_TEST

START_TEST(what_is_no_image_is_refused)
{
    struct outside_image made = whole();

    ck_assert_int_eq(ext2dax_check_image(image, 0, 0, NULL, NULL, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_check_image(image, 2047, 0, NULL, NULL, NULL), -EXT2DAX_EINVAL);
    ck_assert_int_eq(ext2dax_check_image(image, image_size - 1024, 0, NULL, NULL, NULL), 1);
    set32(&super()->incompat, 0x40 | EXT2DAX_INCOMPAT_FILETYPE);
    ck_assert_int_eq(check(0), -EXT2DAX_EOPNOTSUPP);
    set16(&super()->magic, 0);
    ck_assert_int_eq(check(0), -EXT2DAX_EINVAL);
    outside_close(&made);
}
END_TEST

/* Shows each inode visited exactly once when the last inode number is UINT32_MAX. */
START_TEST(the_last_inode_is_the_last)
{
    struct e2dt_check a = {.inodes = UINT32_MAX};
    uint32_t number = UINT32_MAX - 2;

    ck_assert(e2dt_check_next_inode(&a, &number) && number == UINT32_MAX - 1);
    ck_assert(e2dt_check_next_inode(&a, &number) && number == UINT32_MAX);
    ck_assert(!e2dt_check_next_inode(&a, &number));
    number = 0;
    a.inodes = 1;
    ck_assert(e2dt_check_next_inode(&a, &number) && number == 1);
    ck_assert(!e2dt_check_next_inode(&a, &number));
}
END_TEST

START_TEST(a_finding_is_one_line)
{
    struct ext2dax_finding finding = {"block owned twice", 12, 345, 11, 12};
    char line[128], small[8];
    int length = ext2dax_finding_text(&finding, line, sizeof(line));

    ck_assert_str_eq(line, "inode 12: block owned twice (at 345, expected 11, found 12)");
    ck_assert_int_eq(length, (int)strlen(line));
    ck_assert_int_eq(ext2dax_finding_text(&finding, small, sizeof(small)), length);
    ck_assert_str_eq(small, "inode 1");
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/*
 * Shows the checker on random damage. An inaccessible page precedes the image, and another follows
 * it.
 */
START_TEST(hostile_bytes_neither_crash_nor_hang_it)
{
    static const uint32_t tempting[] = {0, 1, 2, 11, 12, 0x7F, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct outside_image made = make(_i == 0 ? "-b 1024 -I 128 -N 64" : "-b 4096 -N 64", 1, true);
    uint8_t *guarded, *pristine = malloc(image_size);
    uint32_t state = 88172645, round, changes, *owners = malloc(image_size / 1024 * sizeof(*owners));
    int rounds = getenv("CK_FORK") || emulated() ? 500 : 20000; /* few under Valgrind */
    unsigned refused = 0, wrong = 0;

    ck_assert_int_eq(outside_run("debugfs -w -f - %s >/dev/null 2>&1 <<EOF\nmkdir a\nmkdir a/b\nwrite %s/big a/b/f\n"
                                 "symlink s t\nwrite %s/small x\nEOF",
                                 made.path, tree, tree),
                     0);
    ck_assert_int_eq(check(0), 0);
    memcpy(pristine, image, image_size);
    guarded = mmap(NULL, image_size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(guarded, MAP_FAILED);
    guarded += page;
    ck_assert_int_eq(mprotect(guarded, image_size, PROT_READ | PROT_WRITE), 0);

    for (round = 0; round < (uint32_t)rounds; round++) {
        int result;

        memcpy(guarded, pristine, image_size);
        for (changes = 1 + next_random(&state) % 6; changes > 0; changes--) {
            /*
             * The first 64 KiB hold superblock, descriptors, bitmaps, inode tables and the first
             * directories.
             */
            size_t reach = next_random(&state) % 4 == 0 ? image_size : next_random(&state) % 3 == 0 ? 4096 : 65536;
            size_t at = (reach == 4096 ? 1024 : 0) + (next_random(&state) % reach & ~(size_t)3);
            uint32_t value = next_random(&state) % 2 ? tempting[next_random(&state) % 11] : next_random(&state) % 1024;

            if (at + 4 <= image_size)
                memcpy(guarded + at, &value, next_random(&state) % 2 ? 4 : 2);
        }
        result = ext2dax_check_image(guarded, image_size, round & 7, NULL, NULL, round & 1 ? owners : NULL);
        refused += result < 0;
        wrong += result > 0;
        (void)ext2dax_check_block(guarded, image_size, 2 + next_random(&state) % 64, next_random(&state) % 70000);
    }
    ck_assert_uint_gt(wrong, (unsigned)rounds / 4);
    ck_assert_uint_lt(refused, (unsigned)rounds / 4);
    (void)munmap(guarded - page, image_size + 2 * page);
    free(pristine);
    free(owners);
    outside_close(&made);
}
END_TEST

static int make_tree(void)
{
    return mkdtemp(tree) == NULL
               ? -1
               : outside_run("cd %s && mkdir -p dir/sub many && echo small >small && : >empty && "
                             "head -c 300000 /dev/zero | tr '\\0' b >big && echo leaf >dir/sub/leaf && "
                             "ln small hard && mv hard dir/hard && echo h >hard && ln hard dir/hard2 && "
                             "ln -s target fast && ln -s $(head -c 100 /dev/zero | tr '\\0' t) slow && "
                             "ln -s $(head -c 59 /dev/zero | tr '\\0' e) edge && mkfifo fifo && "
                             "for i in $(seq 120); do : >many/some_longer_name_$i; done && "
                             "for i in $(seq 200); do ln hard many/link_$i; done && truncate -s 3000000000 sparse && "
                             "echo x | dd of=sparse bs=1 seek=2500000000 conv=notrunc 2>/dev/null",
                             tree);
}

int main(void)
{
    Suite *suite = suite_create("checker");
    TCase *tests = add_case(suite, "checker", 120);
    int status;

    if (!outside_has("mke2fs") || !outside_has("e2fsck") || !outside_has("debugfs"))
        return skip("e2fsprogs is not installed, which makes and checks the images");
    if (make_tree() != 0) {
        puts("no tree of files to fill images with");
        return 2;
    }
    tcase_add_loop_test(tests, what_mke2fs_makes_has_no_findings, 0, KINDS);
    tcase_add_test(tests, deleted_files_and_indexed_directories_have_no_findings);
    tcase_add_test(tests, a_shared_xattr_block_is_owned_once);
    tcase_add_loop_test(tests, what_is_broken_is_named, 0, breakages_count);
    tcase_add_test(tests, the_flags_allow_what_they_say_and_no_more);
    tcase_add_test(tests, block_size_and_owner_agree_with_debugfs);
    tcase_add_test(tests, what_is_no_image_is_refused);
    tcase_add_test(tests, the_last_inode_is_the_last);
    tcase_add_test(tests, a_finding_is_one_line);
    tcase_add_loop_test(tests, hostile_bytes_neither_crash_nor_hang_it, 0, 2);
    status = run_suite(suite);
    (void)outside_run("rm -rf %s", tree);
    return status;
}
