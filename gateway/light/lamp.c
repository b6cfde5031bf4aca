#include "gateway/light/lamp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"

#define NAME_MAX_BYTES 64
#define PATH_BYTES     4352
#define TEXT_BYTES     64
#define UNKNOWN        UINT32_MAX
#define PARTS_MAX      8 /* colours of one multicolor device */
#define CHANNEL_FULL   255U
/* what gives amber on a light of red, green and blue */
#define AMBER_GREEN 110U

struct led {
	char *name;
	uint32_t written;       /* brightness, or UNKNOWN */
	enum light_colour tint; /* of a multicolor device: what it was last set to */
	int error;
};

struct lamp {
	char *dir;
	struct led leds[LIGHT_COLOURS]; /* of a multicolor device the first alone is used */
	bool multicolor;
	unsigned int brightness;
};

bool lamp_name_valid(const char *name)
{
	const size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_BYTES && name[0] != '.' && !strchr(name, '/');
}

int lamp_new(const struct lamp_options *options, struct lamp **ret)
{
	struct lamp *l = calloc(1, sizeof(*l));
	bool copied;

	assert(options->brightness >= 1 && options->brightness <= 100);
	if (!l)
		return -ENOMEM;
	l->brightness = options->brightness;
	l->multicolor = options->multicolor != NULL;
	l->dir = strdup(options->dir);
	copied = l->dir != NULL;
	for (int i = 0; i < LIGHT_COLOURS; i++) {
		const char *name = l->multicolor ? NULL : options->name[i];

		if (i == 0 && l->multicolor)
			name = options->multicolor;
		l->leds[i].written = UNKNOWN;
		if (name)
			l->leds[i].name = strdup(name);
		copied = copied && (!name || l->leds[i].name);
	}
	if (!copied) {
		lamp_free(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

void lamp_free(struct lamp *l)
{
	if (!l)
		return;
	for (int i = 0; i < LIGHT_COLOURS; i++)
		free(l->leds[i].name);
	free(l->dir);
	free(l);
}

static int file_open(const struct lamp *l, const struct led *led, const char *file, int flags)
{
	char path[PATH_BYTES];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s/%s", l->dir, led->name, file) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	/* a folder that stands for the kernel's may hold anything: never wait for it */
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* The first line; a longer one is cut. */
static int file_read(const struct lamp *l, const struct led *led, const char *file,
		     char ret[TEXT_BYTES])
{
	_cleanup_close_ int fd = file_open(l, led, file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, ret, TEXT_BYTES - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

static int file_write(const struct lamp *l, const struct led *led, const char *file,
		      const char *text)
{
	_cleanup_close_ int fd = file_open(l, led, file, O_WRONLY | O_TRUNC);
	const size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, text, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* level: percent of what was chosen. What is to shine does so, however few steps the light has. */
static int scale(const struct lamp *l, const struct led *led, unsigned int level, uint32_t *ret)
{
	char text[TEXT_BYTES], *end;
	unsigned long long max;
	int r;

	if (level == 0) {
		*ret = 0;
		return 0;
	}
	r = file_read(l, led, "max_brightness", text);
	if (r < 0)
		return r;
	max = strtoull(text, &end, 10);
	if (end == text || *end || text[0] == '-' || max == 0 || max > INT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)((max * l->brightness * level + 9999) / 10000);
	return 0;
}

static unsigned int channel(const char *name, enum light_colour colour)
{
	if (strcmp(name, "white") == 0)
		return colour == LIGHT_WHITE ? CHANNEL_FULL : 0;
	if (strcmp(name, "blue") == 0)
		return colour == LIGHT_AMBER ? 0 : CHANNEL_FULL;
	if (strcmp(name, "green") == 0)
		return colour == LIGHT_WHITE   ? CHANNEL_FULL
		       : colour == LIGHT_AMBER ? AMBER_GREEN
					       : 0;
	if (strcmp(name, "red") == 0)
		return colour == LIGHT_BLUE ? 0 : CHANNEL_FULL;
	return 0; /* violet, amber of its own */
}

/* Amber is red and green: without green it would be red, which this light never shows. */
static bool can_show(const char *index, enum light_colour colour)
{
	return colour != LIGHT_AMBER || (strstr(index, "red") && strstr(index, "green"));
}

static int set_tint(const struct lamp *l, const struct led *led, enum light_colour colour)
{
	char index[TEXT_BYTES], out[TEXT_BYTES], *rest = NULL;
	size_t len = 0, parts = 0;
	int r = file_read(l, led, "multi_index", index);

	if (r < 0)
		return r;
	if (!can_show(index, colour))
		return -ENOTSUP;
	for (const char *name = strtok_r(index, " ", &rest); name && parts < PARTS_MAX;
	     name = strtok_r(NULL, " ", &rest), parts++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%u", parts > 0 ? " " : "",
					channel(name, colour));
	return parts > 0 ? file_write(l, led, "multi_intensity", out) : -EBADMSG;
}

static int write_brightness(const struct lamp *l, struct led *led, uint32_t value)
{
	char text[16];
	int r;

	if (led->written == value)
		return 0;
	(void)snprintf(text, sizeof(text), "%" PRIu32, value);
	/* zero first: it takes off the trigger of the kernel, which would go on blinking */
	r = led->written == UNKNOWN && value > 0 ? file_write(l, led, "brightness", "0") : 0;
	if (r == 0)
		r = file_write(l, led, "brightness", text);
	if (r == 0)
		led->written = value;
	return r;
}

static int set_led(const struct lamp *l, struct led *led, enum light_colour colour,
		   unsigned int level)
{
	uint32_t value;
	int r = scale(l, led, level, &value);

	if (r == 0 && l->multicolor && level > 0 &&
	    (led->tint != colour || led->written == UNKNOWN)) {
		/* dark in between, or the old brightness would shine in the new colour */
		r = write_brightness(l, led, 0);
		if (r == 0)
			r = set_tint(l, led, colour);
		if (r == 0)
			led->tint = colour;
	}
	return r < 0 ? r : write_brightness(l, led, value);
}

int lamp_set(struct lamp *l, enum light_colour colour, unsigned int level)
{
	int first = 0;

	assert(colour < LIGHT_COLOURS && level <= 100);
	for (int i = 0; i < LIGHT_COLOURS; i++) {
		struct led *led = &l->leds[i];
		const bool mine = l->multicolor || i == (int)colour;

		if (!led->name)
			continue;
		led->error = set_led(l, led, colour, mine ? level : 0);
		if (led->error < 0)
			led->written = UNKNOWN; /* whatever it shows: begin anew */
		if (first == 0)
			first = led->error;
	}
	return first;
}

int lamp_problem(const struct lamp *l, const char **ret_name)
{
	for (int i = 0; i < LIGHT_COLOURS; i++) {
		if (l->leds[i].error == 0)
			continue;
		*ret_name = l->leds[i].name;
		return l->leds[i].error;
	}
	return 0;
}
