#include "gateway/control/control.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/control/page.h"
#include "gateway/control/remote.h"
#include "gateway/goals/message.h"
#include "gateway/listener.h"
#include "gateway/registry/registry.h"

#define ROWS_DEFAULT 100
#define ROWS_MAX     500
/* of packed rows: the rest of the packet is for everything else */
#define PAGE_BYTES (LISTENER_PACKET_MAX - 4096)
/* a row of n bytes unpacks to about four times as much; never start one that may not fit */
#define ARENA_SPARE ((size_t)128 * 1024)

struct request {
	const struct control *c;
	const Wellgate__V1__Command *command;
	struct arena *arena;
	Wellgate__V1__Reply *reply;
};

static int say_error(const struct request *q, int code, const char *text)
{
	q->reply->has_code = true;
	q->reply->code = code;
	q->reply->error = arena_strdup(q->arena, text);
	return q->reply->error ? 0 : -ENOMEM;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Each is at least the next: what was delivered before a restart was sent and confirmed, too. */
static int say_delivery(const struct request *q, const struct publish_state *state,
			uint64_t committed)
{
	Wellgate__V1__Delivery *d;

	if (!state->configured)
		return 0;
	d = arena_alloc(q->arena, sizeof(*d));
	if (!d)
		return -ENOMEM;
	wellgate__v1__delivery__init(d);
	d->has_by_receipt = d->has_sent = d->has_confirmed = d->has_committed = true;
	d->by_receipt = q->c->config->delivery == DELIVERY_RECEIPT;
	d->committed = committed;
	d->confirmed = larger(state->delivered[LANE_READINGS], committed);
	d->sent = larger(state->sent[LANE_READINGS], d->confirmed);
	d->has_running_ms = true;
	d->running_ms = state->running_us / 1000;
	d->has_receipt_age_ms = state->receipt_age_us >= 0;
	d->receipt_age_ms = d->has_receipt_age_ms ? state->receipt_age_us / 1000 : 0;
	d->has_away = state->away;
	d->away = state->away;
	d->why = state->why[0] ? arena_strdup(q->arena, state->why) : NULL;
	q->reply->delivery = d;
	return 0;
}

static int handle_status(const struct request *q)
{
	struct pipeline_status *status = arena_alloc(q->arena, sizeof(*status));
	Wellgate__V1__Reply *reply = q->reply;
	struct publish_state state;
	struct store_counts counts;

	if (!status)
		return -ENOMEM;
	pipeline_status(q->c->pipeline, status);
	publish_state(q->c->publish, &state);
	store_counts(q->c->store, &counts);
	reply->status = &status->message;
	reply->broker = q->c->config->broker;
	reply->has_broker_connected = true;
	reply->broker_connected = state.connected;
	reply->has_acknowledged = reply->has_parked = true;
	reply->acknowledged = counts.acknowledged[LANE_READINGS];
	reply->parked = counts.parked;
	return say_delivery(q, &state, counts.acknowledged[LANE_READINGS]);
}

static int handle_devices(const struct request *q)
{
	q->reply->has_devices_connected = true;
	q->reply->devices_connected = pipeline_attached(q->c->pipeline);
	if (radio_state_reply_radio(pipeline_radio(q->c->pipeline), q->arena, q->reply) < 0)
		return -ENOMEM;
	return inventory_reply(pipeline_inventory(q->c->pipeline), q->command->after,
			       q->command->addresses, q->arena, q->reply);
}

/* ---- radio ---- */

/* the operator names a device by its digest, the radio by its address */
static int name_device(const struct request *q, Wellgate__V1__RadioCommand__Device *m)
{
	const struct inventory_device *d = inventory_enrolled(pipeline_inventory(q->c->pipeline),
							      m->digest.data, m->digest.len);

	if (!d)
		return -ENOENT;
	m->has_digest = false;
	m->address = arena_strdup(q->arena, d->radio.address);
	return m->address ? 0 : -ENOMEM;
}

static int hand_on(const struct request *q, Wellgate__V1__RadioCommand *m)
{
	int r = 0;

	if (m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT_UNPAIR)
		r = name_device(q, m->unpair);
	else if (m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT_RETRY)
		r = name_device(q, m->retry);
	else if (m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT_WIPE)
		r = name_device(q, m->wipe);
	if (r < 0)
		return r;
	q->reply->has_request = true;
	return radio_state_command(pipeline_radio(q->c->pipeline), m, &q->reply->request);
}

static int handle_radio(const struct request *q)
{
	const int r = q->command->radio ? hand_on(q, q->command->radio) : -EBADMSG;

	switch (r) {
	case 0:
		return 0;
	case -ENOTCONN:
		return say_error(q, CODE_UNAVAILABLE,
				 "the Bluetooth program (wellgate-devices) is not running");
	case -EBUSY:
		return say_error(q, CODE_UNAVAILABLE, "another pairing is running");
	case -ENOENT:
		return say_error(q, CODE_USAGE, "no such device is paired with this hub");
	case -ENOBUFS:
		return say_error(q, CODE_UNAVAILABLE,
				 "the Bluetooth program (wellgate-devices) does not listen");
	default:
		return say_error(q, CODE_USAGE, "the gateway does not understand this command");
	}
}

static int handle_outcome(const struct request *q)
{
	return radio_state_reply_outcome(pipeline_radio(q->c->pipeline), q->command->after,
					 q->arena, q->reply);
}

static int handle_pairing(const struct request *q)
{
	return radio_state_reply_pairing(pipeline_radio(q->c->pipeline), q->command->addresses,
					 q->arena, q->reply);
}

/* ---- import ---- */

static int say_import_error(const struct request *q, int r)
{
	switch (r) {
	case -EBADMSG:
		return say_error(q, CODE_USAGE, "the gateway does not understand this import");
	case -EINVAL:
		return say_error(q, CODE_USAGE, "there is no such time zone");
	case -ENOENT:
		return say_error(q, CODE_USAGE,
				 "please say whose they are: --subject, and somebody who has a "
				 "device of this hub");
	case -ENOSPC:
		return say_error(q, CODE_UNAVAILABLE,
				 "the gateway cannot keep readings for now; import again later");
	default:
		return say_error(q, CODE_IO, "the database failed; try `wellgate doctor`");
	}
}

static int handle_import(const struct request *q)
{
	Wellgate__V1__Imported *m = arena_alloc(q->arena, sizeof(*m));
	struct pipeline_imported counts = { 0 };
	int r = -EBADMSG;

	if (!m)
		return -ENOMEM;
	if (q->command->import)
		r = pipeline_import(q->c->pipeline, q->command->import, &counts);
	if (r < 0)
		return say_import_error(q, r);
	wellgate__v1__imported__init(m);
	m->has_added = m->has_known = m->has_refused = true;
	m->added = counts.added;
	m->known = counts.known;
	m->refused = counts.refused;
	q->reply->imported = m;
	return 0;
}

/* ---- pages ---- */

typedef void *(*unpack_fn)(ProtobufCAllocator *allocator, size_t len, const uint8_t *data);

static void *unpack_reading(ProtobufCAllocator *allocator, size_t len, const uint8_t *data)
{
	return wellgate__v1__reading__unpack(allocator, len, data);
}

static void *unpack_result(ProtobufCAllocator *allocator, size_t len, const uint8_t *data)
{
	return wellgate__v1__goal_result__unpack(allocator, len, data);
}

/* number of rows in list, or -errno; *ret_more as in Reply */
static int page(const struct request *q, enum lane lane, unpack_fn unpack, void **list,
		bool *ret_more)
{
	const Wellgate__V1__Command *command = q->command;
	unsigned int limit = command->has_limit ? command->limit : ROWS_DEFAULT;
	struct store_row row = { .sequence = command->has_after ? command->after : 0 };
	size_t bytes = 0;
	unsigned int n = 0;
	int r;

	if (limit > ROWS_MAX)
		limit = ROWS_MAX;
	while ((r = store_next(q->c->store, lane, row.sequence, &row)) > 0) {
		bytes += row.len + 8;
		*ret_more = n == limit || (n > 0 && bytes > PAGE_BYTES) ||
			    (n > 0 && q->arena->size - q->arena->used < ARENA_SPARE);
		if (*ret_more)
			break;
		list[n] = unpack(arena_protobuf(q->arena), row.len, row.payload);
		if (list[n])
			n++;
	}
	return r < 0 ? r : (int)n;
}

static int handle_page(const struct request *q, enum lane lane, unpack_fn unpack)
{
	void **list = arena_alloc(q->arena, ROWS_MAX * sizeof(*list));
	bool more = false;
	int n;

	if (!list)
		return -ENOMEM;
	n = page(q, lane, unpack, list, &more);
	if (n < 0)
		return say_error(q, CODE_IO, "the database cannot be read; try `wellgate doctor`");
	q->reply->has_more = true;
	q->reply->more = more;
	if (lane == LANE_READINGS) {
		q->reply->n_readings = (size_t)n;
		q->reply->readings = (Wellgate__V1__Reading **)(void *)list;
	} else {
		q->reply->n_results = (size_t)n;
		q->reply->results = (Wellgate__V1__GoalResult **)(void *)list;
	}
	return 0;
}

/* The sequences of those that were replaced or retracted since. */
static int note_hidden(const struct request *q)
{
	Wellgate__V1__Reply *reply = q->reply;

	reply->hidden = arena_alloc(q->arena, (reply->n_readings + 1) * sizeof(reply->hidden[0]));
	if (!reply->hidden)
		return -ENOMEM;
	for (size_t i = 0; i < reply->n_readings; i++) {
		const Wellgate__V1__Reading *r = reply->readings[i];

		if (r->has_reading_id && r->reading_id.len == REGISTRY_DIGEST &&
		    pipeline_is_hidden(q->c->pipeline, r->reading_id.data))
			reply->hidden[reply->n_hidden++] = r->sequence;
	}
	return 0;
}

static int handle_readings(const struct request *q)
{
	const int r = handle_page(q, LANE_READINGS, unpack_reading);

	return r < 0 ? r : note_hidden(q);
}

static int handle_results(const struct request *q)
{
	return handle_page(q, LANE_RESULTS, unpack_result);
}

/* ---- goals ---- */

static int handle_goals(const struct request *q)
{
	Wellgate__V1__Reply *reply = q->reply;
	struct receipt now;
	size_t n = 0;
	const struct goal *goals = goal_book_goals(q->c->book, &n);

	receipt_now(&now);
	reply->goals = arena_alloc(q->arena, (n + 1) * sizeof(void *));
	reply->results = arena_alloc(q->arena, (n + 1) * sizeof(void *));
	if (!reply->goals || !reply->results)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		Wellgate__V1__GoalResult *result = NULL;

		if (goal_to_message(&goals[i], q->arena, &reply->goals[i]) < 0)
			return -ENOMEM;
		reply->n_goals++;
		if (goal_book_current(q->c->book, i, now.utc_ms, q->arena, &result) == 0 && result)
			reply->results[reply->n_results++] = result;
	}
	return 0;
}

