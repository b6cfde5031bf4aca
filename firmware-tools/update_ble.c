#include "firmware-tools/update_ble.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/adapter.h"
#include "drivers/transport/bearer.h"
#include "firmware-tools/update_ble_services.h"
#include "protocols/att/client.h"

#define HELPER     "wellgate-link"
#define REST_US    INT64_C(2500000)  /* the kernel keeps a closed link for 2 s */
#define SEEK_US    INT64_C(40000000) /* for one link, from the first advert to the subscription */
#define CONNECT_US INT64_C(10000000)
#define QUEUE      4 /* packets that wait in the ATT client */

enum stage {
	STAGE_DOWN, /* no link; the machine is asked */
	STAGE_REST, /* until the old link is gone */
	STAGE_SEEK,
	STAGE_QUIET, /* the scan is being stopped */
	STAGE_CONNECT,
	STAGE_MTU,
	STAGE_DISCOVER,
	STAGE_READ,
	STAGE_SUBSCRIBE,
	STAGE_RAISE, /* it wants the link to be encrypted */
	STAGE_RUN,
	STAGE_ENDED,
};

struct update_ble {
	struct dfu dfu;
	struct update_ble_options options;
	struct update_ble_handlers handlers;
	sd_event *event;
	sd_event_source *timer;
	char helper[PATH_MAX];
	struct adapter *adapter;
	struct bearer *bearer;
	struct att_client client;
	struct att_sink sink;
	struct att_table table;
	struct update_ble_services services;

	enum stage stage;
	int error;
	bool paused; /* the scan, by us */
	bool shown_once, told;
	struct ble_address target;
	int64_t give_up, wake; /* while there is no link; the machine's */
	int64_t closed_at;
	size_t at;            /* which is read or subscribed to */
	unsigned int waiting; /* writes in the ATT client */
	bool has_result, failed;
	bool raised;    /* on this link */
	bool wants_key; /* it said so on any */
	struct att_result result;
	uint16_t confirm; /* handle of an indication that is to be answered; 0: none */
	size_t shown;
	uint8_t out[ATT_MTU_MAX];
	size_t out_len;
};

/* ---- who else uses the radio ---- */

