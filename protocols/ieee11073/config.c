#include "protocols/ieee11073/config.h"

#include <errno.h>
#include <string.h>

#include "protocols/ieee11073/mder.h"
#include "protocols/ieee11073/nomenclature.h"

#define TICKS_OF_MS 8 /* of RelativeTime */

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define NUMERIC(h, t, u)                                                               \
	.object_class = MDC_CLASS_NUMERIC, .handle = (h), .partition = MDC_PART_SCADA, \
	.type = (t), .unit = (u)
#define STAMP                                                              \
	{                                                                  \
		.attribute = MDC_ATTR_STAMP_ABS, .len = MDER_ABSOLUTE_TIME \
	}
#define VALUE(a, l)                          \
	{                                    \
		.attribute = (a), .len = (l) \
	}

static const struct phd_config STANDARD[] = {
	/* -10404; 0190 without a time stamp */
	{ .id = 0x0190,
	  .n_objects = 2,
	  .objects = { { NUMERIC(1, 19384, MDC_DIM_PERCENT), .first_map = 0, .n_map = 1 },
		       { NUMERIC(10, 18458, MDC_DIM_BPM), .first_map = 1, .n_map = 1 } },
	  .n_map = 2,
	  .map = { VALUE(MDC_ATTR_NU_BASIC, 2), VALUE(MDC_ATTR_NU_BASIC, 2) } },
	{ .id = 0x0191,
	  .n_objects = 2,
	  .objects = { { NUMERIC(1, 19384, MDC_DIM_PERCENT), .first_map = 0, .n_map = 2 },
		       { NUMERIC(10, 18458, MDC_DIM_BPM), .first_map = 2, .n_map = 2 } },
	  .n_map = 4,
	  .map = { VALUE(MDC_ATTR_NU_BASIC, 2), STAMP, VALUE(MDC_ATTR_NU_BASIC, 2), STAMP } },
	/* -10407 */
	{ .id = 0x02bc,
	  .n_objects = 2,
	  .objects = { { NUMERIC(1, 18948, MDC_DIM_MMHG), .n_metrics = 3, .n_map = 2 },
		       { NUMERIC(2, 18474, MDC_DIM_BPM), .first_map = 2, .n_map = 2 } },
	  .n_map = 4,
	  .map = { VALUE(MDC_ATTR_CMPD_BASIC, 10), STAMP, VALUE(MDC_ATTR_NU_BASIC, 2), STAMP },
	  .n_metrics = 3,
	  .metrics = { 18949, 18950, 18951 } },
	/* -10415 */
	{ .id = 0x05dc,
	  .n_objects = 1,
	  .objects = { { NUMERIC(1, 57664, MDC_DIM_KG), .n_map = 2 } },
	  .n_map = 2,
	  .map = { VALUE(MDC_ATTR_NU_SIMPLE, 4), STAMP } },
	/* -10417 */
	{ .id = 0x06a4,
	  .n_objects = 1,
	  .objects = { { NUMERIC(1, 29112, MDC_DIM_MG_DL), .n_map = 2 } },
	  .n_map = 2,
	  .map = { VALUE(MDC_ATTR_NU_BASIC, 2), STAMP } },
};

const struct phd_config *phd_config_standard(uint16_t id)
{
	for (size_t i = 0; i < N(STANDARD); i++) {
		if (STANDARD[i].id == id)
			return &STANDARD[i];
	}
	return NULL;
}

/* ---- the configuration report ---- */

/* AttrValMap, added to what the map of the object at the end holds */
static int read_map(struct cursor *c, uint16_t handle, struct phd_config *config,
		    struct phd_object *o)
{
	unsigned int count;
	struct cursor items = mder_list(c, 4, &count);

	if (count > (unsigned int)PHD_MAPS_MAX - config->n_map)
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++) {
		struct phd_map_entry *entry = &config->map[config->n_map++];

		entry->handle = handle;
		entry->attribute = cursor_be16(&items);
		entry->len = cursor_be16(&items);
		o->n_map++;
	}
	return cursor_at_end(&items) ? 0 : -EMSGSIZE;
}

