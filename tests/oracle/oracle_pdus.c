/*
 * Makes random valid attribute values with our encoders and writes them twice: as an ATT
 * conversation in a capture file (pcap, Bluetooth HCI UART with direction, link type 201), and as
 * JSON lines of what the structs hold. tshark.py lets tshark read the first and compares.
 *
 * The capture starts with the discovery that a client makes, because that is how tshark learns
 * which handle is which characteristic.
 *
 *   oracle_pdus PROFILE COUNT SEED CAPTURE JSON-LINES
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/body_composition.h"
#include "protocols/gatt/weight.h"
#include "tests/unit/gatt_random.h"

#define PDU_MAX     600
#define LINK_TYPE   201
#define ATT_CID     4
#define CONNECTION  0x0040
#define VALUE_FIRST 3 /* handles: 1 service, 2 declaration, 3 value, 4 its configuration */

/* ---- capture ---- */

struct capture {
	FILE *file;
	uint32_t packets;
};

enum direction {
	SENT = 0,
	RECEIVED = 1
};

static void capture_open(struct capture *c, const char *path)
{
	uint8_t header[24];
	struct writer w = writer_of(header, sizeof(header));

	c->packets = 0;
	c->file = fopen(path, "wb");
	if (!c->file) {
		perror(path);
		exit(74);
	}
	writer_le32(&w, 0xa1b2c3d4); /* microseconds */
	writer_le16(&w, 2);
	writer_le16(&w, 4);
	writer_le32(&w, 0);
	writer_le32(&w, 0);
	writer_le32(&w, 65535);
	writer_le32(&w, LINK_TYPE);
	fwrite(header, 1, w.len, c->file);
}

/* one ATT PDU in one L2CAP frame in one ACL packet */
static void capture_att(struct capture *c, enum direction direction, const struct writer *pdu)
{
	uint8_t packet[PDU_MAX + 64];
	struct writer w = writer_of(packet, sizeof(packet));
	uint32_t len = (uint32_t)pdu->len;

	assert(writer_ok(pdu) && len + 9 <= UINT16_MAX);
	writer_le32(&w, 1700000000 + c->packets / 1000);
	writer_le32(&w, c->packets % 1000 * 1000);
	writer_le32(&w, 13 + len);
	writer_le32(&w, 13 + len);
	writer_be32(&w, direction);
	writer_u8(&w, 0x02); /* ACL */
	writer_le16(&w, CONNECTION | 0x2000);
	writer_le16(&w, (uint16_t)(4 + len));
	writer_le16(&w, (uint16_t)len);
	writer_le16(&w, ATT_CID);
	writer_bytes(&w, pdu->data, pdu->len);
	assert(writer_ok(&w));
	fwrite(packet, 1, w.len, c->file);
	c->packets++;
}

/* ---- what the struct holds, as JSON ---- */

struct json {
	FILE *file;
	const char *separator;
};

static void json_key(struct json *j, const char *key)
{
	fprintf(j->file, "%s\"%s\":", j->separator, key);
	j->separator = ",";
}

static void json_int(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	fprintf(j->file, "%" PRId64, v);
}

/* as mantissa and exponent: every digit stays */
static void json_text(struct json *j, struct number n)
{
	if (n.absent == ABSENT_NO)
		fprintf(j->file, "\"%" PRId64 "e%" PRId32 "\"", n.value.mantissa, n.value.exponent);
	else
		fprintf(j->file, "\"%s\"", absent_name(n.absent));
}

static void json_number(struct json *j, const char *key, struct number n)
{
	json_key(j, key);
	json_text(j, n);
}

static void json_time(struct json *j, const char *key, const struct gatt_date_time *t)
{
	json_key(j, key);
	fprintf(j->file, "[%u,%u,%u,%u,%u,%u]", t->year, t->month, t->day, t->hour, t->minute,
		t->second);
}

/* ---- profiles: make one value, say what it is ---- */

/* an integer field of 16 bits; now and then 0xFFFF, which is no number */
static struct number random_field(struct rng *rng, int32_t exponent, int64_t step)
{
	if (rng_below(rng, 16) == 0)
		return number_absent(ABSENT_UNSUCCESSFUL);
	return number_of((int64_t)rng_below(rng, 0xffff) * step, exponent);
}

static struct number random_mass(struct rng *rng, bool imperial)
{
	return imperial ? random_field(rng, -2, 1) : random_field(rng, -3, 5);
}

