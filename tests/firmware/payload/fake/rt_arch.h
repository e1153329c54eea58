/* SPDX-License-Identifier: BSD-3-Clause */
/* The processor, on the host: registers are variables of the test, masks are counted so that misuse is seen. */
#ifndef RT_ARCH_H
#define RT_ARCH_H

#include <stdint.h>
#include <time.h>

extern _Thread_local int fake_masked; /* 1 while this thread has interrupts masked */
extern _Thread_local void *fake_core;
extern uint64_t fake_esr;

#define esr_el1 fake_esr
#define RT_READ(reg) (reg)

static inline void *rt_core_pointer(void)
{
	return fake_core;
}

static inline uint64_t rt_ticks(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static inline uint64_t rt_mask(void)
{
	uint64_t was = (uint64_t)fake_masked;

	fake_masked = 1;
	return was;
}

static inline void rt_unmask(uint64_t was)
{
	fake_masked = (int)was;
}

static inline void rt_relax(void)
{
}

extern int fake_interrupt; /* one waits, and goes on waiting */

static inline int rt_interrupt_pending(void)
{
	return fake_interrupt;
}

static inline void rt_context_sync(void)
{
}

/* The worst there is: a core without random numbers. */
static inline uint64_t rt_random(void)
{
	return 0;
}

static inline int rt_has_dotprod(void)
{
	return 0;
}

#endif
