#include "gateway/cli/tail_print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/cli/format.h"
#include "gateway/cli/print.h"
#include "gateway/cli/tail_unknown.h"
#include "protocols/bytes/decimal.h"
#include "protocols/messages/codes.h"

#define PAYLOAD_MAX ((size_t)1024 * 1024)
#define ARENA_SIZE \
	((size_t)16 * 1024 * 1024) /* a batch of 1 MiB, with many small messages, unpacked */
#define LEVEL_MAX   64
#define TIME_MAX_MS INT64_C(253402300799999) /* the end of the year 9999 */
#define OFFSET_MAX  (24 * 60)

#define DIM    "\033[2m"
#define BOLD   "\033[1m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

enum kind {
	KIND_READING,
	KIND_GOAL,
	KIND_CORRECTION,
	KIND_STATUS,
};

struct where {
	char site[LEVEL_MAX + 1], hub[LEVEL_MAX + 1];
	bool test;
	enum kind kind;
};

int tail_printer_init(struct tail_printer *p, FILE *out, enum tail_format format, uint64_t count)
{
	*p = (struct tail_printer){ .out = out, .format = format, .left = count };
	p->colour = format == TAIL_TEXT && isatty(fileno(out)) && !getenv("NO_COLOR");
	if (format == TAIL_CSV)
		(void)fputs("measured_at,received_at,site,hub,sequence,metric,component,value,unit,"
			    "absent,clock,subject,flags,goals,test\n",
			    out);
	return arena_init(&p->arena, ARENA_SIZE);
}

void tail_printer_finish(struct tail_printer *p)
{
	arena_finish(&p->arena);
}

/* ---- topic ---- */

static bool take_level(const char **topic, char *ret)
{
	size_t len = strcspn(*topic, "/");

	if (len == 0 || len > LEVEL_MAX || (*topic)[len] != '/')
		return false;
	(void)memcpy(ret, *topic, len);
	ret[len] = '\0';
	*topic += len + 1;
	return true;
}

static bool take_prefix(const char **topic, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*topic, prefix, len) != 0)
		return false;
	*topic += len;
	return true;
}

static int parse_topic(const char *topic, struct where *ret)
{
	static const char *const ends[] = {
		[KIND_GOAL] = "goal", [KIND_CORRECTION] = "correction", [KIND_STATUS] = "status"
	};

	if (!take_prefix(&topic, "wellgate/v1/") || !take_level(&topic, ret->site) ||
	    !take_level(&topic, ret->hub))
		return -EBADMSG;
	ret->test = take_prefix(&topic, "test/");
	if (take_prefix(&topic, "reading/")) {
		ret->kind = KIND_READING;
		return 0;
	}
	for (int kind = KIND_GOAL; kind <= KIND_STATUS; kind++) {
		if (strcmp(topic, ends[kind]) == 0) {
			ret->kind = (enum kind)kind;
			return 0;
		}
	}
	return -EBADMSG;
}

/* ---- text ---- */

/* C0, DEL and, in UTF-8, C1 (c2 80 to c2 9f) are orders to a terminal, not text. */
static void put_text(const struct tail_printer *p, const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : "");

	for (; *s; s++) {
		bool c1 = *s == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;

		(void)fputc(*s < 0x20 || *s == 0x7f || c1 ? '?' : *s, p->out);
		if (c1)
			s++;
	}
}

static void put_colour(const struct tail_printer *p, const char *colour)
{
	if (p->colour)
		(void)fputs(colour, p->out);
}

static bool good_time(bool has, int64_t ms)
{
	return has && ms >= 0 && ms <= TIME_MAX_MS;
}

/* whose lines follow: said once, and again when it changes */
static void put_heading(struct tail_printer *p, const struct where *w)
{
	char heading[sizeof(p->heading)];

	(void)snprintf(heading, sizeof(heading), "%s / %s%s", w->site, w->hub,
		       w->test ? ", TEST DATA" : "");
	if (strcmp(heading, p->heading) == 0)
		return;
	(void)memcpy(p->heading, heading, sizeof(heading));
	put_colour(p, BOLD);
	(void)fputs("--- ", p->out);
	put_text(p, heading);
	(void)fputs(" ---\n", p->out);
	put_colour(p, PLAIN);
}

