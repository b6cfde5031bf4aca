/* links: gateway_import gateway_goals gateway_words */
/* Plans are synthetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/goals/zone.h"
#include "gateway/import/goal_fhir.h"

#define SUBJECT      "'subject':{'reference':'Patient/p1'}"
#define GOAL(more)   "{'resourceType':'Goal','lifecycleStatus':'active'," SUBJECT "," more "}"
#define TARGET(more) GOAL("'target':[{" more "}]")
#define LOINC(code)  "'measure':{'coding':[{'system':'http://loinc.org','code':'" code "'}]},"
#define SNOMED(code) "'measure':{'coding':[{'system':'http://snomed.info/sct','code':'" code "'}]},"
#define UCUM         "'system':'http://unitsofmeasure.org','code':"
#define AT(v, u)     "'detailQuantity':{'value':" v "," UCUM "'" u "'}"
#define STEPS        LOINC("55423-8")

static const struct goal_fhir_options unsaid = { .zone = "Europe/London", .week_start = 1 };

/* JSON with ' for " */
static int read_with(const struct goal_fhir_options *options, const char *text,
		     struct goal_fhir **ret)
{
	struct goal_fhir_options at = *options;
	char *json = strdup(text);
	size_t len = strlen(text);
	int r;

	assert_non_null(json);
	for (size_t i = 0; i < len; i++) {
		if (json[i] == '\'')
			json[i] = '"';
	}
	if (at.today == 0)
		at.today = zone_day_number(2026, 11, 23);
	r = goal_fhir_read(json, len, &at, ret);
	free(json);
	return r;
}

static struct goal_fhir *must_read(const char *text)
{
	struct goal_fhir *plan = NULL;

	assert_int_equal(read_with(&unsaid, text, &plan), 0);
	assert_non_null(plan);
	return plan;
}

static const struct {
	const char *json, *id, *title;
	enum goal_period period;
	enum metric metric;
	struct decimal target; /* in the canonical unit */
} taken[] = {
	{ TARGET(STEPS AT("5000", "{steps}/d")),
	  "steps-day",
	  "Walking",
	  GOAL_DAY,
	  METRIC_STEPS,
	  { 5000, 0 } },
	{ TARGET(STEPS AT("35000", "/wk")),
	  "steps-week",
	  "Walking",
	  GOAL_WEEK,
	  METRIC_STEPS,
	  { 35000, 0 } },
	{ TARGET(LOINC("41950-7") AT("4000.0", "{step}")),
	  "steps-day",
	  "Walking",
	  GOAL_DAY,
	  METRIC_STEPS,
	  { 4000, 0 } },
	{ TARGET(LOINC("41950-7") "'detailInteger':4000"),
	  "steps-day",
	  "Walking",
	  GOAL_DAY,
	  METRIC_STEPS,
	  { 4000, 0 } },
	{ TARGET(STEPS "'detailRatio':{'numerator':{'value':900," UCUM
		       "'{steps}'},'denominator':{'value':1," UCUM "'wk'}}"),
	  "steps-week",
	  "Walking",
	  GOAL_WEEK,
	  METRIC_STEPS,
	  { 900, 0 } },
	{ TARGET(LOINC("41953-1") AT("1.5", "[mi_i]")),
	  "distance-day",
	  "Getting about",
	  GOAL_DAY,
	  METRIC_DISTANCE,
	  { 2414016, -3 } },
	{ TARGET(LOINC("41953-1") AT("2.5", "km/d")),
	  "distance-day",
	  "Getting about",
	  GOAL_DAY,
	  METRIC_DISTANCE,
	  { 2500, 0 } },
	{ TARGET(LOINC("100304-5") AT("30", "{flights}/wk")),
	  "floors-week",
	  "Climbing stairs",
	  GOAL_WEEK,
	  METRIC_FLOORS,
	  { 30, 0 } },
	{ TARGET(SNOMED("248263006") AT("7.5", "h")),
	  "sleep-duration-day",
	  "Sleep",
	  GOAL_DAY,
	  METRIC_SLEEP_DURATION,
	  { 450, 0 } },
	{ TARGET(LOINC("93832-4") "'detailRange':{'low':{'value':420," UCUM "'min'}}"),
	  "sleep-duration-day",
	  "Sleep",
	  GOAL_DAY,
	  METRIC_SLEEP_DURATION,
	  { 420, 0 } },
	{ GOAL("'description':{'text':'Walk to the park'},'target':[{" STEPS
	       "'detailQuantity':{'value':5000,'comparator':'>=','unit':'{steps}/d'}}]"),
	  "steps-day",
	  "Walk to the park",
	  GOAL_DAY,
	  METRIC_STEPS,
	  { 5000, 0 } },
};

