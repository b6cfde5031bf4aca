#include "protocols/ieee11073/manager.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/ieee11073/manager_parts.h"
#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

#define SEND_MAX 64 /* nothing that we send is longer */

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
	m->n_uncommitted = 0;
	m->has_report = false;
	m->has_request = false;
	m->work = PHD_WORK_NONE;
}

void phd_manager_send(struct phd_manager *m, const struct apdu *a)
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
	phd_manager_send(m, &(struct apdu){ .choice = (uint16_t)choice, .result = result });
}

void phd_manager_abort(struct phd_manager *m, enum apdu_abort_reason reason)
{
	m->counts.aborted_by_us++;
	send_result(m, APDU_ABRT, (uint16_t)reason);
	enter(m, PHD_UNASSOCIATED);
}

void phd_manager_refuse(struct phd_manager *m, uint16_t invoke_id, uint16_t operation,
			uint16_t result)
{
	phd_manager_send(m, &(struct apdu){ .choice = APDU_PRST,
					    .invoke_id = invoke_id,
					    .operation = operation,
					    .result = result });
}

static void operate(struct phd_manager *m, int64_t now)
{
	enter(m, PHD_OPERATING);
	phd_manager_work(m, now);
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
	phd_manager_send(m, &response);
}

/* what this agent has said before under this number, or everybody says */
static const struct phd_config *known_config(struct phd_manager *m)
{
	const struct phd_config *config = phd_config_standard(m->agent.config_id);

	if (config)
		return config;
	if (m->is_config_kept && m->config.id == m->agent.config_id &&
	    memcmp(m->config_system_id, m->agent.system_id, APDU_SYSTEM_ID) == 0)
		return &m->config;
	if (!m->cache)
		return NULL;
	return phd_cache_find(m->cache, m->agent.system_id, m->agent.config_id);
}

static void keep_config(struct phd_manager *m, const struct phd_config *config)
{
	if (config != &m->config)
		m->config = *config;
	memcpy(m->config_system_id, m->agent.system_id, APDU_SYSTEM_ID);
	m->is_config_kept = true;
}

