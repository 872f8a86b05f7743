/* SPDX-License-Identifier: MIT */
/*
 * own_memory shows how to write a memory backend and how to test the order of its write-backs.
 *
 * The image lies in ordinary memory, in part of an arena of the program, and is mirrored to a file.
 * `persist` records lines to write, and `fence` writes the recorded lines and waits until the file
 * has all lines. A store without a `persist` never reaches the file. A shared mapping could not
 * guarantee this. So at any moment the file holds the state after a crash, and the library may
 * treat the memory as persistent. Parts of the file that could not be read at open are poison,
 * reported by `check`. After a write error the filesystem accepts no more changes.
 *
 * A journal also keeps all written ranges. The program changes a filesystem, then simulates a power
 * failure after every written range. For each failure the program mounts the result and checks for
 * the file from before, and for bytes never written to any file. With --bug `fence` returns before
 * writing.
 */
#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the backend ---- */

#define LINE  ((size_t)64) /* bytes written together */
#define QUEUE 64           /* maximum of queued ranges, a further range forces a write */

struct range {
    size_t at, length; /* in bytes, relative to the memory */
};

struct mirror {
    /*
     * Guards all fields below. A leaf lock, because any thread may call an op under any lock of the
     * core.
     */
    pthread_mutex_t mutex;
    unsigned char *base;
    size_t size;
    int file;
    struct range queue[QUEUE];
    unsigned queued;
    struct range poison;
    bool broken; /* simulates a missing disk */
    unsigned long fences;
    int (*sent)(void *arg, const struct range *range, unsigned long fences); /* journal, or NULL */
    void *arg;
};

static bool bug;

/* Writes all queued ranges to the file. Needs the mutex. */
static int send(struct mirror *mirror)
{
    for (unsigned i = 0; i < mirror->queued; i++) {
        const struct range *range = &mirror->queue[i];

        if (mirror->broken ||
            pwrite(mirror->file, mirror->base + range->at, range->length, (off_t)range->at) != (ssize_t)range->length)
            return -EXT2DAX_EIO;
        if (mirror->sent && mirror->sent(mirror->arg, range, mirror->fences))
            return -EXT2DAX_EIO;
    }
    mirror->queued = 0;
    return 0;
}

/*
 * Starts a write-back of whole lines. A range that starts inside or right after the last queued
 * range is merged, the common case.
 */
static int persist(void *ctx, const void *at, size_t length)
{
    struct mirror *mirror = ctx;
    size_t first = (size_t)((const unsigned char *)at - mirror->base);
    size_t from = first / LINE * LINE, to = (first + length + LINE - 1) / LINE * LINE;
    struct range *last;
    int error = 0;

    if (length == 0)
        return 0;
    to = to < mirror->size ? to : mirror->size;
    pthread_mutex_lock(&mirror->mutex);
    last = mirror->queued ? &mirror->queue[mirror->queued - 1] : NULL;
    if (last && from >= last->at && from <= last->at + last->length) {
        if (to > last->at + last->length)
            last->length = to - last->at;
    } else {
        if (mirror->queued == QUEUE)
            error = send(mirror);
        if (!error)
            mirror->queue[mirror->queued++] = (struct range){from, to - from};
    }
    pthread_mutex_unlock(&mirror->mutex);
    return error;
}

/*
 * Finishes all write-backs. Holds the mutex throughout, so a concurrent fence in another thread
 * also waits until the ranges recorded by the other thread are written.
 */
static int fence(void *ctx)
{
    struct mirror *mirror = ctx;
    int error = 0;

    if (bug)
        return 0;
    pthread_mutex_lock(&mirror->mutex);
    if (mirror->queued) {
        error = send(mirror);
        if (!error && fdatasync(mirror->file) != 0)
            error = -EXT2DAX_EIO;
    }
    mirror->fences++;
    pthread_mutex_unlock(&mirror->mutex);
    return error;
}

static int zero(void *ctx, void *at, size_t length)
{
    memset(at, 0, length);
    return persist(ctx, at, length);
}

static int readable(void *ctx, const void *at, size_t length)
{
    const struct mirror *mirror = ctx;
    size_t from = (size_t)((const unsigned char *)at - mirror->base);

    return from < mirror->poison.at + mirror->poison.length && mirror->poison.at < from + length ? -EXT2DAX_EIO : 0;
}

static const struct ext2dax_memory_ops ops = {
    .size = sizeof(ops), .zero = zero, .persist = persist, .fence = fence, .check = readable};

/*
 * Mirrors [base, base + size) to the file. Reads the file first and extends a shorter file to
 * `size`.
 */
