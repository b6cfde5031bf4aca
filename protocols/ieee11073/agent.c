#include "protocols/ieee11073/agent.h"

#include <errno.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/mds.h"
#include "protocols/ieee11073/nomenclature.h"
#include "protocols/ieee11073/store.h"

#define SEND_MAX       2048
#define PIECE_OVERHEAD 64 /* of what is around the entries, at most */
#define SELECT_IDS     2
#define NO_TIME        0xffffffffU

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

static void enter(struct phd_agent *a, enum phd_agent_state state)
{
	a->state = state;
	a->segment = NULL;
}

static void end(struct phd_agent *a)
{
	send_result(a, APDU_ABRT, APDU_ABORT_UNDEFINED);
	enter(a, PHD_AGENT_IDLE);
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
	enter(a, PHD_AGENT_ASSOCIATING);
	(void)send_apdu(a, &request);
}

void phd_agent_disconnected(struct phd_agent *a)
{
	enter(a, PHD_AGENT_IDLE);
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
	enter(a, PHD_AGENT_RELEASING);
	send_result(a, APDU_RLRQ, APDU_RELEASE_NORMAL);
}

static void on_response(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t info[SEND_MAX];
	size_t len;

	if (apdu->result == APDU_ACCEPTED) {
		enter(a, PHD_AGENT_OPERATING);
	} else if (apdu->result == APDU_ACCEPTED_UNKNOWN_CONFIG &&
		   phd_config_encode(a->config, info, sizeof(info), &len) == 0) {
		enter(a, PHD_AGENT_CONFIGURING);
		(void)send_event(a, MDC_NOTI_CONFIG, info, len, true);
		a->next_id++;
	} else {
		enter(a, PHD_AGENT_IDLE);
	}
}

/* the answer to our only configuration; there is no other to try */
static void on_config_result(struct phd_agent *a, const struct apdu *apdu)
{
	if (apdu->operation == APDU_EVENT_RESPONSE && apdu->len == 4 && apdu->data[2] == 0 &&
	    apdu->data[3] == 0) {
		enter(a, PHD_AGENT_OPERATING);
		return;
	}
	enter(a, PHD_AGENT_RELEASING);
	send_result(a, APDU_RLRQ, APDU_RELEASE_NO_MORE_CONFIGS);
}

/* ---- what it says of itself ---- */

static void refuse(struct phd_agent *a, const struct apdu *apdu, enum apdu_error error)
{
	(void)send_apdu(a, &(struct apdu){ .choice = APDU_PRST,
					   .invoke_id = apdu->invoke_id,
					   .operation = APDU_ERROR,
					   .result = (uint16_t)error });
}

/* the answer to a get, a set or an action */
static void respond(struct phd_agent *a, const struct apdu *apdu, enum apdu_operation operation,
		    unsigned int count, const struct writer *w)
{
	int r = -EMSGSIZE;

	if (writer_ok(w))
		r = send_apdu(a, &(struct apdu){ .choice = APDU_PRST,
						 .invoke_id = apdu->invoke_id,
						 .operation = (uint16_t)operation,
						 .handle = apdu->handle,
						 .type = apdu->type,
						 .count = (uint16_t)count,
						 .data = w->data,
						 .len = w->len });
	if (r < 0)
		refuse(a, apdu, APDU_ERROR_NOT_ALLOWED);
}

static size_t begin_attribute(struct writer *w, uint16_t id, unsigned int *count)
{
	writer_be16(w, id);
	++*count;
	return mder_begin(w);
}

static void write_u16(struct writer *w, uint16_t id, uint16_t value, unsigned int *count)
{
	size_t begun = begin_attribute(w, id, count);

	writer_be16(w, value);
	mder_end(w, begun);
}

static void write_u32(struct writer *w, uint16_t id, uint32_t value, unsigned int *count)
{
	size_t begun = begin_attribute(w, id, count);

	writer_be32(w, value);
	mder_end(w, begun);
}

static void write_text(struct writer *w, const char *text)
{
	mder_write_any(w, text, text ? strlen(text) : 0);
}

