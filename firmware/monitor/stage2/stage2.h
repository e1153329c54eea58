/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The stage-2 backend: EL3 owns the normal world's second stage of translation, on its cores and in the SMMU.
 *
 * The hidden "tables" region, from its start:
 *   0x0000  level-1 tables, two concatenated (40-bit IPA)
 *   0x2000  EL2 vectors
 *   0x3000  SMMU command queue
 *   0x4000  SMMU stream table entries, one leaf of 256, which every stream shares
 *   0x8000  SMMU stream table, level 1
 *   0x9000  level-2 and level-3 tables, in the order in which they are built
 */
#ifndef FLEX_STAGE2_H
#define FLEX_STAGE2_H

#include <stdbool.h>
#include <stdint.h>

#include <flex_board.h>

#include "flex_core.h"

#define STAGE2_L1		FLEX_BOARD_TABLES_BASE
#define STAGE2_VECTORS		(FLEX_BOARD_TABLES_BASE + 0x2000U)
#define STAGE2_CMDQ		(FLEX_BOARD_TABLES_BASE + 0x3000U)
#define STAGE2_STE_LEAF		(FLEX_BOARD_TABLES_BASE + 0x4000U)
#define STAGE2_STREAMS		(FLEX_BOARD_TABLES_BASE + 0x8000U)
#define STAGE2_POOL		(FLEX_BOARD_TABLES_BASE + 0x9000U)

/* 40-bit IPA and PA, 4K granule, walk starts at level 1, inner-shareable write-back walks. */
#define STAGE2_VTCR		UINT64_C(0x80023558)
#define STAGE2_VMID		UINT64_C(0)

#if FLEX_BOARD_IPA_BITS != 40
#error "STAGE2_VTCR is for 40-bit intermediate physical addresses"
#endif

/* The one monitor of this machine. */
extern struct flex_monitor flex_monitor;

/* What the core does to this machine: glue/flex_smc.c. */
extern const struct flex_ops flex_machine_ops;

/*
 * A pass over all that lies in the hidden region: each word is computed from the board file and the page entries, and
 * put right where it is something else; `same` is false then.
 */
struct stage2_pass {
	bool same;
	uint64_t pool;	/* next free table */
};

void stage2_set(struct stage2_pass *pass, uint64_t address, uint64_t value);

/* stage2.c */
void stage2_tables(struct stage2_pass *pass);
void stage2_unmap(uint64_t page);
void stage2_map(uint64_t page);
void stage2_unmap_block(uint64_t block);
void stage2_map_block(uint64_t block);
void stage2_publish(void);
void stage2_tlbi(void);

/* el2.c */
void el2_vectors(struct stage2_pass *pass);
void el2_set(bool on);
uintptr_t el2_fault(void *handle);

/* protect.c */
int protect_switch(bool on);
bool protect_is_on(void);
void protect_prepare(void);

/* ../smmu/smmuv3.c. Deadlines inside: FLEX_OK or FLEX_E_TIMEOUT. Safe on several cores at once. */
void smmu_tables(struct stage2_pass *pass);
int smmu_on(void);
int smmu_off(void);
int smmu_invalidate(void);

#endif /* FLEX_STAGE2_H */
