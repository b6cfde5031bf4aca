/*
 * Identity: 16 bytes that are equal for the same event read twice, and differ for two events. They
 * are made from what the device said (its stamp as sent, never a corrected time; its record number;
 * the values in canonical units), so a device's whole memory read again makes no new reading. The
 * person is left out: attribution may change later.
 *
 * Without stamp and record number only the receipt tells two equal measurements apart: the time the
 * devices process saw the frame, which is the same when it sends the message again. Devices that
 * repeat one measurement (a scale that goes on showing it) would then make many of one; so for
 * these kinds a repetition of the same frame takes the time of the first:
 *
 *   weight group      for 120 s    the same bytes again are the scale's display, not a second visit
 *   blood pressure    for 30 s     a cuff cannot measure twice in that time
 *   any broadcast     for 30 s     advertisements are repeated by design
 *   anything else     never        two equal heart rates in a row are two
 *
 * What is imported from a file says itself who it is (import_id), and only that and the person make
 * the key: the same minutes come in several exports, and a value that the vendor revised, a zone
 * that was stated otherwise, must not become a second reading of the same.
 *
 * Out of a device's memory without either, equal ones are taken for one: the memory is read again
 * and again, and such readings have no time that anybody could use.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "gateway/intake/steps.h"
#include "protocols/messages/codes.h"

#define SECOND_US INT64_C(1000000)
enum {
	KEY_BYTES = 16,
	IMPORT_ID_MAX = 64,
};

/* ---- a canonical byte string, straight into the hash: every field has a fixed place and size */

static void put_u64(crypto_hash_sha256_state *h, uint64_t n)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(n >> (8 * i));
	(void)crypto_hash_sha256_update(h, bytes, sizeof(bytes));
}

static void put_optional(crypto_hash_sha256_state *h, bool has, uint64_t n)
{
	put_u64(h, has);
	put_u64(h, has ? n : 0);
}

static void put_bytes(crypto_hash_sha256_state *h, const void *data, size_t len)
{
	put_u64(h, len);
	if (len > 0)
		(void)crypto_hash_sha256_update(h, data, len);
}

/* 74.0 and 74.00 are one value, however they came */
static void put_decimal(crypto_hash_sha256_state *h, const Wellgate__V1__Decimal *d)
{
	int64_t mantissa = d->mantissa, exponent = d->exponent;

	while (mantissa != 0 && mantissa % 10 == 0) {
		mantissa /= 10;
		exponent++;
	}
	put_u64(h, (uint64_t)mantissa);
	put_u64(h, mantissa == 0 ? 0 : (uint64_t)exponent);
}

static void put_components(crypto_hash_sha256_state *h, const Wellgate__V1__Reading *r)
{
	put_u64(h, (uint64_t)r->metric);
	put_u64(h, r->n_components);
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];

		put_u64(h, (uint64_t)c->metric);
		put_optional(h, c->has_absent, (uint64_t)c->absent);
		if (c->value)
			put_decimal(h, c->value);
	}
}

static void put_stamp(crypto_hash_sha256_state *h, const Wellgate__V1__DeviceTime *t)
{
	put_u64(h, t != NULL);
	if (!t)
		return;
	put_u64(h, (uint64_t)t->kind);
	put_u64(h, t->year);
	put_u64(h, t->month);
	put_u64(h, t->day);
	put_u64(h, t->hour);
	put_u64(h, t->minute);
	put_u64(h, t->second);
	put_u64(h, t->fraction_us);
	put_u64(h, t->ticks);
	put_u64(h, t->tick_us);
}

static void put_device(crypto_hash_sha256_state *h, const Wellgate__V1__DeviceRef *device)
{
	/* no identity: one device of that kind, as far as anybody can tell */
	if (device && device->has_serial_digest)
		put_bytes(h, device->serial_digest.data, device->serial_digest.len);
	else if (device && device->driver)
		put_bytes(h, device->driver, strlen(device->driver));
	else
		put_bytes(h, NULL, 0);
}

static void put_all_but_receipt(crypto_hash_sha256_state *h, const Wellgate__V1__Reading *r)
{
	static const char domain[] = "wellgate dedupe 1";

	put_bytes(h, domain, sizeof(domain));
	put_device(h, r->device);
	put_stamp(h, r->device_time);
	put_optional(h, r->has_duration_ms, (uint64_t)r->duration_ms);
	put_optional(h, r->has_record_number, r->record_number);
	put_optional(h, r->has_user_slot, r->user_slot);
	put_components(h, r);
}

