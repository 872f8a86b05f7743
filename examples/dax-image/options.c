/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "dax-image.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_code {
    SIZE = 256,
    FREE,
    INODES,
    UUID,
    LABEL,
    EPOCH,
    OWNER,
    BLOCK_SIZE,
    INODE_SIZE,
    EXCLUDE,
    ROOT_MODE,
    ALIGN,
    JSON,
    FORCE,
    QUIET,
    SVG,
    HELP,
    VERSION
};

static const struct option known[] = {{"size", 1, NULL, SIZE},
                                      {"free", 1, NULL, FREE},
                                      {"inodes", 1, NULL, INODES},
                                      {"uuid", 1, NULL, UUID},
                                      {"label", 1, NULL, LABEL},
                                      {"epoch", 1, NULL, EPOCH},
                                      {"owner", 1, NULL, OWNER},
                                      {"block-size", 1, NULL, BLOCK_SIZE},
                                      {"inode-size", 1, NULL, INODE_SIZE},
                                      {"exclude", 1, NULL, EXCLUDE},
                                      {"root-mode", 1, NULL, ROOT_MODE},
                                      {"align", 1, NULL, ALIGN},
                                      {"json", 0, NULL, JSON},
                                      {"force", 0, NULL, FORCE},
                                      {"quiet", 0, NULL, QUIET},
                                      {"svg", 1, NULL, SVG},
                                      {"help", 0, NULL, HELP},
                                      {"version", 0, NULL, VERSION},
                                      {NULL, 0, NULL, 0}};

static const char text[] = "usage: dax-image build [options] SOURCE... IMAGE\n"
                           "       dax-image report [--json] [--svg FILE] IMAGE [PATH]\n"
                           "       dax-image verify [options] IMAGE SOURCE...\n"
                           "\n"
                           "SOURCE is a directory, an archive, or - for an archive on standard input.\n"
                           "\n"
                           "  --size N|min     bytes of the image (K, M, G, T), min: as few as needed\n"
                           "  --free N         bytes left free\n"
                           "  --inodes N|min   least number of inodes\n"
                           "  --uuid UUID      instead of a UUID derived from the content\n"
                           "  --label TEXT     at most 16 bytes\n"
                           "  --epoch N        latest time, in seconds (also SOURCE_DATE_EPOCH)\n"
                           "  --owner U:G      owner of everything\n"
                           "  --block-size N   1024 to 65536\n"
                           "  --inode-size N   128 and more\n"
                           "  --exclude PATTERN\n"
                           "  --root-mode MODE permissions of the root, octal\n"
                           "  --align huge|page\n"
                           "  --json, --quiet, --force\n";

int usage(const char *reason, const char *word)
{
    if (reason)
        fprintf(stderr, "dax-image: %s%s%s\n", reason, word ? ": " : "", word ? word : "");
    else
        fputs(text, stderr);
    return EXIT_MISUSED;
}

static bool parse_plain(const char *word, int base, uint64_t most, uint64_t *number)
{
    char *end;

    if (*word < '0' || *word > '9')
        return false;
    errno = 0;
    *number = strtoull(word, &end, base);
    return !errno && !*end && *number <= most;
}

/* Parses a number of bytes with an optional suffix. */
static bool parse_size(const char *word, uint64_t *size)
{
    static const char suffixes[] = "KMGT";
    char *end;

    if (*word < '0' || *word > '9')
        return false;
    errno = 0;
    *size = strtoull(word, &end, 10);
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (errno || (*end && (!suffix || end[1])) || *size > (uint64_t)INT64_MAX >> shift)
        return false;
    *size <<= shift;
    return true;
}

static bool parse_uuid(const char *word, uint8_t uuid[16])
{
    unsigned sum = 0;

    if (strlen(word) != 36)
        return false;
    for (unsigned i = 0, digit = 0; i < 36; i++) {
        const char *hex = "0123456789abcdef0123456789ABCDEF", *at = strchr(hex, word[i]);
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? word[i] != '-' : !at)
            return false;
        if (dash)
            continue;
        uuid[digit / 2] = (uint8_t)(uuid[digit / 2] << 4 | ((at - hex) & 15));
        sum |= uuid[digit++ / 2];
    }
    return sum != 0;
}

static bool parse_owner(const char *word, struct options *o)
{
    const char *colon = strchr(word, ':');
    char user[16];
    uint64_t uid, gid;

    if (!colon || (size_t)(colon - word) >= sizeof(user))
        return false;
    memcpy(user, word, (size_t)(colon - word));
    user[colon - word] = 0;
    if (!parse_plain(user, 10, UINT32_MAX, &uid) || !parse_plain(colon + 1, 10, UINT32_MAX, &gid))
        return false;
    o->has_owner = true;
    o->uid = (uint32_t)uid;
    o->gid = (uint32_t)gid;
    return true;
}

