#include "gateway/record/arrival.h"

#include <errno.h>
#include <string.h>

#include "gateway/text.h"
#include "protocols/bytes/decimal.h"

#define ID_BYTES       16
#define DIGEST_MAX     64
#define COMPONENTS_MAX 64
#define GOALS_MAX      64
#define FLAGS_MAX      64
#define TIME_MAX_MS    INT64_C(253402300799999) /* the end of the year 9999 */
#define OFFSET_MAX     (24 * 60)

bool arrival_sequence_is_good(bool has, uint64_t sequence)
{
	return has && sequence >= 1 && sequence < INT64_MAX;
}

/* ---- topic ---- */

static bool level_is_good(const char *text, size_t len)
{
	if (len == 0 || len > ARRIVAL_LEVEL_MAX || text[0] == '$')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '+' || text[i] == '#')
			return false;
	}
	return true;
}

static bool take_level(const char **topic, char ret[ARRIVAL_LEVEL_MAX + 1])
{
	size_t len = strcspn(*topic, "/");

	if (!level_is_good(*topic, len) || (*topic)[len] != '/')
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

static bool read_topic(const char *topic, struct arrival *ret)
{
	if (strnlen(topic, ARRIVAL_TOPIC_MAX) == ARRIVAL_TOPIC_MAX ||
	    !take_prefix(&topic, "wellgate/v1/") || !take_level(&topic, ret->site) ||
	    !take_level(&topic, ret->hub))
		return false;
	ret->test = take_prefix(&topic, "test/");
	if (take_prefix(&topic, "reading/")) {
		ret->kind = ARRIVAL_READINGS;
		return level_is_good(topic, strlen(topic)) && !strchr(topic, '/');
	}
	if (strcmp(topic, "goal") == 0)
		ret->kind = ARRIVAL_RESULT;
	else if (strcmp(topic, "correction") == 0)
		ret->kind = ARRIVAL_CORRECTION;
	else if (strcmp(topic, "status") == 0)
		ret->kind = ARRIVAL_STATUS;
	else
		return false;
	return true;
}

int arrival_read_topic(const char *topic, struct arrival *ret)
{
	struct arrival arrival = { 0 };

	if (!read_topic(topic, &arrival))
		return -EBADMSG;
	*ret = arrival;
	return 0;
}

/* ---- values ---- */

/* absent is fine */
static bool text_is_good(const char *text)
{
	return !text ||
	       (strnlen(text, ARRIVAL_TEXT_MAX + 1) <= ARRIVAL_TEXT_MAX && text_is_clean(text));
}

static bool texts_are_good(const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!text_is_good(texts[i]))
			return false;
	}
	return true;
}

static bool decimal_is_good(const Wellgate__V1__Decimal *d)
{
	return !d || (d->exponent >= -DECIMAL_EXPONENT_MAX && d->exponent <= DECIMAL_EXPONENT_MAX);
}

static bool time_is_good(bool has, int64_t ms)
{
	return !has || (ms >= 0 && ms <= TIME_MAX_MS);
}

static bool number_is_good(bool has, uint64_t number)
{
	return !has || number <= INT64_MAX;
}

static bool bytes_are_good(bool has, const ProtobufCBinaryData *data, size_t min, size_t max)
{
	return !has || (data->len >= min && data->len <= max);
}

static const char *component_fault(const Wellgate__V1__Component *c)
{
	const char *const texts[] = { c->unit, c->original_unit, c->loinc };

	if (!c->has_metric)
		return "a component without a metric";
	if (!decimal_is_good(c->value) || !decimal_is_good(c->original_value))
		return "a number that cannot be";
	if (!number_is_good(c->has_snomed, c->snomed))
		return "a code that cannot be";
	if (!texts_are_good(texts, sizeof(texts) / sizeof(texts[0])))
		return "a text that is too long or not clean";
	return NULL;
}

static const char *numbers_fault(const Wellgate__V1__Reading *r)
{
	if (!time_is_good(r->has_measured_at_ms, r->measured_at_ms) ||
	    !time_is_good(r->has_received_at_ms, r->received_at_ms) ||
	    !time_is_good(r->has_duration_ms, r->duration_ms))
		return "a time that cannot be";
	if (r->has_utc_offset_min &&
	    (r->utc_offset_min < -OFFSET_MAX || r->utc_offset_min > OFFSET_MAX))
		return "an offset from UTC that cannot be";
	if (!number_is_good(r->has_snomed, r->snomed) ||
	    (r->attribution && !number_is_good(r->attribution->has_registry_revision,
					       r->attribution->registry_revision)))
		return "a code that cannot be";
	return NULL;
}

