/* links: drivers gateway_intake gateway_goals gateway_base */
/*
 * A cuff whose memory is a ring, read again and again, from its bytes to the key by which the
 * gateway knows a reading: each measuring makes one key, and never a second one.
 */
#include "intake_make.h"

#include "drivers/registry.h"
#include "drivers/session.h"

#define ROWS_MAX 8
#define KEYS_MAX 64

struct cuff {
	uint8_t counts[2];
	uint8_t rows[2][ROWS_MAX][14];
};

struct reading_of {
	struct cuff cuff;
	struct session *session;
	bool asked, over;
	uint8_t question[8];
	unsigned int timer;
	struct bench intake;
	size_t n_keys, n_said;
	uint8_t keys[KEYS_MAX][16];
};

static void put_key(struct reading_of *x, const uint8_t key[16])
{
	for (size_t i = 0; i < x->n_keys; i++) {
		if (memcmp(x->keys[i], key, 16) == 0)
			return;
	}
	assert_true(x->n_keys < KEYS_MAX);
	memcpy(x->keys[x->n_keys++], key, 16);
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	const unsigned int stamp[6] = { m->time.year, m->time.month,  m->time.day,
					m->time.hour, m->time.minute, m->time.second };
	struct reading_of *x = user;
	struct made made;

	(void)seq;
	x->n_said++;
	make_new(&made, m->metric);
	for (unsigned int i = 0; i < m->n_parts; i++)
		(void)make_part(&made, m->parts[i].metric, m->parts[i].number.value.mantissa, 0,
				m->parts[i].unit);
	make_time(&made, WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL, stamp);
	make_flag(&made, FLAG_BACKFILL);
	made.m.has_user_slot = m->has_user_slot;
	made.m.user_slot = m->user_slot;
	made.m.has_record_number = m->has_record_number;
	made.m.record_number = m->record_number;
	put_key(x, bench_run(&x->intake, &made)->dedupe_key.data);
	arena_reset(&x->intake.arena);
}

static void on_request(void *user, const struct session_request *request)
{
	struct reading_of *x = user;

	if (request->kind == SESSION_WRITE) {
		assert_int_equal(request->len, 9);
		memcpy(x->question, request->data + 1, 8);
		x->asked = true;
	}
	if (request->kind == SESSION_TIMER)
		x->timer = request->msec;
	if (request->kind == SESSION_CLOSE)
		x->over = true;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
	fail();
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	fail();
}

/* false: it says nothing to that */
static bool answer(const struct reading_of *x, uint8_t report[64])
{
	const uint8_t *q = x->question;

	memset(report, 0, 64);
	switch (q[0]) {
	case 0xaa:
		report[0] = 0x55;
		return true;
	case 0xa2:
		memcpy(report, x->cuff.counts, 2);
		return true;
	case 0xa3:
		assert_true(q[1] < 2 && q[2] < x->cuff.counts[q[1]]);
		memcpy(report, x->cuff.rows[q[1]][q[2]], 14);
		report[0] = q[1];
		report[1] = q[2];
		return true;
	default:
		return false;
	}
}

static void read_cuff(struct reading_of *x)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = x };
	uint8_t report[64];
	const struct drv_frame frame = { DRV_WIRE_REPORT, report, sizeof(report) };
	uint64_t next_seq = 1;
	int64_t now = 0;

	x->over = x->asked = false;
	x->n_said = 0;
	assert_int_equal(
		session_new(registry_by_name("beurer_cardio"), 0, &sink, &next_seq, &x->session),
		0);
	assert_int_equal(session_open(x->session, LINK_CABLE, 0), 0);
	while (!x->over) {
		const bool answers = x->asked && answer(x, report);

		x->asked = false;
		now += 10000;
		assert_int_equal(answers ? session_frame(x->session, &frame, false, now)
					 : session_timeout(x->session, now),
				 0);
		assert_int_equal(session_committed(x->session, next_seq - 1, now), 0);
	}
	session_free(x->session);
}

/* A measuring: 134/85, 66, on the day and at the minute; the ring holds `size`. */
static void measure(struct cuff *c, unsigned int user, unsigned int size, uint8_t minute)
{
	const uint8_t row[14] = { 0, 0, 0, 1, 7, minute, 12, 5, 26, 2, 0, 134, 85, 66 };

	memmove(c->rows[user][1], c->rows[user][0], sizeof(row) * (size - 1));
	memcpy(c->rows[user][0], row, sizeof(row));
	if (c->counts[user] < size)
		c->counts[user]++;
}

static void test_ring(void **state)
{
	static const struct {
		uint8_t user, minute;
	} measured[] = { { 0, 1 }, { 1, 1 }, { 0, 2 }, { 0, 2 }, { 0, 2 }, { 1, 1 }, { 0, 3 },
			 { 0, 4 }, { 0, 5 }, { 0, 6 }, { 0, 6 }, { 1, 7 }, { 0, 8 }, { 0, 9 } };
	struct reading_of x = { .n_keys = 0 };

	(void)state;
	bench_open(&x.intake, "Europe/London", NULL, false);
	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++) {
		measure(&x.cuff, measured[i].user, 5, measured[i].minute);
		for (int again = 0; again < 2; again++) {
			read_cuff(&x);
			assert_int_equal(x.n_said, x.cuff.counts[0] + x.cuff.counts[1]);
			assert_int_equal(x.n_keys, i + 1);
		}
	}
	bench_close(&x.intake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
