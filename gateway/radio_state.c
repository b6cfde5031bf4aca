#include "gateway/radio_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/log.h"
#include "gateway/intake/intake.h"
#include "gateway/text.h"

#define SECOND_US     INT64_C(1000000)
#define TEXT_MAX      256
#define PAIRING_BYTES 8192
#define STATUS_BYTES  16384
#define OUTCOMES_MAX  64
#define PASSKEY_MAX   999999
#define NUMBER_MAX    255

#define PHASE(name)   WELLGATE__V1__PAIRING__PHASE__PHASE_##name
#define ADAPTER(name) WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_##name

struct outcome {
	uint64_t id;
	int error;
};

/* Messages are kept as they come, packed again after they were checked. */
struct radio_state {
	int (*say)(void *user, const Wellgate__V1__ToDevices *message);
	void *user;
	uint64_t last_id, lost_id; /* up to lost_id nothing will be answered any more */

	bool known, coming;
	bool was_known; /* also before it was detached */
	Wellgate__V1__RadioStatus__Adapter adapter;
	uint8_t head[STATUS_BYTES], found[STATUS_BYTES];
	size_t head_len, found_len, n_devices;

	uint64_t pairing_id; /* 0: there was none */
	bool pairing_runs;
	uint8_t pairing[PAIRING_BYTES];
	size_t pairing_len;
	int64_t asked_at_us;
	sd_event_source *patience;

	struct outcome outcomes[OUTCOMES_MAX];
	size_t n_outcomes;
};

