#include "drivers/bluetooth.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "drivers/log.h"
#include "drivers/transport/radio.h"

#define HELPER "wellgate-link"

struct bluetooth {
	struct bluetooth_options options;
	char *state, *helper;
	struct adapter_options adapter;
	struct link *link;
	struct radio *radio; /* NULL before it is started */
};

/* ---- the radio to the gateway ---- */

static int on_up(void *user, uint32_t id, const struct ble_address *address,
		 const struct session *session)
{
	const struct bluetooth *b = user;

	return link_up_ble(b->link, id, address, session);
}

static int on_measurement(void *user, uint32_t id, const struct measurement *m, uint64_t seq)
{
	const struct bluetooth *b = user;
	struct link_stamp stamp;
	int r = link_stamp_now(&stamp);

	if (r >= 0)
		r = link_measurement(b->link, id, m, seq, &stamp);
	if (r < 0)
		log_error("gateway: measurement not queued error=%d", -r);
	return r;
}

static int on_down(void *user, uint32_t id, const struct session *session)
{
	const struct bluetooth *b = user;

	return link_down(b->link, id, session);
}

static bool has_room(void *user)
{
	const struct bluetooth *b = user;

	return link_has_room(b->link);
}

static void on_pairing(void *user, const struct radio_pairing *pairing)
{
	const struct bluetooth *b = user;

	link_pairing(b->link, pairing);
}

static void on_changed(void *user)
{
	const struct bluetooth *b = user;

	link_changed(b->link);
}

static void on_observe(void *user, uint32_t id, const struct cap_event *event)
{
	const struct bluetooth *b = user;
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	b->options.observe(b->options.user, id, event,
			   (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

/* ---- the radio's state, for the gateway ---- */

static enum adapter_state get_state(void *user)
{
	const struct bluetooth *b = user;

	return adapter_state(radio_adapter(b->radio));
}

static const struct adapter_counts *get_counts(void *user)
{
	const struct bluetooth *b = user;

	return adapter_counts(radio_adapter(b->radio));
}

static size_t get_devices(void *user)
{
	const struct bluetooth *b = user;

	return radio_devices(b->radio);
}

static void get_device(void *user, size_t i, struct radio_device *ret)
{
	const struct bluetooth *b = user;

	radio_device_at(b->radio, i, ret);
}

static void get_findings(void *user,
			 void (*finding)(void *user, enum adapter_finding_level level,
					 const char *text, const char *advice),
			 void *finding_user)
{
	const struct bluetooth *b = user;

	adapter_findings(radio_adapter(b->radio), finding, finding_user);
	radio_own_findings(b->radio, finding, finding_user);
}

/* ---- commands of the operator; none comes before there is a loop, so the radio is there ---- */

static int do_pair(void *user, const struct radio_pair_request *request)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_pair(b->radio, request) : -ENODEV;
}

static int do_choose(void *user, const struct ble_address *address)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_pair_choose(b->radio, address) : -ENODEV;
}

static int do_passkey(void *user, uint32_t passkey)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_pair_passkey(b->radio, passkey) : -ENODEV;
}

static int do_answer(void *user, bool yes)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_pair_answer(b->radio, yes) : -ENODEV;
}

static void do_cancel(void *user)
{
	const struct bluetooth *b = user;

	if (b->radio)
		radio_pair_cancel(b->radio);
}

static int do_unpair(void *user, const struct ble_address *address)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_unpair(b->radio, address) : -ENODEV;
}

static int do_retry(void *user, const struct ble_address *address)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_retry(b->radio, address) : -ENODEV;
}

static void do_clock(void *user, bool trusted, int zone_offset_min)
{
	const struct bluetooth *b = user;

	if (b->radio)
		radio_set_clock(b->radio, trusted, zone_offset_min);
}

struct status_handlers bluetooth_handlers(struct bluetooth *b)
{
	return (struct status_handlers){
		.pair = do_pair,
		.choose = do_choose,
		.passkey = do_passkey,
		.answer = do_answer,
		.cancel = do_cancel,
		.unpair = do_unpair,
		.retry = do_retry,
		.clock = do_clock,
		.user = b,
	};
}

/* ---- beginning and end ---- */

/* The helper lies beside this program, wherever both were installed. */
static char *helper_beside(void)
{
	char path[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(HELPER));
	char *slash;

	if (n < 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	memcpy(slash + 1, HELPER, sizeof(HELPER));
	return strdup(path);
}

int bluetooth_new(const struct bluetooth_options *options, struct bluetooth **ret)
{
	struct bluetooth *b = calloc(1, sizeof(*b));
	int r = 0;

	if (!b)
		return -ENOMEM;
	b->options = *options;
	b->adapter.any = !options->adapter;
	if (options->adapter)
		r = ble_address_parse(options->adapter, BLE_PUBLIC, &b->adapter.adapter);
	b->state = strdup(options->state);
	b->helper = options->helper ? strdup(options->helper) : helper_beside();
	if (r == 0 && (!b->state || !b->helper))
		r = -ENOMEM;
	if (r < 0) {
		bluetooth_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

int bluetooth_start(struct bluetooth *b, sd_event *event, struct link *link)
{
	const struct radio_options options = {
		.helper = b->helper,
		.directory = b->state,
		.adapter = b->adapter,
	};
	const struct radio_sink sink = {
		.up = on_up,
		.measurement = on_measurement,
		.down = on_down,
		.has_room = has_room,
		.pairing = on_pairing,
		.changed = on_changed,
		.observe = b->options.observe ? on_observe : NULL,
		.user = b,
	};
	const struct status_source source = {
		.state = get_state,
		.counts = get_counts,
		.devices = get_devices,
		.device_at = get_device,
		.findings = get_findings,
		.user = b,
	};
	int r;

	b->link = link;
	r = radio_new(event, &options, &sink, b->options.next_seq, b->options.next_id, &b->radio);
	if (r >= 0)
		link_set_source(link, &source);
	return r;
}

void bluetooth_free(struct bluetooth *b)
{
	if (!b)
		return;
	radio_free(b->radio);
	free(b->state);
	free(b->helper);
	free(b);
}

void bluetooth_committed(struct bluetooth *b, uint64_t seq)
{
	if (b->radio)
		radio_committed(b->radio, seq);
}

void bluetooth_refused(struct bluetooth *b, uint64_t seq)
{
	if (b->radio)
		radio_refused(b->radio, seq);
}

void bluetooth_wake(struct bluetooth *b)
{
	if (b->radio)
		radio_wake(b->radio);
}
