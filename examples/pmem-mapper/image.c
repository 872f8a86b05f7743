/* SPDX-License-Identifier: MIT */
/*
 * An open image: how the four plugs are put together, and what is said when something fails. This is the part to copy
 * into a program of your own.
 *
 * Why a call failed is asked when it has returned: the library has kept that for the thread. The log hook, which may run
 * under the library's locks and in the fault handler, is left with what no call fails by: it copies a warning, and
 * shows how far recovery is.
 */
#include "mapper.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * What the calling thread's next message is about. Each failure is told as soon as the call has returned, so the mark of the
 * last message does for all calls after it.
 */
static _Thread_local struct {
    uint64_t mark;
    struct ext2dax_report touch; /* with an error: of a touch that was refused */
} to_tell;

/* Only the thread that mounts is told of recovery, with nothing held that drawing could disturb. */
static void keep_recovery(struct image *image, const struct ext2dax_report *report)
{
    if (!strcmp(report->structure, "recovery step")) {
        image->recovering.total = report->value;
        progress_step(&image->recovering, report->number);
    } else if (!strcmp(report->structure, "recovery") && image->mended_kinds < MENDED_KINDS) {
        image->mended[image->mended_kinds++] = *report;
    }
}

static void say_mended(const struct image *image)
{
    if (!image->mended_kinds)
        return;
    fprintf(stderr, "pmem-mapper: %s: was not cleanly unmounted, recovered:", image->path);
    for (unsigned i = 0; i < image->mended_kinds; i++) {
        const struct ext2dax_report *mended = &image->mended[i];
        fprintf(stderr, "%s %llu %s %s", i ? ";" : "", (unsigned long long)mended->value, mended->field,
                mended->reason);
    }
    fputc('\n', stderr);
}

void image_keep_report(void *arg, const struct ext2dax_report *report)
{
    struct image *image = arg;

    if (report->level == EXT2DAX_LEVEL_INFO && !report->error)
        keep_recovery(image, report);
    if (report->level != EXT2DAX_LEVEL_WARNING || atomic_flag_test_and_set(&image->report_busy))
        return;
    image->warning = *report;
    atomic_flag_clear(&image->report_busy);
}

static void say(const char *image_path, const char *format, va_list list)
{
    if (image_path)
        fprintf(stderr, "pmem-mapper: %s: ", image_path);
    else
        fputs("pmem-mapper: ", stderr);
    vfprintf(stderr, format, list);
}

