/* SPDX-License-Identifier: BSD-3-Clause */
/* Secure move: contents change pages, slots keep their number and get the next generation, the NW sees neither. */
#include "fake.h"

#define SECRET UINT64_C(0x5ec0000000) /* content of page 0 after fake_reset(), plus its number */

/* Pages [first, first + count) are claimed for slots from `slot`. */
static void held(unsigned int count, unsigned int first, unsigned int slot)
{
	donate(count, first);
	EXPECT_EQ(claim(count, first, slot).rc, FLEX_OK);
}

static int move_one(unsigned int old, unsigned int new)
{
	struct out o;

	mail_pair(0U, 0U, pa(old), pa(new));
	o = nw(FLEX_MON_MOVE, 0U, 0U, 1U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 1);
	EXPECT_EQ(o.x2, (fake.m.mailboxes[0].result[0] == FLEX_OK) ? 1 : 0);
	return fake.m.mailboxes[0].result[0];
}

static void a_page_moves_and_its_slot_with_it(void)
{
	unsigned int scrubs;

	held(1U, 3U, 7U);
	scrubs = fake.scrubs;
	EXPECT_EQ(move_one(3U, 900U), FLEX_OK);
	EXPECT_EQ(state_of(3U), FLEX_PAGE_NORMAL);
	EXPECT_EQ(fake.content[3], 0);
	EXPECT_EQ(fake.scrubs, scrubs + 1U);
	EXPECT_EQ(state_of(900U), FLEX_PAGE_CLAIMED);
	EXPECT_EQ(slot_of(900U), 7);
	EXPECT_EQ(fake.content[900], SECRET + 3U);
	EXPECT_EQ(flex_slot_page(fake.m.slots[7]), 900);
	EXPECT_EQ(flex_slot_generation(fake.m.slots[7]), 2);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_MOVED], 1);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], 1);
	EXPECT(!pin(7U, 3U, 1U)); /* a stale pin finds neither the page nor the generation */
	EXPECT(!pin(7U, 900U, 1U));
	EXPECT(pin(7U, 900U, 2U));
	unpin(7U);
}

static void as_normal(void) { }
static void as_donated(void) { donate(1U, 5U); }
static void as_pinned(void) { held(1U, 5U, 0U); EXPECT(pin(0U, 5U, 1U)); }
static void as_busy(void) { fake.m.pages[5] = FLEX_PAGE_BUSY << FLEX_PAGE_STATE_SHIFT; }
static void as_spoilt(void) { held(1U, 5U, 0U); fake.m.slots[0] = 0U; }

static void as_exhausted(void)
{
	fake.m.slots[0] = (uint64_t)(FLEX_SLOT_GENERATION_MASK - 1) << FLEX_SLOT_GENERATION_SHIFT;
	held(1U, 5U, 0U);
}

static const struct {
	void (*make)(void);
	int result;
} old_page[] = {
	{ as_normal, FLEX_E_STATE }, { as_donated, FLEX_E_STATE }, { as_pinned, FLEX_E_PINNED },
	{ as_busy, FLEX_E_BUSY },    { as_spoilt, FLEX_E_STATE },  { as_exhausted, FLEX_E_EXHAUSTED },
};

/* The new page keeps its bytes and is the NW's; the old one and its slot are as they were. */
static void an_old_page_that_cannot_go_stays_as_it_is(void)
{
	uint32_t entry;
	uint64_t slot;
	unsigned int i;

	for (i = 0U; i < (sizeof(old_page) / sizeof(old_page[0])); i++) {
		fake_reset();
		old_page[i].make();
		entry = fake.m.pages[5];
		slot = fake.m.slots[0];
		EXPECT_EQ(move_one(5U, 900U), old_page[i].result);
		EXPECT_EQ(fake.m.pages[5], entry);
		EXPECT_EQ(fake.m.slots[0], slot);
		EXPECT_EQ(fake.content[5], SECRET + 5U);
		EXPECT_EQ(state_of(900U), FLEX_PAGE_NORMAL);
		EXPECT(fake.mapped[900]);
		EXPECT_EQ(fake.content[900], SECRET + 900U);
		EXPECT_EQ(fake.m.stat[FLEX_STAT_MOVED], 0);
	}
	fake_reset();
}

