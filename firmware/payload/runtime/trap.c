/* SPDX-License-Identifier: BSD-3-Clause */
/* The lowest way out: an exception of one's own, with words. What becomes of it is panic.c. */
#include "runtime.h"

__attribute__((noreturn)) void rt_panic(const char *message)
{
	rt_mask();
	rt_core()->message = message;
	__builtin_trap();
}
