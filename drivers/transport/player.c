#include "drivers/transport/player.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "drivers/transport/feed.h"
#include "drivers/transport/memory.h"
#include "drivers/transport/replay.h"

#define RETRY_US     UINT64_C(1000000) /* when there was no memory */
#define WINDOW_MAX   256               /* notifications whose commit is outstanding */
#define PREAMBLE_MAX 64                /* values read at the beginning of a connection */
#define NO_SEQ       0

/* A played event that the device still holds. */
struct held {
	uint64_t index;               /* in the file */
	uint64_t first_seq, last_seq; /* of its measurements; NO_SEQ = none */
	bool released;
};

/* One link of the file: what a device says again on every connection. */
struct preamble {
	bool used, open; /* open: its session is */
	bool announced;  /* the present connection */
	uint16_t link;
	uint32_t id; /* of the present connection */
	struct session_facts facts;
	struct cap_event *events; /* CAP_OPEN, then values that are read */
	size_t n;
};

struct player {
	sd_event *event;
	sd_event_source *timer, *wake;
	struct player_options options;
	struct player_sink sink;
	struct feed *feed;
	struct memory *memory;
	uint64_t next_seq, committed;
	uint32_t last_id;
	struct preamble preambles[FEED_LINKS_MAX];

	size_t file;
	struct replay *replay; /* NULL between files */
	int64_t start_ms;
	bool has_next, timed;
	bool skips; /* `next` is still to be skipped */
	struct cap_event next;
	uint64_t next_index;
	uint64_t t0_us; /* monotonic, of at0_us */
	int64_t at0_us; /* in the capture */
	int64_t now_us; /* in the capture: of the event played last */

	/* a ring in the order of the file */
	struct held held[WINDOW_MAX];
	size_t first_held, n_held;
	bool waiting; /* for the confirmation of an indication, the newest one held */
	uint16_t waiting_link;
	bool playing;     /* inside feed_event() */
	bool spoiled_now; /* the frame being played */
	bool again_now;   /* the event being played was not taken: the device keeps it */
	bool finished;
	uint64_t spoiled;
};

/* ---- what the device holds ---- */

static struct held *newest(struct player *p)
{
	assert(p->n_held > 0);
	return &p->held[(p->first_held + p->n_held - 1) % WINDOW_MAX];
}

static struct held *hold(struct player *p, uint64_t index)
{
	struct held *h;

	assert(p->n_held < WINDOW_MAX);
	p->n_held++;
	h = newest(p);
	*h = (struct held){ .index = index };
	return h;
}

/* Lets go, in order, of what is released; remembers how far that is. */
static void let_go(struct player *p)
{
	uint64_t position = 0;
	int r;

	while (p->n_held > 0 && p->held[p->first_held].released) {
		position = p->held[p->first_held].index + 1;
		p->first_held = (p->first_held + 1) % WINDOW_MAX;
		p->n_held--;
	}
	if (position == 0)
		return;
	r = memory_set_position(p->memory, p->file, position);
	if (r < 0)
		log_error("replay: memory not written error=%d", -r);
}

/* ---- links ---- */

static struct preamble *find_preamble(struct player *p, uint16_t link)
{
	for (size_t i = 0; i < FEED_LINKS_MAX; i++) {
		if (p->preambles[i].used && p->preambles[i].link == link)
			return &p->preambles[i];
	}
	return NULL;
}

static int remember(struct preamble *pre, const struct cap_event *e)
{
	struct cap_event *events;

	if (pre->n == PREAMBLE_MAX)
		return 0;
	events = reallocarray(pre->events, pre->n + 1, sizeof(*events));
	if (!events)
		return -ENOMEM;
	pre->events = events;
	pre->events[pre->n++] = *e;
	return 0;
}

static void forget(struct preamble *pre)
{
	free(pre->events);
	pre->events = NULL;
	pre->n = 0;
	pre->used = pre->open = pre->announced = false;
	pre->id = 0;
}