static void finish(crypto_hash_sha256_state *h, uint8_t ret[KEY_BYTES])
{
	uint8_t whole[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256_final(h, whole);
	memcpy(ret, whole, KEY_BYTES);
}

/* ---- measurements that only the receipt tells apart */

static bool has_flag(const Wellgate__V1__Reading *r, unsigned int flag)
{
	for (size_t i = 0; i < r->n_flags; i++) {
		if ((unsigned int)r->flags[i] == flag)
			return true;
	}
	return false;
}

/* A wrong stamp tells two measurements apart as well as a right one; a date of zeros does not. */
static bool stamp_is_telling(const Wellgate__V1__DeviceTime *t)
{
	return t && (t->kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS ||
		     (t->year != 0 && t->month != 0 && t->day != 0));
}

/* What comes out of a device's memory will come again: there the receipt would double it. */
static bool needs_receipt(const Wellgate__V1__Reading *r)
{
	return !r->has_record_number && !stamp_is_telling(r->device_time) &&
	       !has_flag(r, FLAG_BACKFILL);
}

static int64_t window_us(const Wellgate__V1__Reading *r)
{
	const struct metric_info *info = metric_info((unsigned int)r->metric);

	if (info && info->group == GROUP_WEIGHT)
		return 120 * SECOND_US;
	if (info && info->group == GROUP_BP)
		return 30 * SECOND_US;
	return r->link_security == WELLGATE__V1__LINK_SECURITY__LINK_BROADCAST ? 30 * SECOND_US : 0;
}

/* when it was seen, on which clock: that of a boot, or (zeros) that of a simulation */
static struct recent recent_of(const Wellgate__V1__Reading *r)
{
	struct recent recent = { .used = true, .first_us = r->received_at_ms * 1000 };
	crypto_hash_sha256_state h;

	(void)crypto_hash_sha256_init(&h);
	put_all_but_receipt(&h, r);
	put_bytes(&h, r->raw_digest.data, r->has_raw_digest ? r->raw_digest.len : 0);
	finish(&h, recent.identity);
	if (r->has_boot_id && r->boot_id.len == sizeof(recent.boot_id)) {
		memcpy(recent.boot_id, r->boot_id.data, sizeof(recent.boot_id));
		recent.first_us = r->received_boottime_us;
	}
	return recent;
}

static bool is_repetition(const struct recent *first, const struct recent *now, int64_t window)
{
	int64_t apart;

	return first->used && memcmp(first->identity, now->identity, KEY_BYTES) == 0 &&
	       memcmp(first->boot_id, now->boot_id, sizeof(now->boot_id)) == 0 &&
	       !__builtin_sub_overflow(now->first_us, first->first_us, &apart) &&
	       apart >= -window && apart < window;
}

/* The first of its kind within the window, itself if it is that. */
static struct recent first_of(struct intake *in, const Wellgate__V1__Reading *r)
{
	struct recent now = recent_of(r);
	int64_t window = window_us(r);

	if (window == 0)
		return now;
	for (size_t i = 0; i < RECENT_MAX; i++) {
		if (is_repetition(&in->recent[i], &now, window))
			return in->recent[i];
	}
	in->recent[in->next_recent] = now;
	in->next_recent = (in->next_recent + 1) % RECENT_MAX;
	return now;
}

void intake_remember(struct intake *in, const Wellgate__V1__Reading *reading)
{
	anchor_by_reading(&in->anchors, reading);
	if (needs_receipt(reading))
		(void)first_of(in, reading);
}

static int put_import(const struct intake *in, const struct draft *d, crypto_hash_sha256_state *h)
{
	static const char domain[] = "wellgate import 1";
	const char *id = d->m->import_id, *driver = d->device->driver ? d->device->driver : "";
	const char *subject = in->subject ? in->subject : "";

	if (!id || !*id || strnlen(id, IMPORT_ID_MAX + 1) > IMPORT_ID_MAX)
		return -EBADMSG;
	put_bytes(h, domain, sizeof(domain));
	put_bytes(h, driver, strlen(driver));
	put_bytes(h, subject, strlen(subject));
	put_bytes(h, id, strlen(id));
	return 0;
}

int intake_key(struct intake *in, struct draft *d)
{
	crypto_hash_sha256_state h;
	int r = 0;

	d->r->dedupe_key.data = arena_alloc(d->arena, KEY_BYTES);
	if (!d->r->dedupe_key.data)
		return -ENOMEM;
	(void)crypto_hash_sha256_init(&h);
	if (in->import)
		r = put_import(in, d, &h);
	else
		put_all_but_receipt(&h, d->r);
	if (r < 0)
		return r;
	if (!in->import && needs_receipt(d->r)) {
		struct recent first = first_of(in, d->r);

		put_bytes(&h, first.identity, sizeof(first.identity));
		put_bytes(&h, first.boot_id, sizeof(first.boot_id));
		put_u64(&h, (uint64_t)first.first_us);
	}
	finish(&h, d->r->dedupe_key.data);
	d->r->dedupe_key.len = KEY_BYTES;
	d->r->has_dedupe_key = true;
	return 0;
}
