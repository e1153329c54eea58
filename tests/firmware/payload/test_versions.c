/* SPDX-License-Identifier: BSD-3-Clause */
/* Minimum versions: they only rise, whenever power goes. */
#include "fake_flash.h"
#include "test.h"
#include "versions.h"

#define PLACES (FLEX_BOARD_FLASH_BLOCK / 32 - 1) /* of a block's records, its head apart */

static const struct versions_flash flash = {
	.words = FLEX_BOARD_FLASH_BLOCK / 4,
	.read = rt_flash_read,
	.program = rt_flash_program,
	.erase = rt_flash_erase,
};

static int admit(unsigned int model, uint64_t version)
{
	struct seal seal = { .version = version };

	memcpy(seal.model, &model, sizeof(model));
	return versions_admit(&flash, &seal);
}

static void an_older_version_is_refused(void)
{
	EQUAL(admit(1, 2), 0);
	EQUAL(admit(1, 1), FLEX_SEALED_E_OLD);
	EQUAL(admit(1, 2), 0);
	EQUAL(admit(1, UINT64_MAX), 0);
	EQUAL(admit(1, UINT64_MAX - 1), FLEX_SEALED_E_OLD);
	EQUAL(admit(1, UINT64_MAX), 0);
}

static void models_have_versions_of_their_own(void)
{
	EQUAL(admit(1, 5), 0);
	EQUAL(admit(2, 3), 0);
	EQUAL(admit(1, 4), FLEX_SEALED_E_OLD);
	EQUAL(admit(2, 3), 0);
	EQUAL(admit(3, 1), 0);
}

static void what_says_nothing_new_is_not_written(void)
{
	uint64_t steps;

	EQUAL(admit(1, 1), 0);
	EQUAL(fake_flash_steps(), 0);
	EQUAL(admit(1, 2), 0);
	steps = fake_flash_steps();
	EQUAL(admit(1, 2), 0);
	EQUAL(admit(1, 1), FLEX_SEALED_E_OLD);
	EQUAL(admit(2, 0), FLEX_SEALED_E_OLD); /* there is no such version */
	EQUAL(fake_flash_steps(), steps);
}

static void a_full_log_is_written_again_without_what_is_outdated(void)
{
	for (uint64_t version = 2; version < 10 * PLACES; version++) {
		EQUAL(admit(version % 3, version), 0);
		EQUAL(admit(version % 3, version - 1), FLEX_SEALED_E_OLD);
	}
	for (unsigned int model = 0; model < 3; model++)
		EQUAL(admit(model, 10 * PLACES - 4), FLEX_SEALED_E_OLD);
}

static void more_models_than_there_is_room_for_are_refused(void)
{
	for (unsigned int model = 0; model < PLACES; model++)
		EQUAL(admit(model, 2), 0);
	EQUAL(admit(PLACES, 2), FLEX_SEALED_E_STORE);
	EQUAL(admit(PLACES, 1), 0);
	for (unsigned int model = 0; model < PLACES; model++) {
		EQUAL(admit(model, 2), 0);
		EQUAL(admit(model, 1), FLEX_SEALED_E_OLD);
	}
}

static void flash_that_fails_refuses_what_is_new(void)
{
	EQUAL(admit(1, 2), 0);
	fake_flash_power_for(0);
	EQUAL(admit(1, 3), FLEX_SEALED_E_STORE);
	EQUAL(admit(1, 2), 0);
	EQUAL(admit(1, 1), FLEX_SEALED_E_OLD);
}

/* What it reports as written is compared with what is there. */
static void flash_that_lies_is_not_believed(void)
{
	EQUAL(admit(1, 2), 0);
	/* The next record's place: one bit of it is 0 already. */
	fake_flash_wear(0, 2 * 8 + 4, 1);
	EQUAL(admit(1, 3), 0); /* behind it */
	EQUAL(admit(1, 2), FLEX_SEALED_E_OLD);
}