static int new_preamble(struct player *p, const struct cap_event *open)
{
	struct preamble *pre = find_preamble(p, open->link);
	int r;

	if (pre)
		forget(pre);
	for (size_t i = 0; i < FEED_LINKS_MAX && !pre; i++) {
		if (!p->preambles[i].used)
			pre = &p->preambles[i];
	}
	if (!pre)
		return -ENOBUFS;
	r = remember(pre, open);
	if (r < 0)
		return r;
	pre->used = true;
	pre->link = open->link;
	return 0;
}

static int64_t utc_of(const struct player *p, int64_t at_us)
{
	return p->start_ms + at_us / 1000;
}

static void observe(struct player *p, uint16_t link, struct cap_event *e)
{
	const struct preamble *pre = find_preamble(p, link);

	e->at_us = p->now_us;
	if (p->sink.observe && pre && pre->id != 0)
		p->sink.observe(p->sink.user, pre->id, e, utc_of(p, e->at_us));
}

static int say_up(struct player *p, struct preamble *pre, const struct session *session)
{
	const int r = p->sink.up(p->sink.user, pre->id, session);

	if (r < 0) {
		log_error("replay: link not announced link=%u error=%d", pre->id, -r);
		return r;
	}
	pre->announced = true;
	pre->facts = *session_facts(session);
	return 0;
}

static void close_session(struct player *p, struct preamble *pre)
{
	struct cap_event close = { .kind = CAP_CLOSE, .at_us = p->now_us, .link = pre->link };
	const struct session *session = feed_session(p->feed, pre->link);

	if (session && !pre->announced && session_counts(session)->frames > 0)
		(void)say_up(p, pre, session);
	if (session && pre->announced && p->sink.down(p->sink.user, pre->id, session) < 0)
		log_error("replay: link end not announced link=%u", pre->id);
	observe(p, pre->link, &close);
	(void)feed_event(p->feed, &close);
	pre->open = pre->announced = false;
	pre->id = 0;
}

/* -ENOMEM: it is closed again, and nothing was done */
static int open_session(struct player *p, struct preamble *pre)
{
	struct cap_event e;
	int r = 0;

	pre->open = true;
	pre->id = ++p->last_id;
	p->again_now = false;
	for (size_t i = 0; i < pre->n && r != -ENOMEM && !p->again_now; i++) {
		e = pre->events[i];
		observe(p, pre->link, &e);
		r = feed_event(p->feed, &e);
		if (r == -ENODEV && i == 0)
			log_info("replay: no driver by name or service, looking at its channels");
	}
	if (r != -ENOMEM && !p->again_now)
		return 0;
	close_session(p, pre);
	return -ENOMEM;
}

/* ---- what the sessions say ---- */

static void on_measurement(void *user, uint16_t link, const struct measurement *m, uint64_t seq)
{
	struct player *p = user;
	struct preamble *pre = find_preamble(p, link);
	const struct session *session = feed_session(p->feed, link);
	int r = 0;

	if (!pre || !session || p->again_now)
		return; /* what comes after one that was not taken must not be durable before it */
	/* late enough to name the device, and again when more has become known */
	if (!pre->announced || memcmp(&pre->facts, session_facts(session), sizeof(pre->facts)) != 0)
		r = say_up(p, pre, session);
	if (r >= 0)
		r = p->sink.measurement(p->sink.user, pre->id, m, seq, utc_of(p, p->now_us));
	p->again_now = r < 0;
}

static void on_request(void *user, uint16_t link, const struct session_request *request)
{
	struct cap_event e = { .channel = request->channel };

	switch (request->kind) {
	case SESSION_WRITE:
		e.kind = CAP_WRITE;
		e.len = request->len;
		memcpy(e.data, request->data, request->len);
		break;
	case SESSION_READ:
		e.kind = CAP_READ;
		break;
	case SESSION_TIMER:
	case SESSION_CLOSE: /* seen by session_is_done() before the next frame */
	default:
		return;
	}
	observe(user, link, &e);
}

