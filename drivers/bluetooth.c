#include "drivers/bluetooth.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/transport/radio.h"
#include "drivers/wiring.h"

#define HELPER "wellgate-link"

struct bluetooth {
	struct wiring wiring; /* first */
	struct bluetooth_options options;
	char *state, *helper;
	struct adapter_options adapter;
	struct radio *radio; /* NULL before it is started */
};

/* ---- the radio to the gateway ---- */

static int on_up(void *user, uint32_t id, const struct ble_address *address,
		 const struct session *session)
{
	const struct bluetooth *b = user;

	return link_up_ble(b->wiring.link, id, address, session);
}

static void on_pairing(void *user, const struct radio_pairing *pairing)
{
	const struct bluetooth *b = user;

	link_pairing(b->wiring.link, pairing);
}

static void on_changed(void *user)
{
	const struct bluetooth *b = user;

	link_changed(b->wiring.link);
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

static int do_wipe(void *user, const struct ble_address *address)
{
	const struct bluetooth *b = user;

	return b->radio ? radio_wipe(b->radio, address) : -ENODEV;
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
		.wipe = do_wipe,
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
	b->wiring.observe = options->observe;
	b->wiring.observe_user = options->user;
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
		.measurement = wiring_measurement,
		.down = wiring_down,
		.has_room = wiring_has_room,
		.pairing = on_pairing,
		.changed = on_changed,
		.observe = b->wiring.observe ? wiring_observe : NULL,
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

	b->wiring.link = link;
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
