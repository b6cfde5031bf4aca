#include "gateway/record/fhir/fhir_post.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cleanup.h"
#include "gateway/record/fhir/build.h"

#define ANSWER_MAX      ((size_t)8 * 1024 * 1024)
#define TOKEN_MAX       4096
#define TOKEN_MARGIN_MS (INT64_C(30) * 1000)
#define TOKEN_LIFE_S    INT64_C(300) /* where the server does not say */
#define TOKEN_LIFE_MAX  INT64_C(86400)
#define TIMEOUT_S       30L
#define URL_MAX         1024
#define DIGEST_TEXT_MAX 2048
#define FHIR_JSON       "application/fhir+json"

struct fhir_poster {
	struct fhir_endpoint endpoint;
	struct fhir_ledger ledger;
	CURL *curl;
	char token[TOKEN_MAX];
	int64_t token_until_ms; /* 0 = there is none */
};

struct answer {
	char *text;
	size_t len;
	bool too_long;
	long http;
};

static void cleanup_answer(struct answer *a)
{
	free(a->text);
}

static void cleanup_json(json_t **j)
{
	json_decref(*j);
}

static const char *text(const json_t *object, const char *key)
{
	const char *t = json_string_value(json_object_get(object, key));

	return t ? t : "";
}

/* ---- one request ---- */

static size_t take(char *data, size_t size, size_t n, void *user)
{
	struct answer *a = user;
	const size_t more = size * n;
	char *longer;

	if (a->len + more > ANSWER_MAX) {
		a->too_long = true;
		return 0;
	}
	longer = realloc(a->text, a->len + more + 1);
	if (!longer)
		return 0;
	(void)memcpy(longer + a->len, data, more);
	a->text = longer;
	a->len += more;
	a->text[a->len] = '\0';
	return more;
}

static bool is_here(const char *url)
{
	static const char *const hosts[] = { "http://127.0.0.1", "http://localhost",
					     "http://[::1]" };

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const size_t len = strlen(hosts[i]);

		if (strncmp(url, hosts[i], len) == 0 && (url[len] == ':' || url[len] == '/'))
			return true;
	}
	return false;
}

static bool is_safe(const char *url)
{
	return url && (strncmp(url, "https://", strlen("https://")) == 0 || is_here(url));
}

/* No redirects: a token must not follow one. */
static void prepare(const struct fhir_poster *p, const char *url, struct answer *answer)
{
	const unsigned int timeout = p->endpoint.timeout_s;

	curl_easy_reset(p->curl);
	(void)curl_easy_setopt(p->curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(p->curl, CURLOPT_PROTOCOLS_STR, is_here(url) ? "http" : "https");
	(void)curl_easy_setopt(p->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(p->curl, CURLOPT_TIMEOUT, timeout ? (long)timeout : TIMEOUT_S);
	(void)curl_easy_setopt(p->curl, CURLOPT_CONNECTTIMEOUT,
			       timeout ? (long)timeout : TIMEOUT_S);
	(void)curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, take);
	(void)curl_easy_setopt(p->curl, CURLOPT_WRITEDATA, answer);
	if (is_here(url))
		(void)curl_easy_setopt(p->curl, CURLOPT_NOPROXY, "*");
	if (p->endpoint.ca_file)
		(void)curl_easy_setopt(p->curl, CURLOPT_CAINFO, p->endpoint.ca_file);
}

static int perform(const struct fhir_poster *p, struct answer *answer)
{
	const CURLcode code = curl_easy_perform(p->curl);

	if (code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (code != CURLE_OK)
		return -EAGAIN;
	(void)curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &answer->http);
	return 0;
}

/* ---- the token: RFC 6749 section 4.4 ---- */

static int keep_token(struct fhir_poster *p, const struct answer *a, int64_t now_ms)
{
	_cleanup_(cleanup_json) json_t *json = json_loadb(a->text ? a->text : "", a->len, 0, NULL);
	const char *token = text(json, "access_token");
	const json_t *life = json_object_get(json, "expires_in");
	int64_t seconds = json_is_integer(life) ? json_integer_value(life) : TOKEN_LIFE_S;

	/* it goes into a header */
	if (!token[0] || strlen(token) >= sizeof(p->token) || strpbrk(token, "\r\n"))
		return -EACCES;
	if (seconds < 0 || seconds > TOKEN_LIFE_MAX)
		seconds = TOKEN_LIFE_S;
	(void)snprintf(p->token, sizeof(p->token), "%s", token);
	p->token_until_ms = now_ms + seconds * 1000;
	return 0;
}

static int get_token(struct fhir_poster *p, int64_t now_ms)
{
	_cleanup_(cleanup_answer) struct answer answer = { 0 };
	const char *scope = p->endpoint.scope;
	char *escaped = scope ? curl_easy_escape(p->curl, scope, 0) : NULL;
	char form[URL_MAX];
	int r;

	(void)snprintf(form, sizeof(form), "grant_type=client_credentials%s%s",
		       escaped ? "&scope=" : "", escaped ? escaped : "");
	curl_free(escaped);
	prepare(p, p->endpoint.token_url, &answer);
	(void)curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, form);
	(void)curl_easy_setopt(p->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	(void)curl_easy_setopt(p->curl, CURLOPT_USERNAME, p->endpoint.client_id);
	(void)curl_easy_setopt(p->curl, CURLOPT_PASSWORD, p->endpoint.client_secret);
	r = perform(p, &answer);
	if (r < 0)
		return r;
	if (answer.http == 429 || answer.http >= 500)
		return -EAGAIN;
	r = answer.http == 200 ? keep_token(p, &answer, now_ms) : -EACCES;
	if (answer.text)
		explicit_bzero(answer.text, answer.len);
	return r;
}

static int with_token(struct fhir_poster *p, const char *url, const char *body, int64_t now_ms,
		      struct answer *answer)
{
	char header[TOKEN_MAX + 32];
	struct curl_slist *headers, *more;
	int r = 0;

	if (p->token_until_ms == 0 || now_ms + TOKEN_MARGIN_MS >= p->token_until_ms)
		r = get_token(p, now_ms);
	if (r < 0)
		return r;
	(void)snprintf(header, sizeof(header), "Authorization: Bearer %s", p->token);
	headers = curl_slist_append(NULL, header);
	explicit_bzero(header, sizeof(header));
	more = curl_slist_append(headers, "Accept: " FHIR_JSON);
	if (more && body)
		more = curl_slist_append(headers, "Content-Type: " FHIR_JSON);
	if (!headers || !more) {
		curl_slist_free_all(headers);
		return -ENOMEM;
	}
	prepare(p, url, answer);
	(void)curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, headers);
	if (body)
		(void)curl_easy_setopt(p->curl, CURLOPT_POSTFIELDS, body);
	r = perform(p, answer);
	curl_slist_free_all(headers);
	return r;
}