/* ProdSpecEntry: kind, component, text */
static void write_production(struct writer *w, const struct phd_agent_identity *i,
			     unsigned int *count)
{
	bool has_serial = i->serial != NULL, has_firmware = i->firmware != NULL;
	size_t begun, list;

	if (!has_serial && !has_firmware)
		return;
	begun = begin_attribute(w, MDC_ATTR_PRODUCTION_SPEC, count);
	list = mder_begin_list(w, (unsigned int)has_serial + has_firmware);
	if (has_serial) {
		writer_be32(w, 1U << 16);
		write_text(w, i->serial);
	}
	if (has_firmware) {
		writer_be32(w, 5U << 16);
		write_text(w, i->firmware);
	}
	mder_end(w, list);
	mder_end(w, begun);
}

/* Mds-Time-Info: capabilities u16, protocol u16, accuracy u32, resolutions u16 u16 u32 */
static void write_time_info(struct writer *w, unsigned int *count)
{
	size_t begun = begin_attribute(w, MDC_ATTR_TIME_INFO, count);

	writer_be16(w, PHD_TIME_CLOCK | PHD_TIME_SETTABLE | PHD_TIME_MANAGER_SETS);
	writer_be16(w, 7936); /* no protocol of synchronisation */
	writer_be32(w, NO_TIME);
	writer_be16(w, 100);
	writer_be16(w, 0);
	writer_be32(w, 0);
	mder_end(w, begun);
}

static void write_identity(struct writer *w, const struct phd_agent_identity *i,
			   unsigned int *count)
{
	size_t begun = begin_attribute(w, MDC_ATTR_MODEL, count);

	write_text(w, i->manufacturer);
	write_text(w, i->model);
	mder_end(w, begun);
	write_production(w, i, count);
	if (i->has_time) {
		begun = begin_attribute(w, MDC_ATTR_TIME_ABS, count);
		mder_write_time(w, &i->time);
		mder_end(w, begun);
	}
	if (i->may_set_time)
		write_time_info(w, count);
	if (i->has_battery)
		write_u16(w, MDC_ATTR_BATTERY, i->battery, count);
}

static void say_device(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t attributes[SEND_MAX];
	struct writer w = writer_of(attributes, sizeof(attributes));
	unsigned int count = 0;
	size_t begun = begin_attribute(&w, MDC_ATTR_SYSTEM_ID, &count);

	mder_write_any(&w, a->system_id, APDU_SYSTEM_ID);
	mder_end(&w, begun);
	write_u16(&w, MDC_ATTR_CONFIG_ID, a->config->id, &count);
	if (a->identity)
		write_identity(&w, a->identity, &count);
	respond(a, apdu, APDU_GET_RESPONSE, count, &w);
}

/* ---- its store ---- */

static void say_store(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t attributes[32];
	struct writer w = writer_of(attributes, sizeof(attributes));
	unsigned int count = 0;
	uint32_t usage = 0;

	for (size_t i = 0; i < a->store->n_segments; i++)
		usage += a->store->segments[i].n_entries;
	write_u16(&w, MDC_ATTR_STORE_SEGMENTS, (uint16_t)a->store->n_segments, &count);
	write_u32(&w, MDC_ATTR_STORE_USAGE, usage, &count);
	respond(a, apdu, APDU_GET_RESPONSE, count, &w);
}

static void say_segment(struct writer *w, const struct phd_agent_store *store,
			const struct phd_agent_segment *segment)
{
	unsigned int count = 0;
	size_t list, begun;

	writer_be16(w, segment->instance);
	list = mder_begin_list(w, 3);
	write_u16(w, MDC_ATTR_SEGMENT_INSTANCE, segment->instance, &count);
	begun = begin_attribute(w, MDC_ATTR_SEGMENT_MAP, &count);
	writer_bytes(w, store->map, store->map_len);
	mder_end(w, begun);
	write_u32(w, MDC_ATTR_SEGMENT_USAGE, segment->n_entries, &count);
	mder_end(w, list);
}

static void say_segments(struct phd_agent *a, const struct apdu *apdu)
{
	uint8_t info[SEND_MAX];
	struct writer w = writer_of(info, sizeof(info));
	size_t list = mder_begin_list(&w, (unsigned int)a->store->n_segments);

	for (size_t i = 0; i < a->store->n_segments; i++)
		say_segment(&w, a->store, &a->store->segments[i]);
	mder_end(&w, list);
	respond(a, apdu, APDU_ACTION_RESPONSE, 0, &w);
}

