/* libzip has a time_t within zip_stat_t: on 32-bit processors Debian 12 made it with the short
 * one */
#undef _TIME_BITS
#include "firmware-tools/package.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "protocols/bytes/zip.h"

static const char no_zip[] = "it is no zip archive, or a cut one";
static const char harm[] = "its archive was made to do harm: entries of it share bytes";
static const char names[] = "its archive has names that no firmware package has";
static const char sizes[] = "its archive unpacks to absurd sizes: it was made to do harm";
static const char damaged[] = "its archive is damaged or contradicts itself";

struct package {
	zip_t *zip;
};

/* ---- before the library may see it */

static int read_ranges(struct cursor list, size_t n, struct zip_range ranges[PACKAGE_ENTRIES_MAX],
		       struct firmware_image *image)
{
	for (size_t i = 0; i < n; i++) {
		if (zip_next_range(&list, &ranges[i]) < 0)
			return firmware_bad(image, no_zip);
	}
	return cursor_at_end(&list) ? 0 : firmware_bad(image, no_zip);
}

static bool overlap(const struct zip_range *a, const struct zip_range *b)
{
	return a->start < b->end && b->start < a->end;
}

static int guard(struct firmware_image *image, const uint8_t *data, size_t len)
{
	struct zip_range ranges[PACKAGE_ENTRIES_MAX] = { 0 };
	const size_t tail = len < ZIP_TAIL_MAX ? len : ZIP_TAIL_MAX;
	struct zip_list list = { 0 };
	int r;

	if (zip_find_list(data + len - tail, tail, len, &list) < 0)
		return firmware_bad(image, no_zip);
	if (list.n > PACKAGE_ENTRIES_MAX)
		return firmware_bad(image,
				    "its archive has more files than a firmware package has");
	r = read_ranges(cursor_of(data + list.at, list.len), list.n, ranges, image);
	for (size_t i = 0; i < list.n && r == 0; i++) {
		if (ranges[i].end > list.at)
			r = firmware_bad(image, harm);
		for (size_t k = 0; k < i && r == 0; k++) {
			if (overlap(&ranges[i], &ranges[k]))
				r = firmware_bad(image, harm);
		}
	}
	return r;
}

/* ---- what the library says of it */

/* letters, digits and a few marks, no folder: such packages are flat */
static bool is_plain(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-+";
	const size_t len = strlen(name);

	return len > 0 && len <= PACKAGE_NAME_MAX && name[0] != '.' && strspn(name, allowed) == len;
}

static int check_entry(struct firmware_image *image, zip_t *zip, zip_uint64_t i, uint64_t *total)
{
	const uint64_t need =
		ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_ENCRYPTION_METHOD;
	zip_stat_t st;

	zip_stat_init(&st);
	if (zip_stat_index(zip, i, ZIP_FL_UNCHANGED, &st) < 0 || (st.valid & need) != need)
		return firmware_bad(image, damaged);
	if (!is_plain(st.name) || zip_name_locate(zip, st.name, 0) != (zip_int64_t)i)
		return firmware_bad(image, names);
	if (st.encryption_method != ZIP_EM_NONE)
		return firmware_bad(image, "its archive is encrypted");
	*total += st.size;
	if (st.size > PACKAGE_ENTRY_MAX || *total > PACKAGE_TOTAL_MAX ||
	    (st.size > PACKAGE_RATIO_FROM && st.size / PACKAGE_RATIO_MAX > st.comp_size))
		return firmware_bad(image, sizes);
	return 0;
}

static int check_entries(struct firmware_image *image, zip_t *zip)
{
	const zip_int64_t n = zip_get_num_entries(zip, 0);
	uint64_t total = 0;
	int r = 0;

	for (zip_int64_t i = 0; i < n && r == 0; i++)
		r = check_entry(image, zip, (zip_uint64_t)i, &total);
	return r;
}

static int open_zip(struct firmware_image *image, const uint8_t *data, size_t len, zip_t **ret)
{
	zip_source_t *source = zip_source_buffer_create(data, len, 0, NULL);

	if (!source)
		return -ENOMEM;
	*ret = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
	if (*ret)
		return 0;
	zip_source_free(source);
	return firmware_bad(image, damaged);
}

int package_open(struct firmware_image *image, const uint8_t *data, size_t len,
		 struct package **ret)
{
	int r = guard(image, data, len);
	struct package *package;

	if (r < 0)
		return r;
	package = calloc(1, sizeof(*package));
	if (!package)
		return -ENOMEM;
	r = open_zip(image, data, len, &package->zip);
	if (r == 0)
		r = check_entries(image, package->zip);
	if (r < 0) {
		package_close(package);
		return r;
	}
	*ret = package;
	return 0;
}

void package_close(struct package *package)
{
	if (!package)
		return;
	if (package->zip)
		zip_discard(package->zip);
	free(package);
}

int package_read(struct package *package, struct firmware_image *image, const char *name,
		 const uint8_t **ret, size_t *ret_len)
{
	zip_file_t *file;
	zip_stat_t st;
	uint8_t *data;
	uint8_t one;
	bool good;

	zip_stat_init(&st);
	if (zip_stat(package->zip, name, 0, &st) < 0)
		return -ENOENT;
	data = firmware_alloc(image, (size_t)st.size);
	if (!data)
		return -ENOMEM;
	file = zip_fopen_index(package->zip, st.index, 0);
	if (!file)
		return firmware_bad(image, damaged);
	/* one byte more than it said: its end, and with it the checksum, is reached */
	good = zip_fread(file, data, st.size) == (zip_int64_t)st.size &&
	       zip_fread(file, &one, 1) == 0;
	if (zip_fclose(file) != 0 || !good)
		return firmware_bad(image, damaged);
	*ret = data;
	*ret_len = (size_t)st.size;
	return 0;
}
