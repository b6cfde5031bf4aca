/*
 * A device of Zephyr with MCUmgr and MCUboot: two slots, either of which can run. An image that is
 * marked is started once, for a trial; one that is not confirmed then is put back at the next
 * start.
 * An upload survives a lost link and not a restart. CBOR is written and read by hand here.
 */
#include <string.h>

#include "tests/dfu/sim.h"

#include "tests/fuzz/must.h"

enum {
	ACTIVE,
	PENDING,
	TRIAL,
	LEN0 = 4,
	LEN1 = 8,
	DATA_LEN = 12
};

#define HEADER 8

static uint8_t *notes(struct sim *s)
{
	return s->banks.note.data;
}

static const uint8_t *slot_bytes(const struct sim *s, unsigned int slot)
{
	return s->flash.bytes + (slot == 0 ? 0 : banks_receiving(&s->banks));
}

static enum sim_runs slot_holds(const struct sim *s, unsigned int slot)
{
	uint32_t len = sim_get32(s->banks.note.data + (slot == 0 ? LEN0 : LEN1));

	if (len == s->new_len && memcmp(slot_bytes(s, slot), s->new_image, len) == 0)
		return SIM_NEW;
	if (len == s->old_len && memcmp(slot_bytes(s, slot), s->old_image, len) == 0)
		return SIM_OLD;
	return SIM_MIXTURE;
}

enum sim_runs sim_smp_runs(const struct sim *s)
{
	const uint8_t *n = s->banks.note.data;
	unsigned int active = n[ACTIVE];

	if (n[PENDING] || n[TRIAL]) /* what a start now would do */
		active = 1 - active;
	return slot_holds(s, active);
}

void sim_smp_make(struct sim *s)
{
	sim_put32(notes(s) + LEN0, (uint32_t)s->old_len);
	s->banks.note.data_len = DATA_LEN;
	banks_save(&s->banks);
	s->flash.operations = 0;
}

void sim_smp_boot(struct sim *s)
{
	uint8_t *n;

	banks_boot(&s->banks);
	memset(&s->of.smp, 0, sizeof(s->of.smp));
	s->mode = DFU_MODE_APPLICATION;
	n = notes(s);
	if (n[PENDING] || n[TRIAL]) {
		n[TRIAL] = n[PENDING]; /* nobody confirmed the one on trial: back */
		n[ACTIVE] = !n[ACTIVE];
		n[PENDING] = 0;
		if (n[TRIAL] && (s->o.reverts || slot_holds(s, n[ACTIVE]) == SIM_MIXTURE)) {
			n[ACTIVE] = !n[ACTIVE];
			n[TRIAL] = 0;
		}
		banks_save(&s->banks);
	}
}

/* ---- answers ---- */

struct answer {
	uint8_t bytes[1024];
	size_t len;
};

static void put(struct answer *a, const void *data, size_t len)
{
	must(a->len + len <= sizeof(a->bytes));
	memcpy(a->bytes + a->len, data, len);
	a->len += len;
}

static void put_text(struct answer *a, const char *text)
{
	uint8_t head = (uint8_t)(0x60 + strlen(text));

	must(strlen(text) < 24);
	put(a, &head, 1);
	put(a, text, strlen(text));
}

