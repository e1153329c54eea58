/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * EL2 of the normal world: nobody lives there. Its registers say "stage 2 on" or "off"; its vectors hand what the
 * hardware takes there (stage-2 faults) to EL3, which passes it on to EL1 as the kernel would see any bad access.
 */

#include <arch_features.h>
#include <arch_helpers.h>
#include <bl31/sync_handle.h>
#include <common/runtime_svc.h>
#include <context.h>

#include "flex_backend.h"
#include "stage2.h"

#define VECTOR_ENTRIES	16U
#define VECTOR_BYTES	0x80U
#define HCR_VM		(UINT64_C(1) << 0)
#define HCRX_MSCEN	(UINT64_C(1) << 11)
#define HCRX_TCR2EN	(UINT64_C(1) << 14)

/* Exception classes: an abort taken from a lower level; the same from this level is one more. */
#define EC_IABT_LOWER	UINT64_C(0x20)
#define EC_DABT_LOWER	UINT64_C(0x24)
#define ESR_CM_WNR	(UINT64_C(0x140))	/* cache maintenance, write not read */
#define FSC_PERMISSION	UINT64_C(0x0F)		/* permission fault, level 3 */
#define SPSR_AARCH32	(UINT64_C(1) << 4)

/* x0 into TPIDR_EL2, the function number into w0, to EL3: three instructions and the number. */
static const uint64_t vector[] = {
	UINT64_C(0x18000040D51CD040),	/* msr tpidr_el2, x0; ldr w0, 1f */
	UINT64_C(0x00000000D4000003) | ((uint64_t)FLEX_MON_EL2_FAULT << 32),	/* smc #0; 1: .word fid */
};

void el2_vectors(struct flex_pass *pass)
{
	unsigned int i;

	for (i = 0U; i < VECTOR_ENTRIES; i++) {
		flex_pass_set(pass, HIDDEN_VECTORS + (i * VECTOR_BYTES), vector[0]);
		flex_pass_set(pass, HIDDEN_VECTORS + (i * VECTOR_BYTES) + sizeof(uint64_t), vector[1]);
	}
	if (pass->same) {
		return;
	}
	/* EL2 fetches with its MMU and caches off. */
	flush_dcache_range(HIDDEN_VECTORS, VECTOR_ENTRIES * VECTOR_BYTES);
	__asm__ volatile("ic ialluis\n\tdsb ish\n\tisb" : : : "memory");
}

/*
 * el2_set() - this core's EL2, whatever it was before
 *
 * While off, the vectors are at address 0, which is secure: should anything be taken to EL2, it runs nothing that the
 * normal world wrote. The tables' registers hold the same values in both states, so that TLB entries keep their VMID.
 */
void el2_set(bool on)
{
	write_vtcr_el2(STAGE2_VTCR);
	write_vttbr_el2(HIDDEN_STAGE2 | (STAGE2_VMID << 48));
	write_vbar_el2(on ? HIDDEN_VECTORS : 0U);
	write_sctlr_el2(SCTLR_EL2_RES1);
	if (is_feat_hcx_present()) {
		write_hcrx_el2(HCRX_MSCEN | HCRX_TCR2EN);
	}
	write_hcr_el2(HCR_RW_BIT | HCR_API_BIT | HCR_APK_BIT | (on ? HCR_VM : 0U));
	isb();
	stage2_tlbi();
}

static uint64_t vector_offset(uint64_t spsr)
{
	if ((spsr & SPSR_AARCH32) != 0U) {
		return LOWER_EL_AARCH32;
	}
	if (GET_EL(spsr) == MODE_EL0) {
		return LOWER_EL_AARCH64;
	}
	return ((spsr & MODE_SP_ELX) != 0U) ? CURRENT_EL_SPX : CURRENT_EL_SP0;
}

/*
 * The abort as EL1 is to see it. A permission fault, whatever stage 2 said: Linux's exception tables catch it, so that
 * copy_from_kernel_nofault() and an unaligned load that runs into the next page recover; an external abort would kill
 * whoever was running, and a translation fault would be retried for ever.
 */
static void inject_abort(cpu_context_t *ctx, uint64_t ec, uint64_t esr)
{
	el3_state_t *state = get_el3state_ctx(ctx);
	uint64_t spsr = read_spsr_el2();

	if (GET_EL(spsr) != MODE_EL0) {
		ec++;
	}
	write_esr_el1((ec << ESR_EC_SHIFT) | (esr & (ESR_IL_BIT | ESR_CM_WNR)) | FSC_PERMISSION);
	write_far_el1(read_far_el2());
	write_elr_el1(read_elr_el2());
	write_spsr_el1(spsr);
	write_ctx_reg(state, CTX_ELR_EL3, read_vbar_el1() + vector_offset(spsr));
	write_ctx_reg(state, CTX_SPSR_EL3, create_spsr(spsr, MODE_EL1));
}

/*
 * flex_backend_fault() - FLEX_MON_EL2_FAULT: something was taken to EL2 on this core
 *
 * Accepted from EL2 alone, where only our own vectors can run, and only while they do. Returns to EL1's vectors.
 */
uintptr_t flex_backend_fault(void *handle)
{
	cpu_context_t *ctx = handle;
	el3_state_t *state = get_el3state_ctx(ctx);
	uint64_t esr = read_esr_el2(), ec = EC_BITS(esr);

	if ((GET_EL(read_ctx_reg(state, CTX_SPSR_EL3)) != MODE_EL2) || ((read_hcr_el2() & HCR_VM) == 0U)) {
		SMC_RET1(handle, FLEX_E_DENIED);
	}
	write_ctx_reg(get_gpregs_ctx(ctx), CTX_GPREG_X0, read_tpidr_el2());
	write_tpidr_el2(0U);
	if ((ec == EC_DABT_LOWER) && gicr_access(ctx, esr)) {
		SMC_RET0(handle);
	}
	if ((ec == EC_DABT_LOWER) || (ec == EC_IABT_LOWER)) {
		inject_abort(ctx, ec, esr);
		flex_count(&flex_monitor, FLEX_STAT_FAULTS, 1U);
	} else {
		write_ctx_reg(state, CTX_ELR_EL3, read_elr_el2());
		write_ctx_reg(state, CTX_SPSR_EL3, read_spsr_el2());
		inject_undef64(ctx);
	}
	SMC_RET0(handle);
}
