/*
 * wellgate decode beurer HEX: one record as the cuff sends it: 9 bytes over a serial line, 8 over
 * HID, the 64 of a BM96 (14 will do: the rest says nothing). A line of JSON.
 * wellgate decode microlife HEX: the answer to "12 16 18 22", from 06 to the sum. A line for each
 * record.
 */
#include "gateway/cli/decode_cuff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/cuff.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/print.h"

#define NAME "decode"

#define CARDIO_MIN 14 /* bytes of a row that say something */

struct bytes {
	size_t len;
	uint8_t data[MICROLIFE_ANSWER_MAX];
};

static int nibble(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)((at - digits) % 16) : -1;
}

/* -EINVAL: *ret_where is the first character that is no hex digit, or the end of an odd number */
static int parse(const char *hex, struct bytes *ret, size_t *ret_where)
{
	size_t i = 0;

	if (strlen(hex) / 2 >= sizeof(ret->data))
		return -EMSGSIZE;
	for (; hex[i] && nibble(hex[i]) >= 0; i++)
		ret->data[i / 2] = (uint8_t)(ret->data[i / 2] << 4 | nibble(hex[i]));
	ret->len = i / 2;
	*ret_where = i;
	return hex[i] || i % 2 ? -EINVAL : 0;
}

static int explain(const char *maker, size_t len, int r)
{
	switch (r) {
	case -ENOENT:
		return cli_fail(NAME, EXIT_DATA, "%s: the cuff says that there is no such record",
				maker);
	case -EMSGSIZE:
		return cli_fail(NAME, EXIT_DATA, "%s: %zu bytes: not as long as it says (length)",
				maker, len);
	case -ERANGE:
		return cli_fail(NAME, EXIT_DATA,
				"%s: %zu bytes: a field is outside its definition (range)", maker,
				len);
	case -ENOMSG:
		return cli_fail(NAME, EXIT_DATA, "%s: no blood pressure in it", maker);
	case -EBADMSG:
		return cli_fail(NAME, EXIT_DATA,
				"%s: %zu bytes: not what it should be (structure, checksum)", maker,
				len);
	default:
		return cli_fail(NAME, EXIT_IO, "%s: %s", maker, strerror(-r));
	}
}

static int print(const struct cuff_reading *x, const char *driver)
{
	struct measurement m = { .n_parts = 0 };
	_cleanup_free_ char *line = NULL;

	cuff_measure(&m, x);
	line = print_measurement(&m, driver);
	return line && puts(line) != EOF ? 0 : -EIO;
}

static int decode_row(struct bytes *b, struct beurer_reading *ret)
{
	struct beurer_row row;
	int r;

	if (b->len < CARDIO_MIN || b->len > BEURER_CARDIO_SIZE)
		return -EMSGSIZE;
	r = beurer_cardio_decode(b->data, BEURER_CARDIO_SIZE, &row);
	if (r < 0)
		return r;
	if (row.sensor != BEURER_PRESSURE)
		return -ENOMSG;
	*ret = row.reading;
	return 0;
}

static int decode_beurer(struct bytes *b)
{
	const char *driver = "beurer_cardio";
	struct beurer_reading reading;
	struct cuff_reading x;
	int r;

	if (b->len == 1 || b->len == BEURER_SERIAL_SIZE) {
		driver = "beurer_serial";
		r = beurer_serial_decode(b->data, b->len, &reading);
	} else if (b->len == BEURER_HID_SIZE) {
		driver = "beurer_hid";
		r = beurer_hid_decode(b->data, b->len, &reading);
	} else {
		r = decode_row(b, &reading);
	}
	if (r < 0)
		return r;
	x = cuff_of_beurer(&reading);
	return print(&x, driver);
}

/* All of it, then what was wrong with the last that cannot be. */
static int decode_microlife(const struct bytes *b)
{
	struct microlife_reading reading;
	struct cuff_reading x;
	const uint8_t *text;
	size_t len, count = 0;
	int r = microlife_answer(b->data, b->len, &text, &len), bad = 0;

	if (r >= 0)
		r = microlife_memory(text, len, &count);
	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = microlife_record(text, i, &reading);
		if (r < 0) {
			bad = r;
			r = 0;
			continue;
		}
		x = cuff_of_microlife(&reading);
		r = print(&x, "microlife");
	}
	return r < 0 ? r : bad;
}

int decode_cuff(const char *maker, const char *hex)
{
	struct bytes b = { .len = 0 };
	size_t where = 0;
	int r = parse(hex, &b, &where);

	if (r == -EINVAL)
		return cli_fail(NAME, EXIT_DATA, "%s: not hexadecimal at character %zu", maker,
				where + 1);
	if (r >= 0)
		r = strcmp(maker, "beurer") == 0 ? decode_beurer(&b) : decode_microlife(&b);
	return r < 0 ? explain(maker, b.len, r) : EXIT_GOOD;
}
