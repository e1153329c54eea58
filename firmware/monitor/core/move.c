/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Secure move: what a slot holds goes to another page without the NW ever seeing it, so that Linux can compact memory
 * around the secure world. A call takes its new pages away from the NW with one invalidation; only then is each old
 * page taken from its slot, so that a slot is BUSY for one copy and no longer.
 */

#include "flex_words.h"

#define NO_PAGE	UINT64_C(0)	/* in the list of new pages: could not be had, and its pair has its result */

/* Seizes the new pages; those that cannot be had are left out. */
static void move_seize(struct flex_monitor *m, const struct flex_batch *b, uint64_t *new)
{
	uint32_t i;
	int rc;

	for (i = 0U; i < b->count; i++) {
		rc = flex_page_seize(m, new[i]);
		if (rc != FLEX_OK) {
			new[i] = NO_PAGE;
			flex_batch_result(b, i, rc);
		}
	}
}

/* The old page and its slot BUSY; what cannot be moved is as it was. */
static int move_take(struct flex_monitor *m, uint32_t index, uint32_t *slot)
{
	bool named;
	int rc = flex_claimed_take(m, index, slot, &named);

	if (rc != FLEX_OK) {
		return rc;
	}
	if (named && (flex_slot_generation(flex_slot_read(m, *slot)) != FLEX_SLOT_GENERATION_MASK)) {
		return FLEX_OK;
	}
	if (named) {
		flex_slot_return(m, *slot);
	}
	flex_page_return(m, FLEX_VERB_RECALL_CLAIMED, index, *slot);
	return named ? FLEX_E_EXHAUSTED : FLEX_E_STATE;
}

/* One pair whose new page is seized; when it is refused, both pages are as they were. */
static int move_pair(struct flex_monitor *m, uint64_t old, uint64_t new)
{
	uint32_t to = flex_page_index(m, new), slot;
	int rc = move_take(m, flex_page_index(m, old), &slot);

	if (rc != FLEX_OK) {
		flex_page_open(m, new);
		return rc;
	}
	m->ops->copy(new, old);
	flex_slot_move(m, slot, to);
	flex_page_give(m, FLEX_VERB_MOVE, to, slot);
	flex_scrub(m, old);
	flex_page_open(m, old);
	return FLEX_OK;
}

/* All pairs whose new pages are seized, or, when the SMMU is silent, none: the NW has its pages again. */
static uint64_t move_pairs(struct flex_monitor *m, const struct flex_batch *b, const uint64_t *new, bool silent)
{
	uint64_t moved = 0U;
	uint32_t i;
	int rc;

	for (i = 0U; i < b->count; i++) {
		if ((new[i] != NO_PAGE) && silent) {
			flex_page_open(m, new[i]);
		} else if (new[i] != NO_PAGE) {
			rc = move_pair(m, b->page[i], new[i]);
			moved += (rc == FLEX_OK) ? 1U : 0U;
			flex_batch_result(b, i, rc);
		}
	}
	m->ops->publish();
	return moved;
}

/* FLEX_MOVE_PAGES a call: FLEX_E_INTERRUPTED when there is more, interrupts or not. */
int flex_move(struct flex_monitor *m, struct flex_call *call)
{
	struct flex_batch b;
	int rc = flex_batch_begin(m, call, FLEX_MOVE_ENTRIES, FLEX_MOVE_PAGES, &b);
	uint64_t *new = m->lists[call->core] + FLEX_MOVE_PAGES;

	if ((rc != FLEX_OK) || !flex_list_copy(m, new, &b.box->page[FLEX_MOVE_ENTRIES + b.first], b.count)) {
		return FLEX_E_INVAL;
	}
	call->ret[1] = b.first;
	if (!flex_secure_begin(m, b.count)) {
		return FLEX_E_STATE;
	}
	move_seize(m, &b, new);
	rc = flex_seized(m, new, b.count);
	call->ret[2] = move_pairs(m, &b, new, rc != FLEX_OK);
	flex_count(m, FLEX_STAT_SECURE_PAGES, -(uint64_t)b.count);
	if (rc != FLEX_OK) {
		return rc;
	}
	call->ret[1] = b.first + b.count;
	flex_count(m, FLEX_STAT_MOVED, call->ret[2]);
	return b.more ? FLEX_E_INTERRUPTED : FLEX_OK;
}
