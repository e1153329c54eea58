// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be looked at: identity and sizes in sysfs (with the device),
 * counters and the place of every secure page in debugfs.
 */
#include <linux/ctype.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/flexserve.h>
#include <linux/seq_file.h>
#include <linux/sysfs.h>
#include <linux/utsname.h>
#include "memory.h"

atomic64_t flex_counts[FLEX_COUNTS];
atomic_long_t flex_secure_pages;

static const char * const flex_count_names[FLEX_COUNTS] = {
	[FLEX_COUNT_DONATED] = "donated",
	[FLEX_COUNT_RECALLED] = "recalled",
	[FLEX_COUNT_RECALL_PINNED] = "recall_pinned",
	[FLEX_COUNT_SHRINKER_CALLS] = "shrinker_calls",
	[FLEX_COUNT_SHRINKER_PAGES] = "shrinker_pages",
	[FLEX_COUNT_RECLAIM_CALLS] = "reclaim_calls",
	[FLEX_COUNT_RECLAIM_PAGES] = "reclaim_pages",
	[FLEX_COUNT_MOVED] = "moved",
	[FLEX_COUNT_PREEMPTIONS] = "preemptions",
	[FLEX_COUNT_MIGRATIONS] = "migrations",
	[FLEX_COUNT_RELOADS] = "reloads",
	[FLEX_COUNT_SEALED] = "sealed",
	[FLEX_COUNT_LOST] = "lost",
};

static const char * const flex_stat_names[FLEX_STAT_COUNT] = {
	[FLEX_STAT_DONATED] = "monitor_donated",
	[FLEX_STAT_RECALLED] = "monitor_recalled",
	[FLEX_STAT_SECURE_PAGES] = "monitor_secure_pages",
	[FLEX_STAT_TLBI] = "monitor_tlbi",
	[FLEX_STAT_EL3_MAX_TICKS] = "monitor_el3_max_ticks",
	[FLEX_STAT_EL3_MAX_CALL] = "monitor_el3_max_call",
	[FLEX_STAT_FAULTS] = "monitor_faults",
	[FLEX_STAT_SWITCHES] = "monitor_switches",
	[FLEX_STAT_PANICS] = "monitor_panics",
	[FLEX_STAT_PROTECT_ON_TICKS] = "monitor_protect_on_ticks",
	[FLEX_STAT_PROTECT_OFF_TICKS] = "monitor_protect_off_ticks",
	[FLEX_STAT_RESET_SCRUBBED] = "monitor_reset_scrubbed",
	[FLEX_STAT_SMMU_INVALIDATIONS] = "monitor_smmu_invalidations",
	[FLEX_STAT_MOVED] = "monitor_moved",
	[FLEX_STAT_DMA_BLOCKED] = "monitor_dma_blocked",
	[FLEX_STAT_SCRUB_TICKS] = "monitor_scrub_ticks",
	[FLEX_STAT_SMMU_TICKS] = "monitor_smmu_ticks",
};

/** flex_monitor_stat() - counter @index (FLEX_STAT_*) of the monitor, or 0 when there is none */
u64 flex_monitor_stat(u32 index)
{
	struct arm_smccc_1_2_regs res;

	return flex_smc(FLEX_MON_STAT, index, 0, 0, &res) == FLEX_OK ? res.a1 : 0;
}

/**
 * flex_stats_fill() - counters for uapi.h
 * @out: zeroed
 */
void flex_stats_fill(struct flex_ioc_stats *out)
{
	u32 i;

	BUILD_BUG_ON(ARRAY_SIZE(out->monitor) < FLEX_STAT_COUNT);
	for (i = 0; i < FLEX_STAT_COUNT; i++)
		out->monitor[i] = flex_monitor_stat(i);
	out->donated = atomic64_read(&flex_counts[FLEX_COUNT_DONATED]);
	out->recalled = atomic64_read(&flex_counts[FLEX_COUNT_RECALLED]);
	out->recall_pinned = atomic64_read(&flex_counts[FLEX_COUNT_RECALL_PINNED]);
	out->shrinker_calls = atomic64_read(&flex_counts[FLEX_COUNT_SHRINKER_CALLS]);
	out->shrinker_pages = atomic64_read(&flex_counts[FLEX_COUNT_SHRINKER_PAGES]);
	out->preemptions = atomic64_read(&flex_counts[FLEX_COUNT_PREEMPTIONS]);
	out->migrations = atomic64_read(&flex_counts[FLEX_COUNT_MIGRATIONS]);
	out->reloads = atomic64_read(&flex_counts[FLEX_COUNT_RELOADS]);
}

