/*
 * The registry of metrics and units (metrics.def, units.def) as tables.
 * Pure: constant data, no state.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"

enum unit {
	UNIT_NONE = 0,
#define UNIT(number, id, ...) UNIT_##id = number,
#include "protocols/messages/units.def"
#undef UNIT
	UNIT_END
};

enum metric {
	METRIC_NONE = 0,
#define METRIC(number, id, ...) METRIC_##id = number,
#include "protocols/messages/metrics.def"
#undef METRIC
	METRIC_END
};

enum metric_group {
	GROUP_BP,
	GROUP_WEIGHT,
	GROUP_ACTIVITY,
	GROUP_SLEEP,
	GROUP_VITALS,
};

enum dimension {
	DIMENSION_MASS,
	DIMENSION_LENGTH,
	DIMENSION_PRESSURE,
	DIMENSION_RATE,
	DIMENSION_RATIO,
	DIMENSION_TEMPERATURE,
	DIMENSION_GLUCOSE,
	DIMENSION_BODY_INDEX,
	DIMENSION_STEP,
	DIMENSION_ENERGY,
	DIMENSION_DURATION,
	DIMENSION_RESISTANCE,
	DIMENSION_FLIGHT,
	DIMENSION_ZONE_MINUTE,
	DIMENSION_NUMBER,
	DIMENSION_SPEED,
	DIMENSION_ENERGY_PER_DAY,
};

/* bumped whenever a row of metrics.def changes meaning; travels in ReadingBatch.code_table */
#define CODE_TABLE_VERSION 1

struct unit_info {
	const char *ucum;
	uint32_t mdc; /* 0 = none verified */
	enum dimension dimension;
	struct decimal num, den; /* base = (value + add) * num / den */
	int32_t add;
};

struct metric_range {
	bool stated;
	struct decimal limit;
};

struct metric_info {
	const char *name;  /* public, stable */
	const char *label; /* for people */
	enum unit unit;    /* canonical */
	enum metric_group group;
	const char *loinc; /* "" = none */
	uint64_t snomed;   /* 0 = none */
	uint32_t mdc;      /* 0 = none */
	struct metric_range hard_min, hard_max, soft_min, soft_max;
};

/* NULL for numbers outside the registry: they may come from another process */
const struct unit_info *unit_info(unsigned int unit);
const struct metric_info *metric_info(unsigned int metric);
/* Worked out from readings; no device says it, and what claims to be one is refused. */
bool metric_is_derived(unsigned int metric);
/* METRIC_NONE / UNIT_NONE if unknown */
enum metric metric_by_name(const char *name);
enum unit unit_by_ucum(const char *ucum);
/* "bp" "weight" "activity" "sleep" "vitals": the last level of the reading topic */
const char *metric_group_name(enum metric_group group);

/* Converts between units of one dimension, in integers. -EXDEV: not convertible (never guessed);
 * -ERANGE. Exact conversions keep every digit; others end at 4 fractional digits, half to even. */
int unit_convert(struct decimal value, enum unit from, enum unit to, struct decimal *ret);
