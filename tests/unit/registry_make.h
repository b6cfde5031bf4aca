/* Events for the registry's tests. Everything in them is made up. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "gateway/registry/attribute.h"
#include "gateway/registry/registry.h"

#define MINUTE    (INT64_C(60) * 1000)
#define HOUR      (60 * MINUTE)
#define DAY       (24 * HOUR)
#define SOME_TIME INT64_C(1795392000000) /* Monday 2026-11-23T00:00Z */

#define EVENT(x) WELLGATE__V1__REGISTRY_EVENT__WHAT_##x
#define KIND(x)  WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_##x
#define BASIS(x) WELLGATE__V1__REGISTRY_EVENT__BASIS__BASIS_##x
#define CLOCK(x) WELLGATE__V1__CLOCK_QUALITY__CLOCK_##x

struct hub {
	struct registry *r;
	int64_t now;
	uint8_t device[REGISTRY_DIGEST]; /* that the next event is about */
	bool unsynced;
	const char *problem; /* why the last event was refused */
	void (*keep)(void *user, const Wellgate__V1__RegistryEvent *event); /* what was taken */
	void *user;
};

/* a reference for each number; 0 is a person, too */
static inline const char *who(unsigned int n)
{
	static char text[64][REFERENCE_TEXT_MAX];
	uint8_t random[REFERENCE_RANDOM] = { (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16) };
	static unsigned int next;
	char *ret = text[next++ % 64];

	reference_make(random, ret);
	return ret;
}

static inline void about(struct hub *h, unsigned int device)
{
	memset(h->device, 0, sizeof(h->device));
	memcpy(h->device, &device, sizeof(device));
}

static inline int say(struct hub *h, Wellgate__V1__RegistryEvent *e)
{
	int r;

	e->has_revision = e->has_at_ms = e->has_clock_synced = e->has_device = true;
	e->revision = registry_revision(h->r) + 1;
	e->at_ms = h->now;
	e->clock_synced = !h->unsynced;
	e->device = (ProtobufCBinaryData){ sizeof(h->device), h->device };
	h->problem = NULL;
	r = registry_apply(h->r, e, &h->problem);
	if (r == 0 && h->keep)
		h->keep(h->user, e);
	return r;
}

#define EVENT_OF(e, Type, field, init, what_)                               \
	Wellgate__V1__RegistryEvent e = WELLGATE__V1__REGISTRY_EVENT__INIT; \
	Wellgate__V1__RegistryEvent__##Type field = init;                   \
	(e).what_case = EVENT(what_);                                       \
	(e).field = &(field)

static inline int add_device(struct hub *h, unsigned int slots, bool clock, unsigned int memory,
			     bool guessed)
{
	EVENT_OF(e, DeviceAdded, device_added, WELLGATE__V1__REGISTRY_EVENT__DEVICE_ADDED__INIT,
		 DEVICE_ADDED);

	device_added.has_kind = device_added.has_slots = device_added.has_has_clock = true;
	device_added.has_memory_records = device_added.has_slot_guessed = true;
	device_added.kind = KIND(CUFF);
	device_added.slots = slots;
	device_added.has_clock = clock;
	device_added.memory_records = memory;
	device_added.slot_guessed = guessed;
	return say(h, &e);
}

static inline int retire(struct hub *h)
{
	EVENT_OF(e, DeviceRetired, device_retired,
		 WELLGATE__V1__REGISTRY_EVENT__DEVICE_RETIRED__INIT, DEVICE_RETIRED);

	return say(h, &e);
}

/* slot -1: the whole device */
static inline int start(struct hub *h, int slot, const char *subject, int64_t from,
			Wellgate__V1__RegistryEvent__Basis basis)
{
	char text[128];
	EVENT_OF(e, AssignmentStarted, assignment_started,
		 WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_STARTED__INIT, ASSIGNMENT_STARTED);

	(void)snprintf(text, sizeof(text), "%s", subject);
	assignment_started.has_slot = slot >= 0;
	assignment_started.slot = slot >= 0 ? (uint32_t)slot : 0;
	assignment_started.subject = text;
	assignment_started.has_from_ms = assignment_started.has_basis = true;
	assignment_started.from_ms = from;
	assignment_started.basis = basis;
	return say(h, &e);
}

