#include "protocols/messages/codes.h"
