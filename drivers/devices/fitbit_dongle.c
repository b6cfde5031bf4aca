/*
 * Fitbit trackers in reach of the maker's USB base station, 2687:fb01. Two pairs of endpoints, each
 * an interface of its own:
 *
 *   DRV_WIRE_REPORT  interface 1: LENGTH COMMAND ..., LENGTH counts itself; from the base station
 *                    with anything behind it
 *   DRV_WIRE_BULK    interface 0: 32 bytes: a packet of protocols/fitbit/message.h | 0 | its length
 *
 *   we --02-->  disconnect all; two seconds of whatever it says
 *   we --01-->  08 VERSION 2, ADDRESS 6 ...
 *   we --04 service, 4000 ms-->  03 TRACKER 6, TYPE, RSSI, ... each; 02 count    we --05-->
 *   we --06 TRACKER, or 19 and 12-->  04 00, "GAP_LINK_ESTABLISHED_EVENT", 07
 *   we --08 01-->  c0 0b;  c0 0a ... --> c0 14 ... TRACKER;  c0 10 0d --> c0 41, data, c0 42
 *   we --c0 01-->, --08 00-->, --07-->  on every way out, as far as the way in had come
 *
 * Nothing is uploaded, set or deleted, so a tracker says the same again each time, and what was cut
 * off comes whole with the next time. Two tries, then the next visit.
 *
 * Which tracker: the one that the kept memory names, 01 TRACKER 6 [SERIAL 6], bytes as on air; with
 * none there, nobody is looked for. One, not a list: a session has one identity. All others in
 * reach are forgotten where they are heard. The SERIAL that the tracker's first dump bears is kept;
 * a dump with another one is not read, since how serial and address belong together is not known.
 * Readings are filed under that SERIAL, as by Bluetooth; what is said before it is known, of the
 * search, is about the base station (by its address, unless its descriptors have a serial number).
 *
 * A dump that is encrypted (XTEA) is read with its owner's key, drv_key() under the SERIAL in
 * lower-case hexadecimal; without one that fits it is news, and nothing of it is kept.
 *
 * Source: the maker has published nothing. One open client, its tests and its trace of a session
 * with a One. Not tried on hardware.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/fitbit_station.h"
#include "drivers/fitbit_sync.h"

#define CONTROL_SIZE 32
#define DATA_SIZE    32
#define TRIES        2

#define KEPT_ALLOWED FITBIT_ALLOWED_SIZE
#define KEPT_BOUND   (KEPT_ALLOWED + FITBIT_SERIAL_SIZE)

enum command {
	STATUS = 0x01, /* in; out: INFO */
	ASK_INFO = 0x01,
	COUNT = 0x02, /* in */
	DISCONNECT_ALL = 0x02,
	FOUND = FITBIT_STATION_FOUND, /* in */
	ACCEPTED = 0x04,              /* in */
	START_DISCOVERY = 0x04,
	TERMINATED = 0x05, /* in */
	CANCEL_DISCOVERY = 0x05,
	PARAMETERS = 0x06, /* in */
	ESTABLISH = 0x06,
	LINK_READY = 0x07, /* in */
	TERMINATE = 0x07,
	INFO = FITBIT_STATION_INFO, /* in */
	PIPE = 0x08,
	COUNTLESS = 0x0a, /* in; seen in place of COUNT */
	ESTABLISH_EX = 0x12,
	PREPARE_EX = 0x19,
	ERROR = 0xff, /* in */
};

enum step {
	STEP_CLEAN = 0,
	STEP_INFO,
	STEP_KNOW, /* what is kept is known only when the address has been told */
	STEP_DISCOVER,
	STEP_CANCEL,
	STEP_ACCEPT,
	STEP_ESTABLISHED,
	STEP_READY,
	STEP_PIPE,
	STEP_AIRLINK,
	STEP_DUMP,
	STEP_CLOSE,
	STEP_PIPE_OFF,
	STEP_TERMINATE,
	STEP_SAY,
	STEP_OVER,
};

