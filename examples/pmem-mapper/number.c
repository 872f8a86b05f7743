/* SPDX-License-Identifier: MIT */
/*
 * Sizes on the command line. The code parses the digits, because strtoull accepts signs and
 * blanks and converts "-1" to 2^64 - 1.
 */
#include "mapper.h"

#include <errno.h>
#include <stdio.h>

int number_parse(const char *text, uint64_t *value)
{
    uint64_t number = 0;
    unsigned shift = 0;
    const char *at = text;

    if (*at < '0' || *at > '9')
        return EINVAL;
    bool fits = true;
    for (; *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10)
            fits = false;
        number = number * 10 + digit;
    }
    switch (*at) {
    case 'K':
    case 'k':
        shift = 10;
        break;
    case 'M':
    case 'm':
        shift = 20;
        break;
    case 'G':
    case 'g':
        shift = 30;
        break;
    case 'T':
    case 't':
        shift = 40;
        break;
    default:
        break;
    }
    if (shift)
        at++;
    if (*at)
        return EINVAL;
    if (!fits || number > UINT64_MAX >> shift)
        return ERANGE;
    *value = number << shift;
    return 0;
}

int number_argument(const struct request *request, const char *what, const char *text, uint64_t *value)
{
    int error = number_parse(text, value);
    if (!error)
        return 0;
    if (error == ERANGE)
        return say_failed(request->image, "%s %s: does not fit in 64 bits", what, text);
    fprintf(stderr, "pmem-mapper: %s: '%s' is not a number of bytes (digits, then K, M, G or T)\n", what, text);
    return EXIT_USAGE;
}
