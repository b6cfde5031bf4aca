/* links: protocols */
/*
 * Every GATT codec. The first byte chooses the codec (a row of codecs[], which therefore only grows
 * at its end), the rest is the attribute value. What decodes must encode, to the same bytes, and
 * these must decode again; what does not decode must leave the result alone.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/gatt/activity.h"
#include "protocols/gatt/battery.h"
#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/body_composition.h"
#include "protocols/gatt/device_information.h"
#include "protocols/gatt/glucose.h"
#include "protocols/gatt/heart_rate.h"
#include "protocols/gatt/plx.h"
#include "protocols/gatt/racp.h"
#include "protocols/gatt/rsc.h"
#include "protocols/gatt/temperature.h"
#include "protocols/gatt/time.h"
#include "protocols/gatt/user_control.h"
#include "protocols/gatt/weight.h"

#define VALUE_MAX   512  /* longest attribute value */
#define DECODED_MAX 2048 /* largest struct */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct codec {
	int (*decode)(const uint8_t *data, size_t len, void *ret);
	int (*encode)(const void *x, struct writer *w);
	size_t size;
};

#define DEFINE(codec, type, argument)                                         \
	static int decode_##codec(const uint8_t *data, size_t len, void *ret) \
	{                                                                     \
		return gatt_##codec##_decode(data, len, ret);                 \
	}                                                                     \
	static int encode_##codec(const void *x, struct writer *w)            \
	{                                                                     \
		return gatt_##codec##_encode(argument, w);                    \
	}                                                                     \
	_Static_assert(sizeof(type) <= DECODED_MAX, "room for " #codec)
/* an encoder that takes a pointer, and one that takes the value */
#define OF_STRUCT(codec, type) DEFINE(codec, struct type, x);
#define OF_VALUE(codec, type)  DEFINE(codec, type, *(const type *)x);

/* ROW(codec, its struct) or VALUE(codec, its scalar), in the order of the first byte */
#define CODECS(ROW, VALUE)                                           \
	ROW(date_time, gatt_date_time)                               \
	ROW(current_time, gatt_current_time)                         \
	ROW(local_time_information, gatt_local_time_information)     \
	ROW(weight, gatt_weight)                                     \
	ROW(weight_feature, gatt_weight_feature)                     \
	ROW(body_composition, gatt_body_composition)                 \
	ROW(body_composition_feature, gatt_body_composition_feature) \
	ROW(blood_pressure, gatt_blood_pressure)                     \
	ROW(blood_pressure_feature, gatt_blood_pressure_feature)     \
	ROW(enhanced_blood_pressure, gatt_enhanced_blood_pressure)   \
	ROW(enhanced_cuff_pressure, gatt_enhanced_blood_pressure)    \
	ROW(blood_pressure_record, gatt_blood_pressure_record)       \
	ROW(heart_rate, gatt_heart_rate)                             \
	VALUE(body_sensor_location, enum gatt_body_sensor_location)  \
	VALUE(heart_rate_control, uint8_t)                           \
	ROW(temperature, gatt_temperature)                           \
	VALUE(temperature_type, enum gatt_temperature_type)          \
	VALUE(measurement_interval, uint16_t)                        \
	ROW(glucose, gatt_glucose)                                   \
	ROW(glucose_context, gatt_glucose_context)                   \
	VALUE(glucose_feature, uint16_t)                             \
	ROW(plx_spot, gatt_plx_spot)                                 \
	ROW(plx_continuous, gatt_plx_continuous)                     \
	ROW(plx_features, gatt_plx_features)                         \
	ROW(racp, gatt_racp)                                         \
	ROW(user_control, gatt_user_control)                         \
	VALUE(user_index, uint8_t)                                   \
	VALUE(database_change, uint32_t)                             \
	ROW(system_id, gatt_system_id)                               \
	ROW(pnp_id, gatt_pnp_id)                                     \
	ROW(battery, gatt_battery)                                   \
	ROW(activity, gatt_activity)                                 \
	ROW(steps, gatt_steps)                                       \
	ROW(sleep, gatt_sleep)                                       \
	ROW(rsc, gatt_rsc)                                           \
	VALUE(rsc_feature, uint16_t)

CODECS(OF_STRUCT, OF_VALUE)

#define ROW_OF_STRUCT(codec, type) { decode_##codec, encode_##codec, sizeof(struct type) },
#define ROW_OF_VALUE(codec, type)  { decode_##codec, encode_##codec, sizeof(type) },

static const struct codec codecs[] = { CODECS(ROW_OF_STRUCT, ROW_OF_VALUE) };

#define N_CODECS (sizeof(codecs) / sizeof(codecs[0]))

static void must(int truth)
{
	if (!truth)
		abort();
}

static void run_codec(const struct codec *codec, const uint8_t *data, size_t len)
{
	static _Alignas(16) uint8_t decoded[DECODED_MAX], untouched[DECODED_MAX];
	uint8_t encoded[VALUE_MAX];
	struct writer w = writer_of(encoded, sizeof(encoded)), small;

	memset(decoded, 0xa5, codec->size);
	memset(untouched, 0xa5, codec->size);
	if (codec->decode(data, len, decoded) < 0) {
		must(memcmp(decoded, untouched, codec->size) == 0);
		return;
	}
	must(codec->encode(decoded, &w) == 0);
	must(w.len == len && memcmp(encoded, data, len) == 0);
	small = writer_of(encoded, len - 1);
	must(codec->encode(decoded, &small) < 0 && small.len == 0);
	must(codec->decode(data, len, decoded) == 0);
}

/* text is not a struct: padding goes, and what is left is stable */
static void run_text(const uint8_t *data, size_t len)
{
	char text[GATT_TEXT_MAX + 1], again[GATT_TEXT_MAX + 1];
	uint8_t encoded[GATT_TEXT_MAX];
	struct writer w = writer_of(encoded, sizeof(encoded));

	if (gatt_text(data, len, text, sizeof(text)) < 0)
		return;
	must(gatt_text_encode(text, &w) == 0);
	must(gatt_text(encoded, w.len, again, sizeof(again)) == (int)w.len);
	must(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > VALUE_MAX + 1)
		return 0;
	if (data[0] < N_CODECS)
		run_codec(&codecs[data[0]], data + 1, size - 1);
	else
		run_text(data + 1, size - 1);
	return 0;
}
