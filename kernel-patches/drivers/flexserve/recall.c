// SPDX-License-Identifier: GPL-2.0-only
/*
 * Back from the secure world: asked for by reclaim, by a program, by the end
 * of a session. The monitor needs nobody's consent; only pinned pages stay.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include "memory.h"

#define FLEX_RELEASE_TRIES 500
#define FLEX_RELEASE_WAIT_US 2000

static void flex_free_back(struct page **page, u32 count, u32 back)
{
	u32 i;

	for (i = 0; i < count; i++) {
		if (!page[i])
			continue;
		flex_movable_clear(page[i]);
		__ClearPageOffline(page[i]);
		__free_page(page[i]);
	}
	flex_count(FLEX_COUNT_RECALLED, back);
	if (back && atomic_long_sub_return(back, &flex_secure_pages) == 0)
		flex_protect_idle();
}

/* Entries that the call did not reach have no result of their own. */
static void flex_recall_call(struct flex_mailbox_lease *lease, u32 count, u64 *ticks)
{
	u64 begin = flex_ticks();
	u32 i, done;
	s64 error;

	done = flex_monitor_batch(FLEX_MON_RECALL, lease->index, count, &error);
	for (i = done; i < count; i++)
		lease->memory->result[i] = FLEX_E_BUSY;
	*ticks += flex_ticks() - begin;
}

/* Take up to @want pages of @scope; 0: there are no more. */
static u32 flex_recall_some(const struct flex_scope *scope, u64 want, u64 *taken, u64 *ticks)
{
	struct flex_mailbox_lease *lease = flex_mailbox_get(true);
	u32 count = flex_slots_collect(scope, lease, min_t(u64, want, FLEX_BATCH));
	u32 back;

	if (count) {
		flex_recall_call(lease, count, ticks);
		back = flex_slots_settle(lease, count);
		flex_free_back(lease->page, count, back);
		*taken += back;
	}
	flex_mailbox_put(lease);
	return count;
}

/**
 * flex_recall() - take weights back: oldest model first, what it needs last first
 * @scope: whose
 * @want: pages
 * @ticks: time in the calls is added to it
 *
 * May sleep, allocates nothing, takes no lock that a loader holds. A page that
 * is pinned is passed over. Return: pages taken.
 */
u64 flex_recall(const struct flex_scope *scope, u64 want, u64 *ticks)
{
	u64 taken = 0;
	int pass;

	flex_slots_follow(scope);
	for (pass = 0; pass < 2 && taken < want; pass++) {
		while (taken < want && flex_recall_some(scope, want - taken, &taken, ticks))
			;
		if (taken < want)
			flex_slots_rewind(scope);
	}
	return taken;
}

/**
 * flex_range_missed() - the payload misses a page
 * @range: added
 * @index: of the page, from the start of the range
 *
 * Somebody else in this kernel may have had it back from the monitor, and more
 * beside it: what the table says of them is given up, so that they are loaded
 * again. What is secure all the same goes too, unless it is pinned.
 */
void flex_range_missed(struct flex_range *range, u32 index)
{
	const struct flex_scope scope = {
		.range = range,
		.part = { index, min_t(u32, FLEX_BATCH, range->count - index) },
	};
	u64 taken = 0, ticks = 0;

	if (flex_range_doubt(range, index))
		flex_recall_some(&scope, FLEX_BATCH, &taken, &ticks);
}

/**
 * flex_range_release() - take back every page of a range, and end its use
 * @range: added; nobody loads it; the payload has closed what it was for
 *
 * May sleep: pins of a panicked payload go only when it has started afresh.
 * Return: 0, or -EBUSY when pages stayed pinned: they are lost.
 */
int flex_range_release(struct flex_range *range)
{
	const struct flex_scope scope = { .range = range };
	u64 taken = 0, ticks = 0;
	int tries, ret = 0;

	for (tries = 0; flex_range_held(range) && tries < FLEX_RELEASE_TRIES; tries++) {
		if (tries)
			usleep_range(FLEX_RELEASE_WAIT_US, 2 * FLEX_RELEASE_WAIT_US);
		flex_slots_rewind(&scope);
		while (flex_recall_some(&scope, FLEX_BATCH, &taken, &ticks))
			;
	}
	if (flex_range_held(range)) {
		pr_err("flexserve: %u pages stayed pinned and are lost\n", flex_range_held(range));
		ret = -EBUSY;
	}
	flex_range_remove(range);
	return ret;
}

/**
 * flex_recall_pages() - take back pages that never reached a slot
 * @page: donated; freed, and NULL where that failed
 * @count: at most FLEX_BATCH
 */
void flex_recall_pages(struct page **page, u32 count)
{
	struct flex_mailbox_lease *lease = flex_mailbox_get(true);
	u64 ticks = 0;
	u32 i, back = 0;

	for (i = 0; i < count; i++)
		lease->memory->page[i] = flex_page_address(page[i]);
	flex_recall_call(lease, count, &ticks);
	for (i = 0; i < count; i++) {
		if (lease->memory->result[i] == FLEX_OK)
			back++;
		else
			page[i] = NULL;
	}
	flex_mailbox_put(lease);
	flex_count(FLEX_COUNT_LOST, count - back);
	flex_free_back(page, count, back);
}
