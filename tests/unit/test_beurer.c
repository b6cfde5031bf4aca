/* links: drivers */
#include "driver_test.h"

#include "protocols/beurer/cuff.h"
#include "protocols/beurer/dialogue.h"

static const uint8_t serial_record[] = { 0xac, 0x6d, 0x3c, 0x42, 0x05, 0x0c, 0x07, 0x1f, 0x1a };
static const uint8_t hid_record[] = { 0x6d, 0x3c, 0x42, 0x05, 0x0c, 0x07, 0x1f, 0x1a };
static const char identity[] = "Andon Blood Pressure Meter KD001";

static void assert_reading(const struct beurer_reading *x, unsigned int user)
{
	assert_int_equal(x->systolic, 134);
	assert_int_equal(x->diastolic, 85);
	assert_int_equal(x->pulse, 66);
	assert_int_equal(x->year, 2026);
	assert_int_equal(x->month, 5);
	assert_int_equal(x->day, 12);
	assert_int_equal(x->hour, 7);
	assert_int_equal(x->minute, 31);
	assert_int_equal(x->user, user);
}

/* ---- records ---- */

static void test_serial(void **state)
{
	struct beurer_reading x;

	(void)state;
	assert_int_equal(beurer_serial_decode(serial_record, sizeof(serial_record), &x), 0);
	assert_reading(&x, 0);
	assert_false(x.movement || x.irregular || x.restless);
}

static void test_serial_refused(void **state)
{
	struct beurer_reading x = { .systolic = 7 };
	uint8_t data[BEURER_SERIAL_SIZE];
	const uint8_t none = BEURER_NO_RECORD;

	(void)state;
	assert_int_equal(beurer_serial_decode(&none, 1, &x), -ENOENT);
	assert_int_equal(beurer_serial_decode(serial_record, 8, &x), -EMSGSIZE);
	assert_int_equal(beurer_serial_decode(serial_record, 0, &x), -EMSGSIZE);
	memcpy(data, serial_record, sizeof(data));
	data[0] = 0xad;
	assert_int_equal(beurer_serial_decode(data, sizeof(data), &x), -EBADMSG);
	assert_int_equal(x.systolic, 7);
}

/* byte, value: the first that cannot be, and the last that can */
static void test_ranges(void **state)
{
	static const struct {
		size_t at;
		uint8_t good, bad;
	} rows[] = {
		{ 0, 1, 0 },   { 1, 1, 0 },   { 3, 12, 13 },
		{ 4, 31, 32 }, { 5, 23, 24 }, { 6, 59, 60 },
	};
	struct beurer_reading x;
	uint8_t data[BEURER_HID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(data, hid_record, sizeof(data));
		data[rows[i].at] = rows[i].good;
		assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), 0);
		data[rows[i].at] = rows[i].bad;
		assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), -ERANGE);
	}
}

static void test_hid_flags(void **state)
{
	uint8_t data[BEURER_HID_SIZE];
	struct beurer_reading x;

	(void)state;
	assert_int_equal(beurer_hid_decode(hid_record, sizeof(hid_record), &x), 0);
	assert_reading(&x, 1);
	assert_false(x.movement || x.irregular);
	memcpy(data, hid_record, sizeof(data));
	data[3] |= 0x80;
	assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), 0);
	assert_reading(&x, 1);
	assert_true(x.movement && !x.irregular);
	data[4] |= 0x80;
	data[7] |= 0x80;
	assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), 0);
	assert_reading(&x, 2);
	assert_true(x.movement && x.irregular);
	assert_int_equal(beurer_hid_decode(data, 7, &x), -EMSGSIZE);
}

/* the bits that only HID records have are no part of a serial one's date */
static void test_serial_has_no_flags(void **state)
{
	uint8_t data[BEURER_SERIAL_SIZE];
	struct beurer_reading x;

	(void)state;
	memcpy(data, serial_record, sizeof(data));
	data[5] |= 0x80;
	assert_int_equal(beurer_serial_decode(data, sizeof(data), &x), -ERANGE);
}

static void test_194_is_a_pressure(void **state)
{
	static const uint8_t none[] = { 0xa9, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4 };
	uint8_t data[BEURER_HID_SIZE];
	struct beurer_reading x;

	(void)state;
	assert_int_equal(beurer_hid_decode(none, sizeof(none), &x), -ENOENT);
	memcpy(data, hid_record, sizeof(data));
	data[0] = 0xa9;
	assert_int_equal(beurer_hid_decode(data, sizeof(data), &x), 0);
	assert_int_equal(x.systolic, 194);
}

