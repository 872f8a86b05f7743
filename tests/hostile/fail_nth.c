/* SPDX-License-Identifier: MIT */
/*
 * Every public call, with every callback failing at every call of the callback. A callback fails
 * once, or from some call on. After every failure the test checks
 *   - the error is the error of the callback
 *   - no lock is held, and unmount succeeds and gives back all memory and locks
 *   - the image and every mapping are valid
 *   - nothing has changed, and the call made again does the same as without the failure
 *   - after a failed store nothing changes any more, and the next mount repairs the image
 * Prints a table of the calls of each callback in each public call.
 *
 *   fail_nth [all]          the table for the first tree, or for all trees
 *   fail_nth TITLE          a single row of the table, for all trees
 *   fail_nth --mutants      each mutant of a failure must be noticed on the first tree
 *   fail_nth --list FILE    compares the table with the exported functions listed in FILE
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/mutant.h"

#include "../fuzz/reports.h"
#include "calls.h"
#include "contents.h"
#include "failing.h"

#define CALLS_MOST 5000 /* of a callback in a public call */

#define r round_now

static const unsigned char *start; /* the image at the start of a round */
static char round_name[160];
static unsigned long rounds;

static struct {
    int64_t result;
    uint64_t before, after; /* contents */
} good;

static void tell(int number)
{
    (void)!write(STDERR_FILENO, round_name, strlen(round_name));
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, text, sizeof(text));
    (void)fprintf(stderr, "finding: %s\n", text);
}

static void check_image(unsigned flags)
{
    MUST(ext2dax_check_image(r.base, r.size, flags, print_finding, NULL, NULL) == 0);
}

static void found(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what)
{
    (void)arg;
    (void)fprintf(stderr, "page %lu of inode %u: %s\n", (unsigned long)page, (unsigned)inode->number, what);
}

static void check_mappings(void)
{
    MUST(ext2dax_model_check(failing_model(), found, NULL) == 0);
    MUST(ext2dax_model_complaints(failing_model()) == 0);
}

/* ---- a round ---- */

static void begin(const struct call *call)
{
    memcpy(r.base, start, r.size);
    if (call->traces & UNMOUNTS)
        return;
    MUST(round_mount(0) == 0);
    if (call->prepare)
        call->prepare();
}

/* Returns the result of the last unmount. */
static int end(void)
{
    int error;

    if (!r.mount)
        return 0;
    round_release();
    error = ext2dax_unmount(r.mount);
    MUST(error != -EXT2DAX_EBUSY && error != -EXT2DAX_EINVAL);
    r.mount = NULL;
    failing_close();
    return error;
}

static uint64_t contents_after_mount(void)
{
    uint64_t sum;

    MUST(round_mount(0) == 0);
    sum = contents_of(r.mount);
    MUST(end() == 0);
    return sum;
}

static void learn(const struct call *call)
{
    begin(call);
    good.before = r.mount ? contents_of(r.mount) : 0;
    (void)end();

    begin(call);
    good.result = call->run();
    MUST(failing_held() == 0 || r.frozen);
    good.after = r.mount ? contents_of(r.mount) : 0;
    MUST(end() == 0);
    check_image(0);
    if (call->traces & UNMOUNTS)
        good.before = good.after = contents_after_mount();
    else if (good.after == 0)
        good.after = contents_after_mount();
}

static bool is_allowed(const struct call *call, enum failing failing, int64_t result)
{
    static const int64_t errors[FAILINGS] = {[FAIL_ALLOC] = -EXT2DAX_ENOMEM,
                                             [FAIL_LOCK_INIT] = -EXT2DAX_ENOMEM,
                                             [FAIL_TRY_LOCK] = RESULT_RETRY,
                                             [FAIL_MAP_OOM] = -EXT2DAX_ENOMEM,
                                             [FAIL_MAP_FALLBACK] = RESULT_FALLBACK,
                                             [FAIL_CHECK] = -EXT2DAX_EIO,
                                             [FAIL_COPY] = -EXT2DAX_EFAULT,
                                             [FAIL_INTERRUPTED] = -EXT2DAX_EINTR,
                                             [FAIL_CLAIM] = -EXT2DAX_EBUSY,
                                             [FAIL_USABLE] = -EXT2DAX_EINVAL,
                                             [FAIL_ZERO] = -EXT2DAX_EIO,
                                             [FAIL_PERSIST] = -EXT2DAX_EIO,
                                             [FAIL_FENCE] = -EXT2DAX_EIO};

    if (result == good.result)
        return true;
    if (result >= 0)
        return (call->traces & PARTIAL) != 0 && result < good.result;
    /* A PMD fault leaves poison to the small faults. */
    if (failing == FAIL_CHECK && result == RESULT_FALLBACK)
        return strcmp(call->function, "ext2dax_pmd_fault") == 0;
    return errors[failing] != 0 && result == errors[failing];
}

