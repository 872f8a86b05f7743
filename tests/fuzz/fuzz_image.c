/* SPDX-License-Identifier: MIT */
/*
 * Images from an untrusted source. The input names a valid image and a list of edits, most of which
 * damage metadata. No checksum or count is adjusted to match. The image is mounted read-only and
 * read-write, and every call is tried on every inode.
 *
 * Nothing may crash, hang, access memory outside the image (guard pages detect the access), or leak
 * a lock or memory. No mapping, run or pin may refer to metadata or to a block outside the image. A
 * call returning EUCLEAN has changed nothing except the superblock's error bit and the content of
 * free blocks. An image marked not clean is either refused or recovered, and a recovered image is
 * valid.
 *
 * An input is the tree, the mount flags and 2 bytes of noise for the calls, followed by edits of 8
 * bytes each. An edit is a place (2 bytes), an offset (2), a method (1) and a value (3).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"
#include "ext2dax/testkit/model.h"

#include "../error_record.h"
#include "fuzz_image.h"
#include "plugs.h"
#include "reports.h"
#include "tree.h"

#define HEAD       4u
#define EDIT       8u
#define EDITS      64u /* more edits only make an image refused at mount */
#define LONGEST_IO ((size_t)400000)
#define RUNS       64u /* runs examined per file */
#define SHOWN      24u /* pages of a mapping */

static struct {
    const struct tree *tree;
    unsigned char *base, *before;
    uint32_t *owners; /* by block */
    bool owners_known;
    struct ext2dax_mount *mount;
    struct ext2dax_model *model;
    uint64_t noise;
    unsigned char buffer[LONGEST_IO];
} f;

/* ---- the image ---- */

/* Memory for each tree, reused for all inputs. */
static void place_image(unsigned number)
{
    static struct place {
        unsigned char *base, *before;
        uint32_t *owners;
    } places[TREES];
    const struct tree *tree = tree_get(number);
    struct place *place = &places[number];

    if (!place->base) {
        place->base = fuzz_area_open(tree->size, 0).base;
        place->before = malloc(tree->size);
        place->owners = calloc(tree->blocks, sizeof(*place->owners));
        MUST(place->before && place->owners);
    }
    f.tree = tree;
    f.base = place->base;
    f.before = place->before;
    f.owners = place->owners;
    memcpy(f.base, tree->image, tree->size);
}

static uint32_t number_in(const uint8_t *at, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |= (uint32_t)at[i] << (8 * i);
    return value;
}

/* Returns the byte offset of an edit. Stores the containing block in *home. */
static size_t edit_place(const uint8_t *edit, uint32_t *home)
{
    const struct tree *tree = f.tree;
    uint32_t kind = edit[0] & 7, index = edit[1], offset = number_in(edit + 2, 2);
    size_t bs = tree->block_size, at;

    switch (kind) {
    case 0:
        at = EXT2DAX_SUPER_OFFSET + offset % offsetof(struct ext2dax_disk_super, rest);
        break;
    case 1:
        at = tree_descriptors(tree) + offset % (tree_groups(tree) * sizeof(struct ext2dax_disk_group));
        break;
    case 2:
        at = (size_t)tree_bitmap(tree, (index >> 1) % tree_groups(tree), index & 1) * bs + offset % (tree->blocks / 8);
        break;
    case 3:
    case 4: /* the most critical fields are the words from the size on */
        at = tree_inode(tree, 2 + (index & 31) % (tree_inodes(tree) - 1)) +
             (index & 32 ? offset % 128 : offset % 32 * 4);
        break;
    case 5:
        at = tree->pointer_block[index % tree->pointer_blocks] * bs + (index & 128 ? offset % 16 * 4 : offset % bs);
        break;
    case 6:
        at = tree->entry_block[index % tree->entry_blocks] * bs + (index & 128 ? offset % 160 : offset % bs);
        break;
    default:
        at = (index << 16 | offset) % tree->size;
    }
    *home = (uint32_t)(at / bs);
    return at;
}