/* The field's own limits, for that one step; of DUMP: for the next bytes of it. */
static const unsigned int step_ms[] = {
	[STEP_CLEAN] = 2000,       [STEP_INFO] = 2000,      [STEP_KNOW] = 10,
	[STEP_DISCOVER] = 6000,    [STEP_CANCEL] = 2000,    [STEP_ACCEPT] = 5000,
	[STEP_ESTABLISHED] = 8000, [STEP_READY] = 5000,     [STEP_PIPE] = 5000,
	[STEP_AIRLINK] = 10000,    [STEP_DUMP] = 10000,     [STEP_CLOSE] = 2000,
	[STEP_PIPE_OFF] = 5000,    [STEP_TERMINATE] = 5000, [STEP_SAY] = 10000,
	[STEP_OVER] = 0,
};

enum trouble {
	FINE = 0,
	FAILED, /* may go better the second time */
	TOO_LONG,
	ANOTHER,
};

struct dongle {
	enum step step;
	enum trouble trouble;
	unsigned int tries;
	bool timer; /* the step's, to be set when the callback is through */
	bool ex;
	char address[FITBIT_STATION_TEXT];
	/* how far it had come: what is to be closed again */
	bool linked, piped, airlinked;

	bool has_serial, found;
	uint8_t allowed[FITBIT_ID_SIZE], serial[FITBIT_SERIAL_SIZE];
	uint8_t address_type;
	uint16_t service;

	size_t have;
	uint8_t packet[DATA_SIZE];
	struct fitbit_sync sync;
};

static const struct drv_match match[] = {
	{ .bus = DRV_BUS_USB, .vid = 0x2687, .pid = 0xfb01 },
	{ 0 },
};

static const struct drv_channel channels[] = {
	{ .id = DRV_WIRE_REPORT, .mode = DRV_NOTIFY, .interface = 1 },
	{ .id = DRV_WIRE_BULK, .mode = DRV_NOTIFY, .interface = 0 },
	{ 0 },
};

/* ---- what we say ---- */

static int command(struct drv_ctx *ctx, enum command number, const uint8_t *payload, size_t len)
{
	uint8_t report[1 + CONTROL_SIZE] = { 0 };

	assert(len + 2 <= CONTROL_SIZE);
	report[1] = (uint8_t)(len + 2);
	report[2] = (uint8_t)number;
	if (len > 0)
		memcpy(report + 3, payload, len);
	return drv_write(ctx, DRV_WIRE_REPORT, report, len + 3);
}

static int packet(struct drv_ctx *ctx, const uint8_t *bytes, size_t len)
{
	uint8_t data[DATA_SIZE] = { 0 };

	assert(len <= FITBIT_PACKET_MAX);
	memcpy(data, bytes, len);
	data[DATA_SIZE - 1] = (uint8_t)len;
	return drv_write(ctx, DRV_WIRE_BULK, data, sizeof(data));
}

static int discover(struct drv_ctx *ctx)
{
	/* adab0000-6e7d-4601-bda2-bffaa68956ba, fb00, fb01, fb02, 4000 ms */
	static const uint8_t what[] = { 0xba, 0x56, 0x89, 0xa6, 0xfa, 0xbf, 0xa2, 0xbd,
					0x01, 0x46, 0x7d, 0x6e, 0x00, 0x00, 0xab, 0xad,
					0x00, 0xfb, 0x01, 0xfb, 0x02, 0xfb, 0xa0, 0x0f };

	return command(ctx, START_DISCOVERY, what, sizeof(what));
}

