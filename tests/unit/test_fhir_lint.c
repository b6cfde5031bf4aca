/* links: gateway_fhir */
/* What no file of tests/fhir/excluded can show: other receivers, and text that is no FHIR. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fhir_make.h"
#include "gateway/record/fhir/fhir.h"
#include "gateway/record/fhir/fhir_lint.h"

static const struct fhir_lint_options usual = { .types = NULL };

static char *rendered(enum fhir_profile profile)
{
	const struct fhir_options options = { .profile = profile,
					      .privacy_label = "GENERAL_HEALTH" };
	const struct fhir_about about = { .patient = "Patient/12" };
	struct fhir_bundle *b = NULL;
	enum fhir_refusal why;
	struct fhir_made m;
	char *text;

	made_pressure(&m, 120, 80);
	assert_int_equal(fhir_bundle_new(&options, &b), 0);
	assert_int_equal(fhir_add_reading(b, &about, &m.r, FHIR_NEW, &why), 0);
	text = fhir_bundle_dump(b, false);
	assert_non_null(text);
	fhir_bundle_free(b);
	return text;
}

/* a receiver that keeps Device takes what names one; PKB, as far as is known, does not */
static void receivers_differ(void **state)
{
	static const char *const types[] = { "Patient", "Observation", "Device", NULL };
	const struct fhir_lint_options keeps = { .types = types };
	struct fhir_finding findings[32];
	char *text = rendered(FHIR_PHD);
	bool excluded = false;
	size_t n = 0;

	(void)state;
	assert_int_equal(fhir_lint(text, strlen(text), &usual, findings, 32, &n), 0);
	for (size_t i = 0; i < n && i < 32; i++)
		excluded = excluded || findings[i].rule == FHIR_RULE_UNSUPPORTED_REFERENCE;
	assert_true(excluded);
	assert_int_equal(fhir_lint(text, strlen(text), &keeps, findings, 32, &n), 0);
	for (size_t i = 0; i < n && i < 32; i++)
		assert_int_not_equal(fhir_rule_effect(findings[i].rule), FHIR_UNSAFE);
	for (size_t i = 0; i < n && i < 32; i++) {
		assert_int_not_equal(findings[i].rule, FHIR_RULE_UNSUPPORTED_REFERENCE);
		assert_int_not_equal(findings[i].rule, FHIR_RULE_UNSUPPORTED_TYPE);
	}
	free(text);
}

/* a receiver of the Personal Health Device guide */
static void not_pkb(void **state)
{
	const struct fhir_lint_options general = { .general = true };
	struct fhir_finding findings[32];
	char *text = rendered(FHIR_PHD), *at;
	size_t n = 7;

	(void)state;
	assert_int_equal(fhir_lint(text, strlen(text), &general, findings, 32, &n), 0);
	assert_int_equal(n, 0);
	/* what may double a reading is wrong for anybody */
	at = strstr(text, "\"ifNoneExist\"");
	assert_non_null(at);
	at[1] = 'x';
	assert_int_equal(fhir_lint(text, strlen(text), &general, findings, 32, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(findings[0].rule, FHIR_RULE_NO_CONDITION);
	free(text);
}

static void ours_is_kept(void **state)
{
	struct fhir_finding findings[4];
	char *text = rendered(FHIR_UKCORE);
	size_t n = 7;

	(void)state;
	assert_int_equal(fhir_lint(text, strlen(text), &usual, findings, 4, &n), 0);
	assert_int_equal(n, 0);
	free(text);
}

static void no_fhir(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "7", "{}", "{\"resourceType\":\"X\"}", "{\"a\":1,\"a\":2}", "\xff"
	};
	struct fhir_finding findings[4];
	size_t n = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(fhir_lint(texts[i], strlen(texts[i]), &usual, findings, 4, &n),
				 -EBADMSG);
	assert_int_equal(n, 7); /* untouched */
}

/* elements of the wrong type are findings, not crashes */
static void wrong_types(void **state)
{
	static const char text[] =
		"{\"resourceType\":\"Bundle\",\"type\":7,\"entry\":[1,{\"resource\":[]},"
		"{\"resource\":{\"resourceType\":\"Observation\",\"code\":[],\"subject\":\"x\","
		"\"component\":{\"a\":1},\"category\":\"y\",\"meta\":[],\"identifier\":{}}}]}";
	struct fhir_finding findings[2];
	size_t n = 0;

	(void)state;
	assert_int_equal(fhir_lint(text, strlen(text), &usual, findings, 2, &n), 0);
	assert_true(n > 2); /* more than fit, and said so */
	assert_int_equal(findings[0].rule, FHIR_RULE_BUNDLE_TYPE);
}

static void every_rule_says_something(void **state)
{
	(void)state;
	for (unsigned int rule = 0; rule < FHIR_RULES; rule++) {
		assert_true(strlen(fhir_rule_name((enum fhir_rule)rule)) > 0);
		assert_true(strlen(fhir_rule_sentence((enum fhir_rule)rule)) > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receivers_differ), cmocka_unit_test(not_pkb),
		cmocka_unit_test(ours_is_kept),     cmocka_unit_test(no_fhir),
		cmocka_unit_test(wrong_types),      cmocka_unit_test(every_rule_says_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