/* HandleAttrValMap: what a scanner puts into one group */
static int read_scan_map(struct cursor *c, struct phd_config *config, struct phd_object *o)
{
	unsigned int count;
	struct cursor items = mder_list(c, 2 + MDER_LIST_HEADER, &count);

	for (unsigned int i = 0; i < count; i++) {
		uint16_t handle = cursor_be16(&items);
		int r = read_map(&items, handle, config, o);

		if (r < 0)
			return r;
		/* that is the device; and 0 is how a map says that it is no scanner's */
		if (handle == 0)
			return -EBADMSG;
	}
	return cursor_at_end(&items) ? 0 : -EMSGSIZE;
}

static int read_metrics(struct cursor *c, struct phd_config *config, struct phd_object *o)
{
	unsigned int count;
	struct cursor items = mder_list(c, 2, &count);

	if (count > PHD_METRICS_MAX || count > (unsigned int)PHD_NUMBERS_MAX - config->n_metrics)
		return -ENOBUFS;
	o->first_metric = (uint8_t)config->n_metrics;
	for (unsigned int i = 0; i < count; i++)
		config->metrics[config->n_metrics++] = cursor_be16(&items);
	o->n_metrics = (uint8_t)count;
	return cursor_at_end(&items) ? 0 : -EMSGSIZE;
}

/* false: the object has a map already, and nobody knows which of them holds */
static bool begin_map(const struct phd_config *config, struct phd_object *o)
{
	if (o->n_map > 0)
		return false;
	o->first_map = config->n_map;
	return true;
}

/* from ticks of 125 us */
static uint16_t to_ms(uint32_t ticks)
{
	uint32_t ms = ticks / TICKS_OF_MS;

	if (ms == 0 && ticks > 0)
		return 1;
	return ms > UINT16_MAX ? UINT16_MAX : (uint16_t)ms;
}

static int read_object_attribute(struct mder_attribute *a, struct phd_config *config,
				 struct phd_object *o)
{
	int r = 0;

	switch (a->id) {
	case MDC_ATTR_TYPE:
		o->partition = cursor_be16(&a->value);
		o->type = cursor_be16(&a->value);
		break;
	case MDC_ATTR_UNIT:
		o->unit = cursor_be16(&a->value);
		break;
	case MDC_ATTR_CONFIRM_TIMEOUT:
		o->confirm_timeout_ms = to_ms(cursor_be32(&a->value));
		break;
	case MDC_ATTR_METRIC_LIST:
		r = o->n_metrics > 0 ? -EBADMSG : read_metrics(&a->value, config, o);
		break;
	case MDC_ATTR_VALUE_MAP:
		r = begin_map(config, o) ? read_map(&a->value, 0, config, o) : -EBADMSG;
		break;
	case MDC_ATTR_SCAN_HANDLE_MAP:
		r = begin_map(config, o) ? read_scan_map(&a->value, config, o) : -EBADMSG;
		break;
	default:
		return 0;
	}
	if (r < 0)
		return r;
	return cursor_at_end(&a->value) ? 0 : -EBADMSG;
}

/* ConfigObject: class, handle, attributes */
static int read_object(struct cursor *c, struct phd_config *config, struct phd_object *ret)
{
	struct phd_object o = {
		.object_class = cursor_be16(c),
		.handle = cursor_be16(c),
	};
	struct mder_attribute a;
	struct cursor items;
	unsigned int count;
	int r;

	items = mder_list(c, MDER_LIST_HEADER, &count);
	if (!cursor_ok(c) || !mder_attributes_valid(items, count))
		return -EMSGSIZE;
	while (mder_attribute(&items, &a)) {
		r = read_object_attribute(&a, config, &o);
		if (r < 0)
			return r;
	}
	*ret = o;
	return 0;
}

