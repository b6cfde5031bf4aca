/*
 * Personal healthcare devices (USB class 0x0f): a cuff, a scale, a glucose meter, an oximeter
 * with standard configurations, a scale with one of its own (0x4000), and a meter that remembers
 * (phdc_store.h), of IEEE 11073-20601 over PHDC.
 *
 *   plugged in --> AARQ --> AARE --> [configuration] --> operating --> report ... confirmed
 *
 * A device keeps a reading until its report is confirmed. One report is on its way at a time
 * (`window N`: several); one that is not answered for 3 s ends the association with an abort, and
 * the device begins anew. So it does after an abort or a release of the host, as long as it has
 * readings. The meter reports nothing: its store is opened by the host, and keeps all that it has.
 *
 * phdc_preamble is a meter that offers the metadata preamble: once the host has switched it on,
 * each transfer has one before it, either way.
 *
 * Descriptors: USB PHDC 1.0, 20h and 30h behind the interface, 21h behind each endpoint. Reports:
 * the fixed format of -20601, laid out here by hand.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocols/bytes/medfloat.h"
#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/agent.h"
#include "tests/lab/usb/models/models.h"
#include "tests/lab/usb/models/phdc_store.h"

#define BULK_IN     0x81
#define BULK_OUT    0x02
#define EVENT_IN    0x83
#define STOCK       1024
#define APDU_MAX    4096
#define HEAD        4 /* of an APDU: choice and length */
#define CONFIRM     (3 * USB_SECOND)
#define ASSOCIATION (10 * USB_SECOND)
#define AGAIN       (USB_SECOND / 2)
#define SCAN_FIXED  0x0d1d
#define FROM_AGENT  0xf000
#define MINUTE      60

/* PHDC 1.0: GET_STATUS says which endpoints have data; SET_FEATURE asks for preambles */
#define GET_DATA_STATUS 0
#define SET_FEATURE     3
#define CLEAR_FEATURE   1
#define CLASS_GET       0xa1
#define CLASS_SET       0x21
#define METADATA        0x0101 /* the feature, and the version of the preamble */

static const uint8_t DEVICE[18] = {
	18, 1, 0x00, 0x02, 0, 0, 0, 64, 0x09, 0x12, 0x73, 0x10, 0x00, 0x01, 1, 2, 3, 1,
};

/* the specialisation is of the cuff; hosts ask the association for it, not this */
/* preamble: 1, it can be switched on */
#define CONFIGURATION_WITH(preamble)                                                 \
	{                                                                            \
		9, 2, 61, 0, 1, 1, 0, 0xc0, 0,        /* configuration */            \
			9, 4, 0, 0, 3, 0x0f, 0, 0, 0, /* interface, 3 endpoints */   \
			4, 0x20, 0x02, (preamble),    /* 11073-20601 */              \
			6, 0x30, 0, 1, 0x07, 0x10,    /* one specialisation: 4103 */ \
			7, 5, BULK_IN, 2, 64, 0, 0,   /* */                          \
			4, 0x21, 1, 0x10,             /* latency, reliability */     \
			7, 5, BULK_OUT, 2, 64, 0, 0,  /* */                          \
			4, 0x21, 1, 0x10,             /* */                          \
			7, 5, EVENT_IN, 3, 64, 0, 16, /* */                          \
			4, 0x21, 1, 0x01,             /* low latency */              \
	}

static const uint8_t CONFIGURATION[] = CONFIGURATION_WITH(0);
static const uint8_t CONFIGURATION_PREAMBLE[] = CONFIGURATION_WITH(1);

/* signature, one transfer that follows, encoding, high latency and best reliability, no more */
static const uint8_t PREAMBLE[20] = {
	'P', 'h', 'd', 'c', 'Q', 'o', 'S', 'S', 'i',  'g',
	'n', 'a', 't', 'u', 'r', 'e', 1,   1,   0x10, 0,
};

enum kind {
	CUFF,
	SCALE,
	GLUCOSE,
	OXIMETER,
	EXTENDED,
	METER,
};

