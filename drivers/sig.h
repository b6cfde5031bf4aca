/*
 * What the drivers of Bluetooth SIG profiles share: the channels about the device itself (Device
 * Information, battery, clock) and the fields that look alike in every measurement. Pure, as they
 * are.
 */
#pragma once

#include "drivers/driver.h"
#include "protocols/gatt/time.h"

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
