/* links: drivers */
/*
 * Vendor formats. The first byte chooses (a row of targets[], which only grows at its end):
 *   0 Xiaomi record, 1 Xiaomi history frame, 2 Colmi frame, 3 Colmi night message with its CRC made
 *   right, 4 Colmi big data as it comes, 5 a series of Xiaomi broadcasts through the driver
 * What is checked: a failure leaves the result alone; what decodes holds together; of a weighing on
 * air no weight and no impedance is said twice, and none that is not stable or stepped down.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/colmi/ring.h"
#include "protocols/xiaomi/scale.h"
#include "tests/fuzz/play.h"

#define SEEN_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- Xiaomi ---- */

static void check_record(const struct xiaomi_scale *x)
{
	must(x->unit == UNIT_KG || x->unit == UNIT_LB || x->unit == UNIT_JIN);
	must(x->weight.absent == ABSENT_NO && x->weight.value.mantissa >= 0);
	must((x->impedance.absent == ABSENT_NO) == (x->raw_impedance != 0));
	must(gatt_date_time_valid(&x->time));
}

static void xiaomi_record(const uint8_t *data, size_t len)
{
	struct xiaomi_scale x;

	memset(&x, MUST_UNTOUCHED, sizeof(x));
	if (xiaomi_scale_decode(data, len, &x) < 0)
		must_be_untouched(&x, sizeof(x));
	else
		check_record(&x);
}

static void xiaomi_history(const uint8_t *data, size_t len)
{
	struct xiaomi_history_frame f;

	memset(&f, MUST_UNTOUCHED, sizeof(f));
	if (xiaomi_history_decode(data, len, &f) < 0) {
		must_be_untouched(&f, sizeof(f));
		return;
	}
	if (f.kind != XIAOMI_HISTORY_SEND)
		return;
	must(f.count == 1 || f.count == 2);
	for (unsigned int i = 0; i < f.count; i++)
		check_record(&f.records[i]);
}

/* ---- Colmi ---- */

static void colmi_frame(const uint8_t *data, size_t len)
{
	struct colmi_heart_rates rates;
	struct colmi_steps steps;
	uint8_t percent;

	memset(&rates, MUST_UNTOUCHED, sizeof(rates));
	memset(&steps, MUST_UNTOUCHED, sizeof(steps));
	if (colmi_heart_rates_decode(data, len, &rates) < 0)
		must_be_untouched(&rates, sizeof(rates));
	else
		must(rates.n_rates <= COLMI_RATES_MAX);
	if (colmi_steps_decode(data, len, &steps) < 0)
		must_be_untouched(&steps, sizeof(steps));
	else if (steps.part == COLMI_DATA)
		must(steps.quarter < COLMI_QUARTERS && steps.index < steps.frames &&
		     gatt_date_time_valid(&steps.day));
	if (colmi_battery_decode(data, len, &percent) == 0)
		must(percent <= 100);
}

static void colmi_message(const uint8_t *data, size_t len)
{
	struct colmi_night nights[COLMI_NIGHTS_MAX];
	size_t n = 99, whole;

	memset(nights, MUST_UNTOUCHED, sizeof(nights));
	if (colmi_big_length(data, len, &whole) == 0)
		must(whole <= COLMI_BIG_HEADER + COLMI_BIG_MAX);
	if (colmi_sleep_decode(data, len, nights, &n) < 0) {
		must_be_untouched(nights, sizeof(nights));
		must(n == 99);
		return;
	}
	must(n <= COLMI_NIGHTS_MAX);
	for (size_t i = 0; i < n; i++) {
		unsigned int sum = 0;

		for (size_t stage = 0; stage < COLMI_STAGE_END; stage++)
			sum += nights[i].minutes[stage];
		must(sum <= COLMI_DAY_MINUTES);
		must(nights[i].start < COLMI_DAY_MINUTES && nights[i].end < COLMI_DAY_MINUTES);
	}
}

static void colmi_payload(const uint8_t *data, size_t len)
{
	uint8_t *whole;
	struct writer w;

	if (len > COLMI_BIG_MAX)
		return;
	whole = malloc(COLMI_BIG_HEADER + len);
	must(whole != NULL);
	w = writer_of(whole, COLMI_BIG_HEADER + len);
	writer_u8(&w, 0xbc);
	writer_u8(&w, COLMI_BIG_SLEEP);
	writer_le16(&w, (uint16_t)len);
	writer_le16(&w, colmi_crc(data, len));
	writer_bytes(&w, data, len);
	must(writer_ok(&w));
	colmi_message(whole, w.len);
	free(whole);
}

/* ---- Xiaomi on air ---- */

struct watch {
	struct session *session;
	uint64_t next_seq;
	bool may_read; /* the frame at hand is a stable weighing */
	struct measurement seen[SEEN_MAX];
	size_t n_seen;
};

static bool is_same(const struct measurement *a, const struct measurement *b)
{
	return a->metric == b->metric && a->time.year == b->time.year &&
	       a->time.month == b->time.month && a->time.day == b->time.day &&
	       a->time.hour == b->time.hour && a->time.minute == b->time.minute &&
	       a->time.second == b->time.second && a->parts[0].unit == b->parts[0].unit &&
	       a->parts[0].number.value.mantissa == b->parts[0].number.value.mantissa;
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct watch *w = user;

	(void)seq;
	if (!measurement_is_final(m))
		return;
	must(w->may_read && m->n_parts == 1);
	/* only the one before: people do step on again */
	if (w->n_seen > 0)
		must(!is_same(&w->seen[w->n_seen - 1], m));
	if (w->n_seen > 1 && w->seen[w->n_seen - 1].metric == METRIC_BODY_COMPOSITION)
		must(!is_same(&w->seen[w->n_seen - 2], m));
	if (w->n_seen < SEEN_MAX)
		w->seen[w->n_seen++] = *m;
	else
		w->n_seen = 0;
}

static void on_request(void *user, const struct session_request *request)
{
	(void)user;
	must(request->kind != SESSION_WRITE && request->kind != SESSION_READ);
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
}

static void begin(struct watch *w)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = play_never_confirms,
					   .fault = on_fault,
					   .user = w };

	session_free(w->session);
	w->n_seen = 0;
	w->session = play_begin("xiaomi_scale", 0, &sink, &w->next_seq, 60);
	must(session_open(w->session, LINK_BROADCAST, 0) == 0);
}

/* records of: seconds since the last | 13 bytes */
static void xiaomi_on_air(const uint8_t *data, size_t len)
{
	struct watch w = { .next_seq = 1 };
	int64_t now = 0;

	begin(&w);
	for (; len > XIAOMI_V2_SIZE; data += XIAOMI_V2_SIZE + 1, len -= XIAOMI_V2_SIZE + 1) {
		const struct drv_advert advert = { .service = XIAOMI_V2_SERVICE,
						   .data = data + 1,
						   .len = XIAOMI_V2_SIZE };

		now += data[0] * INT64_C(1000000);
		w.may_read = (data[2] & 0xa0) == 0x20;
		(void)session_advert(w.session, &advert, now);
		(void)session_committed(w.session, w.next_seq - 1, now);
		if (session_is_done(w.session))
			begin(&w);
	}
	session_free(w.session);
}

static void (*const targets[])(const uint8_t *data, size_t len) = {
	xiaomi_record, xiaomi_history, colmi_frame, colmi_payload, colmi_message, xiaomi_on_air,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] < sizeof(targets) / sizeof(targets[0]))
		targets[data[0]](data + 1, size - 1);
	return 0;
}
