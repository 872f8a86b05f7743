/* SPDX-License-Identifier: MIT */
/*
 * Identity of a new image, that is UUID, label and time. Every image gets a UUID of its own, unless
 * a time is given by --epoch or by the environment variable SOURCE_DATE_EPOCH. A time asks for an
 * image which another run makes again, byte for byte. The UUID is then derived from the options.
 */
#include "mapper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

bool uuid_parse(const char *text, uint8_t uuid[16])
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    unsigned digits = 0, any = 0;

    if (strlen(text) != strlen(form))
        return false;
    for (const char *at = text; *at; at++) {
        static const char hexadecimal[] = "0123456789abcdefABCDEF";
        const char *found = strchr(hexadecimal, *at);
        unsigned value;

        if (form[at - text] == '-' ? *at != '-' : !found)
            return false;
        if (!found)
            continue;
        value = (unsigned)(found - hexadecimal);
        value -= value > 15 ? 6 : 0;
        uuid[digits / 2] = (uint8_t)((unsigned)uuid[digits / 2] << 4 | (unsigned)value);
        any |= value;
        digits++;
    }
    return any != 0; /* the nil UUID means none */
}

bool epoch_parse(const char *text, int64_t *epoch)
{
    uint64_t value;

    if (strspn(text, "0123456789") != strlen(text) || number_parse(text, &value) || value > UINT32_MAX)
        return false;
    *epoch = (int64_t)value;
    return true;
}

/* Makes a random UUID, of version 4. */
static int random_uuid(const char *image_path, uint8_t uuid[16])
{
    if (getrandom(uuid, 16, 0) != 16)
        return system_failed(image_path, errno, "format: a random UUID");
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
    return 0;
}

static void derived_uuid(const struct request *request, uint64_t size, uint8_t uuid[16])
{
    struct ext2dax_digest digest;
    char text[128];
    int length = snprintf(text, sizeof(text), "pmem-mapper format %.16s %llu %u %lld", request->label,
                          (unsigned long long)size, request->block_size, (long long)request->epoch);

    ext2dax_digest_begin(&digest);
    ext2dax_digest_add(&digest, text, (size_t)length);
    ext2dax_digest_identity(&digest, uuid, NULL);
}

int identity_choose(struct request *request, uint64_t size)
{
    const char *variable = getenv("SOURCE_DATE_EPOCH");
    bool given = request->has_epoch;

    if (!given && variable) {
        if (!epoch_parse(variable, &request->epoch))
            return say_failed(request->image, "SOURCE_DATE_EPOCH: '%.40s' is not a number of seconds below 2^32",
                              variable);
        given = true;
    }
    if (!given)
        request->epoch = (int64_t)time(NULL);
    if (request->has_uuid)
        return 0;
    if (!given)
        return random_uuid(request->image, request->uuid);
    derived_uuid(request, size, request->uuid);
    return 0;
}
