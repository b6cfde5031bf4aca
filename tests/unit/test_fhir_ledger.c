/* links: gateway_fhir_post */
/* The ledger on its own; sending and reading back: tests/fhir/judges/post.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/record/fhir/fhir_ledger.h"
#include "gateway/record/fhir/fhir_post.h"

static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/test_fhir_ledger-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static struct fhir_ledger_file *opened(void)
{
	struct fhir_ledger_file *file = NULL;

	assert_int_equal(fhir_ledger_file_open(path, &file), 0);
	assert_non_null(file);
	return file;
}

static void put(struct fhir_ledger_file *file, const char *identifier, const char *patient,
		enum fhir_landing landing, const char *why)
{
	const struct fhir_ledger ledger = fhir_ledger_of_file(file);
	struct fhir_row row = { .landing = landing, .sent_ms = 1800000000000 };

	(void)snprintf(row.type, sizeof(row.type), "Observation");
	(void)snprintf(row.identifier, sizeof(row.identifier), "%s", identifier);
	(void)snprintf(row.patient, sizeof(row.patient), "%s", patient);
	(void)snprintf(row.digest, sizeof(row.digest), "d");
	(void)snprintf(row.why, sizeof(row.why), "%s", why);
	assert_int_equal(ledger.put(ledger.behind, &row), 0);
}

static int count_one(void *user, const struct fhir_row *row)
{
	(void)row;
	(*(unsigned int *)user)++;
	return 0;
}

static void the_last_line_counts(void **state)
{
	struct fhir_ledger_file *file = opened();
	struct fhir_ledger ledger;
	uint64_t counts[FHIR_LANDINGS];
	unsigned int pending = 0;
	struct fhir_row row;
	char name[32];

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "s|%u", i);
		put(file, name, "Patient/1", FHIR_PENDING, "");
	}
	put(file, "s|7", "Patient/1", FHIR_LANDED, "");
	put(file, "s|7", "Patient/2", FHIR_LOST, "two\tlines\nof it");
	fhir_ledger_file_close(file);
	file = opened();
	ledger = fhir_ledger_of_file(file);
	fhir_ledger_counts(file, counts);
	assert_int_equal(counts[FHIR_PENDING], 199);
	assert_int_equal(counts[FHIR_LANDED], 1);
	assert_int_equal(counts[FHIR_LOST], 1);
	assert_int_equal(ledger.get(ledger.behind, "s|7", "Patient/2", &row), 0);
	assert_string_equal(row.why, "two lines of it");
	assert_int_equal(row.sent_ms, 1800000000000);
	assert_int_equal(ledger.get(ledger.behind, "s|7", "Patient/3", &row), -ENOENT);
	assert_int_equal(ledger.each_pending(ledger.behind, count_one, &pending), 0);
	assert_int_equal(pending, 199);
	fhir_ledger_file_close(file);
}

static void write_text(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void torn_and_damaged(void **state)
{
	static const char *const damaged[] = {
		"nothing\n",
		"landed\t1\tObservation\ta|b\tPatient/1\td\n",         /* a field too few */
		"landed\t1\tObservation\ta|b\tPatient/1\td\t\tmore\n", /* one too many */
		"perhaps\t1\tObservation\ta|b\tPatient/1\td\t\n",
		"landed\tx\tObservation\ta|b\tPatient/1\td\t\n",
	};
	struct fhir_ledger_file *file = NULL;
	uint64_t counts[FHIR_LANDINGS];

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		write_text(damaged[i]);
		assert_int_equal(fhir_ledger_file_open(path, &file), -EBADMSG);
		assert_null(file);
	}
	write_text("landed\t1\tObservation\ta|b\tPatient/1\td\t\npending\t2\tObs");
	file = opened();
	put(file, "c|d", "", FHIR_PENDING, "");
	fhir_ledger_file_close(file);
	file = opened();
	fhir_ledger_counts(file, counts);
	assert_int_equal(counts[FHIR_LANDED], 1);
	assert_int_equal(counts[FHIR_PENDING], 1);
	fhir_ledger_file_close(file);
}

static void addresses(void **state)
{
	static const char *const bad[] = { NULL,
					   "",
					   "http://fhir.example/r4",
					   "ftp://127.0.0.1/",
					   "http://127.0.0.1.example/",
					   "http://localhost.example",
					   "HTTP://127.0.0.1" };
	struct fhir_endpoint e = { .client_id = "i", .client_secret = "s" };
	struct fhir_ledger_file *file = opened();
	const struct fhir_ledger ledger = fhir_ledger_of_file(file);
	struct fhir_poster *p = NULL;

	(void)state;
	e.token_url = "https://login.example/token";
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.base = bad[i];
		assert_int_equal(fhir_poster_new(&e, &ledger, &p), -EINVAL);
	}
	e.base = "https://fhir.example/r4";
	e.read_base = "http://other.example/";
	assert_int_equal(fhir_poster_new(&e, &ledger, &p), -EINVAL);
	e.read_base = NULL;
	assert_int_equal(fhir_poster_new(&e, &ledger, &p), 0);
	fhir_poster_free(p);
	fhir_poster_free(NULL);
	fhir_ledger_file_close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_last_line_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_and_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
