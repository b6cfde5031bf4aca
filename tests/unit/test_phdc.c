/* links: protocols */
/* Descriptors of class 0f, the metadata preamble, APDUs out of packets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/phdc/descriptor.h"
#include "protocols/phdc/stream.h"

#define DEVICE_(class) \
	18, 0x01, 0x00, 0x02, class, 0, 0, 64, 0x09, 0x12, 0x0f, 0x00, 0x00, 0x01, 1, 2, 3, 1
#define CONFIG_(total, value)              9, 0x02, total, 0, 1, value, 0, 0xc0, 50
#define INTERFACE_(number, setting, class) 9, 0x04, number, setting, 2, class, 0, 0, 0
#define ENDPOINT_(address, type, packet)   7, 0x05, address, type, (packet)&0xff, (packet) >> 8, 0
#define FUNCTION_(code, can)               4, 0x20, code, can
#define EXTENSION_                         8, 0x30, 0, 2, 0x07, 0x10, 0x0f, 0x10
#define QOS_(bits)                         4, 0x21, 1, bits
#define METADATA_                          5, 0x22, 0xaa, 0xbb, 0xcc
#define PAIR_                              ENDPOINT_(0x81, 2, 64), ENDPOINT_(0x02, 2, 64)

static const uint8_t FULL[] = {
	DEVICE_(0),
	CONFIG_(68, 1),
	INTERFACE_(2, 0, 0x0f),
	FUNCTION_(2, 1),
	EXTENSION_,
	ENDPOINT_(0x81, 2, 512),
	QOS_(0x0e),
	METADATA_,
	ENDPOINT_(0x02, 2, 64),
	QOS_(0x08),
	ENDPOINT_(0x83, 3, 16),
	QOS_(0x01),
};

static void full(void **state)
{
	struct usb_interface_choice c;

	(void)state;
	assert_int_equal(phdc_choose(FULL, sizeof(FULL), 1, &c), 0);
	assert_int_equal(c.configuration, 1);
	assert_int_equal(c.interface, 2);
	assert_int_equal(c.bulk_in.address, 0x81);
	assert_int_equal(c.bulk_in.packet, 512);
	assert_int_equal(c.bulk_in.qos, 0x0e);
	assert_int_equal(c.bulk_in.metadata_len, 3);
	assert_int_equal(c.bulk_out.address, 0x02);
	assert_int_equal(c.bulk_out.packet, 64);
	assert_int_equal(c.bulk_out.qos, PHDC_MEDIUM_BEST);
	assert_int_equal(c.interrupt_in.address, 0x83);
	assert_int_equal(c.interrupt_in.packet, 16);
	assert_int_equal(c.interrupt_in.qos, PHDC_LOW_GOOD);
	assert_int_equal(c.data_code, PHDC_DATA_11073_20601);
	assert_true(c.can_preamble);
	assert_false(c.use_preamble);
	assert_int_equal(c.n_specialisations, 2);
	assert_int_equal(c.specialisations[0], 0x1007);
	assert_int_equal(c.specialisations[1], 0x100f);
	assert_int_equal(c.flaws, 0);
}

struct row {
	const char *name;
	size_t len;
	int result; /* of phdc_choose(); 0: the interface below */
	unsigned int flaws;
	uint8_t configuration, interface;
	uint8_t bytes[140];
};

/* clang-format off */
#define ROW(name, configuration, result, interface, flaws, ...) \
	{ name,                                   \
	  sizeof((uint8_t[]){ __VA_ARGS__ }),     \
	  result,                                 \
	  flaws,                                  \
	  configuration,                          \
	  interface,                              \
	  { __VA_ARGS__ } }
