#include "tests/lab/radio/crypto.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

struct crypto_key {
	EVP_PKEY *key;
};

/* a failure here is a broken installation, never input */
static void must(int ok)
{
	if (!ok)
		abort();
}

static void reversed(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = from[len - 1 - i];
}

void crypto_random(uint8_t *ret, size_t len)
{
	must(RAND_bytes(ret, (int)len) == 1);
}

void crypto_e(const uint8_t key[16], const uint8_t in[16], uint8_t out[16])
{
	EVP_CIPHER_CTX *const cipher = EVP_CIPHER_CTX_new();
	uint8_t k[16], plain[16], secret[16];
	int len = 0;

	reversed(k, key, 16);
	reversed(plain, in, 16);
	must(cipher && EVP_EncryptInit_ex(cipher, EVP_aes_128_ecb(), NULL, k, NULL) == 1);
	must(EVP_CIPHER_CTX_set_padding(cipher, 0) == 1);
	must(EVP_EncryptUpdate(cipher, secret, &len, plain, 16) == 1 && len == 16);
	EVP_CIPHER_CTX_free(cipher);
	reversed(out, secret, 16);
}

void crypto_cmac(const uint8_t key[16], const uint8_t *message, size_t len, uint8_t ret[16])
{
	EVP_MAC *const mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *const context = mac ? EVP_MAC_CTX_new(mac) : NULL;
	char cipher[] = "AES-128-CBC";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_construct_end(),
	};
	size_t size = 0;

	must(context && EVP_MAC_init(context, key, 16, parameters) == 1);
	must(EVP_MAC_update(context, message, len) == 1);
	must(EVP_MAC_final(context, ret, &size, 16) == 1 && size == 16);
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

void crypto_c1(const uint8_t tk[16], const uint8_t r[16], const uint8_t pdus[14],
	       const struct crypto_address addresses[2], uint8_t ret[16])
{
	uint8_t p1[16], p2[16] = { 0 }, block[16];

	p1[0] = addresses[0].random;
	p1[1] = addresses[1].random;
	memcpy(p1 + 2, pdus, 14);
	memcpy(p2, addresses[1].bytes, 6);
	memcpy(p2 + 6, addresses[0].bytes, 6);
	for (size_t i = 0; i < 16; i++)
		block[i] = r[i] ^ p1[i];
	crypto_e(tk, block, block);
	for (size_t i = 0; i < 16; i++)
		block[i] ^= p2[i];
	crypto_e(tk, block, ret);
}

void crypto_s1(const uint8_t tk[16], const uint8_t r1[16], const uint8_t r2[16], uint8_t ret[16])
{
	uint8_t block[16];

	memcpy(block, r2, 8);
	memcpy(block + 8, r1, 8);
	crypto_e(tk, block, ret);
}

/* CMAC in the order of the air: the key and the result are turned round */
static void mac_of(const uint8_t key[16], const uint8_t *message, size_t len, uint8_t ret[16])
{
	uint8_t k[16], out[16];

	reversed(k, key, 16);
	crypto_cmac(k, message, len, out);
	reversed(ret, out, 16);
}

void crypto_f4(const uint8_t u[32], const uint8_t v[32], const uint8_t x[16], uint8_t z,
	       uint8_t ret[16])
{
	uint8_t message[65];

	reversed(message, u, 32);
	reversed(message + 32, v, 32);
	message[64] = z;
	mac_of(x, message, sizeof(message), ret);
}

static void put_address(uint8_t to[7], const struct crypto_address *address)
{
	to[0] = address->random;
	reversed(to + 1, address->bytes, 6);
}

void crypto_f5(const uint8_t dhkey[32], const struct crypto_pair *pair, uint8_t ret_mackey[16],
	       uint8_t ret_ltk[16])
{
	static const uint8_t SALT[16] = { 0x6c, 0x88, 0x83, 0x91, 0xaa, 0xf5, 0xa5, 0x38,
					  0x60, 0x37, 0x0b, 0xdb, 0x5a, 0x60, 0x83, 0xbe };
	uint8_t w[32], t[16], out[16], message[53] = { 0, 'b', 't', 'l', 'e' };

	reversed(w, dhkey, 32);
	crypto_cmac(SALT, w, 32, t);
	reversed(message + 5, pair->nonce[0], 16);
	reversed(message + 21, pair->nonce[1], 16);
	put_address(message + 37, &pair->address[0]);
	put_address(message + 44, &pair->address[1]);
	message[51] = 1; /* 256 bits of key are made */
	crypto_cmac(t, message, sizeof(message), out);
	reversed(ret_mackey, out, 16);
	message[0] = 1;
	crypto_cmac(t, message, sizeof(message), out);
	reversed(ret_ltk, out, 16);
}

