/*
 * wearer-sync --socket PATH --truth FILE [--seed N] [--march]
 * wearer-sync --dump FILE [--seed N] [--march]     the last dump of the fortnight, and no more
 *
 * Fourteen days of the virtual wearer, two syncs a day, to a gateway: the real driver (fitbit_ble)
 * in real sessions, the hub's zone from the gateway, the real socket; the tracker is made up. Time
 * goes from sync to sync at once. The truth goes to FILE, as JSON. Ends when all is committed.
 */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "drivers/link.h"
#include "drivers/registry.h"
#include "drivers/transport/hub.h"
#include "protocols/bytes/crc.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"
#include "tests/wearer/wearer.h"

#define ANSWER  0xfb01
#define DAYS    15 /* the last one only for the sync after the fortnight */
#define DAY_S   INT64_C(86400)
#define NEVER   (-1)
#define SYNCS   (2 * DAYS)
#define US      INT64_C(1000000)
#define DIES_ON 4
#define LOST_ON 9

enum says {
	SAYS_NOTHING,
	SAYS_AIRLINK,
	SAYS_BEGIN,
	SAYS_DATA,
	SAYS_END,
	SAYS_CLOSED,
};

struct program {
	sd_event *event;
	struct link *link;
	struct wearer *wearer;
	struct session *session; /* NULL between two syncs */
	struct session_memory memory;
	bool announced, closed;
	uint64_t next_seq;
	uint32_t id;
	int64_t first; /* the first local day */
	int64_t syncs[SYNCS];
	size_t n_syncs, sync;
	int64_t now, deadline; /* us since the first day began */
	enum says says;        /* next */
	uint8_t dump[WEARER_DUMP_MAX];
	size_t dump_len, dump_said;
};

static bool has_zone; /* of the process, as libc's is */

static int64_t utc_of(const struct program *p)
{
	return p->first + p->now / US;
}

/* ---- the tracker ---- */

static const uint8_t address[FITBIT_ID_SIZE] = { 0xe5, 0x14, 0x53, 0x33, 0xee, 0xff };

static void hear_command(struct program *p, const uint8_t *data, size_t len)
{
	if (len < 2 || data[0] != 0xc0)
		return;
	if (data[1] == 0x0a)
		p->says = SAYS_AIRLINK;
	if (data[1] == 0x10)
		p->says = SAYS_BEGIN;
	if (data[1] == 0x01)
		p->says = SAYS_CLOSED;
}

static struct fitbit_control control_of(struct program *p, enum says says)
{
	struct fitbit_control m = { .kind = FITBIT_CLOSE };

	p->says = SAYS_NOTHING;
	if (says == SAYS_AIRLINK) {
		m.kind = FITBIT_AIRLINK_UP;
		memcpy(m.id, address, sizeof(m.id));
	} else if (says == SAYS_BEGIN) {
		m.kind = FITBIT_DUMP_BEGINS;
		m.type = FITBIT_MEGADUMP;
		p->says = SAYS_DATA;
	} else if (says == SAYS_END) {
		m.kind = FITBIT_DUMP_ENDS;
		m.type = FITBIT_MEGADUMP;
		m.crc = crc_16_xmodem(p->dump, p->dump_len);
		m.has_length = true;
		m.length = (uint32_t)p->dump_len;
	}
	return m;
}

static int say_next(struct program *p)
{
	uint8_t packet[FITBIT_PACKET_MAX];
	struct writer w = writer_of(packet, sizeof(packet));
	size_t taken = 0;
	int r;

	if (p->says == SAYS_DATA) {
		r = fitbit_packet_encode(p->dump + p->dump_said, p->dump_len - p->dump_said, &w,
					 &taken);
		p->dump_said += taken;
		if (p->dump_said == p->dump_len)
			p->says = SAYS_END;
	} else {
		const struct fitbit_control m = control_of(p, p->says);

		r = fitbit_control_encode(&m, &w);
	}
	if (r < 0)
		return r;
	p->now += 8000;
	return session_frame(p->session, &(struct drv_frame){ ANSWER, packet, w.len }, false,
			     p->now);
}

/* ---- what the session says ---- */

/* Once a link: a dump says all about its tracker before the first minute. */
static int announce(struct program *p)
{
	if (p->announced)
		return 0;
	p->announced = true;
	return link_up(p->link, p->id, p->session, true);
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	struct program *p = user;
	const struct link_stamp stamp = { .simulated = true, .simulated_at_ms = utc_of(p) * 1000 };

	if (announce(p) < 0 || link_measurement(p->link, p->id, m, seq, &stamp) < 0)
		abort(); /* a reading would be lost, and the test be about nothing */
}

