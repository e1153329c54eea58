/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches: arguments, how far they come, interruption, duplicates, lists that change under the monitor's eyes. */
#include <string.h>

#include "fake.h"

static const uint64_t bad_address[] = {
	0U, 1U, DRAM_BASE - FLEX_PAGE_SIZE, DRAM_BASE + 1U, DRAM_BASE + 8U, DRAM_BASE + DRAM_SIZE,
	DRAM_BASE + DRAM_SIZE + FLEX_PAGE_SIZE, PAYLOAD_BASE, UINT64_C(0xfffffffffffff000), UINT64_MAX,
	DRAM_BASE | (UINT64_C(1) << 63), DRAM_BASE + (UINT64_C(1) << 40),
};
#define BAD (sizeof(bad_address) / sizeof(bad_address[0]))

static const struct {
	uint64_t box, first, count;
} bad_batch[] = {
	{ MAILBOXES, 0U, 1U }, { UINT64_MAX, 0U, 1U }, { UINT64_C(1) << 32, 0U, 1U }, { 0U, 0U, 0U }, { 0U, 1U, 1U },
	{ 0U, 2U, 1U }, { 0U, 0U, 513U }, { 0U, 512U, 512U }, { 0U, UINT64_MAX, 1U }, { 0U, 0U, UINT64_MAX },
	{ 0U, UINT64_C(1) << 32, 1U }, { 0U, 0U, (UINT64_C(1) << 32) + 1U },
};
#define BAD_BATCHES (sizeof(bad_batch) / sizeof(bad_batch[0]))

static void nothing_has_happened(void)
{
	fake_check();
	EXPECT_EQ(fake.invalidations, 0);
	EXPECT_EQ(fake.scrubs, 0);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], 0);
	EXPECT_EQ(fake.m.mailboxes[0].result[0], 99);
}

static void malformed_batches_change_nothing(void)
{
	unsigned int i;

	mail(0U, 512U, 0U, 1U);
	mail(1U, 512U, 0U, 1U);
	for (i = 0U; i < BAD_BATCHES; i++) {
		EXPECT_EQ(nw(FLEX_MON_DONATE, bad_batch[i].box, bad_batch[i].first, bad_batch[i].count).rc, FLEX_E_INVAL);
		EXPECT_EQ(nw(FLEX_MON_RECALL, bad_batch[i].box, bad_batch[i].first, bad_batch[i].count).rc, FLEX_E_INVAL);
		nothing_has_happened();
	}
}

/* A recall looks at no more than it treats in one call. */
static void one_bad_address_anywhere_refuses_the_whole_call(void)
{
	const unsigned int where[] = { 0U, 7U, 8U, 100U, 511U };
	unsigned int i, w;

	for (w = 0U; w < 5U; w++) {
		for (i = 0U; i < BAD; i++) {
			mail(0U, 512U, 0U, 1U);
			fake.m.mailboxes[0].page[where[w]] = bad_address[i];
			EXPECT_EQ(nw(FLEX_MON_DONATE, 0U, 0U, 512U).rc, FLEX_E_INVAL);
			EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, where[w] - (where[w] % FLEX_SCRUB_PAGES), 512U).rc, FLEX_E_INVAL);
			nothing_has_happened();
		}
	}
}

static void entries_before_first_are_not_looked_at(void)
{
	struct out o;

	mail(0U, 4U, 0U, 1U);
	fake.m.mailboxes[0].page[0] = 1U;
	o = nw(FLEX_MON_DONATE, 0U, 1U, 3U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 3);
	EXPECT_EQ(state_of(1U), FLEX_PAGE_DONATED);
	EXPECT_EQ(state_of(2U), FLEX_PAGE_DONATED);
	EXPECT_EQ(state_of(3U), FLEX_PAGE_NORMAL);
}

/* How many entries a call does when an interrupt waits at the poll after `polls` others (-1: none waits). */
static unsigned int part(uint32_t fid, int polls)
{
	unsigned int pages = (polls < 0) ? FLEX_MAILBOX_ENTRIES : (CHUNK * (unsigned int)(polls + 1));

	return ((fid == FLEX_MON_RECALL) && (pages > FLEX_SCRUB_PAGES)) ? FLEX_SCRUB_PAGES : pages;
}

