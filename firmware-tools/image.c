#include "firmware-tools/image.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware-tools/formats/format.h"

const struct firmware_format *const firmware_formats[] = {
#define FORMAT(name, label) &firmware_##name,
#include "firmware-tools/formats/formats.def"
#undef FORMAT
	NULL,
};

static const char no_room[] = "it has more parts than this reads";

const struct firmware_format *firmware_format_by_name(const char *name)
{
	for (size_t i = 0; firmware_formats[i]; i++) {
		if (strcmp(firmware_formats[i]->name, name) == 0)
			return firmware_formats[i];
	}
	return NULL;
}

static const struct firmware_format *find_format(const uint8_t *data, size_t len)
{
	for (size_t i = 0; firmware_formats[i]; i++) {
		if (firmware_formats[i]->probe(data, len))
			return firmware_formats[i];
	}
	return NULL;
}

static struct firmware_image *new_image(const struct firmware_format *format)
{
	struct firmware_image *image = calloc(1, sizeof(*image));

	if (!image)
		return NULL;
	image->format = format;
	image->usb_vendor = image->usb_product = image->usb_release = FIRMWARE_USB_ANY;
	return image;
}

int firmware_read(const uint8_t *data, size_t len, const struct firmware_format *format,
		  const struct firmware_key *key, struct firmware_image **ret, const char **ret_why)
{
	const struct firmware_input in = { data, len, key };
	struct firmware_image *image;
	int r = 0;

	if (!format)
		format = find_format(data, len);
	if (!format)
		return -ENOMSG;
	image = new_image(format);
	if (!image)
		return -ENOMEM;
	if (len > FIRMWARE_FILE_MAX)
		r = firmware_bad(image, "it is larger than any firmware that this knows");
	if (r == 0)
		r = format->read(&in, image);
	if (r == 0 && image->n_segments == 0)
		r = firmware_bad(image, "there is no firmware in it");
	if (r < 0) {
		if (ret_why)
			*ret_why = image->why;
		firmware_free(image);
		return r;
	}
	*ret = image;
	return 0;
}

void firmware_free(struct firmware_image *image)
{
	if (!image)
		return;
	for (size_t i = 0; i < image->n_owned; i++)
		free(image->owned[i]);
	free(image->owned);
	free(image->segments);
	free(image);
}

bool firmware_is_intact(const struct firmware_image *image)
{
	bool good = false;

	for (size_t i = 0; i < image->n_checks; i++) {
		const struct firmware_check *c = &image->checks[i];

		/* a checksum that was not checked leaves bytes that nobody vouches for */
		if (c->result == FIRMWARE_BAD ||
		    (c->result == FIRMWARE_NOT_CHECKED && !c->is_origin))
			return false;
		good = good || c->result == FIRMWARE_GOOD;
	}
	return good;
}

bool firmware_is_genuine(const struct firmware_image *image)
{
	bool good = false;

	for (size_t i = 0; i < image->n_checks; i++) {
		if (!image->checks[i].is_origin)
			continue;
		if (image->checks[i].result != FIRMWARE_GOOD)
			return false;
		good = true;
	}
	return good;
}

const struct firmware_check *firmware_first_bad(const struct firmware_image *image)
{
	for (size_t i = 0; i < image->n_checks; i++) {
		if (image->checks[i].result == FIRMWARE_BAD)
			return &image->checks[i];
	}
	return NULL;
}

const char *firmware_result_name(enum firmware_result result)
{
	static const char *const names[] = { "good", "bad", "not checked" };

	return names[result];
}

/* ---- for the formats ---- */

int firmware_bad(struct firmware_image *image, const char *why)
{
	image->why = why;
	return -EBADMSG;
}

void *firmware_alloc(struct firmware_image *image, size_t len)
{
	void **more = realloc(image->owned, (image->n_owned + 1) * sizeof(*more));
	void *data;

	if (!more)
		return NULL;
	image->owned = more;
	data = calloc(1, len + 1);
	if (data)
		image->owned[image->n_owned++] = data;
	return data;
}

