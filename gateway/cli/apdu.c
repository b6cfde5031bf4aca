#include "gateway/cli/apdu.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/registry.h"
#include "drivers/session.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/print.h"
#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/mds.h"
#include "protocols/ieee11073/nomenclature.h"
#include "protocols/ieee11073/report.h"
#include "protocols/ieee11073/store.h"

#define NAME        "decode"
#define DRIVER_NAME "phd"

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct name {
	uint32_t value;
	const char *name;
};

static const struct name kinds[] = {
	{ APDU_AARQ, "association_request" },
	{ APDU_AARE, "association_response" },
	{ APDU_RLRQ, "release_request" },
	{ APDU_RLRE, "release_response" },
	{ APDU_ABRT, "abort" },
	{ APDU_PRST, "presentation" },
};

static const struct name operations[] = {
	{ APDU_EVENT, "event_report" },
	{ APDU_EVENT_CONFIRMED, "confirmed_event_report" },
	{ APDU_GET, "get" },
	{ APDU_SET, "set" },
	{ APDU_SET_CONFIRMED, "confirmed_set" },
	{ APDU_ACTION, "action" },
	{ APDU_ACTION_CONFIRMED, "confirmed_action" },
	{ APDU_EVENT_RESPONSE, "event_report_response" },
	{ APDU_GET_RESPONSE, "get_response" },
	{ APDU_SET_RESPONSE, "set_response" },
	{ APDU_ACTION_RESPONSE, "action_response" },
	{ APDU_ERROR, "error" },
	{ APDU_REJECT, "reject" },
};

static const struct name results[] = {
	{ APDU_ACCEPTED, "accepted" },
	{ APDU_REJECTED_PERMANENT, "rejected_permanent" },
	{ APDU_REJECTED_TRANSIENT, "rejected_transient" },
	{ APDU_ACCEPTED_UNKNOWN_CONFIG, "accepted_unknown_config" },
	{ APDU_REJECTED_NO_COMMON_PROTOCOL, "rejected_no_common_protocol" },
	{ APDU_REJECTED_NO_COMMON_PARAMETER, "rejected_no_common_parameter" },
	{ APDU_REJECTED_UNKNOWN, "rejected_unknown" },
	{ APDU_REJECTED_UNAUTHORIZED, "rejected_unauthorized" },
	{ APDU_REJECTED_ASSOC_VERSION, "rejected_unsupported_association_version" },
};

static const struct name releases[] = {
	{ APDU_RELEASE_NORMAL, "normal" },
	{ APDU_RELEASE_NO_MORE_CONFIGS, "no_more_configurations" },
	{ APDU_RELEASE_CONFIG_CHANGED, "configuration_changed" },
};

static const struct name aborts[] = {
	{ APDU_ABORT_UNDEFINED, "undefined" },
	{ APDU_ABORT_BUFFER_OVERFLOW, "buffer_overflow" },
	{ APDU_ABORT_RESPONSE_TIMEOUT, "response_timeout" },
	{ APDU_ABORT_CONFIG_TIMEOUT, "configuration_timeout" },
};

static const struct name errors[] = {
	{ APDU_ERROR_NO_SUCH_OBJECT, "no_such_object_instance" },
	{ APDU_ERROR_NO_SUCH_ACTION, "no_such_action" },
	{ APDU_ERROR_INVALID_OBJECT, "invalid_object_instance" },
	{ APDU_ERROR_PROTOCOL_VIOLATION, "protocol_violation" },
	{ APDU_ERROR_NOT_ALLOWED, "not_allowed_by_object" },
	{ APDU_ERROR_ACTION_TIMED_OUT, "action_timed_out" },
	{ APDU_ERROR_ACTION_ABORTED, "action_aborted" },
};

static const struct name rejects[] = {
	{ APDU_REJECT_UNRECOGNIZED_APDU, "unrecognized_apdu" },
	{ APDU_REJECT_BADLY_STRUCTURED, "badly_structured_apdu" },
	{ APDU_REJECT_UNRECOGNIZED_OPERATION, "unrecognized_operation" },
	{ APDU_REJECT_RESOURCE_LIMITATION, "resource_limitation" },
	{ APDU_REJECT_UNEXPECTED_ERROR, "unexpected_error" },
};

