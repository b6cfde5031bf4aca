#include <errno.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/manager_parts.h"
#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

/*
 * What is asked, one request at a time:
 *
 *   the device -> each scanner: start -> each store: its attributes, its segments
 *     -> each segment: trigger, pieces until the last, commit (clear, if that is wanted)
 *
 * A refusal is counted and the next thing is asked; silence ends the association.
 */

#define US_OF_TICK 125
#define OP_ENABLED 1
#define SELECT_ALL 1
#define SELECT_IDS 2

/* ---- asking ---- */

static void ask(struct phd_manager *m, enum phd_work work, struct apdu *a, int64_t now)
{
	m->work = work;
	m->has_request = true;
	m->request_id = m->next_id++;
	m->deadline = now + PHD_RESPONSE_TIMEOUT_US;
	a->choice = APDU_PRST;
	a->invoke_id = m->request_id;
	phd_manager_send(m, a);
}

static int64_t us_of(uint32_t ticks, int64_t otherwise)
{
	return ticks > 0 ? (int64_t)ticks * US_OF_TICK : otherwise;
}

/* the next object of one of the classes, from walk.object on; false: no more */
static bool find_object(struct phd_manager *m, uint16_t first_class, uint16_t last_class)
{
	for (; m->walk.object < m->config.n_objects; m->walk.object++) {
		const struct phd_object *o = &m->config.objects[m->walk.object];

		if (o->object_class >= first_class && o->object_class <= last_class) {
			m->walk.handle = o->handle;
			return true;
		}
	}
	return false;
}

static void ask_store(struct phd_manager *m, int64_t now)
{
	if (!m->options.read_stores || !find_object(m, MDC_CLASS_PM_STORE, MDC_CLASS_PM_STORE)) {
		m->work = PHD_WORK_DONE;
		m->deadline = PHD_NO_DEADLINE;
		return;
	}
	m->walk.segment = 0;
	m->walk.segments.n_segments = 0;
	ask(m, PHD_WORK_STORE, &(struct apdu){ .operation = APDU_GET, .handle = m->walk.handle },
	    now);
}

static void ask_next_store(struct phd_manager *m, int64_t now)
{
	m->walk.object++;
	ask_store(m, now);
}

static void ask_scanner(struct phd_manager *m, int64_t now)
{
	static const uint8_t enable[] = {
		0, 0, MDC_ATTR_OP_STATE >> 8, MDC_ATTR_OP_STATE & 0xff, 0, 2, 0, OP_ENABLED
	};

	if (!m->options.start_scanners ||
	    !find_object(m, MDC_CLASS_SCANNER, MDC_CLASS_SCANNER_PERIODIC)) {
		m->walk.object = 0;
		ask_store(m, now);
		return;
	}
	ask(m, PHD_WORK_SCANNER,
	    &(struct apdu){ .operation = APDU_SET_CONFIRMED,
			    .handle = m->walk.handle,
			    .count = 1,
			    .data = enable,
			    .len = sizeof(enable) },
	    now);
}

void phd_manager_work(struct phd_manager *m, int64_t now)
{
	memset(&m->walk, 0, sizeof(m->walk));
	ask(m, PHD_WORK_MDS, &(struct apdu){ .operation = APDU_GET }, now);
}

static void ask_action(struct phd_manager *m, enum phd_work work, uint16_t type,
		       const struct writer *w, int64_t now)
{
	ask(m, work,
	    &(struct apdu){ .operation = APDU_ACTION_CONFIRMED,
			    .handle = work == PHD_WORK_TIME ? 0 : m->walk.handle,
			    .type = type,
			    .data = w->data,
			    .len = w->len },
	    now);
}

static void ask_segments(struct phd_manager *m, int64_t now)
{
	uint8_t info[8];
	struct writer w = writer_of(info, sizeof(info));

	writer_be16(&w, SELECT_ALL);
	writer_be16(&w, 2);
	writer_be16(&w, 0);
	ask_action(m, PHD_WORK_SEGMENTS, MDC_ACTION_SEGMENTS_INFO, &w, now);
}

static const struct phd_segment *segment_of(const struct phd_manager *m)
{
	return &m->walk.segments.segments[m->walk.segment];
}

static void trigger(struct phd_manager *m, int64_t now)
{
	uint8_t info[2];
	struct writer w = writer_of(info, sizeof(info));

	m->walk.next = 0;
	m->walk.is_complete = true;
	m->walk.attempts++;
	writer_be16(&w, segment_of(m)->instance);
	ask_action(m, PHD_WORK_TRIGGER, MDC_ACTION_SEGMENT_START, &w, now);
}

/* from walk.segment on: the next that is not known to be empty */
static void ask_segment(struct phd_manager *m, int64_t now)
{
	m->walk.attempts = 0;
	for (; m->walk.segment < m->walk.segments.n_segments; m->walk.segment++) {
		const struct phd_segment *s = segment_of(m);

		if (!s->has_count || s->count > 0) {
			trigger(m, now);
			return;
		}
	}
	ask_next_store(m, now);
}

