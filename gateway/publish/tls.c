#include "gateway/publish/tls.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "drivers/cleanup.h"

#define LIMIT_MS       3000 /* connect and handshake */
#define ALERT_LIMIT_MS 1000 /* a TLS 1.3 broker judges our certificate after our last word */

#define OLD_TLS     "the broker has no TLS 1.2 or newer that is safe"
#define NO_TLS      "the broker breaks off: perhaps there is no TLS at this port"
#define NOT_TRUSTED "the broker's certificate is from an authority that is not in ca_file"
#define OLD_LIST    "the list of revoked certificates in ca_file is missing, too old or damaged"
#define NOT_US      "the broker does not trust this hub's certificate: renew cert_file and key_file"
#define NO_CERT     "the broker wants a certificate of this hub: set cert_file and key_file"

struct row {
	int code;
	const char *text;
};

/* X509_STORE_CTX_get_error(3) */
static const struct row verdicts[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, "the broker's certificate has expired" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "the broker's certificate is not valid yet" },
	{ X509_V_ERR_HOSTNAME_MISMATCH, "the broker's certificate is for another name" },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, "the broker's certificate is for another name" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
	  "the broker's certificate is signed by itself, and is not in ca_file" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, NOT_TRUSTED },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, NOT_TRUSTED },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, NOT_TRUSTED },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, NOT_TRUSTED },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, NOT_TRUSTED },
	{ X509_V_ERR_INVALID_PURPOSE, "the broker's certificate is not one for a server" },
	{ X509_V_ERR_INVALID_CA, "the broker's certificate is signed by one that may not sign" },
	{ X509_V_ERR_CERT_REVOKED, "the broker's certificate was revoked" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, OLD_LIST },
	{ X509_V_ERR_CRL_HAS_EXPIRED, OLD_LIST },
	{ X509_V_ERR_CRL_NOT_YET_VALID, OLD_LIST },
	{ X509_V_ERR_CRL_SIGNATURE_FAILURE, OLD_LIST },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, "the broker's certificate has a key that is too weak" },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, "the broker's certificate has a key that is too weak" },
	{ X509_V_ERR_CA_MD_TOO_WEAK,
	  "the broker's certificate is signed in a way that is too weak" },
};

/* SSL_R_*: our own verdict, or an alert of the broker's (RFC 8446 section 6.2) */
static const struct row alerts[] = {
	{ SSL_R_UNSUPPORTED_PROTOCOL, OLD_TLS },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, OLD_TLS },
	{ SSL_R_NO_PROTOCOLS_AVAILABLE, OLD_TLS },
	{ SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY, OLD_TLS },
	{ SSL_R_WRONG_VERSION_NUMBER, NO_TLS },
	{ SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, NO_CERT },
	{ SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, NOT_US },
	{ SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, NOT_US },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, NOT_US },
	{ SSL_R_TLSV1_ALERT_UNKNOWN_CA, NOT_US },
	{ SSL_R_TLSV1_ALERT_ACCESS_DENIED, NOT_US },
	{ SSL_R_TLSV1_ALERT_DECRYPT_ERROR, NOT_US },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
	  "this hub's certificate has expired: renew cert_file and key_file" },
	{ SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
	  "this hub's certificate was revoked: get new ones for cert_file and key_file" },
};

static const char *text_of(const struct row *rows, size_t n, int code, const char *otherwise)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].code == code)
			return rows[i].text;
	}
	return otherwise;
}

#define TEXT_OF(rows, code, otherwise) \
	text_of(rows, sizeof(rows) / sizeof((rows)[0]), code, otherwise)

/* ---- how certificates are judged ---- */

bool tls_clock_is_wrong(void)
{
	return time(NULL) < (time_t)WELLGATE_BUILD_DAY;
}

static void cleanup_bio(BIO **bio)
{
	BIO_free_all(*bio);
}

static bool has_revocations(const char *file)
{
	_cleanup_(cleanup_bio) BIO *bio = file ? BIO_new_file(file, "r") : NULL;
	STACK_OF(X509_INFO) *all = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
	bool found = false;

	for (int i = 0; i < sk_X509_INFO_num(all); i++)
		found = found || sk_X509_INFO_value(all, i)->crl;
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	return found;
}

/* "ssl_server" is by name what every TLS client of OpenSSL judges a server by. Made once, and
 * changed from then on: OpenSSL frees one that is replaced, but not its name. NULL: no memory. */