static void on_confirm(void *user, uint16_t link, uint16_t channel)
{
	struct player *p = user;
	struct cap_event e = { .kind = CAP_CONFIRM, .channel = channel };

	observe(p, link, &e);
	if (!p->waiting || p->waiting_link != link)
		return;
	p->waiting = false;
	newest(p)->released = true;
	if (!p->playing)
		let_go(p);
}

static void on_fault(void *user, uint16_t link, uint16_t channel, enum session_fault fault, int r)
{
	struct player *p = user;

	(void)link;
	(void)r;
	p->spoiled_now = true;
	log_warning("replay: spoiled frame event=%llu channel=%04x fault=%s",
		    (unsigned long long)p->next_index, channel, session_fault_name(fault));
}

/* ---- playing ---- */

static void give_up(struct player *p, struct held *h)
{
	p->spoiled++;
	h->released = true;
}

static enum drv_channel_mode mode_of(const struct preamble *pre, const struct cap_event *e)
{
	const struct driver *driver = feed_driver(&pre->events[0].open, e->channel);

	return driver ? feed_mode(driver, e->channel) : 0;
}

/* A device that has more to say than the session wants to hear connects again. */
static int make_ready(struct player *p, struct preamble *pre)
{
	const struct session *session = feed_session(p->feed, pre->link);

	if (pre->open && session && session_is_done(session) && p->n_held == 0)
		close_session(p, pre);
	return pre->open ? 0 : open_session(p, pre);
}

/* The newest event was not taken: its device has lost its link, and still has it. */
static int take_back(struct player *p, struct preamble *pre, size_t remembered)
{
	p->waiting = false;
	p->n_held--;
	pre->n = remembered;
	close_session(p, pre);
	return -ENOMEM;
}

static int play_frame(struct player *p, struct preamble *pre, struct cap_event *e)
{
	const enum drv_channel_mode mode = mode_of(pre, e);
	const bool indication = mode == DRV_INDICATE;
	const size_t remembered = pre->n;
	struct held *h;
	uint64_t first;
	int r = make_ready(p, pre);

	if (r == 0 && mode == DRV_READ)
		r = remember(pre, e);
	if (r < 0)
		return r;
	first = p->next_seq;
	observe(p, e->link, e);
	h = hold(p, p->next_index);
	p->spoiled_now = p->again_now = false;
	p->playing = true;
	p->waiting = indication;
	p->waiting_link = e->link;
	r = feed_event(p->feed, e);
	p->playing = false;
	if (p->next_seq > first) {
		h->first_seq = first;
		h->last_seq = p->next_seq - 1;
	}
	if (r == -ENOMEM || p->again_now)
		return take_back(p, pre, remembered);
	if (r == -ENODEV || r == 0)
		r = p->spoiled_now ? -EBADMSG : 0;
	if (r < 0) {
		p->waiting = false;
		give_up(p, h);
		if (indication)
			close_session(p, pre);
	} else if (!indication) {
		h->released = h->last_seq == NO_SEQ || h->last_seq <= p->committed;
	}
	let_go(p);
	return 0;
}

/* -ENOMEM: nothing was done, play it again; what cannot be played at all is passed over */
static int play(struct player *p, struct cap_event *e)
{
	struct preamble *pre;
	int r = 0;

	p->now_us = e->at_us;
	if (e->kind == CAP_OPEN)
		r = new_preamble(p, e);
	if (r < 0)
		log_error("replay: link not opened error=%d", -r);
	pre = find_preamble(p, e->link);
	if (r == -ENOMEM || !pre)
		return r == -ENOMEM ? r : 0;
	switch (e->kind) {
	case CAP_OPEN:
		return open_session(p, pre);
	case CAP_FRAME:
	case CAP_ADVERT:
		return play_frame(p, pre, e);
	case CAP_CLOSE:
		if (pre->open)
			close_session(p, pre);
		forget(pre);
		break;
	case CAP_CONFIRM: /* expectations of a test */
	case CAP_WRITE:
	case CAP_READ:
		break;
	}
	return 0;
}

