#include "drivers/registry.h"
