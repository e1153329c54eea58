// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread on one core that writes over a range of memory again and again, as
 * one would who wants to be there at the moment when protection is switched.
 */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/uaccess.h>
#include "flexattack.h"

#define SCRIBBLE_BYTES_MAX SZ_8M

static struct {
	struct task_struct *thread;
	u64 *at;
	u64 words, value;
	u64 written, faulted; /* read when the thread has ended */
} scribble;

/* One word; a function of its own, since the label of a fault belongs to it. */
static bool attack_scribble_word(u64 *word, u64 value)
{
	__put_kernel_nofault(word, &value, u64, fault);
	return true;
fault:
	return false;
}

static int attack_scribble_thread(void *unused)
{
	u64 i = 0;

	while (!kthread_should_stop()) {
		if (attack_scribble_word(&scribble.at[i], scribble.value + i * sizeof(u64)))
			scribble.written++;
		else
			scribble.faulted++;
		i = (i + 1) % scribble.words;
		if (!(i % 256))
			cond_resched();
	}
	return 0;
}

void attack_scribble_exit(void)
{
	if (!scribble.thread)
		return;
	kthread_stop(scribble.thread);
	memunmap(scribble.at);
	scribble.thread = NULL;
}

static int attack_scribble_start(u64 core, u64 pa, u64 bytes, u64 value)
{
	if (scribble.thread)
		return -EBUSY;
	if (!cpu_online(core) || !bytes || bytes > SCRIBBLE_BYTES_MAX || (pa | bytes) % PAGE_SIZE)
		return -EINVAL;
	scribble.at = memremap(pa, bytes, MEMREMAP_WB);
	if (!scribble.at)
		return -ENOMEM;
	scribble.words = bytes / sizeof(u64);
	scribble.value = value;
	scribble.written = 0;
	scribble.faulted = 0;
	scribble.thread = kthread_create(attack_scribble_thread, NULL, "flexattack/scribble");
	if (IS_ERR(scribble.thread)) {
		int ret = PTR_ERR(scribble.thread);

		scribble.thread = NULL;
		memunmap(scribble.at);
		return ret;
	}
	kthread_bind(scribble.thread, core);
	wake_up_process(scribble.thread);
	return 0;
}

/* CORE PA BYTES VALUE: starts it, word i is to be VALUE + 8 * i. Without arguments: ends it, and says what came of it. */
int attack_scribble(int argc, char **argv, struct seq_buf *out)
{
	u64 core, pa, bytes, value;

	if (argc == 4) {
		if (attack_number(argv[0], &core) || attack_number(argv[1], &pa) || attack_number(argv[2], &bytes) ||
		    attack_number(argv[3], &value))
			return -EINVAL;
		return attack_scribble_start(core, pa, bytes, value);
	}
	if (argc || !scribble.thread)
		return -EINVAL;
	attack_scribble_exit();
	seq_buf_printf(out, "written: %llu\nfaulted: %llu\n", scribble.written, scribble.faulted);
	return 0;
}
