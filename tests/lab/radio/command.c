#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lab/radio/command.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define WORDS_MAX  8
#define ADD_MAX    AIR_PEERS_MAX
#define MS_MAX     3600000
#define ALL        "all"
#define LOST_MS    240 /* what a central waits for six intervals of 40 ms */
#define OPCODE_MAX 0xffff

struct words {
	char text[COMMAND_LINE_MAX];
	char *at[WORDS_MAX];
	size_t n;
	size_t from[WORDS_MAX]; /* where each begins in the line */
};

struct call {
	struct air *air;
	const char *line;
	struct words w;
	char *answer;
	size_t size;
	bool quit;
};

static int split(const char *line, struct words *ret)
{
	size_t i = 0;

	if (strlen(line) >= sizeof(ret->text))
		return -EMSGSIZE;
	memcpy(ret->text, line, strlen(line) + 1);
	ret->n = 0;
	while (ret->n < WORDS_MAX) {
		i += strspn(ret->text + i, " \t");
		if (!ret->text[i])
			break;
		ret->from[ret->n] = i;
		ret->at[ret->n++] = ret->text + i;
		i += strcspn(ret->text + i, " \t");
		if (!ret->text[i])
			break;
		ret->text[i++] = 0;
	}
	return 0;
}

static bool is(const struct call *c, size_t i, const char *word)
{
	return i < c->w.n && strcmp(c->w.at[i], word) == 0;
}

static int number_in(const char *text, long least, long most, long *ret)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(text, &end, 0);
	if (errno || end == text || *end || v < least || v > most)
		return -EINVAL;
	*ret = v;
	return 0;
}

/* word i as a number; without it the default, if there is one (least - 1 says there is none) */
static int number(const struct call *c, size_t i, long least, long most, long fallback, long *ret)
{
	if (i < c->w.n)
		return number_in(c->w.at[i], least, most, ret);
	if (fallback < least)
		return -EINVAL;
	*ret = fallback;
	return 0;
}

static int on_off(const struct call *c, size_t i, bool *ret)
{
	if (!is(c, i, "on") && !is(c, i, "off"))
		return -EINVAL;
	*ret = is(c, i, "on");
	return 0;
}

static void say(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct call *c, const char *format, ...)
{
	const size_t have = strlen(c->answer);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(c->answer + have, c->size - have, format, args);
	va_end(args);
}

/* ---- the world ---- */

static int do_add(struct call *c)
{
	unsigned int first = 0, last = 0;
	long count;
	int r = number(c, 2, 1, ADD_MAX, 1, &count);

	if (r < 0 || c->w.n < 2)
		return -EINVAL;
	for (long i = 0; i < count; i++) {
		r = air_add(c->air, c->w.at[1], &last);
		if (r < 0)
			return r;
		if (i == 0)
			first = last;
	}
	if (count == 1)
		say(c, "%u", first);
	else
		say(c, "%u %u", first, last);
	return 0;
}

static int index_of(const struct call *c, size_t i, unsigned int *ret)
{
	long v;

	if (number(c, i, 0, AIR_PEERS_MAX - 1, -1, &v) < 0)
		return -EINVAL;
	*ret = (unsigned int)v;
	return air_find(c->air, *ret) ? 0 : -ENOENT;
}

static int do_remove(struct call *c)
{
	unsigned int index;
	const int r = index_of(c, 1, &index);

	return r < 0 ? r : air_remove(c->air, index);
}

static int do_clone(struct call *c)
{
	unsigned int index, copy;
	int r = index_of(c, 1, &index);

	if (r == 0)
		r = air_clone(c->air, index, &copy);
	if (r == 0)
		say(c, "%u", copy);
	return r;
}

static int do_list(struct call *c)
{
	for (unsigned int i = 0; i < c->air->n_peers; i++) {
		const struct peer *p = c->air->peers[i];
		const uint8_t *b;

		if (!p)
			continue;
		b = p->address;
		say(c, "%s%u %s %02X:%02X:%02X:%02X:%02X:%02X %s %s %s %s",
		    c->answer[0] ? "; " : "", i, p->model, b[0], b[1], b[2], b[3], b[4], b[5],
		    p->address_random ? "random" : "public", p->advertises ? "advertises" : "quiet",
		    p->connected ? "linked" : "unlinked", p->encrypted ? "encrypted" : "clear");
	}
	return 0;
}

