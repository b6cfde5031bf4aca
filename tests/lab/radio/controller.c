#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "tests/lab/radio/controller.h"
#include "tests/lab/radio/rpa.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define PARAMETERS_MAX   255
#define EVENT_ENCRYPTION 0x08
#define EVENT_VERSION    0x0c
#define EVENT_COMPLETE   0x0e
#define EVENT_STATUS     0x0f
#define EVENT_PACKETS    0x13
#define EVENT_REFRESH    0x30
#define EVENT_LE         0x3e
#define EVENT_DISCONNECT 0x05

#define LE_CONNECTED   1
#define LE_REPORT      2
#define LE_UPDATED     3
#define LE_FEATURES    4
#define LE_DATA_LENGTH 7

#define VERSION_4_2   8
#define MANUFACTURER  0x05f1 /* Linux Foundation */
#define LE_ENCRYPTION 0x01
#define LE_LONG_DATA  0x20
#define DATA_TIME     2120 /* microseconds that ACL_DATA_MAX bytes take on air */
#define TX_POWER      4    /* dBm */
#define OPCODE_NOP    0

enum answer {
	COMPLETE, /* Command Complete: status and return parameters */
	STATUS,   /* Command Status, an event later */
	NOTHING
};

struct command {
	uint16_t opcode;
	uint8_t len;
	enum answer answer;
	/* the command's effect: its status, and the return parameters after the status */
	uint8_t (*run)(struct controller *c, const uint8_t *d, struct writer *ret);
	/* events that follow a good answer */
	void (*after)(struct controller *c, const uint8_t *d);
};

static uint16_t le16(const uint8_t *d)
{
	return (uint16_t)(d[0] | d[1] << 8);
}

static void turned(const uint8_t from[6], uint8_t to[6])
{
	for (unsigned int i = 0; i < 6; i++)
		to[i] = from[5 - i];
}

/* ---- events ---- */

static void send_event(struct controller *c, uint8_t code, const struct writer *w)
{
	uint8_t packet[3 + PARAMETERS_MAX] = { H4_EVENT, code, (uint8_t)w->len };

	assert(writer_ok(w) && w->len <= PARAMETERS_MAX);
	memcpy(packet + 3, w->data, w->len);
	vhci_send(c->port, packet, 3 + w->len);
}

static void answer_complete(struct controller *c, uint16_t opcode, uint8_t status,
			    const struct writer *ret)
{
	uint8_t data[PARAMETERS_MAX];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, 1); /* one command may be outstanding */
	writer_le16(&w, opcode);
	writer_u8(&w, status);
	if (ret)
		writer_bytes(&w, ret->data, ret->len);
	send_event(c, EVENT_COMPLETE, &w);
}

static void answer_status(struct controller *c, uint16_t opcode, uint8_t status)
{
	uint8_t data[4];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, status);
	writer_u8(&w, 1);
	writer_le16(&w, opcode);
	send_event(c, EVENT_STATUS, &w);
}

void controller_report(struct controller *c, const struct controller_report *r)
{
	uint8_t data[PARAMETERS_MAX], address[6];
	struct writer w = writer_of(data, sizeof(data));

	assert(r->len <= PEER_ADVERT_MAX);
	turned(r->address, address);
	writer_u8(&w, LE_REPORT);
	writer_u8(&w, 1);
	writer_u8(&w, r->type);
	writer_u8(&w, r->random);
	writer_bytes(&w, address, sizeof(address));
	writer_u8(&w, (uint8_t)r->len);
	writer_bytes(&w, r->data, r->len);
	writer_u8(&w, (uint8_t)r->rssi);
	send_event(c, EVENT_LE, &w);
}

static void send_connected(struct controller *c, uint8_t status, uint16_t handle,
			   const struct controller_address *peer)
{
	uint8_t data[19];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, LE_CONNECTED);
	writer_u8(&w, status);
	writer_le16(&w, status ? 0 : handle);
	writer_u8(&w, 0); /* we are the central */
	writer_u8(&w, peer->type);
	writer_bytes(&w, peer->bytes, sizeof(peer->bytes));
	writer_le16(&w, c->connect.interval);
	writer_le16(&w, c->connect.latency);
	writer_le16(&w, c->connect.timeout);
	writer_u8(&w, 0);
	c->connect.on = false;
	send_event(c, EVENT_LE, &w);
}

