/* wellgate held: readings that wait until somebody says whose they are. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/desk_client.h"
#include "gateway/cli/format.h"
#include "gateway/cli/print.h"
#include "gateway/cli/readings_text.h"
#include "gateway/words/words.h"

#define ID_SHOWN   8 /* digits: enough to name one */
#define RULE(name) WELLGATE__V1__ATTRIBUTION_RULE__ATTRIBUTION_##name

static const char usage[] =
	"usage: wellgate held list\n"
	"       wellgate held assign READING REFERENCE\n"
	"       wellgate held discard READING\n"
	"       wellgate held said READING REFERENCE me|not-me\n\n"
	"list     readings that are kept here, not sent, and what is known of each\n"
	"assign   you looked at it and know whose it is: files it, with its own time\n"
	"discard  you looked at it and it is nobody's here: throws it away\n"
	"said     the person said \"this was me\" or \"not me\"; the rules decide on that\n\n"
	"READING is what `list` shows in its first column, or the whole reading_id. assign and\n"
	"said take a whole reading_id of a reading that was filed, too: that corrects it.\n\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 done, 64 not as it has to be, 69 not done, 74 I/O.\n";

/* ---- why it is held */

static enum words_id why(const Wellgate__V1__Reading *r)
{
	const bool somebody = r->subject && *r->subject;

	switch ((unsigned int)(r->attribution ? r->attribution->rule : RULE(UNSPECIFIED))) {
	case RULE(WEIGHT):
		return somebody ? WORDS_HELD_WHY_WEIGHT : WORDS_HELD_WHY_NOBODY;
	case RULE(NO_TIME):
		return WORDS_HELD_WHY_NO_TIME;
	case RULE(SAID_NOT_ME):
		return WORDS_HELD_WHY_SAID_NOT;
	default:
		return somebody ? WORDS_HELD_WHY_PERHAPS : WORDS_HELD_WHY_NOBODY;
	}
}

static void text_of(const Wellgate__V1__Reading *r, char *ret, size_t size)
{
	const struct words_fill fill = { .of = { [WORDS_REFERENCE] = r->subject } };
	char reference[DEVICE_NAME];

	ret[0] = '\0';
	if (words_say(WORDS_EN, why(r), &fill, ret, size) >= 0) {
		(void)snprintf(reference, sizeof(reference), "%s", ret);
		device_text(ret, size, reference);
	}
}

static int print_json(const Wellgate__V1__DeskReply__Held *held, const char *hub)
{
	_cleanup_free_ char *line = print_reading(held->reading, hub);
	json_t *object = line ? json_loads(line, 0, NULL) : NULL;
	char text[DEVICE_NAME];

	if (!object)
		return cli_fail("held", EXIT_IO, "out of memory");
	text_of(held->reading, text, sizeof(text));
	(void)json_object_set_new(object, "held", json_integer((json_int_t)held->number));
	(void)json_object_set_new(object, "why", json_string(text));
	/* not theirs yet: `subject` is for what is filed */
	if (json_object_get(object, "subject")) {
		(void)json_object_set(object, "suggestion", json_object_get(object, "subject"));
		(void)json_object_del(object, "subject");
	}
	desk_print(object);
	return 0;
}

static void print_text(struct readings_text *t, const Wellgate__V1__Reading *r)
{
	char id[2 * 16 + 1] = "-", text[DEVICE_NAME];

	if (r->has_reading_id && r->reading_id.len == 16)
		format_hex(id, r->reading_id.data, r->reading_id.len);
	id[ID_SHOWN] = '\0';
	text_of(r, text, sizeof(text));
	readings_text_add_as(t, r, id, text);
}

static int list(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__ListHeld held = WELLGATE__V1__DESK_COMMAND__LIST_HELD__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	struct readings_text text;
	uint64_t after = 0, n = 0;
	bool more = true;
	int code = 0;

	readings_text_begin(&text, stdout, bars_style());
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_HELD;
	m.held = &held;
	for (unsigned int i = 0; i < DESK_PAGES && more && code == 0; i++) {
		Wellgate__V1__Reply *reply = NULL;

		code = desk_ask(a, &m, after, &reply);
		for (size_t k = 0; code == 0 && k < reply->desk->n_held; k++, n++) {
			if (!reply->desk->held[k]->reading)
				continue;
			if (a->client.json)
				code = print_json(reply->desk->held[k], reply->hub);
			else
				print_text(&text, reply->desk->held[k]->reading);
		}
		more = code == 0 && reply->more && reply->desk->next > after;
		after = code == 0 ? reply->desk->next : after;
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	if (code == 0 && !a->client.json) {
		if (n == 0)
			desk_say(WORDS_HELD_NONE, NULL, NULL, NULL);
		else
			(void)printf("\n%s\n", words_text(WORDS_EN, WORDS_HELD_HOW));
	}
	return code;
}

/* ---- what is said about one */

static int named(const char *what, uint8_t id[16], ProtobufCBinaryData *ret)
{
	if (!desk_bytes(what, id, &ret->len))
		return cli_fail("held", EXIT_USAGE, "%s",
				words_text(WORDS_EN, WORDS_DESK_NO_READING));
	ret->data = id;
	return 0;
}

static int ask(struct desk_args *a, Wellgate__V1__DeskCommand *m, enum words_id words,
	       const char *event)
{
	Wellgate__V1__Reply *reply = NULL;
	const int code = desk_ask(a, m, 0, &reply);

	wellgate__v1__reply__free_unpacked(reply, NULL);
	if (code)
		return code;
	if (a->client.json)
		desk_print(json_pack("{s:s, s:s}", "event", event, "reading", a->words[0]));
	else
		desk_say(words, NULL, NULL, NULL);
	return 0;
}

static int file(struct desk_args *a, bool discard)
{
	Wellgate__V1__DeskCommand__FileReading f = WELLGATE__V1__DESK_COMMAND__FILE_READING__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	uint8_t id[16];
	const int code = named(a->words[0], id, &f.reading);

	if (code)
		return code;
	f.has_reading = true;
	f.subject = discard ? NULL : (char *)(uintptr_t)a->words[1];
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_FILE;
	m.file = &f;
	return ask(a, &m, discard ? WORDS_HELD_DISCARDED : WORDS_HELD_FILED,
		   discard ? "discarded" : "assigned");
}

static int assign(struct desk_args *a)
{
	return file(a, false);
}

static int discard(struct desk_args *a)
{
	return file(a, true);
}

static int said(struct desk_args *a)
{
	Wellgate__V1__DeskCommand__Press p = WELLGATE__V1__DESK_COMMAND__PRESS__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	uint8_t id[16];
	int code;

	p.me = strcmp(a->words[2], "me") == 0;
	if (!p.me && strcmp(a->words[2], "not-me") != 0)
		return cli_fail("held", EXIT_USAGE, "%s",
				words_text(WORDS_EN, WORDS_HELD_ME_OR_NOT));
	code = named(a->words[0], id, &p.reading);
	if (code)
		return code;
	p.has_reading = p.has_me = true;
	p.subject = (char *)(uintptr_t)a->words[1];
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_PRESS;
	m.press = &p;
	return ask(a, &m, WORDS_HELD_NOTED, "noted");
}

int cmd_held(int argc, char **argv)
{
	static const struct desk_verb verbs[] = {
		{ "list", 0, 0, 0, list },
		{ "assign", 0, 2, 2, assign },
		{ "discard", 0, 1, 1, discard },
		{ "said", 0, 3, 3, said },
		{ 0 },
	};

	return desk_main(argc, argv, usage, verbs);
}
