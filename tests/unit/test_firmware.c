/* links: firmware */
/*
 * Firmware images. The ones in the fuzz corpus were made by other programs (the oracle says how):
 * here they are read, and each is damaged 1,000 times.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-tools/formats/dfu.h"
#include "firmware-tools/formats/nordic_init.h"

#define MUTATIONS 1000
#define FILE_MAX  4096

struct bytes {
	uint8_t data[FILE_MAX];
	size_t len;
};

struct sample {
	const char *file, *format, *key; /* key NULL: it is not signed */
	size_t n_segments;
};

static const struct sample samples[] = {
	{ .file = "dfu", .format = "dfu", .n_segments = 1 },
	{ .file = "dfuse", .format = "dfuse", .n_segments = 2 },
	{ .file = "hex", .format = "intel_hex", .n_segments = 0 },
	{ .file = "nordic-secure", .format = "nordic", .key = "key-ec.pem", .n_segments = 2 },
	{ .file = "nordic-legacy", .format = "nordic", .n_segments = 1 },
	{ .file = "mcuboot-ecdsa", .format = "mcuboot", .key = "key-ec.pem", .n_segments = 1 },
	{ .file = "mcuboot-ed25519", .format = "mcuboot", .key = "key-ed.pem", .n_segments = 1 },
	{ .file = "fitbit", .format = "fitbit", .n_segments = 1 },
	{ .file = "fitbit-image", .format = "fitbit_image", .n_segments = 1 },
};

static void load(const char *name, struct bytes *ret)
{
	char path[512];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", FIRMWARE_CORPUS, name);
	file = fopen(path, "re");
	assert_non_null(file);
	ret->len = fread(ret->data, 1, sizeof(ret->data), file);
	assert_int_equal(fclose(file), 0);
	assert_in_range(ret->len, 1, sizeof(ret->data) - 1);
}

static struct firmware_key *load_key(const char *name)
{
	struct firmware_key *key = NULL;
	struct bytes pem;

	if (!name)
		return NULL;
	load(name, &pem);
	assert_int_equal(firmware_key_read(pem.data, pem.len, &key), 0);
	return key;
}

static struct firmware_image *read_it(const struct bytes *file, const struct firmware_key *key)
{
	struct firmware_image *image = NULL;
	const char *why = NULL;
	const int r = firmware_read(file->data, file->len, NULL, key, &image, &why);

	assert_true(r == 0 ? image && !why : !image);
	assert_true(r == 0 || r == -ENOMSG || (r == -EBADMSG && why && *why));
	return image;
}

static void reads_what_others_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		struct firmware_key *key = load_key(s->key);
		struct firmware_image *image;
		struct bytes file;

		load(s->file, &file);
		image = read_it(&file, key);
		assert_non_null(image);
		assert_string_equal(image->format->name, s->format);
		assert_true(firmware_is_intact(image));
		assert_null(firmware_first_bad(image));
		assert_int_equal(firmware_is_genuine(image), s->key != NULL);
		if (s->n_segments)
			assert_int_equal(image->n_segments, s->n_segments);
		firmware_free(image);
		firmware_key_free(key);
	}
}

static void without_a_key_nothing_is_genuine(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct firmware_image *image;
		struct bytes file;

		load(samples[i].file, &file);
		image = read_it(&file, NULL);
		assert_non_null(image);
		assert_false(firmware_is_genuine(image));
		firmware_free(image);
	}
}

/* ---- damage ---- */

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
	return (*seed >> 8) % below;
}

/* bits, bytes, a piece taken out, a piece put in, the end cut off */
static void damage(struct bytes *file, uint32_t *seed)
{
	const uint32_t kind = draw(seed, 5);
	const uint32_t at = draw(seed, (uint32_t)file->len);
	const uint32_t most = (uint32_t)file->len - at < 16 ? (uint32_t)file->len - at : 16;
	const uint32_t len = 1 + draw(seed, most);
	uint8_t *p = file->data + at;

	switch (kind) {
	case 0:
		*p = (uint8_t)(*p ^ 1U << draw(seed, 8));
		break;
	case 1:
		*p = (uint8_t)(*p + 1 + draw(seed, 255));
		break;
	case 2:
		memmove(p, p + len, file->len - at - len);
		file->len -= len;
		break;
	case 3:
		memmove(p + len, p, file->len - at); /* and so is there twice */
		file->len += len;
		break;
	default:
		file->len = at;
		break;
	}
}

