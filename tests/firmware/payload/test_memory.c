/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins, mappings and the monitor's recall, which runs on other threads here as it does on other cores. */
#include <pthread.h>

#include "serving.h"
#include "test.h"

static uint64_t word(uint64_t slot)
{
	return __atomic_load_n(&rt_slot_words()[slot], __ATOMIC_SEQ_CST);
}

static uint64_t pins(uint64_t slot)
{
	return word(slot) >> FLEX_SLOT_PINS_SHIFT & FLEX_SLOT_PINS_MAX;
}

/* A model of 700 pages, so that CLAIM has somewhere to go: slots 0..699. */
static void open_slots(void)
{
	struct rt_call call = fake_call(FLEX_OP_MODEL_OPEN, 700 * FLEX_PAGE_SIZE, 0, 0, 0);

	EQUAL(call.status, FLEX_TOS_DONE);
	EQUAL(call.value[1], 0);
}

static void pinned_page_is_there_and_stays(void)
{
	uint64_t hole;

	open_slots();
	fake_page(5)[0] = 42;
	EQUAL(fake_give(5, 3), FLEX_TOS_DONE);
	EQUAL(srv_pin(3, 1, &hole), FLEX_OK);
	EQUAL(*(uint8_t *)rt_slot_address(3), 42);
	EQUAL(srv_pinned_pages(), 1);
	EQUAL(fake_recall(1, 5), FLEX_E_PINNED);
	EQUAL(*(uint8_t *)rt_slot_address(3), 42);
	srv_unpin(3, 1);
	EQUAL(srv_pinned_pages(), 0);
	EQUAL(fake_recall(1, 5), FLEX_OK);
	CHECK(fake_is_nw(5));
	EQUAL(fake_page(5)[0], 0);
}

static void hole_ends_a_pin_with_nothing_pinned(void)
{
	uint64_t hole = 0;

	open_slots();
	for (uint64_t i = 0; i < 4; i++) {
		if (i != 2)
			EQUAL(fake_give(i, i), FLEX_TOS_DONE);
	}
	EQUAL(srv_pin(0, 4, &hole), FLEX_E_STATE);
	EQUAL(hole, 2);
	for (uint64_t i = 0; i < 4; i++)
		EQUAL(pins(i), 0);
	EQUAL(srv_pinned_pages(), 0);
}

static void quota_counts_pages_not_pins(void)
{
	uint64_t hole, i;

	open_slots();
	for (i = 0; i <= FLEX_BOARD_PIN_QUOTA; i++)
		EQUAL(fake_give(i, i), FLEX_TOS_DONE);
	EQUAL(srv_pin(0, FLEX_BOARD_PIN_QUOTA, &hole), FLEX_OK);
	EQUAL(srv_pin(0, FLEX_BOARD_PIN_QUOTA, &hole), FLEX_OK);
	EQUAL(srv_pin(FLEX_BOARD_PIN_QUOTA - 1, 2, &hole), FLEX_E_QUOTA);
	EQUAL(pins(FLEX_BOARD_PIN_QUOTA - 1), 2);
	EQUAL(srv_pinned_pages(), FLEX_BOARD_PIN_QUOTA);
	srv_unpin(0, FLEX_BOARD_PIN_QUOTA);
	srv_unpin(0, FLEX_BOARD_PIN_QUOTA);
	EQUAL(srv_pinned_pages(), 0);
}

static void pin_finds_another_page_and_breaks_the_old_mapping(void)
{
	uint64_t hole;

	open_slots();
	fake_page(7)[0] = 1;
	EQUAL(fake_give(7, 0), FLEX_TOS_DONE);
	EQUAL(srv_pin(0, 1, &hole), FLEX_OK);
	EQUAL(*(uint8_t *)rt_slot_address(0), 1);
	srv_unpin(0, 1);
	EQUAL(fake_recall(1, 7), FLEX_OK);
	fake_page(8)[0] = 2;
	EQUAL(fake_give(8, 0), FLEX_TOS_DONE);
	/* Without a pin the old translation may still be there; with one it may not. */
	EQUAL(srv_pin(0, 1, &hole), FLEX_OK);
	EQUAL(*(uint8_t *)rt_slot_address(0), 2);
	srv_unpin(0, 1);
}

static void pin_follows_a_page_that_was_moved(void)
{
	uint64_t hole;

	open_slots();
	fake_page(7)[0] = 1;
	EQUAL(fake_give(7, 0), FLEX_TOS_DONE);
	EQUAL(srv_pin(0, 1, &hole), FLEX_OK);
	EQUAL(fake_move(1, 7, 8), FLEX_E_PINNED);
	srv_unpin(0, 1);
	EQUAL(fake_move(1, 7, 8), FLEX_OK);
	CHECK(fake_is_nw(7) && !fake_is_nw(8));
	EQUAL(fake_page(7)[0], 0);
	EQUAL(srv_pin(0, 1, &hole), FLEX_OK);
	EQUAL(*(uint8_t *)rt_slot_address(0), 1);
	fake_page(8)[0] = 2; /* it is this page that the window shows */
	EQUAL(*(uint8_t *)rt_slot_address(0), 2);
	srv_unpin(0, 1);
}

