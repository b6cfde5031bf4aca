#include "gateway/cli/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/registry.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/format.h"

#define REFERENCE_MIN  4
#define NUMBER_DIGITS  3 /* longer is a reference */
#define KIND_UNKNOWN   "device"
#define COUNT(a)       (sizeof(a) / sizeof((a)[0]))
#define SECURITY(name) WELLGATE__V1__LINK_SECURITY__LINK_##name
#define STATE(name)    WELLGATE__V1__RADIO_DEVICE__STATE__STATE_##name
#define TROUBLE(name)  WELLGATE__V1__RADIO_DEVICE__TROUBLE__TROUBLE_##name
#define ADAPTER(name)  WELLGATE__V1__RADIO_STATUS__ADAPTER__ADAPTER_##name

/* ---- lists ---- */

int device_each(struct client *c, int (*head)(void *user, const Wellgate__V1__Reply *reply),
		int (*fn)(void *user, size_t number, const Wellgate__V1__DeviceInfo *d), void *user)
{
	size_t number = 0;
	bool more = true;
	int code = 0;

	while (code == 0 && more) {
		Wellgate__V1__Reply *reply = NULL;

		code = client_ask_verb(c, "devices", number, &reply);
		if (code == 0 && head && number == 0)
			code = head(user, reply);
		more = code == 0 && reply->more && reply->n_devices > 0;
		for (size_t i = 0; code == 0 && i < reply->n_devices; i++) {
			number++;
			if (fn && reply->devices[i]->device)
				code = fn(user, number, reply->devices[i]);
		}
		wellgate__v1__reply__free_unpacked(reply, NULL);
	}
	return code;
}

struct search {
	const char *what;
	size_t number; /* 0: what is a reference */
	struct device_choice *found;
	size_t n;
};

static int match(void *user, size_t number, const Wellgate__V1__DeviceInfo *d)
{
	struct search *s = user;
	struct device_choice found = { .number = number, .readings = d->readings };

	device_reference(found.reference, d->device);
	if (!d->radio || !found.reference[0])
		return 0;
	if (s->number ? s->number != number
		      : strncasecmp(found.reference, s->what, strlen(s->what)) != 0)
		return 0;
	memcpy(found.digest, d->device->serial_digest.data, sizeof(found.digest));
	device_name(found.name, d);
	device_text(found.driver, sizeof(found.driver), d->device->driver);
	*s->found = found;
	s->n++;
	return 0;
}

int device_choose(struct client *c, const char *what, struct device_choice *ret)
{
	const size_t len = strlen(what);
	const bool is_number = len <= NUMBER_DIGITS && strspn(what, "0123456789") == len;
	struct device_choice found = { 0 };
	struct search s = { .what = what, .found = &found };
	int code;

	if (is_number)
		s.number = strtoul(what, NULL, 10);
	if (len == 0 || (is_number ? s.number == 0 : len < REFERENCE_MIN))
		return cli_fail(c->name, EXIT_USAGE,
				"%s is neither a number nor a reference of wellgate devices", what);
	code = device_each(c, NULL, match, &s);
	if (code)
		return code;
	if (s.n != 1)
		return cli_fail(
			c->name, EXIT_USAGE,
			s.n == 0 ? "no paired device is %s; wellgate devices lists them"
				 : "%s fits more than one device: give more of its reference",
			what);
	*ret = found;
	return 0;
}

/* ---- words for one device ---- */

void device_reference(char ret[DEVICE_REFERENCE], const Wellgate__V1__DeviceRef *ref)
{
	const size_t len = ref && ref->has_serial_digest ? ref->serial_digest.len : 0;

	ret[0] = '\0';
	if (len == (DEVICE_REFERENCE - 1) / 2)
		format_hex(ret, ref->serial_digest.data, len);
}

/* C1 controls, and marks that change the direction of writing: UTF-8 of two or three bytes */
static size_t unwanted(const unsigned char *p)
{
	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
		return 2;
	if (p[0] == 0xe2 && p[1] == 0x80 &&
	    ((p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae)))
		return 3;
	if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf)
		return 3;
	return *p < 0x20 || *p == 0x7f ? 1 : 0;
}

void device_text(char *ret, size_t size, const char *text)
{
	size_t n = 0;

	while (text && *text && n + 1 < size) {
		const size_t bad = unwanted((const unsigned char *)text);

		ret[n++] = bad > 0 ? '?' : *text;
		text += bad > 0 ? bad : 1;
	}
	/* not half a character at the end */
	while (text && *text && n > 0 && ((unsigned char)ret[n - 1] & 0xc0) == 0x80)
		n--;
	if (text && *text && n > 0 && (unsigned char)ret[n - 1] >= 0xc0)
		n--;
	ret[n] = '\0';
}

/* It told no name: what is known is what it is read by. */
static const char *unnamed(const char *driver)
{
	const char *kind = device_kind(driver);

	return strcmp(kind, KIND_UNKNOWN) == 0 ? "unnamed device" : kind;
}

