#include "drivers/transport/adapter_objects.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/transport/bluez.h"

#define BUCKETS   1024
#define DATA_MAX  1650 /* octets of an extended advertisement: Vol 4 Part E 7.8.54 */
#define UUID_TEXT 36   /* "0000181d-0000-1000-8000-00805f9b34fb" */

struct objects {
	struct object slots[OBJECT_DEVICES];
	struct object *buckets[BUCKETS];
	struct object *free;
	size_t n;
};

/* ---- UUIDs ---- */

static int digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int uuid_parse(const char *text, struct uuid128 *ret)
{
	struct uuid128 uuid;
	size_t n = 0;

	if (strnlen(text, UUID_TEXT + 1) != UUID_TEXT)
		return -EINVAL;
	for (size_t i = 0; i < UUID_TEXT;) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i++] != '-')
				return -EINVAL;
			continue;
		}
		if (digit(text[i]) < 0 || digit(text[i + 1]) < 0)
			return -EINVAL;
		uuid.bytes[15 - n++] = (uint8_t)(digit(text[i]) << 4 | digit(text[i + 1]));
		i += 2;
	}
	*ret = uuid;
	return 0;
}

/* Bluetooth_Base_UUID, Core Specification Vol 3 Part B 2.5.1 */
static bool uuid_short(const struct uuid128 *uuid, uint16_t *ret)
{
	static const uint8_t base[16] = { 0xfb, 0x34, 0x9b, 0x5f, 0x80, 0x00, 0x00, 0x80,
					  0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 };

	if (memcmp(uuid->bytes, base, 12) != 0 || uuid->bytes[14] || uuid->bytes[15])
		return false;
	*ret = (uint16_t)(uuid->bytes[12] | uuid->bytes[13] << 8);
	return true;
}

/* ---- single values: 1 taken, 0 of a wrong type or size, -errno the message is broken ---- */

static int read_name(sd_bus_message *m, const char **ret)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	if (r <= 0)
		return r;
	if (text[0] == '\0' || strnlen(text, OBJECT_NAME_MAX + 1) > OBJECT_NAME_MAX)
		return 0;
	*ret = text;
	return 1;
}

static int read_uuids(sd_bus_message *m, struct device_properties *p)
{
	const char *text;
	int good = 1;
	int r = bluez_enter_variant(m, "as");

	if (r <= 0)
		return r;
	r = sd_bus_message_enter_container(m, 'a', "s");
	if (r < 0)
		return r;
	p->n_services = p->n_services128 = 0;
	while ((r = sd_bus_message_read_basic(m, 's', &text)) > 0) {
		struct uuid128 uuid;
		uint16_t id;

		if (uuid_parse(text, &uuid) < 0) {
			good = 0;
			continue;
		}
		if (uuid_short(&uuid, &id)) {
			if (p->n_services < BLE_ADVERT_SERVICES)
				p->services[p->n_services++] = id;
		} else if (p->n_services128 < OBJECT_UUID128) {
			p->services128[p->n_services128++] = uuid;
		}
	}
	if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0 ||
	    (r = sd_bus_message_exit_container(m)) < 0)
		return r;
	return good;
}

/* v holding ay; 0: it holds something else */
static int read_bytes(sd_bus_message *m, struct ble_advert_data *data)
{
	const void *bytes = NULL;
	size_t len = 0;
	int r = bluez_enter_variant(m, "ay");

	if (r <= 0)
		return r;
	r = sd_bus_message_read_array(m, 'y', &bytes, &len);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	data->data = bytes;
	data->len = len;
	return 1;
}

/* The key of a row: a company, or a service UUID. 0: one without a short form */
static int read_data_key(sd_bus_message *m, char type, uint16_t *ret)
{
	const char *text = NULL;
	struct uuid128 uuid;
	int r;

	if (type == 'q')
		return sd_bus_message_read_basic(m, 'q', ret);
	r = sd_bus_message_read_basic(m, 's', &text);
	if (r < 0)
		return r;
	return uuid_parse(text, &uuid) == 0 && uuid_short(&uuid, ret);
}

/* a{qv} of manufacturer data or a{sv} of service data */
static int read_data(sd_bus_message *m, const char *row, struct ble_advert_data *list, size_t *n)
{
	const char variant[] = { 'a', '{', row[0], row[1], '}', '\0' };
	int good = 1;
	int r = bluez_enter_variant(m, variant);

	if (r <= 0)
		return r;
	r = sd_bus_message_enter_container(m, 'a', variant + 1);
	if (r < 0)
		return r;
	*n = 0;
	while ((r = sd_bus_message_enter_container(m, 'e', row)) > 0) {
		struct ble_advert_data data = { 0 };
		int known, bytes;

		known = read_data_key(m, row[0], &data.id);
		bytes = known < 0 ? known : read_bytes(m, &data);
		if (bytes < 0 || (r = sd_bus_message_exit_container(m)) < 0)
			return bytes < 0 ? bytes : r;
		if (!bytes || data.len > DATA_MAX)
			good = 0;
		else if (known && *n < BLE_ADVERT_DATA)
			list[(*n)++] = data;
		else if (known)
			good = 0;
	}
	if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0 ||
	    (r = sd_bus_message_exit_container(m)) < 0)
		return r;
	return good;
}