static void apply(const uint8_t *edit)
{
    static const unsigned widths[] = {4, 4, 2, 1};
    const struct tree *tree = f.tree;
    uint32_t how = edit[4], value = number_in(edit + 5, 3), home;
    unsigned width = widths[how & 3];
    size_t at = edit_place(edit, &home);

    switch (how >> 2 & 7) {
    case 0:
        value %= tree->blocks + 8;
        break;
    case 1:
        value = 0u - value % 64;
        break;
    case 2:
        value = home; /* a block pointing to itself */
        break;
    case 3:
        value = tree->pointer_block[value % tree->pointer_blocks];
        break;
    case 4:
        value = tree->entry_block[value % tree->entry_blocks];
        break;
    case 5:
        value = ((uint32_t)1 << (value & 31)) + (value >> 5 & 3) - 1;
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < width && at + i < tree->size; i++)
        f.base[at + i] = (unsigned char)(value >> (8 * i));
    /* Fills a whole block with the same pointer, or with null pointers. */
    if ((how & 0xC3) == 0xC0 && (edit[0] & 7) == 5)
        for (size_t i = 0; i < tree->block_size; i++)
            f.base[(size_t)home * tree->block_size + i] = (unsigned char)(value >> (8 * (i & 3)));
}

/* ---- invariants ---- */

static void must_be_data(uint64_t block, uint64_t count)
{
    MUST(block != 0 && block < f.tree->blocks && count <= f.tree->blocks - block);
    for (uint64_t i = block; f.owners_known && i < block + count; i++)
        MUST(f.owners[i] != EXT2DAX_OWNER_METADATA);
}

static void check_entry(void *arg, const struct ext2dax_inode *inode, uint64_t page, bool shared,
                        const struct ext2dax_model_entry *entry)
{
    uint32_t page_size = (uint32_t)1 << f.tree->page_shift;

    (void)arg;
    (void)inode;
    (void)page;
    MUST(entry->kind != EXT2DAX_MODEL_ZERO || !entry->writable);
    MUST(shared || entry->kind != EXT2DAX_MODEL_DATA || !entry->writable);
    if (entry->kind == EXT2DAX_MODEL_DATA)
        must_be_data(entry->memory_offset / page_size, 1);
}

static void settled(void)
{
    MUST(fuzz_counts.held == 0);
    if (f.model)
        ext2dax_model_each(f.model, check_entry, NULL);
}

/*
 * Was the block free according to the block bitmap before the call? The content of a free block is
 * meaningless.
 */
static bool was_free(size_t at)
{
    const struct tree *tree = f.tree;
    uint32_t block = (uint32_t)(at / tree->block_size), first = tree->block_size == 1024;
    const struct ext2dax_disk_super *super = (const void *)(f.before + EXT2DAX_SUPER_OFFSET);
    uint32_t per_group = number_in((const void *)&super->blocks_per_group, 4), group = (block - first) / per_group;
    uint32_t map = number_in(f.before + tree_descriptors(tree) + group * sizeof(struct ext2dax_disk_group), 4);
    uint32_t bit = (block - first) % per_group;

    return block >= first && (f.before[(size_t)map * tree->block_size + bit / 8] >> bit % 8 & 1) == 0;
}

static void remember(void)
{
    memcpy(f.before, f.base, f.tree->size);
}

/*
 * Returns the result of a modifying call, made after remember(). Checks the unchanged image after
 * EUCLEAN.
 */
static int64_t changed(int64_t answer)
{
    const size_t state = EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state);

    settled();
    if (answer != -EXT2DAX_EUCLEAN)
        return answer;
    f.before[state] |= f.base[state] & EXT2DAX_STATE_ERROR;
    copy_error_record(f.before, f.base);
    for (size_t at = 0; at < f.tree->size;) {
        if (memcmp(f.before + at, f.base + at, 64) == 0) {
            at += 64;
            continue;
        }
        for (size_t i = at; i < at + 64; i++) {
            if (f.before[i] != f.base[i] && !was_free(i)) {
                (void)fprintf(stderr, "byte %zu (block %zu + %zu): %02x became %02x\n", i, i / f.tree->block_size,
                              i % f.tree->block_size, f.before[i], f.base[i]);
                fuzz_fail(__FILE__, __LINE__, "EUCLEAN changes nothing");
            }
        }
        at += 64;
    }
    return answer;
}
#define CHANGING(call) (remember(), (void)changed(call))

/* ---- the calls ---- */

static uint64_t noise(uint64_t below)
{
    f.noise = f.noise * 6364136223846793005u + 1442695040888963407u;
    return (f.noise >> 24) % below;
}

/*
 * Returns an offset where the block tree changes depth, at the end of the file, or beyond any file.
 */