static X509_VERIFY_PARAM *judging(void)
{
	static X509_VERIFY_PARAM *ours;
	X509_VERIFY_PARAM *p = ours ? ours : X509_VERIFY_PARAM_new();

	if (ours || !p)
		return p;
	if (X509_VERIFY_PARAM_set1_name(p, "ssl_server") == 1 &&
	    X509_VERIFY_PARAM_set_purpose(p, X509_PURPOSE_SSL_SERVER) == 1 &&
	    X509_VERIFY_PARAM_set_trust(p, X509_TRUST_SSL_SERVER) == 1 &&
	    X509_VERIFY_PARAM_add0_table(p) == 1) {
		ours = p;
		return p;
	}
	X509_VERIFY_PARAM_free(p);
	return NULL;
}

int tls_prepare(const char *ca_file)
{
	X509_VERIFY_PARAM *p = judging();

	if (!p)
		return -ENOMEM;
	(void)X509_VERIFY_PARAM_clear_flags(p, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_USE_CHECK_TIME);
	if (has_revocations(ca_file))
		(void)X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_CRL_CHECK);
	if (tls_clock_is_wrong())
		X509_VERIFY_PARAM_set_time(p, (time_t)WELLGATE_BUILD_DAY);
	ERR_clear_error(); /* of a file that cannot be read: Paho and tls_diagnose() say so */
	return 0;
}

/* ---- why ---- */

struct probe {
	char host[128], port[8];
	char ca_file[PATH_MAX], cert_file[PATH_MAX], key_file[PATH_MAX]; /* "" = none */
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	struct timespec end;
	bool ended;    /* by the broker, without a word */
	bool asked;    /* the broker wants a certificate, and we have none */
	bool accepted; /* a session ticket: the broker is content with what we showed */
};

static void copy(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

/* config.c has looked at its form: NAME[:PORT] or [IPV6][:PORT] */
static void probe_init(struct probe *p, const struct config *config)
{
	const char *at = config->broker + strlen("mqtts://");
	const bool ipv6 = *at == '[';
	const size_t len = strcspn(at + ipv6, ipv6 ? "]" : ":");
	const char *rest = at + ipv6 + len + (ipv6 ? 1 : 0);

	*p = (struct probe){ .fd = -1 };
	(void)snprintf(p->host, sizeof(p->host), "%.*s", (int)len, at + ipv6);
	copy(p->port, sizeof(p->port), *rest == ':' ? rest + 1 : "8883");
	copy(p->ca_file, sizeof(p->ca_file), config->ca_file);
	copy(p->cert_file, sizeof(p->cert_file), config->cert_file);
	copy(p->key_file, sizeof(p->key_file), config->key_file);
}

static void probe_finish(struct probe *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->context);
	if (p->fd >= 0)
		(void)close(p->fd);
	ERR_clear_error();
}

static void set_limit(struct probe *p, int ms)
{
	(void)clock_gettime(CLOCK_MONOTONIC, &p->end);
	p->end.tv_sec += ms / 1000;
	p->end.tv_nsec += (long)(ms % 1000) * 1000000;
}

/* false: the limit is over */
static bool wait_for(const struct probe *p, short events)
{
	struct pollfd pfd = { .fd = p->fd, .events = events };
	struct timespec now;
	int64_t left;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	left = (int64_t)(p->end.tv_sec - now.tv_sec) * 1000 +
	       (p->end.tv_nsec - now.tv_nsec) / 1000000;
	return left > 0 && poll(&pfd, 1, (int)left) == 1;
}

static bool connect_to(struct probe *p, const struct addrinfo *a)
{
	int error = 0;
	socklen_t len = sizeof(error);

	p->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return false;
	if (connect(p->fd, a->ai_addr, a->ai_addrlen) == 0)
		return true;
	if (errno == EINPROGRESS && wait_for(p, POLLOUT) &&
	    getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
		return true;
	(void)close(TAKE_FD(p->fd));
	return false;
}

static bool reach(struct probe *p)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	bool reached = false;

	if (getaddrinfo(p->host, p->port, &hints, &all) != 0)
		return false;
	set_limit(p, LIMIT_MS);
	for (const struct addrinfo *a = all; a && !reached; a = a->ai_next)
		reached = connect_to(p, a);
	freeaddrinfo(all);
	return reached;
}

/* a key that is locked: nobody is there to type a password */
static int no_password(char *buf, int size, int writing, void *user)
{
	(void)buf, (void)size, (void)writing, (void)user;
	return -1;
}