static ssize_t abi_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u.%u\n", flex_firmware.abi >> 16, flex_firmware.abi & 0xffff);
}
static DEVICE_ATTR_RO(abi);

static ssize_t monitor_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%16phN\n", flex_firmware.identity[FLEX_PART_MONITOR]);
}
static DEVICE_ATTR_RO(monitor_id);

static ssize_t payload_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%16phN\n", flex_firmware.identity[FLEX_PART_PAYLOAD]);
}
static DEVICE_ATTR_RO(payload_id);

/* The build puts it where other kernels count their builds: "#<identity> ...". */
static ssize_t kernel_id_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const char *version = init_utsname()->version;
	int digits = 0;

	while (isxdigit(version[1 + digits]) && digits < 32)
		digits++;
	return sysfs_emit(buf, "%.*s\n", digits, version + 1);
}
static DEVICE_ATTR_RO(kernel_id);

static ssize_t slots_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", flex_firmware.slots);
}
static DEVICE_ATTR_RO(slots);

static ssize_t quota_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", flex_firmware.quota_pages);
}
static DEVICE_ATTR_RO(quota_pages);

static ssize_t pinned_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", flex_payload_pinned());
}
static DEVICE_ATTR_RO(pinned_pages);

static ssize_t secure_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", flex_mem_pages());
}
static DEVICE_ATTR_RO(secure_pages);

static ssize_t recallable_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", flex_mem_recallable());
}
static DEVICE_ATTR_RO(recallable_pages);

static ssize_t protection_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", flex_protect_state());
}

static ssize_t protection_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t count)
{
	bool on;
	int ret = kstrtobool(buf, &on);

	if (!ret)
		ret = flex_protect_force(on);
	return ret ? ret : count;
}
static DEVICE_ATTR_RW(protection);

static struct attribute *flex_attributes[] = {
	&dev_attr_abi.attr,
	&dev_attr_kernel_id.attr,
	&dev_attr_monitor_id.attr,
	&dev_attr_payload_id.attr,
	&dev_attr_pinned_pages.attr,
	&dev_attr_protection.attr,
	&dev_attr_quota_pages.attr,
	&dev_attr_recallable_pages.attr,
	&dev_attr_secure_pages.attr,
	&dev_attr_slots.attr,
	NULL
};

static const struct attribute_group flex_attribute_group = { .attrs = flex_attributes };

const struct attribute_group *flex_attribute_groups[] = { &flex_attribute_group, NULL };

static int flex_stats_show(struct seq_file *m, void *unused)
{
	u32 i;

	for (i = 0; i < FLEX_COUNTS; i++)
		seq_printf(m, "%s: %lld\n", flex_count_names[i], atomic64_read(&flex_counts[i]));
	for (i = 0; i < FLEX_STAT_COUNT; i++)
		seq_printf(m, "%s: %llu\n", flex_stat_names[i], flex_monitor_stat(i));
	seq_printf(m, "pinned_pages: %llu\n", flex_payload_pinned());
	seq_printf(m, "secure_pages: %lu\n", flex_mem_pages());
	seq_printf(m, "recallable_pages: %lu\n", flex_mem_recallable());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(flex_stats);

/* Linux knows where they are anyway: it gave them. */
static int flex_pages_show(struct seq_file *m, void *unused)
{
	u32 slot;

	for (slot = 0; slot < flex_firmware.slots; slot++) {
		u64 page = flex_slots_page(slot);

		if (page)
			seq_printf(m, "%u %#llx\n", slot, page);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(flex_pages);

/** flex_stats_init() - /sys/kernel/debug/flexserve */
void flex_stats_init(void)
{
	struct dentry *folder = debugfs_create_dir("flexserve", NULL);

	debugfs_create_file("stats", 0400, folder, NULL, &flex_stats_fops);
	debugfs_create_file("pages", 0400, folder, NULL, &flex_pages_fops);
	flex_latency_init(folder);
}
