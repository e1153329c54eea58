// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages recall takes next: of the range that was used longest ago, what
 * is needed last (walk.c). What a group is guaranteed by memory.min and
 * memory.low is not taken for others.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include "table.h"

/**
 * flex_range_touch() - the range is used now: it becomes the last victim
 * @range: recallable
 */
void flex_range_touch(struct flex_range *range)
{
	spin_lock(&flex_slots_lock);
	if (!list_empty(&range->lru))
		list_move_tail(&range->lru, &flex_lru);
	spin_unlock(&flex_slots_lock);
}

/**
 * flex_range_park() - nobody uses the range for now: reclaim may have its pages
 * @range: added, not recallable, nobody loads it
 *
 * It goes before all weights: its pages come back without a read. The caller
 * says so to reclaim: flex_reclaim_mark().
 */
void flex_range_park(struct flex_range *range)
{
	spin_lock(&flex_slots_lock);
	range->recallable = true;
	range->saving = false;
	flex_walk_rewind(&range->walk);
	list_add(&range->lru, &flex_lru);
	atomic_long_add(range->held, &flex_recallable_held);
	spin_unlock(&flex_slots_lock);
}

/**
 * flex_range_unpark() - the range is used again
 * @range: parked; what is under recall now still goes
 */
void flex_range_unpark(struct flex_range *range)
{
	spin_lock(&flex_slots_lock);
	range->recallable = false;
	list_del_init(&range->lru);
	atomic_long_sub(range->held, &flex_recallable_held);
	spin_unlock(&flex_slots_lock);
}

/**
 * flex_range_saved() - what came of range->save()
 * @range: added
 * @error: 0: it holds nothing any more that would be lost; -EAGAIN: it may be
 * asked for again; else it cannot be saved, and goes when it must
 */
void flex_range_saved(struct flex_range *range, int error)
{
	spin_lock(&flex_slots_lock);
	range->saving = false;
	range->dirty = error;
	if (error && error != -EAGAIN)
		range->save = NULL;
	spin_unlock(&flex_slots_lock);
}

/**
 * flex_range_order() - in which order recall takes a range's pages from now on
 * @range: added, without an order so far
 * @run: kvmalloc'ed, the range's from now on (struct flex_walk)
 * @runs: at least one
 * @now: number of the run in use; stays as long as the range
 */
void flex_range_order(struct flex_range *range, const struct flex_run *run, u32 runs,
		      const u64 *now)
{
	const struct flex_run *before;

	spin_lock(&flex_slots_lock);
	before = range->walk.run;
	range->walk.run = run;
	range->walk.runs = runs;
	range->walk.now = now;
	flex_walk_rewind(&range->walk);
	spin_unlock(&flex_slots_lock);
	if (before != &range->walk.whole)
		kvfree(before);
}

/* Entry @n of the lease becomes the page in a slot. Return: false when none can be had there. */
static bool flex_slot_collect(u32 slot, struct flex_mailbox_lease *lease, u32 n)
{
	unsigned long entry = flex_slot[slot];

	if (!entry || (entry & FLEX_MOVING))
		return false;
	flex_slot_set(slot, entry | FLEX_MOVING);
	lease->slot[n] = slot;
	lease->page[n] = (struct page *)entry;
	lease->memory->page[n] = flex_page_address(lease->page[n]);
	return true;
}

/* The caller gets the range's next pages. */
static u32 flex_range_collect(struct flex_range *range, struct flex_mailbox_lease *lease, u32 want)
{
	u32 n = 0, index;

	while (n < want && flex_walk_next(&range->walk, &index))
		n += flex_slot_collect(range->first + index, lease, n);
	flex_range_account(range, 0, n);
	lease->range = range;
	return n;
}

/* Or those of a part of it. */
static u32 flex_part_collect(const struct flex_scope *scope, struct flex_mailbox_lease *lease,
			     u32 want)
{
	struct flex_range *range = scope->range;
	u32 n = 0, index;

	for (index = 0; n < want && index < scope->part.count; index++)
		n += flex_slot_collect(range->first + scope->part.first + index, lease, n);
	flex_range_account(range, 0, n);
	lease->range = range;
	return n;
}

static bool flex_range_within(const struct flex_range *range, const struct flex_scope *scope)
{
	return !scope->memcg || flex_group_within(range->group, scope->memcg, scope->exact);
}

/* May this recall take the range's pages? */
static bool flex_range_victim(const struct flex_range *range, const struct flex_scope *scope)
{
	enum flex_guard kept;

	if (!flex_range_within(range, scope))
		return false;
	if (!scope->guard)
		return true;
	kept = flex_group_guard(range->group, scope->memcg);
	if (!kept || kept > scope->guard)
		return true;
	if (kept == FLEX_GUARD_LOW)
		*scope->spared = true;
	return false;
}

/*
 * Is it the range's turn? First comes what can be read again; meanwhile what
 * would be lost is to be saved.
 */
static bool flex_range_turn(struct flex_range *range, const struct flex_scope *scope, bool dirty)
{
	if (range->dirty && !dirty && range->save && !range->saving) {
		range->saving = true;
		range->save(range);
	}
	return range->dirty == dirty && !(dirty && range->saving && scope->patient);
}

