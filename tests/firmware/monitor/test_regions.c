/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions: whole blocks, secured and released as one. */
#include "fake.h"

#define B FLEX_BLOCK_SIZE
#define AT(block) (DRAM_BASE + ((block) * B))

static void a_region_is_secured_and_released(void)
{
	struct out o = secure(AT(1U), 2U * B);
	unsigned int i;

	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(fake.invalidations, 1);
	EXPECT_EQ(fake.m.stat[FLEX_STAT_SECURE_PAGES], 2U * FLEX_BLOCK_PAGES);
	fake_check();
	EXPECT(!fake.mapped[FLEX_BLOCK_PAGES]);
	EXPECT(fake.mapped[FLEX_BLOCK_PAGES - 1U]);

	o = release(AT(1U), 2U * B);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(fake.invalidations, 1);
	for (i = FLEX_BLOCK_PAGES; i < (3U * FLEX_BLOCK_PAGES); i++) {
		EXPECT_EQ(fake.content[i], 0);
	}
	EXPECT(fake.content[FLEX_BLOCK_PAGES - 1U] != 0U);
	EXPECT(fake.content[3U * FLEX_BLOCK_PAGES] != 0U);
}

static void malformed_regions_change_nothing(void)
{
	static const struct {
		uint64_t base, size;
	} bad[] = {
		{ AT(0U), 0U }, { AT(0U) + FLEX_PAGE_SIZE, B }, { AT(0U), B + FLEX_PAGE_SIZE }, { AT(0U), DRAM_SIZE + B },
		{ AT(0U) - B, B }, { DRAM_BASE + DRAM_SIZE, B }, { AT(7U), 2U * B }, { 0U, B }, { UINT64_MAX - B + 1U, B },
		{ AT(1U), UINT64_MAX - B + 1U }, { AT(1U), UINT64_C(1) << 63 },
	};
	const uint32_t fid[] = { FLEX_MON_REGION_SECURE, FLEX_MON_REGION_RELEASE };
	unsigned int i, f;

	for (i = 0U; i < (sizeof(bad) / sizeof(bad[0])); i++) {
		for (f = 0U; f < 2U; f++) {
			EXPECT_EQ(nw(fid[f], bad[i].base, bad[i].size, 0U).rc, FLEX_E_INVAL);
		}
		EXPECT_EQ(payload(FLEX_MON_REGION_USE, bad[i].base, bad[i].size, 1U).rc, FLEX_E_INVAL);
		fake_check();
	}
	EXPECT_EQ(fake.invalidations, 0);
}

static void a_region_needs_normal_pages(void)
{
	donate(1U, (3U * FLEX_BLOCK_PAGES) + 17U);
	EXPECT_EQ(secure(AT(2U), 2U * B).rc, FLEX_E_STATE);
	EXPECT_EQ(secure(AT(5U), 2U * B).rc, FLEX_E_STATE); /* shared */
	EXPECT_EQ(secure(AT(7U), B).rc, FLEX_E_STATE);	   /* tables */
	EXPECT_EQ(secure(AT(0U), DRAM_SIZE).rc, FLEX_E_STATE);
	fake_check();
	fake.on = false;
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_E_STATE);
	fake.on = true;
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_OK);
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_E_STATE);
	EXPECT_EQ(secure(AT(0U), 2U * B).rc, FLEX_E_STATE);
}

static void pages_of_a_region_are_nobody_elses(void)
{
	struct out o;

	EXPECT_EQ(secure(AT(1U), B).rc, FLEX_OK);
	mail(0U, 4U, FLEX_BLOCK_PAGES - 2U, 1U);
	o = nw(FLEX_MON_DONATE, 0U, 0U, 4U);
	EXPECT_EQ(o.rc, FLEX_E_STATE);
	EXPECT_EQ(o.x1, 2);
	o = nw(FLEX_MON_RECALL, 0U, 0U, 4U);
	EXPECT_EQ(o.x2, 2);
	EXPECT_EQ(fake.m.mailboxes[0].result[2], FLEX_E_STATE);
	EXPECT_EQ(claim(1U, FLEX_BLOCK_PAGES, 0U).rc, FLEX_E_STATE);
}

