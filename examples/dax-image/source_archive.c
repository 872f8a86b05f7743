/* SPDX-License-Identifier: MIT */
/*
 * An archive as a source, read by libarchive. The data of files goes to an unnamed temporary file
 * beside the image, because the data comes before the size of the image is known.
 *
 * Every path is taken relative to the root of the image. A path that leads outside, or through a
 * symbolic link, is a failure.
 */
#include "archive_attributes.h"
#include "dax-image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_ARCHIVE

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_BLOCK  ((size_t)1 << 16)
#define SPOOL_ALIGN ((uint64_t)1 << 16) /* a multiple of every block size */
/* Above the largest file of every block size, so that sums of sizes cannot overflow. */
#define LARGEST_SIZE ((uint64_t)1 << 42)

struct source {
    struct tree *tree;
    const char *path;
    struct archive *archive;
    int spool;
    uint64_t spool_end;
};

static int archive_failed(const struct source *source, const char *path)
{
    const char *why = archive_error_string(source->archive);

    return failed(source->path, "%s%s%s", path ? path : "", path ? ": " : "", why ? why : "cannot be read");
}

/* ---- paths ---- */

/* Returns the length of the next component, skipping slashes and ".", or 0 at the end. */
static size_t component(const char **at)
{
    for (;;) {
        while (**at == '/')
            ++*at;
        size_t length = strcspn(*at, "/");
        if (length != 1 || **at != '.')
            return length;
        ++*at;
    }
}

/*
 * Finds the directory and the last name of a path. The last name is empty for the root. With `make`
 * missing directories are added. *directory is NULL if a directory is missing.
 */
static int resolve(const struct source *source, const char *path, bool make, struct node **directory, const char **name,
                   size_t *length)
{
    struct tree *tree = source->tree;
    const char *at = path;

    *directory = tree->root;
    if (*path == '/')
        return failed(source->path, "%s: the path is absolute", path);
    for (*length = component(&at);; *length = component(&at)) {
        const char *next = at + *length;
        *name = at;
        if (*length == 2 && at[0] == '.' && at[1] == '.')
            return failed(source->path, "%s: the path leads outside", path);
        if (*length > 255)
            return failed(source->path, "%s: a name is longer than 255 bytes", path);
        if (!component(&next))
            return 0;
        struct node *node = tree_find(tree, *directory, at, *length);
        if (!node && make) {
            struct inode *inode = inode_new();
            if (inode) {
                inode->mode = EXT2DAX_S_IFDIR | 0755;
                inode->implied = true;
            }
            node = inode ? tree_add(tree, *directory, at, *length, inode) : NULL;
            if (!node)
                return out_of_memory();
        }
        if (node && inode_type(node->inode) != EXT2DAX_S_IFDIR)
            return failed(source->path, "%s: the path leads through %s", path,
                          inode_type(node->inode) == EXT2DAX_S_IFLNK ? "a symbolic link" : "a file");
        *directory = node;
        if (!node)
            return 0;
        if (make)
            node->layer = tree->layer;
        at += *length;
    }
}

/* ---- data ---- */

static int open_spool(struct source *source)
{
    const char *directory = source->tree->spool_directory;
    char *name = NULL;

    source->spool = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (source->spool < 0 && asprintf(&name, "%s/.dax-image-XXXXXX", directory) >= 0) {
        source->spool = mkostemp(name, O_CLOEXEC);
        if (source->spool >= 0)
            unlink(name);
        free(name);
    }
    if (source->spool < 0)
        return failed(directory, "a temporary file: %s", strerror(errno));
    return tree_keep_descriptor(source->tree, source->spool) ? 0 : out_of_memory();
}

static int spool(const struct source *source, const char *bytes, size_t length, uint64_t at)
{
    while (length) {
        ssize_t wrote = pwrite(source->spool, bytes, length, (off_t)at);
        if (wrote < 0 && errno != EINTR)
            return failed(source->tree->spool_directory, "a temporary file: %s", strerror(errno));
        wrote = wrote < 0 ? 0 : wrote;
        bytes += wrote;
        length -= (size_t)wrote;
        at += (uint64_t)wrote;
    }
    return 0;
}

