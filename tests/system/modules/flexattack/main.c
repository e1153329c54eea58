// SPDX-License-Identifier: GPL-2.0-only
/* Commands and results of flexattack. */
#include <linux/arm-smccc.h>
#include <linux/debugfs.h>
#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <flexkit/smc.h>
#include "flexattack.h"

#define COMMAND_BYTES 8192
#define RESULT_BYTES 4096
#define WORDS_MAX (FLEX_MAILBOX_ENTRIES + 4)

struct attack_firmware firmware;

static const struct {
	const char *name;
	attack_fn run;
} commands[] = {
	{ "access", attack_access }, { "plain", attack_plain }, { "alloc", attack_alloc }, { "free", attack_free },
	{ "fill", attack_fill },     { "look", attack_look },	{ "smc", attack_smc },	   { "batch", attack_batch },
	{ "list", attack_list },     { "smcon", attack_smcon },
	{ "race", attack_race },
	{ "block", attack_block },   { "churn", attack_churn }, { "dma", attack_dma },
	{ "contig", attack_contig },
	{ "disk", attack_disk },     { "scribble", attack_scribble },
	{ "search", attack_search },
};

static DEFINE_MUTEX(attack_lock); /* one command at a time; guards what follows */
static char result_text[RESULT_BYTES];
static struct seq_buf result;
static struct dentry *folder;

int attack_number(const char *word, u64 *value)
{
	return kstrtou64(word, 0, value);
}

int attack_numbers(int argc, char **argv, u64 *value, int most)
{
	int i;

	if (argc < 1 || argc > most)
		return -EINVAL;
	for (i = 0; i < argc; i++)
		if (attack_number(argv[i], &value[i]))
			return -EINVAL;
	return 0;
}

static int attack_run(char *line)
{
	static char *words[WORDS_MAX];
	char *word;
	int count = 0;
	u32 i;

	while ((word = strsep(&line, " \n")) != NULL) {
		if (*word && count == WORDS_MAX)
			return -E2BIG;
		if (*word)
			words[count++] = word;
	}
	for (i = 0; count && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(words[0], commands[i].name))
			return commands[i].run(count - 1, words + 1, &result);
	return -EINVAL;
}

static ssize_t cmd_write(struct file *file, const char __user *user, size_t bytes, loff_t *position)
{
	char *line;
	int ret;

	if (bytes >= COMMAND_BYTES)
		return -E2BIG;
	line = memdup_user_nul(user, bytes);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&attack_lock);
	seq_buf_init(&result, result_text, sizeof(result_text));
	ret = attack_run(line);
	seq_buf_printf(&result, "status: %d\n", ret);
	mutex_unlock(&attack_lock);
	kfree(line);
	return bytes;
}

static const struct file_operations cmd_fops = { .owner = THIS_MODULE, .write = cmd_write };

static int result_show(struct seq_file *m, void *unused)
{
	mutex_lock(&attack_lock);
	seq_write(m, result_text, seq_buf_used(&result));
	mutex_unlock(&attack_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int attack_find_firmware(void)
{
	struct arm_smccc_1_2_regs args = { .a0 = FLEX_MON_INFO }, res;

	arm_smccc_1_2_smc(&args, &res);
	if ((s64)res.a0 != FLEX_OK)
		return -ENODEV;
	firmware.shared = res.a1;
	firmware.mailboxes = res.a2 >> 32;
	firmware.mailbox = memremap(firmware.shared + (u64)(firmware.mailboxes - 1) * FLEX_MAILBOX_SIZE,
				    FLEX_MAILBOX_SIZE, MEMREMAP_WB);
	return firmware.mailbox ? 0 : -ENOMEM;
}

static int __init attack_init(void)
{
	int ret = attack_find_firmware();

	if (ret)
		return ret;
	seq_buf_init(&result, result_text, sizeof(result_text));
	folder = debugfs_create_dir("flexattack", NULL);
	ret = attack_search_init(folder);
	if (ret) {
		debugfs_remove_recursive(folder);
		memunmap(firmware.mailbox);
		return ret;
	}
	debugfs_create_file("cmd", 0200, folder, NULL, &cmd_fops);
	debugfs_create_file("result", 0400, folder, NULL, &result_fops);
	return 0;
}

static void __exit attack_exit(void)
{
	debugfs_remove_recursive(folder);
	attack_search_exit();
	attack_scribble_exit();
	attack_dma_exit();
	attack_memory_exit();
	memunmap(firmware.mailbox);
}

module_init(attack_init);
module_exit(attack_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("the compromised kernel, for FlexKit's tests");
