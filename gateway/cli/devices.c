/* wellgate devices: what was heard, and how well. */
#include <inttypes.h>
#include <jansson.h>
#include <time.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/format.h"

static const char usage[] = "usage: wellgate devices [--json] [--runtime-dir DIR]\n\n"
			    "Lists the devices that the gateway has heard.\n";

#define DIGEST_BYTES 16

/* "" if there is none */
static void digest_text(char buf[2 * DIGEST_BYTES + 1], const Wellgate__V1__DeviceRef *ref)
{
	const size_t len = ref->has_serial_digest ? ref->serial_digest.len : 0;

	format_hex(buf, ref->serial_digest.data, len < DIGEST_BYTES ? len : DIGEST_BYTES);
}

static void print_json(const Wellgate__V1__DeviceInfo *d)
{
	const Wellgate__V1__DeviceRef *ref = d->device;
	char seen[FORMAT_TIME_MAX], digest[2 * DIGEST_BYTES + 1];
	json_t *object;

	format_utc(seen, d->last_seen_ms);
	digest_text(digest, ref);
	object = json_pack("{s:s?, s:s?, s:s?, s:s?, s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "driver",
			   ref->driver, "make", ref->make, "model", ref->model, "firmware",
			   ref->firmware, "device", digest, "connected", d->connected, "readings",
			   (json_int_t)d->readings, "bad_length", (json_int_t)d->bad_length,
			   "bad_checksum", (json_int_t)d->bad_checksum, "bad_range",
			   (json_int_t)d->bad_range, "not_mine", (json_int_t)d->not_mine);
	if (d->has_last_seen_ms)
		(void)json_object_set_new(object, "last_seen", json_string(seen));
	if (d->has_battery)
		(void)json_object_set_new(object, "battery", json_integer(d->battery));
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
}

static void print_text(const Wellgate__V1__DeviceInfo *d)
{
	const Wellgate__V1__DeviceRef *ref = d->device;
	const uint64_t bad = d->bad_length + d->bad_checksum + d->bad_range + d->not_mine;
	char ago[FORMAT_TIME_MAX], digest[2 * DIGEST_BYTES + 1];

	format_ago(ago, (int64_t)time(NULL) * 1000 - d->last_seen_ms);
	digest_text(digest, ref);
	(void)printf("%-8.8s  %s%s%s", digest[0] ? digest : "-", ref->make ? ref->make : "",
		     ref->make ? " " : "", ref->model ? ref->model : "");
	if (!ref->make && !ref->model)
		(void)printf("unnamed device");
	(void)printf(" (%s), %" PRIu64 " readings, ", ref->driver ? ref->driver : "?", d->readings);
	if (d->connected)
		(void)printf("connected");
	else
		(void)printf("last heard %s ago", d->has_last_seen_ms ? ago : "long");
	if (d->has_battery)
		(void)printf(", battery %" PRIu32 " %%", d->battery);
	if (bad > 0)
		(void)printf(", %" PRIu64 " spoiled frames", bad);
	(void)putchar('\n');
}

int cmd_devices(int argc, char **argv)
{
	Wellgate__V1__Reply *reply = NULL;
	struct client c;
	int code = client_arguments(argc, argv, CLIENT_JSON, usage, &c);

	if (code < 0)
		code = client_ask_once(&c, "devices", &reply);
	if (!reply)
		return code;
	for (size_t i = 0; i < reply->n_devices; i++) {
		const Wellgate__V1__DeviceInfo *d = reply->devices[i];

		if (d->device && c.json)
			print_json(d);
		else if (d->device)
			print_text(d);
	}
	if (reply->n_devices == 0 && !c.json)
		(void)puts("no device was heard yet");
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return client_flush(&c);
}
