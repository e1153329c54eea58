// SPDX-License-Identifier: GPL-2.0-only
/*
 * Models: a file, what the payload calls it, and the slots that hold it. The
 * weights stay secure after the last client has gone, until Linux wants the
 * memory, the payload wants the slots, or somebody drops them.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "model.h"

DEFINE_MUTEX(flex_models_lock);
static LIST_HEAD(flex_models);
static DECLARE_WAIT_QUEUE_HEAD(flex_models_wait);	/* a request has ended */

static bool flex_model_is(const struct flex_model *model, const struct inode *inode, u32 mode)
{
	struct timespec64 modified = inode_get_mtime(inode);

	return model->mode == mode && model->device == inode->i_sb->s_dev &&
	       model->inode == inode->i_ino && model->bytes == i_size_read(inode) &&
	       timespec64_equal(&model->modified, &modified);
}

static struct flex_model *flex_model_find(const struct inode *inode, u32 mode)
{
	struct flex_model *model;

	list_for_each_entry(model, &flex_models, list)
		if (flex_model_is(model, inode, mode))
			return model;
	return NULL;
}

static struct flex_model *flex_model_new(const struct inode *inode, u32 mode,
					 struct obj_cgroup *group)
{
	struct flex_model *model = kzalloc(sizeof(*model), GFP_KERNEL);

	if (!model)
		return NULL;
	flex_loader_init(&model->loader, &model->range);
	model->mode = mode;
	model->group = flex_group_get(group);
	model->device = inode->i_sb->s_dev;
	model->inode = inode->i_ino;
	model->bytes = i_size_read(inode);
	model->modified = inode_get_mtime(inode);
	list_add_tail(&model->list, &flex_models);
	return model;
}

/* flex_models_lock held; closed, and nobody uses it. */
static void flex_model_free(struct flex_model *model)
{
	list_del(&model->list);
	flex_group_put(model->group);
	kfree(model);
}

/**
 * flex_model_shut() - the payload gives the model up, its pages come back
 * @model: open or not; no other request uses it; flex_models_lock held
 *
 * Return: 0, or a negative errno and it is still open.
 */
int flex_model_shut(struct flex_model *model)
{
	s64 error = FLEX_OK;

	if (!model->open)
		return 0;
	flex_loader_stop(&model->loader);
	flex_sessions_close(model->id, model->epoch);
	/* After a panic the payload has forgotten it already. */
	if (model->epoch == flex_payload_epoch())
		error = flex_payload_call(FLEX_OP_MODEL_CLOSE, model->id, 0, 0, NULL);
	if (error != FLEX_OK && error != FLEX_E_PANIC)
		return flex_errno(error);
	model->open = false;
	WRITE_ONCE(model->refused, false);
	return flex_range_release(&model->range);
}

/* The payload has panicked since the model was opened, or found it tampered with. */
static bool flex_model_stale(const struct flex_model *model)
{
	return model->open &&
	       (READ_ONCE(model->refused) || model->epoch != flex_payload_epoch());
}

/* What is of no use any more gives its pages back, once nobody uses it. */
static void flex_model_reap(struct flex_model *model)
{
	if (flex_model_stale(model) && !atomic_read(&model->requests))
		flex_model_shut(model);
}

/* Take flex_models_lock with the model either fresh or fit to be reaped. */
static void flex_models_lock_for(struct flex_model *model)
{
	for (;;) {
		mutex_lock(&flex_models_lock);
		if (!flex_model_stale(model) || !atomic_read(&model->requests))
			return;
		mutex_unlock(&flex_models_lock);
		wait_event(flex_models_wait, !atomic_read(&model->requests));
	}
}

/*
 * The payload has panicked: no model is open any more. Requests end by
 * themselves with FLEX_E_PANIC; the last one of a model comes back here.
 */
