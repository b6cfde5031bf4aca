#include "drivers/fitbit_login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "drivers/sig.h"
#include "protocols/fitbit/live.h"

#define NAME_SIZE       sizeof("0123456789ab.live")
#define NONCE_SIZE      4
#define CREDENTIAL_SIZE (FITBIT_KEY_SIZE + NONCE_SIZE)

#define KEY_MISSING      0x2014
#define AUTH_FAILED      0x2015
#define AUTH_REQUIRED    0x2016
#define CONFIDENCE_KNOWN 4

static int read_credential(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
			   uint8_t ret[DRV_KEY_MAX])
{
	char name[NAME_SIZE];
	size_t len;

	for (size_t i = 0; i < FITBIT_SERIAL_SIZE; i++)
		(void)snprintf(name + 2 * i, 3, "%02x", serial[i]);
	(void)snprintf(name + NAME_SIZE - sizeof(".live"), sizeof(".live"), ".live");
	len = drv_key(ctx, name, ret);
	if (len == 0)
		return -ENOKEY;
	return len == CREDENTIAL_SIZE ? 0 : -EBADMSG;
}

/* the last byte of a serial number */
static enum fitbit_login_cipher cipher_of(const uint8_t serial[FITBIT_SERIAL_SIZE])
{
	return fitbit_login_cipher_of(serial[FITBIT_SERIAL_SIZE - 1]);
}

int fitbit_login_allowed(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE])
{
	uint8_t credential[DRV_KEY_MAX];
	int r = read_credential(ctx, serial, credential);

	explicit_bzero(credential, sizeof(credential));
	if (r == 0 && cipher_of(serial) == FITBIT_LOGIN_UNKNOWN)
		r = -EOPNOTSUPP;
	return r;
}

int fitbit_login_begin(struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
		       struct writer *w)
{
	struct fitbit_control m = { .kind = FITBIT_LOGIN };
	uint8_t credential[DRV_KEY_MAX];
	int r = read_credential(ctx, serial, credential);

	for (size_t i = FITBIT_KEY_SIZE; r == 0 && i < CREDENTIAL_SIZE; i++)
		m.nonce = m.nonce << 8 | credential[i];
	explicit_bzero(credential, sizeof(credential));
	if (r == 0)
		r = drv_random(ctx, m.random, sizeof(m.random));
	return r < 0 ? r : fitbit_control_encode(&m, w);
}

/* ---- the answer ---- */

struct aes {
	const struct drv_ctx *ctx;
	const uint8_t *key;
	int *error; /* of any block */
};

static void aes_encrypt(const void *key, const uint8_t *in, uint8_t *out)
{
	const struct aes *a = key;
	uint8_t block[FITBIT_BLOCK_MAX] = { 0 };
	const int r = drv_aes(a->ctx, a->key, in, block);

	if (r < 0)
		*a->error = r;
	memcpy(out, block, sizeof(block));
	explicit_bzero(block, sizeof(block));
}

static int prove(const struct drv_ctx *ctx, enum fitbit_login_cipher kind, const uint8_t *key,
		 const struct fitbit_control *challenge, uint8_t ret[FITBIT_TAG_SIZE])
{
	int error = 0;
	const struct aes aes = { .ctx = ctx, .key = key, .error = &error };
	const struct fitbit_cipher cipher =
		kind == FITBIT_LOGIN_XTEA ? fitbit_xtea(key)
					  : (struct fitbit_cipher){ .encrypt = aes_encrypt,
								    .key = &aes,
								    .block = FITBIT_BLOCK_MAX };

	fitbit_mac(&cipher, challenge->challenge, sizeof(challenge->challenge), ret);
	return error;
}

int fitbit_login_answer(const struct drv_ctx *ctx, const uint8_t serial[FITBIT_SERIAL_SIZE],
			const struct fitbit_control *challenge, struct writer *w)
{
	struct fitbit_control m = { .kind = FITBIT_RESPONSE };
	const enum fitbit_login_cipher kind = cipher_of(serial);
	uint8_t credential[DRV_KEY_MAX];
	int r = kind == FITBIT_LOGIN_UNKNOWN ? -EOPNOTSUPP
					     : read_credential(ctx, serial, credential);

	if (r == 0)
		r = prove(ctx, kind, credential, challenge, m.proof);
	explicit_bzero(credential, sizeof(credential));
	return r < 0 ? r : fitbit_control_encode(&m, w);
}

bool fitbit_login_is_wrong(uint16_t error)
{
	return error == KEY_MISSING || error == AUTH_FAILED || error == AUTH_REQUIRED;
}

/* ---- what is read after it ---- */

int fitbit_live_emit(struct drv_ctx *ctx, const uint8_t *data, size_t len, int64_t latest)
{
	static const char *const contexts[CONFIDENCE_KNOWN] = { "of the moment, confidence 0",
								"of the moment, confidence 1",
								"of the moment, confidence 2",
								"of the moment, confidence 3" };
	struct measurement m = { .metric = METRIC_HEART_RATE,
				 .flags = FLAG_BIT(FLAG_QUESTIONABLE),
				 .context = "of the moment" };
	struct fitbit_live x;
	const int r = fitbit_live_decode(data, len, &x);

	if (r < 0)
		return r;
	if (latest != 0 && x.time > latest)
		return -ERANGE;
	if (!x.has_rate || x.rate == 0)
		return 0;
	if (x.confidence < CONFIDENCE_KNOWN)
		m.context = contexts[x.confidence];
	sig_set_utc(&m, x.time);
	measurement_add(&m, METRIC_HEART_RATE, UNIT_PER_MIN, number_of(x.rate, 0));
	return drv_emit(ctx, &m);
}
