/*
 * TLS to the broker: what holds for every connection, and a plain sentence for why one failed.
 *
 * Paho makes the connection and refuses; it does not say why. So after a failure the same handshake
 * is made once more by itself, with the same settings, nothing is sent through it, and OpenSSL's
 * verdict (X509_verify_cert(3), RFC 8446 section 6.2 alerts) becomes a sentence.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gateway/config.h"

/* Authenticated encryption with keys that are forgotten; none of these exists below TLS 1.2, so
 * that no openssl.cnf can lower the floor. TLS 1.3 has suites of its own, all of this kind, and
 * comes first. The level refuses keys below 112 bits, and signatures by SHA-1. */
#define TLS_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"

/* The clock says a time before this program was made: it is wrong. */
bool tls_clock_is_wrong(void);

/*
 * Before each connection of Paho's, and only while there is none: how certificates are judged by
 * this process. With a wrong clock at the time when this program was made (a certificate that had
 * expired by then stays refused, and one that was made later has to wait for the clock); and where
 * ca_file has a list of revoked certificates (PEM, "X509 CRL"), by that. -ENOMEM
 */
int tls_prepare(const char *ca_file);

/*
 * A sentence of ours about the last failure, or NULL: the handshake works, or the broker cannot be
 * reached at all. Blocks, at most about 4 s besides the look-up of the name. `config` is copied
 * before that: it need not outlive a look-up that hangs. Not at the same time as a connection.
 */
const char *tls_diagnose(const struct config *config);