static uint64_t some_offset(const struct ext2dax_inode *inode)
{
    uint64_t bs = f.tree->block_size, p = bs / 4;
    const uint64_t blocks[] = {0, 1, 3, 10, 12, 13, 12 + p - 1, 12 + p, 12 + p + p * p - 1, 12 + p + p * p, 40};
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    switch (noise(8)) {
    case 0:
        return figures.size + noise(3) - (figures.size != 0);
    case 1:
        return UINT64_MAX - noise(3);
    case 2:
        return noise(figures.size + 1);
    default:
        return blocks[noise(sizeof(blocks) / sizeof(blocks[0]))] * bs + noise(3) * 7;
    }
}

static uint64_t some_length(void)
{
    return 1 + noise((uint64_t)f.tree->block_size * (1 + noise(6)));
}

static int each_name(void *arg, const struct ext2dax_entry *entry)
{
    MUST(entry->number != 0 && entry->name_length >= 1 && entry->name_length <= 255);
    MUST(!memchr(entry->name, '/', entry->name_length) && !memchr(entry->name, 0, entry->name_length));
    return --*(int *)arg == 0;
}

static void look(struct ext2dax_inode *inode)
{
    struct ext2dax_stat figures;
    struct ext2dax_inode *other;
    struct ext2dax_run run;
    uint64_t at = 0;
    int names = 1000;

    ext2dax_stat(inode, &figures, sizeof(figures));
    for (unsigned i = 0; i < RUNS && REPORTED(ext2dax_map(inode, at, UINT64_MAX, &run)) == 0; i++) {
        MUST(run.length != 0 && run.logical == at);
        if (run.physical != 0)
            must_be_data(run.physical, run.length);
        at += run.length;
    }
    for (unsigned i = 0; i < 3; i++) {
        (void)REPORTED(ext2dax_map(inode, some_offset(inode) / f.tree->block_size, 1 + noise(100), &run));
        (void)REPORTED_COUNT(ext2dax_read(inode, some_offset(inode), f.buffer, (size_t)noise(LONGEST_IO)));
        (void)REPORTED_COUNT(ext2dax_seek(inode, some_offset(inode), noise(2) ? EXT2DAX_SEEK_DATA : EXT2DAX_SEEK_HOLE));
    }
    (void)REPORTED_COUNT(ext2dax_readlink(inode, (char *)f.buffer, (size_t)noise(5000)));
    (void)REPORTED(ext2dax_readdir(inode, noise(2) * noise(5000), each_name, &names));
    if (REPORTED(ext2dax_lookup(inode, "again", 5, &other)) == 0)
        ext2dax_inode_put(other);
    if (REPORTED(ext2dax_lookup(inode, "none", 4, &other)) == 0)
        ext2dax_inode_put(other);
    settled();
}

static void pin(struct ext2dax_inode *inode, bool writable)
{
    struct ext2dax_pin pin;
    uint64_t offset = some_offset(inode), length = some_length();
    void *at;
    size_t contiguous;

    if (REPORTED(ext2dax_pin(inode, offset, length, writable, &pin)) != 0)
        return;
    if (REPORTED(ext2dax_pin_pointer(&pin, offset, &at, &contiguous)) == 0) {
        uint64_t into = (uint64_t)((unsigned char *)at - f.base);

        MUST(contiguous != 0);
        must_be_data(into / f.tree->block_size, (into % f.tree->block_size + contiguous - 1) / f.tree->block_size + 1);
    }
    MUST(REPORTED(ext2dax_unmount(f.mount)) == -EXT2DAX_EBUSY);
    CHANGING(REPORTED(ext2dax_truncate(inode, offset)));
    CHANGING(REPORTED(ext2dax_punch(inode, offset, length)));
    ext2dax_unpin(&pin);
    settled();
}

static void fault_page(struct ext2dax_model_map *map, uint64_t page)
{
    enum ext2dax_fault_result (*const entries[])(struct ext2dax_fault *) = {ext2dax_fault, ext2dax_pmd_fault,
                                                                            ext2dax_mkwrite, ext2dax_pfn_mkwrite};
    struct ext2dax_fault fault;

    for (unsigned i = 0; i < 5; i++) {
        unsigned which = (unsigned)noise(4);

        ext2dax_model_fault(map, page, which >= 2 || noise(2), &fault);
        (void)entries[which](&fault);
        settled();
    }
}

/*
 * Maps the start of the file and the pages around its end, shared and private, and accesses both.
 */
