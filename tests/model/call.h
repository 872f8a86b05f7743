/* SPDX-License-Identifier: MIT */
/*
 * A call of the library as plain data. A sequence of calls keeps its meaning when calls are
 * dropped, so that a failing sequence can be shrunk. A call names inodes by slots. A slot holds a
 * reference to an inode, or nothing. A call with an empty slot does nothing.
 */
#ifndef TESTS_MODEL_CALL_H
#define TESTS_MODEL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kind of a call, and the name printed. */
#define CALLS(_)                                                                                                       \
    _(CREATE, "create")                                                                                                \
    _(CREATE_AS, "create_as")                                                                                          \
    _(MKDIR, "mkdir")                                                                                                  \
    _(MKNOD, "mknod")                                                                                                  \
    _(SYMLINK, "symlink")                                                                                              \
    _(LINK, "link")                                                                                                    \
    _(UNLINK, "unlink")                                                                                                \
    _(RMDIR, "rmdir")                                                                                                  \
    _(RENAME, "rename")                                                                                                \
    _(LOOKUP, "lookup")                                                                                                \
    _(LOOKUP_PATH, "lookup_path")                                                                                      \
    _(READDIR, "readdir")                                                                                              \
    _(READDIR_PART, "readdir from a cookie")                                                                           \
    _(READLINK, "readlink")                                                                                            \
    _(STAT, "stat")                                                                                                    \
    _(SETATTR, "setattr")                                                                                              \
    _(HOLD, "hold")                                                                                                    \
    _(GET, "inode_get")                                                                                                \
    _(PUT, "put")                                                                                                      \
    _(GETXATTR, "getxattr")                                                                                            \
    _(SETXATTR, "setxattr")                                                                                            \
    _(LISTXATTR, "listxattr")                                                                                          \
    _(REMOVEXATTR, "removexattr")                                                                                      \
    _(READ, "read")                                                                                                    \
    _(WRITE, "write")                                                                                                  \
    _(TRUNCATE, "truncate")                                                                                            \
    _(PUNCH, "punch")                                                                                                  \
    _(ZERO_RANGE, "zero_range")                                                                                        \
    _(ALLOCATE, "allocate")                                                                                            \
    _(SEEK, "seek")                                                                                                    \
    _(MAP, "map")                                                                                                      \
    _(FSYNC, "fsync")                                                                                                  \
    _(FSYNC_RANGE, "fsync_range")                                                                                      \
    _(SYNC, "sync")                                                                                                    \
    _(STATFS, "statfs")                                                                                                \
    _(REMOUNT, "remount")                                                                                              \
    _(UNMOUNT, "unmount while busy")                                                                                   \
    _(CYCLE, "unmount and mount")

enum call_kind {
#define CALL_ENUM(name, text) CALL_##name,
    CALLS(CALL_ENUM)
#undef CALL_ENUM
        CALL_KINDS
};

#define SLOTS     12u /* slots of the generator. Slot 0 holds the root. */
#define ALL_SLOTS 64u /* with the slots of a walk through the tree */
#define NO_SLOT   0u  /* in `into`, no reference is wanted */

#define PATH_NAMES 4u

/* A path as numbers of names, for lookup_path() and for targets of symbolic links. */
struct call_path {
    uint8_t count;    /* of the names */
    uint8_t absolute; /* begins with a slash */
    uint8_t slashes;  /* doubled between names and added at the end */
    uint16_t dots;    /* repetitions of "./" in front of the first name */
    uint16_t name[PATH_NAMES];
};

struct call {
    uint8_t kind;  /* enum call_kind */
    uint8_t slot;  /* the inode or directory */
    uint8_t other; /* the new directory of a rename, the directory of a link */
    uint8_t into;  /* receives the reference of a result */
    uint16_t name; /* number of a name, of a file or of an extended attribute */
    uint16_t other_name;
    uint32_t flags; /* of the call, or whence, keep_size, or the bits of `set` */
    uint32_t fill;  /* decides bytes written */
    uint64_t offset;
    uint64_t length;
    uint16_t mode;
    uint32_t uid, gid, inode_flags;
    uint32_t major, minor;
    int64_t seconds; /* mtime. The other times follow by a second each. */
    uint32_t nanoseconds;
    struct call_path path;
    uint16_t more_links; /* links beside its own that call_counted() has during the call, or 0 */
};

/*
 * Returns the slot of the inode which gains a link by the call. Calls with `more_links` reach the
 * most links that an inode can have, without tens of thousands of names.
 */
uint8_t call_counted(const struct call *call);

const char *call_name(enum call_kind kind);

/* ---- texts by number ---- */

/* Names refused by the library come first, then the longest names, then ordinary names. */
enum {
    NAME_EMPTY,
    NAME_DOT,
    NAME_DOT_DOT,
    NAME_SLASH,
    NAME_NUL,
    NAME_TOO_LONG,
    NAME_LOST, /* the directory lost+found of a new image */
    NAME_LONGEST,
    NAME_ORDINARY = NAME_LONGEST + 3,
    NAME_COUNT = NAME_ORDINARY + 400
};
#define NAME_ROOM 300u

/* Writes a name to `text`, terminated. Returns its length. */
size_t name_text(unsigned number, char text[NAME_ROOM]);

#define PATH_ROOM 10000u
size_t path_text(const struct call_path *path, char text[PATH_ROOM]);

enum {
    XATTR_EMPTY,
    XATTR_NUL,
    XATTR_NO_PREFIX,
    XATTR_PREFIX_ONLY,
    XATTR_TOO_LONG,
    XATTR_ACL_ACCESS,
    XATTR_ACL_DEFAULT,
    XATTR_LONGEST,
    XATTR_ORDINARY,
    XATTR_COUNT = XATTR_ORDINARY + 24
};
/* Writes the name of an extended attribute to `text`, terminated. Returns its length. */
size_t xattr_text(unsigned number, char text[NAME_ROOM]);

#define VALUE_ROOM 70000u
/* Fills a value of an extended attribute. Returns its length. A name of an ACL gets an ACL. */
size_t xattr_value(const struct call *call, unsigned char value[VALUE_ROOM]);

/* Fills `bytes` with the contents that a write of the call stores. */
void call_bytes(const struct call *call, unsigned char *bytes, size_t length);

#define IO_ROOM (1u << 20) /* bytes of the longest read or write */

#endif
