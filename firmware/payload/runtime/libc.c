/* SPDX-License-Identifier: BSD-3-Clause */
/* What the compiler and the code expect of a C library. Eight bytes at a time where both ends allow it. */
#include "rt/rt.h"

typedef uint64_t __attribute__((may_alias)) word_alias;

#define ALIGNED(p) (((uintptr_t)(p) & 7) == 0)

void *memcpy(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (ALIGNED(d) && ALIGNED(s)) {
		for (; n >= 8; n -= 8, d += 8, s += 8)
			*(word_alias *)d = *(const word_alias *)s;
	}
	while (n--)
		*d++ = *s++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (d <= s || d >= s + n)
		return memcpy(to, from, n);
	while (n--)
		d[n] = s[n];
	return to;
}

void *memset(void *to, int value, size_t n)
{
	uint8_t *d = to;
	uint64_t eight = 0x0101010101010101UL * (uint8_t)value;

	for (; n && !ALIGNED(d); n--)
		*d++ = (uint8_t)value;
	for (; n >= 8; n -= 8, d += 8)
		*(word_alias *)d = eight;
	while (n--)
		*d++ = (uint8_t)value;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}
