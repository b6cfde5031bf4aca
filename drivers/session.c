#include "drivers/session.h"