static void map_and_access(struct ext2dax_inode *inode)
{
    uint64_t page_size = (uint64_t)1 << f.tree->page_shift, end;
    struct ext2dax_stat figures;

    ext2dax_stat(inode, &figures, sizeof(figures));
    end = figures.size / page_size;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t first = i == 0 ? 0 : i == 1 ? (end > 5 ? end - 5 : 0) : some_offset(inode) / page_size % (end + 2);
        bool shared = noise(4) != 0;
        struct ext2dax_model_map *map = ext2dax_model_map(f.model, inode, first, SHOWN, shared, true);
        unsigned char byte = 0x33;

        MUST(map);
        for (unsigned k = 0; k < 3; k++)
            fault_page(map, first + noise(SHOWN));
        for (unsigned k = 0; k < 4; k++) {
            uint64_t at = (first + noise(SHOWN)) * page_size + noise(page_size);

            (void)ext2dax_model_read(map, at, &byte, 1, noise(2), false);
            (void)ext2dax_model_write(map, at, &byte, 1, noise(2), false);
            settled();
        }
        if (noise(2))
            CHANGING(REPORTED(ext2dax_truncate(inode, some_offset(inode))));
        (void)REPORTED(noise(2) ? ext2dax_fsync(inode) : ext2dax_fsync_range(inode, some_offset(inode), 1));
        ext2dax_model_unmap(map);
    }
}

static void change_attributes(struct ext2dax_inode *inode)
{
    struct ext2dax_attributes wanted = {
        .size = sizeof(wanted),
        .set = (unsigned)noise(0x400),
        .mode = (uint16_t)noise(0x10000),
        .uid = (uint32_t)noise(UINT32_MAX),
        .gid = (uint32_t)noise(UINT32_MAX),
        .flags = noise(3) ? 0 : 1u << noise(32),
        .mtime = {.seconds = (int64_t)noise(UINT64_C(1) << 35), .nanoseconds = (uint32_t)noise(1000000000)},
        .atime = {.seconds = -(int64_t)noise(UINT64_C(1) << 35), .nanoseconds = (uint32_t)noise(1000000005)},
        .created = {.seconds = (int64_t)noise(UINT64_C(1) << 35), .nanoseconds = 0}};

    CHANGING(REPORTED(ext2dax_setattr(inode, &wanted)));
}

static void change(struct ext2dax_inode *inode)
{
    struct ext2dax_inode *made;
    char name[2] = {(char)('p' + noise(4)), 'q'};

    switch (noise(9)) {
    case 0:
        CHANGING(REPORTED(ext2dax_truncate(inode, some_offset(inode))));
        break;
    case 1:
        CHANGING(
            REPORTED(ext2dax_punch(inode, some_offset(inode), noise(3) ? some_length() : UINT64_MAX >> noise(40))));
        break;
    case 7:
        CHANGING(REPORTED(
            ext2dax_zero_range(inode, some_offset(inode), noise(3) ? some_length() : UINT64_MAX >> noise(40))));
        break;
    case 8:
        change_attributes(inode);
        break;
    case 2:
        (void)REPORTED(
            ext2dax_allocate(inode, some_offset(inode), noise(9) ? some_length() : UINT64_MAX >> noise(40), noise(2)));
        break;
    case 3:
        remember();
        made = NULL;
        (void)changed(REPORTED(ext2dax_create(inode, name, 2, 0600, 1, 1, &made)));
        if (made)
            ext2dax_inode_put(made);
        break;
    case 4:
        if (noise(2))
            CHANGING(REPORTED(ext2dax_unlink(inode, "again", 5)));
        else
            CHANGING(REPORTED(ext2dax_unlink(inode, name, 2)));
        break;
    default:
        CHANGING(REPORTED_COUNT(ext2dax_write(inode, some_offset(inode), f.buffer, (size_t)some_length())));
    }
    settled();
}

static const char *const names[] = {"direct", "single", "twice", "thrice",  "d",        "fast",
                                    "slow",   "device", "one",   "other",   "empty",    "huge",
                                    "pq",     "qq",     "none",  "d/again", "fast/far", "slow/."};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* Makes a call on names of one or two directories, which may be no directories. */
