// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes by the kernel, wherever it likes and on any core: once
 * through the accessors that expect faults, once as an ordinary load or store
 * in a thread that the fault may kill.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "flexattack.h"

#define ATTACK_PAGES_MAX FLEX_MAILBOX_ENTRIES
#define PLAIN_DEADLINE_MS 3000

static u64 attack_page[ATTACK_PAGES_MAX];
static u32 attack_page_count;

u32 attack_pages(const u64 **pages)
{
	*pages = attack_page;
	return attack_page_count;
}

/* A way to an address: the linear map where there is one, else a mapping of its own (reserved DRAM or MMIO). */
struct attack_way {
	void *at;
	void *mapping;
	bool io;
};

static int attack_reach(u64 pa, struct attack_way *way)
{
	u64 offset = offset_in_page(pa);

	*way = (struct attack_way){};
	if (pfn_valid(PHYS_PFN(pa)) && !PageReserved(pfn_to_page(PHYS_PFN(pa)))) {
		way->at = phys_to_virt(pa);
		return 0;
	}
	way->mapping = memremap(pa - offset, PAGE_SIZE, MEMREMAP_WB);
	if (!way->mapping) {
		way->mapping = (void __force *)ioremap(pa - offset, PAGE_SIZE);
		way->io = true;
	}
	if (!way->mapping)
		return -ENXIO;
	way->at = way->mapping + offset;
	return 0;
}

static void attack_leave(struct attack_way *way)
{
	if (way->mapping && way->io)
		iounmap((void __iomem __force *)way->mapping);
	else if (way->mapping)
		memunmap(way->mapping);
}

struct attack_try {
	void *at;
	bool write;
	bool half; /* 32 bits, as some registers want it */
	u64 value;
	long ret;
};

static long attack_try_here(void *arg)
{
	struct attack_try *try = arg;

	if (try->write && try->half) {
		__put_kernel_nofault(try->at, &try->value, u32, fault);
		try->ret = 0;
	} else if (try->write) {
		__put_kernel_nofault(try->at, &try->value, u64, fault);
		try->ret = 0;
	} else {
		try->ret = copy_from_kernel_nofault(&try->value, try->at, try->half ? sizeof(u32) : sizeof(u64));
	}
	return try->ret;

fault:
	try->ret = -EFAULT;
	return try->ret;
}

/* r|w|r4|w4 PA CORE [VALUE]: 8 or 4 bytes, through the accessor that expects faults. ret: 0, or -EFAULT (-14) where the
 * access faulted. */
int attack_access(int argc, char **argv, struct seq_buf *out)
{
	struct attack_try try = {};
	struct attack_way way;
	u64 pa, core;
	int ret;

	if (argc < 3 || attack_number(argv[1], &pa) || attack_number(argv[2], &core))
		return -EINVAL;
	try.write = argv[0][0] == 'w';
	try.half = argv[0][1] == '4';
	if (try.write && (argc < 4 || attack_number(argv[3], &try.value)))
		return -EINVAL;
	ret = attack_reach(pa, &way);
	if (ret)
		return ret;
	try.at = way.at;
	ret = work_on_cpu(core, attack_try_here, &try);
	attack_leave(&way);
	seq_buf_printf(out, "ret: %ld\nvalue: %#llx\n", try.ret, try.ret ? 0 : try.value);
	return ret == -EFAULT || !ret ? 0 : ret;
}

/* Outlives the thread's death: a killed thread never gives it back, and it is leaked on purpose. */
struct attack_plain {
	struct completion survived;
	void *at;
	bool write;
	u64 value;
};

static int attack_plain_thread(void *arg)
{
	struct attack_plain *plain = arg;

	if (plain->write)
		WRITE_ONCE(*(u64 *)plain->at, plain->value);
	else
		plain->value = READ_ONCE(*(u64 *)plain->at);
	complete(&plain->survived);
	return 0;
}

