/* links: drivers */
/*
 * Cuffs on wires. The first byte chooses:
 *   0 serial Beurer record, 1 HID Beurer record, 2 BM96 row, 3 Microlife answer as it comes,
 *   4 Microlife answer with 06 and the sum made right, 5 Microlife payload, made a frame of
 *   16 to 20: the dialogue of beurer_serial, beurer_hid, beurer_cardio, microlife, microlife_bt;
 *   records of: what u8 | length u8 | bytes; what: 0 a frame, 1 the timer, 2 everything is durable;
 *   a frame of what 3 is made long (its length counts blocks of 16)
 * What is checked: a failure leaves the result alone; what decodes holds together; a reading that
 * is said has a pressure and a time that can be; no command is ever sent but those that are known
 * to read (and Microlife's clock, once and only after everything is durable); a dialogue whose
 * timer fires often enough comes to its end.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/beurer/cuff.h"
#include "protocols/microlife/cuff.h"
#include "protocols/microlife/frame.h"
#include "tests/fuzz/play.h"

#define TIMER_MAX 4096 /* firings until the end: one for each record that is asked for, at most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- records ---- */

static void check_reading(const struct beurer_reading *x)
{
	must(x->systolic > 0 && x->systolic <= 280 && x->diastolic > 0 && x->diastolic <= 280);
	must(x->year >= 2000 && x->year <= 2255 && x->month <= 12 && x->day <= 31);
	must(x->hour < 24 && x->minute < 60);
}

static void beurer_serial(const uint8_t *data, size_t len)
{
	struct beurer_reading x;

	memset(&x, MUST_UNTOUCHED, sizeof(x));
	if (beurer_serial_decode(data, len, &x) < 0) {
		must_be_untouched(&x, sizeof(x));
		return;
	}
	check_reading(&x);
	must(x.user == 0 && x.systolic == data[1] + 25 && x.diastolic == data[2] + 25);
}

static void beurer_hid(const uint8_t *data, size_t len)
{
	struct beurer_reading x;

	memset(&x, MUST_UNTOUCHED, sizeof(x));
	if (beurer_hid_decode(data, len, &x) < 0) {
		must_be_untouched(&x, sizeof(x));
		return;
	}
	check_reading(&x);
	must(x.year <= 2127 && x.user == 1 + (data[4] >> 7) && x.movement == data[3] >> 7 &&
	     x.irregular == data[7] >> 7);
}

static void beurer_cardio(const uint8_t *data, size_t len)
{
	struct beurer_row x;

	memset(&x, MUST_UNTOUCHED, sizeof(x));
	if (beurer_cardio_decode(data, len, &x) < 0) {
		must_be_untouched(&x, sizeof(x));
		return;
	}
	must(x.user == data[0] && x.row == data[1]);
	if (x.sensor == BEURER_PRESSURE)
		check_reading(&x.reading);
}

static void check_memory(const uint8_t *text, size_t len)
{
	struct microlife_reading x;
	size_t count = SIZE_MAX;

	if (microlife_memory(text, len, &count) < 0) {
		must(count == SIZE_MAX);
		return;
	}
	must(count <= MICROLIFE_RECORDS_MAX);
	for (size_t i = 0; i < count; i++) {
		memset(&x, MUST_UNTOUCHED, sizeof(x));
		if (microlife_record(text, i, &x) < 0)
			must_be_untouched(&x, sizeof(x));
		else
			must(x.systolic > 0 && x.systolic < 1023 && x.diastolic > 0 &&
			     x.pulse < 1023 && x.month <= 12 && x.day <= 31 && x.hour < 24);
	}
}

static void check_clock(const uint8_t *text, size_t len)
{
	uint8_t data[MICROLIFE_SETTING_SIZE + 1] = { MICROLIFE_ACK };
	struct writer w = writer_of(data + 1, MICROLIFE_SETTING_SIZE);
	struct microlife_time t, again;
	const uint8_t *back;
	size_t back_len;

	memset(&t, MUST_UNTOUCHED, sizeof(t));
	if (microlife_clock(text, len, &t) < 0) {
		must_be_untouched(&t, sizeof(t));
		return;
	}
	if (microlife_setting(&t, text, len, &w) < 0)
		return;
	/* what we send is an answer that says the same */
	must(microlife_answer(data, 1 + w.len, &back, &back_len) == 0);
	must(microlife_clock(back, back_len, &again) == 0 && again.year == t.year &&
	     again.month == t.month && again.day == t.day && again.hour == t.hour &&
	     again.minute == t.minute && again.second == t.second);
}