static void a_new_page_must_be_the_normal_worlds(void)
{
	const uint64_t bad[] = { pa(10U), TABLES_BASE, SHARED_BASE, pa(2U * FLEX_BLOCK_PAGES) };
	unsigned int i;

	held(2U, 10U, 0U);
	EXPECT_EQ(secure(pa(2U * FLEX_BLOCK_PAGES), FLEX_BLOCK_SIZE).rc, FLEX_OK);
	for (i = 0U; i < 4U; i++) {
		mail_pair(0U, 0U, pa(11U), bad[i]);
		EXPECT_EQ(nw(FLEX_MON_MOVE, 0U, 0U, 1U).x2, 0);
		EXPECT_EQ(fake.m.mailboxes[0].result[0], FLEX_E_STATE);
		EXPECT_EQ(slot_of(11U), 1);
		EXPECT_EQ(flex_slot_generation(fake.m.slots[1]), 1);
		fake_check();
	}
	EXPECT_EQ(move_one(11U, 11U), FLEX_E_STATE); /* onto itself */
}

static void malformed_moves_change_nothing(void)
{
	static const uint64_t bad[][3] = {
		{ MAILBOXES, 0U, 1U }, { UINT64_MAX, 0U, 1U }, { 0U, 0U, 0U }, { 0U, 1U, 1U },
		{ 0U, 0U, FLEX_MOVE_ENTRIES + 1U }, { 0U, UINT64_MAX, 1U }, { 0U, 0U, UINT64_C(1) << 32 },
	};
	unsigned int i;

	held(2U, 0U, 0U);
	for (i = 0U; i < FLEX_MOVE_ENTRIES; i++) {
		mail_pair(0U, i, pa(0U), pa(900U + i));
	}
	for (i = 0U; i < (sizeof(bad) / sizeof(bad[0])); i++) {
		EXPECT_EQ(nw(FLEX_MON_MOVE, bad[i][0], bad[i][1], bad[i][2]).rc, FLEX_E_INVAL);
	}
	for (i = 0U; i < 2U; i++) {
		mail_pair(0U, FLEX_MOVE_PAGES - 1U, (i == 0U) ? 1U : pa(1U), (i == 0U) ? pa(7U) : (DRAM_BASE + DRAM_SIZE));
		EXPECT_EQ(nw(FLEX_MON_MOVE, 0U, 0U, FLEX_MOVE_PAGES).rc, FLEX_E_INVAL);
	}
	EXPECT_EQ(fake.m.mailboxes[0].result[0], 99);
	EXPECT_EQ(fake.invalidations, 1); /* the donation's */
	fake.on = false;
	EXPECT_EQ(nw(FLEX_MON_MOVE, 0U, 0U, 1U).rc, FLEX_E_STATE);
	fake.on = true;
	EXPECT_EQ(slot_of(0U), 0);
}

static void a_long_batch_comes_in_parts_with_one_invalidation_each(void)
{
	const unsigned int count = (2U * FLEX_MOVE_PAGES) + 3U;
	unsigned int i, calls = 0U, before;
	uint64_t first = 0U, moved = 0U;
	struct out o;

	held(count, 0U, 0U);
	EXPECT(pin(4U, 4U, 1U));
	before = fake.invalidations;
	for (i = 0U; i < count; i++) {
		mail_pair(1U, i, pa(i), pa(1000U + i));
	}
	do {
		o = nw(FLEX_MON_MOVE, 1U, first, count);
		EXPECT((o.rc == FLEX_OK) || (o.rc == FLEX_E_INTERRUPTED));
		EXPECT(o.x1 > first);
		first = o.x1;
		moved += o.x2;
		calls++;
		fake_check();
	} while (o.rc == FLEX_E_INTERRUPTED);
	EXPECT_EQ(first, count);
	EXPECT_EQ(moved, count - 1U);
	EXPECT_EQ(calls, 3);
	EXPECT_EQ(fake.invalidations - before, calls);
	for (i = 0U; i < count; i++) {
		EXPECT_EQ(fake.m.mailboxes[1].result[i], (i == 4U) ? FLEX_E_PINNED : FLEX_OK);
		EXPECT_EQ(fake.content[(i == 4U) ? i : (1000U + i)], SECRET + i);
	}
	unpin(4U);
}

