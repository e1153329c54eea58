// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions of the payload. One that has served its prompt stays open for the
 * next: its working memory stays secure, but neither pinned nor out of Linux's
 * reach. What was taken of it meanwhile comes back blank when the payload
 * needs it, since a prompt begins afresh.
 *
 * A conversation is a session that one client keeps: its next prompt goes on
 * in it. What is taken of its memory the payload computes again, or opens from
 * the file that it was put aside in.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "model.h"

#define FLEX_CLOSE_TRIES 500
#define FLEX_CLOSE_WAIT_US 2000

static LIST_HEAD(flex_sessions_idle);	/* longest ago first */
static DEFINE_SPINLOCK(flex_sessions_lock);
static DECLARE_WAIT_QUEUE_HEAD(flex_sessions_wait);	/* one has been put aside, or not */
static u32 flex_sessions_sealing;
static struct workqueue_struct *flex_sessions_savers;	/* for when memory is short */

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
	cancel_work_sync(&session->saver);
	flex_store_free(session->store);
	flex_group_put(session->group);
	kfree(session);
}

static void flex_session_saver(struct work_struct *work);

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
	} while (*error == FLEX_E_EXHAUSTED &&
		 (flex_session_evict(false) || flex_session_evict(true)));
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
	INIT_LIST_HEAD(&session->idle);
	INIT_WORK(&session->saver, flex_session_saver);
	ret = flex_session_open(session, threads, error);
	if (!ret)
		return session;
	flex_group_put(group);
	kfree(session);
	return ERR_PTR(ret);
}

/* An idle session that fits is the caller's now: its pages are the likeliest to be there still. */
static struct flex_session *flex_session_reuse(u32 model, u32 epoch, u32 context,
					       struct obj_cgroup *group)
{
	struct flex_session *session, *found = NULL;

	spin_lock(&flex_sessions_lock);
	list_for_each_entry(session, &flex_sessions_idle, idle) {
		if (!session->owner && session->model == model && session->epoch == epoch &&
		    session->context == context && session->group == group)
			found = session;
	}
	if (found)
		list_del_init(&found->idle);
	spin_unlock(&flex_sessions_lock);
	return found;
}

/* Recall has come by, or will soon (struct flex_range). */
static void flex_session_ask(struct flex_range *range)
{
	struct flex_session *session = container_of(range, struct flex_session, memory);

	queue_work(flex_sessions_savers, &session->saver);
}

/* Which sessions are meant. */
struct flex_wish {
	bool (*fits)(const struct flex_session *session, const struct flex_wish *wish);
	const void *owner;
	u32 model, epoch, now;
};

static bool flex_session_is_plain(const struct flex_session *session, const struct flex_wish *wish)
{
	return !session->owner;
}

static bool flex_session_is_any(const struct flex_session *session, const struct flex_wish *wish)
{
	return true;
}

static bool flex_session_is_owners(const struct flex_session *session, const struct flex_wish *wish)
{
	return session->owner == wish->owner;
}

/* Or has been forgotten by the payload. */
static bool flex_session_is_models(const struct flex_session *session, const struct flex_wish *wish)
{
	return session->epoch != wish->now ||
	       (session->model == wish->model && session->epoch == wish->epoch);
}

/* The one that has been idle longest. flex_sessions_lock is held. */
static struct flex_session *flex_session_find(const struct flex_wish *wish)
{
	struct flex_session *session;

	list_for_each_entry(session, &flex_sessions_idle, idle)
		if (wish->fits(session, wish))
			return session;
	return NULL;
}

/* The same, which is the caller's then. Waits while it is being put aside. */
static struct flex_session *flex_session_take(const struct flex_wish *wish)
{
	struct flex_session *session;
	bool sealing;

	do {
		spin_lock(&flex_sessions_lock);
		session = flex_session_find(wish);
		sealing = session && session->sealing;
		if (session && !sealing)
			list_del_init(&session->idle);
		spin_unlock(&flex_sessions_lock);
		if (sealing)
			wait_event(flex_sessions_wait, !READ_ONCE(flex_sessions_sealing));
	} while (sealing);
	return session;
}