static inline int end(struct hub *h, uint64_t assignment, int64_t to)
{
	EVENT_OF(e, AssignmentEnded, assignment_ended,
		 WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_ENDED__INIT, ASSIGNMENT_ENDED);

	assignment_ended.has_assignment = assignment_ended.has_to_ms = true;
	assignment_ended.assignment = assignment;
	assignment_ended.to_ms = to;
	return say(h, &e);
}

static inline int open_session(struct hub *h, const char *subject, int64_t closes)
{
	char text[128];
	EVENT_OF(e, SessionOpened, session_opened,
		 WELLGATE__V1__REGISTRY_EVENT__SESSION_OPENED__INIT, SESSION_OPENED);

	(void)snprintf(text, sizeof(text), "%s", subject);
	session_opened.subject = text;
	session_opened.has_closes_ms = true;
	session_opened.closes_ms = closes;
	return say(h, &e);
}

static inline int close_session(struct hub *h, uint64_t session)
{
	EVENT_OF(e, SessionClosed, session_closed,
		 WELLGATE__V1__REGISTRY_EVENT__SESSION_CLOSED__INIT, SESSION_CLOSED);

	session_closed.has_session = true;
	session_closed.session = session;
	return say(h, &e);
}

static inline int wipe(struct hub *h, bool proven)
{
	static uint8_t proof[32];
	EVENT_OF(e, Wiped, wiped, WELLGATE__V1__REGISTRY_EVENT__WIPED__INIT, WIPED);

	wiped.has_proof = proven;
	wiped.proof = (ProtobufCBinaryData){ sizeof(proof), proof };
	return say(h, &e);
}

static inline int mark(struct hub *h, int slot, uint32_t record)
{
	EVENT_OF(e, HighWaterMark, high_water_mark,
		 WELLGATE__V1__REGISTRY_EVENT__HIGH_WATER_MARK__INIT, HIGH_WATER_MARK);

	high_water_mark.has_slot = slot >= 0;
	high_water_mark.slot = slot >= 0 ? (uint32_t)slot : 0;
	high_water_mark.has_record_number = true;
	high_water_mark.record_number = record;
	return say(h, &e);
}

/* reading NULL: none is named */
static inline int press(struct hub *h, const char *subject, bool me, const uint8_t *reading)
{
	char text[128];
	uint8_t id[REGISTRY_DIGEST];
	EVENT_OF(e, Pressed, pressed, WELLGATE__V1__REGISTRY_EVENT__PRESSED__INIT, PRESSED);

	(void)snprintf(text, sizeof(text), "%s", subject);
	pressed.subject = text;
	pressed.has_me = true;
	pressed.me = me;
	pressed.has_reading = reading != NULL;
	if (reading)
		memcpy(id, reading, sizeof(id));
	pressed.reading = (ProtobufCBinaryData){ reading ? sizeof(id) : 0, id };
	return say(h, &e);
}

/* staff: subject NULL: nobody's here */
static inline int file_under(struct hub *h, const char *subject, const uint8_t *reading)
{
	char text[128];
	uint8_t id[REGISTRY_DIGEST];
	EVENT_OF(e, Filed, filed, WELLGATE__V1__REGISTRY_EVENT__FILED__INIT, FILED);

	(void)snprintf(text, sizeof(text), "%s", subject ? subject : "");
	filed.subject = subject ? text : NULL;
	filed.has_reading = reading != NULL;
	if (reading)
		memcpy(id, reading, sizeof(id));
	filed.reading = (ProtobufCBinaryData){ reading ? sizeof(id) : 0, id };
	return say(h, &e);
}

/* a blood pressure, known to the second, of the device that is spoken of */
static inline struct attribute_question measured(const struct hub *h, int64_t at)
{
	static uint64_t next = 1;
	struct attribute_question q = { .from_ms = at,
					.to_ms = at + 999,
					.clock = CLOCK(DEVICE_CORRECTED),
					.metric = METRIC_BLOOD_PRESSURE };

	memcpy(q.device, h->device, sizeof(q.device));
	memcpy(q.reading, &next, sizeof(next));
	next++;
	return q;
}
