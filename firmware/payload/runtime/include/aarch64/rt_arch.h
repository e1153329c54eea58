/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the payload needs of the processor in C. The host tests have another file of this name
 * (tests/firmware/payload/fake), with the same functions.
 */
#ifndef RT_ARCH_H
#define RT_ARCH_H

#include <stdint.h>

#define RT_READ(reg)                                             \
	({                                                       \
		uint64_t value_;                                 \
		__asm__ volatile("mrs %0, " #reg : "=r"(value_)); \
		value_;                                          \
	})
#define RT_WRITE(reg, value) __asm__ volatile("msr " #reg ", %0" ::"r"((uint64_t)(value)) : "memory")

/* What was put into TPIDR_EL1 when this core came up: its struct rt_core. Interrupts masked, or it may be another's. */
static inline void *rt_core_pointer(void)
{
	return (void *)RT_READ(tpidr_el1);
}

/* The board's counter, in ticks of FLEX_BOARD_COUNTER_HZ. */
static inline uint64_t rt_ticks(void)
{
	__asm__ volatile("isb" ::: "memory");
	return RT_READ(cntpct_el0);
}

/* Masks interrupts, and returns the mask as it was. The NW's arrive here as FIQ from a GICv3, as IRQ from a GICv2. */
static inline uint64_t rt_mask(void)
{
	uint64_t daif = RT_READ(daif);

	__asm__ volatile("msr daifset, #3" ::: "memory");
	return daif;
}

static inline void rt_unmask(uint64_t daif)
{
	RT_WRITE(daif, daif);
}

/* True when an interrupt of the normal world waits for this core. */
static inline int rt_interrupt_pending(void)
{
	return (RT_READ(isr_el1) & 0xc0) != 0;
}

static inline void rt_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

/* Dot products of bytes: sdot (FEAT_DotProd). */
static inline int rt_has_dotprod(void)
{
	return (RT_READ(id_aa64isar0_el1) >> 44 & 0xf) != 0;
}

/* A random number (FEAT_RNG); 0: the core has none, or none just now. */
static inline uint64_t rt_random(void)
{
	uint64_t value = 0, failed = 1;

	if (RT_READ(id_aa64isar0_el1) >> 60)
		__asm__ volatile("mrs %0, s3_3_c2_c4_0\n\tcset %1, eq" : "=r"(value), "=r"(failed)::"cc");
	return failed ? 0 : value;
}

/*
 * Forgets what this core began out of order. A page that another core has just mapped may fault here once more without
 * it, however the news came: translation is not ordered with loads.
 */
static inline void rt_context_sync(void)
{
	__asm__ volatile("isb" ::: "memory");
}

/* Completes earlier changes of translation tables, for the walkers of every core. */
static inline void rt_tables_sync(void)
{
	__asm__ volatile("dsb ishst" ::: "memory");
}

static inline void rt_tlb_page(uint64_t va)
{
	__asm__ volatile("tlbi vaae1is, %0" ::"r"((va >> 12) & 0xfffffffffffUL) : "memory");
}

static inline void rt_tlb_all(void)
{
	__asm__ volatile("tlbi vmalle1is" ::: "memory");
}

/* Waits until invalidations have been obeyed by every core. */
static inline void rt_tlb_sync(void)
{
	__asm__ volatile("dsb ish\n\tisb" ::: "memory");
}

#endif /* RT_ARCH_H */
