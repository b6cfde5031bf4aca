#include "gateway/cli/fields.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

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

/* ---- values ---- */

static void put(json_t *o, const char *key, json_t *value)
{
	(void)json_object_set_new(o, key, value); /* out of memory shows as a missing line */
}

static void put_int(json_t *o, const char *key, int64_t n)
{
	put(o, key, json_integer(n));
}

static void put_bool(json_t *o, const char *key, bool b)
{
	put(o, key, json_boolean(b));
}

static void put_text(json_t *o, const char *key, const char *text)
{
	put(o, key, text ? json_string(text) : json_null());
}

static void put_hex(json_t *o, const char *key, uint64_t n, int digits)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%0*llx", digits, (unsigned long long)n);
	put_text(o, key, text);
}

/* a part that the device does not know is null */
static void put_known(json_t *o, const char *key, unsigned int n, unsigned int unknown)
{
	put(o, key, n == unknown ? json_null() : json_integer(n));
}

static void put_date(json_t *o, const char *key, const struct gatt_date_time *t)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u", t->year, t->month,
		       t->day, t->hour, t->minute, t->second);
	put_text(o, key, text);
}

struct bit_name {
	uint32_t bit;
	const char *name;
};

/* the names of all bits that are set; a table ends with {0} */
static void put_bits(json_t *o, const char *key, uint32_t bits, const struct bit_name *names)
{
	json_t *list = json_array();

	for (; names->bit; names++) {
		if (bits & names->bit)
			(void)json_array_append_new(list, json_string(names->name));
	}
	put(o, key, list);
}

/* ---- clocks ---- */

static int date_time(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_date_time t;
	int r = gatt_date_time_decode(data, len, &t);

	if (r == 0)
		put_date(o, "date_time", &t);
	return r;
}

static int current_time(const uint8_t *data, size_t len, json_t *o)
{
	static const struct bit_name adjust[] = { { GATT_TIME_ADJUST_MANUAL, "manual" },
						  { GATT_TIME_ADJUST_REFERENCE, "reference" },
						  { GATT_TIME_ADJUST_ZONE, "zone" },
						  { GATT_TIME_ADJUST_DST, "dst" },
						  { 0, NULL } };
	struct gatt_current_time t;
	int r = gatt_current_time_decode(data, len, &t);

	if (r < 0)
		return r;
	put_date(o, "date_time", &t.time);
	put_known(o, "day_of_week", t.day_of_week, 0);
	put_int(o, "fractions256", t.fractions256);
	put_bits(o, "adjusted_by", t.adjust, adjust);
	return 0;
}

static int local_time_information(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_local_time_information t;
	int r = gatt_local_time_information_decode(data, len, &t);

	if (r < 0)
		return r;
	put(o, "zone_min",
	    t.zone_quarters == GATT_ZONE_UNKNOWN ? json_null()
						 : json_integer(INT64_C(15) * t.zone_quarters));
	put(o, "dst_min",
	    t.dst_quarters == GATT_DST_UNKNOWN ? json_null()
					       : json_integer(INT64_C(15) * t.dst_quarters));
	return 0;
}

/* ---- features ---- */

static int weight_feature(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_weight_feature f;
	int r = gatt_weight_feature_decode(data, len, &f);

	if (r < 0)
		return r;
	put_bool(o, "time", f.time);
	put_bool(o, "users", f.users);
	put_bool(o, "bmi", f.bmi);
	put_known(o, "weight_resolution", f.weight_resolution, 0);
	put_known(o, "height_resolution", f.height_resolution, 0);
	return 0;
}

static int body_composition_feature(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_body_composition_feature f;
	int r = gatt_body_composition_feature_decode(data, len, &f);

	if (r < 0)
		return r;
	put_bool(o, "time", f.time);
	put_bool(o, "users", f.users);
	put_bool(o, "basal_metabolism", f.basal_metabolism);
	put_bool(o, "muscle_percent", f.muscle_percent);
	put_bool(o, "muscle_mass", f.muscle_mass);
	put_bool(o, "fat_free_mass", f.fat_free_mass);
	put_bool(o, "soft_lean_mass", f.soft_lean_mass);
	put_bool(o, "body_water_mass", f.body_water_mass);
	put_bool(o, "impedance", f.impedance);
	put_bool(o, "weight", f.weight);
	put_bool(o, "height", f.height);
	put_known(o, "mass_resolution", f.mass_resolution, 0);
	put_known(o, "height_resolution", f.height_resolution, 0);
	return 0;
}

