/*
 * What a team asks of a hub that it cannot go to: rows once more, and how the hub is. The answers
 * hold numbers, versions and ages: no value, name or address.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <MQTTAsync.h>
#include <protobuf-c/protobuf-c.h>
#include <sodium.h>
#include <sqlite3.h>

#include "gateway/control/control.h"
#include "gateway/control/remote.h"

#define COUNTER_NAME 32

static const Wellgate__V1__Receipt__Kind kinds[LANE_END] = {
	[LANE_READINGS] = WELLGATE__V1__RECEIPT__KIND__KIND_READINGS,
	[LANE_RESULTS] = WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS,
	[LANE_CORRECTIONS] = WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS,
};

/* ---- resend ---- */

struct resend {
	const struct control *c;
	struct arena *arena;
	enum lane lane;
	uint64_t first, last; /* of this piece */
	uint64_t highest;
	Wellgate__V1__Resent *ret;
};

static int add_gone(const struct resend *s, uint64_t first, uint64_t last)
{
	Wellgate__V1__Receipt__Range *range;

	if (first > last)
		return 0;
	s->ret->gone += (uint32_t)(last - first + 1);
	s->ret->more_gone = s->ret->n_gone_ranges == CONTROL_GONE_MAX;
	if (s->ret->more_gone)
		return 0;
	range = arena_alloc(s->arena, sizeof(*range));
	if (!range)
		return -ENOMEM;
	wellgate__v1__receipt__range__init(range);
	range->has_first = range->has_last = true;
	range->first = first;
	range->last = last;
	s->ret->gone_ranges[s->ret->n_gone_ranges++] = range;
	return 0;
}

/* Which numbers still have a row that can be sent. */
static int look(const struct resend *s)
{
	struct store_row row = { .sequence = s->first - 1 };
	uint64_t next = s->first;
	int r = 0;

	while (r == 0 && next <= s->last) {
		r = store_next(s->c->store, s->lane, row.sequence, &row);
		if (r <= 0 || row.sequence > s->last)
			break;
		r = add_gone(s, next, row.sequence - 1);
		next = row.sequence + 1;
		s->ret->rows++;
	}
	return r < 0 ? r : add_gone(s, next, s->last);
}

static int repeat(const struct resend *s)
{
	Wellgate__V1__Resent *ret = s->ret;
	int r;

	ret->gone_ranges = arena_alloc(s->arena, CONTROL_GONE_MAX * sizeof(void *));
	if (!ret->gone_ranges)
		return -ENOMEM;
	ret->has_looked_upto = ret->has_rows = ret->has_gone = ret->has_more_gone = true;
	ret->looked_upto = s->last;
	ret->has_highest = true;
	ret->highest = s->highest;
	r = look(s);
	if (r < 0 || ret->rows == 0)
		return r;
	return publish_repeat(s->c->publish, s->lane, s->first, s->last);
}

static bool lane_of(const Wellgate__V1__SequenceRange *range, enum lane *ret)
{
	for (int lane = 0; lane < LANE_END; lane++) {
		if (range->has_kind && kinds[lane] == range->kind) {
			*ret = (enum lane)lane;
			return true;
		}
	}
	return false;
}

static int refuse(int code, const char *why, int *ret_code, char ret_why[CONTROL_WHY])
{
	*ret_code = code;
	(void)snprintf(ret_why, CONTROL_WHY, "%s", why);
	return 0;
}

/* Why these numbers cannot go, or 0 and *ret_code 0. */
static int judge(struct resend *s, int *ret_code, char ret_why[CONTROL_WHY])
{
	struct store_counts counts;
	uint64_t begin = 1;
	int r = store_epoch_begin(s->c->store, s->lane, &begin);

	if (r < 0)
		return r;
	store_counts(s->c->store, &counts);
	if (s->first < begin) {
		*ret_code = CODE_USAGE;
		(void)snprintf(ret_why, CONTROL_WHY,
			       "numbers below %" PRIu64 " belong to an earlier epoch of this hub "
			       "and cannot be sent under this one",
			       begin);
	} else if (s->first > counts.last[s->lane]) {
		*ret_code = CODE_USAGE;
		(void)snprintf(ret_why, CONTROL_WHY,
			       "there are no such numbers yet: the highest is %" PRIu64,
			       counts.last[s->lane]);
	}
	s->highest = counts.last[s->lane];
	if (s->last > s->highest)
		s->last = s->highest;
	if (s->last - s->first >= CONTROL_RESEND_MAX)
		s->last = s->first + CONTROL_RESEND_MAX - 1;
	return 0;
}

