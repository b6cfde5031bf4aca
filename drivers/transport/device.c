#include "drivers/transport/device.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define LEVEL_CLEAR 1
#define NEVER       INT64_MAX

#define IN(state) (1u << DEVICE_##state)
#define IN_SETUP  (IN(MTU) | IN(VERIFY) | IN(ARMING))
#define IN_LINK   (IN(LINKING) | IN(SECURING) | IN_SETUP | IN(DRAIN) | IN(LINGER))
#define IN_ANY    ((1u << DEVICE_STATE_END) - 1)
#define STAY      DEVICE_STATE_END

/* What an event comes with, and what its row adds to the answer. */
struct occasion {
	unsigned int argument;
	int64_t now;
	unsigned int actions;
	enum device_state next;
};

struct row {
	unsigned int states; /* IN() bits */
	enum device_event event;
	bool (*guard)(const struct device *d, const struct occasion *o);
	enum device_state next;
	unsigned int actions;
	void (*effect)(struct device *d, struct occasion *o);
};

const char *device_state_name(enum device_state state)
{
	static const char *const names[DEVICE_STATE_END] = {
		"known",  "seen",   "queued", "linking", "securing", "mtu",
		"verify", "arming", "drain",  "linger",  "closing",
	};

	assert(state < DEVICE_STATE_END);
	return names[state];
}

const char *device_trouble_name(enum device_trouble trouble)
{
	static const char *const names[DEVICE_TROUBLE_END] = {
		"fine", "bond_suspect", "spoof_suspect", "busy_elsewhere", "consent_needed",
	};

	assert(trouble < DEVICE_TROUBLE_END);
	return names[trouble];
}

const char *device_event_name(enum device_event event)
{
	static const char *const names[DEVICE_EVENT_END] = {
		"advert", "turn",    "connected",    "level", "mtu",      "verified",
		"armed",  "reading", "committed",    "done",  "in_clear", "yield",
		"end",    "gone",    "adapter_lost", "time",  "consent",  "operator",
	};

	assert(event < DEVICE_EVENT_END);
	return names[event];
}

/* ---- guards ---- */

static bool fresh(const struct device *d, const struct occasion *o)
{
	return d->last_seen != 0 && o->now < d->last_seen + DEVICE_SEEN_US;
}

static bool may_link(const struct device *d, const struct occasion *o)
{
	return !d->config.broadcast && d->trouble != DEVICE_BOND_SUSPECT && o->now >= d->not_before;
}

/* Not on the word of an advertisement from before its last link: it may sleep by now, and an
 * attempt would stop the scan for 10 s and speak against the adapter. */
static bool may_link_now(const struct device *d, const struct occasion *o)
{
	return d->heard && fresh(d, o) && may_link(d, o);
}

/* the argument is a level */
static bool level_low(const struct device *d, const struct occasion *o)
{
	return o->argument < d->config.level;
}

static bool level_fell(const struct device *d, const struct occasion *o)
{
	return level_low(d, o) && d->level >= d->config.level;
}

static bool level_low_and_late(const struct device *d, const struct occasion *o)
{
	return level_low(d, o) && d->config.raise_late;
}

static bool level_good_after_mtu(const struct device *d, const struct occasion *o)
{
	return !level_low(d, o) && d->mtu_known;
}

static bool level_too_late(const struct device *d, const struct occasion *o)
{
	return !level_low(d, o) && d->spoke_early;
}

static bool still_low(const struct device *d, const struct occasion *o)
{
	(void)o;
	return d->level < d->config.level;
}

static bool waits(const struct device *d, const struct occasion *o)
{
	(void)o;
	return d->waits_for_commit;
}

static bool argument_set(const struct device *d, const struct occasion *o)
{
	(void)d;
	return o->argument != 0;
}

static bool leaves(const struct device *d, const struct occasion *o)
{
	(void)o;
	return d->leaves;
}

/* an answer, a sign of life: no reading to wait for */
static bool no_reading(const struct device *d, const struct occasion *o)
{
	(void)d;
	return !(o->argument & DEVICE_LIFE_WAITS);
}

static bool is_timeout(const struct device *d, const struct occasion *o)
{
	(void)d;
	return o->argument == DEVICE_END_TIMEOUT;
}

static bool is_auth(const struct device *d, const struct occasion *o)
{
	(void)d;
	return o->argument == DEVICE_END_AUTH;
}

static bool is_busy(const struct device *d, const struct occasion *o)
{
	(void)d;
	return o->argument == DEVICE_END_BUSY;
}