static int blood_pressure_feature(const uint8_t *data, size_t len, json_t *o)
{
	static const struct bit_name bits[] = {
		{ GATT_BP_FEATURE_MOVEMENT, "movement" },
		{ GATT_BP_FEATURE_CUFF_FIT, "cuff_fit" },
		{ GATT_BP_FEATURE_IRREGULAR_PULSE, "irregular_pulse" },
		{ GATT_BP_FEATURE_PULSE_RANGE, "pulse_range" },
		{ GATT_BP_FEATURE_POSITION, "body_position" },
		{ GATT_BP_FEATURE_MULTIPLE_BONDS, "multiple_bonds" },
		{ 0, NULL }
	};
	struct gatt_blood_pressure_feature f;
	int r = gatt_blood_pressure_feature_decode(data, len, &f);

	if (r < 0)
		return r;
	put_bits(o, "features", f.bits, bits);
	put_hex(o, "raw", f.bits, 4);
	return 0;
}

static int plx_features(const uint8_t *data, size_t len, json_t *o)
{
	static const struct bit_name bits[] = { { GATT_PLX_HAS_MEASUREMENT_STATUS,
						  "measurement_status" },
						{ GATT_PLX_HAS_DEVICE_STATUS, "device_status" },
						{ GATT_PLX_HAS_STORAGE, "storage" },
						{ GATT_PLX_HAS_TIME_STAMP, "time" },
						{ GATT_PLX_HAS_FAST, "fast" },
						{ GATT_PLX_HAS_SLOW, "slow" },
						{ GATT_PLX_HAS_AMPLITUDE, "pulse_amplitude_index" },
						{ GATT_PLX_HAS_MULTIPLE_BONDS, "multiple_bonds" },
						{ 0, NULL } };
	struct gatt_plx_features f;
	int r = gatt_plx_features_decode(data, len, &f);

	if (r < 0)
		return r;
	put_bits(o, "features", f.features, bits);
	put_hex(o, "raw", f.features, 4);
	put_hex(o, "measurement_status", f.measurement_status, 4);
	put_hex(o, "device_status", f.device_status, 6);
	return 0;
}

static int glucose_feature(const uint8_t *data, size_t len, json_t *o)
{
	static const struct bit_name bits[] = { { 1 << 0, "low_battery" },
						{ 1 << 1, "sensor_fault" },
						{ 1 << 2, "sample_size" },
						{ 1 << 3, "strip_insertion" },
						{ 1 << 4, "strip_type" },
						{ 1 << 5, "result_range" },
						{ 1 << 6, "temperature_range" },
						{ 1 << 7, "strip_pulled" },
						{ 1 << 8, "device_fault" },
						{ GATT_GLUCOSE_FEATURE_TIME_FAULT, "time_fault" },
						{ GATT_GLUCOSE_FEATURE_MULTIPLE_BONDS,
						  "multiple_bonds" },
						{ 0, NULL } };
	uint16_t f;
	int r = gatt_glucose_feature_decode(data, len, &f);

	if (r < 0)
		return r;
	put_bits(o, "features", f, bits);
	put_hex(o, "raw", f, 4);
	return 0;
}

static int rsc_feature(const uint8_t *data, size_t len, json_t *o)
{
	static const struct bit_name bits[] = { { GATT_RSC_HAS_STRIDE, "stride_length" },
						{ GATT_RSC_HAS_DISTANCE, "distance" },
						{ GATT_RSC_HAS_RUNNING, "running" },
						{ GATT_RSC_HAS_CALIBRATION, "calibration" },
						{ GATT_RSC_HAS_LOCATIONS, "locations" },
						{ 0, NULL } };
	uint16_t f;
	int r = gatt_rsc_feature_decode(data, len, &f);

	if (r < 0)
		return r;
	put_bits(o, "features", f, bits);
	put_hex(o, "raw", f, 4);
	return 0;
}

/* ---- small facts ---- */

static int body_sensor_location(const uint8_t *data, size_t len, json_t *o)
{
	enum gatt_body_sensor_location location;
	int r = gatt_body_sensor_location_decode(data, len, &location);

	if (r == 0)
		put_text(o, "location", gatt_body_sensor_location_name(location));
	return r;
}

static int heart_rate_control(const uint8_t *data, size_t len, json_t *o)
{
	uint8_t command;
	int r = gatt_heart_rate_control_decode(data, len, &command);

	if (r < 0)
		return r;
	put_int(o, "command", command);
	put_bool(o, "resets_energy", command == GATT_HEART_RATE_RESET_ENERGY);
	return 0;
}

static int temperature_type(const uint8_t *data, size_t len, json_t *o)
{
	enum gatt_temperature_type type;
	int r = gatt_temperature_type_decode(data, len, &type);

	if (r == 0)
		put_text(o, "type", gatt_temperature_type_name(type));
	return r;
}

