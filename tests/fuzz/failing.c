/* SPDX-License-Identifier: MIT */
/*
 * Failing plugs. Host memory, lock initialisation, write-back, fences and zeroing fail at every
 * point of every call, and every block of the image is unreadable in turn. For every result the
 * test checks
 *   - no lock stays held, and all memory and locks are released
 *   - the image is no worse than after a crash, and the next mount repairs it
 *   - an unreadable block is never read, because its page has no access
 *   - after a failed store nothing changes any more
 * The repairing mount is itself failed at every point.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "ext2dax/hosted/lock.h"
#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/lock_order.h"
#include "ext2dax/testkit/model.h"

#include "../image/outside.h"
#include "reports.h"
#include "tree.h"

#define ASKED 40u /* e2fsck checks every ASKEDth image */

/*
 * The failing plug. STORE fails write-back, fences and zeroing from the chosen call on. ONE_STORE
 * fails a single such call, and the memory works again afterwards.
 */
enum what { NOTHING, ALLOC, INIT, STORE, ONE_STORE, WHATS };

static struct {
    const struct tree *tree;
    unsigned char *base;
    /* the image at the start of a round, either the tree's or a crashed image */
    const unsigned char *start;
    struct ext2dax_lock_order *order;
    struct ext2dax_locks under; /* every lock passes through the lock order checker */
    struct ext2dax_mount *mount;
    struct ext2dax_model *model;
    struct ext2dax_model_map *map;
    struct ext2dax_inode *root, *inode;
    enum what failing;
    long left; /* successful calls before the failure. STORE fails every later call too */
    bool fired;
    long held, made, given;
    bool e2fsck; /* is installed */
    /*
     * The reference count of an attribute block is involved. e2fsck -p gives up on such a count,
     * recovery does not.
     */
    bool shared;
    unsigned asked;
    const unsigned char *poison;
} s;

/* ---- plugs ---- */

static bool fails(enum what what)
{
    if ((s.failing != what && !(s.failing == ONE_STORE && what == STORE)) || s.left-- > 0)
        return false;
    if (s.failing == STORE)
        s.left = 0;
    if (s.failing == ONE_STORE)
        s.failing = NOTHING;
    s.fired = true;
    return true;
}

/* Has a store failed in this round? */
static bool stores_failed(enum what what)
{
    return (what == STORE || what == ONE_STORE) && s.fired;
}

static void *host_alloc(void *ctx, size_t bytes)
{
    void *at = fails(ALLOC) ? NULL : malloc(bytes);

    (void)ctx;
    s.given += at != NULL;
    return at;
}
static void host_release(void *ctx, void *at, size_t bytes)
{
    (void)ctx;
    memset(at, 0x5A, bytes);
    free(at);
    s.given--;
}
static void host_log(void *ctx, const struct ext2dax_report *report)
{
    (void)ctx;
    reports_note(report);
}
static void host_panic(void *ctx, const char *file, int line, const char *what)
{
    (void)ctx;
    fuzz_fail(file, line, what);
}

struct ext2dax_host fuzz_host(void)
{
    static const struct ext2dax_host_ops ops = {
        .size = sizeof(ops), .alloc = host_alloc, .release = host_release, .log = host_log, .panic = host_panic};

    return (struct ext2dax_host){&ops, NULL};
}

#define FORWARD(name, change)                                                                                          \
    static void name(void *ctx, struct ext2dax_lock *lock)                                                             \
    {                                                                                                                  \
        (void)ctx;                                                                                                     \
        s.under.ops->name(s.under.ctx, lock);                                                                          \
        change;                                                                                                        \
    }
FORWARD(destroy, s.made--)
FORWARD(read_lock, s.held++)
FORWARD(read_unlock, s.held--)
FORWARD(write_lock, s.held++)
FORWARD(write_unlock, s.held--)

static int init(void *ctx, struct ext2dax_lock *lock, enum ext2dax_lock_class lock_class, uint64_t number)
{
    if (fails(INIT))
        return -EXT2DAX_ENOMEM;
    (void)ctx;
    s.made++;
    return s.under.ops->init(s.under.ctx, lock, lock_class, number);
}
static bool try_read_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool got = s.under.ops->try_read_lock(s.under.ctx, lock);

    (void)ctx;
    s.held += got;
    return got;
}
static bool try_write_lock(void *ctx, struct ext2dax_lock *lock)
{
    bool got = s.under.ops->try_write_lock(s.under.ctx, lock);

    (void)ctx;
    s.held += got;
    return got;
}

