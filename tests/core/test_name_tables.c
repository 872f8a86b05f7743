/* SPDX-License-Identifier: MIT */
/*
 * Tests of name tables. A directory with tables, without tables and with too few bytes for a table
 * must answer alike and become the same image. Tables are built, evicted and dropped at any
 * allocation without memory. A mutant of each protection gives a wrong answer, another image, or
 * memory never released.
 */
#include "../runner.h"
#include "names_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"

#include "names/name_cache.h"

#include "../emulated.h"

#define NO_TABLES ((size_t)-1)
#define NAMES     400u

static struct fixture f;

static void close_fixture(void)
{
    (void)ext2dax_mutant_activate("none");
    fixture_close(&f);
}

/* Lengths are spread, so gaps of every size arise. */
static void name_of(char *name, unsigned i)
{
    int length = snprintf(name, 256, "%u-", i);
    unsigned more = i * 37 % 90;

    memset(name + length, 'a' + (int)(i % 26), more);
    name[length + (int)more] = '\0';
}

static bool has_table(const struct ext2dax_inode *directory)
{
    return directory->names != 0;
}

/* Reads the whole directory until the next search builds a table. */
static void ask_for_table(struct ext2dax_inode *directory)
{
    unsigned i;

    for (i = 0; i < 4 && !has_table(directory); i++)
        ck_assert(!exists(directory, "no such name"));
}

/* ---- the model ---- */

struct model {
    struct fixture f;
    struct ext2dax_inode *directory;
    bool there[NAMES];
    unsigned wrong;
};

/* Adds or removes a name, and looks up another. Counts wrong answers. */
static void one_turn(struct model *model, uint32_t random)
{
    unsigned i = random % NAMES, other = (random >> 12) % NAMES;
    struct ext2dax_inode *inode;
    char name[256];
    int error;

    name_of(name, i);
    if ((random >> 28) < 3) {
        error = try_create(model->directory, name);
        model->wrong += error != (model->there[i] ? -EXT2DAX_EEXIST : 0);
        model->there[i] = true;
    } else if ((random >> 28) < 6) {
        error = try_unlink(model->directory, name);
        model->wrong += error != (model->there[i] ? 0 : -EXT2DAX_ENOENT);
        model->there[i] = false;
    } else {
        error = model->there[i] ? try_unlink(model->directory, name) : try_create(model->directory, name);
        model->wrong += error != 0;
        model->there[i] = !model->there[i];
    }
    name_of(name, other);
    error = ext2dax_lookup(model->directory, name, strlen(name), &inode);
    model->wrong += error != (model->there[other] ? 0 : -EXT2DAX_ENOENT);
    if (error == 0)
        ext2dax_inode_put(inode);
}

static void open_model(struct model *model, const struct fixture *original, size_t bytes)
{
    memset(model, 0, sizeof(*model));
    fixture_open_copy(&model->f, original);
    model->f.name_table_bytes = bytes;
    fixture_mount(&model->f);
    model->directory = find(&model->f, "/0");
}

static void close_model(struct model *model)
{
    if (model->directory)
        ext2dax_inode_put(model->directory);
    fixture_close(&model->f);
}

static const size_t budgets[] = {NO_TABLES, 0, 1, 700, 2000, 3000, 8000};

/* Plays the same turns with every budget. Returns the number of wrong answers and images. */
static unsigned play_model(unsigned turns, unsigned block_size)
{
    static struct model models[sizeof(budgets) / sizeof(budgets[0])];
    unsigned count = sizeof(budgets) / sizeof(budgets[0]), i, turn, wrong = 0;
    uint32_t state = 12345;
    struct fixture tree;

    fixture_name(&tree);
    ck_assert_int_eq(run(&tree, "mkdir -p %s.d/0", tree.path), 0);
    fixture_open(&f, 8192, "-b %u -N 1024 -d %s.d", block_size, tree.path);
    for (i = 0; i < count; i++)
        open_model(&models[i], &f, budgets[i]);
    for (turn = 0; turn < turns; turn++) {
        uint32_t random = noise(&state);

        for (i = 0; i < count; i++)
            one_turn(&models[i], random);
    }
    for (i = 0; i < count; i++) {
        wrong += models[i].wrong;
        wrong += memcmp(models[i].f.base, models[0].f.base, f.size) != 0;
        if (turns > 1000 && block_size == 1024)
            ck_assert_int_eq(has_table(models[i].directory), budgets[i] == 0 || budgets[i] == 8000);
        if (budgets[i] != NO_TABLES && budgets[i] != 0)
            ck_assert_uint_le(models[i].f.mount->name_bytes, budgets[i]);
    }
    if (wrong == 0)
        check_clean(&models[1].f);
    for (i = 0; i < count; i++)
        close_model(&models[i]);
    fixture_close(&tree);
    return wrong;
}

