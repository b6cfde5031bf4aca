/* links: firmware */
/*
 * Firmware images, found out by their magic, and then each format by force. What is checked: a
 * failure has a reason and leaves no image; what is read points into the file or into memory of
 * the image, holds no address twice, and reads alike again; what is packed reads back. The input is
 * a policy, too: a bad one names its line, and two versions compare the same way round.
 */
#include <errno.h>
#include <string.h>

#include "firmware-tools/formats/dfu.h"
#include "firmware-tools/policy.h"
#include "tests/fuzz/must.h"

#define PACKED_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t sum(const uint8_t *data, size_t len)
{
	uint32_t s = 0;

	for (size_t i = 0; i < len; i++)
		s = s * 31 + data[i];
	return s;
}

static uint32_t check_segments(const struct firmware_image *image)
{
	uint32_t s = 0;

	must(image->n_segments > 0 && image->n_segments <= FIRMWARE_SEGMENTS_MAX);
	for (size_t i = 0; i < image->n_segments; i++) {
		const struct firmware_segment *a = &image->segments[i];

		must(a->name && a->data && a->len > 0);
		/* every byte is looked at: a sanitizer sees those that are not there */
		s = s * 31 + sum(a->data, a->len) + sum(a->init, a->init_len);
		if (!a->has_address)
			continue;
		must(a->len <= UINT64_C(0x100000000) - a->address);
		if (i > 0 && a[-1].alternate == a->alternate)
			must(a[-1].address + a[-1].len <= a->address);
	}
	return s;
}

static void check_texts(const struct firmware_image *image)
{
	must(image->n_facts <= FIRMWARE_FACTS_MAX && image->n_checks <= FIRMWARE_CHECKS_MAX);
	for (size_t i = 0; i < image->n_facts; i++) {
		must(memchr(image->facts[i].text, 0, FIRMWARE_TEXT));
		for (const char *p = image->facts[i].text; *p; p++)
			must(*p >= 0x20 && *p < 0x7f); /* nothing of the image gets to a terminal */
	}
	for (size_t i = 0; i < image->n_checks; i++)
		must(image->checks[i].why && (image->checks[i].result == FIRMWARE_GOOD) ==
						     (image->checks[i].why[0] == '\0'));
	must(!firmware_is_genuine(image)); /* no key was given */
}

static void read_one(const uint8_t *data, size_t size, const struct firmware_format *format)
{
	struct firmware_image *image = NULL, *again = NULL;
	const char *why = NULL;
	const int r = firmware_read(data, size, format, NULL, &image, &why);

	if (r < 0) {
		must(!image && (r == -EBADMSG ? why && *why : r == -ENOMSG && !format));
		return;
	}
	check_texts(image);
	must(firmware_read(data, size, image->format, NULL, &again, NULL) == 0);
	must(check_segments(image) == check_segments(again));
	firmware_free(again);
	firmware_free(image);
}

static void pack(const uint8_t *data, size_t size)
{
	static uint8_t out[PACKED_MAX + DFU_SUFFIX + DFUSE_OVERHEAD];
	const struct firmware_segment segment = { .data = data, .len = size };
	const struct dfu_suffix suffix = { .version = DFU_VERSION_ST };
	struct writer w = writer_of(out, sizeof(out));
	struct firmware_image *image = NULL;

	dfuse_write(&w, &segment, NULL);
	dfu_write_suffix(&w, &suffix);
	must(writer_ok(&w) && firmware_read(out, w.len, NULL, NULL, &image, NULL) == 0);
	must(image->n_segments == 1 && image->segments[0].len == size);
	must(memcmp(image->segments[0].data, data, size) == 0 && firmware_is_intact(image));
	firmware_free(image);
}

static void read_policy(const uint8_t *data, size_t size)
{
	struct policy *policy = NULL;
	const char *why = NULL;
	unsigned int line = 0;
	char *text = calloc(1, size + 1);
	int r;

	must(text);
	memcpy(text, data, size);
	r = policy_compare(text, "1.2");
	must(policy_compare("1.2", text) == (r == POLICY_NOT_COMPARABLE ? r : -r));
	r = policy_read(text, size, &policy, &line, &why);
	must(r == 0 ? policy != NULL : r == -EBADMSG && !policy && line >= 1 && why);
	if (policy)
		(void)policy_judge(policy, "Maker", "Model", "1.2", NULL);
	policy_free(policy);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		read_policy(data, size);
	read_one(data, size, NULL);
	for (size_t i = 0; firmware_formats[i]; i++)
		read_one(data, size, firmware_formats[i]);
	if (size > 0 && size <= PACKED_MAX)
		pack(data, size);
	return 0;
}
