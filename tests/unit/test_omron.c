/* links: drivers */
/*
 * The drivers of Omron cuffs against simulated ones: commits that come late, links that are cut,
 * keys that are lost between two steps; and what a capture cannot say: refused requests.
 */
#include "tests/unit/driver_test.h"
#include "tests/unit/omron_cuff.h"

#define UNLOCK 0xb305
#define TX     0x0720
#define RX     0x0730
#define QUEUE  16

/* ---- a cuff on Bluetooth, and a hub ---- */

struct air {
	struct omron_cuff cuff;
	struct session *session;
	uint64_t next_seq;
	int64_t now;
	struct session_memory memory; /* of the hub; outlives links */
	const char *model;
	bool pairing_mode, has_key, put;
	uint8_t key[16];

	/* of a link */
	bool closed, unlocked;
	unsigned int uncommitted, readings, steps, cut; /* cut after so many requests; 0: never */
	uint8_t out[OMRON_FRAME_MAX];                   /* pieces of our frame */
	size_t out_len;
	size_t n_in;
	struct {
		uint16_t channel;
		size_t len;
		uint8_t data[OMRON_FRAME_MAX];
	} in[QUEUE];
};

static void queue(struct air *a, uint16_t channel, const void *data, size_t len)
{
	assert_true(a->n_in < QUEUE && len <= OMRON_FRAME_MAX);
	a->in[a->n_in].channel = channel;
	a->in[a->n_in].len = len;
	memcpy(a->in[a->n_in++].data, data, len);
}

static void on_unlock(struct air *a, const uint8_t *data, size_t len)
{
	uint8_t answer[] = { 0x80, 0 };

	assert_int_equal(len, 17);
	answer[0] |= data[0];
	if (data[0] == 0x02) {
		answer[1] = a->pairing_mode ? 0 : 0x0f;
		a->put = a->pairing_mode;
	} else if (data[0] == 0x00) {
		assert_true(a->put);
		/* the hub has it already, or a death now would lose it */
		assert_true(a->memory.kept_len >= 17);
		assert_memory_equal(a->memory.kept + 1, data + 1, 16);
		memcpy(a->key, data + 1, 16);
		a->has_key = true;
	} else {
		a->unlocked = a->has_key && memcmp(a->key, data + 1, 16) == 0;
		answer[1] = a->unlocked ? 0 : 0x0f;
	}
	queue(a, UNLOCK, answer, sizeof(answer));
}

/* in pieces of 16, filled up */
static void give_pieces(struct air *a, const uint8_t *frame, size_t len)
{
	for (size_t i = 0; i * 16 < len; i++) {
		uint8_t piece[16] = { 0 };
		const size_t left = len - i * 16;

		memcpy(piece, frame + i * 16, left < 16 ? left : 16);
		queue(a, (uint16_t)(RX + i), piece, sizeof(piece));
	}
}

static void on_piece(struct air *a, uint16_t channel, const uint8_t *data, size_t len)
{
	uint8_t answer[OMRON_FRAME_MAX];
	size_t n;

	assert_true(a->unlocked);
	assert_true(len <= 16);
	if (channel == TX)
		a->out_len = 0;
	assert_int_equal(a->out_len, (channel - TX) * 16);
	memcpy(a->out + a->out_len, data, len);
	a->out_len += len;
	if (a->out_len < a->out[0])
		return;
	/* a write to its memory with a reading that is not durable: never */
	assert_true(a->uncommitted == 0 || a->out[1] != 0x01 || a->out[2] != 0xc0);
	n = cuff_answer(&a->cuff, a->out, a->out_len, answer);
	give_pieces(a, answer, n);
}

static void on_request(void *user, const struct session_request *q)
{
	struct air *a = user;

	if (q->kind == SESSION_CLOSE)
		a->closed = true;
	if (q->kind != SESSION_WRITE)
		return;
	a->steps++;
	if (a->cut > 0 && a->steps >= a->cut)
		return;
	if (q->channel == UNLOCK)
		on_unlock(a, q->data, q->len);
	else
		on_piece(a, q->channel, q->data, q->len);
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct air *a = user;

	(void)seq;
	if (!measurement_is_final(m))
		return;
	a->uncommitted++;
	a->readings++;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	struct air *a = user;

	assert_int_equal(a->uncommitted, 0);
	a->memory = *memory;
}

static void give(struct air *a, uint16_t channel, const void *data, size_t len)
{
	const struct drv_frame f = { .channel = channel, .data = data, .len = len };

	(void)session_frame(a->session, &f, false, a->now);
}

/* other ones on every link */
static void give_random(const struct air *a)
{
	uint8_t bytes[DRV_RANDOM_MAX];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((uint64_t)a->now / 3600000000U * 67 + i);
	session_set_random(a->session, bytes, sizeof(bytes));
}

