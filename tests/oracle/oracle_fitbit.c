/*
 * Our XTEA, CMAC and EAX on what the standard input says, for fitbit_botan.py. A line is
 *   xtea KEY BLOCK | mac KEY TEXT | aes-mac KEY TEXT | eax KEY NONCE HEADER TEXT
 * in hexadecimal, "-" for no bytes; the answer is a line in hexadecimal: of eax the ciphertext and
 * the tag.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/fitbit/cipher.h"

#define FIELDS_MAX 5
#define BYTES_MAX  4096
#define TEXT_MAX   (FIELDS_MAX * 2 * BYTES_MAX)

struct field {
	uint8_t bytes[BYTES_MAX];
	size_t len;
};

static struct field fields[FIELDS_MAX];

static int read_field(const char *text, struct field *ret)
{
	ret->len = 0;
	if (strcmp(text, "-") == 0)
		return 0;
	for (; *text; text += 2) {
		char pair[3] = { text[0], text[1], 0 }, *end;

		if (!text[1] || ret->len == BYTES_MAX)
			return -1;
		ret->bytes[ret->len++] = (uint8_t)strtoul(pair, &end, 16);
		if (*end)
			return -1;
	}
	return 0;
}

static void print(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		(void)printf("%02x", bytes[i]);
}

static void answer_eax(const struct fitbit_cipher *xtea)
{
	const struct fitbit_eax eax = { fields[1].bytes, fields[2].bytes, fields[1].len,
					fields[2].len };
	struct fitbit_stream s = fitbit_stream_begin(xtea, &eax);
	uint8_t tag[FITBIT_TAG_SIZE];

	for (size_t i = 0; i < fields[3].len; i++)
		fields[3].bytes[i] ^= fitbit_stream_next(&s);
	fitbit_eax_tag(xtea, &eax, fields[3].bytes, fields[3].len, tag);
	print(fields[3].bytes, fields[3].len);
	print(tag, sizeof(tag));
}

/* a failure here is a broken installation, never input */
static void aes_encrypt(const void *key, const uint8_t *in, uint8_t *out)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int len = 0;

	if (!cipher || EVP_EncryptInit_ex(cipher, EVP_aes_128_ecb(), NULL, key, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(cipher, 0) != 1 ||
	    EVP_EncryptUpdate(cipher, out, &len, in, FITBIT_BLOCK_MAX) != 1)
		abort();
	EVP_CIPHER_CTX_free(cipher);
}

static int answer(const char *what, size_t n)
{
	const struct fitbit_cipher aes = { aes_encrypt, fields[0].bytes, FITBIT_BLOCK_MAX };
	const struct fitbit_cipher xtea = fitbit_xtea(fields[0].bytes);
	uint8_t out[FITBIT_TAG_SIZE];

	if (n < 2 || fields[0].len != FITBIT_KEY_SIZE)
		return -1;
	if (strcmp(what, "eax") == 0 && n == 4) {
		answer_eax(&xtea);
	} else if (strcmp(what, "mac") == 0) {
		fitbit_mac(&xtea, fields[1].bytes, fields[1].len, out);
		print(out, sizeof(out));
	} else if (strcmp(what, "aes-mac") == 0) {
		fitbit_mac(&aes, fields[1].bytes, fields[1].len, out);
		print(out, sizeof(out));
	} else if (strcmp(what, "xtea") == 0 && fields[1].len == FITBIT_XTEA_BLOCK) {
		fitbit_xtea_encrypt(fields[0].bytes, fields[1].bytes, out);
		print(out, sizeof(out));
	} else {
		return -1;
	}
	return puts("") == EOF ? -1 : 0;
}

int main(void)
{
	static char line[TEXT_MAX];

	while (fgets(line, sizeof(line), stdin)) {
		char *rest = line, *what = strsep(&rest, " \n");
		size_t n = 0;

		for (char *text; n < FIELDS_MAX && (text = strsep(&rest, " \n")) && *text; n++)
			if (read_field(text, &fields[n]) < 0)
				return 1;
		if (answer(what, n) < 0)
			return 1;
	}
	return 0;
}
