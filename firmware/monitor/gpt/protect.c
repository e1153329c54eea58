/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Protection on demand: of a page's granule it needs nothing to be turned on, so no cores meet. Bus masters pass no
 * granule protection check on this kind of board: while anything is secure the SMMU translates them by stage-2 tables,
 * as it does under the stage2 backend, and those are root's memory at all times.
 */

#include <arch_helpers.h>
#include <lib/spinlock.h>

#include "dma.h"
#include "flex_backend.h"
#include "redistributors.h"
#include "gpt.h"
#include "smmuv3.h"
#include "tables.h"

static spinlock_t lock;
static bool on;

static bool op_protected(void)
{
	return *(volatile bool *)&on;
}

/*
 * op_protect() - FLEX_MON_PROTECT
 *
 * FLEX_E_NOSYS: a redistributor writes memory. Otherwise as dma_on() and dma_off(); nothing has changed in any of them.
 */
static int op_protect(bool want)
{
	uint64_t begin = read_cntpct_el0();
	int rc = FLEX_OK;

	spin_lock(&lock);
	if (on != want) {
		if (want && !gicr_quiet()) {
			rc = FLEX_E_NOSYS;
		} else {
			rc = want ? dma_on() : dma_off();
		}
		on = (rc == FLEX_OK) ? want : on;
		flex_monitor.stat[want ? FLEX_STAT_PROTECT_ON_TICKS : FLEX_STAT_PROTECT_OFF_TICKS] =
			read_cntpct_el0() - begin;
	}
	spin_unlock(&lock);
	return rc;
}

void flex_backend_pass(struct flex_pass *pass)
{
	(void)pass;
}

void flex_backend_prepare(void)
{
	gpt_prepare();
	dma_prepare();
}

/* A core has granule protection before it leaves EL3 for the first time, and keeps it. */
void flex_core_enter(void)
{
}

void flex_core_leave(void)
{
}

static void op_unmap(uint64_t page)
{
	flex_machine_mark(page);
	gpt_secure(page);
	stage2_unmap(page);
}

static void op_map(uint64_t page)
{
	gpt_open(page);
	stage2_map(page);
}

static void op_unmap_block(uint64_t block)
{
	flex_machine_mark(block);
	gpt_secure_block(block);
	stage2_unmap_block(block);
}

static void op_map_block(uint64_t block)
{
	gpt_open_block(block);
	stage2_map_block(block);
}

static void op_publish(void)
{
	stage2_publish();
	gpt_forget();
}

static int op_invalidate(const uint64_t *page, uint32_t count, uint64_t size)
{
	uint32_t i;
	int rc;

	gpt_forget();
	rc = smmu_invalidate();
	for (i = 0U; i < count; i++) {
		if (page[i] != 0U) {
			gpt_clean(page[i], size);
		}
	}
	return rc;
}

static void op_copy(uint64_t to, uint64_t from)
{
	flex_machine_copy(to + GPT_SECURE_VIEW, from + GPT_SECURE_VIEW);
}

const struct flex_ops flex_backend_ops = {
	.unmap = op_unmap,
	.map = op_map,
	.unmap_block = op_unmap_block,
	.map_block = op_map_block,
	.invalidate = op_invalidate,
	.publish = op_publish,
	.scrub = gpt_scrub,
	.copy = op_copy,
	.interrupt_pending = flex_machine_interrupt_pending,
	.ticks = flex_machine_ticks,
	.dma_blocked = smmu_events,
	.protect = op_protect,
	.protected = op_protected,
};
