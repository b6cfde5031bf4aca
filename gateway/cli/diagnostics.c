/* wellgate diagnostics: how the hub is, for whoever looks for a fault; nothing about a person. */
#include <inttypes.h>
#include <jansson.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/cli/format.h"

static const char usage[] =
	"usage: wellgate diagnostics [--json] [--runtime-dir DIR]\n\n"
	"Versions, counters, and how long the oldest of what waits has waited. No value, name or\n"
	"address is in it, so it may be sent to whoever helps.\n";

static void kind_name(char ret[FORMAT_ENUM_MAX], const Wellgate__V1__Diagnostics__Queue *q)
{
	format_enum(ret, &wellgate__v1__receipt__kind__descriptor, (int)q->kind, "KIND_");
}

static json_t *queues(const Wellgate__V1__Diagnostics *m)
{
	json_t *list = json_array();
	char kind[FORMAT_ENUM_MAX];

	for (size_t i = 0; i < m->n_queues; i++) {
		const Wellgate__V1__Diagnostics__Queue *q = m->queues[i];
		json_t *object;

		kind_name(kind, q);
		object = json_pack("{s:s, s:I, s:I, s:I}", "kind", kind, "last",
				   (json_int_t)q->last, "acknowledged", (json_int_t)q->acknowledged,
				   "waiting", (json_int_t)q->waiting);
		(void)json_object_set_new(object, "oldest_ms",
					  q->has_oldest_ms ? json_integer((json_int_t)q->oldest_ms)
							   : json_null());
		(void)json_array_append_new(list, object);
	}
	return list;
}

static void add_maps(json_t *object, const Wellgate__V1__Diagnostics *m)
{
	json_t *versions = json_object(), *counters = json_object();

	for (size_t i = 0; i < m->n_versions; i++) {
		if (m->versions[i]->name && m->versions[i]->version)
			(void)json_object_set_new(versions, m->versions[i]->name,
						  json_string(m->versions[i]->version));
	}
	for (size_t i = 0; i < m->n_counters; i++) {
		if (m->counters[i]->name)
			(void)json_object_set_new(counters, m->counters[i]->name,
						  json_integer((json_int_t)m->counters[i]->value));
	}
	(void)json_object_set_new(object, "versions", versions);
	(void)json_object_set_new(object, "counters", counters);
}

static int print_json(const struct client *c, const Wellgate__V1__Diagnostics *m)
{
	json_t *object = json_pack(
		"{s:I, s:b, s:b, s:b, s:I, s:I, s:I}", "running_ms", (json_int_t)m->running_ms,
		"clock_synced", m->clock_synced, "store_full", m->store_full, "broker_connected",
		m->broker_connected, "held", (json_int_t)m->held, "parked", (json_int_t)m->parked,
		"store_bytes", (json_int_t)m->store_bytes);

	if (!object)
		return cli_fail(c->name, EXIT_IO, "out of memory");
	(void)json_object_set_new(
		object, "receipt_age_ms",
		m->has_receipt_age_ms ? json_integer((json_int_t)m->receipt_age_ms) : json_null());
	(void)json_object_set_new(object, "queues", queues(m));
	add_maps(object, m);
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	(void)putchar('\n');
	json_decref(object);
	return client_flush(c);
}

static int print_text(const struct client *c, const Wellgate__V1__Diagnostics *m)
{
	char kind[FORMAT_ENUM_MAX], age[FORMAT_TIME_MAX];

	for (size_t i = 0; i < m->n_versions; i++)
		(void)printf("%-22s %s\n", m->versions[i]->name ? m->versions[i]->name : "?",
			     m->versions[i]->version ? m->versions[i]->version : "?");
	format_ago(age, m->running_ms);
	(void)printf("%-22s %s\n", "running for", age);
	for (size_t i = 0; i < m->n_queues; i++) {
		const Wellgate__V1__Diagnostics__Queue *q = m->queues[i];

		kind_name(kind, q);
		(void)printf("%-22s %" PRIu64 " wait, the last is number %" PRIu64, kind,
			     q->waiting, q->last);
		format_ago(age, q->oldest_ms);
		(void)printf("%s%s\n", q->has_oldest_ms ? ", the oldest for " : "",
			     q->has_oldest_ms ? age : "");
	}
	for (size_t i = 0; i < m->n_counters; i++)
		(void)printf("%-22s %" PRIu64 "\n",
			     m->counters[i]->name ? m->counters[i]->name : "?",
			     m->counters[i]->value);
	return client_flush(c);
}

int cmd_diagnostics(int argc, char **argv)
{
	Wellgate__V1__Reply *reply = NULL;
	struct client c;
	int code = client_arguments(argc, argv, CLIENT_JSON, usage, &c);

	if (code < 0)
		code = client_ask_once(&c, "diagnostics", &reply);
	if (reply && !reply->diagnostics)
		code = cli_fail(c.name, EXIT_UNAVAILABLE, "the gateway gave no answer");
	else if (reply)
		code = c.json ? print_json(&c, reply->diagnostics)
			      : print_text(&c, reply->diagnostics);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}
