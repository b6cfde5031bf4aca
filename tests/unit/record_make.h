/* Messages as a hub would send them, for tests of the record service. Made up. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "wellgate.pb-c.h"

#define MAKE_EPOCH UINT64_C(0xfeed000000000001)
#define MAKE_TIME  INT64_C(1795000000000)

struct make_reading {
	Wellgate__V1__Reading reading;
	Wellgate__V1__Component component, *components[1];
	Wellgate__V1__Decimal value;
	Wellgate__V1__Flag flags[1];
	uint8_t id[16], key[16], replaces[16];
	char subject[32];
};

/* union: protobuf-c only reads what it packs, but its types say it might write */
static inline char *make_text(const char *text)
{
	union {
		const char *in;
		char *out;
	} t = { text };

	return t.out;
}

/* steps; identity and key follow from `event`, so that equal events are equal */
static inline void make_reading(struct make_reading *m, uint64_t sequence, uint8_t event)
{
	*m = (struct make_reading){ .reading = WELLGATE__V1__READING__INIT,
				    .component = WELLGATE__V1__COMPONENT__INIT,
				    .value = WELLGATE__V1__DECIMAL__INIT };
	(void)memset(m->id, event, sizeof(m->id));
	(void)memset(m->key, event, sizeof(m->key));
	(void)snprintf(m->subject, sizeof(m->subject), "subject-a");
	m->value.mantissa = 1000 + event;
	m->value.has_mantissa = m->value.has_exponent = 1;
	m->component.has_metric = 1;
	m->component.metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	m->component.value = &m->value;
	m->component.unit = make_text("{steps}");
	m->components[0] = &m->component;
	m->reading.components = m->components;
	m->reading.n_components = 1;
	m->reading.has_sequence = m->reading.has_reading_id = m->reading.has_dedupe_key = 1;
	m->reading.sequence = sequence;
	m->reading.reading_id = (ProtobufCBinaryData){ 16, m->id };
	m->reading.dedupe_key = (ProtobufCBinaryData){ 16, m->key };
	m->reading.has_metric = m->reading.has_measured_at_ms = 1;
	m->reading.metric = WELLGATE__V1__METRIC__METRIC_STEPS;
	m->reading.measured_at_ms = MAKE_TIME + event * INT64_C(60000);
	m->reading.has_utc_offset_min = 1;
	m->reading.subject = m->subject;
	m->reading.flags = m->flags;
}

/* `n` readings in one batch; returns its length */
static inline size_t make_batch(uint8_t *buf, size_t size, uint64_t epoch, struct make_reading *m,
				size_t n)
{
	Wellgate__V1__ReadingBatch batch = WELLGATE__V1__READING_BATCH__INIT;
	Wellgate__V1__Reading *readings[64];

	for (size_t i = 0; i < n; i++)
		readings[i] = &m[i].reading;
	batch.hub = make_text("hub1");
	batch.has_epoch = 1;
	batch.epoch = epoch;
	batch.readings = readings;
	batch.n_readings = n;
	if (n > 64 || protobuf_c_message_get_packed_size(&batch.base) > size)
		return 0;
	return protobuf_c_message_pack(&batch.base, buf);
}

static inline Wellgate__V1__Correction make_correction(uint64_t sequence,
						       Wellgate__V1__Correction__Kind kind)
{
	Wellgate__V1__Correction c = WELLGATE__V1__CORRECTION__INIT;

	c.hub = make_text("hub1");
	c.has_epoch = c.has_sequence = c.has_kind = 1;
	c.epoch = MAKE_EPOCH;
	c.sequence = sequence;
	c.kind = kind;
	return c;
}
