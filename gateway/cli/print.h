/*
 * JSON Lines as the public face has it: keys metric, components, device_time, measured_at, clock,
 * user_slot, subject, flags, absent, device, driver where they apply. Values are decimal strings,
 * exactly as precise as the device gave them.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "drivers/measurement.h"
#include "wellgate.pb-c.h"

/* One line without newline, malloc'd; NULL when out of memory. driver may be NULL. */
char *print_measurement(const struct measurement *m, const char *driver);
char *print_reading(const Wellgate__V1__Reading *r, const char *hub);
char *print_goal_result(const Wellgate__V1__GoalResult *r);
/* "fleet" and "fleet_unlisted" of a status into an object: what is absent is left out. */
void print_fleet(json_t *object, const Wellgate__V1__HubStatus *s);