static void a_release_names_the_region_exactly(void)
{
	EXPECT_EQ(secure(AT(1U), 2U * B).rc, FLEX_OK);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(1U), B, 0U).rc, FLEX_E_STATE);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(2U), B, 0U).rc, FLEX_E_STATE);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(1U), 3U * B, 0U).rc, FLEX_E_STATE);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(4U), B, 0U).rc, FLEX_E_STATE);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(1U), 2U * B, FLEX_PAGE_SIZE).rc, FLEX_E_INVAL);
	EXPECT_EQ(fake.scrubs, 0);
	EXPECT_EQ(release(AT(1U), 2U * B).rc, FLEX_OK);
	EXPECT_EQ(release(AT(1U), 2U * B).rc, FLEX_E_STATE);
}

static void an_interrupted_release_resumes_where_it_was(void)
{
	uint64_t from = 0U;
	struct out o;

	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_OK);
	do {
		fake.polls_until_interrupt = 2;
		o = nw(FLEX_MON_REGION_RELEASE, AT(0U), B, from);
		if (o.rc == FLEX_E_INTERRUPTED) {
			EXPECT_EQ(o.x1, from + (3U * CHUNK * FLEX_PAGE_SIZE));
			/* nothing of it is back, nobody can use it, and a skip is refused */
			fake_check();
			EXPECT(!fake.mapped[0]);
			EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 1U).rc, FLEX_E_STATE);
			EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(0U), B, B).rc, FLEX_E_INVAL);
			EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(0U), B, from).rc, FLEX_E_INVAL);
		}
		from = o.x1;
	} while (o.rc == FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(fake.scrubs, FLEX_BLOCK_PAGES);
}

static void a_long_release_goes_on_in_further_calls(void)
{
	struct out o;

	EXPECT_EQ(secure(AT(0U), 2U * B).rc, FLEX_OK);
	o = nw(FLEX_MON_REGION_RELEASE, AT(0U), 2U * B, 0U);
	EXPECT_EQ(o.rc, FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.x1, FLEX_SCRUB_PAGES * FLEX_PAGE_SIZE);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(0U), 2U * B, 0U).rc, FLEX_E_INVAL);
	do {
		fake_check();
		EXPECT(!fake.mapped[0]);
		o = nw(FLEX_MON_REGION_RELEASE, AT(0U), 2U * B, o.x1);
	} while (o.rc == FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.rc, FLEX_OK);
}

static void a_used_region_is_not_released(void)
{
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 1U).rc, FLEX_E_STATE);
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_OK);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 2U).rc, FLEX_E_INVAL);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 0U).rc, FLEX_E_STATE);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 1U).rc, FLEX_OK);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 1U).rc, FLEX_E_PINNED);
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(0U), B, 0U).rc, FLEX_E_PINNED);
	EXPECT_EQ(fake.scrubs, 0);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 0U).rc, FLEX_OK);
	EXPECT_EQ(release(AT(0U), B).rc, FLEX_OK);
}

static void a_busy_region_is_left_alone(void)
{
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_OK);
	fake.m.region[0].state = FLEX_REGION_BUSY;
	EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(0U), B, 0U).rc, FLEX_E_BUSY);
	EXPECT_EQ(nw(FLEX_MON_REGION_SECURE, AT(0U), B, B).rc, FLEX_E_BUSY);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(0U), B, 1U).rc, FLEX_E_BUSY);
	fake.m.region[0].state = FLEX_REGION_SECURE;
}

