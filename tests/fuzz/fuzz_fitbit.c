/* links: protocols */
/*
 * Fitbit. The first byte chooses (a row of targets[], which only grows at its end):
 *   0 dump as it comes, 1 dump with its length and CRC made right, so that the fuzzer reaches what
 *   stands behind them, 2 control message, 3 packets of a dump, each behind its length
 * What is checked: a failure leaves the result alone and gives no record; what is read can be read
 * again with the same result; what decodes encodes to the same bytes; a transfer that is complete
 * gives back what its packets held.
 */
#include <stdlib.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"

#define DUMP_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
	if (!truth)
		abort();
}

static void must_be_untouched(const void *x, size_t size)
{
	const uint8_t *bytes = x;

	for (size_t i = 0; i < size; i++)
		must(bytes[i] == 0xa5);
}

static const uint8_t key[FITBIT_KEY_SIZE] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
};

struct heard {
	size_t n;
	uint32_t sum; /* CRC of everything that was said */
};

static void check_minute(struct heard *h, const struct fitbit_minute *m)
{
	must(m->state >= 0x80);
	must(m->has_time || m->time == 0);
	h->sum = crc_32_iso_hdlc_add(h->sum, &m->time, sizeof(m->time));
}

static int hear(void *user, const struct fitbit_record *r)
{
	struct heard *h = user;

	must((r->kind == FITBIT_DEVICE) == (h->n == 0));
	must((r->kind == FITBIT_DEVICE) == !r->bytes);
	must(r->len <= FITBIT_RECORD_MAX);
	if (r->bytes)
		h->sum = crc_32_iso_hdlc_add(h->sum, r->bytes, r->len);
	if (r->kind == FITBIT_MINUTE)
		check_minute(h, &r->minute);
	if (r->kind == FITBIT_ALARM)
		must(!r->alarm.known || r->alarm.seconds < 86400);
	if (r->kind == FITBIT_DEVICE)
		must(r->device.percent <= 100);
	h->n++;
	return 0;
}

static void dump(const uint8_t *data, size_t len)
{
	struct heard one = { 0 }, two = { 0 };
	struct fitbit_dump d;
	int r;

	memset(&d, 0xa5, sizeof(d));
	if (fitbit_dump_recognise(data, len, &d) < 0) {
		must_be_untouched(&d, sizeof(d));
		return;
	}
	r = fitbit_dump_read(&d, key, hear, &one);
	must(fitbit_dump_read(&d, key, NULL, NULL) == r);
	must(fitbit_dump_read(&d, key, hear, &two) == r);
	must(one.n == two.n && one.sum == two.sum);
	must(r == 0 ? one.n > 0 : one.n == 0);
}

/*
 * Length and CRC by the rule, without the walk of the decoder: drop c0, drop the markers, undo the
 * escapes; whatever the fuzzer made of the structure.
 */
static size_t logical_of(const uint8_t *body, size_t len, uint8_t *to)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (body[i] == 0xc0 && len - i > 3 && memcmp(body + i + 1, "\xdb\xdc\xdd", 3) == 0)
			i += 3;
		else if (body[i] == 0xdb && i + 1 < len)
			to[n++] = body[++i] == 0xdc ? 0xc0 : 0xdb;
		else if (body[i] != 0xc0)
			to[n++] = body[i];
	}
	return n;
}

static void fixed(const uint8_t *data, size_t len)
{
	uint8_t copy[DUMP_MAX], logical[DUMP_MAX];
	uint16_t crc;
	size_t n;

	if (len < 124 + 11 || len > DUMP_MAX)
		return;
	memcpy(copy, data, len);
	memcpy(logical, data, 124);
	n = 124 + logical_of(data + 124, len - 124 - 11, logical + 124);
	crc = crc_16_xmodem(logical, n);
	memset(copy + len - 11, 0, 8);
	copy[len - 11] = (uint8_t)crc;
	copy[len - 10] = (uint8_t)(crc >> 8);
	copy[len - 3] = (uint8_t)n;
	copy[len - 2] = (uint8_t)(n >> 8);
	copy[len - 1] = (uint8_t)(n >> 16);
	dump(copy, len);
}

static void control(const uint8_t *data, size_t len)
{
	struct fitbit_control m;
	uint8_t back[FITBIT_PACKET_MAX];
	struct writer w = writer_of(back, sizeof(back));

	memset(&m, 0xa5, sizeof(m));
	if (fitbit_control_decode(data, len, &m) < 0) {
		must_be_untouched(&m, sizeof(m));
		return;
	}
	if (m.kind == FITBIT_UPLOAD_ACCEPTED || m.kind == FITBIT_CHUNK_ACCEPTED)
		return;
	must(fitbit_control_encode(&m, &w) == 0);
	must(w.len == len && memcmp(back, data, len) == 0);
}

static void check_cut(const uint8_t *data, size_t len)
{
	uint8_t packet[FITBIT_PACKET_MAX], back[FITBIT_PACKET_MAX];
	size_t taken;

	for (; len > 0; data += taken, len -= taken) {
		struct writer w = writer_of(packet, sizeof(packet));
		struct writer b = writer_of(back, sizeof(back));

		must(fitbit_packet_encode(data, len, &w, &taken) == 0);
		must(taken > 0 && taken <= len);
		must(fitbit_packet_decode(packet, w.len, &b) == 0);
		must(b.len == taken && memcmp(back, data, taken) == 0);
	}
}

static void transfer(const uint8_t *data, size_t len)
{
	uint8_t buf[DUMP_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct fitbit_transfer t = fitbit_transfer_of(&w, FITBIT_MEGADUMP);

	while (len > 0) {
		const size_t n = data[0] < len ? data[0] : len - 1;

		if (fitbit_transfer_packet(&t, data + 1, n) < 0)
			return;
		data += 1 + n;
		len -= 1 + n;
	}
	must(writer_ok(&w));
	if (t.complete)
		check_cut(buf, w.len);
}

static void (*const targets[])(const uint8_t *data, size_t len) = { dump, fixed, control,
								    transfer };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] < sizeof(targets) / sizeof(targets[0]))
		targets[data[0]](data + 1, size - 1);
	return 0;
}
