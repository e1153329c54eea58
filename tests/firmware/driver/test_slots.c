// SPDX-License-Identifier: GPL-2.0-only
/* Which page lies in which slot: order of recall, what stays, what a loader sees, and all of it at once. */
#include "test.h"

#define SLOTS 2048

static struct page *pages[512];

static void name_pages(u32 from, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		pages[i] = &fake_page[from + i];
}

static void fill(struct flex_range *range, u32 index, u32 count)
{
	name_pages(range->first + index, count);
	flex_range_publish(range, index, pages, count);
}

static const struct flex_scope everybody;

/* Recall up to want pages of a scope; each is answered with result. Return: freed. */
static u32 recall_of(const struct flex_scope *scope, u32 want, s32 result, u32 *collected)
{
	struct flex_mailbox_lease *lease = test_lease();
	u32 i, freed = 0, n = flex_slots_collect(scope, lease, want);

	for (i = 0; i < n; i++) {
		expect(lease->memory->page[i] == page_to_phys(lease->page[i]));
		expect(lease->page[i] == &fake_page[lease->slot[i]]);
		lease->memory->result[i] = result;
	}
	if (n)
		freed = flex_slots_settle(lease, n);
	if (collected)
		*collected = n;
	test_lease_free(lease);
	return freed;
}

static u32 recall(struct flex_range *only, u32 want, s32 result, u32 *collected)
{
	const struct flex_scope scope = { .range = only };

	return recall_of(&scope, want, result, collected);
}

static u32 asked;

static void ask(struct flex_range *range)
{
	asked++;
}

/* What would have to be computed again goes last, and is asked to be saved as soon as anything goes. */
static void test_what_would_be_lost_goes_last(void)
{
	const struct flex_scope patient = { .patient = true };
	struct flex_range model = { 0 }, session = { .dirty = true, .save = ask };

	expect(!flex_range_add(&model, 0, 20, true, NULL));
	expect(!flex_range_add(&session, 20, 10, false, NULL));
	fill(&model, 0, 20);
	fill(&session, 0, 10);
	flex_range_park(&session);
	expect(recall_of(&patient, 15, FLEX_OK, NULL) == 15 && flex_range_held(&session) == 10);
	expect(asked == 1);
	expect(recall_of(&patient, 15, FLEX_OK, NULL) == 5);
	/* While it is being saved it is left alone, except when nothing else is left to do. */
	expect(!recall_of(&patient, 15, FLEX_OK, NULL) && asked == 1);
	expect(recall_of(&everybody, 1, FLEX_OK, NULL) == 1);
	flex_range_saved(&session, -EAGAIN);
	expect(!recall_of(&patient, 15, FLEX_OK, NULL) && asked == 2);
	/* It cannot be saved: it goes when its turn comes. */
	flex_range_saved(&session, -EIO);
	fill(&model, 0, 1);
	expect(recall_of(&patient, 1, FLEX_OK, NULL) == 1 && !flex_range_held(&model));
	expect(recall_of(&patient, 1, FLEX_OK, NULL) == 1 && asked == 2);
	/* Saved, it goes like any other, the one that was used longest ago first. */
	flex_range_saved(&session, 0);
	fill(&model, 0, 1);
	expect(recall_of(&patient, 15, FLEX_OK, NULL) == 8 && flex_range_held(&model) == 1);
	flex_range_remove(&session);
	expect(recall(&model, 512, FLEX_OK, NULL) == 1);
	flex_range_remove(&model);
}

