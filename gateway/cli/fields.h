/* Characteristics that carry no measurement, field by field: features, clocks, control points. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if the characteristic is one of them. */
bool fields_known(uint16_t uuid16);
/* 0 and one line of JSON without newline, malloc'd; -ENOMEM, or as its codec in protocols/gatt. */
int fields_print(uint16_t uuid16, const uint8_t *data, size_t len, char **ret);