static int handle_desk(const struct request *q)
{
	return control_desk(q->c, q->command, q->arena, q->reply);
}

static int say_goal_error(const struct request *q, int r, const char *problem)
{
	switch (r) {
	case -EINVAL:
	case -EPERM:
		return say_error(q, CODE_DATA, problem);
	case -EBADMSG:
	case -ENOENT:
		return say_error(q, CODE_USAGE, problem);
	case -ENOSPC:
		return say_error(q, CODE_UNAVAILABLE, problem ? problem : "the disk is full");
	default:
		return say_error(q, CODE_IO, "the database failed; try `wellgate doctor`");
	}
}

static int handle_goal(const struct request *q)
{
	Wellgate__V1__GoalChange *change = q->command->goal;
	const char *problem = NULL;
	int r;

	if (!change)
		return say_error(q, CODE_USAGE, "no goal is named");
	r = pipeline_change_goal(q->c->pipeline, change, &problem);
	return r < 0 ? say_goal_error(q, r, problem) : 0;
}

static int handle_doctor(const struct request *q)
{
	return control_doctor(q->c, q->arena, q->reply);
}

/* ---- from afar ---- */

static int handle_resend(const struct request *q)
{
	char why[CONTROL_WHY] = "";
	int code = 0, r = control_resend(q->c, q->command, q->arena, q->reply, &code, why);

	return r == 0 && code != 0 ? say_error(q, code, why) : r;
}

