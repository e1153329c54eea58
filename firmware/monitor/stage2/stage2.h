/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* The stage-2 backend: EL3 owns the normal world's second stage of translation, on its cores and in the SMMU. */
#ifndef FLEX_STAGE2_H
#define FLEX_STAGE2_H

#include "flex_machine.h"

#define HCR_VM	(UINT64_C(1) << 0)	/* of HCR_EL2: stage 2 is on */

/* el2.c */
void el2_vectors(struct flex_pass *pass);
void el2_set(bool on);
void el2_tlbi(void);

#endif /* FLEX_STAGE2_H */