START_TEST(test_model)
{
    ck_assert_uint_eq(play_model(slowed() ? 800 : 6000, _i == 0 ? 1024 : 4096), 0);
}
END_TEST

/* ---- building and dropping ---- */

START_TEST(test_life)
{
    struct ext2dax_inode *directory, *again;
    long before;
    unsigned i;
    char name[256];

    fixture_open(&f, 8192, "-b 1024 -N 1024");
    fixture_mount(&f);
    before = f.allocated;
    directory = find(&f, "/lost+found");
    ck_assert(!exists(directory, "a"));
    ck_assert(!has_table(directory));
    ask_for_table(directory);
    ck_assert(has_table(directory));
    for (i = 0; i < NAMES; i++) {
        name_of(name, i);
        create(directory, name);
        ck_assert(has_table(directory));
        ck_assert(exists(directory, name));
    }
    ck_assert_uint_eq(count_entries(directory), NAMES);
    ck_assert_int_eq(try_create(directory, name), -EXT2DAX_EEXIST);
    ck_assert_int_eq(try_create(directory, "."), -EXT2DAX_EEXIST);
    ck_assert_int_eq(ext2dax_lookup(directory, "..", 2, &again), 0);
    ext2dax_inode_put(again);

    /* The table lives as long as the directory in core. */
    again = find(&f, "/lost+found");
    ext2dax_inode_put(directory);
    ck_assert(has_table(again));
    ext2dax_inode_put(again);
    ck_assert_int_eq(f.allocated, before);
    directory = find(&f, "/lost+found");
    ck_assert(!has_table(directory));
    ask_for_table(directory);
    for (i = 0; i < NAMES; i++) {
        name_of(name, i);
        ck_assert_int_eq(try_unlink(directory, name), 0);
    }
    ck_assert(has_table(directory));
    ck_assert_uint_eq(count_entries(directory), 0);
    ext2dax_inode_put(directory);
    ck_assert_int_eq(f.allocated, before);
    check_clean(&f);

    /* A directory of few blocks has none. */
    directory = find(&f, "/");
    for (i = 0; i < 20; i++)
        ck_assert(!exists(directory, "a"));
    ck_assert(!has_table(directory));
    ext2dax_inode_put(directory);
}
END_TEST

/* The only table of a mount without memory for two goes to the directory used last. */
START_TEST(test_eviction)
{
    struct ext2dax_inode *directories[4];
    struct fixture tree;
    unsigned i, with = 0, round;
    long allowed;
    char name[256];

    fixture_name(&tree);
    ck_assert_int_eq(run(&tree, "mkdir -p %s.d/0 %s.d/1 %s.d/2 %s.d/3", tree.path, tree.path, tree.path, tree.path), 0);
    fixture_open(&f, 8192, "-b 1024 -N 1024 -d %s.d", tree.path);
    f.name_table_bytes = 5000;
    fixture_mount(&f);
    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "/%u", i);
        directories[i] = find(&f, name);
        for (round = 0; round < 100; round++) {
            name_of(name, round);
            create(directories[i], name);
        }
    }
    allowed = f.allocated + (long)f.name_table_bytes - (long)f.mount->name_bytes;
    for (round = 0; round < 10; round++) {
        for (i = 0; i < 4; i++) {
            struct ext2dax_inode *directory = directories[i];
            unsigned turn;

            for (turn = 0; turn < 100 && !has_table(directory); turn++)
                ck_assert(!exists(directory, "no such name"));
            ck_assert(has_table(directory));
            ck_assert_int_le(f.allocated, allowed);
            name_of(name, round);
            ck_assert(exists(directory, name));
        }
    }
    for (i = 0; i < 4; i++) {
        with += has_table(directories[i]);
        ck_assert_uint_eq(count_entries(directories[i]), 100);
        ext2dax_inode_put(directories[i]);
    }
    ck_assert_uint_ge(with, 1);
    ck_assert_uint_lt(with, 4);
    check_clean(&f);
    fixture_close(&tree);
}
END_TEST

