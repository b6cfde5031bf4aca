/* links: transports */
/*
 * One link at work, with the device's state machine, against whatever a peer may send; the bearer
 * is this file. Input: a flags byte, then records
 *   what u8 | length u8 | bytes      what: a PDU at that level (1 to 3), or one of the events below
 * What is checked: a confirmation goes out only for an indication that came at the level and whose
 * readings are committed; nothing that came below the level becomes a measurement; sequences rise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/registry.h"
#include "drivers/transport/peer.h"

#define EVENT_COMMIT  0xff
#define EVENT_REFUSE  0xfe
#define EVENT_ROOM    0xfd
#define EVENT_TIME    0xfc
#define EVENT_LEVEL   0xfb
#define EVENT_LOST    0xfa
#define EVENT_BUSY    0xf9
#define EVENT_YIELD   0xf8
#define FLAG_LATE     0x01
#define FLAG_NO_TABLE 0x02
#define FLAG_FLAKY    0x04 /* the table cannot be written */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bearer {
	struct bearer_handlers handlers;
};

static struct watch {
	sd_event *event;
	struct bearer bearer;
	struct device device;
	struct peer *peer;
	uint64_t next_seq, last_seq, last_final, committed;
	enum bearer_level level;
	bool outstanding, no_room, busy, flaky;
	int64_t now;
} * watch;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- bearer.h ---- */

int bearer_new(sd_event *event, const struct bearer_options *options,
	       const struct bearer_handlers *handlers, struct bearer **ret)
{
	(void)event;
	(void)options;
	watch->bearer.handlers = *handlers;
	*ret = &watch->bearer;
	return 0;
}

int bearer_send(struct bearer *b, const uint8_t *data, size_t len)
{
	(void)b;
	require(len > 0 && len <= BEARER_PDU_MAX);
	if (watch->busy)
		return -EAGAIN;
	if (data[0] == ATT_CONFIRMATION) {
		require(watch->outstanding);
		require(watch->last_final <= watch->committed);
		watch->outstanding = false;
	}
	return 0;
}

int bearer_raise(struct bearer *b, enum bearer_level level)
{
	(void)b;
	(void)level;
	return 0;
}

void bearer_hold(struct bearer *b, bool hold)
{
	(void)b;
	(void)hold;
}

void bearer_free(struct bearer *b)
{
	(void)b;
}

/* ---- the radio and the gateway ---- */

static int on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct watch *w = user;

	require(seq == w->last_seq + 1);
	require(w->device.level >= w->device.config.level && m->security >= LINK_ENCRYPTED);
	w->last_seq = seq;
	if (measurement_is_final(m))
		w->last_final = seq;
	return 0;
}

static bool has_room(void *user)
{
	return !((const struct watch *)user)->no_room;
}

static void on_memory(void *user, const struct session_memory *memory)
{
	(void)user;
	require(memory->kept_len <= DRV_KEPT_MAX);
}

static void on_consent(void *user, size_t i, enum drv_consent_outcome outcome, uint8_t slot)
{
	(void)user;
	(void)i;
	(void)outcome;
	(void)slot;
}

static void on_record(void *user, uint32_t record)
{
	(void)user;
	(void)record;
}

static int on_table(void *user, const struct att_table *table)
{
	require(!table || table->complete);
	return ((const struct watch *)user)->flaky ? -EIO : 0;
}

static void act(struct watch *w, unsigned int actions);

static void step(struct watch *w, enum device_event event, unsigned int argument)
{
	act(w, device_event(&w->device, event, argument, w->now));
}

static void act(struct watch *w, unsigned int actions)
{
	const struct peer_driver driver = { .driver = registry_by_name("weight_scale") };

	if (actions & DEVICE_DO_RAISE)
		(void)peer_raise(w->peer, BEARER_ENCRYPTED);
	if (actions & DEVICE_DO_MTU)
		peer_mtu(w->peer);
	if (actions & DEVICE_DO_VERIFY)
		peer_verify(w->peer);
	if ((actions & DEVICE_DO_OPEN) && peer_open(w->peer, &driver) < 0) {
		step(w, DEVICE_ON_END, DEVICE_END_TRANSIENT);
		return;
	}
	if (actions & DEVICE_DO_ARM)
		peer_arm(w->peer);
	if (actions & DEVICE_DO_CLOSE) {
		peer_free(w->peer);
		w->peer = NULL;
	}
}

static void on_event(void *user, enum device_event event, unsigned int argument)
{
	step(user, event, argument);
}

