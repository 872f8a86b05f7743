/* SPDX-License-Identifier: MIT */
/*
 * Declarations of dax-image, a builder of images whose large files are mapped by huge pages.
 *
 * The sources are read into a tree in memory, without the data of files. The tree gives the size of
 * the image by arithmetic. Then the image is made from the tree in the order of names, and the data
 * is read once. So order and form of the sources have no effect on the image.
 */
#ifndef DAX_IMAGE_H
#define DAX_IMAGE_H

#include <ext2dax/build.h>
#include <ext2dax/ext2dax.h>

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_FAILED  1
#define EXIT_MISUSED 2

#define HUGE_SIZE   ((uint64_t)2 << 20)
#define COPY_BUFFER ((size_t)1 << 18)

/* ---- the command line ---- */

struct options {
    const char *command;
    char **args; /* sources and image */
    int count;
    uint64_t size;       /* bytes of the image, 0 for the smallest */
    uint64_t free_bytes; /* room left free */
    uint64_t inodes;     /* free or used, 0 for as few as needed */
    struct ext2dax_format_options format;
    bool has_uuid, has_epoch, has_owner, has_root_mode, has_inodes;
    int64_t epoch;
    uint32_t uid, gid;
    uint32_t root_mode;
    const char **excludes;
    size_t exclude_count;
    bool packed; /* --align page */
    bool json, force, quiet;
    const char *svg;
};

int options_parse(struct options *options, int argc, char **argv);
int usage(const char *reason, const char *word);

int command_build(const struct options *options);
int command_report(const struct options *options);
int command_verify(const struct options *options);

/* ---- messages ---- */

extern volatile sig_atomic_t interrupted;
/* The file to remove if a signal ends the program. */
extern const char *volatile unfinished;

