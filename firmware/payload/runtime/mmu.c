/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The payload's own translation. All tables are made before the MMU is on, by rt_mmu_build(); after that only level-3
 * entries of the slot window and level-2 blocks of the region window change.
 */
#include <flexkit/page.h>

#include "mmu_bits.h"
#include "runtime.h"

#define ENTRIES 512
#define GIB (1UL << 30)
#define MIB2 (1UL << 21)
#define WINDOW_L2 ((FLEX_BOARD_SLOTS * 4096UL + GIB - 1) / GIB)
#define REGION_L2 ((FLEX_BOARD_DRAM_SIZE + GIB - 1) / GIB)
#define POOL_TABLES 32

extern char __text_start[], __text_end[], __rodata_end[], __rw_end[], __heap_end[];

/* Named by entry.S. */
extern uint64_t rt_level1[ENTRIES];

#define TABLES __attribute__((section(".keep.tables"), aligned(4096)))
uint64_t rt_level1[ENTRIES] TABLES;
static uint64_t window_level2[WINDOW_L2][ENTRIES] TABLES;
static uint64_t window_level3[WINDOW_L2 * ENTRIES * ENTRIES] TABLES;
static uint64_t region_level2[REGION_L2][ENTRIES] TABLES;
static uint64_t pool[POOL_TABLES][ENTRIES] TABLES;
static unsigned int pool_used RT_KEEP;

_Static_assert(FLEX_BOARD_SLOTS % ENTRIES == 0, "slots come in whole level-3 tables");
_Static_assert(RT_WINDOW_PAGE == PTE_ADDRESS, "rt.h");
_Static_assert(FLEX_BOARD_DRAM_BASE % MIB2 == 0, "the region window is made of 2M blocks");

/* The table below `entry`, from the pool if there is none yet. Build time only: no MMU, no other core. */
static uint64_t *table_below(uint64_t *entry)
{
	if (!(*entry & PTE_VALID)) {
		if (pool_used == POOL_TABLES)
			rt_panic("translation tables used up");
		*entry = (uint64_t)pool[pool_used++] | PTE_VALID | PTE_TABLE;
	}
	return (uint64_t *)(*entry & PTE_ADDRESS);
}

/* The level-3 entry of an address below 512 GiB that is mapped by pages. */
static uint64_t *page_entry(uint64_t va)
{
	uint64_t *level2 = table_below(&rt_level1[va >> 30]);
	uint64_t *level3 = table_below(&level2[va >> 21 & (ENTRIES - 1)]);

	return &level3[va >> 12 & (ENTRIES - 1)];
}

/* Maps [from, to) at its own address. */
static void map_identity(uint64_t from, uint64_t to, uint64_t attributes)
{
	for (uint64_t va = from; va < to; va += FLEX_PAGE_SIZE)
		*page_entry(va) = va | attributes | PTE_TABLE;
}

static void build_image(void)
{
	map_identity((uint64_t)__text_start, (uint64_t)__text_end, PTE_CODE);
	map_identity((uint64_t)__text_end, (uint64_t)__rodata_end, PTE_CONST);
	map_identity((uint64_t)__rodata_end, (uint64_t)__heap_end, PTE_DATA);
	/* An overflowing stack faults instead of running into its neighbour. */
	for (unsigned int i = 0; i < FLEX_BOARD_PAYLOAD_THREADS; i++)
		*page_entry((uint64_t)rt_thread_stacks[i]) = 0;
	for (unsigned int i = 0; i < FLEX_BOARD_CORES; i++)
		*page_entry((uint64_t)rt_core_stacks[i]) = 0;
}

static void build_windows(void)
{
	for (unsigned int i = 0; i < WINDOW_L2; i++) {
		rt_level1[(RT_WINDOW >> 30) + i] = (uint64_t)window_level2[i] | PTE_VALID | PTE_TABLE;
		for (unsigned int j = 0; j < ENTRIES; j++)
			window_level2[i][j] =
				(uint64_t)&window_level3[(i * ENTRIES + j) * ENTRIES] | PTE_VALID | PTE_TABLE;
	}
	for (unsigned int i = 0; i < REGION_L2; i++)
		rt_level1[(RT_REGIONS >> 30) + i] = (uint64_t)region_level2[i] | PTE_VALID | PTE_TABLE;
}

void rt_mmu_build(void)
{
	build_image();
	map_identity(FLEX_BOARD_SLOTS_BASE, FLEX_BOARD_SLOTS_BASE + FLEX_BOARD_SLOTS * 8UL, PTE_DATA);
	map_identity(FLEX_BOARD_SHARED_BASE, FLEX_BOARD_SHARED_BASE + FLEX_BOARD_SHARED_SIZE, PTE_DATA | PTE_NS);
#ifdef FLEX_BOARD_FLASH_BASE
	map_identity(FLEX_BOARD_FLASH_BASE, FLEX_BOARD_FLASH_BASE + RT_FLASH_BLOCKS * FLEX_BOARD_FLASH_BLOCK, PTE_DEVICE);
#endif
	build_windows();
	__asm__ volatile("dsb sy" ::: "memory");
}

void *rt_slot_address(uint64_t slot)
{
	return (void *)(RT_WINDOW + slot * FLEX_PAGE_SIZE);
}

const uint64_t *rt_window_entries(void)
{
	return window_level3;
}

void rt_window_set(uint64_t slot, uint64_t page)
{
	uint64_t entry = page ? page | PTE_DATA | PTE_DONATED | PTE_TABLE : 0;

	__atomic_store_n(&window_level3[slot], entry, __ATOMIC_RELEASE);
}

void rt_window_invalidate(uint64_t slot)
{
	rt_tables_sync();
	rt_tlb_page(RT_WINDOW + slot * FLEX_PAGE_SIZE);
}

void rt_window_sync(void)
{
	rt_tables_sync();
	rt_tlb_sync();
}

void rt_window_reset(void)
{
	memset(window_level3, 0, sizeof(window_level3));
	memset(region_level2, 0, sizeof(region_level2));
	rt_tables_sync();
	rt_tlb_all();
	rt_tlb_sync();
}

void *rt_region_map(uint64_t base, uint64_t size)
{
	for (uint64_t offset = base - FLEX_BOARD_DRAM_BASE; offset < base - FLEX_BOARD_DRAM_BASE + size; offset += MIB2)
		region_level2[offset >> 30][offset >> 21 & (ENTRIES - 1)] =
			(FLEX_BOARD_DRAM_BASE + offset) | PTE_DATA | PTE_DONATED;
	rt_window_sync();
	return (void *)(RT_REGIONS + (base - FLEX_BOARD_DRAM_BASE));
}

void rt_region_unmap(uint64_t base, uint64_t size)
{
	for (uint64_t offset = base - FLEX_BOARD_DRAM_BASE; offset < base - FLEX_BOARD_DRAM_BASE + size; offset += MIB2)
		region_level2[offset >> 30][offset >> 21 & (ENTRIES - 1)] = 0;
	rt_tables_sync();
	rt_tlb_all();
	rt_tlb_sync();
}

uint64_t *rt_slot_words(void)
{
	return (uint64_t *)FLEX_BOARD_SLOTS_BASE;
}

void *rt_mailbox(uint64_t index)
{
	return (void *)(FLEX_BOARD_SHARED_BASE + index * FLEX_MAILBOX_SIZE);
}

void *rt_comm(void)
{
	return (void *)FLEX_BOARD_COMM_BASE;
}

void *rt_heap(void)
{
	return __rw_end;
}

uint64_t rt_heap_bytes(void)
{
	return (uint64_t)(__heap_end - __rw_end);
}
