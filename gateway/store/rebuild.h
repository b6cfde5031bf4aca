/* Builds a database: an empty one, or one from what is left of a damaged one. */
#pragma once

#include <stdint.h>

#include "gateway/store/keyring.h"

struct rebuild_report {
	uint64_t readings, results; /* rows saved */
	uint64_t last;              /* highest sequence of a reading that is known of */
	uint64_t missing;           /* unsent readings of which only the number is left */
};

/* A new, empty database at `path`, with an identity. The file is durable, its name is not. */
int rebuild_empty(const char *path);
/* Counts what salvage finds of ours (rows with a sound checksum): 0 = it is not ours. */
int rebuild_probe(int dir_fd, const char *name, uint64_t *ret);
/* A new database at `path` from `name` in the directory: rows keep their numbers, the identity is
 * kept if a copy of it is sound, the epoch is new. Changes nothing in the old files. */
int rebuild_from(int dir_fd, const char *name, const char *path, const struct keyring *keys,
		 struct rebuild_report *ret);