static int do_models(struct call *c)
{
	for (size_t i = 0; peer_models[i]; i++)
		say(c, "%s%s", i > 0 ? " " : "", peer_models[i]);
	return 0;
}

static int do_crowd(struct call *c)
{
	long count, rate, stay;

	if (number(c, 1, 0, INT32_MAX, -1, &count) < 0 ||
	    number(c, 2, 0, INT32_MAX, -1, &rate) < 0 ||
	    number(c, 3, 1, INT32_MAX, AIR_CROWD_STAY_S, &stay) < 0)
		return -EINVAL;
	return air_set_crowd(c->air, (uint32_t)count, (uint32_t)rate, stay * AIR_SECOND);
}

static int do_log(struct call *c)
{
	air_note(c->air, "mark %s", c->w.n > 1 ? c->line + c->w.from[1] : "");
	return 0;
}

static int do_quit(struct call *c)
{
	c->quit = true;
	return 0;
}

static int do_counts(struct call *c)
{
	say(c, "reports %" PRIu64 " host-errors %" PRIu64, c->air->reports, c->air->host_errors);
	return 0;
}

/* ---- the adapter ---- */

static int adapter_fault(struct call *c, bool mute)
{
	const size_t times_at = mute ? 3 : 4;
	long opcode, status = 0, times;

	if (number(c, 2, 0, OPCODE_MAX, -1, &opcode) < 0 ||
	    (!mute && number(c, 3, 1, UINT8_MAX, 0, &status) < 0) ||
	    number(c, times_at, 0, INT32_MAX, 1, &times) < 0)
		return -EINVAL;
	return controller_add_fault(&c->air->controller, (uint16_t)opcode, mute, (uint8_t)status,
				    (unsigned int)times);
}

static int adapter_add(struct air *a)
{
	if (a->port.fd >= 0)
		return -EALREADY;
	return vhci_open(&a->port);
}

static int adapter_remove(struct air *a)
{
	if (a->port.fd < 0)
		return -EALREADY;
	air_unplug(a);
	return 0;
}

static int adapter_switch(struct call *c, bool *what)
{
	const int r = on_off(c, 2, what);

	if (r == 0 && !c->air->stalled)
		air_release_buffers(c->air);
	return r;
}

static int do_adapter(struct call *c)
{
	struct air *a = c->air;
	long links;

	if (is(c, 1, "add"))
		return adapter_add(a);
	if (is(c, 1, "remove"))
		return adapter_remove(a);
	if (is(c, 1, "silent"))
		return adapter_switch(c, &a->port.silent);
	if (is(c, 1, "deaf"))
		return adapter_switch(c, &a->deaf);
	if (is(c, 1, "stall"))
		return adapter_switch(c, &a->stalled);
	if (is(c, 1, "strict"))
		return adapter_switch(c, &a->strict_filter);
	if (is(c, 1, "timeout"))
		return adapter_fault(c, true);
	if (is(c, 1, "status"))
		return adapter_fault(c, false);
	if (!is(c, 1, "links") || number(c, 2, 0, AIR_PEERS_MAX, -1, &links) < 0)
		return -EINVAL;
	a->links_max = (unsigned int)links;
	return 0;
}

/* ---- one peripheral; its words begin at 1 ---- */

static int peer_advertise(struct call *c, struct peer *p)
{
	bool on;
	const int r = on_off(c, 2, &on);

	if (r < 0)
		return r;
	p->advertises = on;
	air_changed(p);
	return 0;
}

static int peer_interval(struct call *c, struct peer *p)
{
	long ms;

	if (number(c, 2, 1, MS_MAX, 0, &ms) < 0)
		return -EINVAL;
	p->interval_ms = (unsigned int)ms;
	return 0;
}

