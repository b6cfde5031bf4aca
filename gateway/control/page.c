#include "gateway/control/page.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/goals/message.h"
#include "gateway/listener.h"
#include "gateway/pipeline_part.h"
#include "gateway/registry/index.h"
#include "gateway/words/words.h"
#include "protocols/messages/codes.h"

#define CODE_USAGE       64
#define CODE_DATA        65
#define CODE_UNAVAILABLE 69
#define CODE_IO          74

#define SUBJECT_MAX  65
#define ROWS_MAX     400
#define MINUTE_US    INT64_C(60000000)
#define HELD_MOST    50
#define PACKET_BYTES (LISTENER_PACKET_MAX - 4096)
#define ARENA_SPARE  ((size_t)128 * 1024)

struct session {
	bool used, staff;
	char subject[SUBJECT_MAX];
	uint8_t token[PAGE_TOKEN];
	int64_t began_us, seen_us;
};

struct page_door {
	struct session sessions[PAGE_SESSIONS];
	char code[PAGE_CODE_DIGITS + 1]; /* "" = none is open */
	unsigned int tries;
	int64_t until_us;
	bool staff;
	char subject[SUBJECT_MAX];
};

struct ask {
	const struct control *c;
	const Wellgate__V1__Command *command;
	const Wellgate__V1__PageCommand *m;
	struct arena *arena;
	Wellgate__V1__Reply *reply;
	const struct session *session;
	const char *inner; /* see control_page() */
};

int page_door_new(struct page_door **ret)
{
	struct page_door *d;

	if (sodium_init() < 0)
		return -EIO;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	*ret = d;
	return 0;
}

void page_door_free(struct page_door *d)
{
	if (d)
		sodium_memzero(d, sizeof(*d));
	free(d);
}

static int64_t boottime_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int say(const struct ask *q, int code, const char *text)
{
	q->reply->has_code = true;
	q->reply->code = code;
	q->reply->error = arena_strdup(q->arena, text);
	return q->reply->error ? 0 : -ENOMEM;
}

static int refuse(const struct ask *q, int code, enum words_id id)
{
	return say(q, code, words_text(WORDS_EN, id));
}

static Wellgate__V1__PageReply *page_reply(const struct ask *q)
{
	if (!q->reply->page) {
		q->reply->page = arena_alloc(q->arena, sizeof(*q->reply->page));
		if (q->reply->page)
			wellgate__v1__page_reply__init(q->reply->page);
	}
	return q->reply->page;
}

/* ---- who is here */

/* Has `subject` something open now? NULL: *ret is the only one who has, or NULL of several. */
static bool is_here(const struct ask *q, const char *subject, const char **ret)
{
	const struct registry *r = pipeline_registry(q->c->pipeline);
	const int64_t now_ms = pipeline_now_ms(q->c->pipeline);
	const struct device *device = r->devices.row;
	const char *found = NULL;

	for (size_t i = 0; i < r->devices.n; i++) {
		const struct claim *claim = device_claims(&device[i]);

		for (size_t k = 0; k < device[i].claims.n; k++) {
			if (claim[k].ended || claim[k].planned_ms <= now_ms)
				continue;
			if (subject && strcmp(subject, claim[k].subject) == 0)
				return true;
			if (!subject && found && strcmp(found, claim[k].subject) != 0)
				return false;
			found = claim[k].subject;
		}
	}
	if (ret)
		*ret = found;
	return !subject && found;
}

/* The person that is meant, "" where the box serves whoever is there; NULL: nobody can say. */
static const char *person(const struct ask *q, const char *subject)
{
	const char *only = NULL;

	if (registry_revision(pipeline_registry(q->c->pipeline)) == 0) {
		const char *served = q->c->config->subject ? q->c->config->subject : "";

		return !subject || strcmp(subject, served) == 0 ? served : NULL;
	}
	if (subject)
		return is_here(q, subject, NULL) ? subject : NULL;
	return is_here(q, NULL, &only) ? only : NULL;
}

/* ---- code and session */

