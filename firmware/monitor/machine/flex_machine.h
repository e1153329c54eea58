/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The machine under the core: the one monitor and its layout, the hidden region, what survives a reset, and the
 * operations that are the same for every backend. Includes run downward: glue, then a backend (stage2, gpt), then smmu,
 * then machine, then core.
 *
 * The hidden "tables" region, from its start:
 *   0x0000  level-1 tables of stage 2, two concatenated (40-bit IPA)
 *   0x2000  EL2 vectors
 *   0x3000  SMMU command queue
 *   0x4000  SMMU stream table entries, one leaf of 256, which every stream shares
 *   0x8000  SMMU stream table, level 1
 *   0x9000  SMMU event queue
 *   0xa000  level-2 and level-3 tables, in the order in which they are built
 */
#ifndef FLEX_MACHINE_H
#define FLEX_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <flex_board.h>

#include "flex_words.h"

#define HIDDEN_STAGE2		FLEX_BOARD_TABLES_BASE
#define HIDDEN_VECTORS		(FLEX_BOARD_TABLES_BASE + 0x2000U)
#define HIDDEN_SMMU_COMMANDS	(FLEX_BOARD_TABLES_BASE + 0x3000U)
#define HIDDEN_SMMU_LEAF	(FLEX_BOARD_TABLES_BASE + 0x4000U)
#define HIDDEN_SMMU_STREAMS	(FLEX_BOARD_TABLES_BASE + 0x8000U)
#define HIDDEN_SMMU_EVENTS	(FLEX_BOARD_TABLES_BASE + 0x9000U)
#define HIDDEN_POOL		(FLEX_BOARD_TABLES_BASE + 0xA000U)

/* Bytes of a cache line and of what DC ZVA zeroes, asserted at boot. */
#define FLEX_MACHINE_LINE	64U

/* The one monitor of this machine. */
extern struct flex_monitor flex_monitor;

/*
 * A pass over all that lies in the hidden region: each word is computed from the board file and the page entries, and
 * put right where it is something else; `same` is false then.
 */
struct flex_pass {
	bool same;
	uint64_t pool;	/* next free table */
};

/* One 64-bit word of the hidden region is `value` from here on. */
void flex_pass_set(struct flex_pass *pass, uint64_t address, uint64_t value);

/*
 * While the flag is set (as long as protection is on), a boot that follows any reset scrubs each 2M of DRAM that was
 * marked since: a block is marked before anything in it becomes secure.
 */
void flex_machine_dirty(bool dirty);
bool flex_machine_is_dirty(void);
void flex_machine_mark(uint64_t address);

struct flex_extent {
	uint64_t base;
	uint64_t end;
};

/* Scrubs what held anything secure when the last boot ended (all of each 2M that is marked), but for `kept`. */
void flex_machine_scrub_marked(const struct flex_extent *kept, unsigned int count);

/* struct flex_ops */
void flex_machine_scrub(uint64_t page);
void flex_machine_copy(uint64_t to, uint64_t from);
bool flex_machine_interrupt_pending(void);
uint64_t flex_machine_ticks(void);

#endif /* FLEX_MACHINE_H */
