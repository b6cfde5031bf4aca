/* All models, for their table. */
#pragma once

#include "tests/lab/radio/models/model.h"

#define MODEL_ROWS(table) .rows = (table), .n_rows = sizeof(table) / sizeof((table)[0])

extern const struct model model_weight_scale, model_body_scale, model_blood_pressure, model_bm85,
	model_a_and_d_cuff, model_a_and_d_scale, model_thermometer, model_pulse_oximeter,
	model_glucose_meter, model_heart_rate, model_xiaomi_scale, model_infinitime,
	model_colmi_ring, model_fitbit, model_hr_sharing, model_secure_dfu, model_legacy_dfu,
	model_smp;
