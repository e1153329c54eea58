/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* From TF-A's vendor-specific EL3 service to the core and back. */

#include <arch_helpers.h>
#include <common/runtime_svc.h>
#include <context.h>
#include <plat/common/platform.h>

#include "flex_backend.h"
#include "flex_machine.h"
#include "flexkit_monitor.h"

/*
 * flex_smc_handler() - a call of our range, from any world
 *
 * The normal world calls from the level where its kernel runs, and from no other: FLEX_NW_MODE (monitor.mk).
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
		return flex_backend_fault(handle);
	}
	if (GET_EL(read_ctx_reg(get_el3state_ctx(handle), CTX_SPSR_EL3)) !=
	    ((call.caller == FLEX_CALLER_PAYLOAD) ? MODE_EL1 : FLEX_NW_MODE)) {
		SMC_RET1(handle, FLEX_E_DENIED);
	}
	(void)flex_dispatch(&flex_monitor, &call);
	SMC_RET4(handle, call.ret[0], call.ret[1], call.ret[2], call.ret[3]);
}
