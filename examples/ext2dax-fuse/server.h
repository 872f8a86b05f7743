/* SPDX-License-Identifier: MIT */
/*
 * Declarations shared by the files of ext2dax-fuse.
 *
 * A server is a mounted image and the FUSE session. Every operation of FUSE is a function that
 * finds the in-core inode of the FUSE inode number, calls the library and replies. Permissions are
 * checked by the kernel (default_permissions). All changes come through the kernel, so the kernel
 * may cache names, attributes and data for any time.
 */
#ifndef EXT2DAX_FUSE_SERVER_H
#define EXT2DAX_FUSE_SERVER_H

#define FUSE_USE_VERSION 312

#include <ext2dax/ext2dax.h>
#include <ext2dax/hosted/host.h>
#include <ext2dax/hosted/lock.h>
#include <ext2dax/hosted/memory.h>

#include <fuse3/fuse_lowlevel.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* options.c. The command line. */
struct options {
    const char *image;      /* as given */
    const char *mountpoint; /* as given */
    const char *json;       /* file of the statistics, "-" for standard output, or NULL */
    uint64_t offset;        /* bytes of the file before the image */
    unsigned max_threads;   /* 0 for the default */
    bool foreground;
    bool debug;
    bool read_only;
    bool discard; /* make holes of freed blocks in the file of the image */
    bool no_atime;
    bool writeback_cache;
    char kernel[512]; /* options passed to libfuse, each with a comma before */
};

/* What options_parse() found. */
enum parsed { PARSED_MOUNT, PARSED_DONE, PARSED_USAGE };

/* Parses the command line. Prints help, the version or an error. */
enum parsed options_parse(struct options *options, int argc, char **argv);

/* The requests counted by the statistics, in the order of statistics.c. */
enum request {
    REQUEST_LOOKUP,
    REQUEST_FORGET,
    REQUEST_GETATTR,
    REQUEST_SETATTR,
    REQUEST_READLINK,
    REQUEST_MKNOD,
    REQUEST_MKDIR,
    REQUEST_UNLINK,
    REQUEST_RMDIR,
    REQUEST_SYMLINK,
    REQUEST_RENAME,
    REQUEST_LINK,
    REQUEST_OPEN,
    REQUEST_CREATE,
    REQUEST_READ,
    REQUEST_WRITE,
    REQUEST_LSEEK,
    REQUEST_FALLOCATE,
    REQUEST_COPY,
    REQUEST_FSYNC,
    REQUEST_READDIR,
    REQUEST_STATFS,
    REQUEST_GETXATTR,
    REQUEST_SETXATTR,
    REQUEST_LISTXATTR,
    REQUEST_REMOVEXATTR,
    REQUEST_IOCTL,
    REQUESTS
};

/* nodes.c. The in-core inodes known to the kernel. */
struct node {
    struct ext2dax_inode *inode; /* a reference, while `lookups` is not 0 */
    uint64_t lookups;            /* lookup count of FUSE */
};
#define NODE_LOCKS 64
struct nodes {
    pthread_mutex_t locks[NODE_LOCKS];
    _Atomic(struct node *) *chunks; /* each holds the nodes of NODE_CHUNK inode numbers, or NULL */
    size_t chunk_count;
};

#define READ_GATES 64
struct server {
    const struct options *options;
    char *image;      /* absolute path */
    char *mountpoint; /* absolute path */
    struct ext2dax_memory memory;
    struct ext2dax_memory_ops memory_ops;
    struct ext2dax_host host;
    struct ext2dax_host_ops host_ops;
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures; /* as of the mount */
    bool memory_open, host_open;
    struct fuse_session *session;
    struct nodes nodes;
    /*
     * Held shared by each change and exclusively by an update of an access time. The update stores
     * the old ctime again, which no change may replace until then.
     */
    pthread_rwlock_t changes;
    pthread_rwlock_t gates[READ_GATES]; /* of inodes, see read.c; taken inside `changes` */
    atomic_uint_fast64_t requests[REQUESTS];
    atomic_uint_fast64_t failures;
    atomic_uint_fast64_t bytes_read;
    atomic_uint_fast64_t bytes_written;
    atomic_bool stopped; /* the session loop has ended */
};