static const char *texts_fault(const Wellgate__V1__Reading *r)
{
	static const char fault[] = "a text that is too long or not clean";
	const char *const texts[] = { r->loinc, r->subject, r->context };

	if (!texts_are_good(texts, sizeof(texts) / sizeof(texts[0])))
		return fault;
	for (size_t i = 0; i < r->n_goals; i++) {
		/* they are kept as one text, with blanks between */
		if (!text_is_good(r->goals[i]) || strchr(r->goals[i], ' '))
			return fault;
	}
	if (r->device) {
		const char *const of_device[] = { r->device->driver, r->device->make,
						  r->device->model, r->device->firmware,
						  r->device->hardware };

		if (!texts_are_good(of_device, sizeof(of_device) / sizeof(of_device[0])))
			return fault;
	}
	return NULL;
}

const char *arrival_reading_fault(const Wellgate__V1__Reading *r)
{
	const char *fault;

	if (!arrival_sequence_is_good(r->has_sequence, r->sequence))
		return "no sequence";
	if (!r->has_reading_id || r->reading_id.len != ID_BYTES || !r->has_dedupe_key ||
	    r->dedupe_key.len != ID_BYTES || !bytes_are_good(r->has_replaces, &r->replaces, 16, 16))
		return "no identity of 16 bytes";
	if (!r->has_metric)
		return "no metric";
	if (r->n_components > COMPONENTS_MAX || r->n_goals > GOALS_MAX || r->n_flags > FLAGS_MAX)
		return "more parts than a reading has";
	if (r->device &&
	    !bytes_are_good(r->device->has_serial_digest, &r->device->serial_digest, 0, DIGEST_MAX))
		return "a digest that is too long";
	for (size_t i = 0; i < r->n_components; i++) {
		fault = component_fault(r->components[i]);
		if (fault)
			return fault;
	}
	fault = numbers_fault(r);
	return fault ? fault : texts_fault(r);
}

/* ---- messages ---- */

static const char *result_fault(const Wellgate__V1__GoalResult *r)
{
	const char *const texts[] = { r->goal_id, r->subject, r->unit, r->words, r->tzdata };

	if (!arrival_sequence_is_good(r->has_sequence, r->sequence))
		return "no sequence";
	if (!r->goal_id || !r->goal_id[0])
		return "no goal";
	if (!time_is_good(r->has_period_start_ms, r->period_start_ms) ||
	    !time_is_good(r->has_period_end_ms, r->period_end_ms) ||
	    !time_is_good(r->has_evaluated_at_ms, r->evaluated_at_ms))
		return "a time that cannot be";
	if (!decimal_is_good(r->progress) || !decimal_is_good(r->target))
		return "a number that cannot be";
	if (!texts_are_good(texts, sizeof(texts) / sizeof(texts[0])))
		return "a text that is too long or not clean";
	return NULL;
}

static bool lane_is_known(Wellgate__V1__Receipt__Kind lane)
{
	return lane == WELLGATE__V1__RECEIPT__KIND__KIND_READINGS ||
	       lane == WELLGATE__V1__RECEIPT__KIND__KIND_RESULTS ||
	       lane == WELLGATE__V1__RECEIPT__KIND__KIND_CORRECTIONS;
}

static const char *correction_fault(const Wellgate__V1__Correction *c)
{
	const char *const texts[] = { c->from_subject, c->to_subject, c->reason };
	bool of_range = c->has_kind && c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_TOMBSTONE;

	if (!arrival_sequence_is_good(c->has_sequence, c->sequence))
		return "no sequence";
	if (!c->has_kind || c->kind == WELLGATE__V1__CORRECTION__KIND__KIND_UNSPECIFIED)
		return "no kind of correction";
	if (!texts_are_good(texts, sizeof(texts) / sizeof(texts[0])))
		return "a text that is too long or not clean";
	if (!time_is_good(c->has_at_ms, c->at_ms))
		return "a time that cannot be";
	if (of_range && (!arrival_sequence_is_good(c->has_first_sequence, c->first_sequence) ||
			 !arrival_sequence_is_good(c->has_last_sequence, c->last_sequence) ||
			 c->first_sequence > c->last_sequence))
		return "a range that cannot be";
	if (of_range && c->has_lane && !lane_is_known(c->lane))
		return "a kind of numbers that is not known";
	if (!bytes_are_good(c->has_new_reading_id, &c->new_reading_id, ID_BYTES, ID_BYTES) ||
	    !bytes_are_good(c->has_reading_id, &c->reading_id, ID_BYTES, ID_BYTES) ||
	    (!of_range && !c->has_reading_id))
		return "no identity of 16 bytes";
	return NULL;
}

static const char *status_fault(const Wellgate__V1__HubStatus *s)
{
	if (!text_is_good(s->version))
		return "a text that is too long or not clean";
	if (!time_is_good(s->has_since_ms, s->since_ms))
		return "a time that cannot be";
	if (!number_is_good(s->has_readings, s->readings) ||
	    !number_is_good(s->has_waiting, s->waiting))
		return "a number that cannot be";
	return NULL;
}

