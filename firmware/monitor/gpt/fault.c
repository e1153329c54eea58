/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Granule protection faults of lower levels come to EL3 (SCR_EL3.GPF) and go back as the permission fault that stage 2
 * would have made of them: Linux dies of a granule protection fault where it survives that one.
 */

#include <arch_helpers.h>
#include <common/runtime_svc.h>

#include "abort.h"
#include "flex_backend.h"
#include "flex_machine.h"
#include "redistributors.h"

#define ESR_GPC_FETCH		(UINT64_C(1) << 20)
#define PAR_FAULT		UINT64_C(1)
#define PAGE_NUMBER		UINT64_C(0x000FFFFFFFFFF000)	/* of PAR_EL1 and MFAR_EL3 */
#define PAGE_OFFSET(address)	((address) & (FLEX_PAGE_SIZE - 1U))

/* LDR and STR of one general-purpose register, [base, #offset]: what Linux's readl() and writel() are made of. */
#define LDST_MASK		0x3F800000U
#define LDST			0x39000000U
#define LDST_LOAD		(1U << 22)

void flex_gpc_fault(cpu_context_t *ctx);

/*
 * The instruction at `address` of the normal world's EL2, 0 when it cannot be had. Its page is taken out of reach of
 * every call that could make it secure while EL3 reads it.
 */
static uint32_t instruction_at(uint64_t address)
{
	uint64_t saved = read_par_el1(), page;
	uint32_t index, instruction = 0U;

	__asm__ volatile("at s1e2r, %0\n\tisb" : : "r" (address) : "memory");
	page = read_par_el1();
	write_par_el1(saved);
	index = flex_page_index(&flex_monitor, page & PAGE_NUMBER);
	if (((page & PAR_FAULT) != 0U) || !flex_address_ok(&flex_monitor, page & PAGE_NUMBER) ||
	    (flex_block_enter(&flex_monitor, index) != FLEX_OK)) {
		return 0U;
	}
	if (flex_page_take(&flex_monitor, FLEX_VERB_DONATE, index, FLEX_SLOT_NONE) == FLEX_OK) {
		instruction = *(const volatile uint32_t *)(uintptr_t)((page & PAGE_NUMBER) | PAGE_OFFSET(address));
		flex_page_return(&flex_monitor, FLEX_VERB_DONATE, index, FLEX_SLOT_NONE);
	}
	flex_block_leave(&flex_monitor, index);
	return instruction;
}

/*
 * An access of the normal world's kernel to a redistributor's first frame is carried out, and the instruction passed
 * over. The syndrome of a granule protection fault does not say which register it was: the instruction does.
 */
static bool redistributor(cpu_context_t *ctx, const struct flex_abort *abort)
{
	struct gicr_access access;
	uint32_t instruction;

	__asm__ volatile("mrs %0, s3_6_c6_c0_5" : "=r" (access.address));	/* MFAR_EL3 */
	access.address = (access.address & PAGE_NUMBER) | PAGE_OFFSET(abort->far);
	if (abort->fetch || (GET_EL(abort->spsr) != MODE_EL2) || !gicr_first_frame(access.address)) {
		return false;
	}
	instruction = instruction_at(abort->elr);
	access.size = 1U << (instruction >> 30);
	access.reg = instruction & 31U;
	access.write = (instruction & LDST_LOAD) == 0U;
	if (((instruction & LDST_MASK) != LDST) || !gicr_access(ctx, &access)) {
		return false;
	}
	write_ctx_reg(get_el3state_ctx(ctx), CTX_ELR_EL3, abort->elr + sizeof(uint32_t));
	return true;
}

/* From TF-A's exception vectors; registers that are not in `ctx` are still those of the lower level. */
void flex_gpc_fault(cpu_context_t *ctx)
{
	bool secure = (read_scr_el3() & SCR_NS_BIT) == 0U;
	const struct flex_abort abort = {
		.fetch = (read_esr_el3() & ESR_GPC_FETCH) != 0U,
		.esr = read_esr_el3(),
		.far = read_far_el3(),
		.elr = read_ctx_reg(get_el3state_ctx(ctx), CTX_ELR_EL3),
		.spsr = read_ctx_reg(get_el3state_ctx(ctx), CTX_SPSR_EL3),
	};
	unsigned int el = GET_EL(abort.spsr);

	if (secure) {
		flex_abort_inject(ctx, MODE_EL1, &abort);
	} else if (!redistributor(ctx, &abort)) {
		flex_count(&flex_monitor, FLEX_STAT_FAULTS, 1U);
		/* Under a hypervisor EL0 is its own, or a guest's. */
		if ((el == MODE_EL0) && ((read_hcr_el2() & HCR_TGE_BIT) != 0U)) {
			el = MODE_EL2;
		}
		flex_abort_inject(ctx, (el == MODE_EL0) ? MODE_EL1 : el, &abort);
	}
}

/* There are no vectors of ours at EL2 that could call it. */
uintptr_t flex_backend_fault(void *handle)
{
	SMC_RET1(handle, FLEX_E_DENIED);
}
