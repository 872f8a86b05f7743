/* SPDX-License-Identifier: MIT */
/*
 * The options of the command line. Options may stand anywhere up to "--". Each option sets a
 * member of the request and a TAKES_ flag. main() compares the flags with the command.
 */
#include "options.h"

#include <stdio.h>
#include <string.h>

int usage(const char *what, const char *why)
{
    fprintf(stderr, "pmem-mapper: %s: %s\nTry 'pmem-mapper --help'.\n", what, why);
    return EXIT_USAGE;
}

static int option_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    char why[96];

    if (!number_parse(text, value) && *value >= least && *value <= most)
        return 0;
    snprintf(why, sizeof(why), "'%.20s' is not a number from %llu to %llu", text, (unsigned long long)least,
             (unsigned long long)most);
    return usage(name, why);
}

static int option_lock(struct request *request, const char *text)
{
    char why[96];

    request->locks = ext2dax_locks_by_name(text);
    if (request->locks.ops)
        return 0;
    snprintf(why, sizeof(why), "'%.40s' is not a lock backend of this build", text);
    return usage("--lock", why);
}

static int option_fault(struct request *request, const char *text)
{
    bool userfaultfd = !strcmp(text, "userfaultfd");

    if (!userfaultfd && strcmp(text, "sigsegv") != 0)
        return usage("--fault", "takes sigsegv or userfaultfd");
    request->method = userfaultfd ? EXT2DAX_FAULT_METHOD_USERFAULTFD : EXT2DAX_FAULT_METHOD_SIGSEGV;
    return 0;
}

/* Parses --offset, in bytes with a suffix, or in sectors as in partition tables ("2048s"). */
static int option_offset(struct request *request, const char *text)
{
    char digits[24];
    size_t length = strlen(text);
    bool sectors = length && length < sizeof(digits) && text[length - 1] == 's';
    uint64_t value;

    snprintf(digits, sizeof(digits), "%.*s", sectors ? (int)length - 1 : 0, text);
    bool plain = sectors && strspn(digits, "0123456789") == length - 1;
    if (number_parse(plain ? digits : text, &value) || (plain && value > INT64_MAX / 512))
        return usage("--offset", "not a number of bytes (digits, then K, M, G or T) or sectors (digits, then s)");
    value *= plain ? 512 : 1;
    if (value % 512 || value > INT64_MAX)
        return usage("--offset", "not a multiple of 512 that a file can have");
    request->offset = value;
    return 0;
}

static int option_partition(struct request *request, const char *text)
{
    uint64_t value;
    int code = option_number("--partition", text, 1, 16384, &value);

    if (!code)
        request->partition = (unsigned)value;
    return code;
}

static int option_mode(struct request *request, const char *text)
{
    unsigned mode;

    if (!mode_change(text, 0777, false, &mode))
        return usage("--mode", "not a mode, as 755 or u=rwx,go=rx");
    request->mode = text;
    return 0;
}

static int option_time(struct request *request, const char *text)
{
    if (!time_parse(text, &request->time))
        return usage("--time", "not a time, as 2026-11-30 09:00:00 in UTC, or @SECONDS since 1970");
    request->has_time = true;
    return 0;
}

/* Parses --uuid, --label and --epoch. */
static int option_identity(struct request *request, const char *name, const char *text)
{
    if (!strcmp(name, "--uuid")) {
        request->has_uuid = uuid_parse(text, request->uuid);
        return request->has_uuid ? 0 : usage(name, "not a UUID such as 01234567-89ab-cdef-0123-456789abcdef");
    }
    if (!strcmp(name, "--epoch")) {
        request->has_epoch = epoch_parse(text, &request->epoch);
        return request->has_epoch ? 0 : usage(name, "not a number of seconds below 2^32");
    }
    if (strlen(text) >= sizeof(request->label))
        return usage(name, "longer than 16 bytes");
    memcpy(request->label, text, strlen(text) + 1);
    return 0;
}

