// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a strawman works in: one contiguous region from the default CMA area,
 * the whole file read into it, secured as a region, given back after the
 * request. All of it honest: its cost is its design's.
 */
#include <linux/cma.h>
#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "flexserve.h"

#define FLEX_REGION_ORDER (FLEX_BLOCK_SHIFT - PAGE_SHIFT)
#define FLEX_REGION_READ 512		/* pages in one read */
#define FLEX_REGION_TRIES 500
#define FLEX_REGION_WAIT_US 2000

DEFINE_MUTEX(flex_region_lock);

static int flex_region_alloc(struct flex_region *region, u64 bytes)
{
	struct cma *area = dev_get_cma_area(NULL);

	region->size = ALIGN(bytes, 1ULL << FLEX_BLOCK_SHIFT);
	if (!area)
		return -ENOMEM;
	region->page = cma_alloc(area, region->size >> PAGE_SHIFT, FLEX_REGION_ORDER, true);
	if (!region->page)
		return -ENOMEM;
	region->base = page_to_phys(region->page);
	return 0;
}

static int flex_region_read(struct flex_region *region, struct file *file, u64 bytes)
{
	u32 pages = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE), at, i, n;
	struct bio_vec *vec;
	int ret = 0;

	vec = kvcalloc(FLEX_REGION_READ, sizeof(*vec), GFP_KERNEL);
	if (!vec)
		return -ENOMEM;
	for (at = 0; at < pages && !ret; at += n) {
		n = min_t(u32, FLEX_REGION_READ, pages - at);
		for (i = 0; i < n; i++)
			bvec_set_page(&vec[i], region->page + at + i, PAGE_SIZE, 0);
		ret = flex_read_pages(file, (loff_t)at << PAGE_SHIFT, vec, n, bytes);
	}
	kvfree(vec);
	return ret;
}

static int flex_region_secure(struct flex_region *region)
{
	int ret = flex_protect_get();

	if (ret)
		return ret;
	ret = flex_errno(flex_smc(FLEX_MON_REGION_SECURE, region->base, region->size, 0, NULL));
	region->secure = !ret;
	if (ret)
		flex_protect_put();
	return ret;
}

/**
 * flex_region_load() - allocate a region, read a file into it, secure it
 * @region: zeroed; flex_region_release() is due whatever the result
 * @file: open for reading
 * @bytes: its size
 * @clock: is told where time goes
 *
 * May sleep for long: CMA migrates what lies there. Return: 0 or a negative errno.
 */
int flex_region_load(struct flex_region *region, struct file *file, u64 bytes,
		     struct flex_clock *clock)
{
	enum flex_part before = flex_clock_enter(clock, FLEX_PART_ALLOCATE);
	int ret;

	ret = flex_region_alloc(region, bytes);
	if (ret)
		goto out;
	flex_clock_enter(clock, FLEX_PART_READ);
	ret = flex_region_read(region, file, bytes);
	if (ret)
		goto out;
	flex_clock_enter(clock, FLEX_PART_DONATE);
	ret = flex_region_secure(region);
out:
	flex_clock_enter(clock, before);
	return ret;
}

static s64 flex_region_open_up(const struct flex_region *region)
{
	u64 from = 0;
	int tries = 0;
	struct arm_smccc_1_2_regs res;
	s64 error;

	for (;;) {
		error = flex_smc(FLEX_MON_REGION_RELEASE, region->base, region->size, from, &res);
		if (error == FLEX_E_INTERRUPTED) {
			from = res.a1;
			cond_resched();
		} else if (error == FLEX_E_PINNED && tries++ < FLEX_REGION_TRIES) {
			usleep_range(FLEX_REGION_WAIT_US, 2 * FLEX_REGION_WAIT_US);
		} else {
			return error;
		}
	}
}

/**
 * flex_region_release() - the monitor scrubs the region, CMA gets it back
 * @region: as flex_region_load() left it; the payload has given it up
 *
 * A region that the monitor keeps is lost to CMA, never used again.
 */
void flex_region_release(struct flex_region *region)
{
	s64 error = FLEX_OK;

	if (!region->page)
		return;
	if (region->secure) {
		error = flex_region_open_up(region);
		flex_protect_put();
	}
	if (error == FLEX_OK)
		cma_release(dev_get_cma_area(NULL), region->page, region->size >> PAGE_SHIFT);
	else
		pr_err("flexserve: region %#llx is lost: %lld\n", region->base, error);
	region->page = NULL;
	region->secure = false;
}