/* To the end, interrupted in each call. */
static void run_interrupted(uint32_t fid, int polls, unsigned int count)
{
	uint64_t first = 0U, done = 0U;
	unsigned int calls = 0U;
	struct out o;

	do {
		fake.polls_until_interrupt = polls;
		o = nw(fid, 0U, first, count);
		EXPECT(o.x1 > first); /* progress in every call */
		if (o.rc == FLEX_E_INTERRUPTED) {
			EXPECT_EQ(o.x1, first + part(fid, polls));
		}
		first = o.x1;
		done += o.x2;
		calls++;
		fake_check(); /* each part is secure, and invalidated, by itself */
	} while (o.rc == FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(first, count);
	EXPECT_EQ(calls, (count + part(fid, polls) - 1U) / part(fid, polls));
	EXPECT((fid != FLEX_MON_RECALL) || (done == count));
}

static void a_full_batch_takes_one_invalidation(void)
{
	donate(512U, 0U);
	EXPECT_EQ(fake.invalidations, 1);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_DONATED], 512);
	run_interrupted(FLEX_MON_RECALL, -1, 512U);
	EXPECT_EQ(fake.invalidations, 1);
	EXPECT_EQ(fake.scrubs, 512);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_RECALLED], 512);
}

static void a_foreign_page_ends_a_donation_there(void)
{
	struct out o;

	donate(1U, 20U);
	mail(0U, 30U, 0U, 1U);
	o = nw(FLEX_MON_DONATE, 0U, 0U, 30U);
	EXPECT_EQ(o.rc, FLEX_E_STATE);
	EXPECT_EQ(o.x1, 20);
	EXPECT_EQ(state_of(19U), FLEX_PAGE_DONATED);
	EXPECT_EQ(state_of(21U), FLEX_PAGE_NORMAL);
	fake_check();
	o = nw(FLEX_MON_DONATE, 0U, 21U, 30U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 30);
}

static void a_page_named_twice_is_donated_once(void)
{
	struct out o;

	mail(0U, 10U, 0U, 1U);
	fake.m.mailboxes[0].page[9] = pa(2U);
	o = nw(FLEX_MON_DONATE, 0U, 0U, 10U);
	EXPECT_EQ(o.rc, FLEX_E_STATE);
	EXPECT_EQ(o.x1, 9);
	fake_check();

	mail(0U, 3U, 2U, 0U);
	o = nw(FLEX_MON_RECALL, 0U, 0U, 3U);
	EXPECT_EQ(o.x2, 1);
	EXPECT_EQ(fake.m.mailboxes[0].result[0], FLEX_OK);
	EXPECT_EQ(fake.m.mailboxes[0].result[1], FLEX_E_STATE);

	donate(2U, 40U);
	list(2U, 40U);
	((uint64_t *)fake.payload)[1] = pa(40U);
	o = payload(FLEX_MON_CLAIM, PAYLOAD_BASE, 2U, 0U);
	EXPECT_EQ(o.rc, FLEX_E_STATE);
	EXPECT_EQ(o.x1, 1);
}

static void interrupted_batches_resume(void)
{
	const unsigned int count[] = { 1U, 7U, 8U, 9U, 64U, 511U, 512U };
	unsigned int i;
	int polls;

	for (i = 0U; i < 7U; i++) {
		for (polls = -1; polls < 20; polls++) {
			mail(0U, count[i], 3U, 1U);
			run_interrupted(FLEX_MON_DONATE, polls, count[i]);
			EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], count[i]);
			run_interrupted(FLEX_MON_RECALL, polls, count[i]);
			EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], 0);
		}
	}
}

static void change_the_mailbox(uint64_t page)
{
	(void)page;
	memset((void *)fake.m.mailboxes[0].page, 0xff, sizeof(fake.m.mailboxes[0].page));
}

