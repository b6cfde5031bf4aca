/*
 * Feeds the events of a capture to sessions, as a transport would: finds the driver, tells
 * indications from notifications by the driver's channel table, lets time pass for its timers.
 * Time is that of the capture, so the same capture always gives the same calls.
 *
 * The common part of `wellgate replay` (commits at once) and of the player (commits when the
 * gateway has committed).
 */
#pragma once

#include "drivers/session.h"
#include "protocols/capture/cap.h"

#define FEED_LINKS_MAX 16

struct feed_sink {
	/* a device has been recognised; its session is about to open; may be NULL */
	void (*opened)(void *user, uint16_t link, struct session *session);
	void (*measurement)(void *user, uint16_t link, const struct measurement *m, uint64_t seq);
	void (*request)(void *user, uint16_t link, const struct session_request *request);
	void (*confirm)(void *user, uint16_t link, uint16_t channel);
	void (*fault)(void *user, uint16_t link, uint16_t channel, enum session_fault fault, int r);
	/* as in struct session_sink; each may be NULL */
	void (*memory)(void *user, uint16_t link, const struct session_memory *memory);
	void (*consent)(void *user, uint16_t link, size_t i, enum drv_consent_outcome outcome,
			uint8_t slot);
	void *user;
};

struct feed;

/* next_seq is borrowed and outlives the feed. */
int feed_new(const struct feed_sink *sink, uint64_t *next_seq, struct feed **ret);
void feed_free(struct feed *f);
/* wall clock at 0.000, for drivers that compare clocks */
void feed_set_start(struct feed *f, int64_t utc_ms);
/*
 * 0; -ENODEV no driver serves this device or channel (a device without a match is asked again by
 * its channels); -EBUSY the link's indication still waits; -ENOBUFS too many links; one of the
 * four that spoil a frame, already reported to the sink; any other: the driver gave the link up.
 * What we sent (CAP_CONFIRM, CAP_WRITE, CAP_READ) is an expectation and is not fed.
 */
int feed_event(struct feed *f, const struct cap_event *event);
int feed_committed(struct feed *f, uint64_t seq, int64_t now);
/* NULL if the link is not open or nobody's */
struct session *feed_session(struct feed *f, uint16_t link);
/* the driver that would get this link, or, if nothing in `open` tells, this channel; NULL */
const struct driver *feed_driver(const struct cap_open *open, uint16_t channel);
/* the quirks that it would get */
uint32_t feed_quirks(const struct cap_open *open);
/* how the driver reads this channel; 0 if it does not */
enum drv_channel_mode feed_mode(const struct driver *driver, uint16_t channel);
