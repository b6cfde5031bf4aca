/* links: gateway_publish gateway_store gateway_base */
/* Every value that a reason code can have; the list is that of MQTT 5.0, table 2-6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/publish/reasons.h"

#define SOON   COMEBACK_SOON
#define LATER  COMEBACK_LATER
#define PERSON COMEBACK_PERSON

static const struct {
	int code;
	enum verdict verdict;
	enum comeback comeback;
} named[] = {
	{ 0x80, VERDICT_RECONNECT, SOON },    /* unspecified */
	{ 0x81, VERDICT_RECONNECT, LATER },   /* malformed packet */
	{ 0x82, VERDICT_RECONNECT, LATER },   /* protocol error */
	{ 0x83, VERDICT_RECONNECT, SOON },    /* implementation specific */
	{ 0x84, VERDICT_RECONNECT, PERSON },  /* protocol version */
	{ 0x85, VERDICT_RECONNECT, PERSON },  /* client identifier */
	{ 0x86, VERDICT_RECONNECT, PERSON },  /* user name or password */
	{ 0x87, VERDICT_NEVER, PERSON },      /* not authorized: parks */
	{ 0x88, VERDICT_RECONNECT, SOON },    /* unavailable */
	{ 0x89, VERDICT_RECONNECT, LATER },   /* busy */
	{ 0x8a, VERDICT_RECONNECT, PERSON },  /* banned */
	{ 0x8b, VERDICT_RECONNECT, SOON },    /* shutting down */
	{ 0x8c, VERDICT_RECONNECT, PERSON },  /* authentication method */
	{ 0x8d, VERDICT_RECONNECT, SOON },    /* keep alive */
	{ 0x8e, VERDICT_RECONNECT, PERSON },  /* taken over */
	{ 0x8f, VERDICT_RECONNECT, PERSON },  /* topic filter */
	{ 0x90, VERDICT_NEVER, PERSON },      /* topic name */
	{ 0x91, VERDICT_RECONNECT, SOON },    /* packet identifier in use */
	{ 0x92, VERDICT_RECONNECT, SOON },    /* packet identifier not found */
	{ 0x93, VERDICT_RECONNECT, LATER },   /* receive maximum */
	{ 0x94, VERDICT_RECONNECT, LATER },   /* topic alias */
	{ 0x95, VERDICT_NEVER_AS_IS, LATER }, /* packet too large */
	{ 0x96, VERDICT_LATER, LATER },       /* message rate */
	{ 0x97, VERDICT_LATER, LATER },       /* quota: backs off */
	{ 0x98, VERDICT_RECONNECT, LATER },   /* administrative action */
	{ 0x99, VERDICT_NEVER_AS_IS, LATER }, /* payload format */
	{ 0x9a, VERDICT_RECONNECT, SOON },    /* retain: the next attempt goes without */
	{ 0x9b, VERDICT_RECONNECT, PERSON },  /* QoS */
	{ 0x9c, VERDICT_RECONNECT, LATER },   /* another server: not followed */
	{ 0x9d, VERDICT_RECONNECT, PERSON },  /* moved: not followed */
	{ 0x9e, VERDICT_RECONNECT, PERSON },  /* shared subscriptions */
	{ 0x9f, VERDICT_RECONNECT, LATER },   /* connection rate */
	{ 0xa0, VERDICT_RECONNECT, SOON },    /* maximum connect time */
	{ 0xa1, VERDICT_RECONNECT, PERSON },  /* subscription identifiers */
	{ 0xa2, VERDICT_RECONNECT, PERSON },  /* wildcards */
};

static void each_has_its_policy(void **state)
{
	size_t n = 0;

	(void)state;
	for (int code = 0; code < 256; code++) {
		enum verdict verdict = VERDICT_RECONNECT;
		enum comeback comeback = COMEBACK_SOON;

		if (code < 0x80)
			verdict = code == 0x10 ? VERDICT_NO_SUBSCRIBER : VERDICT_DELIVERED;
		if (n < sizeof(named) / sizeof(named[0]) && named[n].code == code) {
			verdict = named[n].verdict;
			comeback = named[n].comeback;
			n++;
		}
		assert_int_equal(reason_verdict(code), verdict);
		assert_int_equal(reason_comeback(code), comeback);
		assert_true(strlen(reason_text(code)) > 10);
		assert_int_equal(reason_is_takeover(code), code == 0x8e);
	}
	assert_int_equal(n, sizeof(named) / sizeof(named[0]));
}

/* Paho's own, and what no byte holds: reconnect, and nothing is counted */
static void others(void **state)
{
	static struct reason_counts counts, none;

	(void)state;
	for (int code = -20; code < 0; code++) {
		assert_int_equal(reason_verdict(code), VERDICT_RECONNECT);
		assert_int_equal(reason_comeback(code), COMEBACK_SOON);
		reason_count(&counts, REASON_PUBACK, code);
	}
	assert_int_equal(reason_verdict(256), VERDICT_RECONNECT);
	assert_int_equal(reason_verdict(1 << 30), VERDICT_RECONNECT);
	reason_count(&counts, REASON_DISCONNECT, 256);
	assert_memory_equal(&counts, &none, sizeof(counts));
}

static void each_is_counted(void **state)
{
	static struct reason_counts counts;

	(void)state;
	for (int packet = 0; packet < REASON_PACKETS; packet++) {
		for (int code = 0; code < 256; code++) {
			for (int i = 0; i < packet + code % 3; i++)
				reason_count(&counts, (enum reason_packet)packet, code);
		}
	}
	for (int packet = 0; packet < REASON_PACKETS; packet++) {
		for (int code = 0; code < 256; code++)
			assert_int_equal(counts.of[packet][code], packet + code % 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_policy),
		cmocka_unit_test(others),
		cmocka_unit_test(each_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