static void flex_session_rest(struct flex_session *session)
{
	spin_lock(&flex_sessions_lock);
	list_add_tail(&session->idle, &flex_sessions_idle);
	spin_unlock(&flex_sessions_lock);
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
 * flex_session_resume() - a client's conversation goes on
 * @owner: whose
 *
 * May sleep. Return: the session, flex_session_put() is due; NULL: it is gone.
 */
struct flex_session *flex_session_resume(const void *owner)
{
	const struct flex_wish wish = { .fits = flex_session_is_owners, .owner = owner };
	struct flex_session *session = flex_session_take(&wish);

	if (session && session->epoch != flex_payload_epoch()) {
		flex_session_close(session);
		return NULL;
	}
	if (session)
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
	session->memory.dirty = session->owner;
	session->memory.save = session->store ? flex_session_ask : NULL;
	flex_range_park(&session->memory);
	flex_reclaim_mark(session->group);
	flex_session_rest(session);
}

/**
 * flex_session_store() - where a conversation may be put aside
 * @owner: whose; no prompt of it is under way
 * @file: regular, open for reading and writing
 * @need: out: bytes that it has to have
 *
 * May sleep. Return: 0; -ENOSPC: the file is too small; -ESTALE: there is no
 * conversation.
 */
int flex_session_store(const void *owner, struct file *file, u64 *need)
{
	const struct flex_wish wish = { .fits = flex_session_is_owners, .owner = owner };
	struct flex_session *session = flex_session_take(&wish);
	struct flex_store *store = NULL;
	int ret = -ENOSPC;

	if (!session)
		return -ESTALE;
	*need = DIV_ROUND_UP_ULL((u64)session->memory.count * PAGE_SIZE, FLEX_PUT_BYTES) *
		FLEX_PROMPT_BYTES;
	if (i_size_read(file_inode(file)) >= *need) {
		store = flex_store_new(file);
		ret = store ? 0 : -ENOMEM;
	}
	if (store) {
		flex_store_free(session->store);
		session->store = store;
		session->memory.save = flex_session_ask;
	}
	flex_session_rest(session);
	return ret;
}

/* flex_sessions_lock is held. False: it is in use, there is nowhere to put it, or somebody is at it. */
static bool flex_session_save_begin(struct flex_session *session)
{
	if (list_empty(&session->idle) || !session->store || session->sealing)
		return false;
	session->sealing = true;
	flex_sessions_sealing++;
	return true;
}

/* What flex_session_save_begin() has begun. */
static int flex_session_save(struct flex_session *session, u64 *bytes)
{
	int ret = -ESTALE;

	if (session->epoch == flex_payload_epoch())
		ret = flex_store_seal(session->store, session->id, bytes);
	flex_range_saved(&session->memory, ret);
	flex_count(FLEX_COUNT_SEALED, !ret);
	spin_lock(&flex_sessions_lock);
	session->sealing = false;
	flex_sessions_sealing--;
	spin_unlock(&flex_sessions_lock);
	wake_up_all(&flex_sessions_wait);
	return ret;
}

static void flex_session_saver(struct work_struct *work)
{
	struct flex_session *session = container_of(work, struct flex_session, saver);
	bool begun;
	u64 bytes;

	spin_lock(&flex_sessions_lock);
	begun = flex_session_save_begin(session);
	spin_unlock(&flex_sessions_lock);
	if (begun)
		flex_session_save(session, &bytes);
	else
		flex_range_saved(&session->memory, -EAGAIN);
}

/**
 * flex_session_seal() - put a client's conversation aside
 * @owner: whose; no prompt of it is under way
 * @bytes: out: written to its file
 *
 * May sleep. Return: 0; -ENOENT: it has no file; -EBUSY: it is being put aside;
 * -ESTALE: there is none, or a part of it has been taken; or the file's error.
 */
int flex_session_seal(const void *owner, u64 *bytes)
{
	const struct flex_wish wish = { .fits = flex_session_is_owners, .owner = owner };
	struct flex_session *session;
	int ret = 0;

	*bytes = 0;
	spin_lock(&flex_sessions_lock);
	session = flex_session_find(&wish);
	if (!session)
		ret = -ESTALE;
	else if (!flex_session_save_begin(session))
		ret = session->store ? -EBUSY : -ENOENT;
	spin_unlock(&flex_sessions_lock);
	return ret ? ret : flex_session_save(session, bytes);
}

/** flex_sessions_init() - be able to put sessions aside. Return: 0 or -ENOMEM. */
int flex_sessions_init(void)
{
	flex_sessions_savers = alloc_workqueue("flexserve", WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	return flex_sessions_savers ? 0 : -ENOMEM;
}

/** flex_sessions_exit() - no session is left */
void flex_sessions_exit(void)
{
	destroy_workqueue(flex_sessions_savers);
}

static bool flex_session_close_one(const struct flex_wish *wish)
{
	struct flex_session *session = flex_session_take(wish);

	if (session)
		flex_session_close(session);
	return session;
}

/**
 * flex_session_evict() - give up the session that has been idle longest
 * @any: also a conversation, which cannot be had again
 *
 * May sleep. Return: false when none is idle.
 */
bool flex_session_evict(bool any)
{
	const struct flex_wish wish = { .fits = any ? flex_session_is_any : flex_session_is_plain };

	return flex_session_close_one(&wish);
}

/**
 * flex_sessions_leave() - a conversation ends, and is forgotten
 * @owner: whose; no prompt of it is under way
 *
 * May sleep.
 */
void flex_sessions_leave(const void *owner)
{
	const struct flex_wish wish = { .fits = flex_session_is_owners, .owner = owner };

	while (flex_session_close_one(&wish))
		;
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
	const struct flex_wish wish = { .fits = flex_session_is_models, .model = model,
					.epoch = epoch, .now = flex_payload_epoch() };

	while (flex_session_close_one(&wish))
		;
}
