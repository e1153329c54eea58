// SPDX-License-Identifier: GPL-2.0-only
/*
 * Secure threads. One is entered by START and then belongs to whoever
 * resumes it: the calling task computes in the secure world for as long as
 * Linux lets it, and is scheduled, niced and capped like any other.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include "flexserve.h"

#define FLEX_PATIENCE_MS 1000	/* for a free payload thread, or the restart after a panic */
#define FLEX_PATIENCE_US 200
/*
 * A thread that waits for another one looks for about 100 us before it comes
 * out. Others run then; if that was in vain for some rounds, it takes a nap.
 */
#define FLEX_IDLE_ROUNDS 16
#define FLEX_IDLE_US 20
#define FLEX_IDLE_NS 300000	/* a visit that took longer found something to do */

static unsigned int watchdog_ms = 10000;
module_param(watchdog_ms, uint, 0644);
MODULE_PARM_DESC(watchdog_ms, "secure time without a heartbeat after which a request is given up");

/** flex_status() - the payload's status: hints, never believed for safety */
struct flex_status *flex_status(void)
{
	return flex_firmware.shared + (size_t)flex_firmware.mailboxes * FLEX_MAILBOX_SIZE +
	       FLEX_COMM_STATUS;
}

/**
 * flex_session_comm() - memory shared with a session
 * @session: number from SESSION_OPEN
 *
 * Return: NULL for a number out of range.
 */
struct flex_session_comm *flex_session_comm(u32 session)
{
	BUILD_BUG_ON(sizeof(struct flex_session_comm) > FLEX_COMM_SESSION_SIZE);
	if (session >= FLEX_SESSIONS)
		return NULL;
	return (void *)flex_status() - FLEX_COMM_STATUS + FLEX_COMM_SESSION +
	       (size_t)session * FLEX_COMM_SESSION_SIZE;
}

/** flex_payload_pinned() - pages that the payload says it has pinned */
u64 flex_payload_pinned(void)
{
	return flex_firmware.shared ? READ_ONCE(flex_status()->pinned_pages) : 0;
}

/** flex_payload_epoch() - changes whenever the payload has panicked */
u32 flex_payload_epoch(void)
{
	struct arm_smccc_1_2_regs res;

	if (flex_smc(FLEX_MON_STAT, FLEX_STAT_PANICS, 0, 0, &res) != FLEX_OK)
		return 0;
	return res.a1;
}

static void (*flex_payload_on_loss)(void);

static void flex_payload_lost_work(struct work_struct *work)
{
	if (flex_payload_on_loss)
		flex_payload_on_loss();
}

static DECLARE_WORK(flex_payload_lost_item, flex_payload_lost_work);

/**
 * flex_payload_watch() - be told when the payload has panicked
 * @lost: runs in a task of its own and may sleep; one for the whole driver, set at start
 */
void flex_payload_watch(void (*lost)(void))
{
	flex_payload_on_loss = lost;
}

/** flex_payload_lost() - it has panicked: clear up, soon and elsewhere */
void flex_payload_lost(void)
{
	schedule_work(&flex_payload_lost_item);
}

/* Somebody else's decryption is what the clock shows; of anything else it knows better. */
static void flex_payload_nap(struct flex_call *call)
{
	struct flex_clock *clock = call->result.a3 == FLEX_IDLE_OPENING ? call->clock : NULL;
	enum flex_part before = flex_clock_lean(clock, FLEX_PART_DECRYPT);

	if (call->idle++ < FLEX_IDLE_ROUNDS)
		yield();
	else
		usleep_range(FLEX_IDLE_US, 2 * FLEX_IDLE_US);
	flex_clock_stand(clock, before);
}

static s64 flex_payload_idle(struct flex_call *call, u64 ticks)
{
	s64 answer = call->ops && call->ops->idle ? call->ops->idle(call) : FLEX_OK;

	if (answer != FLEX_OK)
		return answer;
	if (ticks > FLEX_IDLE_NS / 1000 * (arch_timer_get_cntfrq() / 1000000))
		call->idle = 0;
	flex_payload_nap(call);
	return FLEX_OK;
}

static s64 flex_payload_yielded(struct flex_call *call, u64 ticks)
{
	u64 reason = call->result.a2;

	if (reason == FLEX_YIELD_IDLE)
		return flex_payload_idle(call, ticks);
	if (call->ops && call->ops->yielded)
		return call->ops->yielded(call, reason, &call->result);
	return FLEX_E_INVAL;
}

static unsigned long flex_patience(void)
{
	return jiffies + msecs_to_jiffies(FLEX_PATIENCE_MS);
}

