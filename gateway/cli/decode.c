/*
 * wellgate decode gatt UUID16 HEX: one value of a characteristic as one line of JSON. Measurements
 * go through the same driver and session as from a radio; everything else is shown field by field.
 * wellgate decode advert UUID16 HEX: the service data of one advertisement, through the driver that
 * would hear it; a line for each measurement in it.
 * wellgate decode apdu HEX: apdu.c; wellgate decode omron MODEL HEX: decode_omron.c; wellgate
 * decode fitbit FILE: decode_fitbit.c.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/registry.h"
#include "drivers/session.h"
#include "gateway/cli/apdu.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/decode_cuff.h"
#include "gateway/cli/decode_fitbit.h"
#include "gateway/cli/decode_omron.h"
#include "gateway/cli/fields.h"
#include "gateway/cli/print.h"

#define NAME "decode"

/* longest attribute value (Core Specification, Vol 3, Part F, 3.2.9) */
#define VALUE_MAX 512

static const char *const usage =
	"usage: wellgate decode gatt UUID16 HEX\n"
	"       wellgate decode advert UUID16 HEX\n"
	"       wellgate decode beurer|microlife HEX\n"
	"       wellgate decode omron MODEL HEX\n"
	"       wellgate decode apdu HEX [CONFIGURATION]\n"
	"       wellgate decode fitbit FILE [--key FILE] [--resting-kcal N]\n"
	"\n"
	"Prints what a value of a Bluetooth characteristic, the service data of an\n"
	"advertisement, a record in the memory of an Omron cuff, or an APDU of\n"
	"IEEE 11073-20601 says, as JSON. What a report of the latter measured is said if it\n"
	"is one of a standard configuration: CONFIGURATION\n"
	"(02bc, 05dc, 06a4, 0190, 0191), or the only one that fits.\n"
	"\n"
	"FILE is a dump of a Fitbit One, Flex or Zip as it was sent, in hexadecimal, or as a\n"
	"capture of its packets. An encrypted one needs its owner's key: a file of mode 0600\n"
	"with 32 hexadecimal digits, and nothing of it is ever printed. Each minute is a line;\n"
	"snapshots of a day count from local midnight and are never to be added up. With the\n"
	"wearer's resting rate in kcal a day, energy is estimated, too.\n"
	"\n"
	"Examples:\n"
	"  wellgate decode gatt 2a9d 0e783eea07050c12353601ee002607\n"
	"  wellgate decode advert 181b 0224ea07050c12353600000c35\n"
	"  wellgate decode omron HEM-7155T 7d5d461a2b2541160000200000010200\n"
	"  wellgate decode apdu e60000020003\n";

/* Where the bytes come from. */
struct source {
	bool advert;     /* service data, else the value of a characteristic */
	uint16_t uuid16; /* of the service or the characteristic */
};

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

static int give(struct session *session, const struct source *source, const uint8_t *data,
		size_t len)
{
	const struct drv_frame frame = { .channel = source->uuid16, .data = data, .len = len };
	const struct drv_advert advert = { .service = source->uuid16, .data = data, .len = len };

	return source->advert ? session_advert(session, &advert, 0)
			      : session_frame(session, &frame, false, 0);
}

static int through_driver(struct decoding *d, const struct source *source, const uint8_t *data,
			  size_t len)
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
	r = give(session, source, data, len);
	if (r == 0 && d->lines == 0 && d->wants_time)
		r = session_timeout(session, 0);
	session_free(session);
	return r;
}

static bool is_fields(const struct source *source)
{
	return !source->advert && fields_known(source->uuid16);
}

/* the driver that these bytes would reach, or NULL */
static const struct driver *driver_of(const struct source *source)
{
	const struct drv_identity id = { .bus = DRV_BUS_BLE_ADVERT,
					 .services = &source->uuid16,
					 .n_services = 1 };
	const struct driver *driver;

	if (!source->advert)
		return registry_by_channel(source->uuid16);
	driver = registry_match(&id, NULL);
	return driver && driver->advert ? driver : NULL;
}

