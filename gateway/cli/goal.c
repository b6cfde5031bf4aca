/* wellgate goal: sets, changes, pauses and stops a goal, or takes goals out of a care plan. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/goal_plan.h"
#include "gateway/goals/calendar.h"
#include "gateway/goals/keys.h"
#include "gateway/goals/message.h"
#include "gateway/words/words.h"

static const char usage[] =
	"usage: wellgate goal set NAME KEY=VALUE... [--subject REF]\n"
	"       wellgate goal pause NAME [--from DAY] [--to DAY] [--subject REF]\n"
	"       wellgate goal stop NAME [--subject REF]\n"
	"       wellgate goal import FILE [--subject REF] [--period day|week]\n"
	"                            [--minutes active|exercise] [--dry-run]\n\n"
	"  set     a new goal, or what is new in one. The keys are those of [goal NAME] in the\n"
	"          configuration:\n"
	"            wellgate goal set walk title=\"Walk to the park\" metric=steps \\\n"
	"                     rule=count_days target=3 day_target=5000 period=week\n"
	"          What a goal asks for changes with the next day or week, unless starts_on\n"
	"          says when.\n"
	"  pause   the goal rests from a day (today) to a day, that day included; without --to\n"
	"          until `wellgate goal resume NAME`\n"
	"  stop    the goal is over. What was said about it stays.\n"
	"  import  goals out of a care plan: a FHIR R4 Goal, CarePlan or Bundle as JSON. What has\n"
	"          no number, or may do harm, is not taken, and why is said.\n\n"
	"  --subject REF   whose goal it is, where the hub serves several people\n"
	"  --dry-run       only say what would be set\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 done, 64 usage, 65 not a goal that may be set, 69 no gateway, 74 I/O.\n";

struct goal_command {
	struct client client;
	const char *what, *name, *subject, *from, *to;
	struct goal_plan_options plan;
	bool dry_run;
	char **words; /* KEY=VALUE */
	int n_words;
	Wellgate__V1__Reply *goals;
	struct arena arena;
};

/* ---- arguments */

static int take_option(struct goal_command *g, int option)
{
	if (option == 's')
		g->subject = optarg;
	else if (option == 'f')
		g->from = optarg;
	else if (option == 't')
		g->to = optarg;
	else if (option == 'n')
		g->dry_run = true;
	else if (option == 'j')
		g->client.json = true;
	else if (option == 'r')
		g->client.runtime_dir = optarg;
	else if (option == 'p' && goal_plan_period(optarg, &g->plan) == 0)
		return -1;
	else if (option == 'm' && goal_plan_minutes(optarg, &g->plan) == 0)
		return -1;
	else
		return cli_fail("goal", EXIT_USAGE, "unknown or incomplete option; see --help");
	return -1;
}

static int take_words(struct goal_command *g, int argc, char **argv)
{
	static const char *const known[] = { "set", "pause", "resume", "stop", "import" };
	bool good = false;

	if (argc - optind < 2)
		return cli_fail("goal", EXIT_USAGE, "what, and which goal? see --help");
	g->what = argv[optind];
	g->name = argv[optind + 1];
	g->words = argv + optind + 2;
	g->n_words = argc - optind - 2;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		good = good || strcmp(g->what, known[i]) == 0;
	if (!good || (g->n_words > 0 && strcmp(g->what, "set") != 0))
		return cli_fail("goal", EXIT_USAGE, "unknown command; see --help");
	return -1;
}

