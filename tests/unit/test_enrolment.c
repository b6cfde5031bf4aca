/* links: transports */
/* The files of enrolled devices: written, read again, damaged, and pulled away in the middle. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/cleanup.h"
#include "drivers/transport/enrolment.h"
#include "protocols/bytes/crc.h"

static char root[64];

static void fresh_directory(char ret[128])
{
	static unsigned int n;

	(void)snprintf(ret, 128, "%s/%u", root, n++);
}

static void fill_table(struct att_table *t)
{
	struct att_service service = { .start = 1, .end = 20 };
	struct att_characteristic c = { .declaration = 2, .value = 3, .properties = 0x20 };
	const uint8_t hash[ATT_HASH_SIZE] = { 9, 8, 7 };

	att_table_clear(t);
	service.uuid = att_uuid_of16(0x181d);
	c.uuid = att_uuid_of16(0x2a9d);
	assert_int_equal(att_table_add_service(t, &service), 0);
	assert_int_equal(att_table_add_characteristic(t, &c), 0);
	assert_int_equal(att_table_set_ccc(t, 0, 4), 0);
	t->complete = true;
	att_table_set_hash(t, hash);
}

/* synthetic, with something in every field */
static void make(struct enrolment *d, uint8_t last)
{
	memset(d, 0, sizeof(*d));
	d->address = (struct ble_address){ { 2, 0, 0x5e, 0x10, 0, last }, BLE_RANDOM };
	(void)snprintf(d->driver, sizeof(d->driver), "weight_scale");
	d->quirks = 0x80000001;
	(void)snprintf(d->name, sizeof(d->name), "Scale = \xc3\xa9 #1");
	d->level = LINK_AUTHENTICATED;
	d->path = ENROLMENT_BLUETOOTHD;
	d->memory.n_consents = 2;
	d->memory.consents[0] = (struct drv_consent){ .slot = 1, .code = 1234 };
	d->memory.consents[1] =
		(struct drv_consent){ .slot = DRV_SLOT_NEW, .code = 65535, .refused = true };
	d->memory.kept_len = 3;
	memcpy(d->memory.kept, "\x00\x7f\xff", 3);
	d->has_last_record = true;
	d->last_record = UINT32_MAX;
	d->wipe = true;
	d->enrolled_ms = INT64_C(1767225600000);
	fill_table(&d->table);
}

static void same(const struct enrolment *a, const struct enrolment *b)
{
	char *one = malloc(ENROLMENT_BYTES_MAX), *two = malloc(ENROLMENT_BYTES_MAX);
	size_t n = 0, m = 0;

	assert_non_null(one);
	assert_non_null(two);
	assert_int_equal(enrolment_print(a, one, ENROLMENT_BYTES_MAX, &n), 0);
	assert_int_equal(enrolment_print(b, two, ENROLMENT_BYTES_MAX, &m), 0);
	assert_int_equal(n, m);
	assert_memory_equal(one, two, n);
	free(one);
	free(two);
}