/* quiet: only whether it can be decoded */
static int decode_value(const struct source *source, const uint8_t *data, size_t len, bool quiet)
{
	struct decoding d = { .driver = driver_of(source), .quiet = quiet };
	_cleanup_free_ char *line = NULL;
	int r;

	if (!is_fields(source)) {
		r = through_driver(&d, source, data, len);
	} else {
		r = fields_print(source->uuid16, data, len, &line);
		d.failed = r == 0 && !quiet && puts(line) == EOF;
	}
	return d.failed ? -EIO : r;
}

/* Too long, or too short? It is too long if its beginning alone would be good. */
static int explain_length(const struct source *source, const uint8_t *data, size_t len)
{
	for (size_t n = len; n-- > 0;) {
		if (decode_value(source, data, n, true) == 0)
			return cli_fail(NAME, EXIT_DATA,
					"%04x: %zu bytes: %zu too many after byte %zu (length)",
					source->uuid16, len, len - n, n);
	}
	return cli_fail(NAME, EXIT_DATA, "%04x: %zu bytes: too short for its layout (length)",
			source->uuid16, len);
}

static int explain(const struct source *source, const uint8_t *data, size_t len, int r)
{
	if (r == -EMSGSIZE)
		return explain_length(source, data, len);
	if (r == -ERANGE)
		return cli_fail(NAME, EXIT_DATA,
				"%04x: %zu bytes: a field is outside its definition (range)",
				source->uuid16, len);
	if (r == -EBADMSG)
		return cli_fail(NAME, EXIT_DATA,
				"%04x: %zu bytes: not what it should be (structure)",
				source->uuid16, len);
	return cli_fail(NAME, EXIT_IO, "%04x: %s", source->uuid16, strerror(-r));
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

static int decode_bytes(const struct source *source, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1); /* exact size: a sanitizer sees a read too far */
	int r;

	if (!copy)
		return cli_fail(NAME, EXIT_IO, "out of memory");
	memcpy(copy, data, len);
	r = decode_value(source, copy, len, false);
	if (r < 0)
		r = explain(source, copy, len, r);
	free(copy);
	return r;
}

static int decode_hex(const struct source *source, const char *hex)
{
	const size_t len = strlen(hex) / 2;
	uint8_t data[VALUE_MAX + 1] = { 0 }; /* and half a byte that is one too few */
	size_t where;

	if (len > VALUE_MAX)
		return cli_fail(NAME, EXIT_DATA, "%04x: %zu bytes: no value is longer than %d",
				source->uuid16, len, VALUE_MAX);
	if (parse_hex(hex, data, &where) < 0)
		return cli_fail(NAME, EXIT_DATA, "%04x: not hexadecimal at character %zu",
				source->uuid16, where + 1);
	return decode_bytes(source, data, len);
}

static int decode(bool advert, const char *uuid_text, const char *hex)
{
	struct source source = { .advert = advert };

	if (parse_uuid16(uuid_text, &source.uuid16) < 0)
		return cli_fail(NAME, EXIT_DATA, "\"%.40s\" is not a 16-bit UUID", uuid_text);
	if (!is_fields(&source) && !driver_of(&source))
		return cli_fail(NAME, EXIT_DATA, "%04x: no codec for this %s", source.uuid16,
				advert ? "service data" : "characteristic");
	return decode_hex(&source, hex);
}

int cmd_decode(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		(void)fputs(usage, stdout);
		return EXIT_GOOD;
	}
	if (argc == 4 && strcmp(argv[1], "gatt") == 0)
		return decode(false, argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "advert") == 0)
		return decode(true, argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "omron") == 0)
		return decode_omron(argv[2], argv[3]);
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "apdu") == 0)
		return apdu_command(argv[2], argc == 4 ? argv[3] : NULL);
	if (argc > 1 && strcmp(argv[1], "fitbit") == 0)
		return decode_fitbit(argc - 1, argv + 1);
	if (argc == 3 && (strcmp(argv[1], "beurer") == 0 || strcmp(argv[1], "microlife") == 0))
		return decode_cuff(argv[1], argv[2]);
	(void)fputs(usage, stderr);
	return EXIT_USAGE;
}