static void test_what_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct goal_fhir *plan = must_read(taken[i].json);
		const struct goal_fhir_item *item = &plan->items[0];

		assert_int_equal(plan->n, 1);
		if (item->refusal != GOAL_FHIR_TAKEN)
			fail_msg("row %zu: refused for %d", i, (int)item->refusal);
		assert_string_equal(item->goal.id, taken[i].id);
		assert_string_equal(item->goal.title, taken[i].title);
		assert_int_equal(item->goal.period, taken[i].period);
		assert_int_equal(item->goal.metric, taken[i].metric);
		assert_int_equal(item->goal.rule, GOAL_SUM_PER_PERIOD);
		assert_int_equal(decimal_compare(item->goal.target, taken[i].target), 0);
		assert_string_equal(item->goal.subject, "");
		assert_string_equal(item->goal.time_zone, "Europe/London");
		goal_fhir_free(plan);
	}
}

static const struct {
	const char *json;
	enum goal_fhir_refusal why;
} refused[] = {
	{ GOAL("'description':{'text':'Feel better'}"), GOAL_FHIR_NO_NUMBER },
	{ TARGET("'detailString':'more walks'"), GOAL_FHIR_NO_NUMBER },
	{ TARGET(STEPS "'detailString':'many'"), GOAL_FHIR_NO_NUMBER },
	{ TARGET(STEPS "'detailQuantity':{" UCUM "'{steps}/d'}"), GOAL_FHIR_NO_NUMBER },
	{ TARGET(AT("5000", "{steps}/d")), GOAL_FHIR_UNKNOWN_MEASURE },
	{ TARGET(LOINC("99999-9") AT("5", "/d")), GOAL_FHIR_UNKNOWN_MEASURE },
	{ TARGET(SNOMED("55423-8") AT("5000", "/d")), GOAL_FHIR_UNKNOWN_MEASURE },
	{ TARGET("'measure':{'text':'steps'}," AT("5000", "/d")), GOAL_FHIR_UNKNOWN_MEASURE },
	{ TARGET("'measure':{'coding':[{'system':'http://loinc.org','code':'55423-8'},"
		 "{'system':'http://loinc.org','code':'93832-4'}]}," AT("50", "min")),
	  GOAL_FHIR_TWO_MEASURES },
	{ TARGET(LOINC("55411-3") AT("150", "min/wk")), GOAL_FHIR_WHICH_MINUTES },
	{ TARGET(LOINC("41981-2") AT("2000", "kcal/d")), GOAL_FHIR_FOOD },
	{ TARGET(LOINC("41979-6") AT("2000", "kcal")), GOAL_FHIR_FOOD },
	{ TARGET(LOINC("55424-6") AT("2000", "kcal/d")), GOAL_FHIR_FOOD },
	{ TARGET(LOINC("29463-7") AT("75", "kg")), GOAL_FHIR_WEIGHT },
	{ TARGET(SNOMED("27113001") "'detailRange':{'high':{'value':75," UCUM "'kg'}}"),
	  GOAL_FHIR_WEIGHT },
	{ TARGET(SNOMED("60621009") AT("24", "kg/m2")), GOAL_FHIR_WEIGHT },
	{ TARGET(LOINC("29463-7") AT("0.5", "kg/wk")), GOAL_FHIR_RATE },
	{ TARGET(LOINC("29463-7") AT("2", "kg/mo")), GOAL_FHIR_RATE },
	{ TARGET(STEPS AT("100", "{steps}/min")), GOAL_FHIR_RATE },
	{ TARGET(STEPS AT("5000", "kg/d")), GOAL_FHIR_UNIT },
	{ TARGET(STEPS "'detailQuantity':{'value':5000,'unit':'steps a day'}"), GOAL_FHIR_UNIT },
	{ TARGET(STEPS "'detailQuantity':{'value':5000,'system':'http://x','code':'1'}"),
	  GOAL_FHIR_UNIT },
	{ TARGET(LOINC("93832-4") AT("25000", "s")), GOAL_FHIR_UNIT }, /* 416.666... min */
	{ TARGET(LOINC("41950-7") AT("35000", "{steps}/wk")), GOAL_FHIR_UNIT },
	{ TARGET(STEPS AT("0", "{steps}/d")), GOAL_FHIR_NUMBER },
	{ TARGET(STEPS AT("-5", "{steps}/d")), GOAL_FHIR_NUMBER },
	{ TARGET(STEPS AT("1e300", "{steps}/d")), GOAL_FHIR_NUMBER },
	{ TARGET(STEPS AT("'5000'", "{steps}/d")), GOAL_FHIR_NUMBER },
	{ TARGET(STEPS "'detailQuantity':{'value':5000,'comparator':'<'," UCUM "'/d'}"),
	  GOAL_FHIR_AT_MOST },
	{ TARGET(STEPS "'detailRange':{'low':{'value':1," UCUM "'/d'},'high':{'value':2," UCUM
		       "'/d'}}"),
	  GOAL_FHIR_AT_MOST },
	{ TARGET(STEPS AT("5000", "{steps}")), GOAL_FHIR_NO_PERIOD },
	{ TARGET(LOINC("8480-6") "'detailQuantity':{'value':140,'comparator':'<'," UCUM
				 "'mm[Hg]'}"),
	  GOAL_FHIR_NOT_HELD },
	{ TARGET(STEPS "'dueDate':'soon'," AT("5000", "/d")), GOAL_FHIR_DATES },
	{ TARGET(STEPS "'dueDate':'2027-02-29'," AT("5000", "/d")), GOAL_FHIR_DATES },
	{ TARGET(STEPS "'dueDuration':{'value':4," UCUM "'wk'}," AT("5000", "/d")),
	  GOAL_FHIR_DATES },
	{ GOAL("'startCodeableConcept':{'text':'x'},'target':[{" STEPS AT("5", "/d") "}]"),
	  GOAL_FHIR_DATES },
	{ TARGET(STEPS "'dueDate':'2026-11-22'," AT("5000", "/d")), GOAL_FHIR_OVER },
	{ TARGET("'modifierExtension':[]," STEPS AT("5000", "/d")), GOAL_FHIR_MORE_TO_IT },
	{ GOAL("'implicitRules':'http://x','target':[{" STEPS AT("5", "/d") "}]"),
	  GOAL_FHIR_MORE_TO_IT },
	{ TARGET(STEPS "'detailInteger':5," AT("5000", "/d")), GOAL_FHIR_MORE_TO_IT },
	{ TARGET(STEPS AT("5000000", "/d")), GOAL_FHIR_TOO_MUCH },
	{ TARGET(LOINC("93832-4") AT("25", "h")), GOAL_FHIR_TOO_MUCH },
};

