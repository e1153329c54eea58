// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request's helpers: they enter WORK, and take a part of what its leader
 * computes. And who has the payload's threads that stay busy.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/semaphore.h>
#include "request.h"

#define FLEX_HELPER_US 200		/* until a thread of the payload may be free */
#define FLEX_TURN_JIFFIES (HZ / 20)	/* waiting for other requests to leave a thread */

static DEFINE_SEMAPHORE(flex_busy_threads, FLEX_BUSY_THREADS);

/**
 * flex_busy_wait() - one of the payload's threads for a leader
 * @request: its; flex_busy_leave() is due
 *
 * May sleep. Return: false when the request was cancelled before there was one.
 */
bool flex_busy_wait(const struct flex_request *request)
{
	while (down_timeout(&flex_busy_threads, FLEX_TURN_JIFFIES))
		if (READ_ONCE(request->cancelled))
			return false;
	return true;
}

/** flex_busy_leave() - another request may have it */
void flex_busy_leave(void)
{
	up(&flex_busy_threads);
}

static s64 flex_helper_turn(struct flex_call *call, u64 ticks)
{
	struct flex_request *request = call->context;

	atomic64_add(ticks, &request->watchdog.spent);
	return READ_ONCE(request->abandoned) ? FLEX_E_TIMEOUT : FLEX_OK;
}

/* The leader decrypts, or waits until another thread has. A hint. */
static bool flex_leader_decrypts(const struct flex_request *request)
{
	return READ_ONCE(request->clock.part) == FLEX_PART_DECRYPT ||
	       READ_ONCE(flex_session_comm(request->session->id)->decrypt_since);
}

/* With nothing to help with, looking for it would take time from those who decrypt. */
static s64 flex_helper_idle(struct flex_call *call)
{
	struct flex_request *request = call->context;

	wait_event(request->helpers_wait, !READ_ONCE(request->loading));
	while (READ_ONCE(request->generating) && flex_leader_decrypts(request))
		usleep_range(FLEX_HELPER_US, 2 * FLEX_HELPER_US);
	return READ_ONCE(request->generating) ? FLEX_OK : FLEX_E_CANCELLED;
}

static const struct flex_call_ops flex_helper_ops = {
	.turn = flex_helper_turn,
	.idle = flex_helper_idle,
};

/* Return: what the payload ended it with; FLEX_E_EXHAUSTED when no thread is free. */
static s64 flex_helper_work(struct flex_request *request)
{
	struct flex_call call = { .op = FLEX_OP_WORK, .arg = { request->session->id },
				  .ops = &flex_helper_ops, .context = request, .hasty = true };
	s64 error;

	if (down_trylock(&flex_busy_threads))
		return FLEX_E_EXHAUSTED;
	error = flex_payload_run(&call);
	flex_busy_leave();
	atomic64_add(call.entries, &request->entries);
	return error;
}

static void flex_helper(void *data)
{
	struct flex_request *request = data;

	while (READ_ONCE(request->generating) && flex_helper_work(request) == FLEX_E_EXHAUSTED)
		usleep_range(FLEX_HELPER_US, 2 * FLEX_HELPER_US);
	if (atomic_dec_and_test(&request->helpers))
		wake_up_all(&request->helpers_wait);
	flex_request_put(request);
}

/**
 * flex_helpers_start() - others compute in the request's session, too
 * @request: is about to generate; flex_helpers_stop() is due
 */
void flex_helpers_start(struct flex_request *request)
{
	u32 i;

	WRITE_ONCE(request->generating, true);
	for (i = 1; i < request->ask.threads; i++) {
		kref_get(&request->refs);
		atomic_inc(&request->helpers);
		if (!flex_worker_start(flex_helper, request))
			continue;
		/* Fewer hands, the same tokens. */
		atomic_dec(&request->helpers);
		flex_request_put(request);
		break;
	}
}

/** flex_helpers_stop() - none is in the session any more */
void flex_helpers_stop(struct flex_request *request)
{
	WRITE_ONCE(request->generating, false);
	wait_event(request->helpers_wait, !atomic_read(&request->helpers));
}