/* messages.c. Prints "ext2dax-fuse: IMAGE: what: why" on stderr. Returns EXIT_FAILED. */
int failed(const char *image, const char *format, ...) PRINTF_LIKE(2, 3);

/* image.c. Opens and mounts the image. Returns 0, or prints an error and returns an exit code. */
int image_open(struct server *server);
/* Unmounts and releases everything. Returns `code`, or EXIT_FAILED if a step fails. */
int image_close(struct server *server, int code);
/* Stores whether the request of the calling thread may use reserved blocks. */
void image_privileged(bool is);

/* copy.c. Chooses the copies of file data for the open memory of the server. */
void copy_open(struct server *server);
/* Returns the result of a write, with the error of a copy of the calling thread for EFAULT. */
int64_t copy_result(int64_t put);

/*
 * signals.c. Blocks the signals of the server in the calling thread and in later threads. Starts
 * the thread that receives the signals. Returns 0 or a positive errno.
 */
int signals_start(struct server *server);
/* Ends the thread, after the session loop has ended. */
void signals_end(struct server *server);

/*
 * workers.c. Serves requests in several threads until the session ends. Returns 0 or a negative
 * errno.
 */
int workers_run(struct server *server);
/* Names the server, before signals_start(). */
void workers_prepare(struct server *server);
/* Is no request being served, and none waiting? */
bool workers_idle(void);
/* Sends a signal to the threads, so that each looks at the end of the session. */
void workers_wake(int number);
/* Joins the threads, after workers_run() and signals_end(). */
void workers_join(void);

/* statistics.c. Writes the statistics as JSON to the file of the option. */
void statistics_write(struct server *server);

/* nodes.c. Allocates the table of a mounted image. Returns 0 or a negative errno. */
int nodes_open(struct server *server);
/* Releases every reference and the table. */
void nodes_close(struct server *server);
/* Converts between the inode numbers of FUSE and of the image. The root is 1 there and 2 here. */
uint32_t node_number(fuse_ino_t ino);
fuse_ino_t node_ino(uint32_t number);
/*
 * Adds 1 to the lookup count of the inode. Takes over the reference of the caller, on failure too.
 * Returns 0 or -ENOMEM.
 */
int node_add(struct server *server, struct ext2dax_inode *inode, uint32_t number);
/* Takes `count` off the lookup count. The last releases the reference. */
void node_forget(struct server *server, uint32_t number, uint64_t count);
/* Returns the in-core inode, or NULL if the kernel does not know the inode. */
struct ext2dax_inode *node_find(struct server *server, fuse_ino_t ino);

/* requests.c. Counts a request and returns the server. */
struct server *request_begin(fuse_req_t req, enum request request);
/*
 * Counts a request and returns the inode of `ino`. Replies ESTALE and returns NULL if the kernel
 * does not know the inode.
 */
struct ext2dax_inode *request_inode(fuse_req_t req, enum request request, fuse_ino_t ino, struct server **server);
/* Replies with a negative errno, or with success for 0. */
void request_end(fuse_req_t req, int error);
/* Bracket a change of the image. */
void change_begin(struct server *server);
void change_end(struct server *server);

/*
 * setid.c. Returns the mode without setgid, or with setgid if the user of the request may keep
 * the bit, as the superuser and members of `group` may.
 */
unsigned setgid_mode(fuse_req_t req, unsigned mode, gid_t group);
/*
 * As setgid_mode(). If `asked`, also takes off setuid, and setgid of a file that the group may
 * execute.
 */
