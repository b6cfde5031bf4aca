/*
 * Would Patients Know Best keep this? A 201 says nothing: what breaks its rules is left out later,
 * without a word. So a Bundle is looked at before it is sent.
 *
 * The rules are the rows of fhir_lint.def. Pure: text in, findings out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum fhir_rule {
#define RULE(id, name, effect, sentence) FHIR_RULE_##id,
#include "gateway/record/fhir/fhir_lint.def"
#undef RULE
	FHIR_RULES
};

enum fhir_effect {
	FHIR_EXCLUDED,
	FHIR_MISFILED,
	FHIR_DOUBLED,
	FHIR_UNSAFE,
};

struct fhir_finding {
	enum fhir_rule rule;
	size_t entry; /* of the Bundle, from 0 */
};

struct fhir_lint_options {
	/* types that the receiver keeps, NULL at the end; NULL = Patient and Observation */
	const char *const *types;
	/* The receiver is not PKB and does not ask for UK Core: only what is wrong for anybody,
	 * which is FHIR_DOUBLED, FHIR_UNSAFE and references that lead nowhere. */
	bool general;
};

/*
 * Findings in the order of the entries, each rule once per entry; ret holds max, *ret_n says how
 * many there are. -EBADMSG: no JSON, or neither Bundle nor Observation; -ENOMEM.
 */
int fhir_lint(const char *json, size_t len, const struct fhir_lint_options *options,
	      struct fhir_finding *ret, size_t max, size_t *ret_n);

const char *fhir_rule_name(enum fhir_rule rule);
const char *fhir_rule_sentence(enum fhir_rule rule); /* for whoever looks after the service */
enum fhir_effect fhir_rule_effect(enum fhir_rule rule);
