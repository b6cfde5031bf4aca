#include "protocols/gatt/device_information.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/gatt/field.h"

#define MANUFACTURER_BITS 40
#define OUI_MAX           0xffffff

/* Unicode 15, table 3-7: the bytes that may come first and second; the others are 80..BF. */
static const struct utf8_form {
	uint8_t first_min, first_max, second_min, second_max, size;
} utf8_forms[] = {
	{ 0x20, 0x7e, 0x00, 0x00, 1 }, /* no control characters... */
	{ 0xc2, 0xc2, 0xa0, 0xbf, 2 }, /* ... nor the other ones, U+0080 to U+009F */
	{ 0xc3, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static const struct utf8_form *utf8_form_of(uint8_t first)
{
	for (size_t i = 0; i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++)
		if (first >= utf8_forms[i].first_min && first <= utf8_forms[i].first_max)
			return &utf8_forms[i];
	return NULL;
}

/* size of the character at the front, or 0 */
static size_t utf8_character(const uint8_t *data, size_t len)
{
	const struct utf8_form *form = utf8_form_of(data[0]);

	if (!form || form->size > len)
		return 0;
	if (form->size > 1 && (data[1] < form->second_min || data[1] > form->second_max))
		return 0;
	for (size_t i = 2; i < form->size; i++)
		if (data[i] < 0x80 || data[i] > 0xbf)
			return 0;
	return form->size;
}

static bool utf8_valid(const uint8_t *data, size_t len)
{
	size_t n = 0;

	for (size_t pos = 0; pos < len; pos += n) {
		n = utf8_character(data + pos, len - pos);
		if (n == 0)
			return false;
	}
	return true;
}

static bool is_padding(uint8_t b)
{
	return b == 0 || b == ' ' || (b >= '\t' && b <= '\r');
}

int gatt_text(const uint8_t *data, size_t len, char *ret, size_t size)
{
	if (len > GATT_TEXT_MAX)
		return -EMSGSIZE;
	while (len > 0 && is_padding(data[len - 1]))
		len--;
	while (len > 0 && is_padding(data[0])) {
		data++;
		len--;
	}
	if (!utf8_valid(data, len))
		return -EBADMSG;
	if (len >= size)
		return -EMSGSIZE;
	if (len > 0)
		memcpy(ret, data, len);
	ret[len] = '\0';
	return (int)len;
}

int gatt_text_encode(const char *text, struct writer *w)
{
	struct writer start = *w;
	size_t len = strnlen(text, GATT_TEXT_MAX + 1);

	if (len > GATT_TEXT_MAX)
		return -EMSGSIZE;
	if (!utf8_valid((const uint8_t *)text, len))
		return -EBADMSG;
	writer_bytes(w, text, len);
	return field_close(w, &start, 0);
}

int gatt_system_id_decode(const uint8_t *data, size_t len, struct gatt_system_id *ret)
{
	struct cursor c = cursor_of(data, len);
	uint64_t id = cursor_le64(&c);

	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	ret->manufacturer = id & ((UINT64_C(1) << MANUFACTURER_BITS) - 1);
	ret->oui = (uint32_t)(id >> MANUFACTURER_BITS);
	return 0;
}

int gatt_system_id_encode(const struct gatt_system_id *x, struct writer *w)
{
	struct writer start = *w;

	if (x->manufacturer >> MANUFACTURER_BITS != 0 || x->oui > OUI_MAX)
		return -ERANGE;
	writer_le64(w, (uint64_t)x->oui << MANUFACTURER_BITS | x->manufacturer);
	return field_close(w, &start, 0);
}

static bool source_valid(unsigned int source)
{
	return source == GATT_PNP_BLUETOOTH || source == GATT_PNP_USB;
}

int gatt_pnp_id_decode(const uint8_t *data, size_t len, struct gatt_pnp_id *ret)
{
	struct cursor c = cursor_of(data, len);
	struct gatt_pnp_id x;

	x.source = (enum gatt_pnp_source)cursor_u8(&c);
	x.vendor = cursor_le16(&c);
	x.product = cursor_le16(&c);
	x.version = cursor_le16(&c);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (!source_valid((unsigned int)x.source))
		return -ERANGE;
	*ret = x;
	return 0;
}

int gatt_pnp_id_encode(const struct gatt_pnp_id *x, struct writer *w)
{
	struct writer start = *w;

	if (!source_valid((unsigned int)x->source))
		return -ERANGE;
	writer_u8(w, (uint8_t)x->source);
	writer_le16(w, x->vendor);
	writer_le16(w, x->product);
	writer_le16(w, x->version);
	return field_close(w, &start, 0);
}
