/*
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Dispatcher of the FlexKit payload (BL32): boots it, carries yielding Trusted-OS calls to it on the core that made
 * them, and its answers back. Which thread runs is the payload's business: this file keeps one S-EL1 register context
 * a core and nothing else, and enters the payload at the same vector every time.
 *
 * Whatever the payload does with SIMD registers, the normal world finds its own there (I6): they are saved before
 * every entry and restored after every exit, here, so that it does not hang on the payload's good behaviour.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <arch_features.h>
#include <arch_helpers.h>
#include <bl31/bl31.h>
#include <common/bl_common.h>
#include <common/debug.h>
#include <common/runtime_svc.h>
#include <lib/el3_runtime/context_mgmt.h>
#include <lib/utils.h>
#include <plat/common/platform.h>

#include "flexd_private.h"
#include "flex_machine.h"

struct flex_vectors flexd_vectors;
static struct flexd_core flexd_cores[PLATFORM_CORE_COUNT];

struct flexd_core *flexd_this_core(void)
{
	return &flexd_cores[plat_my_core_pos()];
}

void flexd_init_core(struct flexd_core *core, uintptr_t pc)
{
	entry_point_info_t ep = { 0 };

	SET_PARAM_HEAD(&ep, PARAM_EP, VERSION_1, SECURE | EP_ST_ENABLE);
	ep.pc = pc;
	ep.spsr = SPSR_64(MODE_EL1, MODE_SP_ELX, DISABLE_ALL_EXCEPTIONS);
	cm_set_context(&core->cpu_ctx, SECURE);
	cm_init_my_context(&ep);
}

uint64_t flexd_enter_sync(struct flexd_core *core, uintptr_t pc)
{
	uint64_t status;

	assert(cm_get_context(SECURE) == &core->cpu_ctx);
	flexd_simd_save(&core->simd);
	cm_set_elr_spsr_el3(SECURE, pc, SPSR_64(MODE_EL1, MODE_SP_ELX, DISABLE_ALL_EXCEPTIONS));
	cm_el1_sysregs_context_restore(SECURE);
	cm_set_next_eret_context(SECURE);
	status = flexd_enter(&core->c_rt_ctx);
	core->c_rt_ctx = 0U;
	flexd_simd_restore(&core->simd);
	return status;
}

/* The other half of flexd_enter_sync(): the payload has finished what it was entered for. */
static uintptr_t flexd_leave_sync(struct flexd_core *core, void *handle, uint64_t status)
{
	/* Without an entry under way there is nowhere to go back to: the call is refused. */
	if (core->c_rt_ctx == 0U) {
		SMC_RET1(handle, (u_register_t)FLEX_E_STATE);
	}
	cm_el1_sysregs_context_save(SECURE);
	flexd_exit(core->c_rt_ctx, status);
}

/* Deferred until BL31 is ready: boots the payload on the primary core. Returns 0 when there is none, as BL31 expects. */
static int32_t flexd_boot(void)
{
	struct flexd_core *core = flexd_this_core();
	uintptr_t pc = bl31_plat_get_next_image_ep_info(SECURE)->pc;
	uintptr_t vectors;

	flexd_init_core(core, pc);
	vectors = flexd_enter_sync(core, pc);
	if (vectors == 0U) {
		ERROR("flexd: the payload refused to start\n");
		core->state = FLEXD_FAILED;
		return 0;
	}
	core->state = FLEXD_ON;
	psci_register_spd_pm_hook(&flexd_pm);
	return 1;
}

/*
 * True when the payload's vectors were taken over. The address comes from the payload, which is trusted as the code
 * that EL3 loaded and started; the size of its region is the platform's affair.
 */
static bool flexd_take_vectors(uintptr_t address, void *handle)
{
	const struct flex_vectors *given = (const struct flex_vectors *)address;

	if (address < BL32_BASE || address > BL32_LIMIT - sizeof(*given) || (address & 7U) != 0U ||
	    flexd_vectors.yielding != 0U) {
		return false;
	}
	flexd_vectors = *given;
	flex_monitor.identity[FLEX_PART_PAYLOAD] = (struct flex_identity){
		SMC_GET_GP(handle, CTX_GPREG_X2), SMC_GET_GP(handle, CTX_GPREG_X3), SMC_GET_GP(handle, CTX_GPREG_X4)
	};
	return true;
}