/* Copies the data of the entry to the spool. Holes of the entry stay holes. */
static int copy_data(struct source *source, struct archive_entry *entry, struct inode *inode, const char *path)
{
    uint64_t end = 0;
    const void *bytes;
    size_t length;
    la_int64_t offset;
    int code = 0, result;

    if (source->spool < 0)
        code = open_spool(source);
    bool sized = archive_entry_size_is_set(entry);
    inode->spool = source->spool;
    inode->base = source->spool_end;
    inode->run_count = 0;
    inode->size = sized ? (uint64_t)archive_entry_size(entry) : LARGEST_SIZE;
    if (inode->size > LARGEST_SIZE)
        return failed(source->path, "%s: the file is larger than files of an image can be", path);
    while (!code && (result = archive_read_data_block(source->archive, &bytes, &length, &offset)) != ARCHIVE_EOF) {
        if (result != ARCHIVE_OK)
            return archive_failed(source, path);
        if (interrupted)
            return failed(source->path, "interrupted");
        end = (uint64_t)offset + length;
        if (end > inode->size)
            return failed(source->path, "%s: more data than the archive announces", path);
        code = spool(source, bytes, length, inode->base + (uint64_t)offset);
        if (!code && !inode_run(inode, source->tree->options, (uint64_t)offset, end))
            code = out_of_memory();
    }
    inode->size = sized ? inode->size : end;
    source->spool_end += (inode->size + SPOOL_ALIGN - 1) / SPOOL_ALIGN * SPOOL_ALIGN;
    /* The rounding of the last run may reach past the end of the temporary file. */
    if (!code && ftruncate(source->spool, (off_t)source->spool_end))
        code = failed(source->tree->spool_directory, "a temporary file: %s", strerror(errno));
    return code;
}

/* ---- entries ---- */

/*
 * Returns the time of an entry. For a time before 1970 in a PAX header libarchive returns whole
 * seconds and fraction of the absolute value, with the sign on the seconds only.
 */
static struct ext2dax_time entry_time(const struct source *source, struct archive_entry *entry)
{
    int64_t seconds = archive_entry_mtime(entry);
    long nanoseconds = archive_entry_mtime_nsec(entry);

    if (archive_format(source->archive) == ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE && seconds < 0 && nanoseconds > 0) {
        seconds--;
        nanoseconds = 1000000000 - nanoseconds;
    }
    return (struct ext2dax_time){.seconds = seconds, .nanoseconds = (uint32_t)nanoseconds};
}

static int fill_inode(struct source *source, struct archive_entry *entry, struct inode *inode, const char *path)
{
    la_int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    unsigned type = (unsigned)archive_entry_filetype(entry);

    if (uid < 0 || gid < 0 || uid > UINT32_MAX || gid > UINT32_MAX)
        return failed(source->path, "%s: the owner does not fit 32 bits", path);
    inode->mode = (uint16_t)(type | (archive_entry_mode(entry) & 07777));
    inode->uid = (uint32_t)uid;
    inode->gid = (uint32_t)gid;
    inode->mtime = entry_time(source, entry);
    int code = archive_attributes(source->path, entry, inode, path);
    if (code)
        return code;
    if (type == EXT2DAX_S_IFREG)
        return copy_data(source, entry, inode, path);
    if (type == EXT2DAX_S_IFCHR || type == EXT2DAX_S_IFBLK) {
        inode->device_major = (uint32_t)archive_entry_rdevmajor(entry);
        inode->device_minor = (uint32_t)archive_entry_rdevminor(entry);
    } else if (type == EXT2DAX_S_IFLNK) {
        const char *target = archive_entry_symlink(entry);
        inode->target = target ? strdup(target) : NULL;
        inode->size = target ? strlen(target) : 0;
        if (!inode->target)
            return failed(source->path, "%s: a symbolic link without a target", path);
    } else if (type != EXT2DAX_S_IFDIR && type != EXT2DAX_S_IFIFO && type != EXT2DAX_S_IFSOCK) {
        return failed(source->path, "%s: an entry of unknown type", path);
    }
    return 0;
}

/* Finds the inode of a hard link, which the archive has named before. */
static int find_link(struct source *source, const char *target, const char *path, struct inode **inode)
{
    struct node *directory;
    const char *name;
    size_t length;

    int code = resolve(source, target, false, &directory, &name, &length);
    if (code)
        return code;
    const struct node *node = directory && length ? tree_find(source->tree, directory, name, length) : NULL;
    if (!node || inode_type(node->inode) == EXT2DAX_S_IFDIR)
        return failed(source->path, "%s: a hard link to %s, which is no file of the archive", path, target);
    *inode = node->inode;
    return 0;
}

