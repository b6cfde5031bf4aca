/* wellgate devices: what is paired, what was heard, and how well. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/device.h"
#include "gateway/cli/format.h"
#include "gateway/news.h"

static const char usage[] =
	"usage: wellgate devices [--json] [--addresses] [--runtime-dir DIR]\n\n"
	"Lists the devices that are paired with this hub, and those that were heard. The\n"
	"number or the reference of a device is what `wellgate unpair` takes; the\n"
	"reference stays the same, the number is good until wellgated starts again.\n\n"
	"  --addresses   also the Bluetooth address of a paired device, to label it\n\n"
	"security   not encrypted, encrypted, encrypted and proved by a number, broadcast\n"
	"in clear   frames that came without the security of the pairing: never accepted\n";

#define COUNTER_TEXT 128
#define ADVICE_TEXT  128

/* ---- for machines ---- */

static void add_radio(json_t *object, const Wellgate__V1__RadioDevice *r)
{
	char state[FORMAT_ENUM_MAX], trouble[FORMAT_ENUM_MAX], security[FORMAT_ENUM_MAX];
	char path[FORMAT_ENUM_MAX], since[FORMAT_TIME_MAX];

	format_enum(state, &wellgate__v1__radio_device__state__descriptor, (int)r->state, "STATE_");
	format_enum(trouble, &wellgate__v1__radio_device__trouble__descriptor, (int)r->trouble,
		    "TROUBLE_");
	format_enum(security, &wellgate__v1__link_security__descriptor, (int)r->security, "LINK_");
	format_enum(path, &wellgate__v1__radio_device__path__descriptor, (int)r->path, "PATH_");
	(void)json_object_update_new(
		object, json_pack("{s:s?, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "name", r->name,
				  "state", state, "trouble", trouble, "security", security, "path",
				  path, "links", (json_int_t)r->links, "failed_links",
				  (json_int_t)r->failed_links, "in_clear", (json_int_t)r->in_clear,
				  "consents", (json_int_t)r->consents));
	if (r->has_rssi)
		(void)json_object_set_new(object, "rssi", json_integer(r->rssi));
	if (r->has_enrolled_ms) {
		format_utc(since, r->enrolled_ms);
		(void)json_object_set_new(object, "paired_at", json_string(since));
	}
	if (r->address)
		(void)json_object_set_new(object, "address", json_string(r->address));
}

static json_t *news_array(const Wellgate__V1__DeviceInfo *d)
{
	json_t *array = json_array();

	for (size_t i = 0; i < d->n_news; i++) {
		char name[FORMAT_ENUM_MAX];

		format_enum(name, &wellgate__v1__news__descriptor, (int)d->news[i], "NEWS_");
		(void)json_array_append_new(array, json_string(name));
	}
	return array;
}

static int print_json(void *user, size_t number, const Wellgate__V1__DeviceInfo *d)
{
	const Wellgate__V1__DeviceRef *ref = d->device;
	char seen[FORMAT_TIME_MAX], reference[DEVICE_REFERENCE];
	json_t *object;

	(void)user;
	format_utc(seen, d->last_seen_ms);
	device_reference(reference, ref);
	object = json_pack("{s:I, s:s?, s:s?, s:s?, s:s?, s:s?, s:s, s:b, s:b, s:I, s:I, s:I, s:I, "
			   "s:I}",
			   "number", (json_int_t)number, "driver", ref->driver, "make", ref->make,
			   "model", ref->model, "firmware", ref->firmware, "hardware",
			   ref->hardware, "device", reference, "connected", d->connected, "paired",
			   d->radio != NULL, "readings", (json_int_t)d->readings, "bad_length",
			   (json_int_t)d->bad_length, "bad_checksum", (json_int_t)d->bad_checksum,
			   "bad_range", (json_int_t)d->bad_range, "not_mine",
			   (json_int_t)d->not_mine);
	if (d->has_last_seen_ms)
		(void)json_object_set_new(object, "last_seen", json_string(seen));
	if (d->has_battery)
		(void)json_object_set_new(object, "battery", json_integer(d->battery));
	if (d->n_news > 0)
		(void)json_object_set_new(object, "news", news_array(d));
	if (d->radio)
		add_radio(object, d->radio);
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
	return 0;
}

/* ---- for people ---- */

/* "3 of length, 1 in clear"; "" if all are zero */
static void counters(char ret[COUNTER_TEXT], const Wellgate__V1__DeviceInfo *d)
{
	const struct {
		uint64_t n;
		const char *what;
	} rows[] = {
		{ d->bad_length, "of wrong length" },
		{ d->bad_checksum, "garbled" },
		{ d->bad_range, "out of range" },
		{ d->not_mine, "of another kind" },
		{ d->radio ? d->radio->in_clear : 0, "in clear" },
	};
	size_t len = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].n > 0 && len < COUNTER_TEXT)
			len += (size_t)snprintf(ret + len, COUNTER_TEXT - len, "%s%" PRIu64 " %s",
						len > 0 ? ", " : "", rows[i].n, rows[i].what);
	}
}

