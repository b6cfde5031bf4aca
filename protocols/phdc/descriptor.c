#include "protocols/phdc/descriptor.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"

enum descriptor_type {
	DEVICE = 0x01,
	CONFIGURATION = 0x02,
	INTERFACE = 0x04,
	ENDPOINT = 0x05,
	PHDC_FUNCTION = 0x20,
	PHDC_QOS_OF_ENDPOINT = 0x21,
	PHDC_METADATA = 0x22,
	PHDC_11073_EXTENSION = 0x30,
};

#define DEVICE_SIZE        18
#define CONFIGURATION_SIZE 9
#define INTERFACE_SIZE     9
#define ENDPOINT_SIZE      7
#define PHDC_SIZE          4 /* of 20h, 21h, and 30h without its list */

#define ENDPOINT_IN       0x80
#define ENDPOINT_NUMBER   0x0f
#define ENDPOINT_RESERVED 0x70
#define TRANSFER_TYPE     0x03
#define TRANSFER_BULK     2
#define TRANSFER_INT      3
#define PACKET_SIZE       0x07ff
#define QOS_ENCODING      1
#define CAN_PREAMBLE      0x01

/* One walk over the descriptors of a configuration. */
struct walk {
	bool healthcare; /* class 0f is wanted */
	bool device_is_healthcare;
	int number;  /* of the interface that is wanted, or -1 */
	bool pair;   /* whatever their type */
	bool inside; /* an interface that may be it */
	struct usb_interface_choice at;
	struct usb_endpoint_choice *endpoint; /* the last one: what follows is about it */
};

static bool is_complete(const struct walk *w)
{
	if (!w->inside || w->at.bulk_in.address == 0 || w->at.bulk_out.address == 0)
		return false;
	return !w->healthcare || w->at.data_code != PHDC_DATA_VENDOR;
}

static void on_interface(struct walk *w, const uint8_t *d, size_t len)
{
	const unsigned int flaws = w->at.flaws;
	const uint8_t configuration = w->at.configuration;

	w->inside = false;
	w->endpoint = NULL;
	if (len < INTERFACE_SIZE) {
		w->at.flaws++;
		return;
	}
	w->at = (struct usb_interface_choice){ .configuration = configuration,
					       .interface = d[2],
					       .flaws = flaws };
	/* another alternate setting would have to be asked for, and nobody's device needs it */
	if (d[3] != 0)
		return;
	if (w->number >= 0 && d[2] != w->number)
		return;
	w->inside = !w->healthcare || w->device_is_healthcare || d[5] == PHDC_CLASS;
}

static struct usb_endpoint_choice *place_of(struct walk *w, uint8_t address, uint8_t type)
{
	if (type == TRANSFER_BULK || (w->pair && type == TRANSFER_INT))
		return address & ENDPOINT_IN ? &w->at.bulk_in : &w->at.bulk_out;
	if (type == TRANSFER_INT && address & ENDPOINT_IN)
		return &w->at.interrupt_in;
	return NULL;
}

static bool is_taken(const struct usb_interface_choice *c, uint8_t address)
{
	return c->bulk_in.address == address || c->bulk_out.address == address ||
	       c->interrupt_in.address == address;
}

static void on_endpoint(struct walk *w, const uint8_t *d, size_t len)
{
	struct usb_endpoint_choice *place;
	uint16_t packet;

	w->endpoint = NULL;
	if (len < ENDPOINT_SIZE || (d[2] & ENDPOINT_NUMBER) == 0 || d[2] & ENDPOINT_RESERVED ||
	    is_taken(&w->at, d[2])) {
		w->at.flaws++;
		return;
	}
	place = place_of(w, d[2], d[3] & TRANSFER_TYPE);
	if (!place || place->address != 0)
		return; /* the first of its kind is the one */
	packet = (uint16_t)((d[4] | d[5] << 8) & PACKET_SIZE);
	if (packet == 0 || packet > USB_PACKET_MAX) {
		w->at.flaws++;
		return;
	}
	*place = (struct usb_endpoint_choice){
		.address = d[2],
		.packet = packet,
		.interrupt = w->pair && (d[3] & TRANSFER_TYPE) == TRANSFER_INT,
	};
	w->endpoint = place;
}

static void on_function(struct walk *w, const uint8_t *d, size_t len)
{
	if (len < PHDC_SIZE || (d[2] != PHDC_DATA_VENDOR && d[2] != PHDC_DATA_11073_20601) ||
	    w->at.data_code != PHDC_DATA_UNKNOWN) {
		w->at.flaws++;
		return;
	}
	w->at.data_code = d[2];
	w->at.can_preamble = d[3] & CAN_PREAMBLE;
}

static void on_extension(struct walk *w, const uint8_t *d, size_t len)
{
	size_t n;

	if (len < PHDC_SIZE || w->at.n_specialisations > 0) {
		w->at.flaws++;
		return;
	}
	n = d[3];
	if (n > (len - PHDC_SIZE) / 2) {
		w->at.flaws++;
		return;
	}
	if (n > PHDC_SPECIALISATIONS_MAX)
		n = PHDC_SPECIALISATIONS_MAX;
	for (size_t i = 0; i < n; i++)
		w->at.specialisations[i] =
			(uint16_t)(d[PHDC_SIZE + 2 * i] | d[PHDC_SIZE + 2 * i + 1] << 8);
	w->at.n_specialisations = n;
}

