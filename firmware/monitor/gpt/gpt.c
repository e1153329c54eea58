/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * The granule protection table that TF-A has built and turned on: level 0 has an entry for each GB, level 1 four bits
 * (a GPI) for each 4K. TF-A's own calls move one granule each, with an invalidation each, and for callers in the secure
 * world; these move many for one. Arm ARM, D9 (Granule Protection Check).
 */

#include <arch_helpers.h>
#include <common/debug.h>
#include <lib/cassert.h>
#include <lib/gpt_rme/gpt_rme.h>
#include <lib/utils_def.h>
#include <lib/xlat_tables/xlat_tables_defs.h>
#include <platform_def.h>

#include "gpt.h"

#define GB			(UINT64_C(1) << 30)
#define L0_ENTRIES		(UINT64_C(1) << (FLEX_BOARD_IPA_BITS - 30))
#define L0_TYPE_MASK		UINT64_C(0xF)
#define L0_TABLE		UINT64_C(3)
#define L0_BLOCK(gpi)		(UINT64_C(1) | ((uint64_t)(gpi) << 4))
#define L0_ADDRESS		UINT64_C(0x000FFFFFFFFFF000)
#define GPTBR_SHIFT		12U

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
CASSERT((FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE + GPT_SECURE_VIEW) <= PLAT_VIRT_ADDR_SPACE_SIZE, flex_view_fits);

static const struct {
	uint64_t base;
	uint64_t size;
} devices[] = { FLEX_BOARD_DEVICES };

static uint64_t *l0_entry(uint64_t address)
{
	return (uint64_t *)(uintptr_t)(read_gptbr_el3() << GPTBR_SHIFT) + (address / GB);
}

static uint64_t *l1_word(uint64_t address)
{
	return (uint64_t *)(uintptr_t)(*l0_entry(address) & L0_ADDRESS) + ((address % GB) / WORD_BYTES);
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

/* Of 16 pages, those that nobody has been given yet are root's, unless a device of the normal world is there. */
static void close_word(uint64_t *word, uint64_t base)
{
	uint64_t page, shift;

	for (page = base; page < (base + WORD_BYTES); page += FLEX_PAGE_SIZE) {
		shift = GPI_SHIFT(page);
		if ((((*word >> shift) & GPT_GPI_VAL_MASK) == GPT_GPI_ANY) && !has_device(page, FLEX_PAGE_SIZE)) {
			*word = (*word & ~(GPT_GPI_VAL_MASK << shift)) | ((uint64_t)GPT_GPI_ROOT << shift);
		}
	}
}

static void close_gb(uint64_t base)
{
	uint64_t *entry = l0_entry(base), at;

	if ((*entry & L0_TYPE_MASK) == L0_TABLE) {
		for (at = base; at < (base + GB); at += WORD_BYTES) {
			close_word(l1_word(at), at);
		}
	} else if ((*entry == L0_BLOCK(GPT_GPI_ANY)) && !has_device(base, GB)) {
		*entry = L0_BLOCK(GPT_GPI_ROOT);
	}
}

static void fill(uint64_t base, uint64_t size, unsigned int gpi)
{
	uint64_t at;

	for (at = base; at < (base + size); at += WORD_BYTES) {
		*(volatile uint64_t *)l1_word(at) = WORD_OF(gpi);
	}
}

/*
 * xlat_tables_v2 refuses one physical page at two addresses, so the second view is written here: a block of level 1,
 * where nothing was, for each GB. Every core has the same tables.
 */
static void map_secure_view(void)
{
	uint64_t *table = (uint64_t *)(uintptr_t)(read_ttbr0_el3() & ~UINT64_C(1)), at;

	for (at = FLEX_BOARD_DRAM_BASE; at < (FLEX_BOARD_DRAM_BASE + FLEX_BOARD_DRAM_SIZE); at += GB) {
		table[(at + GPT_SECURE_VIEW) / GB] = at | BLOCK_DESC | UPPER_ATTRS(XN) |
			LOWER_ATTRS(ACCESS_FLAG | ISH | AP_RW | ATTR_IWBWA_OWBWA_NTR_INDEX);
	}
	dsbishst();
	isb();
}

void gpt_prepare(void)
{
	uint64_t i, gpccr = read_gpccr_el3();

	if (((gpccr & GPCCR_GPC_BIT) == 0U) || (((gpccr >> GPCCR_PGS_SHIFT) & GPCCR_PGS_MASK) != GPCCR_PGS_4K) ||
	    (((gpccr >> GPCCR_L0GPTSZ_SHIFT) & GPCCR_L0GPTSZ_MASK) != GPCCR_L0GPTSZ_30BITS)) {
		ERROR("FlexKit: granule protection is not as the monitor needs it (GPCCR_EL3 %llx)\n",
		      (unsigned long long)gpccr);
		panic();
	}
	for (i = 0U; i < L0_ENTRIES; i++) {
		close_gb(i * GB);
	}
	fill(FLEX_BOARD_DRAM_BASE, FLEX_BOARD_DRAM_SIZE, GPT_GPI_NS);
	fill(FLEX_BOARD_TABLES_BASE, FLEX_BOARD_TABLES_SIZE, GPT_GPI_ROOT);
	gpt_forget();
	map_secure_view();
}

void gpt_secure(uint64_t page)
{
	(void)__atomic_fetch_and(l1_word(page), ~(UINT64_C(1) << GPI_SHIFT(page)), __ATOMIC_SEQ_CST);
}

void gpt_open(uint64_t page)
{
	(void)__atomic_fetch_or(l1_word(page), UINT64_C(1) << GPI_SHIFT(page), __ATOMIC_SEQ_CST);
}

void gpt_secure_block(uint64_t block)
{
	fill(block, FLEX_BLOCK_SIZE, GPT_GPI_SECURE);
}

void gpt_open_block(uint64_t block)
{
	fill(block, FLEX_BLOCK_SIZE, GPT_GPI_NS);
}

void gpt_forget(void)
{
	dsboshst();
	tlbipaallos();
	dsbosh();
	isb();
	flex_count(&flex_monitor, FLEX_STAT_TLBI, 1U);
}

/*
 * To the point of physical aliasing: what one world's address space has in a cache may be written to memory, or read
 * from there, long after the granule has become the other's. The non-secure lines go first, since they may be newer
 * than memory; then the secure ones, of which a core may have fetched some before.
 */
void gpt_clean(uint64_t address, uint64_t size)
{
	flush_dcache_to_popa_range(PA_NS(address), size);
	flush_dcache_to_popa_range(PA_SECURE(address), size);
}

/*
 * A line is zero where the secure world reads it, and nowhere else: while its page is secure no cache can fetch
 * anything of it for the normal world.
 */
static inline void scrub_line(uint64_t line)
{
	dczva(line + GPT_SECURE_VIEW);
	__asm__ volatile("sys #6, c7, c14, #1, %0" : : "r" (PA_SECURE(line)) : "memory");	/* DC CIPAPA */
}

/* As flex_machine_scrub(), but in the secure address space and to the point of physical aliasing. */
void gpt_scrub(uint64_t page)
{
	uint64_t line;

	for (line = page; line < (page + FLEX_PAGE_SIZE); line += 4U * FLEX_MACHINE_LINE) {
		scrub_line(line);
		scrub_line(line + FLEX_MACHINE_LINE);
		scrub_line(line + (2U * FLEX_MACHINE_LINE));
		scrub_line(line + (3U * FLEX_MACHINE_LINE));
	}
	dsbsy();
}