static void put_line_start(struct tail_printer *p, const struct where *w, const char *when)
{
	put_heading(p, w);
	put_colour(p, DIM);
	(void)fprintf(p->out, "%s  ", when);
	put_colour(p, PLAIN);
}

static void put_enum(const struct tail_printer *p, const ProtobufCEnumDescriptor *descriptor,
		     int value, const char *prefix)
{
	char name[FORMAT_ENUM_MAX];

	format_enum(name, descriptor, value, prefix);
	for (char *s = name; *s; s++)
		(void)fputc(*s == '_' ? ' ' : *s, p->out);
}

static void put_amount(const struct tail_printer *p, const Wellgate__V1__Decimal *d,
		       const char *ucum)
{
	char value[DECIMAL_TEXT_MAX], unit[FORMAT_UNIT_MAX];

	format_decimal(value, sizeof(value), d);
	format_unit(unit, ucum ? ucum : "");
	put_colour(p, BOLD);
	(void)fputs(value, p->out);
	put_colour(p, PLAIN);
	if (unit[0])
		(void)fputc(' ', p->out);
	put_text(p, unit);
}

static void put_component(const struct tail_printer *p, const Wellgate__V1__Component *part)
{
	const struct metric_info *info = metric_info((unsigned int)part->metric);

	(void)fprintf(p->out, "%s ", info ? info->label : "unknown metric");
	if (part->value) {
		put_amount(p, part->value, part->unit);
		return;
	}
	(void)fputs("no value", p->out);
	if (part->has_absent && (int)part->absent > ABSENT_NO &&
	    (int)part->absent <= ABSENT_UNKNOWN)
		(void)fprintf(p->out, " (%s)", absent_name((enum absent)part->absent));
}

static const Wellgate__V1__Component *valued_part(const Wellgate__V1__Reading *r,
						  enum metric metric)
{
	for (size_t i = 0; i < r->n_components; i++) {
		if ((int)r->components[i]->metric == (int)metric && r->components[i]->value)
			return r->components[i];
	}
	return NULL;
}

/* "blood pressure 129 over 79 mmHg", as people say it; returns how many components that took */
static size_t put_pressure(const struct tail_printer *p, const Wellgate__V1__Reading *r)
{
	const Wellgate__V1__Component *systolic = valued_part(r, METRIC_SYSTOLIC);
	const Wellgate__V1__Component *diastolic = valued_part(r, METRIC_DIASTOLIC);

	if (!systolic || !diastolic || r->components[0] != systolic ||
	    r->components[1] != diastolic)
		return 0;
	put_amount(p, systolic->value, NULL);
	(void)fputs(" over ", p->out);
	put_amount(p, diastolic->value, diastolic->unit);
	return 2;
}

/* the topic says test already */
static void put_flags(const struct tail_printer *p, const struct where *w,
		      const Wellgate__V1__Reading *r)
{
	bool any = false;

	put_colour(p, YELLOW);
	for (size_t i = 0; i < r->n_flags; i++) {
		if (w->test && r->flags[i] == WELLGATE__V1__FLAG__FLAG_TEST)
			continue;
		(void)fputs(any ? ", " : "  [", p->out);
		put_enum(p, &wellgate__v1__flag__descriptor, (int)r->flags[i], "FLAG_");
		any = true;
	}
	(void)fputs(any ? "]" : "", p->out);
	put_colour(p, PLAIN);
}