static bool is_refused(int64_t result)
{
    return result == -EXT2DAX_EIO || result == -EXT2DAX_EROFS;
}

/* Checks a mount after a failed store. Every modifying call is refused and changes nothing. */
static void nothing_changes(void)
{
    unsigned char *before = malloc(r.size);
    struct ext2dax_inode *root, *made, *file;
    struct ext2dax_statfs figures;

    MUST(before);
    ext2dax_statfs(r.mount, &figures, sizeof(figures));
    MUST(figures.read_only);
    memcpy(before, r.base, r.size);
    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    MUST(is_refused(REPORTED(ext2dax_create(root, "more", 4, 0600, 1, 1, &made))) && !made);
    MUST(is_refused(REPORTED(ext2dax_rename(root, "slow", 4, root, "slower", 6, 0))));
    if (ext2dax_lookup(root, "empty", 5, &file) == 0) {
        MUST(is_refused(REPORTED_COUNT(ext2dax_write(file, 0, "x", 1))));
        MUST(is_refused(REPORTED(ext2dax_setxattr(file, "user.x", 6, "x", 1, 0))));
        MUST(is_refused(REPORTED(ext2dax_fsync(file))));
        ext2dax_inode_put(file);
    }
    ext2dax_inode_put(root);
    MUST(memcmp(before, r.base, r.size) == 0);
    free(before);
}

static void after_failed_store(const struct call *call, int64_t result)
{
    uint64_t sum;

    (void)result;
    if (r.mount) {
        check_mappings();
        if (!r.frozen)
            nothing_changes();
        MUST(end() == -EXT2DAX_EIO);
    }
    if (call->function && strcmp(call->function, "ext2dax_format") == 0)
        return;
    check_image(EXT2DAX_CHECK_LEAKS_OK);
    sum = contents_after_mount();
    MUST((call->traces & (PARTIAL | HALFWAY)) != 0 || sum == good.before || sum == good.after);
    check_image(0);
}

/* Returns false if the callback was called too few times to fail. */
static bool play(const struct call *call, enum failing failing, long left, bool on)
{
    bool lost = (call->traces & LEAKS) != 0 || ((call->traces & MAKES) != 0 && failing == FAIL_CHECK && on);
    unsigned leaks = lost ? EXT2DAX_CHECK_LEAKS_OK : 0;
    int64_t result;
    bool fired;

    (void)snprintf(round_name, sizeof(round_name), "%s, blocks of %u: %s fails after %ld%s\n", call->title,
                   (unsigned)r.tree->block_size, failing_names[failing], left, on ? ", from then on" : "");
    rounds++;
    begin(call);
    failing_arm(failing, left, on);
    result = call->run();
    fired = failing_disarm();
    MUST(failing_held() == 0 || r.frozen);
    if (!fired) {
        MUST(result == good.result);
        MUST(end() == 0);
        return false;
    }
    if (!is_allowed(call, failing, result)) {
        (void)fprintf(stderr, "result %ld, without the failure %ld\n", (long)result, (long)good.result);
        fuzz_fail(__FILE__, __LINE__, "the error of the callback");
    }
    if (fails_store(failing)) {
        after_failed_store(call, result);
        return true;
    }
    if (r.mount) {
        check_image(EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK | leaks);
        check_mappings();
        if (result != good.result)
            MUST((call->traces & PARTIAL) != 0 || contents_of(r.mount) == good.before);
    }
    if (result != good.result) {
        result = call->run();
        if (result != good.result) {
            (void)fprintf(stderr, "again %ld, without the failure %ld\n", (long)result, (long)good.result);
            fuzz_fail(__FILE__, __LINE__, "the call succeeds when made again");
        }
    }
    if (r.mount) {
        MUST(contents_of(r.mount) == good.after);
        check_mappings();
    }
    MUST(end() == 0);
    check_image(leaks);
    return true;
}

/* ---- the table ---- */

/* Returns the number of calls of the callback in the public call. */
static long fail_everywhere(const struct call *call, enum failing failing, bool on)
{
    for (long left = 0; left < CALLS_MOST; left++) {
        /* A call of a child process is refused at the start, or not at all. */
        if ((failing == FAIL_USABLE && left > 0) || !play(call, failing, left, on))
            return left;
    }
    fuzz_fail(__FILE__, __LINE__, "the callbacks of a call end");
}