static int establish(struct drv_ctx *ctx, struct dongle *d)
{
	static const uint8_t prepare[] = { 1, 0 };
	/* behind the address: 7.5 ms, 7.5 ms, 0, 2 s */
	uint8_t whom[FITBIT_ID_SIZE + 9] = { [7] = 6, [9] = 6, [13] = 200 };
	int r = 0;

	memcpy(whom, d->allowed, FITBIT_ID_SIZE);
	whom[6] = d->address_type;
	d->linked = true;
	if (d->ex) {
		r = command(ctx, PREPARE_EX, prepare, sizeof(prepare));
		return r < 0 ? r : command(ctx, ESTABLISH_EX, whom, sizeof(whom));
	}
	whom[7] = (uint8_t)d->service;
	whom[8] = (uint8_t)(d->service >> 8);
	return command(ctx, ESTABLISH, whom, 9);
}

static int pipe_on(struct drv_ctx *ctx, struct dongle *d, bool on)
{
	const uint8_t payload = on;

	d->piped = on;
	if (on)
		d->have = 0;
	return command(ctx, PIPE, &payload, 1);
}

static int airlink(struct drv_ctx *ctx, struct dongle *d)
{
	static const struct fitbit_airlink how = {
		.value = 10, .interval_min = 6, .interval_max = 6, .supervision = 200
	};
	uint8_t bytes[FITBIT_PACKET_MAX];
	const size_t len = fitbit_sync_airlink(&how, bytes);

	d->airlinked = true;
	return packet(ctx, bytes, len);
}

static int ask_dump(struct drv_ctx *ctx, struct dongle *d)
{
	uint8_t bytes[FITBIT_PACKET_MAX];
	const size_t len = fitbit_sync_ask(ctx, &d->sync, bytes);

	return packet(ctx, bytes, len);
}

static int close_airlink(struct drv_ctx *ctx, struct dongle *d)
{
	uint8_t bytes[FITBIT_PACKET_MAX];
	const size_t len = fitbit_sync_close(bytes);

	d->airlinked = false;
	return packet(ctx, bytes, len);
}

static int enter(struct drv_ctx *ctx, struct dongle *d, enum step step)
{
	d->step = step;
	d->timer = true;
	switch (step) {
	case STEP_CLEAN:
		return command(ctx, DISCONNECT_ALL, NULL, 0);
	case STEP_INFO:
		return command(ctx, ASK_INFO, NULL, 0);
	case STEP_DISCOVER:
		return discover(ctx);
	case STEP_CANCEL:
		return command(ctx, CANCEL_DISCOVERY, NULL, 0);
	case STEP_ACCEPT:
		return establish(ctx, d);
	case STEP_PIPE:
		return pipe_on(ctx, d, true);
	case STEP_AIRLINK:
		return airlink(ctx, d);
	case STEP_DUMP:
		return ask_dump(ctx, d);
	case STEP_CLOSE:
		return close_airlink(ctx, d);
	case STEP_PIPE_OFF:
		return pipe_on(ctx, d, false);
	case STEP_TERMINATE:
		d->linked = false;
		return command(ctx, TERMINATE, NULL, 0);
	case STEP_KNOW:
	case STEP_ESTABLISHED:
	case STEP_READY:
	case STEP_SAY:
	case STEP_OVER:
		break;
	}
	return 0;
}

/* Sets the timer of the step, once however many frames the wire brought at once. */
static int leave(struct drv_ctx *ctx, struct dongle *d, int r)
{
	const int e = d->timer ? drv_set_timeout(ctx, step_ms[d->step]) : 0;

	d->timer = false;
	return r < 0 ? r : e;
}

/* ---- the end ---- */

/* about: what somebody can do or has to know; 0: all is well */
static int finish(struct drv_ctx *ctx, struct dongle *d, enum drv_news about)
{
	if (about)
		drv_news(ctx, about);
	drv_done(ctx);
	return enter(ctx, d, STEP_OVER);
}

static enum drv_news trouble_news(enum trouble trouble)
{
	switch (trouble) {
	case TOO_LONG:
		return DRV_NEWS_MODEL_NOT_SUPPORTED;
	case ANOTHER:
		return DRV_NEWS_ANOTHER_DEVICE;
	case FINE:
	case FAILED:
		break;
	}
	return DRV_NEWS_NOT_READ;
}