/* ---- no memory ---- */

/* Adds and looks up names while allocation `n` fails. Returns the number of wrong answers. */
static unsigned play_no_memory(struct ext2dax_inode *directory, long n, bool *failed)
{
    unsigned i, wrong = 0;
    char name[256];

    f.allocs_left = n;
    for (i = 0; i < 120; i++) {
        int error;

        name_of(name, i);
        error = try_create(directory, name);
        if (error == -EXT2DAX_ENOMEM)
            error = try_create(directory, name);
        wrong += error != 0;
        wrong += try_create(directory, name) != -EXT2DAX_EEXIST;
    }
    *failed = f.allocs_left < 0;
    f.allocs_left = -1;
    for (i = 0; i < 120; i++) {
        struct ext2dax_inode *inode;

        name_of(name, i);
        if (ext2dax_lookup(directory, name, strlen(name), &inode) != 0)
            wrong++;
        else
            ext2dax_inode_put(inode);
    }
    wrong += count_entries(directory) != 120;
    for (i = 0; i < 120; i++) {
        name_of(name, i);
        wrong += try_unlink(directory, name) != 0;
    }
    wrong += count_entries(directory) != 0;
    return wrong;
}

START_TEST(test_no_memory)
{
    struct ext2dax_inode *directory;
    bool failed = true;
    long n;

    fixture_open(&f, 4096, "-b 1024 -N 256");
    fixture_mount(&f);
    for (n = 0; failed; n++) {
        directory = find(&f, "/lost+found");
        ck_assert_uint_eq(play_no_memory(directory, n, &failed), 0);
        ext2dax_inode_put(directory);
    }
    ck_assert_int_gt(n, 120);
    check_clean(&f);
}
END_TEST

/* ---- failed fences ---- */

/* Fails fence `n` of a create in a new block. Returns whether lookup and listing disagree. */
static bool disagrees_after_failure(long n)
{
    struct ext2dax_inode *directory, *inode;
    unsigned made = 0, listed;
    char name[256];
    bool found;
    int error;

    fixture_open(&f, 4096, "-b 1024 -N 256");
    fixture_mount(&f);
    directory = find(&f, "/lost+found");
    ask_for_table(directory);
    ck_assert(has_table(directory));
    for (;; made++) {
        uint32_t gap = ((struct e2d_name_table *)directory->names)->gap[1];

        snprintf(name, sizeof(name), "%0200u", made);
        if (gap * E2D_NAMES_GAP_UNIT < 208)
            break;
        create(directory, name);
    }
    f.fences_left = n;
    error = try_create(directory, name);
    f.fences_left = -1;
    ck_assert(error == 0 || error == -EXT2DAX_EIO);
    found = ext2dax_lookup(directory, name, strlen(name), &inode) == 0;
    if (found)
        ext2dax_inode_put(inode);
    listed = count_entries(directory);
    ext2dax_inode_put(directory);
    ck_assert_int_eq(ext2dax_unmount(f.mount), error);
    f.mount = NULL;
    ext2dax_lock_order_close(f.order);
    return listed != made + (error == 0 || found) || found != (error == 0);
}

START_TEST(test_failed_fence)
{
    long n;

    for (n = 0; n < 8; n++) {
        ck_assert(!disagrees_after_failure(n));
        fixture_close(&f);
        memset(&f, 0, sizeof(f));
        f.fd = -1;
    }
    fixture_open(&f, 1024, "-b 1024");
}
END_TEST

/* ---- mutants ---- */

static bool model_fails(void)
{
    return play_model(900, 1024) != 0;
}

static bool fences_fail(void)
{
    bool any = false;
    long n;

    for (n = 0; n < 8 && !any; n++) {
        any = disagrees_after_failure(n);
        if (!any)
            fixture_close(&f);
    }
    return any;
}

/* Releases the table left behind, after the comparison. */
static bool leaks(void)
{
    struct ext2dax_inode *directory;
    struct e2d_name_table *table;
    bool leaked;
    long before;

    fixture_open(&f, 4096, "-b 1024 -N 256");
    fixture_mount(&f);
    before = f.allocated;
    directory = find(&f, "/lost+found");
    ask_for_table(directory);
    table = (struct e2d_name_table *)directory->names;
    ext2dax_inode_put(directory);
    leaked = f.allocated != before;
    if (leaked)
        e2d_names_close(f.mount, table);
    return leaked;
}

