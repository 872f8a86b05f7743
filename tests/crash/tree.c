/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/hosted/memory.h"
#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"
#include "../host_ops.h"
#include "crash_memory.h"
#include "tree_names.h"

#define BLOCK_SIZE 1024u
#define SIZE       (64 * BLOCK_SIZE)
#define INODES     32
#define TEN(x)     x x x x x x x x x x
#define LONG_NAME  TEN("long name,") TEN("long name,") /* more than the root's block has room for */
/* A multiple of 8 bytes, so the terminating zero lies in another word. */
#define LONG_LINK   TEN("0123456789") TEN("0123456789")
#define REDO_AT     (EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, redo))
#define FREE_MARKER 0xA5 /* content of free blocks */

static const char *const base_names[TREE_BASES] = {"tree-1k", "tree-untyped-1k"};

enum tree_kind { MAKE_DIRECTORY, MAKE_FILE, MAKE_NODE, MAKE_LINK, SYMLINK, REMOVE, REMOVE_DIRECTORY, RENAME };

struct tree_call {
    const char *name;
    enum tree_kind kind;
    const char *from, *to; /* paths, `from` is the target of a symbolic link */
    unsigned flags;
};

static const struct tree_call calls[] = {
    {"mkdir", MAKE_DIRECTORY, NULL, "/n", 0},
    {"mkdir below", MAKE_DIRECTORY, NULL, "/d/n", 0},
    {"mkdir, long name", MAKE_DIRECTORY, NULL, "/" LONG_NAME, 0},
    {"create below", MAKE_FILE, NULL, "/d/s/n", 0},
    {"mknod", MAKE_NODE, NULL, "/d/n", 0},
    {"symlink", SYMLINK, "a short target", "/n", 0},
    {"slow symlink", SYMLINK, LONG_LINK, "/d/n", 0},
    {"link", MAKE_LINK, "/d/f", "/n", 0},
    {"link, long name", MAKE_LINK, "/p", "/" LONG_NAME, 0},
    {"unlink below", REMOVE, NULL, "/d/f", 0},
    {"rmdir", REMOVE_DIRECTORY, NULL, "/k", 0},
    {"rmdir below", REMOVE_DIRECTORY, NULL, "/d/e", 0},
    {"rename", RENAME, "/d/f", "/n", 0},
    {"rename beside", RENAME, "/d/f", "/d/m", 0},
    {"rename the first", RENAME, "/d/s/g", "/d/s/m", 0},
    {"rename, long name", RENAME, "/p", "/" LONG_NAME, 0},
    {"rename over one of several", RENAME, "/d/f", "/d/h", 0},
    {"rename a pipe over one of several", RENAME, "/p", "/d/h", 0},
    {"rename over a last name", RENAME, "/d/f", "/d/s/g", 0},
    {"rename over a pipe beside", RENAME, "/a", "/p", 0},
    {"rename a directory", RENAME, "/d/s", "/k/n", 0},
    {"rename a directory beside", RENAME, "/d/s", "/d/m", 0},
    {"rename a directory, long name", RENAME, "/d/s", "/" LONG_NAME, 0},
    {"rename over a directory", RENAME, "/d/s", "/k", 0},
    {"rename over a directory beside", RENAME, "/d/s", "/d/e", 0},
    {"exchange", RENAME, "/d/f", "/d/s/g", EXT2DAX_RENAME_EXCHANGE},
    {"exchange one of several", RENAME, "/d/h", "/p", EXT2DAX_RENAME_EXCHANGE},
    {"exchange directories", RENAME, "/d/s", "/k", EXT2DAX_RENAME_EXCHANGE},
    {"exchange directory and file", RENAME, "/d/s", "/a", EXT2DAX_RENAME_EXCHANGE},
    {"exchange file and directory", RENAME, "/a", "/d/s", EXT2DAX_RENAME_EXCHANGE},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

struct tree_fixture {
    unsigned base;
    struct crash_options options;
    struct ext2dax_memory memory, other; /* `other` recovers the images left by crashes */
    struct ext2dax_crash *crash;
    unsigned char image[SIZE], kept[SIZE], repaired[SIZE];
    struct ext2dax_mount *mount;
    int64_t clock;
    const struct tree_call *chosen[2];
    unsigned count;
    struct tree_names old, new, both;
    bool exempt;     /* the last call is settled by recovery alone */
    bool both_good;  /* the last call may leave both names */
    bool returned;   /* the call has returned, so its changes must be present and durable */
    bool recovering; /* the recovery is crashed, of a rename with a record */
    bool kept_any;
    struct tally tally;
    char finding[400];
};

/* ---- plugs ---- */

static int64_t host_now(void *ctx)
{
    struct tree_fixture *fixture = ctx;

    return fixture->clock++;
}

static const struct ext2dax_host_ops host_ops = {.size = sizeof host_ops,
                                                 .alloc = heap_alloc,
                                                 .release = heap_release,
                                                 .now = host_now,
                                                 .may_use_reserved = always_may_use_reserved};

static int mount_at(struct tree_fixture *fixture, const struct ext2dax_memory *memory, struct ext2dax_mount **mount)
{
    struct ext2dax_host host = {&host_ops, fixture};

    return crash_memory_mount(memory, &host, mount);
}

/* Exits with 2 unless `works`. For steps which must succeed before a test result means anything. */
static void must(const struct tree_fixture *fixture, bool works, const char *what)
{
    if (works)
        return;
    fprintf(stderr, "%s: %s\n", base_names[fixture->base], what);
    exit(2);
}

/* ---- checking ---- */

static int report(struct tree_fixture *fixture, const char *checker, const char *what)
{
    fixture->tally.findings++;
    snprintf(fixture->finding, sizeof fixture->finding, "%s: %s%s%s%s (%s): %s: %.200s", base_names[fixture->base],
             fixture->chosen[0]->name, fixture->count > 1 ? ", " : "",
             fixture->count > 1 ? fixture->chosen[1]->name : "", fixture->recovering ? ", recovery" : "",
             fixture->returned ? "when it has returned" : "while it runs", checker, what);
    if (!fixture->options.quiet)
        printf("FINDING %s\n", fixture->finding);
    return 1;
}

static bool passes_check(struct tree_fixture *fixture, const void *image, unsigned flags, const char *checker)
{
    const char *wrong = crash_memory_check(image, SIZE, flags);

    if (!wrong)
        return true;
    (void)report(fixture, checker, wrong);
    return false;
}

/* Checks the names of an image which needs no repair any more. */
static bool passes_names(struct tree_fixture *fixture, const void *image, const char *checker)
{
    struct tree_names names;

    tree_names_read(&names, image);
    fixture->tally.contents++;
    if (tree_names_same(&names, &fixture->new))
        return true;
    if (!fixture->returned && !fixture->recovering && tree_names_same(&names, &fixture->old))
        return true;
    if (!fixture->returned && fixture->both_good && tree_names_same(&names, &fixture->both))
        return true;
    (void)report(fixture, checker, "has other names or contents than before and after");
    return false;
}

static bool passes_recovery(struct tree_fixture *fixture, const void *image)
{
    struct ext2dax_mount *mount;
    int64_t clock = fixture->clock;
    int rc;

    memcpy(fixture->other.base, image, SIZE);
    rc = mount_at(fixture, &fixture->other, &mount);
    if (rc == 0)
        rc = ext2dax_unmount(mount);
    fixture->clock = clock;
    if (rc != 0) {
        char text[64];

        snprintf(text, sizeof text, "is refused: %d", rc);
        (void)report(fixture, "recovery", text);
        return false;
    }
    return passes_check(fixture, fixture->other.base, 0, "checker after recovery") &&
           passes_names(fixture, fixture->other.base, "recovery");
}

static bool passes_fsck(struct tree_fixture *fixture, const void *image)
{
    const char *wrong;

    memcpy(fixture->repaired, image, SIZE);
    wrong = crash_memory_fsck(fixture->repaired, SIZE, &fixture->tally);
    if (wrong) {
        (void)report(fixture, "e2fsck", wrong);
        return false;
    }
    return passes_check(fixture, fixture->repaired, 0, "checker after e2fsck") &&
           passes_names(fixture, fixture->repaired, "e2fsck");
}

static bool has_record(const unsigned char *image)
{
    static const unsigned char zeroes[sizeof(((struct ext2dax_disk_super *)0)->redo)];

    return memcmp(image + REDO_AT, zeroes, sizeof zeroes) != 0;
}

static int check_state(void *arg, const struct ext2dax_crash_state *state)
{
    struct tree_fixture *fixture = arg;
    bool exempt = fixture->recovering || fixture->exempt;

    fixture->tally.images++;
    fixture->tally.checked += !state->before;
    fixture->tally.known += state->before;
    fixture->tally.strict += fixture->returned;
    if (fixture->returned && has_record(state->image))
        return report(fixture, "state", "holds the record of a rename that is over");
    if (fixture->returned && !passes_check(fixture, state->image, EXT2DAX_CHECK_MOUNTED, "checker"))
        return 1;
    if (!fixture->returned && !exempt && !passes_check(fixture, state->image, EXT2DAX_CHECK_LEAKS_OK, "checker"))
        return 1;
    if (!passes_recovery(fixture, state->image))
        return 1;
    if (exempt && !fixture->returned && !fixture->recovering && !fixture->kept_any && has_record(state->image)) {
        /* The first image whose record counts, as seen from the result. Few stores are made yet. */
        struct tree_names names;

        tree_names_read(&names, fixture->other.base);
        if (tree_names_same(&names, &fixture->new)) {
            memcpy(fixture->kept, state->image, SIZE);
            fixture->kept_any = true;
        }
    }
    return !exempt && fixture->options.fsck_one_in != 0 && !state->before &&
           state->hash % fixture->options.fsck_one_in == 0 && fixture->tally.fscked < fixture->options.fsck_most &&
           !image_valid(state->image) && !passes_fsck(fixture, state->image);
}

/* ---- calls ---- */

/* Finds the directory of a path, and the last name. */
static int find_directory(struct tree_fixture *fixture, const char *path, struct ext2dax_inode **directory,
                          const char **name)
{
    *name = strrchr(path, '/') + 1;
    return ext2dax_lookup_path(fixture->mount, path, (size_t)(*name - path), 0, directory);
}

static int link_to(struct tree_fixture *fixture, const char *from, struct ext2dax_inode *in, const char *name)
{
    struct ext2dax_inode *inode;
    int rc = ext2dax_lookup_path(fixture->mount, from, strlen(from), EXT2DAX_NO_FOLLOW, &inode);

    if (rc != 0)
        return rc;
    rc = ext2dax_link(inode, in, name, strlen(name));
    ext2dax_inode_put(inode);
    return rc;
}

static int rename_to(struct tree_fixture *fixture, const struct tree_call *call, struct ext2dax_inode *in,
                     const char *name)
{
    struct ext2dax_inode *from;
    const char *old;
    int rc = find_directory(fixture, call->from, &from, &old);

    if (rc != 0)
        return rc;
    rc = ext2dax_rename(from, old, strlen(old), in, name, strlen(name), call->flags);
    ext2dax_inode_put(from);
    return rc;
}

static int perform(struct tree_fixture *fixture, const struct tree_call *call)
{
    struct ext2dax_inode *in;
    const char *name;
    int rc = find_directory(fixture, call->to, &in, &name);
    size_t length = strlen(name);

    if (rc != 0)
        return rc;
    switch (call->kind) {
    case MAKE_DIRECTORY:
        rc = ext2dax_mkdir(in, name, length, 0755, 0, 0, NULL);
        break;
    case MAKE_FILE:
        rc = ext2dax_mknod(in, name, length, EXT2DAX_S_IFREG | 0644, 0, 0, 0, 0, NULL);
        break;
    case MAKE_NODE:
        rc = ext2dax_mknod(in, name, length, EXT2DAX_S_IFCHR | 0600, 300, 5, 0, 0, NULL);
        break;
    case MAKE_LINK:
        rc = link_to(fixture, call->from, in, name);
        break;
    case SYMLINK:
        rc = ext2dax_symlink(in, name, length, call->from, strlen(call->from), 0, 0, NULL);
        break;
    case REMOVE:
        rc = ext2dax_unlink(in, name, length);
        break;
    case REMOVE_DIRECTORY:
        rc = ext2dax_rmdir(in, name, length);
        break;
    case RENAME:
        rc = rename_to(fixture, call, in, name);
        break;
    }
    ext2dax_inode_put(in);
    return rc;
}

/* ---- workloads ---- */

static void begin(struct tree_fixture *fixture, const void *image)
{
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    ext2dax_crash_load(fixture->crash, image);
    fixture->clock = FIXED_TIME + 1000;
    fixture->returned = false;
}

/* Runs the calls but the last, and returns whether they succeed. */
static bool run_first(struct tree_fixture *fixture)
{
    bool fits = true;

    begin(fixture, fixture->image);
    must(fixture, mount_at(fixture, &fixture->memory, &fixture->mount) == 0, "mount");
    for (unsigned i = 0; i + 1 < fixture->count && fits; i++)
        fits = perform(fixture, fixture->chosen[i]) == 0;
    return fits;
}

/* Returns the mode and the links of a path, all 0 if the path does not exist. */
static struct ext2dax_stat stat_of(struct tree_fixture *fixture, const char *path)
{
    struct ext2dax_stat figures;
    struct ext2dax_inode *inode;

    memset(&figures, 0, sizeof figures);
    if (ext2dax_lookup_path(fixture->mount, path, strlen(path), EXT2DAX_NO_FOLLOW, &inode) == 0) {
        ext2dax_stat(inode, &figures, sizeof figures);
        ext2dax_inode_put(inode);
    }
    return figures;
}

/*
 * Determines the promise of the last call, which depends on the state. Renames of directories, over
 * last names, and exchanges are exempt.
 */
static void classify(struct tree_fixture *fixture, const struct tree_call *call)
{
    struct ext2dax_stat from, to;

    fixture->exempt = fixture->both_good = false;
    if (call->kind != RENAME)
        return;
    from = stat_of(fixture, call->from);
    to = stat_of(fixture, call->to);
    fixture->exempt = (call->flags & EXT2DAX_RENAME_EXCHANGE) != 0 || (from.mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFDIR ||
                      to.links == 1;
    fixture->both_good = !fixture->exempt;
}

/* Runs the workload without crashes, for the names before and after the last call. */
static bool learn(struct tree_fixture *fixture)
{
    bool fits = run_first(fixture);

    tree_names_read(&fixture->old, fixture->memory.base);
    classify(fixture, fixture->chosen[fixture->count - 1]);
    fits = fits && perform(fixture, fixture->chosen[fixture->count - 1]) == 0;
    tree_names_read(&fixture->new, fixture->memory.base);
    tree_names_join(&fixture->both, &fixture->old, &fixture->new);
    (void)ext2dax_unmount(fixture->mount);
    return fits;
}

/* Crashes the last call at every point. Returns false if the workload does not fit. */
static bool run(struct tree_fixture *fixture)
{
    uint64_t findings = fixture->tally.findings;

    if (!learn(fixture)) {
        fixture->tally.unfit++;
        return false;
    }
    fixture->kept_any = false;
    (void)run_first(fixture);
    ext2dax_crash_check(fixture->crash, check_state, fixture);
    (void)perform(fixture, fixture->chosen[fixture->count - 1]);
    fixture->returned = true;
    if (fixture->tally.findings == findings)
        (void)ext2dax_crash_point(fixture->crash);
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    (void)ext2dax_unmount(fixture->mount);
    fixture->tally.workloads++;
    return true;
}

/* Crashes the recovery of a kept image at every point. The rename must be complete. */
static void recover_kept(struct tree_fixture *fixture)
{
    uint64_t findings = fixture->tally.findings;

    if (!fixture->kept_any)
        return;
    fixture->recovering = true;
    begin(fixture, fixture->kept);
    ext2dax_crash_check(fixture->crash, check_state, fixture);
    if (mount_at(fixture, &fixture->memory, &fixture->mount) != 0) {
        (void)report(fixture, "recovery", "is refused");
    } else {
        fixture->returned = true;
        if (fixture->tally.findings == findings)
            (void)ext2dax_crash_point(fixture->crash);
        ext2dax_crash_check(fixture->crash, NULL, NULL);
        (void)ext2dax_unmount(fixture->mount);
    }
    ext2dax_crash_check(fixture->crash, NULL, NULL);
    fixture->recovering = false;
    fixture->tally.workloads++;
}

bool tree_run(struct tree_fixture *fixture, bool twos, bool until_found)
{
    fixture->count = 1;
    for (unsigned i = 0; i < CALLS && !(until_found && fixture->tally.findings != 0); i++) {
        fixture->chosen[0] = &calls[i];
        if (!run(fixture))
            (void)report(fixture, "call", "fails");
        recover_kept(fixture);
    }
    fixture->count = 2;
    for (unsigned i = 0; twos && i < CALLS * CALLS && !(until_found && fixture->tally.findings != 0); i++) {
        fixture->chosen[0] = &calls[i / CALLS];
        fixture->chosen[1] = &calls[i % CALLS];
        (void)run(fixture);
    }
    return fixture->tally.findings == 0;
}

/* ---- the base ---- */

/* Takes the types from the dirents, as in an image without the filetype feature. */
static void take_types(unsigned char *image)
{
    struct ext2dax_disk_super *super = image_super(image);

    image_put32(&super->incompat, image_get32(&super->incompat) & ~EXT2DAX_INCOMPAT_FILETYPE);
    for (uint32_t number = EXT2DAX_ROOT_INODE; number <= INODES; number++) {
        const struct ext2dax_disk_inode *inode = image_inode(image, BLOCK_SIZE, number);

        if ((image_get16(&inode->mode) & EXT2DAX_S_IFMT) != EXT2DAX_S_IFDIR || image_get16(&inode->links) == 0)
            continue;
        for (uint32_t k = 0; k < image_get32(&inode->size) / BLOCK_SIZE && k < EXT2DAX_DIRECT; k++) {
            unsigned char *block = image + (size_t)image_get32(&inode->block[k]) * BLOCK_SIZE;

            for (uint32_t at = 0; at < BLOCK_SIZE; at += image_get16(block + at + 4))
                block[at + 7] = 0;
        }
    }
}

static void make_file(struct tree_fixture *fixture, const char *path, size_t length)
{
    static const char bytes[2 * BLOCK_SIZE] = "bytes of a file";
    struct tree_call call = {"", MAKE_FILE, NULL, path, 0};
    struct ext2dax_inode *inode;

    must(fixture, perform(fixture, &call) == 0, path);
    must(fixture, ext2dax_lookup_path(fixture->mount, path, strlen(path), 0, &inode) == 0, path);
    must(fixture, ext2dax_write(inode, 0, bytes, length) == (int64_t)length, path);
    ext2dax_inode_put(inode);
}

static void make_tree(struct tree_fixture *fixture)
{
    static const struct tree_call made[] = {
        {"", MAKE_DIRECTORY, NULL, "/d", 0},   {"", MAKE_DIRECTORY, NULL, "/d/s", 0},
        {"", MAKE_DIRECTORY, NULL, "/d/e", 0}, {"", MAKE_DIRECTORY, NULL, "/k", 0},
        {"", MAKE_NODE, NULL, "/p", 0},
    };

    for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        must(fixture, perform(fixture, &made[i]) == 0, made[i].to);
    make_file(fixture, "/a", BLOCK_SIZE + 100);
    make_file(fixture, "/b", 10);
    make_file(fixture, "/d/f", 20);
    make_file(fixture, "/d/s/g", BLOCK_SIZE);
    must(fixture, perform(fixture, &(struct tree_call){"", MAKE_LINK, "/b", "/d/h", 0}) == 0, "link");
    for (const char *letter = "xyz"; *letter != '\0'; letter++) {
        char path[260] = "/" LONG_LINK;

        path[1] = *letter;
        must(fixture, perform(fixture, &(struct tree_call){"", MAKE_LINK, "/b", path, 0}) == 0, "long link");
    }
}

struct tree_fixture *tree_open(unsigned base, const struct crash_options *options)
{
    struct ext2dax_format_options format = {
        .size = sizeof format, .block_size = BLOCK_SIZE, .inodes = INODES, .time = FIXED_TIME};
    struct tree_fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        exit(2);
    fixture->base = base;
    fixture->options = *options;
    fixture->chosen[0] = &calls[0];
    fixture->count = 1;
    fixture->clock = FIXED_TIME;
    must(fixture, ext2dax_memory_open_heap(SIZE, &fixture->other) == 0, "memory");
    memset(fixture->other.base, FREE_MARKER, SIZE);
    must(fixture, ext2dax_format(&fixture->other, &format, NULL) == 0, "format");
    must(fixture, mount_at(fixture, &fixture->other, &fixture->mount) == 0, "mount");
    make_tree(fixture);
    must(fixture, ext2dax_unmount(fixture->mount) == 0, "unmount");
    memcpy(fixture->image, fixture->other.base, SIZE);
    if (base == 1)
        take_types(fixture->image);
    must(fixture, passes_check(fixture, fixture->image, 0, "checker of the base"), fixture->finding);
    crash_memory_open(options, SIZE, &fixture->memory, &fixture->crash);
    return fixture;
}

void tree_close(struct tree_fixture *fixture)
{
    ext2dax_crash_close(fixture->crash);
    ext2dax_memory_close_heap(&fixture->other);
    free(fixture);
}

const char *tree_name(unsigned base)
{
    return base_names[base];
}

const struct tally *tree_tally(const struct tree_fixture *fixture)
{
    return crash_memory_tally(fixture->crash, &fixture->tally);
}

const char *tree_finding(const struct tree_fixture *fixture)
{
    return fixture->finding;
}
