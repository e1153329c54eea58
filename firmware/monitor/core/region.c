/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Regions: contiguous memory of whole 2M blocks, secured and released as one, as a classic TrustZone system does. One
 * block entry each, one TLB invalidation, and nothing of Flex-Mem's per-page bookkeeping.
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
 * region_take() - the region of exactly this base and size, moved to BUSY; the caller owns it
 * @from: the states that the caller can do with, the first of which is tried first
 *
 * Returns NULL with *rc = FLEX_E_STATE (there is none, or not in such a state), FLEX_E_PINNED or FLEX_E_BUSY.
 */
static struct flex_region *region_take(struct flex_monitor *m, uint64_t base, uint64_t size, uint32_t *from, int *rc)
{
	struct flex_region *r;
	uint32_t state;

	*rc = FLEX_E_STATE;
	for (r = m->region; r < &m->region[FLEX_REGIONS]; r++) {
		state = __atomic_load_n(&r->state, __ATOMIC_SEQ_CST);
		if ((state == FLEX_REGION_FREE) || (__atomic_load_n(&r->base, __ATOMIC_RELAXED) != base) ||
		    (__atomic_load_n(&r->size, __ATOMIC_RELAXED) != size)) {
			continue;
		}
		if ((state == FLEX_REGION_BUSY) || !region_swap(r, state, FLEX_REGION_BUSY)) {
			*rc = FLEX_E_BUSY;
			return NULL;
		}
		*from = state;
		if ((r->base == base) && (r->size == size)) {
			return r;
		}
		region_set(r, state); /* released and reused between the look and the take */
	}
	return NULL;
}

static struct flex_region *region_new(struct flex_monitor *m)
{
	struct flex_region *r;

	for (r = m->region; r < &m->region[FLEX_REGIONS]; r++) {
		if (region_swap(r, FLEX_REGION_FREE, FLEX_REGION_BUSY)) {
			return r;
		}
	}
	return NULL;
}

static void blocks_open(struct flex_monitor *m, uint64_t base, uint64_t size)
{
	uint64_t at;

	for (at = 0U; at < size; at += FLEX_BLOCK_SIZE) {
		flex_block_open(m, region_block(m, base + at));
	}
}

static void blocks_map(struct flex_monitor *m, uint64_t base, uint64_t size)
{
	uint64_t at;

	for (at = 0U; at < size; at += FLEX_BLOCK_SIZE) {
		m->ops->map(base + at, FLEX_BLOCK_SIZE);
	}
	m->ops->publish();
}

/* All blocks of the region, or none: what was reserved is given back when one cannot be had. */
static int blocks_secure(struct flex_monitor *m, uint64_t base, uint64_t size)
{
	uint64_t at;

	for (at = 0U; at < size; at += FLEX_BLOCK_SIZE) {
		if (flex_block_secure(m, region_block(m, base + at)) != FLEX_OK) {
			blocks_open(m, base, at);
			return FLEX_E_STATE;
		}
	}
	for (at = 0U; at < size; at += FLEX_BLOCK_SIZE) {
		m->ops->unmap(base + at, FLEX_BLOCK_SIZE);
	}
	if (m->ops->invalidate(&base, 1U, size) != FLEX_OK) {
		blocks_map(m, base, size);
		blocks_open(m, base, size);
		return FLEX_E_TIMEOUT;
	}
	flex_count(m, FLEX_STAT_SECURE_PAGES, size >> FLEX_PAGE_SHIFT);
	return FLEX_OK;
}

int flex_region_secure(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t base = call->arg[0], size = call->arg[1];
	struct flex_region *r;
	int rc;

	if (!region_args_ok(m, base, size)) {
		return FLEX_E_INVAL;
	}
	if (!m->ops->protected()) {
		return FLEX_E_STATE;
	}
	r = region_new(m);
	if (r == NULL) {
		return FLEX_E_EXHAUSTED;
	}
	rc = blocks_secure(m, base, size);
	if (rc != FLEX_OK) {
		region_set(r, FLEX_REGION_FREE);
		return rc;
	}
	__atomic_store_n(&r->base, base, __ATOMIC_RELAXED);
	__atomic_store_n(&r->size, size, __ATOMIC_RELAXED);
	r->done = 0U;
	region_set(r, FLEX_REGION_SECURE);
	return FLEX_OK;
}

/* Scrubs on from r->done. True when all of it is clean, false when an interrupt waits or this was enough for a call. */
static bool region_scrub(struct flex_monitor *m, struct flex_region *r)
{
	uint32_t n;

	for (n = 0U; r->done < r->size; n++) {
		if ((n == FLEX_SCRUB_PAGES) || flex_interrupted(m, n)) {
			return false;
		}
		flex_scrub(m, r->base + r->done);
		r->done += FLEX_PAGE_SIZE;
	}
	return true;
}

int flex_region_release(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t base = call->arg[0], size = call->arg[1];
	struct flex_region *r;
	uint32_t from;
	int rc;

	if (!region_args_ok(m, base, size)) {
		return FLEX_E_INVAL;
	}
	r = region_take(m, base, size, &from, &rc);
	if (r == NULL) {
		return rc;
	}
	if ((from == FLEX_REGION_USED) || (call->arg[2] != r->done)) {
		region_set(r, from);
		return (from == FLEX_REGION_USED) ? FLEX_E_PINNED : FLEX_E_INVAL;
	}
	if (!region_scrub(m, r)) {
		call->ret[1] = r->done;
		region_set(r, FLEX_REGION_RELEASING);
		return FLEX_E_INTERRUPTED;
	}
	blocks_map(m, base, size);
	/* Found no more under its old name: whoever secures these blocks next is not told that they are busy. */
	__atomic_store_n(&r->size, 0U, __ATOMIC_SEQ_CST);
	blocks_open(m, base, size);
	flex_count(m, FLEX_STAT_SECURE_PAGES, (uint64_t)-(int64_t)(size >> FLEX_PAGE_SHIFT));
	region_set(r, FLEX_REGION_FREE);
	call->ret[1] = size;
	return FLEX_OK;
}

int flex_region_use(struct flex_monitor *m, struct flex_call *call)
{
	uint32_t from, want = (call->arg[2] != 0U) ? FLEX_REGION_SECURE : FLEX_REGION_USED;
	struct flex_region *r;
	int rc;

	if (!region_args_ok(m, call->arg[0], call->arg[1]) || (call->arg[2] > 1U)) {
		return FLEX_E_INVAL;
	}
	r = region_take(m, call->arg[0], call->arg[1], &from, &rc);
	if (r == NULL) {
		return rc;
	}
	if (from != want) {
		region_set(r, from);
		return FLEX_E_STATE;
	}
	region_set(r, (want == FLEX_REGION_SECURE) ? FLEX_REGION_USED : FLEX_REGION_SECURE);
	return FLEX_OK;
}
