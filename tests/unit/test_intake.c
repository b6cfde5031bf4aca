/* links: gateway_intake gateway_goals gateway_base */
#include "intake_make.h"

#include <errno.h>

static const Wellgate__V1__Component *part_of(const Wellgate__V1__Reading *r, enum metric metric)
{
	size_t i = 0;

	while (i < r->n_components &&
	       (unsigned int)r->components[i]->metric != (unsigned int)metric)
		i++;
	assert_true(i < r->n_components);
	return r->components[i];
}

static void assert_decimal(const Wellgate__V1__Decimal *d, int64_t mantissa, int32_t exponent)
{
	assert_non_null(d);
	assert_int_equal(d->mantissa, mantissa);
	assert_int_equal(d->exponent, exponent);
}

static void make_pressure(struct made *made, int64_t upper, int64_t lower, int64_t mean)
{
	make_new(made, METRIC_BLOOD_PRESSURE);
	(void)make_part(made, METRIC_SYSTOLIC, upper, 0, UNIT_MMHG);
	(void)make_part(made, METRIC_DIASTOLIC, lower, 0, UNIT_MMHG);
	if (mean)
		(void)make_part(made, METRIC_MEAN_PRESSURE, mean, 0, UNIT_MMHG);
}

static void test_weight_as_given(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", "subject-1", false);
	make_weight(&made);
	r = bench_run(&b, &made);
	assert_int_equal(r->metric, METRIC_BODY_WEIGHT);
	assert_string_equal(r->loinc, metric_info(METRIC_BODY_WEIGHT)->loinc);
	assert_int_equal(r->n_components, 1);
	assert_decimal(r->components[0]->value, 740, -1); /* 74.0 stays 74.0 */
	assert_string_equal(r->components[0]->unit, "kg");
	assert_string_equal(r->components[0]->loinc, metric_info(METRIC_BODY_WEIGHT)->loinc);
	assert_true(r->components[0]->has_snomed && r->components[0]->has_mdc);
	assert_null(r->components[0]->original_value);
	assert_int_equal(r->n_flags, 0);
	assert_string_equal(r->subject, "subject-1");
	assert_int_equal(r->attribution->rule,
			 WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_SINGLE_PERSON);
	assert_int_equal(r->attribution->confidence, WELLGATE__V1__CONFIDENCE__CONFIDENCE_ASSIGNED);
	assert_string_equal(r->device->driver, "demo");
	assert_null(r->device->model);
	assert_int_equal(r->device->serial_digest.len, 16);
	assert_int_equal(r->origin, WELLGATE__V1__ORIGIN__ORIGIN_SENSED);
	assert_int_equal(r->revision, 1);
	assert_int_equal(r->dedupe_key.len, 16);
	assert_true(wellgate__v1__reading__get_packed_size(r) > 0);
	bench_close(&b);
}

static void test_nobody(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	r = bench_run(&b, &made);
	assert_null(r->subject);
	assert_int_equal(r->attribution->rule,
			 WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_UNASSIGNED);
	assert_int_equal(r->attribution->confidence, WELLGATE__V1__CONFIDENCE__CONFIDENCE_NONE);
	bench_close(&b);
}

static void test_units(void **state)
{
	const Wellgate__V1__Component *c;
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_new(&made, METRIC_BODY_WEIGHT);
	(void)make_part(&made, METRIC_BODY_WEIGHT, 1800, -1, UNIT_LB);
	r = bench_run(&b, &made);
	c = r->components[0];
	assert_string_equal(c->unit, "kg");
	assert_int_equal(decimal_compare((struct decimal){ c->value->mantissa, c->value->exponent },
					 (struct decimal){ 816466266, -7 }),
			 0);
	assert_decimal(c->original_value, 1800, -1);
	assert_string_equal(c->original_unit, "[lb_av]");
	assert_true(reading_has_flag(r, FLAG_UNIT_CONVERTED));

	/* 180 lb said to be kg: nothing is guessed from the size, it is flagged at 250 and kept */
	make_new(&made, METRIC_BODY_WEIGHT);
	(void)make_part(&made, METRIC_BODY_WEIGHT, 251, 0, UNIT_KG);
	r = bench_run(&b, &made);
	assert_true(reading_has_flag(r, FLAG_SOFT_RANGE));
	assert_false(reading_has_flag(r, FLAG_HARD_RANGE));
	assert_decimal(r->components[0]->value, 251, 0);
	bench_close(&b);
}