/* the next entries of the transfer; it ends with the last, or with what cannot be sent */
static void send_piece(struct phd_agent *a)
{
	const struct phd_agent_segment *s = a->segment;
	uint32_t left = s->n_entries - a->next_entry, n = a->store->entries_per_event;
	uint32_t fit = (uint32_t)((SEND_MAX - PIECE_OVERHEAD) / s->entry_len);
	uint16_t status = a->next_entry == 0 ? PHD_SEGMENT_FIRST : 0;
	uint8_t info[SEND_MAX];
	struct writer w = writer_of(info, sizeof(info));
	struct apdu event = { .choice = APDU_PRST,
			      .invoke_id = a->next_id,
			      .operation = APDU_EVENT_CONFIRMED,
			      .handle = a->store->handle,
			      .time = NO_TIME,
			      .type = MDC_NOTI_SEGMENT_DATA,
			      .data = info };

	n = n == 0 || n > fit ? fit : n;
	n = n > left ? left : n;
	if (n == left)
		status |= PHD_SEGMENT_LAST;
	writer_be16(&w, s->instance);
	writer_be32(&w, a->next_entry);
	writer_be32(&w, n);
	writer_be16(&w, status);
	mder_write_any(&w, s->entries + (size_t)a->next_entry * s->entry_len,
		       (size_t)n * s->entry_len);
	event.len = w.len;
	if (!writer_ok(&w) || send_apdu(a, &event) < 0) {
		a->segment = NULL;
		return;
	}
	a->segment_id = a->next_id++;
	a->piece = n;
}

static const struct phd_agent_segment *find_segment(const struct phd_agent *a, uint16_t instance)
{
	for (size_t i = 0; i < a->store->n_segments; i++) {
		if (a->store->segments[i].instance == instance)
			return &a->store->segments[i];
	}
	return NULL;
}

static void start_segment(struct phd_agent *a, const struct apdu *apdu)
{
	struct cursor c = cursor_of(apdu->data, apdu->len);
	uint16_t instance = cursor_be16(&c);
	const struct phd_agent_segment *segment = find_segment(a, instance);
	uint16_t result = PHD_TRANSFER_STARTED;
	uint8_t info[4];
	struct writer w = writer_of(info, sizeof(info));

	if (!segment || segment->entry_len == 0 || segment->entry_len > SEND_MAX - PIECE_OVERHEAD)
		result = PHD_TRANSFER_NO_SEGMENT;
	else if (segment->n_entries == 0)
		result = PHD_TRANSFER_EMPTY;
	writer_be16(&w, instance);
	writer_be16(&w, result);
	respond(a, apdu, APDU_ACTION_RESPONSE, 0, &w);
	if (result != PHD_TRANSFER_STARTED)
		return;
	a->segment = segment;
	a->next_entry = 0;
	send_piece(a);
}

/* SegmSelection: all of them, or a list of instances */
static void clear_segments(struct phd_agent *a, const struct apdu *apdu)
{
	struct cursor c = cursor_of(apdu->data, apdu->len), ids;
	uint16_t choice = cursor_be16(&c);
	struct cursor selection = mder_any(&c);
	struct writer nothing = writer_of(NULL, 0);
	unsigned int count;

	ids = mder_list(&selection, 2, &count);
	if (choice != SELECT_IDS || !cursor_at_end(&selection)) {
		refuse(a, apdu, APDU_ERROR_NOT_ALLOWED);
		return;
	}
	for (unsigned int i = 0; i < count; i++) {
		uint16_t instance = cursor_be16(&ids);

		if (find_segment(a, instance) && a->sink->segment_cleared)
			a->sink->segment_cleared(a->user, instance);
	}
	respond(a, apdu, APDU_ACTION_RESPONSE, 0, &nothing);
}

