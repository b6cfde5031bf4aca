#include "gateway/arena.h"
