/* links: link */
/*
 * The bytes of a measurement, against those that the generated code makes of the same one: all
 * fields, drawn at random, with the ends of their ranges among them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/link.h"
#include "wellgate.pb-c.h"

#define ROUNDS     20000
#define PACKED_MAX 2048

/* ---- the generated code ---- */

static Wellgate__V1__DeviceTime__Kind kind_of(enum device_time_kind kind)
{
	switch (kind) {
	case DEVICE_TIME_LOCAL:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	case DEVICE_TIME_UTC:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC;
	case DEVICE_TIME_TICKS:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS;
	case DEVICE_TIME_NONE:
	default:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_UNSPECIFIED;
	}
}

/* what the device did not know (0 in SIG Date Time) is not there */
static void set_time(Wellgate__V1__DeviceTime *t, const struct device_time *from)
{
	const bool ticks = from->kind == DEVICE_TIME_TICKS;

	t->has_kind = true;
	t->kind = kind_of(from->kind);
	t->has_ticks = t->has_tick_us = ticks;
	t->ticks = from->ticks;
	t->tick_us = from->tick_us;
	t->has_year = !ticks && from->year != 0;
	t->year = from->year;
	t->has_month = !ticks && from->month != 0;
	t->month = from->month;
	t->has_day = !ticks && from->day != 0;
	t->day = from->day;
	t->has_hour = t->has_minute = t->has_second = !ticks;
	t->hour = from->hour;
	t->minute = from->minute;
	t->second = from->second;
	t->has_fraction_us = !ticks && from->fraction_us != 0;
	t->fraction_us = from->fraction_us;
}

/* One message and its parts, on the stack of its maker; what is not pointed at is never read. */
struct packing {
	Wellgate__V1__FromDevices message;
	Wellgate__V1__Measurement out;
	Wellgate__V1__Measurement__Part parts[MEASUREMENT_PARTS_MAX];
	Wellgate__V1__Measurement__Part *part_pointers[MEASUREMENT_PARTS_MAX];
	Wellgate__V1__Decimal values[MEASUREMENT_PARTS_MAX];
	Wellgate__V1__Flag flags[64];
	Wellgate__V1__DeviceTime time;
	struct measurement copy; /* protobuf-c takes no const */
	struct link_stamp stamp;
	char context[64];
};

static void set_parts(Wellgate__V1__Measurement *out, struct packing *p)
{
	for (size_t i = 0; i < p->copy.n_parts; i++) {
		const struct measurement_part *from = &p->copy.parts[i];
		Wellgate__V1__Measurement__Part *part = &p->parts[i];

		wellgate__v1__measurement__part__init(part);
		part->has_metric = true;
		part->metric = (Wellgate__V1__Metric)from->metric;
		part->has_unit = true;
		part->unit = from->unit;
		if (from->number.absent != ABSENT_NO) {
			part->has_absent = true;
			part->absent = (Wellgate__V1__Absent)from->number.absent;
		} else {
			wellgate__v1__decimal__init(&p->values[i]);
			p->values[i].has_mantissa = p->values[i].has_exponent = true;
			p->values[i].mantissa = from->number.value.mantissa;
			p->values[i].exponent = from->number.value.exponent;
			part->value = &p->values[i];
		}
		p->part_pointers[i] = part;
	}
	out->n_parts = p->copy.n_parts;
	out->parts = p->part_pointers;
}

static void set_flags(Wellgate__V1__Measurement *out, struct packing *p)
{
	for (unsigned int flag = 1; flag < FLAG_END; flag++) {
		if (p->copy.flags & FLAG_BIT(flag))
			p->flags[out->n_flags++] = (Wellgate__V1__Flag)flag;
	}
	out->flags = p->flags;
}

static void set_stamp(Wellgate__V1__Measurement *out, struct packing *p)
{
	out->has_test = out->test = p->stamp.simulated;
	out->has_simulated_at_ms = p->stamp.simulated;
	out->simulated_at_ms = p->stamp.simulated_at_ms;
	if (p->stamp.simulated)
		return;
	out->has_seen_boottime_us = out->has_seen_utc_ms = out->has_seen_boot_id = true;
	out->seen_boottime_us = p->stamp.boottime_us;
	out->seen_utc_ms = p->stamp.utc_ms;
	out->seen_boot_id.data = p->stamp.boot_id;
	out->seen_boot_id.len = sizeof(p->stamp.boot_id);
}

