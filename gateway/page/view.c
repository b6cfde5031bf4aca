#include "gateway/page/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli/format.h"
#include "gateway/page/pictures.h"

#define METRIC(name) WELLGATE__V1__METRIC__METRIC_##name
#define EXPORT_DAYS  90
#define LATEST_MAX   4

/* ---- the frame */

static void link_to(struct html *h, const char *path, enum words_id title, bool here)
{
	html_markup(h, "<li class=\"menu-item\"><a href=\"%s\"%s>", path,
		    here ? " aria-current=\"page\"" : "");
	html_words(h, title);
	html_raw(h, "</a></li>\n");
}

void view_begin(struct html *h, const struct view *v, enum words_id title)
{
	html_raw(h, "<!DOCTYPE html>\n<html lang=\"en\" class=\"govuk-template\"><head>"
		    "<meta charset=\"utf-8\"><meta name=\"viewport\" "
		    "content=\"width=device-width, initial-scale=1\">"
		    "<link rel=\"stylesheet\" href=\"/style.css\"><title>");
	html_words(h, title);
	html_raw(h, " - ");
	html_words(h, WORDS_PAGE_NAME);
	html_raw(h, "</title></head>\n<body><a class=\"skip\" href=\"#main\">");
	html_words(h, WORDS_PAGE_SKIP);
	html_raw(h, "</a>\n<header class=\"top\"><nav aria-label=\"");
	html_words(h, WORDS_PAGE_MENU);
	html_raw(h, "\"><ul class=\"menu\">\n");
	if (v->staff)
		link_to(h, "/clinic", WORDS_PAGE_CLINIC, title == WORDS_PAGE_CLINIC);
	if (!v->staff) {
		link_to(h, "/", WORDS_PAGE_TODAY, title == WORDS_PAGE_TODAY);
		link_to(h, "/goals", WORDS_PAGE_GOALS, title == WORDS_PAGE_GOALS);
		link_to(h, "/box", WORDS_PAGE_BOX, title == WORDS_PAGE_BOX);
	}
	link_to(h, "/help", WORDS_PAGE_HELP, title == WORDS_PAGE_HELP);
	html_raw(h, "</ul></nav></header>\n<main id=\"main\" class=\"page\" tabindex=\"-1\">\n");
	html_say(h, "h1", title, NULL);
	if (v->notice != WORDS_NONE)
		html_say(h, "p class=\"nhsuk-inset-text\" role=\"status\"", v->notice, NULL);
	if (v->entered) {
		html_raw(h, "<div class=\"leave\">");
		view_form(h, v, "/leave");
		view_form_end(h, WORDS_PAGE_CLOSE_IT, true);
		html_raw(h, "</div>\n");
	}
}

void view_end(struct html *h)
{
	html_raw(h, "</main></body></html>\n");
}

void view_form(struct html *h, const struct view *v, const char *action)
{
	html_markup(h, "<form method=\"post\" action=\"%s\" autocomplete=\"off\">", action);
	html_markup(h, "<input type=\"hidden\" name=\"csrf\" value=\"%s\">", v->csrf);
}

void view_form_end(struct html *h, enum words_id button, bool secondary)
{
	html_markup(h, "<button class=\"nhsuk-button%s\">",
		    secondary ? " nhsuk-button--secondary" : "");
	html_words(h, button);
	html_raw(h, "</button></form>\n");
}

/* 0 and *ret, or what view.h says */
static int asked(const struct view *v, const char *verb, Wellgate__V1__Reply **ret)
{
	Wellgate__V1__Reply *reply = ask(&v->asker, verb, NULL);
	const int code = reply ? reply->code : 0;

	if (reply && code == 0) {
		*ret = reply;
		return 0;
	}
	if (reply)
		wellgate__v1__reply__free_unpacked(reply, NULL);
	return code == ASK_NO_SESSION ? -EACCES : -EIO;
}

static void free_reply(Wellgate__V1__Reply *reply)
{
	if (reply)
		wellgate__v1__reply__free_unpacked(reply, NULL);
}

/* ---- today */

static void say_value(struct html *h, const Wellgate__V1__Reading *r)
{
	char upper[PICTURE_NUMBER_MAX], lower[PICTURE_NUMBER_MAX];
	const struct words_fill fill = { .of = { [WORDS_FROM] = upper, [WORDS_TO] = lower } };

	if (r->metric == METRIC(BODY_WEIGHT)) {
		html_say(h, "p class=\"latest\"", WORDS_PAGE_SAVED_WEIGHT, NULL);
		return;
	}
	picture_number(history_part(r, METRIC(SYSTOLIC)), upper);
	picture_number(history_part(r, METRIC(DIASTOLIC)), lower);
	html_say(h, "p class=\"latest\"", WORDS_PAGE_SAVED_PRESSURE, &fill);
}