static void text_reading(struct tail_printer *p, const struct where *w,
			 const Wellgate__V1__Reading *r)
{
	const struct metric_info *info = metric_info((unsigned int)r->metric);
	size_t said = 0;
	char when[FORMAT_TIME_MAX] = "time unknown    ";
	int offset = r->has_utc_offset_min && abs(r->utc_offset_min) <= OFFSET_MAX
			     ? r->utc_offset_min
			     : 0;

	if (good_time(r->has_measured_at_ms, r->measured_at_ms))
		format_local(when, r->measured_at_ms, offset);
	put_line_start(p, w, when);
	if (r->n_components == 0 || r->components[0]->metric != r->metric)
		(void)fprintf(p->out, "%s ", info ? info->label : "unknown metric");
	if (r->n_components > 1 && (int)r->metric == METRIC_BLOOD_PRESSURE)
		said = put_pressure(p, r);
	for (size_t i = said; i < r->n_components; i++) {
		(void)fputs(i > 0 ? ", " : "", p->out);
		put_component(p, r->components[i]);
	}
	put_flags(p, w, r);
	(void)fputc('\n', p->out);
}

static void text_goal(struct tail_printer *p, const struct where *w,
		      const Wellgate__V1__GoalResult *r)
{
	put_line_start(p, w, "goal            ");
	put_text(p, r->goal_id);
	(void)fputs(": ", p->out);
	if (r->progress && r->target) {
		put_amount(p, r->progress, NULL);
		(void)fputs(" of ", p->out);
		put_amount(p, r->target, r->unit);
		(void)fputs(", ", p->out);
	}
	put_enum(p, &wellgate__v1__goal_result__outcome__descriptor, (int)r->outcome, "OUTCOME_");
	if (r->words && r->words[0]) {
		(void)fputs(". ", p->out);
		put_text(p, r->words);
	}
	(void)fputc('\n', p->out);
}

static void text_correction(struct tail_printer *p, const struct where *w,
			    const Wellgate__V1__Correction *c)
{
	put_line_start(p, w, "correction      ");
	put_enum(p, &wellgate__v1__correction__kind__descriptor, (int)c->kind, "KIND_");
	if (c->has_first_sequence && c->has_last_sequence)
		(void)fprintf(p->out, " of readings %" PRIu64 " to %" PRIu64, c->first_sequence,
			      c->last_sequence);
	if (c->reason) {
		(void)fputs(": ", p->out);
		put_text(p, c->reason);
	}
	(void)fputc('\n', p->out);
}

static void text_status(struct tail_printer *p, const struct where *w,
			const Wellgate__V1__HubStatus *s)
{
	struct where here = *w;
	char row[FORMAT_FLEET_MAX];

	here.test = w->test || s->test;
	put_line_start(p, &here, "status          ");
	put_enum(p, &wellgate__v1__hub_status__state__descriptor, (int)s->state, "STATE_");
	if (s->has_readings)
		(void)fprintf(p->out, ", %" PRIu64 " readings, %" PRIu64 " waiting", s->readings,
			      s->waiting);
	if (s->store_full)
		(void)fputs(", its store is full", p->out);
	(void)fputc('\n', p->out);
	for (size_t i = 0; i < s->n_fleet; i++) {
		format_fleet(row, s->fleet[i]);
		put_line_start(p, &here, "  devices       ");
		put_text(p, row);
		(void)fputc('\n', p->out);
	}
}

/* What a newer sender says beyond what is known here. */
static void text_unknown(struct tail_printer *p, const struct where *w, const ProtobufCMessage *m,
			 enum tail_unknown_reach reach)
{
	if (!tail_unknown_any(m, reach))
		return;
	put_line_start(p, w, "  newer fields  ");
	tail_unknown_text(p->out, m, reach);
	(void)fputc('\n', p->out);
}

/* ---- CSV: one row per component ---- */

static void csv_text(const struct tail_printer *p, const char *text)
{
	(void)fputs(",\"", p->out);
	/* what a spreadsheet would run as a formula gets an apostrophe in front */
	if (text && *text && strchr("=+-@", *text))
		(void)fputc('\'', p->out);
	for (const char *s = text ? text : ""; *s; s++) {
		if (*s == '"')
			(void)fputc('"', p->out);
		(void)fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, p->out);
	}
	(void)fputc('"', p->out);
}