/* An event that the device has let go of in an earlier life: only what it says on every
 * connection is kept. */
static int skip(struct player *p, const struct cap_event *e)
{
	struct preamble *pre = find_preamble(p, e->link);

	if (e->kind == CAP_OPEN)
		return new_preamble(p, e);
	if (e->kind == CAP_CLOSE && pre)
		forget(pre);
	else if (e->kind == CAP_FRAME && pre && mode_of(pre, e) == DRV_READ)
		return remember(pre, e);
	return 0;
}

/* ---- files ---- */

static uint64_t monotonic_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void choose_start(struct player *p)
{
	struct timespec t;

	if (replay_start(p->replay, &p->start_ms)) {
		feed_set_start(p->feed, p->start_ms);
		return;
	}
	p->start_ms = memory_start(p->memory, p->file);
	if (p->start_ms == 0) { /* the first time counts, also after a kill */
		(void)clock_gettime(CLOCK_REALTIME, &t);
		p->start_ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
		(void)memory_set_start(p->memory, p->file, p->start_ms);
	}
	feed_set_start(p->feed, p->start_ms);
}

static void bad_file(struct player *p, const char *error)
{
	log_error("replay: %s", error ? error : "out of memory");
	p->spoiled++;
}

static bool open_file(struct player *p)
{
	_cleanup_free_ char *error = NULL;

	if (replay_open(p->options.files[p->file], NULL, &p->replay, &error) < 0) {
		bad_file(p, error);
		return false;
	}
	p->next_index = 0;
	p->timed = false;
	choose_start(p);
	return true;
}

static void end_file(struct player *p)
{
	for (size_t i = 0; i < FEED_LINKS_MAX; i++) {
		struct preamble *pre = &p->preambles[i];

		if (pre->used && pre->open)
			close_session(p, pre);
		if (pre->used)
			forget(pre);
	}
	if (p->replay)
		(void)memory_set_position(p->memory, p->file, p->next_index);
	replay_free(p->replay);
	p->replay = NULL;
	p->file++;
}

