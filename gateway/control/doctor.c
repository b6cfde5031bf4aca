/* `wellgate doctor`: what the daemon knows about its own health, in plain words with advice. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "gateway/broker_address.h"
#include "gateway/control/control.h"
#include "gateway/light/show.h"
#include "gateway/news.h"
#include "gateway/publish/receipts.h"

#define FINDINGS_MAX  96
#define MIB           ((uint64_t)1024 * 1024)
#define SPACE_PROBLEM (16 * MIB)
#define SPACE_NOTICE  (256 * MIB)

#define GOOD    WELLGATE__V1__FINDING__LEVEL__LEVEL_GOOD
#define NOTICE  WELLGATE__V1__FINDING__LEVEL__LEVEL_NOTICE
#define PROBLEM WELLGATE__V1__FINDING__LEVEL__LEVEL_PROBLEM

#define ADAPTER(name) WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_##name
#define TROUBLE(name) WELLGATE__V1__RADIO_DEVICE__TROUBLE__TROUBLE_##name

struct doctor {
	const struct control *c;
	struct arena *arena;
	Wellgate__V1__Reply *reply;
	int result;
};

/* advice may be NULL */
__attribute__((format(printf, 4, 5))) static void find(struct doctor *d,
						       Wellgate__V1__Finding__Level level,
						       const char *advice, const char *format, ...)
{
	Wellgate__V1__Finding *f = arena_alloc(d->arena, sizeof(*f));
	_cleanup_free_ char *what = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&what, format, args) < 0)
		what = NULL;
	va_end(args);
	if (!f || !what || d->reply->n_findings == FINDINGS_MAX) {
		d->result = -ENOMEM;
		return;
	}
	wellgate__v1__finding__init(f);
	f->has_level = true;
	f->level = level;
	f->what = arena_strdup(d->arena, what);
	f->advice = advice ? arena_strdup(d->arena, advice) : NULL;
	if (!f->what)
		d->result = -ENOMEM;
	d->reply->findings[d->reply->n_findings++] = f;
}

static void check_configuration(struct doctor *d)
{
	const struct config *c = d->c->config;

	if (d->c->config_file)
		find(d, GOOD, NULL, "configuration: %s, goals: %zu, time zone %s",
		     d->c->config_file, c->n_goals, c->time_zone);
	else
		find(d, NOTICE, "write /etc/wellgate/wellgate.conf (an example is in the package)",
		     "configuration: none, built-in defaults, time zone %s", c->time_zone);
	if (!c->subject)
		find(d, NOTICE, "set subject in [person] if one person uses this box",
		     "nobody is configured: readings stay unassigned and count towards no goal");
	if (c->test)
		find(d, NOTICE, "set test = no in [hub] before real use",
		     "everything is marked as test data");
}

static void check_state_dir(struct doctor *d)
{
	const char *dir = d->c->config->state_dir;
	struct statvfs fs;
	struct stat st;
	uint64_t left;

	if (stat(dir, &st) < 0 || statvfs(dir, &fs) < 0) {
		find(d, PROBLEM, "see that the folder exists and wellgated may enter it",
		     "state folder %s: %s", dir, strerror(errno));
		return;
	}
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		find(d, PROBLEM, "chmod 700 it: it holds health data",
		     "state folder %s: other users may enter it", dir);
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	find(d,
	     left < SPACE_PROBLEM  ? PROBLEM
	     : left < SPACE_NOTICE ? NOTICE
				   : GOOD,
	     left < SPACE_NOTICE ? "make room on this disk" : NULL,
	     "state folder %s: %" PRIu64 " MiB free", dir, left / MIB);
}

static void check_store(struct doctor *d)
{
	struct store_counts counts;

	store_counts(d->c->store, &counts);
	find(d, GOOD, NULL,
	     "database: %" PRIu64 " readings and %" PRIu64 " results so far, %" PRId64 " KiB",
	     counts.last[LANE_READINGS], counts.last[LANE_RESULTS], counts.bytes / 1024);
	if (pipeline_is_full(d->c->pipeline))
		find(d, PROBLEM, "make room: devices hold their data until then",
		     "database: it cannot keep more readings");
	if (counts.damaged > 0)
		find(d, PROBLEM, "the disk or card is failing: replace it",
		     "database: %" PRIu64 " damaged rows", counts.damaged);
	if (counts.parked > 0)
		find(d, PROBLEM, "the broker refused them for good: check its access rules",
		     "outbox: %" PRIu64 " readings are set aside", counts.parked);
}

static void check_clock(struct doctor *d)
{
	struct receipt now;

	receipt_now(&now);
	if (now.synced)
		find(d, GOOD, NULL, "clock: synchronised");
	else
		find(d, NOTICE, "see `timedatectl`; readings say that their time is not verified",
		     "clock: not synchronised");
}

