/*
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <arch_features.h>
#include <arch_helpers.h>
#include <bl31/sync_handle.h>

#include "abort.h"

#define ESR_CM_WNR	(UINT64_C(0x140))	/* cache maintenance, write not read */
#define FSC_PERMISSION	UINT64_C(0x0F)		/* permission fault, level 3 */
#define SPSR_AARCH32	(UINT64_C(1) << 4)

static uint64_t vector_offset(uint64_t spsr, unsigned int el)
{
	if ((spsr & SPSR_AARCH32) != 0U) {
		return LOWER_EL_AARCH32;
	}
	if (GET_EL(spsr) != el) {
		return LOWER_EL_AARCH64;
	}
	return ((spsr & MODE_SP_ELX) != 0U) ? CURRENT_EL_SPX : CURRENT_EL_SP0;
}

/*
 * A permission fault, whatever the hardware said: Linux's exception tables catch it, so that
 * copy_from_kernel_nofault() and an unaligned load that runs into the next page recover; an external abort or a
 * granule protection fault would kill whoever was running, and a translation fault would be retried for ever.
 */
void flex_abort_inject(cpu_context_t *ctx, unsigned int el, const struct flex_abort *abort)
{
	el3_state_t *state = get_el3state_ctx(ctx);
	uint64_t ec = abort->fetch ? EC_IABORT_LOWER_EL : EC_DABORT_LOWER_EL;
	uint64_t esr = (abort->esr & (ESR_IL_BIT | ESR_CM_WNR)) | FSC_PERMISSION, vectors;

	if (GET_EL(abort->spsr) == el) {
		ec++;	/* the same, taken from this level */
	}
	esr |= ec << ESR_EC_SHIFT;
	if (el == MODE_EL2) {
		write_esr_el2(esr);
		write_far_el2(abort->far);
		write_elr_el2(abort->elr);
		write_spsr_el2(abort->spsr);
		vectors = read_vbar_el2();
	} else {
		write_esr_el1(esr);
		write_far_el1(abort->far);
		write_elr_el1(abort->elr);
		write_spsr_el1(abort->spsr);
		vectors = read_vbar_el1();
	}
	write_ctx_reg(state, CTX_ELR_EL3, vectors + vector_offset(abort->spsr, el));
	write_ctx_reg(state, CTX_SPSR_EL3, create_spsr(abort->spsr, el));
}