static int add_entry(struct source *source, struct archive_entry *entry, const char *path)
{
    const char *name, *target = archive_entry_hardlink(entry);
    struct inode *inode = NULL;
    struct node *directory;
    char text[256];
    size_t length;

    int code = resolve(source, path, true, &directory, &name, &length);
    if (code)
        return code;
    memcpy(text, name, length);
    text[length] = 0;
    if (tree_whiteout(source->tree, directory, text))
        return 0;
    if (target) {
        code = find_link(source, target, path, &inode);
        bool has_data = archive_entry_size_is_set(entry) && archive_entry_size(entry) > 0;
        if (!code && has_data && inode_type(inode) != EXT2DAX_S_IFREG)
            code = failed(source->path, "%s: data for a hard link to %s, which is no regular file", path, target);
        else if (!code && has_data)
            code = copy_data(source, entry, inode, path);
    } else {
        inode = inode_new();
        if (!inode)
            return out_of_memory();
        code = fill_inode(source, entry, inode, path);
        if (code)
            inode_free(inode);
    }
    if (code)
        return code;
    if (length)
        return tree_add(source->tree, directory, text, length, inode) ? 0 : out_of_memory();
    if (inode_type(inode) == EXT2DAX_S_IFDIR) {
        tree_set_root(source->tree, inode);
        return 0;
    }
    if (!target)
        inode_free(inode);
    return failed(source->path, "%s: the root is no directory", path);
}

/* A tar archive that was cut between two files has no block of zeroes at the end. */
static bool ends_early(const struct source *source)
{
    int64_t rest = archive_filter_bytes(source->archive, 0) - archive_read_header_position(source->archive);

    return (archive_format(source->archive) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR && rest < 512;
}

static bool is_path_excluded(const struct source *source, const char *path)
{
    while (path[0] == '.' && path[1] == '/')
        path += strspn(path + 1, "/") + 1;
    return is_excluded(source->tree->options, path);
}

static int read_entries(struct source *source)
{
    struct archive_entry *entry;
    int code = 0, result;

    while (!code && (result = archive_read_next_header(source->archive, &entry)) != ARCHIVE_EOF) {
        if (interrupted)
            return failed(source->path, "interrupted");
        /* Names are bytes, so the locale is of no importance. */
        if (result == ARCHIVE_WARN && !strstr(archive_error_string(source->archive), "converted"))
            archive_failed(source, "warning");
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
            return archive_failed(source, NULL);
        const char *path = archive_entry_pathname(entry);
        if (!path)
            return archive_failed(source, "a name");
        char *kept = strdup(path);
        if (!kept)
            return out_of_memory();
        if (!is_path_excluded(source, kept))
            code = add_entry(source, entry, kept);
        free(kept);
    }
    /* As after a program that failed before a pipe. An archive without members has an end. */
    if (!code && archive_format(source->archive) == ARCHIVE_FORMAT_EMPTY)
        code = failed(source->path, "the archive is empty");
    if (!code && ends_early(source))
        code = failed(source->path, "the archive ends early");
    return code;
}

/* Reads an archive from the descriptor. */
static int read_archive(struct tree *tree, const char *path, int descriptor)
{
    struct source source = {.tree = tree, .path = path, .archive = archive_read_new(), .spool = -1};

    /* Names are bytes. A fixed locale keeps libarchive from converting to the user's locale. */
    setlocale(LC_CTYPE, "C.UTF-8");
    if (!source.archive)
        return out_of_memory();
    archive_read_support_filter_all(source.archive);
    archive_read_support_format_all(source.archive);
    int code = archive_read_open_fd(source.archive, descriptor, READ_BLOCK) == ARCHIVE_OK
                   ? read_entries(&source)
                   : archive_failed(&source, NULL);
    archive_read_free(source.archive);
    return code;
}

#else

static int read_archive(struct tree *tree, const char *path, int descriptor)
{
    (void)tree, (void)descriptor;
    return failed(path, "not a directory, and this dax-image was built without libarchive");
}

#endif

int source_archive(struct tree *tree, const char *path)
{
    bool is_stdin = !strcmp(path, "-");
    int descriptor = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (is_stdin)
        return read_archive(tree, "standard input", descriptor);
    if (descriptor >= 0) {
        if (!tree_keep_descriptor(tree, descriptor)) {
            close(descriptor);
            return out_of_memory();
        }
        return source_directory(tree, path, descriptor);
    }
    if (errno == ENOTDIR)
        descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return failed(path, "%s", strerror(errno));
    int code = read_archive(tree, path, descriptor);
    close(descriptor);
    return code;
}