/* ---- a{sv} ---- */

typedef int property_reader(sd_bus_message *m, const char *name, void *user);

/* The reader takes the variant: >= 0, or -errno when the message is broken. */
static int each_property(sd_bus_message *m, property_reader *reader, void *user)
{
	const char *name;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read_basic(m, 's', &name);
		if (r < 0)
			return r;
		r = reader(m, name, user);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_device_value(sd_bus_message *m, enum device_property which,
			     struct device_properties *p)
{
	switch (which) {
	case PROPERTY_ADDRESS:
		return bluez_read_address(m, &p->address);
	case PROPERTY_ADDRESS_TYPE:
		return bluez_read_address_type(m, &p->address.type);
	case PROPERTY_NAME:
		return read_name(m, &p->name);
	case PROPERTY_RSSI:
		return bluez_read_basic(m, "n", &p->rssi);
	case PROPERTY_PAIRED:
		return bluez_read_bool(m, &p->paired);
	case PROPERTY_BONDED:
		return bluez_read_bool(m, &p->bonded);
	case PROPERTY_CONNECTED:
		return bluez_read_bool(m, &p->connected);
	case PROPERTY_UUIDS:
		return read_uuids(m, p);
	case PROPERTY_COMPANY:
		return read_data(m, "qv", p->company, &p->n_company);
	case PROPERTY_SERVICE_DATA:
		return read_data(m, "sv", p->service, &p->n_service);
	}
	return -EINVAL;
}

static size_t list_length(enum device_property which, const struct device_properties *p)
{
	switch (which) {
	case PROPERTY_UUIDS:
		return p->n_services + p->n_services128;
	case PROPERTY_COMPANY:
		return p->n_company;
	case PROPERTY_SERVICE_DATA:
		return p->n_service;
	case PROPERTY_ADDRESS:
	case PROPERTY_ADDRESS_TYPE:
	case PROPERTY_NAME:
	case PROPERTY_RSSI:
	case PROPERTY_PAIRED:
	case PROPERTY_BONDED:
	case PROPERTY_CONNECTED:
		break;
	}
	return 0;
}

static int device_property(sd_bus_message *m, const char *name, void *user)
{
	static const struct {
		const char *name;
		enum device_property which;
	} rows[] = {
		{ "RSSI", PROPERTY_RSSI },
		{ "ManufacturerData", PROPERTY_COMPANY },
		{ "ServiceData", PROPERTY_SERVICE_DATA },
		{ "Address", PROPERTY_ADDRESS },
		{ "AddressType", PROPERTY_ADDRESS_TYPE },
		{ "Name", PROPERTY_NAME },
		{ "Paired", PROPERTY_PAIRED },
		{ "Bonded", PROPERTY_BONDED },
		{ "Connected", PROPERTY_CONNECTED },
		{ "UUIDs", PROPERTY_UUIDS },
	};
	struct device_properties *p = user;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r;

		if (strcmp(name, rows[i].name) != 0)
			continue;
		r = read_device_value(m, rows[i].which, p);
		/* lists keep what was good in them */
		if (r > 0 || (r == 0 && list_length(rows[i].which, p) > 0))
			p->seen |= rows[i].which;
		p->malformed += r == 0;
		return r;
	}
	return sd_bus_message_skip(m, "v");
}

int device_properties_read(sd_bus_message *m, struct device_properties *ret)
{
	struct device_properties p = { 0 };

	if (each_property(m, device_property, &p) < 0)
		return -EBADMSG;
	*ret = p;
	return 0;
}

static int read_power_state(sd_bus_message *m, struct adapter_properties *p)
{
	const char *text = NULL;
	const int r = bluez_read_basic(m, "s", &text);

	if (r > 0)
		p->rfkilled = strcmp(text, "off-blocked") == 0;
	return r;
}

static int adapter_property(sd_bus_message *m, const char *name, void *user)
{
	struct adapter_properties *p = user;
	enum adapter_property which;
	int r;

	if (strcmp(name, "Address") == 0) {
		which = PROPERTY_ADAPTER_ADDRESS;
		r = bluez_read_address(m, &p->address);
	} else if (strcmp(name, "Powered") == 0) {
		which = PROPERTY_POWERED;
		r = bluez_read_bool(m, &p->powered);
	} else if (strcmp(name, "Discovering") == 0) {
		which = PROPERTY_DISCOVERING;
		r = bluez_read_bool(m, &p->discovering);
	} else if (strcmp(name, "PowerState") == 0) {
		which = PROPERTY_POWER_STATE;
		r = read_power_state(m, p);
	} else if (strcmp(name, "Modalias") == 0) {
		which = PROPERTY_MODALIAS;
		r = bluez_read_basic(m, "s", &p->modalias);
	} else {
		return sd_bus_message_skip(m, "v");
	}
	if (r > 0)
		p->seen |= which;
	if (r == 0)
		p->malformed++;
	return r;
}