static void test_last_slots_go_first(void)
{
	struct flex_mailbox_lease *lease = test_lease();
	struct flex_range range = { 0 };
	u32 i;

	expect(!flex_range_add(&range, 100, 50, true, NULL));
	fill(&range, 0, 50);
	expect(flex_slots_collect(&everybody, lease, 10) == 10);
	for (i = 0; i < 10; i++) {
		expect(lease->slot[i] == 149 - i);
		lease->memory->result[i] = FLEX_OK;
	}
	expect(flex_slots_settle(lease, 10) == 10);
	expect(flex_range_held(&range) == 40 && flex_slots_recallable() == 40);
	expect(!flex_slots_page(149) && flex_slots_page(139) == page_to_phys(&fake_page[139]));
	expect(recall(&range, 512, FLEX_OK, NULL) == 40);
	flex_range_remove(&range);
	test_lease_free(lease);
}

/*
 * The payload's order: what a pass needs last goes first, each run from its end; what two runs share goes once, then
 * what opens the others, and last what is in none. Whatever number the payload says, it is one of a run.
 */
static void check_published_order(u64 now, const u32 *expected)
{
	struct flex_run *order = calloc(5, sizeof(*order));
	struct flex_mailbox_lease *lease = test_lease();
	struct flex_range range = { 0 };
	u32 i;

	order[FLEX_WALK_REST] = (struct flex_run){ 0, 10 };
	order[FLEX_WALK_OPENS] = (struct flex_run){ 0, 1 };
	order[FLEX_WALK_PASS] = (struct flex_run){ 1, 4 };
	order[FLEX_WALK_PASS + 1] = (struct flex_run){ 7, 3 };
	order[FLEX_WALK_PASS + 2] = (struct flex_run){ 4, 2 };
	expect(!flex_range_add(&range, 200, 10, true, NULL));
	flex_range_order(&range, order, 5, &now);
	fill(&range, 0, 10);
	expect(flex_slots_collect(&everybody, lease, 512) == 10);
	for (i = 0; i < 10; i++) {
		expect(lease->slot[i] == 200 + expected[i]);
		lease->memory->result[i] = FLEX_OK;
	}
	expect(flex_slots_settle(lease, 10) == 10);
	flex_range_remove(&range);
	test_lease_free(lease);
}

static void test_pages_go_in_the_published_order(void)
{
	static const u32 from_the_first[] = { 5, 4, 9, 8, 7, 3, 2, 1, 0, 6 };
	static const u32 in_the_second[] = { 4, 3, 2, 1, 5, 9, 8, 7, 0, 6 };
	static const u32 in_the_third[] = { 9, 8, 7, 4, 3, 2, 1, 5, 0, 6 };

	check_published_order(0, from_the_first);
	check_published_order(1, from_the_first);
	check_published_order(2, in_the_second);
	check_published_order(3, in_the_third);
	check_published_order(4, from_the_first);
	check_published_order(3 * 0x100000000ULL + 5, in_the_second);
}

/* A recall that is under way begins again when the pass has gone on. */
static void test_recall_follows_the_pass(void)
{
	struct flex_run *order = calloc(4, sizeof(*order));
	struct flex_range range = { 0 };
	u64 now = 0;

	order[FLEX_WALK_REST] = (struct flex_run){ 0, 20 };
	order[FLEX_WALK_PASS] = (struct flex_run){ 0, 10 };
	order[FLEX_WALK_PASS + 1] = (struct flex_run){ 10, 10 };
	expect(!flex_range_add(&range, 0, 20, true, NULL));
	flex_range_order(&range, order, 4, &now);
	fill(&range, 0, 20);
	expect(recall(NULL, 4, FLEX_OK, NULL) == 4 && !flex_slots_page(16) && flex_slots_page(9));
	now = 2;
	flex_slots_follow(&everybody);
	expect(recall(NULL, 4, FLEX_OK, NULL) == 4 && flex_slots_page(15) && !flex_slots_page(6));
	expect(recall(NULL, 512, FLEX_OK, NULL) == 12);
	flex_range_remove(&range);
}

