#include "gateway/goals/goals.h"
