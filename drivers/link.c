#include "drivers/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "protocols/bytes/protobuf.h"
#include "wellgate.pb-c.h"

#define LINK_IDENTITY_MAX 256  /* with its NUL */
#define CONTEXT_MAX       63   /* of a measurement; the longest that a driver has is shorter */
#define PACKED_MAX        2048 /* more than a measurement of MEASUREMENT_PARTS_MAX parts needs */
#define BACKOFF_MIN_US    50000
#define BACKOFF_MAX_US    2000000

enum entry_kind {
	ENTRY_UP,
	ENTRY_MEASUREMENT,
	ENTRY_DOWN,
	ENTRY_DONE
};

/* One packed message. */
struct entry {
	enum entry_kind kind;
	uint32_t id;
	uint64_t seq; /* ENTRY_MEASUREMENT */
	size_t len;
	uint8_t *data;
};

struct link {
	sd_event *event;
	struct sockaddr_un address;
	struct link_handlers handlers;
	int fd; /* -1 = not connected */
	sd_event_source *io, *timer;
	bool writing; /* EPOLLOUT is asked for */
	bool full;    /* said by the gateway */
	uint64_t backoff_us;
	unsigned int jitter;
	/* in the order of sending; the first `sent` of them went out on this connection */
	struct entry *entries;
	size_t n, size, sent;
	size_t measurements;
	uint64_t committed; /* highest ever said */
	uint64_t last_sent; /* sequence, on this connection */
	uint8_t *buffer;    /* LINK_PACKET + 1, for receiving */
	struct status *status;
	sd_event_source *status_timer;
};

/* ---- the queue ---- */

