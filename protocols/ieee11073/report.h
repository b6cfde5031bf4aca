/*
 * Scan reports: fixed, variable and grouped, with and without persons, of the device itself and of
 * its scanners. Source: ISO/IEEE 11073-20601, ScanReportInfo*; layouts are drawn in report.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/mder.h"

#define PHD_PERSON_UNKNOWN 0xffff

/* Measurement-Status, bits */
#define PHD_STATUS_INVALID       0x8000
#define PHD_STATUS_QUESTIONABLE  0x4000
#define PHD_STATUS_NOT_AVAILABLE 0x2000
#define PHD_STATUS_CALIBRATING   0x1000
#define PHD_STATUS_TEST          0x0800
#define PHD_STATUS_DEMO          0x0400
#define PHD_STATUS_VALIDATED     0x0080
#define PHD_STATUS_EARLY         0x0040
#define PHD_STATUS_ONGOING       0x0020

enum phd_stamp {
	PHD_STAMP_NONE,
	PHD_STAMP_GIVEN,
	PHD_STAMP_INVALID,     /* no time at all: the values stand, when they were is unknown */
	PHD_STAMP_BASE_OFFSET, /* time is UTC, as the device believes it; offset_min to its local */
};

struct phd_value {
	uint32_t metric; /* partition << 16 | term */
	uint16_t unit;   /* term of MDC_PART_DIMENSION; 0 unknown */
	struct number number;
};

/* what an enumeration says */
enum phd_code_kind {
	PHD_CODE_NONE,
	PHD_CODE_OID,  /* a term of the object's partition, or of the one that it states */
	PHD_CODE_BITS, /* bit 0 is the most significant of 16 or 32 */
};

struct phd_observation {
	uint16_t person; /* PHD_PERSON_UNKNOWN unless the report names one */
	uint16_t handle;
	uint16_t status; /* PHD_STATUS_* */
	uint16_t unit;   /* stated in this observation, from now on its object's; or 0 */
	uint8_t n_values;
	uint8_t n_unread; /* attributes that are not ours to read */
	enum phd_code_kind code_kind;
	uint8_t code_bits; /* of PHD_CODE_BITS: 16 or 32 */
	uint16_t code_partition;
	uint32_t code;   /* as sent */
	uint32_t metric; /* of the code: what the enumeration is about; partition << 16 | term */
	enum phd_stamp stamp;
	struct mder_time time; /* local time of the device; if GIVEN */
	int16_t offset_min;    /* minutes east of UTC; if BASE_OFFSET */
	bool has_ticks;
	uint32_t ticks; /* relative time stamp, 125 us each */
	bool is_stored; /* out of a store, with the numbers that name it there: */
	uint16_t store, segment;
	uint32_t entry;
	struct phd_value values[PHD_METRICS_MAX]; /* the last: beyond n_values nothing is written */
};

/* A report being read; the fields are report.c's, but for the counters. */
struct phd_report {
	const struct phd_config *config; /* borrowed */
	const struct phd_object *scanner;
	uint8_t format;
	bool has_persons;
	uint16_t person;
	unsigned int persons_left, items_left;
	size_t group_entry;
	size_t extra;           /* bytes after the list: agents were seen to pad */
	unsigned int n_unknown; /* observations of objects that the configuration does not have */
	unsigned int n_device;  /* and of the device itself, which are skipped */
	struct cursor persons, items;
	struct cursor group; /* the last: nothing is written before there is one */
};

bool phd_report_is(uint16_t event_type);
/*
 * 0; -ENOMSG no scan report; -EMSGSIZE its lists do not hold; -EBADMSG a grouped report of an
 * object without a map.
 */
int phd_report_open(const struct apdu *event, const struct phd_config *config,
		    struct phd_report *ret);
/*
 * 1: *ret is the next observation, otherwise it holds nothing of use; 0: no more. -EBADMSG: this
 * one does not agree with its configuration, the next one can be read; -EMSGSIZE: the report is
 * broken, nothing follows.
 */
int phd_report_next(struct phd_report *r, struct phd_observation *ret);

/* The whole report, before any of it is handed on. */
struct phd_report_count {
	unsigned int n_good, n_bad, n_unknown, n_device, n_unread;
	size_t extra;
};

/* 0, the counts written; otherwise as phd_report_open() and -EMSGSIZE of phd_report_next() */
int phd_report_check(const struct apdu *event, const struct phd_config *config,
		     struct phd_report_count *ret);

/* Most reports have no more observations, and need not be read a second time. */
#define PHD_REPORT_KEPT 4

struct phd_report_checked {
	struct phd_report_count count;
	/* The first good ones. One that states a unit is the last of them: it may hold for those
	 * that follow, and so they are to be read when that is settled. */
	size_t n_kept;
	struct phd_report rest; /* if there are more good ones: behind those that were kept */
	struct phd_observation kept[PHD_REPORT_KEPT];
};

/*
 * phd_report_check(), and what it read is kept. On failure *ret holds nothing of use; beyond what
 * it is said to hold nothing is written.
 */
int phd_report_check_keep(const struct apdu *event, const struct phd_config *config,
			  struct phd_report_checked *ret);

/*
 * The event-info of a fixed report, for simulated devices: each observation as the map of its
 * object says, from its values, code, status, unit, ticks and time. -ENOENT: an object or value
 * that the configuration does not have; -ENOTSUP: an attribute that cannot be written; -ERANGE: a
 * number that its type cannot hold; -EMSGSIZE: it does not fit.
 */
int phd_report_encode(const struct phd_config *config, uint16_t report_no,
		      const struct phd_observation *o, size_t n, uint8_t *buffer, size_t size,
		      size_t *ret_len);

/*
 * One observation out of the octets of a map, and back: of reports and of stores. False: it is not
 * what the map says. *o holds what is known already; config is that of object and its numbers.
 */
bool phd_observation_read(const struct phd_config *config, const struct phd_object *object,
			  const struct phd_map_entry *map, size_t n_map, struct cursor *octets,
			  struct phd_observation *o);
/* errors as phd_report_encode(), but for the size: that is the writer's */
int phd_observation_write(const struct phd_object *object, const struct phd_map_entry *map,
			  size_t n_map, const struct phd_observation *o, struct writer *w);