static struct number random_height(struct rng *rng, bool imperial)
{
	return imperial ? random_field(rng, -1, 1) : random_field(rng, -3, 1);
}

static int make_weight(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_weight x = { .imperial = rng_coin(rng) };

	x.weight = random_mass(rng, x.imperial);
	json_int(j, "imperial", x.imperial);
	json_number(j, "weight", x.weight);
	x.has_time = rng_coin(rng);
	if (x.has_time) {
		x.time = rng_date_time(rng);
		json_time(j, "time", &x.time);
	}
	x.has_user = rng_coin(rng);
	if (x.has_user) {
		x.user = rng_u8(rng);
		json_int(j, "user", x.user);
	}
	x.has_bmi_height = rng_coin(rng);
	if (x.has_bmi_height) {
		x.bmi = random_field(rng, -1, 1);
		x.height = random_height(rng, x.imperial);
		json_number(j, "bmi", x.bmi);
		json_number(j, "height", x.height);
	}
	return gatt_weight_encode(&x, w);
}

/* half of the optional fields are there */
static bool optional(struct rng *rng, struct json *j, const char *key, struct number n,
		     struct number *ret)
{
	if (rng_coin(rng))
		return false;
	json_number(j, key, n);
	*ret = n;
	return true;
}

static int make_body_composition(struct rng *rng, struct writer *w, struct json *j)
{
	bool lb = rng_coin(rng);
	struct gatt_body_composition x = { .imperial = lb, .multiple_packet = rng_coin(rng) };

	x.body_fat = random_field(rng, -1, 1);
	json_int(j, "imperial", x.imperial);
	json_int(j, "multiple", x.multiple_packet);
	json_number(j, "body_fat", x.body_fat);
	x.has_time = rng_coin(rng);
	if (x.has_time) {
		x.time = rng_date_time(rng);
		json_time(j, "time", &x.time);
	}
	x.has_user = rng_coin(rng);
	if (x.has_user) {
		x.user = rng_u8(rng);
		json_int(j, "user", x.user);
	}
	x.has_basal_metabolism =
		optional(rng, j, "basal_metabolism", random_field(rng, 0, 1), &x.basal_metabolism);
	x.has_muscle_percent =
		optional(rng, j, "muscle_percentage", random_field(rng, -1, 1), &x.muscle_percent);
	x.has_muscle_mass = optional(rng, j, "muscle_mass", random_mass(rng, lb), &x.muscle_mass);
	x.has_fat_free_mass =
		optional(rng, j, "fat_free_mass", random_mass(rng, lb), &x.fat_free_mass);
	x.has_soft_lean_mass =
		optional(rng, j, "soft_lean_mass", random_mass(rng, lb), &x.soft_lean_mass);
	x.has_body_water_mass =
		optional(rng, j, "body_water_mass", random_mass(rng, lb), &x.body_water_mass);
	x.has_impedance = optional(rng, j, "impedance", random_field(rng, -1, 1), &x.impedance);
	x.has_weight = optional(rng, j, "weight", random_mass(rng, lb), &x.weight);
	x.has_height = optional(rng, j, "height", random_height(rng, lb), &x.height);
	return gatt_body_composition_encode(&x, w);
}

static int make_blood_pressure(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_blood_pressure x = { .kpa = rng_coin(rng) };

	x.systolic = rng_sfloat(rng);
	x.diastolic = rng_sfloat(rng);
	x.mean = rng_sfloat(rng);
	json_int(j, "kpa", x.kpa);
	json_number(j, "systolic", x.systolic);
	json_number(j, "diastolic", x.diastolic);
	json_number(j, "arterial_pressure", x.mean);
	x.has_time = rng_coin(rng);
	if (x.has_time) {
		x.time = rng_date_time(rng);
		json_time(j, "time", &x.time);
	}
	x.has_pulse = optional(rng, j, "pulse_rate", rng_sfloat(rng), &x.pulse);
	x.has_user = rng_coin(rng);
	if (x.has_user) {
		x.user = rng_u8(rng);
		json_int(j, "user", x.user);
	}
	x.has_status = rng_coin(rng);
	if (x.has_status) {
		x.status = rng_u16(rng);
		json_int(j, "status", x.status);
	}
	return gatt_blood_pressure_encode(&x, w);
}