static const struct name types[] = {
	{ MDC_NOTI_CONFIG, "configuration" },
	{ MDC_NOTI_SCAN_FIXED, "scan_report_fixed" },
	{ MDC_NOTI_SCAN_VAR, "scan_report_variable" },
	{ MDC_NOTI_SCAN_MP_FIXED, "scan_report_persons_fixed" },
	{ MDC_NOTI_SCAN_MP_VAR, "scan_report_persons_variable" },
	{ MDC_NOTI_SEGMENT_DATA, "segment_data" },
	{ MDC_NOTI_UNBUF_VAR, "unbuffered_scan_variable" },
	{ MDC_NOTI_UNBUF_FIXED, "unbuffered_scan_fixed" },
	{ MDC_NOTI_UNBUF_GROUPED, "unbuffered_scan_grouped" },
	{ MDC_NOTI_UNBUF_MP_VAR, "unbuffered_scan_persons_variable" },
	{ MDC_NOTI_UNBUF_MP_FIXED, "unbuffered_scan_persons_fixed" },
	{ MDC_NOTI_UNBUF_MP_GROUPED, "unbuffered_scan_persons_grouped" },
	{ MDC_NOTI_BUF_VAR, "buffered_scan_variable" },
	{ MDC_NOTI_BUF_FIXED, "buffered_scan_fixed" },
	{ MDC_NOTI_BUF_GROUPED, "buffered_scan_grouped" },
	{ MDC_NOTI_BUF_MP_VAR, "buffered_scan_persons_variable" },
	{ MDC_NOTI_BUF_MP_FIXED, "buffered_scan_persons_fixed" },
	{ MDC_NOTI_BUF_MP_GROUPED, "buffered_scan_persons_grouped" },
	{ MDC_ACTION_SEGMENTS_CLEAR, "clear_segments" },
	{ MDC_ACTION_SEGMENTS_INFO, "get_segment_info" },
	{ MDC_ACTION_SET_TIME, "set_time" },
	{ MDC_ACTION_SEGMENT_START, "trigger_segment_transfer" },
};

static const uint16_t standard[] = { 0x0190, 0x0191, 0x02bc, 0x05dc, 0x06a4 };

/* ---- JSON ---- */

static void put(json_t *o, const char *key, json_t *value)
{
	(void)json_object_set_new(o, key, value); /* out of memory shows as a missing line */
}

static void put_int(json_t *o, const char *key, int64_t n)
{
	put(o, key, json_integer(n));
}

static void put_code(json_t *o, const char *key, uint32_t n, int digits)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%0*x", digits, n);
	put(o, key, json_string(text));
}

/* its name, or the number where it has none here */
static void put_name(json_t *o, const char *key, uint32_t value, const struct name *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i].value == value) {
			put(o, key, json_string(names[i].name));
			return;
		}
	}
	put_int(o, key, value);
}

