// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which page lies in which slot. The payload hands out ranges of slots, one
 * for a model or a session; recall takes pages from the range that was used
 * longest ago, in the range's order (order.c), else last slots first.
 *
 * An entry is NULL (empty), a page (secure), or a page with FLEX_MOVING set
 * (under recall, or on its way to another page: whoever set the bit settles it,
 * soon and without waiting for memory). Loading goes from NULL to a page, one loader a range.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include "flexserve.h"

#define FLEX_MOVING 1UL

static unsigned long *flex_slot;
static u32 flex_slot_count;
static LIST_HEAD(flex_ranges);
static LIST_HEAD(flex_lru);
static DEFINE_SPINLOCK(flex_slots_lock);
static DECLARE_WAIT_QUEUE_HEAD(flex_slots_wait);	/* an entry settled */
static atomic_long_t flex_recallable_held;	/* pages in recallable ranges */

/* Under flex_slots_lock; read without it where one entry is enough. */
static void flex_slot_set(u32 slot, unsigned long entry)
{
	WRITE_ONCE(flex_slot[slot], entry);
}

static void flex_range_account(struct flex_range *range, s64 held, s64 moving)
{
	WRITE_ONCE(range->held, range->held + held);
	WRITE_ONCE(range->moving, range->moving + moving);
}

/**
 * flex_slots_init() - an empty table
 * @slots: how many the monitor has
 *
 * Return: 0 or -ENOMEM.
 */
int flex_slots_init(u32 slots)
{
	flex_slot = kvcalloc(slots, sizeof(*flex_slot), GFP_KERNEL);
	flex_slot_count = slots;
	return flex_slot ? 0 : -ENOMEM;
}

/** flex_slots_exit() - free the table; no range is left */
void flex_slots_exit(void)
{
	kvfree(flex_slot);
	flex_slot = NULL;
}

static void flex_range_rewind(struct flex_range *range)
{
	range->victim = range->runs;
	range->cursor = 0;
}

/* The next index that recall looks at; false: it has been at all of them. */
static bool flex_range_next(struct flex_range *range, u32 *index)
{
	while (!range->cursor) {
		if (!range->victim)
			return false;
		range->cursor = range->order[--range->victim].count;
	}
	*index = range->order[range->victim].first + --range->cursor;
	return true;
}

/**
 * flex_range_add() - begin to use a range of slots, all empty
 * @range: caller's, zeroed; stays until flex_range_remove()
 * @first: first slot
 * @count: slots
 * @recallable: may be taken back at any time
 * @group: is charged for the pages; referenced as long as the range is used
 *
 * Return: 0, or -EINVAL when the payload names slots that are not there or
 * that still hold a page.
 */
int flex_range_add(struct flex_range *range, u32 first, u32 count, bool recallable,
		   struct obj_cgroup *group)
{
	int ret = 0;
	u32 i;

	if (first >= flex_slot_count || count > flex_slot_count - first)
		return -EINVAL;

	range->first = first;
	range->count = count;
	range->held = 0;
	range->moving = 0;
	range->whole = (struct flex_run){ 0, count };
	range->order = &range->whole;
	range->runs = 1;
	flex_range_rewind(range);
	range->recallable = recallable;
	range->group = group;
	INIT_LIST_HEAD(&range->lru);

	spin_lock(&flex_slots_lock);
	for (i = 0; i < count && !ret; i++)
		if (flex_slot[first + i])
			ret = -EINVAL;
	if (!ret)
		list_add_tail(&range->list, &flex_ranges);
	if (!ret && recallable)
		list_add_tail(&range->lru, &flex_lru);
	spin_unlock(&flex_slots_lock);
	return ret;
}

/**
 * flex_range_remove() - end the use of a range
 * @range: added, and nobody loads it any more
 *
 * Waits for recalls that are under way. Pages that it still holds are lost:
 * see flex_range_release().
 */
