/* links: drivers protocols messages */
#include "protocols/messages/codes.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/measurement.h"
#include "protocols/bytes/crc.h"
#include "wellgate.pb-c.h"

#define N(rows) (sizeof(rows) / sizeof((rows)[0]))

/* IEEE 11073-10101 partitions */
#define PARTITION_SCADA 2
#define PARTITION_DIM   4
#define PARTITION_DM    128
#define PARTITION_HF    129

static const struct {
	unsigned int number;
	const char *id;
} metrics[] = {
#define METRIC(number, id, ...) { (number), #id },
#include "protocols/messages/metrics.def"
#undef METRIC
};

static const struct {
	unsigned int number;
	const char *id;
} units[] = {
#define UNIT(number, id, ...) { (number), #id },
#include "protocols/messages/units.def"
#undef UNIT
};

/* LOINC: the last digit is a Luhn check digit of the ones before the hyphen */
static bool loinc_is_sound(const char *code)
{
	const char *hyphen = strchr(code, '-');
	unsigned int sum = 0, weight = 2;

	if (!hyphen || hyphen == code || !isdigit((unsigned char)hyphen[1]) || hyphen[2])
		return false;
	for (const char *p = hyphen - 1; p >= code; p--) {
		const unsigned int product = (unsigned int)(*p - '0') * weight;

		sum += product / 10 + product % 10;
		weight = 3 - weight;
	}
	return (10 - sum % 10) % 10 == (unsigned int)(hyphen[1] - '0');
}

/* the operation of the dihedral group of order ten: rotations 0..4, reflections 5..9 */
static unsigned int dihedral(unsigned int a, unsigned int b)
{
	const unsigned int turned = a < 5 ? a + b : a + 10 - b;

	return turned % 5 + ((a < 5) == (b < 5) ? 0 : 5);
}

/* SNOMED CT: Verhoeff over all digits; the digits before the last two say "concept" */
static bool snomed_is_sound(uint64_t id)
{
	static const unsigned int permutation[] = { 1, 5, 7, 6, 2, 8, 3, 0, 9, 4 };
	const unsigned int partition = (unsigned int)(id / 10 % 100);
	unsigned int check = 0;

	if (id < 100000 || (partition != 0 && partition != 10))
		return false;
	for (unsigned int place = 0; id > 0; place++, id /= 10) {
		unsigned int digit = (unsigned int)(id % 10);

		for (unsigned int i = 0; i < place % 8; i++)
			digit = permutation[digit];
		check = dihedral(check, digit);
	}
	return check == 0;
}

static void test_check_digits(void **state)
{
	(void)state;
	assert_true(loinc_is_sound("8480-6"));
	assert_false(loinc_is_sound("8480-5"));
	assert_false(loinc_is_sound("8408-6"));
	assert_true(snomed_is_sound(271649006));
	assert_false(snomed_is_sound(271649007));
	assert_false(snomed_is_sound(271694006));
	for (unsigned int i = 0; i < N(metrics); i++) {
		const struct metric_info *m = metric_info(metrics[i].number);

		assert_true(!*m->loinc || loinc_is_sound(m->loinc));
		assert_true(m->snomed == 0 || snomed_is_sound(m->snomed));
	}
}

/* what the record service asks for by number: average home systolic and diastolic, their panel */
static void test_home_average(void **state)
{
	(void)state;
	assert_true(metric_info(METRIC_HOME_SYSTOLIC)->snomed == 413606001);
	assert_true(metric_info(METRIC_HOME_DIASTOLIC)->snomed == 413605002);
	assert_true(metric_info(METRIC_HOME_BLOOD_PRESSURE)->snomed == 723232008);
	for (unsigned int i = 0; i < METRIC_END + 2; i++)
		assert_int_equal(metric_is_derived(i),
				 i >= METRIC_HOME_BLOOD_PRESSURE && i <= METRIC_HOME_DIASTOLIC);
}

