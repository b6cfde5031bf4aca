/*
 * Paho gives no access to its socket, and leaves it as the system makes it. Here it is found among
 * the process's own, by the port at its other end.
 */
#pragma once

#include <stdint.h>

/* MQTT URL: the port it names, or that of its scheme (1883; 8883 with TLS) */
uint16_t socket_port(const char *url);
/*
 * Every connected TCP socket of this process whose other end has that port sends at once what it is
 * given (no Nagle: the last piece of a burst would wait for a round trip), and is at its end when
 * what it sent is not acknowledged by the other machine for timeout_ms. Another socket that happens
 * to match takes no harm. Returns how many there were.
 */
unsigned int socket_tune(uint16_t port, unsigned int timeout_ms);
