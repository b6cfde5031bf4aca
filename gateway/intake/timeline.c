#include "gateway/intake/timeline.h"

#include <errno.h>
#include <stdlib.h>

/* the clock is read a moment after the stamp was made, and some show whole minutes only */
#define SLACK_MS INT64_C(60000)

static int by_number(const void *a, const void *b)
{
	const struct timeline_record *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

int timeline_judge(struct timeline_record *records, size_t n, const int64_t *now_ms)
{
	int64_t latest = now_ms && *now_ms < INT64_MAX - SLACK_MS ? *now_ms + SLACK_MS : INT64_MAX;
	bool broken = false;

	if (n > TIMELINE_MAX)
		return -E2BIG;
	if (n > 1)
		qsort(records, n, sizeof(*records), by_number);
	for (size_t i = 1; i < n; i++) {
		if (records[i].number == records[i - 1].number)
			return -EINVAL;
	}
	for (size_t i = n; i-- > 0;) {
		broken = broken || records[i].stamp_ms > latest;
		if (broken)
			records[i].timeline = WELLGATE__V1__TIMELINE__TIMELINE_EARLIER;
		latest = records[i].stamp_ms;
	}
	return 0;
}
