/* wellgate-firmware pack: plain bytes into a USB DFU or DfuSe file. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/cleanup.h"
#include "firmware-tools/formats/dfu.h"
#include "firmware-tools/tool.h"

static const char usage[] =
	"usage: wellgate-firmware pack --usb VENDOR:PRODUCT[:RELEASE] [--address HEX [--alt N]]\n"
	"                              FILE OUTPUT\n\n"
	"Writes OUTPUT, which must not exist: the bytes of FILE with the suffix of USB DFU; with\n"
	"--address, as a DfuSe file for that address.\n\n"
	"  --usb      whom it is for, four hex digits each; ffff is any. As in 0483:df11.\n";

struct options {
	const char *name, *from, *to;
	bool is_dfuse, has_usb;
	uint32_t address;
	uint8_t alternate;
	struct dfu_suffix suffix;
};

/* a number up to max, of the whole text or up to `end` */
static bool take_number(const char **text, int base, unsigned long max, char end,
			unsigned long *ret)
{
	char *stop = NULL;
	unsigned long value;

	errno = 0;
	value = strtoul(*text, &stop, base);
	if (errno || stop == *text || **text == '-' || **text == '+' || value > max ||
	    (*stop && *stop != end))
		return false;
	*text = *stop ? stop + 1 : stop;
	*ret = value;
	return true;
}

static bool take_usb(struct dfu_suffix *s, const char *text)
{
	unsigned long vendor = 0, product = 0, release = FIRMWARE_USB_ANY;
	const bool good = take_number(&text, 16, 0xffff, ':', &vendor) &&
			  take_number(&text, 16, 0xffff, ':', &product) &&
			  (*text == '\0' || take_number(&text, 16, 0xffff, '\0', &release));

	s->vendor = (uint16_t)vendor;
	s->product = (uint16_t)product;
	s->release = (uint16_t)release;
	return good && *text == '\0';
}

static bool take_option(struct options *o, int option)
{
	const char *text = optarg;
	unsigned long value = 0;
	bool good = false;

	switch (option) {
	case 'u':
		o->has_usb = good = take_usb(&o->suffix, optarg);
		break;
	case 'a':
		o->is_dfuse = good = take_number(&text, 16, UINT32_MAX, '\0', &value);
		o->address = (uint32_t)value;
		break;
	case 'n':
		good = take_number(&text, 10, UINT8_MAX, '\0', &value);
		o->alternate = (uint8_t)value;
		break;
	default:
		break;
	}
	return good;
}

/* -1 = go on */
static int arguments(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "usb", required_argument, NULL, 'u' },
		{ "address", required_argument, NULL, 'a' },
		{ "alt", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return tool_end(o->name, TOOL_GOOD);
		}
		if (!take_option(o, option))
			return tool_fail(o->name, TOOL_USAGE,
					 "unknown, incomplete or wrong option; see --help");
	}
	if (!o->has_usb || optind + 2 != argc || (o->alternate && !o->is_dfuse))
		return tool_fail(o->name, TOOL_USAGE,
				 "--usb, a file and an output are wanted; see --help");
	o->from = argv[optind];
	o->to = argv[optind + 1];
	return -1;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int write_file(const struct options *o, const struct writer *w)
{
	_cleanup_close_ int fd = open(o->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return tool_fail(o->name, TOOL_IO, "%s: %s", o->to, strerror(errno));
	r = write_all(fd, w->data, w->len);
	if (r < 0) {
		(void)unlink(o->to);
		return tool_fail(o->name, TOOL_IO, "%s: %s", o->to, strerror(-r));
	}
	return TOOL_GOOD;
}

static int pack(const struct options *o, const uint8_t *data, size_t len)
{
	const size_t size = len + DFU_SUFFIX + (o->is_dfuse ? DFUSE_OVERHEAD : 0);
	_cleanup_free_ uint8_t *out = malloc(size);
	struct firmware_segment segment = { .data = data, .len = len };
	struct dfu_suffix suffix = o->suffix;
	struct writer w;

	if (!out)
		return tool_fail(o->name, TOOL_UNAVAILABLE, "no memory");
	w = writer_of(out, size);
	segment.address = o->address;
	segment.alternate = o->alternate;
	suffix.version = o->is_dfuse ? DFU_VERSION_ST : DFU_VERSION;
	if (o->is_dfuse)
		dfuse_write(&w, &segment, NULL);
	else
		writer_bytes(&w, data, len);
	dfu_write_suffix(&w, &suffix);
	return write_file(o, &w);
}

int tool_pack(int argc, char **argv)
{
	struct options o = { .name = argv[0], .from = "", .to = "" };
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0;
	int code = arguments(argc, argv, &o);

	if (code >= 0)
		return code;
	code = tool_read_file(o.name, o.from, FIRMWARE_FILE_MAX - 1024, &data, &len);
	if (code)
		return code;
	if (len == 0 || dfu_has_suffix(data, len))
		return tool_fail(o.name, TOOL_DATA, "%s: %s", o.from,
				 len ? "it has a suffix already" : "it is empty");
	if (o.is_dfuse && len > UINT64_C(0x100000000) - o.address)
		return tool_fail(o.name, TOOL_DATA, "%s goes beyond the last address", o.from);
	return pack(&o, data, len);
}