static void put_bytes(json_t *o, const char *key, const uint8_t *data, size_t len)
{
	char *text = malloc(2 * len + 1);

	for (size_t i = 0; text && i < len; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", data[i]);
	if (text && len == 0)
		text[0] = '\0';
	put(o, key, text ? json_string(text) : NULL);
	free(text);
}

static void put_text(json_t *o, const char *key, const struct phd_text *text)
{
	size_t len = text->len;

	while (len > 0 && (text->text[len - 1] == '\0' || text->text[len - 1] == ' '))
		len--;
	if (len > 0) /* what is no UTF-8 is left out */
		put(o, key, json_stringn((const char *)text->text, len));
}

static void put_association(json_t *o, const struct apdu *a)
{
	const struct apdu_association *s = &a->association;

	if (a->choice == APDU_AARQ)
		put_code(o, "association_version", a->assoc_version, 8);
	else
		put_name(o, "result", a->result, results, N(results));
	put_int(o, "protocol", a->proto);
	if (a->proto != APDU_PROTO_20601)
		return;
	put_code(o, "protocol_version", s->protocol_version, 8);
	put_code(o, "encoding_rules", s->encoding_rules, 4);
	put_code(o, "nomenclature_version", s->nomenclature_version, 8);
	put_code(o, "functional_units", s->functional_units, 8);
	put(o, "test", json_boolean((s->functional_units & APDU_UNITS_TEST) != 0));
	put(o, "system_type",
	    json_string(s->system_type == APDU_SYSTEM_AGENT     ? "agent"
			: s->system_type == APDU_SYSTEM_MANAGER ? "manager"
								: "unknown"));
	put_bytes(o, "system_id", s->system_id, sizeof(s->system_id));
	put_code(o, "configuration", s->config_id, 4);
	put_code(o, "data_request_flags", s->data_request_flags, 4);
}

static json_t *object_json(const struct phd_config *config, const struct phd_object *object)
{
	json_t *o = json_object(), *map = json_array(), *metrics = json_array();

	put_int(o, "handle", object->handle);
	put_int(o, "class", object->object_class);
	put_int(o, "partition", object->partition);
	put_int(o, "type", object->type);
	put_int(o, "unit", object->unit);
	for (size_t i = 0; i < object->n_metrics; i++)
		(void)json_array_append_new(
			metrics, json_integer(config->metrics[object->first_metric + i]));
	for (size_t i = 0; i < object->n_map; i++) {
		const struct phd_map_entry *e = &config->map[object->first_map + i];
		json_t *entry = json_object();

		put_int(entry, "attribute", e->attribute);
		put_int(entry, "length", e->len);
		(void)json_array_append_new(map, entry);
	}
	put(o, "metrics", metrics);
	put(o, "map", map);
	return o;
}

static int put_configuration(json_t *o, const struct apdu *a)
{
	struct phd_config config;
	json_t *objects;
	int r = phd_config_decode(a->data, a->len, &config);

	if (r < 0)
		return r;
	objects = json_array();
	put_code(o, "configuration", config.id, 4);
	for (size_t i = 0; i < config.n_objects; i++)
		(void)json_array_append_new(objects, object_json(&config, &config.objects[i]));
	put(o, "objects", objects);
	return 0;
}

static int put_mds(json_t *o, const struct apdu *a)
{
	struct phd_mds mds;
	char time[32];
	int r = phd_mds_decode(a, &mds);

	if (r < 0)
		return r;
	put_text(o, "make", &mds.manufacturer);
	put_text(o, "model", &mds.model);
	put_text(o, "serial", &mds.serial);
	put_text(o, "firmware", &mds.firmware);
	put_text(o, "hardware", &mds.hardware);
	if (mds.has_system_id)
		put_bytes(o, "system_id", mds.system_id, sizeof(mds.system_id));
	if (mds.has_battery)
		put_int(o, "battery", mds.battery);
	if (mds.stamp != PHD_STAMP_GIVEN && mds.stamp != PHD_STAMP_BASE_OFFSET)
		return 0;
	(void)snprintf(time, sizeof(time), "%04u-%02u-%02uT%02u:%02u:%02u", mds.time.year,
		       mds.time.month, mds.time.day, mds.time.hour, mds.time.minute,
		       mds.time.second);
	put(o, "device_time", json_string(time));
	return 0;
}

static int put_segment_data(json_t *o, const struct apdu *a)
{
	struct phd_segment_data data;
	int r = phd_segment_data_decode(a->data, a->len, &data);

	if (r < 0)
		return r;
	put_int(o, "segment", data.instance);
	put_int(o, "first_entry", data.first);
	put_int(o, "entries", data.count);
	put_code(o, "status", data.status, 4);
	put_bytes(o, "data", data.entries, data.len);
	return 0;
}

static int put_data(json_t *o, const struct apdu *a)
{
	const bool event = a->operation == APDU_EVENT || a->operation == APDU_EVENT_CONFIRMED;

	if (event && a->type == MDC_NOTI_CONFIG)
		return put_configuration(o, a);
	if (event && a->type == MDC_NOTI_SEGMENT_DATA)
		return put_segment_data(o, a);
	if (a->operation == APDU_GET_RESPONSE && a->handle == 0)
		return put_mds(o, a);
	if (a->len > 0)
		put_bytes(o, "data", a->data, a->len);
	return 0;
}

static int put_presentation(json_t *o, const struct apdu *a)
{
	put_name(o, "operation", a->operation, operations, N(operations));
	put_int(o, "invoke_id", a->invoke_id);
	if (a->operation == APDU_ERROR) {
		put_name(o, "result", a->result, errors, N(errors));
		return 0;
	}
	if (a->operation == APDU_REJECT) {
		put_name(o, "result", a->result, rejects, N(rejects));
		return 0;
	}
	put_int(o, "handle", a->handle);
	if (a->type != 0)
		put_name(o, "type", a->type, types, N(types));
	if ((a->operation == APDU_EVENT || a->operation == APDU_EVENT_CONFIRMED) &&
	    a->time != UINT32_MAX)
		put_int(o, "event_time", a->time);
	return put_data(o, a);
}

static int put_fields(json_t *o, const struct apdu *a)
{
	put_name(o, "kind", a->choice, kinds, N(kinds));
	switch (a->choice) {
	case APDU_AARQ:
	case APDU_AARE:
		put_association(o, a);
		return 0;
	case APDU_RLRQ:
	case APDU_RLRE:
		put_name(o, "reason", a->result, releases, N(releases));
		return 0;
	case APDU_ABRT:
		put_name(o, "reason", a->result, aborts, N(aborts));
		return 0;
	default:
		return put_presentation(o, a);
	}
}

/* ---- measurements: through the driver, as from a device ---- */

struct decoding {
	json_t *fields; /* borrowed: the same in every line */
	size_t lines;
	bool failed;
};

static void print_line(struct decoding *d, json_t *line)
{
	char *text = NULL;

	if (json_object_set(line, "apdu", d->fields) == 0)
		text = json_dumps(line, JSON_COMPACT);
	if (!text || puts(text) == EOF)
		d->failed = true;
	free(text);
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	_cleanup_free_ char *text = print_measurement(m, DRIVER_NAME);
	struct decoding *d = user;
	json_t *line = text ? json_loads(text, 0, NULL) : NULL;

	(void)seq;
	d->lines++;
	if (!line)
		d->failed = true;
	else
		print_line(d, line);
	json_decref(line);
}

static void on_request(void *user, const struct session_request *request)
{
	(void)user; /* what would be answered to a device */
	(void)request;
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user; /* session_frame() returns r, too */
	(void)channel;
	(void)fault;
	(void)r;
}

static int give(struct session *session, const struct apdu *a)
{
	uint8_t bytes[64];
	struct drv_frame frame = { .channel = DRV_WIRE_APDU, .data = bytes };
	int r = apdu_encode(a, bytes, sizeof(bytes), &frame.len);

	return r < 0 ? r : session_frame(session, &frame, false, 0);
}

/* an agent of this configuration that has nothing to say of itself */
static int associate(struct session *session, uint16_t config)
{
	const struct apdu silent = { .choice = APDU_PRST, .operation = APDU_GET_RESPONSE };
	const struct apdu request = {
		.choice = APDU_AARQ,
		.assoc_version = APDU_ASSOC_VERSION_1,
		.proto = APDU_PROTO_20601,
		.n_protos = 1,
		.association = {
			.protocol_version = APDU_VERSION_1,
			.encoding_rules = APDU_RULES_MDER,
			.nomenclature_version = APDU_NOMENCLATURE_1,
			.system_type = APDU_SYSTEM_AGENT,
			.config_id = config,
		},
	};
	int r = session_open(session, LINK_REPLAY, 0);

	if (r == 0)
		r = give(session, &request);
	return r < 0 ? r : give(session, &silent);
}

static int through_driver(struct decoding *d, uint16_t config, const uint8_t *data, size_t len)
{
	const struct drv_frame frame = { .channel = DRV_WIRE_APDU, .data = data, .len = len };
	const struct session_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = d,
	};
	struct session *session;
	uint64_t next_seq = 1;
	int r = session_new(registry_by_name(DRIVER_NAME), 0, &sink, &next_seq, &session);

	if (r < 0)
		return r;
	r = associate(session, config);
	if (r == 0)
		r = session_frame(session, &frame, false, 0);
	session_free(session);
	return r;
}