/* Nobody uses a region, and nobody else gets any of it, before it is secured to the end. */
static void a_long_securing_goes_on_in_further_calls(void)
{
	uint64_t from = 0U;
	struct out o;

	for (o = nw(FLEX_MON_REGION_SECURE, AT(1U), 2U * B, from); o.rc == FLEX_E_INTERRUPTED;
	     o = nw(FLEX_MON_REGION_SECURE, AT(1U), 2U * B, from)) {
		EXPECT(o.x1 > from);
		fake_check();
		EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(1U), 2U * B, 1U).rc, FLEX_E_STATE);
		EXPECT_EQ(nw(FLEX_MON_REGION_RELEASE, AT(1U), 2U * B, o.x1).rc, FLEX_E_STATE);
		EXPECT_EQ(nw(FLEX_MON_REGION_SECURE, AT(1U), 2U * B, 0U).rc, FLEX_E_STATE);
		EXPECT_EQ(nw(FLEX_MON_REGION_SECURE, AT(1U), 2U * B, o.x1 + FLEX_PAGE_SIZE).rc, FLEX_E_INVAL);
		EXPECT((from == 0U) || (nw(FLEX_MON_REGION_SECURE, AT(1U), 2U * B, from).rc == FLEX_E_INVAL));
		EXPECT_EQ(nw(FLEX_MON_PROTECT, FLEX_PROTECT_OFF, 0U, 0U).rc, FLEX_E_STATE);
		mail(0U, 1U, FLEX_BLOCK_PAGES, 1U);
		EXPECT_EQ(nw(FLEX_MON_DONATE, 0U, 0U, 1U).rc, FLEX_E_STATE);
		from = o.x1;
	}
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT_EQ(from != 0U, fake_caches);
	EXPECT_EQ(fake.invalidations, 1);
	EXPECT_EQ(payload(FLEX_MON_REGION_USE, AT(1U), 2U * B, 1U).rc, FLEX_OK);
}

static void an_interrupted_securing_resumes_where_it_was(void)
{
	struct out o = { .x1 = 0U };
	uint64_t from;

	fake.m.layout.scrub_chunk = 2U;
	do {
		from = o.x1;
		fake.polls_until_interrupt = 0;
		o = nw(FLEX_MON_REGION_SECURE, AT(0U), 5U * B, from);
		fake_check();
		EXPECT(fake.mapped[5U * FLEX_BLOCK_PAGES]);
		if (o.rc == FLEX_E_INTERRUPTED) {
			EXPECT_EQ(o.x1, (from < (4U * B)) ? (from + (2U * B)) :
				  ((from == (4U * B)) ? (5U * B) : from) + (2U * FLEX_PAGE_SIZE));
			EXPECT_EQ(fake.invalidations, (o.x1 > (5U * B)) ? 1 : 0);
		}
	} while (o.rc == FLEX_E_INTERRUPTED);
	EXPECT_EQ(o.rc, FLEX_OK);
	EXPECT(!fake.mapped[(5U * FLEX_BLOCK_PAGES) - 1U]);
	EXPECT_EQ(fake.invalidations, 1);
}

/* The one block that cannot be had is the last: those before it are as they were. */
static void a_region_is_all_or_nothing(void)
{
	donate(1U, 5U * FLEX_BLOCK_PAGES);
	EXPECT_EQ(secure(AT(0U), 6U * B).rc, FLEX_E_STATE);
	fake_check();
	EXPECT_EQ(secure(AT(0U), 5U * B).rc, FLEX_OK);
}

static void there_are_so_many_regions_and_no_more(void)
{
	unsigned int i;

	for (i = 0U; i < FLEX_REGIONS; i++) {
		fake.m.region[i].state = FLEX_REGION_BUSY;
	}
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_E_EXHAUSTED);
	fake.m.region[3].state = FLEX_REGION_FREE;
	EXPECT_EQ(secure(AT(0U), B).rc, FLEX_OK);
}

static void a_silent_smmu_secures_no_region(void)
{
	fake.smmu_silent = true;
	EXPECT_EQ(secure(AT(2U), 2U * B).rc, FLEX_E_TIMEOUT);
	EXPECT(fake.content[2U * FLEX_BLOCK_PAGES] != 0U);
	fake.smmu_silent = false;
	fake_check();
	EXPECT_EQ(secure(AT(2U), 2U * B).rc, FLEX_OK);
}

int main(void)
{
	RUN(a_region_is_secured_and_released);
	RUN(malformed_regions_change_nothing);
	RUN(a_region_needs_normal_pages);
	RUN(pages_of_a_region_are_nobody_elses);
	RUN(a_release_names_the_region_exactly);
	RUN(an_interrupted_release_resumes_where_it_was);
	RUN(a_long_release_goes_on_in_further_calls);
	RUN(a_used_region_is_not_released);
	RUN(a_busy_region_is_left_alone);
	RUN(a_long_securing_goes_on_in_further_calls);
	RUN(an_interrupted_securing_resumes_where_it_was);
	RUN(a_region_is_all_or_nothing);
	RUN(there_are_so_many_regions_and_no_more);
	RUN(a_silent_smmu_secures_no_region);
	return 0;
}