int phd_config_decode(const uint8_t *info, size_t len, struct phd_config *ret)
{
	struct cursor c = cursor_of(info, len), items;
	struct phd_config config = { .id = cursor_be16(&c) };
	struct phd_object o;
	unsigned int count;
	int r;

	items = mder_list(&c, 4 + MDER_LIST_HEADER, &count);
	if (!cursor_at_end(&c))
		return -EMSGSIZE;
	if (config.id == 0 || config.id > PHD_CONFIG_EXTENDED_LAST)
		return -EBADMSG;
	if (count > PHD_OBJECTS_MAX || len > PHD_CONFIG_BYTES_MAX)
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++) {
		r = read_object(&items, &config, &o);
		if (r < 0)
			return r;
		if (o.handle == 0 || phd_config_object(&config, o.handle))
			return -EBADMSG;
		config.objects[config.n_objects++] = o;
	}
	if (!cursor_at_end(&items))
		return -EMSGSIZE;
	*ret = config;
	return 0;
}

/* the first n entries, as an AttrValMap */
static void write_map(struct writer *w, const struct phd_map_entry *map, size_t n)
{
	size_t list = mder_begin_list(w, (unsigned int)n);

	for (size_t i = 0; i < n; i++) {
		writer_be16(w, map[i].attribute);
		writer_be16(w, map[i].len);
	}
	mder_end(w, list);
}

/* how many entries at the beginning are about one object */
static size_t group_len(const struct phd_map_entry *map, size_t n)
{
	size_t len = 0;

	while (len < n && map[len].handle == map[0].handle)
		len++;
	return len;
}

static void write_scan_map(struct writer *w, const struct phd_map_entry *map, size_t n)
{
	unsigned int groups = 0;
	size_t list;

	for (size_t i = 0; i < n; i += group_len(map + i, n - i))
		groups++;
	list = mder_begin_list(w, groups);
	while (n > 0) {
		size_t len = group_len(map, n);

		writer_be16(w, map->handle);
		write_map(w, map, len);
		map += len;
		n -= len;
	}
	mder_end(w, list);
}

static void write_metrics(struct writer *w, const uint16_t *metrics, size_t n)
{
	size_t value, list;

	writer_be16(w, MDC_ATTR_METRIC_LIST);
	value = mder_begin(w);
	list = mder_begin_list(w, (unsigned int)n);
	for (size_t i = 0; i < n; i++)
		writer_be16(w, metrics[i]);
	mder_end(w, list);
	mder_end(w, value);
}

static void write_maps(struct writer *w, const struct phd_map_entry *map, size_t n)
{
	bool is_scanner = map->handle != 0;
	size_t value;

	writer_be16(w, is_scanner ? MDC_ATTR_SCAN_HANDLE_MAP : MDC_ATTR_VALUE_MAP);
	value = mder_begin(w);
	if (is_scanner)
		write_scan_map(w, map, n);
	else
		write_map(w, map, n);
	mder_end(w, value);
}

static void write_object(struct writer *w, const struct phd_config *config,
			 const struct phd_object *o)
{
	bool has_type = o->partition != 0, has_unit = o->unit != 0;
	bool has_metrics = o->n_metrics != 0, has_map = o->n_map != 0;
	bool has_timeout = o->confirm_timeout_ms != 0;
	size_t begun;

	writer_be16(w, o->object_class);
	writer_be16(w, o->handle);
	begun = mder_begin_list(w, (unsigned int)has_type + has_unit + has_metrics + has_map +
					   has_timeout);
	if (has_type) {
		writer_be16(w, MDC_ATTR_TYPE);
		writer_be16(w, 4);
		writer_be16(w, o->partition);
		writer_be16(w, o->type);
	}
	if (has_metrics)
		write_metrics(w, &config->metrics[o->first_metric], o->n_metrics);
	if (has_unit) {
		writer_be16(w, MDC_ATTR_UNIT);
		writer_be16(w, 2);
		writer_be16(w, o->unit);
	}
	if (has_map)
		write_maps(w, &config->map[o->first_map], o->n_map);
	if (has_timeout) {
		writer_be16(w, MDC_ATTR_CONFIRM_TIMEOUT);
		writer_be16(w, 4);
		writer_be32(w, (uint32_t)o->confirm_timeout_ms * TICKS_OF_MS);
	}
	mder_end(w, begun);
}

