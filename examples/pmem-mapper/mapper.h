/* SPDX-License-Identifier: MIT */
/*
 * Declarations shared by the files of pmem-mapper.
 *
 * Each command is a function that takes a request (the parsed command line) and returns an exit
 * code. A command opens the image, performs a single operation and closes the image. A failure
 * is printed as "pmem-mapper: IMAGE: what: why".
 */
#ifndef PMEM_MAPPER_H
#define PMEM_MAPPER_H

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>
#include <ext2dax/hosted/process.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

struct request {
    const char *program; /* argv[0] */
    const char *image;
    const char **args; /* the arguments after the image, NULL after the last */
    struct ext2dax_locks locks;
    enum ext2dax_fault_method method;
    uint32_t block_size;
    bool json;
    bool mapped; /* pass the mapping itself to system calls */
    enum access_how { ACCESS_NOTHING, ACCESS_READ, ACCESS_WRITE } access;
    bool collapse;      /* have the kernel make huge pages of the image's memory */
    bool populate;      /* make pages present before an access, or before a system call */
    bool reserve;       /* have the host filesystem allocate a new image in full */
    uint64_t offset;    /* bytes of the file before the image */
    unsigned partition; /* number of the partition that holds the image, 0 for none */
    bool discard;       /* make holes of freed blocks in the image file */
    bool no_recovery;   /* leave an image not cleanly unmounted to e2fsck */
    bool has_uuid;      /* by --uuid */
    uint8_t uuid[16];   /* of a new image */
    char label[17];     /* of a new image */
    bool has_epoch;     /* by --epoch */
    int64_t epoch;      /* the time of a new image, in seconds */
    unsigned threads;
    unsigned seconds;
    bool recursive;   /* a directory with all its contents */
    bool symbolic;    /* ln makes a symbolic link */
    bool parents;     /* mkdir makes missing parents, and accepts an existing directory */
    bool no_follow;   /* a symbolic link itself, instead of its target */
    bool no_create;   /* touch leaves a missing file missing */
    bool no_replace;  /* mv refuses an existing new name */
    bool exchange;    /* mv exchanges the two names */
    bool remove;      /* setfattr removes the attribute */
    bool has_time;    /* `time` was given */
    const char *mode; /* a valid mode for mode_change(), or NULL */
    struct ext2dax_time time;
};

int command_format(const struct request *request);
int command_ls(const struct request *request);
int command_stat(const struct request *request);
int command_mkdir(const struct request *request);
int command_mknod(const struct request *request);
int command_ln(const struct request *request);
int command_mv(const struct request *request);
int command_rm(const struct request *request);
int command_chmod(const struct request *request);
int command_chown(const struct request *request);
int command_touch(const struct request *request);
int command_getfattr(const struct request *request);
int command_setfattr(const struct request *request);
int command_put(const struct request *request);
int command_get(const struct request *request);
int command_map(const struct request *request);
int command_access(const struct request *request); /* map --access */
int command_truncate(const struct request *request);
int command_punch(const struct request *request);
int command_race(const struct request *request);
int command_churn(const struct request *request);
int command_demo(const struct request *request);

/* options.c. Prints "pmem-mapper: what: why" and a hint at --help. Returns EXIT_USAGE. */
int usage(const char *what, const char *why);

/*
 * number.c. Parses a number such as "4096", "64K" or "1G". The suffixes K, M, G and T are
 * binary. Returns 0 or a positive errno
 *   EINVAL   the text is not a number
 *   ERANGE   the number does not fit in 64 bits
 */
int number_parse(const char *text, uint64_t *value);
/*
 * Parses a SIZE, OFFSET or LENGTH argument. Prints an error and returns an exit code, or
 * returns 0.
 */
int number_argument(const struct request *request, const char *what, const char *text, uint64_t *value);

/*
 * mode.c. Applies a change such as "755", "u+x" or "go-w,a+rX" to permission bits. `directory`
 * decides about X. Without a letter of u, g, o and a, bits of the umask stay. Returns false if the
 * text is no mode.
 */