static u32 first_to_go(u32 model, const u64 *run, u64 count)
{
	struct flex_order *order = (void *)(test_comm + FLEX_COMM_ORDER + model * FLEX_COMM_ORDER_SIZE);
	struct flex_mailbox_lease *lease = test_lease();
	struct flex_range range = { 0 };
	u32 slot;

	order->count = count;
	memcpy(order->run, run, min(count, FLEX_ORDER_RUNS) * sizeof(*run));
	expect(!flex_range_add(&range, 300, 10, true, NULL));
	flex_order_read(&range, model);
	fill(&range, 0, 10);
	expect(flex_slots_collect(&everybody, lease, 512) == 10);
	slot = lease->slot[0];
	memset(lease->memory->result, 0, sizeof(lease->memory->result));
	expect(flex_slots_settle(lease, 10) == 10);
	flex_range_remove(&range);
	test_lease_free(lease);
	return slot;
}

/* The payload's runs are the model's, or there is no order; every page goes in any case. */
static void test_a_foreign_order_is_ignored(void)
{
	static const u64 good[FLEX_ORDER_RUNS] = { 5ULL << 32 | 5, 0ULL << 32 | 5 };
	static const u64 behind[] = { 0ULL << 32 | 4, 10ULL << 32 | 1 };
	static const u64 across[] = { 0ULL << 32 | 4, 8ULL << 32 | 3 };
	static const u64 wraps[] = { 0ULL << 32 | 4, 1ULL << 32 | 0xffffffff };

	expect(first_to_go(0, good, 2) == 304);
	expect(first_to_go(FLEX_MODELS - 1, good, 2) == 304);
	expect(first_to_go(0, behind, 2) == 309);
	expect(first_to_go(0, across, 2) == 309);
	expect(first_to_go(0, wraps, 2) == 309);
	expect(first_to_go(0, good, 0) == 309);
	expect(first_to_go(0, good, ~0ULL) == 304);
}

static void test_oldest_model_goes_first(void)
{
	struct flex_range a = { 0 }, b = { 0 };

	expect(!flex_range_add(&a, 0, 20, true, NULL) && !flex_range_add(&b, 20, 20, true, NULL));
	fill(&a, 0, 20);
	fill(&b, 0, 20);
	flex_range_touch(&a);
	expect(recall(NULL, 20, FLEX_OK, NULL) == 20);
	expect(flex_range_held(&a) == 20 && flex_range_held(&b) == 0);
	expect(recall(NULL, 20, FLEX_OK, NULL) == 20);
	flex_range_remove(&a);
	flex_range_remove(&b);
}

static void test_a_session_is_left_alone(void)
{
	struct flex_range session = { 0 };
	u32 collected;

	expect(!flex_range_add(&session, 0, 20, false, NULL));
	fill(&session, 0, 20);
	recall(NULL, 20, FLEX_OK, &collected);
	expect(collected == 0 && flex_slots_recallable() == 0);
	expect(recall(&session, 20, FLEX_OK, NULL) == 20);
	flex_range_remove(&session);
}

/* Between prompts its pages go first, and come back blank; during one they stay. */
static void test_a_parked_session_goes_before_weights(void)
{
	struct flex_range model = { 0 }, session = { 0 };
	struct flex_mailbox_lease *lease = test_lease();

	expect(!flex_range_add(&model, 0, 20, true, NULL) && !flex_range_add(&session, 20, 20, false, NULL));
	fill(&model, 0, 20);
	fill(&session, 0, 20);
	expect(flex_slots_recallable() == 20);
	flex_range_park(&session);
	expect(flex_slots_recallable() == 40);
	expect(recall(NULL, 5, FLEX_OK, NULL) == 5);
	expect(flex_range_held(&session) == 15 && flex_range_held(&model) == 20);

	/* One that is used again while a recall is under way. */
	expect(flex_slots_collect(&everybody, lease, 3) == 3);
	flex_range_unpark(&session);
	expect(flex_slots_recallable() == 20);
	lease->memory->result[0] = lease->memory->result[1] = FLEX_OK;
	lease->memory->result[2] = FLEX_E_PINNED;
	expect(flex_slots_settle(lease, 3) == 2);
	expect(flex_range_held(&session) == 13 && flex_slots_recallable() == 20);
	expect(recall(NULL, 512, FLEX_OK, NULL) == 20 && flex_range_held(&session) == 13);

	flex_range_park(&session);
	expect(flex_slots_recallable() == 13);
	expect(recall(&session, 512, FLEX_OK, NULL) == 13 && flex_slots_recallable() == 0);
	flex_range_remove(&session);
	flex_range_remove(&model);
	test_lease_free(lease);
}