int control_resend(const struct control *c, const Wellgate__V1__Command *command,
		   struct arena *arena, Wellgate__V1__Reply *reply, int *ret_code,
		   char ret_why[CONTROL_WHY])
{
	const Wellgate__V1__SequenceRange *range = command->range;
	struct resend s = { .c = c, .arena = arena };
	int r;

	*ret_code = 0;
	if (!range || !lane_of(range, &s.lane) || !range->has_first || !range->has_last ||
	    range->first == 0 || range->first > range->last || range->last > INT64_MAX)
		return refuse(CODE_USAGE,
			      "resend wants a kind, and a first and a last number from 1 up",
			      ret_code, ret_why);
	if (!c->config->broker)
		return refuse(CODE_UNAVAILABLE, "no broker is configured", ret_code, ret_why);
	s.first = range->first;
	s.last = range->last;
	r = judge(&s, ret_code, ret_why);
	if (r < 0)
		return refuse(CODE_IO, "the database cannot be read; try `wellgate doctor`",
			      ret_code, ret_why);
	if (*ret_code != 0)
		return 0;
	s.ret = arena_alloc(arena, sizeof(*s.ret));
	if (!s.ret)
		return -ENOMEM;
	wellgate__v1__resent__init(s.ret);
	r = repeat(&s);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return refuse(CODE_IO, "the database cannot be read; try `wellgate doctor`",
			      ret_code, ret_why);
	reply->resent = s.ret;
	return 0;
}

/* ---- diagnostics ---- */

struct diagnosis {
	struct arena *arena;
	Wellgate__V1__Diagnostics *ret;
	int result;
};

static void *new_item(struct diagnosis *d, size_t size)
{
	void *item = arena_alloc(d->arena, size);

	if (!item)
		d->result = -ENOMEM;
	return item;
}

static void add_version(struct diagnosis *d, const char *name, const char *version)
{
	Wellgate__V1__Diagnostics__Version *v = new_item(d, sizeof(*v));

	if (!v)
		return;
	wellgate__v1__diagnostics__version__init(v);
	v->name = arena_strdup(d->arena, name);
	v->version = arena_strdup(d->arena, version);
	if (!v->name || !v->version)
		d->result = -ENOMEM;
	d->ret->versions[d->ret->n_versions++] = v;
}

static const char *paho_version(void)
{
	const MQTTAsync_nameValue *info = MQTTAsync_getVersionInfo();

	for (; info && info->name; info++) {
		if (strcmp(info->name, "Version") == 0)
			return info->value;
	}
	return "?";
}

static void add_versions(struct diagnosis *d)
{
	d->ret->versions = new_item(d, CONTROL_VERSIONS * sizeof(void *));
	if (!d->ret->versions)
		return;
	add_version(d, "wellgated", WELLGATE_VERSION);
	add_version(d, "sqlite", sqlite3_libversion());
	add_version(d, "libsodium", sodium_version_string());
	add_version(d, "paho", paho_version());
	add_version(d, "protobuf-c", protobuf_c_version());
}

static void add_counter(struct diagnosis *d, const char *name, uint64_t value)
{
	Wellgate__V1__HubStatus__Counter *c;

	if (d->ret->n_counters == CONTROL_COUNTERS_MAX)
		return;
	c = new_item(d, sizeof(*c));
	if (!c)
		return;
	wellgate__v1__hub_status__counter__init(c);
	c->name = arena_strdup(d->arena, name);
	c->has_value = true;
	c->value = value;
	if (!c->name)
		d->result = -ENOMEM;
	d->ret->counters[d->ret->n_counters++] = c;
}

static void add_publish(struct diagnosis *d, const struct publish_state *s)
{
	add_counter(d, "publish_connects", s->connects);
	add_counter(d, "publish_batches", s->batches);
	add_counter(d, "publish_acked", s->acked);
	add_counter(d, "publish_refused", s->refused);
	add_counter(d, "publish_heard", s->heard);
	add_counter(d, "publish_no_subscriber", s->no_subscriber);
	add_counter(d, "publish_errors", s->errors);
	add_counter(d, "publish_sent_again", s->sent_again);
	add_counter(d, "publish_in_flight", s->in_flight);
	add_counter(d, "receipts", s->receipts);
	add_counter(d, "receipts_foreign", s->receipts_foreign);
	add_counter(d, "receipts_malformed", s->receipts_malformed);
}

/* What the broker said, how often: "puback_0x87". */
static void add_reasons(struct diagnosis *d, const struct publish *p)
{
	static const char *const packets[REASON_PACKETS] = { [REASON_CONNACK] = "connack",
							     [REASON_PUBACK] = "puback",
							     [REASON_SUBACK] = "suback",
							     [REASON_DISCONNECT] = "disconnect" };
	char name[COUNTER_NAME];

	for (int packet = 0; packet < REASON_PACKETS; packet++) {
		for (unsigned int code = 0; code < 256; code++) {
			const uint64_t n =
				publish_reasons(p, (enum reason_packet)packet, (uint8_t)code);

			if (n == 0)
				continue;
			(void)snprintf(name, sizeof(name), "%s_0x%02x", packets[packet], code);
			add_counter(d, name, n);
		}
	}
}

