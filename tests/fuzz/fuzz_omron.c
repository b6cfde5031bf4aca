/* links: drivers */
/*
 * Omron cuffs. The first byte chooses (a row of targets[], which only grows at its end):
 *   0 a record, its layout the next byte; 1 a frame; 2 a walk: model, options, then answers, each
 *   led by what becomes of it; 3 reports of the first generation; 4, 5, 6 frames through the
 *   drivers:
 *   Bluetooth, USB, USB of the first generation
 * What is checked: a failure leaves the result alone; a frame encodes to the same bytes; whatever
 * is answered, nothing is asked beside the regions of the model and nothing written beside its
 * windows; no write before the commit; and an end after a bounded number of questions.
 */
#include <string.h>

#include "drivers/registry.h"
#include "drivers/session.h"
#include "protocols/omron/classic.h"
#include "protocols/omron/walk.h"
#include "tests/fuzz/must.h"

#define QUESTIONS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- records and frames ---- */

static void record(const uint8_t *data, size_t len)
{
	struct omron_record x;

	if (len == 0)
		return;
	memset(&x, MUST_UNTOUCHED, sizeof(x));
	if (omron_record_decode((enum omron_layout)(1 + data[0] % (OMRON_LAYOUT_END - 1)), data + 1,
				len - 1, &x) < 0) {
		must_be_untouched(&x, sizeof(x));
		return;
	}
	must(gatt_date_time_valid(&x.time));
	must((x.time.year == 0) == (x.time.month == 0) && (x.time.day == 0) == (x.time.year == 0));
	must(x.truread <= 3 && x.position <= 3);
}

static void frame(const uint8_t *data, size_t len)
{
	uint8_t again[OMRON_FRAME_MAX];
	struct writer w = writer_of(again, sizeof(again));
	struct omron_frame f;

	memset(&f, MUST_UNTOUCHED, sizeof(f));
	if (omron_frame_decode(data, len, &f) < 0) {
		must_be_untouched(&f, sizeof(f));
		return;
	}
	must(omron_frame_encode(&f, &w) == 0 && w.len == len && memcmp(again, data, len) == 0);
}

/* ---- the walk ---- */

static bool is_window(const struct omron_profile *p, struct omron_window w, uint16_t base,
		      const struct omron_frame *f)
{
	(void)p;
	return w.end > 0 && f->address == base + w.start && f->size == w.end - w.start;
}

static bool is_settings(const struct omron_profile *p, uint16_t base, const struct omron_frame *f)
{
	return is_window(p, p->unread, base, f) || is_window(p, p->clock, base, f);
}

static bool is_record(const struct omron_profile *p, const struct omron_frame *f)
{
	for (size_t i = 0; i < omron_profile_regions(p); i++) {
		const unsigned int start = p->regions[i].start;
		const unsigned int end =
			start + (unsigned int)p->regions[i].records * p->record_size;

		if (f->address >= start && f->address + f->size <= end && f->size > 0)
			return true;
	}
	return false;
}

static void check_question(const struct omron_walk *w, bool committed, const struct omron_frame *f)
{
	const struct omron_profile *p = w->profile;

	if (f->command == OMRON_WRITE) {
		must(committed && w->options != 0 && is_settings(p, p->mirror, f));
		return;
	}
	if (f->command == OMRON_READ)
		must(is_record(p, f) || is_settings(p, p->settings, f) ||
		     (committed && is_settings(p, p->mirror, f)));
	else
		must(f->command == OMRON_BEGIN || f->command == OMRON_END);
}

/* an answer that fits, filled from the input; byte: what becomes of it */
static size_t answer(const struct omron_frame *asked, uint8_t byte, const uint8_t *data, size_t len,
		     uint8_t ret[OMRON_FRAME_MAX])
{
	uint8_t payload[OMRON_DATA_MAX] = { 0 };
	struct writer w = writer_of(ret, OMRON_FRAME_MAX);
	struct omron_frame f = { .command = asked->command | OMRON_ANSWER,
				 .address = asked->address,
				 .size = asked->size };

	if (len > 0)
		memcpy(payload, data, len < sizeof(payload) ? len : sizeof(payload));
	if (asked->size > 0 && asked->size <= OMRON_DATA_MAX && (byte & 0x10) == 0) {
		f.data = payload;
		f.len = asked->size;
	} else {
		f.result = byte >> 5;
	}
	if ((byte & 0x0f) == 1)
		f.command ^= 0x8f00;
	if ((byte & 0x0f) == 2)
		f.address++;
	must(omron_frame_encode(&f, &w) == 0);
	if ((byte & 0x0f) == 3)
		ret[w.len - 1] ^= 1;
	return (byte & 0x0f) == 4 ? w.len - 1 : w.len;
}

static void one_step(struct omron_walk *w, bool committed, const uint8_t **data, size_t *len)
{
	uint8_t out[OMRON_FRAME_MAX], in[OMRON_FRAME_MAX];
	struct writer to = writer_of(out, sizeof(out));
	struct omron_step_result s;
	struct omron_frame asked;
	const uint8_t byte = *len > 0 ? (*data)[0] : 5;
	const size_t used = *len > 17 ? 17 : *len;
	size_t n;
	int r;

	must(omron_walk_question(w, &to) == 0);
	must(omron_frame_decode(out, to.len, &asked) == 0);
	check_question(w, committed, &asked);
	if ((byte & 0x0f) == 5) {
		(void)omron_walk_silence(w);
	} else {
		n = answer(&asked, byte, *data + (used > 0), used > 0 ? used - 1 : 0, in);
		r = omron_walk_answer(w, in, n, &s);
		if (r == 0)
			must(s.n * w->profile->record_size <= OMRON_DATA_MAX);
		if (r < 0)
			(void)omron_walk_silence(w);
	}
	*data += used;
	*len -= used;
}