static void test_pressures(void **state)
{
	static const struct {
		int64_t upper, lower, mean;
		bool soft, hard, inconsistent;
	} rows[] = {
		{ 120, 80, 93, false, false, false }, { 250, 150, 183, true, false, false },
		{ 250, 150, 0, true, false, false },  { 301, 150, 0, true, true, false },
		{ 80, 120, 0, false, true, true },    { 120, 120, 0, false, true, true },
		{ 120, 80, 79, false, true, true },   { 120, 80, 121, false, true, true },
		{ 120, 80, 80, false, false, false }, { 120, 80, 120, false, false, false },
		{ 40, 20, 0, true, false, false },    { 39, 20, 0, true, true, false },
	};
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Wellgate__V1__Reading *r;
		struct made made;

		make_pressure(&made, rows[i].upper, rows[i].lower, rows[i].mean);
		r = bench_run(&b, &made);
		assert_int_equal(reading_has_flag(r, FLAG_SOFT_RANGE), rows[i].soft);
		assert_int_equal(reading_has_flag(r, FLAG_HARD_RANGE), rows[i].hard);
		assert_int_equal(reading_has_flag(r, FLAG_INCONSISTENT), rows[i].inconsistent);
		/* extreme or not, it is what the cuff said */
		assert_decimal(part_of(r, METRIC_SYSTOLIC)->value, rows[i].upper, 0);
		assert_decimal(part_of(r, METRIC_DIASTOLIC)->value, rows[i].lower, 0);
		arena_reset(&b.arena);
	}
	bench_close(&b);
}

static void test_absent(void **state)
{
	Wellgate__V1__Measurement__Part *p;
	Wellgate__V1__Reading *r = NULL;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_pressure(&made, 120, 80, 0);
	p = make_part(&made, METRIC_PULSE, 0, 0, UNIT_PER_MIN);
	p->value = NULL;
	p->has_absent = true;
	p->absent = WELLGATE__V1__ABSENT__ABSENT_NAN;
	r = bench_run(&b, &made);
	assert_null(part_of(r, METRIC_PULSE)->value);
	assert_int_equal(part_of(r, METRIC_PULSE)->absent, WELLGATE__V1__ABSENT__ABSENT_NAN);

	p->absent = WELLGATE__V1__ABSENT__ABSENT_UNSPECIFIED; /* neither value nor reason */
	assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);
	p->absent = WELLGATE__V1__ABSENT__ABSENT_NAN;
	p->value = &made.values[2]; /* both */
	assert_int_equal(bench_try(&b, &made, &r), -EBADMSG);

	make_new(&made, METRIC_BODY_WEIGHT); /* a reason and nothing else is no reading */
	p = make_part(&made, METRIC_BODY_WEIGHT, 0, 0, UNIT_KG);
	p->value = NULL;
	p->has_absent = true;
	p->absent = WELLGATE__V1__ABSENT__ABSENT_UNSUCCESSFUL;
	assert_int_equal(bench_try(&b, &made, &r), -ENOMSG);
	/* but HI and LO are: the display said so */
	p->absent = WELLGATE__V1__ABSENT__ABSENT_POSITIVE_INFINITY;
	r = bench_run(&b, &made);
	assert_int_equal(part_of(r, METRIC_BODY_WEIGHT)->absent, p->absent);
	p->absent = WELLGATE__V1__ABSENT__ABSENT_NEGATIVE_INFINITY;
	r = bench_run(&b, &made);
	assert_int_equal(part_of(r, METRIC_BODY_WEIGHT)->absent, p->absent);
	bench_close(&b);
}