static void set_measurement(Wellgate__V1__Measurement *out, struct packing *p)
{
	struct measurement *m = &p->copy;

	out->has_metric = true;
	out->metric = (Wellgate__V1__Metric)m->metric;
	set_parts(out, p);
	set_flags(out, p);
	set_stamp(out, p);
	if (m->time.kind != DEVICE_TIME_NONE) {
		wellgate__v1__device_time__init(&p->time);
		set_time(&p->time, &m->time);
		out->device_time = &p->time;
	}
	out->has_user_slot = m->has_user_slot;
	out->user_slot = m->user_slot;
	out->has_record_number = m->has_record_number;
	out->record_number = m->record_number;
	out->has_duration_ms = m->has_duration;
	out->duration_ms = m->duration_ms;
	out->has_link_security = true;
	out->link_security = (Wellgate__V1__LinkSecurity)m->security;
	out->has_raw_digest = true;
	out->raw_digest.data = m->digest;
	out->raw_digest.len = sizeof(m->digest);
	out->has_clock_offset_ms = m->has_clock_offset;
	out->clock_offset_ms = m->clock_offset_ms;
	if (m->context) {
		(void)snprintf(p->context, sizeof(p->context), "%s", m->context);
		out->context = p->context;
	}
}

static void say_measurement(struct packing *p, uint32_t id, const struct measurement *m,
			    uint64_t seq, const struct link_stamp *stamp)
{
	wellgate__v1__from_devices__init(&p->message);
	wellgate__v1__measurement__init(&p->out);
	p->copy = *m;
	p->stamp = *stamp;
	set_measurement(&p->out, p);
	p->out.has_link = true;
	p->out.link = id;
	p->message.has_sequence = true;
	p->message.sequence = seq;
	p->message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT;
	p->message.measurement = &p->out;
}

/* ---- drawing ---- */

static uint64_t random_state;

static uint64_t draw(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return random_state >> 29 ^ random_state << 35;
}

/* of any length in bits, so that each length of a varint comes */
static uint64_t draw_wide(void)
{
	return draw() >> (draw() % 64);
}

static bool toss(void)
{
	return draw() >> 7 & 1;
}

static struct measurement_part draw_part(void)
{
	struct measurement_part part = { .metric = (enum metric)(draw() % METRIC_END),
					 .unit = (enum unit)(draw() % UNIT_END) };

	if (draw() % 8 == 0)
		part.number = number_absent((enum absent)(1 + draw() % ABSENT_UNKNOWN));
	else
		part.number = number_of((int64_t)draw_wide(), (int32_t)draw_wide());
	return part;
}

static struct device_time draw_time(void)
{
	return (struct device_time){
		.kind = (enum device_time_kind)(draw() % 4),
		.year = toss() ? (uint16_t)draw() : 0,
		.month = toss() ? (uint8_t)draw() : 0,
		.day = toss() ? (uint8_t)draw() : 0,
		.hour = (uint8_t)draw(),
		.minute = (uint8_t)draw(),
		.second = toss() ? (uint8_t)draw() : 0,
		.fraction_us = toss() ? (uint32_t)draw() : 0,
		.ticks = draw_wide(),
		.tick_us = draw_wide(),
	};
}

static struct measurement draw_measurement(void)
{
	static const char *const contexts[] = {
		NULL,
		"",
		"finger",
		"a site of the body whose name is so long that no more than its beginning is sent",
	};
	struct measurement m = {
		.metric = (enum metric)(draw() % METRIC_END),
		.n_parts = (uint8_t)(draw() % (MEASUREMENT_PARTS_MAX + 1)),
		.time = draw_time(),
		.has_user_slot = toss(),
		.user_slot = (uint8_t)draw(),
		.has_record_number = toss(),
		.record_number = (uint32_t)draw_wide(),
		.has_duration = toss(),
		.duration_ms = (int64_t)draw_wide(),
		.flags = toss() ? 0 : draw_wide(),
		.context = contexts[draw() % 4],
		.security = (enum link_security)(draw() % 7),
		.has_clock_offset = toss(),
		.clock_offset_ms = -(int64_t)(draw_wide() >> 1),
	};

