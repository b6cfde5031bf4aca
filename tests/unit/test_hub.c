/* links: transports gateway_goals */
/* Local midnights, against the gateway's own reading of the same zones; and files with keys. */
#include "drivers/transport/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/fitbit.h"
#include "drivers/session.h"
#include "drivers/transport/key_file.h"
#include "gateway/goals/zone.h"

static const uint8_t serial[] = { 0x00, 0x01, 0x02, 0x03, 0x04, 0x07 };

struct hub_world {
	struct session *session;
	uint64_t next_seq;
	char folder[64];
};

/* What the driver is asked to ask. */
struct asked {
	uint8_t block[16];
	int aes_r;
	int64_t at, midnight;
	uint8_t key[FITBIT_KEY_SIZE];
	int midnight_r, key_r;
};

static struct asked asked;
static const uint8_t counting[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static int on_open(struct drv_ctx *ctx)
{
	/* FIPS 197, appendix C.1, in place */
	for (size_t i = 0; i < sizeof(asked.block); i++)
		asked.block[i] = (uint8_t)(0x11 * i);
	asked.aes_r = drv_aes(ctx, counting, asked.block, asked.block);
	asked.midnight_r = drv_midnight(ctx, asked.at, &asked.midnight);
	asked.key_r = fitbit_key(ctx, serial, asked.key);
	return 0;
}

static void on_measurement(void *user, const struct measurement *m, uint64_t seq)
{
	(void)user;
	(void)m;
	(void)seq;
}

static void on_request(void *user, const struct session_request *request)
{
	(void)user;
	(void)request;
}

static void ask(struct hub_world *w, int64_t at)
{
	static const struct driver driver = { .name = "asks", .open = on_open };
	const struct session_sink sink = { .measurement = on_measurement, .request = on_request };

	session_free(w->session);
	assert_int_equal(session_new(&driver, 0, &sink, &w->next_seq, &w->session), 0);
	hub_give(w->session);
	asked = (struct asked){ .at = at };
	assert_int_equal(session_open(w->session, LINK_CABLE, 0), 0);
}

static int set_up(void **state)
{
	struct hub_world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)snprintf(w->folder, sizeof(w->folder), "/tmp/test-hub-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	assert_int_equal(hub_set_keys(w->folder), 0);
	*state = w;
	return 0;
}

static void path_of(const struct hub_world *w, const char *name, char *ret, size_t size)
{
	assert_true(snprintf(ret, size, "%s/%s", w->folder, name) < (int)size);
}

static int clear_up(void **state)
{
	struct hub_world *w = *state;
	char path[128];

	path_of(w, "000102030407", path, sizeof(path));
	(void)unlink(path);
	(void)rmdir(w->folder);
	session_free(w->session);
	free(w);
	hub_forget();
	(void)unsetenv("TZ");
	return 0;
}

/* ---- midnights ---- */

/* A year in steps of 14 hours, and the seconds around each midnight. */
static void compare(struct hub_world *w, const char *name)
{
	struct zone *z;

	assert_int_equal(zone_load(name, &z), 0);
	assert_int_equal(hub_set_zone(name, zone_offset(z, time(NULL)) / 60), 0);
	for (int64_t at = 1767225600, end = at + 31622400; at < end; at += 50400) {
		const int64_t begins = zone_day_start(z, zone_day_of(z, at));

		ask(w, at);
		assert_int_equal(asked.midnight_r, 0);
		assert_int_equal(asked.midnight, begins);
		ask(w, begins);
		assert_int_equal(asked.midnight, begins);
		ask(w, begins - 1);
		assert_int_equal(asked.midnight, zone_day_start(z, zone_day_of(z, begins - 1)));
	}
	zone_free(z);
}

static void test_midnights(void **state)
{
	/* of the last two, days begin at 1 o'clock once a year, or have two midnights */
	static const char *const zones[] = { "Europe/London",    "America/New_York",
					     "Asia/Kathmandu",   "Australia/Lord_Howe",
					     "America/Asuncion", "America/Havana",
					     "Africa/Cairo" };

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		compare(*state, zones[i]);
}

static void test_summer_time(void **state)
{
	struct zone *z;

	assert_int_equal(zone_load("Europe/London", &z), 0);
	assert_int_equal(hub_set_zone("Europe/London", zone_offset(z, time(NULL)) / 60), 0);
	zone_free(z);
	ask(*state, 1792972799); /* 2026-10-25 23:59:59 UTC, 25 hours after it began */
	assert_int_equal(asked.midnight, 1792882800);
	ask(*state, 1792972800);
	assert_int_equal(asked.midnight, 1792972800);
}

static void test_unknown_zones(void **state)
{
	ask(*state, 1792972799);
	assert_int_equal(asked.midnight_r, -ENODATA); /* nobody said one yet */
	assert_int_equal(hub_set_zone("Etc/UTC", 0), 0);
	ask(*state, 1792972799);
	assert_int_equal(asked.midnight_r, 0);
	assert_int_equal(hub_set_zone("Etc/UTC", 60), -EPROTO);
	ask(*state, 1792972799);
	assert_int_equal(asked.midnight_r, -ENODATA);
	assert_int_equal(hub_set_zone("Europe/Nowhere", 0), -ENOENT);
	assert_int_equal(hub_set_zone("/etc/passwd", 0), -EINVAL);
	assert_int_equal(hub_set_zone("../../../etc/passwd", 0), -EINVAL);
	assert_int_equal(hub_set_zone("UTC0;x", 0), -EINVAL);
	assert_int_equal(hub_set_zone("Etc/UTC", 0), 0);
	ask(*state, INT64_MAX);
	assert_int_equal(asked.midnight_r, -ENODATA);
	ask(*state, INT64_MIN);
	assert_int_equal(asked.midnight_r, -ENODATA);
}

/* ---- keys ---- */

static void write_key(const struct hub_world *w, const void *data, size_t len, mode_t mode)
{
	char path[128];
	int fd;

	path_of(w, "000102030407", path, sizeof(path));
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static void write_text(const struct hub_world *w, const char *text)
{
	write_key(w, text, strlen(text), 0600);
}

static void assert_key(struct hub_world *w, int r)
{
	static const uint8_t key[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

	ask(w, 0);
	assert_int_equal(asked.key_r, r);
	if (r == 0)
		assert_memory_equal(asked.key, key, sizeof(key));
}

#define KEY_TEXT "000102030405060708090a0b0c0d0e0f"

static void test_keys(void **state)
{
	struct hub_world *w = *state;

	assert_key(w, -ENOKEY); /* no file */
	write_text(w, "# mine\n" KEY_TEXT "\n");
	assert_key(w, 0);
	write_text(w, "000102030407 " KEY_TEXT "\r\n");
	assert_key(w, 0);
	write_key(w, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16, 0600);
	assert_key(w, 0);
	write_text(w, "ff0102030407 " KEY_TEXT "\n");
	assert_key(w, -ENOKEY);
	write_text(w, KEY_TEXT "\n" KEY_TEXT "\n");
	assert_key(w, -ENOKEY); /* it may not be used, and the log says so */
	write_text(w, KEY_TEXT "00");
	assert_key(w, -EBADMSG);
	write_text(w, "0");
	assert_key(w, -ENOKEY);
	write_key(w, KEY_TEXT, 32, 0640);
	assert_key(w, -ENOKEY);
	write_key(w, KEY_TEXT, 32, 0600);
	assert_key(w, 0);
	assert_int_equal(hub_set_keys(NULL), 0);
	assert_key(w, -ENOKEY);
}

static void test_no_link(void **state)
{
	struct hub_world *w = *state;
	char path[128], other[128];
	uint8_t key[64];
	size_t len;

	write_text(w, KEY_TEXT);
	path_of(w, "000102030407", path, sizeof(path));
	path_of(w, "link", other, sizeof(other));
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(key_file_read(AT_FDCWD, other, key, sizeof(key), &len), -EPERM);
	assert_int_equal(key_file_read(AT_FDCWD, path, key, 15, &len), -EBADMSG);
	assert_int_equal(key_file_read(AT_FDCWD, path, key, 16, &len), 0);
	assert_int_equal(unlink(other), 0);
}

static void test_aes(void **state)
{
	static const uint8_t want[] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
					0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };

	ask(*state, 1700000000);
	assert_int_equal(asked.aes_r, 0);
	assert_memory_equal(asked.block, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_midnights, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_summer_time, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_unknown_zones, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_keys, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_no_link, set_up, clear_up),
		cmocka_unit_test_setup_teardown(test_aes, set_up, clear_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
