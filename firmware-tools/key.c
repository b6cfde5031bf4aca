#include "firmware-tools/key.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define RSA_SALT     32

struct firmware_key {
	EVP_PKEY *pkey;
	enum firmware_scheme scheme;
};

static int scheme_of(const EVP_PKEY *pkey, enum firmware_scheme *ret)
{
	char group[32] = "";

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_EC:
		if (!EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group,
						    sizeof(group), NULL) ||
		    strcmp(group, "prime256v1") != 0)
			return -EBADMSG;
		*ret = FIRMWARE_ECDSA_P256;
		return 0;
	case EVP_PKEY_ED25519:
		*ret = FIRMWARE_ED25519;
		return 0;
	case EVP_PKEY_RSA:
		*ret = FIRMWARE_RSA_PSS;
		return EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN ? 0 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

int firmware_key_read(const void *pem, size_t len, struct firmware_key **ret)
{
	struct firmware_key *key = calloc(1, sizeof(*key));
	BIO *bio = len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	int r = key && bio ? 0 : -ENOMEM;

	if (r == 0) {
		key->pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
		r = key->pkey ? scheme_of(key->pkey, &key->scheme) : -EBADMSG;
	}
	(void)BIO_free(bio);
	if (r < 0) {
		firmware_key_free(key);
		return r;
	}
	*ret = key;
	return 0;
}

void firmware_key_free(struct firmware_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* Old tools fill a signature in DER with zeros up to 72 bytes, which OpenSSL refuses. */
static size_t der_length(const uint8_t *der, size_t len)
{
	const size_t said = len >= 2 && der[0] == 0x30 && der[1] < 0x80 ? (size_t)der[1] + 2 : len;

	for (size_t i = said; i < len; i++) {
		if (der[i] != 0)
			return len;
	}
	return said < len ? said : len;
}

static int set_pss(EVP_PKEY_CTX *pss)
{
	return EVP_PKEY_CTX_set_rsa_padding(pss, RSA_PKCS1_PSS_PADDING) > 0 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(pss, RSA_SALT) > 0;
}

int firmware_key_verify(const struct firmware_key *key, enum firmware_scheme scheme,
			const struct firmware_signed *what)
{
	EVP_MD_CTX *ctx;
	EVP_PKEY_CTX *pss = NULL; /* belongs to ctx */
	size_t len = what->signature_len;
	int r = -EBADMSG;

	if (key->scheme != scheme)
		return -EPROTOTYPE;
	ctx = EVP_MD_CTX_new();
	if (!ctx)
		return -ENOMEM;
	if (scheme == FIRMWARE_ECDSA_P256)
		len = der_length(what->signature, len);
	if (EVP_DigestVerifyInit(ctx, &pss, scheme == FIRMWARE_ED25519 ? NULL : EVP_sha256(), NULL,
				 key->pkey) == 1 &&
	    (scheme != FIRMWARE_RSA_PSS || set_pss(pss)) &&
	    EVP_DigestVerify(ctx, what->signature, len, what->message, what->len) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	return r;
}

int firmware_key_hash(const struct firmware_key *key, uint8_t ret[FIRMWARE_SHA256])
{
	uint8_t *der = NULL;
	const int len = key->scheme == FIRMWARE_RSA_PSS ? i2d_PublicKey(key->pkey, &der)
							: i2d_PUBKEY(key->pkey, &der);
	int r;

	if (len <= 0)
		return -ENOMEM;
	r = firmware_sha256(der, (size_t)len, ret);
	OPENSSL_free(der);
	return r;
}

int firmware_sha256(const void *data, size_t len, uint8_t ret[FIRMWARE_SHA256])
{
	return EVP_Digest(data, len, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

int firmware_ecdsa_der(const uint8_t r_and_s[64], uint8_t ret[72], size_t *ret_len)
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(r_and_s, 32, NULL), *s = BN_bin2bn(r_and_s + 32, 32, NULL);
	uint8_t *der = NULL;
	int len = -1;

	if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(pair);
		return -ENOMEM;
	}
	len = i2d_ECDSA_SIG(pair, &der);
	ECDSA_SIG_free(pair); /* and with it r and s */
	if (len <= 0 || len > 72) {
		OPENSSL_free(der);
		return -EBADMSG;
	}
	memcpy(ret, der, (size_t)len);
	OPENSSL_free(der);
	*ret_len = (size_t)len;
	return 0;
}
