/* wellgate loan: who has which device, from when to when, and what is left afterwards. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/desk_client.h"
#include "gateway/cli/format.h"
#include "gateway/words/words.h"

#define BASIS(name) WELLGATE__V1__REGISTRY_EVENT__BASIS__BASIS_##name
#define CLEAN(name) WELLGATE__V1__DESK_REPLY__CLEAN__CLEAN_##name
#define GONE(name)  WELLGATE__V1__DESK_REPLY__ERASURE__ERASURE_##name
#define TEXT_MAX    256

static const char usage[] =
	"usage: wellgate loan start DEVICE [--slot N] [--subject REF] [--owned|--shared]\n"
	"                           [--wiped|--mark N]\n"
	"       wellgate loan end DEVICE|REF [--slot N] [--subject REF] [--at TIME]\n"
	"       wellgate loan list [--all]\n"
	"       wellgate loan report NUMBER|REF [--unpair]\n\n"
	"start   from now on the device is one person's; makes a new random reference\n"
	"end     from now on it is not; their key is destroyed when all was sent\n"
	"list    which device is with whom (--all: also what has ended)\n"
	"report  what became of a loan that ended, and what this box could not clear\n\n"
	"  --slot N       user N of a device that tells people apart\n"
	"  --subject REF  a reference that the person has already, or a UUID; never a name\n"
	"  --owned        it is their own; --shared: several people use it\n"
	"  --wiped        you cleared the memory of the device and saw that it is empty\n"
	"  --mark N       or: the number of the last record that it holds\n"
	"  --at TIME      it ended then: 2026-11-23T10:30 as the clock here shows it\n"
	"  --unpair       also end the pairing of this box with the device\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 done, 64 not as it has to be, 69 not done, 74 I/O.\n";

/* protobuf-c has no const; packing only reads */
static char *borrowed(const char *text)
{
	return (char *)(uintptr_t)text;
}

static bool is_reference(const char *text)
{
	return strlen(text) >= 32; /* a whole one; the gateway looks closer */
}

/* ---- start */

static Wellgate__V1__RegistryEvent__Basis basis_of(const struct desk_args *a)
{
	return a->shared ? BASIS(SHARED) : a->owned ? BASIS(OWNED) : BASIS(LOAN);
}

static const char *basis_name(Wellgate__V1__RegistryEvent__Basis basis)
{
	return basis == BASIS(SHARED) ? "shared" : basis == BASIS(OWNED) ? "owned" : "loan";
}

static const char *clean_name(Wellgate__V1__DeskReply__Clean clean)
{
	return clean == CLEAN(NO_MEMORY) ? "no_memory"
	       : clean == CLEAN(WIPED)   ? "wiped"
	       : clean == CLEAN(MARK)    ? "mark"
	       : clean == CLEAN(EMPTIED) ? "emptied"
					 : "nobody_before";
}

static void say_start(const struct desk_args *a, const struct desk_device *d,
		      const Wellgate__V1__DeskReply *m)
{
	desk_say(a->shared  ? WORDS_LOAN_SHARED
		 : a->owned ? WORDS_LOAN_OWNED
			    : WORDS_LOAN_STARTED,
		 d->name, NULL, NULL);
	desk_say(WORDS_LOAN_REFERENCE, NULL, m->subject, NULL);
	if (!a->subject)
		desk_say(WORDS_LOAN_REFERENCE_NEW, NULL, NULL, NULL);
	if (m->clean == CLEAN(NO_MEMORY))
		desk_say(WORDS_LOAN_CLEAN_NO_MEMORY, NULL, NULL, NULL);
	if (m->clean == CLEAN(WIPED))
		desk_say(WORDS_LOAN_CLEAN_WIPED, NULL, NULL, NULL);
	if (m->clean == CLEAN(EMPTIED))
		desk_say(WORDS_LOAN_CLEAN_EMPTIED, NULL, NULL, NULL);
	if (m->clean == CLEAN(MARK))
		desk_say_number(WORDS_LOAN_CLEAN_MARK, NULL, m->mark);
	if (a->shared)
		return;
	desk_say(WORDS_LOAN_NEXT, NULL, NULL, NULL);
	desk_say(WORDS_LOAN_VISITOR, NULL, NULL, NULL);
}

