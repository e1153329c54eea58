/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Batches: donate and recall for the NW, claim and drop for the payload. Every batch checks the arguments of all its
 * entries before it changes the first. A list of the NW's is then copied, one sub-batch after the other, each entry
 * once, and checked again: an entry that changed in between ends the batch (or fails alone, in a recall) and no more.
 */

#include "flex_core.h"

struct batch {
	uint64_t *page;		/* this core's list */
	struct flex_mailbox *box;
	uint32_t first, next, count;
};

/* The NW may write the mailbox at any time: one access, of the whole word. */
uint64_t flex_entry_once(const struct flex_mailbox *box, uint32_t i)
{
	return __atomic_load_n(&box->page[i], __ATOMIC_RELAXED);
}

/* Arguments (mailbox, first, count) and all addresses. Nothing is changed when it refuses. */
static int batch_begin(struct flex_monitor *m, const struct flex_call *call, struct batch *b)
{
	uint32_t i;

	if ((call->arg[0] >= m->layout.mailboxes) || (call->arg[2] > FLEX_MAILBOX_ENTRIES) ||
	    (call->arg[1] >= call->arg[2])) {
		return FLEX_E_INVAL;
	}
	b->page = m->lists[call->core];
	b->box = &m->mailboxes[call->arg[0]];
	b->first = (uint32_t)call->arg[1];
	b->next = b->first;
	b->count = (uint32_t)call->arg[2];
	for (i = b->first; i < b->count; i++) {
		if (!flex_address_ok(m, flex_entry_once(b->box, i))) {
			return FLEX_E_INVAL;
		}
	}
	return FLEX_OK;
}

/* Copies the next sub-batch into this core's list; returns its end. */
static uint32_t batch_copy(const struct flex_monitor *m, const struct batch *b)
{
	uint32_t end = b->count, i;

	if ((end - b->next) > m->layout.scrub_chunk) {
		end = b->next + m->layout.scrub_chunk;
	}
	for (i = b->next; i < end; i++) {
		b->page[i] = flex_entry_once(b->box, i);
	}
	return end;
}

/*
 * flex_page_seize() - NORMAL => BUSY, unmapped, for a verb that takes a page from the NW
 *
 * The page is the secure world's once the TLBs and the SMMU have forgotten it.
 */
int flex_page_seize(struct flex_monitor *m, enum flex_verb verb, uint64_t page)
{
	uint32_t index;
	int rc;

	if (!flex_address_ok(m, page)) {
		return FLEX_E_STATE;
	}
	index = flex_page_index(m, page);
	rc = flex_block_enter(m, index);
	if (rc != FLEX_OK) {
		return rc;
	}
	rc = flex_page_take(m, verb, index, FLEX_SLOT_NONE);
	if (rc != FLEX_OK) {
		flex_block_leave(m, index);
		return rc;
	}
	m->ops->unmap(page);
	return FLEX_OK;
}

/* The NW has a seized page again as it was: nothing secure has been in it. publish() is the caller's. */
void flex_page_unseize(struct flex_monitor *m, enum flex_verb verb, uint64_t page)
{
	uint32_t index = flex_page_index(m, page);

	m->ops->map(page);
	flex_page_return(m, verb, index, FLEX_SLOT_NONE);
	flex_block_leave(m, index);
}

/* The SMMU did not answer: the NW has the pages of this part again, as they were. */
static void donate_undo(struct flex_monitor *m, const struct batch *b)
{
	uint32_t i;

	for (i = b->first; i < b->next; i++) {
		flex_page_unseize(m, FLEX_VERB_DONATE, b->page[i]);
	}
	m->ops->publish();
}

static int donate_commit(struct flex_monitor *m, struct batch *b)
{
	uint32_t i;
	int rc;

	if (b->next == b->first) {
		return FLEX_OK;
	}
	rc = m->ops->invalidate();
	if (rc != FLEX_OK) {
		donate_undo(m, b);
		b->next = b->first;
		return rc;
	}
	for (i = b->first; i < b->next; i++) {
		flex_page_give(m, FLEX_VERB_DONATE, flex_page_index(m, b->page[i]), FLEX_SLOT_NONE);
	}
	flex_count(m, FLEX_STAT_DONATED, b->next - b->first);
	flex_count(m, FLEX_STAT_SECURE_PAGES, b->next - b->first);
	return FLEX_OK;
}