/* A lock table of an embedder built before `held` was added to the extensible struct. */
static const struct ext2dax_lock_ops lock_ops = {offsetof(struct ext2dax_lock_ops, held),
                                                 init,
                                                 destroy,
                                                 read_lock,
                                                 read_unlock,
                                                 write_lock,
                                                 write_unlock,
                                                 try_read_lock,
                                                 try_write_lock,
                                                 NULL};

static int zero(void *ctx, void *at, size_t length)
{
    (void)ctx;
    if (fails(STORE))
        return -EXT2DAX_EIO;
    memset(at, 0, length);
    return 0;
}
static int persist(void *ctx, const void *at, size_t length)
{
    (void)ctx;
    (void)at;
    (void)length;
    return fails(STORE) ? -EXT2DAX_EIO : 0;
}
static int fence(void *ctx)
{
    (void)ctx;
    return fails(STORE) ? -EXT2DAX_EIO : 0;
}
static int check(void *ctx, const void *at, size_t length)
{
    const unsigned char *from = at;

    (void)ctx;
    return s.poison && from < s.poison + s.tree->block_size && s.poison < from + length ? -EXT2DAX_EIO : 0;
}

static const struct ext2dax_memory_ops memory_ops = {
    .size = sizeof(memory_ops), .zero = zero, .persist = persist, .fence = fence, .check = check};

/* ---- the calls ---- */