/* A group that is short gives its own pages, and what lies below it, and nothing else. */
static void test_a_group_gives_its_own(void)
{
	struct mem_cgroup lab = { 0 }, child = { .parent = &lab }, other = { 0 };
	struct obj_cgroup of_lab = { &lab }, of_child = { &child };
	const struct flex_scope labs = { .memcg = &lab }, labs_own = { .memcg = &lab, .exact = true };
	const struct flex_scope others = { .memcg = &other }, childs = { .memcg = &child };
	struct flex_range a = { 0 }, b = { 0 }, c = { 0 };
	u32 collected;

	expect(!flex_range_add(&a, 0, 10, true, NULL));
	expect(!flex_range_add(&b, 10, 20, true, &of_lab) && !flex_range_add(&c, 30, 30, true, &of_child));
	fill(&a, 0, 10);
	fill(&b, 0, 20);
	fill(&c, 0, 30);
	expect(flex_slots_held(&labs) == 50 && flex_slots_held(&labs_own) == 20);
	expect(flex_slots_held(&childs) == 30 && flex_slots_held(&others) == 0);
	recall_of(&others, 512, FLEX_OK, &collected);
	expect(collected == 0);
	expect(recall_of(&childs, 512, FLEX_OK, NULL) == 30 && flex_range_held(&c) == 0);
	expect(recall_of(&labs, 512, FLEX_OK, NULL) == 20 && flex_range_held(&b) == 0);
	recall_of(&labs, 512, FLEX_OK, &collected);
	expect(collected == 0 && flex_range_held(&a) == 10);
	expect(recall(NULL, 512, FLEX_OK, NULL) == 10);
	flex_range_remove(&a);
	flex_range_remove(&b);
	flex_range_remove(&c);
}

static u32 guarded(enum flex_guard guard, u32 want, bool *spared)
{
	const struct flex_scope scope = { .guard = guard, .spared = spared };

	*spared = false;
	return recall_of(&scope, want, FLEX_OK, NULL);
}

/* What memory.min and memory.low keep is passed over, the oldest as it may be; whoever asks for itself gets it. */
static void test_guaranteed_memory_is_kept(void)
{
	struct mem_cgroup hard = { .guard = FLEX_GUARD_MIN }, soft = { .guard = FLEX_GUARD_LOW };
	struct obj_cgroup of_hard = { &hard }, of_soft = { &soft };
	struct flex_range a = { 0 }, b = { 0 }, c = { 0 };
	bool spared;

	expect(!flex_range_add(&a, 0, 10, true, &of_hard) && !flex_range_add(&b, 10, 10, true, &of_soft));
	expect(!flex_range_add(&c, 20, 10, true, NULL));
	fill(&a, 0, 10);
	fill(&b, 0, 10);
	fill(&c, 0, 10);
	expect(guarded(FLEX_GUARD_LOW, 4, &spared) == 4 && flex_range_held(&c) == 6 && spared);
	expect(guarded(FLEX_GUARD_LOW, 10, &spared) == 6 && guarded(FLEX_GUARD_LOW, 10, &spared) == 0 && spared);
	expect(guarded(FLEX_GUARD_MIN, 20, &spared) == 10 && flex_range_held(&b) == 0 && !spared);
	expect(guarded(FLEX_GUARD_MIN, 20, &spared) == 0 && !spared);
	expect(guarded(FLEX_GUARD_NONE, 20, &spared) == 10 && flex_range_held(&a) == 0);
	flex_range_remove(&a);
	flex_range_remove(&b);
	flex_range_remove(&c);
}

