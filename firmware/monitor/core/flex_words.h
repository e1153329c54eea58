/*
 * SPDX-License-Identifier: BSD-3-Clause
 */
/*
 * Pages, slots and blocks: single words and the compare-and-swaps that move them. The table is page.h's. All of it is
 * inline, since a batch does several of these to each of its pages, always with the same verb.
 */
#ifndef FLEX_WORDS_H
#define FLEX_WORDS_H

#include "flex_core.h"

/* The transitions of page.h: the only ways in which a page entry changes. */
enum flex_verb {
	FLEX_VERB_DONATE,
	FLEX_VERB_CLAIM,
	FLEX_VERB_DROP,
	FLEX_VERB_RECALL_DONATED,
	FLEX_VERB_RECALL_CLAIMED,
	FLEX_VERB_MOVE	/* of the new page; the old one is recalled */
};

static const struct {
	uint32_t from;
	uint32_t to;
} flex_transitions[] = {
	[FLEX_VERB_DONATE] = { FLEX_PAGE_NORMAL, FLEX_PAGE_DONATED },
	[FLEX_VERB_CLAIM] = { FLEX_PAGE_DONATED, FLEX_PAGE_CLAIMED },
	[FLEX_VERB_DROP] = { FLEX_PAGE_CLAIMED, FLEX_PAGE_DONATED },
	[FLEX_VERB_RECALL_DONATED] = { FLEX_PAGE_DONATED, FLEX_PAGE_NORMAL },
	[FLEX_VERB_RECALL_CLAIMED] = { FLEX_PAGE_CLAIMED, FLEX_PAGE_NORMAL },
	[FLEX_VERB_MOVE] = { FLEX_PAGE_NORMAL, FLEX_PAGE_CLAIMED },
};

/* The entry of a page in `state`; only BUSY and CLAIMED pages name a slot. */
static inline uint32_t flex_entry(uint32_t state, uint32_t slot)
{
	if (state == FLEX_PAGE_NORMAL) {
		slot = 0U;
	} else if (state == FLEX_PAGE_DONATED) {
		slot = FLEX_SLOT_NONE;
	}
	return (state << FLEX_PAGE_STATE_SHIFT) | slot;
}

static inline uint64_t flex_slot_word(uint32_t state, uint32_t generation, uint32_t index)
{
	return ((uint64_t)state << FLEX_SLOT_STATE_SHIFT) | ((uint64_t)generation << FLEX_SLOT_GENERATION_SHIFT) | index;
}