static void on_request(void *user, const struct session_request *q)
{
	struct program *p = user;

	if (q->kind == SESSION_TIMER)
		p->deadline = q->msec == 0 ? NEVER : p->now + q->msec * INT64_C(1000);
	else if (q->kind == SESSION_CLOSE)
		p->closed = true;
	else if (q->kind == SESSION_WRITE)
		hear_command(p, q->data, q->len);
}

static void on_confirm(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
}

static void on_fault(void *user, uint16_t channel, enum session_fault fault, int r)
{
	(void)user;
	(void)channel;
	(void)fault;
	(void)r;
	abort(); /* what this tracker says has no fault */
}

static void on_memory(void *user, const struct session_memory *memory)
{
	((struct program *)user)->memory = *memory;
}

/* ---- one sync after the other ---- */

static int take_dump(struct program *p, int64_t at)
{
	const struct wearer_tracker tracker = { .product = FITBIT_FLEX,
						.serial = { 0x10, 0xff, 0xee, 0, 1 },
						.battery_percent = 80 };

	return wearer_dump(p->wearer, at, &tracker, p->dump, sizeof(p->dump), &p->dump_len);
}

static int begin_sync(struct program *p)
{
	const struct session_sink sink = { .measurement = on_measurement,
					   .request = on_request,
					   .confirm = on_confirm,
					   .fault = on_fault,
					   .memory = on_memory,
					   .user = p };
	const int64_t at = p->syncs[p->sync];
	int r;

	p->now = (at - p->first) * US;
	r = take_dump(p, at);
	if (r == 0)
		r = session_new(registry_by_name("fitbit_ble"), 0, &sink, &p->next_seq,
				&p->session);
	if (r < 0)
		return r;
	p->dump_said = 0;
	p->says = SAYS_NOTHING;
	p->deadline = NEVER;
	p->closed = p->announced = false;
	p->id++;
	session_set_memory(p->session, &p->memory);
	session_set_wall(p->session, p->first * 1000);
	session_set_zone(p->session, wearer_utc_offset(at) / 60);
	hub_give(p->session);
	return session_open(p->session, LINK_CLEAR, p->now);
}

static int end_sync(struct program *p)
{
	const bool whole = p->dump_said == p->dump_len && session_was_good(p->session);

	if (p->announced)
		(void)link_down(p->link, p->id, p->session);
	session_close(p->session, p->now);
	session_free(p->session);
	p->session = NULL;
	if (!whole)
		return -EPROTO;
	return wearer_synced(p->wearer, p->syncs[p->sync++]);
}

/* One thing that can happen without the gateway; false: nothing. */
static bool happens(struct program *p, int *ret)
{
	if (!p->session) {
		if (p->sync == p->n_syncs || !has_zone || !link_has_room(p->link))
			return false;
		*ret = begin_sync(p);
	} else if (!session_idle(p->session)) {
		return false; /* a commit is on its way */
	} else if (p->closed) {
		*ret = end_sync(p);
	} else if (p->says != SAYS_NOTHING) {
		*ret = say_next(p);
	} else if (p->deadline != NEVER) {
		p->now = p->deadline;
		p->deadline = NEVER;
		*ret = session_timeout(p->session, p->now);
	} else {
		*ret = -EDEADLK;
	}
	return true;
}

static void on_committed(void *user, uint64_t seq)
{
	struct program *p = user;

	if (p->session)
		(void)session_committed(p->session, seq, p->now);
}

static void on_refused(void *user, uint64_t seq)
{
	(void)user;
	(void)seq;
	abort();
}

static void on_wake(void *user)
{
	(void)user; /* the loop looks at the room itself */
}

static void on_zone(const char *name, int offset_min)
{
	has_zone = hub_set_zone(name, offset_min) == 0;
}

/* ---- the truth ---- */

static void write_days(FILE *f, const struct wearer *w)
{
	struct wearer_day day;

	for (unsigned int d = 0; d + 1 < DAYS; d++) {
		(void)wearer_day(w, d, INT64_MAX, &day);
		(void)fprintf(f,
			      "%s{\"start\":%" PRId64 ",\"end\":%" PRId64 ",\"steps\":%" PRIu32
			      ",\"distance_mm\":%" PRIu32 ",\"active_minutes\":%" PRIu32
			      ",\"floors_tenths\":%" PRIu32
			      ",\"recorded\":%u,\"worn\":%u,\"whole\":%s}",
			      d ? ",\n" : "", day.start, day.end, day.steps, day.distance_mm,
			      day.active_minutes, day.floors_tenths, day.recorded, day.worn,
			      wearer_alive(w, day.end - 1) ? "true" : "false");
	}
}