static int peer_drop(struct call *c, struct peer *p)
{
	long reason, ms;

	if (number(c, 2, 1, UINT8_MAX, STATUS_TIMEOUT, &reason) < 0 ||
	    number(c, 3, 0, MS_MAX, 0, &ms) < 0)
		return -EINVAL;
	if (!p->connected)
		return -ENOTCONN;
	air_cut(p, (uint8_t)reason, ms * AIR_MILLISECOND);
	return 0;
}

static int peer_delay(struct call *c, struct peer *p)
{
	struct air_peer *ap = p->air;
	long delay, jitter;

	if (number(c, 2, 0, MS_MAX, -1, &delay) < 0 || number(c, 3, 0, MS_MAX, 0, &jitter) < 0)
		return -EINVAL;
	ap->faults.delay_us = delay * AIR_MILLISECOND;
	ap->faults.jitter_us = jitter * AIR_MILLISECOND;
	return 0;
}

static int peer_loss(struct call *c, struct peer *p)
{
	struct air_peer *ap = p->air;
	long percent;

	if (number(c, 2, 0, 100, -1, &percent) < 0)
		return -EINVAL;
	ap->faults.loss_percent = (unsigned int)percent;
	return 0;
}

static int peer_fragment(struct call *c, struct peer *p)
{
	struct air_peer *ap = p->air;
	long bytes;

	if (number(c, 2, 0, ACL_DATA_MAX, -1, &bytes) < 0)
		return -EINVAL;
	ap->faults.fragment = (size_t)bytes;
	return 0;
}

static int peer_rssi(struct call *c, struct peer *p)
{
	struct air_peer *ap = p->air;
	long dbm;

	if (number(c, 2, -120, 20, -121, &dbm) < 0)
		return -EINVAL;
	ap->rssi = ap->rssi_mean = (int8_t)dbm;
	return 0;
}

static int peer_rotate(struct call *c, struct peer *p)
{
	long seconds;

	if (is(c, 2, "off")) {
		air_rotate_every(p, 0);
		return 0;
	}
	if (number(c, 2, 0, MS_MAX, 0, &seconds) < 0)
		return -EINVAL;
	if (seconds > 0)
		air_rotate_every(p, seconds * AIR_SECOND);
	return air_rotate(p);
}

static int peer_parameters(struct call *c, struct peer *p)
{
	uint16_t parameters[4];

	for (size_t i = 0; i < N(parameters); i++) {
		long v;

		if (number(c, 2 + i, 0, UINT16_MAX, -1, &v) < 0)
			return -EINVAL;
		parameters[i] = (uint16_t)v;
	}
	return air_ask_parameters(p, parameters);
}

/* ---- the air's faults ---- */

static int fault_connect(const struct call *c, struct air_faults *f)
{
	long status, times;

	if (number(c, 3, 1, UINT8_MAX, 0, &status) < 0 || number(c, 4, 0, INT32_MAX, 1, &times) < 0)
		return -EINVAL;
	f->refused_status = (uint8_t)status;
	f->refused = (unsigned int)times;
	return 0;
}

static int fault_lost(const struct call *c, struct air_faults *f)
{
	long times, ms;

	if (number(c, 3, 0, INT32_MAX, 1, &times) < 0 || number(c, 4, 0, MS_MAX, LOST_MS, &ms) < 0)
		return -EINVAL;
	f->lost = (unsigned int)times;
	f->lost_us = ms * AIR_MILLISECOND;
	return 0;
}

static int fault_hang(const struct call *c, struct air_faults *f)
{
	long times;

	if (is(c, 3, "on") || is(c, 3, "off")) {
		f->hang = is(c, 3, "on") ? AIR_ALWAYS : 0;
		return 0;
	}
	if (number(c, 3, 0, INT32_MAX, 1, &times) < 0)
		return -EINVAL;
	f->hang = (unsigned int)times;
	return 0;
}

static int fault_drop_at(const struct call *c, struct air_faults *f)
{
	long opcode, reason, times;

	if (number(c, 3, 0, UINT8_MAX, -1, &opcode) < 0 ||
	    number(c, 4, 1, UINT8_MAX, STATUS_TIMEOUT, &reason) < 0 ||
	    number(c, 5, 0, INT32_MAX, 1, &times) < 0)
		return -EINVAL;
	f->drop_at_opcode = (uint8_t)opcode;
	f->drop_at_reason = (uint8_t)reason;
	f->drop_at = (unsigned int)times;
	return 0;
}