static void walk(const uint8_t *data, size_t len)
{
	const struct gatt_date_time now = { 2026, 11, 23, 9, 8, 7 };
	struct omron_walk w;
	bool committed = false;
	unsigned int n = 0;

	if (len < 2)
		return;
	omron_walk_begin(&w, &omron_profiles[data[0] % omron_n_profiles], data[1] & 3,
			 1 + data[1] / 64);
	data += 2;
	len -= 2;
	while (w.step != OMRON_STEP_OVER && w.step != OMRON_STEP_FAILED) {
		must(n++ < QUESTIONS_MAX);
		if (w.step == OMRON_STEP_COMMIT) {
			committed = true;
			omron_walk_committed(&w, &now);
			continue;
		}
		one_step(&w, committed, &data, &len);
	}
}

/* ---- the first generation ---- */

static void reports(const uint8_t *data, size_t len)
{
	struct omron_classic_answer a;
	enum omron_classic_status status;
	struct gatt_date_time t;
	unsigned int count;
	enum omron_classic_command command;

	if (len == 0)
		return;
	command = (enum omron_classic_command)(data[0] % OMRON_CLASSIC_LAST);
	omron_classic_expect(&a, command, data[0] & 0x80);
	for (data++, len--; len > 0; len -= len < 8 ? len : 8) {
		const int r = omron_classic_report(&a, data, len < 8 ? len : 8, &status);

		must(a.len <= a.want && a.want <= OMRON_ANSWER_MAX);
		must(r <= 1);
		data += len < 8 ? len : 8;
		if (r < 1 || status == OMRON_ANSWER_NO || a.len != a.want)
			continue;
		if ((command == OMRON_ASK_GDC || command == OMRON_ASK_CNT) &&
		    omron_classic_count(&a, command, &count) == 0)
			must(count <= OMRON_READINGS_MAX);
		if (command == OMRON_ASK_GCL && omron_classic_clock(&a, &t) == 0)
			must(t.month != 0 && gatt_date_time_valid(&t));
		omron_classic_expect(&a, command, false);
	}
}

/* ---- drivers ---- */

struct watch {
	bool waits; /* a reading is not durable */
	unsigned int requests;
};

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct watch *w = user;

	(void)seq;
	if (measurement_is_final(m))
		w->waits = true;
}

static bool is_memory_write(const struct session_request *q)
{
	const uint8_t *data = q->data;
	size_t at = 0;

	if (q->len == 64)
		at = 1;
	return q->len > at + 2 && q->channel != 0xb305 && data[at + 1] == 0x01 &&
	       data[at + 2] == 0xc0;
}

static void on_request(void *user, const struct session_request *q)
{
	struct watch *w = user;

	if (q->kind != SESSION_WRITE)
		return;
	w->requests++;
	must(!w->waits || !is_memory_write(q));
	must(q->len < 5 || memcmp(q->data + 2, "MCL", 3) != 0); /* it would erase */
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

/* records of: what | channel | length | bytes */
static void drive(const char *name, const uint16_t *channels, size_t n_channels,
		  const uint8_t *data, size_t len)
{
	struct watch w = { .waits = false };
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .user = &w };
	struct session *s;
	uint64_t seq = 1;
	int64_t now = 0;

	must(session_new(registry_by_name(name), 0, &sink, &seq, &s) == 0);
	session_set_random(s, "0123456789abcdefghij", 20);
	(void)session_open(s, LINK_CABLE, now);
	while (len >= 3 && !session_is_done(s)) {
		const size_t n = data[2] < len - 3 ? data[2] : len - 3;
		const struct drv_frame f = { .channel = channels[data[1] % n_channels],
					     .data = data + 3,
					     .len = n };

		now += 1000;
		if (data[0] % 4 == 0) {
			(void)session_timeout(s, now);
		} else {
			(void)session_frame(s, &f, false, now);
		}
		if (data[0] & 0x80) {
			w.waits = false;
			(void)session_committed(s, seq - 1, now);
		}
		data += 3 + n;
		len -= 3 + n;
	}
	session_free(s);
}

static void drive_ble(const uint8_t *data, size_t len)
{
	static const uint16_t channels[] = { 0x0730, 0x0731, 0x0732, 0x0733,
					     0xb305, 0x2a24, 0x2a25, 0x2a2b };

	drive("omron_ble", channels, sizeof(channels) / sizeof(channels[0]), data, len);
}

static void drive_usb(const uint8_t *data, size_t len)
{
	static const uint16_t channels[] = { DRV_WIRE_REPORT };

	drive("omron_usb", channels, 1, data, len);
}

static void drive_classic(const uint8_t *data, size_t len)
{
	static const uint16_t channels[] = { DRV_WIRE_REPORT };

	drive("omron_usb_classic", channels, 1, data, len);
}

static void (*const targets[])(const uint8_t *data, size_t len) = {
	record, frame, walk, reports, drive_ble, drive_usb, drive_classic,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] < sizeof(targets) / sizeof(targets[0]))
		targets[data[0]](data + 1, size - 1);
	return 0;
}
