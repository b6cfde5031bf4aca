/*
 * The lights of the box: LED class devices of the kernel, a folder each with a file `brightness`
 * (source: Documentation/leds/leds-class.rst and leds-class-multicolor.rst of Linux 6.1). Either
 * one device for each colour, or one of several colours, whose `multi_index` names them and whose
 * `multi_intensity` takes a number each. A plugged light may come and go: files are opened anew
 * for each write.
 *
 * Zero written to `brightness` also takes the kernel's own trigger off the light.
 */
#pragma once

#include <stdbool.h>

#include "gateway/light/light.h"

struct lamp;

struct lamp_options {
	const char *dir;                 /* /sys/class/leds, or a folder that stands for it */
	const char *name[LIGHT_COLOURS]; /* NULL: there is none of this colour */
	const char *multicolor;          /* instead of all of them; or NULL */
	unsigned int brightness;         /* percent, 1 to 100, of what each of them can do */
};

/* A name of a device: no path. */
bool lamp_name_valid(const char *name);
/* Takes copies, opens nothing. -ENOMEM */
int lamp_new(const struct lamp_options *options, struct lamp **ret);
/* Leaves the lights as they are. NULL is fine */
void lamp_free(struct lamp *l);
/*
 * This colour with so many percent of the chosen brightness, all others dark; writes only what is
 * not so already, and tries again what did not work. -errno of the first light that cannot be
 * written, after all others were.
 */
int lamp_set(struct lamp *l, enum light_colour colour, unsigned int level);
/* The first light that could not be written by the last lamp_set(): its errno, negative, and its
 * name; 0: none. */
int lamp_problem(const struct lamp *l, const char **ret_name);