/* As a scale has them, known from an earlier link; value handles 0x12, 0x32, 0x42. */
static void make_table(struct att_table *t)
{
	static const struct {
		uint16_t service, start, end, declaration, value, ccc, type;
		uint8_t properties;
	} rows[] = {
		{ 0x180a, 0x10, 0x12, 0x11, 0x12, 0, 0x2a25, 0x02 },
		{ 0x181d, 0x30, 0x33, 0x31, 0x32, 0x33, 0x2a9d, 0x20 },
		{ 0x180f, 0x40, 0x43, 0x41, 0x42, 0x43, 0x2a19, 0x12 },
	};

	att_table_clear(t);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct att_service s = { rows[i].start, rows[i].end,
					       att_uuid_of16(rows[i].service) };
		const struct att_characteristic c = {
			.declaration = rows[i].declaration,
			.value = rows[i].value,
			.properties = rows[i].properties,
			.uuid = att_uuid_of16(rows[i].type),
		};

		require(att_table_add_service(t, &s) == 0);
		require(att_table_add_characteristic(t, &c) == 0);
		if (rows[i].ccc)
			require(att_table_set_ccc(t, i, rows[i].ccc) == 0);
	}
	t->complete = true;
}

static void begin(struct watch *w, uint8_t flags)
{
	const struct device_config config = { .level = BEARER_ENCRYPTED,
					      .raise_late = flags & FLAG_LATE };
	const struct peer_handlers handlers = {
		.event = on_event,
		.measurement = on_measurement,
		.has_room = has_room,
		.memory = on_memory,
		.consent = on_consent,
		.record = on_record,
		.table = on_table,
		.user = w,
	};
	struct att_table table = { 0 };
	const struct peer_options options = {
		.required = BEARER_ENCRYPTED,
		.table = flags & FLAG_NO_TABLE ? NULL : &table,
		.bonded = true,
	};

	make_table(&table);
	w->flaky = flags & FLAG_FLAKY;
	w->now = 1000000;
	w->next_seq = 1;
	device_init(&w->device, &config);
	step(w, DEVICE_ON_ADVERT, 0);
	step(w, DEVICE_ON_TURN, 0);
	require(peer_new(w->event, &options, &handlers, &w->next_seq, &w->peer) == 0);
	w->level = flags & FLAG_LATE ? BEARER_CLEAR : BEARER_ENCRYPTED;
	w->bearer.handlers.connected(w->bearer.handlers.user, w->level);
}

static void pdu(struct watch *w, const uint8_t *data, size_t len, enum bearer_level level)
{
	/* well enough formed for the client to hold it: then an answer is allowed */
	if (len >= 3 && data[0] == ATT_INDICATION && level >= BEARER_ENCRYPTED)
		w->outstanding = true;
	w->bearer.handlers.pdu(w->bearer.handlers.user, data, len, level);
}

static void record(struct watch *w, uint8_t what, const uint8_t *data, size_t len)
{
	const struct bearer_handlers *h = &w->bearer.handlers;
	enum bearer_level level;

	switch (what) {
	case EVENT_COMMIT:
		w->committed = w->last_seq;
		peer_committed(w->peer, w->committed);
		break;
	case EVENT_REFUSE:
		peer_refused(w->peer, w->last_seq);
		break;
	case EVENT_ROOM:
		w->no_room = !w->no_room;
		peer_wake(w->peer);
		break;
	case EVENT_TIME:
		w->now = device_deadline(&w->device);
		step(w, DEVICE_ON_TIME, 0);
		break;
	case EVENT_LEVEL:
		w->level = len > 0 && data[0] % 2 ? BEARER_ENCRYPTED : BEARER_CLEAR;
		h->level(h->user, w->level);
		break;
	case EVENT_LOST:
		h->lost(h->user, BEARER_LOST, -ECONNRESET);
		break;
	case EVENT_BUSY:
		w->busy = !w->busy;
		if (!w->busy)
			h->writable(h->user);
		break;
	case EVENT_YIELD:
		step(w, DEVICE_ON_YIELD, 0);
		break;
	default:
		level = what % 3 + 1;
		pdu(w, data, len, level < w->level ? level : w->level);
	}
}

static void run_loop(const struct watch *w)
{
	while (w->peer && sd_event_run(w->event, 0) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch w = { 0 };
	size_t at = 1;

	if (size < 1)
		return 0;
	watch = &w;
	require(sd_event_new(&w.event) >= 0);
	begin(&w, data[0]);
	run_loop(&w);
	while (w.peer && at + 2 <= size) {
		const uint8_t what = data[at];
		const size_t len = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;

		record(&w, what, data + at + 2, len);
		run_loop(&w);
		at += 2 + len;
	}
	peer_free(w.peer);
	(void)sd_event_unref(w.event);
	return 0;
}
