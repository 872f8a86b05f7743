/* SPDX-License-Identifier: MIT */
#include "invariants.h"

#include <string.h>

#include "ext2dax/ondisk.h"
#include "ext2dax/testkit/checker.h"

#define PAGE 1024u

static void finding(void *arg, const struct ext2dax_finding *found)
{
    const struct invariants *invariants = arg;
    char text[160];

    ext2dax_finding_text(found, text, sizeof text);
    ext2dax_explorer_fail(invariants->explorer, "%s", text);
}

static void bad_mapping(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what)
{
    const struct invariants *invariants = arg;

    (void)inode;
    ext2dax_explorer_fail(invariants->explorer, "page %llu: %s", (unsigned long long)page, what);
}

struct look {
    const struct invariants *invariants;
    uint32_t owners[INVARIANTS_BLOCKS];
};

static const char *wrong_bytes(const struct invariants *invariants, const struct ext2dax_model_entry *entry)
{
    const unsigned char *at = (const unsigned char *)invariants->memory->base + entry->memory_offset;

    if (at[0] == FOREIGN || at[PAGE - 1] == FOREIGN)
        return "another file's bytes are mapped";
    if (at[0] == FREE || at[PAGE - 1] == FREE)
        return "bytes that nobody wrote are mapped";
    return NULL;
}

static const char *wrong_owner(const struct invariants *invariants, uint32_t owner, uint32_t inode)
{
    if (owner == EXT2DAX_OWNER_FREE)
        return "a free block is mapped";
    if (owner == EXT2DAX_OWNER_METADATA)
        return "metadata is mapped";
    if (owner == EXT2DAX_OWNER_LEAKED)
        return invariants->unlinked ? NULL : "a block that the file does not have is mapped";
    return owner == inode ? NULL : "another file's block is mapped";
}

static void look_at_entry(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                          const struct ext2dax_model_entry *entry)
{
    const struct look *look = arg;
    const struct invariants *invariants = look->invariants;
    const char *what = NULL;

    if (entry->kind == EXT2DAX_MODEL_DATA) {
        what = wrong_owner(invariants, look->owners[entry->memory_offset / PAGE], inode->number);
        if (!what && (!invariants->others || inode->number != *invariants->others))
            what = wrong_bytes(invariants, entry);
    }
    if (!what && invariants->frozen && shared && entry->writable)
        what = "writable while the filesystem is frozen";
    if (what)
        bad_mapping((void *)(uintptr_t)invariants, inode, page, what);
}

/* Does the superblock hold the record of a rename, which recovery would complete? */
static bool is_renaming(const struct invariants *invariants)
{
    const struct ext2dax_disk_super *super =
        (const void *)((const unsigned char *)invariants->memory->base + EXT2DAX_SUPER_OFFSET);
    static const struct ext2dax_le32 none[sizeof super->redo / sizeof super->redo[0]];

    return memcmp(super->redo, none, sizeof none) != 0;
}

void invariants_check_state(const struct invariants *invariants)
{
    struct look look = {.invariants = invariants};
    bool hostile = invariants->hostile || is_renaming(invariants);
    int found = ext2dax_check_image(invariants->memory->base, invariants->memory->size,
                                    EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_LEAKS_OK, hostile ? NULL : finding,
                                    (void *)(uintptr_t)invariants, look.owners);

    if (found < 0)
        ext2dax_explorer_fail(invariants->explorer, "the image cannot be checked");
    else if (found == 0 || hostile)
        ext2dax_model_peek_each(invariants->model, look_at_entry, &look);
}

void invariants_check_end(const struct invariants *invariants)
{
    if (!invariants->hostile)
        (void)ext2dax_check_image(invariants->memory->base, invariants->memory->size,
                                  EXT2DAX_CHECK_MOUNTED | EXT2DAX_CHECK_UNLINKED_OK |
                                      (invariants->leaked ? EXT2DAX_CHECK_LEAKS_OK : 0),
                                  finding, (void *)(uintptr_t)invariants, NULL);
    (void)ext2dax_model_check(invariants->model, bad_mapping, (void *)(uintptr_t)invariants);
    if (ext2dax_model_complaints(invariants->model) != 0)
        ext2dax_explorer_fail(invariants->explorer, "the core broke its side of the address space's contract");
}
