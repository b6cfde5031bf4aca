/* For targets that play a device to one of the drivers which answer no indications. */
#pragma once

#include "drivers/registry.h"
#include "drivers/session.h"
#include "tests/fuzz/must.h"

#define PLAY_WALL_MS INT64_C(1778612020000) /* in May 2026 */

static inline void play_never_confirms(void *user, uint16_t channel)
{
	(void)user;
	(void)channel;
	must(false);
}

/* not open yet; the hub's clock is known, and how many minutes east of UTC it is */
static inline struct session *play_begin(const char *driver, uint32_t quirks,
					 const struct session_sink *sink, uint64_t *next_seq,
					 int zone_min)
{
	struct session *session = NULL;

	must(session_new(registry_by_name(driver), quirks, sink, next_seq, &session) == 0);
	session_set_wall(session, PLAY_WALL_MS);
	session_set_zone(session, zone_min);
	return session;
}
