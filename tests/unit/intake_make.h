/* Measurements for the tests of intake, and a place to normalise them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/measurement.h"
#include "gateway/intake/intake.h"
#include "protocols/messages/codes.h"

enum {
	MAKE_PARTS = 20,
	MAKE_FLAGS = 8,
};

/* A measurement with room for what it points to. */
struct made {
	Wellgate__V1__Measurement m;
	Wellgate__V1__Measurement__Part parts[MAKE_PARTS];
	Wellgate__V1__Measurement__Part *list[MAKE_PARTS];
	Wellgate__V1__Decimal values[MAKE_PARTS];
	Wellgate__V1__Flag flags[MAKE_FLAGS];
	Wellgate__V1__DeviceTime time;
	uint8_t digest[16], boot_id[16];
};

static inline void make_new(struct made *made, enum metric metric)
{
	memset(made, 0, sizeof(*made));
	wellgate__v1__measurement__init(&made->m);
	made->m.has_metric = true;
	made->m.metric = (Wellgate__V1__Metric)metric;
	made->m.parts = made->list;
	made->m.flags = made->flags;
}

static inline Wellgate__V1__Measurement__Part *
make_part(struct made *made, enum metric metric, int64_t mantissa, int32_t exponent, enum unit unit)
{
	size_t i = made->m.n_parts++;
	Wellgate__V1__Measurement__Part *p = &made->parts[i];

	wellgate__v1__measurement__part__init(p);
	wellgate__v1__decimal__init(&made->values[i]);
	made->values[i].has_mantissa = made->values[i].has_exponent = true;
	made->values[i].mantissa = mantissa;
	made->values[i].exponent = exponent;
	p->has_metric = p->has_unit = true;
	p->metric = (Wellgate__V1__Metric)metric;
	p->value = &made->values[i];
	p->unit = unit;
	made->list[i] = p;
	return p;
}

static inline void make_flag(struct made *made, unsigned int flag)
{
	made->flags[made->m.n_flags++] = (Wellgate__V1__Flag)flag;
}

static inline void make_time(struct made *made, Wellgate__V1__DeviceTime__Kind kind,
			     const unsigned int t[6])
{
	wellgate__v1__device_time__init(&made->time);
	made->time.has_kind = made->time.has_year = made->time.has_month = true;
	made->time.has_day = made->time.has_hour = made->time.has_minute = true;
	made->time.has_second = true;
	made->time.kind = kind;
	made->time.year = t[0];
	made->time.month = t[1];
	made->time.day = t[2];
	made->time.hour = t[3];
	made->time.minute = t[4];
	made->time.second = t[5];
	made->m.device_time = &made->time;
}

static inline void make_simulated(struct made *made, int64_t at_ms)
{
	made->m.has_test = made->m.test = true;
	made->m.has_simulated_at_ms = true;
	made->m.simulated_at_ms = at_ms;
}

static inline void make_weight(struct made *made)
{
	make_new(made, METRIC_BODY_WEIGHT);
	(void)make_part(made, METRIC_BODY_WEIGHT, 740, -1, UNIT_KG);
}

static inline bool reading_has_flag(const Wellgate__V1__Reading *r, unsigned int flag)
{
	for (size_t i = 0; i < r->n_flags; i++) {
		if ((unsigned int)r->flags[i] == flag)
			return true;
	}
	return false;
}

/* 2026-11-23T12:00:00Z, a hub that is synchronised */
#define MAKE_NOW_MS INT64_C(1795435200000)
static const struct receipt make_receipt = {
	.utc_ms = MAKE_NOW_MS,
	.boottime_us = INT64_C(5000000000),
	.boot_id = { 1, 2, 3 },
	.synced = true,
};
static const struct intake_device make_device = {
	.driver = "demo",
	.make = "Maker",
	.serial_digest = { 7 },
	.has_digest = true,
};

struct bench {
	struct intake *in;
	struct arena arena;
	struct receipt receipt;
};

static inline void bench_open(struct bench *b, const char *zone, const char *subject, bool test)
{
	const struct intake_options options = { .time_zone = zone,
						.subject = subject,
						.test = test };

	assert_int_equal(intake_new(&options, &b->in), 0);
	assert_int_equal(arena_init(&b->arena, 1 << 18), 0);
	b->receipt = make_receipt;
}

static inline void bench_close(struct bench *b)
{
	intake_free(b->in);
	arena_finish(&b->arena);
}

static inline int bench_try(struct bench *b, const struct made *made, Wellgate__V1__Reading **ret)
{
	return intake_normalise(b->in, &made->m, &make_device, &b->receipt, &b->arena, ret);
}

static inline Wellgate__V1__Reading *bench_run(struct bench *b, const struct made *made)
{
	Wellgate__V1__Reading *r = NULL;

	assert_int_equal(bench_try(b, made, &r), 0);
	assert_non_null(r);
	return r;
}
