/*
 * post_tool BASE READ_BASE TOKEN_URL SECRET LEDGER NOW_MS post FILE | post-phd FILE | read-back
 *
 * One call of fhir_post() or fhir_read_back(), for judges/post.mjs. Prints the result and the
 * counts of the ledger as one line of JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/record/fhir/fhir_post.h"

#define FILE_MAX ((size_t)4 * 1024 * 1024)

static char *read_file(const char *path)
{
	char *text = calloc(1, FILE_MAX + 1);
	_cleanup_file_ FILE *f = fopen(path, "r");

	if (f && text)
		text[fread(text, 1, FILE_MAX, f)] = '\0';
	return text;
}

static int act(struct fhir_poster *p, int argc, char **argv, struct fhir_sent *sent)
{
	const int64_t now_ms = strtoll(argv[6], NULL, 10);
	char *body;
	int r;

	if (strcmp(argv[7], "read-back") == 0)
		return fhir_read_back(p, now_ms);
	body = argc == 9 ? read_file(argv[8]) : NULL;
	r = body ? fhir_post(p, body, now_ms, sent) : -EINVAL;
	free(body);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const types[] = { "Patient", "Observation", NULL };
	struct fhir_endpoint endpoint = { .client_id = "wellgate", .timeout_s = 60 };
	struct fhir_ledger_file *file = NULL;
	struct fhir_poster *p = NULL;
	struct fhir_sent sent = { 0 };
	uint64_t counts[FHIR_LANDINGS];
	struct fhir_ledger ledger;
	int r;

	if (argc < 8)
		return 64;
	endpoint.base = argv[1];
	endpoint.read_base = argv[2];
	endpoint.token_url = argv[3];
	endpoint.client_secret = argv[4];
	endpoint.lint.types = types;
	endpoint.lint.general = strcmp(argv[7], "post-phd") == 0;
	r = fhir_ledger_file_open(argv[5], &file);
	if (r < 0)
		return 1;
	ledger = fhir_ledger_of_file(file);
	r = fhir_poster_new(&endpoint, &ledger, &p);
	if (r == 0)
		r = act(p, argc, argv, &sent);
	fhir_ledger_counts(file, counts);
	(void)printf("{\"result\":\"%s\",\"taken\":%zu,\"refused\":%zu,\"finding\":\"%s\","
		     "\"pending\":%" PRIu64 ",\"landed\":%" PRIu64 ",\"excluded\":%" PRIu64 "}\n",
		     r == 0 ? "0" : strerrorname_np(-r), sent.taken, sent.refused,
		     sent.has_finding ? fhir_rule_name(sent.finding.rule) : "", counts[0],
		     counts[1], counts[2]);
	fhir_poster_free(p);
	fhir_ledger_file_close(file);
	return 0;
}
