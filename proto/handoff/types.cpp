#include "proto/handoff/types.hpp"
