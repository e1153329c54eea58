/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Secure move: what a slot holds goes to another page without the NW ever seeing it, so that Linux can compact memory
 * around the secure world. A part of a batch takes its new pages away from the NW with one invalidation; only then is
 * each old page taken from its slot, so that a slot is BUSY for one copy and no longer.
 */

#include "flex_core.h"

/* The lists of this core: old pages, and from FLEX_MOVE_PAGES on the new ones. */
struct move {
	uint64_t *old, *new;
	struct flex_mailbox *box;
	uint32_t next, end, count;
};

#define NO_PAGE	UINT64_C(0)	/* in `new`: could not be had, and its pair has its result */

static int move_begin(struct flex_monitor *m, const struct flex_call *call, struct move *mv)
{
	uint32_t i;

	if ((call->arg[0] >= m->layout.mailboxes) || (call->arg[2] > FLEX_MOVE_ENTRIES) ||
	    (call->arg[1] >= call->arg[2])) {
		return FLEX_E_INVAL;
	}
	mv->old = m->lists[call->core];
	mv->new = mv->old + FLEX_MOVE_PAGES;
	mv->box = &m->mailboxes[call->arg[0]];
	mv->next = (uint32_t)call->arg[1];
	mv->count = (uint32_t)call->arg[2];
	mv->end = mv->next + FLEX_MOVE_PAGES;
	if (mv->end > mv->count) {
		mv->end = mv->count;
	}
	for (i = mv->next; i < mv->count; i++) {
		if (!flex_address_ok(m, flex_entry_once(mv->box, i)) ||
		    !flex_address_ok(m, flex_entry_once(mv->box, FLEX_MOVE_ENTRIES + i))) {
			return FLEX_E_INVAL;
		}
	}
	return m->ops->protected() ? FLEX_OK : FLEX_E_STATE;
}

static void move_result(const struct move *mv, uint32_t i, int result)
{
	__atomic_store_n(&mv->box->result[i], result, __ATOMIC_RELAXED);
}

/* Copies the part's entries, each once, and seizes its new pages; those that cannot be had are left out. */
static void move_seize(struct flex_monitor *m, struct move *mv)
{
	uint32_t i, n;
	int rc;

	for (i = mv->next; i < mv->end; i++) {
		n = i - mv->next;
		mv->old[n] = flex_entry_once(mv->box, i);
		mv->new[n] = flex_entry_once(mv->box, FLEX_MOVE_ENTRIES + i);
		rc = flex_address_ok(m, mv->old[n]) ? flex_page_seize(m, FLEX_VERB_MOVE, mv->new[n]) : FLEX_E_STATE;
		if (rc != FLEX_OK) {
			mv->new[n] = NO_PAGE;
			move_result(mv, i, rc);
		}
	}
}

static void move_undo(struct flex_monitor *m, const struct move *mv)
{
	uint32_t n;

	for (n = 0U; n < (mv->end - mv->next); n++) {
		if (mv->new[n] != NO_PAGE) {
			flex_page_unseize(m, FLEX_VERB_MOVE, mv->new[n]);
		}
	}
	m->ops->publish();
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
		flex_page_unseize(m, FLEX_VERB_MOVE, new);
		return rc;
	}
	m->ops->copy(new, old);
	flex_slot_move(m, slot, to);
	flex_page_give(m, FLEX_VERB_MOVE, to, slot);
	m->ops->scrub(old);
	flex_page_open(m, old);
	return FLEX_OK;
}

static uint32_t move_part(struct flex_monitor *m, struct move *mv)
{
	uint32_t i, n, moved = 0U;
	int rc;

	for (i = mv->next; i < mv->end; i++) {
		n = i - mv->next;
		if (mv->new[n] != NO_PAGE) {
			rc = move_pair(m, mv->old[n], mv->new[n]);
			moved += (rc == FLEX_OK) ? 1U : 0U;
			move_result(mv, i, rc);
		}
	}
	m->ops->publish();
	return moved;
}

/* One part a call: FLEX_E_INTERRUPTED when there is more, interrupts or not. */
int flex_move(struct flex_monitor *m, struct flex_call *call)
{
	struct move mv;
	int rc = move_begin(m, call, &mv);

	if (rc == FLEX_E_INVAL) {
		return rc;
	}
	call->ret[1] = mv.next;
	if (rc != FLEX_OK) {
		return rc;
	}
	move_seize(m, &mv);
	rc = m->ops->invalidate();
	if (rc != FLEX_OK) {
		move_undo(m, &mv);
		return rc;
	}
	call->ret[1] = mv.end;
	call->ret[2] = move_part(m, &mv);
	flex_count(m, FLEX_STAT_MOVED, call->ret[2]);
	return (mv.end < mv.count) ? FLEX_E_INTERRUPTED : FLEX_OK;
}