static const char *state_of(const Wellgate__V1__DeviceInfo *d)
{
	if (!d->radio && device_is_wired(d->device->driver))
		return d->connected ? "connected" : "read, or unplugged";
	if (!d->radio)
		return d->connected ? "connected" : "not paired";
	if (device_trouble(d->radio->trouble))
		return "needs you: see below";
	return device_state(d->radio->state);
}

static void print_first_line(size_t number, const Wellgate__V1__DeviceInfo *d)
{
	char name[DEVICE_NAME], reference[DEVICE_REFERENCE], ago[FORMAT_TIME_MAX];
	char seen[FORMAT_TIME_MAX + 8] = "never";
	char bars[DEVICE_BARS] = "-   ", battery[8] = "-";

	device_name(name, d);
	device_reference(reference, d->device);
	format_ago(ago, (int64_t)time(NULL) * 1000 - d->last_seen_ms);
	if (d->has_last_seen_ms && *ago == '0')
		(void)snprintf(seen, sizeof(seen), "now");
	else if (d->has_last_seen_ms)
		(void)snprintf(seen, sizeof(seen), "%s ago", ago);
	if (d->radio && d->radio->has_rssi)
		device_bars(bars, d->radio->rssi);
	if (d->has_battery)
		(void)snprintf(battery, sizeof(battery), "%" PRIu32 " %%", d->battery % 1000);
	(void)printf("%3zu  %-8.8s  %-26s  %-15s  %s    %-7s  %s\n", number,
		     reference[0] ? reference : "-", name, seen, bars, battery, state_of(d));
}

static void print_details(const Wellgate__V1__DeviceInfo *d)
{
	const Wellgate__V1__DeviceRef *ref = d->device;
	char text[DEVICE_NAME];

	device_text(text, sizeof(text), ref->driver ? ref->driver : "?");
	if (d->readings == 0)
		(void)printf("     %s, no reading yet", text);
	else
		(void)printf("     %s, %" PRIu64 " reading%s", text, d->readings,
			     d->readings == 1 ? "" : "s");
	if (ref->firmware) {
		device_text(text, sizeof(text), ref->firmware);
		(void)printf(", firmware %s", text);
	}
	if (d->radio)
		(void)printf(", %s", device_security(d->radio->security));
	if (d->radio && d->radio->path == WELLGATE__V1__RADIO_DEVICE__PATH__PATH_BLUETOOTHD)
		(void)printf(", %s", device_path(d->radio->path));
	(void)putchar('\n');
	if (d->radio && d->radio->address)
		(void)printf("     address %s\n", d->radio->address);
}

static void print_faults(size_t number, const Wellgate__V1__DeviceInfo *d)
{
	char bad[COUNTER_TEXT], advice[ADVICE_TEXT];

	counters(bad, d);
	if (bad[0])
		(void)printf("     frames not accepted: %s\n", bad);
	if (d->radio && d->radio->failed_links > 0)
		(void)printf("     %" PRIu64 " of %" PRIu64 " connections failed\n",
			     d->radio->failed_links, d->radio->links + d->radio->failed_links);
	if (d->radio && device_trouble(d->radio->trouble)) {
		device_advice(advice, sizeof(advice), d->radio->trouble, number);
		(void)printf("     ! %s\n     -> %s\n", device_trouble(d->radio->trouble), advice);
	}
}

static void print_news(const Wellgate__V1__DeviceInfo *d)
{
	for (size_t i = 0; i < d->n_news; i++) {
		const struct news_words words = news_words(WORDS_EN, d->news[i]);

		(void)printf("     ! %s\n     -> %s\n", words.text, words.advice);
	}
}

static int print_text(void *user, size_t number, const Wellgate__V1__DeviceInfo *d)
{
	(void)user;
	if (number == 1)
		(void)puts("  #  device    name                        last heard       signal"
			   "  battery  state");
	print_first_line(number, d);
	print_details(d);
	print_faults(number, d);
	print_news(d);
	return 0;
}

/* how it is with the radio, if it is not as it should be */
static int print_head(void *user, const Wellgate__V1__Reply *reply)
{
	const struct client *c = user;
	FILE *out = c->json ? stderr : stdout;
	const char *why = NULL;

	if (!reply->devices_connected)
		why = "wellgate-devices is not running";
	else if (reply->radio &&
		 reply->radio->adapter != WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_READY)
		why = device_adapter(reply->radio->adapter);
	if (why)
		(void)fprintf(out,
			      "%snothing is read over Bluetooth now: %s; see wellgate doctor\n",
			      c->json ? "wellgate devices: " : "", why);
	if (reply->n_devices == 0 && !c->json)
		(void)puts("no device is paired, and none was heard; wellgate pair adds one");
	return 0;
}

int cmd_devices(int argc, char **argv)
{
	struct client c;
	int code = client_arguments(argc, argv, CLIENT_JSON | CLIENT_ADDRESSES, usage, &c);

	if (code >= 0)
		return code;
	code = client_open(&c);
	if (code == 0)
		code = device_each(&c, print_head, c.json ? print_json : print_text, &c);
	client_close(&c);
	return code ? code : client_flush(&c);
}
