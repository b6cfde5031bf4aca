/* links: firmware */
/* Which firmware is allowed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-tools/policy.h"

#define TEXT_MAX 1024

struct loaded {
	char text[TEXT_MAX];
	struct policy *policy;
};

static int load(struct loaded *l, const char *text, unsigned int *line)
{
	const char *why = NULL;
	int r;

	(void)snprintf(l->text, sizeof(l->text), "%s", text);
	l->policy = NULL;
	r = policy_read(l->text, strlen(l->text), &l->policy, line, &why);
	assert_true(r == 0 ? l->policy != NULL : !l->policy && why && *why);
	return r;
}

static void check(const char *text, const char *model, const char *firmware,
		  enum policy_state expected)
{
	unsigned int line = 0;
	struct loaded l;

	assert_int_equal(load(&l, text, &line), 0);
	if (policy_judge(l.policy, "Maker", model, firmware, NULL) != expected)
		fail_msg("%s: firmware %s is not %s", text, firmware, policy_state_name(expected));
	policy_free(l.policy);
}

static void versions_are_ordered(void **state)
{
	static const struct {
		const char *a, *b;
		int expected;
	} rows[] = {
		{ "1.2", "1.2", 0 },
		{ "1.2", "1.10", -1 },
		{ "1.2", "1.2.1", -1 },
		{ "0004", "4", 0 },
		{ "v2.0", "1.9", 1 },
		{ "V1.0", "v1.0", 0 },
		{ "1.0a", "1.0b", -1 },
		{ "1.0A", "1.0a", 0 },
		{ "99999999999999999999", "1", 1 },
		{ "", "1", -1 },
		{ "", "", 0 },
		{ "1.0", "1.0-rc", -1 },
		{ "M203", "1.2", POLICY_NOT_COMPARABLE },
		{ "1.a", "1.1", POLICY_NOT_COMPARABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int back = rows[i].expected == POLICY_NOT_COMPARABLE ? POLICY_NOT_COMPARABLE
									   : -rows[i].expected;

		assert_int_equal(policy_compare(rows[i].a, rows[i].b), rows[i].expected);
		assert_int_equal(policy_compare(rows[i].b, rows[i].a), back);
	}
}

static void ranges(void **state)
{
	static const char both[] = "allowed | maker | Scale* | 1.2..1.9 | fine\n";
	static const char below[] = "recalled|*|*|..<2.0\n";

	(void)state;
	check(both, "Scale 3", "1.2", POLICY_ALLOWED);
	check(both, "scale", "1.9", POLICY_ALLOWED);
	check(both, "Scale", "1.10", POLICY_UNKNOWN);
	check(both, "Scale", "1.1", POLICY_UNKNOWN);
	check(both, "Scal", "1.5", POLICY_UNKNOWN);
	check(both, "Scale", "", POLICY_UNKNOWN);
	check(below, "x", "1.99", POLICY_RECALLED);
	check(below, "x", "2.0", POLICY_UNKNOWN);
	check("outdated | * | x | ..1.0\r\n", "x", "1.0", POLICY_OUTDATED);
	check("allowed | * | x | 3..", "x", "10", POLICY_ALLOWED);
	check("allowed | * | x | 1.4", "x", "1.4", POLICY_ALLOWED);
	check("allowed | * | x | *", "x", "", POLICY_ALLOWED);
	check("# nothing\n\n", "x", "1", POLICY_UNKNOWN);
}

static void the_stronger_row_wins_wherever_it_stands(void **state)
{
	static const char text[] = "recalled | * | x | 1.3\nallowed | * | x | 1..2\n"
				   "outdated | * | x | ..<1.3\n";

	(void)state;
	check(text, "x", "1.3", POLICY_RECALLED);
	check(text, "x", "1.2", POLICY_OUTDATED);
	check(text, "x", "1.4", POLICY_ALLOWED);
}

/* "allowed" would be a guess where nobody knows whether it is the one that was recalled */
static void what_may_be_recalled_is_not_allowed(void **state)
{
	static const char text[] = "allowed | * | x | *\nrecalled | * | x | ..<1.3\n";

	(void)state;
	check(text, "x", "", POLICY_UNKNOWN);
	check(text, "x", "beta", POLICY_UNKNOWN);
	check(text, "x", "1.4", POLICY_ALLOWED);
	check(text, "x", "1.2", POLICY_RECALLED);
}

static void bad_lines_are_named(void **state)
{
	static const char *const lines[] = {
		"allowed",
		"allowed | a | b",
		"fine | a | b | *",
		"allowed | | b | *",
		"allowed | a | | *",
		"allowed | a | b |",
		"allowed | a | b | ..",
		"allowed | a | b | 1..<",
		"allowed | a | b | 2..1",
		"allowed | a | b | 1..<1",
		"allowed | a | b | 1..2..3",
		"allowed | a | b | a..1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[TEXT_MAX];
		unsigned int line = 0;
		struct loaded l;

		(void)snprintf(text, sizeof(text), "# one\nallowed | * | * | *\n%s\n", lines[i]);
		assert_int_equal(load(&l, text, &line), -EBADMSG);
		assert_int_equal(line, 3);
	}
}

static void no_text_is_refused(void **state)
{
	char text[] = "allowed | a | b | *\0 recalled";
	struct policy *policy = NULL;
	const char *why = NULL;
	unsigned int line = 0;

	(void)state;
	assert_int_equal(policy_read(text, sizeof(text) - 1, &policy, &line, &why), -EBADMSG);
	assert_null(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_are_ordered),
		cmocka_unit_test(ranges),
		cmocka_unit_test(the_stronger_row_wins_wherever_it_stands),
		cmocka_unit_test(what_may_be_recalled_is_not_allowed),
		cmocka_unit_test(bad_lines_are_named),
		cmocka_unit_test(no_text_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