/* The NW rewrites its mailbox as soon as the first page changes: each entry was copied before it was checked. */
static void a_list_that_changes_after_the_check_does_no_harm(void)
{
	struct out o;

	mail(0U, 20U, 50U, 1U);
	fake.on_unmap = change_the_mailbox;
	o = nw(FLEX_MON_DONATE, 0U, 0U, 20U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 20);
	EXPECT_EQ(state_of(69U), FLEX_PAGE_DONATED);
	fake_check();

	mail(0U, 20U, 50U, 1U);
	fake.on_scrub = change_the_mailbox;
	o = nw(FLEX_MON_RECALL, 0U, 0U, 20U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x2, 20);
	EXPECT_EQ(fake.m.mailboxes[0].result[19], FLEX_OK);
	EXPECT_EQ(state_of(69U), FLEX_PAGE_NORMAL);
	fake.on_unmap = NULL;
	fake.on_scrub = NULL;
}

static void a_backend_may_bound_donations(void)
{
	struct flex_ops few = *fake.m.ops;
	struct out o;

	few.donate_pages = 3U;
	fake.m.ops = &few;
	mail(0U, 7U, 20U, 1U);
	o = nw(FLEX_MON_DONATE, 0U, 0U, 7U);
	EXPECT_EQ(o.rc, FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.x1, 3);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], 3);
	o = nw(FLEX_MON_DONATE, 0U, 3U, 7U);
	EXPECT_EQ(o.x1, 6);
	o = nw(FLEX_MON_DONATE, 0U, 6U, 7U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, 7);
}

static void donation_is_refused_while_protection_is_off(void)
{
	struct out o;

	fake.on = false;
	mail(0U, 5U, 0U, 1U);
	o = nw(FLEX_MON_DONATE, 0U, 2U, 5U);
	EXPECT_EQ(o.rc, FLEX_E_STATE);
	EXPECT_EQ(o.x1, 2);
	EXPECT_EQ(nw(FLEX_MON_RECALL, 0U, 0U, 5U).x2, 0);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], 0);
}

static void a_silent_smmu_secures_nothing(void)
{
	struct out o;

	donate(CHUNK, 0U);
	fake.smmu_silent = true;
	mail(0U, 40U, 100U, 1U);
	o = nw(FLEX_MON_DONATE, 0U, 5U, 40U);
	EXPECT_EQ(o.rc, FLEX_E_TIMEOUT);
	EXPECT_EQ(o.x1, 5);
	EXPECT_EQ(state_of(105U), FLEX_PAGE_NORMAL);
	EXPECT_EQ(fake.content[105], UINT64_C(0x5ec0000000) + 105);
	fake.smmu_silent = false;
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], CHUNK);
}

static void claims_check_their_list_and_slots(void)
{
	static const struct {
		uint64_t list, count, slot;
	} bad[] = {
		{ PAYLOAD_BASE, 0U, 0U }, { PAYLOAD_BASE, 513U, 0U }, { PAYLOAD_BASE, UINT64_MAX, 0U },
		{ PAYLOAD_BASE, 1U, SLOTS }, { PAYLOAD_BASE, 2U, SLOTS - 1U }, { PAYLOAD_BASE, 1U, UINT64_MAX },
		{ PAYLOAD_BASE, 1U, UINT64_C(1) << 32 }, { PAYLOAD_BASE + 4U, 1U, 0U },
		{ PAYLOAD_BASE - 8U, 1U, 0U }, { PAYLOAD_BASE + PAYLOAD_SIZE, 1U, 0U },
		{ PAYLOAD_BASE + PAYLOAD_SIZE - 8U, 2U, 0U }, { 0U, 1U, 0U }, { UINT64_C(0xfffffffffffffff8), 1U, 0U },
		{ DRAM_BASE, 1U, 0U }, { SHARED_BASE, 1U, 0U },
	};
	unsigned int i;

	donate(16U, 0U);
	list(16U, 0U);
	for (i = 0U; i < (sizeof(bad) / sizeof(bad[0])); i++) {
		EXPECT_EQ(payload(FLEX_MON_CLAIM, bad[i].list, bad[i].count, bad[i].slot).rc, FLEX_E_INVAL);
	}
	for (i = 0U; i < BAD; i++) {
		list(16U, 0U);
		((uint64_t *)fake.payload)[15] = bad_address[i];
		EXPECT_EQ(payload(FLEX_MON_CLAIM, PAYLOAD_BASE, 16U, 0U).rc, FLEX_E_INVAL);
	}
	for (i = 0U; i < 16U; i++) {
		EXPECT_EQ(state_of(i), FLEX_PAGE_DONATED);
	}
	*(uint64_t *)&fake.payload[PAYLOAD_SIZE - 8U] = pa(15U);
	EXPECT_EQ(payload(FLEX_MON_CLAIM, PAYLOAD_BASE + PAYLOAD_SIZE - 8U, 1U, SLOTS - 1U).rc, FLEX_OK);
}

