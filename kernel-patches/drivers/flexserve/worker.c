// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel threads for leaders and helpers. Making one takes longer than a small
 * prompt, so some stay when their work is done, and wait for more. They belong
 * to no core, and can be put in cgroups like any other task.
 */
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include "flexserve.h"

/* For two requests with all the threads that are worth it. */
#define FLEX_WORKERS_IDLE (2 * FLEX_BUSY_THREADS)

struct flex_worker {
	struct list_head idle;
	struct task_struct *task;
	void (*run)(void *data);	/* NULL: waits for work */
	void *data;
};

static LIST_HEAD(flex_workers_idle);
static u32 flex_workers_waiting, flex_workers_made;
static DEFINE_SPINLOCK(flex_workers_lock);

/* Return: false when enough others wait already. */
static bool flex_worker_rest(struct flex_worker *worker)
{
	bool rest;

	spin_lock(&flex_workers_lock);
	rest = flex_workers_waiting < FLEX_WORKERS_IDLE;
	if (rest) {
		WRITE_ONCE(worker->run, NULL);
		flex_workers_waiting++;
		list_add(&worker->idle, &flex_workers_idle);
	}
	spin_unlock(&flex_workers_lock);
	return rest;
}

static void flex_worker_wait(struct flex_worker *worker)
{
	for (;;) {
		set_current_state(TASK_IDLE);
		if (READ_ONCE(worker->run))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

static int flex_worker_main(void *data)
{
	struct flex_worker *worker = data;

	do {
		flex_worker_wait(worker);
		worker->run(worker->data);
	} while (flex_worker_rest(worker));
	kfree(worker);
	return 0;
}

static struct flex_worker *flex_worker_make(void)
{
	struct flex_worker *worker = kzalloc(sizeof(*worker), GFP_KERNEL);
	u32 number;

	if (!worker)
		return NULL;
	spin_lock(&flex_workers_lock);
	number = flex_workers_made++;
	spin_unlock(&flex_workers_lock);
	worker->task = kthread_create(flex_worker_main, worker, "flexserve/%u", number);
	if (IS_ERR(worker->task)) {
		kfree(worker);
		return NULL;
	}
	return worker;
}

static struct flex_worker *flex_worker_take(void)
{
	struct flex_worker *worker;

	spin_lock(&flex_workers_lock);
	worker = list_first_entry_or_null(&flex_workers_idle, struct flex_worker, idle);
	if (worker) {
		list_del(&worker->idle);
		flex_workers_waiting--;
	}
	spin_unlock(&flex_workers_lock);
	return worker;
}

/**
 * flex_worker_start() - run something on a kernel thread, as nice as the caller
 * @run: may sleep, and takes as long as it likes
 * @data: for it
 *
 * May sleep when no thread waits. Return: 0 or -ENOMEM.
 */
int flex_worker_start(void (*run)(void *data), void *data)
{
	struct flex_worker *worker = flex_worker_take();

	if (!worker)
		worker = flex_worker_make();
	if (!worker)
		return -ENOMEM;
	set_user_nice(worker->task, task_nice(current));
	worker->data = data;
	/* Pairs with the barrier of set_current_state(): it sees the work, or is woken. */
	smp_store_release(&worker->run, run);
	wake_up_process(worker->task);
	return 0;
}