/* It went away of its own accord, and owes us nothing that we know of. */
static bool left_in_peace(const struct device *d, const struct occasion *o)
{
	return o->argument == DEVICE_END_PEER && !d->waits_for_commit;
}

/* ---- effects ---- */

static void set_trouble(struct device *d, struct occasion *o, enum device_trouble trouble)
{
	if (d->trouble == trouble)
		return;
	d->trouble = trouble;
	o->actions |= DEVICE_DO_ALARM;
}

static int64_t doubled(int64_t first, unsigned int times)
{
	return times >= 6 ? DEVICE_BACKOFF_MAX
			  : (first << times < DEVICE_BACKOFF_MAX ? first << times
								 : DEVICE_BACKOFF_MAX);
}

static void on_seen(struct device *d, struct occasion *o)
{
	d->last_seen = o->now;
	d->heard = true;
}

/* the first advertisement after a silence: a new burst */
static void on_burst(struct device *d, struct occasion *o)
{
	d->quick = 0;
	d->empty = 0;
	d->burst_read = false;
	on_seen(d, o);
}

/*
 * Data in clear says nothing bad of a peer that then proves the key: a bonded device may speak in
 * the moment in which encryption begins. Of one that never did, it says that something uses its
 * address.
 */
static bool is_stranger(const struct device *d)
{
	return d->spoke_early && d->level < d->config.level;
}

static void on_failure(struct device *d, struct occasion *o)
{
	if (is_stranger(d) && d->trouble != DEVICE_BOND_SUSPECT)
		set_trouble(d, o, DEVICE_SPOOF_SUSPECT);
	if (d->quick < DEVICE_QUICK_MAX) {
		d->quick++;
		d->delay = DEVICE_QUICK_US;
	} else {
		d->delay = doubled(DEVICE_BACKOFF_US, d->failures);
		d->failures += d->failures < 16;
	}
}

static void on_auth_failure(struct device *d, struct occasion *o)
{
	on_failure(d, o);
	if (is_stranger(d))
		return; /* that it has not our key says nothing of the bond */
	d->auth_failures++;
	if (d->auth_failures >= DEVICE_AUTH_MAX && d->config.level > LEVEL_CLEAR)
		set_trouble(d, o, DEVICE_BOND_SUSPECT);
}

static void on_busy(struct device *d, struct occasion *o)
{
	on_failure(d, o);
	set_trouble(d, o, DEVICE_BUSY_ELSEWHERE);
}

static void on_level(struct device *d, struct occasion *o)
{
	d->level = o->argument;
	if (d->config.level <= LEVEL_CLEAR || d->level < d->config.level)
		return;
	d->auth_failures = 0;
	if (d->trouble == DEVICE_SPOOF_SUSPECT)
		set_trouble(d, o, DEVICE_FINE);
}

/*
 * What came before encryption is never believed and never confirmed, so the link is of no use: the
 * peer sends nothing else on it, and sends that again on the next. There the level is asked for
 * before the connection, which is the surest way to have it in time, even where the kernel then
 * sometimes kills our helper. Whose fault it was shows when the level comes, or does not.
 */
static void on_early(struct device *d, struct occasion *o)
{
	(void)o;
	d->spoke_early = true;
	d->config.raise_late = false;
}

static void on_too_early(struct device *d, struct occasion *o)
{
	on_early(d, o);
	on_failure(d, o);
}

static void on_level_too_late(struct device *d, struct occasion *o)
{
	on_level(d, o);
	on_failure(d, o);
}

static void on_connected(struct device *d, struct occasion *o)
{
	d->mtu_known = d->waits_for_commit = d->streams = d->leaves = d->had_reading = false;
	d->heard = false;
	if (d->trouble == DEVICE_BUSY_ELSEWHERE)
		set_trouble(d, o, DEVICE_FINE);
	on_level(d, o);
}

static void on_turn(struct device *d, struct occasion *o)
{
	d->spoke_early = false;
	d->level = LEVEL_CLEAR;
	d->setup_by = o->now + DEVICE_SETUP_US;
}

static void on_mtu(struct device *d, struct occasion *o)
{
	(void)o;
	d->mtu_known = true;
}

static void on_life(struct device *d, struct occasion *o)
{
	if (o->argument & DEVICE_LIFE_STREAM)
		d->streams = true;
	if (o->argument & DEVICE_LIFE_WAITS)
		d->waits_for_commit = d->had_reading = true;
}

/* A reading waits: its time runs from when it came, whatever else arrives. */
static void on_life_waiting(struct device *d, struct occasion *o)
{
	on_life(d, o);
	o->next = STAY;
}

