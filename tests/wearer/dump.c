/*
 * The tracker's memory as bytes, from the description of the format (protocols/fitbit/dump.h), not
 * from the decoder.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/writer.h"
#include "protocols/fitbit/cipher.h"
#include "protocols/fitbit/dump.h"
#include "tests/wearer/private.h"

#define FORMAT      0x2c
#define HEADER_SIZE 16
#define STATIC_SIZE 108
#define END         0xc0
#define ESCAPE      0xdb
#define SNAPSHOTS   (WEARER_DAYS_MAX + WEARER_SYNCS_MAX + 1)

/* Length and checksum count what is meant, not how it is framed. */
struct maker {
	struct writer out;
	uint32_t counted;
	uint16_t crc;
	uint8_t product;
};

static void count(struct maker *m, uint8_t byte)
{
	m->counted++;
	m->crc = crc_16_xmodem_add(m->crc, &byte, 1);
}

static void put_clear(struct maker *m, uint8_t byte)
{
	count(m, byte);
	writer_u8(&m->out, byte);
}

static void put(struct maker *m, uint8_t byte)
{
	count(m, byte);
	if (byte != END && byte != ESCAPE) {
		writer_u8(&m->out, byte);
		return;
	}
	writer_u8(&m->out, ESCAPE);
	writer_u8(&m->out, byte == END ? 0xdc : 0xdd);
}

static void put_le(struct maker *m, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		put(m, (uint8_t)(value >> 8 * i));
}

static void put_zeros(struct maker *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		put_clear(m, 0);
}

static void section_begin(struct maker *m)
{
	static const uint8_t mark[] = { END, ESCAPE, 0xdc, 0xdd };

	writer_bytes(&m->out, mark, sizeof(mark));
}

static void section_end(struct maker *m)
{
	writer_u8(&m->out, END);
}

/* ---- header and static block ---- */

static void put_header(struct maker *m, const struct wearer_tracker *t)
{
	const uint8_t first[] = { t->format ? t->format : FORMAT, 2, 0, 0, t->key != NULL, 0 };

	for (size_t i = 0; i < sizeof(first); i++)
		put_clear(m, first[i]);
	for (size_t i = 0; i < sizeof(t->nonce); i++)
		put_clear(m, t->key ? t->nonce[i] : 0);
	for (size_t i = 0; i < sizeof(t->serial); i++)
		put_clear(m, t->serial[i]);
	put_clear(m, t->product);
}

/* loader and application 7.88; the texts are nobody's */
static void put_static(struct maker *m, const struct wearer_tracker *t)
{
	static const char texts[] = "HELLO     ONE       TWO       THREE     ";
	const uint16_t battery_mv = (uint16_t)(3500 + 6 * t->battery_percent);
	uint8_t block[STATIC_SIZE] = { 7, 88, 7, 88, [14] = 0x14, [15] = 0x14 };

	block[16] = (uint8_t)battery_mv;
	block[17] = (uint8_t)(battery_mv >> 8);
	block[19] = t->battery_percent;
	block[24] = WEARER_STRIDE_MM & 0xff;
	block[25] = WEARER_STRIDE_MM >> 8;
	block[26] = 1000 & 0xff;
	block[27] = 1000 >> 8;
	memcpy(block + 44, texts, sizeof(texts) - 1);
	for (size_t i = 0; i < sizeof(block); i++)
		put_clear(m, block[i]);
}

/* ---- sections ---- */

static void put_events(struct maker *m, int64_t at)
{
	section_begin(m);
	put_le(m, (uint32_t)at, 4);
	put_le(m, 5, 8);
	put_le(m, 0, m->product == FITBIT_ZIP ? 1 : 3);
	section_end(m);
}

static void put_minute(struct maker *m, const struct wearer_minute *x)
{
	put(m, m->product == FITBIT_FLEX ? x->state : 0x81);
	put(m, x->met_tenths);
	put(m, x->steps);
	if (m->product == FITBIT_FLEX)
		put(m, x->motion);
	else if (m->product == FITBIT_ONE)
		put(m, x->motion ? (uint8_t)(1 + x->motion % 7) : 1);
}

/* The oldest minute that is still in the memory at `end`. */
static size_t oldest(const struct wearer *w, size_t end)
{
	unsigned int kept = 0;
	size_t i = end;

	while (i > 0 && kept < w->memory_minutes) {
		i--;
		kept += w->minutes[i].recorded;
	}
	return i;
}

