/*
 * All models, and what their readings have in common: the number of the reading is in its values,
 * the index of the device in the pulse, and no two have the same minute; so a lost, doubled or
 * misfiled one shows. To add a device: one file here, one line each in models.c and in the README.
 */
#pragma once

#include <time.h>

#include "tests/lab/usb/device.h"

struct usb_pressure {
	uint16_t systolic, diastolic, mean, pulse;
};

extern const struct usb_model usb_phdc_cuff, usb_phdc_scale, usb_phdc_glucose, usb_phdc_oximeter,
	usb_phdc_extended, usb_phdc_meter, usb_phdc_preamble, usb_beurer_hid, usb_beurer_serial,
	usb_omron_memory, usb_omron_classic, usb_microlife, usb_fitbit_dongle, usb_dfu, usb_dfuse;

/* NULL at the end */
extern const struct usb_model *const usb_models[];

struct usb_pressure usb_pressure_of(const struct usb_device *d, uint32_t number);
/* when it was taken, by the device's clock: a minute after the one before, all of them in the past;
 * the device knows no zone, and the hub of a scenario lives in UTC */
time_t usb_device_time(uint32_t number);
/* the log's "measured n=NUMBER VALUES time=...", which readings are compared with */
void usb_say_measured(const struct usb_device *d, uint32_t number, const char *values, time_t time);
/* user: slot of the device, 0: it has none */
void usb_say_pressure(const struct usb_device *d, uint32_t number, unsigned int user, bool mean,
		      time_t time);