static void test_cardio(void **state)
{
	uint8_t data[BEURER_CARDIO_SIZE] = { 1, 4, 0, 1, 7, 31, 12, 5, 26, 2, 9, 134, 85, 66 };
	struct beurer_row x = { .row = 77 };

	(void)state;
	assert_int_equal(beurer_cardio_decode(data, 63, &x), -EMSGSIZE);
	assert_int_equal(x.row, 77);
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &x), 0);
	assert_int_equal(x.user, 1);
	assert_int_equal(x.row, 4);
	assert_int_equal(x.sensor, BEURER_PRESSURE);
	assert_reading(&x.reading, 2);
	assert_false(x.reading.restless);
	data[9] = 3;
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &x), 0);
	assert_true(x.reading.restless);
	data[7] = 13;
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &x), -ERANGE);
	data[3] = 2; /* of an electrocardiogram nothing more is read */
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &x), 0);
	assert_int_equal(x.sensor, BEURER_ECG);
	data[3] = 3;
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &x), -ERANGE);
	data[0] = BEURER_IDLE;
	assert_int_equal(beurer_cardio_decode(data, sizeof(data), &x), -ENOMSG);
}

/* ---- the conversation with a memory that changes between links ---- */

struct memory {
	size_t n;
	uint8_t records[8][BEURER_BODY_SIZE];
};

struct said {
	size_t n;
	struct beurer_reading readings[16];
	unsigned int repeats[16];
};

static void answer(struct beurer_dialogue *d, const struct memory *memory, struct beurer_move *m)
{
	uint8_t data[BEURER_IDENTITY_SIZE] = { BEURER_HERE };
	size_t len = 1;

	if (m->ask[0] == BEURER_IDENTITY)
		memcpy(data, identity, len = BEURER_IDENTITY_SIZE);
	if (m->ask[0] == BEURER_COUNT)
		data[0] = (uint8_t)memory->n;
	if (m->ask[0] == BEURER_RECORD) {
		len = BEURER_SERIAL_SIZE;
		data[0] = BEURER_HAS_RECORD;
		memcpy(data + 1, memory->records[m->ask[1] - 1], BEURER_BODY_SIZE);
	}
	assert_int_equal(beurer_dialogue_answer(d, data, len, m), 0);
}

static void read_all(const struct memory *memory, struct said *ret)
{
	struct beurer_dialogue d;
	struct beurer_move m;

	*ret = (struct said){ 0 };
	beurer_dialogue_begin(&d, false, &m);
	while (!m.over) {
		if (m.n_ask > 0)
			answer(&d, memory, &m);
		else
			assert_int_equal(beurer_dialogue_timeout(&d, &m), 0);
		if (!m.has_reading)
			continue;
		assert_true(ret->n < 16);
		ret->readings[ret->n] = m.reading;
		ret->repeats[ret->n++] = m.repeat;
	}
}

static void push(struct memory *memory, size_t size, uint8_t minute)
{
	memmove(memory->records[1], memory->records[0], sizeof(memory->records[0]) * (size - 1));
	memcpy(memory->records[0], hid_record, BEURER_BODY_SIZE);
	memory->records[0][6] = minute;
	if (memory->n < size)
		memory->n++;
}

/* What the gateway tells records apart by: equal for both? */
static bool is_known(const struct said *before, const struct said *now, size_t i)
{
	for (size_t k = 0; k < before->n; k++) {
		if (before->readings[k].minute == now->readings[i].minute &&
		    before->repeats[k] == now->repeats[i])
			return true;
	}
	return false;
}

static size_t news(const struct said *before, const struct said *now)
{
	size_t n = 0;

	for (size_t i = 0; i < now->n; i++)
		n += !is_known(before, now, i);
	return n;
}

/* A ring of five that turns: whatever is pushed is new exactly once, equal or not. */
static void test_ring(void **state)
{
	static const uint8_t minutes[] = { 1, 2, 2, 2, 3, 4, 5, 6, 6, 7, 8 };
	struct memory memory = { 0 };
	struct said before = { 0 }, now;

	(void)state;
	for (size_t i = 0; i < sizeof(minutes); i++) {
		push(&memory, 5, minutes[i]);
		read_all(&memory, &now);
		assert_int_equal(now.n, memory.n);
		assert_int_equal(news(&before, &now), 1);
		before = now;
		read_all(&memory, &now);
		assert_int_equal(news(&before, &now), 0);
	}
}

/* ---- the drivers ---- */