static void end_all_over(struct page_door *d, int64_t now_us)
{
	for (size_t i = 0; i < PAGE_SESSIONS; i++) {
		struct session *s = &d->sessions[i];

		if (s->used &&
		    (now_us - s->seen_us > PAGE_IDLE_US || now_us - s->began_us > PAGE_MOST_US))
			sodium_memzero(s, sizeof(*s));
	}
	if (d->code[0] && now_us >= d->until_us)
		sodium_memzero(d->code, sizeof(d->code));
}

int control_page_code(const struct control *c, const Wellgate__V1__Command *command,
		      struct arena *arena, Wellgate__V1__Reply *reply)
{
	const struct ask q = {
		.c = c, .command = command, .m = command->page, .arena = arena, .reply = reply
	};
	struct page_door *d = c->page;
	const bool staff = q.m && q.m->staff;
	const char *subject = d && !staff ? person(&q, q.m ? q.m->subject : NULL) : "";

	if (!d)
		return refuse(&q, CODE_UNAVAILABLE, WORDS_PAGE_OFF);
	if (!subject || strlen(subject) >= SUBJECT_MAX)
		return refuse(&q, CODE_USAGE, WORDS_PAGE_FOR_WHOM);
	if (!page_reply(&q))
		return -ENOMEM;
	(void)snprintf(d->code, sizeof(d->code), "%06u", randombytes_uniform(1000000));
	(void)snprintf(d->subject, sizeof(d->subject), "%s", subject);
	d->staff = staff;
	d->tries = 0;
	d->until_us = boottime_us() + PAGE_CODE_MINUTES * MINUTE_US;
	reply->page->code = arena_strdup(arena, d->code);
	reply->page->has_minutes = true;
	reply->page->minutes = PAGE_CODE_MINUTES;
	return reply->page->code ? 0 : -ENOMEM;
}

/* a free one, or the one that was silent longest */
static struct session *room(struct page_door *d)
{
	struct session *s = &d->sessions[0];

	for (size_t i = 0; i < PAGE_SESSIONS; i++) {
		if (!d->sessions[i].used)
			return &d->sessions[i];
		if (d->sessions[i].seen_us < s->seen_us)
			s = &d->sessions[i];
	}
	return s;
}

static bool is_code(const struct page_door *d, const char *code)
{
	return d->code[0] && code && strlen(code) == PAGE_CODE_DIGITS &&
	       sodium_memcmp(code, d->code, PAGE_CODE_DIGITS) == 0;
}

static int enter(struct ask *q, int64_t now_us)
{
	struct page_door *d = q->c->page;
	struct session *s;

	if (!is_code(d, q->m->code)) {
		if (++d->tries >= PAGE_TRIES)
			sodium_memzero(d->code, sizeof(d->code));
		return refuse(q, PAGE_CODE_SESSION, WORDS_PAGE_NOT_CODE);
	}
	if (!page_reply(q))
		return -ENOMEM;
	s = room(d);
	*s = (struct session){
		.used = true, .staff = d->staff, .began_us = now_us, .seen_us = now_us
	};
	memcpy(s->subject, d->subject, sizeof(s->subject));
	randombytes_buf(s->token, sizeof(s->token));
	sodium_memzero(d->code, sizeof(d->code)); /* good once */
	q->reply->page->has_token = q->reply->page->has_staff = true;
	q->reply->page->staff = s->staff;
	q->reply->page->token.data = arena_memdup(q->arena, s->token, sizeof(s->token));
	q->reply->page->token.len = sizeof(s->token);
	return q->reply->page->token.data ? 0 : -ENOMEM;
}

/* NULL: there is none, or its person has nothing here any more */
static struct session *find_session(const struct ask *q)
{
	struct page_door *d = q->c->page;

	if (!q->m->has_token || q->m->token.len != PAGE_TOKEN)
		return NULL;
	for (size_t i = 0; i < PAGE_SESSIONS; i++) {
		struct session *s = &d->sessions[i];

		if (!s->used || sodium_memcmp(s->token, q->m->token.data, PAGE_TOKEN) != 0)
			continue;
		if (s->staff || person(q, s->subject[0] ? s->subject : NULL))
			return s;
		sodium_memzero(s, sizeof(*s));
	}
	return NULL;
}

static bool is_mine(const struct ask *q, const char *subject)
{
	return strcmp(subject ? subject : "", q->session->subject) == 0;
}