void phd_manager_forget_config(struct phd_manager *m)
{
	m->is_config_kept = false;
	if (m->cache)
		phd_cache_forget(m->cache, m->agent.system_id, m->agent.config_id);
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
	m->n_rejects = 0;
	m->time_info = 0;
	config = known_config(m);
	if (config) {
		keep_config(m, config);
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

	phd_manager_send(m, &(struct apdu){ .choice = APDU_PRST,
					    .invoke_id = a->invoke_id,
					    .operation = APDU_EVENT_RESPONSE,
					    .time = PHD_NO_TIME,
					    .type = MDC_NOTI_CONFIG,
					    .data = info,
					    .len = sizeof(info) });
}

static void take_config(struct phd_manager *m, const struct apdu *a, int64_t now)
{
	struct phd_config config;
	int r;

	if (++m->attempts > PHD_CONFIG_ATTEMPTS) {
		phd_manager_abort(m, APDU_ABORT_UNDEFINED);
		return;
	}
	r = phd_config_decode(a->data, a->len, &config);
	if (r == -ENOBUFS) {
		answer_config(m, a, (uint16_t)(a->data[0] << 8 | a->data[1]), CONFIG_UNSUPPORTED);
	} else if (r < 0) {
		m->counts.malformed_reports++;
		phd_manager_refuse(m, a->invoke_id, APDU_REJECT, APDU_REJECT_BADLY_STRUCTURED);
	} else if (config.n_objects == 0) {
		answer_config(m, a, config.id,
			      config.id <= PHD_CONFIG_STANDARD_LAST ? CONFIG_STANDARD_UNKNOWN
								    : CONFIG_UNSUPPORTED);
	} else {
		m->agent.config_id = config.id;
		keep_config(m, &config);
		if (m->cache && config.id > PHD_CONFIG_STANDARD_LAST)
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
		phd_manager_refuse(m, a->invoke_id, APDU_ERROR, APDU_ERROR_NO_SUCH_OBJECT);
}

/* ---- the state machine ---- */

enum action {
	UNSET, /* no cell of the table is */
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
	EXPIRE_WORK,
	EXPIRE,
	ASK_RELEASE,
	REJECT, /* what cannot be read, by name where it has one */
};

/*
 * The numbers are those of the rows in the manager's state table of the standard. A cell without
 * one is not in that table. Where more is done than it asks, or less, it says so.
 */
static const uint8_t TABLE[PHD_STATES][EVENTS] = {
	[PHD_DISCONNECTED] = {
		[ON_CONNECTED] = BEGIN, /* 1.1 */
		[ON_DISCONNECTED] = NOTHING,
		[ON_AARQ] = IGNORE,
		[ON_AARE] = IGNORE,
		[ON_RLRQ] = IGNORE,
		[ON_RLRE] = IGNORE,
		[ON_ABRT] = IGNORE,
		[ON_REQUEST] = IGNORE,
		[ON_ANSWER] = IGNORE,
		[ON_TIMEOUT] = NOTHING,
		[ON_RELEASE] = NOTHING,
		[ON_BAD] = IGNORE,
	},
	[PHD_UNASSOCIATED] = {
		[ON_CONNECTED] = NOTHING,
		[ON_DISCONNECTED] = LOSE, /* 2.2 */
		[ON_AARQ] = ASSOCIATE,    /* 2.9, 2.10, 2.11 */
		[ON_AARE] = ABORT,        /* 2.12 */
		[ON_RLRQ] = ABORT,        /* 2.16 */
		[ON_RLRE] = IGNORE,       /* 2.17 */
		[ON_ABRT] = NOTHING,      /* 2.18 */
		[ON_REQUEST] = ABORT,     /* 2.19 */
		[ON_ANSWER] = ABORT,      /* 2.19 */
		[ON_TIMEOUT] = NOTHING,
		[ON_RELEASE] = NOTHING, /* 2.6 */
		[ON_BAD] = ABORT,       /* 2.19 */
	},
	[PHD_CONFIGURING] = {
		[ON_CONNECTED] = NOTHING,
		[ON_DISCONNECTED] = LOSE,     /* 6.2, 7.2 */
		[ON_AARQ] = ABORT,            /* 6.8, 7.8 */
		[ON_AARE] = ABORT,            /* 6.12, 7.12 */
		[ON_RLRQ] = RESPOND,          /* 6.16, 7.16 */
		[ON_RLRE] = ABORT,            /* 6.17, 7.17 */
		[ON_ABRT] = END,              /* 6.18, 7.18 */
		[ON_REQUEST] = CONFIGURE,     /* 6.24, 6.25, 7.31, 7.32 */
		[ON_ANSWER] = IGNORE,         /* 6.26; nothing was asked: it harms nobody */
		[ON_TIMEOUT] = EXPIRE_CONFIG, /* 6.4, 7.4 */
		[ON_RELEASE] = ASK_RELEASE,   /* 6.6, 7.6 */
		[ON_BAD] = REJECT,
	},
	[PHD_OPERATING] = {
		[ON_CONNECTED] = NOTHING,
		[ON_DISCONNECTED] = LOSE,   /* 8.2 */
		[ON_AARQ] = ABORT,          /* 8.8 */
		[ON_AARE] = ABORT,          /* 8.12 */
		[ON_RLRQ] = RESPOND,        /* 8.16 */
		[ON_RLRE] = ABORT,          /* 8.17 */
		[ON_ABRT] = END,            /* 8.18 */
		[ON_REQUEST] = SERVE,       /* 8.21 */
		[ON_ANSWER] = TAKE_ANSWER,  /* 8.26 */
		[ON_TIMEOUT] = EXPIRE_WORK, /* 8.4 */
		[ON_RELEASE] = ASK_RELEASE, /* 8.6 */
		[ON_BAD] = REJECT,
	},
	[PHD_RELEASING] = {
		[ON_CONNECTED] = NOTHING,
		[ON_DISCONNECTED] = LOSE,  /* 9.2 */
		[ON_AARQ] = ABORT,         /* 9.8 */
		[ON_AARE] = ABORT,         /* 9.12 */
		[ON_RLRQ] = RESPOND_ALSO,  /* 9.16 */
		[ON_RLRE] = END,           /* 9.17 */
		[ON_ABRT] = END,           /* 9.18 */
		[ON_REQUEST] = IGNORE,     /* 9.21 */
		[ON_ANSWER] = IGNORE,      /* 9.26; what we had asked may cross our release */
		[ON_TIMEOUT] = EXPIRE,     /* 9.4 */
		[ON_RELEASE] = NOTHING,    /* 9.6 */
		[ON_BAD] = ABORT,
	},
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
		phd_manager_abort(m, APDU_ABORT_UNDEFINED);
	} else if (in->error == -ENOMSG) {
		phd_manager_refuse(m, invoke_id, APDU_REJECT, APDU_REJECT_UNRECOGNIZED_OPERATION);
	} else if (apdu_wants_answer(operation)) {
		phd_manager_refuse(m, invoke_id, APDU_REJECT, APDU_REJECT_BADLY_STRUCTURED);
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
	case UNSET:
		assert(false);
		return;
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
		phd_manager_abort(m, APDU_ABORT_UNDEFINED);
		return;
	case ASSOCIATE:
		associate(m, &in->apdu, in->now);
		return;
	case CONFIGURE:
		configure(m, &in->apdu, in->now);
		return;
	case SERVE:
		phd_manager_serve(m, &in->apdu, in->now);
		return;
	case TAKE_ANSWER:
		phd_manager_answer(m, &in->apdu, in->now);
		return;
	case RESPOND:
	case RESPOND_ALSO:
		send_result(m, APDU_RLRE, APDU_RELEASE_NORMAL);
		if (action == RESPOND)
			enter(m, PHD_UNASSOCIATED);
		return;
	case EXPIRE_CONFIG:
		phd_manager_abort(m, APDU_ABORT_CONFIG_TIMEOUT);
		return;
	case EXPIRE_WORK:
		phd_manager_work_expired(m, in->now);
		return;
	case EXPIRE:
		phd_manager_abort(m, APDU_ABORT_RESPONSE_TIMEOUT);
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
		.options = { .start_scanners = true, .read_stores = true },
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

	m->has_report = false;
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
	if (m->deadline != PHD_NO_DEADLINE && now >= m->deadline)
		on(m, ON_TIMEOUT, &(struct input){ .now = now });
}

void phd_manager_release(struct phd_manager *m, int64_t now)
{
	on(m, ON_RELEASE, &(struct input){ .now = now });
}