bool mode_change(const char *text, unsigned mode, bool directory, unsigned *changed);
/* Formats a mode as ls does, such as "-rwxr-xr-x". */
void mode_text(unsigned mode, char text[11]);
/* Returns the name of the type of a mode, such as "directory". */
const char *type_text(unsigned mode);

/*
 * when.c. Parses a time, which is "YYYY-MM-DD HH:MM:SS" in UTC or "@SECONDS", each with an
 * optional fraction of up to nine digits. Returns false if the text is no time.
 */
bool time_parse(const char *text, struct ext2dax_time *time);
/* Formats a time in UTC, with nanoseconds if `fraction`. */
void time_text(const struct ext2dax_time *time, bool fraction, char *text, size_t size);

/*
 * identity.c. Parse a UUID in the usual form (not the nil UUID), and a time in seconds below 2^32.
 * Return false if the text is neither.
 */
bool uuid_parse(const char *text, uint8_t uuid[16]);
bool epoch_parse(const char *text, int64_t *epoch);
/*
 * Chooses time and UUID of a new image of `size` bytes, as far as not given. Prints an error and
 * returns an exit code, or returns 0.
 */
int identity_choose(struct request *request, uint64_t size);

/*
 * terminal.c. Writes text to a stream. On a terminal, control bytes are escaped in octal, such
 * as \033.
 */
void print_text(FILE *to, const char *text, size_t length);

/*
 * where.c. The bytes of the file that hold the image. A length of 0 extends to the end of file.
 */
struct where {
    uint64_t offset, length;
};
/*
 * Locates the image by the offset or partition of the request. Prints an error and returns an
 * exit code if the partition cannot be used. Returns 0 otherwise.
 */
int image_where(const struct request *request, struct where *where);

struct partition {
    unsigned number;         /* numbered as in Linux, 5 is the first logical partition of an MBR */
    uint64_t offset, length; /* bytes, may lie outside the file */
    bool holder;             /* an extended partition, which contains logical partitions */
};
struct partitions {
    struct partition *list;
    size_t count, room;
    const char *kind; /* "MBR" or "GPT", NULL if no table exists */
};
/*
 * Reads the partition table of a file of `size` bytes. Returns NULL on success, or a
 * description of the defect. The caller frees *found in both cases.
 */
const char *partitions_read(int descriptor, uint64_t size, struct partitions *found);
void partitions_free(struct partitions *found);
/* Formats the numbers of the partitions, such as "1, 2, 5". Leaves out extended partitions. */
void partitions_text(const struct partitions *found, char *text, size_t size);

/* progress.c. A progress bar on stderr. Shown on a terminal only, after 1 second of work. */
struct progress {
    const char *what;
    uint64_t total;
    double started, drawn;
    bool terminal;
};
void progress_start(struct progress *progress, const char *what, uint64_t total);
void progress_step(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress);
double seconds_now(void);

/* image.c. An open image with the four plugs of the mount. */
#define MENDED_KINDS 16
struct image {
    const char *path;
    struct where where;
    struct ext2dax_locks locks;
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_process *process; /* NULL if this build does not serve page faults */
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures; /* as of the mount */
    atomic_flag report_busy;
    struct ext2dax_report warning; /* the last warning, the strings of a report are static */
    bool memory_open, host_open, writable;
    /* reports of recovery, filled during the mount */
    struct progress recovering;
    struct ext2dax_report repaired[MENDED_KINDS];
    unsigned mended_kinds;
};

/*
 * Opens the range image->where of the file image->path. Returns 0, or prints an error and
 * returns an exit code. Prints a warning if the file is in use and opened all the same.
 */
int image_memory_open(struct image *image, const char *what, unsigned flags);
/*
 * Returns NULL if files can be mapped. Otherwise writes the reason to `text` and returns
 * `text`.
 */
const char *image_unmappable(const struct image *image, char *text, size_t size);

/*
 * identify.c. Describes the content found in place of a mountable image. Returns false if the
 * content is of no known format.
 */
bool identify(const struct image *image, const struct ext2dax_report *report, char *text, size_t size);