static int keep(struct drv_ctx *ctx, const struct dongle *d, const uint8_t *serial)
{
	uint8_t kept[KEPT_BOUND] = { FITBIT_ALLOWED_VERSION };

	if (d->has_serial)
		return 0;
	memcpy(kept + 1, d->allowed, FITBIT_ID_SIZE);
	memcpy(kept + KEPT_ALLOWED, serial, FITBIT_SERIAL_SIZE);
	return drv_keep(ctx, kept, sizeof(kept));
}

/* The next piece. Its facts are the tracker's, but for the number: that of the base station, by
 * which it is known to the bus. */
static int say(struct drv_ctx *ctx, struct dongle *d)
{
	uint8_t serial[FITBIT_SERIAL_SIZE];
	enum fitbit_outcome outcome;
	int r = fitbit_sync_say(ctx, &d->sync, d->has_serial ? d->serial : NULL, serial, &outcome);

	if (r == 0)
		r = drv_fact(ctx, DRV_SERIAL, d->address, strlen(d->address));
	if (r == 0) /* what was told of the base station is not the tracker's */
		r = drv_fact(ctx, DRV_HARDWARE, "", 0);
	if (r < 0)
		return r;
	d->timer = true;
	if (outcome == FITBIT_SAID_PIECE)
		return 0;
	if (outcome != FITBIT_SAID_ALL)
		return finish(ctx, d, fitbit_sync_news(outcome));
	r = keep(ctx, d, serial);
	return r < 0 ? r : finish(ctx, d, 0);
}

/* Closes the next thing that is open; when nothing is, goes on with what came of it. */
static int tear_down(struct drv_ctx *ctx, struct dongle *d)
{
	if (d->airlinked)
		return enter(ctx, d, STEP_CLOSE);
	if (d->piped)
		return enter(ctx, d, STEP_PIPE_OFF);
	if (d->linked)
		return enter(ctx, d, STEP_TERMINATE);
	if (d->sync.transfer.complete) {
		(void)enter(ctx, d, STEP_SAY);
		return say(ctx, d);
	}
	if (d->trouble == FAILED && ++d->tries < TRIES)
		return enter(ctx, d, STEP_CLEAN);
	return finish(ctx, d, trouble_news(d->trouble));
}

static int fail(struct drv_ctx *ctx, struct dongle *d, enum trouble trouble)
{
	d->trouble = trouble;
	d->sync.transfer.complete = false;
	return tear_down(ctx, d);
}

/* ---- what the base station says ---- */

static int on_info(struct drv_ctx *ctx, struct dongle *d, const uint8_t *payload, size_t len)
{
	char version[8];
	int r;

	if (d->step != STEP_INFO)
		return 0;
	r = fitbit_station_decode(payload, len, d->address);
	if (r < 0)
		return r;
	d->ex = payload[0] > 2 || (payload[0] == 2 && payload[1] >= 5);
	(void)snprintf(version, sizeof(version), "%u.%u", payload[0], payload[1]);
	r = drv_fact(ctx, DRV_SERIAL, d->address, strlen(d->address));
	if (r == 0 && !d->has_serial) /* else the session is the tracker's already */
		r = drv_fact(ctx, DRV_HARDWARE, version, strlen(version));
	return r < 0 ? r : enter(ctx, d, STEP_KNOW);
}

/* Only the one that is allowed leaves a trace here. */
static int on_found(struct dongle *d, const uint8_t *payload, size_t len)
{
	struct fitbit_found found;
	int r;

	if (d->step != STEP_DISCOVER && d->step != STEP_CANCEL)
		return 0;
	r = fitbit_found_decode(payload, len, &found);
	if (r < 0 || memcmp(found.id, d->allowed, FITBIT_ID_SIZE) != 0)
		return r;
	d->found = true;
	d->address_type = found.address_type;
	d->service = found.service;
	return 0;
}

