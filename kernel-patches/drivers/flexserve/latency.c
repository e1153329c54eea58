// SPDX-License-Identifier: GPL-2.0-only
/*
 * How late interrupts are served: a timer on each core that notes when it fired against when it was to fire, and
 * whether the firmware had the core until then (the interrupted instruction is the one after our SMC). Written to
 * /sys/kernel/debug/flexserve/latency: a period in microseconds, 0 stops; read: nanoseconds, one "name: value" a line.
 */
#include <linux/arm-smccc.h>
#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/hrtimer.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/insn.h>
#include <asm/irq_regs.h>
#include "flexserve.h"

#define PERIOD_MIN_US 100
#define PERIOD_MAX_US 1000000
#define STEP_BITS 5 /* steps in each power of two: quantiles are exact to 1/32 */
#define STEPS BIT(STEP_BITS)
#define BUCKETS (STEPS * (40 - STEP_BITS)) /* up to 2^39 ns */
#define SMC_SEARCH 32 /* instructions of arm_smccc_1_2_smc() */

struct flex_lateness {
	u64 samples;
	u64 max;
	u32 bucket[BUCKETS];
};

/* One core's; written by its timer alone. */
struct flex_latency {
	struct hrtimer timer;
	struct flex_lateness all;
	struct flex_lateness secure; /* those that came while the firmware had the core */
};

static DEFINE_MUTEX(flex_latency_lock); /* starts and stops one at a time; guards what follows */
static struct flex_latency __percpu *flex_latency;
static u64 flex_latency_period;
static bool flex_latency_running;
static unsigned long flex_smc_return;

static u32 flex_lateness_bucket(u64 ns)
{
	u32 power;

	if (ns < STEPS)
		return ns;
	power = ilog2(ns) - STEP_BITS;
	return min_t(u32, (power + 1) * STEPS + ((ns >> power) & (STEPS - 1)), BUCKETS - 1);
}

/* The least value that falls into a bucket. */
static u64 flex_lateness_floor(u32 bucket)
{
	if (bucket < STEPS)
		return bucket;
	return (u64)(STEPS + bucket % STEPS) << (bucket / STEPS - 1);
}

static void flex_lateness_note(struct flex_lateness *late, u64 ns)
{
	late->samples++;
	late->max = max(late->max, ns);
	late->bucket[flex_lateness_bucket(ns)]++;
}

/* What @per_mille of a thousand samples do not exceed, to the width of a bucket. */
static u64 flex_lateness_quantile(const struct flex_lateness *late, u32 per_mille)
{
	u64 rank = DIV_ROUND_UP(late->samples * per_mille, 1000), seen = 0;
	u32 i;

	for (i = 0; i < BUCKETS - 1; i++) {
		seen += late->bucket[i];
		if (seen >= rank)
			break;
	}
	return min(flex_lateness_floor(i + 1), late->max);
}

/* Interrupts off, on the timer's core. */
static enum hrtimer_restart flex_latency_fire(struct hrtimer *timer)
{
	struct flex_latency *mine = container_of(timer, struct flex_latency, timer);
	s64 late = ktime_to_ns(ktime_sub(ktime_get(), hrtimer_get_expires(timer)));
	struct pt_regs *regs = get_irq_regs();

	flex_lateness_note(&mine->all, max(late, 0LL));
	if (regs && instruction_pointer(regs) == flex_smc_return)
		flex_lateness_note(&mine->secure, max(late, 0LL));
	hrtimer_forward_now(timer, ns_to_ktime(flex_latency_period));
	return HRTIMER_RESTART;
}

static void flex_latency_start_here(void *unused)
{
	struct flex_latency *mine = this_cpu_ptr(flex_latency);

	hrtimer_start(&mine->timer, ns_to_ktime(flex_latency_period), HRTIMER_MODE_REL_PINNED_HARD);
}

static void flex_latency_stop(void)
{
	int cpu;

	if (!flex_latency_running)
		return;
	for_each_possible_cpu(cpu)
		hrtimer_cancel(&per_cpu_ptr(flex_latency, cpu)->timer);
	flex_latency_running = false;
}

static int flex_latency_start(u64 period_us)
{
	int cpu;

	if (period_us < PERIOD_MIN_US || period_us > PERIOD_MAX_US)
		return -EINVAL;
	if (!flex_latency)
		flex_latency = alloc_percpu(struct flex_latency);
	if (!flex_latency)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct flex_latency *core = per_cpu_ptr(flex_latency, cpu);

		memset(core, 0, sizeof(*core));
		hrtimer_init(&core->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
		core->timer.function = flex_latency_fire;
	}
	flex_latency_period = period_us * NSEC_PER_USEC;
	flex_latency_running = true;
	on_each_cpu(flex_latency_start_here, NULL, 1);
	return 0;
}

static ssize_t flex_latency_write(struct file *file, const char __user *user, size_t bytes, loff_t *position)
{
	u64 period_us;
	int ret = kstrtou64_from_user(user, bytes, 0, &period_us);

	if (ret)
		return ret;
	mutex_lock(&flex_latency_lock);
	flex_latency_stop();
	if (period_us)
		ret = flex_latency_start(period_us);
	mutex_unlock(&flex_latency_lock);
	return ret ? ret : bytes;
}

static void flex_lateness_show(struct seq_file *m, int cpu, const char *which, const struct flex_lateness *late)
{
	seq_printf(m, "cpu%d_%s_samples: %llu\n", cpu, which, late->samples);
	seq_printf(m, "cpu%d_%s_p50: %llu\n", cpu, which, flex_lateness_quantile(late, 500));
	seq_printf(m, "cpu%d_%s_p999: %llu\n", cpu, which, flex_lateness_quantile(late, 999));
	seq_printf(m, "cpu%d_%s_max: %llu\n", cpu, which, late->max);
}

static int flex_latency_show(struct seq_file *m, void *unused)
{
	int cpu;

	mutex_lock(&flex_latency_lock);
	for_each_possible_cpu(cpu) {
		if (!flex_latency)
			break;
		flex_lateness_show(m, cpu, "all", &per_cpu_ptr(flex_latency, cpu)->all);
		flex_lateness_show(m, cpu, "secure", &per_cpu_ptr(flex_latency, cpu)->secure);
	}
	mutex_unlock(&flex_latency_lock);
	return 0;
}

static int flex_latency_open(struct inode *inode, struct file *file)
{
	return single_open(file, flex_latency_show, NULL);
}

static const struct file_operations flex_latency_fops = {
	.owner = THIS_MODULE,
	.open = flex_latency_open,
	.read = seq_read,
	.write = flex_latency_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* The address after the SMC through which all our calls go, or 0. */
static unsigned long flex_find_smc_return(void)
{
	const __le32 *code = (const __le32 *)arm_smccc_1_2_smc;
	u32 i;

	for (i = 0; i < SMC_SEARCH; i++)
		if (aarch64_insn_is_smc(le32_to_cpu(code[i])))
			return (unsigned long)&code[i + 1];
	return 0;
}

/** flex_latency_init() - its file in the driver's debugfs folder */
void flex_latency_init(struct dentry *folder)
{
	flex_smc_return = flex_find_smc_return();
	debugfs_create_file("latency", 0600, folder, NULL, &flex_latency_fops);
}