static int op_nothing(void)
{
    return 0;
}
static int op_path(void)
{
    struct ext2dax_inode *inode;
    int error;

    /* An absolute symbolic link leads back to a root inode without other references. */
    ext2dax_inode_put(s.root);
    s.root = NULL;
    error = REPORTED(ext2dax_lookup_path(s.mount, "/d/fast/../slow/far", 19, 0, &inode));
    if (error == 0)
        ext2dax_inode_put(inode);
    return error;
}
static int op_create(void)
{
    struct ext2dax_inode *inode;
    int error = REPORTED(ext2dax_create(s.root, "new", 3, 0600, 1, 1, &inode));

    MUST((error == 0) == (inode != NULL));
    if (error == 0)
        ext2dax_inode_put(inode);
    return error;
}
static int op_unlink(void)
{
    return REPORTED(ext2dax_unlink(s.root, "twice", 5));
}
static int op_unlink_held(void)
{
    return REPORTED(ext2dax_unlink(s.root, "single", 6));
}
static int op_unlink_attributes(void)
{
    return REPORTED(ext2dax_unlink(s.root, "one", 3));
}
static int of(int64_t count)
{
    return count < 0 ? (int)count : 0;
}
static int op_write(void)
{
    static char bytes[200000];

    return of(REPORTED_COUNT(
        ext2dax_write(s.inode, 7, bytes, 20u * s.tree->block_size < sizeof(bytes) ? 20u * s.tree->block_size : 1)));
}
static int op_append(void)
{
    struct ext2dax_stat figures;

    ext2dax_stat(s.inode, &figures, sizeof(figures));
    return of(REPORTED_COUNT(ext2dax_write(s.inode, figures.size, "appended", 8)));
}
static int op_far(void)
{
    return of(REPORTED_COUNT(
        ext2dax_write(s.inode, (uint64_t)(12 + s.tree->block_size / 4 + 3) * s.tree->block_size, "far", 3)));
}
static int op_read(void)
{
    static char bytes[50000];

    return of(REPORTED_COUNT(ext2dax_read(s.inode, 3, bytes, sizeof(bytes))));
}
static int op_cut(void)
{
    return REPORTED(ext2dax_truncate(s.inode, 3));
}
static int op_extend(void)
{
    return REPORTED(ext2dax_truncate(s.inode, (uint64_t)3 << 31));
}
static int op_punch(void)
{
    return REPORTED(ext2dax_punch(s.inode, s.tree->block_size / 2, (uint64_t)s.tree->block_size * 13));
}
static int op_zero(void)
{
    return REPORTED(ext2dax_zero_range(s.inode, s.tree->block_size / 2, (uint64_t)s.tree->block_size * 13));
}
static int op_setattr(void)
{
    struct ext2dax_attributes wanted = {.size = sizeof(wanted),
                                        .set = 0x7F,
                                        .mode = 0751,
                                        .uid = 0x10002,
                                        .gid = 0x30004,
                                        .mtime = {.seconds = 5, .nanoseconds = 6},
                                        .created = {.seconds = 7, .nanoseconds = 8}};

    return REPORTED(ext2dax_setattr(s.inode, &wanted));
}
static int op_allocate(void)
{
    return REPORTED(ext2dax_allocate(s.inode, 0, (uint64_t)s.tree->block_size * 60, false));
}
static int op_sync(void)
{
    return REPORTED(ext2dax_sync(s.mount));
}
static int op_fsync(void)
{
    (void)ext2dax_model_write(s.map, 1, "a", 1, false, false);
    return REPORTED(ext2dax_fsync(s.inode));
}
static int op_fsync_range(void)
{
    (void)ext2dax_model_write(s.map, 1, "a", 1, false, false);
    return REPORTED(ext2dax_fsync_range(s.inode, 0, 2));
}
static int op_freeze(void)
{
    int error;

    (void)ext2dax_model_write(s.map, 1, "a", 1, false, false);
    error = REPORTED(ext2dax_freeze(s.mount));
    if (error == 0)
        error = REPORTED(ext2dax_thaw(s.mount));
    MUST(REPORTED(ext2dax_thaw(s.mount)) == -EXT2DAX_EINVAL);
    return error;
}
static int op_remount(void)
{
    int error = REPORTED_MOUNT(ext2dax_remount(s.mount, EXT2DAX_MOUNT_READ_ONLY));

    return error != 0 ? error : REPORTED_MOUNT(ext2dax_remount(s.mount, 0));
}
static int op_pin(void)
{
    struct ext2dax_pin pin;
    struct ext2dax_stat figures;
    int error;

    ext2dax_stat(s.inode, &figures, sizeof(figures));
    error = REPORTED(ext2dax_pin(s.inode, 0, figures.size, true, &pin));
    if (error == 0)
        ext2dax_unpin(&pin);
    return error;
}
static int fault_all(bool write, bool huge)
{
    static const int errors[] = {[EXT2DAX_FAULT_NOPAGE] = 0,
                                 [EXT2DAX_FAULT_SIGBUS] = -EXT2DAX_EIO,
                                 [EXT2DAX_FAULT_OOM] = -EXT2DAX_ENOMEM,
                                 [EXT2DAX_FAULT_FALLBACK] = 0,
                                 [EXT2DAX_FAULT_RETRY] = -EXT2DAX_EAGAIN};
    uint64_t page = (uint64_t)1 << s.tree->page_shift;
    struct ext2dax_stat figures;
    char byte = 1;
    int error = 0;

    ext2dax_stat(s.inode, &figures, sizeof(figures));
    for (unsigned i = 0; i < 14 && i * page < figures.size && error == 0; i++)
        error = errors[write ? ext2dax_model_write(s.map, i * page, &byte, 1, huge, false)
                             : ext2dax_model_read(s.map, i * page, &byte, 1, huge, false)];
    return error;
}
static int op_fault_read(void)
{
    return fault_all(false, true);
}
static int op_fault_write(void)
{
    return fault_all(true, false);
}
static int op_fault_huge(void)
{
    return fault_all(true, true);
}

