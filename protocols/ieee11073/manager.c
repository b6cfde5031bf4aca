#include "protocols/ieee11073/manager.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

#define SEND_MAX 64 /* nothing that we send is longer */
#define NO_TIME  0xffffffffU

/* ConfigResult */
#define CONFIG_ACCEPTED         0
#define CONFIG_UNSUPPORTED      1
#define CONFIG_STANDARD_UNKNOWN 2

enum event {
	ON_CONNECTED,
	ON_DISCONNECTED,
	ON_AARQ,
	ON_AARE,
	ON_RLRQ,
	ON_RLRE,
	ON_ABRT,
	ON_REQUEST,
	ON_ANSWER,
	ON_TIMEOUT,
	ON_RELEASE, /* we want to end */
	ON_BAD,     /* an APDU that cannot be read */
	EVENTS,
};

/* ---- sending ---- */

static void enter(struct phd_manager *m, enum phd_state state)
{
	m->state = state;
	m->deadline = PHD_NO_DEADLINE;
	if (state == PHD_OPERATING || state == PHD_CONFIGURING)
		return;
	m->n_pending = 0;
	m->has_request = false;
}

static void send_apdu(struct phd_manager *m, const struct apdu *a)
{
	uint8_t bytes[SEND_MAX];
	size_t len = 0;
	int r = apdu_encode(a, bytes, sizeof(bytes), &len);

	assert(r == 0);
	if (r == 0)
		m->sink->send(m->user, bytes, len);
}

static void send_result(struct phd_manager *m, enum apdu_choice choice, uint16_t result)
{
	send_apdu(m, &(struct apdu){ .choice = (uint16_t)choice, .result = result });
}

static void abort_with(struct phd_manager *m, enum apdu_abort_reason reason)
{
	m->counts.aborted_by_us++;
	send_result(m, APDU_ABRT, (uint16_t)reason);
	enter(m, PHD_UNASSOCIATED);
}

static void refuse(struct phd_manager *m, uint16_t invoke_id, uint16_t operation, uint16_t result)
{
	send_apdu(m, &(struct apdu){ .choice = APDU_PRST,
				     .invoke_id = invoke_id,
				     .operation = operation,
				     .result = result });
}

static void get_mds(struct phd_manager *m, int64_t now)
{
	m->request_id = m->next_id++;
	m->has_request = true;
	m->deadline = now + PHD_RESPONSE_TIMEOUT_US;
	send_apdu(m, &(struct apdu){ .choice = APDU_PRST,
				     .invoke_id = m->request_id,
				     .operation = APDU_GET });
}

static void operate(struct phd_manager *m, int64_t now)
{
	enter(m, PHD_OPERATING);
	get_mds(m, now);
}

/* ---- association ---- */

/* the result, and the one version bit that is answered (0: none in common) */
static enum apdu_associate_result judge(const struct apdu *a, uint32_t *ret_version)
{
	const struct apdu_association *s = &a->association;

	*ret_version = 0;
	if ((a->assoc_version & APDU_ASSOC_VERSION_1) == 0)
		return APDU_REJECTED_ASSOC_VERSION;
	if (a->proto != APDU_PROTO_20601)
		return APDU_REJECTED_NO_COMMON_PROTOCOL;
	/* bits, not values: an agent sets all the versions it can */
	if ((s->protocol_version & APDU_VERSION_1) == 0 ||
	    (s->encoding_rules & APDU_RULES_MDER) == 0 ||
	    (s->nomenclature_version & APDU_NOMENCLATURE_1) == 0)
		return APDU_REJECTED_NO_COMMON_PARAMETER;
	if ((s->system_type & APDU_SYSTEM_AGENT) == 0 || s->config_id == 0 ||
	    s->config_id > PHD_CONFIG_EXTENDED_LAST)
		return APDU_REJECTED_PERMANENT;
	*ret_version = APDU_VERSION_1;
	return APDU_ACCEPTED;
}

static void send_response(struct phd_manager *m, const struct apdu *a, uint16_t result,
			  uint32_t version)
{
	struct apdu response = { .choice = APDU_AARE, .result = result };

	if (a->proto == APDU_PROTO_20601) {
		response.proto = APDU_PROTO_20601;
		response.association.protocol_version = version;
		response.association.encoding_rules = APDU_RULES_MDER;
		response.association.nomenclature_version = APDU_NOMENCLATURE_1;
		response.association.system_type = APDU_SYSTEM_MANAGER;
		memcpy(response.association.system_id, m->system_id, APDU_SYSTEM_ID);
	}
	send_apdu(m, &response);
}