/* A goal without a person is of whoever the box serves. */
static bool is_my_goal(const struct ask *q, const struct goal *g)
{
	return is_mine(q, g->subject) ||
	       (g->subject[0] == '\0' && registry_revision(pipeline_registry(q->c->pipeline)) == 0);
}

/* ---- readings */

static bool is_weight(Wellgate__V1__Metric metric)
{
	const struct metric_info *info = metric_info((unsigned int)metric);

	return !info || info->group == GROUP_WEIGHT;
}

/* Only if a goal says so, and none speaks against it. */
static bool shows_weight(const struct ask *q)
{
	size_t n = 0;
	const struct goal *goals = goal_book_goals(q->c->book, &n);
	bool show = false;

	for (size_t i = 0; i < n; i++) {
		if (!is_my_goal(q, &goals[i]))
			continue;
		if (goals[i].eating_disorder)
			return false;
		show = show || goals[i].show_weight;
	}
	return show;
}

/* What the page shows of one, and nothing else. Numbers of a weight stay here. */
static Wellgate__V1__Reading *shown(const struct ask *q, const Wellgate__V1__Reading *r,
				    bool weight)
{
	Wellgate__V1__Reading *m = arena_alloc(q->arena, sizeof(*m));

	if (!m)
		return NULL;
	wellgate__v1__reading__init(m);
	m->has_sequence = r->has_sequence;
	m->sequence = r->sequence;
	m->has_metric = r->has_metric;
	m->metric = r->metric;
	m->has_measured_at_ms = r->has_measured_at_ms;
	m->measured_at_ms = r->measured_at_ms;
	m->has_duration_ms = r->has_duration_ms;
	m->duration_ms = r->duration_ms;
	m->has_utc_offset_min = r->has_utc_offset_min;
	m->utc_offset_min = r->utc_offset_min;
	m->device = r->device;
	m->has_clock = r->has_clock;
	m->clock = r->clock;
	m->n_flags = r->n_flags;
	m->flags = r->flags;
	if (is_weight(r->metric) && !weight)
		return m;
	m->n_components = r->n_components;
	m->components = r->components;
	return m;
}

static bool is_wanted(const struct ask *q, const Wellgate__V1__Reading *r)
{
	if (!is_mine(q, r->subject))
		return false;
	if (q->m->has_from_ms && r->has_measured_at_ms && r->measured_at_ms < q->m->from_ms)
		return false;
	return !(r->has_reading_id && r->reading_id.len == REGISTRY_DIGEST &&
		 pipeline_is_hidden(q->c->pipeline, r->reading_id.data));
}

/* 1 = taken, 0 = not theirs */
static int take_row(const struct ask *q, const struct store_row *row, bool weight)
{
	const size_t used = q->arena->used;
	Wellgate__V1__Reading *m = NULL;
	const Wellgate__V1__Reading *r =
		wellgate__v1__reading__unpack(arena_protobuf(q->arena), row->len, row->payload);

	if (r && is_wanted(q, r)) {
		m = shown(q, r, weight);
		if (!m)
			return -ENOMEM;
		q->reply->readings[q->reply->n_readings++] = m;
		return 1;
	}
	q->arena->used = used;
	return 0;
}

static int readings(struct ask *q)
{
	Wellgate__V1__Reply *reply = q->reply;
	struct store *store = q->c->store;
	const bool weight = shows_weight(q);
	struct store_row row = { .sequence = q->command->after };
	size_t bytes = 0;
	int r = 0;

	if (!q->command->has_after && q->m->has_from_ms)
		row.sequence = store_before(store, LANE_READINGS, q->m->from_ms / 1000);
	reply->readings = arena_alloc(q->arena, ROWS_MAX * sizeof(void *));
	if (!reply->readings || !page_reply(q))
		return -ENOMEM;
	reply->page->has_show_weight = reply->has_more = true;
	reply->page->show_weight = weight;
	reply->page->time_zone = q->c->config->time_zone;
	while (!reply->more && (r = store_next(store, LANE_READINGS, row.sequence, &row)) > 0) {
		r = take_row(q, &row, weight);
		if (r < 0)
			return r;
		bytes += r > 0 ? row.len + 8 : 0;
		reply->more = reply->n_readings == ROWS_MAX ||
			      bytes > PACKET_BYTES - STORE_PAYLOAD_MAX / 8 ||
			      q->arena->size - q->arena->used < ARENA_SPARE * 2;
	}
	return r < 0 ? refuse(q, CODE_IO, WORDS_PAGE_NO_ANSWER) : 0;
}

