/*
 * What a worker writes for one box: the configuration of wellgated (../config.h) and two kinds of
 * sections more.
 *
 *    [kit]
 *    box = 0123456789abcdef      `wellgate kit box` says it
 *    days = 30                   for which the kit can be used
 *    page = http://health.box/   on the cards, if the box has one
 *    help = 020 7946 0000        whom to ring, on the cards
 *
 *    [device My scale]           the name on its card
 *    kind = scale                cuff scale wearable oximeter thermometer glucose
 *    device = 32 digits          `wellgate devices --json` on this box; without it, only a card
 *    memory = 60                 records that it keeps
 *    clock = yes
 *    wiped = yes                 its memory was cleared, or
 *    mark = 60                   the number of the last record in it
 *
 * [person] subject = new makes a new random reference. Files that the configuration names
 * (ca_file...) travel with the kit; a name without / is beside the kit file.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "gateway/kit/manifest.h"
#include "gateway/registry/reference.h"
#include "wellgate.pb-c.h"

#define KIT_DEVICES_MAX 12
#define KIT_TITLE_MAX   40
#define KIT_LINE_MAX    128
#define KIT_HOME        "/etc/wellgate/kit" /* where a kit lies when it is applied */

struct kit_device {
	char title[KIT_TITLE_MAX + 1];
	Wellgate__V1__RegistryEvent__DeviceKind kind;
	char device[33]; /* "": only a card */
	uint32_t memory, mark;
	bool clock, wiped, has_mark;
};

struct kit_source {
	char name[KIT_NAME_MAX + 1]; /* in the kit */
	char path[PATH_MAX];         /* here */
};

struct kit_plan {
	char box[KIT_BOX + 1];
	unsigned int days;
	char page[KIT_LINE_MAX + 1], help[KIT_LINE_MAX + 1]; /* "": none */
	char subject[REFERENCE_TEXT_MAX];                    /* "": none */
	bool is_new;                                         /* the subject was made here */
	char *conf;                                          /* for wellgated, in KIT_HOME */
	size_t n_devices, n_sources;
	struct kit_device devices[KIT_DEVICES_MAX];
	struct kit_source sources[KIT_FILES_MAX - 2]; /* beside wellgate.conf and registry.json */
};

/* random: for a new reference. folder: of the kit file. 0; -EINVAL and one malloc'd line in
 * *ret_error ("LINE: what is wrong"); -ENOMEM. What is for wellgated is not looked at here but by
 * config_load(). */
int kit_plan_read(const char *text, const char *folder, const uint8_t random[REFERENCE_RANDOM],
		  struct kit_plan **ret, char **ret_error);
void kit_plan_free(struct kit_plan *p);

/* The list for `wellgate import registry` (../import/registry_file.h), malloc'd; NULL without a
 * device that is known. from: s, UTC. */
int kit_plan_registry(const struct kit_plan *p, int64_t from, char **ret);
