/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* A GICv2 masters no memory: it has no LPIs and no redistributors, so nothing is watched and nothing is trapped. */

#include <arch_helpers.h>

#include "redistributors.h"

bool gicr_quiet(void)
{
	return true;
}

bool gicr_first_frame(uint64_t address)
{
	(void)address;
	return false;
}

bool gicr_access(cpu_context_t *ctx, const struct gicr_access *access)
{
	(void)ctx;
	(void)access;
	return false;
}