/* Goal ids are [a-z0-9-]; what anybody else may send is no control, no quote and no formula. */
static void csv_name(const struct tail_printer *p, const char *name)
{
	for (const char *s = name; *s; s++) {
		const bool good = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') ||
				  (*s == '-' && s != name);

		(void)fputc(good ? *s : '?', p->out);
	}
}

static void csv_time(const struct tail_printer *p, bool has, int64_t ms)
{
	char text[FORMAT_TIME_MAX] = "";

	if (good_time(has, ms))
		format_utc(text, ms);
	(void)fputs(text, p->out);
}

static void csv_component(const struct tail_printer *p, const struct where *w,
			  const Wellgate__V1__Reading *r, const Wellgate__V1__Component *part)
{
	const struct metric_info *whole = metric_info((unsigned int)r->metric);
	const struct metric_info *info = metric_info((unsigned int)part->metric);
	char value[DECIMAL_TEXT_MAX], name[FORMAT_ENUM_MAX] = "";

	csv_time(p, r->has_measured_at_ms, r->measured_at_ms);
	(void)fputc(',', p->out);
	csv_time(p, r->has_received_at_ms, r->received_at_ms);
	csv_text(p, w->site);
	csv_text(p, w->hub);
	format_decimal(value, sizeof(value), part->value);
	(void)fprintf(p->out, ",%" PRIu64 ",%s,%s,%s", r->sequence, whole ? whole->name : "",
		      info ? info->name : "", value);
	csv_text(p, part->unit);
	if (part->has_absent)
		format_enum(name, &wellgate__v1__absent__descriptor, (int)part->absent, "ABSENT_");
	(void)fprintf(p->out, ",%s", name);
	format_enum(name, &wellgate__v1__clock_quality__descriptor, (int)r->clock, "CLOCK_");
	(void)fprintf(p->out, ",%s", r->has_clock ? name : "");
	csv_text(p, r->subject);
	for (size_t i = 0; i < r->n_flags; i++) {
		format_enum(name, &wellgate__v1__flag__descriptor, (int)r->flags[i], "FLAG_");
		(void)fprintf(p->out, "%c%s", i == 0 ? ',' : ' ', name);
	}
	(void)fputs(r->n_flags == 0 ? ",,\"" : ",\"", p->out);
	for (size_t i = 0; i < r->n_goals; i++) {
		(void)fputs(i > 0 ? " " : "", p->out);
		csv_name(p, r->goals[i]);
	}
	(void)fprintf(p->out, "\",%s\n", w->test ? "true" : "false");
}

static void csv_reading(const struct tail_printer *p, const struct where *w,
			const Wellgate__V1__Reading *r)
{
	for (size_t i = 0; i < r->n_components; i++)
		csv_component(p, w, r, r->components[i]);
}

/* ---- JSON ---- */

/* The line of m, an object that is not empty; what is not known of m goes in at its end. */
static int put_json(const struct tail_printer *p, char *line, const ProtobufCMessage *m)
{
	if (!line)
		return -ENOMEM;
	if (tail_unknown_any(m, TAIL_UNKNOWN_WITHIN)) {
		line[strlen(line) - 1] = '\0';
		(void)fprintf(p->out, "%s,", line);
		tail_unknown_json(p->out, m, TAIL_UNKNOWN_WITHIN);
		(void)fputs("}\n", p->out);
	} else {
		(void)fprintf(p->out, "%s\n", line);
	}
	free(line);
	return 0;
}

static json_t *json_enum(const ProtobufCEnumDescriptor *descriptor, int value, const char *prefix)
{
	char name[FORMAT_ENUM_MAX];

	format_enum(name, descriptor, value, prefix);
	return json_string(name);
}

static int put_object(const struct tail_printer *p, json_t *object, const ProtobufCMessage *m)
{
	char *line = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return put_json(p, line, m);
}