static bool partition_fits(enum metric_group group, uint32_t partition)
{
	switch (group) {
	case GROUP_BP:
	case GROUP_WEIGHT:
		return partition == PARTITION_SCADA;
	case GROUP_VITALS:
		return partition == PARTITION_SCADA || partition == PARTITION_HF;
	case GROUP_ACTIVITY:
	case GROUP_SLEEP:
		return partition == PARTITION_HF || partition == PARTITION_DM;
	}
	return false;
}

static void test_partitions(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N(metrics); i++) {
		const struct metric_info *m = metric_info(metrics[i].number);

		if (m->mdc == 0)
			continue;
		assert_true(partition_fits(m->group, m->mdc >> 16));
		assert_true((m->mdc & 0xffff) != 0);
	}
	for (unsigned int i = 0; i < N(units); i++) {
		const uint32_t mdc = unit_info(units[i].number)->mdc;

		assert_true(mdc == 0 || (mdc >> 16 == PARTITION_DIM && (mdc & 0xffff) != 0));
	}
}

static void test_terms(void **state)
{
	static const struct {
		enum unit unit;
		uint32_t term;
	} rows[] = {
		{ UNIT_G, 1728 },      { UNIT_KG, 1731 },  { UNIT_LB, 1760 },
		{ UNIT_M, 1280 },      { UNIT_CM, 1297 },  { UNIT_KM, 1283 },
		{ UNIT_INCH, 1376 },   { UNIT_S, 2176 },   { UNIT_MS, 2194 },
		{ UNIT_MIN, 2208 },    { UNIT_OHM, 4288 }, { UNIT_ONE, 512 },
		{ UNIT_PERCENT, 544 }, { UNIT_KPA, 3843 }, { UNIT_MMHG, 3872 },
		{ UNIT_KG_M2, 1952 },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_int_equal(unit_info(rows[i].unit)->mdc, PARTITION_DIM << 16 | rows[i].term);
}

/* what each metric is by nature, said a second time */
static enum dimension nature_of(enum metric metric)
{
	switch ((unsigned int)metric) {
	case METRIC_SYSTOLIC:
	case METRIC_DIASTOLIC:
	case METRIC_MEAN_PRESSURE:
	case METRIC_CUFF_PRESSURE:
	case METRIC_HOME_SYSTOLIC:
	case METRIC_HOME_DIASTOLIC:
		return DIMENSION_PRESSURE;
	case METRIC_PULSE:
	case METRIC_HEART_RATE:
	case METRIC_PULSE_OXIMETER:
	case METRIC_RESTING_HEART_RATE:
	case METRIC_CADENCE:
		return DIMENSION_RATE;
	case METRIC_BODY_WEIGHT:
	case METRIC_MUSCLE_MASS:
	case METRIC_FAT_FREE_MASS:
	case METRIC_SOFT_LEAN_MASS:
	case METRIC_BODY_WATER_MASS:
	case METRIC_CARBOHYDRATE:
		return DIMENSION_MASS;
	case METRIC_BMI:
		return DIMENSION_BODY_INDEX;
	case METRIC_HEIGHT:
	case METRIC_DISTANCE:
	case METRIC_STRIDE_LENGTH:
		return DIMENSION_LENGTH;
	case METRIC_BODY_FAT:
	case METRIC_MUSCLE_PERCENT:
	case METRIC_SPO2:
	case METRIC_PULSE_AMPLITUDE_INDEX:
	case METRIC_SLEEP_EFFICIENCY:
	case METRIC_BATTERY_LEVEL:
	case METRIC_HBA1C:
	case METRIC_EXERCISE_INTENSITY:
		return DIMENSION_RATIO;
	case METRIC_BASAL_METABOLISM:
		return DIMENSION_ENERGY_PER_DAY;
	case METRIC_IMPEDANCE:
		return DIMENSION_RESISTANCE;
	case METRIC_RR_INTERVAL:
	case METRIC_ACTIVE_MINUTES:
	case METRIC_SLEEP_DURATION:
	case METRIC_SLEEP_DEEP:
	case METRIC_SLEEP_LIGHT:
	case METRIC_SLEEP_REM:
	case METRIC_EXERCISE_DURATION:
		return DIMENSION_DURATION;
	case METRIC_ENERGY:
		return DIMENSION_ENERGY;
	case METRIC_TEMPERATURE:
		return DIMENSION_TEMPERATURE;
	case METRIC_GLUCOSE:
		return DIMENSION_GLUCOSE;
	case METRIC_STEPS:
		return DIMENSION_STEP;
	case METRIC_FLOORS:
		return DIMENSION_FLIGHT;
	case METRIC_ACTIVE_ZONE_MINUTES:
		return DIMENSION_ZONE_MINUTE;
	case METRIC_SPEED:
		return DIMENSION_SPEED;
	default: /* panels, and amounts without a unit */
		return DIMENSION_NUMBER;
	}
}

static void test_units_of_metrics(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N(metrics); i++) {
		const struct metric_info *m = metric_info(metrics[i].number);
		const struct unit_info *u = unit_info(m->unit);

		assert_non_null(u);
		assert_int_equal(u->dimension, nature_of((enum metric)metrics[i].number));
	}
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N(metrics); i++) {
		const struct metric_info *m = metric_info(metrics[i].number);

		/* an earlier row of the same name would be found first */
		assert_int_equal(metric_by_name(m->name), metrics[i].number);
		assert_true(*m->label);
		for (const char *p = m->name; *p; p++)
			assert_true(islower((unsigned char)*p) || isdigit((unsigned char)*p) ||
				    *p == '_');
	}
	for (unsigned int i = 0; i < N(units); i++)
		assert_int_equal(unit_by_ucum(unit_info(units[i].number)->ucum), units[i].number);
	assert_int_equal(metric_by_name("systolic"), METRIC_SYSTOLIC);
	assert_int_equal(metric_by_name("Systolic"), METRIC_NONE);
	assert_int_equal(metric_by_name(""), METRIC_NONE);
	assert_int_equal(unit_by_ucum("mm[Hg]"), UNIT_MMHG);
	assert_int_equal(unit_by_ucum("mmHg"), UNIT_NONE);
}

