/* SPDX-License-Identifier: MIT */
#include "play.h"

#include <stdio.h>
#include <string.h>

#include "ext2dax/testkit/checker.h"

#include "tree.h"

uint64_t play_noise(struct play *play, uint64_t below)
{
    play->noise = play->noise * 6364136223846793005u + 1442695040888963407u;
    return (play->noise >> 20) % below;
}

size_t play_file_name(unsigned number, char name[256])
{
    memset(name, 'a' + (int)number, 255);
    return 1 + number * 60;
}

size_t play_empty_name(unsigned number, char name[256])
{
    size_t length = 3 + number * number % 250;

    memset(name, '-', 255);
    name[0] = (char)('A' + number % 26);
    name[1] = (char)('a' + number / 26);
    return length;
}

bool play_holds_unlinked(const struct play *play)
{
    for (unsigned i = 0; i < PLAY_FILES; i++) {
        if (play->file[i].inode && !play->file[i].named)
            return true;
    }
    return false;
}

bool play_holds_pin(const struct play *play)
{
    for (unsigned i = 0; i < PLAY_FILES; i++) {
        if (play->file[i].pinned && play->file[i].pin.writable)
            return true;
    }
    return false;
}

uint64_t play_free_blocks(struct play *play)
{
    struct ext2dax_statfs figures;

    ext2dax_statfs(play->mount, &figures, sizeof(figures));
    return figures.free_blocks;
}

/* ---- checks ---- */

static void print_finding(void *arg, const struct ext2dax_finding *finding)
{
    char text[256];

    (void)arg;
    (void)ext2dax_finding_text(finding, text, sizeof(text));
    (void)fprintf(stderr, "finding: %s\n", text);
}

static void print_entry(void *arg, const struct ext2dax_inode *inode, uint64_t page, const char *what)
{
    (void)arg;
    (void)fprintf(stderr, "inode %u, page %llu: %s\n", (unsigned)inode->number, (unsigned long long)page, what);
}

void play_settled(struct play *play, bool clean)
{
    unsigned flags = (clean ? 0 : EXT2DAX_CHECK_MOUNTED) | (play_holds_unlinked(play) ? EXT2DAX_CHECK_UNLINKED_OK : 0);

    MUST(play->frozen || fuzz_counts.held == 0);
    MUST(ext2dax_check_image(play->geometry.area.base, play->geometry.size, flags, print_finding, NULL, NULL) == 0);
    if (!play->model)
        return;
    MUST(ext2dax_model_check(play->model, print_entry, NULL) == 0);
    MUST(ext2dax_model_complaints(play->model) == 0);
}

