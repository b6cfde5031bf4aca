#include "protocols/capture/hci.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocols/bytes/cursor.h"
#include "protocols/capture/hci_format.h"

/* Events and LE subevents, Core 5.4 vol 4 part E 7.7 */
#define EVENT_DISCONNECTION 0x05
#define EVENT_COMMAND_DONE  0x0e
#define EVENT_LE            0x3e
#define LE_CONNECTION       0x01
#define LE_ADVERTISING      0x02
#define LE_CONNECTION_ENH   0x0a
#define LE_ADVERTISING_EXT  0x0d
#define COMMAND_RESET       0x0c03
#define ACL_CONTINUATION    1 /* packet boundary flag */
#define ACL_FIRST_RECEIVED  2
#define CID_ATT             4
#define L2CAP_HEADER        4
#define HANDLE_MASK         0x0fff

/* Advertising data types, Assigned Numbers 2.3 */
#define AD_SERVICES_SOME 0x02
#define AD_SERVICES      0x03
#define AD_NAME_SHORT    0x08
#define AD_NAME          0x09
#define AD_SERVICE_DATA  0x16
#define AD_MANUFACTURER  0xff

enum direction {
	SENT = 0,
	RECEIVED = 1
};

static int fail(struct hci *h, int r, const char *problem)
{
	h->problem = problem;
	return r;
}

/* ---- devices ---- */

static struct hci_device *find_device(struct hci *h, uint16_t adapter, const uint8_t address[7])
{
	for (size_t i = 0; i < HCI_DEVICES_MAX; i++) {
		struct hci_device *d = &h->devices[i];

		if (d->used && d->has_address && d->adapter == adapter &&
		    memcmp(d->address, address, sizeof(d->address)) == 0)
			return d;
	}
	return NULL;
}

static bool device_in_use(const struct hci *h, size_t index)
{
	for (size_t i = 0; i < HCI_LINKS_MAX; i++) {
		if (h->links[i].used && h->links[i].device == index)
			return true;
	}
	return false;
}

/* There are more devices than links, so one is always free to be forgotten. */
static struct hci_device *new_device(struct hci *h)
{
	struct hci_device *oldest = NULL;

	for (size_t i = 0; i < HCI_DEVICES_MAX; i++) {
		struct hci_device *d = &h->devices[i];

		if (!d->used) {
			oldest = d;
			break;
		}
		if (!device_in_use(h, i) && (!oldest || d->touched < oldest->touched))
			oldest = d;
	}
	assert(oldest);
	*oldest = (struct hci_device){ .used = true, .touched = ++h->touch };
	return oldest;
}

/* address NULL: a connection that began before the capture */
static struct hci_device *get_device(struct hci *h, uint16_t adapter, const uint8_t *address)
{
	struct hci_device *d = address ? find_device(h, adapter, address) : NULL;

	if (!d) {
		d = new_device(h);
		d->adapter = adapter;
		if (address) {
			d->has_address = true;
			memcpy(d->address, address, sizeof(d->address));
		}
	}
	d->touched = ++h->touch;
	return d;
}

/* Services that every device has: they tell nothing about what it is. */
static bool is_generic_service(uint16_t service)
{
	return service == 0x1800 || service == 0x1801 || service == 0x180a || service == 0x180f ||
	       service == 0x1805;
}

void hci_learn_service(struct hci_device *d, uint16_t service)
{
	if (d->service == 0 && !is_generic_service(service))
		d->service = service;
}

void hci_learn_name(struct hci_device *d, const uint8_t *name, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < sizeof(d->name) - 1 && name[i] != 0; i++)
		d->name[n++] = (char)name[i];
	d->name[n] = '\0';
}

/* ---- links ---- */