void controller_connected(struct controller *c, uint8_t status, uint16_t handle, bool random,
			  const uint8_t address[6])
{
	struct controller_address peer = { .type = random };

	turned(address, peer.bytes);
	send_connected(c, status, handle, &peer);
}

void controller_disconnected(struct controller *c, uint16_t handle, uint8_t reason)
{
	uint8_t data[4];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, STATUS_GOOD);
	writer_le16(&w, handle);
	writer_u8(&w, reason);
	send_event(c, EVENT_DISCONNECT, &w);
}

void controller_encrypted(struct controller *c, uint16_t handle, uint8_t status, bool refreshed)
{
	uint8_t data[4];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, status);
	writer_le16(&w, handle);
	if (!refreshed)
		writer_u8(&w, status == STATUS_GOOD);
	send_event(c, refreshed ? EVENT_REFRESH : EVENT_ENCRYPTION, &w);
}

void controller_completed(struct controller *c, uint16_t handle, uint16_t packets)
{
	uint8_t data[5];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, 1);
	writer_le16(&w, handle);
	writer_le16(&w, packets);
	send_event(c, EVENT_PACKETS, &w);
}

void controller_acl(struct controller *c, uint16_t handle, unsigned int boundary,
		    const uint8_t *data, size_t len)
{
	uint8_t packet[5 + ACL_DATA_MAX];
	struct writer w = writer_of(packet, sizeof(packet));

	writer_u8(&w, H4_ACL);
	writer_le16(&w, (uint16_t)(handle | boundary << 12));
	writer_le16(&w, (uint16_t)len);
	writer_bytes(&w, data, len);
	assert(writer_ok(&w));
	vhci_send(c->port, packet, w.len);
}

/* ---- commands: the controller itself ---- */

static uint8_t run_reset(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)d;
	(void)ret;
	controller_reset(c);
	c->ops->reset(c->user);
	return STATUS_GOOD;
}

static uint8_t run_version(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	(void)d;
	writer_u8(ret, VERSION_4_2);
	writer_le16(ret, 0);
	writer_u8(ret, VERSION_4_2);
	writer_le16(ret, MANUFACTURER);
	writer_le16(ret, 0);
	return STATUS_GOOD;
}

static uint8_t run_commands(struct controller *c, const uint8_t *d, struct writer *ret)
{
	uint8_t octets[64] = { 0 };

	(void)c;
	(void)d;
	octets[0] = 0x20;  /* Disconnect */
	octets[2] = 0x80;  /* Read Remote Version Information */
	octets[5] = 0xc0;  /* Set Event Mask, Reset */
	octets[14] = 0x28; /* Read Local Version Information, Features */
	octets[15] = 0x22; /* Read BD_ADDR, Read RSSI */
	octets[25] = 0xf7; /* LE: masks, buffers, features, random address, advertising */
	octets[26] = 0xff; /* LE: advertising, scanning, Create Connection, accept list */
	octets[27] = 0xff; /* LE: accept list, Connection Update, features, Encrypt, Rand */
	octets[28] = 0x0f; /* LE: Enable Encryption, long term key replies, states */
	octets[33] = 0xc0; /* LE Set Data Length, suggested default */
	octets[34] = 0x01;
	octets[35] = 0x08; /* LE Read Maximum Data Length */
	writer_bytes(ret, octets, sizeof(octets));
	return STATUS_GOOD;
}

static uint8_t run_features(struct controller *c, const uint8_t *d, struct writer *ret)
{
	static const uint8_t features[8] = { [4] = 0x60 }; /* no BR/EDR, LE */

	(void)c;
	(void)d;
	writer_bytes(ret, features, sizeof(features));
	return STATUS_GOOD;
}

static uint8_t run_buffers(struct controller *c, const uint8_t *d, struct writer *ret)
{
	static const uint8_t none[7] = { 0 }; /* those of BR/EDR */

	(void)c;
	(void)d;
	writer_bytes(ret, none, sizeof(none));
	return STATUS_GOOD;
}

static uint8_t run_address(struct controller *c, const uint8_t *d, struct writer *ret)
{
	uint8_t address[6];

	(void)d;
	turned(c->address, address);
	writer_bytes(ret, address, sizeof(address));
	return STATUS_GOOD;
}

static uint8_t run_host_flow(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	(void)ret;
	return d[0] ? STATUS_UNSUPPORTED : STATUS_GOOD;
}

static uint8_t run_le_buffers(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	(void)d;
	writer_le16(ret, ACL_DATA_MAX);
	writer_u8(ret, CONTROLLER_ACL_BUFFERS);
	return STATUS_GOOD;
}

