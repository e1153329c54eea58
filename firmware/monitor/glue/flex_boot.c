/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/* Cold boot and shutdown: is this the CPU that the build is for, and does memory hold anything of the last life? */

#include <arch_helpers.h>
#include <common/debug.h>
#include <lib/utils_def.h>

#include "flex_backend.h"
#include "flex_machine.h"
#include "flexkit_monitor.h"

DEFINE_SYSREG_READ_FUNC(dczid_el0)

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
	{ "GICv3 system registers", read_id_aa64pfr0_el1, 24U, FLEX_BOARD_HAS_GICV3, 15U },
	{ "no SVE", read_id_aa64pfr0_el1, 32U, 0U, 0U },
	{ "no MTE", read_id_aa64pfr1_el1, 8U, 0U, 1U },
	{ "no SME", read_id_aa64pfr1_el1, 24U, 0U, 0U },
	{ "40-bit physical addresses", read_id_aa64mmfr0_el1, 0U, 2U, 15U },
	{ "atomics", read_id_aa64isar0_el1, 20U, (FLEX_BOARD_HAS_ATOMICS != 0) ? 2U : 0U, 15U },
	{ "AES and polynomial multiplication", read_id_aa64isar0_el1, 4U, (FLEX_BOARD_HAS_AES != 0) ? 2U : 0U, 15U },
	{ "dot product", read_id_aa64isar0_el1, 44U, FLEX_BOARD_HAS_DOTPROD, 15U },
	{ "cache lines of 64 bytes", read_ctr_el0, 16U, 4U, 4U },
	{ "DC ZVA", read_dczid_el0, 4U, 0U, 0U },
	{ "DC ZVA of 64 bytes", read_dczid_el0, 0U, 4U, 4U },
	{ "int8 matrix product", read_id_aa64isar1_el1, 52U, FLEX_BOARD_HAS_I8MM, 15U },
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

/* Bytes of a flattened device tree: its second big-endian word. */
static uint64_t dtb_size(uint64_t dtb)
{
	return __builtin_bswap32(((const uint32_t *)(uintptr_t)dtb)[1]);
}

void flex_monitor_boot(uint64_t keep_base, uint64_t keep_size, uint64_t dtb)
{
	const struct flex_extent kept[] = {
		{ keep_base, keep_base + keep_size },
		{ dtb, dtb + dtb_size(dtb) },
	};

	NOTICE("FlexKit: monitor " FLEX_BUILD_ID_HEX "\n");
	check_cpu();
	if (flex_machine_is_dirty()) {
		flex_machine_scrub_marked(kept, ARRAY_SIZE(kept));
		NOTICE("FlexKit: secure memory was in use at the last reset; %llu pages scrubbed\n",
		       (unsigned long long)flex_monitor.stat[FLEX_STAT_RESET_SCRUBBED]);
	}
	flex_machine_dirty(false);
	flex_core_init(&flex_monitor);
	flex_monitor.identity[FLEX_PART_MONITOR] = (struct flex_identity){
		FLEX_BUILD_ID_HIGH, FLEX_BUILD_ID_LOW, FLEX_BUILD_DEBUG
	};
	flex_backend_prepare();
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

	flex_monitor.ops->publish();	/* a region may be half secured: no TLB remembers the half that is */
	for (i = 0U; i < (FLEX_BOARD_DRAM_SIZE >> FLEX_PAGE_SHIFT); i++) {
		page = FLEX_BOARD_DRAM_BASE + ((uint64_t)i << FLEX_PAGE_SHIFT);
		state = flex_page_state(&flex_monitor, i);
		if (((state != FLEX_PAGE_NORMAL) && (state != FLEX_PAGE_HIDDEN)) ||
		    ((flex_monitor.blocks[i / FLEX_BLOCK_PAGES] >> FLEX_BLOCK_STATE_SHIFT) == FLEX_BLOCK_REGION)) {
			flex_monitor.ops->scrub(page);
		}
	}
}