static bool is_spoken_of(const Wellgate__V1__Reading *r)
{
	return r->metric == METRIC(BODY_WEIGHT) ||
	       (history_part(r, METRIC(SYSTOLIC)) && history_part(r, METRIC(DIASTOLIC)));
}

/* The newest, with its time in words: what is old is never shown as new. */
static void say_latest(struct html *h, const struct history *history)
{
	char when[PICTURE_NUMBER_MAX];
	const struct words_fill fill = { .of = { [WORDS_WHEN] = when } };
	size_t said = 0;
	bool today = false;

	for (size_t i = history->n; i > 0 && said < LATEST_MAX; i--) {
		const Wellgate__V1__Reading *r = history->rows[i - 1];

		if (!r->has_measured_at_ms || !is_spoken_of(r))
			continue;
		today = zone_day_of(history->zone, r->measured_at_ms / 1000) == history->today;
		if (!today && said > 0)
			break;
		if (!today)
			html_say(h, "p", WORDS_PAGE_NO_READINGS_TODAY, NULL);
		if (said == 0)
			html_say(h, "h2", WORDS_PAGE_LATEST, NULL);
		said++;
		say_value(h, r);
		picture_when(history_local_ms(r), when);
		html_say(h, "p class=\"small\"", WORDS_PAGE_LATEST_ON, &fill);
		if (r->metric != METRIC(BODY_WEIGHT))
			html_say(h, "p class=\"nhsuk-inset-text\"", WORDS_PAGE_SAFETY, NULL);
	}
	if (history->n == 0)
		html_say(h, "p", WORDS_PAGE_NO_READINGS, NULL);
}

static void press_button(struct html *h, const struct view *v, const Wellgate__V1__Reading *r,
			 bool me)
{
	char id[2 * 16 + 1] = "";

	if (r->reading_id.len == 16)
		format_hex(id, r->reading_id.data, r->reading_id.len);
	view_form(h, v, "/said");
	html_markup(h, "<input type=\"hidden\" name=\"reading\" value=\"%s\">", id);
	html_markup(h, "<input type=\"hidden\" name=\"me\" value=\"%s\">", me ? "yes" : "no");
	view_form_end(h, me ? WORDS_PAGE_ME : WORDS_PAGE_NOT_ME, !me);
}

static void say_held(struct html *h, const struct view *v, const Wellgate__V1__Reply *held)
{
	for (size_t i = 0; i < held->n_readings; i++) {
		const Wellgate__V1__Reading *r = held->readings[i];
		char when[PICTURE_NUMBER_MAX];

		html_raw(h, "<section class=\"nhsuk-card held\">");
		html_say(h, "h2", WORDS_PAGE_WAS_IT_YOU, NULL);
		html_say(h, "p", WORDS_PAGE_CHECKING, NULL);
		if (r->has_measured_at_ms) {
			picture_when(history_local_ms(r), when);
			html_element(h, "p", when);
		}
		press_button(h, v, r, true);
		press_button(h, v, r, false);
		html_raw(h, "</section>\n");
	}
}

static bool is_test(const struct history *history)
{
	for (size_t i = 0; i < history->n; i++) {
		for (size_t k = 0; k < history->rows[i]->n_flags; k++) {
			if (history->rows[i]->flags[k] == WELLGATE__V1__FLAG__FLAG_TEST)
				return true;
		}
	}
	return false;
}

static void write_today(struct html *h, const struct view *v, const struct history *history,
			const Wellgate__V1__Reply *held, const Wellgate__V1__Reply *goals)
{
	view_begin(h, v, WORDS_PAGE_TODAY);
	if (is_test(history))
		html_say(h, "p class=\"nhsuk-inset-text\"", WORDS_PAGE_TEST, NULL);
	say_held(h, v, held);
	say_latest(h, history);
	picture_pressure(h, history);
	picture_weight(h, history, goals);
	picture_steps(h, history);
	picture_sleep(h, history);
	view_end(h);
}

int view_today(struct html *h, const struct view *v)
{
	Wellgate__V1__Reply *held = NULL, *goals = NULL;
	struct history history = { 0 };
	int r = asked(v, "page-held", &held);

	if (r == 0)
		r = asked(v, "page-goals", &goals);
	if (r == 0)
		r = history_load(&v->asker, v->now_ms, HISTORY_DAYS, &history);
	if (r == 0 && history.code != 0)
		r = history.code == ASK_NO_SESSION ? -EACCES : -EIO;
	if (r == 0)
		write_today(h, v, &history, held, goals);
	history_finish(&history);
	free_reply(goals);
	free_reply(held);
	return r;
}