static void associate(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	const struct phd_config *config;
	uint32_t version;
	enum apdu_associate_result result = judge(a, &version);

	if (result != APDU_ACCEPTED) {
		send_response(m, a, (uint16_t)result, version);
		return;
	}
	m->agent = a->association;
	m->agent.options = NULL;
	m->agent.options_len = m->agent.n_options = 0;
	m->is_test = (m->agent.functional_units & APDU_UNITS_TEST) != 0;
	m->attempts = 0;
	config = phd_config_standard(m->agent.config_id);
	if (!config)
		config = phd_cache_find(m->cache, m->agent.system_id, m->agent.config_id);
	if (config) {
		m->config = *config;
		send_response(m, a, APDU_ACCEPTED, version);
		operate(m, now);
		return;
	}
	send_response(m, a, APDU_ACCEPTED_UNKNOWN_CONFIG, version);
	enter(m, PHD_CONFIGURING);
	m->deadline = now + PHD_CONFIG_TIMEOUT_US;
}

static void answer_config(struct phd_manager *m, const struct apdu *a, uint16_t id, uint16_t result)
{
	const uint8_t info[] = { (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(result >> 8),
				 (uint8_t)result };

	send_apdu(m, &(struct apdu){ .choice = APDU_PRST,
				     .invoke_id = a->invoke_id,
				     .operation = APDU_EVENT_RESPONSE,
				     .time = NO_TIME,
				     .type = MDC_NOTI_CONFIG,
				     .data = info,
				     .len = sizeof(info) });
}

static void take_config(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	struct phd_config config;
	int r;

	if (++m->attempts > PHD_CONFIG_ATTEMPTS) {
		abort_with(m, APDU_ABORT_UNDEFINED);
		return;
	}
	r = phd_config_decode(a->data, a->len, &config);
	if (r == -ENOBUFS) {
		answer_config(m, a, (uint16_t)(a->data[0] << 8 | a->data[1]), CONFIG_UNSUPPORTED);
	} else if (r < 0) {
		m->counts.malformed_reports++;
		refuse(m, a->invoke_id, APDU_REJECT, APDU_REJECT_BADLY_STRUCTURED);
	} else if (config.n_objects == 0) {
		answer_config(m, a, config.id,
			      config.id <= PHD_CONFIG_STANDARD_LAST ? CONFIG_STANDARD_UNKNOWN
								    : CONFIG_UNSUPPORTED);
	} else {
		m->config = config;
		if (config.id > PHD_CONFIG_STANDARD_LAST)
			phd_cache_put(m->cache, m->agent.system_id, &config);
		answer_config(m, a, config.id, CONFIG_ACCEPTED);
		operate(m, now);
	}
}

static void configure(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	if (a->operation == APDU_EVENT_CONFIRMED && a->type == MDC_NOTI_CONFIG && a->handle == 0) {
		take_config(m, a, now);
		return;
	}
	m->counts.unexpected++;
	if (apdu_wants_answer(a->operation))
		refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_OBJECT);
}

/* ---- reports ---- */

static bool is_pending(const struct phd_manager *m, uint16_t invoke_id)
{
	for (size_t i = 0; i < m->n_pending; i++) {
		if (m->pending[i].invoke_id == invoke_id)
			return true;
	}
	return false;
}

/* a unit that an agent states once holds for what follows */
static void learn_unit(struct phd_manager *m, const struct phd_observation *o)
{
	for (size_t i = 0; o->unit != 0 && i < m->config.n_objects; i++) {
		if (m->config.objects[i].handle == o->handle)
			m->config.objects[i].unit = o->unit;
	}
}

static void hand_on(struct phd_manager *m, const struct apdu *a)
{
	struct phd_observation o;
	struct phd_report report;
	int r = phd_report_open(a, &m->config, &report);

	assert(r == 0); /* phd_report_check() saw all of it */
	if (r < 0)
		return;
	while (r != -EMSGSIZE) {
		r = phd_report_next(&report, &o);
		if (r == 0)
			return;
		if (r != 1)
			continue;
		learn_unit(m, &o);
		m->sink->observation(m->user, &o, m->is_test);
	}
}

