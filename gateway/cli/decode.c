/*
 * wellgate decode gatt UUID16 HEX: one value of a characteristic as one line of JSON. Measurements
 * go through the same driver and session as from a radio; everything else is shown field by field.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/registry.h"
#include "drivers/session.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/fields.h"
#include "gateway/cli/print.h"

#define NAME "decode"

/* longest attribute value (Core Specification, Vol 3, Part F, 3.2.9) */
#define VALUE_MAX 512

static const char *const usage =
	"usage: wellgate decode gatt UUID16 HEX\n"
	"\n"
	"Prints what a value of a Bluetooth characteristic says, as JSON. Example:\n"
	"  wellgate decode gatt 2a9d 0e783eea07050c12353601ee002607\n";

struct decoding {
	const struct driver *driver;
	bool quiet;
	bool failed;
	bool wants_time; /* the driver waits for more before it says something */
	size_t lines;
};

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct decoding *d = user;
	_cleanup_free_ char *line = NULL;

	(void)seq;
	d->lines++;
	if (d->quiet)
		return;
	line = print_measurement(m, d->driver->name);
	if (!line || puts(line) == EOF)
		d->failed = true;
}

static void on_request(void *user, const struct session_request *request)
{
	struct decoding *d = user;

	if (request->kind == SESSION_TIMER)
		d->wants_time = request->msec > 0;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user; /* session_frame() returns r, too */
	(void)channel;
	(void)fault;
	(void)r;
}

static int through_driver(struct decoding *d, const struct drv_frame *frame)
{
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = d,
	};
	struct session *session;
	uint64_t next_seq = 1;
	int r = session_new(d->driver, 0, &sink, &next_seq, &session);

	if (r < 0)
		return r;
	r = session_frame(session, frame, false, 0);
	if (r == 0 && d->lines == 0 && d->wants_time)
		r = session_timeout(session, 0);
	session_free(session);
	return r;
}

/* quiet: only whether it can be decoded */
static int decode_value(uint16_t uuid16, const uint8_t *data, size_t len, bool quiet)
{
	struct decoding d = { .driver = registry_by_channel(uuid16), .quiet = quiet };
	const struct drv_frame frame = { .channel = uuid16, .data = data, .len = len };
	_cleanup_free_ char *line = NULL;
	int r;

	if (!fields_known(uuid16)) {
		r = through_driver(&d, &frame);
	} else {
		r = fields_print(uuid16, data, len, &line);
		d.failed = r == 0 && !quiet && puts(line) == EOF;
	}
	return d.failed ? -EIO : r;
}

/* Too long, or too short? It is too long if its beginning alone would be good. */
static int explain_length(uint16_t uuid16, const uint8_t *data, size_t len)
{
	for (size_t n = len; n-- > 0;) {
		if (decode_value(uuid16, data, n, true) == 0)
			return cli_fail(NAME, EXIT_DATA,
					"%04x: %zu bytes: %zu too many after byte %zu (length)",
					uuid16, len, len - n, n);
	}
	return cli_fail(NAME, EXIT_DATA, "%04x: %zu bytes: too short for its layout (length)",
			uuid16, len);
}

static int explain(uint16_t uuid16, const uint8_t *data, size_t len, int r)
{
	if (r == -EMSGSIZE)
		return explain_length(uuid16, data, len);
	if (r == -ERANGE)
		return cli_fail(NAME, EXIT_DATA,
				"%04x: %zu bytes: a field is outside its definition (range)",
				uuid16, len);
	if (r == -EBADMSG)
		return cli_fail(NAME, EXIT_DATA,
				"%04x: %zu bytes: not what it should be (structure)", uuid16, len);
	return cli_fail(NAME, EXIT_IO, "%04x: %s", uuid16, strerror(-r));
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_uuid16(const char *text, uint16_t *ret)
{
	unsigned int n = 0;

	if (strncmp(text, "0x", 2) == 0)
		text += 2;
	if (strlen(text) != 4)
		return -EINVAL;
	for (size_t i = 0; i < 4; i++) {
		if (digit_value(text[i]) < 0)
			return -EINVAL;
		n = n << 4 | (unsigned int)digit_value(text[i]);
	}
	*ret = (uint16_t)n;
	return 0;
}

/* Position of the first character that is no hex digit, or of the end of an odd number of them. */
static int parse_hex(const char *text, uint8_t *data, size_t *ret_where)
{
	const size_t digits = strlen(text);

	for (size_t i = 0; i < digits; i++) {
		const int v = digit_value(text[i]);

		if (v < 0) {
			*ret_where = i;
			return -EINVAL;
		}
		data[i / 2] = (uint8_t)(data[i / 2] << 4 | v);
	}
	*ret_where = digits;
	return digits % 2 ? -EINVAL : 0;
}

static int decode_bytes(uint16_t uuid16, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* exact size: a sanitizer sees a read too far */
	int r;

	if (!copy)
		return cli_fail(NAME, EXIT_IO, "out of memory");
	memcpy(copy, data, len);
	r = decode_value(uuid16, copy, len, false);
	if (r < 0)
		r = explain(uuid16, copy, len, r);
	free(copy);
	return r;
}

static int decode_hex(uint16_t uuid16, const char *hex)
{
	const size_t len = strlen(hex) / 2;
	uint8_t data[VALUE_MAX + 1] = { 0 }; /* and half a byte that is one too few */
	size_t where;

	if (len > VALUE_MAX)
		return cli_fail(NAME, EXIT_DATA, "%04x: %zu bytes: no value is longer than %d",
				uuid16, len, VALUE_MAX);
	if (parse_hex(hex, data, &where) < 0)
		return cli_fail(NAME, EXIT_DATA, "%04x: not hexadecimal at character %zu", uuid16,
				where + 1);
	return decode_bytes(uuid16, data, len);
}

static int decode_gatt(const char *uuid_text, const char *hex)
{
	uint16_t uuid16;

	if (parse_uuid16(uuid_text, &uuid16) < 0)
		return cli_fail(NAME, EXIT_DATA, "\"%.40s\" is not a 16-bit UUID", uuid_text);
	if (!fields_known(uuid16) && !registry_by_channel(uuid16))
		return cli_fail(NAME, EXIT_DATA, "%04x: no codec for this characteristic", uuid16);
	return decode_hex(uuid16, hex);
}

int cmd_decode(int argc, char **argv)
{
	static const char *const later[] = { "advert", "apdu", "omron", "fitbit" };

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(usage, stdout);
		return EXIT_GOOD;
	}
	if (argc == 4 && strcmp(argv[1], "gatt") == 0)
		return decode_gatt(argv[2], argv[3]);
	for (size_t i = 0; argc > 1 && i < sizeof(later) / sizeof(later[0]); i++) {
		if (strcmp(argv[1], later[i]) == 0)
			return cli_fail(NAME, EXIT_USAGE,
					"%s: this version has no driver for that; it decodes gatt",
					argv[1]);
	}
	(void)fputs(usage, stderr);
	return EXIT_USAGE;
}
