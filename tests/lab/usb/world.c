#include "tests/lab/usb/world.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lab/radio/control.h"
#include "tests/lab/usb/models/models.h"

#define WORDS_MAX 8
#define COUNT_MAX 1024
#define N(a)      (sizeof(a) / sizeof((a)[0]))

struct call {
	struct usb_world *world;
	struct usb_device *device; /* of "N verb ..." */
	char *words[WORDS_MAX];
	size_t n;
	char *answer;
	size_t size;
	bool quit;
};

static void say(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* appends to the answer */
static void say(struct call *c, const char *format, ...)
{
	const size_t have = strlen(c->answer);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(c->answer + have, c->size - have, format, args);
	va_end(args);
}

static bool number_of(const char *text, unsigned int most, unsigned int *ret)
{
	char *end;
	unsigned long v;

	if (!isdigit((unsigned char)*text))
		return false;
	v = strtoul(text, &end, 0);
	if (*end || v > most)
		return false;
	*ret = (unsigned int)v;
	return true;
}

/* ---- about the world ---- */

static int add_one(struct usb_world *w, const struct usb_model *model)
{
	struct usb_device *const d = &w->devices[w->n];

	if (w->n == WORLD_DEVICES_MAX)
		return -ENOSPC;
	usb_device_init(d, model, w->n, w->log);
	w->n++;
	return usb_device_open(d);
}

static int add(struct call *c)
{
	unsigned int count = 1;
	size_t i = 0;
	int r = 0;

	if (c->n < 2 || c->n > 3 || (c->n == 3 && !number_of(c->words[2], COUNT_MAX, &count)))
		return -EINVAL;
	while (usb_models[i] && strcmp(usb_models[i]->name, c->words[1]) != 0)
		i++;
	if (!usb_models[i])
		return -ENOENT;
	say(c, "%u", c->world->n);
	for (unsigned int k = 0; r == 0 && k < count; k++)
		r = add_one(c->world, usb_models[i]);
	if (count > 1)
		say(c, " %u", c->world->n - 1);
	return r;
}

static int list(struct call *c)
{
	for (unsigned int i = 0; i < c->world->n; i++) {
		const struct usb_device *const d = &c->world->devices[i];

		say(c, "%s%u %s %s transfers %u waiting %u", i > 0 ? "; " : "", i, d->model->name,
		    d->plug.fd < 0     ? "unplugged"
		    : d->configuration ? "configured"
				       : "plugged",
		    d->transfers, usb_waiting(d));
	}
	return 0;
}

static int models(struct call *c)
{
	for (size_t i = 0; usb_models[i]; i++)
		say(c, "%s%s", i > 0 ? " " : "", usb_models[i]->name);
	return 0;
}

static int quit(struct call *c)
{
	c->quit = true;
	return 0;
}

/* ---- about a device ---- */

static int plug(struct call *c)
{
	return usb_plug_in(c->device);
}

static int unplug(struct call *c)
{
	usb_unplug(c->device);
	return 0;
}

static int measure(struct call *c)
{
	unsigned int count = 1;

	if (c->n > 2 || (c->n == 2 && !number_of(c->words[1], COUNT_MAX, &count)))
		return -EINVAL;
	return c->device->model->measure ? c->device->model->measure(c->device, count) : -ENOTSUP;
}

static int serial(struct call *c)
{
	if (c->n != 2 || strlen(c->words[1]) >= sizeof(c->device->serial))
		return -EINVAL;
	if (c->device->plug.fd >= 0)
		return -EBUSY;
	memset(c->device->serial, 0, sizeof(c->device->serial));
	if (strcmp(c->words[1], "none") != 0)
		memcpy(c->device->serial, c->words[1], strlen(c->words[1]));
	return 0;
}

static int cut(struct call *c)
{
	unsigned int at;

	if (c->n < 3 || c->n > 4 || !number_of(c->words[2], 1000000, &at))
		return -EINVAL;
	if (c->n == 4 && strcmp(c->words[3], "after") != 0 && strcmp(c->words[3], "before") != 0)
		return -EINVAL;
	c->device->cut_at = at;
	c->device->cut_after = c->n == 4 && strcmp(c->words[3], "after") == 0;
	return 0;
}

static int no_fault(struct usb_device *d)
{
	memset(d->fault, 0, sizeof(d->fault));
	d->cut_at = 0;
	return 0;
}

static int fault(struct call *c)
{
	static const struct {
		const char *name;
		enum usb_fault fault;
		unsigned int value; /* without a number */
	} faults[] = {
		{ "stall", USB_FAULT_STALL, 1 },        { "mute", USB_FAULT_MUTE, 1 },
		{ "silent", USB_FAULT_SILENT, 1 },      { "babble", USB_FAULT_BABBLE, 1 },
		{ "short", USB_FAULT_SHORT, 8 },        { "byte-by-byte", USB_FAULT_SHORT, 1 },
		{ "coalesced", USB_FAULT_COALESCE, 2 }, { "no-zero", USB_FAULT_NO_ZERO, 1 },
	};
	unsigned int value;

	if (c->n < 2)
		return -EINVAL;
	if (strcmp(c->words[1], "none") == 0)
		return no_fault(c->device);
	if (strcmp(c->words[1], "cut-at") == 0)
		return cut(c);
	for (size_t i = 0; i < N(faults); i++) {
		if (strcmp(faults[i].name, c->words[1]) != 0)
			continue;
		value = faults[i].value;
		if (c->n == 3 && strcmp(c->words[2], "off") == 0)
			value = 0;
		else if (c->n > 3 || (c->n == 3 && !number_of(c->words[2], 1000000, &value)))
			return -EINVAL;
		c->device->fault[faults[i].fault] = value;
		return 0;
	}
	return -ENOENT;
}

/* ---- a line ---- */

struct verb {
	const char *name;
	int (*execute)(struct call *c);
};

static int one_device(struct call *c)
{
	static const struct verb verbs[] = {
		{ "plug", plug },     { "unplug", unplug }, { "measure", measure },
		{ "serial", serial }, { "fault", fault },
	};
	int r;

	for (size_t i = 0; i < N(verbs); i++) {
		if (strcmp(verbs[i].name, c->words[0]) == 0) {
			r = verbs[i].execute(c);
			usb_work(c->device);
			return r;
		}
	}
	if (!c->device->model->command)
		return -ENOENT;
	r = c->device->model->command(c->device, c->words, c->n, c->answer, c->size);
	usb_work(c->device);
	return r;
}

/* "N verb ..." or "all verb ...": for each of them until one fails */
static int devices(struct call *c)
{
	const bool all = strcmp(c->words[0], "all") == 0;
	unsigned int first = 0, last = c->world->n;
	int r = 0;

	if (c->n < 2)
		return -EINVAL;
	if (!all) {
		if (!number_of(c->words[0], WORLD_DEVICES_MAX, &first) || first >= last)
			return -ENODEV;
		last = first + 1;
	}
	memmove(c->words, c->words + 1, sizeof(c->words) - sizeof(c->words[0]));
	c->n--;
	for (unsigned int i = first; r == 0 && i < last; i++) {
		c->device = &c->world->devices[i];
		r = one_device(c);
	}
	return r;
}

static int execute(struct call *c)
{
	static const struct verb verbs[] = {
		{ "add", add },
		{ "list", list },
		{ "models", models },
		{ "quit", quit },
	};

	if (c->n == 0)
		return -EINVAL;
	for (size_t i = 0; i < N(verbs); i++) {
		if (strcmp(verbs[i].name, c->words[0]) == 0)
			return verbs[i].execute(c);
	}
	return devices(c);
}

int world_execute(void *world, const char *line, char *answer, size_t size, bool *ret_quit)
{
	char copy[CONTROL_LINE_MAX];
	struct call c = { .world = world, .answer = answer, .size = size };
	char *rest;
	int r;

	answer[0] = 0;
	if (strlen(line) >= sizeof(copy))
		return -EMSGSIZE;
	memcpy(copy, line, strlen(line) + 1);
	for (char *word = strtok_r(copy, " \t\r", &rest); word;
	     word = strtok_r(NULL, " \t\r", &rest)) {
		if (c.n == WORDS_MAX) {
			say(&c, "%s", strerror(E2BIG));
			return -E2BIG;
		}
		c.words[c.n++] = word;
	}
	r = execute(&c);
	if (r < 0) {
		answer[0] = 0;
		say(&c, "%s", strerror(-r));
	}
	if (c.quit)
		*ret_quit = true;
	return r;
}

/* ---- the loop's side ---- */

void world_init(struct usb_world *w, FILE *log)
{
	*w = (struct usb_world){ .log = log };
}

void world_done(struct usb_world *w)
{
	for (unsigned int i = 0; i < w->n; i++)
		usb_device_close(&w->devices[i]);
	w->n = 0;
}

size_t world_poll(const struct usb_world *w, struct pollfd *ret)
{
	size_t n = 0;

	for (unsigned int i = 0; i < w->n; i++) {
		if (w->devices[i].plug.fd >= 0)
			ret[n++] = (struct pollfd){ .fd = w->devices[i].plug.fd, .events = POLLIN };
	}
	return n;
}

void world_serve(struct usb_world *w, const struct pollfd *fds, size_t n)
{
	const int64_t now = usb_now();

	for (unsigned int i = 0; i < w->n; i++) {
		struct usb_device *const d = &w->devices[i];

		for (size_t k = 0; k < n; k++) {
			if (d->plug.fd >= 0 && fds[k].fd == d->plug.fd && fds[k].revents)
				usb_read(d);
		}
		usb_tick(d, now);
	}
}

int64_t world_next(const struct usb_world *w)
{
	int64_t next = USB_NEVER;

	for (unsigned int i = 0; i < w->n; i++) {
		const int64_t due = usb_next(&w->devices[i]);

		if (due < next)
			next = due;
	}
	return next;
}
