/* SPDX-License-Identifier: BSD-3-Clause */
/* Every transition of page.h, and every state from which each of them is refused. */
#include "fake.h"

static void a_page_goes_all_the_way_round(void)
{
	struct out o;

	donate(1U, 3U);
	EXPECT_EQ(state_of(3U), FLEX_PAGE_DONATED);
	EXPECT_EQ(fake.content[3], UINT64_C(0x5ec0000003)); /* donation keeps the bytes */
	EXPECT_EQ(fake.invalidations, 1);

	o = claim(1U, 3U, 7U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 1);
	EXPECT_EQ(state_of(3U), FLEX_PAGE_CLAIMED);
	EXPECT_EQ(slot_of(3U), 7);
	EXPECT_EQ(flex_slot_generation(fake.m.slots[7]), 1);

	o = payload(FLEX_MON_DROP, 7U, 1U, 0U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(state_of(3U), FLEX_PAGE_DONATED);
	EXPECT_EQ(flex_slot_state(fake.m.slots[7]), FLEX_SLOT_EMPTY);
	EXPECT_EQ(flex_slot_generation(fake.m.slots[7]), 1);

	o = claim(1U, 3U, 7U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(flex_slot_generation(fake.m.slots[7]), 2);

	o = nw(FLEX_MON_RECALL, 0U, 0U, 1U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 1);
	EXPECT_EQ(o.x2, 1);
	EXPECT_EQ(fake.m.mailboxes[0].result[0], FLEX_OK);
	EXPECT_EQ(state_of(3U), FLEX_PAGE_NORMAL);
	EXPECT_EQ(fake.content[3], 0);
	EXPECT_EQ(flex_slot_state(fake.m.slots[7]), FLEX_SLOT_EMPTY);
	EXPECT_EQ(fake.invalidations, 1); /* giving back needs none */
}

static void a_donated_page_is_recalled(void)
{
	struct out o;

	donate(2U, 10U);
	o = nw(FLEX_MON_RECALL, 0U, 0U, 2U);
	EXPECT_EQ(o.x2, 2);
	EXPECT_EQ(fake.content[10], 0);
	EXPECT_EQ(fake.content[11], 0);
}

/* Entries that a verb must refuse; `make` brings page 5 there. */
static void donate_again(void) { donate(1U, 5U); }
static void donate_and_claim(void) { donate(1U, 5U); EXPECT_EQ(claim(1U, 5U, 0U).rc, FLEX_OK); }
static void busy(void) { fake.m.pages[5] = FLEX_PAGE_BUSY << FLEX_PAGE_STATE_SHIFT; }
static void nothing(void) { }

static const struct {
	void (*make)(void);
	int donate, claim, recall;
} from[] = {
	/* NORMAL */ { nothing, FLEX_OK, FLEX_E_STATE, FLEX_E_STATE },
	/* BUSY */ { busy, FLEX_E_BUSY, FLEX_E_BUSY, FLEX_E_BUSY },
	/* DONATED */ { donate_again, FLEX_E_STATE, FLEX_OK, FLEX_OK },
	/* CLAIMED */ { donate_and_claim, FLEX_E_STATE, FLEX_E_STATE, FLEX_OK },
};

static void every_state_refuses_the_verbs_that_are_not_its_own(void)
{
	unsigned int i;

	for (i = 0U; i < (sizeof(from) / sizeof(from[0])); i++) {
		fake_reset();
		from[i].make();
		mail(0U, 1U, 5U, 1U);
		EXPECT_EQ(nw(FLEX_MON_DONATE, 0U, 0U, 1U).rc, from[i].donate);

		fake_reset();
		from[i].make();
		EXPECT_EQ(claim(1U, 5U, 9U).rc, from[i].claim);

		fake_reset();
		from[i].make();
		mail(0U, 1U, 5U, 1U);
		EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, 0U, 1U).rc, FLEX_OK);
		EXPECT_EQ(fake.m.mailboxes[0].result[0], from[i].recall);
	}
	fake_reset();
}

static void hidden_and_shared_pages_never_become_secure(void)
{
	const uint64_t page[] = { TABLES_BASE, TABLES_BASE + TABLES_SIZE - FLEX_PAGE_SIZE, SHARED_BASE,
				  SHARED_BASE + SHARED_SIZE - FLEX_PAGE_SIZE };
	unsigned int i;

	for (i = 0U; i < 4U; i++) {
		fake.m.mailboxes[1].page[0] = page[i];
		EXPECT_EQ(nw(FLEX_MON_DONATE, 1U, 0U, 1U).rc, FLEX_E_STATE);
		EXPECT_EQ(nw(FLEX_MON_RECALL, 1U, 0U, 1U).x2, 0);
		EXPECT_EQ(fake.m.mailboxes[1].result[0], FLEX_E_STATE);
		((uint64_t *)fake.payload)[0] = page[i];
		EXPECT_EQ(payload(FLEX_MON_CLAIM, PAYLOAD_BASE, 1U, 0U).rc, FLEX_E_STATE);
	}
}