static void check_broker(struct doctor *d)
{
	struct publish_state state;
	struct store_counts counts;
	uint64_t waiting = 0;

	publish_state(d->c->publish, &state);
	store_counts(d->c->store, &counts);
	for (int lane = 0; lane < LANE_END; lane++)
		waiting += counts.last[lane] - counts.acknowledged[lane];
	if (!state.configured) {
		find(d, NOTICE, "set url in [broker]",
		     "broker: none configured, %" PRIu64 " messages wait", waiting);
		return;
	}
	if (state.away) {
		find(d, GOOD, NULL,
		     "broker: %s, connected when there is something to send, %" PRIu64
		     " messages wait",
		     d->c->config->broker, waiting);
		return;
	}
	if (!state.connected) {
		find(d, PROBLEM,
		     "readings are kept and sent when it answers; check network and url",
		     "broker: %s is not connected%s%.128s, %" PRIu64 " messages wait",
		     d->c->config->broker, state.why[0] ? ": " : "", state.why, waiting);
		return;
	}
	find(d, GOOD, NULL, "broker: connected to %s, %" PRIu64 " messages wait",
	     d->c->config->broker, waiting);
	/* config.c refuses it: a configuration that was made in another way */
	if (broker_way(d->c->config->broker) == BROKER_IN_CLEAR)
		find(d, PROBLEM, "use url = mqtts://... and ca_file",
		     "broker: the connection is not encrypted");
	if (d->c->config->delivery == DELIVERY_RECEIPT &&
	    receipts_overdue(state.receipt_age_us, state.running_us, waiting))
		find(d, PROBLEM, "start the record service; readings are kept until it answers",
		     "record service: nobody commits, no receipt for an hour, %" PRIu64
		     " messages wait",
		     waiting);
	if (state.no_subscriber > 0)
		find(d, NOTICE, "start the record service",
		     "broker: %" PRIu64 " messages had no subscriber", state.no_subscriber);
}

static void check_devices(struct doctor *d)
{
	const struct pipeline_counters *counters = pipeline_counters(d->c->pipeline);

	if (pipeline_attached(d->c->pipeline))
		find(d, GOOD, NULL, "devices: wellgate-devices is connected");
	else if (radio_state_was_known(pipeline_radio(d->c->pipeline)))
		find(d, PROBLEM, "journalctl -u wellgate-devices says why it ended",
		     "devices: wellgate-devices was here and is gone");
	else if (counters->connections > 0)
		find(d, NOTICE, "start wellgate-devices; a replay that has ended is fine",
		     "devices: wellgate-devices was here and is gone");
	else
		find(d, PROBLEM, "start wellgate-devices",
		     "devices: wellgate-devices has not connected");
	if (counters->refused + counters->malformed > 0)
		find(d, NOTICE, "wellgate and wellgate-devices should be of one version",
		     "devices: %" PRIu64 " measurements and %" PRIu64 " packets were refused",
		     counters->refused, counters->malformed);
}

/* ---- the radio ---- */

static void check_adapter(struct doctor *d)
{
	static const struct {
		Wellgate__V1__RadioStatus__Adapter adapter;
		Wellgate__V1__Finding__Level level;
		const char *what, *advice;
	} rows[] = {
		{ ADAPTER(UNSPECIFIED), NOTICE, "not in use",
		  "wellgate-devices --bluetooth reads devices over the air" },
		{ ADAPTER(READY), GOOD, "the adapter works", NULL },
		{ ADAPTER(POWERING), NOTICE, "the adapter is being switched on",
		  "ask again in half a minute" },
		{ ADAPTER(SUSPECT), NOTICE, "the adapter is being checked: it went silent",
		  "ask again in a minute" },
		{ ADAPTER(RESET), NOTICE, "the adapter is being reset",
		  "ask again in a minute; it is repaired without help" },
		{ ADAPTER(NO_BUS), PROBLEM, "the system's message bus (D-Bus) does not answer",
		  "systemctl status dbus; wellgate-devices must be able to open "
		  "/run/dbus/system_bus_socket" },
		{ ADAPTER(NO_DAEMON), PROBLEM, "bluetoothd is not running",
		  "systemctl enable --now bluetooth; it is in the package bluez. If it runs, the "
		  "D-Bus policy keeps wellgate-devices from it" },
		{ ADAPTER(ABSENT), PROBLEM, "no adapter was found",
		  "plug in a USB Bluetooth adapter, or see why this one did not start: "
		  "dmesg | grep -i bluetooth" },
		{ ADAPTER(BLOCKED), PROBLEM, "the adapter is blocked",
		  "rfkill unblock bluetooth; a laptop may have a switch or an aeroplane key" },
		{ ADAPTER(OFF), PROBLEM, "the adapter is off and does not come on",
		  "bluetoothctl power on; if it goes off again, unplug and plug the adapter" },
		{ ADAPTER(FAILED), PROBLEM,
		  "the adapter does not work, and resetting it did not help",
		  "unplug the adapter, or the power of this box, for ten seconds; it is also tried "
		  "again by itself" },
	};
	const Wellgate__V1__RadioStatus__Adapter now =
		radio_state_adapter(pipeline_radio(d->c->pipeline));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].adapter == now)
			find(d, rows[i].level, rows[i].advice, "Bluetooth: %s", rows[i].what);
	}
}

