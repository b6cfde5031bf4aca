#include "gateway/cli/print.h"
