/* The clinic view: devices, loans, sessions, held readings, how the box is. Staff look here; what
 * they change is said with `wellgate` at the box. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli/format.h"
#include "gateway/page/view.h"

static void begin_table(struct html *h, enum words_id heading, const enum words_id *columns,
			size_t n)
{
	html_say(h, "h2", heading, NULL);
	html_raw(h, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
	html_words(h, heading);
	html_raw(h, "\"><table class=\"nhsuk-table\"><thead><tr>");
	for (size_t i = 0; i < n; i++)
		html_say(h, "th scope=\"col\"", columns[i], NULL);
	html_raw(h, "</tr></thead><tbody>\n");
}

static void end_table(struct html *h, size_t rows)
{
	html_raw(h, "</tbody></table></div>\n");
	if (rows == 0)
		html_say(h, "p", WORDS_PAGE_NOTHING, NULL);
}

static void cell_time(struct html *h, bool has, int64_t ms)
{
	char text[FORMAT_TIME_MAX] = "";

	if (has)
		format_utc(text, ms);
	if (has)
		text[16] = '\0'; /* to the minute */
	html_element(h, "td", text);
}

/* the beginning of a digest, as `wellgate devices` has it */
static void cell_hex(struct html *h, const ProtobufCBinaryData *bytes)
{
	char text[9] = "";

	if (bytes->len >= 4)
		format_hex(text, bytes->data, 4);
	html_element(h, "td", text);
}

static void show_devices(struct html *h, const Wellgate__V1__Reply *reply)
{
	static const enum words_id columns[] = { WORDS_PAGE_DEVICE, WORDS_PAGE_REFERENCE,
						 WORDS_PAGE_READINGS, WORDS_PAGE_LAST_SEEN };
	const ProtobufCBinaryData none = { 0 };

	begin_table(h, WORDS_PAGE_DEVICES, columns, 4);
	for (size_t i = 0; i < reply->n_devices; i++) {
		const Wellgate__V1__DeviceInfo *d = reply->devices[i];
		const Wellgate__V1__DeviceRef *ref = d->device;
		char name[160] = "", number[24];

		if (ref)
			(void)snprintf(name, sizeof(name), "%.60s %.60s",
				       ref->make ? ref->make : "",
				       ref->model    ? ref->model
				       : ref->driver ? ref->driver
						     : "");
		(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)d->readings);
		html_raw(h, "<tr>");
		html_element(h, "td", name);
		cell_hex(h, ref && ref->has_serial_digest ? &ref->serial_digest : &none);
		html_element(h, "td", number);
		cell_time(h, d->has_last_seen_ms, d->last_seen_ms);
		html_raw(h, "</tr>\n");
	}
	end_table(h, reply->n_devices);
}

static void show_loans(struct html *h, const Wellgate__V1__DeskReply *desk)
{
	static const enum words_id columns[] = { WORDS_PAGE_DEVICE, WORDS_PAGE_REFERENCE,
						 WORDS_PAGE_STATE, WORDS_PAGE_FROM };
	const size_t n = desk ? desk->n_loans : 0;

	begin_table(h, WORDS_PAGE_LOANS, columns, 4);
	for (size_t i = 0; i < n; i++) {
		const Wellgate__V1__DeskReply__Loan *l = desk->loans[i];

		html_raw(h, "<tr>");
		cell_hex(h, &l->device);
		html_element(h, "td", l->subject);
		html_say(h, "td", l->session ? WORDS_PAGE_SESSION : WORDS_PAGE_LOAN, NULL);
		cell_time(h, l->has_from_ms, l->from_ms);
		html_raw(h, "</tr>\n");
	}
	end_table(h, n);
}

/* When and which device; a value says nothing about whose it is. */
static void show_held(struct html *h, const Wellgate__V1__DeskReply *desk)
{
	static const enum words_id columns[] = { WORDS_PAGE_REFERENCE, WORDS_PAGE_WHAT,
						 WORDS_PAGE_WHEN };
	size_t n = 0;

	begin_table(h, WORDS_PAGE_HELD, columns, 3);
	for (size_t i = 0; desk && i < desk->n_held; i++) {
		const Wellgate__V1__Reading *r = desk->held[i]->reading;
		char metric[FORMAT_ENUM_MAX];

		if (!r)
			continue;
		n++;
		format_enum(metric, &wellgate__v1__metric__descriptor, (int)r->metric, "METRIC_");
		for (char *p = metric; *p; p++)
			*p = *p == '_' ? ' ' : *p;
		html_raw(h, "<tr>");
		cell_hex(h, &r->reading_id);
		html_element(h, "td", metric);
		cell_time(h, r->has_measured_at_ms, r->measured_at_ms);
		html_raw(h, "</tr>\n");
	}
	end_table(h, n);
}

static void show_findings(struct html *h, const Wellgate__V1__Reply *reply)
{
	static const enum words_id columns[] = { WORDS_PAGE_WHAT, WORDS_PAGE_TO_DO };

	begin_table(h, WORDS_PAGE_HUB, columns, 2);
	for (size_t i = 0; i < reply->n_findings; i++) {
		html_raw(h, "<tr>");
		html_element(h, "td", reply->findings[i]->what);
		html_element(h, "td", reply->findings[i]->advice);
		html_raw(h, "</tr>\n");
	}
	end_table(h, reply->n_findings);
}

enum part {
	PART_DOCTOR,
	PART_DEVICES,
	PART_LOANS,
	PART_HELD,
	PARTS
};

static int ask_all(const struct view *v, Wellgate__V1__Reply *ret[PARTS])
{
	static const char *const verbs[PARTS] = { [PART_DOCTOR] = "page-doctor",
						  [PART_DEVICES] = "page-devices",
						  [PART_LOANS] = "page-loans",
						  [PART_HELD] = "page-held" };

	for (size_t i = 0; i < PARTS; i++) {
		ret[i] = ask(&v->asker, verbs[i], NULL);
		if (!ret[i])
			return -EIO;
		if (ret[i]->code != 0)
			return ret[i]->code == ASK_NO_SESSION ? -EACCES : -EIO;
	}
	return 0;
}

int view_clinic(struct html *h, const struct view *v)
{
	Wellgate__V1__Reply *reply[PARTS] = { 0 };
	const int r = ask_all(v, reply);

	if (r == 0) {
		view_begin(h, v, WORDS_PAGE_CLINIC);
		show_findings(h, reply[PART_DOCTOR]);
		show_held(h, reply[PART_HELD]->desk);
		show_loans(h, reply[PART_LOANS]->desk);
		show_devices(h, reply[PART_DEVICES]);
		view_end(h);
	}
	for (size_t i = 0; i < PARTS; i++) {
		if (reply[i])
			wellgate__v1__reply__free_unpacked(reply[i], NULL);
	}
	return r;
}