	for (unsigned int i = 0; i < m.n_parts; i++)
		m.parts[i] = draw_part();
	for (size_t i = 0; i < sizeof(m.digest); i++)
		m.digest[i] = (uint8_t)draw();
	return m;
}

static struct link_stamp draw_stamp(void)
{
	struct link_stamp stamp = {
		.simulated = toss(),
		.simulated_at_ms = (int64_t)draw_wide(),
		.boottime_us = (int64_t)draw_wide(),
		.utc_ms = (int64_t)draw_wide(),
	};

	for (size_t i = 0; i < sizeof(stamp.boot_id); i++)
		stamp.boot_id[i] = (uint8_t)draw();
	return stamp;
}

/* ---- tests ---- */

static void same_bytes(const struct measurement *m, const struct link_stamp *stamp)
{
	uint8_t expected[PACKED_MAX], bytes[PACKED_MAX];
	const uint32_t id = 1 + (uint32_t)(draw_wide() % UINT32_MAX);
	const uint64_t seq = draw_wide() | 1;
	struct packing p;
	size_t len;

	say_measurement(&p, id, m, seq, stamp);
	len = wellgate__v1__from_devices__get_packed_size(&p.message);
	assert_in_range(len, 1, sizeof(expected));
	(void)wellgate__v1__from_devices__pack(&p.message, expected);
	assert_int_equal(link_pack(id, m, seq, stamp, bytes, sizeof(bytes)), len);
	assert_memory_equal(bytes, expected, len);
}

static void random_ones(void **state)
{
	(void)state;
	random_state = 11;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		const struct measurement m = draw_measurement();
		const struct link_stamp stamp = draw_stamp();

		same_bytes(&m, &stamp);
	}
}

/* all that there can be, as long as it can be */
static struct measurement longest(void)
{
	struct measurement m = {
		.metric = (enum metric)(METRIC_END - 1),
		.n_parts = MEASUREMENT_PARTS_MAX,
		.time = { .kind = DEVICE_TIME_TICKS, .ticks = UINT64_MAX, .tick_us = UINT64_MAX },
		.has_user_slot = true,
		.user_slot = UINT8_MAX,
		.has_record_number = true,
		.record_number = UINT32_MAX,
		.has_duration = true,
		.duration_ms = INT64_MIN,
		.flags = UINT64_MAX,
		.context = "0123456789012345678901234567890123456789012345678901234567890123",
		.security = LINK_BROADCAST,
		.has_clock_offset = true,
		.clock_offset_ms = INT64_MIN,
	};

	for (unsigned int i = 0; i < m.n_parts; i++)
		m.parts[i] = (struct measurement_part){ (enum metric)(METRIC_END - 1),
							(enum unit)(UNIT_END - 1),
							number_of(INT64_MIN, INT32_MIN) };
	return m;
}

static void the_longest_one(void **state)
{
	const struct link_stamp stamp = { .boottime_us = INT64_MAX, .utc_ms = INT64_MIN };
	const struct measurement m = longest();

	(void)state;
	same_bytes(&m, &stamp);
}

/* a buffer of each size that is too small */
static void no_room(void **state)
{
	const struct link_stamp stamp = { .boottime_us = 1, .utc_ms = 2 };
	const struct measurement m = longest();
	uint8_t bytes[PACKED_MAX + 1];
	const int len = link_pack(UINT32_MAX, &m, UINT64_MAX, &stamp, bytes, PACKED_MAX);

	(void)state;
	assert_true(len > 0);
	for (size_t size = 0; size < (size_t)len; size++) {
		bytes[size] = 0xa5;
		assert_int_equal(link_pack(UINT32_MAX, &m, UINT64_MAX, &stamp, bytes, size),
				 -EMSGSIZE);
		assert_int_equal(bytes[size], 0xa5);
	}
	assert_int_equal(link_pack(UINT32_MAX, &m, UINT64_MAX, &stamp, bytes, (size_t)len), len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_ones),
		cmocka_unit_test(the_longest_one),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