static const struct op {
    const char *name;
    int (*run)(void);
    const char *file; /* the file worked on, NULL for none */
} ops[] = {
    {"mount and unmount", op_nothing, "single"},
    {"path", op_path, "single"},
    {"create", op_create, "single"},
    {"unlink", op_unlink, "single"},
    {"unlink of what is held", op_unlink_held, "single"},
    {"unlink with attributes", op_unlink_attributes, "single"},
    {"write", op_write, "single"},
    {"write", op_write, "empty"},
    {"append", op_append, "direct"},
    {"far write", op_far, "empty"},
    {"read", op_read, "single"},
    {"cut", op_cut, "single"},
    {"cut", op_cut, "twice"},
    {"cut", op_cut, "thrice"},
    {"grow", op_extend, "direct"},
    {"punch", op_punch, "single"},
    {"zero", op_zero, "single"},
    {"zero", op_zero, "empty"},
    {"attributes", op_setattr, "single"},
    {"allocate", op_allocate, "empty"},
    {"sync", op_sync, "single"},
    {"fsync", op_fsync, "single"},
    {"fsync of a part", op_fsync_range, "single"},
    {"freeze", op_freeze, "single"},
    {"remount", op_remount, "single"},
    {"pin", op_pin, "single"},
    {"read fault", op_fault_read, "single"},
    {"write fault", op_fault_write, "single"},
    {"huge write fault", op_fault_huge, "huge"},
};
#define OPS (sizeof(ops) / sizeof(ops[0]))
static const struct op only_mount = {"recovery", op_nothing, NULL};

/* ---- a round ---- */

static char round_name[128];

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, text, sizeof(text));
    (void)fprintf(stderr, "finding: %s\n", text);
}

static void check_image(unsigned flags)
{
    MUST(ext2dax_check_image(s.base, s.tree->size, flags, print_finding, NULL, NULL) == 0);
}

static int open_mount(unsigned flags)
{
    const struct tree *tree = s.tree;
    struct ext2dax_plugs plugs = {
        .locks = {&lock_ops, NULL}, .memory = {&memory_ops, NULL, s.base, tree->size, 0}, .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .order = tree->order,
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify};

    plugs.address_space = ext2dax_model_address_space(s.model);
    return REPORTED_MOUNT(ext2dax_mount(&plugs, &options, &s.mount));
}

static bool is_refused(int64_t answer)
{
    return answer == -EXT2DAX_EIO || answer == -EXT2DAX_EROFS;
}

/*
 * Checks a mount after a failed store. Every modifying call returns EIO or EROFS and changes
 * nothing.
 */
static void nothing_changes_any_more(void)
{
    unsigned char *before = malloc(s.tree->size);
    struct ext2dax_statfs figures;
    struct ext2dax_attributes attributes = {.size = sizeof(attributes), .set = EXT2DAX_SET_UID, .uid = 77};
    struct ext2dax_stat stat;
    struct ext2dax_inode *made;
    struct ext2dax_pin pin;
    char byte = 'x';

    MUST(before);
    memcpy(before, s.base, s.tree->size);
    ext2dax_statfs(s.mount, &figures, sizeof(figures));
    ext2dax_stat(s.inode, &stat, sizeof(stat));
    MUST(figures.read_only);
    MUST(is_refused(REPORTED(ext2dax_truncate(s.inode, stat.size + 1))) &&
         is_refused(REPORTED(ext2dax_truncate(s.inode, 1))));
    MUST(is_refused(REPORTED(ext2dax_punch(s.inode, 0, 1))));
    MUST(is_refused(REPORTED(ext2dax_zero_range(s.inode, 0, 1))));
    MUST(is_refused(REPORTED_COUNT(ext2dax_write(s.inode, 0, &byte, 1))) &&
         is_refused(REPORTED_COUNT(ext2dax_write(s.inode, stat.size, &byte, 1))));
    MUST(is_refused(REPORTED(ext2dax_allocate(s.inode, 0, 1, false))));
    MUST(is_refused(REPORTED(ext2dax_create(s.root, "more", 4, 0600, 1, 1, &made))) && !made);
    MUST(is_refused(REPORTED(ext2dax_unlink(s.root, "direct", 6))));
    MUST(is_refused(REPORTED(ext2dax_setattr(s.inode, &attributes))));
    MUST(is_refused(REPORTED(ext2dax_pin(s.inode, 0, 1, true, &pin))));
    MUST(is_refused(REPORTED(ext2dax_fsync(s.inode))) && is_refused(REPORTED(ext2dax_sync(s.mount))));
    MUST(is_refused(REPORTED(ext2dax_fsync_range(s.inode, 0, 1))));
    MUST(is_refused(REPORTED(ext2dax_freeze(s.mount))));
    /* may already be read-only */
    (void)REPORTED_MOUNT(ext2dax_remount(s.mount, EXT2DAX_MOUNT_READ_ONLY));
    MUST(s.held == 0 && memcmp(before, s.base, s.tree->size) == 0);
    free(before);
}

