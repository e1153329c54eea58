/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins and mappings. A slot word is shared with the monitor and changed by compare-and-swap alone (page.h): as long as
 * its pin count is above zero the monitor does not take its page. What the window maps is looked at on each pin: a stale
 * translation may outlive a recall, but nobody reads through it without a pin, and a pin does not return before the
 * translation is that of the page the slot holds now.
 */
#include "rt_arch.h"
#include "serving.h"

#define MAP_BATCH 64 /* slots mapped under one hold of the lock */
#define PIN_ONE (1UL << FLEX_SLOT_PINS_SHIFT)

static struct rt_lock window;
static uint64_t pinned;
static uint32_t mapped_generation[FLEX_BOARD_SLOTS]; /* under `window` when written */

static unsigned int slot_state(uint64_t word)
{
	return (unsigned int)(word >> FLEX_SLOT_STATE_SHIFT);
}

static uint64_t slot_pins(uint64_t word)
{
	return word >> FLEX_SLOT_PINS_SHIFT & FLEX_SLOT_PINS_MAX;
}

static uint32_t slot_generation(uint64_t word)
{
	return (uint32_t)(word >> FLEX_SLOT_GENERATION_SHIFT) & FLEX_SLOT_GENERATION_MASK;
}

static uint64_t slot_page(uint64_t word)
{
	return FLEX_BOARD_DRAM_BASE + ((word & FLEX_SLOT_PAGE_MASK) << FLEX_PAGE_SHIFT);
}

static uint64_t load_slot(uint64_t slot)
{
	return __atomic_load_n(&rt_slot_words()[slot], __ATOMIC_ACQUIRE);
}

uint64_t srv_pinned_pages(void)
{
	return __atomic_load_n(&pinned, __ATOMIC_RELAXED);
}

/* Counts pages that are to become pinned: all of them or none. */
static bool quota_take(uint64_t pages)
{
	if (__atomic_add_fetch(&pinned, pages, __ATOMIC_RELAXED) <= FLEX_BOARD_PIN_QUOTA)
		return true;
	__atomic_fetch_sub(&pinned, pages, __ATOMIC_RELAXED);
	return false;
}

static void quota_give(uint64_t pages)
{
	if (pages)
		__atomic_fetch_sub(&pinned, pages, __ATOMIC_RELAXED);
}

/* A page that becomes pinned is paid for: from what was taken beforehand, or on the spot. */
static bool pay(uint64_t *taken)
{
	if (*taken == 0 && !quota_take(1))
		return false;
	*taken -= *taken != 0;
	return true;
}