static int handle_diagnostics(const struct request *q)
{
	const int r = control_diagnostics(q->c, q->arena, q->reply);

	return r < 0 && r != -ENOMEM ? say_error(q, CODE_IO, "the database cannot be read") : r;
}

/* A frame is decoded once and not kept (store/README.md). */
static int handle_redecode(const struct request *q)
{
	return say_error(q, CODE_UNAVAILABLE,
			 "this hub keeps no raw bytes of devices: nothing can be decoded again");
}

static int handle_page_code(const struct request *q)
{
	return control_page_code(q->c, q->command, q->arena, q->reply);
}

static const struct {
	const char *verb;
	int (*handle)(const struct request *q);
} verbs[] = {
	{ "status", handle_status },       { "devices", handle_devices },
	{ "readings", handle_readings },   { "results", handle_results },
	{ "goal", handle_goal },           { "goals", handle_goals },
	{ "doctor", handle_doctor },       { "radio", handle_radio },
	{ "outcome", handle_outcome },     { "pairing", handle_pairing },
	{ "import", handle_import },       { "desk", handle_desk },
	{ "page-code", handle_page_code }, { "resend", handle_resend },
	{ "redecode", handle_redecode },   { "diagnostics", handle_diagnostics },
};

static int handle(const struct request *q, const char *verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].verb, verb) == 0)
			return verbs[i].handle(q);
	}
	return say_error(q, CODE_USAGE, "the gateway does not know this command");
}