/*
 * Opens and mounts an image. Returns 0, or prints an error and returns an exit code. The caller
 * calls image_close() in both cases.
 */
int image_open(struct image *image, const struct request *request, bool writable);
/*
 * Unmounts and releases everything. `code` is the exit code of the command so far. Returns
 * `code`, or EXIT_FAILED if closing fails.
 */
int image_close(struct image *image, int code);

/*
 * Is the log hook of the host of an image. Keeps the last warning in the image (`arg`) and
 * shows the progress of recovery.
 */
void image_keep_report(void *arg, const struct ext2dax_report *report);

/*
 * Prints "pmem-mapper: IMAGE: what: why" on stderr. Called by the thread of the failed call.
 * The why is the report of the library for the call (structure, number, value), or else the
 * text of the error. Returns EXIT_FAILED, as do the next two functions.
 */
int image_failed(const struct image *image, int error, const char *format, ...) PRINTF_LIKE(3, 4);
/* Does the same for a failed system call. `number` is a positive errno. */
int system_failed(const char *image_path, int number, const char *format, ...) PRINTF_LIKE(3, 4);
/* Does the same for a formatted text that includes the why. */
int say_failed(const char *image_path, const char *format, ...) PRINTF_LIKE(2, 3);
/*
 * Returns the error of an access to a mapping refused with SIGBUS, or `otherwise` if nothing was
 * reported. The next image_failed() prints the report of the access.
 */
int access_refused(int otherwise);

/*
 * Looks up the regular file at `path` and takes a reference. Returns 0, or prints the failure as
 * "verb path" and returns an exit code.
 */
int image_file(struct image *image, const char *verb, const char *path, struct ext2dax_inode **inode);
/*
 * Looks up the parent directory of `path`. Stores the last component in *name and *length.
 * Returns 0 or a negative EXT2DAX_E…
 *   EISDIR   the path has no last component
 *   others   as of ext2dax_lookup_path()
 */
int image_parent(struct image *image, const char *path, struct ext2dax_inode **directory, const char **name,
                 size_t *length);

/*
 * names.c. The names of a directory in the order of the directory, without "." and "..".
 */
struct names {
    struct name {
        char *text; /* terminated */
        uint32_t number;
    } * list;
    size_t count, room;
};
/*
 * Collects the names of a directory, "." and ".." included if `dots`. Returns 0 or a negative
 * EXT2DAX_E… of ext2dax_readdir(), with the names found so far. The caller calls names_free() in
 * both cases.
 */
int names_read(struct names *names, struct ext2dax_inode *directory, bool dots);
void names_sort(struct names *names);
void names_free(struct names *names);

/* paths.c. A name of a directory, which may or may not exist. */
struct place {
    struct ext2dax_inode *directory; /* a reference, or NULL */
    const char *name;                /* not terminated */
    size_t length;
};
/*
 * Finds the place of the last component of `path`, without trailing slashes. Returns 0 or a
 * negative EXT2DAX_E…. The caller calls place_free() in both cases.
 *   EBUSY    the path is the root
 *   others   as of ext2dax_lookup_path()
 */
int place_find(struct image *image, const char *path, struct place *place);
/*
 * Works as place_find(). If `path` is a directory, finds the place of the last component of
 * `source` in this directory instead, as cp and mv do. Fails with EINVAL if `source` has no such
 * component.
 */
int place_into(struct image *image, const char *path, const char *source, struct place *place);
void place_free(struct place *place);
/* Returns the type of an inode, EXT2DAX_S_IF…. */
unsigned inode_type(const struct ext2dax_inode *inode);
/*
 * Returns the target of a symbolic link in *target, terminated, for free(). Returns 0 or a negative
 * EXT2DAX_E….
 */
int link_target(struct ext2dax_inode *inode, char **target, size_t *length);
/* Returns the last component of a path, without trailing slashes, and its length. */
const char *last_component(const char *path, size_t *length);
/*
 * Looks up `path` and takes a reference. Follows a final symbolic link if `follow` or if a slash
 * ends the path, which then must lead to a directory. Returns 0 or a negative EXT2DAX_E….
 */