void signals_install(void);
/* Prints "dax-image: PATH: text" with a path that may hold any byte. Returns EXIT_FAILED. */
int failed(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a failure of the library with its reason, for a call after the last failure printed. */
int library_failed(const char *path, int error, const char *verb);
int out_of_memory(void);
void print_escaped(void *stream, const char *text);
void print_json_text(const char *text);
void progress(const char *verb, uint64_t done, uint64_t total);
void progress_end(void);

/* ---- the tree ---- */

struct attribute {
    char *name; /* with prefix */
    void *value;
    size_t size;
};

/* A run of bytes of a regular file with data. */
struct data_run {
    uint64_t offset, length;
};

struct inode {
    uint16_t mode;
    uint32_t uid, gid;
    struct ext2dax_time mtime;
    uint32_t device_major, device_minor;
    uint64_t size;
    char *target;
    struct attribute *attributes;
    size_t attribute_count;
    struct data_run *runs;
    size_t run_count;
    /* The place of the data. */
    int spool;     /* descriptor, or -1 for a file of a directory source */
    uint64_t base; /* position in `spool` of the start of the file */
    int root;      /* descriptor of the directory source */
    char *path;    /* relative to root */
    uint64_t device, number;
    struct ext2dax_time host_ctime;
    /* While an image is made or compared. */
    uint32_t references; /* names */
    uint32_t made;       /* names made in the image, or compared */
    uint32_t image_number;
    bool counted, implied;
};

struct node {
    char *name;
    struct node *parent;
    struct inode *inode;
    struct node **children;
    size_t count, room;
    size_t index; /* in the children of the parent */
    unsigned layer;
    bool dead;
    struct ext2dax_inode *handle; /* of a directory being filled */
};

struct tree {
    const struct options *options;
    struct node *root;
    struct node **table; /* by parent and name */
    size_t table_room, table_used;
    int *descriptors;
    size_t descriptor_count;
    unsigned layer;
    const char *spool_directory;
    uint64_t data; /* bytes of all files */
};

int tree_begin(struct tree *tree, const struct options *options);
/* Reads all sources, then drops hidden nodes, sorts names and bounds times. */
int tree_read(struct tree *tree, char **sources, int count, const char *spool_directory);
void tree_free(struct tree *tree);
struct node *tree_find(const struct tree *tree, const struct node *parent, const char *name, size_t length);
/*
 * Gives `parent` the name with the inode. Replaces a node of the same name, but a directory keeps
 * the names of lower layers. Returns NULL without memory.
 */
struct node *tree_add(struct tree *tree, struct node *parent, const char *name, size_t length, struct inode *inode);
/* Gives the root the attributes of an inode. */
void tree_set_root(struct tree *tree, struct inode *inode);
/* Hides names of lower layers if the name is an OCI whiteout. Returns false for any other name. */
bool tree_whiteout(struct tree *tree, struct node *parent, const char *name);
bool tree_keep_descriptor(struct tree *tree, int descriptor);
struct node *node_next(const struct node *node, const struct node *root);

/* Returns whether the node has the place of the directory that every new image has. */
bool is_lost_and_found(const struct node *node);
bool is_excluded(const struct options *options, const char *path);

struct inode *inode_new(void);
void inode_free(struct inode *inode);
bool inode_has(const struct inode *inode, const char *name);
/* Sets an attribute. An archive may have several forms of a value, of which the last counts. */
bool inode_attribute(struct inode *inode, const char *name, const void *value, size_t size);
/*
 * Adds the data of [from, to) in ascending order, rounded to whole blocks of the image. Runs that
 * meet are joined.
 */
bool inode_run(struct inode *inode, const struct options *options, uint64_t from, uint64_t to);
static inline unsigned inode_type(const struct inode *inode)
{
    return inode->mode & 0170000u;
}

/* Returns the path of a node for messages, which is valid until the next call. */
const char *node_path(const struct node *node);

int source_directory(struct tree *tree, const char *source, int descriptor);
int source_archive(struct tree *tree, const char *path);

/* ---- the data of a file ---- */

struct reader {
    const struct inode *inode;
    int descriptor;
    const char *path;
};

int reader_open(struct reader *reader, const struct node *node);
/* Reads exactly `length` bytes from `offset` of the file. */
int reader_read(const struct reader *reader, uint64_t offset, void *buffer, size_t length);
/* Fails if the file has changed since the tree was read. */
int reader_close(struct reader *reader);

/* ---- images ---- */

/* How a file of an image is mapped. */
struct shape {
    uint64_t ranges;  /* PMD ranges wholly below the size, full of data */
    uint64_t huge;    /* of the ranges, those mapped by a huge page */
    uint64_t extents; /* contiguous runs of blocks */
    uint64_t faults;  /* page faults of a program that accesses every page */
    uint64_t blocks;  /* with data */
};

/* Counts a run of data, in units of blocks, for a picture. `huge` is set for ranges mapped huge. */
typedef void shape_each(void *arg, uint64_t first, uint64_t length, bool huge);

/* Reads the shape of a regular file. `each` may be NULL. Returns 0 or a negative EXT2DAX_E…. */
int shape_read(struct shape *shape, struct ext2dax_inode *inode, const struct ext2dax_statfs *figures, shape_each *each,
               void *arg);

struct image {
    const char *path;
    struct ext2dax_memory memory;
    struct ext2dax_host host;
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;
};

int image_open(struct image *image, const char *path);
int image_close(struct image *image, int code);

struct names {
    char **list;
    uint32_t *numbers;
    size_t count;
};

/* Reads the names of a directory in the order of bytes, without "." and "..". */
int names_read(struct names *names, struct ext2dax_inode *directory);
void names_free(struct names *names);

/* ---- parts of build ---- */

/* The errno of a failed store of data to the file behind the image, or 0. */
extern int store_error;

/* A checksum of data which is part of the identity of an image. */
struct checksum {
    uint64_t lane[4];
};

/* An image being made. */
struct building {
    const struct options *options;
    struct tree *tree;
    const char *path; /* of the image */
    struct ext2dax_format_options format;
    struct ext2dax_tally tally;
    struct ext2dax_image_plan plan;
    uint64_t size;
    struct ext2dax_memory memory; /* with write-backs left out */
    struct ext2dax_memory_ops ops;
    struct ext2dax_mount *mount;
    struct ext2dax_statfs figures;
    struct ext2dax_digest digest;
    struct shape shape; /* sums over all files */
    uint64_t files, done;
    unsigned char *buffer;
};

/* Computes the plan and the size of the image. */
int plan_image(struct building *building);
/* Adds the blocks of attributes to the tally of the image. */
int tally_attributes(struct building *building);
/* Makes the tree in the mounted image. */
int fill_image(struct building *building);

#endif
