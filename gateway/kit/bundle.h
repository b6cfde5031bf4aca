/*
 * A kit as files: written at the desk, taken by the box. The folder may come from anybody: a name
 * is never followed out of it, a file is read to its listed size and compared with its hash before
 * anything of it is written, and nothing is changed unless all of it is good.
 */
#pragma once

#include <stdbool.h>

#include "gateway/kit/manifest.h"

#define KIT_FOLDER "wellgate-kit"           /* on the stick or in the boot partition */
#define KIT_KEYS   "/etc/wellgate/kit.keys" /* base64, one a line; # comments */

struct kit_bundle {
	struct kit_manifest manifest;
	char text[KIT_TEXT_MAX]; /* of the manifest, as it was signed */
	size_t len;
	uint8_t signature[64];
	uint8_t *data[KIT_FILES_MAX]; /* of manifest.files */
};

/* Adds a file to one that is being made; copies. -ENOSPC, -EFBIG, -EBADMSG (name), -ENOMEM */
int kit_bundle_add(struct kit_bundle *b, const char *name, const void *data, size_t size);

/* Signs what is in manifest and data. */
int kit_bundle_sign(struct kit_bundle *b, const uint8_t secret[64]);

/* Writes it to FOLDER/wellgate-kit, which must not be there yet (-EEXIST); all of it or nothing. */
int kit_bundle_write(const struct kit_bundle *b, const char *folder);

/* Reads FOLDER/wellgate-kit whole; errors of kit_open(), -EBADMSG too for a file that is missing
 * or not as listed. Of -EALREADY, manifest.serial says which. */
int kit_bundle_read(const char *folder, const struct kit_door *door, struct kit_bundle **ret);

void kit_bundle_free(struct kit_bundle *b);

/*
 * Puts it into ROOT/etc/wellgate/kit in the place of the one before, at once: a power cut leaves
 * either. Keys are for root and the group of ROOT/etc/wellgate. The drop-in
 * wellgate.conf.d/50-kit.conf is a link to it. Then check() looks at the whole configuration: if it
 * returns an error, the kit before is put back and that error returned.
 */
int kit_bundle_install(const struct kit_bundle *b, const char *root, int (*check)(void *user),
		       void *user);

/* The link alone: after a power cut between the two. */
int kit_drop_in(const char *root);

/* The serial of the kit in ROOT/etc/wellgate/kit, 0 if there is none or it cannot be read. */
uint64_t kit_installed(const char *root);

/* What was secret on the stick is overwritten and taken away: key files and passwords. The rest
 * stays, so that the stick still says what it was. Best effort: 0, or the first -errno. */
int kit_bundle_burn(const struct kit_bundle *b, const char *folder);

/* The keys in a file: 0 and their number, at most `room`; -EINVAL for a line that is none. */
int kit_keys_read(const char *path, uint8_t (*ret)[32], size_t room, size_t *ret_n);

/* Reads a regular file whole, malloc'd with a NUL behind it; -EFBIG above max. at: folder, or
 * AT_FDCWD. Symbolic links are followed if `follow`. */
int kit_read_file(int at, const char *name, size_t max, bool follow, uint8_t **ret,
		  size_t *ret_len);
