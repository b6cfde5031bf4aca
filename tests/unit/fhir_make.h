/* Readings for the tests of the FHIR and Open mHealth renderers. All of them are made up. */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "protocols/messages/codes.h"
#include "wellgate.pb-c.h"

#define MADE_PARTS 8
#define MADE_FLAGS 8
/* 2026-11-16T07:31:00Z */
#define MADE_AT_MS INT64_C(1794814260000)

struct fhir_made {
	Wellgate__V1__Reading r;
	Wellgate__V1__Component components[MADE_PARTS], *list[MADE_PARTS];
	Wellgate__V1__Decimal values[MADE_PARTS];
	Wellgate__V1__Attribution attribution;
	Wellgate__V1__DeviceRef device;
	Wellgate__V1__DeviceTime device_time;
	Wellgate__V1__Flag flags[MADE_FLAGS];
	char units[MADE_PARTS][16], subject[16], make[16], model[16], firmware[16];
	uint8_t key[16], digest[16];
};

static inline void made_part(struct fhir_made *m, enum metric metric, int64_t mantissa,
			     int32_t exponent)
{
	const size_t i = m->r.n_components++;

	assert(i < MADE_PARTS);
	wellgate__v1__component__init(&m->components[i]);
	wellgate__v1__decimal__init(&m->values[i]);
	m->values[i].mantissa = mantissa;
	m->values[i].exponent = exponent;
	m->components[i].has_metric = true;
	m->components[i].metric = (Wellgate__V1__Metric)metric;
	m->components[i].value = &m->values[i];
	(void)snprintf(m->units[i], sizeof(m->units[i]), "%s",
		       unit_info(metric_info(metric)->unit)->ucum);
	m->components[i].unit = m->units[i];
	m->list[i] = &m->components[i];
}

static inline void made_absent(struct fhir_made *m, enum metric metric, enum absent why)
{
	made_part(m, metric, 0, 0);
	m->components[m->r.n_components - 1].value = NULL;
	m->components[m->r.n_components - 1].has_absent = true;
	m->components[m->r.n_components - 1].absent = (Wellgate__V1__Absent)why;
}

static inline void made_flag(struct fhir_made *m, unsigned int flag)
{
	assert(m->r.n_flags < MADE_FLAGS);
	m->flags[m->r.n_flags++] = (Wellgate__V1__Flag)flag;
}

static inline void made_begin(struct fhir_made *m, enum metric metric)
{
	memset(m, 0, sizeof(*m));
	wellgate__v1__reading__init(&m->r);
	wellgate__v1__attribution__init(&m->attribution);
	wellgate__v1__device_ref__init(&m->device);
	wellgate__v1__device_time__init(&m->device_time);
	for (unsigned int i = 0; i < 16; i++) {
		m->key[i] = (uint8_t)(0x10 + i);
		m->digest[i] = (uint8_t)(0xa0 + i);
	}
	m->r.components = m->list;
	m->r.flags = m->flags;
	m->r.has_metric = true;
	m->r.metric = (Wellgate__V1__Metric)metric;
	m->r.has_dedupe_key = m->r.has_reading_id = true;
	m->r.dedupe_key = (ProtobufCBinaryData){ 16, m->key };
	m->r.reading_id = (ProtobufCBinaryData){ 16, m->key };
	m->r.has_measured_at_ms = m->r.has_received_at_ms = true;
	m->r.measured_at_ms = MADE_AT_MS;
	m->r.received_at_ms = MADE_AT_MS + 30000;
	m->r.has_clock = true;
	m->r.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_HUB_SYNCED;
	memcpy(m->subject, "p-7f3a", sizeof("p-7f3a"));
	m->r.subject = m->subject;
	m->attribution.has_confidence = true;
	m->attribution.confidence = WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED;
	m->r.attribution = &m->attribution;
	memcpy(m->make, "Example", sizeof("Example"));
	memcpy(m->model, "Cuff 1", sizeof("Cuff 1"));
	memcpy(m->firmware, "1.0", sizeof("1.0"));
	m->device.make = m->make;
	m->device.model = m->model;
	m->device.firmware = m->firmware;
	m->device.has_serial_digest = true;
	m->device.serial_digest = (ProtobufCBinaryData){ 16, m->digest };
	m->r.device = &m->device;
	m->r.has_origin = true;
	m->r.origin = WELLGATE__V1__ORIGIN__ORIGIN_SENSED;
}

/* a cuff whose clock is six minutes behind */
static inline void made_pressure(struct fhir_made *m, int64_t systolic, int64_t diastolic)
{
	made_begin(m, METRIC_BLOOD_PRESSURE);
	made_part(m, METRIC_SYSTOLIC, systolic, 0);
	made_part(m, METRIC_DIASTOLIC, diastolic, 0);
	made_part(m, METRIC_MEAN_PRESSURE, (systolic + 2 * diastolic) / 3, 0);
	made_part(m, METRIC_PULSE, 72, 0);
	m->device_time.has_kind = true;
	m->device_time.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	m->device_time.year = 2026;
	m->device_time.month = 11;
	m->device_time.day = 16;
	m->device_time.hour = 7;
	m->device_time.minute = 25;
	m->r.device_time = &m->device_time;
	m->r.clock = WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_CORRECTED;
	m->r.has_clock_correction_ms = true;
	m->r.clock_correction_ms = 360000;
}