int adapter_properties_read(sd_bus_message *m, struct adapter_properties *ret)
{
	struct adapter_properties p = { 0 };

	if (each_property(m, adapter_property, &p) < 0)
		return -EBADMSG;
	*ret = p;
	return 0;
}

/* ---- the table ---- */

static size_t bucket_of(const char *path)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (; *path; path++)
		hash = (hash ^ (uint8_t)*path) * 16777619U;
	return hash % BUCKETS;
}

int objects_new(struct objects **ret)
{
	struct objects *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	for (size_t i = OBJECT_DEVICES; i-- > 0;) {
		o->slots[i].next = o->free;
		o->free = &o->slots[i];
	}
	*ret = o;
	return 0;
}

void objects_free(struct objects *o)
{
	free(o);
}

size_t objects_count(const struct objects *o)
{
	return o->n;
}

struct object *objects_find(const struct objects *o, const char *path)
{
	struct object *object = o->buckets[bucket_of(path)];

	while (object && strcmp(object->path, path) != 0)
		object = object->next;
	return object;
}

struct object *objects_next(struct objects *o, const struct object *object)
{
	const size_t from = object ? (size_t)(object - o->slots) + 1 : 0;

	for (size_t i = from; i < OBJECT_DEVICES; i++) {
		if (o->slots[i].path[0])
			return &o->slots[i];
	}
	return NULL;
}

struct object *objects_by_address(struct objects *o, const struct ble_address *address)
{
	struct object *object = NULL;

	while ((object = objects_next(o, object))) {
		if (ble_address_equal(&object->address, address))
			return object;
	}
	return NULL;
}

void objects_remove(struct objects *o, struct object *object)
{
	struct object **at = &o->buckets[bucket_of(object->path)];

	while (*at != object) {
		assert(*at);
		at = &(*at)->next;
	}
	*at = object->next;
	*object = (struct object){ .next = o->free };
	o->free = object;
	o->n--;
}

static bool evict(struct objects *o)
{
	struct object *oldest = NULL, *object = NULL;

	while ((object = objects_next(o, object))) {
		if (object->bonded || object->linked || object->ours)
			continue;
		if (!oldest || object->heard_at < oldest->heard_at)
			oldest = object;
	}
	if (oldest)
		objects_remove(o, oldest);
	return oldest != NULL;
}

int objects_add(struct objects *o, const char *path, struct object **ret, bool *evicted)
{
	const size_t len = strnlen(path, OBJECT_PATH);
	struct object *object, **bucket;

	if (len == 0 || len >= OBJECT_PATH)
		return -ENAMETOOLONG;
	*evicted = !o->free && evict(o);
	object = o->free;
	if (!object)
		return -ENOSPC;
	o->free = object->next;
	*object = (struct object){ 0 };
	memcpy(object->path, path, len);
	bucket = &o->buckets[bucket_of(path)];
	object->next = *bucket;
	*bucket = object;
	o->n++;
	*ret = object;
	return 0;
}

/* ---- what is known of one ---- */

/* at a character's boundary */
static void keep_name(char ret[OBJECT_NAME], const char *name)
{
	size_t len = strnlen(name, OBJECT_NAME);

	if (len == OBJECT_NAME) {
		len--;
		while (len > 0 && ((uint8_t)name[len] & 0xc0) == 0x80)
			len--;
	}
	memset(ret, 0, OBJECT_NAME);
	memcpy(ret, name, len);
}

void object_learn(struct object *object, const struct device_properties *p)
{
	if (p->seen & PROPERTY_ADDRESS)
		memcpy(object->address.bytes, p->address.bytes, sizeof(p->address.bytes));
	if (p->seen & PROPERTY_ADDRESS_TYPE)
		object->address.type = p->address.type;
	if (p->seen & PROPERTY_NAME)
		keep_name(object->name, p->name);
	if (!(p->seen & PROPERTY_UUIDS))
		return;
	object->n_services = p->n_services;
	memcpy(object->services, p->services, sizeof(p->services));
	object->n_services128 = p->n_services128;
	memcpy(object->services128, p->services128, sizeof(p->services128));
}

void object_advert(const struct object *object, const struct device_properties *p, int64_t now,
		   struct ble_advert *ret)
{
	struct ble_advert advert = { .address = object->address, .bonded = object->bonded };

	advert.at = now;
	if (object->name[0])
		advert.name = object->name;
	/* 127: not available (Core Specification Vol 4 Part E 7.7.65.2) */
	if (p->seen & PROPERTY_RSSI && p->rssi >= -127 && p->rssi <= 20) {
		advert.has_rssi = true;
		advert.rssi = (int8_t)p->rssi;
	}
	advert.n_services = object->n_services;
	memcpy(advert.services, object->services, sizeof(advert.services));
	advert.n_services128 = object->n_services128;
	for (size_t i = 0; i < object->n_services128; i++)
		memcpy(advert.services128[i], object->services128[i].bytes, 16);
	advert.n_company = p->n_company;
	memcpy(advert.company, p->company, sizeof(advert.company));
	advert.n_service = p->n_service;
	memcpy(advert.service, p->service, sizeof(advert.service));
	*ret = advert;
}
