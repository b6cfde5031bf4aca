#include "protocols/beurer/dialogue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define ANSWER_MS    1000
#define SILENCE_MS   200
#define DISORDER_MS  500
#define END_MS       50
#define ATTEMPTS_MAX 5
#define IDENTITY_MIN 4
#define FLAG         0x80U
#define MONTH        3
#define YEAR         7

/* ---- moves ---- */

static void ask(struct beurer_move *m, uint8_t command, unsigned int wait_ms)
{
	m->ask[m->n_ask++] = command;
	m->wait_ms = wait_ms;
}

static void ask_record(const struct beurer_dialogue *d, struct beurer_move *m)
{
	ask(m, BEURER_RECORD, ANSWER_MS);
	m->ask[m->n_ask++] = d->index;
}

static void say_hello(struct beurer_dialogue *d, struct beurer_move *m)
{
	d->step = BEURER_AT_HELLO;
	d->attempts++;
	ask(m, BEURER_HELLO, ANSWER_MS);
}

static void hang_up(struct beurer_dialogue *d, struct beurer_move *m)
{
	d->step = BEURER_AT_OVER;
	m->over = true;
}

static void begin_again(struct beurer_dialogue *d, struct beurer_move *m)
{
	if (d->attempts >= ATTEMPTS_MAX) {
		hang_up(d, m);
		return;
	}
	d->step = BEURER_AT_DISORDER;
	m->wait_ms = DISORDER_MS;
}

static void end(struct beurer_dialogue *d, struct beurer_move *m)
{
	if (!d->hid) { /* none of the known programs says more to these */
		hang_up(d, m);
		return;
	}
	d->step = BEURER_AT_END;
	d->chunk = 0;
	ask(m, BEURER_END, END_MS);
}

static void ask_count(struct beurer_dialogue *d, struct beurer_move *m)
{
	d->step = BEURER_AT_COUNT;
	ask(m, BEURER_COUNT, ANSWER_MS);
}

/* ---- what it is ---- */

/* Behind a serial adapter anything may be; a HID cuff has a number of its own, and what the
 * relatives of the BM58 call themselves is not known. */
static bool is_cuff(const struct beurer_dialogue *d)
{
	static const char andon[] = "Andon Blood Pressure Meter";

	if (d->hid)
		return strlen(d->identity) >= IDENTITY_MIN;
	return strncmp(d->identity, andon, strlen(andon)) == 0;
}

/* Only what is printed; padded with f4 (HID) or blanks. False: no text. */
static bool add_identity(char *text, const uint8_t *data, size_t len)
{
	const size_t have = strlen(text);

	while (len > 0 && (data[len - 1] == BEURER_IDLE || data[len - 1] == 0))
		len--;
	for (size_t i = 0; i < len; i++) {
		if (data[i] < ' ' || data[i] > '~')
			return false;
		text[have + i] = (char)data[i];
	}
	text[have + len] = '\0';
	return true;
}

static int on_identity(struct beurer_dialogue *d, const uint8_t *data, size_t len,
		       struct beurer_move *m)
{
	const bool text = add_identity(d->identity, data, len);

	if (text && d->hid && d->chunk < 3) {
		d->chunk++;
		ask(m, (uint8_t)(BEURER_IDENTITY + d->chunk), ANSWER_MS);
		return 0;
	}
	if (!text || !is_cuff(d)) {
		hang_up(d, m);
		return -ENOMSG;
	}
	d->known = m->identified = true;
	d->second = false;
	ask_count(d, m);
	return 0;
}

/* ---- the memory ---- */

static int on_count(struct beurer_dialogue *d, uint8_t count, struct beurer_move *m)
{
	if (d->second && count != d->count) {
		begin_again(d, m);
		return -EBADMSG;
	}
	d->count = count;
	d->index = 1;
	if (count > 0) {
		d->step = BEURER_AT_RECORDS;
		ask_record(d, m);
	} else if (d->second) {
		end(d, m);
	} else {
		d->second = true;
		ask_count(d, m);
	}
	return 0;
}

/* Equal in all that tells records apart: the flags of the HID ones do not. */
static bool is_same(const struct beurer_dialogue *d, const uint8_t *a, const uint8_t *b)
{
	const uint8_t ignored = d->hid ? FLAG : 0;

	for (size_t i = 0; i < BEURER_BODY_SIZE; i++) {
		const uint8_t differ = a[i] ^ b[i];

		if (differ && !((i == MONTH || i == YEAR) && differ == ignored))
			return false;
	}
	return true;
}

static unsigned int repeats(const struct beurer_dialogue *d)
{
	const uint8_t *record = d->records[d->index - 1];
	unsigned int n = 0;

	for (unsigned int i = 0; i + 1 < d->index; i++)
		n += is_same(d, d->records[i], record);
	return n;
}

static void next_record(struct beurer_dialogue *d, struct beurer_move *m)
{
	if (d->index < d->count) {
		d->index++;
		ask_record(d, m);
	} else if (d->second) {
		end(d, m);
	} else {
		d->second = true;
		ask_count(d, m);
	}
}

/* Of a serial answer without its first byte; a cuff without this record says one byte. */
static void body_of(const struct beurer_dialogue *d, const uint8_t *data, size_t len,
		    uint8_t ret[BEURER_BODY_SIZE])
{
	memset(ret, BEURER_IDLE, BEURER_BODY_SIZE);
	if (d->hid)
		memcpy(ret, data, BEURER_BODY_SIZE);
	else if (len == BEURER_SERIAL_SIZE)
		memcpy(ret, data + 1, BEURER_BODY_SIZE);
}

