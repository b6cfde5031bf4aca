/* What packets.c and its formats share. Not for anybody else. */
#pragma once

#include "protocols/bytes/cursor.h"
#include "protocols/capture/packets.h"

/* One record, unwrapped from its file format. */
struct packets_record {
	const struct packets_interface *interface;
	int64_t at_us;
	uint32_t flags; /* btsnoop */
	bool cut;
	const uint8_t *data;
	size_t len;
};

int packets_fail(struct packets *p, int r, const char *problem);
int packets_fail_value(struct packets *p, int r, const char *problem, uint64_t value);
int packets_fail_limit(struct packets *p, const char *problem, uint64_t value, uint64_t limit);
/* pcap and pcapng name link layers by the same numbers; 0 if not served */
enum packets_layer packets_link_layer(uint32_t linktype);
/* ticks of an interface as microseconds since 1970; -ERANGE */
int packets_time(const struct packets_interface *interface, uint64_t ticks, int64_t *ret_us);

bool btsnoop_recognise(const uint8_t *data, size_t len);
int btsnoop_begin(struct packets *p, const uint8_t *data, size_t len);
int btsnoop_next(struct packets *p, const uint8_t *view, size_t len, struct packets_record *ret);

bool pcap_recognise(const uint8_t *data, size_t len);
int pcap_begin(struct packets *p, const uint8_t *data, size_t len);
int pcap_next(struct packets *p, const uint8_t *view, size_t len, struct packets_record *ret);

bool pcapng_recognise(const uint8_t *data, size_t len);
int pcapng_begin(struct packets *p, const uint8_t *data, size_t len);
int pcapng_next(struct packets *p, const uint8_t *view, size_t len, struct packets_record *ret);