int phd_config_encode(const struct phd_config *config, uint8_t *buffer, size_t size,
		      size_t *ret_len)
{
	struct writer w = writer_of(buffer, size);
	size_t begun;

	writer_be16(&w, config->id);
	begun = mder_begin_list(&w, config->n_objects);
	for (size_t i = 0; i < config->n_objects; i++)
		write_object(&w, config, &config->objects[i]);
	mder_end(&w, begun);
	if (!writer_ok(&w))
		return -EMSGSIZE;
	*ret_len = w.len;
	return 0;
}

/* ---- cache ---- */

static struct phd_cached *find(struct phd_cache *cache, const uint8_t *system_id,
			       uint16_t config_id)
{
	for (size_t i = 0; i < PHD_CACHE_MAX; i++) {
		struct phd_cached *row = &cache->rows[i];

		if (row->used > 0 && row->config.id == config_id &&
		    memcmp(row->system_id, system_id, APDU_SYSTEM_ID) == 0)
			return row;
	}
	return NULL;
}

/* keeps the order of the others: `used` never grows beyond the number of rows */
static void touch(struct phd_cache *cache, struct phd_cached *row)
{
	for (size_t i = 0; i < PHD_CACHE_MAX; i++) {
		if (cache->rows[i].used > row->used || row->used == 0)
			cache->rows[i].used -= cache->rows[i].used > 1 ? 1 : 0;
	}
	row->used = PHD_CACHE_MAX;
}

const struct phd_config *phd_cache_find(struct phd_cache *cache, const uint8_t *system_id,
					uint16_t config_id)
{
	struct phd_cached *row = find(cache, system_id, config_id);

	if (!row)
		return NULL;
	touch(cache, row);
	return &row->config;
}

void phd_cache_put(struct phd_cache *cache, const uint8_t *system_id,
		   const struct phd_config *config)
{
	struct phd_cached *row = find(cache, system_id, config->id);

	if (!row) {
		row = &cache->rows[0];
		for (size_t i = 1; i < PHD_CACHE_MAX; i++) {
			if (cache->rows[i].used < row->used)
				row = &cache->rows[i];
		}
		row->used = 0;
	}
	memcpy(row->system_id, system_id, APDU_SYSTEM_ID);
	row->config = *config;
	touch(cache, row);
}

void phd_cache_forget(struct phd_cache *cache, const uint8_t *system_id, uint16_t config_id)
{
	struct phd_cached *row = find(cache, system_id, config_id);

	if (row)
		memset(row, 0, sizeof(*row));
}

int phd_cache_export(const struct phd_cache *cache, size_t row, uint8_t *buffer, size_t size,
		     size_t *ret_len)
{
	size_t len;
	int r;

	if (row >= PHD_CACHE_MAX || cache->rows[row].used == 0)
		return -ENOENT;
	if (size < APDU_SYSTEM_ID)
		return -EMSGSIZE;
	memcpy(buffer, cache->rows[row].system_id, APDU_SYSTEM_ID);
	r = phd_config_encode(&cache->rows[row].config, buffer + APDU_SYSTEM_ID,
			      size - APDU_SYSTEM_ID, &len);
	if (r < 0)
		return r;
	*ret_len = APDU_SYSTEM_ID + len;
	return 0;
}

int phd_cache_import(struct phd_cache *cache, const uint8_t *bytes, size_t len)
{
	struct phd_config config;
	int r;

	if (len < APDU_SYSTEM_ID)
		return -EMSGSIZE;
	r = phd_config_decode(bytes + APDU_SYSTEM_ID, len - APDU_SYSTEM_ID, &config);
	if (r < 0)
		return r;
	phd_cache_put(cache, bytes, &config);
	return 0;
}