static void change_names(struct ext2dax_inode *in, struct ext2dax_inode *to)
{
    const char *name = names[noise(NAMES)], *new = names[noise(NAMES)];
    size_t length = strlen(name), new_length = strlen(new);
    struct ext2dax_inode *inode = NULL;

    switch (noise(8)) {
    case 0:
        remember();
        (void)changed(REPORTED(ext2dax_create(in, name, length, 0600, 1, 1, &inode)));
        break;
    case 1:
        CHANGING(REPORTED(ext2dax_unlink(in, name, length)));
        break;
    case 2:
        remember();
        (void)changed(REPORTED(ext2dax_mkdir(in, name, length, 0700, 1, 1, &inode)));
        break;
    case 3:
        CHANGING(REPORTED(ext2dax_rmdir(in, name, length)));
        break;
    case 4:
        CHANGING(REPORTED(ext2dax_symlink(in, name, length, (const char *)f.buffer, 1 + noise(100), 1, 1, NULL)));
        break;
    case 5:
        if (REPORTED(ext2dax_lookup(in, name, length, &inode)) == 0)
            CHANGING(REPORTED(ext2dax_link(inode, to, new, new_length)));
        break;
    default:
        CHANGING(REPORTED(ext2dax_rename(in, name, length, to, new, new_length, (unsigned)noise(3))));
    }
    if (inode)
        ext2dax_inode_put(inode);
    settled();
}

static void names_of_the_root(void)
{
    struct ext2dax_inode *root, *below, *inode;

    for (unsigned i = 0; i < NAMES; i++) {
        if (REPORTED(ext2dax_lookup_path(f.mount, names[i], strlen(names[i]), noise(2) ? EXT2DAX_NO_FOLLOW : 0,
                                         &inode)) == 0)
            ext2dax_inode_put(inode);
    }
    if (REPORTED(ext2dax_inode_get(f.mount, EXT2DAX_ROOT_INODE, &root)) != 0)
        return;
    if (REPORTED(ext2dax_lookup(root, "d", 1, &below)) != 0) {
        ext2dax_inode_hold(root);
        below = root;
    }
    for (unsigned i = 0; i < 10; i++)
        change_names(noise(2) ? root : below, noise(2) ? root : below);
    ext2dax_inode_put(below);
    ext2dax_inode_put(root);
    settled();
}

static void rest_a_while(struct ext2dax_inode *inode)
{
    struct ext2dax_model_map *map = ext2dax_model_map(f.model, inode, 0, SHOWN, true, true);
    unsigned char byte = 1;

    MUST(map);
    if (REPORTED(ext2dax_freeze(f.mount)) == 0) {
        MUST(REPORTED(ext2dax_freeze(f.mount)) == -EXT2DAX_EBUSY);
        (void)ext2dax_model_write(map, 0, &byte, 1, true, false);
        (void)REPORTED_COUNT(ext2dax_read(inode, 0, f.buffer, 100));
        MUST(REPORTED(ext2dax_unmount(f.mount)) == -EXT2DAX_EBUSY);
        MUST(REPORTED(ext2dax_thaw(f.mount)) == 0);
    }
    MUST(REPORTED(ext2dax_thaw(f.mount)) == -EXT2DAX_EINVAL);
    ext2dax_model_unmap(map);
}

static void try_inode(uint32_t number, bool changes)
{
    struct ext2dax_inode *inode, *again;

    if (REPORTED(ext2dax_inode_get(f.mount, number, &inode)) != 0)
        return;
    MUST(REPORTED(ext2dax_inode_get(f.mount, number, &again)) == 0 && again == inode);
    ext2dax_inode_put(again);
    look(inode);
    map_and_access(inode);
    pin(inode, false);
    for (unsigned i = 0; changes && i < 8; i++)
        change(inode);
    pin(inode, true);
    if (noise(8) == 0)
        rest_a_while(inode);
    look(inode);
    (void)REPORTED(ext2dax_fsync(inode));
    if (noise(4) == 0)
        (void)REPORTED(ext2dax_sync(f.mount));
    ext2dax_inode_put(inode);
    settled();
}

/*
 * Finds the metadata blocks with the checker, which shares no code with the core. The checker may
 * reject a badly damaged image before finding any, and owners_known is false then.
 */
static void find_owners(void)
{
    memset(f.owners, 0, f.tree->blocks * sizeof(*f.owners));
    (void)ext2dax_check_image(f.base, f.tree->size, EXT2DAX_CHECK_MOUNTED, NULL, NULL, f.owners);
    f.owners_known = f.owners[f.tree->block_size == 1024] == EXT2DAX_OWNER_METADATA;
}

