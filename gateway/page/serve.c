#include "gateway/page/serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "drivers/log.h"
#include "gateway/cli/format.h"
#include "gateway/page/form.h"
#include "gateway/page/style.h"
#include "gateway/page/view.h"

#define COOKIE     "wellgate"
#define KEY_BYTES  ((size_t)32)
#define COOKIE_MAX 160
#define CONTEXT    "wellgate page form"

struct serve {
	struct MHD_Daemon *daemon;
	sd_event *event;
	sd_event_source *ready, *timer;
	char *listen, *door;
	uint8_t key[KEY_BYTES]; /* of the forms; new at each start */
};

struct request {
	struct serve *s;
	struct MHD_Connection *connection;
	const char *path;
	char body[SERVE_BODY_MAX + 1];
	size_t len;
	bool too_long;
	char token[VIEW_TOKEN_TEXT]; /* of the browser */
	bool new_token;              /* it has none yet, or another from now on */
	struct view view;
};

/* ---- answers */

static void add(struct MHD_Response *response, const char *name, const char *value)
{
	(void)MHD_add_response_header(response, name, value);
}

static void add_headers(struct MHD_Response *response)
{
	add(response, "Content-Security-Policy",
	    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
	    "base-uri 'none'; frame-ancestors 'none'");
	add(response, "Referrer-Policy", "no-referrer");
	add(response, "Cache-Control", "no-store");
	add(response, "X-Content-Type-Options", "nosniff");
	add(response, "X-Frame-Options", "DENY");
	add(response, "Cross-Origin-Opener-Policy", "same-origin");
	add(response, "Cross-Origin-Resource-Policy", "same-origin");
	add(response, "Permissions-Policy", "camera=(), microphone=(), geolocation=()");
}