static void on_qos(struct walk *w, const uint8_t *d, size_t len)
{
	if (len < PHDC_SIZE || d[2] != QOS_ENCODING || d[3] & ~PHDC_QOS_ALL || !w->endpoint ||
	    w->endpoint->qos != 0) {
		w->at.flaws++;
		return;
	}
	w->endpoint->qos = d[3];
}

static void on_metadata(struct walk *w, size_t len)
{
	if (w->endpoint)
		w->endpoint->metadata_len = (uint8_t)(len - 2);
}

static void on_descriptor(struct walk *w, const uint8_t *d, size_t len)
{
	if (d[1] == INTERFACE) {
		on_interface(w, d, len);
		return;
	}
	if (!w->inside)
		return;
	if (d[1] == ENDPOINT) {
		on_endpoint(w, d, len);
		return;
	}
	if (!w->healthcare)
		return; /* numbers from 20h on mean what the class says */
	switch (d[1]) {
	case PHDC_FUNCTION:
		on_function(w, d, len);
		break;
	case PHDC_11073_EXTENSION:
		on_extension(w, d, len);
		break;
	case PHDC_QOS_OF_ENDPOINT:
		on_qos(w, d, len);
		break;
	case PHDC_METADATA:
		on_metadata(w, len);
		break;
	default:
		break;
	}
}

/* The next descriptor, or NULL: the end. One that cannot be ends the walk, as it does in Linux. */
static const uint8_t *next_descriptor(struct cursor *c, struct walk *w)
{
	const size_t left = cursor_left(c);
	const uint8_t *d = c->data + c->pos;

	if (left == 0)
		return NULL;
	if (left < 2 || d[0] < 2 || d[0] > left) {
		w->at.flaws++;
		return NULL;
	}
	return cursor_bytes(c, d[0]);
}

/* body: what follows the configuration descriptor itself */
static bool choose_in(struct walk *w, struct cursor body, struct usb_interface_choice *ret)
{
	const uint8_t *d;

	while ((d = next_descriptor(&body, w))) {
		if (d[1] == INTERFACE && is_complete(w))
			break;
		on_descriptor(w, d, d[0]);
	}
	if (!is_complete(w))
		return false;
	*ret = w->at;
	return true;
}

/* The configuration at the cursor, which moves behind it; its number, or -1: no more of them. */
static int next_configuration(struct cursor *c, struct walk *w, struct cursor *ret_body)
{
	const uint8_t *d = c->data + c->pos;
	const size_t left = cursor_left(c);
	size_t total;

	if (left == 0)
		return -1;
	if (left < CONFIGURATION_SIZE || d[0] < CONFIGURATION_SIZE || d[1] != CONFIGURATION) {
		w->at.flaws++;
		return -1;
	}
	total = (size_t)(d[2] | d[3] << 8);
	if (total > left || total < d[0]) {
		w->at.flaws++;
		total = left;
	}
	*ret_body = cursor_sub(c, total);
	cursor_skip(ret_body, d[0]);
	return d[5];
}

static int choose(struct walk *w, const uint8_t *descriptors, size_t len, uint8_t configuration,
		  struct usb_interface_choice *ret)
{
	struct cursor c, body;
	int value;

	assert(descriptors || len == 0);
	if (len < DEVICE_SIZE || descriptors[0] != DEVICE_SIZE)
		return -EMSGSIZE;
	if (descriptors[1] != DEVICE)
		return -EBADMSG;
	w->device_is_healthcare = descriptors[4] == PHDC_CLASS;
	c = cursor_of(descriptors, len);
	cursor_skip(&c, DEVICE_SIZE);
	while ((value = next_configuration(&c, w, &body)) >= 0) {
		if (configuration != 0 && value != configuration)
			continue;
		w->at.configuration = (uint8_t)value;
		if (!cursor_ok(&body))
			w->at.flaws++;
		else if (choose_in(w, body, ret))
			return 0;
		break;
	}
	return w->at.flaws > 0 ? -EBADMSG : -ENOMSG;
}

int phdc_choose(const uint8_t *descriptors, size_t len, uint8_t configuration,
		struct usb_interface_choice *ret)
{
	struct walk w = { .healthcare = true, .number = -1 };

	return choose(&w, descriptors, len, configuration, ret);
}

int usb_choose_bulk(const uint8_t *descriptors, size_t len, uint8_t configuration, int interface,
		    struct usb_interface_choice *ret)
{
	struct walk w = { .number = interface };

	return choose(&w, descriptors, len, configuration, ret);
}

int usb_choose_pair(const uint8_t *descriptors, size_t len, uint8_t configuration, int interface,
		    struct usb_interface_choice *ret)
{
	struct walk w = { .number = interface, .pair = true };

	return choose(&w, descriptors, len, configuration, ret);
}
