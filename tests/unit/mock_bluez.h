/*
 * org.bluez, made up: on a real dbus-daemon of the test's own, in the test's event loop. It answers
 * by itself as bluetoothd does; a test tells it per method to fail or to be silent, and sends the
 * signals it wants in the order it wants. `said` is the text of all calls in their order.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#define MOCK_LIMIT_US INT64_C(60000000)
#define MOCK_ADAPTER  "/org/bluez/hci0"
#define MOCK_ADDRESS  "00:AA:01:00:00:01"
#define MOCK_RULES    8
#define MOCK_DEVICES  16

struct mock_device {
	char path[80], address[18];
	bool random, bonded, connected;
	const char *name;
};

struct mock;

/* What to do with a method instead of answering it properly. */
struct mock_rule {
	const char *member;   /* "" = free */
	const char *error;    /* this error; NULL: no answer at all */
	unsigned int times;   /* how often yet */
	sd_bus_message *kept; /* the last one that got no answer */
};

struct mock {
	char folder[64], address[160];
	const char *policy; /* <policy> elements of the bus; NULL: everybody may do everything */
	pid_t daemon;
	sd_event *event;
	sd_bus *bus; /* NULL: bluetoothd is not there */
	bool has_adapter, powered, discovering, pairable;
	bool stuck_off; /* Powered true is refused */
	bool dead;      /* scanning is begun and ended in words only */
	bool auto_on;   /* after a restart it is powered, as bluetoothd does */
	const char *adapter_address;
	struct mock_device devices[MOCK_DEVICES];
	size_t n_devices;
	struct mock_rule rules[MOCK_RULES];
	char said[4096];
	char agent[256], agent_owner[64];
	char filter[256]; /* keys of the last discovery filter, with their values */
	void (*more_objects)(struct mock *m, sd_bus_message *reply);
	void (*on_call)(struct mock *m, const char *member);
	void *user;
};

/* ---- the bus ---- */

static inline void mock_bus_start(struct mock *m)
{
	char config[96], text[256];
	int fd[2];
	FILE *f;

	(void)snprintf(config, sizeof(config), "%s/bus.conf", m->folder);
	f = fopen(config, "w");
	assert_non_null(f);
	(void)fprintf(f,
		      "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration "
		      "1.0//EN\" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
		      "<busconfig><type>session</type><listen>unix:path=%s/bus</listen>\n"
		      "<auth>EXTERNAL</auth>%s</busconfig>\n",
		      m->folder,
		      m->policy
			      ? m->policy
			      : "<policy context=\"default\"><allow send_destination=\"*\" "
				"eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>"
				"</policy>");
	assert_int_equal(fclose(f), 0);
	assert_int_equal(pipe2(fd, 0), 0);
	m->daemon = fork();
	assert_true(m->daemon >= 0);
	if (m->daemon == 0) {
		char where[32];

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(fd[0]);
		(void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		(void)snprintf(where, sizeof(where), "--print-address=%d", fd[1]);
		(void)execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", where,
			     "--config-file", config, (char *)NULL);
		_exit(127);
	}
	(void)close(fd[1]);
	/* it listens once it has said where */
	assert_true(read(fd[0], text, sizeof(text)) > 0);
	(void)close(fd[0]);
	(void)snprintf(m->address, sizeof(m->address), "unix:path=%s/bus", m->folder);
}

static inline void mock_bus_stop(struct mock *m)
{
	char path[96];

	if (m->daemon <= 0)
		return;
	assert_int_equal(kill(m->daemon, SIGKILL), 0);
	assert_int_equal(waitpid(m->daemon, NULL, 0), m->daemon);
	m->daemon = 0;
	(void)snprintf(path, sizeof(path), "%s/bus", m->folder);
	(void)unlink(path);
}

static inline void mock_turn(struct mock *m)
{
	assert_true(sd_event_run(m->event, UINT64_C(20000)) >= 0);
}

static inline int64_t mock_limit(struct mock *m)
{
	uint64_t now = 0;

	assert_true(sd_event_now(m->event, CLOCK_MONOTONIC, &now) >= 0);
	return (int64_t)now + MOCK_LIMIT_US;
}