static bool is_devices_with_radio(const char *pid)
{
	char path[64], text[4096];
	_cleanup_close_ int fd = -1;
	const char *name, *end;
	ssize_t n;

	if (!isdigit((unsigned char)pid[0]))
		return false;
	if (snprintf(path, sizeof(path), "/proc/%s/cmdline", pid) >= (int)sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	name = strrchr(text, '/');
	if (strcmp(name ? name + 1 : text, "wellgate-devices") != 0)
		return false;
	end = text + n;
	for (const char *word = text; word < end; word += strlen(word) + 1) {
		if (strcmp(word, "--bluetooth") == 0)
			return true;
	}
	return false;
}

bool update_ble_radio_in_use(void)
{
	const struct dirent *entry;
	DIR *dir = opendir("/proc");
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = is_devices_with_radio(entry->d_name);
	if (dir)
		(void)closedir(dir);
	return found;
}

/* ---- small things ---- */

static int64_t now_of(const struct update_ble *u)
{
	uint64_t now = 0;

	(void)sd_event_now(u->event, CLOCK_MONOTONIC, &now);
	return (int64_t)now;
}

static void say(const struct update_ble *u, const char *text)
{
	if (u->handlers.step)
		u->handlers.step(u->handlers.user, text);
}

static void tell(struct update_ble *u, enum dfu_event_kind kind, enum dfu_channel channel,
		 const uint8_t *data, size_t len)
{
	const struct dfu_event e = { .kind = kind, .channel = channel, .data = data, .len = len };

	dfu_event(&u->dfu, now_of(u), &e);
}

static void set_timer(const struct update_ble *u)
{
	int64_t at = u->wake, deadline;

	if (u->stage > STAGE_REST && u->stage < STAGE_RUN)
		at = u->give_up;
	if (u->bearer && u->stage >= STAGE_MTU) {
		deadline = att_client_deadline(&u->client);
		at = deadline < at ? deadline : at;
	}
	(void)sd_event_source_set_time(u->timer, (uint64_t)at);
	(void)sd_event_source_set_enabled(u->timer, SD_EVENT_ONESHOT);
}

static void close_link(struct update_ble *u)
{
	if (!u->bearer)
		return;
	bearer_free(u->bearer);
	u->bearer = NULL;
	u->closed_at = now_of(u);
	u->out_len = 0;
	u->waiting = 0;
	u->has_result = u->failed = false;
	u->confirm = 0;
}

static void end(struct update_ble *u, int error)
{
	close_link(u);
	if (u->stage == STAGE_ENDED)
		return;
	u->stage = STAGE_ENDED;
	u->error = error;
	adapter_scan(u->adapter, false);
	u->handlers.ended(u->handlers.user);
}

/* ---- to a link ---- */

static void rest(struct update_ble *u, int64_t pause)
{
	int64_t now = now_of(u), until = now + pause;

	if (u->closed_at != 0 && until < u->closed_at + REST_US)
		until = u->closed_at + REST_US;
	u->stage = STAGE_REST;
	u->wake = until;
}

static void seek(struct update_ble *u)
{
	u->stage = STAGE_SEEK;
	adapter_scan(u->adapter, true);
	if (u->paused)
		adapter_scan_resume(u->adapter);
	u->paused = false;
}

/* A link was lost before the machine heard of it: another one, as long as there is time. */
static void seek_again(struct update_ble *u)
{
	close_link(u);
	rest(u, 0);
}

static void relink(struct update_ble *u, const struct dfu_request *r)
{
	close_link(u);
	say(u,
	    u->dfu.links != 0 ? "waiting for the device to come back" : "looking for the device");
	rest(u, r->pause);
	u->give_up = u->wake + SEEK_US;
}

static void no_link(struct update_ble *u)
{
	const bool heard = u->stage > STAGE_SEEK;

	close_link(u);
	if (u->dfu.links == 0 && u->wants_key) {
		end(u, -EACCES);
		return;
	}
	if (u->dfu.links == 0) {
		end(u, heard || adapter_state(u->adapter) == ADAPTER_READY ? -ENODEV : -ENONET);
		return;
	}
	u->stage = STAGE_DOWN;
	tell(u, DFU_LOST, 0, NULL, 0);
}

static bool is_next_address(const struct ble_address *a, const struct ble_address *b)
{
	return memcmp(a->bytes, b->bytes, 5) == 0 && (uint8_t)(a->bytes[5] + 1) == b->bytes[5];
}

static bool is_target(const struct update_ble *u, const struct ble_advert *advert)
{
	if (memcmp(advert->address.bytes, u->options.address.bytes, 6) == 0)
		return true;
	return u->options.protocol != &DFU_SMP &&
	       is_next_address(&u->options.address, &advert->address) &&
	       update_ble_advertises(u->options.protocol, advert);
}

static void on_quiet(void *user);

static void on_advert(void *user, const struct ble_advert *advert)
{
	struct update_ble *u = user;

	if (u->stage != STAGE_SEEK || !is_target(u, advert))
		return;
	u->target = advert->address;
	u->stage = STAGE_QUIET;
	u->paused = true;
	if (adapter_scan_pause(u->adapter, on_quiet, u) < 0)
		u->stage = STAGE_SEEK; /* not possible: nobody else pauses it */
}

/* ---- what the ATT client says: noted down, or told to the machine ---- */

static void on_done(void *user, const struct att_result *result)
{
	struct update_ble *u = user;
	const enum dfu_channel channel = update_ble_channel_of(&u->services, result->handle);

	if (u->stage != STAGE_RUN) {
		u->has_result = true;
		u->result = *result;
		if (u->stage == STAGE_READ)
			update_ble_read(&u->services, u->at, result);
		return;
	}
	if (u->waiting > 0)
		u->waiting--;
	if (result->kind == ATT_DO_WRITE && result->error != -ECANCELED)
		tell(u, result->error == 0 ? DFU_WRITTEN : DFU_DENIED, channel, NULL, 0);
	else if (result->kind == ATT_DO_COMMAND && result->error != 0)
		u->failed = true; /* it did not go out: what comes next would be in its place */
}

static void on_value(void *user, const struct att_notice *notice)
{
	struct update_ble *u = user;
	const enum dfu_channel channel = update_ble_channel_of(&u->services, notice->handle);

	if (notice->indication)
		u->confirm = notice->handle;
	if (u->stage == STAGE_RUN && channel != 0)
		tell(u, DFU_CAME, channel, notice->data, notice->len);
}

static void on_changed(void *user, uint16_t handle, uint16_t start, uint16_t last)
{
	struct update_ble *u = user;

	(void)start;
	(void)last;
	u->confirm = handle;
	u->failed = true; /* its handles mean something else now: the next link looks anew */
}

static void on_fault(void *user, enum att_fault fault, uint8_t opcode, int r)
{
	(void)user; /* dropped and counted; a missing answer has its limit */
	(void)fault;
	(void)opcode;
	(void)r;
}

static void on_dead(void *user, int r)
{
	struct update_ble *u = user;

	(void)r;
	u->failed = true;
}

static void flush(struct update_ble *u)
{
	while (u->bearer && !att_client_is_dead(&u->client)) {
		if (u->out_len == 0)
			u->out_len = att_client_take(&u->client, u->out, now_of(u));
		if (u->out_len == 0)
			return;
		if (bearer_send(u->bearer, u->out, u->out_len) == -EAGAIN)
			return; /* on_writable() comes; of any other error the bearer tells */
		u->out_len = 0;
	}
}

/* ---- the steps of a link ---- */

static void ask(struct update_ble *u, enum stage stage, int r)
{
	u->stage = stage;
	if (r < 0)
		u->failed = true;
}

static void linked(struct update_ble *u)
{
	const struct dfu_link link = {
		.mode = u->services.mode,
		.mtu = att_client_mtu(&u->client),
	};
	const struct dfu_event e = { .kind = DFU_LINKED, .link = &link };

	u->stage = STAGE_RUN;
	say(u, "connected");
	dfu_event(&u->dfu, now_of(u), &e);
}

/* The device is known now, and nothing was written to it; false: this was all. */
static bool is_wanted(struct update_ble *u)
{
	struct update_ble_facts facts = u->services.facts;

	if (u->shown_once)
		return true;
	u->shown_once = true;
	facts.mode = u->services.mode;
	facts.mtu = att_client_mtu(&u->client);
	facts.supported = u->services.n_channels != 0;
	if (!facts.supported) {
		end(u, -ENOTSUP);
		return false;
	}
	if (u->handlers.found(u->handlers.user, &facts))
		return true;
	end(u, -ECANCELED);
	return false;
}

static void subscribe(struct update_ble *u)
{
	const struct att_characteristic *ch = update_ble_subscription(&u->services, u->at);

	if (!ch)
		linked(u);
	else
		ask(u, STAGE_SUBSCRIBE, att_client_subscribe(&u->client, ch, true, 0));
}

static void read_next(struct update_ble *u)
{
	const struct att_characteristic *ch = update_ble_readable(&u->services, u->at);

	if (ch) {
		ask(u, STAGE_READ, att_client_read(&u->client, ch->value, 0));
		return;
	}
	update_ble_services_end(&u->services);
	u->at = 0;
	if (is_wanted(u))
		subscribe(u);
}

static bool is_about_keys(const struct att_result *result)
{
	return result->refusal == ATT_ERROR_INSUFFICIENT_AUTHENTICATION ||
	       result->refusal == ATT_ERROR_INSUFFICIENT_ENCRYPTION;
}

/* Only with a bond that there is: an update is no occasion to pair. */
static void raise_level(struct update_ble *u)
{
	u->wants_key = true;
	if (!adapter_is_bonded(u->adapter, &u->target)) {
		end(u, -EACCES);
		return;
	}
	u->raised = true;
	ask(u, STAGE_RAISE, bearer_raise(u->bearer, BEARER_ENCRYPTED));
}

static void advance(struct update_ble *u)
{
	if (!u->has_result)
		return;
	u->has_result = false;
	if (u->stage == STAGE_MTU) {
		/* refused: 23 bytes, and that is no harm */
		ask(u, STAGE_DISCOVER, att_client_discover(&u->client, 0));
	} else if (u->stage == STAGE_DISCOVER && u->result.error == 0) {
		update_ble_services_find(&u->services, u->options.protocol, &u->table);
		u->at = 0;
		read_next(u);
	} else if (u->stage == STAGE_READ) {
		u->at++;
		read_next(u);
	} else if (u->stage == STAGE_SUBSCRIBE && u->result.error == 0) {
		u->at++;
		subscribe(u);
	} else if (u->stage == STAGE_SUBSCRIBE && is_about_keys(&u->result) && !u->raised) {
		raise_level(u);
	} else {
		u->failed = true;
	}
}

static void send_one(struct update_ble *u, const struct dfu_request *r)
{
	const struct att_characteristic *ch = update_ble_channel(&u->services, r->channel);
	int error;

	if (!ch) {
		tell(u, DFU_DENIED, r->channel, NULL, 0);
		return;
	}
	if (r->channel == DFU_PACKET || r->channel == DFU_SMP_CHANNEL)
		error = att_client_write_command(&u->client, ch->value, r->data, r->len, 0);
	else
		error = att_client_write(&u->client, ch->value, r->data, r->len, 0);
	if (error < 0)
		u->failed = true;
	else
		u->waiting++;
}

static void show(struct update_ble *u)
{
	if (u->dfu.done == u->shown || !u->handlers.progress)
		return;
	u->shown = u->dfu.done;
	u->handlers.progress(u->handlers.user, u->dfu.done, u->dfu.total);
}

/* The link is of no use: the machine hears of it, or another one is sought in silence. */
static void link_is_lost(struct update_ble *u)
{
	const bool known = u->stage == STAGE_RUN;

	close_link(u);
	if (known) {
		u->stage = STAGE_DOWN;
		tell(u, DFU_LOST, 0, NULL, 0);
	} else if (u->stage > STAGE_SEEK && u->stage < STAGE_RUN) {
		seek_again(u);
	}
}

/* false: nothing more can be done now */
static bool run_machine(struct update_ble *u)
{
	struct dfu_request r;

	if (u->failed)
		link_is_lost(u);
	if (u->stage == STAGE_RUN) {
		u->wake = INT64_MAX;
		flush(u);
		if (u->out_len != 0 || u->waiting >= QUEUE)
			return u->failed;
	} else if (u->stage != STAGE_DOWN) {
		return false;
	}
	dfu_next(&u->dfu, now_of(u), &r);
	show(u);
	if (r.act == DFU_SEND)
		send_one(u, &r);
	else if (r.act == DFU_RELINK)
		relink(u, &r);
	else if (r.act == DFU_END)
		end(u, 0);
	else
		u->wake = r.until;
	return r.act != DFU_WAIT || u->failed;
}

/* everything that can be done now; from the loop only */
static void pump(struct update_ble *u)
{
	if (u->confirm != 0 && u->bearer)
		(void)att_client_confirm(&u->client, u->confirm);
	u->confirm = 0;
	flush(u);
	while (u->has_result)
		advance(u);
	flush(u);
	while (run_machine(u))
		;
	flush(u);
	if (u->stage != STAGE_ENDED)
		set_timer(u);
}

/* ---- the bearer ---- */

static void on_connected(void *user, enum bearer_level level)
{
	struct update_ble *u = user;

	(void)level;
	u->raised = false;
	att_client_init(&u->client, &u->sink, &u->table, ATT_MTU_MAX, ATT_SECURITY_CLEAR);
	ask(u, STAGE_MTU, att_client_exchange_mtu(&u->client, 0));
	pump(u);
}

static void on_pdu(void *user, const uint8_t *data, size_t len, enum bearer_level level)
{
	struct update_ble *u = user;

	(void)level;
	if (u->stage >= STAGE_MTU && u->stage <= STAGE_RUN)
		(void)att_client_receive(&u->client, data, len, now_of(u));
	pump(u);
}

static void on_level(void *user, enum bearer_level level)
{
	struct update_ble *u = user;

	if (u->stage != STAGE_RAISE || level < BEARER_ENCRYPTED)
		return;
	subscribe(u);
	pump(u);
}

static void on_lost(void *user, enum bearer_end how, int error)
{
	struct update_ble *u = user;

	(void)how;
	(void)error;
	link_is_lost(u);
	pump(u);
}

static void on_writable(void *user)
{
	pump(user);
}

static void on_quiet(void *user)
{
	struct update_ble *u = user;
	const struct bearer_options options = {
		.helper = u->options.helper,
		.peer = u->target,
		.ask = BEARER_CLEAR,
		.connect_timeout_us = CONNECT_US,
		.stand_in = -1,
	};
	const struct bearer_handlers handlers = {
		.connected = on_connected,
		.pdu = on_pdu,
		.level = on_level,
		.lost = on_lost,
		.writable = on_writable,
		.user = u,
	};

	if (u->stage != STAGE_QUIET)
		return;
	u->stage = STAGE_CONNECT;
	if (bearer_new(u->event, &options, &handlers, &u->bearer) < 0)
		seek_again(u);
	set_timer(u);
}

/* ---- begin and end ---- */

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct update_ble *u = user;
	const int64_t now = now_of(u);

	(void)source;
	(void)usec;
	if (u->bearer && u->stage >= STAGE_MTU)
		att_client_tick(&u->client, now);
	if (u->stage == STAGE_REST && now >= u->wake)
		seek(u);
	if (u->stage > STAGE_REST && u->stage < STAGE_RUN && now >= u->give_up)
		no_link(u);
	pump(u);
	return 0;
}

