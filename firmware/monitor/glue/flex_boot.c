/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* Cold boot and shutdown: is this the CPU that the build is for, and does memory hold anything of the last life? */

#include <arch_helpers.h>
#include <common/debug.h>
#include <lib/cassert.h>
#include <lib/utils.h>
#include <lib/utils_def.h>

#include "flexkit_monitor.h"
#include "stage2.h"

#define PAGE_COUNT	(FLEX_BOARD_DRAM_SIZE >> FLEX_PAGE_SHIFT)
#define BLOCK_COUNT	(FLEX_BOARD_DRAM_SIZE >> FLEX_BLOCK_SHIFT)

/* The "pages" region: page entries, block words, marks, and the dirty flag in its last cache line. */
#define BLOCKS_BASE	(FLEX_BOARD_PAGES_BASE + (PAGE_COUNT * sizeof(uint32_t)))
#define MARKS_BASE	(BLOCKS_BASE + (BLOCK_COUNT * sizeof(uint32_t)))
#define DIRTY_BASE	(FLEX_BOARD_PAGES_BASE + FLEX_BOARD_PAGES_SIZE - 64U)
#define DIRTY_MAGIC	UINT64_C(0x59545249444B5846)	/* "FXKDIRTY" */

CASSERT((MARKS_BASE + BLOCK_COUNT) <= DIRTY_BASE, flex_pages_region_too_small);
CASSERT((FLEX_BOARD_SLOTS * sizeof(uint64_t)) <= FLEX_BOARD_SLOTS_SIZE, flex_slots_region_too_small);
CASSERT((FLEX_BOARD_MAILBOXES * FLEX_MAILBOX_SIZE) <= FLEX_BOARD_SHARED_SIZE, flex_shared_region_too_small);
CASSERT(sizeof(struct flex_mailbox) == FLEX_MAILBOX_SIZE, flex_mailbox_size);
CASSERT(PAGE_COUNT <= FLEX_SLOT_PAGE_MASK, flex_dram_too_large);

static uint64_t flex_lists[FLEX_BOARD_CORES][FLEX_MAILBOX_ENTRIES];

struct flex_monitor flex_monitor = {
	.layout = {
		.dram_base = FLEX_BOARD_DRAM_BASE, .dram_size = FLEX_BOARD_DRAM_SIZE,
		.tables_base = FLEX_BOARD_TABLES_BASE, .tables_size = FLEX_BOARD_TABLES_SIZE,
		.shared_base = FLEX_BOARD_SHARED_BASE, .shared_size = FLEX_BOARD_SHARED_SIZE,
		.payload_base = FLEX_BOARD_PAYLOAD_BASE, .payload_size = FLEX_BOARD_PAYLOAD_SIZE,
		.slots = FLEX_BOARD_SLOTS, .pin_quota = FLEX_BOARD_PIN_QUOTA,
		.mailboxes = FLEX_BOARD_MAILBOXES, .scrub_chunk = FLEX_BOARD_SCRUB_CHUNK,
		.cores = FLEX_BOARD_CORES,
	},
	.ops = &flex_machine_ops,
	.pages = (uint32_t *)FLEX_BOARD_PAGES_BASE,
	.blocks = (uint32_t *)BLOCKS_BASE,
	.slots = (uint64_t *)FLEX_BOARD_SLOTS_BASE,
	.mailboxes = (struct flex_mailbox *)FLEX_BOARD_SHARED_BASE,
	.payload = (const uint8_t *)FLEX_BOARD_PAYLOAD_BASE,
	.lists = flex_lists,
};

/*
 * What the CPU must have, and what it must not, since nobody has tried the monitor with it: vector state that the
 * dispatcher does not save, allocation tags that a scrub does not clear.
 */
static const struct {
	const char *name;
	u_register_t (*read)(void);
	uint8_t shift;
	uint8_t min;
	uint8_t max;
} features[] = {
	{ "EL2", read_id_aa64pfr0_el1, 8U, 1U, 2U },
	{ "FP", read_id_aa64pfr0_el1, 16U, 0U, 1U },
	{ "AdvSIMD", read_id_aa64pfr0_el1, 20U, 0U, 1U },
	{ "GICv3 system registers", read_id_aa64pfr0_el1, 24U, 1U, 15U },
	{ "no SVE", read_id_aa64pfr0_el1, 32U, 0U, 0U },
	{ "no MTE", read_id_aa64pfr1_el1, 8U, 0U, 1U },
	{ "no SME", read_id_aa64pfr1_el1, 24U, 0U, 0U },
	{ "40-bit physical addresses", read_id_aa64mmfr0_el1, 0U, 2U, 15U },
	{ "atomics", read_id_aa64isar0_el1, 20U, 2U, 15U },
	{ "dot product", read_id_aa64isar0_el1, 44U, 1U, 15U },
	{ "int8 matrix product", read_id_aa64isar1_el1, 52U, 1U, 15U },
};

