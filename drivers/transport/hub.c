#include "drivers/transport/hub.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"
#include "drivers/log.h"
#include "drivers/session.h"
#include "drivers/transport/key_file.h"

#define ZONES        "/usr/share/zoneinfo"
#define ZONE_MAX     64
#define DAY_MOST     INT64_C(97200) /* 27 h; one has 25 at most */
#define EARLIEST     INT64_C(86400)
#define LATEST       INT64_C(253402214400) /* 9999-12-31 */
#define KEY_NAME_MAX 64

static bool knows_zone;
static char *keys;

/* ---- the zone ---- */

static bool is_zone_name(const char *name)
{
	const size_t len = strlen(name);

	if (len >= ZONE_MAX || name[0] == '/' || strstr(name, ".."))
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789_+-/") == len;
}

/* Where libc finds no such file, it takes UTC and says nothing. */
static int take_zone(const char *name)
{
	char path[sizeof(ZONES) + 1 + ZONE_MAX];

	if (!name || !*name) {
		(void)unsetenv("TZ");
		tzset();
		return access("/etc/localtime", R_OK) < 0 ? -ENOENT : 0;
	}
	if (!is_zone_name(name))
		return -EINVAL;
	(void)snprintf(path, sizeof(path), ZONES "/%s", name);
	if (access(path, R_OK) < 0)
		return -ENOENT;
	(void)snprintf(path, sizeof(path), ":" ZONES "/%s", name);
	if (setenv("TZ", path, 1) < 0)
		return -ENOMEM;
	tzset();
	return 0;
}

static bool has_offset(time_t at, int offset_min)
{
	struct tm t;

	return localtime_r(&at, &t) && t.tm_gmtoff / 60 == offset_min;
}

int hub_set_zone(const char *name, int offset_min)
{
	const time_t now = time(NULL);
	int r = take_zone(name);

	/* said a moment ago, perhaps before a change of summer time */
	if (r == 0 && !has_offset(now, offset_min) && !has_offset(now - 60, offset_min))
		r = -EPROTO;
	knows_zone = r == 0;
	return r;
}

static int64_t local_day(int64_t at)
{
	const time_t when = (time_t)at;
	struct tm t;

	if (!localtime_r(&when, &t))
		return -1;
	return (int64_t)t.tm_year * 366 + t.tm_yday;
}

/* The first instant of the same date. mktime() would have to guess where a day has no midnight, or
 * two. */
static int midnight(void *user, int64_t at, int64_t *ret)
{
	const int64_t day = at > EARLIEST && at < LATEST ? local_day(at) : -1;
	int64_t before, in = at;

	(void)user;
	if (!knows_zone || day < 0)
		return -ENODATA;
	before = at - DAY_MOST;
	while (in - before > 1) {
		const int64_t middle = before + (in - before) / 2;

		if (local_day(middle) < day)
			before = middle;
		else
			in = middle;
	}
	*ret = in;
	return 0;
}

/* ---- keys ---- */

static bool is_key_name(const char *name)
{
	const size_t len = strlen(name);

	if (len == 0 || len > KEY_NAME_MAX || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr(".-_", name[i]))
			return false;
	return true;
}

/* The name is that of a tracker, so it is not logged. */
static size_t key(void *user, const char *name, uint8_t ret[DRV_KEY_MAX])
{
	_cleanup_close_ int folder = -1;
	size_t len = 0;
	int r;

	(void)user;
	if (!keys || !is_key_name(name))
		return 0;
	folder = open(keys, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = folder < 0 ? -errno : key_file_read(folder, name, ret, DRV_KEY_MAX, &len);
	if (r < 0 && r != -ENOENT)
		log_warning("keys: a key that is there may not be used error=%d", -r);
	return r < 0 ? 0 : len;
}

static int aes(void *user, const uint8_t key[16], const uint8_t in[16], uint8_t ret[16])
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	uint8_t out[16];
	int len = 0;
	const bool good = cipher &&
			  EVP_EncryptInit_ex(cipher, EVP_aes_128_ecb(), NULL, key, NULL) == 1 &&
			  EVP_CIPHER_CTX_set_padding(cipher, 0) == 1 &&
			  EVP_EncryptUpdate(cipher, out, &len, in, sizeof(out)) == 1 &&
			  len == (int)sizeof(out);

	(void)user;
	EVP_CIPHER_CTX_free(cipher);
	if (good)
		memcpy(ret, out, sizeof(out));
	explicit_bzero(out, sizeof(out));
	return good ? 0 : -ENOSYS;
}

int hub_set_keys(const char *folder)
{
	char *copy = folder ? strdup(folder) : NULL;

	if (folder && !copy)
		return -ENOMEM;
	free(keys);
	keys = copy;
	return 0;
}

void hub_forget(void)
{
	knows_zone = false;
	(void)hub_set_keys(NULL);
}

/* ---- for sessions ---- */

void hub_give(struct session *s)
{
	const struct session_hub hub = { .midnight = midnight, .key = key, .aes = aes };

	session_set_hub(s, &hub);
}
