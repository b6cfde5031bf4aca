/*
 * Reads a damaged database the hard way: page by page, without SQLite and without trusting any
 * pointer. What carries a sound checksum of ours is handed on. Read-only; every byte is hostile.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gateway/store/row.h"
#include "gateway/store/seen.h"

struct salvage_sink {
	/* a row whose checksum is sound; may come more than once, also in an older version */
	int (*row)(void *user, const struct row *row);
	/* an entry of `seen` (it has no checksum); may be NULL */
	int (*seen)(void *user, const struct seen_entry *e);
	void *user;
};

/* Reads page number `page` (from 1) into ret; -errno where there is none. */
typedef int (*salvage_fetch)(void *user, uint32_t page, uint8_t *ret);

/* One page of DATABASE_PAGE bytes; overflow pages come through `fetch`. 0, or what a sink said. */
int salvage_page(const uint8_t *page, uint32_t number, salvage_fetch fetch, void *fetch_user,
		 const struct salvage_sink *sink);

/* The database `name` in a directory, and its log up to the last commit. A file that is not there
 * is empty. */
int salvage_files(int dir_fd, const char *name, const struct salvage_sink *sink);