static int mirror_open(struct mirror *mirror, void *base, size_t size, int file, struct ext2dax_memory *memory)
{
    struct stat stat;

    if (fstat(file, &stat) != 0 || (stat.st_size < (off_t)size && ftruncate(file, (off_t)size) != 0))
        return -EXT2DAX_EIO;
    *mirror = (struct mirror){.mutex = PTHREAD_MUTEX_INITIALIZER, .base = base, .size = size, .file = file};
    for (size_t at = 0; at < size; at += LINE) {
        if (pread(file, mirror->base + at, size - at < LINE ? size - at : LINE, (off_t)at) >= 0)
            continue;
        /*
         * A single range is enough here. The range extends over all bytes between two unreadable
         * lines.
         */
        if (!mirror->poison.length)
            mirror->poison.at = at;
        mirror->poison.length = at + LINE - mirror->poison.at;
    }
    *memory = (struct ext2dax_memory){
        .ops = &ops, .ctx = mirror, .base = base, .size = size, .flags = EXT2DAX_MEMORY_PERSISTENT};
    return 0;
}

/* ---- the test ---- */

enum { IMAGE = 256 << 10, PIECE = 9000 };

/*
 * The arena of the program. Holds the mirrored image, and a second image to mount the state after a
 * crash.
 */
static struct {
    _Alignas(4096) unsigned char image[IMAGE], crashed[IMAGE];
} arena;

/* Journal of written ranges, in order, starting from the image in `at_first`. */
static struct record {
    struct range range;
    unsigned long fences; /* number of fences before */
    unsigned char *bytes;
} * journal;
static size_t records;
static unsigned char at_first[IMAGE];

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "own_memory: %s\n", what);
    exit(1);
}

static void must(int64_t error)
{
    if (error < 0)
        check(false, ext2dax_strerror((int)error));
}

static int note(void *arg, const struct range *range, unsigned long fences)
{
    struct record *more = realloc(journal, (records + 1) * sizeof(*journal));
    const struct mirror *mirror = arg;

    if (!more)
        return -1;
    journal = more;
    journal[records] = (struct record){*range, fences, malloc(range->length)};
    if (!journal[records].bytes)
        return -1;
    memcpy(journal[records++].bytes, mirror->base + range->at, range->length);
    return 0;
}

static struct ext2dax_mount *mounted(const struct ext2dax_memory *memory)
{
    struct ext2dax_plugs plugs = {.locks = ext2dax_locks_default(), .memory = *memory, .host = ext2dax_host_default()};
    struct ext2dax_mount_options options = {.size = sizeof(options), .recover = ext2dax_recover};
    struct ext2dax_mount *mount;

    must(ext2dax_mount(&plugs, &options, &mount));
    return mount;
}

static struct ext2dax_inode *found(struct ext2dax_mount *mount, const char *path)
{
    struct ext2dax_inode *inode;

    must(ext2dax_lookup_path(mount, path, strlen(path), 0, &inode));
    return inode;
}

static void has(struct ext2dax_inode *file, char letter, const char *what)
{
    char text[PIECE];

    check(ext2dax_read(file, 0, text, PIECE) == PIECE && text[0] == letter && !memcmp(text, text + 1, PIECE - 1), what);
}

static struct ext2dax_inode *make(struct ext2dax_mount *mount, const char *name, char letter)
{
    struct ext2dax_inode *root = found(mount, "/"), *file;
    char text[PIECE];

    memset(text, letter, PIECE);
    must(ext2dax_create(root, name, strlen(name), 0644, 0, 0, &file));
    must(ext2dax_write(file, 0, text, PIECE));
    ext2dax_inode_put(root);
    return file;
}

/* Allocates and frees blocks, creates and removes names. */
static void work(struct ext2dax_mount *mount)
{
    struct ext2dax_inode *root = found(mount, "/"), *a = make(mount, "a", 'a'), *b = make(mount, "b", 'b');

    must(ext2dax_truncate(a, 20));
    must(ext2dax_unlink(root, "a", 1));
    ext2dax_inode_put(a);
    must(ext2dax_allocate(b, PIECE, 16 << 10, false));
    must(ext2dax_punch(b, 1024, 4096));
    must(ext2dax_fsync(b));
    must(ext2dax_truncate(b, 0));
    ext2dax_inode_put(b);
    ext2dax_inode_put(root);
}

/*
 * A file interrupted by the crash may be missing. If present, the file must hold only its own bytes
 * or zeroes, never old bytes of the disk.
 */
static void shows_nothing_stale(struct ext2dax_mount *mount, const char *path)
{
    struct ext2dax_inode *file;
    char text[4 * PIECE];
    int64_t length;

    if (ext2dax_lookup_path(mount, path, strlen(path), 0, &file) != 0)
        return;
    length = ext2dax_read(file, 0, text, sizeof(text));
    must(length);
    for (int64_t i = 0; i < length; i++)
        check(text[i] == path[1] || text[i] == 0, "a crash shows bytes never written");
    ext2dax_inode_put(file);
}

/*
 * Simulates a power failure. The image gets all records before the open epoch and, of the epoch,
 * the records [from, to).
 */
