/*
 * What doctor says about the radio of this machine. Each look is its own function; each finding one
 * plain sentence, and one that says what to do.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "drivers/transport/adapter_policy.h"
#include "drivers/transport/adapter_private.h"

#define FILE_MAX      65536
#define BTPROTO_L2CAP 0 /* without the headers of libbluetooth */

struct report {
	const struct adapter *a;
	void (*finding)(void *user, enum adapter_finding_level level, const char *text,
			const char *advice);
	void *user;
};

static void good(const struct report *r, const char *text)
{
	r->finding(r->user, ADAPTER_GOOD, text, NULL);
}

static void notice(const struct report *r, const char *text, const char *advice)
{
	r->finding(r->user, ADAPTER_NOTICE, text, advice);
}

static void problem(const struct report *r, const char *text, const char *advice)
{
	r->finding(r->user, ADAPTER_PROBLEM, text, advice);
}

/* A whole file, at most FILE_MAX; NULL: it cannot be read. The caller frees it. */
static char *slurp(const struct report *r, const char *path)
{
	char *text = malloc(FILE_MAX);

	if (text && adapter_read_file(r->a->root, path, text, FILE_MAX) == 0)
		return text;
	free(text);
	return NULL;
}

/* ---- the adapter as it is ---- */

/* "hci0", not the link "hci0:64" below it */
static bool is_adapter(const char *name)
{
	return strncmp(name, "hci", 3) == 0 && name[3] &&
	       strspn(name + 3, "0123456789") == strlen(name + 3);
}

/* The kernel tells bluetoothd of an adapter once its first commands were answered, and gives up for
 * good when they were not. */
static bool has_unborn(const struct adapter *a)
{
	_cleanup_free_ char *path = NULL;
	const struct dirent *entry;
	bool found = false;
	DIR *folder;

	if (asprintf(&path, "%s/sys/class/bluetooth", a->root) < 0) {
		path = NULL;
		return false;
	}
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder)))
		found = is_adapter(entry->d_name);
	if (folder)
		(void)closedir(folder);
	return found;
}

/* What state it is in the gateway knows, and says. */
static void look_at_adapter(const struct report *r)
{
	if (adapter_state(r->a) == ADAPTER_ABSENT && r->a->options.any && has_unborn(r->a))
		notice(r, "there is an adapter that did not answer when it was started",
		       "unplug it and plug it in again; if it is built in, restart the machine");
	if (adapter_counts(r->a)->resets > adapter_counts(r->a)->recoveries + 10)
		notice(r, "the Bluetooth adapter had to be reset many times",
		       "another adapter, on an extension lead away from USB 3, may be better");
}

/* Without such a socket nothing can be confirmed after the commit. */
static void look_at_sockets(const struct report *r)
{
	const int fd = socket(AF_BLUETOOTH, SOCK_SEQPACKET | SOCK_CLOEXEC, BTPROTO_L2CAP);

	if (fd >= 0) {
		(void)close(fd);
		good(r, "Bluetooth sockets can be opened");
	} else if (errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT) {
		problem(r, "Bluetooth sockets do not exist here",
			"load the kernel module bluetooth; in a container or with PrivateNetwork= "
			"the kernel refuses them");
	} else {
		problem(r, "Bluetooth sockets are refused",
			"the service needs RestrictAddressFamilies= with AF_BLUETOOTH");
	}
}

/* ---- bluetoothd ---- */

/* "usb:v1D6Bp0246d0542": the version as two bytes, 0x05 0x42 = 5.66. */
static int version_of(const char *modalias, unsigned int *ret_major, unsigned int *ret_minor)
{
	static const char prefix[] = "usb:v1D6Bp0246d";
	unsigned long version;
	char *end;

	if (strncmp(modalias, prefix, sizeof(prefix) - 1) != 0)
		return -ENOENT; /* DeviceID= in main.conf says something else */
	version = strtoul(modalias + sizeof(prefix) - 1, &end, 16);
	if (end != modalias + sizeof(prefix) - 1 + 4 || *end)
		return -EBADMSG;
	*ret_major = (unsigned int)version >> 8;
	*ret_minor = (unsigned int)version & 0xff;
	return 0;
}

