/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Regions: contiguous memory of whole 2M blocks, secured and released as one, as a classic TrustZone system does. One
 * block entry each, one TLB invalidation, and nothing of Flex-Mem's per-page bookkeeping.
 *
 * Either way is two rounds over the region, which `done` counts through from 0 to twice the size. Securing unmaps it
 * block by block, then settles it page by page, where caches tell the two worlds apart; releasing scrubs it page by
 * page, then maps it block by block. A call does a bounded number of these steps. Meanwhile the blocks are the region's
 * and counted as secure.
 */

#include "flex_words.h"

static bool region_swap(struct flex_region *r, uint32_t from, uint32_t to)
{
	return flex_swap32(&r->state, &from, to);
}

static void region_set(struct flex_region *r, uint32_t state)
{
	__atomic_store_n(&r->state, state, __ATOMIC_SEQ_CST);
}

static bool region_args_ok(const struct flex_monitor *m, uint64_t base, uint64_t size)
{
	const struct flex_layout *l = &m->layout;

	return (((base | size) & (FLEX_BLOCK_SIZE - 1U)) == 0U) && (size != 0U) && (size <= l->dram_size) &&
	       (base >= l->dram_base) && ((base - l->dram_base) <= (l->dram_size - size));
}

static uint32_t region_block(const struct flex_monitor *m, uint64_t base)
{
	return (uint32_t)((base - m->layout.dram_base) >> FLEX_BLOCK_SHIFT);
}

/*
 * region_take() - the region of exactly the call's base and size, moved to BUSY; the caller owns it
 * @states: those that it may be in, a bit each
 * @done: how far it must have come
 *
 * FLEX_E_STATE: there is none, or in another state; FLEX_E_PINNED: the payload uses it; FLEX_E_BUSY; FLEX_E_INVAL: it has
 * come to somewhere else.
 */
static int region_take(struct flex_monitor *m, const struct flex_call *call, uint32_t states, uint64_t done,
		       struct flex_region **taken)
{
	uint64_t base = call->arg[0], size = call->arg[1];
	struct flex_region *r;
	uint32_t state;
	int rc;

	for (r = m->region; r < &m->region[FLEX_REGIONS]; r++) {
		state = __atomic_load_n(&r->state, __ATOMIC_SEQ_CST);
		if ((__atomic_load_n(&r->base, __ATOMIC_RELAXED) != base) ||
		    (__atomic_load_n(&r->size, __ATOMIC_RELAXED) != size)) {
			continue;
		}
		if ((states & (1U << state)) == 0U) {
			return (state == FLEX_REGION_BUSY) ? FLEX_E_BUSY :
			       (state == FLEX_REGION_USED) ? FLEX_E_PINNED : FLEX_E_STATE;
		}
		if (!region_swap(r, state, FLEX_REGION_BUSY)) {
			return FLEX_E_BUSY;
		}
		*taken = r;
		if ((r->base == base) && (r->size == size) && (r->done == done)) {
			return FLEX_OK;
		}
		rc = (r->base == base) ? FLEX_E_INVAL : FLEX_E_BUSY; /* reused between the look and the take */
		region_set(r, state);
		return rc;
	}
	return FLEX_E_STATE;
}

/* So many bytes of blocks are anybody's again, and a region of `size` bytes is no more. */
static void region_end(struct flex_monitor *m, struct flex_region *r, uint64_t base, uint64_t taken, uint64_t size)
{
	uint64_t at;

	for (at = 0U; at < taken; at += FLEX_BLOCK_SIZE) {
		flex_block_open(m, region_block(m, base + at));
	}
	flex_count(m, FLEX_STAT_SECURE_PAGES, -(size >> FLEX_PAGE_SHIFT));
	region_set(r, FLEX_REGION_FREE);
}

/* A new region, BUSY, the caller's: all of its blocks are taken, or it is none. Nothing is unmapped yet. */
static int region_begin(struct flex_monitor *m, uint64_t base, uint64_t size, struct flex_region **new)
{
	struct flex_region *r = m->region;
	uint64_t at;

	if (!flex_secure_begin(m, size >> FLEX_PAGE_SHIFT)) {
		return FLEX_E_STATE;
	}
	while (!region_swap(r, FLEX_REGION_FREE, FLEX_REGION_BUSY)) {
		if (++r == &m->region[FLEX_REGIONS]) {
			flex_count(m, FLEX_STAT_SECURE_PAGES, -(size >> FLEX_PAGE_SHIFT));
			return FLEX_E_EXHAUSTED;
		}
	}
	for (at = 0U; at < size; at += FLEX_BLOCK_SIZE) {
		if (flex_block_secure(m, region_block(m, base + at)) != FLEX_OK) {
			region_end(m, r, base, at, size);
			return FLEX_E_STATE;
		}
	}
	/* Its name comes last: until here it may be another region's, whose owner must not find it busy. */
	r->done = 0U;
	__atomic_store_n(&r->base, base, __ATOMIC_RELAXED);
	__atomic_store_n(&r->size, size, __ATOMIC_RELAXED);
	*new = r;
	return FLEX_OK;
}