static uint8_t run_le_features(struct controller *c, const uint8_t *d, struct writer *ret)
{
	static const uint8_t features[8] = { LE_ENCRYPTION | LE_LONG_DATA };

	(void)c;
	(void)d;
	writer_bytes(ret, features, sizeof(features));
	return STATUS_GOOD;
}

static uint8_t run_le_states(struct controller *c, const uint8_t *d, struct writer *ret)
{
	static const uint8_t states[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0x03 };

	(void)c;
	(void)d;
	writer_bytes(ret, states, sizeof(states));
	return STATUS_GOOD;
}

static uint8_t run_le_power(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	(void)d;
	writer_u8(ret, TX_POWER);
	return STATUS_GOOD;
}

static uint8_t run_le_encrypt(struct controller *c, const uint8_t *d, struct writer *ret)
{
	uint8_t out[16] = { 0 };

	(void)c;
	if (rpa_encrypt(d, d + 16, out) < 0)
		return STATUS_UNSUPPORTED;
	writer_bytes(ret, out, sizeof(out));
	return STATUS_GOOD;
}

static uint8_t run_le_rand(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)d;
	writer_le64(ret, c->ops->random(c->user));
	return STATUS_GOOD;
}

static uint8_t run_le_default_length(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	(void)d;
	writer_le16(ret, ACL_DATA_MAX);
	writer_le16(ret, DATA_TIME);
	return STATUS_GOOD;
}

static uint8_t run_le_longest(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)run_le_default_length(c, d, ret);
	return run_le_default_length(c, d, ret);
}

static uint8_t run_le_random_address(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)ret;
	memcpy(c->random_address, d, sizeof(c->random_address));
	return STATUS_GOOD;
}

/* ---- commands: scanning and the accept list ---- */

static uint8_t run_le_scan_parameters(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)ret;
	if (c->scanning)
		return STATUS_DISALLOWED;
	if (d[0] > 1 || d[5] > 3 || d[6] > 3)
		return STATUS_INVALID;
	c->active = d[0];
	c->scan_policy = d[6];
	return STATUS_GOOD;
}

static uint8_t run_le_scan(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)ret;
	if (d[0] > 1 || d[1] > 1)
		return STATUS_INVALID;
	c->scanning = d[0];
	c->dedupe = d[1];
	c->ops->scan_changed(c->user, c->scanning);
	return STATUS_GOOD;
}

static uint8_t run_le_accept_size(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	(void)d;
	writer_u8(ret, CONTROLLER_ACCEPT_MAX);
	return STATUS_GOOD;
}

static bool list_in_use(const struct controller *c)
{
	return (c->scanning && (c->scan_policy & 1)) || (c->connect.on && c->connect.by_list);
}

static size_t listed(const struct controller *c, uint8_t type, const uint8_t bytes[6])
{
	for (size_t i = 0; i < c->n_accept; i++) {
		if (c->accept[i].type == type && memcmp(c->accept[i].bytes, bytes, 6) == 0)
			return i;
	}
	return c->n_accept;
}

static uint8_t run_le_accept_clear(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)d;
	(void)ret;
	if (list_in_use(c))
		return STATUS_DISALLOWED;
	c->n_accept = 0;
	return STATUS_GOOD;
}

static uint8_t run_le_accept_add(struct controller *c, const uint8_t *d, struct writer *ret)
{
	struct controller_address *slot;

	(void)ret;
	if (list_in_use(c))
		return STATUS_DISALLOWED;
	if (listed(c, d[0], d + 1) < c->n_accept)
		return STATUS_GOOD;
	if (c->n_accept == N(c->accept))
		return STATUS_MEMORY_FULL;
	slot = &c->accept[c->n_accept++];
	slot->type = d[0];
	memcpy(slot->bytes, d + 1, sizeof(slot->bytes));
	return STATUS_GOOD;
}

static uint8_t run_le_accept_remove(struct controller *c, const uint8_t *d, struct writer *ret)
{
	const size_t i = listed(c, d[0], d + 1);

	(void)ret;
	if (list_in_use(c))
		return STATUS_DISALLOWED;
	if (i < c->n_accept)
		c->accept[i] = c->accept[--c->n_accept];
	return STATUS_GOOD;
}

/* ---- commands: links ---- */