static void flex_models_lost(void)
{
	struct flex_model *model, *next;

	/* Whatever it answers: being entered, the payload starts afresh and lets go of pins. */
	flex_payload_call(FLEX_OP_SESSION_CANCEL, FLEX_SESSIONS, 0, 0, NULL);
	mutex_lock(&flex_models_lock);
	list_for_each_entry_safe(model, next, &flex_models, list) {
		flex_model_reap(model);
		if (!model->open && !model->users)
			flex_model_free(model);
	}
	mutex_unlock(&flex_models_lock);
}

/* flex_models_lock held. Return: 0, or -EBUSY while a request is under way. */
static int flex_model_close(struct flex_model *model)
{
	flex_model_reap(model);
	if (model->open && atomic_read(&model->requests))
		return -EBUSY;
	return flex_model_shut(model);
}

/* The file has changed since: what is cached of it serves nobody any more. */
static void flex_model_forget_older(const struct inode *inode)
{
	struct flex_model *model, *next;

	list_for_each_entry_safe(model, next, &flex_models, list)
		if (!model->users && model->device == inode->i_sb->s_dev &&
		    model->inode == inode->i_ino && !flex_model_is(model, inode, model->mode) &&
		    !flex_model_close(model))
			flex_model_free(model);
}

/* Make room: the model used longest ago goes. flex_models_lock held. */
static bool flex_models_evict(const struct flex_model *keep)
{
	struct flex_model *model;

	list_for_each_entry(model, &flex_models, list) {
		if (model == keep || !model->open || flex_model_close(model))
			continue;
		if (!model->users)
			flex_model_free(model);
		return true;
	}
	return false;
}

/**
 * flex_model_reserve() - the payload gives a model its number and its slots
 * @model: not open; flex_models_lock held
 * @reason: says why when there is not enough, FLEX_REASON_BYTES
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_model_reserve(struct flex_model *model, char *reason)
{
	u64 pages = DIV_ROUND_UP_ULL(model->bytes, PAGE_SIZE);
	struct flex_call call = { .op = FLEX_OP_MODEL_OPEN, .arg = { model->bytes },
				  .hasty = true };
	s64 error;
	int ret;

	do {
		error = flex_payload_run(&call);
	} while (error == FLEX_E_EXHAUSTED &&
		 (flex_session_evict(false) || flex_models_evict(model) ||
		  flex_session_evict(true)));
	if (error == FLEX_E_EXHAUSTED) {
		call.hasty = false;
		error = flex_payload_run(&call);
	}
	if (error == FLEX_E_EXHAUSTED)
		snprintf(reason, FLEX_REASON_BYTES,
			 "the model has %llu pages; there are slots for %u, or other models use them",
			 pages, flex_firmware.slots);
	if (error != FLEX_OK)
		return flex_errno(error);

	ret = flex_range_add(&model->range, call.result.a3, pages,
			     model->mode == FLEX_MODE_FLEXSERVE, model->group);
	if (ret) {
		flex_payload_call(FLEX_OP_MODEL_CLOSE, call.result.a2, 0, 0, NULL);
		return ret;
	}
	model->id = call.result.a2;
	model->epoch = flex_payload_epoch();
	model->open = true;
	return 0;
}

struct flex_model_reader {
	struct flex_model *model;
	struct flex_clock *clock;
};

static int flex_model_read(void *context, u32 index)
{
	struct flex_model_reader *reader = context;

	return flex_loader_need(&reader->model->loader, index, reader->clock);
}

/* The loader reads on behind the header meanwhile. */
static int flex_model_parse_cached(struct flex_model *model, struct flex_clock *clock, char *reason)
{
	struct flex_model_reader reader = { model, clock };
	int ret;

	flex_loader_begin(&model->loader, model->file, model->bytes);
	ret = flex_model_parse(model, clock, flex_model_read, &reader, reason);
	flex_loader_end(&model->loader);
	return ret;
}

/* flex_models_lock held. */
static int flex_model_open_locked(struct flex_model *model, struct flex_clock *clock, char *reason)
{
	int ret;

	flex_model_reap(model);
	if (model->open)
		return 0;
	ret = flex_model_reserve(model, reason);
	if (ret)
		return ret;
	ret = flex_model_parse_cached(model, clock, reason);
	if (ret)
		flex_model_shut(model);
	return ret;
}

