// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where and when: a call on a chosen core, the same call on all cores at once, interrupts held off on purpose, and
 * batches one after the other with the longest single call of each kind.
 */
#include <linux/arm-smccc.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/slab.h>
#include <linux/timex.h>
#include <linux/workqueue.h>
#include <asm/arch_timer.h>
#include <flexkit/smc.h>
#include "flexattack.h"

#define BLOCK_MS_MAX 1000

struct attack_here {
	struct arm_smccc_1_2_regs args, res;
	u64 ms;
};

static long attack_smc_here(void *arg)
{
	struct attack_here *here = arg;

	arm_smccc_1_2_smc(&here->args, &here->res);
	return 0;
}

/* CORE X0 [X1 .. X3]: one SMC on that core. */
int attack_smcon(int argc, char **argv, struct seq_buf *out)
{
	struct attack_here here = {};
	u64 core, x[4] = {};
	int i;

	if (argc < 2 || argc > ARRAY_SIZE(x) + 1 || attack_number(argv[0], &core))
		return -EINVAL;
	for (i = 1; i < argc; i++)
		if (attack_number(argv[i], &x[i - 1]))
			return -EINVAL;
	here.args = (struct arm_smccc_1_2_regs){ .a0 = x[0], .a1 = x[1], .a2 = x[2], .a3 = x[3] };
	work_on_cpu(core, attack_smc_here, &here);
	seq_buf_printf(out, "x0: %lld\nx1: %#lx\nx2: %#lx\nx3: %#lx\n", (s64)here.res.a0, here.res.a1, here.res.a2,
		       here.res.a3);
	return 0;
}

/* One at a time, as all commands. */
static struct {
	struct arm_smccc_1_2_regs args, res[NR_CPUS];
	struct work_struct work[NR_CPUS];
	atomic_t missing;
} race;

/* In a thread, which interrupts reach: a secure thread that waits for one would never come back to a handler. */
static void attack_race_here(struct work_struct *unused)
{
	atomic_dec(&race.missing);
	while (atomic_read(&race.missing) > 0)
		cpu_relax();
	arm_smccc_1_2_smc(&race.args, &race.res[raw_smp_processor_id()]);
}

/* X0 [X1 .. X3]: the same SMC on all cores, at the same time. */
int attack_race(int argc, char **argv, struct seq_buf *out)
{
	u64 x[4] = {};
	int i;

	if (attack_numbers(argc, argv, x, ARRAY_SIZE(x)))
		return -EINVAL;
	race.args = (struct arm_smccc_1_2_regs){ .a0 = x[0], .a1 = x[1], .a2 = x[2], .a3 = x[3] };
	cpus_read_lock();
	atomic_set(&race.missing, num_online_cpus());
	for_each_online_cpu(i) {
		INIT_WORK(&race.work[i], attack_race_here);
		schedule_work_on(i, &race.work[i]);
	}
	for_each_online_cpu(i) {
		flush_work(&race.work[i]);
		seq_buf_printf(out, "cpu%d_x0: %lld\ncpu%d_x1: %#lx\n", i, (s64)race.res[i].a0, i, race.res[i].a1);
	}
	cpus_read_unlock();
	return 0;
}

static long attack_block_here(void *arg)
{
	struct attack_here *here = arg;
	unsigned long flags;

	local_irq_save(flags);
	mdelay(here->ms);
	local_irq_restore(flags);
	return 0;
}

/* CORE MS: no interrupt is served on that core for so long. */
int attack_block(int argc, char **argv, struct seq_buf *out)
{
	struct attack_here here = {};
	u64 core;

	if (argc != 2 || attack_number(argv[0], &core) || attack_number(argv[1], &here.ms) || here.ms > BLOCK_MS_MAX)
		return -EINVAL;
	return work_on_cpu(core, attack_block_here, &here);
}

/* A batch over our pages to its end. Each call is timed with interrupts off, so that what is pending waits for it. */
static s64 attack_timed_batch(u64 function, u32 count, u64 *longest, u64 *calls)
{
	struct arm_smccc_1_2_regs args, res = {};
	unsigned long flags;
	u64 begin, first = 0;

	do {
		args = (struct arm_smccc_1_2_regs){ .a0 = function, .a1 = firmware.mailboxes - 1, .a2 = first, .a3 = count };
		local_irq_save(flags);
		begin = __arch_counter_get_cntvct();
		arm_smccc_1_2_smc(&args, &res);
		*longest = max(*longest, __arch_counter_get_cntvct() - begin);
		local_irq_restore(flags);
		first = res.a1;
		(*calls)++;
		cond_resched();
	} while ((s64)res.a0 == FLEX_E_INTERRUPTED);
	return (s64)res.a0;
}

/* ROUNDS: all our pages are donated and recalled, so often. Longest single calls in ticks of the counter. */
int attack_churn(int argc, char **argv, struct seq_buf *out)
{
	u64 rounds, donate = 0, recall = 0, donates = 0, recalls = 0, i;
	u32 pages;
	const u64 *own;
	s64 ret = FLEX_OK;

	if (argc != 1 || attack_number(argv[0], &rounds))
		return -EINVAL;
	pages = attack_pages(&own);
	for (i = 0; i < rounds && ret == FLEX_OK; i++) {
		memcpy(firmware.mailbox->page, own, pages * sizeof(*own));
		ret = attack_timed_batch(FLEX_MON_DONATE, pages, &donate, &donates);
		if (ret == FLEX_OK)
			ret = attack_timed_batch(FLEX_MON_RECALL, pages, &recall, &recalls);
	}
	seq_buf_printf(out, "x0: %lld\nrounds: %llu\ndonate_calls: %llu\ndonate_longest: %llu\n", ret, i, donates, donate);
	seq_buf_printf(out, "recall_calls: %llu\nrecall_longest: %llu\n", recalls, recall);
	return 0;
}
