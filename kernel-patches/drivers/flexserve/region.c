// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a strawman works in: one contiguous region from the default CMA area,
 * given back after the request. The file is read into it, then it is secured:
 * whole, or segment by segment while the ones before are in use. All of it
 * honest: its cost is its design's.
 */
#include <linux/cma.h>
#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "memory.h"

#define FLEX_REGION_ORDER (FLEX_BLOCK_SHIFT - PAGE_SHIFT)
#define FLEX_REGION_READ 512		/* pages in one read */
#define FLEX_REGION_TRIES 500
#define FLEX_REGION_WAIT_US 2000

DEFINE_MUTEX(flex_region_lock);

/**
 * flex_region_alloc() - contiguous memory
 * @region: zeroed; flex_region_release() is due whatever the result
 * @bytes: that it is to hold
 * @segments: in so many parts at the most, of whole 2M blocks each
 *
 * May sleep for long: CMA migrates what lies there. Return: 0 or -ENOMEM.
 */
int flex_region_alloc(struct flex_region *region, u64 bytes, u32 segments)
{
	struct cma *area = dev_get_cma_area(NULL);

	region->size = ALIGN(bytes, 1ULL << FLEX_BLOCK_SHIFT);
	region->segment = ALIGN(DIV_ROUND_UP_ULL(region->size, segments), 1ULL << FLEX_BLOCK_SHIFT);
	if (!area)
		return -ENOMEM;
	region->page = cma_alloc(area, region->size >> PAGE_SHIFT, FLEX_REGION_ORDER, true);
	if (!region->page)
		return -ENOMEM;
	region->base = page_to_phys(region->page);
	return 0;
}

/* Bytes of the segment that begins at @at. */
static u64 flex_region_part(const struct flex_region *region, u64 at)
{
	return min(region->segment, region->size - at);
}

/**
 * flex_region_read() - read a segment's part of a file into it
 * @region: allocated
 * @at: where the segment begins, not secured yet
 * @file: open for reading
 * @bytes: its size
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_region_read(struct flex_region *region, u64 at, struct file *file, u64 bytes)
{
	u32 page = at >> PAGE_SHIFT, i, n;
	u32 end = DIV_ROUND_UP_ULL(min(at + flex_region_part(region, at), bytes), PAGE_SIZE);
	struct bio_vec *vec;
	int ret = 0;

	vec = kvcalloc(FLEX_REGION_READ, sizeof(*vec), GFP_KERNEL);
	if (!vec)
		return -ENOMEM;
	for (; page < end && !ret; page += n) {
		n = min_t(u32, FLEX_REGION_READ, end - page);
		for (i = 0; i < n; i++)
			bvec_set_page(&vec[i], region->page + page + i, PAGE_SIZE, 0);
		ret = flex_read_pages(file, (loff_t)page << PAGE_SHIFT, vec, n, bytes);
	}
	kvfree(vec);
	return ret;
}

/* FLEX_MON_REGION_*, as often as interrupts and the monitor's bound on a call ask for. */
static s64 flex_region_call(u64 function, u64 base, u64 size)
{
	struct arm_smccc_1_2_regs res;
	u64 from = 0;
	s64 error;

	for (;;) {
		error = flex_smc(function, base, size, from, &res);
		if (error != FLEX_E_INTERRUPTED)
			return error;
		from = res.a1;
		cond_resched();
	}
}

/**
 * flex_region_secure() - secure the segment behind those that are secure
 * @region: read up to its end
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_region_secure(struct flex_region *region)
{
	u64 part = flex_region_part(region, region->secured);
	int ret = 0;

	if (!region->secured)
		ret = flex_protect_get();
	if (ret)
		return ret;
	ret = flex_errno(flex_region_call(FLEX_MON_REGION_SECURE, region->base + region->secured,
					  part));
	if (!ret)
		region->secured += part;
	else if (!region->secured)
		flex_protect_put();
	return ret;
}

static s64 flex_region_open_up(u64 base, u64 size)
{
	int tries;
	s64 error;

	for (tries = 0;; tries++) {
		error = flex_region_call(FLEX_MON_REGION_RELEASE, base, size);
		if (error != FLEX_E_PINNED || tries == FLEX_REGION_TRIES)
			return error;
		usleep_range(FLEX_REGION_WAIT_US, 2 * FLEX_REGION_WAIT_US);
	}
}

/**
 * flex_region_release() - the monitor scrubs the region, CMA gets it back
 * @region: zeroed or allocated; the payload has given it up
 *
 * A region that the monitor keeps is lost to CMA, never used again.
 */
void flex_region_release(struct flex_region *region)
{
	s64 error = FLEX_OK;
	u64 at;

	if (!region->page)
		return;
	for (at = 0; at < region->secured && error == FLEX_OK; at += region->segment)
		error = flex_region_open_up(region->base + at, flex_region_part(region, at));
	if (region->secured)
		flex_protect_put();
	if (error == FLEX_OK)
		cma_release(dev_get_cma_area(NULL), region->page, region->size >> PAGE_SHIFT);
	else
		pr_err("flexserve: region %#llx is lost: %lld\n", region->base, error);
	region->page = NULL;
	region->secured = 0;
}
