/* SPDX-License-Identifier: BSD-3-Clause */
/* The least that a host test needs: an assertion that says where, and numbers from a seed that is printed. */
#ifndef FLEXAGENT_TEST_CHECK_H
#define FLEXAGENT_TEST_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition);      \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* xorshift64*: the same sequence for the same seed everywhere. */
static inline uint64_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1Du;
}

static inline uint32_t draw_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)(draw(state) >> 33) % limit;
}

/* The seed of a run: $SEED, else fixed; printed in either case. */
static inline uint64_t seed(void)
{
	const char *text = getenv("SEED");
	uint64_t value = text ? strtoull(text, NULL, 0) : 20241120u;

	printf("SEED=%llu\n", (unsigned long long)value);
	return value ? value : 1;
}

#endif /* FLEXAGENT_TEST_CHECK_H */