int path_inode(struct image *image, const char *path, bool follow, struct ext2dax_inode **inode);
/*
 * Opens the image and calls `each` for every path from request->args[first] on. Goes on after a
 * failure. Returns the exit code of the command.
 */
int paths_each(const struct request *request, unsigned first, bool writable,
               int (*each)(struct image *image, const struct request *request, const char *path));

/*
 * fattr.c. Return the names of all extended attributes, each terminated, and the value of an
 * attribute, for free(). Return 0 or a negative EXT2DAX_E… of the library.
 */
int xattr_names(struct ext2dax_inode *inode, char **names, size_t *length);
int xattr_value(struct ext2dax_inode *inode, const char *name, void **value, size_t *length);

/* host_file.c. Finds the data of host files, and the blocks of an image for a copy of the data. */
/*
 * Finds the next data of a host file at or after *from, and stores the range in [*from, *to).
 * Returns false if no data follows, or with errno set on a failure.
 */
bool host_data(int descriptor, uint64_t size, uint64_t *from, uint64_t *to);
/*
 * Counts the blocks needed for a copy of the host file, which are data blocks and the pointer
 * blocks of all three levels. Stores the bytes of data in *bytes. Returns 0 or a positive
 * errno.
 */
int host_blocks(int descriptor, uint64_t size, uint64_t block, uint64_t *needed, uint64_t *bytes);

/*
 * Is the host file the image itself? put and get refuse this host file, because the copy would
 * change the image being read.
 */
struct stat;
bool image_is(const struct image *image, const struct stat *host);

/* signals.c. Set by SIGINT, SIGTERM and SIGHUP. */
extern volatile sig_atomic_t interrupted;
/*
 * `unfinished` is the file to remove if an unguarded SIGBUS ends the program, or NULL. `opened`
 * is the open image, or NULL. A SIGBUS in the memory of that image is never left by a jump.
 */
extern const char *volatile unfinished;
extern const struct image *volatile opened;
void signals_install(void);
/* The guarded accesses return false if the access raised SIGBUS. */
bool guarded_copy(void *to, const void *from, size_t bytes);
bool guarded_access(volatile unsigned char *at, bool store);
bool guarded_load(const _Atomic uint64_t *at, uint64_t *value);
bool guarded_store(_Atomic uint64_t *at, uint64_t value);

/*
 * view.c. Access to the bytes of a file through a mapping where possible, or by read and write.
 */
struct view {
    struct image *image;
    struct ext2dax_inode *inode;
    bool mapped;
    bool writable;
    bool populate;          /* populate the bytes returned by view_bytes() */
    unsigned char *mapping; /* the current mapping, or NULL */
    uint64_t offset, length;
};

/* Chooses between a mapping and read/write. Prints the reason for read/write on stderr. */
void view_open(struct view *view, struct image *image, struct ext2dax_inode *inode, const char *path, bool writable);
void view_close(struct view *view);
/*
 * Both return 0 or a negative EXT2DAX_E…. The caller reads only below the end of file. A write
 * through a mapping must lie below the end of file, and may run out of space unless the caller
 * has allocated the blocks before.
 */
int view_read(struct view *view, uint64_t offset, void *buffer, size_t bytes);
int view_write(struct view *view, uint64_t offset, const void *buffer, size_t bytes);
/*
 * Returns a pointer into the mapping at file offset `offset`. Lowers *bytes to the length
 * available in the mapping. The view must be mapped. Returns 0 or a negative EXT2DAX_E….
 */
int view_bytes(struct view *view, uint64_t offset, const void **at, size_t *bytes);

/* runs.c. The layout of a range of a file. */
struct runs {
    struct ext2dax_run *list;
    size_t count, room;
};
/*
 * Collects the runs of the blocks [first, end) and joins adjacent runs. Returns 0 or a negative
 * EXT2DAX_E…. The caller calls runs_free() in both cases.
 */
int runs_collect(struct runs *runs, struct ext2dax_inode *inode, uint64_t first, uint64_t end);
void runs_free(struct runs *runs);

#endif
