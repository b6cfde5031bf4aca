/* links: protocols */
/*
 * Every decoder with every input of 1 and 2 bytes, and with every value of each of its first three
 * bytes before bodies of all lengths: good or an error of the header's, and then with the result
 * untouched. WELLGATE_SHORT_BYTES=3 adds every input of 3 bytes, which takes minutes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocols/att/pdu.h"
#include "protocols/beurer/cuff.h"
#include "protocols/colmi/ring.h"
#include "protocols/dfu/smp.h"
#include "protocols/fitbit/advert.h"
#include "protocols/fitbit/live.h"
#include "protocols/fitbit/message.h"
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
#include "protocols/ieee11073/apdu.h"
#include "protocols/ieee11073/config.h"
#include "protocols/ieee11073/store.h"
#include "protocols/microlife/cuff.h"
#include "protocols/microlife/frame.h"
#include "protocols/omron/frame.h"
#include "protocols/omron/record.h"
#include "protocols/phdc/descriptor.h"
#include "protocols/phdc/stream.h"
#include "protocols/xiaomi/scale.h"

enum {
	BODY_MAX = 40,
	RESULT_MAX = 16384,
	UNTOUCHED = 0xa5,
};

struct decoder {
	const char *name;
	int (*decode)(const uint8_t *data, size_t len, void *ret);
	/* NULL: none. What was decoded is these very bytes again. */
	int (*encode)(const void *x, struct writer *w);
	size_t size; /* of the result */
};