static void test_what_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct goal_fhir *plan = must_read(refused[i].json);

		assert_int_equal(plan->n, 1);
		if (plan->items[0].refusal != refused[i].why)
			fail_msg("row %zu: %d, not %d", i, (int)plan->items[0].refusal,
				 (int)refused[i].why);
		goal_fhir_free(plan);
	}
}

static void test_status(void **state)
{
	static const struct {
		const char *status;
		enum goal_fhir_refusal why;
		bool paused;
	} rows[] = {
		{ "accepted", GOAL_FHIR_TAKEN, false },
		{ "on-hold", GOAL_FHIR_TAKEN, true },
		{ "proposed", GOAL_FHIR_NOT_AGREED, false },
		{ "planned", GOAL_FHIR_NOT_AGREED, false },
		{ "rejected", GOAL_FHIR_NOT_AGREED, false },
		{ "completed", GOAL_FHIR_OVER, false },
		{ "cancelled", GOAL_FHIR_OVER, false },
		{ "entered-in-error", GOAL_FHIR_MISTAKE, false },
		{ "in-progress", GOAL_FHIR_MORE_TO_IT, false }, /* of an activity, not of a goal */
		{ "", GOAL_FHIR_MORE_TO_IT, false },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct goal_fhir *plan;

		(void)snprintf(text, sizeof(text),
			       "{'resourceType':'Goal','lifecycleStatus':'%s','target':[{" STEPS AT(
				       "5000", "{steps}/d") "}]}",
			       rows[i].status);
		plan = must_read(text);
		assert_int_equal(plan->items[0].refusal, rows[i].why);
		assert_int_equal(plan->items[0].goal.paused, rows[i].paused);
		goal_fhir_free(plan);
	}
}