static int fault_unconfirmed(const struct call *c, struct air_faults *f)
{
	long times, ms;

	if (number(c, 3, 0, INT32_MAX, 1, &times) < 0 || number(c, 4, 0, MS_MAX, 0, &ms) < 0)
		return -EINVAL;
	f->unconfirmed = (unsigned int)times;
	f->unconfirmed_us = ms * AIR_MILLISECOND;
	return 0;
}

/* What is not the air's is the peripheral's. */
static int to_peer(struct call *c, struct peer *p)
{
	return peer_command(p, c->line + c->w.from[1], c->answer, c->size);
}

static int peer_fault(struct call *c, struct peer *p)
{
	static const struct {
		const char *name;
		int (*run)(const struct call *c, struct air_faults *f);
	} faults[] = {
		{ "connect", fault_connect },
		{ "lost", fault_lost },
		{ "hang", fault_hang },
		{ "drop-at", fault_drop_at },
		{ "unconfirmed", fault_unconfirmed },
	};
	struct air_peer *ap = p->air;

	for (size_t i = 0; i < N(faults); i++) {
		if (is(c, 2, faults[i].name))
			return faults[i].run(c, &ap->faults);
	}
	if (!is(c, 2, "none"))
		return to_peer(c, p);
	ap->faults = (struct air_faults){ 0 };
	(void)to_peer(c, p); /* it may know of none, too */
	c->answer[0] = 0;
	return 0;
}

static int for_peer(struct call *c, struct peer *p)
{
	static const struct {
		const char *name;
		int (*run)(struct call *c, struct peer *p);
	} verbs[] = {
		{ "advertise", peer_advertise }, { "interval", peer_interval },
		{ "drop", peer_drop },           { "delay", peer_delay },
		{ "loss", peer_loss },           { "fragment", peer_fragment },
		{ "rssi", peer_rssi },           { "rotate", peer_rotate },
		{ "fault", peer_fault },         { "parameters", peer_parameters },
	};

	if (c->w.n < 2)
		return -EINVAL;
	for (size_t i = 0; i < N(verbs); i++) {
		if (is(c, 1, verbs[i].name))
			return verbs[i].run(c, p);
	}
	return to_peer(c, p);
}

/* The answer is how many did it; the first that cannot ends it. */
static int for_all(struct call *c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->air->n_peers; i++) {
		int r;

		if (!c->air->peers[i])
			continue;
		c->answer[0] = 0;
		r = for_peer(c, c->air->peers[i]);
		if (r < 0)
			return r;
		n++;
	}
	c->answer[0] = 0;
	say(c, "%u", n);
	return 0;
}

static int execute(struct call *c)
{
	static const struct {
		const char *name;
		int (*run)(struct call *c);
	} verbs[] = {
		{ "add", do_add },   { "remove", do_remove },   { "clone", do_clone },
		{ "list", do_list }, { "models", do_models },   { "crowd", do_crowd },
		{ "log", do_log },   { "adapter", do_adapter }, { "counts", do_counts },
		{ ALL, for_all },    { "quit", do_quit },
	};
	unsigned int index;
	int r;

	if (c->w.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < N(verbs); i++) {
		if (is(c, 0, verbs[i].name))
			return verbs[i].run(c);
	}
	r = index_of(c, 0, &index);
	return r < 0 ? r : for_peer(c, c->air->peers[index]);
}

int command_execute(void *air, const char *line, char *answer, size_t size, bool *ret_quit)
{
	struct call c = { .air = air, .line = line, .answer = answer, .size = size };
	int r;

	assert(size > 0);
	answer[0] = 0;
	r = split(line, &c.w);
	if (r == 0)
		r = execute(&c);
	if (r < 0 && answer[0] == 0)
		say(&c, "%s", strerror(-r));
	if (c.quit)
		*ret_quit = true;
	return r;
}