static void look_at_version(const struct report *r, bool is_closed)
{
	unsigned int major, minor;
	char text[96];

	if (!r->a->own)
		return;
	if (version_of(r->a->own->modalias, &major, &minor) < 0) {
		notice(r, "the version of bluetoothd is not known",
		       "leave DeviceID= in /etc/bluetooth/main.conf unset to have it shown");
		return;
	}
	(void)snprintf(text, sizeof(text), "bluetoothd is of version %u.%u", major, minor);
	good(r, text);
	if (major == 5 && minor < 66)
		notice(r, "this bluetoothd is older than any that Wellgate was tried with",
		       "Debian 12 and later bring 5.66 or newer");
	if (is_closed || major != 5)
		return; /* its faults need another program */
	if (minor < 71)
		notice(r,
		       "this bluetoothd writes beyond its memory when a program asks for a certain "
		       "discovery filter (Discoverable; mended in 5.71)",
		       "Wellgate never does; let no other program talk to bluetoothd, see below");
	if (minor < 86)
		notice(r,
		       "this bluetoothd can crash when a program uses AcquireNotify (mended in "
		       "5.86)",
		       "Wellgate never does; let no other program talk to bluetoothd, see below");
}

/* KEY=VALUE of [SECTION], the last one; both as glib's key files have them: keys with their case,
 * blanks around both ignored. false: not there */
static bool setting(const char *text, const char *section, const char *key, char *ret, size_t size)
{
	bool inside = false, found = false;

	while (*text) {
		const size_t len = strcspn(text, "\n");
		const char *line = text + strspn(text, " \t");
		const size_t name = strcspn(line, "= \t\n]");
		const char *value = line + name + strspn(line + name, " \t");

		text += len + (text[len] == '\n');
		if (line[0] == '[') {
			inside = strlen(section) == name - 1 &&
				 strncmp(line + 1, section, name - 1) == 0;
		} else if (inside && name == strlen(key) && strncmp(line, key, name) == 0 &&
			   *value == '=') {
			value += 1 + strspn(value + 1, " \t");
			(void)snprintf(ret, size, "%.*s", (int)strcspn(value, " \t\r\n#"), value);
			found = true;
		}
	}
	return found;
}

static void look_at_main_conf(const struct report *r)
{
	_cleanup_free_ char *text = slurp(r, "etc/bluetooth/main.conf");
	char value[32] = "";

	if (text && setting(text, "General", "ReverseServiceDiscovery", value, sizeof(value)) &&
	    (strcmp(value, "false") == 0 || strcmp(value, "0") == 0))
		good(r, "bluetoothd leaves the devices' data to Wellgate");
	else
		problem(r,
			"bluetoothd takes over a device's data a second after pairing and confirms "
			"readings that nobody keeps",
			"set ReverseServiceDiscovery=false under [General] in "
			"/etc/bluetooth/main.conf and restart bluetooth.service");
	if (text && setting(text, "General", "JustWorksRepairing", value, sizeof(value)) &&
	    strcmp(value, "always") == 0)
		problem(r,
			"any device that copies an address may pair anew without being asked for",
			"set JustWorksRepairing=confirm under [General] in "
			"/etc/bluetooth/main.conf");
	if (text && setting(text, "General", "AlwaysPairable", value, sizeof(value)) &&
	    strcmp(value, "true") == 0)
		problem(r, "the adapter may be paired with at any time",
			"remove AlwaysPairable from /etc/bluetooth/main.conf");
}

/* The unit and its drop-ins, the later the stronger. */
static void read_unit(const struct report *r, const char *path, char *restart, size_t size,
		      bool *found)
{
	_cleanup_free_ char *text = slurp(r, path);

	if (!text)
		return;
	*found = true;
	(void)setting(text, "Service", "Restart", restart, size);
}