struct variant {
	enum kind kind;
	uint16_t config_id;
	bool offers_preamble;
};

/* ConfigReport of a scale that also says the body mass index: two numeric objects, each FLOAT and
 * time. Body mass 57664 in kg (1731), index 57680 in kg/m2 (1952). */
static const uint8_t EXTENDED_CONFIG[] = {
	0x40, 0x00, 0x00, 0x02, 0x00, 0x58,             /* 0x4000: two objects, 88 bytes */
	0x00, 0x06, 0x00, 0x01, 0x00, 0x04, 0x00, 0x24, /* numeric, handle 1, four attributes */
	0x09, 0x2f, 0x00, 0x04, 0x00, 0x02, 0xe1, 0x40, /* type */
	0x0a, 0x46, 0x00, 0x02, 0xf0, 0x40,             /* metric-spec-small */
	0x09, 0x96, 0x00, 0x02, 0x06, 0xc3,             /* unit */
	0x0a, 0x55, 0x00, 0x0c, 0x00, 0x02, 0x00, 0x08, /* map: two entries */
	0x0a, 0x56, 0x00, 0x04, 0x09, 0x90, 0x00, 0x08, /* simple FLOAT, time */
	0x00, 0x06, 0x00, 0x07, 0x00, 0x04, 0x00, 0x24, /* numeric, handle 7 */
	0x09, 0x2f, 0x00, 0x04, 0x00, 0x02, 0xe1, 0x50, 0x0a, 0x46, 0x00, 0x02,
	0xf0, 0x40, 0x09, 0x96, 0x00, 0x02, 0x07, 0xa0, 0x0a, 0x55, 0x00, 0x0c,
	0x00, 0x02, 0x00, 0x08, 0x0a, 0x56, 0x00, 0x04, 0x09, 0x90, 0x00, 0x08,
};

struct phdc_reading {
	uint32_t number; /* from 1; part of the value, so that none looks like another */
	time_t time;
	bool sent, confirmed;
	uint16_t invoke_id;
};

struct phdc {
	struct phd_agent agent;
	struct phd_config own_config;
	struct phdc_reading stock[STOCK];
	unsigned int n, window, batch;
	bool releases;
	bool preamble;  /* the host has switched it on */
	bool announced; /* by a preamble: the next transfer of the host */
	uint16_t report_no;
	uint8_t apdu[APDU_MAX];
	size_t have;
	enum phd_agent_state was;
	struct phdc_store memory; /* of the meter */
};

static const struct variant *variant_of(const struct usb_device *d)
{
	return d->model->variant;
}

static bool has_store(const struct usb_device *d)
{
	return variant_of(d)->kind == METER;
}

/* ---- reports ---- */

/* ObservationScanFixed with a time stamp at its end */
static void begin_observation(struct writer *w, uint16_t handle, uint16_t value_len)
{
	writer_be16(w, handle);
	writer_be16(w, (uint16_t)(value_len + 8));
}

static void put_cuff(const struct usb_device *d, struct writer *w, const struct phdc_reading *r)
{
	const struct usb_pressure p = usb_pressure_of(d, r->number);

	begin_observation(w, 1, 10);
	writer_be16(w, 3);
	writer_be16(w, 6);
	writer_be16(w, p.systolic);
	writer_be16(w, p.diastolic);
	writer_be16(w, p.mean);
	phdc_put_time(w, r->time);
	begin_observation(w, 2, 2);
	writer_be16(w, p.pulse);
	phdc_put_time(w, r->time);
}

/* tenths: FLOAT with exponent -1 */
static void put_float(struct writer *w, uint16_t handle, uint32_t tenths, time_t time)
{
	begin_observation(w, handle, 4);
	writer_be32(w, 0xff000000U | tenths);
	phdc_put_time(w, time);
}

static void put_basic(struct writer *w, uint16_t handle, uint16_t value, time_t time)
{
	begin_observation(w, handle, 2);
	writer_be16(w, value);
	phdc_put_time(w, time);
}

