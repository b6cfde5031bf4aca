#include "gateway/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/news.h"
#include "gateway/radio_state.h"
#include "gateway/text.h"

#define DAY_MS INT64_C(86400000)

static void set_text(char *field, const char *text)
{
	if (text && *text && strlen(text) < INVENTORY_TEXT && text_is_clean(text))
		(void)snprintf(field, INVENTORY_TEXT, "%s", text);
}

static bool is_same(const struct inventory_device *d, const struct intake_device *key)
{
	if (d->has_digest != key->has_digest)
		return false;
	if (d->has_digest)
		return memcmp(d->digest, key->serial_digest, sizeof(d->digest)) == 0;
	return strcmp(d->driver, key->driver ? key->driver : "") == 0;
}

/* may it go before the other? */
static bool is_less_wanted(const struct inventory_device *d, const struct inventory_device *other)
{
	if (d->radio.enrolled != other->radio.enrolled)
		return !d->radio.enrolled;
	if (d->links != other->links)
		return d->links < other->links;
	return d->last_seen_ms < other->last_seen_ms;
}

static struct inventory_device *make_room(struct inventory *inv)
{
	struct inventory_device *oldest = &inv->devices[0];

	if (inv->n < INVENTORY_MAX)
		return &inv->devices[inv->n++];
	for (size_t i = 1; i < inv->n; i++) {
		if (is_less_wanted(&inv->devices[i], oldest))
			oldest = &inv->devices[i];
	}
	return oldest;
}

/* ---- ways ---- */

static const struct inventory_way *find_way(const struct inventory *inv, const uint8_t *digest)
{
	for (size_t i = 0; i < inv->n_ways; i++) {
		if (memcmp(inv->ways[i].way, digest, sizeof(inv->ways[i].way)) == 0)
			return &inv->ways[i];
	}
	return NULL;
}

static struct inventory_device *find(struct inventory *inv, const struct intake_device *key)
{
	for (size_t i = 0; i < inv->n; i++) {
		if (is_same(&inv->devices[i], key))
			return &inv->devices[i];
	}
	return NULL;
}

static void set_way(struct inventory *inv, const uint8_t way[16], const uint8_t digest[16])
{
	const struct inventory_way *known = find_way(inv, way);
	size_t i = known ? (size_t)(known - inv->ways) : inv->n_ways;

	if (i == INVENTORY_MAX) {
		i = inv->next_way;
		inv->next_way = (i + 1) % INVENTORY_MAX;
	} else if (i == inv->n_ways) {
		inv->n_ways++;
	}
	memcpy(inv->ways[i].way, way, sizeof(inv->ways[i].way));
	memcpy(inv->ways[i].device, digest, sizeof(inv->ways[i].device));
}

/* from goes */
static void merge(struct inventory *inv, struct inventory_device *from, struct inventory_device *to)
{
	to->readings += from->readings;
	to->bad_length += from->bad_length;
	to->bad_checksum += from->bad_checksum;
	to->bad_range += from->bad_range;
	to->not_mine += from->not_mine;
	to->links += from->links;
	to->news |= from->news;
	inventory_seen(to, from->first_seen_ms);
	inventory_seen(to, from->last_seen_ms);
	to->radio = from->radio;
	inv->n--;
	memmove(from, from + 1, (size_t)(&inv->devices[inv->n] - from) * sizeof(inv->devices[0]));
}

void inventory_way(struct inventory *inv, const uint8_t way[16], const struct intake_device *key)
{
	struct intake_device before = { .has_digest = true };
	struct inventory_device *from, *to;

	if (memcmp(way, key->serial_digest, sizeof(key->serial_digest)) == 0)
		return;
	memcpy(before.serial_digest, way, sizeof(before.serial_digest));
	from = find(inv, &before);
	to = find(inv, key);
	if (from && !from->radio.enrolled)
		from->news = 0; /* a base station: it found the device, and was told who it is */
	else if (from && to)
		merge(inv, from, to);
	else if (from)
		memcpy(from->digest, key->serial_digest, sizeof(from->digest));
	set_way(inv, way, key->serial_digest);
}

/* ---- devices ---- */

struct inventory_device *inventory_device(struct inventory *inv, const struct intake_device *key)
{
	struct inventory_device *d = find(inv, key);