static void test_what_is_asked(void **state)
{
	struct goal_fhir_options said = unsaid;
	struct goal_fhir *plan = NULL;

	(void)state;
	said.period = GOAL_WEEK;
	said.minutes = METRIC_EXERCISE_DURATION;
	assert_int_equal(read_with(&said, TARGET(LOINC("55411-3") AT("2.5", "h")), &plan), 0);
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TAKEN);
	assert_string_equal(plan->items[0].goal.id, "exercise-duration-week");
	assert_int_equal(decimal_compare(plan->items[0].goal.target, (struct decimal){ 150, 0 }),
			 0);
	goal_fhir_free(plan);
}

static void test_days(void **state)
{
	static const char *const text =
		GOAL("'startDate':'2026-12','target':[{'dueDate':'2027-02'," STEPS AT(
			"5000", "/d") "},{" STEPS AT("9", "/wk") ",'dueDuration':{'value':2," UCUM
								 "'wk'}}]");
	struct goal_fhir *plan = must_read(text);

	(void)state;
	assert_int_equal(plan->n, 2);
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TAKEN);
	assert_true(plan->items[0].from_day == zone_day_number(2026, 12, 1));
	assert_true(plan->items[0].goal.starts_on == plan->items[0].from_day);
	assert_true(plan->items[0].to_day == zone_day_number(2027, 3, 1));
	assert_int_equal(plan->items[1].refusal, GOAL_FHIR_TAKEN);
	assert_true(plan->items[1].to_day == zone_day_number(2026, 12, 15));
	assert_int_equal(plan->items[1].target, 2);
	goal_fhir_free(plan);
	plan = must_read(TARGET(STEPS AT("5000", "/d")));
	assert_true(plan->items[0].from_day == INT64_MIN && plan->items[0].to_day == INT64_MAX);
	assert_true(plan->items[0].goal.starts_on == INT64_MIN);
	goal_fhir_free(plan);
}

#define PLAN(status, more)                                                                    \
	"{'resourceType':'CarePlan','id':'cp','status':'" status "','intent':'plan'," SUBJECT \
	"," more "}"
#define BUNDLE(entries) "{'resourceType':'Bundle','type':'collection','entry':[" entries "]}"
#define ENTRY(resource) "{'resource':" resource "}"
#define WALK                                                                   \
	"{'resourceType':'Goal','id':'g1','lifecycleStatus':'active'," SUBJECT \
	",'target':[{" STEPS AT("5000", "{steps}/d") "}]}"

static void test_plan_and_goals(void **state)
{
	struct goal_fhir *plan;

	(void)state;
	/* referenced: by id, and by the entry's address */
	plan = must_read(
		BUNDLE(ENTRY(PLAN("active", "'goal':[{'reference':'Goal/g1'}]")) "," ENTRY(WALK)));
	assert_int_equal(plan->n, 1);
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TAKEN);
	goal_fhir_free(plan);
	plan = must_read(BUNDLE(ENTRY(PLAN(
		"revoked",
		"'goal':[{'reference':'urn:uuid:7'}]")) ","
							"{'fullUrl':'urn:uuid:7','resource':" WALK
							"}"));
	assert_int_equal(plan->n, 1);
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_OVER);
	goal_fhir_free(plan);
	/* two plans: the one that stands holds */
	plan = must_read(
		BUNDLE(ENTRY(PLAN("revoked", "'goal':[{'reference':'Goal/g1'}]")) "," ENTRY(
			PLAN("on-hold", "'goal':[{'reference':'Goal/g1'}]")) "," ENTRY(WALK)));
	assert_int_equal(plan->n, 1);
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TAKEN);
	assert_true(plan->items[0].goal.paused);
	goal_fhir_free(plan);
	/* contained, and one that is not there */
	plan = must_read(PLAN("active", "'contained':[" WALK "],'goal':[{'reference':'#g1'},"
					"{'reference':'#g2'},{'reference':'Goal/g1'}]"));
	assert_int_equal(plan->n, 3);
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_NOT_IN_FILE);
	assert_int_equal(plan->items[1].refusal, GOAL_FHIR_NOT_IN_FILE);
	assert_int_equal(plan->items[2].refusal, GOAL_FHIR_TAKEN);
	goal_fhir_free(plan);
	plan = must_read(PLAN("draft", "'contained':[" WALK "],'goal':[{'reference':'#g1'}]"));
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_NOT_AGREED);
	goal_fhir_free(plan);
}

