#include "gateway/publish/publish.h"
