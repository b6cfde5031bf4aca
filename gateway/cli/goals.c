/* wellgate goals: each goal and how it goes, in kind words. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/format.h"
#include "gateway/cli/goals_text.h"
#include "gateway/config.h"
#include "gateway/words/words.h"
#include "protocols/bytes/decimal.h"
#include "protocols/messages/codes.h"

static const char usage[] = "usage: wellgate goals [--json] [--runtime-dir DIR]\n\n"
			    "Lists the goals, how the current day or week is going, and how\n"
			    "the ones before it went.\n";

/* of each goal, in the order of the reply */
struct before {
	struct goals_past of[CONFIG_GOALS_MAX];
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

static void add_decimal(json_t *object, const char *key, const Wellgate__V1__Decimal *d)
{
	char text[DECIMAL_TEXT_MAX];

	format_decimal(text, sizeof(text), d);
	if (text[0])
		(void)json_object_set_new(object, key, json_string(text));
}

static void add_text(json_t *object, const char *key, const char *text)
{
	if (text && *text)
		(void)json_object_set_new(object, key, json_string(text));
}

static void add_instant(json_t *object, const char *key, bool has, int64_t ms)
{
	char text[FORMAT_TIME_MAX];

	if (!has)
		return;
	format_utc(text, ms);
	(void)json_object_set_new(object, key, json_string(text));
}

static void add_count(json_t *object, const char *key, bool has, uint32_t n)
{
	if (has)
		(void)json_object_set_new(object, key, json_integer(n));
}

static void add_enum(json_t *object, const char *key, const ProtobufCEnumDescriptor *e, int value,
		     const char *prefix)
{
	char name[FORMAT_ENUM_MAX];

	format_enum(name, e, value, prefix);
	(void)json_object_set_new(object, key, json_string(name));
}

static void add_result(json_t *object, const Wellgate__V1__GoalResult *r)
{
	add_decimal(object, "progress", r->progress);
	add_text(object, "unit", r->unit);
	add_enum(object, "state", &wellgate__v1__goal_result__state__descriptor, (int)r->state,
		 "STATE_");
	add_enum(object, "outcome", &wellgate__v1__goal_result__outcome__descriptor,
		 (int)r->outcome, "OUTCOME_");
	if (r->has_achievement)
		add_enum(object, "achievement", &wellgate__v1__goal_result__achievement__descriptor,
			 (int)r->achievement, "ACHIEVEMENT_");
	add_count(object, "readings", true, r->readings);
	add_count(object, "observed_days", r->has_observed_days, r->observed_days);
	add_count(object, "asked_days", r->has_asked_days, r->asked_days);
	add_instant(object, "period_start", true, r->period_start_ms);
	add_instant(object, "period_end", true, r->period_end_ms);
	add_count(object, "revision", r->has_revision, r->revision);
	add_instant(object, "evaluated_at", r->has_evaluated_at_ms, r->evaluated_at_ms);
	add_text(object, "tzdata", r->tzdata);
	if (r->has_review)
		(void)json_object_set_new(object, "review", json_boolean(r->review));
	add_text(object, "words", r->words);
}

static json_t *past_json(const struct goals_past *past)
{
	json_t *list = json_array();

	for (size_t i = 0; i < past->n; i++) {
		const struct goals_past_one *one = &past->of[i];
		char progress[DECIMAL_TEXT_MAX], target[DECIMAL_TEXT_MAX];
		char start[FORMAT_TIME_MAX], end[FORMAT_TIME_MAX];

		if (decimal_format(progress, sizeof(progress), one->progress) < 0 ||
		    decimal_format(target, sizeof(target), one->target) < 0)
			continue;
		format_utc(start, one->start_ms);
		format_utc(end, one->end_ms);
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "period_start", start,
					"period_end", end, "progress", progress, "target", target,
					"met", one->met, "words", one->words));
	}
	return list;
}

static int print_json(const struct client *c, const Wellgate__V1__Goal *g,
		      const Wellgate__V1__GoalResult *r, const struct goals_past *past)
{
	const struct metric_info *info = metric_info((unsigned int)g->metric);
	json_t *object = json_object();
	int r_dump;

	add_text(object, "goal_id", g->goal_id);
	add_count(object, "version", true, g->version);
	add_text(object, "title", g->title);
	add_text(object, "subject", g->subject);
	add_text(object, "metric", info ? info->name : NULL);
	add_enum(object, "rule", &wellgate__v1__rule__descriptor, (int)g->rule, "RULE_");
	add_enum(object, "period", &wellgate__v1__period__descriptor, (int)g->period, "PERIOD_");
	add_decimal(object, "target", g->target);
	add_text(object, "time_zone", g->time_zone);
	add_count(object, "week_start", g->has_week_start, g->week_start);
	add_instant(object, "starts_on", g->has_starts_on_ms, g->starts_on_ms);
	add_instant(object, "ends_on", g->has_ends_on_ms, g->ends_on_ms);
	(void)json_object_set_new(object, "paused", json_boolean(g->paused));
	if (r)
		add_result(object, r);
	if (past->n > 0)
		(void)json_object_set_new(object, "before", past_json(past));
	r_dump = object ? json_dumpf(object, stdout, JSON_COMPACT) : -1;
	json_decref(object);
	if (r_dump < 0)
		return cli_fail(c->name, EXIT_IO, "cannot write the output");
	(void)putchar('\n');
	return 0;
}

static void note(struct before *b, const Wellgate__V1__Reply *goals,
		 const Wellgate__V1__GoalResult *r)
{
	for (size_t i = 0; i < goals->n_goals && i < CONFIG_GOALS_MAX; i++) {
		const char *id = goals->goals[i]->goal_id;

		if (id && r->goal_id && strcmp(id, r->goal_id) == 0)
			goals_past_note(&b->of[i], r);
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

static int print_all(struct client *c, const Wellgate__V1__Reply *reply)
{
	struct before before = { 0 };
	const struct bars style = bars_style();
	int code = look_back(c, reply, &before);

	for (size_t i = 0; i < reply->n_goals && i < CONFIG_GOALS_MAX && code == 0; i++) {
		const Wellgate__V1__Goal *g = reply->goals[i];
		const Wellgate__V1__GoalResult *r = result_of(reply, g);

		if (c->json)
			code = print_json(c, g, r, &before.of[i]);
		else
			goals_text(stdout, &style, g, r, &before.of[i]);
		if (!c->json && i + 1 < reply->n_goals)
			(void)putchar('\n');
	}
	if (reply->n_goals == 0 && !c->json)
		(void)puts(words_text(WORDS_EN, WORDS_GOAL_NONE));
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
