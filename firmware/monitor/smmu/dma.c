/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* Bus masters: the SMMU on and off, and how far the tables that it walks are believed. */

#include "dma.h"
#include "flex_backend.h"
#include "smmuv3.h"
#include "tables.h"

#define PASSES		3U	/* one may put right what the normal world spoilt, one must find nothing */

static void pass_over(struct flex_pass *pass)
{
	stage2_tables(pass);
	flex_backend_pass(pass);
	smmu_tables(pass, HIDDEN_STAGE2, STAGE2_VTCR, STAGE2_VMID);
}

void dma_prepare(void)
{
	struct flex_pass pass = { .same = true };

	pass_over(&pass);
	stage2_publish();
}

/*
 * What lies in the tables is not believed. No core of the normal world reaches them now, but bus masters do, until the
 * SMMU translates: so it is turned on first, by the tables as they lie, which can be no worse than the bypass before
 * it; then each word is put right, and the SMMU forgets. A pass that had to put anything right is followed by another:
 * a bus master that keeps writing is found out, and nothing is protected then. What this leaves open is one that
 * restores every word just before it is read and spoils it again before the SMMU forgets; only blocking all transfers
 * meanwhile would close that, and it would break those of the honest.
 */
static int tables_right(void)
{
	struct flex_pass pass;
	unsigned int i;
	int rc;

	for (i = 0U; i < PASSES; i++) {
		pass.same = true;
		pass_over(&pass);
		stage2_publish();
		rc = smmu_invalidate();
		if ((rc != FLEX_OK) || pass.same) {
			return rc;
		}
	}
	return FLEX_E_BUSY;
}

int dma_on(void)
{
	int rc = smmu_on();

	if (rc == FLEX_OK) {
		rc = tables_right();
	}
	if (rc != FLEX_OK) {
		(void)smmu_off();
		return rc;
	}
	flex_machine_dirty(true);
	return FLEX_OK;
}

int dma_off(void)
{
	int rc;

	if (__atomic_load_n(&flex_monitor.stat[FLEX_STAT_SECURE_PAGES], __ATOMIC_SEQ_CST) != 0U) {
		return FLEX_E_STATE;
	}
	rc = smmu_off();
	if (rc == FLEX_OK) {
		flex_machine_dirty(false);
	}
	return rc;
}
