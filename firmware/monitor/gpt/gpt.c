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

/* A physical address of DC CIPAPA has its address space in bits 63 and 62. */
#define PA_SECURE(address)	((address) | ((uint64_t)GPT_NSE_SECURE << GPT_NSE_SHIFT))
#define PA_NS(address)		((address) | ((uint64_t)GPT_NSE_NS << GPT_NSE_SHIFT))

/* So that one bit of a word that others write too moves a page, atomically. */
CASSERT(GPT_GPI_NS == (GPT_GPI_SECURE | 1U), flex_gpi_of_one_bit);
CASSERT(((FLEX_BOARD_DRAM_BASE | FLEX_BOARD_DRAM_SIZE) & (GB - 1U)) == 0U, flex_dram_of_whole_gb);
CASSERT((FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE + SECURE_VIEW) <= PLAT_VIRT_ADDR_SPACE_SIZE, flex_view_fits);

static const struct {
	uint64_t base;
	uint64_t size;
} devices[] = { FLEX_BOARD_DEVICES };

static spinlock_t lock;
static bool on;		/* protection; written under `lock` */

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

/* Does the normal world have a device in [base, base + size)? */
static bool has_device(uint64_t base, uint64_t size)
{
	unsigned int i;

	for (i = 0U; i < ARRAY_SIZE(devices); i++) {
		if ((base < (devices[i].base + devices[i].size)) && (devices[i].base < (base + size))) {
			return true;
		}
	}
	return false;
}

/* What nobody has been given yet is root's, unless a device of the normal world is there. */
static void close_gb(uint64_t base)
{
	uint64_t *entry = l0_entry(base), page, any;

	if ((*entry == L0_BLOCK(GPT_GPI_ANY)) && !has_device(base, GB)) {
		*entry = L0_BLOCK(GPT_GPI_ROOT);
	}
	for (page = base; L0_IS_TABLE(*entry) && (page < (base + GB)); page += FLEX_PAGE_SIZE) {
		any = (uint64_t)GPT_GPI_ANY << GPI_SHIFT(page);
		if (((*l1_word(page) & any) == any) && !has_device(page, FLEX_PAGE_SIZE)) {
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
	return *(volatile bool *)&on;
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
		rc = want ? dma_on() : dma_off();
		on = (rc == FLEX_OK) ? want : on;
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
	flex_machine_mark(address);
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

/*
 * What caches hold of a page goes to the point of physical aliasing: a line of one address space may be written to
 * memory, or read from there, long after the granule has become the other's. The non-secure lines go first, since they
 * may be newer than memory; then the secure ones, of which a core may have fetched some before.
 */
static int op_invalidate(const uint64_t *page, uint32_t count, uint64_t size)
{
	uint32_t i;
	int rc;

	forget();
	rc = smmu_invalidate();
	for (i = 0U; i < count; i++) {
		if (page[i] != 0U) {
			flush_dcache_to_popa_range(PA_NS(page[i]), size);
			flush_dcache_to_popa_range(PA_SECURE(page[i]), size);
		}
	}
	return rc;
}

/* While a page is secure no cache can fetch anything of it for the normal world. */
static void op_scrub(uint64_t page)
{
	flex_machine_scrub(page + SECURE_VIEW);
	flush_dcache_to_popa_range(PA_SECURE(page), FLEX_PAGE_SIZE);
}

static void op_copy(uint64_t to, uint64_t from)
{
	flex_machine_copy(to + SECURE_VIEW, from + SECURE_VIEW);
}

const struct flex_ops flex_backend_ops = {
	.unmap = op_unmap,
	.map = op_map,
	.invalidate = op_invalidate,
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
