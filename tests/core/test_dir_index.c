/* SPDX-License-Identifier: MIT */
/*
 * Tests of hash-tree indexes made by Linux and by e2fsck, with every hash. Without name tables, the
 * count of blocks searched one by one stays 0 exactly while the index answers. Names added and
 * removed keep the index valid for e2fsck and for Linux. A damaged index gives right answers by a
 * walk. Names with equal hashes lie in two leaves.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"

#include "names/dir_hash.h"

#include "../emulated.h"

#define OTHERS 1500u /* names without a partner of equal hash */
#define PAIRS  12u   /* pairs of names with equal hashes */
#define NAMES  (OTHERS + 2 * PAIRS)
#define TRIES  280000u /* names among which pairs are searched */
#define PREFIX 120     /* bytes of a name before the number */

static struct fixture f;
static char names[NAMES][160];

static const char *const hashes[] = {"legacy", "half_md4", "tea"};
enum maker { MADE_BY_E2FSCK, MADE_BY_LINUX, MAKERS };
#define KINDS (3 * 2 * MAKERS)

static void close_fixture(void)
{
    (void)ext2dax_mutant_activate("none");
    (void)run(&f, "umount %s.d", f.path);
    fixture_close(&f);
}

/* ---- names ---- */

/* Half of the names has bytes above 127. Lengths differ. */
static void number_name(char *name, unsigned number)
{
    int length = PREFIX - (int)(number % 5);

    memset(name, number % 2 ? 'a' : 0xE4, (size_t)length);
    snprintf(name + length, 20, "%07u", number);
}

struct hashed {
    uint32_t hash, number;
};

static int by_hash(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;

    return x->hash != y->hash ? (x->hash > y->hash ? 1 : -1) : (x->number > y->number) - (x->number < y->number);
}

/* Finds pairs of equal hashes among many names, by the hash of the library. */
static void choose_names(unsigned version)
{
    struct hashed *all = malloc(TRIES * sizeof(*all));
    unsigned i, pairs = 0, others = 0;
    char name[160];

    ck_assert_ptr_nonnull(all);
    for (i = 0; i < TRIES; i++) {
        number_name(name, i);
        all[i] = (struct hashed){e2d_dir_hash(f.mount, version, name, strlen(name)), i};
    }
    qsort(all, TRIES, sizeof(*all), by_hash);
    for (i = 0; i + 1 < TRIES && pairs < PAIRS; i++) {
        if (all[i].hash == all[i + 1].hash) {
            number_name(names[2 * pairs], all[i].number);
            number_name(names[2 * pairs++ + 1], all[i + 1].number);
            i++;
        }
    }
    ck_assert_uint_eq(pairs, PAIRS);
    free(all);
    for (i = TRIES; others < OTHERS; i++)
        number_name(names[2 * PAIRS + others++], i);
}

/* ---- making ---- */

static bool can_loop(void)
{
    static int can = -1;
    struct fixture tried;

    if (can < 0) {
        fixture_open(&tried, 256, "-b 1024");
        can = run(&tried, "mkdir %s.d && mount -t ext2 -o loop %s %s.d && umount %s.d", tried.path, tried.path,
                  tried.path, tried.path) == 0;
        fixture_close(&tried);
        if (!can)
            puts("no loop mounts for this user on this system: only indexes of e2fsck are tried");
    }
    return can;
}

static void linux_mount(void)
{
    ck_assert_int_eq(run(&f, "mkdir -p %s.d && mount -t ext2 -o loop %s %s.d", f.path, f.path, f.path), 0);
}

static void linux_unmount(void)
{
    ck_assert_int_eq(run(&f, "umount %s.d && sync %s", f.path, f.path), 0);
}

