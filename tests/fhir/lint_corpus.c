/*
 * lint_corpus GOLDEN EXCLUDED
 *
 * Every file of EXCLUDED breaks exactly the rule that it is named after (NAME.json or
 * NAME-more.json), every rule has a file, and no ukcore file of GOLDEN breaks any. The last line
 * counts.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/record/fhir/fhir_lint.h"

#define FINDINGS_MAX 64
#define FILE_MAX     ((size_t)4 * 1024 * 1024)

static bool shown[FHIR_RULES];
static unsigned int files, bad;

static void complain(const char *path, const char *what)
{
	(void)fprintf(stderr, "%s: %s\n", path, what);
	bad++;
}

static void look_at(const char *folder, const char *name, bool expect)
{
	struct fhir_finding findings[FINDINGS_MAX];
	const struct fhir_lint_options options = { .types = NULL };
	const size_t stem = strcspn(name, "-.");
	char path[512], *text = malloc(FILE_MAX);
	size_t n = 0, len = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "r");
	if (f && text)
		len = fread(text, 1, FILE_MAX, f);
	if (f)
		(void)fclose(f);
	files++;
	if (!text || fhir_lint(text, len, &options, findings, FINDINGS_MAX, &n) < 0)
		complain(path, "cannot be looked at");
	else if (expect && n == 0)
		complain(path, "nothing was found");
	for (size_t i = 0; i < n && i < FINDINGS_MAX; i++) {
		const char *rule = fhir_rule_name(findings[i].rule);

		shown[findings[i].rule] = true;
		if (!expect || strlen(rule) != stem || strncmp(rule, name, stem) != 0)
			complain(path, fhir_rule_sentence(findings[i].rule));
	}
	free(text);
}

static void look_through(const char *folder, const char *prefix, bool expect)
{
	DIR *d = opendir(folder);
	const struct dirent *entry;

	if (!d) {
		complain(folder, "cannot be read");
		return;
	}
	while ((entry = readdir(d))) {
		const char *end = strrchr(entry->d_name, '.');

		if (end && strcmp(end, ".json") == 0 &&
		    strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			look_at(folder, entry->d_name, expect);
	}
	(void)closedir(d);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	look_through(argv[1], "ukcore-", false);
	look_through(argv[2], "", true);
	for (unsigned int rule = 0; rule < FHIR_RULES; rule++) {
		if (!shown[rule])
			complain(fhir_rule_name((enum fhir_rule)rule), "no file shows this rule");
	}
	(void)printf("%u files, %u rules, %u bad\n", files, (unsigned int)FHIR_RULES, bad);
	return files == 0 || bad > 0;
}
