/* SPDX-License-Identifier: GPL-2.0-only */
/* Linux's side of taking pages; test_take.c plays it. */
#ifndef FAKE_GFP_H
#define FAKE_GFP_H

#include "kernel.h"

typedef unsigned int gfp_t;
#define __GFP_DIRECT_RECLAIM 0x01u
#define __GFP_KSWAPD_RECLAIM 0x02u
#define __GFP_RECLAIM (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define __GFP_NORETRY 0x04u
#define __GFP_NOWARN 0x08u
#define __GFP_ACCOUNT 0x10u
#define __GFP_NOMEMALLOC 0x20u
#define __GFP_MOVABLE 0x40u
#define __GFP_HIGHMEM 0x80u
#define __GFP_DMA32 0x100u
#define GFP_USER __GFP_RECLAIM

#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define MAX_PAGE_ORDER 10
#define IS_ENABLED(option) option
#define CONFIG_ZONE_DMA32 1
#define PFN_PHYS(pfn) ((u64)(pfn) << PAGE_SHIFT)
#define ilog2(n) (31 - __builtin_clz(n))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define clamp(v, low, high) max(min(v, high), low)

enum zone_stat_item {
	NR_FREE_PAGES,
	NR_FREE_CMA_PAGES,
};
extern unsigned long max_pfn, totalreserve_pages;
long si_mem_available(void);
unsigned long global_zone_page_state(enum zone_stat_item item);
struct page *alloc_pages(gfp_t gfp, unsigned int order);
u32 alloc_pages_bulk_array(gfp_t gfp, u32 count, struct page **page);
void split_page(struct page *page, unsigned int order);
void __free_pages(struct page *page, unsigned int order);
#define __free_page(page) __free_pages(page, 0)
int memcg_kmem_charge_page(struct page *page, gfp_t gfp, unsigned int order);
void mem_cgroup_put(struct mem_cgroup *memcg);
bool kswapd_awake(void);
long schedule_timeout_uninterruptible(long timeout);
unsigned long reclaim_page_cache(struct mem_cgroup *memcg, gfp_t gfp, unsigned long want);
unsigned long flex_mem_recallable(void);

#endif /* FAKE_GFP_H */
