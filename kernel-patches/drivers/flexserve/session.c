// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions of the payload. One that has served its prompt stays open for the
 * next: its working memory stays secure, but neither pinned nor out of Linux's
 * reach. What was taken of it meanwhile comes back blank when the payload
 * needs it, since every prompt begins afresh.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include "model.h"

#define FLEX_CLOSE_TRIES 500
#define FLEX_CLOSE_WAIT_US 2000

static LIST_HEAD(flex_sessions_idle);	/* longest ago first */
static DEFINE_SPINLOCK(flex_sessions_lock);

static void flex_session_close(struct flex_session *session)
{
	s64 error = FLEX_E_BUSY;
	int tries;

	/* Helpers leave by themselves; a panic has closed it already. */
	for (tries = 0; tries < FLEX_CLOSE_TRIES && error == FLEX_E_BUSY; tries++) {
		if (session->epoch != flex_payload_epoch())
			break;
		if (tries)
			usleep_range(FLEX_CLOSE_WAIT_US, 2 * FLEX_CLOSE_WAIT_US);
		error = flex_payload_call(FLEX_OP_SESSION_CLOSE, session->id, 0, 0, NULL);
	}
	flex_range_release(&session->memory);
	flex_group_put(session->group);
	kfree(session);
}

/* The payload's answer to SESSION_OPEN becomes a session of ours. */
static int flex_session_adopt(struct flex_session *session, const struct arm_smccc_1_2_regs *answer)
{
	int ret = -EIO;

	session->id = answer->a2;
	if (flex_session_comm(answer->a2))
		ret = flex_range_add(&session->memory, answer->a3, answer->a4, false,
				     session->group);
	if (ret)
		flex_payload_call(FLEX_OP_SESSION_CLOSE, answer->a2, 0, 0, NULL);
	return ret;
}

static int flex_session_open(struct flex_session *session, u32 threads, s64 *error)
{
	struct arm_smccc_1_2_regs answer;

	/* Sessions and slots that nobody uses just now make room. */
	do {
		*error = flex_payload_call(FLEX_OP_SESSION_OPEN, session->model, session->context,
					   threads, &answer);
	} while (*error == FLEX_E_EXHAUSTED && flex_session_evict());
	return *error == FLEX_OK ? flex_session_adopt(session, &answer) : flex_errno(*error);
}

static struct flex_session *flex_session_new(u32 model, u32 epoch, u32 context, u32 threads,
					     struct obj_cgroup *group, s64 *error)
{
	struct flex_session *session = kzalloc(sizeof(*session), GFP_KERNEL);
	int ret;

	if (!session)
		return ERR_PTR(-ENOMEM);
	session->model = model;
	session->epoch = epoch;
	session->context = context;
	session->group = flex_group_get(group);
	ret = flex_session_open(session, threads, error);
	if (!ret)
		return session;
	flex_group_put(group);
	kfree(session);
	return ERR_PTR(ret);
}

/* An idle session that fits is the caller's now. */
static struct flex_session *flex_session_reuse(u32 model, u32 epoch, u32 context,
					       struct obj_cgroup *group)
{
	struct flex_session *session, *found = NULL;

	spin_lock(&flex_sessions_lock);
	list_for_each_entry(session, &flex_sessions_idle, idle) {
		if (session->model == model && session->epoch == epoch &&
		    session->context == context && session->group == group)
			found = session;
	}
	if (found)
		list_del(&found->idle);
	spin_unlock(&flex_sessions_lock);
	return found;
}

/**
 * flex_session_get() - a session for one prompt
 * @model: the payload's number; it is open and stays so
 * @context: tokens that its KV cache holds
 * @threads: that will work in it
 * @group: is charged for its memory, also between prompts
 * @error: the payload's, behind the errno
 *
 * Its memory holds pages or not: the payload asks for those that it needs. May
 * sleep. Return: the session, flex_session_put() is due; or an error pointer.
 */
struct flex_session *flex_session_get(u32 model, u32 context, u32 threads,
				      struct obj_cgroup *group, s64 *error)
{
	u32 epoch = flex_payload_epoch();
	struct flex_session *session = flex_session_reuse(model, epoch, context, group);

	*error = FLEX_OK;
	if (!session)
		return flex_session_new(model, epoch, context, threads, group, error);
	flex_range_unpark(&session->memory);
	return session;
}

/**
 * flex_session_put() - the prompt has been served; the session waits for another
 * @session: no thread is in it any more
 */
void flex_session_put(struct flex_session *session)
{
	if (session->epoch != flex_payload_epoch()) {
		flex_session_close(session);
		return;
	}
	flex_range_park(&session->memory);
	flex_reclaim_mark(session->group);
	spin_lock(&flex_sessions_lock);
	list_add_tail(&session->idle, &flex_sessions_idle);
	spin_unlock(&flex_sessions_lock);
}

/* Of this model (NULL: any), or forgotten by the payload. */
static struct flex_session *flex_session_victim(const u32 *model, u32 epoch, u32 now)
{
	struct flex_session *session;

	list_for_each_entry(session, &flex_sessions_idle, idle)
		if (!model || session->epoch != now ||
		    (session->model == *model && session->epoch == epoch))
			return session;
	return NULL;
}

static bool flex_session_close_one(const u32 *model, u32 epoch)
{
	struct flex_session *session;
	u32 now = flex_payload_epoch();

	spin_lock(&flex_sessions_lock);
	session = flex_session_victim(model, epoch, now);
	if (session)
		list_del(&session->idle);
	spin_unlock(&flex_sessions_lock);
	if (session)
		flex_session_close(session);
	return session;
}

/**
 * flex_session_evict() - give up the session that has been idle longest
 *
 * May sleep. Return: false when none is idle.
 */
bool flex_session_evict(void)
{
	return flex_session_close_one(NULL, 0);
}

/**
 * flex_sessions_close() - a model goes: so do its idle sessions
 * @model: the payload's number; no request uses it
 * @epoch: of that number
 *
 * Sessions of an earlier epoch go too. May sleep.
 */
void flex_sessions_close(u32 model, u32 epoch)
{
	while (flex_session_close_one(&model, epoch))
		;
}