/* Registers the payload with BL31. Non-zero means that there is none: its calls then return SMC_UNK. */
static int32_t flexd_setup(void)
{
	entry_point_info_t *ep = bl31_plat_get_next_image_ep_info(SECURE);

	if (ep == NULL || ep->pc == 0U) {
		WARN("flexd: no payload in the FIP\n");
		return 1;
	}
	if (is_feat_sve_supported() || is_feat_sme_supported()) {
		ERROR("flexd: this core has SVE or SME, whose registers this build does not save\n");
		return 1;
	}
	bl31_register_bl32_init(&flexd_boot);
	return 0;
}

/* A call of the normal world: x0..x6 go to the payload's vector as they are; the payload checks them. */
static uintptr_t flexd_call_payload(struct flexd_core *core, uint32_t fid, void *handle)
{
	u_register_t arg[6];
	unsigned int i;

	for (i = 0U; i < 6U; i++) {
		arg[i] = SMC_GET_GP(handle, CTX_GPREG_X1 + i * 8U);
	}
	flex_count(&flex_monitor, FLEX_STAT_SWITCHES, 1U);
	cm_el1_sysregs_context_save(NON_SECURE);
	flexd_simd_save(&core->simd);
	cm_set_elr_spsr_el3(SECURE, flexd_vectors.yielding,
			    SPSR_64(MODE_EL1, MODE_SP_ELX, DISABLE_ALL_EXCEPTIONS));
	cm_el1_sysregs_context_restore(SECURE);
	cm_set_next_eret_context(SECURE);
	SMC_RET7(&core->cpu_ctx, fid, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* The payload's answer: its x1..x6 become the caller's x0..x5, x6..x17 are cleared, all else is the caller's own. */
static uintptr_t flexd_return_to_ns(struct flexd_core *core, void *handle)
{
	cpu_context_t *ns = cm_get_context(NON_SECURE);
	u_register_t answer[6];
	unsigned int i;

	for (i = 0U; i < 6U; i++) {
		answer[i] = SMC_GET_GP(handle, CTX_GPREG_X1 + i * 8U);
	}
	cm_el1_sysregs_context_save(SECURE);
	flexd_simd_restore(&core->simd);
	cm_el1_sysregs_context_restore(NON_SECURE);
	cm_set_next_eret_context(NON_SECURE);
	SMC_RET18(ns, answer[0], answer[1], answer[2], answer[3], answer[4], answer[5],
		  0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U);
}

/* Calls from the payload. */
static uintptr_t flexd_secure_call(struct flexd_core *core, uint32_t fid, u_register_t x1, void *handle)
{
	switch (fid) {
	case FLEX_SPD_RETURN:
		/* During a boot or a PSCI hook there is no caller to return to. */
		if (core->c_rt_ctx != 0U) {
			break;
		}
		return flexd_return_to_ns(core, handle);
	case FLEX_SPD_BOOT_DONE:
		return flexd_leave_sync(core, handle, flexd_take_vectors(x1, handle) ? x1 : 0U);
	case FLEX_SPD_CPU_DONE:
		return flexd_leave_sync(core, handle, x1);
	default:
		SMC_RET1(handle, SMC_UNK);
	}
	SMC_RET1(handle, (u_register_t)FLEX_E_STATE);
}

/* All calls of the Trusted-OS range, from both worlds. */
static uintptr_t flexd_smc_handler(uint32_t smc_fid, u_register_t x1, u_register_t x2, u_register_t x3,
				   u_register_t x4, void *cookie, void *handle, u_register_t flags)
{
	struct flexd_core *core = flexd_this_core();

	if (is_caller_secure(flags)) {
		return flexd_secure_call(core, smc_fid, x1, handle);
	}
	if (smc_fid != FLEX_TOS_START && smc_fid != FLEX_TOS_RESUME) {
		SMC_RET1(handle, SMC_UNK);
	}
	/* Not from the level where the normal world's kernel runs. */
	if (!is_caller_non_secure(flags) || GET_EL(SMC_GET_EL3(handle, CTX_SPSR_EL3)) != FLEX_NW_MODE) {
		SMC_RET1(handle, (u_register_t)FLEX_E_DENIED);
	}
	if (core->state != FLEXD_ON) {
		SMC_RET1(handle, (u_register_t)FLEX_E_NOSYS);
	}
	return flexd_call_payload(core, smc_fid, handle);
}

DECLARE_RT_SVC(flexd_fast, OEN_TOS_START, OEN_TOS_END, SMC_TYPE_FAST, flexd_setup, flexd_smc_handler);
DECLARE_RT_SVC(flexd_std, OEN_TOS_START, OEN_TOS_END, SMC_TYPE_YIELD, NULL, flexd_smc_handler);
