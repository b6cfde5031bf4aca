#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/manager_parts.h"
#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

#define US_OF_MS 1000

/* ---- what waits for its commit ---- */

static bool is_pending(const struct phd_manager *m, uint16_t invoke_id)
{
	for (size_t i = 0; i < m->n_pending; i++) {
		if (m->pending[i].invoke_id == invoke_id)
			return true;
	}
	return false;
}

/* how long the agent waits for the answer: its scanners say so, others have three seconds */
static int64_t due_of(const struct phd_manager *m, uint16_t handle, int64_t now)
{
	const struct phd_object *object = phd_config_object(&m->config, handle);

	if (!object || object->confirm_timeout_ms == 0)
		return now + PHD_RESPONSE_TIMEOUT_US;
	return now + (int64_t)object->confirm_timeout_ms * US_OF_MS;
}

static struct phd_pending *wait_for_commit(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	struct phd_pending *p = &m->pending[m->n_pending++];

	*p = (struct phd_pending){
		.invoke_id = a->invoke_id,
		.handle = a->handle,
		.type = a->type,
		.due = due_of(m, a->handle, now),
	};
	return p;
}

/* false, and it was seen to: this report may not be looked at */
static bool has_room(struct phd_manager *m, const struct apdu *a)
{
	if (a->operation != APDU_EVENT_CONFIRMED)
		return true;
	if (is_pending(m, a->invoke_id)) {
		/* our answer to the first could be taken for the second */
		phd_manager_abort(m, APDU_ABORT_UNDEFINED);
		return false;
	}
	if (m->n_pending == PHD_PENDING_MAX) {
		m->counts.refused_full++;
		phd_manager_refuse(m, a->invoke_id, APDU_REJECT, APDU_REJECT_RESOURCE_LIMITATION);
		return false;
	}
	return true;
}

/* SegmentDataResult: what was sent, and what became of it */
static void answer_piece(struct phd_manager *m, const struct phd_pending *p, uint16_t status)
{
	uint8_t info[12];
	struct writer w = writer_of(info, sizeof(info));

	writer_be16(&w, p->segment);
	writer_be32(&w, p->first);
	writer_be32(&w, p->count);
	writer_be16(&w, status);
	phd_manager_send(m, &(struct apdu){ .choice = APDU_PRST,
					    .invoke_id = p->invoke_id,
					    .operation = APDU_EVENT_RESPONSE,
					    .handle = p->handle,
					    .time = PHD_NO_TIME,
					    .type = p->type,
					    .data = info,
					    .len = w.len });
}

static void answer_report(struct phd_manager *m, const struct phd_pending *p)
{
	phd_manager_send(m, &(struct apdu){ .choice = APDU_PRST,
					    .invoke_id = p->invoke_id,
					    .operation = APDU_EVENT_RESPONSE,
					    .handle = p->handle,
					    .time = PHD_NO_TIME,
					    .type = p->type });
}

void phd_manager_committed(struct phd_manager *m, int64_t now)
{
	size_t n = m->n_pending;

	m->n_uncommitted = 0;
	m->n_pending = 0;
	m->has_report = false;
	if (n > 0)
		m->n_rejects = 0;
	for (size_t i = 0; i < n; i++) {
		const struct phd_pending *p = &m->pending[i];

		m->counts.late_commits += now > p->due;
		if (p->type == MDC_NOTI_SEGMENT_DATA)
			answer_piece(m, p, PHD_SEGMENT_MANAGER_CONFIRM);
		else
			answer_report(m, p);
	}
	if (m->state == PHD_OPERATING)
		phd_manager_work_committed(m, now);
}

int64_t phd_manager_answer_due(const struct phd_manager *m)
{
	int64_t due = PHD_NO_DEADLINE;

	for (size_t i = 0; i < m->n_pending; i++) {
		if (m->pending[i].due < due)
			due = m->pending[i].due;
	}
	return due;
}

static void hand_on(struct phd_manager *m, const struct phd_observation *o)
{
	m->n_uncommitted++;
	m->sink->observation(m->user, o, m->is_test);
}

/* what brought nothing that must become durable need not wait */
static void settle(struct phd_manager *m, int64_t now)
{
	if (m->n_uncommitted == 0)
		phd_manager_committed(m, now);
}

/* ---- scan reports ---- */

/* a unit that an agent states once holds for what follows, until it associates again */
static void learn_unit(struct phd_manager *m, const struct phd_observation *o)
{
	for (size_t i = 0; o->unit != 0 && i < m->config.n_objects; i++) {
		if (m->config.objects[i].handle == o->handle &&
		    m->config.objects[i].unit != o->unit) {
			m->config.objects[i].unit = o->unit;
			m->is_config_kept = false;
		}
	}
}

static void hand_on_all(struct phd_manager *m, struct phd_report_checked *checked)
{
	struct phd_observation o;
	int r = checked->count.n_good > checked->n_kept ? 1 : 0;

	for (size_t i = 0; i < checked->n_kept; i++) {
		learn_unit(m, &checked->kept[i]);
		hand_on(m, &checked->kept[i]);
	}
	/* phd_report_check_keep() saw all of it: nothing ends it early */
	while (r != 0 && r != -EMSGSIZE) {
		r = phd_report_next(&checked->rest, &o);
		if (r != 1)
			continue;
		learn_unit(m, &o);
		hand_on(m, &o);
	}
	assert(r != -EMSGSIZE);
}

static void reject_report(struct phd_manager *m, const struct apdu *a)
{
	m->counts.malformed_reports++;
	phd_manager_forget_config(m);
	if (a->operation == APDU_EVENT_CONFIRMED)
		phd_manager_refuse(m, a->invoke_id, APDU_REJECT, APDU_REJECT_BADLY_STRUCTURED);
}