static void make_by_linux(void)
{
    char path[400];
    unsigned i;

    linux_mount();
    ck_assert_int_eq(run(&f, "mkdir %s.d/d", f.path), 0);
    for (i = 0; i < NAMES; i++) {
        int fd;

        snprintf(path, sizeof(path), "%.90s.d/d/%.159s", f.path, names[i]);
        fd = open(path, O_CREAT | O_WRONLY, 0644);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    linux_unmount();
}

static void make_by_library(void)
{
    struct ext2dax_inode *directory;
    unsigned i;

    fixture_mount(&f);
    directory = find(&f, "/lost+found");
    for (i = 0; i < NAMES; i++)
        create(directory, names[i]);
    ext2dax_inode_put(directory);
    fixture_unmount(&f);
    ck_assert_int_le(run(&f, "PATH=$PATH:/usr/sbin:/sbin; e2fsck -fyD %s", f.path), 1);
}

static const char *directory_path(enum maker maker)
{
    return maker == MADE_BY_LINUX ? "/d" : "/lost+found";
}

/* Makes the directory. Returns false where Linux cannot. */
static bool make(unsigned kind)
{
    enum maker maker = (enum maker)(kind / 6);
    unsigned version = kind % 3, flags = kind / 3 % 2 ? 2 : 1;

    if (maker == MADE_BY_LINUX && !can_loop())
        return false;
    fixture_open(&f, 16384, "-b 1024 -N 4096 -O dir_index -E hash_seed=7f5a3c12-88b1-4d0e-9c55-1234567890ab");
    ck_assert_int_eq(run(&f, "PATH=$PATH:/usr/sbin:/sbin; tune2fs -E hash_alg=%s %s && debugfs -w -R 'ssv flags %u' %s",
                         hashes[version], f.path, flags, f.path),
                     0);
    f.name_table_bytes = 0;
    fixture_mount(&f);
    choose_names(version);
    fixture_unmount(&f);
    if (maker == MADE_BY_LINUX)
        make_by_linux();
    else
        make_by_library();
    f.name_table_bytes = (size_t)-1;
    fixture_mount(&f);
    return true;
}

static bool has_index(const struct ext2dax_inode *directory)
{
    return (raw32(directory->disk->flags) & EXT2DAX_FL_INDEX) != 0;
}

/* ---- lookups ---- */

static void absent_name(char *name, unsigned i)
{
    number_name(name, i);
    name[0] = 'x';
}

START_TEST(test_lookups)
{
    struct ext2dax_inode *directory;
    char name[160];
    unsigned i;

    if (!make((unsigned)_i)) {
        fixture_open(&f, 256, "-b 1024");
        return;
    }
    check_clean(&f);
    directory = find(&f, directory_path((enum maker)(_i / 6)));
    ck_assert(has_index(directory));
    for (i = 0; i < NAMES; i++)
        ck_assert_msg(exists(directory, names[i]), "name %u is not found", i);
    for (i = 0; i < NAMES; i++) {
        absent_name(name, i);
        ck_assert(!exists(directory, name));
    }
    ck_assert_uint_eq(directory->scanned, 0);
    ck_assert(exists(directory, "."));
    ck_assert(exists(directory, ".."));
    ck_assert_int_eq(try_create(directory, ".."), -EXT2DAX_EEXIST);
    ck_assert_uint_eq(f.reports, 0);
    ext2dax_inode_put(directory);
}
END_TEST

/* ---- changes ---- */

/* Linux finds every name which shall exist, and no other. */
static void linux_agrees(const char *path, const bool *there)
{
    char at[400];
    unsigned i, count = 0;
    struct stat figures;

    if (!can_loop())
        return;
    linux_mount();
    for (i = 0; i < NAMES; i++) {
        snprintf(at, sizeof(at), "%.90s.d%.20s/%.159s", f.path, path, names[i]);
        ck_assert_int_eq(stat(at, &figures) == 0, there[i]);
        count += there[i];
    }
    ck_assert_int_eq(run(&f, "test $(ls %s.d%s | wc -l) = %u", f.path, path, count), 0);
    linux_unmount();
}

/* Removes and adds names while the index stands, then until a full leaf drops the index. */
START_TEST(test_changes)
{
    const char *path = directory_path((enum maker)(_i / 6));
    struct ext2dax_inode *directory;
    static bool there[NAMES];
    unsigned i, added = 0;
    uint32_t state = 3;
    char name[160];

    if (!make((unsigned)_i)) {
        fixture_open(&f, 256, "-b 1024");
        return;
    }
    directory = find(&f, path);
    memset(there, 1, sizeof(there));
    for (i = 0; i < NAMES; i += 3) {
        ck_assert_int_eq(try_unlink(directory, names[i]), 0);
        there[i] = false;
    }
    ck_assert(has_index(directory));
    ck_assert_uint_eq(directory->scanned, 0);
    check_clean(&f);
    for (i = 0; i < 2000; i++) {
        unsigned at = noise(&state) % NAMES;

        if (there[at])
            ck_assert_int_eq(try_create(directory, names[at]), -EXT2DAX_EEXIST);
        else
            create(directory, names[at]);
        there[at] = true;
        if (!has_index(directory))
            break;
        added++;
    }
    ck_assert_uint_gt(added, 10);
    if (has_index(directory))
        ck_assert_uint_eq(directory->scanned, 0);
    check_clean(&f);
    ext2dax_inode_put(directory);
    fixture_unmount(&f);
    linux_agrees(path, there);
    fixture_mount(&f);
    directory = find(&f, path);
    for (i = 0; has_index(directory); i++) {
        absent_name(name, i);
        create(directory, name);
        ck_assert(exists(directory, name));
    }
    for (i = 0; i < NAMES; i++)
        ck_assert_int_eq(exists(directory, names[i]), there[i]);
    check_clean(&f);
    ext2dax_inode_put(directory);
}
END_TEST

/* ---- damage ---- */

/* Returns the index blocks of the directory, by their place in the image. */
static unsigned index_blocks(uint32_t number, unsigned char **blocks, unsigned most)
{
    uint64_t size = ext2dax_check_size(f.base, f.size, number), at;
    unsigned count = 0;

    for (at = 0; at < size / 1024 && count < most; at++) {
        unsigned char *block = f.base + (size_t)ext2dax_check_block(f.base, f.size, number, at) * 1024;

        if (at == 0 || (block[0] == 0 && block[4] == 0 && block[5] == 4 && block[8] == 127))
            blocks[count++] = block;
    }
    return count;
}

/* Returns the number of wrong answers with random bytes of the index changed. */
static unsigned damaged(unsigned rounds)
{
    struct ext2dax_inode *directory = find(&f, "/lost+found");
    unsigned char *blocks[16], kept[1024];
    unsigned count = index_blocks(directory->number, blocks, 16), round, i, wrong = 0;
    uint32_t state = 77, random;
    char name[160];

    ck_assert_uint_ge(count, 3);
    for (round = 0; round < rounds; round++) {
        unsigned char *block = blocks[noise(&state) % count];
        unsigned table = block == blocks[0] ? 24 : 8, flips = 1 + noise(&state) % 3;
        unsigned start = block == blocks[0] ? 32 : 8, used = start + 8 * block[start + 2];

        memcpy(kept, block, 1024);
        for (i = 0; i < flips; i++) {
            random = noise(&state);
            block[table + random % (used - table)] ^= (unsigned char)(1u << random / 4096 % 8);
        }
        for (i = 0; i < 60; i++) {
            unsigned at = noise(&state) % NAMES;
            struct ext2dax_inode *inode;
            int error = ext2dax_lookup(directory, names[at], strlen(names[at]), &inode);

            if (error == 0)
                ext2dax_inode_put(inode);
            wrong += error != 0;
            absent_name(name, at);
            wrong += ext2dax_lookup(directory, name, strlen(name), &inode) != -EXT2DAX_ENOENT;
        }
        memcpy(block, kept, 1024);
    }
    ext2dax_inode_put(directory);
    return wrong;
}

START_TEST(test_damage)
{
    ck_assert(make(1));
    ck_assert_uint_eq(damaged(slowed() ? 300 / 10 : 300), 0);
    ck_assert_uint_eq(f.reports, 0);
}
END_TEST

/* Names are added to a damaged index. The names that are there stay, and no name exists twice. */
START_TEST(test_damage_and_changes)
{
    struct ext2dax_inode *directory;
    unsigned char *blocks[16];
    unsigned count, round, i;
    uint32_t state = 5;
    unsigned char *image;
    char name[160];

    ck_assert(make(2));
    image = malloc(f.size);
    ck_assert_ptr_nonnull(image);
    memcpy(image, f.base, f.size);
    for (round = 0; round < (slowed() ? 6 : 60); round++) {
        directory = find(&f, "/lost+found");
        count = index_blocks(directory->number, blocks, 16);
        blocks[round % count][24 + noise(&state) % 600] ^= (unsigned char)(1 + noise(&state) % 255);
        for (i = 0; i < 20; i++) {
            absent_name(name, i);
            create(directory, name);
            ck_assert_int_eq(try_create(directory, name), -EXT2DAX_EEXIST);
            ck_assert_int_eq(try_create(directory, names[i]), -EXT2DAX_EEXIST);
        }
        ck_assert_uint_eq(count_entries(directory), NAMES + 20);
        ext2dax_inode_put(directory);
        fixture_unmount(&f);
        memcpy(f.base, image, f.size);
        /* The copy was taken while mounted. */
        ck_assert_int_le(run(&f, "PATH=$PATH:/usr/sbin:/sbin; e2fsck -fp %s", f.path), 1);
        fixture_mount(&f);
    }
    free(image);
}
END_TEST

/* ---- mutants ---- */

/* Adds names to full and other leaves. Returns whether e2fsck complains. */
static bool fsck_complains(void)
{
    struct ext2dax_inode *directory = find(&f, "/lost+found");
    bool complains = false;
    static unsigned next;
    char name[160];
    unsigned i;

    for (i = 0; i < 40 && !complains; i++) {
        absent_name(name, next++);
        create(directory, name);
        complains = i % 4 == 3 && run(&f, "PATH=$PATH:/usr/sbin:/sbin; e2fsck -fn %s", f.path) != 0;
    }
    ext2dax_inode_put(directory);
    return complains;
}

static bool answers_are_wrong(void)
{
    return damaged(slowed() ? 300 / 10 : 300) != 0;
}

/* A name in the continuation of a leaf is found by a walk only. */
static bool walks(void)
{
    struct ext2dax_inode *directory = find(&f, "/lost+found");
    unsigned i, missing = 0;

    for (i = 0; i < NAMES; i++)
        missing += !exists(directory, names[i]);
    missing += directory->scanned;
    ext2dax_inode_put(directory);
    return missing != 0;
}

static const struct {
    const char *name;
    bool (*caught)(void);
} broken[] = {
    {"INDEX_KEPT", fsck_complains},
    {"INDEX_MISS_BELIEVED", answers_are_wrong},
    {"INDEX_ENDS_EARLY", walks},
};

START_TEST(test_mutants)
{
    ck_assert(make(1));
    ck_assert(!broken[_i].caught());
    ck_assert_int_eq(ext2dax_mutant_activate(broken[_i].name), 0);
    fixture_unmount(&f);
    ck_assert_int_le(run(&f, "PATH=$PATH:/usr/sbin:/sbin; e2fsck -fyD %s", f.path), 1);
    fixture_mount(&f);
    ck_assert_msg(broken[_i].caught(), "%s is not caught", broken[_i].name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory indexes");
    TCase *kinds = add_case(suite, "kinds", 120), *damage = add_case(suite, "damage", 120);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(kinds, NULL, close_fixture);
    tcase_add_loop_test(kinds, test_lookups, 0, slowed() ? 2 : KINDS);
    tcase_add_loop_test(kinds, test_changes, 0, slowed() ? 2 : KINDS);
    tcase_add_checked_fixture(damage, NULL, close_fixture);
    tcase_add_test(damage, test_damage);
    tcase_add_test(damage, test_damage_and_changes);
    tcase_add_loop_test(damage, test_mutants, 0, sizeof(broken) / sizeof(broken[0]));
    return run_suite(suite);
}
