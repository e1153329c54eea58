/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Batches: donate and recall for the NW, claim and drop for the payload. A call copies the entries that it is to treat,
 * each once, and checks them all before it changes the first.
 */

#include "flex_words.h"

/* The NW may write its mailbox at any time: one access, of the whole word. */
bool flex_list_copy(const struct flex_monitor *m, uint64_t *to, const uint64_t *from, uint64_t count)
{
	uint64_t i;

	for (i = 0U; i < count; i++) {
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		if (!flex_address_ok(m, to[i])) {
			return false;
		}
	}
	return true;
}

int flex_batch_begin(struct flex_monitor *m, const struct flex_call *call, uint32_t entries, uint32_t limit,
		     struct flex_batch *b)
{
	uint64_t left = call->arg[2] - call->arg[1];

	if ((call->arg[0] >= m->layout.mailboxes) || (call->arg[2] > entries) || (call->arg[1] >= call->arg[2])) {
		return FLEX_E_INVAL;
	}
	b->box = &m->mailboxes[call->arg[0]];
	b->page = m->lists[call->core];
	b->first = (uint32_t)call->arg[1];
	b->count = (left > limit) ? limit : (uint32_t)left;
	b->more = left > limit;
	return flex_list_copy(m, b->page, &b->box->page[b->first], b->count) ? FLEX_OK : FLEX_E_INVAL;
}

void flex_batch_result(const struct flex_batch *b, uint32_t i, int result)
{
	__atomic_store_n(&b->box->result[b->first + i], result, __ATOMIC_RELAXED);
}

bool flex_interrupted(const struct flex_monitor *m, uint64_t done)
{
	return (done != 0U) && ((done % m->layout.scrub_chunk) == 0U) && m->ops->interrupt_pending();
}

bool flex_secure_begin(struct flex_monitor *m, uint64_t pages)
{
	flex_count(m, FLEX_STAT_SECURE_PAGES, pages);
	if (m->ops->protected()) {
		return true;
	}
	flex_count(m, FLEX_STAT_SECURE_PAGES, -pages);
	return false;
}

int flex_seized(struct flex_monitor *m, const uint64_t *page, uint32_t count)
{
	int rc = m->ops->invalidate();

	if ((rc == FLEX_OK) && (m->ops->settle != NULL)) {
		m->ops->settle(page, count);
	}
	return rc;
}

int flex_page_seize(struct flex_monitor *m, uint64_t page)
{
	uint32_t index = flex_page_index(m, page);
	int rc = flex_block_enter(m, index);

	if (rc != FLEX_OK) {
		return rc;
	}
	rc = flex_page_take(m, FLEX_VERB_DONATE, index, FLEX_SLOT_NONE);
	if (rc != FLEX_OK) {
		flex_block_leave(m, index);
		return rc;
	}
	m->ops->unmap(page, FLEX_PAGE_SIZE);
	return FLEX_OK;
}

void flex_page_open(struct flex_monitor *m, uint64_t page)
{
	uint32_t index = flex_page_index(m, page);

	m->ops->map(page, FLEX_PAGE_SIZE);
	flex_page_give(m, FLEX_VERB_RECALL_DONATED, index, FLEX_SLOT_NONE);
	flex_block_leave(m, index);
}

void flex_scrub(struct flex_monitor *m, uint64_t page)
{
	uint64_t begin = m->ops->ticks();

	m->ops->scrub(page);
	flex_count(m, FLEX_STAT_SCRUB_TICKS, m->ops->ticks() - begin);
}

/* The first `count` pages of the batch are the secure world's, or, when the SMMU is silent, the NW's again. */
static int donate_commit(struct flex_monitor *m, const struct flex_batch *b, uint32_t count)
{
	int rc = (count != 0U) ? flex_seized(m, b->page, count) : FLEX_OK;
	uint32_t i;

	if (rc != FLEX_OK) {
		for (i = 0U; i < count; i++) {
			flex_page_open(m, b->page[i]);
		}
		m->ops->publish();
		return rc;
	}
	for (i = 0U; i < count; i++) {
		flex_page_give(m, FLEX_VERB_DONATE, flex_page_index(m, b->page[i]), FLEX_SLOT_NONE);
	}
	flex_count(m, FLEX_STAT_DONATED, count);
	return FLEX_OK;
}