static void begin_link(struct air *a, unsigned int cut)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .memory = on_memory,
					   .user = a };

	session_free(a->session);
	a->session = NULL;
	a->closed = a->unlocked = a->put = false;
	a->uncommitted = a->readings = a->steps = 0;
	a->n_in = 0;
	a->cut = cut;
	a->cuff.begun = false;
	a->now += 3600 * INT64_C(1000000);
	assert_int_equal(
		session_new(registry_by_name("omron_ble"), 1, &sink, &a->next_seq, &a->session), 0);
	session_set_memory(a->session, &a->memory);
	give_random(a);
	assert_int_equal(session_open(a->session, LINK_ENCRYPTED, a->now), 0);
	give(a, 0x2a24, a->model, strlen(a->model));
}

/* One thing that the cuff said, or nothing more of it. */
static bool step(struct air *a)
{
	uint8_t data[OMRON_FRAME_MAX];
	const uint16_t channel = a->in[0].channel;
	const size_t len = a->in[0].len;

	if (a->n_in == 0 || a->closed)
		return false;
	memcpy(data, a->in[0].data, len);
	memmove(a->in, a->in + 1, --a->n_in * sizeof(a->in[0]));
	a->now += 10000;
	give(a, channel, data, len);
	return true;
}

static void commit_all(struct air *a)
{
	a->uncommitted = 0;
	assert_int_equal(session_committed(a->session, a->next_seq - 1, a->now), 0);
}

/* To the end, committed only when nothing else happens. */
static void run(struct air *a)
{
	do {
		while (step(a))
			;
		if (a->uncommitted > 0 && !(a->cut > 0 && a->steps >= a->cut))
			commit_all(a);
	} while (a->n_in > 0 && !a->closed);
}

static struct air *air_new(const char *model)
{
	struct air *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	a->next_seq = 1;
	a->model = model;
	cuff_new(&a->cuff, omron_profile_by_name(model, strlen(model), false));
	return a;
}

static void air_free(struct air *a)
{
	session_free(a->session);
	free(a);
}

static bool counted_as_read(struct air *a)
{
	uint8_t none[2];

	cuff_put_word(a->cuff.profile, none, 0x8000);
	return memcmp(cuff_index(&a->cuff) + 4, none, 2) == 0;
}

/* ---- tests ---- */

static void test_pair_and_read(void **state)
{
	struct air *a = air_new("M500 Intelli IT");

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		cuff_measure(&a->cuff, 0, i, i + 1);
	/* not in pairing mode: nothing comes of it */
	begin_link(a, 0);
	run(a);
	assert_true(a->closed && !a->has_key && a->readings == 0);
	a->pairing_mode = true;
	begin_link(a, 0);
	run(a);
	assert_true(a->closed && a->unlocked);
	assert_int_equal(a->readings, 5);
	assert_int_equal(a->memory.kept_len, 17);
	assert_true(counted_as_read(a));
	/* later, by the key */
	a->pairing_mode = false;
	begin_link(a, 0);
	run(a);
	assert_true(a->closed && a->unlocked);
	assert_int_equal(a->readings, 5);
	assert_int_equal(a->cuff.strays, 0);
	air_free(a);
}

/* Whatever step the link died at: the next one, without pairing mode, is let in if the cuff took a
 * key; and every reading comes before it is counted as read. */
static void test_cut_anywhere(void **state)
{
	unsigned int steps;

	(void)state;
	for (unsigned int cut = 1, end = 2; cut < end; cut++) {
		struct air *a = air_new("HEM-7322T-E");

		for (unsigned int i = 0; i < 4; i++)
			cuff_measure(&a->cuff, 0, i, i + 1);
		a->pairing_mode = true;
		begin_link(a, cut);
		run(a);
		assert_true(a->uncommitted == 0 || !counted_as_read(a));
		a->pairing_mode = !a->has_key;
		begin_link(a, 0);
		run(a);
		assert_true(a->closed && a->unlocked);
		assert_int_equal(a->readings, 4);
		assert_true(counted_as_read(a));
		assert_int_equal(a->cuff.strays, 0);
		steps = a->steps;
		if (cut == 1)
			end = steps + 4;
		air_free(a);
	}
}

/* A telephone put its own key in: ours is of no use, and the cuff is not touched without its
 * button. */