static inline void mock_wait(struct mock *m, int64_t limit, const char *what)
{
	mock_turn(m);
	if (mock_limit(m) > limit + MOCK_LIMIT_US)
		fail_msg("never: %s", what);
}

#define mock_until(m, condition)                            \
	for (int64_t _limit = mock_limit(m); !(condition);) \
	mock_wait(m, _limit, #condition)

/* ---- rules ---- */

static inline struct mock_rule *mock_rule(struct mock *m, const char *member)
{
	for (size_t i = 0; i < MOCK_RULES; i++) {
		if (m->rules[i].member && strcmp(m->rules[i].member, member) == 0)
			return &m->rules[i];
	}
	return NULL;
}

/* the last call of this method that got no answer, or NULL */
static inline sd_bus_message *mock_kept(struct mock *m, const char *member)
{
	const struct mock_rule *rule = mock_rule(m, member);

	return rule ? rule->kept : NULL;
}

/* from now on, so often; error NULL: it is never answered */
static inline void mock_refuse(struct mock *m, const char *member, const char *error,
			       unsigned int times)
{
	struct mock_rule *rule = mock_rule(m, member);

	for (size_t i = 0; !rule && i < MOCK_RULES; i++) {
		if (!m->rules[i].member)
			rule = &m->rules[i];
	}
	if (!rule) {
		fail_msg("too many rules");
		return;
	}
	sd_bus_message_unref(rule->kept);
	*rule = (struct mock_rule){ .member = member, .error = error, .times = times };
}

static inline void mock_say(struct mock *m, const char *text)
{
	const size_t len = strlen(m->said);

	if (len + strlen(text) + 2 < sizeof(m->said))
		(void)snprintf(m->said + len, sizeof(m->said) - len, "%s ", text);
}

static inline unsigned int mock_count(const struct mock *m, const char *text)
{
	unsigned int n = 0;

	for (const char *p = m->said; (p = strstr(p, text)); p += strlen(text))
		n++;
	return n;
}

/* ---- signals ---- */

static inline sd_bus_message *mock_signal(struct mock *m, const char *path, const char *interface,
					  const char *member)
{
	sd_bus_message *s = NULL;

	assert_true(sd_bus_message_new_signal(m->bus, &s, path, interface, member) >= 0);
	return s;
}

static inline void mock_send(struct mock *m, sd_bus_message *s)
{
	const int r = sd_bus_send(m->bus, s, NULL);

	/* a test may have killed the bus while a call was in the queue */
	assert_true(r >= 0 || r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE);
	sd_bus_message_unref(s);
}

/* properties: as sd_bus_message_append() takes an a{sv} */
static inline void mock_changed(struct mock *m, const char *path, const char *interface,
				const char *name, const char *type, ...)
{
	sd_bus_message *s =
		mock_signal(m, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
	va_list values;

	assert_true(sd_bus_message_append(s, "s", interface) >= 0);
	assert_true(sd_bus_message_open_container(s, 'a', "{sv}") >= 0);
	assert_true(sd_bus_message_open_container(s, 'e', "sv") >= 0);
	assert_true(sd_bus_message_append(s, "s", name) >= 0);
	assert_true(sd_bus_message_open_container(s, 'v', type) >= 0);
	va_start(values, type);
	assert_true(sd_bus_message_appendv(s, type, values) >= 0);
	va_end(values);
	for (int i = 0; i < 3; i++)
		assert_true(sd_bus_message_close_container(s) >= 0);
	assert_true(sd_bus_message_append(s, "as", 0) >= 0);
	mock_send(m, s);
}

static inline void mock_set_powered(struct mock *m, bool on)
{
	m->powered = on;
	if (!on)
		m->discovering = false;
	mock_changed(m, MOCK_ADAPTER, "org.bluez.Adapter1", "Powered", "b", (int)on);
}

static inline void mock_set_discovering(struct mock *m, bool on)
{
	m->discovering = on;
	mock_changed(m, MOCK_ADAPTER, "org.bluez.Adapter1", "Discovering", "b", (int)on);
}

/* ---- objects ---- */

static inline void mock_adapter_properties(struct mock *m, sd_bus_message *r)
{
	assert_true(sd_bus_message_append(r, "{sa{sv}}", "org.bluez.Adapter1", 5, "Address", "s",
					  m->adapter_address, "Powered", "b", (int)m->powered,
					  "Discovering", "b", (int)m->discovering, "Modalias", "s",
					  "usb:v1D6Bp0246d0542", "Pairable", "b",
					  (int)m->pairable) >= 0);
}

static inline void mock_device_values(const struct mock_device *d, sd_bus_message *r)
{
	assert_true(sd_bus_message_append(r, "a{sv}", 6, "Address", "s", d->address, "AddressType",
					  "s", d->random ? "random" : "public", "Name", "s",
					  d->name ? d->name : "made up", "Paired", "b",
					  (int)d->bonded, "Bonded", "b", (int)d->bonded,
					  "Connected", "b", (int)d->connected) >= 0);
}

static inline void mock_open(sd_bus_message *r, char type, const char *contents)
{
	assert_true(sd_bus_message_open_container(r, type, contents) >= 0);
}

static inline void mock_close(sd_bus_message *r, int n)
{
	while (n-- > 0)
		assert_true(sd_bus_message_close_container(r) >= 0);
}

static inline void mock_device_object(const struct mock_device *d, sd_bus_message *r)
{
	mock_open(r, 'e', "oa{sa{sv}}");
	assert_true(sd_bus_message_append(r, "o", d->path) >= 0);
	mock_open(r, 'a', "{sa{sv}}");
	mock_open(r, 'e', "sa{sv}");
	assert_true(sd_bus_message_append(r, "s", "org.bluez.Device1") >= 0);
	mock_device_values(d, r);
	mock_close(r, 3);
}

/* devices come first: a reader that wants the adapter before them reads twice */
static inline int mock_list(struct mock *m, sd_bus_message *call)
{
	sd_bus_message *r = NULL;

	assert_true(sd_bus_message_new_method_return(call, &r) >= 0);
	mock_open(r, 'a', "{oa{sa{sv}}}");
	for (size_t i = 0; m->has_adapter && i < m->n_devices; i++)
		mock_device_object(&m->devices[i], r);
	if (m->has_adapter) {
		mock_open(r, 'e', "oa{sa{sv}}");
		assert_true(sd_bus_message_append(r, "o", MOCK_ADAPTER) >= 0);
		mock_open(r, 'a', "{sa{sv}}");
		mock_adapter_properties(m, r);
		mock_close(r, 2);
	}
	if (m->more_objects)
		m->more_objects(m, r);
	mock_close(r, 1);
	mock_send(m, r);
	return 1;
}

static inline void mock_adapter_appears(struct mock *m)
{
	sd_bus_message *s =
		mock_signal(m, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");

	m->has_adapter = true;
	assert_true(sd_bus_message_append(s, "o", MOCK_ADAPTER) >= 0);
	mock_open(s, 'a', "{sa{sv}}");
	mock_adapter_properties(m, s);
	mock_close(s, 1);
	mock_send(m, s);
}

static inline void mock_removed(struct mock *m, const char *path, const char *interface)
{
	sd_bus_message *s =
		mock_signal(m, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved");

	assert_true(sd_bus_message_append(s, "oas", path, 1, interface) >= 0);
	mock_send(m, s);
}

static inline struct mock_device *mock_device(struct mock *m, unsigned int number)
{
	struct mock_device *d = &m->devices[m->n_devices++];

	assert_true(m->n_devices <= MOCK_DEVICES && number <= 0xff);
	*d = (struct mock_device){ .random = false };
	(void)snprintf(d->address, sizeof(d->address), "02:00:5E:10:00:%02X", number);
	(void)snprintf(d->path, sizeof(d->path), MOCK_ADAPTER "/dev_02_00_5E_10_00_%02X", number);
	return d;
}

/* with RSSI, as one that was just found */
static inline void mock_device_appears(struct mock *m, const struct mock_device *d)
{
	sd_bus_message *s =
		mock_signal(m, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");

	assert_true(sd_bus_message_append(s, "o", d->path) >= 0);
	mock_open(s, 'a', "{sa{sv}}");
	assert_true(sd_bus_message_append(
			    s, "{sa{sv}}", "org.bluez.Device1", 5, "Address", "s", d->address,
			    "AddressType", "s", d->random ? "random" : "public", "Name", "s",
			    d->name ? d->name : "made up", "UUIDs", "as", 1,
			    "0000181d-0000-1000-8000-00805f9b34fb", "RSSI", "n", -60) >= 0);
	mock_close(s, 1);
	mock_send(m, s);
}

/* the adapter is unplugged: its devices go first */
static inline void mock_adapter_vanishes(struct mock *m)
{
	m->has_adapter = false;
	m->discovering = false;
	for (size_t i = 0; i < m->n_devices; i++)
		mock_removed(m, m->devices[i].path, "org.bluez.Device1");
	mock_removed(m, MOCK_ADAPTER, "org.bluez.Adapter1");
}

/* ---- calls ---- */

static inline int mock_set(struct mock *m, sd_bus_message *call)
{
	const char *interface, *property;
	char text[64];
	int value;

	assert_true(sd_bus_message_read(call, "ssv", &interface, &property, "b", &value) >= 0);
	(void)snprintf(text, sizeof(text), "%s=%d", property, value);
	mock_say(m, text);
	if (strcmp(property, "Powered") == 0) {
		if (value && m->stuck_off)
			return sd_bus_reply_method_errorf(call, "org.bluez.Error.Failed", "no");
		mock_set_powered(m, value != 0);
	} else {
		m->pairable = value != 0;
	}
	return sd_bus_reply_method_return(call, NULL);
}

static inline int mock_take_filter(struct mock *m, sd_bus_message *call)
{
	const char *key, *contents;

	m->filter[0] = '\0';
	assert_true(sd_bus_message_enter_container(call, 'a', "{sv}") >= 0);
	while (sd_bus_message_enter_container(call, 'e', "sv") > 0) {
		const size_t len = strlen(m->filter);
		const char *text = "";
		int flag = -1;

		assert_true(sd_bus_message_read(call, "s", &key) >= 0);
		assert_true(sd_bus_message_peek_type(call, NULL, &contents) > 0);
		if (strcmp(contents, "b") == 0)
			assert_true(sd_bus_message_read(call, "v", "b", &flag) >= 0);
		else
			assert_true(sd_bus_message_read(call, "v", "s", &text) >= 0);
		(void)snprintf(m->filter + len, sizeof(m->filter) - len, "%s=%s%d ", key, text,
			       flag);
		assert_true(sd_bus_message_exit_container(call) >= 0);
	}
	return sd_bus_reply_method_return(call, NULL);
}

static inline int mock_register(struct mock *m, sd_bus_message *call)
{
	const char *path;

	assert_true(sd_bus_message_read(call, "o", &path) >= 0);
	(void)snprintf(m->agent, sizeof(m->agent), "%s", path);
	(void)snprintf(m->agent_owner, sizeof(m->agent_owner), "%s",
		       sd_bus_message_get_sender(call));
	return sd_bus_reply_method_return(call, NULL);
}

static inline int mock_remove(struct mock *m, sd_bus_message *call)
{
	const char *path;

	assert_true(sd_bus_message_read(call, "o", &path) >= 0);
	for (size_t i = 0; i < m->n_devices; i++) {
		if (strcmp(m->devices[i].path, path) != 0)
			continue;
		mock_removed(m, path, "org.bluez.Device1");
		m->devices[i] = m->devices[--m->n_devices];
		return sd_bus_reply_method_return(call, NULL);
	}
	return sd_bus_reply_method_errorf(call, "org.bluez.Error.DoesNotExist", "no");
}

static inline int mock_get_all(struct mock *m, sd_bus_message *call)
{
	const char *path = sd_bus_message_get_path(call);

	for (size_t i = 0; i < m->n_devices; i++) {
		sd_bus_message *r = NULL;

		if (strcmp(m->devices[i].path, path) != 0)
			continue;
		assert_true(sd_bus_message_new_method_return(call, &r) >= 0);
		mock_device_values(&m->devices[i], r);
		mock_send(m, r);
		return 1;
	}
	return sd_bus_reply_method_errorf(call, SD_BUS_ERROR_UNKNOWN_OBJECT, "no");
}

static inline int mock_discover(struct mock *m, sd_bus_message *call, bool on)
{
	if (!m->powered)
		return sd_bus_reply_method_errorf(call, "org.bluez.Error.NotReady", "off");
	if (m->dead)
		return sd_bus_reply_method_return(call, NULL);
	if (on == m->discovering)
		return sd_bus_reply_method_errorf(
			call, on ? "org.bluez.Error.InProgress" : "org.bluez.Error.Failed", "no");
	mock_set_discovering(m, on);
	return sd_bus_reply_method_return(call, NULL);
}

static inline int mock_answer(struct mock *m, sd_bus_message *call, const char *member)
{
	if (strcmp(member, "GetManagedObjects") == 0)
		return mock_list(m, call);
	if (strcmp(member, "Set") == 0)
		return mock_set(m, call);
	if (strcmp(member, "GetAll") == 0)
		return mock_get_all(m, call);
	if (strcmp(member, "SetDiscoveryFilter") == 0)
		return mock_take_filter(m, call);
	if (strcmp(member, "StartDiscovery") == 0 || strcmp(member, "StopDiscovery") == 0)
		return mock_discover(m, call, member[3] == 'r');
	if (strcmp(member, "RegisterAgent") == 0)
		return mock_register(m, call);
	if (strcmp(member, "RemoveDevice") == 0)
		return mock_remove(m, call);
	return sd_bus_reply_method_return(call, NULL);
}

static inline int mock_filter(sd_bus_message *call, void *user, sd_bus_error *error)
{
	struct mock *m = user;
	const char *member = sd_bus_message_get_member(call);
	struct mock_rule *rule;
	int r;

	(void)error;
	if (!sd_bus_message_is_method_call(call, NULL, NULL))
		return 0;
	if (strcmp(member, "Set") != 0)
		mock_say(m, member);
	rule = mock_rule(m, member);
	if (rule && rule->times > 0) {
		rule->times--;
		if (rule->error)
			return sd_bus_reply_method_errorf(call, rule->error, "made up");
		sd_bus_message_unref(rule->kept);
		rule->kept = sd_bus_message_ref(call);
		return 1;
	}
	r = mock_answer(m, call, member);
	if (m->on_call)
		m->on_call(m, member);
	return r;
}

/* ---- its life ---- */

static inline void mock_start(struct mock *m)
{
	assert_null(m->bus);
	assert_true(sd_bus_new(&m->bus) >= 0);
	assert_true(sd_bus_set_address(m->bus, m->address) >= 0);
	assert_true(sd_bus_set_bus_client(m->bus, 1) >= 0);
	assert_true(sd_bus_start(m->bus) >= 0);
	assert_true(sd_bus_attach_event(m->bus, m->event, 0) >= 0);
	assert_true(sd_bus_add_filter(m->bus, NULL, mock_filter, m) >= 0);
	assert_true(sd_bus_request_name(m->bus, "org.bluez", 0) >= 0);
	if (m->auto_on)
		m->powered = true;
	m->discovering = false;
}

/* killed */
static inline void mock_stop(struct mock *m)
{
	for (size_t i = 0; i < MOCK_RULES; i++)
		m->rules[i].kept = sd_bus_message_unref(m->rules[i].kept);
	if (m->bus) {
		(void)sd_bus_detach_event(m->bus);
		sd_bus_close(m->bus);
	}
	m->bus = sd_bus_unref(m->bus);
}

static inline void mock_new(struct mock *m)
{
	*m = (struct mock){
		.has_adapter = true, .powered = true, .auto_on = true, .pairable = true
	};
	m->adapter_address = MOCK_ADDRESS;
	(void)snprintf(m->folder, sizeof(m->folder), "/tmp/wellgate_adapter_XXXXXX");
	assert_non_null(mkdtemp(m->folder));
	assert_true(sd_event_new(&m->event) >= 0);
	mock_bus_start(m);
}

static inline int mock_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void mock_free(struct mock *m)
{
	mock_stop(m);
	mock_bus_stop(m);
	sd_event_unref(m->event);
	assert_int_equal(nftw(m->folder, mock_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* A file below the folder, its parents made. */
static inline void mock_file(const struct mock *m, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", m->folder, name);
	for (char *slash = strchr(path + strlen(m->folder) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}
