#include "gateway/intake/intake.h"