void device_name(char ret[DEVICE_NAME], const Wellgate__V1__DeviceInfo *d)
{
	const Wellgate__V1__DeviceRef *ref = d->device;
	char text[2 * DEVICE_NAME];

	if (d->radio && d->radio->name)
		(void)snprintf(text, sizeof(text), "%s", d->radio->name);
	else if (ref && (ref->make || ref->model))
		(void)snprintf(text, sizeof(text), "%s%s%s", ref->make ? ref->make : "",
			       ref->make && ref->model ? " " : "", ref->model ? ref->model : "");
	else
		(void)snprintf(text, sizeof(text), "%s", unnamed(ref ? ref->driver : NULL));
	device_text(ret, DEVICE_NAME, text);
}

unsigned int device_signal(int rssi)
{
	static const int least[] = { -90, -80, -70, -60 };
	unsigned int n = 0;

	while (n < COUNT(least) && rssi >= least[n])
		n++;
	return n;
}

void device_bars(char ret[DEVICE_BARS], int rssi)
{
	static const char *const bars[] = { "▂", "▄", "▆", "█" };
	const unsigned int n = device_signal(rssi);

	(void)snprintf(ret, DEVICE_BARS, "%s%s%s%s", n > 0 ? bars[0] : "·", n > 1 ? bars[1] : "·",
		       n > 2 ? bars[2] : "·", n > 3 ? bars[3] : "·");
}

/* ---- tables of words ---- */

struct word {
	int value;
	const char *text, *more;
};

static const struct word *word(const struct word *words, size_t n, int value)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i].value == value)
			return &words[i];
	}
	return &words[n - 1];
}

static const struct word securities[] = {
	{ SECURITY(CLEAR), "not encrypted",
	  "not encrypted: the device does not offer it. Each reading says so." },
	{ SECURITY(ENCRYPTED), "encrypted",
	  "encrypted. It was not proved by a number that this is the device in your hand." },
	{ SECURITY(AUTHENTICATED), "encrypted, proved",
	  "encrypted, and proved by a number that this is the device in your hand." },
	{ SECURITY(BROADCAST), "broadcast",
	  "none: the device only broadcasts, and anybody near can read it or imitate it. Each "
	  "reading says so." },
	{ SECURITY(CABLE), "cable", "a cable." },
	{ SECURITY(REPLAY), "replay", "a recording." },
	{ 0, "security unknown", "not known." },
};

const char *device_security(Wellgate__V1__LinkSecurity security)
{
	return word(securities, COUNT(securities), (int)security)->text;
}

const char *device_security_long(Wellgate__V1__LinkSecurity security)
{
	return word(securities, COUNT(securities), (int)security)->more;
}

const char *device_path(Wellgate__V1__RadioDevice__Path path)
{
	return path == WELLGATE__V1__RADIO_DEVICE__PATH__PATH_BLUETOOTHD
		       ? "through bluetoothd, which confirms a reading before it is stored"
		       : "a reading is confirmed to the device only when it is stored";
}

static const struct word states[] = {
	{ STATE(KNOWN), "not in range", NULL },        { STATE(SEEN), "in range", NULL },
	{ STATE(QUEUED), "waits for its turn", NULL }, { STATE(LINKING), "connecting", NULL },
	{ STATE(SECURING), "connecting", NULL },       { STATE(MTU), "connecting", NULL },
	{ STATE(VERIFY), "connecting", NULL },         { STATE(ARMING), "connecting", NULL },
	{ STATE(DRAIN), "reading it", NULL },          { STATE(LINGER), "reading it", NULL },
	{ STATE(CLOSING), "finishing", NULL },         { 0, "not known", NULL },
};

const char *device_state(Wellgate__V1__RadioDevice__State state)
{
	return word(states, COUNT(states), (int)state)->text;
}

static const struct word troubles[] = {
	{ TROUBLE(BOND_SUSPECT),
	  "It refuses the key of this hub: it was reset, or paired with something else.", NULL },
	{ TROUBLE(SPOOF_SUSPECT),
	  "Something used its address without its key. Nothing of that was kept.", NULL },
	{ TROUBLE(BUSY_ELSEWHERE), "Another program of this machine holds its link.", NULL },
	{ TROUBLE(CONSENT_NEEDED), "It wants the code of its user again.", NULL },
	{ 0, NULL, NULL },
};

const char *device_trouble(Wellgate__V1__RadioDevice__Trouble trouble)
{
	return word(troubles, COUNT(troubles), (int)trouble)->text;
}

void device_advice(char *ret, size_t size, Wellgate__V1__RadioDevice__Trouble trouble,
		   size_t number)
{
	ret[0] = '\0';
	if (trouble == TROUBLE(BOND_SUSPECT))
		(void)snprintf(ret, size, "wellgate unpair %zu, then wellgate pair", number);
	else if (trouble == TROUBLE(SPOOF_SUSPECT))
		(void)snprintf(ret, size,
			       "see that nobody tampers with it, then wellgate pair --again %zu",
			       number);
	else if (trouble == TROUBLE(BUSY_ELSEWHERE))
		(void)snprintf(ret, size, "stop that program, then wellgate pair --again %zu",
			       number);
	else if (trouble == TROUBLE(CONSENT_NEEDED))
		(void)snprintf(ret, size, "wellgate pair --consent SLOT:CODE");
}