/* SegmentDataResult: only what repeats ours, with the manager's confirmation, goes on */
static void on_piece_answered(struct phd_agent *a, const struct apdu *apdu)
{
	struct cursor c = cursor_of(apdu->data, apdu->len);
	const struct phd_agent_segment *s = a->segment;
	bool ours = cursor_be16(&c) == s->instance && cursor_be32(&c) == a->next_entry &&
		    cursor_be32(&c) == a->piece;
	uint16_t status = cursor_be16(&c);

	if (!ours || !cursor_at_end(&c) || status != PHD_SEGMENT_MANAGER_CONFIRM) {
		a->segment = NULL;
		return;
	}
	if (a->sink->segment_taken)
		a->sink->segment_taken(a->user, s->instance, a->next_entry, a->piece);
	a->next_entry += a->piece;
	if (a->next_entry < s->n_entries)
		send_piece(a);
	else
		a->segment = NULL;
}

/* ---- what it is asked ---- */

static void set_time(struct phd_agent *a, const struct apdu *apdu)
{
	struct cursor c = cursor_of(apdu->data, apdu->len);
	struct writer nothing = writer_of(NULL, 0);
	struct mder_time t;

	if (!a->identity || !a->identity->may_set_time || mder_read_time(&c, &t) < 0) {
		refuse(a, apdu, APDU_ERROR_NOT_ALLOWED);
		return;
	}
	if (a->sink->time_set)
		a->sink->time_set(a->user, &t);
	respond(a, apdu, APDU_ACTION_RESPONSE, 0, &nothing);
}

static bool is_store(const struct phd_agent *a, const struct apdu *apdu)
{
	return a->store && apdu->handle == a->store->handle;
}

static void on_action(struct phd_agent *a, const struct apdu *apdu)
{
	if (apdu->handle == 0 && apdu->type == MDC_ACTION_SET_TIME)
		set_time(a, apdu);
	else if (is_store(a, apdu) && apdu->type == MDC_ACTION_SEGMENTS_INFO)
		say_segments(a, apdu);
	else if (is_store(a, apdu) && apdu->type == MDC_ACTION_SEGMENT_START)
		start_segment(a, apdu);
	else if (is_store(a, apdu) && apdu->type == MDC_ACTION_SEGMENTS_CLEAR)
		clear_segments(a, apdu);
	else
		refuse(a, apdu, APDU_ERROR_NO_SUCH_ACTION);
}

/* one attribute of one of its objects, and it is set: a scanner that is started */
static void on_set(struct phd_agent *a, const struct apdu *apdu)
{
	if (apdu->count != 1 || !phd_config_object(a->config, apdu->handle)) {
		refuse(a, apdu, APDU_ERROR_NO_SUCH_OBJECT);
		return;
	}
	(void)send_apdu(a, &(struct apdu){ .choice = APDU_PRST,
					   .invoke_id = apdu->invoke_id,
					   .operation = APDU_SET_RESPONSE,
					   .handle = apdu->handle,
					   .count = 1,
					   .data = apdu->data + 2,
					   .len = apdu->len - 2 });
}

static void on_request(struct phd_agent *a, const struct apdu *apdu)
{
	if (apdu->operation == APDU_GET && apdu->handle == 0)
		say_device(a, apdu);
	else if (apdu->operation == APDU_GET && is_store(a, apdu))
		say_store(a, apdu);
	else if (apdu->operation == APDU_ACTION_CONFIRMED)
		on_action(a, apdu);
	else if (apdu->operation == APDU_SET_CONFIRMED)
		on_set(a, apdu);
	else if (apdu_wants_answer(apdu->operation))
		refuse(a, apdu, APDU_ERROR_NO_SUCH_OBJECT);
}

static bool is_piece(const struct phd_agent *a, const struct apdu *apdu)
{
	return a->segment && apdu->invoke_id == a->segment_id;
}

static void on_presentation(struct phd_agent *a, const struct apdu *apdu)
{
	bool is_no = apdu->operation == APDU_ERROR || apdu->operation == APDU_REJECT;

	if (a->state == PHD_AGENT_CONFIGURING && (apdu->operation == APDU_EVENT_RESPONSE || is_no))
		on_config_result(a, apdu);
	else if (is_piece(a, apdu) && apdu->operation == APDU_EVENT_RESPONSE)
		on_piece_answered(a, apdu);
	else if (is_piece(a, apdu) && is_no)
		a->segment = NULL;
	else if (apdu->operation == APDU_EVENT_RESPONSE || is_no)
		a->sink->answered(a->user, apdu->invoke_id, !is_no);
	else
		on_request(a, apdu);
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
		enter(a, PHD_AGENT_IDLE);
	} else if (apdu.choice == APDU_ABRT ||
		   (apdu.choice == APDU_RLRE && a->state == PHD_AGENT_RELEASING)) {
		enter(a, PHD_AGENT_IDLE);
	} else {
		end(a);
	}
}

