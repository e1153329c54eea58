/*
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <flex_board.h>
#include <lib/mmio.h>

#include "redistributors.h"

#define GICR_STRIDE		UINT64_C(0x20000)	/* two frames of 64K a core */
#define GICR_SECOND_FRAME	UINT64_C(0x10000)
#define GICR_CTLR_LPIS		1U
#define GICR_TYPER		0x8U
#define GICR_TYPER_LAST		(1U << 4)
#define XZR			31U

/* There may be fewer than the board has cores at the most. */
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

bool gicr_first_frame(uint64_t address)
{
	uint64_t offset = address - FLEX_BOARD_GICR_BASE;

	return (offset < (FLEX_BOARD_CORES * GICR_STRIDE)) && ((offset & GICR_SECOND_FRAME) == 0U);
}

bool gicr_access(cpu_context_t *ctx, const struct gicr_access *access)
{
	if (!gicr_first_frame(access->address) || (access->size < sizeof(uint32_t)) ||
	    ((access->address & (access->size - 1U)) != 0U)) {
		return false;
	}
	if (!access->write && (access->reg != XZR)) {
		write_ctx_reg(get_gpregs_ctx(ctx), CTX_GPREG_X0 + (access->reg * sizeof(uint64_t)),
			      (access->size == sizeof(uint64_t)) ? mmio_read_64(access->address) :
								   mmio_read_32(access->address));
	}
	return true;
}