static int make_heart_rate(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_heart_rate x = rng_heart_rate(rng);

	json_int(j, "wide", x.wide);
	json_number(j, "rate", x.rate);
	json_int(j, "contact", x.contact);
	if (x.has_energy)
		json_number(j, "energy", x.energy);
	json_key(j, "intervals");
	for (size_t i = 0; i < x.interval_count; i++)
		fprintf(j->file, "%s%u", i ? "," : "[", x.intervals[i]);
	fputs(x.interval_count ? "]" : "[]", j->file);
	return gatt_heart_rate_encode(&x, w);
}

static int make_temperature(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_temperature x = rng_temperature(rng);

	json_int(j, "fahrenheit", x.fahrenheit);
	json_number(j, "value", x.value);
	if (x.has_time)
		json_time(j, "time", &x.time);
	if (x.has_type)
		json_int(j, "type", x.type);
	return gatt_temperature_encode(&x, w);
}

static int make_glucose(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_glucose x = rng_glucose(rng);

	json_int(j, "sequence", x.sequence);
	json_time(j, "time", &x.base_time);
	json_int(j, "mol", x.mol_per_litre);
	json_int(j, "context", x.context_follows);
	if (x.has_offset)
		json_number(j, "offset", x.offset);
	if (x.has_concentration) {
		json_number(j, "concentration", x.concentration);
		json_int(j, "type", x.type);
		json_int(j, "location", x.location);
	}
	if (x.has_status)
		json_int(j, "status", x.status);
	return gatt_glucose_encode(&x, w);
}

static int make_glucose_context(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_glucose_context x = rng_glucose_context(rng);

	json_int(j, "sequence", x.sequence);
	json_int(j, "extended", x.has_extended);
	json_int(j, "litres", x.medication_litres);
	if (x.has_carbohydrate) {
		json_int(j, "carbohydrate_id", x.carbohydrate);
		json_number(j, "carbohydrate", x.carbohydrate_mass);
	}
	if (x.has_meal)
		json_int(j, "meal", x.meal);
	if (x.has_tester) {
		json_int(j, "tester", x.tester);
		json_int(j, "health", x.health);
	}
	if (x.has_exercise) {
		json_number(j, "exercise_duration", x.exercise_duration);
		json_number(j, "exercise_intensity", x.exercise_intensity);
	}
	if (x.has_medication) {
		json_int(j, "medication_id", x.medication);
		json_number(j, "medication", x.medication_amount);
	}
	if (x.has_hba1c)
		json_number(j, "hba1c", x.hba1c);
	return gatt_glucose_context_encode(&x, w);
}

static int make_plx_spot(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_plx_spot x = rng_plx_spot(rng);

	json_number(j, "spo2", x.pair.spo2);
	json_number(j, "pulse", x.pair.pulse);
	json_int(j, "clock_not_set", x.clock_not_set);
	if (x.has_time)
		json_time(j, "time", &x.time);
	if (x.has_measurement_status)
		json_int(j, "measurement_status", x.measurement_status);
	if (x.has_device_status)
		json_int(j, "device_status", x.device_status);
	if (x.has_amplitude)
		json_number(j, "amplitude", x.amplitude);
	return gatt_plx_spot_encode(&x, w);
}

static void json_pair(struct json *j, const char *key, const struct gatt_plx_pair *pair)
{
	json_key(j, key);
	fputs("[", j->file);
	json_text(j, pair->spo2);
	fputs(",", j->file);
	json_text(j, pair->pulse);
	fputs("]", j->file);
}

static int make_plx_continuous(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_plx_continuous x = rng_plx_continuous(rng);

	json_pair(j, "normal", &x.normal);
	if (x.has_fast)
		json_pair(j, "fast", &x.fast);
	if (x.has_slow)
		json_pair(j, "slow", &x.slow);
	if (x.has_measurement_status)
		json_int(j, "measurement_status", x.measurement_status);
	if (x.has_device_status)
		json_int(j, "device_status", x.device_status);
	if (x.has_amplitude)
		json_number(j, "amplitude", x.amplitude);
	return gatt_plx_continuous_encode(&x, w);
}

static int make_rsc(struct rng *rng, struct writer *w, struct json *j)
{
	struct gatt_rsc x = rng_rsc(rng);

	json_number(j, "speed", x.speed);
	json_number(j, "cadence", x.cadence);
	json_int(j, "running", x.running);
	if (x.has_stride)
		json_number(j, "stride", x.stride);
	if (x.has_distance)
		json_number(j, "distance", x.distance);
	return gatt_rsc_encode(&x, w);
}