/* ---- goals */

static int goals(struct ask *q)
{
	Wellgate__V1__Reply *reply = q->reply;
	const int64_t now_ms = pipeline_now_ms(q->c->pipeline);
	size_t n = 0;
	const struct goal *goals = goal_book_goals(q->c->book, &n);

	reply->goals = arena_alloc(q->arena, (n + 1) * sizeof(void *));
	reply->results = arena_alloc(q->arena, (n + 1) * sizeof(void *));
	if (!reply->goals || !reply->results)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		Wellgate__V1__GoalResult *result = NULL;

		if (goals[i].hidden || !is_my_goal(q, &goals[i]))
			continue;
		if (goal_to_message(&goals[i], q->arena, &reply->goals[reply->n_goals]) < 0)
			return -ENOMEM;
		reply->n_goals++;
		if (goal_book_current(q->c->book, i, now_ms, q->arena, &result) == 0 && result)
			reply->results[reply->n_results++] = result;
	}
	return 0;
}

static int rest(struct ask *q)
{
	size_t n = 0;
	const struct goal *goals = goal_book_goals(q->c->book, &n);
	Wellgate__V1__GoalChange change = WELLGATE__V1__GOAL_CHANGE__INIT;
	const char *problem = NULL;
	int r = -ENOENT;

	for (size_t i = 0; i < n && q->m->goal_id && r == -ENOENT; i++) {
		if (goals[i].hidden || !is_my_goal(q, &goals[i]) ||
		    strcmp(goals[i].id, q->m->goal_id) != 0)
			continue;
		if (goal_to_message(&goals[i], q->arena, &change.goal) < 0)
			return -ENOMEM;
		change.has_kind = change.goal->has_paused = true;
		change.kind = WELLGATE__V1__GOAL_CHANGE__KIND__KIND_SET;
		change.goal->paused = q->m->rest;
		r = pipeline_change_goal(q->c->pipeline, &change, &problem);
	}
	if (r == -EPERM)
		return refuse(q, CODE_DATA, WORDS_PAGE_ASK_WORKER);
	if (r < 0)
		return problem ? say(q, CODE_DATA, problem)
			       : refuse(q, CODE_DATA, WORDS_PAGE_NO_ANSWER);
	return 0;
}

/* ---- held readings */

/* Those that may be theirs: the device points at them, and nobody decided otherwise. */
static int held(struct ask *q)
{
	const bool weight = shows_weight(q);
	struct store_row row = { 0 };
	int r;

	q->reply->readings = arena_alloc(q->arena, HELD_MOST * sizeof(void *));
	if (!q->reply->readings)
		return -ENOMEM;
	while ((r = store_next_held(q->c->store, row.sequence, &row)) > 0 &&
	       q->reply->n_readings < HELD_MOST) {
		const size_t used = q->arena->used;
		const Wellgate__V1__Reading *from = wellgate__v1__reading__unpack(
			arena_protobuf(q->arena), row.len, row.payload);
		Wellgate__V1__Reading *m;

		if (!from || !from->subject || !is_mine(q, from->subject) ||
		    !from->has_reading_id) {
			q->arena->used = used;
			continue;
		}
		m = shown(q, from, weight);
		if (!m)
			return -ENOMEM;
		m->has_reading_id = true;
		m->reading_id = from->reading_id;
		q->reply->readings[q->reply->n_readings++] = m;
	}
	return r < 0 ? refuse(q, CODE_IO, WORDS_PAGE_NO_ANSWER) : 0;
}

/* A command of the desk, as staff would give it. */
static int desk(struct ask *q, Wellgate__V1__DeskCommand *m)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;

	command.has_after = q->command->has_after;
	command.after = q->command->after;
	command.desk = m;
	return control_desk(q->c, &command, q->arena, q->reply);
}