static void test_outside(void **state)
{
	(void)state;
	assert_null(metric_info(METRIC_NONE));
	assert_null(metric_info(METRIC_END));
	assert_null(metric_info(UINT32_MAX));
	assert_null(unit_info(UNIT_NONE));
	assert_null(unit_info(UNIT_END));
	assert_null(unit_info(UINT32_MAX));
}

/* a before b where both are stated */
static bool in_order(const struct metric_range *a, const struct metric_range *b)
{
	return !a->stated || !b->stated || decimal_compare(a->limit, b->limit) <= 0;
}

static void test_ranges(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N(metrics); i++) {
		const struct metric_info *m = metric_info(metrics[i].number);

		assert_int_equal(m->hard_min.stated, m->hard_max.stated);
		assert_int_equal(m->soft_min.stated, m->soft_max.stated);
		assert_true(in_order(&m->hard_min, &m->soft_min));
		assert_true(in_order(&m->soft_max, &m->hard_max));
		assert_true(!m->hard_min.stated ||
			    decimal_compare(m->hard_min.limit, m->hard_max.limit) < 0);
		assert_true(!m->soft_min.stated ||
			    decimal_compare(m->soft_min.limit, m->soft_max.limit) < 0);
	}
}

static void test_groups(void **state)
{
	(void)state;
	assert_string_equal(metric_group_name(GROUP_BP), "bp");
	assert_string_equal(metric_group_name(GROUP_WEIGHT), "weight");
	assert_string_equal(metric_group_name(GROUP_ACTIVITY), "activity");
	assert_string_equal(metric_group_name(GROUP_SLEEP), "sleep");
	assert_string_equal(metric_group_name(GROUP_VITALS), "vitals");
}

