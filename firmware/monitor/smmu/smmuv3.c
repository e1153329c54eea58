/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * SMMUv3: while protection is on, every stream is translated by the tables of the cores (stage 2 only); while it is
 * off, streams bypass, since nothing is secure. Two-level stream table, of which all first-level entries point to the
 * same leaf: each stream is treated alike. Events are counted, not looked at.
 */

#include <arch_helpers.h>
#include <lib/mmio.h>
#include <lib/spinlock.h>

#include "smmuv3.h"

#define SMMU(reg)		((uintptr_t)FLEX_BOARD_SMMU_BASE + (reg))
#define IDR0			0x000U
#define CR0			0x020U
#define CR0ACK			0x024U
#define CR1			0x028U
#define CR2			0x02CU
#define GBPA			0x044U
#define IRQ_CTRL		0x050U
#define STRTAB_BASE		0x080U
#define STRTAB_BASE_CFG		0x088U
#define CMDQ_BASE		0x090U
#define CMDQ_PROD		0x098U
#define CMDQ_CONS		0x09CU
#define EVENTQ_BASE		0x0A0U
#define EVENTQ_PROD		0x100A8U
#define EVENTQ_CONS		0x100ACU

#define IDR0_S2P		(1U << 0)
#define IDR0_COHACC		(1U << 4)
#define IDR0_ST_LEVEL_SHIFT	27
#define CR0_SMMUEN		(1U << 0)
#define CR0_EVENTQEN		(1U << 2)
#define CR0_CMDQEN		(1U << 3)
#define CR1_WRITE_BACK		0xD75U		/* tables and queues: inner shareable, write-back */
#define CR2_RECINVSID		(1U << 1)
#define GBPA_UPDATE		(1U << 31)
#define GBPA_BYPASS		(1U << 12)	/* shareability as incoming, no abort */

#define CMDQ_BITS		8U		/* one page of 256 commands */
#define CMDQ_WRAP_MASK		((1U << (CMDQ_BITS + 1U)) - 1U)
#define CMDQ_INDEX_MASK		((1U << CMDQ_BITS) - 1U)
#define EVENTQ_BITS		7U		/* one page of 128 events */
#define EVENTQ_WRAP_MASK	((1U << (EVENTQ_BITS + 1U)) - 1U)
#define CMD_CFGI_ALL		UINT64_C(0x04)
#define CMD_CFGI_ALL_RANGE	UINT64_C(31)
#define CMD_TLBI_NSNH_ALL	UINT64_C(0x30)
#define CMD_SYNC		UINT64_C(0x46)

#define SPLIT			8U
#define LEAF_ENTRIES		(1U << SPLIT)
#define L1_ENTRIES		(1U << (FLEX_BOARD_SMMU_STREAM_BITS - SPLIT))
#define L1_SPAN			(SPLIT + 1U)
#define STE_BYTES		64U
#define STE0_VALID		UINT64_C(1)
#define STE0_STAGE2_ONLY	(UINT64_C(6) << 1)
#define STE1_SHCFG_INCOMING	(UINT64_C(1) << 44)
#define STE2_AA64		(UINT64_C(1) << 51)
#define STE2_RECORD		(UINT64_C(1) << 58)
#define STE2_VTCR_SHIFT		32
#define STE2_VTCR_MASK		UINT64_C(0x7FFFF)

#define SMMU_TICKS		((uint64_t)FLEX_BOARD_COUNTER_HZ / 10U)	/* it answers within 100 ms or is broken */

static spinlock_t smmu_lock;
static uint32_t cmdq_prod;

static bool wait_for(uintptr_t reg, uint32_t mask, uint32_t value)
{
	uint64_t begin = read_cntpct_el0();

	while ((mmio_read_32(reg) & mask) != value) {
		if ((read_cntpct_el0() - begin) > SMMU_TICKS) {
			return false;
		}
	}
	return true;
}

static bool set_cr0(uint32_t value)
{
	mmio_write_32(SMMU(CR0), value);
	return wait_for(SMMU(CR0ACK), CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN, value);
}

/* L1 entries and the leaf that they share. */
void smmu_tables(struct flex_pass *pass, uint64_t tables, uint64_t vtcr, uint64_t vmid)
{
	uint64_t ste[STE_BYTES / sizeof(uint64_t)] = {
		STE0_VALID | STE0_STAGE2_ONLY,
		STE1_SHCFG_INCOMING,
		vmid | ((vtcr & STE2_VTCR_MASK) << STE2_VTCR_SHIFT) | STE2_AA64 | STE2_RECORD,
		tables,
	};
	unsigned int i, j;

	for (i = 0U; i < LEAF_ENTRIES; i++) {
		for (j = 0U; j < (STE_BYTES / sizeof(uint64_t)); j++) {
			flex_pass_set(pass, HIDDEN_SMMU_LEAF + (i * STE_BYTES) + (j * sizeof(uint64_t)), ste[j]);
		}
	}
	for (i = 0U; i < L1_ENTRIES; i++) {
		flex_pass_set(pass, HIDDEN_SMMU_STREAMS + (i * sizeof(uint64_t)), HIDDEN_SMMU_LEAF | L1_SPAN);
	}
}