/* A batch that says more than its readings, in a line of its own. */
static int json_batch(const struct tail_printer *p, const struct where *w,
		      const ProtobufCMessage *m)
{
	_cleanup_free_ char *hub = NULL;
	json_t *name;

	if (!tail_unknown_any(m, TAIL_UNKNOWN_OWN))
		return 0;
	name = json_string(w->hub);
	hub = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
	json_decref(name);
	if (!hub)
		return -ENOMEM;
	(void)fprintf(p->out, "{\"reading_batch\":%s,\"test\":%s,", hub,
		      w->test ? "true" : "false");
	tail_unknown_json(p->out, m, TAIL_UNKNOWN_OWN);
	(void)fputs("}\n", p->out);
	return 0;
}

static int json_correction(const struct tail_printer *p, const struct where *w,
			   const Wellgate__V1__Correction *c)
{
	json_t *o = json_object();

	(void)json_object_set_new(
		o, "correction",
		json_enum(&wellgate__v1__correction__kind__descriptor, (int)c->kind, "KIND_"));
	(void)json_object_set_new(o, "hub", json_string(w->hub));
	if (c->has_first_sequence)
		(void)json_object_set_new(o, "first_sequence",
					  json_integer((json_int_t)c->first_sequence));
	if (c->has_last_sequence)
		(void)json_object_set_new(o, "last_sequence",
					  json_integer((json_int_t)c->last_sequence));
	if (c->reason)
		(void)json_object_set_new(o, "reason", json_string(c->reason));
	return put_object(p, o, &c->base);
}

static int json_status(const struct tail_printer *p, const struct where *w,
		       const Wellgate__V1__HubStatus *s)
{
	json_t *o = json_object();

	(void)json_object_set_new(
		o, "status",
		json_enum(&wellgate__v1__hub_status__state__descriptor, (int)s->state, "STATE_"));
	(void)json_object_set_new(o, "site", json_string(w->site));
	(void)json_object_set_new(o, "hub", json_string(w->hub));
	(void)json_object_set_new(o, "test", json_boolean(w->test || s->test));
	if (s->has_readings)
		(void)json_object_set_new(o, "readings", json_integer((json_int_t)s->readings));
	if (s->has_waiting)
		(void)json_object_set_new(o, "waiting", json_integer((json_int_t)s->waiting));
	if (s->n_fleet > 0)
		print_fleet(o, s);
	return put_object(p, o, &s->base);
}

/* ---- messages ---- */

/* What came under test/ says so itself, whatever its sender left out: a line of JSON travels
 * without its topic. */
static int mark_test(struct tail_printer *p, Wellgate__V1__Reading *r)
{
	Wellgate__V1__Flag *flags;

	for (size_t i = 0; i < r->n_flags; i++) {
		if (r->flags[i] == WELLGATE__V1__FLAG__FLAG_TEST)
			return 0;
	}
	flags = arena_alloc(&p->arena, (r->n_flags + 1) * sizeof(flags[0]));
	if (!flags)
		return -ENOMEM;
	if (r->n_flags > 0)
		(void)memcpy(flags, r->flags, r->n_flags * sizeof(flags[0]));
	flags[r->n_flags++] = WELLGATE__V1__FLAG__FLAG_TEST;
	r->flags = flags;
	return 0;
}

static int json_reading(struct tail_printer *p, const struct where *w, Wellgate__V1__Reading *r)
{
	int error = w->test ? mark_test(p, r) : 0;

	return error < 0 ? error : put_json(p, print_reading(r, w->hub), &r->base);
}

static int other_reading(struct tail_printer *p, const struct where *w, Wellgate__V1__Reading *r)
{
	const int error = w->test ? mark_test(p, r) : 0;

	if (error < 0)
		return error;
	return render_reading(p->out, p->format == TAIL_OMH ? RENDER_OMH : RENDER_FHIR, r, w->hub,
			      &p->left_out);
}

