/* links: gateway_store gateway_base */
/*
 * The salvage reader over pages that anything may have happened to. The input is the page to read,
 * then the pages its rows run over into, as many as there are bytes for. Byte 0 of the input says
 * whether the page is the first of a file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store/database.h"
#include "gateway/store/meta.h"
#include "gateway/store/salvage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static int fetch(void *user, uint32_t page, uint8_t *ret)
{
	const struct input *in = user;
	size_t n;

	if (page == 0 || page - 1 > in->size / DATABASE_PAGE)
		return -ENODATA;
	n = in->size - (size_t)(page - 1) * DATABASE_PAGE;
	(void)memset(ret, 0, DATABASE_PAGE);
	(void)memcpy(ret, in->data + (size_t)(page - 1) * DATABASE_PAGE,
		     n < DATABASE_PAGE ? n : DATABASE_PAGE);
	return 0;
}

/* A row that is handed on proves itself, and its decoders may be asked about it. */
static int take_row(void *user, const struct row *row)
{
	struct store_identity identity;
	struct seen_entry entry;
	struct mark mark;

	(void)user;
	if (!row_is_sound(row))
		abort();
	(void)identity_decode(row, &identity);
	(void)mark_decode(row, &mark);
	(void)seen_entry_of_row(NULL, row, true, &entry);
	return 0;
}

static int take_seen(void *user, const struct seen_entry *e)
{
	uint8_t *sum = user;

	for (size_t i = 0; i < SEEN_KEY; i++)
		*sum = (uint8_t)(*sum ^ e->key[i]);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t page[DATABASE_PAGE], sum = 0;
	struct salvage_sink sink = { take_row, take_seen, &sum };
	struct input in;

	if (size < 1)
		return 0;
	in = (struct input){ data + 1, size - 1 };
	if (fetch(&in, 1, page) == 0)
		(void)salvage_page(page, data[0] & 1 ? 1 : 2, fetch, &in, &sink);
	return 0;
}