void crypto_f6(const uint8_t mackey[16], const struct crypto_pair *pair, unsigned int from,
	       const uint8_t r[16], const uint8_t iocap[3], uint8_t ret[16])
{
	uint8_t message[65];

	assert(from <= 1);
	reversed(message, pair->nonce[from], 16);
	reversed(message + 16, pair->nonce[!from], 16);
	reversed(message + 32, r, 16);
	reversed(message + 48, iocap, 3);
	put_address(message + 51, &pair->address[from]);
	put_address(message + 58, &pair->address[!from]);
	mac_of(mackey, message, sizeof(message), ret);
}

uint32_t crypto_g2(const uint8_t u[32], const uint8_t v[32], const uint8_t x[16],
		   const uint8_t y[16])
{
	uint8_t message[80], out[16];

	reversed(message, u, 32);
	reversed(message + 32, v, 32);
	reversed(message + 64, y, 16);
	mac_of(x, message, sizeof(message), out);
	return ((uint32_t)out[0] | (uint32_t)out[1] << 8 | (uint32_t)out[2] << 16 |
		(uint32_t)out[3] << 24) %
	       1000000;
}

void crypto_ah(const uint8_t irk[16], const uint8_t prand[3], uint8_t ret[3])
{
	uint8_t block[16] = { 0 };

	memcpy(block, prand, 3);
	crypto_e(irk, block, block);
	memcpy(ret, block, 3);
}

/* the private key 1 to n-1 and its public point as an EVP_PKEY; NULL: not a private key */
static EVP_PKEY *key_from_secret(const uint8_t secret[32])
{
	EC_GROUP *const group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	BIGNUM *const d = BN_lebin2bn(secret, 32, NULL);
	EC_POINT *const point = group ? EC_POINT_new(group) : NULL;
	OSSL_PARAM_BLD *const build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *const context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *parameters = NULL;
	EVP_PKEY *key = NULL;
	uint8_t octets[65];

	must(point && d && build && context);
	if (!BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0) {
		must(EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1);
		must(EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, 65,
					NULL) == 65);
		must(OSSL_PARAM_BLD_push_utf8_string(build, "group", "prime256v1", 0) == 1);
		must(OSSL_PARAM_BLD_push_BN(build, "priv", d) == 1);
		must(OSSL_PARAM_BLD_push_octet_string(build, "pub", octets, 65) == 1);
		parameters = OSSL_PARAM_BLD_to_param(build);
		must(parameters && EVP_PKEY_fromdata_init(context) == 1);
		must(EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters) == 1);
	}
	OSSL_PARAM_free(parameters);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_BLD_free(build);
	EC_POINT_free(point);
	BN_free(d);
	EC_GROUP_free(group);
	return key;
}

int crypto_key_new(const uint8_t *secret, struct crypto_key **ret)
{
	EVP_PKEY *const made = secret ? key_from_secret(secret) : EVP_EC_gen("P-256");
	struct crypto_key *key;

	if (!made)
		return -EINVAL;
	key = calloc(1, sizeof(*key));
	must(key != NULL);
	key->key = made;
	*ret = key;
	return 0;
}

void crypto_key_free(struct crypto_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->key);
	free(key);
}

void crypto_key_public(const struct crypto_key *key, uint8_t ret[64])
{
	uint8_t octets[65];
	size_t len = 0;

	must(EVP_PKEY_get_octet_string_param(key->key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, octets,
					     sizeof(octets), &len) == 1);
	/* generated keys come uncompressed: 04, x, y */
	must(len == 65 && octets[0] == 4);
	reversed(ret, octets + 1, 32);
	reversed(ret + 32, octets + 33, 32);
}

/* -EINVAL: not a point of the curve */
static int public_key(const uint8_t xy[64], EVP_PKEY **ret)
{
	EVP_PKEY_CTX *const context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	uint8_t octets[65] = { 4 };
	char group[] = "prime256v1";
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof(octets)),
		OSSL_PARAM_construct_end(),
	};
	int ok;

	reversed(octets + 1, xy, 32);
	reversed(octets + 33, xy + 32, 32);
	must(context && EVP_PKEY_fromdata_init(context) == 1);
	ok = EVP_PKEY_fromdata(context, ret, EVP_PKEY_PUBLIC_KEY, parameters);
	EVP_PKEY_CTX_free(context);
	return ok == 1 ? 0 : -EINVAL;
}

int crypto_key_agree(const struct crypto_key *key, const uint8_t peer[64], uint8_t ret[32])
{
	EVP_PKEY_CTX *context;
	EVP_PKEY *other = NULL;
	uint8_t secret[32];
	size_t len = sizeof(secret);
	int err;

	err = public_key(peer, &other);
	if (err < 0)
		return err;
	context = EVP_PKEY_CTX_new(key->key, NULL);
	must(context && EVP_PKEY_derive_init(context) == 1);
	/* checks the point again, order and all */
	err = EVP_PKEY_derive_set_peer(context, other) == 1 ? 0 : -EINVAL;
	if (!err)
		must(EVP_PKEY_derive(context, secret, &len) == 1 && len == sizeof(secret));
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(other);
	if (!err)
		reversed(ret, secret, 32);
	return err;
}
