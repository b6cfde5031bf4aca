/* links: protocols */
/* The text format, line by line; what was read must be writable and read back the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/capture/cap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct cap_event *e)
{
	char first[CAP_LINE_MAX], second[CAP_LINE_MAX];
	struct cap_reader r;
	struct cap_event again;
	const int n = cap_write_event(e, first, sizeof(first));

	if (n < 0)
		abort();
	cap_reader_init(&r);
	r.has_version = r.has_consent = true;
	r.in_session = e->kind != CAP_OPEN;
	if (cap_read_line(&r, first, (size_t)n - 1, &again) != 1)
		abort();
	if (cap_write_event(&again, second, sizeof(second)) != n ||
	    memcmp(first, second, (size_t)n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cap_reader r;
	size_t begin = 0;

	cap_reader_init(&r);
	while (begin < size) {
		const uint8_t *newline = memchr(data + begin, '\n', size - begin);
		const size_t len = newline ? (size_t)(newline - data) - begin : size - begin;
		struct cap_event e;

		if (cap_read_line(&r, (const char *)data + begin, len, &e) > 0)
			check_round_trip(&e);
		begin += len + 1;
	}
	return 0;
}