static unsigned int put_reading(const struct usb_device *d, struct writer *w,
				const struct phdc_reading *r)
{
	switch (variant_of(d)->kind) {
	case CUFF:
		put_cuff(d, w, r);
		return 2;
	case SCALE:
		put_float(w, 1, 702 + r->number, r->time);
		return 1;
	case GLUCOSE:
		put_basic(w, 1, (uint16_t)(80 + r->number), r->time);
		return 1;
	case OXIMETER:
		put_basic(w, 1, (uint16_t)(90 + r->number % 10), r->time);
		put_basic(w, 10, (uint16_t)(50 + r->number), r->time);
		return 2;
	case EXTENDED:
		put_float(w, 1, 702 + r->number, r->time);
		put_float(w, 7, 240 + r->number, r->time);
		return 2;
	case METER:
		break;
	}
	return 0;
}

/* ScanReportInfoFixed; returns its length */
static size_t encode(struct usb_device *d, unsigned int first, unsigned int n,
		     uint8_t info[APDU_MAX])
{
	struct phdc *const s = d->state;
	struct writer w = writer_of(info, APDU_MAX), head = writer_of(info + 4, 4);
	unsigned int count = 0;

	writer_be16(&w, FROM_AGENT);
	writer_be16(&w, s->report_no++);
	writer_be32(&w, 0); /* count and length: below */
	for (unsigned int i = 0; i < n; i++)
		count += put_reading(d, &w, &s->stock[first + i]);
	assert(writer_ok(&w));
	writer_be16(&head, (uint16_t)count);
	writer_be16(&head, (uint16_t)(w.len - 8));
	return w.len;
}

/* ---- the dialogue ---- */

static unsigned int on_their_way(const struct phdc *s)
{
	unsigned int n = 0;
	uint16_t last = 0;

	for (unsigned int i = 0; i < s->n; i++) {
		if (s->stock[i].sent && s->stock[i].invoke_id != last) {
			last = s->stock[i].invoke_id;
			n++;
		}
	}
	return n;
}

static bool report(struct usb_device *d)
{
	struct phdc *const s = d->state;
	unsigned int first = 0, n = 0;
	uint8_t info[APDU_MAX];
	uint16_t invoke_id;
	size_t len;

	if (has_store(d))
		return false;
	while (first < s->n && (s->stock[first].sent || s->stock[first].confirmed))
		first++;
	while (n < s->batch && first + n < s->n && !s->stock[first + n].confirmed)
		n++;
	if (n == 0)
		return false;
	len = encode(d, first, n, info);
	if (phd_agent_report(&s->agent, SCAN_FIXED, info, len, true, &invoke_id) < 0)
		return false;
	for (unsigned int i = first; i < first + n; i++) {
		s->stock[i].sent = true;
		s->stock[i].invoke_id = invoke_id;
		usb_log(d, "reported n=%u invoke=%u", s->stock[i].number, invoke_id);
	}
	return true;
}

static bool has_readings(const struct phdc *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		if (!s->stock[i].confirmed)
			return true;
	}
	return false;
}

static void forget_sent(struct phdc *s)
{
	for (unsigned int i = 0; i < s->n; i++)
		s->stock[i].sent = false;
}

/* What follows from the state that the agent is in now. */
static void go_on(struct usb_device *d)
{
	struct phdc *const s = d->state;
	static const char *const names[] = { "idle", "associating", "configuring", "operating",
					     "releasing" };

	if (s->agent.state != s->was)
		usb_log(d, "%s", names[s->agent.state]);
	s->was = s->agent.state;
	switch (s->agent.state) {
	case PHD_AGENT_IDLE:
		forget_sent(s);
		usb_timer(d, has_readings(s) ? AGAIN : USB_NEVER);
		break;
	case PHD_AGENT_OPERATING:
		while (on_their_way(s) < s->window && report(d))
			;
		if (on_their_way(s) > 0)
			usb_timer(d, CONFIRM);
		else if (s->agent.segment)
			usb_timer(d, ASSOCIATION);
		else if (s->releases)
			phd_agent_release(&s->agent);
		else
			usb_timer(d, USB_NEVER);
		break;
	case PHD_AGENT_ASSOCIATING:
	case PHD_AGENT_CONFIGURING:
	case PHD_AGENT_RELEASING:
		usb_timer(d, ASSOCIATION);
		break;
	}
}