/* who a message says it is of has to be who its topic says: that is what the broker's ACL guards */
static const char *origin_fault(const struct arrival *a, const char *hub, bool has_epoch)
{
	if (!hub || strcmp(hub, a->hub) != 0)
		return "the hub is not that of the topic";
	if (!has_epoch)
		return "no epoch";
	return NULL;
}

/* a varint of at most 64 bits; false: it does not end */
static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; *p < end && shift < 64; shift += 7) {
		uint8_t byte = *(*p)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* The value of one field, and past it: 1 if it has a length, else 0; -1: cut off. */
static int take_field(const uint8_t **p, const uint8_t *end, unsigned int wire, uint64_t *ret_len)
{
	uint64_t len = wire == 1 ? 8 : 4, value;

	if (wire == 0)
		return take_varint(p, end, &value) ? 0 : -1;
	if (wire == 2 && !take_varint(p, end, &len))
		return -1;
	if ((wire != 1 && wire != 2 && wire != 5) || len > (uint64_t)(end - *p))
		return -1;
	*p += len;
	*ret_len = len;
	return wire == 2;
}

/*
 * The bytes of each reading as they came. They are kept: packing what was unpacked again could
 * order fields in another way, and a resent reading would look like a changed one.
 */
static bool find_bytes(struct arena *a, const uint8_t *p, size_t len, struct arrival *ret)
{
	const unsigned int tag = 3 << 3 | 2; /* ReadingBatch.readings */
	const uint8_t *end = p + len;
	const size_t max = ret->batch->n_readings;
	ProtobufCBinaryData *bytes = arena_alloc(a, max * sizeof(*bytes));
	size_t n = 0;

	while (bytes && p < end) {
		uint64_t key = 0, field_len = 0;
		int r;

		if (!take_varint(&p, end, &key))
			return false;
		r = take_field(&p, end, (unsigned int)(key & 7), &field_len);
		if (r < 0 || (key == tag && n == max))
			return false;
		if (key != tag)
			continue;
		bytes[n].len = (size_t)field_len;
		bytes[n].data = arena_memdup(a, p - field_len, (size_t)field_len);
		if (!bytes[n++].data)
			return false;
	}
	ret->bytes = bytes;
	return bytes && n == max;
}

static const ProtobufCMessageDescriptor *descriptor_of(enum arrival_kind kind)
{
	switch (kind) {
	case ARRIVAL_READINGS:
		return &wellgate__v1__reading_batch__descriptor;
	case ARRIVAL_RESULT:
		return &wellgate__v1__goal_result__descriptor;
	case ARRIVAL_CORRECTION:
		return &wellgate__v1__correction__descriptor;
	case ARRIVAL_STATUS:
	default:
		return &wellgate__v1__hub_status__descriptor;
	}
}

/* takes the message for what the topic says it is */
static const char *take(struct arrival *ret, const void *message)
{
	const char *fault = NULL;

	switch (ret->kind) {
	case ARRIVAL_READINGS:
		ret->batch = message;
		ret->epoch = ret->batch->epoch;
		fault = origin_fault(ret, ret->batch->hub, ret->batch->has_epoch);
		return !fault && ret->batch->n_readings == 0 ? "no readings" : fault;
	case ARRIVAL_RESULT:
		ret->result = message;
		ret->epoch = ret->result->epoch;
		fault = origin_fault(ret, ret->result->hub, ret->result->has_epoch);
		return fault ? fault : result_fault(ret->result);
	case ARRIVAL_CORRECTION:
		ret->correction = message;
		ret->epoch = ret->correction->epoch;
		fault = origin_fault(ret, ret->correction->hub, ret->correction->has_epoch);
		return fault ? fault : correction_fault(ret->correction);
	case ARRIVAL_STATUS:
	default:
		ret->status = message;
		ret->epoch = ret->status->epoch;
		ret->test = ret->test || ret->status->test;
		fault = origin_fault(ret, ret->status->hub, ret->status->has_epoch);
		return fault ? fault : status_fault(ret->status);
	}
}

int arrival_read(struct arena *a, const char *topic, const uint8_t *payload, size_t len,
		 struct arrival *ret, const char **ret_reason)
{
	struct arrival arrival = { 0 };
	const char *fault = NULL;
	const void *message = NULL;

	if (!read_topic(topic, &arrival))
		fault = "the topic is not one of ours";
	else if (len > ARRIVAL_PAYLOAD_MAX)
		fault = "longer than 1 MiB";
	if (!fault) {
		message = protobuf_c_message_unpack(descriptor_of(arrival.kind), arena_protobuf(a),
						    len, payload);
		fault = message ? take(&arrival, message) : "not the message that its topic says";
		if (!fault && arrival.batch && !find_bytes(a, payload, len, &arrival))
			fault = "not the message that its topic says";
	}
	if (fault) {
		*ret_reason = fault;
		return -EBADMSG;
	}
	*ret = arrival;
	return 0;
}