static void on_radio_finding(void *user, const Wellgate__V1__Finding *finding)
{
	find(user, finding->level, finding->advice, "%s: %s",
	     finding->has_usb && finding->usb ? "USB" : "Bluetooth", finding->what);
}

static void check_troubles(struct doctor *d)
{
	static const struct {
		Wellgate__V1__RadioDevice__Trouble trouble;
		const char *what, *advice;
	} rows[] = {
		{ TROUBLE(BOND_SUSPECT), "refuse the key of this hub",
		  "they were reset or paired elsewhere: wellgate devices names them, then "
		  "wellgate unpair and wellgate pair" },
		{ TROUBLE(SPOOF_SUSPECT),
		  "were imitated: something without their key used their address",
		  "nothing of it was kept; see that nobody tampers, then wellgate pair --again" },
		{ TROUBLE(BUSY_ELSEWHERE), "are held by another program of this machine",
		  "stop that program (a desktop's Bluetooth settings, a phone app bridge)" },
		{ TROUBLE(CONSENT_NEEDED), "want the code of their user again",
		  "wellgate pair --consent SLOT:CODE" },
	};
	const struct inventory *inv = pipeline_inventory(d->c->pipeline);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = 0;

		for (size_t j = 0; j < inv->n; j++)
			n += inv->devices[j].radio.trouble == rows[i].trouble;
		if (n > 0)
			find(d, PROBLEM, rows[i].advice, "Bluetooth: paired devices that %s: %zu",
			     rows[i].what, n);
	}
}

/* ---- what drivers say of their devices ---- */

static void check_news(struct doctor *d)
{
	const struct inventory *inv = pipeline_inventory(d->c->pipeline);

	for (int i = 1; i < NEWS_MAX; i++) {
		const struct news_words words = news_words(WORDS_EN, (Wellgate__V1__News)i);
		size_t n = 0;

		for (size_t j = 0; j < inv->n; j++)
			n += inv->devices[j].news >> i & 1;
		if (n > 0)
			find(d, NOTICE, words.advice, "devices: %s: %zu (see wellgate devices)",
			     words.of_all, n);
	}
}

static void check_radio(struct doctor *d)
{
	const struct radio_state *radio = pipeline_radio(d->c->pipeline);

	if (!pipeline_attached(d->c->pipeline))
		return; /* that is a finding of its own */
	if (!radio_state_is_known(radio)) {
		find(d, NOTICE, "fine for a replay; else see journalctl -u wellgate-devices",
		     "Bluetooth: not in use");
		return;
	}
	check_adapter(d);
	radio_state_findings(radio, on_radio_finding, d);
	check_troubles(d);
}

static void check_light(struct doctor *d)
{
	static const char *const cards[LIGHT_CARD_END] = {
		[LIGHT_CARD_FULL] = "the box cannot keep more readings",
		[LIGHT_CARD_DEVICES] = "the box cannot hear its devices",
	};
	const struct show *light = pipeline_light(d->c->pipeline);
	const enum light_card card = show_card_now(light);
	const char *name = "";
	const int r = show_problem(light, &name);

	if (!light)
		return;
	if (r < 0)
		find(d, NOTICE,
		     "see that [light] names it as it is called in dir, and that the group "
		     "wellgate may write its file brightness",
		     "light: %s cannot be set: %s", name, strerror(-r));
	else
		find(d, GOOD, NULL, "light: it can be set");
	if (card != LIGHT_CARD_NONE)
		find(d, NOTICE, "what is to be done stands with the finding about it",
		     "light: amber, card %d: %s", (int)card, cards[card]);
}

static void check_socket(struct doctor *d, const char *name)
{
	char path[256];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", d->c->config->runtime_dir, name);
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		find(d, GOOD, NULL, "socket: %s", path);
	else
		find(d, PROBLEM, "somebody removed it: restart wellgated", "socket: %s is gone",
		     path);
}

int control_doctor(const struct control *c, struct arena *arena, Wellgate__V1__Reply *reply)
{
	struct doctor d = { .c = c, .arena = arena, .reply = reply };

	reply->findings = arena_alloc(arena, FINDINGS_MAX * sizeof(void *));
	if (!reply->findings)
		return -ENOMEM;
	check_configuration(&d);
	check_state_dir(&d);
	check_store(&d);
	check_clock(&d);
	check_broker(&d);
	check_devices(&d);
	check_radio(&d);
	check_news(&d);
	check_light(&d);
	check_socket(&d, "devices.sock");
	check_socket(&d, "control.sock");
	return d.result;
}