void hci_emit(struct hci *h, struct hci_link *l, struct cap_event *e)
{
	e->at_us = h->now;
	e->link = l->id;
	if (!l->opened) {
		const struct hci_device *d = &h->devices[l->device];
		struct cap_event open = { .kind = CAP_OPEN, .at_us = h->now, .link = l->id };

		/* before the discovery nobody could tell what this is */
		if (d->service == 0 && (e->kind != CAP_FRAME || e->channel == HCI_UUID_DEVICE_NAME))
			return;

		memcpy(open.open.bus, "ble", sizeof("ble"));
		open.open.service = d->service;
		open.open.company = d->company;
		memcpy(open.open.name, d->name, sizeof(open.open.name));
		l->opened = true;
		h->event(h->user, &open);
	}
	h->event(h->user, e);
}

static void close_link(struct hci *h, struct hci_link *l)
{
	struct cap_event e = { .kind = CAP_CLOSE };

	hci_att_flush(h, l);
	if (l->opened)
		hci_emit(h, l, &e);
	l->used = false;
}

static struct hci_link *find_link(struct hci *h, uint16_t adapter, uint16_t handle)
{
	for (size_t i = 0; i < HCI_LINKS_MAX; i++) {
		struct hci_link *l = &h->links[i];

		if (l->used && l->adapter == adapter && l->handle == handle)
			return l;
	}
	return NULL;
}

static struct hci_link *new_link(struct hci *h, uint16_t adapter, uint16_t handle,
				 const uint8_t *address)
{
	struct hci_link *l = &h->links[0];

	for (size_t i = 0; i < HCI_LINKS_MAX && l->used; i++) {
		if (!h->links[i].used || h->links[i].touched < l->touched)
			l = &h->links[i];
	}
	if (l->used)
		close_link(h, l);
	l->opened = false;
	l->device = (size_t)(get_device(h, adapter, address) - h->devices);
	l->used = true;
	l->adapter = adapter;
	l->handle = handle;
	l->id = h->next_id++;
	l->touched = ++h->touch;
	for (size_t i = 0; i < 2; i++)
		l->sdu[i].wanted = l->sdu[i].have = 0;
	l->mtu = HCI_ATT_MTU_DEFAULT;
	l->mtu_asked = 0;
	l->request = 0;
	l->request_handle = l->request_type = l->request_value = 0;
	l->indicated = l->value_handle = 0;
	l->value_len = 0;
	return l;
}

/* ---- events ---- */

static void on_connection(struct hci *h, uint16_t adapter, struct cursor *c)
{
	const uint8_t status = cursor_u8(c);
	const uint16_t handle = cursor_le16(c) & HANDLE_MASK;
	const uint8_t *address;
	struct hci_link *old;

	cursor_skip(c, 1); /* role: a sensor may be either */
	address = cursor_bytes(c, 7);
	if (!address || status != 0)
		return;
	old = find_link(h, adapter, handle);
	if (old)
		close_link(h, old); /* its disconnection is missing from the capture */
	(void)new_link(h, adapter, handle, address);
}

static void on_disconnection(struct hci *h, uint16_t adapter, struct cursor *c)
{
	const uint8_t status = cursor_u8(c);
	const uint16_t handle = cursor_le16(c) & HANDLE_MASK;
	struct hci_link *l = cursor_ok(c) && status == 0 ? find_link(h, adapter, handle) : NULL;

	if (l)
		close_link(h, l);
}

/* a reset ends every connection without telling each of them */
static void on_command_done(struct hci *h, uint16_t adapter, struct cursor *c)
{
	cursor_skip(c, 1);
	if (cursor_le16(c) != COMMAND_RESET || !cursor_ok(c))
		return;
	for (size_t i = 0; i < HCI_LINKS_MAX; i++) {
		if (h->links[i].used && h->links[i].adapter == adapter)
			close_link(h, &h->links[i]);
	}
}