#define CODEC(codec, type, argument)                                          \
	static int decode_##codec(const uint8_t *data, size_t len, void *ret) \
	{                                                                     \
		return gatt_##codec##_decode(data, len, ret);                 \
	}                                                                     \
	static int encode_##codec(const void *x, struct writer *w)            \
	{                                                                     \
		return gatt_##codec##_encode(argument, w);                    \
	}                                                                     \
	_Static_assert(sizeof(type) <= RESULT_MAX, "room for " #codec);
#define CODEC_STRUCT(codec, type) CODEC(codec, struct type, x)
#define CODEC_VALUE(codec, type)  CODEC(codec, type, *(const type *)x)

#define GATT(STRUCT, VALUE)                                             \
	STRUCT(date_time, gatt_date_time)                               \
	STRUCT(current_time, gatt_current_time)                         \
	STRUCT(local_time_information, gatt_local_time_information)     \
	STRUCT(weight, gatt_weight)                                     \
	STRUCT(weight_feature, gatt_weight_feature)                     \
	STRUCT(body_composition, gatt_body_composition)                 \
	STRUCT(body_composition_feature, gatt_body_composition_feature) \
	STRUCT(blood_pressure, gatt_blood_pressure)                     \
	STRUCT(blood_pressure_feature, gatt_blood_pressure_feature)     \
	STRUCT(enhanced_blood_pressure, gatt_enhanced_blood_pressure)   \
	STRUCT(enhanced_cuff_pressure, gatt_enhanced_blood_pressure)    \
	STRUCT(blood_pressure_record, gatt_blood_pressure_record)       \
	STRUCT(heart_rate, gatt_heart_rate)                             \
	VALUE(body_sensor_location, enum gatt_body_sensor_location)     \
	VALUE(heart_rate_control, uint8_t)                              \
	STRUCT(temperature, gatt_temperature)                           \
	VALUE(temperature_type, enum gatt_temperature_type)             \
	VALUE(measurement_interval, uint16_t)                           \
	STRUCT(glucose, gatt_glucose)                                   \
	STRUCT(glucose_context, gatt_glucose_context)                   \
	VALUE(glucose_feature, uint16_t)                                \
	STRUCT(plx_spot, gatt_plx_spot)                                 \
	STRUCT(plx_continuous, gatt_plx_continuous)                     \
	STRUCT(plx_features, gatt_plx_features)                         \
	STRUCT(racp, gatt_racp)                                         \
	STRUCT(user_control, gatt_user_control)                         \
	VALUE(user_index, uint8_t)                                      \
	VALUE(database_change, uint32_t)                                \
	STRUCT(system_id, gatt_system_id)                               \
	STRUCT(pnp_id, gatt_pnp_id)                                     \
	STRUCT(battery, gatt_battery)                                   \
	STRUCT(activity, gatt_activity)                                 \
	STRUCT(steps, gatt_steps)                                       \
	STRUCT(sleep, gatt_sleep)                                       \
	STRUCT(rsc, gatt_rsc)                                           \
	VALUE(rsc_feature, uint16_t)

GATT(CODEC_STRUCT, CODEC_VALUE)

/* a stretch of the input, or a number of things in it */
struct stretch {
	const uint8_t *data;
	size_t len;
};

struct nights {
	struct colmi_night night[COLMI_NIGHTS_MAX];
	size_t n;
};

static int nights(const uint8_t *data, size_t len, struct nights *ret)
{
	return colmi_sleep_decode(data, len, ret->night, &ret->n);
}

static int answer(const uint8_t *data, size_t len, struct stretch *ret)
{
	return microlife_answer(data, len, &ret->data, &ret->len);
}

static int frame(const uint8_t *data, size_t len, struct stretch *ret)
{
	return microlife_frame_decode(data, len, &ret->data, &ret->len);
}

#define OTHER(name, type, call)                                              \
	static int decode_##name(const uint8_t *data, size_t len, void *ret) \
	{                                                                    \
		return call;                                                 \
	}                                                                    \
	_Static_assert(sizeof(type) <= RESULT_MAX, "room for " #name);

#define OTHERS(ROW)                                                                               \
	ROW(bm85, struct gatt_blood_pressure, gatt_blood_pressure_decode_bm85(data, len, ret))    \
	ROW(xiaomi, struct xiaomi_scale, xiaomi_scale_decode(data, len, ret))                     \
	ROW(xiaomi_history, struct xiaomi_history_frame, xiaomi_history_decode(data, len, ret))   \
	ROW(beurer_serial, struct beurer_reading, beurer_serial_decode(data, len, ret))           \
	ROW(beurer_hid, struct beurer_reading, beurer_hid_decode(data, len, ret))                 \
	ROW(beurer_cardio, struct beurer_row, beurer_cardio_decode(data, len, ret))               \
	ROW(colmi_frame, uint8_t, colmi_frame_check(data, len, ret))                              \
	ROW(colmi_battery, uint8_t, colmi_battery_decode(data, len, ret))                         \
	ROW(colmi_rates, struct colmi_heart_rates, colmi_heart_rates_decode(data, len, ret))      \
	ROW(colmi_steps, struct colmi_steps, colmi_steps_decode(data, len, ret))                  \
	ROW(colmi_big, size_t, colmi_big_length(data, len, ret))                                  \
	ROW(colmi_sleep, struct nights, nights(data, len, ret))                                   \
	ROW(microlife_answer, struct stretch, answer(data, len, ret))                             \
	ROW(microlife_memory, size_t, microlife_memory(data, len, ret))                           \
	ROW(microlife_clock, struct microlife_time, microlife_clock(data, len, ret))              \
	ROW(microlife_length, size_t, microlife_frame_length(data, len, ret))                     \
	ROW(microlife_frame, struct stretch, frame(data, len, ret))                               \
	ROW(microlife_user, uint8_t, microlife_frame_user(data, len, ret))                        \
	ROW(microlife_frames, size_t, microlife_frame_memory(data, len, ret))                     \
	ROW(omron_frame, struct omron_frame, omron_frame_decode(data, len, ret))                  \
	ROW(omron_le, struct omron_record, omron_record_decode(OMRON_LE, data, len, ret))         \
	ROW(omron_be, struct omron_record, omron_record_decode(OMRON_BE, data, len, ret))         \
	ROW(omron_6232, struct omron_record, omron_record_decode(OMRON_BE_6232, data, len, ret))  \
	ROW(omron_either, struct omron_record, omron_record_decode(OMRON_EITHER, data, len, ret)) \
	ROW(omron_guide, struct omron_record,                                                     \
	    omron_record_decode(OMRON_HEARTGUIDE, data, len, ret))                                \
	ROW(omron_6401, struct omron_record, omron_record_decode(OMRON_6401, data, len, ret))     \
	ROW(omron_gme, struct omron_record, omron_record_decode(OMRON_GME, data, len, ret))       \
	ROW(omron_short, struct omron_record,                                                     \
	    omron_record_decode(OMRON_GME_SHORT, data, len, ret))                                 \
	ROW(fitbit_advert, struct fitbit_advert, fitbit_advert_decode(data, len, ret))            \
	ROW(fitbit_live, struct fitbit_live, fitbit_live_decode(data, len, ret))                  \
	ROW(fitbit_control, struct fitbit_control, fitbit_control_decode(data, len, ret))         \
	ROW(phdc_preamble, struct phdc_preamble, phdc_preamble_decode(data, len, ret))            \
	ROW(phdc_choose, struct usb_interface_choice, phdc_choose(data, len, 0, ret))             \
	ROW(usb_bulk, struct usb_interface_choice, usb_choose_bulk(data, len, 0, -1, ret))        \
	ROW(usb_pair, struct usb_interface_choice, usb_choose_pair(data, len, 0, -1, ret))        \
	ROW(smp_header, struct smp_header, smp_header_decode(data, len, ret))                     \
	ROW(smp_answer, struct smp_answer, smp_answer_decode(data, len, ret))                     \
	ROW(att, struct att_pdu, att_decode(data, len, 23, ret))                                  \
	ROW(apdu, struct apdu, apdu_decode(data, len, ret))                                       \
	ROW(phd_config, struct phd_config, phd_config_decode(data, len, ret))                     \
	ROW(phd_segments, struct phd_segments, phd_segments_decode(data, len, ret))               \
	ROW(phd_segment_data, struct phd_segment_data, phd_segment_data_decode(data, len, ret))

OTHERS(OTHER)

#define ROW_STRUCT(codec, type)     { #codec, decode_##codec, encode_##codec, sizeof(struct type) },
#define ROW_VALUE(codec, type)      { #codec, decode_##codec, encode_##codec, sizeof(type) },
#define ROW_OTHER(name, type, call) { #name, decode_##name, NULL, sizeof(type) },

static const struct decoder decoders[] = { GATT(ROW_STRUCT, ROW_VALUE) OTHERS(ROW_OTHER) };

#define N_DECODERS (sizeof(decoders) / sizeof(decoders[0]))

/* what a header may promise; anything else is a slip */
static bool is_classified(int r)
{
	static const int errors[] = { EMSGSIZE, EBADMSG, ERANGE, ENOMSG, ENODATA,
				      ENOENT,   EAGAIN,  E2BIG,  ENOTSUP };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (r == -errors[i])
			return true;
	return false;
}

static _Alignas(16) uint8_t result[RESULT_MAX], untouched[RESULT_MAX];

static void fail_at(const struct decoder *d, const uint8_t *data, size_t len, const char *what)
{
	print_error("%s: %s, len %zu:", d->name, what, len);
	for (size_t i = 0; i < len; i++)
		print_error(" %02x", data[i]);
	print_error("\n");
	fail();
}

static void again(const struct decoder *d, const uint8_t *data, size_t len)
{
	uint8_t bytes[BODY_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (d->encode(result, &w) != 0 || w.len != len || memcmp(bytes, data, len) != 0)
		fail_at(d, data, len, "other bytes when it is encoded");
}

/* data is a block of exactly len bytes, so that a sanitizer sees a byte too far */
static void feed(const struct decoder *d, const uint8_t *data, size_t len)
{
	const int r = d->decode(data, len, result);

	if (r < 0) {
		if (!is_classified(r))
			fail_at(d, data, len, strerror(-r));
		if (memcmp(result, untouched, d->size) != 0)
			fail_at(d, data, len, "the result was touched");
		return;
	}
	if (r > 0)
		fail_at(d, data, len, "neither good nor an error");
	if (d->encode)
		again(d, data, len);
	memset(result, UNTOUCHED, d->size);
}

static void feed_all(const struct decoder *d, size_t len)
{
	const uint32_t end = UINT32_C(1) << (8 * len);
	uint8_t *data = malloc(len);

	assert_non_null(data);
	for (uint32_t x = 0; x < end; x++) {
		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)(x >> (8 * i));
		feed(d, data, len);
	}
	free(data);
}

/* every value of byte `at`, before a body of this length */
static void feed_flags(const struct decoder *d, size_t at, size_t len, uint8_t body)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	memset(data, body, len);
	for (unsigned int flag = 0; flag <= UINT8_MAX; flag++) {
		data[at] = (uint8_t)flag;
		feed(d, data, len);
	}
	free(data);
}

static void test_short(void **state)
{
	const char *more = getenv("WELLGATE_SHORT_BYTES");
	const size_t bytes = more && strcmp(more, "3") == 0 ? 3 : 2;

	(void)state;
	for (size_t i = 0; i < N_DECODERS; i++)
		for (size_t len = 1; len <= bytes; len++)
			feed_all(&decoders[i], len);
}

static void test_empty(void **state)
{
	uint8_t *nothing = malloc(1);

	(void)state;
	assert_non_null(nothing);
	for (size_t i = 0; i < N_DECODERS; i++)
		assert_true(is_classified(decoders[i].decode(nothing, 0, result)));
	assert_memory_equal(result, untouched, sizeof(result));
	free(nothing);
}

static void test_flags(void **state)
{
	static const uint8_t bodies[] = { 0x00, 0x01, 0x11, 0xff };

	(void)state;
	for (size_t i = 0; i < N_DECODERS; i++)
		for (size_t len = 3; len <= BODY_MAX; len++)
			for (size_t at = 0; at < 3; at++)
				for (size_t b = 0; b < sizeof(bodies); b++)
					feed_flags(&decoders[i], at, len, bodies[b]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_flags),
	};

	memset(result, UNTOUCHED, sizeof(result));
	memset(untouched, UNTOUCHED, sizeof(untouched));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
