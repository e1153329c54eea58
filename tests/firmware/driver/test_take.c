// SPDX-License-Identifier: GPL-2.0-only
/* How pages are taken from Linux: in what order, what gives way for them, and that none is lost on the way. */
#include <linux/gfp.h>
#include "test.h"

#define PAGES 4096
#define RESERVE 64 /* Linux's own */

/* A page is free as a part of a block that may be had whole, or as a single one; or page cache holds it; or it is taken. */
static enum { SINGLE, BLOCK, CACHE, TAKEN } what[PAGES];
static u32 calls[4], blocks, limit; /* of the fakes below; pages of blocks; what the group may still be charged for */
enum { CALL_BLOCK, CALL_BULK, CALL_LAST, CALL_CHARGE };
static struct {
	u32 count;
	struct mem_cgroup *memcg;
	unsigned long want;
} asked; /* of the page cache */
static struct mem_cgroup *shorted;
static struct page *page[PAGES];
static u64 recallable_elsewhere, cma;
static u32 kswapd, ticks; /* pages that it still wants to free */

unsigned long max_pfn = (FAKE_DRAM >> PAGE_SHIFT) + PAGES, totalreserve_pages = RESERVE;

static u32 count(int of)
{
	u32 i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += what[i] == (unsigned int)of;
	return n;
}

/* Memory afresh: blocks of `order` from its start on, then single free pages, then page cache; the rest is taken. */
static void memory(u32 in_blocks, u32 singles, u32 cache)
{
	u32 i;

	for (i = 0; i < PAGES; i++)
		what[i] = i < in_blocks ? BLOCK : i < in_blocks + singles ? SINGLE : i < in_blocks + singles + cache ? CACHE : TAKEN;
	memset(calls, 0, sizeof(calls));
	memset(&asked, 0, sizeof(asked));
	blocks = in_blocks;
	limit = PAGES;
	shorted = NULL;
	recallable_elsewhere = cma = 0;
	kswapd = ticks = 0;
	flex_firmware.dram.base = FAKE_DRAM;
	flex_firmware.dram.size = (u64)PAGES << PAGE_SHIFT;
}

static u32 free_now(void)
{
	return count(SINGLE) + count(BLOCK);
}

long si_mem_available(void)
{
	return (long)(free_now() + count(CACHE) + recallable_elsewhere) - RESERVE;
}

unsigned long flex_mem_recallable(void)
{
	return recallable_elsewhere;
}

unsigned long global_zone_page_state(enum zone_stat_item item)
{
	return item == NR_FREE_PAGES ? free_now() : cma;
}

static struct page *take(u32 at, u32 pages)
{
	u32 i;

	for (i = 0; i < pages; i++)
		what[at + i] = TAKEN;
	return &fake_page[at];
}

static struct page *take_single(void)
{
	u32 i;

	for (i = 0; i < PAGES; i++)
		if (what[i] == SINGLE)
			return take(i, 1);
	return NULL;
}

static struct page *take_last(gfp_t gfp)
{
	struct page *found = take_single();
	u32 i;

	calls[CALL_LAST]++;
	expect(gfp & __GFP_DIRECT_RECLAIM && gfp & __GFP_NORETRY && gfp & __GFP_ACCOUNT);
	for (i = 0; !found && i < PAGES; i++)
		if (what[i] == CACHE)
			found = take(i, 1);
	if (found && !limit) {
		__free_page(found);
		return NULL;
	}
	limit -= !!found;
	return found;
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	u32 at, pages = 1u << order;

	if (!order)
		return take_last(gfp);
	calls[CALL_BLOCK]++;
	expect(!(gfp & __GFP_RECLAIM) && gfp & __GFP_ACCOUNT);
	for (at = 0; at + pages <= blocks; at += pages)
		if (what[at] == BLOCK && what[at + pages - 1] == BLOCK && limit >= pages) {
			limit -= pages;
			return take(at, pages);
		}
	return NULL;
}

u32 alloc_pages_bulk_array(gfp_t gfp, u32 count, struct page **to)
{
	u32 i;

	calls[CALL_BULK]++;
	expect(!(gfp & (__GFP_RECLAIM | __GFP_ACCOUNT)));
	for (i = 0; i < count; i++) {
		expect(!to[i]);
		to[i] = take_single();
		if (!to[i])
			break;
	}
	return i;
}

void split_page(struct page *first, unsigned int order)
{
	expect(order);
}

void __free_pages(struct page *first, unsigned int order)
{
	u32 i, at = first - fake_page;

	for (i = 0; i < 1u << order; i++) {
		expect(what[at + i] == TAKEN);
		what[at + i] = order ? BLOCK : SINGLE;
	}
}

int memcg_kmem_charge_page(struct page *charged, gfp_t gfp, unsigned int order)
{
	calls[CALL_CHARGE]++;
	expect(!order && gfp & __GFP_DIRECT_RECLAIM);
	if (!limit)
		return -ENOMEM;
	limit--;
	return 0;
}

unsigned long reclaim_page_cache(struct mem_cgroup *memcg, gfp_t gfp, unsigned long want)
{
	u32 i, n = 0;

	asked.count++;
	asked.memcg = memcg;
	asked.want = want;
	for (i = 0; i < PAGES && n < want; i++)
		if (what[i] == CACHE) {
			what[i] = SINGLE;
			n++;
		}
	return n;
}

bool kswapd_awake(void)
{
	return kswapd;
}