/* A token may have been taken back before its time: one new one. */
static int ask(struct fhir_poster *p, const char *url, const char *body, int64_t now_ms,
	       struct answer *answer)
{
	int r = with_token(p, url, body, now_ms, answer);

	if (r < 0 || answer->http != 401)
		return r;
	free(answer->text);
	*answer = (struct answer){ 0 };
	p->token_until_ms = 0;
	r = with_token(p, url, body, now_ms, answer);
	if (r == 0 && answer->http == 401) {
		p->token_until_ms = 0;
		return -EACCES;
	}
	return r;
}

/* ---- rows ---- */

static void add_value(char *to, const json_t *holder)
{
	const json_t *quantity = json_object_get(holder, "valueQuantity");
	const size_t n = strlen(to);

	if (quantity)
		(void)snprintf(to + n, DIGEST_TEXT_MAX - n, "|%.12g %s",
			       json_number_value(json_object_get(quantity, "value")),
			       text(quantity, "code"));
}

/* A clock's record is about a device, which the receiver names anew. */
static const char *person_of(const json_t *resource)
{
	const char *to = text(json_object_get(resource, "subject"), "reference");

	return strncmp(to, "Patient/", strlen("Patient/")) == 0 ? to : "";
}

/* What must not be otherwise at the other end: whose it is, how it stands, the numbers. */
static void digest(const json_t *resource, char ret[48])
{
	const json_t *parts = json_object_get(resource, "component"), *part;
	char whole[DIGEST_TEXT_MAX], uuid[BUILD_UUID_MAX];
	size_t i;

	(void)snprintf(whole, sizeof(whole), "%s|%s|%s", text(resource, "resourceType"),
		       text(resource, "status"), person_of(resource));
	add_value(whole, resource);
	json_array_foreach(parts, i, part)
	{
		add_value(whole, part);
	}
	build_uuid(uuid, "landing", whole, strlen(whole));
	(void)snprintf(ret, 48, "%s", uuid + strlen("urn:uuid:"));
}

static bool copy(char *to, size_t size, const char *from)
{
	return (size_t)snprintf(to, size, "%s", from) < size;
}

