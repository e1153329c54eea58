/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* SMMUv3. Deadlines inside: FLEX_OK or FLEX_E_TIMEOUT. Safe on several cores at once. */
#ifndef FLEX_SMMUV3_H
#define FLEX_SMMUV3_H

#include "flex_machine.h"

/* The stream table: every stream is translated by the stage-2 tables at `tables`, 64-bit walks as `vtcr` says. */
void smmu_tables(struct flex_pass *pass, uint64_t tables, uint64_t vtcr, uint64_t vmid);
int smmu_on(void);
int smmu_off(void);
int smmu_invalidate(void);

/* Events (refused transfers) since the last time. */
uint64_t smmu_events(void);

#endif /* FLEX_SMMUV3_H */