static void same_page_with_another_generation_is_mapped_again(void)
{
	uint64_t hole;

	open_slots();
	for (unsigned int round = 0; round < 3; round++) {
		fake_page(7)[0] = (uint8_t)(10 + round);
		EQUAL(fake_give(7, 0), FLEX_TOS_DONE);
		EQUAL(word(0) >> FLEX_SLOT_GENERATION_SHIFT & FLEX_SLOT_GENERATION_MASK, round + 1);
		EQUAL(srv_pin(0, 1, &hole), FLEX_OK);
		EQUAL(*(uint8_t *)rt_slot_address(0), 10 + round);
		srv_unpin(0, 1);
		EQUAL(fake_recall(1, 7), FLEX_OK);
	}
}

static void drop_wipes_and_gives_back(void)
{
	struct srv_range range = { 0, 3 };

	open_slots();
	EQUAL(fake_give(1, 0), FLEX_TOS_DONE);
	EQUAL(fake_give(2, 2), FLEX_TOS_DONE);
	fake_page(1)[100] = 9;
	srv_drop(&range, true);
	EQUAL(fake_page(1)[100], 0);
	EQUAL(word(0) >> FLEX_SLOT_STATE_SHIFT, FLEX_SLOT_EMPTY);
	EQUAL(word(2) >> FLEX_SLOT_STATE_SHIFT, FLEX_SLOT_EMPTY);
	CHECK(!fake_is_nw(1)); /* DONATED: the NW has to recall it */
	EQUAL(fake_recall(1, 1), FLEX_OK);
}

static void unpin_without_pin_is_a_panic(void)
{
	jmp_buf here;

	open_slots();
	EQUAL(fake_give(1, 0), FLEX_TOS_DONE);
	fake_panic_expected = &here;
	if (!setjmp(here)) {
		srv_unpin(0, 1);
		CHECK(!"reached");
	}
	EQUAL(strcmp(fake_panic_message, "unpinned slot unpinned"), 0);
}

/* ---- the race: who holds a pin never sees a page that the NW has ---- */

#define RACE_SLOTS 24
#define RACE_ROUNDS 20000

static uint64_t race_seed = 88172645463325252ULL;
static int race_over;
static uint64_t race_seen;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *race_pinner(void *arg)
{
	uint64_t random = race_seed + (uint64_t)(uintptr_t)arg, hole;

	fake_core_number = 1 + (unsigned int)(uintptr_t)arg;
	while (!__atomic_load_n(&race_over, __ATOMIC_ACQUIRE)) {
		uint64_t slot = next_random(&random) % RACE_SLOTS;
		uint64_t page;

		if (srv_pin(slot, 1, &hole))
			continue;
		page = word(slot) & FLEX_SLOT_PAGE_MASK;
		/* Every page carries its own number: through the window it must be the one that the slot holds. */
		CHECK(!fake_is_nw(page));
		EQUAL(__atomic_load_n((uint64_t *)rt_slot_address(slot), __ATOMIC_RELAXED), page + 1);
		CHECK(!fake_is_nw(page));
		srv_unpin(slot, 1);
		__atomic_fetch_add(&race_seen, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void race_of_pin_against_recall(void)
{
	pthread_t pinners[2];
	uint64_t random = race_seed;

	printf("seed %llu\n", (unsigned long long)race_seed);
	fake_slow_scrub = 20;
	open_slots();
	for (uintptr_t i = 0; i < 2; i++)
		CHECK(pthread_create(&pinners[i], NULL, race_pinner, (void *)i) == 0);
	for (unsigned int i = 0; i < RACE_ROUNDS; i++) {
		uint64_t page = next_random(&random) % (2 * RACE_SLOTS);
		int64_t error;

		if (!fake_is_nw(page)) {
			error = fake_recall(0, page);
			CHECK(error == FLEX_OK || error == FLEX_E_PINNED || error == FLEX_E_BUSY);
			continue;
		}
		__atomic_store_n((uint64_t *)fake_page(page), page + 1, __ATOMIC_RELAXED);
		error = fake_give(page, next_random(&random) % RACE_SLOTS);
		CHECK(error == FLEX_TOS_DONE || error == FLEX_E_STATE || error == FLEX_E_BUSY);
	}
	while (__atomic_load_n(&race_seen, __ATOMIC_RELAXED) < 100)
		usleep(1000);
	__atomic_store_n(&race_over, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(pinners[i], NULL);
	EQUAL(srv_pinned_pages(), 0);
	for (uint64_t i = 0; i < RACE_SLOTS; i++)
		EQUAL(pins(i), 0);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(pinned_page_is_there_and_stays),
		TEST(hole_ends_a_pin_with_nothing_pinned),
		TEST(quota_counts_pages_not_pins),
		TEST(pin_finds_another_page_and_breaks_the_old_mapping),
		TEST(pin_follows_a_page_that_was_moved),
		TEST(same_page_with_another_generation_is_mapped_again),
		TEST(drop_wipes_and_gives_back),
		TEST(unpin_without_pin_is_a_panic),
		TEST(race_of_pin_against_recall),
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