/* The same call again: no thread is free, or the payload starts afresh. */
static bool flex_worth_waiting(const struct flex_call *call, s64 status, u64 function,
			       unsigned long deadline)
{
	bool passes = status == FLEX_E_BUSY ||
		      (status == FLEX_E_EXHAUSTED && function == FLEX_TOS_START && !call->hasty);

	if (!passes || time_after(jiffies, deadline))
		return false;
	usleep_range(FLEX_PATIENCE_US, 2 * FLEX_PATIENCE_US);
	return true;
}

static u64 flex_payload_enter(const struct arm_smccc_1_2_regs *args,
			      struct arm_smccc_1_2_regs *result, int *core)
{
	u64 begin = flex_ticks();
	int here = raw_smp_processor_id();

	if (*core >= 0 && *core != here)
		flex_count(FLEX_COUNT_MIGRATIONS, 1);
	*core = here;
	arm_smccc_1_2_smc(args, result);
	return flex_ticks() - begin;
}

/**
 * flex_payload_run() - an operation of the payload, from START to its end
 * @call: operation, arguments, what to do at yields; gets the result
 *
 * The caller's task is the secure thread meanwhile. May sleep; the caller
 * holds no mailbox that reclaim may need.
 * Return: FLEX_OK with values in call->result.a2.., a FLEX_E_* of the payload,
 * or what ops->turn() gave the thread up with.
 */
s64 flex_payload_run(struct flex_call *call)
{
	unsigned long deadline = flex_patience();
	struct arm_smccc_1_2_regs args = { .a0 = FLEX_TOS_START, .a1 = call->op, .a2 = call->arg[0],
			   .a3 = call->arg[1], .a4 = call->arg[2], .a5 = call->arg[3],
			   .a6 = call->arg[4] };
	int core = -1;

	for (;;) {
		u64 ticks = flex_payload_enter(&args, &call->result, &core);
		s64 status = (s64)call->result.a0, error = FLEX_OK;

		call->entries++;
		if (status == FLEX_TOS_DONE)
			return FLEX_OK;
		if (status < 0) {
			if (flex_worth_waiting(call, status, args.a0, deadline))
				continue;
			if (status == FLEX_E_PANIC)
				flex_payload_lost();
			return status;
		}

		deadline = flex_patience();
		args = (struct arm_smccc_1_2_regs){ .a0 = FLEX_TOS_RESUME, .a1 = call->result.a1 };
		if (call->ops && call->ops->turn)
			error = call->ops->turn(call, ticks);
		if (error)
			return error;
		if (status == FLEX_TOS_YIELDED) {
			args.a2 = (u64)flex_payload_yielded(call, ticks);
		} else {
			flex_count(FLEX_COUNT_PREEMPTIONS, 1);
			cond_resched();
		}
	}
}

/**
 * flex_payload_call() - a short operation that never yields
 * @op: FLEX_OP_*
 * @a1: first argument
 * @a2: second argument
 * @a3: third argument
 * @result: registers at return, or NULL
 *
 * May sleep. Return: as flex_payload_run().
 */
s64 flex_payload_call(u64 op, u64 a1, u64 a2, u64 a3, struct arm_smccc_1_2_regs *result)
{
	struct flex_call call = { .op = op, .arg = { a1, a2, a3 } };
	s64 status = flex_payload_run(&call);

	if (result)
		*result = call.result;
	return status;
}

/**
 * flex_payload_restart() - a thread hangs: only a fresh start frees what it holds
 *
 * Every request under way ends with FLEX_E_PANIC; weights are read again. May
 * sleep.
 */
void flex_payload_restart(void)
{
	pr_warn("flexserve: the payload hangs and is started afresh\n");
	flex_payload_call(FLEX_OP_DRILL, FLEX_DRILL_PANIC, 0, 0, NULL);
}

/**
 * flex_watchdog_late() - has secure time gone by without any progress?
 * @watchdog: its `spent` is fed by whoever computes
 * @heartbeat: now
 *
 * Counts time in the secure world, not on the wall: a starved request is not
 * a hung one.
 */
bool flex_watchdog_late(struct flex_watchdog *watchdog, u64 heartbeat)
{
	u64 limit = (u64)READ_ONCE(watchdog_ms) * arch_timer_get_cntfrq() / 1000;

	if (heartbeat != watchdog->heartbeat) {
		watchdog->heartbeat = heartbeat;
		atomic64_set(&watchdog->spent, 0);
	}
	return atomic64_read(&watchdog->spent) > limit;
}
