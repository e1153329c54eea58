// SPDX-License-Identifier: GPL-2.0-only
/* Batched calls, errors, mailboxes and the clock of a request. */
#include "test.h"

static void test_an_interrupted_batch_goes_on(void)
{
	const struct test_answer answer[] = { { FLEX_E_INTERRUPTED, 64 }, { FLEX_E_INTERRUPTED, 200 }, { FLEX_OK, 512 } };
	s64 error;

	test_answers(answer, ARRAY_SIZE(answer));
	expect(flex_monitor_batch(FLEX_MON_DONATE, 3, 512, &error) == 512 && error == FLEX_OK);
	expect(test_calls() == 3);
	expect(test_call(0)->a0 == FLEX_MON_DONATE && test_call(0)->a1 == 3);
	expect(test_call(0)->a2 == 0 && test_call(1)->a2 == 64 && test_call(2)->a2 == 200);
	expect(test_call(2)->a3 == 512);
}

static void test_a_batch_says_how_far_it_came(void)
{
	const struct test_answer answer[] = { { FLEX_E_INTERRUPTED, 64 }, { FLEX_E_STATE, 100 } };
	s64 error;

	test_answers(answer, ARRAY_SIZE(answer));
	expect(flex_monitor_batch(FLEX_MON_DONATE, 0, 512, &error) == 100 && error == FLEX_E_STATE);
}

/* x1 means nothing when nothing has changed. */
static void test_a_refused_batch_did_nothing(void)
{
	const struct test_answer answer[] = { { FLEX_E_INVAL, 77 } };
	s64 error;

	test_answers(answer, ARRAY_SIZE(answer));
	expect(flex_monitor_batch(FLEX_MON_RECALL, 0, 512, &error) == 0 && error == FLEX_E_INVAL);
}

/* Whatever the answer, progress stays inside the batch and never goes back. */
static void test_progress_is_bounded(void)
{
	const struct test_answer answer[] = { { FLEX_E_INTERRUPTED, 40 }, { FLEX_E_INTERRUPTED, 7 }, { FLEX_E_STATE, 1 << 20 } };
	s64 error;

	test_answers(answer, ARRAY_SIZE(answer));
	expect(flex_monitor_batch(FLEX_MON_RECALL, 0, 64, &error) == 64 && error == FLEX_E_STATE);
	expect(test_call(2)->a2 == 40);
}

static void test_errors_have_an_errno(void)
{
	s64 error;

	expect(flex_errno(FLEX_OK) == 0 && flex_errno(FLEX_TOS_YIELDED) == 0);
	for (error = FLEX_E_TIMEOUT; error < 0; error++)
		expect(flex_errno(error) < 0);
	expect(flex_errno(FLEX_E_MODEL) == -EKEYREJECTED && flex_errno(FLEX_E_PROMPT) == -EKEYREJECTED);
	expect(flex_errno(FLEX_E_PANIC) == -EIO && flex_errno(FLEX_E_TIMEOUT) == -ETIMEDOUT);
	expect(flex_errno(FLEX_E_CANCELLED) == -ECANCELED && flex_errno(FLEX_E_EXHAUSTED) == -ENOMEM);
	expect(flex_errno(-1000) == -EIO && flex_errno(INT64_MIN) == -EIO);
}

/* Reclaim gets the last one; the very last is nobody's. */
static void test_one_mailbox_is_kept_for_reclaim(void)
{
	struct flex_mailbox_lease *lease[4];

	flex_firmware.mailboxes = 2;
	expect(flex_mailboxes_init() == -EINVAL);
	flex_firmware.mailboxes = 4;
	flex_firmware.shared = calloc(4, sizeof(struct flex_mailbox));
	expect(!flex_mailboxes_init());
	lease[0] = flex_mailbox_get(false);
	lease[1] = flex_mailbox_get(false);
	lease[2] = flex_mailbox_get(true);
	expect(lease[0]->index == 1 && lease[1]->index == 2 && lease[2]->index == 0);
	flex_mailbox_put(lease[1]);
	lease[3] = flex_mailbox_get(true);
	expect(lease[3]->index == 2);
	expect(lease[3]->memory == (struct flex_mailbox *)flex_firmware.shared + 2);
	flex_mailbox_put(lease[0]);
	flex_mailbox_put(lease[2]);
	flex_mailbox_put(lease[3]);
	flex_mailboxes_exit();
	free(flex_firmware.shared);
}