/* One group passed over its pinned pages: that another begins at its end is not changed. */
static void test_rewind_keeps_to_its_group(void)
{
	struct mem_cgroup lab = { 0 };
	struct obj_cgroup of_lab = { &lab };
	const struct flex_scope labs = { .memcg = &lab };
	struct flex_range a = { 0 }, b = { 0 };
	u32 collected;

	expect(!flex_range_add(&a, 0, 10, true, NULL) && !flex_range_add(&b, 10, 10, true, &of_lab));
	fill(&a, 0, 10);
	fill(&b, 0, 10);
	recall(&a, 512, FLEX_E_PINNED, NULL);
	recall(&b, 512, FLEX_E_PINNED, NULL);
	flex_slots_rewind(&labs);
	expect(recall(NULL, 512, FLEX_OK, &collected) == 10 && collected == 10);
	expect(flex_range_held(&a) == 10 && flex_range_held(&b) == 0);
	flex_slots_rewind(&everybody);
	expect(recall(NULL, 512, FLEX_OK, NULL) == 10);
	flex_range_remove(&a);
	flex_range_remove(&b);
}

/* Pinned pages at the end must not hide the unpinned ones below them. */
static void test_pinned_pages_are_passed_over(void)
{
	struct flex_range range = { 0 };
	u32 collected;

	expect(!flex_range_add(&range, 0, 30, true, NULL));
	fill(&range, 0, 30);
	expect(recall(NULL, 10, FLEX_E_PINNED, &collected) == 0 && collected == 10);
	expect(recall(NULL, 10, FLEX_OK, NULL) == 10);
	expect(!flex_slots_page(19) && flex_slots_page(29));
	expect(recall(NULL, 20, FLEX_OK, &collected) == 10 && collected == 10);
	recall(NULL, 20, FLEX_OK, &collected);
	expect(collected == 0);
	flex_slots_rewind(&everybody);
	expect(recall(NULL, 20, FLEX_OK, NULL) == 10);
	expect(atomic64_read(&flex_counts[FLEX_COUNT_RECALL_PINNED]) == 10);
	flex_range_remove(&range);
}

/* A page in no known state is in no slot and is not freed either. */
static void test_unknown_states_are_never_freed(void)
{
	s64 before = atomic64_read(&flex_counts[FLEX_COUNT_LOST]);
	struct flex_range range = { 0 };

	expect(!flex_range_add(&range, 0, 8, true, NULL));
	fill(&range, 0, 8);
	expect(recall(NULL, 8, FLEX_E_INVAL, NULL) == 0);
	expect(flex_range_held(&range) == 0 && !flex_slots_page(3));
	expect(atomic64_read(&flex_counts[FLEX_COUNT_LOST]) == before + 8);
	flex_range_remove(&range);
}

/* What somebody else has recalled is Linux's all the same. */
static void test_what_is_not_secure_comes_back(void)
{
	s64 before = atomic64_read(&flex_counts[FLEX_COUNT_LOST]);
	struct flex_range range = { 0 };

	expect(!flex_range_add(&range, 0, 8, true, NULL));
	fill(&range, 0, 8);
	expect(recall(NULL, 8, FLEX_E_STATE, NULL) == 8);
	expect(flex_range_held(&range) == 0 && !flex_slots_page(3));
	expect(atomic64_read(&flex_counts[FLEX_COUNT_LOST]) == before);
	flex_range_remove(&range);
}