/* false: it has no identifier, or one too long to be ours */
static bool row_of(const json_t *resource, int64_t now_ms, struct fhir_row *ret)
{
	const json_t *id = json_array_get(json_object_get(resource, "identifier"), 0);
	char identifier[FHIR_LEDGER_TEXT_MAX];

	*ret = (struct fhir_row){ .landing = FHIR_PENDING, .sent_ms = now_ms };
	digest(resource, ret->digest);
	return text(id, "value")[0] &&
	       (size_t)snprintf(identifier, sizeof(identifier), "%s|%s", text(id, "system"),
				text(id, "value")) < sizeof(identifier) &&
	       copy(ret->identifier, sizeof(ret->identifier), identifier) &&
	       copy(ret->type, sizeof(ret->type), text(resource, "resourceType")) &&
	       copy(ret->patient, sizeof(ret->patient), person_of(resource));
}

static int put(struct fhir_poster *p, const struct fhir_row *row, enum fhir_landing landing,
	       const char *why)
{
	struct fhir_row next = *row, old;

	next.landing = landing;
	(void)snprintf(next.why, sizeof(next.why), "%s", why);
	/* the time to give up does not begin anew because it was sent again */
	if (p->ledger.get(p->ledger.behind, row->identifier, row->patient, &old) == 0 &&
	    strcmp(old.digest, row->digest) == 0) {
		if (old.landing == FHIR_PENDING)
			next.sent_ms = old.sent_ms;
		if (old.landing == FHIR_LANDED && landing == FHIR_PENDING)
			return 0; /* it is there already */
	}
	return p->ledger.put(p->ledger.behind, &next);
}

/* one landing for all entries */
static int put_all(struct fhir_poster *p, const json_t *bundle, int64_t now_ms,
		   enum fhir_landing landing, const char *why)
{
	const json_t *entries = json_object_get(bundle, "entry"), *entry;
	struct fhir_row row;
	size_t i;
	int r = 0;

	json_array_foreach(entries, i, entry)
	{
		if (r == 0 && row_of(json_object_get(entry, "resource"), now_ms, &row))
			r = put(p, &row, landing, why);
	}
	return r;
}

/* ---- sending ---- */

static int look(struct fhir_poster *p, const char *body, const json_t *bundle, int64_t now_ms,
		struct fhir_sent *ret)
{
	const json_t *entry;
	struct fhir_row row;
	size_t n = 0;
	int r = fhir_lint(body, strlen(body), &p->endpoint.lint, &ret->finding, 1, &n);

	if (r < 0 || n == 0)
		return r;
	ret->has_finding = true;
	entry = json_array_get(json_object_get(bundle, "entry"), ret->finding.entry);
	if (row_of(json_object_get(entry, "resource"), now_ms, &row))
		r = put(p, &row, FHIR_LOST, fhir_rule_sentence(ret->finding.rule));
	return r < 0 ? r : -EBADMSG;
}

/* An answer for each entry, in their order (FHIR R4 http.html, transaction-response). */
static int take_answers(struct fhir_poster *p, const json_t *bundle, const struct answer *a,
			int64_t now_ms, struct fhir_sent *ret)
{
	_cleanup_(cleanup_json) json_t *json = json_loadb(a->text ? a->text : "", a->len, 0, NULL);
	const json_t *answers = json_object_get(json, "entry");
	const json_t *entries = json_object_get(bundle, "entry"), *entry;
	char why[64];
	size_t i;
	int r = 0;

	/* what it did is not known: asked again, or seen when it is read back */
	if (json_array_size(answers) != json_array_size(entries))
		return -EAGAIN;
	json_array_foreach(entries, i, entry)
	{
		const char *status =
			text(json_object_get(json_array_get(answers, i), "response"), "status");
		const bool taken = status[0] == '2';
		struct fhir_row row;

		ret->taken += taken;
		ret->refused += !taken;
		(void)snprintf(why, sizeof(why), "refused with %.20s", status);
		if (r == 0 && row_of(json_object_get(entry, "resource"), now_ms, &row))
			r = put(p, &row, taken ? FHIR_PENDING : FHIR_LOST, taken ? "" : why);
	}
	return r;
}

static int send_bundle(struct fhir_poster *p, const char *body, const json_t *bundle,
		       int64_t now_ms, struct fhir_sent *ret)
{
	_cleanup_(cleanup_answer) struct answer answer = { 0 };
	char why[64];
	int r, stored;

	/* before anything else, so that a crash leaves no entry that nobody asks for */
	r = put_all(p, bundle, now_ms, FHIR_PENDING, "");
	if (r < 0)
		return r;
	r = ask(p, p->endpoint.base, body, now_ms, &answer);
	ret->http = answer.http;
	if (r < 0)
		return r;
	if (answer.http >= 200 && answer.http < 300)
		return take_answers(p, bundle, &answer, now_ms, ret);
	if (answer.http == 403)
		return -EACCES;
	if (answer.http < 400 || answer.http >= 500 || answer.http == 408 || answer.http == 429)
		return -EAGAIN;
	(void)snprintf(why, sizeof(why), "the whole Bundle was refused with %ld", answer.http);
	stored = put_all(p, bundle, now_ms, FHIR_LOST, why);
	return stored < 0 ? stored : -EREMOTEIO;
}

