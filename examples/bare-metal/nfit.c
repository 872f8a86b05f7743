/* SPDX-License-Identifier: MIT */
/*
 * Finds the persistent memory. The tables of the firmware (ACPI) begin with a pointer to a list
 * of tables. The table NFIT has an entry per range. An image loaded as a boot module works as
 * well, because only a physical address and a size are needed.
 */
#include "kernel.h"

struct root {
    char signature[8];
    uint8_t checksum, vendor[6], revision;
    uint32_t list; /* of 4-byte addresses */
} __attribute__((packed));

struct table {
    char signature[4];
    uint32_t length;
    uint8_t unused[28];
} __attribute__((packed));

struct range {
    uint16_t type, length; /* type 0 is a range of addresses */
    uint8_t unused[28];
    uint64_t base, size;
} __attribute__((packed));

static const struct table *find_table(uint64_t acpi, const char *signature)
{
    const struct root *root = at_physical(acpi);
    const struct table *list = at_physical(root->list), *table;
    const uint8_t *at = (const uint8_t *)(list + 1), *end = (const uint8_t *)list + list->length;
    uint32_t address;

    for (; at + sizeof(address) <= end; at += sizeof(address)) {
        memcpy(&address, at, sizeof(address));
        table = at_physical(address);
        if (memcmp(table->signature, signature, sizeof(table->signature)) == 0)
            return table;
    }
    return NULL;
}

bool nfit_find(uint64_t acpi, uint64_t *physical, uint64_t *size)
{
    const struct table *nfit = acpi != 0 ? find_table(acpi, "NFIT") : NULL;
    const uint8_t *at, *end;
    const struct range *range;

    if (!nfit)
        return false;
    end = (const uint8_t *)nfit + nfit->length;
    for (at = (const uint8_t *)(nfit + 1) + 4; at + sizeof(*range) <= end; at += range->length) {
        range = (const struct range *)at;
        if (range->type == 0) {
            *physical = range->base;
            *size = range->size;
            return true;
        }
        if (range->length == 0)
            break;
    }
    return false;
}
