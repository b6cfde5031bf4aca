/* links: gateway_publish */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/publish/reasons.h"
#include "gateway/publish/topics.h"

/* SHA-256 of "abc", FIPS 180-2 appendix B.1: ba7816bf 8f01cfea ... */
static void names(void **state)
{
	static struct topics t;

	(void)state;
	assert_int_equal(topics_init(&t, "home", "hub-1", "abc", 3), 0);
	assert_string_equal(t.reading[0][GROUP_BP], "wellgate/v1/home/hub-1/reading/bp");
	assert_string_equal(t.reading[1][GROUP_VITALS],
			    "wellgate/v1/home/hub-1/test/reading/vitals");
	assert_string_equal(t.goal[0], "wellgate/v1/home/hub-1/goal");
	assert_string_equal(t.goal[1], "wellgate/v1/home/hub-1/test/goal");
	assert_string_equal(t.correction[0], "wellgate/v1/home/hub-1/correction");
	assert_string_equal(t.correction[1], "wellgate/v1/home/hub-1/test/correction");
	assert_string_equal(t.status, "wellgate/v1/home/hub-1/status");
	assert_string_equal(t.digest, "ba7816bf8f01cfea");
	assert_string_equal(t.schema, "wellgate/v1/schema/ba7816bf8f01cfea");
	assert_string_equal(t.content_type[CONTENT_BATCH],
			    "application/protobuf; messageType=\"wellgate.v1.ReadingBatch\"; "
			    "schema=ba7816bf8f01cfea");
	assert_string_equal(t.client, "wellgate-home-hub-1");
}

static void levels(void **state)
{
	static const char *const bad[] = { "", "a/b", "+", "a#", "$SYS", "a b", "t\n", "\x7f" };
	static struct topics t;
	char name[TOPIC_LEVEL_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(topic_level_is_good(bad[i]));
		assert_int_equal(topics_init(&t, bad[i], "hub", "", 0), -EINVAL);
		assert_int_equal(topics_init(&t, "site", bad[i], "", 0), -EINVAL);
	}
	(void)memset(name, 'x', sizeof(name));
	name[TOPIC_LEVEL_MAX + 1] = '\0';
	assert_false(topic_level_is_good(name));
	name[TOPIC_LEVEL_MAX] = '\0';
	assert_true(topic_level_is_good(name));
	assert_int_equal(topics_init(&t, name, name, "", 0), 0);
	assert_non_null(strstr(t.reading[1][GROUP_ACTIVITY], "/test/reading/activity"));
}

/* the descriptor set of the build names our package and its messages */
static void descriptor(void **state)
{
	static const char package[] = "wellgate.v1", message[] = "ReadingBatch";

	(void)state;
	assert_true(wellgate_descriptor_len > 1000);
	assert_non_null(
		memmem(wellgate_descriptor, wellgate_descriptor_len, package, sizeof(package) - 1));
	assert_non_null(
		memmem(wellgate_descriptor, wellgate_descriptor_len, message, sizeof(message) - 1));
}

static void verdicts(void **state)
{
	static const struct {
		int code;
		enum verdict verdict;
	} rows[] = {
		{ 0x00, VERDICT_DELIVERED },   { 0x10, VERDICT_NO_SUBSCRIBER },
		{ 0x80, VERDICT_RECONNECT },   { 0x83, VERDICT_RECONNECT },
		{ 0x87, VERDICT_NEVER },       { 0x90, VERDICT_NEVER },
		{ 0x95, VERDICT_NEVER_AS_IS }, { 0x97, VERDICT_LATER },
		{ 0x99, VERDICT_NEVER_AS_IS }, { -1, VERDICT_RECONNECT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(reason_verdict(rows[i].code), rows[i].verdict);
	for (int code = -10; code < 256; code++)
		assert_true(strlen(reason_text(code)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(levels),
		cmocka_unit_test(descriptor),
		cmocka_unit_test(verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