	if (!d) {
		d = make_room(inv);
		memset(d, 0, sizeof(*d));
		d->has_digest = key->has_digest;
		memcpy(d->digest, key->serial_digest, sizeof(d->digest));
	}
	set_text(d->driver, key->driver);
	set_text(d->make, key->make);
	set_text(d->model, key->model);
	set_text(d->firmware, key->firmware);
	set_text(d->hardware, key->hardware);
	return d;
}

void inventory_seen(struct inventory_device *d, int64_t ms)
{
	if (ms <= 0)
		return;
	if (d->first_seen_ms == 0 || ms < d->first_seen_ms)
		d->first_seen_ms = ms;
	if (ms > d->last_seen_ms)
		d->last_seen_ms = ms;
}

void inventory_heard(struct inventory_device *d, const Wellgate__V1__Reading *reading)
{
	if (!reading->has_record_number || (d->has_record && reading->record_number <= d->record))
		return;
	d->has_record = true;
	d->record = reading->record_number;
}

void inventory_emptied(struct inventory_device *d)
{
	d->has_record = false;
	d->record = 0;
}

void inventory_count(struct inventory *inv, const Wellgate__V1__Reading *reading)
{
	const Wellgate__V1__DeviceRef *ref = reading->device;
	struct intake_device key = { 0 };
	struct inventory_device *d;

	if (!ref)
		return;
	key.driver = ref->driver;
	key.make = ref->make;
	key.model = ref->model;
	key.firmware = ref->firmware;
	key.hardware = ref->hardware;
	key.has_digest =
		ref->has_serial_digest && ref->serial_digest.len == sizeof(key.serial_digest);
	if (key.has_digest)
		memcpy(key.serial_digest, ref->serial_digest.data, sizeof(key.serial_digest));
	d = inventory_device(inv, &key);
	d->readings++;
	inventory_heard(d, reading);
	if (reading->has_received_at_ms)
		inventory_seen(d, reading->received_at_ms);
}

void inventory_news(struct inventory_device *d, uint32_t *said, const Wellgate__V1__News *news,
		    size_t n)
{
	const uint32_t before = *said;

	*said = news_of(news, n);
	d->news = (d->news & ~before) | *said;
}

void inventory_link_down(struct inventory_device *d, uint32_t said,
			 const Wellgate__V1__DeviceInfo *counts)
{
	if (d->links > 0)
		d->links--;
	if (!counts)
		return;
	d->bad_length += counts->bad_length;
	d->bad_checksum += counts->bad_checksum;
	d->bad_range += counts->bad_range;
	d->not_mine += counts->not_mine;
	inventory_news(d, &said, counts->news, counts->n_news);
	if (counts->understood)
		d->news = said;
	if (counts->has_battery && counts->battery <= 100) {
		d->has_battery = true;
		d->battery = counts->battery;
	}
}

/* ---- what the radio says ---- */

void inventory_radio_begin(struct inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++)
		inv->devices[i].radio.listed = false;
}

void inventory_radio_end(struct inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++) {
		if (!inv->devices[i].radio.listed)
			inv->devices[i].radio = (struct inventory_radio){ 0 };
	}
}

void inventory_radio_gone(struct inventory *inv)
{
	inventory_radio_begin(inv);
	inventory_radio_end(inv);
}

static void copy_text(char *to, size_t size, const char *text)
{
	const char *clean = radio_state_text(text, size);

	(void)snprintf(to, size, "%s", clean ? clean : "");
}

#define KNOWN(type, value) radio_state_enum(&wellgate__v1__##type##__descriptor, (int)(value))

static void set_radio(struct inventory_radio *to, const Wellgate__V1__RadioDevice *m)
{
	*to = (struct inventory_radio){ .enrolled = true, .listed = true };
	copy_text(to->address, sizeof(to->address), m->address);
	copy_text(to->name, sizeof(to->name), m->name);
	to->state = (Wellgate__V1__RadioDevice__State)KNOWN(radio_device__state, m->state);
	to->trouble = (Wellgate__V1__RadioDevice__Trouble)KNOWN(radio_device__trouble, m->trouble);
	to->path = (Wellgate__V1__RadioDevice__Path)KNOWN(radio_device__path, m->path);
	to->security = (Wellgate__V1__LinkSecurity)KNOWN(link_security, m->security);
	to->has_rssi = m->has_rssi && m->rssi >= INT8_MIN && m->rssi <= INT8_MAX;
	to->rssi = m->rssi;
	to->links = m->links;
	to->failed_links = m->failed_links;
	to->in_clear = m->in_clear;
	to->bad_length = m->bad_length;
	to->bad_checksum = m->bad_checksum;
	to->bad_range = m->bad_range;
	to->not_mine = m->not_mine;
	to->enrolled_ms = m->enrolled_ms;
	to->consents = m->consents;
	to->can_wipe = m->can_wipe;
	to->wipe_asked = m->wipe_asked;
}