static const struct row ROWS[] = {
	ROW("nothing but the pair", 1, 0, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("any configuration", 0, 0, 0, 0,
	    DEVICE_(0), CONFIG_(32, 7), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("the class of the device", 1, 0, 0, 0,
	    DEVICE_(0x0f), CONFIG_(32, 1), INTERFACE_(0, 0, 0), PAIR_),
	ROW("another class", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0xff), PAIR_),
	ROW("the second interface", 1, 0, 1, 0,
	    DEVICE_(0), CONFIG_(55, 1), INTERFACE_(0, 0, 0xff), PAIR_,
	    INTERFACE_(1, 0, 0x0f), PAIR_),
	ROW("the first of two", 1, 0, 0, 0,
	    DEVICE_(0), CONFIG_(55, 1), INTERFACE_(0, 0, 0x0f), PAIR_,
	    INTERFACE_(1, 0, 0x0f), PAIR_),
	ROW("a vendor's own data, then 11073", 1, 0, 1, 0,
	    DEVICE_(0), CONFIG_(63, 1), INTERFACE_(0, 0, 0x0f), FUNCTION_(1, 0), PAIR_,
	    INTERFACE_(1, 0, 0x0f), FUNCTION_(2, 0), PAIR_),
	ROW("a vendor's own data", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(36, 1), INTERFACE_(0, 0, 0x0f), FUNCTION_(1, 0), PAIR_),
	ROW("the second configuration", 2, 0, 3, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), PAIR_,
	    CONFIG_(32, 2), INTERFACE_(3, 0, 0x0f), PAIR_),
	ROW("no such configuration", 3, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("another alternate setting", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 1, 0x0f), PAIR_),
	ROW("no OUT", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(25, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x81, 2, 64)),
	ROW("two IN", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x81, 2, 64),
	    ENDPOINT_(0x82, 2, 64)),
	ROW("interrupt only", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x81, 3, 64),
	    ENDPOINT_(0x02, 3, 64)),
	ROW("endpoint 0", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x80, 2, 64),
	    ENDPOINT_(0x02, 2, 64)),
	ROW("packets of nothing", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x81, 2, 0),
	    ENDPOINT_(0x02, 2, 64)),
	ROW("packets too long", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x81, 2, 1025),
	    ENDPOINT_(0x02, 2, 64)),
	ROW("the same endpoint twice", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(39, 1), INTERFACE_(0, 0, 0x0f), PAIR_, ENDPOINT_(0x81, 3, 8)),
	ROW("an interface that is cut", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(31, 1), 8, 0x04, 0, 0, 2, 0x0f, 0, 0, PAIR_),
	ROW("an endpoint that is cut", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(31, 1), INTERFACE_(0, 0, 0x0f), 6, 0x05, 0x81, 2, 64, 0,
	    ENDPOINT_(0x02, 2, 64)),
	ROW("length 0 behind all that matters", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(34, 1), INTERFACE_(0, 0, 0x0f), PAIR_, 0, 0),
	ROW("length 0 before it", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(34, 1), INTERFACE_(0, 0, 0x0f), 0, 0, PAIR_),
	ROW("length 1", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(33, 1), INTERFACE_(0, 0, 0x0f), 1, PAIR_),
	ROW("longer than what there is", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), CONFIG_(32, 1), INTERFACE_(0, 0, 0x0f), ENDPOINT_(0x81, 2, 64),
	    8, 0x05, 0x02, 2, 64, 0, 0),
	ROW("a total longer than what there is", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(200, 1), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("a total that leaves the OUT out", 1, -ENOMSG, 0, 0,
	    DEVICE_(0), CONFIG_(25, 1), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("a total of nothing", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(0, 1), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("too many specialisations for its length", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(38, 1), INTERFACE_(0, 0, 0x0f), 6, 0x30, 0, 2, 0x07, 0x10, PAIR_),
	ROW("a function that is cut", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(35, 1), INTERFACE_(0, 0, 0x0f), 3, 0x20, 1, PAIR_),
	ROW("a second function", 1, 0, 0, 1,
	    DEVICE_(0), CONFIG_(40, 1), INTERFACE_(0, 0, 0x0f), FUNCTION_(2, 0), FUNCTION_(1, 0),
	    PAIR_),
	ROW("quality of no endpoint, and of no such bit", 1, 0, 0, 2,
	    DEVICE_(0), CONFIG_(40, 1), INTERFACE_(0, 0, 0x0f), QOS_(1), PAIR_, QOS_(0x40)),
	ROW("no configuration", 1, -ENOMSG, 0, 0, DEVICE_(0)),
	ROW("a configuration that is cut", 1, -EBADMSG, 0, 0, DEVICE_(0), 9, 0x02, 32, 0, 1, 1),
	ROW("no configuration but something", 1, -EBADMSG, 0, 0,
	    DEVICE_(0), INTERFACE_(0, 0, 0x0f), PAIR_),
	ROW("no device", 1, -EBADMSG, 0, 0,
	    18, 0x02, 0x00, 0x02, 0, 0, 0, 64, 0x09, 0x12, 0x0f, 0x00, 0x00, 0x01, 1, 2, 3, 1),
	ROW("less than a device", 1, -EMSGSIZE, 0, 0, 18, 0x01, 0),
};
/* clang-format on */

static void rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		const struct row *row = &ROWS[i];
		struct usb_interface_choice c = { .interface = 0xee };
		const int r = phdc_choose(row->bytes, row->len, row->configuration, &c);

		if (r != row->result)
			print_error("%s: %d\n", row->name, r);
		assert_int_equal(r, row->result);
		assert_int_equal(c.interface, r == 0 ? row->interface : 0xee);
		assert_int_equal(c.flaws, r == 0 ? row->flaws : 0);
	}
}

