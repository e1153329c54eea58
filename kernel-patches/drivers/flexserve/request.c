// SPDX-License-Identifier: GPL-2.0-only
/*
 * One prompt, from submission to its last token. The leader is a kernel
 * thread that enters GENERATE; helpers enter WORK. Nothing binds them to a
 * core, so Linux moves them, and the secure threads move along.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/semaphore.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "flexserve.h"

#define FLEX_HELPER_US 100		/* between two offers to help */
/*
 * NEEDs within one layer. A large layer has some dozens; more than this and its
 * pages are taken back faster than they come.
 */
#define FLEX_NEEDS_MAX 1024
#define FLEX_TURN_JIFFIES (HZ / 20)	/* waiting for other requests to leave a thread */
#define FLEX_CLOSE_TRIES 500
#define FLEX_CLOSE_WAIT_US 2000

static DEFINE_SEMAPHORE(flex_busy_threads, FLEX_BUSY_THREADS);
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
	spin_lock_init(&client->events_lock);
	INIT_KFIFO(client->events);
	init_waitqueue_head(&client->wait);
	return client;
}

static void flex_client_free(struct kref *refs)
{
	kfree(container_of(refs, struct flex_client, refs));
}

/** flex_client_put() - give up a reference */
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
	kvfree(request->batch);
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

/* Events: the leader waits for room, a cancelled one drops them. */
static void flex_request_post(struct flex_request *request, const struct flex_event *event)
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

static s64 flex_request_token(struct flex_request *request, const struct arm_smccc_1_2_regs *values)
{
	const struct flex_session_comm *comm = flex_session_comm(request->session);
	u32 bytes = min_t(u64, values->a4, FLEX_TEXT_BYTES), at = 0;
	u64 now = flex_ticks();
	struct flex_event event = { .type = FLEX_EVENT_TOKEN, .value = values->a3, .ticks = now };

	flex_clock_token(&request->clock, now);
	request->result.tokens++;
	do {
		event.bytes = min_t(u32, bytes - at, sizeof(event.text));
		memcpy(event.text, comm->text + at, event.bytes);
		flex_request_post(request, &event);
		event.type = FLEX_EVENT_TEXT;
		at += event.bytes;
	} while (at < bytes);
	return FLEX_OK;
}

/* Memory is so short that the layer under way never gets all of its pages. */
static bool flex_request_thrashes(struct flex_request *request)
{
	u64 heartbeat = READ_ONCE(flex_session_comm(request->session)->heartbeat);

	if (heartbeat != request->needs_heartbeat)
		request->needs = 0;
	request->needs_heartbeat = heartbeat;
	return ++request->needs > FLEX_NEEDS_MAX;
}

static s64 flex_request_need(struct flex_request *request, const struct arm_smccc_1_2_regs *values)
{
	u32 loaded = 0;
	int ret;

	ret = flex_model_load(request->model, values->a3, values->a4, &request->clock, &loaded);
	if (!ret && flex_request_thrashes(request))
		ret = -ENOMEM;
	request->load_error = ret;
	return ret ? FLEX_E_EXHAUSTED : FLEX_OK;
}

static s64 flex_leader_yielded(struct flex_call *call, u64 reason,
				   const struct arm_smccc_1_2_regs *values)
{
	struct flex_request *request = call->context;

	if (READ_ONCE(request->cancelled))
		return FLEX_E_CANCELLED;
	switch (reason) {
	case FLEX_YIELD_TOKEN:
		return flex_request_token(request, values);
	case FLEX_YIELD_NEED:
		return flex_request_need(request, values);
	default:
		return FLEX_E_INVAL;
	}
}

static void flex_leader_send_cancel(struct flex_request *request)
{
	if (request->cancel_sent)
		return;
	request->cancel_sent = true;
	flex_payload_call(FLEX_OP_SESSION_CANCEL, request->session, 0, 0, NULL);
}