void inventory_radio_device(struct inventory *inv, const struct intake_device *key,
			    const Wellgate__V1__RadioDevice *m, int64_t seen_ms)
{
	const struct inventory_way *w = key->has_digest ? find_way(inv, key->serial_digest) : NULL;
	struct intake_device resolved = *key;
	struct inventory_device *d;

	if (w)
		memcpy(resolved.serial_digest, w->device, sizeof(w->device));
	d = inventory_device(inv, &resolved);
	set_radio(&d->radio, m);
	inventory_seen(d, m->enrolled_ms);
	inventory_seen(d, seen_ms);
	if (m->has_battery && m->battery <= 100) {
		d->has_battery = true;
		d->battery = m->battery;
	}
}

static const struct inventory_device *find_digest(const struct inventory *inv,
						  const uint8_t *digest)
{
	for (size_t i = 0; i < inv->n; i++) {
		const struct inventory_device *d = &inv->devices[i];

		if (d->has_digest && memcmp(d->digest, digest, sizeof(d->digest)) == 0)
			return d;
	}
	return NULL;
}

const struct inventory_device *inventory_known(const struct inventory *inv,
					       const uint8_t digest[16])
{
	return find_digest(inv, digest);
}

const struct inventory_device *inventory_enrolled(const struct inventory *inv,
						  const uint8_t *digest, size_t len)
{
	const struct inventory_device *d;
	const struct inventory_way *w;

	if (len != sizeof(d->digest))
		return NULL;
	d = find_digest(inv, digest);
	w = d ? NULL : find_way(inv, digest);
	if (w)
		d = find_digest(inv, w->device);
	return d && d->radio.enrolled ? d : NULL;
}

/* ---- the fleet ---- */

/* NULL and "" are alike */
static bool is_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b) == 0;
}

static bool is_counted_by(const Wellgate__V1__FirmwareCount *row, const struct inventory_device *d)
{
	return is_text(row->make, d->make) && is_text(row->model, d->model) &&
	       is_text(row->hardware, d->hardware) && is_text(row->firmware, d->firmware) &&
	       is_text(row->driver, d->driver);
}

/* protobuf-c has no const; nobody writes to it */
static char *borrowed(const char *text)
{
	return *text ? (char *)(uintptr_t)text : NULL;
}

static int64_t day_of(int64_t ms)
{
	return ms - ms % DAY_MS;
}

/* 0 is not known, on either side */
static void count_times(Wellgate__V1__FirmwareCount *row, const struct inventory_device *d)
{
	if (d->first_seen_ms > 0 &&
	    (!row->has_first_seen_ms || day_of(d->first_seen_ms) < row->first_seen_ms)) {
		row->has_first_seen_ms = true;
		row->first_seen_ms = day_of(d->first_seen_ms);
	}
	if (d->last_seen_ms > 0 &&
	    (!row->has_last_seen_ms || day_of(d->last_seen_ms) > row->last_seen_ms)) {
		row->has_last_seen_ms = true;
		row->last_seen_ms = day_of(d->last_seen_ms);
	}
}

static void begin_row(Wellgate__V1__FirmwareCount *row, const struct inventory_device *d)
{
	wellgate__v1__firmware_count__init(row);
	row->make = borrowed(d->make);
	row->model = borrowed(d->model);
	row->hardware = borrowed(d->hardware);
	row->firmware = borrowed(d->firmware);
	row->driver = borrowed(d->driver);
	row->has_devices = true;
}

size_t inventory_fleet(const struct inventory *inv,
		       Wellgate__V1__FirmwareCount rows[INVENTORY_FLEET], uint32_t *ret_unlisted)
{
	uint32_t unlisted = 0;
	size_t n = 0;

	for (size_t i = 0; i < inv->n; i++) {
		const struct inventory_device *d = &inv->devices[i];
		size_t row = 0;

		while (row < n && !is_counted_by(&rows[row], d))
			row++;
		if (row == INVENTORY_FLEET) {
			unlisted++;
			continue;
		}
		if (row == n)
			begin_row(&rows[n++], d);
		rows[row].devices++;
		count_times(&rows[row], d);
	}
	*ret_unlisted = unlisted;
	return n;
}