int fhir_post(struct fhir_poster *p, const char *bundle, int64_t now_ms, struct fhir_sent *ret)
{
	_cleanup_(cleanup_json) json_t *json = json_loads(bundle, JSON_REJECT_DUPLICATES, NULL);
	struct fhir_sent sent = { .entries = json_array_size(json_object_get(json, "entry")) };
	int r = look(p, bundle, json, now_ms, &sent);

	if (r == 0 && sent.entries > 0)
		r = send_bundle(p, bundle, json, now_ms, &sent);
	*ret = sent;
	return r;
}

/* ---- reading back ---- */

struct reading_back {
	struct fhir_poster *p;
	int64_t now_ms;
};

/* How many resources of the type the answer has, and the first of them. */
static size_t matches(const json_t *bundle, const char *type, const json_t **ret)
{
	const json_t *entries = json_object_get(bundle, "entry"), *entry;
	size_t i, n = 0;

	json_array_foreach(entries, i, entry)
	{
		const json_t *resource = json_object_get(entry, "resource");

		if (strcmp(text(resource, "resourceType"), type) != 0)
			continue;
		if (n++ == 0)
			*ret = resource;
	}
	return n;
}

static int judge(struct reading_back *b, const struct fhir_row *row, const json_t *bundle)
{
	const json_t *resource = NULL;
	const size_t n = matches(bundle, row->type, &resource);
	char seen[48];

	if (strcmp(text(bundle, "resourceType"), "Bundle") != 0)
		return -EAGAIN;
	if (n == 0)
		return b->now_ms - row->sent_ms < FHIR_GIVE_UP_MS
			       ? 0
			       : put(b->p, row, FHIR_LOST, "it was taken, and is not there");
	if (n > 1)
		return put(b->p, row, FHIR_LOST, "it is there twice");
	digest(resource, seen);
	if (strcmp(seen, row->digest) != 0)
		return put(b->p, row, FHIR_LOST, "it is there, but not as it was sent");
	return put(b->p, row, FHIR_LANDED, "");
}

static bool query_of(const struct fhir_poster *p, const struct fhir_row *row, char ret[URL_MAX])
{
	const char *base = p->endpoint.read_base ? p->endpoint.read_base : p->endpoint.base;
	char *identifier = curl_easy_escape(p->curl, row->identifier, 0);
	char *patient = curl_easy_escape(p->curl, row->patient, 0);
	const bool good =
		identifier && patient &&
		snprintf(ret, URL_MAX, "%s/%s?identifier=%s%s%s", base, row->type, identifier,
			 row->patient[0] ? "&subject=" : "", patient) < URL_MAX;

	curl_free(identifier);
	curl_free(patient);
	return good;
}

static int read_one(void *user, const struct fhir_row *row)
{
	_cleanup_(cleanup_answer) struct answer answer = { 0 };
	_cleanup_(cleanup_json) json_t *bundle = NULL;
	struct reading_back *b = user;
	char url[URL_MAX];
	int r;

	if (!query_of(b->p, row, url))
		return -ENOMEM;
	r = ask(b->p, url, NULL, b->now_ms, &answer);
	if (r < 0)
		return r;
	if (answer.http == 403)
		return -EACCES;
	if (answer.http != 200)
		return -EAGAIN;
	bundle = json_loadb(answer.text ? answer.text : "", answer.len, 0, NULL);
	return bundle ? judge(b, row, bundle) : -EAGAIN;
}

int fhir_read_back(struct fhir_poster *p, int64_t now_ms)
{
	struct reading_back b = { .p = p, .now_ms = now_ms };

	return p->ledger.each_pending(p->ledger.behind, read_one, &b);
}

/* ---- its life ---- */

int fhir_poster_new(const struct fhir_endpoint *endpoint, const struct fhir_ledger *ledger,
		    struct fhir_poster **ret)
{
	struct fhir_poster *p;

	if (!is_safe(endpoint->base) || !is_safe(endpoint->token_url) || !endpoint->client_id ||
	    !endpoint->client_secret || (endpoint->read_base && !is_safe(endpoint->read_base)))
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->endpoint = *endpoint;
	p->ledger = *ledger;
	p->curl = curl_easy_init();
	if (!p->curl) {
		free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void fhir_poster_free(struct fhir_poster *p)
{
	if (!p)
		return;
	curl_easy_cleanup(p->curl);
	explicit_bzero(p->token, sizeof(p->token));
	free(p);
}