/* HELD, pins => pins + 1; the word from then on. FLEX_E_STATE: no page there, or it is being taken. */
static int64_t pin_slot(uint64_t *slot, uint64_t *taken, uint64_t *pinned_word)
{
	uint64_t word = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

	for (;;) {
		bool first = slot_pins(word) == 0;

		if (slot_state(word) != FLEX_SLOT_HELD)
			return FLEX_E_STATE;
		if (slot_pins(word) == FLEX_SLOT_PINS_MAX || (first && !pay(taken)))
			return FLEX_E_QUOTA;
		*pinned_word = word + PIN_ONE;
		if (__atomic_compare_exchange_n(slot, &word, *pinned_word, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return FLEX_OK;
		*taken += first;
	}
}

void srv_unpin(uint64_t first, uint64_t count)
{
	uint64_t *slots = rt_slot_words();
	uint64_t freed = 0;

	for (uint64_t slot = first; slot < first + count; slot++) {
		uint64_t pins = slot_pins(__atomic_fetch_sub(&slots[slot], PIN_ONE, __ATOMIC_ACQ_REL));

		if (pins == 0)
			rt_panic("unpinned slot unpinned");
		freed += pins == 1;
	}
	quota_give(freed);
}

/* Is the slot, which is pinned, mapped as it is now? The generation is written before the entry, and read after it. */
static bool mapping_right(const uint64_t *window_entries, uint64_t slot, uint64_t word)
{
	uint64_t entry = __atomic_load_n(&window_entries[slot], __ATOMIC_ACQUIRE);

	return (entry & RT_WINDOW_PAGE) == slot_page(word) &&
	       __atomic_load_n(&mapped_generation[slot], __ATOMIC_RELAXED) == slot_generation(word);
}

/* Break before make, for all of a batch at once. All slots are pinned, so what they hold stays. */
static void map_batch(uint64_t first, uint64_t count)
{
	const uint64_t *entries = rt_window_entries();
	uint64_t mask = rt_lock(&window);
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (mapping_right(entries, first + i, load_slot(first + i)))
			continue;
		wrong |= 1UL << i;
		if (entries[first + i]) {
			rt_window_set(first + i, 0);
			rt_window_invalidate(first + i);
		}
	}
	rt_window_sync();
	for (uint64_t i = 0; i < count; i++) {
		if (!(wrong >> i & 1))
			continue;
		__atomic_store_n(&mapped_generation[first + i], slot_generation(load_slot(first + i)),
				 __ATOMIC_RELAXED);
		rt_window_set(first + i, slot_page(load_slot(first + i)));
	}
	rt_window_sync();
	rt_unlock(&window, mask);
}

/* Maps what is not mapped right, from the first such slot on. */
static void map_slots(uint64_t first, uint64_t count)
{
	for (uint64_t done = 0; done < count; done += MAP_BATCH)
		map_batch(first + done, count - done < MAP_BATCH ? count - done : MAP_BATCH);
}

int64_t srv_pin(uint64_t first, uint64_t count, uint64_t *hole)
{
	const uint64_t *entries = rt_window_entries();
	uint64_t *slots = rt_slot_words();
	uint64_t taken = quota_take(count) ? count : 0;
	uint64_t right = 0, i, word;
	int64_t error = FLEX_OK;

	for (i = 0; i < count; i++) {
		error = pin_slot(&slots[first + i], &taken, &word);
		if (error)
			break;
		right += right == i && mapping_right(entries, first + i, word);
	}
	quota_give(taken);
	if (error) {
		srv_unpin(first, i);
		*hole = first + i;
		return error;
	}
	map_slots(first + right, count - right);
	/* What was right already may have been made so by another core, just now. */
	rt_window_sync();
	return FLEX_OK;
}

/* Length of the run of slots without a page that begins at `first`, at least 1. */
static uint64_t hole_run(uint64_t first, uint64_t end)
{
	uint64_t n = 1;

	while (n < SRV_NEED_PAGES && first + n < end && slot_state(load_slot(first + n)) != FLEX_SLOT_HELD)
		n++;
	return n;
}

int64_t srv_answer(int64_t answer)
{
	if (answer == FLEX_OK)
		return FLEX_OK;
	return answer < 0 && answer >= FLEX_E_TIMEOUT ? answer : FLEX_E_INVAL;
}

int64_t srv_ask(uint64_t first, uint64_t count, uint64_t *waited)
{
	uint64_t start = rt_ticks();
	int64_t error = srv_answer(rt_yield(FLEX_YIELD_NEED, first, count, 0));

	*waited += rt_ticks() - start;
	return error;
}

int64_t srv_pin_wait(uint64_t first, uint64_t count, uint64_t end, uint64_t *waited)
{
	for (;;) {
		uint64_t hole;
		int64_t error = srv_pin(first, count, &hole);

		if (error == FLEX_E_STATE)
			error = srv_ask(hole, hole_run(hole, end), waited);
		else
			return error;
		if (error)
			return error;
	}
}

static void wipe(const struct srv_range *slots)
{
	uint64_t hole;

	for (uint64_t slot = slots->first; slot < slots->first + slots->count; slot++) {
		if (srv_pin(slot, 1, &hole) != FLEX_OK)
			continue;
		memset(rt_slot_address(slot), 0, FLEX_PAGE_SIZE);
		srv_unpin(slot, 1);
	}
}

void srv_drop(const struct srv_range *slots, bool wiped)
{
	uint64_t done = 0;

	if (wiped)
		wipe(slots);
	while (done < slots->count) {
		struct rt_smc ret = rt_smc(FLEX_MON_DROP, slots->first + done, slots->count - done, 0);

		if (ret.status == FLEX_OK)
			return;
		if (ret.x1 <= slots->count - done)
			done += ret.x1;
		/* A slot in a recall's hands is empty in a moment; anything else cannot be, so it is left to the recall. */
		if (ret.status == FLEX_E_BUSY)
			rt_yield(FLEX_YIELD_IDLE, 0, 0, 0);
		else if (ret.status != FLEX_E_INTERRUPTED)
			done++;
	}
}