#define ACTIVITY(more) PLAN("active", "'activity':[{'detail':{'status':'scheduled'," more "}}]")
#define WEIGH          "'code':{'coding':[{'system':'http://snomed.info/sct','code':'27113001'}]},"
#define OFTEN(more)    "'scheduledTiming':{'repeat':{" more "}}"

static void test_activities(void **state)
{
	static const struct {
		const char *json, *id;
		enum goal_fhir_refusal why;
		int64_t times;
	} rows[] = {
		{ ACTIVITY(WEIGH OFTEN("'frequency':2,'period':1,'periodUnit':'wk'")),
		  "measure-body-weight-week", GOAL_FHIR_TAKEN, 2 },
		{ ACTIVITY("'code':{'coding':[{'system':'http://"
			   "loinc.org','code':'8480-6'}]}," OFTEN("'period':1.0,'periodUnit':'d'")),
		  "measure-blood-pressure-day", GOAL_FHIR_TAKEN, 1 },
		{ ACTIVITY(WEIGH OFTEN("'frequency':1,'period':2,'periodUnit':'wk'")), "",
		  GOAL_FHIR_NOT_HELD, 0 },
		{ ACTIVITY(WEIGH OFTEN("'frequency':1,'period':1,'periodUnit':'mo'")), "",
		  GOAL_FHIR_NOT_HELD, 0 },
		{ ACTIVITY(WEIGH OFTEN(
			  "'frequency':1,'frequencyMax':3,'period':1,'periodUnit':'d'")),
		  "", GOAL_FHIR_MORE_TO_IT, 0 },
		{ ACTIVITY(WEIGH "'dailyAmount':{}," OFTEN("'period':1,'periodUnit':'d'")), "",
		  GOAL_FHIR_MORE_TO_IT, 0 },
		{ ACTIVITY(WEIGH OFTEN("'frequency':0,'period':1,'periodUnit':'wk'")), "",
		  GOAL_FHIR_NUMBER, 0 },
		{ ACTIVITY(WEIGH OFTEN("'frequency':99,'period':1,'periodUnit':'d'")), "",
		  GOAL_FHIR_TOO_MUCH, 0 },
		{ ACTIVITY("'code':{'coding':[{'system':'http://"
			   "loinc.org','code':'8867-4'}]}," OFTEN("'period':1,'periodUnit':'d'")),
		  "", GOAL_FHIR_TWO_MEASURES, 0 },
		{ ACTIVITY("'code':{'coding':[{'system':'http://"
			   "loinc.org','code':'41981-2'}]}," OFTEN("'period':1,'periodUnit':'d'")),
		  "", GOAL_FHIR_FOOD, 0 },
	};
	struct goal_fhir *plan;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plan = must_read(rows[i].json);
		assert_int_equal(plan->n, 1);
		assert_true(plan->items[0].is_activity);
		if (plan->items[0].refusal != rows[i].why)
			fail_msg("row %zu: %d", i, (int)plan->items[0].refusal);
		if (rows[i].why == GOAL_FHIR_TAKEN) {
			assert_string_equal(plan->items[0].goal.id, rows[i].id);
			assert_int_equal(plan->items[0].goal.rule, GOAL_MEASURE_REGULARLY);
			assert_int_equal(plan->items[0].goal.target.mantissa, rows[i].times);
		}
		goal_fhir_free(plan);
	}
	/* no goals: a thing to do, and a thing not to do */
	plan = must_read(ACTIVITY("'description':'Meet the nurse'"));
	assert_int_equal(plan->n + plan->others, 1);
	assert_int_equal(plan->others, 1);
	goal_fhir_free(plan);
	plan = must_read(
		ACTIVITY("'doNotPerform':true," WEIGH OFTEN("'period':1,'periodUnit':'d'")));
	assert_int_equal(plan->n, 0);
	assert_int_equal(plan->others, 1);
	goal_fhir_free(plan);
}

