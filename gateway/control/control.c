#include "gateway/store/store.h"
