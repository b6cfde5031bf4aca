#include "gateway/cli/screen.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "gateway/cli/format.h"

#define PHASE(name) WELLGATE__V1__PAIRING__PHASE__PHASE_##name

static void emit(json_t *object)
{
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	(void)fflush(stdout);
	json_decref(object);
}

/* ---- the two lines at the bottom ---- */

static void take_away(struct screen *s)
{
	if (s->asked && s->tty) {
		(void)fputs("\r\033[K\033[1A\033[K", stdout);
		(void)fflush(stdout);
		/* half an answer goes with its question: nobody sees any more what it would do */
		(void)tcflush(STDIN_FILENO, TCIFLUSH);
	}
	s->asked = false;
}

void screen_typed(struct screen *s)
{
	/* the terminal's echo went to the next line: the question stays as it was answered */
	s->asked = false;
	s->question[0] = '\0';
}

/* Not a terminal: a question is said once, and the time is not told. */
static void ask(struct screen *s, const char *status, const char *question)
{
	const bool is_new = strcmp(question, s->question) != 0;

	if (s->json || (!s->tty && !is_new))
		return;
	if (!s->tty)
		(void)printf("%s%s", question, *question ? "\n" : "");
	else if (!s->asked || is_new) {
		take_away(s);
		(void)printf("%s\n%s", status, question);
		s->asked = true;
	} else if (strcmp(status, s->status) != 0) {
		/* the line above, without touching what is being typed */
		(void)printf("\0337\033[1A\r\033[K%s\0338", status);
	}
	(void)snprintf(s->status, sizeof(s->status), "%s", status);
	(void)snprintf(s->question, sizeof(s->question), "%s", question);
	(void)fflush(stdout);
}

void screen_say(struct screen *s, const char *format, ...)
{
	va_list args;

	if (s->json)
		return;
	take_away(s);
	va_start(args, format);
	(void)vprintf(format, args);
	va_end(args);
	(void)putchar('\n');
	(void)fflush(stdout);
}

/* ---- beginning ---- */

static void say_hints(struct screen *s, const char *driver)
{
	const char *hint = device_hint(driver);

	if (hint) {
		screen_say(s, "  %s: %s.", device_kind(driver), hint);
		return;
	}
	for (size_t i = 0; device_hint_driver(i); i++)
		screen_say(s, "  %-23s %s", device_kind(device_hint_driver(i)),
			   device_hint(device_hint_driver(i)));
}

void screen_begin(struct screen *s, const char *driver, unsigned int seconds)
{
	s->phase = PHASE(LOOKING);
	if (s->json) {
		emit(json_pack("{s:s, s:I}", "event", "begun", "seconds", (json_int_t)seconds));
		return;
	}
	screen_say(s, "Put the device close to this box, and in pairing mode:");
	say_hints(s, driver);
	screen_say(s, "If a phone is paired with it, switch the phone's Bluetooth off meanwhile.\n"
		      "Ctrl-C ends this; then nothing is paired.\n");
}

/* ---- candidates ---- */

static void json_candidate(const struct screen *s, const Wellgate__V1__Pairing__Candidate *c)
{
	json_t *object = json_pack("{s:s, s:I, s:s?, s:s?, s:I, s:I, s:b}", "event", "candidate",
				   "number", (json_int_t)c->number, "name", c->name, "driver",
				   c->driver, "signal", (json_int_t)device_signal(c->rssi), "rssi",
				   (json_int_t)c->rssi, "paired", c->enrolled);

	if (s->addresses && c->address)
		(void)json_object_set_new(object, "address", json_string(c->address));
	emit(object);
}

static void list_candidate(struct screen *s, const Wellgate__V1__Pairing__Candidate *c)
{
	char name[DEVICE_NAME], bars[DEVICE_BARS];

	s->listed[c->number] = true;
	s->n_listed++;
	if (s->json) {
		json_candidate(s, c);
		return;
	}
	device_text(name, sizeof(name), c->name ? c->name : "(no name)");
	device_bars(bars, c->rssi);
	screen_say(s, "  %3" PRIu32 "  %s  %-24s %s%s%s%s", c->number, bars, name,
		   device_kind(c->driver), c->enrolled ? ", paired already" : "",
		   s->addresses && c->address ? "  " : "",
		   s->addresses && c->address ? c->address : "");
}

/* Those that are near now; a number that was listed stays good as long as the pairing runs. */
static void list_candidates(struct screen *s, const Wellgate__V1__Pairing *p)
{
	for (size_t i = 0; i < p->n_candidates; i++) {
		if (p->candidates[i]->number < sizeof(s->listed) &&
		    !s->listed[p->candidates[i]->number])
			list_candidate(s, p->candidates[i]);
	}
	if (p->more_candidates && !s->said_more)
		screen_say(s, "  There are more devices here than can be listed: say which with "
			      "--driver or --address.");
	s->said_more = p->more_candidates;
}

/* ---- phases ---- */

