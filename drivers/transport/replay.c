#include "drivers/transport/replay.h"
