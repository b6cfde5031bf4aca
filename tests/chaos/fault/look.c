/*
 * Opens one store after the other, as wellgated does at its start, and says what is in it: a folder
 * on each line of stdin, a line on stdout:
 *
 *     ROWS LAST CHAIN...     readings, the highest number, and a digest over the rows up to each
 *                            number if the argument is --chain, else over all
 *     error TEXT             it was not opened, or not without a repair
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/store/store.h"

#define KEEP_DAYS  36500
#define LINE_BYTES 4096
#define FNV_START  UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)

/* chance is what it has to find, not malice */
static uint64_t add(uint64_t digest, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		digest = (digest ^ b[i]) * FNV_PRIME;
	return digest;
}

static int walk(struct store *s, bool chain)
{
	uint64_t digest = FNV_START, rows = 0, last = 0;
	struct store_row row;
	int r;

	while ((r = store_next(s, LANE_READINGS, last, &row)) > 0) {
		digest = add(digest, &row.sequence, sizeof(row.sequence));
		digest = add(digest, row.payload, row.len);
		last = row.sequence;
		rows++;
		if (chain)
			(void)printf("%" PRIx64 " ", digest);
	}
	if (r == 0)
		(void)printf("%" PRIu64 " %" PRIu64 " %" PRIx64 "\n", rows, last, digest);
	return r;
}

static void look(const char *dir, bool chain)
{
	const struct store_options options = { .dir = dir, .keep_days = KEEP_DAYS };
	_cleanup_free_ char *said = NULL;
	struct store *s = NULL;
	int r = store_open(&options, &s, &said);

	if (r == 0 && !said)
		r = walk(s, chain);
	if (r < 0 || said)
		(void)printf("error %s\n", said ? said : strerror(-r));
	store_close(s);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	const bool chain = argc > 1 && strcmp(argv[1], "--chain") == 0;
	char line[LINE_BYTES];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		look(line, chain);
	}
	return 0;
}