static void on_durable(struct device *d, struct occasion *o)
{
	(void)o;
	d->waits_for_commit = false;
	d->burst_read = true;
	d->quick = d->failures = 0;
}

static void on_good_end(struct device *d, struct occasion *o)
{
	(void)o;
	d->quick = d->failures = 0;
	d->delay = d->had_reading ? DEVICE_REST_US : doubled(DEVICE_EMPTY_US, d->empty);
	d->empty = d->had_reading ? 0 : d->empty + (d->empty < 16);
}

static void on_done(struct device *d, struct occasion *o)
{
	(void)o;
	d->leaves = true;
}

static void on_yield(struct device *d, struct occasion *o)
{
	on_good_end(d, o);
	if (d->streams)
		d->delay = DEVICE_YIELD_US;
}

static void on_closed(struct device *d, struct occasion *o)
{
	d->not_before = o->now + d->delay;
	d->delay = 0;
	o->next = fresh(d, o) ? DEVICE_SEEN : DEVICE_KNOWN;
}

static void on_consent(struct device *d, struct occasion *o)
{
	if (o->argument && d->trouble == DEVICE_FINE)
		set_trouble(d, o, DEVICE_CONSENT_NEEDED);
	else if (!o->argument && d->trouble == DEVICE_CONSENT_NEEDED)
		set_trouble(d, o, DEVICE_FINE);
}

static void on_operator(struct device *d, struct occasion *o)
{
	d->quick = d->failures = d->auth_failures = d->empty = 0;
	d->not_before = 0;
	d->delay = 0;
	set_trouble(d, o, DEVICE_FINE);
	if (d->state == DEVICE_SEEN && may_link_now(d, o)) {
		o->next = DEVICE_QUEUED;
		o->actions |= DEVICE_DO_QUEUE;
	}
}

static void on_timeout(struct device *d, struct occasion *o)
{
	on_failure(d, o);
	o->actions |= DEVICE_DO_DOUBT;
}

/* ---- the table: the first row that fits; no row: the event means nothing here ---- */