static int after_discovery(struct drv_ctx *ctx, struct dongle *d)
{
	if (!d->found)
		return finish(ctx, d,
			      d->trouble ? trouble_news(d->trouble) : DRV_NEWS_OUT_OF_REACH);
	return enter(ctx, d, STEP_ACCEPT);
}

static bool says(const uint8_t *text, size_t len, const char *what)
{
	return len >= strlen(what) && memcmp(text, what, strlen(what)) == 0;
}

static int on_status(struct drv_ctx *ctx, struct dongle *d, const uint8_t *text, size_t len)
{
	if (d->step == STEP_CANCEL && says(text, len, "CancelDiscovery"))
		return after_discovery(ctx, d);
	if (d->step == STEP_ESTABLISHED && says(text, len, "GAP_LINK_ESTABLISHED_EVENT"))
		return enter(ctx, d, STEP_READY);
	return 0;
}

static bool is_linking(const struct dongle *d)
{
	return d->step >= STEP_ACCEPT && d->step <= STEP_DUMP;
}

static int on_error(struct drv_ctx *ctx, struct dongle *d, const uint8_t *payload, size_t len)
{
	if (!is_linking(d))
		return 0;
	if (d->step == STEP_ACCEPT && !d->ex && len >= 2 && payload[0] == 2 && payload[1] == 3) {
		d->ex = true; /* what this base station means by it */
		return enter(ctx, d, STEP_ACCEPT);
	}
	return fail(ctx, d, FAILED);
}

/* Unasked, it may be a late word about an earlier link: all is closed as if this one stood. */
static int on_terminated(struct drv_ctx *ctx, struct dongle *d)
{
	if (d->step == STEP_TERMINATE)
		return tear_down(ctx, d);
	return is_linking(d) ? fail(ctx, d, FAILED) : 0;
}

static int on_accepted(struct drv_ctx *ctx, struct dongle *d, const uint8_t *payload, size_t len)
{
	if (d->step != STEP_ACCEPT)
		return 0;
	if (len < 1)
		return -EMSGSIZE;
	return payload[0] == 0 ? enter(ctx, d, STEP_ESTABLISHED) : fail(ctx, d, FAILED);
}

static int on_command(struct drv_ctx *ctx, struct dongle *d, const uint8_t *data, size_t len)
{
	const uint8_t *payload;
	const int number = fitbit_station_frame(data, len, &payload, &len);

	if (number < 0)
		return number;
	switch (number) {
	case STATUS:
		return on_status(ctx, d, payload, len);
	case COUNT:
	case COUNTLESS: /* it may come before the last one was told: those are heard, too */
		return d->step == STEP_DISCOVER ? enter(ctx, d, STEP_CANCEL) : 0;
	case FOUND:
		return on_found(d, payload, len);
	case ACCEPTED:
		return on_accepted(ctx, d, payload, len);
	case TERMINATED:
		return on_terminated(ctx, d);
	case PARAMETERS:
		return 0;
	case LINK_READY:
		if (d->step != STEP_ESTABLISHED && d->step != STEP_READY)
			return 0;
		return enter(ctx, d, STEP_PIPE);
	case INFO:
		return on_info(ctx, d, payload, len);
	case ERROR:
		return on_error(ctx, d, payload, len);
	default:
		return -ENOMSG;
	}
}

/* ---- what the tracker says ---- */

static int on_transfer(struct drv_ctx *ctx, struct dongle *d, const uint8_t *data, size_t len)
{
	bool progress = false;
	int e, r = fitbit_sync_packet(ctx, &d->sync, data, len, &progress);

	if (r == 0 && d->sync.transfer.complete)
		return tear_down(ctx, d);
	if (r == 0) { /* what brings nothing does not win time */
		d->timer = d->timer || progress;
		return 0;
	}
	e = fail(ctx, d, r == -ENOSPC ? TOO_LONG : FAILED);
	if (e < 0 || r == -ECONNREFUSED || r == -ETIMEDOUT)
		return e;
	return r == -EBADMSG || r == -EMSGSIZE ? r : -ENOMSG;
}

