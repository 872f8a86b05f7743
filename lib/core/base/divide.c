/* SPDX-License-Identifier: MIT */
/*
 * The reciprocal is computed by long division, bit by bit. For d = 1 the exact reciprocal would
 * need a 33rd bit. The loop then returns 2^32 - 1, because each subtraction leaves the remainder
 * with which the next step starts. A product with the reciprocal estimates a quotient which is
 * never too large and at most 1 too small. e2d_divide() corrects the estimate.
 */
#include "base/divide.h"

uint32_t e2d_reciprocal(uint32_t d)
{
    uint64_t rest = 1;
    uint32_t quotient = 0;
    unsigned bit;

    for (bit = 0; bit < 32; bit++) {
        rest <<= 1;
        quotient <<= 1;
        if (rest >= d) {
            rest -= d;
            quotient |= 1;
        }
    }
    return quotient;
}