static void push(uint64_t low, uint64_t high)
{
	volatile uint64_t *command = (uint64_t *)(uintptr_t)HIDDEN_SMMU_COMMANDS + (2U * (cmdq_prod & CMDQ_INDEX_MASK));

	command[0] = low;
	command[1] = high;
	cmdq_prod = (cmdq_prod + 1U) & CMDQ_WRAP_MASK;
}

/*
 * smmu_invalidate() - configuration and translations forgotten, and known to be
 *
 * FLEX_E_TIMEOUT when the SMMU has not consumed the commands in time: the caller must not secure anything.
 */
int smmu_invalidate(void)
{
	uint64_t begin = read_cntpct_el0();
	bool done;

	spin_lock(&smmu_lock);
	push(CMD_CFGI_ALL, CMD_CFGI_ALL_RANGE);
	push(CMD_TLBI_NSNH_ALL, 0U);
	push(CMD_SYNC, 0U);
	dsbsy();
	mmio_write_32(SMMU(CMDQ_PROD), cmdq_prod);
	done = wait_for(SMMU(CMDQ_CONS), CMDQ_WRAP_MASK, cmdq_prod);
	spin_unlock(&smmu_lock);

	flex_count(&flex_monitor, FLEX_STAT_SMMU_INVALIDATIONS, 1U);
	flex_count(&flex_monitor, FLEX_STAT_SMMU_TICKS, read_cntpct_el0() - begin);
	return done ? FLEX_OK : FLEX_E_TIMEOUT;
}

/* Taking over the overflow bit with the index acknowledges it, and a queue that was full takes events again. */
uint64_t smmu_events(void)
{
	uint32_t prod, events;

	spin_lock(&smmu_lock);
	prod = mmio_read_32(SMMU(EVENTQ_PROD));
	events = (prod - mmio_read_32(SMMU(EVENTQ_CONS))) & EVENTQ_WRAP_MASK;
	mmio_write_32(SMMU(EVENTQ_CONS), prod);
	spin_unlock(&smmu_lock);
	return events;
}

static bool smmu_fit(void)
{
	uint32_t idr0 = mmio_read_32(SMMU(IDR0));

	return ((idr0 & IDR0_S2P) != 0U) && ((idr0 & IDR0_COHACC) != 0U) &&
	       (((idr0 >> IDR0_ST_LEVEL_SHIFT) & 3U) == 1U);
}

/* From whatever the normal world left in it: disabled, set up afresh, emptied, enabled. */
int smmu_on(void)
{
	int rc;

	if (!smmu_fit() || !set_cr0(0U)) {
		return FLEX_E_TIMEOUT;
	}
	mmio_write_32(SMMU(IRQ_CTRL), 0U);
	mmio_write_32(SMMU(CR1), CR1_WRITE_BACK);
	mmio_write_32(SMMU(CR2), CR2_RECINVSID);
	mmio_write_64(SMMU(STRTAB_BASE), HIDDEN_SMMU_STREAMS);
	mmio_write_32(SMMU(STRTAB_BASE_CFG), (1U << 16) | (SPLIT << 6) | FLEX_BOARD_SMMU_STREAM_BITS);
	mmio_write_64(SMMU(CMDQ_BASE), HIDDEN_SMMU_COMMANDS | CMDQ_BITS);
	mmio_write_32(SMMU(CMDQ_CONS), 0U);
	cmdq_prod = 0U;
	mmio_write_32(SMMU(CMDQ_PROD), 0U);
	mmio_write_64(SMMU(EVENTQ_BASE), HIDDEN_SMMU_EVENTS | EVENTQ_BITS);
	mmio_write_32(SMMU(EVENTQ_PROD), 0U);
	mmio_write_32(SMMU(EVENTQ_CONS), 0U);
	if (!set_cr0(CR0_CMDQEN)) {
		return FLEX_E_TIMEOUT;
	}
	rc = smmu_invalidate();
	if (rc != FLEX_OK) {
		return rc;
	}
	return set_cr0(CR0_CMDQEN | CR0_EVENTQEN | CR0_SMMUEN) ? FLEX_OK : FLEX_E_TIMEOUT;
}

int smmu_off(void)
{
	if (!wait_for(SMMU(GBPA), GBPA_UPDATE, 0U)) {
		return FLEX_E_TIMEOUT;
	}
	mmio_write_32(SMMU(GBPA), GBPA_UPDATE | GBPA_BYPASS);
	if (!wait_for(SMMU(GBPA), GBPA_UPDATE, 0U) || !set_cr0(0U)) {
		return FLEX_E_TIMEOUT;
	}
	return FLEX_OK;
}