long schedule_timeout_uninterruptible(long timeout)
{
	u32 i, n = 0;

	ticks += timeout;
	for (i = 0; i < PAGES && n < 100 && kswapd; i++)
		if (what[i] == CACHE) {
			what[i] = SINGLE;
			kswapd--;
			n++;
		}
	return 0;
}

struct mem_cgroup *flex_group_begin(struct obj_cgroup *group)
{
	return NULL;
}

void flex_group_end(struct mem_cgroup *before)
{
}

struct mem_cgroup *flex_group_short(struct obj_cgroup *group, u32 pages)
{
	return limit < pages ? shorted : NULL;
}

void mem_cgroup_put(struct mem_cgroup *memcg)
{
}

static const struct flex_range model = { .recallable = true }, session;

/* Taken pages are each another one, and no other page has gone. */
static u32 alloc(u32 want, const struct flex_range *range)
{
	u32 before = free_now() + count(CACHE), i, got = flex_alloc_pages(page, want, range);
	bool seen[PAGES] = { false };

	for (i = 0; i < got; i++) {
		u32 at = page[i] - fake_page;

		expect(what[at] == TAKEN && !seen[at]);
		seen[at] = true;
	}
	expect(before - free_now() - count(CACHE) == got);
	return got;
}

static void test_blocks_come_before_single_pages(void)
{
	u32 i;

	memory(768, 2000, 0);
	expect(alloc(1000, &model) == 1000);
	for (i = 0; i < 768; i++)
		expect(page[i] == &fake_page[i]);
	expect(calls[CALL_BULK] == 1 && !calls[CALL_LAST] && !asked.count);
}

static void test_scattered_pages_come_at_once(void)
{
	memory(0, 2000, 2000);
	expect(alloc(512, &model) == 512);
	expect(calls[CALL_BULK] == 1 && calls[CALL_BLOCK] <= MAX_PAGE_ORDER);
	expect(!calls[CALL_LAST] && !asked.count && count(CACHE) == 2000);
}

/* For the whole batch, in one call; nothing is left to direct reclaim. */
static void test_page_cache_gives_way_at_once(void)
{
	memory(0, 100, 3000);
	expect(alloc(1024, &model) == 1024);
	expect(asked.count == 1 && !asked.memcg && asked.want == 1024);
	expect(!calls[CALL_LAST] && count(CACHE) == 3000 - asked.want);
	memory(0, RESERVE + 10, 3000);
	expect(alloc(11, &model) == 11);
	expect(asked.count == 1 && asked.want == FLEX_BATCH);
}

/* What it frees will do, but nobody waits for it for long, nor when there is enough. */
static void test_while_kswapd_is_awake_it_goes_first(void)
{
	memory(0, RESERVE, 3000);
	kswapd = 1000;
	expect(alloc(300, &model) == 300);
	expect(ticks == 3 && !asked.count);
	expect(alloc(600, &model) == 600);
	expect(ticks == 3 + 5 && asked.count == 1);
	memory(0, 2000, 2000);
	kswapd = 1000;
	expect(alloc(600, &model) == 600 && !ticks && !asked.count);
}

static void test_the_rest_comes_page_by_page(void)
{
	memory(0, 10, 0);
	recallable_elsewhere = 500;
	expect(alloc(100, &model) == 0); /* Linux's reserves stay Linux's */
	memory(0, RESERVE + 40, 0);
	expect(alloc(100, &model) == 40 && !calls[CALL_LAST]);
}

static void test_cma_is_for_what_can_move(void)
{
	memory(0, 1000, 1000);
	cma = 900;
	expect(alloc(512, &model) == 512 && !asked.count);
	memory(0, 1000, 1000);
	cma = 900;
	expect(alloc(600, &session) == 600 && asked.want == 600);
}

/* The page cache of the group whose limit is in the way; what cannot be charged is free again. */
static void test_a_group_keeps_to_its_limit(void)
{
	struct mem_cgroup memcg = { 0 };

	memory(0, 2000, 1000);
	limit = 300;
	shorted = &memcg;
	expect(alloc(512, &model) == 300);
	expect(asked.count == 1 && asked.memcg == &memcg && asked.want == 512);
	expect(calls[CALL_LAST] == 1);
	memory(512, 2000, 0);
	limit = 300;
	expect(alloc(512, &model) == 300);
}

/* What may not become secure is passed over, and free again; the search for others has an end. */
static void test_foreign_pages_are_passed_over(void)
{
	memory(0, 500, 0);
	flex_firmware.dram.base += 30ULL << PAGE_SHIFT;
	expect(alloc(100, &model) == 100 && page[0] == &fake_page[30]);
	memory(0, 500, 0);
	flex_firmware.dram.base += 300ULL << PAGE_SHIFT;
	expect(alloc(100, &model) == 0);
	memory(512, 500, 0);
	flex_firmware.dram.base += 512ULL << PAGE_SHIFT;
	expect(alloc(100, &model) == 100 && page[0] == &fake_page[512]);
}

int main(void)
{
	test_blocks_come_before_single_pages();
	test_scattered_pages_come_at_once();
	test_page_cache_gives_way_at_once();
	test_while_kswapd_is_awake_it_goes_first();
	test_the_rest_comes_page_by_page();
	test_cma_is_for_what_can_move();
	test_a_group_keeps_to_its_limit();
	test_foreign_pages_are_passed_over();
	return 0;
}
