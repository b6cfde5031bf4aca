/*
 * Xiaomi scales: the record that they broadcast as service data, and keep in their history.
 *
 *   v1, service 0x181D (Mi Smart Scale, Mi Smart Scale 2: weight only), 10 bytes
 *     control u8 | weight u16 | Date Time 7
 *     control: b0 pound, b4 jin, b5 stable, b7 stepped down; others are set and not understood
 *   v2, service 0x181B (Mi Body Composition Scale, MIBCS, MIBFS), 13 bytes
 *     unit u8 | control u8 | Date Time 7 | impedance u16 ohm | weight u16
 *     unit: b0 pound, b1 kg, b4 jin; control: b1 impedance, b5 stable, b6 jin, b7 stepped down
 *   weight: 0.005 kg; 0.01 pound; 0.01 jin (the catty of 500 g: the same mass as 0.005 kg)
 *   impedance: 0, 0xfffd and 0xfffe are none, whatever control says
 *
 * Source: the maker has published nothing. Layout, factors and b5 and b7: several independent
 * programs, and frames of real scales that their authors published (one series of a v2 scale shows
 * a weight going from moving over stable to stable with impedance, the last two with one and the
 * same time). Jin is bit 4 of the unit in one program and bit 6 of the control byte in two; as both
 * give the same mass, either is taken for it. That the time is good only in a stable frame is said
 * by one description.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/bytes/decimal.h"
#include "protocols/bytes/writer.h"
#include "protocols/gatt/time.h"
#include "protocols/messages/codes.h"

#define XIAOMI_V1_SERVICE 0x181d
#define XIAOMI_V2_SERVICE 0x181b
#define XIAOMI_V1_SIZE    10
#define XIAOMI_V2_SIZE    13

struct xiaomi_scale {
	enum unit unit; /* UNIT_KG, UNIT_LB, UNIT_JIN */
	bool stable, removed;
	struct gatt_date_time time; /* the scale's own; a clock that was never set began in 1970 */
	uint16_t raw_weight;
	uint16_t raw_impedance; /* 0: none */
	struct number weight;   /* in unit */
	struct number impedance;
};

/* By length. -EMSGSIZE; -ERANGE no unit or two, or a time that cannot be. */
int xiaomi_scale_decode(const uint8_t *data, size_t len, struct xiaomi_scale *ret);

/*
 * The history characteristic, to the scale (id: names this client, for which the scale keeps how
 * far it has read):
 *   01 id4    how many records are new?      02  send them      03  stop
 *   04 id4    they are safe: the next time, only what is newer
 * and from it: 01 and the number, u8 or u16; one record a frame, v1 also two; 03: that was all.
 *
 * Source: two descriptions and three programs agree on 01, 02, 03, 04 and the meaning of id4; one
 * of the programs reports that it was tried on a v2 scale and that a record is the frame that was
 * broadcast. Whether the scale itself ends with 03, and how wide the number is, differs.
 */
enum xiaomi_history {
	XIAOMI_HISTORY_COUNT = 0x01,
	XIAOMI_HISTORY_SEND = 0x02,
	XIAOMI_HISTORY_STOP = 0x03,
	XIAOMI_HISTORY_ACKNOWLEDGE = 0x04,
};

struct xiaomi_history_frame {
	enum xiaomi_history kind; /* COUNT, STOP, or SEND: records */
	unsigned int count;       /* COUNT: new records; SEND: records in this frame, 1 or 2 */
	struct xiaomi_scale records[2];
};

/* -EMSGSIZE; -ENOMSG another command; -ERANGE as above. */
int xiaomi_history_decode(const uint8_t *data, size_t len, struct xiaomi_history_frame *ret);
/* COUNT and ACKNOWLEDGE carry the id, the others do not. -ENOSPC. */
int xiaomi_history_encode(enum xiaomi_history kind, uint32_t id, struct writer *w);
