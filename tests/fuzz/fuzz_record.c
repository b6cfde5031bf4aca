/* links: gateway_record */
/* What a record service reads off the broker: the first byte chooses the topic, the rest is the
 * payload. What is taken has to be within what the tables can hold. */
#include <stdint.h>

#include "gateway/record/arrival.h"
#include "tests/fuzz/must.h"

static struct arena arena;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const topics[] = {
		"wellgate/v1/s/h/reading/bp",
		"wellgate/v1/s/h/goal",
		"wellgate/v1/s/h/correction",
		"wellgate/v1/s/h/status",
	};
	const char *reason = NULL;
	struct arrival a;

	if (size < 1)
		return 0;
	if (!arena.data)
		must(arena_init(&arena, ARRIVAL_ARENA) == 0);
	arena_reset(&arena);
	if (arrival_read(&arena, topics[data[0] % 4], data + 1, size - 1, &a, &reason) < 0) {
		must(reason);
		return 0;
	}
	for (size_t i = 0; a.batch && i < a.batch->n_readings; i++) {
		must(a.bytes[i].len < size);
		if (!arrival_reading_fault(a.batch->readings[i]))
			must(a.batch->readings[i]->sequence > 0);
	}
	return 0;
}