static void crash(void)
{
    static unsigned char *crashed;
    struct ext2dax_inode *root;

    if (!crashed)
        crashed = malloc((size_t)4 << 20);
    MUST(crashed && r.size <= (size_t)4 << 20);
    start = r.tree->image;
    memcpy(r.base, start, r.size);
    MUST(round_mount(0) == 0);
    MUST(ext2dax_inode_get(r.mount, EXT2DAX_ROOT_INODE, &root) == 0);
    failing_arm(FAIL_FENCE, 1, true);
    (void)ext2dax_unlink(root, "single", 6);
    ext2dax_inode_put(root);
    (void)failing_disarm();
    (void)end();
    memcpy(crashed, r.base, r.size);
    start = crashed;
}

static void try_call(const struct call *call)
{
    start = r.tree->image;
    if (call->traces & CRASHED)
        crash();
    learn(call);
    (void)printf("%-24s", call->title);
    for (enum failing failing = FAIL_NONE + 1; failing < FAILINGS; failing++) {
        long reached = 0;

        if (failing != FAIL_USABLE || (call->traces & READS) == 0) {
            reached = fail_everywhere(call, failing, false);
            if (failing != FAIL_USABLE && reached > 0)
                (void)fail_everywhere(call, failing, true);
        }
        if (reached > 0)
            (void)printf(" %8ld", reached);
        else
            (void)printf(" %8s", ".");
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

/* ---- the exported functions ---- */

/* Exported functions that reach no plug, or are no part of the core. */
static bool reaches_no_plug(const char *name)
{
    static const char *const prefixes[] = {"ext2dax_host_",  "ext2dax_locks_",  "ext2dax_memory_", "ext2dax_process_",
                                           "ext2dax_digest", "ext2dax_tally_",  "ext2dax_version", "ext2dax_strerror",
                                           "ext2dax_report", "ext2dax_feature_"};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

static int compare_with_list(const char *path)
{
    FILE *list = fopen(path, "r");
    char name[128];
    unsigned missing = 0;

    MUST(list);
    while (fscanf(list, "%127s", name) == 1) {
        bool is_here = strncmp(name, "ext2dax_", 8) != 0 || reaches_no_plug(name);

        for (unsigned i = 0; i < calls_count && !is_here; i++)
            is_here = strcmp(calls[i].function, name) == 0;
        if (!is_here) {
            (void)printf("%s is exported and in no row of the table\n", name);
            missing++;
        }
    }
    (void)fclose(list);
    return missing == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the program ---- */

/* Tries the calls with this title, or all calls for NULL. */
static void try_tree(unsigned number, const char *title)
{
    r.tree = tree_get(number);
    r.size = r.tree->size;
    r.base = aligned_alloc(65536, (r.size + 65535) & ~(size_t)65535);
    MUST(r.base);
    (void)printf("blocks of %u bytes, %s\n%-24s", (unsigned)r.tree->block_size,
                 r.tree->order == EXT2DAX_ORDERED ? "ordered" : "unordered", "call");
    for (enum failing failing = FAIL_NONE + 1; failing < FAILINGS; failing++)
        (void)printf(" %8s", failing_names[failing]);
    (void)printf("\n");
    for (unsigned i = 0; i < calls_count; i++) {
        if (!title || strcmp(calls[i].title, title) == 0)
            try_call(&calls[i]);
    }
    free(r.base);
}

/* Runs the first tree in another process, because a broken core may do anything. */
static bool is_noticed(const char *mutant)
{
    int status;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stdout);
        (void)!freopen("/dev/null", "w", stderr);
        if (ext2dax_mutant_activate(mutant) == 0)
            try_tree(0, NULL);
        _exit(EXIT_SUCCESS);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status != 0;
}

static int try_mutants(void)
{
    unsigned tried = 0, missed = 0;

    for (int i = 0; i < ext2dax_mutant_count(); i++) {
        if (ext2dax_mutant_kind(i) != EXT2DAX_MUTANT_FAILURE)
            continue;
        bool noticed = is_noticed(ext2dax_mutant_name(i));

        (void)printf("%s %s\n", ext2dax_mutant_name(i), noticed ? "noticed" : "NOT NOTICED");
        tried++;
        missed += !noticed;
    }
    return tried != 0 && missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : NULL;
    bool all = what && strcmp(what, "all") == 0;

    (void)signal(SIGABRT, tell);
    (void)signal(SIGSEGV, tell);
    if (what && strcmp(what, "--list") == 0 && argc > 2)
        return compare_with_list(argv[2]);
    if (what && strcmp(what, "--mutants") == 0)
        return try_mutants();
    for (unsigned number = 0; number < (what ? TREES : 1); number++)
        try_tree(number, all ? NULL : what);
    (void)printf("%lu failures in %u calls\n", rounds, calls_count);
    return EXIT_SUCCESS;
}