static int trim_in_use(void *arg, const struct ext2dax_entry *entry)
{
    struct ext2dax_inode *directory = arg;

    (void)entry;
    e2d_set_word(&f.mount->name_shortage, 1);
    e2d_names_trim(f.mount);
    return has_table(directory) ? 1 : 2;
}

/* Eviction during a listing, which holds io. Returns whether the table is gone. */
static bool is_taken_away(void)
{
    struct ext2dax_inode *directory;
    int kept;

    fixture_open(&f, 4096, "-b 1024 -N 256");
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_default(), 0), 0);
    directory = find(&f, "/lost+found");
    ask_for_table(directory);
    kept = ext2dax_readdir(directory, 0, trim_in_use, directory);
    ck_assert(kept == 1 || kept == 2);
    ext2dax_inode_put(directory);
    return kept == 2;
}

START_TEST(test_in_use)
{
    ck_assert(!is_taken_away());
}
END_TEST

static const struct {
    const char *name;
    bool (*caught)(void);
} broken[] = {
    {"NAME_NOT_ADDED", model_fails},     {"NAME_NOT_ADDED_NEW_BLOCK", model_fails}, {"NAME_NOT_REMOVED", model_fails},
    {"NAMES_KEPT", fences_fail},         {"NAMES_KEPT_INCOMPLETE", model_fails},    {"NAMES_OUTLIVE", leaks},
    {"NAMES_TAKEN_AWAY", is_taken_away},
};

START_TEST(test_mutants)
{
    ck_assert_int_eq(ext2dax_mutant_activate(broken[_i].name), 0);
    ck_assert_msg(broken[_i].caught(), "%s is not caught", broken[_i].name);
}
END_TEST

/* ---- listing while names change ---- */

#define LISTED 300u

struct listing {
    uint64_t cookie;
    unsigned seen[LISTED];
    unsigned left; /* entries until the next pause */
};

static int see(void *arg, const struct ext2dax_entry *entry)
{
    struct listing *listing = arg;
    unsigned i;

    listing->cookie = entry->cookie;
    if (entry->name[0] == 'k' && sscanf(entry->name + 1, "%u", &i) == 1)
        listing->seen[i]++;
    return --listing->left == 0 ? 1 : 0;
}

/* Finds the names around a cookie. */
struct around {
    uint64_t cookie;
    char before[300], at[300];
};

static int look_around(void *arg, const struct ext2dax_entry *entry)
{
    struct around *around = arg;
    char *to = entry->cookie <= around->cookie ? around->before : around->at;

    memcpy(to, entry->name, entry->name_length);
    to[entry->name_length] = '\0';
    return to == around->at;
}

/*
 * Between two calls of a listing, names are added and removed, the entry at the cookie and its
 * predecessor in particular. Names starting with "k" stay throughout if the number is a multiple of
 * 3, and are seen exactly once.
 */
START_TEST(test_listing)
{
    struct listing listing;
    struct ext2dax_inode *directory;
    uint32_t state = 99;
    unsigned i, added = 0;
    char name[256];
    int more;

    fixture_open(&f, 8192, "-b 1024 -N 4096");
    f.name_table_bytes = _i & 1 ? NO_TABLES : 0;
    fixture_mount(&f);
    directory = find(&f, "/lost+found");
    for (i = 0; i < LISTED; i++) {
        snprintf(name, sizeof(name), "k%u-%0*u", i, 1 + (int)(i % 50), 0);
        create(directory, name);
    }
    memset(&listing, 0, sizeof(listing));
    do {
        struct around around = {.cookie = listing.cookie};

        listing.left = 1 + noise(&state) % 7;
        more = ext2dax_readdir(directory, listing.cookie, see, &listing);
        ck_assert_int_ge(more, 0);
        around.cookie = listing.cookie;
        (void)ext2dax_readdir(directory, 0, look_around, &around);
        for (i = 0; i < 2; i++) {
            const char *victim = i == 0 ? around.before : around.at;
            unsigned number;

            if (victim[0] == 'k' && sscanf(victim + 1, "%u", &number) == 1 && number % 3 != 0)
                ck_assert_int_eq(try_unlink(directory, victim), 0);
        }
        for (i = noise(&state) % 4; i > 0; i--) {
            snprintf(name, sizeof(name), "new%u-%0*u", added++, 1 + (int)(noise(&state) % 60), 0);
            create(directory, name);
        }
    } while (more != 0);
    for (i = 0; i < LISTED; i++) {
        ck_assert_uint_le(listing.seen[i], 1);
        if (i % 3 == 0)
            ck_assert_uint_eq(listing.seen[i], 1);
    }
    ext2dax_inode_put(directory);
    check_clean(&f);
}
END_TEST