static uint8_t run_le_connect(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)ret;
	if (c->connect.on)
		return STATUS_DISALLOWED;
	if (d[4] > 1 || d[5] > 3 || d[12] > 3)
		return STATUS_INVALID;
	if (!c->ops->has_room(c->user))
		return STATUS_TOO_MANY_LINKS;
	c->connect.on = true;
	c->connect.by_list = d[4];
	c->connect.peer.type = d[5];
	memcpy(c->connect.peer.bytes, d + 6, sizeof(c->connect.peer.bytes));
	c->connect.own_random = d[12] & 1;
	c->connect.interval = le16(d + 13);
	c->connect.latency = le16(d + 17);
	c->connect.timeout = le16(d + 19);
	return STATUS_GOOD;
}

static uint8_t run_le_cancel(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)d;
	(void)ret;
	return c->connect.on ? STATUS_GOOD : STATUS_DISALLOWED;
}

static void after_le_cancel(struct controller *c, const uint8_t *d)
{
	(void)d;
	c->ops->cancelled(c->user);
	send_connected(c, STATUS_UNKNOWN_CONNECTION, 0, &c->connect.peer);
}

/* for commands whose parameters begin with the handle of a link */
static uint8_t run_link(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)ret;
	return c->ops->is_link(c->user, le16(d)) ? STATUS_GOOD : STATUS_UNKNOWN_CONNECTION;
}

/* ... and whose answer repeats it */
static uint8_t run_link_repeated(struct controller *c, const uint8_t *d, struct writer *ret)
{
	writer_le16(ret, le16(d));
	return run_link(c, d, ret);
}

static void after_disconnect(struct controller *c, const uint8_t *d)
{
	c->ops->disconnect(c->user, le16(d), d[2]);
}

static void after_version(struct controller *c, const uint8_t *d)
{
	uint8_t data[8];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, STATUS_GOOD);
	writer_le16(&w, le16(d));
	writer_u8(&w, VERSION_4_2);
	writer_le16(&w, MANUFACTURER);
	writer_le16(&w, 0);
	send_event(c, EVENT_VERSION, &w);
}

static void after_le_features(struct controller *c, const uint8_t *d)
{
	static const uint8_t features[8] = { LE_ENCRYPTION };
	uint8_t data[12];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, LE_FEATURES);
	writer_u8(&w, STATUS_GOOD);
	writer_le16(&w, le16(d));
	writer_bytes(&w, features, sizeof(features));
	send_event(c, EVENT_LE, &w);
}

static void after_le_update(struct controller *c, const uint8_t *d)
{
	uint8_t data[10];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, LE_UPDATED);
	writer_u8(&w, STATUS_GOOD);
	writer_le16(&w, le16(d));
	writer_le16(&w, le16(d + 4)); /* the longest interval that is allowed */
	writer_le16(&w, le16(d + 6));
	writer_le16(&w, le16(d + 8));
	send_event(c, EVENT_LE, &w);
}

static void after_le_data_length(struct controller *c, const uint8_t *d)
{
	uint8_t data[11];
	struct writer w = writer_of(data, sizeof(data));

	writer_u8(&w, LE_DATA_LENGTH);
	writer_le16(&w, le16(d));
	for (unsigned int direction = 0; direction < 2; direction++) {
		writer_le16(&w, ACL_DATA_MAX);
		writer_le16(&w, DATA_TIME);
	}
	send_event(c, EVENT_LE, &w);
}

static void after_le_encrypt(struct controller *c, const uint8_t *d)
{
	c->ops->encrypt(c->user, le16(d), d + 2, le16(d + 10), d + 12);
}

static uint8_t run_rssi(struct controller *c, const uint8_t *d, struct writer *ret)
{
	const uint8_t status = run_link_repeated(c, d, ret);

	writer_u8(ret, status ? 127 : (uint8_t)c->ops->rssi(c->user, le16(d)));
	return status;
}

static uint8_t run_power(struct controller *c, const uint8_t *d, struct writer *ret)
{
	const uint8_t status = run_link_repeated(c, d, ret);

	writer_u8(ret, TX_POWER);
	return status;
}

static uint8_t run_le_channels(struct controller *c, const uint8_t *d, struct writer *ret)
{
	static const uint8_t all[5] = { 0xff, 0xff, 0xff, 0xff, 0x1f };
	const uint8_t status = run_link_repeated(c, d, ret);

	writer_bytes(ret, all, sizeof(all));
	return status;
}

/* We are never the peripheral that is asked for a key. */
static uint8_t run_no_key_asked(struct controller *c, const uint8_t *d, struct writer *ret)
{
	(void)c;
	writer_le16(ret, le16(d));
	return STATUS_DISALLOWED;
}

