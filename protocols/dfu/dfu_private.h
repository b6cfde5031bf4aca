/* What the machines of this folder share. Only for them. */
#pragma once

#include "protocols/dfu/dfu.h"

#define DFU_SECOND INT64_C(1000000)

/* the end of the run; the first one stands */
void dfu_refuse(struct dfu *d, enum dfu_refusal refusal, uint32_t code);
void dfu_installed(struct dfu *d, enum dfu_proof proof);
/* Ends this link and asks for another; mode: what should answer there. */
void dfu_relink(struct dfu *d, int64_t pause, enum dfu_mode mode);
/* so many bytes of the image are known to be there */
void dfu_progress(struct dfu *d, size_t done);
/* What ask() fills in; with a limit an answer is awaited. */
void dfu_send(struct dfu *d, struct dfu_request *ret, enum dfu_channel channel, const void *data,
	      size_t len, int64_t limit);
/* The answer that was awaited is there. */
void dfu_answered(struct dfu *d);
/* Nothing is asked for before this time from now. */
void dfu_pause(struct dfu *d, int64_t pause);
/* Versions: refuses if the device runs a newer one than the plan has. True: go on. */
bool dfu_not_older(struct dfu *d, const struct dfu_version *running);
/*
 * A link after the device was told to start what it got; sure: it has said that it does. True: that
 * was the end, good or not.
 */
bool dfu_came_back(struct dfu *d, const struct dfu_link *link, bool sure);
