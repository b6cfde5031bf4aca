/*
 * What the drivers of Bluetooth SIG profiles share: the channels about the device itself (Device
 * Information, battery, clock), setting its clock, and the fields that look alike in every
 * measurement. Pure, as they are.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/gatt/blood_pressure.h"
#include "protocols/gatt/time.h"
#include "protocols/gatt/weight.h"

#define SIG_BATTERY_LEVEL 0x2a19
#define SIG_MODEL         0x2a24
#define SIG_SERIAL        0x2a25
#define SIG_FIRMWARE      0x2a26
#define SIG_HARDWARE      0x2a27
#define SIG_MAKER         0x2a29
#define SIG_CURRENT_TIME  0x2a2b
#define SIG_DATE_TIME     0x2a08

/*
 * First rows of a channel table. Who the device is comes before what it measured, because readings
 * are filed under its serial number; its clock comes before anything could set it.
 */
#define SIG_READ(uuid)                                           \
	{                                                        \
		.id = (uuid), .mode = DRV_READ, .optional = true \
	}
#define SIG_CHANNELS                                                                             \
	SIG_READ(SIG_MAKER), SIG_READ(SIG_MODEL), SIG_READ(SIG_SERIAL), SIG_READ(SIG_FIRMWARE),  \
		SIG_READ(SIG_HARDWARE), SIG_READ(SIG_BATTERY_LEVEL), SIG_READ(SIG_CURRENT_TIME), \
		SIG_READ(SIG_DATE_TIME)

/* The frame of one of SIG_CHANNELS. -ENOMSG if it is of another channel; else as a driver's. */
int sig_frame(struct drv_ctx *ctx, const struct drv_frame *frame);

/*
 * A clock that is set by us: part of a driver's state. The device's time is read when the link is
 * up (SIG_CHANNELS), so the stamps of what it has stored can be corrected. If it is off by more
 * than a minute or was never set, and the hub knows the time, it is set, in this order:
 *
 *   readings come, are committed, confirmed; none comes for a second: the stored ones are read
 *   we --write 2A2B or 2A08--> the hub's local time, and read it back
 *   the link is closed: what is measured by the new clock comes on a link that has read it
 *
 * A link without a reading leaves the clock as it is: nothing shows that the device has no stored
 * ones. A reading that was stored under the old clock and comes on a later link all the same cannot
 * be recognised here.
 */
#define SIG_QUIET_MS    1000
#define SIG_CLOCK_OFF_S 60

struct sig_clock {
	uint16_t channel; /* SIG_CURRENT_TIME or SIG_DATE_TIME; 0: none was read */
	bool wrong;       /* and the hub knows better */
	bool waits;       /* a reading is not durable yet */
	bool readings;    /* one is */
	bool set;         /* written; now it is read back */
};

/* Each: 0, or as a driver's callback. */
/* in place of sig_frame() */
int sig_clock_frame(struct drv_ctx *ctx, struct sig_clock *clock, const struct drv_frame *frame);
/* in place of drv_emit() */
int sig_clock_emit(struct drv_ctx *ctx, struct sig_clock *clock, const struct measurement *m);
int sig_clock_committed(struct drv_ctx *ctx, struct sig_clock *clock);
/* SIG_QUIET_MS after the last reading: the timer is the clock's unless the driver uses its own */
int sig_clock_timeout(struct drv_ctx *ctx, struct sig_clock *clock);
int sig_clock_refused(struct drv_ctx *ctx, const struct sig_clock *clock, uint16_t channel);

/* The hub's local time as devices are told it; false: it does not know. */
bool sig_local_time(const struct drv_ctx *ctx, struct gatt_date_time *ret);
/* Tells the session the device's time, read just now; nothing if the date is not whole. */
int sig_tell_clock(struct drv_ctx *ctx, const struct gatt_date_time *now, uint32_t fraction_us);
/* seconds from 1970-01-01 00:00 on the same clock; only for a whole date */
int64_t sig_seconds(const struct gatt_date_time *time);
/* year, month and day are known */
bool sig_is_whole(const struct gatt_date_time *time);

/* All that a 2A35 or 2A9D says, into an empty measurement of its metric. An error frame (no
 * pressure is a number; weight 0xffff) gets FLAG_ERROR. A mean pressure of 0 is absent: cuffs that
 * do not compute one send it. */
void sig_blood_pressure(struct measurement *m, const struct gatt_blood_pressure *bp);
void sig_pressures(struct measurement *m, enum unit unit, struct number systolic,
		   struct number diastolic, struct number mean);
uint64_t sig_pressure_flags(uint16_t status); /* GATT_BP_STATUS_* */
void sig_weight(struct measurement *m, const struct gatt_weight *w);

/* The device's stamp; FLAG_CLOCK_NOT_SET if it does not know the whole date. */
void sig_set_time(struct measurement *m, const struct gatt_date_time *time);
/* seconds since 1970-01-01T00:00Z, and before */
void sig_set_utc(struct measurement *m, int64_t seconds);
/* Moves a complete date; an incomplete one stays as it is. */
struct gatt_date_time sig_add_minutes(const struct gatt_date_time *time, int64_t minutes);
void sig_set_user(struct measurement *m, uint8_t user);
/* True if no part carries a number. */
bool sig_says_nothing(const struct measurement *m);

/* One bit of a profile's status field and what it means to us. */
struct sig_bit {
	uint32_t bit;
	uint64_t flags; /* FLAG_BIT()s */
};
/* The flags of all bits that are set; a table ends with {0}. */
uint64_t sig_flags(uint32_t status, const struct sig_bit *table);