/* ---- which configuration ---- */

/* strangers: it may hold observations of objects that the configuration does not have, as some
 * scales send them */
static bool fits(const struct apdu *a, uint16_t config, bool strangers)
{
	struct phd_report_count count;

	return phd_report_check(a, phd_config_standard(config), &count) == 0 && count.n_bad == 0 &&
	       count.n_good > 0 && (strangers || count.n_unknown == 0);
}

/* how many fit; they are listed */
static size_t list_fits(const struct apdu *a, bool strangers, json_t *list, uint16_t *ret_last)
{
	size_t n = 0;

	for (size_t i = 0; i < N(standard); i++) {
		char text[8];

		if (!fits(a, standard[i], strangers))
			continue;
		(void)snprintf(text, sizeof(text), "%04x", standard[i]);
		(void)json_array_append_new(list, json_string(text));
		*ret_last = standard[i];
		n++;
	}
	return n;
}

/* 0: none of them, or several */
static uint16_t only_fit(const struct apdu *a, json_t *fields)
{
	json_t *list = json_array();
	uint16_t found = 0;
	size_t n = list_fits(a, false, list, &found);

	if (n == 0)
		n = list_fits(a, true, list, &found);
	put(fields, "configurations", list);
	return n == 1 ? found : 0;
}

static bool is_report(const struct apdu *a)
{
	return a->choice == APDU_PRST &&
	       (a->operation == APDU_EVENT || a->operation == APDU_EVENT_CONFIRMED) &&
	       phd_report_is(a->type);
}