static const struct row ROWS[] = {
	{ IN(KNOWN), DEVICE_ON_ADVERT, may_link, DEVICE_QUEUED, DEVICE_DO_QUEUE, on_burst },
	{ IN(KNOWN), DEVICE_ON_ADVERT, NULL, DEVICE_SEEN, 0, on_burst },
	{ IN(SEEN), DEVICE_ON_ADVERT, may_link, DEVICE_QUEUED, DEVICE_DO_QUEUE, on_seen },
	{ IN(SEEN), DEVICE_ON_ADVERT, NULL, DEVICE_SEEN, 0, on_seen },
	{ IN(SEEN), DEVICE_ON_TIME, may_link_now, DEVICE_QUEUED, DEVICE_DO_QUEUE, NULL },
	{ IN(SEEN), DEVICE_ON_TIME, fresh, DEVICE_SEEN, 0, NULL },
	{ IN(SEEN), DEVICE_ON_TIME, NULL, DEVICE_KNOWN, 0, NULL },
	{ IN(QUEUED), DEVICE_ON_ADVERT, NULL, DEVICE_QUEUED, 0, on_seen },
	{ IN(QUEUED), DEVICE_ON_TURN, NULL, DEVICE_LINKING, DEVICE_DO_CONNECT, on_turn },
	{ IN(QUEUED), DEVICE_ON_TIME, NULL, DEVICE_KNOWN, DEVICE_DO_RELEASE, NULL },

	{ IN(LINKING), DEVICE_ON_CONNECTED, level_low_and_late, DEVICE_MTU, DEVICE_DO_MTU,
	  on_connected },
	{ IN(LINKING), DEVICE_ON_CONNECTED, level_low, DEVICE_SECURING, 0, on_connected },
	{ IN(LINKING), DEVICE_ON_CONNECTED, NULL, DEVICE_MTU, DEVICE_DO_MTU, on_connected },
	{ IN(LINKING), DEVICE_ON_TIME, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_timeout },
	{ IN(LINKING), DEVICE_ON_END, is_timeout, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_timeout },

	{ IN(SECURING) | IN_SETUP, DEVICE_ON_LEVEL, level_too_late, DEVICE_CLOSING, DEVICE_DO_CLOSE,
	  on_level_too_late },
	{ IN(SECURING), DEVICE_ON_LEVEL, level_good_after_mtu, DEVICE_VERIFY, DEVICE_DO_VERIFY,
	  on_level },
	{ IN(SECURING), DEVICE_ON_LEVEL, level_low, STAY, 0, on_level },
	{ IN(SECURING), DEVICE_ON_LEVEL, NULL, DEVICE_MTU, DEVICE_DO_MTU, on_level },
	{ IN(SECURING), DEVICE_ON_TIME, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_auth_failure },

	{ IN(MTU), DEVICE_ON_MTU, still_low, DEVICE_SECURING, DEVICE_DO_RAISE, on_mtu },
	{ IN(MTU), DEVICE_ON_MTU, NULL, DEVICE_VERIFY, DEVICE_DO_VERIFY, on_mtu },
	{ IN(VERIFY), DEVICE_ON_VERIFIED, NULL, DEVICE_ARMING, DEVICE_DO_OPEN | DEVICE_DO_ARM,
	  NULL },
	{ IN(ARMING), DEVICE_ON_ARMED, NULL, DEVICE_DRAIN, 0, NULL },
	{ IN(VERIFY), DEVICE_ON_READING, NULL, DEVICE_VERIFY, 0, on_life },
	{ IN(ARMING), DEVICE_ON_READING, NULL, DEVICE_ARMING, 0, on_life },
	{ IN(ARMING), DEVICE_ON_COMMITTED, argument_set, STAY, 0, NULL },
	{ IN(ARMING), DEVICE_ON_COMMITTED, NULL, STAY, 0, on_durable },
	{ IN_SETUP, DEVICE_ON_TIME, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_failure },
	{ IN(VERIFY) | IN(ARMING), DEVICE_ON_DONE, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE,
	  on_failure },

	{ IN(DRAIN), DEVICE_ON_READING, waits, DEVICE_DRAIN, 0, on_life_waiting },
	{ IN(DRAIN), DEVICE_ON_READING, NULL, DEVICE_DRAIN, 0, on_life },
	{ IN(LINGER), DEVICE_ON_READING, leaves, STAY, 0, on_life },
	{ IN(LINGER), DEVICE_ON_READING, no_reading, DEVICE_LINGER, 0, on_life },
	{ IN(LINGER), DEVICE_ON_READING, NULL, DEVICE_DRAIN, 0, on_life },
	{ IN(DRAIN), DEVICE_ON_COMMITTED, argument_set, DEVICE_DRAIN, 0, NULL },
	{ IN(DRAIN), DEVICE_ON_COMMITTED, NULL, DEVICE_LINGER, 0, on_durable },
	{ IN(LINGER), DEVICE_ON_COMMITTED, argument_set, STAY, 0, NULL },
	{ IN(LINGER), DEVICE_ON_COMMITTED, NULL, STAY, 0, on_durable },
	{ IN(DRAIN) | IN(LINGER), DEVICE_ON_DONE, NULL, DEVICE_LINGER, 0, on_done },
	{ IN(DRAIN) | IN(LINGER), DEVICE_ON_YIELD, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE,
	  on_yield },
	{ IN(DRAIN), DEVICE_ON_TIME, waits, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_failure },
	{ IN(DRAIN) | IN(LINGER), DEVICE_ON_TIME, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE,
	  on_good_end },
	{ IN(DRAIN) | IN(LINGER), DEVICE_ON_END, left_in_peace, DEVICE_CLOSING, DEVICE_DO_CLOSE,
	  on_good_end },

	{ IN_SETUP | IN(DRAIN) | IN(LINGER), DEVICE_ON_LEVEL, level_fell, DEVICE_CLOSING,
	  DEVICE_DO_CLOSE, on_auth_failure },
	{ IN_SETUP | IN(DRAIN) | IN(LINGER), DEVICE_ON_LEVEL, NULL, STAY, 0, on_level },
	{ IN_LINK, DEVICE_ON_IN_CLEAR, still_low, STAY, 0, on_early },
	{ IN_LINK, DEVICE_ON_IN_CLEAR, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_too_early },
	{ IN_LINK, DEVICE_ON_END, is_auth, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_auth_failure },
	{ IN_LINK, DEVICE_ON_END, is_busy, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_busy },
	{ IN_LINK, DEVICE_ON_END, NULL, DEVICE_CLOSING, DEVICE_DO_CLOSE, on_failure },

	{ IN(CLOSING), DEVICE_ON_ADVERT, NULL, STAY, 0, on_seen },
	{ IN(CLOSING), DEVICE_ON_GONE, NULL, DEVICE_KNOWN, DEVICE_DO_RELEASE, on_closed },
	{ IN(CLOSING), DEVICE_ON_TIME, NULL, DEVICE_KNOWN, DEVICE_DO_RELEASE, on_closed },

	{ IN(SEEN) | IN(QUEUED) | IN(CLOSING), DEVICE_ON_ADAPTER_LOST, NULL, DEVICE_KNOWN,
	  DEVICE_DO_RELEASE, NULL },
	{ IN_LINK, DEVICE_ON_ADAPTER_LOST, NULL, DEVICE_KNOWN, DEVICE_DO_CLOSE | DEVICE_DO_RELEASE,
	  NULL },
	{ IN_ANY, DEVICE_ON_CONSENT, NULL, STAY, 0, on_consent },
	{ IN_ANY, DEVICE_ON_TRIED_BY_OPERATOR, NULL, STAY, 0, on_operator },
};