/* The next pages of the range used longest ago, of those that are dirty or not. */
static u32 flex_lru_collect(const struct flex_scope *scope, struct flex_mailbox_lease *lease,
			    u32 want, bool dirty)
{
	struct flex_range *range;
	u32 n = 0;

	list_for_each_entry(range, &flex_lru, lru) {
		if (flex_range_victim(range, scope) && flex_range_turn(range, scope, dirty))
			n = flex_range_collect(range, lease, want);
		if (n)
			break;
	}
	return n;
}

/**
 * flex_slots_collect() - pages to be recalled, marked as moving
 * @scope: whose; of several ranges the one used longest ago, dirty ones last
 * @lease: gets the pages, in its mailbox too
 * @want: how many at the most, not above FLEX_BATCH
 *
 * Return: how many; each is due for flex_slots_settle(). All lie in one range.
 */
u32 flex_slots_collect(const struct flex_scope *scope, struct flex_mailbox_lease *lease, u32 want)
{
	u32 n;

	spin_lock(&flex_slots_lock);
	if (scope->part.count) {
		n = flex_part_collect(scope, lease, want);
	} else if (scope->range) {
		n = flex_range_collect(scope->range, lease, want);
	} else {
		n = flex_lru_collect(scope, lease, want, false);
		if (!n)
			n = flex_lru_collect(scope, lease, want, true);
	}
	spin_unlock(&flex_slots_lock);
	return n;
}

/* What the table does with an entry by the monitor's answer: FLEX_E_STATE is that it is not secure. */
static bool flex_entry_back(s32 result)
{
	return result == FLEX_OK || result == FLEX_E_STATE;
}

static bool flex_entry_stays(s32 result)
{
	return result == FLEX_E_PINNED || result == FLEX_E_BUSY;
}

/**
 * flex_slots_settle() - what became of collected pages
 * @lease: as collected; the mailbox holds the results
 * @count: as collected
 *
 * Pages that are the NW's again stay in lease->page[], the others become NULL
 * there: that is so, too, of what somebody else has recalled before us. A page
 * in no known state is never used again.
 * Return: pages to be freed.
 */
u32 flex_slots_settle(struct flex_mailbox_lease *lease, u32 count)
{
	struct flex_range *range = lease->range;
	u32 i, back = 0, stay = 0;

	spin_lock(&flex_slots_lock);
	for (i = 0; i < count; i++) {
		s32 result = READ_ONCE(lease->memory->result[i]);

		if (flex_entry_back(result)) {
			back++;
			flex_slot_set(lease->slot[i], 0);
			continue;
		}
		lease->page[i] = NULL;
		if (flex_entry_stays(result)) {
			stay++;
			flex_slot_set(lease->slot[i], flex_slot[lease->slot[i]] & ~FLEX_MOVING);
		} else {
			flex_slot_set(lease->slot[i], 0);
		}
	}
	flex_range_account(range, -(s64)(count - stay), -(s64)count);
	if (range->recallable)
		atomic_long_sub(count - stay, &flex_recallable_held);
	spin_unlock(&flex_slots_lock);

	flex_count(FLEX_COUNT_RECALL_PINNED, stay);
	flex_count(FLEX_COUNT_LOST, count - stay - back);
	wake_up_all(&flex_slots_wait);
	return back;
}

/**
 * flex_slots_follow() - recall begins again where a pass has gone on
 * @scope: in these ranges
 *
 * Once for each recall, so that it ends whatever the payload says meanwhile.
 */
void flex_slots_follow(const struct flex_scope *scope)
{
	struct flex_range *range;

	spin_lock(&flex_slots_lock);
	list_for_each_entry(range, &flex_lru, lru)
		if (flex_range_within(range, scope))
			flex_walk_follow(&range->walk);
	spin_unlock(&flex_slots_lock);
}

/**
 * flex_slots_rewind() - recall begins at the last slots again
 * @scope: of these ranges
 */
void flex_slots_rewind(const struct flex_scope *scope)
{
	struct flex_range *range;

	spin_lock(&flex_slots_lock);
	if (scope->range) {
		flex_walk_rewind(&scope->range->walk);
	} else {
		list_for_each_entry(range, &flex_lru, lru)
			if (flex_range_within(range, scope))
				flex_walk_rewind(&range->walk);
	}
	spin_unlock(&flex_slots_lock);
}

/** flex_slots_recallable() - pages in recallable ranges, pinned ones included */
u64 flex_slots_recallable(void)
{
	return max(atomic_long_read(&flex_recallable_held), 0L);
}

/**
 * flex_slots_held() - pages in recallable ranges of a scope, pinned ones included
 * @scope: names a group
 */
u64 flex_slots_held(const struct flex_scope *scope)
{
	struct flex_range *range;
	u64 held = 0;

	spin_lock(&flex_slots_lock);
	list_for_each_entry(range, &flex_lru, lru)
		if (flex_range_within(range, scope))
			held += range->held;
	spin_unlock(&flex_slots_lock);
	return held;
}