/* the enumerator "PREFIX_name", whatever the case of name, has this number in the message */
static void assert_enumerator(const ProtobufCEnumDescriptor *e, const char *prefix,
			      const char *name, int number)
{
	const ProtobufCEnumValue *value;
	char full[80];

	assert_non_null(name);
	assert_true(snprintf(full, sizeof(full), "%s_%s", prefix, name) < (int)sizeof(full));
	for (char *p = full; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	value = protobuf_c_enum_descriptor_get_value_by_name(e, full);
	assert_non_null(value);
	assert_int_equal(value->value, number);
}

static void test_message_metrics(void **state)
{
	const ProtobufCEnumDescriptor *e = &wellgate__v1__metric__descriptor;

	(void)state;
	for (unsigned int i = 0; i < N(metrics); i++)
		assert_enumerator(e, "METRIC", metrics[i].id, (int)metrics[i].number);
	assert_enumerator(e, "METRIC", "UNSPECIFIED", METRIC_NONE);
	assert_int_equal(e->n_values, N(metrics) + 1);
}

static void test_message_flags(void **state)
{
	const ProtobufCEnumDescriptor *e = &wellgate__v1__flag__descriptor;

	(void)state;
	for (unsigned int i = 1; i < FLAG_END; i++)
		assert_enumerator(e, "FLAG", flag_name(i), (int)i);
	assert_int_equal(e->n_values, FLAG_END);
}

static void test_message_absent(void **state)
{
	static const struct {
		const char *name;
		enum absent number;
	} rows[] = {
		{ "UNSPECIFIED", ABSENT_NO },
		{ "NAN", ABSENT_NAN },
		{ "NRES", ABSENT_NRES },
		{ "POSITIVE_INFINITY", ABSENT_POSITIVE_INFINITY },
		{ "NEGATIVE_INFINITY", ABSENT_NEGATIVE_INFINITY },
		{ "RESERVED", ABSENT_RESERVED },
		{ "UNSUCCESSFUL", ABSENT_UNSUCCESSFUL },
		{ "UNKNOWN", ABSENT_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_enumerator(&wellgate__v1__absent__descriptor, "ABSENT", rows[i].name,
				  (int)rows[i].number);
	assert_int_equal(wellgate__v1__absent__descriptor.n_values, N(rows));
}

static void test_message_link_security(void **state)
{
	static const struct {
		const char *name;
		enum link_security number;
	} rows[] = {
		{ "UNSPECIFIED", LINK_UNKNOWN },
		{ "REPLAY", LINK_REPLAY },
		{ "CLEAR", LINK_CLEAR },
		{ "ENCRYPTED", LINK_ENCRYPTED },
		{ "AUTHENTICATED", LINK_AUTHENTICATED },
		{ "CABLE", LINK_CABLE },
		{ "BROADCAST", LINK_BROADCAST },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++)
		assert_enumerator(&wellgate__v1__link_security__descriptor, "LINK", rows[i].name,
				  (int)rows[i].number);
	assert_int_equal(wellgate__v1__link_security__descriptor.n_values, N(rows));
}

static void test_conversions(void **state)
{
	static const struct {
		const char *from, *to;
		enum unit from_unit, to_unit;
	} rows[] = {
		{ "180", "81.64662660", UNIT_LB, UNIT_KG },
		{ "11.5", "73.028371570", UNIT_STONE, UNIT_KG },
		{ "1", "14", UNIT_STONE, UNIT_LB },
		{ "79.960", "176.2816", UNIT_KG, UNIT_LB },
		{ "79960", "79.960", UNIT_G, UNIT_KG },
		{ "183", "1.83", UNIT_CM, UNIT_M },
		{ "71.0", "1.80340", UNIT_INCH, UNIT_M },
		{ "1.803", "70.9843", UNIT_M, UNIT_INCH },
		{ "5", "5000", UNIT_KM, UNIT_M },
		{ "16.0", "120.009869280", UNIT_KPA, UNIT_MMHG },
		{ "120", "15.9987", UNIT_MMHG, UNIT_KPA },
		{ "98.6", "37.0", UNIT_FAHRENHEIT, UNIT_CELSIUS },
		{ "98.7", "37.0556", UNIT_FAHRENHEIT, UNIT_CELSIUS },
		{ "37.0", "98.6", UNIT_CELSIUS, UNIT_FAHRENHEIT },
		{ "-40", "-40", UNIT_CELSIUS, UNIT_FAHRENHEIT },
		{ "100", "5.5507", UNIT_MG_DL, UNIT_MMOL_L },
		{ "5.5", "99.08580", UNIT_MMOL_L, UNIT_MG_DL },
		{ "0.0055", "5.5", UNIT_MOL_L, UNIT_MMOL_L },
		{ "0.00100", "5.5507", UNIT_KG_L, UNIT_MMOL_L },
		{ "0.00100", "100", UNIT_KG_L, UNIT_MG_DL },
		{ "100", "23.9006", UNIT_KJ, UNIT_KCAL },
		{ "100", "418.400", UNIT_KCAL, UNIT_KJ },
		{ "90", "1.5", UNIT_S, UNIT_MIN },
		{ "1.5", "90.0", UNIT_MIN, UNIT_S },
		{ "812", "0.812", UNIT_MS, UNIT_S },
		{ "7.25", "7.25", UNIT_STEPS, UNIT_STEPS },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct decimal from, to;
		char text[DECIMAL_TEXT_MAX];

		assert_int_equal(decimal_parse(rows[i].from, &from), 0);
		assert_int_equal(unit_convert(from, rows[i].from_unit, rows[i].to_unit, &to), 0);
		assert_true(decimal_format(text, sizeof(text), to) > 0);
		assert_string_equal(text, rows[i].to);
	}
}

static void test_conversions_refused(void **state)
{
	const struct decimal one = { 1, 0 }, huge = { INT64_MAX, 0 };
	struct decimal d = { 7, 7 };

	(void)state;
	for (unsigned int a = 0; a < UNIT_END + 2; a++) {
		for (unsigned int b = 0; b < UNIT_END + 2; b++) {
			const struct unit_info *x = unit_info(a), *y = unit_info(b);
			const bool can = x && y && x->dimension == y->dimension;
			struct decimal result = { 7, 7 };

			assert_int_equal(unit_convert(one, (enum unit)a, (enum unit)b, &result),
					 can ? 0 : -EXDEV);
			assert_true(can || (result.mantissa == 7 && result.exponent == 7));
		}
	}
	assert_int_equal(unit_convert(huge, UNIT_LB, UNIT_KG, &d), -ERANGE);
	assert_int_equal(unit_convert(huge, UNIT_CELSIUS, UNIT_FAHRENHEIT, &d), -ERANGE);
	assert_true(d.mantissa == 7 && d.exponent == 7);
}

/*
 * What a number of a metric means must not change under the same version. After a deliberate change
 * raise CODE_TABLE_VERSION, and put the new sum here.
 */
static void test_version(void **state)
{
	uint32_t sum = 0;

	(void)state;
	for (unsigned int i = 0; i < N(metrics); i++) {
		const struct metric_info *m = metric_info(metrics[i].number);
		char row[160];
		const int len = snprintf(row, sizeof(row), "%u %s %s %s %llu %u\n",
					 metrics[i].number, m->name, unit_info(m->unit)->ucum,
					 m->loinc, (unsigned long long)m->snomed, m->mdc);

		assert_true(len > 0 && len < (int)sizeof(row));
		sum = crc_32_iso_hdlc_add(sum, row, (size_t)len);
	}
	assert_int_equal(CODE_TABLE_VERSION, 1);
	assert_true(sum == 0x3a604c23);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_digits),
		cmocka_unit_test(test_home_average),
		cmocka_unit_test(test_partitions),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_units_of_metrics),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_message_metrics),
		cmocka_unit_test(test_message_flags),
		cmocka_unit_test(test_message_absent),
		cmocka_unit_test(test_message_link_security),
		cmocka_unit_test(test_conversions),
		cmocka_unit_test(test_conversions_refused),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