static void on_send(void *user, const uint8_t *apdu, size_t len)
{
	struct usb_device *const d = user;

	const struct phdc *const s = d->state;

	usb_log_bytes(d, "sends", apdu, len);
	if (s->preamble)
		usb_send(d, BULK_IN, PREAMBLE, sizeof(PREAMBLE));
	usb_send(d, BULK_IN, apdu, len);
}

static void on_answered(void *user, uint16_t invoke_id, bool taken)
{
	struct usb_device *const d = user;
	struct phdc *const s = d->state;

	for (unsigned int i = 0; i < s->n; i++) {
		struct phdc_reading *const r = &s->stock[i];

		if (!r->sent || r->invoke_id != invoke_id)
			continue;
		r->sent = false;
		r->confirmed = taken;
		usb_log(d, "%s n=%u", taken ? "confirmed" : "refused", r->number);
	}
}

static void on_segment_taken(void *user, uint16_t segment, uint32_t first, uint32_t count)
{
	struct usb_device *const d = user;
	struct phdc *const s = d->state;

	for (uint32_t i = first; i < first + count; i++) {
		const uint32_t number = phdc_store_number(segment, i);

		s->stock[number - 1].confirmed = true;
		usb_log(d, "confirmed n=%u", number);
	}
}

static void on_segment_cleared(void *user, uint16_t segment)
{
	usb_log(user, "host-error cleared segment %u", segment);
}

static const struct phd_agent_sink SINK = {
	.send = on_send,
	.answered = on_answered,
	.segment_taken = on_segment_taken,
	.segment_cleared = on_segment_cleared,
};

static void associate(struct usb_device *d)
{
	struct phdc *const s = d->state;

	if (has_store(d))
		phdc_store_show(&s->memory, s->n);
	phd_agent_associate(&s->agent);
}

/* the dialogue from its beginning */
static void begin(struct usb_device *d)
{
	struct phdc *const s = d->state;

	s->have = 0;
	s->announced = false;
	forget_sent(s);
	phd_agent_disconnected(&s->agent);
	associate(d);
	go_on(d);
}

static void phdc_configured(struct usb_device *d)
{
	((struct phdc *)d->state)->preamble = false;
	begin(d);
}

static void phdc_unplugged(struct usb_device *d)
{
	struct phdc *const s = d->state;

	phd_agent_disconnected(&s->agent);
	forget_sent(s);
	s->was = PHD_AGENT_IDLE;
}

static void phdc_timer(struct usb_device *d)
{
	struct phdc *const s = d->state;

	if (d->plug.fd < 0 || d->configuration == 0)
		return;
	if (s->agent.state != PHD_AGENT_IDLE) {
		usb_log(d, "timed out");
		on_send(d, (const uint8_t[]){ 0xe6, 0, 0, 2, 0, 2 }, 6); /* abort: no response */
		phd_agent_disconnected(&s->agent);
		forget_sent(s);
	}
	associate(d);
	go_on(d);
}

/* ---- what the host says ---- */

/* One transfer is announced at a time: our host has no need for more. */
static bool is_preamble(const uint8_t *data, size_t len)
{
	const size_t quality = sizeof(PREAMBLE) - 2;

	return len == sizeof(PREAMBLE) && memcmp(data, PREAMBLE, quality) == 0 &&
	       data[quality] == PREAMBLE[quality] && data[len - 1] == 0;
}

/* true: the transfer belongs to the dialogue */
static bool is_data(struct usb_device *d, const uint8_t *data, size_t len)
{
	struct phdc *const s = d->state;

	if (!s->preamble)
		return true;
	if (s->announced) {
		s->announced = false;
		return true;
	}
	s->announced = is_preamble(data, len);
	if (!s->announced)
		usb_log_bytes(d, "host-error no preamble", data, len);
	return false;
}