static void a_claim_says_how_far_it_came(void)
{
	struct out o;

	donate(5U, 0U);
	o = claim(8U, 0U, 100U);
	EXPECT_EQ(o.rc, FLEX_E_STATE);
	EXPECT_EQ(o.x1, 5);
	EXPECT_EQ(slot_of(4U), 104);
}

static void a_long_claim_comes_in_parts(void)
{
	struct out o;

	donate(300U, 0U);
	o = claim(300U, 0U, 100U);
	EXPECT_EQ(o.rc, FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.x1, FLEX_CLAIM_SLOTS);
	EXPECT_EQ(claim(300U - FLEX_CLAIM_SLOTS, FLEX_CLAIM_SLOTS, 100U + FLEX_CLAIM_SLOTS).rc, FLEX_OK);
	EXPECT_EQ(slot_of(299U), 399);
}

static void drops_pass_over_empty_slots_and_resume(void)
{
	struct out o;

	EXPECT_EQ(payload(FLEX_MON_DROP, 0U, 0U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_DROP, SLOTS, 1U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_DROP, 1U, SLOTS, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_DROP, UINT64_MAX, 2U, 0U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_DROP, 1U, UINT64_MAX, 0U).rc, FLEX_E_INVAL);

	donate(300U, 0U);
	EXPECT_EQ(claim(FLEX_CLAIM_SLOTS, 0U, 100U).rc, FLEX_OK);
	EXPECT(pin(200U, 100U, 1U));
	o = payload(FLEX_MON_DROP, 0U, SLOTS, 0U);
	EXPECT_EQ(o.rc, FLEX_E_PINNED);
	EXPECT_EQ(o.x1, 200);
	unpin(200U);
	fake.polls_until_interrupt = 0;
	o = payload(FLEX_MON_DROP, 0U, SLOTS, 0U);
	EXPECT_EQ(o.rc, FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.x1, CHUNK);
	fake.polls_until_interrupt = -1;
	o = payload(FLEX_MON_DROP, CHUNK, SLOTS - CHUNK, 0U);
	EXPECT_EQ(o.rc, FLEX_E_INTERRUPTED); /* enough for one call */
	EXPECT_EQ(o.x1, FLEX_DROP_SLOTS);
	o = payload(FLEX_MON_DROP, 100U, FLEX_DROP_SLOTS, 0U);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(o.x1, FLEX_DROP_SLOTS);
	EXPECT_EQ(state_of(299U), FLEX_PAGE_DONATED);
}

int main(void)
{
	RUN(malformed_batches_change_nothing);
	RUN(one_bad_address_anywhere_refuses_the_whole_call);
	RUN(entries_before_first_are_not_looked_at);
	RUN(a_full_batch_takes_one_invalidation);
	RUN(a_foreign_page_ends_a_donation_there);
	RUN(a_page_named_twice_is_donated_once);
	RUN(interrupted_batches_resume);
	RUN(a_list_that_changes_after_the_check_does_no_harm);
	RUN(a_backend_may_bound_donations);
	RUN(donation_is_refused_while_protection_is_off);
	RUN(a_silent_smmu_secures_nothing);
	RUN(claims_check_their_list_and_slots);
	RUN(a_claim_says_how_far_it_came);
	RUN(a_long_claim_comes_in_parts);
	RUN(drops_pass_over_empty_slots_and_resume);
	return 0;
}