/* room for a message at the end of the queue, which the caller writes at once */
static int append_room(struct link *l, struct entry entry, size_t len, uint8_t **ret)
{
	if (len > LINK_PACKET)
		return -EMSGSIZE;
	if (l->n == l->size) {
		const size_t size = l->size ? 2 * l->size : LINK_QUEUE;
		struct entry *entries = reallocarray(l->entries, size, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		l->entries = entries;
		l->size = size;
	}
	entry.data = malloc(len);
	if (!entry.data)
		return -ENOMEM;
	entry.len = len;
	l->entries[l->n++] = entry;
	l->measurements += entry.kind == ENTRY_MEASUREMENT;
	*ret = entry.data;
	return 0;
}

static int append(struct link *l, struct entry entry, const Wellgate__V1__FromDevices *message)
{
	uint8_t *room;
	int r = append_room(l, entry, wellgate__v1__from_devices__get_packed_size(message), &room);

	if (r == 0)
		(void)wellgate__v1__from_devices__pack(message, room);
	return r;
}

static bool link_is_needed(const struct link *l, uint32_t id)
{
	bool down = false;

	for (size_t i = 0; i < l->n; i++) {
		const struct entry *e = &l->entries[i];

		if (e->id != id)
			continue;
		if (e->kind == ENTRY_MEASUREMENT || (e->kind == ENTRY_DOWN && i >= l->sent))
			return true;
		down = down || e->kind == ENTRY_DOWN;
	}
	return !down;
}

/* True if nobody has to hear this one (again). */
static bool is_settled(const struct link *l, size_t index)
{
	const struct entry *e = &l->entries[index];

	switch (e->kind) {
	case ENTRY_MEASUREMENT:
		return index < l->sent && e->seq <= l->committed;
	case ENTRY_DONE:
		return index < l->sent;
	case ENTRY_UP:
	case ENTRY_DOWN:
		return index < l->sent && !link_is_needed(l, e->id);
	}
	return false;
}

static void remove_entry(struct link *l, size_t index)
{
	l->measurements -= l->entries[index].kind == ENTRY_MEASUREMENT;
	free(l->entries[index].data);
	memmove(&l->entries[index], &l->entries[index + 1],
		(l->n - index - 1) * sizeof(l->entries[0]));
	l->n--;
	if (index < l->sent)
		l->sent--;
}

static void sweep_kind(struct link *l, bool measurements)
{
	size_t i = 0;

	while (i < l->n) {
		const bool is_one = l->entries[i].kind == ENTRY_MEASUREMENT;

		if (is_one == measurements && is_settled(l, i))
			remove_entry(l, i);
		else
			i++;
	}
}

static void sweep(struct link *l)
{
	sweep_kind(l, true);
	/* a link goes when none of its measurements is left; its beginning before its end, which
	 * is what tells that it is over */
	sweep_kind(l, false);
}

/* ---- connecting ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *user);
static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user);

static uint64_t next_backoff(struct link *l)
{
	const uint64_t base = l->backoff_us;

	l->backoff_us = base * 2 < BACKOFF_MAX_US ? base * 2 : BACKOFF_MAX_US;
	l->jitter = l->jitter * 1664525U + 1013904223U;
	return base / 2 + (l->jitter >> 16) % (base / 2 + 1);
}

static int connect_later(struct link *l)
{
	int r = sd_event_source_set_time_relative(l->timer, next_backoff(l));

	return r < 0 ? r : sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
}

static void disconnect(struct link *l)
{
	if (l->fd < 0)
		return;
	l->io = sd_event_source_disable_unref(l->io);
	(void)close(l->fd);
	l->fd = -1;
	l->sent = 0;
	l->last_sent = 0;
	l->full = false;
	sweep(l);
	status_disconnected(l->status);
	(void)connect_later(l);
}

static int ask_for_writing(struct link *l, bool on)
{
	if (l->writing == on)
		return 0;
	l->writing = on;
	return sd_event_source_set_io_events(l->io, EPOLLIN | (on ? EPOLLOUT : 0));
}

/* False: the socket takes no more for now, or the connection is over. */
static bool send_packet(struct link *l, const uint8_t *data, size_t len)
{
	while (send(l->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK) {
			(void)ask_for_writing(l, true);
			return false;
		}
		log_warning("gateway: connection lost while sending error=%d", errno);
		disconnect(l);
		return false;
	}
	return true;
}

static int64_t clock_us(clockid_t clock);

static void plan_status(struct link *l)
{
	const int64_t due = status_due(l->status);

	if (due == INT64_MAX || l->writing) {
		(void)sd_event_source_set_enabled(l->status_timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(l->status_timer, (uint64_t)due);
	(void)sd_event_source_set_enabled(l->status_timer, SD_EVENT_ONESHOT);
}

/* what is said beside the readings, behind all of them */
static void send_status(struct link *l)
{
	const uint8_t *data = NULL;
	size_t len = 0;

	while (status_next(l->status, clock_us(CLOCK_MONOTONIC), &data, &len) > 0) {
		if (!send_packet(l, data, len))
			return;
		status_sent(l->status);
	}
	(void)ask_for_writing(l, false);
	plan_status(l);
}

/* Sends what has not been sent on this connection, as far as the socket takes it. */
static void send_queue(struct link *l)
{
	while (l->fd >= 0 && l->sent < l->n) {
		const struct entry *e = &l->entries[l->sent];

		if (!send_packet(l, e->data, e->len))
			return;
		if (e->kind == ENTRY_MEASUREMENT)
			l->last_sent = e->seq;
		l->sent++;
	}
	if (l->fd >= 0) {
		(void)ask_for_writing(l, false);
		plan_status(l);
	}
	sweep(l);
}

static int on_status_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct link *l = user;

	(void)source;
	(void)usec;
	if (l->fd >= 0)
		send_status(l);
	return 0;
}

static int try_connect(struct link *l)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&l->address, sizeof(l->address)) < 0)
		return -errno;
	r = sd_event_add_io(l->event, &l->io, fd, EPOLLIN, on_io, l);
	if (r < 0)
		return r;
	l->fd = TAKE_FD(fd);
	l->writing = false;
	l->backoff_us = BACKOFF_MIN_US;
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct link *l = user;
	const bool first = l->backoff_us == BACKOFF_MIN_US;
	const int r = try_connect(l);

	(void)source;
	(void)usec;
	status_settle(l->status);
	if (r < 0) {
		if (first)
			log_info("gateway: not reachable, trying again error=%d", -r);
		return connect_later(l);
	}
	log_info("gateway: connected waiting=%zu", l->measurements);
	status_connected(l->status);
	send_queue(l);
	l->handlers.wake(l->handlers.user);
	return 0;
}