/* ---- replies ---- */

static char *said(struct arena *arena, const char *text)
{
	return *text ? arena_strdup(arena, text) : NULL;
}

static int reply_radio(const struct inventory_radio *r, bool addresses, struct arena *arena,
		       Wellgate__V1__DeviceInfo *info)
{
	Wellgate__V1__RadioDevice *m = arena_alloc(arena, sizeof(*m));

	if (!m)
		return -ENOMEM;
	wellgate__v1__radio_device__init(m);
	m->address = addresses ? said(arena, r->address) : NULL;
	m->name = said(arena, r->name);
	m->has_state = m->has_trouble = m->has_path = m->has_security = true;
	m->state = r->state;
	m->trouble = r->trouble;
	m->path = r->path;
	m->security = r->security;
	m->has_rssi = r->has_rssi;
	m->rssi = r->rssi;
	m->has_links = m->has_failed_links = m->has_in_clear = m->has_consents = true;
	m->links = r->links;
	m->failed_links = r->failed_links;
	m->in_clear = r->in_clear;
	m->consents = r->consents;
	m->has_can_wipe = m->has_wipe_asked = true;
	m->can_wipe = r->can_wipe;
	m->wipe_asked = r->wipe_asked;
	m->has_enrolled_ms = r->enrolled_ms != 0;
	m->enrolled_ms = r->enrolled_ms;
	info->radio = m;
	return 0;
}

/* Counted by link over all starts of the radio, and by the radio since its last: neither is all */
static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static int reply_one(const struct inventory_device *d, bool addresses, struct arena *arena,
		     Wellgate__V1__DeviceInfo **ret)
{
	Wellgate__V1__DeviceInfo *info = arena_alloc(arena, sizeof(*info));
	Wellgate__V1__DeviceRef *ref = arena_alloc(arena, sizeof(*ref));

	if (!info || !ref)
		return -ENOMEM;
	wellgate__v1__device_info__init(info);
	wellgate__v1__device_ref__init(ref);
	ref->driver = said(arena, d->driver);
	ref->make = said(arena, d->make);
	ref->model = said(arena, d->model);
	ref->firmware = said(arena, d->firmware);
	ref->hardware = said(arena, d->hardware);
	ref->has_serial_digest = d->has_digest;
	ref->serial_digest.data = arena_memdup(arena, d->digest, sizeof(d->digest));
	ref->serial_digest.len = sizeof(d->digest);
	if (!ref->serial_digest.data)
		return -ENOMEM;
	info->device = ref;
	info->has_last_seen_ms = d->last_seen_ms != 0;
	info->last_seen_ms = d->last_seen_ms;
	info->has_first_seen_ms = d->first_seen_ms != 0;
	info->first_seen_ms = d->first_seen_ms;
	info->has_readings = true;
	info->readings = d->readings;
	info->has_bad_length = info->has_bad_checksum = info->has_bad_range = true;
	info->bad_length = larger(d->bad_length, d->radio.bad_length);
	info->bad_checksum = larger(d->bad_checksum, d->radio.bad_checksum);
	info->bad_range = larger(d->bad_range, d->radio.bad_range);
	info->has_not_mine = info->has_connected = true;
	info->not_mine = larger(d->not_mine, d->radio.not_mine);
	info->connected = d->links > 0;
	info->has_battery = d->has_battery;
	info->battery = d->battery;
	info->news = arena_alloc(arena, NEWS_MAX * sizeof(info->news[0]));
	if (!info->news)
		return -ENOMEM;
	info->n_news = news_list(d->news, info->news);
	*ret = info;
	return d->radio.enrolled ? reply_radio(&d->radio, addresses, arena, info) : 0;
}

int inventory_reply(const struct inventory *inv, uint64_t after, bool addresses,
		    struct arena *arena, Wellgate__V1__Reply *reply)
{
	Wellgate__V1__DeviceInfo **list = arena_alloc(arena, INVENTORY_PAGE * sizeof(void *));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (uint64_t i = after; i < inv->n && n < INVENTORY_PAGE; i++) {
		const int r = reply_one(&inv->devices[i], addresses, arena, &list[n]);

		if (r < 0)
			return r;
		n++;
	}
	reply->devices = list;
	reply->n_devices = n;
	reply->has_more = true;
	reply->more = after < inv->n && inv->n - after > n;
	return 0;
}
