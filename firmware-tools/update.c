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
#include "firmware-tools/update_usb.h"

static const char usage[] =
	"usage: wellgate-firmware update [--dry-run] [--allow-older] [--port PORT]\n"
	"                                --sha256 HEX | --not-genuine FILE\n\n"
	"Writes a USB DFU or DfuSe file into a device on this computer, and shows that it is "
	"there.\n\n"
	"  --sha256       the hash of the file, from whoever published it\n"
	"  --not-genuine  nobody can say who made this file, and it is to be used all the same\n"
	"  --port         which device, as /sys/bus/usb/devices names it; else the only one that "
	"the\n"
	"                 file is for\n"
	"  --dry-run      says what would be done, and does nothing\n"
	"  --allow-older  also over a newer version\n";

#define SHA256_DIGITS (2 * (size_t)FIRMWARE_SHA256)

struct job {
	const char *name, *path, *sha256, *port;
	bool dry_run, not_genuine;
	struct dfu_plan plan;
	struct firmware_image *image;
	char found[UPDATE_USB_PORT];
	sd_event *event;
	time_t began;
	bool bar; /* somebody watches */
};

static bool take_option(struct job *j, int option)
{
	switch (option) {
	case 's':
		j->sha256 = optarg;
		return strlen(optarg) == SHA256_DIGITS;
	case 'g':
		j->not_genuine = true;
		return true;
	case 'p':
		j->port = optarg;
		return strlen(optarg) < UPDATE_USB_PORT && !strchr(optarg, '/');
	case 'n':
		j->dry_run = true;
		return true;
	case 'o':
		j->plan.allow_older = true;
		return true;
	default:
		return false;
	}
}

/* an exit code, or -1: go on */
static int arguments(int argc, char **argv, struct job *j)
{
	static const struct option options[] = {
		{ "sha256", required_argument, NULL, 's' },
		{ "not-genuine", no_argument, NULL, 'g' },
		{ "port", required_argument, NULL, 'p' },
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
	if (optind + 1 != argc || !j->sha256 == !j->not_genuine) {
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
	const struct firmware_image *image = j->image;
	const struct firmware_segment *s = image->segments;
	const bool plain = strcmp(image->format->name, "dfu") == 0;

	if (!plain && strcmp(image->format->name, "dfuse") != 0)
		return tool_fail(j->name, TOOL_DATA, "%s: this does not write %s files yet",
				 j->path, image->format->label);
	if (!firmware_is_intact(image))
		return tool_fail(j->name, TOOL_DATA, "%s: nothing shows that it is whole", j->path);
	if (image->n_segments != 1 || s->alternate != 0 || s->has_address == plain)
		return tool_fail(j->name, TOOL_DATA,
				 "%s: this writes files with one part, for the first memory",
				 j->path);
	j->plan.image = s->data;
	j->plan.len = s->len;
	j->plan.address = s->address;
	j->plan.vid = image->usb_vendor;
	j->plan.pid = image->usb_product;
	/* DfuSe's release is that of the boot loader's file format, not of the program */
	j->plan.version.known = plain && image->usb_release != FIRMWARE_USB_ANY;
	j->plan.version.part[0] = image->usb_release;
	return 0;
}

static int find(struct job *j)
{
	int r = 0;

	if (!j->port && j->plan.vid == FIRMWARE_USB_ANY)
		return tool_fail(j->name, TOOL_USAGE,
				 "%s is for any device; --port says for which one", j->path);
	if (!j->port) {
		r = update_usb_find(j->plan.vid, j->plan.pid, j->found);
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
	(void)printf("file    %s, %zu bytes", j->path, j->plan.len);
	if (j->plan.version.known)
		(void)printf(", release %" PRIx32 ".%02" PRIx32, j->plan.version.part[0] >> 8,
			     j->plan.version.part[0] & 0xff);
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
	const struct job *j = user;
	time_t spent = time(NULL) - j->began;
	uint64_t rate = spent > 0 ? done / (uint64_t)spent : done;
	size_t marks = total != 0 ? done * BAR / total : 0;

	if (!j->bar)
		return;
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
		r = update_usb_start(j->event, j->port, &j->plan, &handlers, &u);
	if (r >= 0)
		r = sd_event_loop(j->event);
	code = r < 0 ? tool_fail(j->name, TOOL_UNAVAILABLE, "%s", strerror(-r))
		     : say_result(j, update_usb_result(u));
	update_usb_free(u);
	j->event = sd_event_unref(j->event);
	return code;
}

static int work(struct job *j)
{
	_cleanup_free_ uint8_t *data = NULL;
	const char *why = "no memory";
	size_t len = 0;
	int code = tool_read_file(j->name, j->path, FIRMWARE_FILE_MAX, &data, &len);

	if (code == 0)
		code = check_hash(j, data, len);
	if (code != 0)
		return code;
	if (firmware_read(data, len, NULL, NULL, &j->image, &why) < 0)
		return tool_fail(j->name, TOOL_DATA, "%s: %s", j->path, why);
	code = make_plan(j);
	if (code == 0)
		code = find(j);
	if (code == 0)
		code = show_plan(j);
	if (code == 0 && !j->dry_run)
		code = write_it(j);
	firmware_free(j->image);
	return code;
}

int tool_update(int argc, char **argv)
{
	struct job j = { .name = argv[0], .began = time(NULL), .bar = isatty(STDERR_FILENO) == 1 };
	int code = arguments(argc, argv, &j);

	if (code >= 0)
		return code;
	return tool_end(j.name, work(&j));
}
