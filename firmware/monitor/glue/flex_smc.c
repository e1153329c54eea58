/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* From TF-A's vendor-specific EL3 service to the core and back; the backend's operations on the machine. */

#include <arch_helpers.h>
#include <common/runtime_svc.h>
#include <context.h>
#include <lib/utils.h>
#include <plat/common/platform.h>

#include "flexkit_monitor.h"
#include "stage2.h"

#define ISR_INTERRUPT	(UINT64_C(3) << 6)	/* IRQ or FIQ pending, masked or not */

static void op_unmap(uint64_t page)
{
	flex_monitor_mark(page);
	stage2_unmap(page);
}

static void op_unmap_block(uint64_t block)
{
	flex_monitor_mark(block);
	stage2_unmap_block(block);
}

static int op_invalidate(void)
{
	stage2_tlbi();
	return smmu_invalidate();
}

static void op_scrub(uint64_t page)
{
	zero_normalmem((void *)(uintptr_t)page, FLEX_PAGE_SIZE);
	flush_dcache_range((uintptr_t)page, FLEX_PAGE_SIZE);
}

static bool op_interrupt_pending(void)
{
	return (read_isr_el1() & ISR_INTERRUPT) != 0U;
}

static uint64_t op_ticks(void)
{
	return read_cntpct_el0();
}

const struct flex_ops flex_machine_ops = {
	.unmap = op_unmap,
	.map = stage2_map,
	.unmap_block = op_unmap_block,
	.map_block = stage2_map_block,
	.invalidate = op_invalidate,
	.publish = stage2_publish,
	.scrub = op_scrub,
	.interrupt_pending = op_interrupt_pending,
	.ticks = op_ticks,
	.protect = protect_switch,
	.protected = protect_is_on,
};

/*
 * flex_smc_handler() - a call of our range, from any world
 *
 * The normal world calls from EL1 alone: at its EL2 nothing runs but the monitor's vectors.
 */
uintptr_t flex_smc_handler(uint32_t fid, uint64_t x1, uint64_t x2, uint64_t x3, uint64_t x4, void *cookie,
			   void *handle, uint64_t flags)
{
	struct flex_call call = {
		.fid = fid,
		.caller = is_caller_secure(flags) ? FLEX_CALLER_PAYLOAD : FLEX_CALLER_NW,
		.core = plat_my_core_pos(),
		.arg = { x1, x2, x3, x4 },
	};

	(void)cookie;
	if (fid == FLEX_MON_EL2_FAULT) {
		return el2_fault(handle);
	}
	if (GET_EL(read_ctx_reg(get_el3state_ctx(handle), CTX_SPSR_EL3)) != MODE_EL1) {
		SMC_RET1(handle, FLEX_E_DENIED);
	}
	(void)flex_dispatch(&flex_monitor, &call);
	SMC_RET4(handle, call.ret[0], call.ret[1], call.ret[2], call.ret[3]);
}

void flex_monitor_entered_payload(void)
{
	flex_count(&flex_monitor, FLEX_STAT_SWITCHES, 1U);
}

void flex_monitor_payload_identity(uint64_t high, uint64_t low, bool debug)
{
	flex_monitor.identity[FLEX_PART_PAYLOAD].high = high;
	flex_monitor.identity[FLEX_PART_PAYLOAD].low = low;
	flex_monitor.identity[FLEX_PART_PAYLOAD].debug = debug ? 1U : 0U;
}