static const struct profile {
	const char *name;
	uint16_t service, characteristic;
	bool indicated;
	int (*make)(struct rng *rng, struct writer *w, struct json *j);
} profiles[] = {
	{ "weight", 0x181d, 0x2a9d, true, make_weight },
	{ "body_composition", 0x181b, 0x2a9c, true, make_body_composition },
	{ "blood_pressure", 0x1810, 0x2a35, true, make_blood_pressure },
	{ "heart_rate", 0x180d, 0x2a37, false, make_heart_rate },
	{ "temperature", 0x1809, 0x2a1c, true, make_temperature },
	{ "glucose", 0x1808, 0x2a18, false, make_glucose },
	{ "glucose_context", 0x1808, 0x2a34, false, make_glucose_context },
	{ "plx_spot", 0x1822, 0x2a5e, true, make_plx_spot },
	{ "plx_continuous", 0x1822, 0x2a5f, false, make_plx_continuous },
	{ "rsc", 0x1814, 0x2a53, false, make_rsc },
};

/* ---- the conversation ---- */

static void say(struct capture *c, enum direction direction, const void *pdu, size_t len)
{
	uint8_t buffer[64];
	struct writer w = writer_of(buffer, sizeof(buffer));

	writer_bytes(&w, pdu, len);
	capture_att(c, direction, &w);
}

/* MTU 517, then the one service and its one characteristic */
static void discovery(struct capture *c, const struct profile *p)
{
	const uint8_t service[] = {
		0x11, 6, 1, 0, 4, 0, (uint8_t)p->service, (uint8_t)(p->service >> 8)
	};
	const uint8_t characteristic[] = { 0x09,
					   7,
					   2,
					   0,
					   p->indicated ? 0x20 : 0x10,
					   VALUE_FIRST,
					   0,
					   (uint8_t)p->characteristic,
					   (uint8_t)(p->characteristic >> 8) };

	say(c, SENT, "\x02\x05\x02", 3);
	say(c, RECEIVED, "\x03\x05\x02", 3);
	say(c, SENT, "\x10\x01\x00\xff\xff\x00\x28", 7);
	say(c, RECEIVED, service, sizeof(service));
	say(c, SENT, "\x08\x01\x00\x04\x00\x03\x28", 7);
	say(c, RECEIVED, characteristic, sizeof(characteristic));
}

static void conversation(const struct profile *p, long count, struct rng *rng, struct capture *c,
			 FILE *lines)
{
	for (long i = 0; i < count; i++) {
		uint8_t pdu[PDU_MAX];
		struct writer w = writer_of(pdu, sizeof(pdu));
		struct json j = { .file = lines, .separator = "{" };

		writer_u8(&w, p->indicated ? 0x1d : 0x1b);
		writer_le16(&w, VALUE_FIRST);
		if (p->make(rng, &w, &j) < 0) {
			fprintf(stderr, "%s: value %ld cannot be encoded\n", p->name, i);
			exit(70);
		}
		fputs("}\n", lines);
		capture_att(c, RECEIVED, &w);
		if (p->indicated)
			say(c, SENT, "\x1e", 1);
	}
}

static const struct profile *profile_of(const char *name)
{
	for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}

static int close_all(struct capture *c, FILE *lines)
{
	int bad = ferror(c->file) | ferror(lines);

	bad |= fclose(c->file);
	bad |= fclose(lines);
	return bad ? 74 : 0;
}

int main(int argc, char **argv)
{
	const struct profile *p = argc == 6 ? profile_of(argv[1]) : NULL;
	struct capture c;
	struct rng rng;
	FILE *lines;

	if (!p || strtol(argv[2], NULL, 10) <= 0 || strtoull(argv[3], NULL, 10) == 0) {
		fprintf(stderr, "usage: oracle_pdus PROFILE COUNT SEED CAPTURE JSON-LINES\n");
		return 64;
	}
	rng.state = strtoull(argv[3], NULL, 10);
	lines = fopen(argv[5], "w");
	if (!lines) {
		perror(argv[5]);
		return 74;
	}
	capture_open(&c, argv[4]);
	discovery(&c, p);
	conversation(p, strtol(argv[2], NULL, 10), &rng, &c, lines);
	return close_all(&c, lines);
}
