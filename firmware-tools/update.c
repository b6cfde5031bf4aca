/* wellgate-firmware update: a verified image into a device with an open update protocol. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "firmware-tools/formats/format.h"
#include "firmware-tools/image.h"
#include "firmware-tools/tool.h"
#include "firmware-tools/update_ble.h"
#include "firmware-tools/update_plan.h"
#include "firmware-tools/update_usb.h"

static const char usage[] =
	"usage: wellgate-firmware update [--dry-run] [--allow-older] [--port PORT]\n"
	"                                --sha256 HEX | --not-genuine FILE\n"
	"       wellgate-firmware update --bluetooth ADDRESS [--dry-run] [--allow-older]\n"
	"                                [--low-battery-ok]\n"
	"                                --key PEM | --sha256 HEX | --not-genuine FILE\n\n"
	"Writes a file into a device that takes updates, and shows that it is there: USB DFU and\n"
	"DfuSe on this computer; Nordic packages and MCUboot images over Bluetooth.\n\n"
	"  --sha256         the hash of the file, from whoever published it\n"
	"  --key            a public key; every part of the file has to be signed by it\n"
	"  --not-genuine    nobody can say who made this file, and it is to be used all the same\n"
	"  --port           which device, as /sys/bus/usb/devices names it; else the only one "
	"that\n"
	"                   the file is for\n"
	"  --bluetooth      which device; wellgate-devices has to be stopped meanwhile\n"
	"  --low-battery-ok also if less than 30 % is left in its battery\n"
	"  --dry-run        says what would be done, and does nothing\n"
	"  --allow-older    also over a newer version\n";

#define SHA256_DIGITS (2 * (size_t)FIRMWARE_SHA256)
#define KEY_FILE_MAX  ((size_t)64 * 1024)

struct job {
	const char *name, *path, *sha256, *key_path, *port;
	bool dry_run, not_genuine, bluetooth, low_battery_ok;
	struct ble_address address;
	struct update_plan plan;
	struct firmware_image *image;
	char found[UPDATE_USB_PORT];
	sd_event *event;
	time_t began;
	size_t from; /* what the device had by then: an update may go on in the middle */
	bool moves;
	bool bar; /* somebody watches */
	bool battery_low;
};

static bool take_option(struct job *j, int option)
{
	switch (option) {
	case 's':
		j->sha256 = optarg;
		return strlen(optarg) == SHA256_DIGITS;
	case 'k':
		j->key_path = optarg;
		return true;
	case 'g':
		j->not_genuine = true;
		return true;
	case 'p':
		j->port = optarg;
		return strlen(optarg) < UPDATE_USB_PORT && !strchr(optarg, '/');
	case 'b':
		j->bluetooth = true;
		return ble_address_parse(optarg, BLE_PUBLIC, &j->address) == 0;
	case 'l':
		j->low_battery_ok = true;
		return true;
	case 'n':
		j->dry_run = true;
		return true;
	case 'o':
		j->plan.dfu.allow_older = true;
		return true;
	default:
		return false;
	}
}

static bool makes_sense(const struct job *j)
{
	const int origins = (j->sha256 != NULL) + (j->key_path != NULL) + j->not_genuine;

	return origins == 1 && (j->bluetooth ? !j->port : !j->low_battery_ok);
}

/* an exit code, or -1: go on */
static int arguments(int argc, char **argv, struct job *j)
{
	static const struct option options[] = {
		{ "sha256", required_argument, NULL, 's' },
		{ "key", required_argument, NULL, 'k' },
		{ "not-genuine", no_argument, NULL, 'g' },
		{ "port", required_argument, NULL, 'p' },
		{ "bluetooth", required_argument, NULL, 'b' },
		{ "low-battery-ok", no_argument, NULL, 'l' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "allow-older", no_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return tool_end(j->name, TOOL_GOOD);
		}
		if (!take_option(j, option)) {
			(void)fputs(usage, stderr);
			return TOOL_USAGE;
		}
	}
	if (optind + 1 != argc || !makes_sense(j)) {
		(void)fputs(usage, stderr);
		return TOOL_USAGE;
	}
	j->path = argv[optind];
	return -1;
}

