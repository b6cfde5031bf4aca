/*
 * Where the files of an export are: one file, a folder, or a zip archive. All of it may be hostile.
 * Nothing is ever written or unpacked to disk; symbolic links are not followed.
 *
 * An archive is refused as a whole, before anything of it is read, when a name is absolute, climbs
 * ("..") or has control characters, an entry is encrypted, two entries share bytes, sizes or ratios
 * are absurd, or it is in ZIP64 (over 4 GiB: unpack it, and give the folder).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_ENTRIES_MAX 100000
#define SOURCE_TOTAL_MAX   (INT64_C(1024) * 1024 * 1024) /* of the files that are wanted */
#define SOURCE_NAME_MAX    1024
#define SOURCE_RATIO_MAX   250 /* unpacked to packed, for entries above 1 MiB */

struct source;

/* *ret_why (may be NULL): a constant sentence on -EBADMSG. Else -errno of opening. */
int source_open(const char *path, struct source **ret, const char **ret_why);
void source_close(struct source *s); /* NULL is fine */

/* In the order of names, byte by byte, so that every run is alike. Valid until source_close(). */
size_t source_count(const struct source *s);
const char *source_name(const struct source *s, size_t i);
/* The whole of one file, *ret is the caller's to free (one NUL more than *ret_len). -EFBIG: above
 * max, or SOURCE_TOTAL_MAX is reached; -EBADMSG: damaged; -errno of reading; -ENOMEM. */
int source_read(struct source *s, size_t i, size_t max, char **ret, size_t *ret_len);
