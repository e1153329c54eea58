/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* What the hardware takes to EL2 is passed on to EL1, as the kernel would see any bad access. */

#include <arch_helpers.h>
#include <bl31/sync_handle.h>
#include <common/runtime_svc.h>

#include "abort.h"
#include "flex_backend.h"
#include "redistributors.h"
#include "stage2.h"

#define HPFAR_SHIFT		4U	/* HPFAR_EL2 holds the page number from bit 4 on */
#define PAGE_OFFSET(address)	((address) & (FLEX_PAGE_SIZE - 1U))

/* ISS of a data abort: valid, size, register, write. */
#define ISS_VALID		(UINT64_C(1) << 24)
#define ISS_SIZE(esr)		(1U << (((esr) >> 22) & 3U))
#define ISS_REGISTER(esr)	((uint32_t)((esr) >> 16) & 31U)
#define ISS_WRITE		(UINT64_C(1) << 6)

/* A data abort at a redistributor's first frame is carried out, and the instruction passed over. */
static bool redistributor(cpu_context_t *ctx, uint64_t esr)
{
	const struct gicr_access access = {
		.address = ((read_hpfar_el2() >> HPFAR_SHIFT) << FLEX_PAGE_SHIFT) | PAGE_OFFSET(read_far_el2()),
		.size = ISS_SIZE(esr),
		.reg = ISS_REGISTER(esr),
		.write = (esr & ISS_WRITE) != 0U,
	};

	if (((esr & ISS_VALID) == 0U) || !gicr_access(ctx, &access)) {
		return false;
	}
	write_ctx_reg(get_el3state_ctx(ctx), CTX_ELR_EL3, read_elr_el2() + sizeof(uint32_t));
	write_ctx_reg(get_el3state_ctx(ctx), CTX_SPSR_EL3, read_spsr_el2());
	return true;
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
	if ((ec == EC_DABORT_LOWER_EL) && redistributor(ctx, esr)) {
		SMC_RET0(handle);
	}
	if ((ec == EC_DABORT_LOWER_EL) || (ec == EC_IABORT_LOWER_EL)) {
		flex_abort_inject(ctx, MODE_EL1, &(struct flex_abort){
			.fetch = ec == EC_IABORT_LOWER_EL,
			.esr = esr, .far = read_far_el2(), .elr = read_elr_el2(), .spsr = read_spsr_el2(),
		});
		flex_count(&flex_monitor, FLEX_STAT_FAULTS, 1U);
	} else {
		write_ctx_reg(state, CTX_ELR_EL3, read_elr_el2());
		write_ctx_reg(state, CTX_SPSR_EL3, read_spsr_el2());
		inject_undef64(ctx);
	}
	SMC_RET0(handle);
}
