/* SPDX-License-Identifier: MIT */
/*
 * Locates the image in a file by --offset, or by a partition of an MBR or GPT. A partition
 * table is untrusted input. Every number is checked before use. The length of a chain is
 * bounded. A GPT is used only if the checksums match.
 */
#include "mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR        512u
#define MBR_ENTRIES   446u
#define MBR_ENTRY     16u
#define MBR_PRIMARIES 4u
#define MBR_MOST      128u /* extended boot records in a chain */
#define GPT_MOST      16384u
#define GPT_LEAST     128u /* bytes per entry */

struct disk {
    int descriptor;
    uint64_t size; /* bytes */
    struct partitions *found;
};

static uint32_t get32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const unsigned char *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/*
 * Reads a range of the file. Returns false if part of the range is outside the file or
 * unreadable.
 */
static bool get(const struct disk *disk, uint64_t offset, void *to, size_t bytes)
{
    size_t done = 0;

    if (offset > disk->size || bytes > disk->size - offset)
        return false;
    while (done < bytes) {
        ssize_t got = pread(disk->descriptor, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static const char *add(struct disk *disk, unsigned number, uint64_t sector, uint64_t sectors, uint64_t bytes,
                       bool holder)
{
    struct partitions *found = disk->found;

    if (found->count == found->room) {
        size_t room = found->room ? found->room * 2 : 16;
        struct partition *list = realloc(found->list, room * sizeof(*list));
        if (!list)
            return "out of memory";
        found->list = list;
        found->room = room;
    }
    /* An offset too large for any file is replaced by an offset past the end of this file. */
    bool far = sector > INT64_MAX / bytes || sectors > INT64_MAX / bytes - sector;
    found->list[found->count++] = (struct partition){.number = number,
                                                     .offset = far ? INT64_MAX : sector * bytes,
                                                     .length = far ? 1 : sectors * bytes,
                                                     .holder = holder};
    return NULL;
}

/* ---- MBR ---- */

static bool is_extended(unsigned type)
{
    return type == 0x05 || type == 0x0F || type == 0x85;
}

static bool is_signed(const unsigned char *sector)
{
    return sector[510] == 0x55 && sector[511] == 0xAA;
}

/*
 * Is the sector an MBR? Boot code ends in the same signature. In an MBR each entry has the flag
 * 0 or 0x80, and at least a single entry is used.
 */
static bool is_table(const unsigned char *sector)
{
    bool used = false;

    for (unsigned i = 0; i < MBR_PRIMARIES; i++) {
        const unsigned char *entry = sector + MBR_ENTRIES + (size_t)i * MBR_ENTRY;
        if (entry[0] & 0x7F)
            return false;
        used = used || (entry[4] && get32(entry + 12));
    }
    return used && is_signed(sector);
}

/*
 * Follows the chain of extended boot records. Each record describes a partition located after
 * the record, and links to the next record. Returns NULL, or a description of the defect.
 */
static const char *read_chain(struct disk *disk, uint32_t start, unsigned *number)
{
    unsigned char sector[SECTOR];
    uint32_t seen[MBR_MOST] = {0}, at = start;

    for (unsigned n = 0; n < MBR_MOST; n++) {
        for (unsigned i = 0; i < n; i++)
            if (seen[i] == at)
                return "the chain of its extended partition is a loop";
        seen[n] = at;
        if (!get(disk, (uint64_t)at * SECTOR, sector, sizeof(sector)))
            return "the chain of its extended partition leads out of the file";
        if (!is_signed(sector))
            return "the chain of its extended partition leads to a sector without a boot record";
        const unsigned char *own = sector + MBR_ENTRIES, *link = own + MBR_ENTRY;
        if (own[4] && get32(own + 12) && !is_extended(own[4])) {
            const char *why = add(disk, (*number)++, (uint64_t)at + get32(own + 8), get32(own + 12), SECTOR, false);
            if (why)
                return why;
        }
        if (!is_extended(link[4]) || !get32(link + 12))
            return NULL;
        if (get32(link + 8) > UINT32_MAX - start)
            return "the chain of its extended partition leads out of the file";
        at = start + get32(link + 8);
    }
    return "the chain of its extended partition has no end";
}

static const char *read_mbr(struct disk *disk, const unsigned char *sector)
{
    unsigned number = MBR_PRIMARIES + 1;
    const char *why = NULL;

    disk->found->kind = "MBR";
    for (unsigned i = 0; i < MBR_PRIMARIES && !why; i++) {
        const unsigned char *entry = sector + MBR_ENTRIES + (size_t)i * MBR_ENTRY;
        if (entry[4] && get32(entry + 12))
            why = add(disk, i + 1, get32(entry + 8), get32(entry + 12), SECTOR, is_extended(entry[4]));
    }
    for (unsigned i = 0; i < MBR_PRIMARIES && !why; i++) {
        const unsigned char *entry = sector + MBR_ENTRIES + (size_t)i * MBR_ENTRY;
        if (is_extended(entry[4]) && get32(entry + 12))
            why = read_chain(disk, get32(entry + 8), &number);
    }
    return why;
}

/* ---- GPT ---- */

/* Computes the CRC-32 of IEEE 802.3, which GPT uses. */
static uint32_t checksum(const unsigned char *at, size_t bytes)
{
    uint32_t sum = UINT32_MAX;

    for (size_t i = 0; i < bytes; i++) {
        sum ^= at[i];
        for (unsigned bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
    }
    return ~sum;
}

static const char *read_entries(struct disk *disk, const unsigned char *entries, uint32_t count, uint32_t size,
                                uint32_t sector)
{
    static const unsigned char unused[16];

    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *entry = entries + (size_t)i * size;
        uint64_t first = get64(entry + 32), last = get64(entry + 40);
        if (!memcmp(entry, unused, sizeof(unused)))
            continue;
        if (last < first || last == UINT64_MAX)
            return "a partition of its GPT ends before it begins";
        const char *why = add(disk, i + 1, first, last - first + 1, sector, false);
        if (why)
            return why;
    }
    return NULL;
}

/* Reads a GPT. The header lies in the second sector. `sector` is the sector size in bytes. */
static const char *read_gpt(struct disk *disk, uint32_t sector)
{
    unsigned char header[4096];
    const char *why;

    disk->found->kind = "GPT";
    if (!get(disk, sector, header, sector))
        return "its GPT is cut short";
    uint32_t size = get32(header + 12), sum = get32(header + 16), count = get32(header + 80), each = get32(header + 84);
    uint64_t entries = get64(header + 72);
    if (size < 92 || size > sector)
        return "the size of its GPT header cannot be";
    memset(header + 16, 0, 4);
    if (checksum(header, size) != sum)
        return "its GPT header does not match its checksum";
    if (get64(header + 24) != 1)
        return "its GPT header is that of another place";
    if (each < GPT_LEAST || each > sizeof(header) || each & (each - 1) || !count || count > GPT_MOST)
        return "the entries of its GPT cannot be";
    if (entries > disk->size / sector)
        return "the entries of its GPT lie outside the file";
    unsigned char *table = malloc((size_t)count * each);
    if (!table)
        return "out of memory";
    if (!get(disk, entries * sector, table, (size_t)count * each))
        why = "the entries of its GPT lie outside the file";
    else if (checksum(table, (size_t)count * each) != get32(header + 88))
        why = "the entries of its GPT do not match their checksum";
    else
        why = read_entries(disk, table, count, each, sector);
    free(table);
    return why;
}

/* ---- both kinds of tables ---- */

static const char *read_table(struct disk *disk)
{
    static const uint32_t sizes[] = {512, 4096};
    unsigned char sector[SECTOR];
    char mark[8];

    if (!get(disk, 0, sector, sizeof(sector)))
        return "has no partition table";
    for (size_t i = 0; i < 2; i++)
        if (get(disk, sizes[i], mark, sizeof(mark)) && !memcmp(mark, "EFI PART", sizeof(mark)) && is_signed(sector))
            return read_gpt(disk, sizes[i]);
    return is_table(sector) ? read_mbr(disk, sector) : "has no partition table";
}

const char *partitions_read(int descriptor, uint64_t size, struct partitions *found)
{
    struct disk disk = {descriptor, size, found};

    *found = (struct partitions){0};
    return read_table(&disk);
}

void partitions_free(struct partitions *found)
{
    free(found->list);
    *found = (struct partitions){0};
}

void partitions_text(const struct partitions *found, char *text, size_t size)
{
    size_t used = 0;

    text[0] = 0;
    for (size_t i = 0, told = 0; i < found->count && used < size; i++) {
        if (found->list[i].holder)
            continue;
        if (told++ == 8) {
            snprintf(text + used, size - used, ", ...");
            return;
        }
        int length = snprintf(text + used, size - used, "%s%u", used ? ", " : "", found->list[i].number);
        used += length > 0 ? (size_t)length : 0;
    }
}

static int find_partition(const struct request *request, int descriptor, uint64_t size, struct where *where)
{
    struct partitions found;
    char numbers[128];
    int code = 0;
    const struct partition *wanted = NULL;
    const char *why = partitions_read(descriptor, size, &found);

    for (size_t i = 0; i < found.count && !wanted; i++)
        if (found.list[i].number == request->partition)
            wanted = &found.list[i];
    partitions_text(&found, numbers, sizeof(numbers));
    if (why)
        code = say_failed(request->image, "partition %u: %s", request->partition, why);
    else if (!wanted)
        code = say_failed(request->image, "partition %u: its %s has %s%s", request->partition, found.kind,
                          *numbers ? "partitions " : "none", numbers);
    else if (wanted->holder)
        code = say_failed(request->image, "partition %u: is an extended one, which holds others", wanted->number);
    else if (wanted->offset >= size || wanted->length > size - wanted->offset)
        code = say_failed(request->image, "partition %u: ends past the end of the file", wanted->number);
    else
        *where = (struct where){wanted->offset, wanted->length};
    partitions_free(&found);
    return code;
}

int image_where(const struct request *request, struct where *where)
{
    struct stat st;
    int code;

    *where = (struct where){request->offset, 0};
    if (!request->partition)
        return 0;
    int descriptor = open(request->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return system_failed(request->image, errno, "partition %u", request->partition);
    if (fstat(descriptor, &st))
        code = system_failed(request->image, errno, "partition %u", request->partition);
    else if (!S_ISREG(st.st_mode))
        code = say_failed(request->image, "partition %u: is no file", request->partition);
    else
        code = find_partition(request, descriptor, (uint64_t)st.st_size, where);
    close(descriptor);
    return code;
}