static void check_cpu(void)
{
	unsigned int i, value;

	for (i = 0U; i < ARRAY_SIZE(features); i++) {
		value = (unsigned int)(features[i].read() >> features[i].shift) & 0xFU;
		if ((value < features[i].min) || (value > features[i].max)) {
			ERROR("FlexKit: this build needs a CPU with: %s (field is %u)\n", features[i].name, value);
			panic();
		}
	}
	if (read_cntfrq_el0() != FLEX_BOARD_COUNTER_HZ) {
		ERROR("FlexKit: the counter runs at %lu Hz, the board file says %llu\n", read_cntfrq_el0(),
		      (unsigned long long)FLEX_BOARD_COUNTER_HZ);
		panic();
	}
}

/*
 * Which 2M of DRAM held anything secure since protection was turned on, one byte each, in memory (not in a cache)
 * before the first page there is secure: a reset may lose the caches, and the page entries with them.
 */
void flex_monitor_mark(uint64_t address)
{
	volatile uint8_t *mark = (volatile uint8_t *)MARKS_BASE + ((address - FLEX_BOARD_DRAM_BASE) >> FLEX_BLOCK_SHIFT);

	if (*mark == 0U) {
		*mark = 1U;
		flush_dcache_range((uintptr_t)mark, 1U);
	}
}

void flex_monitor_dirty(bool dirty)
{
	if (!dirty) {
		zeromem((void *)MARKS_BASE, BLOCK_COUNT);
		flush_dcache_range(MARKS_BASE, BLOCK_COUNT);
	}
	*(volatile uint64_t *)DIRTY_BASE = dirty ? DIRTY_MAGIC : 0U;
	flush_dcache_range(DIRTY_BASE, sizeof(uint64_t));
}

struct extent {
	uint64_t base;
	uint64_t end;
};

/* [from, to) but for `count` extents, to the byte: their last pages have tails. */
static void scrub_around(uint64_t from, uint64_t to, const struct extent *kept, unsigned int count)
{
	if (from >= to) {
		return;
	}
	if (count == 0U) {
		zero_normalmem((void *)(uintptr_t)from, to - from);
		flush_dcache_range((uintptr_t)from, to - from);
		return;
	}
	scrub_around(from, MIN(to, kept->base), kept + 1, count - 1U);
	scrub_around(MAX(from, kept->end), to, kept + 1, count - 1U);
}

/* What held anything secure when the last boot ended: all of each 2M that is marked. */
static void scrub_marked(const struct extent *kept, unsigned int count)
{
	const uint8_t *mark = (const uint8_t *)MARKS_BASE;
	uint64_t base = FLEX_BOARD_DRAM_BASE;
	unsigned int i;

	for (i = 0U; i < BLOCK_COUNT; i++) {
		if (mark[i] != 0U) {
			scrub_around(base, base + FLEX_BLOCK_SIZE, kept, count);
			flex_monitor.stat[FLEX_STAT_RESET_SCRUBBED] += FLEX_BLOCK_PAGES;
		}
		base += FLEX_BLOCK_SIZE;
	}
}

/* Bytes of a flattened device tree: its second big-endian word. */
static uint64_t dtb_size(uint64_t dtb)
{
	return __builtin_bswap32(((const uint32_t *)(uintptr_t)dtb)[1]);
}

void flex_monitor_boot(uint64_t keep_base, uint64_t keep_size, uint64_t dtb)
{
	const struct extent kept[] = {
		{ keep_base, keep_base + keep_size },
		{ dtb, dtb + dtb_size(dtb) },
	};

	check_cpu();
	if (*(volatile uint64_t *)DIRTY_BASE == DIRTY_MAGIC) {
		scrub_marked(kept, ARRAY_SIZE(kept));
		NOTICE("FlexKit: secure memory was in use at the last reset; %llu pages scrubbed\n",
		       (unsigned long long)flex_monitor.stat[FLEX_STAT_RESET_SCRUBBED]);
	}
	flex_monitor_dirty(false);
	flex_core_init(&flex_monitor);
	if (flex_identity_parse(FLEX_BUILD_ID_HEX, &flex_monitor.identity[FLEX_PART_MONITOR]) != FLEX_OK) {
		ERROR("FlexKit: FLEX_BUILD_ID_HEX is not an identity\n");
		panic();
	}
	protect_prepare();
#ifdef FLEX_DEBUG
	flex_monitor.identity[FLEX_PART_MONITOR].debug = 1U;
#endif
}

/*
 * flex_monitor_shutdown() - scrubs every page that is not NORMAL, and every region
 *
 * Other cores may still run in the secure world and write what they hold, so the dirty flag stays as it is and the
 * next boot scrubs again, if the flag outlives the reset.
 */
void flex_monitor_shutdown(void)
{
	uint64_t page;
	uint32_t i, state;

	for (i = 0U; i < PAGE_COUNT; i++) {
		page = FLEX_BOARD_DRAM_BASE + ((uint64_t)i << FLEX_PAGE_SHIFT);
		state = flex_page_state(&flex_monitor, i);
		if (((state != FLEX_PAGE_NORMAL) && (state != FLEX_PAGE_HIDDEN)) ||
		    ((flex_monitor.blocks[i / FLEX_BLOCK_PAGES] >> FLEX_BLOCK_STATE_SHIFT) == FLEX_BLOCK_REGION)) {
			flex_machine_ops.scrub(page);
		}
	}
}
