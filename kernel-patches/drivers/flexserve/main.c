// SPDX-License-Identifier: GPL-2.0-only
/*
 * FlexServe: finds the firmware, starts the parts, stops them at reboot.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/of.h>
#include <linux/reboot.h>
#include "request.h"

struct flex_firmware flex_firmware;

/* The firmware leaves a node with the shared region: base and size, 64 bits each. */
static int flex_find_shared(struct resource *shared)
{
	struct device_node *node;
	u64 where[2];
	int ret;

	node = of_find_compatible_node(NULL, NULL, "flexkit,flexserve");
	if (!node)
		return -ENODEV;
	ret = of_property_read_u64_array(node, "shared", where, ARRAY_SIZE(where));
	of_node_put(node);
	if (!ret)
		*shared = (struct resource)DEFINE_RES_MEM(where[0], where[1]);
	return ret ? -EINVAL : 0;
}

static void flex_read_identity(u32 part)
{
	struct arm_smccc_1_2_regs res;
	u64 words[2];

	if (flex_smc(FLEX_MON_IDENTITY, part, 0, 0, &res) != FLEX_OK)
		return;
	words[0] = cpu_to_be64(res.a1);
	words[1] = cpu_to_be64(res.a2);
	memcpy(flex_firmware.identity[part], words, sizeof(words));
	flex_firmware.debug[part] = res.a3;
}

/* Without a word about it, all of memory may become secure: the monitor refuses what it does not know. */
static void flex_find_dram(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, "flexkit,flexserve");
	u64 where[2] = { 0, U64_MAX };

	of_property_read_u64_array(node, "dram", where, ARRAY_SIZE(where));
	of_node_put(node);
	flex_firmware.dram.base = where[0];
	flex_firmware.dram.size = where[1];
}

/* What the monitor says must fit what the device tree says. */
static int flex_ask_monitor(const struct resource *shared)
{
	size_t need;
	struct arm_smccc_1_2_regs res;

	if (flex_smc(FLEX_MON_VERSION, 0, 0, 0, &res) != FLEX_OK)
		return -ENODEV;
	flex_firmware.abi = res.a1;
	if (res.a1 >> 16 != FLEX_ABI_MAJOR) {
		pr_err("flexserve: monitor speaks ABI %lu, not %u\n", res.a1 >> 16, FLEX_ABI_MAJOR);
		return -ENODEV;
	}
	if (flex_smc(FLEX_MON_INFO, 0, 0, 0, &res) != FLEX_OK)
		return -ENODEV;
	flex_firmware.mailboxes = res.a2 >> 32;
	flex_firmware.slots = res.a2;
	flex_firmware.quota_pages = res.a3 >> 8;
	flex_firmware.shared_size = resource_size(shared);

	need = (size_t)flex_firmware.mailboxes * FLEX_MAILBOX_SIZE + FLEX_COMM_SIZE;
	if (res.a1 != shared->start || flex_firmware.shared_size < need) {
		pr_err("flexserve: shared region %pR is not the monitor's\n", shared);
		return -EINVAL;
	}
	flex_read_identity(FLEX_PART_MONITOR);
	flex_read_identity(FLEX_PART_PAYLOAD);
	return 0;
}

/* The next kernel must find all of memory its own. */
static int flex_reboot(struct notifier_block *block, unsigned long event, void *data)
{
	flex_requests_cancel_all();
	flex_models_exit();
	flex_protect_force(false);
	return NOTIFY_DONE;
}

static struct notifier_block flex_reboot_block = { .notifier_call = flex_reboot };

static int __init flex_start_parts(void)
{
	int ret;

	ret = flex_mailboxes_init();
	if (ret)
		return ret;
	ret = flex_slots_init(flex_firmware.slots);
	if (ret)
		goto exit_mailboxes;
	ret = flex_reclaim_init();
	if (ret)
		goto exit_slots;
	ret = flex_sessions_init();
	if (ret)
		goto exit_reclaim;
	flex_models_init();
	ret = register_reboot_notifier(&flex_reboot_block);
	if (ret)
		goto exit_sessions;
	ret = flex_dev_init();
	if (ret)
		goto exit_notifier;
	flex_stats_init();
	return 0;

exit_notifier:
	unregister_reboot_notifier(&flex_reboot_block);
exit_sessions:
	flex_sessions_exit();
exit_reclaim:
	flex_reclaim_exit();
exit_slots:
	flex_slots_exit();
exit_mailboxes:
	flex_mailboxes_exit();
	return ret;
}

static int __init flex_init(void)
{
	struct resource shared;
	int ret;

	ret = flex_find_shared(&shared);
	if (ret)
		return ret == -ENODEV ? 0 : ret;
	ret = flex_ask_monitor(&shared);
	if (ret)
		return ret;
	flex_find_dram();
	flex_firmware.shared = memremap(shared.start, resource_size(&shared), MEMREMAP_WB);
	if (!flex_firmware.shared)
		return -ENOMEM;
	ret = flex_start_parts();
	if (ret) {
		memunmap(flex_firmware.shared);
		flex_firmware.shared = NULL;
		return ret;
	}
	pr_info("flexserve: monitor %16phN payload %16phN, %u slots\n",
		flex_firmware.identity[FLEX_PART_MONITOR],
		flex_firmware.identity[FLEX_PART_PAYLOAD], flex_firmware.slots);
	return 0;
}
late_initcall(flex_init);