/* Mounts, finds the file, runs the operation and unmounts. Returns the last error, or 0. */
static int go(const struct op *op, enum what what, long left)
{
    struct ext2dax_memory memory = {&memory_ops, NULL, s.base, s.tree->size, 0};
    int error, last;

    s.fired = false;
    s.left = left;
    s.failing = what;
    s.order = ext2dax_lock_order_open(ext2dax_locks_none(), NULL, NULL);
    MUST(s.order);
    s.under = ext2dax_lock_order_locks(s.order);
    s.model = ext2dax_model_open(&memory, ext2dax_locks_none(), (uint32_t)1 << s.tree->page_shift, s.tree->huge_order);
    MUST(s.model);
    error = open_mount(what == ALLOC ? EXT2DAX_MOUNT_VERIFY : 0);
    MUST(s.held == 0);
    if (error != 0)
        goto out;
    if (op->file)
        error = REPORTED(ext2dax_inode_get(s.mount, EXT2DAX_ROOT_INODE, &s.root));
    if (error == 0 && op->file)
        error = REPORTED(ext2dax_lookup(s.root, op->file, strlen(op->file), &s.inode));
    if (error == 0 && op->file) {
        s.map = ext2dax_model_map(s.model, s.inode, 0, 20, true, true);
        MUST(s.map);
        error = op->run();
        MUST(s.held == 0);
        if (stores_failed(what))
            nothing_changes_any_more();
        ext2dax_model_unmap(s.map);
        ext2dax_inode_put(s.inode);
    }
    if (s.root)
        ext2dax_inode_put(s.root);
    s.root = NULL;
    last = REPORTED(ext2dax_unmount(s.mount));
    MUST(s.held == 0 && last != -EXT2DAX_EBUSY);
    if (last != 0)
        error = last;
out:
    s.failing = NOTHING;
    ext2dax_model_close(s.model);
    MUST(s.held == 0 && s.made == 0 && s.given == 0);
    ext2dax_lock_order_returned(s.order);
    ext2dax_lock_order_close(s.order);
    return error;
}

static void reset(void)
{
    memcpy(s.base, s.start, s.tree->size);
}

/*
 * Checks the repair of an image after a failed store. The next mount repairs the image completely.
 * e2fsck -p alone repairs the image too, checked for every ASKEDth image.
 */
static void repaired(void)
{
    static unsigned rounds;
    struct outside_image copy;
    int status;

    if (s.e2fsck && !s.shared && ++rounds % ASKED == 0) {
        copy = outside_open(s.tree->size);
        memcpy(copy.base, s.base, copy.size);
        status = outside_run("e2fsck -p %s >/dev/null 2>&1", copy.path);
        if (status == 0 || status == 1)
            status = outside_run("e2fsck -fn %s >/dev/null 2>&1", copy.path);
        MUST(status == 0);
        outside_close(&copy);
        s.asked++;
    }
    MUST(go(&only_mount, NOTHING, 0) == 0);
    check_image(0);
}

static void fail_everywhere(const struct op *op, enum what what)
{
    const struct ext2dax_disk_super *super = (const void *)(s.base + EXT2DAX_SUPER_OFFSET);

    for (long left = 0; left < 3000; left++) {
        int error;

        (void)snprintf(round_name, sizeof(round_name), "%s of %s, blocks of %u: plug %d fails after %ld\n", op->name,
                       op->file ? op->file : "all", (unsigned)s.tree->block_size, (int)what, left);
        reset();
        error = go(op, what, left);
        if (!s.fired) {
            MUST(error == 0 || error == -EXT2DAX_ENOSPC);
            check_image(0);
            return;
        }
        if (what == STORE || what == ONE_STORE) {
            /*
             * Stores with a failed write-back are in memory all the same, so the image is no worse
             * than after a crash.
             */
            MUST(error == -EXT2DAX_EIO);
            check_image(EXT2DAX_CHECK_LEAKS_OK);
            MUST((((const unsigned char *)&super->state)[0] & EXT2DAX_STATE_VALID) == 0);
            repaired();
        } else {
            MUST(error == 0 || error == -EXT2DAX_ENOMEM);
            check_image(s.start == s.tree->image ? 0 : EXT2DAX_CHECK_LEAKS_OK);
        }
    }
    fuzz_fail(__FILE__, __LINE__, "it ends");
}