/* A memory image of a Fitbit leaves eight bytes out of its sum, and the sum is two of them. */
static bool same_data(const struct firmware_segment *a, const struct firmware_segment *b)
{
	const bool memory = strcmp(a->name, "memory") == 0;

	for (size_t i = 0; i < a->len; i++) {
		if (a->data[i] != b->data[i] && !(memory && i >= 0x202 && i < 0x208))
			return false;
	}
	return true;
}

static bool same_segment(const struct firmware_segment *a, const struct firmware_segment *b)
{
	return strcmp(a->name, b->name) == 0 && a->has_address == b->has_address &&
	       a->address == b->address && a->alternate == b->alternate && a->len == b->len &&
	       same_data(a, b) && a->init_len == b->init_len &&
	       (!a->init || memcmp(a->init, b->init, a->init_len) == 0);
}

static bool has_fact(const struct firmware_image *image, const struct firmware_fact *fact)
{
	for (size_t i = 0; i < image->n_facts; i++) {
		if (strcmp(image->facts[i].name, fact->name) == 0 &&
		    strcmp(image->facts[i].text, fact->text) == 0)
			return true;
	}
	return false;
}

static bool same_meaning(const struct firmware_image *a, const struct firmware_image *b)
{
	/* behind the bytes that its hash covers are only the signature and hints */
	const bool mcuboot = strcmp(a->format->name, "mcuboot") == 0;

	if (a->format != b->format || a->n_segments != b->n_segments ||
	    (!mcuboot && a->n_facts != b->n_facts) || a->usb_vendor != b->usb_vendor ||
	    a->usb_product != b->usb_product)
		return false;
	for (size_t i = 0; i < a->n_segments && !mcuboot; i++) {
		if (!same_segment(&a->segments[i], &b->segments[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_facts; i++) {
		if (!has_fact(b, &a->facts[i]) &&
		    !(mcuboot && strcmp(a->facts[i].name, "key_hash") == 0))
			return false;
	}
	return true;
}

/* 1 if it was refused */
static unsigned int damage_once(const struct bytes *whole, const struct firmware_image *meant,
				const struct firmware_key *key, uint32_t *seed)
{
	struct bytes *file = malloc(sizeof(*file));
	struct firmware_image *image;
	unsigned int refused = 1;

	assert_non_null(file);
	*file = *whole;
	damage(file, seed);
	image = read_it(file, key);
	if (image && firmware_is_intact(image) && (!key || firmware_is_genuine(image))) {
		refused = 0;
		assert_true(same_meaning(meant, image));
	}
	firmware_free(image);
	free(file);
	return refused;
}

static void damage_is_refused_or_harmless(void **state)
{
	uint32_t seed = 8;

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct firmware_key *key = load_key(samples[i].key);
		struct firmware_image *meant;
		unsigned int refused = 0;
		struct bytes file;

		load(samples[i].file, &file);
		meant = read_it(&file, key);
		for (unsigned int n = 0; n < MUTATIONS; n++)
			refused += damage_once(&file, meant, key, &seed);
		print_message("%s: %u of %u refused\n", samples[i].file, refused, MUTATIONS);
		assert_in_range(refused, MUTATIONS / 2, MUTATIONS);
		firmware_free(meant);
		firmware_key_free(key);
	}
}

/* ---- single parts ---- */

static void every_cut_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		struct bytes file;

		load(samples[i].file, &file);
		while (--file.len > 0) {
			struct firmware_image *image = read_it(&file, NULL);

			/* a line of Intel HEX may do without its line end */
			if (image && strcmp(samples[i].file, "hex") != 0)
				assert_false(firmware_is_intact(image));
			firmware_free(image);
		}
	}
}

static void shared_entries_are_refused(void **state)
{
	struct firmware_image *image = NULL;
	const char *why = NULL;
	struct bytes file;

	(void)state;
	load("overlap", &file);
	assert_int_equal(firmware_read(file.data, file.len, NULL, NULL, &image, &why), -EBADMSG);
	assert_non_null(strstr(why, "share bytes"));
}

static void what_is_packed_is_read(void **state)
{
	static const uint8_t plain[] = "made-up firmware";
	const struct firmware_segment segment = {
		.data = plain, .len = sizeof(plain), .address = 0x08004000, .alternate = 2
	};
	const struct dfu_suffix suffix = {
		.vendor = 0x1209, .product = 1, .release = 2, .version = DFU_VERSION_ST
	};
	struct bytes file = { .len = 0 };
	struct writer w = writer_of(file.data, sizeof(file.data));
	struct firmware_image *image;

	(void)state;
	dfuse_write(&w, &segment, "made up");
	dfu_write_suffix(&w, &suffix);
	assert_true(writer_ok(&w));
	file.len = w.len;
	image = read_it(&file, NULL);
	assert_non_null(image);
	assert_true(firmware_is_intact(image));
	assert_int_equal(image->segments[0].address, 0x08004000);
	assert_int_equal(image->segments[0].alternate, 2);
	assert_memory_equal(image->segments[0].data, plain, sizeof(plain));
	assert_int_equal(image->usb_release, 2);
	firmware_free(image);
}

