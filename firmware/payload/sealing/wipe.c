/* SPDX-License-Identifier: BSD-3-Clause */
/* What Mbed TLS asks of its surroundings. */
#include <mbedtls/platform_util.h>
#include <string.h>

void mbedtls_platform_zeroize(void *buf, size_t len)
{
	if (len == 0)
		return;
	memset(buf, 0, len);
	/* Somebody may look at it: the stores stay. */
	__asm__ volatile("" : : "r"(buf) : "memory");
}