static void microlife(const uint8_t *data, size_t len)
{
	const uint8_t *text;
	size_t n;

	if (microlife_answer(data, len, &text, &n) < 0)
		return;
	must(text > data && n + 3 == len);
	check_memory(text, n);
	check_clock(text, n);
}

static void microlife_made_right(const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	uint8_t sum = 0, *whole = malloc(len + 3);

	must(whole != NULL);
	whole[0] = MICROLIFE_ACK;
	for (size_t i = 0; i < len; i++) {
		whole[1 + i] = data[i];
		sum = (uint8_t)(sum + data[i]);
	}
	whole[1 + len] = (uint8_t)digits[sum >> 4];
	whole[2 + len] = (uint8_t)digits[sum & 15];
	microlife(whole, len + 3);
	free(whole);
}

static void check_frame(const uint8_t *frame, size_t len)
{
	struct microlife_reading x;
	const uint8_t *payload;
	unsigned int flags;
	size_t n, count;
	uint8_t user;

	if (microlife_frame_decode(frame, len, &payload, &n) < 0)
		return;
	must(payload == frame + MICROLIFE_FRAME_HEADER && n + MICROLIFE_FRAME_HEADER + 1 == len);
	if (microlife_frame_user(payload, n, &user) == 0)
		must(user == 1 || user == 2);
	if (microlife_frame_memory(payload, n, &count) < 0)
		return;
	must(MICROLIFE_FRAME_HEAD + count * MICROLIFE_FRAME_RECORD == n);
	for (size_t i = 0; i < count; i++) {
		memset(&x, MUST_UNTOUCHED, sizeof(x));
		if (microlife_frame_record(payload, i, &x, &flags) < 0)
			must_be_untouched(&x, sizeof(x));
		else
			must(x.systolic > 0 && x.diastolic > 0 && x.month <= 12 && x.day <= 31);
	}
}

static void microlife_frame(const uint8_t *data, size_t len)
{
	const size_t whole = MICROLIFE_FRAME_HEADER + len + 1;
	uint8_t *frame = malloc(whole);
	struct writer w = writer_of(frame, whole);
	uint8_t sum = 0;

	must(frame != NULL);
	writer_be16(&w, 0x4d3a);
	writer_be16(&w, (uint16_t)(len + 1));
	writer_bytes(&w, data, len);
	for (size_t i = 0; i < w.len; i++)
		sum = (uint8_t)(sum + frame[i]);
	writer_u8(&w, sum);
	must(writer_ok(&w));
	check_frame(frame, whole);
	free(frame);
}

/* ---- dialogues ---- */

struct watch {
	struct session *session;
	uint64_t next_seq, committed, last_reading;
	unsigned int which; /* of names[] */
	unsigned int settings;
};

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct watch *w = user;

	must(m->metric == METRIC_BLOOD_PRESSURE && m->n_parts == 3);
	must(m->parts[0].number.absent == ABSENT_NO && m->parts[0].number.value.mantissa > 0);
	must(m->parts[1].number.absent == ABSENT_NO && m->parts[1].number.value.mantissa > 0);
	must(m->time.kind == DEVICE_TIME_LOCAL && m->time.month <= 12 && m->time.day <= 31);
	must(m->time.hour < 24 && m->time.minute < 60 && m->time.second == 0);
	must((m->flags & FLAG_BIT(FLAG_BACKFILL)) != 0);
	if (measurement_is_final(m))
		w->last_reading = seq;
}

static void check_beurer(const uint8_t *command, size_t len)
{
	must(len > 0 && command[0] != 0);
	must((command[0] >= BEURER_COUNT && command[0] <= 0xa7) || command[0] == BEURER_HELLO ||
	     command[0] == BEURER_END || command[0] == BEURER_OVER);
}

