#include "gateway/control/orders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "gateway/control/signed.h"
#include "gateway/intake/intake.h"

#define KEYS_MAX   32
#define LINE_BYTES 256
#define ARENA_SIZE (CONTROL_ARENA_BYTES + (size_t)64 * 1024)

struct orders {
	const struct control *control;
	struct signed_key keys[KEYS_MAX];
	uint8_t senders[KEYS_MAX][SIGNED_SENDER];
	size_t n;
	struct arena arena;
	struct orders_counts counts;
};

static bool may_come(const char *verb)
{
	static const char *const verbs[] = { "status", "devices", "doctor",   "goal",
					     "desk",   "resend",  "redecode", "diagnostics" };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (verb && strcmp(verb, verbs[i]) == 0)
			return true;
	}
	return false;
}

/* ---- carrying out ---- */

/* In the transaction of the command, and if that makes none, in one of its own. */
static int keep_serial(const struct orders *o, size_t key, uint64_t serial, int64_t now_ms)
{
	Wellgate__V1__JournalEntry entry = WELLGATE__V1__JOURNAL_ENTRY__INIT;
	Wellgate__V1__JournalEntry__SenderSerial last =
		WELLGATE__V1__JOURNAL_ENTRY__SENDER_SERIAL__INIT;
	uint8_t sender[SIGNED_SENDER];

	memcpy(sender, o->senders[key], sizeof(sender));
	last.has_sender = last.has_serial = true;
	last.sender = (ProtobufCBinaryData){ sizeof(sender), sender };
	last.serial = serial;
	entry.has_at_ms = true;
	entry.at_ms = now_ms;
	entry.what_case = WELLGATE__V1__JOURNAL_ENTRY__WHAT_SERIAL;
	entry.serial = &last;
	return store_add_entry(o->control->store, &entry, NULL);
}

static Wellgate__V1__CommandReply__Refusal refusal_of(int r)
{
	switch (r) {
	case -EXDEV:
		return WELLGATE__V1__COMMAND_REPLY__REFUSAL__REFUSAL_OTHER_HUB;
	case -EAGAIN:
		return WELLGATE__V1__COMMAND_REPLY__REFUSAL__REFUSAL_NO_TIME;
	case -ETIME:
		return WELLGATE__V1__COMMAND_REPLY__REFUSAL__REFUSAL_EXPIRED;
	case -EALREADY:
		return WELLGATE__V1__COMMAND_REPLY__REFUSAL__REFUSAL_SEEN;
	case -EPERM:
		return WELLGATE__V1__COMMAND_REPLY__REFUSAL__REFUSAL_NOT_OVER_BROKER;
	default:
		return WELLGATE__V1__COMMAND_REPLY__REFUSAL__REFUSAL_MALFORMED;
	}
}

static void answer(struct orders *o, const uint8_t *sender, uint64_t serial, int r,
		   Wellgate__V1__Reply *reply)
{
	Wellgate__V1__CommandReply m = WELLGATE__V1__COMMAND_REPLY__INIT;
	uint8_t *data;
	size_t len;

	m.has_sender = m.has_serial = true;
	m.sender = (ProtobufCBinaryData){ SIGNED_SENDER, (uint8_t *)(uintptr_t)sender };
	m.serial = serial;
	m.has_refusal = r < 0;
	if (r < 0)
		m.refusal = refusal_of(r);
	m.reply = reply;
	m.hub = (char *)(uintptr_t)pipeline_hub(o->control->pipeline);
	len = wellgate__v1__command_reply__get_packed_size(&m);
	data = malloc(len);
	if (!data)
		return;
	(void)wellgate__v1__command_reply__pack(&m, data);
	r = publish_reply(o->control->publish, data, len);
	if (r < 0)
		log_warning("the answer to a signed command could not be sent: %s", strerror(-r));
	free(data);
}

/* 0 and *ret; or why nothing was done */
static int carry_out(struct orders *o, const struct signed_command *c, int64_t now_ms,
		     Wellgate__V1__Reply **ret)
{
	const Wellgate__V1__Command *command;
	int r;

	command = wellgate__v1__command__unpack(arena_protobuf(&o->arena), c->len, c->payload);
	if (!command)
		return -EBADMSG;
	if (!may_come(command->verb))
		return -EPERM;
	r = keep_serial(o, c->key, c->serial, now_ms);
	if (r < 0)
		return r;
	r = control_handle(o->control, command, &o->arena, ret);
	return r < 0 ? r : pipeline_commit(o->control->pipeline);
}

