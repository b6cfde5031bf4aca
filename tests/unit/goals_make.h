/* Readings for the tests of the goals. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "drivers/measurement.h"
#include "gateway/goals/goals.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* Monday 2026-11-23T00:00Z, in London too */
#define MONDAY INT64_C(1795392000000)

struct made {
	Wellgate__V1__Reading r;
	Wellgate__V1__Component component, *list[1];
	Wellgate__V1__Decimal value;
	Wellgate__V1__Attribution attribution;
	Wellgate__V1__DeviceRef device;
	Wellgate__V1__Flag flag;
	uint8_t digest[16];
	char subject[16];
};

static inline void make(struct made *m, enum metric metric, int64_t at_ms, int64_t duration_ms,
			int64_t value)
{
	memset(m, 0, sizeof(*m));
	wellgate__v1__reading__init(&m->r);
	wellgate__v1__component__init(&m->component);
	wellgate__v1__decimal__init(&m->value);
	wellgate__v1__attribution__init(&m->attribution);
	wellgate__v1__device_ref__init(&m->device);
	m->value.mantissa = value;
	m->component.metric = m->r.metric = (Wellgate__V1__Metric)metric;
	m->component.value = &m->value;
	m->list[0] = &m->component;
	m->r.components = m->list;
	m->r.n_components = 1;
	m->r.has_measured_at_ms = m->r.has_received_at_ms = true;
	m->r.measured_at_ms = at_ms;
	m->r.received_at_ms = at_ms + duration_ms;
	m->r.has_duration_ms = true;
	m->r.duration_ms = duration_ms;
	m->r.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED;
	memcpy(m->subject, "subject-1", 10);
	m->r.subject = m->subject;
	m->attribution.confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
	m->r.attribution = &m->attribution;
	m->device.has_serial_digest = true;
	m->device.serial_digest = (ProtobufCBinaryData){ 16, m->digest };
	m->r.device = &m->device;
	m->r.flags = &m->flag;
}