static int add_counters(struct diagnosis *d, const struct control *c,
			const struct publish_state *state)
{
	struct pipeline_status *status = new_item(d, sizeof(*status));

	d->ret->counters = new_item(d, CONTROL_COUNTERS_MAX * sizeof(void *));
	if (!status || !d->ret->counters)
		return -ENOMEM;
	pipeline_status(c->pipeline, status);
	for (size_t i = 0; i < status->message.n_counters; i++)
		add_counter(d, status->counters[i].name, status->counters[i].value);
	add_publish(d, state);
	add_reasons(d, c->publish);
	d->ret->has_clock_synced = d->ret->has_store_full = true;
	d->ret->clock_synced = status->message.clock_synced;
	d->ret->store_full = status->message.store_full;
	return d->result;
}

/* When a row came; false: it does not say. */
static bool came_at(struct arena *arena, enum lane lane, const struct store_row *row,
		    int64_t *ret_ms)
{
	ProtobufCAllocator *allocator = arena_protobuf(arena);
	const Wellgate__V1__GoalResult *result;
	const Wellgate__V1__Correction *correction;
	const Wellgate__V1__Reading *reading;

	switch (lane) {
	case LANE_READINGS:
		reading = wellgate__v1__reading__unpack(allocator, row->len, row->payload);
		*ret_ms = reading ? reading->received_at_ms : 0;
		return reading && reading->has_received_at_ms;
	case LANE_RESULTS:
		result = wellgate__v1__goal_result__unpack(allocator, row->len, row->payload);
		*ret_ms = result ? result->evaluated_at_ms : 0;
		return result && result->has_evaluated_at_ms;
	case LANE_CORRECTIONS:
		correction = wellgate__v1__correction__unpack(allocator, row->len, row->payload);
		*ret_ms = correction ? correction->at_ms : 0;
		return correction && correction->has_at_ms;
	case LANE_END:
	default:
		return false;
	}
}

/* An age by a clock that is not set, or was set since, is none. */
static int add_age(struct diagnosis *d, const struct control *c, enum lane lane,
		   const struct receipt *now, Wellgate__V1__Diagnostics__Queue *q)
{
	struct store_row row;
	int64_t at_ms = 0;
	int r;

	if (q->waiting == 0 || !now->synced)
		return 0;
	r = store_next(c->store, lane, q->acknowledged, &row);
	if (r <= 0)
		return r;
	q->has_oldest_ms = came_at(d->arena, lane, &row, &at_ms) && at_ms <= now->utc_ms;
	q->oldest_ms = q->has_oldest_ms ? now->utc_ms - at_ms : 0;
	return 0;
}

static int add_queues(struct diagnosis *d, const struct control *c,
		      const struct store_counts *counts)
{
	struct receipt now;

	pipeline_now(c->pipeline, &now);
	d->ret->queues = new_item(d, LANE_END * sizeof(void *));
	if (!d->ret->queues)
		return -ENOMEM;
	for (int lane = 0; lane < LANE_END; lane++) {
		Wellgate__V1__Diagnostics__Queue *q = new_item(d, sizeof(*q));
		int r;

		if (!q)
			return -ENOMEM;
		wellgate__v1__diagnostics__queue__init(q);
		q->has_kind = q->has_last = q->has_acknowledged = q->has_waiting = true;
		q->kind = kinds[lane];
		q->last = counts->last[lane];
		q->acknowledged = counts->acknowledged[lane];
		q->waiting = q->last - q->acknowledged;
		r = add_age(d, c, (enum lane)lane, &now, q);
		if (r < 0)
			return r;
		d->ret->queues[d->ret->n_queues++] = q;
	}
	return 0;
}

int control_diagnostics(const struct control *c, struct arena *arena, Wellgate__V1__Reply *reply)
{
	Wellgate__V1__Diagnostics *m = arena_alloc(arena, sizeof(*m));
	struct diagnosis d = { .arena = arena, .ret = m };
	struct publish_state state;
	struct store_counts counts;
	int r;

	if (!m)
		return -ENOMEM;
	wellgate__v1__diagnostics__init(m);
	publish_state(c->publish, &state);
	store_counts(c->store, &counts);
	add_versions(&d);
	r = d.result;
	if (r == 0)
		r = add_counters(&d, c, &state);
	if (r == 0)
		r = add_queues(&d, c, &counts);
	if (r < 0)
		return r;
	m->has_running_ms = m->has_broker_connected = m->has_held = m->has_parked = true;
	m->running_ms = state.running_us / 1000;
	m->broker_connected = state.connected;
	m->has_receipt_age_ms = state.receipt_age_us >= 0;
	m->receipt_age_ms = m->has_receipt_age_ms ? state.receipt_age_us / 1000 : 0;
	m->held = counts.held;
	m->parked = counts.parked;
	m->has_store_bytes = true;
	m->store_bytes = counts.bytes > 0 ? (uint64_t)counts.bytes : 0;
	m->has_store_bytes_max = c->config->max_bytes > 0;
	m->store_bytes_max = m->has_store_bytes_max ? (uint64_t)c->config->max_bytes : 0;
	reply->diagnostics = m;
	return 0;
}
