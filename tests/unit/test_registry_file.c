/* links: gateway_import gateway_registry gateway_words */
/* A list of devices and loans out of another system. References and digests are made up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/import/registry_file.h"

#define D1   "0123456789abcdef0123456789abcdef"
#define D2   "ffffffffffffffffffffffffffffffff"
#define REF  "bcdfghjklmnpqrstbcdfghjklmnpqrst"
#define UUID "123e4567-e89b-42d3-a456-426614174000"
#define HEAD "what,device,kind,slots,memory,clock,subject,basis,from,to,slot,wiped,mark\n"
/* Monday 2026-11-23T10:30Z */
#define MONDAY INT64_C(1795429800000)

static struct registry_file *read_good(const char *text)
{
	struct registry_problem problem = { 0 };
	struct registry_file *f = NULL;

	if (registry_file_read(text, strlen(text), &f, &problem) < 0)
		fail_msg("line %zu: %s", problem.line, problem.sentence);
	return f;
}

static void check_bad(const char *text, size_t line, const char *says)
{
	struct registry_problem problem = { 0 };
	struct registry_file *f = NULL;

	if (registry_file_read(text, strlen(text), &f, &problem) != -EBADMSG)
		fail_msg("taken: %s", text);
	assert_null(f);
	assert_int_equal(problem.line, line);
	if (!strstr(problem.sentence, says))
		fail_msg("\"%s\" does not say \"%s\"", problem.sentence, says);
}

/* Devices come first, assignments in the order of their dates, whatever the order in the file. */
static void test_csv(void **state)
{
	static const char text[] =
		"\xef\xbb\xbf" HEAD "assignment," D1 ",,,,," REF
		",loan,2026-11-23T10:30Z,,,yes,\r\n"
		"\n"
		"assignment," D1 ",,,,,\"" UUID "\",owned,2026-11-20 08:00:15+01:00,"
		"2026-11-22T08:00-00:30,2,,60\n"
		"device," D1 ",cuff,2,100,yes,,,,,,,\n"
		"device," D2 ",scale,,0,,,,,,,,\n";
	struct registry_file *f = read_good(text);

	(void)state;
	assert_int_equal(f->n, 4);
	assert_false(f->json);
	assert_true(f->rows[0].is_device && f->rows[1].is_device);
	assert_int_equal(f->rows[0].line, 5);
	assert_int_equal(f->rows[0].memory, 100);
	assert_int_equal(f->rows[0].slots, 2);
	assert_true(f->rows[0].clock);
	assert_int_equal(f->rows[1].device[0], 0xff);
	assert_string_equal(f->rows[2].subject, UUID);
	assert_int_equal(f->rows[2].from_ms, MONDAY - INT64_C(3) * 24 * 3600000 - 12585000);
	assert_int_equal(f->rows[2].to_ms, MONDAY - INT64_C(24) * 3600000 - 7200000);
	assert_true(f->rows[2].has_slot && f->rows[2].slot == 2);
	assert_true(f->rows[2].has_mark && f->rows[2].mark == 60 && !f->rows[2].wiped);
	assert_string_equal(f->rows[3].subject, REF);
	assert_int_equal(f->rows[3].from_ms, MONDAY);
	assert_true(f->rows[3].wiped && !f->rows[3].has_to && !f->rows[3].has_slot);
	registry_file_free(f);
}

static void test_json(void **state)
{
	static const char text[] =
		"{\"assignments\": [{\"device\": \"" D1 "\", \"subject\": \"" REF
		"\", \"basis\": \"shared\", \"from\": \"2026-11-23T10:30Z\", \"wiped\": true, "
		"\"to\": null}], \"devices\": [{\"device\": \"" D1
		"\", \"kind\": \"scale\", \"memory\": 30, \"clock\": false}]}";
	struct registry_file *f = read_good(text);

	(void)state;
	assert_true(f->json);
	assert_int_equal(f->n, 2);
	assert_int_equal(f->rows[0].memory, 30);
	assert_int_equal(f->rows[1].from_ms, MONDAY);
	assert_true(f->rows[1].wiped);
	registry_file_free(f);
}

