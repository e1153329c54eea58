/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The gpt backend (Arm RME): a granule of DRAM is in the non-secure physical address space or in the secure one, and
 * the granule protection table, which EL3 owns, says in which. It is on from boot and on every core, so that of
 * protection on demand there is only the SMMU to be turned on: bus masters of such a board pass no granule protection
 * check, and are translated by stage-2 tables as under the stage2 backend. Those are root's memory at all times.
 *
 * The table is TF-A's: level 0 has an entry for each GB, level 1 four bits (a GPI) for each 4K. TF-A's own calls move one
 * granule each, with an invalidation each, and for callers in the secure world; these move many for one. Arm ARM, D9
 * (Granule Protection Check).
 */

#include <arch_helpers.h>
#include <common/debug.h>
#include <lib/cassert.h>
#include <lib/gpt_rme/gpt_rme.h>
#include <lib/spinlock.h>
#include <lib/utils.h>
#include <lib/utils_def.h>
#include <lib/xlat_tables/xlat_tables_defs.h>
#include <platform_def.h>

#include "dma.h"
#include "flex_backend.h"
#include "smmuv3.h"
#include "tables.h"

/* EL3 sees DRAM as non-secure at its own address, and as secure so much higher. */
#define SECURE_VIEW		UINT64_C(0x100000000)

#define GB			(UINT64_C(1) << 30)
#define L0_ENTRIES		(UINT64_C(1) << (FLEX_BOARD_IPA_BITS - 30))
#define L0_IS_TABLE(entry)	(((entry) & 0xFU) == 3U)
#define L0_BLOCK(gpi)		(UINT64_C(1) | ((uint64_t)(gpi) << 4))
#define L0_ADDRESS		UINT64_C(0x000FFFFFFFFFF000)
#define GPTBR_SHIFT		12U
/* 0 for 4K granules and level-0 entries of 1 GB. */
#define GPCCR_GRANULES		((GPCCR_PGS_MASK << GPCCR_PGS_SHIFT) | (GPCCR_L0GPTSZ_MASK << GPCCR_L0GPTSZ_SHIFT))

/* A level-1 word has the GPIs of 16 pages. */
#define WORD_BYTES		(UINT64_C(16) << FLEX_PAGE_SHIFT)
#define WORD_OF(gpi)		((uint64_t)(gpi) * UINT64_C(0x1111111111111111))
#define GPI_SHIFT(page)		((((page) >> FLEX_PAGE_SHIFT) % 16U) * 4U)

/* DC CIPAPA: a line of a physical address space, which bits 63 and 62 name, to the point of physical aliasing. */
#define CIPAPA(line, nse)	__asm__ volatile("sys #6, c7, c14, #1, %0" : : \
						 "r" ((line) | ((uint64_t)(nse) << GPT_NSE_SHIFT)) : "memory")

/* So that one bit of a word that others write too moves a page, atomically. */
CASSERT(GPT_GPI_NS == (GPT_GPI_SECURE | 1U), flex_gpi_of_one_bit);
CASSERT(((FLEX_BOARD_DRAM_BASE | FLEX_BOARD_DRAM_SIZE) & (GB - 1U)) == 0U, flex_dram_of_whole_gb);
CASSERT((FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE + SECURE_VIEW) <= PLAT_VIRT_ADDR_SPACE_SIZE, flex_view_fits);

static spinlock_t lock;
static bool on;		/* protection; written under `lock`, in one order with SECURE_PAGES: flex_secure_begin() */

static uint64_t *l0_entry(uint64_t address)
{
	return (uint64_t *)(uintptr_t)(read_gptbr_el3() << GPTBR_SHIFT) + (address / GB);
}

static uint64_t *l1_word(uint64_t address)
{
	return (uint64_t *)(uintptr_t)(*l0_entry(address) & L0_ADDRESS) + ((address % GB) / WORD_BYTES);
}

/* Whole words. */
static void fill(uint64_t base, uint64_t size, unsigned int gpi)
{
	uint64_t at;

	for (at = base; at < (base + size); at += WORD_BYTES) {
		*(volatile uint64_t *)l1_word(at) = WORD_OF(gpi);
	}
}

/* What nobody has been given yet is root's, unless the normal world has something there. */
static void close_gb(uint64_t base)
{
	uint64_t *entry = l0_entry(base), page, any;

	if ((*entry == L0_BLOCK(GPT_GPI_ANY)) && !stage2_has(1U, base)) {
		*entry = L0_BLOCK(GPT_GPI_ROOT);
	}
	for (page = base; L0_IS_TABLE(*entry) && (page < (base + GB)); page += FLEX_PAGE_SIZE) {
		any = (uint64_t)GPT_GPI_ANY << GPI_SHIFT(page);
		if (((*l1_word(page) & any) == any) && !stage2_has(3U, page)) {
			*l1_word(page) ^= (uint64_t)(GPT_GPI_ANY ^ GPT_GPI_ROOT) << GPI_SHIFT(page);
		}
	}
}

/*
 * xlat_tables_v2 refuses one physical page at two addresses, so the second view is written here: a block of level 1,
 * where nothing was, for each GB. Every core has the same tables. In force after a barrier.
 */
static void map_secure_view(void)
{
	uint64_t *table = (uint64_t *)(uintptr_t)(read_ttbr0_el3() & ~UINT64_C(1)), at;

	for (at = FLEX_BOARD_DRAM_BASE; at < (FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE); at += GB) {
		table[(at + SECURE_VIEW) / GB] = at | BLOCK_DESC | UPPER_ATTRS(XN) |
			LOWER_ATTRS(ACCESS_FLAG | ISH | AP_RW | ATTR_IWBWA_OWBWA_NTR_INDEX);
	}
}