/* -1 = go on, or the exit code */
static int parse(int argc, char **argv, struct goal_command *g)
{
	static const struct option options[] = {
		{ "subject", required_argument, NULL, 's' },
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "period", required_argument, NULL, 'p' },
		{ "minutes", required_argument, NULL, 'm' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "runtime-dir", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option, code = -1;

	client_init(&g->client, argv[0]);
	opterr = 0;
	while (code < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(usage, stdout) < 0 ? EXIT_IO : EXIT_GOOD;
		code = take_option(g, option);
	}
	return code >= 0 ? code : take_words(g, argc, argv);
}

static int fail(enum exit_code code, enum words_id why)
{
	return cli_fail("goal", code, "%s", words_text(WORDS_EN, why));
}

/* ---- what there is */

/* the goal of this name: of the person, if one is named */
static int find(const struct goal_command *g, const char *name, struct goal *ret)
{
	const Wellgate__V1__Goal *found = NULL;

	for (size_t i = 0; i < g->goals->n_goals; i++) {
		const Wellgate__V1__Goal *m = g->goals->goals[i];
		const char *subject = m->subject ? m->subject : "";

		if (!m->goal_id || strcmp(m->goal_id, name) != 0 ||
		    (g->subject && strcmp(subject, g->subject) != 0))
			continue;
		if (found)
			return fail(EXIT_USAGE, WORDS_SET_WHOSE);
		found = m;
	}
	if (!found)
		return -ENOENT;
	return goal_from_message(found, ret) == 0 ? 0 : fail(EXIT_DATA, WORDS_SET_NOT_READ);
}

static int today(const struct goal *goal, int64_t *ret_day)
{
	struct zone *zone = NULL;
	int r = zone_load(goal->time_zone[0] ? goal->time_zone : NULL, &zone);

	if (r < 0)
		return r;
	*ret_day = zone_day_of(zone, time(NULL));
	zone_free(zone);
	return 0;
}

static int send_change(struct goal_command *g, int kind, const struct goal *goal)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__GoalChange change = WELLGATE__V1__GOAL_CHANGE__INIT;
	Wellgate__V1__Reply *reply = NULL;
	char verb[] = "goal";
	int code;

	change.has_kind = true;
	change.kind = (Wellgate__V1__GoalChange__Kind)kind;
	arena_reset(&g->arena);
	if (goal_to_message(goal, &g->arena, &change.goal) < 0)
		return cli_fail("goal", EXIT_IO, "out of memory");
	command.verb = verb;
	command.goal = &change;
	code = client_ask(&g->client, &command, &reply);
	if (reply)
		wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

/* ---- set */

/* which keys a word sets; 0 or the exit code */
static int set_words(const struct goal_command *g, struct goal *goal, bool set[GOAL_KEY_END])
{
	for (int i = 0; i < g->n_words; i++) {
		char *value = strchr(g->words[i], '=');
		enum goal_key key;

		if (!value)
			return cli_fail("goal", EXIT_USAGE, "%s is not KEY=VALUE", g->words[i]);
		*value++ = '\0';
		key = goal_key_find(g->words[i]);
		if (key == GOAL_KEY_END)
			return cli_fail("goal", EXIT_USAGE, "unknown key %s: allowed are %s",
					g->words[i], goal_key_names());
		if (!goal_key_set(goal, key, value))
			return cli_fail("goal", EXIT_USAGE, "%s: allowed is %s", g->words[i],
					goal_key_info(key)->allowed);
		set[key] = true;
	}
	return 0;
}

static int set_new(struct goal_command *g, struct goal *goal, const bool set[GOAL_KEY_END])
{
	for (enum goal_key k = 0; k < GOAL_KEY_END; k++) {
		if (goal_key_info(k)->required && !set[k])
			return cli_fail("goal", EXIT_USAGE, "a new goal needs %s: %s",
					goal_key_info(k)->name, goal_key_info(k)->allowed);
	}
	if (strlen(g->name) >= sizeof(goal->id) ||
	    (g->subject && strlen(g->subject) >= sizeof(goal->subject)))
		return fail(EXIT_USAGE, WORDS_SET_NAME);
	memcpy(goal->id, g->name, strlen(g->name) + 1);
	if (g->subject)
		memcpy(goal->subject, g->subject, strlen(g->subject) + 1);
	goal->version = 1;
	return 0;
}

/* Does it ask for something else? Words, pauses and display may change in place. */
static bool asks_anew(const bool set[GOAL_KEY_END])
{
	static const enum goal_key in_place[] = { GOAL_TITLE,     GOAL_PAUSES, GOAL_SHOW_WEIGHT,
						  GOAL_KEEP_HERE, GOAL_HIDDEN, GOAL_ENDS_ON };
	bool rest[GOAL_KEY_END] = { false }, anew = false;

	for (enum goal_key k = 0; k < GOAL_KEY_END; k++)
		rest[k] = set[k];
	for (size_t i = 0; i < sizeof(in_place) / sizeof(in_place[0]); i++)
		rest[in_place[i]] = false;
	for (enum goal_key k = 0; k < GOAL_KEY_END; k++)
		anew = anew || rest[k];
	return anew;
}

/* The running day or week is closed by the goal that it began under. */
static int set_later(struct goal *goal, const bool set[GOAL_KEY_END])
{
	int64_t day = 0;

	if (!asks_anew(set))
		return 0;
	goal->version++;
	if (set[GOAL_STARTS_ON])
		return 0;
	if (today(goal, &day) < 0)
		return fail(EXIT_DATA, WORDS_SET_ZONE);
	goal->starts_on = goal_period_of(goal, day) + goal_period_days(goal);
	return 0;
}

static int set(struct goal_command *g)
{
	struct goal goal = { .week_start = 1, .starts_on = INT64_MIN };
	bool keys[GOAL_KEY_END] = { false };
	int code = find(g, g->name, &goal);
	const bool is_new = code == -ENOENT;

	if (code > 0)
		return code;
	if (g->n_words == 0)
		return cli_fail("goal", EXIT_USAGE, "what is set? KEY=VALUE; see --help");
	code = set_words(g, &goal, keys);
	if (code == 0)
		code = is_new ? set_new(g, &goal, keys) : set_later(&goal, keys);
	return code ? code : send_change(g, WELLGATE__V1__GOAL_CHANGE__KIND__KIND_SET, &goal);
}

/* ---- pause, resume, stop */

static int pause_days(const struct goal_command *g, struct goal *goal)
{
	struct goal_pause pause = { 0 };

	if (today(goal, &pause.from_day) < 0 ||
	    (g->from && !goal_day_parse(g->from, &pause.from_day)) ||
	    !goal_day_parse(g->to, &pause.to_day) || pause.to_day < pause.from_day)
		return fail(EXIT_USAGE, WORDS_SET_REST_DAY);
	if (goal->n_pauses == GOAL_PAUSES_MAX)
		return fail(EXIT_DATA, WORDS_SET_PAUSES);
	pause.to_day++; /* that day is part of it */
	goal->pauses[goal->n_pauses++] = pause;
	return 0;
}

static int rest(struct goal_command *g)
{
	const bool resume = strcmp(g->what, "resume") == 0;
	struct goal goal = { 0 };
	int code = find(g, g->name, &goal);

	if (code == -ENOENT)
		return fail(EXIT_USAGE, WORDS_SET_NO_SUCH);
	if (code)
		return code;
	if (!resume && (g->from || g->to)) {
		if (!g->to)
			return fail(EXIT_USAGE, WORDS_SET_REST_TO);
		code = pause_days(g, &goal);
	} else {
		goal.paused = !resume;
	}
	return code ? code : send_change(g, WELLGATE__V1__GOAL_CHANGE__KIND__KIND_SET, &goal);
}

static int stop(struct goal_command *g)
{
	struct goal goal = { 0 };
	int code = find(g, g->name, &goal);

	if (code == -ENOENT)
		return fail(EXIT_USAGE, WORDS_SET_NO_SUCH);
	return code ? code : send_change(g, WELLGATE__V1__GOAL_CHANGE__KIND__KIND_STOP, &goal);
}

/* ---- import */

/* What the hub has of the same name: the plan read again changes nothing, other numbers are a later
 * version. 1 = send it, 0 = it is there, or the exit code */
static int fit_in(struct goal_command *g, struct goal *goal)
{
	const bool anew[GOAL_KEY_END] = { [GOAL_TARGET] = true };
	struct goal there = { 0 };
	int code;

	if (g->subject && strlen(g->subject) < sizeof(goal->subject))
		memcpy(goal->subject, g->subject, strlen(g->subject) + 1);
	code = find(g, goal->id, &there);
	if (code == -ENOENT)
		return 1;
	if (code)
		return code;
	if (decimal_compare(there.target, goal->target) == 0 &&
	    decimal_compare(there.day_target, goal->day_target) == 0)
		return 0;
	there.target = goal->target;
	there.day_target = goal->day_target;
	*goal = there;
	code = set_later(goal, anew);
	return code ? code : 1;
}

static int take(void *user, const struct goal_fhir_item *item)
{
	struct goal_command *g = user;
	struct goal goal = item->goal;
	int code;

	goal.time_zone[0] = '\0'; /* the hub's */
	if (item->to_day != INT64_MAX)
		goal.ends_on = item->to_day;
	if (item->from_day != INT64_MIN)
		goal.starts_on = item->from_day;
	code = fit_in(g, &goal);
	if (code != 1 || g->dry_run)
		return code == 1 ? 0 : code;
	return send_change(g, WELLGATE__V1__GOAL_CHANGE__KIND__KIND_SET, &goal);
}

static int import(struct goal_command *g)
{
	return goal_plan_import(g->name, &g->plan, g->client.json, take, g);
}

/* ---- the way through */

static int run(struct goal_command *g)
{
	static const struct {
		const char *what;
		int (*run)(struct goal_command *g);
		enum words_id said;
	} commands[] = {
		{ "set", set, WORDS_GOAL_IS_SET },      { "pause", rest, WORDS_GOAL_RESTS },
		{ "resume", rest, WORDS_GOAL_GOES_ON }, { "stop", stop, WORDS_GOAL_IS_OVER },
		{ "import", import, WORDS_NONE },
	};
	int code = client_ask_verb(&g->client, "goals", 0, &g->goals);

	if (code || !g->goals)
		return code;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].what, g->what) != 0)
			continue;
		code = commands[i].run(g);
		if (code == 0 && commands[i].said != WORDS_NONE && !g->client.json)
			(void)puts(words_text(WORDS_EN, commands[i].said));
	}
	return code ? code : client_flush(&g->client);
}

int cmd_goal(int argc, char **argv)
{
	struct goal_command g = { 0 };
	int code = parse(argc, argv, &g);

	if (code >= 0)
		return code;
	if (arena_init(&g.arena, 65536) < 0)
		return cli_fail("goal", EXIT_IO, "out of memory");
	code = client_open(&g.client);
	if (code == 0)
		code = run(&g);
	client_close(&g.client);
	if (g.goals)
		wellgate__v1__reply__free_unpacked(g.goals, NULL);
	arena_finish(&g.arena);
	return code;
}