/* All of it is mapped: the NW has it. */
static void region_open(struct flex_monitor *m, struct flex_region *r)
{
	uint64_t size = r->size;

	m->ops->publish();
	/* Found no more under its old name: whoever secures these blocks next is not told that they are busy. */
	__atomic_store_n(&r->size, 0U, __ATOMIC_SEQ_CST);
	region_end(m, r, r->base, size, size);
}

/* The next block or page on the way to SECURE (`state` SECURING) or to FREE (RELEASING). */
static void region_step(struct flex_monitor *m, struct flex_region *r, uint32_t state)
{
	uint64_t address = r->base + (r->done % r->size);
	bool securing = state == FLEX_REGION_SECURING;

	if ((r->done < r->size) == securing) {
		(securing ? m->ops->unmap : m->ops->map)(address, FLEX_BLOCK_SIZE);
		r->done += FLEX_BLOCK_SIZE;
		return;
	}
	if (securing) {
		m->ops->settle(&address, 1U);
	} else {
		flex_scrub(m, address);
	}
	r->done += FLEX_PAGE_SIZE;
}

/* Steps until `end`, or FLEX_E_INTERRUPTED and `state`: an interrupt waits, or this was enough for one call. */
static int region_go(struct flex_monitor *m, struct flex_call *call, struct flex_region *r, uint32_t state, uint64_t end)
{
	uint32_t n;

	for (n = 0U; r->done < end; n++) {
		if ((n == FLEX_SCRUB_PAGES) || flex_interrupted(m, n)) {
			call->ret[1] = r->done;
			region_set(r, state);
			return FLEX_E_INTERRUPTED;
		}
		region_step(m, r, state);
	}
	return FLEX_OK;
}

/* The first round ends with the invalidation; when the SMMU is silent, the region is the NW's again at once. */
static int region_unmap(struct flex_monitor *m, struct flex_call *call, struct flex_region *r)
{
	int rc = region_go(m, call, r, FLEX_REGION_SECURING, r->size);

	if (rc == FLEX_OK) {
		rc = m->ops->invalidate();
	}
	if (rc == FLEX_E_TIMEOUT) {
		while (r->done < (2U * r->size)) {
			region_step(m, r, FLEX_REGION_RELEASING);
		}
		region_open(m, r);
	}
	return rc;
}

int flex_region_secure(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t base = call->arg[0], size = call->arg[1], done = call->arg[2];
	struct flex_region *r;
	int rc;

	if (!region_args_ok(m, base, size)) {
		return FLEX_E_INVAL;
	}
	rc = (done == 0U) ? region_begin(m, base, size, &r) : region_take(m, call, 1U << FLEX_REGION_SECURING, done, &r);
	if ((rc == FLEX_OK) && (done < size)) {
		rc = region_unmap(m, call, r);
	}
	if ((rc == FLEX_OK) && (m->ops->settle != NULL)) {
		rc = region_go(m, call, r, FLEX_REGION_SECURING, 2U * size);
	}
	if (rc == FLEX_OK) {
		r->done = 0U;
		region_set(r, FLEX_REGION_SECURE);
	}
	return rc;
}

int flex_region_release(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t base = call->arg[0], size = call->arg[1];
	struct flex_region *r;
	int rc;

	if (!region_args_ok(m, base, size)) {
		return FLEX_E_INVAL;
	}
	rc = region_take(m, call, (1U << FLEX_REGION_SECURE) | (1U << FLEX_REGION_RELEASING), call->arg[2], &r);
	if (rc == FLEX_OK) {
		rc = region_go(m, call, r, FLEX_REGION_RELEASING, 2U * size);
	}
	if (rc == FLEX_OK) {
		region_open(m, r);
	}
	return rc;
}

int flex_region_use(struct flex_monitor *m, struct flex_call *call)
{
	uint32_t from = (call->arg[2] != 0U) ? FLEX_REGION_SECURE : FLEX_REGION_USED;
	struct flex_region *r;
	int rc;

	if (!region_args_ok(m, call->arg[0], call->arg[1]) || (call->arg[2] > 1U)) {
		return FLEX_E_INVAL;
	}
	rc = region_take(m, call, 1U << from, 0U, &r);
	if (rc == FLEX_OK) {
		region_set(r, (from == FLEX_REGION_SECURE) ? FLEX_REGION_USED : FLEX_REGION_SECURE);
	}
	return rc;
}
