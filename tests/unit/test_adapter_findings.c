/* links: transports */
/* What doctor finds on made-up machines, and the D-Bus policy that is shipped on a real bus. */
#include "tests/unit/mock_bluez.h"

#include <grp.h>
#include <sys/stat.h>

#include "drivers/transport/adapter.h"
#include "drivers/transport/adapter_policy.h"

#define DIST "../../gateway/dist/"

struct stand {
	struct mock mock;
	struct adapter *adapter;
	enum adapter_state state;
	char said[8192]; /* "problem: text | advice\n" */
};

static void on_state(void *user, enum adapter_state state)
{
	((struct stand *)user)->state = state;
}

static int set_up(void **state)
{
	struct stand *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	mock_new(&s->mock);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stand *s = *state;

	adapter_free(s->adapter);
	mock_free(&s->mock);
	free(s);
	return 0;
}

static void on_finding(void *user, enum adapter_finding_level level, const char *text,
		       const char *advice)
{
	static const char *const names[] = { "", "good", "notice", "problem" };
	struct stand *s = user;
	const size_t len = strlen(s->said);

	/* a problem always comes with what to do */
	assert_true(advice || level != ADAPTER_PROBLEM);
	(void)snprintf(s->said + len, sizeof(s->said) - len, "%s: %s | %s\n", names[level], text,
		       advice ? advice : "");
}

static const char *look(struct stand *s)
{
	s->said[0] = '\0';
	adapter_findings(s->adapter, on_finding, s);
	return s->said;
}

static void begin(struct stand *s, enum adapter_state until)
{
	struct adapter_handlers handlers = { .state = on_state, .user = s };
	struct adapter_options options = { .any = true,
					   .bus_address = s->mock.address,
					   .root = s->mock.folder };

	assert_int_equal(adapter_new(s->mock.event, &options, &handlers, &s->adapter), 0);
	mock_until(&s->mock, s->state == until);
}

/* a file of gateway/dist; the caller frees it */
static char *shipped(const char *name)
{
	char path[512], *text = calloc(1, 16384);
	FILE *f;

	assert_non_null(text);
	(void)snprintf(path, sizeof(path), "%.*s/" DIST "%s",
		       (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__, name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, 16383, f) > 0);
	(void)fclose(f);
	return text;
}

/* Debian 12 as it comes, with the parts that matter here. */
#define DEBIAN_POLICY                                                                  \
	"<busconfig><policy user=\"root\"><allow own=\"org.bluez\"/>"                  \
	"<allow send_destination=\"org.bluez\"/></policy>"                             \
	"<policy group=\"bluetooth\"><allow send_destination=\"org.bluez\"/></policy>" \
	"<policy context=\"default\"><allow send_destination=\"org.bluez\"/></policy>" \
	"</busconfig>"

static void debian(struct stand *s)
{
	mock_file(&s->mock, "etc/dbus-1/system.d/bluetooth.conf", DEBIAN_POLICY);
	mock_file(&s->mock, "etc/bluetooth/main.conf",
		  "[General]\n#ReverseServiceDiscovery = true\n[LE]\n"
		  "ReverseServiceDiscovery=false\n");
	mock_file(&s->mock, "lib/systemd/system/bluetooth.service",
		  "[Unit]\nRestart=always\n[Service]\nType=dbus\n#Restart=on-failure\n");
	mock_file(&s->mock, "proc/sys/kernel/osrelease", "6.1.0-40-amd64\n");
	mock_file(&s->mock, "proc/sys/kernel/panic_on_oops", "1\n");
}

static void debian_as_it_comes(void **state)
{
	struct stand *s = *state;

	debian(s);
	mock_start(&s->mock);
	begin(s, ADAPTER_READY);
	look(s);
	assert_non_null(strstr(s->said, "good: bluetoothd is of version 5.66"));
	assert_non_null(strstr(s->said, "notice: this bluetoothd writes beyond its memory"));
	assert_non_null(strstr(s->said, "notice: this bluetoothd can crash"));
	assert_non_null(strstr(s->said, "problem: bluetoothd takes over"));
	assert_non_null(strstr(s->said, "set ReverseServiceDiscovery=false"));
	assert_non_null(strstr(s->said, "problem: bluetoothd is not started again"));
	assert_non_null(strstr(s->said, "problem: any local user can read"));
	assert_non_null(strstr(s->said, "notice: this kernel kills the process"));
	assert_non_null(strstr(s->said, "notice: this kernel makes no Bluetooth connection"));
	assert_non_null(strstr(s->said, "problem: a fault of this kernel"));
	/* nobody's address */
	assert_null(strstr(s->said, "00:AA"));
}

