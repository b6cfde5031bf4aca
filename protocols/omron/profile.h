/*
 * Where each model of Omron's cuffs keeps what. One row a model; the table is data, and a test asks
 * of every row whether it can be true.
 *
 * Settings lie at `settings`; what is to be changed in them is written to `mirror`, at the same
 * distance from its start, and the cuff takes it over when the dialogue has ended well. Windows are
 * given by that distance. Nothing else is ever written: a cuff's calibration is in the same memory.
 *
 * Source: a catalogue made by an open program (MIT) from the maker's application and from logs of
 * owners, with most rows seen at work by some owner; HEM-9601T, HEM-9700T and the HEM-6401T and
 * HEM-6410T by nobody. HEM-7322U and HEM-7131U (USB): an open program, and calculation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/omron/record.h"

#define OMRON_REGIONS_MAX 4
#define OMRON_INDEX_MAX   20
#define OMRON_CLOCK_MAX   16
#define OMRON_USER_NONE   255 /* the model leaves open whose records these are */

enum omron_unlock {
	OMRON_UNLOCK_NONE = 0, /* the bond is enough */
	OMRON_UNLOCK_KEY,      /* with a key that was put into it when it was paired */
	OMRON_UNLOCK_TOKEN,    /* it repeats four bytes that we made up */
};

struct omron_region {
	uint16_t start;
	uint16_t records;
	uint8_t user;  /* 1, 2, OMRON_USER_NONE */
	bool doubtful; /* only some models have records here: what does not add up is none */
};

struct omron_window {
	uint8_t start, end; /* end 0: there is none */
};

struct omron_profile {
	const char *model;
	enum omron_layout layout;
	bool big_endian; /* the words of its settings */
	bool modern;     /* Bluetooth: one channel each way (service FE4A), else four of 16 bytes */
	enum omron_unlock unlock;
	struct omron_region regions[OMRON_REGIONS_MAX]; /* records 0: no more */
	uint8_t record_size;
	uint8_t block; /* bytes that it gives at once, at most */
	uint16_t settings, mirror;
	/* Per user (region 0, 1): u16 of the last slot written at 2 * i, u16 of unread records at
	 * 4 + 2 * i; a flag in b14 and b15. No window: not to be written. */
	struct omron_window unread;
	/* 10 bytes with the date at 2, or 16 with the date at 8: year - 2000, month, day, hour,
	 * minute, second; sum at n - 2 as in a record, words turned in big endian cuffs. No window:
	 * not known well enough. */
	struct omron_window clock;
};

extern const struct omron_profile omron_profiles[];
extern const size_t omron_n_profiles;

/* By the row's own name; NULL. */
const struct omron_profile *omron_profile_by_model(const char *model);
/*
 * By what a cuff calls itself (Device Information, model number): a row's name, one of its regional
 * names, or the name on its box. modern: which service it offers, where that decides. NULL if no
 * row, or more than one, has that name: then its memory is not to be read. text need not end in
 * NUL.
 */
const struct omron_profile *omron_profile_by_name(const void *text, size_t len, bool modern);

/* 1 or 2; region i is of which user */
size_t omron_profile_regions(const struct omron_profile *p);

/*
 * The clock of a cuff, from its window (n bytes of it). -EBADMSG: does not add up, or no date.
 * _set: puts another date into a copy of the window, and makes the sum right. -ERANGE: a year that
 * it cannot hold; -EBADMSG: what is there does not add up, so it is not what we think.
 */
int omron_clock_decode(const struct omron_profile *p, const uint8_t *data, size_t n,
		       struct gatt_date_time *ret);
int omron_clock_set(const struct omron_profile *p, uint8_t *data, size_t n,
		    const struct gatt_date_time *now);