static void ask_next_segment(struct phd_manager *m, int64_t now)
{
	m->walk.segment++;
	ask_segment(m, now);
}

void phd_manager_work_skip(struct phd_manager *m, int64_t now)
{
	m->counts.unread_stores++;
	ask_next_segment(m, now);
}

void phd_manager_work_restart(struct phd_manager *m, int64_t now)
{
	m->counts.transfer_restarts++;
	if (m->walk.attempts >= PHD_TRANSFER_ATTEMPTS)
		phd_manager_work_skip(m, now);
	else
		trigger(m, now);
}

static void clear(struct phd_manager *m, int64_t now)
{
	uint8_t info[10];
	struct writer w = writer_of(info, sizeof(info));
	size_t choice, list;

	writer_be16(&w, SELECT_IDS);
	choice = mder_begin(&w);
	list = mder_begin_list(&w, 1);
	writer_be16(&w, segment_of(m)->instance);
	mder_end(&w, list);
	mder_end(&w, choice);
	ask_action(m, PHD_WORK_CLEAR, MDC_ACTION_SEGMENTS_CLEAR, &w, now);
	m->deadline = now + us_of(m->walk.clear_timeout, PHD_RESPONSE_TIMEOUT_US);
}

/* ---- the pieces of a segment ---- */

const struct phd_segment *phd_manager_work_segment(const struct phd_manager *m)
{
	if (m->work != PHD_WORK_TRIGGER && m->work != PHD_WORK_TRANSFER &&
	    m->work != PHD_WORK_COMMIT)
		return NULL;
	return segment_of(m);
}

/* while a piece waits for its commit it is the agent that waits */
void phd_manager_work_piece(struct phd_manager *m, bool is_last)
{
	m->work = is_last ? PHD_WORK_COMMIT : PHD_WORK_TRANSFER;
	m->has_request = false; /* a piece may come before the answer to its trigger */
	m->deadline = PHD_NO_DEADLINE;
}

static void await_piece(struct phd_manager *m, int64_t now)
{
	m->work = PHD_WORK_TRANSFER;
	m->deadline = now + us_of(segment_of(m)->transfer_timeout, PHD_TRANSFER_TIMEOUT_US);
}

/* the last piece of the segment is durable */
static void end_segment(struct phd_manager *m, int64_t now)
{
	const struct phd_segment *s = segment_of(m);

	if (s->has_count && m->walk.next < s->count) {
		phd_manager_work_skip(m, now);
		return;
	}
	if (m->options.clear_stores && m->walk.is_complete && s->has_count &&
	    m->walk.next == s->count)
		clear(m, now);
	else
		ask_next_segment(m, now);
}

void phd_manager_work_committed(struct phd_manager *m, int64_t now)
{
	if (m->work == PHD_WORK_COMMIT)
		end_segment(m, now);
	else if (m->work == PHD_WORK_TRANSFER)
		await_piece(m, now);
}

/* ---- answers ---- */

static bool is_answer_to(const struct phd_manager *m, const struct apdu *a)
{
	switch (m->work) {
	case PHD_WORK_MDS:
		return a->operation == APDU_GET_RESPONSE && a->handle == 0;
	case PHD_WORK_STORE:
		return a->operation == APDU_GET_RESPONSE && a->handle == m->walk.handle;
	case PHD_WORK_SCANNER:
		return a->operation == APDU_SET_RESPONSE && a->handle == m->walk.handle;
	case PHD_WORK_SEGMENTS:
		return a->operation == APDU_ACTION_RESPONSE && a->handle == m->walk.handle &&
		       a->type == MDC_ACTION_SEGMENTS_INFO;
	case PHD_WORK_TRIGGER:
		return a->operation == APDU_ACTION_RESPONSE && a->handle == m->walk.handle &&
		       a->type == MDC_ACTION_SEGMENT_START;
	case PHD_WORK_CLEAR:
		return a->operation == APDU_ACTION_RESPONSE && a->handle == m->walk.handle &&
		       a->type == MDC_ACTION_SEGMENTS_CLEAR;
	case PHD_WORK_TIME:
		return a->operation == APDU_ACTION_RESPONSE && a->handle == 0 &&
		       a->type == MDC_ACTION_SET_TIME;
	case PHD_WORK_NONE:
	case PHD_WORK_TRANSFER:
	case PHD_WORK_RETRY:
	case PHD_WORK_COMMIT:
	case PHD_WORK_DONE:
		break;
	}
	return false;
}

