/*
 * wellgate import registry: the devices and loans of another system. First all of it is tried on a
 * registry of our own, made of what the gateway says it has; only if that takes every line, the
 * gateway hears them, in the order of their dates. What is true already is left alone.
 */
#include "gateway/cli/import_registry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/desk_client.h"
#include "gateway/import/registry_file.h"

#define EVENT(name) WELLGATE__V1__REGISTRY_EVENT__WHAT_##name
#define ASKED(name) WELLGATE__V1__DESK_COMMAND__WHAT_##name
#define LISTED_MAX  200000 /* of each: more is a gateway that does not end */

static const char usage[] =
	"usage: wellgate import registry FILE\n\n"
	"Takes devices, and who had which from when to when, out of a CSV or JSON list of another\n"
	"system. All of it is checked first: one wrong line, and nothing is changed. The same\n"
	"list again changes nothing. People are in it by random reference alone.\n\n"
	"CSV has a first line of names: what,device,kind,memory,slots,clock,slot_guessed,subject,\n"
	"basis,from,to,slot,wiped,mark. `what` is device or assignment. JSON is\n"
	"{\"devices\":[...],\"assignments\":[...]} with the same names.\n\n"
	"  device   as in wellgate devices --json     kind   as in wellgate device --help\n"
	"  basis    loan, owned or shared             from   2026-11-23T10:30Z\n"
	"  wiped    yes: its memory was cleared before, or mark: number of its last record\n\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 good, 64 usage, 65 a line is not as it has to be, 69 not done, 74 I/O.\n";

struct listed_device {
	uint8_t digest[REGISTRY_DIGEST];
	uint32_t slots, memory;
	bool clock, guessed, retired;
};

struct listed_loan {
	uint8_t digest[REGISTRY_DIGEST];
	char subject[REFERENCE_TEXT_MAX];
	uint64_t number;
	int64_t from_ms, to_ms;
	int32_t slot; /* -1: the whole device */
	Wellgate__V1__RegistryEvent__Basis basis;
	bool ended;
};

enum row_state {
	ROW_NEW,
	ROW_KNOWN,
	ROW_ENDS, /* it is there, and runs; the list knows its end */
};

struct work {
	struct desk_args *a;
	struct registry_file *file;
	struct registry *scratch;
	struct listed_device *devices;
	struct listed_loan *loans;
	size_t n_devices, n_loans;
	int64_t now_ms;
	uint64_t counts[3];
};

static int32_t slot_of(const struct registry_row *row)
{
	return row->has_slot ? (int32_t)row->slot : -1;
}

static int say_line(const struct work *w, const struct registry_row *row, const char *sentence)
{
	return cli_fail("import", EXIT_DATA, "%s %zu: %s",
			!w->file->json   ? "line"
			: row->is_device ? "device"
					 : "assignment",
			row->line, sentence);
}

/* ---- what the gateway has */

static int take_device(struct work *w, const Wellgate__V1__DeskReply__Device *m)
{
	struct listed_device *rows =
		reallocarray(w->devices, w->n_devices + 1, sizeof(*w->devices));

	if (!rows || w->n_devices == LISTED_MAX)
		return cli_fail("import", EXIT_IO, "no memory");
	w->devices = rows;
	if (m->device.len != REGISTRY_DIGEST)
		return 0;
	rows[w->n_devices] = (struct listed_device){ .slots = m->slots,
						     .memory = m->memory_records,
						     .clock = m->has_clock,
						     .guessed = m->slot_guessed,
						     .retired = m->retired };
	memcpy(rows[w->n_devices++].digest, m->device.data, REGISTRY_DIGEST);
	return 0;
}

