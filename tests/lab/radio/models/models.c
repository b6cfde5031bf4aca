/* The table of all models. */
#include "tests/lab/radio/models/models.h"

const struct model *const models[] = {
	&model_weight_scale,
	&model_body_scale,
	&model_blood_pressure,
	&model_bm85,
	&model_a_and_d_cuff,
	&model_a_and_d_scale,
	&model_thermometer,
	&model_pulse_oximeter,
	&model_glucose_meter,
	&model_heart_rate,
	&model_xiaomi_scale,
	&model_infinitime,
	&model_colmi_ring,
	&model_fitbit,
	&model_hr_sharing,
	&model_secure_dfu,
	&model_legacy_dfu,
	&model_smp,
	NULL,
};

const char *const peer_models[] = {
	"weight_scale", "body_scale",     "blood_pressure",
	"bm85",         "a_and_d_cuff",   "a_and_d_scale",
	"thermometer",  "pulse_oximeter", "glucose_meter",
	"heart_rate",   "xiaomi_scale",   "infinitime",
	"colmi_ring",   "fitbit",         "hr_sharing",
	"secure_dfu",   "legacy_dfu",     "smp",
	NULL,
};
