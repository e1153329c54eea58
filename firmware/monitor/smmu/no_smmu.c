/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* A board without an SMMU: its bus masters reach what they like, and the board file calls each of them open. */

#include "smmuv3.h"

void smmu_tables(struct flex_pass *pass, uint64_t tables, uint64_t vtcr, uint64_t vmid)
{
	(void)pass;
	(void)tables;
	(void)vtcr;
	(void)vmid;
}

int smmu_on(void)
{
	return FLEX_OK;
}

int smmu_off(void)
{
	return FLEX_OK;
}

int smmu_invalidate(void)
{
	return FLEX_OK;
}

uint64_t smmu_events(void)
{
	return 0U;
}
