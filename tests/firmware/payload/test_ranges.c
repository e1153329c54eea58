/* SPDX-License-Identifier: BSD-3-Clause */
/* Ranges: never two owners of one page, whatever the order of taking and giving. */
#include "serving.h"
#include "test.h"

static void lowest_gap_is_taken(void)
{
	struct srv_space space = { .size = 10 };
	struct srv_range a, b, c, d;

	CHECK(srv_space_take(&space, 4, &a));
	CHECK(srv_space_take(&space, 4, &b));
	CHECK(!srv_space_take(&space, 3, &c));
	CHECK(srv_space_take(&space, 2, &c));
	EQUAL(a.first, 0);
	EQUAL(b.first, 4);
	EQUAL(c.first, 8);
	CHECK(!srv_space_take(&space, 1, &d));
	srv_space_give(&space, &a);
	CHECK(!srv_space_take(&space, 5, &d));
	CHECK(srv_space_take(&space, 3, &d));
	EQUAL(d.first, 0);
}

static void nothing_and_too_much_are_refused(void)
{
	struct srv_space space = { .size = 10 };
	struct srv_range range;

	CHECK(!srv_space_take(&space, 0, &range));
	CHECK(!srv_space_take(&space, 11, &range));
	CHECK(!srv_space_take(&space, ~0ULL, &range));
	CHECK(srv_space_take(&space, 10, &range));
}

static void places_run_out_before_the_list_overflows(void)
{
	struct srv_space space = { .size = 1000 };
	struct srv_range range[SRV_RANGES], one_more;

	for (unsigned int i = 0; i < SRV_RANGES; i++)
		CHECK(srv_space_take(&space, 1, &range[i]));
	CHECK(!srv_space_take(&space, 1, &one_more));
}

static void owners_never_overlap(void)
{
	struct srv_space space = { .size = 64 };
	struct srv_range held[SRV_RANGES] = { { 0, 0 } };
	uint64_t seed = 12345;

	printf("seed %llu\n", (unsigned long long)seed);
	for (unsigned int round = 0; round < 20000; round++) {
		uint8_t owner[64] = { 0 };
		unsigned int i;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		i = (unsigned int)(seed >> 33) % SRV_RANGES;
		if (held[i].count) {
			srv_space_give(&space, &held[i]);
			held[i].count = 0;
		} else if (!srv_space_take(&space, 1 + (seed >> 50) % 12, &held[i])) {
			held[i].count = 0;
		}
		for (i = 0; i < SRV_RANGES; i++) {
			for (uint64_t page = held[i].first; page < held[i].first + held[i].count; page++) {
				CHECK(page < 64);
				EQUAL(owner[page]++, 0);
			}
		}
	}
}

int main(void)
{
	static const struct test tests[] = {
		TEST(lowest_gap_is_taken),
		TEST(nothing_and_too_much_are_refused),
		TEST(places_run_out_before_the_list_overflows),
		TEST(owners_never_overlap),
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