/* Each size of a DfuSe file made wrong in turn, with a suffix that fits it all the same. */
static void sizes_that_do_not_add_up_are_refused(void **state)
{
	static const size_t sizes[] = { 6, 10, 11 + 266, 11 + 270, 11 + 274 + 4 };
	static const uint8_t plain[] = "made-up firmware";
	const struct firmware_segment segment = { .data = plain, .len = sizeof(plain) };
	const struct dfu_suffix suffix = { .version = DFU_VERSION_ST };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct bytes file = { .len = 0 };
		struct writer w = writer_of(file.data, sizeof(file.data));

		dfuse_write(&w, &segment, NULL);
		file.data[sizes[i / 2]] = (uint8_t)(file.data[sizes[i / 2]] + (i % 2 ? 1 : 255));
		dfu_write_suffix(&w, &suffix);
		file.len = w.len;
		assert_null(read_it(&file, NULL));
	}
}

static void bytes_of_no_target_are_refused(void **state)
{
	static const uint8_t plain[] = "made-up firmware";
	const struct firmware_segment segment = { .data = plain, .len = sizeof(plain) };
	const struct dfu_suffix suffix = { .version = DFU_VERSION_ST };
	struct bytes file = { .len = 0 };
	struct writer w = writer_of(file.data, sizeof(file.data));

	(void)state;
	dfuse_write(&w, &segment, NULL);
	file.data[6] = (uint8_t)(file.data[6] + 4); /* counted in the size of the whole */
	writer_le32(&w, 0);
	dfu_write_suffix(&w, &suffix);
	file.len = w.len;
	assert_null(read_it(&file, NULL));
}

static struct firmware_image *read_hex(const char *text)
{
	struct bytes file = { .len = strlen(text) };

	memcpy(file.data, text, file.len);
	return read_it(&file, NULL);
}

static void segment_addresses_do_not_go_round(void **state)
{
	struct firmware_image *image = read_hex(":020000021000EC\n:02FFFE000102FE\n:00000001FF\n");

	(void)state;
	assert_non_null(image);
	assert_int_equal(image->segments[0].address, 0x1fffe);
	firmware_free(image);
	assert_null(read_hex(":020000021000EC\n:02FFFF000102FD\n:00000001FF\n"));
	assert_null(read_hex(":02000004FFFFFC\n:02FFFF000102FD\n:00000001FF\n"));
}

static void no_address_is_written_twice(void **state)
{
	struct firmware_image *image = read_hex(":020000000102FB\n:020002000304F5\n:00000001FF\n");

	(void)state;
	assert_non_null(image);
	firmware_free(image);
	assert_null(read_hex(":020000000102FB\n:020001000304F6\n:00000001FF\n"));
	assert_null(read_hex(":020002000304F5\n:030000000102FFFB\n:00000001FF\n"));
}

static void only_good_keys_are_taken(void **state)
{
	static const char none[] = "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n";
	struct firmware_key *key = NULL;

	(void)state;
	assert_int_equal(firmware_key_read("", 0, &key), -EBADMSG);
	assert_int_equal(firmware_key_read(none, sizeof(none) - 1, &key), -EBADMSG);
	assert_null(key);
}

static void init_packets_of_neither_kind(void **state)
{
	static const uint8_t half[] = { 0x12, 0x02, 0x0a, 0x00 };
	struct nordic_init init;

	(void)state;
	assert_int_equal(nordic_read_init(NULL, 0, &init), -EBADMSG);
	assert_int_equal(nordic_read_init(half, sizeof(half), &init), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_others_made),
		cmocka_unit_test(without_a_key_nothing_is_genuine),
		cmocka_unit_test(damage_is_refused_or_harmless),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(shared_entries_are_refused),
		cmocka_unit_test(what_is_packed_is_read),
		cmocka_unit_test(bytes_of_no_target_are_refused),
		cmocka_unit_test(sizes_that_do_not_add_up_are_refused),
		cmocka_unit_test(segment_addresses_do_not_go_round),
		cmocka_unit_test(no_address_is_written_twice),
		cmocka_unit_test(only_good_keys_are_taken),
		cmocka_unit_test(init_packets_of_neither_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
