#include "drivers/measurement.h"
