/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The GIC as a master of memory. With LPIs on, a redistributor reads and writes the pending bits in the table that
 * PENDBASER names, and an ITS its own tables, by physical address, behind neither stage 2 nor SMMU. So they must be off
 * when protection is turned on, and while it is on the first frame of each redistributor is not mapped: what the normal
 * world reads there it is given, what it writes is swallowed (without LPIs there is nothing there for it to write).
 */

#include <arch_helpers.h>
#include <lib/mmio.h>

#include "stage2.h"

#define GICR_STRIDE		UINT64_C(0x20000)	/* two frames of 64K a core */
#define GICR_SECOND_FRAME	UINT64_C(0x10000)
#define GICR_CTLR_LPIS		1U
#define GICR_TYPER		0x8U
#define GICR_TYPER_LAST		(1U << 4)
#define HPFAR_SHIFT		4U			/* HPFAR_EL2 holds the page number from bit 4 on */
#define PAGE_OFFSET(address)	((address) & (FLEX_PAGE_SIZE - 1U))

/* ISS of a data abort: valid, size, register, write. */
#define ISS_VALID		(UINT64_C(1) << 24)
#define ISS_SIZE(esr)		(1U << (((esr) >> 22) & 3U))
#define ISS_REGISTER(esr)	((uint32_t)((esr) >> 16) & 31U)
#define ISS_WRITE		(UINT64_C(1) << 6)
#define XZR			31U

/* LPIs are off on all redistributors, of which there may be fewer than the board has cores at the most. */
bool gicr_quiet(void)
{
	uintptr_t frame = FLEX_BOARD_GICR_BASE;

	while ((mmio_read_32(frame) & GICR_CTLR_LPIS) == 0U) {
		if ((mmio_read_32(frame + GICR_TYPER) & GICR_TYPER_LAST) != 0U) {
			return true;
		}
		frame += GICR_STRIDE;
	}
	return false;
}

/* A data abort at a first frame is carried out, and the instruction passed over; false when it was elsewhere. */
bool gicr_access(cpu_context_t *ctx, uint64_t esr)
{
	uint64_t ipa = ((read_hpfar_el2() >> HPFAR_SHIFT) << FLEX_PAGE_SHIFT) | PAGE_OFFSET(read_far_el2());
	uint64_t offset = ipa - FLEX_BOARD_GICR_BASE;
	uint32_t size = ISS_SIZE(esr);

	if (((esr & ISS_VALID) == 0U) || (offset >= (FLEX_BOARD_CORES * GICR_STRIDE)) ||
	    ((offset & GICR_SECOND_FRAME) != 0U) || (size < sizeof(uint32_t)) || ((ipa & (size - 1U)) != 0U)) {
		return false;
	}
	if (((esr & ISS_WRITE) == 0U) && (ISS_REGISTER(esr) != XZR)) {
		write_ctx_reg(get_gpregs_ctx(ctx), CTX_GPREG_X0 + (ISS_REGISTER(esr) * sizeof(uint64_t)),
			      (size == sizeof(uint64_t)) ? mmio_read_64(ipa) : mmio_read_32(ipa));
	}
	write_ctx_reg(get_el3state_ctx(ctx), CTX_ELR_EL3, read_elr_el2() + sizeof(uint32_t));
	write_ctx_reg(get_el3state_ctx(ctx), CTX_SPSR_EL3, read_spsr_el2());
	return true;
}
