/* SPDX-License-Identifier: MIT */
/*
 * Sequences as C code. The code needs a mount `mount`, a buffer `bytes`, the root in slot[0], and
 * declares the results. References in `found` are put by the test.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "run.h"

/* Prints bytes as a string of C. Text of 60 bytes and more is cut into strings of equal length. */
static void print_text(FILE *output, const char *text, size_t length)
{
    (void)fputc('"', output);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (i != 0 && i % 80 == 0)
            (void)fputs("\"\n        \"", output);
        if (byte == '"' || byte == '\\' || !isprint(byte))
            (void)fprintf(output, "\\%03o", byte);
        else
            (void)fputc(byte, output);
    }
    (void)fprintf(output, "\", %zu", length);
}

static void print_name(FILE *output, unsigned number)
{
    char name[NAME_ROOM];
    size_t length = name_text(number, name);

    print_text(output, name, length);
}

static void print_path(FILE *output, const struct call_path *path)
{
    char text[PATH_ROOM];
    size_t length = path_text(path, text);

    print_text(output, text, length);
}

static void print_result(FILE *output, int64_t result)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
#define NUMBER(name) {EXT2DAX_##name, "EXT2DAX_" #name}
        NUMBER(EPERM),  NUMBER(ENOENT),  NUMBER(EIO),       NUMBER(ENXIO),      NUMBER(ENOMEM),       NUMBER(EBUSY),
        NUMBER(EEXIST), NUMBER(EXDEV),   NUMBER(ENOTDIR),   NUMBER(EISDIR),     NUMBER(EINVAL),       NUMBER(EFBIG),
        NUMBER(ENOSPC), NUMBER(EROFS),   NUMBER(EMLINK),    NUMBER(ERANGE),     NUMBER(ENAMETOOLONG), NUMBER(ENOTEMPTY),
        NUMBER(ELOOP),  NUMBER(ENODATA), NUMBER(EOVERFLOW), NUMBER(EOPNOTSUPP), NUMBER(EUCLEAN),
#undef NUMBER
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (result == -names[i].number) {
            (void)fprintf(output, " == -%s);\n", names[i].name);
            return;
        }
    }
    (void)fprintf(output, " == %" PRId64 ");\n", result);
}

static void print_into(FILE *output, unsigned into)
{
    if (into == NO_SLOT)
        (void)fputs(", NULL)", output);
    else
        (void)fprintf(output, ", &slot[%u])", into);
}

/* As print_into(), for calls that always return a reference. */
static void print_found(FILE *output, unsigned into)
{
    if (into == NO_SLOT)
        (void)fputs(", &found)", output);
    else
        print_into(output, into);
}

static void print_attributes(FILE *output, const struct call *call)
{
    (void)fprintf(output,
                  "{.size = sizeof(struct ext2dax_attributes), .set = 0x%x, .mode = 0%o, .uid = %u, .gid = %u,\n"
                  "         .flags = 0x%x, .mtime = {.seconds = %" PRId64
                  ", .nanoseconds = %u}, .atime = {.seconds = %" PRId64 ", .nanoseconds = %u},\n"
                  "         .ctime = {.seconds = %" PRId64 ", .nanoseconds = %u}, .created = {.seconds = %" PRId64
                  ", .nanoseconds = %u}}",
                  call->flags, call->mode, call->uid, call->gid, call->inode_flags, call->seconds, call->nanoseconds,
                  call->seconds + 1, call->nanoseconds, call->seconds + 2, call->nanoseconds, call->seconds + 3,
                  call->nanoseconds);
}

