#include "tests/lab/usb/device.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/cleanup.h"

#define HOLD       (USB_SECOND / 5)
#define ANSWER_MAX 4096
#define LOGGED_MAX 64
#define LANGUAGE   0x0409
#define SELF_POWER 1

/* bRequest, USB 2.0 table 9-4 */
enum request {
	GET_STATUS = 0,
	CLEAR_FEATURE = 1,
	SET_FEATURE = 3,
	GET_DESCRIPTOR = 6,
	GET_CONFIGURATION = 8,
	SET_CONFIGURATION = 9,
	GET_INTERFACE = 10,
	SET_INTERFACE = 11,
};

enum descriptor {
	DESCRIPTOR_DEVICE = 1,
	DESCRIPTOR_CONFIGURATION = 2,
	DESCRIPTOR_STRING = 3,
	DESCRIPTOR_ENDPOINT = 5,
	DESCRIPTOR_REPORT = 0x22,
};

#define TYPE_CLASS_OR_VENDOR 0x60
#define TO_ENDPOINT          0x02
#define BULK                 2 /* bmAttributes */
#define HID_SET_IDLE         0x0a

struct usb_packet {
	struct usb_packet *next;
	size_t len;
	uint8_t data[];
};

/* a request of the host that is not answered yet */
struct usb_waiting {
	struct usb_waiting *next;
	struct usbip_request request;
	size_t have; /* of an IN transfer: bytes in buffer */
	uint8_t buffer[];
};

/* ---- the log ---- */

int64_t usb_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * USB_SECOND + t.tv_nsec / 1000;
}

static void log_head(const struct usb_device *d)
{
	const int64_t now = usb_now();

	(void)fprintf(d->log, "%lld.%06lld %u %s ", (long long)(now / USB_SECOND),
		      (long long)(now % USB_SECOND), d->index, d->model->name);
}

void usb_log(const struct usb_device *d, const char *format, ...)
{
	va_list args;

	log_head(d);
	va_start(args, format);
	(void)vfprintf(d->log, format, args);
	va_end(args);
	(void)fputc('\n', d->log);
	(void)fflush(d->log);
}

void usb_log_bytes(const struct usb_device *d, const char *text, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	log_head(d);
	(void)fprintf(d->log, "%s ", text);
	for (size_t i = 0; i < len && i < LOGGED_MAX; i++)
		(void)fprintf(d->log, "%02x", bytes[i]);
	(void)fputs(len > LOGGED_MAX ? "...\n" : "\n", d->log);
	(void)fflush(d->log);
}

/* ---- endpoints ---- */

static struct usb_endpoint *endpoint_of(struct usb_device *d, uint8_t address)
{
	return (address & USB_IN ? d->in : d->out) + (address & 0x0f);
}

static void drop_packets(struct usb_endpoint *e)
{
	while (e->first) {
		struct usb_packet *const next = e->first->next;

		free(e->first);
		e->first = next;
	}
	e->last = NULL;
	e->held = 0;
}

/* all endpoints of the configuration as they are after SET_CONFIGURATION */
static void reset_endpoints(struct usb_device *d)
{
	const struct usb_bytes c = d->model->configuration;

	for (size_t i = 0; i < USB_ENDPOINTS; i++) {
		drop_packets(&d->in[i]);
		d->in[i] = d->out[i] = (struct usb_endpoint){ 0 };
	}
	for (size_t at = 0; at + 1 < c.len && c.data[at] > 1; at += c.data[at]) {
		struct usb_endpoint *const e = endpoint_of(d, c.data[at + 2]);

		if (c.data[at + 1] != DESCRIPTOR_ENDPOINT)
			continue;
		e->bulk = (c.data[at + 3] & 3) == BULK;
		e->largest = (uint16_t)(c.data[at + 4] | c.data[at + 5] << 8);
	}
}

static void push_packet(struct usb_endpoint *e, const uint8_t *data, size_t len)
{
	struct usb_packet *p = calloc(1, sizeof(*p) + len);

	if (!p)
		abort(); /* a simulator that lies by omission is worse than none */
	p->len = len;
	if (len > 0)
		memcpy(p->data, data, len);
	if (e->last)
		e->last->next = p;
	else
		e->first = p;
	e->last = p;
}