static void path_of(const char *directory, const struct enrolment *d, const char *suffix,
		    char ret[256])
{
	char address[BLE_ADDRESS_TEXT];

	ble_address_print(&d->address, address);
	(void)snprintf(ret, 256, "%s/%s-%s.device%s", directory, address,
		       d->address.type == BLE_RANDOM ? "random" : "public", suffix);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void write_file(const char *path, const void *data, size_t len)
{
	_cleanup_file_ FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
}

static void every_field_comes_back(void **state)
{
	struct enrolment d, read;
	char text[ENROLMENT_BYTES_MAX];
	size_t len = 0;

	(void)state;
	make(&d, 1);
	assert_int_equal(enrolment_print(&d, text, sizeof(text), &len), 0);
	assert_int_equal(enrolment_parse(text, len, &read), 0);
	assert_true(ble_address_equal(&read.address, &d.address));
	assert_string_equal(read.driver, d.driver);
	assert_string_equal(read.name, d.name);
	assert_int_equal(read.quirks, d.quirks);
	assert_int_equal(read.level, LINK_AUTHENTICATED);
	assert_int_equal(read.path, ENROLMENT_BLUETOOTHD);
	assert_int_equal(read.memory.n_consents, 2);
	assert_int_equal(read.memory.consents[0].code, 1234);
	assert_int_equal(read.memory.consents[1].slot, DRV_SLOT_NEW);
	assert_int_equal(read.memory.kept_len, 3);
	assert_memory_equal(read.memory.kept, d.memory.kept, 3);
	assert_true(read.has_last_record);
	assert_int_equal(read.last_record, UINT32_MAX);
	assert_true(read.wipe);
	assert_int_equal(read.enrolled_ms, d.enrolled_ms);
	assert_true(read.table.complete);
	assert_int_equal(read.table.characteristics[0].ccc, 4);
	assert_true(att_table_matches(&read.table, d.table.hash));
	d = (struct enrolment){ .level = LINK_BROADCAST, .driver = "x" };
	assert_int_equal(enrolment_print(&d, text, sizeof(text), &len), 0);
	assert_int_equal(enrolment_parse(text, len, &read), 0);
	assert_false(read.has_last_record || read.wipe || read.table.complete);
	assert_string_equal(read.name, "");
}

/* so that a file looks as its header comment says, also to older versions of ourselves */
static void the_format_is_this(void **state)
{
	static const char expected[] = "wellgate-device=1\n"
				       "address=02:00:5E:10:00:01\n"
				       "type=public\n"
				       "driver=weight_scale\n"
				       "quirks=3\n"
				       "name=BF720\n"
				       "level=encrypted\n"
				       "path=bearer\n"
				       "consent=1 1234\n"
				       "kept=0102\n"
				       "last_record=17\n"
				       "enrolled_ms=1767225600000\n"
				       "table=\n"
				       "checksum=";
	struct enrolment d = { .address = { { 2, 0, 0x5e, 0x10, 0, 1 }, BLE_PUBLIC },
			       .driver = "weight_scale",
			       .quirks = 3,
			       .name = "BF720",
			       .level = LINK_ENCRYPTED,
			       .memory = { .consents = { { .slot = 1, .code = 1234 } },
					   .n_consents = 1,
					   .kept = { 1, 2 },
					   .kept_len = 2 },
			       .has_last_record = true,
			       .last_record = 17,
			       .enrolled_ms = INT64_C(1767225600000) };
	char text[ENROLMENT_BYTES_MAX];
	size_t len = 0;

	(void)state;
	assert_int_equal(enrolment_print(&d, text, sizeof(text), &len), 0);
	assert_int_equal(len, sizeof(expected) - 1 + 9);
	assert_memory_equal(text, expected, sizeof(expected) - 1);
	for (size_t size = 0; size < len; size++)
		assert_int_equal(enrolment_print(&d, text, size, &len), -EMSGSIZE);
}

static void a_full_device_fits(void **state)
{
	struct enrolment *d = calloc(1, sizeof(*d)), *read = calloc(1, sizeof(*read));
	char *text = malloc(ENROLMENT_BYTES_MAX);
	size_t len = 0;

	(void)state;
	assert_true(d && read && text);
	make(d, 1);
	att_table_clear(&d->table);
	for (uint16_t i = 0; i < ATT_SERVICES_MAX; i++) {
		const struct att_service s = { .start = (uint16_t)(1 + 20 * i),
					       .end = (uint16_t)(20 + 20 * i),
					       .uuid = att_uuid_of16(0x181d) };

		assert_int_equal(att_table_add_service(&d->table, &s), 0);
		for (uint16_t k = 0; k < ATT_CHARACTERISTICS_MAX / ATT_SERVICES_MAX; k++) {
			const struct att_characteristic c = {
				.declaration = (uint16_t)(s.start + 1 + 3 * k),
				.value = (uint16_t)(s.start + 2 + 3 * k),
				.uuid = att_uuid_of16(0x2a9d)
			};

			assert_int_equal(att_table_add_characteristic(&d->table, &c), 0);
		}
	}
	d->table.complete = true;
	d->memory.n_consents = DRV_CONSENTS_MAX;
	d->memory.kept_len = DRV_KEPT_MAX;
	memset(d->name, 'n', sizeof(d->name) - 1);
	memset(d->driver, 'd', sizeof(d->driver) - 1);
	assert_int_equal(enrolment_print(d, text, ENROLMENT_BYTES_MAX, &len), 0);
	assert_int_equal(enrolment_parse(text, len, read), 0);
	same(d, read);
	free(d);
	free(read);
	free(text);
}

static void any_damaged_byte_is_noticed(void **state)
{
	struct enrolment d, read;
	char text[ENROLMENT_BYTES_MAX];
	size_t len = 0;

	(void)state;
	make(&d, 1);
	assert_int_equal(enrolment_print(&d, text, sizeof(text), &len), 0);
	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text[i] = (char)(text[i] ^ (1 << bit));
			assert_true(enrolment_parse(text, len, &read) < 0);
			text[i] = (char)(text[i] ^ (1 << bit));
		}
		assert_true(enrolment_parse(text, i, &read) < 0);
	}
	assert_int_equal(enrolment_parse(text, len, &read), 0);
}

