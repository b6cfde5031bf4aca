/* links: gateway_control gateway_config gateway_pipeline gateway_publish gateway_intake gateway_goals gateway_store */
/*
 * Packets of any bytes on both doors: the first byte chooses the control socket or the devices
 * socket. A reply must fit its packet. One gateway without broker lives through the whole run.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "drivers/log.h"
#include "gateway/control/control.h"
#include "gateway/listener.h"

/* of the database: the run must not fill the disk */
#define QUOTA_BYTES (INT64_C(8) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct {
	char dir[64];
	sd_event *event;
	struct control control;
	struct intake *intake;
	struct arena arena;
} gateway;

static void must(int r)
{
	if (r < 0)
		abort();
}

static void on_committed(void *user, uint64_t sequence)
{
	(void)user;
	(void)sequence;
}

static void on_full(void *user, bool full)
{
	(void)user;
	(void)full;
}

static void on_refused(void *user, uint64_t sequence, const char *reason)
{
	(void)user;
	(void)sequence;
	(void)reason;
}

static void on_restart(void *user)
{
	(void)user;
}

static int on_say(void *user, const Wellgate__V1__ToDevices *message)
{
	(void)user;
	(void)wellgate__v1__to_devices__get_packed_size(message);
	return 0;
}

static void clean_up(void)
{
	static const char *const names[] = { "wellgate.db", "wellgate.db-wal", "wellgate.keys",
					     "wellgate.keys2", "hub.key" };
	char path[128];

	pipeline_free(gateway.control.pipeline);
	publish_free(gateway.control.publish, 0);
	goal_book_free(gateway.control.book);
	intake_free(gateway.intake);
	store_close(gateway.control.store);
	sd_event_unref(gateway.event);
	arena_finish(&gateway.arena);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", gateway.dir, names[i]);
		(void)remove(path);
	}
	(void)remove(gateway.dir);
}

static void set_up(void)
{
	static const struct intake_options intake = { .time_zone = "Europe/London",
						      .subject = "p1",
						      .test = true };
	struct store_options store = { .max_bytes = QUOTA_BYTES };
	struct control *c = &gateway.control;
	struct config *config = NULL;
	char *error = NULL;

	log_open("fuzz_control", (enum log_level)0); /* malformed packets are not news here */
	(void)snprintf(gateway.dir, sizeof(gateway.dir), "/tmp/fuzz_control.XXXXXX");
	if (!mkdtemp(gateway.dir))
		abort();
	store.dir = gateway.dir;
	must(config_load(NULL, &config, &error));
	c->config = config;
	must(sd_event_new(&gateway.event));
	must(store_open(&store, &c->store, NULL));
	must(intake_new(&intake, &gateway.intake));
	must(goal_book_new(NULL, 0, "hub", 1, &c->book));
	must(publish_new(gateway.event, config, c->store, &c->publish));
	const struct pipeline_parts parts = { gateway.event,  config,  c->store,
					      gateway.intake, c->book, c->publish };
	must(pipeline_new(&parts, &c->pipeline));
	must(arena_init(&gateway.arena, CONTROL_ARENA_BYTES));
	if (atexit(clean_up) != 0)
		abort();
}

static void try_command(const uint8_t *data, size_t len)
{
	const Wellgate__V1__Command *command;
	Wellgate__V1__Reply *reply = NULL;

	arena_reset(&gateway.arena);
	command = wellgate__v1__command__unpack(arena_protobuf(&gateway.arena), len, data);
	if (!command || control_handle(&gateway.control, command, &gateway.arena, &reply) < 0)
		return;
	if (wellgate__v1__reply__get_packed_size(reply) > LISTENER_PACKET_MAX)
		abort();
}

/* what was taken must be told in one packet */
static void ask(const char *verb)
{
	Wellgate__V1__Command command = WELLGATE__V1__COMMAND__INIT;
	Wellgate__V1__Reply *reply = NULL;

	arena_reset(&gateway.arena);
	command.verb = (char *)(uintptr_t)verb;
	command.addresses = true;
	if (control_handle(&gateway.control, &command, &gateway.arena, &reply) < 0 ||
	    wellgate__v1__reply__get_packed_size(reply) > LISTENER_PACKET_MAX)
		abort();
}

static void begin_pairing(const struct pipeline *p, uint64_t *ret)
{
	Wellgate__V1__RadioCommand m = WELLGATE__V1__RADIO_COMMAND__INIT;
	Wellgate__V1__RadioCommand__Pair pair = WELLGATE__V1__RADIO_COMMAND__PAIR__INIT;

	m.what_case = WELLGATE__V1__RADIO_COMMAND__WHAT_PAIR;
	m.pair = &pair;
	must(radio_state_command(pipeline_radio(p), &m, ret));
}

/* A number that nobody can guess is put in for the one of a pairing or an outcome. */
static int take(struct pipeline *p, const uint8_t *data, size_t len, uint64_t pairing)
{
	Wellgate__V1__FromDevices *m = wellgate__v1__from_devices__unpack(NULL, len, data);
	uint8_t packet[2048];
	size_t n = 0;

	if (m && m->what_case == WELLGATE__V1__FROM_DEVICES__WHAT_PAIRING)
		m->pairing->pairing = pairing;
	else if (m && m->what_case == WELLGATE__V1__FROM_DEVICES__WHAT_OUTCOME)
		m->outcome->id = pairing;
	if (m && m->what_case >= WELLGATE__V1__FROM_DEVICES__WHAT_PAIRING &&
	    wellgate__v1__from_devices__get_packed_size(m) <= sizeof(packet))
		n = wellgate__v1__from_devices__pack(m, packet);
	wellgate__v1__from_devices__free_unpacked(m, NULL);
	return n > 0 ? pipeline_take(p, packet, n) : pipeline_take(p, data, len);
}

/* packets: each begins with its length */
static void try_devices(const uint8_t *data, size_t len)
{
	const struct pipeline_back back = { .committed = on_committed,
					    .full = on_full,
					    .refused = on_refused,
					    .restart = on_restart,
					    .say = on_say };
	struct pipeline *p = gateway.control.pipeline;
	uint64_t pairing = 0;
	int r = 0;

	pipeline_attach(p, &back);
	begin_pairing(p, &pairing);
	while (r == 0 && len > 0) {
		const size_t n = data[0] < len - 1 ? data[0] : len - 1;

		r = take(p, data + 1, n, pairing);
		data += n + 1;
		len -= n + 1;
	}
	ask("pairing");
	ask("devices");
	ask("doctor");
	pipeline_attach(p, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0 || len > LISTENER_PACKET_MAX)
		return 0;
	if (!gateway.event)
		set_up();
	if (data[0] % 2 == 0)
		try_command(data + 1, len - 1);
	else
		try_devices(data + 1, len - 1);
	return 0;
}