/* Every beginning of good descriptors, in memory of just that size. */
static void cut_anywhere(void **state)
{
	struct usb_interface_choice c;

	(void)state;
	for (size_t len = 0; len < sizeof(FULL); len++) {
		uint8_t *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, FULL, len);
		/* both endpoints are in it from there on */
		assert_true((phdc_choose(copy, len, 1, &c) == 0) == (len >= 71));
		free(copy);
	}
}

static void any_bulk_pair(void **state)
{
	static const uint8_t BYTES[] = { DEVICE_(0),
					 CONFIG_(55, 1),
					 INTERFACE_(0, 0, 0xff),
					 PAIR_,
					 INTERFACE_(1, 0, 0x03),
					 ENDPOINT_(0x83, 2, 8),
					 ENDPOINT_(0x04, 2, 8) };
	struct usb_interface_choice c;

	(void)state;
	assert_int_equal(usb_choose_bulk(BYTES, sizeof(BYTES), 1, -1, &c), 0);
	assert_int_equal(c.interface, 0);
	assert_int_equal(usb_choose_bulk(BYTES, sizeof(BYTES), 1, 1, &c), 0);
	assert_int_equal(c.bulk_in.address, 0x83);
	assert_int_equal(usb_choose_bulk(BYTES, sizeof(BYTES), 1, 2, &c), -ENOMSG);
}

/* ---- preamble ---- */

static const uint8_t PREAMBLE[] = "PhdcQoSSignature\x02\x01\x08\x03"
				  "abc";
#define PREAMBLE_LEN (sizeof(PREAMBLE) - 1)

static void preamble(void **state)
{
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct writer small = writer_of(bytes, PREAMBLE_LEN - 1);
	struct phdc_preamble p;

	(void)state;
	assert_int_equal(phdc_preamble_decode(PREAMBLE, PREAMBLE_LEN, &p), 0);
	assert_int_equal(p.transfers, 2);
	assert_int_equal(p.qos, PHDC_MEDIUM_BEST);
	assert_int_equal(p.opaque_len, 3);
	assert_memory_equal(p.opaque, "abc", 3);
	assert_int_equal(phdc_preamble_encode(&p, &small), -ENOSPC);
	assert_int_equal(small.len, 0);
	assert_int_equal(phdc_preamble_encode(&p, &w), 0);
	assert_int_equal(w.len, PREAMBLE_LEN);
	assert_memory_equal(bytes, PREAMBLE, PREAMBLE_LEN);
	p.qos = PHDC_MEDIUM_BEST | PHDC_HIGH_BEST;
	assert_int_equal(phdc_preamble_encode(&p, &w), -ERANGE);
	p.opaque_len = PHDC_PREAMBLE_OPAQUE + 1;
	assert_int_equal(phdc_preamble_encode(&p, &w), -EMSGSIZE);
}

static void bad_preambles(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		int result;
	} CHANGES[] = {
		{ 0, 'p', -EBADMSG },  { 15, 'E', -EBADMSG }, { 16, 0, -ERANGE },
		{ 17, 2, -ERANGE },    { 18, 0, -ERANGE },    { 18, 0x0c, -ERANGE },
		{ 18, 0x40, -ERANGE }, { 19, 2, -EMSGSIZE },  { 19, 4, -EMSGSIZE },
	};
	struct phdc_preamble p;
	uint8_t bytes[PREAMBLE_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
		memcpy(bytes, PREAMBLE, PREAMBLE_LEN);
		bytes[CHANGES[i].at] = CHANGES[i].byte;
		assert_int_equal(phdc_preamble_decode(bytes, PREAMBLE_LEN, &p), CHANGES[i].result);
	}
	for (size_t len = 0; len < PREAMBLE_LEN; len++)
		assert_int_equal(phdc_preamble_decode(PREAMBLE, len, &p), -EMSGSIZE);
}

/* ---- packets ---- */

static struct phdc_stream stream;

/* the lengths of the APDUs that one packet completes, as decimal digits; negative: the error */
static int packet(const void *data, size_t len)
{
	const uint8_t *apdu;
	int r = phdc_stream_push(&stream, data, len), lengths = 0;
	size_t n;

	if (r < 0)
		return r;
	while ((r = phdc_stream_pull(&stream, &apdu, &n)) > 0) {
		assert_int_equal(apdu[0], 0xe7);
		lengths = lengths * 100 + (int)n;
	}
	assert_false(phdc_stream_is_pending(&stream));
	return r < 0 ? r : lengths;
}

static void apdus(void **state)
{
	static const uint8_t BYTES[] = "\xe7\x00\x00\x02"
				       "ab"
				       "\xe7\x00\x00\x00"
				       "\xe7\x00\x00\x03"
				       "cde";

	(void)state;
	phdc_stream_init(&stream, 64, false);
	assert_int_equal(packet(BYTES, 17), 60407);
	assert_false(phdc_stream_is_partial(&stream));
	for (size_t cut = 1; cut < 6; cut++) {
		assert_int_equal(packet(BYTES, cut), 0);
		assert_true(phdc_stream_is_partial(&stream));
		assert_int_equal(packet(NULL, 0), 0);
		assert_int_equal(packet(BYTES + cut, 17 - cut), 60407);
	}
	for (size_t i = 0; i < 17; i++)
		assert_int_equal(packet(BYTES + i, 1), i == 5 ? 6 : i == 9 ? 4 : i == 16 ? 7 : 0);
}

