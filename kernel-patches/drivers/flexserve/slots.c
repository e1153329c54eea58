// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which page lies in which slot. The payload hands out ranges of slots, one
 * for a model or a session.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include "table.h"

unsigned long *flex_slot;
DEFINE_SPINLOCK(flex_slots_lock);
LIST_HEAD(flex_lru);
atomic_long_t flex_recallable_held;
DECLARE_WAIT_QUEUE_HEAD(flex_slots_wait);
static u32 flex_slot_count;
static LIST_HEAD(flex_ranges);

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
	flex_walk_init(&range->walk, count);
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
	spin_unlock(&flex_slots_lock);
	flex_walk_exit(&range->walk);
}

/**
 * flex_range_publish() - pages have been claimed for slots; recall may take them
 * @range: nobody else loads these slots
 * @index: first slot, from the start of the range
 * @page: pages
 * @count: of them; compaction may move them from now on, too (movable.c)
 */
void flex_range_publish(struct flex_range *range, u32 index, struct page **page, u32 count)
{
	u32 i;

	spin_lock(&flex_slots_lock);
	for (i = 0; i < count; i++)
		flex_slot_set(range->first + index + i, (unsigned long)page[i]);
	flex_range_account(range, count, 0);
	flex_walk_rewind(&range->walk);
	if (range->recallable)
		atomic_long_add(count, &flex_recallable_held);
	spin_unlock(&flex_slots_lock);
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

/**
 * flex_range_doubt() - is it wrong that a page lies there?
 * @range: added
 * @index: from its start, where the payload misses a page
 *
 * Return: true when it has missed the very same page there the last time: what
 * recall or migration had under way then is over.
 */
bool flex_range_doubt(struct flex_range *range, u32 index)
{
	unsigned long entry;
	bool again;

	spin_lock(&flex_slots_lock);
	entry = flex_slot[range->first + index];
	again = entry && range->missed.entry == entry && range->missed.index == index;
	range->missed.entry = entry;
	range->missed.index = index;
	spin_unlock(&flex_slots_lock);
	return again;
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

