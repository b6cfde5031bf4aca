/* Devices as `devices`, `pair` and `unpair` show and name them. */
#pragma once

#include <stdbool.h>

#include "gateway/cli/client.h"

#define DEVICE_REFERENCE 33 /* digest in hex */
#define DEVICE_NAME      96
#define DEVICE_BARS      16

/* Calls fn for every device with its number, from 1; c is open. fn returns 0 or an exit code, which
 * ends it. head: called once before, with the reply that tells how the radio is. Either may be
 * NULL. */
int device_each(struct client *c, int (*head)(void *user, const Wellgate__V1__Reply *reply),
		int (*fn)(void *user, size_t number, const Wellgate__V1__DeviceInfo *d),
		void *user);

/* One device that is paired with this hub. */
struct device_choice {
	size_t number;
	uint8_t digest[16];
	char reference[DEVICE_REFERENCE], name[DEVICE_NAME], driver[DEVICE_NAME];
	uint64_t readings;
};
/* what: its number, or the beginning of its reference (4 characters or more). 0 or the exit code;
 * what is wrong was said. c is open. */
int device_choose(struct client *c, const char *what, struct device_choice *ret);

/* "" if there is none */
void device_reference(char ret[DEVICE_REFERENCE], const Wellgate__V1__DeviceRef *ref);
/* What people know it by: its advertised name, or make and model. */
void device_name(char ret[DEVICE_NAME], const Wellgate__V1__DeviceInfo *d);
/* Text of a radio for a terminal: what could steer it or turn the writing round becomes '?'. */
void device_text(char *ret, size_t size, const char *text);

/* 0 (almost nothing) to 4 */
unsigned int device_signal(int rssi);
/* the same as four bars, UTF-8 */
void device_bars(char ret[DEVICE_BARS], int rssi);

/* Plain words; never NULL. */
const char *device_security(Wellgate__V1__LinkSecurity security);
const char *device_security_long(Wellgate__V1__LinkSecurity security);
const char *device_path(Wellgate__V1__RadioDevice__Path path);
const char *device_state(Wellgate__V1__RadioDevice__State state);
/* NULL where there is none */
const char *device_trouble(Wellgate__V1__RadioDevice__Trouble trouble);
const char *device_adapter(Wellgate__V1__RadioStatus__Adapter adapter);
/* what to do about the trouble of the device with this number */
void device_advice(char *ret, size_t size, Wellgate__V1__RadioDevice__Trouble trouble,
		   size_t number);
/* Is it read over a cable, and never paired? False for a driver that is none of ours. */
bool device_is_wired(const char *driver);
/* how a device of this driver is put into pairing mode; NULL: the general way */
const char *device_hint(const char *driver);
/* what people call devices of this driver: "scale"; "device" if it is none of ours */
const char *device_kind(const char *driver);
/* what to do for a first reading */
const char *device_first_reading(const char *driver);
/* every driver that has a hint, i from 0; NULL at the end */
const char *device_hint_driver(size_t i);