static void with_what_is_shipped(void **state)
{
	struct stand *s = *state;
	char *policy = shipped("wellgate-bluetooth.conf");
	char *unit = shipped("bluetooth.service.d/wellgate.conf");
	char *conf = shipped("bluetooth-main.conf");

	debian(s);
	mock_file(&s->mock, "etc/dbus-1/system-local.conf", policy);
	mock_file(&s->mock, "etc/systemd/system/bluetooth.service.d/wellgate.conf", unit);
	mock_file(&s->mock, "etc/bluetooth/main.conf", conf);
	mock_file(&s->mock, "proc/sys/kernel/osrelease", "6.12.38+deb12-amd64\n");
	mock_start(&s->mock);
	begin(s, ADAPTER_READY);
	look(s);
	assert_non_null(strstr(s->said, "good: bluetoothd leaves the devices' data"));
	assert_non_null(strstr(s->said, "good: bluetoothd is started again"));
	assert_non_null(strstr(s->said, "good: only Wellgate and root"));
	assert_non_null(strstr(s->said, "good: this kernel has no"));
	/* what is wrong with bluetoothd needs other programs */
	assert_null(strstr(s->said, "notice"));
	free(policy);
	free(unit);
	free(conf);
}

static void an_adapter_that_did_not_start(void **state)
{
	struct stand *s = *state;

	s->mock.has_adapter = false;
	mock_start(&s->mock);
	begin(s, ADAPTER_ABSENT);
	mock_file(&s->mock, "sys/class/bluetooth/hci0:64/type", "");
	assert_null(strstr(look(s), "did not answer when it was started"));
	mock_file(&s->mock, "sys/class/bluetooth/hci0/type", "");
	assert_non_null(strstr(look(s), "notice: there is an adapter that did not answer"));
	mock_adapter_appears(&s->mock);
	mock_until(&s->mock, s->state == ADAPTER_READY);
	assert_null(strstr(look(s), "did not answer when it was started"));
}

/* ---- policies, as they are read ---- */

static void policies(void **state)
{
	static const struct {
		const char *file, *text;
		enum policy policy;
	} rows[] = {
		{ "etc/dbus-1/system.d/other.conf", "<busconfig/>", POLICY_NONE },
		{ "etc/dbus-1/system.d/bluetooth.conf", DEBIAN_POLICY, POLICY_OPEN_CALLS },
		/* in no order: a denial beside it is worth nothing */
		{ "etc/dbus-1/system.d/zz.conf",
		  "<policy context='default'><deny send_destination='org.bluez'/></policy>",
		  POLICY_OPEN_CALLS },
		{ "etc/dbus-1/system-local.conf",
		  "<policy context='default'><deny send_destination='org.bluez'/></policy>",
		  POLICY_OPEN_SIGNALS },
		{ "etc/dbus-1/system-local.conf",
		  "<policy context='default'><deny send_destination='org.bluez'/>"
		  "<deny receive_sender='org.bluez'/></policy>",
		  POLICY_CLOSED },
		/* commented out; of others; for one method alone; allowed again */
		{ "etc/dbus-1/system-local.conf",
		  "<policy context='default'><!-- > <deny send_destination='org.bluez'/> -->"
		  "</policy>",
		  POLICY_OPEN_CALLS },
		{ "etc/dbus-1/system-local.conf",
		  "<policy user='x'><deny send_destination='org.bluez'/></policy>",
		  POLICY_OPEN_CALLS },
		{ "etc/dbus-1/system-local.conf",
		  "<policy context='default'><deny send_destination='org.bluez' "
		  "send_member='Connect'/></policy>",
		  POLICY_OPEN_CALLS },
		{ "etc/dbus-1/system-local.conf",
		  "<policy context='default'><deny send_destination='org.bluez'/>"
		  "<allow send_destination='*'/></policy>",
		  POLICY_OPEN_CALLS },
		{ "etc/dbus-1/system-local.conf", "<policy context='default'><deny send_destin",
		  POLICY_OPEN_CALLS },
		{ "etc/dbus-1/system-local.conf", "<include>/etc/wg.conf</include>",
		  POLICY_OPEN_CALLS },
		{ "etc/wg.conf",
		  "<policy context=\"mandatory\"><deny send_destination=\"org.bluez\"/>"
		  "<deny receive_sender=\"org.bluez\"/></policy>",
		  POLICY_CLOSED },
	};
	struct stand *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mock_file(&s->mock, rows[i].file, rows[i].text);
		if (policy_read(s->mock.folder) != rows[i].policy)
			fail_msg("row %zu: %d", i, (int)policy_read(s->mock.folder));
	}
}

/* ---- the shipped policy at work ---- */

enum seen {
	SEEN_ANSWER = 1,
	SEEN_SIGNAL = 2
};

static int on_any(sd_bus_message *m, void *user, sd_bus_error *error)
{
	int *seen = user;

	(void)error;
	if (sd_bus_message_is_signal(m, NULL, "PropertiesChanged"))
		*seen |= SEEN_SIGNAL;
	if (sd_bus_message_is_signal(m, "org.wellgate.Test", "End"))
		*seen |= 0x100;
	return 0;
}

