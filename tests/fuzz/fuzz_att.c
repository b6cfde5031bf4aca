/* links: protocols */
/*
 * A client and a peer of any bytes. The low 2 bits of the first byte are the security that is
 * required; then records:
 *   length u8 | a PDU of that length        the peer sends it
 *   0xff | action u8 | argument u8          the caller does something, see act()
 * After each record all that the client wants to send is taken and checked: it decodes, it fits the
 * MTU, one request at a time, every confirmation was asked for, every accepted request ends once.
 * A table that was discovered to the end survives its own cache. With bit 2 of the first byte the
 * rest is a cache as well, whose checksum is always good.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/att/client.h"
#include "protocols/bytes/crc.h"
#include "protocols/bytes/writer.h"

#define RECORD_ACTION 0xff

struct watch {
	struct att_client client;
	struct att_table table;
	int64_t now;
	unsigned int open, confirmed; /* open: requests accepted and not ended */
	uint8_t asked;                /* opcode of the request that is out; 0: none */
	uint16_t held;
	bool holding, in_clear, dead;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- what the client tells ---- */

static void on_done(void *user, const struct att_result *r)
{
	struct watch *w = user;

	require(w->open > 0);
	w->open--;
	require(r->error <= 0);
	require(r->len <= ATT_VALUE_MAX && (r->error == 0 || !r->data));
	/* one that was cancelled in the queue left the table alone */
	if (r->kind == ATT_DO_DISCOVER && r->error != -ECANCELED)
		require(w->table.complete == (r->error == 0));
}

static void on_value(void *user, const struct att_notice *n)
{
	struct watch *w = user;

	require(n->handle != 0 && n->len <= ATT_VALUE_MAX);
	if (!n->indication)
		return;
	require(!w->holding);
	w->holding = true;
	w->held = n->handle;
	w->in_clear = n->in_clear;
}

static void on_changed(void *user, uint16_t handle, uint16_t start, uint16_t end)
{
	struct watch *w = user;

	require(!w->holding && start > 0 && start <= end && !w->table.complete);
	w->holding = true;
	w->held = handle;
	w->in_clear = false;
}

static void on_fault(void *user, enum att_fault fault, uint8_t opcode, int r)
{
	(void)user;
	(void)opcode;
	require(att_fault_name(fault) && r < 0);
}

static void on_dead(void *user, int r)
{
	struct watch *w = user;

	require(r == -ETIMEDOUT && w->open == 0 && !w->dead);
	w->dead = true;
}

/* ---- what it sends ---- */

static void check_sent(struct watch *w, const uint8_t *pdu, size_t len)
{
	struct att_pdu p;

	require(!w->dead && att_decode(pdu, len, ATT_MTU_MAX, &p) == 0);
	switch (pdu[0]) {
	case ATT_CONFIRMATION:
		require(w->confirmed == 1);
		w->confirmed = 0;
		return;
	case ATT_ERROR_RSP:
	case ATT_MTU_RSP:
	case ATT_WRITE_CMD:
		return;
	case ATT_FIND_INFO_RSP: /* what it holds itself */
	case ATT_FIND_TYPE_RSP:
	case ATT_READ_TYPE_RSP:
	case ATT_READ_RSP:
	case ATT_READ_BLOB_RSP:
	case ATT_READ_GROUP_RSP:
		require(len <= ATT_MTU_DEFAULT);
		return;
	default:
		require(w->asked == 0 && (pdu[0] & 1) == 0);
		w->asked = pdu[0];
		return;
	}
}

static void take_all(struct watch *w)
{
	uint8_t buffer[ATT_MTU_MAX];

	/* exactly as much room as the MTU allows it to need */
	for (;;) {
		const size_t mtu = att_client_mtu(&w->client);
		const size_t len = att_client_take(&w->client, buffer, w->now);

		require(len <= mtu);
		if (len == 0)
			return;
		check_sent(w, buffer, len);
	}
}

/* ---- what the caller does ---- */

static void confirm(struct watch *w, uint8_t argument)
{
	const uint16_t handle = argument & 1 ? w->held : argument;
	const int r = att_client_confirm(&w->client, handle);

	if (r == -EACCES)
		require(w->in_clear);
	if (r < 0)
		return;
	require(w->holding && !w->in_clear && handle == w->held && w->confirmed == 0);
	w->holding = false;
	w->confirmed = 1;
}

