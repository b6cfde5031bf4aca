/* wellgate status: what is going on, on one screen. */
#include <inttypes.h>
#include <jansson.h>
#include <time.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/device.h"
#include "gateway/cli/format.h"
#include "gateway/cli/print.h"

static const char usage[] = "usage: wellgate status [--json] [--runtime-dir DIR]\n\n"
			    "Says what the gateway is doing: readings kept and waiting, broker,\n"
			    "clock. --json prints one object; `waiting` is 0 when all was sent.\n";

static json_t *counters(const Wellgate__V1__HubStatus *s)
{
	json_t *object = json_object();

	for (size_t i = 0; i < s->n_counters; i++) {
		if (s->counters[i]->name)
			(void)json_object_set_new(object, s->counters[i]->name,
						  json_integer((json_int_t)s->counters[i]->value));
	}
	return object;
}

static void add_delivery(json_t *object, const Wellgate__V1__Delivery *d)
{
	(void)json_object_set_new(object, "delivery",
				  json_string(d->by_receipt ? "receipt" : "puback"));
	(void)json_object_set_new(object, "sent", json_integer((json_int_t)d->sent));
	(void)json_object_set_new(object, "confirmed", json_integer((json_int_t)d->confirmed));
	(void)json_object_set_new(object, "committed", json_integer((json_int_t)d->committed));
	(void)json_object_set_new(
		object, "receipt_age_ms",
		d->has_receipt_age_ms ? json_integer((json_int_t)d->receipt_age_ms) : json_null());
	(void)json_object_set_new(object, "away", json_boolean(d->away));
	(void)json_object_set_new(object, "why", d->why ? json_string(d->why) : json_null());
}

static int print_json(const struct client *c, const Wellgate__V1__Reply *reply)
{
	const Wellgate__V1__HubStatus *s = reply->status;
	char since[FORMAT_TIME_MAX], epoch[20], state[FORMAT_ENUM_MAX];
	json_t *object;

	format_utc(since, s->since_ms);
	(void)snprintf(epoch, sizeof(epoch), "%016" PRIx64, s->epoch);
	format_enum(state, &wellgate__v1__hub_status__state__descriptor, (int)s->state, "STATE_");
	object = json_pack("{s:s?, s:s?, s:s, s:s, s:s?, s:s, s:I, s:I, s:I, s:I}", "hub", s->hub,
			   "site", reply->site, "epoch", epoch, "state", state, "version",
			   s->version, "since", since, "readings", (json_int_t)s->readings,
			   "waiting", (json_int_t)s->waiting, "acknowledged",
			   (json_int_t)reply->acknowledged, "parked", (json_int_t)reply->parked);
	if (!object)
		return cli_fail(c->name, EXIT_IO, "out of memory");
	(void)json_object_set_new(object, "broker",
				  reply->broker ? json_string(reply->broker) : json_null());
	(void)json_object_set_new(object, "broker_connected",
				  json_boolean(reply->broker_connected));
	(void)json_object_set_new(object, "clock_synced", json_boolean(s->clock_synced));
	(void)json_object_set_new(object, "store_full", json_boolean(s->store_full));
	(void)json_object_set_new(object, "test", json_boolean(s->test));
	if (reply->delivery)
		add_delivery(object, reply->delivery);
	(void)json_object_set_new(object, "counters", counters(s));
	print_fleet(object, s);
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
	return client_flush(c);
}

/* How far the readings have come, and what they wait for. */
static void print_delivery(const Wellgate__V1__Delivery *d, bool waiting)
{
	char age[FORMAT_TIME_MAX];

	(void)printf("delivery  readings up to %" PRIu64 " sent, %" PRIu64
		     " confirmed by the broker",
		     d->sent, d->confirmed);
	if (d->by_receipt)
		(void)printf(", %" PRIu64 " committed by the record service", d->committed);
	(void)putchar('\n');
	if (d->why)
		(void)printf("          broker: %s\n", d->why);
	if (!d->by_receipt || !waiting)
		return;
	format_ago(age, d->has_receipt_age_ms ? d->receipt_age_ms : d->running_ms);
	(void)printf("          %s for %s\n",
		     d->has_receipt_age_ms ? "no receipt" : "no record service heard", age);
}

static void print_devices(const Wellgate__V1__HubStatus *s)
{
	char row[FORMAT_FLEET_MAX], clean[FORMAT_FLEET_MAX];

	for (size_t i = 0; i < s->n_fleet; i++) {
		format_fleet(row, s->fleet[i]);
		device_text(clean, sizeof(clean), row);
		(void)printf("%-9s %s\n", i == 0 ? "devices" : "", clean);
	}
	if (s->fleet_unlisted > 0)
		(void)printf("          and %" PRIu32 " more\n", s->fleet_unlisted);
}

static int print_text(const struct client *c, const Wellgate__V1__Reply *reply)
{
	const Wellgate__V1__HubStatus *s = reply->status;
	char up[FORMAT_TIME_MAX];

	format_ago(up, (int64_t)time(NULL) * 1000 - s->since_ms);
	(void)printf("hub       %s at %s, wellgated %s, running for %s\n", s->hub ? s->hub : "?",
		     reply->site ? reply->site : "?", s->version ? s->version : "?", up);
	(void)printf("readings  %" PRIu64 " kept, %s", s->readings,
		     s->waiting == 0 ? "all sent\n" : "");
	if (s->waiting > 0)
		(void)printf("%" PRIu64 " messages wait to be sent\n", s->waiting);
	if (!reply->broker)
		(void)puts("broker    none configured");
	else if (reply->delivery && reply->delivery->away)
		(void)printf("broker    %s, connected when there is something to send\n",
			     reply->broker);
	else
		(void)printf("broker    %s %s\n",
			     reply->broker_connected ? "connected to" : "not connected to",
			     reply->broker);
	if (reply->delivery)
		print_delivery(reply->delivery, s->waiting > 0);
	(void)printf("clock     %s\n", s->clock_synced ? "synchronised" : "not synchronised");
	if (s->store_full)
		(void)puts("store     full: devices hold their data until there is room");
	if (reply->parked > 0)
		(void)printf("refused   %" PRIu64 " readings by the broker; see wellgate doctor\n",
			     reply->parked);
	print_devices(s);
	if (s->test)
		(void)puts("test      everything here is test data");
	return client_flush(c);
}

int cmd_status(int argc, char **argv)
{
	Wellgate__V1__Reply *reply = NULL;
	struct client c;
	int code = client_arguments(argc, argv, CLIENT_JSON, usage, &c);

	if (code < 0)
		code = client_ask_once(&c, "status", &reply);
	if (reply && !reply->status)
		code = cli_fail(c.name, EXIT_UNAVAILABLE, "the gateway gave no status");
	else if (reply)
		code = c.json ? print_json(&c, reply) : print_text(&c, reply);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}