/* with a good checksum: somebody meant it, or another version wrote it */
static void what_is_not_the_format_is_refused(void **state)
{
	static const struct {
		const char *from, *to;
		int r;
	} rows[] = {
		{ "wellgate-device=1", "wellgate-device=2", -ENOMSG },
		{ "wellgate-device=1", "wellgate-tevice=1", -EBADMSG },
		{ "address=02:00:5E", "address=02:00:5e", -EBADMSG },
		{ "type=random", "type=static", -EBADMSG },
		{ "driver=weight_scale", "driver=weight-scale", -EBADMSG },
		{ "driver=weight_scale", "driver=", -EBADMSG },
		{ "quirks=2147483649", "quirks=4294967296", -EBADMSG },
		{ "quirks=2147483649", "quirks=-1", -EBADMSG },
		{ "quirks=2147483649", "quirks=01", -EBADMSG },
		{ "quirks=2147483649", "quirks= 1", -EBADMSG },
		{ "quirks=2147483649", "quirks=", -EBADMSG },
		{ "name=Scale",
		  "name=Sc\x1b"
		  "le",
		  -EBADMSG },
		{ "name=Scale",
		  "name=Sc\xff"
		  "le",
		  -EBADMSG },
		{ "level=authenticated", "level=none", -EBADMSG },
		{ "path=bluetoothd\n", "", -EBADMSG },
		{ "path=bluetoothd\n", "path=bluetoothd\npath=bluetoothd\n", -EBADMSG },
		{ "consent=1 1234", "consent=256 1234", -EBADMSG },
		{ "consent=1 1234", "consent=1 65536", -EBADMSG },
		{ "consent=1 1234", "consent=1", -EBADMSG },
		{ "consent=1 1234\n",
		  "consent=1 1\nconsent=1 1\nconsent=1 1\nconsent=1 1\nconsent=1 1\nconsent=1 1\n"
		  "consent=1 1\nconsent=1 1\n",
		  -EBADMSG },
		{ "kept=007fff", "kept=007ff", -EBADMSG },
		{ "kept=007fff", "kept=007fFF", -EBADMSG },
		{ "last_record=4294967295", "last_record=4294967296", -EBADMSG },
		{ "enrolled_ms=1767225600000", "enrolled_ms=9999999999999999999", -EBADMSG },
		{ "enrolled_ms=1767225600000", "enrolled_ms=99999999999999999999", -EBADMSG },
		{ "table=01", "table=02", -EBADMSG },
		{ "table=01", "table=", -EBADMSG },
		{ "\nkept", "\nowner=somebody\nkept", -EBADMSG },
		{ "\nkept", "\n\nkept", -EBADMSG },
		{ "\nkept", "\r\nkept", -EBADMSG },
	};
	struct enrolment d, read;

	(void)state;
	make(&d, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[ENROLMENT_BYTES_MAX + 1], changed[ENROLMENT_BYTES_MAX];
		const char *at;
		size_t len = 0;
		int n;

		assert_int_equal(enrolment_print(&d, text, sizeof(text) - 1, &len), 0);
		text[len - strlen("checksum=00000000\n")] = '\0';
		at = strstr(text, rows[i].from);
		assert_non_null(at);
		n = snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text,
			     rows[i].to, at + strlen(rows[i].from));
		assert_true(n > 0);
		len = (size_t)n;
		len += (size_t)snprintf(changed + len, sizeof(changed) - len, "checksum=%08x\n",
					crc_32_iso_hdlc(changed, len));
		if (enrolment_parse(changed, len, &read) != rows[i].r)
			fail_msg("'%s': %d", rows[i].to, enrolment_parse(changed, len, &read));
	}
}