int flex_donate(struct flex_monitor *m, struct flex_call *call)
{
	struct batch b;
	uint32_t end;
	int rc, committed;

	rc = batch_begin(m, call, &b);
	if (rc != FLEX_OK) {
		return rc;
	}
	call->ret[1] = b.first;
	if (!m->ops->protected()) {
		return FLEX_E_STATE;
	}
	while ((rc == FLEX_OK) && (b.next < b.count)) {
		end = batch_copy(m, &b);
		while ((rc == FLEX_OK) && (b.next < end)) {
			rc = flex_page_seize(m, FLEX_VERB_DONATE, b.page[b.next]);
			b.next += (rc == FLEX_OK) ? 1U : 0U;
		}
		if ((rc == FLEX_OK) && (b.next < b.count) && m->ops->interrupt_pending()) {
			rc = FLEX_E_INTERRUPTED;
		}
	}
	committed = donate_commit(m, &b);
	call->ret[1] = b.next;
	if (committed != FLEX_OK) {
		return committed;
	}
	/* A page named twice was BUSY by this very batch; now it is secure, which is what the caller has to know. */
	if ((rc == FLEX_E_BUSY) &&
	    (flex_page_state(m, flex_page_index(m, b.page[b.next])) != FLEX_PAGE_BUSY)) {
		rc = FLEX_E_STATE;
	}
	return rc;
}

/*
 * flex_claimed_take() - a CLAIMED page and its slot BUSY, so that no pin holds them and none can
 * @named: false when the slot does not name the page any more (the payload has spoilt it), and is not BUSY
 *
 * FLEX_E_STATE: the page is not CLAIMED. FLEX_E_BUSY, FLEX_E_PINNED: nothing has changed.
 */
int flex_claimed_take(struct flex_monitor *m, uint32_t index, uint32_t *slot, bool *named)
{
	uint32_t entry = __atomic_load_n(&m->pages[index], __ATOMIC_SEQ_CST), state = entry >> FLEX_PAGE_STATE_SHIFT;
	int rc;

	if (state != FLEX_PAGE_CLAIMED) {
		return (state == FLEX_PAGE_BUSY) ? FLEX_E_BUSY : FLEX_E_STATE;
	}
	*slot = entry & FLEX_PAGE_SLOT_MASK;
	rc = flex_page_take(m, FLEX_VERB_RECALL_CLAIMED, index, *slot);
	if (rc != FLEX_OK) {
		return FLEX_E_BUSY; /* it moved since it was read */
	}
	rc = flex_slot_take(m, *slot, index);
	if (rc == FLEX_E_PINNED) {
		flex_page_return(m, FLEX_VERB_RECALL_CLAIMED, index, *slot);
		return rc;
	}
	*named = rc == FLEX_OK;
	return FLEX_OK;
}

/* recall, first half: page and slot BUSY. */
static int recall_take(struct flex_monitor *m, uint32_t index, uint32_t *slot)
{
	bool named = false;
	int rc = flex_claimed_take(m, index, slot, &named);

	if (!named) {
		*slot = FLEX_SLOT_NONE;
	}
	if (rc == FLEX_E_STATE) {
		rc = flex_page_take(m, FLEX_VERB_RECALL_DONATED, index, FLEX_SLOT_NONE);
	}
	return rc;
}

/* A scrubbed page that the caller owns goes to the NW; publish() is the caller's. */
void flex_page_open(struct flex_monitor *m, uint64_t page)
{
	uint32_t index = flex_page_index(m, page);

	m->ops->map(page);
	flex_page_give(m, FLEX_VERB_RECALL_DONATED, index, FLEX_SLOT_NONE);
	flex_block_leave(m, index);
}

/* recall of one page, in page.h's order: BUSY, scrub and clean, slot EMPTY, map, NORMAL. */
static int recall_page(struct flex_monitor *m, uint64_t page)
{
	uint32_t index, slot;
	int rc;

	if (!flex_address_ok(m, page)) {
		return FLEX_E_INVAL;
	}
	index = flex_page_index(m, page);
	rc = recall_take(m, index, &slot);
	if (rc != FLEX_OK) {
		return rc;
	}
	m->ops->scrub(page);
	if (slot != FLEX_SLOT_NONE) {
		flex_slot_empty(m, slot);
	}
	flex_page_open(m, page);
	return FLEX_OK;
}

int flex_recall(struct flex_monitor *m, struct flex_call *call)
{
	struct batch b;
	uint32_t end, recalled = 0U;
	int rc, result;

	rc = batch_begin(m, call, &b);
	if (rc != FLEX_OK) {
		return rc;
	}
	while ((rc == FLEX_OK) && (b.next < b.count)) {
		end = batch_copy(m, &b);
		for (; b.next < end; b.next++) {
			result = recall_page(m, b.page[b.next]);
			recalled += (result == FLEX_OK) ? 1U : 0U;
			__atomic_store_n(&b.box->result[b.next], result, __ATOMIC_RELAXED);
		}
		if ((b.next < b.count) &&
		    (((b.next - b.first) >= FLEX_SCRUB_PAGES) || m->ops->interrupt_pending())) {
			rc = FLEX_E_INTERRUPTED;
		}
	}
	m->ops->publish();
	flex_count(m, FLEX_STAT_RECALLED, recalled);
	flex_count(m, FLEX_STAT_SECURE_PAGES, (uint64_t)-(int64_t)recalled);
	call->ret[1] = b.next;
	call->ret[2] = recalled;
	return rc;
}

