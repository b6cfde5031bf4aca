/* wellgate device: takes a device into the list of this hub, or out of use. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/desk_client.h"

#define KIND(name) WELLGATE__V1__REGISTRY_EVENT__DEVICE_KIND__DEVICE_KIND_##name

static const char usage[] =
	"usage: wellgate device add DEVICE [--kind KIND] [--memory N] [--slots N] [--clock]\n"
	"       wellgate device retire DEVICE\n"
	"       wellgate device wipe DEVICE\n\n"
	"add     takes a device into the list, so that it can be lent, owned or shared\n"
	"retire  takes it out of use; what it measured stays\n"
	"wipe    when it is read next, its own memory is emptied, once all of it is kept\n"
	"        here; wellgate loan report says how that came out\n\n"
	"DEVICE is its number, name, or the beginning of its reference in `wellgate devices`.\n\n"
	"  --kind KIND      cuff scale wearable oximeter thermometer glucose other\n"
	"  --memory N       how many readings it keeps by itself; 0: none\n"
	"  --slots N        how many people it tells apart with a switch or button\n"
	"  --clock          it stamps its readings with a clock of its own\n"
	"  --slot-guessed   it guesses who is on it from the weight\n"
	"  --json  --runtime-dir DIR\n\n"
	"Exit status: 0 done, 64 not as it has to be, 69 not done, 74 I/O.\n";

static const struct {
	const char *name;
	Wellgate__V1__RegistryEvent__DeviceKind kind;
} kinds[] = {
	{ "cuff", KIND(CUFF) },
	{ "scale", KIND(SCALE) },
	{ "wearable", KIND(WEARABLE) },
	{ "oximeter", KIND(OXIMETER) },
	{ "glucose", KIND(GLUCOSE_METER) },
	{ "thermometer", KIND(THERMOMETER) },
	{ "other", KIND(OTHER) },
};

/* Drivers that read one kind of device and no other. */
static const struct {
	const char *driver;
	Wellgate__V1__RegistryEvent__DeviceKind kind;
} by_driver[] = {
	{ "activity_monitor", KIND(WEARABLE) },
	{ "beurer_cardio", KIND(CUFF) },
	{ "beurer_hid", KIND(CUFF) },
	{ "beurer_serial", KIND(CUFF) },
	{ "blood_pressure", KIND(CUFF) },
	{ "colmi_ring", KIND(WEARABLE) },
	{ "fitbit_ble", KIND(WEARABLE) },
	{ "glucose_meter", KIND(GLUCOSE_METER) },
	{ "heart_rate", KIND(WEARABLE) },
	{ "infinitime", KIND(WEARABLE) },
	{ "microlife", KIND(CUFF) },
	{ "microlife_bt", KIND(CUFF) },
	{ "omron_ble", KIND(CUFF) },
	{ "omron_usb", KIND(CUFF) },
	{ "omron_usb_classic", KIND(CUFF) },
	{ "pulse_oximeter", KIND(OXIMETER) },
	{ "running_speed", KIND(WEARABLE) },
	{ "thermometer", KIND(THERMOMETER) },
	{ "weight_scale", KIND(SCALE) },
	{ "xiaomi_scale", KIND(SCALE) },
};

static Wellgate__V1__RegistryEvent__DeviceKind kind_of(const struct desk_args *a,
						       const struct desk_device *d)
{
	for (size_t i = 0; a->kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, a->kind) == 0)
			return kinds[i].kind;
	}
	for (size_t i = 0; !a->kind && i < sizeof(by_driver) / sizeof(by_driver[0]); i++) {
		if (strcmp(by_driver[i].driver, d->driver) == 0)
			return by_driver[i].kind;
	}
	return KIND(UNSPECIFIED);
}

static int report(struct desk_args *a, const struct desk_device *d, enum words_id words,
		  const char *event)
{
	if (a->client.json)
		desk_print(json_pack("{s:s, s:s}", "event", event, "device", d->reference));
	else
		desk_say(words, d->name, NULL, NULL);
	return 0;
}

static int ask(struct desk_args *a, Wellgate__V1__DeskCommand *m)
{
	Wellgate__V1__Reply *reply = NULL;
	const int code = desk_ask(a, m, 0, &reply);

	wellgate__v1__reply__free_unpacked(reply, NULL);
	return code;
}

static int add(struct desk_args *a)
{
	Wellgate__V1__RegistryEvent__DeviceAdded added =
		WELLGATE__V1__REGISTRY_EVENT__DEVICE_ADDED__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	struct desk_device d;
	int code = desk_device(a, a->words[0], &d);

	if (code)
		return code;
	added.kind = kind_of(a, &d);
	if (added.kind == KIND(UNSPECIFIED))
		return cli_fail("device", EXIT_USAGE, "%s",
				words_text(WORDS_EN, WORDS_DEVICE_WHICH_KIND));
	/* not guessed: one model of a driver keeps none, another a hundred */
	if (!a->has_memory)
		return cli_fail("device", EXIT_USAGE, "%s",
				words_text(WORDS_EN, WORDS_DEVICE_WHICH_MEMORY));
	added.has_kind = added.has_slots = added.has_has_clock = true;
	added.has_memory_records = added.has_slot_guessed = true;
	added.slots = a->has_slots ? a->slots : 0;
	added.has_clock = a->clock;
	added.memory_records = a->memory;
	added.slot_guessed = a->guessed;
	desk_about(&m, &d);
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_ADD;
	m.add = &added;
	code = ask(a, &m);
	return code ? code : report(a, &d, WORDS_DEVICE_ADDED, "added");
}

static int retire(struct desk_args *a)
{
	Wellgate__V1__RegistryEvent__DeviceRetired retired =
		WELLGATE__V1__REGISTRY_EVENT__DEVICE_RETIRED__INIT;
	Wellgate__V1__DeskCommand m = WELLGATE__V1__DESK_COMMAND__INIT;
	struct desk_device d;
	int code = desk_device(a, a->words[0], &d);

	if (code)
		return code;
	desk_about(&m, &d);
	m.what_case = WELLGATE__V1__DESK_COMMAND__WHAT_RETIRE;
	m.retire = &retired;
	code = ask(a, &m);
	return code ? code : report(a, &d, WORDS_DEVICE_RETIRED, "retired");
}

static int wipe(struct desk_args *a)
{
	struct desk_device d;
	int error = 0, code = desk_device(a, a->words[0], &d);

	if (code == 0 && !d.can_wipe)
		error = EOPNOTSUPP;
	else if (code == 0)
		code = desk_wipe(a, &d, &error);
	if (code)
		return code;
	if (error == EOPNOTSUPP)
		return cli_fail("device", EXIT_UNAVAILABLE, "%s",
				words_text(WORDS_EN, WORDS_DEVICE_CANNOT_EMPTY));
	if (error != 0)
		return cli_fail("device", EXIT_UNAVAILABLE, "it could not be done: %s",
				strerror(error));
	return report(a, &d, WORDS_DEVICE_WILL_EMPTY, "wipe_asked");
}

int cmd_device(int argc, char **argv)
{
	static const struct desk_verb verbs[] = {
		{ "add", DESK_KIND, 1, 1, add },
		{ "retire", 0, 1, 1, retire },
		{ "wipe", 0, 1, 1, wipe },
		{ 0 },
	};

	return desk_main(argc, argv, usage, verbs);
}