void flex_range_remove(struct flex_range *range)
{
	const struct flex_run *order = range->order;
	u32 i;

	spin_lock(&flex_slots_lock);
	list_del_init(&range->lru);
	spin_unlock(&flex_slots_lock);
	wait_event(flex_slots_wait, !READ_ONCE(range->moving));

	spin_lock(&flex_slots_lock);
	if (range->held) {
		for (i = 0; i < range->count; i++)
			flex_slot_set(range->first + i, 0);
		flex_count(FLEX_COUNT_LOST, range->held);
		if (range->recallable)
			atomic_long_sub(range->held, &flex_recallable_held);
		WRITE_ONCE(range->held, 0);
	}
	list_del_init(&range->list);
	range->order = NULL;
	spin_unlock(&flex_slots_lock);
	if (order != &range->whole)
		kvfree(order);
}

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
 * It goes before all weights: its pages come back without a read.
 */
void flex_range_park(struct flex_range *range)
{
	spin_lock(&flex_slots_lock);
	range->recallable = true;
	flex_range_rewind(range);
	list_add(&range->lru, &flex_lru);
	atomic_long_add(range->held, &flex_recallable_held);
	spin_unlock(&flex_slots_lock);
	flex_reclaim_mark(range->group);
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
 * flex_range_order() - in which order recall takes a range's pages from now on
 * @range: added
 * @order: kvmalloc'ed, the range's from now on: its last run goes first, each
 *	from its end; all within the range, and together all of it
 * @runs: at least one
 */
void flex_range_order(struct flex_range *range, const struct flex_run *order, u32 runs)
{
	const struct flex_run *before;

	spin_lock(&flex_slots_lock);
	before = range->order;
	range->order = order;
	range->runs = runs;
	flex_range_rewind(range);
	spin_unlock(&flex_slots_lock);
	if (before != &range->whole)
		kvfree(before);
}

/**
 * flex_range_publish() - pages have been claimed for slots; recall may take them
 * @range: nobody else loads these slots
 * @index: first slot, from the start of the range
 * @page: pages
 * @count: of them
 */
void flex_range_publish(struct flex_range *range, u32 index, struct page **page, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		flex_movable_set(page[i], range->first + index + i);

	spin_lock(&flex_slots_lock);
	for (i = 0; i < count; i++)
		flex_slot_set(range->first + index + i, (unsigned long)page[i]);
	flex_range_account(range, count, 0);
	flex_range_rewind(range);
	if (range->recallable)
		atomic_long_add(count, &flex_recallable_held);
	spin_unlock(&flex_slots_lock);
	flex_reclaim_mark(range->group);
}

/* Run of empty slots at or after *index; -1: an entry must settle first. */
static int flex_range_hole_locked(struct flex_range *range, u32 *index, u32 end)
{
	const unsigned long *slot = flex_slot + range->first;
	u32 at = *index, run = 0;

	while (at < end && slot[at] && !(slot[at] & FLEX_MOVING))
		at++;
	*index = at;
	if (at < end && slot[at])
		return -1;
	while (at + run < end && run < FLEX_BATCH && !slot[at + run])
		run++;
	return run;
}

/**
 * flex_range_hole() - next empty slots of a range
 * @range: others may load other parts of it
 * @index: in: where to begin; out: first empty slot
 * @end: where to stop
 *
 * Waits for recalls that are under way there.
 * Return: empty slots in a row, at most FLEX_BATCH; 0 when there are none.
 */
u32 flex_range_hole(struct flex_range *range, u32 *index, u32 end)
{
	int run;

	end = min(end, range->count);
	for (;;) {
		spin_lock(&flex_slots_lock);
		run = flex_range_hole_locked(range, index, end);
		spin_unlock(&flex_slots_lock);
		if (run >= 0)
			return run;
		wait_event(flex_slots_wait,
			   !(READ_ONCE(flex_slot[range->first + *index]) & FLEX_MOVING));
	}
}

/** flex_range_held() - pages in a range now */
u32 flex_range_held(struct flex_range *range)
{
	return READ_ONCE(range->held);
}

/* The caller gets the range's next pages. */
static u32 flex_range_collect(struct flex_range *range, struct flex_mailbox_lease *lease, u32 want)
{
	u32 n = 0, index;

	while (n < want && flex_range_next(range, &index)) {
		u32 slot = range->first + index;
		unsigned long entry = flex_slot[slot];

		if (!entry || (entry & FLEX_MOVING))
			continue;
		flex_slot_set(slot, entry | FLEX_MOVING);
		lease->slot[n] = slot;
		lease->page[n] = (struct page *)entry;
		lease->memory->page[n] = flex_page_address(lease->page[n]);
		n++;
	}
	flex_range_account(range, 0, n);
	lease->range = range;
	return n;
}

static bool flex_range_within(const struct flex_range *range, const struct flex_scope *scope)
{
	return !scope->memcg || flex_group_within(range->group, scope->memcg, scope->exact);
}

/**
 * flex_slots_collect() - pages to be recalled, marked as moving
 * @scope: whose; of several ranges the one used longest ago
 * @lease: gets the pages, in its mailbox too
 * @want: how many at the most, not above FLEX_BATCH
 *
 * Return: how many; each is due for flex_slots_settle(). All lie in one range.
 */
u32 flex_slots_collect(const struct flex_scope *scope, struct flex_mailbox_lease *lease, u32 want)
{
	struct flex_range *range;
	u32 n = 0;

	spin_lock(&flex_slots_lock);
	if (scope->range) {
		n = flex_range_collect(scope->range, lease, want);
	} else {
		list_for_each_entry(range, &flex_lru, lru) {
			if (flex_range_within(range, scope))
				n = flex_range_collect(range, lease, want);
			if (n)
				break;
		}
	}
	spin_unlock(&flex_slots_lock);
	return n;
}

/* What the table does with an entry by the monitor's answer. */
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
 * there. A page in no known state is never used again.
 * Return: pages to be freed.
 */
u32 flex_slots_settle(struct flex_mailbox_lease *lease, u32 count)
{
	struct flex_range *range = lease->range;
	u32 i, back = 0, stay = 0;

	spin_lock(&flex_slots_lock);
	for (i = 0; i < count; i++) {
		s32 result = READ_ONCE(lease->memory->result[i]);

		if (result == FLEX_OK) {
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
 * flex_slots_rewind() - recall begins at the last slots again
 * @scope: of these ranges
 */
void flex_slots_rewind(const struct flex_scope *scope)
{
	struct flex_range *range;

	spin_lock(&flex_slots_lock);
	if (scope->range) {
		flex_range_rewind(scope->range);
	} else {
		list_for_each_entry(range, &flex_lru, lru)
			if (flex_range_within(range, scope))
				flex_range_rewind(range);
	}
	spin_unlock(&flex_slots_lock);
}

static struct flex_range *flex_range_of(u32 slot)
{
	struct flex_range *range;

	list_for_each_entry(range, &flex_ranges, list)
		if (slot >= range->first && slot - range->first < range->count)
			return range;
	return NULL;
}

/**
 * flex_slot_take() - keep a slot's page from recall, to move it
 * @slot: where the page should be; any number
 * @page: it
 *
 * Return: true, and flex_slot_put() is due; false when it is not there, not
 * recallable, or under recall.
 */
bool flex_slot_take(u32 slot, struct page *page)
{
	struct flex_range *range;
	bool taken;

	spin_lock(&flex_slots_lock);
	range = flex_range_of(slot);
	taken = range && !list_empty(&range->lru) && flex_slot[slot] == (unsigned long)page;
	if (taken) {
		flex_slot_set(slot, flex_slot[slot] | FLEX_MOVING);
		flex_range_account(range, 0, 1);
	}
	spin_unlock(&flex_slots_lock);
	return taken;
}

/**
 * flex_slot_put() - undo flex_slot_take()
 * @slot: taken
 * @page: what it holds now
 */
void flex_slot_put(u32 slot, struct page *page)
{
	spin_lock(&flex_slots_lock);
	flex_slot_set(slot, (unsigned long)page);
	flex_range_account(flex_range_of(slot), 0, -1);
	spin_unlock(&flex_slots_lock);
	wake_up_all(&flex_slots_wait);
}

/**
 * flex_slots_page() - physical address of the page in a slot, 0 for none
 * @slot: any number
 */
u64 flex_slots_page(u32 slot)
{
	unsigned long entry = slot < flex_slot_count ? READ_ONCE(flex_slot[slot]) : 0;

	entry &= ~FLEX_MOVING;
	return entry ? flex_page_address((struct page *)entry) : 0;
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
