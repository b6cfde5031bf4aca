/*
 * The device, the gateway, and what the two clocks said (HL7 PHD IG 2.0.0: PhdDevice, PhgDevice,
 * PhdCoincidentTimeStampObservation).
 *
 * We have no EUI-64 of a device, only a keyed digest of its serial number, which tells devices
 * apart and names none. So the system id that the profiles ask for is all zeros, as they say for
 * devices without one, and the digest is an identifier of ours.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/record/fhir/part.h"

#define PHD          "http://hl7.org/fhir/uv/phd/StructureDefinition/"
#define PHD_SYSTEMS  "http://hl7.org/fhir/uv/phd/CodeSystem/"
#define EUI_64       "urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680"
#define NO_EUI       "00-00-00-00-00-00-00-00"
#define DIGEST_BYTES 32

/* IEEE 11073-10101, infrastructure partition: 8 << 16 | MDC_DEV_SPEC_PROFILE_... */
static const struct {
	unsigned int metric;
	const char *code;
} specializations[] = {
	{ METRIC_BLOOD_PRESSURE, "528391" },   { METRIC_BODY_WEIGHT, "528399" },
	{ METRIC_BODY_COMPOSITION, "528404" }, { METRIC_SPO2, "528388" },
	{ METRIC_TEMPERATURE, "528392" },      { METRIC_GLUCOSE, "528401" },
};

/* 8 << 16 | 4169: MDC_DEV_SPEC_PROFILE_GENERIC */
static const char *specialization_of(unsigned int metric)
{
	for (size_t i = 0; i < sizeof(specializations) / sizeof(specializations[0]); i++) {
		if (specializations[i].metric == metric)
			return specializations[i].code;
	}
	return "528457";
}

static json_t *meta(struct fhir_bundle *b, const char *profile)
{
	json_t *o = build_object(&b->build), *profiles = build_list(&b->build);

	build_add(&b->build, profiles, build_string(&b->build, profile));
	build_put(&b->build, o, "profile", profiles);
	return o;
}

static void put_system_id(struct fhir_bundle *b, json_t *device)
{
	json_t *list = build_list(&b->build), *id = build_object(&b->build);

	build_put(&b->build, id, "type",
		  fhir_concept(b, PHD_SYSTEMS "ContinuaDeviceIdentifiers", "SYSID", NULL));
	build_text(&b->build, id, "system", EUI_64);
	build_text(&b->build, id, "value", NO_EUI);
	build_add(&b->build, list, id);
	build_put(&b->build, device, "identifier", list);
}

static void add_version(struct fhir_bundle *b, json_t *list, const char *code, const char *name,
			const char *value)
{
	json_t *o = build_object(&b->build);

	if (value && value[0]) {
		build_put(&b->build, o, "type", fhir_concept(b, FHIR_MDC, code, name));
		build_text(&b->build, o, "value", value);
	}
	build_add(&b->build, list, o);
}

static const char *or_unknown(const char *text)
{
	return text && text[0] ? text : "unknown";
}

static json_t *phd_device(struct fhir_bundle *b, const Wellgate__V1__Reading *r)
{
	const Wellgate__V1__DeviceRef *d = r->device;
	json_t *o = build_object(&b->build), *versions = build_list(&b->build);
	json_t *kinds = build_list(&b->build), *kind = build_object(&b->build);

	build_text(&b->build, o, "resourceType", "Device");
	build_put(&b->build, o, "meta", meta(b, PHD "PhdDevice"));
	put_system_id(b, o);
	build_text(&b->build, o, "manufacturer", or_unknown(d->make));
	build_text(&b->build, o, "modelNumber", or_unknown(d->model));
	build_put(&b->build, o, "type", fhir_concept(b, FHIR_MDC, "65573", "MDC_MOC_VMS_MDS_SIMP"));
	build_put(&b->build, kind, "systemType",
		  fhir_concept(b, FHIR_MDC, specialization_of((unsigned int)r->metric), NULL));
	build_text(&b->build, kind, "version", "unknown");
	build_add(&b->build, kinds, kind);
	build_put(&b->build, o, "specialization", kinds);
	add_version(b, versions, "531974", "MDC_ID_PROD_SPEC_HW", d->hardware);
	add_version(b, versions, "531976", "MDC_ID_PROD_SPEC_FW", d->firmware);
	build_put(&b->build, o, "version", versions);
	return o;
}

/* 532354.0: regulation-status, set = unregulated. The gateway passes values on and is not sold as a
 * medical device. */
static json_t *not_regulated(struct fhir_bundle *b)
{
	json_t *list = build_list(&b->build), *o = build_object(&b->build);
	json_t *codes = build_list(&b->build);

	build_put(&b->build, o, "type",
		  fhir_concept(b, PHD_SYSTEMS "ASN1ToHL7", "532354.0", "regulation-status"));
	build_add(&b->build, codes,
		  fhir_concept(b, "http://terminology.hl7.org/CodeSystem/v2-0136", "Y", NULL));
	build_put(&b->build, o, "valueCode", codes);
	build_add(&b->build, list, o);
	return list;
}

static json_t *phg_device(struct fhir_bundle *b)
{
	json_t *o = build_object(&b->build), *versions = build_list(&b->build);

	build_text(&b->build, o, "resourceType", "Device");
	build_put(&b->build, o, "meta", meta(b, PHD "PhgDevice"));
	put_system_id(b, o);
	build_text(&b->build, o, "manufacturer", "Wellgate");
	build_put(&b->build, o, "type", fhir_concept(b, FHIR_MDC, "531981", "MDC_MOC_VMS_MDS_AHD"));
	/* the message does not say which version the hub runs */
	add_version(b, versions, "531975", "MDC_ID_PROD_SPEC_SW", "unknown");
	build_put(&b->build, o, "version", versions);
	build_put(&b->build, o, "property", not_regulated(b));
	return o;
}

