// SPDX-License-Identifier: GPL-2.0-only
/* What the driver's files share with those that are not tested here, and the firmware that the tests play. */
#include "test.h"

#define CALLS_MAX 64

struct flex_firmware flex_firmware;
struct page fake_page[4096];
atomic64_t flex_counts[FLEX_COUNTS];
atomic_long_t flex_secure_pages;
u64 test_now;
unsigned char test_comm[FLEX_COMM_SIZE] __attribute__((aligned(8)));

static struct test_answer answers[CALLS_MAX];
static struct arm_smccc_1_2_regs calls[CALLS_MAX];
static u32 answer_count, call_count;

u64 __arch_counter_get_cntvct(void)
{
	return test_now;
}

void test_answers(const struct test_answer *answer, u32 count)
{
	memcpy(answers, answer, count * sizeof(*answer));
	answer_count = count;
	call_count = 0;
}

const struct arm_smccc_1_2_regs *test_call(u32 n)
{
	expect(n < call_count);
	return &calls[n];
}

u32 test_calls(void)
{
	return call_count;
}

void arm_smccc_1_2_smc(const struct arm_smccc_1_2_regs *args, struct arm_smccc_1_2_regs *res)
{
	struct test_answer answer = { FLEX_E_UNKNOWN, 0 };

	expect(call_count < CALLS_MAX);
	if (call_count < answer_count)
		answer = answers[call_count];
	calls[call_count++] = *args;
	memset(res, 0, sizeof(*res));
	res->a0 = (unsigned long)answer.status;
	res->a1 = answer.x1;
}

struct flex_mailbox_lease *test_lease(void)
{
	struct flex_mailbox_lease *lease = calloc(1, sizeof(*lease));

	lease->memory = calloc(1, sizeof(*lease->memory));
	return lease;
}

void test_lease_free(struct flex_mailbox_lease *lease)
{
	free(lease->memory);
	free(lease);
}

/* group.c and reclaim.c are the kernel's business; what slots.c wants of them is this. */
bool flex_group_within(struct obj_cgroup *group, struct mem_cgroup *memcg, bool exact)
{
	struct mem_cgroup *charged = group ? group->memcg : NULL;

	while (!exact && charged && charged != memcg)
		charged = charged->parent;
	return charged == memcg;
}

enum flex_guard flex_group_guard(struct obj_cgroup *group, struct mem_cgroup *target)
{
	return group ? group->memcg->guard : FLEX_GUARD_NONE;
}

void flex_reclaim_mark(struct obj_cgroup *group)
{
}

struct obj_cgroup *flex_group_get(struct obj_cgroup *group)
{
	return group;
}

void flex_group_put(struct obj_cgroup *group)
{
}

struct flex_status *flex_status(void)
{
	return (struct flex_status *)test_comm;
}
