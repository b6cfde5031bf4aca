#include "protocols/omron/profile.h"

#include <errno.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define YEAR_BASE 2000
#define YEAR_MAX  2063 /* the records have six bits */

/* clang-format off */
#define ONE(a, n)    { { (a), (n), 1, false } }
#define TWO(a, b, n) { { (a), (n), 1, false }, { (b), (n), 2, false } }
#define NO_WINDOW    { 0, 0 }

/* model, layout, big endian, modern, unlock, regions, record, block, settings, mirror,
 * unread, clock */
const struct omron_profile omron_profiles[] = {
	{ "HEM-6320T", OMRON_EITHER, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x0370, 100), 0x0e, 0x2c, 0x0f74, 0x0f9a, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-6321T", OMRON_EITHER, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x0370, 0x08e8, 100), 0x0e, 0x2c, 0x0f74, 0x0f9a, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-6401T", OMRON_6401, false, false, OMRON_UNLOCK_KEY,
	  ONE(0x1350, 100), 0x10, 0x10, 0x0100, 0x0160, NO_WINDOW, NO_WINDOW },
	{ "HEM-6410T", OMRON_6401, false, false, OMRON_UNLOCK_KEY,
	  ONE(0x5590, 100), 0x20, 0x10, 0x0100, 0x0170, NO_WINDOW, NO_WINDOW },
	{ "HEM-7320T", OMRON_EITHER, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x02ac, 0x05f4, 60), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-7322T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x02ac, 0x0824, 100), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-7511T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x02ac, 0x0798, 90), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-8732T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x02ac, 0x05f4, 60), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-8732K", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x02ac, 0x0522, 45), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-7600T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02ac, 100), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-9601T", OMRON_HEARTGUIDE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x041a, 350), 0x18, 0x2c, 0x0356, 0x03b8, { 0x00, 0x14 }, { 0x50, 0x5a } },
	{ "HEM-9700T", OMRON_HEARTGUIDE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x041a, 1000), 0x18, 0x2c, 0x0356, 0x03b8, { 0x00, 0x14 }, { 0x50, 0x5a } },
	{ "HEM-7325T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02ac, 90), 0x0e, 0x2c, 0x0260, 0x0286, { 0x00, 0x08 }, { 0x14, 0x1e } },
	{ "HEM-6232T", OMRON_BE_6232, true, false, OMRON_UNLOCK_KEY,
	  TWO(0x02e8, 0x0860, 100), 0x0e, 0x2c, 0x0260, 0x02a4, { 0x00, 0x08 }, { 0x2c, 0x3c } },
	{ "HEM-1026T2", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  TWO(0x02e8, 0x0928, 100), 0x10, 0x2c, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7530T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02e8, 90), 0x0e, 0x10, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-6161T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02e8, 30), 0x0e, 0x10, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7136T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02e8, 60), 0x0e, 0x10, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-6231T", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02e8, 100), 0x0e, 0x10, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-6231T_Z", OMRON_BE, true, false, OMRON_UNLOCK_KEY,
	  ONE(0x02e8, 90), 0x0e, 0x10, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7153JT", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  ONE(0x0098, 30), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7150T", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  ONE(0x0098, 60), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7157T", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  ONE(0x0098, 100), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7151T", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  ONE(0x0098, 80), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7155T", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  TWO(0x0098, 0x0458, 60), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7155T-MW", OMRON_LE, false, true, OMRON_UNLOCK_NONE,
	  TWO(0x0098, 0x0458, 60), 0x10, 0x2c, 0x0010, 0x0054, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7155T-K4", OMRON_LE, false, true, OMRON_UNLOCK_NONE,
	  TWO(0x02e8, 0x06a8, 60), 0x10, 0x38, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7155T-MW3", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  TWO(0x02e8, 0x06a8, 60), 0x10, 0x38, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7146T", OMRON_LE, false, true, OMRON_UNLOCK_NONE,
	  ONE(0x02e8, 30), 0x0e, 0x2c, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7342T", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  TWO(0x0098, 0x06d8, 100), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7361T", OMRON_LE, false, false, OMRON_UNLOCK_KEY,
	  TWO(0x0098, 0x06d8, 100), 0x10, 0x10, 0x0010, 0x0054, { 0x00, 0x10 }, { 0x2c, 0x3c } },
	{ "HEM-7191T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  ONE(0x01c4, 60), 0x10, 0x38, 0x0010, 0x0054, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7196T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  TWO(0x01c4, 0x0584, 60), 0x10, 0x38, 0x0010, 0x0054, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7380T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  TWO(0x01c4, 0x0804, 100), 0x10, 0x38, 0x0010, 0x0054, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7376T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  TWO(0x080c, 0x0bcc, 60), 0x10, 0x38, 0x0010, 0x0058, NO_WINDOW, { 0x30, 0x40 } },
	{ "HEM-7377T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  TWO(0x080c, 0x0d0c, 80), 0x10, 0x38, 0x0010, 0x0058, NO_WINDOW, { 0x30, 0x40 } },
	{ "HEM-7386T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  TWO(0x080c, 0x0e4c, 100), 0x10, 0x38, 0x0010, 0x0058, NO_WINDOW, { 0x30, 0x40 } },
	{ "HEM-7188T1", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  ONE(0x01c4, 30), 0x10, 0x38, 0x0010, 0x0054, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-716BT2", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  ONE(0x02e8, 30), 0x0e, 0x2c, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7142T2", OMRON_LE, false, true, OMRON_UNLOCK_TOKEN,
	  ONE(0x02e8, 14), 0x0e, 0x2c, 0x0260, 0x02a4, NO_WINDOW, { 0x2c, 0x3c } },
	{ "HEM-7322U", OMRON_BE, true, false, OMRON_UNLOCK_NONE,
	  TWO(0x02ac, 0x0824, 100), 0x0e, 0x28, 0x0260, 0x0286, NO_WINDOW, { 0x14, 0x1e } },
	{ "HEM-7131U", OMRON_BE, true, false, OMRON_UNLOCK_NONE,
	  TWO(0x02ac, 0x05f4, 60), 0x0e, 0x28, 0x0260, 0x0286, NO_WINDOW, { 0x14, 0x1e } },
	{ "HEM-7322U or HEM-7131U", OMRON_BE, true, false, OMRON_UNLOCK_NONE,
	  { { 0x02ac, 60, 1, false }, { 0x05f4, 40, OMRON_USER_NONE, false },
	    { 0x0824, 20, 2, false }, { 0x093c, 80, 2, true } },
	  0x0e, 0x28, 0x0260, 0x0286, NO_WINDOW, { 0x14, 0x1e } },
};
/* clang-format on */

const size_t omron_n_profiles = N(omron_profiles);

/* ---- names ---- */

/* What cuffs call themselves, beside the row's own name: regional names, names on the box. Of two
 * rows, the modern one only where it offers the modern service. */
static const struct {
	const char *name;
	const char *model;  /* NULL: not on this service */
	const char *modern; /* on the modern service; NULL: the same */
} names[] = {
	{ "BP300", "HEM-7320T", NULL },
	{ "BP4350", "HEM-6232T", NULL },
	{ "BP5150", "HEM-7142T2", NULL },
	{ "BP5250", "HEM-7151T", NULL },
	{ "BP5255", "HEM-716BT2", NULL },
	{ "BP5350", "HEM-7155T", "HEM-7155T-K4" },
	{ "BP5360", "HEM-7377T1", NULL },
	{ "BP5450", "HEM-7342T", NULL },
	{ "BP5465", "HEM-7386T1", NULL },
	{ "BP6001", "HEM-6401T", NULL },
	{ "BP6350", "HEM-6231T_Z", NULL },
	{ "BP653", "HEM-6321T", NULL },
	{ "BP654", "HEM-6320T", NULL },
	{ "BP7000", "HEM-7600T", NULL },
	{ "BP7150", "HEM-7142T2", NULL },
	{ "BP7250", "HEM-7150T", NULL },
	{ "BP7250CAN", "HEM-7150T", NULL },
	{ "BP7255", "HEM-716BT2", NULL },
	{ "BP7350", "HEM-7155T", "HEM-7155T-K4" },
	{ "BP7350CAN", "HEM-7155T", "HEM-7155T-K4" },
	{ "BP7360", "HEM-7376T1", NULL },
	{ "BP7365CAN", "HEM-7376T1", NULL },
	{ "BP7450", "HEM-7342T", NULL },
	{ "BP7450CAN", "HEM-7342T", NULL },
	{ "BP7455CAN", "HEM-7342T", NULL },
	{ "BP7465", "HEM-7386T1", NULL },
	{ "BP761CANN", "HEM-7320T", NULL },
	{ "BP761N", "HEM-7320T", NULL },
	{ "BP769CAN", "HEM-7320T", NULL },
	{ "BP786CANN", "HEM-7322T", NULL },
	{ "BP786N", "HEM-7322T", NULL },
	{ "BP7900", "HEM-7530T", NULL },
	{ "BP8000", "HEM-6410T", NULL },
	{ "Boots Blood Pressure device", "HEM-7361T", NULL },
	{ "Complete", "HEM-7530T", NULL },
	{ "EVOLV", "HEM-7600T", NULL },
	{ "Evolv", "HEM-7600T", NULL },
	{ "Gold", "HEM-7155T", "HEM-7155T-K4" },
	{ "HCR-1901T2", "HEM-1026T2", NULL },
	{ "HCR-1902T2", "HEM-1026T2", NULL },
	{ "HCR-7206T2", "HEM-7146T", NULL },
	{ "HCR-7308T2", "HEM-7146T", NULL },
	{ "HCR-7501T", "HEM-7157T", NULL },
	{ "HCR-7608T2", "HEM-7600T", NULL },
	{ "HCR-7800T", "HEM-7530T", NULL },
	{ "HEM-1026T2-AJC", "HEM-1026T2", NULL },
	{ "HEM-1026T2-AJE", "HEM-1026T2", NULL },
	{ "HEM-1026T2-AKA", "HEM-1026T2", NULL },
	{ "HEM-6161T-D", "HEM-6161T", NULL },
	{ "HEM-6161T-D/E", "HEM-6161T", NULL },
	{ "HEM-6161T-E", "HEM-6161T", NULL },
	{ "HEM-6161T-RU", "HEM-6161T", NULL },
	{ "HEM-6161T2-BR", "HEM-6161T", NULL },
	{ "HEM-6231T-SH", "HEM-6231T", NULL },
	{ "HEM-6231T2-JC", "HEM-7530T", NULL },
	{ "HEM-6231T2-JE", "HEM-7530T", NULL },
	{ "HEM-6231T2-JT3", "HEM-7530T", NULL },
	{ "HEM-6232T-AP", "HEM-6232T", NULL },
	{ "HEM-6232T-D", "HEM-6232T", NULL },
	{ "HEM-6232T-D/E", "HEM-6232T", NULL },
	{ "HEM-6232T-E", "HEM-6232T", NULL },
	{ "HEM-6232T-Z", "HEM-6232T", NULL },
	{ "HEM-6233T", "HEM-6232T", NULL },
	{ "HEM-6320T-SH", "HEM-6320T", NULL },
	{ "HEM-6320T-Z", "HEM-6320T", NULL },
	{ "HEM-6321T-Z", "HEM-6321T", NULL },
	{ "HEM-6322T-SH", "HEM-6320T", NULL },
	{ "HEM-6323T", "HEM-6320T", NULL },
	{ "HEM-6324T", "HEM-6321T", NULL },
	{ "HEM-6325T", "HEM-6320T", NULL },
	{ "HEM-6401T-Z", "HEM-6401T", NULL },
	{ "HEM-6402T-Z", "HEM-6401T", NULL },
	{ "HEM-6410T-Z", "HEM-6410T", NULL },
	{ "HEM-6410T-Z_BP", "HEM-6410T", NULL },
	{ "HEM-6410T-Z_BP+EV", "HEM-6410T", NULL },
	{ "HEM-6411T-MAE", "HEM-6410T", NULL },
	{ "HEM-7136T-SH3", "HEM-7136T", NULL },
	{ "HEM-7138JT-SH", "HEM-7136T", NULL },
	{ "HEM-7138K-SH", "HEM-7142T2", NULL },
	{ "HEM-7138T-SH", "HEM-7136T", NULL },
	{ "HEM-7139T-SH3", "HEM-7136T", NULL },
	{ "HEM-7140T1", "HEM-7142T2", NULL },
	{ "HEM-7140T1-AP", "HEM-7142T2", NULL },
	{ "HEM-7141T1", "HEM-7142T2", NULL },
	{ "HEM-7141T1-AP", "HEM-7142T2", NULL },
	{ "HEM-7142T1", "HEM-7142T2", NULL },
	{ "HEM-7142T1-AP", "HEM-7142T2", NULL },
	{ "HEM-7142T2-AP", "HEM-7142T2", NULL },
	{ "HEM-7142T2-Z", "HEM-7142T2", NULL },
	{ "HEM-7142T2-ZAZ", "HEM-7142T2", NULL },
	{ "HEM-7142T2_JAZ", "HEM-7142T2", NULL },
	{ "HEM-7143T1", "HEM-7146T", NULL },
	{ "HEM-7143T1-AIN", "HEM-7146T", NULL },
	{ "HEM-7143T1-AP", "HEM-7146T", NULL },
	{ "HEM-7143T1-D", "HEM-7146T", NULL },
	{ "HEM-7143T1-E", "HEM-7146T", NULL },
	{ "HEM-7143T1-EBK", "HEM-7146T", NULL },
	{ "HEM-7143T1_D", "HEM-7146T", NULL },
	{ "HEM-7143T1_EBK", "HEM-7146T", NULL },
	{ "HEM-7143T2", "HEM-7146T", NULL },
	{ "HEM-7143T2-E", "HEM-7146T", NULL },
	{ "HEM-7143T2-ESL", "HEM-7146T", NULL },
	{ "HEM-7143T2_ESL", "HEM-7146T", NULL },
	{ "HEM-7144T1", "HEM-7146T", NULL },
	{ "HEM-7144T1-AU", "HEM-7146T", NULL },
	{ "HEM-7144T2-BR", "HEM-7146T", NULL },
	{ "HEM-7144T2-LA", "HEM-7146T", NULL },
	{ "HEM-7146T2", "HEM-7146T", NULL },
	{ "HEM-7146T2-EBK", "HEM-7146T", NULL },
	{ "HEM-7146T2-ESL", "HEM-7146T", NULL },
	{ "HEM-7146T2-JD", "HEM-7146T", NULL },
	{ "HEM-7146T2-JF", "HEM-7146T", NULL },
	{ "HEM-7149T2-E", "HEM-716BT2", NULL },
	{ "HEM-7150T-CA", "HEM-7150T", NULL },
	{ "HEM-7150T-Z", "HEM-7150T", NULL },
	{ "HEM-7151T-Z", "HEM-7151T", NULL },
	{ "HEM-7153JT_ASH", "HEM-7153JT", NULL },
	{ "HEM-7153T_ASH", "HEM-7150T", NULL },
	{ "HEM-7155T", "HEM-7155T", "HEM-7155T-MW3" },
	{ "HEM-7155T-ALRU", "HEM-7155T", NULL },
	{ "HEM-7155T-AP", "HEM-7155T", NULL },
	{ "HEM-7155T-D", "HEM-7155T", "HEM-7155T-MW3" },
	{ "HEM-7155T-EBK", "HEM-7155T", "HEM-7155T-MW3" },
	{ "HEM-7155T-EBL", "HEM-7155T", NULL },
	{ "HEM-7155T-ESL", "HEM-7155T", "HEM-7155T-MW3" },
	{ "HEM-7155T_AP", "HEM-7155T", NULL },
	{ "HEM-7155T_ASH3BK", "HEM-7155T", NULL },
	{ "HEM-7155T_ASH3SL", "HEM-7155T", NULL },
	{ "HEM-7155T_ESL", "HEM-7155T", "HEM-7155T-MW3" },
	{ "HEM-7155T_ESL1", "HEM-7155T-MW3", NULL },
	{ "HEM-7155T_K4-D", "HEM-7155T-K4", NULL },
	{ "HEM-7155T_K4-EBK", "HEM-7155T-K4", NULL },
	{ "HEM-7155T_K4-ESL", "HEM-7155T-K4", NULL },
	{ "HEM-7156T", "HEM-7150T", NULL },
	{ "HEM-7156T-A", "HEM-7150T", NULL },
	{ "HEM-7156T-AAP", "HEM-7150T", NULL },
	{ "HEM-7156T-BR", "HEM-7150T", NULL },
	{ "HEM-7156T-LA", "HEM-7150T", NULL },
	{ "HEM-7156T_AAP", "HEM-7150T", NULL },
	{ "HEM-7156T_AP", "HEM-7150T", NULL },
	{ "HEM-7157T-AP", "HEM-7157T", NULL },
	{ "HEM-7158T-JC", "HEM-7157T", NULL },
	{ "HEM-7158T_AP3", "HEM-7157T", NULL },
	{ "HEM-7159T_AP3", "HEM-7342T", NULL },
	{ "HEM-716BT2-ZAZ", "HEM-716BT2", NULL },
	{ "HEM-716CT2-Z", "HEM-716BT2", NULL },
	{ "HEM-716DT2-LA", "HEM-7146T", NULL },
	{ "HEM-7183T1-AP", "HEM-7188T1", NULL },
	{ "HEM-7183T1-CAP", "HEM-7188T1", NULL },
	{ "HEM-7183T1_FLBIN", "HEM-7188T1", NULL },
	{ "HEM-7183T1_FLIN", "HEM-7188T1", NULL },
	{ "HEM-7183T1_LAP", "HEM-7188T1", NULL },
	{ "HEM-7188T1-LE", "HEM-7188T1", NULL },
	{ "HEM-7188T1-LEO", "HEM-7188T1", NULL },
	{ "HEM-7191T1-LZ", "HEM-7191T1", NULL },
	{ "HEM-7194T1-FLAP", "HEM-7196T1", NULL },
	{ "HEM-7194T1-FLCAP", "HEM-7196T1", NULL },
	{ "HEM-7194T1_FLBIN", "HEM-7196T1", NULL },
	{ "HEM-7194T1_FLIN", "HEM-7196T1", NULL },
	{ "HEM-7196T1-FLE", "HEM-7196T1", NULL },
	{ "HEM-7196T1-FLEO", "HEM-7196T1", NULL },
	{ "HEM-7270C", "HEM-7600T", NULL },
	{ "HEM-7271L-SH3", "HEM-6161T", NULL },
	{ "HEM-7271P-SH3", "HEM-7530T", NULL },
	{ "HEM-7271T", "HEM-7600T", NULL },
	{ "HEM-7271T_SH3", "HEM-7530T", NULL },
	{ "HEM-7280T", "HEM-7322T", NULL },
	{ "HEM-7280T-AP", "HEM-7322T", NULL },
	{ "HEM-7280T-D", "HEM-7322T", NULL },
	{ "HEM-7280T-E", "HEM-7322T", NULL },
	{ "HEM-7280T_TI-D", "HEM-7322T", NULL },
	{ "HEM-7280T_TI-E", "HEM-7322T", NULL },
	{ "HEM-7281T", "HEM-7322T", NULL },
	{ "HEM-7282T", "HEM-7322T", NULL },
	{ "HEM-7320T-CA", "HEM-7320T", NULL },
	{ "HEM-7320T-CACS", "HEM-7320T", NULL },
	{ "HEM-7320T-ZV", "HEM-7320T", NULL },
	{ "HEM-7320T_TI-CA", "HEM-7320T", NULL },
	{ "HEM-7320T_TI-Z", "HEM-7320T", NULL },
	{ "HEM-7321T-CA", "HEM-7322T", NULL },
	{ "HEM-7321T-ZV", "HEM-7322T", NULL },
	{ "HEM-7321T_TI-CA", "HEM-7322T", NULL },
	{ "HEM-7321T_TI-Z", "HEM-7322T", NULL },
	{ "HEM-7322T-D", "HEM-7322T", NULL },
	{ "HEM-7322T-E", "HEM-7322T", NULL },
	{ "HEM-7340T-CA", "HEM-7155T", NULL },
	{ "HEM-7340T-Z", "HEM-7155T", NULL },
	{ "HEM-7340T_K4-CA", "HEM-7155T-K4", NULL },
	{ "HEM-7340T_K4-Z", "HEM-7155T-K4", NULL },
	{ "HEM-7341T-Z", "HEM-7155T", NULL },
	{ "HEM-7341T_K4-Z", "HEM-7155T-K4", NULL },
	{ "HEM-7342T-CA", "HEM-7342T", NULL },
	{ "HEM-7342T-Z", "HEM-7342T", NULL },
	{ "HEM-7342T1-ACACD6", "HEM-7342T", NULL },
	{ "HEM-7343T", "HEM-7342T", NULL },
	{ "HEM-7343T-Z", "HEM-7342T", NULL },
	{ "HEM-7344JT_ASH3", "HEM-7342T", NULL },
	{ "HEM-7344T_ASH3BK", "HEM-7342T", NULL },
	{ "HEM-7344T_ASH3SL", "HEM-7342T", NULL },
	{ "HEM-7346T-AJC3", "HEM-7342T", NULL },
	{ "HEM-7346T-AJE3", "HEM-7342T", NULL },
	{ "HEM-7346T2-AJC32", "HEM-7342T", NULL },
	{ "HEM-7346T2-AJE32", "HEM-7342T", NULL },
	{ "HEM-7346T_ABR3", "HEM-7342T", NULL },
	{ "HEM-7346T_AP3", "HEM-7342T", NULL },
	{ "HEM-7347T-AJC3", "HEM-7342T", NULL },
	{ "HEM-7347T-AJE3", "HEM-7342T", NULL },
	{ "HEM-7347T2-AJC32", "HEM-7342T", NULL },
	{ "HEM-7347T2-AJE32", "HEM-7342T", NULL },
	{ "HEM-7349T_ABR", "HEM-7342T", NULL },
	{ "HEM-7361T-ALRU", "HEM-7361T", NULL },
	{ "HEM-7361T-AP", "HEM-7361T", NULL },
	{ "HEM-7361T-D", "HEM-7361T", NULL },
	{ "HEM-7361T-EBK", "HEM-7361T", NULL },
	{ "HEM-7361T1-BS", "HEM-7361T", NULL },
	{ "HEM-7361T_ESL", "HEM-7361T", NULL },
	{ "HEM-7376T1-ACACD6", "HEM-7376T1", NULL },
	{ "HEM-7376T1-Z", "HEM-7376T1", NULL },
	{ "HEM-7377T1-ZAZ", "HEM-7377T1", NULL },
	{ "HEM-7380T", "HEM-7380T1", NULL },
	{ "HEM-7380T1-EBK", "HEM-7380T1", NULL },
	{ "HEM-7380T1-EOSL", "HEM-7380T1", NULL },
	{ "HEM-7381T1-AZ", "HEM-7386T1", NULL },
	{ "HEM-7382T1", "HEM-7386T1", NULL },
	{ "HEM-7382T1-AZAZ", "HEM-7386T1", NULL },
	{ "HEM-7383T1-AP", "HEM-7380T1", NULL },
	{ "HEM-7384T1-NBBR", "HEM-7380T1", NULL },
	{ "HEM-7385T1-AJAZ3", "HEM-7376T1", NULL },
	{ "HEM-7386T1-AJF3", "HEM-7386T1", NULL },
	{ "HEM-7387T1-AJAZ3", "HEM-7376T1", NULL },
	{ "HEM-7388T1-AJF3", "HEM-7386T1", NULL },
	{ "HEM-7389T1-JM3", "HEM-7376T1", NULL },
	{ "HEM-7530T-Z", "HEM-7530T", NULL },
	{ "HEM-7530T1-BR3", "HEM-7530T", NULL },
	{ "HEM-7530T_AP3", "HEM-7530T", NULL },
	{ "HEM-7530T_E3", "HEM-7530T", NULL },
	{ "HEM-7530T_J3", "HEM-7530T", NULL },
	{ "HEM-7530T_JT3", "HEM-7530T", NULL },
	{ "HEM-7600T-E", "HEM-7600T", NULL },
	{ "HEM-7600T-SH3BK", "HEM-7600T", NULL },
	{ "HEM-7600T-Z", "HEM-7600T", NULL },
	{ "HEM-7600T-ZCD6BK", "HEM-7600T", NULL },
	{ "HEM-7600T2-JF", "HEM-7600T", NULL },
	{ "HEM-7600T_W", "HEM-7600T", NULL },
	{ "HEM-7600T_W-SH3W", "HEM-7600T", NULL },
	{ "HEM-7600T_W-Z", "HEM-7600T", NULL },
	{ "HEM-8630T-SH", "HEM-7530T", NULL },
	{ "HEM-8725T-WM", "HEM-7320T", NULL },
	{ "HEM-8732K-SH", "HEM-8732K", NULL },
	{ "HEM-8732T-SH", "HEM-8732T", NULL },
	{ "HEM-9601T-E3", "HEM-9601T", NULL },
	{ "HEM-9601T-J3", "HEM-9601T", NULL },
	{ "HEM-9601T2-BR3", "HEM-9601T", NULL },
	{ "HEM-9601T_E3", "HEM-9601T", NULL },
	{ "HeartGuide", "HEM-6410T", NULL },
	{ "HeartVue", "HEM-6401T", NULL },
	{ "JPN610T", "HEM-7157T", NULL },
	{ "JPN616T", "HEM-7342T", NULL },
	{ "JPN710T", "HEM-7342T", NULL },
	{ "M2 Intelli IT", "HEM-7146T", NULL },
	{ "M2 Intelli IT+", "HEM-7146T", NULL },
	{ "M2+", "HEM-7188T1", NULL },
	{ "M300 Intelli IT", "HEM-7146T", NULL },
	{ "M4 Connect AFib", "HEM-7196T1", NULL },
	{ "M4 Intelli IT", "HEM-7155T", "HEM-7155T-MW3" },
	{ "M400 Intelli IT", "HEM-7155T", "HEM-7155T-MW3" },
	{ "M500 Intelli IT", "HEM-7361T", NULL },
	{ "M7 Intelli IT", NULL, NULL },
	{ "M7 Intelli IT AFib", "HEM-7380T1", NULL },
	{ "M700 Intelli IT", "HEM-7322T", NULL },
	{ "MIT5s", "HEM-7322T", NULL },
	{ "NightView", "HEM-9601T", NULL },
	{ "OMRON Complete", "HEM-7530T", NULL },
	{ "Platinum", "HEM-7342T", NULL },
	{ "RS3 Intelli IT", "HEM-6161T", NULL },
	{ "RS7 Intelli IT", "HEM-6232T", NULL },
	{ "X2 Smart", "HEM-7146T", NULL },
	{ "X2 Smart+", "HEM-7146T", NULL },
	{ "X2+", "HEM-7188T1", NULL },
	{ "X2+ Connect", "HEM-7188T1", NULL },
	{ "X4 Connect AFib", "HEM-7196T1", NULL },
	{ "X4 Smart", "HEM-7155T", "HEM-7155T-MW3" },
	{ "X7 Smart", "HEM-7361T", NULL },
	{ "X7 Smart AFib", "HEM-7380T1", NULL },
};

static bool is(const char *name, const void *text, size_t len)
{
	return strlen(name) == len && memcmp(name, text, len) == 0;
}

static const struct omron_profile *by_model(const void *text, size_t len)
{
	for (size_t i = 0; i < omron_n_profiles; i++)
		if (is(omron_profiles[i].model, text, len))
			return &omron_profiles[i];
	return NULL;
}

const struct omron_profile *omron_profile_by_model(const char *model)
{
	return by_model(model, strlen(model));
}

const struct omron_profile *omron_profile_by_name(const void *text, size_t len, bool modern)
{
	const struct omron_profile *p;

	for (size_t i = 0; i < N(names); i++) {
		const char *model = names[i].model;

		if (!is(names[i].name, text, len))
			continue;
		if (modern && names[i].modern)
			model = names[i].modern;
		return model ? omron_profile_by_model(model) : NULL;
	}
	p = by_model(text, len);
	return p;
}

size_t omron_profile_regions(const struct omron_profile *p)
{
	size_t n = 0;

	while (n < OMRON_REGIONS_MAX && p->regions[n].records > 0)
		n++;
	return n;
}

/* ---- the clock ---- */

static void turn_words(uint8_t *data, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		const uint8_t first = data[i];

		data[i] = data[i + 1];
		data[i + 1] = first;
	}
}

static size_t date_at(size_t n)
{
	return n == OMRON_CLOCK_MAX ? 8 : 2;
}

static bool adds_up(const uint8_t *data, size_t n)
{
	return omron_sum(data, n) == data[n - 2];
}

static bool date_of(const uint8_t *data, size_t n, struct gatt_date_time *ret)
{
	const uint8_t *d = data + date_at(n);
	const struct gatt_date_time t = {
		(uint16_t)(YEAR_BASE + d[0]), d[1], d[2], d[3], d[4], d[5]
	};

	*ret = t;
	return t.month != 0 && t.day != 0 && gatt_date_time_valid(&t);
}

/* Copies the window with its words little endian; by the sum where the model leaves that open. */
static int straighten(const struct omron_profile *p, const uint8_t *data, size_t n,
		      uint8_t ret[OMRON_CLOCK_MAX], bool *ret_turned)
{
	struct gatt_date_time t;
	uint8_t v[OMRON_CLOCK_MAX];
	bool turned = p->big_endian;

	if (n != 10 && n != OMRON_CLOCK_MAX)
		return -EMSGSIZE;
	memcpy(v, data, n);
	if (turned)
		turn_words(v, n);
	if ((p->layout == OMRON_EITHER || p->layout == OMRON_HEARTGUIDE) &&
	    !(adds_up(v, n) && date_of(v, n, &t))) {
		turn_words(v, n);
		turned = !turned;
	}
	if (!adds_up(v, n))
		return -EBADMSG;
	memcpy(ret, v, n);
	*ret_turned = turned;
	return 0;
}

int omron_clock_decode(const struct omron_profile *p, const uint8_t *data, size_t n,
		       struct gatt_date_time *ret)
{
	struct gatt_date_time t;
	uint8_t v[OMRON_CLOCK_MAX];
	bool turned;
	int r = straighten(p, data, n, v, &turned);

	if (r < 0)
		return r;
	if (!date_of(v, n, &t))
		return -EBADMSG;
	*ret = t;
	return 0;
}

int omron_clock_set(const struct omron_profile *p, uint8_t *data, size_t n,
		    const struct gatt_date_time *now)
{
	uint8_t v[OMRON_CLOCK_MAX], *d;
	bool turned;
	int r = straighten(p, data, n, v, &turned);

	if (r < 0)
		return r;
	if (now->year < YEAR_BASE || now->year > YEAR_MAX)
		return -ERANGE;
	d = v + date_at(n);
	d[0] = (uint8_t)(now->year - YEAR_BASE);
	d[1] = now->month;
	d[2] = now->day;
	d[3] = now->hour;
	d[4] = now->minute;
	d[5] = now->second;
	v[n - 2] = omron_sum(v, n);
	if (turned)
		turn_words(v, n);
	memcpy(data, v, n);
	return 0;
}
