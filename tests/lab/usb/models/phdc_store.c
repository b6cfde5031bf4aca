#include "tests/lab/usb/models/phdc_store.h"

#include <assert.h>

#include "tests/lab/usb/models/models.h"

#define PIECE 3 /* entries in an event: no segment fits one */

_Static_assert(PHDC_STORE_MAX == PHDC_STORE_SEGMENTS * PHDC_STORE_SEGMENT, "all of it has a place");

/* PM-Segment-Entry-Map, by hand: an absolute time, then two numeric objects without their times */
static const uint8_t MAP[] = {
	0x80, 0x00, 0x00, 0x02, 0x00, 0x20,             /* absolute time; two elements, 32 bytes */
	0x00, 0x06, 0x00, 0x02, 0x4a, 0x04, 0x00, 0x01, /* numeric, blood pressure, handle 1 */
	0x00, 0x01, 0x00, 0x04, 0x0a, 0x75, 0x00, 0x0a, /* compound basic value */
	0x00, 0x06, 0x00, 0x02, 0x48, 0x2a, 0x00, 0x02, /* numeric, pulse rate, handle 2 */
	0x00, 0x01, 0x00, 0x04, 0x0a, 0x4c, 0x00, 0x02, /* basic value */
};

static void put_bcd(struct writer *w, int value)
{
	writer_u8(w, (uint8_t)(value / 10 << 4 | value % 10));
}

void phdc_put_time(struct writer *w, time_t time)
{
	struct tm t;

	(void)gmtime_r(&time, &t);
	put_bcd(w, (t.tm_year + 1900) / 100);
	put_bcd(w, t.tm_year % 100);
	put_bcd(w, t.tm_mon + 1);
	put_bcd(w, t.tm_mday);
	put_bcd(w, t.tm_hour);
	put_bcd(w, t.tm_min);
	put_bcd(w, t.tm_sec);
	writer_u8(w, 0);
}

void phdc_store_init(struct phdc_store *s)
{
	for (uint16_t i = 0; i < PHDC_STORE_SEGMENTS; i++)
		s->segments[i] = (struct phd_agent_segment){
			.instance = (uint16_t)(i + 1),
			.entry_len = PHDC_STORE_ENTRY,
			.entries = s->entries + (size_t)i * PHDC_STORE_SEGMENT * PHDC_STORE_ENTRY,
		};
	s->store = (struct phd_agent_store){
		.handle = PHD_AGENT_STORE,
		.map = MAP,
		.map_len = sizeof(MAP),
		.segments = s->segments,
		.entries_per_event = PIECE,
	};
}

void phdc_store_put(struct phdc_store *s, const struct usb_device *d, uint32_t number, time_t time)
{
	const struct usb_pressure p = usb_pressure_of(d, number);
	struct writer w;

	assert(number > 0 && number <= PHDC_STORE_MAX);
	w = writer_of(s->entries + (size_t)(number - 1) * PHDC_STORE_ENTRY, PHDC_STORE_ENTRY);
	phdc_put_time(&w, time);
	writer_be16(&w, 3);
	writer_be16(&w, 6);
	writer_be16(&w, p.systolic);
	writer_be16(&w, p.diastolic);
	writer_be16(&w, p.mean);
	writer_be16(&w, p.pulse);
	assert(writer_ok(&w) && w.len == PHDC_STORE_ENTRY);
}

void phdc_store_show(struct phdc_store *s, unsigned int n)
{
	assert(n <= PHDC_STORE_MAX);
	s->store.n_segments = 0;
	for (unsigned int left = n; left > 0; s->store.n_segments++) {
		const unsigned int here = left < PHDC_STORE_SEGMENT ? left : PHDC_STORE_SEGMENT;

		s->segments[s->store.n_segments].n_entries = here;
		left -= here;
	}
}

uint32_t phdc_store_number(uint16_t instance, uint32_t entry)
{
	return (instance - 1U) * PHDC_STORE_SEGMENT + entry + 1;
}
