/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's counter, and milliseconds for timeouts. */
#ifndef FLEXAGENT_CLOCK_H
#define FLEXAGENT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t flex_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t flex_now_ms(void)
{
	return flex_now_ns() / 1000000u;
}

/* CNTVCT_EL0 on arm64; elsewhere (host tests) nanoseconds. */
static inline uint64_t flex_ticks(void)
{
#ifdef __aarch64__
	uint64_t ticks;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
	return ticks;
#else
	return flex_now_ns();
#endif
}

static inline uint64_t flex_ticks_per_second(void)
{
#ifdef __aarch64__
	uint64_t hz;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
#else
	return 1000000000u;
#endif
}

#endif /* FLEXAGENT_CLOCK_H */