static void print_create(FILE *output, const struct call *call)
{
    (void)fprintf(output, "ext2dax_%s(slot[%u], ", call_name((enum call_kind)call->kind), call->slot);
    print_name(output, call->name);
    switch (call->kind) {
    case CALL_CREATE:
    case CALL_MKDIR:
        (void)fprintf(output, ", 0%o, %u, %u", call->mode, call->uid, call->gid);
        break;
    case CALL_MKNOD:
        (void)fprintf(output, ", 0%o, %u, %u, %u, %u", call->mode, call->major, call->minor, call->uid, call->gid);
        break;
    case CALL_SYMLINK:
        (void)fputs(", ", output);
        print_path(output, &call->path);
        (void)fprintf(output, ", %u, %u", call->uid, call->gid);
        break;
    default:
        (void)fputs(",\n        &(struct ext2dax_creation){.size = sizeof(struct ext2dax_creation), .attributes = ",
                    output);
        print_attributes(output, call);
        (void)fprintf(output, ",\n         .device_major = %u, .device_minor = %u", call->major, call->minor);
        if ((call->mode & EXT2DAX_S_IFMT) == EXT2DAX_S_IFLNK) {
            char text[PATH_ROOM];
            size_t length = path_text(&call->path, text);

            (void)fputs(",\n         .target = ", output);
            print_text(output, text, length);
        }
        (void)fputs("}", output);
    }
    print_into(output, call->into);
}

static void print_names(FILE *output, const struct call *call)
{
    switch (call->kind) {
    case CALL_LINK:
        (void)fprintf(output, "ext2dax_link(slot[%u], slot[%u], ", call->slot, call->other);
        print_name(output, call->name);
        (void)fputc(')', output);
        break;
    case CALL_RENAME:
        (void)fprintf(output, "ext2dax_rename(slot[%u], ", call->slot);
        print_name(output, call->name);
        (void)fprintf(output, ", slot[%u], ", call->other);
        print_name(output, call->other_name);
        (void)fprintf(output, ", 0x%x)", call->flags);
        break;
    case CALL_LOOKUP:
        (void)fprintf(output, "ext2dax_lookup(slot[%u], ", call->slot);
        print_name(output, call->name);
        print_found(output, call->into);
        break;
    case CALL_LOOKUP_PATH:
        (void)fputs("ext2dax_lookup_path(mount, ", output);
        print_path(output, &call->path);
        (void)fprintf(output, ", %u", call->flags);
        print_found(output, call->into);
        break;
    default:
        (void)fprintf(output, "ext2dax_%s(slot[%u], ", call_name((enum call_kind)call->kind), call->slot);
        print_name(output, call->name);
        (void)fputc(')', output);
    }
}

static void print_xattr(FILE *output, const struct call *call)
{
    static unsigned char value[VALUE_ROOM];
    char name[NAME_ROOM];
    size_t length = xattr_text(call->name, name);

    (void)fprintf(output, "ext2dax_%s(slot[%u]", call_name((enum call_kind)call->kind), call->slot);
    if (call->kind != CALL_LISTXATTR) {
        (void)fputs(", ", output);
        print_text(output, name, length);
    }
    if (call->kind == CALL_SETXATTR)
        (void)fprintf(output, ", bytes, %zu, 0x%x)", xattr_value(call, value), call->flags);
    else if (call->kind == CALL_REMOVEXATTR)
        (void)fputc(')', output);
    else
        (void)fprintf(output, ", bytes, %" PRIu64 ")", call->length);
}

static void print_file(FILE *output, const struct call *call)
{
    const char *name = call_name((enum call_kind)call->kind);

    switch (call->kind) {
    case CALL_READ:
    case CALL_WRITE:
        (void)fprintf(output, "ext2dax_%s(slot[%u], %" PRIu64 ", bytes, %" PRIu64 ")", name, call->slot, call->offset,
                      call->length);
        break;
    case CALL_TRUNCATE:
        (void)fprintf(output, "ext2dax_truncate(slot[%u], %" PRIu64 ")", call->slot, call->offset);
        break;
    case CALL_ALLOCATE:
        (void)fprintf(output, "ext2dax_allocate(slot[%u], %" PRIu64 ", %" PRIu64 ", %s)", call->slot, call->offset,
                      call->length, call->flags != 0 ? "true" : "false");
        break;
    case CALL_SEEK:
        (void)fprintf(output, "ext2dax_seek(slot[%u], %" PRIu64 ", %u)", call->slot, call->offset, call->flags);
        break;
    case CALL_MAP:
        (void)fprintf(output, "ext2dax_map(slot[%u], %" PRIu64 ", %" PRIu64 ", &run)", call->slot, call->offset,
                      call->length);
        break;
    case CALL_FSYNC:
        (void)fprintf(output, "ext2dax_fsync(slot[%u])", call->slot);
        break;
    default:
        (void)fprintf(output, "ext2dax_%s(slot[%u], %" PRIu64 ", %" PRIu64 ")", name, call->slot, call->offset,
                      call->length);
    }
}

