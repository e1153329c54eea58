// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks for plaintext in all memory that the normal world can read: windows of
 * WINDOW_WORDS words, at every address that is a multiple of 8, known here by
 * hashes alone, so that the list of what is looked for is no match itself.
 *
 * A thread goes through all of DRAM again and again. What cannot be read is
 * secure, and counted. Each whole pass is kept with the times of its beginning
 * and end by the board's counter: the host sees whether all of it lay within a
 * request.
 */
#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/arch_timer.h>
#include "flexattack.h"

#define WINDOW_WORDS 4
#define PAGE_WORDS (PAGE_SIZE / sizeof(u64))
#define WINDOWS_MAX 65536
#define SIEVE_SHIFT 20
#define PASSES_MAX 16
#define MIX_WORD 0x9e3779b97f4a7c15ULL
#define MIX_WINDOW 0xd6e8feb86659fd93ULL

/* As the host writes them: its words mixed, first the first one alone. */
struct search_window {
	u64 first;
	u64 all;
	u64 number;
};

struct search_pass {
	u64 begun, ended; /* ticks */
	u64 read, refused; /* pages */
	u64 found;
};

static struct {
	struct search_window *window; /* by first word */
	u32 windows;
	unsigned long *sieve; /* first words that may be one's */
	struct task_struct *thread;
	u64 base, bytes;
	struct search_pass pass[PASSES_MAX];
	u32 passes; /* complete ones; of more than PASSES_MAX the last are kept */
	unsigned long *found; /* windows by their numbers, in any pass */
	u64 at; /* where one was found last */
} search;

static u64 search_mix(u64 word)
{
	return word * MIX_WORD;
}

static u64 search_hash(const u64 *word)
{
	u64 hash = 0;
	u32 i;

	for (i = 0; i < WINDOW_WORDS; i++) {
		hash = (hash ^ word[i]) * MIX_WINDOW;
		hash ^= hash >> 32;
	}
	return hash;
}

static int search_order(const void *left, const void *right)
{
	u64 a = ((const struct search_window *)left)->first, b = ((const struct search_window *)right)->first;

	return a < b ? -1 : a > b;
}