/* Whole APDUs; transfers may cut them anywhere. */
static void phdc_out(struct usb_device *d, uint8_t endpoint, const uint8_t *data, size_t len)
{
	struct phdc *const s = d->state;
	size_t need;

	(void)endpoint;
	if (!is_data(d, data, len))
		return;
	if (len > sizeof(s->apdu) - s->have) {
		usb_log(d, "host-error too long");
		s->have = 0;
		return;
	}
	if (len > 0)
		memcpy(s->apdu + s->have, data, len);
	s->have += len;
	while (s->have >= HEAD &&
	       (need = HEAD + (size_t)(s->apdu[2] << 8 | s->apdu[3])) <= s->have) {
		usb_log_bytes(d, "hears", s->apdu, need);
		phd_agent_apdu(&s->agent, s->apdu, need);
		s->have -= need;
		memmove(s->apdu, s->apdu + need, s->have);
		go_on(d);
	}
}

/* What was said before the host asked is said anew. */
static int switch_preamble(struct usb_device *d, const struct usb_setup *setup)
{
	struct phdc *const s = d->state;
	const bool on = setup->request == SET_FEATURE;

	if (!variant_of(d)->offers_preamble || setup->value != METADATA) {
		usb_log(d, "host-error asked for what is not offered");
		return USB_STALL;
	}
	usb_log(d, "preamble %s", on ? "on" : "off");
	if (on == s->preamble)
		return 0;
	s->preamble = on;
	usb_drop(d, BULK_IN);
	begin(d);
	return 0;
}

static int phdc_control(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	if (setup->type == CLASS_GET && setup->request == GET_DATA_STATUS && setup->length == 2) {
		data[0] = usb_all_fetched(d, BULK_IN) ? 0 : 1 << (BULK_IN & 0x0f);
		data[1] = 0;
		return 2;
	}
	if (setup->type == CLASS_SET &&
	    (setup->request == SET_FEATURE || setup->request == CLEAR_FEATURE))
		return switch_preamble(d, setup);
	return USB_STALL;
}

/* ---- from outside ---- */

static void phdc_born(struct usb_device *d)
{
	struct phdc *const s = d->state;
	const struct variant *const v = variant_of(d);
	const struct phd_config *config =
		has_store(d) ? phd_agent_config(v->config_id) : phd_config_standard(v->config_id);
	const uint8_t system_id[8] = {
		0x02, 0x00, 0x5e, 0xff, 0xfe, 0, (uint8_t)v->kind, (uint8_t)d->index
	};

	if (!config) {
		const int r =
			phd_config_decode(EXTENDED_CONFIG, sizeof(EXTENDED_CONFIG), &s->own_config);

		assert(r == 0);
		(void)r;
		config = &s->own_config;
	}
	s->window = s->batch = 1;
	phd_agent_init(&s->agent, &SINK, d, config, system_id);
	if (!has_store(d))
		return;
	phdc_store_init(&s->memory);
	s->agent.store = &s->memory.store;
}

static void say_measured(const struct usb_device *d, const struct phdc_reading *r)
{
	const uint32_t n = r->number;
	char text[128] = "";

	switch (variant_of(d)->kind) {
	case CUFF:
	case METER:
		usb_say_pressure(d, n, 0, true, r->time);
		return;
	case SCALE:
		(void)snprintf(text, sizeof(text), "body_weight=%u.%u", (702 + n) / 10,
			       (702 + n) % 10);
		break;
	case GLUCOSE:
		(void)snprintf(text, sizeof(text), "glucose=%u", 80 + n);
		break;
	case OXIMETER:
		(void)snprintf(text, sizeof(text), "spo2=%u pulse_oximeter=%u", 90 + n % 10,
			       50 + n);
		break;
	case EXTENDED:
		(void)snprintf(text, sizeof(text), "body_weight=%u.%u bmi=%u.%u", (702 + n) / 10,
			       (702 + n) % 10, (240 + n) / 10, (240 + n) % 10);
		break;
	}
	usb_say_measured(d, n, text, r->time);
}