/* A page that is missed twice, where it lies as before, is not there; one that has come back is. */
static void test_what_is_missed_twice_is_doubted(void)
{
	struct flex_range range = { 0 };
	u32 index = 5;

	expect(!flex_range_add(&range, 100, 20, true, NULL));
	fill(&range, 0, 20);
	expect(!flex_range_doubt(&range, 5) && !flex_range_doubt(&range, 6) && !flex_range_doubt(&range, 5));
	expect(flex_range_doubt(&range, 5));
	expect(recall(&range, 512, FLEX_OK, NULL) == 20);
	expect(!flex_range_doubt(&range, 5) && !flex_range_doubt(&range, 5));
	fill(&range, 0, 20);
	expect(!flex_range_doubt(&range, 5) && flex_range_doubt(&range, index));
	while (recall_of(&(const struct flex_scope){ .range = &range, .part = { 5, 3 } }, 512, FLEX_OK, NULL))
		;
	expect(flex_range_held(&range) == 17 && flex_slots_page(104) && !flex_slots_page(105) && flex_slots_page(108));
	expect(flex_range_hole(&range, &index, 20) == 3 && index == 5);
	flex_slots_rewind(&(const struct flex_scope){ .range = &range });
	while (recall(&range, 512, FLEX_OK, NULL))
		;
	flex_range_remove(&range);
}

static void test_holes_are_found_in_runs(void)
{
	struct flex_range range = { 0 };
	u32 index = 0;

	expect(!flex_range_add(&range, 0, 1200, true, NULL));
	expect(flex_range_hole(&range, &index, 1200) == FLEX_BATCH && index == 0);
	fill(&range, 0, 5);
	fill(&range, 9, 3);
	index = 0;
	expect(flex_range_hole(&range, &index, 1200) == 4 && index == 5);
	index = 9;
	expect(flex_range_hole(&range, &index, 20) == 8 && index == 12);
	index = 0;
	expect(flex_range_hole(&range, &index, 5) == 0);
	index = 1195;
	expect(flex_range_hole(&range, &index, 5000) == 5 && index == 1195);
	expect(recall(&range, 512, FLEX_OK, NULL) == 8);
	flex_range_remove(&range);
}

static void test_foreign_slots_are_refused(void)
{
	struct flex_range range = { 0 }, over = { 0 };

	expect(flex_range_add(&range, SLOTS, 1, true, NULL) == -EINVAL);
	expect(flex_range_add(&range, SLOTS - 1, 2, true, NULL) == -EINVAL);
	expect(flex_range_add(&range, 1, UINT32_MAX, true, NULL) == -EINVAL);
	expect(!flex_range_add(&range, 10, 10, true, NULL));
	fill(&range, 9, 1);
	expect(flex_range_add(&over, 19, 5, true, NULL) == -EINVAL);
	expect(flex_slots_page(SLOTS) == 0 && flex_slots_page(UINT32_MAX) == 0);
	expect(recall(&range, 512, FLEX_OK, NULL) == 1);
	flex_range_remove(&range);
}

/* While a page is moved nobody recalls it; then the slot has the new one. */
static void test_a_moved_page_keeps_its_slot(void)
{
	struct flex_range range = { 0 };
	struct page *to = &fake_page[3000];
	u32 collected;

	expect(!flex_range_add(&range, 0, 8, true, NULL));
	fill(&range, 0, 8);
	expect(!flex_slot_take(5, &fake_page[4]) && !flex_slot_take(100, &fake_page[5]));
	expect(flex_slot_take(5, &fake_page[5]));
	expect(!flex_slot_take(5, &fake_page[5]));
	expect(recall(&range, 512, FLEX_E_PINNED, &collected) == 0 && collected == 7);
	flex_slot_put(5, to);
	expect(flex_slots_page(5) == page_to_phys(to) && flex_range_held(&range) == 8);
	expect(flex_slot_take(5, to));
	flex_slot_put(5, &fake_page[5]);
	flex_slots_rewind(&everybody);
	expect(recall(&range, 512, FLEX_OK, NULL) == 8);
	expect(!flex_slot_take(5, &fake_page[5]));
	flex_range_remove(&range);
}