/* ---- made-up plans, as public FHIR documents let one expect them of four kinds of system ---- */

#define STEPS_SALESFORCE                                                                        \
	"{'resourceType':'Goal','id':'0hF5g','lifecycleStatus':'active'," SUBJECT               \
	",'description':{'text':'Walk more'},'priority':{'text':'high'},'target':[{'measure':{" \
	"'coding':[{'system':'http://loinc.org','code':'41950-7','display':'Steps'}]},"         \
	"'detailQuantity':{'value':6000,'unit':'{steps}/d'},'dueDate':'2027-01-31'}]}"
#define PLAN_PKB                                                                                \
	"{'resourceType':'CarePlan','status':'active','intent':'plan'," SUBJECT                 \
	",'text':{'status':'generated','div':'<div>Green: sleeping well</div>'},'contained':[{" \
	"'resourceType':'Goal','id':'a','lifecycleStatus':'active'," SUBJECT                    \
	",'description':{'text':'Stay well'}}],'goal':[{'reference':'#a'}]}"
#define BUNDLE_EMIS                                                                                \
	BUNDLE("{'fullUrl':'urn:uuid:p','resource':{'resourceType':'Patient','id':'p1','name':[{"  \
	       "'text':'Ada Moss'}]}},{'fullUrl':'urn:uuid:c','resource':{'resourceType':"         \
	       "'CarePlan','status':'active','intent':'plan','subject':{'reference':'urn:uuid:p'}" \
	       ",'goal':[{'reference':'urn:uuid:g'}]}},{'fullUrl':'urn:uuid:g','resource':{"       \
	       "'resourceType':'Goal','lifecycleStatus':'active','subject':{'reference':"          \
	       "'urn:uuid:p'},'description':{'text':'BP below 140'},'target':[{" SNOMED(           \
		       "72313002") "'detailQuantity':{'value':140,'comparator':'<'," UCUM          \
				   "'mm[Hg]'}}]}}")
#define PLAN_RIO                                                                                   \
	PLAN("active", "'activity':[{'detail':{'status':'in-progress','code':{'coding':[{'system'" \
		       ":'http://snomed.info/sct','code':'27113001'}]},'scheduledTiming':{"        \
		       "'repeat':{'frequency':1,'period':1,'periodUnit':'wk'}}}},{'detail':{"      \
		       "'status':'in-progress','description':'Ring the crisis line'}}]")

static void test_systems(void **state)
{
	static const struct {
		const char *json, *id, *title;
		enum goal_fhir_refusal why;
		unsigned int others;
	} rows[] = {
		{ STEPS_SALESFORCE, "steps-day", "Walk more", GOAL_FHIR_TAKEN, 0 },
		{ PLAN_PKB, "", "", GOAL_FHIR_NO_NUMBER, 0 },
		{ BUNDLE_EMIS, "", "", GOAL_FHIR_NOT_HELD, 0 },
		{ PLAN_RIO, "measure-body-weight-week", "Measuring", GOAL_FHIR_TAKEN, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct goal_fhir *plan = must_read(rows[i].json);

		assert_int_equal(plan->n, 1);
		assert_int_equal(plan->others, rows[i].others);
		assert_int_equal(plan->items[0].refusal, rows[i].why);
		if (rows[i].why == GOAL_FHIR_TAKEN) {
			assert_string_equal(plan->items[0].goal.id, rows[i].id);
			assert_string_equal(plan->items[0].goal.title, rows[i].title);
		}
		goal_fhir_free(plan);
	}
}

static void test_twice(void **state)
{
	struct goal_fhir *plan = must_read(
		GOAL("'target':[{" STEPS AT("5000", "/d") "},{" STEPS AT("5000.0", "/d") "}]"));

	(void)state;
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TAKEN);
	assert_int_equal(plan->items[1].refusal, GOAL_FHIR_SAME_TWICE);
	goal_fhir_free(plan);
	plan = must_read(GOAL("'target':[{" STEPS AT("5000", "/d") "},{" STEPS AT(
		"5000", "/d") "},{" STEPS AT("6000", "/d") "},{" STEPS AT("9", "/wk") "}]"));
	assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TWO_OF_A_KIND);
	assert_int_equal(plan->items[1].refusal, GOAL_FHIR_SAME_TWICE);
	assert_int_equal(plan->items[2].refusal, GOAL_FHIR_TWO_OF_A_KIND);
	assert_int_equal(plan->items[3].refusal, GOAL_FHIR_TAKEN);
	goal_fhir_free(plan);
}

