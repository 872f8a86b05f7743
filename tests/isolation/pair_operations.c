/* SPDX-License-Identifier: MIT */
/* The operations of threads in scenarios, and the starts of scenarios. */
#include <string.h>

#include "fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- faults, reads and writes ---- */

static enum ext2dax_fault_result fault(unsigned thread, uint64_t page, bool write,
                                       enum ext2dax_fault_result (*entry)(struct ext2dax_fault *))
{
    struct ext2dax_fault f;

    ext2dax_model_fault(fixture.map[thread], page, write, &f);
    return entry(&f);
}

static void read_fault(unsigned thread)
{
    (void)fault(thread, fixture.page, false, ext2dax_fault);
}
static void pmd_read(unsigned thread)
{
    (void)fault(thread, fixture.page, false, ext2dax_pmd_fault);
}

/* Stores like a processor, with all necessary faults first and then the byte. */
static void store(unsigned thread, uint64_t offset, bool huge)
{
    unsigned char byte = (unsigned char)(STORED + thread);
    enum ext2dax_fault_result result = ext2dax_model_write(fixture.map[thread], offset, &byte, 1, huge, true);

    *(fixture.private ? &fixture.copied[thread] : &fixture.stored[thread]) = result == EXT2DAX_FAULT_NOPAGE;
    expect(result == EXT2DAX_FAULT_NOPAGE || result == EXT2DAX_FAULT_SIGBUS, "a store fails");
}

static void write_fault(unsigned thread)
{
    store(thread, fixture_place(thread), false);
}
static void pmd_write(unsigned thread)
{
    store(thread, fixture_place(thread), true);
}
static void mkwrite(unsigned thread)
{
    (void)fault(thread, fixture.page, true, ext2dax_mkwrite);
}
static void pfn_mkwrite(unsigned thread)
{
    (void)fault(thread, fixture.page, true, ext2dax_pfn_mkwrite);
}
static void next_page_fault(unsigned thread)
{
    unsigned char byte = (unsigned char)(STORED + thread);

    (void)ext2dax_model_write(fixture.map[thread], (fixture.page ^ 1) * PAGE, &byte, 1, false, true);
}

static void read_call(unsigned thread)
{
    unsigned char bytes[2 * PAGE];
    int64_t length = ext2dax_read(fixture.file, fixture.page * PAGE, bytes, sizeof bytes);

    (void)thread;
    expect(length >= 0, "a read fails");
    for (int64_t i = 0; i < length; i++)
        expect(bytes[i] != FREE && bytes[i] != FOREIGN, "a read returns what the file never had");
}

static void write_call(unsigned thread)
{
    unsigned char byte = (unsigned char)(STORED + thread);
    int64_t length = ext2dax_write(fixture.file, fixture_place(thread), &byte, 1);

    fixture.stored[thread] = length == 1;
    expect(length == 1 || length == -EXT2DAX_ENOSPC, "a write fails");
}

static void allocate(unsigned thread)
{
    int rc = ext2dax_allocate(fixture.file, PMD_RANGE * PAGE, PMD_RANGE * PAGE, false);

    (void)thread;
    expect(rc == 0 || rc == -EXT2DAX_ENOSPC, "an allocation fails");
}

static void fsync_file(unsigned thread)
{
    (void)thread;
    expect(ext2dax_fsync(fixture.file) == 0, "fsync fails");
}

static void pin(unsigned thread)
{
    struct ext2dax_pin pinned;
    size_t length;
    void *at;

    (void)thread;
    if (ext2dax_pin(fixture.file, fixture.page * PAGE, PAGE, false, &pinned) != 0)
        return;
    expect(ext2dax_pin_pointer(&pinned, fixture.page * PAGE, &at, &length) == 0, "a pin has no pointer");
    for (unsigned i = 0; i < 3; i++) {
        ext2dax_explorer_point(fixture.explorer, EXT2DAX_EXPLORER_LOAD, at);
        expect(*(unsigned char *)at != FREE && *(unsigned char *)at != FOREIGN, "a pinned block is not the file's");
    }
    ext2dax_unpin(&pinned);
}

const struct operation movers[] = {
    {"read fault", read_fault, NULL, false},
    {"write fault", write_fault, NULL, false},
    {"PMD read", pmd_read, NULL, false},
    {"PMD write", pmd_write, NULL, false},
    {"mkwrite", mkwrite, NULL, false},
    {"pfn_mkwrite", pfn_mkwrite, NULL, false},
    {"read", read_call, NULL, false},
    {"write", write_call, NULL, false},
    {"allocate", allocate, NULL, false},
    {"fsync", fsync_file, NULL, false},
    {"pin", pin, NULL, false},
};
const unsigned mover_count = COUNT(movers);