static void take_report(struct phd_manager *m, const struct apdu *a)
{
	bool confirmed = a->operation == APDU_EVENT_CONFIRMED;
	struct phd_report_count count;
	int r;

	if (confirmed && is_pending(m, a->invoke_id)) {
		/* our answer to the first could be taken for the second */
		abort_with(m, APDU_ABORT_UNDEFINED);
		return;
	}
	if (confirmed && m->n_pending == PHD_PENDING_MAX) {
		m->counts.refused_full++;
		refuse(m, a->invoke_id, APDU_REJECT, APDU_REJECT_RESOURCE_LIMITATION);
		return;
	}
	r = phd_report_check(a, &m->config, &count);
	if (r < 0 || (confirmed && count.n_bad > 0)) {
		m->counts.malformed_reports++;
		if (confirmed)
			refuse(m, a->invoke_id, APDU_REJECT, APDU_REJECT_BADLY_STRUCTURED);
		return;
	}
	m->counts.dropped_observations += count.n_bad;
	m->counts.unknown_observations += count.n_unknown;
	m->counts.unread_attributes += count.n_unread;
	m->counts.padded_reports += count.extra > 0;
	hand_on(m, a);
	if (confirmed)
		m->pending[m->n_pending++] = (struct phd_pending){ .invoke_id = a->invoke_id,
								   .handle = a->handle,
								   .type = a->type };
}

static void serve(struct phd_manager *m, const struct apdu *a)
{
	bool is_event = a->operation == APDU_EVENT || a->operation == APDU_EVENT_CONFIRMED;

	if (is_event && phd_report_is(a->type)) {
		take_report(m, a);
		return;
	}
	m->counts.unexpected++;
	if (a->operation == APDU_EVENT_CONFIRMED)
		refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_ACTION);
	else if (apdu_wants_answer(a->operation))
		refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_OBJECT);
}

void phd_manager_committed(struct phd_manager *m, int64_t now)
{
	(void)now;
	for (size_t i = 0; i < m->n_pending; i++) {
		const struct phd_pending *p = &m->pending[i];

		send_apdu(m, &(struct apdu){ .choice = APDU_PRST,
					     .invoke_id = p->invoke_id,
					     .operation = APDU_EVENT_RESPONSE,
					     .handle = p->handle,
					     .time = NO_TIME,
					     .type = p->type });
	}
	m->n_pending = 0;
}

static void take_answer(struct phd_manager *m, const struct apdu *a)
{
	struct phd_mds mds;

	if (!m->has_request || a->invoke_id != m->request_id) {
		m->counts.unexpected++;
		return;
	}
	m->has_request = false;
	m->deadline = PHD_NO_DEADLINE;
	if (a->operation == APDU_GET_RESPONSE && a->handle == 0 && phd_mds_decode(a, &mds) == 0)
		m->sink->mds(m->user, &mds);
	else
		m->counts.unexpected++;
}

/* ---- the state machine ---- */

enum action {
	NOTHING,
	IGNORE, /* and count */
	BEGIN,  /* a transport without an association */
	LOSE,   /* no transport */
	ABORT,  /* tell the agent that this is out of order */
	END,    /* the association is over, without a word */
	ASSOCIATE,
	CONFIGURE,
	SERVE,
	TAKE_ANSWER,
	RESPOND,      /* to its release request, and end */
	RESPOND_ALSO, /* both sides release at once: ours is still to be answered */
	EXPIRE_CONFIG,
	EXPIRE,
	ASK_RELEASE,
	REJECT, /* what cannot be read, by name where it has one */
};

/* columns as enum event */
static const uint8_t TABLE[PHD_STATES][EVENTS] = {
	/* connected, disconnected, AARQ, AARE, RLRQ, RLRE, ABRT, request, answer, timeout,
	 * release, bad */
	[PHD_DISCONNECTED] = { BEGIN, NOTHING, IGNORE, IGNORE, IGNORE, IGNORE, IGNORE, IGNORE,
			       IGNORE, NOTHING, NOTHING, IGNORE },
	[PHD_UNASSOCIATED] = { NOTHING, LOSE, ASSOCIATE, ABORT, ABORT, ABORT, NOTHING, ABORT, ABORT,
			       NOTHING, NOTHING, ABORT },
	[PHD_CONFIGURING] = { NOTHING, LOSE, ABORT, ABORT, RESPOND, ABORT, END, CONFIGURE, IGNORE,
			      EXPIRE_CONFIG, ASK_RELEASE, REJECT },
	[PHD_OPERATING] = { NOTHING, LOSE, ABORT, ABORT, RESPOND, ABORT, END, SERVE, TAKE_ANSWER,
			    EXPIRE, ASK_RELEASE, REJECT },
	[PHD_RELEASING] = { NOTHING, LOSE, ABORT, ABORT, RESPOND_ALSO, END, END, IGNORE, IGNORE,
			    EXPIRE, NOTHING, ABORT },
};

struct input {
	struct apdu apdu; /* zero where it cannot be read, or there is none */
	const uint8_t *bytes;
	size_t len;
	int error;
	int64_t now;
};

