/* SPDX-License-Identifier: MIT */
/*
 * Error texts, reports to the log of the host, and panics.
 *
 * The functions take no lock and do not access the image, so all may be called with any lock held.
 * A report of corruption does not mark the image. e2d_corrupt() of disk/super.h does both.
 */
#include "ext2dax/version.h"

#include "base/lock.h"

#define TEXT_OF(number) #number
#define DOTTED(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
#define DECIMAL_DIGITS  20 /* of 2^64 - 1 */

const char *ext2dax_version(void)
{
    return DOTTED(EXT2DAX_VERSION_MAJOR, EXT2DAX_VERSION_MINOR, EXT2DAX_VERSION_PATCH);
}

/* The errors and their texts. */
#define ERRORS(_)                                                                                                      \
    _(EPERM, "operation not permitted")                                                                                \
    _(ENOENT, "no such file or directory")                                                                             \
    _(EINTR, "interrupted")                                                                                            \
    _(EIO, "input/output error")                                                                                       \
    _(ENXIO, "no data there")                                                                                          \
    _(EAGAIN, "filesystem is frozen, try again")                                                                       \
    _(ENOMEM, "out of memory")                                                                                         \
    _(EFAULT, "bad address")                                                                                           \
    _(EBUSY, "in use")                                                                                                 \
    _(EEXIST, "file exists")                                                                                           \
    _(EXDEV, "on another filesystem")                                                                                  \
    _(ENOTDIR, "not a directory")                                                                                      \
    _(EISDIR, "is a directory")                                                                                        \
    _(EINVAL, "invalid argument")                                                                                      \
    _(EFBIG, "file too large")                                                                                         \
    _(ENOSPC, "no space left")                                                                                         \
    _(EROFS, "filesystem is read-only")                                                                                \
    _(EMLINK, "too many links")                                                                                        \
    _(ERANGE, "buffer too small")                                                                                      \
    _(ENAMETOOLONG, "name too long")                                                                                   \
    _(ENOTEMPTY, "directory not empty")                                                                                \
    _(ELOOP, "too many symbolic links")                                                                                \
    _(ENODATA, "no such attribute")                                                                                    \
    _(EOVERFLOW, "value too large")                                                                                    \
    _(EOPNOTSUPP, "not supported")                                                                                     \
    _(EUCLEAN, "filesystem needs checking")
#define NUMBER_OF(name, text) EXT2DAX_##name,
#define TEXT_END(name, text)  text "\0"

/* All texts in one, because pointers to the texts would be larger than the texts. */
static const unsigned char numbers[] = {ERRORS(NUMBER_OF)};
static const char texts[] = ERRORS(TEXT_END);

const char *ext2dax_strerror(int error)
{
    const char *text = texts;
    unsigned number = error < 0 ? 0u - (unsigned)error : (unsigned)error;

    if (error == 0)
        return "success";
    for (size_t i = 0; i < sizeof(numbers); i++) {
        if (number == numbers[i])
            return text;
        while (*text++ != '\0') {
        }
    }
    return "unknown error";
}

/* Output buffer that keeps the part of the text which fits and counts the whole length. */
struct text {
    char *buffer;
    size_t size, length;
};

static void put_char(struct text *text, char c)
{
    if (text->length + 1 < text->size)
        text->buffer[text->length] = c;
    text->length++;
}

static void put_text(struct text *text, const char *from)
{
    while (*from)
        put_char(text, *from++);
}

/*
 * Writes a decimal number without 64-bit division. Doubles the digits and adds a bit, from the
 * highest bit down.
 */
static void put_number(struct text *text, uint64_t number)
{
    uint8_t digit[DECIMAL_DIGITS] = {0};
    int bit, i, top = DECIMAL_DIGITS - 1;

    for (bit = 63; bit >= 0; bit--) {
        unsigned carry = (unsigned)(number >> bit) & 1;

        for (i = 0; i < DECIMAL_DIGITS; i++) {
            unsigned twice = 2u * digit[i] + carry;

            carry = twice >= 10;
            digit[i] = (uint8_t)(carry ? twice - 10 : twice);
        }
    }
    while (top > 0 && digit[top] == 0)
        top--;
    for (i = top; i >= 0; i--)
        put_char(text, (char)('0' + digit[i]));
}

/* ---- features ---- */

const char e2d_incompat_field[] = "incompatible features", e2d_ro_compat_field[] = "read-only features",
           e2d_compat_field[] = "compatible features";