/* ---- truncate, punch, unlink, and other interference ---- */

/* Writes to the victim, which allocates freed blocks like the next writer. */
static void reuse(void)
{
    unsigned char bytes[PMD_RANGE * PAGE];

    memset(bytes, FOREIGN, sizeof bytes);
    (void)ext2dax_write(fixture.victim, 0, bytes, sizeof bytes);
}

static void truncate_to(uint64_t size)
{
    int rc = ext2dax_truncate(fixture.file, size);

    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a truncate fails");
    if (rc == 0 && size < fixture.size)
        reuse();
}

static void truncate_down(unsigned thread)
{
    (void)thread;
    truncate_to(fixture.page * PAGE);
}
static void truncate_inside(unsigned thread)
{
    (void)thread;
    truncate_to(fixture.page * PAGE + 300);
}
static void truncate_to_zero(unsigned thread)
{
    (void)thread;
    truncate_to(0);
}
static void truncate_up(unsigned thread)
{
    (void)thread;
    truncate_to(PAGES * PAGE);
}
static void truncate_same(unsigned thread)
{
    (void)thread;
    truncate_to(fixture.size);
}
static void punch(unsigned thread)
{
    int rc = ext2dax_punch(fixture.file, fixture.page / PMD_RANGE * PMD_RANGE * PAGE, PMD_RANGE * PAGE);

    (void)thread;
    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a punch fails");
    if (rc == 0)
        reuse();
}
static void unlink_and_reuse(unsigned thread)
{
    (void)thread;
    expect(ext2dax_unlink(fixture.root, "file", 4) == 0, "an unlink fails");
    ext2dax_inode_put(fixture.file);
    reuse();
}

static void extend(unsigned thread)
{
    unsigned char byte = (unsigned char)(STORED + thread);
    int64_t length = ext2dax_write(fixture.file, fixture.size + 300, &byte, 1);

    expect(length == 1 || length == -EXT2DAX_ENOSPC, "a write fails");
}

static void freeze(unsigned thread)
{
    int rc = ext2dax_freeze(fixture.mount);

    (void)thread;
    expect(rc == 0 || rc == -EXT2DAX_EBUSY, "a freeze fails");
    if (rc != 0)
        return;
    fixture.frozen = true;
    ext2dax_explorer_point(fixture.explorer, EXT2DAX_EXPLORER_STORE, &fixture.frozen);
    fixture.frozen = false;
    expect(ext2dax_thaw(fixture.mount) == 0, "a thaw fails");
}
static void sync_all(unsigned thread)
{
    (void)thread;
    expect(ext2dax_sync(fixture.mount) == 0, "a sync fails");
}
static void unmount_attempt(unsigned thread)
{
    (void)thread;
    expect(ext2dax_unmount(fixture.mount) == -EXT2DAX_EBUSY, "an unmount takes away what is in use");
}
static void write_victim(unsigned thread)
{
    (void)thread;
    reuse();
}

static uint64_t nothing(void)
{
    return 0;
}
static uint64_t all_before(void)
{
    return fixture.page * PAGE;
}
static uint64_t all_before_inside(void)
{
    return fixture.page * PAGE + 300;
}
static uint64_t all_before_pmd_range(void)
{
    return fixture.page / PMD_RANGE * PMD_RANGE * PAGE;
}

const struct operation changers[] = {
    {"truncate down", truncate_down, all_before, false},
    {"truncate inside", truncate_inside, all_before_inside, false},
    {"truncate to zero", truncate_to_zero, nothing, false},
    {"truncate up", truncate_up, NULL, false},
    {"truncate to the same", truncate_same, NULL, false},
    {"punch", punch, all_before_pmd_range, false},
    {"unlink and reuse", unlink_and_reuse, nothing, true},
    {"write fault", write_fault, NULL, false},
    {"write fault in its range", next_page_fault, NULL, false},
    {"PMD write", pmd_write, NULL, false},
    {"extending write", extend, NULL, false},
    {"another file's write", write_victim, NULL, false},
    {"freeze", freeze, NULL, false},
    {"sync", sync_all, NULL, false},
    {"unmount attempt", unmount_attempt, NULL, false},
};
const unsigned changer_count = COUNT(changers);