/* The helper lies beside this program, wherever both were installed. */
static int find_helper(struct update_ble *u)
{
	const ssize_t n = readlink("/proc/self/exe", u->helper, sizeof(u->helper) - sizeof(HELPER));
	char *slash;

	if (n < 0)
		return -errno;
	u->helper[n] = '\0';
	slash = strrchr(u->helper, '/');
	if (!slash)
		return -ENOENT;
	memcpy(slash + 1, HELPER, sizeof(HELPER));
	u->options.helper = u->helper;
	return 0;
}

static int make(struct update_ble *u)
{
	const struct adapter_options options = { .any = true };
	const struct adapter_handlers handlers = { .advert = on_advert, .user = u };
	int r = u->options.helper ? 0 : find_helper(u);

	u->sink = (struct att_sink){
		.done = on_done,
		.value = on_value,
		.changed = on_changed,
		.fault = on_fault,
		.dead = on_dead,
		.user = u,
	};
	if (r >= 0)
		r = adapter_new(u->event, &options, &handlers, &u->adapter);
	if (r >= 0) /* the first turn begins it */
		r = sd_event_add_time(u->event, &u->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, u);
	return r;
}

int update_ble_start(sd_event *event, const struct update_ble_options *options,
		     const struct update_ble_handlers *handlers, struct update_ble **ret)
{
	struct update_ble *u = calloc(1, sizeof(*u));
	int r;

	if (!u)
		return -ENOMEM;
	u->options = *options;
	u->handlers = *handlers;
	u->event = sd_event_ref(event);
	r = dfu_begin(&u->dfu, options->protocol, options->plan);
	if (r >= 0)
		r = make(u);
	if (r < 0) {
		update_ble_free(u);
		return r;
	}
	*ret = u;
	return 0;
}

int update_ble_error(const struct update_ble *u)
{
	return u->error;
}

const struct dfu *update_ble_result(const struct update_ble *u)
{
	return &u->dfu;
}

void update_ble_free(struct update_ble *u)
{
	if (!u)
		return;
	bearer_free(u->bearer);
	adapter_free(u->adapter);
	(void)sd_event_source_disable_unref(u->timer);
	(void)sd_event_unref(u->event);
	free(u);
}