/* Where [address, address + size) of the payload's memory is seen from here, or NULL when it is not its memory. */
const void *flex_payload_memory(const struct flex_monitor *m, uint64_t address, uint64_t size)
{
	uint64_t offset = address - m->layout.payload_base;

	if (((address & 7U) != 0U) || (address < m->layout.payload_base) || (size > m->layout.payload_size) ||
	    (offset > (m->layout.payload_size - size))) {
		return NULL;
	}
	return m->payload + offset;
}

static int claim_page(struct flex_monitor *m, uint64_t page, uint32_t slot)
{
	uint32_t index = flex_page_index(m, page);
	int rc = flex_page_take(m, FLEX_VERB_CLAIM, index, FLEX_SLOT_NONE);

	if (rc != FLEX_OK) {
		return rc;
	}
	rc = flex_slot_claim(m, slot, index);
	if (rc != FLEX_OK) {
		flex_page_return(m, FLEX_VERB_CLAIM, index, FLEX_SLOT_NONE);
		return rc;
	}
	flex_page_give(m, FLEX_VERB_CLAIM, index, slot);
	return FLEX_OK;
}

static bool slots_ok(const struct flex_monitor *m, uint64_t slot, uint64_t count)
{
	return (count != 0U) && (count <= m->layout.slots) && (slot <= (m->layout.slots - count));
}

int flex_claim(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t *page = m->lists[call->core];
	uint64_t count = call->arg[1], i;
	const volatile uint64_t *list;
	int rc = FLEX_OK;

	if ((count > FLEX_MAILBOX_ENTRIES) || !slots_ok(m, call->arg[2], count)) {
		return FLEX_E_INVAL;
	}
	list = flex_payload_memory(m, call->arg[0], count * sizeof(uint64_t));
	if (list == NULL) {
		return FLEX_E_INVAL;
	}
	for (i = 0U; i < count; i++) {
		page[i] = list[i];
		if (!flex_address_ok(m, page[i])) {
			return FLEX_E_INVAL;
		}
	}
	for (i = 0U; i < count; i++) {
		if (i == FLEX_CLAIM_SLOTS) {
			rc = FLEX_E_INTERRUPTED;
			break;
		}
		rc = claim_page(m, page[i], (uint32_t)(call->arg[2] + i));
		if (rc != FLEX_OK) {
			break;
		}
	}
	call->ret[1] = i;
	return rc;
}

/* drop of one slot; page before slot, as in a recall, so that of two cores one always gets both. */
static int drop_slot(struct flex_monitor *m, uint32_t slot)
{
	uint64_t word = flex_slot_read(m, slot);
	uint32_t index = flex_slot_page(word);
	int rc;

	if (flex_slot_state(word) == FLEX_SLOT_EMPTY) {
		return FLEX_OK;
	}
	if ((flex_slot_state(word) == FLEX_SLOT_BUSY) || (index >= (m->layout.dram_size >> FLEX_PAGE_SHIFT))) {
		return FLEX_E_BUSY;
	}
	rc = flex_page_take(m, FLEX_VERB_DROP, index, slot);
	if (rc != FLEX_OK) {
		return FLEX_E_BUSY; /* being claimed or recalled by another core */
	}
	rc = flex_slot_take(m, slot, index);
	if (rc != FLEX_OK) {
		flex_page_return(m, FLEX_VERB_DROP, index, slot);
		return rc;
	}
	flex_slot_empty(m, slot);
	flex_page_give(m, FLEX_VERB_DROP, index, FLEX_SLOT_NONE);
	return FLEX_OK;
}

int flex_drop(struct flex_monitor *m, struct flex_call *call)
{
	uint64_t count = call->arg[1], i;
	int rc = FLEX_OK;

	if (!slots_ok(m, call->arg[0], count)) {
		return FLEX_E_INVAL;
	}
	for (i = 0U; i < count; i++) {
		if ((i == FLEX_DROP_SLOTS) ||
		    ((i != 0U) && ((i % m->layout.scrub_chunk) == 0U) && m->ops->interrupt_pending())) {
			rc = FLEX_E_INTERRUPTED;
			break;
		}
		rc = drop_slot(m, (uint32_t)(call->arg[0] + i));
		if (rc != FLEX_OK) {
			break;
		}
	}
	call->ret[1] = i;
	return rc;
}
