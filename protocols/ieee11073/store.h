/*
 * Persistent stores of an agent: what is remembered in segments of entries, and how it is told.
 * Source: ISO/IEEE 11073-20601, PM-store and PM-segment classes; layouts are drawn in store.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/report.h"

#define PHD_SEGMENTS_MAX  16  /* of one store */
#define PHD_ELEMENTS_MAX  32  /* of the entries of all its segments; equal lists are kept once */
#define PHD_STORE_MAP_MAX 64  /* attributes of those elements */
#define PHD_ENTRY_MAX     512 /* bytes of one entry */

/* header of every entry, PM-Segment-Entry-Map */
#define PHD_ENTRY_ABSOLUTE 0x8000 /* 8 bytes */
#define PHD_ENTRY_RELATIVE 0x4000 /* 4 bytes */
#define PHD_ENTRY_HIRES    0x2000 /* 8 bytes */
#define PHD_ENTRY_OFFSET   0x1000 /* 8 bytes, base offset */

/* SegmEvtStatus */
#define PHD_SEGMENT_FIRST           0x8000
#define PHD_SEGMENT_LAST            0x4000
#define PHD_SEGMENT_AGENT_ABORT     0x0800
#define PHD_SEGMENT_MANAGER_CONFIRM 0x0080
#define PHD_SEGMENT_MANAGER_ABORT   0x0008

/* what a trigger is answered */
#define PHD_TRANSFER_STARTED     0
#define PHD_TRANSFER_NO_SEGMENT  1
#define PHD_TRANSFER_TRY_LATER   2
#define PHD_TRANSFER_EMPTY       3
#define PHD_TRANSFER_OTHER_ERROR 512

/* PM-Store attributes */
struct phd_store_info {
	bool has_segments;
	uint16_t n_segments;
	uint32_t usage;         /* entries of all segments; 0 if it does not say */
	uint32_t clear_timeout; /* 125 us each; 0 if it does not say */
};

/* One element of an entry: what a value of it is about, and where its attributes stand. */
struct phd_element {
	uint16_t object_class, partition, type, handle;
	uint8_t first_map, n_map;
};

struct phd_segment {
	uint16_t instance;
	uint16_t person; /* PHD_PERSON_UNKNOWN unless it says so */
	uint16_t header; /* PHD_ENTRY_* */
	uint16_t entry_len;
	uint8_t first_element, n_elements;
	bool has_count;
	uint32_t count;            /* entries, if it says so */
	uint32_t transfer_timeout; /* 125 us each, of the whole transfer; 0 if it does not say */
};

struct phd_segments {
	uint8_t n_segments, n_elements, n_map;
	struct phd_segment segments[PHD_SEGMENTS_MAX];
	struct phd_element elements[PHD_ELEMENTS_MAX];
	struct phd_map_entry map[PHD_STORE_MAP_MAX];
};

/* SegmentDataEvent: what it says before its entries */
struct phd_segment_data {
	uint16_t instance;
	uint32_t first, count; /* entry numbers, from 0 */
	uint16_t status;
	const uint8_t *entries; /* borrowed */
	size_t len;
};

/* -EBADMSG: one of those that are read has a wrong size */
int phd_store_info_decode(const struct apdu *response, struct phd_store_info *ret);
/*
 * SegmentInfoList: 0; -EMSGSIZE its lists do not hold; -EBADMSG an attribute of the wrong size, two
 * segments of one number or one without a map; -ENOBUFS more than the limits above.
 */
int phd_segments_decode(const uint8_t *info, size_t len, struct phd_segments *ret);
/* -EMSGSIZE */
int phd_segment_data_decode(const uint8_t *info, size_t len, struct phd_segment_data *ret);

/* The observations of the entries of one event, in their order. */
struct phd_entries {
	const struct phd_config *config; /* borrowed, all three */
	const struct phd_segments *segments;
	const struct phd_segment *segment;
	struct cursor octets;
	uint16_t store;
	uint32_t entry, end;
	uint8_t element;
	struct phd_observation header; /* time of the entry at hand */
	unsigned int n_unknown; /* elements of objects that the configuration does not have */
};

/* -EMSGSIZE: not as many bytes as so many entries of this segment have */
int phd_entries_open(const struct phd_segment_data *data, uint16_t store,
		     const struct phd_config *config, const struct phd_segments *segments,
		     const struct phd_segment *segment, struct phd_entries *ret);
/*
 * 1: *ret is the next, otherwise it holds nothing of use; 0: no more; -EBADMSG: this element is not
 * what its map says, go on
 */
int phd_entries_next(struct phd_entries *e, struct phd_observation *ret);