/* ---- poison ---- */

static void poison_accessed(int number, siginfo_t *info, void *context)
{
    const unsigned char *at = info->si_addr;
    bool wrote = true;

#if defined(__x86_64__)
    wrote = (((const ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#else
    (void)context;
#endif
    /* A store to the bad block is allowed, and clears the poison. */
    if (s.poison && at >= s.poison && at < s.poison + s.tree->block_size && wrote) {
        (void)mprotect((void *)(uintptr_t)s.poison, s.tree->block_size, PROT_READ | PROT_WRITE);
        return;
    }
    (void)!write(STDERR_FILENO, round_name, strlen(round_name));
    (void)signal(number, SIG_DFL);
}

static void poison_everywhere(const struct op *op)
{
    for (uint32_t block = 0; block < s.tree->blocks; block++) {
        int error;

        (void)snprintf(round_name, sizeof(round_name), "%s of %s, block %u of %u bytes is bad\n", op->name, op->file,
                       (unsigned)block, (unsigned)s.tree->block_size);
        reset();
        s.poison = s.base + (size_t)block * s.tree->block_size;
        MUST(mprotect((void *)(uintptr_t)s.poison, s.tree->block_size, PROT_NONE) == 0);
        error = go(op, NOTHING, 0);
        MUST(mprotect((void *)(uintptr_t)s.poison, s.tree->block_size, PROT_READ | PROT_WRITE) == 0);
        s.poison = NULL;
        MUST(error == 0 || error == -EXT2DAX_EIO || error == -EXT2DAX_EUCLEAN || error == -EXT2DAX_ENOSPC);
    }
}

/*
 * Recovers images of operations interrupted by failing stores, while the plugs fail the recovery.
 */
static void recover_everywhere(void)
{
    static const long moments[] = {4, 7, 11};
    unsigned char *crashed = malloc(s.tree->size);

    MUST(crashed);
    for (size_t i = 0; i < OPS; i++) {
        for (size_t k = 0; k < sizeof(moments) / sizeof(moments[0]); k++) {
            s.start = s.tree->image;
            s.shared = ops[i].run == op_unlink_attributes;
            reset();
            (void)go(&ops[i], STORE, moments[k]);
            if (!s.fired)
                continue;
            memcpy(crashed, s.base, s.tree->size);
            s.start = crashed;
            for (enum what what = ALLOC; what < WHATS; what++)
                fail_everywhere(&only_mount, what);
        }
    }
    s.start = s.tree->image;
    free(crashed);
}

static void tell(int number)
{
    (void)!write(STDERR_FILENO, round_name, strlen(round_name));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = poison_accessed, .sa_flags = SA_SIGINFO};

    s.e2fsck = outside_has("e2fsck");
    if (!s.e2fsck)
        puts("e2fsck is not installed, so only the checker of the testkit checks the images");
    (void)signal(SIGABRT, tell);
    (void)sigaction(SIGSEGV, &action, NULL);
    for (unsigned number = 0; number < TREES; number++) {
        s.tree = tree_get(number);
        s.start = s.tree->image;
        s.base = mmap(NULL, s.tree->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(s.base != MAP_FAILED);
        for (size_t i = 0; i < OPS; i++) {
            s.shared = ops[i].run == op_unlink_attributes;
            for (enum what what = ALLOC; what < WHATS; what++) {
                if (s.tree->block_size != 65536)
                    fail_everywhere(&ops[i], what);
            }
            if (s.tree->block_size == 4096)
                poison_everywhere(&ops[i]);
        }
        if (s.tree->block_size == 1024)
            recover_everywhere();
        (void)munmap(s.base, s.tree->size);
    }
    if (s.e2fsck)
        printf("%u images shown to e2fsck\n", s.asked);
    return EXIT_SUCCESS;
}
