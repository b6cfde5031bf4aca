/*
 * What a person downloaded from Fitbit: one file's text becomes items, each a measurement with its
 * identity. Pure: no I/O, no clock; heap only for the JSON tree.
 *
 * Layouts (seen in exports of 2020 to 2026; names below a folder "Global Export Data" or
 * "Physical Activity_GoogleData", or on their own):
 *
 *   steps_DATE.csv, steps.csv         timestamp,steps[,data source]           UTC in the file
 *   weight.csv, weight_DATE.csv       timestamp,weight grams[,data source]    UTC in the file
 *   daily_resting_heart_rate.csv      timestamp,beats per minute[,...]        the day
 *   UserSleeps_DATE.csv               sleep_id,sleep_type,...                 known, not read
 *   steps-DATE.json                   dateTime "MM/DD/YY hh:mm:ss", value     nobody says which
 *   sleep-DATE.json                   startTime, endTime without a zone       local
 *   resting_heart_rate-DATE.json      value.date, value.value                 the day
 *   weight-DATE.json                  date, time, weight without a unit       local
 *   exercise-N.json                   startTime "MM/DD/YY hh:mm:ss"           nobody says which
 *
 * UserSleeps has its times in UTC, with what was local beside them, but no source says that its
 * sleep_id is the logId of the same night in sleep-DATE.json, which most exports have, too. Nights
 * would come twice, so its rows are counted and refused.
 *
 * Where the file does not say (unit of a weight, UTC or local), it is refused until the person who
 * imports says it: reports of other people's exports disagree.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/measurement.h"

#define FITBIT_FILE_MAX    ((size_t)8 * 1024 * 1024) /* a month of minutes has 3 MiB */
#define FITBIT_ID_MAX      64
#define FITBIT_CONTEXT_MAX 128

enum fitbit_kind {
	FITBIT_OTHER = 0, /* not ours; never read */
	FITBIT_STEPS_CSV,
	FITBIT_WEIGHT_CSV,
	FITBIT_RESTING_CSV,
	FITBIT_STEPS_JSON,
	FITBIT_SLEEP,
	FITBIT_RESTING_JSON,
	FITBIT_WEIGHT_JSON,
	FITBIT_EXERCISE,
	FITBIT_SLEEP_CSV,
	FITBIT_KIND_END
};

/* Why something of a file is not handed on. */
enum fitbit_refusal {
	FITBIT_BAD_FIELD = 0, /* a field is missing, or not what it should be */
	FITBIT_BAD_TIME,      /* no possible date and time, or end and length contradict */
	FITBIT_NO_ZONE,       /* UTC or local? nobody said */
	FITBIT_NO_UNIT,       /* kg or lb? nobody said */
	FITBIT_OTHER_APP,     /* came to Fitbit from another app: not measured by a Fitbit */
	FITBIT_EMPTY,         /* zero steps, no resting rate: worn or not, nobody knows */
	FITBIT_SAME_NIGHT,    /* of UserSleeps: the same night as in sleep-DATE.json, or not? */
	FITBIT_REFUSALS
};

enum fitbit_times {
	FITBIT_TIMES_UNSAID = 0,
	FITBIT_TIMES_UTC,
	FITBIT_TIMES_LOCAL,
};

struct fitbit_options {
	enum fitbit_times times; /* of steps and exercises in JSON */
	enum unit weight;        /* of weights in JSON; UNIT_NONE: unsaid */
	const char *zone;        /* IANA: local times are of it; NULL: of the hub's. Borrowed */
};

/* m.context points into `context`: whoever copies an item sets it anew. */
struct fitbit_item {
	struct measurement m;
	char id[FITBIT_ID_MAX];           /* the same event has it in every export */
	char context[FITBIT_CONTEXT_MAX]; /* where its time comes from, in words; the zone, too */
};

struct fitbit_counts {
	uint64_t read; /* entries of the file; handed on or refused */
	uint64_t refused[FITBIT_REFUSALS];
};

/* 0, or -errno which ends the file. The item is the caller's for the duration of the call. */
typedef int (*fitbit_sink)(void *user, const struct fitbit_item *item);

/* All borrowed. */
struct fitbit_reader {
	const struct fitbit_options *options;
	fitbit_sink sink;
	void *user;
	struct fitbit_counts *counts; /* added to */
};

enum fitbit_kind fitbit_kind_of(const char *path);
/* "steps", "sleep"...; one for the two layouts of it */
const char *fitbit_kind_name(enum fitbit_kind kind);
const char *fitbit_refusal_text(enum fitbit_refusal why);

/* -EBADMSG: not the layout it should be (nothing was handed on); -EFBIG: larger than
 * FITBIT_FILE_MAX; or what sink said. A single bad entry is counted, and the rest goes on. */
int fitbit_parse(enum fitbit_kind kind, const struct fitbit_reader *r, const char *text,
		 size_t len);