static void take_report(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	bool confirmed = a->operation == APDU_EVENT_CONFIRMED;
	struct phd_report_checked checked;
	const struct phd_report_count *count = &checked.count;
	size_t before;
	int r;

	if (!has_room(m, a))
		return;
	r = phd_report_check_keep(a, &m->config, &checked);
	if (r < 0 || (confirmed && count->n_bad > 0)) {
		reject_report(m, a);
		return;
	}
	m->counts.dropped_observations += count->n_bad;
	m->counts.unknown_observations += count->n_unknown;
	m->counts.unread_attributes += count->n_unread;
	m->counts.padded_reports += count->extra > 0;
	if (confirmed && count->n_good == 0 && count->n_unknown > 0) {
		/* nothing of it was understood: the agent shall keep it */
		phd_manager_refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_OBJECT);
		return;
	}
	before = m->n_uncommitted;
	hand_on_all(m, &checked);
	m->has_report = true;
	m->is_report_confirmed = confirmed;
	m->n_report = m->n_uncommitted - before;
	if (confirmed)
		(void)wait_for_commit(m, a, now);
	settle(m, now);
}

void phd_manager_reject(struct phd_manager *m)
{
	if (!m->has_report)
		return;
	m->has_report = false;
	m->counts.rejected_reports++;
	m->n_uncommitted -= m->n_report;
	if (!m->is_report_confirmed)
		return;
	if (++m->n_rejects > PHD_REJECTS_MAX) {
		phd_manager_abort(m, APDU_ABORT_UNDEFINED);
		return;
	}
	phd_manager_refuse(m, m->pending[--m->n_pending].invoke_id, APDU_REJECT,
			   APDU_REJECT_UNEXPECTED_ERROR);
}

/* ---- pieces of a store ---- */

/* good observations; of the others the store keeps what it has, since it is not cleared then */
static size_t hand_on_entries(struct phd_manager *m, struct phd_entries *e)
{
	struct phd_observation o;
	size_t n_bad = 0;
	int r;

	while ((r = phd_entries_next(e, &o)) != 0) {
		if (r < 0) {
			n_bad++;
			continue;
		}
		m->counts.unread_attributes += o.n_unread;
		learn_unit(m, &o);
		hand_on(m, &o);
	}
	m->counts.dropped_observations += (unsigned int)n_bad;
	m->counts.unknown_observations += e->n_unknown;
	return n_bad + e->n_unknown;
}

static void refuse_piece(struct phd_manager *m, const struct apdu *a,
			 const struct phd_segment_data *data)
{
	const struct phd_pending p = {
		.invoke_id = a->invoke_id,
		.handle = a->handle,
		.type = a->type,
		.segment = data->instance,
		.first = data->first,
		.count = data->count,
	};

	if (a->operation == APDU_EVENT_CONFIRMED)
		answer_piece(m, &p, PHD_SEGMENT_MANAGER_ABORT);
}

/* as the one that was handed on before, when its answer was lost: the same answer, nothing twice */
static bool is_repeated(const struct phd_manager *m, const struct phd_segment_data *data)
{
	return data->count > 0 && data->first < m->walk.next &&
	       (uint64_t)data->first + data->count <= m->walk.next;
}

static void take_entries(struct phd_manager *m, const struct apdu *a,
			 const struct phd_segment_data *data, const struct phd_segment *segment,
			 int64_t now)
{
	struct phd_pending *p;
	struct phd_entries e;

	if (phd_entries_open(data, a->handle, &m->config, &m->walk.segments, segment, &e) < 0) {
		m->counts.malformed_reports++;
		if (a->operation == APDU_EVENT_CONFIRMED)
			phd_manager_refuse(m, a->invoke_id, APDU_REJECT,
					   APDU_REJECT_BADLY_STRUCTURED);
		phd_manager_work_skip(m, now);
		return;
	}
	if (!is_repeated(m, data)) {
		if (hand_on_entries(m, &e) > 0)
			m->walk.is_complete = false;
		m->walk.next = data->first + data->count;
	}
	if (a->operation == APDU_EVENT_CONFIRMED) {
		p = wait_for_commit(m, a, now);
		p->segment = data->instance;
		p->first = data->first;
		p->count = data->count;
	}
	phd_manager_work_piece(m, (data->status & PHD_SEGMENT_LAST) != 0);
	settle(m, now);
}

static void take_piece(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	const struct phd_segment *segment = phd_manager_work_segment(m);
	struct phd_segment_data data;

	if (!has_room(m, a))
		return;
	if (phd_segment_data_decode(a->data, a->len, &data) < 0) {
		reject_report(m, a);
		return;
	}
	if (!segment || a->handle != m->walk.handle || data.instance != segment->instance) {
		m->counts.unexpected++;
		refuse_piece(m, a, &data);
		return;
	}
	if ((data.status & PHD_SEGMENT_AGENT_ABORT) ||
	    (data.first != m->walk.next && !is_repeated(m, &data))) {
		refuse_piece(m, a, &data);
		phd_manager_work_restart(m, now);
		return;
	}
	take_entries(m, a, &data, segment, now);
}

void phd_manager_serve(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	bool is_event = a->operation == APDU_EVENT || a->operation == APDU_EVENT_CONFIRMED;

	if (is_event && phd_report_is(a->type)) {
		take_report(m, a, now);
		return;
	}
	if (is_event && a->type == MDC_NOTI_SEGMENT_DATA) {
		take_piece(m, a, now);
		return;
	}
	m->counts.unexpected++;
	if (a->operation == APDU_EVENT_CONFIRMED)
		phd_manager_refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_ACTION);
	else if (apdu_wants_answer(a->operation))
		phd_manager_refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_OBJECT);
}
