#include "protocols/ieee11073/agent.h"

#include <errno.h>
#include <string.h>

#include "protocols/ieee11073/nomenclature.h"

#define SEND_MAX 2048
#define NO_TIME  0xffffffffU

static int send_apdu(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t bytes[SEND_MAX];
	size_t len;
	int r = apdu_encode(apdu, bytes, sizeof(bytes), &len);

	if (r == 0)
		a->sink->send(a->user, bytes, len);
	return r;
}

static void send_result(struct phd_agent *a, enum apdu_choice choice, uint16_t result)
{
	(void)send_apdu(a, &(struct apdu){ .choice = (uint16_t)choice, .result = result });
}

static void end(struct phd_agent *a)
{
	send_result(a, APDU_ABRT, APDU_ABORT_UNDEFINED);
	a->state = PHD_AGENT_IDLE;
}

void phd_agent_init(struct phd_agent *a, const struct phd_agent_sink *sink, void *user,
		    const struct phd_config *config, const uint8_t *system_id)
{
	*a = (struct phd_agent){
		.sink = sink,
		.user = user,
		.config = config,
		.versions = APDU_VERSION_1,
		.next_id = 1,
	};
	memcpy(a->system_id, system_id, APDU_SYSTEM_ID);
}

void phd_agent_associate(struct phd_agent *a)
{
	struct apdu request = {
		.choice = APDU_AARQ,
		.assoc_version = APDU_ASSOC_VERSION_1,
		.proto = APDU_PROTO_20601,
		.association = {
			.protocol_version = a->versions,
			.encoding_rules = APDU_RULES_MDER,
			.nomenclature_version = APDU_NOMENCLATURE_1,
			.system_type = APDU_SYSTEM_AGENT,
			.config_id = a->config->id,
			.data_request_flags = 1,
			.init_agent_count = 1,
		},
	};

	memcpy(request.association.system_id, a->system_id, APDU_SYSTEM_ID);
	a->state = PHD_AGENT_ASSOCIATING;
	(void)send_apdu(a, &request);
}

void phd_agent_disconnected(struct phd_agent *a)
{
	a->state = PHD_AGENT_IDLE;
}

static int send_event(struct phd_agent *a, uint16_t type, const uint8_t *info, size_t len,
		      bool confirmed)
{
	return send_apdu(a, &(struct apdu){
				    .choice = APDU_PRST,
				    .invoke_id = a->next_id,
				    .operation = confirmed ? APDU_EVENT_CONFIRMED : APDU_EVENT,
				    .time = NO_TIME,
				    .type = type,
				    .data = info,
				    .len = len,
			    });
}

int phd_agent_report(struct phd_agent *a, uint16_t type, const uint8_t *info, size_t len,
		     bool confirmed, uint16_t *ret_invoke_id)
{
	int r;

	if (a->state != PHD_AGENT_OPERATING)
		return -ENOTCONN;
	r = send_event(a, type, info, len, confirmed);
	if (r < 0)
		return r;
	*ret_invoke_id = a->next_id++;
	return 0;
}

void phd_agent_release(struct phd_agent *a)
{
	a->state = PHD_AGENT_RELEASING;
	send_result(a, APDU_RLRQ, APDU_RELEASE_NORMAL);
}

static void on_response(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t info[SEND_MAX];
	size_t len;

	if (apdu->result == APDU_ACCEPTED) {
		a->state = PHD_AGENT_OPERATING;
	} else if (apdu->result == APDU_ACCEPTED_UNKNOWN_CONFIG &&
		   phd_config_encode(a->config, info, sizeof(info), &len) == 0) {
		a->state = PHD_AGENT_CONFIGURING;
		(void)send_event(a, MDC_NOTI_CONFIG, info, len, true);
		a->next_id++;
	} else {
		a->state = PHD_AGENT_IDLE;
	}
}

/* the answer to our only configuration; there is no other to try */
static void on_config_result(struct phd_agent *a, const struct apdu *apdu)
{
	if (apdu->len == 4 && apdu->data[2] == 0 && apdu->data[3] == 0) {
		a->state = PHD_AGENT_OPERATING;
		return;
	}
	a->state = PHD_AGENT_RELEASING;
	send_result(a, APDU_RLRQ, APDU_RELEASE_NO_MORE_CONFIGS);
}

static void on_get(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t attributes[] = { MDC_ATTR_SYSTEM_ID >> 8,
				 MDC_ATTR_SYSTEM_ID & 0xff,
				 0,
				 10,
				 0,
				 8,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0,
				 0 };

	memcpy(attributes + 6, a->system_id, APDU_SYSTEM_ID);
	(void)send_apdu(a, &(struct apdu){
				   .choice = APDU_PRST,
				   .invoke_id = apdu->invoke_id,
				   .operation = APDU_GET_RESPONSE,
				   .handle = apdu->handle,
				   .count = 1,
				   .data = attributes,
				   .len = sizeof(attributes),
			   });
}

static void on_presentation(struct phd_agent *a, const struct apdu *apdu)
{
	if (apdu->operation == APDU_EVENT_RESPONSE && a->state == PHD_AGENT_CONFIGURING)
		on_config_result(a, apdu);
	else if (apdu->operation == APDU_EVENT_RESPONSE)
		a->sink->answered(a->user, apdu->invoke_id, true);
	else if (apdu->operation == APDU_ERROR || apdu->operation == APDU_REJECT)
		a->sink->answered(a->user, apdu->invoke_id, false);
	else if (apdu->operation == APDU_GET && apdu->handle == 0)
		on_get(a, apdu);
	else if (apdu_wants_answer(apdu->operation))
		(void)send_apdu(a, &(struct apdu){ .choice = APDU_PRST,
						   .invoke_id = apdu->invoke_id,
						   .operation = APDU_ERROR,
						   .result = APDU_ERROR_NO_SUCH_OBJECT });
}

void phd_agent_apdu(struct phd_agent *a, const uint8_t *bytes, size_t len)
{
	struct apdu apdu;

	if (apdu_decode(bytes, len, &apdu) < 0) {
		end(a);
	} else if (apdu.choice == APDU_AARE && a->state == PHD_AGENT_ASSOCIATING) {
		on_response(a, &apdu);
	} else if (apdu.choice == APDU_PRST && a->state >= PHD_AGENT_CONFIGURING) {
		on_presentation(a, &apdu);
	} else if (apdu.choice == APDU_RLRQ) {
		send_result(a, APDU_RLRE, APDU_RELEASE_NORMAL);
		a->state = PHD_AGENT_IDLE;
	} else if (apdu.choice == APDU_ABRT ||
		   (apdu.choice == APDU_RLRE && a->state == PHD_AGENT_RELEASING)) {
		a->state = PHD_AGENT_IDLE;
	} else {
		end(a);
	}
}

const struct phd_config *phd_agent_config(uint16_t id)
{
	return phd_config_standard(id);
}

int phd_agent_entry_map(const struct phd_config *config, const uint16_t *handles, size_t n,
			uint8_t *buffer, size_t size, size_t *ret_len)
{
	(void)config;
	(void)handles;
	(void)n;
	(void)buffer;
	(void)size;
	(void)ret_len;
	return -ENOTSUP;
}

int phd_agent_entry(const struct phd_config *config, const struct mder_time *t,
		    const struct phd_observation *o, size_t n, uint8_t *buffer, size_t size,
		    size_t *ret_len)
{
	(void)config;
	(void)t;
	(void)o;
	(void)n;
	(void)buffer;
	(void)size;
	(void)ret_len;
	return -ENOTSUP;
}