static int measurement_interval(const uint8_t *data, size_t len, json_t *o)
{
	uint16_t seconds;
	int r = gatt_measurement_interval_decode(data, len, &seconds);

	if (r == 0)
		put_int(o, "seconds", seconds);
	return r;
}

static int battery_level(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_battery battery;
	int r = gatt_battery_decode(data, len, &battery);

	if (r == 0)
		put_int(o, "percent", battery.level.value.mantissa);
	return r;
}

static int text(const uint8_t *data, size_t len, json_t *o)
{
	char clean[GATT_TEXT_MAX + 1];
	int r = gatt_text(data, len, clean, sizeof(clean));

	if (r < 0)
		return r;
	put_text(o, "text", clean);
	return 0;
}

static int system_id(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_system_id id;
	int r = gatt_system_id_decode(data, len, &id);

	if (r < 0)
		return r;
	put_hex(o, "manufacturer", id.manufacturer, 10);
	put_hex(o, "oui", id.oui, 6);
	return 0;
}

static int pnp_id(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_pnp_id id;
	int r = gatt_pnp_id_decode(data, len, &id);

	if (r < 0)
		return r;
	put_text(o, "source", id.source == GATT_PNP_USB ? "usb" : "bluetooth");
	put_hex(o, "vendor", id.vendor, 4);
	put_hex(o, "product", id.product, 4);
	put_hex(o, "version", id.version, 4);
	return 0;
}

static int user_index(const uint8_t *data, size_t len, json_t *o)
{
	uint8_t user;
	int r = gatt_user_index_decode(data, len, &user);

	if (r == 0)
		put_known(o, "user_slot", user, GATT_USER_UNKNOWN);
	return r;
}

static int database_change(const uint8_t *data, size_t len, json_t *o)
{
	uint32_t increment;
	int r = gatt_database_change_decode(data, len, &increment);

	if (r == 0)
		put_int(o, "increment", increment);
	return r;
}

/* ---- control points ---- */

static const char *racp_opcode_name(enum gatt_racp_opcode opcode)
{
	static const char *const names[] = {
		[GATT_RACP_REPORT] = "report", [GATT_RACP_DELETE] = "delete",
		[GATT_RACP_ABORT] = "abort",   [GATT_RACP_REPORT_NUMBER] = "report_number",
		[GATT_RACP_NUMBER] = "number", [GATT_RACP_RESPONSE] = "response",
	};

	return (size_t)opcode < sizeof(names) / sizeof(names[0]) ? names[opcode] : NULL;
}

static const char *racp_operator_name(enum gatt_racp_operator condition)
{
	static const char *const names[] = {
		[GATT_RACP_NULL] = "null",        [GATT_RACP_ALL] = "all",
		[GATT_RACP_LESS_OR_EQUAL] = "<=", [GATT_RACP_GREATER_OR_EQUAL] = ">=",
		[GATT_RACP_RANGE] = "range",      [GATT_RACP_FIRST] = "first",
		[GATT_RACP_LAST] = "last",
	};

	return (size_t)condition < sizeof(names) / sizeof(names[0]) ? names[condition] : NULL;
}

static void put_racp_operand(json_t *o, const struct gatt_racp *x)
{
	const bool minimum =
		x->condition == GATT_RACP_GREATER_OR_EQUAL || x->condition == GATT_RACP_RANGE;
	const bool maximum =
		x->condition == GATT_RACP_LESS_OR_EQUAL || x->condition == GATT_RACP_RANGE;

	if (minimum && x->filter == GATT_RACP_BY_TIME)
		put_date(o, "min_time", &x->min_time);
	else if (minimum)
		put_int(o, "min_record", x->min_sequence);
	if (maximum && x->filter == GATT_RACP_BY_TIME)
		put_date(o, "max_time", &x->max_time);
	else if (maximum)
		put_int(o, "max_record", x->max_sequence);
}

static int racp(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_racp x;
	int r = gatt_racp_decode(data, len, &x);

	if (r < 0)
		return r;
	put_text(o, "opcode", racp_opcode_name(x.opcode));
	put_text(o, "operator", racp_operator_name(x.condition));
	put_racp_operand(o, &x);
	if (x.opcode == GATT_RACP_NUMBER)
		put_int(o, "records", x.count);
	if (x.opcode == GATT_RACP_RESPONSE) {
		put_text(o, "request", racp_opcode_name(x.request));
		put_text(o, "result", gatt_racp_result_name(x.result));
	}
	return 0;
}