/* -EDOM: the report is not what its configuration says */
static int print_all(struct decoding *d, const struct apdu *a, uint16_t config, const uint8_t *data,
		     size_t len)
{
	json_t *empty;
	int r = 0;

	if (is_report(a) && config == 0)
		config = only_fit(a, d->fields);
	if (is_report(a) && config != 0)
		r = through_driver(d, config, data, len) < 0 ? -EDOM : 0;
	if (r < 0 || d->lines > 0)
		return r;
	empty = json_object();
	print_line(d, empty);
	json_decref(empty);
	return 0;
}

/* ---- the command ---- */

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* blanks between bytes are fine; where: of the first character that is wrong */
static int parse_hex(const char *text, uint8_t *data, size_t size, size_t *ret_len,
		     size_t *ret_where)
{
	size_t digits = 0, i;

	for (i = 0; text[i] != '\0'; i++) {
		const int v = digit_value(text[i]);

		*ret_where = i;
		if (v < 0 && (text[i] != ' ' || digits % 2 != 0))
			return -EINVAL;
		if (v < 0)
			continue;
		if (digits / 2 == size)
			return -EMSGSIZE;
		data[digits / 2] = (uint8_t)((digits % 2 ? data[digits / 2] << 4 : 0) | v);
		digits++;
	}
	*ret_where = i;
	*ret_len = digits / 2;
	return digits % 2 == 0 ? 0 : -EINVAL;
}

static int parse_config(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long value = strtoul(text, &end, 16);

	if (*end != '\0' || value == 0 || value > UINT16_MAX ||
	    !phd_config_standard((uint16_t)value))
		return -EINVAL;
	*ret = (uint16_t)value;
	return 0;
}

static int explain(const uint8_t *data, size_t len, int r)
{
	const size_t size = apdu_size(data, len);

	if (r == -ENOMSG)
		return cli_fail(NAME, EXIT_DATA,
				"apdu: %zu bytes: its choice is none of this protocol (structure)",
				len);
	if (size == 0)
		return cli_fail(NAME, EXIT_DATA,
				"apdu: %zu bytes: too short for a header of %d (length)", len,
				APDU_HEADER);
	if (size != len)
		return cli_fail(NAME, EXIT_DATA, "apdu: %zu bytes: its header says %zu (length)",
				len, size);
	return cli_fail(NAME, EXIT_DATA,
			"apdu: %zu bytes: a length inside does not fit its container (length)",
			len);
}

static int decode_bytes(const uint8_t *data, size_t len, uint16_t config)
{
	struct decoding d = { .fields = json_object() };
	struct apdu a;
	int r = apdu_decode(data, len, &a), status = EXIT_GOOD;

	if (r < 0) {
		status = explain(data, len, r);
	} else if (put_fields(d.fields, &a) < 0) {
		status = cli_fail(NAME, EXIT_DATA,
				  "apdu: %zu bytes: what it carries is damaged (structure)", len);
	} else {
		r = print_all(&d, &a, config, data, len);
		if (r < 0)
			status = cli_fail(NAME, EXIT_DATA,
					  "apdu: %zu bytes: not a report of this configuration "
					  "(structure)",
					  len);
		else if (d.failed)
			status = cli_fail(NAME, EXIT_IO, "cannot write");
	}
	json_decref(d.fields);
	return status;
}

/* size: of the buffer, which is enough */
static int decode_hex(const char *hex, uint8_t *data, size_t size, uint16_t config)
{
	size_t len = 0, where = 0;
	uint8_t *copy;
	int status;

	if (parse_hex(hex, data, size, &len, &where) < 0)
		return cli_fail(NAME, EXIT_DATA, "apdu: not hexadecimal at character %zu",
				where + 1);
	copy = malloc(len ? len : 1); /* exact size: a sanitizer sees a read too far */
	if (!copy)
		return cli_fail(NAME, EXIT_IO, "out of memory");
	if (len > 0)
		memcpy(copy, data, len);
	status = decode_bytes(copy, len, config);
	free(copy);
	return status;
}

int apdu_command(const char *hex, const char *config_text)
{
	const size_t size = strlen(hex) / 2 + 1;
	uint16_t config = 0;
	uint8_t *data;
	int status;

	if (config_text && parse_config(config_text, &config) < 0)
		return cli_fail(NAME, EXIT_DATA, "\"%.40s\" is no standard configuration",
				config_text);
	data = malloc(size);
	if (!data)
		return cli_fail(NAME, EXIT_IO, "out of memory");
	status = decode_hex(hex, data, size, config);
	free(data);
	return status;
}
