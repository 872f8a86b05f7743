/* SPDX-License-Identifier: MIT */
#ifndef DAX_IMAGE_ARCHIVE_ATTRIBUTES_H
#define DAX_IMAGE_ARCHIVE_ATTRIBUTES_H

struct archive_entry;
struct inode;

/*
 * Copies attributes and ACLs of an entry to the inode. With an ACL the group bits of the mode
 * become the mask. `source` and `path` are for messages. Returns an exit code.
 */
int archive_attributes(const char *source, struct archive_entry *entry, struct inode *inode, const char *path);

#endif