static s64 flex_leader_turn(struct flex_call *call, u64 ticks)
{
	struct flex_request *request = call->context;
	struct flex_session_comm *comm = flex_session_comm(request->session);

	flex_clock_shift(&request->clock, FLEX_PART_PREFILL, ticks);
	atomic64_add(ticks, &request->watchdog.spent);
	if (READ_ONCE(request->cancelled))
		flex_leader_send_cancel(request);
	if (!flex_watchdog_late(&request->watchdog, READ_ONCE(comm->heartbeat)))
		return FLEX_OK;
	flex_leader_send_cancel(request);
	WRITE_ONCE(request->abandoned, true);
	return FLEX_E_TIMEOUT;
}

static const struct flex_call_ops flex_leader_ops = {
	.turn = flex_leader_turn,
	.yielded = flex_leader_yielded,
};

static s64 flex_helper_turn(struct flex_call *call, u64 ticks)
{
	struct flex_request *request = call->context;

	atomic64_add(ticks, &request->watchdog.spent);
	return READ_ONCE(request->abandoned) ? FLEX_E_TIMEOUT : FLEX_OK;
}

static const struct flex_call_ops flex_helper_ops = { .turn = flex_helper_turn };

static int flex_helper(void *data)
{
	struct flex_request *request = data;
	s64 error = FLEX_OK;

	while (READ_ONCE(request->generating) &&
	       (error == FLEX_OK || error == FLEX_E_EXHAUSTED)) {
		struct flex_call call = { .op = FLEX_OP_WORK, .arg = { request->session },
					  .ops = &flex_helper_ops, .context = request,
					  .hasty = true };

		if (!down_trylock(&flex_busy_threads)) {
			error = flex_payload_run(&call);
			up(&flex_busy_threads);
		}
		atomic64_add(call.entries, &request->entries);
		if (READ_ONCE(request->generating))
			usleep_range(FLEX_HELPER_US, 2 * FLEX_HELPER_US);
	}
	if (atomic_dec_and_test(&request->helpers))
		wake_up_all(&request->helpers_wait);
	flex_request_put(request);
	return 0;
}

static void flex_helpers_start(struct flex_request *request)
{
	struct task_struct *task;
	u32 i;

	WRITE_ONCE(request->generating, true);
	for (i = 1; i < request->ask.threads; i++) {
		task = kthread_create(flex_helper, request, "flexwork/%u.%u", request->session, i);
		if (IS_ERR(task))
			break;	/* fewer hands, the same tokens */
		kref_get(&request->refs);
		atomic_inc(&request->helpers);
		set_user_nice(task, task_nice(current));
		wake_up_process(task);
	}
}

static void flex_helpers_stop(struct flex_request *request)
{
	WRITE_ONCE(request->generating, false);
	wait_event(request->helpers_wait, !atomic_read(&request->helpers));
}

/* A strawman's model: all of it into a region, now. flex_region_lock held. */
static int flex_request_open_region(struct flex_request *request)
{
	struct flex_model *model = request->model;
	int ret;

	mutex_lock(&flex_models_lock);
	ret = flex_model_reserve(model, request->result.reason);
	mutex_unlock(&flex_models_lock);
	if (ret)
		return ret;
	ret = flex_region_load(&request->region, model->file, model->bytes, &request->clock);
	if (ret == -ENOMEM)
		snprintf(request->result.reason, FLEX_REASON_BYTES,
			 "no contiguous region of %llu bytes", request->region.size);
	if (ret)
		return ret;
	request->clock.loaded += request->region.size >> PAGE_SHIFT;
	ret = flex_errno(flex_payload_call(FLEX_OP_MODEL_REGION, model->id, request->region.base,
					   request->region.size, NULL));
	if (ret)
		return ret;
	return flex_model_parse(model, &request->clock, request->result.reason);
}

static void flex_request_close_region(struct flex_request *request)
{
	mutex_lock(&flex_models_lock);
	flex_model_shut(request->model);
	mutex_unlock(&flex_models_lock);
	flex_region_release(&request->region);
}

