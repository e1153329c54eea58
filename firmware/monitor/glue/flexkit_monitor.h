/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* What TF-A, the board port and the payload's dispatcher call in Flex-Monitor. */
#ifndef FLEXKIT_MONITOR_H
#define FLEXKIT_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <flexkit/smc.h>

#include "flex_backend.h"	/* flex_core_enter(), flex_core_leave() */

/* Functions 0x100 to 0x1ff of the vendor-specific EL3 range are ours. */
#define FLEX_FID_MASK		UINT32_C(0xFFFFFF00)

static inline bool is_flexkit_fid(uint32_t fid)
{
	return (fid & FLEX_FID_MASK) == FLEX_MON_BASE;
}

/* From TF-A's vendor-specific EL3 service. */
uintptr_t flex_smc_handler(uint32_t fid, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, void *cookie,
			   void *handle, uint64_t flags);

/*
 * flex_monitor_boot() - cold boot, one core, MMU on, before any other image runs: checks the CPU, scrubs what the last
 * boot left, makes every page NORMAL. Does not return if the CPU is not the one that this build is for.
 * @keep_base, @keep_size: what this boot has loaded into DRAM for BL33: not scrubbed
 * @dtb: its device tree, in DRAM: not scrubbed
 */
void flex_monitor_boot(uint64_t keep_base, uint64_t keep_size, uint64_t dtb);

/* PSCI SYSTEM_OFF or SYSTEM_RESET: everything that is not NORMAL is scrubbed. The dirty flag stays. */
void flex_monitor_shutdown(void);

#endif /* FLEXKIT_MONITOR_H */