static void what_could_not_be_read_back_is_not_written(void **state)
{
	static const char *const names[] = {
		"a\nb",         "a\x7f", "\x80",         "\xc0\xaf",
		"\xed\xa0\x80", "\xc3",  "\xe2\x80\xa8", "\xf4\x90\x80\x80",
		"\xc2\x85",     "\t",    "\xe0\x80\x80"
	};
	char directory[128], path[256];
	struct enrolments *e = NULL;
	struct enrolment d;
	unsigned int bad = 9;

	(void)state;
	fresh_directory(directory);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	assert_int_equal(bad, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make(&d, 1);
		(void)snprintf(d.name, sizeof(d.name), "%s", names[i]);
		assert_int_equal(enrolments_put(e, &d), -EINVAL);
	}
	make(&d, 1);
	memset(d.name, 'x', sizeof(d.name)); /* without an end */
	assert_int_equal(enrolments_put(e, &d), -EINVAL);
	make(&d, 1);
	(void)snprintf(d.driver, sizeof(d.driver), "../x");
	assert_int_equal(enrolments_put(e, &d), -EINVAL);
	make(&d, 1);
	d.level = LINK_CABLE;
	assert_int_equal(enrolments_put(e, &d), -EINVAL);
	path_of(directory, &d, "", path);
	assert_false(exists(path));
	assert_int_equal(enrolments_count(e), 0);
	enrolments_free(e);
}