static int on_airlink(struct drv_ctx *ctx, struct dongle *d, const struct fitbit_control *m)
{
	if (m->kind == FITBIT_REFUSED)
		return fail(ctx, d, FAILED);
	if (m->kind != FITBIT_AIRLINK_UP)
		return 0;
	if (memcmp(m->id, d->allowed, sizeof(m->id)) != 0)
		return fail(ctx, d, ANOTHER);
	return enter(ctx, d, STEP_DUMP);
}

static int on_packet(struct drv_ctx *ctx, struct dongle *d, const uint8_t *data, size_t len)
{
	struct fitbit_control m;
	int r;

	if (d->step == STEP_DUMP)
		return on_transfer(ctx, d, data, len);
	if (d->step != STEP_PIPE && d->step != STEP_AIRLINK && d->step != STEP_CLOSE &&
	    d->step != STEP_PIPE_OFF)
		return 0; /* late */
	r = fitbit_control_decode(data, len, &m);
	if (r < 0) /* on the way out the rest of a dump may still come */
		return d->step == STEP_CLOSE || d->step == STEP_PIPE_OFF ? 0 : r;
	if (d->step == STEP_AIRLINK)
		return on_airlink(ctx, d, &m);
	if (d->step == STEP_PIPE)
		return m.kind == FITBIT_PIPE_SWITCHED ? enter(ctx, d, STEP_AIRLINK) : 0;
	if (m.kind == (d->step == STEP_CLOSE ? FITBIT_CLOSE : FITBIT_PIPE_SWITCHED))
		return tear_down(ctx, d);
	return 0;
}

/* Frames of 32 bytes, cut anyhow. Where one begins cannot be found again once it is lost. */
static int on_data(struct drv_ctx *ctx, struct dongle *d, const uint8_t *data, size_t len)
{
	int first = 0, r;

	for (size_t i = 0; i < len; i++) {
		d->packet[d->have++] = data[i];
		if (d->have < DATA_SIZE)
			continue;
		d->have = 0;
		r = 0;
		if (d->packet[DATA_SIZE - 1] <= FITBIT_PACKET_MAX && d->packet[DATA_SIZE - 1] > 0)
			r = on_packet(ctx, d, d->packet, d->packet[DATA_SIZE - 1]);
		else if (is_linking(d))
			r = fail(ctx, d, FAILED) < 0 ? -EIO : -EMSGSIZE;
		first = first < 0 ? first : r;
	}
	return first;
}

/* ---- callbacks ---- */

static int on_open(struct drv_ctx *ctx)
{
	struct dongle *d = drv_state(ctx);
	int r = drv_fact(ctx, DRV_MAKE, "Fitbit", strlen("Fitbit"));

	if (r == 0)
		r = enter(ctx, d, STEP_CLEAN);
	return leave(ctx, d, r);
}

static int on_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	struct dongle *d = drv_state(ctx);
	int r = -ENOMSG;

	if (frame->channel == DRV_WIRE_REPORT)
		r = on_command(ctx, d, frame->data, frame->len);
	else if (frame->channel == DRV_WIRE_BULK)
		r = on_data(ctx, d, frame->data, frame->len);
	return leave(ctx, d, r);
}

/* Discovery hears the neighbours', too. */
static bool hides(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	const struct dongle *d = drv_state(ctx);
	struct fitbit_found found;
	const uint8_t *payload;
	size_t len;

	if (frame->channel != DRV_WIRE_REPORT ||
	    fitbit_station_frame(frame->data, frame->len, &payload, &len) != FOUND)
		return false;
	return fitbit_found_decode(payload, len, &found) < 0 ||
	       memcmp(found.id, d->allowed, sizeof(found.id)) != 0;
}