/* ---- what a simulation is made of ---- */

/* a cuff with a memory */
static const struct phd_config EXTENDED = {
	.id = PHD_AGENT_EXTENDED,
	.n_objects = 3,
	.objects = { { .object_class = MDC_CLASS_NUMERIC,
		       .handle = 1,
		       .partition = MDC_PART_SCADA,
		       .type = 18948,
		       .unit = MDC_DIM_MMHG,
		       .n_metrics = 3,
		       .n_map = 2 },
		     { .object_class = MDC_CLASS_NUMERIC,
		       .handle = 2,
		       .partition = MDC_PART_SCADA,
		       .type = 18474,
		       .unit = MDC_DIM_BPM,
		       .first_map = 2,
		       .n_map = 2 },
		     { .object_class = MDC_CLASS_PM_STORE, .handle = PHD_AGENT_STORE } },
	.n_map = 4,
	.map = { { .attribute = MDC_ATTR_CMPD_BASIC, .len = 10 },
		 { .attribute = MDC_ATTR_STAMP_ABS, .len = MDER_ABSOLUTE_TIME },
		 { .attribute = MDC_ATTR_NU_BASIC, .len = 2 },
		 { .attribute = MDC_ATTR_STAMP_ABS, .len = MDER_ABSOLUTE_TIME } },
	.n_metrics = 3,
	.metrics = { 18949, 18950, 18951 },
};

const struct phd_config *phd_agent_config(uint16_t id)
{
	return id == PHD_AGENT_EXTENDED ? &EXTENDED : phd_config_standard(id);
}

/* the map of an object without its time; returns how many entries */
static size_t map_of(const struct phd_config *config, const struct phd_object *o,
		     struct phd_map_entry map[PHD_MAPS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < o->n_map; i++) {
		const struct phd_map_entry *entry = &config->map[o->first_map + i];

		if (entry->attribute != MDC_ATTR_STAMP_ABS)
			map[n++] = *entry;
	}
	return n;
}

static void write_element(struct writer *w, const struct phd_config *config,
			  const struct phd_object *o)
{
	struct phd_map_entry map[PHD_MAPS_MAX];
	size_t n = map_of(config, o, map), list;

	writer_be16(w, o->object_class);
	writer_be16(w, o->partition);
	writer_be16(w, o->type);
	writer_be16(w, o->handle);
	list = mder_begin_list(w, (unsigned int)n);
	for (size_t i = 0; i < n; i++) {
		writer_be16(w, map[i].attribute);
		writer_be16(w, map[i].len);
	}
	mder_end(w, list);
}

int phd_agent_entry_map(const struct phd_config *config, const uint16_t *handles, size_t n,
			uint8_t *buffer, size_t size, size_t *ret_len)
{
	struct writer w = writer_of(buffer, size);
	size_t list;

	writer_be16(&w, PHD_ENTRY_ABSOLUTE);
	list = mder_begin_list(&w, (unsigned int)n);
	for (size_t i = 0; i < n; i++) {
		const struct phd_object *o = phd_config_object(config, handles[i]);

		if (!o)
			return -ENOENT;
		write_element(&w, config, o);
	}
	mder_end(&w, list);
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): an encoder of ours says where to, and how much */
int phd_agent_entry(const struct phd_config *config, const struct mder_time *t,
		    const struct phd_observation *o, size_t n, uint8_t *buffer, size_t size,
		    size_t *ret_len)
{
	struct writer w = writer_of(buffer, size);
	struct phd_map_entry map[PHD_MAPS_MAX];

	mder_write_time(&w, t);
	for (size_t i = 0; i < n; i++) {
		const struct phd_object *object = phd_config_object(config, o[i].handle);
		int r;

		if (!object)
			return -ENOENT;
		r = phd_observation_write(object, map, map_of(config, object, map), &o[i], &w);
		if (r < 0)
			return r;
	}
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}