unsigned setid_mode(fuse_req_t req, unsigned mode, gid_t group, bool asked);
/*
 * Takes setuid and setgid off the mode of a file whose size or owner is about to change, or in a
 * chown without an owner and a group. Returns 0, or -EPERM if such a chown is not by the owner.
 */
int setid_change(fuse_req_t req, const struct ext2dax_inode *inode, struct ext2dax_attributes *attributes);
/* Whether the kernel asks for the removal of setuid and setgid, for setid_drop(). */
enum setid_asked { SETID_NOT_ASKED, SETID_ASKED, SETID_ASK_PROC };
/* Takes setuid and setgid off a file changed by the user of the request, inside a change. */
void setid_drop(fuse_req_t req, struct server *server, struct ext2dax_inode *inode, enum setid_asked asked);

/*
 * wire.c. Sends the replies of libfuse, after fuse_session_mount(). libfuse 3.14 does not know
 * FUSE_HANDLE_KILLPRIV_V2, which is added to the first reply. Returns 0 or a negative errno.
 */
int wire_open(struct fuse_session *session);
/* Notes the request that the calling thread is about to pass to libfuse. */
void wire_note(const void *request, size_t size);
/* Does the request of the calling thread ask for the removal of setuid and setgid? */
enum setid_asked wire_asks_setid(void);

/* attributes.c. Fills the attributes of an inode. */
void attributes_fill(const struct server *server, const struct ext2dax_inode *inode, struct stat *to);
/* Seconds for which the kernel may cache. */
#define CACHE_SECONDS 86400.0
/*
 * Fills a reply about an inode and adds to the lookup count. Takes over the reference of the
 * caller. Returns 0 or a negative errno.
 */
int entry_fill(struct server *server, struct ext2dax_inode *inode, struct fuse_entry_param *entry);

/* access_time.c. Is a read about to update the access time, by the rules of relatime? */
bool access_due(const struct server *server, const struct ext2dax_inode *inode);
/* Updates the access time after a read, if due. */
void access_note(struct server *server, struct ext2dax_inode *inode);

/* acl.c. An access control list in the form of the extended attribute. */
struct acl {
    uint8_t *bytes; /* for free(), or NULL */
    size_t size;
};
#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
/*
 * Reads the default ACL of a directory for a new inode of permissions *mode. With a default ACL,
 * changes *mode as POSIX.1e says, stores the access ACL in *access (empty if the mode says the
 * same) and the default ACL in *inherited. Otherwise applies `mask`, the umask. Returns 0 or a
 * negative errno.
 */
int acl_inherit(struct ext2dax_inode *directory, unsigned mask, unsigned *mode, struct acl *access,
                struct acl *inherited);
/* Changes the access ACL of an inode, if any, to permissions set by chmod. */
int acl_follow(struct ext2dax_inode *inode, unsigned mode);
/*
 * Returns the permissions of an access ACL of `size` bytes, or -EINVAL. *minimal says whether the
 * permissions say everything.
 */
int acl_mode(const uint8_t *bytes, size_t size, bool *minimal);

/* The operations, by file. */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int set, struct fuse_file_info *file);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *argument, struct fuse_file_info *file,
              unsigned flags, const void *in, size_t in_size, size_t out_size);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *file);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
               unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, struct fuse_file_info *file);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t cookie, struct fuse_file_info *file);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
              struct fuse_file_info *file);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *file);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length, struct fuse_file_info *file);
void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_file,
                        fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_file, size_t length, int flags);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *file);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* read.c. The lock that keeps the blocks of an inode in place while a read is answered. */
pthread_rwlock_t *read_gate(struct server *server, fuse_ino_t ino);
/* Returns a buffer of the calling thread, valid until the next call, or NULL without memory. */
char *buffer_of_thread(size_t size);

/* file_data.c. Decides whether the kernel may keep the pages cached before an open. */
bool open_keeps_cache(const struct server *server, const struct ext2dax_inode *inode, int flags);

#endif