/* fills the last packet up first, if that has not ended its transfer */
static void push_bytes(struct usb_endpoint *e, const uint8_t *data, size_t len, size_t largest)
{
	uint8_t packet[USB_PACKET_MAX];
	size_t have = 0;

	assert(largest > 0 && largest <= sizeof(packet));
	if (e->held > 0 && e->last && e->last->len < largest) {
		struct usb_packet *p = e->first, *before = NULL;

		have = e->last->len;
		memcpy(packet, e->last->data, have);
		for (; p != e->last; p = p->next)
			before = p;
		free(p);
		e->last = before;
		if (before)
			before->next = NULL;
		else
			e->first = NULL;
	}
	while (have + len > 0) {
		const size_t more = len < largest - have ? len : largest - have;

		if (more > 0)
			memcpy(packet + have, data, more);
		push_packet(e, packet, have + more);
		data += more;
		len -= more;
		have = 0;
	}
}

/* what was held back may go */
static void let_go(struct usb_device *d, struct usb_endpoint *e)
{
	const bool full = e->held > 0 && e->last && e->last->len == e->largest;

	if (full && e->bulk && !d->fault[USB_FAULT_NO_ZERO])
		push_packet(e, NULL, 0);
	e->held = 0;
}

void usb_send(struct usb_device *d, uint8_t endpoint, const void *data, size_t len)
{
	struct usb_endpoint *const e = endpoint_of(d, endpoint);
	const unsigned int cut = d->fault[USB_FAULT_SHORT];

	if (e->largest == 0 || d->plug.fd < 0)
		return; /* not configured: a device loses what it says to nobody */
	push_bytes(e, data, len, cut > 0 && cut < e->largest ? cut : e->largest);
	e->held++;
	if (e->held >= d->fault[USB_FAULT_COALESCE])
		let_go(d, e);
	else if (d->flush_due == USB_NEVER)
		d->flush_due = usb_now() + HOLD;
}

void usb_drop(struct usb_device *d, uint8_t endpoint)
{
	drop_packets(endpoint_of(d, endpoint));
}

bool usb_all_fetched(const struct usb_device *d, uint8_t endpoint)
{
	return d->in[endpoint & 0x0f].first == NULL;
}

void usb_timer(struct usb_device *d, int64_t in)
{
	d->due = in == USB_NEVER ? USB_NEVER : usb_now() + in;
}

/* ---- plug and cable ---- */

static void drop_waiting(struct usb_device *d)
{
	while (d->first) {
		struct usb_waiting *const next = d->first->next;

		free(d->first->request.data);
		free(d->first);
		d->first = next;
	}
}

int usb_plug_in(struct usb_device *d)
{
	int r;

	if (d->plug.fd >= 0)
		return -EALREADY;
	r = usbip_plug_in(d->model->speed, &d->plug);
	if (r < 0)
		return r;
	d->transfers = 0;
	d->configuration = 0;
	usb_log(d, "plugged %u", d->plug.port);
	return 0;
}

void usb_unplug(struct usb_device *d)
{
	if (d->plug.fd < 0)
		return;
	usbip_pull(&d->plug);
	drop_waiting(d);
	reset_endpoints(d);
	d->configuration = 0;
	d->cut_at = 0;
	d->due = d->flush_due = USB_NEVER;
	usb_log(d, "unplugged after %u", d->transfers);
	if (d->model->unplugged)
		d->model->unplugged(d);
}

/* ---- answers ---- */

static void finish(struct usb_device *d, const struct usbip_request *request, int status,
		   const void *data, size_t len)
{
	if (usbip_answer(&d->plug, request->sequence, status, data, len) < 0)
		usb_unplug(d);
}

/* A transfer that counts takes place; false: it does not, the cable is out. */
static bool may_pass(struct usb_device *d)
{
	d->transfers++;
	if (d->transfers != d->cut_at || d->cut_after)
		return true;
	usb_log(d, "cut before %u", d->transfers);
	usb_unplug(d);
	return false;
}

static void has_passed(struct usb_device *d)
{
	if (d->transfers != d->cut_at || !d->cut_after)
		return;
	usb_log(d, "cut after %u", d->transfers);
	usb_unplug(d);
}

static bool is_refused(struct usb_device *d, struct usb_endpoint *e, uint8_t address)
{
	if (!e->halted && d->fault[USB_FAULT_STALL] > 0) {
		d->fault[USB_FAULT_STALL]--;
		e->halted = true;
		usb_log(d, "fault stall %02x", address);
	}
	return e->halted;
}