static bool spoil_part(struct made *made, int i)
{
	static const uint32_t units[] = { UNIT_MMHG, UNIT_END, 9999,
					  0 }; /* the first: a pressure */

	if (i < 4)
		made->parts[0].unit = units[i];
	else if (i == 4)
		made->parts[0].has_unit = false;
	else if (i == 5)
		made->parts[0].metric = (Wellgate__V1__Metric)9999;
	else if (i == 6)
		made->parts[0].has_metric = false;
	else if (i == 7 || i == 8)
		made->values[0].exponent = i == 7 ? 41 : INT32_MIN;
	return i < 9;
}

/* a good weight, spoiled in way i; false: there is no such way */
static bool spoil(struct made *made, int i)
{
	static const unsigned int flags[] = { 0, 64, UINT32_MAX };

	make_weight(made);
	if (spoil_part(made, i))
		return true;
	i -= 9;
	if (i >= 0 && i < 3)
		make_flag(made, flags[i]);
	else if (i == 3)
		made->m.has_metric = false;
	else if (i == 4)
		made->m.metric = (Wellgate__V1__Metric)9999;
	else if (i == 5)
		made->m.n_parts = 0;
	return i < 6;
}

static void test_refused(void **state)
{
	Wellgate__V1__Reading *untouched = NULL;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	for (int i = 0; spoil(&made, i); i++)
		assert_int_equal(bench_try(&b, &made, &untouched), -EBADMSG);
	/* an average is worked out here or nowhere: no device may claim one */
	make_pressure(&made, 120, 80, 0);
	made.parts[0].metric = WELLGATE__V1__METRIC__METRIC_HOME_SYSTOLIC;
	assert_int_equal(bench_try(&b, &made, &untouched), -EBADMSG);
	make_pressure(&made, 120, 80, 0);
	made.parts[1].metric = WELLGATE__V1__METRIC__METRIC_HOME_DIASTOLIC;
	assert_int_equal(bench_try(&b, &made, &untouched), -EBADMSG);
	make_pressure(&made, 120, 80, 0);
	made.m.metric = WELLGATE__V1__METRIC__METRIC_HOME_BLOOD_PRESSURE;
	assert_int_equal(bench_try(&b, &made, &untouched), -EBADMSG);
	make_new(&made, METRIC_BODY_WEIGHT);
	for (int i = 0; i < MEASUREMENT_PARTS_MAX + 1; i++)
		(void)make_part(&made, METRIC_BODY_WEIGHT, 740, -1, UNIT_KG);
	assert_int_equal(bench_try(&b, &made, &untouched), -EBADMSG);
	assert_null(untouched);
	bench_close(&b);
}

static void test_not_final(void **state)
{
	static const unsigned int flags[] = { FLAG_UNSTABLE,       FLAG_REMOVED,
					      FLAG_ERROR,          FLAG_INTERMEDIATE,
					      FLAG_TEST,           FLAG_INVALID,
					      FLAG_CALIBRATING,    FLAG_UNAVAILABLE,
					      FLAG_EARLY_ESTIMATE, FLAG_CONTROL_SOLUTION };
	Wellgate__V1__Reading *untouched = NULL;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, true); /* nor in a test: these are no measurements */
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		make_weight(&made);
		make_flag(&made, flags[i]);
		assert_int_equal(bench_try(&b, &made, &untouched), -ENOMSG);
	}
	assert_null(untouched);
	bench_close(&b);
}

static void test_flags_survive(void **state)
{
	Wellgate__V1__Reading *r;
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, true);
	make_weight(&made);
	make_flag(&made, FLAG_MANUAL);
	make_flag(&made, 60); /* a later version's */
	make_flag(&made, FLAG_IRREGULAR_PULSE);
	make_flag(&made, FLAG_MANUAL); /* twice */
	r = bench_run(&b, &made);
	assert_int_equal(r->n_flags, 4);
	assert_int_equal(r->flags[0], FLAG_IRREGULAR_PULSE); /* ascending */
	assert_int_equal(r->flags[1], FLAG_MANUAL);
	assert_int_equal(r->flags[2], FLAG_TEST);
	assert_int_equal(r->flags[3], 60);
	assert_int_equal(r->origin, WELLGATE__V1__ORIGIN__ORIGIN_MANUAL);
	bench_close(&b);
}