/* ---- goals */

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

static void say_goal(struct html *h, const struct view *v, const Wellgate__V1__Goal *g,
		     const Wellgate__V1__GoalResult *r)
{
	html_raw(h, "<section class=\"nhsuk-card goal\">");
	html_element(h, "h2",
		     g->title && *g->title ? g->title : words_text(WORDS_EN, WORDS_GOAL_NO_TITLE));
	if (g->paused)
		html_say(h, "p", WORDS_PAGE_RESTING, NULL);
	else if (r && r->words && *r->words)
		html_element(h, "p", r->words);
	else
		html_say(h, "p", WORDS_PAGE_NO_READINGS, NULL);
	view_form(h, v, "/rest");
	html_raw(h, "<input type=\"hidden\" name=\"goal\" value=\"");
	html_text(h, g->goal_id);
	html_markup(h, "\"><input type=\"hidden\" name=\"rest\" value=\"%s\">",
		    g->paused ? "no" : "yes");
	view_form_end(h, g->paused ? WORDS_PAGE_GO_ON : WORDS_PAGE_REST, true);
	html_raw(h, "</section>\n");
}

int view_goals(struct html *h, const struct view *v)
{
	Wellgate__V1__Reply *goals = NULL;
	const int r = asked(v, "page-goals", &goals);

	if (r < 0)
		return r;
	view_begin(h, v, WORDS_PAGE_GOALS);
	for (size_t i = 0; i < goals->n_goals; i++)
		say_goal(h, v, goals->goals[i], result_of(goals, goals->goals[i]));
	if (goals->n_goals == 0)
		html_say(h, "p", WORDS_PAGE_GOAL_NONE, NULL);
	view_end(h);
	free_reply(goals);
	return 0;
}

/* ---- the box */

static void say_hub(struct html *h, const Wellgate__V1__Reply *hub)
{
	char number[24];
	const struct words_fill fill = { .of = { [WORDS_NUMBER] = number } };
	const uint64_t waiting = hub->status ? hub->status->waiting : 0;

	html_say(h, "p",
		 !hub->broker            ? WORDS_PAGE_ONLY_KEEPS
		 : hub->broker_connected ? WORDS_PAGE_SENDS
					 : WORDS_PAGE_KEEPS,
		 NULL);
	if (!hub->broker)
		return;
	(void)snprintf(number, sizeof(number), "%" PRIu64, waiting);
	html_say(h, "p", waiting > 0 ? WORDS_PAGE_WAITING : WORDS_PAGE_ALL_SENT, &fill);
}

static void name_of(const Wellgate__V1__DeviceInfo *d, char *ret, size_t size)
{
	const Wellgate__V1__DeviceRef *ref = d->device;
	const char *make = ref && ref->make ? ref->make : "";
	const char *model = ref && ref->model ? ref->model : "";

	if (!*make && !*model)
		model = ref && ref->driver ? ref->driver : words_text(WORDS_EN, WORDS_PAGE_DEVICE);
	(void)snprintf(ret, size, "%.60s%s%.60s", make, *make && *model ? " " : "", model);
	for (char *p = ret; *p; p++)
		*p = *p == '_' ? ' ' : *p; /* names of drivers have them */
}

static void say_devices(struct html *h, const struct view *v, const Wellgate__V1__Reply *devices)
{
	char name[160], when[FORMAT_TIME_MAX];
	const struct words_fill fill = { .of = { [WORDS_WHEN] = when } };

	html_say(h, "h2", WORDS_PAGE_DEVICES, NULL);
	if (devices->n_devices == 0)
		html_say(h, "p", WORDS_PAGE_DEVICES_NONE, NULL);
	for (size_t i = 0; i < devices->n_devices; i++) {
		const Wellgate__V1__DeviceInfo *d = devices->devices[i];

		name_of(d, name, sizeof(name));
		html_element(h, "h3", name);
		if (d->has_last_seen_ms) {
			char ago[FORMAT_TIME_MAX];

			format_ago(ago, v->now_ms - d->last_seen_ms);
			(void)snprintf(when, sizeof(when), "%.32s ago", ago);
		}
		html_say(h, "p", d->has_last_seen_ms ? WORDS_PAGE_SEEN : WORDS_PAGE_SEEN_NEVER,
			 &fill);
	}
}

