/*
 * What a peer's GATT server holds: its primary services and their characteristics, as far as a
 * client needs them. Source: Bluetooth Core 5.4, vol 3 part G, 3.1 and 3.3. In the caller's memory;
 * no pointers inside, so it may be copied. Secondary and included services, and descriptors other
 * than the Client Characteristic Configuration, are not kept.
 */
#pragma once

#include "protocols/att/pdu.h"

#define ATT_SERVICES_MAX        32
#define ATT_CHARACTERISTICS_MAX 128
#define ATT_HASH_SIZE           16

/* 3.3.1.1, the bits that are used here */
#define ATT_PROPERTY_NOTIFY   0x10
#define ATT_PROPERTY_INDICATE 0x20

struct att_service {
	uint16_t start, end; /* handles; of one service after the other, ascending */
	struct att_uuid uuid;
};

struct att_characteristic {
	uint16_t declaration, value; /* handles; ascending through the table */
	uint16_t end;                /* its last handle */
	uint16_t ccc;                /* Client Characteristic Configuration; 0: it has none */
	uint8_t properties;
	struct att_uuid uuid;
};

struct att_table {
	struct att_service services[ATT_SERVICES_MAX];
	size_t n_services;
	struct att_characteristic characteristics[ATT_CHARACTERISTICS_MAX];
	size_t n_characteristics;
	bool complete; /* the peer was discovered to the end, or all this was imported */
	bool has_hash;
	uint8_t hash[ATT_HASH_SIZE]; /* Database Hash, 7.3, if the caller set it */
};

void att_table_clear(struct att_table *t);
/*
 * In ascending order only. 0; -EBADMSG out of order, overlapping or not inside its service;
 * -ENOSPC full. A characteristic's end is that of its service until the next one is added.
 */
int att_table_add_service(struct att_table *t, const struct att_service *s);
int att_table_add_characteristic(struct att_table *t, const struct att_characteristic *c);
/* -EBADMSG if ccc is not a handle behind the value of characteristic i */
int att_table_set_ccc(struct att_table *t, size_t i, uint16_t ccc);

/* the first one of that type; in service (NULL: in any). NULL if there is none */
const struct att_service *att_table_service(const struct att_table *t, const struct att_uuid *uuid);
const struct att_characteristic *att_table_characteristic(const struct att_table *t,
							  const struct att_service *service,
							  const struct att_uuid *uuid);
const struct att_characteristic *att_table_by_value(const struct att_table *t, uint16_t value);
/* Forgets every service that touches the range; the table is incomplete then and has no hash. */
void att_table_invalidate(struct att_table *t, uint16_t start, uint16_t end);

void att_table_set_hash(struct att_table *t, const uint8_t hash[ATT_HASH_SIZE]);
/* true: the table is complete and was made from the database that has this hash */
bool att_table_matches(const struct att_table *t, const uint8_t hash[ATT_HASH_SIZE]);

/*
 * The table as bytes, for a cache on disk. Version 1, little endian:
 *   u8 version | u8 1 if there is a hash | u8[16] hash | u8 services | u8 characteristics
 *   service: u16 start | u16 end | u8[16] uuid
 *   characteristic: u16 declaration | u16 value | u16 ccc | u8 properties | u8[16] uuid
 *   u32 CRC-32 of all before
 */
#define ATT_TABLE_VERSION   1
#define ATT_TABLE_BYTES_MAX (20 + 20 * ATT_SERVICES_MAX + 23 * ATT_CHARACTERISTICS_MAX + 4)

/* t must be complete (assert). 0; -EMSGSIZE it does not fit */
int att_table_export(const struct att_table *t, uint8_t *buffer, size_t size, size_t *ret_len);
/*
 * The bytes are not trusted. 0; -ENOMSG another version; -EMSGSIZE; -EBADMSG checksum, or handles
 * out of order; -ERANGE a field outside its definition; -ENOSPC. *ret is written on success only.
 */
int att_table_import(const uint8_t *data, size_t len, struct att_table *ret);
