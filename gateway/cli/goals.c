/* wellgate goals: each goal and how it goes, in kind words. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/format.h"
#include "gateway/config.h"
#include "protocols/bytes/decimal.h"
#include "protocols/messages/codes.h"

static const char usage[] = "usage: wellgate goals [--json] [--runtime-dir DIR]\n\n"
			    "Lists the goals and how the current day or week is going.\n";

/* What was said last about an earlier day or week, for a goal that has nothing new yet. */
struct before {
	char *words[CONFIG_GOALS_MAX];
};

static const Wellgate__V1__GoalResult *result_of(const Wellgate__V1__Reply *reply,
						 const Wellgate__V1__Goal *goal)
{
	for (size_t i = 0; i < reply->n_results; i++) {
		const char *id = reply->results[i]->goal_id;

		if (id && goal->goal_id && strcmp(id, goal->goal_id) == 0)
			return reply->results[i];
	}
	return NULL;
}

static void add_result(json_t *object, const Wellgate__V1__GoalResult *r)
{
	char text[DECIMAL_TEXT_MAX], name[FORMAT_ENUM_MAX], when[FORMAT_TIME_MAX];

	format_decimal(text, sizeof(text), r->progress);
	(void)json_object_set_new(object, "progress", json_string(text));
	if (r->unit)
		(void)json_object_set_new(object, "unit", json_string(r->unit));
	format_enum(name, &wellgate__v1__goal_result__state__descriptor, (int)r->state, "STATE_");
	(void)json_object_set_new(object, "state", json_string(name));
	format_enum(name, &wellgate__v1__goal_result__outcome__descriptor, (int)r->outcome,
		    "OUTCOME_");
	(void)json_object_set_new(object, "outcome", json_string(name));
	(void)json_object_set_new(object, "readings", json_integer(r->readings));
	format_utc(when, r->period_start_ms);
	(void)json_object_set_new(object, "period_start", json_string(when));
	format_utc(when, r->period_end_ms);
	(void)json_object_set_new(object, "period_end", json_string(when));
	if (r->words)
		(void)json_object_set_new(object, "words", json_string(r->words));
}

static void print_json(const Wellgate__V1__Goal *g, const Wellgate__V1__GoalResult *r)
{
	const struct metric_info *info = metric_info((unsigned int)g->metric);
	char rule[FORMAT_ENUM_MAX], period[FORMAT_ENUM_MAX], target[DECIMAL_TEXT_MAX];
	json_t *object;

	format_enum(rule, &wellgate__v1__rule__descriptor, (int)g->rule, "RULE_");
	format_enum(period, &wellgate__v1__period__descriptor, (int)g->period, "PERIOD_");
	format_decimal(target, sizeof(target), g->target);
	object = json_pack("{s:s?, s:i, s:s?, s:s, s:s, s:s, s:s, s:b}", "goal_id", g->goal_id,
			   "version", (int)g->version, "title", g->title, "metric",
			   info ? info->name : "", "rule", rule, "period", period, "target", target,
			   "paused", g->paused);
	if (r && object)
		add_result(object, r);
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
}

static bool is_news(const Wellgate__V1__GoalResult *r)
{
	return r && r->outcome != WELLGATE__V1__GOAL_RESULT__OUTCOME__OUTCOME_NO_DATA;
}

static void note(struct before *b, const Wellgate__V1__Reply *goals,
		 const Wellgate__V1__GoalResult *r)
{
	for (size_t i = 0; i < goals->n_goals && i < CONFIG_GOALS_MAX; i++) {
		const char *id = goals->goals[i]->goal_id;

		if (!id || !r->goal_id || !r->words || !is_news(r) || strcmp(id, r->goal_id) != 0)
			continue;
		free(b->words[i]);
		b->words[i] = strdup(r->words);
	}
}

/* Stored results are in the order they were made: the last one of a goal stays. */
static int look_back(struct client *c, const Wellgate__V1__Reply *goals, struct before *b)
{
	char verb[] = "results";
	bool more = true;
	int code = client_open(c);

	while (code == 0 && more) {
		Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
		Wellgate__V1__Reply *reply = NULL;

		command.verb = verb;
		command.has_after = true;
		command.after = c->after;
		code = client_ask(c, &command, &reply);
		if (code != 0 || !reply)
			break;
		for (size_t i = 0; i < reply->n_results; i++) {
			note(b, goals, reply->results[i]);
			c->after = reply->results[i]->sequence;
		}
		more = reply->more && reply->n_results > 0;
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	client_close(c);
	return code;
}

static void print_text(const Wellgate__V1__Goal *g, const Wellgate__V1__GoalResult *r,
		       const char *before)
{
	char progress[DECIMAL_TEXT_MAX] = "", target[DECIMAL_TEXT_MAX], unit[FORMAT_UNIT_MAX];

	(void)printf("%s\n", g->title ? g->title : "?");
	if (r && r->words)
		(void)printf("    %s\n", r->words);
	format_decimal(target, sizeof(target), g->target);
	if (r)
		format_decimal(progress, sizeof(progress), r->progress);
	format_unit(unit, r && r->unit ? r->unit : "1");
	/* a trend is of a weight, and that stays blind */
	if (progress[0] && g->rule != WELLGATE__V1__RULE__RULE_TREND)
		(void)printf("    %s of %s%s%s this %s\n", progress, target, unit[0] ? " " : "",
			     unit[0] ? unit : " times",
			     g->period == WELLGATE__V1__PERIOD__PERIOD_DAY ? "day" : "week");
	if (before && !is_news(r))
		(void)printf("    Before: %s\n", before);
}

static int print_all(struct client *c, const Wellgate__V1__Reply *reply)
{
	struct before before = { 0 };
	int code = c->json ? 0 : look_back(c, reply, &before);

	for (size_t i = 0; i < reply->n_goals && i < CONFIG_GOALS_MAX && code == 0; i++) {
		const Wellgate__V1__Goal *g = reply->goals[i];

		if (c->json)
			print_json(g, result_of(reply, g));
		else
			print_text(g, result_of(reply, g), before.words[i]);
	}
	if (reply->n_goals == 0 && !c->json)
		(void)puts("no goals are set; see [goal NAME] in the configuration");
	for (size_t i = 0; i < CONFIG_GOALS_MAX; i++)
		free(before.words[i]);
	return code ? code : client_flush(c);
}

int cmd_goals(int argc, char **argv)
{
	Wellgate__V1__Reply *reply = NULL;
	struct client c;
	int code = client_arguments(argc, argv, CLIENT_JSON, usage, &c);

	if (code < 0)
		code = client_ask_once(&c, "goals", &reply);
	if (!reply)
		return code;
	code = print_all(&c, reply);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}
