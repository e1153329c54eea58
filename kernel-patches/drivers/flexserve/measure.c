// SPDX-License-Identifier: GPL-2.0-only
/*
 * What single steps cost, for benchmarks: the same calls that loading and
 * recall make, with nothing around them, timed by the board's own counter.
 */
#include <linux/cma.h>
#include <linux/dma-map-ops.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "memory.h"

#define FLEX_MEASURE_ORDER (FLEX_BLOCK_SHIFT - PAGE_SHIFT)
#define FLEX_MEASURE_PAGES_MAX (1ULL << 20)	/* 4 GiB */

/* Pages are taken as a model's are. */
static const struct flex_range flex_measure_range = { .recallable = true };

static int flex_measure_calls(struct flex_ioc_measure *ask)
{
	u64 begin = flex_ticks(), i;

	for (i = 0; i < ask->count; i++)
		flex_smc(FLEX_MON_VERSION, 0, 0, 0, NULL);
	ask->whole = flex_ticks() - begin;
	return 0;
}

/* The monitor's own account of what it waits for and scrubs; the difference of two looks is what lay between them. */
static void flex_measure_apart_begin(struct flex_ioc_measure *ask)
{
	ask->smmu = flex_monitor_stat(FLEX_STAT_SMMU_TICKS);
	ask->scrub = flex_monitor_stat(FLEX_STAT_SCRUB_TICKS);
}

static void flex_measure_apart_end(struct flex_ioc_measure *ask)
{
	ask->smmu = flex_monitor_stat(FLEX_STAT_SMMU_TICKS) - ask->smmu;
	ask->scrub = flex_monitor_stat(FLEX_STAT_SCRUB_TICKS) - ask->scrub;
}

/* To S-EL1 and back: the payload refuses an operation that there is not. */
static int flex_measure_switches(struct flex_ioc_measure *ask)
{
	u64 begin = flex_ticks(), i;
	s64 error;

	for (i = 0; i < ask->count; i++) {
		error = flex_payload_call(0, 0, 0, 0, NULL);
		if (error == FLEX_E_PANIC || error == FLEX_E_TIMEOUT)
			return flex_errno(error);
	}
	ask->whole = flex_ticks() - begin;
	return 0;
}

static int flex_measure_clears(struct flex_ioc_measure *ask)
{
	struct page **page = kvmalloc_array(ask->batch, sizeof(*page), GFP_KERNEL);
	u32 got = page ? flex_alloc_pages(page, ask->batch, &flex_measure_range) : 0, i;
	u64 begin, n;
	int ret = got == ask->batch ? 0 : -ENOMEM;

	begin = flex_ticks();
	for (n = 0; n < ask->count && !ret; n++)
		clear_page(page_address(page[n % got]));
	ask->whole = flex_ticks() - begin;
	for (i = 0; i < got; i++)
		__free_page(page[i]);
	kvfree(page);
	return ret;
}

/* Return: pages donated, the first ones. */
static u32 flex_measure_donate(struct page **page, u32 count, u64 *ticks, s64 *error)
{
	struct flex_mailbox_lease *lease = flex_mailbox_get(false);
	u32 i, done;
	u64 begin;

	for (i = 0; i < count; i++) {
		__SetPageOffline(page[i]);
		lease->memory->page[i] = flex_page_address(page[i]);
	}
	begin = flex_ticks();
	done = flex_monitor_batch(FLEX_MON_DONATE, lease->index, count, error);
	*ticks += flex_ticks() - begin;
	flex_mailbox_put(lease);
	atomic_long_add(done, &flex_secure_pages);
	flex_count(FLEX_COUNT_DONATED, done);
	for (i = done; i < count; i++)
		__ClearPageOffline(page[i]);
	return done;
}

/* Pages that the monitor keeps are lost, and NULL afterwards. Return: pages back. */
static u32 flex_measure_recall(struct page **page, u32 count, u64 *ticks)
{
	struct flex_mailbox_lease *lease = flex_mailbox_get(true);
	u32 i, done, back = 0;
	u64 begin;
	s64 error;

	for (i = 0; i < count; i++)
		lease->memory->page[i] = flex_page_address(page[i]);
	begin = flex_ticks();
	done = flex_monitor_batch(FLEX_MON_RECALL, lease->index, count, &error);
	*ticks += flex_ticks() - begin;
	for (i = 0; i < count; i++) {
		if (i < done && READ_ONCE(lease->memory->result[i]) == FLEX_OK) {
			__ClearPageOffline(page[i]);
			back++;
		} else {
			page[i] = NULL;
		}
	}
	flex_mailbox_put(lease);
	flex_count(FLEX_COUNT_RECALLED, back);
	flex_count(FLEX_COUNT_LOST, count - back);
	if (atomic_long_sub_return(count, &flex_secure_pages) == 0)
		flex_protect_idle();
	return back;
}