static void take(struct orders *o, const struct signed_command *c, int64_t now_ms)
{
	Wellgate__V1__Reply *reply = NULL;
	int r;

	arena_reset(&o->arena);
	r = carry_out(o, c, now_ms, &reply);
	if (r < 0 && r != -EBADMSG && r != -EPERM) {
		/* not durable: no answer, and it may come again */
		log_error("a signed command could not be carried out: %s", strerror(-r));
		return;
	}
	if (r == 0)
		o->keys[c->key].last = c->serial;
	o->counts.carried_out += r == 0;
	o->counts.refused += r < 0;
	answer(o, o->senders[c->key], c->serial, r, reply);
}

/* sender and serial stand at fixed places of an envelope whose signature was good */
static void refuse(struct orders *o, int r, const uint8_t *envelope)
{
	uint64_t serial = 0;

	if (r == -EBADMSG || r == -ENOKEY || r == -EKEYREJECTED) {
		o->counts.strangers++;
		log_warning("a command over the broker was not signed by anybody known here");
		return;
	}
	for (size_t i = 0; i < 8; i++)
		serial = serial << 8 | envelope[12 + i];
	o->counts.refused++;
	answer(o, envelope + 4, serial, r, NULL);
}

static void on_heard(void *user, enum inbound which, const uint8_t *data, size_t len)
{
	struct orders *o = user;
	struct signed_command command;
	struct receipt now;
	struct signed_door door = { .keys = o->keys,
				    .n = o->n,
				    .hub = pipeline_hub(o->control->pipeline) };
	int r;

	if (which != INBOUND_COMMAND)
		return;
	pipeline_now(o->control->pipeline, &now);
	door.now_ms = now.synced ? now.utc_ms : SIGNED_NO_TIME;
	r = signed_open(&door, data, len, &command);
	if (r < 0)
		refuse(o, r, data);
	else
		take(o, &command, now.utc_ms);
}

/* ---- start ---- */

static int read_key(struct orders *o, char *line)
{
	struct signed_key *key = &o->keys[o->n];

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	for (size_t len = strlen(line); len > 0 && strchr(" \t", line[len - 1]); len--)
		line[len - 1] = '\0';
	if (!line[0])
		return 0;
	if (o->n == KEYS_MAX || signed_key_parse(line, key->key) < 0)
		return -EINVAL;
	signed_sender(key->key, o->senders[o->n]);
	o->n++;
	return 0;
}

static int read_keys(struct orders *o, const char *path)
{
	_cleanup_file_ FILE *file = fopen(path, "re");
	char line[LINE_BYTES];
	int r = 0;

	if (!file)
		return -errno;
	while (r == 0 && fgets(line, sizeof(line), file))
		r = strchr(line, '\n') || feof(file) ? read_key(o, line) : -EINVAL;
	return r == 0 && ferror(file) ? -EIO : r;
}

static void note_serial(struct orders *o, const Wellgate__V1__JournalEntry__SenderSerial *m)
{
	for (size_t i = 0; i < o->n; i++) {
		if (m->sender.len == SIGNED_SENDER &&
		    memcmp(m->sender.data, o->senders[i], SIGNED_SENDER) == 0 &&
		    m->serial > o->keys[i].last)
			o->keys[i].last = m->serial;
	}
}

static int read_serials(struct orders *o, struct arena *arena)
{
	struct store_row row = { 0 };
	int r;

	while ((r = store_next_entry(o->control->store, row.sequence, &row)) > 0) {
		const Wellgate__V1__JournalEntry *entry;

		arena_reset(arena);
		entry = wellgate__v1__journal_entry__unpack(arena_protobuf(arena), row.len,
							    row.payload);
		if (!entry)
			return -EBADMSG; /* a replay could not be told any more */
		if (entry->what_case == WELLGATE__V1__JOURNAL_ENTRY__WHAT_SERIAL)
			note_serial(o, entry->serial);
	}
	return r;
}

int orders_new(const struct control *control, struct arena *arena, struct orders **ret)
{
	struct orders *o;
	int r;

	*ret = NULL;
	if (!control->config->command_keys_file)
		return 0;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->control = control;
	r = arena_init(&o->arena, ARENA_SIZE);
	if (r == 0)
		r = read_keys(o, control->config->command_keys_file);
	if (r == 0)
		r = read_serials(o, arena);
	if (r < 0) {
		orders_free(o);
		return r;
	}
	publish_on_heard(control->publish, on_heard, o);
	*ret = o;
	return 0;
}

void orders_free(struct orders *o)
{
	if (!o)
		return;
	publish_on_heard(o->control->publish, NULL, NULL);
	arena_finish(&o->arena);
	free(o);
}

void orders_counts(const struct orders *o, struct orders_counts *ret)
{
	*ret = o ? o->counts : (struct orders_counts){ 0 };
}