int firmware_add_segment(struct firmware_image *image, const struct firmware_segment *segment)
{
	const size_t n = image->n_segments;
	struct firmware_segment *more;

	if (n >= FIRMWARE_SEGMENTS_MAX)
		return firmware_bad(image, no_room);
	if ((n & (n - 1)) == 0) { /* 0, 1, 2, 4...: that many are full */
		more = realloc(image->segments, (n ? n * 2 : 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		image->segments = more;
	}
	image->segments[n] = *segment;
	image->n_segments++;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct firmware_segment *x = a, *y = b;

	if (x->alternate != y->alternate)
		return x->alternate < y->alternate ? -1 : 1;
	return (x->address > y->address) - (x->address < y->address);
}

int firmware_sort_segments(struct firmware_image *image)
{
	const struct firmware_segment *s = image->segments;

	if (image->n_segments > 0)
		qsort(image->segments, image->n_segments, sizeof(*image->segments), by_place);
	for (size_t i = 1; i < image->n_segments; i++) {
		if (s[i].alternate == s[i - 1].alternate &&
		    (uint64_t)s[i - 1].address + s[i - 1].len > s[i].address)
			return firmware_bad(image, "two parts of it go to the same address");
	}
	return 0;
}

static struct firmware_fact *new_fact(struct firmware_image *image, const char *of,
				      const char *name)
{
	struct firmware_fact *fact;

	assert(image->n_facts < FIRMWARE_FACTS_MAX);
	fact = &image->facts[image->n_facts++];
	fact->of = of;
	fact->name = name;
	return fact;
}

void firmware_number(struct firmware_image *image, const char *of, const char *name, uint64_t value)
{
	struct firmware_fact *fact = new_fact(image, of, name);

	fact->is_number = true;
	(void)snprintf(fact->text, sizeof(fact->text), "%" PRIu64, value);
}

void firmware_hex(struct firmware_image *image, const char *of, const char *name, uint64_t value,
		  int digits)
{
	struct firmware_fact *fact = new_fact(image, of, name);

	(void)snprintf(fact->text, sizeof(fact->text), "0x%0*" PRIx64, digits, value);
}

void firmware_text(struct firmware_image *image, const char *of, const char *name, const char *text)
{
	struct firmware_fact *fact = new_fact(image, of, name);

	(void)snprintf(fact->text, sizeof(fact->text), "%s", text);
}

void firmware_bytes(struct firmware_image *image, const char *of, const char *name,
		    const uint8_t *data, size_t len)
{
	struct firmware_fact *fact = new_fact(image, of, name);

	for (size_t i = 0; i < len && 2 * i + 2 < sizeof(fact->text); i++)
		(void)snprintf(fact->text + 2 * i, 3, "%02x", data[i]);
}

static void add_check(struct firmware_image *image, const struct firmware_check *check)
{
	assert(image->n_checks < FIRMWARE_CHECKS_MAX); /* a bad one may not get lost */
	image->checks[image->n_checks++] = *check;
}

void firmware_check(struct firmware_image *image, const char *of, const char *name, bool good,
		    const char *why)
{
	const struct firmware_check check = {
		.of = of,
		.name = name,
		.result = good ? FIRMWARE_GOOD : FIRMWARE_BAD,
		.why = good ? "" : why,
	};

	add_check(image, &check);
}

void firmware_unchecked(struct firmware_image *image, const char *of, const char *name,
			const char *why)
{
	const struct firmware_check check = {
		.of = of, .name = name, .result = FIRMWARE_NOT_CHECKED, .why = why
	};

	add_check(image, &check);
}

void firmware_signature(struct firmware_image *image, const char *of,
			const struct firmware_key *key, enum firmware_scheme scheme,
			const struct firmware_signed *what)
{
	struct firmware_check check = { .of = of, .name = "signature", .is_origin = true };
	const int r = key ? firmware_key_verify(key, scheme, what) : -ENOKEY;

	check.why = "";
	check.result = r == -ENOKEY ? FIRMWARE_NOT_CHECKED : FIRMWARE_BAD;
	if (r == 0)
		check.result = FIRMWARE_GOOD;
	else if (r == -ENOKEY)
		check.why = "no key was given";
	else if (r == -EPROTOTYPE)
		check.why = "the key is of another kind than the signature";
	else
		check.why = "it was not made with this key, or the image was changed";
	add_check(image, &check);
}

void firmware_unsigned(struct firmware_image *image, const char *of)
{
	const struct firmware_check check = { .of = of,
					      .name = "signature",
					      .is_origin = true,
					      .result = FIRMWARE_NOT_CHECKED,
					      .why = "the image has none" };

	add_check(image, &check);
}