static void test_key_lost(void **state)
{
	struct air *a = air_new("HEM-7600T-E");
	uint8_t theirs[16];

	(void)state;
	a->pairing_mode = true;
	begin_link(a, 0);
	run(a);
	assert_true(a->unlocked);
	memset(a->key, 0x77, sizeof(a->key));
	memcpy(theirs, a->key, sizeof(theirs));
	a->pairing_mode = false;
	begin_link(a, 0);
	run(a);
	assert_true(a->closed && !a->unlocked);
	assert_memory_equal(a->key, theirs, sizeof(theirs));
	/* the old one is in the note still: the cuff may have had a reason of its own */
	assert_int_equal(a->memory.kept_len, 33);
	memcpy(a->key, a->memory.kept + 17, 16);
	begin_link(a, 0);
	run(a);
	assert_true(a->unlocked);
	assert_int_equal(a->memory.kept_len, 17);
	air_free(a);
}

static void test_commit_late(void **state)
{
	struct air *a = air_new("HEM-7155T-ALRU");

	(void)state;
	cuff_measure(&a->cuff, 0, 0, 1);
	a->pairing_mode = true;
	begin_link(a, 0);
	while (step(a))
		;
	assert_int_equal(a->uncommitted, 1);
	assert_false(a->closed);
	assert_false(a->cuff.ended);
	assert_int_equal(a->cuff.writes, 0);
	/* what fires meanwhile, does nothing */
	assert_int_equal(session_timeout(a->session, a->now), 0);
	assert_int_equal(a->n_in, 0);
	commit_all(a);
	run(a);
	assert_true(a->closed && a->cuff.ended);
	assert_int_equal(a->cuff.writes, 1);
	air_free(a);
}

/* ---- refusals, silence ---- */

static void test_refusals(void **state)
{
	struct bench b = { .session = NULL };

	(void)state;
	/* no unlock characteristic on a modern cuff: read without */
	bench_begin(&b, "omron_ble", 2, NULL, false);
	assert_said(&b, "timer:10000 ");
	notify(&b, 0x2a24, "58322b"); /* X2+ */
	b.log[0] = '\0';
	refuse(&b, UNLOCK, 0x0a);
	assert_said(&b, "write:0720:0800000000100018 timer:3000 ");
	/* but on a classic one there is no way in */
	bench_begin(&b, "omron_ble", 1, NULL, false);
	notify(&b, 0x2a24, "45766f6c76"); /* Evolv */
	b.log[0] = '\0';
	assert_int_equal(session_refused(b.session, UNLOCK, 0x0a, 0), -EACCES);
	/* no model number at all */
	bench_begin(&b, "omron_ble", 1, NULL, false);
	b.log[0] = '\0';
	fire(&b, 10000000);
	assert_said(&b, "timer:0 close ");
	bench_end(&b);
}

/* nothing but 02 and padding goes out before START is pressed, for two minutes */
static void test_patience(void **state)
{
	struct bench b = { .session = NULL };
	unsigned int n = 0;

	(void)state;
	bench_begin(&b, "omron_usb", 0, NULL, false);
	while (session_timeout(b.session, b.now += 2000000) == 0) {
		b.log[0] = '\0';
		n++;
	}
	assert_int_equal(n, 59);
	assert_true(session_is_done(b.session));
	/* the first generation wakes, or does not */
	bench_begin(&b, "omron_usb_classic", 0, NULL, false);
	for (n = 0; session_timeout(b.session, b.now += 1000000) == 0; n++)
		b.log[0] = '\0';
	assert_int_equal(n, 4);
	bench_end(&b);
}

static void test_match(void **state)
{
	static const uint16_t both[] = { 0xfe4a, 0x1810 };
	static const struct {
		struct drv_identity id;
		const char *driver;
		uint32_t quirks;
	} rows[] = {
		{ { .bus = DRV_BUS_BLE, .company = 0x020e }, "omron_ble", 0 },
		{ { .bus = DRV_BUS_BLE, .company = 0x020e, .services = both, .n_services = 1 },
		  "omron_ble",
		  2 },
		/* the standard is surer */
		{ { .bus = DRV_BUS_BLE, .company = 0x020e, .services = both, .n_services = 2 },
		  "blood_pressure",
		  0 },
		{ { .bus = DRV_BUS_HID, .vid = 0x0590, .pid = 0x0090 }, "omron_usb", 0 },
		{ { .bus = DRV_BUS_HID, .vid = 0x0590, .pid = 0x0090, .name = "HEM-7131U" },
		  "omron_usb",
		  2 },
		{ { .bus = DRV_BUS_HID, .vid = 0x0590, .pid = 0x0028 }, "omron_usb_classic", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t quirks = 99;
		const struct driver *d = registry_match(&rows[i].id, &quirks);

		assert_non_null(d);
		assert_string_equal(d->name, rows[i].driver);
		assert_int_equal(quirks, rows[i].quirks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair_and_read), cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_key_lost),      cmocka_unit_test(test_commit_late),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_patience),
		cmocka_unit_test(test_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
