/* links: gateway_import gateway_goals gateway_words */
/* A care plan that anybody may have written: what is taken may be set as it is, is of one kind
 * each, and is nothing that this hub never holds. First byte: what was said at the import. */
#include <string.h>

#include "gateway/import/goal_fhir.h"
#include "gateway/text.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct goal_fhir_item *item)
{
	const struct metric_info *info = metric_info(item->goal.metric);
	const char *problem = NULL;

	must(goal_check(&item->goal, &problem) == 0);
	must(info && item->goal.metric != METRIC_ENERGY &&
	     item->goal.metric != METRIC_CARBOHYDRATE);
	must(info->group != GROUP_WEIGHT || item->goal.rule == GOAL_MEASURE_REGULARLY);
	must(item->goal.title[0] && text_is_clean(item->goal.title) && !item->goal.subject[0]);
	must(strlen(item->goal.title) <= 40 && item->from_day < item->to_day &&
	     item->to_day > 20780);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t said = size ? data[0] : 0;
	const struct goal_fhir_options options = {
		.zone = "Europe/London",
		.week_start = 1 + said % 7,
		.today = 20780, /* 2026-11-23 */
		.period = (enum goal_period)(said / 7 % 3),
		.minutes = said & 0x80 ? METRIC_ACTIVE_MINUTES : METRIC_NONE,
		.language = WORDS_EN,
	};
	struct goal_fhir *plan = NULL;

	if (size == 0)
		return 0;
	if (goal_fhir_read((const char *)data + 1, size - 1, &options, &plan) < 0) {
		must(!plan);
		return 0;
	}
	must(plan->n <= GOAL_FHIR_ITEMS_MAX);
	for (size_t i = 0; i < plan->n; i++) {
		const struct goal_fhir_item *item = &plan->items[i];

		must(item->refusal < GOAL_FHIR_REFUSALS);
		must((goal_fhir_words(item->refusal) == WORDS_NONE) ==
		     (item->refusal == GOAL_FHIR_TAKEN));
		if (item->refusal != GOAL_FHIR_TAKEN)
			continue;
		check_taken(item);
		for (size_t j = 0; j < i; j++)
			must(plan->items[j].refusal != GOAL_FHIR_TAKEN ||
			     strcmp(plan->items[j].goal.id, item->goal.id) != 0);
	}
	goal_fhir_free(plan);
	return 0;
}
