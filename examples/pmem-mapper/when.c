/* SPDX-License-Identifier: MIT */
/* Times as text, in UTC. An image has no time zone. */
#include "mapper.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Parses an optional fraction of a second. Returns false if other text follows the seconds. */
static bool fraction_parse(const char *at, uint32_t *nanoseconds)
{
    uint32_t value = 0, unit = 100000000;

    *nanoseconds = 0;
    if (!*at)
        return true;
    if (*at++ != '.' || !*at)
        return false;
    for (; *at >= '0' && *at <= '9' && unit; at++, unit /= 10)
        value += (uint32_t)(*at - '0') * unit;
    *nanoseconds = value;
    return !*at;
}

/* Parses "@SECONDS", negative before 1970. The fraction counts towards the future. */
static bool since_epoch(const char *text, struct ext2dax_time *time)
{
    bool negative = text[1] == '-';
    const char *digits = text + 1 + negative;
    size_t length = strspn(digits, "0123456789");
    int64_t seconds = 0;

    if (!length || length > 15)
        return false;
    for (size_t i = 0; i < length; i++)
        seconds = seconds * 10 + (digits[i] - '0');
    time->seconds = negative ? -seconds : seconds;
    return fraction_parse(digits + length, &time->nanoseconds);
}

bool time_parse(const char *text, struct ext2dax_time *time)
{
    struct tm tm = {0}, wanted;

    if (*text == '@')
        return since_epoch(text, time);
    const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (!rest)
        rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest)
        return false;
    /* timegm() turns February 30 into March 2. */
    wanted = tm;
    time->seconds = timegm(&tm);
    return tm.tm_mday == wanted.tm_mday && tm.tm_sec == wanted.tm_sec && fraction_parse(rest, &time->nanoseconds);
}

void time_text(const struct ext2dax_time *time, bool fraction, char *text, size_t size)
{
    time_t seconds = (time_t)time->seconds;
    struct tm tm;
    char whole[32];

    if (seconds != time->seconds || !gmtime_r(&seconds, &tm) ||
        !strftime(whole, sizeof(whole), "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(text, size, "-");
    else if (fraction)
        snprintf(text, size, "%s.%09u", whole, time->nanoseconds);
    else
        snprintf(text, size, "%s", whole);
}