/* Names from bit 0 on, each followed by a comma. Empty for a bit without a name. */
static const char *const feature_names[] = {
    [EXT2DAX_FEATURES_COMPAT] = "dir_prealloc,imagic_inodes,has_journal,ext_attr,resize_inode,dir_index,lazy_bg,,"
                                "snapshot_bitmap,sparse_super2,fast_commit,stable_inodes,orphan_file,",
    [EXT2DAX_FEATURES_INCOMPAT] = "compression,filetype,needs_recovery,journal_dev,meta_bg,,extent,64bit,mmp,flex_bg,"
                                  "ea_inode,,dirdata,metadata_csum_seed,large_dir,inline_data,encrypt,casefold,",
    [EXT2DAX_FEATURES_RO_COMPAT] = "sparse_super,large_file,,huge_file,uninit_bg,dir_nlink,extra_isize,,quota,bigalloc,"
                                   "metadata_csum,replica,read-only,project,shared_blocks,verity,orphan_present,",
};

static void put_features(struct text *text, enum ext2dax_feature_set set, uint32_t flags)
{
    const char *name = feature_names[set];
    bool first = true;
    unsigned bit;

    for (bit = 0; bit < 32; bit++) {
        bool put = (flags >> bit & 1) != 0, named = *name && *name != ',';

        if (put && !first)
            put_text(text, ", ");
        first = first && !put;
        if (put && !named) {
            put_text(text, "FEATURE_");
            put_char(text, "CIR"[set]);
            put_number(text, bit);
        }
        for (; *name && *name != ','; name++) {
            if (put)
                put_char(text, *name);
        }
        if (*name)
            name++;
    }
}

static void terminate(const struct text *text)
{
    if (text->size > 0)
        text->buffer[text->length < text->size ? text->length : text->size - 1] = '\0';
}

size_t ext2dax_feature_text(enum ext2dax_feature_set set, uint32_t flags, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};

    if ((unsigned)set <= EXT2DAX_FEATURES_RO_COMPAT)
        put_features(&text, set, flags);
    terminate(&text);
    return text.length;
}

/* ---- reports ---- */

static void put_value(struct text *text, const struct ext2dax_report *report)
{
    if (report->field == e2d_incompat_field)
        put_features(text, EXT2DAX_FEATURES_INCOMPAT, (uint32_t)report->value);
    else if (report->field == e2d_ro_compat_field)
        put_features(text, EXT2DAX_FEATURES_RO_COMPAT, (uint32_t)report->value);
    else if (report->field == e2d_compat_field)
        put_features(text, EXT2DAX_FEATURES_COMPAT, (uint32_t)report->value);
    else
        put_number(text, report->value);
}

size_t ext2dax_report_text(const struct ext2dax_report *report, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};

    if (report->structure) {
        put_text(&text, report->structure);
        put_char(&text, ' ');
        put_number(&text, report->number);
        put_text(&text, ": ");
    }
    if (report->field) {
        put_text(&text, report->field);
        put_char(&text, ' ');
        put_value(&text, report);
        if (report->reason || report->error != 0)
            put_text(&text, ": ");
    }
    if (report->reason)
        put_text(&text, report->reason);
    else if (report->error != 0 || !report->field)
        put_text(&text, ext2dax_strerror(report->error));
    terminate(&text);
    return text.length;
}

int e2d_report(const struct ext2dax_host_ops *ops, void *ctx, const struct ext2dax_report *report)
{
    if (ops->log)
        ops->log(ctx, report);
    return report->error;
}

int(e2d_complain)(struct ext2dax_mount *m, int error, const char *structure, uint64_t number, const char *field,
                  uint64_t value E2D_REASON(const char *reason))
{
    enum ext2dax_level level = error < 0 ? EXT2DAX_LEVEL_ERROR : EXT2DAX_LEVEL_WARNING;
    struct ext2dax_report report = {level, error, structure, number, field, value, E2D_REASON_OR_NULL(reason)};

    if (error > 0) {
        report.level = EXT2DAX_LEVEL_INFO;
        report.error = error - E2D_AT_INFO;
    }
    return e2d_report(&m->host_ops, m->host_ctx, &report);
}

void(e2d_warn)(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field,
               uint64_t value E2D_REASON(const char *reason))
{
    (void)(e2d_complain)(m, 0, structure, number, field, value E2D_REASON(reason));
}

_Noreturn void e2d_panic(const struct ext2dax_mount *m, const char *file, int line, const char *what)
{
    if (m->host_ops.panic)
        m->host_ops.panic(m->host_ctx, file, line, what);
    __builtin_trap();
}

void e2d_must_hold(const struct ext2dax_mount *m, const struct ext2dax_lock *lock, const char *file, int line)
{
    bool held = !m->lock_ops.held || m->lock_ops.held(m->lock_ctx, lock, EXT2DAX_LOCK_EXCLUSIVE);

    if (!held && !E2D_ASSERTIONS_OFF)
        e2d_panic(m, file, line, E2D_TEXT("the lock must be held exclusively"));
}