static void print_rest(FILE *output, const struct call *call)
{
    switch (call->kind) {
    case CALL_READDIR:
    case CALL_READDIR_PART:
        (void)fprintf(output, "list(slot[%u], %s%" PRIu64 ")", call->slot,
                      call->kind == CALL_READDIR_PART ? "from the last cookie, at most " : "", call->length);
        break;
    case CALL_READLINK:
        (void)fprintf(output, "ext2dax_readlink(slot[%u], (char *)bytes, %" PRIu64 ")", call->slot, call->length);
        break;
    case CALL_SETATTR:
        (void)fprintf(output, "ext2dax_setattr(slot[%u], &(struct ext2dax_attributes)", call->slot);
        print_attributes(output, call);
        (void)fputc(')', output);
        break;
    case CALL_GET:
        (void)fprintf(output, "ext2dax_inode_get(mount, slot[%u]->number", call->slot);
        print_found(output, call->into);
        break;
    case CALL_SYNC:
    case CALL_UNMOUNT:
        (void)fprintf(output, "ext2dax_%s(mount)", call->kind == CALL_SYNC ? "sync" : "unmount");
        break;
    case CALL_REMOUNT:
        (void)fprintf(output, "ext2dax_remount(mount, 0x%x)", call->flags);
        break;
    default:
        break;
    }
}

static void print_plain(FILE *output, const struct call *call)
{
    switch (call->kind) {
    case CALL_STAT:
        (void)fprintf(output, "    ext2dax_stat(slot[%u], &stat, sizeof(stat));\n", call->slot);
        break;
    case CALL_HOLD:
        (void)fprintf(output, "    ext2dax_inode_hold(slot[%u]);\n    slot[%u] = slot[%u];\n", call->slot, call->into,
                      call->slot);
        break;
    case CALL_PUT:
        (void)fprintf(output, "    ext2dax_inode_put(slot[%u]);\n    slot[%u] = NULL;\n", call->slot, call->slot);
        break;
    case CALL_STATFS:
        (void)fputs("    ext2dax_statfs(mount, &statfs, sizeof(statfs));\n", output);
        break;
    default:
        (void)fputs("    mount_again(); /* after a put of every slot */\n", output);
    }
}

static void print_call(FILE *output, const struct call *call, int64_t expected)
{
    switch (call->kind) {
    case CALL_STAT:
    case CALL_HOLD:
    case CALL_PUT:
    case CALL_STATFS:
    case CALL_CYCLE:
        print_plain(output, call);
        return;
    default:
        break;
    }
    if (call->more_links != 0)
        (void)fprintf(output, "    /* with %u more links in the inode of slot[%u], for this call only */\n",
                      call->more_links, call_counted(call));
    (void)fputs("    ck_assert(", output);
    if (call->kind <= CALL_SYMLINK)
        print_create(output, call);
    else if (call->kind <= CALL_LOOKUP_PATH)
        print_names(output, call);
    else if (call->kind >= CALL_GETXATTR && call->kind <= CALL_REMOVEXATTR)
        print_xattr(output, call);
    else if (call->kind >= CALL_READ && call->kind <= CALL_FSYNC_RANGE)
        print_file(output, call);
    else
        print_rest(output, call);
    print_result(output, expected);
}

void sequence_print(const struct sequence *sequence, const struct setting *setting, FILE *output)
{
    (void)fprintf(output, "/* %s, image %s: %u calls */\n{\n    struct ext2dax_inode *slot[%u] = {root};\n\n",
                  setting->ops->name, setting->kind->name, sequence->count, SLOTS);
    for (unsigned i = 0; i < sequence->count; i++) {
        if (!sequence->skipped[i])
            print_call(output, &sequence->call[i], sequence->expected[i]);
        else
            (void)fprintf(output, "    /* a %s without effect */\n", call_name((enum call_kind)sequence->call[i].kind));
    }
    (void)fprintf(output, "}\n/* %s */\n", sequence->difference);
}
