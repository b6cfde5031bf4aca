/*
 * Configuration: one ini file (libinih) and drop-ins FILE.d/NAME.conf in name order, later wins.
 * Every key is known, typed and bounded; anything else is an error with file and line.
 * Read-only after config_load. The keys are the names of the fields below, but [broker] url and
 * [page] listen;
 * [goal NAME] has title, metric, rule (a name of enum goal_rule in small letters), target, period
 * (day, week) and week_start (monday ... sunday), and what some rules need: day_target, min_points,
 * direction (steady, down, up), band, height (cm), show_weight, agreed_by (person, professional),
 * pauses (days, the last one included). [goal NAME 2] is the second version: it has starts_on (a
 * day) and what is new. dist/wellgate.conf documents each for people.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/goals/goals.h"
#include "gateway/light/light.h"

#define CONFIG_GOALS_MAX 32

enum delivery {
	DELIVERY_PUBACK,
	DELIVERY_RECEIPT
};

enum connection_use {
	CONNECTION_ALWAYS,
	CONNECTION_ON_DEMAND /* there only while there is something to send, and once a day */
};

struct config {
	/* [hub] */
	char *site;        /* one topic level; default "home" */
	char *hub;         /* one topic level; default: random, made once, kept in the database */
	char *time_zone;   /* IANA; default: the machine's (/etc/localtime) */
	char *state_dir;   /* default /var/lib/wellgate */
	char *runtime_dir; /* sockets; default /run/wellgate */
	char *fleet_key_file; /* gateway/fleet_key.h; NULL: a key of this hub alone */
	bool test;            /* everything goes to .../test/...; default no */
	bool home_bp_average; /* the switch of goals/home_bp.h; default no */
	/* [store] */
	int64_t max_bytes;      /* quota of the database, default 1 GiB */
	unsigned int keep_days; /* of sent readings, default 90 */
	/* [broker] */
	char *broker; /* key url: mqtt://host:port or mqtts://..., NULL = none */
	char *ca_file, *cert_file, *key_file;
	char *username, *password_file;
	char *command_keys_file; /* who may send commands (control/orders.h); NULL: nobody */
	unsigned int keep_alive; /* seconds, default 25 */
	unsigned int window;     /* own cap on unacknowledged messages, default 100 */
	unsigned int batch;      /* readings per message at most, default 50 */
	enum delivery delivery;
	enum connection_use connection;
	unsigned int collect; /* on demand: seconds that a reading waits for others, default 600 */
	unsigned int linger;  /* on demand: seconds to listen after the last message, default 5 */
	/* [person] the one person this box serves; absent = readings stay unassigned */
	char *subject;
	/* [page] */
	char *page_listen; /* key listen: ADDRESS:PORT (page_address.h); NULL: there is no page */
	/* [light] names of LED devices; all NULL: there is no light */
	char *light_white, *light_blue, *light_amber, *light_multicolor;
	char *light_dir;                /* default /sys/class/leds */
	unsigned int light_brightness;  /* percent, default 40 */
	struct light_hours light_night; /* default 22:00-07:00 */
	/* [goal NAME] */
	struct goal goals[CONFIG_GOALS_MAX];
	size_t n_goals;
};

/* Loads file (NULL: defaults only) and drop-ins. On failure *ret_error is one malloc'd line:
 * "FILE:LINE: what is wrong and what is allowed" ("FILE: ..." where no line is to blame); -EINVAL,
 * or the errno of reading. */
int config_load(const char *file, struct config **ret, char **ret_error);
void config_free(struct config *c);