static void test_parts_sum_to_the_first_token(void)
{
	struct flex_clock clock = { 0 };
	struct flex_breakdown b = { 0 };

	test_now = 1100;
	flex_clock_start(&clock, 1000);
	expect(flex_clock_enter(&clock, FLEX_PART_ALLOCATE) == FLEX_PART_SWITCH);
	test_now = 1130;
	expect(flex_clock_enter(&clock, FLEX_PART_READ) == FLEX_PART_ALLOCATE);
	test_now = 1200;
	flex_clock_enter(&clock, FLEX_PART_SWITCH);
	test_now = 1500;
	flex_clock_shift(&clock, FLEX_PART_PREFILL, 250);
	test_now = 1510;
	flex_clock_token(&clock, 1510);
	test_now = 1900;
	flex_clock_shift(&clock, FLEX_PART_PREFILL, 380);
	flex_clock_token(&clock, 1900);
	flex_clock_report(&clock, &b);

	expect(b.allocate == 30 && b.read == 70 && b.prefill == 250 && b.switch_ == 160);
	expect(b.allocate + b.read + b.donate + b.decrypt + b.prefill + b.switch_ == b.first_token - b.submitted);
	expect(b.submitted == 1000 && b.first_token == 1510 && b.finished == 1900);
	expect(flex_clock_enter(NULL, FLEX_PART_READ) == FLEX_PART_READ);
}

static void test_leaning_on_others_is_exposed_but_not_busy(void)
{
	struct flex_clock clock = { 0 };
	struct flex_breakdown b = { 0 };
	enum flex_part before;

	test_now = 1000;
	flex_clock_start(&clock, 1000);
	test_now = 1010;
	before = flex_clock_lean(&clock, FLEX_PART_DECRYPT);
	expect(before == FLEX_PART_SWITCH);
	test_now = 1050;
	flex_clock_stand(&clock, before);
	test_now = 1055;
	flex_clock_token(&clock, 1055);
	flex_clock_report(&clock, &b);
	expect(b.decrypt == 40 && b.decrypt_busy == 0);
	expect(b.switch_ == 15 && b.switch_busy == 15);
	flex_clock_stand(NULL, flex_clock_lean(NULL, FLEX_PART_READ));
}

static enum flex_part seen[] = { FLEX_PART_READ, FLEX_PART_READ, FLEX_PART_DONATE };
static u32 looks;

/* Others read for 300 ticks, in two looks, then donate for 50. */
static bool follow_others(void *context, enum flex_part *part)
{
	expect(context == &looks);
	if (looks == ARRAY_SIZE(seen))
		return true;
	test_now += looks ? 150 : 0;
	*part = seen[looks++];
	return false;
}

static void test_waiting_is_exposed_but_not_busy(void)
{
	const struct flex_work before = { .busy = { [FLEX_PART_READ] = 7 }, .loaded = 3 };
	const struct flex_work now = { .busy = { [FLEX_PART_READ] = 507, [FLEX_PART_DONATE] = 60 }, .loaded = 13 };
	struct flex_clock clock = { 0 };
	struct flex_breakdown b = { 0 };
	wait_queue_head_t wait;

	looks = 0;
	test_now = 0;
	flex_clock_start(&clock, 0);
	flex_clock_enter(&clock, FLEX_PART_PREFILL);
	test_now = 1000;
	flex_clock_follow(&clock, &wait, follow_others, &looks);
	expect(clock.part == FLEX_PART_PREFILL);
	test_now += 10;
	flex_clock_work(&clock, &before, &now);
	flex_clock_token(&clock, test_now);
	flex_clock_work(&clock, &before, &now); /* after the first token: pages count, times do not */
	flex_clock_report(&clock, &b);
	expect(b.read == 300 && b.donate == 0 && b.prefill == 1010 && b.switch_ == 0);
	expect(b.read_busy == 500 && b.donate_busy == 60 && b.prefill_busy == 1010);
	expect(b.allocate + b.read + b.donate + b.decrypt + b.prefill + b.switch_ == b.first_token - b.submitted);
	expect(b.loaded_pages == 20);
	looks = 0;
	flex_clock_follow(NULL, &wait, follow_others, &looks);
}

static void test_a_core_that_others_had_is_theirs(void)
{
	struct flex_clock clock = { 0 };
	struct flex_breakdown b = { 0 };

	test_now = 1000;
	flex_clock_start(&clock, 1000);
	test_now = 1100;
	flex_clock_yield(&clock, FLEX_PART_DECRYPT, 70);
	flex_clock_shift(&clock, FLEX_PART_PREFILL, 20);
	flex_clock_token(&clock, 1110);
	test_now = 1200;
	flex_clock_yield(&clock, FLEX_PART_DECRYPT, 50); /* after the first token: no part of it */
	flex_clock_report(&clock, &b);
	expect(b.decrypt == 70 && b.decrypt_busy == 0 && b.prefill == 20 && b.prefill_busy == 20);
	expect(b.switch_ == 20 && b.switch_busy == 20);
}

int main(void)
{
	test_an_interrupted_batch_goes_on();
	test_a_batch_says_how_far_it_came();
	test_a_refused_batch_did_nothing();
	test_progress_is_bounded();
	test_errors_have_an_errno();
	test_one_mailbox_is_kept_for_reclaim();
	test_parts_sum_to_the_first_token();
	test_leaning_on_others_is_exposed_but_not_busy();
	test_waiting_is_exposed_but_not_busy();
	test_a_core_that_others_had_is_theirs();
	return 0;
}
