/*
 * Glucose Service 0x1808: Glucose Measurement 0x2A18 (notify), Glucose Measurement Context 0x2A34
 * (notify), Glucose Feature 0x2A51 (read). Stored records are fetched with racp.h.
 *
 * 0x2A18:  flags u8 | sequence u16 | base time 7 | [offset s16 minutes] |
 *          [concentration SFLOAT, type and location u8] | [sensor status u16]
 *   flags: b0 offset; b1 concentration; b2 unit (0 kg/L, 1 mol/L); b3 sensor status;
 *          b4 a context follows with the same sequence; b5-7 reserved
 * 0x2A34:  flags u8 | sequence u16 | [extended flags u8] | [carbohydrate id u8, SFLOAT kg] |
 *          [meal u8] | [tester and health u8] | [exercise u16 s, u8 percent] |
 *          [medication id u8, SFLOAT kg or litre] | [HbA1c SFLOAT percent]
 *   flags: b0 carbohydrate; b1 meal; b2 tester and health; b3 exercise; b4 medication;
 *          b5 medication in litres; b6 HbA1c; b7 extended flags (all of them reserved)
 *
 * The measurement's time is base time + offset: the user may turn the device's clock, which moves
 * the offset and leaves the base time alone.
 *
 * Source: SIG characteristic data (gatt-xml, 2012). The offsets 0x7FFF (overrun) and 0x8000
 * (underrun) stand there as a comment only; they are treated as no number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"

enum gatt_glucose_type {
	GATT_GLUCOSE_CAPILLARY_BLOOD = 1,
	GATT_GLUCOSE_CAPILLARY_PLASMA,
	GATT_GLUCOSE_VENOUS_BLOOD,
	GATT_GLUCOSE_VENOUS_PLASMA,
	GATT_GLUCOSE_ARTERIAL_BLOOD,
	GATT_GLUCOSE_ARTERIAL_PLASMA,
	GATT_GLUCOSE_UNDETERMINED_BLOOD,
	GATT_GLUCOSE_UNDETERMINED_PLASMA,
	GATT_GLUCOSE_INTERSTITIAL,
	GATT_GLUCOSE_CONTROL_SOLUTION, /* a check of the meter, never a person's value */
};

enum gatt_glucose_location {
	GATT_GLUCOSE_FINGER = 1,
	GATT_GLUCOSE_ALTERNATE_SITE,
	GATT_GLUCOSE_EARLOBE,
	GATT_GLUCOSE_LOCATION_CONTROL,
	GATT_GLUCOSE_LOCATION_UNKNOWN = 15,
};

/* bits of the sensor status; 12 to 15 are reserved, kept and tolerated */
enum gatt_glucose_status {
	GATT_GLUCOSE_BATTERY_LOW = 1 << 0,
	GATT_GLUCOSE_SENSOR_FAULT = 1 << 1,
	GATT_GLUCOSE_SAMPLE_TOO_SMALL = 1 << 2,
	GATT_GLUCOSE_STRIP_INSERTION = 1 << 3,
	GATT_GLUCOSE_STRIP_TYPE = 1 << 4,
	GATT_GLUCOSE_RESULT_TOO_HIGH = 1 << 5,
	GATT_GLUCOSE_RESULT_TOO_LOW = 1 << 6,
	GATT_GLUCOSE_TOO_HOT = 1 << 7,
	GATT_GLUCOSE_TOO_COLD = 1 << 8,
	GATT_GLUCOSE_STRIP_PULLED = 1 << 9,
	GATT_GLUCOSE_DEVICE_FAULT = 1 << 10,
	GATT_GLUCOSE_TIME_FAULT = 1 << 11,
};

struct gatt_glucose {
	uint16_t sequence;
	struct gatt_date_time base_time;
	bool has_offset;
	struct number
		offset;     /* minutes to add to the base time; absent +INF/-INF: over-, underrun */
	bool mol_per_litre; /* unit of the concentration; otherwise kg/L */
	bool has_concentration; /* with type and location */
	struct number concentration;
	enum gatt_glucose_type type;
	enum gatt_glucose_location location;
	bool has_status;
	uint16_t status;
	bool context_follows;
};