/* A session's pages are in use: they stay where they are. */
static void test_only_recallable_pages_move(void)
{
	struct flex_range range = { 0 };

	expect(!flex_range_add(&range, 0, 8, false, NULL));
	fill(&range, 0, 8);
	expect(!flex_slot_take(5, &fake_page[5]));
	expect(recall(&range, 512, FLEX_OK, NULL) == 8);
	flex_range_remove(&range);
}

/* One loader, two recallers: no page is in two hands, none disappears. */
#define STRESS_ROUNDS 400
static struct flex_range stress;
static bool stress_over;
static int stress_owner[SLOTS];	/* 1: in a slot */

static void *stress_recaller(void *unused)
{
	struct flex_mailbox_lease *lease = test_lease();
	u32 n, i, random = 1;

	(void)unused;
	while (!__atomic_load_n(&stress_over, __ATOMIC_ACQUIRE)) {
		n = flex_slots_collect(&everybody, lease, 64);
		if (!n)
			flex_slots_rewind(&everybody);
		for (i = 0; i < n; i++) {
			random = random * 1103515245 + 12345;
			lease->memory->result[i] = random >> 16 & 1 ? FLEX_OK : FLEX_E_PINNED;
			if (lease->memory->result[i] == FLEX_OK)
				expect(__atomic_exchange_n(&stress_owner[lease->slot[i]], 0,
							   __ATOMIC_ACQ_REL) == 1);
		}
		if (random & 1 << 20)
			usleep(50);	/* so that the loader meets entries that move */
		if (n)
			flex_slots_settle(lease, n);
	}
	test_lease_free(lease);
	return NULL;
}

static void stress_load(void)
{
	u32 index = 0, run, i;

	while ((run = flex_range_hole(&stress, &index, stress.count))) {
		for (i = 0; i < run; i++)
			expect(__atomic_exchange_n(&stress_owner[stress.first + index + i], 1,
						   __ATOMIC_ACQ_REL) == 0);
		fill(&stress, index, run);
		index += run;
	}
}

static void test_one_loader_and_two_recallers(void)
{
	pthread_t recaller[2];
	u32 i, held = 0;

	expect(!flex_range_add(&stress, 64, 1000, true, NULL));
	for (i = 0; i < 2; i++)
		expect(!pthread_create(&recaller[i], NULL, stress_recaller, NULL));
	for (i = 0; i < STRESS_ROUNDS; i++)
		stress_load();
	__atomic_store_n(&stress_over, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(recaller[i], NULL);
	for (i = 0; i < SLOTS; i++)
		held += stress_owner[i];
	expect(flex_range_held(&stress) == held && flex_slots_recallable() == held);
	flex_slots_rewind(&(const struct flex_scope){ .range = &stress });
	while (recall(&stress, 512, FLEX_OK, NULL))
		;
	expect(flex_range_held(&stress) == 0 && flex_slots_recallable() == 0);
	flex_range_remove(&stress);
}

int main(void)
{
	expect(!flex_slots_init(SLOTS));
	test_last_slots_go_first();
	test_what_would_be_lost_goes_last();
	test_pages_go_in_the_published_order();
	test_recall_follows_the_pass();
	test_a_foreign_order_is_ignored();
	test_oldest_model_goes_first();
	test_a_session_is_left_alone();
	test_pinned_pages_are_passed_over();
	test_a_group_gives_its_own();
	test_guaranteed_memory_is_kept();
	test_rewind_keeps_to_its_group();
	test_unknown_states_are_never_freed();
	test_what_is_not_secure_comes_back();
	test_what_is_missed_twice_is_doubted();
	test_holes_are_found_in_runs();
	test_foreign_slots_are_refused();
	test_a_parked_session_goes_before_weights();
	test_a_moved_page_keeps_its_slot();
	test_only_recallable_pages_move();
	test_one_loader_and_two_recallers();
	flex_slots_exit();
	return 0;
}