static void write_box(struct html *h, const struct view *v, const Wellgate__V1__Reply *hub,
		      const Wellgate__V1__Reply *devices, bool show_weight)
{
	view_begin(h, v, WORDS_PAGE_BOX);
	say_hub(h, hub);
	say_devices(h, v, devices);
	html_say(h, "h2", WORDS_PAGE_MINE, NULL);
	html_raw(h, "<p><a href=\"/readings.csv\">");
	html_words(h, WORDS_PAGE_EXPORT);
	html_raw(h, "</a></p>\n");
	html_say(h, "p", WORDS_PAGE_EXPORT_HOW, NULL);
	if (!show_weight)
		html_say(h, "p", WORDS_PAGE_EXPORT_WEIGHT, NULL);
	html_say(h, "p", WORDS_PAGE_PAUSE_HOW, NULL);
	view_end(h);
}

int view_box(struct html *h, const struct view *v)
{
	Wellgate__V1__Reply *hub = NULL, *devices = NULL;
	struct history history = { 0 };
	int r = asked(v, "page-hub", &hub);

	if (r == 0)
		r = asked(v, "page-devices", &devices);
	if (r == 0) /* only for whether the weight is shown: none of its readings is */
		r = history_load(&v->asker, v->now_ms, 0, &history);
	if (r == 0 && history.code != 0)
		r = history.code == ASK_NO_SESSION ? -EACCES : -EIO;
	if (r == 0)
		write_box(h, v, hub, devices, history.show_weight);
	history_finish(&history);
	free_reply(devices);
	free_reply(hub);
	return r;
}

/* ---- for everybody */

int view_help(struct html *h, const struct view *v)
{
	view_begin(h, v, WORDS_PAGE_HELP);
	html_say(h, "h2", WORDS_PAGE_HELP_UNWELL, NULL);
	html_say(h, "p class=\"nhsuk-inset-text\"", WORDS_PAGE_SAFETY, NULL);
	html_say(h, "h2", WORDS_PAGE_HELP_BOX, NULL);
	html_say(h, "p", WORDS_PAGE_HELP_USE, NULL);
	html_say(h, "p", WORDS_PAGE_HELP_GAP, NULL);
	html_say(h, "p", WORDS_PAGE_HELP_PLUG, NULL);
	html_say(h, "p", WORDS_PAGE_HELP_WHO, NULL);
	html_say(h, "p", WORDS_PAGE_HELP_STOP, NULL);
	view_end(h);
	return 0;
}

int view_enter(struct html *h, const struct view *v)
{
	view_begin(h, v, WORDS_PAGE_OPEN_IT);
	html_say(h, "p", WORDS_PAGE_CODE_WHY, NULL);
	view_form(h, v, "/enter");
	html_raw(h, "<label class=\"nhsuk-label\" for=\"code\">");
	html_words(h, WORDS_PAGE_CODE_LABEL);
	html_raw(h, "</label>\n");
	html_say(h, "p class=\"nhsuk-hint\" id=\"hint\"", WORDS_PAGE_CODE_HINT, NULL);
	html_raw(h, "<input class=\"nhsuk-input code\" id=\"code\" name=\"code\" type=\"text\" "
		    "inputmode=\"numeric\" maxlength=\"6\" aria-describedby=\"hint\" "
		    "spellcheck=\"false\" required>\n");
	view_form_end(h, WORDS_PAGE_OPEN_IT, false);
	view_end(h);
	return 0;
}

int view_notice(struct html *h, const struct view *v)
{
	view_begin(h, v, WORDS_PAGE_NAME);
	html_raw(h, "<p><a href=\"/\">");
	html_words(h, WORDS_PAGE_BACK);
	html_raw(h, "</a></p>\n");
	view_end(h);
	return 0;
}

/* ---- export */

static void export_row(struct html *h, const Wellgate__V1__Reading *r)
{
	for (size_t i = 0; i < r->n_components; i++) {
		const Wellgate__V1__Component *c = r->components[i];
		char time[FORMAT_TIME_MAX] = "", name[FORMAT_ENUM_MAX], value[PICTURE_NUMBER_MAX];

		if (r->has_measured_at_ms)
			format_local(time, r->measured_at_ms, r->utc_offset_min);
		format_enum(name, &wellgate__v1__metric__descriptor, (int)c->metric, "METRIC_");
		picture_number(c, value);
		html_markup(h, "%s,%s,%s,%.20s\r\n", time, name, value, c->unit ? c->unit : "");
	}
}

int view_export(struct html *h, const struct view *v)
{
	struct history history = { 0 };
	int r = history_load(&v->asker, v->now_ms, EXPORT_DAYS, &history);

	if (r == 0 && history.code != 0)
		r = history.code == ASK_NO_SESSION ? -EACCES : -EIO;
	if (r == 0)
		html_raw(h, "measured_at,metric,value,unit\r\n");
	for (size_t i = 0; r == 0 && i < history.n; i++)
		export_row(h, history.rows[i]);
	history_finish(&history);
	return r;
}