static int dispatch(const struct request *q)
{
	const char *inner = NULL;
	int r;

	if (q->command->n_args > 0)
		return say_error(q, CODE_USAGE, "the command takes no arguments");
	if (!q->c->page_only)
		return handle(q, q->command->verb ? q->command->verb : "");
	r = control_page(q->c, q->command, q->arena, q->reply, &inner);
	return r == 0 && inner ? handle(q, inner) : r;
}

static Wellgate__V1__Reply *new_reply(const struct control *c, const Wellgate__V1__Command *command,
				      struct arena *arena)
{
	Wellgate__V1__Reply *reply = arena_alloc(arena, sizeof(*reply));

	if (!reply)
		return NULL;
	wellgate__v1__reply__init(reply);
	reply->has_id = command->has_id;
	reply->id = command->id;
	reply->has_code = true;
	reply->hub = (char *)(uintptr_t)pipeline_hub(c->pipeline);
	reply->site = c->config->site;
	reply->has_epoch = true;
	reply->epoch = store_identity(c->store)->epoch;
	return reply;
}

int control_handle(const struct control *c, const Wellgate__V1__Command *command,
		   struct arena *arena, Wellgate__V1__Reply **ret)
{
	struct request q = { .c = c, .command = command, .arena = arena };
	int r;

	assert(arena->size >= CONTROL_ARENA_BYTES);
	q.reply = new_reply(c, command, arena);
	if (!q.reply)
		return -ENOMEM;
	r = dispatch(&q);
	if (r == 0 && wellgate__v1__reply__get_packed_size(q.reply) > LISTENER_PACKET_MAX)
		r = -EMSGSIZE;
	if (r < 0) {
		/* half a reply is no reply */
		wellgate__v1__reply__init(q.reply);
		q.reply->has_id = command->has_id;
		q.reply->id = command->id;
		r = say_error(&q, CODE_IO, "the reply does not fit");
	}
	*ret = q.reply;
	return r;
}