/* Later: there was no memory. */
static void try_again(struct player *p)
{
	(void)sd_event_source_set_time(p->timer, monotonic_us() + RETRY_US);
	(void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* The next event of the file that the device still holds: 1; 0 at its end. -ENOMEM: try again. */
static int read_next(struct player *p)
{
	_cleanup_free_ char *error = NULL;
	int r = 1;

	while (p->skips || (r = replay_next(p->replay, &p->next, &error)) > 0) {
		p->skips = p->next_index < memory_position(p->memory, p->file);
		if (!p->skips)
			return 1;
		if (skip(p, &p->next) == -ENOMEM)
			return -ENOMEM;
		p->skips = false;
		p->next_index++;
	}
	if (r < 0)
		bad_file(p, error);
	return 0;
}

/* True if p->next is an event to be played; false at the end of all files, or when what is held
 * must go first. */
static bool load_next(struct player *p)
{
	while (!p->has_next && p->file < p->options.n_files) {
		const int r = p->replay || open_file(p) ? read_next(p) : 0;

		if (r < 0) {
			try_again(p);
			return false;
		}
		p->has_next = r > 0;
		if (!p->has_next && p->n_held > 0)
			return false;
		if (!p->has_next)
			end_file(p);
	}
	return p->has_next;
}

/* ---- the loop ---- */

/* True if it is time for p->next; otherwise the timer is set. */
static bool is_due(struct player *p)
{
	const uint64_t now = monotonic_us();
	uint64_t due;

	if (p->options.speed == 0)
		return true;
	if (!p->timed) {
		p->timed = true;
		p->t0_us = now;
		p->at0_us = p->next.at_us;
	}
	due = p->t0_us + (uint64_t)(p->next.at_us - p->at0_us) / p->options.speed;
	if (due <= now)
		return true;
	(void)sd_event_source_set_time(p->timer, due);
	(void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
	return false;
}

static bool may_play(struct player *p)
{
	const struct session *session = feed_session(p->feed, p->next.link);

	if (p->waiting || p->n_held == WINDOW_MAX || !p->sink.has_room(p->sink.user))
		return false;
	/* a session hears of its last commits before it is closed */
	if (p->next.kind == CAP_CLOSE || (session && session_is_done(session)))
		return p->n_held == 0;
	return true;
}

static void finish(struct player *p)
{
	if (p->finished || p->file < p->options.n_files || p->n_held > 0)
		return;
	p->finished = true;
	p->sink.finished(p->sink.user, p->next_seq - 1);
}

/* one event a turn: the sockets have their say in between */
static int on_wake(sd_event_source *source, void *user)
{
	struct player *p = user;

	(void)source;
	if (load_next(p) && may_play(p) && is_due(p)) {
		if (play(p, &p->next) < 0) {
			try_again(p);
			return 0;
		}
		p->has_next = false;
		p->next_index++;
		player_wake(p);
	}
	finish(p);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	player_wake(user);
	return 0;
}

void player_wake(struct player *p)
{
	if (!p->finished)
		(void)sd_event_source_set_enabled(p->wake, SD_EVENT_ONESHOT);
}

void player_committed(struct player *p, uint64_t seq)
{
	assert(seq >= p->committed && seq < p->next_seq);
	p->committed = seq;
	(void)feed_committed(p->feed, seq, p->now_us);
	for (size_t i = 0; i < p->n_held; i++) {
		struct held *h = &p->held[(p->first_held + i) % WINDOW_MAX];
		const bool indication = p->waiting && i + 1 == p->n_held;

		if (!indication && h->last_seq <= seq)
			h->released = true;
	}
	let_go(p);
	player_wake(p);
}

void player_refused(struct player *p, uint64_t seq)
{
	for (size_t i = 0; i < p->n_held; i++) {
		struct held *h = &p->held[(p->first_held + i) % WINDOW_MAX];
		struct preamble *pre;

		if (h->released || seq < h->first_seq || seq > h->last_seq)
			continue;
		give_up(p, h);
		if (!p->waiting || i + 1 != p->n_held)
			continue;
		p->waiting = false;
		pre = find_preamble(p, p->waiting_link);
		if (pre && pre->open)
			close_session(p, pre);
	}
	let_go(p);
	player_wake(p);
}

bool player_is_finished(const struct player *p)
{
	return p->finished;
}

uint64_t player_spoiled(const struct player *p)
{
	return p->spoiled;
}

static int set_up(struct player *p, sd_event *event)
{
	const struct feed_sink sink = {
		.measurement = on_measurement,
		.request = on_request,
		.confirm = on_confirm,
		.fault = on_fault,
		.user = p,
	};
	int r = feed_new(&sink, &p->next_seq, &p->feed);

	if (r == 0)
		r = memory_open(p->options.memory, p->options.files, p->options.n_files,
				&p->memory);
	if (r == 0)
		r = sd_event_add_defer(event, &p->wake, on_wake, p);
	if (r >= 0)
		r = sd_event_add_time(event, &p->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, p);
	if (r < 0)
		return r;
	/* sockets first, so that a gateway that speaks is heard before the next event is played */
	r = sd_event_source_set_priority(p->wake, SD_EVENT_PRIORITY_IDLE);
	return r < 0 ? r : sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
}

int player_new(sd_event *event, const struct player_options *options,
	       const struct player_sink *sink, struct player **ret)
{
	struct player *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->options = *options;
	p->sink = *sink;
	p->next_seq = 1;
	r = set_up(p, event);
	if (r < 0) {
		player_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void player_free(struct player *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < FEED_LINKS_MAX; i++)
		free(p->preambles[i].events);
	(void)sd_event_source_disable_unref(p->wake);
	(void)sd_event_source_disable_unref(p->timer);
	feed_free(p->feed);
	memory_free(p->memory);
	replay_free(p->replay);
	free(p);
}
