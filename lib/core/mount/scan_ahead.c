/* SPDX-License-Identifier: MIT */
/*
 * What a scan reads of the inode tables, and how early, and the loop over the inodes read.
 *
 * The inodes after the last nonzero byte of a table are free and need not be read, if the memory
 * plug knows the place of this byte. Bitmaps and tables are fetched before the scan reaches the
 * group, which only gains time, so a core compiled for size fetches nothing.
 */
#include "mount/scan.h"

#include "disk/group.h"
#include "disk/inode.h"
#include "base/persist.h"

#define LARGEST_PAGE 65536u /* bytes, of any host */

/* Are the bytes readable, and all zeroes? */
static bool is_zero(struct ext2dax_mount *m, const unsigned char *at, size_t bytes)
{
    return e2d_readable(m, at, bytes) && at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

/*
 * Returns how many bytes at the start of the range may be nonzero. All bytes after are zeros and
 * need not be read. A page of the host at the end of the range may hold data of the next block. So
 * a short run at the end is looked at. Otherwise such a page would have the whole range read, and
 * memory of tmpfs allocated for a hole at each load.
 */
static size_t data_bytes(struct ext2dax_mount *m, const unsigned char *at, size_t bytes)
{
    size_t end = 0, from, length, data = 0;

    if (!m->memory_ops.next_data)
        return bytes;
    while (end < bytes && (length = m->memory_ops.next_data(m->memory_ctx, at + end, bytes - end, &from)) != 0) {
        if (E2D_MUTANT(HOLE_ENDS_TABLE))
            return from == 0 ? length : 0;
        end += from + length;
        if (end < bytes || length >= LARGEST_PAGE || !is_zero(m, at + end - length, length))
            data = end;
    }
    return data;
}

/*
 * Determines the filled inodes of a group. A table never written to is usually a hole. The reserved
 * inodes are scanned in any case.
 */
static void find_filled(struct e2d_scan *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    size_t bytes = data_bytes(m, e2d_block(m, e2d_get32(e2d_descriptor(m, group)->inode_table)),
                              (size_t)e2d_table_blocks(m) << m->block_shift);
    uint32_t inodes = m->inodes_per_group, first = group * inodes + 1;
    uint32_t reserved = first < m->first_inode ? m->first_inode - first : 0;
    unsigned shift = 0;

    /* The size of an inode is a power of two. */
    while (m->inode_size >> shift > 1)
        shift++;
    bytes = (bytes + m->inode_size - 1) >> shift;
    bytes = bytes < reserved ? reserved : bytes;
    s->filled[group] = bytes < inodes ? (uint32_t)bytes : inodes;
}

#if E2D_FOR_SPEED

/*
 * Bytes of structures being fetched while earlier structures are scanned. A single group is fetched
 * in any case.
 */
#define AHEAD_BYTES ((uint64_t)16 << 20)

/*
 * Fetches the bitmaps and the inode table of a group, which are usually adjacent. Returns the
 * bytes.
 */
static uint64_t fetch(struct e2d_scan *s, uint32_t group)
{
    struct ext2dax_mount *m = s->m;
    const struct ext2dax_disk_group *descriptor = e2d_descriptor(m, group);
    uint32_t blocks = e2d_get32(descriptor->block_bitmap), inodes = e2d_get32(descriptor->inode_bitmap);
    uint32_t table = e2d_get32(descriptor->inode_table), filled = e2d_scan_filled_blocks(s, group);

    if (inodes == blocks + 1 && table == inodes + 1) {
        e2d_fetch(m, blocks, 2 + filled);
    } else {
        e2d_fetch(m, blocks, 1);
        e2d_fetch(m, inodes, 1);
        e2d_fetch(m, table, filled);
    }
    return (uint64_t)(2 + filled) << m->block_shift;
}

void e2d_scan_ahead(struct e2d_scan *s, uint32_t group, struct e2d_scan_ahead *ahead)
{
    for (; ahead->groups < s->m->groups && (ahead->groups <= group || ahead->bytes < AHEAD_BYTES); ahead->groups++) {
        find_filled(s, ahead->groups);
        ahead->bytes += fetch(s, ahead->groups);
    }
    ahead->bytes -= (uint64_t)(2 + e2d_scan_filled_blocks(s, group)) << s->m->block_shift;
}

#else

void e2d_scan_ahead(struct e2d_scan *s, uint32_t group, struct e2d_scan_ahead *ahead)
{
    (void)ahead;
    find_filled(s, group);
}

#endif

int e2d_scan_each(struct e2d_scan *s, uint32_t group, e2d_scan_inode each)
{
    uint32_t first = group * s->m->inodes_per_group + 1;
    int error = 0;

    s->marks = e2d_inode_bitmap(s->m, group);
    for (uint32_t i = 0; i < s->filled[group] && error == 0; i++)
        error = each(s, first + i, e2d_disk_inode(s->m, first + i), i);
    return error;
}