/* One bit of the head that counts goes: whatever is asked for, nothing is believed, until the flash is cleared. */
static void a_damaged_log_refuses_everything(uint64_t versions, uint32_t block)
{
	uint64_t steps;

	fake_flash_reset();
	for (uint64_t version = 2; version < 2 + versions; version++)
		EQUAL(admit(1, version), 0);
	fake_flash_wear(block, 0, 2); /* of an 'f' */
	steps = fake_flash_steps();
	for (unsigned int model = 1; model < 3; model++) {
		EQUAL(admit(model, 1), FLEX_SEALED_E_LOST);
		EQUAL(admit(model, 1 + versions), FLEX_SEALED_E_LOST);
		EQUAL(admit(model, UINT64_MAX), FLEX_SEALED_E_LOST);
	}
	EQUAL(fake_flash_steps(), steps);
	CHECK(rt_flash_erase(0) && rt_flash_erase(1));
	EQUAL(admit(1, 1), 0);
	EQUAL(admit(1, 2), 0);
	EQUAL(admit(1, 1), FLEX_SEALED_E_OLD);
}

static void what_was_kept_and_cannot_be_read_is_not_forgotten(void)
{
	a_damaged_log_refuses_everything(1, 0);
	a_damaged_log_refuses_everything(PLACES, 0);
}

/* Not even an older log is taken for it. */
static void a_log_that_was_written_again_is_the_only_one(void)
{
	a_damaged_log_refuses_everything(PLACES + 1, 1);
	a_damaged_log_refuses_everything(PLACES + 2, 1);
	a_damaged_log_refuses_everything(2 * PLACES, 0);
}

/* Erased, where new media are all zero: nothing has been kept either. */
static void an_erased_flash_has_kept_nothing(void)
{
	CHECK(rt_flash_erase(0) && rt_flash_erase(1));
	EQUAL(admit(1, 1), 0);
	EQUAL(admit(1, 7), 0);
	EQUAL(admit(1, 6), FLEX_SEALED_E_OLD);
}

/* A history of versions of three models, rewritten twice on the way; versions rise by one each time. */
#define HISTORY (3 * PLACES)

/* Until power goes; `seen`: the last version of each that was taken. False: it came to the end. */
static bool live_until_power_goes(uint64_t seen[3])
{
	for (uint64_t i = 0; i < HISTORY; i++) {
		uint64_t version = 2 + i / 3;

		if (admit(i % 3, version) != 0)
			return true;
		seen[i % 3] = version;
	}
	return false;
}

/* Whatever was under way may have come to its end or not; nothing that was taken is forgotten. */
static void nothing_is_forgotten(const uint64_t seen[3])
{
	for (unsigned int model = 0; model < 3; model++) {
		if (seen[model] > 1)
			EQUAL(admit(model, seen[model] - 1), FLEX_SEALED_E_OLD);
		EQUAL(admit(model, seen[model] + 1), 0);
		EQUAL(admit(model, seen[model]), FLEX_SEALED_E_OLD);
	}
}

static void power_may_go_at_any_step(void)
{
	uint64_t step = 0;
	bool went;

	do {
		uint64_t seen[3] = { 1, 1, 1 };

		fake_flash_reset();
		fake_flash_power_for(step);
		went = live_until_power_goes(seen);
		fake_flash_power_back();
		nothing_is_forgotten(seen);
		step++;
	} while (went);
	CHECK(step > 8 * HISTORY); /* every word of every record, at least */
}

int main(void)
{
	static const struct test tests[] = {
		TEST(an_older_version_is_refused),
		TEST(models_have_versions_of_their_own),
		TEST(what_says_nothing_new_is_not_written),
		TEST(a_full_log_is_written_again_without_what_is_outdated),
		TEST(more_models_than_there_is_room_for_are_refused),
		TEST(flash_that_fails_refuses_what_is_new),
		TEST(flash_that_lies_is_not_believed),
		TEST(what_was_kept_and_cannot_be_read_is_not_forgotten),
		TEST(a_log_that_was_written_again_is_the_only_one),
		TEST(an_erased_flash_has_kept_nothing),
		TEST(power_may_go_at_any_step),
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