static int decode(const struct beurer_dialogue *d, const uint8_t *data, size_t len,
		  struct beurer_reading *ret)
{
	const int r =
		d->hid ? beurer_hid_decode(data, len, ret) : beurer_serial_decode(data, len, ret);

	return r == -ENOENT ? -EBADMSG : r; /* it had counted this record */
}

static int on_record(struct beurer_dialogue *d, const uint8_t *data, size_t len,
		     struct beurer_move *m)
{
	uint8_t body[BEURER_BODY_SIZE], *known = d->records[d->index - 1];
	int r = 0;

	body_of(d, data, len, body);
	if (!d->second) {
		memcpy(known, body, sizeof(body));
	} else if (memcmp(known, body, sizeof(body)) != 0) {
		begin_again(d, m);
		return -EBADMSG;
	} else {
		r = decode(d, data, len, &m->reading);
		m->has_reading = r == 0;
		m->repeat = repeats(d);
	}
	next_record(d, m);
	return r;
}

/* ---- events ---- */

void beurer_dialogue_begin(struct beurer_dialogue *d, bool hid, struct beurer_move *ret)
{
	*d = (struct beurer_dialogue){ .hid = hid };
	*ret = (struct beurer_move){ 0 };
	say_hello(d, ret);
}

size_t beurer_dialogue_awaits(const struct beurer_dialogue *d, uint8_t first)
{
	switch (d->step) {
	case BEURER_AT_IDENTITY:
		return BEURER_IDENTITY_SIZE;
	case BEURER_AT_RECORDS:
		return first == BEURER_HAS_RECORD ? BEURER_SERIAL_SIZE : 1;
	case BEURER_AT_HELLO:
	case BEURER_AT_SILENCE:
	case BEURER_AT_COUNT:
	case BEURER_AT_DISORDER:
	case BEURER_AT_END:
	case BEURER_AT_OVER:
		break;
	}
	return 1;
}

static int on_hello(struct beurer_dialogue *d, uint8_t answer, struct beurer_move *m)
{
	if (answer != BEURER_HERE)
		return -ENOMSG; /* it still has until the timeout */
	d->step = BEURER_AT_SILENCE;
	m->wait_ms = SILENCE_MS;
	return 0;
}

static int take(struct beurer_dialogue *d, const uint8_t *data, size_t len, struct beurer_move *m)
{
	switch (d->step) {
	case BEURER_AT_HELLO:
		return on_hello(d, data[0], m);
	case BEURER_AT_SILENCE: /* aa was said more than once */
		return data[0] == BEURER_HERE ? 0 : -ENOMSG;
	case BEURER_AT_IDENTITY:
		return on_identity(d, data, len, m);
	case BEURER_AT_COUNT:
		return on_count(d, data[0], m);
	case BEURER_AT_RECORDS:
		return on_record(d, data, len, m);
	case BEURER_AT_END: /* what it says to a farewell matters to nobody */
		return 0;
	case BEURER_AT_DISORDER:
	case BEURER_AT_OVER:
		break;
	}
	return -ENOMSG;
}

int beurer_dialogue_answer(struct beurer_dialogue *d, const uint8_t *data, size_t len,
			   struct beurer_move *ret)
{
	*ret = (struct beurer_move){ 0 };
	if (len == 0 || len != (d->hid ? BEURER_HID_SIZE : beurer_dialogue_awaits(d, data[0])))
		return -EMSGSIZE;
	if (d->hid && beurer_is_idle(data, len))
		return 0;
	return take(d, data, len, ret);
}

int beurer_dialogue_disorder(struct beurer_dialogue *d, struct beurer_move *ret)
{
	*ret = (struct beurer_move){ 0 };
	switch (d->step) {
	case BEURER_AT_IDENTITY:
	case BEURER_AT_COUNT:
	case BEURER_AT_RECORDS:
		begin_again(d, ret);
		return -EBADMSG;
	case BEURER_AT_HELLO:
	case BEURER_AT_SILENCE:
	case BEURER_AT_DISORDER:
	case BEURER_AT_END:
	case BEURER_AT_OVER:
		break;
	}
	return 0;
}

static int on_silence(struct beurer_dialogue *d, struct beurer_move *m)
{
	d->step = BEURER_AT_IDENTITY;
	d->chunk = 0;
	d->identity[0] = '\0';
	ask(m, BEURER_IDENTITY, ANSWER_MS);
	return 0;
}

static int on_no_answer(struct beurer_dialogue *d, struct beurer_move *m)
{
	begin_again(d, m);
	return m->over && d->known ? -ETIMEDOUT : 0;
}

static int on_end(struct beurer_dialogue *d, struct beurer_move *m)
{
	if (d->chunk++ == 0)
		ask(m, BEURER_OVER, END_MS);
	else
		hang_up(d, m);
	return 0;
}

int beurer_dialogue_timeout(struct beurer_dialogue *d, struct beurer_move *ret)
{
	*ret = (struct beurer_move){ 0 };
	switch (d->step) {
	case BEURER_AT_SILENCE:
		return on_silence(d, ret);
	case BEURER_AT_IDENTITY:
	case BEURER_AT_COUNT:
	case BEURER_AT_RECORDS:
		return on_no_answer(d, ret);
	case BEURER_AT_HELLO:
		if (d->attempts >= ATTEMPTS_MAX)
			return on_no_answer(d, ret);
		say_hello(d, ret);
		return 0;
	case BEURER_AT_DISORDER:
		say_hello(d, ret);
		return 0;
	case BEURER_AT_END:
		return on_end(d, ret);
	case BEURER_AT_OVER:
		break;
	}
	return 0;
}
