/* SPDX-License-Identifier: MIT */
/*
 * pmem-mapper: what its files share. Each command is a function from a request (the parsed command line) to an exit
 * code; it opens the image, does one thing, closes it, and says what failed as "pmem-mapper: IMAGE: what: why".
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

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

struct request {
    const char *program; /* as it was called */
    const char *image;
    const char **args; /* what follows the image, NULL behind the last */
    struct ext2dax_locks locks;
    enum ext2dax_process_way way;
    uint32_t block_size;
    bool json;
    bool mapped; /* hand the window itself to system calls */
    enum touch_how { TOUCH_NOTHING, TOUCH_READ, TOUCH_WRITE } touch;
    bool collapse;    /* have the kernel make huge pages of the image's memory */
    bool populate;    /* make pages present before they are touched, or handed to a system call */
    bool reserve;     /* have the host allocate all of a new image */
    bool no_recovery; /* leave an image that was not cleanly unmounted to e2fsck */
    unsigned threads;
    unsigned seconds;
};

int command_format(const struct request *request);
int command_ls(const struct request *request);
int command_put(const struct request *request);
int command_get(const struct request *request);
int command_map(const struct request *request);
int command_touch(const struct request *request); /* map --touch */
int command_truncate(const struct request *request);
int command_punch(const struct request *request);
int command_race(const struct request *request);
int command_churn(const struct request *request);
int command_demo(const struct request *request);

/* number.c: "4096", "64K", "1G" (K, M, G and T are binary); ERANGE where it does not fit 64 bits, else EINVAL. */
int number_parse(const char *text, uint64_t *value);
/* A SIZE, OFFSET or LENGTH argument; says what is wrong and returns an exit code, 0 if nothing is. */
int number_argument(const struct request *request, const char *what, const char *text, uint64_t *value);

/* progress.c: a bar on stderr where that is a terminal, once the work has taken a second. */
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

/* image.c: an open image with its four plugs. */
#define MENDED_KINDS 16
struct image {
    const char *path;
    struct ext2dax_locks locks;
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_process *process; /* NULL: this build maps no windows */
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures; /* when it was opened */
    atomic_flag report_busy;
    struct ext2dax_report warning; /* the last one; its strings are static */
    bool memory_open, host_open, writable;
    /* while it is mounted: what recovery tells */
    struct progress recovering;
    struct ext2dax_report mended[MENDED_KINDS];
    unsigned mended_kinds;
};

/* Opens; says what failed, and returns an exit code. Close it whatever the answer was. */
int image_open(struct image *image, const struct request *request, bool writable);
/* Gives everything back; `code` is the command's so far, returned unless closing fails too. */
int image_close(struct image *image, int code);

/* The log hook of such an image's host: the image (`arg`) remembers the last warning, and shows how far recovery is. */
void image_keep_report(void *arg, const struct ext2dax_report *report);

/*
 * "pmem-mapper: IMAGE: what: why" on stderr, by the thread whose call failed. Why: what the library reported of this call
 * (structure, number, value), else the error's text.
 */
int image_failed(const struct image *image, int error, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same for an error of the system, a positive errno. */
int system_failed(const char *image_path, int number, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with the why in the text. */
int say_failed(const char *image_path, const char *format, ...) PRINTF_LIKE(2, 3);
/* What a touch of a window that raised SIGBUS failed by, for the next image_failed(); `otherwise` where nothing was reported. */
int touch_refused(int otherwise);

/* The regular file at `path`, with a reference. Says what failed, as "verb path". */
int image_file(struct image *image, const char *verb, const char *path, struct ext2dax_inode **inode);
/* The directory that holds the last component of `path`, and that component. 0 or a negative EXT2DAX_E…. */
int image_parent(struct image *image, const char *path, struct ext2dax_inode **directory, const char **name,
                 size_t *length);

/* Is a host file the image itself? Copying one into the other would never end well. */
struct stat;
bool image_is(const struct image *image, const struct stat *host);

/* signals.c: what a stop request and a SIGBUS turn into. */
extern volatile sig_atomic_t interrupted;
/* A file that a SIGBUS with nobody to answer it removes, or NULL; and the image that is open, whose memory is not to jump
 * out of. */
extern const char *volatile unfinished;
extern const struct image *volatile opened;
void signals_install(void);
/* Each answers false where the access raised SIGBUS. */
bool guarded_copy(void *to, const void *from, size_t bytes);
bool guarded_touch(volatile unsigned char *at, bool store);
bool guarded_load(const _Atomic uint64_t *at, uint64_t *value);
bool guarded_store(_Atomic uint64_t *at, uint64_t value);

/* view.c: a file as bytes, through a mapped window where that is possible, else by read and write. */
struct view {
    struct image *image;
    struct ext2dax_inode *inode;
    bool mapped;
    bool writable;
    bool populate;         /* what view_bytes() hands out */
    unsigned char *window; /* NULL: none now */
    uint64_t offset, length;
};

/* Chooses the way; where it is read/write, says so and why on stderr. */
void view_open(struct view *view, struct image *image, struct ext2dax_inode *inode, const char *path, bool writable);
void view_close(struct view *view);
/* 0 or a negative EXT2DAX_E…. Reading stays below the end of file; what is written has been allocated before. */
int view_read(struct view *view, uint64_t offset, void *buffer, size_t bytes);
int view_write(struct view *view, uint64_t offset, const void *buffer, size_t bytes);
/* The window's own bytes from `offset` on, as many as it shows, at the most *bytes. Where it is mapped. */
int view_bytes(struct view *view, uint64_t offset, const void **at, size_t *bytes);

/* runs.c: the whole layout of a file, or of its end. */
struct runs {
    struct ext2dax_run *list;
    size_t count, room;
};
/* Every run of the blocks [first, end), neighbours joined. 0 or a negative EXT2DAX_E…; runs_free() in any case. */
int runs_collect(struct runs *runs, struct ext2dax_inode *inode, uint64_t first, uint64_t end);
void runs_free(struct runs *runs);

#endif