/* ---- receiving ---- */

static int on_committed(struct link *l, uint64_t seq)
{
	if (seq > l->last_sent)
		return -EPROTO; /* it cannot have committed what it was never sent */
	if (seq <= l->committed)
		return 0;
	l->committed = seq;
	sweep(l);
	l->handlers.committed(l->handlers.user, seq);
	return 0;
}

static int on_refused(struct link *l, const Wellgate__V1__Refused *refused)
{
	if (!refused->has_sequence)
		return -EPROTO;
	for (size_t i = 0; i < l->sent; i++) {
		if (l->entries[i].kind != ENTRY_MEASUREMENT ||
		    l->entries[i].seq != refused->sequence)
			continue;
		log_error("gateway: refused measurement sequence=%" PRIu64, refused->sequence);
		remove_entry(l, i);
		sweep(l);
		l->handlers.refused(l->handlers.user, refused->sequence);
		return 0;
	}
	return 0;
}

static int on_message(struct link *l, const Wellgate__V1__ToDevices *message)
{
	switch (message->what_case) {
	case WELLGATE__V1__TO_DEVICES__WHAT_COMMITTED:
		return on_committed(l, message->committed);
	case WELLGATE__V1__TO_DEVICES__WHAT_FULL:
		if (l->full != (bool)message->full)
			log_warning("gateway: %s", message->full ? "full" : "has room again");
		l->full = message->full;
		return 0;
	case WELLGATE__V1__TO_DEVICES__WHAT_REFUSED:
		return on_refused(l, message->refused);
	case WELLGATE__V1__TO_DEVICES__WHAT_RADIO:
	case WELLGATE__V1__TO_DEVICES__WHAT_CLOCK:
		return status_heard(l->status, message);
	case WELLGATE__V1__TO_DEVICES__WHAT__NOT_SET:
	case _WELLGATE__V1__TO_DEVICES__WHAT__CASE_IS_INT_SIZE:
	default:
		return 0; /* of a newer gateway */
	}
}