static bool is_zeroes(const unsigned char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* Compares a block of the image with the copy, up to the end of the file. */
static void compare_block(const struct play *play, const struct content *content, uint64_t logical, uint64_t physical)
{
    uint32_t block_size = play->geometry.block_size;
    const unsigned char *bytes = play->geometry.area.base + physical * block_size;
    uint64_t left = content->size - logical * block_size;
    size_t length = left < block_size ? (size_t)left : block_size;
    struct content_block *block = content_find(content, logical);

    if (block)
        block->seen = true;
    if (block ? memcmp(bytes, block->bytes, length) == 0 : is_zeroes(bytes, length))
        return;
    (void)fprintf(stderr, "logical block %llu, at %llu:\n", (unsigned long long)logical, (unsigned long long)physical);
    fuzz_fail(__FILE__, __LINE__, "the block holds what was written, or zeroes");
}

void play_compare(struct play *play, const struct play_file *file)
{
    const struct content *content = &file->content;
    uint32_t block_size = play->geometry.block_size, number = file->inode->number;
    uint64_t blocks = content->size / block_size + (content->size % block_size != 0), at = 0;
    const unsigned char *base = play->geometry.area.base;
    struct ext2dax_stat figures;
    struct ext2dax_run run;

    ext2dax_stat(file->inode, &figures, sizeof(figures));
    MUST(figures.size == content->size && ext2dax_check_size(base, play->geometry.size, number) == content->size);
    for (size_t i = 0; i < content->count; i++)
        content->blocks[i].seen = false;
    while (at < blocks) {
        MUST(ext2dax_map(file->inode, at, blocks - at, &run) == 0);
        MUST(run.logical == at && run.length != 0 && run.length <= blocks - at);
        MUST(ext2dax_check_block(base, play->geometry.size, number, at) == run.physical);
        for (uint64_t i = 0; run.physical != 0 && i < run.length; i++) {
            MUST(ext2dax_check_block(base, play->geometry.size, number, at + i) == run.physical + i);
            compare_block(play, content, at + i, run.physical + i);
        }
        at += run.length;
    }
    /* A hole has never been written, or only with zeroes. */
    for (size_t i = 0; i < content->count; i++)
        MUST(content->blocks[i].seen || is_zeroes(content->blocks[i].bytes, block_size));
}

/* ---- mount and unmount ---- */

static int count_name(void *arg, const struct ext2dax_entry *entry)
{
    (void)entry;
    ++*(unsigned *)arg;
    return 0;
}

static void look_at_names(struct play *play)
{
    unsigned names = 0, expected = play->usual_names;

    for (unsigned i = 0; i < PLAY_FILES; i++)
        expected += play->file[i].named;
    for (unsigned i = 0; i < PLAY_NAMES; i++)
        expected += play->name[i];
    MUST(ext2dax_readdir(play->root, 0, count_name, &names) == 0);
    if (play->usual_names == 0)
        play->usual_names = names;
    else
        MUST(names == expected);
}

void play_mount(struct play *play, unsigned flags, enum ext2dax_order order)
{
    struct geometry *geometry = &play->geometry;
    struct ext2dax_plugs plugs = {
        .locks = fuzz_locks(), .memory = {NULL, NULL, geometry->area.base, geometry->size, 0}, .host = fuzz_host()};
    struct ext2dax_mount_options options = {.size = sizeof(options),
                                            .flags = flags,
                                            .order = order,
                                            .page_shift = geometry->page_shift,
                                            .huge_order = geometry->huge_order,
                                            .recover = ext2dax_recover,
                                            .verify = ext2dax_verify};
    char name[256];
    uint64_t line;

    play->model =
        ext2dax_model_open(&plugs.memory, plugs.locks, (uint32_t)1 << geometry->page_shift, geometry->huge_order);
    MUST(play->model);
    plugs.address_space = ext2dax_model_address_space(play->model);
    MUST(ext2dax_mount(&plugs, &options, &play->mount) == 0);
    ext2dax_statfs(play->mount, &play->figures, sizeof(play->figures));
    MUST(play->figures.block_size == geometry->block_size && play->figures.blocks <= geometry->blocks);
    /*
     * Extending past this limit is EFBIG. e2fsck would take the size between the two stores for
     * damage.
     */
    line = geometry->block_size == 1024   ? (uint64_t)16 << 30
           : geometry->block_size == 2048 ? (uint64_t)256 << 30
                                          : UINT64_MAX;
    play->largest = play->figures.max_file_size < line ? play->figures.max_file_size : line;
    MUST(play->figures.max_grow_size == play->largest);
    MUST(ext2dax_inode_get(play->mount, EXT2DAX_ROOT_INODE, &play->root) == 0);
    for (unsigned i = 0; i < PLAY_FILES; i++) {
        struct play_file *file = &play->file[i];
        size_t length = play_file_name(i, name);
        struct ext2dax_inode *inode;
        int error = ext2dax_lookup(play->root, name, length, &inode);

        MUST(error == (file->named ? 0 : -EXT2DAX_ENOENT));
        file->inode = file->named ? inode : NULL;
        if (file->inode)
            play_compare(play, file);
    }
    look_at_names(play);
    play_settled(play, false);
}

void play_drop(struct play *play, struct play_file *file)
{
    (void)play;
    if (file->map)
        ext2dax_model_unmap(file->map);
    if (file->pinned)
        ext2dax_unpin(&file->pin);
    if (file->old)
        ext2dax_model_unmap(file->old);
    file->map = file->old = NULL;
    file->pinned = false;
}

void play_unmount(struct play *play)
{
    look_at_names(play);
    for (unsigned i = 0; i < PLAY_FILES; i++) {
        struct play_file *file = &play->file[i];

        if (!file->inode)
            continue;
        play_compare(play, file);
        play_drop(play, file);
        ext2dax_inode_put(file->inode);
        file->inode = NULL;
        if (!file->named)
            content_close(&file->content);
    }
    ext2dax_inode_put(play->root);
    MUST(ext2dax_unmount(play->mount) == 0);
    MUST(ext2dax_model_complaints(play->model) == 0);
    ext2dax_model_close(play->model);
    play->model = NULL;
    play->mount = NULL;
    MUST(fuzz_counts.made == 0 && fuzz_counts.given == 0);
    play_settled(play, true);
}
