/* A store in a directory of its own, and readings to put into it. All data is made up. */
#pragma once

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/store/store.h"
#include "protocols/messages/codes.h"

#define DAY_MS   INT64_C(86400000)
#define START_MS INT64_C(1790000000000) /* the readings are one minute apart from here */

struct fixture {
	char dir[64];
	struct store_options options;
	struct store *store;
};

struct sample {
	uint8_t id[16], key[16];
	Wellgate__V1__DeviceTime time;
	Wellgate__V1__Reading reading;
};

/* reading number i: the same number gives the same event */
static inline Wellgate__V1__Reading *sample(struct sample *s, uint32_t i)
{
	Wellgate__V1__Reading *r = &s->reading;

	wellgate__v1__device_time__init(&s->time);
	wellgate__v1__reading__init(r);
	for (uint32_t k = 0; k < 16; k++) {
		s->key[k] = (uint8_t)((i * UINT32_C(2654435761) + k * UINT32_C(40503)) >> (k % 24));
		s->id[k] = (uint8_t)(s->key[k] ^ 0x55U);
	}
	(void)memcpy(s->key + 12, &i, 4);
	(void)memcpy(s->id + 12, &i, 4);
	r->has_reading_id = r->has_dedupe_key = 1;
	r->reading_id = (ProtobufCBinaryData){ 16, s->id };
	r->dedupe_key = (ProtobufCBinaryData){ 16, s->key };
	r->has_metric = r->has_received_at_ms = r->has_record_number = 1;
	r->metric = WELLGATE__V1__METRIC__METRIC_BODY_WEIGHT;
	r->received_at_ms = START_MS + (int64_t)i * 60000;
	r->record_number = i;
	s->time.has_kind = s->time.has_year = s->time.has_month = s->time.has_day = 1;
	s->time.has_hour = s->time.has_minute = 1;
	s->time.kind = WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC;
	s->time.year = 2026;
	s->time.month = 11;
	s->time.day = 1 + i / 1440 % 28;
	s->time.hour = i / 60 % 24;
	s->time.minute = i % 60;
	r->device_time = &s->time;
	return r;
}

static inline void open_store(struct fixture *f)
{
	char *error = NULL;
	int r = store_open(&f->options, &f->store, &error);

	if (r < 0)
		print_error("store_open: %d %s\n", r, error ? error : "");
	free(error);
	assert_int_equal(r, 0);
}

static inline void reopen_store(struct fixture *f)
{
	store_close(f->store);
	f->store = NULL;
	open_store(f);
}

static inline int make_dir(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/wellgate-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->options = (struct store_options){ .dir = f->dir, .keep_days = 30 };
	*state = f;
	return 0;
}

static inline int make_store(void **state)
{
	(void)make_dir(state);
	open_store(*state);
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int remove_store(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	(void)nftw(f->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* Adds reading number i: its sequence, 0 if it was known. */
static inline uint64_t add(struct fixture *f, uint32_t i)
{
	struct sample s;
	bool is_new = false;

	assert_int_equal(store_add_reading(f->store, sample(&s, i), STORE_PUBLISH, &is_new), 0);
	return is_new ? s.reading.sequence : 0;
}

/* Adds and commits readings first .. first + n - 1, in groups of 100. */
static inline void fill(struct fixture *f, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_int_not_equal(add(f, first + i), 0);
		if (i % 100 == 99)
			assert_int_equal(store_commit(f->store), 0);
	}
	assert_int_equal(store_commit(f->store), 0);
}

static inline struct store_counts counts_of(const struct fixture *f)
{
	struct store_counts counts;

	store_counts(f->store, &counts);
	return counts;
}

/* Walks a lane from `after`: how many rows, each unpacked and with the number it has. */
static inline uint64_t walk_lane(struct fixture *f, uint64_t after)
{
	struct store_row row;
	uint64_t n = 0;
	int r;

	while ((r = store_next(f->store, LANE_READINGS, after, &row)) == 1) {
		Wellgate__V1__Reading *got =
			wellgate__v1__reading__unpack(NULL, row.len, row.payload);

		assert_non_null(got);
		assert_true(row.sequence > after);
		assert_int_equal(got->sequence, row.sequence);
		wellgate__v1__reading__free_unpacked(got, NULL);
		after = row.sequence;
		n++;
	}
	assert_int_equal(r, 0);
	return n;
}