/**
 * flex_model_open() - have a model ready: parsed, and its header resident
 * @model: a flexserve one, in use by the caller
 * @clock: is told where time goes, or NULL
 * @reason: gets the payload's reason for -EKEYREJECTED, FLEX_REASON_BYTES
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_model_open(struct flex_model *model, struct flex_clock *clock, char *reason)
{
	int ret;

	flex_models_lock_for(model);
	ret = flex_model_open_locked(model, clock, reason);
	mutex_unlock(&flex_models_lock);
	return ret;
}

/**
 * flex_model_get() - the model that a file is, known or new, not opened
 * @file: regular, open for reading
 * @mode: FLEX_MODE_*
 * @group: is charged for a new one
 *
 * May sleep. Return: the model, flex_model_put() is due; NULL: no memory.
 */
struct flex_model *flex_model_get(struct file *file, u32 mode, struct obj_cgroup *group)
{
	const struct inode *inode = file_inode(file);
	struct flex_model *model;

	mutex_lock(&flex_models_lock);
	model = flex_model_find(inode, mode);
	if (!model) {
		flex_model_forget_older(inode);
		model = flex_model_new(inode, mode, group);
	}
	if (model && !model->users++)
		model->file = get_file(file);
	mutex_unlock(&flex_models_lock);
	return model;
}

/**
 * flex_model_put() - end a use; the weights stay
 * @model: from flex_model_get()
 */
void flex_model_put(struct flex_model *model)
{
	mutex_lock(&flex_models_lock);
	if (!--model->users) {
		fput(model->file);
		model->file = NULL;
		if (!model->open)
			flex_model_free(model);
	}
	mutex_unlock(&flex_models_lock);
}

/**
 * flex_model_drop() - forget the cached weights
 * @model: in use by the caller
 *
 * Return: 0, or -EBUSY while a request is under way.
 */
int flex_model_drop(struct flex_model *model)
{
	int ret;

	mutex_lock(&flex_models_lock);
	ret = flex_model_close(model);
	mutex_unlock(&flex_models_lock);
	return ret;
}

/**
 * flex_model_begin() - a request begins: the model is open until flex_model_end()
 * @model: the caller has a use of it
 * @clock: of the request
 * @reason: gets the payload's reason for -EKEYREJECTED
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_model_begin(struct flex_model *model, struct flex_clock *clock, char *reason)
{
	int ret = 0;

	flex_models_lock_for(model);
	list_move_tail(&model->list, &flex_models);
	if (model->mode == FLEX_MODE_FLEXSERVE)
		ret = flex_model_open_locked(model, clock, reason);
	if (!ret) {
		atomic_inc(&model->requests);
		if (model->mode == FLEX_MODE_FLEXSERVE)
			flex_range_touch(&model->range);
	}
	mutex_unlock(&flex_models_lock);
	return ret;
}

/**
 * flex_model_end() - a request has ended
 * @model: of flex_model_begin(); the caller still has its use
 */
void flex_model_end(struct flex_model *model)
{
	bool last = atomic_dec_and_test(&model->requests);

	wake_up_all(&flex_models_wait);
	if (last && flex_model_stale(model))
		flex_payload_lost();
}

/**
 * flex_model_refused() - a request met contents that are not what was sealed
 * @model: between begin and end; the next request after these loads it anew
 */
void flex_model_refused(struct flex_model *model)
{
	WRITE_ONCE(model->refused, true);
}

/** flex_models_init() - be told of panics */
void flex_models_init(void)
{
	flex_payload_watch(flex_models_lost);
}

/** flex_models_exit() - close and free all; requests have been cancelled */
void flex_models_exit(void)
{
	struct flex_model *model, *next;

	mutex_lock(&flex_models_lock);
	list_for_each_entry_safe(model, next, &flex_models, list) {
		wait_event_timeout(flex_models_wait, !atomic_read(&model->requests), 2 * HZ);
		if (!flex_model_close(model) && !model->users)
			flex_model_free(model);
	}
	mutex_unlock(&flex_models_lock);
}