static bool parse_epoch(const char *word, struct options *o)
{
    uint64_t number;

    if (!parse_plain(word, 10, UINT32_MAX, &number))
        return false;
    o->has_epoch = true;
    o->epoch = (int64_t)number;
    return true;
}

static bool add_exclude(const char *word, struct options *o)
{
    const char **list = realloc(o->excludes, (o->exclude_count + 1) * sizeof(char *));

    if (!list)
        return false;
    o->excludes = list;
    list[o->exclude_count++] = word;
    return true;
}

static bool is_power_of_two(uint64_t number)
{
    return number && (number & (number - 1)) == 0;
}

/* Takes an option. Returns false if the value is not valid. */
static bool take(struct options *o, int code, const char *word)
{
    uint64_t number = 0;

    switch (code) {
    case SIZE:
        return !strcmp(word, "min") || (parse_size(word, &o->size) && o->size);
    case FREE:
        return parse_size(word, &o->free_bytes);
    case INODES:
        o->has_inodes = true;
        return !strcmp(word, "min") || (parse_plain(word, 10, UINT32_MAX, &o->inodes) && o->inodes);
    case UUID:
        o->has_uuid = true;
        memset(o->format.uuid, 0, sizeof(o->format.uuid));
        return parse_uuid(word, o->format.uuid);
    case LABEL:
        memset(o->format.label, 0, sizeof(o->format.label));
        memcpy(o->format.label, word, strnlen(word, sizeof(o->format.label)));
        return strlen(word) <= sizeof(o->format.label);
    case EPOCH:
        return parse_epoch(word, o);
    case OWNER:
        return parse_owner(word, o);
    case BLOCK_SIZE:
        if (!parse_size(word, &number) || !is_power_of_two(number) || number < 1024 || number > 65536)
            return false;
        o->format.block_size = (uint32_t)number;
        return true;
    case INODE_SIZE:
        if (!parse_size(word, &number) || !is_power_of_two(number) || number < 128 || number > 32768)
            return false;
        o->format.inode_size = (uint32_t)number;
        return true;
    case EXCLUDE:
        return add_exclude(word, o);
    case ROOT_MODE:
        o->has_root_mode = parse_plain(word, 8, 07777, &number);
        o->root_mode = (uint32_t)number;
        return o->has_root_mode;
    case ALIGN:
        o->packed = !strcmp(word, "page");
        return o->packed || !strcmp(word, "huge");
    case SVG:
        o->svg = word;
        return *word;
    default:
        o->json |= code == JSON;
        o->force |= code == FORCE;
        o->quiet |= code == QUIET;
        return true;
    }
}

/* report changes nothing, and reads no sources. */
static bool is_allowed(const struct options *o, int code)
{
    if (code == JSON)
        return true;
    if (!strcmp(o->command, "report"))
        return code == SVG;
    if (!strcmp(o->command, "verify"))
        return code == EPOCH || code == OWNER || code == EXCLUDE || code == ROOT_MODE || code == QUIET;
    return code != SVG;
}

static int check_count(const struct options *o)
{
    bool is_report = !strcmp(o->command, "report");

    if (o->count < (is_report ? 1 : 2) || (is_report && o->count > 2))
        return usage("wrong number of arguments", o->command);
    return 0;
}

int options_parse(struct options *o, int argc, char **argv)
{
    int code, index = 0;

    memset(o, 0, sizeof(*o));
    o->command = argc > 1 ? argv[1] : "";
    opterr = 0;
    if (!strcmp(o->command, "--help")) {
        fputs(text, stdout);
        return -1;
    }
    if (!strcmp(o->command, "--version")) {
        printf("dax-image %s\n", ext2dax_version());
        return -1;
    }
    if (strcmp(o->command, "build") != 0 && strcmp(o->command, "report") != 0 && strcmp(o->command, "verify") != 0)
        return argc > 1 ? usage("unknown command", o->command) : usage(NULL, NULL);
    optind = 2;
    while ((code = getopt_long(argc, argv, "", known, &index)) != -1) {
        if (code < SIZE)
            return usage("unknown option, or an option without its value", argv[optind - 1]);
        if (code == HELP) {
            fputs(text, stdout);
            return -1;
        }
        if (!is_allowed(o, code))
            return usage("the command has no such option", known[index].name);
        if (!take(o, code, optarg ? optarg : ""))
            return usage("the value of an option is not valid", argv[optind - 1]);
    }
    o->args = argv + optind;
    o->count = argc - optind;
    const char *given = getenv("SOURCE_DATE_EPOCH");
    if (given && *given && !o->has_epoch && strcmp(o->command, "report") != 0 && !parse_epoch(given, o))
        return usage("SOURCE_DATE_EPOCH is no time", given);
    return check_count(o);
}