int flex_donate(struct flex_monitor *m, struct flex_call *call)
{
	struct flex_batch b;
	int rc = flex_batch_begin(m, call, FLEX_MAILBOX_ENTRIES, m->ops->donate_pages, &b), committed;
	uint32_t done = 0U;

	if (rc != FLEX_OK) {
		return rc;
	}
	call->ret[1] = b.first;
	if (!flex_secure_begin(m, b.count)) {
		return FLEX_E_STATE;
	}
	while ((rc == FLEX_OK) && (done < b.count)) {
		rc = flex_interrupted(m, done) ? FLEX_E_INTERRUPTED : flex_page_seize(m, b.page[done]);
		done += (rc == FLEX_OK) ? 1U : 0U;
	}
	committed = donate_commit(m, &b, done);
	flex_count(m, FLEX_STAT_SECURE_PAGES, ((committed == FLEX_OK) ? done : UINT64_C(0)) - b.count);
	if (committed != FLEX_OK) {
		return committed;
	}
	call->ret[1] = b.first + done;
	/* A page named twice was BUSY by this very batch; now it is secure, which is what the caller has to know. */
	if ((rc == FLEX_E_BUSY) && (flex_page_state(m, flex_page_index(m, b.page[done])) != FLEX_PAGE_BUSY)) {
		rc = FLEX_E_STATE;
	}
	return ((rc == FLEX_OK) && b.more) ? FLEX_E_INTERRUPTED : rc;
}

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

/* recall of one page, in page.h's order: page and slot BUSY, scrub and clean, slot EMPTY, map, NORMAL. */
static int recall_page(struct flex_monitor *m, uint64_t page)
{
	uint32_t index = flex_page_index(m, page), slot;
	bool named = false;
	int rc;

	if (flex_page_state(m, index) == FLEX_PAGE_DONATED) {
		rc = flex_page_take(m, FLEX_VERB_RECALL_DONATED, index, FLEX_SLOT_NONE);
	} else {
		rc = flex_claimed_take(m, index, &slot, &named);
	}
	if (rc != FLEX_OK) {
		return rc;
	}
	flex_scrub(m, page);
	if (named) {
		flex_slot_empty(m, slot);
	}
	flex_page_open(m, page);
	return FLEX_OK;
}

int flex_recall(struct flex_monitor *m, struct flex_call *call)
{
	struct flex_batch b;
	int rc = flex_batch_begin(m, call, FLEX_MAILBOX_ENTRIES, FLEX_SCRUB_PAGES, &b), result;
	uint32_t done, recalled = 0U;

	if (rc != FLEX_OK) {
		return rc;
	}
	for (done = 0U; (done < b.count) && !flex_interrupted(m, done); done++) {
		result = recall_page(m, b.page[done]);
		recalled += (result == FLEX_OK) ? 1U : 0U;
		flex_batch_result(&b, done, result);
	}
	m->ops->publish();
	flex_count(m, FLEX_STAT_RECALLED, recalled);
	flex_count(m, FLEX_STAT_SECURE_PAGES, -(uint64_t)recalled);
	call->ret[1] = b.first + done;
	call->ret[2] = recalled;
	return ((done < b.count) || b.more) ? FLEX_E_INTERRUPTED : FLEX_OK;
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
	uint64_t count = call->arg[1], now = (count > FLEX_CLAIM_SLOTS) ? FLEX_CLAIM_SLOTS : count, i;
	const uint64_t *list;
	int rc = FLEX_OK;

	if ((count > FLEX_MAILBOX_ENTRIES) || !slots_ok(m, call->arg[2], count)) {
		return FLEX_E_INVAL;
	}
	list = flex_payload_memory(m, call->arg[0], count * sizeof(uint64_t));
	if ((list == NULL) || !flex_list_copy(m, page, list, now)) {
		return FLEX_E_INVAL;
	}
	for (i = 0U; i < now; i++) {
		rc = claim_page(m, page[i], (uint32_t)(call->arg[2] + i));
		if (rc != FLEX_OK) {
			break;
		}
	}
	call->ret[1] = i;
	return ((rc == FLEX_OK) && (now < count)) ? FLEX_E_INTERRUPTED : rc;
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
		if ((i == FLEX_DROP_SLOTS) || flex_interrupted(m, i)) {
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
