/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Granule protection faults of lower levels come to EL3 (SCR_EL3.GPF) and go back as the permission fault that stage 2
 * would have made of them: Linux dies of a granule protection fault where it survives that one.
 */

#include <arch_helpers.h>
#include <common/runtime_svc.h>
#include <lib/utils_def.h>

#include "abort.h"
#include "flex_backend.h"
#include "gpt.h"
#include "redistributors.h"

#define ESR_GPC_FETCH		(UINT64_C(1) << 20)
#define PAR_FAULT		UINT64_C(1)
#define PAGE_NUMBER		UINT64_C(0x000FFFFFFFFFF000)	/* of PAR_EL1 and MFAR_EL3 */
#define PAGE_OFFSET(address)	((address) & (FLEX_PAGE_SIZE - 1U))

/* Loads and stores of one general-purpose register without write-back. Arm ARM, C4.1 (Loads and Stores). */
#define LDST_SIZE(insn)		(1U << ((insn) >> 30))
#define LDST_OPC(insn)		(((insn) >> 22) & 3U)
#define LDST_STORE		0U
#define LDST_LOAD		1U
#define LDST_REGISTER(insn)	((insn) & 31U)

static const struct {
	uint32_t mask;
	uint32_t value;
} plain[] = {
	{ 0x3F000000U, 0x39000000U },	/* [base, #offset] */
	{ 0x3F200C00U, 0x38000000U },	/* [base, #unscaled offset] */
	{ 0x3F200C00U, 0x38200800U },	/* [base, index] */
};

void flex_gpc_fault(cpu_context_t *ctx);

static uint64_t faulting_page(void)
{
	uint64_t mfar;

	__asm__ volatile("mrs %0, s3_6_c6_c0_5" : "=r" (mfar));	/* MFAR_EL3 */
	return mfar & PAGE_NUMBER;
}

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
	if (((page & PAR_FAULT) != 0U) || !flex_address_ok(&flex_monitor, page & PAGE_NUMBER)) {
		return 0U;
	}
	index = flex_page_index(&flex_monitor, page & PAGE_NUMBER);
	if (flex_block_enter(&flex_monitor, index) != FLEX_OK) {
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
	struct gicr_access access = { .address = faulting_page() | PAGE_OFFSET(abort->far) };
	uint32_t instruction;
	unsigned int i;

	if (abort->fetch || (GET_EL(abort->spsr) != MODE_EL2)) {
		return false;
	}
	instruction = instruction_at(abort->elr);
	access.size = LDST_SIZE(instruction);
	access.reg = LDST_REGISTER(instruction);
	access.write = LDST_OPC(instruction) == LDST_STORE;
	for (i = 0U; i < ARRAY_SIZE(plain); i++) {
		if (((instruction & plain[i].mask) == plain[i].value) && (LDST_OPC(instruction) <= LDST_LOAD) &&
		    gicr_access(ctx, &access)) {
			write_ctx_reg(get_el3state_ctx(ctx), CTX_ELR_EL3, abort->elr + sizeof(uint32_t));
			return true;
		}
	}
	return false;
}

/* Where the world that made the access takes its aborts. Under a hypervisor EL0 may be the guest's. */
static unsigned int abort_level(uint64_t spsr, bool secure)
{
	if (secure) {
		return MODE_EL1;
	}
	if ((GET_EL(spsr) == MODE_EL2) || ((GET_EL(spsr) == MODE_EL0) && ((read_hcr_el2() & HCR_TGE_BIT) != 0U))) {
		return MODE_EL2;
	}
	return MODE_EL1;
}

/* From TF-A's exception vectors; registers that are not in `ctx` are still those of the lower level. */
void flex_gpc_fault(cpu_context_t *ctx)
{
	const el3_state_t *state = get_el3state_ctx(ctx);
	bool secure = (read_scr_el3() & SCR_NS_BIT) == 0U;
	uint64_t esr = read_esr_el3();
	const struct flex_abort abort = {
		.fetch = (esr & ESR_GPC_FETCH) != 0U,
		.esr = esr,
		.far = read_far_el3(),
		.elr = read_ctx_reg(state, CTX_ELR_EL3),
		.spsr = read_ctx_reg(state, CTX_SPSR_EL3),
	};

	if (!secure && redistributor(ctx, &abort)) {
		return;
	}
	flex_abort_inject(ctx, abort_level(abort.spsr, secure), &abort);
	if (!secure) {
		flex_count(&flex_monitor, FLEX_STAT_FAULTS, 1U);
	}
}

/* There are no vectors of ours at EL2 that could call it. */
uintptr_t flex_backend_fault(void *handle)
{
	SMC_RET1(handle, FLEX_E_DENIED);
}