static int flex_request_open_model(struct flex_request *request)
{
	int ret;

	if (request->model->mode == FLEX_MODE_STRAWMAN) {
		mutex_lock(&flex_region_lock);
		request->has_region = true;
	}
	ret = flex_model_begin(request->model, &request->clock, request->result.reason);
	if (ret)
		return ret;
	request->has_model = true;
	return request->has_region ? flex_request_open_region(request) : 0;
}

static void flex_request_close_model(struct flex_request *request)
{
	if (request->has_region)
		flex_request_close_region(request);
	if (request->has_model)
		flex_model_end(request->model);
	if (request->has_region)
		mutex_unlock(&flex_region_lock);
}

static int flex_request_open_session(struct flex_request *request)
{
	struct arm_smccc_1_2_regs res;
	u32 pages = 0;
	s64 error;
	int ret;

	if (request->ask.context > request->model->max_context) {
		snprintf(request->result.reason, sizeof(request->result.reason),
			 "the model's context is %u tokens at the most, %u were asked for",
			 request->model->max_context, request->ask.context);
		return -EINVAL;
	}
	request->session_epoch = flex_payload_epoch();
	error = flex_payload_call(FLEX_OP_SESSION_OPEN, request->model->id, request->ask.context,
				  request->ask.threads, &res);
	request->result.flex_error = error;
	if (error != FLEX_OK)
		return flex_errno(error);
	if (!flex_session_comm(res.a2))
		return -EIO;
	request->session = res.a2;
	ret = flex_range_add(&request->memory, res.a3, res.a4, false);
	if (ret) {
		flex_payload_call(FLEX_OP_SESSION_CLOSE, request->session, 0, 0, NULL);
		return ret;
	}
	request->has_session = true;
	return flex_load(&request->memory, 0, res.a4, NULL, 0, request->batch, &request->clock,
			 &pages);
}

static void flex_request_close_session(struct flex_request *request)
{
	s64 error = FLEX_E_BUSY;
	int tries;

	if (!request->has_session)
		return;
	/* Helpers leave by themselves; a panic has closed it already. */
	for (tries = 0; tries < FLEX_CLOSE_TRIES && error == FLEX_E_BUSY; tries++) {
		if (request->session_epoch != flex_payload_epoch())
			break;
		if (tries)
			usleep_range(FLEX_CLOSE_WAIT_US, 2 * FLEX_CLOSE_WAIT_US);
		error = flex_payload_call(FLEX_OP_SESSION_CLOSE, request->session, 0, 0, NULL);
	}
	flex_range_release(&request->memory);
}

static void flex_request_copy_result(struct flex_request *request, s64 error)
{
	const struct flex_session_comm *comm = flex_session_comm(request->session);
	u32 tokens = min_t(u64, comm->prompt_tokens, FLEX_PROMPT_IDS);

	request->result.prefill_ticks = comm->prefill_ticks;
	request->result.decode_ticks = comm->decode_ticks;
	request->result.prompt_tokens = tokens;
	memcpy(request->prompt_ids, comm->prompt_ids, tokens * sizeof(s32));
	if (error == FLEX_E_PROMPT || error == FLEX_E_MODEL)
		strscpy(request->result.reason, comm->reason, FLEX_REASON_BYTES);
	if (error == FLEX_E_PROMPT && !comm->reason[0])
		strscpy(request->result.reason,
			"the prompt is empty, longer than the context, or not UTF-8");
}