static void no_apdus(void **state)
{
	(void)state;
	phdc_stream_init(&stream, 64, false);
	assert_int_equal(packet("\xe1", 1), -EBADMSG);
	assert_int_equal(packet("\xe8", 1), -EBADMSG);
	assert_int_equal(packet("\xe7\x01", 2), -EBADMSG);
	assert_int_equal(packet("\xe7", 1), 0);
	assert_int_equal(packet("\x01", 1), -EBADMSG);
	assert_int_equal(packet("\xe7\x00\xff\xfd", 4), -EMSGSIZE);
	/* after an error it begins anew */
	assert_int_equal(packet("\xe7\x00\x00\x00", 4), 4);
	/* a good one before a bad one is not lost with it */
	assert_int_equal(phdc_stream_push(&stream, (const uint8_t *)"\xe7\x00\x00\x00\x00", 5), 0);
	assert_true(phdc_stream_is_pending(&stream));
	const uint8_t *apdu;
	size_t len;

	assert_int_equal(phdc_stream_pull(&stream, &apdu, &len), 1);
	assert_int_equal(phdc_stream_pull(&stream, &apdu, &len), -EBADMSG);
}

static void the_longest(void **state)
{
	static uint8_t bytes[PHDC_APDU_MAX] = { 0xe7, 0x00, 0xff, 0xfc };
	const uint8_t *apdu;
	size_t len;

	(void)state;
	for (size_t i = 4; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i >> 3);
	phdc_stream_init(&stream, 512, false);
	for (size_t at = 0; at < sizeof(bytes) - 512; at += 512)
		assert_int_equal(packet(bytes + at, 512), 0);
	assert_int_equal(phdc_stream_push(&stream, bytes + sizeof(bytes) - 512, 512), 0);
	assert_int_equal(phdc_stream_pull(&stream, &apdu, &len), 1);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(apdu, bytes, sizeof(bytes));
}

/* packets of 8; T: a preamble of so many transfers */
static int preamble_of(uint8_t transfers)
{
	uint8_t bytes[PREAMBLE_LEN];

	memcpy(bytes, PREAMBLE, PREAMBLE_LEN);
	bytes[16] = transfers;
	return packet(bytes, PREAMBLE_LEN);
}

static void groups(void **state)
{
	static const uint8_t *const SHORT = (const uint8_t *)"\xe7\x00\x00\x01x";
	static const uint8_t *const WHOLE = (const uint8_t *)"\xe7\x00\x00\x04wxyz";

	(void)state;
	phdc_stream_init(&stream, 8, true);
	assert_int_equal(packet(SHORT, 5), -EBADMSG);
	assert_int_equal(preamble_of(2), 0);
	assert_int_equal(packet(SHORT, 5), 5);
	assert_int_equal(packet(SHORT, 5), 5);
	assert_int_equal(packet(SHORT, 5), -EBADMSG);
	/* a full packet that ends its APDU, with and without an empty one behind it */
	assert_int_equal(preamble_of(2), 0);
	assert_int_equal(packet(WHOLE, 8), 8);
	assert_int_equal(packet(NULL, 0), 0);
	assert_int_equal(packet(WHOLE, 8), 8);
	assert_int_equal(preamble_of(1), 0);
	/* one APDU in two transfers, the first of them of full packets */
	assert_int_equal(packet("\xe7\x00\x00\x0cwxyz", 8), 0);
	assert_int_equal(packet(NULL, 0), 0);
	assert_int_equal(preamble_of(1), 0);
	assert_int_equal(packet("12345678", 8), 16);
	/* a preamble in place of data is no data */
	assert_int_equal(preamble_of(1), 0);
	assert_int_equal(preamble_of(1), -EBADMSG);
	/* after the halt both begin anew */
	assert_int_equal(preamble_of(1), 0);
	phdc_stream_reset(&stream);
	assert_int_equal(packet(SHORT, 5), -EBADMSG);
	assert_int_equal(preamble_of(1), 0);
	assert_int_equal(packet(SHORT, 5), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full),         cmocka_unit_test(rows),
		cmocka_unit_test(cut_anywhere), cmocka_unit_test(any_bulk_pair),
		cmocka_unit_test(preamble),     cmocka_unit_test(bad_preambles),
		cmocka_unit_test(apdus),        cmocka_unit_test(no_apdus),
		cmocka_unit_test(the_longest),  cmocka_unit_test(groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
