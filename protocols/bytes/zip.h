/*
 * The list at the end of a zip archive, looked at before a library may read the archive: where its
 * entries are. Entries that share packed bytes make a few of them into terabytes, and libraries do
 * not look for that. Source: PKWARE APPNOTE.TXT 4.3.12 (an entry of the central directory) and
 * 4.3.16 (its end).
 */
#pragma once

#include <stdint.h>

#include "protocols/bytes/cursor.h"

#define ZIP_END_BYTES 22
/* the end of the list, with the longest comment: so much of the end of a file is wanted */
#define ZIP_TAIL_MAX (ZIP_END_BYTES + 65535)

struct zip_list {
	uint32_t at, len; /* from the start of the file; it ends inside the file */
	uint16_t n;       /* entries, as the archive says */
};

/* The bytes that an entry takes at the least: its local header, its name and what is packed. */
struct zip_range {
	int64_t start, end;
};

/* tail: the last tail_len bytes of a file of `size`, all of it or ZIP_TAIL_MAX. -ENOMSG: no zip
 * archive, or a cut one; -EFBIG: it is in ZIP64. */
int zip_find_list(const uint8_t *tail, size_t tail_len, uint64_t size, struct zip_list *ret);
/* The next entry of the list; -ENOMSG and -EFBIG as above. */
int zip_next_range(struct cursor *list, struct zip_range *ret);
