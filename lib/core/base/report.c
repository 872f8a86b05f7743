/* SPDX-License-Identifier: MIT */
/*
 * What the core tells: errors in words, reports to the host's log, panics; and what it asks the host: the time.
 *
 * Nothing here takes a lock or looks at the image, so everything may be called with any lock held (e2d_now() excepted,
 * for the host's sake). A report of corruption does not mark the image: that is the superblock's room, above.
 */
#include "ext2dax/version.h"

#include "incore.h"

#define TEXT_OF(number)  #number
#define DOTTED(a, b, c)  TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)
#define LAST_SIGNED_TIME 0x7FFFFFFF /* Linux reads the image's times as signed */
#define DECIMAL_DIGITS   20         /* of 2^64 - 1 */

const char *ext2dax_version(void)
{
    return DOTTED(EXT2DAX_VERSION_MAJOR, EXT2DAX_VERSION_MINOR, EXT2DAX_VERSION_PATCH);
}

#define LONGEST_TEXT 32

/* Numbers below 128, and texts in place: a table of pointers would be larger than both. */
static const struct {
    unsigned char error;
    char text[LONGEST_TEXT];
} texts[] = {
    {EXT2DAX_EPERM, "operation not permitted"},
    {EXT2DAX_ENOENT, "no such file or directory"},
    {EXT2DAX_EIO, "input/output error"},
    {EXT2DAX_ENXIO, "no data there"},
    {EXT2DAX_EAGAIN, "filesystem is frozen, try again"},
    {EXT2DAX_ENOMEM, "out of memory"},
    {EXT2DAX_EFAULT, "bad address"},
    {EXT2DAX_EBUSY, "in use"},
    {EXT2DAX_EEXIST, "file exists"},
    {EXT2DAX_ENOTDIR, "not a directory"},
    {EXT2DAX_EISDIR, "is a directory"},
    {EXT2DAX_EINVAL, "invalid argument"},
    {EXT2DAX_EFBIG, "file too large"},
    {EXT2DAX_ENOSPC, "no space left"},
    {EXT2DAX_EROFS, "filesystem is read-only"},
    {EXT2DAX_EMLINK, "too many links"},
    {EXT2DAX_ENAMETOOLONG, "name too long"},
    {EXT2DAX_ENOTEMPTY, "directory not empty"},
    {EXT2DAX_ELOOP, "too many symbolic links"},
    {EXT2DAX_EOVERFLOW, "value too large"},
    {EXT2DAX_EOPNOTSUPP, "not supported"},
    {EXT2DAX_EUCLEAN, "filesystem needs checking"},
};

const char *ext2dax_strerror(int error)
{
    if (error == 0)
        return "success";
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (error == texts[i].error || error == -(int)texts[i].error)
            return texts[i].text;
    }
    return "unknown error";
}

/* Text that counts its whole length and keeps what fits. */
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

/* Decimal, without dividing 64 bits: halve and add digits, from the highest bit down. */
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
        put_number(&text, report->value);
        put_text(&text, ": ");
    }
    put_text(&text, report->reason ? report->reason : ext2dax_strerror(report->error));
    if (size > 0)
        buffer[text.length < size ? text.length : size - 1] = '\0';
    return text.length;
}

int e2d_report(const struct ext2dax_host_ops *ops, void *ctx, const struct ext2dax_report *report)
{
    if (ops->log)
        ops->log(ctx, report);
    return report->error;
}

int e2d_complain(struct ext2dax_mount *m, int error, const char *structure, uint64_t number, const char *field,
                 uint64_t value, const char *reason)
{
    struct ext2dax_report report = {EXT2DAX_LEVEL_ERROR, error, structure, number, field, value, reason};

    return e2d_report(&m->host_ops, m->host_ctx, &report);
}

int e2d_tell(struct ext2dax_mount *m, int error, const char *structure, uint64_t number, const char *field,
             uint64_t value, const char *reason)
{
    struct ext2dax_report report = {EXT2DAX_LEVEL_INFO, error, structure, number, field, value, reason};

    return e2d_report(&m->host_ops, m->host_ctx, &report);
}

void e2d_warn(struct ext2dax_mount *m, const char *structure, uint64_t number, const char *field, uint64_t value,
              const char *reason)
{
    struct ext2dax_report report = {EXT2DAX_LEVEL_WARNING, 0, structure, number, field, value, reason};

    (void)e2d_report(&m->host_ops, m->host_ctx, &report);
}

_Noreturn void e2d_panic(const struct ext2dax_mount *m, const char *file, int line, const char *what)
{
    if (m->host_ops.panic)
        m->host_ops.panic(m->host_ctx, file, line, what);
    __builtin_trap();
}

/* A time below the inode count, in a deleted inode, would read as a link of the list of orphans. */
uint32_t e2d_now(struct ext2dax_mount *m)
{
    int64_t now = m->host_ops.now ? m->host_ops.now(m->host_ctx) : 0;

    if (now > LAST_SIGNED_TIME)
        now = LAST_SIGNED_TIME;
    if (E2D_MUTANT(ORDER_SMALL_DTIME) && now > 0)
        return (uint32_t)now;
    return now > (int64_t)m->inodes ? (uint32_t)now : m->inodes;
}