static int subscribe(struct watch *w, uint8_t argument)
{
	if (argument >= w->table.n_characteristics)
		return -ENOENT;
	return att_client_subscribe(&w->client, &w->table.characteristics[argument], true, 0);
}

static int ask(struct watch *w, uint8_t action, uint8_t argument)
{
	static const uint8_t zeros[ATT_VALUE_MAX];
	struct att_client *c = &w->client;

	switch (action) {
	case 0:
		return att_client_exchange_mtu(c, 0);
	case 1:
		return att_client_discover(c, 0);
	case 2:
		return att_client_read_hash(c, 0);
	case 3:
		return att_client_read(c, argument, 0);
	case 4:
		return att_client_write(c, 1, zeros, (size_t)argument * 2, 0);
	case 5:
		return att_client_write_command(c, 1, zeros, argument, 0);
	default:
		return subscribe(w, argument);
	}
}

static void act(struct watch *w, uint8_t action, uint8_t argument)
{
	switch (action % 11) {
	case 7:
		confirm(w, argument);
		return;
	case 8:
		w->now += (int64_t)argument * 1000000;
		att_client_tick(&w->client, w->now);
		require(att_client_is_dead(&w->client) || att_client_deadline(&w->client) > w->now);
		return;
	case 9:
		att_client_set_security(&w->client, (enum att_security)(1 + argument % 4));
		return;
	case 10:
		if (argument != 0xff)
			return;
		att_client_close(&w->client);
		require(w->open == 0);
		w->dead = true;
		return;
	default:
		if (ask(w, action % 11, argument) == 0)
			w->open++;
		return;
	}
}

/* ---- the peer ---- */

static void receive(struct watch *w, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	require(copy);
	memcpy(copy, data, len);
	r = att_client_receive(&w->client, copy, len, w->now);
	require(r == 0 || r == -EMSGSIZE || r == -EBADMSG || r == -ERANGE || r == -EPROTO ||
		(r == -ENOTCONN && w->dead));
	/* answered, well or badly */
	if (len > 0 && (data[0] == w->asked + 1 ||
			(len == 5 && data[0] == ATT_ERROR_RSP && data[1] == w->asked)))
		w->asked = 0;
	free(copy);
}

static void check_cache(const struct att_table *t)
{
	static uint8_t bytes[ATT_TABLE_BYTES_MAX], again[ATT_TABLE_BYTES_MAX];
	static struct att_table back;
	size_t len = 0, len_again = 0;

	require(att_table_export(t, bytes, sizeof(bytes), &len) == 0);
	require(att_table_import(bytes, len, &back) == 0);
	require(att_table_export(&back, again, sizeof(again), &len_again) == 0);
	require(len == len_again && memcmp(bytes, again, len) == 0);
}

/* the bytes as a cache, with the checksum that somebody who forges one would give them */
static void import_forged(const uint8_t *data, size_t size, struct att_table *ret)
{
	uint8_t *copy;
	struct writer w;

	if (size > ATT_TABLE_BYTES_MAX)
		return;
	copy = calloc(1, size + 4);
	require(copy);
	w = writer_of(copy, size + 4);
	writer_bytes(&w, data, size);
	writer_le32(&w, crc_32_iso_hdlc(data, size));
	if (att_table_import(copy, w.len, ret) == 0)
		check_cache(ret);
	free(copy);
}

static void run(struct watch *w, const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		const size_t len = data[at++];

		if (len == RECORD_ACTION && size - at >= 2) {
			act(w, data[at], data[at + 1]);
			at += 2;
		} else if (len <= size - at) {
			receive(w, data + at, len);
			at += len;
		} else {
			break;
		}
		take_all(w);
	}
	if (w->table.complete)
		check_cache(&w->table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct watch w;
	const struct att_sink sink = { on_done, on_value, on_changed, on_fault, on_dead, &w };

	if (size == 0)
		return 0;
	memset(&w, 0, sizeof(w));
	if (data[0] & 4)
		import_forged(data + 1, size - 1, &w.table);
	att_client_init(&w.client, &sink, &w.table, ATT_MTU_MAX,
			(enum att_security)(1 + (data[0] & 3)));
	run(&w, data + 1, size - 1);
	att_client_close(&w.client);
	require(w.open == 0);
	return 0;
}