#define OTHER                                                                                     \
	"{'resourceType':'Goal','lifecycleStatus':'active','subject':{'reference':'Patient/p2'}," \
	"'target':[{" STEPS AT("9", "/wk") "}]}"
#define PATIENT(id) \
	"{'resourceType':'Patient','id':'" id "','name':[{'family':'Moss','given':['Ada']}]}"

static void test_one_person(void **state)
{
	static const char *const two[] = {
		BUNDLE(ENTRY(WALK) "," ENTRY(OTHER)),
		BUNDLE(ENTRY(PLAN("active", "'goal':[]")) "," ENTRY(OTHER)),
		BUNDLE(ENTRY(PATIENT("p1")) "," ENTRY(PATIENT("p2")) "," ENTRY(WALK)),
		BUNDLE(ENTRY(
			WALK) ",{'resource':{'resourceType':'Goal','lifecycleStatus':'active'}}"),
		"{'resourceType':'Goal','subject':{'reference':'Group/1'}}",
		/* one of them is in the file, the other may be anybody */
		BUNDLE(ENTRY(PATIENT("p1")) "," ENTRY(WALK) "," ENTRY(OTHER)),
	};
	struct goal_fhir *plan = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(two) / sizeof(two[0]); i++)
		assert_int_equal(read_with(&unsaid, two[i], &plan), -EXDEV);
	assert_null(plan);
	/* the same person by two addresses */
	plan = must_read(BUNDLE("{'fullUrl':'urn:uuid:1','resource':" PATIENT("p1") "}," ENTRY(
		WALK) ",{'resource':{'resourceType':'Goal','lifecycleStatus':"
		      "'active','subject':{'reference':'urn:uuid:1'}}}"));
	assert_int_equal(plan->n, 2);
	goal_fhir_free(plan);
	/* a contained one */
	plan = must_read(
		"{'resourceType':'CarePlan','status':'active','intent':'plan','contained':"
		"[" PATIENT("me") ",{'resourceType':'Goal','id':'g','lifecycleStatus':'active',"
				  "'subject':{'reference':'#me'}}],'subject':{'reference':'#me'},"
				  "'goal':[{'reference':'#g'}]}");
	assert_int_equal(plan->n, 1);
	goal_fhir_free(plan);
}

/* Nothing of the person is in what comes out. */
static void test_nothing_personal(void **state)
{
	static const char *const titles[] = {
		"Walks with Ada",
		"walk for ADA",
		"Mr M walks",
		"Ask Zed to walk",
		"Dr Who said so",
		"Call 0207 946 0001",
		"9434765919",
		"Fuss\303\237weg",
		"a@b",
		"This text is much too long to be the title of a goal",
		"",
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
		struct goal_fhir *plan;

		(void)snprintf(
			text, sizeof(text),
			BUNDLE(ENTRY(PATIENT(
				"p1")) ",{'resource':{'resourceType':'Goal',"
				       "'id':'9434765919','identifier':[{'value':'9434765919'}],"
				       "'lifecycleStatus':'active','subject':{'reference':'Patient/"
				       "p1',"
				       "'display':'Zed'},'note':[{'text':'secret'}],"
				       "'description':{'text':'%s'},'target':[{" STEPS AT(
					       "5000", "{steps}/d") "}]}}"),
			titles[i]);
		plan = must_read(text);
		assert_int_equal(plan->n, 1);
		assert_int_equal(plan->items[0].refusal, GOAL_FHIR_TAKEN);
		assert_string_equal(plan->items[0].goal.title, "Walking");
		for (size_t j = 0; j + 10 < sizeof(*plan); j++) {
			const char *at = (const char *)plan + j;

			assert_int_not_equal(memcmp(at, "9434765919", 10), 0);
			assert_int_not_equal(memcmp(at, "secret", 6), 0);
		}
		goal_fhir_free(plan);
	}
}