static int report_start(const struct desk_args *a, const struct desk_device *d,
			const Wellgate__V1__DeskReply *m)
{
	json_t *object;

	if (!m->subject)
		return cli_fail("loan", EXIT_UNAVAILABLE, "the answer has no reference");
	if (!a->client.json) {
		say_start(a, d, m);
		return 0;
	}
	object = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "event", "started", "device",
			   d->reference, "number", (json_int_t)m->number, "subject", m->subject,
			   "basis", basis_name(basis_of(a)), "clean", clean_name(m->clean));
	if (m->has_mark)
		(void)json_object_set_new(object, "mark", json_integer(m->mark));
	desk_print(object);
	return 0;
}

static int start(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__StartLoan s = WELLGATE__V1__DESK_COMMAND__START_LOAN__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	struct desk_device d;
	int code;

	if ((a->owned && a->shared) || (a->wiped && a->has_mark))
		return cli_fail("loan", EXIT_USAGE, "%s", words_text(WORDS_EN, WORDS_LOAN_EITHER));
	code = desk_device(a, a->words[0], &d);
	if (code)
		return code;
	s.has_slot = a->has_slot;
	s.slot = a->slot;
	s.subject = borrowed(a->subject);
	s.has_basis = true;
	s.basis = basis_of(a);
	s.has_wiped = s.wiped = a->wiped;
	s.has_mark = a->has_mark;
	s.mark = a->mark;
	desk_about(&m, &d);
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_START;
	m.start = &s;
	code = desk_ask(a, &m, 0, &reply);
	if (code == 0)
		code = report_start(a, &d, reply->desk);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

/* ---- end */

static const char *erasure_name(Wellgate__V1__DeskReply__Erasure erasure)
{
	return erasure == GONE(DONE) ? "done" : erasure == GONE(WAITING) ? "waiting" : "none";
}

static void say_erasure(const Wellgate__V1__DeskReply *m)
{
	if (m->erasure == GONE(DONE))
		desk_say(WORDS_LOAN_ERASED, NULL, NULL, NULL);
	else if (m->erasure == GONE(WAITING))
		desk_say_number(WORDS_LOAN_WAITING, NULL, m->waiting);
	else
		desk_say(WORDS_LOAN_STILL_HERE, NULL, NULL, NULL);
}

/* Nobody has it any more: its own memory is emptied, where that can be done from here. */
static bool ask_wipe(struct desk_args *a, const Wellgate__V1__DeskReply__Device *m)
{
	struct desk_device d = { .heard = false };
	int error = 0;

	if (desk_device_of(a, &m->device, &d) != 0 || !d.can_wipe ||
	    desk_wipe(a, &d, &error) != 0 || error != 0)
		return false;
	if (!a->client.json)
		desk_say(WORDS_DEVICE_WILL_EMPTY, d.name, NULL, NULL);
	return true;
}

static int report_end(struct desk_args *a, const Wellgate__V1__DeskReply *m)
{
	size_t asked = 0;

	if (!a->client.json) {
		desk_say(WORDS_LOAN_ENDED, NULL, NULL, NULL);
		say_erasure(m);
	}
	for (size_t i = 0; i < m->n_devices; i++)
		asked += ask_wipe(a, m->devices[i]);
	if (a->client.json)
		desk_print(json_pack("{s:s, s:s?, s:s, s:I, s:b}", "event", "ended", "subject",
				     m->subject, "erasure", erasure_name(m->erasure), "waiting",
				     (json_int_t)m->waiting, "wipe_asked", asked > 0));
	else if (asked == 0 || asked < m->n_devices)
		desk_say(WORDS_LOAN_CLEAR_IT, NULL, NULL, NULL);
	return 0;
}

static int end(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__EndLoan e = WELLGATE__V1__DESK_COMMAND__END_LOAN__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	struct desk_device d;
	int code = 0;

	e.subject = borrowed(a->subject);
	/* a device's reference is as long as a person's, but has digits */
	if (is_reference(a->words[0]) && desk_device_quiet(a, a->words[0], &d) != 0) {
		e.subject = borrowed(a->words[0]);
	} else {
		code = desk_device(a, a->words[0], &d);
		desk_about(&m, &d);
	}
	if (code)
		return code;
	e.has_slot = a->has_slot;
	e.slot = a->slot;
	e.has_to_ms = a->has_at;
	e.to_ms = a->at_ms;
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_END;
	m.end = &e;
	code = desk_ask(a, &m, 0, &reply);
	if (code == 0)
		code = report_end(a, reply->desk);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

/* ---- list */

static enum words_id state_words(const Wellgate__V1__DeskReply__Loan *l)
{
	if (l->session)
		return WORDS_LOAN_IS_SESSION;
	return l->basis == BASIS(OWNED)    ? WORDS_LOAN_IS_OWNED
	       : l->basis == BASIS(SHARED) ? WORDS_LOAN_IS_SHARED
					   : WORDS_LOAN_IS_LENT;
}

static json_t *loan_json(const Wellgate__V1__DeskReply__Loan *l)
{
	char from[FORMAT_TIME_MAX], to[FORMAT_TIME_MAX], device[2 * 16 + 1] = "";
	json_t *object;

	format_utc(from, l->from_ms);
	if (l->device.len == 16)
		format_hex(device, l->device.data, l->device.len);
	object = json_pack("{s:I, s:s, s:s?, s:s, s:s, s:b}", "number", (json_int_t)l->number,
			   "device", device, "subject", l->subject, "basis",
			   l->session ? "session" : basis_name(l->basis), "from", from, "ended",
			   l->ended);
	if (l->has_slot)
		(void)json_object_set_new(object, "user_slot", json_integer(l->slot));
	if (l->has_to_ms) {
		format_utc(to, l->to_ms);
		(void)json_object_set_new(object, "to", json_string(to));
	}
	return object;
}

/* "2026-11-23 10:30" */
static void format_minute(char buf[FORMAT_TIME_MAX], int64_t ms)
{
	format_utc(buf, ms);
	buf[16] = '\0';
	buf[10] = ' ';
}

static void print_loan(const Wellgate__V1__DeskReply__Loan *l)
{
	const bool gone = !l->subject || !*l->subject, over = l->has_to_ms && l->ended;
	char from[FORMAT_TIME_MAX], to[FORMAT_TIME_MAX] = "", subject[DEVICE_NAME], slot[24];
	char place[TEXT_MAX] = "", when[TEXT_MAX] = "";
	const struct words_fill fill = {
		.of = { [WORDS_NUMBER] = slot, [WORDS_FROM] = from, [WORDS_TO] = to }
	};

	format_minute(from, l->from_ms);
	if (over)
		format_minute(to, l->to_ms);
	device_text(subject, sizeof(subject), gone ? "-" : l->subject);
	(void)snprintf(slot, sizeof(slot), "%" PRIu32, l->slot);
	if (l->has_slot)
		(void)words_say(WORDS_EN, WORDS_LOAN_SLOT, &fill, place, sizeof(place));
	(void)words_say(WORDS_EN, over ? WORDS_LOAN_FROM_TO : WORDS_LOAN_FROM, &fill, when,
			sizeof(when));
	(void)printf("%8" PRIu64 "  %s%s%s, %s\n          %s\n", l->number,
		     words_text(WORDS_EN, state_words(l)), place[0] ? ", " : "", place, when,
		     subject);
}

static int print_device(struct desk_args *a, const Wellgate__V1__DeskReply__Device *m, bool busy)
{
	struct desk_device d = { .heard = false };
	json_t *object;
	int code = desk_device_of(a, &m->device, &d);

	if (code)
		return code;
	if (!a->client.json) {
		(void)printf("%s (%.8s)%s%s\n", d.name, d.reference,
			     m->retired || !busy ? ": " : "",
			     m->retired ? words_text(WORDS_EN, WORDS_LOAN_IS_RETIRED)
			     : busy     ? ""
					: words_text(WORDS_EN, WORDS_LOAN_FREE));
		return 0;
	}
	object = json_pack("{s:s, s:s, s:I, s:I, s:b, s:b, s:b}", "device", d.reference, "name",
			   d.name, "slots", (json_int_t)m->slots, "memory",
			   (json_int_t)m->memory_records, "clock", m->has_clock, "slot_guessed",
			   m->slot_guessed, "retired", m->retired);
	desk_print(object);
	return 0;
}

static bool is_of(const Wellgate__V1__DeskReply__Loan *l, const ProtobufCBinaryData *device)
{
	return l->device.len == device->len &&
	       memcmp(l->device.data, device->data, device->len) == 0;
}

/* The loans of a page that are of this device, after its heading. */
static int print_loans(struct desk_args *a, const Wellgate__V1__DeskReply *m,
		       const ProtobufCBinaryData *device)
{
	for (size_t i = 0; i < m->n_loans; i++) {
		if (!is_of(m->loans[i], device))
			continue;
		if (a->client.json)
			desk_print(loan_json(m->loans[i]));
		else
			print_loan(m->loans[i]);
	}
	return 0;
}

static int print_page(struct desk_args *a, const Wellgate__V1__DeskReply *m)
{
	bool busy;
	int code = 0;

	/* what goes on from the page before */
	if (m->n_loans > 0 && (m->n_devices == 0 || !is_of(m->loans[0], &m->devices[0]->device)) &&
	    m->loans[0]->device.len == 16)
		code = print_loans(a, m, &m->loans[0]->device);
	for (size_t i = 0; i < m->n_devices && code == 0; i++) {
		busy = false;
		for (size_t k = 0; k < m->n_loans && !busy; k++)
			busy = is_of(m->loans[k], &m->devices[i]->device) && !m->loans[k]->ended;
		code = print_device(a, m->devices[i], busy);
		if (code == 0)
			code = print_loans(a, m, &m->devices[i]->device);
	}
	return code;
}

static int list(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__ListLoans l = WELLGATE__V1__DESK_COMMAND__LIST_LOANS__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	uint64_t after = 0;
	bool more = true, any = false;
	int code = 0;

	l.has_all = l.all = a->all;
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_LIST;
	m.list = &l;
	for (unsigned int i = 0; i < DESK_PAGES && more && code == 0; i++) {
		Wellgate__V1__Reply *reply = NULL;

		code = desk_ask(a, &m, after, &reply);
		if (code)
			break;
		any = any || reply->desk->n_devices > 0;
		code = print_page(a, reply->desk);
		more = reply->more && reply->desk->next > after;
		after = reply->desk->next;
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	if (code == 0 && !any && !a->client.json)
		desk_say(WORDS_DEVICE_NONE, NULL, NULL, NULL);
	return code;
}

/* ---- report */

static int unpair(struct desk_args *a, struct desk_device *d)
{
	Wellgate__V1__RadioCommand command = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Device device = WELLGATE__V1__RADIO_COMMAND__DEVICE__INIT;
	uint64_t request = 0;
	int error = 0, code;

	device.has_digest = true;
	device.digest = (ProtobufCBinaryData){ sizeof(d->digest), d->digest };
	command.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_UNPAIR;
	command.unpair = &device;
	code = client_command(&a->client, &command, &request);
	if (code == 0)
		code = client_outcome(&a->client, request, &error);
	if (code == 0 && error != 0)
		code = cli_fail("loan", EXIT_UNAVAILABLE, "%s: %s",
				words_text(WORDS_EN, WORDS_LOAN_NOT_UNPAIRED), strerror(error));
	d->paired = code != 0;
	return code;
}

#define WIPE(name) WELLGATE__V1__REGISTRY_EVENT__WIPE__WIPE_##name

static const char *wipe_name(const Wellgate__V1__DeskReply *m)
{
	if (!m->has_wipe)
		return NULL;
	return m->wipe == WIPE(PROVEN)    ? "read_back_empty"
	       : m->wipe == WIPE(REFUSED) ? "refused"
	       : m->wipe == WIPE(UNREAD)  ? "not_all_read"
	       : m->wipe == WIPE(LEFT)    ? "not_proven"
					  : "staff";
}

/* What was wiped and what was not, and by whom. */
static enum words_id wipe_words(const struct desk_device *d, const Wellgate__V1__DeskReply *m)
{
	if (m->devices[0]->memory_records == 0)
		return WORDS_REPORT_NO_MEMORY;
	if (m->device_wiped)
		return m->wipe == WIPE(PROVEN) ? WORDS_REPORT_EMPTIED : WORDS_REPORT_CLEARED;
	if (d->wipe_asked)
		return WORDS_REPORT_WILL_EMPTY;
	if (m->wipe == WIPE(REFUSED))
		return WORDS_REPORT_WIPE_REFUSED;
	if (m->wipe == WIPE(UNREAD))
		return WORDS_REPORT_WIPE_UNREAD;
	if (m->wipe == WIPE(LEFT))
		return WORDS_REPORT_WIPE_LEFT;
	return d->can_wipe ? WORDS_REPORT_CAN_EMPTY : WORDS_REPORT_NOT_CLEARED;
}

static int report_json(const struct desk_device *d, const Wellgate__V1__DeskReply *m)
{
	json_t *object = loan_json(m->loans[0]);

	(void)json_object_set_new(object, "erasure", json_string(erasure_name(m->erasure)));
	(void)json_object_set_new(object, "waiting", json_integer((json_int_t)m->waiting));
	(void)json_object_set_new(object, "device_cleared", json_boolean(m->device_wiped));
	(void)json_object_set_new(object, "device_memory",
				  json_integer(m->devices[0]->memory_records));
	(void)json_object_set_new(object, "wipe",
				  wipe_name(m) ? json_string(wipe_name(m)) : json_null());
	(void)json_object_set_new(object, "wipe_asked", json_boolean(d->wipe_asked));
	(void)json_object_set_new(object, "paired", json_boolean(d->paired));
	desk_print(object);
	return 0;
}

static void report_text(const struct desk_device *d, const Wellgate__V1__DeskReply *m)
{
	(void)printf("%s (%.8s)\n", d->name, d->reference);
	print_loan(m->loans[0]);
	if (!m->loans[0]->ended) {
		desk_say(WORDS_REPORT_RUNS, NULL, NULL, NULL);
		return;
	}
	say_erasure(m);
	desk_say(wipe_words(d, m), NULL, NULL, NULL);
	desk_say(d->paired ? WORDS_REPORT_BOND : WORDS_REPORT_NO_BOND, NULL, NULL, NULL);
}

static int tell(struct desk_args *a, const Wellgate__V1__DeskReply *m)
{
	struct desk_device d = { .heard = false };
	int code;

	if (m->n_loans != 1 || m->n_devices != 1)
		return cli_fail("loan", EXIT_UNAVAILABLE, "the answer says nothing");
	code = desk_device_of(a, &m->devices[0]->device, &d);
	if (code == 0 && a->unpair && d.wipe_asked && !m->device_wiped)
		return cli_fail("loan", EXIT_UNAVAILABLE, "%s",
				words_text(WORDS_EN, WORDS_REPORT_WIPE_FIRST));
	if (code == 0 && a->unpair && d.paired && m->loans[0]->ended)
		code = unpair(a, &d);
	if (code)
		return code;
	if (a->client.json)
		return report_json(&d, m);
	report_text(&d, m);
	return 0;
}

static int report(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__Report r = WELLGATE__V1__DESK_COMMAND__REPORT__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;
	int code;

	if (is_reference(a->words[0])) {
		r.subject = borrowed(a->words[0]);
	} else {
		r.has_assignment = desk_number(a->words[0], &r.assignment);
		if (!r.has_assignment)
			return cli_fail("loan", EXIT_USAGE, "%s",
					words_text(WORDS_EN, WORDS_DESK_NO_LOAN));
	}
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_REPORT;
	m.report = &r;
	code = desk_ask(a, &m, 0, &reply);
	if (code == 0)
		code = tell(a, reply->desk);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

int cmd_loan(int argc, char **argv)
{
	static const struct desk_verb verbs[] = {
		{ "start", DESK_SLOT | DESK_SUBJECT | DESK_LOAN, 1, 1, start },
		{ "end", DESK_SLOT | DESK_SUBJECT | DESK_AT, 1, 1, end },
		{ "list", DESK_ALL, 0, 0, list },
		{ "report", DESK_UNPAIR, 1, 1, report },
		{ 0 },
	};

	return desk_main(argc, argv, usage, verbs);
}