static int phdc_measure(struct usb_device *d, unsigned int count)
{
	struct phdc *const s = d->state;

	if (count > (has_store(d) ? PHDC_STORE_MAX : STOCK) - s->n)
		return -ENOSPC;
	for (unsigned int i = 0; i < count; i++) {
		struct phdc_reading *const r = &s->stock[s->n];

		s->n++;
		*r = (struct phdc_reading){ .number = s->n, .time = usb_device_time(s->n) };
		if (has_store(d))
			phdc_store_put(&s->memory, d, s->n, r->time);
		say_measured(d, r);
	}
	if (d->plug.fd < 0 || d->configuration == 0)
		return 0;
	if (s->agent.state == PHD_AGENT_IDLE)
		associate(d);
	else if (has_store(d) && s->agent.state == PHD_AGENT_OPERATING && !s->agent.segment)
		phd_agent_release(&s->agent); /* and associate anew: the store has grown */
	if (s->agent.state == PHD_AGENT_OPERATING || s->was == PHD_AGENT_IDLE)
		go_on(d);
	return 0;
}

static int phdc_command(struct usb_device *d, char **words, size_t n, char *answer, size_t size)
{
	struct phdc *const s = d->state;
	const unsigned long value = n > 1 ? strtoul(words[1], NULL, 0) : 0;

	(void)answer;
	(void)size;
	if (strcmp(words[0], "window") == 0 && n == 2 && value > 0)
		s->window = (unsigned int)value;
	else if (strcmp(words[0], "batch") == 0 && n == 2 && value > 0 && value <= 32)
		s->batch = (unsigned int)value;
	else if (strcmp(words[0], "versions") == 0 && n == 2)
		s->agent.versions = (uint32_t)value;
	else if (strcmp(words[0], "release") == 0 && n == 2)
		s->releases = strcmp(words[1], "on") == 0;
	else
		return -ENOENT;
	return 0;
}

#define PHDC(id, model_name, product, what, config, offers)                           \
	const struct usb_model id = {                                                 \
		.name = (model_name),                                                 \
		.speed = USBIP_FULL,                                                  \
		.device = { DEVICE, sizeof(DEVICE) },                                 \
		.configuration = { (offers) ? CONFIGURATION_PREAMBLE : CONFIGURATION, \
				   sizeof(CONFIGURATION) },                           \
		.strings = { NULL, "Simulated", (product), "SIM" },                   \
		.state_size = sizeof(struct phdc),                                    \
		.variant = &(const struct variant){ (what), (config), (offers) },     \
		.born = phdc_born,                                                    \
		.configured = phdc_configured,                                        \
		.control = phdc_control,                                              \
		.out = phdc_out,                                                      \
		.unplugged = phdc_unplugged,                                          \
		.timer = phdc_timer,                                                  \
		.measure = phdc_measure,                                              \
		.command = phdc_command,                                              \
	}

PHDC(usb_phdc_cuff, "phdc_cuff", "11073 cuff", CUFF, 0x02bc, false);
PHDC(usb_phdc_scale, "phdc_scale", "11073 scale", SCALE, 0x05dc, false);
PHDC(usb_phdc_glucose, "phdc_glucose", "11073 glucose meter", GLUCOSE, 0x06a4, false);
PHDC(usb_phdc_oximeter, "phdc_oximeter", "11073 oximeter", OXIMETER, 0x0191, false);
PHDC(usb_phdc_extended, "phdc_extended", "11073 scale of its own", EXTENDED, 0x4000, false);
PHDC(usb_phdc_meter, "phdc_meter", "11073 meter", METER, PHD_AGENT_EXTENDED, false);
PHDC(usb_phdc_preamble, "phdc_preamble", "11073 meter, QoS", METER, PHD_AGENT_EXTENDED, true);