static enum MHD_Result queue(const struct request *q, unsigned int status,
			     struct MHD_Response *response)
{
	char cookie[COOKIE_MAX];
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	add_headers(response);
	if (q->new_token) {
		(void)snprintf(cookie, sizeof(cookie),
			       COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict", q->token);
		add(response, MHD_HTTP_HEADER_SET_COOKIE, cookie);
	}
	r = MHD_queue_response(q->connection, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result send_bytes(const struct request *q, unsigned int status, const char *type,
				  const char *data, size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)data, MHD_RESPMEM_MUST_COPY);

	if (response)
		add(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return queue(q, status, response);
}

static enum MHD_Result send_page(const struct request *q, unsigned int status, struct html *h)
{
	enum MHD_Result r;

	if (h->failed || h->len == 0)
		r = send_bytes(q, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", "", 0);
	else
		r = send_bytes(q, status, "text/html; charset=utf-8", h->data, h->len);
	html_finish(h);
	return r;
}

static enum MHD_Result send_notice(struct request *q, unsigned int status, enum words_id notice)
{
	struct html h = { 0 };

	q->view.notice = notice;
	(void)view_notice(&h, &q->view);
	return send_page(q, status, &h);
}

static enum MHD_Result send_enter(struct request *q, unsigned int status, enum words_id notice)
{
	struct html h = { 0 };

	q->view.notice = notice;
	q->view.entered = false;
	(void)view_enter(&h, &q->view);
	return send_page(q, status, &h);
}

static enum MHD_Result go_to(const struct request *q, const char *path)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

	if (response)
		add(response, MHD_HTTP_HEADER_LOCATION, path);
	return queue(q, MHD_HTTP_SEE_OTHER, response);
}

/* ---- who asks */

static void make_csrf(const struct request *q, char ret[VIEW_TOKEN_TEXT])
{
	uint8_t mac[32];
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, q->s->key, sizeof(q->s->key), sizeof(mac));
	(void)crypto_generichash_update(&state, (const uint8_t *)CONTEXT, sizeof(CONTEXT));
	(void)crypto_generichash_update(&state, (const uint8_t *)q->token, strlen(q->token));
	(void)crypto_generichash_final(&state, mac, sizeof(mac));
	format_hex(ret, mac, sizeof(mac));
}

static void use_token(struct request *q, const uint8_t token[ASK_TOKEN], bool is_new)
{
	memcpy(q->view.asker.token, token, ASK_TOKEN);
	q->view.asker.has_token = true;
	q->new_token = is_new;
	format_hex(q->token, token, ASK_TOKEN);
	make_csrf(q, q->view.csrf);
}

/* A browser without a cookie gets one that is good for nothing but its own forms. */
static void find_token(struct request *q)
{
	const char *cookie = MHD_lookup_connection_value(q->connection, MHD_COOKIE_KIND, COOKIE);
	uint8_t token[ASK_TOKEN];
	const bool known = cookie && form_hex(cookie, token, sizeof(token));

	if (!known)
		randombytes_buf(token, sizeof(token));
	use_token(q, token, !known);
}

/* false: no answer from the daemon */
static bool find_session(struct request *q)
{
	Wellgate__V1__Reply *reply = ask(&q->view.asker, "page-hub", NULL);

	if (!reply)
		return false;
	q->view.entered = reply->code == 0;
	q->view.staff = reply->code == 0 && reply->page && reply->page->staff;
	wellgate__v1__reply__free_unpacked(reply, NULL);
	return true;
}

static const char *header(const struct request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

/* A form of ours, sent by our own page. */
static bool is_our_form(const struct request *q)
{
	const char *origin = header(q, "Origin"), *site = header(q, "Sec-Fetch-Site");
	char csrf[FORM_VALUE_MAX];

	/* "null" is what a browser says that keeps its referrers to itself, as we ask it to */
	if (origin && strcmp(origin, "null") != 0 &&
	    (strncmp(origin, "http://", 7) != 0 || !form_host_is_ours(origin + 7, q->s->listen)))
		return false;
	if (site && strcmp(site, "same-origin") != 0)
		return false;
	return !q->new_token && form_value(q->body, "csrf", csrf) &&
	       strlen(csrf) == VIEW_TOKEN_TEXT - 1 &&
	       sodium_memcmp(csrf, q->view.csrf, VIEW_TOKEN_TEXT - 1) == 0;
}

/* ---- POST */

static enum MHD_Result post_enter(struct request *q)
{
	Wellgate__V1__PageCommand m = WELLGATE__V1__PAGE_COMMAND__INIT;
	char code[FORM_VALUE_MAX] = "";
	Wellgate__V1__Reply *reply;
	bool good, staff;

	(void)form_value(q->body, "code", code);
	m.code = code;
	reply = ask(&q->view.asker, "page-enter", &m);
	if (!reply)
		return send_notice(q, MHD_HTTP_SERVICE_UNAVAILABLE, WORDS_PAGE_NO_ANSWER);
	good = reply->code == 0 && reply->page && reply->page->token.len == ASK_TOKEN;
	staff = good && reply->page->staff;
	if (good)
		use_token(q, reply->page->token.data, true);
	wellgate__v1__reply__free_unpacked(reply, NULL);
	if (!good)
		return send_enter(q, MHD_HTTP_FORBIDDEN, WORDS_PAGE_NOT_CODE);
	return go_to(q, staff ? "/clinic" : "/");
}

/* the daemon's word on something that was asked for */
static enum MHD_Result after(struct request *q, Wellgate__V1__Reply *reply, const char *path)
{
	const int code = reply ? reply->code : 0;
	const bool answered = reply != NULL;

	if (reply)
		wellgate__v1__reply__free_unpacked(reply, NULL);
	if (!answered)
		return send_notice(q, MHD_HTTP_SERVICE_UNAVAILABLE, WORDS_PAGE_NO_ANSWER);
	if (code == ASK_NO_SESSION)
		return send_enter(q, MHD_HTTP_FORBIDDEN, WORDS_PAGE_SESSION_OVER);
	if (code != 0)
		return send_notice(q, MHD_HTTP_CONFLICT, WORDS_PAGE_ASK_WORKER);
	return go_to(q, path);
}

static enum MHD_Result post_leave(struct request *q)
{
	return after(q, ask(&q->view.asker, "page-leave", NULL), "/help");
}

static enum MHD_Result post_said(struct request *q)
{
	Wellgate__V1__PageCommand m = WELLGATE__V1__PAGE_COMMAND__INIT;
	char id[FORM_VALUE_MAX], me[FORM_VALUE_MAX];
	uint8_t bytes[16];

	if (!form_value(q->body, "reading", id) || !form_hex(id, bytes, sizeof(bytes)) ||
	    !form_value(q->body, "me", me) || (strcmp(me, "yes") != 0 && strcmp(me, "no") != 0))
		return send_notice(q, MHD_HTTP_BAD_REQUEST, WORDS_PAGE_NOT_TAKEN);
	m.has_reading = m.has_me = true;
	m.reading = (ProtobufCBinaryData){ sizeof(bytes), bytes };
	m.me = strcmp(me, "yes") == 0;
	return after(q, ask(&q->view.asker, "page-said", &m), "/?thanks=1");
}

static enum MHD_Result post_rest(struct request *q)
{
	Wellgate__V1__PageCommand m = WELLGATE__V1__PAGE_COMMAND__INIT;
	char goal[FORM_VALUE_MAX], rest[FORM_VALUE_MAX];

	if (!form_value(q->body, "goal", goal) || !form_value(q->body, "rest", rest) ||
	    (strcmp(rest, "yes") != 0 && strcmp(rest, "no") != 0))
		return send_notice(q, MHD_HTTP_BAD_REQUEST, WORDS_PAGE_NOT_TAKEN);
	m.goal_id = goal;
	m.has_rest = true;
	m.rest = strcmp(rest, "yes") == 0;
	return after(q, ask(&q->view.asker, "page-rest", &m), "/goals");
}

/* ---- what there is */

static const struct {
	const char *path;
	int (*view)(struct html *h, const struct view *v); /* for whoever was let in */
	bool staff;
} pages[] = {
	{ "/", view_today, false },
	{ "/goals", view_goals, false },
	{ "/box", view_box, false },
	{ "/clinic", view_clinic, true },
	{ "/readings.csv", view_export, false },
};

static const struct {
	const char *path;
	enum MHD_Result (*take)(struct request *q);
} posts[] = {
	{ "/enter", post_enter },
	{ "/leave", post_leave },
	{ "/said", post_said },
	{ "/rest", post_rest },
};

static enum MHD_Result send_csv(const struct request *q, struct html *h)
{
	struct MHD_Response *response;

	if (h->failed) {
		html_finish(h);
		return send_bytes(q, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", "", 0);
	}
	response = MHD_create_response_from_buffer(h->len, h->data, MHD_RESPMEM_MUST_COPY);
	html_finish(h);
	if (response) {
		add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/csv; charset=utf-8");
		add(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION,
		    "attachment; filename=\"readings.csv\"");
	}
	return queue(q, MHD_HTTP_OK, response);
}

static enum MHD_Result show(struct request *q, size_t i)
{
	struct html h = { 0 };
	int r;

	if (!q->view.entered)
		return send_enter(q, MHD_HTTP_OK, WORDS_NONE);
	if (q->view.staff && !pages[i].staff)
		return go_to(q, "/clinic");
	if (!q->view.staff && pages[i].staff)
		return send_notice(q, MHD_HTTP_FORBIDDEN, WORDS_PAGE_STAFF_ONLY);
	if (MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, "thanks"))
		q->view.notice = WORDS_PAGE_THANKS;
	r = pages[i].view(&h, &q->view);
	if (r == 0 && pages[i].view == view_export)
		return send_csv(q, &h);
	if (r == 0)
		return send_page(q, MHD_HTTP_OK, &h);
	html_finish(&h);
	if (r == -EACCES)
		return send_enter(q, MHD_HTTP_OK, WORDS_PAGE_SESSION_OVER);
	return send_notice(q, MHD_HTTP_SERVICE_UNAVAILABLE, WORDS_PAGE_NO_ANSWER);
}

static enum MHD_Result get(struct request *q)
{
	struct html h = { 0 };
	bool answered;

	if (strcmp(q->path, "/style.css") == 0)
		return send_bytes(q, MHD_HTTP_OK, "text/css; charset=utf-8",
				  (const char *)style_css, style_css_len);
	answered = find_session(q);
	if (strcmp(q->path, "/help") == 0) { /* also while the daemon starts again */
		(void)view_help(&h, &q->view);
		return send_page(q, MHD_HTTP_OK, &h);
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(pages[i].path, q->path) != 0)
			continue;
		return answered
			       ? show(q, i)
			       : send_notice(q, MHD_HTTP_SERVICE_UNAVAILABLE, WORDS_PAGE_NO_ANSWER);
	}
	return send_notice(q, MHD_HTTP_NOT_FOUND, WORDS_PAGE_NOT_HERE);
}

static enum MHD_Result post(struct request *q)
{
	if (q->too_long)
		return send_notice(q, MHD_HTTP_CONTENT_TOO_LARGE, WORDS_PAGE_NOT_TAKEN);
	if (!is_our_form(q))
		return send_enter(q, MHD_HTTP_FORBIDDEN, WORDS_PAGE_NOT_TAKEN);
	for (size_t i = 0; i < sizeof(posts) / sizeof(posts[0]); i++) {
		if (strcmp(posts[i].path, q->path) == 0)
			return posts[i].take(q);
	}
	return send_notice(q, MHD_HTTP_NOT_FOUND, WORDS_PAGE_NOT_HERE);
}

/* ---- libmicrohttpd */

static void take_body(struct request *q, const char *data, size_t n)
{
	if (n > SERVE_BODY_MAX - q->len || memchr(data, '\0', n)) {
		q->too_long = true;
		return;
	}
	memcpy(q->body + q->len, data, n);
	q->len += n;
}

static int64_t now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct request *new_request(struct serve *s, struct MHD_Connection *connection,
				   const char *path)
{
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->s = s;
	q->connection = connection;
	q->path = path;
	q->view.asker.path = s->door;
	q->view.now_ms = now_ms();
	find_token(q);
	return q;
}

/* the library's signature: NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **slot)
{
	struct serve *s = user;
	struct request *q = *slot;
	const bool is_post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;

	(void)version;
	if (!q) {
		*slot = new_request(s, connection, url);
		return *slot ? MHD_YES : MHD_NO;
	}
	q->path = url;
	if (*size > 0) {
		take_body(q, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (!form_host_is_ours(header(q, MHD_HTTP_HEADER_HOST), s->listen)) {
		q->new_token = false;
		return send_bytes(q, MHD_HTTP_MISDIRECTED_REQUEST, "text/plain", "", 0);
	}
	if (is_post)
		return post(q);
	if (strcmp(method, MHD_HTTP_METHOD_GET) == 0)
		return get(q);
	return send_bytes(q, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "", 0);
}

static void on_completed(void *user, struct MHD_Connection *connection, void **slot,
			 enum MHD_RequestTerminationCode how)
{
	(void)user;
	(void)connection;
	(void)how;
	if (*slot)
		sodium_memzero(*slot, sizeof(struct request));
	free(*slot);
	*slot = NULL;
}

/* What the library says holds what a browser sent: it is not logged. */
static void on_log(void *user, const char *format, va_list args)
{
	(void)user;
	(void)format;
	(void)args;
}

/* ---- the loop */

static int rearm(struct serve *s)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	uint64_t now = 0;