static void put_number(struct answer *a, const char *key, uint32_t v)
{
	uint8_t number[5] = { 0x1a, (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
			      (uint8_t)v };

	put_text(a, key);
	put(a, number, sizeof(number));
}

static void put_flag(struct answer *a, const char *key, bool value)
{
	put_text(a, key);
	put(a, value ? "\xf5" : "\xf4", 1);
}

/* as Zephyr does: the map ends with a break; the answer is cut by the MTU */
static void answer(struct sim *s, const uint8_t *request, struct answer *a)
{
	uint8_t *out = s->of.smp.out;
	size_t piece;

	put(a, "\xff", 1);
	out[0] = (uint8_t)((request[0] & 0x18) | ((request[0] & 7) + 1));
	out[1] = 0;
	out[2] = (uint8_t)(a->len >> 8);
	out[3] = (uint8_t)a->len;
	memcpy(out + 4, request + 4, 4);
	memcpy(out + HEADER, a->bytes, a->len);
	for (size_t at = 0; at < HEADER + a->len; at += piece) {
		piece = HEADER + a->len - at;
		if (piece > s->o.mtu - 3)
			piece = s->o.mtu - 3;
		sim_say(s, DFU_CAME, DFU_SMP_CHANNEL, out + at, piece,
			at == 0 && (request[0] & 7) == 2 ? s->o.erase_us : 0);
	}
}

static void refuse(struct sim *s, const uint8_t *request, uint8_t group, uint8_t rc)
{
	struct answer a = { .bytes = { 0xbf }, .len = 1 };

	if (s->o.old_errors || group == 0) {
		put_number(&a, "rc", rc);
	} else {
		put_text(&a, "err");
		put(&a, "\xbf", 1);
		put_number(&a, "group", group);
		put_number(&a, "rc", rc);
		put(&a, "\xff", 1);
	}
	answer(s, request, &a);
}

static void put_slot(struct sim *s, struct answer *a, unsigned int slot)
{
	const uint8_t *n = notes(s);
	enum sim_runs holds = slot_holds(s, slot);
	bool active = n[ACTIVE] == slot;
	uint8_t hash[34] = { 0x58, 32 };

	if (holds == SIM_MIXTURE)
		return;
	memset(hash + 2, 0xaa, 32);
	if (holds == SIM_NEW)
		memcpy(hash + 2, s->new_hash, 32);
	put(a, "\xbf", 1);
	put_number(a, "slot", slot);
	put_text(a, "version");
	put_text(a, holds == SIM_NEW ? "1.3.0" : "1.2.9");
	put_text(a, "hash");
	put(a, hash, sizeof(hash));
	put_flag(a, "bootable", true);
	put_flag(a, "pending", !active && n[PENDING]);
	put_flag(a, "confirmed", active && !n[TRIAL]);
	put_flag(a, "active", active);
	put_flag(a, "permanent", false);
	put(a, "\xff", 1);
}

static void state(struct sim *s, const uint8_t *request)
{
	struct answer a = { .bytes = { 0xbf }, .len = 1 };

	put_text(&a, "images");
	put(&a, "\x9f", 1);
	put_slot(s, &a, 0);
	put_slot(s, &a, 1);
	put(&a, "\xff", 1);
	put_number(&a, "splitStatus", 0);
	answer(s, request, &a);
}

/* ---- requests: definite lengths, as they are sent; key by key ---- */

struct wanted {
	uint32_t off, len;
	bool has_len;
	const uint8_t *data, *sha, *hash;
	size_t data_len;
	bool confirm;
};

static uint32_t head(const uint8_t **at, uint8_t *major)
{
	uint8_t info = **at & 0x1f;
	uint32_t v = info;

	*major = **at >> 5;
	(*at)++;
	if (info < 24)
		return v;
	v = 0;
	for (int i = 0; i < 1 << (info - 24); i++)
		v = v << 8 | *(*at)++;
	return v;
}

static bool key_is(const uint8_t *key, uint32_t len, const char *text)
{
	return len == strlen(text) && memcmp(key, text, len) == 0;
}

static void parse(const uint8_t *at, struct wanted *w)
{
	uint8_t major;
	uint32_t pairs = head(&at, &major), len, value;
	const uint8_t *key;

	must(major == 5);
	while (pairs-- != 0) {
		len = head(&at, &major);
		must(major == 3);
		key = at;
		at += len;
		value = head(&at, &major);
		if (key_is(key, len, "off")) {
			w->off = value;
		} else if (key_is(key, len, "len")) {
			w->len = value;
			w->has_len = true;
		} else if (key_is(key, len, "data")) {
			w->data = at;
			w->data_len = value;
		} else if (key_is(key, len, "sha")) {
			w->sha = at;
		} else if (key_is(key, len, "hash")) {
			w->hash = at;
		} else if (key_is(key, len, "confirm")) {
			w->confirm = value == 21;
		}
		if (major == 2 || major == 3)
			at += value;
	}
}

static void store(struct sim *s, const uint8_t *data, size_t len)
{
	struct sim_smp *m = &s->of.smp;
	uint8_t copy[1100], words[1200];
	size_t skew = m->off % FLASH_WORD;

	data = sim_corrupt(s, data, len, copy);
	memset(words, 0xff, sizeof(words));
	memcpy(words + skew, data, len);
	flash_write(&s->flash, (notes(s)[ACTIVE] ? 0 : banks_receiving(&s->banks)) + m->off - skew,
		    words, skew + len);
	m->off += (uint32_t)len;
}

/* the first part of an upload; false: refused */
static bool begin(struct sim *s, const uint8_t *request, const struct wanted *w)
{
	struct sim_smp *m = &s->of.smp;
	unsigned int other = !notes(s)[ACTIVE];

	if (notes(s)[PENDING] || notes(s)[TRIAL]) {
		refuse(s, request, 1, 9);
	} else if (w->len > s->banks.bank) {
		refuse(s, request, 1, 30);
	} else if (s->o.other_hardware) {
		refuse(s, request, 1, 23);
	} else if (s->o.bad_erase) {
		refuse(s, request, 1, 13);
	} else {
		memcpy(m->sha, w->sha, sizeof(m->sha));
		m->len = w->len;
		m->off = 0;
		m->session = true;
		sim_put32(notes(s) + (other ? LEN1 : LEN0), 0);
		banks_save(&s->banks);
		flash_erase(&s->flash, other ? banks_receiving(&s->banks) : 0, s->banks.bank);
		return true;
	}
	return false;
}

static void ended(struct sim *s)
{
	unsigned int other = !notes(s)[ACTIVE];

	s->of.smp.session = false;
	sim_put32(notes(s) + (other ? LEN1 : LEN0), s->of.smp.len);
	banks_save(&s->banks);
}

static void upload(struct sim *s, const uint8_t *request, const struct wanted *w)
{
	struct sim_smp *m = &s->of.smp;
	struct answer a = { .bytes = { 0xbf }, .len = 1 };
	bool known = m->session && w->sha && memcmp(w->sha, m->sha, sizeof(m->sha)) == 0;

	if (w->off == 0 && !known) {
		if (!w->has_len || !w->sha) {
			refuse(s, request, 0, 3);
			return;
		}
		if (!begin(s, request, w))
			return;
	} else if (!m->session) {
		refuse(s, request, 1, 20);
		return;
	}
	if (s->o.bad_write) {
		refuse(s, request, 1, 12);
		return;
	}
	if (w->off == m->off && m->off + w->data_len <= m->len)
		store(s, w->data, w->data_len);
	put_number(&a, "off", m->off);
	if (m->off == m->len)
		ended(s);
	answer(s, request, &a);
}

static void mark(struct sim *s, const uint8_t *request, const struct wanted *w)
{
	uint8_t *n = notes(s);
	unsigned int active = n[ACTIVE];

	if (!w->hash || memcmp(w->hash, s->new_hash, 32) != 0) {
		refuse(s, request, 1, 8);
		return;
	}
	if (w->confirm && slot_holds(s, active) == SIM_NEW) {
		n[TRIAL] = 0;
	} else if (!w->confirm && slot_holds(s, !active) == SIM_NEW) {
		n[PENDING] = 1;
	} else {
		refuse(s, request, 1, 33);
		return;
	}
	banks_save(&s->banks);
	state(s, request);
}

static void request_came(struct sim *s, const uint8_t *r)
{
	struct answer a = { .bytes = { 0xbf }, .len = 1 };
	unsigned int group = (unsigned int)(r[4] << 8 | r[5]), what = group << 8 | r[7];
	struct wanted w = { 0 };

	parse(r + HEADER, &w);
	if (what == 0x0006 && s->o.smp_buffer != 0) {
		put_number(&a, "buf_size", (uint32_t)s->o.smp_buffer);
		put_number(&a, "buf_count", 4);
		answer(s, r, &a);
	} else if (what == 0x0005) {
		answer(s, r, &a);
		sim_restart(s);
	} else if (what == 0x0100 && (r[0] & 7) == 0) {
		state(s, r);
	} else if (what == 0x0100) {
		mark(s, r, &w);
	} else if (what == 0x0101) {
		upload(s, r, &w);
	} else {
		refuse(s, r, 0, 8);
	}
}

void sim_smp_take(struct sim *s, const struct dfu_request *r)
{
	struct sim_smp *m = &s->of.smp;
	size_t whole;

	if (m->got + r->len > sizeof(m->in))
		return;
	memcpy(m->in + m->got, r->data, r->len);
	m->got += r->len;
	if (m->got < HEADER)
		return;
	whole = (size_t)HEADER + (size_t)(m->in[2] << 8 | m->in[3]);
	if (m->got < whole)
		return;
	m->got = 0;
	request_came(s, m->in);
}
