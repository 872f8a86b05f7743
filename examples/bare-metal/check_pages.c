/* SPDX-License-Identifier: MIT */
/*
 * Checks of small pages. Each check looks at the bytes seen by ring 3, the fault function
 * called, and the resulting PTE.
 */
#include "kernel.h"

/* Does the PTE map the block of the file as a small page, writable or read-only as given? */
static bool shows(struct mapping *mapping, uint64_t page, bool writable)
{
    uint64_t entry = space_look(space_page(mapping, page)), frame = frame_of(mapping->inode, page);

    return frame != 0 && (entry & ENTRY_FRAME) == frame && (entry & ENTRY_HUGE) == 0 &&
           ((entry & ENTRY_WRITABLE) != 0) == writable;
}

static bool shows_zero_page(const struct mapping *mapping, uint64_t page)
{
    uint64_t entry = space_look(space_page(mapping, page));

    return (entry & ENTRY_FRAME) == physical_of(zero_page) && (entry & ENTRY_WRITABLE) == 0;
}

static uint64_t load(const struct mapping *mapping, uint64_t page)
{
    return user_run(user_load, space_page(mapping, page), 0, 0);
}

static uint64_t store(const struct mapping *mapping, uint64_t page, uint8_t byte)
{
    return user_run(user_store, space_page(mapping, page), byte, 0);
}

/*
 * The file /data has 5 pages, each filled with the page number + 1, and half a page of bytes of
 * value 6.
 */
static void check_reading(void)
{
    struct ext2dax_inode *data = open_file("/data");
    struct mapping *mapping = map_file(data, 0, 8, true, true);
    unsigned allocations = host_allocations();
    struct fault_counts before = fault_counts;

    check_same("read: ring 3 sees the bytes of a file", user_run(user_sum, mapping->address, 6, 0), 21);
    check_same("read: one fault for the whole run", fault_counts.fault - before.fault, 1);
    check("read: the entries are the file's blocks, read-only", shows(mapping, 0, false) && shows(mapping, 5, false));
    check_same("read: the rest of the last page is zero", user_run(user_load, space_page(mapping, 5) + 4095, 0, 0), 0);
    check_same("SIGBUS: the page past the end", load(mapping, 6), USER_SIGBUS);
    check_same("SIGBUS: a store there", store(mapping, 6, 1), USER_SIGBUS);
    check_same("SIGSEGV: an address nobody mapped", user_run(user_load, space_page(mapping, 8), 0, 0), USER_SIGSEGV);
    check_same("SIGSEGV: the kernel's memory", user_run(user_load, DIRECT_MAP, 0, 0), USER_SIGSEGV);

    before = fault_counts;
    check_same("pfn_mkwrite: a store to a page that was read", store(mapping, 1, 77), 0);
    check_same("pfn_mkwrite: it was that call", fault_counts.pfn_mkwrite - before.pfn_mkwrite, 1);
    check("pfn_mkwrite: that page is writable, its neighbour not", shows(mapping, 1, true) && shows(mapping, 2, false));
    check_same("pfn_mkwrite: the file has the store", byte_of(data, PAGE_SIZE), 77);
    check_same("fsync: takes the right to store away", (uint64_t)-ext2dax_fsync(data), 0);
    check("fsync: in the page table", shows(mapping, 1, false));
    check_same("fsync: the next store asks again", store(mapping, 1, 78), 0);
    check_same("fsync: by a second pfn_mkwrite", fault_counts.pfn_mkwrite - before.pfn_mkwrite, 2);
    check_same("no fault on a block that was there has allocated memory", host_allocations(), allocations);
    space_unmap(mapping);
    ext2dax_inode_put(data);
}

/* The file /sparse has 8 pages. Only page 2 is allocated, filled with bytes of value 9. */
static void check_holes(void)
{
    struct ext2dax_inode *sparse = open_file("/sparse");
    struct mapping *mapping = map_file(sparse, 0, 8, true, true), *other = map_file(sparse, 0, 8, true, true);
    uint64_t sectors = sectors_of(sparse);
    struct fault_counts before;

    check_same("hole: reads as zero", load(mapping, 4) + load(other, 4), 0);
    check("hole: is the zero page, read-only", shows_zero_page(mapping, 4) && shows_zero_page(other, 4));
    check_same("hole: reading takes no block", sectors_of(sparse), sectors);

    before = fault_counts;
    check_same("mkwrite: a store to the zero page", store(mapping, 4, 44), 0);
    check_same("mkwrite: it was that call", fault_counts.mkwrite - before.mkwrite, 1);
    check("mkwrite: a block of the file's own, writable", shows(mapping, 4, true));
    check_same("mkwrite: the other mapping's zero page is gone", space_look(space_page(other, 4)), 0);
    check_same("mkwrite: it sees the store", load(other, 4), 44);
    check_same("mkwrite: the zero page is still zero", zero_page[0], 0);

    before = fault_counts;
    check_same("write: a store into a new hole", store(mapping, 0, 66), 0);
    check_same("write: neither mkwrite", fault_counts.mkwrite + fault_counts.pfn_mkwrite,
               before.mkwrite + before.pfn_mkwrite);
    check("write: the block is writable", shows(mapping, 0, true));
    check_same("write: two blocks more", sectors_of(sparse), sectors + 16);
    check_same("write: the rest of the block is zero", byte_of(sparse, 1), 0);
    space_unmap(other);
    space_unmap(mapping);
    ext2dax_inode_put(sparse);
}

static void check_private(void)
{
    struct ext2dax_inode *data = open_file("/data");
    struct mapping *mapping = map_file(data, 0, 6, true, false);

    check_same("private: reads the file", load(mapping, 3), 4);
    check_same("private: a store", store(mapping, 3, 99), 0);
    check("private: goes to a copy", (space_look(space_page(mapping, 3)) & ENTRY_COPY) != 0);
    check_same("private: which keeps it", load(mapping, 3), 99);
    check_same("private: the file has not changed", byte_of(data, 3 * PAGE_SIZE), 4);
    space_unmap(mapping);
    ext2dax_inode_put(data);
}

/* The buffer passed to write() is a mapped file, so write() takes page faults in the kernel. */
static void check_copying(void)
{
    struct ext2dax_inode *data = open_file("/data"), *copied = create_file("copied", 0);
    struct mapping *mapping = map_file(data, 0, 8, false, true);

    check_same("write(): from a mapped file",
               (uint64_t)ext2dax_write(copied, 0, (void *)mapping->address, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
    check_same("write(): has its bytes", byte_of(copied, 2 * PAGE_SIZE), 3);
    check_same("write(): short where the mapping ends",
               (uint64_t)ext2dax_write(copied, 3 * PAGE_SIZE, (void *)space_page(mapping, 5), 2 * PAGE_SIZE),
               PAGE_SIZE);
    space_unmap(mapping);
    ext2dax_inode_put(copied);
    ext2dax_inode_put(data);
}

void check_pages(void)
{
    check_reading();
    check_holes();
    check_private();
    check_copying();
}
