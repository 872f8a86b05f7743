/* SPDX-License-Identifier: MIT */
/*
 * Identifies content found in place of an ext2 image by the magic bytes of other formats. No
 * other bytes of such content are trusted.
 */
#include "mapper.h"

#include <ext2dax/ondisk.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* extent, 64bit, mmp, flex_bg, ea_inode and later bits */
#define FEATURES_OF_EXT4_INCOMPAT 0x3D7C0u
/* huge_file and later bits */
#define FEATURES_OF_EXT4_RO 0x1FF78u
#define NEEDS_RECOVERY      0x4u
#define JOURNAL_DEVICE      0x8u

static const struct {
    uint32_t offset;
    uint8_t length;
    char mark[12];
    const char *what;
} marks[] = {
    {0, 2, "\x1F\x8B", "is a gzip file: unpack it first"},
    {0, 6,
     "\xFD"
     "7zXZ\0",
     "is an xz file: unpack it first"},
    {0, 4, "\x28\xB5\x2F\xFD", "is a zstd file: unpack it first"},
    {0, 3, "BZh", "is a bzip2 file: unpack it first"},
    {0, 4, "\x04\x22\x4D\x18", "is an lz4 file: unpack it first"},
    {0, 4, "PK\x03\x04", "is a zip file: unpack it first"},
    {0, 6, "7z\xBC\xAF\x27\x1C", "is a 7z file: unpack it first"},
    {257, 5, "ustar", "is a tar file"},
    {0, 4, "\x3A\xFF\x26\xED", "is an Android sparse image: convert it with simg2img"},
    {0, 4, "QFI\xFB", "is a qcow2 image: convert it with qemu-img convert -O raw"},
    {0, 4, "KDMV", "is a VMDK image: convert it with qemu-img convert -O raw"},
    {0, 8, "vhdxfile", "is a VHDX image: convert it with qemu-img convert -O raw"},
    {64, 4, "\x7F\x10\xDA\xBE", "is a VDI image: convert it with qemu-img convert -O raw"},
    {0, 6, "LUKS\xBA\xBE", "is encrypted (LUKS)"},
    {0, 4, "XFSB", "is an xfs filesystem"},
    {0x10040, 8, "_BHRfS_M", "is a btrfs filesystem"},
    {0, 4, "hsqs", "is a squashfs filesystem"},
    {1024, 4, "\xE2\xE1\xF5\xE0", "is an erofs filesystem"},
    {1024, 4, "\x10\x20\xF5\xF2", "is an f2fs filesystem"},
    {0, 4, "\x45\x3D\xCD\x28", "is a cramfs filesystem"},
    {65588, 6, "ReIsEr", "is a reiserfs filesystem"},
    {3, 8, "NTFS    ", "is an NTFS filesystem"},
    {3, 8, "EXFAT   ", "is an exFAT filesystem"},
    {54, 5, "FAT12", "is a FAT filesystem"},
    {54, 5, "FAT16", "is a FAT filesystem"},
    {82, 5, "FAT32", "is a FAT filesystem"},
    {32769, 5, "CD001", "is an ISO 9660 filesystem"},
    {512, 8, "LABELONE", "is a physical volume of LVM"},
    {4086, 10, "SWAPSPACE2", "is swap space"},
    {8182, 10, "SWAPSPACE2", "is swap space"},
    {16374, 10, "SWAPSPACE2", "is swap space"},
    {65526, 10, "SWAPSPACE2", "is swap space"},
    {0, 4,
     "\x7F"
     "ELF",
     "is an ELF file"},
};

static bool other_format(const struct image *image, char *text, size_t size)
{
    const unsigned char *bytes = image->memory.base;

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (image->memory.size < (uint64_t)marks[i].offset + marks[i].length ||
            memcmp(bytes + marks[i].offset, marks[i].mark, marks[i].length) != 0)
            continue;
        snprintf(text, size, "%s", marks[i].what);
        return true;
    }
    return false;
}

static bool partitioned(const struct image *image, char *text, size_t size)
{
    struct partitions found;
    char numbers[128];
    int descriptor = ext2dax_memory_descriptor(&image->memory);

    /*
     * A partition table describes a whole file. A table inside a partition belongs to another
     * system.
     */
    if (image->where.offset || image->where.length || descriptor < 0)
        return false;
    const char *why = partitions_read(descriptor, image->memory.size, &found);
    bool is = found.kind != NULL || (why && strstr(why, "GPT"));
    partitions_text(&found, numbers, sizeof(numbers));
    if (is && why)
        snprintf(text, size, "has a partition table, but %s", why);
    else if (is && *numbers)
        snprintf(text, size, "has a partition table (%s): say which with --partition: %s", found.kind, numbers);
    else if (is)
        snprintf(text, size, "has a partition table (%s) without partitions", found.kind);
    partitions_free(&found);
    return is;
}

static uint32_t get32(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Describes an image of the ext family with features not supported by this library. */
static void features(const struct image *image, char *text, size_t size)
{
    const unsigned char *super = (const unsigned char *)image->memory.base + EXT2DAX_SUPER_OFFSET;
    uint32_t compat = get32(super + offsetof(struct ext2dax_disk_super, compat));
    uint32_t incompat = get32(super + offsetof(struct ext2dax_disk_super, incompat)) & ~EXT2DAX_INCOMPAT_KNOWN;
    uint32_t ro_compat = get32(super + offsetof(struct ext2dax_disk_super, ro_compat)) & ~EXT2DAX_RO_COMPAT_KNOWN;
    const char *which = incompat & FEATURES_OF_EXT4_INCOMPAT || ro_compat & FEATURES_OF_EXT4_RO ? "ext4"
                        : compat & EXT2DAX_COMPAT_HAS_JOURNAL                                   ? "ext3"
                                                                                                : "ext2";
    char names[512], more[512];

    ext2dax_feature_text(EXT2DAX_FEATURES_INCOMPAT, incompat, names, sizeof(names));
    ext2dax_feature_text(EXT2DAX_FEATURES_RO_COMPAT, ro_compat, more, sizeof(more));
    if (incompat & JOURNAL_DEVICE)
        snprintf(text, size, "is a journal of ext3 or ext4, without files");
    else if (incompat == NEEDS_RECOVERY && !ro_compat)
        snprintf(text, size, "is an %s filesystem whose journal must be replayed first: run e2fsck", which);
    else
        snprintf(text, size, "is an %s filesystem%s, needs unsupported features: %s%s%s", which,
                 incompat ? "" : " and may only be read", names, *names && *more ? ", " : "", more);
}

bool identify(const struct image *image, const struct ext2dax_report *report, char *text, size_t size)
{
    bool of_features = report->error == -EXT2DAX_EOPNOTSUPP && report->field && strstr(report->field, "features");

    if (of_features)
        features(image, text, size);
    return of_features ||
           (report->error == -EXT2DAX_EINVAL && (other_format(image, text, size) || partitioned(image, text, size)));
}