/* a Goal of so many targets */
static void put_targets(char *ret, size_t size, int n)
{
	size_t len = (size_t)snprintf(ret, size, "{'resourceType':'Goal','target':[{}");

	for (int i = 1; i < n; i++)
		len += (size_t)snprintf(ret + len, size - len, ",{}");
	(void)snprintf(ret + len, size - len, "]}");
}

/* a Goal with so many lists in each other; brackets in text are none */
static void put_deep(char *ret, size_t n)
{
	static const char head[] = "{'resourceType':'Goal','x':'[[[[[[[[\\\\','y':";

	(void)snprintf(ret, sizeof(head), "%s", head);
	ret += strlen(head);
	(void)memset(ret, '[', n);
	(void)memset(ret + n, ']', n);
	(void)snprintf(ret + n * 2, 2, "}");
}

static void test_hostile(void **state)
{
	struct goal_fhir *plan = NULL;
	char *big = malloc(GOAL_FHIR_FILE_MAX + 1);

	(void)state;
	assert_non_null(big);
	(void)memset(big, ' ', GOAL_FHIR_FILE_MAX + 1);
	assert_int_equal(goal_fhir_read(big, GOAL_FHIR_FILE_MAX + 1, &unsaid, &plan), -EFBIG);
	assert_int_equal(goal_fhir_read(big, GOAL_FHIR_FILE_MAX, &unsaid, &plan), -EBADMSG);
	(void)memset(big, '[', GOAL_FHIR_FILE_MAX);
	assert_int_equal(goal_fhir_read(big, GOAL_FHIR_FILE_MAX, &unsaid, &plan), -EBADMSG);
	assert_int_equal(goal_fhir_read("", 0, &unsaid, &plan), -EBADMSG);
	assert_int_equal(read_with(&unsaid, "[]", &plan), -EBADMSG);
	assert_int_equal(read_with(&unsaid, "{'resourceType':'Patient'}", &plan), -EBADMSG);
	assert_int_equal(read_with(&unsaid, "{'resourceType':'Goal','resourceType':'Goal'}", &plan),
			 -EBADMSG);
	put_deep(big, GOAL_FHIR_DEPTH_MAX - 1);
	assert_int_equal(read_with(&unsaid, big, &plan), 0);
	goal_fhir_free(plan);
	plan = NULL;
	put_deep(big, GOAL_FHIR_DEPTH_MAX);
	assert_int_equal(read_with(&unsaid, big, &plan), -EBADMSG);
	/* more goals than are read */
	put_targets(big, GOAL_FHIR_FILE_MAX, GOAL_FHIR_ITEMS_MAX + 1);
	assert_int_equal(read_with(&unsaid, big, &plan), -E2BIG);
	assert_null(plan);
	put_targets(big, GOAL_FHIR_FILE_MAX, GOAL_FHIR_ITEMS_MAX);
	assert_int_equal(read_with(&unsaid, big, &plan), 0);
	assert_int_equal(plan->n, GOAL_FHIR_ITEMS_MAX);
	goal_fhir_free(plan);
	free(big);
}

static void test_words(void **state)
{
	(void)state;
	assert_int_equal(goal_fhir_words(GOAL_FHIR_TAKEN), WORDS_NONE);
	for (int why = GOAL_FHIR_TAKEN + 1; why < GOAL_FHIR_REFUSALS; why++) {
		assert_int_not_equal(goal_fhir_words((enum goal_fhir_refusal)why), WORDS_NONE);
		for (int other = why + 1; other < GOAL_FHIR_REFUSALS; other++)
			assert_int_not_equal(goal_fhir_words((enum goal_fhir_refusal)why),
					     goal_fhir_words((enum goal_fhir_refusal)other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_taken),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_what_is_asked),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_plan_and_goals),
		cmocka_unit_test(test_activities),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_systems),
		cmocka_unit_test(test_one_person),
		cmocka_unit_test(test_nothing_personal),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