int say_failed(const char *image_path, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say(image_path, format, list);
    va_end(list);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

int system_failed(const char *image_path, int number, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    say(image_path, format, list);
    va_end(list);
    fprintf(stderr, ": %s\n", strerror(number));
    return EXIT_FAILED;
}

int image_failed(const struct image *image, int error, const char *format, ...)
{
    char text[256];
    va_list list;

    va_start(list, format);
    say(image->path, format, list);
    va_end(list);
    if (to_tell.touch.error)
        ext2dax_report_text(&to_tell.touch, text, sizeof(text));
    else
        ext2dax_host_describe(to_tell.mark, error, text, sizeof(text));
    fprintf(stderr, ": %s\n", text);
    to_tell.touch.error = 0;
    to_tell.mark = ext2dax_host_mark();
    return EXIT_FAILED;
}

int touch_refused(int otherwise)
{
    return ext2dax_host_fault_report(to_tell.mark, &to_tell.touch) ? to_tell.touch.error : otherwise;
}

/* Windows want the mount's page to be the processor's. */
static unsigned page_shift(void)
{
    long page = sysconf(_SC_PAGESIZE);
    unsigned shift = 10;

    while (shift < 16 && 1L << shift < page)
        shift++;
    return shift;
}

int image_open(struct image *image, const struct request *request, bool writable)
{
    memset(image, 0, sizeof(*image));
    atomic_flag_clear(&image->report_busy);
    image->path = request->image;
    image->locks = request->locks;

    int error = ext2dax_file_open(image->path, writable ? 0 : EXT2DAX_FILE_READ_ONLY, 0, &image->memory);
    if (error)
        return system_failed(image->path, -error, writable ? "open for writing" : "open");
    image->memory_open = true;
    image->writable = writable;
    opened = image;

    struct ext2dax_host_options host_options = {
        .size = sizeof(host_options), .log = image_keep_report, .log_arg = image};
    error = ext2dax_host_open(&host_options, &image->host);
    if (error)
        return image_failed(image, error, "open");
    image->host_open = true;

    struct ext2dax_plugs plugs = {.locks = image->locks, .memory = image->memory, .host = image->host};
    struct ext2dax_process_options process_options = {
        .size = sizeof(process_options), .way = request->way, .collapse = request->collapse};
    const char *why = NULL;
    if (request->way != EXT2DAX_PROCESS_SIGSEGV && ext2dax_process_may(request->way, &why) != 0)
        return say_failed(image->path, "serve page faults: %s", why);
    error = ext2dax_process_open(&image->memory, image->locks, &process_options, &image->process);
    if (error && error != -EXT2DAX_EOPNOTSUPP)
        return system_failed(image->path, -error, "serve page faults");
    if (error)
        image->process = NULL;
    else
        plugs.address_space = ext2dax_process_address_space(image->process);

    struct ext2dax_mount_options options = {
        .size = sizeof(options), .flags = writable ? 0 : EXT2DAX_MOUNT_READ_ONLY, .page_shift = page_shift()};
    if (request->no_recovery)
        options.flags |= EXT2DAX_MOUNT_NO_RECOVERY;
    progress_start(&image->recovering, "recovering", 0);
    error = ext2dax_mount(&plugs, &options, &image->mount);
    progress_end(&image->recovering);
    say_mended(image);
    if (error)
        return image_failed(image, error, writable ? "mount for writing" : "mount");
    ext2dax_statfs(image->mount, &image->figures);
    return 0;
}

int image_close(struct image *image, int code)
{
    int error;

    if (image->mount) {
        error = ext2dax_unmount(image->mount);
        if (error)
            code = image_failed(image, error, "unmount");
    }
    opened = NULL;
    if (image->process) {
        error = ext2dax_process_close(image->process);
        if (error)
            code = image_failed(image, error, "stop serving page faults");
    }
    if (image->mount && image->warning.structure) {
        char text[256];
        ext2dax_report_text(&image->warning, text, sizeof(text));
        fprintf(stderr, "pmem-mapper: %s: warning: %s\n", image->path, text);
    }
    if (image->host_open)
        ext2dax_host_close(&image->host);
    if (image->memory_open)
        ext2dax_file_close(&image->memory);
    return code;
}

int image_file(struct image *image, const char *verb, const char *path, struct ext2dax_inode **inode)
{
    struct ext2dax_stat figures;
    size_t length = strlen(path);

    int error = ext2dax_lookup_path(image->mount, path, length, 0, inode);
    if (error)
        return image_failed(image, error, "%s %s", verb, path);
    ext2dax_stat(*inode, &figures);
    unsigned type = figures.mode & EXT2DAX_S_IFMT;
    if (type == EXT2DAX_S_IFREG && path[length - 1] != '/')
        return 0;
    ext2dax_inode_put(*inode);
    *inode = NULL;
    if (type == EXT2DAX_S_IFDIR)
        return say_failed(image->path, "%s %s: %s", verb, path, ext2dax_strerror(-EXT2DAX_EISDIR));
    return say_failed(image->path, "%s %s: %s", verb, path,
                      type == EXT2DAX_S_IFREG ? ext2dax_strerror(-EXT2DAX_ENOTDIR) : "not a regular file");
}

int image_parent(struct image *image, const char *path, struct ext2dax_inode **directory, const char **name,
                 size_t *length)
{
    const char *slash = strrchr(path, '/');

    *name = slash ? slash + 1 : path;
    *length = strlen(*name);
    if (!*length)
        return -EXT2DAX_EISDIR;
    return ext2dax_lookup_path(image->mount, path, (size_t)(*name - path), 0, directory);
}

bool image_is(const struct image *image, const struct stat *host)
{
    struct stat own;
    int descriptor = ext2dax_file_descriptor(&image->memory);

    return descriptor >= 0 && !fstat(descriptor, &own) && own.st_dev == host->st_dev && own.st_ino == host->st_ino;
}