	if (MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	(void)sd_event_now(s->event, CLOCK_MONOTONIC, &now);
	(void)sd_event_source_set_time(s->timer, now + (uint64_t)ms * 1000);
	return sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct serve *s = user;

	(void)source;
	(void)fd;
	(void)events;
	(void)MHD_run(s->daemon);
	return rearm(s);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
	struct serve *s = user;

	(void)source;
	(void)usec;
	(void)MHD_run(s->daemon);
	return rearm(s);
}

static int listen_at(struct serve *s, const struct page_address *address)
{
	const unsigned int flags =
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG |
		(address->any.sa_family == AF_INET6 ? (unsigned int)MHD_USE_IPv6 : 0U);
	const union MHD_DaemonInfo *info;
	int r;

	errno = 0;
	s->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_SOCK_ADDR, &address->any, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)SERVE_CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)SERVE_PER_ADDRESS, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)SERVE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVE_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U, MHD_OPTION_END);
	if (!s->daemon)
		return errno ? -errno : -EIO;
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	r = sd_event_add_io(s->event, &s->ready, info->epoll_fd, EPOLLIN, on_ready, s);
	if (r >= 0)
		r = sd_event_add_time(s->event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer, s);
	return r;
}

int serve_new(sd_event *event, const char *listen, const struct page_address *address,
	      const char *door, struct serve **ret)
{
	struct serve *s;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->event = event;
	s->listen = strdup(listen);
	s->door = strdup(door);
	randombytes_buf(s->key, sizeof(s->key));
	r = s->listen && s->door ? listen_at(s, address) : -ENOMEM;
	if (r < 0) {
		serve_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->timer);
	sd_event_source_disable_unref(s->ready);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	free(s->door);
	free(s->listen);
	sodium_memzero(s, sizeof(*s));
	free(s);
}