static int flex_measure_take(struct flex_ioc_measure *ask, struct page **page, u64 *taken)
{
	u32 want, got, done, i;
	s64 error = FLEX_OK;
	u64 begin;

	while (*taken < ask->count) {
		want = min_t(u64, ask->batch, ask->count - *taken);
		begin = flex_ticks();
		got = flex_alloc_pages(page + *taken, want, &flex_measure_range);
		ask->allocate += flex_ticks() - begin;
		done = got ? flex_measure_donate(page + *taken, got, &ask->secure, &error) : 0;
		for (i = done; i < got; i++)
			__free_page(page[*taken + i]);
		*taken += done;
		if (done < got)
			return flex_errno(error) ?: -EIO;
		if (!got)	/* as a loader: fewer than wanted will do, none will not */
			return -ENOMEM;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int flex_measure_give_back(struct flex_ioc_measure *ask, struct page **page, u64 taken)
{
	u64 at, i, begin;
	u32 count, back;
	int ret = 0;

	for (at = 0; at < taken; at += count) {
		count = min_t(u64, ask->batch, taken - at);
		back = flex_measure_recall(page + at, count, &ask->recall);
		if (back < count)
			ret = -EIO;
		begin = flex_ticks();
		for (i = at; i < at + count; i++)
			if (page[i])
				__free_page(page[i]);
		ask->free += flex_ticks() - begin;
		cond_resched();
	}
	return ret;
}

static int flex_measure_pages(struct flex_ioc_measure *ask)
{
	struct page **page = kvmalloc_array(ask->count, sizeof(*page), GFP_KERNEL);
	u64 begin, taken = 0;
	int ret, back;

	if (!page)
		return -ENOMEM;
	ret = flex_protect_get();
	if (ret)
		goto out;
	flex_measure_apart_begin(ask);
	begin = flex_ticks();
	ret = flex_measure_take(ask, page, &taken);
	ask->whole = flex_ticks() - begin;
	back = flex_measure_give_back(ask, page, taken);
	flex_measure_apart_end(ask);
	ret = ret ?: back;
	flex_protect_put();
out:
	kvfree(page);
	return ret;
}

static int flex_measure_region(struct flex_ioc_measure *ask)
{
	struct cma *area = dev_get_cma_area(NULL);
	struct flex_region region = { .size = ask->count << PAGE_SHIFT };
	u64 begin;
	int ret;

	if (!area || ask->count & ((1U << FLEX_MEASURE_ORDER) - 1))
		return -EINVAL;
	ret = flex_protect_get();	/* turning it on is not part of it */
	if (ret)
		return ret;
	mutex_lock(&flex_region_lock);
	flex_measure_apart_begin(ask);
	begin = flex_ticks();
	region.page = cma_alloc(area, ask->count, FLEX_MEASURE_ORDER, true);
	ask->allocate = flex_ticks() - begin;
	if (!region.page) {
		ret = -ENOMEM;
		goto out;
	}
	region.base = page_to_phys(region.page);
	region.segment = region.size;
	begin = flex_ticks();
	ret = flex_region_secure(&region);
	ask->secure = flex_ticks() - begin;
	begin = flex_ticks();
	flex_region_release(&region);
	ask->recall = flex_ticks() - begin;
	ask->whole = ask->allocate + ask->secure;
out:
	flex_measure_apart_end(ask);
	flex_protect_put();
	mutex_unlock(&flex_region_lock);
	return ret;
}

static int (*const flex_measures[])(struct flex_ioc_measure *ask) = {
	[FLEX_MEASURE_CALL] = flex_measure_calls,
	[FLEX_MEASURE_SWITCH] = flex_measure_switches,
	[FLEX_MEASURE_CLEAR] = flex_measure_clears,
	[FLEX_MEASURE_PAGES] = flex_measure_pages,
	[FLEX_MEASURE_REGION] = flex_measure_region,
};

/**
 * flex_measure() - time one kind of step
 * @ask: kind, count and batch; gets the ticks
 *
 * May sleep. Return: 0, -EINVAL, -ENOMEM when the pages cannot be had, or what
 * the monitor's error means. What it took is given back in any case.
 */
int flex_measure(struct flex_ioc_measure *ask)
{
	if (ask->kind >= ARRAY_SIZE(flex_measures) || !ask->count ||
	    ask->count > FLEX_MEASURE_PAGES_MAX || !ask->batch || ask->batch > FLEX_BATCH)
		return -EINVAL;
	ask->whole = 0;
	ask->allocate = 0;
	ask->secure = 0;
	ask->recall = 0;
	ask->free = 0;
	ask->smmu = 0;
	ask->scrub = 0;
	return flex_measures[ask->kind](ask);
}