/* Each run begins with the time of its first minute. */
static void put_minutes(struct maker *m, const struct wearer *w, int64_t now)
{
	const size_t end = (size_t)((now - w->start + WEARER_MINUTE_S - 1) / WEARER_MINUTE_S);
	bool running = false;

	section_begin(m);
	for (size_t i = oldest(w, end); i < end; i++) {
		const struct wearer_minute x = wearer_so_far(w, i, now);
		const int64_t at = w->start + (int64_t)i * WEARER_MINUTE_S;

		for (unsigned int k = 0; x.recorded && !running && k < 4; k++)
			put(m, (uint8_t)(at >> (24 - 8 * k)));
		running = x.recorded;
		if (running)
			put_minute(m, &x);
	}
	section_end(m);
}

static void put_snapshot(struct maker *m, const struct wearer *w, int64_t at)
{
	struct wearer_day day = { 0 };

	/* one taken at midnight is of the day that ends there */
	for (unsigned int d = 0; d < w->n_days; d++)
		if (at > w->midnights[d] && at <= w->midnights[d + 1])
			(void)wearer_day(w, d, at, &day);
	put_le(m, (uint32_t)at, 4);
	put_le(m, day.met_tenths, 2);
	put_le(m, day.steps, 4);
	put_le(m, day.distance_mm, 4);
	put_le(m, day.floors_tenths, 2);
	if (m->product == FITBIT_FLEX)
		put_le(m, day.active_minutes, 4);
}

/* Midnights that it was awake at, syncs, and now: in the order in which they were. */
static void put_days(struct maker *m, const struct wearer *w, int64_t now)
{
	int64_t at[SNAPSHOTS];
	size_t n = 0;

	for (unsigned int d = 1; d <= w->n_days; d++)
		if (w->midnights[d] < now && wearer_alive(w, w->midnights[d] - 1))
			at[n++] = w->midnights[d];
	for (size_t i = 0; i < w->n_syncs; i++)
		if (w->syncs[i] < now)
			at[n++] = w->syncs[i];
	at[n++] = now;
	assert(n <= SNAPSHOTS);
	section_begin(m);
	for (int64_t last = 0; n > 0; n--) {
		size_t first = 0;

		for (size_t i = 1; i < n; i++)
			if (at[i] < at[first])
				first = i;
		if (at[first] != last)
			put_snapshot(m, w, at[first]);
		last = at[first];
		at[first] = at[n - 1];
	}
	section_end(m);
}

static void put_body(struct maker *m, const struct wearer *w, int64_t now)
{
	put_events(m, w->start);
	put_minutes(m, w, now);
	section_begin(m); /* floors: empty in all that were ever seen */
	section_end(m);
	put_days(m, w, now);
	put_zeros(m, 4);
	section_begin(m); /* alarms */
	section_end(m);
}

/* ---- the end ---- */

static void encrypt(struct maker *m, const uint8_t *key, uint8_t tag[FITBIT_TAG_SIZE])
{
	const struct fitbit_cipher xtea = fitbit_xtea(key);
	const struct fitbit_eax eax = { .nonce = m->out.data + 6, .nonce_len = FITBIT_NONCE_SIZE };
	struct fitbit_stream s = fitbit_stream_begin(&xtea, &eax);

	while ((m->out.len - HEADER_SIZE) % FITBIT_XTEA_BLOCK != 0 && writer_ok(&m->out))
		writer_u8(&m->out, 0);
	for (size_t i = HEADER_SIZE; i < m->out.len; i++)
		m->out.data[i] ^= fitbit_stream_next(&s);
	fitbit_eax_tag(&xtea, &eax, m->out.data + HEADER_SIZE, m->out.len - HEADER_SIZE, tag);
}

static void put_end(struct maker *m, const struct wearer_tracker *t)
{
	uint8_t check[FITBIT_TAG_SIZE] = { (uint8_t)m->crc, (uint8_t)(m->crc >> 8) };

	if (t->key)
		encrypt(m, t->key, check);
	writer_bytes(&m->out, check, sizeof(check));
	writer_le24(&m->out, m->counted);
}

int wearer_dump(const struct wearer *w, int64_t now, const struct wearer_tracker *tracker,
		uint8_t *buf, size_t size, size_t *ret_len)
{
	struct maker m = { .out = writer_of(buf, size), .product = tracker->product };

	if (now <= w->start || now > w->midnights[w->n_days] || !wearer_alive(w, now - 1))
		return -ENODATA;
	put_header(&m, tracker);
	put_static(&m, tracker);
	put_body(&m, w, now);
	if (!writer_ok(&m.out))
		return -ENOSPC;
	put_end(&m, tracker);
	if (!writer_ok(&m.out))
		return -ENOSPC;
	*ret_len = m.out.len;
	return 0;
}
