/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* The one monitor of this machine, what it remembers across a reset, and memory as EL3 sees it. */

#include <arch_helpers.h>
#include <lib/cassert.h>
#include <lib/utils.h>
#include <lib/utils_def.h>

#include "flex_backend.h"
#include "flex_machine.h"

#define PAGE_COUNT	(FLEX_BOARD_DRAM_SIZE >> FLEX_PAGE_SHIFT)
#define BLOCK_COUNT	(FLEX_BOARD_DRAM_SIZE >> FLEX_BLOCK_SHIFT)

/* The "pages" region: page entries, block words, marks, and the dirty flag in its last cache line. */
#define BLOCKS_BASE	(FLEX_BOARD_PAGES_BASE + (PAGE_COUNT * sizeof(uint32_t)))
#define MARKS_BASE	(BLOCKS_BASE + (BLOCK_COUNT * sizeof(uint32_t)))
#define DIRTY_BASE	(FLEX_BOARD_PAGES_BASE + FLEX_BOARD_PAGES_SIZE - 64U)
#define ISR_INTERRUPT	(UINT64_C(3) << 6)	/* IRQ or FIQ pending, masked or not */
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
	.ops = &flex_backend_ops,
	.pages = (uint32_t *)FLEX_BOARD_PAGES_BASE,
	.blocks = (uint32_t *)BLOCKS_BASE,
	.slots = (uint64_t *)FLEX_BOARD_SLOTS_BASE,
	.mailboxes = (struct flex_mailbox *)FLEX_BOARD_SHARED_BASE,
	.payload = (const uint8_t *)FLEX_BOARD_PAYLOAD_BASE,
	.lists = flex_lists,
};

/*
 * Which 2M of DRAM held anything secure since protection was turned on, one byte each, in memory (not in a cache)
 * before the first page there is secure: a reset may lose the caches, and the page entries with them.
 */
void flex_machine_mark(uint64_t address)
{
	volatile uint8_t *mark = (volatile uint8_t *)MARKS_BASE + ((address - FLEX_BOARD_DRAM_BASE) >> FLEX_BLOCK_SHIFT);

	if (*mark == 0U) {
		*mark = 1U;
		flush_dcache_range((uintptr_t)mark, 1U);
	}
}

void flex_machine_dirty(bool dirty)
{
	if (!dirty) {
		zeromem((void *)MARKS_BASE, BLOCK_COUNT);
		flush_dcache_range(MARKS_BASE, BLOCK_COUNT);
	}
	*(volatile uint64_t *)DIRTY_BASE = dirty ? DIRTY_MAGIC : 0U;
	flush_dcache_range(DIRTY_BASE, sizeof(uint64_t));
}

/* [from, to) but for `count` extents, to the byte: their last pages have tails. */
static void scrub_around(uint64_t from, uint64_t to, const struct flex_extent *kept, unsigned int count)
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

void flex_machine_scrub_marked(const struct flex_extent *kept, unsigned int count)
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

bool flex_machine_is_dirty(void)
{
	return *(volatile uint64_t *)DIRTY_BASE == DIRTY_MAGIC;
}

void flex_pass_set(struct flex_pass *pass, uint64_t address, uint64_t value)
{
	volatile uint64_t *word = (uint64_t *)(uintptr_t)address;

	if (*word != value) {
		*word = value;
		pass->same = false;
	}
}

/* Zero, and cleaned to the point of coherency: accesses to one line keep their order. Most of what a recall costs. */
void flex_machine_scrub(uint64_t page)
{
	unsigned int i;

#pragma GCC unroll 8
	for (i = 0U; i < FLEX_PAGE_SIZE; i += FLEX_MACHINE_LINE) {
		dczva(page + i);
		dccivac(page + i);
	}
	dsbsy();
}

/* TF-A's memcpy() goes by bytes. */
void flex_machine_copy(uint64_t to, uint64_t from)
{
	const uint64_t *in = (const uint64_t *)(uintptr_t)from, *end = in + (FLEX_PAGE_SIZE / sizeof(uint64_t));
	uint64_t *out = (uint64_t *)(uintptr_t)to;

	for (; in < end; in += 4, out += 4) {
		out[0] = in[0];
		out[1] = in[1];
		out[2] = in[2];
		out[3] = in[3];
	}
}

bool flex_machine_interrupt_pending(void)
{
	return (read_isr_el1() & ISR_INTERRUPT) != 0U;
}

uint64_t flex_machine_ticks(void)
{
	return read_cntpct_el0();
}