static int take_loan(struct work *w, const Wellgate__V1__DeskReply__Loan *m)
{
	struct listed_loan *rows = reallocarray(w->loans, w->n_loans + 1, sizeof(*w->loans));

	if (!rows || w->n_loans == LISTED_MAX)
		return cli_fail("import", EXIT_IO, "no memory");
	w->loans = rows;
	if (m->session || m->device.len != REGISTRY_DIGEST || !m->subject ||
	    strlen(m->subject) >= REFERENCE_TEXT_MAX)
		return 0;
	rows[w->n_loans] = (struct listed_loan){ .number = m->number,
						 .from_ms = m->from_ms,
						 .to_ms = m->to_ms,
						 .slot = m->has_slot ? (int32_t)m->slot : -1,
						 .basis = m->basis,
						 .ended = m->ended };
	memcpy(rows[w->n_loans].digest, m->device.data, REGISTRY_DIGEST);
	memcpy(rows[w->n_loans++].subject, m->subject, strlen(m->subject) + 1);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct listed_loan *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int fetch(struct work *w)
{
	Wellgate__V1__DeskCommand__ListLoans list = WELLGATE__V1__DESK_COMMAND__LIST_LOANS__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	uint64_t after = 0;
	bool more = true;
	int code = 0;

	list.has_all = list.all = true;
	m.what_case = ASKED(LIST);
	m.list = &list;
	for (unsigned int i = 0; i < DESK_PAGES && more && code == 0; i++) {
		Wellgate__V1__Reply *reply = NULL;

		code = desk_ask(w->a, &m, after, &reply);
		if (code)
			return code;
		for (size_t k = 0; k < reply->desk->n_devices && code == 0; k++)
			code = take_device(w, reply->desk->devices[k]);
		for (size_t k = 0; k < reply->desk->n_loans && code == 0; k++)
			code = take_loan(w, reply->desk->loans[k]);
		more = reply->more && reply->desk->next > after;
		after = reply->desk->next;
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	if (w->n_loans > 0)
		qsort(w->loans, w->n_loans, sizeof(w->loans[0]), by_number);
	return code;
}

/* ---- a registry to try on */

static int try_event(struct work *w, Wellgate__V1__RegistryEvent__WhatCase what,
		     const uint8_t *device, void *message, const char **ret_problem)
{
	Wellgate__V1__RegistryEvent e = WELLGATE__V1__REGISTRY_EVENT__INIT;

	e.has_revision = e.has_at_ms = e.has_clock_synced = e.has_device = true;
	e.revision = registry_revision(w->scratch) + 1;
	e.at_ms = w->now_ms;
	e.clock_synced = true;
	e.device = (ProtobufCBinaryData){ REGISTRY_DIGEST, (uint8_t *)(uintptr_t)device };
	e.what_case = what;
	e.device_added = message; /* all of the union are pointers */
	return registry_apply(w->scratch, &e, ret_problem);
}

static int try_add(struct work *w, const uint8_t *digest, const struct listed_device *d,
		   Wellgate__V1__RegistryEvent__DeviceKind kind, const char **ret_problem)
{
	Wellgate__V1__RegistryEvent__DeviceAdded m =
		WELLGATE__V1__REGISTRY_EVENT__DEVICE_ADDED__INIT;

	m.has_kind = m.has_slots = m.has_has_clock = true;
	m.has_memory_records = m.has_slot_guessed = true;
	m.kind = kind;
	m.slots = d->slots;
	m.has_clock = d->clock;
	m.memory_records = d->memory;
	m.slot_guessed = d->guessed;
	return try_event(w, EVENT(DEVICE_ADDED), digest, &m, ret_problem);
}

static int try_wipe(struct work *w, const uint8_t *digest, const char **ret_problem)
{
	Wellgate__V1__RegistryEvent__Wiped m = WELLGATE__V1__REGISTRY_EVENT__WIPED__INIT;
	uint8_t proof[32] = { 0 };

	m.has_proof = true;
	m.proof = (ProtobufCBinaryData){ sizeof(proof), proof };
	return try_event(w, EVENT(WIPED), digest, &m, ret_problem);
}

static int try_mark(struct work *w, const struct registry_row *row, const char **ret_problem)
{
	Wellgate__V1__RegistryEvent__HighWaterMark m =
		WELLGATE__V1__REGISTRY_EVENT__HIGH_WATER_MARK__INIT;

	m.has_slot = row->has_slot;
	m.slot = row->slot;
	m.has_record_number = true;
	m.record_number = row->mark;
	return try_event(w, EVENT(HIGH_WATER_MARK), row->device, &m, ret_problem);
}

static int try_start(struct work *w, const struct listed_loan *l, const char **ret_problem)
{
	Wellgate__V1__RegistryEvent__AssignmentStarted m =
		WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_STARTED__INIT;
	Wellgate__V1__RegistryEvent__AssignmentEnded end =
		WELLGATE__V1__REGISTRY_EVENT__ASSIGNMENT_ENDED__INIT;
	int r;

	m.has_slot = l->slot >= 0;
	m.slot = m.has_slot ? (uint32_t)l->slot : 0;
	m.subject = (char *)(uintptr_t)l->subject; /* the registry copies it */
	m.has_from_ms = m.has_basis = true;
	m.from_ms = l->from_ms;
	m.basis = l->basis;
	r = try_event(w, EVENT(ASSIGNMENT_STARTED), l->digest, &m, ret_problem);
	if (r < 0 || !l->ended)
		return r;
	end.has_assignment = end.has_to_ms = true;
	end.assignment = registry_revision(w->scratch);
	end.to_ms = l->to_ms;
	return try_event(w, EVENT(ASSIGNMENT_ENDED), l->digest, &end, ret_problem);
}

/* What is there stands: of each loan it was looked at that the device was clean. */
static int rebuild(struct work *w)
{
	const char *problem = NULL;
	int r = registry_new(&w->scratch);

	for (size_t i = 0; r == 0 && i < w->n_devices; i++)
		r = try_add(w, w->devices[i].digest, &w->devices[i],
			    WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_OTHER, &problem);
	for (size_t i = 0; r == 0 && i < w->n_loans; i++) {
		r = try_wipe(w, w->loans[i].digest, &problem);
		if (r == 0)
			r = try_start(w, &w->loans[i], &problem);
	}
	return r == 0 ? 0
		      : cli_fail("import", EXIT_UNAVAILABLE,
				 "what the gateway has does not add up: %s",
				 problem ? problem : strerror(-r));
}

static struct listed_loan loan_of(const struct registry_row *row)
{
	struct listed_loan l = { .from_ms = row->from_ms,
				 .to_ms = row->to_ms,
				 .slot = slot_of(row),
				 .basis = row->basis,
				 .ended = row->has_to };

	memcpy(l.digest, row->device, sizeof(l.digest));
	memcpy(l.subject, row->subject, sizeof(l.subject));
	return l;
}

/* ---- a row beside what is there. 0 or the exit code */

static int compare_device(const struct work *w, const struct registry_row *row, enum row_state *ret)
{
	*ret = ROW_NEW;
	for (size_t i = 0; i < w->n_devices; i++) {
		const struct listed_device *d = &w->devices[i];

		if (memcmp(d->digest, row->device, sizeof(d->digest)) != 0)
			continue;
		if (d->retired || d->slots != row->slots || d->memory != row->memory ||
		    d->clock != row->clock || d->guessed != row->slot_guessed)
			return say_line(w, row, words_text(WORDS_EN, WORDS_FILE_OTHER));
		*ret = ROW_KNOWN;
	}
	return 0;
}

/* Of one who has left, nobody can say any more who it was: times and device have to do. */
static bool is_same_person(const struct listed_loan *l, const struct registry_row *row)
{
	return strcmp(l->subject, row->subject) == 0 ||
	       (l->ended && row->has_to && l->to_ms == row->to_ms && l->basis == row->basis);
}

static int compare_loan(const struct work *w, const struct registry_row *row, enum row_state *ret)
{
	*ret = ROW_NEW;
	for (size_t i = 0; i < w->n_loans; i++) {
		const struct listed_loan *l = &w->loans[i];

		if (memcmp(l->digest, row->device, sizeof(l->digest)) != 0 ||
		    l->slot != slot_of(row) || l->from_ms != row->from_ms ||
		    !is_same_person(l, row))
			continue;
		if (l->basis != row->basis || (l->ended && row->has_to && l->to_ms != row->to_ms))
			return say_line(w, row, words_text(WORDS_EN, WORDS_FILE_OTHER));
		*ret = row->has_to && !l->ended ? ROW_ENDS : ROW_KNOWN;
	}
	return 0;
}

static int compare(const struct work *w, const struct registry_row *row, enum row_state *ret)
{
	return row->is_device ? compare_device(w, row, ret) : compare_loan(w, row, ret);
}

static int try_row(struct work *w, const struct registry_row *row, const char **ret_problem)
{
	struct listed_loan l;
	int r = 0;

	if (row->is_device) {
		const struct listed_device d = { .slots = row->slots,
						 .memory = row->memory,
						 .clock = row->clock,
						 .guessed = row->slot_guessed };

		return try_add(w, row->device, &d, row->kind, ret_problem);
	}
	if (row->wiped)
		r = try_wipe(w, row->device, ret_problem);
	else if (row->has_mark)
		r = try_mark(w, row, ret_problem);
	l = loan_of(row);
	return r < 0 ? r : try_start(w, &l, ret_problem);
}

static int check(struct work *w)
{
	for (size_t i = 0; i < w->file->n; i++) {
		const struct registry_row *row = &w->file->rows[i];
		const char *problem = NULL;
		enum row_state state = ROW_NEW;
		const int code = compare(w, row, &state);

		if (code)
			return code;
		if (state == ROW_NEW && try_row(w, row, &problem) < 0)
			return say_line(w, row,
					problem ? problem
						: words_text(WORDS_EN, WORDS_FILE_TOO_LARGE));
		if (state == ROW_ENDS && row->to_ms > w->now_ms)
			return say_line(w, row, words_text(WORDS_EN, WORDS_FILE_TIME));
	}
	return 0;
}

/* ---- telling the gateway */

static int tell(struct work *w, Wellgate__V1__DeskCommand *m, const struct registry_row *row)
{
	uint8_t digest[REGISTRY_DIGEST];
	Wellgate__V1__Reply *reply = NULL;
	int code;

	memcpy(digest, row->device, sizeof(digest));
	m->has_device = true;
	m->device = (ProtobufCBinaryData){ sizeof(digest), digest };
	code = desk_ask(w->a, m, 0, &reply);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

static int tell_device(struct work *w, const struct registry_row *row)
{
	Wellgate__V1__RegistryEvent__DeviceAdded added =
		WELLGATE__V1__REGISTRY_EVENT__DEVICE_ADDED__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;

	added.has_kind = added.has_slots = added.has_has_clock = true;
	added.has_memory_records = added.has_slot_guessed = true;
	added.kind = row->kind;
	added.slots = row->slots;
	added.has_clock = row->clock;
	added.memory_records = row->memory;
	added.slot_guessed = row->slot_guessed;
	m.what_case = ASKED(ADD);
	m.add = &added;
	return tell(w, &m, row);
}

static int tell_start(struct work *w, const struct registry_row *row)
{
	Wellgate__V1__DeskCommand__StartLoan s = WELLGATE__V1__DESK_COMMAND__START_LOAN__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;

	s.has_slot = row->has_slot;
	s.slot = row->slot;
	s.subject = (char *)(uintptr_t)row->subject;
	s.has_basis = s.has_from_ms = true;
	s.basis = row->basis;
	s.from_ms = row->from_ms;
	s.has_to_ms = row->has_to;
	s.to_ms = row->to_ms;
	s.has_wiped = s.wiped = row->wiped;
	s.has_mark = row->has_mark;
	s.mark = row->mark;
	m.what_case = ASKED(START);
	m.start = &s;
	return tell(w, &m, row);
}

static int tell_end(struct work *w, const struct registry_row *row)
{
	Wellgate__V1__DeskCommand__EndLoan e = WELLGATE__V1__DESK_COMMAND__END_LOAN__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;

	e.subject = (char *)(uintptr_t)row->subject;
	e.has_slot = row->has_slot;
	e.slot = row->slot;
	e.has_to_ms = true;
	e.to_ms = row->to_ms;
	m.what_case = ASKED(END);
	m.end = &e;
	return tell(w, &m, row);
}

static void note(struct work *w, const struct registry_row *row, enum row_state state)
{
	static const char *const names[] = {
		[ROW_NEW] = "added", [ROW_KNOWN] = "known", [ROW_ENDS] = "ended"
	};

	w->counts[state]++;
	if (w->a->client.json)
		desk_print(json_pack("{s:s, s:I, s:s}", "what",
				     row->is_device ? "device" : "assignment", "line",
				     (json_int_t)row->line, "result", names[state]));
}

static int apply(struct work *w)
{
	for (size_t i = 0; i < w->file->n; i++) {
		const struct registry_row *row = &w->file->rows[i];
		enum row_state state = ROW_NEW;
		int code = compare(w, row, &state);

		if (code == 0 && state == ROW_NEW)
			code = row->is_device ? tell_device(w, row) : tell_start(w, row);
		if (code == 0 && state == ROW_ENDS)
			code = tell_end(w, row);
		if (code) {
			(void)say_line(w, row, words_text(WORDS_EN, WORDS_IMPORT_STOPPED));
			return code;
		}
		note(w, row, state);
	}
	return 0;
}

/* ---- all of it */

/* text has room for one byte more than a list may have */
static int read_text(const char *path, char *text, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return cli_fail("import", EXIT_IO, "cannot read it: %s", strerror(errno));
	while (n > 0 && len <= REGISTRY_FILE_MAX) {
		n = read(fd, text + len, REGISTRY_FILE_MAX + 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return cli_fail("import", EXIT_IO, "cannot read it: %s", strerror(errno));
	*ret_len = len;
	return 0;
}

static int run_all(struct work *w)
{
	int code = fetch(w);

	if (code == 0)
		code = rebuild(w);
	if (code == 0)
		code = check(w);
	if (code == 0)
		code = apply(w);
	if (code == 0 && !w->a->client.json) {
		desk_say_number(WORDS_IMPORT_NEW, NULL, w->counts[ROW_NEW]);
		desk_say_number(WORDS_IMPORT_ENDED, NULL, w->counts[ROW_ENDS]);
		desk_say_number(WORDS_IMPORT_KNOWN, NULL, w->counts[ROW_KNOWN]);
	}
	registry_free(w->scratch);
	free(w->devices);
	free(w->loans);
	return code;
}

static int run_text(struct desk_args *a, const char *text, size_t len)
{
	struct work w = { .a = a, .now_ms = (int64_t)time(NULL) * 1000 };
	struct registry_problem problem = { 0 };
	const int r = registry_file_read(text, len, &w.file, &problem);
	int code;

	if (r == -EBADMSG && problem.line > 0)
		return cli_fail("import", EXIT_DATA, "line %zu: %s", problem.line,
				problem.sentence);
	if (r < 0)
		return cli_fail("import", r == -EBADMSG ? EXIT_DATA : EXIT_IO, "%s",
				r == -EBADMSG ? problem.sentence : "no memory");
	code = run_all(&w);
	registry_file_free(w.file);
	return code;
}

static int run(struct desk_args *a)
{
	char *text = malloc(REGISTRY_FILE_MAX + 1);
	size_t len = 0;
	int code = text ? read_text(a->words[0], text, &len)
			: cli_fail("import", EXIT_IO, "no memory");

	if (code == 0)
		code = run_text(a, text, len);
	free(text);
	return code;
}

int import_registry(int argc, char **argv)
{
	static const struct desk_verb verbs[] = {
		{ "registry", 0, 1, 1, run },
		{ 0 },
	};

	return desk_main(argc, argv, usage, verbs);
}