static inline bool flex_swap32(uint32_t *word, uint32_t *old, uint32_t new)
{
	return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline bool flex_swap64(uint64_t *word, uint64_t *old, uint64_t new)
{
	return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline uint32_t flex_page_state(const struct flex_monitor *m, uint32_t index)
{
	return __atomic_load_n(&m->pages[index], __ATOMIC_SEQ_CST) >> FLEX_PAGE_STATE_SHIFT;
}

static inline bool flex_page_hidden(const struct flex_monitor *m, uint64_t page)
{
	return flex_page_state(m, flex_page_index(m, page)) == FLEX_PAGE_HIDDEN;
}

/*
 * flex_page_take() - from the verb's first state to BUSY; the caller then owns the page
 * @slot: the slot that a CLAIMED page must name, or that the page is to have, or FLEX_SLOT_NONE
 *
 * Returns FLEX_E_BUSY when another core owns it, FLEX_E_STATE when it is in any other state.
 */
static inline int flex_page_take(struct flex_monitor *m, enum flex_verb verb, uint32_t index, uint32_t slot)
{
	uint32_t old = flex_entry(flex_transitions[verb].from, slot);

	if (flex_swap32(&m->pages[index], &old, flex_entry(FLEX_PAGE_BUSY, slot))) {
		return FLEX_OK;
	}
	return ((old >> FLEX_PAGE_STATE_SHIFT) == FLEX_PAGE_BUSY) ? FLEX_E_BUSY : FLEX_E_STATE;
}

/* From BUSY to the verb's last state; the caller took the page with the same verb. */
static inline void flex_page_give(struct flex_monitor *m, enum flex_verb verb, uint32_t index, uint32_t slot)
{
	__atomic_store_n(&m->pages[index], flex_entry(flex_transitions[verb].to, slot), __ATOMIC_SEQ_CST);
}

/* From BUSY back to where it was, when what else the verb needs could not be had. */
static inline void flex_page_return(struct flex_monitor *m, enum flex_verb verb, uint32_t index, uint32_t slot)
{
	__atomic_store_n(&m->pages[index], flex_entry(flex_transitions[verb].from, slot), __ATOMIC_SEQ_CST);
}

static inline uint32_t flex_slot_page(uint64_t word)
{
	return (uint32_t)(word & FLEX_SLOT_PAGE_MASK);
}

static inline uint32_t flex_slot_pins(uint64_t word)
{
	return (uint32_t)(word >> FLEX_SLOT_PINS_SHIFT) & FLEX_SLOT_PINS_MAX;
}

static inline uint32_t flex_slot_generation(uint64_t word)
{
	return (uint32_t)(word >> FLEX_SLOT_GENERATION_SHIFT) & FLEX_SLOT_GENERATION_MASK;
}

static inline uint32_t flex_slot_state(uint64_t word)
{
	return (uint32_t)(word >> FLEX_SLOT_STATE_SHIFT);
}

static inline uint64_t flex_slot_read(const struct flex_monitor *m, uint32_t slot)
{
	return __atomic_load_n(&m->slots[slot], __ATOMIC_SEQ_CST);
}

/* EMPTY => HELD with the next generation and no pins. FLEX_E_EXHAUSTED when the generation would wrap. */
static inline int flex_slot_claim(struct flex_monitor *m, uint32_t slot, uint32_t index)
{
	uint64_t old = flex_slot_read(m, slot);
	uint32_t generation = flex_slot_generation(old);

	if (flex_slot_state(old) == FLEX_SLOT_BUSY) {
		return FLEX_E_BUSY;
	}
	if (flex_slot_state(old) != FLEX_SLOT_EMPTY) {
		return FLEX_E_STATE;
	}
	if (generation == FLEX_SLOT_GENERATION_MASK) {
		return FLEX_E_EXHAUSTED;
	}
	if (!flex_swap64(&m->slots[slot], &old, flex_slot_word(FLEX_SLOT_HELD, generation + 1U, index))) {
		return FLEX_E_BUSY;
	}
	return FLEX_OK;
}

/*
 * flex_slot_take() - HELD without pins => BUSY; no pin can be taken from then on
 * @index: the page that the slot must name; the caller owns it
 *
 * Returns FLEX_E_PINNED, or FLEX_E_STATE when the slot does not name the page: the payload has spoilt its own slot
 * word, no pin can reach the page through it, and the caller goes on without the slot.
 */
static inline int flex_slot_take(struct flex_monitor *m, uint32_t slot, uint32_t index)
{
	uint64_t old = flex_slot_read(m, slot);

	do {
		if ((flex_slot_state(old) != FLEX_SLOT_HELD) || (flex_slot_page(old) != index)) {
			return FLEX_E_STATE;
		}
		if (flex_slot_pins(old) != 0U) {
			return FLEX_E_PINNED;
		}
	} while (!flex_swap64(&m->slots[slot], &old, flex_slot_word(FLEX_SLOT_BUSY, flex_slot_generation(old), index)));

	return FLEX_OK;
}

/* BUSY => EMPTY; the generation stays. */
static inline void flex_slot_empty(struct flex_monitor *m, uint32_t slot)
{
	uint32_t generation = flex_slot_generation(flex_slot_read(m, slot));

	__atomic_store_n(&m->slots[slot], flex_slot_word(FLEX_SLOT_EMPTY, generation, 0U), __ATOMIC_SEQ_CST);
}

/* BUSY => HELD with page `index` and the next generation, of which the caller knows that there is one. */
static inline void flex_slot_move(struct flex_monitor *m, uint32_t slot, uint32_t index)
{
	uint32_t generation = flex_slot_generation(flex_slot_read(m, slot)) + 1U;

	__atomic_store_n(&m->slots[slot], flex_slot_word(FLEX_SLOT_HELD, generation, index), __ATOMIC_SEQ_CST);
}

/* BUSY => HELD as it was before it was taken. */
static inline void flex_slot_return(struct flex_monitor *m, uint32_t slot)
{
	uint64_t old = flex_slot_read(m, slot);

	__atomic_store_n(&m->slots[slot], flex_slot_word(FLEX_SLOT_HELD, flex_slot_generation(old), flex_slot_page(old)),
			 __ATOMIC_SEQ_CST);
}

/* One more secure page in the block of page `index`; FLEX_E_STATE when the block is a region's or reserved. */
static inline int flex_block_enter(struct flex_monitor *m, uint32_t index)
{
	uint32_t *word = &m->blocks[index / FLEX_BLOCK_PAGES];
	uint32_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	do {
		if ((old >> FLEX_BLOCK_STATE_SHIFT) != FLEX_BLOCK_OPEN) {
			return FLEX_E_STATE;
		}
	} while (!flex_swap32(word, &old, old + 1U));

	return FLEX_OK;
}

static inline void flex_block_leave(struct flex_monitor *m, uint32_t index)
{
	(void)__atomic_sub_fetch(&m->blocks[index / FLEX_BLOCK_PAGES], 1U, __ATOMIC_SEQ_CST);
}

/* OPEN without secure pages => REGION, else FLEX_E_STATE. */
static inline int flex_block_secure(struct flex_monitor *m, uint32_t block)
{
	uint32_t old = FLEX_BLOCK_OPEN << FLEX_BLOCK_STATE_SHIFT;

	return flex_swap32(&m->blocks[block], &old, FLEX_BLOCK_REGION << FLEX_BLOCK_STATE_SHIFT) ? FLEX_OK : FLEX_E_STATE;
}

static inline void flex_block_open(struct flex_monitor *m, uint32_t block)
{
	__atomic_store_n(&m->blocks[block], FLEX_BLOCK_OPEN << FLEX_BLOCK_STATE_SHIFT, __ATOMIC_SEQ_CST);
}

#endif /* FLEX_WORDS_H */