static void test_text(void **state)
{
	static char long_text[200];
	struct intake_device device = make_device;
	Wellgate__V1__Reading *r = NULL;
	struct made made;
	struct bench b;
	char context[] = "finger";

	(void)state;
	memset(long_text, 'a', sizeof(long_text) - 1);
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	made.m.context = context;
	device.make = "Gr\xc3\xbc\xc3\x9f";
	device.model = "bad \xff\xfe";
	device.firmware = "line\nbreak";
	device.hardware = long_text;
	assert_int_equal(intake_normalise(b.in, &made.m, &device, &b.receipt, &b.arena, &r), 0);
	assert_string_equal(r->device->make, "Gr\xc3\xbc\xc3\x9f");
	assert_null(r->device->model);
	assert_null(r->device->firmware);
	assert_null(r->device->hardware);
	assert_string_equal(r->context, "finger");
	context[0] = '\xc0';
	assert_int_equal(intake_normalise(b.in, &made.m, &device, &b.receipt, &b.arena, &r), 0);
	assert_null(r->context);
	bench_close(&b);
}

static void test_user_slot(void **state)
{
	struct made made;
	struct bench b;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	made.m.has_user_slot = true;
	made.m.user_slot = 2;
	assert_int_equal(bench_run(&b, &made)->user_slot, 2);
	made.m.user_slot = 255; /* the device does not know */
	assert_false(bench_run(&b, &made)->has_user_slot);
	bench_close(&b);
}

static void test_id(void **state)
{
	const Wellgate__V1__Reading *one, *two;
	struct made made;
	struct bench b;
	uint64_t ms = 0;

	(void)state;
	bench_open(&b, "UTC", NULL, false);
	make_weight(&made);
	one = bench_run(&b, &made);
	two = bench_run(&b, &made);
	assert_int_equal(one->reading_id.len, 16);
	assert_memory_not_equal(one->reading_id.data, two->reading_id.data, 16);
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | one->reading_id.data[i];
	assert_int_equal(ms, MAKE_NOW_MS);
	assert_int_equal(one->reading_id.data[6] >> 4, 7);
	assert_int_equal(one->reading_id.data[8] >> 6, 2);
	bench_close(&b);
}

/* A full arena is an error, wherever it runs out; never a half-made reading. */
static void test_full_arena(void **state)
{
	struct made made;
	struct bench b;
	size_t size, used;

	(void)state;
	bench_open(&b, "Europe/London", "subject-1", false);
	make_pressure(&made, 120, 80, 93);
	(void)bench_run(&b, &made);
	used = b.arena.used;
	for (size = 0; size < used; size += 8) {
		Wellgate__V1__Reading *r = NULL;

		arena_finish(&b.arena);
		assert_int_equal(arena_init(&b.arena, size), 0);
		assert_int_equal(bench_try(&b, &made, &r), -ENOMEM);
		assert_null(r);
	}
	bench_close(&b);
}

static void test_digest(void **state)
{
	static const uint8_t key[32] = { 1 }, other_key[32] = { 2 };
	uint8_t a[16], b[16];

	(void)state;
	assert_int_equal(intake_digest(key, "SN-1", a), 0);
	assert_int_equal(intake_digest(key, "SN-1", b), 0);
	assert_memory_equal(a, b, 16);
	assert_int_equal(intake_digest(key, "SN-2", b), 0);
	assert_memory_not_equal(a, b, 16);
	assert_int_equal(intake_digest(other_key, "SN-1", b), 0);
	assert_memory_not_equal(a, b, 16);
}

static void test_options(void **state)
{
	struct intake_options options = { .time_zone = "Nowhere/Land" };
	struct intake *in = NULL;

	(void)state;
	assert_int_equal(intake_new(&options, &in), -EINVAL);
	options.time_zone = "../etc/passwd";
	assert_int_equal(intake_new(&options, &in), -EINVAL);
	options = (struct intake_options){ .subject = "\xff" };
	assert_int_equal(intake_new(&options, &in), -EINVAL);
	assert_null(in);
	intake_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weight_as_given),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_pressures),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_final),
		cmocka_unit_test(test_flags_survive),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_user_slot),
		cmocka_unit_test(test_id),
		cmocka_unit_test(test_full_arena),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