static void check_microlife(struct watch *w, const uint8_t *command, size_t len)
{
	if (len == MICROLIFE_SETTING_SIZE) {
		must(w->settings == 1);
		return;
	}
	must(len == 4 && command[0] == 0x12 && command[1] == 0x16 && command[2] == 0x18);
	must(command[3] == 0x22 || command[3] == 0x26 || command[3] == 0x27);
	if (command[3] == 0x27)
		must(w->settings++ == 0 && w->last_reading <= w->committed);
}

static void check_question(const uint8_t *question, size_t len)
{
	static const uint8_t user[] = { 0x4d, 0xff, 0, 2, 5, 0x53 };
	static const uint8_t memory[] = { 0x4d, 0xff, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0xfd, 0x52 };

	must((len == sizeof(user) && memcmp(question, user, len) == 0) ||
	     (len == sizeof(memory) && memcmp(question, memory, len) == 0));
}

static void on_request(void *user, const struct session_request *request)
{
	struct watch *w = user;

	if (request->kind != SESSION_WRITE)
		return;
	switch (w->which) {
	case 0:
		check_beurer(request->data, request->len);
		break;
	case 3:
		check_microlife(w, request->data, request->len);
		break;
	case 4:
		check_question(request->data, request->len);
		break;
	default:
		check_beurer(request->data + 1, request->len == 9 ? 8 : 0);
	}
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	must(r < 0 && fault < FAULT_END);
}

/* the one that speaks */
static uint16_t channel_of(const struct driver *driver)
{
	const struct drv_channel *c = driver->channels;

	while (c->mode != DRV_NOTIFY)
		c++;
	return c->id;
}

static void give(struct watch *w, const uint8_t *data, size_t len, size_t times, int64_t now)
{
	uint8_t *copy = malloc(len * times + 1); /* exact but for an empty one */
	const struct drv_frame frame = { channel_of(session_driver(w->session)), copy,
					 len * times };

	must(copy != NULL);
	for (size_t i = 0; i < times && len > 0; i++)
		memcpy(copy + i * len, data, len);
	(void)session_frame(w->session, &frame, false, now);
	free(copy);
}

static void commit(struct watch *w, int64_t now)
{
	w->committed = w->next_seq - 1;
	(void)session_committed(w->session, w->committed, now);
}

static int64_t play(struct watch *w, const uint8_t *data, size_t size)
{
	int64_t now = 0;

	while (size >= 2 && !session_is_done(w->session)) {
		const uint8_t what = data[0] % 4;
		const size_t len = data[1] < size - 2 ? data[1] : size - 2;
		const bool frame = what == 0 || what == 3;

		now += 10000;
		if (what == 1)
			(void)session_timeout(w->session, now += 1000000);
		else if (what == 2)
			commit(w, now);
		else
			give(w, data + 2, len, what == 3 ? 16 : 1, now);
		data += frame ? 2 + len : 2;
		size -= frame ? 2 + len : 2;
	}
	return now;
}

/* Nobody answers any more. */
static void end(struct watch *w, int64_t now)
{
	for (unsigned int i = 0; i < TIMER_MAX && !session_is_done(w->session); i++) {
		commit(w, now);
		(void)session_timeout(w->session, now += 1000000);
	}
	must(session_is_done(w->session));
	session_close(w->session, now);
	session_free(w->session);
}

static void dialogue(unsigned int which, const uint8_t *data, size_t len)
{
	static const char *const names[] = { "beurer_serial", "beurer_hid", "beurer_cardio",
					     "microlife", "microlife_bt" };
	struct watch w = { .next_seq = 1, .which = which };
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = play_never_confirms,
					   .fault = on_fault,
					   .user = &w };

	w.session = play_begin(names[which], which == 3, &sink, &w.next_seq, 0);
	(void)session_open(w.session, LINK_CABLE, 0);
	end(&w, play(&w, data, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const records[])(const uint8_t *data, size_t len) = {
		beurer_serial, beurer_hid,           beurer_cardio,
		microlife,     microlife_made_right, microlife_frame,
	};

	if (size == 0)
		return 0;
	if (data[0] < sizeof(records) / sizeof(records[0]))
		records[data[0]](data + 1, size - 1);
	else if (data[0] >= 16 && data[0] <= 20)
		dialogue(data[0] - 16U, data + 1, size - 1);
	return 0;
}