/* ---- before the first write ---- */

static int check_hash(const struct job *j, const uint8_t *data, size_t len)
{
	uint8_t hash[FIRMWARE_SHA256] = { 0 };
	char text[SHA256_DIGITS + 1];

	if (!j->sha256)
		return 0;
	if (firmware_sha256(data, len, hash) < 0)
		return tool_fail(j->name, TOOL_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < sizeof(hash); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
	if (strcasecmp(text, j->sha256) != 0)
		return tool_fail(j->name, TOOL_DATA, "%s: its hash is another one", j->path);
	return 0;
}

static int make_plan(struct job *j)
{
	const char *why;

	if (!firmware_is_intact(j->image)) {
		const struct firmware_check *bad = firmware_first_bad(j->image);

		return tool_fail(j->name, TOOL_DATA, "%s: %s", j->path,
				 bad ? bad->why : "nothing shows that it is whole");
	}
	if (j->key_path && !firmware_is_genuine(j->image))
		return tool_fail(j->name, TOOL_DATA, "%s: not all of it is signed", j->path);
	why = j->bluetooth ? update_plan_bluetooth(&j->plan, j->image)
			   : update_plan_usb(&j->plan, j->image);
	return why ? tool_fail(j->name, TOOL_DATA, "%s: %s", j->path, why) : 0;
}

static int find(struct job *j)
{
	int r = 0;

	if (!j->port && j->plan.dfu.vid == FIRMWARE_USB_ANY)
		return tool_fail(j->name, TOOL_USAGE,
				 "%s is for any device; --port says for which one", j->path);
	if (!j->port) {
		r = update_usb_find(j->plan.dfu.vid, j->plan.dfu.pid, j->found);
		j->port = j->found;
	}
	if (r == -ENOTUNIQ)
		return tool_fail(j->name, TOOL_UNAVAILABLE,
				 "there are several such devices; --port says which one");
	if (r < 0)
		return tool_fail(j->name, TOOL_UNAVAILABLE,
				 "no device that this file is for is plugged in");
	return 0;
}

static int show_plan(const struct job *j)
{
	struct dfu_usb_facts f;
	int r = update_usb_look(j->port, &f);

	if (r < 0 || f.dfu == 0)
		return tool_fail(j->name, TOOL_UNAVAILABLE,
				 "there is no device with USB DFU at port %s", j->port);
	(void)printf("device  port %s, %04x:%04x, release %x.%02x, %s\n", j->port, f.vid, f.pid,
		     f.device >> 8, f.device & 0xffu,
		     f.mode == DFU_MODE_UPDATE ? "waits for an update" : "runs its program");
	(void)printf("file    %s, %zu bytes", j->path, j->plan.dfu.len);
	if (j->plan.dfu.version.known)
		(void)printf(", release %" PRIx32 ".%02" PRIx32, j->plan.dfu.version.part[0] >> 8,
			     j->plan.dfu.version.part[0] & 0xff);
	(void)printf("\nsteps   %swrite, %sstart\n",
		     f.mode == DFU_MODE_UPDATE ? "" : "start its boot loader, ",
		     f.attributes & DFU_USB_CAN_UPLOAD || f.mode != DFU_MODE_UPDATE
			     ? "read back if it can be read, "
			     : "");
	return 0;
}

/* ---- while it runs ---- */

#define BAR 30

static void on_progress(void *user, size_t done, size_t total)
{
	struct job *j = user;
	size_t marks = total != 0 ? done * BAR / total : 0;
	uint64_t spent, rate;

	if (!j->bar)
		return;
	if (!j->moves || done < j->from) {
		j->moves = true;
		j->began = time(NULL);
		j->from = done;
	}
	spent = (uint64_t)(time(NULL) - j->began);
	rate = spent > 0 ? (done - j->from) / spent : done - j->from;
	(void)fprintf(stderr, "\r[%.*s%*s] %3zu %%, %" PRIu64 " bytes/s, %" PRIu64 " s left   ",
		      (int)marks, "##############################", (int)(BAR - marks), "",
		      total != 0 ? done * 100 / total : 0, rate,
		      rate != 0 ? (total - done) / rate : 0);
}

static void on_step(void *user, const char *text)
{
	const struct job *j = user;

	(void)fprintf(stderr, "%s%s\n", j->bar ? "\n" : "", text);
}

static void on_ended(void *user)
{
	const struct job *j = user;

	(void)sd_event_exit(j->event, 0);
}

static int say_result(const struct job *j, const struct dfu *d)
{
	static const char *const proofs[] = {
		[DFU_PROOF_NONE] = "",
		[DFU_PROOF_ACCEPTED] = "the device says that it took it; it cannot be read back",
		[DFU_PROOF_READ_BACK] = "every byte was read back and is right",
		[DFU_PROOF_VERSION] = "the device runs, and tells the new release",
		[DFU_PROOF_HASH] = "the device runs, and tells the hash of the new image",
	};

	if (j->bar)
		(void)fputc('\n', stderr);
	if (d->outcome != DFU_INSTALLED)
		return tool_fail(j->name, d->refusal == DFU_LINK_LOST ? TOOL_IO : TOOL_DATA,
				 "not installed: %s (%" PRIu32 ")", dfu_refusal_text(d->refusal),
				 d->code);
	(void)printf("result  installed; %s\n", proofs[d->proof]);
	return TOOL_GOOD;
}

static int write_it(struct job *j)
{
	const struct update_usb_handlers handlers = {
		.progress = on_progress, .step = on_step, .ended = on_ended, .user = j
	};
	struct update_usb *u = NULL;
	int code, r = sd_event_new(&j->event);

	if (r >= 0)
		r = update_usb_start(j->event, j->port, &j->plan.dfu, &handlers, &u);
	if (r >= 0)
		r = sd_event_loop(j->event);
	code = r < 0 ? tool_fail(j->name, TOOL_UNAVAILABLE, "%s", strerror(-r))
		     : say_result(j, update_usb_result(u));
	update_usb_free(u);
	j->event = sd_event_unref(j->event);
	return code;
}

static int update_over_usb(struct job *j)
{
	int code = find(j);

	if (code == 0)
		code = show_plan(j);
	return code == 0 && !j->dry_run ? write_it(j) : code;
}

/* ---- over Bluetooth ---- */

#define BATTERY_LEAST 30 /* percent; a device that stops in the middle may stay without firmware */

static void show_release(const struct job *j)
{
	const struct dfu_version *v = &j->plan.dfu.version;

	if (v->known && j->plan.protocol == &DFU_SMP)
		(void)printf(", release %" PRIu32 ".%" PRIu32 ".%" PRIu32 "+%" PRIu32, v->part[0],
			     v->part[1], v->part[2], v->part[3]);
	else if (v->known)
		(void)printf(", release %" PRIu32, v->part[0]);
}

static void show_plan_bluetooth(const struct job *j, const struct update_ble_facts *f)
{
	const bool smp = j->plan.protocol == &DFU_SMP;

	(void)printf("device  %s, %s", f->firmware[0] ? f->firmware : "does not tell its release",
		     f->mode == DFU_MODE_UPDATE ? "waits for an update" : "runs its program");
	if (f->has_battery)
		(void)printf(", battery %u %%\n", f->battery);
	else
		(void)printf(", does not tell its battery\n");
	(void)printf("file    %s, %zu bytes", j->path, j->plan.dfu.len);
	show_release(j);
	(void)printf("\nsteps   %s: %swrite, start%s\n", j->plan.protocol->label,
		     smp || f->mode == DFU_MODE_UPDATE ? "" : "start its boot loader, ",
		     smp ? ", ask what it runs, confirm" : "");
}

static bool battery_will_do(const struct job *j, const struct update_ble_facts *f)
{
	return !f->has_battery || f->battery >= BATTERY_LEAST || j->low_battery_ok;
}

static bool on_found(void *user, const struct update_ble_facts *facts)
{
	struct job *j = user;

	j->battery_low = !battery_will_do(j, facts);
	show_plan_bluetooth(j, facts);
	(void)fflush(stdout);
	return !j->battery_low && !j->dry_run;
}

static int say_error(const struct job *j, int error)
{
	switch (error) {
	case -ECANCELED:
		if (!j->battery_low)
			return TOOL_GOOD; /* a dry run */
		return tool_fail(j->name, TOOL_DATA,
				 "not begun: its battery is below %d %%; charge it first, or say "
				 "--low-battery-ok",
				 BATTERY_LEAST);
	case -ENODEV:
		return tool_fail(j->name, TOOL_UNAVAILABLE,
				 "the device is not heard, or does not answer");
	case -ENONET:
		return tool_fail(j->name, TOOL_UNAVAILABLE,
				 "there is no Bluetooth here that works");
	case -EACCES:
		return tool_fail(j->name, TOOL_DATA,
				 "the device takes updates only from a hub that it is paired with");
	case -ENOTSUP:
		return tool_fail(j->name, TOOL_DATA, "the device does not take updates by %s",
				 j->plan.protocol->label);
	default:
		return tool_fail(j->name, TOOL_UNAVAILABLE, "%s", strerror(-error));
	}
}

static int update_over_bluetooth(struct job *j)
{
	const struct update_ble_options options = { .address = j->address,
						    .protocol = j->plan.protocol,
						    .plan = &j->plan.dfu };
	const struct update_ble_handlers handlers = { .found = on_found,
						      .progress = on_progress,
						      .step = on_step,
						      .ended = on_ended,
						      .user = j };
	struct update_ble *u = NULL;
	int code, r;

	if (update_ble_radio_in_use())
		return tool_fail(j->name, TOOL_UNAVAILABLE,
				 "wellgate-devices uses the radio; stop it first, and start it "
				 "again afterwards");
	r = sd_event_new(&j->event);
	if (r >= 0)
		r = update_ble_start(j->event, &options, &handlers, &u);
	if (r >= 0)
		r = sd_event_loop(j->event);
	if (r >= 0)
		r = update_ble_error(u);
	code = r < 0 ? say_error(j, r) : say_result(j, update_ble_result(u));
	update_ble_free(u);
	j->event = sd_event_unref(j->event);
	return code;
}

/* ---- both ---- */

static int read_key(const struct job *j, struct firmware_key **ret)
{
	_cleanup_free_ uint8_t *pem = NULL;
	size_t len = 0;
	int code;

	if (!j->key_path)
		return 0;
	code = tool_read_file(j->name, j->key_path, KEY_FILE_MAX, &pem, &len);
	if (code == 0 && firmware_key_read(pem, len, ret) < 0)
		code = tool_fail(j->name, TOOL_DATA, "%s: this is no public key that is known",
				 j->key_path);
	return code;
}

static int update(struct job *j, const uint8_t *data, size_t len, const struct firmware_key *key)
{
	const char *why = "no memory";
	int code;

	if (firmware_read(data, len, NULL, key, &j->image, &why) < 0)
		return tool_fail(j->name, TOOL_DATA, "%s: %s", j->path, why);
	code = make_plan(j);
	if (code == 0)
		code = j->bluetooth ? update_over_bluetooth(j) : update_over_usb(j);
	firmware_free(j->image);
	return code;
}

static int work(struct job *j)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct firmware_key *key = NULL;
	size_t len = 0;
	int code = tool_read_file(j->name, j->path, FIRMWARE_FILE_MAX, &data, &len);

	if (code == 0)
		code = check_hash(j, data, len);
	if (code == 0)
		code = read_key(j, &key);
	if (code == 0)
		code = update(j, data, len, key);
	firmware_key_free(key);
	return code;
}

int tool_update(int argc, char **argv)
{
	struct job j = { .name = argv[0], .bar = isatty(STDERR_FILENO) == 1 };
	int code = arguments(argc, argv, &j);

	if (code >= 0)
		return code;
	return tool_end(j.name, work(&j));
}
