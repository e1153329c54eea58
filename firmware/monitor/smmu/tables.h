/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* Stage-2 tables: what the SMMU translates bus masters by, and under the stage2 backend the cores as well. */
#ifndef FLEX_TABLES_H
#define FLEX_TABLES_H

#include "flex_machine.h"

/* 40-bit IPA and PA, 4K granule, walk starts at level 1, inner-shareable write-back walks. */
#define STAGE2_VTCR		UINT64_C(0x80023558)
#define STAGE2_VMID		UINT64_C(0)

#if FLEX_BOARD_IPA_BITS != 40
#error "STAGE2_VTCR is for 40-bit intermediate physical addresses"
#endif

void stage2_tables(struct flex_pass *pass);

/* Does the normal world have a device or memory where an entry of `level` maps? Level 1: a GB; level 3: a page. */
bool stage2_has(unsigned int level, uint64_t base);

/* A block is marked for the scrub after a reset before anything in it is out of the normal world's reach. */
void stage2_unmap(uint64_t address, uint64_t size);
void stage2_map(uint64_t address, uint64_t size);
void stage2_publish(void);

#endif /* FLEX_TABLES_H */
