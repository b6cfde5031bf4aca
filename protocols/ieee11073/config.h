/*
 * What an agent measures: the objects of its configuration, with the layout of their fixed reports.
 * Standard configurations are tables; extended ones arrive in a configuration report and are kept
 * in a bounded cache by (system identity, configuration). Source: ISO/IEEE 11073-20601 and the
 * device specialisations -10404, -10407, -10415, -10417.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/apdu.h"

#define PHD_OBJECTS_MAX 24
#define PHD_METRICS_MAX 8 /* numbers of one compound */
/* of all objects together */
#define PHD_MAPS_MAX    96 /* attributes: fixed observations, groups of scanners */
#define PHD_NUMBERS_MAX 32 /* numbers of their compounds */
#define PHD_CACHE_MAX   8
/* longest configuration report that is taken or kept, the event's information alone */
#define PHD_CONFIG_BYTES_MAX 2048

/* ranges of configuration identifiers; 0 is the manager's, above is reserved */
#define PHD_CONFIG_STANDARD_LAST 0x3fff
#define PHD_CONFIG_EXTENDED_LAST 0x7fff

struct phd_map_entry {
	uint16_t handle;    /* in the map of a scanner: the object it is about; else 0 */
	uint16_t attribute; /* MDC_ATTR_* */
	uint16_t len;
};

struct phd_object {
	uint16_t object_class; /* MDC_CLASS_* */
	uint16_t handle;
	uint16_t partition; /* of type and metrics; 0: the object has no type */
	uint16_t type;
	uint16_t unit;                   /* partition MDC_PART_DIMENSION; 0: none given */
	uint8_t first_metric, n_metrics; /* of a compound, in its order: phd_config.metrics */
	uint8_t first_map, n_map;        /* phd_config.map */
	uint16_t confirm_timeout_ms;     /* at most; 0: not stated */
};

struct phd_config {
	uint16_t id;
	uint8_t n_objects, n_map;
	uint16_t n_metrics;
	struct phd_object objects[PHD_OBJECTS_MAX];
	struct phd_map_entry map[PHD_MAPS_MAX];
	uint16_t metrics[PHD_NUMBERS_MAX];
};

/* 02bc blood pressure, 05dc scale, 06a4 glucose, 0190 and 0191 oximeter; NULL: not one we know */
const struct phd_config *phd_config_standard(uint16_t id);
static inline const struct phd_object *phd_config_object(const struct phd_config *config,
							 uint16_t handle)
{
	for (size_t i = 0; i < config->n_objects; i++) {
		if (config->objects[i].handle == handle)
			return &config->objects[i];
	}
	return NULL;
}

/*
 * ConfigReport: identifier and objects. 0; -EMSGSIZE a length or count that does not hold; -EBADMSG
 * two objects of one handle, an attribute of the wrong size, or a reserved identifier; -ENOBUFS
 * more objects, attributes or numbers than the limits above. Attributes we do not read are skipped.
 */
int phd_config_decode(const uint8_t *info, size_t len, struct phd_config *ret);
/* the report of this configuration, what phd_config_decode() reads; -EMSGSIZE it does not fit */
int phd_config_encode(const struct phd_config *config, uint8_t *buffer, size_t size,
		      size_t *ret_len);

/* ---- the cache of extended configurations ---- */

struct phd_cached {
	uint8_t system_id[APDU_SYSTEM_ID];
	uint32_t used; /* higher: more recently; 0: free */
	struct phd_config config;
};

struct phd_cache {
	struct phd_cached rows[PHD_CACHE_MAX]; /* all zero: empty */
};

/* NULL: never seen */
const struct phd_config *phd_cache_find(struct phd_cache *cache, const uint8_t *system_id,
					uint16_t config_id);
/* replaces the same one, or else the one unused for longest */
void phd_cache_put(struct phd_cache *cache, const uint8_t *system_id,
		   const struct phd_config *config);
void phd_cache_forget(struct phd_cache *cache, const uint8_t *system_id, uint16_t config_id);
/*
 * One row as bytes for the caller to keep: system identity and configuration report. -ENOENT: the
 * row is free; -EMSGSIZE it does not fit. Import checks it as if it had come from the agent.
 */
int phd_cache_export(const struct phd_cache *cache, size_t row, uint8_t *buffer, size_t size,
		     size_t *ret_len);
int phd_cache_import(struct phd_cache *cache, const uint8_t *bytes, size_t len);