static void they_outlive_a_restart(void **state)
{
	char directory[128], path[256];
	struct enrolments *e = NULL;
	struct enrolment d, twin;
	const struct enrolment *kept;
	unsigned int bad = 9;
	struct stat st;

	(void)state;
	fresh_directory(directory);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	for (uint8_t i = 5; i > 0; i--) {
		make(&d, i);
		assert_int_equal(enrolments_put(e, &d), 0);
	}
	twin = d; /* the same six bytes, and another device */
	twin.address.type = BLE_PUBLIC;
	assert_int_equal(enrolments_put(e, &twin), 0);
	kept = enrolments_find(e, &d.address);
	d.last_record = 77;
	assert_int_equal(enrolments_put(e, &d), 0);
	assert_ptr_equal(enrolments_find(e, &d.address), kept);
	assert_int_equal(kept->last_record, 77);
	make(&d, 3);
	assert_int_equal(enrolments_remove(e, &d.address), 0);
	assert_int_equal(enrolments_remove(e, &d.address), -ENOENT);
	path_of(directory, &twin, "", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	enrolments_free(e);

	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(enrolments_count(e), 5);
	assert_null(enrolments_find(e, &d.address));
	assert_int_equal(enrolments_find(e, &twin.address)->address.type, BLE_PUBLIC);
	same(enrolments_at(e, 0), &twin);
	make(&d, 1);
	d.last_record = 77;
	same(enrolments_at(e, 1), &d);
	make(&d, 5);
	same(enrolments_at(e, 4), &d);
	enrolments_free(e);
}

static void what_is_damaged_is_set_aside(void **state)
{
	char directory[128], path[256], other[256], aside[256];
	struct enrolments *e = NULL;
	struct enrolment d;
	unsigned int bad = 9;
	static char large[ENROLMENT_BYTES_MAX + 2];

	(void)state;
	fresh_directory(directory);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	for (uint8_t i = 1; i <= 3; i++) {
		make(&d, i);
		assert_int_equal(enrolments_put(e, &d), 0);
	}
	enrolments_free(e);
	make(&d, 1);
	path_of(directory, &d, "", path);
	assert_int_equal(truncate(path, 200), 0);
	make(&d, 9); /* the file of another, copied */
	path_of(directory, &d, "", other);
	make(&d, 2);
	path_of(directory, &d, "", path);
	assert_int_equal(link(path, other), 0);
	(void)snprintf(path, sizeof(path), "%s/large.device", directory);
	write_file(path, large, sizeof(large));
	(void)snprintf(path, sizeof(path), "%s/folder.device", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/link.device", directory);
	assert_int_equal(symlink("/dev/zero", path), 0);
	(void)snprintf(path, sizeof(path), "%s/pipe.device", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)snprintf(path, sizeof(path), "%s/notes.txt", directory);
	write_file(path, "x", 1);
	make(&d, 3);
	path_of(directory, &d, ".new", path);
	write_file(path, "half", 4);

	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	assert_int_equal(bad, 6);
	assert_int_equal(enrolments_count(e), 2);
	assert_false(exists(path));
	make(&d, 1);
	path_of(directory, &d, ".bad", aside);
	assert_true(exists(aside));
	assert_null(enrolments_find(e, &d.address));
	assert_int_equal(enrolments_put(e, &d), 0); /* paired again */
	enrolments_free(e);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(enrolments_count(e), 3);
	assert_true(exists(aside));
	enrolments_free(e);
}

static void there_is_an_end_to_them(void **state)
{
	char directory[128];
	struct enrolments *e = NULL;
	struct enrolment d;
	unsigned int bad = 9;

	(void)state;
	fresh_directory(directory);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	for (unsigned int i = 0; i <= ENROLMENT_MAX; i++) {
		make(&d, (uint8_t)i);
		d.address.bytes[4] = (uint8_t)(i >> 8);
		assert_int_equal(enrolments_put(e, &d), i < ENROLMENT_MAX ? 0 : -ENOSPC);
	}
	make(&d, 7);
	d.last_record = 8;
	assert_int_equal(enrolments_put(e, &d), 0); /* known ones still change */
	enrolments_free(e);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	assert_int_equal(enrolments_count(e), ENROLMENT_MAX);
	assert_int_equal(bad, 0);
	assert_int_equal(enrolments_find(e, &d.address)->last_record, 8);
	enrolments_free(e);
}

/* no room on the disk: the old file stays, and in memory too */
static void a_write_that_fails_changes_nothing(void **state)
{
	const struct rlimit limit = { 100, 100 };
	char directory[128];
	int status = 0;
	struct enrolments *e = NULL;
	struct enrolment d;
	unsigned int bad = 9;
	pid_t pid;

	(void)state;
	fresh_directory(directory);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	make(&d, 1);
	assert_int_equal(enrolments_put(e, &d), 0);
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
			_exit(2);
		d.last_record = 5;
		if (enrolments_put(e, &d) != -EFBIG)
			_exit(3);
		_exit(enrolments_at(e, 0)->last_record == UINT32_MAX ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	enrolments_free(e);
	assert_int_equal(enrolments_open(directory, &e, &bad), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(enrolments_count(e), 1);
	assert_int_equal(enrolments_at(e, 0)->last_record, UINT32_MAX);
	enrolments_free(e);
}

static void a_directory_that_cannot_be_used_is_told(void **state)
{
	char directory[128], path[256];
	struct enrolments *e = NULL;
	unsigned int bad = 9;

	(void)state;
	fresh_directory(directory);
	(void)snprintf(path, sizeof(path), "%s/below", directory);
	assert_int_equal(enrolments_open(path, &e, &bad), -ENOENT);
	write_file(directory, "x", 1);
	assert_int_equal(enrolments_open(directory, &e, &bad), -ENOTDIR);
	assert_null(e);
	assert_int_equal(bad, 9);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_comes_back),
		cmocka_unit_test(the_format_is_this),
		cmocka_unit_test(a_full_device_fits),
		cmocka_unit_test(any_damaged_byte_is_noticed),
		cmocka_unit_test(what_is_not_the_format_is_refused),
		cmocka_unit_test(what_could_not_be_read_back_is_not_written),
		cmocka_unit_test(they_outlive_a_restart),
		cmocka_unit_test(what_is_damaged_is_set_aside),
		cmocka_unit_test(there_is_an_end_to_them),
		cmocka_unit_test(a_write_that_fails_changes_nothing),
		cmocka_unit_test(a_directory_that_cannot_be_used_is_told),
	};
	int r;

	(void)snprintf(root, sizeof(root), "/tmp/wellgate-test-XXXXXX");
	if (!mkdtemp(root))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 ? r : 1;
}
