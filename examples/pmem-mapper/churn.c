/* SPDX-License-Identifier: MIT */
/*
 * The command churn. Creates, writes, stores to through mappings, truncates, punches and
 * removes a few files of the root directory, until the time is over. A test kills the process
 * and examines the image. Each step is printed before the step begins ("write churn.3 4096 9000
 * 17") and again when the step is durable ("synced"). So the test knows the contents that must
 * exist.
 *
 * The words written by step N at byte B of a file consist of the seed, N and B / 8. No two
 * steps write the same word, and the printed line alone determines every word.
 */
#include "mapper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FILES      6u
#define LARGEST    ((uint64_t)640 << 10) /* bytes of a file, double indirect at 1 KiB */
#define AT_ONCE    ((uint64_t)96 << 10)  /* most bytes per step */
#define WORD       ((uint64_t)8)
#define PLACE_BITS 24
#define STEP_BITS  24
#define SEED_MAX   0xFFFFu

struct churn {
    struct image *image;
    struct ext2dax_inode *root;
    uint64_t seed, step, random;
    uint64_t words[AT_ONCE / 8];
};

static uint64_t draw(struct churn *churn, uint64_t below)
{
    churn->random ^= churn->random << 13;
    churn->random ^= churn->random >> 7;
    churn->random ^= churn->random << 17;
    return churn->random % below;
}

static uint64_t draw_words(struct churn *churn, uint64_t below)
{
    return draw(churn, below / WORD) * WORD;
}

/* Fills churn->words with the content of the step at [from, from + bytes) of the file. */
static void fill(struct churn *churn, uint64_t from, uint64_t bytes)
{
    uint64_t base = (churn->seed << STEP_BITS | churn->step) << PLACE_BITS;

    for (uint64_t i = 0; i < bytes / WORD; i++) {
        unsigned char *at = (unsigned char *)&churn->words[i];
        uint64_t word = base + from / WORD + i;
        for (unsigned byte = 0; byte < WORD; byte++)
            at[byte] = (unsigned char)(word >> (8 * byte));
    }
}

/* Prints a step and flushes stdout, so that the reader gets whole lines only. */
static int print_step(const char *verb, const char *name, uint64_t from, uint64_t bytes, const struct churn *churn)
{
    printf("%s %s %llu %llu %llu\n", verb, name, (unsigned long long)from, (unsigned long long)bytes,
           (unsigned long long)(churn->seed << STEP_BITS | churn->step));
    errno = 0;
    return fflush(stdout) ? system_failed(NULL, errno ? errno : EIO, "standard output") : 0;
}

static int failed(const struct churn *churn, int error, const char *verb, const char *name)
{
    return image_failed(churn->image, error, "churn: %s %s", verb, name);
}

static int make(struct churn *churn, const char *name)
{
    struct ext2dax_inode *inode;

    int code = print_step("create", name, 0, 0, churn);
    if (code)
        return code;
    int error = ext2dax_create(churn->root, name, strlen(name), 0644, 0, 0, &inode);
    if (error)
        return failed(churn, error, "create", name);
    ext2dax_inode_put(inode);
    return 0;
}

/*
 * Stores through a mapping if the image can be mapped. The range lies below the size, holes
 * included.
 */
static int store(struct churn *churn, const char *name, struct ext2dax_inode *inode, uint64_t from, uint64_t bytes)
{
    struct view view = {.image = churn->image, .inode = inode, .writable = true};

    view.mapped = churn->image->process && churn->image->figures.pmd_pages;
    int error = view_write(&view, from, churn->words, (size_t)bytes);
    view_close(&view);
    return error ? failed(churn, error, "store", name) : 0;
}

static int change(struct churn *churn, const char *name, struct ext2dax_inode *inode)
{
    static const char *const verbs[] = {"write", "write", "store", "truncate", "punch"};
    const char *verb = verbs[draw(churn, 5)];
    struct ext2dax_stat figures;
    uint64_t from, bytes = WORD + draw_words(churn, AT_ONCE);
    int error = 0;

    ext2dax_stat(inode, &figures, sizeof(figures));
    if (figures.size < 2 * WORD && (!strcmp(verb, "store") || !strcmp(verb, "punch")))
        verb = "write";
    from = draw_words(churn, strcmp(verb, "store") && strcmp(verb, "punch") ? LARGEST : figures.size);
    if (!strcmp(verb, "write") && draw(churn, 2))
        from = figures.size & ~(WORD - 1);
    if (from + bytes > LARGEST)
        from = 0;
    if (!strcmp(verb, "store") && from + bytes > figures.size)
        bytes = (figures.size - from) & ~(WORD - 1);
    if (!strcmp(verb, "truncate"))
        bytes = 0;
    int code = print_step(verb, name, from, bytes, churn);
    if (code)
        return code;
    fill(churn, from, bytes);
    if (!strcmp(verb, "write")) {
        int64_t done = ext2dax_write(inode, from, churn->words, (size_t)bytes);
        error = done < 0 ? (int)done : (uint64_t)done < bytes ? -EXT2DAX_ENOSPC : 0;
    } else if (!strcmp(verb, "store")) {
        code = bytes ? store(churn, name, inode, from, bytes) : 0;
    } else if (!strcmp(verb, "truncate")) {
        error = ext2dax_truncate(inode, from);
    } else {
        error = ext2dax_punch(inode, from, bytes);
    }
    if (!error && !code)
        error = ext2dax_fsync(inode);
    return error ? failed(churn, error, verb, name) : code;
}

static int drop(struct churn *churn, const char *name)
{
    int code = print_step("unlink", name, 0, 0, churn);
    if (code)
        return code;
    int error = ext2dax_unlink(churn->root, name, strlen(name));
    return error ? failed(churn, error, "unlink", name) : 0;
}

static int step(struct churn *churn)
{
    struct ext2dax_inode *inode;
    char name[16];
    int code;

    churn->step++;
    snprintf(name, sizeof(name), "churn.%u", (unsigned)draw(churn, FILES));
    int error = ext2dax_lookup(churn->root, name, strlen(name), &inode);
    if (error == -EXT2DAX_ENOENT) {
        code = make(churn, name);
    } else if (error) {
        code = failed(churn, error, "look up", name);
    } else if (draw(churn, 10) == 0) {
        ext2dax_inode_put(inode);
        code = drop(churn, name);
    } else {
        code = change(churn, name, inode);
        ext2dax_inode_put(inode);
    }
    return code ? code : print_step("synced", name, 0, 0, churn);
}

int command_churn(const struct request *request)
{
    static struct churn churn;
    struct image image;

    int code = number_argument(request, "SEED", request->args[0], &churn.seed);
    if (!code && churn.seed > SEED_MAX)
        code = say_failed(request->image, "SEED: '%.20s' is more than %u", request->args[0], SEED_MAX);
    if (code)
        return code;
    churn.image = &image;
    churn.random = (churn.seed + 1) * 0x9E3779B97F4A7C15u;
    code = image_open(&image, request, true);
    if (!code) {
        int error = ext2dax_lookup_path(image.mount, "/", 1, 0, &churn.root);
        if (error)
            code = image_failed(&image, error, "churn");
    }
    double end = seconds_now() + request->seconds;
    while (!code && !interrupted && seconds_now() < end && churn.step >> STEP_BITS == 0)
        code = step(&churn);
    if (churn.root)
        ext2dax_inode_put(churn.root);
    return image_close(&image, code);
}
