#include "protocols/att/table.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/crc.h"
#include "protocols/bytes/cursor.h"
#include "protocols/bytes/writer.h"

#define CRC_SIZE 4

void att_table_clear(struct att_table *t)
{
	memset(t, 0, sizeof(*t));
}

/* ---- adding ---- */

int att_table_add_service(struct att_table *t, const struct att_service *s)
{
	const uint16_t last = t->n_services > 0 ? t->services[t->n_services - 1].end : 0;

	if (s->start <= last || s->end < s->start)
		return -EBADMSG;
	if (t->n_services == ATT_SERVICES_MAX)
		return -ENOSPC;
	t->services[t->n_services++] = *s;
	return 0;
}

static const struct att_service *service_at(const struct att_table *t, uint16_t handle)
{
	for (size_t i = 0; i < t->n_services; i++) {
		if (handle >= t->services[i].start && handle <= t->services[i].end)
			return &t->services[i];
	}
	return NULL;
}

int att_table_add_characteristic(struct att_table *t, const struct att_characteristic *c)
{
	struct att_characteristic *last = NULL, *added;
	const struct att_service *service = service_at(t, c->declaration);

	if (t->n_characteristics > 0)
		last = &t->characteristics[t->n_characteristics - 1];
	if (!service || c->declaration == service->start || c->value <= c->declaration ||
	    c->value > service->end)
		return -EBADMSG;
	if (last && (c->declaration <= last->value || c->declaration <= last->ccc))
		return -EBADMSG;
	if (t->n_characteristics == ATT_CHARACTERISTICS_MAX)
		return -ENOSPC;
	if (last && last->end >= c->declaration)
		last->end = (uint16_t)(c->declaration - 1);
	added = &t->characteristics[t->n_characteristics++];
	*added = *c;
	added->end = service->end;
	added->ccc = 0;
	return 0;
}

int att_table_set_ccc(struct att_table *t, size_t i, uint16_t ccc)
{
	struct att_characteristic *c = &t->characteristics[i];

	assert(i < t->n_characteristics);
	if (ccc <= c->value || ccc > c->end)
		return -EBADMSG;
	c->ccc = ccc;
	return 0;
}

/* ---- asking ---- */

const struct att_service *att_table_service(const struct att_table *t, const struct att_uuid *uuid)
{
	for (size_t i = 0; i < t->n_services; i++) {
		if (att_uuid_equal(&t->services[i].uuid, uuid))
			return &t->services[i];
	}
	return NULL;
}

const struct att_characteristic *att_table_characteristic(const struct att_table *t,
							  const struct att_service *service,
							  const struct att_uuid *uuid)
{
	for (size_t i = 0; i < t->n_characteristics; i++) {
		const struct att_characteristic *c = &t->characteristics[i];

		if (service && (c->value < service->start || c->value > service->end))
			continue;
		if (att_uuid_equal(&c->uuid, uuid))
			return c;
	}
	return NULL;
}

const struct att_characteristic *att_table_by_value(const struct att_table *t, uint16_t value)
{
	for (size_t i = 0; i < t->n_characteristics; i++) {
		if (t->characteristics[i].value == value)
			return &t->characteristics[i];
	}
	return NULL;
}

void att_table_invalidate(struct att_table *t, uint16_t start, uint16_t end)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n_services; i++) {
		const struct att_service s = t->services[i];

		if (s.end < start || s.start > end)
			t->services[kept++] = s;
	}
	t->n_services = kept;
	kept = 0;
	for (size_t i = 0; i < t->n_characteristics; i++) {
		const struct att_characteristic c = t->characteristics[i];

		if (service_at(t, c.declaration))
			t->characteristics[kept++] = c;
	}
	t->n_characteristics = kept;
	t->complete = t->has_hash = false;
}

void att_table_set_hash(struct att_table *t, const uint8_t hash[ATT_HASH_SIZE])
{
	memcpy(t->hash, hash, ATT_HASH_SIZE);
	t->has_hash = true;
}

bool att_table_matches(const struct att_table *t, const uint8_t hash[ATT_HASH_SIZE])
{
	return t->complete && t->has_hash && memcmp(t->hash, hash, ATT_HASH_SIZE) == 0;
}

/* ---- as bytes ---- */