static int64_t now_us(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

const char *radio_state_text(const char *text, size_t size)
{
	return text && *text && strnlen(text, size) < size && text_is_clean(text) ? text : NULL;
}

static char *checked(char *text)
{
	return radio_state_text(text, TEXT_MAX) ? text : NULL;
}

int radio_state_enum(const ProtobufCEnumDescriptor *descriptor, int value)
{
	return protobuf_c_enum_descriptor_get_value(descriptor, value) ? value : 0;
}

/* ---- status ---- */

static void check_findings(const Wellgate__V1__RadioStatus *m)
{
	for (size_t i = 0; i < m->n_findings; i++) {
		Wellgate__V1__Finding *f = m->findings[i];

		f->what = checked(f->what);
		f->advice = checked(f->advice);
		f->level = (Wellgate__V1__Finding__Level)radio_state_enum(
			&wellgate__v1__finding__level__descriptor, (int)f->level);
	}
}

static int pack_status(const Wellgate__V1__RadioStatus *m, uint8_t *to, size_t *ret_len)
{
	if (wellgate__v1__radio_status__get_packed_size(m) > STATUS_BYTES)
		return -EBADMSG;
	*ret_len = wellgate__v1__radio_status__pack(m, to);
	return 0;
}

/* The devices of it are the inventory's, and its findings are kept beside the rest. */
static int take_head(struct radio_state *s, const Wellgate__V1__RadioStatus *m)
{
	Wellgate__V1__RadioStatus head = *m, found = WELLGATE__V1__RADIO_STATUS__INIT;
	int r;

	s->adapter = (Wellgate__V1__RadioStatus__Adapter)radio_state_enum(
		&wellgate__v1__radio_status__adapter__descriptor, (int)m->adapter);
	head.adapter = s->adapter;
	head.n_devices = head.n_findings = 0;
	head.base.n_unknown_fields = 0;
	r = pack_status(&head, s->head, &s->head_len);
	if (r < 0 || !m->examined)
		return r;
	check_findings(m);
	found.n_findings = m->n_findings;
	found.findings = m->findings;
	return pack_status(&found, s->found, &s->found_len);
}

int radio_state_take_status(struct radio_state *s, const Wellgate__V1__RadioStatus *m)
{
	int r = 0;

	if (m->n_findings > RADIO_STATE_FINDINGS || (!m->first && !s->coming))
		return -EBADMSG;
	if (m->first)
		s->n_devices = 0;
	s->n_devices += m->n_devices;
	if (m->n_devices > RADIO_STATE_DEVICES || s->n_devices > RADIO_STATE_DEVICES)
		return -EBADMSG;
	if (m->first)
		r = take_head(s, m);
	s->coming = r == 0 && !m->last;
	s->known = s->known || (r == 0 && m->last);
	s->was_known = s->was_known || s->known;
	return r;
}

bool radio_state_is_known(const struct radio_state *s)
{
	return s->known;
}

bool radio_state_was_known(const struct radio_state *s)
{
	return s->was_known;
}

Wellgate__V1__RadioStatus__Adapter radio_state_adapter(const struct radio_state *s)
{
	return s->adapter;
}

int radio_state_reply_radio(const struct radio_state *s, struct arena *arena,
			    Wellgate__V1__Reply *reply)
{
	if (!s->known)
		return 0;
	reply->radio =
		wellgate__v1__radio_status__unpack(arena_protobuf(arena), s->head_len, s->head);
	return reply->radio ? 0 : -ENOMEM;
}

void radio_state_findings(const struct radio_state *s,
			  void (*fn)(void *user, const Wellgate__V1__Finding *finding), void *user)
{
	Wellgate__V1__RadioStatus *m =
		s->known ? wellgate__v1__radio_status__unpack(NULL, s->found_len, s->found) : NULL;

	for (size_t i = 0; m && i < m->n_findings; i++) {
		if (m->findings[i]->what)
			fn(user, m->findings[i]);
	}
	wellgate__v1__radio_status__free_unpacked(m, NULL);
}

/* ---- pairing ---- */

static bool is_over(Wellgate__V1__Pairing__Phase phase)
{
	return phase == PHASE(NONE) || phase == PHASE(DONE) || phase == PHASE(FAILED);
}

static int keep_pairing(struct radio_state *s, const Wellgate__V1__Pairing *m)
{
	if (wellgate__v1__pairing__get_packed_size(m) > sizeof(s->pairing))
		return -EBADMSG;
	s->pairing_len = wellgate__v1__pairing__pack(m, s->pairing);
	s->pairing_runs = !is_over(m->phase);
	if (!s->pairing_runs)
		(void)sd_event_source_set_enabled(s->patience, SD_EVENT_OFF);
	return 0;
}

/* said by us: how it stands when the radio has not said or will not say any more */
static void set_pairing(struct radio_state *s, Wellgate__V1__Pairing__Phase phase,
			const char *reason)
{
	Wellgate__V1__Pairing m = WELLGATE__V1__PAIRING__INIT;

	m.has_pairing = m.has_phase = true;
	m.pairing = s->pairing_id;
	m.phase = phase;
	m.reason = (char *)(uintptr_t)reason; /* protobuf-c has no const; packing only reads */
	(void)keep_pairing(s, &m);
}

static void check_device(Wellgate__V1__RadioDevice *d)
{
	char **const texts[] = { &d->address, &d->name,     &d->driver,  &d->make,
				 &d->model,   &d->firmware, &d->hardware };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*texts[i] = checked(*texts[i]);
	d->security = (Wellgate__V1__LinkSecurity)radio_state_enum(
		&wellgate__v1__link_security__descriptor, (int)d->security);
	d->path = (Wellgate__V1__RadioDevice__Path)radio_state_enum(
		&wellgate__v1__radio_device__path__descriptor, (int)d->path);
}

static int check_candidate(Wellgate__V1__Pairing__Candidate *c)
{
	c->name = checked(c->name);
	c->driver = checked(c->driver);
	c->address = checked(c->address);
	return c->number == 0 || c->number > NUMBER_MAX ? -EBADMSG : 0;
}

int radio_state_take_pairing(struct radio_state *s, const Wellgate__V1__Pairing *m)
{
	Wellgate__V1__Pairing checked_one = *m;

	if (m->n_candidates > RADIO_STATE_CANDIDATES || m->passkey > PASSKEY_MAX)
		return -EBADMSG;
	if (!m->has_pairing || m->pairing != s->pairing_id || !s->pairing_runs)
		return 0; /* of one that is over, for us */
	for (size_t i = 0; i < m->n_candidates; i++) {
		if (check_candidate(m->candidates[i]) < 0)
			return -EBADMSG;
	}
	checked_one.phase = (Wellgate__V1__Pairing__Phase)radio_state_enum(
		&wellgate__v1__pairing__phase__descriptor, (int)m->phase);
	checked_one.reason = checked(m->reason);
	checked_one.base.n_unknown_fields = 0;
	if (m->device)
		check_device(m->device);
	return keep_pairing(s, &checked_one);
}

static void strip_addresses(const Wellgate__V1__Pairing *m)
{
	for (size_t i = 0; i < m->n_candidates; i++)
		m->candidates[i]->address = NULL;
	if (m->device)
		m->device->address = NULL;
}

int radio_state_reply_pairing(struct radio_state *s, bool addresses, struct arena *arena,
			      Wellgate__V1__Reply *reply)
{
	Wellgate__V1__Pairing *m;
	int64_t left;

	s->asked_at_us = now_us();
	if (s->pairing_id == 0)
		return 0;
	m = wellgate__v1__pairing__unpack(arena_protobuf(arena), s->pairing_len, s->pairing);
	if (!m)
		return -ENOMEM;
	if (m->has_ends_at_us && !__builtin_sub_overflow(m->ends_at_us, s->asked_at_us, &left)) {
		m->has_seconds_left = true;
		left = left < 0 ? 0 : left / SECOND_US;
		m->seconds_left = left > UINT16_MAX ? UINT16_MAX : (uint32_t)left;
	}
	m->has_ends_at_us = false;
	if (!addresses)
		strip_addresses(m);
	reply->pairing = m;
	return 0;
}

/* ---- commands ---- */

static int hand_on(struct radio_state *s, Wellgate__V1__RadioCommand *m, uint64_t id)
{
	Wellgate__V1__ToDevices message = WELLGATE__V1__TO_DEVICES__INIT;

	m->has_id = true;
	m->id = id;
	message.what_case = WELLGATE__V1__TO_DEVICES__WHAT_RADIO;
	message.radio = m;
	return s->say(s->user, &message);
}

static void begin_pairing(struct radio_state *s, uint64_t id)
{
	s->pairing_id = id;
	set_pairing(s, PHASE(LOOKING), NULL);
	s->asked_at_us = now_us();
	(void)sd_event_source_set_time(s->patience,
				       (uint64_t)(s->asked_at_us + RADIO_STATE_PATIENCE_US));
	(void)sd_event_source_set_enabled(s->patience, SD_EVENT_ONESHOT);
}

int radio_state_command(struct radio_state *s, Wellgate__V1__RadioCommand *m, uint64_t *ret_id)
{
	const bool is_pair = m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
	const uint64_t id = s->last_id + 1;
	int r;

	if (m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT__NOT_SET)
		return -EBADMSG;
	if (is_pair && s->pairing_runs)
		return -EBUSY;
	r = hand_on(s, m, id);
	if (r < 0)
		return r;
	s->last_id = id;
	if (is_pair)
		begin_pairing(s, id);
	if (m->what_case == WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL && s->pairing_runs &&
	    m->pairing == s->pairing_id)
		set_pairing(s, PHASE(NONE), NULL);
	*ret_id = id;
	return 0;
}

/* Nobody watches the pairing: who began it has gone without a word. */
static int on_patience(sd_event_source *source, uint64_t usec, void *user)
{
	Wellgate__V1__RadioCommand m = WELLGATE__V1__RADIO_COMMAND__INIT;
	struct radio_state *s = user;
	const int64_t end = s->asked_at_us + RADIO_STATE_PATIENCE_US;
	uint64_t id;

	(void)usec;
	if (!s->pairing_runs)
		return 0;
	if (now_us() < end) {
		(void)sd_event_source_set_time(source, (uint64_t)end);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	log_warning("pairing cancelled: nobody watches it");
	m.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_CANCEL;
	m.cancel = m.has_pairing = true;
	m.pairing = s->pairing_id;
	(void)radio_state_command(s, &m, &id);
	return 0;
}

/* The oldest makes room; who asks for it then hears that it is lost. */
static void keep_outcome(struct radio_state *s, uint64_t id, int error)
{
	if (s->n_outcomes == OUTCOMES_MAX) {
		if (s->outcomes[0].id > s->lost_id)
			s->lost_id = s->outcomes[0].id;
		memmove(&s->outcomes[0], &s->outcomes[1], --s->n_outcomes * sizeof(s->outcomes[0]));
	}
	s->outcomes[s->n_outcomes++] = (struct outcome){ .id = id, .error = error };
}

static const char *why_not(int error)
{
	switch (error) {
	case EBUSY:
		return "Another pairing is running. Wait until it is over.";
	case ENODEV:
		return "The Bluetooth adapter is not ready. wellgate doctor says why.";
	case ENOSPC:
		return "This hub has as many devices as it can hold. Unpair one first.";
	default:
		return "The Bluetooth program refused it. wellgate doctor may say why.";
	}
}

int radio_state_take_outcome(struct radio_state *s, const Wellgate__V1__RadioOutcome *m)
{
	if (!m->has_id || m->error < 0 || m->id > s->last_id)
		return -EBADMSG; /* it cannot answer what it was not asked */
	keep_outcome(s, m->id, m->error);
	if (m->error != 0 && m->id == s->pairing_id && s->pairing_runs)
		set_pairing(s, PHASE(FAILED), why_not(m->error));
	return 0;
}

static int error_of(const struct radio_state *s, uint64_t id)
{
	for (size_t i = 0; i < s->n_outcomes; i++) {
		if (s->outcomes[i].id == id)
			return s->outcomes[i].error;
	}
	return id <= s->lost_id || id > s->last_id ? ECONNRESET : -1;
}

int radio_state_reply_outcome(const struct radio_state *s, uint64_t id, struct arena *arena,
			      Wellgate__V1__Reply *reply)
{
	const int error = error_of(s, id);

	if (error < 0)
		return 0;
	reply->outcome = arena_alloc(arena, sizeof(*reply->outcome));
	if (!reply->outcome)
		return -ENOMEM;
	wellgate__v1__radio_outcome__init(reply->outcome);
	reply->outcome->has_id = reply->outcome->has_error = true;
	reply->outcome->id = id;
	reply->outcome->error = error;
	return 0;
}

void radio_state_detached(struct radio_state *s)
{
	s->known = s->coming = false;
	s->adapter = ADAPTER(UNSPECIFIED);
	s->found_len = 0;
	s->n_outcomes = 0;
	s->lost_id = s->last_id;
	if (s->pairing_runs)
		set_pairing(s, PHASE(FAILED),
			    "The Bluetooth program ended. It starts again by itself: try again in "
			    "a minute.");
}

int radio_state_new(sd_event *event, int (*say)(void *user, const Wellgate__V1__ToDevices *message),
		    void *user, struct radio_state **ret)
{
	struct radio_state *s = calloc(1, sizeof(*s));
	struct receipt now;
	int r;

	if (!s)
		return -ENOMEM;
	s->say = say;
	s->user = user;
	receipt_now(&now);
	/* above what a command line that outlived our last start may still ask for */
	s->last_id = s->lost_id = now.utc_ms > 0 ? (uint64_t)now.utc_ms : 0;
	r = sd_event_add_time(event, &s->patience, CLOCK_MONOTONIC, 0, 0, on_patience, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->patience, SD_EVENT_OFF);
	if (r < 0) {
		radio_state_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void radio_state_free(struct radio_state *s)
{
	if (!s)
		return;
	(void)sd_event_source_disable_unref(s->patience);
	free(s);
}