static void power_fails(size_t epoch, size_t from, size_t to)
{
    static const struct ext2dax_memory_ops plain = {.size = sizeof(plain)}; /* minimal backend */
    struct ext2dax_memory memory = {.ops = &plain, .base = arena.crashed, .size = IMAGE};
    struct ext2dax_mount *mount;
    struct ext2dax_inode *kept;

    memcpy(arena.crashed, at_first, IMAGE);
    for (size_t i = 0; i < to; i++) {
        if (i < epoch || i >= from)
            memcpy(arena.crashed + journal[i].range.at, journal[i].bytes, journal[i].range.length);
    }
    mount = mounted(&memory); /* repairs the state after the crash */
    kept = found(mount, "/kept");
    has(kept, 'k', "a crash loses synced bytes");
    ext2dax_inode_put(kept);
    shows_nothing_stale(mount, "/a");
    shows_nothing_stale(mount, "/b");
    must(ext2dax_unmount(mount));
}

/*
 * Tries every prefix and every suffix of each epoch. A fence ends an epoch, and the order of writes
 * within an epoch is not defined.
 */
static size_t fail_everywhere(void)
{
    size_t tried = 0, epoch = 0;

    for (size_t i = 0; i < records; i++) {
        size_t end = i + 1;

        while (end < records && journal[end].fences == journal[i].fences)
            end++;
        epoch = i > 0 && journal[i].fences == journal[i - 1].fences ? epoch : i;
        power_fails(epoch, epoch, i + 1);
        power_fails(epoch, i, end);
        tried += 2;
    }
    return tried;
}

/* Is the file equal to the memory? Must hold after a sync. */
static bool is_sent(const struct mirror *mirror)
{
    unsigned char *bytes = malloc(IMAGE);
    bool same = bytes && pread(mirror->file, bytes, IMAGE, 0) == IMAGE && !memcmp(bytes, mirror->base, IMAGE);

    free(bytes);
    return same;
}

static void look_at_order(struct mirror *mirror, struct ext2dax_mount *mount)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(mount, &figures, sizeof(figures));
    check(figures.ordered, "the memory is not taken for persistent");
    must(ext2dax_sync(mount));
    check(is_sent(mirror), "synced bytes are not in the file");
    memcpy(at_first, mirror->base, IMAGE);
    mirror->sent = note;
    mirror->arg = mirror;
    work(mount);
    must(ext2dax_sync(mount));
    mirror->sent = NULL;
    check(is_sent(mirror), "bytes synced later are not in the file");
    check(records > 0, "nothing is sent");
    printf("%zu ranges sent in %lu epochs; ", records, journal[records - 1].fences - journal[0].fences + 1);
    printf("%zu crashes, the file that was synced in all of them, nothing stale in any\n", fail_everywhere());
}

static void look_at_errors(struct mirror *mirror, struct ext2dax_mount *mount, struct ext2dax_inode *kept)
{
    struct ext2dax_statfs figures;
    struct ext2dax_run run;
    char byte;

    ext2dax_statfs(mount, &figures, sizeof(figures));
    must(ext2dax_map(kept, 0, 1, &run));
    mirror->poison = (struct range){(size_t)run.physical * figures.block_size, LINE};
    check(ext2dax_read(kept, 0, &byte, 1) == -EXT2DAX_EIO, "poison is read");
    check(ext2dax_read(kept, figures.block_size, &byte, 1) == 1 && byte == 'k', "the block after poison is not read");
    mirror->poison = (struct range){0};
    mirror->broken = true;
    check(ext2dax_truncate(kept, 1) == -EXT2DAX_EIO, "a change succeeds that cannot be durable");
    ext2dax_statfs(mount, &figures, sizeof(figures));
    check(figures.read_only, "the mount goes on changing after a fence has failed");
    check(ext2dax_unmount(mount) == -EXT2DAX_EBUSY, "unmounted while an inode is held");
    printf("poison is EIO; after a fence that failed the filesystem changes no more\n");
}

int main(int argc, char **argv)
{
    struct ext2dax_format_options format = {.size = sizeof(format), .block_size = 1024};
    struct ext2dax_memory memory;
    struct ext2dax_mount *mount;
    struct ext2dax_inode *kept;
    struct mirror mirror;
    FILE *file;

    bug = argc == 2 && !strcmp(argv[1], "--bug");
    if (argc > 1 && !bug)
        return fprintf(stderr, "Usage: own_memory [--bug]\n"), 2;
    memset(at_first, '?', IMAGE);
    file = tmpfile();
    check(file && pwrite(fileno(file), at_first, IMAGE, 0) == IMAGE, "no file to mirror to");
    must(mirror_open(&mirror, arena.image, IMAGE, fileno(file), &memory));
    must(ext2dax_format(&memory, &format, NULL));
    mount = mounted(&memory);
    kept = make(mount, "kept", 'k');
    look_at_order(&mirror, mount);
    look_at_errors(&mirror, mount, kept);
    ext2dax_inode_put(kept);
    check(ext2dax_unmount(mount) == -EXT2DAX_EIO, "unmounting forgets that the image is not durable");
    while (records > 0)
        free(journal[--records].bytes);
    free(journal);
    fclose(file);
    return fflush(stdout) != 0;
}
