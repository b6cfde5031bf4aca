/*
 * The login of a Fitbit tracker with what its owner was given for it, and the one value that is
 * read after it. Pure, as drivers are.
 *
 *   we --c0 50 RANDOM NONCE-->  c0 51 8 bytes, COUNTER 4;  we --c0 52 MAC-->  c0 02 | c0 03 ERROR
 *
 * MAC: the first 8 bytes of CMAC over the 4 of COUNTER as they came, with XTEA or AES by the model.
 * That the 8 bytes before COUNTER are the tracker's own proof is a guess, so nobody looks at them:
 * a tracker is told who we are, and we do not learn who it is.
 *
 * It is done only where the owner asked for it: drv_key() under SERIAL.live, SERIAL 12 lower-case
 * hexadecimal digits, holds 20 bytes: the `authSubKey` of 16 and the `nonce` of 4, the most
 * significant byte first. The file is the permission; taking it away ends it.
 *
 * Of what is read after it, only a heart rate is said, one sample with the tracker's time. Steps,
 * distance, floors and minutes are counters of the day: the dump of the same visit brings them in
 * full, and another account of them, a moment younger, would be neither the same nor an addition.
 * How sure the rate is nobody knows for certain (live.h), nor whether a model sends one to a host
 * without the maker's own service 16bcfd00; so it is FLAG_QUESTIONABLE, its context says the
 * confidence as it was sent, and 0 is no reading.
 *
 * Source: see protocols/fitbit/message.h, two open clients. Nobody could try it: the maker gives
 * out no credentials any more.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/fitbit/dump.h"
#include "protocols/fitbit/message.h"

/* May it be tried? 0; -ENOKEY the owner did not ask for it; -EBADMSG what the owner put there is
 * something else; -EOPNOTSUPP a model whose cipher is not known. */
int fitbit_login_allowed(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE]);
/* The first message. -ENOKEY, -EBADMSG, -ENODATA no random bytes are left. */
int fitbit_login_begin(struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
		       struct writer *w);
/* The answer to a challenge (FITBIT_CHALLENGE). As above, and -ENOSYS: this hub has no AES. */
int fitbit_login_answer(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
			const struct fitbit_control *challenge, struct writer *w);
/* It was refused with this error: true, what the owner put there does not fit. */
bool fitbit_login_is_wrong(uint16_t error);
/* latest: s since 1970, later cannot be; 0: not known. -EMSGSIZE, -ERANGE, or of drv_emit(). */
int fitbit_live_emit(struct drv_ctx *ctx, const uint8_t *data, size_t len, int64_t latest);
