// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages out of the buddy allocator: what lies there in large blocks, then single
 * pages, many at a time. Where too little is free, page cache gives way first,
 * for the whole batch at once: taken one by one, pages would enter reclaim for a
 * handful, beside kswapd, which they would keep awake.
 */
#include <linux/flexserve.h>
#include <linux/gfp.h>
#include <linux/memblock.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include "memory.h"

/*
 * Charged to the group that is set (group.c); at its limit there is no page, and
 * nobody is killed. Only the last resort, a page at a time, may reclaim, once.
 */
#define FLEX_GFP_LAST (GFP_USER | __GFP_NORETRY | __GFP_NOWARN | __GFP_ACCOUNT)

/* So much page cache goes at once at the least: finding it costs as much as a few dozen pages. */
#define FLEX_ROOM_LEAST FLEX_BATCH
#define FLEX_KSWAPD_TICKS 5	/* jiffies: then it has not come far enough */

/* Blocks that may not become secure, kept until the allocator has come to others. */
#define FLEX_ASIDE_MAX 64

struct flex_aside {
	u32 count;
	struct page *block[FLEX_ASIDE_MAX];
	unsigned int order[FLEX_ASIDE_MAX];
};

struct flex_take {
	const struct flex_range *range;
	struct page **page;	/* gets them */
	u32 want;
	u32 got;		/* so far, the first ones */
	struct flex_aside aside;
};

static bool flex_donatable(struct page *block, unsigned int order)
{
	u64 at = flex_page_address(block) - flex_firmware.dram.base;

	return at < flex_firmware.dram.size &&
	       (PAGE_SIZE << order) <= flex_firmware.dram.size - at;
}

/* Memory that can become secure ends with the zone of 32 bits, and Linux has more. */
static bool flex_only_low(void)
{
	u64 end = flex_firmware.dram.base + flex_firmware.dram.size;

	return IS_ENABLED(CONFIG_ZONE_DMA32) && end <= 1ULL << 32 && PFN_PHYS(max_pfn) > end;
}

/* What is recallable is movable too (movable.c), and may lie in CMA's area. */
static gfp_t flex_gfp_last(const struct flex_range *range)
{
	gfp_t gfp = FLEX_GFP_LAST | (flex_only_low() ? __GFP_DMA32 : __GFP_HIGHMEM);

	if (range->recallable)
		gfp |= __GFP_MOVABLE;
	return gfp;
}

/* Taken when they lie there and never fought for. */
static gfp_t flex_gfp_free(const struct flex_range *range)
{
	return (flex_gfp_last(range) | __GFP_NOMEMALLOC) & ~__GFP_RECLAIM;
}

/* Return: false when there is no room for it: it is free again. */
static bool flex_put_aside(struct flex_aside *aside, struct page *block, unsigned int order)
{
	if (aside->count == FLEX_ASIDE_MAX) {
		__free_pages(block, order);
		return false;
	}
	aside->block[aside->count] = block;
	aside->order[aside->count++] = order;
	return true;
}

static void flex_free_aside(const struct flex_aside *aside)
{
	u32 i;

	for (i = 0; i < aside->count; i++)
		__free_pages(aside->block[i], aside->order[i]);
}

static struct page *flex_take_block(struct flex_take *take, gfp_t gfp, unsigned int order)
{
	struct page *block;

	while ((block = alloc_pages(gfp, order)) && !flex_donatable(block, order))
		if (!flex_put_aside(&take->aside, block, order))
			return NULL;
	return block;
}

static void flex_take_blocks(struct flex_take *take)
{
	gfp_t gfp = flex_gfp_free(take->range);
	unsigned int order = MAX_PAGE_ORDER;
	struct page *block;
	u32 i;

	while (take->got < take->want) {
		order = min_t(unsigned int, order, ilog2(take->want - take->got));
		if (!order)
			return;
		block = flex_take_block(take, gfp, order);
		if (!block) {
			order--;
			continue;
		}
		split_page(block, order);
		for (i = 0; i < 1U << order; i++)
			take->page[take->got++] = block + i;
	}
}