/* Parses an option with a value. `takes` collects the TAKES_ flags of the options given. */
static int option_value(struct request *request, const char *name, const char *text, unsigned *takes)
{
    uint64_t value;
    int code;

    if (!strcmp(name, "--lock"))
        return option_lock(request, text);
    if (!strcmp(name, "--fault"))
        return option_fault(request, text);
    if (!strcmp(name, "--offset") || !strcmp(name, "--partition")) {
        *takes |= TAKES_PLACE;
        return name[2] == 'o' ? option_offset(request, text) : option_partition(request, text);
    }
    if (!strcmp(name, "--mode") || !strcmp(name, "--time")) {
        *takes |= name[2] == 'm' ? TAKES_MODE : TAKES_TIME;
        return name[2] == 'm' ? option_mode(request, text) : option_time(request, text);
    }
    if (!strcmp(name, "--uuid") || !strcmp(name, "--label") || !strcmp(name, "--epoch")) {
        *takes |= TAKES_IDENTITY;
        return option_identity(request, name, text);
    }
    if (!strcmp(name, "--block-size")) {
        code = option_number(name, text, 1024, 65536, &value);
        if (code)
            return code;
        if (value & (value - 1))
            return usage(name, "not a power of two");
        request->block_size = (uint32_t)value;
        *takes |= TAKES_BLOCK_SIZE;
        return 0;
    }
    bool threads = !strcmp(name, "--threads");
    code = option_number(name, text, 1, threads ? 64 : 86400, &value);
    if (code)
        return code;
    *(threads ? &request->threads : &request->seconds) = (unsigned)value;
    *takes |= threads ? TAKES_THREADS : TAKES_SECONDS;
    return 0;
}

/* Parses an option without a value. Returns false if the text is no such option. */
static bool option_alone(struct request *request, const char *text, unsigned *takes)
{
    const struct {
        const char *name;
        bool *set;
        unsigned takes;
    } alone[] = {
        {"--json", &request->json, TAKES_JSON},           {"--reserve", &request->reserve, TAKES_RESERVE},
        {"--mapped", &request->mapped, TAKES_MAPPED},     {"--no-recovery", &request->no_recovery, TAKES_RECOVERY},
        {"--collapse", &request->collapse, TAKES_ACCESS}, {"--populate", &request->populate, TAKES_POPULATE},
        {"-r", &request->recursive, TAKES_RECURSIVE},     {"-s", &request->symbolic, TAKES_SYMBOLIC},
        {"-p", &request->parents, TAKES_PARENTS},         {"-h", &request->no_follow, TAKES_NO_FOLLOW},
        {"-c", &request->no_create, TAKES_NO_CREATE},     {"--no-replace", &request->no_replace, TAKES_RENAME},
        {"--exchange", &request->exchange, TAKES_RENAME}, {"--discard", &request->discard, TAKES_RECOVERY},
        {"--remove", &request->remove, TAKES_REMOVE},
    };

    if (!strcmp(text, "--access") || !strcmp(text, "--access=read") || !strcmp(text, "--access=write")) {
        request->access = strcmp(text, "--access=write") ? ACCESS_READ : ACCESS_WRITE;
        *takes |= TAKES_ACCESS;
        return true;
    }
    for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        if (!strcmp(text, alone[i].name)) {
            *alone[i].set = true;
            *takes |= alone[i].takes;
            return true;
        }
    }
    return false;
}

static bool wants_value(const char *name)
{
    static const char *const names[] = {"--uuid",    "--label",   "--epoch",  "--lock",      "--fault", "--block-size",
                                        "--threads", "--seconds", "--offset", "--partition", "--mode",  "--time"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Splits the command line into options and arguments. Options may stand anywhere up to "--". */
int options_parse(struct request *request, char **argv, const char **arguments, unsigned *count, unsigned *takes)
{
    bool options = true;

    for (char **at = argv; *at; at++) {
        char name[32];
        if (!options || (*at)[0] != '-' || !(*at)[1]) {
            arguments[(*count)++] = *at;
            continue;
        }
        if (!strcmp(*at, "--")) {
            options = false;
            continue;
        }
        if (option_alone(request, *at, takes))
            continue;
        size_t length = strcspn(*at, "=");
        snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : 0), *at);
        if (!wants_value(name))
            return usage(*at, "unknown option");
        const char *text = (*at)[length] ? *at + length + 1 : *++at;
        if (!text)
            return usage(name, "wants a value");
        int code = option_value(request, name, text, takes);
        if (code)
            return code;
    }
    return 0;
}