static void read_drop_ins(const struct report *r, const char *folder, char *restart, size_t size)
{
	_cleanup_free_ char *full = NULL;
	struct dirent **entries = NULL;
	bool found = false;
	int n;

	if (asprintf(&full, "%s/%s", r->a->root, folder) < 0) {
		full = NULL;
		return;
	}
	n = scandir(full, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const size_t len = strlen(entries[i]->d_name);
		char path[512];

		if (len > 5 && strcmp(entries[i]->d_name + len - 5, ".conf") == 0 &&
		    snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) <
			    (int)sizeof(path))
			read_unit(r, path, restart, size, &found);
		free(entries[i]);
	}
	free(entries);
}

static void look_at_unit(const struct report *r)
{
	static const char *const units[] = { "lib/systemd/system/bluetooth.service",
					     "usr/lib/systemd/system/bluetooth.service",
					     "etc/systemd/system/bluetooth.service" };
	static const char *const drop_ins[] = { "lib/systemd/system/bluetooth.service.d",
						"usr/lib/systemd/system/bluetooth.service.d",
						"etc/systemd/system/bluetooth.service.d" };
	char restart[32] = "";
	bool found = false;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		read_unit(r, units[i], restart, sizeof(restart), &found);
	if (!found)
		return; /* no systemd, or bluetoothd by another name */
	for (size_t i = 0; i < sizeof(drop_ins) / sizeof(drop_ins[0]); i++)
		read_drop_ins(r, drop_ins[i], restart, sizeof(restart));
	if (strcmp(restart, "always") == 0 || strcmp(restart, "on-failure") == 0 ||
	    strcmp(restart, "on-abnormal") == 0)
		good(r, "bluetoothd is started again when it dies");
	else
		problem(r, "bluetoothd is not started again when it dies",
			"copy bluetooth.service.d/wellgate.conf to "
			"/etc/systemd/system/bluetooth.service.d/, then systemctl daemon-reload");
}

/* ---- who else may ---- */

static void look_at_policy(const struct report *r)
{
	switch (policy_read(r->a->root)) {
	case POLICY_CLOSED:
		good(r, "only Wellgate and root talk to bluetoothd");
		break;
	case POLICY_NONE:
		notice(r, "the D-Bus policy of bluetoothd cannot be read", NULL);
		break;
	case POLICY_OPEN_CALLS:
	case POLICY_OPEN_SIGNALS:
		problem(r,
			"any local user can read the devices' data from bluetoothd, connect to "
			"them and empty their memory",
			"install wellgate-bluetooth.conf as /etc/dbus-1/system-local.conf, or "
			"include it there; then: systemctl reload dbus.service");
		break;
	}
}

/* ---- the kernel ---- */

static void look_at_kernel(const struct report *r)
{
	char release[64], *end, panic[8];
	unsigned long major, minor;

	if (adapter_read_file(r->a->root, "proc/sys/kernel/osrelease", release, sizeof(release)) <
	    0)
		return;
	major = strtoul(release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	if (major > 6 || (major == 6 && minor >= 12)) {
		good(r, "this kernel has no Bluetooth fault that Wellgate knows of");
		return;
	}
	notice(r,
	       "this kernel kills the process that closes a Bluetooth link lost before its first "
	       "packet",
	       "Wellgate lives through it; Linux 6.12 (Debian: bookworm-backports) does not do it");
	notice(r,
	       "this kernel makes no Bluetooth connection after one that failed, until the "
	       "adapter is switched off and on",
	       "Wellgate does that; Linux 6.12 (Debian: bookworm-backports) does not need it");
	if (adapter_read_file(r->a->root, "proc/sys/kernel/panic_on_oops", panic, sizeof(panic)) ==
		    0 &&
	    strcmp(panic, "0") != 0)
		problem(r, "a fault of this kernel's Bluetooth would stop the machine",
			"sysctl kernel.panic_on_oops=0, or Linux 6.12");
}

void adapter_findings(const struct adapter *a,
		      void (*finding)(void *user, enum adapter_finding_level level,
				      const char *text, const char *advice),
		      void *user)
{
	const struct report report = { a, finding, user };

	look_at_adapter(&report);
	look_at_sockets(&report);
	look_at_version(&report, policy_read(a->root) == POLICY_CLOSED);
	look_at_main_conf(&report);
	look_at_unit(&report);
	look_at_policy(&report);
	look_at_kernel(&report);
}
