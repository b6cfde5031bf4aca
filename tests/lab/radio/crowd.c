#include <stdio.h>
#include <string.h>

#include "protocols/bytes/writer.h"
#include "tests/lab/radio/crowd.h"

#define AD_FLAGS         0x01
#define AD_SERVICES16    0x03
#define AD_NAME          0x09
#define AD_MANUFACTURER  0xff
#define COMPANY_NONE     0xffff /* the number for internal tests */
#define WEIGHT_SCALE     0x181d
#define HEART_RATE       0x180d
#define FLAGS_LE_GENERAL 0x06

uint64_t crowd_mix(uint64_t v)
{
	v += UINT64_C(0x9e3779b97f4a7c15);
	v = (v ^ v >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	v = (v ^ v >> 27) * UINT64_C(0x94d049bb133111eb);
	return v ^ v >> 31;
}

static void put_name(struct writer *w, uint32_t number)
{
	char name[16];
	const int n = snprintf(name, sizeof(name), "Passer %u", number);

	writer_u8(w, (uint8_t)(1 + n));
	writer_u8(w, AD_NAME);
	writer_bytes(w, name, (size_t)n);
}

static void put_company(struct writer *w, uint64_t chance)
{
	writer_u8(w, 11);
	writer_u8(w, AD_MANUFACTURER);
	writer_le16(w, COMPANY_NONE);
	writer_le64(w, chance);
}

static void put_service(struct writer *w, uint16_t service)
{
	writer_u8(w, 3);
	writer_u8(w, AD_SERVICES16);
	writer_le16(w, service);
}

void crowd_make(uint32_t number, uint32_t generation, struct crowd_passer *ret)
{
	const uint64_t chance = crowd_mix((uint64_t)generation << 32 | number);
	struct writer w = writer_of(ret->data, sizeof(ret->data));

	ret->random = chance & 7;
	for (unsigned int i = 0; i < 6; i++)
		ret->address[i] = (uint8_t)(crowd_mix(chance) >> 8 * i);
	/* three of four random ones are resolvable: 01; the rest are static: 11 */
	if (ret->random)
		ret->address[0] = (uint8_t)((ret->address[0] & 0x3f) | (chance & 24 ? 0x40 : 0xc0));
	ret->type = chance & 32 ? REPORT_IND : REPORT_NONCONN;
	ret->rssi = (int8_t)(-60 - (int)(chance >> 8 & 31));
	writer_u8(&w, 2);
	writer_u8(&w, AD_FLAGS);
	writer_u8(&w, FLAGS_LE_GENERAL);
	switch (chance >> 16 & 15) {
	case 0:
		put_service(&w, WEIGHT_SCALE);
		put_name(&w, number);
		break;
	case 1:
		put_service(&w, HEART_RATE);
		break;
	case 2:
	case 3:
	case 4:
		put_name(&w, number);
		break;
	default:
		put_company(&w, crowd_mix(chance + 1));
		break;
	}
	ret->len = w.len;
}