enum gatt_carbohydrate {
	GATT_CARBOHYDRATE_BREAKFAST = 1,
	GATT_CARBOHYDRATE_LUNCH,
	GATT_CARBOHYDRATE_DINNER,
	GATT_CARBOHYDRATE_SNACK,
	GATT_CARBOHYDRATE_DRINK,
	GATT_CARBOHYDRATE_SUPPER,
	GATT_CARBOHYDRATE_BRUNCH,
};

enum gatt_meal {
	GATT_MEAL_BEFORE = 1,
	GATT_MEAL_AFTER,
	GATT_MEAL_FASTING,
	GATT_MEAL_CASUAL,
	GATT_MEAL_BEDTIME,
};

enum gatt_tester {
	GATT_TESTER_SELF = 1,
	GATT_TESTER_PROFESSIONAL,
	GATT_TESTER_LABORATORY,
	GATT_TESTER_UNKNOWN = 15,
};

enum gatt_health {
	GATT_HEALTH_MINOR_ISSUES = 1,
	GATT_HEALTH_MAJOR_ISSUES,
	GATT_HEALTH_MENSES,
	GATT_HEALTH_STRESS,
	GATT_HEALTH_NO_ISSUES,
	GATT_HEALTH_UNKNOWN = 15,
};

enum gatt_medication {
	GATT_MEDICATION_INSULIN_RAPID = 1,
	GATT_MEDICATION_INSULIN_SHORT,
	GATT_MEDICATION_INSULIN_INTERMEDIATE,
	GATT_MEDICATION_INSULIN_LONG,
	GATT_MEDICATION_INSULIN_MIXED,
};

struct gatt_glucose_context {
	uint16_t sequence; /* of the measurement it belongs to */
	bool has_extended; /* an extended flags byte, which is zero: no bit of it is defined */
	bool has_carbohydrate;
	enum gatt_carbohydrate carbohydrate;
	struct number carbohydrate_mass; /* kg */
	bool has_meal;
	enum gatt_meal meal;
	bool has_tester;
	enum gatt_tester tester;
	enum gatt_health health;
	bool has_exercise;
	struct number exercise_duration;  /* s; absent +INF: overrun */
	struct number exercise_intensity; /* percent */
	bool medication_litres;           /* unit of the medication; otherwise kg */
	bool has_medication;
	enum gatt_medication medication;
	struct number medication_amount;
	bool has_hba1c;
	struct number hba1c; /* percent */
};

/* bits of the feature field: bit n of the status (0 to 9) can be told, with one exception: bits 5
 * and 6 of the status are feature 5, 7 and 8 feature 6, 9 feature 7, 10 feature 8, 11 feature 9 */
#define GATT_GLUCOSE_FEATURE_TIME_FAULT     (1 << 9)
#define GATT_GLUCOSE_FEATURE_MULTIPLE_BONDS (1 << 10)

/* -EMSGSIZE length; -ERANGE reserved flag, date or enumerated value. ret untouched on failure. */
int gatt_glucose_decode(const uint8_t *data, size_t len, struct gatt_glucose *ret);
int gatt_glucose_context_decode(const uint8_t *data, size_t len, struct gatt_glucose_context *ret);
int gatt_glucose_feature_decode(const uint8_t *data, size_t len, uint16_t *ret);
/* -ERANGE a value that the layout cannot hold; -ENOSPC the writer is too small */
int gatt_glucose_encode(const struct gatt_glucose *x, struct writer *w);
int gatt_glucose_context_encode(const struct gatt_glucose_context *x, struct writer *w);
int gatt_glucose_feature_encode(uint16_t feature, struct writer *w);
/* "finger" "earlobe" ...; NULL outside the definition */
const char *gatt_glucose_location_name(unsigned int location);
/* "before meal" "fasting" ...; NULL outside the definition */
const char *gatt_meal_name(unsigned int meal);
