// SPDX-License-Identifier: GPL-2.0-only
/* Sessions between prompts: what is used again, what makes room, and what a panic leaves. */
#include "test.h"

#define SLOTS 1024
#define PAGES 100
#define PLACES 3	/* sessions that the payload of this test has room for */

static u32 epoch, opened, closed, released;
static bool used[PLACES];

u32 flex_payload_epoch(void)
{
	return epoch;
}

struct flex_session_comm *flex_session_comm(u32 session)
{
	static struct flex_session_comm comm[PLACES];

	return session < PLACES ? &comm[session] : NULL;
}

static s64 open_place(struct arm_smccc_1_2_regs *result)
{
	u32 place = 0;

	while (place < PLACES && used[place])
		place++;
	if (place == PLACES)
		return FLEX_E_EXHAUSTED;
	used[place] = true;
	opened++;
	result->a2 = place;
	result->a3 = place * PAGES;
	result->a4 = PAGES;
	return FLEX_OK;
}

s64 flex_payload_call(u64 op, u64 a1, u64 a2, u64 a3, struct arm_smccc_1_2_regs *result)
{
	if (op == FLEX_OP_SESSION_OPEN)
		return open_place(result);
	expect(op == FLEX_OP_SESSION_CLOSE && a1 < PLACES && used[a1]);
	used[a1] = false;
	closed++;
	return FLEX_OK;
}

int flex_range_release(struct flex_range *range)
{
	flex_range_remove(range);
	released++;
	return 0;
}

static struct flex_session *get(u32 model, u32 context)
{
	struct flex_session *session;
	s64 error;

	session = flex_session_get(model, context, 2, NULL, &error);
	expect(!IS_ERR(session) && error == FLEX_OK);
	return session;
}

static void test_the_second_prompt_opens_nothing(void)
{
	struct flex_session *session = get(1, 512), *other;
	u32 id = session->id;

	flex_session_put(session);
	session = get(1, 512);
	expect(session->id == id && opened == 1 && closed == 0);
	/* In use: another prompt gets another one. So do another context and another model. */
	other = get(1, 512);
	expect(other->id != id && opened == 2);
	flex_session_put(other);
	flex_session_put(session);
	other = get(1, 256);
	expect(opened == 3 && closed == 0);
	flex_session_put(other);
	flex_sessions_close(1, epoch);
	expect(closed == 3 && released == 3);
}

/* What one group is charged for does not serve another. */
static void test_a_session_serves_one_group(void)
{
	struct mem_cgroup lab = { 0 };
	struct obj_cgroup of_lab = { &lab };
	struct flex_session *ours = get(1, 512), *labs;
	u32 id = ours->id, before = opened;
	s64 error;

	flex_session_put(ours);
	labs = flex_session_get(1, 512, 2, &of_lab, &error);
	expect(!IS_ERR(labs) && labs->id != id && opened == before + 1);
	expect(labs->memory.group == &of_lab);
	flex_session_put(labs);
	expect(flex_session_get(1, 512, 2, &of_lab, &error) == labs && get(1, 512) == ours);
	flex_session_put(ours);
	flex_session_put(labs);
	flex_sessions_close(1, epoch);
}

static void test_the_longest_idle_makes_room(void)
{
	struct flex_session *a = get(1, 512), *b = get(2, 512), *c = get(3, 512), *d;
	u32 before = closed;
	s64 error;

	d = flex_session_get(4, 512, 1, NULL, &error);
	expect(IS_ERR(d) && PTR_ERR(d) == -ENOMEM && error == FLEX_E_EXHAUSTED);
	flex_session_put(b);
	flex_session_put(a);
	d = get(4, 512);
	expect(closed == before + 1 && d->id == 1);
	flex_session_put(c);
	flex_session_put(d);
	while (flex_session_evict())
		;
	expect(closed == before + 4);
}

/* The payload knows them no more: nothing is asked of it, their pages come back. */
static void test_a_panic_leaves_no_session(void)
{
	struct flex_session *idle = get(1, 512), *busy = get(1, 512);
	u32 calls = closed, gone = released;

	flex_session_put(idle);
	epoch++;
	memset(used, 0, sizeof(used));
	flex_session_put(busy);
	expect(released == gone + 1);
	flex_sessions_close(7, epoch);
	expect(released == gone + 2 && closed == calls);
	idle = get(1, 512);
	flex_session_put(idle);
	flex_sessions_close(1, epoch);
	expect(released == gone + 3 && closed == calls + 1);
}

int main(void)
{
	expect(!flex_slots_init(SLOTS));
	test_the_second_prompt_opens_nothing();
	test_a_session_serves_one_group();
	test_the_longest_idle_makes_room();
	test_a_panic_leaves_no_session();
	flex_slots_exit();
	return 0;
}
