#include "gateway/cli/import_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/cli.h"

#define FLAGS_MAX 4

/* one message and all that it points to */
struct slot {
	Wellgate__V1__Measurement m;
	Wellgate__V1__Measurement__Part parts[MEASUREMENT_PARTS_MAX];
	Wellgate__V1__Measurement__Part *list[MEASUREMENT_PARTS_MAX];
	Wellgate__V1__Decimal values[MEASUREMENT_PARTS_MAX];
	Wellgate__V1__DeviceTime time;
	Wellgate__V1__Flag flags[FLAGS_MAX];
	char id[FITBIT_ID_MAX], context[FITBIT_CONTEXT_MAX];
};

struct import_batch {
	struct client *client;
	const char *zone, *subject;
	size_t n;
	struct slot slots[IMPORT_BATCH];
	Wellgate__V1__Measurement *list[IMPORT_BATCH];
};

struct import_batch *import_batch_new(struct client *c, const char *zone, const char *subject)
{
	struct import_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->client = c;
	b->zone = zone;
	b->subject = subject;
	return b;
}

void import_batch_free(struct import_batch *b)
{
	free(b);
}

static char *constant(const char *text)
{
	return (char *)(uintptr_t)text; /* protobuf-c has no const; packing only reads */
}

static void set_parts(struct slot *s, const struct measurement *from)
{
	for (size_t i = 0; i < from->n_parts; i++) {
		Wellgate__V1__Measurement__Part *part = &s->parts[i];

		wellgate__v1__measurement__part__init(part);
		wellgate__v1__decimal__init(&s->values[i]);
		s->values[i].has_mantissa = s->values[i].has_exponent = true;
		s->values[i].mantissa = from->parts[i].number.value.mantissa;
		s->values[i].exponent = from->parts[i].number.value.exponent;
		part->has_metric = part->has_unit = true;
		part->metric = (Wellgate__V1__Metric)from->parts[i].metric;
		part->unit = (uint32_t)from->parts[i].unit;
		part->value = &s->values[i];
		s->list[i] = part;
	}
	s->m.n_parts = from->n_parts;
	s->m.parts = s->list;
}

static void set_time(struct slot *s, const struct device_time *from)
{
	Wellgate__V1__DeviceTime *t = &s->time;

	wellgate__v1__device_time__init(t);
	t->has_kind = t->has_year = t->has_month = t->has_day = true;
	t->has_hour = t->has_minute = t->has_second = true;
	t->kind = from->kind == DEVICE_TIME_UTC ? WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC
						: WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	t->year = from->year;
	t->month = from->month;
	t->day = from->day;
	t->hour = from->hour;
	t->minute = from->minute;
	t->second = from->second;
	s->m.device_time = t;
}

static void set_flags(struct slot *s, uint64_t flags)
{
	for (unsigned int flag = 1; flag < FLAG_END && s->m.n_flags < FLAGS_MAX; flag++) {
		if (flags & FLAG_BIT(flag))
			s->flags[s->m.n_flags++] = (Wellgate__V1__Flag)flag;
	}
	s->m.flags = s->flags;
}

static void fill(struct slot *s, const struct fitbit_item *item)
{
	wellgate__v1__measurement__init(&s->m);
	s->m.has_metric = true;
	s->m.metric = (Wellgate__V1__Metric)item->m.metric;
	set_parts(s, &item->m);
	set_time(s, &item->m.time);
	set_flags(s, item->m.flags);
	s->m.has_duration_ms = item->m.has_duration;
	s->m.duration_ms = item->m.duration_ms;
	memcpy(s->id, item->id, sizeof(s->id));
	memcpy(s->context, item->context, sizeof(s->context));
	s->m.import_id = s->id;
	s->m.context = s->context;
}

int import_batch_add(struct import_batch *b, const struct fitbit_item *item,
		     struct import_batch_counts *counts)
{
	assert(b->n < IMPORT_BATCH);
	fill(&b->slots[b->n], item);
	b->list[b->n] = &b->slots[b->n].m;
	b->n++;
	return b->n == IMPORT_BATCH ? import_batch_send(b, counts) : 0;
}

static int ask(struct import_batch *b, struct import_batch_counts *counts)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__ImportBatch batch = WELLGATE__V1__IMPORT_BATCH__INIT;
	Wellgate__V1__Reply *reply = NULL;
	int code;

	command.verb = constant("import");
	command.import = &batch;
	batch.source = constant("fitbit_import");
	batch.time_zone = constant(b->zone);
	batch.subject = constant(b->subject);
	batch.n_measurements = b->n;
	batch.measurements = b->list;
	code = client_ask(b->client, &command, &reply);
	if (code != 0 || !reply)
		return code;
	if (reply->imported) {
		counts->added += reply->imported->added;
		counts->known += reply->imported->known;
		counts->refused += reply->imported->refused;
	} else {
		code = cli_fail(b->client->name, EXIT_UNAVAILABLE,
				"the gateway does not know imports; are both of one version?");
	}
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

int import_batch_send(struct import_batch *b, struct import_batch_counts *counts)
{
	const int code = b->client && b->n > 0 ? ask(b, counts) : 0;

	b->n = 0;
	return code;
}