/* 1 a message was handled, 0 nothing there, -errno the connection is over */
static int receive(struct link *l)
{
	Wellgate__V1__ToDevices *message;
	ssize_t n;
	int r;

	n = recv(l->fd, l->buffer, LINK_PACKET + 1, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	if (n > LINK_PACKET)
		return -EMSGSIZE;
	message = wellgate__v1__to_devices__unpack(NULL, (size_t)n, l->buffer);
	if (!message)
		return -EPROTO;
	r = on_message(l, message);
	wellgate__v1__to_devices__free_unpacked(message, NULL);
	return r < 0 ? r : 1;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *user)
{
	struct link *l = user;
	int r = 0;

	(void)source;
	(void)fd;
	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = receive(l);
	if (r == 0 && (revents & (EPOLLHUP | EPOLLERR)))
		r = -ECONNRESET;
	if (r < 0) {
		log_warning("gateway: connection lost error=%d", -r);
		disconnect(l);
	} else if (revents & EPOLLOUT) {
		send_queue(l);
	}
	if (l->fd >= 0 && !l->writing)
		plan_status(l);
	l->handlers.wake(l->handlers.user);
	return 0;
}

/* ---- messages ---- */

/*
 * A measurement is written straight into its bytes: of all messages it alone comes often. Fields go
 * in the order of their numbers, which are those of wellgate.proto; a test compares the bytes with
 * those that the generated code makes.
 */
enum {
	DECIMAL_MANTISSA = 1,
	DECIMAL_EXPONENT,

	TIME_KIND = 1,
	TIME_YEAR,
	TIME_MONTH,
	TIME_DAY,
	TIME_HOUR,
	TIME_MINUTE,
	TIME_SECOND,
	TIME_FRACTION_US,
	TIME_TICKS,
	TIME_TICK_US,

	PART_METRIC = 1,
	PART_VALUE,
	PART_UNIT,
	PART_ABSENT,

	MEASUREMENT_METRIC = 1,
	MEASUREMENT_PARTS,
	MEASUREMENT_DEVICE_TIME,
	MEASUREMENT_USER_SLOT,
	MEASUREMENT_RECORD_NUMBER,
	MEASUREMENT_DURATION_MS,
	MEASUREMENT_FLAGS,
	MEASUREMENT_LINK_SECURITY,
	MEASUREMENT_RAW_DIGEST,
	MEASUREMENT_CONTEXT,
	MEASUREMENT_CLOCK_OFFSET_MS,
	MEASUREMENT_LINK = 13,
	MEASUREMENT_TEST,
	MEASUREMENT_SIMULATED_AT_MS,
	MEASUREMENT_SEEN_BOOTTIME_US,
	MEASUREMENT_SEEN_BOOT_ID,
	MEASUREMENT_SEEN_UTC_MS,

	MESSAGE_SEQUENCE = 1,
	MESSAGE_MEASUREMENT = WELLGATE__V1__FROM_DEVICES__WHAT_MEASUREMENT,
};

static Wellgate__V1__DeviceTime__Kind kind_of(enum device_time_kind kind)
{
	switch (kind) {
	case DEVICE_TIME_LOCAL:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL;
	case DEVICE_TIME_UTC:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC;
	case DEVICE_TIME_TICKS:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_TICKS;
	case DEVICE_TIME_NONE:
	default:
		return WELLGATE__V1__DEVICE_TIME__KIND__KIND_UNSPECIFIED;
	}
}

static void put_known(struct writer *w, unsigned int field, uint32_t v)
{
	if (v != 0)
		protobuf_uint(w, field, v);
}

/* what the device did not know (0 in SIG Date Time) is not there */
static void put_time(struct writer *w, const struct device_time *t)
{
	const size_t begun = protobuf_begin(w, MEASUREMENT_DEVICE_TIME);

	protobuf_uint(w, TIME_KIND, kind_of(t->kind));
	if (t->kind == DEVICE_TIME_TICKS) {
		protobuf_uint(w, TIME_TICKS, t->ticks);
		protobuf_uint(w, TIME_TICK_US, t->tick_us);
	} else {
		put_known(w, TIME_YEAR, t->year);
		put_known(w, TIME_MONTH, t->month);
		put_known(w, TIME_DAY, t->day);
		protobuf_uint(w, TIME_HOUR, t->hour);
		protobuf_uint(w, TIME_MINUTE, t->minute);
		protobuf_uint(w, TIME_SECOND, t->second);
		put_known(w, TIME_FRACTION_US, t->fraction_us);
	}
	protobuf_end(w, begun);
}

static void put_part(struct writer *w, const struct measurement_part *part)
{
	const size_t begun = protobuf_begin(w, MEASUREMENT_PARTS);

	protobuf_uint(w, PART_METRIC, part->metric);
	if (part->number.absent == ABSENT_NO) {
		const size_t value = protobuf_begin(w, PART_VALUE);

		protobuf_sint(w, DECIMAL_MANTISSA, part->number.value.mantissa);
		protobuf_sint(w, DECIMAL_EXPONENT, part->number.value.exponent);
		protobuf_end(w, value);
	}
	protobuf_uint(w, PART_UNIT, part->unit);
	if (part->number.absent != ABSENT_NO)
		protobuf_uint(w, PART_ABSENT, part->number.absent);
	protobuf_end(w, begun);
}

static void put_flags(struct writer *w, uint64_t flags)
{
	const uint64_t known = (FLAG_BIT(FLAG_END) - 1) & ~UINT64_C(1);
	size_t begun;

	flags &= known;
	if (flags == 0)
		return;
	begun = protobuf_begin(w, MEASUREMENT_FLAGS);
	for (; flags != 0; flags &= flags - 1) /* the lowest first */
		protobuf_packed(w, (uint64_t)__builtin_ctzll(flags));
	protobuf_end(w, begun);
}

static void put_stamp(struct writer *w, const struct link_stamp *stamp)
{
	if (stamp->simulated) {
		protobuf_uint(w, MEASUREMENT_TEST, true);
		protobuf_sint(w, MEASUREMENT_SIMULATED_AT_MS, stamp->simulated_at_ms);
		return;
	}
	protobuf_sint(w, MEASUREMENT_SEEN_BOOTTIME_US, stamp->boottime_us);
	protobuf_bytes(w, MEASUREMENT_SEEN_BOOT_ID, stamp->boot_id, sizeof(stamp->boot_id));
	protobuf_sint(w, MEASUREMENT_SEEN_UTC_MS, stamp->utc_ms);
}

static void put_measurement(struct writer *w, uint32_t id, const struct measurement *m,
			    const struct link_stamp *stamp)
{
	const size_t begun = protobuf_begin(w, MESSAGE_MEASUREMENT);

	protobuf_uint(w, MEASUREMENT_METRIC, m->metric);
	for (size_t i = 0; i < m->n_parts; i++)
		put_part(w, &m->parts[i]);
	if (m->time.kind != DEVICE_TIME_NONE)
		put_time(w, &m->time);
	if (m->has_user_slot)
		protobuf_uint(w, MEASUREMENT_USER_SLOT, m->user_slot);
	if (m->has_record_number)
		protobuf_uint(w, MEASUREMENT_RECORD_NUMBER, m->record_number);
	if (m->has_duration)
		protobuf_sint(w, MEASUREMENT_DURATION_MS, m->duration_ms);
	put_flags(w, m->flags);
	protobuf_uint(w, MEASUREMENT_LINK_SECURITY, m->security);
	protobuf_bytes(w, MEASUREMENT_RAW_DIGEST, m->digest, sizeof(m->digest));
	if (m->context)
		protobuf_bytes(w, MEASUREMENT_CONTEXT, m->context,
			       strnlen(m->context, CONTEXT_MAX));
	if (m->has_clock_offset)
		protobuf_sint(w, MEASUREMENT_CLOCK_OFFSET_MS, m->clock_offset_ms);
	protobuf_uint(w, MEASUREMENT_LINK, id);
	put_stamp(w, stamp);
	protobuf_end(w, begun);
}

int link_pack(uint32_t id, const struct measurement *m, uint64_t seq,
	      const struct link_stamp *stamp, uint8_t *buffer, size_t size)
{
	struct writer w = writer_of(buffer, size);

	assert(id != LINK_ID_NOBODY && seq > 0);
	protobuf_uint(&w, MESSAGE_SEQUENCE, seq);
	put_measurement(&w, id, m, stamp);
	return writer_ok(&w) ? (int)w.len : -EMSGSIZE;
}

int link_measurement(struct link *l, uint32_t id, const struct measurement *m, uint64_t seq,
		     const struct link_stamp *stamp)
{
	uint8_t bytes[PACKED_MAX];
	const int len = link_pack(id, m, seq, stamp, bytes, sizeof(bytes));
	uint8_t *room;
	int r;

	if (len < 0)
		return len;
	r = append_room(l, (struct entry){ .kind = ENTRY_MEASUREMENT, .id = id, .seq = seq },
			(size_t)len, &room);
	if (r < 0)
		return r;
	memcpy(room, bytes, (size_t)len);
	send_queue(l);
	return 0;
}

static char *known(struct session_facts *facts, enum drv_fact fact)
{
	return facts->text[fact][0] ? facts->text[fact] : NULL;
}

static void put_label(struct session_facts *facts, enum drv_fact fact, const char *text)
{
	/* what does not fit is left out: half a name is another name */
	if (!facts->text[fact][0] && strlen(text) < sizeof(facts->text[fact]))
		memcpy(facts->text[fact], text, strlen(text) + 1);
}

static void apply_label(struct session_facts *facts, const struct link_label *label)
{
	if (facts->identity[0])
		return;
	put_label(facts, DRV_MAKE, label->make);
	put_label(facts, DRV_MODEL, label->model);
	put_label(facts, DRV_FIRMWARE, label->firmware);
}

#define SAME_NEWS(name)                                                              \
	_Static_assert((int)DRV_NEWS_##name == (int)WELLGATE__V1__NEWS__NEWS_##name, \
		       "the message has the driver's numbers")
SAME_NEWS(PRESS_BUTTON);
SAME_NEWS(MODEL_NOT_SUPPORTED);
SAME_NEWS(MEMORY_FULL);
SAME_NEWS(READINGS_LOST);
SAME_NEWS(CLOCK_NOT_SET);
SAME_NEWS(BATTERY_LOW);
SAME_NEWS(MEASURE_AGAIN);
SAME_NEWS(ENCRYPTED_NO_KEY);
SAME_NEWS(KEY_WRONG);
SAME_NEWS(NOT_CHOSEN);
SAME_NEWS(OUT_OF_REACH);
SAME_NEWS(ANOTHER_DEVICE);
SAME_NEWS(NOT_READ);
_Static_assert(DRV_NEWS_END == 14, "a new one has a row above");

static size_t list_news(Wellgate__V1__News list[DRV_NEWS_END], const struct session_facts *facts)
{
	size_t n = 0;

	for (int i = 1; i < DRV_NEWS_END; i++) {
		if (facts->news & SESSION_NEWS(i))
			list[n++] = (Wellgate__V1__News)i;
	}
	return n;
}

/* A device may change what it says of itself as often as it likes: the last word is enough, as long
 * as no measurement stands between the two that would be sent again under the wrong one. */
static void forget_overtaken(struct link *l, uint32_t id)
{
	for (size_t i = l->n - 1; i > 0; i--) {
		const struct entry *e = &l->entries[i - 1];

		if (e->id != id)
			continue;
		if (e->kind == ENTRY_UP)
			remove_entry(l, i - 1);
		return;
	}
}

/* address: NULL, or text that is digested on arrival; label: NULL, or what stands on the device */
static int say_up(struct link *l, uint32_t id, char *address, const struct link_label *label,
		  const struct session *session, bool test)
{
	Wellgate__V1__FromDevices message = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkUp up = WELLGATE__V1__LINK_UP__INIT;
	struct session_facts facts = *session_facts(session);
	Wellgate__V1__News news[DRV_NEWS_END];
	char driver[64];
	int r;

	assert(id != LINK_ID_NOBODY);
	if (label)
		apply_label(&facts, label);
	(void)snprintf(driver, sizeof(driver), "%s", session_driver(session)->name);
	up.has_link = true;
	up.link = id;
	up.driver = driver;
	up.address = address;
	up.make = known(&facts, DRV_MAKE);
	up.model = known(&facts, DRV_MODEL);
	up.serial = known(&facts, DRV_SERIAL);
	up.firmware = known(&facts, DRV_FIRMWARE);
	up.hardware = known(&facts, DRV_HARDWARE);
	up.identity = facts.identity[0] ? facts.identity : NULL;
	up.has_test = up.test = test;
	up.news = news;
	up.n_news = list_news(news, &facts);
	message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_UP;
	message.link_up = &up;
	r = append(l, (struct entry){ .kind = ENTRY_UP, .id = id }, &message);
	if (r < 0)
		return r;
	forget_overtaken(l, id);
	send_queue(l);
	return 0;
}

int link_up(struct link *l, uint32_t id, const struct session *session, bool test)
{
	return say_up(l, id, NULL, NULL, session, test);
}

int link_up_ble(struct link *l, uint32_t id, const struct ble_address *address,
		const struct session *session)
{
	char text[STATUS_ADDRESS_TEXT];

	status_address_print(address, text);
	return say_up(l, id, text, NULL, session, false);
}

int link_up_wired(struct link *l, uint32_t id, const char *identity, const struct link_label *label,
		  const struct session *session)
{
	char text[LINK_IDENTITY_MAX];

	if (snprintf(text, sizeof(text), "%s", identity) >= (int)sizeof(text))
		return -EMSGSIZE;
	return say_up(l, id, text, label, session, false);
}

#define SAME_WIPE(name)                                                              \
	_Static_assert((int)DRV_WIPE_##name ==                                       \
			       (int)WELLGATE__V1__REGISTRY_EVENT__WIPE__WIPE_##name, \
		       "the message has the driver's numbers")
SAME_WIPE(PROVEN);
SAME_WIPE(REFUSED);
SAME_WIPE(UNREAD);
SAME_WIPE(LEFT);
_Static_assert(DRV_WIPE_END == 5, "a new one has a row above");

/* NULL: nothing is known of it */
static Wellgate__V1__RegistryEvent__Wiped *wiped_message(const struct session_wipe *wiped,
							 Wellgate__V1__RegistryEvent__Wiped *m)
{
	wellgate__v1__registry_event__wiped__init(m);
	m->has_outcome = m->has_records = true;
	m->outcome = (Wellgate__V1__RegistryEvent__Wipe)wiped->outcome;
	m->records = wiped->records;
	return wiped->outcome ? m : NULL;
}

int link_down(struct link *l, uint32_t id, const struct session *session)
{
	const struct session_counts *counts = session_counts(session);
	const struct session_facts *facts = session_facts(session);
	Wellgate__V1__FromDevices message = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__LinkDown down = WELLGATE__V1__LINK_DOWN__INIT;
	Wellgate__V1__DeviceInfo info = WELLGATE__V1__DEVICE_INFO__INIT;
	Wellgate__V1__RegistryEvent__Wiped wiped;
	Wellgate__V1__News news[DRV_NEWS_END];
	int r;

	info.has_readings = info.has_bad_length = info.has_bad_checksum = true;
	info.has_bad_range = info.has_not_mine = true;
	info.readings = counts->measurements;
	info.bad_length = counts->faults[FAULT_LENGTH];
	info.bad_checksum = counts->faults[FAULT_CHECKSUM];
	info.bad_range = counts->faults[FAULT_RANGE];
	info.not_mine = counts->faults[FAULT_NOT_MINE];
	info.has_battery = facts->has_battery;
	info.battery = facts->battery;
	info.news = news;
	info.n_news = list_news(news, facts);
	info.has_understood = true;
	info.understood = session_was_good(session);
	down.has_link = true;
	down.link = id;
	down.counts = &info;
	down.wipe = wiped_message(session_wiped(session), &wiped);
	message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_LINK_DOWN;
	message.link_down = &down;
	r = append(l, (struct entry){ .kind = ENTRY_DOWN, .id = id }, &message);
	if (r == 0)
		send_queue(l);
	return r;
}

int link_done(struct link *l, uint64_t measurements)
{
	Wellgate__V1__FromDevices message = WELLGATE__V1__FROM_DEVICES__INIT;
	Wellgate__V1__Done done = WELLGATE__V1__DONE__INIT;
	int r;

	done.has_measurements = true;
	done.measurements = measurements;
	message.what_case = WELLGATE__V1__FROM_DEVICES__WHAT_DONE;
	message.done = &done;
	r = append(l, (struct entry){ .kind = ENTRY_DONE }, &message);
	if (r == 0)
		send_queue(l);
	return r;
}

/* ---- the radio ---- */

void link_set_source(struct link *l, const struct status_source *source)
{
	status_set_source(l->status, source);
	plan_status(l);
}

void link_set_wired(struct link *l,
		    void (*findings)(void *user,
				     void (*finding)(void *user, enum adapter_finding_level level,
						     const char *text, const char *advice),
				     void *finding_user),
		    void *user)
{
	status_set_wired(l->status, findings, user);
	plan_status(l);
}

void link_examine(struct link *l)
{
	status_examine(l->status);
	plan_status(l);
}

void link_changed(struct link *l)
{
	status_changed(l->status);
	plan_status(l);
}

void link_pairing(struct link *l, const struct radio_pairing *pairing)
{
	status_pairing(l->status, pairing);
	plan_status(l);
}

/* ---- the rest ---- */

bool link_has_room(const struct link *l)
{
	return !l->full && l->measurements < LINK_QUEUE;
}

bool link_idle(const struct link *l)
{
	return l->measurements == 0 && l->sent == l->n;
}

bool link_connected(const struct link *l)
{
	return l->fd >= 0;
}

static int64_t clock_us(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		return 0;
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int link_stamp_now(struct link_stamp *ret)
{
	struct link_stamp stamp = { 0 };
	sd_id128_t boot;
	int r = sd_id128_get_boot(&boot);

	if (r < 0)
		return r;
	memcpy(stamp.boot_id, boot.bytes, sizeof(stamp.boot_id));
	stamp.boottime_us = clock_us(CLOCK_BOOTTIME);
	stamp.utc_ms = clock_us(CLOCK_REALTIME) / 1000;
	*ret = stamp;
	return 0;
}

static int set_up(struct link *l, const char *path)
{
	int r;

	if (strlen(path) >= sizeof(l->address.sun_path))
		return -ENAMETOOLONG;
	l->address.sun_family = AF_UNIX;
	memcpy(l->address.sun_path, path, strlen(path) + 1);
	if (getrandom(&l->jitter, sizeof(l->jitter), 0) != (ssize_t)sizeof(l->jitter))
		return -EIO;
	l->buffer = malloc(LINK_PACKET + 1);
	if (!l->buffer)
		return -ENOMEM;
	r = status_new(&l->handlers.radio, &l->status);
	if (r < 0)
		return r;
	r = sd_event_add_time(l->event, &l->status_timer, CLOCK_MONOTONIC, 0, 1000, on_status_timer,
			      l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->status_timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	return sd_event_add_time_relative(l->event, &l->timer, CLOCK_MONOTONIC, 0, 1000, on_timer,
					  l);
}

int link_new(sd_event *event, const char *path, const struct link_handlers *handlers,
	     struct link **ret)
{
	struct link *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->fd = -1;
	l->backoff_us = BACKOFF_MIN_US;
	l->handlers = *handlers;
	l->event = sd_event_ref(event);
	r = set_up(l, path);
	if (r < 0) {
		link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void link_free(struct link *l)
{
	if (!l)
		return;
	(void)sd_event_source_disable_unref(l->io);
	(void)sd_event_source_disable_unref(l->timer);
	(void)sd_event_source_disable_unref(l->status_timer);
	if (l->fd >= 0)
		(void)close(l->fd);
	for (size_t i = 0; i < l->n; i++)
		free(l->entries[i].data);
	free(l->entries);
	free(l->buffer);
	status_free(l->status);
	(void)sd_event_unref(l->event);
	free(l);
}
