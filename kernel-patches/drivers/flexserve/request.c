// SPDX-License-Identifier: GPL-2.0-only
/*
 * One prompt, from submission to its last token, as its client sees it: the
 * request, its events, its result.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "request.h"

static LIST_HEAD(flex_requests);
static DEFINE_SPINLOCK(flex_requests_lock);

/** flex_client_new() - a client without a request. Return: NULL for no memory. */
struct flex_client *flex_client_new(void)
{
	struct flex_client *client = kzalloc(sizeof(*client), GFP_KERNEL);

	if (!client)
		return NULL;
	mutex_init(&client->lock);
	kref_init(&client->refs);
	client->group = flex_group_of_current();
	spin_lock_init(&client->events_lock);
	INIT_KFIFO(client->events);
	init_waitqueue_head(&client->wait);
	return client;
}

static void flex_client_free(struct kref *refs)
{
	struct flex_client *client = container_of(refs, struct flex_client, refs);

	flex_sessions_leave(client);
	flex_group_put(client->group);
	kfree(client);
}

/** flex_client_put() - give up a reference; may sleep */
void flex_client_put(struct flex_client *client)
{
	kref_put(&client->refs, flex_client_free);
}

static void flex_request_free(struct kref *refs)
{
	struct flex_request *request = container_of(refs, struct flex_request, refs);

	spin_lock(&flex_requests_lock);
	list_del(&request->list);
	spin_unlock(&flex_requests_lock);
	flex_model_put(request->model);
	flex_client_put(request->client);
	kvfree(request->prompt_ids);
	kvfree(request->prompt);
	kfree(request);
}

/** flex_request_put() - give up a reference; may sleep */
void flex_request_put(struct flex_request *request)
{
	kref_put(&request->refs, flex_request_free);
}

/**
 * flex_request_cancel() - let it end soon: at its next layer or its next wait
 * @request: a reference is held; ended or not
 */
void flex_request_cancel(struct flex_request *request)
{
	WRITE_ONCE(request->cancelled, true);
	wake_up_all(&request->client->wait);
}

/** flex_requests_cancel_all() - the board goes down */
void flex_requests_cancel_all(void)
{
	struct flex_request *request;

	spin_lock(&flex_requests_lock);
	list_for_each_entry(request, &flex_requests, list)
		flex_request_cancel(request);
	spin_unlock(&flex_requests_lock);
}

/**
 * flex_request_post() - an event for the client
 * @request: waits for room, unless it is cancelled: then it may be lost
 * @event: copied
 */
void flex_request_post(struct flex_request *request, const struct flex_event *event)
{
	struct flex_client *client = request->client;

	wait_event(client->wait, READ_ONCE(request->cancelled) || !kfifo_is_full(&client->events));
	kfifo_in_spinlocked(&client->events, event, 1, &client->events_lock);
	wake_up_all(&client->wait);
}

/*
 * The event and the end at once: a reader that saw the end without the event
 * would take it for the end of the file, and one that had the event before the
 * end could not begin its next request.
 */
static void flex_request_post_last(struct flex_request *request, const struct flex_event *event)
{
	struct flex_client *client = request->client;

	wait_event(client->wait, READ_ONCE(request->cancelled) || !kfifo_is_full(&client->events));
	spin_lock(&client->events_lock);
	kfifo_in(&client->events, event, 1);
	smp_store_release(&request->ended, true);
	spin_unlock(&client->events_lock);
	wake_up_all(&client->wait);
}

/**
 * flex_request_end() - tell the client how it went
 * @request: nobody computes for it any more
 * @error: 0 or a negative errno
 * @finish: FLEX_FINISH_*
 */
void flex_request_end(struct flex_request *request, int error, s32 finish)
{
	struct flex_event event = {
		.type = error ? FLEX_EVENT_ERROR : FLEX_EVENT_DONE,
		.value = error ? error : finish,
		.ticks = flex_ticks(),
	};

	flex_clock_report(&request->clock, &request->result.breakdown);
	request->result.breakdown.switches = atomic64_read(&request->entries);
	request->result.error = error;
	flex_count(FLEX_COUNT_RELOADS, request->clock.loaded);
	flex_request_post_last(request, &event);
}

static int flex_request_copy_in(struct flex_request *request)
{
	/* What is too long or empty is the payload's to refuse, with its reason. */
	u32 bytes = min_t(u32, request->ask.prompt_bytes, FLEX_PROMPT_BYTES);

	if (!request->ask.threads || request->ask.threads > FLEX_BUSY_THREADS)
		return -EINVAL;
	request->prompt = kvmalloc(max(bytes, 1U), GFP_KERNEL);
	request->prompt_ids = kvcalloc(FLEX_PROMPT_IDS, sizeof(s32), GFP_KERNEL);
	if (!request->prompt || !request->prompt_ids)
		return -ENOMEM;
	if (copy_from_user(request->prompt, u64_to_user_ptr(request->ask.prompt), bytes))
		return -EFAULT;
	return 0;
}

/*
 * The clock began to run with the opening of the model, if that is wanted; what
 * loaders have done since then for this model is part of the request.
 */
static void flex_request_start_clock(struct flex_request *request, u64 submitted)
{
	const struct flex_client *client = request->client;
	bool opening = request->ask.flags & FLEX_GENERATE_FROM_MODEL;

	if (opening)
		request->clock = client->opening;
	else
		flex_clock_start(&request->clock, submitted);
	if (opening && client->opened == request->model)
		request->counted = client->opened_work;
	else
		flex_loader_work(&request->model->loader, &request->counted);
}

/**
 * flex_request_new() - a request that nobody serves yet
 * @client: locked, without a request under way; gets a reference to it
 * @model: a use of it becomes the request's, whatever happens
 * @ask: as the client put it
 * @submitted: ticks when it did
 *
 * May sleep. Return: the request, flex_request_put() is due; or an error pointer.
 */
struct flex_request *flex_request_new(struct flex_client *client, struct flex_model *model,
				      const struct flex_ioc_generate *ask, u64 submitted)
{
	struct flex_request *request = kzalloc(sizeof(*request), GFP_KERNEL);
	int ret;

	if (!request) {
		flex_model_put(model);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&request->refs);
	kref_get(&client->refs);
	request->client = client;
	request->model = model;
	request->ask = *ask;
	init_completion(&request->done);
	init_waitqueue_head(&request->helpers_wait);
	spin_lock(&flex_requests_lock);
	list_add(&request->list, &flex_requests);
	spin_unlock(&flex_requests_lock);

	ret = flex_request_copy_in(request);
	if (ret) {
		flex_request_put(request);
		return ERR_PTR(ret);
	}
	flex_request_start_clock(request, submitted);
	return request;
}
