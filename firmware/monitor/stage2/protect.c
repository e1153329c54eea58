/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Protection on demand: all online cores meet in EL3, the last to come turns stage 2 and the SMMU on or off, and each
 * core sets its own EL2 before it leaves.
 */

#include <arch_helpers.h>
#include <lib/spinlock.h>
#include <plat/common/platform.h>

#include "dma.h"
#include "flex_backend.h"
#include "redistributors.h"
#include "smmuv3.h"
#include "stage2.h"
#include "tables.h"

/* For all cores to come, also on an emulator that its host does not let run. */
#define MEET_TICKS	(3U * (uint64_t)FLEX_BOARD_COUNTER_HZ)

enum meet_phase {
	MEET_IDLE,	/* nobody waits */
	MEET_GATHER,	/* cores are coming */
	MEET_LEAVE	/* the result is there, cores are going */
};

/* All of it under `lock`, which a core holds while it works, never while it waits. */
static struct {
	spinlock_t lock;
	enum meet_phase phase;
	bool target;
	bool on;
	int result;
	uint32_t online;	/* cores that are in the normal world, or in EL3 on its behalf */
	uint32_t arrived;
	uint64_t begin;
} meet;

static uint32_t my_bit(void)
{
	return UINT32_C(1) << plat_my_core_pos();
}

static bool protect_is_on(void)
{
	return *(volatile bool *)&meet.on;
}

void flex_backend_pass(struct flex_pass *pass)
{
	el2_vectors(pass);
}

void flex_backend_prepare(void)
{
	dma_prepare();
	/* Nothing but stage 2 closes the secure world's memory on such a board: no core enters the normal world without. */
	meet.on = FLEX_BOARD_ALWAYS_PROTECTED != 0;
	flex_machine_dirty(meet.on);
}

static int turn(bool on)
{
	int rc;

	if (on && !gicr_quiet()) {
		return FLEX_E_NOSYS;
	}
	if (!on && (FLEX_BOARD_ALWAYS_PROTECTED != 0)) {
		return FLEX_E_STATE;
	}
	rc = on ? dma_on() : dma_off();
	if (rc == FLEX_OK) {
		meet.on = on;
	}
	return rc;
}

static void decide(void)
{
	uint64_t now;

	if ((meet.online & ~meet.arrived) == 0U) {
		meet.result = turn(meet.target);
		now = read_cntpct_el0();
		flex_monitor.stat[meet.target ? FLEX_STAT_PROTECT_ON_TICKS : FLEX_STAT_PROTECT_OFF_TICKS] =
			now - meet.begin;
		meet.phase = MEET_LEAVE;
	} else if ((read_cntpct_el0() - meet.begin) > MEET_TICKS) {
		meet.result = FLEX_E_TIMEOUT;
		meet.phase = MEET_LEAVE;
	}
}

/* Lets the other cores have the lock. */
static void breathe(void)
{
	spin_unlock(&meet.lock);
	isb();
	spin_lock(&meet.lock);
}

/* Waits until the meeting that this core has joined has a result. */
static int meet_and_wait(void)
{
	meet.arrived |= my_bit();
	while (meet.phase == MEET_GATHER) {
		decide();
		if (meet.phase == MEET_GATHER) {
			breathe();
		}
	}
	el2_set(meet.on);
	meet.arrived &= ~my_bit();
	if (meet.arrived == 0U) {
		meet.phase = MEET_IDLE;
	}
	return meet.result;
}

/*
 * protect_switch() - FLEX_MON_PROTECT on this core
 *
 * FLEX_E_TIMEOUT: not all online cores came in time, or the SMMU is silent; FLEX_E_STATE: something is secure;
 * FLEX_E_BUSY: a bus master wrote into the tables; FLEX_E_NOSYS: the GIC is one; FLEX_E_INVAL: other cores are
 * meeting to do the opposite. In all of them nothing has changed.
 */
static int protect_switch(bool on)
{
	int rc;

	spin_lock(&meet.lock);
	while (meet.phase == MEET_LEAVE) {
		breathe();
	}
	if (meet.phase == MEET_IDLE) {
		if (meet.on == on) {
			spin_unlock(&meet.lock);
			return FLEX_OK;
		}
		meet.phase = MEET_GATHER;
		meet.target = on;
		meet.begin = read_cntpct_el0();
	}
	rc = (meet.target == on) ? meet_and_wait() : FLEX_E_INVAL;
	spin_unlock(&meet.lock);
	return rc;
}

void flex_core_enter(void)
{
	spin_lock(&meet.lock);
	meet.online |= my_bit();
	el2_set(meet.on);
	spin_unlock(&meet.lock);
}

void flex_core_leave(void)
{
	spin_lock(&meet.lock);
	meet.online &= ~my_bit();
	spin_unlock(&meet.lock);
}

static int op_invalidate(void)
{
	el2_tlbi();
	return smmu_invalidate();
}

const struct flex_ops flex_backend_ops = {
	.unmap = stage2_unmap,
	.map = stage2_map,
	.invalidate = op_invalidate,
	.publish = stage2_publish,
	.scrub = flex_machine_scrub,
	.copy = flex_machine_copy,
	.interrupt_pending = flex_machine_interrupt_pending,
	.ticks = flex_machine_ticks,
	.dma_blocked = smmu_events,
	.donate_pages = FLEX_MAILBOX_ENTRIES,
	.protect = protect_switch,
	.protected = protect_is_on,
};