/* ---- starts ---- */

static void fill(uint64_t first, uint64_t count)
{
    unsigned char bytes[PAGE];

    memset(bytes, WROTE, sizeof bytes);
    for (uint64_t page = first; page < first + count; page++)
        (void)ext2dax_write(fixture.file, page * PAGE, bytes, sizeof bytes);
}

static void about(uint64_t page, uint64_t size)
{
    fixture.page = page;
    fixture.size = size;
}

static void all_maps(uint64_t page, bool write, enum ext2dax_fault_result (*entry)(struct ext2dax_fault *))
{
    for (unsigned i = 0; i < fixture.maps; i++)
        (void)fault(i, page, write, entry);
}

static void start_hole(void)
{
    about(9, 20 * PAGE);
    (void)ext2dax_truncate(fixture.file, fixture.size);
}
static void start_hole_far(void)
{
    about(12, 20 * PAGE);
    (void)ext2dax_truncate(fixture.file, fixture.size);
}
static void start_zero_page(void)
{
    start_hole();
    for (uint64_t page = PMD_RANGE; page < 2 * PMD_RANGE; page++)
        all_maps(page, false, ext2dax_fault);
}
static void start_backed(void)
{
    about(9, 20 * PAGE);
    fill(0, 20);
}
static void start_backed_far(void)
{
    about(12, 20 * PAGE);
    fill(0, 20);
}
static void start_read_only(void)
{
    start_backed();
    all_maps(fixture.page, false, ext2dax_fault);
}
static void start_writable(void)
{
    start_backed();
    for (uint64_t page = PMD_RANGE; page < 2 * PMD_RANGE; page++)
        all_maps(page, true, ext2dax_fault);
}
static void start_partly(void)
{
    about(11, 20 * PAGE);
    (void)ext2dax_truncate(fixture.file, fixture.size);
    fill(PMD_RANGE, 3);
    for (uint64_t page = PMD_RANGE; page < 2 * PMD_RANGE; page++)
        (void)fault(0, page, false, ext2dax_fault);
}
static void start_aligned_extent(void)
{
    about(9, 20 * PAGE);
    (void)ext2dax_allocate(fixture.file, 0, fixture.size, false);
}
static void start_huge(void)
{
    start_aligned_extent();
    for (unsigned i = 0; i < fixture.maps; i++)
        (void)fault(i, fixture.page, true, ext2dax_pmd_fault);
}
static void start_end_inside(void)
{
    about(9, 9 * PAGE + 100);
    fill(0, 9);
    (void)ext2dax_truncate(fixture.file, fixture.size);
    all_maps(fixture.page, true, ext2dax_fault);
}
static void start_end_at_page(void)
{
    about(9, 10 * PAGE);
    fill(0, 10);
    all_maps(fixture.page, false, ext2dax_fault);
}
static void start_private(void)
{
    start_backed();
    fixture.private = true;
    for (unsigned i = 0; i < fixture.maps; i++) {
        ext2dax_model_unmap(fixture.map[i]);
        fixture.map[i] = ext2dax_model_map(fixture.model, fixture.file, 0, PAGES, false, true);
    }
    all_maps(fixture.page, false, ext2dax_fault);
}
/* No block is free. A fault may get the blocks freed by punch. */
static void start_full(void)
{
    unsigned char bytes[PAGE];

    about(9, 20 * PAGE);
    (void)ext2dax_truncate(fixture.file, fixture.size);
    fill(0, 8);
    fill(10, 2);
    memset(bytes, FOREIGN, sizeof bytes);
    for (uint64_t page = 2 * PMD_RANGE; ext2dax_write(fixture.victim, page * PAGE, bytes, sizeof bytes) == PAGE;)
        page++;
}

const struct start starts[] = {
    {"hole", start_hole},
    {"hole behind the direct blocks", start_hole_far},
    {"zero page", start_zero_page},
    {"backed", start_backed},
    {"backed behind the direct blocks", start_backed_far},
    {"mapped read-only", start_read_only},
    {"mapped writable", start_writable},
    {"partly backed and mapped", start_partly},
    {"region", start_aligned_extent},
    {"huge mapping", start_huge},
    {"end inside the page", start_end_inside},
    {"end behind the page", start_end_at_page},
    {"mapped privately", start_private},
    {"full", start_full},
};
const unsigned start_count = COUNT(starts);