static void learn_advert(struct hci_device *d, struct cursor *data)
{
	while (cursor_left(data) > 1) {
		struct cursor field = cursor_sub(data, cursor_u8(data));
		const uint8_t type = cursor_u8(&field);

		if (!cursor_ok(&field))
			continue; /* a length of zero is padding */
		if (type == AD_NAME || (type == AD_NAME_SHORT && d->name[0] == '\0'))
			hci_learn_name(d, field.data + field.pos, cursor_left(&field));
		if (type == AD_SERVICE_DATA && cursor_left(&field) >= 2)
			hci_learn_service(d, cursor_le16(&field));
		if (type == AD_MANUFACTURER && cursor_left(&field) >= 2)
			d->company = cursor_le16(&field);
		if (type != AD_SERVICES && type != AD_SERVICES_SOME)
			continue;
		while (cursor_left(&field) >= 2)
			hci_learn_service(d, cursor_le16(&field));
	}
}

/* legacy reports; several in one event are laid out one after the other by every controller */
static void on_advertising(struct hci *h, uint16_t adapter, struct cursor *c)
{
	for (uint8_t n = cursor_u8(c); n > 0 && cursor_ok(c); n--) {
		const uint8_t *address;
		struct cursor data;

		cursor_skip(c, 1); /* event type */
		address = cursor_bytes(c, 7);
		data = cursor_sub(c, cursor_u8(c));
		cursor_skip(c, 1); /* signal strength */
		if (address && cursor_ok(&data))
			learn_advert(get_device(h, adapter, address), &data);
	}
}

static void on_advertising_ext(struct hci *h, uint16_t adapter, struct cursor *c)
{
	for (uint8_t n = cursor_u8(c); n > 0 && cursor_ok(c); n--) {
		const uint8_t *address;
		struct cursor data;

		cursor_skip(c, 2); /* event type */
		address = cursor_bytes(c, 7);
		cursor_skip(c, 1 + 1 + 1 + 1 + 1 + 2 + 7); /* PHYs, set, powers, interval, target */
		data = cursor_sub(c, cursor_u8(c));
		if (address && cursor_ok(&data))
			learn_advert(get_device(h, adapter, address), &data);
	}
}

static void on_le_event(struct hci *h, uint16_t adapter, struct cursor *c)
{
	switch (cursor_u8(c)) {
	case LE_CONNECTION:
	case LE_CONNECTION_ENH: /* the same up to the address */
		on_connection(h, adapter, c);
		break;
	case LE_ADVERTISING:
		on_advertising(h, adapter, c);
		break;
	case LE_ADVERTISING_EXT:
		on_advertising_ext(h, adapter, c);
		break;
	default:
		break;
	}
}

static int on_event(struct hci *h, const struct packet *packet)
{
	struct cursor c = cursor_of(packet->data, packet->len);
	const uint8_t code = cursor_u8(&c), len = cursor_u8(&c);

	if (!cursor_ok(&c) || cursor_left(&c) != len)
		return packet->cut ? 0
				   : fail(h, -EBADMSG, "an event of another length than it says");
	switch (code) {
	case EVENT_DISCONNECTION:
		on_disconnection(h, packet->adapter, &c);
		break;
	case EVENT_COMMAND_DONE:
		on_command_done(h, packet->adapter, &c);
		break;
	case EVENT_LE:
		on_le_event(h, packet->adapter, &c);
		break;
	default:
		break;
	}
	return 0;
}

/* ---- data ---- */

/* where a capture says nothing: the host marks its first fragments otherwise than the controller,
 * and a continuation belongs to what was begun last */
static enum direction direction_of(const struct packet *packet, const struct hci_link *l,
				   unsigned int boundary)
{
	if (packet->direction != PACKET_DIRECTION_UNKNOWN)
		return packet->direction == PACKET_RECEIVED ? RECEIVED : SENT;
	if (boundary == ACL_CONTINUATION)
		return l && l->sdu[RECEIVED].wanted != 0 ? RECEIVED : SENT;
	return boundary == ACL_FIRST_RECEIVED ? RECEIVED : SENT;
}