/* ---- two threads ---- */

struct worker {
    struct ext2dax_inode *directory;
    unsigned id, turns, wrong;
    bool there[NAMES];
    uint32_t *stop; /* atomic, of the threads that look */
};

static void *change(void *arg)
{
    struct worker *w = arg;
    uint32_t state = 5 + w->id;
    char name[256];
    unsigned turn, i;

    for (turn = 0; turn < w->turns; turn++) {
        int error;

        i = noise(&state) % NAMES;
        name_of(name, i);
        error = w->there[i] ? try_unlink(w->directory, name) : try_create(w->directory, name);
        w->wrong += error != 0;
        w->there[i] = !w->there[i];
        w->wrong += exists(w->directory, name) != w->there[i];
    }
    return NULL;
}

static void *look(void *arg)
{
    struct worker *w = arg;
    struct ext2dax_inode *inode;

    while (__atomic_load_n(w->stop, __ATOMIC_ACQUIRE) == 0)
        w->wrong += ext2dax_lookup(w->directory, "no such name", 12, &inode) != -EXT2DAX_ENOENT;
    return NULL;
}

/* Two directories with bytes for a single table, or for both (odd _i). */
START_TEST(test_threads)
{
    struct worker changers[2], lookers[2];
    pthread_t threads[4];
    struct fixture tree;
    uint32_t stop = 0;
    unsigned i, n, expected;

    if (!ext2dax_locks_default().ops)
        return;
    fixture_name(&tree);
    ck_assert_int_eq(run(&tree, "mkdir -p %s.d/0 %s.d/1", tree.path, tree.path), 0);
    fixture_open(&f, 8192, "-b 1024 -N 2048 -d %s.d", tree.path);
    f.name_table_bytes = _i & 1 ? 0 : 6000;
    ck_assert_int_eq(fixture_try_mount(&f, ext2dax_locks_default(), 0), 0);
    for (i = 0; i < 2; i++) {
        memset(&changers[i], 0, sizeof(changers[i]));
        changers[i].directory = find(&f, i == 0 ? "/0" : "/1");
        changers[i].id = i;
        changers[i].turns = getenv("EXT2DAX_UNDER_VALGRIND") ? 300 : 3000;
        lookers[i] = changers[i];
        lookers[i].stop = &stop;
        ck_assert_int_eq(pthread_create(&threads[2 + i], NULL, look, &lookers[i]), 0);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, change, &changers[i]), 0);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    for (i = 0; i < 2; i++) {
        ck_assert_uint_eq(changers[i].wrong + lookers[i].wrong, 0);
        for (n = expected = 0; n < NAMES; n++)
            expected += changers[i].there[n];
        ck_assert_uint_eq(count_entries(changers[i].directory), expected);
        ext2dax_inode_put(changers[i].directory);
    }
    check_clean(&f);
    fixture_close(&tree);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("name tables");
    TCase *alone = add_case(suite, "alone", 60), *mutants = add_case(suite, "mutants", 60);

    if (!fixture_tools())
        return SKIPPED;
    tcase_add_checked_fixture(alone, NULL, close_fixture);
    tcase_add_loop_test(alone, test_model, 0, 2);
    tcase_add_test(alone, test_life);
    tcase_add_test(alone, test_eviction);
    tcase_add_test(alone, test_no_memory);
    tcase_add_test(alone, test_failed_fence);
    tcase_add_test(alone, test_in_use);
    tcase_add_loop_test(alone, test_listing, 0, 2);
    tcase_add_loop_test(alone, test_threads, 0, 2);
    tcase_add_checked_fixture(mutants, NULL, close_fixture);
    tcase_add_loop_test(mutants, test_mutants, 0, sizeof(broken) / sizeof(broken[0]));
    return run_suite(suite);
}