static const struct word adapters[] = {
	{ ADAPTER(NO_BUS), "the message bus of this machine (D-Bus) does not answer", NULL },
	{ ADAPTER(NO_DAEMON), "bluetoothd is not running", NULL },
	{ ADAPTER(ABSENT), "no Bluetooth adapter was found", NULL },
	{ ADAPTER(BLOCKED), "the Bluetooth adapter is blocked (rfkill)", NULL },
	{ ADAPTER(OFF), "the Bluetooth adapter is off", NULL },
	{ ADAPTER(POWERING), "the Bluetooth adapter is being switched on", NULL },
	{ ADAPTER(READY), "the Bluetooth adapter works", NULL },
	{ ADAPTER(SUSPECT), "the Bluetooth adapter is being checked", NULL },
	{ ADAPTER(RESET), "the Bluetooth adapter is being reset", NULL },
	{ ADAPTER(FAILED), "the Bluetooth adapter does not work", NULL },
	{ 0, "Bluetooth is not in use", NULL },
};

const char *device_adapter(Wellgate__V1__RadioStatus__Adapter adapter)
{
	return word(adapters, COUNT(adapters), (int)adapter)->text;
}

/* ---- by driver ---- */

bool device_is_wired(const char *driver)
{
	const struct driver *d = driver ? registry_by_name(driver) : NULL;
	bool wired = d != NULL;

	for (size_t i = 0; d && d->match[i].bus != DRV_BUS_ANY; i++)
		wired = wired && d->match[i].bus != DRV_BUS_BLE &&
			d->match[i].bus != DRV_BUS_BLE_ADVERT;
	return wired;
}

static const struct {
	const char *driver, *kind, *hint, *first;
} hints[] = {
	{ "a_and_d", "A&D cuff or scale", "hold START, or the button of the scale, until Pr shows",
	  "Measure once, near this box." },
	{ "activity_monitor", "activity monitor", "wear it, and open pairing in its menu",
	  "Wear it; it is read when it is near this box." },
	{ "blood_pressure", "blood pressure monitor",
	  "hold START (or the Bluetooth button) until it blinks",
	  "Measure once, and leave the cuff near this box for a minute." },
	{ "glucose_meter", "glucose meter",
	  "choose pairing in its menu, or hold OK until it blinks",
	  "Measure once, and leave the meter near this box for a minute." },
	{ "heart_rate", "heart rate belt", "wear it: it shows itself only on skin",
	  "Wear it near this box." },
	{ "omron_ble", "Omron blood pressure monitor", "hold its Bluetooth button until -P- blinks",
	  "Measure once, near this box; its whole memory is read." },
	{ "pulse_oximeter", "pulse oximeter", "put a finger in, so that it switches on",
	  "Put a finger in and keep still until it shows a number." },
	{ "running_speed", "running pod", "shake it, so that it wakes",
	  "Walk with it; it is read when it is near this box." },
	{ "thermometer", "thermometer", "switch it on; hold its button until it blinks",
	  "Measure once, near this box." },
	{ "weight_scale", "scale", "press UNIT or SET until it blinks, or step on it",
	  "Step on it and stay until the number stands still." },
};

/* what is never paired, so there is no hint */
static const struct {
	const char *driver, *kind;
} wired_kinds[] = {
	{ "beurer_cardio", "Beurer blood pressure monitor" },
	{ "beurer_hid", "Beurer blood pressure monitor" },
	{ "beurer_serial", "Beurer or Sanitas blood pressure monitor" },
	{ "fitbit_dongle", "Fitbit base station" },
	{ "microlife", "Microlife blood pressure monitor" },
	{ "omron_usb", "Omron blood pressure monitor" },
	{ "omron_usb_classic", "Omron blood pressure monitor" },
	{ "phd", "meter (IEEE 11073)" },
};

const char *device_hint(const char *driver)
{
	for (size_t i = 0; driver && i < COUNT(hints); i++) {
		if (strcmp(hints[i].driver, driver) == 0)
			return hints[i].hint;
	}
	return NULL;
}

const char *device_kind(const char *driver)
{
	for (size_t i = 0; driver && i < COUNT(hints); i++) {
		if (strcmp(hints[i].driver, driver) == 0)
			return hints[i].kind;
	}
	for (size_t i = 0; driver && i < COUNT(wired_kinds); i++) {
		if (strcmp(wired_kinds[i].driver, driver) == 0)
			return wired_kinds[i].kind;
	}
	return KIND_UNKNOWN;
}

const char *device_first_reading(const char *driver)
{
	for (size_t i = 0; driver && i < COUNT(hints); i++) {
		if (strcmp(hints[i].driver, driver) == 0)
			return hints[i].first;
	}
	return "Use it once, near this box.";
}

const char *device_hint_driver(size_t i)
{
	return i < COUNT(hints) ? hints[i].driver : NULL;
}