static int begin_sdu(struct hci *h, struct hci_sdu *sdu, struct cursor c)
{
	const uint16_t len = cursor_le16(&c), cid = cursor_le16(&c);

	sdu->wanted = sdu->have = 0;
	if (!cursor_ok(&c))
		return fail(h, -EBADMSG, "a first fragment without L2CAP header");
	sdu->skip = cid != CID_ATT;
	if (!sdu->skip && len > HCI_ATT_MAX)
		return fail(h, -EMSGSIZE, "an ATT packet longer than 1024 bytes");
	if (len > UINT16_MAX - L2CAP_HEADER)
		return 0; /* no channel of ours; its continuations find nothing begun */
	sdu->wanted = (uint16_t)(L2CAP_HEADER + len);
	return 0;
}

static int add_fragment(struct hci *h, struct hci_link *l, enum direction direction,
			const struct cursor *c)
{
	struct hci_sdu *sdu = &l->sdu[direction];
	const size_t n = cursor_left(c);

	if (sdu->wanted == 0)
		return 0; /* its beginning is not in the capture */
	if (n > (size_t)(sdu->wanted - sdu->have)) {
		sdu->wanted = 0;
		return fail(h, -EBADMSG, "fragments longer than their L2CAP packet");
	}
	if (!sdu->skip && n > 0)
		memcpy(sdu->data + sdu->have, c->data + c->pos, n);
	sdu->have = (uint16_t)(sdu->have + n);
	if (sdu->have < sdu->wanted)
		return 0;
	sdu->wanted = 0;
	if (sdu->skip)
		return 0;
	return hci_att_packet(h, l, direction == RECEIVED, sdu->data + L2CAP_HEADER,
			      (size_t)sdu->have - L2CAP_HEADER);
}

/* ATT exists on LE connections only, so it proves one that began before the capture did */
static bool is_att(struct cursor c)
{
	cursor_skip(&c, 2);
	return cursor_le16(&c) == CID_ATT && cursor_ok(&c);
}

static int on_acl(struct hci *h, const struct packet *packet)
{
	struct cursor c = cursor_of(packet->data, packet->len);
	const uint16_t first = cursor_le16(&c), len = cursor_le16(&c);
	const unsigned int boundary = (first >> 12) & 3;
	struct hci_link *l = find_link(h, packet->adapter, first & HANDLE_MASK);
	enum direction direction;
	int r;

	if (!cursor_ok(&c) || cursor_left(&c) > len || (cursor_left(&c) < len && !packet->cut))
		return fail(h, -EBADMSG, "ACL data of another length than it says");
	if (!l) {
		if (boundary == ACL_CONTINUATION || !is_att(c))
			return 0;
		l = new_link(h, packet->adapter, first & HANDLE_MASK, NULL);
	}
	l->touched = ++h->touch;
	direction = direction_of(packet, l, boundary);
	if (boundary != ACL_CONTINUATION) {
		r = begin_sdu(h, &l->sdu[direction], c);
		if (r < 0)
			return r;
	}
	if (cursor_left(&c) < len) { /* what is missing cannot be put together */
		if (l->sdu[direction].wanted != 0 && !l->sdu[direction].skip)
			return fail(h, -EBADMSG, "ATT data cut short by the capturing tool");
		l->sdu[direction].wanted = 0;
		return 0;
	}
	return add_fragment(h, l, direction, &c);
}

void hci_init(struct hci *h, void (*event)(void *user, const struct cap_event *event), void *user)
{
	*h = (struct hci){ .event = event, .user = user };
}

int hci_add_handle(struct hci *h, struct hci_handle handle)
{
	if (h->n_fixed == HCI_FIXED_MAX)
		return -ENOBUFS;
	h->fixed[h->n_fixed++] = handle;
	return 0;
}

int hci_packet(struct hci *h, const struct packet *packet)
{
	h->now = packet->at_us > h->now ? packet->at_us : h->now;
	if (packet->type == PACKET_EVENT)
		return on_event(h, packet);
	return packet->type == PACKET_ACL ? on_acl(h, packet) : 0;
}

void hci_finish(struct hci *h)
{
	for (size_t i = 0; i < HCI_LINKS_MAX; i++) {
		if (h->links[i].used)
			close_link(h, &h->links[i]);
	}
}