static int said(struct ask *q)
{
	Wellgate__V1__DeskCommand__Press press = WELLGATE__V1__DESK_COMMAND__PRESS__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	bool theirs = false;
	int r = held(q);

	for (size_t i = 0; r == 0 && i < q->reply->n_readings; i++) {
		const ProtobufCBinaryData *id = &q->reply->readings[i]->reading_id;

		theirs = theirs ||
			 (q->m->has_reading && id->len == q->m->reading.len && id->len > 0 &&
			  memcmp(id->data, q->m->reading.data, id->len) == 0);
	}
	q->reply->n_readings = 0;
	if (r < 0 || q->reply->code != 0)
		return r;
	if (!theirs || !q->m->has_me)
		return refuse(q, CODE_USAGE, WORDS_DESK_NO_READING);
	press.has_reading = press.has_me = true;
	press.reading = q->m->reading;
	press.me = q->m->me;
	press.subject = (char *)(uintptr_t)q->session->subject;
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_PRESS;
	m.press = &press;
	return desk(q, &m);
}

static int all_held(struct ask *q)
{
	Wellgate__V1__DeskCommand__ListHeld list = WELLGATE__V1__DESK_COMMAND__LIST_HELD__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;

	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_HELD;
	m.held = &list;
	return desk(q, &m);
}

static int loans(struct ask *q)
{
	Wellgate__V1__DeskCommand__ListLoans list = WELLGATE__V1__DESK_COMMAND__LIST_LOANS__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;

	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_LIST;
	m.list = &list;
	return desk(q, &m);
}

/* ---- the door */

static int devices(struct ask *q)
{
	q->inner = "devices";
	return 0;
}

static int hub(struct ask *q)
{
	q->inner = "status";
	return 0;
}

static int doctor(struct ask *q)
{
	q->inner = "doctor";
	return 0;
}

static int leave(struct ask *q)
{
	struct session *s = find_session(q);

	if (s)
		sodium_memzero(s, sizeof(*s));
	return 0;
}

enum who {
	PERSON = 1,
	STAFF = 2
};

static const struct {
	const char *verb;
	unsigned int who;
	int (*answer)(struct ask *q);
} verbs[] = {
	{ "page-readings", PERSON, readings },
	{ "page-goals", PERSON, goals },
	{ "page-rest", PERSON, rest },
	{ "page-held", PERSON, held },
	{ "page-said", PERSON, said },
	{ "page-held", STAFF, all_held },
	{ "page-loans", STAFF, loans },
	{ "page-doctor", STAFF, doctor },
	{ "page-devices", PERSON | STAFF, devices },
	{ "page-hub", PERSON | STAFF, hub },
	{ "page-leave", PERSON | STAFF, leave },
};

static int answer(struct ask *q, int64_t now_us)
{
	const char *verb = q->command->verb ? q->command->verb : "";
	struct session *s;

	if (!q->m || q->command->addresses)
		return refuse(q, CODE_USAGE, WORDS_DESK_NOT_UNDERSTOOD);
	if (strcmp(verb, "page-enter") == 0)
		return enter(q, now_us);
	s = find_session(q);
	if (!s)
		return refuse(q, PAGE_CODE_SESSION, WORDS_PAGE_SESSION_OVER);
	s->seen_us = now_us;
	q->session = s;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if ((verbs[i].who & (s->staff ? STAFF : PERSON)) &&
		    strcmp(verbs[i].verb, verb) == 0)
			return verbs[i].answer(q);
	}
	return refuse(q, PAGE_CODE_SESSION, WORDS_DESK_NOT_UNDERSTOOD);
}

int control_page(const struct control *c, const Wellgate__V1__Command *command, struct arena *arena,
		 Wellgate__V1__Reply *reply, const char **ret_inner)
{
	struct ask q = {
		.c = c, .command = command, .m = command->page, .arena = arena, .reply = reply
	};
	const int64_t now_us = boottime_us();
	int r;

	end_all_over(c->page, now_us);
	r = answer(&q, now_us);
	if (r == 0 && q.session && page_reply(&q)) {
		reply->page->has_staff = true;
		reply->page->staff = q.session->staff;
	}
	*ret_inner = q.inner;
	return r;
}
