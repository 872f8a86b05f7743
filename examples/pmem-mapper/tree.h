/* SPDX-License-Identifier: MIT */
/*
 * Whole trees, of an image and of the host. Used by rm -r, chmod -r, chown -r, put -r and get -r.
 */
#ifndef PMEM_MAPPER_TREE_H
#define PMEM_MAPPER_TREE_H

#include "mapper.h"

#include <sys/stat.h>

/*
 * table.c. A hash table from two numbers (device and inode number) to a value. All zero is an
 * empty table.
 */
struct table {
    struct slot {
        uint64_t a, b;
        uintptr_t value;
        bool used;
    } * slots;
    size_t count, room;
};
/* Returns the value of a key, or NULL. The pointer is valid until the next table_add(). */
uintptr_t *table_find(const struct table *table, uint64_t a, uint64_t b);
/* Adds a key not in the table. Returns false without memory. */
bool table_add(struct table *table, uint64_t a, uint64_t b, uintptr_t value);
void table_free(struct table *table);

/* table.c. A path in a buffer that grows. */
struct path {
    char *text; /* terminated */
    size_t length, room;
};
/* Both return false without memory. path_add() puts a slash before the name if needed. */
bool path_set(struct path *path, const char *text);
bool path_add(struct path *path, const char *name);
void path_cut(struct path *path, size_t length);
void path_free(struct path *path);

/* The results of the callbacks of a walk, beside an exit code that ends the walk. */
enum {
    WALK_ON = 0,
    WALK_SKIP = -1,  /* leaves the contents of a directory out, without a call of `leave` */
    WALK_FAILED = -2 /* the same after a printed failure, and the walk goes on */
};

/* walk.c. An inode met in a walk of an image. */
struct walk_entry {
    struct ext2dax_inode *parent; /* NULL for the root of the walk if no name leads to the root */
    const char *name;             /* in the parent, terminated */
    struct ext2dax_inode *inode;
    struct ext2dax_stat figures;
    unsigned depth;  /* 0 for the root of the walk */
    bool incomplete; /* in `leave`, a failure was met below */
};
/*
 * A walk of an image, in the order of the directories. `enter` is called for every name. `leave` is
 * called for every directory after its contents. A directory met twice is refused, so the walk ends
 * even in a damaged image.
 */
struct walk {
    struct image *image;
    const char *verb; /* for messages */
    int (*enter)(struct walk *walk, const struct walk_entry *entry);
    int (*leave)(struct walk *walk, const struct walk_entry *entry); /* may be NULL */
    void *arg;
    bool quiet;       /* prints no failure, for a pass before the pass that prints */
    struct path path; /* of the entry of the callback, for messages */
};
/*
 * Walks the tree at `inode`. `parent` may be NULL. Returns 0, EXIT_FAILED if a failure was printed,
 * or the exit code of a callback.
 */
int walk_image(struct walk *walk, struct ext2dax_inode *parent, const char *name, struct ext2dax_inode *inode,
               const char *path);

/* host_walk.c. A file met in a walk of the host. */
struct host_entry {
    int directory;      /* descriptor of the directory of the name, or AT_FDCWD */
    const char *name;   /* in the directory, terminated */
    int descriptor;     /* of a directory, otherwise -1 */
    struct stat status; /* of the file itself, a symbolic link included */
    unsigned depth;     /* 0 for the root of the walk */
};
/*
 * A walk of the host, with the names of a directory in the order of their bytes. Symbolic links are
 * not followed. The callbacks are as in struct walk.
 */
struct host_walk {
    struct image *image; /* for messages */
    int (*enter)(struct host_walk *walk, const struct host_entry *entry);
    int (*leave)(struct host_walk *walk, const struct host_entry *entry);
    void *arg;
    bool quiet;
    struct path path;
};
/* Walks the tree at the host path. Returns a code as walk_image(). */
int walk_host(struct host_walk *walk, const char *path);
/*
 * Opens a host file for reading. Does not follow a final symbolic link, and leaves the time of
 * access unchanged where permitted. Returns a descriptor, or -1 with errno set.
 */
int open_quietly(int directory, const char *name, int flags);
/* Lets the process open a directory for each level of a deep tree. */
void allow_descriptors(void);

/* host_xattr.c. A host file whose extended attributes are copied. */
struct xattr_host {
    struct image *image; /* for messages */
    int descriptor;      /* of the file, or -1 for a file named by the next two members */
    int directory;
    const char *name;
    unsigned *noted; /* the remarks already printed, a bit for each namespace */
};
/*
 * Copy all extended attributes between a host file and an inode. `path` is for messages. A
 * namespace that the process may not read or write is left out with a remark, printed once. Return
 * 0, or print the failures and return EXIT_FAILED.
 */
int xattrs_put(const struct xattr_host *host, struct ext2dax_inode *inode, const char *path);
int xattrs_get(const struct xattr_host *host, struct ext2dax_inode *inode, const char *path);

/* tree_put.c and tree_get.c. The commands put -r and get -r. */
int put_tree(const struct request *request);
int get_tree(const struct request *request);

/* The work of an inode for the progress bar, beside the bytes of the file. */
#define WORK_OF_AN_INODE 4096u

/*
 * put_node.c. The state of put -r that a single file needs.
 */
struct put_into {
    struct image *image;
    struct table links; /* from device and inode number of the host to the number of the inode */
    struct progress progress;
    uint64_t done;   /* work */
    unsigned noted;  /* remarks about namespaces */
    unsigned serial; /* of the next name in passing */
    unsigned char *buffer;
};
#define COPY_BUFFER ((size_t)1 << 20)
/*
 * Copies a file of any type except directory into a directory of the image. An existing name is
 * replaced in a single step after the copy is complete. `path` is for messages. Returns a result of
 * a callback of a walk.
 */
int put_node(struct put_into *put, const struct host_entry *entry, struct ext2dax_inode *directory, const char *name,
             size_t length, const char *path);
/* Returns the attributes of an inode for a host file, the type included. */
struct ext2dax_attributes put_attributes(const struct stat *status);
/*
 * Prints the failure of a call for a path. Returns WALK_FAILED, or an exit code if the next call
 * would fail, too.
 */
int put_failed(const struct put_into *put, int error, const char *path);

/* get_node.c. The state of get -r that a single file needs. */
struct get_out {
    struct image *image;
    struct table links; /* from the number of an inode to the path of the copy, in the root */
    int root;           /* descriptor of the root of the copy, -1 if no directory */
    struct progress progress;
    uint64_t done;
    unsigned noted;
    bool owners_noted;
    unsigned serial;
    unsigned char *buffer;
};
/*
 * Copies an inode of any type except directory into a directory of the host. `copy` is the path
 * below the root of the copy. An existing name is replaced in a single step after the copy is
 * complete, and never followed. Returns a result of a callback of a walk.
 */
int get_node(struct get_out *get, const struct walk_entry *entry, int directory, const char *name, const char *copy,
             const char *path);
/*
 * Sets owner, permissions, extended attributes and times of a host file. The file is the
 * descriptor, or the name if the descriptor is -1. Returns 0, or prints the failures and returns
 * EXIT_FAILED.
 */
int get_attributes(struct get_out *get, const struct walk_entry *entry, int descriptor, int directory, const char *name,
                   const char *path);

#endif