static void take_mds(struct phd_manager *m, const struct apdu *a)
{
	struct phd_mds mds;

	if (phd_mds_decode(a, &mds) < 0) {
		m->counts.unexpected++;
		return;
	}
	m->time_info = mds.time_info;
	m->counts.unread_attributes += mds.n_unread;
	m->sink->mds(m->user, &mds);
}

static void take_store(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	struct phd_store_info info;

	if (phd_store_info_decode(a, &info) < 0) {
		m->counts.unread_stores++;
		ask_next_store(m, now);
		return;
	}
	m->walk.clear_timeout = info.clear_timeout;
	if (info.has_segments && info.n_segments == 0)
		ask_next_store(m, now);
	else
		ask_segments(m, now);
}

static void take_segments(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	if (phd_segments_decode(a->data, a->len, &m->walk.segments) < 0) {
		m->counts.unread_stores++;
		ask_next_store(m, now);
		return;
	}
	m->walk.segment = 0;
	ask_segment(m, now);
}

/* TrigSegmDataXferRsp: instance, result */
static void take_trigger(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	struct cursor c = cursor_of(a->data, a->len);
	uint16_t instance = cursor_be16(&c), result = cursor_be16(&c);

	if (!cursor_at_end(&c) || instance != segment_of(m)->instance) {
		m->counts.unexpected++;
		phd_manager_work_skip(m, now);
	} else if (result == PHD_TRANSFER_STARTED) {
		await_piece(m, now);
	} else if (result == PHD_TRANSFER_EMPTY) {
		ask_next_segment(m, now);
	} else if (result == PHD_TRANSFER_TRY_LATER && m->walk.attempts < PHD_TRANSFER_ATTEMPTS) {
		m->work = PHD_WORK_RETRY;
		m->deadline = now + PHD_TRANSFER_TIMEOUT_US;
	} else {
		phd_manager_work_skip(m, now);
	}
}

/* what was asked is over: the next thing */
static void go_on(struct phd_manager *m, int64_t now)
{
	switch (m->work) {
	case PHD_WORK_MDS:
		m->walk.object = 0;
		ask_scanner(m, now);
		return;
	case PHD_WORK_SCANNER:
		m->walk.object++;
		ask_scanner(m, now);
		return;
	case PHD_WORK_STORE:
	case PHD_WORK_SEGMENTS:
		m->counts.unread_stores++;
		ask_next_store(m, now);
		return;
	case PHD_WORK_TRIGGER:
		phd_manager_work_skip(m, now);
		return;
	case PHD_WORK_CLEAR:
		ask_next_segment(m, now);
		return;
	case PHD_WORK_TIME:
		m->work = PHD_WORK_DONE;
		return;
	case PHD_WORK_NONE:
	case PHD_WORK_TRANSFER:
	case PHD_WORK_RETRY:
	case PHD_WORK_COMMIT:
	case PHD_WORK_DONE:
		return;
	}
}

void phd_manager_answer(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	if (!m->has_request || a->invoke_id != m->request_id) {
		m->counts.unexpected++;
		return;
	}
	m->has_request = false;
	m->deadline = PHD_NO_DEADLINE;
	if (!is_answer_to(m, a)) {
		if (a->operation == APDU_ERROR || a->operation == APDU_REJECT)
			m->counts.refused_requests++;
		else
			m->counts.unexpected++;
		go_on(m, now);
	} else if (m->work == PHD_WORK_STORE) {
		take_store(m, a, now);
	} else if (m->work == PHD_WORK_SEGMENTS) {
		take_segments(m, a, now);
	} else if (m->work == PHD_WORK_TRIGGER) {
		take_trigger(m, a, now);
	} else {
		if (m->work == PHD_WORK_MDS)
			take_mds(m, a);
		go_on(m, now);
	}
}

void phd_manager_work_expired(struct phd_manager *m, int64_t now)
{
	if (m->work == PHD_WORK_RETRY)
		trigger(m, now);
	else
		phd_manager_abort(m, APDU_ABORT_RESPONSE_TIMEOUT);
}

/* ---- asked by the caller ---- */

bool phd_manager_idle(const struct phd_manager *m)
{
	return m->state == PHD_OPERATING && m->work == PHD_WORK_DONE && m->n_pending == 0 &&
	       m->n_uncommitted == 0;
}

int phd_manager_set_time(struct phd_manager *m, const struct mder_time *t, int64_t now)
{
	uint8_t info[MDER_ABSOLUTE_TIME + 4];
	struct writer w = writer_of(info, sizeof(info));

	if (m->state != PHD_OPERATING)
		return -ENOTCONN;
	if (!phd_manager_idle(m))
		return -EBUSY;
	if ((m->time_info & PHD_TIME_MANAGER_SETS) == 0)
		return -ENOTSUP;
	mder_write_time(&w, t);
	writer_be32(&w, 0); /* accuracy: not said */
	ask_action(m, PHD_WORK_TIME, MDC_ACTION_SET_TIME, &w, now);
	return 0;
}
