/*
 * The key that devices' digests are made with. Each hub has a random one of its own, so that a
 * digest says nothing outside. Hubs of one owner that may hear the same device share one instead
 * ([hub] fleet_key_file): then both call it the same, and a reading that both have read has one
 * dedupe_key.
 *
 * All that is stored goes by these digests. So the key is taken by a hub that is new, and is kept:
 * another one would make a second reading of all that a device still has in its memory, and the
 * registry would not know the devices any more.
 */
#pragma once

#include <stdint.h>

#include "gateway/arena.h"
#include "gateway/config.h"
#include "gateway/store/store.h"

#define FLEET_KEY_BYTES 32

/* 32 bytes, as 64 hexadecimal digits or in base64 (RFC 4648, padded or not), and nothing else but
 * white space. -EBADMSG: it is not; -errno of reading. */
int fleet_key_read(const char *file, uint8_t ret[FLEET_KEY_BYTES]);

/*
 * The key of this hub: writes in the journal that the fleet's was taken, and commits. A hub that
 * has readings under its own key goes on with that, and says so. Logs the reason of each error:
 * -EKEYREJECTED it was taken with another fleet key; -ENOKEY with one, and none is configured;
 * those of fleet_key_read(); those of the store. The arena is reset.
 */
int fleet_key_choose(const struct config *config, struct store *store, struct arena *arena,
		     uint8_t ret[FLEET_KEY_BYTES]);