/* r|w PA CORE [VALUE]: an ordinary load or store. died: 1 when the fault ended the thread that tried. */
int attack_plain(int argc, char **argv, struct seq_buf *out)
{
	struct attack_plain *plain;
	struct task_struct *thread;
	u64 pa, core, value = 0;

	if (argc < 3 || attack_number(argv[1], &pa) || attack_number(argv[2], &core))
		return -EINVAL;
	if (argc > 3 && attack_number(argv[3], &value))
		return -EINVAL;
	if (!pfn_valid(PHYS_PFN(pa)))
		return -ENXIO;
	plain = kzalloc(sizeof(*plain), GFP_KERNEL);
	if (!plain)
		return -ENOMEM;
	init_completion(&plain->survived);
	plain->at = phys_to_virt(pa);
	plain->write = argv[0][0] == 'w';
	plain->value = value;
	thread = kthread_create(attack_plain_thread, plain, "flexattack/%llu", core);
	if (IS_ERR(thread)) {
		kfree(plain);
		return PTR_ERR(thread);
	}
	kthread_bind(thread, core);
	wake_up_process(thread);
	if (!wait_for_completion_timeout(&plain->survived, msecs_to_jiffies(PLAIN_DEADLINE_MS))) {
		seq_buf_puts(out, "died: 1\n");
		return 0;
	}
	seq_buf_printf(out, "died: 0\nvalue: %#llx\n", plain->value);
	kfree(plain);
	return 0;
}

/* COUNT: pages of our own to play with, at most a mailbox full. */
int attack_alloc(int argc, char **argv, struct seq_buf *out)
{
	u64 count;

	if (argc != 1 || attack_number(argv[0], &count) || attack_page_count + count > ATTACK_PAGES_MAX)
		return -EINVAL;
	while (count--) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

		if (!page)
			return -ENOMEM;
		attack_page[attack_page_count++] = page_to_phys(page);
	}
	seq_buf_printf(out, "pages: %u\n", attack_page_count);
	return 0;
}

/* Give our pages back to Linux. They have to be NORMAL. */
int attack_free(int argc, char **argv, struct seq_buf *out)
{
	attack_memory_exit();
	seq_buf_puts(out, "pages: 0\n");
	return 0;
}

void attack_memory_exit(void)
{
	while (attack_page_count)
		__free_page(phys_to_page(attack_page[--attack_page_count]));
}

/* VALUE: every word of our pages becomes VALUE + its number in the page. */
int attack_fill(int argc, char **argv, struct seq_buf *out)
{
	u64 value;
	u32 i, word;

	if (argc != 1 || attack_number(argv[0], &value))
		return -EINVAL;
	for (i = 0; i < attack_page_count; i++) {
		u64 *at = phys_to_virt(attack_page[i]);

		for (word = 0; word < PAGE_SIZE / sizeof(*at); word++)
			at[word] = value + word;
	}
	seq_buf_printf(out, "filled: %u\n", attack_page_count);
	return 0;
}

/* VALUE: how many of our pages hold what `fill VALUE` wrote, how many only zeros, how many cannot be read. */
int attack_look(int argc, char **argv, struct seq_buf *out)
{
	u32 i, word, same = 0, zero = 0, fault = 0;
	u64 value, *copy;

	if (argc != 1 || attack_number(argv[0], &value))
		return -EINVAL;
	copy = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	for (i = 0; i < attack_page_count; i++) {
		bool is_same = true;

		if (copy_from_kernel_nofault(copy, phys_to_virt(attack_page[i]), PAGE_SIZE)) {
			fault++;
			continue;
		}
		for (word = 0; word < PAGE_SIZE / sizeof(*copy); word++)
			is_same &= copy[word] == value + word;
		same += is_same;
		zero += !memchr_inv(copy, 0, PAGE_SIZE);
	}
	kfree(copy);
	seq_buf_printf(out, "pages: %u\nsame: %u\nzero: %u\nfault: %u\n", attack_page_count, same, zero, fault);
	return 0;
}

/*
 * PA COUNT: a contiguous range of pages from PA on, as a driver without an SMMU wants one: whatever lies there has to
 * move. ret: 0, or a negative errno. It is given back at once.
 */
int attack_contig(int argc, char **argv, struct seq_buf *out)
{
	unsigned long first;
	u64 pa, count;
	int ret;

	if (argc != 2 || attack_number(argv[0], &pa) || attack_number(argv[1], &count) || !count)
		return -EINVAL;
	first = PHYS_PFN(pa);
	if (!pfn_valid(first) || !pfn_valid(first + count - 1))
		return -ENXIO;
	ret = alloc_contig_range(first, first + count, MIGRATE_MOVABLE, GFP_KERNEL);
	if (!ret)
		free_contig_range(first, count);
	seq_buf_printf(out, "ret: %d\n", ret);
	return 0;
}