static int one_reading(struct tail_printer *p, const struct where *w, Wellgate__V1__Reading *r)
{
	switch (p->format) {
	case TAIL_JSON:
		return json_reading(p, w, r);
	case TAIL_CSV:
		csv_reading(p, w, r);
		return 0;
	case TAIL_FHIR:
	case TAIL_OMH:
		return other_reading(p, w, r);
	case TAIL_TEXT:
	default:
		text_reading(p, w, r);
		text_unknown(p, w, &r->base, TAIL_UNKNOWN_WITHIN);
		return 0;
	}
}

static int print_batch(struct tail_printer *p, const struct where *w, const uint8_t *data,
		       size_t len)
{
	Wellgate__V1__ReadingBatch *b =
		wellgate__v1__reading_batch__unpack(arena_protobuf(&p->arena), len, data);
	int r = 0;

	if (!b)
		return -EBADMSG;
	for (size_t i = 0; i < b->n_readings && r == 0 && p->left > 0; i++) {
		r = one_reading(p, w, b->readings[i]);
		p->left -= p->left != UINT64_MAX;
	}
	if (r == 0 && p->format == TAIL_TEXT)
		text_unknown(p, w, &b->base, TAIL_UNKNOWN_OWN);
	if (r == 0 && p->format == TAIL_JSON)
		r = json_batch(p, w, &b->base);
	return r;
}

static int print_goal(struct tail_printer *p, const struct where *w, const uint8_t *data,
		      size_t len)
{
	Wellgate__V1__GoalResult *result =
		wellgate__v1__goal_result__unpack(arena_protobuf(&p->arena), len, data);

	if (!result)
		return -EBADMSG;
	if (p->format == TAIL_CSV || p->format == TAIL_OMH)
		return 0;
	/* a result does not say that it is test data, so it would pass for a real one */
	if (p->format == TAIL_FHIR && w->test) {
		p->left_out.refused[FHIR_TEST_DATA]++;
		return 0;
	}
	p->left -= p->left != UINT64_MAX;
	if (p->format == TAIL_JSON)
		return put_json(p, print_goal_result(result), &result->base);
	if (p->format == TAIL_FHIR)
		return render_goal(p->out, result, w->hub, &p->left_out);
	text_goal(p, w, result);
	text_unknown(p, w, &result->base, TAIL_UNKNOWN_WITHIN);
	return 0;
}

static int print_correction(struct tail_printer *p, const struct where *w, const uint8_t *data,
			    size_t len)
{
	Wellgate__V1__Correction *c =
		wellgate__v1__correction__unpack(arena_protobuf(&p->arena), len, data);

	if (!c)
		return -EBADMSG;
	if (p->format == TAIL_JSON)
		return json_correction(p, w, c);
	if (p->format == TAIL_TEXT) {
		text_correction(p, w, c);
		text_unknown(p, w, &c->base, TAIL_UNKNOWN_WITHIN);
	}
	return 0;
}

static int print_status(struct tail_printer *p, const struct where *w, const uint8_t *data,
			size_t len)
{
	Wellgate__V1__HubStatus *s =
		wellgate__v1__hub_status__unpack(arena_protobuf(&p->arena), len, data);

	if (!s)
		return -EBADMSG;
	if (p->format == TAIL_JSON)
		return json_status(p, w, s);
	if (p->format == TAIL_TEXT) {
		text_status(p, w, s);
		text_unknown(p, w, &s->base, TAIL_UNKNOWN_WITHIN);
	}
	return 0;
}

int tail_print(struct tail_printer *p, const char *topic, const uint8_t *payload, size_t len)
{
	struct where w;
	int r = parse_topic(topic, &w);

	if (r < 0)
		return r;
	if (len > PAYLOAD_MAX)
		return -EBADMSG;
	arena_reset(&p->arena);
	switch (w.kind) {
	case KIND_READING:
		return print_batch(p, &w, payload, len);
	case KIND_GOAL:
		return print_goal(p, &w, payload, len);
	case KIND_CORRECTION:
		return print_correction(p, &w, payload, len);
	case KIND_STATUS:
	default:
		return len == 0 ? 0 : print_status(p, &w, payload, len); /* empty: taken back */
	}
}
