/* SPDX-License-Identifier: BSD-3-Clause */
/* The gate: who is in, what a panic does to it, and the restart, which gives back what the dead service held. */
#include "runtime.h"
#include "serving.h"
#include "test.h"

/* The service's memory, as the linker script would name it: here a part of it that the test can look at. */
char fake_bss[64];
__asm__(".globl __bss_start\n.set __bss_start, fake_bss\n.globl __bss_end\n.set __bss_end, fake_bss + 64\n");

const struct flex_vectors rt_vectors;
extern int fake_interrupt;

void rt_mmu_build(void)
{
}

void rt_boot_done(uint64_t vectors, uint64_t high, uint64_t low, uint64_t debug)
{
	EQUAL(vectors, (uint64_t)&rt_vectors);
	EQUAL(high, 0x0001020304050607);
	EQUAL(low, 0x08090a0b0c0d0e0f);
	EQUAL(debug, 0);
	longjmp(*fake_panic_expected, 1);
}

__attribute__((noreturn)) void rt_boot(void);
void rt_early(void);

static void boot(void)
{
	jmp_buf here;

	rt_early();
	fake_core = &rt_cores[0];
	fake_panic_expected = &here;
	if (!setjmp(here))
		rt_boot();
	fake_panic_expected = NULL;
}

static void boot_reports_the_identity(void)
{
	boot();
	EQUAL(rt_epoch(), 1);
	CHECK(!rt_dying());
}

static void many_may_be_inside(void)
{
	boot();
	for (unsigned int i = 0; i < 5; i++)
		EQUAL(rt_gate_enter(), FLEX_OK);
	for (unsigned int i = 0; i < 5; i++)
		rt_gate_leave();
	EQUAL(rt_epoch(), 1);
}

static void restart_waits_for_the_last_to_leave(void)
{
	boot();
	EQUAL(rt_gate_enter(), FLEX_OK);
	EQUAL(rt_gate_enter(), FLEX_OK);
	rt_gate_die();
	CHECK(rt_dying());
	rt_gate_leave();
	EQUAL(rt_gate_enter(), FLEX_E_BUSY);
	EQUAL(rt_epoch(), 1);
	rt_gate_leave();
	memset(fake_bss, 7, sizeof(fake_bss));
	EQUAL(rt_gate_enter(), FLEX_OK);
	EQUAL(rt_epoch(), 2);
	CHECK(!rt_dying());
	for (unsigned int i = 0; i < sizeof(fake_bss); i++)
		EQUAL(fake_bss[i], 0);
}

static void restart_unpins_and_drops_every_slot(void)
{
	struct rt_call call;
	uint64_t hole;

	boot();
	call = fake_call(FLEX_OP_MODEL_OPEN, 700 * FLEX_PAGE_SIZE, 0, 0, 0);
	EQUAL(call.status, FLEX_TOS_DONE);
	for (uint64_t i = 0; i < 600; i += 3)
		EQUAL(fake_give(i, i), FLEX_TOS_DONE);
	EQUAL(srv_pin(300, 1, &hole), FLEX_OK);
	EQUAL(srv_pin(300, 1, &hole), FLEX_OK);
	EQUAL(fake_recall(1, 300), FLEX_E_PINNED);
	rt_gate_die();
	EQUAL(rt_gate_enter(), FLEX_OK);
	for (uint64_t i = 0; i < FLEX_BOARD_SLOTS; i++)
		EQUAL(rt_slot_words()[i] >> FLEX_SLOT_STATE_SHIFT, FLEX_SLOT_EMPTY);
	/* Not the NW's yet: what they hold is scrubbed when it takes them. */
	for (uint64_t i = 0; i < 600; i += 3) {
		CHECK(!fake_is_nw(i));
		EQUAL(fake_recall(1, i), FLEX_OK);
	}
}

static void restart_gives_way_to_interrupts_and_ends_all_the_same(void)
{
	unsigned int entries = 0;

	boot();
	rt_gate_die();
	fake_interrupt = 1;
	while (rt_gate_enter() == FLEX_E_BUSY) {
		CHECK(++entries < 1000);
		EQUAL(rt_epoch(), 1);
	}
	CHECK(entries > 0);
	EQUAL(rt_epoch(), 2);
	rt_gate_leave();
	fake_interrupt = 0;
	/* And the next panic starts from the first slot again. */
	rt_gate_die();
	EQUAL(rt_gate_enter(), FLEX_OK);
	EQUAL(rt_epoch(), 3);
}

int main(void)
{
	static const struct test tests[] = {
		TEST(boot_reports_the_identity),
		TEST(many_may_be_inside),
		TEST(restart_waits_for_the_last_to_leave),
		TEST(restart_unpins_and_drops_every_slot),
		TEST(restart_gives_way_to_interrupts_and_ends_all_the_same),
	};

	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