/* The first of those that begin so, or the end. */
static u32 search_lower(u64 first)
{
	u32 low = 0, high = search.windows;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (search.window[middle].first < first)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Its first word may be a window's: is it one? */
static u32 search_look(const u64 *at, u64 first)
{
	u64 word[WINDOW_WORDS], hash;
	u32 i = search_lower(first), found = 0;

	if (i == search.windows || search.window[i].first != first)
		return 0;
	if (copy_from_kernel_nofault(word, at, sizeof(word)))
		return 0;
	hash = search_hash(word);
	for (; i < search.windows && search.window[i].first == first; i++) {
		if (search.window[i].all != hash)
			continue;
		set_bit(search.window[i].number, search.found);
		found++;
	}
	return found;
}

/* False: it cannot be read, or not any more. */
static bool search_page(const u64 *page, u64 *found)
{
	const u64 *end = page + PAGE_WORDS - WINDOW_WORDS, *at;
	u64 word;

	for (at = page; at <= end; at++) {
		u64 first;

		__get_kernel_nofault(&word, at, u64, fault);
		first = search_mix(word);
		if (test_bit(first >> (64 - SIEVE_SHIFT), search.sieve))
			*found += search_look(at, first);
	}
	return true;
fault:
	return false;
}

static void search_frame(unsigned long pfn, struct search_pass *pass)
{
	u64 found = pass->found;
	void *mapping = NULL;
	const u64 *page;

	if (pfn_is_map_memory(pfn))
		page = pfn_to_kaddr(pfn);
	else
		page = mapping = memremap(PFN_PHYS(pfn), PAGE_SIZE, MEMREMAP_WB);
	if (page && search_page(page, &pass->found))
		pass->read++;
	else
		pass->refused++;
	if (pass->found != found)
		search.at = PFN_PHYS(pfn);
	if (mapping)
		memunmap(mapping);
}

static int search_thread(void *unused)
{
	unsigned long first = PHYS_PFN(search.base), end = PHYS_PFN(search.base + search.bytes), pfn;

	while (!kthread_should_stop()) {
		struct search_pass pass = { .begun = __arch_counter_get_cntvct() };

		for (pfn = first; pfn < end && !kthread_should_stop(); pfn++) {
			search_frame(pfn, &pass);
			if (!(pfn % 64))
				cond_resched();
		}
		if (pfn < end)
			break;
		pass.ended = __arch_counter_get_cntvct();
		search.pass[search.passes % PASSES_MAX] = pass;
		WRITE_ONCE(search.passes, search.passes + 1);
	}
	return 0;
}

static int search_start(u64 base, u64 bytes)
{
	if (search.thread)
		return -EBUSY;
	if (!search.windows || !bytes || (base | bytes) % PAGE_SIZE)
		return -EINVAL;
	search.base = base;
	search.bytes = bytes;
	search.passes = 0;
	search.at = 0;
	bitmap_zero(search.found, WINDOWS_MAX);
	search.thread = kthread_run(search_thread, NULL, "flexattack/search");
	if (IS_ERR(search.thread)) {
		int ret = PTR_ERR(search.thread);

		search.thread = NULL;
		return ret;
	}
	return 0;
}

static void search_stop(void)
{
	if (search.thread)
		kthread_stop(search.thread);
	search.thread = NULL;
}

/* BASE BYTES: starts it. passes: how many are complete. Without arguments: ends it, and tells of each complete pass. */
int attack_search(int argc, char **argv, struct seq_buf *out)
{
	u64 base, bytes;
	u32 i;

	if (argc == 2 && !attack_number(argv[0], &base) && !attack_number(argv[1], &bytes))
		return search_start(base, bytes);
	if (argc == 1 && !strcmp(argv[0], "passes")) {
		seq_buf_printf(out, "passes: %u\n", READ_ONCE(search.passes));
		return 0;
	}
	if (argc || !search.thread)
		return -EINVAL;
	search_stop();
	for (i = search.passes - min_t(u32, search.passes, PASSES_MAX); i < search.passes; i++) {
		const struct search_pass *pass = &search.pass[i % PASSES_MAX];

		seq_buf_printf(out, "begun%u: %llu\nended%u: %llu\n", i, pass->begun, i, pass->ended);
		seq_buf_printf(out, "read%u: %llu\nrefused%u: %llu\nfound%u: %llu\n", i, pass->read, i, pass->refused,
			       i, pass->found);
	}
	seq_buf_printf(out, "passes: %u\nwindows: %u\nat: %#llx\n", search.passes,
		       bitmap_weight(search.found, WINDOWS_MAX), search.at);
	return 0;
}

/* All windows in one write; the old ones are forgotten. */
static ssize_t windows_write(struct file *file, const char __user *user, size_t bytes, loff_t *position)
{
	size_t each = 2 * sizeof(u64);
	u32 count = bytes / each, i;

	if (search.thread)
		return -EBUSY;
	if (!count || bytes % each || count > WINDOWS_MAX)
		return -EINVAL;
	search.windows = 0;
	bitmap_zero(search.sieve, 1UL << SIEVE_SHIFT);
	for (i = 0; i < count; i++) {
		if (copy_from_user(&search.window[i], user + i * each, each))
			return -EFAULT;
		search.window[i].number = i;
		set_bit(search.window[i].first >> (64 - SIEVE_SHIFT), search.sieve);
	}
	sort(search.window, count, sizeof(*search.window), search_order, NULL);
	search.windows = count;
	return bytes;
}

/* Bit n, byte n / 8: window n was found. */
static ssize_t found_read(struct file *file, char __user *user, size_t bytes, loff_t *position)
{
	return simple_read_from_buffer(user, bytes, position, search.found, WINDOWS_MAX / 8);
}

static const struct file_operations windows_fops = { .owner = THIS_MODULE, .write = windows_write };
static const struct file_operations found_fops = { .owner = THIS_MODULE, .read = found_read };

int attack_search_init(struct dentry *folder)
{
	search.window = vcalloc(WINDOWS_MAX, sizeof(*search.window));
	search.sieve = vzalloc(BITS_TO_LONGS(1UL << SIEVE_SHIFT) * sizeof(long));
	search.found = vzalloc(BITS_TO_LONGS(WINDOWS_MAX) * sizeof(long));
	if (!search.window || !search.sieve || !search.found) {
		attack_search_exit();
		return -ENOMEM;
	}
	debugfs_create_file("windows", 0200, folder, NULL, &windows_fops);
	debugfs_create_file("found", 0400, folder, NULL, &found_fops);
	return 0;
}

void attack_search_exit(void)
{
	search_stop();
	vfree(search.window);
	vfree(search.sieve);
	vfree(search.found);
}