static const struct row *find(const struct device *d, enum device_event event,
			      const struct occasion *o)
{
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		const struct row *row = &ROWS[i];

		if (row->event == event && (row->states & (1u << d->state)) &&
		    (!row->guard || row->guard(d, o)))
			return row;
	}
	return NULL;
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t linger(const struct device *d)
{
	if (d->leaves)
		return DEVICE_LEAVE_US;
	return d->streams ? DEVICE_STREAM_US : DEVICE_LINGER_US;
}

/* SEEN ends when the advertisement is old, or when the next attempt may be made. */
static int64_t seen_until(const struct device *d, int64_t now)
{
	const int64_t old = d->last_seen + DEVICE_SEEN_US;
	const bool never = d->config.broadcast || d->trouble == DEVICE_BOND_SUSPECT || !d->heard;

	return never || d->not_before <= now ? old : earlier(old, d->not_before);
}

int64_t device_turn(const struct device *d)
{
	const bool armed = d->state == DEVICE_DRAIN || d->state == DEVICE_LINGER;
	const bool told = d->burst_read || d->empty > 0;

	if (armed && d->streams)
		return DEVICE_STREAM_TURN;
	if (d->state == DEVICE_DRAIN && told && !d->had_reading)
		return DEVICE_EMPTY_TURN;
	return NEVER;
}

static int64_t deadline_of(const struct device *d, int64_t now)
{
	switch (d->state) {
	case DEVICE_SEEN:
		return seen_until(d, now);
	case DEVICE_QUEUED:
		return d->last_seen + DEVICE_QUEUED_US;
	case DEVICE_LINKING:
		return now + DEVICE_STEP_US;
	case DEVICE_SECURING:
	case DEVICE_MTU:
	case DEVICE_VERIFY:
	case DEVICE_ARMING:
		return earlier(now + DEVICE_STEP_US, d->setup_by);
	case DEVICE_DRAIN:
		return now + (d->waits_for_commit ? DEVICE_COMMIT_US : DEVICE_PATIENCE_US);
	case DEVICE_LINGER:
		return now + linger(d);
	case DEVICE_CLOSING:
		return now + DEVICE_CLOSING_US;
	case DEVICE_KNOWN:
	case DEVICE_STATE_END:
		break;
	}
	return NEVER;
}

/* ---- in ---- */

void device_init(struct device *d, const struct device_config *config)
{
	memset(d, 0, sizeof(*d));
	d->config = *config;
	d->level = LEVEL_CLEAR;
	d->deadline = NEVER;
}

void device_adopt(struct device *d, unsigned int level, int64_t now)
{
	d->state = DEVICE_DRAIN;
	d->level = level;
	d->mtu_known = true;
	d->spoke_early = false;
	d->last_seen = now;
	d->deadline = deadline_of(d, now);
}

unsigned int device_event(struct device *d, enum device_event event, unsigned int argument,
			  int64_t now)
{
	struct occasion o = { .argument = argument, .now = now };
	const struct row *row;

	assert(event < DEVICE_EVENT_END);
	if (event == DEVICE_ON_TIME && now < d->deadline)
		return 0;
	row = find(d, event, &o);
	if (!row)
		return 0;
	o.actions = row->actions;
	o.next = row->next;
	if (row->effect)
		row->effect(d, &o);
	if (o.next != STAY) {
		d->state = o.next;
		d->deadline = deadline_of(d, now);
	}
	return o.actions;
}

int64_t device_deadline(const struct device *d)
{
	return d->deadline;
}

unsigned int device_ask(const struct device *d)
{
	return d->config.raise_late ? LEVEL_CLEAR : d->config.level;
}

bool device_holds_slot(const struct device *d)
{
	return d->state >= DEVICE_LINKING && d->state <= DEVICE_CLOSING;
}
