#include "protocols/bytes/decimal.h"