static bool is_mute(const struct usb_device *d)
{
	return d->fault[USB_FAULT_MUTE] || d->fault[USB_FAULT_SILENT];
}

/* ---- endpoint 0 ---- */

static int copy_out(const uint8_t *from, size_t len, const struct usb_setup *setup, uint8_t *data)
{
	const size_t n = len < setup->length ? len : setup->length;

	memcpy(data, from, n);
	return (int)n;
}

static int string_descriptor(const struct usb_device *d, const struct usb_setup *setup,
			     uint8_t *data)
{
	const uint8_t index = (uint8_t)setup->value;
	uint8_t descriptor[2 + 2 * USB_STRING_MAX] = { 4, DESCRIPTOR_STRING, LANGUAGE & 0xff,
						       LANGUAGE >> 8 };
	const char *text;

	if (index == 0)
		return copy_out(descriptor, descriptor[0], setup, data);
	if (index >= USB_STRINGS)
		return USB_STALL;
	text = index == USB_STRINGS - 1 ? d->serial : d->model->strings[index];
	if (!text || !*text)
		return USB_STALL;
	descriptor[0] = 2;
	for (; *text; text++) {
		descriptor[descriptor[0]++] = (uint8_t)*text;
		descriptor[descriptor[0]++] = 0;
	}
	return copy_out(descriptor, descriptor[0], setup, data);
}

static int get_descriptor(const struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	const struct usb_model *const m = d->model;
	uint8_t device[18];

	switch (setup->value >> 8) {
	case DESCRIPTOR_DEVICE:
		assert(m->device.len == sizeof(device));
		memcpy(device, m->device.data, sizeof(device));
		device[16] = d->serial[0] ? USB_STRINGS - 1 : 0;
		return copy_out(device, sizeof(device), setup, data);
	case DESCRIPTOR_CONFIGURATION:
		return copy_out(m->configuration.data, m->configuration.len, setup, data);
	case DESCRIPTOR_STRING:
		return string_descriptor(d, setup, data);
	case DESCRIPTOR_REPORT:
		return m->report.len ? copy_out(m->report.data, m->report.len, setup, data)
				     : USB_STALL;
	default:
		return USB_STALL;
	}
}

static int set_configuration(struct usb_device *d, uint8_t value)
{
	reset_endpoints(d);
	d->configuration = value;
	usb_log(d, "configured %u", value);
	if (value != 0)
		d->model->configured(d);
	return 0;
}

static int set_halt(struct usb_device *d, const struct usb_setup *setup, bool halt)
{
	struct usb_endpoint *const e = endpoint_of(d, (uint8_t)setup->index);

	if ((setup->type & 0x1f) != TO_ENDPOINT)
		return 0; /* remote wakeup, for instance: nothing to do */
	if (e->largest == 0 || setup->value != 0)
		return USB_STALL;
	e->halted = halt;
	usb_log(d, "halt %s %02x", halt ? "set" : "cleared", setup->index);
	return 0;
}

static int get_status(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	uint8_t status[2] = { 0, 0 };

	if ((setup->type & 0x1f) == TO_ENDPOINT)
		status[0] = endpoint_of(d, (uint8_t)setup->index)->halted;
	else if ((setup->type & 0x1f) == 0)
		status[0] = SELF_POWER;
	return copy_out(status, sizeof(status), setup, data);
}

static int standard(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	switch (setup->request) {
	case GET_STATUS:
		return get_status(d, setup, data);
	case CLEAR_FEATURE:
	case SET_FEATURE:
		return set_halt(d, setup, setup->request == SET_FEATURE);
	case GET_DESCRIPTOR:
		return get_descriptor(d, setup, data);
	case GET_CONFIGURATION:
		return copy_out(&d->configuration, 1, setup, data);
	case SET_CONFIGURATION:
		return set_configuration(d, (uint8_t)setup->value);
	case GET_INTERFACE:
		return copy_out((const uint8_t[]){ 0 }, 1, setup, data);
	case SET_INTERFACE:
		return setup->value == 0 ? 0 : USB_STALL;
	default:
		return USB_STALL;
	}
}