/* The allocator does not charge what it gives in bulk. Return: false, and the page is free again. */
static bool flex_keep_single(struct flex_take *take, struct page *page)
{
	if (!flex_donatable(page, 0))
		return flex_put_aside(&take->aside, page, 0);
	if (memcg_kmem_charge_page(page, flex_gfp_last(take->range), 0)) {
		__free_page(page);
		return false;
	}
	take->page[take->got++] = page;
	return true;
}

static void flex_take_singles(struct flex_take *take)
{
	gfp_t gfp = flex_gfp_free(take->range) & ~__GFP_ACCOUNT;
	struct page **page = take->page;
	u32 at, given;
	bool kept = true;

	while (kept && take->got < take->want) {
		at = take->got;
		memset(page + at, 0, (take->want - at) * sizeof(*page));
		given = at + alloc_pages_bulk_array(gfp, take->want - at, page + at);
		kept = at < given;
		for (; at < given && kept; at++)
			kept = flex_keep_single(take, page[at]);
		for (; at < given; at++)
			__free_page(page[at]);
	}
}

static void flex_take_last(struct flex_take *take)
{
	gfp_t gfp = flex_gfp_last(take->range);
	struct page *page;

	while (take->got < take->want && (page = flex_take_block(take, gfp, 0)))
		take->page[take->got++] = page;
}

/* Free memory that is not Linux's reserve, CMA's only for what can move. */
static long flex_left(const struct flex_range *range)
{
	long pages = (long)global_zone_page_state(NR_FREE_PAGES) - (long)totalreserve_pages;

	if (!range->recallable)
		pages -= (long)global_zone_page_state(NR_FREE_CMA_PAGES);
	return pages;
}

/*
 * What Linux can spare: free pages and page cache beyond its own reserves, our
 * own recallable pages left out, and CMA's too unless they are movable.
 * Pages on their way into the secure world cannot be recalled yet: were they
 * taken out of the reserves, the next allocation of anybody else would find
 * nothing to reclaim and call the OOM killer.
 */
static u32 flex_spare_pages(const struct flex_range *range, u32 want)
{
	long spare = si_mem_available() - (long)flex_mem_recallable();

	if (!range->recallable)
		spare -= (long)global_zone_page_state(NR_FREE_CMA_PAGES);
	return clamp(spare, 0L, (long)want);
}

/*
 * kswapd and we would wait for each other's locks most of the time: while it is
 * at work, what it frees will do. Return: whether too little is free after that.
 */
static bool flex_lacks_room(const struct flex_take *take)
{
	u32 ticks;

	for (ticks = 0; flex_left(take->range) < (long)take->want; ticks++) {
		if (ticks == FLEX_KSWAPD_TICKS || !kswapd_awake())
			return true;
		schedule_timeout_uninterruptible(1);
	}
	return false;
}

/* Page cache gives way: of the group whose limit is in the way, and of everybody when too little is free. */
static void flex_make_room(const struct flex_take *take)
{
	struct mem_cgroup *group = flex_group_short(take->range->group, take->want);
	u32 room = max_t(u32, take->want, FLEX_ROOM_LEAST);
	gfp_t gfp = flex_gfp_last(take->range);

	if (group) {
		reclaim_page_cache(group, gfp, room);
		mem_cgroup_put(group);
	}
	if (flex_lacks_room(take))
		reclaim_page_cache(NULL, gfp, room);
}

/**
 * flex_alloc_pages() - single pages, as Linux can give them
 * @page: gets them
 * @want: how many
 * @range: they are to be in
 *
 * May sleep. Return: how many there are, fewer under memory pressure.
 */
u32 flex_alloc_pages(struct page **page, u32 want, const struct flex_range *range)
{
	struct mem_cgroup *before = flex_group_begin(range->group);
	struct flex_take take = { .range = range, .page = page };

	take.want = flex_spare_pages(range, want);
	if (take.want)
		flex_make_room(&take);
	flex_take_blocks(&take);
	flex_take_singles(&take);
	flex_take_last(&take);
	flex_free_aside(&take.aside);
	flex_group_end(before);
	return take.got;
}