static const struct command commands[] = {
	{ 0x0406, 3, STATUS, run_link, after_disconnect },
	{ 0x041d, 2, STATUS, run_link, after_version },
	{ 0x0c01, 8, COMPLETE, NULL, NULL }, /* Set Event Mask */
	{ 0x0c03, 0, COMPLETE, run_reset, NULL },
	{ 0x0c2d, 3, COMPLETE, run_power, NULL },
	{ 0x0c31, 1, COMPLETE, run_host_flow, NULL },
	{ 0x0c33, 7, COMPLETE, NULL, NULL }, /* Host Buffer Size */
	{ 0x0c63, 8, COMPLETE, NULL, NULL }, /* Set Event Mask, page 2 */
	{ 0x0c6d, 2, COMPLETE, NULL, NULL }, /* Write LE Host Support */
	{ 0x1001, 0, COMPLETE, run_version, NULL },
	{ 0x1002, 0, COMPLETE, run_commands, NULL },
	{ 0x1003, 0, COMPLETE, run_features, NULL },
	{ 0x1005, 0, COMPLETE, run_buffers, NULL },
	{ 0x1009, 0, COMPLETE, run_address, NULL },
	{ 0x1405, 2, COMPLETE, run_rssi, NULL },
	{ 0x2001, 8, COMPLETE, NULL, NULL }, /* LE Set Event Mask */
	{ 0x2002, 0, COMPLETE, run_le_buffers, NULL },
	{ 0x2003, 0, COMPLETE, run_le_features, NULL },
	{ 0x2005, 6, COMPLETE, run_le_random_address, NULL },
	{ 0x2006, 15, COMPLETE, NULL, NULL }, /* advertising: taken, and not on air */
	{ 0x2007, 0, COMPLETE, run_le_power, NULL },
	{ 0x2008, 32, COMPLETE, NULL, NULL },
	{ 0x2009, 32, COMPLETE, NULL, NULL },
	{ 0x200a, 1, COMPLETE, NULL, NULL },
	{ 0x200b, 7, COMPLETE, run_le_scan_parameters, NULL },
	{ 0x200c, 2, COMPLETE, run_le_scan, NULL },
	{ 0x200d, 25, STATUS, run_le_connect, NULL },
	{ 0x200e, 0, COMPLETE, run_le_cancel, after_le_cancel },
	{ 0x200f, 0, COMPLETE, run_le_accept_size, NULL },
	{ 0x2010, 0, COMPLETE, run_le_accept_clear, NULL },
	{ 0x2011, 7, COMPLETE, run_le_accept_add, NULL },
	{ 0x2012, 7, COMPLETE, run_le_accept_remove, NULL },
	{ 0x2013, 14, STATUS, run_link, after_le_update },
	{ 0x2014, 5, COMPLETE, NULL, NULL }, /* LE Set Host Channel Classification */
	{ 0x2015, 2, COMPLETE, run_le_channels, NULL },
	{ 0x2016, 2, STATUS, run_link, after_le_features },
	{ 0x2017, 32, COMPLETE, run_le_encrypt, NULL },
	{ 0x2018, 0, COMPLETE, run_le_rand, NULL },
	{ 0x2019, 28, STATUS, run_link, after_le_encrypt },
	{ 0x201a, 18, COMPLETE, run_no_key_asked, NULL },
	{ 0x201b, 2, COMPLETE, run_no_key_asked, NULL },
	{ 0x201c, 0, COMPLETE, run_le_states, NULL },
	{ 0x2022, 6, COMPLETE, run_link_repeated, after_le_data_length },
	{ 0x2023, 0, COMPLETE, run_le_default_length, NULL },
	{ 0x2024, 4, COMPLETE, NULL, NULL },
	{ 0x202f, 0, COMPLETE, run_le_longest, NULL },
};

/* ---- taking a command ---- */

static const struct command *find(uint16_t opcode)
{
	for (size_t i = 0; i < N(commands); i++) {
		if (commands[i].opcode == opcode)
			return &commands[i];
	}
	return NULL;
}

static void note_command(struct controller *c, const char *what, uint16_t opcode, size_t len)
{
	char text[80];

	for (size_t i = 0; i < c->n_unknown; i++) {
		if (c->unknown[i] == opcode)
			return;
	}
	if (c->n_unknown == N(c->unknown))
		return;
	c->unknown[c->n_unknown++] = opcode;
	(void)snprintf(text, sizeof(text), "%s 0x%04x length %zu", what, opcode, len);
	c->ops->note(c->user, text);
}

