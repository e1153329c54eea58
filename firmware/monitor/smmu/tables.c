/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Stage-2 tables of the normal world: identity, DRAM in 4K pages (so that taking one away never splits a block, which
 * would need break-before-make under the feet of the SMMU), devices in the largest blocks that fit, nothing else.
 */

#include <arch_helpers.h>
#include <common/debug.h>
#include <lib/cassert.h>
#include <lib/utils_def.h>

#include "tables.h"

/* A level-3 table holds DRAM alone, or none. */
CASSERT(((FLEX_BOARD_DRAM_BASE | FLEX_BOARD_DRAM_SIZE) & (FLEX_BLOCK_SIZE - 1U)) == 0U, flex_dram_alignment);

#define TABLE_ENTRIES	512U
#define L1_ENTRIES	(2U * TABLE_ENTRIES)
#define TABLE_BYTES	4096U

#define DESC_VALID	UINT64_C(1)
#define DESC_TABLE	UINT64_C(3)
#define DESC_PAGE	UINT64_C(3)
#define DESC_BLOCK	UINT64_C(1)
/* Access flag, inner shareable, read and write, attributes as stage 1 says (write-back is the limit). */
#define DESC_ATTRS	UINT64_C(0x7FC)
#define DESC_ADDRESS	UINT64_C(0x000000FFFFFFF000)
/* Not a descriptor: this entry needs a table of its own. */
#define DESC_SPLIT	UINT64_C(2)

static const struct {
	uint64_t base;
	uint64_t size;
} ranges[] = {
	{ FLEX_BOARD_DRAM_BASE, FLEX_BOARD_DRAM_SIZE },
	FLEX_BOARD_DEVICES
};

static uint64_t *at(uint64_t address)
{
	return (uint64_t *)(uintptr_t)address;
}

static unsigned int level_shift(unsigned int level)
{
	return 39U - (9U * level);
}

/* Is a level-3 table all of 2M of DRAM, page by page? There are so many of these that they get a loop. */
static bool dram_table_ok(uint64_t table, uint64_t base)
{
	const uint64_t *entry = at(table);
	uint64_t value = base | DESC_ATTRS | DESC_PAGE, differ = 0U;
	unsigned int i;

#pragma GCC unroll 8
	for (i = 0U; i < TABLE_ENTRIES; i++) {
		differ |= entry[i] ^ value;
		value += FLEX_PAGE_SIZE;
	}
	return differ == 0U;
}

/* The descriptor for the address range that an entry of `level` covers, DESC_SPLIT, or 0 when nothing is there. */
static uint64_t descriptor(unsigned int level, uint64_t base)
{
	uint64_t end = base + (UINT64_C(1) << level_shift(level));
	uint64_t range_end;
	unsigned int i;

	for (i = 0U; i < ARRAY_SIZE(ranges); i++) {
		range_end = ranges[i].base + ranges[i].size;
		if ((base >= range_end) || (end <= ranges[i].base)) {
			continue;
		}
		if (level == 3U) {
			return ((i == 0U) && flex_page_hidden(&flex_monitor, base)) ?
			       0U : (base | DESC_ATTRS | DESC_PAGE);
		}
		if ((i != 0U) && (base >= ranges[i].base) && (end <= range_end)) {
			return base | DESC_ATTRS | DESC_BLOCK;
		}
		return DESC_SPLIT;
	}
	return 0U;
}

bool stage2_has(unsigned int level, uint64_t base)
{
	return descriptor(level, base) != 0U;
}

/* 2M of DRAM without a hidden page. */
static bool in_open_dram(uint64_t base)
{
	return flex_address_ok(&flex_monitor, base) &&
	       ((flex_monitor.blocks[flex_page_index(&flex_monitor, base) / TABLE_ENTRIES] >>
		 FLEX_BLOCK_STATE_SHIFT) == FLEX_BLOCK_OPEN);
}

static uint64_t new_table(struct flex_pass *pass)
{
	uint64_t table = pass->pool;

	if (table > (FLEX_BOARD_TABLES_BASE + FLEX_BOARD_TABLES_SIZE - TABLE_BYTES)) {
		ERROR("FlexKit: the board's tables region is too small\n");
		panic();
	}
	pass->pool += TABLE_BYTES;
	return table;
}

static void fill(struct flex_pass *pass, uint64_t table, unsigned int entries, unsigned int level, uint64_t base)
{
	uint64_t value, child;
	unsigned int i;

	if ((level == 3U) && in_open_dram(base) && dram_table_ok(table, base)) {
		return;
	}
	for (i = 0U; i < entries; i++) {
		value = descriptor(level, base);
		if (value == DESC_SPLIT) {
			child = new_table(pass);
			fill(pass, child, TABLE_ENTRIES, level + 1U, base);
			value = child | DESC_TABLE;
		}
		flex_pass_set(pass, table + (i * sizeof(uint64_t)), value);
		base += UINT64_C(1) << level_shift(level);
	}
}

void stage2_tables(struct flex_pass *pass)
{
	pass->pool = HIDDEN_POOL;
	fill(pass, HIDDEN_STAGE2, L1_ENTRIES, 1U, 0U);
}

/* The level-3 entry of a page, or the level-2 one of a block. */
static volatile uint64_t *entry_of(uint64_t address, uint64_t size)
{
	uint64_t *l1 = at(HIDDEN_STAGE2 + ((address >> 30) * sizeof(uint64_t)));
	uint64_t *l2 = at(*l1 & DESC_ADDRESS) + ((address >> 21) % TABLE_ENTRIES);

	return (size == FLEX_BLOCK_SIZE) ? l2 : (at(*l2 & DESC_ADDRESS) + ((address >> 12) % TABLE_ENTRIES));
}

/*
 * Only the valid bit changes, so that what is put back is what was there. The core that owns the page or the region
 * is the only writer of its entry.
 */
void stage2_unmap(uint64_t address, uint64_t size)
{
	flex_machine_mark(address);
	*entry_of(address, size) &= ~DESC_VALID;
}

void stage2_map(uint64_t address, uint64_t size)
{
	*entry_of(address, size) |= DESC_VALID;
}

/* What was mapped is seen by the walkers from here on; an invalid entry is in no TLB, so nothing is invalidated. */
void stage2_publish(void)
{
	dsbish();
	isb();
}