/* All cores read the table anew. */
static void forget(void)
{
	dsboshst();
	tlbipaallos();
	dsbosh();
	isb();
	flex_count(&flex_monitor, FLEX_STAT_TLBI, 1U);
}

/* Everything that the board file does not give to the normal world is closed to it. */
void flex_backend_prepare(void)
{
	uint64_t i;

	if ((read_gpccr_el3() & (GPCCR_GPC_BIT | GPCCR_GRANULES)) != GPCCR_GPC_BIT) {
		ERROR("FlexKit: the granule protection table is off, or not of 4K granules and GB\n");
		panic();
	}
	for (i = 0U; i < L0_ENTRIES; i++) {
		close_gb(i * GB);
	}
	fill(FLEX_BOARD_DRAM_BASE, FLEX_BOARD_DRAM_SIZE, GPT_GPI_NS);
	fill(FLEX_BOARD_TABLES_BASE, FLEX_BOARD_TABLES_SIZE, GPT_GPI_ROOT);
#ifdef FLEX_BOARD_FLASH_BASE
	fill(FLEX_BOARD_FLASH_BASE, FLEX_BOARD_FLASH_SIZE, GPT_GPI_SECURE);
#endif
	map_secure_view();
	forget();
	dma_prepare();
}

/* Nothing but the SMMU's lies there. */
void flex_backend_pass(struct flex_pass *pass)
{
}

static bool op_protected(void)
{
	return __atomic_load_n(&on, __ATOMIC_SEQ_CST);
}

/*
 * FLEX_MON_PROTECT: no cores meet. Errors of dma_on() and dma_off(): nothing has changed then. Nobody has to ask whether
 * LPIs are on: first frames and ITS are out of the normal world's reach from its first instruction.
 */
static int op_protect(bool want)
{
	uint64_t begin = read_cntpct_el0();
	int rc = FLEX_OK;

	spin_lock(&lock);
	if (on != want) {
		__atomic_store_n(&on, false, __ATOMIC_SEQ_CST);
		rc = want ? dma_on() : dma_off();
		__atomic_store_n(&on, (rc == FLEX_OK) == want, __ATOMIC_SEQ_CST);
		flex_monitor.stat[want ? FLEX_STAT_PROTECT_ON_TICKS : FLEX_STAT_PROTECT_OFF_TICKS] = read_cntpct_el0() - begin;
	}
	spin_unlock(&lock);
	return rc;
}

/* The core that owns the page or the region is the only one that moves it; a page has one bit of a word of others. */
static void give(uint64_t address, uint64_t size, unsigned int gpi)
{
	uint64_t bit = UINT64_C(1) << GPI_SHIFT(address);

	if (size == FLEX_BLOCK_SIZE) {
		fill(address, size, gpi);
	} else if (gpi == GPT_GPI_NS) {
		(void)__atomic_fetch_or(l1_word(address), bit, __ATOMIC_SEQ_CST);
	} else {
		(void)__atomic_fetch_and(l1_word(address), ~bit, __ATOMIC_SEQ_CST);
	}
}

static void op_unmap(uint64_t address, uint64_t size)
{
	give(address, size, GPT_GPI_SECURE);
	stage2_unmap(address, size);
}

static void op_map(uint64_t address, uint64_t size)
{
	give(address, size, GPT_GPI_NS);
	stage2_map(address, size);
}

static void op_publish(void)
{
	stage2_publish();
	forget();
}

static int op_invalidate(void)
{
	forget();
	return smmu_invalidate();
}

/*
 * Caches keep the address spaces of a page apart, memory does not: a line of one may be written there, or be read again,
 * long after the granule has become the other's. So no line of either outlives a change. Towards the secure world the
 * non-secure lines may be newer than memory (a donation keeps its bytes), and the secure ones may have been fetched ahead
 * between the last scrub and the change back, with what was there then. Towards the normal world the secure lines hold
 * the scrub, and non-secure ones what is not to be read. TF-A's gpt_delegate_pas() and gpt_undelegate_pas() clean both,
 * both ways, for this reason; what can be spared is their barrier for each page. In force after a DSB.
 */
static void clean_page(uint64_t page)
{
	unsigned int i;

#pragma GCC unroll 8
	for (i = 0U; i < FLEX_PAGE_SIZE; i += FLEX_MACHINE_LINE) {
		CIPAPA(page + i, GPT_NSE_NS);
		CIPAPA(page + i, GPT_NSE_SECURE);
	}
}

static void op_settle(const uint64_t *page, uint32_t count)
{
	uint32_t i;

	for (i = 0U; i < count; i++) {
		if (page[i] != 0U) {
			clean_page(page[i]);
		}
	}
	dsbosh();
}

/* In the address space that it is in: at a shutdown a region may be half secured. */
static void op_scrub(uint64_t page)
{
	bool ns = ((*l1_word(page) >> GPI_SHIFT(page)) & 1U) != 0U;

	zero_normalmem((void *)(uintptr_t)(page + (ns ? 0U : SECURE_VIEW)), FLEX_PAGE_SIZE);
	dsbsy();
	clean_page(page);
	dsbosh();
}

static void op_copy(uint64_t to, uint64_t from)
{
	flex_machine_copy(to + SECURE_VIEW, from + SECURE_VIEW);
}

const struct flex_ops flex_backend_ops = {
	.unmap = op_unmap,
	.map = op_map,
	.invalidate = op_invalidate,
	.settle = op_settle,
	.publish = op_publish,
	.scrub = op_scrub,
	.copy = op_copy,
	.interrupt_pending = flex_machine_interrupt_pending,
	.ticks = flex_machine_ticks,
	.dma_blocked = smmu_events,
	.donate_pages = 128U,
	.protect = op_protect,
	.protected = op_protected,
};