/*
 * Fails for a finding in a recovered image. Recovery leaves a valid image, including every count.
 * Recovery does not check the copies of superblock and descriptors, duplicate names, and the fields
 * of reserved inodes other than the root.
 */
static void is_whole(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    if (strstr(finding->what, " copy") || strcmp(finding->what, "name stands twice in a directory") == 0 ||
        (finding->inode != 0 && finding->inode < 11 && finding->inode != EXT2DAX_ROOT_INODE))
        return;
    (void)ext2dax_finding_text(finding, text, sizeof(text));
    fuzz_fail(__FILE__, __LINE__, text);
}

static bool is_clean(void)
{
    return (f.base[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] & EXT2DAX_STATE_VALID) != 0;
}

static void session(unsigned flags)
{
    const struct tree *tree = f.tree;
    struct ext2dax_plugs plugs = {
        .locks = fuzz_locks(), .memory = {NULL, NULL, f.base, tree->size, 0}, .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .order = tree->order,
                                            .page_shift = tree->page_shift,
                                            .huge_order = tree->huge_order,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify};
    struct ext2dax_statfs figures;
    bool recovers = !is_clean() && (flags & EXT2DAX_MOUNT_READ_ONLY) == 0;
    int error;

    f.model = ext2dax_model_open(&plugs.memory, fuzz_locks(), (uint32_t)1 << tree->page_shift, tree->huge_order);
    MUST(f.model);
    plugs.address_space = ext2dax_model_address_space(f.model);
    remember();
    error = REPORTED_MOUNT(ext2dax_mount(&plugs, &options, &f.mount));
    MUST(fuzz_counts.held == 0);
    if (error != 0) {
        MUST(!f.mount && memcmp(f.before, f.base, tree->size) == 0);
    } else {
        if (recovers)
            MUST(ext2dax_check_image(f.base, tree->size, EXT2DAX_CHECK_MOUNTED, is_whole, NULL, NULL) >= 0);
        find_owners();
        ext2dax_statfs(f.mount, &figures, sizeof(figures));
        for (uint32_t number = 1; number <= figures.inodes && number <= TREE_INODES_MAX; number++)
            try_inode(number, (flags & EXT2DAX_MOUNT_READ_ONLY) == 0);
        names_of_the_root();
        if (noise(4) == 0 && REPORTED_MOUNT(ext2dax_remount(f.mount, EXT2DAX_MOUNT_READ_ONLY)) == 0 && flags == 0)
            (void)REPORTED_MOUNT(ext2dax_remount(f.mount, 0));
        ext2dax_statfs(f.mount, &figures, sizeof(figures));
        MUST(REPORTED(ext2dax_unmount(f.mount)) == 0);
    }
    if (flags & EXT2DAX_MOUNT_READ_ONLY)
        MUST(memcmp(f.before, f.base, tree->size) == 0);
    ext2dax_model_close(f.model);
    f.model = NULL;
    f.mount = NULL;
    MUST(fuzz_counts.held == 0 && fuzz_counts.made == 0 && fuzz_counts.given == 0);
}

const unsigned long fuzz_usual_count = 700;

size_t fuzz_shape(uint8_t noise[FUZZ_NOISE])
{
    size_t size = HEAD + EDIT * (size_t)(noise[HEAD + EDIT * 12 - 1] % 13);

    /* Keeps edits of superblock and descriptors rare. Most make mount refuse the image. */
    for (size_t at = HEAD; at + EDIT <= size; at += EDIT)
        noise[at] = (noise[at] & 7) <= 1 && (noise[at] & 0x38) != 0 ? (uint8_t)(noise[at] | 3) : noise[at];
    return size;
}

const char *fuzz_text(void)
{
    return "";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* large trees seldom */
    static const uint8_t shares[16] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4};
    unsigned verify;

    if (size < HEAD)
        return 0;
    place_image(shares[data[0] % sizeof(shares)]);
    verify = data[1] & EXT2DAX_MOUNT_VERIFY;
    for (size_t at = HEAD; at + EDIT <= size && at < HEAD + EDITS * EDIT; at += EDIT)
        apply(data + at);
    f.noise = (uint64_t)data[2] << 8 | data[3];
    if ((data[1] & 8) != 0)
        f.base[EXT2DAX_SUPER_OFFSET + offsetof(struct ext2dax_disk_super, state)] = 0;
    if ((data[1] & 4) != 0)
        session(verify | EXT2DAX_MOUNT_READ_ONLY);
    session(verify);
    return 0;
}