static void pages_named_twice_move_once(void)
{
	held(2U, 0U, 0U);
	mail_pair(0U, 0U, pa(0U), pa(900U));
	mail_pair(0U, 1U, pa(1U), pa(900U)); /* the same new page */
	mail_pair(0U, 2U, pa(0U), pa(901U)); /* the same old page */
	EXPECT_EQ(nw(FLEX_MON_MOVE, 0U, 0U, 3U).x2, 1);
	EXPECT_EQ(fake.m.mailboxes[0].result[0], FLEX_OK);
	EXPECT_EQ(fake.m.mailboxes[0].result[1], FLEX_E_BUSY);
	EXPECT_EQ(fake.m.mailboxes[0].result[2], FLEX_E_STATE);
	EXPECT_EQ(fake.content[901], SECRET + 901U);
}

static void with_a_silent_smmu_nothing_moves(void)
{
	struct out o;

	held(2U, 0U, 0U);
	mail_pair(0U, 0U, pa(0U), pa(900U));
	mail_pair(0U, 1U, pa(1U), pa(901U));
	fake.smmu_silent = true;
	o = nw(FLEX_MON_MOVE, 0U, 0U, 2U);
	EXPECT_EQ(o.rc, FLEX_E_TIMEOUT);
	EXPECT_EQ(o.x1, 0);
	EXPECT_EQ(o.x2, 0);
	EXPECT_EQ(slot_of(0U), 0);
	EXPECT_EQ(fake.content[900], SECRET + 900U);
}

/* While the copy runs, the slot can be neither pinned nor dropped, and neither page recalled or given again. */
static void nothing_gets_between(uint64_t to, uint64_t from)
{
	fake.on_copy = NULL;
	EXPECT(!pin(7U, 3U, 1U));
	EXPECT_EQ(call_on(1U, FLEX_CALLER_PAYLOAD, FLEX_MON_DROP, 7U, 1U, 0U).rc, FLEX_E_BUSY);
	fake.m.mailboxes[1].page[0] = from;
	fake.m.mailboxes[1].page[1] = to;
	EXPECT_EQ(call_on(1U, FLEX_CALLER_NW, FLEX_MON_RECALL, 1U, 0U, 2U).x2, 0);
	EXPECT_EQ(fake.m.mailboxes[1].result[0], FLEX_E_BUSY);
	EXPECT_EQ(fake.m.mailboxes[1].result[1], FLEX_E_BUSY);
	EXPECT_EQ(call_on(1U, FLEX_CALLER_NW, FLEX_MON_DONATE, 1U, 1U, 2U).rc, FLEX_E_BUSY);
}

static void a_move_is_not_disturbed(void)
{
	held(1U, 3U, 7U);
	fake.on_copy = nothing_gets_between;
	EXPECT_EQ(move_one(3U, 900U), FLEX_OK);
	EXPECT(fake.on_copy == NULL);
}

/* The NW rewrites its mailbox as soon as the first page changes: each entry was copied before it was checked. */
static void change_the_list(uint64_t page)
{
	(void)page;
	fake.on_unmap = NULL;
	fake.m.mailboxes[0].page[1] = 1U;
	fake.m.mailboxes[0].page[FLEX_MOVE_ENTRIES + 2U] = UINT64_MAX;
}

static void a_list_that_changes_after_the_check_does_no_harm(void)
{
	unsigned int i;

	held(4U, 0U, 0U);
	for (i = 0U; i < 4U; i++) {
		mail_pair(0U, i, pa(i), pa(900U + i));
	}
	fake.on_unmap = change_the_list;
	EXPECT_EQ(nw(FLEX_MON_MOVE, 0U, 0U, 4U).x2, 4);
	for (i = 0U; i < 4U; i++) {
		EXPECT_EQ(fake.m.mailboxes[0].result[i], FLEX_OK);
		EXPECT_EQ(fake.content[900U + i], SECRET + i);
	}
}

int main(void)
{
	RUN(a_page_moves_and_its_slot_with_it);
	RUN(an_old_page_that_cannot_go_stays_as_it_is);
	RUN(a_new_page_must_be_the_normal_worlds);
	RUN(malformed_moves_change_nothing);
	RUN(a_long_batch_comes_in_parts_with_one_invalidation_each);
	RUN(pages_named_twice_move_once);
	RUN(with_a_silent_smmu_nothing_moves);
	RUN(a_move_is_not_disturbed);
	RUN(a_list_that_changes_after_the_check_does_no_harm);
	return 0;
}