static int on_asked(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	struct probe *p = SSL_get_app_data(ssl);

	(void)certificate, (void)key;
	p->asked = p->cert_file[0] == '\0';
	return 0; /* go on with none */
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct probe *p = SSL_get_app_data(ssl);

	(void)session;
	p->accepted = true;
	return 0;
}

static const char *load_own(struct probe *p)
{
	if (p->cert_file[0] == '\0')
		return NULL;
	if (SSL_CTX_use_certificate_chain_file(p->context, p->cert_file) != 1)
		return "cert_file cannot be read, or there is no certificate in it";
	if (SSL_CTX_use_PrivateKey_file(p->context, p->key_file, SSL_FILETYPE_PEM) != 1)
		return ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH
			       ? "cert_file and key_file do not belong together"
			       : "key_file cannot be read, or there is no open key in it";
	return NULL;
}

/* NULL, or what is wrong on our side */
static const char *load(struct probe *p)
{
	static const char bad_ca[] = "ca_file cannot be read, or there is no certificate in it";

	p->context = SSL_CTX_new(TLS_client_method());
	if (!p->context || SSL_CTX_set_min_proto_version(p->context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(p->context, TLS_CIPHERS) != 1)
		return "TLS cannot be set up";
	SSL_CTX_set_verify(p->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_default_passwd_cb(p->context, no_password);
	SSL_CTX_set_client_cert_cb(p->context, on_asked);
	SSL_CTX_set_session_cache_mode(p->context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(p->context, on_ticket);
	if (p->ca_file[0] != '\0' && SSL_CTX_load_verify_file(p->context, p->ca_file) != 1)
		return bad_ca;
	if (p->ca_file[0] == '\0' && SSL_CTX_set_default_verify_paths(p->context) != 1)
		return bad_ca;
	return load_own(p);
}

static bool prepare_handshake(struct probe *p)
{
	X509_VERIFY_PARAM *param;

	p->ssl = SSL_new(p->context);
	if (!p->ssl || SSL_set_app_data(p->ssl, p) != 1 || SSL_set_fd(p->ssl, p->fd) != 1)
		return false;
	param = SSL_get0_param(p->ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, p->host) == 1)
		return true;
	return SSL_set1_host(p->ssl, p->host) == 1 &&
	       SSL_set_tlsext_host_name(p->ssl, p->host) == 1;
}

/* Goes on until done; false: the end of the connection, or of the limit. */
static bool step_until(struct probe *p, int (*step)(SSL *ssl))
{
	for (;;) {
		const int r = step(p->ssl);
		const int error = r == 1 ? SSL_ERROR_NONE : SSL_get_error(p->ssl, r);

		if (error == SSL_ERROR_NONE || p->accepted)
			return true;
		p->ended = error == SSL_ERROR_SYSCALL;
		if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
			return false;
		if (!wait_for(p, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT))
			return false;
	}
}

static int read_one(SSL *ssl)
{
	char byte;

	return SSL_read(ssl, &byte, 1);
}

static const char *why_not(const struct probe *p)
{
	const long verdict = SSL_get_verify_result(p->ssl);
	const unsigned long error = ERR_peek_error();
	const int reason = ERR_GET_REASON(error);

	if (verdict != X509_V_OK)
		return TEXT_OF(verdicts, (int)verdict, "the broker's certificate is not trusted");
	if (p->ended || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return SSL_is_init_finished(p->ssl) ? NULL : NO_TLS;
	if (error == 0)
		return NULL;
	/* what RFC 5246 section 7.4.6 has for a certificate that is missing, and for much else */
	if (reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		return p->asked ? NO_CERT : OLD_TLS;
	return TEXT_OF(alerts, reason, NULL);
}

static const char *handshake(struct probe *p)
{
	if (!prepare_handshake(p))
		return NULL;
	ERR_clear_error();
	if (!step_until(p, SSL_connect))
		return why_not(p);
	/* whom a broker of TLS 1.3 lets in he gives a ticket, else an alert */
	set_limit(p, ALERT_LIMIT_MS);
	if (SSL_version(p->ssl) >= TLS1_3_VERSION && !step_until(p, read_one))
		return why_not(p);
	return NULL;
}

const char *tls_diagnose(const struct config *config)
{
	struct probe p;
	const char *why;

	probe_init(&p, config);
	ERR_clear_error();
	why = load(&p);
	if (!why && reach(&p))
		why = handshake(&p);
	probe_finish(&p);
	return why;
}