int att_table_export(const struct att_table *t, uint8_t *buffer, size_t size, size_t *ret_len)
{
	static const uint8_t none[ATT_HASH_SIZE];
	struct writer w = writer_of(buffer, size);

	assert(t->complete);
	writer_u8(&w, ATT_TABLE_VERSION);
	writer_u8(&w, t->has_hash ? 1 : 0);
	writer_bytes(&w, t->has_hash ? t->hash : none, ATT_HASH_SIZE);
	writer_u8(&w, (uint8_t)t->n_services);
	writer_u8(&w, (uint8_t)t->n_characteristics);
	for (size_t i = 0; i < t->n_services; i++) {
		writer_le16(&w, t->services[i].start);
		writer_le16(&w, t->services[i].end);
		writer_bytes(&w, t->services[i].uuid.bytes, sizeof(t->services[i].uuid.bytes));
	}
	for (size_t i = 0; i < t->n_characteristics; i++) {
		const struct att_characteristic *c = &t->characteristics[i];

		writer_le16(&w, c->declaration);
		writer_le16(&w, c->value);
		writer_le16(&w, c->ccc);
		writer_u8(&w, c->properties);
		writer_bytes(&w, c->uuid.bytes, sizeof(c->uuid.bytes));
	}
	writer_le32(&w, crc_32_iso_hdlc(buffer, w.len));
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}

static void read_uuid(struct cursor *c, struct att_uuid *ret)
{
	const uint8_t *bytes = cursor_bytes(c, sizeof(ret->bytes));

	if (bytes)
		memcpy(ret->bytes, bytes, sizeof(ret->bytes));
}

static int import_services(struct cursor *c, unsigned int n, struct att_table *t)
{
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++) {
		struct att_service s = { .start = cursor_le16(c), .end = 0 };

		s.end = cursor_le16(c);
		read_uuid(c, &s.uuid);
		r = cursor_ok(c) ? att_table_add_service(t, &s) : -EMSGSIZE;
	}
	return r;
}

static int import_characteristics(struct cursor *c, unsigned int n, struct att_table *t)
{
	uint16_t cccs[ATT_CHARACTERISTICS_MAX];
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++) {
		struct att_characteristic a = { .declaration = cursor_le16(c) };

		a.value = cursor_le16(c);
		cccs[i % ATT_CHARACTERISTICS_MAX] = cursor_le16(c);
		a.properties = cursor_u8(c);
		read_uuid(c, &a.uuid);
		r = cursor_ok(c) ? att_table_add_characteristic(t, &a) : -EMSGSIZE;
	}
	/* only now is the end of each one known */
	for (unsigned int i = 0; i < n && r == 0; i++) {
		if (cccs[i] != 0)
			r = att_table_set_ccc(t, i, cccs[i]);
	}
	return r;
}

static int import_body(struct cursor *c, struct att_table *t)
{
	const uint8_t has_hash = cursor_u8(c);
	const uint8_t *hash = cursor_bytes(c, ATT_HASH_SIZE);
	const uint8_t n_services = cursor_u8(c), n_characteristics = cursor_u8(c);
	int r;

	if (!cursor_ok(c) || !hash)
		return -EMSGSIZE;
	if (has_hash > 1)
		return -ERANGE;
	if (has_hash)
		att_table_set_hash(t, hash);
	r = import_services(c, n_services, t);
	if (r == 0)
		r = import_characteristics(c, n_characteristics, t);
	if (r == 0 && !cursor_at_end(c))
		r = -EMSGSIZE;
	return r;
}

int att_table_import(const uint8_t *data, size_t len, struct att_table *ret)
{
	struct cursor body, c = cursor_of(data, len);
	struct att_table t;
	uint8_t version;
	int r;

	if (len < 1 + CRC_SIZE || len > ATT_TABLE_BYTES_MAX)
		return -EMSGSIZE;
	body = cursor_sub(&c, len - CRC_SIZE);
	if (cursor_le32(&c) != crc_32_iso_hdlc(data, len - CRC_SIZE))
		return -EBADMSG;
	version = cursor_u8(&body);
	if (version != ATT_TABLE_VERSION)
		return -ENOMSG;
	att_table_clear(&t);
	r = import_body(&body, &t);
	if (r < 0)
		return r;
	t.complete = true;
	*ret = t;
	return 0;
}
