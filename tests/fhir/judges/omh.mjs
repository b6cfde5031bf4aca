// omh.mjs POINTS_FILE
//
// Open mHealth data points before ajv. npm has no package of Open mHealth's schemas, so what they ask
// for is written down here: read from the schemas themselves (their names and versions are in every
// point), and only what can be wrong: required properties, units, point or interval.
import { createRequire } from "node:module";
import fs from "node:fs";

const require = createRequire(import.meta.url);
const Ajv = require("ajv").default;
const ajv = new Ajv({ allErrors: true });

const time = { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$" };
const value = (...units) => ({
	type: "object", required: ["value", "unit"], additionalProperties: false,
	properties: { value: { type: "number" }, unit: { enum: units } },
});
const interval = {
	type: "object", required: ["time_interval"], additionalProperties: false,
	properties: { time_interval: {
		type: "object", required: ["start_date_time", "end_date_time"], additionalProperties: false,
		properties: { start_date_time: time, end_date_time: time },
	} },
};
const point = {
	type: "object", required: ["date_time"], additionalProperties: false,
	properties: { date_time: time },
};
const frame = { oneOf: [point, interval] };
const body = (when, required, properties) => ({
	type: "object", required: ["effective_time_frame", ...required], additionalProperties: false,
	properties: { effective_time_frame: when, ...properties },
});

const bodies = {
	"omh:blood-pressure:4.0": body(frame, ["systolic_blood_pressure", "diastolic_blood_pressure"], {
		systolic_blood_pressure: value("mmHg"), diastolic_blood_pressure: value("mmHg"),
		descriptive_statistic: { const: "average" },
	}),
	"omh:heart-rate:2.0": body(frame, ["heart_rate"], {
		heart_rate: value("beats/min"),
		temporal_relationship_to_physical_activity: { enum: ["at rest", "active"] },
	}),
	"omh:body-weight:3.0": body(frame, ["body_weight"], { body_weight: value("kg", "lb", "g") }),
	"omh:body-height:2.0": body(frame, ["body_height"], { body_height: value("m", "cm") }),
	"omh:body-mass-index:3.0": body(frame, ["body_mass_index"], { body_mass_index: value("kg/m^2") }),
	"omh:body-fat-percentage:2.0": body(frame, ["body_fat_percentage"], { body_fat_percentage: value("%") }),
	"omh:body-temperature:4.0": body(frame, ["body_temperature"], { body_temperature: value("C", "F") }),
	"omh:oxygen-saturation:2.0": body(frame, ["oxygen_saturation"], {
		oxygen_saturation: value("%"), measurement_method: { const: "pulse oximetry" },
	}),
	"omh:blood-glucose:4.0": body(frame, ["blood_glucose"], { blood_glucose: value("mmol/L", "mg/dL") }),
	"ieee:physical-activity:1.0": body(interval, ["activity_name"], {
		activity_name: { type: "string" }, base_movement_quantity: value("steps"),
		distance: value("m", "km"), kcal_burned: value("kcal"), duration: value("min", "sec"),
	}),
	"ieee:total-sleep-time:1.0": body(interval, ["total_sleep_time"], { total_sleep_time: value("min", "sec") }),
};

const header = {
	type: "object", required: ["uuid", "schema_id", "source_creation_date_time", "modality"],
	properties: {
		uuid: { type: "string", pattern: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" },
		schema_id: { type: "object", required: ["namespace", "name", "version"] },
		source_creation_date_time: time,
		modality: { enum: ["sensed", "self-reported"] },
		external_datasheets: { type: "array", items: { type: "object", required: ["datasheet_reference"] } },
	},
};

const compiled = Object.fromEntries(Object.entries(bodies).map(([name, schema]) => [name, ajv.compile(schema)]));
const checkHeader = ajv.compile(header);
const seen = new Set();
const uuids = new Set();
let bad = 0;

function check(p) {
	const id = p.header?.schema_id ?? {};
	const name = `${id.namespace}:${id.name}:${id.version}`;
	const problems = [];
	if (!checkHeader(p.header))
		problems.push(ajv.errorsText(checkHeader.errors));
	if (!compiled[name])
		problems.push(`${name} is not known`);
	else if (!compiled[name](p.body))
		problems.push(ajv.errorsText(compiled[name].errors));
	seen.add(name);
	return problems;
}

const lines = fs.readFileSync(process.argv[2], "utf8").trim().split("\n");
for (const line of lines) {
	const p = JSON.parse(line);
	if (uuids.has(p.header.uuid))
		console.error(`${p.header.uuid} is there twice`, bad++);
	uuids.add(p.header.uuid);
	for (const problem of check(p))
		console.error(problem, bad++);
}
for (const name of Object.keys(bodies))
	if (!seen.has(name))
		console.error(`${name}: no point shows it`, bad++);
// the judge itself
const wrong = JSON.parse(lines[0]);
delete wrong.body.effective_time_frame;
if (check(wrong).length === 0)
	console.error("a point without a time was not noticed", bad++);
console.log(`${lines.length} points, ${seen.size} schemas, ${bad} bad`);
process.exit(bad ? 1 : 0);