static void json_phase(const Wellgate__V1__Pairing *p)
{
	char phase[FORMAT_ENUM_MAX], passkey[8];
	json_t *object;

	format_enum(phase, &wellgate__v1__pairing__phase__descriptor, (int)p->phase, "PHASE_");
	object = json_pack("{s:s, s:s}", "event", "phase", "phase", phase);
	if (p->has_passkey) {
		(void)snprintf(passkey, sizeof(passkey), "%06" PRIu32, p->passkey % 1000000);
		(void)json_object_set_new(object, "passkey", json_string(passkey));
	}
	emit(object);
}

static void say_phase(struct screen *s, const Wellgate__V1__Pairing *p)
{
	const unsigned int high = p->passkey / 1000 % 1000, low = p->passkey % 1000;

	if (s->json) {
		json_phase(p);
	} else if (p->phase == PHASE(LINKING)) {
		screen_say(s, "Connecting. Leave the device on and close.");
	} else if (p->phase == PHASE(SHOW)) {
		screen_say(s, "Type this number into the device:  %03u %03u", high, low);
	} else if (p->phase == PHASE(MATCH)) {
		screen_say(s, "This box shows  %03u %03u  and the device shows a number, too.",
			   high, low);
	} else if (p->phase == PHASE(SETTLING)) {
		screen_say(s, "Paired. Now it is asked what it can do.");
	}
}

static const char *question_of(const struct screen *s, const Wellgate__V1__Pairing *p)
{
	if (s->answered)
		return "";
	if (p->phase == PHASE(PASSKEY))
		return "Type the six digits that the device shows: ";
	if (p->phase == PHASE(MATCH))
		return "Are both numbers the same? [y/n] ";
	if (p->phase != PHASE(LOOKING) || p->n_candidates == 0 || s->yes)
		return "";
	return p->n_candidates == 1 ? "Is it this one? Type its number, or wait for others: "
				    : "Which one? Type its number: ";
}

void screen_show(struct screen *s, const Wellgate__V1__Pairing *p)
{
	char status[SCREEN_LINE] = "";
	const char *doing = p->phase == PHASE(LOOKING) ? "Looking" : "Pairing";

	if (p->phase == PHASE(LOOKING))
		list_candidates(s, p);
	if (p->phase != s->phase) {
		s->phase = p->phase;
		say_phase(s, p);
	}
	if (p->has_seconds_left)
		(void)snprintf(status, sizeof(status), "%s ... %" PRIu32 ":%02" PRIu32 " left",
			       doing, p->seconds_left / 60, p->seconds_left % 60);
	ask(s, status, question_of(s, p));
}

/* ---- the end ---- */

static void json_paired(const struct screen *s, const Wellgate__V1__RadioDevice *d, size_t number,
			const char *reference)
{
	char security[FORMAT_ENUM_MAX], path[FORMAT_ENUM_MAX];
	json_t *object;

	format_enum(security, &wellgate__v1__link_security__descriptor, (int)d->security, "LINK_");
	format_enum(path, &wellgate__v1__radio_device__path__descriptor, (int)d->path, "PATH_");
	object = json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:I}", "event", "paired", "name", d->name,
			   "driver", d->driver, "security", security, "path", path, "consents",
			   (json_int_t)d->consents);
	if (number > 0) {
		(void)json_object_set_new(object, "device", json_string(reference));
		(void)json_object_set_new(object, "number", json_integer((json_int_t)number));
	}
	if (s->addresses && d->address)
		(void)json_object_set_new(object, "address", json_string(d->address));
	emit(object);
}

void screen_paired(struct screen *s, const Wellgate__V1__Pairing *p, size_t number,
		   const char *reference)
{
	static const Wellgate__V1__RadioDevice unknown = WELLGATE__V1__RADIO_DEVICE__INIT;
	const Wellgate__V1__RadioDevice *d = p->device ? p->device : &unknown;
	char name[DEVICE_NAME];

	if (s->json) {
		json_paired(s, d, number, reference);
		return;
	}
	device_text(name, sizeof(name), d->name ? d->name : device_kind(d->driver));
	screen_say(s, "\nDone: %s is paired with this hub.", name);
	if (number > 0)
		screen_say(s, "  device      %zu in wellgate devices, reference %.8s", number,
			   reference);
	screen_say(s, "  security    %s", device_security_long(d->security));
	screen_say(s, "  readings    %s.", device_path(d->path));
	if (d->consents > 0)
		screen_say(s, "  user slots  %" PRIu32 " may be read", d->consents);
	screen_say(
		s,
		"  next        %s\n              wellgate readings then shows the reading. Whose "
		"readings they are\n              is said by the configuration, not here.",
		device_first_reading(d->driver));
}

void screen_ended(struct screen *s, const char *event, const char *reason)
{
	if (s->json)
		emit(json_pack("{s:s, s:s}", "event", event, "reason", reason));
	else
		take_away(s);
}