/* Return: 0 with *finish, or a negative errno. */
static int flex_request_generate(struct flex_request *request, s32 *finish)
{
	struct flex_session_comm *comm = flex_session_comm(request->session);
	struct flex_call call = {
		.op = FLEX_OP_GENERATE, .ops = &flex_leader_ops, .context = request,
		.arg = { request->session, request->ask.prompt_bytes, request->ask.n_predict,
			 request->ask.flags & ~FLEX_GENERATE_FROM_MODEL },
	};
	s64 error;

	/* What an earlier session left there is not this one's. */
	comm->prompt_tokens = 0;
	comm->prefill_ticks = 0;
	comm->decode_ticks = 0;
	comm->reason[0] = 0;
	memcpy(comm->prompt, request->prompt, min_t(u32, request->ask.prompt_bytes, FLEX_PROMPT_BYTES));
	request->watchdog.heartbeat = READ_ONCE(comm->heartbeat);
	while (down_timeout(&flex_busy_threads, FLEX_TURN_JIFFIES))
		if (READ_ONCE(request->cancelled))
			return -ECANCELED;
	flex_helpers_start(request);
	error = flex_payload_run(&call);
	up(&flex_busy_threads);
	flex_helpers_stop(request);
	atomic64_add(call.entries, &request->entries);
	if (request->abandoned)
		flex_payload_restart();
	else if (error != FLEX_OK && request->session_epoch != flex_payload_epoch())
		error = FLEX_E_PANIC;

	flex_request_copy_result(request, error);
	*finish = call.result.a3;
	request->result.flex_error = error;
	return request->load_error ? request->load_error : flex_errno(error);
}

static int flex_request_work(struct flex_request *request, s32 *finish)
{
	int ret;

	ret = flex_request_open_model(request);
	if (!ret)
		ret = flex_request_open_session(request);
	if (!ret && READ_ONCE(request->cancelled))
		ret = -ECANCELED;
	if (!ret)
		ret = flex_request_generate(request, finish);
	return ret;
}

static void flex_request_end(struct flex_request *request, int error, s32 finish)
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

static int flex_leader(void *data)
{
	struct flex_request *request = data;
	s32 finish = 0;
	int ret;

	ret = flex_request_work(request, &finish);
	flex_request_end(request, ret, finish);
	flex_request_close_session(request);
	flex_request_close_model(request);
	complete_all(&request->done);
	wake_up_all(&request->client->wait);
	flex_request_put(request);
	return 0;
}

static int flex_request_copy_in(struct flex_request *request)
{
	/* What is too long or empty is the payload's to refuse, with its reason. */
	u32 bytes = min_t(u32, request->ask.prompt_bytes, FLEX_PROMPT_BYTES);

	if (!request->ask.threads || request->ask.threads > FLEX_BUSY_THREADS)
		return -EINVAL;
	request->prompt = kvmalloc(max(bytes, 1U), GFP_KERNEL);
	request->prompt_ids = kvcalloc(FLEX_PROMPT_IDS, sizeof(s32), GFP_KERNEL);
	request->batch = kvmalloc(sizeof(*request->batch), GFP_KERNEL);
	if (!request->prompt || !request->prompt_ids || !request->batch)
		return -ENOMEM;
	if (copy_from_user(request->prompt, u64_to_user_ptr(request->ask.prompt), bytes))
		return -EFAULT;
	return 0;
}

/* The clock began to run with the opening of the model, if that is wanted. */
static void flex_request_start_clock(struct flex_request *request, u64 submitted)
{
	if (request->ask.flags & FLEX_GENERATE_FROM_MODEL)
		request->clock = request->client->opening;
	else
		flex_clock_start(&request->clock, submitted);
}

/**
 * flex_request_start() - begin a request; its leader does the rest
 * @client: locked, without a request under way; gets a reference to it
 * @model: a use of it becomes the request's, whatever happens
 * @ask: as the client put it
 * @submitted: ticks when it did
 *
 * May sleep. Return: 0 or a negative errno.
 */
int flex_request_start(struct flex_client *client, struct flex_model *model,
		       const struct flex_ioc_generate *ask, u64 submitted)
{
	struct flex_request *request = kzalloc(sizeof(*request), GFP_KERNEL);
	struct task_struct *task;
	int ret;

	if (!request) {
		flex_model_put(model);
		return -ENOMEM;
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
	if (ret)
		goto put;
	flex_request_start_clock(request, submitted);
	task = kthread_create(flex_leader, request, "flexlead/%d", task_pid_nr(current));
	if (IS_ERR(task)) {
		ret = PTR_ERR(task);
		goto put;
	}
	kref_get(&request->refs);
	client->request = request;
	set_user_nice(task, task_nice(current));
	wake_up_process(task);
	return 0;
put:
	flex_request_put(request);
	return ret;
}