static void reject(struct phd_manager *m, const struct input *in)
{
	uint16_t invoke_id, operation;

	if (!apdu_peek(in->bytes, in->len, &invoke_id, &operation)) {
		abort_with(m, APDU_ABORT_UNDEFINED);
	} else if (in->error == -ENOMSG) {
		refuse(m, invoke_id, APDU_REJECT, APDU_REJECT_UNRECOGNIZED_OPERATION);
	} else if (apdu_wants_answer(operation)) {
		refuse(m, invoke_id, APDU_REJECT, APDU_REJECT_BADLY_STRUCTURED);
	}
}

static void ask_release(struct phd_manager *m, int64_t now)
{
	enter(m, PHD_RELEASING);
	m->deadline = now + PHD_RELEASE_TIMEOUT_US;
	send_result(m, APDU_RLRQ, APDU_RELEASE_NORMAL);
}

static void act(struct phd_manager *m, enum action action, const struct input *in)
{
	switch (action) {
	case NOTHING:
		return;
	case IGNORE:
		m->counts.unexpected++;
		return;
	case BEGIN:
	case END:
		enter(m, PHD_UNASSOCIATED);
		return;
	case LOSE:
		enter(m, PHD_DISCONNECTED);
		return;
	case ABORT:
		abort_with(m, APDU_ABORT_UNDEFINED);
		return;
	case ASSOCIATE:
		associate(m, &in->apdu, in->now);
		return;
	case CONFIGURE:
		configure(m, &in->apdu, in->now);
		return;
	case SERVE:
		serve(m, &in->apdu);
		return;
	case TAKE_ANSWER:
		take_answer(m, &in->apdu);
		return;
	case RESPOND:
	case RESPOND_ALSO:
		send_result(m, APDU_RLRE, APDU_RELEASE_NORMAL);
		if (action == RESPOND)
			enter(m, PHD_UNASSOCIATED);
		return;
	case EXPIRE_CONFIG:
		abort_with(m, APDU_ABORT_CONFIG_TIMEOUT);
		return;
	case EXPIRE:
		abort_with(m, APDU_ABORT_RESPONSE_TIMEOUT);
		return;
	case ASK_RELEASE:
		ask_release(m, in->now);
		return;
	case REJECT:
		reject(m, in);
		return;
	}
}

static void on(struct phd_manager *m, enum event event, const struct input *in)
{
	act(m, (enum action)TABLE[m->state][event], in);
}

static enum event event_of(const struct apdu *a)
{
	switch (a->choice) {
	case APDU_AARQ:
		return ON_AARQ;
	case APDU_AARE:
		return ON_AARE;
	case APDU_RLRQ:
		return ON_RLRQ;
	case APDU_RLRE:
		return ON_RLRE;
	case APDU_ABRT:
		return ON_ABRT;
	default:
		return apdu_is_answer(a->operation) ? ON_ANSWER : ON_REQUEST;
	}
}

void phd_manager_init(struct phd_manager *m, const struct phd_manager_sink *sink, void *user,
		      struct phd_cache *cache, const uint8_t *system_id)
{
	*m = (struct phd_manager){
		.sink = sink,
		.user = user,
		.cache = cache,
		.deadline = PHD_NO_DEADLINE,
	};
	memcpy(m->system_id, system_id, APDU_SYSTEM_ID);
}

void phd_manager_connected(struct phd_manager *m)
{
	on(m, ON_CONNECTED, &(struct input){ 0 });
}

void phd_manager_disconnected(struct phd_manager *m)
{
	on(m, ON_DISCONNECTED, &(struct input){ 0 });
}

void phd_manager_apdu(struct phd_manager *m, const uint8_t *bytes, size_t len, int64_t now)
{
	struct input in = { .bytes = bytes, .len = len, .now = now };

	in.error = apdu_decode(bytes, len, &in.apdu);
	if (in.error < 0) {
		m->counts.malformed_apdus++;
		on(m, ON_BAD, &in);
		return;
	}
	on(m, event_of(&in.apdu), &in);
}

int64_t phd_manager_deadline(const struct phd_manager *m)
{
	return m->deadline;
}

void phd_manager_timeout(struct phd_manager *m, int64_t now)
{
	if (now >= m->deadline)
		on(m, ON_TIMEOUT, &(struct input){ .now = now });
}

void phd_manager_release(struct phd_manager *m, int64_t now)
{
	on(m, ON_RELEASE, &(struct input){ .now = now });
}

int64_t phd_manager_answer_due(const struct phd_manager *m)
{
	(void)m;
	return PHD_NO_DEADLINE;
}

bool phd_manager_idle(const struct phd_manager *m)
{
	return m->state == PHD_OPERATING && !m->has_request && m->n_pending == 0;
}

int phd_manager_set_time(struct phd_manager *m, const struct mder_time *t, int64_t now)
{
	(void)m;
	(void)t;
	(void)now;
	return -ENOTSUP;
}