static int special(struct usb_device *d, const struct usb_setup *setup, uint8_t *data)
{
	int r = d->model->control ? d->model->control(d, setup, data) : USB_STALL;

	if (r == USB_STALL && d->model->report.len && setup->request == HID_SET_IDLE)
		return 0; /* the kernel asks every HID device for it, and goes on without */
	if (r == USB_STALL)
		usb_log(d, "request refused %02x %02x %04x %04x %u", setup->type, setup->request,
			setup->value, setup->index, setup->length);
	return r;
}

static void control(struct usb_device *d, const struct usbip_request *request)
{
	const uint8_t *const s = request->setup;
	const struct usb_setup setup = {
		.type = s[0],
		.request = s[1],
		.value = (uint16_t)(s[2] | s[3] << 8),
		.index = (uint16_t)(s[4] | s[5] << 8),
		.length = (uint16_t)(s[6] | s[7] << 8),
	};
	const bool counts = (setup.type & TYPE_CLASS_OR_VENDOR) && setup.request != HID_SET_IDLE;
	uint8_t data[65536];
	int r;

	if (counts && !may_pass(d))
		return;
	if (!(setup.type & USB_IN) && request->len != setup.length) {
		finish(d, request, -EPROTO, NULL, 0);
		return;
	}
	if (request->data)
		memcpy(data, request->data, setup.length);
	r = setup.type & TYPE_CLASS_OR_VENDOR ? special(d, &setup, data)
					      : standard(d, &setup, data);
	if (r < 0)
		finish(d, request, r, NULL, 0);
	else if (setup.type & USB_IN)
		finish(d, request, 0, data, (size_t)r);
	else
		finish(d, request, 0, NULL, request->len);
	if (counts && d->plug.fd >= 0)
		has_passed(d);
}

/* ---- the other endpoints ---- */

static bool answer_out(struct usb_device *d, const struct usbip_request *request)
{
	struct usb_endpoint *const e = endpoint_of(d, request->endpoint);

	if (e->largest == 0 || is_refused(d, e, request->endpoint)) {
		finish(d, request, -EPIPE, NULL, 0);
		return true;
	}
	if (!may_pass(d))
		return true;
	finish(d, request, 0, NULL, request->len);
	if (d->plug.fd >= 0 && d->model->out)
		d->model->out(d, request->endpoint, request->data, request->len);
	if (d->plug.fd >= 0)
		has_passed(d);
	return true;
}

static void pop_packet(struct usb_endpoint *e)
{
	struct usb_packet *const p = e->first;

	e->first = p->next;
	if (!e->first)
		e->last = NULL;
	free(p);
}

/* Packets into the buffer; true: the transfer has its end, with this status. */
static bool gather(struct usb_endpoint *e, struct usb_waiting *w, int *ret_status)
{
	while (e->first) {
		const size_t len = e->first->len, left = w->request.len - w->have;

		if (len > left) {
			memcpy(w->buffer + w->have, e->first->data, left);
			w->have = w->request.len;
			pop_packet(e);
			*ret_status = -EOVERFLOW;
			return true;
		}
		memcpy(w->buffer + w->have, e->first->data, len);
		w->have += len;
		pop_packet(e);
		*ret_status = 0;
		if (len < e->largest || w->have == w->request.len)
			return true;
	}
	return false;
}

static bool babbles(struct usb_device *d, struct usb_waiting *w)
{
	if (d->fault[USB_FAULT_BABBLE] == 0)
		return false;
	d->fault[USB_FAULT_BABBLE]--;
	usb_log(d, "fault babble %02x", w->request.endpoint);
	memset(w->buffer, 0xff, w->request.len);
	finish(d, &w->request, -EOVERFLOW, w->buffer, w->request.len);
	return true;
}

static bool answer_in(struct usb_device *d, struct usb_waiting *w)
{
	const uint8_t address = w->request.endpoint;
	struct usb_endpoint *const e = endpoint_of(d, address);
	int status;

	if (e->largest == 0 || e->halted) {
		finish(d, &w->request, -EPIPE, NULL, 0);
		return true;
	}
	if (!e->first || e->held > 0)
		return false;
	if (is_refused(d, e, address)) {
		finish(d, &w->request, -EPIPE, NULL, 0);
		return true;
	}
	if (babbles(d, w) || !may_pass(d))
		return true;
	if (!gather(e, w, &status)) {
		d->transfers--;
		return false;
	}
	finish(d, &w->request, status, w->buffer, w->have);
	if (d->plug.fd >= 0)
		has_passed(d);
	if (d->plug.fd >= 0 && !e->first && d->model->fetched)
		d->model->fetched(d, address);
	return true;
}