static const char *user_opcode_name(enum gatt_user_control_opcode opcode)
{
	switch (opcode) {
	case GATT_USER_REGISTER:
		return "register";
	case GATT_USER_CONSENT:
		return "consent";
	case GATT_USER_DELETE_DATA:
		return "delete_data";
	case GATT_USER_LIST:
		return "list";
	case GATT_USER_DELETE:
		return "delete";
	case GATT_USER_RESPONSE:
		return "response";
	}
	return NULL;
}

static const char *user_result_name(enum gatt_user_control_result result)
{
	static const char *const names[] = {
		[GATT_USER_SUCCESS] = "success",
		[GATT_USER_OPCODE_NOT_SUPPORTED] = "opcode not supported",
		[GATT_USER_INVALID_PARAMETER] = "invalid parameter",
		[GATT_USER_OPERATION_FAILED] = "operation failed",
		[GATT_USER_NOT_AUTHORISED] = "not authorised",
	};

	return (size_t)result < sizeof(names) / sizeof(names[0]) ? names[result] : NULL;
}

/* A consent code is a secret between device and person: it is checked and not shown. */
static int user_control(const uint8_t *data, size_t len, json_t *o)
{
	struct gatt_user_control x;
	int r = gatt_user_control_decode(data, len, &x);
	bool success;

	if (r < 0)
		return r;
	success = x.opcode == GATT_USER_RESPONSE && x.result == GATT_USER_SUCCESS;
	put_text(o, "opcode", user_opcode_name(x.opcode));
	if (x.opcode == GATT_USER_RESPONSE) {
		put_text(o, "request", user_opcode_name(x.request));
		put_text(o, "result", user_result_name(x.result));
	}
	if (success && x.request == GATT_USER_LIST)
		put_int(o, "users", x.user_count);
	if (x.opcode == GATT_USER_CONSENT || x.opcode == GATT_USER_DELETE ||
	    (success && (x.request == GATT_USER_REGISTER || x.request == GATT_USER_DELETE)))
		put_known(o, "user_slot", x.user_index, GATT_USER_UNKNOWN);
	return 0;
}

/* ---- the table ---- */

static const struct characteristic {
	uint16_t uuid16;
	const char *name;
	int (*decode)(const uint8_t *data, size_t len, json_t *o);
} characteristics[] = {
	{ 0x2a08, "date_time", date_time },
	{ 0x2a0f, "local_time_information", local_time_information },
	{ 0x2a19, "battery_level", battery_level },
	{ 0x2a1d, "temperature_type", temperature_type },
	{ 0x2a21, "measurement_interval", measurement_interval },
	{ 0x2a23, "system_id", system_id },
	{ 0x2a24, "model_number", text },
	{ 0x2a25, "serial_number", text },
	{ 0x2a26, "firmware_revision", text },
	{ 0x2a27, "hardware_revision", text },
	{ 0x2a28, "software_revision", text },
	{ 0x2a29, "manufacturer_name", text },
	{ 0x2a2b, "current_time", current_time },
	{ 0x2a38, "body_sensor_location", body_sensor_location },
	{ 0x2a39, "heart_rate_control_point", heart_rate_control },
	{ 0x2a49, "blood_pressure_feature", blood_pressure_feature },
	{ 0x2a50, "pnp_id", pnp_id },
	{ 0x2a51, "glucose_feature", glucose_feature },
	{ 0x2a52, "record_access_control_point", racp },
	{ 0x2a54, "rsc_feature", rsc_feature },
	{ 0x2a60, "plx_features", plx_features },
	{ 0x2a99, "database_change_increment", database_change },
	{ 0x2a9a, "user_index", user_index },
	{ 0x2a9b, "body_composition_feature", body_composition_feature },
	{ 0x2a9e, "weight_scale_feature", weight_feature },
	{ 0x2a9f, "user_control_point", user_control },
};

static const struct characteristic *find(uint16_t uuid16)
{
	for (size_t i = 0; i < sizeof(characteristics) / sizeof(characteristics[0]); i++) {
		if (characteristics[i].uuid16 == uuid16)
			return &characteristics[i];
	}
	return NULL;
}

bool fields_known(uint16_t uuid16)
{
	return find(uuid16) != NULL;
}

int fields_print(uint16_t uuid16, const uint8_t *data, size_t len, char **ret)
{
	const struct characteristic *c = find(uuid16);
	json_t *o;
	char *line = NULL;
	int r;

	if (!c)
		return -ENOMSG;
	o = json_object();
	if (!o)
		return -ENOMEM;
	put_text(o, "characteristic", c->name);
	r = c->decode(data, len, o);
	if (r >= 0)
		line = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(o);
	if (r < 0)
		return r;
	if (!line)
		return -ENOMEM;
	*ret = line;
	return 0;
}