static void answer(struct controller *c, const struct command *command, uint8_t status,
		   const struct writer *ret)
{
	if (command->answer == STATUS)
		answer_status(c, command->opcode, status);
	else if (command->answer == COMPLETE)
		answer_complete(c, command->opcode, status, ret);
}

static void execute(struct controller *c, const struct command *command, const uint8_t *d)
{
	uint8_t data[PARAMETERS_MAX - 4];
	struct writer ret = writer_of(data, sizeof(data));
	uint8_t status = STATUS_GOOD;

	if (command->run)
		status = command->run(c, d, &ret);
	answer(c, command, status, &ret);
	if (status == STATUS_GOOD && command->after)
		command->after(c, d);
}

static struct controller_fault *fault_of(struct controller *c, uint16_t opcode)
{
	for (size_t i = 0; i < N(c->faults); i++) {
		if (c->faults[i].left > 0 && c->faults[i].opcode == opcode)
			return &c->faults[i];
	}
	return NULL;
}

/* true: a fault has taken the place of the command */
static bool is_faulty(struct controller *c, uint16_t opcode, const struct command *command)
{
	struct controller_fault *fault = fault_of(c, opcode);

	if (!fault)
		return false;
	fault->left--;
	if (fault->mute)
		return true;
	if (command)
		answer(c, command, fault->status, NULL);
	else
		answer_complete(c, opcode, fault->status, NULL);
	return true;
}

void controller_command(struct controller *c, const uint8_t *data, size_t len)
{
	const struct command *command;
	uint16_t opcode;

	if (len < 3) {
		note_command(c, "cut command", OPCODE_NOP, len);
		return;
	}
	opcode = le16(data);
	if (opcode == 0x0c35) /* Host Number Of Completed Packets has no answer */
		return;
	command = find(opcode);
	if (is_faulty(c, opcode, command))
		return;
	if (!command) {
		note_command(c, "unknown command", opcode, len - 3);
		answer_complete(c, opcode, STATUS_UNKNOWN_COMMAND, NULL);
	} else if (data[2] != len - 3 || data[2] != command->len) {
		note_command(c, "bad command", opcode, len - 3);
		answer(c, command, STATUS_INVALID, NULL);
	} else {
		execute(c, command, data + 3);
	}
}

int controller_add_fault(struct controller *c, uint16_t opcode, bool mute, uint8_t status,
			 unsigned int times)
{
	struct controller_fault *slot = fault_of(c, opcode);

	for (size_t i = 0; !slot && i < N(c->faults); i++) {
		if (c->faults[i].left == 0)
			slot = &c->faults[i];
	}
	if (!slot)
		return -ENOSPC;
	*slot = (struct controller_fault){ opcode, mute, status, times };
	return 0;
}

/* ---- what the air asks ---- */

bool controller_listens(const struct controller *c, bool random, const uint8_t address[6])
{
	uint8_t bytes[6];

	if (!c->scanning)
		return false;
	turned(address, bytes);
	return !(c->scan_policy & 1) || listed(c, random, bytes) < c->n_accept;
}

bool controller_initiates(const struct controller *c, bool random, const uint8_t address[6])
{
	uint8_t bytes[6];

	if (!c->connect.on)
		return false;
	turned(address, bytes);
	if (c->connect.by_list)
		return listed(c, random, bytes) < c->n_accept;
	return (c->connect.peer.type & 1) == random &&
	       memcmp(c->connect.peer.bytes, bytes, sizeof(bytes)) == 0;
}

void controller_own_address(const struct controller *c, bool *ret_random, uint8_t ret[6])
{
	*ret_random = c->connect.own_random;
	if (c->connect.own_random)
		turned(c->random_address, ret);
	else
		memcpy(ret, c->address, sizeof(c->address));
}

void controller_reset(struct controller *c)
{
	c->scanning = c->active = c->dedupe = false;
	c->scan_policy = 0;
	memset(c->random_address, 0, sizeof(c->random_address));
	c->n_accept = 0;
	memset(&c->connect, 0, sizeof(c->connect));
}

void controller_init(struct controller *c, struct vhci *port, const struct controller_ops *ops,
		     void *user, const uint8_t address[6])
{
	*c = (struct controller){ .port = port, .ops = ops, .user = user };
	memcpy(c->address, address, sizeof(c->address));
}