static void a_slot_is_claimed_once(void)
{
	donate(2U, 0U);
	EXPECT_EQ(claim(1U, 0U, 4U).rc, FLEX_OK);
	EXPECT_EQ(claim(1U, 1U, 4U).rc, FLEX_E_STATE);
	EXPECT_EQ(state_of(1U), FLEX_PAGE_DONATED);
	fake.m.slots[4] |= UINT64_C(1) << 63; /* as while a recall has it: BUSY */
	fake.m.slots[4] &= ~(UINT64_C(1) << 62);
	EXPECT_EQ(claim(1U, 1U, 4U).rc, FLEX_E_BUSY);
	fake.m.slots[4] ^= UINT64_C(3) << 62;
}

static void a_pinned_page_is_neither_recalled_nor_dropped(void)
{
	struct out o;

	donate(3U, 20U);
	EXPECT_EQ(claim(3U, 20U, 0U).rc, FLEX_OK);
	EXPECT(pin(1U, 21U, 1U));
	EXPECT(pin(1U, 21U, 1U));
	o = nw(FLEX_MON_RECALL, 0U, 0U, 3U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 3);
	EXPECT_EQ(o.x2, 2);
	EXPECT_EQ(fake.m.mailboxes[0].result[0], FLEX_OK);
	EXPECT_EQ(fake.m.mailboxes[0].result[1], FLEX_E_PINNED);
	EXPECT_EQ(fake.m.mailboxes[0].result[2], FLEX_OK);
	EXPECT_EQ(fake.content[21], UINT64_C(0x5ec0000015));
	EXPECT_EQ(payload(FLEX_MON_DROP, 1U, 1U, 0U).rc, FLEX_E_PINNED);
	unpin(1U);
	EXPECT_EQ(payload(FLEX_MON_DROP, 1U, 1U, 0U).rc, FLEX_E_PINNED);
	unpin(1U);
	EXPECT_EQ(payload(FLEX_MON_DROP, 1U, 1U, 0U).rc, FLEX_OK);
}

static void a_stale_pin_finds_another_generation(void)
{
	donate(1U, 8U);
	EXPECT_EQ(claim(1U, 8U, 2U).rc, FLEX_OK);
	EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, 0U, 1U).x2, 1);
	EXPECT(!pin(2U, 8U, 1U));
	donate(1U, 8U);
	EXPECT_EQ(claim(1U, 8U, 2U).rc, FLEX_OK);
	EXPECT(!pin(2U, 8U, 1U));
	EXPECT(pin(2U, 8U, 2U));
	unpin(2U);
}

static void generations_run_out_and_do_not_wrap(void)
{
	donate(1U, 0U);
	fake.m.slots[5] = (uint64_t)(FLEX_SLOT_GENERATION_MASK - 1) << FLEX_SLOT_GENERATION_SHIFT;
	EXPECT_EQ(claim(1U, 0U, 5U).rc, FLEX_OK);
	EXPECT_EQ(flex_slot_generation(fake.m.slots[5]), FLEX_SLOT_GENERATION_MASK);
	EXPECT_EQ(payload(FLEX_MON_DROP, 5U, 1U, 0U).rc, FLEX_OK);
	EXPECT_EQ(claim(1U, 0U, 5U).rc, FLEX_E_EXHAUSTED);
	EXPECT_EQ(state_of(0U), FLEX_PAGE_DONATED);
	EXPECT_EQ(claim(1U, 0U, 6U).rc, FLEX_OK);
}

static void a_page_is_recalled_although_the_payload_spoilt_its_slot(void)
{
	donate(1U, 30U);
	EXPECT_EQ(claim(1U, 30U, 3U).rc, FLEX_OK);
	fake.m.slots[3] = 0U;
	EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, 0U, 1U).x2, 1);
	EXPECT_EQ(fake.content[30], 0);
	EXPECT_EQ(fake.m.slots[3], 0);

	/* a drop of a slot that names no page of DRAM, or one that does not name it back */
	fake.m.slots[3] = (UINT64_C(1) << 62) | 0xfffffffU;
	EXPECT_EQ(payload(FLEX_MON_DROP, 3U, 1U, 0U).rc, FLEX_E_BUSY);
	fake.m.slots[3] = (UINT64_C(1) << 62) | 31U;
	EXPECT_EQ(payload(FLEX_MON_DROP, 3U, 1U, 0U).rc, FLEX_E_BUSY);
	fake.m.slots[3] = 0U;
}

int main(void)
{
	RUN(a_page_goes_all_the_way_round);
	RUN(a_donated_page_is_recalled);
	RUN(every_state_refuses_the_verbs_that_are_not_its_own);
	RUN(hidden_and_shared_pages_never_become_secure);
	RUN(a_slot_is_claimed_once);
	RUN(a_pinned_page_is_neither_recalled_nor_dropped);
	RUN(a_stale_pin_finds_another_generation);
	RUN(generations_run_out_and_do_not_wrap);
	RUN(a_page_is_recalled_although_the_payload_spoilt_its_slot);
	return 0;
}