static bool answer(struct usb_device *d, struct usb_waiting *w)
{
	if (w->request.endpoint & 0x0f) {
		if (is_mute(d))
			return false;
		return w->request.endpoint & USB_IN ? answer_in(d, w) : answer_out(d, &w->request);
	}
	if (d->fault[USB_FAULT_SILENT])
		return false;
	control(d, &w->request);
	return true;
}

/* One request that can be answered now; false: none. */
static bool work_once(struct usb_device *d)
{
	for (struct usb_waiting **at = &d->first; *at; at = &(*at)->next) {
		struct usb_waiting *const w = *at;

		/* out of the list first: answering may end in the cable being pulled */
		*at = w->next;
		if (answer(d, w)) {
			free(w->request.data);
			free(w);
			return true;
		}
		w->next = *at;
		*at = w;
	}
	return false;
}

void usb_work(struct usb_device *d)
{
	if (d->working)
		return;
	d->working = true;
	while (d->plug.fd >= 0 && work_once(d))
		;
	d->working = false;
}

/* ---- requests ---- */

static void cancel(struct usb_device *d, const struct usbip_request *request)
{
	struct usb_waiting **at = &d->first;

	while (*at && (*at)->request.sequence != request->cancelled)
		at = &(*at)->next;
	if (*at) {
		struct usb_waiting *const w = *at;

		*at = w->next;
		/* what had come is handed over, as a real controller does */
		if (w->have > 0)
			finish(d, &w->request, -ECONNRESET, w->buffer, w->have);
		if (d->plug.fd >= 0 && usbip_answer_cancel(&d->plug, request->sequence,
							   w->have > 0 ? 0 : -ECONNRESET) < 0)
			usb_unplug(d);
		usb_log(d, "cancelled %02x", w->request.endpoint);
		free(w->request.data);
		free(w);
	} else if (usbip_answer_cancel(&d->plug, request->sequence, 0) < 0) {
		usb_unplug(d);
	}
}

static void keep(struct usb_device *d, const struct usbip_request *request)
{
	const size_t room = request->endpoint & USB_IN ? request->len : 0;
	struct usb_waiting *w = calloc(1, sizeof(*w) + room), **at = &d->first;

	if (!w)
		abort();
	w->request = *request;
	while (*at)
		at = &(*at)->next;
	*at = w;
}

void usb_read(struct usb_device *d)
{
	struct usbip_request request;
	const int r = usbip_read(&d->plug, &request);

	if (r < 0) {
		usb_log(d, "the kernel let go (%d)", r);
		usb_unplug(d);
		return;
	}
	if (request.cancels)
		cancel(d, &request);
	else
		keep(d, &request);
	usb_work(d);
}

void usb_tick(struct usb_device *d, int64_t now)
{
	if (d->flush_due <= now) {
		d->flush_due = USB_NEVER;
		for (size_t i = 0; i < USB_ENDPOINTS; i++)
			let_go(d, &d->in[i]);
	}
	if (d->due <= now) {
		d->due = USB_NEVER;
		if (d->model->timer)
			d->model->timer(d);
	}
	usb_work(d);
}

int64_t usb_next(const struct usb_device *d)
{
	return d->due < d->flush_due ? d->due : d->flush_due;
}

unsigned int usb_waiting(const struct usb_device *d)
{
	unsigned int n = 0;

	for (const struct usb_waiting *w = d->first; w; w = w->next)
		n++;
	return n;
}

/* ---- life ---- */

void usb_device_init(struct usb_device *d, const struct usb_model *model, unsigned int index,
		     FILE *log)
{
	*d = (struct usb_device){
		.model = model,
		.index = index,
		.log = log,
		.plug = { .fd = -1 },
		.due = USB_NEVER,
		.flush_due = USB_NEVER,
	};
	if (model->strings[USB_STRINGS - 1])
		(void)snprintf(d->serial, sizeof(d->serial), "%s%04u",
			       model->strings[USB_STRINGS - 1], index);
}

int usb_device_open(struct usb_device *d)
{
	d->state = calloc(1, d->model->state_size);
	if (!d->state)
		return -ENOMEM;
	usb_log(d, "added");
	if (d->model->born)
		d->model->born(d);
	return 0;
}

void usb_device_close(struct usb_device *d)
{
	usb_unplug(d);
	free(d->state);
	d->state = NULL;
}