/* As this user: calls bluetoothd, and listens until it is told to end. Exits with what it saw. */
static int be_a_client(const char *address, unsigned int uid, int told)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus = NULL;
	int seen = 0;

	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return 0x40;
	if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 ||
	    sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0 ||
	    sd_bus_add_filter(bus, NULL, on_any, &seen) < 0 ||
	    sd_bus_add_match(bus, NULL, "type='signal'", NULL, NULL) < 0)
		return 0x41;
	if (sd_bus_call_method(bus, "org.bluez", MOCK_ADAPTER, "org.bluez.Adapter1",
			       "StartDiscovery", &error, NULL, NULL) >= 0)
		seen |= SEEN_ANSWER;
	if (write(told, "r", 1) != 1)
		return 0x42;
	while (!(seen & 0x100)) {
		if (sd_bus_process(bus, NULL) < 0)
			return 0x43;
		(void)sd_bus_wait(bus, 100000);
	}
	return seen & 0xff;
}

/* `own` may own the name, and a stranger says when it is over */
static int seen_by(struct stand *s, unsigned int uid)
{
	sd_bus_message *end = NULL;
	sd_bus *other = NULL;
	int fd[2], status = 0;
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(be_a_client(s->mock.address, uid, fd[1]));
	mock_until(&s->mock, read(fd[0], &byte, 1) == 1);
	mock_changed(&s->mock, MOCK_ADAPTER, "org.bluez.Device1", "RSSI", "n", -50);
	assert_true(sd_bus_flush(s->mock.bus) >= 0);
	assert_true(sd_bus_new(&other) >= 0);
	assert_true(sd_bus_set_address(other, s->mock.address) >= 0);
	assert_true(sd_bus_set_bus_client(other, 1) >= 0);
	assert_true(sd_bus_start(other) >= 0);
	assert_true(sd_bus_message_new_signal(other, &end, "/", "org.wellgate.Test", "End") >= 0);
	assert_true(sd_bus_send(other, end, NULL) >= 0);
	assert_true(sd_bus_flush(other) >= 0);
	sd_bus_message_unref(end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	sd_bus_close(other);
	sd_bus_unref(other);
	(void)close(fd[0]);
	(void)close(fd[1]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Everything between <busconfig> and </busconfig>, with another user in the place of ours. */
static void append_policy(char *to, size_t size, const char *text, const char *user)
{
	static const char name[] = "wellgate-devices\">";
	const char *begin = strstr(text, "<busconfig>"), *end = strstr(text, "</busconfig>");
	size_t len = strlen(to);

	assert_true(begin && end);
	begin += strlen("<busconfig>");
	while (begin < end && len + 64 < size) {
		if (strncmp(begin, name, sizeof(name) - 1) == 0) {
			len += (size_t)snprintf(to + len, size - len, "%s\">", user);
			begin += sizeof(name) - 1;
		} else {
			to[len++] = *begin++;
		}
	}
	to[len] = '\0';
}

/* what Debian's system.conf begins with */
static const char base[] =
	"<policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/>"
	"<deny send_type=\"method_call\"/><allow send_type=\"signal\"/>"
	"<allow send_requested_reply=\"true\" send_type=\"method_return\"/>"
	"<allow send_requested_reply=\"true\" send_type=\"error\"/>"
	"<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/>"
	"<allow receive_type=\"error\"/><allow receive_type=\"signal\"/>"
	"<allow send_destination=\"org.freedesktop.DBus\"/></policy>";

static void the_shipped_policy_at_work(void **state)
{
	struct stand *s = *state;
	char text[8192], *policy;

	if (getuid() != 0)
		skip(); /* other users are needed */
	policy = shipped("wellgate-bluetooth.conf");
	assert_int_equal(chmod(s->mock.folder, 0755), 0);
	for (int with = 0; with <= 1; with++) {
		mock_stop(&s->mock);
		mock_bus_stop(&s->mock);
		(void)snprintf(text, sizeof(text), "%s", base);
		append_policy(text, sizeof(text), DEBIAN_POLICY, "daemon");
		if (with)
			append_policy(text, sizeof(text), policy, "daemon");
		s->mock.policy = text;
		mock_bus_start(&s->mock);
		mock_start(&s->mock);
		/* 1 is daemon, who stands in for wellgate-devices; 65534 is nobody */
		assert_int_equal(seen_by(s, 65534), with ? 0 : SEEN_ANSWER | SEEN_SIGNAL);
		s->mock.discovering = false;
		assert_int_equal(seen_by(s, 1), SEEN_ANSWER | SEEN_SIGNAL);
		s->mock.discovering = false;
		assert_int_equal(seen_by(s, 0), SEEN_ANSWER | SEEN_SIGNAL);
		s->mock.discovering = false;
	}
	free(policy);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(debian_as_it_comes),
		T(with_what_is_shipped),
		T(an_adapter_that_did_not_start),
		T(policies),
		T(the_shipped_policy_at_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
