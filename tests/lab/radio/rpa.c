#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

#include "tests/lab/radio/rpa.h"

static void reversed(const uint8_t from[16], uint8_t to[16])
{
	for (unsigned int i = 0; i < 16; i++)
		to[i] = from[15 - i];
}

static int aes(const uint8_t key[16], const uint8_t plain[16], uint8_t ret[16])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int len = 0;
	bool good;

	if (!c)
		return -EIO;
	good = EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, key, NULL) == 1 &&
	       EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
	       EVP_EncryptUpdate(c, ret, &len, plain, 16) == 1 && len == 16;
	EVP_CIPHER_CTX_free(c);
	return good ? 0 : -EIO;
}

int rpa_encrypt(const uint8_t key[16], const uint8_t plain[16], uint8_t ret[16])
{
	uint8_t k[16], p[16], out[16];

	reversed(key, k);
	reversed(plain, p);
	if (aes(k, p, out) < 0)
		return -EIO;
	reversed(out, ret);
	return 0;
}

int rpa_hash(const uint8_t irk[16], const uint8_t prand[3], uint8_t ret[3])
{
	uint8_t plain[16] = { prand[2], prand[1], prand[0] }, out[16];

	if (rpa_encrypt(irk, plain, out) < 0)
		return -EIO;
	for (unsigned int i = 0; i < 3; i++)
		ret[i] = out[2 - i];
	return 0;
}

int rpa_make(const uint8_t irk[16], uint32_t chance, uint8_t ret[6])
{
	uint8_t address[6] = { (uint8_t)(0x40 | (chance >> 16 & 0x3f)), (uint8_t)(chance >> 8),
			       (uint8_t)chance };

	/* neither all zero nor all one is a random part */
	if ((chance & 0x3fffff) == 0 || (chance & 0x3fffff) == 0x3fffff)
		address[2] ^= 1;
	if (rpa_hash(irk, address, address + 3) < 0)
		return -EIO;
	memcpy(ret, address, sizeof(address));
	return 0;
}