static void put_hex(char *to, size_t size, const uint8_t *data, size_t len)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < len && n + 3 <= size; i++, n += 2)
		(void)snprintf(to + n, size - n, "%02x", data[i]);
}

/* the digest; of a device without one what is known of it */
static void device_key(const Wellgate__V1__DeviceRef *d, struct fhir_key *ret)
{
	char text[256], uuid[BUILD_UUID_MAX];
	int n;

	*ret = (struct fhir_key){ .type = "Device", .kind = "device" };
	if (d->has_serial_digest && d->serial_digest.len > 0 &&
	    d->serial_digest.len <= DIGEST_BYTES) {
		put_hex(ret->value, sizeof(ret->value), d->serial_digest.data,
			d->serial_digest.len);
		return;
	}
	n = snprintf(text, sizeof(text), "%.80s|%.80s|%.80s", or_unknown(d->driver),
		     or_unknown(d->make), or_unknown(d->model));
	build_uuid(uuid, "device", text, (size_t)n);
	(void)snprintf(ret->value, sizeof(ret->value), "%s", uuid + strlen("urn:uuid:"));
}

static void gateway_key(const struct fhir_about *about, struct fhir_key *ret)
{
	const char *hub = about->hub && about->hub[0] ? about->hub : "unknown";
	size_t n = 0;

	*ret = (struct fhir_key){ .type = "Device", .kind = "hub" };
	/* it goes into a query */
	for (; n < 64 && hub[n]; n++)
		ret->value[n] =
			strchr("&?#%|+ \\,$", hub[n]) || (signed char)hub[n] < 0x20 ? '_' : hub[n];
}

/* A device that has its own time of day, which is local, or was shifted to ours. */
static bool has_clock_record(const Wellgate__V1__Reading *r)
{
	const Wellgate__V1__DeviceTime *t = r->device_time;

	if (!t || !r->has_received_at_ms || !r->has_measured_at_ms)
		return false;
	if (t->kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_LOCAL)
		return true;
	return t->kind == WELLGATE__V1__DEVICE_TIME__KIND__KIND_UTC && r->has_clock_correction_ms &&
	       r->clock_correction_ms != 0;
}

/* What the device's clock showed when ours showed received_at. One per connection is enough: all
 * readings of one boot with one correction share it. */
static json_t *clock_record(const struct fhir_scene *s)
{
	const Wellgate__V1__Reading *r = s->r;
	const int64_t shift = r->has_clock_correction_ms ? r->clock_correction_ms : 0;
	const int32_t offset = r->has_utc_offset_min ? r->utc_offset_min : 0;
	struct fhir_bundle *b = s->b;
	char ours[BUILD_TIME_MAX], theirs[BUILD_TIME_MAX];
	json_t *o = build_object(&b->build);
	int64_t device_ms;

	build_text(&b->build, o, "resourceType", "Observation");
	build_put(&b->build, o, "meta", meta(b, PHD "PhdCoincidentTimeStampObservation"));
	build_text(&b->build, o, "status", "final");
	build_put(&b->build, o, "code", fhir_concept(b, FHIR_MDC, "67975", "MDC_ATTR_TIME_ABS"));
	build_put(&b->build, o, "subject", fhir_reference(b, s->device));
	/* where the device has the better clock, the IG leaves ours out */
	if (r->clock != WELLGATE__V1__CLOCK_QUALITY__CLOCK_DEVICE_TRUSTED &&
	    build_time(ours, r->received_at_ms, offset))
		build_text(&b->build, o, "effectiveDateTime", ours);
	if (!__builtin_sub_overflow(r->received_at_ms, shift, &device_ms) &&
	    build_time(theirs, device_ms, offset))
		build_text(&b->build, o, "valueDateTime", theirs);
	else
		build_put(&b->build, o, "dataAbsentReason",
			  fhir_concept(b,
				       "http://terminology.hl7.org/CodeSystem/data-absent-reason",
				       "unknown", "Sensor Time Fault"));
	build_put(&b->build, o, "device", fhir_reference(b, s->gateway));
	return o;
}

static void clock_key(const struct fhir_scene *s, const struct fhir_key *device,
		      struct fhir_key *ret)
{
	const Wellgate__V1__Reading *r = s->r;
	char text[512], boot[2 * 16 + 1] = "", uuid[BUILD_UUID_MAX];
	int n;

	if (r->has_boot_id && r->boot_id.len <= 16)
		put_hex(boot, sizeof(boot), r->boot_id.data, r->boot_id.len);
	n = snprintf(text, sizeof(text), "%s|%s|%lld", device->value, boot,
		     r->has_clock_correction_ms ? (long long)r->clock_correction_ms : 0LL);
	*ret = (struct fhir_key){ .type = "Observation", .kind = "clock" };
	build_uuid(uuid, "clock", text, (size_t)n);
	(void)snprintf(ret->value, sizeof(ret->value), "%s", uuid + strlen("urn:uuid:"));
}

void fhir_add_devices(struct fhir_scene *s)
{
	struct fhir_key device, gateway, clock;

	device_key(s->r->device, &device);
	gateway_key(s->about, &gateway);
	fhir_uuid_of(s->b, &device, s->device);
	fhir_uuid_of(s->b, &gateway, s->gateway);
	fhir_add_entry(s->b, &gateway, phg_device(s->b));
	fhir_add_entry(s->b, &device, phd_device(s->b, s->r));
	if (!has_clock_record(s->r))
		return;
	clock_key(s, &device, &clock);
	fhir_uuid_of(s->b, &clock, s->clock);
	fhir_add_entry(s->b, &clock, clock_record(s));
}
