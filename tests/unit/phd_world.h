/*
 * A manager whose agent is the test: what it says as hex, what it must hear as hex. Byte strings
 * are those that independent programs exchanged, or written by hand.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocols/ieee11073/manager.h"

#define BYTES_MAX 512
#define SENT_MAX  16
#define FIRST_MAX 16

static const uint8_t MANAGER_ID[] = { 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18 };

struct world {
	struct phd_cache cache;
	struct phd_manager m;
	uint8_t sent[SENT_MAX][BYTES_MAX];
	size_t sent_len[SENT_MAX], n_sent, n_observations, n_mds, n_test;
	struct phd_observation last;
	struct phd_value first[FIRST_MAX]; /* first value of each observation, in their order */
	struct phd_mds mds;
};

static inline size_t from_hex(const char *hex, uint8_t *ret)
{
	size_t n = 0;

	while (*hex) {
		const char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < BYTES_MAX);
		ret[n++] = (uint8_t)strtoul(pair, NULL, 16);
		hex += 2;
	}
	return n;
}

static inline void on_send(void *user, const uint8_t *apdu, size_t len)
{
	struct world *w = user;

	assert_true(w->n_sent < SENT_MAX && len <= BYTES_MAX);
	memcpy(w->sent[w->n_sent], apdu, len);
	w->sent_len[w->n_sent++] = len;
}

static inline void on_observation(void *user, const struct phd_observation *o, bool is_test)
{
	struct world *w = user;

	if (w->n_observations < FIRST_MAX && o->n_values > 0)
		w->first[w->n_observations] = o->values[0];
	w->n_observations++;
	w->n_test += is_test;
	w->last = *o;
}

static inline void on_mds(void *user, const struct phd_mds *mds)
{
	struct world *w = user;

	w->n_mds++;
	w->mds = *mds;
}

static const struct phd_manager_sink SINK = { on_send, on_observation, on_mds };

static inline void say(struct world *w, const char *hex)
{
	uint8_t bytes[BYTES_MAX];

	phd_manager_apdu(&w->m, bytes, from_hex(hex, bytes), 1000);
}

/* the manager said exactly this since it was asked last, and nothing else */
static inline void hear(struct world *w, const char *first, const char *second)
{
	const char *const expected[] = { first, second };
	uint8_t bytes[BYTES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < 2 && expected[i]; i++) {
		size_t len = from_hex(expected[i], bytes);

		assert_true(w->n_sent > i);
		assert_int_equal(w->sent_len[i], len);
		assert_memory_equal(w->sent[i], bytes, len);
		n++;
	}
	assert_int_equal(w->n_sent, n);
	w->n_sent = 0;
}

#define AARQ_OF(version, units, config)                                        \
	"E200 0032 80000000 0001 002A 5079 0026" version "8000 80000000" units \
	"00800000 0008 0102030405060708" config "0001 01 00 0000 0000"
#define AARQ_BP    AARQ_OF("80000000", "00000000", "02BC")
#define AARQ_OTHER AARQ_OF("C0000000", "00000000", "4000")
#define AARE_OF(result, version)                                                      \
	"E300 002C" result "5079 0026" version "8000 80000000 00000000 80000000 0008" \
	"1112131415161718 0000 0000 00 00 0000 0000"
#define GET_MDS              "E700 000E 000C 0000 0103 0006 0000 0000 0000"
#define MDS_ANSWER           "E700 0014 0012 0000 0203 000C 0000 0001 0006 099C 0002 0055"
#define ABRT_OF(r)           "E600 0002" r
#define RORJ_OF(id, problem) "E700 000A 0008" id "0400 0002" problem
#define ROER_OF(id, error)   "E700 000C 000A" id "0300 0004" error "0000"
#define STAMP                "2026112301411650"
#define BP_OF(id, operation)                                                             \
	"E700 003E 003C" id operation "0036 0000 FFFFFFFF 0D1D 002C F000 0000 0002 0024" \
	"0001 0012 0003 0006 007B 004C 0061" STAMP "0002 000A 0055" STAMP
#define CONFIRM_OF(id) "E700 0012 0010" id "0201 000A 0000 FFFFFFFF 0D1D 0000"
#define CONFIG_4000                                                             \
	"E700 0044 0042 0009 0101 003C 0000 FFFFFFFF 0D1C 0032 4000 0001 002C"  \
	"0006 0001 0004 0024 092F 0004 0002 E140 0A46 0002 F040 0996 0002 06C3" \
	"0A55 000C 0002 0008 0A56 0004 0990 0008"
#define CONFIG_RESPONSE(id, config, result) \
	"E700 0016 0014" id "0201 000E 0000 FFFFFFFF 0D1C 0004" config result

static inline void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	phd_manager_init(&w->m, &SINK, w, &w->cache, MANAGER_ID);
	phd_manager_connected(&w->m);
}

static inline void operate(struct world *w)
{
	begin(w);
	say(w, AARQ_BP);
	hear(w, AARE_OF("0000", "80000000"), GET_MDS);
	say(w, MDS_ANSWER);
	hear(w, NULL, NULL);
	assert_int_equal(w->n_mds, 1);
	assert_int_equal(w->mds.battery, 85);
	assert_int_equal(w->m.state, PHD_OPERATING);
	assert_true(phd_manager_deadline(&w->m) == PHD_NO_DEADLINE);
}