static void give_identity(struct bench *b)
{
	char hex[2 * BEURER_IDENTITY_SIZE + 1];

	for (size_t i = 0; i < BEURER_IDENTITY_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", (uint8_t)identity[i]);
	notify(b, DRV_WIRE_BYTES, hex);
}

static void begin_serial(struct bench *b)
{
	bench_begin(b, "beurer_serial", 0, NULL, true);
	assert_said(b, "write:0003:aa timer:1000 ");
	notify(b, DRV_WIRE_BYTES, "55");
	assert_said(b, "timer:200 ");
	fire(b, 200000);
	assert_said(b, "write:0003:a4 timer:1000 ");
	give_identity(b);
	assert_said(b, "write:0003:a2 timer:1000 ");
}

/* Every byte alone, and none is ever asked to be erased. */
static void test_byte_by_byte(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin_serial(&b);
	for (int pass = 0; pass < 2; pass++) {
		notify(&b, DRV_WIRE_BYTES, "01");
		assert_said(&b, "write:0003:a301 timer:1000 ");
		for (size_t i = 0; i < sizeof(serial_record); i++) {
			char hex[3];

			assert_said(&b, "");
			(void)snprintf(hex, sizeof(hex), "%02x", serial_record[i]);
			notify(&b, DRV_WIRE_BYTES, hex);
		}
		if (pass == 0)
			assert_said(&b, "write:0003:a2 timer:1000 ");
	}
	assert_said(&b, "reading timer:0 ");
	commit(&b);
	assert_said(&b, "close ");
	assert_int_equal(b.last.time.kind, DEVICE_TIME_LOCAL);
	assert_int_equal(b.last.time.minute, 31);
	assert_false(b.last.has_user_slot || b.last.has_record_number);
	bench_end(&b);
}

/* The count itself may be what the line spoiled. */
static void test_counts_differ(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin_serial(&b);
	notify(&b, DRV_WIRE_BYTES, "00");
	assert_said(&b, "write:0003:a2 timer:1000 ");
	assert_int_equal(bench_give(&b, DRV_WIRE_BYTES, "01", false), -EBADMSG);
	assert_said(&b, "fault:0003:checksum timer:500 ");
	fire(&b, 500000);
	assert_said(&b, "write:0003:aa timer:1000 ");
	bench_end(&b);
}

/* Attempts are bounded, and a cuff that was known is reported as lost. */
static void test_gives_up(void **state)
{
	struct bench b = { 0 };

	(void)state;
	begin_serial(&b);
	fire(&b, 1000000);
	assert_said(&b, "timer:500 ");
	fire(&b, 500000);
	for (int i = 0; i < 3; i++) {
		assert_said(&b, "write:0003:aa timer:1000 ");
		fire(&b, 1000000);
	}
	assert_said(&b, "write:0003:aa timer:1000 ");
	assert_int_equal(session_timeout(b.session, b.now), -ETIMEDOUT);
	assert_said(&b, "close ");
	bench_end(&b);
}

static void test_foreign_frames(void **state)
{
	static const char *const names[] = { "beurer_serial", "beurer_hid", "beurer_cardio" };
	struct bench b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bench_begin(&b, names[i], 0, NULL, false);
		assert_int_equal(bench_give(&b, 0x2a35, "55", false), -ENOMSG);
		assert_int_equal(
			bench_give(&b, i == 0 ? DRV_WIRE_BYTES : DRV_WIRE_REPORT, "", false),
			-EMSGSIZE);
	}
	bench_end(&b);
}

static void test_matches(void **state)
{
	static const struct {
		enum drv_bus bus;
		uint16_t vid, pid;
		const char *name;
	} rows[] = {
		{ DRV_BUS_SERIAL, 0x067b, 0x2303, "beurer_serial" },
		{ DRV_BUS_HID, 0x0c45, 0x7406, "beurer_hid" },
		{ DRV_BUS_HID, 0x314a, 0x0102, "beurer_cardio" },
		{ DRV_BUS_SERIAL, 0x04b4, 0x5500, "microlife" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct drv_identity id = { .bus = rows[i].bus,
						 .vid = rows[i].vid,
						 .pid = rows[i].pid };
		const struct driver *driver = registry_match(&id, NULL);

		assert_non_null(driver);
		assert_string_equal(driver->name, rows[i].name);
		assert_true(driver->state_size <= DRV_STATE_MAX);
		assert_true(rows[i].bus != DRV_BUS_SERIAL || driver->baud == 4800);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_serial_refused),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_hid_flags),
		cmocka_unit_test(test_serial_has_no_flags),
		cmocka_unit_test(test_194_is_a_pressure),
		cmocka_unit_test(test_cardio),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_counts_differ),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_foreign_frames),
		cmocka_unit_test(test_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
