/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* The stage-2 backend: EL3 owns the normal world's second stage of translation, on its cores and in the SMMU. */
#ifndef FLEX_STAGE2_H
#define FLEX_STAGE2_H

#include <context.h>

#include "flex_machine.h"

/* 40-bit IPA and PA, 4K granule, walk starts at level 1, inner-shareable write-back walks. */
#define STAGE2_VTCR		UINT64_C(0x80023558)
#define STAGE2_VMID		UINT64_C(0)

#if FLEX_BOARD_IPA_BITS != 40
#error "STAGE2_VTCR is for 40-bit intermediate physical addresses"
#endif

/* stage2.c */
void stage2_tables(struct flex_pass *pass);
void stage2_unmap(uint64_t page);
void stage2_map(uint64_t page);
void stage2_unmap_block(uint64_t block);
void stage2_map_block(uint64_t block);
void stage2_publish(void);
void stage2_tlbi(void);

/* el2.c */
void el2_vectors(struct flex_pass *pass);
void el2_set(bool on);

/* gicr.c */
bool gicr_quiet(void);
bool gicr_access(cpu_context_t *ctx, uint64_t esr);

#endif /* FLEX_STAGE2_H */