static void write_nights(FILE *f, const struct wearer *w)
{
	struct wearer_sleep s;

	for (unsigned int i = 0; wearer_sleep(w, i, &s) == 0; i++)
		(void)fprintf(f,
			      "%s{\"start\":%" PRId64 ",\"end\":%" PRId64
			      ",\"asleep\":%u,\"awake\":%u,\"nap\":%s,\"whole\":%s}",
			      i ? ",\n" : "", s.start, s.end, s.asleep, s.awake,
			      s.nap ? "true" : "false", s.whole ? "true" : "false");
}

/* Two characters each: "--" not recorded, else its steps, hexadecimal. */
static void write_minutes(FILE *f, const struct wearer *w)
{
	int64_t start;
	size_t n;
	const struct wearer_minute *m = wearer_minutes(w, &n, &start);

	for (size_t i = 0; i < n; i++)
		if (m[i].recorded)
			(void)fprintf(f, "%02x", m[i].steps);
		else
			(void)fputs("--", f);
}

static int write_truth(const struct program *p, const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	(void)fprintf(f,
		      "{\"first\":%" PRId64 ",\"syncs\":%zu,\"last_sync\":%" PRId64 ",\"days\":[",
		      p->first, p->n_syncs, p->syncs[p->n_syncs - 1]);
	write_days(f, p->wearer);
	(void)fputs("],\n\"nights\":[", f);
	write_nights(f, p->wearer);
	(void)fputs("],\n\"minutes\":\"", f);
	write_minutes(f, p->wearer);
	(void)fputs("\"}\n", f);
	return fclose(f) == 0 ? 0 : -errno;
}

static int write_dump(struct program *p, const char *path)
{
	FILE *f = fopen(path, "we");
	int r = f ? 0 : -errno;

	if (r == 0)
		r = take_dump(p, p->syncs[p->n_syncs - 1]);
	if (r == 0 && fwrite(p->dump, 1, p->dump_len, f) != p->dump_len)
		r = -EIO;
	if (f && fclose(f) != 0 && r == 0)
		r = -errno;
	return r;
}

/* ---- the program ---- */

static void plan_syncs(struct program *p)
{
	static const int64_t times[] = { 29400, 74400 }; /* ten past eight, twenty to nine */
	struct wearer_day day;

	for (unsigned int d = 0; wearer_day(p->wearer, d, 0, &day) == 0; d++) {
		for (size_t i = 0; i < 2; i++) {
			const int64_t at = day.start + times[i] + d;

			if (wearer_alive(p->wearer, at))
				p->syncs[p->n_syncs++] = at;
		}
	}
}

static int make(struct program *p, uint64_t seed, bool march, const char *socket)
{
	const struct wearer_plan plan = { .seed = seed,
					  .first = march ? WEARER_MARCH : WEARER_OCTOBER,
					  .days = DAYS,
					  .battery_dies = DIES_ON,
					  .lost_day = LOST_ON };
	const struct link_handlers handlers = { .committed = on_committed,
						.refused = on_refused,
						.wake = on_wake,
						.radio = { .zone = on_zone },
						.user = p };
	int r = wearer_new(&plan, &p->wearer);

	if (r < 0)
		return r;
	(void)wearer_midnight(NULL, plan.first, &p->first);
	plan_syncs(p);
	p->next_seq = 1;
	if (!socket)
		return 0;
	r = sd_event_default(&p->event);
	return r < 0 ? r : link_new(p->event, socket, &handlers, &p->link);
}

static int run(struct program *p)
{
	int r = 0;

	while (r >= 0 && !(p->sync == p->n_syncs && link_idle(p->link))) {
		if (!happens(p, &r))
			r = sd_event_run(p->event, UINT64_MAX);
	}
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "socket", required_argument, NULL, 's' },
						 { "truth", required_argument, NULL, 't' },
						 { "dump", required_argument, NULL, 'd' },
						 { "seed", required_argument, NULL, 'n' },
						 { "march", no_argument, NULL, 'm' },
						 { 0 } };
	static struct program p;
	const char *socket = NULL, *truth = NULL, *dump = NULL;
	uint64_t seed = 1;
	bool march = false;
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 's')
			socket = optarg;
		else if (c == 't')
			truth = optarg;
		else if (c == 'd')
			dump = optarg;
		else if (c == 'n')
			seed = strtoull(optarg, NULL, 10);
		else if (c == 'm')
			march = true;
		else
			return 64;
	}
	if (dump ? socket || truth : !socket || !truth)
		return 64;
	r = make(&p, seed, march, socket);
	if (r == 0)
		r = dump ? write_dump(&p, dump) : write_truth(&p, truth);
	if (r == 0 && !dump)
		r = run(&p);
	if (r < 0)
		(void)fprintf(stderr, "wearer-sync: %s\n", strerror(-r));
	link_free(p.link);
	sd_event_unref(p.event);
	wearer_free(p.wearer);
	hub_forget();
	return r < 0;
}
