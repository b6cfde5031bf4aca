/*
 * The light of this hub: what the pipeline knows goes through light.h to lamp.h, on the event loop.
 * A timer runs only while a pattern does, and to the next end or beginning of the night. A light
 * that cannot be set is logged once and stops nothing.
 *
 * Each function takes NULL: a hub without a light.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "gateway/config.h"
#include "gateway/intake/intake.h"
#include "gateway/light/light.h"

struct show;

/* *ret stays NULL if the configuration names no light. Errors of zone_load(), -ENOMEM, or of the
 * event loop. The configuration is borrowed for the call. */
int show_new(sd_event *event, const struct config *config, struct show **ret);
/* Dark: nobody is there who knows whether all is fine. */
void show_free(struct show *s);

/* Another clock to go by for the night: intake's. Until then there is no night. */
void show_set_now(struct show *s, void (*now)(void *user, struct receipt *ret), void *user);
/* The clock was set, or its zone has another offset. */
void show_clock(struct show *s);
/* Numbers of readings before the start. */
void show_start(struct show *s, uint64_t kept, uint64_t delivered);
void show_reading(struct show *s);
void show_gave_up(struct show *s);
void show_saved(struct show *s, uint64_t last);
void show_delivered(struct show *s, uint64_t upto);
void show_card(struct show *s, enum light_card card);
enum light_card show_card_now(const struct show *s);

/* Of the last time that something was written: -errno and the name of the first light that did not
 * take it, or 0. */
int show_problem(const struct show *s, const char **ret_name);