static int on_known(struct drv_ctx *ctx, struct dongle *d)
{
	uint8_t kept[DRV_KEPT_MAX];
	const size_t len = drv_kept(ctx, kept);

	if ((len != KEPT_ALLOWED && len != KEPT_BOUND) || kept[0] != FITBIT_ALLOWED_VERSION)
		return finish(ctx, d, DRV_NEWS_NOT_CHOSEN);
	memcpy(d->allowed, kept + 1, FITBIT_ID_SIZE);
	d->has_serial = len == KEPT_BOUND;
	if (d->has_serial)
		memcpy(d->serial, kept + KEPT_ALLOWED, FITBIT_SERIAL_SIZE);
	d->found = false;
	return enter(ctx, d, STEP_DISCOVER);
}

static int next_step(struct drv_ctx *ctx, struct dongle *d)
{
	switch (d->step) {
	case STEP_CLEAN:
		return enter(ctx, d, STEP_INFO);
	case STEP_KNOW:
		return on_known(ctx, d);
	case STEP_DISCOVER:
		return enter(ctx, d, STEP_CANCEL);
	case STEP_CANCEL: /* no answer: that nobody is there would be a guess */
		return d->found ? after_discovery(ctx, d) : fail(ctx, d, FAILED);
	case STEP_CLOSE:
	case STEP_PIPE_OFF:
	case STEP_TERMINATE:
		return tear_down(ctx, d);
	case STEP_SAY:
		return say(ctx, d);
	case STEP_INFO:
	case STEP_ACCEPT:
	case STEP_ESTABLISHED:
	case STEP_READY:
	case STEP_PIPE:
	case STEP_AIRLINK:
	case STEP_DUMP:
		return fail(ctx, d, FAILED);
	case STEP_OVER:
		break;
	}
	return 0;
}

static int on_timeout(struct drv_ctx *ctx)
{
	struct dongle *d = drv_state(ctx);

	return leave(ctx, d, next_step(ctx, d));
}

static int on_committed(struct drv_ctx *ctx)
{
	struct dongle *d = drv_state(ctx);

	return leave(ctx, d, d->step == STEP_SAY ? say(ctx, d) : 0);
}

const struct driver driver_fitbit_dongle = {
	.name = "fitbit_dongle",
	.label = "Fitbit One, Flex, Zip by their USB base station",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct dongle),
	.open = on_open,
	.frame = on_frame,
	.committed = on_committed,
	.timeout = on_timeout,
	.hides = hides,
};

/* ---- who is in reach ---- */

struct survey {
	unsigned int step;
};

static int survey_step(struct drv_ctx *ctx)
{
	struct survey *s = drv_state(ctx);
	int r;

	switch (s->step++) {
	case 0:
		r = command(ctx, DISCONNECT_ALL, NULL, 0);
		return r < 0 ? r : drv_set_timeout(ctx, step_ms[STEP_CLEAN]);
	case 1:
		r = command(ctx, ASK_INFO, NULL, 0);
		return r < 0 ? r : drv_set_timeout(ctx, step_ms[STEP_INFO]);
	case 2:
		r = discover(ctx);
		return r < 0 ? r : drv_set_timeout(ctx, step_ms[STEP_DISCOVER]);
	case 3:
		r = command(ctx, CANCEL_DISCOVERY, NULL, 0);
		return r < 0 ? r : drv_set_timeout(ctx, step_ms[STEP_CANCEL]);
	default:
		drv_done(ctx);
		return 0;
	}
}

/* It is the caller who listens: nothing is kept here. */
static int survey_frame(struct drv_ctx *ctx, const struct drv_frame *frame)
{
	(void)ctx;
	(void)frame;
	return 0;
}

const struct driver fitbit_survey = {
	.name = "fitbit_survey",
	.label = "who is in reach of a Fitbit base station",
	.match = match,
	.channels = channels,
	.maturity = DRV_BY_SPECIFICATION,
	.state_size = sizeof(struct survey),
	.open = survey_step,
	.frame = survey_frame,
	.timeout = survey_step,
};