/* One wrong row and nothing is taken; the line is said. */
static void test_refused(void **state)
{
	static const struct {
		const char *row, *says;
	} rows[] = {
		{ "device,0123,cuff,,1,,,,,,,,", "name a device" },
		{ "device," D1 ",toaster,,1,,,,,,,,", "kind of device" },
		{ "device," D1 ",cuff,,,,,,,,,,", "how many readings" },
		{ "device," D1 ",cuff,,-1,,,,,,,,", "numbers" },
		{ "device," D1 ",cuff,256,1,,,,,,,,", "numbers" },
		{ "device," D1 ",cuff,,1,maybe,,,,,,,", "yes or no" },
		{ "device," D1 ",cuff,,1,," REF ",,,,,,", "part it in two" },
		{ "device," D1 ",cuff,,1,,,,,,,,,", "more or fewer" },
		{ "device," D1 ",cuff,,1", "more or fewer" },
		{ "loan," D1 ",,,,," REF ",loan,2026-11-23T10:30Z,,,,", "about a device or" },
		{ "assignment," D1 ",,,,,Jane Doe,loan,2026-11-23T10:30Z,,,,", "name" },
		{ "assignment," D1 ",,,,,9434765919,loan,2026-11-23T10:30Z,,,,", "NHS number" },
		{ "assignment," D1 ",,,,,1960-02-29,loan,2026-11-23T10:30Z,,,,", "random" },
		{ "assignment," D1 ",,,,,=cmd|' /C x'!A0,loan,2026-11-23T10:30Z,,,,", "spaces" },
		{ "assignment," D1 ",,,,,=HYPERLINK(1),loan,2026-11-23T10:30Z,,,,", "random" },
		{ "assignment," D1 ",,,,," REF ",lent,2026-11-23T10:30Z,,,,", "loan, owned" },
		{ "assignment," D1 ",,,,," REF ",loan,2026-11-23T10:30,,,,", "time looks" },
		{ "assignment," D1 ",,,,," REF ",loan,2026-02-29T10:30Z,,,,", "time looks" },
		{ "assignment," D1 ",,,,," REF ",loan,1970-01-01T10:30Z,,,,", "time looks" },
		{ "assignment," D1 ",,,,," REF ",loan,2026-11-23T10:30Zx,,,,", "time looks" },
		{ "assignment," D1 ",,,,," REF ",loan,2026-11-23T10:30Z,2026-11-22T10:30Z,,,",
		  "before it begins" },
		{ "assignment," D1 ",,,,," REF ",loan,2026-11-23T10:30Z,,9999999999,,", "numbers" },
		{ "assignment," D1 ",cuff,,,," REF ",loan,2026-11-23T10:30Z,,,,",
		  "part it in two" },
		{ "device," D1 ",\"cuff,,1,,,,,,,,", "cannot read" },
		{ "device," D1 ",\"cu\"ff,,1,,,,,,,,", "cannot read" },
		{ "device," D1 ",c\xff,,1,,,,,,,,", "cannot read" },
		{ "device," D1 ",c\033[2J,,1,,,,,,,,", "cannot read" },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(text, sizeof(text), "%sdevice,%s,cuff,,1,,,,,,,,\n%s\n", HEAD, D2,
			       rows[i].row);
		check_bad(text, 3, rows[i].says);
	}
}

static void test_refused_whole(void **state)
{
	(void)state;
	check_bad("", 0, "nothing in");
	check_bad(HEAD, 0, "nothing in");
	check_bad("what,device,name\n", 1, "first line");
	check_bad("device,kind\n", 1, "first line");
	check_bad("what,device,kind,kind\n", 1, "first line");
	check_bad("{", 0, "first line");
	check_bad("{}", 0, "first line");
	check_bad("{\"devices\": 7}", 0, "first line");
	check_bad("{\"devices\": [], \"people\": []}", 0, "first line");
	check_bad("{\"devices\": [7]}", 1, "cannot read");
	check_bad("{\"devices\": [{\"device\": \"" D1 "\", \"date_of_birth\": \"1960\"}]}", 1,
		  "first line");
	check_bad("{\"devices\": [{\"device\": \"" D1 "\", \"kind\": \"cuff\", \"memory\": 1.5}]}",
		  1, "cannot read");
}

/* A cell of any length, and a NUL in it. */
static void test_long(void **state)
{
	struct registry_problem problem = { 0 };
	struct registry_file *f = NULL;
	char text[512] = HEAD;
	const size_t at = strlen(text);

	(void)state;
	memset(text + at, 'x', 200);
	check_bad(text, 2, "cannot read");
	(void)snprintf(text + at, sizeof(text) - at, "device,%s,cuff,,1,,,,,,,,\n", D1);
	text[at + 40] = '\0';
	assert_int_equal(registry_file_read(text, at + 60, &f, &problem), -EBADMSG);
	assert_int_equal(problem.line, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv),     cmocka_unit_test(test_json),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_refused_whole),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
