/* SPDX-License-Identifier: MIT */
/* Checks of PMD ranges. A single fault installs a single entry of the second level, 2 MiB. */
#include "kernel.h"

#define PAGES 512ul

static bool huge(const struct mapping *mapping, uint64_t page, bool writable)
{
    uint64_t entry = space_look(space_page(mapping, page)), frame = frame_of(mapping->inode, page & ~511ull);

    return (entry & ENTRY_HUGE) != 0 && frame % HUGE_SIZE == 0 &&
           (entry & ENTRY_FRAME & ~(uint64_t)(HUGE_SIZE - 1)) == frame && ((entry & ENTRY_WRITABLE) != 0) == writable;
}

/*
 * The file has 6 MiB and is a hole at first. PMD range 0 is filled by stores to the hole. PMD
 * range 1 is filled after the hole was read.
 */
static void check_pmd_ranges(struct ext2dax_inode *inode, struct mapping *mapping)
{
    struct fault_counts before = fault_counts;
    struct ext2dax_counters counters;
    uint64_t second = space_page(mapping, PAGES);

    check_same("PMD: storing 2 MiB into an empty range", user_run(user_fill, mapping->address, HUGE_SIZE, 0x11), 0);
    check_same("PMD: takes one fault", fault_counts.huge - before.huge, 1);
    check_same("PMD: no small one", fault_counts.fault - before.fault, 0);
    check("PMD: is one aligned, writable entry of 2 MiB", huge(mapping, 0, true));
    ext2dax_count(fixture.mount, &counters, sizeof(counters));
    check_same("PMD: the core counts one", counters.huge_mapped, 1);

    check_same("PMD: fsync", (uint64_t)-ext2dax_fsync(inode), 0);
    check("PMD: leaves the entry, read-only", huge(mapping, 0, false));
    check_same("PMD: a store", user_run(user_store, mapping->address + 12345, 0x12, 0), 0);
    check("PMD: makes it writable as a whole", huge(mapping, 0, true));

    check_same("PMD: a hole is read by small pages", user_run(user_sum, second, PAGES, 0), 0);
    check("PMD: of the zero page",
          (space_look(second + PAGE_SIZE) & (ENTRY_FRAME | ENTRY_HUGE)) == physical_of(zero_page));
    /*
     * The zero page is present, so the handler would call mkwrite for a store.
     * check_replacing() calls ext2dax_pmd_fault() instead, as madvise() would.
     */
    space_unmap(mapping);
}

static void check_replacing(struct ext2dax_inode *inode)
{
    struct mapping *mapping = map_file(inode, 0, 3 * PAGES, true, true);
    struct ext2dax_fault fault = {
        .inode = inode, .page = PAGES, .mapping_count = 3 * PAGES, .write = true, .shared = true};

    check_same("PMD: zero pages again", user_run(user_sum, space_page(mapping, PAGES), PAGES, 0), 0);
    fault.address = space_page(mapping, PAGES);
    fault.cookie = mapping;
    check_same("PMD: a PMD range of zero pages", ext2dax_pmd_fault(&fault), EXT2DAX_FAULT_NOPAGE);
    check("PMD: becomes one entry", huge(mapping, PAGES + 1, true));
    check_same("PMD: ring 3 stores through it", user_run(user_fill, space_page(mapping, PAGES), HUGE_SIZE, 0x21), 0);
    check_same("PMD: reading maps a whole range", user_run(user_load, space_page(mapping, 7), 0, 0), 0x11);
    check("PMD: read-only", huge(mapping, 0, false));

    check_same("PMD: truncating to 3 MiB", (uint64_t)-ext2dax_truncate(inode, 3u << 20), 0);
    check_same("PMD: takes the entry away", space_look(space_page(mapping, PAGES)), 0);
    check_same("PMD: what is left of the range is there", user_run(user_load, space_page(mapping, PAGES + 255), 0, 0),
               0x21);
    check("PMD: in small pages", (space_look(space_page(mapping, PAGES + 255)) & ENTRY_HUGE) == 0);
    check_same("PMD: what is not is SIGBUS", user_run(user_load, space_page(mapping, PAGES + 256), 0, 0), USER_SIGBUS);
    check("PMD: the other range has not suffered", huge(mapping, 0, false));
    space_unmap(mapping);
}

void check_huge(void)
{
    struct ext2dax_inode *inode = create_file("huge", 3 * HUGE_SIZE);

    check_pmd_ranges(inode, map_file(inode, 0, 3 * PAGES, true, true));
    check_replacing(inode);
    ext2dax_inode_put(inode);
}
